# SPDX-License-Identifier: ISC
"""Fresh Debian systems: folders made by debootstrap, chroots with mail clients, and a booted machine.

A folder of a base system is made once and kept in the cache, and never changed. Changes of a system are in an overlay
that is thrown away.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "system"))
import harness  # noqa: E402
import mirror  # noqa: E402

SOURCE = HERE.parent.parent
NAMES = {"12": "bookworm", "bookworm": "bookworm", "13": "trixie", "trixie": "trixie", "testing": "testing"}
SCRIPT = "/usr/share/debootstrap/scripts/sid"  # of all Debian releases, newer ones than debootstrap included
ADDRESS = "192.0.2.25"  # of mail.example.org, in README too
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root",
               "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive", "TERM": "dumb"}
LONG = 1800.0  # seconds for any one step: far more than ten times what an idle machine needs
scratch = Path("/var/tmp")  # for all that is thrown away; in memory while tests/distributions runs


class Fault(Exception):
    """A step that did not work, and what it printed."""


def call(*command, patience=LONG, text=None):
    """Run to the end; the output. A Fault when it fails."""
    done = harness.run(*command, patience=patience, env=ENVIRONMENT, **({} if text is None else {"input": text}))
    if done.returncode:
        raise Fault(f"{' '.join(map(str, command))[:200]}: exit status {done.returncode}\n{done.stdout[-4000:]}")
    return done.stdout


class Network:
    """A loopback of its own with a mirror in it, until the end of the run."""

    def __init__(self, cache, upstream):
        holder = harness.start("unshare", "--net", "sh", "-c", "ip link set lo up && echo up && exec sleep 100000",
                               stdout=subprocess.PIPE)
        assert holder.stdout.readline() == b"up\n"
        self.enter = ("nsenter", f"--net=/proc/{holder.pid}/ns/net")
        harness._cleanups.enter_context(mirror.serving(harness.in_network_of(holder.pid), cache / "mirror", upstream))


class Distribution:
    """The base system of a release, of this machine's architecture or of another that its kernel runs."""

    def __init__(self, name, cache, network, architecture=None):
        self.name, self.cache, self.network, self.architecture = NAMES[name], cache, network, architecture
        self.files = f"{self.name}-{architecture}" if architecture else self.name
        self.tree = cache / f"{self.files}.tree"
        with open(cache / f"{self.files}.lock", "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self.tree.exists():
                self.make()

    def make(self):
        """debootstrap, and what Debian's installer would have added of what README takes for granted.

        In memory, where the many fsync() of dpkg cost nothing, and then copied."""
        partial, archive = self.cache / f"{self.files}.partial", self.cache / f"{self.files}.tar"
        for left in (partial, self.cache / f"{self.files}.copy"):
            shutil.rmtree(left, ignore_errors=True)
        partial.mkdir()
        harness.mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", partial)
        if archive.exists():  # of debootstrap --variant=minbase, made elsewhere
            call("tar", "-C", partial, "-xf", archive)
        else:
            of = ("--arch", self.architecture) if self.architecture else ()
            call(*self.network.enter, "debootstrap", *of, "--variant=minbase", self.name, partial, mirror.URL, SCRIPT)
        (partial / "etc/apt/sources.list").write_text(f"deb {mirror.URL} {self.name} main\n")
        (partial / "etc/apt/apt.conf.d/99mirror").write_text(mirror.settings())
        for name in ("etc/resolv.conf", "etc/hostname"):
            (partial / name).unlink(missing_ok=True)
        (partial / "etc/hosts").write_text(f"127.0.0.1 localhost\n::1 localhost\n{ADDRESS} mail.example.org mail\n"
                                         "127.0.1.1 client.example.net client\n")
        wanted = [line.split("#")[0].strip() for line in (HERE / "packages.txt").read_text().splitlines()]
        chroot = ("unshare", "--mount", "--pid", "--fork", "sh", "-c",
                  f'mount -t proc proc {partial}/proc; mount --rbind /dev {partial}/dev; exec chroot {partial} "$@"', "-")
        call(*self.network.enter, *chroot, "apt-get", "update", "-q")
        call(*self.network.enter, *chroot, "apt-get", "install", "-qy", "--no-install-recommends", *filter(None, wanted))
        call(*chroot, "useradd", "--create-home", "--shell", "/bin/bash", "user")
        call(*chroot, "apt-get", "clean")
        copy = self.cache / f"{self.files}.copy"
        call("cp", "-ax", partial, copy)
        call("umount", "-R", "-l", partial)
        copy.rename(self.tree)


class Chroot:
    """A throw-away system over folders that do not change, and whose daemons do not start."""

    def __init__(self, *lower):
        self.lower = lower
        self.folder = Path(tempfile.mkdtemp(prefix="pd.", dir=scratch))
        for name in ("upper", "work", "root"):
            (self.folder / name).mkdir()
        self.root = self.folder / "root"
        harness.mount("-t", "overlay", "overlay", "-o", f"lowerdir={':'.join(map(str, lower))},"
                      f"upperdir={self.folder}/upper,workdir={self.folder}/work", self.root)
        harness.mount("-t", "proc", "proc", self.root / "proc")
        harness.mount("--rbind", "/dev", self.root / "dev")
        harness.at_end(self.unmount)

    def unmount(self):
        harness.run("umount", "-R", "-l", self.root)

    def install(self, network, packages):
        self.write("usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n")
        (self.root / "usr/sbin/policy-rc.d").chmod(0o755)
        call(*network.enter, *self.inside(), "apt-get", "install", "-qy", "--no-install-recommends", *packages)

    def layer(self):
        """A system that begins as this one, which must not change any more."""
        return Chroot(self.folder / "upper", *self.lower)

    def inside(self):
        """The beginning of a command: under a name of its own, as Postfix looks for it when it is installed."""
        return ("unshare", "--uts", "sh", "-c", 'hostname client && exec chroot "$@"', "-", self.root)

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def run(self, machine, *command, text=None, patience=LONG):
        """A command of the chroot in the machine's network: exit status and output."""
        options = {} if text is None else {"input": text}
        return harness.run("nsenter", f"--net=/proc/{machine.pid}/ns/net", *self.inside(), *command,
                           patience=patience, env=ENVIRONMENT, **options)


class Booted:
    """A machine with systemd as its PID 1, over the folder of a system."""

    def __init__(self, tree, cache, upstream):
        self.dir = Path(tempfile.mkdtemp(prefix="pd.", dir=scratch))
        harness.at_end(shutil.rmtree, self.dir, True)
        harness.at_end(self.control, "down")
        got = self.control("up", tree)
        if got.returncode:
            raise Fault(f"systemd does not boot in {tree}: {got.stdout}")
        self.pid = int((self.dir / "pid").read_text())
        self.root = Path(f"/proc/{self.pid}/root")
        call("nsenter", f"--net=/proc/{self.pid}/ns/net", "ip", "address", "add", f"{ADDRESS}/32", "dev", "lo")
        harness._cleanups.enter_context(
            mirror.serving(harness.in_network_of(self.pid), cache / "mirror", upstream))

    def control(self, verb, *arguments, **options):
        return harness.run(SOURCE / "tests/system/with-systemd", verb, self.dir, *arguments, **options | {"patience": LONG})

    def run(self, *command, patience=LONG, text=None):
        options = {} if text is None else {"input": text}
        return harness.run(SOURCE / "tests/system/with-systemd", "run", self.dir, *command, patience=patience,
                           env=ENVIRONMENT, **options)

    def start(self, *command, **options):
        return harness.start(SOURCE / "tests/system/with-systemd", "run", self.dir, *command, env=ENVIRONMENT, **options)

    def path(self, name):
        return self.root / name.lstrip("/")

    def copy_checkout(self):
        """The files that git tracks, in their current state, without build results. The checkout may belong to
        another user."""
        listed = subprocess.run(["git", "-c", f"safe.directory={SOURCE}", "-C", SOURCE, "ls-files", "-z", "--cached",
                                 "--others", "--exclude-standard"], capture_output=True, check=True).stdout
        names = b"\0".join(n for n in listed.split(b"\0") if n and os.path.lexists(os.path.join(os.fsencode(SOURCE), n)))
        target = self.path("/home/user/postern")
        target.mkdir()
        archive = subprocess.run(["tar", "-C", SOURCE, "--null", "-T", "-", "-cf", "-"], input=names,
                                 capture_output=True, check=True).stdout
        subprocess.run(["tar", "-C", target, "-xf", "-", "--no-same-owner"], input=archive, check=True)
        self.run("chown", "-R", "user:user", "/home/user/postern")

    def copy_to(self, tree):
        """The machine's files, for further machines that begin where this one is."""
        tree.mkdir()
        call("sh", "-c", 'tar -C "$1" --one-file-system --exclude=./host --exclude=./.host-root -cf - . | tar -C "$2" -xf -', "-",
             self.root, tree)
