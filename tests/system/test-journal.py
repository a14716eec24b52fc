#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Under a real systemd: records in a real journald, their entries in the catalog, and the state of a running session
in systemctl."""

import harness
from harness import RECIPIENT
from machine import SETTINGS, server


def here_with_catalog():
    here = server()
    here.run("journalctl", "--update-catalog")
    return here


def explained(here, cursor, **fields):
    """The output of `journalctl -x` for the only entry with these fields."""
    entry = harness.eventually(lambda: here.journal(cursor, **fields), f"an entry with {fields}")[0]
    text = here.run("journalctl", "-x", "-o", "short", f"MESSAGE_ID={entry['MESSAGE_ID']}",
                    f"_PID={entry['_PID']}")
    return " ".join(text.replace("\u2591\u2591", "").split())


def test_a_failed_handshake_is_explained_by_journalctl():
    here = here_with_catalog()
    cursor = here.cursor()
    client = here.connect()
    client.fail_handshake("QUIT\r\n")
    client.close()
    text = explained(here, cursor, POSTERN_STATUS="SSL Error (SMTP Receive)")
    harness.contains(text, "Subject: SSL Error (SMTP Receive): TLS could not begin")
    harness.contains(text, "client continued in the clear after STARTTLS (QUIT")
    harness.contains(text, "The TLS handshake with 127.0.0.1 failed")


def test_mail_in_the_clear_is_explained_by_journalctl():
    here = here_with_catalog()
    cursor = here.cursor()
    here.settings(SETTINGS.replace("tls = on", "tls = ssl"))
    client = here.connect()
    client.ehlo("scanner.example.org")
    client.say(f"MAIL FROM:<{harness.SENDER}>", 530)
    client.expect_end()
    text = explained(here, cursor, POSTERN_STATUS="SSL Error (SMTP RX Reject)")
    harness.contains(text, "scanner.example.org [127.0.0.1] continued in the clear")
    entry = here.journal(cursor, POSTERN_STATUS="SSL Error (SMTP RX Reject)")[0]
    harness.equal(entry["PRIORITY"], "4")


def test_records_on_standard_error_name_the_program_once():
    """The journal has the name and the process for lines of standard error."""
    here = here_with_catalog()
    cursor = here.cursor()
    here.settings(SETTINGS + "log = stderr\n")
    client = here.connect()
    client.ehlo()
    client.say("QUIT", 221)
    client.expect_end()
    entry = harness.eventually(lambda: [e for e in here.journal(cursor, _TRANSPORT="stdout")
                                        if "event=session" in e["MESSAGE"]], "the record")[0]
    assert entry["MESSAGE"].startswith("event=session "), entry["MESSAGE"]
    harness.equal(entry["SYSLOG_IDENTIFIER"], "postern")


def test_a_delivery_is_explained_by_journalctl():
    here = here_with_catalog()
    cursor = here.cursor()
    client = here.connect()
    client.ehlo()
    harness.equal(client.message(harness.sample()).code, 250)
    client.say("QUIT", 221)
    client.expect_end()
    text = explained(here, cursor, POSTERN_EVENT="message")
    harness.contains(text, f"from <{harness.SENDER}> for <{RECIPIENT}>")
    harness.contains(text, f"new/{here.messages()[0].name}")


def test_every_entry_has_a_number_that_the_catalog_knows():
    here = here_with_catalog()
    known = here.run("journalctl", "--list-catalog")
    entries = [e for e in here.journal(here.first) if "POSTERN_EVENT" in e]
    assert len(entries) >= 4, entries
    for entry in entries:
        harness.contains(known, entry["MESSAGE_ID"])


def test_hostile_values_forge_no_field():
    here = server()
    cursor = here.cursor()
    client = here.connect()
    client.send(b"HELO " + b"A" * 65536 + b"\r\n")
    client.expect(500)
    client.send(b'HELO x\x01\nPOSTERN_STATUS=forged\r\n')
    client.reply()
    client.reply()
    client.say('HELO x"=\\n POSTERN_STATUS=forged', 250)
    client.send(b'MAIL FROM:<"\\\nPRIORITY=0"@example.net>\r\n')
    client.reply()
    client.reply()
    client.envelope()
    client.say("DATA", 354)
    client.send(b"Message-ID: <\xff\xfe\nPRIORITY=0\x1b[2J\r\n\r\n.\r\n")
    client.expect(250)
    client.say("QUIT", 221)
    client.expect_end()
    session = harness.eventually(lambda: here.journal(cursor, POSTERN_EVENT="session"), "the record")[0]
    message = here.journal(cursor, POSTERN_EVENT="message")[0]
    harness.equal(session["POSTERN_HELO"], "x\\x22=\\x5Cn POSTERN_STATUS=forged")
    for entry in (session, message):
        assert "POSTERN_STATUS" not in entry and entry["PRIORITY"] == "6", entry
    harness.contains(message["POSTERN_MESSAGE_ID"], "\\xFF\\xFE")


def status_of(here):
    return here.run("systemctl", "show", "-p", "StatusText", "--value", "postern@*")


def wait_for_status(here, text):
    harness.eventually(lambda: text in status_of(here), f"{text!r} in {status_of(here)!r}")


def test_systemctl_shows_what_a_session_does():
    here = server()
    client = here.connect()
    wait_for_status(here, "Connected: 127.0.0.1")
    client.ehlo("scanner.example.org")
    client.starttls()
    client.ehlo("scanner.example.org")
    wait_for_status(here, "Connected: 127.0.0.1 (scanner.example.org), TLS1.3")
    client.envelope()
    client.say("DATA", 354)
    wait_for_status(here, "Receiving a message: 127.0.0.1 (scanner.example.org), TLS1.3")
    client.send(".\r\n")
    client.expect(250)
    wait_for_status(here, "Connected: 127.0.0.1 (scanner.example.org), TLS1.3, 1 message delivered")
    client.say("QUIT", 221)


def test_systemctl_shows_a_failure_until_the_client_is_gone():
    here = server()
    client = here.connect()
    client.ehlo()
    client.say("STARTTLS", 220)
    client.send("no TLS at all\r\n")
    client.rest()
    wait_for_status(here, "SSL Error (SMTP Receive): 127.0.0.1")
    client.close()


def fill_the_queue(here):
    """Until journald, which is stopped, can be sent nothing more."""
    here.run("python3", "-c", """
