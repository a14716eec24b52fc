#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Real clients log in, by password and by certificate, and interrupt exchanges."""

import base64
import hashlib
import os
import smtplib
import subprocess

import harness
import servers
from harness import HOST, PATIENCE, RECIPIENT, SENDER, Client, Listener, Site
from listening import Listening
from logins import (Authority, PASSWORD, SECRET, USER, by_gsasl, device_site, offers, put, secure, sends_mail, site,
                    with_certificate)


# Real clients


class Place:
    """A listener that demands a user, and a message in both kinds of line ends."""

    def __init__(self, **settings):
        self.site = site(auth="required", **settings)
        self.pair = harness.pair("rsa")
        self.port = Listener(self.site).port
        self.sent = harness.sample()
        self.crlf = put(self.site, "message.crlf", self.sent, 0o644)
        self.lf = put(self.site, "message", self.sent.replace(b"\r\n", b"\n"), 0o644)

    def check(self, user=USER, patience=PATIENCE):
        harness.eventually(self.site.new, "a message in new/", patience)
        trace = harness.check_stored(self.site.only_message(), self.sent)
        ours = next(t for t in trace if t.lower().startswith("received:"))
        harness.contains(ours, f"with {self.site.protocol('SA')}", "RFC 3848, RFC 6531 4.3")
        harness.equal(self.site.session().get("user"), user)
        assert PASSWORD not in self.site.log_text()

    def check_done(self, done, **options):
        harness.equal(done.returncode, 0, done.stdout)
        self.check(**options)

    def check_refused(self, done):
        assert done.returncode != 0, done.stdout
        harness.equal(self.site.everything(), [])


PASSWORDS = harness.table(right=(PASSWORD,), wrong=("wrong",))


def check_by_password(place, done, password):
    if password == PASSWORD:
        place.check_done(done)
    else:
        place.check_refused(done)


@harness.table_of({f"{m} {k}": (m, p) for m in ("PLAIN", "LOGIN")
                   for k, p in (("right", PASSWORD), ("wrong", "wrong"))})
def test_swaks(mechanism, password):
    harness.need("swaks")
    place = Place()
    data = put(place.site, "message.swaks", place.sent[:-2])  # it adds a line end of its own
    check_by_password(place, harness.run(
        "swaks", "--server", "127.0.0.1", "--port", place.port, "--tls", "--from", SENDER, "--to",
        RECIPIENT, "--helo", "client.example.net", "--data", f"@{data}", "--auth", mechanism,
        "--auth-user", USER, "--auth-password", password), password)


@harness.table_of({f"{m} {k}": (m, p) for m in ("PLAIN", "LOGIN")
                   for k, p in (("right", PASSWORD), ("wrong", "wrong"))})
def test_curl(mechanism, password):
    harness.need("curl")
    place = Place()
    check_by_password(place, curl(place, "--login-options", f"AUTH={mechanism}", "--user",
                                  f"{USER}:{password}"), password)


def curl(place, *options):
    return harness.run(
        "curl", "--silent", "--show-error", "--ssl-reqd", "--cacert", place.pair.certificate,
        "--resolve", f"{HOST}:{place.port}:127.0.0.1", "--mail-from", SENDER, "--mail-rcpt", RECIPIENT,
        "--upload-file", place.crlf, *options, f"smtp://{HOST}:{place.port}/client.example.net")


@harness.table_of({f"{m} {k}": (m, p) for m in ("plain", "login", "scram-sha-256", "on")
                   for k, p in (("right", PASSWORD), ("wrong", "wrong"))})
def test_msmtp(mechanism, password):
    """With what binds it to TLS, where it can: it then refuses the plain SCRAM of a server that has both (RFC 5802
    6)."""
    place = Place()
    if mechanism.startswith("scram") and f"{mechanism}-plus" in msmtp(place, "--version").stdout:
        mechanism += "-plus"
    check_by_password(place, msmtp(place, f"--auth={mechanism}", f"--user={USER}",
                                   f"--passwordeval=echo '{password}'"), password)


def msmtp(place, *options):
    return harness.run(
        harness.packages() / "msmtp/usr/bin/msmtp", "--host=127.0.0.1", f"--port={place.port}",
        "--tls=on", "--tls-starttls=on", f"--tls-trust-file={place.pair.certificate}",
        f"--tls-host-override={HOST}", f"--from={SENDER}", "--domain=client.example.net", *options,
        "--", RECIPIENT, input=place.lf.read_text(),
        env=harness.with_libraries(HOME=str(place.site.dir)))


@harness.table_of({f"{m} {k}": (m, p)
                   for m in ("PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS")
                   for k, p in (("right", PASSWORD), ("wrong", "wrong"))})
