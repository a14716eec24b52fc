#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""postern-status with the records of a real journal, and the alerts that a timer sends."""

import contextlib
import http.server
import json
import os
import re
import shutil
import signal
import socket
import threading

import harness
from harness import RECIPIENT, Skip
from logs import Terminal, has_line, words
from machine import Server

FLOOD = """\
import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
for i in range(50000):
    s.sendto(b"MESSAGE=something else %d\\nSYSLOG_IDENTIFIER=other\\nPRIORITY=6\\n" % (i % 100),
             "/run/systemd/journal/socket")
"""


class Panelled(Server):
    def install(self):
        super().install()
        self.write("etc/systemd/journald.conf.d/all.conf", "[Journal]\nRateLimitBurst=0\n")
        self.run("systemctl", "restart", "systemd-journald")

    def session(self, say=lambda client: None, source="127.0.0.1"):
        client = self.connect(source=source)
        client.ehlo()
        say(client)
        client.say("QUIT", 221)
        client.expect_end()

    def status(self, *options, number=None):
        """The output, once it has that many lines."""
        command = ["env", "TZ=UTC", "PATH=/usr/local/bin:/usr/bin", "postern-status", "-c",
                   "/etc/postern/postern.conf", *options]
        if number is None:
            return self.run(*command)
        return harness.eventually(
            lambda: (text := self.run(*command)) and len(text.splitlines()) >= number and text,
            f"{number} lines of {options}")


_server = []


def visited():
    path = harness.build / "tests/system/visited"
    if not path.exists():
        raise Skip("built without postern-status")
    return path


def server():
    visited()
    if not _server:
        _server.append(Panelled())
    return _server[0]


def secured(client):
    client.starttls()
    client.ehlo()
    harness.equal(client.message(harness.sample()).code, 250)


def test_the_journal_has_what_a_file_would_have():
    here = server()
    here.session(secured, "127.0.0.2")
    here.session(source="127.0.0.3")
    here.session(secured, "127.0.0.2")
    lines = here.status("--sessions", number=4).splitlines()
    harness.equal([words(line)[1] for line in lines],
                  ["Peer", "127.0.0.2", "127.0.0.3", "127.0.0.2"])
    shown = here.status()
    has_line(shown, "Allow SSL (SMTP Receive)", "On")
    has_line(shown, "Certificate", f"CN={harness.HOST} (ECDSA 256, self-signed)")
    has_line(shown, "Status", "Ready")
    has_line(shown, "Last hour", "Sessions", "3")
    has_line(shown, "Delivered", "2")
    has_line(shown, "TLS1.3", "2", "67 %")
    harness.equal(len(here.status("--sessions", "--peer", "127.0.0.2").splitlines()), 3)
    harness.equal(len(here.status("--sessions", "--peer", "127.0.0.2/31").splitlines()), 4)
    for line, entry in zip(here.status("--json", "--messages").splitlines(),
                           here.run("journalctl", "-o", "json", "POSTERN_EVENT=message").splitlines()):
        record, entry = json.loads(line), json.loads(entry)
        harness.equal(record["from"], harness.SENDER)
        harness.equal(record["to"], [RECIPIENT])
        harness.equal(str(record["pid"]), entry["_PID"])
        harness.equal(record["host"], entry["_HOSTNAME"])
        for key in ("id", "peer", "tls", "file", "cipher", "message_id"):
            harness.equal(record[key], entry[f"POSTERN_{key.upper()}"])


def test_follow_tells_what_comes_into_the_journal():
    here = server()
    here.session(source="127.0.0.4")
    with open(here.dir / "followed", "wb") as to:
        harness.start("nsenter", "--target", here.pid, "--mount", "--pid", "--root", "--wd",
                      "/usr/local/bin/postern-status", "--follow", "--json", "-n1", stdout=to)
    followed = here.dir / "followed"
    harness.eventually(lambda: "\n" in followed.read_text(), "the newest record")
    here.session(source="127.0.0.5")
    harness.eventually(lambda: '"peer":"127.0.0.5"' in followed.read_text(), "the next record")
    here.session(source="127.0.0.5")
    harness.eventually(lambda: followed.read_text().count('"peer":"127.0.0.5"') == 2, "one more")
    harness.equal([json.loads(line)["peer"] for line in followed.read_text().splitlines()],
                  ["127.0.0.4", "127.0.0.5", "127.0.0.5"], "each once, and none from before")


