#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""postern-outbox: a report is passed to sendmail with exactly one address, and is never lost; other files are never
sent."""

import fcntl
import os
import resource
import signal
import subprocess
import time

import harness
from outbox import ADDRESS, ARGUMENTS, EX_CONFIG, EX_USAGE, FAST, Outbox, program, report


# How sendmail is run


def test_a_report_goes_to_sendmail_as_it_is():
    box = Outbox()
    box.put()
    harness.equal(box.run(), "", "nothing is said where all is well")
    harness.equal(box.runs(), [([*ARGUMENTS, ADDRESS.encode()], report())])
    box.expect()


@harness.table_of({address: address for address in (
    "first.last+tag@mail.example.com",
    "x@[192.0.2.1]",
    "x@[IPv6:2001:db8::1]",
    "|/bin/sh@example.com",
    "`id`$HOME{a}*?@example.com",
    # as MAIL takes them from phones
    "a..b@mobile.example",
    ".ab.@mobile.example.",
    '"$(touch pwned); -oQ/tmp \' \\" <a> , b"@example.com',
)})
def test_an_address_is_one_argument_whatever_is_in_it(address):
    box = Outbox()
    box.put(report(address))
    box.run(cwd=box.site)
    harness.equal(box.runs(), [([*ARGUMENTS, address.encode()], report(address))])
    assert not (box.site / "pwned").exists()


def test_a_global_report_is_one_too():
    box = Outbox()
    box.put(report(kind="global-delivery-status"))
    box.run()
    harness.equal(box.sent_to(), [ADDRESS])


def test_nothing_of_our_environment_reaches_sendmail():
    box = Outbox()
    box.put()
    with open(box.site / "secret", "w", encoding="ascii") as secret:
        os.set_inheritable(secret.fileno(), True)
        box.run(env=harness.environment(IFS="x", LD_DEBUG="", MAIL_CONFIG="/evil", HOME="/evil"),
                close_fds=False, cwd=box.site)
    found = dict(v.split("=", 1) for v in box.read_of_run("environment").split("\0") if v)
    found.pop("_", None)
    # what a shell adds
    harness.equal(found, {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "PWD": "/"})
    descriptors = box.read_of_run("descriptors")
    assert "secret" not in descriptors and str(box.dir) + "\n" not in descriptors, descriptors


def test_descriptors_that_are_closed_do_no_harm():
    """Opened one after the other, the outbox and the report would be standard input and output."""
    box = Outbox()
    box.put()
    done = harness.run("sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *box.command())
    harness.equal(done.returncode, 0)
    harness.equal([text for _, text in box.runs()], [report()])
    harness.contains(box.read_of_run("descriptors"), " 2 -> /dev/null\n")
    box.expect()


def test_what_sendmail_says_is_passed_on():
    box = Outbox()
    box.be(75, "echo to standard output; echo to standard error >&2")
    name = box.put()
    said = subprocess.run(box.command(), capture_output=True, text=True, check=False,
                          timeout=harness.PATIENCE)
    harness.equal(said.stdout, "")
    lines = said.stderr.splitlines()
    harness.equal(lines[:2], ["to standard output", "to standard error"])
    assert lines[2].startswith(f"postern-outbox: {name},T="), lines
    harness.equal(len(lines), 3)


def test_sendmail_need_not_read_what_it_takes():
    box = Outbox()
    box.sendmail.write_text("#!/bin/sh\nexit 0\n")
    box.put()
    harness.equal(box.run(), "")
    box.expect()


# How often


def test_no_more_than_the_rate():
    box = Outbox()
    for _ in range(4):
        box.put()
    started = time.time()
    box.run("--rate=240")
    took = time.time() - started
    times = box.times()
    harness.equal(len(times), 4)
    assert took >= 4 * 0.25 - 0.01, "a run ends when sendmail may be run again"
    # sendmail itself records the time of its run, a little later
    assert times[3] - times[0] >= 3 * 0.25 - 0.1, times


def test_the_rate_holds_from_run_to_run():
    box = Outbox()
    for _ in range(3):
        box.put()
        box.run("--rate=120")
    times = box.times()
    assert times[2] - times[0] >= 2 * 0.5 - 0.1, times


def test_what_fails_counts():
    box = Outbox()
    box.be(75)
    for _ in range(3):
        box.put()
    box.run("--rate=120")
    times = box.times()
    assert times[2] - times[0] >= 2 * 0.5 - 0.1, times


def test_what_is_no_report_takes_no_time():
    box = Outbox()
    for _ in range(50):
        box.put(b"")
    started = time.monotonic()
    box.run("--rate=1")
    assert time.monotonic() - started < 10
    harness.equal(len(box.names()["rejected"]), 50)


def test_a_source_with_many_reports_does_not_hold_up_another():
    """A thousand of one network, and one of another that comes later: it is sent among the first."""
    box = Outbox()
    for n in range(1000):
        box.put(name=f"1751371200.M{n}P1Q1.{harness.HOST},N=c00002,S=1")
    box.be(0, f"[ -e {box.site}/late ] && mv {box.site}/late {box.new}/1.M1P2Q1.host,N=c63364,S=1; :")
    (box.site / "late").write_bytes(report("late@example.com"))
    process = harness.start(*box.command("--rate=1200"))
    harness.eventually(lambda: "late@example.com" in box.sent_to(), "the report that came late")
    process.terminate()
    process.wait()
    n_before = box.sent_to().index("late@example.com")
    assert n_before <= 17, f"{n_before} reports were sent before it"


def test_what_comes_while_we_run_is_sent_by_the_same_run():
    box = Outbox()
    box.be(0, f"[ -e {box.site}/more ] && mv {box.site}/more {box.new}/more; :")
    (box.site / "more").write_bytes(report("more@example.com"))
    box.put()
    box.run()
    harness.equal(box.sent_to(), [ADDRESS, "more@example.com"])
    box.expect()


# Several at once, and ends in the middle


def test_runs_at_the_same_time_send_each_report_once():
    box = Outbox()
    addresses = [f"a{n}@example.com" for n in range(20)]
    for address in addresses:
        box.put(report(address))
    processes = [harness.start(*box.command(), stderr=subprocess.PIPE) for _ in range(4)]
    for process in processes:
        harness.equal(process.communicate(timeout=30)[1], b"")
        harness.equal(process.returncode, 0)
    harness.equal(sorted(box.sent_to()), sorted(addresses))
    box.expect()


def locked(box):
    """The outbox as if another run had it."""
    descriptor = os.open(box.dir, os.O_RDONLY)
    harness.at_end(os.close, descriptor)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def test_a_run_waits_for_another_to_end():
    box = Outbox()
    box.put()
    other = locked(box)
    process = harness.start(*box.command())
    time.sleep(0.5)
    harness.equal(box.runs(), [])
    fcntl.flock(other, fcntl.LOCK_UN)
    harness.equal(process.wait(harness.PATIENCE), 0)
    harness.equal(len(box.runs()), 1)


def test_a_run_does_not_wait_long():
    box = Outbox()
    name = box.put()
    locked(box)
    harness.equal(box.run(patience=30), "")
    box.expect(new=[name])


def test_a_run_that_waits_can_be_ended():
    box = Outbox()
    locked(box)
    process = harness.start(*box.command())
    time.sleep(0.3)
    process.terminate()
    harness.equal(process.wait(2), 0)


def slow(box):
    """A sendmail that records its start, and ends on request or when the test has ended."""
    box.be(0, f"""touch {box.site}/running
