#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Records are lines and fields that clients cannot forge, in every sink; a failing sink loses no mail and delays no
client."""

import contextlib
import json
import os
import re
import socket
import stat
import subprocess

import harness
from harness import RECIPIENT, SENDER, Listener, Site

# What may leave its place: quotes, escapes, line ends, names of fields, and octets of no character.
HOSTILE = b'x" event="message" status="SSL Error (SMTP Receive)\\n\x1b[2J\xff\xfe\xc3\\'


def place(**settings):
    here = Site(**settings)
    here.json = here.dir / "log.json"
    return here.set(log=f"json:{here.json}") if "log" not in settings else here


def lines(here):
    return here.json.read_text(encoding="ascii").splitlines()


def records(here, event=None):
    found = [json.loads(line) for line in lines(here)]
    return [r for r in found if event in (None, r["event"])]


def deliver(here, **options):
    client = here.connect(**options)
    client.ehlo()
    harness.equal(client.message(harness.sample()).code, 250)
    client.quit()


def hostile_session(client):
    """All values that a client can send about itself, in all accepted forms."""
    client.send(b"HELO " + b"A" * 65536 + b"\r\n")
    client.reply()
    client.send(b"HELO " + HOSTILE + b"\r\n")
    client.reply()
    client.send(b'HELO x" event="message" status="no\\\r\n')
    client.expect(250)
    client.send(b'MAIL FROM:<"a\\" outcome=\\"delivered"@example.net>\r\n')
    client.expect(250)
    client.send(b'RCPT TO:<"b>,<c\\" to=\\"d"@example.org>\r\n')
    client.reply()
    client.say(f"RCPT TO:<{RECIPIENT}>", 250)
    client.say("DATA", 354)
    client.send(b"Message-ID: <" + HOSTILE + b">\r\nSubject: secret words\r\n\r\nsecret text\r\n.\r\n")
    client.expect(250)
    client.send(b"\xff" * 100 + b"\r\n")
    client.reply()


def check_hostile(session, message):
    """The values of the record, from any sink."""
    harness.equal(session["helo"], "x\\x22 event=\\x22message\\x22 status=\\x22no\\x5C")
    assert "status" not in session, session
    harness.contains(message["from"], "outcome=\\x5C\\x22delivered")
    harness.contains(message["message_id"], "\\x1B[2J\\xFF\\xFE\\xC3")
    for value in (*session.values(), *message.values()):
        assert "secret" not in str(value), value


def test_a_hostile_session_is_two_lines_of_json():
    here = place()
    client = here.connect()
    hostile_session(client)
    client.quit()
    message, session = records(here)
    check_hostile(session, message)
    harness.equal(message["to"], ['\\x22b\\x3E,\\x3Cc\\x5C\\x22 to=\\x5C\\x22d\\x22@example.org', RECIPIENT])
    for line in lines(here):
        assert all(32 <= ord(c) < 127 for c in line), line


def test_a_hostile_session_is_two_lines_of_text():
    here = Site()
    client = here.connect()
    hostile_session(client)
    client.quit()
    text = here.log_text().splitlines()
    harness.equal(len(text), 2)
    session, message = here.session(), here.records("message")[0]
    check_hostile(session, message)


def test_json_has_numbers_and_lists():
    here = place(recipient_limit=100)
    client = here.connect()
    client.ehlo()
    client.message(harness.sample(), recipients=(RECIPIENT, "copy@example.org"))
    client.quit()
    message, session = records(here)
    harness.equal(message["to"], [RECIPIENT, "copy@example.org"])
    harness.equal(message["from"], SENDER)
    harness.equal((message["recipients"], session["messages"]), (2, 1))
    harness.equal((message["level"], message["outcome"]), ("info", "delivered"))
    assert isinstance(session["duration_ms"], int) and isinstance(session["pid"], int)
    assert session["time"].endswith("Z") and len(session["time"]) == 27, session["time"]
    assert message["time"] <= session["time"]


@harness.table(smtp=("smtp", {}), smtps=("smtps", {"tls": "implicit"}), starttls=("smtp", {"tls": "required"}))
def test_records_say_by_which_socket_a_session_came(service, settings):
    here = place(pair=harness.pair(), **settings)
    listener = Listener(here)
    client = harness.Client.to(listener.port, greeting=service != "smtps")
    if service == "smtps":
        client.handshake()
        client.expect(220)
    client.ehlo()
    if settings.get("tls") == "required":
        client.starttls()
        client.ehlo()
    harness.equal(client.message(harness.sample()).code, 250)
    client.say("QUIT", 221)
    client.expect_end()
    listener.finished()
    message, session = records(here)
    harness.equal((message["service"], session["service"], session["local_port"]), (service, service, listener.port))


def test_many_processes_share_a_file():
    here = place()
    listener = Listener(here)
    clients = [harness.Client.to(listener.port) for _ in range(40)]
    for client in clients:
        client.ehlo("x" * 400)
        client.envelope()
        client.send("DATA\r\n")
    for client in clients:
        client.expect(354)
        client.send(b".\r\n")
    for client in clients:
        client.expect(250)
        client.quit()
    listener.finished()
    found = records(here)
    harness.equal(len(found), 80)
    harness.equal(len({r["pid"] for r in found}), 40)


def test_a_file_that_was_renamed_is_made_anew():
    here = place()
    deliver(here)
    mode = stat.S_IMODE(here.json.stat().st_mode)
    harness.equal(mode & 0o137, 0, "nobody else may read it, or the group write")
    here.json.rename(here.dir / "log.json.1")
    deliver(here)
    harness.equal(len(records(here)), 2)
    harness.equal(len((here.dir / "log.json.1").read_text().splitlines()), 2)


def test_a_line_that_was_cut_is_the_only_one_lost():
    here = place()
    here.json.write_text('{"time":"2026-12-01T09:08:07.000042Z","event":"sess')
    deliver(here)
    torn, *whole = lines(here)
    assert torn.endswith("sess")
    harness.equal([json.loads(line)["event"] for line in whole], ["message", "session"])


def on_a_full_disk():
    """A place with one message, whose file of records can grow no more; and the file that takes the room."""
    here = Site()
    small = harness.small_file_system(here.dir / "small", "64k")
    here.json = small / "log.json"
    here.set(log=f"json:{here.json}")
    deliver(here)
    return here, harness.fill(small)


def test_a_file_on_a_full_disk_costs_no_mail():
    here, ballast = on_a_full_disk()
    for _ in range(20):
        deliver(here)
    harness.equal(len(here.new()), 21)
    ballast.unlink()
    deliver(here)
    whole = []
    for line in lines(here):
        with contextlib.suppress(json.JSONDecodeError):
            whole.append(json.loads(line))
    assert len(lines(here)) - len(whole) <= 1, "at most one line is torn"
    harness.equal([r["event"] for r in whole[-2:]], ["message", "session"])


def test_a_file_that_cannot_be_opened_is_told_where_auto_tells():
    here = place(log="json:/no/such/folder/log.json")
    deliver(here)
    error = here.records("error")[0]
    fault = "log /no/such/folder/log.json: No such file or directory; make it: mkdir -p /no/such/folder "
    harness.contains(error["text"], fault)
    harness.equal(len(here.records("session")), 1)
    done = harness.run(*here.command(), "--check")
    harness.equal(done.returncode, 78)
    harness.contains(done.stdout, fault)


def test_a_fifo_that_nobody_reads_costs_no_mail():
    here = place()
    os.mkfifo(here.json)
    deliver(here)
    reader = os.open(here.json, os.O_RDONLY | os.O_NONBLOCK)
    for _ in range(3):
        deliver(here)
    os.close(reader)
    harness.equal(len(here.new()), 4)


def errors_of(text):
    return [record["text"] for record in harness.parse_records(text) if record["event"] == "error"]


def check(here, code=78):
    """The faults that --check finds, without the program's name and the place of the setting."""
    done = harness.run(*here.command(), "--check")
    harness.equal(done.returncode, code, done.stdout)
    return [re.sub(r"^postern: (\S+:\d+: )?", "", line) for line in done.stdout.splitlines() if "warning: " not in line]


