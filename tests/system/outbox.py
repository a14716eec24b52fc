# SPDX-License-Identifier: ISC
"""The functions that tests of postern-outbox share: an outbox, reports, and a sendmail that records its runs."""

import os
import stat
import time

import harness

ADDRESS = "joe@example.com"
RETRY = 600  # seconds from one attempt to the next
GIVE_UP = 5 * 24 * 60 * 60
FAST = "--rate=60000"
EX_USAGE, EX_IOERR, EX_CONFIG = 64, 74, 78
ARGUMENTS = [b"-i", b"-f", b"<>", b"--"]


def program():
    path = harness.build / "src" / "postern-outbox"
    assert path.exists(), f"{path} is not built"
    return path


def report(address=ADDRESS, to=None, fields="", kind="delivery-status", boundary="p1Q1/mail"):
    """A report of a delivery, as RFC 3464 and RFC 6522 have it, its lines ended by LF."""
    to = f"To: <{address}>\n" if to is None else to
    return f"""\
{to}From: Mail delivery <postmaster@{harness.HOST}>
Subject: Delivered: a message
Date: Tue, 1 Jul 2025 12:00:00 +0000
Message-ID: <1751371200.M1P1Q1.report@{harness.HOST}>
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type={kind};
\tboundary="{boundary}"
{fields}
This is a delivery report.

--{boundary}
Content-Type: text/plain; charset=us-ascii

Your message was delivered to this mailbox:

    <printer@{harness.DOMAIN}>

--{boundary}
Content-Type: message/{kind}

Reporting-MTA: dns; {harness.HOST}
Arrival-Date: Tue, 1 Jul 2025 11:59:59 +0000
Original-Envelope-Id: QQ314159

Original-Recipient: rfc822;printer@{harness.DOMAIN}
Final-Recipient: rfc822; printer@{harness.DOMAIN}
Action: delivered
Status: 2.0.0

--{boundary}
Content-Type: text/rfc822-headers

Return-Path: <{address}>
From: <{address}>
Subject: a message
..

.
--{boundary}--
""".encode()


class Outbox:
    """An outbox, and a sendmail that records its arguments and exits with the status that the test sets."""

    def __init__(self):
        self.site = harness.scratch()
        self.dir = self.site / "outbox"
        self.new, self.cur = self.dir / "new", self.dir / "cur"
        self.rejected = self.dir / "rejected"
        for part in ("new", "cur", "tmp"):
            (self.dir / part).mkdir(parents=True)
        self.runs_dir = self.site / "runs"
        self.runs_dir.mkdir()
        self.sendmail = self.site / "sendmail"
        self.be()
        self.count = 0

    def be(self, status=0, also=""):
        """How sendmail behaves from now on."""
        self.sendmail.unlink(missing_ok=True)
        self.sendmail.write_text(f"""#!/bin/sh
run=$(mktemp -d {self.runs_dir}/XXXXXXXX.new) || exit 70
date +%s.%N >$run/time
printf '%s\\0' "$@" >$run/arguments
env -0 >$run/environment
ls -l /proc/$$/fd >$run/descriptors
cat >$run/input
mv $run ${{run%.new}}
{also}
exit {status}
""")
        self.sendmail.chmod(0o755)

    def put(self, text=None, name=None, age=0):
        """A file in new/, which is complete when it appears, as postern writes it."""
        self.count += 1
        name = name or f"1751371200.M{self.count}P1Q1.{harness.HOST},S=1"
        made = self.dir / "tmp" / "made"
        made.write_bytes(report() if text is None else text)
        if age:
            os.utime(made, times=(time.time() - age,) * 2)
        os.rename(made, self.new / name)
        return name

    def command(self, *options):
        return [str(program()), f"--sendmail={self.sendmail}", *(options or (FAST,)), str(self.dir)]

    def run(self, *options, status=0, **more):
        """One run to its end; returns its output."""
        done = harness.run(*self.command(*options), **more)
        harness.equal(done.returncode, status, done.stdout)
        return done.stdout

    def runs(self):
        """How sendmail was run, in order: (arguments, input)."""
        found = [p for p in self.runs_dir.iterdir() if p.suffix != ".new"]
        found.sort(key=lambda p: float((p / "time").read_text()))
        return [((p / "arguments").read_bytes().split(b"\0")[:-1], (p / "input").read_bytes())
                for p in found]

    def read_of_run(self, what):
        """The lines of a file of the only run."""
        found = list(self.runs_dir.iterdir())
        harness.equal(len(found), 1, "runs of sendmail")
        return (found[0] / what).read_text()

    def times(self):
        return sorted(float((p / "time").read_text()) for p in self.runs_dir.iterdir())

    def sent_to(self):
        return [arguments[-1].decode() for arguments, _ in self.runs()]

    def names(self):
        """What is in each directory, without the stamps of cur/."""
        listing = {}
        for part in (self.new, self.cur, self.rejected):
            entries = sorted(os.listdir(part)) if part.exists() else []
            listing[part.name] = [e.rpartition(",T=")[0] if part == self.cur else e for e in entries]
        return listing

    def expect(self, new=(), cur=(), rejected=()):
        harness.equal(self.names(), {"new": sorted(new), "cur": sorted(cur),
                                     "rejected": sorted(rejected)})

    def let_time_pass(self, seconds=RETRY):
        """Makes what is in cur/ look as if it was tried that much earlier."""
        for path in self.cur.iterdir():
            base, _, stamp = path.name.rpartition(",T=")
            path.rename(self.cur / f"{base},T={int(stamp) - seconds}")


def kind_of(path):
    return stat.S_IFMT(path.lstat().st_mode)
