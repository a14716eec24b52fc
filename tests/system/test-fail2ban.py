#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""The filters and jails of contrib/fail2ban with the real fail2ban: five failed logins ban a client, and so do twenty
refused recipients, with records in the journal, a file of syslog or JSON Lines."""

import os
import shutil
import socket

import harness
from harness import HERE, SENDER, Client, Site
from machine import AUTH_SETTINGS, SETTINGS, USERS, Server

CONTRIB = HERE.parent.parent / "contrib/fail2ban"
WRONG = "AUTH PLAIN AHNjYW5uZXIAd3Jvbmc="  # scanner, "wrong"


class Fail2ban:
    """One that reads the records there and writes whom it bans into a file."""

    def __init__(self, **records):
        packages = harness.packages()
        self.dir = harness.scratch()
        self.bans = self.dir / "bans"
        self.bans.touch()
        shutil.copytree(packages / "fail2ban/etc/fail2ban", self.dir / "etc", symlinks=True)
        (self.dir / "etc/jail.d/defaults-debian.conf").unlink()
        shutil.copytree(CONTRIB, self.dir / "etc", dirs_exist_ok=True)
        (self.dir / "etc/action.d/note.conf").write_text(
            f"[Definition]\nactionban = echo <name> <ip> >> {self.bans}\n")
        (self.dir / "etc/fail2ban.local").write_text("[Definition]\ndbfile = None\n")
        settings = "".join(f"{name} = {value}\n" for name, value in records.items())
        jails = [line for line in (CONTRIB / "jail.d/postern.conf").read_text().splitlines() if line.startswith("[")]
        # the addresses of this machine are the clients here
        (self.dir / "etc/jail.local").write_text("[DEFAULT]\nignoreself = false\n" + "".join(
            f"{jail}\nbanaction = note\naction = note[name=%(__name__)s]\n{settings}" for jail in jails))
        self.log = self.dir / "log"
        self.process = harness.start(
            "/usr/bin/python3", packages / "fail2ban/usr/bin/fail2ban-server", "-f", "-x", "-c", self.dir / "etc",
            "-s", self.dir / "socket", "-p", self.dir / "pid", "--logtarget", self.log, "start",
            stdout=open(self.dir / "output", "wb"), stderr=open(self.dir / "output", "ab"),
            env=harness.with_libraries(PYTHONPATH=":".join(
                str(packages / name / "usr/lib/python3/dist-packages") for name in ("fail2ban", "python3-systemd"))))
        harness.eventually(lambda: self.text().count(" started") >= len(jails), f"jails start: {self.text()}")

    def text(self):
        return "".join(p.read_text() for p in (self.log, self.dir / "output") if p.exists())

    def expect(self, *bans):
        harness.eventually(lambda: len(self.bans.read_text().splitlines()) >= len(bans) or None,
                           f"bans; {self.text()}")
        harness.equal(sorted(self.bans.read_text().splitlines()), sorted(bans))


def fail_to_log_in(connect, source, times):
    """Two in a session: the third would end it."""
    while times:
        client = connect(source)
        client.ehlo()
        client.starttls()
        client.ehlo()
        for _ in range(min(times, 2)):
            client.say(WRONG, 535)
            times -= 1
        client.quit()


def try_recipients(connect, source, times, sessions=1):
    for _ in range(sessions):
        client = connect(source)
        client.ehlo("x peer=192.0.2.66 event=auth outcome=failed peer=192.0.2.66")
        client.say(f"MAIL FROM:<{SENDER}>", 250)
        for n in range(times):
            client.say(f"RCPT TO:<no{n}@elsewhere.example>", 550)
        client.close()


def attack(connect, fail2ban):
    """Clients below the limits are not banned; nor are addresses that they send."""
    fail_to_log_in(connect, "127.0.0.2", 4)
    try_recipients(connect, "127.0.0.4", 19)
    try_recipients(connect, "127.0.0.5", 1, 19)
    fail_to_log_in(connect, "127.0.0.3", 5)
    try_recipients(connect, "127.0.0.6", 20)
    try_recipients(connect, "127.0.0.7", 1, 20)
    fail2ban.expect("postern-auth 127.0.0.3", "postern-harvest 127.0.0.6", "postern-recipients 127.0.0.7")


def site(**settings):
    """One where the user of the machine can log in, and TLS is not required."""
    here = Site(tls="on", pair=harness.pair(), auth="on", **settings)
    users, secret = here.dir / "users", here.dir / "secret"
    users.write_text(USERS)
    secret.write_text("x" * 32)
    for path in (users, secret):
        path.chmod(0o600)
    here.set(auth_users=users, auth_secret=secret)
    return here


def test_json_lines():
    log = harness.scratch() / "postern.json"
    log.touch()
    here = site(log=f"json:{log}")
    attack(here.connect, Fail2ban(backend="polling", logpath=log))


def rsyslog(folder):
    """A real one at /dev/log, and its file."""
    packages = harness.packages()
    conf, log = folder / "rsyslog.conf", folder / "mail.log"
    log.touch()
    modules = next(packages.glob("rsyslog/usr/lib/*/rsyslog"))
    conf.write_text('module(load="imuxsock")\nmodule(load="builtin:omfile" Template="RSYSLOG_TraditionalFileFormat")\n'
                    f'*.* action(type="omfile" file="{log}")\n')
    harness.start(packages / "rsyslog/usr/sbin/rsyslogd", "-n", "-f", conf, "-i", folder / "rsyslog.pid", "-M", modules,
                  env=harness.with_libraries())
    harness.eventually(lambda: os.path.exists("/dev/log"), "rsyslog listens")
    return log


def test_a_file_of_syslog():
    harness.own_devices()
    here = site(log="syslog")
    log = rsyslog(harness.scratch())
    attack(here.connect, Fail2ban(backend="polling", logpath=log))
    harness.contains(log.read_text(), "event=auth outcome=failed peer=127.0.0.3")


def test_the_journal():
    machine = Server()
    machine.let_log_in("postern@.service")
    machine.settings(SETTINGS + AUTH_SETTINGS.replace("required", "on"))

    def connect(source):
        with harness.in_network_of(machine.pid):
            return Client(socket.create_connection(("127.0.0.1", 2525), harness.PATIENCE, (source, 0)))

    journal = next(path for path in (machine.root / "var/log/journal", machine.root / "run/log/journal") if path.exists())
    attack(lambda source: greeted(connect(source)), Fail2ban(backend=f"systemd[journalpath={next(journal.iterdir())}]"))


def greeted(client):
    client.expect(220)
    return client


if __name__ == "__main__":
    harness.main()
