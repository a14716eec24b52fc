#!/usr/bin/python3
"""postern-outbox: a report goes to sendmail with exactly one address, and is never lost; what is no
report goes nowhere."""

import fcntl
import os
import resource
import signal
import socket
import stat
import subprocess
import time

import harness
from outbox import ADDRESS, FAST, GIVE_UP, RETRY, Outbox, kind_of, program, report

EX_USAGE, EX_IOERR, EX_CONFIG = 64, 74, 78
ARGUMENTS = [b"-i", b"-f", b"<>", b"--"]


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


# What fails


@harness.table_of({f"exit {n}": n for n in (1, 64, 66, 69, 70, 71, 73, 74, 75, 77, 78, 126, 127)})
def test_what_may_be_mended_is_tried_again_and_not_at_once(status):
    box = Outbox()
    box.be(status)
    name = box.put()
    said = box.run()
    harness.contains(said, f"{name},T=")
    harness.contains(said, f": to {ADDRESS}: sendmail exited with status {status}; it will be tried again\n")
    box.expect(cur=[name])
    harness.equal(box.run(), "", "too early")
    box.let_time_pass(RETRY - 10)
    harness.equal(box.run(), "", "still too early")
    harness.equal(len(box.runs()), 1)
    box.let_time_pass(10)
    box.be(0)
    harness.equal(box.run(), "")
    harness.equal(box.runs(), [([*ARGUMENTS, ADDRESS.encode()], report())] * 2)
    box.expect()


@harness.table_of({f"exit {n}": n for n in (65, 67, 68)})
def test_what_no_time_will_mend_is_rejected(status):
    box = Outbox()
    box.be(status)
    name = box.put()
    harness.contains(box.run(), f": to {ADDRESS}: sendmail exited with status {status}; it is now in rejected/\n")
    box.expect(rejected=[name])
    harness.equal((box.rejected / name).read_bytes(), report())


def test_a_sendmail_that_is_not_there_is_what_may_be_mended():
    box = Outbox()
    box.sendmail.unlink()
    name = box.put()
    harness.contains(box.run(), "sendmail cannot be run: No such file or directory; it will be tried again")
    box.expect(cur=[name])
    box.be(0)
    box.let_time_pass()
    harness.equal(box.run(), "")
    box.expect()


def test_a_sendmail_that_is_killed_is_what_may_be_mended():
    box = Outbox()
    box.be(0, "kill -KILL $$")
    name = box.put()
    harness.contains(box.run(), "sendmail was ended by signal 9; it will be tried again")
    box.expect(cur=[name])


def test_a_report_is_given_up_after_five_days():
    """RFC 5321 4.5.4.1. It is kept for whoever wants to know."""
    box = Outbox()
    box.be(75)
    young, old = box.put(age=GIVE_UP - 100), box.put(age=GIVE_UP + 1)
    said = box.run()
    harness.contains(said, "sendmail exited with status 75; it will be tried again\n")
    harness.contains(said, "sendmail exited with status 75; it is now in rejected/\n")
    box.expect(cur=[young], rejected=[old])


def test_an_old_report_is_still_sent_when_sendmail_takes_it():
    box = Outbox()
    box.put(age=10 * GIVE_UP)
    harness.equal(box.run(), "")
    harness.equal(len(box.runs()), 1)


DAY = 24 * 60 * 60


@harness.table_of({"by default": ((), 30), "a day": (("--keep=1",), 1), "for ever": (("--keep=0",), None)})
def test_what_is_rejected_is_kept_for_a_time(options, days):
    box = Outbox()
    box.run()
    limit = (days or 100) * DAY
    for name, age in (("old", limit + 60), ("young", limit - 60), (".hidden", limit + 60)):
        path = box.rejected / name
        path.write_text("x")
        os.utime(path, (time.time() - age,) * 2)
    (box.rejected / "folder").mkdir()
    os.utime(box.rejected / "folder", (0, 0))
    harness.equal(box.run(*options), "")
    left = sorted(p.name for p in box.rejected.iterdir())
    harness.equal(left, ["folder", "young"] if days else [".hidden", "folder", "old", "young"])


def test_the_time_in_rejected_begins_when_a_report_comes_there():
    box = Outbox()
    name = box.put(b"no report")
    os.utime(box.new / name, (0, 0))
    box.run()
    box.run()
    box.expect(rejected=[name])


def test_a_rejected_report_is_sent_when_it_is_put_back():
    box = Outbox()
    box.be(67)
    name = box.put()
    box.run()
    box.be(0)
    os.rename(box.rejected / name, box.new / name)
    harness.equal(box.run(), "")
    box.expect()


