# SPDX-License-Identifier: ISC
"""What a server used: CPU time and memory of all its processes, those that have ended included.

Each server runs in a control group of its own, which the kernel charges with every nanosecond of every
process in it. Sampling /proc would lose the children that nobody has waited for yet.
"""

import contextlib
import os
import re
import signal
import time

from harness import eventually

SETTLED = 0.03  # seconds between two looks that see the same CPU time
ROOTS = ("/sys/fs/cgroup/unified", "/sys/fs/cgroup", "/sys/fs/cgroup/cpuacct")


class Unable(Exception):
    """This cannot be measured here, and why."""


class Group:
    """A control group of version 2, or of version 1's cpuacct."""

    def __init__(self, name):
        self.path = next(filter(None, (_make(root, name) for root in ROOTS)), None)
        if not self.path:
            raise Unable("no control group can be made below " + " or ".join(ROOTS))

    def enter(self):
        """In a child, before it becomes the server."""
        with open(f"{self.path}/cgroup.procs", "w", encoding="ascii") as procs:
            procs.write("0")

    def pids(self):
        with open(f"{self.path}/cgroup.procs", encoding="ascii") as procs:
            return [int(line) for line in procs]

    def cpu(self):
        """Milliseconds of user and system time since the group was made."""
        if os.path.exists(f"{self.path}/cpuacct.usage"):
            return int(_read(f"{self.path}/cpuacct.usage")) / 1e6
        return int(re.search(r"^usage_usec (\d+)", _read(f"{self.path}/cpu.stat"), re.M)[1]) / 1e3

    def settled_cpu(self):
        """The same, once nobody in the group has anything left to do."""
        seen = [self.cpu()]

        def quiet():
            time.sleep(SETTLED)
            seen.append(self.cpu())
            return seen[-1] == seen[-2]

        # a daemon that wakes up now and then is quiet enough after a while
        with contextlib.suppress(AssertionError):
            eventually(quiet, "a quiet server", patience=2)
        return seen[-1]

    def pss(self):
        """KiB of memory, shared pages by their share, and the number of processes."""
        total, processes = 0, 0
        for pid in self.pids():
            with contextlib.suppress(OSError, TypeError):
                total += int(re.search(r"^Pss:\s+(\d+)", _read(f"/proc/{pid}/smaps_rollup"), re.M)[1])
                processes += 1
        return total, processes

    def end(self):
        """End every process in it, by its pid, and the group."""

        def empty():
            for pid in self.pids():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return not self.pids()

        eventually(empty, f"an empty {self.path}")
        with contextlib.suppress(OSError):
            os.rmdir(self.path)


def _make(root, name):
    """A version 2 root has cgroup.controllers; cpuacct has its own file. Others are of no use."""
    if not (os.path.exists(f"{root}/cgroup.controllers") or os.path.exists(f"{root}/cpuacct.usage")):
        return None
    path = f"{root}/postern-bench-{os.getpid()}-{name}"
    try:
        os.mkdir(path)
    except OSError:
        return None
    if os.path.exists(f"{path}/cpu.stat") or os.path.exists(f"{path}/cpuacct.usage"):
        return path
    os.rmdir(path)
    return None


def _read(path):
    with open(path, encoding="ascii", errors="replace") as file:
        return file.read()
