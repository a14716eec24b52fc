#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""A session that ends before the end of the message delivers nothing and gets no positive reply, for any last octet
and any end of the connection (RFC 5321 4.1.1.10, 3.8)."""

import contextlib
import socket
import ssl
import subprocess

import harness
from harness import RECIPIENT, SENDER, Closed, Site

ENVELOPE = f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<{RECIPIENT}>\r\nDATA\r\n".encode()
MESSAGE = b"Subject: x\r\n\r\n..\r\nhi\r\n.\r\n"


def end_of_file(client):
    client.socket.shutdown(socket.SHUT_WR)


def reset(client):
    client.delivered()
    client.reset()


def close_without_notify(client):
    """The TCP connection ends in good order, the TLS session does not."""
    raw = socket.socket(fileno=client.socket.detach())
    raw.settimeout(harness.PATIENCE)
    raw.shutdown(socket.SHUT_WR)
    client.socket = raw


def close_notify(client):
    with contextlib.suppress(ssl.SSLError, OSError):
        client.socket.unwrap()  # sends ours and waits for theirs


def replies(octets):
    return [line[:3] for line in octets.split(b"\r\n") if line]


def break_off(place, client, part, way):
    client.send(ENVELOPE)
    for code in (250, 250, 354):
        client.expect(code)
    client.send(part)
    way(client)
    with contextlib.suppress(OSError, ValueError, Closed):
        rest = client.rest()
        if way is not close_without_notify or not client.tls:
            assert b"250" not in replies(rest), f"after {part!r}: {rest!r}"
    client.wait()
    harness.equal(place.everything(), [], f"files after {part!r}")


@harness.table_of({
    "end of file": (False, end_of_file),
    "reset": (False, reset),
    "TLS, end without close_notify": (True, close_without_notify),
    "TLS, close_notify": (True, close_notify),
    "TLS, reset": (True, reset),
})
def test_nothing_is_delivered_at_any_octet(tls, way):
    place = Site(tls="on", pair=harness.pair())
    context = harness.client_context()
    for n in range(len(MESSAGE)):
        client = place.connect()
        client.ehlo()
        if tls:
            client.starttls(context)
            client.ehlo()
        client.tls = tls
        break_off(place, client, MESSAGE[:n], way)
    harness.equal(len(place.records("session")), len(MESSAGE))
    delivered = [r for r in place.records("message") if r.get("outcome") == "delivered"]
    harness.equal(delivered, [])


def test_nothing_is_delivered_at_any_octet_of_the_envelope():
    place = Site()
    for n in range(len(ENVELOPE)):
        client = place.connect()
        client.ehlo()
        client.send(ENVELOPE[:n])
        client.socket.shutdown(socket.SHUT_WR)
        client.rest()
        client.wait()
    harness.equal(place.everything(), [])


def test_the_whole_message_is_delivered_even_if_the_client_is_gone_after_it():
    place = Site()
    client = place.connect()
    client.ehlo()
    client.envelope()
    client.say("DATA", 354)
    client.send(MESSAGE)
    client.socket.shutdown(socket.SHUT_WR)
    harness.contains(client.rest(), b"250 ")
    client.wait()
    harness.check_stored(place.only_message(), b"Subject: x\r\n\r\n.\r\nhi\r\n")


def test_a_client_that_stalls_in_the_message_is_told_and_nothing_is_delivered():
    place = Site(timeout=1)
    client = place.connect()
    client.ehlo()
    client.envelope()
    client.say("DATA", 354)
    client.send(MESSAGE[:-1])
    client.expect(421, "4.4.2")
    client.expect_end()
    client.wait()
    harness.equal(place.everything(), [])


def test_a_session_has_a_deadline_of_its_own():
    place = Site(timeout=10, session_timeout=1)
    client = place.connect()
    client.ehlo()
    client.expect(421, "4.4.2")
    client.expect_end()
    client.wait()


def test_a_client_that_takes_no_replies_is_left_within_the_timeout():
    """RFC 5321 4.5.3.2 for our own writes: a full socket must not hold the process for ever."""
    near, far = socket.socketpair()
    far.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2048)
    place = Site(timeout="1s")
    with far:
        process = harness.start(*place.command(), stdin=far, stdout=far, stderr=subprocess.PIPE,
                                text=True)
    recipients = f"RCPT TO:<{harness.RECIPIENT}>\r\n" * 900
    with near:
        near.sendall(f"EHLO x\r\nMAIL FROM:<a@example.net>\r\n{recipients}".encode())
        told = process.communicate(timeout=harness.PATIENCE)[1]
    harness.contains(told, "end=broken")
    harness.equal(process.returncode, 0)


if __name__ == "__main__":
    harness.main()
