#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""milters: filters that speak the milter protocol see each message before it is accepted, and may change it."""

import contextlib
import fcntl
import http.server
import os
import re
import stat
import struct
import threading
from pathlib import Path

import filters
import harness
from filters import Filter, frame, listening_with, record, send, site_with
from harness import DOMAIN, RECIPIENT, SENDER, Site
from homes import Homes
from listening import Listening
from mailboxes import fuse, need_fuse

SUBJECT = b"Subject: a message\n"
FAULTS = harness.table(tempfail=("tempfail", 451), reject=("reject", 550), shutdown=("shutdown", 421),
                       accept=("accept", 250))


def stored(site):
    """The message below the trace header, as text of lines."""
    trace, rest = harness.split_trace(site.only_message().read_bytes())
    return trace, rest


def test_a_message_that_no_filter_changes_is_the_same_octet_for_octet():
    filter_ = Filter()
    site = site_with(filter_.line())
    send(site)
    harness.check_stored(site.only_message(), harness.sample())
    harness.equal(filter_.events(), "OCHMRT" + "L" * 8 + "NBEAQ")
    harness.contains(record(site)["filters"], f"unix:{filter_.path}: continue, ")
    harness.equal(filter_.faults, [])


def test_what_a_filter_sees_is_what_is_stored():
    """real-senders repairs come first: no filter sees another text than the reader of the mailbox."""
    filter_ = Filter()
    site = site_with(filter_.line())
    send(site, b">From x\r\nSubject: one\r\n two\r\nEmpty:\r\nNone:a\r\n\r\nbody\r\n\r\nend\r\n")
    harness.equal(filter_.got("L"), [b"X-Mailbox-Line\0>From x\0", b"Subject\0one\n two\0", b"Empty\0\0", b"None\0a\0"])
    harness.equal(filter_.got("B"), [b"body\r\n\r\nend\r\n"])


def test_nothing_is_sent_before_the_first_mail():
    filter_ = Filter()
    site = site_with(filter_.line())
    client = site.connect()
    client.ehlo()
    client.say("RSET", 250)
    harness.eventually(lambda: filter_.conversations, "a connection")
    client.quit()
    harness.eventually(lambda: filter_.conversations[0].ended, "its end")
    harness.equal(filter_.events(), "")


def test_the_events_have_their_data_and_macros():
    filter_ = Filter()
    site = site_with(filter_.line())
    client = site.connect()
    client.ehlo()
    client.say(f"MAIL FROM:<{SENDER}> BODY=8BITMIME SIZE=100", 250)
    client.say(f"RCPT TO:<{RECIPIENT}>", 250)
    client.say("DATA", 354)
    client.content(harness.sample())
    client.quit()
    harness.equal(filter_.got("C")[0][:16], b"[127.0.0.1]\x004" + filter_.got("C")[0][13:15] + b"1")
    harness.equal(filter_.got("C")[0][15:], b"127.0.0.1\0")
    harness.equal(filter_.got("H"), [b"client.example.net\0"])
    harness.equal(filter_.got("M"), [f"<{SENDER}>\0BODY=8BITMIME\0SIZE=100\0".encode()])
    harness.equal(filter_.got("R"), [f"<{RECIPIENT}>\0".encode()])
    harness.equal(filter_.macros_of("C")["j"], harness.HOST)
    harness.equal(filter_.macros_of("C")["_"], "[127.0.0.1]")
    harness.equal(filter_.macros_of("M")["i"], record(site)["id"])
    harness.equal(filter_.macros_of("M")["{mail_addr}"], SENDER)
    harness.equal(filter_.macros_of("R")["{rcpt_addr}"], RECIPIENT)
    harness.equal(filter_.macros_of("E")["i"], record(site)["id"])


EDITS = {
    "add": (filters.add("X-A", "1"), lambda t: t.replace(b"\n\n", b"\nX-A: 1\n\n", 1)),
    "insert_1": (filters.insert(1, "X-A", "1"), lambda t: b"X-A: 1\n" + t),
    "insert_2": (filters.insert(2, "X-A", "1"), lambda t: t.replace(b"\n", b"\nX-A: 1\n", 1)),
    "insert_far": (filters.insert(999, "X-A", "1"), lambda t: t.replace(b"\n\n", b"\nX-A: 1\n\n", 1)),
    "change": (filters.change(1, "subject", "other"), lambda t: t.replace(SUBJECT, b"subject: other\n")),
    "index_0_means_1": (filters.change(0, "Subject", "o"), lambda t: t.replace(SUBJECT, b"Subject: o\n")),
    "delete": (filters.change(1, "Subject", ""), lambda t: t.replace(SUBJECT, b"")),
    "absent_is_added": (filters.change(1, "X-A", "1"), lambda t: t.replace(b"\n\n", b"\nX-A: 1\n\n", 1)),
    "absent_is_not_deleted": (filters.change(1, "X-A", ""), lambda t: t),
    "never_our_own": (filters.change(1, "Received", ""), lambda t: t),
    "lines": (filters.add("X-A", "1\n 2\n\t3"), lambda t: t.replace(b"\n\n", b"\nX-A: 1\n 2\n\t3\n\n", 1)),
    "a_line_cannot_end_the_header": (filters.add("X-A", "1\n\nevil"),
                                     lambda t: t.replace(b"\n\n", b"\nX-A: 1\n\tevil\n\n", 1)),
}


@harness.table_of({name: row for name, row in EDITS.items()})
def test_an_edit_of_the_header(edit, expected):
    filter_ = Filter(E=edit + frame("c"))
    site = site_with(filter_.line())
    send(site)
    _, rest = stored(site)
    harness.equal(rest, expected(harness.sample().replace(b"\r\n", b"\n")))
    harness.contains(record(site)["filters"], "continue, 1 edit, ")


def test_index_0_is_above_received_and_below_return_path():
    filter_ = Filter(E=filters.insert(0, "X-A", "1") + frame("a"))
    site = site_with(filter_.line())
    send(site)
    lines = site.only_message().read_bytes().split(b"\n")
    harness.equal(lines[0], f"Return-Path: <{SENDER}>".encode())
    received = next(i for i, line in enumerate(lines) if line.startswith(b"Received:"))
    harness.equal(lines[received - 1], b"X-A: 1")


def test_a_body_in_pieces_takes_the_place_of_the_body():
    pieces = (b"one\r", b"\ntwo\r\n", b"..\r\nlast")
    filter_ = Filter(E=b"".join(frame("b", piece) for piece in pieces) + frame("c"))
    site = site_with(filter_.line())
    send(site)
    _, rest = stored(site)
    head = harness.sample().replace(b"\r\n", b"\n").split(b"\n\n")[0]
    harness.equal(rest, head + b"\n\none\ntwo\n..\nlast\n")  # each line has an end


