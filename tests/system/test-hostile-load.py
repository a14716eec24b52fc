#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""200 hostile and 50 good sources at once: the good ones, which come again when they are refused for now, get every
message through, and each is stored once.

Each source has an address of its own in 127.0.0.0/8. It takes about a minute; POSTERN_HOSTILE_MESSAGES=NUMBER in the
environment sets how many messages each good source sends.
"""

import collections
import contextlib
import os
import random
import re
import select
import socket
import subprocess
import sys
import threading
import time

import harness
from harness import DOMAIN, Client, Closed
from listening import Listening, with_tls
from mailboxes import OTHER, make_maildir

HOSTILE, GOOD = 200, 50
MESSAGES = int(os.environ.get("POSTERN_HOSTILE_MESSAGES", "4"))  # of each good source
PATIENCE = 300  # seconds in which all good mail is through
FAULTS = (OSError, Closed, AssertionError, ValueError)
RECIPIENT = f"printer@{DOMAIN}"


# What hostile sources do; each has the whole connection


def holds(s, _):
    """Holds a place, and says nothing."""
    read_until_end(s, 60)


def trickles(s, chance):
    """Content, an octet at a time."""
    talk(s, b"EHLO x\r\n", b"MAIL FROM:<>\r\n", f"RCPT TO:<{RECIPIENT}>\r\n".encode(), b"DATA\r\n")
    for _ in range(100):
        s.sendall(b"x")
        time.sleep(chance.uniform(0.3, 0.6))


def guesses(s, chance):
    """Addresses that nobody has."""
    talk(s, b"EHLO x\r\n", b"MAIL FROM:<a@example.net>\r\n")
    for _ in range(100):
        talk(s, f"RCPT TO:<{chance.randrange(1 << 32)}@{DOMAIN}>\r\n".encode())


def babbles(s, chance):
    """Octets of any kind."""
    s.sendall(chance.randbytes(chance.randrange(1, 5000)))
    read_until_end(s, 5)


def half_shakes(s, chance):
    """A handshake that goes no further."""
    talk(s, b"EHLO x\r\n", b"STARTTLS\r\n")
    s.sendall(b"\x16\x03\x01\x02\x00\x01" + chance.randbytes(chance.randrange(0, 400)))
    read_until_end(s, 30)


def leaves(s, _):
    """A reset in the middle of a message."""
    talk(s, b"EHLO x\r\n", b"MAIL FROM:<>\r\n", f"RCPT TO:<{RECIPIENT}>\r\n".encode(), b"DATA\r\n")
    s.sendall(b"Subject: never complete\r\n\r\n" + b"x" * 2000)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def never_reads(s, _):
    """Commands without end, whose replies wait."""
    s.settimeout(20)
    for _ in range(10000):
        s.sendall(b"HELP\r\n" * 100)


DEEDS = (holds, holds, trickles, guesses, babbles, half_shakes, leaves, never_reads)


def read_until_end(s, seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until and select.select([s], [], [], max(0, until - time.monotonic()))[0]:
        if not s.recv(4096):
            return


def talk(s, *lines):
    s.settimeout(20)
    s.recv(4096)
    for line in lines:
        s.sendall(line)
        s.recv(4096)


def attack(number, port):
    """One source, with up to three connections at once, for ever."""
    chance = random.Random(number)

    def once_and_again():
        while True:
            with contextlib.suppress(*FAULTS), socket.socket() as s:
                s.settimeout(20)
                s.bind((address_of(1, number), 0))
                s.connect(("127.0.0.1", port))
                chance.choice(DEEDS)(s, chance)
            time.sleep(chance.uniform(0.3, 1.5))

    for _ in range(3):
        threading.Thread(target=once_and_again, daemon=True).start()


def be_hostile(port):
    threading.stack_size(256 * 1024)
    for number in range(HOSTILE):
        attack(number, port)
    print("begun", flush=True)
    sys.stdin.read()  # until the test ends
    os._exit(0)


# Good sources


def address_of(kind, number):
    return f"127.{kind}.{number // 250}.{number % 250 + 2}"


class Good:
    """One source that sends its messages one by one, and each again until it is accepted."""

    def __init__(self, number, here, until):
        self.number, self.here, self.until = number, here, until
        self.accepted, self.tries, self.faults = [], 0, collections.Counter()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        for message in range(MESSAGES):
            while time.monotonic() < self.until and not self.send(f"{self.number}-{message}"):
                time.sleep(0.5)

    def send(self, name):
        self.tries += 1
        try:
            connection = socket.create_connection(("127.0.0.1", self.here.ports[0]), 60, (address_of(2, self.number), 0))
            with contextlib.closing(connection):
                client = Client(connection)
                client.expect(220)
                client.ehlo()
                if self.number % 2:
                    client.starttls()
                    client.ehlo()
                client.envelope(recipients=(RECIPIENT,))
                client.say("DATA", 354)
                client.send(f"X-Number: {name}.\r\n\r\n" + ("x" * 70 + "\r\n") * 20 + ".\r\n")
                client.expect(250)
                self.accepted.append(name)
                client.say("QUIT", 221)
        except FAULTS as fault:
            self.faults[str(fault)[:60]] += 1
        return name in self.accepted


def numbers_of(here):
    return [re.search(rb"X-Number: (\S+)\.\r?\n", path.read_bytes())[1].decode() for path in here.new(here.root / "printer")]


def test_good_sources_get_every_message_through():
    """With the limits as they are by default, which the hostile sources exceed."""
    here = with_tls(maildir="%u")
    make_maildir(here.root / "printer", owner=OTHER if os.geteuid() == 0 else None)
    here.listen()
    hostile = harness.start(sys.executable, __file__, "--hostile", str(here.ports[0]), stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE)
    harness.equal(hostile.stdout.readline(), b"begun\n")
    time.sleep(3)  # the hostile ones come first
    until = time.monotonic() + PATIENCE
    good = [Good(number, here, until) for number in range(GOOD)]
    for each in good:
        each.thread.join()
    assert hostile.poll() is None, "the hostile sources were there all the time"
    hostile.stdin.close()
    hostile.wait()
    accepted = sorted(name for each in good for name in each.accepted)
    faults = sum((each.faults for each in good), collections.Counter())
    print(f"# {len(accepted)} messages in {sum(each.tries for each in good)} tries, "
          f"{time.monotonic() - until + PATIENCE:.0f} s; refused: {dict(faults.most_common(5))}")
    harness.equal(len(accepted), GOOD * MESSAGES)
    harness.equal(len(set(accepted)), GOOD * MESSAGES)
    stored = collections.Counter(numbers_of(here))
    harness.equal(sorted(stored), accepted)
    # each once, but for one whose reply did not arrive
    assert sum(stored.values()) - len(accepted) <= sum(faults.values()), stored.most_common(3)
    assert here.process.poll() is None, "the listener still runs"
    harness.equal([record for record in here.records("crash")], [])


if __name__ == "__main__":
    if sys.argv[1:2] == ["--hostile"]:
        be_hostile(int(sys.argv[2]))
    else:
        harness.main()
