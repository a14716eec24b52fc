#!/usr/bin/python3
"""postern-status: what it shows is what postern recorded, from a file of JSON Lines and from a real
journal, on a terminal and in a pipe, whatever else stands in the log."""

import contextlib
import datetime
import fcntl
import http.server
import json
import os
import pty
import random
import re
import select
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

import harness
from harness import PATIENCE, RECIPIENT, Site, Skip
from machine import Server

EX_USAGE, EX_DATAERR, EX_NOINPUT, EX_CANTCREAT, EX_IOERR = 64, 65, 66, 73, 74
STATUS = "SSL Error (SMTP Receive)"
REFUSAL = "550 5.7.1 No mail is accepted here for that domain"


def program():
    path = harness.build / "src" / "postern-status"
    if not path.exists():
        raise Skip("built without postern-status")
    return path


class Log(Site):
    """A place whose records go into a file of JSON Lines."""

    def __init__(self, tls="on", pair=None, **settings):
        super().__init__(tls=tls, **settings)
        self.file = self.dir / "postern.json"
        self.set(pair=pair or (harness.pair() if tls != "off" else None), log=f"json:{self.file}")

    def told(self, number):
        """The lines of the file, once there are that many."""
        def lines():
            found = self.file.read_text().splitlines() if self.file.exists() else []
            return len(found) >= number and found
        return harness.eventually(lines, f"{number} records")

    def date(self, minute):
        """Move the records to that minute, a second each."""
        records = [json.loads(line) for line in self.file.read_text().splitlines()]
        with open(self.file, "w", encoding="ascii") as to:
            for second, record in enumerate(records):
                to.write(json.dumps({**record, "time": f"{minute}{second:02}.000000Z"}) + "\n")

    def status(self, *options, code=0, **more):
        """The output of the program, with the settings of this place."""
        done = harness.run(program(), "-c", self.settings_file, *options,
                           **{"env": harness.environment(TZ="UTC"), **more})
        harness.equal(done.returncode, code, done.stdout)
        return done.stdout

    def deliver(self, client="127.0.0.1", secured=True):
        connected = self.connect(client)
        connected.ehlo()
        if secured:
            connected.starttls()
            connected.ehlo()
        harness.equal(connected.message(harness.sample()).code, 250)
        connected.quit()

    def fail(self, client="127.0.0.1"):
        """A handshake that comes to nothing."""
        connected = self.connect(client)
        connected.ehlo("old.example.net")
        old = harness.client_context(ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, "ALL:@SECLEVEL=0")
        with contextlib.suppress(ssl.SSLError, OSError):
            connected.starttls(old)
        connected.wait()

    def refuse(self, client="127.0.0.1"):
        connected = self.connect(client)
        connected.ehlo()
        connected.say(f"MAIL FROM:<{harness.SENDER}>", 250)
        connected.say("RCPT TO:<x@elsewhere.example>", 550)
        connected.quit()


def some_log():
    """Three messages of two peers, a refusal, and a handshake that failed: ten records."""
    place = Log()
    place.deliver("127.0.0.2")
    place.deliver("127.0.0.2")
    place.deliver("127.0.0.3", secured=False)
    place.refuse("127.0.0.4")
    place.fail("127.0.0.5")
    place.told(9)
    return place


def words(line):
    return re.split(r"  +", line.strip())


def has_line(text, *wanted):
    assert any(words(line)[:len(wanted)] == list(wanted) or
               any(words(line)[i:i + len(wanted)] == list(wanted) for i in range(8))
               for line in text.splitlines()), f"no line with {wanted} in\n{text}"


# The panel


def test_the_panel_shows_all_at_a_glance():
    place = some_log()
    shown = place.status()
    has_line(shown, "Allow SSL (SMTP Receive)", "On")
    has_line(shown, "Certificate", f"CN={harness.HOST} (ECDSA 256, self-signed)")
    assert re.search(r"\d+ days left, until 2050-01-01", shown), shown
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
    harness.contains(shown, "it is used all the same, renew it")
    place.set(pair=harness.pair("ecdsa", "elsewhere.example"))
    harness.contains(place.status(), "does not cover the hostname")
    place.set(pair=harness.pair(future=True))
    harness.contains(place.status(), "not valid before 2049-01-01")
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
    has_line(shown, "Not checked", f"{copies.key}: you may not read it")
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
    for name, lines in (("postern.json.2", written[:3]), ("postern.json.1", written[3:7]), ("postern.json", written[7:])):
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
    """As many as the client was told, in sessions with and without messages."""
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