def test_the_second_filter_gets_the_message_as_the_first_left_it():
    first = Filter(E=filters.change(1, "Subject", "changed") + frame("b", b"new\r\n") + frame("a"))
    second = Filter(E=filters.add("X-B", "2") + frame("c"))
    site = site_with(first.line(), second.line())
    send(site)
    assert b"Subject\0changed\0" in second.got("L"), second.got("L")
    harness.equal(second.got("B"), [b"new\r\n"])
    _, rest = stored(site)
    harness.contains(rest.decode(), "Subject: changed\n")
    assert rest.endswith(b"X-B: 2\n\nnew\n"), rest


REFUSALS = harness.table(reject=(frame("r"), 550, "5.7.1 Command rejected"),
                         tempfail=(frame("t"), 451, "4.7.1 Service unavailable"),
                         own=(filters.reply("554 5.7.9 no %% <here>\r\n"), 554, "5.7.9 no % <here>"),
                         lines=(filters.reply("450-4.7.0 one\r\n450 4.7.0 two"), 450, "4.7.0 one"),
                         bare=(filters.reply("550 no"), 550, "no"))


@REFUSALS
def test_a_refusal_at_the_end_of_the_message(answer, code, text):
    filter_ = Filter(E=answer)
    site = site_with(filter_.line())
    client = site.connect()
    client.ehlo()
    reply = client.message(harness.sample())
    harness.equal(reply.code, code)
    harness.contains(str(reply), text)
    harness.equal(site.everything(), [])
    filter_.answers = {}  # nothing of it reaches the next message
    harness.equal(client.message(harness.sample()).code, 250)
    client.quit()
    harness.equal(filter_.events(), "OCHMRT" + "L" * 8 + "NBEA" + "MRT" + "L" * 8 + "NBEAQ")
    first = site.records("message")[0]
    harness.equal(first["outcome"], "refused")
    harness.contains(first["reason"], text.replace("<", "<"))
    assert "delivery_fault" not in first and first.get("status") is None, first


@harness.table(connect="C", helo="H", mail="M", data="T", field="L", end_of_header="N", body="B")
def test_a_refusal_at_each_event(event):
    filter_ = Filter(**{event: frame("r")})
    site = site_with(filter_.line())
    client = site.connect()
    client.ehlo()
    client.send(f"MAIL FROM:<{SENDER}>\r\n")
    if event in "CHM":
        client.expect(550, "5.7.1")
    else:
        client.expect(250)
        client.say(f"RCPT TO:<{RECIPIENT}>", 250)
        client.send("DATA\r\n")
        client.expect(550 if event == "T" else 354)
        if event != "T":
            harness.equal(client.content(harness.sample()).code, 550)
    if event in "CH":
        client.say(f"MAIL FROM:<{SENDER}>", 550, "5.7.1")  # of the session
    client.quit()
    harness.equal(site.everything(), [])


def test_a_recipient_is_refused_alone():
    def judge(data, _):
        return filters.reply("451 4.7.1 greylisted") if b"bob" in data else frame("c")

    filter_ = Filter(R=judge)
    site = site_with(filter_.line(), maildir="%u")
    client = site.connect()
    client.ehlo()
    client.say(f"MAIL FROM:<{SENDER}>", 250)
    client.say(f"RCPT TO:<bob@{DOMAIN}>", 451, "greylisted")
    client.say(f"RCPT TO:<alice@{DOMAIN}>", 250)
    client.say(f"RCPT TO:<bob@{DOMAIN}>", 451, "greylisted")
    client.say("DATA", 354)
    harness.equal(client.content(harness.sample()).code, 250)
    client.quit()
    harness.equal([str(p.relative_to(site.root)).split("/")[0] for p in site.everything()], ["alice"])
    assert not (site.root / "bob").exists(), "no mailbox is made for a recipient that was refused"


@FAULTS
def test_the_default_action_where_a_filter_cannot_be_reached(action, code):
    site = Site()
    path = site.dir / "milters"
    path.write_text(f"unix:{site.dir}/none default-action={action}\n")
    site.set(milters=path)
    client = site.connect()
    client.ehlo()
    client.send(f"MAIL FROM:<{SENDER}>\r\n")
    client.expect(code)
    if code == 250:
        client.say("RSET", 250)
        harness.equal(client.message(harness.sample()).code, 250)
    elif code != 421:
        client.say(f"MAIL FROM:<{SENDER}>", code)
    client.quit() if code != 421 else client.expect_end()
    harness.eventually(lambda: site.records("session"), "the end")
    harness.contains(record(site)["delivery_fault"], f"{path}:1: unix:{site.dir}/none cannot connect: No such file")
    harness.contains(site.records("error")[0]["text"], "cannot connect: No such file")
    if code == 421:
        harness.equal(site.session()["end"], "filter")


CUTS = "O C H M R T L N B E".split()


@harness.table_of({f"{event}_{action}": (event, action) for event in CUTS for action in ("accept", "tempfail")})
def test_a_filter_that_closes_at_an_event(event, action):
    filter_ = Filter(**{event: None})
    site = site_with(filter_.line(f"default-action={action}"))
    client = site.connect()
    client.ehlo()
    replies = []
    for command in (f"MAIL FROM:<{SENDER}>", f"RCPT TO:<{RECIPIENT}>", "DATA"):
        client.send(command + "\r\n")
        replies.append(client.reply().code)
    if replies[-1] == 354:
        replies.append(client.content(harness.sample()).code)
    client.quit()
    harness.contains(record(site)["delivery_fault"], "closed the connection")
    if action == "accept":
        harness.equal(replies, [250, 250, 354, 250])
        harness.check_stored(site.only_message(), harness.sample())
    else:
        assert 451 in replies, replies
        harness.equal(site.everything(), [])


def test_a_connection_that_is_lost_in_the_middle_of_edits_changes_nothing():
    edits = filters.add("X-A", "1") + frame("b", b"half a bo")

    def half(_, conversation):
        conversation.connection.sendall(edits)

    filter_ = Filter(E=half)
    site = site_with(filter_.line("default-action=accept"))
    send(site)
    harness.check_stored(site.only_message(), harness.sample())


WRONG = {
    "length_0": frame("x")[:3] + b"\0",
    "length_huge": b"\x7f\xff\xff\xff",
    "unknown": frame("?"),
    "http": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "two_verdicts": frame("c") + frame("c"),
    "no_nul": frame("h", b"X-A"),
    "left_over": frame("c", b"x"),
    "reply_of_two_codes": filters.reply("550-5.1.1 a\r\n450 4.1.1 b"),
    "reply_of_2yz": filters.reply("250 2.0.0 a"),
    "no_name": filters.add("", "1") + frame("c"),
    "name_with_colon": filters.add("X:A", "1") + frame("c"),
    "discard_cut": struct.pack(">I", 9) + b"d",
}


