#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""A mail-root, or a directory below it, that is empty or not mounted: no mail is refused permanently, and nothing is
made below a mount point."""

import shutil

import harness
from harness import DOMAIN
from mailboxes import ALICE, EMPTY, PARTS, Place, by_table, make_maildir, unmount


# A disk that is not mounted


@harness.table_of({f"{create} {more}": (create, more) for create in ("no", "auto") for more in ("", "lost+found")})
def test_an_empty_mail_root_refuses_nothing_for_good(create, more):
    """Real sender 16, RFC 5321 4.2.1: its disk may not be mounted, and its mailboxes are on it."""
    place = Place(maildir_create=create)
    shutil.rmtree(place.domain)
    if more:
        (place.root / more).mkdir(mode=0o700)
    harness.equal(place.deliver(), [451])
    harness.equal(place.fault(), f"{place.root}: is empty: is its file system not mounted?")
    harness.equal(place.site.records("message")[-1]["status"], "Delivery Error (SMTP Receive)")
    harness.contains(place.check().stdout, place.fault())
    make_maildir(place.root / DOMAIN / "bob")
    harness.equal(place.rcpt(), [550])


@harness.table(no=("no", f"{ALICE} boxes/alice\n"), domain_no=("no", f"@{DOMAIN}\n"), domain_auto=("auto", f"@{DOMAIN}\n"))
def test_an_empty_mail_root_with_a_table_refuses_nothing_for_good(create, lines):
    """Real sender 16: what counts is that the mailbox which was looked for is not made."""
    place = Place(maildir_create=create)
    by_table(place, lines)
    harness.equal(place.deliver(), [451])
    harness.equal(place.fault(), f"{place.root}: is empty: is its file system not mounted?")
    harness.contains(place.check().stdout, place.fault())
    harness.equal(place.rcpt((f"{ALICE}.example",)), [550])
    make_maildir(place.root / "boxes/bob")
    # what a line names is missing, and not unknown
    harness.equal(place.rcpt(), [550 if lines.startswith("@") else 451])


def test_what_a_table_does_not_name_is_unknown_in_an_empty_mail_root():
    """Real sender 16: no directory was looked for; and a mailbox that a line names is made where that was stated."""
    place = Place(maildir_create="auto")
    by_table(place, f"{ALICE} boxes/alice\n")
    harness.equal(place.rcpt((f"bob@{DOMAIN}", ALICE)), [550, 451])
    (place.root / ".postern").touch()
    harness.equal(place.rcpt((f"bob@{DOMAIN}", ALICE)), [550, 250])
    assert "is empty" not in place.check().stdout


def test_an_empty_mail_root_where_mailboxes_are_made_is_a_first_start():
    """Real sender 16."""
    place = Place(maildir_create="yes")
    shutil.rmtree(place.domain)
    harness.equal(place.deliver(), [250])


def told_empty(place, path):
    """The record and --check have the same text; --check adds the cure for a first start."""
    harness.equal(place.fault(), f"{path}: {EMPTY}")
    harness.equal(place.site.records("message")[-1]["status"], "Delivery Error (SMTP Receive)")
    done = place.check()
    harness.equal(done.returncode, 0, done.stdout)
    harness.contains(done.stdout, f"{path}: {EMPTY} On a first start make a mailbox in it, or the file .postern")


WHERE = {
    "a line": {"lines": f"{ALICE} boxes/alice\n"}, "a line of the template": {"lines": f"{ALICE}\n"},
    "catch-all": {"catch_all": "rest"}, "catch-all %u": {"catch_all": "rest/%u"},
    "catch-all of the table": {"lines": f"bob@{DOMAIN}\n", "catch_all": "rest"},
    "postmaster": {"postmaster": "pm", "to": f"postmaster@{DOMAIN}"},
    "postmaster of the table": {"lines": f"bob@{DOMAIN}\n", "postmaster": "pm", "to": "postmaster"}}


@harness.table_of({f"{name} {how}": (settings, how) for name, settings in WHERE.items() for how in ("SMTP", "LMTP", "BDAT")})
def test_nothing_is_made_in_an_empty_mail_root(settings, how):
    """Real sender 16: neither the mailbox of an address, nor that of all others, until a marker shows that it is the
    right directory."""
    settings = dict(settings)
    to, lines = settings.pop("to", ALICE), settings.pop("lines", None)
    place = Place(maildir_create="auto")
    shutil.rmtree(place.domain)
    place.site.set(**settings)
    if lines:
        by_table(place, lines)
    for _ in range(2):
        harness.equal(place.deliver((to,), lmtp=how == "LMTP", chunk=how == "BDAT"), [451])
    harness.equal(list(place.root.iterdir()), [])
    told_empty(place, place.root)
    (place.root / ".postern").touch()
    may_create = "%" not in settings.get("catch_all", "")
    harness.equal(place.deliver((to,), lmtp=how == "LMTP", chunk=how == "BDAT"), [250 if may_create else 451])
    assert EMPTY not in place.check().stdout
    if not may_create:  # addresses make no mailbox, nor what the setting names above them
        place.check_both(f"{place.root}/rest: No such file or directory")
        (place.root / "rest/other").mkdir(parents=True)
        harness.equal(place.deliver((to,), lmtp=how == "LMTP", chunk=how == "BDAT"), [550])


def test_mail_waits_while_the_disk_is_not_mounted():
    """Real senders 16 and 24: a real mount; messages from before the unmount and from after the next mount are on the
    disk."""
    place = Place(maildir_create="auto", postmaster="pm", catch_all="rest")
    by_table(place, f"{ALICE} boxes/alice\n")
    recipients = (ALICE, f"bob@{DOMAIN}", "postmaster")
    disk = place.site.dir / "disk"
    disk.mkdir()
    (disk / ".postern").touch()
    harness.mount("--bind", disk, place.root)
    harness.equal(place.deliver(recipients), [250])
    unmount(place.root)
    harness.equal(place.deliver(recipients), [451, 451, 451])
    harness.equal(list(place.root.iterdir()), [])
    told_empty(place, place.root)
    harness.mount("--bind", disk, place.root)
    harness.at_end(unmount, place.root)
    harness.equal(place.deliver(recipients), [250])
    for box in ("boxes/alice", "rest", "pm"):
        harness.equal(len(place.site.new(disk / box)), 2, box)


@harness.table_of({f"{name} {how}": (*row, how) for how in ("SMTP", "LMTP") for name, row in {
    "%d/%u": ("%d/%u", "no", None, DOMAIN), "users/%u": ("users/%u", "no", None, "users"),
    "auto": ("users/%u", "auto", None, "users"), "catch-all": ("users/%u", "auto", {"catch_all": "rest"}, "users"),
    "line": ("%u", "auto", f"{ALICE} disk2/alice\n", "disk2"), "line no": ("%u", "no", f"{ALICE} disk2/alice\n", "disk2"),
    "template of the table": ("users/%u", "auto", f"{ALICE}\n", "users"),
    "deep": ("%u", "auto", f"{ALICE} a/b/alice/Maildir\n", "a/b"),
    "fixed no": ("box/in", "no", None, "box")}.items()})
def test_an_empty_directory_below_mail_root_may_be_a_mount_point(template, create, more, empty, how):
    """Real sender 16: for its mailboxes it is what mail-root is for all."""
    place = Place(template=template, maildir_create=create, **(more if isinstance(more, dict) else {}))
    if isinstance(more, str):
        by_table(place, more)
    make_maildir(place.root / "other")
    (place.root / empty).mkdir(parents=True, exist_ok=True)
    harness.equal(place.deliver(lmtp=how == "LMTP"), [451])
    harness.equal(list((place.root / empty).iterdir()), [])
    told_empty(place, place.root / empty)
    (place.root / empty / ".postern").touch()
    made = create == "auto" and (template != "users/%u" or more)
    is_named = template == "box/in" or isinstance(more, str)
    harness.equal(place.deliver(lmtp=how == "LMTP"), [250 if made else 451 if is_named else 550])


def test_check_looks_where_a_line_of_a_domain_leads():
    """Real senders 15 and 16: the mailboxes of all its names."""
    place = Place(template="%u", maildir_create="auto")
    by_table(place, f"@{DOMAIN} com/%u\n")
    (place.root / "com").mkdir()
    harness.equal(place.deliver(), [451])
    told_empty(place, place.root / "com")
    make_maildir(place.root / "com/alice", ("cur",))
    (place.root / "com/alice/new").write_text("")
    harness.equal(place.deliver(), [451])
    place.check_both(f"{place.root}/com/alice/new: is not a directory")


@harness.table(auto=("auto", "box", [250], ["box"]), itself=("auto", "", [250], ["cur", "new", "tmp"]),
               yes=("yes", "%u", [250], ["alice"]))
def test_a_mail_root_that_postern_makes_is_marked(create, maildir, codes, entries):
    """Real sender 16: its first session may end without a message, and the next one is still a first start."""
    place = Place(maildir_create=create)
    shutil.rmtree(place.root)
    place.site.set(mail_root=place.root, maildir=place.root / maildir)
    harness.equal(place.check().returncode, 0)
    place.site.connect().quit()
    harness.equal(place.deliver(), codes)
    harness.equal(sorted(p.name for p in place.root.iterdir()), entries)


@harness.table(free=(None, [250]), marked=("disk", [451]))
def test_an_empty_directory_that_is_the_mailbox_is_completed(marker, codes):
    """Real sender 15: the directory of `maildir` is a mailbox even if it is empty; mail-root-marker detects a missing
    disk."""
    place = Place(maildir_create="auto")
    shutil.rmtree(place.domain)
    place.site.set(maildir=place.root, mail_root=None, mail_root_marker=marker)
    assert EMPTY not in place.check().stdout
    harness.equal(place.deliver(), codes)
    harness.equal(sorted(p.name for p in place.root.iterdir()), sorted(PARTS) if codes == [250] else [])


@harness.table(box=("box",), itself=("",))
def test_the_only_mailbox_is_made_in_an_empty_directory(maildir):
    """Real sender 16: where mailboxes are made, this is a first start."""
    place = Place(maildir_create="auto")
    disk = place.site.dir / "disk"
    disk.mkdir()
    place.site.set(mail_root=disk / "mail", maildir=disk / "mail" / maildir)
    harness.equal(place.check().returncode, 0)
    harness.equal(place.deliver(), [250])
    (disk / "empty").mkdir()
    place.site.set(mail_root=disk / "empty", maildir="box")
    harness.equal(place.deliver(), [250])


def test_no_mail_root_is_made_in_an_empty_directory():
    """Real sender 16: mail-root on a disk that is not mounted is not there at all."""
    place = Place(maildir_create="auto")
    disk = place.site.dir / "disk"
    disk.mkdir()
    by_table(place, f"{ALICE}\n")
    place.site.set(mail_root=disk / "mail", maildir=disk / "mail/box")
    harness.contains(place.check().stdout, f"mail-root {disk}/mail: No such file or directory; make it: mkdir -p {disk}/mail")
    client = place.site.connect(greeting=False)
    harness.equal(client.reply().code, 421)
    harness.equal(list(disk.iterdir()), [])
    (disk / "other").mkdir()
    harness.equal(place.deliver(), [250])


def test_directories_that_cannot_all_be_made_are_taken_back():
    """Real sender 16: an empty one that is left would keep the mailbox from being made later."""
    harness.need("strace")
    place = Place(template="%u", maildir_create="auto")
    by_table(place, f"{ALICE} a/b/c/alice\n")
    (place.root / "other").mkdir()
    codes = place.deliver(wrap=("strace", "-f", "-qq", "-o", place.site.dir / "trace", "-e", "trace=mkdirat",
                                "-e", "inject=mkdirat:error=ENOSPC:when=4"))
    harness.equal(codes, [452])
    harness.equal(place.fault(), f"{place.root}/a/b/c/alice: No space left on device")
    harness.equal([p.name for p in place.root.iterdir()], ["other"])
    harness.equal(place.deliver(), [250])


@harness.table(table=(True,), template=(False,))
def test_without_its_marker_mail_root_takes_no_mail(by_table):
    """Real sender 16: mail-root-marker keeps mail from going below a mount point."""
    place = Place(maildir_create="yes", mail_root_marker="this-is-the-mail-disk")
    if by_table:
        table = place.site.dir / "recipients"
        table.write_text(f"{ALICE}\n")
        place.site.set(recipients=table)
    harness.equal(place.deliver(), [451])
    place.check_both(f"{place.root}: has no this-is-the-mail-disk (mail-root-marker): is its file system not mounted?")
    harness.equal(list(place.domain.iterdir()), [])
    (place.root / "this-is-the-mail-disk").write_text("")
    harness.equal(place.deliver(), [250])
    harness.equal(place.check().returncode, 0)


@harness.table(slash=("a/b",), above=("..",), here=(".",))
def test_a_marker_is_a_name_in_mail_root(value):
    """Real sender 16."""
    place = Place(mail_root_marker=value)
    done = place.check()
    harness.equal(done.returncode, 78)
    harness.contains(done.stdout, "mail-root-marker: must be the name of a file in mail-root, without a slash")


if __name__ == "__main__":
    harness.main()
