#!/usr/bin/python3
"""What is below mail-root: broken mailboxes, symbolic links, a disk that is not mounted, file systems without hard
links; and what the record and --check say of them. As root, so that owners differ, and as another user."""

import concurrent.futures
import os
import re
import shutil
import subprocess

import harness
from harness import DOMAIN, SENDER, Site

PARTS = ("new", "cur", "tmp")
OTHER = 61001  # an owner of Maildirs
OURS = 61002  # who postern is where it is not root
ALICE = f"alice@{DOMAIN}"
FEW_FILES = "Too many open files: raise LimitNOFILE= of the unit, or ulimit -n"


def make_maildir(path, parts=PARTS, owner=None):
    path.mkdir(parents=True, exist_ok=True)
    for part in parts:
        (path / part).mkdir()
    if owner is not None:
        give(path, owner)
    return path


def give(path, owner):
    for each in (path, *path.rglob("*")):
        os.chown(each, owner, owner, follow_symlinks=False)


class Place:
    """Mailboxes by a template; alice's is not made yet."""

    def __init__(self, template="%d/%u", **settings):
        harness.need_root("mailboxes of several owners")
        settings.setdefault("maildir_create", "no")
        self.site = Site(maildir=template, **settings)
        self.root = self.site.root
        self.domain = self.root / DOMAIN
        self.domain.mkdir()
        self.alice = self.domain / "alice"

    def rcpt(self, recipients=(ALICE,), wrap=()):
        """The codes that recipients get."""
        client = self.site.connect(wrap=wrap)
        client.ehlo()
        client.say(f"MAIL FROM:<{SENDER}>", 250)
        codes = []
        for recipient in recipients:
            client.send(f"RCPT TO:<{recipient}>\r\n")
            codes.append(client.reply().code)
        client.quit()
        return codes

    def deliver(self, recipients=(ALICE,), lmtp=False, wrap=(), chunk=False):
        """The codes of one message: of RCPT where one is refused, else of the message."""
        self.site.arguments = ["--lmtp"] if lmtp else []
        client = self.site.connect(wrap=wrap)
        client.lhlo() if lmtp else client.ehlo()
        client.say(f"MAIL FROM:<{SENDER}>", 250)
        codes = []
        for recipient in recipients:
            client.send(f"RCPT TO:<{recipient}>\r\n")
            codes.append(client.reply().code)
        if set(codes) == {250}:
            codes = self._content(client, chunk, len(recipients) if lmtp else 1)
        client.quit()
        return codes

    def _content(self, client, chunk, replies):
        data = harness.sample()
        if chunk:
            client.send(b"BDAT %d LAST\r\n%s" % (len(data), data))
            return [client.reply().code for _ in range(replies)]
        client.send("DATA\r\n")
        first = client.reply().code
        if first != 354:
            return [first]
        return [client.content(data).code] + [client.reply().code for _ in range(replies - 1)]

    def fault(self):
        """What the last record of a message says of this host."""
        return self.site.records("message")[-1].get("delivery_fault")

    def check(self, user=None):
        settings = ["-o", f"user={user}"] if user else []
        return harness.run(*self.site.command(), *settings, "--check")

    def check_both(self, fault):
        """The record and --check have the same words."""
        harness.equal(self.fault(), fault)
        record = self.site.records("message")[-1]
        harness.equal(record.get("status"), "Delivery Error (SMTP Receive)")
        done = self.check()
        harness.equal(done.returncode, 78, done.stdout)
        harness.contains(done.stdout, fault)


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
    """Real sender 19: absolute ones too, as far as they stay inside; RFC 5321 4.5.5 has no say in it."""
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
    """Real sender 15: whatever the template, and although postern may not look into it."""
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
    """Real sender 15: a line of `recipients` says that it is one, so that a file in its place is a fault."""
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


def by_table(place, lines):
    table = place.site.dir / "recipients"
    table.write_text(lines)
    place.site.set(recipients=table)
    shutil.rmtree(place.domain, ignore_errors=True)


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


EMPTY = "is empty: is its file system not mounted?"


def told_empty(place, path):
    """The record and --check have the same words; the latter says what a first start needs."""
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
    """Real sender 16: neither the mailbox of an address, nor that of all others, until a mark says that it is the one."""
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
    """Real senders 16 and 24: a real mount; what came before it was gone and after it is back lies on the disk."""
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


@harness.table(first=(0, [451, 250]), second=(1, [250, 452]))
def test_what_cannot_be_known_for_want_of_descriptors_is_no_unknown_address(which, codes):
    """Real sender 16: neither 550, nor a mailbox in what may be an empty directory."""
    harness.need("strace")
    place = Place()
    make_maildir(place.domain / "bob")
    recipients = [ALICE, f"bob@{DOMAIN}"]
    if which:
        recipients.reverse()
    client = place.site.connect(wrap=("strace", "-f", "-qq", "-o", place.site.dir / "trace", "-P", place.domain, "-e",
                                      "trace=openat", "-e", f"inject=openat:error=EMFILE:when={2 if not which else 3}"))
    client.ehlo()
    client.say(f"MAIL FROM:<{SENDER}>", 250)
    for recipient, code in zip(recipients, codes):
        client.say(f"RCPT TO:<{recipient}>", code)
    client.say("RSET", 250)
    client.quit()