@harness.table_of({name: (octets,) for name, octets in WRONG.items()})
def test_what_is_no_answer_is_a_fault_of_the_filter(octets):
    filter_ = Filter(E=octets)
    site = site_with(filter_.line("command-timeout=1s", "content-timeout=1s"))
    client = site.connect()
    client.ehlo()
    harness.equal(client.message(harness.sample()).code, 451)
    client.quit()
    harness.equal(site.everything(), [])


def test_a_filter_that_stalls_costs_its_timeout():
    filter_ = Filter(M=b"")
    site = site_with(filter_.line("command-timeout=1s"))
    client = site.connect()
    client.ehlo()
    client.say(f"MAIL FROM:<{SENDER}>", 451, "4.3.0")
    client.quit()
    harness.contains(record(site)["delivery_fault"], "no answer within 1 s")


def test_an_answer_that_comes_octet_by_octet_has_one_timeout():
    filter_ = Filter(E=filters.slowly(filters.reply("550 5.7.1 " + "x" * 200), 10))
    site = site_with(filter_.line("content-timeout=1s"))
    send(site, code=451)
    harness.contains(record(site)["delivery_fault"], "no answer within 1 s")


def test_progress_restarts_the_clock():
    filter_ = Filter(E=filters.slowly((frame("p") * 8) + frame("c"), 2.5))
    site = site_with(filter_.line("content-timeout=1s"))
    send(site)


def test_a_filter_that_answers_nothing_gets_everything_in_one_go():
    filter_ = Filter(steps=filters.SILENT)
    site = site_with(filter_.line())
    send(site)
    harness.equal(filter_.events(), "OCHMRT" + "L" * 8 + "NBEAQ")


def test_an_answer_in_spite_of_no_reply_is_a_fault():
    filter_ = Filter(steps=filters.SILENT, E=frame("c") + frame("c"))
    site = site_with(filter_.line())
    send(site, code=451)
    harness.contains(record(site)["delivery_fault"], "answered although it owed no answer")
    harness.equal(site.everything(), [])


def test_steps_that_a_filter_does_not_want_are_left_out():
    steps = 0
    for bit in filters.NO.values():
        steps |= bit
    filter_ = Filter(steps=steps)
    site = site_with(filter_.line())
    send(site)
    harness.equal(filter_.events(), "OEAQ")
    harness.equal(filter_.macros_of("C")["j"], harness.HOST)


@harness.table(v2=2, v3=3, v4=4, v5=5)
def test_lower_versions(version):
    filter_ = Filter(version=version)
    site = site_with(filter_.line())
    send(site)
    harness.equal(filter_.events(), "OCHMR" + ("T" if version >= 4 else "") + "L" * 8 + "NBEAQ")


def test_a_version_above_ours_is_refused():
    filter_ = Filter(version=7)
    site = site_with(filter_.line())
    client = site.connect()
    client.ehlo()
    client.say(f"MAIL FROM:<{SENDER}>", 451)
    client.quit()


def test_skip_ends_the_body_but_not_the_message():
    filter_ = Filter(steps=filters.SKIP, B=frame("s"))
    site = site_with(filter_.line())
    send(site, harness.sample() + b"x" * 50 + b"\r\n" * 1 + (b"y" * 70 + b"\r\n") * 4000)
    harness.equal(len(filter_.got("B")), 1)
    harness.equal(len(filter_.got("E")), 1)


def test_a_large_body_comes_in_pieces():
    filter_ = Filter()
    site = site_with(filter_.line())
    data = harness.sample() + (b"y" * 70 + b"\r\n") * 4000
    send(site, data)
    harness.equal(b"".join(filter_.got("B")), data.split(b"\r\n\r\n", 1)[1])
    assert all(len(piece) <= 65535 for piece in filter_.got("B"))
    harness.check_stored(site.only_message(), data)


