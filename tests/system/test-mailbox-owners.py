#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Mailboxes of other owners, as root: files and directories that postern makes there belong to the owner."""

import concurrent.futures
import os
import re

import harness
from harness import DOMAIN
from mailboxes import ALICE, KINDS, OTHER, OURS, Place, bindfs, make_maildir, place_of_kind


# What the owner of one mailbox can do to the others'


def test_a_file_in_tmp_is_its_owners_and_another_owner_gets_one_of_his_own():
    """Where there is no O_TMPFILE alice can write into hers as it comes, and never into what bob gets."""
    place = Place()
    place.domain.rmdir()
    bindfs(place)
    alice = make_maildir(place.root / DOMAIN / "alice", owner=OTHER)
    bob = make_maildir(place.root / DOMAIN / "bob", owner=OURS)
    client = place.site.connect()
    client.ehlo()
    client.envelope(recipients=(ALICE, f"bob@{DOMAIN}"))
    client.say("DATA", 354)
    for box, owner in ((alice, OTHER), (bob, OURS)):
        unfinished = harness.eventually(lambda: list((box / "tmp").iterdir()), "the file in tmp")
        harness.equal((unfinished[0].stat().st_uid, unfinished[0].stat().st_mode & 0o777), (owner, 0o600))
    with open(next((alice / "tmp").iterdir()), "ab") as file:
        file.write(b"X-Mark: hers\n")
    harness.equal(client.content(harness.sample()).code, 250)
    client.quit()
    for box, owner in ((alice, OTHER), (bob, OURS)):
        [path] = place.site.new(box)
        harness.equal(path.stat().st_uid, owner, box)
    harness.check_stored(path, harness.sample())
    assert b"X-Mark" not in path.read_bytes()
    # the broker removes them after the reply
    harness.eventually(lambda: not place.site.leftovers(), "no file remains in tmp")


def made_below(path):
    """The owners of all that is there."""
    return {each.stat().st_uid for each in path.rglob("*")}


@harness.table_of({f"{name}, {how}": (template, sandbox) for how, sandbox in (("sandbox", "yes"), ("none", "no"))
                   for name, template in {"a template": "%u/Maildir", "two more": "%u/mail/Maildir",
                                          "one mailbox": "alice/Maildir", "in two": "alice/mail/Maildir"}.items()})
def test_a_mailbox_that_is_made_belongs_to_the_owner_of_the_home(template, sandbox):
    place = Place(template, maildir_create="yes", sandbox=sandbox)
    home = place.root / "alice"
    home.mkdir()
    os.chown(home, OTHER, OTHER)
    harness.contains(place.check().stdout, "belongs to the owner of the directory that it is made in")
    harness.equal(place.deliver(), [250])
    [path] = place.site.new(home / template.split("/", 1)[1])
    harness.check_stored(path, harness.sample())
    harness.equal(made_below(home), {OTHER})


@harness.table_of({word: word for word in ("mail-root", "the mailbox")})
def test_what_is_made_in_a_home_belongs_to_its_owner(what):
    place = Place()
    home = place.site.dir / "home"
    home.mkdir()
    os.chown(home, OTHER, OTHER)
    if what == "mail-root":
        place.site.set(mail_root=home / "mail", maildir="box", maildir_create="yes")
    else:
        place.site.set(mail_root=home, maildir="mail/box", maildir_create="yes")
    harness.equal(place.deliver(), [250])
    harness.equal(len(place.site.new(home / "mail/box")), 1)
    harness.equal(made_below(home), {OTHER})


def test_an_outbox_that_is_made_in_a_home_belongs_to_its_owner():
    place = Place("%u", maildir_create="yes")
    home = place.site.dir / "home"
    home.mkdir()
    os.chown(home, OTHER, OTHER)
    place.site.set(dsn_outbox=home / "outbox")
    client = place.site.connect()
    client.ehlo()
    client.quit()
    harness.equal({home / "outbox": (home / "outbox").stat().st_uid}, {home / "outbox": OTHER})
    harness.equal(made_below(home), {OTHER})


@harness.table(full=(("file",),), empty=((),))
def test_a_directory_of_root_in_the_place_of_a_part_is_neither_given_away_nor_used(entries):
    """Where alice exchanges the `new` that was just made for her."""
    place = Place()
    make_maildir(place.alice, ("cur",), owner=OTHER)
    kept = place.alice / "kept"
    kept.mkdir()
    for name in entries:
        (kept / name).write_text("")
    wrap = ("strace", "-f", "-qq", "-o", place.site.dir / "trace", "-e", "trace=mkdirat", "-e",
            "inject=mkdirat:delay_exit=3000000:when=3")
    harness.need("strace")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        answer = pool.submit(place.deliver, wrap=wrap)
        harness.eventually((place.alice / "new").exists, "the part")
        (place.alice / "new").rename(place.alice / "made")
        kept.rename(place.alice / "new")
        harness.equal(answer.result(), [451])
    harness.equal((place.alice / "new").stat().st_uid, 0)
    harness.equal(sorted(path.name for path in (place.alice / "new").iterdir()), list(entries))
    harness.equal(place.fault(),
                  f"{place.alice}/new: belongs to root in a directory of another user; give it to that user")


@harness.table_of({f"{kind} {how}": (kind, how) for kind in KINDS for how in ("SMTP", "LMTP")})
def test_no_mailbox_is_filled_from_another_owners_file(kind, how):
    """Nor at commit, where there are no hard links and each mailbox gets a file of its own.

    Each file is made by the process that has become its owner, and filled from a file of the same owner."""
    place = place_of_kind(kind)
    owners = {"alice": OTHER, "bob": OURS, "carl": OURS, "dora": OURS}
    boxes = {name: make_maildir(place.domain / name, owner=owner) for name, owner in owners.items()}
    trace = place.site.dir / "trace"
    wrap = ("strace", "-f", "-qq", "-y", "-o", trace, "-e", "trace=openat,?sendfile,?sendfile64,fchown,?fchown32,linkat", "-e",
            "inject=linkat:error=EPERM")
    codes = place.deliver([f"{name}@{DOMAIN}" for name in owners], lmtp=how == "LMTP", wrap=wrap)
    harness.equal(codes, [250] * (4 if how == "LMTP" else 1))
    for name, owner in owners.items():
        [path] = place.site.new(boxes[name])
        harness.equal(path.stat().st_uid, owner, name)
        harness.check_stored(path, harness.sample())
    harness.equal(place.site.leftovers(), [])
    owner_of = {}  # of each open file, since it was given away
    for line in trace.read_text().splitlines():
        if again := re.search(r'"/proc/self/fd/(\d+)", O_RDONLY.*= (\d+)<', line):
            owner_of[again[2]] = owner_of.get(again[1])
        elif opened := re.search(r"openat\(.*= (\d+)<", line):
            owner_of.pop(opened[1], None)
        elif given := re.search(r"fchown(?:32)?\((\d+)<.*>\S*, (\d+), \d+\)", line):
            owner_of[given[1]] = int(given[2])
        elif filled := re.search(r"sendfile(?:64)?\((\d+)<([^>]*)>\S*, (\d+)<", line):
            box = next(name for name in owners if f"/{name}/" in filled[2])
            assert owner_of[filled[3]] in (None, owners[box]), f"{line}\n{owner_of}"
    harness.equal(any(f" {call}(" in trace.read_text() for call in ("sendfile", "sendfile64")), kind == "O_TMPFILE")


if __name__ == "__main__":
    harness.main()
