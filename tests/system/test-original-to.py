#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""original-to: a copy for each mailbox, which has its recipients; apart from this, all copies are equal."""

import harness
from harness import DOMAIN, SENDER, Site, small_file_system
from mailboxes import OTHER, Place, make_maildir

NAMES = ("alice", "bob", "carl")
WAYS = harness.table(data=("data", False), chunks=("chunks", False), lmtp=("data", True))


def address(name):
    return f"{name}@{DOMAIN}"


def cut(path):
    """The fields that name recipients, Return-Path and Received, and what is below."""
    trace, rest = harness.split_trace(path.read_bytes())
    names = [line.split(": ")[0] for line in trace]
    harness.equal(names[0], "Return-Path")
    harness.equal(names[1:-1], ["X-Original-To"] * (len(names) - 3) + ["Delivered-To"])
    harness.equal(names[-1], "Received")
    return trace[1:-1], (trace[0], trace[-1], rest)


def send(site, recipients, data=None, way="data", lmtp=False, **options):
    """The codes of the message."""
    data = data or harness.sample()
    site.arguments = ["--lmtp"] if lmtp else []
    client = site.connect(**options)
    client.lhlo() if lmtp else client.ehlo()
    client.say(f"MAIL FROM:<{SENDER}>", 250)
    for recipient in recipients:
        client.say(f"RCPT TO:<{recipient}>", 250)
    if way == "chunks":
        pieces = [data[n:n + 5000] for n in range(0, len(data), 5000)]
        for piece in pieces[:-1]:
            client.send(b"BDAT %d\r\n%s" % (len(piece), piece))
            client.expect(250)
        client.send(b"BDAT %d LAST\r\n%s" % (len(pieces[-1]), pieces[-1]))
        codes = [client.reply().code]
    else:
        client.say("DATA", 354)
        codes = [client.content(data).code]
    codes += [client.reply().code for _ in recipients[1:] if lmtp]
    harness.equal(client.quit(), 0)
    return codes


def large():
    return harness.sample() + b"".join(b"%06d %s\r\n" % (n, b"\xff" * 70) for n in range(3000))


@WAYS
def test_each_mailbox_has_a_copy_of_its_own(way, lmtp):
    site = Site(maildir="%u", original_to="yes")
    harness.equal(set(send(site, [address(name) for name in NAMES], large(), way, lmtp)), {250})
    found = [site.new(site.root / name)[0] for name in NAMES]
    harness.equal(len(site.everything()), len(NAMES))
    harness.equal({path.stat().st_nlink for path in found}, {1})
    below = set()
    for name, path in zip(NAMES, found):
        fields, same = cut(path)
        harness.equal(fields, [f"X-Original-To: {address(name)}", f"Delivered-To: {address(name)}"])
        below.add(same)
        harness.equal(str(path).rsplit(",S=", maxsplit=1)[-1], str(path.stat().st_size))
    harness.equal(len(below), 1)
    harness.equal(below.pop()[2], large().replace(b"\r\n", b"\n"))
    harness.equal(site.leftovers(), [])


def test_without_the_setting_it_is_one_file_that_names_no_one():
    site = Site(maildir="%u")
    send(site, [address(name) for name in NAMES])
    found = [site.new(site.root / name)[0] for name in NAMES]
    harness.equal({path.stat().st_nlink for path in found}, {3})
    assert b"-To: " not in found[0].read_bytes().split(b"Received:")[0]


def test_many_recipients_of_one_mailbox_are_named_in_one_copy():
    """More fields than fit into one write."""
    site = Site(maildir="box", original_to="yes")
    recipients = [f"{'x' * 50}{n}@{DOMAIN}" for n in range(300)]
    send(site, recipients)
    fields, _ = cut(site.only_message())
    harness.equal(fields, [f"X-Original-To: {r}" for r in recipients] + [f"Delivered-To: {recipients[0]}"])


def test_each_mailbox_of_a_line_has_a_copy():
    site = Site(maildir="%u", original_to="yes")
    table = site.dir / "recipients"
    table.write_text("info@example.org alice,bob\nalice@example.org alice\n")
    site.set(recipients=table)
    send(site, ["Info@Example.org", "alice@example.org"])
    (alice, bob) = (cut(site.new(site.root / name)[0]) for name in ("alice", "bob"))
    harness.equal(alice[0], ["X-Original-To: Info@Example.org", "X-Original-To: alice@example.org",
                             "Delivered-To: info@example.org"])
    harness.equal(bob[0], ["X-Original-To: Info@Example.org", "Delivered-To: info@example.org"])
    harness.equal(alice[1], bob[1])


@harness.table(smtp=(False, [452]), lmtp=(True, [250, 452, 250]))
def test_a_copy_that_has_no_room(lmtp, codes):
    """All of them or none in SMTP; in LMTP each for itself."""
    site = Site(maildir="%u", original_to="yes")
    for name in NAMES:
        make_maildir(site.root / name)
    (site.root / "bob").rename(site.root / "other")
    full = small_file_system(site.root / "bob", "64k")
    make_maildir(full)
    found = send(site, [address(name) for name in NAMES], large(), lmtp=lmtp)
    harness.equal(found, codes)
    harness.equal([len(site.new(site.root / name)) for name in NAMES], [1, 0, 1] if lmtp else [0, 0, 0])
    harness.equal(site.leftovers(), [])


def test_a_copy_belongs_to_the_owner_of_its_mailbox():
    place = Place(original_to="yes")
    for owner, name in ((OTHER, "alice"), (OTHER, "bob"), (OTHER + 1, "carl")):
        make_maildir(place.domain / name, owner=owner)
    harness.equal(send(place.site, [address(name) for name in NAMES]), [250])
    owners = [place.site.new(place.domain / name)[0].stat().st_uid for name in NAMES]
    harness.equal(owners, [OTHER, OTHER, OTHER + 1])


def test_a_report_of_success_names_all():
    site = Site(maildir="%u", original_to="yes")
    site.set(dsn_outbox=site.dir / "outbox")
    client = site.connect()
    client.ehlo()
    client.say(f"MAIL FROM:<{SENDER}>", 250)
    for name in NAMES:
        client.say(f"RCPT TO:<{address(name)}> NOTIFY=SUCCESS", 250)
    client.say("DATA", 354)
    harness.equal(client.content(harness.sample()).code, 250)
    client.quit()
    (report,) = (site.dir / "outbox/new").iterdir()
    text = report.read_text()
    harness.equal(text.count("Action: "), len(NAMES))
    assert "X-Original-To" not in text


@harness.senseless_when_sanitized
def test_every_copy_is_synced_before_it_is_accepted():
    """In the order of linked copies: the files, the names, the files again, the directories."""
    harness.need("strace")
    site = Site(maildir="%u", original_to="yes")
    for name in NAMES:
        make_maildir(site.root / name)
    trace = site.dir / "trace"
    calls = ("strace", "-f", "-e", "trace=fsync,linkat,write,writev,sendto,sendmsg", "-o", trace, "--quiet=all")
    send(site, [address(name) for name in NAMES], wrap=calls)
    text = trace.read_text()
    before = text[:text.index("250 2.6.0")]
    found = [line.split()[1].split("(")[0] for line in before.splitlines() if "fsync(" in line or "linkat(" in line]
    harness.equal(found, ["fsync"] * 3 + ["linkat"] * 3 + ["fsync"] * 6)


if __name__ == "__main__":
    harness.main()
