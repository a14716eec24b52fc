#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""postern-status: its health, and its counters for Prometheus."""

import calendar
import fcntl
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import harness
from harness import PATIENCE, RECIPIENT
from logs import STATUS, Log, has_line, program, some_log

EX_USAGE, EX_DATAERR, EX_NOINPUT, EX_CANTCREAT = 64, 65, 66, 73


# Health


def soon(days):
    """A pair that expires in so many days."""
    folder = harness.scratch()
    done = harness.run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", days,
                       "-subj", f"/CN={harness.HOST}", "-addext", f"subjectAltName=DNS:{harness.HOST}",
                       "-keyout", folder / "key", "-out", folder / "crt")
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
    health(place, 1, f"no records: {place.file}: No such file or directory")
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
    harness.contains(place.status("--healthy", "--follow", code=EX_USAGE), "--healthy covers")


def test_health_says_what_it_cannot_see():
    """A monitor that cannot read the certificate must not report that there is no fault."""
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
                  f"WARNING: certificate {pair.certificate} is not checked: this user cannot read it\n")


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
    expires = calendar.timegm(time.strptime(harness.LAST, "%Y-%m-%d"))
    assert re.search(rf'not_after_timestamp_seconds\{{.*subject="CN=mail\.example\.org"\}} {expires}', shown), shown


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
        harness.contains(Log().status(*options, code=EX_USAGE), "--json and --openmetrics are two formats: choose one")


def test_a_second_mode_beside_healthy_is_an_error():
    for options in (("--json",), ("--openmetrics",), ("--openmetrics", "--totals", "x"), ("--peer", "192.0.2.1")):
        for order in ((*options, "--healthy"), ("--healthy", *options)):
            harness.contains(Log().status(*order, code=EX_USAGE), "--healthy covers all records")


def test_a_directory_without_a_journal_is_an_error():
    folder = harness.scratch()
    for _ in range(2):
        told = Log().status("-D", folder, code=EX_NOINPUT)
        harness.equal(told, f"postern-status: {folder}: has no journal in it that can be read\n")
        (folder / "other.txt").touch()


if __name__ == "__main__":
    harness.main()
