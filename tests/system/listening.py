# SPDX-License-Identifier: ISC
"""A listener of the tests: `postern --listen` on ports of its own, and the processes that belong to it."""

import contextlib
import os
import re
import signal
import socket

import harness
from harness import Client, Site, free_port

AGENT = "postern-keys"  # the name of a key agent's process
BROKER = "postern-broker"
CONNECTOR = "postern-connect"
PRIVATE = ("privateExponent", "prime1", "prime2", "exponent1", "exponent2", "coefficient", "priv")


class Listening(Site):
    """A listener on a port of its own, and its messages to the service manager."""

    def __init__(self, *kinds, **settings):
        # many clients that wait, on a busy machine
        super().__init__(**{"timeout": 300, **settings})
        self.kinds = kinds or ("",)
        self.first = None  # messages that the service manager must get before READY=1
        self.ports = []

    def listen(self, wrap=(), options=None, **env):
        addresses = []
        for kind in self.kinds:
            if kind == "lmtp=":
                addresses.append(f"--listen=lmtp={self.dir}/lmtp")
                continue
            self.ports.append(free_port())
            host = "" if kind.endswith(":") else "127.0.0.1:"  # "lmtp=127.0.0.1:" is no path
            addresses.append(f"--listen={kind}{host}{self.ports[-1]}")
        self.heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        harness.at_end(self.heard.close)
        self.heard.bind(str(self.dir / "notify"))
        (self.dir / "notify").chmod(0o777)  # for a listener that is another user
        self.heard.settimeout(harness.PATIENCE)
        (self.dir / "notify").chmod(0o777)  # a listener may be another user's
        with open(self.log, "ab") as log:
            self.process = harness.start(
                *wrap, *self.command(), *addresses, stderr=log, **(options or {}),
                env=harness.environment(NOTIFY_SOCKET=str(self.dir / "notify"), **env))
        if self.first:
            self.hear(self.first)
        self.hear("READY=1")
        if wrap[:1] == ("strace",) and "-D" not in wrap:  # which ends without it
            self.traced, = children(self.process.pid)
            harness.at_end(self.stop_traced)
        return self

    def stop_traced(self):
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.traced, signal.SIGTERM)

    def hear(self, text):
        harness.eventually(lambda: text in self.heard.recv(1000).decode(), f"{text!r} is told")

    def forget(self):
        """The messages until now."""
        self.heard.settimeout(0)
        with contextlib.suppress(BlockingIOError):
            while True:
                self.heard.recv(1000)
        self.heard.settimeout(harness.PATIENCE)

    def client(self, n=0, **options):
        return Client.to(self.ports[n], **options)


def asked(here, name):
    """A client that has sent one recipient."""
    client = here.client()
    client.ehlo()
    client.say(f"MAIL FROM:<{harness.SENDER}>", 250)
    client.send(f"RCPT TO:<{name}@{harness.DOMAIN}>\r\n")
    return client


def deliver(client, tls=False):
    client.ehlo()
    if tls:
        client.starttls()
        client.ehlo()
    harness.equal(client.message(harness.sample()).code, 250)
    client.quit()


def with_tls(*kinds, **settings):
    here = Listening(*kinds, tls="on", **settings)
    here.pair = harness.pair().copy_to(here.dir)
    return here.set(pair=here.pair)


def replace(here, pair):
    for old, new in ((here.pair.certificate, pair.certificate), (here.pair.key, pair.key)):
        fresh = here.dir / "fresh"
        fresh.write_bytes(new.read_bytes())
        fresh.chmod(0o600)
        fresh.rename(old)


def replies_of(here):
    client = here.client(greeting=False)
    try:
        return str(client.reply())
    finally:
        client.close()


def processes_below(pid):
    """Number and name of each."""
    done = harness.run("ps", "-o", "pid=,comm=", "--ppid", pid)
    return [(int(child), name) for child, name in (line.split(maxsplit=1) for line in done.stdout.splitlines())]


def children(pid):
    """Without key agents, brokers, and what connects to filters."""
    helpers = (AGENT, BROKER, CONNECTOR)
    return [child for child, name in processes_below(pid) if not name.startswith(helpers)]


def brokers_below(pid):
    return [child for child, name in processes_below(pid) if name.startswith(BROKER)]


def agents_below(pid):
    """Key agents: the first of each start is a child of the process, and the others are children of that."""
    first = [child for child, name in processes_below(pid) if name.startswith(AGENT)]
    return [agent for one in first for agent in (one, *(child for child, _ in processes_below(one)))]


def agents(here):
    return agents_below(here.process.pid)


def memory_of(pid):
    """All of it that can be read, with what was freed."""
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps, open(f"/proc/{pid}/mem", "rb") as memory:
        for line in maps:
            where, mode = line.split()[:2]
            if "r" not in mode or line.rstrip().endswith(("[vvar]", "[vsyscall]", "[vvar_vclock]")):
                continue
            first, last = (int(part, 16) for part in where.split("-"))
            memory.seek(first)
            try:
                yield memory.read(last - first)
            except OSError:
                continue


def private_values(pair):
    """Each private number of the key, in both byte orders, and lines of its PEM text."""
    text = harness.run("openssl", "pkey", "-in", pair.key, "-noout", "-text").stdout
    values = {}
    for name, octets in re.findall(r"^(\w+):\n((?: +[0-9a-f:]+\n)+)", text, re.M):
        if name in PRIVATE:
            number = bytes.fromhex(re.sub(r"[\s:]", "", octets)).lstrip(b"\0")
            values |= {f"{name}, first octet first": number, f"{name}, last octet first": number[::-1]}
    lines = [line for line in pair.key.read_text().splitlines() if len(line) > 40 and not line.startswith("-")]
    values |= {f"line {number} of the PEM file": line.encode() for number, line in enumerate(lines)}
    assert len(values) > 2, text
    return values


def found_in(pid, values):
    pieces = list(memory_of(pid))
    return {name for name, octets in values.items() if any(octets in piece for piece in pieces)}


def acceptor(here):
    """The process that accepts: what was started last, where an earlier one still waits."""
    return max(children(here.process.pid))


def connections(here):
    return children(acceptor(here))


def status_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def certificate_of(client):
    client.ehlo()
    client.starttls()
    der = client.socket.getpeercert(binary_form=True)
    client.ehlo()
    client.quit()
    return der
