# SPDX-License-Identifier: ISC
"""Six real clients, five of a release in systems of their own, sending to a machine by its name and certificate."""

import re
import smtplib
import socket
import ssl
import time

import debian
import harness

SENDER, RECIPIENT, HOST = "user@example.net", "info@example.org", "mail.example.org"
USER, PASSWORD = "scanner", "secret"
OF_USER = "scanner@example.org"  # the address that README lets it send from
SMTP, SMTPS, SUBMISSION = 25, 465, 587
MESSAGE = "From: <{0}>\nTo: <{1}>\nSubject: {2}\n\nHello.\n"

EXIM = """\
primary_hostname = client.example.net
acl_not_smtp = accept
log_selector = +smtp_confirmation
begin routers
all:
  driver = manualroute
  route_list = * {host}::{port} byname
  self = send
  transport = out
begin transports
out:
  driver = smtp
  hosts_require_tls = *
  protocol = {protocol}
  tls_verify_certificates = /etc/tls.crt
  tls_verify_hosts = *
  {login}
begin retry
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  client_send = ^{user}^{password}
"""

POSTFIX = """\
compatibility_level = 3.6
myhostname = client.example.net
mydestination =
inet_interfaces = loopback-only
inet_protocols = ipv4
alias_maps =
maillog_file = /var/log/postfix.log
relayhost = [{host}]:{port}
smtp_host_lookup = native
smtp_tls_security_level = verify
smtp_tls_CAfile = /etc/tls.crt
smtp_tls_wrappermode = {wrapper}
smtp_sasl_auth_enable = {login}
smtp_sasl_password_maps = inline:{{ {{ [{host}]:{port} = {user}:{password} }} }}
smtp_sasl_security_options = noanonymous
"""


class Connected(smtplib.SMTP):
    """Python's client on a connection to the server of that name."""

    def __init__(self, connection):
        self.connection = connection
        super().__init__(HOST, local_hostname="client.example.net")

    def _get_socket(self, host, port, timeout):
        return self.connection


