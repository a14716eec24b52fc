#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""milters: the conversation with a filter, its time and its failures. Whatever a filter sends or does not send, at any
octet, costs only its own session and its own message: no message passes a filter that has not judged it unless the
default action says so, no edit is half applied, and nothing of one message reaches the next."""

import contextlib
import os
import signal
import socket
import threading
import time

import filters
import harness
from filters import Filter, frame, listening_with, record, send, site_with
from harness import RECIPIENT, SENDER, Site
from listening import Listening, connections

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


@harness.table_of({"octets of an answer": filters.reply("550 5.7.1 " + "x" * 7500), "progress": frame("p") * 1500})
def test_a_stop_signal_ends_the_wait_between(octets):
    filter_ = Filter(E=filters.slowly(octets, 300))
    site = site_with(filter_.line())
    client = begin(site, "E")
    filter_.wait_for("E")
    client.process.send_signal(signal.SIGTERM)
    harness.contains(str(client.reply()), STOPPED)
    client.expect_end()
    client.wait()


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


@harness.table_of({"now and then": (0.2,), "often": (0.05,), "without a pause": (0,)})
def test_progress_does_not_prolong_the_session(pause):
    def more_time(_, conversation):
        while True:
            conversation.connection.sendall(frame("p"))
            time.sleep(pause)

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



# Answers that nobody asked for


def test_no_answer_to_an_event_without_one_is_a_verdict():
    """In spite of NR_* the filter answers MAIL; what it says about the message comes behind that."""
    filter_ = Filter(steps=filters.SILENT, E=frame("c") + frame("r"))
    site = site_with(filter_.line())
    send(site, MESSAGE, code=451)
    harness.contains(record(site)["delivery_fault"], "answered although it owed no answer")
    harness.equal(site.everything(), [])


def test_an_unasked_answer_in_the_session_is_a_fault():
    filter_ = Filter(steps=filters.NR["C"] | filters.NR["M"], H=frame("c") + frame("c"))
    site = site_with(filter_.line())
    client = site.connect()
    client.ehlo()
    client.say(f"MAIL FROM:<{SENDER}>", 451, "4.3.0")
    client.quit()
    harness.contains(record(site)["delivery_fault"], "answered what was not asked")


LATE = filters.insert(1, "DKIM-Signature", "late") + frame("q", b"late\0") + frame("+", b"<carl@example.org>\0")


def two_messages(site, filter_, between=lambda: None):
    """Two in one session, of which the second has no edits; what is stored of them."""
    client = site.connect()
    client.ehlo()
    harness.equal(client.message(MESSAGE).code, 250)
    between()
    filter_.answers = {}
    harness.equal(client.message(MESSAGE).code, 250)
    client.quit()
    harness.equal(filter_.faults, [])
    harness.equal(len(site.everything()), 2)
    return [path.read_bytes() for path in site.new(site.root / "printer")]


def test_edits_behind_the_verdict_are_dropped_and_recorded():
    """rspamd sends DKIM-Signature behind its `a` where a message also gets the spam header."""
    filter_ = Filter(E=filters.add("X-Spam", "yes") + frame("a") + LATE)
    site = site_with(filter_.line(), maildir="%u", quarantine_mailbox="odd")
    texts = two_messages(site, filter_)
    harness.equal(sorted(b"X-Spam: yes\n" in text for text in texts), [False, True])
    assert not any(b"late" in text for text in texts), texts
    found = [r["filters"] for r in site.records("message")]
    harness.contains(found[0], "accept, 1 edit, 3 edits behind its verdict, ")
    assert "edit" not in found[1], found


def test_edits_that_come_after_the_message_do_not_reach_the_next():
    gate, sent = threading.Event(), threading.Event()

    def later(_, conversation):
        conversation.connection.sendall(frame("a"))
        gate.wait(harness.PATIENCE)
        conversation.connection.sendall(LATE)
        sent.set()

    filter_ = Filter(E=lambda *values: later(*values) or b"")
    site = site_with(filter_.line(), maildir="%u", quarantine_mailbox="odd")
    texts = two_messages(site, filter_, lambda: (gate.set(), sent.wait(harness.PATIENCE)))
    assert not any(b"late" in text for text in texts), texts


@harness.table(answering=(0,), silent=(filters.SILENT,))
def test_a_second_verdict_after_the_message_is_a_fault_of_the_next(steps):
    """Also behind an answer to another event, which a filter that declared NR_* gives, so that it was taken for that:
    nothing tells the two apart, but the next message does not get the second one."""
    gate, sent = threading.Event(), threading.Event()

    def later(_, conversation):
        conversation.connection.sendall(frame("c"))
        gate.wait(harness.PATIENCE)
        conversation.connection.sendall(frame("c"))
        sent.set()
        return b""

    filter_ = Filter(steps=steps, E=later)
    site = site_with(filter_.line())
    client = site.connect()
    client.ehlo()
    harness.equal(client.message(MESSAGE).code, 250)
    gate.set()
    sent.wait(harness.PATIENCE)
    client.say(f"MAIL FROM:<{SENDER}>", 451, "4.3.0")
    client.quit()
    harness.contains(record(site)["delivery_fault"], "answered although it owed no answer")


def test_endless_edits_behind_a_verdict_are_a_fault():
    filter_ = Filter(E=frame("a") + filters.add("X-A", "1") * 1100)
    site = site_with(filter_.line())
    send(site, MESSAGE, code=451)
    harness.contains(record(site)["delivery_fault"], "sends edits behind its verdict")


@harness.table(tempfail=("tempfail", 451), accept=("accept", 250))
def test_an_answer_after_its_time_is_not_read(action, code):
    """There is no second connection: the default action holds to the end of the session."""
    gate = Gate(frame("r"))
    filter_ = Filter(M=gate)
    site = site_with(filter_.line(f"default-action={action}", "command-timeout=1s"))
    client = site.connect()
    client.ehlo()
    client.say(f"MAIL FROM:<{SENDER}>", code)
    gate.open.set()
    client.say("RSET", 250)
    filter_.answers = {}
    client.say(f"MAIL FROM:<{SENDER}>", code)
    client.quit()
    harness.contains(site.records("message")[0]["delivery_fault"], "no answer within 1 s")
    harness.equal(len(filter_.conversations), 1)


# Answers that are not whole, or more than that

FIELDS = {
    "c": b"", "a": b"", "r": b"", "t": b"", "d": b"", "4": b"", "f": b"", "s": b"", "p": b"",
    "y": b"550 5.7.1 no\0", "h": b"X-A\0b\0", "i": b"\0\0\0\1X-A\0b\0", "m": b"\0\0\0\1Subject\0b\0",
    "+": b"<carl@example.org>\0", "2": b"<carl@example.org>\0\0", "-": b"<printer@example.org>\0",
    "e": b"<x@example.net>\0\0", "q": b"odd\0"}
NUMBERS = {"y": 1, "h": 2, "i": 2, "m": 2, "+": 1, "2": 2, "-": 1, "e": 2, "q": 1}  # of strings


def check_wrong(octets, text):
    """A fault, and neither the verdict nor anything else of the answer counts."""
    for action, code in (("tempfail", 451), ("accept", 250)):
        filter_ = Filter(path=harness.scratch() / "filter.sock", E=octets)
        site = site_with(filter_.line(f"default-action={action}", "content-timeout=2s"), maildir="%u",
                         quarantine_mailbox="odd")
        send(site, MESSAGE, code)
        harness.contains(record(site)["delivery_fault"], text)
        if code == 250:
            harness.check_stored(site.new(site.root / "printer")[0], MESSAGE)
        harness.equal(len(site.everything()), code == 250)


@harness.table_of({command: (command,) for command in FIELDS})
def test_octets_behind_the_fields_of_an_answer_are_a_fault(command):
    text = "sent a command that is not for this event" if command == "s" else "sent a command with wrong data"
    check_wrong(frame(command, FIELDS[command] + b"x\0y") + frame("c"), text)


@harness.table_of({command: (command,) for command in NUMBERS})
def test_an_answer_whose_last_string_has_no_end_is_a_fault(command):
    check_wrong(frame(command, FIELDS[command][:-1] + b"x") + frame("c"), "sent a command with wrong data")


# Replies in a filter's own words


def own_reply(text, **settings):
    site = site_with(Filter(E=filters.reply(text)).line(), **settings)
    client = site.connect()
    client.ehlo()
    reply = client.message(MESSAGE)
    client.quit()
    return reply, site


def test_a_reply_of_several_lines_has_several():
    reply, site = own_reply("550-5.7.1 one\r\n550-5.7.1 two %%\r\n550 5.7.1 three")
    harness.equal(reply.lines, ["550-5.7.1 one", "550-5.7.1 two %", "550 5.7.1 three"])
    harness.equal(record(site)["reason"], "550 5.7.1 one two % three")
    harness.equal(site.everything(), [])


def test_each_recipient_of_lmtp_gets_all_lines():
    filter_ = Filter(E=filters.reply("451-4.7.1 one\r\n451 4.7.1 two"))
    site = site_with(filter_.line(), maildir="%u")
    site.arguments = ["--lmtp"]
    client = site.connect()
    client.lhlo()
    replies = [client.message(MESSAGE, recipients=("alice@example.org", "bob@example.org")), client.reply()]
    for reply in replies:
        harness.equal(reply.lines, ["451-4.7.1 one", "451 4.7.1 two"])


@harness.table_of({name: (text, found) for name, text, found in (
    ("percent", "550 5.7.1 100% %s%n %% %%%%", "550 5.7.1 100% %s%n % %%"),
    ("octets", "550 5.7.1 a\tb\x7f\u00e9", "550 5.7.1 a\\x09b\\x7F\\xC3\\xA9"),
    ("no_text", "550 5.7.1", "550 5.7.1 Command rejected"),
    ("code_alone", "450", "451 4.7.1 Service unavailable - try again later"),
    ("no_enhanced_code", "554 go away", "554 go away"))})
def test_a_reply_is_sent_as_it_is_meant(text, found):
    reply, site = own_reply(text)
    harness.equal(reply.lines, [found])
    harness.equal(record(site)["reason"], found)


def test_a_reply_that_is_too_long_is_cut():
    reply, site = own_reply("550 5.7.1 " + "x" * 2000)
    assert 300 < len(reply.lines[0]) <= 510 and reply.lines[0].endswith("x..."), reply
    harness.equal(record(site)["reason"], reply.lines[0])


def test_a_reply_of_too_many_octets_loses_its_last_lines():
    reply, site = own_reply("\r\n".join(f"550-5.7.1 {n} {'x' * 900}" for n in range(32)))
    assert 2 <= len(reply.lines) < 32, reply
    assert all(len(line) <= 510 for line in reply.lines), reply
    assert record(site)["reason"].startswith("550 5.7.1 0 xxx"), record(site)


def test_a_reply_of_33_lines_is_a_fault():
    reply, site = own_reply("\r\n".join(["550 5.7.1 x"] * 33))
    harness.equal(reply.code, 451)
    harness.contains(record(site)["delivery_fault"], "sent a reply of more than 32 lines")


@harness.table(recipient="R", verdict="E")
def test_a_reply_421_ends_the_session_in_its_own_words(event):
    filter_ = Filter(**{event: filters.reply("421 4.7.0 come back tomorrow")})
    site = site_with(filter_.line())
    client = begin(site, event)
    harness.equal(str(client.reply()), "421 4.7.0 come back tomorrow")
    client.expect_end()
    client.wait()
    harness.equal(site.session()["end"], "filter")
    harness.equal(site.everything(), [])


def test_a_header_that_filters_cannot_be_shown_has_its_own_reply():
    site = site_with(Filter().line("default-action=accept"))
    reply = send(site, b"X: " + b"a" * 1100000 + b"\r\n" + MESSAGE, 552)
    harness.contains(str(reply), "552 5.3.4 Header too big for the filters here")


# What a filter cannot be reached by, and cannot see

ACTIONS = harness.table(tempfail=("tempfail", 451), reject=("reject", 550), shutdown=("shutdown", 421),
                        accept=("accept", 250), quarantine=("quarantine", 250))


@contextlib.contextmanager
def full_socket():
    """A socket for a filter that accepts nothing, and its path."""
    path = harness.scratch() / "filter.sock"
    listening = socket.socket(socket.AF_UNIX)
    with contextlib.ExitStack() as waiting:
        listening.bind(str(path))
        listening.listen(0)
        path.chmod(0o777)
        with contextlib.suppress(BlockingIOError):
            while True:
                one = waiting.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK))
                one.connect(str(path))
        yield listening, path


@harness.table(alone=(Site,), listening=(Listening,))
def test_a_full_queue_has_the_time_to_connect(kind):
    """Longer than that of a look-up of the client's name."""
    filter_ = Filter()
    with full_socket() as (listening, path):
        place = filters.with_file(kind(), [f"unix:{path}\n"])
        client = place.listen().client(greeting=False) if kind is Listening else place.connect(greeting=False)
        time.sleep(2.5)
        filter_.close()
        filter_.listening = listening
        thread = threading.Thread(target=filter_._accept, daemon=True)  # pylint: disable=protected-access
        thread.start()
        client.expect(220)
        client.ehlo()
        harness.equal(client.message(MESSAGE).code, 250, place.log_text())
        client.quit()
        harness.stop_accepting(listening, thread)


