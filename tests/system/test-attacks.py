#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Faults of other mail servers in 2026, replayed against the program: tests/real-senders.txt has the list. Some of
them are dialogues and unit tests; these need real TLS, real processes, or their memory and processor time."""

import contextlib
import json
import os
import re
import socket
import ssl
import threading

import harness
from harness import RECIPIENT, SENDER, Site
from records import Tls

VERSIONS = {"TLS 1.2": ssl.TLSVersion.TLSv1_2, "TLS 1.3": ssl.TLSVersion.TLSv1_3}
# octets in the clear behind the end of TLS: commands, and a message
CLEAR = (f"EHLO clear.example.net\r\nMAIL FROM:<{SENDER}>\r\nRCPT TO:<{RECIPIENT}>\r\nDATA\r\nSubject: clear\r\n\r\n"
         "clear\r\n.\r\nQUIT\r\n").encode()
# gsasl --mkpasswd --mechanism SCRAM-SHA-256 --iteration-count 4096 --password secret
VERIFIER = ("{SCRAM-SHA-256}4096,abMczsfHWIU++oOO,GMqPr2sKZSgZ/W/7w+95tiPHkwokNJGlMaSHoUL39CY=,"
            "+1hMECFC51EYhftFxCFHY53z2wvhxR5CqzESkdNpClU=")
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V1 = b"PROXY TCP4 203.0.113.9 198.51.100.1 4711 25\r\n"
V2 = (SIGNATURE + b"\x21\x11\0\x0c" + socket.inet_aton("203.0.113.9") + socket.inet_aton("198.51.100.1")
      + b"\x12\x67\0\x19")
LOCAL = SIGNATURE + b"\x20\0\0\0"


def secured(place, version=ssl.TLSVersion.TLSv1_3):
    """A client that has sent EHLO inside TLS."""
    client = place.connect()
    client.ehlo()
    client.say("STARTTLS", 220)
    tls = Tls(client, version).handshake()
    tls.say("EHLO client.example.net", 250)
    return client, tls


def auth_site(**settings):
    if not (harness.build / "src" / "sasl.so").exists():
        raise harness.Skip("built without sasl")
    place = Site(tls="required", pair=harness.pair(), auth="on", **settings)
    for name, content in (("users", f"user {VERIFIER}\n"), ("secret", "s" * 32)):
        (place.dir / name).write_text(content)
        (place.dir / name).chmod(0o600)
    return place.set(auth_users=place.dir / "users", auth_secret=place.dir / "secret")


def ends_well(client):
    """The process ends by itself, without a fault; the seconds of processor time that it used."""
    process = client.process

    def ended():
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        return pid and (status, usage)

    client.close()
    status, usage = harness.eventually(ended, "the process ends")
    process.returncode = os.waitstatus_to_exitcode(status)
    harness.equal(process.returncode, 0, "exit status")
    return usage.ru_utime + usage.ru_stime


# TLS that ends early

CONTENT = "Subject: secured\r\n\r\nsecured"


def to_chunk(tls):
    tls.say(f"MAIL FROM:<{SENDER}>", 250)
    tls.say(f"RCPT TO:<{RECIPIENT}>", 250)
    # the octets in the clear would complete it
    return tls.records(f"BDAT {len(CONTENT) + len(CLEAR) - 20} LAST\r\n{CONTENT}")


def to_first_chunk(tls):
    tls.say(f"MAIL FROM:<{SENDER}>", 250)
    tls.say(f"RCPT TO:<{RECIPIENT}>", 250)
    # say() ends the line, which is part of the chunk
    tls.say(f"BDAT {len(CONTENT) + 2}\r\n{CONTENT}", 250)
    return b""


def to_data(tls):
    tls.say(f"MAIL FROM:<{SENDER}>", 250)
    tls.say(f"RCPT TO:<{RECIPIENT}>", 250)
    tls.say("DATA", 354)
    return tls.records(CONTENT)


def to_end_of_data(tls):
    to_data(tls)
    return tls.records(CONTENT + "\r\n.\r")


def to_exchange(tls):
    tls.say("AUTH LOGIN", 334)
    return b""


def to_response(tls):
    tls.say("AUTH PLAIN", 334)
    return tls.records("AHVzZXIA")


def to_command(tls):
    return tls.records("MAIL FROM:<x@exam")


def to_idle(_tls):
    return b""


PLACES = {
    "a chunk": (to_chunk, b""), "chunks": (to_first_chunk, b"BDAT 0 LAST\r\n"), "DATA": (to_data, b"\r\n.\r\n"),
    "the end of DATA": (to_end_of_data, b"\n"), "an exchange": (to_exchange, b"dXNlcg==\r\nc2VjcmV0\r\n"),
    "a response": (to_response, b"c2VjcmV0\r\n"), "a command": (to_command, b"ple.net>\r\n"),
    "nothing": (to_idle, b"")}


@harness.table_of({
    f"of {place}, {version}, {'in the same segment' if at_once else 'later'}":
        (*PLACES[place], VERSIONS[version], at_once)
    for place in PLACES for version in VERSIONS for at_once in (True, False)})
def test_behind_close_notify_nothing_is_read(begin, rest, version, at_once):
    """Fault of 2026: close_notify in the middle: of a chunk, of DATA, of AUTH; then octets in the clear."""
    place = auth_site()
    client, tls = secured(place, version)
    last = begin(tls) + tls.close_notify()
    with contextlib.suppress(OSError):  # the server may have closed by then
        if at_once:
            client.send(last + rest + CLEAR)
        else:
            client.send(last)
            client.delivered()
            client.send(rest + CLEAR)
        client.socket.shutdown(socket.SHUT_WR)
    text = tls.open_all(client.rest())
    harness.equal(re.findall(rb"(?m)^[23]\d\d", text), [], "replies behind the end")
    ends_well(client)
    harness.equal(place.everything(), [])
    record = place.session()
    harness.equal(record.get("messages", "0"), "0")
    if begin in (to_exchange, to_response, to_command, to_idle):
        assert "transactions" not in record, record
    assert "user" not in record and record["helo"] == "client.example.net", record


def leave(client, how):
    with contextlib.suppress(OSError):
        if how == "reset":
            client.reset()
        else:
            client.socket.shutdown(socket.SHUT_WR)
            client.rest()


@harness.table_of({f"{version}, {mode}, {how}": (VERSIONS[version], mode, how)
                   for version in VERSIONS for mode in ("on", "implicit") for how in ("end", "reset")})
def test_a_client_may_close_at_any_octet_of_the_handshake(version, mode, how):
    """Fault of 2026: the client closes in the handshake, or right behind its Finished."""
    place = Site(tls=mode, pair=harness.pair())
    n_sessions = 0
    for flight in (0, 1):
        for part in (0, 1, 5, 6, 0.5, -1, None):
            client = place.connect(greeting=mode == "on")
            if mode == "on":
                client.ehlo()
                client.say("STARTTLS", 220)
            tls = Tls(client, version)
            octets, _ = tls.flight()
            while flight == 1:
                client.send(octets)
                tls.receive()
                octets, complete = tls.flight()
                if complete or octets:  # TLS 1.2: keys, ChangeCipherSpec and Finished
                    break
            client.send(octets[:int(part * len(octets)) if part == 0.5 else part])
            leave(client, how)
            ends_well(client)
            n_sessions += 1
    sessions = place.records("session")
    harness.equal(len(sessions), n_sessions)
    harness.equal(place.everything(), [])
    harness.equal([r for r in sessions if "transactions" in r], [])


@harness.table_of({f"{version}, {what}": (VERSIONS[version], what)
                   for version in VERSIONS for what in ("close_notify", "clear", "both", "alert")})
def test_what_follows_finished_in_its_segment(version, what):
    """Fault of 2026: the client closes in the handshake: right behind its Finished comes its end, or no TLS."""
    place = Site(tls="on", pair=harness.pair())
    client = place.connect()
    client.ehlo()
    client.say("STARTTLS", 220)
    tls = Tls(client, version)
    octets, complete = tls.flight()
    client.send(octets)
    octets = b""
    while not octets:
        tls.receive()
        octets, complete = tls.flight()
    if what in ("close_notify", "both"):
        if not complete:  # TLS 1.2: the server's Finished is due first
            client.send(octets)
            octets = b""
            while not complete:
                tls.receive()
                _, complete = tls.flight()
        octets += tls.close_notify()
    if what in ("clear", "both"):
        octets += CLEAR
    if what == "alert":
        octets += b"\x15\x03\x03\0\2\2\0" + CLEAR
    with contextlib.suppress(OSError):
        client.send(octets)
        client.socket.shutdown(socket.SHUT_WR)
    rest = client.rest()
    text = tls.open_all(rest)
    harness.equal(re.findall(rb"(?m)^[23]\d\d", text), [], "replies")
    ends_well(client)
    harness.equal(place.everything(), [])
    assert "transactions" not in place.session(), place.session()


# PROXY


def proxy_site(**settings):
    return Site(proxy_protocol="127.0.0.1", **settings)


@harness.table_of({
    "v1 without its end": V1[:-2], "v1 without LF": V1[:-1], "the beginning of v1": b"PROXY ",
    "a signature": SIGNATURE, "half a signature": SIGNATURE[:5], "a length without a body": V2[:16],
    "a length and half a body": V2[:22], "LOCAL without a length": LOCAL[:14],
    "LOCAL, a length without a body": LOCAL[:14] + b"\0\x0c", "LOCAL, the longest length": LOCAL[:14] + b"\1\xff"})
def test_a_header_without_its_end_is_dropped_at_the_deadline(octets):
    """Fault of 2026: PROXY headers that never end: v1 without CRLF, v2 lengths without a body"""
    place = proxy_site(timeout=1)
    client = place.connect(greeting=False)
    client.send(octets)
    client.expect(421)
    client.expect_end()
    assert ends_well(client) < 2, "processor time"
    harness.equal(place.session()["end"], "bad-proxy")
    harness.equal(place.everything(), [])


@harness.table_of({
    "v1": (V1, b""), "v2": (V2, b""), "LOCAL": (LOCAL, b""), "LOCAL with a body": (LOCAL[:14] + b"\0\x0c", bytes(12)),
    "LOCAL with addresses": (LOCAL[:13] + b"\x11\0\x0c", V2[16:]),
    "v2 with much behind it": (V2[:14] + b"\1\x0f" + V2[16:], b"\x04\1\0" + bytes(256))})
def test_a_header_in_pieces_is_read_and_local_works(header, body):
    """Fault of 2026: PROXY headers that never end: one that comes octet by octet ends, and LOCAL is served"""
    place = proxy_site()
    sent = harness.sample()
    for step in (1, 7, 1000):
        client = place.connect(greeting=False)
        octets = header + body
        for i in range(0, len(octets), step):
            client.send(octets[i:i + step])
            client.delivered()
        client.expect(220)
        client.ehlo()
        harness.equal(client.message(sent).code, 250)
        client.say("QUIT", 221)
        client.rest()
        ends_well(client)
        harness.check_stored(place.only_message(), sent)
        place.only_message().unlink()


def test_heartbeats_of_a_proxy_end_well():
    """Fault of 2026: PROXY headers that never end: a heartbeat (LOCAL and close, or QUIT) is none of these"""
    place = proxy_site(timeout=300)
    for header in (LOCAL, LOCAL + b"QUIT\r\n", LOCAL[:14] + b"\0\x0c" + bytes(12)):
        client = place.connect(greeting=False)
        client.send(header)
        client.expect(220)
        client.socket.shutdown(socket.SHUT_WR)
        client.rest()
        assert ends_well(client) < 2, "processor time"


# The end of the connection within AUTH

EXCHANGES = {
    "PLAIN": (("AUTH PLAIN",), b""), "half a response": (("AUTH PLAIN",), b"AHVzZXIA"), "LOGIN": (("AUTH LOGIN",), b""),
    "the password": (("AUTH LOGIN", "dXNlcg=="), b""),
    "SCRAM": (("AUTH SCRAM-SHA-256",), b""),
    "SCRAM's second": (("AUTH SCRAM-SHA-256 biwsbj11c2VyLHI9ZnlrbytkMmxiYkZnT05Sdjlxa3hkYXdM",), b"Yz1i")}


@harness.table_of({f"of {name}, {how}": (*EXCHANGES[name], how) for name in EXCHANGES
                   for how in ("end of file", "close_notify", "reset")})
def test_an_end_within_an_exchange_uses_no_time(commands, last, how):
    """Fault of 2026: end of file behind a 334: the process ends at once, without processor time."""
    place = auth_site(timeout=300)
    client, tls = secured(place)
    for command in commands:
        tls.say(command, 334)
    if last:
        client.send(tls.records(last))
    if how == "close_notify":
        client.send(tls.close_notify())
    leave(client, "reset" if how == "reset" else "end")
    used = ends_well(client)
    assert used < (5 if harness.sanitized else 1), f"{used} s of processor time"
    record = place.session()
    assert "user" not in record, record


# Octets that records and fields of ours have to escape or leave out

ODD = [bytes((octet,)) for octet in range(256)] + [
    b"\r\nX-Injected: yes", b'" event=session end=quit x="', b"\n event=session", b"\xc2\x85", b"\xe2\x80\xa8",
    b"%s%n", b"\\x0a", b"\x1b[2J", b"){:;};", b"$(id)"]


def odd_session(place):
    """Each odd text as a name in EHLO and in MAIL, in RCPT, in parameters and in place of a verb."""
    client = place.connect()
    stream = b""
    for odd in ODD:
        stream += (b"EHLO a" + odd + b"b.example\r\n"
                   b"MAIL FROM:<u@a" + odd + b"b.example>\r\nRSET\r\n"
                   b'MAIL FROM:<"u' + odd + b'v"@example.net> ENVID=x' + odd + b"y\r\nRSET\r\n"
                   b"MAIL FROM:<u" + odd + b"v@example.net>\r\n"
                   b"RCPT TO:<printer" + odd + b"@example.org>\r\n" + f"RCPT TO:<{RECIPIENT}>\r\n".encode() +
                   b"BDAT 17 LAST\r\nSubject: x\r\n\r\nb\r\nRSET\r\nX" + odd + b"\r\n")
    sender = threading.Thread(target=client.send, args=(stream + b"\r\nQUIT\r\n",))
    sender.start()
    client.rest()
    sender.join()
    ends_well(client)


def check_trace(path):
    """The header that is ours, and no line more in it than there are fields of ours."""
    header = path.read_bytes().partition(b"Subject: x\n")[0]
    assert all(32 <= c < 127 or c in b"\t\n" for c in header), header
    names = re.findall(rb"(?m)^([^\s:]+):", header)
    if b"Delivered-To" in names:  # of one recipient
        names.remove(b"Delivered-To")
    harness.equal(names, [b"Return-Path", b"Received"], header)


def is_plain(line):
    return all(" " <= c <= "~" for c in line)


@harness.table(text=None, json="json")
def test_odd_octets_of_the_client_are_escaped(how):
    """Fault of 2026: odd octets of the client: NUL, CR, LF and others in EHLO and in sender domains"""
    place = Site(error_limit=999999, transaction_limit=999999)
    if how:
        place.set(log=f"json:{place.dir / 'records'}")
    odd_session(place)
    if how:
        lines = (place.dir / "records").read_text(encoding="latin-1").split("\n")[:-1]
        events = [json.loads(line)["event"] for line in lines]
    else:
        lines = place.log.read_text(encoding="latin-1").split("\n")[:-1]
        assert all(re.match(r"postern\[\d+\]: event=[a-z]+ ", line) for line in lines), lines[:5]
        events = [record["event"] for record in harness.parse_records("\n".join(lines))]
    harness.equal([line for line in lines if not is_plain(line)], [], "what is not escaped")
    files = place.new()
    harness.equal((events.count("session"), events.count("message") >= len(files)), (1, True))
    assert len(files) > 60, f"{len(files)} messages"  # the octets that an address may have
    for path in files:
        check_trace(path)


def test_odd_octets_in_a_server_name_are_escaped():
    """Fault of 2026: odd octets of the client: NUL, CR, LF and others in the server name of a ClientHello"""
    place = Site(tls="on", pair=harness.pair())
    name = b"abcdefghijklmnopqrstuvwxyz.example"
    odd = [octet + name[1:] for octet in ODD[:256:15]] + [
        (text + name)[:len(name)] for text in [b"\0", b"\r", b"\n", b'"', b"\\", b"\x7f", *ODD[256:]]]
    for text in odd:
        client = place.connect()
        client.ehlo()
        client.say("STARTTLS", 220)
        hello, _ = Tls(client, name=name.decode()).flight()
        assert hello.count(name) == 1 and len(text) == len(name)
        client.send(hello.replace(name, text))
        client.socket.shutdown(socket.SHUT_WR)
        client.rest()
        ends_well(client)
    lines = place.log.read_text(encoding="latin-1").split("\n")[:-1]
    harness.equal([line for line in lines if not is_plain(line)], [], "what is not escaped")
    assert all(re.match(r"postern\[\d+\]: event=session ", line) for line in lines), lines
    harness.equal(len(lines), len(odd))


# Memory


def memory_of(client):
    """Octets of memory that the process has had at most."""
    with open(f"/proc/{client.process.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))


def connect_for_memory(place):
    """With sanitizers, memory that was freed is used again."""
    env = harness.environment()
    if harness.sanitized:
        env["ASAN_OPTIONS"] += ":quarantine_size_mb=0:thread_local_quarantine_size_kb=0"
    client = place.connect(env=env)
    client.ehlo()
    return client


def send_many(client, pieces, last):
    """Send them all, while replies are read and counted by their codes up to the one that begins with `last`."""
    def send():
        with contextlib.suppress(OSError):
            for piece in pieces:
                client.socket.sendall(piece)

    counts, rest = {}, b""
    sender = threading.Thread(target=send)
    sender.start()
    while last not in counts:
        octets = client.socket.recv(1 << 20)
        assert octets, f"the server ended the connection: {counts}, {rest!r}"
        *lines, rest = (rest + octets).split(b"\r\n")
        for line in lines:
            counts[line[:9]] = counts.get(line[:9], 0) + 1
    sender.join()
    return counts


def grows_little(client, first):
    limit = (8 if harness.sanitized else 1) << 20
    grown = memory_of(client) - first
    assert grown < limit, f"{grown} octets more"


def test_chunks_of_one_octet_need_no_memory():
    """Fault of 2026: many small chunks and recipients: 100,000 chunks of one octet in one message"""
    place = Site()
    client = connect_for_memory(place)
    client.envelope()
    counts = send_many(client, [b"BDAT 12\r\nSubject: x\r\n" + b"BDAT 1\r\ny" * 1000 + b"VRFY x\r\n"], b"252 2.5.0")
    harness.equal(counts[b"250 2.0.0"], 1001)
    first = memory_of(client)
    counts = send_many(client, [b"BDAT 1\r\nz" * 1000] * 99 + [b"BDAT 2 LAST\r\n\r\n"], b"250 2.6.0")
    harness.equal(counts, {b"250 2.0.0": 99000, b"250 2.6.0": 1})
    grows_little(client, first)
    client.quit()
    _, rest = harness.split_trace(place.only_message().read_bytes())
    harness.equal(rest, b"Subject: x\n" + b"y" * 1000 + b"z" * 99000 + b"\n")


def test_millions_of_recipients_need_no_memory():
    """Fault of 2026: many small chunks and recipients: a million accepted in one session"""
    place = Site(transaction_limit=999999, error_limit=999999)
    client = connect_for_memory(place)
    one = (f"MAIL FROM:<{SENDER}>\r\n" + f"RCPT TO:<{RECIPIENT}>\r\n" * 1000 + "RSET\r\n").encode()
    counts = send_many(client, [one, b"VRFY x\r\n"], b"252 2.5.0")
    harness.equal(counts[b"250 2.1.5"], 1000)
    first = memory_of(client)
    counts = send_many(client, [one] * 1000 + [b"VRFY x\r\n"], b"252 2.5.0")
    harness.equal(counts[b"250 2.1.5"], 1000000)
    grows_little(client, first)
    client.quit()


if __name__ == "__main__":
    harness.main()
