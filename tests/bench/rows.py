# SPDX-License-Identifier: ISC
"""Rows of tests/bench/profile: the CPU of a session by each way and build, divided into what cannot be avoided (executing
a program or a fork, three syncs, the session and the handshake as the prototype does them) and each cost above that.

Each cost is the difference between two ways to run; all ways take turns, and figures are medians over the rounds. The
servers that listen run in control groups, whose CPU the kernel counts.
"""

import os
import re
import shutil
import socket
import statistics
import subprocess
import time

import load
import measure
from harness import eventually, free_port

ROUNDS, SESSIONS = 15, 30
FEW = 3  # rounds of what takes long
BIG = 100_000_000
LEAST = 0.005  # ms; less is no cost that can be told
START = 60  # seconds in which a listener greets
IDLE = 2  # seconds until a connection has returned memory


class Listener:
    """A server that listens, until the end of the run."""

    def __init__(self, name, port, command, place):
        self.name, self.port = name, port
        self.group = measure.Group(name)
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=place.errors,
                                        preexec_fn=self.group.enter)

    def end(self):
        self.group.end()
        self.process.wait()


class Waiting(load.Talk):
    """A connection by exec, inside TLS."""

    def __init__(self, command):
        self.socket, far = socket.socketpair()
        with far:
            self.process = subprocess.Popen(command, stdin=far, stdout=far)
        self.buffer = b""
        self.begin().start_tls(load.any_certificate())

    def memory(self):
        """KiB that the process alone has, by kind of mapping."""
        found, name = {}, ""
        with open(f"/proc/{self.process.pid}/smaps", encoding="ascii") as maps:
            for line in maps:
                if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
                    name = os.path.basename(line.split(maxsplit=5)[5].strip()) if len(line.split()) > 5 else "other data"
                elif line.startswith("Anonymous:"):
                    kind = name if name[:1] in "[o" or ".so" not in name else "data of libraries, relocated"
                    found[kind] = found.get(kind, 0) + int(line.split()[1])
        return {kind: size for kind, size in found.items() if size}

    def close(self):
        super().close()
        self.process.wait()


