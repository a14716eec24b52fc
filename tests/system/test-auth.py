#!/usr/bin/python3
"""Logging in (AUTH, RFC 4954), by real clients and against tables that real tools have made: who is who, who is
nobody, that nobody can tell whether somebody exists, and that passwords are left nowhere."""

import base64
import contextlib
import hashlib
import os
import shutil
import smtplib
import subprocess

import harness
import servers
from harness import HOST, PATIENCE, RECIPIENT, SENDER, Client, Listener, Site

USER, PASSWORD = "scanner", "correct horse battery staple"
NAME_WORD = "MzM0"  # nothing of what is looked for
SECRET = bytes(range(64, 96))


# Tables


def by_gsasl(password=PASSWORD):
    harness.need("gsasl")
    return made("gsasl", "--mkpasswd", "--mechanism=SCRAM-SHA-256", "--iteration-count=4096",
                f"--password={password}")


def by_doveadm(password=PASSWORD):
    root = harness.packages() / "dovecot-core/usr"
    folders = [str(root / "lib/dovecot"), harness.with_libraries().get("LD_LIBRARY_PATH", "")]
    command = ("-O", "pw", "-s", "SCRAM-SHA-256", "-p", password)
    done = harness.run(root / "bin/doveadm", *command, env=harness.environment(LD_LIBRARY_PATH=":".join(folders)))
    if "execv(/usr/bin/doveconf)" not in done.stdout:
        assert done.returncode == 0, done.stdout
        return done.stdout.split()[-1]
    # Dovecot 2.4 reads its settings all the same, by a program that has to be where it is installed
    harness.need_root("a machine with Dovecot")
    settings = "dovecot_config_version = 2.4.0\ndovecot_storage_version = 2.4.0\n"
    return made(harness.HERE / "with-packages", harness.packages(), "dovecot-core", harness.scratch(), "sh", "-c",
                'printf "%s" "$0" >/etc/dovecot/dovecot.conf && exec doveadm "$@"', settings, *command)


def by_mkpasswd(method, password=PASSWORD):
    harness.need("mkpasswd")
    return made("mkpasswd", "-m", method, "-s", input=password + "\n")


def made(*command, **options):
    done = harness.run(*command, **options)
    assert done.returncode == 0, done.stdout
    return done.stdout.split()[-1]


VERIFIERS = {"gsasl": by_gsasl, "doveadm": by_doveadm, "yescrypt": lambda: by_mkpasswd("yescrypt"),
             "sha512crypt": lambda: by_mkpasswd("sha512crypt")}


def put(place, name, content, mode=0o600):
    path = place.dir / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(mode)
    return path


def site(users=None, auth="on", **settings):
    """One where people can log in; users: names and verifiers."""
    place = Site(tls=settings.pop("tls", "required"), pair=harness.pair("rsa"), auth=auth, **settings)
    if users is None:
        users = {USER: by_gsasl()}
    lines = "".join(f"{name} {verifier}\n" for name, verifier in users.items())
    place.set(auth_users=put(place, "users", lines), auth_secret=put(place, "secret", SECRET))
    return place


def secure(place, **options):
    """A client that has said EHLO inside TLS."""
    client = place.connect(**options)
    client.ehlo()
    client.starttls(context=options.get("context"))
    client.offered = client.ehlo()
    return client


def offers(client):
    return next((w.split()[1:] for w in client.offered.words if w.startswith("AUTH ")), [])


def plain(user=USER, password=PASSWORD, authzid=""):
    return base64.b64encode(f"{authzid}\0{user}\0{password}".encode()).decode()


def sends_mail(client, sender=SENDER):
    harness.equal(client.message(harness.sample(), sender).code, 250)


# What is offered


