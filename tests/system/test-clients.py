#!/usr/bin/python3
"""Real clients, each sending a message through STARTTLS: the Maildir file is what was sent."""

import smtplib
import socket
import subprocess

import harness
import postfix
from harness import HOST, PATIENCE, RECIPIENT, SENDER, Client, Listener, Site


class Place:
    """A listener that demands TLS, and a message as a file in both kinds of line ends."""

    def __init__(self, **settings):
        self.pair = harness.pair("rsa")
        self.site = Site(tls="required", pair=self.pair, **settings)
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
        harness.contains(ours, "with ESMTPS", "RFC 3848")
        harness.contains(ours, "tls", "RFC 8314 7.4")
        harness.equal(self.site.session().get("status", ""), "")
        return path

    def check_done(self, done):
        harness.equal(done.returncode, 0, done.stdout)
        self.check()


def test_swaks():
    swaks()


def test_swaks_pipelining():
    swaks("--pipeline")


def swaks(*options):
    harness.need("swaks")
    place = Place()
    data = place.site.dir / "message.swaks"
    data.write_bytes(place.sent[:-2])  # it adds a line end of its own
    place.check_done(harness.run(
        "swaks", "--server", "127.0.0.1", "--port", place.port, "--tls", "--from", SENDER,
        "--to", RECIPIENT, "--helo", "client.example.net", "--data", f"@{data}", *options))


def test_curl():
    harness.need("curl")
    place = Place()
    place.check_done(harness.run(
        "curl", "--silent", "--show-error", "--ssl-reqd", "--cacert", place.pair.certificate,
        "--resolve", f"{HOST}:{place.port}:127.0.0.1", "--mail-from", SENDER,
        "--mail-rcpt", RECIPIENT, "--upload-file", place.crlf,
        f"smtp://{HOST}:{place.port}/client.example.net"))


def test_openssl_s_client():
    harness.need("openssl")
    place = Place()
    by_hand(place, "openssl", "s_client", "-quiet", "-starttls", "smtp", "-name",
            "client.example.net", "-connect", f"127.0.0.1:{place.port}", "-servername", HOST,
            "-CAfile", place.pair.certificate, "-verify_return_error", "-verify_hostname", HOST)


def test_gnutls_cli():
    harness.need("gnutls-cli")
    place = Place()
    by_hand(place, "gnutls-cli", f"--logfile={place.site.dir}/client.log", "--starttls-proto=smtp",
            f"--port={place.port}", f"--x509cafile={place.pair.certificate}",
            f"--verify-hostname={HOST}", f"--sni-hostname={HOST}", "127.0.0.1")


def by_hand(place, *command):
    """A client that only carries TLS: what it reads and prints is the dialogue after STARTTLS."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = harness.start(*command, stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL)
    client = Client(ours)
    client.ehlo()
    harness.equal(client.message(place.sent).code, 250)
    client.say("QUIT", 221)
    client.expect_end()
    process.wait(PATIENCE)
    place.check()


def test_python_smtplib():
    place = Place()
    context = harness.client_context(trust=place.pair)
    # The name is for the certificate; what is connected to is loopback.
    client = smtplib.SMTP(timeout=PATIENCE)
    client._host = HOST
    client.connect("127.0.0.1", place.port)
    with client:
        client.starttls(context=context)
        refused = client.sendmail(SENDER, [RECIPIENT], place.sent, mail_options=["BODY=8BITMIME"])
    harness.equal(refused, {})
    place.check()


def test_python_smtplib_with_implicit_tls():
    place = Place()
    place.site.set(tls="implicit")
    with smtplib.SMTP_SSL("127.0.0.1", place.port, timeout=PATIENCE,
                          context=harness.client_context()) as client:
        client.sendmail(SENDER, [RECIPIENT], place.sent)
    place.check()


def test_msmtp():
    place, root = Place(), harness.packages()
    place.check_done(harness.run(
        root / "msmtp/usr/bin/msmtp", "--host=127.0.0.1", f"--port={place.port}", "--tls=on",
        "--tls-starttls=on", f"--tls-trust-file={place.pair.certificate}",
        f"--tls-host-override={HOST}", "--auth=off", f"--from={SENDER}",
        "--domain=client.example.net", "--", RECIPIENT, input=place.lf.read_text(),
        env=harness.with_libraries(HOME=str(place.site.dir))))


def test_postfix_relaying_with_encrypt():
    place = Place()
    postfix.relay(place.site.dir, place.port, f"sendmail -i -f {SENDER} {RECIPIENT} <{place.lf}")
    place.check(30)


EXIM = """\
primary_hostname = relay.example.net
domainlist local_domains =
acl_not_smtp = accept
begin acl
begin routers
all:
  driver = manualroute
  route_list = * 127.0.0.1
  self = send
  transport = out
begin transports
out:
  driver = smtp
  port = {port}
  hosts_require_tls = *
  hosts_try_chunking = {chunking}
begin retry
"""


@harness.table(by_data=("", False), by_chunks=("*", True))
def test_exim(chunking, marked):
    """Exim sends BDAT (RFC 3030) where it is offered and wanted; its log then has a K."""
    harness.need_root("a machine with Exim in it")
    place = Place()
    folder = place.site.dir
    (folder / "exim4.conf").write_text(EXIM.format(port=place.port, chunking=chunking))
    harness.in_a_machine_with("exim4-daemon-light", folder, f"""
        mkdir -p /etc/exim4 /var/spool/exim4 /var/log/exim4
        chown Debian-exim /var/spool/exim4 /var/log/exim4
        cp {folder}/exim4.conf /etc/exim4/exim4.conf
        exim4 -odf -i -f {SENDER} {RECIPIENT} <{place.lf}
        cp /var/log/exim4/mainlog {folder}/mainlog""")
    place.check()
    harness.eventually(lambda: "Completed" in read_if_there(folder / "mainlog"), "the end of the log")
    harness.equal(" K C=" in read_if_there(folder / "mainlog"), marked)


def read_if_there(path):
    return path.read_text() if path.exists() else ""


if __name__ == "__main__":
    harness.main()
