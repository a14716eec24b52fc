#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""postern-status: it shows exactly the records of postern in a file of JSON Lines, which may have any other lines."""

import datetime
import json
import os
import random
import re
import signal
import subprocess
import time

import harness
from harness import PATIENCE, RECIPIENT
from logs import REFUSAL, STATUS, Log, Terminal, has_line, plain, program, some_log, words

EX_USAGE, EX_NOINPUT, EX_IOERR = 64, 66, 74
ENTRY = ("__CURSOR=a\n__REALTIME_TIMESTAMP=%d\nSYSLOG_IDENTIFIER=postern\nPOSTERN_EVENT=session\nPOSTERN_PEER=192.0.2.7\n"
         "POSTERN_END=quit\n\n")


# A journalctl that fails


def with_journalctl(*lines):
    """postern-status as nobody, with a journalctl of these lines of sh."""
    harness.need_root()
    harness.need("setpriv")
    directory = harness.scratch()
    directory.chmod(0o755)
    (directory / "entry").write_text(ENTRY % (time.time() * 1e6))
    script = directory / "journalctl"
    script.write_text("\n".join(("#!/bin/sh", *lines, "")).replace("HERE", str(directory)))
    script.chmod(0o755)
    return ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "env", f"PATH={directory}:/usr/bin:/bin",
            program(), "-c", "/dev/null", "--sessions", "-n", "3")


@harness.table_of({"by a signal": ("kill -SEGV $$",), "behind an entry": ("exit 1",)})
def test_a_journalctl_that_fails_in_the_middle_is_an_error_for_everybody(end):
    """A list that is cut would look whole. Without any entry it may fail for missing rights."""
    done = harness.run(*with_journalctl("cat HERE/entry", end))
    harness.equal(done.returncode, EX_NOINPUT, done.stdout)
    harness.contains(done.stdout, "journalctl fails")
    harness.equal(harness.run(*with_journalctl("kill -SEGV $$")).returncode, EX_NOINPUT)
    for whole in (("cat HERE/entry",), ("exit 1",)):
        harness.equal(harness.run(*with_journalctl(*whole)).returncode, 0)


@harness.table(term=(signal.SIGTERM,), kill=(signal.SIGKILL,))
def test_no_journalctl_is_left_behind(number):
    """Even where it writes nothing and so does not find out that nobody reads."""
    command = with_journalctl("exec sleep 1000")
    process = harness.start(*command, stdout=subprocess.DEVNULL)
    children = f"/proc/{process.pid}/task/{process.pid}/children"

    def child():
        with open(children, encoding="ascii") as file:
            found = file.read().split()
        if not found:
            return None
        with open(f"/proc/{found[0]}/comm", encoding="ascii") as file:
            return found[0] if file.read() == "sleep\n" else None

    pid = harness.eventually(child, "a journalctl that writes nothing")
    process.send_signal(number)
    process.wait()
    harness.eventually(lambda: not os.path.exists(f"/proc/{pid}"), "the end of journalctl")


# The panel


def test_the_panel_shows_all_at_a_glance():
    place = some_log()
    shown = place.status()
    has_line(shown, "Allow SSL (SMTP Receive)", "On")
    has_line(shown, "Certificate", f"CN={harness.HOST} (ECDSA 256, self-signed)")
    assert re.search(rf"\d+ days left, until {harness.LAST}", shown), shown
    has_line(shown, "Status", STATUS)
    assert re.search(r"\d\d:\d\d:\d\d from 127\.0\.0\.5 \(old\.example\.net\)", shown), shown
    harness.contains(shown, "client offers only TLS 1.1 or older")
    has_line(shown, "Last hour", "Sessions", "5")
    for name, number in (("Delivered", "3"), ("Refused", "1"), ("Given up", "0")):
        has_line(shown, name, number)
    has_line(shown, "TLS1.3", "2", "40 %")
    has_line(shown, "in the clear", "2", "40 %")
    has_line(shown, "TLS failed", "1", "20 %")
    has_line(shown, "Refusals", "1", REFUSAL)
    sessions = shown.partition("Last sessions\n")[2].splitlines()
    harness.equal([words(s)[1] for s in sessions[1:]],
                  [f"127.0.0.{n}" for n in (5, 4, 3, 2, 2)], "the newest first")


