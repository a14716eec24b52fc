# SPDX-License-Identifier: ISC
"""The sections of README and of postern-guide(7) as scenarios: each block is run unchanged, and real clients use each
way that then listens."""

import contextlib
import difflib
import os
import re
import shlex
import shutil
import socket
import ssl
import tempfile
import time
import traceback
from pathlib import Path

import authority
import blocks
import debian
import harness
import jobs
import senders

README, GUIDE = debian.SOURCE / "README.md", debian.SOURCE / "man/postern-guide.7"
PAGES = (README, GUIDE)
CHECKOUT = "/home/user/postern"
INSTALLING = "Install"
RELEASES = {"bookworm": 12, "trixie": 13, "testing": 14}
# Where each section of README and of the guide begins: in a fresh system, or where another section ends, whose blocks
# are then run before, on a machine of its own.
FRESH, NOTHING = "a fresh system", "nothing is run"
MAILBOX = "First mailbox"
BEGINS = {
    "Try it": FRESH,
    INSTALLING: FRESH,
    MAILBOX: INSTALLING,
    "See it work": MAILBOX,
    "When it does not": "See it work",
    "Upgrade, remove": MAILBOX,
    "Contributing, reporting faults": FRESH,
    "DNS records": NOTHING,
    "Firewall": NOTHING,
    "A session": MAILBOX,
    "Which addresses exist": MAILBOX,
    "Mail for local users": MAILBOX,
    "User names and passwords": MAILBOX,
    "Passwords hashed by Dovecot": "User names and passwords",
    "Port 587": "User names and passwords",
    "Port 465": MAILBOX,
    "Scans into a folder": FRESH,
    "A program for each message": MAILBOX,
    "Devices with certificates": NOTHING,
    "An old device without TLS": MAILBOX,
    "Behind Postfix": MAILBOX,
    "Behind Exim": MAILBOX,
    "Behind HAProxy": MAILBOX,
    "Delivery reports (DSN)": MAILBOX,
    "Reading mail with Dovecot": MAILBOX,
    "Spam: rspamd": MAILBOX,
    "Viruses: ClamAV": MAILBOX,
    "Signatures: OpenDKIM": MAILBOX,
    "A certificate that is renewed": MAILBOX,
    "One listener for many connections": "Port 465",
    "Status and alerts": MAILBOX,
    "Traces": MAILBOX,
    "Logs: rotation and retention": MAILBOX,
    "Upgrade": MAILBOX,
    "Backup and restore": MAILBOX,
    "Several hosts": MAILBOX,
    "Without systemd": INSTALLING,
    "inetd": "Without systemd",
    "xinetd": "Without systemd",
    "tcpserver, tcpsvd": "Without systemd",
    "No other program": "Without systemd",
    "Delivery reports by cron": "inetd",
}
# Files alone, so that nothing is run; what would be needed to send mail the guide leaves to the reader.
FILES_ALONE = {"Devices with certificates": "the devices have certificates of an authority of their own"}
# At the end of these nothing listens yet, or no more; mail goes through what each other section makes.
WITHOUT_MAIL = ("Try it", INSTALLING, "Without systemd", "Contributing, reporting faults")
# Mail is sent at the end of these although the same server listens as before: the commands must not have broken it.
MAIL_AT_THE_END = ("A certificate that is renewed", "Upgrade", "Backup and restore", "Logs: rotation and retention",
                   "Reading mail with Dovecot", "Spam: rspamd", "Viruses: ClamAV", "Signatures: OpenDKIM",
                   "Passwords hashed by Dovecot", "Mail for local users")
# What records of their messages have.
RECORDED = {"Spam: rspamd": 'filters="unix:/run/rspamd/milter.sock: ',
            "Viruses: ClamAV": 'filters="unix:/run/clamav/clamav-milter.ctl: ',
            "Signatures: OpenDKIM": 'filters="unix:/run/opendkim/opendkim.sock: '}
