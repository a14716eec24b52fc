# SPDX-License-Identifier: ISC
"""The faults of a campaign: system calls and allocations, one at a time, and the tools that inject them."""

import collections
import errno
import itertools
import os
import re
import struct

import harness

PROCESSES = 3  # listener, acceptor, first connection; the next ones do the same

# Errors that stay: a full disk, no descriptor, no memory, no process
LASTING = {
    "openat": ("EMFILE", "ENOSPC"), "openat2": ("EMFILE",), "write": ("ENOSPC", "EIO"), "fsync": ("EIO",),
    "mmap": ("ENOMEM",), "linkat": ("ENOSPC",), "mkdirat": ("ENOSPC",), "socket": ("EMFILE",),
    "accept4": ("EMFILE", "ENOMEM"), "clone": ("EAGAIN",)}


class Call:
    """A system call that fails, or before which the process is killed."""

    def __init__(self, process, name, nth, error, lasting=False):
        self.process, self.name, self.nth, self.error, self.lasting = process, name, nth, error, lasting
        self.killed = error == 0

    def __str__(self):
        what = "killed before" if self.killed else os.strerror(self.error)
        return f"process {self.process}: {self.name} {self.nth}: {what}{', from then on' if self.lasting else ''}"

    def argument(self):
        return f"{self.process}:{self.name}:{self.nth}:{self.error}{':always' if self.lasting else ''}"


class Allocation:
    """An allocation that fails; or all from it on."""

    killed, name = False, "malloc"

    def __init__(self, process, nth, lasting):
        self.process, self.nth, self.lasting = process, nth, lasting

    def __str__(self):
        return f"process {self.process}: allocation {self.nth}{' and all later ones' if self.lasting else ''}"


class Calls:
    """Wraps a program so that a call of it fails."""

    def __init__(self, place):
        self.inject, self.report = harness.build / "tests/system/inject", place.dir / "report"

    def wrap(self, injection):
        return [str(self.inject), str(self.report), injection.argument() if injection else "-"], {}

    def read(self):
        """hit, cpu"""
        text = self.report.read_text() if self.report.exists() else ""
        cpu = re.search(r"^cpu (\d+)$", text, re.M)
        return "hit " in text, int(cpu[1]) if cpu else 0

    def crash(self):
        return ""

    def asked(self):
        return ""

    def calls(self):
        found = re.findall(r"^call (\d+) (\w+) (\d+)$", self.report.read_text(), re.M)
        unknown = {number for _, name, number in found if name == "unknown"}
        assert not unknown, f"calls that tests/system/inject-calls.h does not know: {unknown}"
        seen, loading = collections.Counter(), {"0"}
        for process, name, _ in found:
            seen[process, name] += 1
            # before the program's own first call the loader fails, and prints the fault itself
            loading -= {process} if name == "fcntl" else set()
            if process not in loading and int(process) < PROCESSES:
                yield int(process), name, seen[process, name]
            loading |= {process} if name == "execve" else set()


_state = struct.Struct("=5I64i64I1024s1024s")


class Allocations:
    """Puts a library before the program that lets allocations fail."""

    def __init__(self, place):
        self.inject = harness.build / "tests/system/inject"
        self.shim = harness.build / "tests/system/fail-allocations.so"
        self.report, self.file = place.dir / "report", place.dir / "allocations"

    def wrap(self, injection):
        values = (injection.process, injection.nth, injection.lasting, 0, 0) if injection else (0,) * 5
        self.file.write_bytes(_state.pack(*values, *[0] * 128, b"", b""))
        return [], {"LD_PRELOAD": str(self.shim), "POSTERN_ALLOCATIONS": str(self.file)}

    def _read(self):
        return _state.unpack(self.file.read_bytes())

    def read(self):
        return bool(self._read()[3]), 0

    def crash(self):
        return self._read()[-1].split(b"\0")[0].decode()

    def asked(self):
        """The functions that asked for the memory."""
        return " ".join(self._read()[-2].split(b"\0")[0].decode().split()[2:10])

    def counts(self):
        values = self._read()
        return list(values[5 + 64:5 + 64 + values[4]])


def errors_of_calls():
    done = harness.run(harness.build / "tests/system/inject", "--calls")
    return {words[0]: [int(w) for w in words[1:]] for words in map(str.split, done.stdout.splitlines())}


def list_calls(tool):
    known = errors_of_calls()
    for process, name, nth in tool.calls():
        for error in known[name]:
            yield Call(process, name, nth, error)
        for error in LASTING.get(name, ()):
            yield Call(process, name, nth, getattr(errno, error), True)


def list_kills(tool):
    for process, name, nth in tool.calls():
        yield Call(process, name, nth, 0)


def list_allocations(tool):
    for process, count in enumerate(tool.counts()[:PROCESSES]):
        for nth, lasting in itertools.product(range(1, count + 1), (False, True)):
            yield Allocation(process, nth, lasting)
