#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Real clients, each sending a message through TLS, by STARTTLS and from the first octet (RFC 8314): the
Maildir file is what was sent."""

import smtplib
import socket
import subprocess

import harness
import servers
from harness import HOST, PATIENCE, RECIPIENT, SENDER, Client, Listener, Site

WAYS = harness.table(starttls=("required",), implicit=("implicit",))


class Place:
    """A listener that demands TLS, and a message as a file in both kinds of line ends."""

    def __init__(self, tls="required", **settings):
        self.pair = harness.pair("rsa")
        self.site = Site(tls=tls, pair=self.pair, **settings)
        self.port = Listener(self.site).port
        self.sent = harness.sample()
        self.crlf = self.site.dir / "message.crlf"
        self.crlf.write_bytes(self.sent)
        self.lf = self.site.dir / "message"
        self.lf.write_bytes(self.sent.replace(b"\r\n", b"\n"))

    def check(self, patience=PATIENCE):
        """One message, unchanged, that came through TLS, in a session that ended well."""
        path = harness.eventually(self.site.new, "a message in new/", patience)[0]
        trace = harness.check_stored(self.site.only_message(), self.sent)
        ours = next(t for t in trace if t.lower().startswith("received:"))
        harness.contains(ours, f"with {self.site.protocol('S')}", "RFC 3848, RFC 6531 4.3")
        harness.contains(ours, "tls", "RFC 8314 7.4")
        harness.equal(self.site.session().get("status", ""), "")
        return path

    def check_done(self, done):
        harness.equal(done.returncode, 0, done.stdout)
        self.check()


@WAYS
def test_swaks(tls):
    swaks(tls)


def test_swaks_pipelining():
    swaks("required", "--pipeline")


def swaks(tls, *options):
    harness.need("swaks")
    place = Place(tls)
    data = place.site.dir / "message.swaks"
    data.write_bytes(place.sent[:-2])  # it adds a line end of its own
    place.check_done(harness.run(
        "swaks", "--server", "127.0.0.1", "--port", place.port,
        "--tls-on-connect" if tls == "implicit" else "--tls", "--from", SENDER, "--to", RECIPIENT,
        "--helo", "client.example.net", "--data", f"@{data}", *options))


@WAYS
def test_curl(tls):
    harness.need("curl")
    place = Place(tls)
    scheme = "smtps" if tls == "implicit" else "smtp"
    place.check_done(harness.run(
        "curl", "--silent", "--show-error", "--ssl-reqd", "--cacert", place.pair.certificate,
        "--resolve", f"{HOST}:{place.port}:127.0.0.1", "--mail-from", SENDER,
        "--mail-rcpt", RECIPIENT, "--upload-file", place.crlf,
        f"{scheme}://{HOST}:{place.port}/client.example.net"))


@WAYS
def test_openssl_s_client(tls):
    harness.need("openssl")
    place = Place(tls)
    starttls = ("-starttls", "smtp", "-name", "client.example.net")
    by_hand(place, "openssl", "s_client", "-quiet", *(() if tls == "implicit" else starttls),
            "-connect", f"127.0.0.1:{place.port}", "-servername", HOST, "-CAfile",
            place.pair.certificate, "-verify_return_error", "-verify_hostname", HOST)


@WAYS
def test_gnutls_cli(tls):
    harness.need("gnutls-cli")
    place = Place(tls)
    by_hand(place, "gnutls-cli", f"--logfile={place.site.dir}/client.log",
            *(() if tls == "implicit" else ("--starttls-proto=smtp",)), f"--port={place.port}",
            f"--x509cafile={place.pair.certificate}", f"--verify-hostname={HOST}",
            f"--sni-hostname={HOST}", "127.0.0.1")


def by_hand(place, *command):
    """A client that only carries TLS: what it reads and prints is the dialogue after STARTTLS, or all of it."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = harness.start(*command, stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL)
    client = Client(ours)
    if place.site.settings["tls"] == "implicit":
        client.expect(220)
    client.ehlo()
    harness.equal(client.message(place.sent).code, 250)
    client.say("QUIT", 221)
    client.expect_end()
    process.wait(PATIENCE)
    place.check()