# Before these, there are users of the system.
WITH_USERS = {"Mail for local users": ("info",)}
# Before these a mail server of the reader is there, whose sendmail delivers the reports, here by postern itself.
WITH_SENDMAIL = ("Delivery reports (DSN)", "Delivery reports by cron")
SENDMAIL = f"""\
apt-get install -qy --no-install-recommends msmtp-mta
cat >/etc/msmtprc <<'end'
account default
host 127.0.0.1
domain {senders.HOST}
end
systemctl start cron  # multi-user.target is not started here
"""
# After these, the installed files are gone.
REMOVED = {"Upgrade, remove": ("/usr/local/sbin/postern", "/usr/local/lib/systemd/system/postern.socket")}
# ACME clients get certificates from an authority in the machine.
WITH_AUTHORITY = ("A certificate that is renewed",)
# What the last commands of these must have printed.
PRINTED = {"Reading mail with Dovecot": r"hdr\.subject: \S"}
# Mail to an address of theirs becomes files in a folder; the copier of the second logs in.
SCANS = {"A program for each message": "scan@example.org", "Scans into a folder": "scan@scans.example.org"}
SCANS_FOLDER = "/srv/scans"
# Another mail server listens on port 25 and hands over to postern.
THROUGH_SENDMAIL = ("Behind Postfix",)
# What cannot be run as it stands, and what is done instead.
LEFT_OUT = {"tests/run": "the test suite, which is run elsewhere"}
# Without a network clamd gets one signature, and what its unit takes for those of ClamAV.
NO_SIGNATURES = "cd /var/lib/clamav && mkdir main.inc daily.inc && echo Test:0:*:58354f21502540 >test.ndb && chown -R clamav ."
# Most clients here try once, and greylisting defers what may be spam, such as a mail without a name in DNS.
NO_GREYLISTING = "echo 'enabled = false;' >/etc/rspamd/local.d/greylist.conf && systemctl restart rspamd"
INSTEAD = {"freshclam": NO_SIGNATURES, "systemctl restart rspamd": NO_GREYLISTING}
RUNS_ON = {"contrib/quickstart": "Still listening on"}  # until it prints this
BOUND = 30.0  # seconds for one session: more than ten times what the slowest client needs


def plan(pages):
    """The blocks of the pages by section, in order; Unclear where one cannot be run."""
    found = {}
    for page in pages:
        of_page = {}
        for block in blocks.read(page):
            begins = BEGINS.get(block.section)
            if begins is None:
                raise blocks.Unclear(f"{block.where()}: tests/install/scenarios.py does not say where the section "
                                     f"{block.section!r} begins")
            if begins == NOTHING and block.kind not in (blocks.OUTPUT, blocks.DIALOGUE):
                if block.kind not in (blocks.FILE, blocks.ADDITION) or block.section not in FILES_ALONE:
                    raise blocks.Unclear(f"{block.where()}: commands or files in a section of which nothing is run")
            if block.section in found:
                raise blocks.Unclear(f"{block.where()}: another page has a section {block.section!r}, too")
            of_page.setdefault(block.section, []).append(block)
        found |= of_page
    return found


class Readme:
    """README and the guide on one release."""

    def __init__(self, name, cache, upstream, network, result, args):
        self.name, self.cache, self.upstream, self.network = name, cache, upstream, network
        self.result, self.pages, self.only = result, args.page or PAGES, args.section
        self.only_clients = args.clients.split(",") if args.clients else None
        self.n_messages = args.messages

    def passed(self, what):
        self.result.passed(f"{self.name}: {what}")

    def failed(self, what):
        self.result.failed(f"{self.name}: {what}")

    def timed(self, what):
        return self.result.timed(f"{self.name}: {what}")

    def run(self):
        try:
            self.sections = plan(self.pages)
        except blocks.Unclear as fault:
            for line in str(fault).splitlines():
                self.failed(line)
            return
        for title in self.only or ():
            if BEGINS.get(title, NOTHING) == NOTHING or title not in self.sections:
                self.failed(f"no section {title!r} of which something is run")
        with contextlib.ExitStack() as harness._cleanups:
            with self.timed("a base system"):
                distribution = debian.Distribution(self.name, self.cache, self.network)
            folder = Path(tempfile.mkdtemp(prefix="pd.", dir=debian.scratch))
            harness.at_end(shutil.rmtree, folder, True)
            self.fresh, self.installed = distribution.tree, folder / "root"
            # two at a time also where there is one processor: much of the time is waiting
            running = jobs.Jobs(self.result, folder, max(2, os.cpu_count()))
            try:
                self.run_sections(running, distribution)
            finally:
                running.wait_for_all()

    def run_sections(self, running, distribution):
        """First what needs nothing that is installed, beside the installation; then the others."""
        installing = running.start(self.install) if INSTALLING in self.sections else None
        with self.timed("clients"):
            self.clients = senders.Clients.installed(distribution)
        wanted = [section for section in self.sections if section != INSTALLING and BEGINS[section] != NOTHING
                  and (not self.only or section in self.only)]
        for section in wanted:
            if BEGINS[section] == FRESH:
                running.start(self.scenario, section)
        if not installing or running.wait_for(installing):
            for section in wanted:
                if BEGINS[section] != FRESH:
                    running.start(self.scenario, section)

    def install(self, result):
        """The section Installing; what it makes of the system is where all others begin."""
        self.result = result
        machine = self.boot(self.fresh)
        machine.copy_checkout()
        if Section(self, machine, INSTALLING).run():
            with self.timed("a copy of what is installed"):
                machine.copy_to(self.installed)

    def boot(self, tree):
        with self.timed("booting"):
            return debian.Booted(tree, self.cache, self.upstream)

    def scenario(self, result, section):
        begin = time.monotonic()
        self.result, self.clients = result, self.clients.layer()
        ancestors, at = [], BEGINS[section]
        while at not in (FRESH, INSTALLING):
            ancestors.insert(0, at)
            at = BEGINS[at]
        machine = self.boot(self.fresh if at == FRESH else self.installed)
        if at == FRESH:
            machine.copy_checkout()
        tried = set()
        for ancestor in ancestors:
            before = Section(self, machine, ancestor, tried, again=True)
            before.run()
            tried |= set(before.listening().items())
        Section(self, machine, section, tried).run()
        print(f"# {self.name}: {section}: {time.monotonic() - begin:.0f} s, from a machine's start on")


