#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""TLS records and packets: no wait while input is buffered, key updates, renegotiation, small pieces, large
messages."""

import array
import fcntl
import re
import socket
import ssl
import subprocess
import termios

import harness
from handshakes import TLS1_2, TLS1_3, WITH_TLS, check_delivery, resumed, ticket_key
from harness import HOST, RECIPIENT, SENDER, Client, Listener, Site, client_context
from records import Tls


def test_a_handshake_never_waits_for_an_acknowledgement():
    """Nagle's algorithm would hold back each write until the client has acknowledged the one before."""
    place = Site(tls="on", pair=harness.pair())
    with socket.create_server(("127.0.0.1", 0)) as listening:
        client = Client(socket.create_connection(listening.getsockname()))
        theirs, _ = listening.accept()
    with theirs:
        client.process = place.spawn(theirs)
        client.expect(220)
        client.ehlo()
        harness.equal(theirs.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY), 0)
        client.starttls()
        harness.equal(theirs.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY), 1)
    client.ehlo()
    check_delivery(place, client)


def acknowledged(place, speak):
    """How often the program asked the system to acknowledge at once, in a session of that client."""
    harness.need("strace")
    trace = place.dir / "trace"
    client = place.connect(wrap=("strace", "-f", "-qq", "-o", trace, "-e", "trace=setsockopt"))
    client.ehlo()
    speak(client)
    client.quit()
    return trace.read_text().count("TCP_QUICKACK, [1]")


def in_pieces(client):
    """As clients write that have one buffer for the header and another for the body."""
    client.envelope()
    client.say("DATA", 354)
    for piece in ("Subject: x\r\n", "\r\nbody\r\n"):
        client.send(piece)
        client.delivered()
    client.send(".\r\n")
    client.expect(250)


def test_what_gets_no_answer_is_acknowledged_at_once():
    """Else the client's own Nagle holds back what comes next for as long as the system delays that."""
    place = Site(tls="on", pair=harness.pair())
    harness.equal(acknowledged(place, lambda client: None), 0, "where each command has its reply")
    harness.equal(acknowledged(place, lambda client: harness.equal(
        client.message(harness.sample()).code, 250)), 0, "a message in one piece")
    assert acknowledged(place, in_pieces) in (1, 2), "a message in pieces, two of which may be read as one"
    harness.equal(acknowledged(place, lambda client: client.starttls()), 1, "the end of a handshake")


# The first command in one packet with the client's last word of the handshake


class InOnePacket:
    """A client in TLS that decides by itself which octets it sends together."""

    def __init__(self, client, context, session=None):
        self.socket = client.socket
        self.came, self.goes = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(
            self.came, self.goes, server_hostname=HOST, session=session)

    def receive(self):
        octets = self.socket.recv(65536)
        assert octets, "the connection has ended"
        self.came.write(octets)

    def handshake(self, behind):
        """Sends `behind` with the last word of the handshake, which is the client's."""
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.send()
                self.receive()
        self.tls.write(behind)
        self.send()

    def send(self):
        octets = self.goes.read()
        if octets:
            self.socket.sendall(octets)

    def reply(self, code):
        text = b""
        while not re.search(rb"(?m)^[0-9]{3} .*\r\n", text):
            try:
                text += self.tls.read(65536)
            except ssl.SSLWantReadError:
                self.receive()
        harness.equal(text[:3].decode(), str(code))


def manager(place):
    """The socket of a service manager, which receives the state of a session."""
    told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    harness.at_end(told.close)
    told.bind(str(place.dir / "notify"))
    return harness.environment(NOTIFY_SOCKET=str(place.dir / "notify"))


def waits_in_vain(trace):
    """The waits that only their time ended, between the last octets of the client and the last of ours."""
    calls = trace.splitlines()
    read = max(n for n, call in enumerate(calls) if re.search(r"read\(0, .* = [1-9]", call))
    written = max(n for n, call in enumerate(calls) if "sendto(1, " in call)
    assert read < written, "the reply comes after the command"
    return [call for call in calls[read:written]
            if call.endswith("= 0 (Timeout)") and ", 0) = 0" not in call]


@harness.table_of({f"{mode} {name}": (mode, version) for mode in WITH_TLS
                   for name, version in {"TLS 1.2": TLS1_2, "TLS 1.3": TLS1_3}.items()})