# Health


def soon(days):
    """A pair that expires in so many days."""
    folder = harness.scratch()
    done = harness.run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", days,
                       "-subj", f"/CN={harness.HOST}", "-addext", f"subjectAltName=DNS:{harness.HOST}", "-keyout", folder / "key", "-out", folder / "crt")
    harness.equal(done.returncode, 0, done.stdout)
    return harness.Pair(folder / "crt", folder / "key")


def health(place, code, *wanted, options=()):
    line, = place.status("--healthy", *options, code=code).splitlines()
    word, _, rest = line.partition(": ")
    harness.equal(word, ("OK", "WARNING", "CRITICAL")[code])
    harness.equal(len(rest.split("; ")), len(wanted), line)
    for text in wanted:
        harness.contains(line, text)


def test_health_is_one_line_and_an_exit_status():
    place = Log(dsn_outbox=harness.scratch() / "outbox")
    health(place, 1, f"no records of {place.file}: No such file or directory")
    place.deliver()
    place.told(2)
    health(place, 0, "1 sessions, 1 messages delivered in the last hour")
    cur = place.settings["dsn_outbox"] / "cur"
    cur.mkdir(parents=True, exist_ok=True)
    (cur / "1.a,T=2").touch()
    waits = f"1 report waits in {cur}"
    health(place, 1, waits)
    place.set(pair=soon("9"))
    health(place, 1, waits, f"certificate CN={harness.HOST} expires on 20")
    (cur / "1.a,T=2").unlink()
    place.set(pair=soon("20"))
    health(place, 0, "1 sessions")
    place.set(pair=harness.pair("ecdsa", "elsewhere.example"))
    assert place.status("--healthy", code=2 if "Fault" in place.status() else 1)
    place.set(tls_certificate=place.dir / "missing", tls_key=place.dir / "missing")
    line = place.status("--healthy", code=2)
    harness.contains(line, "No such file or directory")
    harness.contains(line, "CRITICAL: ")


def test_health_knows_failed_deliveries_and_missing_tls():
    place = Log()
    place.set(tls_certificate=place.dir / "missing", tls_key=place.dir / "missing")
    client = place.connect()
    client.ehlo()
    client.say("STARTTLS", 454)
    client.quit()
    place.set(pair=harness.pair())
    place.maildir.mkdir(exist_ok=True)
    (place.maildir / "new").write_text("no directory")
    client = place.connect()
    client.ehlo()
    client.say(f"MAIL FROM:<{harness.SENDER}>", 250)
    client.say(f"RCPT TO:<{RECIPIENT}>", 451)
    client.quit()
    place.told(3)
    health(place, 2, "1 x Delivery Error (SMTP Receive)", "1 x Certificate Error (SMTP Receive)")
    place.date("2026-01-02T03:04:")
    health(place, 0, "0 sessions, 0 messages delivered in the last hour")
    health(place, 0, "last 24 hours", options=("--since", "24h"))
    harness.contains(place.status("--healthy", "--follow", code=EX_USAGE), "--healthy is about")


# Numbers for Prometheus


def test_openmetrics_are_clean():
    tool = harness.packages() / "promtool" / "usr/bin/promtool"
    place = some_log()
    with open(place.file, "a", encoding="ascii") as log:
        record = json.loads(place.told(9)[-1])
        for status in ("a\\b", 'a"b', "a\nb"):
            log.write(json.dumps({**record, "status": status, "reason": status}) + "\n")
        log.write("no record\n")
    shown = place.status("--openmetrics")
    checked = harness.run(tool, "check", "metrics", input=shown)
    harness.equal((checked.returncode, checked.stdout), (0, ""))
    lines = shown.splitlines()
    for line in ('postern_messages{outcome="delivered"} 3', 'postern_messages{outcome="refused"} 1',
                 'postern_sessions{tls="TLS1.3"} 2', 'postern_sessions{tls="failed"} 4',
                 'postern_refusals{code="550 5.7.1"} 1', "postern_skipped_lines 1",
                 "postern_window_seconds 3600", 'postern_session_statuses{status="a\\\\b"} 1'):
        assert line in lines, f"{line} is not in\n{shown}"
    harness.equal(lines[-1], "# EOF")
    assert re.search(r'not_after_timestamp_seconds\{.*subject="CN=mail\.example\.org"\} 2524608000',
                     shown), shown