def test_one_that_fails_does_not_hold_up_the_others():
    box = Outbox()
    box.be("$(cat $run/input ${run%.new}/input 2>/dev/null | grep -c '^To: <bad')", "")
    names = [box.put(report(f"{who}@example.com")) for who in ("a", "bad", "c")]
    box.run()
    harness.equal(sorted(box.sent_to()), ["a@example.com", "bad@example.com", "c@example.com"])
    box.expect(cur=[names[1]])


# What is no report


def header(old, new):
    return report().replace(old, new, 1)


NO_REPORTS = {
    "empty": (b"", "its first line is not To: <ADDRESS>"),
    "no To": (report(to=""), "its first line is not To: <ADDRESS>"),
    "To is not first": (report(to=f"X: y\nTo: <{ADDRESS}>\n"), "its first line is not To: <ADDRESS>"),
    "two To": (report(fields=f"To: <{ADDRESS}>\n"), "its header names somebody else"),
    "two addresses": (report(to="To: <a@example.com>, <b@example.com>\n"), "To does not name a mailbox"),
    "folded To": (report(to="To: <a@example.com>\n ,<b@example.com>\n"), "To is folded"),
    "null path": (report(""), "To does not name a mailbox"),
    "no domain": (report("joe"), "To does not name a mailbox"),
    "option": (report("-oQ/tmp@example.com"), "To does not name a mailbox"),
    "dash": (report("-@example.com"), "To does not name a mailbox"),
    "dash and dots": (report("-..t@example.com."), "To does not name a mailbox"),
    "two dots behind the domain": (report("joe@example.com.."), "To does not name a mailbox"),
    "control character": (report("joe\x1b@example.com"), "To does not name a mailbox"),
    "line end": (report("joe\r@example.com"), "To does not name a mailbox"),
    "NUL in the address": (report("joe\0@example.com"), "To does not name a mailbox"),
    "NUL in the header": (header(b"Subject: ", b"Subject: \0"), "its header has a control character in it"),
    "Cc": (report(fields="Cc: <mary@example.com>\n"), "its header names somebody else"),
    "Bcc": (report(fields="Bcc: <mary@example.com>\n"), "its header names somebody else"),
    "Resent-To": (report(fields="Resent-To: <mary@example.com>\n"), "its header names somebody else"),
    "Return-Path": (report(fields="Return-Path: <>\n"), "its header names somebody else"),
    "CRLF": (report().replace(b"\n", b"\r\n"), "To does not name a mailbox"),
    "no empty line": (report().split(b"\n\n")[0], "its header does not end"),
    "endless header": (header(b"\n\n", b"\n" + b"X: y\n" * 4000 + b"\n"), "its header does not end"),
    "endless line": (header(b"\n\n", b"\nX: " + b"y" * 20000 + b"\n\n"), "its header does not end"),
    "text": (header(b"Subject: Delivered", b"Subject: x\n\nFrom: y"), "it has not one Auto-Submitted"),
    "auto-generated": (header(b"auto-replied", b"auto-generated"), "Auto-Submitted is not auto-replied"),
    "another report": (report(kind="disposition-notification"),
                       "Content-Type is not that of a delivery report"),
    "big": (report() + b"x" * (16 << 20), "it is too big"),
}


def check_rejected(box, name, why, reads=()):
    """No sendmail is run, and the file lies in rejected/ as it was."""
    said = box.run()
    harness.equal(said.count("\n"), 1, said)
    harness.contains(said, f"is no delivery report: {why}; it is now in rejected/\n")
    harness.equal(box.runs(), [])
    box.expect(rejected=[name])
    for path, content in reads:
        harness.equal(path.read_bytes(), content)


@harness.table_of(NO_REPORTS)
def test_a_file_that_is_no_report_is_rejected(text, why):
    box = Outbox()
    name = box.put(text)
    check_rejected(box, name, why, [(box.rejected / name, text)])


def test_the_largest_report_is_sent():
    box = Outbox()
    text = report()
    text += b"x" * ((16 << 20) - len(text))
    box.put(text)
    harness.equal(box.run(), "")
    harness.equal(box.runs()[0][1], text)


def make_symlink(path, box):
    target = box.site / "target"
    target.write_bytes(report())
    path.symlink_to(target)


def make_dangling(path, _):
    path.symlink_to("nowhere")


def make_socket(path, _):
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(path))


def make_directory(path, _):
    path.mkdir()
    (path / "report").write_bytes(report())


def make_closed_directory(path, _):
    path.mkdir(0o700)


def make_sparse(path, _):
    path.write_bytes(report())
    os.truncate(path, 1 << 30)


def make_links(path, box):
    path.write_bytes(report())
    for n in (1, 2):
        os.link(path, box.site / f"link{n}")