def test_a_link_to_a_disk_that_is_not_mounted():
    """Real sender 16: what root's link leads to is in an empty directory."""
    place = Place(template="%u", maildir_create="auto")
    by_table(place, f"{ALICE} boxes/alice\n")
    (place.root / "disk2").mkdir()
    (place.root / "boxes").symlink_to("disk2/boxes")
    harness.equal(place.deliver(), [451])
    harness.equal(place.fault(), f"{place.root}/disk2: {EMPTY}")
    harness.equal(list((place.root / "disk2").iterdir()), [])


@harness.table(auto=("auto", "box", [250], ["box"]), itself=("auto", "", [250], ["cur", "new", "tmp"]),
               yes=("yes", "%u", [250], ["alice"]))
def test_a_mail_root_that_postern_makes_is_marked(create, maildir, codes, entries):
    """Real sender 16: its first session may end without a message, and the next is a first start all the same."""
    place = Place(maildir_create=create)
    shutil.rmtree(place.root)
    place.site.set(mail_root=place.root, maildir=place.root / maildir)
    harness.equal(place.check().returncode, 0)
    place.site.connect().quit()
    harness.equal(place.deliver(), codes)
    harness.equal(sorted(p.name for p in place.root.iterdir()), entries)


@harness.table(free=(None, [250]), marked=("disk", [451]))
def test_an_empty_directory_that_is_the_mailbox_is_completed(marker, codes):
    """Real sender 15: what `maildir` names is a mailbox, whatever it lacks; mail-root-marker says whether it is there."""
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


# A mailbox that is missing although no address is unknown


FIXED = {"maildir": ({"maildir": "box"}, None, ALICE, "box"), "deep": ({"maildir": "a/box"}, None, ALICE, "a"),
         "table": ({"maildir": "box"}, f"{ALICE}\n", ALICE, "box"),
         "catch-all": ({"maildir": "%u", "catch_all": "rest"}, None, ALICE, "rest"),
         "postmaster": ({"maildir": "%u", "postmaster": "pm"}, None, "postmaster", "pm")}


@harness.table_of({f"{name} {how}": (*row, how) for name, row in FIXED.items() for how in ("SMTP", "LMTP")})
def test_a_mailbox_of_all_addresses_that_is_missing_is_a_fault(settings, lines, to, missing, how):
    """Real sender 15: "does not exist" is of addresses; this one is in no address."""
    place = Place(maildir_create="no")
    place.site.set(**settings)
    if lines:
        by_table(place, lines)
    make_maildir(place.root / "other")
    harness.equal(place.deliver((to,), lmtp=how == "LMTP"), [451])
    path = settings.get("catch_all") or settings.get("postmaster") or settings["maildir"]
    place.check_both(f"{place.root}/{path}: No such file or directory")
    make_maildir(place.root / path)
    harness.equal(place.deliver((to,), lmtp=how == "LMTP"), [250])
    harness.equal(place.check().returncode, 0)


# A directory that no address names is missing, or is none


PARENTS = {"template": ("users/%u", {}, None), "deep": ("users/a/%d-%u/Maildir", {}, None),
           "with catch-all": ("users/%u", {"catch_all": "other"}, None), "catch-all": ("%u", {"catch_all": "users/%u"}, None),
           "postmaster": ("%u", {"postmaster": "users/%d/%u"}, None), "domain": ("%u", {}, f"@{DOMAIN} users/%u\n")}


@harness.table_of({f"{name} {create} {what} {how}": (*row, create, what, how) for name, row in PARENTS.items()
                   for create in ("no", "auto") for what in ("missing", "file", "link to a file") for how in ("SMTP", "LMTP")})
def test_a_directory_above_all_mailboxes_that_is_missing_is_a_fault(template, settings, lines, create, what, how):
    """Real senders 15 and 16: the settings name it, so no address is unknown for that, and none goes to the catch-all."""
    place = Place(template=template, maildir_create=create)
    place.site.set(**settings)
    if lines:
        by_table(place, lines)
    make_maildir(place.root / "other")
    fault = f"{place.root}/users: No such file or directory"
    if what == "file":
        (place.root / "users").write_text("")
        fault = f"{place.root}/users: is not a directory"
    elif what == "link to a file":
        (place.root / "file").write_text("")
        (place.root / "users").symlink_to("file")
        fault = f"{place.root}/file: is not a directory"
    to = f"postmaster@{DOMAIN}" if settings.get("postmaster") else ALICE
    harness.equal(place.deliver((to,), lmtp=how == "LMTP"), [451])
    place.check_both(fault)
    if what != "missing":
        (place.root / "users").unlink()
    (place.root / "users/a").mkdir(parents=True)
    (place.root / "users/b").mkdir()
    harness.equal(place.deliver((to,), lmtp=how == "LMTP"), [451 if template.startswith("users/a") else
                                                            250 if settings.get("catch_all") == "other" else 550])


def test_a_directory_above_all_mailboxes_that_cannot_be_made():
    """Real sender 15: where addresses may make it it is none either while there is a file in its place."""
    place = Place(template="users/%u", maildir_create="yes")
    (place.root / "users").write_text("")
    harness.equal(place.deliver(), [451])
    place.check_both(f"{place.root}/users: is not a directory")
    (place.root / "users").unlink()
    harness.equal(place.deliver(), [250])