class Totals:
    """Counters in a file, as Prometheus's own reader of OpenMetrics has them."""

    def __init__(self, place):
        self.place, self.file = place, place.dir / "totals"

    def read(self):
        shown = self.place.status("--openmetrics", "--totals", self.file)
        for package in ("python3-prometheus-client", "python3-decorator"):
            library = str(harness.packages() / package / "usr/lib/python3/dist-packages")
            if library not in sys.path:
                sys.path.append(library)
        from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
        found = {}
        for family in parse(shown):
            for sample in family.samples if family.type == "counter" else ():
                found[sample.name.removeprefix("postern_recorded_"), *sample.labels.values()] = int(sample.value)
        return found

    def begin_in_1970(self):
        totals = json.loads(self.file.read_text())
        self.file.write_text(json.dumps({**totals, "until": 0}))


def test_counters_count_each_record_once_and_never_go_back():
    place = some_log()
    totals = Totals(place)
    harness.equal(set(totals.read().values()), {0})
    place.date("2026-11-28T10:00:")
    totals.begin_in_1970()
    counted = totals.read()
    wanted = {("sessions_total", "TLS1.3"): 2, ("sessions_total", "none"): 2, ("sessions_total", "failed"): 1,
              ("messages_total", "delivered"): 3, ("messages_total", "refused"): 1,
              ("messages_total", "given-up"): 0, ("refusals_total", "550 5.7.1"): 1,
              ("session_statuses_total", STATUS): 1, ("errors_total",): 0}
    harness.equal({name: counted.get(name) for name in wanted}, wanted)
    harness.equal(totals.read(), counted, "each once")
    old = place.file.read_text()
    place.file.write_text("")
    harness.equal(totals.read(), counted, "the log forgets")
    place.file.write_text(old)
    totals.begin_in_1970()
    harness.equal(totals.read(), {name: 2 * number for name, number in counted.items()})


def test_counters_go_on_after_a_clock_that_was_far_ahead():
    place = some_log()
    place.date("2026-11-28T10:00:")
    totals = Totals(place)
    totals.read()
    ahead = {**json.loads(totals.file.read_text()), "began": 4000000000, "until": 4000000000, "delivered": 7}
    totals.file.write_text(json.dumps(ahead))
    harness.equal(totals.read()["messages_total", "delivered"], 7)
    found = json.loads(totals.file.read_text())
    for name in ("began", "until"):
        assert abs(found[name] - time.time()) < 600, found
    # an hour is waited for: its records were counted
    totals.file.write_text(json.dumps({**found, "until": found["until"] + 3600}))
    totals.read()
    harness.equal(json.loads(totals.file.read_text())["until"], found["until"] + 3600)


def test_of_two_runs_at_once_the_second_waits_for_the_first():
    """Otherwise the older of two counts could be written last, and counters would go back."""
    place = some_log()
    totals = Totals(place)
    totals.read()
    totals.begin_in_1970()
    before = totals.file.read_text()
    link = place.dir / "to-totals"
    link.symlink_to("totals")
    for name in (totals.file, link):
        first = os.open(place.dir, os.O_RDONLY)
        fcntl.flock(first, fcntl.LOCK_EX)
        second = harness.start(program(), "-c", place.settings_file, "--openmetrics", "--totals", name,
                               stdout=subprocess.DEVNULL)
        harness.eventually(lambda second=second: any(f" {second.pid} " in line and "->" in line for line
                                                     in Path("/proc/locks").read_text().splitlines()), "a waiting run")
        harness.equal(totals.file.read_text(), before)
        os.close(first)
        harness.equal(second.wait(PATIENCE), 0)
        assert totals.file.read_text() != before
        totals.begin_in_1970()
        before = totals.file.read_text()


def test_a_link_to_counters_stays():
    place = some_log()
    totals, link = Totals(place), place.dir / "link"
    link.symlink_to("totals")
    harness.contains(place.status("--openmetrics", "--totals", link, code=EX_CANTCREAT), "No such file or directory")
    totals.read()
    before = totals.file.read_text()
    totals.file.write_text(json.dumps({**json.loads(before), "until": 0}))
    place.status("--openmetrics", "--totals", link)
    assert link.is_symlink() and json.loads(totals.file.read_text())["until"] > 0


