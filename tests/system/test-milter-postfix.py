#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""The same scripted filter at postern and at Debian's Postfix: both show it the same message, give the same replies and
store the same, but for the trace headers of their own. Where postern differs on purpose, DIFFERENCES says so with the
reason."""

import re

import filters
import harness
from filters import Filter, frame
from harness import SENDER
from peers import Ours, Peer, address

OWN = "Received: (of the server)"
TRACE = ("return-path", "x-original-to", "delivered-to")
MESSAGE = b"""\
From: <sender@client.example.net>\r
To: <alice@example.org>\r
X-A: one\r
Subject: a message\r
X-A: two\r
 and more\r
X-A:\tthree\r
X-None:four\r
X-Wide:   five \r
Date: Tue, 01 Jul 2025 12:00:00 +0000\r
Message-ID: <1@client.example.net>\r
\r
one\r
.two\r
\r
caf\xc3\xa9\r
"""
ODD = b"From: <a@example.net>\r\nSubject : odd\r\nX-A:\r\nX-C: \r\nX-D:\r\n folded\r\n\r\nbody\r\n"
NO_SEPARATOR = b"From: <a@example.net>\r\nSubject: a\r\nno field\r\nbody\r\n"
# PGP/MIME: a signature covers the part as it is, and readers find it by the MIME fields in the middle of the header.
SIGNED = b"""\
From: <sender@client.example.net>\r
MIME-Version: 1.0\r
Content-Type: multipart/signed; micalg=pgp-sha256;\r
\tprotocol="application/pgp-signature"; boundary="b"\r
Subject: signed\r
X-Behind: MIME\r
\r
--b\r
Content-Type: text/plain\r
\r
signed \r
\r
--b\r
Content-Type: application/pgp-signature\r
\r
-----BEGIN PGP SIGNATURE-----\r
--b--\r
"""


the_peer = harness.once(Peer)


class Case:
    """What a filter does about one message, and the envelope of that."""

    def __init__(self, sender=SENDER, recipients=("alice",), data=MESSAGE, **options):
        self.sender, self.recipients, self.data, self.options = sender, recipients, data, options

    def filter_at(self, path):
        path.unlink(missing_ok=True)
        return Filter(path=path, **self.options)


def shown(reply):
    return str(reply) if reply.code >= 400 else reply.code


def send(client, case):
    """The replies to one message, by what they answer; and the last one."""
    said = {}

    def say(name, command):
        client.send(command + "\r\n")
        reply = client.reply()
        said[name] = shown(reply)
        return reply.code < 400

    greeting = client.reply()
    said["greeting"] = shown(greeting)
    accepted = greeting.code == 220 and say("helo", "EHLO client.example.net")
    if accepted:
        accepted = say("mail", f"MAIL FROM:<{case.sender}>")
    if accepted:
        accepted = any([say(f"rcpt {name}", f"RCPT TO:<{address(name)}>") for name in case.recipients])
    if not accepted or not say("data", "DATA"):
        return said, None
    last = client.content(case.data)
    said["end"] = shown(last)
    return said, last


def normal(octets):
    """Return-Path, and the message with the server's own Received marked and its other fields left out."""
    head, separator, body = octets.decode("utf-8", "surrogateescape").partition("\n\n")
    fields, sender = re.split(r"\n(?![ \t])", head), None
    kept = []
    for field in fields:
        name = field.split(":")[0].lower()
        if name == "return-path" and sender is None:
            sender = field
        elif re.match(r"Received: [^;]*\bby (relay\.example\.net|" + re.escape(harness.HOST) + r") ", field):
            kept.append(OWN)
        elif name not in TRACE:
            kept.append(field)
    return sender, "\n".join(kept) + separator + body


def seen(filter_):
    """The events that the filter got, pieces of a body as one, and the data of those that have any."""
    events = re.sub(r"([AB])\1+", r"\1", filter_.events())  # Postfix aborts twice
    found = {command: filter_.got(command) for command in "HMRL"}
    found["B"] = b"".join(filter_.got("B"))
    harness.equal(filter_.faults, [])
    return {"events": events, **found}