@harness.table(off=("off", "Off"), on=("on", "On"), ssl=("ssl", "SSL"), implicit=("implicit", "Implicit"))
def test_the_setting_has_the_words_of_the_device(tls, word):
    place = Log(tls=tls)
    place.file.touch()
    shown = place.status()
    has_line(shown, "Allow SSL (SMTP Receive)", word)
    has_line(shown, "Status", "Ready")
    has_line(shown, "Last sessions", "none")


def test_a_rejection_has_the_words_of_the_device():
    place = Log(tls="ssl")
    client = place.connect()
    client.ehlo()
    client.say(f"MAIL FROM:<{harness.SENDER}>", 530)
    client.expect_end()
    client.wait()
    place.told(1)
    has_line(place.status(), "Status", "SSL Error (SMTP RX Reject)")


def test_what_is_older_is_no_longer_the_status():
    place = some_log()
    place.date("2026-01-02T03:04:")
    shown = place.status()
    has_line(shown, "Status", "Ready")
    has_line(shown, "Last hour", "Sessions", "0")
    harness.contains(shown.partition("Last sessions\n")[2], "127.0.0.5", "sessions have no age")
    has_line(place.status("--since", "2026-01-02"), "Status", STATUS)


@harness.about_modules
def test_gnutls_is_loaded_only_where_tls_is_used():
    harness.need("strace")
    for tls, loaded in (("off", False), ("on", True)):
        place = Log(tls=tls)
        place.file.touch()
        opened = place.dir / "opened"
        done = harness.run("strace", "-o", opened, "-e", "trace=openat", program(), "-c",
                           place.settings_file)
        harness.equal(done.returncode, 0, done.stdout)
        harness.equal("libgnutls" in opened.read_text(), loaded, tls)


# Certificates


def test_faults_of_certificates_are_told():
    place = Log(pair=harness.pair(expired=True))
    place.file.touch()
    shown = place.status()
    harness.contains(shown, "expired on 2020-01-01\n")
    harness.contains(shown, "it is used nevertheless, renew it")
    place.set(pair=harness.pair("ecdsa", "elsewhere.example"))
    harness.contains(place.status(), "does not cover the hostname")
    place.set(pair=harness.pair(future=True))
    harness.contains(place.status(), f"not valid before {harness.FUTURE}")
    place.set(tls_certificate=place.dir / "missing", tls_key=place.dir / "missing")
    harness.contains(place.status(), "No such file or directory")


def test_credentials_are_taken_from_beside_the_settings():
    place = Log()
    harness.pair().copy_to(place.dir)
    place.set(tls_certificate="credential:tls.crt", tls_key="credential:tls.key")
    place.file.touch()
    has_line(place.status(), "Certificate", f"CN={harness.HOST} (ECDSA 256, self-signed)")


def test_without_the_right_to_read_the_rest_is_shown():
    harness.need_root("another user")
    place = Log()
    copies = harness.pair().copy_to(place.dir)
    place.set(pair=copies)
    place.deliver()
    place.told(2)
    place.file.chmod(0o644)
    copies.key.chmod(0o600)
    nobody = {"user": 65534, "group": 65534, "extra_groups": []}
    shown = place.status(**nobody)
    has_line(shown, "Certificate", f"CN={harness.HOST} (ECDSA 256, self-signed)")
    has_line(shown, "Not checked", f"{copies.key}: this user cannot read it")
    has_line(shown, "Delivered", "1")
    assert "Fault" not in shown, shown
    place.settings_file.chmod(0o600)
    shown = place.status(place.file, **nobody)
    has_line(shown, "Allow SSL (SMTP Receive)", "unknown")
    harness.contains(shown, f"{place.settings_file}: Permission denied")
    has_line(shown, "Delivered", "1")


# Lists


