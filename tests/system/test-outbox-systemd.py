#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""The units of postern-outbox in a real systemd: reports are sent when they are written, failures cause no loops, and
mailers keep the necessary rights in spite of the hardening."""

import os
import shutil
import subprocess
import time

import harness
import postfix
from harness import DOMAIN
from machine import Machine, exposes_at_most, verify
from outbox import ADDRESS, report
from servers import exim_settings

SHIPPED = ("postern-outbox.path", "postern-outbox.service", "postern-outbox.timer")
SERVICE = "postern-outbox.service"
EXPOSURE = 70  # tenths; without NoNewPrivileges= little can be taken away
OUTBOX = "/var/spool/postern/outbox"
RUNS = "/var/spool/runs"
QUIET = 3  # seconds in which something that spins would have come round many times

SENDMAIL = """#!/bin/sh
run=$(mktemp -d {runs}/XXXXXXXX) || exit 70
cat /proc/self/status >$run/status
for a; do echo "$a"; done >$run/arguments
cat >$run/input
{also}
exit {status}
"""


class Box(Machine):
    """The units installed, an outbox as systemd-tmpfiles makes it, and a sendmail that records."""

    def install(self):
        super().install()
        self.run("install", "-d", "-m", "1777", RUNS)
        self.number = 0

    def path(self, name):
        return self.root / name.lstrip("/")

    def reset(self):
        """As it is before each test: watched, empty, with a sendmail that takes all."""
        self.run("systemctl", "stop", *SHIPPED, check=False)
        self.run("sh", "-c", f"rm -rf {RUNS}/* {OUTBOX}/*/* /etc/systemd/system/postern-outbox.*.d")
        self.run("chown", "postern:", f"{OUTBOX}/cur")
        self.configure()
        self.be()

    def configure(self, service="", timer="", command="--rate=60000"):
        """Settings of drop-ins; the rate is one that a test can wait for."""
        directory = "etc/systemd/system/postern-outbox"
        self.write(f"{directory}.service.d/test.conf",
                   f"[Service]\nExecStart=\nExecStart=postern-outbox {command} {OUTBOX}\n{service}\n")
        self.write(f"{directory}.timer.d/test.conf", f"[Timer]\n{timer}\n")
        self.run("systemctl", "daemon-reload")
        self.run("systemctl", "reset-failed", *SHIPPED, check=False)
        self.run("systemctl", "start", "postern-outbox.path")

    def be(self, status=0, also=""):
        """How sendmail behaves; another file each time, as the old one may be running."""
        path = self.path("/usr/sbin/sendmail")
        path.unlink(missing_ok=True)
        self.write("usr/sbin/sendmail", SENDMAIL.format(runs=RUNS, status=status, also=also))
        path.chmod(0o755)

    def put(self, text=None):
        """A report in new/, complete when it appears, owned as postern's are."""
        self.number += 1
        name = f"1751371200.M{self.number}P1Q1.{harness.HOST},S=1"
        made = self.path(f"{OUTBOX}/tmp/{name}")
        made.write_bytes(report() if text is None else text)
        owner = self.path(OUTBOX).stat()
        os.chown(made, owner.st_uid, owner.st_gid)
        made.rename(self.path(f"{OUTBOX}/new/{name}"))
        return name

    def names(self, part):
        return sorted(n.rpartition(",T=")[0] if part == "cur" else n
                      for n in os.listdir(self.path(f"{OUTBOX}/{part}")))

    def let_time_pass(self):
        for path in self.path(f"{OUTBOX}/cur").iterdir():
            base, _, stamp = path.name.rpartition(",T=")
            path.rename(path.parent / f"{base},T={int(stamp) - 600}")

    def runs(self):
        return list(self.path(RUNS).iterdir())

    def starts(self, cursor):
        """How often the service was started since then."""
        return [e["MESSAGE"] for e in self.journal(cursor, UNIT=SERVICE)
                if e.get("JOB_TYPE") == "start" and e["MESSAGE"].startswith(("Starting", "Failed"))
                and "JOB_RESULT" not in e]

    def wait_until_sent(self, number=1):
        harness.eventually(lambda: len(self.runs()) == number, "sendmail is run")
        harness.eventually(lambda: "inactive" in self.show(SERVICE, "ActiveState"), "the service ends")

    def wait_until_tried(self, name):
        harness.eventually(lambda: self.names("cur") == [name] and self.names("new") == [],
                           "the report is put off")
        harness.eventually(lambda: "inactive" in self.show(SERVICE, "ActiveState"), "the service ends")

    def expect_watched(self):
        harness.equal(self.show("postern-outbox.path", "ActiveState", "SubState"),
                      "ActiveState=active\nSubState=waiting")


the_box = harness.once(Box)


def box():
    there = the_box()
    there.reset()
    return there


def test_the_outbox_is_made_for_the_user_of_the_units():
    here = box()
    uid = int(here.run("id", "-u", "postern"))
    for part in ("", "/new", "/cur", "/tmp"):
        found = here.path(OUTBOX + part).stat()
        harness.equal((found.st_uid, found.st_mode & 0o7777), (uid, 0o700), part)