NAMED = {"line": ({}, f"{ALICE} boxes/alice\n", "boxes/alice"), "line of the template": ({}, f"{ALICE}\n", f"{DOMAIN}/alice"),
         "line of a domain": ({}, f"@{DOMAIN} rest\n", "rest"), "line with a catch-all": ({"catch_all": "other"}, f"{ALICE} a\n", "a"),
         "catch-all": ({"catch_all": f"info@{DOMAIN}"}, None, f"{DOMAIN}/info"),
         "catch-all of the table": ({"catch_all": f"info@{DOMAIN}"}, f"info@{DOMAIN} info\n", "info"),
         "postmaster": ({"postmaster": f"info@{DOMAIN}"}, None, f"{DOMAIN}/info")}


@harness.table_of({f"{name} {how}": (*row, how) for name, row in NAMED.items() for how in ("SMTP", "LMTP", "BDAT")})
def test_a_mailbox_that_is_named_and_missing_is_a_fault(settings, lines, path, how):
    """Real sender 15: a backup without empty folders has nothing of an empty mailbox, and none is made here."""
    place = Place(maildir_create="no")
    place.site.set(**settings)
    if lines:
        by_table(place, lines)
    make_maildir(place.root / "other")
    make_maildir(place.domain / "other")
    to = "postmaster" if "postmaster" in settings else ALICE
    if "postmaster" in settings:
        place.site.set(hostname=DOMAIN)
    harness.equal(place.deliver((to,), lmtp=how == "LMTP", chunk=how == "BDAT"), [451])
    place.check_both(f"{place.root}/{path}: No such file or directory")
    make_maildir(place.root / path)
    harness.equal(place.deliver((to,), lmtp=how == "LMTP", chunk=how == "BDAT"), [250])
    harness.equal(place.check().returncode, 0)


# A mailbox that is closed for writing


CLOSED = {"new": "new: Permission denied", "itself": "cur: Permission denied", "absent": ": Permission denied"}


@harness.table_of({f"{what} {how}": (what, how) for what in CLOSED for how in ("SMTP", "LMTP", "BDAT")})
def test_a_closed_mailbox_costs_the_others_nothing(what, how):
    """Real sender 17: it is known at RCPT, so that bob gets the message."""
    place = Place(user="nobody", maildir_create="yes" if what == "absent" else "no")
    for name in ("alice", "bob"):
        make_maildir(place.domain / name, owner=65534)
    os.chown(place.root, 65534, 65534)
    fault = place.alice / "new"
    if what == "new":
        (place.alice / "new").chmod(0o500)
    elif what == "itself":
        (place.alice / "cur").rmdir()
        place.alice.chmod(0o500)
        fault = place.alice / "cur"
    else:
        shutil.rmtree(place.alice)
        fault = place.alice
    recipients = (ALICE, f"bob@{DOMAIN}")
    harness.equal(place.rcpt(recipients), [451, 250])
    place.site.arguments = ["--lmtp"] if how == "LMTP" else []
    client = place.site.connect()
    client.lhlo() if how == "LMTP" else client.ehlo()
    client.say(f"MAIL FROM:<{SENDER}>", 250)
    client.say(f"RCPT TO:<{ALICE}>", 451)
    client.say(f"RCPT TO:<bob@{DOMAIN}>", 250)
    harness.equal(place._content(client, how == "BDAT", 1), [250])
    client.quit()
    harness.equal(len(place.site.new(place.domain / "bob")), 1)
    harness.equal(place.fault(), f"{fault}: Permission denied")
    if what != "absent":
        done = place.check()
        harness.equal(done.returncode, 78, done.stdout)
        harness.contains(done.stdout, f"{fault}: Permission denied")


def test_a_mailbox_on_a_file_system_for_reading():
    """Real sender 17: known at RCPT, for root, too."""
    place = Place()
    for name in ("alice", "bob"):
        make_maildir(place.domain / name)
    harness.mount("--bind", place.alice, place.alice)
    harness.at_end(unmount, place.alice)
    harness.mount("-o", "remount,bind,ro", place.alice)
    harness.equal(place.rcpt((ALICE, f"bob@{DOMAIN}")), [451, 250])
    harness.equal(place.deliver(), [451])
    place.check_both(f"{place.alice}/new: Read-only file system")


@harness.table(needed=(True,), not_needed=(False,))
def test_a_closed_tmp_is_a_fault_where_it_is_needed(needed):
    """Real sender 17: a file system with O_TMPFILE stores a message without it."""
    place = Place(user="nobody")
    if needed:
        place.domain.rmdir()
        bindfs(place)
    alice = make_maildir(place.root / DOMAIN / "alice", owner=65534)
    bob = make_maildir(place.root / DOMAIN / "bob", owner=65534)
    (alice / "tmp").chmod(0o500)
    os.chown(place.root, 65534, 65534)
    harness.equal(place.rcpt((ALICE, f"bob@{DOMAIN}")), [451 if needed else 250, 250])
    if needed:
        harness.equal(place.deliver(), [451])
        place.check_both(f"{alice}/tmp: Permission denied")
    assert bob.exists()


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


