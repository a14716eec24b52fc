# SPDX-License-Identifier: ISC
"""The functions that tests of postern-pipe share: a Maildir, messages as postern writes them, and a program that
records its runs."""

import os
import signal

import harness

EX_USAGE, EX_TEMPFAIL, EX_CONFIG = 64, 75, 78
FIRST = 1764457200  # the time in the name of the first message
FAST = "--retry-after=1"


def program():
    path = harness.build / "src" / "postern-pipe"
    assert path.exists(), f"{path} is not built"
    return path


def message(number=1, fields="", body="the body\n"):
    """As postern stores it, its lines ended by LF."""
    return f"""\
Return-Path: <{harness.SENDER}>
Delivered-To: {harness.RECIPIENT}
Received: from client.example.net ([192.0.2.7])
\tby {harness.HOST} with ESMTPS id {FIRST + number}.M1P1Q1
\tfor <{harness.RECIPIENT}>
\ttls TLS_AES_256_GCM_SHA384 group X25519;
\tSun, 30 Nov 2025 00:00:00 +0000
{fields}Subject: message {number}
Message-ID: <{number}@example.net>

{body}""".encode()


class PipeBox:
    """A Maildir, and a program that records its runs and exits with the status that the test sets."""

    def __init__(self, maildir=None):
        self.site = harness.scratch()
        self.dir = maildir or self.site / "box"
        self.new, self.cur, self.failed = self.dir / "new", self.dir / "cur", self.dir / "failed"
        self.runs_dir, self.log = self.site / "runs", self.site / "log"
        self.started = self.site / "started"
        self.runs_dir.mkdir()
        if not maildir:
            self.make()
        self.program = self.site / "program"
        self.options, self.arguments = [FAST], []
        self.count = 0
        self.be()

    def make(self):
        for part in ("new", "cur", "tmp"):
            (self.dir / part).mkdir(parents=True)
        for path in (self.dir, *self.dir.iterdir()):
            path.chmod(0o700)

    def be(self, status=0, also=""):
        """How the program behaves from now on; `also` is shell, in which $name is that of the message."""
        script = self.site / "program.new"
        script.write_text(f"""#!/bin/sh
name=${{POSTERN_FILE##*/}}
echo "$name" >>{self.started}
run=$(mktemp -d {self.runs_dir}/XXXXXXXX.new) || exit 70
for word; do printf '%s\\0' "$word"; done >$run/arguments
env -0 >$run/environment
ls -l /proc/$$/fd >$run/descriptors
cat >$run/input
mv $run ${{run%.new}}
{also}
exit {status}
""")
        script.chmod(0o755)
        script.rename(self.program)

    def put(self, text=None, name=None):
        """A file in new/: complete when it appears."""
        self.count += 1
        name = name or f"{FIRST + self.count}.M1P1Q1.{harness.HOST},S=1"
        made = self.dir / "tmp" / "made"
        made.write_bytes(message(self.count) if text is None else text)
        os.rename(made, self.new / name)
        return name

    def command(self, *options):
        return [str(program()), *self.options, *options, str(self.dir), "--", str(self.program), *map(str, self.arguments)]

    def start(self, *options, wrap=(), **more):
        with open(self.log, "ab") as log:
            self.process = harness.start(*wrap, *self.command(*options), stderr=log, stdout=log, **more)
        return self.process

    def stop(self, status=0):
        harness.eventually(lambda: blocks_signals(self.process.pid), "that it takes signals")
        self.process.send_signal(signal.SIGTERM)
        harness.equal(self.process.wait(harness.PATIENCE), status, self.log_text())

    def log_text(self):
        return self.log.read_text(errors="backslashreplace") if self.log.exists() else ""

    def records(self):
        return [r for r in harness.parse_records(self.log_text()) if r["event"] == "pipe"]

    def names(self):
        """What is in each directory: without the flags of cur/, and without notes."""
        def listing(part):
            return sorted(os.listdir(part)) if part.exists() else []
        return {"new": listing(self.new), "cur": [n.removesuffix(":2,") for n in listing(self.cur)],
                "failed": [n for n in listing(self.failed) if not n.endswith(".txt")]}

    def expect(self, new=(), cur=(), failed=()):
        wanted = {"new": sorted(new), "cur": sorted(cur), "failed": sorted(failed)}
        try:
            harness.eventually(lambda: self.names() == wanted, wanted)
        except AssertionError:
            raise AssertionError(f"expected {wanted}\nfound    {self.names()}\n{self.log_text()}") from None

    def order(self):
        """The names of messages in the order in which the program was started for them."""
        return self.started.read_text().splitlines() if self.started.exists() else []

    def await_starts(self, number):
        harness.eventually(lambda: len(self.order()) >= number, f"{number} runs: {self.log_text()}")
        return self.order()

    def run_of(self, number=1):
        """Arguments, environment and input of the only run of that message."""
        name = f"/new/{FIRST + number}.".encode()
        found = [p for p in self.runs_dir.iterdir() if name in (p / "environment").read_bytes()]
        harness.equal(len(found), 1, "runs of the message")
        arguments = (found[0] / "arguments").read_bytes().split(b"\0")[:-1]
        return arguments, read_environment(found[0]), (found[0] / "input").read_bytes(), found[0]

    def note(self, name):
        return (self.failed / f"{name}.txt").read_text(errors="backslashreplace")

    def check(self, *options, status=0):
        done = harness.run(*self.command("--check", *options))
        harness.equal(done.returncode, status, done.stdout)
        return done.stdout


def blocks_signals(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as lines:
        return any(line.startswith("SigBlk:") and int(line.split()[1], 16) for line in lines)


def read_environment(run):
    return dict(v.split(b"=", 1) for v in (run / "environment").read_bytes().split(b"\0") if v)


def facts(environment):
    """The variables about the message, without their prefix."""
    return {k.removeprefix(b"POSTERN_").decode(): v for k, v in environment.items() if k.startswith(b"POSTERN_")}


# cupsd.conf of a CUPS that prints what each local user hands over
CUPSD = """\
LogLevel info
Listen /run/cups/cups.sock
PreserveJobFiles Yes
DefaultAuthType None
<Location />
  Order allow,deny
  Allow all
</Location>
<Policy default>
  <Limit All>
    Order allow,deny
    Allow all
  </Limit>
</Policy>
"""
