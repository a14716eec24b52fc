# SPDX-License-Identifier: ISC
"""The work: what is done with each server, and what is read off afterwards.

A work takes a server and returns a dict of figures; times are milliseconds. The work ends when the
messages are in new/, and CPU time is read when the server has nothing left to do, so that what a queue
still does behind its 250 counts.
"""

import os
import re
import signal
import statistics
import subprocess
import time

import load
from harness import eventually
from measure import Unable

MESSAGE = 4096
FIELDS = 18  # of a message that filters see, beside two
CHUNK = 1024 * 1024
GREETINGS = 20
MANY_SECONDS = 300  # that ten times as many messages may take
TRACED = 10  # messages under strace
WAITED = 2  # seconds that an idle connection has waited
AT_ONCE = (1, 10, 50)
MEGABYTE = 1_000_000
# octets, messages; between 4 KiB and 1 MB what an octet costs is less than what disturbs a session
SIZES = ((MESSAGE, 100), (MEGABYTE, 20), (10 * MEGABYTE, 4), (100 * MEGABYTE, 1))


class Bench:
    def __init__(self, place, client, options):
        self.place, self.client, self.options = place, client, options
        self.context = load.any_certificate()

    def timed(self, server, messages, send, clear=True):
        """CPU and wall milliseconds of the server for what send() sends."""
        if clear:
            server.clear()
        expected = load.messages_in(server.new) + messages
        before = server.group.settled_cpu()
        begin = time.monotonic()
        got = send()
        eventually(lambda: load.messages_in(server.new) >= expected,
                   f"{expected} messages of {server.name} in new/", patience=load.PATIENCE)
        took = time.monotonic() - begin
        return server.group.settled_cpu() - before, 1e3 * took, got

    # One small message a session

    def sessions(self, jobs):
        """One after the other takes longest and varies least."""
        return self.options.sessions if jobs > 1 else max(1, self.options.sessions // 2)

    def plain(self, server, jobs):
        n = self.sessions(jobs)
        cpu, wall, _ = self.timed(server, n, lambda: self.client.plain(server, n, jobs, MESSAGE))
        return {"cpu": cpu / n, "rate": 1e3 * n / wall}

    def tls(self, server, jobs):
        n = self.sessions(jobs)
        cpu, wall, _ = self.timed(
            server, n, lambda: self.client.client(server, "starttls", n, jobs, MESSAGE))
        return {"cpu": cpu / n, "rate": 1e3 * n / wall}

    def resumed(self, server, jobs):
        n = self.sessions(jobs)
        ticket = f"{server.folder}/session"
        server.tickets(True)
        try:
            return self._resumed(server, n, jobs, ticket)
        finally:
            server.tickets(False)

    def _resumed(self, server, n, jobs, ticket):
        if not os.path.exists(ticket):
            self.client.client(server, "starttls", 1, 1, MESSAGE, ticket=ticket)
        cpu, wall, resumed = self.timed(
            server, n, lambda: self.client.client(server, "starttls", n, jobs, MESSAGE, ticket=ticket))
        if resumed < n:
            raise Unable(f"resumed {resumed} of {n} sessions")
        return {"cpu": cpu / n, "rate": 1e3 * n / wall}

    def rsa(self, server):
        """Full handshakes and resumed ones in turn, with tickets in both."""
        n = self.options.sessions
        ticket = f"{server.folder}/session"
        if not server.group:
            server.start()
            self.client.client(server, "starttls", min(10, n), 10, MESSAGE)
        full, _, _ = self.timed(server, n, lambda: self.client.client(server, "starttls", n, 10, MESSAGE))
        return {"full": full / n, "resumed": self._resumed(server, n, 10, ticket)["cpu"]}

    def hardened(self, server):
        """In a unit: CPU of the whole machine. Few, as some take 40 ms for each."""
        n = max(1, self.options.sessions // 2)
        if not server.group:
            server.start()
            self.client.plain(server, min(10, n), 10, MESSAGE)
        server.group.settled_cpu()
        before = server.group.parts()
        cpu, wall, _ = self.timed(server, n, lambda: self.client.plain(server, n, 10, MESSAGE))
        parts = {name: (now - before[name]) / n for name, now in server.group.parts().items()}
        return {"cpu": cpu / n, "rate": 1e3 * n / wall, **parts}

    def filtered(self, server):
        """With a filter, or without one for comparison: 20 fields."""
        n = self.options.sessions
        if not server.group:
            server.start()
            self.client.client(server, "plain", min(10, n), 10, MESSAGE, fields=FIELDS)
        cpu, wall, _ = self.timed(
            server, n, lambda: self.client.client(server, "plain", n, 10, MESSAGE, fields=FIELDS))
        return {"cpu": cpu / n, "rate": 1e3 * n / wall}

    # One big message

    def big(self, server, mode, chunk):
        size = self.options.big
        cpu, wall, _ = self.timed(
            server, 1, lambda: self.client.client(server, mode, 1, 1, size, chunk))
        with os.scandir(server.new) as entries:
            stored = max(entry.stat().st_size for entry in entries)
        if stored < 0.9 * size:
            raise Unable(f"stored {stored} of {size} octets")
        server.clear()
        return {"cpu": cpu, "wall": wall}

    # Connections that wait

    def idle(self, server):
        """Pss of what connections add, before and after TLS, in KiB a connection.

        To a server that has just begun: one that has worked keeps memory and processes.
        """
        n = self.options.idle
        server.stop()
        server.start()
        server.group.settled_cpu()
        before, _ = server.group.pss()
        talks = []
        try:
            for _ in range(n):
                talks.append(load.Talk(server).begin())
            time.sleep(WAITED)
            server.group.settled_cpu()
            figures = {"clear": (server.group.pss()[0] - before) / n}
            if "STARTTLS" in server.extensions:
                for talk in talks:
                    talk.start_tls(self.context)
                time.sleep(WAITED)
                server.group.settled_cpu()
                figures["tls"] = (server.group.pss()[0] - before) / n
        finally:
            for talk in talks:
                talk.close()
        server.group.settled_cpu()
        return figures

    def greeting(self, server):
        return {"wall": statistics.median(load.greeting_time(server) for _ in range(GREETINGS))}

    # What is synced: seen, not believed

    def syncs(self, server):
        """fsync() and its like for a message: of files, and of folders."""
        trace = f"{server.folder}/syncs"
        pids = [word for pid in server.group.pids() for word in ("-p", str(pid))]
        strace = subprocess.Popen(["strace", "-f", "-qq", "-y", "-e", "trace=/^(sync|f.*sync)", "-o", trace,
                                   *pids], stderr=subprocess.PIPE)
        try:
            time.sleep(0.5)  # it says nowhere that it has attached to all of them
            self.timed(server, TRACED, lambda: self.client.plain(server, TRACED, 1, MESSAGE))
        finally:
            strace.send_signal(signal.SIGTERM)
            strace.communicate(timeout=30)
        with open(trace, encoding="utf-8", errors="replace") as file:
            paths = re.findall(r"f(?:data)?sync\(\d+<([^>]*)", file.read())
        folders = sum(os.path.isdir(path) for path in paths)
        return {"files": (len(paths) - folders) / TRACED, "folders": folders / TRACED}

    # Does the cost stay the same?

    def many(self, server):
        """CPU of a session up to each power of ten of messages in new/, as far as time allows."""
        server.clear()
        most = self.options.messages if server.name == self.options.shown[0] else self.options.peer_messages
        figures, there, step, took = {}, 0, 1, 0
        while step <= most and 10 * took <= MANY_SECONDS:
            n = step - there
            cpu, wall, _ = self.timed(server, n, lambda: self.client.plain(server, n, min(10, n), MESSAGE),
                                   clear=False)
            figures[str(step)] = cpu / n
            there, step, took = step, step * 10, wall / 1e3
        server.clear()
        return figures

    def sizes(self, server, mode):
        """CPU of a session with one message of each size."""
        figures = {}
        for size, n in SIZES:
            if size > self.options.big:
                break
            n = min(n, self.options.sessions)
            cpu, _, _ = self.timed(server, n, lambda: self.client.client(server, mode, n, 1, size))
            figures[str(size)] = cpu / n
            server.clear()
        return figures


class Work:
    """A kind of work by name: what a server must be able to do, and how often it is done."""

    def __init__(self, name, label, measure, needs=(), once=False, big=False, few=False):
        self.name, self.label, self.measure, self.needs = name, label, measure, set(needs)
        self.once = once  # what does not vary, or takes long
        self.big = big  # one round in two
        self.few = few  # only for the servers of --shown: a curve each

    def possible(self, server):
        return self.needs <= server.extensions and server.only in (None, self.name)


def _sessions(kind, label, needs, measure):
    return [Work(f"{kind}-{jobs}", f"{label}, {jobs} at once", lambda b, s, j=jobs: measure(b, s, j), needs)
            for jobs in AT_ONCE]


WORKS = {work.name: work for work in (
    *_sessions("plain", "4 KiB in the clear", (), Bench.plain),
    *_sessions("tls", "4 KiB, STARTTLS, full handshake", ("STARTTLS",), Bench.tls),
    *_sessions("resumed", "4 KiB, STARTTLS, resumed", ("STARTTLS", "resume"), Bench.resumed),
    Work("rsa", "4 KiB, STARTTLS with RSA-2048, 10 at once, full handshake and resumed", Bench.rsa, ("rsa",)),
    Work("hardened", "4 KiB in the clear, 10 at once, in units of systemd", Bench.hardened, ("systemd",)),
    Work("filtered", "4 KiB and 20 fields in the clear, 10 at once, with a filter", Bench.filtered, ("filter",)),
    Work("big-data", "100 MB in the clear, DATA", lambda b, s: b.big(s, "plain", 0), big=True),
    Work("big-bdat", "100 MB in the clear, BDAT", lambda b, s: b.big(s, "plain", CHUNK), ("BDAT",), big=True),
    Work("big-tls-data", "100 MB over TLS, DATA", lambda b, s: b.big(s, "starttls", 0), ("STARTTLS",),
         big=True),
    Work("big-tls-bdat", "100 MB over TLS, BDAT", lambda b, s: b.big(s, "starttls", CHUNK),
         ("STARTTLS", "BDAT"), big=True),
    Work("greeting", "time to the 220", Bench.greeting),
    Work("syncs", "syncs a message", Bench.syncs, once=True),
    Work("sizes-plain", "sizes in the clear", lambda b, s: b.sizes(s, "plain"), few=True, big=True),
    Work("sizes-tls", "sizes over TLS", lambda b, s: b.sizes(s, "starttls"), ("STARTTLS",), few=True,
         big=True),
    Work("many", "one message after another", Bench.many, few=True, once=True),
    Work("idle", "idle connections", Bench.idle, once=True),
)}