@harness.table_of({
    "symbolic link": (make_symlink, "it is a symbolic link"),
    "dangling link": (make_dangling, "it is a symbolic link"),
    "FIFO": (lambda path, _: os.mkfifo(path), "it is not a regular file"),
    "socket": (make_socket, "it is not a regular file"),
    "directory": (make_directory, "it is not a regular file"),
    "empty directory": (make_closed_directory, "it is not a regular file"),
    "sparse file of 1 GB": (make_sparse, "it is too big"),
    "links elsewhere": (make_links, "it has more names elsewhere"),
})
def test_what_is_no_file_of_ours_is_rejected(make, why):
    box = Outbox()
    make(box.new / "x", box)
    kind = kind_of(box.new / "x")
    started = time.monotonic()
    check_rejected(box, "x", why)
    assert time.monotonic() - started < 5
    harness.equal(kind_of(box.rejected / "x"), kind, "it is moved, and not what it leads to")


def test_a_device_is_rejected():
    harness.need_root("making a device")
    box = Outbox()
    os.mknod(box.new / "x", 0o600 | stat.S_IFCHR, os.makedev(1, 5))
    check_rejected(box, "x", "it is not a regular file")


def test_a_file_of_another_user_is_rejected():
    harness.need_root("giving files to others")
    box = Outbox()
    name = box.put()
    os.chown(box.new / name, 61001, 61001)
    check_rejected(box, name, "it belongs to another user")


def test_a_file_still_linked_in_tmp_is_sent():
    """As it is for a moment where the writer's file system has no O_TMPFILE."""
    box = Outbox()
    name = box.put()
    os.link(box.new / name, box.dir / "tmp" / name)
    harness.equal(box.run(), "")
    harness.equal(box.runs()[0][1], report())


def test_hidden_files_are_left_alone():
    box = Outbox()
    box.put(name=".hidden")
    (box.cur / ".hidden").write_bytes(report())
    harness.equal(box.run(), "")
    harness.equal(box.runs(), [])
    harness.equal(os.listdir(box.new) + os.listdir(box.cur), [".hidden", ".hidden"])


def test_a_name_cannot_make_a_line_of_its_own():
    box = Outbox()
    box.put(b"", name='a\n\x1b[2Jpostern-outbox: "b')
    said = box.run()
    harness.equal(said.count("\n"), 1, said)
    harness.contains(said, r'a\x0A\x1B[2Jpostern-outbox: \x22b,T=')


def test_the_longest_names_are_taken():
    box = Outbox()
    box.put(name="g" * 255)
    box.put(b"", name="b" * 255)
    box.run()
    harness.equal(box.sent_to(), [ADDRESS])
    box.expect(rejected=["b" * 232])


def test_what_is_put_into_cur_by_hand_is_tried():
    box = Outbox()
    name = box.put()
    os.rename(box.new / name, box.cur / name)
    harness.equal(box.run(), "")
    harness.equal(box.sent_to(), [ADDRESS])
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
    # sendmail itself says when it was run, a little later
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
    """A sendmail that says that it runs, and ends when it is told, or when the test has ended."""
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
    """Nobody knows whether it was sent: it is tried again, but not at once."""
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


# When the disk does not do what it should


def traced(box, *injections, calls="renameat2,linkat,unlinkat,fsync"):
    harness.need("strace")
    options = [part for injection in injections for part in ("-e", f"inject={injection}")]
    return ["strace", "-qq", "-o", str(box.site / "trace"), "-e", f"trace={calls}", *options,
            *box.command()]


def run_traced(box, *injections, status=0, **options):
    done = harness.run(*traced(box, *injections, **options))
    harness.equal(done.returncode, status, done.stdout)
    return done.stdout


def calls_of(box):
    lines = (box.site / "trace").read_text().splitlines()
    return [line.split("(")[0] for line in lines if "(" in line]


def test_each_step_is_on_the_disk_before_the_next():
    box = Outbox()
    box.put()
    run_traced(box, calls="renameat2,unlinkat,fsync,vfork,clone,clone3")
    steps = ["clone" if "clone" in c or "fork" in c else c for c in calls_of(box)]
    # the first is of rejected/, which was made
    harness.equal(steps, ["fsync", "renameat2", "fsync", "clone", "unlinkat", "fsync"])


@harness.table(read_only="EROFS", full="ENOSPC", denied="EACCES", broken="EIO")
def test_what_cannot_be_moved_is_not_sent(error):
    """Else it would be sent again and again."""
    box = Outbox()
    name = box.put()
    said = run_traced(box, f"renameat2:error={error}", status=EX_IOERR)
    harness.contains(said, f"postern-outbox: {name}: cannot be moved to cur/, and is not sent: ")
    harness.equal(box.runs(), [])
    box.expect(new=[name])