class Rows:
    def __init__(self, profile, builds, rounds):
        """`builds`: the programs by the name of their build."""
        self.profile, self.builds, self.rounds, self.listeners = profile, builds, rounds, []
        self.scratch, self.tools = profile.scratch, profile.tools
        self.errors = open(f"{self.scratch}/errors", "wb")
        self.rsa = f"{self.scratch}/rsa.pem", f"{self.scratch}/rsa.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "9", "-subj", "/CN=localhost",
                        "-keyout", self.rsa[1], "-out", self.rsa[0]], check=True, stderr=subprocess.DEVNULL)
        with open(f"{self.scratch}/tickets", "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(os.urandom(64))
        for name in ("fork-plain", "fork-tls"):
            for part in ("new", "tmp", "cur"):
                os.makedirs(f"{self.scratch}/{name}/{part}")

    def close(self):
        for listener in self.listeners:
            listener.end()
        self.errors.close()

    def listen(self, name, *command):
        """Starts it at a port of its own, which stands for {port} in the command."""
        port = free_port()
        listener = Listener(name, port, [word.format(port=port) for word in command], self)
        self.listeners.append(listener)
        eventually(lambda: greets(listener), f"{name} greets", START)
        return listener

    def through(self, listener, mode, *options):
        """CPU of a session."""
        before = listener.group.settled_cpu()
        subprocess.run([f"{self.tools}/tls-client", "-m", mode, "-n", str(SESSIONS), *options, "127.0.0.1",
                        str(listener.port)], check=True, capture_output=True)
        return (listener.group.settled_cpu() - before) / SESSIONS

    def ways(self):
        """What takes turns: a function that measures, by name."""
        p, cpu = self.profile, self.profile.cpu
        no_sync = ["env", f"LD_PRELOAD={self.tools}/no-sync.so"]
        ways = {
            "bare": lambda: p.bare_cpu(f"{self.tools}/no-libc"),
            "libc": lambda: p.bare_cpu("/bin/true"),
            "prototype": lambda: cpu("plain", f"{self.tools}/minimal-plain", f"{self.scratch}/plain"),
            "no sync": lambda: cpu("plain", *no_sync, *p.postern()),
            "sync": lambda: cpu("plain", "env", *p.postern())}
        if os.path.exists(f"{self.tools}/empty"):
            ways["static libc"] = lambda: p.bare_cpu(f"{self.tools}/empty")
        for name, server in (("fork", self.listen("fork-plain", f"{self.tools}/minimal-plain", "-l", "{port}",
                                                  f"{self.scratch}/fork-plain")),
                             ("fork, library", self.listen("fork-tls", f"{self.tools}/minimal-tls", "-l", "{port}",
                                                           f"{self.scratch}/fork-tls", *p.pair))):
            ways[name] = lambda s=server: self.through(s, "plain")
        ways["fork, TLS"] = lambda s=server: self.through(s, "starttls")
        for build, program in self.builds.items():
            ways |= self.ways_of(build, program)
        return ways

    def ways_of(self, build, program):
        def postern(*options):
            return [program, *self.profile.postern(*options)[1:]]

        def listener(name, *options):
            return self.listen(f"{build}-{name}", *postern("source-connection-limit=0", *options), "--listen=127.0.0.1:{port}")

        cpu, tickets = self.profile.cpu, f"tls-tickets={self.scratch}/tickets"
        ways = {"start": lambda: self.profile.bare_cpu(program, "--version"),
                "plain": lambda: cpu("plain", *postern()),
                "plain, no sandbox": lambda: cpu("plain", *postern("sandbox=no")),
                "plain, no records": lambda: cpu("plain", *postern("log-level=error")),
                "TLS": lambda: cpu("starttls", *postern())}
        both, off, keys = listener("tls"), listener("off", "tls=off"), listener("keys", "tls-key-agent=no")
        free = listener("free", "sandbox=no")
        rsa = listener("rsa", tickets, f"tls-certificate={self.rsa[0]}", f"tls-key={self.rsa[1]}")
        session = f"{self.scratch}/session-{build}"
        subprocess.run([f"{self.tools}/tls-client", "-m", "starttls", "-n", "1", "-r", session, "127.0.0.1", str(rsa.port)],
                       check=True, capture_output=True)
        ways |= {"listen": lambda: self.through(both, "plain"), "listen, TLS": lambda: self.through(both, "starttls"),
                 "listen, off": lambda: self.through(off, "plain"), "listen, keys": lambda: self.through(keys, "starttls"),
                 "listen, no sandbox": lambda: self.through(free, "plain"),
                 "RSA": lambda: self.through(rsa, "starttls"),
                 "RSA, resumed": lambda: self.through(rsa, "starttls", "-r", session)}
        return {f"{build}: {name}": way for name, way in ways.items()}

    def measure(self):
        ways = self.ways()
        rounds = [{name: way() for name, way in ways.items()} for _ in range(self.rounds)]
        return {name: statistics.median(one[name] for one in rounds) for name in ways}

    def print_all(self):
        ms = self.measure()
        syncs = ms["sync"] - ms["no sync"]
        forked = {"fork and session, as the prototype does them": ms["fork"] - syncs,
                  "syncs: two of the file, one of the folder": syncs}
        handshake = {"a handshake, as the prototype does it": ms["fork, TLS"] - ms["fork, library"]}
        for build in self.builds:
            of = {name.removeprefix(f"{build}: "): value for name, value in ms.items() if name.startswith(f"{build}: ")}
            libc = ms["static libc" if build == "static" else "libc"]
            alone = {"executing a program, and its end": ms["bare"], "libc begins, as in an empty program": libc - ms["bare"],
                     "syncs: two of the file, one of the folder": syncs,
                     "the session, as the prototype does it": ms["prototype"] - ms["libc"] - syncs}
            own = {"the program begins: libraries, settings of the linker": of["start"] - libc,
                   "the sandbox": of["plain"] - of["plain, no sandbox"], "records": of["plain"] - of["plain, no records"]}
            print_row(f"{build}: plain, by exec", of["plain"], alone, own)
            begins = of["TLS"] - of["plain"] - sum(handshake.values())
            print_row(f"{build}: TLS, by exec", of["TLS"], alone | handshake,
                      own | {"GnuTLS begins, certificate and key": begins})
            mapped = {"the TLS library in what is forked": of["listen"] - of["listen, off"],
                      "the sandbox": of["listen"] - of["listen, no sandbox"]}
            print_row(f"{build}: plain, --listen", of["listen"], forked, mapped)
            print_row(f"{build}: TLS, --listen", of["listen, TLS"], forked | handshake,
                      mapped | {"the key agent": of["listen, TLS"] - of["listen, keys"]})
            print_row(f"{build}: TLS, --listen, RSA-2048", of["RSA"], forked,
                      {"what a resumed session saves": of["RSA"] - of["RSA, resumed"]})
        self.print_big()
        self.print_memory()

    def print_big(self):
        """100 MB in one message, in seconds of the clock."""
        for build, program in self.builds.items():
            postern = [program, *self.profile.postern("size-limit=0")[1:]]
            wall = {}
            for mode in ("plain", "starttls"):
                took = []
                for _ in range(min(FEW, self.rounds)):
                    begin = time.monotonic()
                    self.profile.client(mode, 1, postern, "-s", str(BIG))
                    took.append(time.monotonic() - begin)
                    shutil.rmtree(f"{self.scratch}/mail")
                wall[mode] = 1e3 * statistics.median(took)
            print_row(f"{build}: 100 MB over TLS, wall", wall["starttls"], {"the same in clear": wall["plain"]}, {})

    def print_memory(self):
        """Of one idle connection by exec, after TLS: KiB that the process alone has, by what they are for."""
        for build, program in self.builds.items():
            talk = Waiting([program, *self.profile.postern()[1:]])
            time.sleep(IDLE)
            found = talk.memory()
            talk.close()
            print(f"{build + ': idle connection after TLS, KiB':<58}{sum(found.values()):>8.0f}")
            for what, size in sorted(found.items(), key=lambda item: -item[1]):
                print(f"  {what:<56}{size:>8.0f}")


def greets(listener):
    try:
        load.Talk(listener).begin().quit()
    except (OSError, RuntimeError):
        return False
    return True


def print_row(name, total, unavoidable, above):
    """What is left is the last cost above."""
    print(f"{name + ': ms':<58}{total:>8.2f}")
    for text, cost in unavoidable.items():
        print(f"  = {text:<54}{cost:>8.2f}")
    for text, cost in above.items():
        print(f"  + {text:<54}{cost:>8.2f}")
    left = total - sum(unavoidable.values()) - sum(above.values())
    if abs(left) >= LEAST:
        print(f"  + {'the rest':<54}{left:>8.2f}")