# More mailboxes than descriptors


@harness.table_of({f"{limit} {owners} {how} {there}": (limit, owners, how, there) for limit in (40, 64)
                   for owners in ("one", "many") for how in ("SMTP", "LMTP", "BDAT") for there in ("new", "old", "bare")})
def test_recipients_that_do_not_fit_are_told_at_once(limit, owners, how, there):
    """Real sender 8: RFC 5321 4.5.3.1.10, those that were accepted get the message, also into mailboxes to be made."""
    harness.need("prlimit")
    place = Place(maildir_create="yes")
    names = [f"user{i}" for i in range(40)]
    for i, name in enumerate(names if there != "new" else ()):
        make_maildir(place.domain / name, PARTS if there == "old" else ("cur",), owner=OTHER + (i if owners == "many" else 0))
    place.site.arguments = ["--lmtp"] if how == "LMTP" else []
    client = place.site.connect(wrap=("prlimit", f"--nofile={limit}:{limit}"))
    hello = client.lhlo() if how == "LMTP" else client.ehlo()
    offered = int(re.search(r"RCPTMAX=(\d+)", "\n".join(hello.lines)).group(1))
    client.say(f"MAIL FROM:<{SENDER}>", 250)
    codes = []
    for name in names:
        client.send(f"RCPT TO:<{name}@{DOMAIN}>\r\n")
        codes.append(client.reply().code)
    n = codes.count(250)
    assert 0 < offered <= n < 40, (offered, codes)
    harness.equal(codes, [250] * n + [452] * (40 - n))
    harness.equal(place._content(client, how == "BDAT", n if how == "LMTP" else 1), [250] * (n if how == "LMTP" else 1))
    client.quit()
    for name in names[:n]:
        harness.check_stored(place.site.new(place.domain / name)[0], harness.sample())
    harness.equal(place.site.leftovers(), [])
    harness.contains(place.fault(), f"/new: {FEW_FILES}")


def test_all_addresses_of_one_mailbox_need_no_more_descriptors():
    """RFC 9422 3: EHLO names the limit that there is."""
    harness.need("prlimit")
    client = Site(maildir="box").connect(wrap=("prlimit", "--nofile=40:40"))
    harness.contains("\n".join(client.ehlo().lines), "RCPTMAX=1000")
    client.quit()


@harness.table(template=("%d/" + 1015 * "x" + "/%u", None), line=("%d/%u", "x/%d/" * 100))
def test_a_path_that_is_too_long_is_a_fault_of_this_host(template, line):
    """What an administrator can repair is never a permanent refusal."""
    settings = {}
    if line:
        table = harness.scratch() / "recipients"
        table.write_text(f"{ALICE} {line}%u\n")
        settings["recipients"] = table
    place = Place(template, **settings)
    harness.equal(place.deliver(), [451])
    harness.contains(place.fault(), f"{place.root}: the path of a mailbox below it is longer than 1023 octets")


def test_check_names_a_maildir_that_is_too_long():
    site = Site(maildir="%d/" + 1022 * "x" + "/%u")
    done = harness.run(*site.command(), "--check")
    harness.equal(done.returncode, 78, done.stdout)
    harness.contains(done.stdout, "maildir: has more than 1023 octets below mail-root")


# Less space than the message needs


@harness.table(new=False, old=True)
def test_a_message_that_does_not_fit_is_refused_before_it_is_sent(exists):
    """RFC 1870 6.1: SIZE is compared with the space of the file system that the mailbox is on."""
    place = Place(maildir_create="yes")
    harness.small_file_system(place.domain if exists else place.root, "512k")
    make_maildir(place.domain / "bob")
    if exists:
        make_maildir(place.alice)
    client = place.site.connect()
    client.ehlo()
    for size, code in ((600_000, 452), (500_000, 250), (0, 250)):
        client.say(f"MAIL FROM:<{SENDER}> SIZE={size}", 250)
        client.say(f"RCPT TO:<{ALICE}>", code)
        client.say(f"RCPT TO:<bob@{DOMAIN}>", code)
        client.say("RSET", 250)
    client.quit()
    record = place.site.records("message")[0]
    name = f"{place.alice}/new" if exists else place.alice
    harness.contains(record["delivery_fault"], f"{name}")
    harness.contains(record["delivery_fault"], ": No space left on device for a message of the size that the client declares")
    harness.equal(record["reason"], "452 4.3.1 Insufficient storage; try later")


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


# What a record says of a message that could not be stored


ERRORS = {"EACCES": "Permission denied", "EROFS": "Read-only file system", "EXDEV": "Invalid cross-device link",
          "EIO": "Input/output error", "EDQUOT": "Disk quota exceeded", "ENOSPC": "No space left on device"}


@harness.table_of({f"{call} {error} {how}": (call, error, how) for how in ("SMTP", "LMTP")
                   for call, error in (*(("linkat", e) for e in ERRORS), ("fsync", "EIO"), ("fsync", "ENOSPC"))})
