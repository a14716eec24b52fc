#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""The shipped scripts for postern-pipe (contrib/recipes) with the real programs that they run: a mailer, CUPS, curl and
Dovecot."""

import base64
import http.server
import json
import os
import random
import re
import shutil
import threading

import harness
import logins
from harness import DOMAIN, HERE, SENDER, Listener, Site
from pipebox import CUPSD, FIRST, PipeBox, message

RECIPES = HERE.parent.parent / "contrib" / "recipes"
SEED = 17
UID = 61005  # of no user of own-mailers


def box_for(script, *arguments, maildir=None):
    box = PipeBox(maildir)
    box.program, box.arguments = RECIPES / script, list(arguments)
    return box


def make_maildir(path):
    for part in ("new", "cur", "tmp"):
        (path / part).mkdir(parents=True, mode=0o700)
    path.chmod(0o700)
    return path


# Hand on


class HandingOn:
    """A postern that users log in to, and a smarthost, which is another one; msmtp is between them."""

    def __init__(self, settings="", smarthost=None, **options):
        self.place = logins.site(auth="required", domains="*", original_to="yes", **options)
        self.smarthost = smarthost or Site(maildir="%u", domains="*")
        self.port = Listener(self.smarthost).port
        self.box = box_for("hand-on", harness.packages() / "msmtp/usr/bin/msmtp", maildir=self.place.maildir)
        self.notes = make_maildir(self.box.site / "notes")
        self.options = ["--strip", f"--notes={self.notes}"]
        self.configure(f"host 127.0.0.1\nport {self.port}\n{settings}")

    def configure(self, text):
        path = self.box.site / ".msmtprc"
        path.write_text(text)
        path.chmod(0o600)

    def start(self, *options):
        if not self.place.maildir.exists():
            make_maildir(self.place.maildir)
        self.box.start(*self.options, *options, env=harness.with_libraries(HOME=str(self.box.site)))

    def send(self, *recipients, data=None, sender=SENDER):
        client = logins.secure(self.place)
        client.say(f"AUTH PLAIN {logins.plain()}", 235)
        harness.equal(client.message(data or harness.sample(), sender, recipients).code, 250)
        client.quit()

    def await_notes(self, number=1):
        return harness.eventually(lambda: (lambda p: len(p) >= number and p)(list(self.notes.glob("new/*"))),
                                  self.box.log_text())

    def await_sent(self, number=1):
        """Every message that went out, and the recipients of each, in order."""
        records = harness.eventually(lambda: (lambda r: len(r) >= number and r)(self.smarthost.records("message")),
                                     f"{number} messages: {self.box.log_text()}")
        harness.eventually(lambda: not self.box.names()["new"], "that they are processed")
        return [sorted(re.findall(r"<([^>]*)>", r["to"])) for r in records]


def test_a_message_goes_to_each_recipient_and_names_no_blind_one():
    here = HandingOn()
    here.start()
    port = Listener(here.place).port
    done = harness.run(
        "swaks", "--server", f"127.0.0.1:{port}", "-tls", "--auth", "PLAIN", "--auth-user", logins.USER,
        "--auth-password", logins.PASSWORD, "--from", SENDER, "--to", "to@example.net,cc@example.com,blind@example.edu",
        "--h-To", "to@example.net", "--h-Cc", "cc@example.com", "--header", "Bcc: blind@example.edu",
        "--body", "X-Original-To: of the body")
    harness.equal(done.returncode, 0, done.stdout)
    harness.equal(here.await_sent(), [["blind@example.edu", "cc@example.com", "to@example.net"]])
    here.box.stop()
    sent = here.smarthost.everything()
    harness.equal(len(sent), 3)
    for path in sent:
        _, rest = harness.split_trace(path.read_bytes())
        header, body = rest.split(b"\n\n", 1)
        # split_trace takes the field of the script for one of the smarthost's
        for field in (b"bcc:", b"blind@", b"x-original-to:", b"delivered-to:", b"return-path:", b"authenticated"):
            assert field not in header.lower(), rest
        for field in (b"\nTo: to@example.net\n", b"\nCc: cc@example.com"):
            harness.contains(header, field)
        harness.contains(body, b"X-Original-To: of the body")
        harness.equal(path.read_bytes().count(b"\nReceived: by "), 1)
    harness.equal(len(here.box.names()["cur"]), 1)


def test_without_a_login_nothing_is_taken_for_others():
    here = HandingOn()
    here.start()
    for secure in (False, True):
        client = here.place.connect()
        client.ehlo()
        if secure:
            client.starttls()
            client.ehlo()
        client.say(f"MAIL FROM:<{SENDER}>", 530)
    # on a socket where it is not required either
    here.place.set(auth="on")
    client = logins.secure(here.place)
    client.say(f"MAIL FROM:<{SENDER}>", 250)
    client.say("RCPT TO:<a@example.net>", 530)
    client.quit()
    # and what comes into the mailbox in spite of that is not handed on
    name = here.box.put()
    here.box.expect(failed=[name])
    here.box.stop()
    harness.contains(here.box.note(name), "no user had logged in")
    harness.equal(here.smarthost.records("message"), [])


HARMFUL = ("-oQ/tmp/x@example.net", "--host=evil@example.net", "*@example.net", "|id@example.net", "`id`@example.net",
           "a@[192.0.2.1]")
QUOTED = ('"$(id) -x"@example.net', '"a b;c\\\\d"@example.net')  # not for msmtp, which refuses them


def test_addresses_are_arguments_and_nothing_else():
    here = HandingOn(smarthost=Site(domains="*", original_to="yes"))
    here.start()
    here.send(*HARMFUL)
    here.send("a@example.net", sender="-oX@example.net")
    here.send("a@example.net", sender="")
    here.await_sent(3)
    here.box.stop()
    trace, _ = harness.split_trace(here.smarthost.new()[0].read_bytes())
    harness.equal([line for line in trace if line.startswith("X-")], [f"X-Original-To: {name}" for name in HARMFUL])
    harness.equal([r["from"] for r in here.smarthost.records("message")],
                  [f"<{SENDER}>", "<-oX@example.net>", "<>"])
    # as any sendmail gets them
    here.box.arguments = [here.box.site / "program"]
    here.start()
    here.send(*HARMFUL, *QUOTED, sender="-oX@example.net")
    here.box.await_starts(1)
    here.box.stop()
    run, = here.box.runs_dir.iterdir()
    harness.equal((run / "arguments").read_text().split("\0")[:-1],
                  ["-i", "-f", "-oX@example.net", "--", *HARMFUL, *QUOTED])


def test_a_smarthost_that_is_away_gets_it_later_and_in_the_end_people_get_a_note():
    here = HandingOn()
    here.configure(f"host 127.0.0.1\nport {harness.free_port()}\n")
    here.start()
    here.send("a@example.net")
    harness.eventually(lambda: len(here.box.records()) >= 2, "two tries")
    harness.equal(list(here.notes.glob("new/*")), [])
    here.configure(f"host 127.0.0.1\nport {here.port}\n")
    harness.equal(here.await_sent(), [["a@example.net"]])
    here.box.stop()
    here.configure(f"host 127.0.0.1\nport {harness.free_port()}\n")
    here.box.start(*here.options, "--retry-for=2", env=harness.with_libraries(HOME=str(here.box.site)))
    here.send("b@example.net")
    note, = here.await_notes()
    here.box.stop()
    for words in ("given up after", f"> Return-Path: <{SENDER}>\n", "> X-Original-To: b@example.net\n"):
        harness.contains(note.read_text(), words)


def test_an_address_that_the_smarthost_refuses_is_a_failure_at_once():
    here = HandingOn(smarthost=Site(maildir="%u", domains=DOMAIN))
    here.start()
    here.send("a@example.net")
    note, = here.await_notes()
    here.box.stop()
    harness.contains(note.read_text(), "Tries: 1\n")
    harness.contains(note.read_text(), "550")


def test_a_refusal_that_may_pass_is_no_failure():
    smarthost = Site(domains="*")
    ballast = harness.fill(harness.small_file_system(smarthost.root, "64k"))
    here = HandingOn(smarthost=smarthost)
    here.start()
    here.send("a@example.net")
    harness.eventually(lambda: len(here.box.records()) >= 2, here.box.log_text())
    harness.equal({r["outcome"] for r in here.box.records()}, {"later"})
    harness.contains(here.box.log_text(), "server message: 4")
    ballast.unlink()
    here.await_sent()
    here.box.stop()
    harness.equal(list(here.notes.glob("new/*")), [])


def test_a_smarthost_that_is_this_host_makes_no_loop():
    here = HandingOn()
    port = Listener(here.place).port
    secure = f"host 127.0.0.1\nport {port}\ntls on\ntls_starttls on\ntls_certcheck off\nset_from_header off\n"
    here.configure(secure)
    here.start()
    here.send("a@example.net")
    # it does not log in
    note, = here.await_notes()
    harness.contains(note.read_text(), "530")
    here.configure(f"{secure}auth plain\nuser {logins.USER}\npassword {logins.PASSWORD}\n")
    # it does: each turn adds a Received field, and this message has 95 already
    many = b"".join(b"Received: by host%d.example.net; date\r\n" % n for n in range(95))
    here.send("b@example.net", data=many + harness.sample())
    here.await_notes(2)
    here.box.stop()
    turns = [r for r in here.place.records("message") if "b@" in r["to"]]
    assert 2 <= len(turns) <= 6, len(turns)
    harness.equal(len(here.box.names()["new"]), 0)


# Webhook


class Hook(http.server.ThreadingHTTPServer):
    """A URL that fails at random: with replies, without one, and with one that is lost after it has taken a message."""

    def __init__(self, failures):
        super().__init__(("127.0.0.1", 0), HookRequest)
        self.random, self.failures = random.Random(SEED), failures
        self.taken, self.seen = [], []
        self.lock = threading.Lock()
        threading.Thread(target=self.serve_forever, daemon=True).start()
        harness.at_end(self.server_close)
        harness.at_end(self.shutdown)

    def handle_error(self, request, client_address):
        """A connection that was closed on purpose."""


class HookRequest(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_POST(self):
        octets = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.lock:
            way = self.server.random.choice(self.server.failures)
            self.server.seen.append((dict(self.headers), octets))
            if way in (200, "lost"):
                self.server.taken.append(octets)
        if way in ("lost", "closed"):
            self.connection.close()
            return
        self.send_response(way)
        self.end_headers()
        self.wfile.write(b"the reply")


def hooked(*failures):
    hook, box = Hook(failures), box_for("webhook")
    settings = box.site / "webhook"
    settings.write_text(f'url = "http://127.0.0.1:{hook.server_port}/"\nheader = "Authorization: Bearer secret"\n')
    return hook, box, harness.environment(CREDENTIALS_DIRECTORY=str(box.site))


def test_each_message_reaches_a_url_that_fails_at_random():
    hook, box, environment = hooked(200, 200, 200, 500, 429, 401, "closed", "lost")
    names = [box.put() for _ in range(10)]
    box.start("-n", "4", env=environment)
    box.expect(cur=names)
    box.stop()
    taken = {}
    for octets in hook.taken:
        found = json.loads(octets)
        taken[found["id"]] = found
    harness.equal(sorted(taken), sorted(name.partition(",")[0] for name in names))
    harness.equal(base64.b64decode(taken[names[0].partition(",")[0]].pop("message")), message())
    harness.equal(taken[names[0].partition(",")[0]], {
        "id": names[0].partition(",")[0], "from": SENDER, "to": [harness.RECIPIENT], "user": None, "peer": "192.0.2.7",
        "tls": "TLS_AES_256_GCM_SHA384", "subject": "message 1", "message_id": "<1@example.net>"})
    header = hook.seen[0][0]
    harness.equal((header["Authorization"], header["Content-Type"], header["Idempotency-Key"]),
                  ("Bearer secret", "application/json", json.loads(hook.seen[0][1])["id"]))


def test_a_message_that_the_url_refuses_fails():
    _, box, environment = hooked(422)
    name = box.put()
    box.start(env=environment)
    box.expect(failed=[name])
    box.stop()
    harness.contains(box.note(name), "webhook: the reply is 422\nthe reply")


def test_a_url_that_is_not_set_or_wrong_loses_no_message():
    _, box, environment = hooked(200)
    (box.site / "webhook").rename(box.site / "away")
    name = box.put()
    box.start(env=environment)
    harness.eventually(lambda: "cannot be read: put the url there" in box.log_text(), "why")
    (box.site / "webhook").write_text("nonsense\n")
    harness.eventually(lambda: "webhook: the reply is" in box.log_text(), "that it is tried")
    (box.site / "away").rename(box.site / "webhook")
    box.expect(cur=[name])
    box.stop()


def test_values_of_a_message_are_strings_of_the_object():
    hook, box, environment = hooked(200)
    sender, subject = '","to":["x"],"\\u0000$(id)"@example.net', b'=?utf-8?q?"},"=0Ax_=E2=98=BA?= \xff'
    text = message().replace(SENDER.encode(), sender.encode()).replace(b"message 1", subject)
    box.put(text)
    box.start(env=environment)
    box.expect(cur=[f"{FIRST + 1}.M1P1Q1.{harness.HOST},S=1"])
    box.stop()
    found = json.loads(hook.taken[0])
    harness.equal(found["from"], sender)
    harness.contains(found["subject"], '"},"')
    harness.equal(base64.b64decode(found["message"]), text)


# Machines with packages


class InMachine:
    """A box whose script runs on a machine of its own, with these packages."""

    def __init__(self, script, *arguments, packages):
        harness.need_root(f"a machine with {packages} in it")
        self.box = box_for(script, *arguments)
        self.box.program = self.box.site / script
        shutil.copy(RECIPES / script, self.box.program)
        self.packages = packages
        for name in ("postern-pipe", "postern-extract"):
            if (harness.build / "src" / name).exists():
                shutil.copy(harness.build / "src" / name, self.box.site)

    def start(self, before="", *options):
        """The shell commands, and then postern-pipe."""
        site = self.box.site
        command = self.box.command(*options)
        command[0] = str(site / "postern-pipe")
        words = " ".join(f"'{word}'" for word in command)
        for path in (site, *site.rglob("*")):
            os.chown(path, UID, UID)
        with open(self.box.log, "ab") as log:
            self.box.process = harness.start(
                HERE / "with-packages", harness.packages(), self.packages, site, "/bin/sh", "-c",
                f"""
                echo 'postern:x:{UID}:{UID}::{site}:/usr/sbin/nologin' >>/etc/passwd
                PATH={site}:$PATH
                {before}
                exec setpriv --reuid={UID} --regid={UID} --clear-groups {words}""", stdout=log, stderr=log)
        # unshare passes no signal on; all that runs inside goes with it
        harness.at_end(self.box.process.kill)

    def expect(self, **names):
        self.box.expect(**names)


# Sieve

DOVECOT = """\
protocols =
log_path = /dev/stderr
base_dir = {site}/run
mail_location = maildir:{site}/mail
ssl = no
auth_mechanisms = plain
userdb {{
  driver = static
  args = uid={uid} gid={uid} home={site}
}}
passdb {{
  driver = static
  args = password=x
}}
protocol lda {{
  mail_plugins = sieve
}}
plugin {{
  sieve = {site}/script.sieve
}}
postmaster_address = postmaster@example.org
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
"""
SIEVE = """\
require ["fileinto", "mailbox", "envelope"];
if envelope :is "from" "sender@example.net" { fileinto :create "Sender"; }
elsif envelope :is "from" "" { fileinto :create "Null"; }
elsif envelope :contains "from" "-rf" { fileinto :create "Hyphen"; }
"""


@harness.table(alone=(), of_a_user="scan")
def test_dovecot_runs_a_sieve_script(*user):
    here = InMachine("sieve", *user, packages="dovecot-core,dovecot-sieve")
    site = here.box.site
    (site / "dovecot.conf").write_text(DOVECOT.format(site=site, uid=UID))
    (site / "script.sieve").write_text(SIEVE)
    names = [here.box.put(), here.box.put(message().replace(f"<{SENDER}>".encode(), b"<>")),
             here.box.put(message().replace(SENDER.encode(), b"-rf@example.net"))]
    # without a user the script is not looked up in a userdb, and the home is ours
    here.start(f"""
        echo 'dovecot:x:61011:61011::/:/usr/sbin/nologin' >>/etc/passwd
        echo 'dovenull:x:61012:61012::/:/usr/sbin/nologin' >>/etc/passwd
        echo 'dovecot:x:61011:' >>/etc/group; echo 'dovenull:x:61012:' >>/etc/group
        mkdir -p /etc/dovecot
        cp {site}/dovecot.conf /etc/dovecot/
        export HOME={site} USER=postern
        {"dovecot; until [ -S " + str(site) + "/run/auth-userdb ]; do sleep 0.1; done" if user else ""}""")
    here.expect(cur=names)
    for folder in (".Sender", ".Null", ".Hyphen"):
        found, = (site / "mail" / folder / "new").iterdir()
        harness.contains(found.read_bytes(), b"Subject: message")


def test_a_mistake_in_the_settings_of_dovecot_loses_no_message():
    here = InMachine("sieve", packages="dovecot-core,dovecot-sieve")
    name = here.box.put()
    here.start("mkdir -p /etc/dovecot; echo nonsense >/etc/dovecot/dovecot.conf")
    harness.eventually(lambda: len(here.box.records()) >= 2, here.box.log_text())
    here.expect(new=[name])
    harness.equal({r["outcome"] for r in here.box.records()}, {"later"})


# Print

PDF = b"%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n"


def mixed(*parts):
    """A message with these attachments: a name, a type, and octets."""
    text = b'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="b"\n\n--b\nContent-Type: text/plain\n\ntext\n'
    for name, kind, octets in parts:
        text += (f"--b\nContent-Type: {kind}\nContent-Disposition: attachment; filename=\"{name}\"\n"
                 "Content-Transfer-Encoding: base64\n\n").encode() + base64.encodebytes(octets)
    head, _ = message().split(b"\n\n", 1)
    return head + b"\n" + text + b"--b--\n"


class Printer(InMachine):
    """CUPS with a printer that is a file; its spool keeps what each job was."""

    def __init__(self):
        if not (harness.build / "src/postern-extract").exists():
            raise harness.Skip("built without postern-extract")
        super().__init__("print", "-d", "paper", packages="cups-daemon,cups-client,cups-common,cups-core-drivers")
        self.site = self.box.site
        self.spool = self.site / "spool"
        (self.site / "cupsd.conf").write_text(CUPSD)
        (self.site / "cups-files.conf").write_text(
            f"FileDevice Yes\nRequestRoot {self.spool}\nTempDir {self.spool}/tmp\nErrorLog {self.site}/cups.log\n"
            "PageLog /dev/null\nAccessLog /dev/null\nSystemGroup root\n")

    def start(self, before="", *options):
        site = self.site
        super().start(f"""
            mkdir -p /run/cups {self.spool}/tmp /var/cache/cups
            chown lp {self.spool} {self.spool}/tmp
            cp {site}/cupsd.conf {site}/cups-files.conf /etc/cups/
            cupsd -f -c /etc/cups/cupsd.conf -s /etc/cups/cups-files.conf &
            until lpstat -r 2>/dev/null | grep -q 'is running'; do sleep 0.1; done
            touch {site}/paper; chmod 666 {site}/paper; chmod 711 {site}
            lpadmin -p paper -E -v file:{site}/paper -m raw
            {before}""", *options)

    def documents(self, job):
        """The files of that job."""
        return [path.read_bytes() for path in sorted(self.spool.glob(f"d{job:05}-*"))]


def fax(path):
    """A page in TIFF-F, as internet fax has it (RFC 3949): CCITT Group 3, by fax2tiff."""
    (path / "fax.g3").write_bytes(bytes([0x00, 0x01, 0x9a, 0x80, 0x01]) * 20)
    done = harness.run("fax2tiff", "-3", "-o", path / "fax.tif", path / "fax.g3")
    assert (path / "fax.tif").exists(), done.stdout
    return (path / "fax.tif").read_bytes()


def test_attachments_are_printed_and_for_others_a_page():
    here = Printer()
    tiff = fax(here.site)
    names = [here.box.put(mixed(("scan.pdf", "application/octet-stream", PDF), ("fax.tif", "image/tiff", tiff),
                                ("note.txt", "text/plain", b"caf\xc3\xa9\n"))),
             here.box.put(mixed(("b\u00fccher.docx", "application/msword", b"PK\3\4 \0\1"),
                                ("virus.pdf", "application/pdf", b"MZ\0\0"), ("cut.tif", "image/tiff", tiff[:9]))),
             here.box.put(message())]
    here.start()
    here.expect(cur=names)
    first = here.documents(1)
    harness.equal((first[0], first[2]), (PDF, b"caf\xc3\xa9\n"))
    assert first[1].startswith(b"%PDF-1") and b"CCITTFaxDecode" in first[1], first[1][:200]
    word, virus, cut = here.documents(2)
    for words in ("Name:    b\u00fccher.docx\n", "Type:    application/zip\n", SENDER, "Subject: message 1"):
        harness.contains(word.decode(), words)
    harness.contains(virus.decode(), "Name:    virus.pdf\nType:    application/octet-stream\n")
    harness.contains(cut.decode(), "Name:    cut.tif\nType:    image/tiff\n")
    harness.contains(here.documents(3)[0].decode(), "This message has no attachments")
    # CUPS sends a job of one file to a printer that is a file only through a filter, which a raw queue has not
    harness.eventually(lambda: cut in (here.site / "paper").read_bytes(), "the printer prints")


def test_names_and_subjects_are_no_options_of_lp():
    here = Printer()
    harmful = ("-rf", "../../etc/x", "$(touch x)`touch x`;.pdf", "a b\u202efdp.exe", "-", "--help", "con.txt", "*")
    text = mixed(*((name.replace('"', ""), "application/pdf", PDF) for name in harmful))
    name = here.box.put(text.replace(b"message 1", b"=?utf-8?q?-d_other=0A-o_raw?="))
    here.start()
    here.expect(cur=[name])
    harness.equal(here.documents(1), [PDF] * len(harmful))
    assert not (here.site / "x").exists()


def test_a_printer_that_is_away_gets_it_later_and_once():
    here = Printer()
    name = here.box.put(mixed(("a.pdf", "application/pdf", PDF), ("b.pdf", "application/pdf", PDF)))
    here.start(f"(until [ -e {here.site}/go ]; do sleep 0.1; done; cupsaccept paper) & cupsreject paper")
    harness.eventually(lambda: len(here.box.records()) >= 2, here.box.log_text())
    here.expect(new=[name])
    (here.site / "go").touch()
    here.expect(cur=[name])
    harness.equal(len(list(here.spool.glob("d*"))), 2)


if __name__ == "__main__":
    harness.main()