def test_gsasl(mechanism, password):
    """It sends no mail; SCRAM also proves to the client that the server has the verifier."""
    harness.need("gsasl")
    place = Place()
    done = harness.run(
        "gsasl", "--smtp", "--starttls", f"--connect=127.0.0.1:{place.port}", "--x509-ca-file=",
        *(() if mechanism.endswith("PLUS") else ("--no-cb",)), f"--mechanism={mechanism}",
        f"--authentication-id={USER}", f"--password={password}", input="")
    harness.contains(done.stdout, f"AUTH {mechanism}")
    if password != PASSWORD:
        assert done.returncode != 0 and "\n535 5.7.8" in done.stdout, done.stdout
        harness.equal(place.site.session()["auth_failures"], "1")
        failed = place.site.records("auth")[0]
        harness.equal([failed[k] for k in ("outcome", "user", "mechanism")], ["failed", USER, mechanism])
        return
    harness.equal(done.returncode, 0, done.stdout)
    harness.equal(place.site.session().get("user"), USER)


@harness.table_of({"an end": False, "a cancellation": True})
def test_an_exchange_that_the_client_breaks_off_has_a_record(cancels):
    """Like clients that cancel SCRAM after the message of the server."""
    place = site()
    client = secure(place)
    client.say("AUTH SCRAM-SHA-256 " + base64.b64encode(f"n,,n={USER},r=fyko".encode()).decode(), 334)
    if cancels:
        client.say("*", 501)
    client.close()
    client.wait()
    record, = place.records("auth")
    harness.equal([record.get(k) for k in ("outcome", "mechanism", "user", "end", "reason")],
                  ["given-up", "SCRAM-SHA-256", USER,
                   *((None, "501 5.7.0 Authentication cancelled") if cancels else ("broken", None))])
    assert "auth_failures" not in place.session()


BROKEN_OFF = {
    "PLAIN at its challenge": ("PLAIN", ["AUTH PLAIN"]),
    "LOGIN at the name": ("LOGIN", ["AUTH LOGIN"]),
    "LOGIN at the password": ("LOGIN", ["AUTH LOGIN", base64.b64encode(USER.encode()).decode()]),
    "SCRAM at its first challenge": ("SCRAM-SHA-256", ["AUTH SCRAM-SHA-256"]),
    "SCRAM at the second": ("SCRAM-SHA-256", ["AUTH SCRAM-SHA-256", base64.b64encode(b"n,,n=x,r=fyko").decode()]),
}


@harness.table_of({f"{name} TLS {version.name[4:]} {end}": (*row, version, end) for name, row in BROKEN_OFF.items()
                   for version in (harness.ssl.TLSVersion.TLSv1_2, harness.ssl.TLSVersion.TLSv1_3)
                   for end in ("*", "an end", "the timeout")})
def test_wherever_it_is_broken_off_the_record_has_the_mechanism(mechanism, lines, version, end):
    place = site(timeout="1s" if end == "the timeout" else "1m")
    client = place.connect()
    client.ehlo()
    client.starttls(harness.client_context(maximum=version))
    client.ehlo()
    for line in lines:
        client.say(line, 334)
    if end == "*":
        client.say("*", 501)
    elif end == "the timeout":
        client.expect(421)
    client.close()
    client.wait()
    record, = place.records("auth")
    harness.equal([record.get(k) for k in ("outcome", "mechanism")], ["given-up", mechanism])
    assert "auth_failures" not in place.session()


@harness.table_of({f"{name} {end}": (*row, end) for name, row in {
    **BROKEN_OFF, "EXTERNAL at its challenge": ("EXTERNAL", ["AUTH EXTERNAL"])}.items()
    for end in ("*", "an end", "a reset", "another command")})
def test_broken_off_at_a_listener_it_has_the_same_record(mechanism, lines, end):
    authority = Authority()
    here = Listening(tls="required", pair=harness.pair("rsa"), auth="on", tls_client_ca=authority.certificate)
    here.set(auth_users=put(here, "users", f"{USER} {by_gsasl()}\n"), auth_secret=put(here, "secret", SECRET))
    here.listen()
    device = authority.signs("device", "email = scanner@example.org")
    client = here.client()
    client.ehlo()
    client.starttls(with_certificate(device))
    client.ehlo()
    for line in lines:
        client.say(line, 334)
    if end == "*":
        client.say("*", 501)
    elif end == "another command":
        client.say("NOOP !", 501)
    (client.reset if end == "a reset" else client.close)()
    record, = harness.eventually(lambda: here.records("auth"), "a record")
    harness.equal([record.get(k) for k in ("outcome", "mechanism", "service")],
                  ["refused" if end == "another command" else "given-up", mechanism, "smtp"], record)
    assert "auth_failures" not in here.session()