def test_a_full_disk_is_reported_once_by_each_process():
    here, ballast = on_a_full_disk()
    fault = f"log {here.json}: No space left on device"
    harness.contains(check(here)[0], fault)
    client = here.connect()
    client.ehlo()
    for _ in range(20):  # there is room left in the last block
        harness.equal(client.message(harness.sample()).code, 250)
    client.quit()
    told = errors_of(here.log_text())
    harness.equal(len(told), 1, told)
    harness.contains(told[0], fault)
    harness.equal(here.records("session"), [], "the records are lost")
    here.json.unlink()
    (here.json.parent / "more").write_text("x" * 4096)
    harness.contains(check(here)[0], fault)
    ballast.unlink()
    harness.equal(check(here, 0), [])
    deliver(here)
    harness.equal(check(here, 0), [])
    harness.equal(len(records(here)), 2)


def test_a_device_that_takes_nothing_is_reported():
    here = place(log="json:/dev/full")
    deliver(here)
    fault = "log /dev/full: No space left on device; records are lost until there is space"
    harness.contains(errors_of(here.log_text()), fault)
    harness.contains(check(here)[0], "log /dev/full: No space left on device")
    here.set(log="json:/dev/null")
    harness.equal(check(here, 0), [])


def test_a_fifo_that_nobody_reads_is_reported():
    here = place()
    os.mkfifo(here.json)
    fault = f"log {here.json}: No such device or address; let a process read this FIFO"
    harness.equal(check(here), [fault])
    deliver(here)
    harness.equal(errors_of(here.log_text()), [fault])
    harness.equal(len(here.records("session")), 1, "the records are not lost")
    reader = os.open(here.json, os.O_RDONLY | os.O_NONBLOCK)
    harness.equal(check(here, 0), [])
    deliver(here)
    harness.equal(len(os.read(reader, 10000).splitlines()), 2)
    os.close(reader)
    harness.equal(len(here.records("session")), 1)