def test_a_report_is_sent_when_it_comes():
    here = box()
    cursor = here.cursor()
    here.put()
    here.wait_until_sent()
    run = here.runs()[0]
    harness.equal((run / "arguments").read_text().split("\n"), ["-i", "-f", "<>", "--", ADDRESS, ""])
    harness.equal((run / "input").read_bytes(), report())
    harness.equal([here.names(part) for part in ("new", "cur", "rejected")], [[], [], []])
    here.expect_watched()
    harness.equal(len(here.starts(cursor)), 1)
    status = (run / "status").read_text()
    harness.contains(status, "NoNewPrivs:\t0\n")
    harness.contains(status, f"\nUid:\t{here.run('id', '-u', 'postern')}\t")
    harness.contains(status, "\nSeccomp:\t0\n")


def test_reports_in_steady_traffic_never_meet_a_limit():
    """systemd's own would stop the path unit at the sixth start in ten seconds."""
    here = box()
    for number in range(1, 16):
        here.put()
        here.wait_until_sent(number)
    here.expect_watched()


def test_what_fails_does_not_make_anything_spin():
    here = box()
    here.be(75)
    cursor = here.cursor()
    name = here.put()
    here.wait_until_tried(name)
    time.sleep(QUIET)
    harness.equal(len(here.runs()), 1)
    harness.equal(len(here.starts(cursor)), 1)
    here.expect_watched()
    told = here.journal(cursor, SYSLOG_IDENTIFIER="postern-outbox")
    harness.equal(len(told), 1, told)
    harness.contains(told[0]["MESSAGE"], "sendmail exited with status 75; it will be tried again")


def test_what_failed_is_sent_with_the_next_report():
    here = box()
    here.be(75)
    here.wait_until_tried(here.put())
    here.be(0)
    here.put()
    here.wait_until_sent(2)
    harness.equal(len(here.names("cur")), 1, "too early for the first")
    here.let_time_pass()
    here.put()
    here.wait_until_sent(4)
    harness.equal(here.names("cur"), [])


def test_the_timer_tries_again():
    here = box()
    here.be(75)
    here.wait_until_tried(here.put())
    here.be(0)
    here.let_time_pass()
    here.configure(timer="OnCalendar=*:*:*\nAccuracySec=1ms")
    here.run("systemctl", "start", "postern-outbox.timer")
    here.wait_until_sent(2)
    harness.equal(here.names("cur"), [])


def test_the_timer_starts_nothing_where_nothing_waits():
    here = box()
    here.configure(timer="OnCalendar=*:*:*\nAccuracySec=1ms")
    cursor = here.cursor()
    here.run("systemctl", "start", "postern-outbox.timer")
    time.sleep(QUIET)
    here.run("systemctl", "stop", "postern-outbox.timer")
    skipped = [e for e in here.journal(cursor, UNIT=SERVICE) if "skipped" in e["MESSAGE"]]
    assert skipped, "the timer has come round"
    harness.equal(here.starts(cursor), [])
    here.put()
    here.wait_until_sent()
    harness.equal(len(here.starts(cursor)), 1)


def test_what_cannot_even_be_moved_is_held_back_and_goes_on_when_mended():
    here = box()
    here.configure(service="RestartSec=4s")
    cursor = here.cursor()
    here.run("chown", "root:", f"{OUTBOX}/cur")
    here.put()
    harness.eventually(lambda: "SubState=auto-restart" in here.show(SERVICE, "SubState"),
                       "the service fails")
    time.sleep(QUIET)
    told = here.journal(cursor, SYSLOG_IDENTIFIER="postern-outbox")
    for entry in told:
        harness.contains(entry["MESSAGE"], "cur/: Permission denied: run postern-outbox as the user who owns it")
    # the pause of the unit is between two attempts, even on a busy machine
    times = [int(entry["__REALTIME_TIMESTAMP"]) / 1e6 for entry in told]
    assert times and all(later - earlier >= 3.5 for earlier, later in zip(times, times[1:])), times
    harness.equal(here.runs(), [])
    here.run("chown", "postern:", f"{OUTBOX}/cur")
    here.wait_until_sent()
    here.expect_watched()


def test_the_shipped_pause_before_another_start_is_a_minute():
    here = box()
    harness.equal(here.show(SERVICE, "RestartUSec", "Restart"), "Restart=on-failure\nRestartUSec=1min")


def test_what_is_no_report_does_not_make_anything_spin():
    here = box()
    cursor = here.cursor()
    name = here.put(b"Subject: x\n\n")
    here.path(f"{OUTBOX}/new/link").symlink_to("/etc/shadow")
    harness.eventually(lambda: here.names("rejected") == [name, "link"], "both are rejected")
    time.sleep(QUIET)
    harness.equal(here.runs(), [])
    assert len(here.starts(cursor)) <= 2
    here.expect_watched()


def test_stopping_lets_the_report_in_hand_be_finished():
    here = box()
    here.be(0, f"sleep 2; touch {RUNS}/finished")
    here.put()
    harness.eventually(lambda: "ActiveState=activating" in here.show(SERVICE, "ActiveState"), "it is started")
    harness.eventually(here.runs, "sendmail runs")
    here.run("systemctl", "stop", *SHIPPED)
    assert here.path(f"{RUNS}/finished").exists()
    harness.equal([here.names(part) for part in ("new", "cur", "rejected")], [[], [], []])