def test_gsasl_that_refuses_scram_by_itself():
    """The client supports channel binding, but is configured for a mechanism without it."""
    harness.need("gsasl")
    place = Place()
    done = harness.run(
        "gsasl", "--smtp", "--starttls", f"--connect=127.0.0.1:{place.port}", "--x509-ca-file=",
        "--mechanism=SCRAM-SHA-256", f"--authentication-id={USER}", f"--password={PASSWORD}", input="")
    assert done.returncode != 0, done.stdout
    harness.contains(done.stdout, "AUTH SCRAM-SHA-256\n334 \n")
    record, = harness.eventually(lambda: place.site.records("auth"), "a record")
    harness.equal([record[k] for k in ("outcome", "mechanism", "end")], ["given-up", "SCRAM-SHA-256", "broken"])


@PASSWORDS
def test_python_smtplib(password):
    place = Place()
    with smtplib.SMTP("127.0.0.1", place.port, timeout=PATIENCE) as client:
        client.starttls(context=harness.client_context())
        try:
            client.login(USER, password)
        except smtplib.SMTPAuthenticationError as problem:
            harness.equal(problem.smtp_code, 535)
            assert password != PASSWORD
            return
        assert password == PASSWORD
        client.sendmail(SENDER, [RECIPIENT], place.sent, mail_options=["BODY=8BITMIME"])
    place.check()


NODEMAILER = """
const transport = require(process.argv[1] + '/nodemailer').createTransport({
    host: '127.0.0.1', port: Number(process.argv[2]), requireTLS: true, name: 'client.example.net',
    tls: { rejectUnauthorized: false }, authMethod: process.argv[5] || undefined,
    auth: { user: process.argv[3], pass: process.argv[4] } });
transport.sendMail({ envelope: { from: process.argv[6], to: process.argv[7] },
                     raw: require('fs').readFileSync(0) },
                   problem => { if (problem) { console.log(problem.message); process.exit(1) } });
"""


@harness.table_of({f"{m or 'unasked'} {k}": (m, p) for m in ("", "PLAIN", "LOGIN")
                   for k, p in (("right", PASSWORD), ("wrong", "wrong"))})
def test_nodemailer(mechanism, password):
    harness.need("node")
    place = Place()
    with open(place.crlf, "rb") as message:
        check_by_password(place, harness.run(
            "node", "-e", NODEMAILER, harness.packages() / "node-nodemailer/usr/share/nodejs",
            place.port, USER, password, mechanism, SENDER, RECIPIENT, stdin=message), password)


@harness.table(plain=("plain",), login=("login",), scram=("scram-sha-256",))
def test_postfix(mechanism):
    place = Place()
    if mechanism.startswith("scram") and not list(
            harness.Path("/usr/lib").glob("*/sasl2/libscram.so")):
        raise harness.Skip("libsasl2-modules has no SCRAM here")
    servers.Postfix(
        place.site.dir, f"relayhost = [127.0.0.1]:{place.port}\n"
        "smtp_tls_security_level = encrypt\nsmtp_sasl_auth_enable = yes\n"
        f"smtp_sasl_password_maps = inline:{{{{[127.0.0.1]:{place.port} = {USER}:{PASSWORD}}}}}\n"
        f"smtp_sasl_security_options = noanonymous\nsmtp_sasl_mechanism_filter = {mechanism}\n",
        place.lf, [RECIPIENT])
    place.check(patience=30)


def external(place, pair):
    client = place.connect()
    client.ehlo()
    client.starttls(with_certificate(pair) if pair else None)
    client.offered = client.ehlo()
    return client


def test_a_certificate_logs_in_without_a_password():
    authority = Authority()
    device = authority.signs("device", "email = scanner@example.org", "dns_name = scanner.example.org")
    place = Site(tls="required", pair=harness.pair("rsa"), auth="required",
                 tls_client_ca=authority.certificate)
    client = external(place, device)
    harness.equal(offers(client), ["EXTERNAL"])
    client.say("AUTH EXTERNAL =", 235)
    sends_mail(client)
    client.quit()
    record = place.session()
    harness.equal(record["user"], "scanner@example.org")
    harness.equal(record["tls_client"], "trusted")


@harness.table_of({
    "its other name": ("scanner.example.org", 235, "scanner.example.org"),
    "its first name": ("scanner@example.org", 235, "scanner@example.org"),
    "another's name": ("boss@example.org", 535, None)})
def test_the_certificate_decides_who_it_may_be(name, code, user):
    authority = Authority()
    device = authority.signs("device", "email = scanner@example.org", "dns_name = scanner.example.org")
    place = device_site(authority)
    client = external(place, device)
    client.say("AUTH EXTERNAL", 334)
    client.say(base64.b64encode(name.encode()).decode(), code)
    client.quit()
    harness.equal(place.session().get("user"), user)


