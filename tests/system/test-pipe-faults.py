#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Faults around postern-pipe: disks, limits, and the program itself, killed at any moment. No message is lost, none
is in two places, and each is processed at least once."""

import os
import random
import re
import shutil
import signal
import threading
import time

import harness
from harness import Listener, Site
from injections import Calls, list_calls, list_kills
from pipebox import FIRST, PipeBox

SIZE = os.environ.get("POSTERN_CAMPAIGN", "")  # "all", or how many kills
MESSAGES = int(os.environ.get("POSTERN_PIPE_MESSAGES", "500"))
SESSIONS = 50
LOOK = 30  # seconds between two looks where nothing is noticed


def traced(box, *injections):
    """strace that lets calls of this process fail, but not of the programs that it runs."""
    harness.need("strace")
    options = [part for injection in injections for part in ("-e", f"inject={injection}")]
    names = ",".join(i.split(":")[0] for i in injections)
    return ["strace", "-qq", "-o", str(box.site / "trace"), "-e", f"trace={names}", *options]


# Limits and disks


@harness.table(watches="inotify_add_watch:error=ENOSPC", instances="inotify_init1:error=EMFILE")
def test_without_inotify_new_is_read_every_half_minute(injection):
    box = PipeBox()
    box.start(wrap=traced(box, injection))
    harness.eventually(lambda: "new messages are looked for every 30 seconds" in box.log_text(), "a record")
    harness.contains(box.log_text(), "raise fs.inotify.max_user_watches and fs.inotify.max_user_instances")
    time.sleep(1)
    name = box.put()
    started = time.monotonic()
    box.expect(cur=[name])
    assert time.monotonic() - started < 10 * LOOK
    harness.equal(box.log_text().count("looked for"), 1, "it is said once")
    end(box)


def end(box):
    """strace passes no signal on."""
    for pid in children(box.process.pid):
        os.kill(pid, signal.SIGTERM)
    box.process.wait(harness.PATIENCE)


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(p) for p in file.read().split()]


@harness.table_of({
    "to cur/": (0, (), "renameat2:error=EROFS:when=1", "a processed message stays in new/, and is moved later"),
    "removed": (0, ("--delete",), "unlinkat:error=EIO:when=3", "a processed message stays in new/, and is moved later"),
    "to failed/": (1, (), "renameat2:error=EROFS:when=1", "a failed message stays in new/, and is moved later")})
def test_a_result_that_cannot_be_stored_is_kept_and_the_program_not_run_again(status, options, injection, words):
    box = PipeBox()
    box.be(status)
    name = box.put()
    box.start(*options, wrap=traced(box, injection))
    harness.eventually(lambda: words in box.log_text(), "a record")
    box.expect(new=[name])
    box.expect(cur=[] if status or options else [name], failed=[name] if status else [])
    harness.equal(box.order(), [name])
    end(box)


@harness.table_of({
    # of the calls that use the directory, the first one lists it
    "before the program": ("openat:error=ENOENT:when=2", 1),
    "after it": ("renameat2:error=ENOENT:when=1", 2)})
def test_a_message_that_is_missing_only_for_a_moment_is_processed(injection, runs):
    box = PipeBox()
    name = box.put()
    box.start(wrap=[*traced(box, injection), "-P", str(box.new)])
    box.expect(cur=[name])
    harness.equal(box.order(), [name] * runs)
    end(box)


def small_box():
    """On a file system that is soon full."""
    box = PipeBox()
    shutil.rmtree(box.dir)
    harness.small_file_system(box.dir, "256k")
    box.dir.chmod(0o700)
    box.make()
    return box


def test_a_full_disk_loses_nothing():
    box = small_box()
    box.be(1)
    name = box.put()
    (box.dir / "pipe").mkdir(mode=0o700)
    for part in ("failed", "pipe/tried", "pipe/done"):
        (box.dir / part).mkdir(mode=0o700)
    (box.dir / "pipe" / "lock").touch()
    ballast = harness.fill(box.dir / "tmp")
    box.start()
    harness.eventually(lambda: "No space left on device" in box.log_text(), "a record")
    box.expect(new=[name])
    ballast.unlink()
    box.expect(failed=[name])
    harness.contains(box.note(name), "Result: exit status 1")
    harness.equal(box.order(), [name])
    box.stop()


def test_without_room_a_message_is_tried_again_all_the_same():
    box = small_box()
    box.be(75)
    name = box.put()
    box.start()
    box.await_starts(1)
    ballast = harness.fill(box.dir / "tmp")
    box.await_starts(3)
    harness.contains(box.log_text(), "a try cannot be written down: No space left on device")
    ballast.unlink()
    box.be(0)
    box.expect(cur=[name])
    box.stop()


def test_where_there_is_no_rename_without_replacing_links_do():
    box = PipeBox()
    name = box.put()
    (box.cur / f"{name}:2,").write_text("another one")
    box.start(wrap=traced(box, "renameat2:error=EINVAL"))
    box.await_starts(1)
    harness.eventually(lambda: not os.listdir(box.new), "the move")
    harness.equal((box.cur / f"{name}:2,").read_text(), "another one")
    harness.equal((box.cur / f"{name}.R1:2,").stat().st_nlink, 1)
    end(box)


def test_without_links_a_failed_message_that_stays_in_new_has_its_note():
    box = PipeBox()
    box.be(1)
    name = box.put()
    box.start("--keep-new", wrap=traced(box, "linkat:error=EPERM"))
    harness.eventually((box.dir / "pipe" / "done" / name).exists, "the end of the run")
    end(box)
    harness.equal(os.listdir(box.failed), [f"{name}.txt"])
    box.start("--keep-new")
    box.stop()
    harness.equal(os.listdir(box.failed), [f"{name}.txt"])
    (box.new / name).unlink()
    box.start("--keep-new")
    box.stop()
    harness.equal((os.listdir(box.failed), os.listdir(box.new), box.order()), ([], [], [name]))


def test_a_move_by_links_that_was_interrupted_is_ended():
    box = PipeBox()
    name = box.put()
    os.link(box.new / name, box.cur / f"{name}:2,")
    box.start()
    box.expect(cur=[name])
    box.stop()
    harness.equal(os.listdir(box.cur), [f"{name}:2,"])


# Killed


class Kills:
    """A box in which one message succeeds, one is refused, and one succeeds at the second try."""

    def __init__(self):
        self.box = PipeBox()
        self.dir = self.box.site
        self.tool = Calls(self)

    def reset(self):
        box = self.box
        for path in (box.dir, box.runs_dir):
            shutil.rmtree(path)
        box.runs_dir.mkdir()
        box.started.unlink(missing_ok=True)
        box.log.unlink(missing_ok=True)
        box.make()
        for path in box.site.glob("second*"):
            path.unlink()
        box.program.write_text(f"""#!/bin/sh
