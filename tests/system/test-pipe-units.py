#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""The recipes of postern-pipe(8) in a booted systemd: the shipped unit with the drop-in of the manual, and the real
programs. The drop-in of a recipe must have all rights that the unit lacks."""

import base64
import json
import os

import harness
import postfix
import recipes
from machine import USERS, Machine
from pipebox import CUPSD, FIRST, message

MAIL = "var/lib/postern/mail"
SOON = '[Service]\nEnvironment="OPTIONS={} --retry-after=1"\n'
PDF = b"%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n"


def drop_in(section, words=""):
    """Of the manual page, in that section of its recipes."""
    return recipes.block("postern-pipe.8", section, words)


class Pipes(Machine):
    """The units installed; a mailbox and packages for each test."""

    def install(self):
        super().install()
        self.number = 0
        done = harness.run(harness.HERE / "own-mailers", self.root)
        harness.equal(done.returncode, 0, done.stdout)

    def path(self, name):
        return self.root / name.lstrip("/")

    def mailbox(self, name):
        for part in ("", "/new", "/cur", "/tmp"):
            self.run("install", "-d", "-o", "postern", "-g", "postern", "-m", "700", f"/{MAIL}/{name}{part}")

    def names(self, box, part):
        folder = self.root / MAIL / box / part
        return sorted(os.listdir(folder)) if folder.exists() else []

    def set_up(self, box, text, options=""):
        """The unit with the drop-in of the manual. Another one only shortens the pauses."""
        self.mailbox(box)
        folder = f"etc/systemd/system/postern-pipe@{box}.service.d"
        self.write(f"{folder}/override.conf", text)
        given = recipes.value(text, 'Environment="OPTIONS').rstrip('"') if "OPTIONS=" in text else ""
        self.write(f"{folder}/soon.conf", SOON.format(f"{given} {options}".strip()))
        self.run("systemctl", "daemon-reload")
        self.run("systemctl", "restart", f"postern-pipe@{box}")
        harness.at_end(self.run, "systemctl", "stop", f"postern-pipe@{box}")

    def put(self, box, text=None):
        self.number += 1
        name = f"{FIRST + self.number}.M1P1Q1.h"
        made = self.root / MAIL / box / "tmp" / name
        made.write_bytes(text or message(self.number))
        self.run("chown", "postern:", f"/{MAIL}/{box}/tmp/{name}")
        os.rename(made, self.root / MAIL / box / "new" / name)
        return name

    def await_that(self, condition, what):
        """With the journal in the fault."""
        try:
            return harness.eventually(condition, what)
        except AssertionError as fault:
            raise AssertionError(f"{fault}\n{self.run('journalctl', '-n', '30', '--no-pager')}") from None

    def expect(self, box, name, part="cur"):
        self.await_that(lambda: name in [n.removesuffix(":2,") for n in self.names(box, part)], f"{name} in {part}")

    def run_in_background(self, unit, *command):
        self.run("systemd-run", "-q", f"--unit=test-{unit}", "--setenv=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", *command)
        harness.at_end(self.run, "sh", "-c", f"systemctl stop test-{unit}; systemctl reset-failed test-{unit} || true")


pipes = harness.once(Pipes)


# Hand on: a copier, postern, msmtp, Postfix, and the last mail server

SINK = f"""#!/bin/sh
exec postern -c /dev/null -o hostname=sink.example.net -o domains='*' -o mail-root=/var/lib/sink -o maildir=/var/lib/sink/box \\
    -o maildir-create=yes -o original-to=yes