def test_counters_need_a_file_of_their_own():
    place = some_log()
    broken = place.dir / "broken"
    for text in ("", "no JSON\n", "[]\n", '{"began": 1}\n', '{"began": -1, "until": 2}\n'):
        broken.write_text(text)
        harness.contains(place.status("--openmetrics", "--totals", broken, code=EX_DATAERR),
                         f"--totals {broken}: is no file of totals; remove it, and they begin anew")
        harness.equal(broken.read_text(), text)
    harness.contains(place.status("--openmetrics", "--totals", place.dir / "none" / "totals", code=EX_CANTCREAT),
                     "No such file or directory")
    harness.contains(place.status("--totals", broken, code=EX_USAGE), "--totals are counters of --openmetrics")
    harness.equal([path.name for path in place.dir.glob("totals*")], [])


def test_all_is_well_again_after_an_error():
    place = Log()
    place.fail("127.0.0.5")
    place.told(1)
    assert "All is well" not in place.status(), "nothing has come since"
    place.deliver("127.0.0.2")
    place.deliver("127.0.0.2")
    place.told(5)
    place.date("2026-11-28T10:00:")
    shown = place.status("--since", "2026-11-28")
    has_line(shown, "Status", STATUS)
    has_line(shown, "All is well since", "Nov 28 10:00")
    place = Log()
    place.deliver("127.0.0.2")
    place.told(2)
    assert "All is well" not in place.status(), "all was well before"


def test_json_and_openmetrics_are_two_forms():
    for options in (("--json", "--openmetrics"), ("--openmetrics", "--json")):
        harness.contains(Log().status(*options, code=EX_USAGE), "--json and --openmetrics are two forms: choose one")


def test_a_second_mode_beside_healthy_is_an_error():
    for options in (("--json",), ("--openmetrics",), ("--openmetrics", "--totals", "x"), ("--peer", "192.0.2.1")):
        for order in ((*options, "--healthy"), ("--healthy", *options)):
            harness.contains(Log().status(*order, code=EX_USAGE), "--healthy is about all that happens")


def test_a_directory_without_a_journal_is_an_error():
    folder = harness.scratch()
    for _ in range(2):
        told = Log().status("-D", folder, code=EX_NOINPUT)
        harness.equal(told, f"postern-status: {folder}: has no journal in it that can be read\n")
        (folder / "other.txt").touch()


# A terminal


class Terminal:
    """The program on a terminal of its own."""

    def __init__(self, place, *options, columns=80, rows=24, command=(), **environment):
        command = command or (program(), "-c", place.settings_file, *options)
        self.ours, theirs = pty.openpty()
        harness.at_end(os.close, self.ours)
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process = harness.start(
            *command, stdin=theirs, stdout=theirs, stderr=theirs,
            env=harness.environment(**{"TERM": "xterm", "TZ": "UTC", **environment}))
        os.close(theirs)
        self.text = ""

    def read(self):
        """What has come, until nothing does for a moment; False at the end."""
        ready, _, _ = select.select([self.ours], [], [], 0.05)
        with contextlib.suppress(OSError):
            more = os.read(self.ours, 65536) if ready else b""
            self.text += more.decode("ascii")
            return bool(more) or not ready
        return False

    def rest(self):
        while self.read():
            pass
        harness.equal(self.process.wait(PATIENCE), 0)
        return self.text.replace("\r\n", "\n")

    def until(self, text):
        def shown():
            self.read()
            return text in self.text
        harness.eventually(shown, f"{text!r} in {self.text!r}")


def plain(text):
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


@harness.table_of({f"{c} columns, {' '.join(o) or 'panel'}": (c, o)
                   for c in (32, 40, 48, 53, 54, 55, 56, 60, 80, 120) for o in ((), ("--sessions",), ("--messages",))})
def test_a_terminal_is_never_too_narrow(columns, options):
    place = some_log()
    place.set(pair=harness.pair(expired=True))
    text = Terminal(place, *options, columns=columns).rest()
    lines = plain(text).splitlines()
    harness.equal([line for line in lines if len(line) > columns], [])
    assert all(32 <= ord(c) < 127 for line in lines for c in line), lines