def test_the_panel_follows_the_journal():
    here = server()
    here.session(source="127.0.0.8")
    terminal = Terminal(None, command=(
        "nsenter", "--target", here.pid, "--mount", "--pid", "--root", "--wd",
        "/usr/local/bin/postern-status", "--follow", "--peer=127.0.0.8/29"))
    terminal.until("127.0.0.8 ")
    here.session(source="127.0.0.9")
    terminal.until("127.0.0.9 ")
    assert "127.0.0.2" not in terminal.text, "only whom we asked for"
    nsenter = terminal.process.pid
    with open(f"/proc/{nsenter}/task/{nsenter}/children", encoding="ascii") as children:
        os.kill(int(children.read()), signal.SIGINT)
    assert terminal.rest().endswith("\x1b[?25h")


def test_an_alert_is_run_once_when_the_state_changes():
    here = server()
    here.write("etc/postern/alert", "#!/bin/sh\nread -r line\n"
               "echo $POSTERN_STATE_BEFORE $POSTERN_STATE $line >>/var/tmp/alerts\n")
    (here.root / "etc/postern/alert").chmod(0o755)
    alerts, settings = here.root / "var/tmp/alerts", (here.root / "etc/postern/postern.conf").read_text()

    def look(code=0):
        done = here.call("run", "systemctl", "start", "postern-alert.service")
        harness.equal(done.returncode, code, done.stdout)
        return alerts.read_text().splitlines() if alerts.exists() else []

    harness.equal(look(), [], "all is well")
    here.write("etc/postern/postern.conf", settings + "nonsense = 1\n")
    harness.at_end(here.write, "etc/postern/postern.conf", settings)
    for _ in range(2):
        told, = look()
        assert re.match(r"OK CRITICAL CRITICAL: .*nonsense", told), told
    here.write("etc/postern/postern.conf", settings)
    here.write("etc/postern/alert", "#!/bin/sh\nexit 1\n")
    harness.equal(len(look(code=1)), 1, "it fails")
    here.write("etc/postern/alert", "#!/bin/sh\necho $POSTERN_STATE >>/var/tmp/alerts\n")
    harness.equal(look()[1:], ["OK"], "and is run again")
    harness.equal(look()[1:], ["OK"])
    here.start("postern-alert.timer")
    harness.contains(here.run("systemctl", "list-timers", "--all"), "postern-alert.timer")


class Hook(http.server.BaseHTTPRequestHandler):
    """Takes what a webhook is given."""

    def do_POST(self):  # noqa: the name is http.server's
        self.server.taken.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def hook_of(here=None):
    """A web server, in the machine's network or in ours."""
    with harness.in_network_of(here.pid) if here else contextlib.nullcontext():
        hook = http.server.HTTPServer(("127.0.0.1", 2680 if here else 0), Hook)
    hook.taken = []
    threading.Thread(target=hook.serve_forever, daemon=True).start()
    harness.at_end(hook.server_close)
    harness.at_end(hook.shutdown)
    return hook


def with_hook(example, port):
    """The example with both ways."""
    text = example.replace("#webhook && ", "webhook && ").replace("https://hooks.example.org/postern",
                                                                  f"http://127.0.0.1:{port}/")
    harness.equal((text.count("\nwebhook && "), text.count(f":{port}/")), (1, 1), "the example has a webhook")
    return text


MAILER = """\
account default
host 127.0.0.1
port 2626
from root@mail.example.net
aliases /etc/msmtp-aliases
"""