def test_lists_end_with_the_newest():
    place = some_log()
    peers = [words(line)[1] for line in place.status("--sessions").splitlines()]
    harness.equal(peers, ["Peer"] + [f"127.0.0.{n}" for n in (2, 2, 3, 4, 5)])
    shown = place.status("--messages").splitlines()
    harness.equal(words(shown[0]), ["Time", "Peer", "From", "To", "Size", "TLS", "Outcome"])
    harness.equal(len(shown), 5)
    harness.equal(words(shown[1])[1:4] + words(shown[1])[5:],
                  ["127.0.0.2", harness.SENDER, RECIPIENT, "TLS1.3", "delivered"])
    harness.equal(words(shown[4])[-1], f"refused: {REFUSAL}")


def test_the_panel_can_be_of_one_peer():
    place = some_log()
    place.date("2026-01-02T03:04:")
    shown = place.status("--peer", "127.0.0.2", "--since", "2026-01-02T03:04:01Z")
    has_line(shown, "Peer", "127.0.0.2")
    has_line(shown, "Sessions", "2", "TLS1.3", "2", "100 %")
    has_line(shown, "Delivered", "1")
    has_line(shown, "Status", "Ready")
    assert re.search(r"^Since (Jan 02 03:04|2026-01-02) ", shown, re.M), shown


def test_lists_can_be_narrowed():
    place = some_log()
    peers = [words(line)[1] for line in place.status("--sessions", "-n", "2").splitlines()]
    harness.equal(peers, ["Peer", "127.0.0.4", "127.0.0.5"])
    for peer, number in (("127.0.0.2", 2), ("127.0.0.2/31", 3), ("127.0.0.9", 0), ("::1", 0)):
        shown = place.status("--sessions", "--peer", peer).splitlines()
        harness.equal(len(shown) - 1, number, peer)
    harness.equal(len(place.status("--sessions", "--since", "1h").splitlines()), 6)
    place.date("2026-01-02T03:04:")
    for since, number in (("05Z", 3), ("06Z", 2), ("08Z", 1), ("09Z", 0)):
        shown = place.status("--sessions", "--since", f"2026-01-02T03:04:{since}")
        harness.equal(len(shown.splitlines()) - 1, number, since)


def test_messages_are_found_by_their_addresses():
    place = Log(tls="off", domains="example.net", maildir="%u", maildir_create="yes")
    client = place.connect()
    client.ehlo()
    client.say("MAIL FROM:<Alice@Example.com>", 250)
    client.say("RCPT TO:<info@example.net>", 250)
    client.say("RCPT TO:<who@elsewhere.example>", 550)
    client.say("DATA", 354)
    accepted = client.content(b"Message-ID: <7@example.com>\r\n\r\n")
    harness.equal(accepted.code, 250)
    client.say("MAIL FROM:<>", 250)
    for n in range(12):
        client.say(f"RCPT TO:<try{n}@elsewhere.example>", 550)
    client.quit()
    first, second, _ = place.told(3)
    for options, found in {
            ("--to", "info@example.net"): [first],
            ("--to", "<INFO@EXAMPLE.NET>"): [first],
            ("--to", "nfo@example.net"): [],
            ("--to", "@example.net"): [first],
            ("--to", "@ample.net"): [],
            ("--to", "who@elsewhere.example"): [first],
            ("--to", "@elsewhere.example"): [first, second],
            ("--to", "try9@elsewhere.example"): [second],
            ("--to", "try11@elsewhere.example"): [],  # behind the first ten
            ("--from", "alice@example.com"): [first],
            ("--from", "<>"): [second],
            ("--from", "<>", "--to", "info@example.net"): [],
            ("--id", json.loads(first)["id"]): [first],
            ("--id", "<7@example.com>"): [first],
            ("--id", "7@example.com"): [first],
            ("--id", "7"): []}.items():
        harness.equal(place.status("--json", *options).splitlines(), found, options)
    assert json.loads(first)["id"] in accepted.words[0]
    shown = place.status("--to", "try1@elsewhere.example").splitlines()
    harness.equal(words(shown[1])[2:4], ["<>", "try1@elsewhere.example +11"])
    harness.equal(words(shown[1])[-1], f"refused: {REFUSAL}")
    for wrong in (("--sessions",), ("--openmetrics",)):
        harness.contains(place.status("--to", "a@example.net", *wrong, code=EX_USAGE), "are for messages")


