#!/usr/bin/python3
"""The shipped units in a real systemd with a real journald, PID 1 of namespaces of its own: the
installed program, a message through STARTTLS, and the records and status lines that come of it."""

import ctypes
import json
import os
import socket
import subprocess

import harness
from harness import DOMAIN, PATIENCE, RECIPIENT, Client, Skip
from machine import UNITS, Machine, tree_with

SHIPPED = ("postern.socket", "postern@.service")
EXPOSURE = 65  # tenths; postern's own sandbox is not seen by systemd-analyze
MAILDIR = f"var/lib/postern/{DOMAIN}/printer"
CLONE_NEWNET = 0x40000000

SETTINGS = f"""\
hostname = {harness.HOST}
domains = {DOMAIN}
mail-root = /var/lib/postern
maildir = %d/%u
maildir-create = yes
tls = on
tls-certificate = credential:tls.crt
tls-key = credential:tls.key
"""


class Server(Machine):
    """postern behind its socket unit, with an administrator's files; one for the whole file."""

    def install(self):
        super().install()
        self.install_units(*SHIPPED)
        self.write("etc/systemd/system/postern.socket.d/port.conf",
                   "[Socket]\nListenStream=\nListenStream=127.0.0.1:2525\n")
        self.write("etc/postern/postern.conf", SETTINGS)
        self.certificate(harness.pair())
        self.run("systemctl", "daemon-reload")
        self.run("systemctl", "start", "postern.socket")

    def certificate(self, pair):
        self.write("etc/postern/tls.crt", pair.certificate.read_text())
        self.write("etc/postern/tls.key", pair.key.read_text())
        (self.root / "etc/postern/tls.key").chmod(0o600)

    def settings(self, text):
        """Settings for the next connection, and the usual ones again after the test."""
        self.write("etc/postern/postern.conf", text)
        harness.at_end(self.write, "etc/postern/postern.conf", SETTINGS)

    def connect(self, greeting=True):
        """A client in the machine's network, driven from here."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open("/proc/self/ns/net", "rb") as ours, open(
                f"/proc/{self.pid}/ns/net", "rb") as theirs:
            assert libc.setns(theirs.fileno(), CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
            try:
                connection = socket.create_connection(("127.0.0.1", 2525), PATIENCE)
            finally:
                assert libc.setns(ours.fileno(), CLONE_NEWNET) == 0
        client = Client(connection)
        if greeting:
            client.expect(220)
        return client

    def messages(self):
        return sorted((self.root / MAILDIR).glob("new/*"))

    def record(self, cursor, event="session"):
        return harness.eventually(
            lambda: self.journal(cursor, POSTERN_EVENT=event), f"a record of a {event}")[0]

    def instances(self):
        return self.run("systemctl", "list-units", "--all", "--plain", "--no-legend", "postern@*")


_machine = None


def machine():
    global _machine
    if _machine is None:
        try:
            _machine = Server()
        except Skip as reason:
            _machine = reason
    if isinstance(_machine, Skip):
        raise _machine
    for path in _machine.messages():
        path.unlink()
    return _machine


def secured(here):
    client = here.connect()
    client.ehlo()
    client.starttls()
    client.ehlo()
    return client


def check_message(here, client):
    sent = harness.sample()
    harness.equal(client.message(sent).code, 250)
    client.say("QUIT", 221)
    client.expect_end()
    path = harness.eventually(here.messages, "a message in new/")[0]
    trace = harness.check_stored(path, sent)
    return path, next(t for t in trace if t.startswith("Received:"))


def test_a_message_through_starttls_with_the_certificate_of_a_credential():
    here = machine()
    client = secured(here)
    harness.equal(client.socket.getpeercert(binary_form=True), harness.pair().der())
    path, received = check_message(here, client)
    harness.contains(received, "[127.0.0.1]")
    with open(here.root / "etc/passwd", encoding="utf-8") as passwd:
        uid = next(int(line.split(":")[2]) for line in passwd if line.startswith("postern:"))
    harness.equal(path.stat().st_uid, uid, "the message belongs to the user of the unit")
    harness.equal(path.stat().st_mode & 0o077, 0, "nobody else may read it")


def test_the_records_are_fields_in_the_journal():
    here = machine()
    cursor = here.cursor()
    path, _ = check_message(here, secured(here))
    message = here.record(cursor, "message")
    harness.equal(message["POSTERN_PEER"], "127.0.0.1")
    harness.contains(message["POSTERN_FROM"], harness.SENDER)
    harness.contains(message["POSTERN_TO"], RECIPIENT)
    harness.equal(message["POSTERN_FILE"], path.name)
    harness.equal(message["POSTERN_TLS"], "TLS1.3")
    harness.equal(message["POSTERN_MESSAGE_ID"], "<1@client.example.net>")
    session = here.record(cursor)
    harness.equal(session["POSTERN_TLS"], "TLS1.3")
    harness.equal(session["POSTERN_MESSAGES"], "1")
    for record in (message, session):
        harness.equal(record["SYSLOG_IDENTIFIER"], "postern")
        harness.contains(record["_SYSTEMD_UNIT"], "postern@")
        assert record["MESSAGE"], record


def test_every_record_is_there_once():
    here = machine()
    cursor = here.cursor()
    check_message(here, secured(here))
    here.record(cursor)
    ours = here.journal(cursor, SYSLOG_IDENTIFIER="postern")
    harness.equal([r.get("POSTERN_EVENT") for r in ours], ["message", "session"])


def test_a_failed_handshake_has_the_panels_line():
    here = machine()
    cursor = here.cursor()
    client = here.connect()
    client.ehlo()
    client.say("STARTTLS", 220)
    client.send("no TLS at all\r\n")
    client.rest()
    client.close()
    harness.equal(here.record(cursor)["POSTERN_STATUS"], "SSL Error (SMTP Receive)")


def test_mail_in_the_clear_has_the_panels_line_where_tls_is_required():
    here = machine()
    cursor = here.cursor()
    here.settings(SETTINGS.replace("tls = on", "tls = required"))
    client = here.connect()
    client.ehlo()
    client.say(f"MAIL FROM:<{harness.SENDER}>", 530)
    client.expect_end()
    harness.equal(here.record(cursor)["POSTERN_STATUS"], "SSL Error (SMTP RX Reject)")


def test_a_new_certificate_is_used_by_the_next_connection():
    here = machine()
    harness.at_end(here.certificate, harness.pair())
    here.certificate(harness.pair(serial=2))
    client = secured(here)
    harness.equal(client.socket.getpeercert(binary_form=True), harness.pair(serial=2).der())
    client.quit()


def test_a_missing_certificate_costs_no_mail_and_is_told():
    here = machine()
    cursor = here.cursor()
    harness.at_end(here.certificate, harness.pair())
    (here.root / "etc/postern/tls.key").unlink()
    client = here.connect()
    client.ehlo()
    client.say("STARTTLS", 454)
    check_message(here, client)
    harness.contains(here.record(cursor)["POSTERN_TLS_FAULT"], "tls.")


def test_nothing_is_left_of_a_connection_however_it_ended():
    here = machine()
    for signal in ("KILL", "TERM", "ABRT"):
        client = here.connect()
        here.run("systemctl", "kill", f"--signal={signal}", "postern@*")
        client.rest()
        client.close()
    harness.eventually(lambda: not here.instances(), "no unit of a connection is left")
    harness.contains(here.show("postern.socket", "ActiveState"), "active")


def test_stopping_a_connection_is_told_to_the_client():
    here = machine()
    client = here.connect()
    client.ehlo()
    here.run("systemctl", "stop", "postern@*")
    client.expect(421, "4.3.2")
    client.expect_end()


def test_a_flood_does_not_switch_the_socket_off():
    here = machine()
    harness.contains(here.show("postern.socket", "TriggerLimitIntervalUSec"), "=0")
    for _ in range(60):
        here.connect(greeting=False).close()
    harness.eventually(lambda: not here.instances(), "all have gone", 30)
    client = here.connect()
    client.quit()
    harness.contains(here.show("postern.socket", "ActiveState", "Result"), "ActiveState=active")


def test_one_source_cannot_take_every_place():
    here = machine()
    clients = [here.connect() for _ in range(32)]
    extra = here.connect(greeting=False)
    harness.equal(extra.rest(), b"")
    clients.pop().quit()
    for client in clients:
        client.close()
    harness.eventually(lambda: not here.instances(), "all have gone", 30)


def test_syslog_where_the_setting_asks_for_it():
    here = machine()
    cursor = here.cursor()
    here.settings(SETTINGS + "log = syslog\n")
    check_message(here, secured(here))

    def told():
        found = here.journal(cursor, SYSLOG_IDENTIFIER="postern", _TRANSPORT="syslog")
        return len(found) > 1 and [r["MESSAGE"] for r in found]

    lines = harness.eventually(told, "records by way of /dev/log")
    assert any("event=message" in line for line in lines), lines
    assert any("event=session" in line for line in lines), lines


def test_journal_where_the_setting_asks_for_it():
    here = machine()
    cursor = here.cursor()
    here.settings(SETTINGS + "log = journal\n")
    check_message(here, secured(here))
    here.record(cursor)


def test_the_unit_works_with_a_dynamic_user():
    """For a machine that shall have no entry in /etc/passwd for postern."""
    here = machine()
    drop_in = "etc/systemd/system/postern@.service.d/dynamic.conf"
    here.write(drop_in, "[Service]\nDynamicUser=yes\nUser=postern-dynamic\n"
                        "StateDirectory=\nStateDirectory=postern-dynamic\n")
    here.settings(SETTINGS.replace("/var/lib/postern", "/var/lib/postern-dynamic"))
    here.run("systemctl", "daemon-reload")

    def undo():
        (here.root / drop_in).unlink()
        here.run("systemctl", "daemon-reload")

    harness.at_end(undo)
    client = secured(here)
    harness.equal(client.message(harness.sample()).code, 250)
    client.say("QUIT", 221)
    client.expect_end()
    found = list((here.root / "var/lib/private/postern-dynamic").glob("**/new/*"))
    harness.equal(len(found), 1)


def test_check_names_no_fault_in_the_installed_settings():
    """As root of the machine, with files in the place of credentials."""
    here = machine()
    here.write("etc/postern/files.conf", SETTINGS.replace("credential:", "/etc/postern/"))
    here.run("env", "PATH=/usr/local/sbin:/usr/sbin", "postern", "-c", "/etc/postern/files.conf",
             "--check")


# Without a booted systemd


def test_systemd_analyze_verify_prints_nothing():
    done = harness.run("systemd-analyze", "verify", "--man=no",
                       f"--root={tree_with('postern', *SHIPPED)}",
                       "postern.socket", "postern@.service")
    harness.equal((done.returncode, done.stdout), (0, ""))


def test_systemd_analyze_security_is_within_its_threshold():
    harness.need("systemd-analyze")
    done = harness.run("systemd-analyze", "security", "--offline=true", "--no-pager",
                       f"--threshold={EXPOSURE}", UNITS / "postern@.service")
    harness.equal(done.returncode, 0, done.stdout[-200:])


def test_journald_alone_takes_records_of_a_program_run_by_hand():
    """No PID 1 but ours: a journald in namespaces of its own, its socket for standard error."""
    harness.need_root("a journald of our own")
    harness.need("systemd-cat", "unshare")
    place = harness.Site(log="journal")
    script = place.dir / "session"
    script.write_text("EHLO client.example.net\r\nQUIT\r\n")
    out = place.dir / "journal"
    out.mkdir()
    done = harness.run(
        "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
        "--propagation", "private", "/bin/sh", "-euc", JOURNALD, "sh", out, script,
        *place.command(), patience=60)
    harness.equal(done.returncode, 0, done.stdout)
    text = subprocess.run(
        ["journalctl", "-D", out, "-o", "json", "-a", "POSTERN_EVENT=session"],
        capture_output=True, text=True, check=False, timeout=PATIENCE).stdout
    harness.equal(json.loads(text)["POSTERN_HELO"], "client.example.net")


JOURNALD = """
out=$1 script=$2
shift 2
exec 9<"$out"
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/systemd/journal /run/log/journal /run/systemd/journald.conf.d
printf '[Journal]\\nStorage=volatile\\nReadKMsg=no\\nAudit=no\\nForwardToSyslog=no\\n' \\
    >/run/systemd/journald.conf.d/test.conf
SYSTEMD_LOG_TARGET=console /lib/systemd/systemd-journald >/run/out 2>&1 9<&- &
for i in $(seq 500); do
    [ -S /run/systemd/journal/socket ] && [ -S /run/systemd/journal/io.systemd.journal ] && break
    sleep 0.02
done
# a socket is there before anybody listens on it
for i in $(seq 100); do
    journalctl --sync 2>/dev/null && break
    sleep 0.1
done
"$@" <"$script" 9<&-
journalctl --sync
cp -r /run/log/journal/. /proc/self/fd/9/
"""


if __name__ == "__main__":
    harness.main()