class Section:
    """The blocks of a section on a machine."""

    def __init__(self, readme, machine, title, tried=(), again=False):
        self.readme, self.machine, self.title = readme, machine, title
        self.blocks = readme.sections[title]
        self.tried = set(tried)  # ports and their servers that have received mail
        self.again = again  # a second time, without mail and without results unless it fails
        self.changed = False  # a file, since mail was sent
        self.of_server = None
        self.n_sent = 0  # messages that clients were started for
        self.said = ""  # by the last commands
        self.ran_on = None  # output of the last command that stays until Ctrl-C
        self.roots = ""  # that clients trust beside the certificate of the machine
        self.certificates = []  # that ACME clients have installed

    def run(self):
        """True when all of it worked."""
        before = self.readme.result.n_failed
        if not self.again:
            print(f"# {self.readme.name}: {self.title}")
        if self.title in WITH_AUTHORITY:
            with self.readme.timed("a certificate authority"):
                self.roots = authority.begin(self.machine)
        for name in WITH_USERS.get(self.title, ()):
            self.machine.run("useradd", "--create-home", name)
        if self.title in WITH_SENDMAIL:
            done = self.machine.run("sh", "-e", "-c", SENDMAIL)
            assert done.returncode == 0, f"no sendmail: {done.stdout[-2000:]}"
        for block in self.blocks:
            if not block.is_for(RELEASES[self.readme.name]):
                continue
            for way in block.ways() if block.kind in (blocks.COMMANDS, blocks.SERVER) else [block.text()]:
                self.guarded(block, way)
        if self.again:
            return self.readme.result.n_failed == before
        self.changed |= self.title in MAIL_AT_THE_END
        if self.changed and self.title not in (*THROUGH_SENDMAIL, *SCANS):
            self.tried = set()
            self.send_through_all(self.blocks[-1])
        if self.title in SCANS:
            self.guarded_sending(f"a scan to {SCANS[self.title]}", self.scan)
        if self.title in THROUGH_SENDMAIL:
            self.guarded_sending("through the mail server's sendmail", self.through_sendmail)
        if self.title in WITH_SENDMAIL:
            self.guarded_sending("a delivery report by sendmail", self.report)
        if not (self.n_sent or self.tried or self.title in WITHOUT_MAIL):
            self.send_when_it_listens()
        if self.title in RECORDED and RECORDED[self.title] not in self.records():
            self.readme.failed(f"{self.title}: no record has {RECORDED[self.title]!r}\n{self.records()}")
        if self.title in PRINTED and not re.search(PRINTED[self.title], self.said):
            self.readme.failed(f"{self.title}: the last commands printed no {PRINTED[self.title]!r}\n{self.said}")
        if self.title in REMOVED:
            self.removed(REMOVED[self.title])
        return self.readme.result.n_failed == before

    def guarded(self, block, way):
        """One block, or one command of it, and then mail through what has begun to listen."""
        what = f"{block.where()}: {self.title}: {way.strip().splitlines()[0][:90]}"
        begin = time.monotonic()
        try:
            if block.kind == blocks.OUTPUT:
                if self.ran_on is None:
                    return
                self.compare_output(block)
            elif block.kind == blocks.DIALOGUE:
                self.compare(block)
            elif block.kind in (blocks.FILE, blocks.ADDITION):
                self.write(block)
                self.changed = True
            elif block.kind == blocks.SERVER:
                if self.again:
                    return
                with self.readme.timed(what), self.server(way):
                    self.readme.passed(f"{what} ({time.monotonic() - begin:.1f} s)")
                    self.send_through_all(block)
                return
            else:
                with self.readme.timed(what):
                    self.command(block, way)
        except Exception as fault:  # any exception belongs to this block
            text = str(fault) if isinstance(fault, (debian.Fault, AssertionError)) else traceback.format_exc()
            self.readme.failed(f"{what}\n{text}")
            return
        if self.again:
            return
        self.readme.passed(f"{what} ({time.monotonic() - begin:.1f} s)")
        if block.kind == blocks.COMMANDS and self.title not in (*THROUGH_SENDMAIL, *SCANS):
            self.send_through_all(block)

    # What a block does

    def command(self, block, script):
        kept = []
        for line in script.splitlines(keepends=True):
            bare = line.split("#")[0].strip()
            if bare in LEFT_OUT:
                print(f"# {self.readme.name}: left out: {bare}: {LEFT_OUT[bare]}")
            elif bare in INSTEAD:
                print(f"# {self.readme.name}: in place of {bare}: {INSTEAD[bare]}")
                kept.append(f"({INSTEAD[bare]})\n")
            elif bare in RUNS_ON:
                self.until(bare, RUNS_ON[bare])
            else:
                kept.append(line)
        script = "".join(kept)
        if not script.strip():
            return
        answers = "secret\nsecret\n" if "# asks for" in script else ""
        done = self.shell(block.root, script, answers)
        self.said = done.stdout
        if done.returncode:
            raise debian.Fault(f"exit status {done.returncode}: {done.stdout[-4000:]}")
        if self.roots and (client := re.search(r"(?m)^(certbot|lego) ", script)):
            self.new_certificate(client[1])

    def new_certificate(self, client):
        """That of the machine is now another one, issued by the authority."""
        text = self.machine.path("/etc/postern/tls.crt").read_text()
        shown = self.machine.run("openssl", "x509", "-in", "/etc/postern/tls.crt", "-noout", "-issuer").stdout
        if "Pebble" not in shown or text in self.certificates:
            raise debian.Fault(f"{client} has installed no certificate: {shown}")
        self.certificates.append(text)

    def as_user(self, root):
        user = () if root else ("setpriv", "--reuid=user", "--regid=user", "--init-groups", "env", "HOME=/home/user")
        return (*user, "sh", "-c", f"cd {CHECKOUT} && exec bash -e /run/block.sh")

    def shell(self, root, script, answers=""):
        self.machine.path("/run/block.sh").write_text(script, encoding="utf-8")
        return self.machine.run(*self.as_user(root), text=answers)

    def until(self, command, mark):
        """A command that stays until Ctrl-C, until it prints the mark."""
        output = self.machine.path("/run/output")
        self.machine.path("/run/block.sh").write_text(f"exec {command} >/run/output 2>&1\n", encoding="utf-8")
        output.write_text("")
        process = self.machine.start(*self.as_user(True))
        try:
            harness.eventually(lambda: mark in output.read_text(errors="replace") or process.poll() is not None,
                               f"{command} prints {mark!r}", debian.LONG)
            if mark not in output.read_text(errors="replace"):
                raise debian.Fault(f"it ended: {output.read_text(errors='replace')[-4000:]}")
            self.ran_on = output.read_text(errors="replace")
        finally:
            self.machine.run("sh", "-c", "for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline 2>/dev/null | "
                             f"grep -q {shlex.quote(command)} && kill -TERM ${{p#/proc/}}; done; :")
            harness.end(process, 10)

    @contextlib.contextmanager
    def server(self, command):
        """A server in the foreground, which is stopped afterwards with all that it has started."""
        unit = "readme-server.service"
        self.machine.path("/run/block.sh").write_text(f"exec {command}", encoding="utf-8")
        done = self.machine.run("systemd-run", "--quiet", f"--unit={unit}", f"--working-directory={CHECKOUT}",
                                "-p", "CollectMode=inactive-or-failed", "bash", "-e", "/run/block.sh")
        if done.returncode:
            raise debian.Fault(done.stdout)
        try:
            harness.eventually(lambda: self.listening() or not self.active(unit), "the server listens", debian.LONG)
            if not self.active(unit):
                raise debian.Fault("the server ended: " + self.machine.run("journalctl", "-n", "20", "-u", unit).stdout)
            self.of_server = command.strip()
            yield
        finally:
            self.of_server = None
            self.machine.run("systemctl", "stop", unit)

    def active(self, unit):
        return self.machine.run("systemctl", "is-active", "--quiet", unit).returncode == 0

    def write(self, block):
        path = self.machine.path(block.path)
        if not path.parent.exists():
            if not block.unit and not path.parent.parent.exists():
                raise debian.Fault(f"no folder {Path(block.path).parent}: nothing that was installed made it")
            path.parent.mkdir(parents=True)
        old = path.read_text(encoding="utf-8") if path.exists() and block.kind == blocks.ADDITION else ""
        if block.path.endswith("postern.conf"):
            keys = {line.split("=")[0].strip() for line in block.lines if "=" in line} | set(block.instead)
            old = "".join(line for line in old.splitlines(keepends=True) if line.split("=")[0].strip() not in keys)
        if old and not old.endswith("\n"):
            old += "\n"
        path.write_text(old + block.text(), encoding="utf-8")
        if block.unit:
            self.machine.run("systemctl", "daemon-reload")

    # Mail

    def listening(self):
        """Ports that are open, each with the unit that opened it."""
        listed = self.machine.run("systemctl", "list-sockets", "--plain", "--no-legend").stdout
        found = {}
        for port in (senders.SMTP, senders.SMTPS, senders.SUBMISSION):
            with harness.in_network_of(self.machine.pid), socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    unit = re.search(rf":{port} +(\S+)", listed)
                    found[port] = unit[1] if unit else self.of_server or f"the server of {self.title}"
        return found

    def send_when_it_listens(self):
        """Mail through a server that systemd does not wait for: xinetd.service is of Type=simple."""
        try:
            harness.eventually(self.listening, "something listens on port 25, 465 or 587")
        except AssertionError as fault:
            self.readme.failed(f"{self.title}: no mail could be sent\n{fault}\n{self.records()}")
            return
        self.send_through_all(self.blocks[-1])

    def send_through_all(self, block):
        self.changed = False
        for port, server in self.listening().items():
            if (server, port) in self.tried:
                continue
            self.tried.add((server, port))
            certificate = self.machine.path("/etc/postern/tls.crt")
            if not certificate.exists():
                self.readme.failed(f"{block.where()}: {server} listens, and there is no /etc/postern/tls.crt")
                return
            self.readme.clients.trust(certificate.read_text() + self.roots)
            try:
                login = "AUTH" in " ".join(self.replies(port)[-1])
            except Exception as fault:
                self.readme.failed(f"{self.title}: EHLO to {server}, port {port}\n{fault!r}\n{self.records()}")
                continue
            for client in self.readme.clients.all():
                if self.readme.only_clients and client.__name__ not in self.readme.only_clients:
                    continue
                self.guarded_sending(f"{client.__name__} through {server}, port {port}",
                                     lambda c=client, s=server, p=port, a=login: self.send(c, s, p, a))

    def guarded_sending(self, what, send):
        self.n_sent += 1
        try:
            with self.readme.timed(f"{self.title}: {what}"):
                took = send()
        except (debian.Fault, AssertionError) as fault:
            self.readme.failed(f"{self.title}: {what}\n{fault}\n{self.records()}")
        except Exception:
            self.readme.failed(f"{self.title}: {what}\n{traceback.format_exc()}")
        else:
            if took > BOUND:
                self.readme.failed(f"{self.title}: {what} took {took:.1f} s")
            else:
                session = re.findall(r" messages=1 duration_ms=(\d+)", self.records())
                recorded = f", session {session[-1]} ms" if session else ""
                self.readme.passed(f"{self.title}: {what}: {took:.3f} s{recorded}")

    def records(self):
        self.machine.run("journalctl", "--sync")
        return self.machine.run("journalctl", "-n", "30", "--no-pager", "-o", "cat").stdout

    def send(self, client, server, port, login):
        """The messages of a client one after another; how long the last took."""
        for _ in range(self.readme.n_messages):
            subject, took = self.readme.clients.send(client, self.machine, port, login)
            self.arrived(subject)
            self.readme.result.took(f"{self.readme.name}: {server}, port {port}", client.__name__, took)
        return took

    def arrived(self, subject):
        harness.eventually(lambda: self.stored(subject), f"the message {subject} in a Maildir of info@example.org")

    def stored(self, *words):
        for folder in ("/var/lib/postern", "/srv/mail", "/home"):
            for path in self.machine.path(folder).glob("**/new/*"):
                text = path.read_text(errors="replace")
                if "info" in path.parts and all(word in text for word in words):
                    return path
        return None

    def through_sendmail(self):
        begin = time.monotonic()
        subject = f"message-by-sendmail-{begin}"
        message = senders.MESSAGE.format(senders.SENDER, senders.RECIPIENT, subject)
        done = self.machine.run("sh", "-c", f"sendmail -i -f {senders.SENDER} {senders.RECIPIENT}", text=message)
        if done.returncode:
            raise debian.Fault(f"sendmail: exit status {done.returncode}: {done.stdout}")
        self.arrived(subject)
        return time.monotonic() - begin

    def report(self):
        """A message whose sender has a mailbox here and asks for a report, which comes there, too; by cron in five
        minutes. How long the client took."""
        self.readme.clients.trust(self.machine.path("/etc/postern/tls.crt").read_text())
        subject, took = self.readme.clients.send(self.readme.clients.asking_for_report, self.machine, senders.SMTP, False)
        self.arrived(subject)
        harness.eventually(lambda: self.stored(subject, "delivery-status"), f"a report about {subject}",
                           debian.LONG)
        return took

    def scan(self):
        """A PDF sent by swaks: the seconds until it is in the folder, octet for octet."""
        begin = time.monotonic()
        name, octets = f"scan-{begin}.pdf", b"%PDF-1.4\n" + bytes(range(256)) * 64
        password = re.search(r"(?m)^Password +(\S+)$", self.said)
        self.readme.clients.trust(self.machine.path("/etc/postern/tls.crt").read_text())
        self.readme.clients.scan(self.machine, SCANS[self.title], password and password[1], name, octets)
        path = self.machine.path(f"{SCANS_FOLDER}/{name}")
        harness.eventually(path.exists, f"{name} in {SCANS_FOLDER}")
        assert path.read_bytes() == octets, f"{name} has other octets"
        return time.monotonic() - begin

    def replies(self, port):
        """The lines of each EHLO reply: before TLS, unless it comes first, and in it."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with harness.in_network_of(self.machine.pid):
            connection = socket.create_connection(("127.0.0.1", port), 30)
        if port == senders.SMTPS:
            connection = context.wrap_socket(connection)
        client = harness.Client(connection)
        client.expect(220)
        found = [client.ehlo().lines]
        if port != senders.SMTPS:
            client.starttls(context)
            found.append(client.ehlo().lines)
        client.quit()
        return found

    def removed(self, paths):
        left = [path for path in paths if self.machine.path(path).exists()]
        left += [f"port {port}: {server}" for port, server in self.listening().items()]
        if left:
            self.readme.failed(f"{self.title}: still there: {', '.join(left)}")
        else:
            self.readme.passed(f"{self.title}: what was installed is gone")

    def compare_output(self, block):
        """Each line that the page shows is one of the output, in the same order; numbers may differ."""
        printed = iter([re.sub(r"[0-9]+", "N", line) for line in self.ran_on.splitlines()])
        for line in block.lines:
            if re.sub(r"[0-9]+", "N", line) not in printed:
                raise debian.Fault(f"not in the output, or not in this order: {line}\n{self.ran_on[-4000:]}")

    def compare(self, block):
        """The EHLO replies of the page and those of the machine as it was installed."""
        if not self.listening():
            raise debian.Fault("nothing listens with which the dialogue could be compared")
        shown, current = [], None
        for line in block.lines:
            if line.startswith("C:"):
                current = [] if line.startswith("C: EHLO") else None
                if current is not None:
                    shown.append(current)
            elif current is not None:
                current.append(line[3:])
        found = self.replies(senders.SMTP)
        if found[:len(shown)] != shown:
            differences = [line for old, new in zip(shown, found) for line in difflib.ndiff(old, new) if line[0] != " "]
            raise debian.Fault("EHLO as installed (+) is not what the page shows (-):\n" + "\n".join(differences))
