# SPDX-License-Identifier: ISC
"""A booted systemd with postern installed: PID 1 of namespaces of its own (with-systemd)."""

import base64
import json
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import harness
from harness import DOMAIN, HERE, PATIENCE, Client, Skip

SHIPPED = ("postern.socket", "postern@.service", "postern-lmtp.socket", "postern-lmtp@.service",
           "postern-smtps.socket", "postern-smtps@.service", "postern-submission.socket",
           "postern-submission@.service")
MAILDIR = f"var/lib/postern/{DOMAIN}/printer"
SETTINGS = f"""\
hostname = {harness.HOST}
domains = {DOMAIN}
mail-root = /var/lib/postern
maildir = %d/%u
maildir-create = yes
tls = on
tls-certificate = credential:tls.crt
tls-key = credential:tls.key
"""
# The table of users as in postern-guide(7), with one user whose password is "secret" (gsasl --mkpasswd
# --iteration-count 4096).
AUTH_DROP_IN = """\
[Service]
LoadCredential=users:/etc/postern/users
LoadCredential=auth-secret:/etc/postern/auth-secret
"""
AUTH_SETTINGS = """\
auth = required
auth-users = credential:users
auth-secret = credential:auth-secret
"""
USERS = ("scanner {SCRAM-SHA-256}4096,abMczsfHWIU++oOO,GMqPr2sKZSgZ/W/7w+95tiPHkwokNJGlMaSHoUL39CY=,"
         "+1hMECFC51EYhftFxCFHY53z2wvhxR5CqzESkdNpClU=\n")
LOGIN = "AUTH PLAIN " + base64.b64encode(b"\0scanner\0secret").decode()


def unit(name):
    """The path of a unit as it is installed: those that name paths are made by meson."""
    made = harness.build / "units" / name
    return made if made.exists() else HERE.parent.parent / "units" / name