def test_the_timer_mails_and_calls_a_webhook_once_for_each_change():
    """By the shipped units and the example, with a sendmail (msmtp) and curl; another postern takes the mail."""
    harness.need("curl")
    here = server()
    msmtp = harness.packages() / "msmtp/usr/bin/msmtp"
    if not msmtp.exists():
        raise Skip("no msmtp")
    hook = hook_of(here)
    shutil.copy(msmtp, here.dir / "msmtp")
    libraries = harness.packages() / "libraries"
    shutil.copytree(libraries, here.dir / "libraries", symlinks=True, dirs_exist_ok=True)
    directories = ":".join(f"/host/libraries/{d.relative_to(libraries)}" for d in libraries.rglob("*-linux-gnu"))
    here.write("usr/sbin/sendmail",
               f"#!/bin/sh\nLD_LIBRARY_PATH={directories} exec /host/msmtp -C /etc/msmtprc \"$@\"\n")
    (here.root / "usr/sbin/sendmail").chmod(0o755)
    here.write("etc/msmtprc", MAILER)
    here.write("etc/msmtp-aliases", "root: root@admin.example\n")
    here.run("install", "-d", "-o", "nobody", "/var/tmp/admin")
    here.write("etc/postern/admin.conf", "hostname = admin.example\ndomains = admin.example\nuser = nobody\n"
               "maildir = /var/tmp/admin/box\nlog = stderr\n")
    here.run("systemd-run", "--unit=admin-mail", "/usr/local/sbin/postern", "-c", "/etc/postern/admin.conf",
             "--listen=127.0.0.1:2626")
    harness.at_end(here.run, "systemctl", "stop", "admin-mail")
    here.write("etc/postern/alert", with_hook((here.root / "usr/local/share/postern/alert").read_text(), 2680))
    (here.root / "etc/postern/alert").chmod(0o755)
    here.run("rm", "-rf", "/var/lib/postern-alert")
    here.drop_in("postern-alert.timer", "[Timer]\nOnCalendar=\nOnCalendar=*:*:0/2\nAccuracySec=100ms\n")
    settings = (here.root / "etc/postern/postern.conf").read_text()
    harness.at_end(here.write, "etc/postern/postern.conf", settings)

    def runs(number, cursor):
        done = "postern-alert.service: Deactivated successfully."
        harness.eventually(lambda: len(here.journal(cursor, MESSAGE=done)) >= number, f"{number} runs")

    def mails():
        return [path.read_text() for path in (here.root / "var/tmp/admin/box").glob("new/*")]

    cursor = here.cursor()
    here.start("postern-alert.timer")
    runs(2, cursor)
    harness.equal((mails(), hook.taken), ([], []), "all is well")
    for number, (text, change) in enumerate(((settings + "nonsense = 1\n", "CRITICAL, was OK"),
                                             (settings, "OK, was CRITICAL")), 1):
        here.write("etc/postern/postern.conf", text)
        harness.eventually(lambda n=number: len(hook.taken) >= n and len(mails()) >= n, change)
        runs(3, here.cursor())
        harness.equal((len(mails()), len(hook.taken)), (number, number), change)
        assert any(f"Subject: postern on mail: {change}" in mail for mail in mails()), mails()
        harness.contains(hook.taken[-1], f"mail: {change.split(',', maxsplit=1)[0]}: ")


EXAMPLE = harness.HERE.parent.parent / "contrib/alert"


def alert(example, code, sendmail):
    """Run the example with that script in the place of sendmail."""
    place = harness.scratch()
    (place / "sendmail").write_text(f"#!/bin/sh\n{sendmail.format(place=place)}\n")
    (place / "alert").write_text(example)
    for path in (place / "sendmail", place / "alert"):
        path.chmod(0o755)
    done = harness.run(place / "alert", input="WARNING: x\n",
                       env=harness.environment(PATH=f"{place}:/usr/bin:/bin", POSTERN_STATE="WARNING",
                                               POSTERN_STATE_BEFORE="OK"))
    harness.equal(done.returncode, code, done.stdout)
    return (place / "mail").read_text() if (place / "mail").exists() else None


