#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Mixed load: sessions that end in all ways while settings, certificates and tables are replaced and processes of
the listener are ended by signals. Every 250 has its file, all places are free at the end, and memory does not grow.

It takes half a minute; POSTERN_MIXED_LOAD=SECONDS in the environment sets another duration. Actions are random:
the seed is printed, and POSTERN_MIXED_SEED=NUMBER repeats it as far as the machine's timing does.
"""

import contextlib
import os
import random
import re
import signal
import socket
import threading
import time

import harness
from harness import RECIPIENT, Client, Closed
from listening import acceptor, children, replace, with_tls

CLIENTS = 6
PLACES = 40  # connection-limit
ROUND = 8  # seconds of a listener's life
SECONDS = int(os.environ.get("POSTERN_MIXED_LOAD", "24"))
SEED = int(os.environ.get("POSTERN_MIXED_SEED", time.time_ns() % 1000000))
GONE = (OSError, Closed, AssertionError)  # any fault of a session is allowed here, but no lost message


class Load:
    """Clients that send messages, each with a number of its own, and leave at any moment."""

    def __init__(self, here):
        self.here, self.stop = here, threading.Event()
        self.accepted, self.refused, self.sent, self.ended = [], [], 0, 0
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self._run, args=(n,)) for n in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def _run(self, n):
        chance = random.Random(SEED * CLIENTS + n)
        while not self.stop.is_set():
            with contextlib.suppress(*GONE):
                self._session(chance)
                continue
            self.ended += 1
            time.sleep(0.02)

    def _session(self, chance):
        address = f"127.0.0.{chance.randrange(2, 250)}"
        implicit = chance.random() < 0.2
        connection = socket.create_connection(("127.0.0.1", self.here.ports[implicit]), 5, (address, 0))
        with contextlib.closing(connection):
            client = Talk(connection, chance)
            if implicit:
                client.handshake()
            client.expect(220)
            client.ehlo()
            if not implicit and chance.random() < 0.5:
                client.starttls()
                client.ehlo()
            for _ in range(chance.randrange(1, 4)):
                self._message(client, chance)
            client.say("QUIT", 221)

    def _message(self, client, chance):
        with self.lock:
            self.sent += 1
            number = self.sent
        client.envelope(parameters=" NOTIFY=SUCCESS" if chance.random() < 0.3 else "")
        client.say("DATA", 354)
        body = "x" * 70 + "\r\n"
        client.send(f"X-Number: {number}.\r\n\r\n" + body * chance.choice((1, 10, 3000)))
        client.send("last line\r\n.\r\n")
        code = client.reply().code
        with self.lock:
            (self.accepted if code == 250 else self.refused).append(number)


class Talk(Client):
    """A client that leaves, one way or another, after so many steps."""

    def __init__(self, connection, chance):
        self.socket, self.process, self.buffer = connection, None, b""
        self.until, self.chance = chance.randrange(1, 40), chance  # most sessions come to their end
        connection.settimeout(10)

    def send(self, octets):
        self.until -= 1
        if self.until == 0:
            if self.chance.random() < 0.5:
                self.reset()
            raise Closed("the client leaves", b"")
        super().send(octets)


class Chaos:
    """What happens to a listener and its processes while it works."""

    def __init__(self, here):
        self.here, self.chance = here, random.Random(SEED)
        self.serial, self.done = 1, {}
        self.acts = (self.setting, self.broken_setting, self.certificate, self.broken_certificate, self.table,
                     self.clients, self.log, self.hup, self.end_connection, self.end_connection)

    def connections(self):
        """Connections of all acceptors, even of ended ones."""
        listener = self.here.process.pid
        first = [pid for pid in children(listener) if pid != acceptor_of(self.here)]
        return first + [pid for parent in children(listener) for pid in children(parent)]

    def setting(self):
        self.here.set(hostname=f"h{self.chance.randrange(100)}.example.org")

    def broken_setting(self):
        """For a moment: half of a file, as an editor writes it."""
        text = self.here.settings_file.read_text()
        self.here.settings_file.write_text(text[:len(text) // 2])
        time.sleep(self.chance.random() * 0.05)
        self.here.settings_file.write_text(text)

    def broken_certificate(self):
        """A key that belongs to another certificate, until the next one comes."""
        harness.pair(serial=3).copy_to(self.here.dir / "other")
        (self.here.dir / "other/tls.key").rename(self.here.pair.key)

    def clients(self):
        fresh = self.here.dir / "fresh-clients"
        fresh.write_text(f"127.0.0.{self.chance.randrange(2, 250)} deny not today\n")
        fresh.rename(self.here.dir / "clients")

    def log(self):
        """As logrotate does it."""
        with contextlib.suppress(FileNotFoundError):
            (self.here.dir / "records").rename(self.here.dir / "records.1")

    def certificate(self):
        self.serial = 3 - self.serial
        replace(self.here, harness.pair(serial=self.serial))

    def table(self):
        fresh = self.here.dir / "fresh-table"
        fresh.write_text(f"{RECIPIENT} box\nuser{self.chance.randrange(100)}@example.org box\n")
        fresh.rename(self.here.dir / "recipients")

    def hup(self):
        os.kill(self.here.process.pid, signal.SIGHUP)

    def end_connection(self):
        pids = self.connections()
        if pids:
            kill(self.chance.choice(pids), self.chance.choice(
                (signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGHUP)))

    def end_acceptor(self):
        kill(acceptor_of(self.here), self.chance.choice((signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV)))

    def run(self, seconds):
        until, acceptors = time.monotonic() + seconds, 2
        while time.monotonic() < until:
            act = self.chance.choice(self.acts)
            if time.monotonic() > until - acceptors * seconds / 3:
                act, acceptors = self.end_acceptor, acceptors - 1
            act()
            self.here.forget()
            self.done[act.__name__] = self.done.get(act.__name__, 0) + 1
            time.sleep(self.chance.random() * 0.3)


def kill(pid, number):
    with contextlib.suppress(ProcessLookupError):
        if pid:
            os.kill(pid, number)


def acceptor_of(here):
    """The newest child; none while there is none."""
    return max(children(here.process.pid), default=0)


def start_again(here, number):
    """Ends the listener and starts another at the same port, as a service manager does: after a second once more
    where it fails, as it does while what is left of the first one has the port."""
    here.process.send_signal(number)
    here.process.wait(harness.PATIENCE)
    here.forget()
    for pause in (1, 1, 1, None):
        if starts(here):
            return
        assert pause, "no listener starts: " + here.log.read_text()[-500:]
        time.sleep(pause)


def starts(here):
    """False when it ends before it is ready."""
    with open(here.log, "ab") as log:
        here.process = harness.start(
            *here.command(), f"--listen=127.0.0.1:{here.ports[0]}", f"--listen=smtps=127.0.0.1:{here.ports[1]}",
            stderr=log, env=harness.environment(NOTIFY_SOCKET=str(here.dir / "notify")))
    here.heard.settimeout(0.1)
    for _ in range(int(10 * harness.PATIENCE)):
        with contextlib.suppress(TimeoutError):
            if b"READY=1" in here.heard.recv(1000):
                return True
        if here.process.poll() is not None:
            print(f"# not started: {here.log.read_text().splitlines()[-1:]}")
            return False
    raise AssertionError("READY=1 is not told")


def memory(pid):
    """KiB that this process has written to, whether or not a process that it forked shares them at the moment."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as rollup:
        return int(re.search(r"^Anonymous:\s+(\d+)", rollup.read(), re.M)[1])


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def figures(here):
    pids = here.process.pid, acceptor(here)
    return [(memory(pid), descriptors(pid)) for pid in pids]