def outcome(server, filter_, case):
    client = server.connect()
    before = set(server.new())
    said, last = send(client, case)
    if not any(str(reply).startswith("421") for reply in said.values()):
        client.quit()
    found = {"replies": said, "outcome": "refused", "boxes": {}, **seen(filter_)}
    if last is not None and last.code < 400:
        found["outcome"] = server.settle(last)
    for path in set(server.new()) - before:
        found["boxes"][path.parent.parent.name] = normal(path.read_bytes())
    return found


def both(case):
    """What becomes of the message here and there."""
    filter_ = case.filter_at(harness.scratch() / "filter.sock")
    ours = outcome(Ours(filter_), filter_, case)
    peer = the_peer()
    theirs = outcome(peer, case.filter_at(peer.socket), case)
    return ours, theirs


def at_end(*edits, verdict="c", **options):
    return Case(E=b"".join(edits) + frame(verdict), **options)


def path_frame(command, path):
    return frame(command, path.encode() + b"\0")


SPACE = {"steps": filters.HEADER_LEADING_SPACE}
TWO = ("alice", "bob")

EDITS = {
    "nothing": at_end(),
    "accepted": at_end(verdict="a"),
    "added": at_end(filters.add("X-B", "1")),
    "added_twice": at_end(filters.add("X-B", "1"), filters.add("X-B", "2")),
    "added_empty": at_end(filters.add("X-B", "")),
    "added_lines": at_end(filters.add("X-B", "1\n 2\n\t3")),
    "added_lines_crlf": at_end(filters.add("X-B", "1\r\n\t2")),
    "inserted_0": at_end(filters.insert(0, "X-B", "1")),
    "inserted_1": at_end(filters.insert(1, "X-B", "1")),
    "inserted_2": at_end(filters.insert(2, "X-B", "1")),
    "inserted_5": at_end(filters.insert(5, "X-B", "1")),
    "inserted_far": at_end(filters.insert(99, "X-B", "1")),
    "inserted_0_0": at_end(filters.insert(0, "X-B", "1"), filters.insert(0, "X-B", "2")),
    "inserted_0_1": at_end(filters.insert(0, "X-B", "1"), filters.insert(1, "X-B", "2")),
    "inserted_1_1": at_end(filters.insert(1, "X-B", "1"), filters.insert(1, "X-B", "2")),
    "inserted_lines": at_end(filters.insert(1, "X-B", "1\n 2")),
    "changed_first": at_end(filters.change(1, "X-A", "new")),
    "changed_0": at_end(filters.change(0, "X-A", "new")),
    "changed_second": at_end(filters.change(2, "X-A", "new")),
    "changed_case": at_end(filters.change(1, "x-a", "new")),
    "changed_absent": at_end(filters.change(1, "X-B", "new")),
    "changed_fourth_of_three": at_end(filters.change(4, "X-A", "new")),
    "changed_lines": at_end(filters.change(1, "X-A", "new\n\tline")),
    "deleted_first": at_end(filters.change(1, "X-A", "")),
    "deleted_second": at_end(filters.change(2, "X-A", "")),
    "deleted_absent": at_end(filters.change(1, "X-B", "")),
    "deleted_all": at_end(*[filters.change(1, "X-A", "")] * 3),
    "deleted_from_the_last": at_end(*[filters.change(n, "X-A", "") for n in (3, 2, 1)]),
    "deleted_received": at_end(filters.change(1, "Received", "")),
    "changed_an_added_one": at_end(filters.add("X-B", "1"), filters.change(1, "X-B", "2")),
    "changed_an_inserted_one": at_end(filters.insert(1, "X-A", "zero"), filters.change(1, "X-A", "new")),
    "leading_space": at_end(**SPACE),
    "leading_space_added": at_end(filters.add("X-B", "\t1"), filters.add("X-C", "2"), filters.add("X-D", "  3"), **SPACE),
    "leading_space_inserted": at_end(filters.insert(1, "X-B", "1"), filters.insert(1, "X-C", " 2"), **SPACE),
    "leading_space_changed": at_end(filters.change(1, "X-A", "new"), filters.change(2, "X-A", " new"), **SPACE),
    "leading_blank_without": at_end(filters.add("X-B", " 1"), filters.change(1, "X-A", "\tnew")),
    "body": at_end(frame("b", b"new\r\n")),
    "body_in_three": at_end(*[frame("b", piece) for piece in (b"one\r", b"\n.two\r\n..", b"\r\nlast\r\n")]),
    "body_without_an_end": at_end(frame("b", b"new")),
    "body_empty": at_end(frame("b", b"")),
    "body_and_fields": at_end(filters.add("X-B", "1"), frame("b", b"new\r\n"), filters.change(1, "X-A", "")),
    "only_a_header": at_end(data=MESSAGE.split(b"\r\n\r\n", maxsplit=1)[0] + b"\r\n"),
    "only_a_header_added": at_end(filters.add("X-B", "1"), data=MESSAGE.split(b"\r\n\r\n", maxsplit=1)[0] + b"\r\n"),
    "only_a_header_body": at_end(frame("b", b"new\r\n"), data=MESSAGE.split(b"\r\n\r\n", maxsplit=1)[0] + b"\r\n"),
    "field_with_blanks_before_its_colon": at_end(filters.change(1, "Subject", "new"), data=ODD),
    "field_with_blanks_deleted": at_end(filters.change(1, "Subject", ""), data=ODD),
    "header_that_the_body_ends": at_end(data=NO_SEPARATOR),
    "header_that_the_body_ends_added": at_end(filters.add("X-B", "1"), data=NO_SEPARATOR),
    "header_that_the_body_ends_body": at_end(frame("b", b"new\r\n"), data=NO_SEPARATOR),
    "signed": at_end(data=SIGNED),
    "signed_added": at_end(filters.add("X-B", "1"), data=SIGNED),
    "signed_inserted": at_end(filters.insert(1, "X-B", "1"), data=SIGNED),
    "large": at_end(data=MESSAGE + (b"y" * 70 + b"\r\n") * 4000),
    "no_header_added": at_end(filters.add("X-B", "1"), data=b"\r\nbody\r\n"),
    "recipient_added": at_end(path_frame("+", f"<{address('carl')}>")),
    "recipient_added_bare": at_end(path_frame("+", address("carl"))),
    "recipient_added_with_parameters": at_end(frame("2", f"<{address('carl')}>\0NOTIFY=NEVER\0".encode())),
    "recipient_added_that_is_one": at_end(path_frame("+", f"<{address('alice')}>")),
    "recipient_added_twice": at_end(*[path_frame("+", f"<{address('carl')}>")] * 2),
    "recipient_removed": at_end(path_frame("-", f"<{address('bob')}>"), recipients=TWO),
    "recipient_added_and_removed": at_end(path_frame("+", f"<{address('carl')}>"),
                                          path_frame("-", f"<{address('carl')}>")),
    "recipient_removed_added_and_removed": at_end(path_frame("-", f"<{address('bob')}>"),
                                                  path_frame("+", f"<{address('bob')}>"),
                                                  path_frame("-", f"<{address('bob')}>"), recipients=TWO),
    "recipient_added_that_is_one_and_removed": at_end(path_frame("+", f"<{address('alice')}>"),
                                                      path_frame("-", address("alice")), recipients=TWO),
    "recipient_removed_bare": at_end(path_frame("-", address("bob")), recipients=TWO),
    "recipient_removed_that_the_client_quoted": at_end(path_frame("-", f"<{address('alice')}>"),
                                                       recipients=('"alice"', "bob")),
    "recipient_removed_in_quotes": at_end(path_frame("-", "<" + address('"alice"') + ">"), recipients=TWO),
    "recipient_removed_that_is_none": at_end(path_frame("-", f"<{address('carl')}>"), recipients=TWO),
    "recipient_replaced": at_end(path_frame("-", f"<{address('alice')}>"), path_frame("+", f"<{address('carl')}>")),
    "recipient_replaced_by_itself": at_end(path_frame("-", f"<{address('alice')}>"),
                                           path_frame("+", f"<{address('alice')}>")),
    "sender_changed": at_end(path_frame("e", "<other@client.example.net>")),
    "sender_changed_bare": at_end(path_frame("e", "other@client.example.net")),
    "sender_changed_to_none": at_end(path_frame("e", "<>")),
    "sender_changed_with_parameters": at_end(frame("e", b"<other@client.example.net>\0SIZE=1\0")),
    "quarantine": at_end(path_frame("q", "odd")),
    "quarantine_and_refusal": Case(E=path_frame("q", "odd") + frame("r")),
}
LINES = filters.reply("550-5.7.9 one\r\n550 5.7.9 two")
VERDICTS = {"reject": frame("r"), "tempfail": frame("t"), "reply": filters.reply("554 5.7.9 not %% wanted"),
            "reply_bare": filters.reply("550 not wanted"), "reply_later": filters.reply("451 4.7.9 later"),
            "discard": frame("d"), "accept": frame("a"), "shutdown": frame("4")}