def test_what_sendmail_leaves_behind_goes_on():
    """As Exim's does, which delivers in the background."""
    here = box()
    here.be(0, f"(sleep 2; touch {RUNS}/delivered) >/dev/null 2>&1 &")
    here.put()
    here.wait_until_sent()
    assert not here.path(f"{RUNS}/delivered").exists()
    harness.eventually(here.path(f"{RUNS}/delivered").exists, "the delivery is done")


def test_the_rate_holds_under_systemd():
    here = box()
    here.configure(command="--rate=60")
    started = time.monotonic()
    for number in range(1, 5):
        here.put()
        harness.eventually(lambda number=number: len(here.runs()) == number, "sendmail is run")
    assert time.monotonic() - started > 2.9


# Real mailers, with the rights that the unit leaves them

SINK = f"""#!/bin/sh
exec postern -c /dev/null -o hostname={harness.HOST} -o domains='*' -o mail-root=/var/lib/sink -o maildir=/var/lib/sink/box \\
    -o maildir-create=yes
"""

# What the maintainer scripts of the Debian packages do.
POSTFIX_SETUP = postfix.INSTALL + "postfix start >/dev/null 2>&1\n"

EXIM_SETUP = """
mkdir -p /var/spool/exim4 /var/log/exim4
chown Debian-exim:Debian-exim /var/spool/exim4 /var/log/exim4
"""

def add_mailers(here):
    """All of them, once; and a postern that receives."""
    if here.path("/host/mailers").exists():
        return
    here.path("/host/mailers").touch()
    folder = harness.packages()
    done = harness.run(harness.HERE / "own-mailers", here.root)
    harness.equal(done.returncode, 0, done.stdout)
    for part in ("libraries", "postfix", "exim4-daemon-light", "msmtp"):
        with subprocess.Popen(["tar", "-C", folder / part, "-cf", "-", "."], stdout=subprocess.PIPE) as tar:
            subprocess.run(["tar", "-C", here.root, "-xf", "-", "--keep-directory-symlink",
                            "--no-overwrite-dir"], stdin=tar.stdout, check=True, timeout=60)
    # two of them are /usr/sbin/sendmail, and so is the one that records
    shutil.copy(folder / "postfix/usr/sbin/sendmail", here.path("/usr/lib/postfix"))
    here.be()
    here.run("sh", "-c", "ldconfig")
    here.write("etc/postfix/main.cf", postfix.MAIN + "relayhost = [127.0.0.1]:2525\n")
    here.write("etc/postfix/master.cf", postfix.MASTER)
    here.write("etc/exim4/exim4.conf", exim_settings(2525))
    here.write("etc/msmtprc", "host 127.0.0.1\nport 2525\n")
    here.write("usr/local/bin/sink", SINK)
    here.run("chmod", "755", "/usr/local/bin/sink")
    here.run("install", "-d", "/var/lib/sink")
    here.run("systemd-run", "-q", "--unit=sink", "--setenv=PATH=/usr/local/sbin:/usr/sbin:/usr/bin", "socat",
             "TCP-LISTEN:2525,bind=127.0.0.1,reuseaddr,fork", "EXEC:/usr/local/bin/sink,nofork")


@harness.table(
    postfix=("/usr/lib/postfix/sendmail", POSTFIX_SETUP),
    exim=("/usr/sbin/exim4", EXIM_SETUP),
    msmtp=("/usr/bin/msmtp", ":"),
)
def test_a_real_mailer_takes_a_report(sendmail, setup):
    here = box()
    add_mailers(here)
    here.run("sh", "-c", f"rm -rf /var/lib/sink/box; {setup}")
    here.configure(command=f"--sendmail={sendmail}")
    cursor = here.cursor()
    address = f"joe@{DOMAIN}"
    here.put(report(address))
    inbox = here.path("/var/lib/sink/box/new")
    harness.eventually(lambda: inbox.exists() and len(os.listdir(inbox)) == 1, "the report arrives")
    text = next(inbox.iterdir()).read_bytes()
    harness.equal(text.split(b"\n")[:2], [b"Return-Path: <>", f"Delivered-To: {address}".encode()])
    harness.equal(text.split(b"\n\n", 1)[1].rstrip(), report(address).split(b"\n\n", 1)[1].rstrip())
    harness.eventually(lambda: "inactive" in here.show(SERVICE, "ActiveState"), "the service ends")
    harness.equal([here.names(part) for part in ("new", "cur", "rejected")], [[], [], []])
    harness.equal(here.journal(cursor, SYSLOG_IDENTIFIER="postern-outbox"), [])


# Without a booted systemd


def test_systemd_analyze_verify_prints_nothing():
    verify(*SHIPPED)


def test_systemd_analyze_security_is_within_its_threshold():
    exposes_at_most(SERVICE, EXPOSURE)


if __name__ == "__main__":
    harness.main()