"""
SMARTHOST = """\
mynetworks = 127.0.0.0/8
relayhost = [127.0.0.1]:2525
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_recipient_restrictions = check_recipient_access inline:{ {refused@example.com = 550 5.1.1 no such user} }, permit_mynetworks
"""


class HandingOn:
    """The settings and the drop-in of the manual."""

    def __init__(self, here, options=""):
        if not (harness.build / "src/sasl.so").exists():
            raise harness.Skip("built without sasl.so")
        harness.need("swaks", "socat")
        self.here = here
        here.add("msmtp", "postfix")
        here.run("ln", "-sf", "/usr/bin/msmtp", "/usr/sbin/sendmail")
        here.write("etc/msmtprc", "host 127.0.0.1\nport 2526\n")
        here.write("etc/postfix/main.cf", postfix.MAIN + SMARTHOST)
        here.write("etc/postfix/master.cf", postfix.master("127.0.0.1:2526 inet n - n - - smtpd\n"))
        here.write("usr/local/bin/sink", SINK)
        here.run("chmod", "755", "/usr/local/bin/sink")
        here.run("sh", "-c", f"rm -rf /var/lib/sink /{MAIL}/*; mkdir /var/lib/sink; {postfix.INSTALL}")
        here.run_in_background("sink", "socat", "TCP-LISTEN:2525,bind=127.0.0.1,reuseaddr,fork",
                               "EXEC:/usr/local/bin/sink,nofork")
        here.run_in_background("smarthost", "--property=Type=forking", "postfix", "start")
        pair = harness.pair()
        here.write("etc/postern/tls.crt", pair.certificate.read_text())
        for name, text in (("tls.key", pair.key.read_text()), ("users", USERS), ("auth-secret", "x" * 32)):
            here.write(f"etc/postern/{name}", text)
            here.path(f"etc/postern/{name}").chmod(0o600)
        here.write("etc/postern/postern.conf", drop_in("Hand on", "In /etc/postern/postern.conf").replace(
            "tls-key", f"hostname = {harness.HOST}\ntls-key", 1))
        here.mailbox("postmaster")
        here.set_up("outgoing", drop_in("Hand on", "by systemctl edit postern-pipe@outgoing"), options)
        here.run("systemctl", "start", "postern-submission.socket")
        harness.at_end(here.run, "systemctl", "stop", "postern-submission.socket")
        here.run("/usr/local/sbin/postern-check")

    def swaks(self, *options, code=0):
        done = self.here.call("run", "swaks", "--server", "127.0.0.1:587", "--from", harness.SENDER, *options)
        harness.equal(done.returncode, code, done.stdout)
        return done.stdout

    def send(self, *recipients, more=()):
        self.swaks("-tls", "--auth", "PLAIN", "--auth-user", "scanner", "--auth-password", "secret", "--to",
                   ",".join(recipients), *more)

    def arrived(self):
        folder = self.here.path("var/lib/sink/box/new")
        return [path.read_bytes() for path in sorted(folder.iterdir())] if folder.exists() else []

    def notes(self):
        return [(self.here.root / MAIL / "postmaster/new" / n).read_text() for n in self.here.names("postmaster", "new")]


def test_mail_is_handed_on_by_msmtp_and_postfix():
    here = HandingOn(pipes())
    here.send("to@example.net", "cc@example.com", "blind@example.edu", more=(
        "--h-To", "to@example.net", "--h-Cc", "cc@example.com", "--header", "Bcc: blind@example.edu"))
    here.here.await_that(lambda: sum(text.count(b"\nX-Original-To: ") for text in here.arrived()) == 3, "all copies")
    named = set()
    for text in here.arrived():
        trace, rest = text.split(b"\nReceived: ", 1)
        named |= {line.split()[1] for line in trace.split(b"\n") if line.startswith(b"X-Original-To: ")}
        header = rest.split(b"\n\n", 1)[0].lower()
        assert b"bcc:" not in header and b"\nx-original-to:" not in header and b"\ndelivered-to:" not in header, text
        # Postfix names the recipient of its own copy alone
        if b"blind@" in header:
            harness.contains(trace, b"X-Original-To: blind@example.edu")
            harness.equal(trace.count(b"X-Original-To: "), 1)
        harness.contains(header, b"handed on for a user who had logged in")
    harness.equal(named, {b"to@example.net", b"cc@example.com", b"blind@example.edu"})
    harness.eventually(lambda: len(here.here.names("outgoing", "cur")) == 1, "that it is processed")
    harness.equal(here.notes(), [])


def test_nothing_is_handed_on_without_a_login():
    here = HandingOn(pipes())
    for options in (("--to", "a@example.net"), ("-tls", "--to", "a@example.net")):
        # 23: the sender was refused
        harness.contains(here.swaks(*options, code=23), "530 5.7.0")
    harness.contains(here.swaks("-tls", "--auth", "PLAIN", "--auth-user", "scanner", "--auth-password", "wrong", "--to",
                                "a@example.net", code=28), "535 5.7.8")
    for part in ("new", "cur", "failed"):
        harness.equal(here.here.names("outgoing", part), [], part)
    harness.equal(here.arrived(), [])


def test_the_administrator_gets_a_note_when_the_time_is_over():
    here = HandingOn(pipes(), "--retry-for=3")
    here.send("refused@example.com")
    here.here.await_that(lambda: len(here.notes()) == 1, "a note")
    harness.contains(here.notes()[0], "550")
    harness.contains(here.notes()[0], "Tries: 1\n")
    here.here.run("postfix", "stop")
    here.send("a@example.net")
    here.here.await_that(lambda: len(here.notes()) == 2, "the second note")
    note, = [n for n in here.notes() if "given up after" in n]
    harness.contains(note, "> X-Original-To: a@example.net\n")
    harness.equal(here.arrived(), [])


# Print

CUPS_FILES = """\
FileDevice Yes
RequestRoot /var/spool/cups
TempDir /var/spool/cups/tmp
ErrorLog /var/log/cups.log
PageLog /dev/null
AccessLog /dev/null
SystemGroup root
"""


def attached(*parts):
    text = b'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="b"\n\n'
    for name, octets in parts:
        text += (f"--b\nContent-Type: application/octet-stream\nContent-Disposition: attachment; filename=\"{name}\"\n"
                 "Content-Transfer-Encoding: base64\n\n").encode() + base64.encodebytes(octets)
    head, _ = message().split(b"\n\n", 1)
    return head + b"\n" + text + b"--b--\n"


def fax():
    """A page in TIFF-F, as internet fax has it (RFC 3949)."""
    folder = harness.scratch()
    (folder / "fax.g3").write_bytes(bytes([0x00, 0x01, 0x9a, 0x80, 0x01]) * 20)
    done = harness.run("fax2tiff", "-3", "-o", folder / "fax.tif", folder / "fax.g3")
    assert (folder / "fax.tif").exists(), done.stdout
    return (folder / "fax.tif").read_bytes()


def test_attachments_are_printed_by_cups():
    if not (harness.build / "src/postern-extract").exists():
        raise harness.Skip("built without postern-extract")
    harness.need("fax2tiff", "tiff2pdf")
    here = pipes()
    here.add("cups-daemon", "cups-client", "cups-common", "cups-core-drivers")
    here.write("etc/cups/cupsd.conf", CUPSD)
    here.write("etc/cups/cups-files.conf", CUPS_FILES)
    here.run("sh", "-c", "mkdir -p /run/cups /var/spool/cups/tmp /var/cache/cups; chown lp /var/spool/cups /var/spool/cups/tmp")
    here.run_in_background("printers", "cupsd", "-f", "-c", "/etc/cups/cupsd.conf", "-s", "/etc/cups/cups-files.conf")
    harness.eventually(lambda: "is running" in here.run("lpstat", "-r", check=False), "CUPS")
    here.run("sh", "-c", "touch /var/lib/paper; chmod 666 /var/lib/paper")
    here.run("lpadmin", "-p", "office", "-E", "-v", "file:/var/lib/paper", "-m", "raw")
    here.set_up("fax", drop_in("Print"))
    name = here.put("fax", attached(("scan.pdf", PDF), ("fax.tif", fax()), ("-rf.docx", b"PK\3\4 \0\1")))
    here.expect("fax", name)
    jobs = [path.read_bytes() for path in sorted(here.path("var/spool/cups").glob("d00001-*"))]
    harness.equal(len(jobs), 3)
    harness.equal(jobs[0], PDF)
    assert jobs[1].startswith(b"%PDF-1") and b"CCITTFaxDecode" in jobs[1], jobs[1][:300]
    harness.contains(jobs[2].decode(), "Name:    _rf.docx\nType:    application/zip\n")


# Webhook

HOOK = """\
import http.server, sys
class Hook(http.server.BaseHTTPRequestHandler):
    codes = [500, 429, 200]
    def do_POST(self):
        octets = self.rfile.read(int(self.headers["Content-Length"]))
        code = self.codes.pop(0)
        with open("/var/lib/hook", "ab") as file:
            file.write(b"%d %s %s\\n" % (code, self.headers["Authorization"].encode(), octets.strip()))
        self.send_response(code)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", 8080), Hook).serve_forever()