class ByName(smtplib.SMTP):
    """The name is for the certificate; what is connected to is loopback."""

    def _get_socket(self, host, port, timeout):
        return socket.create_connection(("127.0.0.1", port), timeout)


def test_python_smtplib():
    place = Place()
    context = harness.client_context(trust=place.pair)
    with ByName(HOST, place.port, timeout=PATIENCE) as client:
        client.starttls(context=context)
        refused = client.sendmail(SENDER, [RECIPIENT], place.sent, mail_options=["BODY=8BITMIME"])
    harness.equal(refused, {})
    place.check()


def test_python_smtplib_with_implicit_tls():
    place = Place("implicit")
    with smtplib.SMTP_SSL("127.0.0.1", place.port, timeout=PATIENCE,
                          context=harness.client_context()) as client:
        client.sendmail(SENDER, [RECIPIENT], place.sent)
    place.check()


@WAYS
def test_msmtp(tls):
    place, root = Place(tls), harness.packages()
    place.check_done(harness.run(
        root / "msmtp/usr/bin/msmtp", "--host=127.0.0.1", f"--port={place.port}", "--tls=on",
        f"--tls-starttls={'off' if tls == 'implicit' else 'on'}",
        f"--tls-trust-file={place.pair.certificate}", f"--tls-host-override={HOST}", "--auth=off", f"--from={SENDER}",
        "--domain=client.example.net", "--", RECIPIENT, input=place.lf.read_text(),
        env=harness.with_libraries(HOME=str(place.site.dir))))


@WAYS
def test_postfix_relaying_with_encrypt(tls):
    place = Place(tls)
    settings = f"relayhost = [127.0.0.1]:{place.port}\nsmtp_tls_security_level = encrypt\n"
    if tls == "implicit":
        settings += "smtp_tls_wrappermode = yes\n"
    servers.Postfix(place.site.dir, settings, place.lf, [RECIPIENT])
    place.check(30)


def exim_to(place, chunking):
    return servers.exim_settings(place.port, "hosts_require_tls = *", f"hosts_try_chunking = {chunking}")


@harness.table(by_data=("", False), by_chunks=("*", True))
def test_exim(chunking, marked):
    """Exim sends BDAT (RFC 3030) where it is offered and wanted; its log then has a K."""
    place = Place()
    exim = servers.Exim(place.site.dir, exim_to(place, chunking), place.lf, [RECIPIENT])
    place.check()
    harness.equal(" K C=" in exim.logged(f" => {RECIPIENT} ")[0], marked)


# Internationalized addresses (RFC 6531): the envelope has other letters than the name of the mailbox.

GERMAN, SPANISH = "jürgen@bücher.example", "JOSÉ@Bücher.example"


class Utf8Place(Place):
    """The same, for a domain that the settings name by its A-label, and a message that is UTF-8."""

    def __init__(self):
        super().__init__(domains="xn--bcher-kva.example")
        self.site.set(mail_root=self.site.root, maildir="%d/%u")
        self.mailbox = self.site.root / "xn--bcher-kva.example" / "josé"
        self.sent = (f"From: Jürgen <{GERMAN}>\r\nTo: <{SPANISH}>\r\nSubject: Grüße\r\n"
                     "Date: Tue, 01 Jul 2025 12:00:00 +0000\r\nMessage-ID: <1@client.example.net>"
                     "\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
                     "Content-Transfer-Encoding: 8bit\r\n\r\n¡Hola!\r\n").encode()
        self.crlf.write_bytes(self.sent)
        self.lf.write_bytes(self.sent.replace(b"\r\n", b"\n"))

    def check(self, recipient=SPANISH, sender=GERMAN, patience=PATIENCE):
        new = lambda: self.site.new(self.mailbox)
        path = harness.eventually(new, f"a message in {self.mailbox}", patience)[0]
        trace = harness.check_stored(path, self.sent)
        harness.contains(trace, f"Return-Path: <{sender}>")
        harness.contains(trace, f"Delivered-To: {recipient}")
        ours = next(t for t in trace if t.startswith("Received:"))
        harness.contains(ours, "with UTF8SMTPS", "RFC 6531 4.3")
        harness.contains(ours, f"for <{recipient}>")
        harness.equal(self.site.session().get("status", ""), "")
        harness.equal(self.site.records("message")[0].get("smtputf8"), "yes")