def test_why_a_message_was_not_stored_is_in_its_record(call, error, how):
    """Real sender 17, RFC 5321 4.2.1: the path and the system's words, and no permanent refusal."""
    harness.need("strace")
    place = Place()
    make_maildir(place.alice)
    code = 452 if error in ("EDQUOT", "ENOSPC") else 451
    codes = place.deliver(lmtp=how == "LMTP", wrap=(
        "strace", "-f", "-qq", "-o", place.site.dir / "trace", "-e", f"trace={call}", "-e",
        f"inject={call}:error={error}"))
    harness.equal(codes, [code])
    harness.equal(place.fault(), f"{place.alice}/new: {ERRORS[error]}")
    harness.equal(place.site.records("message")[-1]["status"], "Delivery Error (SMTP Receive)")


@harness.table_of({f"{limit} {how}": (limit, how) for limit in (10, 16, 20) for how in ("SMTP", "LMTP", "BDAT")})
def test_no_descriptors_for_the_first_mailbox_are_a_fault(limit, how):
    """Real sender 17: the client can send to fewer recipients, but not to less than one."""
    harness.need("prlimit")
    place = Place()
    make_maildir(place.alice)
    codes = place.deliver(lmtp=how == "LMTP", chunk=how == "BDAT", wrap=("prlimit", f"--nofile={limit}:{limit}"))
    harness.equal(codes, [451])
    harness.equal(place.fault(), f"{place.alice}/new: {FEW_FILES}")
    harness.equal(place.site.records("message")[-1]["status"], "Delivery Error (SMTP Receive)")


@harness.table(process=("EMFILE", 452, FEW_FILES), host=("ENFILE", 451, "Too many open files in system"))
def test_no_descriptors_for_a_further_mailbox(error, code, words):
    """Real sender 17: those of this process are the client's matter (RFC 5321 4.5.3.1.10), those of the host never."""
    harness.need("strace")
    place = Place()
    boxes = [make_maildir(place.domain / name) for name in ("alice", "bob")]
    client = place.site.connect(wrap=("strace", "-f", "-qq", "-o", place.site.dir / "trace", "-P", boxes[1], "-e",
                                      "trace=openat", "-e", f"inject=openat:error={error}:when=2"))
    client.ehlo()
    client.say(f"MAIL FROM:<{SENDER}>", 250)
    client.say(f"RCPT TO:<{ALICE}>", 250)
    client.say(f"RCPT TO:<bob@{DOMAIN}>", code)
    client.say("DATA", 354)
    harness.equal(client.content(harness.sample()).code, 250)
    client.quit()
    harness.equal(place.fault(), f"{boxes[1]}/new: {words}")


def test_a_fault_of_one_recipient_is_in_the_record_of_the_others_message():
    """Real sender 17: bob gets the message, and the record shows why alice did not."""
    place = Place()
    make_maildir(place.domain / "bob")
    make_maildir(place.alice, ("cur",))
    (place.alice / "new").write_text("")
    client = place.site.connect()
    client.ehlo()
    client.say(f"MAIL FROM:<{SENDER}>", 250)
    client.say(f"RCPT TO:<{ALICE}>", 451)
    client.say(f"RCPT TO:<bob@{DOMAIN}>", 250)
    client.say("DATA", 354)
    harness.equal(client.content(harness.sample()).code, 250)
    client.envelope(recipients=(f"bob@{DOMAIN}",))
    client.say("DATA", 354)
    harness.equal(client.content(harness.sample()).code, 250)
    client.quit()
    first, second = place.site.records("message")
    harness.equal((first["outcome"], first["delivery_fault"], first["status"]), (
        "delivered", f"{place.alice}/new: is not a directory", "Delivery Error (SMTP Receive)"))
    harness.equal((second["outcome"], "delivery_fault" in second, "status" in second), ("delivered", False, False))


@harness.table(panel=((),), messages=(("--messages",),))
def test_the_panel_shows_where_a_message_could_not_be_stored(arguments):
    """Real sender 17: in the panel and in the list of messages."""
    program = harness.build / "src/postern-status"
    if not program.exists():
        raise harness.Skip("postern-status was not built")
    place = Place()
    make_maildir(place.alice, ("cur",))
    (place.alice / "new").write_text("")
    log = place.site.dir / "log.json"
    place.site.set(log=f"json:{log}")
    harness.equal(place.deliver(), [451])
    done = harness.run(program, "-c", place.site.settings_file, *arguments, log)
    harness.contains(done.stdout, "Delivery Error (SMTP Receive)")
    harness.contains(done.stdout, f"{place.alice}/new: is not a directory")


def test_a_broken_line_of_the_table_is_in_the_record():
    """Real sender 17: which table, which line, which word."""
    place = Place()
    table = place.site.dir / "recipients"
    table.write_text(f"{ALICE} boxes/alice atuh\n")
    place.site.set(recipients=table)
    harness.equal(place.deliver(), [451])
    harness.equal(place.fault(), f"{table}: {ALICE}: atuh: is not auth or deny")