MAILS = "echo $* >{place}/mail; cat >>{place}/mail"


def test_the_example_of_an_alert_mails_to_root():
    text = alert(EXAMPLE.read_text(), 0, MAILS)
    harness.contains(text, "-i root\nSubject: postern on ")
    harness.contains(text, "\n\nWARNING: x\n")
    alert(EXAMPLE.read_text(), 1, "exit 75")


def test_an_alert_is_given_when_one_of_two_ways_has_taken_it():
    """A mailer that fails does not keep it from the webhook; a webhook that fails does not repeat the mail."""
    harness.need("curl")
    hook = hook_of()
    example = with_hook(EXAMPLE.read_text(), hook.server_port)
    for sendmail in (MAILS, "exit 75", "kill $$"):
        hook.taken.clear()
        harness.equal(bool(alert(example, 0, sendmail)), sendmail == MAILS)
        taken, = hook.taken
        harness.contains(taken, ": WARNING: x")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert alert(with_hook(EXAMPLE.read_text(), port), 0, MAILS), "no web server, and the mail is sent"
    alert(with_hook(EXAMPLE.read_text(), port), 1, "exit 75")


def test_who_may_not_read_the_journal_is_told():
    here = server()
    shown = here.run("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups",
                     "/usr/local/bin/postern-status")
    harness.contains(shown, "systemd-journal")
    has_line(shown, "Allow SSL (SMTP Receive)", "On")


def test_of_many_entries_only_ours_are_looked_at():
    here = server()
    here.session(source="127.0.0.6")
    here.status("--sessions", "--peer", "127.0.0.6", number=2)
    (here.dir / "flood.py").write_text(FLOOD)
    here.run("python3", "/host/flood.py")
    here.session(source="127.0.0.7")
    here.status("--sessions", "--peer", "127.0.0.7", number=2)
    journal = here.root / "var/log/journal"
    entries = here.run("sh", "-c", "journalctl -o cat SYSLOG_IDENTIFIER=other | wc -l")
    harness.equal(entries, "50000", "the flood is in the journal")
    for arguments, found in ((("2",), 2), (("1", "127.0.0.6"), 1), (("9", "127.0.0.6"), 1)):
        told = harness.run(visited(), journal, *arguments)
        harness.equal(told.stdout, f"{found} found, {found} visited, {found} forward, {found} back\n")


def test_following_an_empty_journal_begins_with_its_first_record():
    """With a filter that no entry passes yet; and no journalctl is left behind."""
    here = server()
    with open(here.dir / "first", "wb") as to:
        follower = harness.start("nsenter", "--target", here.pid, "--mount", "--pid", "--root", "--wd",
                                 "/usr/local/bin/postern-status", "--follow", "--json", "--peer=127.0.0.77", stdout=to)

    def running():
        return [line for line in here.run("ps", "-eo", "args").splitlines() if "POSTERN_PEER=127.0.0.77" in line]

    harness.eventually(lambda: any("--follow" in line for line in running()), "a journalctl that follows")
    for _ in range(2):
        here.session(source="127.0.0.77")
    harness.eventually(lambda: (here.dir / "first").read_text().count('"peer":"127.0.0.77"') == 2, "both records")
    with open(f"/proc/{follower.pid}/task/{follower.pid}/children", encoding="ascii") as children:
        os.kill(int(children.read()), signal.SIGKILL)
    harness.eventually(lambda: not running(), "the end of journalctl")


def test_a_machine_without_journalctl_says_so_and_what_to_do():
    here = server()
    for options, code, wanted in (((), 66, "postern-status: the journal: cannot be read without journalctl, which is not "
                                   "in PATH; name a FILE that log = json:FILE writes"),
                                  (("-D", "/var/log/journal"), 66, "cannot be read without journalctl"),
                                  (("--healthy",), 1, "WARNING: no records: the journal: cannot be read without journalctl")):
        done = here.call("run", "env", "PATH=/nonexistent", "/usr/local/bin/postern-status", "-c",
                         "/etc/postern/postern.conf", *options)
        harness.equal(done.returncode, code, done.stdout)
        harness.contains(done.stdout, wanted)