def expect_flat(here, at_start):
    """The listener after a round, in which it has loaded settings and certificates again and again."""
    now = memory(here.process.pid)
    print(f"# KiB of the listener at the end of a round: {now}")
    assert now < at_start + 1024, f"memory grows: {at_start} KiB, then {now}"


def greeting(here, kept):
    client = Client(socket.create_connection(("127.0.0.1", here.ports[0]), harness.PATIENCE))
    code = client.reply().code
    if code == 220:
        kept.append(client)
    else:
        client.close()
    return code


def serves(here):
    kept = []
    greeting(here, kept)
    for client in kept:
        client.quit()
    return kept


def expect_all_places_free(here):
    kept = []
    for n in range(PLACES):
        harness.equal(greeting(here, kept), 220, f"place {n}")
    harness.equal(greeting(here, kept), 421)
    for client in kept:
        client.quit()


def expect_files(here, load):
    """One file for each 250, whole, and none that is not."""
    found = {}
    for path in here.new():
        text = path.read_text()
        assert text.endswith("last line\n"), f"{path} is not whole"
        number = int(re.search(r"^X-Number: (\d+)\.$", text, re.M)[1])
        assert number not in found, f"{number} is there twice: {path} {found[number]}"
        found[number] = path
    lost = set(load.accepted) - set(found)
    harness.equal(lost, set(), "accepted, and not there")
    harness.equal(set(load.refused) & set(found), set(), "refused, and there")
    for path in here.new(here.dir / "outbox"):
        text = path.read_bytes()
        assert text.startswith(b"To: <") and text.endswith(b"--\n"), f"{path} is not whole"


