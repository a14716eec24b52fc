#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Parts of Maildirs and names of mailboxes and files."""

import os
import re
import shutil

import harness
from harness import DOMAIN, Site
from mailboxes import ALICE, OTHER, PARTS, Place, by_table, make_maildir


# Mailboxes that are not whole


SOME = {"+".join(some): some for some in (
    ("new",), ("cur",), ("tmp",), ("new", "cur"), ("new", "tmp"), ("cur", "tmp"))}


@harness.table_of({f"{name} {how}": (some, how) for name, some in SOME.items() for how in ("SMTP", "LMTP", "BDAT")})
def test_a_mailbox_that_lacks_a_part_is_completed(some, how):
    """Real sender 15, RFC 5321 4.2.1: a backup has left empty folders out; that refuses no mail for good."""
    place = Place()
    make_maildir(place.alice, some, owner=OTHER)
    harness.equal(place.check().returncode, 0)
    harness.equal(sorted(p.name for p in place.alice.iterdir()), sorted(some), "--check makes nothing")
    harness.equal(place.rcpt(), [250])
    harness.equal(sorted(p.name for p in place.alice.iterdir()), sorted(some), "nor does RCPT")
    harness.equal(place.deliver(lmtp=how == "LMTP", chunk=how == "BDAT"), [250])
    for part in PARTS:
        harness.equal((place.alice / part).stat().st_uid, OTHER, part)
    harness.check_stored(place.site.new(place.alice)[0], harness.sample())


@harness.table_of({f"{part} {create}": (part, create) for part in PARTS for create in ("no", "auto", "yes")})
def test_a_part_that_is_no_directory_is_a_fault(part, create):
    """Real sender 15: 451 with the reason, in the words of --check."""
    place = Place(maildir_create=create)
    make_maildir(place.alice, [p for p in PARTS if p != part])
    (place.alice / part).write_text("")
    harness.equal(place.deliver(), [451])
    place.check_both(f"{place.alice}/{part}: is not a directory")


def test_a_part_that_cannot_be_made_is_a_fault():
    """Real sender 15: here because the mailbox is closed to the user of postern."""
    place = Place(user="nobody")
    make_maildir(place.alice, ("cur",))
    os.chown(place.root, 65534, 65534)
    harness.equal(place.deliver(), [451])
    place.check_both(f"{place.alice}/tmp: Permission denied")


@harness.table(lost=("lost+found",), backup=("backup",), file=("file",), new=("new",))
def test_any_other_directory_is_no_mailbox(name):
    """Real sender 15: of what has none of the three, or is a file, 550 stays the answer."""
    place = Place(template="%u")
    shutil.rmtree(place.domain)
    make_maildir(place.root)  # mail-root is a Maildir itself
    (place.root / "lost+found").mkdir(mode=0o700)
    (place.root / "backup/2026").mkdir(parents=True)
    (place.root / "file").write_text("")
    harness.equal(place.rcpt((f"{name}@{DOMAIN}",)), [550])
    harness.equal(place.check().returncode, 0)


@harness.table_of({f"{template} {create} {user}": (template, create, user) for create in ("no", "yes")
                   for template in ("%u/Maildir", "%u", "boxes/%u/mail") for user in ("root", "nobody")})
def test_lost_and_found_is_no_mailbox(template, create, user):
    """Real sender 15: with any template, and although postern cannot read it."""
    place = Place(template=template, maildir_create=create, **({"user": user} if user != "root" else {}))
    above = place.root / template.partition("%")[0]
    (above / "lost+found").mkdir(mode=0o700, parents=True)
    make_maildir(above / "xlost+found" / template.partition("%u/")[2]).chmod(0o755)
    harness.equal(place.rcpt((f"lost+found@{DOMAIN}",)), [550])
    harness.equal(list((above / "lost+found").iterdir()), [])
    shutil.rmtree(above / "xlost+found" / template.partition("%u/")[2] / "new")
    (above / "xlost+found" / template.partition("%u/")[2] / "new").write_text("")
    harness.equal(place.rcpt((f"xlost+found@{DOMAIN}",)), [451])