class Machine:
    def __init__(self):
        harness.need_root("a systemd of our own")
        harness.need("nsenter", "unshare", "ip", "systemctl", "meson")
        # Not below /tmp, which is a new one inside.
        self.dir = Path(tempfile.mkdtemp(prefix="pt.", dir="/var/tmp"))
        harness.at_end(shutil.rmtree, self.dir, True, of_file=True)
        harness.at_end(self.call, "down", of_file=True)
        got = self.call("up")
        if got.returncode:
            raise Skip(f"no systemd can be booted here: {got.stdout.strip().splitlines()[-1:]}")
        self.pid = int((self.dir / "pid").read_text())
        self.root = Path(f"/proc/{self.pid}/root")
        self.packages = set()
        self.install()

    def call(self, verb, *command, **options):
        return harness.run(HERE / "with-systemd", verb, self.dir, *command, **options)

    def run(self, *command, check=True):
        done = self.call("run", *command)
        if check and done.returncode:
            raise AssertionError(f"{command}: {done.stdout}")
        return done.stdout.strip()

    def install(self):
        """What `meson install` gives, put into the machine."""
        tree = self.dir / "tree"
        done = harness.run("meson", "install", "-C", harness.build, "--no-rebuild", "--destdir",
                           tree, env=dict(os.environ))
        harness.equal(done.returncode, 0, done.stdout)
        self.run("sh", "-c", "cp -a /host/tree/. /")
        self.run("systemd-sysusers", "postern.conf")
        self.run("systemd-tmpfiles", "--create", "postern.conf")
        self.run("systemctl", "daemon-reload")
        of_sanitizers = [f"{name}={os.environ[name]}" for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS") if name in os.environ]
        if of_sanitizers:
            self.run("systemctl", "set-environment", *of_sanitizers)

    def add(self, *packages):
        """Debian packages, unpacked."""
        for name in ("libraries", *packages):
            if name in self.packages:
                continue
            self.packages.add(name)
            with subprocess.Popen(["tar", "-C", harness.packages() / name, "-cf", "-", "."], stdout=subprocess.PIPE) as tar:
                subprocess.run(["tar", "-C", self.root, "-xf", "-", "--keep-directory-symlink", "--no-overwrite-dir"],
                               stdin=tar.stdout, check=True, timeout=60)
        self.run("ldconfig")

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def cursor(self):
        """A place in the journal: what comes after it is of this test."""
        self.run("journalctl", "--sync")
        text = self.run("journalctl", "-n", "1", "-o", "json")
        return json.loads(text)["__CURSOR"]

    def journal(self, cursor, **fields):
        """The entries since then that have these fields; journalctl itself, given a match and a
        cursor, takes the first entry that matches for the cursor's own and leaves it out."""
        self.run("journalctl", "--sync")
        text = self.run("journalctl", "-o", "json", "-a", "--after-cursor", cursor)
        found = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
        return [e for e in found if all(e.get(k) == v for k, v in fields.items())]

    def show(self, unit, *properties):
        return self.run("systemctl", "show", "-p", ",".join(properties), unit)


class Server(Machine):
    """postern behind its socket unit, with an administrator's files; one for the whole file."""

    def install(self):
        super().install()
        self.write("etc/systemd/system/postern.socket.d/port.conf",
                   "[Socket]\nListenStream=\nListenStream=127.0.0.1:2525\n")
        self.write("etc/postern/postern.conf", SETTINGS)
        self.certificate(harness.pair())
        self.run("systemctl", "daemon-reload")
        self.first = self.cursor()
        self.run("systemctl", "start", "postern.socket")

    def certificate(self, pair):
        self.write("etc/postern/tls.crt", pair.certificate.read_text())
        self.write("etc/postern/tls.key", pair.key.read_text())
        (self.root / "etc/postern/tls.key").chmod(0o600)

    def settings(self, text):
        """Settings for the next connection, and the usual ones again after the test."""
        self.write("etc/postern/postern.conf", text)
        harness.at_end(self.write, "etc/postern/postern.conf", SETTINGS)

    def let_log_in(self, unit):
        """One user, until the end of the test."""
        if not (harness.build / "src/sasl.so").exists():
            raise Skip("built without sasl.so")
        self.drop_in(unit, AUTH_DROP_IN)
        for name, text in (("users", USERS), ("auth-secret", "x" * 32)):
            self.write(f"etc/postern/{name}", text)
            (self.root / "etc/postern" / name).chmod(0o600)
        self.settings(SETTINGS + AUTH_SETTINGS)

    def connect(self, greeting=True, port=2525, source="127.0.0.1"):
        """A client in the machine's network, driven from here."""
        with harness.in_network_of(self.pid):
            connection = socket.create_connection(("127.0.0.1", port), PATIENCE, (source, 0))
        client = Client(connection)
        if greeting:
            client.expect(220)
        return client

    def messages(self):
        return sorted((self.root / MAILDIR).glob("new/*"))

    def record(self, cursor, event="session"):
        return harness.eventually(
            lambda: self.journal(cursor, POSTERN_EVENT=event), f"a record of a {event}")[0]

    def instances(self, unit="postern@*"):
        return self.run("systemctl", "list-units", "--all", "--plain", "--no-legend", unit)

    def drop_in(self, unit, text):
        """An administrator's change to a unit until the end of the test."""
        path = f"etc/systemd/system/{unit}.d/test.conf"
        self.write(path, text)
        self.run("systemctl", "daemon-reload")

        def undo():
            (self.root / path).unlink()
            self.run("systemctl", "daemon-reload")

        harness.at_end(undo)

    def start(self, unit):
        """A unit that runs until the end of the test."""
        self.run("systemctl", "start", unit)
        harness.at_end(self.run, "systemctl", "stop", unit)


the_server = harness.once(Server)


def server():
    """One for the whole file; its mailbox is empty."""
    here = the_server()
    for path in here.messages():
        path.unlink()
    return here


def tree_with(*units):
    """A root for systemd-analyze: its own units, ours, and something for ExecStart= to find."""
    harness.need("systemd-analyze")
    root = harness.scratch()
    shutil.copytree("/usr/lib/systemd/system", root / "usr/lib/systemd/system", symlinks=True)
    (root / "lib").symlink_to("usr/lib")
    (root / "etc/systemd/system").mkdir(parents=True)
    for name in units:
        shutil.copy(unit(name), root / "etc/systemd/system")
        for line in unit(name).read_text().splitlines():
            if line.startswith("ExecStart=/"):
                path = root / line.removeprefix("ExecStart=/").split()[0]
                path.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(shutil.which("true"), path)
    return root


def verify(*units):
    """systemd-analyze finds no fault in these units."""
    done = harness.run("systemd-analyze", "verify", "--man=no", f"--root={tree_with(*units)}", *units)
    harness.equal((done.returncode, done.stdout), (0, ""))


def exposes_at_most(name, tenths):
    """What systemd-analyze makes of the rights of a unit."""
    harness.need("systemd-analyze")
    done = harness.run("systemd-analyze", "security", "--offline=true", "--no-pager", f"--threshold={tenths}", unit(name))
    harness.equal(done.returncode, 0, done.stdout[-200:])
