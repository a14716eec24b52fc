# SPDX-License-Identifier: ISC
"""A TLS client at the level of records: the test sends them itself, so that it can cut, change or omit them."""

import contextlib
import re
import ssl

import harness
from harness import HOST, client_context


class Tls:
    """TLS beside a client's connection: what it makes is for the test to send."""

    def __init__(self, client, version=ssl.TLSVersion.TLSv1_3, name=HOST):
        self.client = client
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = client_context(version, version).wrap_bio(self.incoming, self.outgoing,
                                                             server_hostname=name)
        self.buffer = b""

    def flight(self):
        """Continues the handshake: returns the octets to be sent next, and whether it is complete."""
        try:
            self.tls.do_handshake()
            complete = True
        except ssl.SSLWantReadError:
            complete = False
        return self.outgoing.read(), complete

    def receive(self):
        octets = self.client.socket.recv(65536)
        assert octets, "the server ended the connection"
        self.incoming.write(octets)

    def handshake(self):
        while True:
            octets, complete = self.flight()
            self.client.send(octets)
            if complete:
                return self
            self.receive()

    def records(self, octets):
        """The records that carry them."""
        self.tls.write(octets.encode() if isinstance(octets, str) else octets)
        return self.outgoing.read()

    def say(self, command, code):
        self.client.send(self.records(command + "\r\n"))
        while not re.search(rb"(?m)^\d\d\d( .*)?\r\n\Z", self.buffer):
            try:
                self.buffer += self.tls.read(65536)
            except ssl.SSLWantReadError:
                self.receive()
        reply, self.buffer = self.buffer.decode(), b""
        harness.equal(int(reply.splitlines()[-1][:3]), code, reply)
        return reply

    def close_notify(self):
        with contextlib.suppress(ssl.SSLError):
            self.tls.unwrap()
        record = self.outgoing.read()
        assert record, "no close_notify was made"
        return record

    def open_all(self, octets):
        """What comes out of these records, which must be whole ones, without anything in the clear."""
        rest = octets
        while rest:
            assert len(rest) >= 5 and rest[0] in range(20, 24) and rest[1] == 3, f"in the clear: {rest!r}"
            length = int.from_bytes(rest[3:5], "big")
            assert len(rest) >= 5 + length, f"half a record: {rest!r}"
            rest = rest[5 + length:]
        self.incoming.write(octets)
        text = b""
        with contextlib.suppress(ssl.SSLError):
            while more := self.tls.read(65536):
                text += more
        return text