def large(octets):
    """A message whose lines are all different."""
    return harness.sample() + b"".join(b"%070d\r\n" % n for n in range(octets // 72))


def memory_of(client):
    """The most that the process of a connection has had in memory, in KiB."""
    status = Path(f"/proc/{client.process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1))


def filtered_memory(data, **answers):
    """What one message after another needs; the second is the large one."""
    filter_ = Filter(**answers)
    site = site_with(filter_.line(), size_limit="500M", timeout="300")
    client = begin(site)
    client.message(harness.sample())
    before = memory_of(client)
    harness.equal(client.message(data).code, 250)
    grown = memory_of(client) - before
    client.quit()
    large_one = max(site.new(), key=lambda path: path.stat().st_size)
    return filter_, large_one, grown


EDITED = filters.add("X-A", "1") + frame("c")


@harness.senseless_when_sanitized
@harness.table(unchanged=(frame("c"), b""), a_field_added=(EDITED, b"X-A: 1\n"))
def test_a_large_message_does_not_stay_in_memory(answer, field):
    data = large(60_000_000)
    filter_, path, grown = filtered_memory(data, E=answer)
    harness.equal(b"".join(filter_.got("B")[1:]), data.split(b"\r\n\r\n", 1)[1])
    expected = data.replace(b"\r\n", b"\n").replace(b"\n\n", b"\n" + field + b"\n", 1)
    assert harness.split_trace(path.read_bytes())[1] == expected, "another message is stored"
    assert grown < 4096, f"{grown} KiB more for a message of 60 MB"


@harness.senseless_when_sanitized
def test_a_large_replacement_body_does_not_stay_in_memory():
    pieces = [b"%065533d\r\n" % n for n in range(500)]
    answer = b"".join(frame("b", piece) for piece in pieces) + frame("c")
    _, path, grown = filtered_memory(large(5_000_000), E=answer)
    body = harness.split_trace(path.read_bytes())[1].split(b"\n\n", 1)[1]
    assert body == b"".join(pieces).replace(b"\r\n", b"\n"), "another body is stored"
    assert grown < 6144, f"{grown} KiB more"


@harness.table(one_octet_less=-1, exactly=0, one_more=1)
def test_a_message_is_whole_where_its_file_begins(more):
    size = 1024 * 1024 + 64 * 1024  # of what stays in memory
    data = harness.sample()
    data += b"x" * (size + more - len(data.replace(b"\r\n", b"\n")) - 1) + b"\r\n"
    filter_ = Filter()
    site = site_with(filter_.line())
    send(site, data)
    harness.equal(b"".join(filter_.got("B")) == data.split(b"\r\n\r\n", 1)[1], True)
    harness.check_stored(site.only_message(), data)


def test_fields_behind_mime_fields_stay_where_they_are():
    """PGP/MIME and S/MIME: a signed message that a filter adds a field to is the same below."""
    signed = (b"From: <a@example.net>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/signed;\r\n"
              b"\tprotocol=\"application/pgp-signature\"; boundary=b\r\nSubject: signed\r\nX-Last:  of all \r\n\r\n"
              b"--b\r\nContent-Type: text/plain\r\n\r\nsigned \r\n\r\n--b\r\n\r\nsignature\r\n--b--\r\n")
    stored_text = signed.replace(b"\r\n", b"\n")
    for edit, expected in ((filters.insert(1, "X-A", "1"), b"X-A: 1\n" + stored_text),
                           (filters.add("X-A", "1"), stored_text.replace(b"\n\n", b"\nX-A: 1\n\n", 1)),
                           (filters.change(1, "Subject", "new"), stored_text.replace(b"Subject: signed", b"Subject: new"))):
        site = site_with(Filter(E=edit + frame("c")).line())
        send(site, signed)
        harness.equal(stored(site)[1], expected)


def test_a_large_message_at_a_listener_in_its_sandbox():
    filter_ = Filter(E=EDITED)
    here = listening_with(filter_, size_limit="500M")
    data = large(8_000_000)
    client = here.client()
    client.ehlo()
    harness.equal(client.message(data).code, 250, here.log_text())
    client.quit()
    harness.equal(b"".join(filter_.got("B")) == data.split(b"\r\n\r\n", 1)[1], True)
    assert here.new()[0].read_bytes().endswith(data.split(b"\r\n\r\n", 1)[1].replace(b"\r\n", b"\n"))


DIRECTORY = f"/var/tmp/postern-filters-{os.geteuid()}"


def own_var_tmp(*options):
    """An empty one, until the test ends."""
    harness.mount("-t", "tmpfs", "-o", ",".join(("mode=1777", *options)), "tmpfs", "/var/tmp")
    harness.at_end(harness.run, "umount", "-l", "/var/tmp")


def with_own_directory(**settings):
    own_var_tmp()
    return site_with(**settings)


def test_files_of_messages_have_no_name():
    found = []

    def look(*_):
        found.append(os.listdir(DIRECTORY))
        return frame("c")

    filter_ = Filter(E=look)
    site = with_own_directory()
    (site.dir / "milters").write_text(filter_.line())
    send(site, large(3_000_000))
    harness.equal(found, [[]])
    harness.equal(stat.S_IMODE(os.stat(DIRECTORY).st_mode), 0o700)


@harness.table(alone=(Site,), listening=(Listening,))
def test_a_file_system_on_which_each_file_has_a_name_does(kind):
    need_fuse("bindfs")
    filter_ = Filter()
    place = kind(size_limit="500M")
    (place.dir / "milters").write_text(filter_.line())
    place.set(milters=place.dir / "milters")
    below = place.dir / "below"
    below.mkdir()
    own_var_tmp()
    fuse("/var/tmp", "bindfs", "-f", below, "/var/tmp")
    client = place.listen().client() if kind is Listening else place.connect()
    client.ehlo()
    for _ in range(2):
        harness.equal(client.message(large(3_000_000)).code, 250, place.log_text())
    client.quit()

    def names():
        # a file that a connection still has open is hidden by FUSE until it is closed
        return [path.name for path in below.rglob("*") if not path.name.startswith(".fuse_hidden")]

    assert len(names()) == 1 and names()[0].startswith("postern-filters-"), names()
    harness.eventually(lambda: len(list(below.rglob("*"))) == 1, "no file is left when the connection has ended")
    for path in place.new():
        harness.check_stored(path, large(3_000_000))


def test_the_directory_is_not_removed_while_it_is_idle():
    """systemd-tmpfiles removes what is old in /var/tmp, and no directory that is locked."""
    site = with_own_directory()
    (site.dir / "milters").write_text(Filter().line())
    client = begin(site)
    directory = os.open(DIRECTORY, os.O_RDONLY | os.O_DIRECTORY)
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert False, "it is not locked"
    os.close(directory)
    client.quit()


def test_a_directory_that_others_can_reach_is_not_used():
    filter_ = Filter()
    site = with_own_directory()
    (site.dir / "milters").write_text(filter_.line())
    os.mkdir(DIRECTORY)
    os.chmod(DIRECTORY, 0o755)
    send(site, large(3_000_000))
    harness.equal(os.listdir(DIRECTORY), [])
    there = DIRECTORY.replace("/var/tmp", "/tmp")
    harness.equal(stat.S_IMODE(os.stat(there).st_mode), 0o700)
    os.rmdir(there)
    os.symlink("/", there)
    harness.at_end(os.unlink, there)
    done = harness.run(*site.command(), "--check")
    harness.equal(done.returncode, 78, done.stdout)
    harness.contains(done.stdout, f"milters: {DIRECTORY}, for messages that filters look at: other users can reach it")


@harness.table(new=(False,), of_root=(True,))
def test_root_makes_the_directory_with_the_rights_of_a_broker_alone(is_there):
    """units/system-users.conf leaves no right to give it away."""
    harness.need_root("to be root without rights")
    harness.need("setpriv")
    filter_ = Filter()
    own_var_tmp()
    place = Listening(size_limit="100M")
    (place.dir / "milters").write_text(filter_.line())
    place.set(milters=place.dir / "milters")
    number = harness.run("id", "-u", "nobody").stdout.strip()
    if is_there:
        os.mkdir(f"/var/tmp/postern-filters-{number}", 0o700)
    client = place.listen(wrap=("setpriv", "--bounding-set=-all,+setuid,+setgid")).client()
    client.ehlo()
    harness.equal(client.message(large(20_000_000)).code, 250, place.log_text())
    assert "postern-filters" not in place.log_text(), place.log_text()


@harness.table(alone=(Site,), listening=(Listening,))
def test_other_users_who_take_all_directories_do_not_stop_mail(kind):
    filter_ = Filter()
    own_var_tmp()
    place = kind(size_limit="100M")
    (place.dir / "milters").write_text(filter_.line())
    place.set(milters=place.dir / "milters")
    # a listener of root uses that of nobody
    number = harness.run("id", "-u", "nobody").stdout.strip() if kind is Listening and not os.geteuid() else os.geteuid()
    taken = [f"{above}/postern-filters-{number}" for above in ("/var/tmp", "/tmp")]
    for path in taken:
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(path)
        os.mkdir(path)
        harness.at_end(os.rmdir, path)
        os.chown(path, 1, 1)
    client = place.listen().client() if kind is Listening else place.connect()
    client.ehlo()
    for size, code in ((3_000_000, 250), (15_000_000, 250), (20_000_000, 452), (1_500_000, 250)):
        harness.equal(client.message(large(size)).code, code, place.log_text())
        if code == 250:
            harness.check_stored(max(place.new(), key=os.path.getmtime), large(size))
    client.quit()
    harness.contains(place.log_text(), f"milters: {taken[0]}, for messages that filters look at: other users can "
                                       "reach it: remove it; until then messages above 16 MiB get 452")
    harness.equal([os.listdir(path) for path in taken], [[], []])


@harness.table(alone=(Site,), listening=(Listening,))
def test_the_state_directory_of_the_service_has_files_of_messages(kind):
    found = []
    filter_ = Filter(E=lambda *_: found.append(os.listdir(state)) or frame("c"))
    own_var_tmp()
    place = kind(size_limit="100M")
    state = place.dir / "state"
    state.mkdir()
    (place.dir / "milters").write_text(filter_.line())
    place.set(milters=place.dir / "milters")
    environment = {"STATE_DIRECTORY": f"{state}:/nowhere"}
    if kind is Listening:
        client = place.listen(**environment).client()
    else:
        client = place.connect(env=harness.environment(**environment))
    client.ehlo()
    harness.equal(client.message(large(3_000_000)).code, 250, place.log_text())
    client.quit()
    harness.check_stored(place.only_message(), large(3_000_000))
    harness.equal(len(found[0]), 1)
    assert found[0][0].startswith(".postern-filters-"), found
    harness.equal(list((state / found[0][0]).iterdir()), [])
    harness.equal(stat.S_IMODE((state / found[0][0]).stat().st_mode), 0o700)
    harness.equal(os.listdir("/var/tmp"), [])


def test_a_full_disk_below_the_directory_refuses_for_now():
    filter_ = Filter()
    site = site_with(filter_.line("default-action=accept"))
    own_var_tmp("size=1m")
    client = begin(site)
    harness.equal(client.message(large(3_000_000)).code, 452)
    harness.equal(client.message(harness.sample()).code, 250)
    client.quit()
    harness.contains(site.records("message")[0]["delivery_fault"], f"{DIRECTORY}: No space left on device")


@harness.table(accept=("default-action=accept",), tempfail=("default-action=tempfail",))
def test_a_replacement_body_above_size_limit_refuses_the_message(action):
    """The client can bring that about, so it is no failure of the filter, which sees the next message."""
    filter_ = Filter(E=frame("b", b"x" * 60_000) * 2 + frame("c"))
    site = site_with(filter_.line(action), size_limit="100000")
    client = begin(site)
    harness.equal(client.message(harness.sample()).code, 552)
    filter_.answers["E"] = filters.reply("550 5.7.1 not that")
    harness.contains(str(client.message(harness.sample())), "not that")
    client.quit()
    assert "delivery_fault" not in record(site), record(site)
    harness.equal(site.everything(), [])


def rewrite_subjects(_, conversation):
    fields = [field for field in conversation.owner.got("L") if field.startswith(b"Subject\0")]
    return b"".join(filters.change(1, "Subject", "*" + field[8:-1].decode()) for field in 2 * fields) + frame("c")


BEYOND = {
    "fields": (b"a:\r\n" * 16383, filters.add("X-Spam", "Yes") + frame("c")),
    "text": ((b"Subject: " + b"x" * 60_000 + b"\r\n") * 17, rewrite_subjects),
}


@harness.table_of({f"{name} {action.split('=')[1]}": (*row, action) for name, row in BEYOND.items()
                   for action in ("default-action=accept", "default-action=tempfail")})
def test_a_header_that_has_no_room_for_an_edit_refuses_the_message(header, answer, action):
    filter_ = Filter(E=answer)
    site = site_with(filter_.line(action))
    client = begin(site)
    harness.equal(str(client.message(header + b"\r\nbody\r\n")), "552 5.3.4 Header too big for the filters here")
    filter_.answers["E"] = filters.reply("550 5.7.1 not that")
    harness.contains(str(client.message(harness.sample())), "not that")
    client.quit()
    assert "delivery_fault" not in record(site), record(site)
    harness.equal(site.everything(), [])


def test_a_filter_may_replace_each_of_many_recipients():
    names = [f"<r{n}@{DOMAIN}>" for n in range(600)]
    filter_ = Filter(E=b"".join(frame("-", filters.strings(name)) for name in names) +
                     b"".join(frame("+", filters.strings(RECIPIENT)) for name in names) + frame("c"))
    site = site_with(filter_.line())
    client = begin(site)
    client.say(f"MAIL FROM:<{SENDER}>", 250)
    for name in names:
        client.say(f"RCPT TO:{name}", 250)
    client.say("DATA", 354)
    harness.equal(client.content(harness.sample()).code, 250)
    client.quit()
    assert "delivery_fault" not in record(site), record(site)


def test_accept_ends_the_events_of_a_message_only():
    filter_ = Filter(M=frame("a"))
    site = site_with(filter_.line())
    client = site.connect()
    client.ehlo()
    for _ in range(2):
        harness.equal(client.message(harness.sample()).code, 250)
    client.quit()
    harness.equal(filter_.events(), "OCHMAMAQ")


def test_accept_at_connect_ends_all_events():
    filter_ = Filter(C=frame("a"))
    site = site_with(filter_.line())
    client = site.connect()
    client.ehlo()
    for _ in range(2):
        harness.equal(client.message(harness.sample()).code, 250)
    client.quit()
    assert set(filter_.events()) <= set("OCAQ"), filter_.events()


@harness.table_of({event: (event,) for event in "MRTLNBE"})
def test_a_discarded_message_is_accepted_and_not_delivered(event):
    filter_ = Filter(**{event: frame("d")})
    site = site_with(filter_.line())
    client = site.connect()
    client.ehlo()
    harness.equal(client.message(harness.sample()).code, 250)
    filter_.answers = {}
    harness.equal(client.message(harness.sample()).code, 250)
    client.quit()
    harness.equal(len(site.everything()), 1)
    harness.equal([r["outcome"] for r in site.records("message")], ["discarded", "delivered"])


def address(name):
    return f"{name}@{DOMAIN}"


def boxes(site):
    return sorted(str(p.relative_to(site.root)).split("/")[0] for p in site.everything())


def test_recipients_are_removed_and_added_by_our_own_tables():
    edits = (frame("-", b"<bob@example.org>\0") + frame("+", filters.strings(address("carl"))) +
             frame("2", b"<dora@example.org>\0") + frame("+", b"<eve@example.com>\0") + frame("c"))
    filter_ = Filter(E=edits)
    site = site_with(filter_.line(), maildir="%u")
    client = site.connect()
    client.ehlo()
    harness.equal(client.message(harness.sample(), recipients=(address("alice"), address("bob"))).code, 250)
    client.quit()
    harness.equal(boxes(site), ["alice", "carl", "dora"])
    assert not (site.root / "bob").exists()
    harness.contains(record(site)["delivery_fault"], "<eve@example.com>: No mail is accepted here for that domain")
    harness.equal(record(site)["to"], ",".join(f"<{address(name)}>" for name in ("alice", "carl", "dora")))


def test_recipients_of_filters_have_no_reply_in_lmtp():
    edits = frame("-", b"<bob@example.org>\0") + frame("+", b"<carl@example.org>\0") + frame("c")
    filter_ = Filter(E=edits)
    site = site_with(filter_.line(), maildir="%u")
    site.arguments = ["--lmtp"]
    client = site.connect()
    client.lhlo()
    harness.equal(client.message(harness.sample(), recipients=(address("alice"), address("bob"))).code, 250)
    client.expect(250)
    client.quit()
    harness.equal(boxes(site), ["alice", "carl"])


def test_a_message_without_recipients_left_is_discarded():
    filter_ = Filter(E=frame("-", f"<{RECIPIENT}>\0".encode()) + frame("c"))
    site = site_with(filter_.line())
    send(site)
    harness.equal(site.everything(), [])
    harness.equal(record(site)["outcome"], "discarded")


def test_a_changed_sender_is_in_return_path():
    filter_ = Filter(E=frame("e", b"<other@example.net>\0") + filters.insert(0, "X-A", "1") + frame("c"))
    site = site_with(filter_.line())
    send(site)
    text = site.only_message().read_bytes()
    assert text.startswith(b"Return-Path: <other@example.net>\nDelivered-To:"), text[:100]
    harness.contains(text.decode(errors="replace"), "\nX-A: 1\nReceived:")


def test_a_sender_that_is_no_address_changes_nothing():
    filter_ = Filter(E=frame("e", b"<a@b>\nX: <c@d>\0") + frame("c"))
    site = site_with(filter_.line())
    send(site)
    harness.check_stored(site.only_message(), harness.sample())
    harness.contains(record(site)["delivery_fault"], "is no address of a sender")


def test_a_quarantine_is_no_verdict_and_has_its_own_mailbox():
    filter_ = Filter(E=frame("q", b"too \"odd\"\0") + frame("c"))
    site = site_with(filter_.line(), maildir="%u", quarantine_mailbox="odd/box")
    client = site.connect()
    client.ehlo()
    harness.equal(client.message(harness.sample(), recipients=(address("alice"), address("bob"))).code, 250)
    filter_.answers = {}
    harness.equal(client.message(harness.sample(), recipients=(address("alice"),)).code, 250)
    client.quit()
    harness.equal(boxes(site), ["alice", "odd"])
    first, rest = harness.split_trace(site.new(site.root / "odd/box")[0].read_bytes().replace(
        b'X-Postern-Quarantine: too \\x22odd\\x22\n', b"", 1))
    harness.equal(rest, harness.sample().replace(b"\r\n", b"\n"))
    harness.equal(len([line for line in first if line.startswith("Received")]), 1)
    harness.equal(site.records("message")[0]["quarantine"], r"too \x22odd\x22")


def test_a_quarantine_behind_which_a_refusal_comes_refuses():
    filter_ = Filter(E=frame("q", b"odd\0") + filters.reply("550 5.7.1 no"))
    site = site_with(filter_.line(), quarantine_mailbox="odd")
    send(site, code=550)
    harness.equal(site.everything(), [])


def test_a_quarantine_without_a_mailbox_is_a_fault():
    filter_ = Filter(E=frame("q", b"odd\0") + frame("c"))
    site = site_with(filter_.line())
    send(site, code=451)
    harness.contains(record(site)["delivery_fault"], "quarantine-mailbox is not set")


def test_the_default_action_may_be_a_quarantine():
    filter_ = Filter(B=None)
    site = site_with(filter_.line("default-action=quarantine"), quarantine_mailbox="odd")
    send(site)
    harness.equal(boxes(site), ["odd"])
    site.set(quarantine_mailbox=None)
    done = harness.run(*site.command(), "--check")
    harness.contains(done.stdout, "needs the setting quarantine-mailbox")


def test_changes_of_the_envelope_need_their_verdict():
    edits = frame("+", b"<carl@example.org>\0") + frame("e", b"<x@example.net>\0") + frame("-", b"<printer@example.org>\0")

    def half(_, conversation):
        conversation.connection.sendall(edits)

    filter_ = Filter(E=half)
    site = site_with(filter_.line("default-action=accept"), maildir="%u")
    send(site)
    harness.equal(boxes(site), ["printer"])
    assert site.everything()[0].read_bytes().startswith(f"Return-Path: <{SENDER}>".encode())


def test_what_was_not_negotiated_is_a_fault():
    filter_ = Filter(actions=0x1, E=filters.change(1, "Subject", "x") + frame("c"))
    site = site_with(filter_.line())
    send(site, code=451)
    harness.contains(record(site)["delivery_fault"], "asks for what it has not negotiated")


def test_rset_aborts_at_the_filter():
    filter_ = Filter()
    site = site_with(filter_.line())
    client = site.connect()
    client.ehlo()
    client.say(f"MAIL FROM:<{SENDER}>", 250)
    client.say("RSET", 250)
    client.say(f"MAIL FROM:<{SENDER}>", 250)
    client.quit()
    harness.eventually(lambda: filter_.conversations[0].ended, "its end")
    harness.equal(filter_.events(), "OCHMAMAQ")


def test_helo_comes_again_after_starttls():
    filter_ = Filter()
    site = site_with(filter_.line(), tls="on").set(pair=harness.pair())
    client = site.connect()
    client.ehlo()
    harness.equal(client.message(harness.sample()).code, 250)
    client.starttls()
    client.ehlo()
    harness.equal(client.message(harness.sample()).code, 250)
    client.quit()
    harness.equal(filter_.events().count("C"), 1)
    harness.equal(filter_.events().count("H"), 2)
    assert filter_.macros_of("H")["{tls_version}"].startswith("TLS"), filter_.macros_of("H")


def test_lmtp_and_chunks():
    filter_ = Filter(E=filters.add("X-A", "1") + frame("c"))
    site = site_with(filter_.line(), maildir="%u")
    site.arguments = ["--lmtp"]
    client = site.connect()
    client.lhlo()
    client.say(f"MAIL FROM:<{SENDER}>", 250)
    for name in ("alice", "bob"):
        client.say(f"RCPT TO:<{name}@{DOMAIN}>", 250)
    data = harness.sample()
    client.send(b"BDAT 10\r\n" + data[:10])
    client.expect(250)
    client.send(b"BDAT %d LAST\r\n" % (len(data) - 10) + data[10:])
    client.expect(250)
    client.expect(250)
    client.quit()
    for name in ("alice", "bob"):
        harness.contains(site.new(site.root / name)[0].read_text(errors="replace"), "\nX-A: 1\n\n")


@harness.table(sandbox="yes", no_sandbox="no")
def test_each_connection_of_a_listener_has_its_own_conversation(sandbox):
    filter_ = Filter(E=filters.add("X-A", "1") + frame("c"))
    here = listening_with(filter_, sandbox=sandbox)
    for _ in range(2):
        client = here.client()
        client.ehlo()
        harness.equal(client.message(harness.sample()).code, 250, here.log_text())
        client.quit()
    harness.equal([filter_.events(n) for n in range(2)], ["OCHMRT" + "L" * 8 + "NBEAQ"] * 2)
    harness.equal(len(here.new()), 2)
    for path in here.new():
        harness.contains(path.read_text(errors="replace"), "\nX-A: 1\n\n")


def test_a_listener_reaches_filters_of_tcp():
    filter_ = Filter(tcp=True)
    here = listening_with(filter_)
    client = here.client()
    client.ehlo()
    harness.equal(client.message(harness.sample()).code, 250, here.log_text())
    client.quit()
    harness.equal(filter_.events()[-3:], "EAQ")


def test_a_listener_reads_a_changed_file():
    first, second = Filter(), Filter()
    here = listening_with(first)
    client = here.client()
    client.ehlo()
    harness.equal(client.message(harness.sample()).code, 250)
    client.quit()
    (here.dir / "milters").write_text(second.line())

    def is_changed():
        client = here.client()
        client.ehlo()
        harness.equal(client.message(harness.sample()).code, 250)
        client.quit()
        return second.conversations

    harness.eventually(is_changed, "a connection to the other filter")


def test_a_listener_without_its_filter_takes_no_mail():
    filter_ = Filter()
    filter_.close()
    filter_.path.unlink()
    here = listening_with(filter_)
    client = here.client()
    client.ehlo()
    client.say(f"MAIL FROM:<{SENDER}>", 451)
    client.quit()


def test_a_filter_of_tcp():
    filter_ = Filter(tcp=True)
    site = site_with(filter_.line())
    send(site)
    harness.equal(filter_.events()[-3:], "EAQ")


def test_a_wrong_file_is_a_fault_and_no_mail_is_taken():
    site = site_with("unix:/x\ntcp:127.0.0.1:1\nunix:/y default-action=no\n")
    client = site.connect(greeting=False)
    client.expect(421)
    client.wait()
    done = harness.run(*site.command(), "--check")
    assert done.returncode == 78, done
    for line in (":2: ", ":3: "):
        harness.contains(done.stdout, f"{site.dir}/milters{line}")
    harness.equal(site.everything(), [])


def begin(site):
    client = site.connect()
    client.ehlo()
    return client


@harness.table(tempfail=("tempfail", 451), reject=("reject", 550))
def test_no_mail_passes_a_filter_that_failed_at_a_recipient(action, code):
    asked = []

    def second_is_the_last(*_):
        asked.append(1)
        return frame("c") if len(asked) < 2 else None

    for answer, first in ((None, code), (second_is_the_last, 250)):
        filter_ = Filter(path=harness.scratch() / "filter.sock", R=answer)
        site = site_with(filter_.line(f"default-action={action}"), maildir="%u")
        client = begin(site)
        client.say(f"MAIL FROM:<{SENDER}>", 250)
        client.say(f"RCPT TO:<{address('alice')}>", first)
        client.say(f"RCPT TO:<{address('bob')}>", code)
        client.send("DATA\r\n")
        if client.reply().code == 354:
            harness.equal(client.content(harness.sample()).code, code)
        client.quit()
        harness.equal(boxes(site), [])


@harness.table(long=(b"X-Big: " + b"a" * 900 + b"\r\n", 1400), many=(b"X: a\r\n", 16500))
def test_a_header_that_filters_cannot_be_shown_is_refused_whatever_the_default_action_is(line, n):
    filter_ = Filter(E=frame("r"))
    site = site_with(filter_.line("default-action=accept"))
    client = begin(site)
    harness.equal(client.message(line * n + harness.sample()).code, 552)
    # and the filter is asked about the next
    harness.equal(client.message(harness.sample()).code, 550)
    client.quit()


@harness.table_of({event: (event,) for event in "LNB"})
def test_a_filter_that_discards_gets_no_more_of_the_message(event):
    discarded = []

    def discard(*_):
        discarded.append(1)
        return frame("d")

    def go_on(*_):
        return b"" if discarded else frame("c")

    filter_ = Filter(**{**dict.fromkeys("LNBE", go_on), event: discard})
    site = site_with(filter_.line("command-timeout=2s", "content-timeout=2s"))
    reply = send(site)
    harness.equal(record(site)["outcome"], "discarded")
    harness.contains(str(reply), record(site)["id"])


def test_a_refusal_of_the_session_keeps_its_words():
    n = []

    def refuse_the_second(*_):
        n.append(1)
        return filters.reply("550 5.7.1 second message") if len(n) == 2 else frame("c")

    first = Filter(path=harness.scratch() / "a.sock", M=refuse_the_second)
    second = Filter(path=harness.scratch() / "b.sock", C=filters.reply("451 4.7.9 of the session"))
    client = begin(site_with(first.line(), second.line()))
    client.say(f"MAIL FROM:<{SENDER}>", 451, "of the session")
    client.say(f"MAIL FROM:<{SENDER}>", 550, "second message")
    client.say(f"MAIL FROM:<{SENDER}>", 451, "of the session")
    client.quit()


def test_a_message_whose_only_new_recipient_is_refused_is_refused():
    filter_ = Filter(E=frame("-", b"<alice@example.org>\0") + frame("+", b"<zed@elsewhere.example>\0") + frame("c"))
    site = site_with(filter_.line(), maildir="%u")
    client = begin(site)
    assert client.message(harness.sample(), recipients=(address("alice"),)).code >= 500
    client.quit()
    harness.equal(boxes(site), [])


def test_a_quarantined_message_is_not_reported_as_delivered():
    filter_ = Filter(E=frame("q", b"spam\0") + frame("c"))
    site = site_with(filter_.line(), maildir="%u", quarantine_mailbox="odd")
    outbox = site.dir / "outbox"
    outbox.mkdir()
    site.set(dsn_outbox=outbox)
    client = begin(site)
    client.say(f"MAIL FROM:<{SENDER}>", 250)
    client.say(f"RCPT TO:<{address('alice')}> NOTIFY=SUCCESS", 250)
    client.say("DATA", 354)
    harness.equal(client.content(harness.sample()).code, 250)
    client.quit()
    harness.equal(boxes(site), ["odd"])
    harness.equal([path for path in outbox.rglob("*") if path.is_file()], [])


@harness.table(some=(0x11, filters.NO["B"], "actions: add-headers change-headers; steps: no-body"),
               nothing=(0, 0, "actions: none; steps: all"))
def test_check_names_what_a_filter_wants(actions, steps, text):
    filter_ = Filter(actions=actions, steps=steps)
    site = site_with(filter_.line())
    done = harness.run(*site.command(), "--check")
    harness.equal(done.returncode, 0, done.stdout)
    harness.contains(done.stdout, f"unix:{filter_.path} version 6; {text}\n")


@harness.table(http=(b"HTTP/1.1 400 Bad\r\n",), version=(frame("O", struct.pack(">III", 9, 1, 1)),))
def test_check_finds_what_is_no_filter(answer):
    filter_ = Filter(negotiate=answer)
    site = site_with(filter_.line())
    done = harness.run(*site.command(), "--check")
    harness.equal(done.returncode, 78, done.stdout)
    harness.contains(done.stdout, f"unix:{filter_.path}")


class Web(http.server.BaseHTTPRequestHandler):
    """A server that closes without a word, or waits, when it gets no request."""

    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def send_error(self, *_):  # pylint: disable=arguments-differ
        self.close_connection = True

    def log_message(self, *_):  # pylint: disable=arguments-differ
        pass


def test_check_asks_a_server_that_says_nothing_with_http():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Web)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    site = site_with("inet:127.0.0.1:%d command-timeout=1s\n" % server.server_port)
    done = harness.run(*site.command(), "--check")
    server.shutdown()
    harness.equal(done.returncode, 78, done.stdout)
    harness.contains(done.stdout, "answers in HTTP: this is not its milter port")


@harness.table(closes=(None, "closed the connection"), waits=(b"", "no answer within 1 s"))
def test_check_names_what_is_wrong_with_what_is_no_server_of_http(answer, text):
    filter_ = Filter(O=answer)
    site = site_with(filter_.line("command-timeout=1s"))
    done = harness.run(*site.command(), "--check")
    harness.equal(done.returncode, 78, done.stdout)
    harness.contains(done.stdout, text)


@harness.table(socket=(0o770, 0o755, "filter.sock"), folder=(0o777, 0o750, "run"), neither=(0o777, 0o755, None))
def test_check_by_root_names_a_socket_that_others_cannot_reach(mode, above, named):
    harness.need_root()
    run = harness.scratch() / "run"
    run.parent.chmod(0o755)
    run.mkdir()
    filter_ = Filter(path=run / "filter.sock")
    filter_.path.chmod(mode)
    run.chmod(above)
    site = site_with(filter_.line())
    done = harness.run(*site.command(), "--check")
    harness.equal(done.returncode, 0, done.stdout)
    text = "can be connected to by root; another user, and root without CAP_DAC_OVERRIDE, needs the group of "
    if named:
        harness.contains(done.stdout, f"{text}{run if named == 'run' else filter_.path}: ")
    else:
        assert text not in done.stdout, done.stdout


NOBODY = 65534
OWNER_ALONE = "; only its owner, and root with CAP_DAC_OVERRIDE, may connect: let the filter make it with mode 0660 and a group of its own"
ITS_GROUP = "; its group may connect: put SupplementaryGroups= with that into a drop-in of this unit; see ls -l "
ITS_DIRECTORY = ("; the group of its directory may pass it: put SupplementaryGroups= with that into a drop-in of this unit; "
                 "see ls -ld {folder}")
CLOSED = "; the directory {folder} is closed to the user "


@harness.table(
    same_owner=(NOBODY, 2, 0o700, 0o755, 0, None),
    member=(1, 2, 0o770, 0o755, 2, None),
    all_users=(1, 2, 0o777, 0o755, 0, None),
    another_owner=(1, 2, 0o700, 0o755, 0, OWNER_ALONE),
    another_owner_and_read_alone=(1, 2, 0o755, 0o755, 2, OWNER_ALONE),
    group_of_root=(1, 0, 0o770, 0o755, 0, OWNER_ALONE),
    another_group=(1, 2, 0o770, 0o755, 0, ITS_GROUP),
    same_owner_without_the_right=(NOBODY, 2, 0o077, 0o755, 2, "; its owner must have the right to write: chmod u+w "),
    directory=(NOBODY, 2, 0o777, 0o700, 0, CLOSED),
    directory_of_a_group=(NOBODY, 2, 0o777, 0o750, 0, ITS_DIRECTORY),
    directory_of_the_group_of_root=(NOBODY, 0, 0o777, 0o750, 0, CLOSED))
def test_check_names_who_may_connect_to_a_socket(owner, group, mode, above, joined, cure):
    """As user and group 65534, and perhaps one group more."""
    harness.need_root()
    run = harness.scratch() / "run"
    run.parent.chmod(0o755)
    run.mkdir()
    filter_ = Filter(path=run / "filter.sock")
    os.chown(filter_.path, owner, group)
    os.chown(run, 0, group)
    filter_.path.chmod(mode)
    run.chmod(above)
    site = site_with(filter_.line())
    groups = f"--groups={joined}" if joined else "--clear-groups"
    done = harness.run("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", groups, *site.command(), "--check")
    denied = f"{filter_.address} cannot connect: Permission denied"
    if cure:
        harness.contains(done.stdout, denied + cure.format(folder=run))
        harness.equal(len(filter_.conversations), 0)
    else:
        assert denied not in done.stdout, done.stdout
        harness.contains(done.stdout, f"{filter_.address} version 6; actions: ")


@harness.table(directory=("", "Connection refused"), file=("/postern.conf", "Connection refused"),
               in_a_file=("/postern.conf/x", "Not a directory"))
def test_check_names_a_path_that_is_no_socket(path, error):
    site = Site()
    site.set(milters=site.dir / "milters")
    (site.dir / "milters").write_text(f"unix:{site.dir}{path}\n")
    done = harness.run(*site.command(), "--check")
    harness.equal(done.returncode, 78)
    harness.contains(done.stdout, f"unix:{site.dir}{path} cannot connect: {error}; that is no socket: name the path that "
                                  "the settings of the filter have")


TWO_RIGHTS = ("setpriv", "--bounding-set=-all,+setuid,+setgid")  # those of the drop-in for mail for users of the system


@harness.table_of({f"{rights}, {how}": (*row, how == "listener") for how in ("listener", "alone") for rights, row in {
    "all rights": ((), 0o700, 250), "two rights": ((*TWO_RIGHTS, "--clear-groups"), 0o770, 451),
    "two rights and its group": ((*TWO_RIGHTS, "--groups=2"), 0o770, 250)}.items()})
def test_root_connects_with_the_rights_that_it_was_started_with(wrap, mode, code, listens):
    """Connections are of the user nobody, and a broker delivers; what connects to filters is root, with his groups."""
    harness.need("setpriv")
    place = Homes(maildir_create="auto")
    filter_ = Filter()
    filter_.path.chmod(mode)
    os.chown(filter_.path, 1, 2)
    path = place.site.dir / "milters"
    path.write_text(filter_.line())
    place.site.set(milters=path)
    if listens:
        names = ("mail_root", "maildir", "maildir_create", "recipients", "first_valid_uid", "last_valid_uid", "milters")
        here = Listening(**{key: value for key, value in place.site.settings.items() if key in names})
        client = here.listen(wrap=wrap).client()
    else:
        client = place.site.connect(wrap=wrap)
    client.ehlo()
    client.say(f"MAIL FROM:<{SENDER}>", code)
    client.quit()
    done = harness.run(*wrap, *place.site.command(), "--check")
    shown = "cannot connect: Permission denied; its group may connect" if code == 451 else "can be connected to by root"
    harness.contains(done.stdout, shown)


if __name__ == "__main__":
    harness.main()
