#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Symbolic links in Maildirs, on the way to them, and in the place of mail-root."""

import os

import harness
from harness import DOMAIN
from mailboxes import ALICE, EMPTY, OTHER, OURS, PARTS, Place, bindfs, by_table, give, make_maildir


# Symbolic links of a Maildir's owner


@harness.table_of({f"{part} {how}": (part, how) for part in PARTS for how in ("SMTP", "LMTP", "BDAT")})
def test_a_link_in_a_mailbox_is_never_followed(part, how):
    """With it the owner of a Maildir could make postern write into another one, or anywhere if it is root."""
    place = Place()
    ann = make_maildir(place.domain / "ann", owner=OURS)
    alice = make_maildir(place.alice, [p for p in PARTS if p != part], owner=OTHER)
    (alice / part).symlink_to(f"../ann/{part}")
    harness.equal(place.deliver(lmtp=how == "LMTP", chunk=how == "BDAT"), [451])
    place.check_both(f"{alice}/{part}: is a symbolic link, and none is followed in a mailbox")
    harness.equal([p for p in ann.rglob("*") if not p.is_dir()], [])


@harness.table(link=(True,), created=(False,))
def test_a_link_of_an_owner_on_the_way_is_not_followed(there):
    """Neither to a Maildir that is there nor to make one behind it."""
    place = Place(template="%u/Maildir", maildir_create="yes")
    home = place.root / "alice"
    home.mkdir()
    secret = make_maildir(place.root / "secret", PARTS if there else ())
    (home / "Maildir").symlink_to("../secret")
    give(home, OTHER)
    harness.equal(place.deliver(), [451])
    place.check_both(f"{home}/Maildir: is a symbolic link of another user, and not followed")
    harness.equal([p for p in secret.rglob("*") if not p.is_dir()], [])
    harness.equal(sorted(p.name for p in secret.iterdir()), sorted(PARTS if there else ()))


def test_tmp_that_becomes_a_link_after_rcpt_is_not_used():
    """A file is made in the tmp that was opened with the mailbox."""
    place = Place()
    place.domain.rmdir()
    bindfs(place)
    alice = make_maildir(place.alice, owner=OTHER)
    victim = make_maildir(place.domain / "ann", owner=OURS)
    client = place.site.connect()
    client.ehlo()
    client.envelope(recipients=(ALICE,))
    (alice / "tmp").rename(alice / "away")
    (alice / "tmp").symlink_to("../ann/tmp")
    client.say("DATA", 354)
    harness.equal(client.content(harness.sample()).code, 250)
    client.quit()
    harness.equal([p for p in victim.rglob("*") if not p.is_dir()], [])
    harness.equal((len(place.site.new(alice)), list((alice / "away").iterdir())), (1, []))


@harness.table(relative=("example.org",), absolute=("{root}/example.org",), up_and_down=("./example.org/../example.org",), chain=("one",))
def test_links_of_root_are_followed_below_mail_root(target):
    """Real sender 19: also absolute ones, if their target is inside; RFC 5321 4.5.5 has no rule about this."""
    place = Place(domains=f"{DOMAIN} example.com")
    alice = make_maildir(place.alice)
    (place.root / "links").mkdir()
    (place.root / "one").symlink_to("links/two")
    (place.root / "links/two").symlink_to(place.domain)
    (place.root / "example.com").symlink_to(target.format(root=place.root))
    harness.equal(place.deliver(("alice@example.com",)), [250])
    harness.equal(len(place.site.new(alice)), 1)
    harness.equal(place.deliver(("alice@example.com", ALICE)), [250])
    harness.equal(len(place.site.new(alice)), 2, "one mailbox, however it is reached")
    harness.equal(place.rcpt(("nobody@example.com",)), [550])
    harness.equal(place.check().returncode, 0)


OUT = "is a symbolic link that leads out of mail-root"


@harness.table(
    absolute=("{dir}/elsewhere", OUT), up=("../elsewhere", OUT), root=("/", OUT), above=("{root}/../elsewhere", OUT),
    dangling=("nowhere", "is a symbolic link to nothing"), loop=("example.com", "Too many levels of symbolic links"))
def test_other_links_are_named(target, words):
    """Real sender 19: a link that leads out of mail-root, or to nothing, is a fault of this host."""
    place = Place(domains=f"{DOMAIN} example.com")
    make_maildir(place.site.dir / "elsewhere/alice")
    make_maildir(place.alice)
    (place.root / "example.com").symlink_to(target.format(dir=place.site.dir, root=place.root))
    harness.equal(place.deliver(("alice@example.com",)), [451])
    place.check_both(f"{place.root}/example.com: {words}")


@harness.table(owner=(OTHER, 0o755, 0), link=(0, 0o755, OTHER), open_to_all=(0, 0o777, 0),
               open_to_a_group=(0, 0o2775, 0))