def test_offered_only_inside_tls():
    client = site(tls="on").connect()
    assert not client.ehlo().has("AUTH")
    client.starttls()
    client.offered = client.ehlo()
    harness.equal(offers(client), ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN"])


def test_no_binding_before_tls_1_3():
    place = site()
    client = place.connect()
    client.ehlo()
    client.starttls(harness.client_context(maximum=harness.ssl.TLSVersion.TLSv1_2))
    client.offered = client.ehlo()
    harness.equal(offers(client), ["SCRAM-SHA-256", "PLAIN", "LOGIN"])


def test_no_scram_where_nobody_could_use_it():
    client = secure(site({USER: by_mkpasswd("yescrypt")}))
    harness.equal(offers(client), ["PLAIN", "LOGIN"])


# The tables of the tools


@harness.table(**VERIFIERS)
def test_verifiers_of_real_tools(make):
    place = site({USER: make()})
    client = secure(place)
    client.say(f"AUTH PLAIN {plain(password='wrong')}", 535)
    client.say(f"AUTH PLAIN {plain()}", 235)
    sends_mail(client)
    client.quit()
    harness.equal(place.session().get("status", ""), "")


def test_a_table_as_a_cdb():
    place = site()
    users = place.dir / "users"
    pairs = [tuple(line.split(" ", 1)) for line in users.read_text().splitlines()]
    place.set(auth_users=put(place, "users.cdb", cdb(pairs)))
    client = secure(place)
    harness.contains(offers(client), "SCRAM-SHA-256")
    client.say(f"AUTH PLAIN {plain(user='nobody')}", 535)
    client.say(f"AUTH PLAIN {plain()}", 235)


def cdb(pairs):
    """A constant database, https://cr.yp.to/cdb/cdb.txt."""

    def number(n):
        return n.to_bytes(4, "little")

    def digest(key):
        h = 5381
        for octet in key:
            h = (h * 33 & 0xFFFFFFFF) ^ octet
        return h

    body, tables = b"", [[] for _ in range(256)]
    for key, value in [(k.encode(), v.encode()) for k, v in pairs]:
        h = digest(key)
        tables[h % 256].append((h, 2048 + len(body)))
        body += number(len(key)) + number(len(value)) + key + value
    head, tail, at = b"", b"", 2048 + len(body)
    for table in tables:
        slots = [(0, 0)] * (2 * len(table))
        for h, place in table:
            i = h // 256 % len(slots)
            while slots[i][1]:
                i = (i + 1) % len(slots)
            slots[i] = (h, place)
        head += number(at) + number(len(slots))
        tail += b"".join(number(h) + number(p) for h, p in slots)
        at += 8 * len(slots)
    return head + body + tail


def test_files_may_be_credentials():
    place = site()
    place.set(auth_users="credential:users", auth_secret="credential:secret")
    client = secure(place, env=harness.environment(CREDENTIALS_DIRECTORY=str(place.dir)))
    client.say(f"AUTH PLAIN {plain()}", 235)


def test_the_user_need_not_read_the_tables():
    """They are opened with the first rights: root's."""
    harness.need_root("becoming another user")
    place = site(user="nobody")
    for path in (place.dir, place.root):
        shutil.chown(path, "nobody")
    pair = harness.pair("rsa").copy_to(place.dir)
    shutil.chown(pair.key, "nobody")
    place.set(pair=pair)
    client = secure(place)
    client.say(f"AUTH PLAIN {plain()}", 235)
    sends_mail(client)


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
    """With what binds it to TLS, where it can: it then refuses the plain SCRAM of a server that has both (RFC 5802 6)."""
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
    """It sends no mail; SCRAM proves to it, too, that the server knows the password."""
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
    """As clients do that refuse SCRAM by themselves, once they have seen what the server says."""
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


def test_gsasl_that_refuses_scram_by_itself():
    """It can bind to the channel, and is told to use a mechanism that does not."""
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


# Certificates


class Authority:
    """A self-signed certificate that signs those of clients."""

    def __init__(self):
        self.folder = harness.scratch()
        self.certificate, self.key = self.folder / "ca.crt", self.folder / "ca.key"
        self._make(self.certificate, self.key, ["cn = Devices", "ca", "cert_signing_key"],
                   "--generate-self-signed")

    def _make(self, certificate, key, template, *how):
        path = self.folder / "template"
        path.write_text("\n".join([*template, "expiration_days = 300"]) + "\n")
        for command in (("--generate-privkey", "--key-type=ecdsa", "--outfile", key),
                        (*how, "--load-privkey", key, "--template", path, "--outfile", certificate)):
            done = harness.run("certtool", "--no-text", *command)
            assert done.returncode == 0, done.stdout

    def signs(self, name, *lines):
        made = harness.Pair(self.folder / f"{name}.crt", self.folder / f"{name}.key")
        self._make(made.certificate, made.key, [f"cn = {name}", "tls_www_client", "signing_key", *lines],
                   "--generate-certificate", "--load-ca-certificate", self.certificate,
                   "--load-ca-privkey", self.key)
        return made


def with_certificate(pair):
    context = harness.client_context()
    context.load_cert_chain(pair.certificate, pair.key)
    return context


def external(place, pair):
    client = place.connect()
    client.ehlo()
    client.starttls(with_certificate(pair) if pair else None)
    client.offered = client.ehlo()
    return client


def device_site(authority, **settings):
    return site(tls_client_ca=authority.certificate, **settings)


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
    """Devices that sign for themselves: each is its own authority, and the table knows them alone."""
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


# Strangers


def test_nobody_can_ask_who_exists():
    """The salt of somebody who does not is the same in each process, and of the usual form."""
    place = site({USER: by_gsasl(), "second": by_gsasl()})

    def ask(name):
        client = secure(place)
        client.say("AUTH SCRAM-SHA-256", 334)
        client.send(base64.b64encode(f"n,,n={name},r=nonce".encode()) + b"\r\n")
        said = base64.b64decode(client.expect(334).words[0]).decode()
        return said.split(",")[1:]

    known, nobody, again, other = ask(USER), ask("nobody"), ask("nobody"), ask("nobody2")
    harness.equal(nobody, again)
    assert nobody != other and nobody != known
    harness.equal([len(part) for part in nobody], [len(part) for part in known])
    harness.equal(nobody[1], known[1])
    place.set(auth_secret=put(place, "secret", SECRET[::-1]))
    assert ask("nobody") != nobody
    harness.equal(ask(USER), known)


def test_the_reply_is_the_same_for_all():
    place = site({USER: by_gsasl(), "hashed": by_mkpasswd("yescrypt"), "bare": "password"})
    replies = set()
    for name in (USER, "hashed", "bare", "nobody", ""):
        client = secure(place)
        replies.add(str(client.say(f"AUTH PLAIN {plain(user=name, password='password')}", 535)))
        client.wait()
    harness.equal(len(replies), 1)
    harness.contains(place.log_text(), "auth-users: bare: is neither")


# Whose addresses


def test_who_may_send_from_where():
    place = site({"alice": by_gsasl(), "bob": by_gsasl(), "carol": by_gsasl()})
    place.set(auth_senders=put(place, "senders", "alice alice@example.net @alice.example\nbob *\n", 0o644))
    for user, sender, code in (
            ("alice", "alice@example.net", 250), ("alice", "Alice@Example.NET", 250),
            ("alice", "any@alice.example", 250), ("alice", "", 250), ("alice", "bob@example.net", 553),
            ("bob", "anybody@example.com", 250), ("carol", "carol@example.net", 553)):
        client = secure(place)
        client.say(f"AUTH PLAIN {plain(user=user)}", 235)
        found = client.say(f"MAIL FROM:<{sender}>", code)
        client.quit()
        harness.contains(str(found), "5.7.1" if code == 553 else "2.1.0")


@harness.table_of({f"{what} {how}": (what, how) for what in ("missing", "malformed cdb") for how in ("once", "twice")})
def test_senders_that_cannot_be_checked_are_a_fault_of_the_host(what, how):
    """Real sender 17: 451 at MAIL has its cause in the record, in the words of --check."""
    place = site({"alice": by_gsasl()})
    table = place.dir / ("senders" if what == "missing" else "senders.cdb")
    if what != "missing":
        table.write_bytes(b"no table" * 300)
    place.set(auth_senders=table)
    client = secure(place)
    client.say(f"AUTH PLAIN {plain(user='alice')}", 235)
    for _ in range(1 if how == "once" else 2):
        client.say("MAIL FROM:<alice@example.net>", 451, "4.3.0")
    client.quit()
    done = harness.run(*place.command(), "--check")
    harness.equal(done.returncode, 78, done.stdout)
    records = place.records("message")
    harness.equal(len(records), 1 if how == "once" else 2)
    for record in records:
        harness.equal((record["outcome"], record["status"]), ("refused", "Delivery Error (SMTP Receive)"))
        harness.contains(record["delivery_fault"], f"auth-senders {table}: ")
        harness.contains(done.stdout, record["delivery_fault"])
    harness.equal(len(place.records("error")), 1)


def test_a_byte_order_mark_is_skipped_in_every_file():
    """Real sender 20, RFC 3629 6: as editors on Windows write it, with CRLF."""
    pair = harness.pair("rsa")
    place = Site(tls="required", pair=pair)

    def put_marked(name, text, mode=0o600):
        return put(place, name, b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode(), mode)

    place.set(auth="on", auth_secret=put(place, "secret", b"\xef\xbb\xbf" + b"s" * 29),
              tls_tickets=put(place, "tickets", b"\xef\xbb\xbf" + b"t" * 61),
              auth_users=put_marked("users", f"{USER} {by_gsasl()}\n"),
              auth_senders=put_marked("senders", f"{USER} {SENDER}\n", 0o644),
              recipients=put_marked("recipients", f"{RECIPIENT} box auth\n", 0o644), maildir="%u",
              clients=put_marked("clients", "127.0.0.2 deny no\n", 0o644),
              tls_client_ca=put_marked("ca.pem", pair.certificate.read_text(), 0o644),
              tls_certificate=put_marked("cert.pem", pair.certificate.read_text(), 0o644),
              tls_key=put_marked("key.pem", pair.key.read_text()))
    put_marked("postern.conf", place.settings_file.read_text(), 0o644)
    place.connect("127.0.0.2", greeting=False).expect(554, "5.7.1 no")
    client = secure(place)
    client.say(f"AUTH PLAIN {plain()}", 235)
    sends_mail(client)
    client.quit()
    assert "tls_fault" not in place.records("session")[-1], place.log_text()
    cdb_file = place.dir / "users.cdb"
    done = harness.run(harness.build / "src" / "postern-cdb", cdb_file, place.dir / "users")
    harness.equal((done.returncode, done.stdout), (0, ""))
    client = secure(place.set(auth_users=cdb_file))
    client.say(f"AUTH PLAIN {plain()}", 235)
    done = harness.run(*place.command(), "--check")
    assert not [line for line in done.stdout.splitlines() if place.dir.name in line], done.stdout


def test_a_recipient_for_those_who_have_logged_in():
    place = site()
    place.set(recipients=put(place, "recipients", f"{RECIPIENT} box auth\nopen@{harness.DOMAIN} box\n", 0o644),
              maildir="%u")
    client = secure(place)
    client.say("AUTH LOGIN", 334)  # loads what the sandbox would not let in later
    client.say("*", 501)
    client.say(f"MAIL FROM:<{SENDER}>", 250)
    client.say(f"RCPT TO:<{RECIPIENT}>", 530, "5.7.0")
    client.say(f"RCPT TO:<open@{harness.DOMAIN}>", 250)
    client.say("RSET", 250)
    client.say(f"AUTH PLAIN {plain()}", 235)
    sends_mail(client)


# What is wrong with files


def readable(place):
    (place.dir / "users").chmod(0o604)
    return "auth-users {}/users: others may read it"


def secret_readable(place):
    (place.dir / "secret").chmod(0o644)
    return "auth-secret {}/secret: others may read it"


def short_secret(place):
    put(place, "secret", b"x" * 31)
    return "auth-secret {}/secret: has less than 32 octets"


def missing(place):
    (place.dir / "users").unlink()
    return "auth-users {}/users: No such file"


def missing_secret(place):
    (place.dir / "secret").unlink()
    return "auth-secret {}/secret: No such file"


def twice(place):
    users = place.dir / "users"
    put(place, "users", users.read_text() * 2)
    return "auth-users {}/users: line 2", "{}/users:2: "


def emptied(place):
    put(place, "users", "")
    return "auth-users {}/users: has no line, as if it had been emptied"


SPOILT = {f.__name__: f for f in (readable, secret_readable, short_secret, missing, missing_secret, twice, emptied)}


@harness.table(**SPOILT)
def test_where_all_must_log_in_files_that_cannot_be_used_defer_mail(spoil):
    place = site(auth="required")
    spoil(place)
    client = secure(place)
    client.say(f"AUTH PLAIN {plain()}", 454, "4.7.0")
    client.say(f"MAIL FROM:<{SENDER}>", 454, "4.7.0")  # by 530 the client would return it
    client.quit()


@harness.table(**SPOILT)
def test_files_that_cannot_be_used_cost_no_mail(spoil):
    place = site()
    told = spoil(place)
    told, by_check = (each.format(place.dir) for each in (told if isinstance(told, tuple) else (told, told)))
    client = secure(place)
    client.say(f"AUTH PLAIN {plain()}", 454, "4.7.0")
    client.say("AUTH LOGIN", 454)
    client.say("AUTH SCRAM-SHA-256", 454)  # not offered now, and as little the fault of a client that has no other
    client.say("AUTH CRAM-MD5", 504)
    sends_mail(client)
    client.quit()
    harness.equal([told in r["text"] for r in place.records("error")], [True])
    harness.contains(check(place, 78), by_check)


def check(place, code, own=False):
    """`own`: but for the warning that the user of the tests may be root."""
    done = harness.run(*place.command(), "--check")
    harness.equal(done.returncode, code, done.stdout)
    return harness.check_lines(done) if own else done.stdout


def test_who_does_not_log_in_does_not_hear_of_it():
    place = site()
    missing(place)
    client = secure(place)
    sends_mail(client)
    client.quit()
    harness.equal(place.records("error"), [])


def test_check_tells_what_is_wrong_in_tables():
    authority = Authority()
    place = device_site(authority, users={USER: by_gsasl(), "bare": "hunter2", "weak":
                                          by_gsasl().replace("}4096", "}1000")})
    place.set(
        auth_certificates=put(place, "certificates", f"{'AB:' * 31}AB one\n{'a' * 64}\n", 0o644),
        auth_senders=put(place, "senders", "alice alice@example.net, bob\n", 0o644))
    found = check(place, 78)
    for told in ("users:2: bare: is neither", "users:3: weak: has less than 4096", "certificates:1: AB:AB",
                 "certificates:2: aaaa", "senders:1: alice: has a word that is no address"):
        harness.contains(found, told)
    assert "hunter2" not in found and "users:1: " not in found, found


def test_check_is_silent_where_all_is_well():
    authority = Authority()
    place = device_site(authority, users={USER: by_gsasl(), "second": by_mkpasswd("sha512crypt")})
    place.set(auth_senders=put(place, "senders", "alice alice@example.net\n", 0o644),
              auth_certificates=put(place, "certificates", "a" * 64 + " alice\n", 0o644))
    harness.equal(check(place, 0, own=True), "")


def without_module(place):
    """The same program and modules, but for one."""
    folder = place.dir / "program"
    folder.mkdir()
    for name in ("postern", "tls.so", "idn.so"):
        shutil.copy(harness.build / "src" / name, folder / name)
    command = place.command
    place.command = lambda: [str(folder / "postern"), *command()[1:]]


def test_a_missing_module_costs_no_mail():
    place = site()
    without_module(place)
    client = secure(place)
    client.say(f"AUTH PLAIN {plain()}", 454, "4.7.0")
    sends_mail(client)
    client.quit()
    harness.contains(place.records("error")[0]["text"], "sasl.so")
    harness.contains(check(place, 78), "sasl.so")


# The sandbox


def has_module(client):
    with open(f"/proc/{client.process.pid}/maps", encoding="utf-8") as maps:
        return "/sasl.so" in maps.read()


def test_the_library_is_loaded_by_who_logs_in():
    client = secure(site())
    assert not has_module(client)
    client.say(f"AUTH PLAIN {plain()}", 235)
    assert has_module(client)
    sends_mail(client)
    client.quit()


def test_where_all_must_log_in_it_is_loaded_while_they_are_awaited():
    client = secure(site(auth="required"))
    harness.eventually(lambda: has_module(client), "the module is loaded while the client says nothing")


def test_nothing_can_be_loaded_behind_the_first_mail():
    place = site()
    client = secure(place)
    sends_mail(client)
    client.say(f"AUTH PLAIN {plain()}", 454, "4.7.0")
    client.say("AUTH LOGIN", 454)
    assert not has_module(client)
    client.say(f"MAIL FROM:<{SENDER}> AUTH=<>", 250)
    client.say("RSET", 250)
    sends_mail(client)
    client.quit()
    harness.equal(["cannot begin to log in" in r["text"] for r in place.records("error")], [True])


def test_who_has_tried_before_may_try_again_behind_it():
    client = secure(site())
    client.say(f"AUTH PLAIN {plain(password='wrong')}", 535)
    sends_mail(client)
    client.say(f"AUTH PLAIN {plain()}", 235)
    sends_mail(client)


def test_without_a_sandbox_nothing_ends():
    client = secure(site(sandbox="no"))
    sends_mail(client)
    client.say(f"AUTH PLAIN {plain()}", 235)
    sends_mail(client)


# A listener


def listening(place, kind=""):
    """A client of a process that a listener has forked, once it is there."""
    port = harness.free_port()
    with open(place.log, "ab") as log:
        harness.start(*place.command(), f"--listen={kind}127.0.0.1:{port}", stderr=log)

    def connect():
        with contextlib.suppress(ConnectionRefusedError):
            return Client.to(port)

    return lambda: harness.eventually(connect, "the listener accepts")


def inside(client, context=None):
    client.ehlo()
    client.starttls(context)
    client.offered = client.ehlo()
    return client


def test_a_listener_has_the_library_and_reads_the_tables_anew():
    place = site(auth="on")
    connect = listening(place)
    client = inside(connect())
    sends_mail(client)
    client.say(f"AUTH PLAIN {plain()}", 235)  # what is loaded needs no loading
    client.quit()
    put(place, "users", f"somebody {by_gsasl()}\n")
    client = inside(connect())
    client.say(f"AUTH PLAIN {plain(user='somebody')}", 235)
    client.quit()


def test_port_587_has_the_library_where_port_25_needs_no_login():
    connect = listening(site(auth="off"), "submission=")
    client = inside(connect())
    client.say(f"AUTH PLAIN {plain()}", 235)
    sends_mail(client)
    client.quit()


def test_new_authorities_count_from_the_next_connection_on():
    first, second = Authority(), Authority()
    place = site()
    place.set(tls_client_ca=put(place, "ca", first.certificate.read_bytes(), 0o644))
    connect = listening(place)
    context = with_certificate(second.signs("device", "email = scanner@example.org"))
    assert "EXTERNAL" not in offers(inside(connect(), context))
    put(place, "fresh", second.certificate.read_bytes(), 0o644).rename(place.dir / "ca")
    client = inside(connect(), context)
    client.say("AUTH EXTERNAL =", 235)


# What is left in memory


def memory(pid):
    """All of it that can be read, piece by piece."""
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            span, rights, *_, = line.split()
            if not rights.startswith("r") or line.rstrip().endswith(("[vvar]", "[vsyscall]")):
                continue
            start, last = (int(n, 16) for n in span.split("-"))
            with contextlib.suppress(OSError):
                mem.seek(start)
                yield line.rstrip(), mem.read(last - start)


def forms(password, user):
    """A password as it stands, as the client sent it, as libidn prepares it, and as HMAC pads it."""
    octets = password.encode()
    return {"password": octets, "UCS-4": password.encode("utf-32-le"),
            "ipad": bytes(o ^ 0x36 for o in octets), "opad": bytes(o ^ 0x5c for o in octets),
            "PLAIN": plain(user, password).encode()[8:],
            "LOGIN": base64.b64encode(password.encode())}


def leftovers(pid, password, user=USER):
    found = []
    for where, octets in memory(pid):
        for form, wanted in forms(password, user).items():
            # its second half is telling, too: the first is what a heap overwrites
            for part in (wanted, wanted[len(wanted) // 2:]):
                at = octets.find(part)
                if at >= 0:
                    found.append((form, len(part), where, octets[max(at - 40, 0):at + 60]))
    return found


@harness.senseless_when_sanitized
@harness.table_of({f"{m}, {k}": (m, k) for m in ("PLAIN", "PLAIN in two", "LOGIN")
                   for k in ("gsasl", "yescrypt", "wrong")})
def test_passwords_are_left_nowhere(mechanism, kind):
    """A short one can lie where nothing else falls upon it, a long one in more places."""
    harness.need_root("reading another process's memory")
    for octets in (4, 8, 18, 40):
        leaves_no_password(mechanism, kind, "Zq7/" + os.urandom(octets).hex())


def leaves_no_password(mechanism, kind, password):
    verifier = by_mkpasswd("yescrypt", password) if kind == "yescrypt" else by_gsasl(
        "another" if kind == "wrong" else password)
    client = secure(site({USER: verifier}))
    code = 535 if kind == "wrong" else 235
    if mechanism == "PLAIN":
        client.say(f"AUTH PLAIN {plain(password=password)}", code)
    elif mechanism == "LOGIN":
        client.say("AUTH LOGIN", 334)
        client.say(base64.b64encode(USER.encode()).decode(), 334)
        client.say(base64.b64encode(password.encode()).decode(), code)
    else:
        client.say("AUTH PLAIN", 334)
        client.say(plain(password=password), code)
    found = leftovers(client.process.pid, password)
    assert not found, "\n".join(map(str, found))


@harness.senseless_when_sanitized
def test_the_search_finds_what_is_there():
    """So that the test above can fail: a name is kept."""
    harness.need_root("reading another process's memory")
    name = "u" + os.urandom(18).hex()
    client = secure(site())
    client.say(f"EHLO {name}", 250)
    assert any(form == "password" for form, *_ in leftovers(client.process.pid, name))


@harness.table(on=("on",), off=("off",))
def test_no_core_file_where_passwords_or_keys_are(auth):
    """The kernel gives what is in /proc of such a process to root, as it writes no core file of it."""
    harness.need_root("being somebody else")
    place = site()
    for path in (place.dir, place.root, place.dir / "users", place.dir / "secret"):
        shutil.chown(path, "nobody")
    pair = harness.pair("rsa").copy_to(place.dir)
    shutil.chown(pair.key, "nobody")
    place.set(pair=pair, auth=auth)
    client = place.connect(user="nobody")
    client.ehlo()
    client.starttls()
    owner = os.stat(f"/proc/{client.process.pid}/mem").st_uid
    harness.equal(owner, 0)
    client.offered = client.ehlo()
    if auth == "on":
        client.say(f"AUTH PLAIN {plain()}", 235)
    sends_mail(client)


def test_passwords_are_in_no_trace():
    place = site()
    folder = place.dir / "traces"
    folder.mkdir()
    place.set(trace="127.0.0.1", trace_directory=folder)
    client = secure(place)
    client.say(f"AUTH PLAIN {plain()}", 235)
    client.quit()
    place.session()
    text = "".join(path.read_text() for path in folder.iterdir())
    harness.contains(text, "AUTH")
    for form in ("password", "PLAIN", "LOGIN"):
        assert forms(PASSWORD, USER)[form].decode() not in text, form


if __name__ == "__main__":
    harness.main()
