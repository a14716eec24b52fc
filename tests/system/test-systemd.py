#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""The shipped units in a real systemd with a real journald, PID 1 of namespaces of its own: the installed program, a
message through STARTTLS, and its records and status lines."""

import json
import os
import stat
import socket
import subprocess

import harness
from harness import PATIENCE, RECIPIENT, Client
from machine import LOGIN, SETTINGS, SHIPPED, exposes_at_most, server, unit, verify

EXPOSURE = 65  # tenths; postern's own sandbox is not seen by systemd-analyze


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
    here = server()
    client = secured(here)
    harness.equal(client.socket.getpeercert(binary_form=True), harness.pair().der())
    path, received = check_message(here, client)
    harness.contains(received, "[127.0.0.1]")
    with open(here.root / "etc/passwd", encoding="utf-8") as passwd:
        uid = next(int(line.split(":")[2]) for line in passwd if line.startswith("postern:"))
    harness.equal(path.stat().st_uid, uid, "the message belongs to the user of the unit")
    harness.equal(path.stat().st_mode & 0o077, 0, "nobody else may read it")


def test_the_records_are_fields_in_the_journal():
    here = server()
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
    here = server()
    cursor = here.cursor()
    check_message(here, secured(here))
    here.record(cursor)
    ours = here.journal(cursor, SYSLOG_IDENTIFIER="postern")
    harness.equal([r.get("POSTERN_EVENT") for r in ours], ["message", "session"])


def test_a_failed_handshake_has_the_panels_line():
    here = server()
    cursor = here.cursor()
    client = here.connect()
    client.fail_handshake("no TLS at all\r\n")
    client.close()
    harness.equal(here.record(cursor)["POSTERN_STATUS"], "SSL Error (SMTP Receive)")


def test_mail_in_the_clear_has_the_panels_line_where_tls_is_required():
    here = server()
    cursor = here.cursor()
    here.settings(SETTINGS.replace("tls = on", "tls = required"))
    client = here.connect()
    client.ehlo()
    client.say(f"MAIL FROM:<{harness.SENDER}>", 530)
    client.expect_end()
    harness.equal(here.record(cursor)["POSTERN_STATUS"], "SSL Error (SMTP RX Reject)")


def test_a_new_certificate_is_used_by_the_next_connection():
    here = server()
    harness.at_end(here.certificate, harness.pair())
    here.certificate(harness.pair(serial=2))
    client = secured(here)
    harness.equal(client.socket.getpeercert(binary_form=True), harness.pair(serial=2).der())
    client.quit()


def test_a_missing_certificate_costs_no_mail_and_is_told():
    here = server()
    cursor = here.cursor()
    harness.at_end(here.certificate, harness.pair())
    (here.root / "etc/postern/tls.key").unlink()
    client = here.connect()
    client.ehlo()
    client.say("STARTTLS", 454)
    check_message(here, client)
    harness.contains(here.record(cursor)["POSTERN_TLS_FAULT"], "tls.")


def test_nothing_is_left_of_a_connection_however_it_ended():
    here = server()
    for signal in ("KILL", "TERM", "ABRT"):
        client = here.connect()
        here.run("systemctl", "kill", f"--signal={signal}", "postern@*")
        client.rest()
        client.close()
    harness.eventually(lambda: not here.instances(), "no unit of a connection is left")
    harness.contains(here.show("postern.socket", "ActiveState"), "active")


def test_stopping_a_connection_is_told_to_the_client():
    here = server()
    client = here.connect()
    client.ehlo()
    here.run("systemctl", "stop", "postern@*")
    client.expect(421, "4.3.2")
    client.expect_end()


def test_a_flood_does_not_switch_the_socket_off():
    here = server()
    harness.contains(here.show("postern.socket", "TriggerLimitIntervalUSec"), "=0")
    for _ in range(60):
        here.connect(greeting=False).close()
    harness.eventually(lambda: not here.instances(), "all have gone")
    client = here.connect()
    client.quit()
    harness.contains(here.show("postern.socket", "ActiveState", "Result"), "ActiveState=active")


def test_one_source_cannot_take_every_place():
    here = server()
    clients = [here.connect() for _ in range(32)]
    extra = here.connect(greeting=False)
    harness.equal(extra.rest(), b"")
    clients.pop().quit()
    for client in clients:
        client.close()
    harness.eventually(lambda: not here.instances(), "all have gone")


def test_syslog_where_the_setting_asks_for_it():
    here = server()
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
    here = server()
    cursor = here.cursor()
    here.settings(SETTINGS + "log = journal\n")
    check_message(here, secured(here))
    here.record(cursor)


def test_the_unit_works_with_a_dynamic_user():
    """For a machine that shall have no entry in /etc/passwd for postern."""
    here = server()
    here.drop_in("postern@.service", "[Service]\nDynamicUser=yes\nUser=postern-dynamic\n"
                 "StateDirectory=\nStateDirectory=postern-dynamic\n")
    here.settings(SETTINGS.replace("/var/lib/postern", "/var/lib/postern-dynamic"))
    client = secured(here)
    harness.equal(client.message(harness.sample()).code, 250)
    client.say("QUIT", 221)
    client.expect_end()
    found = list((here.root / "var/lib/private/postern-dynamic").glob("**/new/*"))
    harness.equal(len(found), 1)


def test_users_are_credentials():
    """Tables that root alone can read, for a process that never was root."""
    here = server()
    here.let_log_in("postern@.service")
    cursor = here.cursor()
    client = secured(here)
    client.say("MAIL FROM:<>", 530, "5.7.0")
    client.say(LOGIN, 235)
    _, received = check_message(here, client)
    harness.contains(received, "with ESMTPSA")
    harness.equal(here.record(cursor)["POSTERN_USER"], "scanner")


def test_the_table_of_recipients_is_looked_up_in_the_unit():
    here = server()
    name, table = RECIPIENT.split("@")[0], here.root / "etc/postern/recipients.cdb"
    done = harness.run(harness.build / "src/postern-cdb", table, input=f"{RECIPIENT}\nelsewhere {name}\n")
    harness.equal((done.returncode, done.stdout), (0, ""))
    table.chmod(0o644)  # the unit starts as its user
    here.settings(SETTINGS + "recipients = /etc/postern/recipients.cdb\nsubaddress-delimiter = +\n")
    client = secured(here)
    client.say(f"MAIL FROM:<{harness.SENDER}>", 250)
    for local, code in ((name, 250), (f"{name}+x", 250), ("elsewhere", 250), ("nobody", 550)):
        client.say(f"RCPT TO:<{local}@{harness.DOMAIN}>", code)
    client.say("RSET", 250)
    check_message(here, client)


def test_check_names_no_fault_in_the_installed_settings():
    """As root of the machine, with files in the place of credentials."""
    here = server()
    here.write("etc/postern/files.conf", SETTINGS.replace("credential:", "/etc/postern/"))
    here.run("env", "PATH=/usr/local/sbin:/usr/sbin", "postern", "-c", "/etc/postern/files.conf",
             "--check")


# TLS from the first octet (RFC 8314)


def test_a_message_through_port_465():
    """Regardless of `tls` in postern.conf."""
    here = server()
    cursor = here.cursor()
    here.start("postern-smtps.socket")
    client = here.connect(greeting=False, port=465)
    client.handshake()
    harness.equal(client.socket.getpeercert(binary_form=True), harness.pair().der())
    client.expect(220)
    assert not client.ehlo().has("STARTTLS")
    _, received = check_message(here, client)
    harness.contains(received, "with ESMTPS ")
    session = here.record(cursor)
    harness.equal((session["POSTERN_TLS"], session["POSTERN_PEER"]), ("TLS1.3", "127.0.0.1"))
    harness.contains(session["_SYSTEMD_UNIT"], "postern-smtps@")
    harness.eventually(lambda: not here.instances("postern-smtps@*"), "nothing is left of it")


def test_without_a_certificate_port_465_says_so_in_an_alert():
    here = server()
    cursor = here.cursor()
    harness.at_end(here.certificate, harness.pair())
    (here.root / "etc/postern/tls.key").unlink()
    here.start("postern-smtps.socket")
    client = here.connect(greeting=False, port=465)
    harness.equal(client.rest()[:1], b"\x15", "an alert")
    session = here.record(cursor)
    harness.contains(session["POSTERN_TLS_FAULT"], "tls.")


# A mail server's delivery agent (RFC 2033)

LMTP_SOCKET = "run/postern/lmtp"


def connect_lmtp(here, user=None):
    """Through the socket of the shipped unit, as root or as another."""
    connection = socket.socket(socket.AF_UNIX)
    path, before = here.root / LMTP_SOCKET, os.getcwd()
    os.chdir(path.parent)  # only root may pass the way there
    if user is not None:
        os.seteuid(user)
    try:
        connection.connect(path.name)
    finally:
        os.seteuid(0)
        os.chdir(before)
    client = Client(connection)
    client.expect(220)
    return client


def test_a_message_by_lmtp():
    """In the clear, regardless of `tls` in postern.conf."""
    here = server()
    cursor = here.cursor()
    here.settings(SETTINGS.replace("tls = on", "tls = required"))
    here.start("postern-lmtp.socket")
    client = connect_lmtp(here)
    assert not client.lhlo().has("STARTTLS")
    client.say(f"MAIL FROM:<{harness.SENDER}>", 250)
    client.say(f"RCPT TO:<{RECIPIENT}>", 250)
    client.say("RCPT TO:<nobody@elsewhere.example>", 550)
    client.say(f"RCPT TO:<{RECIPIENT}>", 250)
    client.say("DATA", 354)
    sent = harness.sample()
    harness.equal([client.content(sent).code, client.reply().code], [250, 250])
    client.say("QUIT", 221)
    client.expect_end()
    path, = here.messages()
    harness.contains(" ".join(harness.check_stored(path, sent)), "with LMTP id")
    message = here.record(cursor, "message")
    harness.equal(message["POSTERN_RECIPIENTS"], "2")
    session = here.record(cursor)
    harness.equal(session["POSTERN_PEER"], "unknown")
    harness.contains(session["_SYSTEMD_UNIT"], "postern-lmtp@")
    harness.eventually(lambda: not here.instances("postern-lmtp@*"), "nothing is left of it")


def test_only_whom_the_drop_in_names_may_deliver():
    here = server()
    here.drop_in("postern-lmtp.socket", "[Socket]\nSocketUser=nobody\n")
    here.start("postern-lmtp.socket")
    nobody = (here.root / LMTP_SOCKET).stat().st_uid
    harness.equal(stat.S_IMODE((here.root / LMTP_SOCKET).stat().st_mode), 0o600)
    assert nobody not in (0, 1), nobody
    client = connect_lmtp(here, nobody)
    client.lhlo()
    client.say("QUIT", 221)
    try:
        connect_lmtp(here, 1)
    except PermissionError:
        pass
    else:
        raise AssertionError("daemon may not connect")


def test_lmtp_leaves_no_socket_behind():
    here = server()
    here.run("systemctl", "start", "postern-lmtp.socket")
    assert (here.root / LMTP_SOCKET).exists()
    here.run("systemctl", "stop", "postern-lmtp.socket")
    assert not (here.root / LMTP_SOCKET).exists()


def test_lmtp_on_port_25_is_refused_and_told():
    here = server()
    cursor = here.cursor()
    here.drop_in("postern-lmtp.socket", "[Socket]\nListenStream=\nListenStream=127.0.0.1:25\n")
    here.start("postern-lmtp.socket")
    client = here.connect(greeting=False, port=25)
    client.expect(421, "4.3.5")
    client.expect_end()
    harness.contains(here.record(cursor, "error")["POSTERN_TEXT"], "port 25")


# Without a booted systemd


def settings_of(name):
    """A unit's lines without comments, a list for each section, and what it does."""
    sections, current = {}, None
    for line in unit(name).read_text().splitlines():
        if line.startswith("["):
            current = sections.setdefault(line, [])
        elif line and not line.startswith("#"):
            current.append(line)
    return sections


