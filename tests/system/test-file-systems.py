#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""File systems without hard links."""

import os
import re
import shutil

import harness
from harness import DOMAIN
from mailboxes import KINDS, MANY, PARTS, Place, bindfs, fuse, make_maildir, need_fuse, place_of_kind


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


def overlay(place):
    need_fuse("fuse-overlayfs")
    for name in ("lower", "upper", "work"):
        (place.site.dir / name).mkdir()
    layers = ",".join(f"{key}={place.site.dir}/{name}" for key, name in (
        ("lowerdir", "lower"), ("upperdir", "upper"), ("workdir", "work")))
    fuse(place.root, "fuse-overlayfs", "-f", "-o", layers, place.root)


FILE_SYSTEMS = {"exFAT": exfat, "bindfs": bindfs, "fuse-overlayfs": overlay}


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
    harness.eventually(lambda: not place.site.leftovers(), "no file remains in tmp")
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


def trace_of(place, *injections):
    harness.need("strace")
    file = place.site.dir / "trace"
    options = [o for i in injections for o in ("-e", f"inject={i}")]
    return file, ("strace", "-f", "-qq", "-y", "-o", file, "-e",
                  "trace=openat,linkat,renameat2,renameat,fsync,?newfstatat,?fstatat64,unlinkat", *options)


NO_LINKS = {"EPERM": "EPERM", "EOPNOTSUPP": "EOPNOTSUPP", "ENOSYS": "ENOSYS"}


@harness.table_of({f"{error} {rename} {how} {kind}": (error, rename, how, kind) for error in NO_LINKS for kind in KINDS
                   for rename in ("RENAME_NOREPLACE", "EINVAL") for how in ("SMTP", "LMTP")})
def test_a_file_that_cannot_be_linked_is_moved(error, rename, how, kind):
    """Real sender 18: also with O_TMPFILE, and without flags of rename; durable before 250."""
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
    harness.eventually(lambda: not place.site.leftovers(), "no file remains in tmp")
    lines = trace.read_text().splitlines()
    for box in boxes:
        moved = max(i for i, line in enumerate(lines) if "renameat2(" in line and f"{box}/new>" in line)
        for part in ("new", "tmp"):
            assert any(re.search(rf"fsync\(\d+<{box}/{part}>", line) for line in lines[moved:]), f"{box}/{part}"
        assert any(re.search(rf"fsync\(\d+<{box}/new/[^>]+>", line) for line in lines[moved:]), "the file"


@harness.table_of({kind: kind for kind in KINDS})
def test_a_file_is_never_moved_over_another(kind):
    """Real sender 18: without flags of rename the name is checked before."""
    place = place_of_kind(kind)
    make_maildir(place.alice)
    trace, wrap = trace_of(place, "linkat:error=EPERM", "renameat2:error=EEXIST:when=1")
    harness.equal(place.deliver(wrap=wrap), [250])
    harness.check_stored(place.site.new(place.alice)[0], harness.sample())
    names = re.findall(r'renameat2\(.*"([^"]*)", RENAME_NOREPLACE', trace.read_text())
    harness.equal(len(set(names)), 2, f"two names were tried: {names}")


# Of the file, before and after it has its name, and of the directories. With a broker, which root has, the file without a
# name that could not be linked is synced beside the one that was made in its place: failures of that cost nothing.
SYNCS = ((1, 2, 3, 4), (1, 3, 5, 6, 7) if os.geteuid() == 0 else (1, 2, 3, 4, 5))


@harness.table_of({f"renameat2 {error} {kind}": (kind, "renameat2", error) for error in ("EIO", "ENOSPC", "EPERM")
                   for kind in KINDS} |
                  {f"fsync {when} {kind}": (kind, f"fsync when={when}", "EIO") for kind, n in zip(KINDS, SYNCS)
                   for when in n})
def test_a_step_without_hard_links_that_fails_refuses_for_now(kind, call, error):
    """Real sender 18: no file remains, and the record has its place."""
    place = place_of_kind(kind)
    make_maildir(place.alice)
    name, _, when = call.partition(" ")
    _, wrap = trace_of(place, "linkat:error=EPERM", f"{name}:error={error}{':' + when if when else ''}")
    codes = place.deliver(wrap=wrap)
    assert codes[0] in (451, 452), codes
    harness.equal(place.site.everything(), [])
    harness.contains(place.fault(), f"{place.alice}/")


if __name__ == "__main__":
    harness.main()