def masked(text):
    """Without what differs from run to run; the first line has the name of the file and the time."""
    text = re.sub(r"(?m)^.*\n", "", plain(text), count=1)
    return re.sub(r"(?<=  )\d+\.\d(?=  )", "0.0", re.sub(r"\d+ days left", "8000 days left", text))


def expected_panels():
    """By width: below "60 columns:" stands the panel."""
    parts = re.split(r"(?m)^(\d+) columns:\n", (harness.HERE / "panels.txt").read_text())
    return {int(width): panel for width, panel in zip(parts[1::2], parts[2::2])}


@harness.table_of({f"{columns} columns": (columns,) for columns in (40, 54, 60, 80, 120)})
def test_the_panel_is_as_expected(columns):
    place = some_log()
    place.date("2026-11-28T10:00:")
    shown = Terminal(place, "--since", "2026-11-28", columns=columns, rows=40).rest()
    harness.equal(masked(shown), expected_panels()[columns])


def test_colours_are_for_terminals_that_have_them():
    place = some_log()
    harness.contains(Terminal(place).rest(), f"\x1b[1;31m{STATUS}\x1b[0m")
    for environment in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        text = Terminal(place, **environment).rest()
        harness.contains(text, STATUS)
        assert "\x1b" not in text, text
    assert "\x1b" not in place.status()


def test_follow_draws_in_place_until_it_is_interrupted():
    place = Log()
    place.deliver("127.0.0.2")
    place.told(2)
    terminal = Terminal(place, "--follow")
    terminal.until("127.0.0.2")
    place.deliver("127.0.0.3")
    terminal.until("127.0.0.3")
    terminal.process.send_signal(signal.SIGINT)
    text = terminal.rest()
    assert "\x1b[?1049h" not in text, "the screen is the usual one"
    harness.equal(text.count("\x1b[?7l\x1b[?25l"), 1)
    assert text.endswith("\x1b[?7h\x1b[?25h"), "lines wrap again, and the cursor is back"
    assert not re.search("[^\n H]\x1b\\[K", text), "no last column is cleared"
    frames = text.split("\x1b[H")[1:]
    assert all(f.count("\n") <= 23 for f in frames), "a frame fits"
    assert "\x1b[2J" not in text, "nothing flickers"


@harness.table(small=("q",), capital=("Q",))
def test_a_key_ends_following_and_the_terminal_is_as_it_was(key):
    """In the foreground of a terminal, as a shell starts it."""
    place = Log()
    place.deliver("127.0.0.2")
    place.told(2)
    command = (f"import os, pty, termios, sys; before = termios.tcgetattr(0); "
               f"s = os.spawnvp(os.P_WAIT, sys.argv[1], sys.argv[1:]); "
               f"print('same' if termios.tcgetattr(0) == before else 'changed', s)")
    pid, ours = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm", TZ="UTC")
        os.execv("/usr/bin/python3", ["python3", "-c", command, str(program()), "-c", str(place.settings_file), "--follow"])
    harness.at_end(os.close, ours)
    text = ""

    def shows(wanted):
        nonlocal text
        ready, _, _ = select.select([ours], [], [], 0.05)
        with contextlib.suppress(OSError):
            text += os.read(ours, 65536).decode("ascii") if ready else ""
        return wanted in text

    harness.eventually(lambda: shows("127.0.0.2"), "a panel")
    os.write(ours, b"x")
    os.write(ours, key.encode())
    harness.eventually(lambda: shows("same 0") or shows("changed"), "the end")
    harness.contains(text, "same 0")
    harness.equal(os.waitpid(pid, 0)[1], 0)