class Clients:
    """They share nothing with the machine but its network: what README forgets to install is not there."""

    def __init__(self, chroot, postfix_chroot):
        self.chroot, self.postfix_chroot = chroot, postfix_chroot
        self.count = 0

    @classmethod
    def installed(cls, distribution):
        """The systems to begin with: messages are sent from layers of them."""
        made = cls(debian.Chroot(distribution.tree), debian.Chroot(distribution.tree))
        made.chroot.install(distribution.network, ["msmtp", "swaks", "libnet-ssleay-perl", "curl", "exim4-daemon-light"])
        made.postfix_chroot.install(distribution.network, ["postfix", "libsasl2-modules"])
        # nothing of it listens: port 25 is the machine's; and /etc/hosts is read where it is
        master = made.postfix_chroot.root / "etc/postfix/master.cf"
        text = re.sub(r"(?m)^smtp +inet.*\n", "", master.read_text())
        master.write_text(re.sub(r"(?m)^((?:\S+ +){4})y", r"\1n", text))
        for chroot in (made.chroot, made.postfix_chroot):
            chroot.unmount()
        return made

    def layer(self):
        return Clients(self.chroot.layer(), self.postfix_chroot.layer())

    def trust(self, certificate):
        for chroot in (self.chroot, self.postfix_chroot):
            chroot.write("etc/tls.crt", certificate)

    def all(self):
        return (self.msmtp, self.swaks, self.curl, self.smtplib, self.exim, self.postfix)

    def send(self, client, machine, port, login):
        """One message by a client; its subject, and how long the client took in seconds."""
        self.count += 1
        subject = f"message-{self.count}-by-{client.__name__}"
        begin = time.monotonic()
        took = client(machine, port, login, subject)
        return subject, time.monotonic() - begin if took is None else took

    def check(self, done):
        if done.returncode:
            raise debian.Fault(f"exit status {done.returncode}: {done.stdout[-3000:]}")

    def msmtp(self, machine, port, login, subject):
        sender = OF_USER if login else SENDER
        options = ["--auth=plain", f"--user={USER}", f"--passwordeval=echo {PASSWORD}"] if login else ["--auth=off"]
        self.by_msmtp(machine, port, sender, subject, options)

    def asking_for_report(self, machine, port, _, subject):
        """msmtp, from an address that has a mailbox."""
        self.by_msmtp(machine, port, RECIPIENT, subject, ["--auth=off", "--dsn-notify=success", "--dsn-return=hdrs"])

    def by_msmtp(self, machine, port, sender, subject, options):
        self.check(self.chroot.run(
            machine, "msmtp", f"--host={HOST}", f"--port={port}", "--tls=on",
            f"--tls-starttls={'off' if port == SMTPS else 'on'}", "--tls-trust-file=/etc/tls.crt", *options,
            f"--from={sender}", "--domain=client.example.net", "--", RECIPIENT,
            text=MESSAGE.format(sender, RECIPIENT, subject)))

    def swaks(self, machine, port, login, subject):
        sender = OF_USER if login else SENDER
        options = ["--auth", "PLAIN", "--auth-user", USER, "--auth-password", PASSWORD] if login else []
        self.check(self.chroot.run(
            machine, "swaks", "--server", HOST, "--port", port, "--tls-on-connect" if port == SMTPS else "--tls",
            "--tls-verify", "--tls-ca-path", "/etc/tls.crt", "--helo", "client.example.net", "--from", sender,
            "--to", RECIPIENT, "--header", f"Subject: {subject}", "--body", "Hello.", *options))

    def scan(self, machine, recipient, password, name, octets):
        """A PDF to an address: by the user `copier` on port 587, or on port 25 without a password."""
        (self.chroot.root / "root" / name).write_bytes(octets)
        options = ["--auth", "--auth-user", "copier", "--auth-password", password] if password else []
        self.check(self.chroot.run(
            machine, "swaks", "--server", HOST, "--port", SUBMISSION if password else SMTP, "--tls",
            "--helo", "copier.example.net", "--from", "copier@example.net", "--to", recipient,
            "--attach-type", "application/pdf", "--attach-name", name, "--attach", f"@/root/{name}", *options))

    def curl(self, machine, port, login, subject):
        sender = OF_USER if login else SENDER
        self.chroot.write("root/message", MESSAGE.format(sender, RECIPIENT, subject).replace("\n", "\r\n"))
        options = ["--user", f"{USER}:{PASSWORD}"] if login else []
        self.check(self.chroot.run(
            machine, "curl", "--silent", "--show-error", "--ssl-reqd", "--cacert", "/etc/tls.crt",
            "--mail-from", sender, "--mail-rcpt", RECIPIENT, "--upload-file", "/root/message", *options,
            f"{'smtps' if port == SMTPS else 'smtp'}://{HOST}:{port}/client.example.net"))

    def smtplib(self, machine, port, login, subject):
        """Of the Python that runs this."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.chroot.root / "etc/tls.crt")
        begin = time.monotonic()
        with harness.in_network_of(machine.pid):
            connection = socket.create_connection(("127.0.0.1", port), harness.PATIENCE)
        if port == SMTPS:
            connection = context.wrap_socket(connection, server_hostname=HOST)
        sender = OF_USER if login else SENDER
        with Connected(connection) as client:
            if port != SMTPS:
                client.starttls(context=context)
            if login:
                client.login(USER, PASSWORD)
            client.sendmail(sender, [RECIPIENT], MESSAGE.format(sender, RECIPIENT, subject))
        return time.monotonic() - begin

    def exim(self, machine, port, login, subject):
        sender = OF_USER if login else SENDER
        self.chroot.write("etc/exim4/exim4.conf", EXIM.format(
            host=HOST, port=port, protocol="smtps" if port == SMTPS else "smtp", user=USER, password=PASSWORD,
            login="hosts_require_auth = *" if login else "hosts_try_auth ="))
        self.chroot.write("var/log/exim4/mainlog", "")
        self.chroot.run(machine, "chown", "Debian-exim:", "/var/log/exim4/mainlog")
        self.check(self.chroot.run(machine, "exim4", "-odf", "-i", "-f", sender, RECIPIENT,
                                   text=MESSAGE.format(sender, RECIPIENT, subject)))
        log = (self.chroot.root / "var/log/exim4/mainlog").read_text()
        if f"=> {RECIPIENT}" not in log or " X=TLS" not in log:
            raise debian.Fault(f"Exim's log: {log[-3000:]}")

    def postfix(self, machine, port, login, subject):
        """How long by its own log: from the connection to the end."""
        sender = OF_USER if login else SENDER
        self.postfix_chroot.write("etc/postfix/main.cf", POSTFIX.format(
            host=HOST, port=port, wrapper="yes" if port == SMTPS else "no", login="yes" if login else "no",
            user=USER, password=PASSWORD))
        self.postfix_chroot.write("root/message", MESSAGE.format(sender, RECIPIENT, subject))
        log = self.postfix_chroot.root / "var/log/postfix.log"
        log.write_text("")
        # In a process namespace of its own: its daemons end with it. A message that is still in the queue since then
        # would be sent first.
        process = harness.start(
            "nsenter", f"--net=/proc/{machine.pid}/ns/net", "unshare", "--pid", "--fork", "--kill-child", "--mount-proc="
            f"{self.postfix_chroot.root}/proc", "chroot", self.postfix_chroot.root, "sh", "-c",
            f"postsuper -d ALL; postfix start; sendmail -i -f {sender} {RECIPIENT} </root/message; exec sleep 1000",
            env=debian.ENVIRONMENT)
        try:
            line = harness.eventually(lambda: re.search(r"status=.*", log.read_text(errors="replace")),
                                      "what Postfix has done with the message", debian.LONG)
        except AssertionError:
            raise debian.Fault(f"Postfix's log: {log.read_text(errors='replace')[-3000:]}") from None
        finally:
            process.kill()
            process.wait()
        if not line[0].startswith("status=sent"):
            raise debian.Fault(f"Postfix's log: {log.read_text(errors='replace')[-3000:]}")
        setup, sending = re.search(r"delays=[\d.]+/[\d.]+/([\d.]+)/([\d.]+)", log.read_text(errors="replace")).groups()
        return float(setup) + float(sending)