@harness.table(composed=SPANISH, decomposed="Jose\u0301@BU\u0308CHER.example",
               a_label="JOSÉ@xn--bcher-kva.example", plain="josé@bücher.example")
def test_python_smtplib_with_smtputf8(recipient):
    place = Utf8Place()
    with smtplib.SMTP("127.0.0.1", place.port, timeout=PATIENCE) as client:
        client.starttls(context=harness.client_context())
        refused = client.sendmail(GERMAN, [recipient], place.sent,
                                  mail_options=["BODY=8BITMIME", "SMTPUTF8"])
    harness.equal(refused, {})
    place.check(recipient)


def test_python_smtplib_after_an_ascii_message():
    """By then the sandbox lets nothing more be loaded."""
    place = Utf8Place()
    with smtplib.SMTP("127.0.0.1", place.port, timeout=PATIENCE) as client:
        client.starttls(context=harness.client_context())
        client.sendmail(SENDER, ["other@xn--bcher-kva.example"], place.sent)
        client.sendmail(GERMAN, [SPANISH], place.sent, mail_options=["SMTPUTF8"])
    path = harness.eventually(lambda: place.site.new(place.mailbox), "the second message")[0]
    harness.contains(harness.received(path), "with UTF8SMTPS")
    place.site.session()
    harness.equal([r.get("smtputf8") for r in place.site.records("message")], [None, "yes"])


def test_curl_with_smtputf8():
    """It sends the domains as A-labels."""
    harness.need("curl")
    place = Utf8Place()
    done = harness.run(
        "curl", "--silent", "--show-error", "--ssl-reqd", "--cacert", place.pair.certificate,
        "--resolve", f"{HOST}:{place.port}:127.0.0.1", "--mail-from", GERMAN,
        "--mail-rcpt", SPANISH, "--upload-file", place.crlf,
        f"smtp://{HOST}:{place.port}/client.example.net")
    harness.equal(done.returncode, 0, done.stdout)
    place.check("JOSÉ@xn--bcher-kva.example", "jürgen@xn--bcher-kva.example")


def test_postfix_relaying_with_smtputf8():
    place = Utf8Place()
    servers.Postfix(place.site.dir, f"relayhost = [127.0.0.1]:{place.port}\nsmtputf8_enable = yes\n"
                    "smtp_tls_security_level = encrypt\n", place.lf, [SPANISH], sender=GERMAN)
    place.check()


def test_exim_relaying_with_smtputf8():
    harness.need_root("a machine with Exim in it")
    place = Utf8Place()
    folder = place.site.dir
    (folder / "exim4.conf").write_text("smtputf8_advertise_hosts = *\nacl_smtp_rcpt = accept\n"
                                       + exim_to(place, "*"))
    (folder / "session").write_bytes(
        f"EHLO me\r\nMAIL FROM:<{GERMAN}> SMTPUTF8\r\nRCPT TO:<{SPANISH}>\r\nDATA\r\n".encode()
        + place.sent + b".\r\nQUIT\r\n")
    harness.in_a_machine_with("exim4-daemon-light", folder, f"""
        mkdir -p /etc/exim4 /var/spool/exim4 /var/log/exim4
        chown Debian-exim /var/spool/exim4 /var/log/exim4
        cp {folder}/exim4.conf /etc/exim4/exim4.conf
        exim4 -odf -bs <{folder}/session
        cp /var/log/exim4/mainlog {folder}/mainlog""")
    place.check()


if __name__ == "__main__":
    harness.main()
