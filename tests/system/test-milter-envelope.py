#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""What filters change of the envelope: each recipient is looked up in our own tables, no recipient reads about another
one, and reports of success are about what was delivered."""

import os
import re

import filters
import harness
from filters import Filter, frame
from harness import DOMAIN, SENDER, Site
from mailboxes import OTHER, give, make_maildir

TABLE = f"""\
alice alice
bob bob
carl carl
all alice,carl
team carl
@elsewhere.example.org elsewhere
"""


def address(name):
    return f"{name}@{DOMAIN}"


def path_frame(command, path, *parameters):
    return frame(command, filters.strings(path, *parameters))


def at_end(*edits):
    return {"E": b"".join(edits) + frame("c")}


def site_with(filter_, *words, arguments=(), **settings):
    site = Site(**{"maildir": "%u", **settings})
    path = site.dir / "milters"
    path.write_text(filter_.line(*words))
    site.arguments = list(arguments)
    return site.set(milters=path)


def begin(site):
    client = site.connect()
    (client.lhlo if site.arguments else client.ehlo)()
    return client


def begin_by(site, tls):
    """The same, inside TLS where tls is "on"."""
    if tls == "on":
        site.set(pair=harness.pair())
    client = begin(site)
    if tls == "on":
        client.starttls()
        client.ehlo()
    return client


def send(client, *names, parameters="", sender=SENDER, mail=""):
    """The first reply to the content."""
    client.say(f"MAIL FROM:<{sender}>{mail}", 250)
    for name in names:
        client.say(f"RCPT TO:<{address(name)}>{parameters}", 250)
    client.say("DATA", 354)
    return client.content(harness.sample())


def boxes(site):
    return sorted(str(path.relative_to(site.root)).split("/")[0] for path in site.everything())


def delivered(site):
    """The trace header of the message in each mailbox."""
    return {box: harness.split_trace(site.new(site.root / box)[0].read_bytes())[0] for box in set(boxes(site))}


def record(site):
    return harness.eventually(lambda: site.records("message"), "a record")[-1]


OTHERS = {
    "added": (path_frame("+", f"<{address('carl')}>"), ("alice",), ["alice", "carl"]),
    "removed": (path_frame("-", f"<{address('bob')}>"), ("alice", "bob"), ["alice"]),
    "replaced": (path_frame("-", f"<{address('alice')}>") + path_frame("+", f"<{address('carl')}>"), ("alice",), ["carl"]),
    "with_an_edit": (path_frame("+", f"<{address('carl')}>") + filters.insert(0, "X-A", "1"), ("alice",), ["alice", "carl"]),
}


@harness.table_of({f"{name} {tls}": (*row, tls) for name, row in OTHERS.items() for tls in ("off", "on")})
def test_a_recipient_that_the_client_did_not_name_reads_of_no_other(edits, names, expected, tls):
    filter_ = Filter(**at_end(edits))
    site = site_with(filter_, tls=tls)
    client = begin_by(site, tls)
    harness.equal(send(client, *names).code, 250)
    client.quit()
    harness.equal(boxes(site), expected)
    for path in site.everything():
        text = path.read_text(errors="replace").split("\nFrom: ")[0]
        assert "@" + DOMAIN not in text, text
        received = re.search(r"(?s)\nReceived: from .*", text).group().replace("\n\t", " ")
        harness.contains(received, f" id {record(site)['id']}" + (";" if tls == "off" else " tls "))
        harness.equal(received.count(";"), 1)


@harness.table(quoted='"alice"', escaped='"al\\ice"', capital_letters='"Alice"')
def test_a_recipient_is_removed_whatever_quotes_the_client_wrote(name):
    filter_ = Filter(**at_end(path_frame("-", f"<{address('alice')}>"), path_frame("+", f"<{address('carl')}>")))
    site = site_with(filter_)
    client = begin(site)
    harness.equal(send(client, name).code, 250)
    client.quit()
    harness.equal(boxes(site), ["carl"])


@harness.table(added=path_frame("+", address("alice")), twice=path_frame("+", f'<"Alice"@{DOMAIN}>') * 2, nothing=b"",
               replaced_by_itself=path_frame("-", address("alice")) + path_frame("+", address("alice")))
def test_a_single_recipient_of_the_client_is_named_as_ever(edits):
    filter_ = Filter(**at_end(filters.insert(0, "X-A", "1"), edits))
    site = site_with(filter_)
    client = begin(site)
    harness.equal(send(client, "alice").code, 250)
    client.quit()
    text = site.everything()[0].read_text(errors="replace")
    harness.contains(text, f"Delivered-To: {address('alice')}\nX-A: 1\nReceived: ")
    harness.contains(text, f"\n\tfor <{address('alice')}>;\n")
    harness.equal(record(site)["to"], f"<{address('alice')}>")


def test_with_original_to_each_mailbox_names_its_own_recipients():
    filter_ = Filter(**at_end(path_frame("+", f"<{address('carl')}>")))
    site = site_with(filter_, original_to="yes")
    client = begin(site)
    harness.equal(send(client, "alice").code, 250)
    client.quit()
    for box, trace in delivered(site).items():
        harness.equal([line for line in trace if "@" + DOMAIN in line],
                      [f"X-Original-To: {address(box)}", f"Delivered-To: {address(box)}"])


ADDED = {
    "alias_of_several": (address("all"), ["alice", "bob", "carl"]),
    "alias": (address("team"), ["bob", "carl"]),
    "detail": (address("carl+lists"), ["bob", "carl"]),
    "capital_letters": ("CARL@EXAMPLE.ORG", ["bob", "carl"]),
    "that_is_one_already": (address("bob"), ["bob"]),
    "twice": (address("carl") + ">\0|<" + address("carl"), ["bob", "carl"]),
}


@harness.table_of(ADDED)
def test_an_added_recipient_is_looked_up_like_one_of_a_client(added, expected):
    filter_ = Filter(**at_end(*[path_frame("+", f"<{path}>") for path in added.split(">\0|<")]))
    site = site_with(filter_, subaddress_delimiter="+")
    (site.dir / "recipients").write_text(TABLE)
    site.set(recipients=site.dir / "recipients")
    client = begin(site)
    harness.equal(send(client, "bob").code, 250)
    client.quit()
    harness.equal(boxes(site), expected)
    assert "delivery_fault" not in record(site), record(site)


@harness.table(alone=("off", False), inside_tls=("on", False), as_the_owner=("off", True))
def test_a_filter_may_add_a_recipient_that_is_not_ascii(tls, brokered):
    filter_ = Filter(**at_end(path_frame("-", f"<{address('alice')}>"), path_frame("+", f"<{address('JÜRGEN')}>")))
    site = site_with(filter_, tls=tls)
    if brokered:
        give(make_maildir(site.root / "jürgen"), OTHER)
    client = begin_by(site, tls)
    harness.equal(send(client, "alice", mail=" SMTPUTF8").code, 250)
    harness.equal(send(client, "alice", "bob").code, 250)
    client.quit()
    harness.equal(boxes(site), ["bob", "jürgen"])
    first, second = harness.eventually(lambda: len(found := site.records("message")) == 2 and found, "two records")
    assert "delivery_fault" not in first, first
    harness.contains(second["delivery_fault"], "is no address that can be added")


NOT_ADDED = {
    "foreign": ("eve@example.com", "No mail is accepted here for that domain", 250),
    "unknown": (address("nobody"), "No such mailbox", 250),
    "no_address": ("a b", "is no address that can be added", 250),
    "null": ("", "is no address that can be added", 250),
}


@harness.table_of(NOT_ADDED)
def test_a_recipient_that_cannot_be_added_is_recorded_and_the_others_get_the_message(added, words, code):
    filter_ = Filter(**at_end(path_frame("+", f"<{added}>")))
    site = site_with(filter_)
    (site.dir / "recipients").write_text(TABLE)
    site.set(recipients=site.dir / "recipients")
    client = begin(site)
    harness.equal(send(client, "bob").code, code)
    client.quit()
    harness.equal(boxes(site), ["bob"])
    harness.contains(record(site)["delivery_fault"], words)


def test_a_mailbox_of_an_added_recipient_that_is_broken_defers_the_message():
    """Otherwise that recipient would never get it, and nobody would know."""
    filter_ = Filter(**at_end(path_frame("+", f"<{address('carl')}>")))
    site = site_with(filter_)
    (site.root / "carl").mkdir()
    (site.root / "carl" / "new").write_text("no directory")
    client = begin(site)
    harness.equal(send(client, "bob").code, 451)
    client.quit()
    harness.equal(boxes(site), ["carl"])  # the file
    harness.contains(record(site)["delivery_fault"], "/carl/new: is not a directory")


def outbox_of(site):
    outbox = site.dir / "outbox"
    outbox.mkdir()
    site.set(dsn_outbox=outbox)
    return outbox


REPORTS = {
    "delivered": (b"", ["alice", "bob"]),
    "one_removed": (path_frame("-", f"<{address('bob')}>"), ["alice"]),
    "both_removed": (path_frame("-", f"<{address('bob')}>") + path_frame("-", f"<{address('alice')}>"), []),
    "one_replaced_by_itself": (path_frame("-", f"<{address('bob')}>") + path_frame("+", f"<{address('bob')}>"), ["alice", "bob"]),
    "one_added": (path_frame("2", f"<{address('carl')}>", "NOTIFY=SUCCESS"), ["alice", "bob"]),
    "quarantined": (path_frame("q", "odd"), []),
    "sender_changed": (path_frame("e", "<other@client.example.net>"), ["alice", "bob"]),
}


@harness.table_of({**{name: (edits + frame("c"), told) for name, (edits, told) in REPORTS.items()},
                   "discarded": (frame("d"), [])})
def test_reports_of_success_are_about_what_was_delivered(answer, reported):
    filter_ = Filter(E=answer)
    site = site_with(filter_, quarantine_mailbox="odd")
    outbox = outbox_of(site)
    client = begin(site)
    harness.equal(send(client, "alice", "bob", parameters=" NOTIFY=SUCCESS").code, 250)
    client.quit()
    found = [path.read_text(errors="replace") for path in outbox.glob("new/*")]
    harness.equal(len(found), 1 if reported else 0)
    for name in ("alice", "bob", "carl"):
        harness.equal(any(f"Final-Recipient: rfc822; {address(name)}" in text for text in found), name in reported, name)
    if reported:
        assert found[0].startswith(f"To: <{SENDER}>"), found


EACH = harness.table(lmtp=(("--lmtp",), ""), prdr=((), " PRDR"))


@EACH
def test_each_recipient_has_a_verdict_of_its_own(arguments, mail):
    """Refused at RCPT is one, refused at the end are all; and what one mailbox cannot have another one gets."""

    def judge(data, _):
        return frame("r") if b"bob" in data else frame("c")

    filter_ = Filter(R=judge, **at_end(filters.add("X-A", "1")))
    site = site_with(filter_, arguments=arguments)
    client = begin(site)
    client.say(f"MAIL FROM:<{SENDER}>{mail}", 250)
    for name, code in (("alice", 250), ("bob", 550), ("carl", 250)):
        client.say(f"RCPT TO:<{address(name)}>", code)
    client.say("DATA", 354)
    (site.root / "carl").mkdir()
    (site.root / "carl" / "new").write_text("no directory")
    replies = [client.content(harness.sample()).code]
    if mail:
        harness.equal(replies, [353])
        replies = [client.reply().code]
    replies.append(client.reply().code)
    if mail:
        client.expect(250)
    client.quit()
    harness.equal(replies[0], 250)
    assert 400 <= replies[1] < 500, replies
    harness.contains(site.new(site.root / "alice")[0].read_text(errors="replace"), "\nX-A: 1\n")


@EACH
def test_a_refusal_at_the_end_is_that_of_each_recipient(arguments, mail):
    filter_ = Filter(E=filters.reply("554 5.7.9 not wanted"))
    site = site_with(filter_, arguments=arguments)
    client = begin(site)
    first = send(client, "alice", "bob", mail=mail)
    harness.equal((first.code, "not wanted" in str(first)), (554, True))
    if not mail:
        client.expect(554, "5.7.9 not wanted")
    client.quit()
    harness.equal(boxes(site), [])


@EACH
def test_a_removed_recipient_is_not_told_of_a_delivery_that_failed(arguments, mail):
    """The one that is there in its place has no disk left, and nobody reads the reply of that one."""
    filter_ = Filter(**at_end(path_frame("-", f"<{address('alice')}>"), path_frame("+", f"<{address('bob')}>")))
    site = site_with(filter_, arguments=arguments)
    disk = harness.small_file_system(site.root / "bob", "256k")
    for part in ("new", "cur", "tmp"):
        (disk / part).mkdir()
    harness.fill(disk)
    client = begin(site)
    client.say(f"MAIL FROM:<{SENDER}>{mail}", 250)
    client.say(f"RCPT TO:<{address('alice')}>", 250)
    client.say(f"RCPT TO:<{address('carl')}>", 250)
    client.say("DATA", 354)
    harness.equal(client.content(harness.sample(lines=2000)).code, 353 if mail else 452)
    for _ in range(3 if mail else 1):
        client.expect(452)
    client.quit()
    harness.equal(list(site.root.glob("*/new/*")), [])
    harness.contains(record(site)["delivery_fault"], "/bob/new: No space left on device")


REMOVED, BOB_ADDED = path_frame("-", f"<{address('alice')}>"), path_frame("+", f"<{address('bob')}>")
LATE_FAULTS = {"replaced": (REMOVED + BOB_ADDED, ("alice",), "linkat", "1"),
               "replaced_and_another": (REMOVED + BOB_ADDED, ("carl", "alice"), "linkat", "2"),
               "added": (BOB_ADDED, ("alice", "carl"), "linkat", "3"),
               "added_sync": (BOB_ADDED, ("alice", "carl"), "fsync", "3+")}


@harness.table_of({f"{name} {how} {who}": (*row, *each, who) for name, row in LATE_FAULTS.items()
                   for how, each in (("smtp", ((), "")), ("lmtp", (("--lmtp",), "")), ("prdr", ((), " PRDR")))
                   for who in ("itself", "broker")})
def test_no_copy_of_an_added_recipient_is_lost_when_others_are_stored(edits, names, call, when, arguments, mail, who):
    """The client gets no reply for bob, and would never send the message again if only bob's copy fails: the others
    give theirs back, and all are refused for now."""
    filter_ = Filter(**at_end(edits))
    site = site_with(filter_, arguments=arguments, sandbox="no")
    if who == "broker":
        harness.need_root("a broker")
        for name in ("alice", "bob", "carl"):
            make_maildir(site.root / name, owner=OTHER)
    elif os.geteuid() == 0:
        site.set(user="nobody")
        give(site.root, 65534)
    client = site.connect(wrap=("strace", "-f", "-qq", "-o", site.dir / "trace", "-e", f"trace={call}", "-e",
                                f"inject={call}:error=EDQUOT:when={when}"))
    (client.lhlo if arguments else client.ehlo)()
    replies = [send(client, *names, mail=mail).code]
    n_replies = len(names) if arguments else len(names) + 2 if replies[0] == 353 else 1
    while len(replies) < n_replies:
        replies.append(client.reply().code)
    client.quit()
    assert set(replies) <= {353, 452}, replies
    harness.equal(boxes(site), [])
    harness.equal(record(site)["outcome"], "refused")
    harness.contains(record(site)["delivery_fault"], "Disk quota exceeded")


NOT_DELIVERED = {"discarded": (frame("d"), []), "quarantined": (path_frame("q", "odd") + frame("c"), ["odd"]),
                 "without_recipients": (b"".join(path_frame("-", address(name)) for name in ("alice", "bob")) + frame("c"), [])}


@harness.table_of({f"{name} {how}": (*row, *each) for name, row in NOT_DELIVERED.items()
                   for how, each in (("lmtp", (("--lmtp",), "")), ("prdr", ((), " PRDR")))})
def test_each_recipient_of_a_message_that_is_not_delivered_has_its_reply(answer, expected, arguments, mail):
    filter_ = Filter(E=answer)
    site = site_with(filter_, arguments=arguments, quarantine_mailbox="odd")
    client = begin(site)
    harness.equal(send(client, "alice", "bob", mail=mail).code, 353 if mail else 250)
    for _ in range(3 if mail else 1):
        client.expect(250)
    filter_.answers = {}
    harness.equal(send(client, "carl").code, 250)  # the session is in step
    client.quit()
    harness.equal(boxes(site), sorted([*expected, "carl"]))


@harness.table(stored=(False, 250, ["alice", "bob"]), broken=(True, 451, []))
def test_with_prdr_a_single_recipient_has_one_reply_though_a_filter_adds_another(broken, code, expected):
    site = site_with(Filter(**at_end(BOB_ADDED)))
    client = begin(site)
    client.say(f"MAIL FROM:<{SENDER}> PRDR", 250)
    client.say(f"RCPT TO:<{address('alice')}>", 250)
    client.say("DATA", 354)
    if broken:
        (site.root / "bob").mkdir()
        (site.root / "bob" / "new").write_text("no directory")
    harness.equal(client.content(harness.sample()).code, code)
    client.say("NOOP", 250, "2.0.0 OK")
    client.quit()
    harness.equal([path.parent.parent.name for path in sorted(site.root.glob("*/new/*"))], expected)


def test_a_quarantine_keeps_a_message_whose_recipients_are_all_removed():
    filter_ = Filter(**at_end(path_frame("q", "virus"), *[path_frame("-", address(name)) for name in ("alice", "bob")]))
    site = site_with(filter_, quarantine_mailbox="odd")
    client = begin(site)
    harness.equal(send(client, "alice", "bob").code, 250)
    client.quit()
    harness.equal(boxes(site), ["odd"])
    harness.equal(record(site)["outcome"], "delivered")


def test_lines_of_binarymime_keep_their_ends():
    """RFC 3030 3: filters see CRLF everywhere, and what they do not change is stored octet for octet."""
    body = b"one\r\ntwo\nthree\r\n\0end"
    text = b"Subject: binary\r\nX-A: one\r\n\r\n" + body
    for answer, stored in ((b"", text), (filters.add("X-B", "1"), text.replace(b"one\r\n\r\n", b"one\r\nX-B: 1\n\r\n")),
                           (frame("b", b"new\r\nbody\n\0") + frame("b", b"end"),
                            text.replace(b"\r\n\r\n" + body, b"\r\n\nnew\r\nbody\n\0end"))):
        filter_ = Filter(path=harness.scratch() / "filter.sock", E=answer + frame("c"))
        site = site_with(filter_)
        client = begin(site)
        client.say(f"MAIL FROM:<{SENDER}> BODY=BINARYMIME", 250)
        client.say(f"RCPT TO:<{address('alice')}>", 250)
        client.send(b"BDAT %d LAST\r\n" % len(text) + text)
        client.expect(250)
        client.quit()
        harness.equal(filter_.got("L"), [b"Subject\0binary\0", b"X-A\0one\0"])
        harness.equal(filter_.got("B"), [body.replace(b"two\n", b"two\r\n")])
        harness.equal(harness.split_trace(site.everything()[0].read_bytes())[1], stored)


@harness.table(alone=(), listening=("--listen=127.0.0.1:0",), lmtp=("--lmtp",))
def test_check_looks_at_the_mailbox_for_quarantined_mail(*arguments):
    filter_ = Filter()
    site = site_with(filter_, quarantine_mailbox="odd/box")
    done = harness.run(*site.command(), *arguments, "--check")
    harness.equal(done.returncode, 0, done.stdout)
    harness.equal(list(site.root.iterdir()), [])
    (site.root / "odd").write_text("no directory")
    done = harness.run(*site.command(), *arguments, "--check")
    harness.equal(done.returncode, 78, done.stdout)
    harness.contains(done.stdout, f"quarantine-mailbox {site.root}/odd")


if __name__ == "__main__":
    harness.main()
