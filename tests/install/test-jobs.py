#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""tests/distributions leaves no process and no file after any end, and counts a job that crashes as failed."""

import contextlib
import io
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "system"))
import harness  # noqa: E402
import jobs  # noqa: E402

# what the enclosed command does: a mount, a process of a session of its own, and a word when both are there
BUSY = 'mount -t tmpfs tmpfs "$0/memory" && setsid sleep 4242 & sleep 0.2; echo 1 2 >"$0/result"; exec sleep 4243'


def sleepers():
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if words[:1] == [b"sleep"] and words[1:2] in ([b"4242"], [b"4243"]):
            found.append(int(path.parent.name))
    return found


def folders():
    return set(Path("/var/tmp").glob("pd.*"))


def mounts():
    """Those of a run in which this test may run itself included."""
    return [line for line in Path("/proc/self/mounts").read_text().splitlines() if "/pd." in line]


@harness.table(TERM=(signal.SIGTERM, 143), INT=(signal.SIGINT, 130), HUP=(signal.SIGHUP, 129), KILL=(signal.SIGKILL, -9))
def test_nothing_is_left_of_a_run_that_is_ended(number, status):
    harness.need_root("namespaces")
    before, mounted = folders(), mounts()
    process = harness.start(sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path[:2]!r}; import jobs; "
                            f"jobs.enclosed('sh', '-c', {BUSY!r})")
    harness.eventually(lambda: len(sleepers()) == 2, "both processes run")
    process.send_signal(number)
    harness.equal(process.wait(harness.PATIENCE), status)
    harness.eventually(lambda: not sleepers(), "no process is left")
    harness.equal(mounts(), mounted)
    left = folders() - before
    for folder in left:
        for name in ("result", "memory"):
            path = folder / name
            if path.exists():
                (path.unlink if path.is_file() else path.rmdir)()
        folder.rmdir()  # an empty one is all that SIGKILL may leave
    assert number == signal.SIGKILL or not left, left


def test_the_result_and_the_status_of_a_run():
    harness.need_root("namespaces")
    before = folders()
    harness.equal(jobs.enclosed("sh", "-c", 'echo 3 0 >"$0/result"; exit 7'), (7, "3 0\n"))
    harness.equal(jobs.enclosed("sh", "-c", "kill -9 $$"), (137, None))
    harness.equal(folders(), before)


def two_side_by_side(result, folder):
    """Each waits for the other: one after the other they would not end."""
    mine = folder / f"{os.getpid()}.here"
    mine.write_text("")
    harness.eventually(lambda: len(list(folder.glob("*.here"))) == 2, "the other job")
    result.passed("side by side")


def test_jobs_run_side_by_side_and_their_results_are_added():
    result, folder = jobs.Result(), harness.scratch()
    running = jobs.Jobs(result, folder, 2)
    with contextlib.redirect_stdout(io.StringIO()) as output:
        for _ in range(2):
            running.start(two_side_by_side, folder)
        running.wait_for_all()
    harness.equal(output.getvalue(), "ok - side by side\n" * 2)
    harness.equal((result.n_passed, result.n_failed), (2, 0))


def test_a_job_can_be_waited_for_after_it_made_room_for_others():
    result, folder = jobs.Result(), harness.scratch()
    running = jobs.Jobs(result, folder, 1)
    with contextlib.redirect_stdout(io.StringIO()):
        first, second = [running.start(lambda result: result.passed("a job")) for _ in range(2)]
        assert running.wait_for(second)
        assert running.wait_for(first)
    harness.equal((result.n_passed, result.n_failed), (2, 0))


def test_a_job_that_crashes_is_one_that_failed():
    result, folder = jobs.Result(), harness.scratch()
    running = jobs.Jobs(result, folder, 2)
    with contextlib.redirect_stdout(io.StringIO()):
        process = running.start(lambda _: os.kill(os.getpid(), signal.SIGKILL))
        assert not running.wait_for(process)
        process = running.start(lambda result: result.no_such_thing)
        assert not running.wait_for(process)
    harness.equal((result.n_passed, result.n_failed), (0, 2))


def test_the_slowest_steps_come_first():
    result = jobs.Result()
    for seconds in range(20):
        result.steps.append((seconds, f"step {seconds}"))
    harness.equal([what for _, what in result.slowest()], [f"step {n}" for n in range(19, 9, -1)])


harness.main()