def test_follow_shows_a_window_that_changes():
    place = Log()
    place.deliver("127.0.0.2")
    place.told(2)
    terminal = Terminal(place, "--follow", rows=10)
    terminal.until("Status")
    assert "Last sessions" not in terminal.text
    fcntl.ioctl(terminal.ours, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
    terminal.until("Last sessions")
    terminal.process.terminate()
    terminal.rest()


# What comes, in a pipe


class Followed:
    def __init__(self, place, *options):
        self.process = harness.start(
            program(), "-c", place.settings_file, "--follow", *options,
            stdout=subprocess.PIPE, bufsize=0, env=harness.environment(TZ="UTC"))
        self.text = b""

    def line(self):
        while b"\n" not in self.text:
            ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
            assert ready, "no line comes"
            self.text += os.read(self.process.stdout.fileno(), 65536)
        line, self.text = self.text.split(b"\n", 1)
        return line.decode("ascii")


@harness.table(lines=((), "event=session end=quit"), json=(("--json",), '"end":"quit"'),
               sessions=(("--sessions",), "quit"))
def test_follow_tells_each_record_in_a_pipe(options, wanted):
    place = Log(tls="off")
    place.deliver("127.0.0.2", secured=False)
    place.told(2)
    followed = Followed(place, "-n1", *options)
    if options == ("--sessions",):
        harness.equal(words(followed.line())[0], "Time")
    harness.contains(followed.line(), "127.0.0.2")
    place.refuse("127.0.0.3")
    lines = [followed.line()]
    if options != ("--sessions",):
        lines.append(followed.line())
    harness.contains(lines[-1], "127.0.0.3")
    harness.contains(lines[-1], wanted)


def test_follow_goes_on_in_the_next_file():
    place = Log(tls="off")
    place.deliver("127.0.0.2", secured=False)
    place.told(2)
    followed = Followed(place, "--json", "--sessions")
    harness.contains(followed.line(), "127.0.0.2")
    place.file.rename(place.dir / "postern.json.1")
    place.deliver("127.0.0.3", secured=False)
    harness.contains(followed.line(), "127.0.0.3")


def test_follow_begins_while_the_file_is_rotated_away():
    place = Log(tls="off")
    place.deliver("127.0.0.2", secured=False)
    place.told(2)
    place.file.rename(place.dir / "postern.json.1")
    followed = Followed(place, "--json", "--sessions")
    harness.contains(followed.line(), "127.0.0.2")
    place.deliver("127.0.0.3", secured=False)
    harness.contains(followed.line(), "127.0.0.3")


# Whatever stands in the log


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


# The journal

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
        raise Skip("built without postern-status or libsystemd")
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
        harness.equal(told.stdout, f"{found} found, {found} visited\n")


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
    """By hand there is no second place: the alert is given again, and the cause is said."""
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


def test_health_says_what_it_cannot_see():
    """A monitor that may not read the certificate must not say that all is well."""
    harness.need_root("another user")
    place = Log()
    pair = harness.pair().copy_to(place.dir)
    place.set(pair=pair)
    place.deliver()
    place.told(2)
    place.file.chmod(0o644)
    pair.key.chmod(0o600)
    nobody = {"user": 65534, "group": 65534, "extra_groups": []}
    harness.contains(place.status("--healthy", **nobody), "OK: 1 sessions")
    pair.certificate.chmod(0o600)
    harness.equal(place.status("--healthy", code=1, **nobody),
                  f"WARNING: certificate {pair.certificate} is not checked: you may not read it\n")


@harness.table_of({
    "expired": ("certificate CN={host} expired on ", lambda: harness.pair("ecdsa", expired=True)),
    "to come": ("certificate CN={host} is not valid before ", lambda: harness.pair("ecdsa", future=True)),
    "of another key": ("another certificate",
                       lambda: harness.Pair(harness.pair().certificate, harness.pair("rsa").key))})
def test_health_knows_a_certificate_that_does_not_serve(text, make):
    place = Log(pair=make())
    place.file.touch()
    harness.contains(place.status("--healthy", code=2), text.format(host=harness.HOST))


def test_health_without_records_to_read_is_no_good_health():
    for log in ("stderr", "syslog"):
        place = Log()
        place.set(log=log)
        status = harness.run(program(), "-c", place.settings_file, "--healthy")
        harness.equal(status.returncode, 1, status.stdout)
        harness.contains(status.stdout, "WARNING: no records can be shown with this setting of log")


def test_health_knows_an_outbox_that_cannot_be_read():
    place = Log()
    place.file.touch()
    outbox = place.dir / "outbox"
    place.set(dsn_outbox=outbox)
    health(place, 0, "0 sessions")
    outbox.write_text("")
    health(place, 1, f"{outbox}/cur: Not a directory")
    outbox.unlink()
    outbox.mkdir()
    (outbox / "cur").symlink_to("cur")
    health(place, 1, f"{outbox}/cur: Too many levels of symbolic links")


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