def test_a_link_that_others_could_have_made_is_not_followed(owner, mode, of_link):
    """Real sender 19: the directory and the link belong to root or to postern's own user."""
    place = Place(template="users/%u")
    users = place.root / "users"
    make_maildir(users / "box", owner=OTHER)
    (users / "alice").symlink_to("box")
    os.chown(users / "alice", of_link, of_link, follow_symlinks=False)
    os.chown(users, owner, owner)
    users.chmod(mode)
    harness.equal(place.deliver(), [451])
    place.check_both(f"{users}/alice: is a symbolic link of another user, and not followed")


def test_mailboxes_on_another_disk_by_a_link_of_root():
    """Real sender 19: what worked, works: a mailbox's own name may be a link in a directory of root."""
    place = Place()
    box = make_maildir(place.root / "disk2/alice", owner=OTHER)
    place.alice.symlink_to(box)
    harness.equal(place.deliver(), [250])
    path = place.site.new(box)[0]
    harness.equal(path.stat().st_uid, OTHER)


LINK = "its path has a symbolic link that another user can change"


@harness.table_of({f"{name}{slash}": (*row, slash) for slash in ("", "/") for name, row in {
    "root's": (0, 0o755, 0, True), "its owner's": (OTHER, 0o755, 0, False), "a link of another": (0, 0o755, OTHER, False),
    "open to a group": (0, 0o775, 0, False), "open to all": (0, 0o777, 0, False)}.items()})
def test_a_link_in_the_place_of_mail_root(owner, mode, of_link, followed, slash):
    """In a home, its owner could make root write anywhere."""
    place = Place()
    make_maildir(place.alice, owner=OTHER)
    home = place.site.dir / "home"
    home.mkdir()
    (home / "mail").symlink_to(place.root)
    os.chown(home / "mail", of_link, of_link, follow_symlinks=False)
    os.chown(home, owner, owner)
    home.chmod(mode)
    place.site.set(mail_root=f"{home}/mail{slash}", maildir="%d/%u")
    done = place.check()
    harness.equal(done.returncode, 0 if followed else 78, done.stdout)
    if followed:
        harness.equal(place.deliver(), [250])
    else:
        harness.contains(done.stdout, f"{home}/mail{slash}: {LINK}")
        client = place.site.connect(greeting=False)
        harness.equal(client.reply().code, 421)
        harness.eventually(lambda: f"mail-root {home}/mail{slash}: {LINK}" in place.site.log_text(), "a record")
        harness.equal(place.site.new(place.alice), [])


def test_a_link_to_a_disk_that_is_not_mounted():
    """Real sender 16: what root's link leads to is in an empty directory."""
    place = Place(template="%u", maildir_create="auto")
    by_table(place, f"{ALICE} boxes/alice\n")
    (place.root / "disk2").mkdir()
    (place.root / "boxes").symlink_to("disk2/boxes")
    harness.equal(place.deliver(), [451])
    harness.equal(place.fault(), f"{place.root}/disk2: {EMPTY}")
    harness.equal(list((place.root / "disk2").iterdir()), [])


# Links that go up


@harness.table(
    root=("{root}/../mail/boxes/alice",), twice=("{root}/../mail/../mail/boxes/alice",), far=("{root}/boxes/../../mail/boxes/alice",),
    below=("{root}/example.org/../boxes/alice",), parts=("{root}/boxes/alice/new/..",), relative=("../../mail/boxes/alice",),
    slashes=("{root}//..//mail//boxes/./alice/",))
def test_a_link_may_go_up_as_long_as_it_comes_back(target):
    """Real sender 19: an absolute one, and one to a mailbox."""
    place = Place()
    box = make_maildir(place.root / "boxes/alice")
    place.alice.symlink_to(target.format(root=place.root))
    harness.equal(place.deliver(), [250])
    harness.equal(len(place.site.new(box)), 1)
    harness.equal(place.check().returncode, 0)


@harness.table(
    up=("{root}/..",), other=("{root}/../elsewhere/alice",), around=("{root}/../elsewhere/../mail/../elsewhere/alice",),
    by_a_link=("{root}/../link/boxes/alice",), above=("../../../../../../../../elsewhere",))
def test_a_link_that_goes_up_and_stays_there_is_named(target):
    """Real sender 19."""
    place = Place()
    make_maildir(place.site.dir / "elsewhere/alice")
    make_maildir(place.root / "boxes/alice")
    (place.site.dir / "link").symlink_to("mail")
    place.alice.symlink_to(target.format(root=place.root))
    harness.equal(place.deliver(), [451])
    place.check_both(f"{place.alice}: {OUT}")


if __name__ == "__main__":
    harness.main()