@harness.table(empty=(None,), file=("file",))
def test_what_the_table_names_is_a_mailbox_whatever_it_lacks(what):
    """Real sender 15: it is a mailbox by a line of `recipients`, so a file in its place is a fault."""
    place = Place(recipients="placeholder")
    table = place.site.dir / "recipients"
    table.write_text(f"{ALICE} boxes/alice\n")
    place.site.set(recipients=table)
    box = place.root / "boxes/alice"
    box.parent.mkdir()
    if what:
        box.write_text("")
        harness.equal(place.deliver(), [451])
        place.check_both(f"{box}: is not a directory")
    else:
        box.mkdir()
        harness.equal(place.deliver(), [250])
        harness.equal(sorted(p.name for p in box.iterdir()), sorted(PARTS))


# Names that strangers make up


@harness.table_of({f"{template} {name} {root}": (template, name, root) for root in ("Maildir", "empty", "other")
                   for template in ("%u", "%u/Maildir", "%d/%u") for name in ("new", "cur", "tmp", "NEW", "Tmp")})
def test_no_address_makes_a_mailbox_of_a_part(template, name, root):
    """Real sender 15: what is called as the parts of a Maildir are is no mailbox that is made for an address."""
    place = Place(template=template, maildir_create="yes")
    above = place.root / ("" if template[1] == "u" else DOMAIN)
    if template[1] == "u":
        place.domain.rmdir()
    if root == "Maildir":
        make_maildir(above)
    elif root == "other":
        make_maildir(above / "other")
    before = sorted(place.root.rglob("*"))
    harness.equal(place.rcpt((f"{name}@{DOMAIN}",)), [550])
    harness.equal(place.deliver(lmtp=True), [250])
    after = [p for p in place.root.rglob("*") if "alice" not in str(p)]
    harness.equal(sorted(after), before)


def test_a_line_may_name_a_mailbox_as_it_likes():
    """Real sender 15: what an administrator has written is not made up."""
    place = Place(template="%u", maildir_create="yes")
    by_table(place, f"new@{DOMAIN}\n{ALICE} tmp\n")
    harness.equal(place.deliver((f"new@{DOMAIN}", ALICE)), [250])


@harness.table_of({f"{what} {create}": (what, create) for what in ("full", "empty", "lost+found") for create in ("no", "yes")})
def test_a_directory_with_other_things_in_it_is_no_mailbox(what, create):
    """Real sender 15: `backup` stays what it is; an empty directory becomes a mailbox where these are made."""
    place = Place(template="%u", maildir_create=create)
    (place.root / "backup").mkdir()
    if what == "full":
        (place.root / "backup/2026").mkdir()
    elif what == "lost+found":
        (place.root / "backup/lost+found").mkdir()
    makes = create == "yes" and what != "full"
    harness.equal(place.deliver((f"backup@{DOMAIN}",)), [250 if makes else 550])
    harness.equal((place.root / "backup/new").exists(), makes)


# Hosts that share Maildirs


def test_the_host_in_names_of_files_may_be_another():
    """Many hosts have one hostname, and each its own names."""
    place = Site(maildir="box", maildir_hostname="mx-3")
    client = place.connect()
    harness.contains(client.ehlo().lines[0], harness.HOST)
    harness.equal(client.message(harness.sample()).code, 250)
    client.quit()
    name, = (p.name for p in place.root.glob("**/new/*"))
    assert re.fullmatch(r"[0-9]+\.M[0-9]+P[0-9]+Q1\.mx-3,S=[0-9]+", name), name


@harness.table(slash="a/b", colon="a:b", comma="a,b", blank="a b", literal="[192.0.2.1]", long=33 * "a." + "b")
def test_the_host_in_names_of_files_is_a_name(name):
    done = harness.run(*Site(maildir_hostname=name).command(), "--check")
    harness.equal(done.returncode, 78)
    harness.contains(done.stdout, "maildir-hostname: must be a name of letters, digits, - and dots, of 64 octets")


if __name__ == "__main__":
    harness.main()