@harness.table_of({f"{verb} {how}": (verb, how) for verb in ("MAIL", "RCPT", "domain") for how in ("SMTP", "LMTP")})
def test_why_a_name_cannot_be_read_is_in_the_record(verb, how):
    """Real sender 17: the module that is missing, in the words of the record of the error, and as a fault of this host."""
    place = Place(domains=f"{DOMAIN} b\u00fccher.example")
    make_maildir(place.alice)
    files = harness.scratch()
    for path in harness.program().parent.iterdir():
        if path.is_file() and path.name != "idn.so":
            shutil.copy(path, files)
    site = place.site
    command = site.command()
    site.command = lambda: [str(files / "postern"), *command[1:], *site.arguments]
    site.arguments = ["--lmtp"] if how == "LMTP" else []
    client = site.connect()
    client.lhlo() if how == "LMTP" else client.ehlo()
    sender = "jos\u00e9@b\u00fccher.example" if verb == "MAIL" else SENDER
    client.send(f"MAIL FROM:<{sender}> SMTPUTF8\r\n".encode())
    if verb != "MAIL":
        client.expect(250)
        to = f"jos\u00e9@{DOMAIN}" if verb == "RCPT" else "user@xn--other-name.example"
        client.send(f"RCPT TO:<{to}>\r\n".encode())
    client.expect(451, "4.3.0")
    client.say("RSET", 250)
    client.say(f"MAIL FROM:<{SENDER}>", 250)  # the fault is over with the message
    client.say(f"RCPT TO:<{ALICE}>", 250)
    client.quit()
    first, second = site.records("message")
    harness.contains(first["delivery_fault"], f"smtputf8: {files}/idn.so: cannot open shared object file")
    harness.contains(site.records("error")[0]["text"], first["delivery_fault"][:200])
    harness.equal(first["status"], "Delivery Error (SMTP Receive)")
    harness.equal(first["reason"], "451 4.3.0 No internationalized addresses for now; try later")
    assert not {"delivery_fault", "status"} & set(second), second


def test_the_fault_of_a_report_has_its_path():
    """Real sender 17: the outbox, which costs no mail."""
    place = Place()
    make_maildir(place.alice)
    outbox = make_maildir(place.site.dir / "outbox")
    place.site.set(dsn_outbox=outbox)
    client = place.site.connect()
    client.ehlo()
    shutil.rmtree(outbox / "new")
    (outbox / "new").write_text("")
    client.envelope(recipients=(ALICE,), parameters=" NOTIFY=SUCCESS")
    client.say("DATA", 354)
    harness.equal(client.content(harness.sample()).code, 250)
    client.quit()
    record = place.site.records("message")[-1]
    harness.equal(record["report_fault"], f"{outbox}/new: is not a directory")


def test_a_trace_that_cannot_be_written_is_reported():
    """Real sender 17: the file and the system's words, in a record of its own."""
    place = Place(trace="127.0.0.1")
    make_maildir(place.alice)
    traces = harness.small_file_system(place.site.dir / "traces", "64k")
    harness.fill(traces)
    place.site.set(trace_directory=traces)
    harness.equal(place.deliver(), [250])
    text = [r["text"] for r in place.site.records("error")]
    assert any(re.search(rf"^trace-directory {traces}.*: No space left on device", t) for t in text), text


# File systems without hard links


def unmount(path):
    harness.run("umount", "-l", path)


def need_fuse(*programs):
    harness.need_root("mounting")
    harness.need(*programs)
    if not os.path.exists("/dev/fuse"):
        raise harness.Skip("there is no FUSE")


