# SPDX-License-Identifier: ISC
"""Scripted filters: the other side of the milter protocol, octet by octet, so that it can be right, wrong or hostile."""

import socket
import struct
import threading
import time

import harness
from harness import Site
from listening import Listening

ACTIONS = 0x1ff
STEPS = 0x1fffff
NR = {"L": 0x80, "C": 0x1000, "H": 0x2000, "M": 0x4000, "R": 0x8000, "T": 0x10000, "U": 0x20000, "N": 0x40000,
      "B": 0x80000}
NO = {"C": 1, "H": 2, "M": 4, "R": 8, "B": 0x10, "L": 0x20, "N": 0x40, "U": 0x100, "T": 0x200}
SKIP = 0x400
HEADER_LEADING_SPACE = 0x100000
SILENT = 0
for bit in NR.values():
    SILENT |= bit


def frame(command, data=b""):
    return struct.pack(">I", len(data) + 1) + command.encode() + data


def strings(*texts):
    return b"".join(text.encode() + b"\0" for text in texts)


def add(name, value):
    return frame("h", strings(name, value))


def insert(index, name, value):
    return frame("i", struct.pack(">I", index) + strings(name, value))


def change(index, name, value):
    return frame("m", struct.pack(">I", index) + strings(name, value))


def reply(text):
    return frame("y", strings(text))


# Hosts with filters


def with_file(place, lines):
    path = place.dir / "milters"
    path.write_text("".join(lines))
    return place.set(milters=path)


def site_with(*lines, **settings):
    return with_file(Site(**settings), lines)


def listening_with(filter_, *words, **settings):
    return with_file(Listening(**settings), [filter_.line(*words)]).listen()


def send(site, data=None, code=250, **options):
    """One message in a session of its own; the last reply."""
    client = site.connect(**options)
    client.ehlo()
    reply = client.message(data or harness.sample())
    harness.equal(reply.code, code, str(reply))
    if code != 421:
        client.quit()
    return reply


def record(site):
    return site.records("message")[-1]


# Filters


class Lost(Exception):
    """The server closed the connection."""


class Filter:
    """Answers each event by answers[event]: octets, a function of (data, conversation) that returns them, or None to
    close. What it has no answer for is continued, unless the negotiated steps leave that out."""

    def __init__(self, version=6, actions=ACTIONS, steps=0, macros=b"", path=None, negotiate=None, tcp=False, **answers):
        self.path = path or harness.scratch() / "filter.sock"
        self.version, self.actions, self.steps, self.macros = version, actions, steps, macros
        self.negotiate, self.answers = negotiate, answers
        self.conversations, self.faults = [], []
        self.listening = socket.socket(socket.AF_INET if tcp else socket.AF_UNIX)
        self.listening.bind(("127.0.0.1", 0) if tcp else str(self.path))
        self.address = "inet:%s:%d" % self.listening.getsockname() if tcp else f"unix:{self.path}"
        if not tcp:
            self.path.chmod(0o777)
        self.listening.listen(64)
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()
        harness.at_end(self.close)

    def close(self):
        harness.stop_accepting(self.listening, self.thread)

    def line(self, *words):
        return " ".join((self.address, *words)) + "\n"

    def _accept(self):
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            conversation = Conversation(self, connection)
            self.conversations.append(conversation)
            threading.Thread(target=conversation.run, daemon=True).start()

    def events(self, which=-1):
        """The commands of a conversation that has ended, in order, macros left out."""
        harness.eventually(lambda: self.conversations and self.conversations[which].ended, "the end of a conversation")
        return "".join(command for command, _ in self.conversations[which].frames if command != "D")

    def got(self, command, which=-1):
        """The data of each event of that command."""
        return [data for c, data in self.conversations[which].frames if c == command]

    def macros_of(self, command, which=-1):
        """The macros that came for an event, as a dictionary; of the last such event."""
        found = {}
        for data in self.got("D", which):
            if data[:1].decode() == command:
                words = data[1:].split(b"\0")[:-1]
                found = dict(zip(words[::2], words[1::2]))
        return {k.decode(): v.decode() for k, v in found.items()}

    def wait_for(self, command, n=1):
        """Until so many events of that command have come, on any connection."""
        harness.eventually(lambda: sum(len(self.got(command, i)) for i in range(len(self.conversations))) >= n,
                           f"{n} events {command} at the filter")


class Conversation:
    def __init__(self, owner, connection):
        self.owner, self.connection = owner, connection
        self.frames = []
        self.writes = 0
        self.ended = False

    def _read(self, n):
        got = b""
        while len(got) < n:
            try:
                piece = self.connection.recv(n - len(got))
            except OSError:
                piece = b""
            if not piece:
                raise Lost
            got += piece
        return got

    def _next(self):
        length, = struct.unpack(">I", self._read(4))
        data = self._read(length)
        self.frames.append((data[:1].decode("latin-1"), data[1:]))
        return self.frames[-1]

    def _answer(self, command, data):
        owner = self.owner
        if command in owner.answers:
            answer = owner.answers[command]
            return answer(data, self) if callable(answer) else answer
        if command == "O":
            return owner.negotiate or frame("O", struct.pack(">III", owner.version, owner.actions, owner.steps) +
                                            owner.macros)
        if command in "DAQK" or owner.steps & NR.get(command, 0):
            return b""
        return frame("c")

    def run(self):
        try:
            while True:
                answer = self._answer(*self._next())
                if answer is None:
                    break
                if answer:
                    self.connection.sendall(answer)
        except (Lost, OSError):
            pass
        except Exception as fault:  # pylint: disable=broad-except
            self.owner.faults.append(fault)
        self.ended = True
        self.connection.close()


def slowly(octets, seconds):
    """An answer that comes octet by octet."""

    def answer(_, conversation):
        for n in range(len(octets)):
            conversation.connection.sendall(octets[n:n + 1])
            time.sleep(seconds / len(octets))
        return b""

    return answer