def expect_rest(here):
    """Listener and acceptor wait without using the processor."""
    def used():
        seconds = 0
        for pid in (here.process.pid, acceptor(here)):
            with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
                seconds += sum(map(int, stat.read().rsplit(")", 1)[1].split()[11:13])) / os.sysconf("SC_CLK_TCK")
        return seconds

    before = used()
    time.sleep(1)
    assert used() - before < 0.3, f"{used() - before} s of CPU in a second without clients"


def expect_stop(here):
    """At SIGTERM all processes end."""
    pids = [here.process.pid, *children(here.process.pid)]
    here.process.terminate()
    harness.equal(here.process.wait(harness.PATIENCE), 0)
    harness.eventually(lambda: not [pid for pid in pids if os.path.exists(f"/proc/{pid}")], "all processes end")


def test_every_250_has_its_file_whatever_happens():
    print(f"# seed {SEED}")
    signal.alarm(4 * SECONDS + harness.TEST_LIMIT)
    here = with_tls("", "smtps=", connection_limit=PLACES, source_connection_limit=0)
    (here.dir / "recipients").write_text(f"{RECIPIENT} box\n")
    (here.dir / "clients").write_text("")
    for part in ("other", "outbox/tmp", "outbox/cur", "outbox/new"):
        (here.dir / part).mkdir(parents=True)
    here.set(recipients=here.dir / "recipients", clients=here.dir / "clients", dsn_outbox=here.dir / "outbox",
             log=f"json:{here.dir}/records").listen()
    before = figures(here)
    load, chaos = Load(here), Chaos(here)
    try:
        for n in range(max(SECONDS // ROUND, 1)):
            if n:
                start_again(here, (signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV)[n % 3])
            chaos.run(ROUND)
            expect_flat(here, before[0][0])
    finally:
        load.end()
    print(f"# {load.sent} messages begun, {len(load.accepted)} accepted, {load.ended} sessions cut short; {chaos.done}")
    harness.eventually(lambda: not chaos.connections(), "all connections end")
    chaos.certificate()
    harness.eventually(lambda: serves(here), "it serves")
    expect_files(here, load)
    expect_all_places_free(here)
    assert len(load.accepted) > 50, "next to nothing was accepted: no load"
    after = figures(here)
    print(f"# KiB and descriptors of listener and acceptor: {before}, then {after}")
    for (kib, fds), (kib_then, fds_then) in zip(before, after):
        assert kib_then < kib + 1024, "memory grows"
        assert fds_then <= fds + 2, "descriptors are left open"
    expect_rest(here)
    expect_stop(here)


harness.main()