def test_json_is_what_was_written():
    place = some_log()
    written = place.told(9)
    harness.equal(place.status("--json").splitlines(), written)
    sessions = [line for line in written if '"event":"session"' in line]
    harness.equal(place.status("--json", "--sessions", "-n2").splitlines(), sessions[-2:])


def test_what_was_rotated_is_read_too():
    place = some_log()
    place.date("2026-01-02T03:04:")
    written = place.told(9)
    for name, lines in (("postern.json.2", written[:3]), ("postern.json.1", written[3:7]),
                        ("postern.json", written[7:])):
        (place.dir / name).write_text("".join(line + "\n" for line in lines))
    for files in ((), sorted(place.dir.glob("postern.json*"))):
        shown = place.status("--json", *files).splitlines()
        harness.equal([json.loads(line) for line in shown], [json.loads(line) for line in written])
    has_line(place.status("--since", "2026-01-01"), "Sessions", "5")
    harness.contains(place.status("--json", place.file, place.dir / "none", code=EX_NOINPUT), "none: No such file")
    shown = place.status("--json", place.file.name, cwd=place.dir).splitlines()
    harness.equal([json.loads(line) for line in shown], [json.loads(line) for line in written], "without a directory")
    # renamed, and no record has come since
    place.file.unlink()
    shown = place.status("--json").splitlines()
    harness.equal([json.loads(line) for line in shown], [json.loads(line) for line in written[:7]])
    harness.contains(place.status("--healthy"), "OK: ")


