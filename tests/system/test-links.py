#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Paths of settings, when postern is root and another user can change a part of them: no link of that user is
followed, at any place in the path, and no file of root is read, written to or removed through one."""

import os
import socket

import harness
from harness import Site

OTHER = 65534
LINK = "its path has a symbolic link that another user can change"
NAMES = "is not a regular file with exactly one name, and another user than root can change its path"
SECRET = "secret-of-root"


class Place:
    """A site, and beside it a home of another user, and a directory of root's."""

    def __init__(self):
        harness.need_root("another user's home")
        self.site = Site()
        self.home, self.ours = self.site.dir / "home", self.site.dir / "ours"
        for folder in (self.home, self.ours):
            folder.mkdir()
        os.chown(self.home, OTHER, OTHER)

    def link(self, path, target, owner=OTHER):
        path.symlink_to(target)
        os.chown(path, owner, owner, follow_symlinks=False)
        return path

    def check(self):
        return harness.run(*self.site.command(), "--check")

    def refuses(self, words):
        """--check and the record of a client's session have the same words; the client is to come again."""
        done = self.check()
        harness.equal(done.returncode, 78, done.stdout)
        harness.contains(done.stdout, words)
        client = self.site.connect(greeting=False)
        harness.equal(client.reply().code, 421)
        harness.eventually(lambda: words in self.site.log_text(), "a record")
        for text in (done.stdout, self.site.log_text()):
            assert SECRET not in text, text


def last(place, name):
    """The file itself is a link."""
    return place.link(place.home / name, place.ours / name)


def above(place, name):
    """A directory above it is one."""
    return place.link(place.home / "folder", place.ours) / name


def in_root_s(place, name):
    """A link of that user, in a directory of root's."""
    return place.link(place.site.dir / "link", place.ours) / name


LINKS = {"the file": last, "a directory": above, "in root's": in_root_s}
READ = ("clients", "recipients")


@harness.table_of({f"{setting}, {name}": (setting, link) for setting in READ for name, link in LINKS.items()})
def test_root_reads_no_file_by_a_link_of_another_user(setting, link):
    place = Place()
    (place.ours / setting).write_text(f"{SECRET} x\n")
    path = link(place, setting)
    place.site.set(**{setting: path})
    place.refuses(f"{path}: {LINK}")


def test_settings_are_not_read_by_a_link_of_another_user():
    place = Place()
    (place.ours / "postern.conf").write_text(f"{SECRET}\n")
    place.site.settings_file = last(place, "postern.conf")
    done = place.check()
    harness.equal(done.returncode, 78, done.stdout)
    harness.contains(done.stdout, f"{place.site.settings_file}: {LINK}")
    assert SECRET not in done.stdout, done.stdout


@harness.table_of({setting: setting for setting in READ})
def test_root_reads_no_second_name_that_another_user_has_made(setting):
    place = Place()
    (place.ours / setting).write_text(f"{SECRET} x\n")
    path = place.home / setting
    os.link(place.ours / setting, path)
    place.site.set(**{setting: path})
    place.refuses(f"{path}: {NAMES}")


def test_links_of_root_are_followed():
    """Where only root can change them: also in a directory in which all may make files, as /tmp."""
    place = Place()
    (place.ours / "clients").write_text("127.0.0.9 deny not from there\n")
    shared = place.site.dir / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    place.link(place.ours / "one", "clients", owner=0)
    place.link(shared / "two", place.ours, owner=0)
    place.site.set(clients=shared / "two" / "one")
    harness.equal(place.check().returncode, 0)
    place.site.connect(client="127.0.0.9", greeting=False).expect(554, "not from there")


@harness.table_of(LINKS)
def test_root_writes_no_record_by_a_link_of_another_user(link):
    place = Place()
    path = link(place, "log")
    (place.ours / "log").write_text("")
    place.site.set(log=f"json:{path}")
    done = place.check()
    harness.equal(done.returncode, 78, done.stdout)
    harness.contains(done.stdout, f"log {path}: {LINK}")
    place.site.connect().quit()
    harness.eventually(lambda: f"log {path}: {LINK}" in place.site.log_text(), "a record elsewhere")
    harness.equal((place.ours / "log").read_text(), "")


@harness.table(there=True, missing=False)
def test_a_record_goes_to_a_plain_file_alone_below_a_home(there):
    """A directory of root's in that home can be replaced by another one at any time."""
    place = Place()
    logs = place.home / "logs"
    logs.mkdir()
    (place.ours / "log").write_text("")
    if there:
        os.link(place.ours / "log", logs / "log")
    place.site.set(log=f"json:{logs}/log")
    done = place.check()
    harness.equal(done.returncode, 78 if there else 0, done.stdout)
    place.site.connect().quit()
    if there:
        harness.contains(done.stdout, f"log {logs}/log: {NAMES}")
        harness.equal((place.ours / "log").read_text(), "")
    else:
        harness.eventually(lambda: (logs / "log").exists() and "session" in (logs / "log").read_text(), "a record")


@harness.table(mail=("mail-root", ""), outbox=("dsn-outbox", ""), missing=("mail-root", "/not/there"))
def test_root_makes_and_writes_nothing_below_a_link_of_another_user(setting, more):
    place = Place()
    (place.ours / "place").mkdir()
    link = place.link(place.home / "link", place.ours)
    path = f"{link}/place{more}"
    place.site.set(**{setting.replace("-", "_"): path}, maildir="box")
    done = place.check()
    harness.equal(done.returncode, 78, done.stdout)
    harness.contains(done.stdout, LINK)
    client = place.site.connect(greeting=False)
    harness.equal(client.reply().code, 220 if setting == "dsn-outbox" else 421)
    harness.eventually(lambda: f"{setting} {path}: {LINK}" in place.site.log_text(), "a record")
    harness.equal(list((place.ours / "place").iterdir()), [])


def test_a_trace_is_not_written_below_a_link_of_another_user():
    place = Place()
    path = in_root_s(place, "traces")
    (place.ours / "traces").mkdir()
    place.site.set(trace_directory=path, trace="127.0.0.0/8")
    done = place.check()
    harness.equal(done.returncode, 78, done.stdout)
    harness.contains(done.stdout, f"trace-directory {path}: {LINK}")
    place.site.connect().quit()
    harness.eventually(lambda: f"trace-directory {path}: {LINK}" in place.site.log_text(), "a record")
    harness.equal(list((place.ours / "traces").iterdir()), [])


def abandoned(path):
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(path))


def test_no_socket_is_removed_or_made_by_a_link_of_another_user():
    place = Place()
    abandoned(place.ours / "lmtp")
    path = above(place, "lmtp")
    done = harness.run(*place.site.command(), f"--listen=lmtp={path}")
    harness.equal(done.returncode, 64)
    harness.contains(done.stdout, LINK)
    assert (place.ours / "lmtp").is_socket()


def test_no_socket_is_removed_below_a_home():
    """That user can put another directory of root's in the place of this one."""
    place = Place()
    (place.home / "sockets").mkdir()
    path = place.home / "sockets" / "lmtp"
    abandoned(path)
    done = harness.run(*place.site.command(), f"--listen=lmtp={path}")
    harness.equal(done.returncode, 64)
    harness.contains(done.stdout, "in a directory that other users can write to it is not removed")
    assert path.is_socket()


harness.main()