def test_a_directory_that_nobody_may_change_costs_few_lines():
    box = Outbox()
    names = [box.put() for _ in range(30)]
    said = run_traced(box, "renameat2:error=EROFS", status=EX_IOERR)
    harness.equal(said.count("\n"), 10)
    box.expect(new=names)


def test_one_that_cannot_be_moved_does_not_hold_up_the_others():
    harness.need_root("a directory of another user")
    box = Outbox()
    (box.new / "closed").mkdir(0o500)
    box.put()
    os.chown(box.new / "closed", 61002, 61002)
    for path in (box.dir, box.new, box.cur, *box.new.glob("1*")):
        os.chown(path, 61001, 61001)
    for path in (box.runs_dir, box.dir / "tmp"):
        path.chmod(0o777)
    done = harness.run("setpriv", "--reuid=61001", "--regid=61001", "--clear-groups", *box.command())
    harness.equal(done.returncode, EX_IOERR, done.stdout)
    harness.contains(done.stdout, "closed: cannot be moved to cur/, and is not sent: Permission denied\n")
    harness.equal(box.sent_to(), [ADDRESS])
    box.expect(new=["closed"])


def test_where_renaming_replaces_links_are_made_instead():
    """File systems without RENAME_NOREPLACE."""
    box = Outbox()
    box.be(75)
    name, bad = box.put(), box.put(b"")
    run_traced(box, "renameat2:error=EINVAL")
    assert "linkat" in calls_of(box)
    box.expect(cur=[name], rejected=[bad])
    harness.equal((box.rejected / bad).stat().st_nlink, 1)
    box.be(0)
    box.let_time_pass()
    harness.equal(run_traced(box, "renameat2:error=EINVAL"), "")
    box.expect(rejected=[bad])


def test_a_link_that_cannot_be_removed_is_taken_back():
    box = Outbox()
    name = box.put()
    run_traced(box, "renameat2:error=EINVAL", "unlinkat:error=EIO:when=1", status=EX_IOERR)
    harness.equal(box.runs(), [])
    box.expect(new=[name])


def test_what_was_sent_and_cannot_be_removed_is_set_aside():
    box = Outbox()
    name = box.put()
    said = run_traced(box, "unlinkat:error=EIO")
    harness.contains(said, "was sent, but cannot be removed: Input/output error; it is now in rejected/\n")
    box.expect(rejected=[name])
    box.run()
    harness.equal(len(box.runs()), 1)


def test_what_can_neither_be_removed_nor_moved_is_not_sent_again():
    box = Outbox()
    name = box.put()
    said = run_traced(box, "unlinkat:error=EROFS", "renameat2:error=EROFS:when=2+", status=EX_IOERR)
    harness.contains(said, "was sent, but cannot be removed: Read-only file system\n")
    harness.contains(said, "cannot be moved to rejected/: Read-only file system\n")
    box.expect(cur=[name])
    box.let_time_pass()
    said = run_traced(box, "unlinkat:error=EROFS", "renameat2:error=EROFS", status=EX_IOERR)
    harness.contains(said, "cannot be moved to cur/, and is not sent")
    harness.equal(len(box.runs()), 1)


def test_an_error_in_syncing_the_claim_keeps_the_report_from_being_sent():
    box = Outbox()
    box.run()
    name = box.put()
    run_traced(box, "fsync:error=EIO:when=1", status=EX_IOERR)
    harness.equal(box.runs(), [])
    box.expect(cur=[name])


SPAWN = "vfork,clone,clone3"  # whichever the C library uses


@harness.table_of({
    "the claim": ("renameat2", 1), "its sync": ("fsync", 1), "sendmail's start": (SPAWN, 1),
    "the removal": ("unlinkat", 1), "its sync after that": ("fsync", 2)})
def test_killed_at_a_step_a_report_is_in_one_place_or_sent(call, number):
    """Sent twice at worst, lost never."""
    box = Outbox()
    box.run()
    box.put()
    process = harness.start(*traced(box, f"{call}:signal=KILL:when={number}", calls=f"{call},fsync"),
                            stderr=subprocess.DEVNULL)
    process.wait(harness.PATIENCE)
    harness.contains((box.site / "trace").read_text(), "killed by SIGKILL")
    left = sum(len(entries) for entries in box.names().values())
    harness.equal(left, 0 if (call, number) == ("fsync", 2) else 1)
    if call == SPAWN:
        time.sleep(0.2)  # sendmail may be on its way
    sent = len(box.runs())
    box.let_time_pass()
    harness.equal(box.run(), "")
    box.expect()
    harness.equal(len(box.runs()), sent + left)
    assert sent + left > 0


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