@harness.table(
    lmtp=("postern-lmtp@.service", " -o tls=off --lmtp"),
    smtps=("postern-smtps@.service", " -o tls=implicit"),
    submission=("postern-submission@.service", " -o tls=required -o auth=required"))
def test_the_services_differ_in_what_they_start_alone(name, options):
    """And LMTP, which has neither TLS nor logins, has no credentials."""
    ours, theirs = settings_of("postern@.service"), settings_of(name)
    if "lmtp" in name:
        ours["[Service]"] = [line for line in ours["[Service]"] if "Credential=" not in line]
    start = [line for line in ours["[Service]"] if line.startswith("ExecStart=")]
    harness.equal(len(start), 1)
    ours["[Service]"] = [line + options if line in start else line for line in ours["[Service]"]]
    for sections in (ours, theirs):
        sections["[Unit]"] = [line for line in sections["[Unit]"] if not line.startswith("Description=")]
    harness.equal(theirs, ours)


@harness.table(smtps=("smtps", 465), submission=("submission", 587))
def test_the_sockets_of_the_network_differ_in_their_port_alone(kind, port):
    ours, theirs = settings_of("postern.socket"), settings_of(f"postern-{kind}.socket")
    for sections, port in ((ours, 25), (theirs, port)):
        harness.equal(sections["[Socket]"].pop(0), f"ListenStream={port}")
        del sections["[Unit]"]
    harness.equal(theirs, ours)


def test_meson_installs_every_unit():
    tree = harness.scratch()
    done = harness.run("meson", "install", "-C", harness.build, "--no-rebuild", "--destdir", tree,
                       patience=60, env=dict(os.environ))
    harness.equal(done.returncode, 0, done.stdout)
    installed = {path.name for path in tree.glob("**/systemd/system/*")}
    shipped = {path.name.removesuffix(".in") for path in unit("postern.socket").parent.glob("postern*.[sp][oea]*")}
    assert shipped <= installed, (shipped, installed)


def test_systemd_analyze_verify_prints_nothing():
    verify(*SHIPPED)


@harness.table_of({name: name for name in ("postern@", "postern-lmtp@", "postern-smtps@", "postern-submission@")})
def test_systemd_analyze_security_is_within_its_threshold(name):
    exposes_at_most(f"{name}.service", EXPOSURE)


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
        *place.command())
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
# a socket exists before a process listens on it
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
