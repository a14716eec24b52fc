#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""milters: filters that are broken or hostile. A filter may end at every event, send every octet by itself, stop in the
middle, or send what is no answer: the default action of its line decides, no edit is half applied, and nothing of one
message reaches the next. PITFALLS names the test of each fault that receivers and filters are known for."""

import re
import struct

import filters
import harness
from filters import Filter, frame, record, send, site_with
from harness import RECIPIENT, SENDER

MESSAGE = b"Subject: a message\r\nX-Other: b\r\n\r\none\r\ntwo\r\n"
ACTIONS = {"tempfail": 451, "reject": 550, "shutdown": 421, "accept": 250, "quarantine": 250}
EVENTS = "OCHMRTLNBE"

# What is known to go wrong between receivers and filters, and the test that it does not here. "unit" tests are those of
# tests/unit/test-milter-*.c
PITFALLS = {
    "version 2 in the offer": ("unit-terms", "the_offer_is_version_6_in_exactly_twelve_octets"),
    "a filter answers a lower version": ("milter", "lower_versions"),
    "NR_* that were not offered": ("unit-terms", "options_that_were_not_offered_are_ignored"),
    "steps above those that were offered": ("milter-faults", "steps_that_were_not_offered_are_ignored"),
    "an answer in spite of NR_*": ("milter-conversation", "no_answer_to_an_event_without_one_is_a_verdict"),
    "CRLF at the end of a value": ("milter", "what_a_filter_sees_is_what_is_stored"),
    "the header again in the first piece of the body": ("milter", "a_large_body_comes_in_pieces"),
    "white space behind the colon": ("unit-events", "a_field_goes_without_its_line_end_and_with_lf_inside"),
    "white space that a filter sends": ("unit-edits", "with_leading_space_a_value_brings_its_own"),
    "a changed field is our own Received": ("milter", "an_edit_of_the_header"),
    "inserted at 0 and at 1": ("milter", "index_0_is_above_received_and_below_return_path"),
    "fields behind those of MIME": ("milter", "fields_behind_mime_fields_stay_where_they_are"),
    "no A after a message": ("milter", "a_refusal_at_the_end_of_the_message"),
    "no A after RSET": ("milter", "rset_aborts_at_the_filter"),
    "CONNECT again": ("milter", "helo_comes_again_after_starttls"),
    "a verdict on a recipient taken for one on the message": ("milter", "a_recipient_is_refused_alone"),
    "a quarantine taken for a verdict": ("milter", "a_quarantine_is_no_verdict_and_has_its_own_mailbox"),
    "a quarantine in front of a reply": ("milter", "a_quarantine_behind_which_a_refusal_comes_refuses"),
    "macros with odd parts": ("milter-faults", "macros_come_in_pairs"),
    "IPv6 with a prefix or a zone": ("unit-events", "connect_has_a_family_a_port_and_plain_text"),
    "no id of the queue at MAIL": ("milter", "the_events_have_their_data_and_macros"),
    "skip taken for no end": ("milter", "skip_ends_the_body_but_not_the_message"),
    "NOBODY taken for no end": ("milter-faults", "an_event_that_is_not_wanted_is_left_out_alone"),
    "NOHDRS taken for no end of the header": ("milter-faults", "an_event_that_is_not_wanted_is_left_out_alone"),
    "the second filter gets the original": ("milter", "the_second_filter_gets_the_message_as_the_first_left_it"),
    "a reply with NUL, a lone LF, two codes": ("milter-faults", "a_reply_that_is_none_is_a_fault"),
    "a reply with %": ("milter-conversation", "a_reply_is_sent_as_it_is_meant"),
    "state after a refusal by another filter": ("milter-faults", "a_refusal_by_another_filter_leaves_nothing"),
    "the connection is lost in the body, with accept": ("milter-faults", "edits_that_are_cut_anywhere_change_nothing"),
    "one error holds for the session, and is recorded": ("milter-conversation", "an_answer_after_its_time_is_not_read"),
    "a filter that dies of one message": (
        "milter-records", "a_filter_that_dies_of_a_message_is_recorded_with_the_event"),
    "time for the content without progress": ("milter-faults", "the_time_for_the_content_ends"),
    "progress": ("milter", "progress_restarts_the_clock"),
    "an answer in spite of NR_* that comes late": (
        "milter-conversation", "a_second_verdict_after_the_message_is_a_fault_of_the_next"),
    "no right to the socket": ("milter-faults", "a_socket_without_its_right_is_named"),
    "the group of the socket": ("milter-units", "a_drop_in_with_the_group_opens_a_unix_socket"),
    "no socket at the path": ("milter", "the_default_action_where_a_filter_cannot_be_reached"),
    "EHLO again": ("milter-wire", "a_filter_gets_the_same_octets"),
    "other spellings of inet": ("milter", "a_wrong_file_is_a_fault_and_no_mail_is_taken"),
    "HTTP at the other end": ("milter", "check_finds_what_is_no_filter"),
}


# What hostile and broken filters do, and the test of each.
BAD_INPUT = {
    "anything at any time": ("milter-faults", "any_octet_may_come_as_a_command_at_any_event"),
    "an answer cut at every octet": ("milter-faults", "an_answer_that_is_cut_at_any_octet_is_none"),
    "every octet alone": ("milter-faults", "answers_that_come_octet_by_octet_are_the_same"),
    "its end at every event": ("milter-faults", "a_filter_that_ends_anywhere_costs_its_default_action"),
    "a stall": ("milter-faults", "a_filter_that_stalls_costs_its_default_action"),
    "a stall of one connection": ("milter-conversation", "a_filter_that_stalls_holds_up_its_own_connection_alone"),
    "wrong lengths": ("milter-faults", "a_wrong_length_is_a_fault_at_once"),
    "octets behind the fields": ("milter-conversation", "octets_behind_the_fields_of_an_answer_are_a_fault"),
    "NULs, and mixed codes": ("milter-faults", "a_reply_that_is_none_is_a_fault"),
    "a reply after NR_*": ("milter-conversation", "no_answer_to_an_event_without_one_is_a_verdict"),
    "an edit cut in the middle": ("milter-faults", "edits_that_are_cut_anywhere_change_nothing"),
    "a verdict on the next message": ("milter-faults", "nothing_of_a_verdict_reaches_the_next_message"),
    "an answer about the next message": ("milter-faults", "nothing_of_an_answer_reaches_the_next_message"),
    "edits without end": ("milter-conversation", "endless_edits_behind_a_verdict_are_a_fault"),
}


def test_each_known_pitfall_has_a_test():
    root = harness.HERE.parent
    for pitfall, (file, name) in (PITFALLS | BAD_INPUT).items():
        kind, _, part = file.partition("-")
        path = root / (f"unit/test-milter-{part}.c" if kind == "unit" else f"system/test-{file}.py")
        assert re.search(rf"\btest_{name}\(", path.read_text()), f"{pitfall}: no test_{name} in {path.name}"


def codes_of(client):
    """The replies of a session with one message, up to the first refusal."""
    client.ehlo()
    found = []
    for command in (f"MAIL FROM:<{SENDER}>", f"RCPT TO:<{RECIPIENT}>", "DATA"):
        client.send(command + "\r\n")
        found.append(client.reply().code)
        if found[-1] >= 400:
            break
    else:
        client.send(MESSAGE + b".\r\n")
        found.append(client.reply().code)
    client.quit() if found[-1] != 421 else client.wait()
    return found


def check_default_action(answers, action, text):
    """What a filter with these answers costs: its default action, and no edit."""
    filter_ = Filter(path=harness.scratch() / "filter.sock", **answers)
    site = site_with(filter_.line(f"default-action={action}", "command-timeout=2s", "content-timeout=2s"),
                     quarantine_mailbox="odd")
    harness.equal(codes_of(site.connect())[-1], ACTIONS[action])
    harness.contains(record(site)["delivery_fault"], text)
    if action == "accept":
        harness.check_stored(site.only_message(), MESSAGE)
    elif action == "quarantine":
        stored = site.new(site.root / "odd")[0].read_bytes()
        harness.contains(stored.decode(), "X-Postern-Quarantine: a filter failed\n")
        assert stored.endswith(MESSAGE.replace(b"\r\n", b"\n")), stored
    harness.equal(len(site.everything()), ACTIONS[action] == 250)


EDITS = (filters.add("X-A", "1"), filters.insert(0, "X-I", "2"), filters.change(1, "Subject", "other"),
         filters.change(1, "X-Other", ""), frame("b", b"new bo"), frame("b", b"dy\0\r\n"),
         frame("+", b"<carl@example.org>\0"), frame("2", b"<dora@example.org>\0\0"), frame("-", b"<printer@example.org>\0"),
         frame("e", b"<x@example.net>\0"), frame("q", b"odd\0"))


def then_end(octets):
    """An answer behind which the connection ends."""
    return lambda _, conversation: conversation.connection.sendall(octets)


DEATHS = {**{event: {event: None} for event in EVENTS},
          "edits": {"E": then_end(b"".join(EDITS[:3]))}, "body": {"E": then_end(EDITS[0] + EDITS[4])},
          "envelope": {"E": then_end(b"".join(EDITS[6:]))}}


@harness.table_of({f"{death}_{action}": (death, action) for death in DEATHS for action in ACTIONS})
def test_a_filter_that_ends_anywhere_costs_its_default_action(death, action):
    check_default_action(DEATHS[death], action, "closed the connection")


def each_octet(octets):
    def answer(_, conversation):
        for n in range(len(octets)):
            conversation.connection.sendall(octets[n:n + 1])
        return b""

    return answer


def test_answers_that_come_octet_by_octet_are_the_same():
    offer = frame("O", struct.pack(">III", 6, filters.ACTIONS, 0))
    verdict = b"".join(EDITS[:6]) + frame("p") + frame("c")
    answers = {event: each_octet(frame("c")) for event in EVENTS[1:-1]}
    filter_ = Filter(O=each_octet(offer), E=each_octet(verdict), **answers)
    site = site_with(filter_.line())
    send(site, MESSAGE)
    text = site.only_message().read_bytes()
    harness.contains(text.decode(), "\nX-I: 2\nReceived: ")
    assert text.endswith(b"\nSubject: other\nX-A: 1\n\nnew body\0\n"), text
    harness.equal(filter_.faults, [])


@harness.table_of({f"{first + 1}_of_{4}": (first,) for first in range(4)})
def test_edits_that_are_cut_anywhere_change_nothing(first):
    """With accept, where the message goes on: neither half an edit nor those in front of it."""
    octets = b"".join(EDITS) + frame("a")
    for n in range(first, len(octets), 4):
        filter_ = Filter(path=harness.scratch() / "filter.sock", E=then_end(octets[:n]))
        site = site_with(filter_.line("default-action=accept"), maildir="%u", quarantine_mailbox="odd")
        send(site, MESSAGE)
        found = site.everything()
        assert [path.parts[-3] for path in found] == ["printer"], (n, found)
        harness.check_stored(found[0], MESSAGE)
        assert found[0].read_bytes().startswith(f"Return-Path: <{SENDER}>\n".encode()), n


@harness.table_of({event: (event,) for event in EVENTS})
def test_an_answer_that_is_cut_at_any_octet_is_none(event):
    octets = frame("O", struct.pack(">III", 6, 0x1ff, 0)) if event == "O" else frame("r")
    for n in range(1, len(octets)):
        check_default_action({event: then_end(octets[:n])}, "tempfail", "closed the connection")


@harness.table_of({event: (event,) for event in EVENTS})
def test_any_octet_may_come_as_a_command_at_any_event(event):
    """It is a verdict or a fault, and changes nothing of a message that is stored."""
    filter_ = Filter()
    site = site_with(filter_.line("default-action=accept", "command-timeout=1s", "content-timeout=1s"), maildir="%u",
                     quarantine_mailbox="odd")
    for octet in range(256):
        filter_.answers = {event: struct.pack(">IB", 3, octet) + b"x\0"}
        assert codes_of(site.connect())[-1] in ACTIONS.values(), octet
        for path in site.everything():
            harness.equal(path.parts[-3], "printer", octet)
            harness.check_stored(path, MESSAGE)
            path.unlink()


LENGTHS = {"length_0": (struct.pack(">I", 0), "without a command"),
           "length_1": (struct.pack(">I", 1) + b"?", None),
           "length_huge": (b"\xff\xff\xff\xff", None),
           "length_of_a_text": (b"554 no filter here\r\n", "digits"),
           "above_the_limit": (struct.pack(">I", 131072) + b"y", "128 KiB"),
           "body_at_once": (struct.pack(">I", 0x1000000) + b"b", None)}


@harness.table_of({f"{name}_at_{event}": (event, *row) for name, row in LENGTHS.items() for event in EVENTS})
def test_a_wrong_length_is_a_fault_at_once(event, octets, text):
    check_default_action({event: octets + b"more" * 10}, "tempfail", text or "unix:")


@harness.table_of({name: (text,) for name, text in (
    ("nul", "550 5.7.1 a\0b"), ("lone_lf", "550 5.7.1 a\nb"), ("lone_cr", "550 5.7.1 a\rb"),
    ("two_codes", "550-5.7.1 a\r\n551 5.7.1 b"), ("two_classes", "550-5.7.1 a\r\n450 4.7.1 b"),
    ("other_class", "550 4.7.1 a"), ("success", "250 2.0.0 a"), ("go_on", "354 a"), ("no_code", "go away"),
    ("two_digits", "55 a"), ("four_digits", "5500 a"), ("nothing", ""))})
def test_a_reply_that_is_none_is_a_fault(text):
    for event in "MRE":
        check_default_action({event: filters.reply(text)}, "tempfail", "sent a ")


@harness.table_of({event: (event,) for event in "OMRE"})
def test_a_filter_that_stalls_costs_its_default_action(event):
    for action in ("tempfail", "accept"):
        check_default_action({event: b""}, action, "no answer within 2 s")


def test_the_time_for_the_content_ends():
    """Octets that are no whole answer do not prolong it, and p does."""
    check_default_action({"E": frame("c")[:3]}, "tempfail", "no answer within 2 s")


# Nothing of one message reaches the next

VERDICTS = {"accept": frame("a"), "reject": frame("r"), "tempfail": frame("t"), "discard": frame("d"),
            "reply": filters.reply("550-5.7.1 no\r\n550 5.7.1 never"), "edits": b"".join(EDITS[:6]) + frame("c"),
            "envelope": b"".join(EDITS[6:10]) + frame("c"), "quarantine": EDITS[-1] + frame("c"),
            "edits_and_refusal": b"".join(EDITS) + frame("r"), "edits_and_discard": b"".join(EDITS) + frame("d")}


def check_second_message(site, filter_, client):
    """One that no filter changes: it gets all its events, and is stored as it came."""
    before = set(site.everything())
    filter_.answers = {}
    n_ends = len(filter_.got("E"))
    harness.equal(client.message(MESSAGE).code, 250)
    harness.equal(len(filter_.got("E")), n_ends + 1)
    client.quit()
    assert filter_.events().endswith("MRTLLNBEAQ"), filter_.events()
    stored, = set(site.everything()) - before
    harness.equal(stored.parts[-3], "printer")
    harness.check_stored(stored, MESSAGE)
    assert stored.read_bytes().startswith(f"Return-Path: <{SENDER}>\n".encode())
    harness.equal(re.sub(r"\d+ ms", "", record(site)["filters"]), f"{filter_.address}: continue, ")


@harness.table_of({name: (octets,) for name, octets in VERDICTS.items()})
def test_nothing_of_a_verdict_reaches_the_next_message(octets):
    filter_ = Filter(E=octets)
    site = site_with(filter_.line(), maildir="%u", quarantine_mailbox="odd")
    client = site.connect()
    client.ehlo()
    client.message(MESSAGE)
    check_second_message(site, filter_, client)


@harness.table_of({f"{command}_at_{event}": (event, command) for event in "MRTLNB" for command in "artds"
                   if command != "s" or event in "RLB"})
def test_nothing_of_an_answer_reaches_the_next_message(event, command):
    filter_ = Filter(steps=filters.SKIP, **{event: frame(command)})
    site = site_with(filter_.line(), maildir="%u")
    client = site.connect()
    client.ehlo()
    for line in (f"MAIL FROM:<{SENDER}>", f"RCPT TO:<{RECIPIENT}>", "DATA"):
        client.send(line + "\r\n")
        if client.reply().code == 354:
            client.content(MESSAGE)
    client.say("RSET", 250)
    check_second_message(site, filter_, client)


@harness.table(mail=("M", "R"), recipient=("R", "R"), data=("R", "T"), content=("M", "E"))
def test_a_refusal_by_another_filter_leaves_nothing(accepted_at, refused_at):
    """The first has accepted the message, which the second refuses: the next one goes to both."""
    first = Filter(path=harness.scratch() / "a.sock", **{accepted_at: frame("a")})
    second = Filter(path=harness.scratch() / "b.sock", **{refused_at: frame("r")})
    site = site_with(first.line(), second.line(), maildir="%u")
    client = site.connect()
    client.ehlo()
    for line in (f"MAIL FROM:<{SENDER}>", f"RCPT TO:<{RECIPIENT}>", "DATA"):
        client.send(line + "\r\n")
        if client.reply().code == 354:
            harness.equal(client.content(MESSAGE).code, 550)
    client.say("RSET", 250)
    first.answers = second.answers = {}
    harness.equal(client.message(MESSAGE).code, 250)
    client.quit()
    for filter_ in (first, second):
        assert filter_.events().endswith("AMRTLLNBEAQ"), filter_.events()
    harness.check_stored(site.everything()[0], MESSAGE)


# Octets behind a verdict, in one write with it

JUNK = {"frame": frame("c"), "cut": frame("c")[:3], "length": b"\xff\xff\xff\xff"}


@harness.table_of({f"{action}_{event}": (action, event) for action in ("accept", "tempfail") for event in "MRTLNBE"})
def test_a_discard_does_not_outlast_the_failure_of_its_filter(action, event):
    check_default_action({event: frame("d") + frame("c")}, action, "answered ")


def test_a_discard_of_a_filter_that_failed_hides_no_other_filter():
    first = Filter(path=harness.scratch() / "a.sock", M=frame("d") + frame("c"))
    second = Filter(path=harness.scratch() / "b.sock", E=filters.reply("550 5.7.1 spam"))
    site = site_with(first.line("default-action=accept"), second.line())
    harness.contains(str(send(site, MESSAGE, code=550)), "5.7.1 spam")


def test_changes_that_are_too_big_do_not_count_once_their_filter_has_failed():
    too_big = frame("b", b"x" * 60_000) * 2
    first = Filter(path=harness.scratch() / "a.sock", E=lambda _, conversation: conversation.connection.sendall(too_big))
    second = Filter(path=harness.scratch() / "b.sock", E=filters.add("X-Second", "1") + frame("c"))
    site = site_with(first.line("default-action=accept"), second.line(), size_limit="100000")
    send(site, MESSAGE)
    harness.contains(record(site)["delivery_fault"], "a.sock closed the connection")
    harness.contains(site.only_message().read_text(errors="replace"), "\nX-Second: 1\n")


REFUSALS = {"reject": (frame("r"), 550), "tempfail": (frame("t"), 451), "shutdown": (frame("4"), 421),
            "reply": (filters.reply("554 5.7.9 no"), 554)}


@harness.table_of({f"{name}_at_{event}": (event, *row) for name, row in REFUSALS.items() for event in "CHMRTLNBE"})
def test_a_refusal_holds_whatever_stands_behind_it(event, octets, code):
    for junk in JUNK.values():
        filter_ = Filter(path=harness.scratch() / "filter.sock", **{event: octets + junk})
        site = site_with(filter_.line("default-action=accept"))
        harness.equal(codes_of(site.connect())[-1], code)
        harness.equal(site.everything(), [])


@harness.table(mail=("M",), recipient=("R",), end=("E",))
def test_behind_that_refusal_the_filter_has_failed(event):
    filter_ = Filter(**{event: frame("r") + frame("c")})
    site = site_with(filter_.line("default-action=accept"))
    client = site.connect()
    client.ehlo()
    for line in (f"MAIL FROM:<{SENDER}>", f"RCPT TO:<{RECIPIENT}>", "DATA"):
        client.send(line + "\r\n")
        if client.reply().code == 354:
            harness.equal(client.content(MESSAGE).code, 550)
    client.say("RSET", 250)
    harness.equal(client.message(MESSAGE).code, 250)
    client.quit()
    harness.check_stored(site.only_message(), MESSAGE)
    harness.contains(record(site)["delivery_fault"], "answered ")


def test_parts_of_a_discarded_message_are_never_delivered():
    """Its first chunk is gone when an unknown command finds that the filter is."""
    filter_ = Filter(T=frame("d"), U=None)
    site = site_with(filter_.line("default-action=accept"))
    client = site.connect()
    client.ehlo()
    client.say(f"MAIL FROM:<{SENDER}>", 250)
    client.say(f"RCPT TO:<{RECIPIENT}>", 250)
    client.send(b"BDAT 7\r\nA: b\r\n\r")
    client.expect(250)
    client.say("FROB", 500)
    client.send(b"BDAT 3 LAST\r\n\nx\n")
    client.expect(250)
    client.quit()
    harness.equal(site.everything(), [])
    harness.equal(record(site)["outcome"], "discarded")


# What a filter negotiates


@harness.table(L=("L", "OCHMRTNBEAQ"), N=("N", "OCHMRTLLBEAQ"), B=("B", "OCHMRTLLNEAQ"), T=("T", "OCHMRLLNBEAQ"),
               R=("R", "OCHMTLLNBEAQ"), M=("M", "OCHRTLLNBEAQ"), H=("H", "OCMRTLLNBEAQ"), C=("C", "OHMRTLLNBEAQ"))
def test_an_event_that_is_not_wanted_is_left_out_alone(event, events):
    filter_ = Filter(steps=filters.NO[event])
    send(site_with(filter_.line()), MESSAGE)
    harness.equal(filter_.events(), events)


@harness.table_of({event: (event,) for event in "CHMRTLNB"})
def test_an_event_without_an_answer_is_not_waited_for(event):
    filter_ = Filter(steps=filters.NR[event], E=filters.add("X-A", "1") + frame("c"))
    site = site_with(filter_.line())
    send(site, MESSAGE)
    harness.equal(filter_.events(), "OCHMRTLLNBEAQ")
    harness.contains(site.only_message().read_text(), "\nX-A: 1\n\n")


def test_steps_that_were_not_offered_are_ignored():
    """rspamd answers all of NR_* whatever it was offered; bits above them have no meaning."""
    filter_ = Filter(steps=0xffe00000)
    send(site_with(filter_.line()), MESSAGE)
    harness.equal(filter_.events(), "OCHMRTLLNBEAQ")


def test_actions_that_were_not_offered_are_a_fault():
    check_default_action({"O": frame("O", struct.pack(">III", 6, 0x200, 0))}, "tempfail", "was not offered")


@harness.table_of({f"v{version}": (version,) for version in range(2, 7)})
def test_each_version_may_edit_and_refuse(version):
    """Of versions 2 to 6 each has the edits; 2 has neither NR_* nor skip."""
    def judge(data, _):
        return filters.reply("451 4.7.1 later") if b"bob" in data else frame("c")

    filter_ = Filter(version=version, steps=0 if version == 2 else filters.NR["L"] | filters.SKIP, R=judge,
                     B=frame("c") if version == 2 else frame("s"), E=b"".join(EDITS[:6]) + frame("c"))
    site = site_with(filter_.line(), maildir="%u")
    client = site.connect()
    client.ehlo()
    client.say(f"MAIL FROM:<{SENDER}>", 250)
    client.say("RCPT TO:<bob@example.org>", 451, "4.7.1 later")
    client.say(f"RCPT TO:<{RECIPIENT}>", 250)
    client.say("DATA", 354)
    harness.equal(client.content(MESSAGE).code, 250)
    client.quit()
    assert site.everything()[0].read_bytes().endswith(b"\nSubject: other\nX-A: 1\n\nnew body\0\n")
    harness.equal(filter_.events(), "OCHMRR" + ("T" if version > 3 else "") + "LLNBEAQ")
    harness.equal(filter_.faults, [])


def test_macros_come_in_pairs():
    filter_ = Filter()
    send(site_with(filter_.line()), MESSAGE)
    for data in filter_.got("D"):
        words = data[1:].split(b"\0")
        assert words.pop() == b"" and len(words) % 2 == 0 and all(words), data


# Other ways in which a message comes


def test_with_prdr_each_recipient_gets_the_verdict():
    filter_ = Filter(E=filters.reply("550-5.7.1 spam\r\n550 5.7.1 no"))
    site = site_with(filter_.line(), maildir="%u")
    client = site.connect()
    assert client.ehlo().has("PRDR")
    for answers, code in (({}, 250), (filter_.answers, 550)):
        filter_.answers = answers
        client.say(f"MAIL FROM:<{SENDER}> PRDR", 250)
        for name in ("alice", "bob"):
            client.say(f"RCPT TO:<{name}@example.org>", 250)
        client.say("DATA", 354)
        replies = [client.content(MESSAGE)]
        while replies[-1].code == 353 or len(replies) in (2, 3) and code == 250:
            replies.append(client.reply())
        harness.equal(replies[-1].code, code)
    client.quit()
    harness.equal([path.parts[-3] for path in site.everything()], ["alice", "bob"])
    harness.equal([r["outcome"] for r in site.records("message")], ["delivered", "refused"])


def test_a_utf8_address_goes_to_filters_as_it_is():
    filter_ = Filter()
    site = site_with(filter_.line(), maildir="%u")
    client = site.connect()
    client.ehlo()
    client.say("MAIL FROM:<j\u00fcrgen@b\u00fccher.example> SMTPUTF8", 250)
    client.say(f"RCPT TO:<{RECIPIENT}>", 250)
    client.say("DATA", 354)
    harness.equal(client.content("Subject: gr\u00fc\u00df\r\n\r\nx\r\n".encode()).code, 250)
    client.quit()
    harness.equal(filter_.got("M"), ["<j\u00fcrgen@b\u00fccher.example>\0SMTPUTF8\0".encode()])
    harness.equal(filter_.macros_of("M")["{mail_host}"], "b\u00fccher.example")
    harness.equal(filter_.got("L"), ["Subject\0gr\u00fc\u00df\0".encode()])


def test_chunks_of_binary_content_go_to_filters_and_to_the_mailbox():
    filter_ = Filter(E=filters.add("X-A", "1") + frame("c"))
    site = site_with(filter_.line())
    client = site.connect()
    client.ehlo()
    data = b"Subject: chunks\r\n\r\n\x80\xff octets\r\n"
    client.say(f"MAIL FROM:<{SENDER}> BODY=BINARYMIME", 250)
    client.say(f"RCPT TO:<{RECIPIENT}>", 250)
    for n, octet in enumerate(data):
        client.send(b"BDAT 1%s\r\n%c" % (b" LAST" if n == len(data) - 1 else b"", octet))
        client.expect(250)
    client.quit()
    harness.equal(filter_.got("M"), [f"<{SENDER}>\0BODY=BINARYMIME\0".encode()])
    harness.equal(filter_.got("B"), [b"\x80\xff octets\r\n"])
    text = site.only_message().read_bytes()
    assert re.search(rb"\nSubject: chunks\r?\nX-A: 1\r?\n\r?\n\x80\xff octets\r?\n$", text), text


def test_a_socket_without_its_right_is_named():
    filter_ = Filter()
    filter_.path.chmod(0)
    site = site_with(filter_.line())
    done = harness.run("setpriv", "--reuid=65534", "--clear-groups", *site.command(), "--check")
    harness.contains(done.stdout, f"{filter_.address} cannot connect: Permission denied")


if __name__ == "__main__":
    harness.main()
