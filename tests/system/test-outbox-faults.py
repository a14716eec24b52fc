#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Faults around postern-outbox: sendmail, files that are not reports, and disks."""

import os
import socket
import stat
import subprocess
import time

import harness
from outbox import ADDRESS, ARGUMENTS, EX_IOERR, GIVE_UP, RETRY, Outbox, kind_of, report


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
    """RFC 5321 4.5.4.1. It is kept for the administrator."""
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
    "two To": (report(fields=f"To: <{ADDRESS}>\n"), "its header names another address"),
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
    "Cc": (report(fields="Cc: <mary@example.com>\n"), "its header names another address"),
    "Bcc": (report(fields="Bcc: <mary@example.com>\n"), "its header names another address"),
    "Resent-To": (report(fields="Resent-To: <mary@example.com>\n"), "its header names another address"),
    "Return-Path": (report(fields="Return-Path: <>\n"), "its header names another address"),
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
    """No sendmail is run, and the file is in rejected/, unchanged."""
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


if __name__ == "__main__":
    harness.main()