def fuse(path, *command):
    """A FUSE file system at path, of a process in the foreground that ends with the test."""
    harness.mount("--make-rprivate", "/")  # a namespace of our own
    process = harness.start(*command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    harness.at_end(unmount, path)

    def mounted():
        if process.poll() is not None:
            raise harness.Skip(f"{command[0]} does not run here")
        with open("/proc/self/mounts", encoding="utf-8") as mounts:
            return any(line.split()[1] == str(path) for line in mounts)

    harness.eventually(mounted, "a FUSE file system")


def exfat(place):
    """Real exFAT, which has no hard links; by FUSE, so that no module of the kernel is needed."""
    need_fuse("mkfs.exfat", "mount.exfat-fuse", "losetup")
    image = place.site.dir / "image"
    with open(image, "wb") as file:
        file.truncate(8 << 20)
    done = harness.run("mkfs.exfat", image)
    harness.equal(done.returncode, 0, done.stdout)
    done = harness.run("losetup", "--find", "--show", image)
    if done.returncode:
        raise harness.Skip(f"no loop device: {done.stdout}")
    device = done.stdout.strip()
    harness.at_end(harness.run, "losetup", "-d", device)
    fuse(place.root, "mount.exfat-fuse", "-d", device, place.root)


def bindfs(place):
    """A file system that has links, by FUSE, without O_TMPFILE."""
    need_fuse("bindfs")
    below = place.site.dir / "below"
    below.mkdir()
    fuse(place.root, "bindfs", "-f", below, place.root)


def overlay(place):
    need_fuse("fuse-overlayfs")
    for name in ("lower", "upper", "work"):
        (place.site.dir / name).mkdir()
    layers = ",".join(f"{key}={place.site.dir}/{name}" for key, name in (
        ("lowerdir", "lower"), ("upperdir", "upper"), ("workdir", "work")))
    fuse(place.root, "fuse-overlayfs", "-f", "-o", layers, place.root)


FILE_SYSTEMS = {"exFAT": exfat, "bindfs": bindfs, "fuse-overlayfs": overlay}
MANY = tuple(f"{name}@{DOMAIN}" for name in ("alice", "bob", "carl"))


@harness.table_of({f"{name} {how}": (mount, how) for name, mount in FILE_SYSTEMS.items()
                   for how in ("SMTP", "LMTP", "BDAT")})
def test_a_file_system_without_hard_links(mount, how):
    """Real sender 18: each recipient's mailbox gets the message, whole and once, and nothing is left in tmp."""
    place = Place(maildir_create="yes")
    shutil.rmtree(place.domain)
    mount(place)
    codes = place.deliver(MANY, lmtp=how == "LMTP", chunk=how == "BDAT")
    harness.equal(codes, [250] * (3 if how == "LMTP" else 1))
    for name in MANY:
        found = place.site.new(place.domain / name.split("@")[0])
        harness.equal(len(found), 1, name)
        harness.check_stored(found[0], harness.sample())
    harness.equal(place.site.leftovers(), [])
    harness.equal(place.deliver(), [250])
    harness.equal(len(place.site.new(place.alice)), 2)
    harness.equal([p.name for p in place.root.iterdir()], [DOMAIN])


def test_check_says_that_a_file_system_has_no_hard_links():
    """Real sender 18: which is no fault; and --check leaves nothing behind."""
    place = Place(maildir_create="yes")
    shutil.rmtree(place.domain)
    exfat(place)
    done = place.check()
    harness.equal(done.returncode, 0, done.stdout)
    harness.contains(done.stdout, f"postern.conf:3: mail-root {place.root}: its file system has no hard links")
    harness.equal(list(place.root.iterdir()), [])


def test_check_looks_at_the_file_systems_of_mailboxes():
    """Real sender 18: each file system once; mail-root's own has hard links."""
    place = Place(template="%d/%u")
    place.alice.mkdir()
    mail_root, place.root = place.root, place.alice
    exfat(place)
    make_maildir(place.alice)
    place.root = mail_root
    make_maildir(place.domain / "bob")
    done = place.check()
    harness.equal(done.returncode, 0, done.stdout)
    harness.contains(done.stdout, f"postern.conf:4: maildir {place.alice}: its file system has no hard links")
    harness.equal(done.stdout.count("no hard links"), 1)
    harness.equal(sorted(p.name for p in place.alice.rglob("*")), sorted(PARTS))


@harness.table(SMTP=(False, [451]), LMTP=(True, [451, 250]))
def test_a_mailbox_that_is_removed_before_the_content_is_named_as_missing(lmtp, codes):
    """Its recipient is to come again, and those of other mailboxes are served where they have replies of their own."""
    place = Place()
    boxes = [make_maildir(place.domain / name) for name in ("alice", "bob")]
    place.site.arguments = ["--lmtp"] if lmtp else []
    client = place.site.connect()
    client.lhlo() if lmtp else client.ehlo()
    client.envelope(recipients=MANY[:2])
    shutil.rmtree(boxes[0])
    client.send("DATA\r\n")
    harness.equal(client.reply().code, 354)
    found = [client.content(harness.sample()).code] + [client.reply().code for _ in codes[1:]]
    client.quit()
    harness.equal(found, codes)
    harness.equal(place.fault(), f"{boxes[0]}/new: No such file or directory")
    harness.equal(len(place.site.new(boxes[1])), codes.count(250))
    harness.equal(place.site.leftovers(), [])


def trace_of(place, *injections):
    harness.need("strace")
    file = place.site.dir / "trace"
    options = [o for i in injections for o in ("-e", f"inject={i}")]
    return file, ("strace", "-f", "-qq", "-y", "-o", file, "-e",
                  "trace=openat,linkat,renameat2,renameat,fsync,newfstatat,unlinkat", *options)


NO_LINKS = {"EPERM": "EPERM", "EOPNOTSUPP": "EOPNOTSUPP", "ENOSYS": "ENOSYS"}
KINDS = ("tmp", "O_TMPFILE")


def place_of_kind(kind):
    """A place without O_TMPFILE; or one with it, outside the sandbox, as a file is then made from one without a name."""
    place = Place(sandbox="yes" if kind == "tmp" else "no")
    if kind == "tmp":
        place.domain.rmdir()
        bindfs(place)
        place.domain.mkdir()
    return place


@harness.table_of({f"{error} {rename} {how} {kind}": (error, rename, how, kind) for error in NO_LINKS for kind in KINDS
                   for rename in ("RENAME_NOREPLACE", "EINVAL") for how in ("SMTP", "LMTP")})
def test_a_file_that_cannot_be_linked_is_moved(error, rename, how, kind):
    """Real sender 18: also where O_TMPFILE is known, and where rename knows no flags; durable before 250."""
    place = place_of_kind(kind)
    boxes = [make_maildir(place.domain / name.split("@")[0]) for name in MANY]
    injections = [f"linkat:error={error}"]
    if rename == "EINVAL":
        injections.append("renameat2:error=EINVAL:when=1+2")
    trace, wrap = trace_of(place, *injections)
    harness.equal(place.deliver(MANY, lmtp=how == "LMTP", wrap=wrap), [250] * (3 if how == "LMTP" else 1))
    for box in boxes:
        harness.equal(len(place.site.new(box)), 1, box)
        harness.check_stored(place.site.new(box)[0], harness.sample())
    harness.equal(place.site.leftovers(), [])
    lines = trace.read_text().splitlines()
    for box in boxes:
        moved = max(i for i, line in enumerate(lines) if "renameat2(" in line and f"{box}/new>" in line)
        for part in ("new", "tmp"):
            assert any(re.search(rf"fsync\(\d+<{box}/{part}>", line) for line in lines[moved:]), f"{box}/{part}"
        assert any(re.search(rf"fsync\(\d+<{box}/new/[^>]+>", line) for line in lines[moved:]), "the file"


@harness.table_of({kind: kind for kind in KINDS})
def test_a_file_is_never_moved_over_another(kind):
    """Real sender 18: where rename knows no flags the name is looked at before."""
    place = place_of_kind(kind)
    make_maildir(place.alice)
    trace, wrap = trace_of(place, "linkat:error=EPERM", "renameat2:error=EEXIST:when=1")
    harness.equal(place.deliver(wrap=wrap), [250])
    harness.check_stored(place.site.new(place.alice)[0], harness.sample())
    names = re.findall(r'renameat2\(.*"([^"]*)", RENAME_NOREPLACE', trace.read_text())
    harness.equal(len(set(names)), 2, f"two names were tried: {names}")


@harness.table_of({f"renameat2 {error} {kind}": (kind, "renameat2", error) for error in ("EIO", "ENOSPC", "EPERM")
                   for kind in KINDS} |
                  {f"fsync {when} {kind}": (kind, f"fsync when={when}", "EIO") for kind, n in zip(KINDS, (4, 5))
                   for when in range(1, n + 1)})
def test_a_step_without_hard_links_that_fails_refuses_for_now(kind, call, error):
    """Real sender 18: nothing is left, and the record says where it was."""
    place = place_of_kind(kind)
    make_maildir(place.alice)
    name, _, when = call.partition(" ")
    _, wrap = trace_of(place, "linkat:error=EPERM", f"{name}:error={error}{':' + when if when else ''}")
    codes = place.deliver(wrap=wrap)
    assert codes[0] in (451, 452), codes
    harness.equal(place.site.everything(), [])
    harness.contains(place.fault(), f"{place.alice}/")


# What the owner of one mailbox can do to the others'


def test_a_file_in_tmp_is_its_owners_only_when_it_is_complete():
    """Where there is no O_TMPFILE; else alice could write into what bob gets, as it is filled from her file."""
    place = Place()
    place.domain.rmdir()
    bindfs(place)
    alice = make_maildir(place.root / DOMAIN / "alice", owner=OTHER)
    bob = make_maildir(place.root / DOMAIN / "bob", owner=OURS)
    client = place.site.connect()
    client.ehlo()
    client.envelope(recipients=(ALICE, f"bob@{DOMAIN}"))
    client.say("DATA", 354)
    unfinished = harness.eventually(lambda: list((alice / "tmp").iterdir()), "the file in tmp")
    harness.equal((unfinished[0].stat().st_uid, unfinished[0].stat().st_mode & 0o777), (0, 0o600))
    harness.equal(client.content(harness.sample()).code, 250)
    client.quit()
    for box, owner in ((alice, OTHER), (bob, OURS)):
        [path] = place.site.new(box)
        harness.equal(path.stat().st_uid, owner, box)
        harness.check_stored(path, harness.sample())
    harness.equal(place.site.leftovers(), [])


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


@harness.table(full=(("file",), 0, [451]), empty=((), OTHER, [250]))
def test_a_directory_of_root_in_the_place_of_a_part_is_not_given_away(entries, owner, codes):
    """Where alice exchanges the `new` that root has just made for her: with what is in it."""
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
        harness.equal(answer.result(), codes)
    harness.equal((place.alice / "new").stat().st_uid, owner)
    if entries:
        harness.equal(place.fault(), f"{place.alice}/new: File exists")


@harness.table_of({f"{kind} {how}": (kind, how) for kind in KINDS for how in ("SMTP", "LMTP")})
def test_no_mailbox_is_filled_from_another_owners_file(kind, how):
    """Nor at commit, where there are no hard links and each mailbox gets a file of its own."""
    place = place_of_kind(kind)
    owners = {"alice": OTHER, "bob": OURS, "carl": OURS, "dora": OURS}
    boxes = {name: make_maildir(place.domain / name, owner=owner) for name, owner in owners.items()}
    trace = place.site.dir / "trace"
    wrap = ("strace", "-f", "-qq", "-y", "-o", trace, "-e", "trace=openat,sendfile,fchown,linkat", "-e",
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
        elif given := re.search(r"fchown\((\d+)<.*>\S*, (\d+), \d+\)", line):
            owner_of[given[1]] = int(given[2])
        elif filled := re.search(r"sendfile\((\d+)<([^>]*)>\S*, (\d+)<", line):
            box = next(name for name in owners if f"/{name}/" in filled[2])
            assert owner_of[filled[3]] in (None, owners[box]), f"{line}\n{owner_of}"
    harness.equal(" sendfile(" in trace.read_text(), kind == "O_TMPFILE")


if __name__ == "__main__":
    harness.main()