EVENTS = {"connect": "C", "helo": "H", "mail": "M", "rcpt": "R", "data": "T", "field": "L", "end_of_header": "N",
          "body": "B", "end": "E"}
CASES = {**{f"edit {name}": case for name, case in EDITS.items()},
         **{f"{verdict} at {event}": Case(**{command: answer}) for verdict, answer in VERDICTS.items()
            for event, command in EVENTS.items() if not (verdict == "discard" and command in "CH")},
         "lines at rcpt": Case(R=LINES), "lines at end": Case(E=LINES)}


def without_cr(boxes):
    return {name: (sender, text.replace("\r\n", "\n")) for name, (sender, text) in boxes.items()}


def answered_to_mail(text):
    """In place of the greeting that Postfix refuses with."""
    return lambda _: {"greeting": 220, "helo": 250, "mail": text}


def without_the_end(events):
    return events.rstrip("AQ")


NOTHING_BEFORE_MAIL = "nothing is sent to a filter before the first MAIL, which gets the verdict on the connection"

UNCHANGED = "what no filter has changed is stored octet for octet"
OWN_TEXT = "421 has the text of postern's own table"
LOST = "Postfix 3.7 answers 250 to a message whose filter shuts down at its content, and drops it"
SESSION_ENDS = "421 4.7.0 Service unavailable; closing connection"