def test_a_journalctl_that_fails_is_an_error():
    here = server()
    (here.dir / "failing").mkdir()
    (here.dir / "failing/journalctl").write_text("#!/bin/sh\nexit 1\n")
    (here.dir / "failing/journalctl").chmod(0o755)
    for options, code in (((), 66), (("--healthy",), 1)):
        done = here.call("run", "env", "PATH=/host/failing:/usr/bin", "/usr/local/bin/postern-status", *options)
        harness.equal(done.returncode, code, done.stdout)
        harness.contains(done.stdout, "the journal: cannot be read: journalctl fails; see what it says: journalctl -n 1 -t postern")


def test_an_alert_is_not_repeated_where_its_state_cannot_be_written():
    """On a file system that became read-only: the journal has the cause and the cure once."""
    here = server()
    directory = "/var/lib/postern-alert"
    here.write("etc/postern/alert", "#!/bin/sh\necho $POSTERN_STATE_BEFORE $POSTERN_STATE >>/var/tmp/alerts-once\n")
    (here.root / "etc/postern/alert").chmod(0o755)
    alerts, settings = here.root / "var/tmp/alerts-once", (here.root / "etc/postern/postern.conf").read_text()
    harness.at_end(here.write, "etc/postern/postern.conf", settings)

    def look(code=0):
        harness.equal(here.call("run", "systemctl", "start", "postern-alert.service").returncode, code)
        return alerts.read_text().splitlines() if alerts.exists() else []

    here.run("rm", "-rf", directory, "/run/postern-alert")
    here.run("install", "-d", "-m", "0700", directory)
    here.run("mount", "-t", "tmpfs", "-o", "mode=700", "none", directory)
    harness.at_end(here.run, "umount", directory)
    harness.equal(look(), [])
    here.run("mount", "-o", "remount,ro", directory)
    cursor = here.cursor()
    here.write("etc/postern/postern.conf", settings + "nonsense = 1\n")
    for _ in range(3):
        harness.equal(look(), ["OK CRITICAL"])
    here.write("etc/postern/postern.conf", settings)
    for _ in range(2):
        harness.equal(look(), ["OK CRITICAL", "CRITICAL OK"])
    told = [entry["MESSAGE"] for entry in here.journal(cursor, SYSLOG_IDENTIFIER="postern-alert")]
    harness.equal(told, [f"postern-alert: {directory}/state: Read-only file system; the state is kept in "
                         f"/run/postern-alert/state; make it writable: install -d -m 0700 {directory}"])
    here.run("mount", "-o", "remount,rw", directory)
    look()
    harness.equal((here.root / f"{directory[1:]}/state").read_text(), "OK\n")
    assert not (here.root / "run/postern-alert/state").exists(), "the second place is given up"


def test_an_alert_without_a_place_for_its_state_says_so():
    """Without the unit there is no second place: the alert is repeated, and the cause is printed."""
    harness.need_root("a directory that root cannot write to")
    place = harness.scratch()
    (place / "state").mkdir()
    (place / "postern-status").write_text("#!/bin/sh\necho WARNING: x\nexit 1\n")
    (place / "postern-status").chmod(0o755)
    script = harness.HERE.parent.parent / "units/postern-alert"
    command = (f"mount -t tmpfs none {place}/state && mount -o remount,ro {place}/state && "
               f"{script} {place}/state/file echo alert")
    for _ in range(2):
        done = harness.run("unshare", "--mount", "sh", "-c", command,
                           env=harness.environment(PATH=f"{place}:/usr/sbin:/usr/bin:/sbin:/bin"))
        harness.equal((done.returncode, done.stdout.splitlines()), (1, [
            "alert", f"postern-alert: {place}/state/file: Read-only file system; the alert is given again at each run "
                     f"until it can be written; make it writable: install -d -m 0700 {place}/state"]))


if __name__ == "__main__":
    harness.main()
