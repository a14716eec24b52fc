# SPDX-License-Identifier: ISC
"""postern in units of a real systemd, each way with more or less hardening: what a connection costs the whole
machine, PID 1 and the journal included.

One machine, PID 1 of namespaces of its own (with-systemd), for all of them; the mail is on the disk where that
of the others is. The units are the shipped ones; a drop-in says what is different, which is never the work.
"""

import contextlib
import os
import pathlib

import harness
import machine

from measure import Group, Unable
from server import Server

SETTINGS = """\
hostname = mail.example.org
domains = example.org
mail-root = /var/lib/postern
maildir = %u
size-limit = 0
tls = on
tls-certificate = credential:tls.crt
tls-key = credential:tls.key
source-connection-limit = 0
"""
# Of postern@.service, what takes rights away; the others there keep the mail and hand over the certificate.
CHEAP = ("User", "UMask", "NoNewPrivileges", "CapabilityBoundingSet", "LimitCORE", "SystemCallArchitectures",
         "LockPersonality")
# What a unit has because it runs on: no hardening.
LASTING = ("WatchdogSec", "Restart", "KillMode")


def options(name):
    """Key and value of each line of the service's own section."""
    text = machine.unit(name).read_text().split("[Service]\n")[1].split("\n[")[0]
    return [line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#")]


def hardening():
    """The lines of postern-listen.service that postern@.service does without on purpose."""
    there = {key for key, _ in options("postern@.service")} | set(LASTING)
    return "".join(f"{key}={value}\n" for key, value in options("postern-listen.service") if key not in there)


class Machine(machine.Machine):
    """A booted systemd with postern installed, and what all its processes have used."""

    def __init__(self, place):
        harness.build = pathlib.Path(place.build)
        self.place = place
        self.dir = pathlib.Path(f"{place.folder}/systemd")
        self.fault = "the systemd did not get as far as to be used"  # until it has

    def boot(self):
        (self.dir / "mail").mkdir(parents=True)
        got = self.call("up")
        if got.returncode:
            self.fault = f"no systemd can be booted here: {got.stdout.strip()[-200:]}"
            return
        self.pid = int((self.dir / "pid").read_text())
        self.root = pathlib.Path(f"/proc/{self.pid}/root")
        self.group = Whole(f"{self.root}/sys/fs/cgroup")
        self.install()
        self.fault = None

    def install(self):
        super().install()
        self.run("sh", "-c", "mkdir -p /var/lib/postern && mount --bind /host/mail /var/lib/postern")
        self.user = tuple(map(int, self.run("sh", "-c", "id -u postern; id -g postern").split()))
        os.chown(self.dir / "mail", *self.user)
        self.write("etc/postern/postern.conf", SETTINGS)
        self.write("etc/postern/bare.conf", SETTINGS.replace("credential:", "/etc/postern/"))
        for name, path in (("tls.crt", self.place.certificate), ("tls.key", self.place.key)):
            self.write(f"etc/postern/{name}", pathlib.Path(path).read_text(encoding="ascii"))

    def listen(self, name, port, socket, service, drop_in):
        """Start a socket unit, with a service unit and what a drop-in changes in it."""
        units = f"etc/systemd/system/{name}"
        service_name = f"{units}{'@' if 'Accept=yes' in socket else ''}.service"
        self.write(f"{units}.socket", socket)
        self.write(f"{units}.socket.d/port.conf", f"[Socket]\nListenStream=\nListenStream=127.0.0.1:{port}\n")
        self.write(service_name, service)
        self.write(f"{service_name}.d/bench.conf", f"[Service]\n{drop_in}")
        self.run("systemctl", "daemon-reload")
        self.run("systemctl", "start", f"{name}.socket")

    def end(self):
        """Also of one that was interrupted before it had told its process."""
        with contextlib.suppress(AssertionError):
            harness.eventually((self.dir / "pid").exists, "a systemd", 2)
        self.call("down")


class Whole(Group):
    """The control group that the machine sees as the root of all: every process in it, ended ones included."""

    PARTS = {"manager": "init.scope", "journal": "system.slice/systemd-journald.service"}

    def __init__(self, path):
        self.path = path

    def parts(self):
        """What those that are always there have used, by name."""
        return {name: Whole(f"{self.path}/{group}").cpu() for name, group in self.PARTS.items()}


class Unit(Server):
    """A socket of the machine. It is booted when the first of them is needed."""

    only = "hardened"
    extensions = {"systemd"}
    socket = "postern.socket"
    drop_in = ""

    def __init__(self, place):
        self.place, self.port = place, place.port()
        self.recipient = f"{self.name}@example.org"
        self.group = None

    def start(self):
        if self.group:
            return self
        if not self.place.machine:
            self.place.machine = Machine(self.place)
            self.place.machine.boot()
        here = self.place.machine
        if here.fault:
            raise Unable(here.fault)
        self.owner = here.user
        self.within = ("nsenter", f"--net=/proc/{here.pid}/ns/net")
        self.folder = f"{here.dir}/mail"
        self.box = f"{self.folder}/{self.name}"
        self.make_box()
        here.listen(self.unit, self.port, machine.unit(self.socket).read_text(), self.service(), self.drop_in)
        self.group = here.group
        return self

    def stop(self):
        if self.place.machine:
            self.place.machine.end()
        self.place.machine = self.group = None


class Bare(Unit):
    """What starts postern, and nothing else."""

    name, unit, label = "systemd-bare", "postern-bare", "postern, Accept=yes, a bare unit, sandbox = no"
    note = "no hardening of any kind; becomes another user by its own setting"
    command = "-o sandbox=no -o user=postern"
    options = ""

    def service(self):
        return f"""\
[Unit]
CollectMode=inactive-or-failed
[Service]
Type=exec
ExecStart=postern -c /etc/postern/bare.conf {self.command}
StandardInput=socket
StandardError=journal
{self.options}"""


class Sandboxed(Bare):
    name, unit, label = "systemd-sandbox", "postern-sandbox", "postern, Accept=yes, a bare unit, its own sandbox"
    note = "becomes another user by its own setting"
    command = "-o user=postern"


class Cheap(Bare):
    name, unit = "systemd-cheap", "postern-cheap"
    label = "postern, Accept=yes, what costs a unit little, its own sandbox"
    note = "of postern@.service: " + ", ".join(CHEAP)
    command = ""

    @property
    def options(self):
        return "".join(f"{key}={value}\n" for key, value in options("postern@.service") if key in CHEAP)


class Shipped(Unit):
    name, unit, label = "systemd-accept", "postern", "postern, Accept=yes, postern@.service as shipped"
    note = "what costs a unit little, StateDirectory=, credentials, its own sandbox"

    def service(self):
        return machine.unit("postern@.service").read_text()


class Hardened(Shipped):
    name, unit = "systemd-hardened", "postern-hardened"
    label = "postern, Accept=yes, postern@.service with all hardening of postern-listen.service"
    note = "mounts, namespaces, filters of system calls and of addresses for each connection"

    @property
    def drop_in(self):
        return hardening()


class Listen(Unit):
    name, unit, label = "systemd-listen", "postern-listen", "postern --listen, postern-listen.service as shipped"
    note = "that hardening, once"
    socket = "postern-listen.socket"

    def service(self):
        return machine.unit("postern-listen.service").read_text()


UNITS = (Bare, Sandboxed, Cheap, Shipped, Hardened, Listen)
