# SPDX-License-Identifier: ISC
"""The functions that the tests of mailboxes share: Maildirs of several owners below a mail-root, and messages to
them."""

import os
import shutil
import subprocess

import harness
from harness import DOMAIN, SENDER, Site

PARTS = ("new", "cur", "tmp")
OTHER = 61001  # an owner of Maildirs
OURS = 61002  # the user of postern, if it is not root
ALICE = f"alice@{DOMAIN}"


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
        """The fault of this host in the last record of a message."""
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


def by_table(place, lines):
    table = place.site.dir / "recipients"
    table.write_text(lines)
    place.site.set(recipients=table)
    shutil.rmtree(place.domain, ignore_errors=True)


EMPTY = "is empty: is its file system not mounted?"


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
            return any(line.split()[1] == str(path) and line.split()[2].startswith("fuse") for line in mounts)

    harness.eventually(mounted, "a FUSE file system")
    return process


def bindfs(place):
    """A file system that has links, by FUSE, without O_TMPFILE."""
    need_fuse("bindfs")
    below = place.site.dir / "below"
    below.mkdir()
    fuse(place.root, "bindfs", "-f", below, place.root)
MANY = tuple(f"{name}@{DOMAIN}" for name in ("alice", "bob", "carl"))
KINDS = ("tmp", "O_TMPFILE")


def place_of_kind(kind):
    """A place without O_TMPFILE; or one with it, outside the sandbox, as a file is then made from one without a
    name."""
    place = Place(sandbox="yes" if kind == "tmp" else "no")
    if kind == "tmp":
        place.domain.rmdir()
        bindfs(place)
        place.domain.mkdir()
    return place
