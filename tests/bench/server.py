# SPDX-License-Identifier: ISC
"""What servers that are compared have in common: where their mail lands, how they are started and ended.

All take mail for box@example.org into a Maildir that belongs to the user `mail`, on the same file system,
with the same certificate.
"""

import os
import shutil
import subprocess
import time

from harness import eventually
from load import Talk
from measure import Group

HERE = os.path.dirname(os.path.abspath(__file__))
WITH_PACKAGES = f"{HERE}/../system/with-packages"
MAIL = 8  # user and group `mail` of any Debian
CONNECTIONS = 400  # at once, more than are ever made
BACKLOG = 1024
BIG = 1_000_000  # octets of a message whose place on the disk is wanted back


class Place:
    """What the servers share: folders, the certificate, the packages."""

    def __init__(self, folder, build, packages, static=None):
        self.folder, self.build, self.packages, self.static = folder, build, packages, static
        self.certificate, self.key = f"{folder}/tls.crt", f"{folder}/tls.key"
        self.tickets = f"{folder}/tickets"
        os.chmod(folder, 0o755)
        # Each folder in it to a part of the disk of its own, or what one server has deleted lately costs the
        # others (see Server.clear). Where the file system knows nothing of that, nothing is to be done.
        subprocess.run(["chattr", "+T", folder], stderr=subprocess.DEVNULL, check=False)
        self.make_pair(self.certificate, self.key, "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
        with open(self.tickets, "wb") as file:
            file.write(os.urandom(64))
        os.chown(self.tickets, MAIL, MAIL)
        os.chmod(self.tickets, 0o600)
        self._last_port = 2500
        self.machine = None  # that units.py boots

    @staticmethod
    def make_pair(certificate, key, *kind):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", *kind, "-nodes",
             "-days", "9", "-subj", "/CN=mail.example.org", "-addext", "subjectAltName=DNS:mail.example.org",
             "-keyout", key, "-out", certificate], check=True, stderr=subprocess.DEVNULL)
        os.chown(key, MAIL, MAIL)
        os.chmod(key, 0o600)

    def port(self):
        """Every port is free: the network is the benchmark's own."""
        self._last_port += 1
        return self._last_port


class Server:
    """One that listens; a subclass says how it is started."""

    name = label = ""
    recipient = "box@example.org"
    extensions = {"STARTTLS", "BDAT", "resume"}
    packages = ()  # of Debian
    note = ""  # what it does less or more than the others
    only = None  # the one work that is done with it, if it is not all
    owner = (MAIL, MAIL)  # of the mail
    within = ()  # command that enters the network where it listens

    def __init__(self, place):
        self.place, self.port = place, place.port()
        # which part of the disk is told by the name: not the one whose files the last run has deleted
        self.folder = f"{place.folder}/{self.name}-{time.monotonic_ns()}"
        self.box = f"{self.folder}/mail/box"
        self.log = f"{self.folder}/log"
        for path in (f"{self.folder}/mail", self.log, f"{self.folder}/spool"):
            os.makedirs(path)
        for path in (f"{self.folder}/mail", self.log):
            os.chown(path, *self.owner)
        self.make_box()
        self.group = self.process = None

    def build(self):
        """The build folder that the program and the tools of the bench come from."""
        return self.place.build

    def start(self):
        self.group = Group(self.name)
        with open(f"{self.folder}/output", "ab") as output:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/",
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", **self.environment()},
                preexec_fn=self.group.enter)  # before it becomes the server
        try:
            eventually(self._greets, f"{self.name} greets", 60)
        except AssertionError as error:
            with open(f"{self.folder}/output", encoding="utf-8", errors="replace") as output:
                raise RuntimeError(f"{error}: {output.read()[-2000:]}") from None
        return self

    def stop(self):
        if self.group:
            self.group.end()
        if self.process:
            self.process.wait()
        self.group = self.process = None

    def command(self):
        raise NotImplementedError

    def environment(self):
        return {}

    def tickets(self, on):
        """Offer session tickets or not, where that is a setting; off is the default."""

    def clear(self):
        """A new/ that is empty and new; what was received is kept aside until the end.

        Not emptied: ext4 without a journal passes over inodes that were deleted within the last seconds, and
        whoever makes a file meanwhile pays for it. Only the content of what is big goes.
        """
        with os.scandir(self.new) as entries:
            for entry in entries:
                if entry.stat().st_size >= BIG:
                    os.truncate(entry.path, 0)
        os.rename(self.new, f"{self.folder}/aside-{time.monotonic_ns()}")
        self.make_new()

    def make_box(self):
        self.new = f"{self.box}/new"
        for path in (self.box, f"{self.box}/tmp", f"{self.box}/cur"):
            os.mkdir(path)
            os.chown(path, *self.owner)
        self.make_new()

    def make_new(self):
        """Synced, so that nobody's first message syncs it."""
        os.mkdir(self.new)
        os.chown(self.new, *self.owner)
        for path in (self.new, self.box):
            folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            os.fsync(folder)
            os.close(folder)

    def write(self, name, text):
        path = f"{self.folder}/{name}"
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        return path

    def packaged(self, path):
        """A program of an unpacked package, copied to where a machine of its own sees it, too."""
        return shutil.copy(f"{self.place.packages}/{path}", self.folder)

    def tcpserver(self, *command, options=()):
        return [self.packaged("ucspi-tcp/usr/bin/tcpserver"), "-R", "-H", "-l0", "-c", str(CONNECTIONS),
                "-b", str(BACKLOG), *options, "127.0.0.1", str(self.port), *command]

    def inetd(self, program, *arguments):
        line = f"127.0.0.1:{self.port} stream tcp nowait.1000000 root {program} {' '.join(arguments)}\n"
        return [self.packaged("openbsd-inetd/usr/sbin/inetd"), "-i", self.write("inetd.conf", line)]

    def machine(self, package, script):
        """The script on a machine of its own; what has lost its parent there is waited for."""
        return [WITH_PACKAGES, self.place.packages, package, self.folder, "/bin/sh", "-c",
                f"{script}\nsleep infinity & wait"]

    def _greets(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.name} ended by itself; see {self.folder}/output")
        try:
            Talk(self).begin().quit()
        except (OSError, RuntimeError):
            return False
        return True