def test_no_wait_while_input_is_in_hand(mode, version):
    """In TLS 1.2 the client has the last word when a session is resumed."""
    harness.need("strace")
    place = Site(tls=mode, pair=harness.pair())
    place.set(tls_tickets=ticket_key(place.dir))
    context = client_context(version, version)
    session = resumed(place, context)[0] if version == TLS1_2 else None
    trace = place.dir / "trace"
    client = place.connect(
        greeting=mode != "implicit", env=manager(place),
        wrap=("strace", "-f", "-qq", "-o", trace, "-e", "trace=read,sendto,poll,ppoll"))
    if mode != "implicit":
        client.ehlo()
        client.say("STARTTLS", 220)
    talk = InOnePacket(client, context, session)
    talk.handshake(b"EHLO client.example.net\r\n")
    if mode == "implicit":
        talk.reply(220)
    talk.reply(250)
    harness.equal(waits_in_vain(trace.read_text()), [])
    talk.tls.write(b"QUIT\r\n")
    talk.send()
    talk.reply(221)
    client.wait()
    harness.equal(place.records("session")[-1].get("resumed"), "yes" if session else None)


class ByHand:
    """s_client at a keyboard: R, K, k and Q at the start of a line are its own commands."""

    def __init__(self, place, version):
        harness.need("openssl")
        self.shown = place.dir / "shown"
        with open(self.shown, "wb") as out:
            self.process = harness.start(
                "openssl", "s_client", "-starttls", "smtp", version, "-connect",
                f"127.0.0.1:{Listener(place).port}", stdin=subprocess.PIPE, stdout=out, stderr=out)
        self.wait_for("Verify return code")

    def wait_for(self, text):
        harness.eventually(lambda: text in self.shown.read_text(errors="replace"), text)

    def type(self, line, answer):
        self.process.stdin.write(f"{line}\r\n".encode())
        self.process.stdin.flush()
        self.wait_for(answer)


def test_renegotiation_is_refused():
    place = Site(tls="on", pair=harness.pair())
    client = ByHand(place, "-tls1_2")
    client.type("EHLO client.example.net", "PIPELINING")
    client.type("R", "no renegotiation")
    harness.equal(place.everything(), [])
    place.session()


@harness.table_of({"of the client's key": "k", "of both keys": "K"})
def test_a_session_goes_on_after_a_key_update(command):
    place = Site(tls="on", pair=harness.pair())
    client = ByHand(place, "-tls1_3")
    client.type(command, "KEYUPDATE")
    client.type("HELP", "214 ")
    client.type("quit", "221 ")
    harness.equal(place.session()["end"], "quit")


@harness.table_of({"of the client's key": "k", "of both keys": "K"})
def test_a_key_update_within_a_message(command):
    place = Site(tls="on", pair=harness.pair())
    client = ByHand(place, "-tls1_3")
    for line, code in (("EHLO client.example.net", "PIPELINING"), (f"MAIL FROM:<{SENDER}>", "250 2.1.0"),
                       (f"rcpt TO:<{RECIPIENT}>", "250 2.1.5"), ("DATA", "354 ")):
        client.type(line, code)
    client.process.stdin.write(b"Subject: x\r\n\r\nbefore\r\n")
    client.process.stdin.flush()
    harness.eventually(lambda: not unread(client.process.stdin), "openssl reads the first part")
    client.type(command, "KEYUPDATE")
    client.process.stdin.write(b"behind\r\n")
    client.type(".", "250 2.6.0")
    harness.check_stored(place.only_message(), b"Subject: x\r\n\r\nbefore\r\nbehind\r\n")


def unread(pipe):
    """Octets that the process at its other end has not read yet."""
    left = array.array("i", [0])
    fcntl.ioctl(pipe.fileno(), termios.FIONREAD, left)
    return left[0]


@harness.table_of({f"{what}, {version.name}": (what, version)
                   for what in ("segments", "records", "both") for version in (TLS1_2, TLS1_3)})
def test_a_client_hello_in_small_pieces(what, version):
    place = Site(tls="on", pair=harness.pair())
    client = place.connect()
    client.ehlo()
    client.say("STARTTLS", 220)
    tls = Tls(client, version)
    octets, _ = tls.flight()
    # GnuTLS wants the message's length within the first record, and from 3.8.13 on at most some dozens of records;
    # the ClientHello of OpenSSL 3.5 has three times the octets of its predecessors'
    size = max(16, len(octets) // 32)
    if what != "segments":
        octets = b"".join(octets[:3] + len(octets[i:i + size]).to_bytes(2, "big") + octets[i:i + size]
                          for i in range(5, len(octets), size))
    if what == "records":
        client.send(octets)
    else:
        for i in range(len(octets)):
            client.send(octets[i:i + 1])
    tls.receive()
    tls.handshake()
    tls.say("EHLO client.example.net", 250)
    tls.say("QUIT", 221)
    client.wait()
    harness.equal(place.session()["end"], "quit")


if __name__ == "__main__":
    harness.main()