@ACTIONS
def test_a_socket_whose_queue_is_full(action, code):
    """connect(2) fails at once, and again until the time is over."""
    with full_socket() as (_, path):
        site = site_with(f"unix:{path} connect-timeout=1s default-action={action}\n", quarantine_mailbox="odd")
        client = site.connect()
        client.ehlo()
        client.say(f"MAIL FROM:<{SENDER}>", code)
        if code == 250:
            client.say("RSET", 250)
            harness.equal(client.message(MESSAGE).code, 250)
        client.quit() if code != 421 else client.expect_end()
    harness.contains(site.records("message")[0]["delivery_fault"], "too many connections wait there")
    harness.equal(len(site.everything()), code == 250)
    harness.equal(len(site.new(site.root / "odd")), action == "quarantine")


@harness.table(alone=(site_with,), listening=(lambda line: filters.with_file(Listening(), [line]).listen(),))
def test_a_socket_whose_queue_is_full_for_a_moment(make):
    filter_ = Filter(path=harness.scratch() / "other.sock", E=filters.reply("550 5.7.1 not that"))
    with full_socket() as (listening, path):
        site = make(f"unix:{path} default-action=accept\n")

        def accept():
            time.sleep(0.2)
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=filters.Conversation(filter_, listening.accept()[0]).run, daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        harness.at_end(harness.stop_accepting, listening, thread)
        client = site.client() if isinstance(site, Listening) else site.connect()
        client.ehlo()
        harness.contains(str(client.message(MESSAGE)), "not that")
        client.quit()
        assert "delivery_fault" not in site.records("message")[0]