"""


def test_a_url_gets_each_message():
    harness.need("curl", "jq")
    here = pipes()
    here.write("usr/local/bin/hook", HOOK)
    here.run_in_background("hook", "python3", "/usr/local/bin/hook")
    here.write("etc/postern/webhook", 'url = "http://127.0.0.1:8080/"\nheader = "Authorization: Bearer secret"\n')
    here.path("etc/postern/webhook").chmod(0o600)
    here.set_up("tickets", drop_in("Webhook"))
    name = here.put("tickets")
    here.expect("tickets", name)
    lines = [line.split(b" ", 3) for line in here.path("var/lib/hook").read_bytes().splitlines()]
    harness.equal([line[:3] for line in lines], [[code, b"Bearer", b"secret"] for code in (b"500", b"429", b"200")])
    found = [json.loads(line[3]) for line in lines]
    harness.equal(found[0], found[2])
    harness.equal((found[2]["id"], found[2]["from"], base64.b64decode(found[2]["message"])),
                  (name, harness.SENDER, message(here.number)))


# Sieve

DOVECOT = """\
protocols =
log_path = syslog
mail_location = maildir:/srv/vmail/%u
ssl = no
auth_mechanisms = plain
userdb {
  driver = static
  args = uid=postern gid=postern home=/srv/vmail/%u
}
passdb {
  driver = static
  args = password=x
}
protocol lda {
  mail_plugins = sieve
}
plugin {
  sieve = file:/srv/vmail/script.sieve
}
postmaster_address = postmaster@example.org
service auth {
  unix_listener auth-userdb {
    mode = 0666
  }
}
service stats {
  unix_listener stats-writer {
    mode = 0666
  }
}
"""
SIEVE = 'require ["fileinto", "mailbox"];\nif header :contains "Subject" "message" { fileinto :create "Found"; }\n'


def test_dovecot_runs_a_script():
    here = pipes()
    here.add("dovecot-core", "dovecot-sieve")
    here.run("sh", "-c", "for u in dovecot dovenull; do getent passwd $u >/dev/null || useradd --system -M $u; done; "
             "install -d -o postern -g postern -m 700 /srv/vmail")
    here.write("etc/dovecot/dovecot.conf", DOVECOT)
    here.write("srv/vmail/script.sieve", SIEVE)
    here.run_in_background("dovecot", "dovecot", "-F")
    here.await_that(lambda: here.path("run/dovecot/auth-userdb").exists(), "Dovecot")
    here.set_up("scan", drop_in("Sieve"))
    name = here.put("scan")
    here.expect("scan", name)
    found, = here.path("srv/vmail/scan/.Found/new").iterdir()
    harness.contains(found.read_bytes(), b"Subject: message")


if __name__ == "__main__":
    harness.main()
