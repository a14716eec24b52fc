#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""milters: the conversation with a filter, its time and its failures. Whatever a filter sends or does not send, at any
octet, costs only its own session and its own message: no message passes a filter that has not judged it unless the
default action says so, no edit is half applied, and nothing of one message reaches the next."""

import os
import signal
import threading
import time

import harness
from filters import Filter, frame, listening_with, record, send, site_with
from harness import RECIPIENT, SENDER
from listening import connections

MESSAGE = b"Subject: a message\r\n\r\none\r\ntwo\r\n"
STOPPED = "421 4.3.2 Shutting down"
WAITS = harness.table_of({event: (event,) for event in "OCHMRTLNBE"})


def begin(place, stopped_at):
    """A session up to the event at which the filter does not answer; what is left of it."""
    client = place.connect() if not hasattr(place, "process") else place.client()
    client.ehlo()
    commands = {"M": f"MAIL FROM:<{SENDER}>", "R": f"RCPT TO:<{RECIPIENT}>", "T": "DATA"}
    for event, command in commands.items():
        client.send(command + "\r\n")
        if event == stopped_at or (event == "M" and stopped_at in "OCH"):
            return client
        client.expect(354 if event == "T" else 250)
    client.send(MESSAGE + b".\r\n")
    return client


# The end of the session while a filter is waited for


@WAITS
def test_a_stop_signal_ends_the_wait_for_a_filter(event):
    """Whatever the default action is: no filter has judged the message."""
    filter_ = Filter(**{event: b""})
    site = site_with(filter_.line("default-action=accept"))
    client = begin(site, event)
    filter_.wait_for(event)
    client.process.send_signal(signal.SIGTERM)
    harness.contains(str(client.reply()), STOPPED)
    client.expect_end()
    client.wait()
    harness.equal(site.everything(), [])
    harness.equal(site.session()["end"], "shutdown")
    found = record(site)
    harness.equal(found["outcome"], "refused")
    harness.contains(found["reason"], STOPPED)
    harness.contains(found["filters"], f"{filter_.address}: interrupted, ")
    assert "delivery_fault" not in found and not site.records("error"), found


@harness.table(sandbox="yes", no_sandbox="no")
def test_a_stop_signal_ends_the_wait_in_a_process_of_a_listener(sandbox):
    filter_ = Filter(E=b"")
    here = listening_with(filter_, "default-action=quarantine", sandbox=sandbox, quarantine_mailbox="odd")
    client = begin(here, "E")
    filter_.wait_for("E")
    os.kill(connections(here)[0], signal.SIGTERM)
    harness.contains(str(client.reply()), STOPPED)
    client.expect_end()
    client.close()
    harness.equal(here.session()["end"], "shutdown")
    harness.equal(here.everything(), [])
    harness.contains(record(here)["filters"], ": interrupted, ")


@harness.table(recipient="R", verdict="E")
def test_the_session_s_time_ends_the_wait_for_a_filter(event):
    filter_ = Filter(**{event: b""})
    site = site_with(filter_.line("default-action=accept"), session_timeout=3)
    client = begin(site, event)
    harness.contains(str(client.reply()), "421 4.4.2 Session too long")
    client.expect_end()
    client.wait()
    harness.equal(site.everything(), [])
    harness.equal(site.session()["end"], "session-timeout")
    harness.equal(record(site)["outcome"], "refused")
    harness.contains(record(site)["filters"], ": interrupted, ")


def test_progress_does_not_prolong_the_session():
    def more_time(_, conversation):
        while True:
            conversation.connection.sendall(frame("p"))
            time.sleep(0.2)

    filter_ = Filter(E=more_time)
    site = site_with(filter_.line("default-action=accept"), session_timeout=3)
    client = begin(site, "E")
    harness.contains(str(client.reply()), "421 4.4.2 Session too long")
    client.wait()
    harness.equal(site.everything(), [])


def test_each_recipient_gets_the_reply_of_a_stop_in_lmtp():
    filter_ = Filter(E=b"")
    site = site_with(filter_.line(), maildir="%u")
    site.arguments = ["--lmtp"]
    client = site.connect()
    client.lhlo()
    client.envelope(recipients=("alice@example.org", "bob@example.org"))
    client.say("DATA", 354)
    client.send(MESSAGE + b".\r\n")
    filter_.wait_for("E")
    client.process.send_signal(signal.SIGTERM)
    for _ in range(2):
        harness.contains(str(client.reply()), STOPPED)
    client.expect_end()
    client.wait()
    harness.equal(site.everything(), [])


# A client that leaves meanwhile


class Gate:
    """An answer that is given when the test says so."""

    def __init__(self, octets):
        self.octets, self.open = octets, threading.Event()

    def __call__(self, *_):
        self.open.wait(harness.PATIENCE)
        return self.octets


LEAVES = harness.table(end=("close",), reset=("reset",))


@LEAVES
def test_a_whole_message_is_delivered_though_its_client_has_left(how):
    """As without a filter, and as Postfix does: the client may have seen no reply, and then sends it again."""
    gate = Gate(frame("c"))
    filter_ = Filter(E=gate)
    site = site_with(filter_.line())
    client = begin(site, "E")
    filter_.wait_for("E")
    getattr(client, how)()
    gate.open.set()
    client.process.wait(harness.PATIENCE)
    harness.check_stored(site.only_message(), MESSAGE)
    harness.equal(record(site)["outcome"], "delivered")
    harness.equal(filter_.events()[-2:], "AQ")


@harness.table_of({f"{event}_{how}": (event, how) for event in "MRT" for how in ("close", "reset")})
def test_nothing_is_delivered_of_a_client_that_has_left_before(event, how):
    """What it sent ahead of the answers counts as ever: here a message without its end."""
    gate = Gate(frame("c"))
    filter_ = Filter(**{event: gate})
    site = site_with(filter_.line())
    client = site.connect()
    client.ehlo()
    client.send(f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<{RECIPIENT}>\r\nDATA\r\n".encode() + MESSAGE)
    filter_.wait_for(event)
    getattr(client, how)()
    gate.open.set()
    client.process.wait(harness.PATIENCE)
    harness.equal(site.everything(), [])
    assert site.session()["end"] in ("eof", "broken"), site.session()
    assert "E" not in filter_.events(), filter_.events()


def test_a_filter_that_stalls_holds_up_its_own_connection_alone():
    stalled = []

    def stall_once(*_):
        stalled.append(1)
        return b"" if len(stalled) == 1 else frame("c")

    filter_ = Filter(E=stall_once)
    here = listening_with(filter_)
    first = begin(here, "E")
    filter_.wait_for("E")
    for _ in range(3):
        second = here.client()
        second.ehlo()
        harness.equal(second.message(MESSAGE).code, 250)
        second.quit()
    first.reset()
    harness.equal(len(here.new()), 3)


if __name__ == "__main__":
    harness.main()