def test_logs_of_several_hosts_are_read_as_one():
    places = [Log(tls="off"), Log(tls="off")]
    for n in range(6):
        places[n % 2].deliver(f"127.0.0.{n + 2}", secured=False)
        places[n % 2].told(2 * (n // 2 + 1))
    files = [place.file for place in places]
    peers = [words(line)[2] for line in places[0].status("--sessions", *files).splitlines()]
    harness.equal(peers, ["Peer"] + [f"127.0.0.{n}" for n in range(2, 8)])
    harness.contains(places[0].status(*files), "and 1 more")


def on_host(name):
    """A command before the program: the host calls itself so."""
    harness.need("unshare", "hostname")
    return ("unshare", "--uts", "sh", "-c", f'hostname {name} && exec "$@"', "-")


def test_records_tell_their_host():
    harness.need_root("a name of the host's own")
    places = {"mail1": Log(tls="ssl", pair=harness.pair()), "mail-two": Log(tls="ssl", pair=harness.pair())}
    for name, place in places.items():
        client = place.connect(wrap=on_host(name))
        client.ehlo()
        client.say(f"MAIL FROM:<{harness.SENDER}>", 530)
        client.expect_end()
        client.wait()
        harness.equal(json.loads(place.told(1)[0])["host"], name)
    first = places["mail1"]
    files = [place.file for place in places.values()]
    shown = first.status("--sessions", *files).splitlines()
    harness.equal([words(line)[1] for line in shown], ["Host", "mail1", "mail-two"])
    assert re.search(r"\d\d:\d\d:\d\d on mail-two from 127\.0\.0\.1", first.status(*files)), "the status has its host"
    assert "mail1" not in first.status(first.file), "one host needs no name"
    shown = [json.loads(line)["host"] for line in first.status("--json", *files).splitlines()]
    harness.equal(shown, ["mail1", "mail-two"])


def test_every_refusal_is_counted():
    """As many as the replies to the client, in sessions with and without messages."""
    place = Log(tls="off", size_limit=1000, maildir="%u", maildir_create="no")
    (place.root / "box").mkdir()
    for folder in ("new", "cur", "tmp"):
        (place.root / "box" / folder).mkdir()
    client = place.connect()
    client.ehlo()
    refused = 0
    for command, code in (("RCPT TO:<box@example.org>", 503), ("MAIL FROM:<a@example.com>", 250),
                          ("RCPT TO:<one@example.org>", 550), ("RCPT TO:<box@example.org>", 250),
                          ("RCPT TO:<two@example.org>", 550), ("NONSENSE", 500), ("DATA", 354)):
        client.say(command, code)
        refused += code >= 500
    harness.equal(client.content(b"Subject: x\r\n\r\n").code, 250)
    for command, code in (("MAIL FROM:<a@example.com> SIZE=2000", 552), ("MAIL FROM:<a@example.com>", 250),
                          ("RCPT TO:<one@example.org>", 550), ("DATA", 554), ("RSET", 250), ("AUTH PLAIN x", 502)):
        client.say(command, code)
        refused += code >= 500
    client.quit()
    message, _, _, session = (json.loads(line) for line in place.told(4))
    harness.equal(message["outcome"], "delivered")
    harness.contains(message["reason"], "550 5.1.1 ")
    harness.equal((message["refused"], session["refused"], session["refused_commands"]), (2, refused, 4))
    shown = place.status("--openmetrics")
    numbers = re.findall(r"^postern_refusals\{.*\} (\d+)$", shown, re.M)
    harness.equal(sum(map(int, numbers)), refused, shown)


def test_a_file_can_be_named():
    place = some_log()
    elsewhere = Log(tls="off")
    harness.equal(elsewhere.status("--json", place.file).splitlines(), place.told(9))


# Any content of the log


def hostile():
    rng = random.Random(7)
    head = '{"time":"%s","event":"session","level":"info","pid":1,'
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    for helo in (r"\u001b]0;owned\u0007", r"\u001b[2J", r"\r\n\r\nStatus Ready", r"\u202e", r"\u0085",
                 "x" * 1500):
        yield (head % now + f'"peer":"192.0.2.1","helo":"{helo}","end":"{helo}","tls":"{helo}",'
               f'"status":"{helo}","reason":"{helo}","explanation":"{helo}","messages":0}}').encode()
    yield (head % now + '"messages":' + "9" * 400 + "}").encode()
    yield (head % now + '"duration_ms":-5,"peer":{"a":[]}}').encode()
    yield b"[" * 20000
    yield b'{"time":' * 3000
    yield b"\x00\xff\x1b[31m\x9b"
    yield b"x" * 200000
    for _ in range(50):
        yield bytes(rng.randrange(256) for _ in range(200)).replace(b"\n", b"")


@harness.table_of({" ".join(o) or "panel": (o,) for o in (
    (), ("--sessions",), ("--messages",), ("--json",), ("--openmetrics",), ("-n", "50"))})
def test_nothing_of_a_log_reaches_a_terminal_unescaped(options):
    place = Log(tls="off")
    place.file.write_bytes(b"\n".join(hostile()) + b"\n")
    for text in (place.status(*options), plain(Terminal(place, *options).rest())):
        assert all(c == "\n" or 32 <= ord(c) < 127 for c in text), repr(text)
    if options == ():
        has_line(place.status(), "Skipped", "55 lines that are no records")


def test_errors_are_told_and_have_a_status():
    place = Log(tls="off")
    harness.contains(place.status(code=EX_NOINPUT), f"{place.file}: No such file or directory")
    harness.contains(place.status(place.dir, code=EX_NOINPUT), "is not a regular file")
    harness.contains(place.status("--nonsense", code=EX_USAGE), "--nonsense: not understood")
    harness.contains(place.status("--since", "then", code=EX_USAGE), "must be a time")
    place.file.touch()
    with open("/dev/full", "wb") as full:
        done = subprocess.run([program(), "-c", place.settings_file], stdout=full, check=False,
                              env=harness.environment(), timeout=PATIENCE)
    harness.equal(done.returncode, EX_IOERR)


def test_each_recipient_has_its_own_reason():
    """Two are refused for different reasons, and a third gets the message."""
    recipients = harness.scratch() / "recipients"
    recipients.write_text("alice\n")
    place = Log(tls="off", domains="example.net", recipients=recipients, maildir="%u", maildir_create="yes")
    client = place.connect()
    client.ehlo()
    client.say("MAIL FROM:<a@example.com>", 250)
    client.say("RCPT TO:<x@elsewhere.example>", 550)
    client.say("RCPT TO:<alice@example.net>", 250)
    client.say("RCPT TO:<nobody@example.net>", 550)
    client.say("DATA", 354)
    harness.equal(client.content(b"Subject: x\r\n\r\n").code, 250)
    client.quit()
    record = json.loads(place.told(2)[0])
    unknown = "550 5.1.1 No such mailbox here"
    harness.equal(record["refused_to"], ["x@elsewhere.example", "nobody@example.net"])
    harness.equal(record["refused_replies"], [REFUSAL, unknown])
    for address, shown in {"x@elsewhere.example": f"refused: {REFUSAL}",
                           "@elsewhere.example": f"refused: {REFUSAL}",
                           "<Nobody@Example.net>": f"refused: {unknown}",
                           "alice@example.net": "delivered"}.items():
        row = words(place.status("--to", address).splitlines()[1])
        harness.equal(row[-1], shown, address)
        assert row[3].split(" ")[0].endswith(address.strip("<>").lower()), row
    numbers = place.status("--openmetrics")
    for code in ("550 5.7.1", "550 5.1.1"):
        harness.contains(numbers, f'postern_refusals{{code="{code}"}} 1\n')


CLOCK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/time.h>
#include <time.h>
#define THEN (-3 * 86400 - 1)
int clock_gettime(clockid_t clock, struct timespec *to)
{
	int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
	int r = real(clock, to);
	if (clock == CLOCK_REALTIME)
		to->tv_sec = THEN;
	return r;
}
time_t time(time_t *to)
{
	if (to)
		*to = THEN;
	return THEN;
}
int gettimeofday(struct timeval *restrict to, void *restrict zone)
{
	(void)zone;
	*to = (struct timeval){ THEN, 0 };
	return 0;
}
"""


@harness.senseless_when_sanitized
@harness.about_preloaded
def test_a_clock_before_1970_is_a_clock():
    """Of a machine without a battery: the message, its report and the records have its date, and are shown."""
    harness.need("cc")
    place = Log(tls="off")
    (place.dir / "clock.c").write_text(CLOCK)
    library = place.dir / "clock.so"
    done = harness.run("cc", "-shared", "-fPIC", "-o", library, place.dir / "clock.c", "-ldl")
    harness.equal(done.returncode, 0, done.stdout)
    old = harness.environment(LD_PRELOAD=str(library), TZ="UTC")
    done = harness.run(*place.command(), env=old, input="EHLO x\r\nMAIL FROM:<a@example.com>\r\n"
                       f"RCPT TO:<{RECIPIENT}>\r\nDATA\r\nSubject: x\r\n\r\n.\r\nQUIT\r\n")
    harness.contains(done.stdout, "250 2.6.0 Delivered as 0.M")
    record = json.loads(place.told(2)[0])
    assert record["time"].startswith("1969-12-28T23:59:59."), record
    message, = place.maildir.glob("new/*")
    harness.contains(message.read_text(), "\tSun, 28 Dec 1969 23:59:59 +0000\n")
    assert message.name.startswith("0.M"), message.name
    for options, text in (((), "Delivered         1"), (("--messages",), "delivered"),
                          (("--healthy",), "OK: 1 sessions"), (("--messages", "--since", "2h"), "delivered"),
                          (("--sessions",), "quit")):
        shown = harness.run(program(), "-c", place.settings_file, *options, env=old)
        harness.equal(shown.returncode, 0, shown.stdout)
        harness.contains(shown.stdout, text)
    harness.contains(place.status("--messages"), "1969-12-28 23:59")


if __name__ == "__main__":
    harness.main()