def test_a_field_that_is_cut_for_filters_is_stored_whole_and_recorded():
    filter_ = Filter()
    site = site_with(filter_.line())
    data = b"X-Big: " + b"a" * 70000 + b"\r\n" + MESSAGE
    send(site, data)
    harness.check_stored(site.only_message(), data)
    harness.equal(len(filter_.got("L")[0]), 65535)
    harness.contains(record(site)["filters"], "continue, saw fields cut at 64 KiB, ")


def test_a_field_with_nul_is_stored_as_it_is_and_recorded():
    filter_ = Filter()
    site = site_with(filter_.line())
    data = b"X-Nul: a\0b\0\r\n" + MESSAGE
    send(site, data)
    harness.check_stored(site.only_message(), data)
    harness.equal(filter_.got("L")[0], b"X-Nul\0a?b?\0")
    harness.contains(record(site)["filters"], "continue, saw ? for NUL, ")


def test_sixteen_filters_are_asked_and_seventeen_are_a_fault():
    many = [Filter(path=harness.scratch() / "filter.sock") for _ in range(17)]
    site = site_with(*(filter_.line() for filter_ in many[:16]))
    send(site, MESSAGE)
    assert all("E" in filter_.events() for filter_ in many[:16])
    site = site_with(*(filter_.line() for filter_ in many))
    client = site.connect(greeting=False)
    client.expect(421)
    client.wait()
    done = harness.run(*site.command(), "--check")
    harness.contains(done.stdout, f"{site.dir}/milters:17: {many[16].address}: there are more than 16 filters")


if __name__ == "__main__":
    harness.main()