def test_a_reader_that_leaves_is_reported():
    here = place()
    os.mkfifo(here.json)
    reader = os.open(here.json, os.O_RDONLY | os.O_NONBLOCK)
    client = here.connect()
    client.ehlo()
    os.close(reader)
    harness.equal(client.message(harness.sample()).code, 250)
    client.quit()
    harness.equal(errors_of(here.log_text()), [f"log {here.json}: Broken pipe; let a process read this FIFO"])


def test_a_directory_is_no_log():
    here = place(log=None)
    here.set(log=f"json:{here.dir}")
    harness.equal(check(here), [f"log {here.dir}: Is a directory; name a file"])
    deliver(here)
    harness.equal(errors_of(here.log_text()), [f"log {here.dir}: Is a directory; name a file"])


def test_syslog_without_a_daemon_is_reported():
    here = Site(log="syslog")
    harness.own_devices()
    fault = "log /dev/log: No such file or directory; start a syslog daemon, such as rsyslog, or set log"
    harness.equal(check(here), [fault])
    deliver(here)
    harness.equal(errors_of(here.log_text()), [fault])
    syslog_daemon()
    harness.equal(check(here, 0), [])


def test_a_listener_writes_json_to_standard_output():
    """As in a container, whose standard output is a pipe, also for root."""
    here = place(log="json:/dev/stdout")
    port = harness.free_port()
    listener = harness.start(*here.command(), f"--listen=127.0.0.1:{port}", stdout=subprocess.PIPE)
    harness.eventually(lambda: not harness.is_free(port), "the listener listens")
    client = harness.Client.to(port)
    client.ehlo()
    harness.equal(client.message(harness.sample()).code, 250)
    client.quit()
    found = [json.loads(listener.stdout.readline())["event"] for _ in range(2)]
    harness.equal(sorted(found), ["message", "session"])


def test_a_journal_without_a_daemon_is_reported():
    here = Site(log="journal")
    fault = "log /run/systemd/journal/socket: No such file or directory; start systemd-journald, or set log"
    if os.path.exists("/run/systemd/journal/socket"):
        raise harness.Skip("this machine has a journal")
    harness.equal(check(here), [fault])
    deliver(here)
    harness.equal(errors_of(here.log_text()), [fault])
    harness.equal(len(here.records("session")), 1, "the records are not lost")


def test_a_lost_log_is_never_reported_to_the_client():
    """Standard error is the connection, as with an inetd, and there is no syslog daemon either."""
    for log in ("json:/dev/full", "syslog", "journal"):
        here = place(log=log)
        harness.own_devices()
        client = here.connect(stderr=subprocess.STDOUT)
        client.ehlo()
        harness.equal(client.message(harness.sample()).code, 250)
        client.say("QUIT", 221)
        harness.equal(client.rest(), b"")