name=${{POSTERN_FILE##*/}}
echo "$name" >>{box.started}
case $name in
*bad*) echo refused >&2; exit 1 ;;
*late*) test -e {box.site}/second && exit 0; : >{box.site}/second; exit 75 ;;
esac
exit 0
""")
        self.names = [box.put(name=f"{FIRST + n}.M1P1Q1.{kind}") for n, kind in enumerate(("good", "bad", "late"))]

    def places(self):
        """Where the messages are. One whose name is taken gets another, which ends with .R and a number."""
        return {part: [re.sub(r"\.R\d+$", "", name) for name in names] for part, names in self.box.names().items()}

    def is_finished(self):
        good, bad, late = self.names
        return self.places() == {"new": [], "cur": [good, late], "failed": [bad]}

    def attempt(self, injection):
        """The faults of one attempt."""
        try:
            return self._attempt(injection)
        except AssertionError as fault:
            return [f"{injection}: {fault}"]
        finally:
            if self.box.process.poll() is None:
                for pid in (*children(self.box.process.pid), self.box.process.pid):
                    os.kill(pid, signal.SIGKILL)
                self.box.process.wait(harness.PATIENCE)

    def _attempt(self, injection):
        box, faults = self.box, []
        self.reset()
        wrap, env = self.tool.wrap(injection)
        box.start(wrap=wrap, start_new_session=True, env=harness.environment(**env))
        harness.eventually(lambda: box.process.poll() is not None or self.is_finished(), f"the end: {injection}")
        if box.process.poll() is None:
            box.process.send_signal(signal.SIGTERM)
            box.process.wait(harness.PATIENCE)
        # a note that is not whole is hidden; at the end there must be none
        left = sorted(n for names in self.places().values() for n in names if not n.startswith("."))
        if left != self.names:
            faults.append(f"after it there is {left}")
        box.start()
        try:
            harness.eventually(self.is_finished, "the rest")
        except AssertionError:
            faults.append(f"not finished: {box.names()}")
        box.stop()
        firsts = list(dict.fromkeys(box.order()))
        if sorted(firsts) != self.names or (firsts != self.names and injection and injection.killed):
            faults.append(f"started: {box.order()}")
        notes = [path.read_text(errors="backslashreplace") for path in box.failed.glob("*.txt")]
        if not any("Result: exit status 1" in note for note in notes):
            faults.append("no note")
        left = [p for part in ("tried", "done") for p in os.listdir(box.dir / "pipe" / part)]
        if left:
            faults.append(f"left: {left}")
        return [f"{injection}: {fault}" for fault in faults]


@harness.senseless_when_sanitized
@harness.table(kills=(list_kills, 20), errors=(list_calls, 10))
def test_at_any_call_it_loses_nothing(injections, size):
    """Killed, it also keeps the order."""
    kills = Kills()
    harness.equal(kills.attempt(None), [])
    # a call that fails for ever keeps messages where they are, as they must be
    every = [injection for injection in injections(kills.tool) if injection.process == 0 and not injection.lasting]
    assert len(every) > 100, len(every)
    chosen = every if SIZE == "all" else random.Random(1).sample(every, min(int(SIZE or size), len(every)))
    print(f"# {len(chosen)} of {len(every)} injections")
    signal.alarm(harness.TEST_LIMIT + 60 * len(chosen))
    faults = [fault for injection in chosen for fault in kills.attempt(injection)]
    assert not faults, "\n".join(faults)


# Many messages


def deliver(listener, number, faults):
    try:
        client = harness.Client.to(listener.port)
        client.ehlo()
        for n in range(MESSAGES // SESSIONS):
            text = harness.sample(f"session {number} message {n}")
            reply = client.message(text)
            if reply.code != 250:
                faults.append(str(reply))
        client.send("QUIT\r\n")
        client.close()
    except Exception as fault:  # pylint: disable=broad-except
        faults.append(repr(fault))


def test_many_messages_from_many_sessions_while_programs_fail_at_random():
    place = Site(maildir_create="yes")
    listener = Listener(place)
    box = PipeBox(place.maildir)
    box.program.write_text(f"""#!/bin/sh