import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.setblocking(False)
try:
    while True:
        s.sendto(b"MESSAGE=filler\\n", "/run/systemd/journal/socket")
except BlockingIOError:
    pass
""")


def send(here, number):
    """So many messages in a session."""
    client = here.connect()
    client.ehlo()
    for _ in range(number):
        harness.equal(client.message(harness.sample()).code, 250)
    client.say("QUIT", 221)
    client.expect_end()


def test_a_journald_that_is_stuck_costs_no_mail_and_holds_nobody_up():
    here = server()
    here.run("systemctl", "kill", "--signal=STOP", "systemd-journald.service")
    harness.at_end(here.run, "systemctl", "kill", "--signal=CONT", "systemd-journald.service")
    fill_the_queue(here)
    send(here, 3)
    harness.equal(len(here.messages()), 3)


def test_a_full_disk_for_records_is_reported_in_the_journal():
    here = server()
    cursor = here.cursor()
    here.run("sh", "-c", "mkdir -p /var/log/postern/full && mount -t tmpfs -o size=4k tmpfs /var/log/postern/full && "
             "chown postern: /var/log/postern/full && head -c 4096 /dev/zero >/var/log/postern/full/log.json && "
             "chown postern: /var/log/postern/full/log.json")
    harness.at_end(here.run, "umount", "/var/log/postern/full")
    here.settings(SETTINGS + "log = json:/var/log/postern/full/log.json\n")
    send(here, 2)
    fault = "log /var/log/postern/full/log.json: No space left on device"

    def told():
        return [e for e in here.journal(cursor, SYSLOG_IDENTIFIER="postern") if fault in e["MESSAGE"]]
    entry, = harness.eventually(told, "the entry")
    harness.equal(entry["PRIORITY"], "3")
    harness.contains(entry["_SYSTEMD_UNIT"], "postern@")


def test_without_journald_mail_is_taken():
    here = server()
    sockets = ("systemd-journald.socket", "systemd-journald-dev-log.socket")
    harness.at_end(here.run, "systemctl", "start", *sockets, "systemd-journald.service")
    here.run("sh", "-c", "rm -f /run/systemd/journal/socket; systemctl stop systemd-journald.service", check=False)
    send(here, 1)
    harness.equal(len(here.messages()), 1)


harness.main()