def check_mail_is_taken(here, client):
    client.ehlo()
    for _ in range(3):
        harness.equal(client.message(harness.sample()).code, 250)
    client.say("QUIT", 221)
    client.rest()
    harness.equal(client.wait(), 0)
    harness.equal(len(here.new()), 3)


def full_pipe():
    """A pipe that takes nothing more, and whose reader does not read."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, b"x" * 4096)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, b"x")
    os.set_blocking(writer, True)
    harness.at_end(os.close, reader)
    harness.at_end(os.close, writer)
    return writer


def test_standard_error_that_takes_nothing_costs_no_mail():
    here = Site()
    client = here.connect(stderr=full_pipe())
    check_mail_is_taken(here, client)


def syslog_daemon():
    log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    harness.at_end(log.close)
    log.bind("/dev/log")
    log.settimeout(harness.PATIENCE)
    return log


def test_syslog_hears_lines_of_its_own_protocol():
    here = Site(log="syslog")
    harness.own_devices()
    log = syslog_daemon()
    client = here.connect()
    client.quit()
    line = log.recv(10000).decode("ascii")
    harness.equal(line.split(" ")[:3], [f"<22>postern[{client.process.pid}]:", "event=session", "end=quit"])


def test_syslog_may_be_started_anew():
    here = Site(log="syslog")
    harness.own_devices()
    first = syslog_daemon()
    client = here.connect()
    first.close()
    os.unlink("/dev/log")
    second = syslog_daemon()
    client.quit()
    harness.contains(second.recv(10000).decode("ascii"), "event=session end=quit")


def test_syslog_that_takes_nothing_costs_no_mail():
    here = Site(log="syslog")
    harness.own_devices()
    log = syslog_daemon()
    filler = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    filler.setblocking(False)
    with filler, contextlib.suppress(BlockingIOError):
        while True:
            filler.sendto(b"x" * 1000, "/dev/log")
    client = here.connect()
    check_mail_is_taken(here, client)


def service_manager(here):
    """A socket that receives messages to $NOTIFY_SOCKET, and the environment with it."""
    heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    harness.at_end(heard.close)
    heard.bind(str(here.dir / "notify"))
    heard.settimeout(harness.PATIENCE)
    return heard, harness.environment(NOTIFY_SOCKET=str(here.dir / "notify"))


def test_a_session_that_lasts_tells_its_status():
    here = Site()
    heard, env = service_manager(here)
    client = here.connect(env=env)
    harness.equal(heard.recv(1000), b"STATUS=Connected: 127.0.0.1")
    client.ehlo("a client")
    client.envelope()
    client.say("DATA", 354)
    harness.equal(heard.recv(1000), b"STATUS=Receiving a message: 127.0.0.1 (a client)")
    client.reset()


def test_a_short_session_tells_none():
    """A line costs the service manager more than it costs us."""
    here = Site()
    heard, env = service_manager(here)
    client = here.connect(env=env)
    client.ehlo()
    harness.equal(client.message(harness.sample()).code, 250)
    client.quit()
    heard.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        raise AssertionError(f"was told: {heard.recv(1000)}")


def test_a_service_manager_that_is_gone_costs_no_mail():
    here = Site(tls="required", pair=harness.pair())
    _, env = service_manager(here)
    (here.dir / "notify").unlink()
    client = here.connect(env=env)
    client.ehlo()
    client.say(f"MAIL FROM:<{SENDER}>", 530)
    client.rest()
    harness.equal(client.wait(), 0)


@harness.table(info=("info", ["message", "message", "session"]), warning=("warning", ["message"]),
               error=("error", []))
def test_log_level(level, events):
    here = place(log_level=level)
    client = here.connect()
    client.ehlo()
    harness.equal(client.message(harness.sample()).code, 250)
    client.envelope()
    client.say("DATA", 354)
    client.send("half of a")
    client.delivered()
    client.reset()
    harness.equal(client.process.wait(harness.PATIENCE), 0)
    harness.equal([r["event"] for r in records(here)] if here.json.exists() else [], events)


def test_log_level_error_tells_why_no_mail_is_taken():
    here = place(log_level="error")
    here.set(mail_root="/no/such/folder", maildir="box")
    client = here.connect(greeting=False)
    client.expect(421)
    client.rest()
    client.wait()
    harness.equal([r["event"] for r in records(here)], ["error", "session"])
    harness.equal(records(here)[1]["status"], "Settings Error (SMTP Receive)")


harness.main()