def without_separator(boxes):
    return {name: (sender, text.replace("\n\n", "\n")) for name, (sender, text) in boxes.items()}


# What postern does otherwise, made of what Postfix does, and why.
DIFFERENCES = {
    "edit added_lines_crlf": [("a stored message has LF ends everywhere", "boxes", without_cr)],
    "edit header_that_the_body_ends": [(UNCHANGED, "boxes", without_separator)],
    "reject at connect": [(NOTHING_BEFORE_MAIL, "replies", answered_to_mail("550 5.7.1 Command rejected"))],
    "reply at connect": [(NOTHING_BEFORE_MAIL, "replies", answered_to_mail("554 5.7.9 not % wanted"))],
    "reply_bare at connect": [(NOTHING_BEFORE_MAIL, "replies", answered_to_mail("550 not wanted"))],
}
def shutdown_at(event, answer):
    """The session ends with the reply to that."""
    replies = ["greeting", "helo", "mail", "rcpt alice", "data", "end"]
    said = {**dict(zip(replies, (220, 250, 250, 250, 354))), answer: SESSION_ENDS}
    said = {what: said[what] for what in replies[:replies.index(answer) + 1]}
    if answer == "end":
        return [(LOST, "replies", lambda _: said), (LOST, "outcome", {"lost": "refused"}.get)]
    return [(NOTHING_BEFORE_MAIL if event == "connect" else OWN_TEXT, "replies", lambda _: said)]


ANSWERED = {"connect": "mail", "helo": "mail", "mail": "mail", "rcpt": "rcpt alice", "data": "data"}
DIFFERENCES.update({f"shutdown at {event}": shutdown_at(event, ANSWERED.get(event, "end")) for event in EVENTS})


def expected(name, theirs):
    for _, key, change in DIFFERENCES.get(name, ()):
        assert change(theirs[key]) != theirs[key], f"{name}: Postfix does the same as postern"
        theirs = {**theirs, key: change(theirs[key])}
    return theirs


@harness.table_of({name: (name,) for name in CASES})
def test_a_filter_has_the_same_effect(name):
    ours, theirs = both(CASES[name])
    if name.endswith((" at connect", " at helo")) or name.startswith("shutdown"):
        # Postfix closes the connection to a filter that has decided on the session, postern sends it A and Q first
        ours["events"], theirs["events"] = without_the_end(ours["events"]), without_the_end(theirs["events"])
    theirs = expected(name, theirs)
    differing = {key: (ours[key], theirs[key]) for key in ours if ours[key] != theirs[key]}
    harness.equal(differing, {})


if __name__ == "__main__":
    harness.main()