for i in $(seq 1000); do [ -d {box.site} ] && [ ! -e {box.site}/go ] || break; sleep 0.02; done""")
    return box.site / "running", box.site / "go"


@harness.table(term=signal.SIGTERM, int=signal.SIGINT, hup=signal.SIGHUP)
def test_a_signal_lets_the_report_in_hand_be_finished(number):
    box = Outbox()
    running, go = slow(box)
    names = {box.put(), box.put()}
    process = harness.start(*box.command(), start_new_session=True)
    harness.eventually(running.exists, "sendmail runs")
    # as ^C in a terminal would be: sendmail has a process group of its own
    os.killpg(process.pid, number)
    time.sleep(0.2)
    assert process.poll() is None, "it waits for sendmail"
    go.touch()
    harness.equal(process.wait(harness.PATIENCE), 0)
    harness.equal(len(box.runs()), 1)
    left = box.names()
    harness.equal((len(left["new"]), left["cur"], left["rejected"]), (1, [], []))
    assert set(left["new"]) < names


def test_a_signal_ends_a_pause_at_once():
    box = Outbox()
    box.put()
    box.put()
    process = harness.start(*box.command("--rate=1"))
    harness.eventually(box.runs, "the first is sent")
    time.sleep(0.1)
    process.terminate()
    harness.equal(process.wait(2), 0)
    harness.equal(len(box.names()["new"]), 1)


def test_killed_while_sendmail_runs_the_report_waits_for_its_turn():
    """It is unknown whether it was sent: it is tried again, but not at once."""
    box = Outbox()
    running, go = slow(box)
    name = box.put()
    process = harness.start(*box.command())
    harness.eventually(running.exists, "sendmail runs")
    process.kill()
    process.wait(harness.PATIENCE)
    go.touch()
    box.expect(cur=[name])
    harness.equal(box.run(), "")
    harness.equal(len(box.runs()), 1)
    box.let_time_pass()
    harness.equal(box.run(), "")
    harness.equal(len(box.runs()), 2)
    box.expect()


@harness.senseless_when_sanitized
def test_memory_is_flat():
    """A thousand files and a big report fit where little memory is."""
    box = Outbox()
    for _ in range(1000):
        box.put(b"")
    box.put(report() + b"x" * (15 << 20))
    limit = 16 << 20
    harness.contains(box.run(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit))),
                     "is no delivery report")
    harness.equal(len(box.names()["rejected"]), 1000)
    harness.equal(len(box.runs()), 1)


# The command line


def outbox(*arguments):
    return subprocess.run([str(program()), *map(str, arguments)], capture_output=True, text=True,
                          timeout=harness.PATIENCE, check=False)


def test_help_and_version():
    done = outbox("--help")
    harness.equal((done.returncode, done.stderr), (0, ""))
    for word in ("Usage: postern-outbox", "--rate=N", "--sendmail=PATH", "postern-outbox(8)"):
        harness.contains(done.stdout, word)
    done = outbox("--version")
    harness.equal((done.returncode, done.stderr), (0, ""))
    assert done.stdout.startswith("postern-outbox ") and done.stdout.count("\n") == 1


@harness.table_of({
    "no directory": ((), "DIRECTORY: must be given"),
    "two directories": (("/a", "/b"), "/b: not understood"),
    "two behind the options": (("--", "--help", "/b"), "/b: not understood"),
    "none behind the options": (("--",), "DIRECTORY: must be given"),
    "unknown option": (("--nonsense", "/a"), "--nonsense: not understood"),
    "short option": (("-f", "/a"), "-f: not understood"),
    "rate of none": (("--rate=0", "/a"), "--rate=0: must be a number from 1 to 60000"),
    "rate too high": (("--rate=60001", "/a"), "--rate=60001: must be a number from 1 to 60000"),
    "rate no number": (("--rate=1x", "/a"), "--rate=1x: must be a number from 1 to 60000"),
    "rate empty": (("--rate=", "/a"), "--rate=: must be a number from 1 to 60000"),
    "keep no number": (("--keep=x", "/a"), "--keep=x: must be a number of days from 0 to 36500"),
    "keep too long": (("--keep=36501", "/a"), "--keep=36501: must be a number of days from 0 to 36500"),
    "sendmail relative": (("--sendmail=sendmail", "/a"), "--sendmail=sendmail: must be a path that begins with /"),
    "sendmail empty": (("--sendmail=", "/a"), "--sendmail=: must be a path that begins with /"),
})
def test_what_is_not_understood_is_named(arguments, fault):
    done = outbox(*arguments)
    harness.equal((done.returncode, done.stdout), (EX_USAGE, ""))
    harness.equal(done.stderr, f"postern-outbox: {fault}; see postern-outbox --help\n")


@harness.table_of({
    "missing": (lambda box: "/nonexistent", "No such file or directory"),
    "a file": (lambda box: box.sendmail, "Not a directory"),
    "no Maildir": (lambda box: box.site, "new/: No such file or directory"),
    "cur is missing": (lambda box: box.cur.rmdir() or box.dir, "cur/: No such file or directory"),
    "new is a link": (lambda box: link_away(box, "new"), "new/: "),
    "rejected is a file": (lambda box: (box.rejected.touch(), box.dir)[1], "rejected/: Not a directory"),
    "others may write": (lambda box: box.dir.chmod(0o777) or box.dir,
                         "others may write there: chmod go-w"),
    "others may write into new": (lambda box: box.new.chmod(0o775) or box.dir,
                                  "new/: others may write there: chmod go-w"),
})
def test_a_directory_that_is_no_outbox_is_refused_with_the_remedy(make, fault):
    box = Outbox()
    path = make(box)
    done = outbox(path)
    harness.equal((done.returncode, done.stdout), (EX_CONFIG, ""))
    assert done.stderr.startswith(f"postern-outbox: {path}: {fault}"), done.stderr
    harness.equal(done.stderr.count("\n"), 1)


def link_away(box, part):
    os.rename(box.dir / part, box.site / part)
    (box.dir / part).symlink_to(box.site / part)
    return box.dir


def test_an_outbox_of_another_user_is_refused_with_the_remedy():
    harness.need_root("giving directories to others")
    box = Outbox()
    os.chown(box.dir, 61001, 61001)
    done = outbox(box.dir)
    harness.equal(done.returncode, EX_CONFIG)
    harness.equal(done.stderr, f"postern-outbox: {box.dir}: belongs to the user with the number 61001: "
                               "run postern-outbox as that user\n")


def test_a_directory_may_be_named_by_a_relative_path():
    box = Outbox()
    box.put()
    done = harness.run(program(), f"--sendmail={box.sendmail}", FAST, "outbox", cwd=box.site)
    harness.equal((done.returncode, done.stdout), (0, ""))
    harness.equal(box.sent_to(), [ADDRESS])


if __name__ == "__main__":
    harness.main()
