#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""The unit of postern-pipe in a real systemd: a program for a mailbox, with few rights and no network; records in the
journal."""

import os
import time

import harness
from machine import Machine, exposes_at_most, verify
from pipebox import FIRST, message

UNIT = "postern-pipe@.service"
SCAN = "postern-pipe@scan.service"
EXPOSURE = 12  # tenths
BOX = "var/lib/postern/mail/scan"

PROGRAM = """#!/bin/sh
out=/var/lib/postern/mail/result
{ id -un; env; cat /proc/net/dev /proc/self/status; touch /var/lib/outside 2>&1; } >$out.new
cat >>$out.new
mv $out.new $out
echo a word for the journal >&2
exit ${STATUS-0}
"""


class Box(Machine):
    """The units installed, a mailbox, and a program for it."""

    def install(self):
        super().install()
        for part in ("new", "cur", "tmp"):
            self.run("install", "-d", "-o", "postern", "-g", "postern", "-m", "700", f"/{BOX}", f"/{BOX}/{part}")
        self.number = 0

    def drop_in(self, text, program=PROGRAM):
        self.write("usr/local/bin/process-scan", program)
        (self.root / "usr/local/bin/process-scan").chmod(0o755)
        self.write(f"etc/systemd/system/{SCAN}.d/test.conf", f"[Service]\n{text}\n")
        self.run("systemctl", "daemon-reload")
        harness.at_end(self.run, "sh", "-c", f"systemctl stop {SCAN}; systemctl reset-failed {SCAN} || true")

    def put(self):
        self.number += 1
        name = f"{FIRST + self.number}.M1P1Q1.h"
        made = self.root / BOX / "tmp" / name
        made.write_bytes(message(self.number))
        self.run("chown", "postern:", f"/{BOX}/tmp/{name}")
        os.rename(made, self.root / BOX / "new" / name)
        return name

    def names(self, part):
        folder = self.root / BOX / part
        return os.listdir(folder) if folder.exists() else []


box = harness.once(Box)


def test_a_program_runs_for_each_message_with_few_rights():
    here = box()
    here.drop_in("Environment=PROGRAM=/usr/local/bin/process-scan\nEnvironment=TOKEN=secret")
    cursor = here.cursor()
    name = here.put()
    here.run("systemctl", "start", SCAN)
    harness.eventually(lambda: f"{name}:2," in here.names("cur"), here.run("systemctl", "status", SCAN, check=False))
    lines = (here.root / "var/lib/postern/mail/result").read_text().splitlines()
    harness.equal(lines[0], "postern")
    for line in (f"POSTERN_FILE=/{BOX}/new/{name}", "TOKEN=secret", "NoNewPrivs:\t1", "Seccomp:\t2",
                 "CapBnd:\t0000000000000000", f"Subject: message {here.number}"):
        assert line in lines, f"{line}: {lines}"
    harness.contains("\n".join(lines), "Read-only file system")
    harness.equal([line.split(":")[0].strip() for line in lines if line.endswith(" 0") and ": " in line and
                   len(line.split()) == 17], ["lo"])
    entries = harness.eventually(lambda: here.journal(cursor, POSTERN_EVENT="pipe"), "an entry of the journal")
    harness.equal([(e["POSTERN_OUTCOME"], e["POSTERN_FILE"], e["POSTERN_MAILBOX"], e["PRIORITY"]) for e in entries],
                  [("done", name, f"/{BOX}", "6")])
    harness.contains(here.run("journalctl", "--catalog", "--update-catalog") +
                     here.run("journalctl", "-x", f"MESSAGE_ID={entries[0]['MESSAGE_ID']}"),
                     "The program has processed a message")
    harness.equal(len(here.journal(cursor, MESSAGE="a word for the journal")), 1)
    harness.contains(here.show(SCAN, "StatusText"), "0 waiting, 1 done, 0 failed")
    more = here.put()
    harness.eventually(lambda: f"{more}:2," in here.names("cur"), "the second message")


def test_a_failed_message_is_an_entry_with_a_status():
    here = box()
    here.drop_in('Environment=PROGRAM=/usr/local/bin/process-scan STATUS=3\nEnvironment="OPTIONS=--retry-for=1h"')
    cursor = here.cursor()
    here.run("systemctl", "start", SCAN)
    name = here.put()
    harness.eventually(lambda: name in here.names("failed"), "the failure")
    entry = harness.eventually(lambda: here.journal(cursor, POSTERN_EVENT="pipe"), "an entry of the journal")[0]
    harness.equal((entry["POSTERN_STATUS"], entry["POSTERN_REASON"], entry["PRIORITY"]),
                  ("Program Error (Pipe)", "exit status 3", "4"))
    harness.contains(here.run("/usr/local/bin/postern-status", check=False), f"/{BOX}: 0 waiting")


def test_a_unit_without_a_program_says_so_and_does_not_spin():
    here = box()
    here.drop_in("")
    cursor = here.cursor()
    here.run("systemctl", "start", SCAN, check=False)
    harness.eventually(lambda: "failed" in here.show(SCAN, "ActiveState"), "that it fails")
    harness.equal(len(here.journal(cursor, MESSAGE="postern-pipe: PROGRAM: must be given, behind --; the unit postern-pipe@NAME takes it "
                                          "from Environment=PROGRAM=/PATH (systemctl edit postern-pipe@NAME); see "
                                                   "postern-pipe --help")), 1)
    harness.contains(here.show(SCAN, "NRestarts"), "NRestarts=0")


def test_a_stop_lets_the_program_end():
    here = box()
    here.drop_in("Environment=PROGRAM=/usr/local/bin/process-scan",
                 "#!/bin/sh\ntouch /var/lib/postern/mail/begun; sleep 3; touch /var/lib/postern/mail/ended\n")
    here.run("systemctl", "start", SCAN)
    name = here.put()
    harness.eventually((here.root / "var/lib/postern/mail/begun").exists, "the start of the program")
    started = time.monotonic()
    here.run("systemctl", "stop", SCAN)
    assert time.monotonic() - started < harness.PATIENCE
    assert (here.root / "var/lib/postern/mail/ended").exists()
    assert f"{name}:2," in here.names("cur")


# A copier, the folder, and all between them


class Folder(Machine):
    """What contrib/scan-to-folder makes of a machine."""

    def install(self):
        super().install()
        script = harness.HERE.parent.parent / "contrib" / "scan-to-folder"
        self.write("usr/local/bin/scan-to-folder", script.read_text())
        (self.root / "usr/local/bin/scan-to-folder").chmod(0o755)
        self.set_up()

    def set_up(self, code=0):
        done = self.call("run", "env", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "sh", "-c",
                         f"echo 127.0.0.1 {harness.HOST} >>/etc/hosts; scan-to-folder --installed {harness.HOST}")
        harness.equal(done.returncode, code, done.stdout)
        self.said = done.stdout

    def password(self):
        return self.said.split("Password")[1].split("\n")[0].strip()

    def scan(self, *more, password=None, code=0):
        """A message of swaks with attachments."""
        (self.dir / "scan.pdf").write_bytes(b"%PDF-1.4 a page")
        for name in more:
            (self.dir / name).write_text("no scan")
        attached = [word for name in ("scan.pdf", *more)
                    for word in ("--attach-type", "application/octet-stream", "--attach-name", name, "--attach",
                                 f"@/host/{name}")]
        done = self.call("run", "swaks", "--server", f"{harness.HOST}:587", "-tls", "--tls-verify", "--tls-ca-path",
                         "/etc/postern/tls.crt", "--auth", "LOGIN", "--auth-user", "copier", "--auth-password",
                         password or self.password(), "--from", f"copier@{harness.HOST}", "--to",
                         f"scan@{harness.HOST}", *attached)
        harness.equal(done.returncode, code, done.stdout)

    def scans(self):
        return sorted(os.listdir(self.root / "srv/scans"))


folder = harness.once(Folder)


def need_parts():
    """What scan-to-folder needs of a build; a static one has logins inside."""
    if not (harness.build / "src/postern-extract").exists() or not (
            harness.is_static() or (harness.build / "src/sasl.so").exists()):
        raise harness.Skip("built without logins or postern-extract")


def test_a_copier_logs_in_and_its_pdf_is_in_the_folder():
    need_parts()
    harness.need("swaks", "gsasl", "certtool")
    here = folder()
    here.run("systemd-analyze", "verify", "--man=no", "postern-pipe@scan.service")
    cursor = here.cursor()
    here.scan("program.exe")
    harness.eventually(lambda: here.scans() == ["scan.pdf"], here.run("journalctl", "-n", "20"))
    scan = here.root / "srv/scans/scan.pdf"
    harness.equal(scan.read_bytes(), b"%PDF-1.4 a page")
    group = int(here.run("getent", "group", "scans").split(":")[2])
    harness.equal((scan.stat().st_gid, scan.stat().st_mode & 0o777), (group, 0o660))
    harness.equal((scan.parent.stat().st_gid, scan.parent.stat().st_mode & 0o7777), (group, 0o2770))
    entry = harness.eventually(lambda: here.journal(cursor, POSTERN_EVENT="pipe"), "a record of the run")[0]
    harness.equal(entry["POSTERN_OUTCOME"], "done")
    here.scan()
    harness.eventually(lambda: here.scans() == ["scan-1.pdf", "scan.pdf"], "the second")
    # no other password, and nothing without one
    here.scan(password="wrong", code=28)
    harness.equal(here.run("sh", "-c", "ls -A /var/lib/postern/mail/scan/new /var/lib/postern/mail/scan/failed").split(),
                  ["/var/lib/postern/mail/scan/failed:", "/var/lib/postern/mail/scan/new:"])


def test_the_folder_is_set_up_again_without_a_change():
    need_parts()
    here = folder()
    before, users = here.password(), (here.root / "etc/postern/users").read_text()
    here.set_up()
    harness.contains(here.said, "as it was set before")
    harness.equal((here.root / "etc/postern/users").read_text(), users)
    count = len(here.scans())
    here.scan(password=before)
    harness.eventually(lambda: len(here.scans()) == count + 1, "a scan")
    # settings of an administrator stay
    here.write("etc/postern/postern.conf", "hostname = other.example.org\n")
    here.set_up(code=1)
    harness.contains(here.said, "has settings of yours, which stay")
    harness.equal((here.root / "etc/postern/postern.conf").read_text(), "hostname = other.example.org\n")


# Without a booted systemd


def test_systemd_analyze_verify_prints_nothing():
    verify(UNIT)


def test_systemd_analyze_security_is_within_its_threshold():
    exposes_at_most(UNIT, EXPOSURE)


if __name__ == "__main__":
    harness.main()