echo "${{POSTERN_FILE##*/}} $POSTERN_SUBJECT" >>{box.started}
case $(od -An -N1 -tu1 /dev/urandom) in
*[01]) exit 75 ;;
*2) kill -KILL $$ ;;
esac
""")
    box.start("-n", "4")
    faults = []
    threads = [threading.Thread(target=deliver, args=(listener, n, faults)) for n in range(SESSIONS)]
    for thread in threads:
        thread.start()
    # and the whole is killed in between
    for _ in range(3):
        time.sleep(1)
        box.process.kill()
        box.process.wait(harness.PATIENCE)
        box.start("-n", "4")
    for thread in threads:
        thread.join(harness.TEST_LIMIT)
    harness.equal(faults, [])
    wanted = MESSAGES // SESSIONS * SESSIONS
    harness.eventually(lambda: len(os.listdir(box.cur)) == wanted and not os.listdir(box.new), "all of them",
                       harness.TEST_LIMIT)
    box.stop()
    subjects = {line.split(" ", 1)[1] for line in box.started.read_text().splitlines()}
    harness.equal(subjects, {f"session {s} message {n}" for s in range(SESSIONS) for n in range(wanted // SESSIONS)})
    harness.equal(os.listdir(box.failed), [])
    harness.equal(os.listdir(box.dir / "pipe" / "tried"), [])


# The clock of the machine, which libfaketime sets for this program alone


class Clock:
    """A process whose real clock is set by a file; the monotonic one continues."""

    def __init__(self, box):
        library, = (harness.packages() / "libfaketime").glob("usr/lib/*/faketime/libfaketime.so.1")
        self.file = box.site / "clock"
        self.file.write_text("+0\n")
        self.environment = harness.environment(
            LD_PRELOAD=str(library), FAKETIME_TIMESTAMP_FILE=str(self.file), FAKETIME_NO_CACHE="1",
            FAKETIME_DONT_FAKE_MONOTONIC="1", NO_FAKE_STAT="1")

    def jump(self, by):
        made = self.file.with_suffix(".new")
        made.write_text(f"{by}\n")
        made.rename(self.file)


@harness.senseless_when_sanitized
@harness.table(ahead="+30d", back="-30d")
def test_a_clock_that_is_set_removes_no_message(by):
    box = PipeBox()
    clock = Clock(box)
    box.start("--keep=5", env=clock.environment)
    name = box.put()
    box.expect(cur=[name])
    clock.jump(by)
    harness.eventually(lambda: "cur/: the clock was set" in box.log_text(), "that it is noticed")
    box.expect(cur=[name])
    if by.startswith("+"):
        box.expect()  # when the time of --keep has passed again
    box.stop()


@harness.senseless_when_sanitized
def test_a_clock_that_is_set_gives_no_message_up_and_holds_none_back():
    box = PipeBox()
    clock = Clock(box)
    box.be(75)
    name = box.put()
    box.start("--retry-for=1h", env=clock.environment)
    box.await_starts(1)
    for by, number in (("+30d", 2), ("-30d", 3)):
        clock.jump(by)
        box.await_starts(number)
    box.expect(new=[name])
    box.be()
    box.expect(cur=[name])
    box.stop()


if __name__ == "__main__":
    harness.main()
