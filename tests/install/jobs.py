# SPDX-License-Identifier: ISC
"""Namespaces that end with the run, and jobs that run side by side in them, each of them a process."""

import contextlib
import ctypes
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

import harness

PR_SET_PDEATHSIG = 1
SHOWN = 10  # of the slowest steps
FOREVER = 1e9  # each step of a job has its own limit


class Result:
    """What passed, what failed, how long each step took, and each session of a client."""

    def __init__(self):
        self.n_passed, self.n_failed, self.steps, self.sessions = 0, 0, [], []

    def passed(self, what):
        self.n_passed += 1
        print(f"ok - {what}")

    def failed(self, what):
        self.n_failed += 1
        first, *more = str(what).rstrip().splitlines()
        print(f"not ok - {first}")
        for line in more:
            print(f"#   {line}")

    @contextlib.contextmanager
    def timed(self, what):
        begin = time.monotonic()
        try:
            yield
        finally:
            self.steps.append((time.monotonic() - begin, what))

    def add(self, n_passed, n_failed, steps=(), sessions=()):
        self.n_passed += n_passed
        self.n_failed += n_failed
        self.steps += map(tuple, steps)
        self.sessions += map(tuple, sessions)

    def slowest(self):
        return sorted(self.steps, reverse=True)[:SHOWN]

    def took(self, way, client, seconds):
        self.sessions.append((way, client, seconds))

    def table_of_sessions(self):
        """Lines: a way to postern in each, with the median of each client in milliseconds."""
        clients = list(dict.fromkeys(client for _, client, _ in self.sessions))
        yield "".join(f"{name:>9}" for name in clients) + "  ms a session, median"
        for way in dict.fromkeys(way for way, _, _ in self.sessions):
            line = ""
            for client in clients:
                found = [seconds for w, c, seconds in self.sessions if (w, c) == (way, client)]
                line += f"{statistics.median(found) * 1000:>9.0f}" if found else f"{'-':>9}"
            yield f"{line}  {way}"


def end_with_parent():
    """In a new process: ends it when its parent ends, in any way."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def enclosed(*command):
    """Run a command in namespaces of its own, with a folder as its last argument.

    In "memory" there it may mount a file system, and into "result" write what this function returns beside the exit
    status. It ends when this process ends, by whatever signal, and with it all that it has started and all that
    it has mounted."""
    folder = tempfile.mkdtemp(prefix="pd.", dir="/var/tmp")
    os.mkdir(f"{folder}/memory")
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    process = None
    try:
        # the shell reaps what others leave
        process = subprocess.Popen(
            ["unshare", "--pid", "--mount-proc", "--fork", "--kill-child", "sh", "-c", '"$@"; exit $?', "-", *command,
             folder], start_new_session=True, preexec_fn=end_with_parent)
        status = process.wait()
        result = Path(folder, "result")
        return status, result.read_text(encoding="ascii") if result.exists() else None
    finally:
        if process:
            process.kill()
            process.wait()
        subprocess.run(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c",
             'mount -t cgroup2 none "$1/memory" && find "$1/memory" -depth -type d -path "$2" -exec rmdir {} + 2>&1',
             "-", folder, f"{folder}/memory/with-systemd-{os.path.basename(folder)}-*"],
            check=False, stdout=subprocess.DEVNULL)
        for name in ("result", "memory", "."):
            path = Path(folder, name)
            with contextlib.suppress(FileNotFoundError):
                path.unlink() if path.is_file() else path.rmdir()


def cpu_seconds():
    """What all that has run here, and has ended, has used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Jobs:
    """Functions that run side by side, each in a process of its own; what one prints appears when it ends."""

    def __init__(self, result, folder, limit):
        self.result, self.folder, self.limit = result, folder, limit
        self.running = {}  # process: the file of its output
        self.ended = {}  # process: whether all of it passed
        self.n_started = 0

    def start(self, function, *arguments):
        """When fewer than the limit are running. The function gets a Result of its own as its first argument."""
        while len(self.running) >= self.limit:
            self.wait_for_one()
        self.n_started += 1
        output = self.folder / f"job-{self.n_started}"
        sys.stdout.flush()
        process = os.fork()
        if process:
            self.running[process] = output
            return process
        try:
            self.run(output, function, arguments)
        finally:
            os._exit(1)

    def run(self, output, function, arguments):
        with open(output, "wb", buffering=0) as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        sys.stdout = open(1, "w", buffering=1, closefd=False)
        self.of_parent = harness._everything.pop_all()  # kept: it is not undone here
        result = Result()
        with contextlib.ExitStack() as harness._cleanups:
            try:
                function(result, *arguments)
            except Exception:  # any exception belongs to this job
                result.failed(f"a job ended\n{traceback.format_exc()}")
        sys.stdout.flush()
        output.with_suffix(".result").write_text(
            json.dumps([result.n_passed, result.n_failed, result.steps, result.sessions]), encoding="ascii")
        os._exit(0)

    def wait_for_one(self):
        """Waits until one of the running jobs ends."""
        process = harness.eventually(lambda: next((p for p in self.running if os.waitpid(p, os.WNOHANG)[0]), None),
                                     "a job ends", FOREVER)
        output = self.running.pop(process)
        sys.stdout.write(output.read_text(encoding="utf-8", errors="replace"))
        sys.stdout.flush()
        counts = output.with_suffix(".result")
        found = json.loads(counts.read_text(encoding="ascii")) if counts.exists() else None
        self.result.add(*found or (0, 0))
        if not found:
            self.result.failed("a job ended without a result")
        self.ended[process] = bool(found) and found[1] == 0

    def wait_for(self, process):
        """Whether all of this job passed, also when it ended while another one was started."""
        while process not in self.ended:
            self.wait_for_one()
        return self.ended[process]

    def wait_for_all(self):
        while self.running:
            self.wait_for_one()