def test_who_has_no_trusted_certificate_gets_mail_in_and_no_external():
    authority, other = Authority(), Authority()
    place = device_site(authority)
    for pair, what in ((None, None), (other.signs("device", "email = scanner@example.org"), "NOT trusted"),
                       (authority.signs("nameless"), "trusted")):
        client = external(place, pair)
        assert "EXTERNAL" not in offers(client), what
        client.say("AUTH EXTERNAL =", 504, "5.5.4")
        sends_mail(client)
        client.quit()
        told = place.records("session")[-1].get("tls_client")
        assert told is None if what is None else what in told, told


def fingerprint(pair):
    return hashlib.sha256(pair.der()).hexdigest()


def test_a_table_of_fingerprints_says_whose_they_are():
    """Devices with self-signed certificates: each is its own authority, and only these are in the table."""
    authority = Authority()
    listed = authority.signs("listed", "email = whatever@example.org")
    unlisted = authority.signs("unlisted", "email = scanner@example.org")
    place = device_site(authority)
    place.set(auth_certificates=put(place, "certificates", f"{fingerprint(listed)} {USER}\n", 0o644))
    assert "EXTERNAL" not in offers(external(place, unlisted))
    client = external(place, listed)
    client.say("AUTH EXTERNAL =", 235)
    client.quit()
    harness.equal(place.records("session")[-1]["user"], USER)


TLS = harness.ssl.TLSVersion


@harness.table_of({"TLS 1.2": TLS.TLSv1_2, "TLS 1.3": TLS.TLSv1_3})
def test_a_ticket_keeps_the_certificate(version):
    authority = Authority()
    place = device_site(authority)
    place.set(tls_tickets=put(place, "tickets", os.urandom(64)))
    context = with_certificate(authority.signs("device", "email = scanner@example.org"))
    context.minimum_version = context.maximum_version = version
    session = None
    for resumed in (False, True):
        client = place.connect()
        client.ehlo()
        client.starttls(context, session=session)
        client.ehlo()
        harness.equal(client.socket.session_reused, resumed)
        client.say("AUTH EXTERNAL =", 235)
        session = client.socket.session
        client.quit()
    harness.equal([r["user"] for r in place.records("session")], 2 * ["scanner@example.org"])


@harness.table_of({"TLS 1.2": "-tls1_2", "TLS 1.3": "-tls1_3"})
def test_openssl_with_a_certificate(version):
    harness.need("openssl")
    authority = Authority()
    device = authority.signs("device", "dns_name = scanner.example.org")
    place = device_site(authority)
    ours, theirs = harness.socket.socketpair()
    with theirs:
        harness.start("openssl", "s_client", "-quiet", "-starttls", "smtp", version, "-connect",
                      f"127.0.0.1:{Listener(place).port}", "-cert", device.certificate, "-key",
                      device.key, stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL)
    client = Client(ours)
    client.ehlo()
    client.say("AUTH EXTERNAL =", 235)
    client.say("QUIT", 221)
    harness.equal(place.session()["user"], "scanner.example.org")


def device_place():
    authority = Authority()
    place = Place(tls_client_ca=authority.certificate)
    place.device = authority.signs("device", "dns_name = scanner.example.org")
    return place


def test_msmtp_with_a_certificate():
    place = device_place()
    place.check_done(msmtp(place, "--auth=external", "--user=scanner.example.org", f"--tls-cert-file={place.device.certificate}",
                           f"--tls-key-file={place.device.key}"), user="scanner.example.org")


def test_curl_with_a_certificate():
    harness.need("curl")
    place = device_place()
    place.check_done(curl(place, "--login-options", "AUTH=EXTERNAL", "--user", "scanner.example.org:",
                          "--cert", place.device.certificate, "--key", place.device.key),
                     user="scanner.example.org")


def test_swaks_with_a_certificate():
    """It has no EXTERNAL of its own; with a certificate its password still does."""
    harness.need("swaks")
    place = device_place()
    data = put(place.site, "message.swaks", place.sent[:-2])
    place.check_done(harness.run(
        "swaks", "--server", "127.0.0.1", "--port", place.port, "--tls", "--tls-cert",
        place.device.certificate, "--tls-key", place.device.key, "--from", SENDER, "--to", RECIPIENT,
        "--data", f"@{data}", "--auth", "PLAIN", "--auth-user", USER, "--auth-password", PASSWORD))
    harness.equal(place.site.session()["tls_client"], "trusted")


if __name__ == "__main__":
    harness.main()
