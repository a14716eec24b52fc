# SPDX-License-Identifier: ISC
"""Logs of postern as files of JSON Lines, and the output of postern-status for them."""

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import ssl
import struct
import termios

import harness
from harness import PATIENCE, Site, Skip

STATUS = "SSL Error (SMTP Receive)"
REFUSAL = "550 5.7.1 No mail is accepted here for that domain"


def program():
    path = harness.build / "src" / "postern-status"
    if not path.exists():
        raise Skip("built without postern-status")
    return path


class Log(Site):
    """A place whose records go into a file of JSON Lines."""

    def __init__(self, tls="on", pair=None, **settings):
        super().__init__(tls=tls, **settings)
        self.file = self.dir / "postern.json"
        self.set(pair=pair or (harness.pair() if tls != "off" else None), log=f"json:{self.file}")

    def told(self, number):
        """The lines of the file, once there are that many."""
        def lines():
            found = self.file.read_text().splitlines() if self.file.exists() else []
            return len(found) >= number and found
        return harness.eventually(lines, f"{number} records")

    def date(self, minute):
        """Move the records to that minute, a second each."""
        records = [json.loads(line) for line in self.file.read_text().splitlines()]
        with open(self.file, "w", encoding="ascii") as to:
            for second, record in enumerate(records):
                to.write(json.dumps({**record, "time": f"{minute}{second:02}.000000Z"}) + "\n")

    def status(self, *options, code=0, **more):
        """The output of the program, with the settings of this place."""
        done = harness.run(program(), "-c", self.settings_file, *options,
                           **{"env": harness.environment(TZ="UTC"), **more})
        harness.equal(done.returncode, code, done.stdout)
        return done.stdout

    def deliver(self, client="127.0.0.1", secured=True):
        connected = self.connect(client)
        connected.ehlo()
        if secured:
            connected.starttls()
            connected.ehlo()
        harness.equal(connected.message(harness.sample()).code, 250)
        connected.quit()

    def fail(self, client="127.0.0.1"):
        """A handshake that comes to nothing."""
        connected = self.connect(client)
        connected.ehlo("old.example.net")
        old = harness.client_context(ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, "ALL:@SECLEVEL=0")
        with contextlib.suppress(ssl.SSLError, OSError):
            connected.starttls(old)
        connected.wait()

    def refuse(self, client="127.0.0.1"):
        connected = self.connect(client)
        connected.ehlo()
        connected.say(f"MAIL FROM:<{harness.SENDER}>", 250)
        connected.say("RCPT TO:<x@elsewhere.example>", 550)
        connected.quit()


def some_log():
    """Three messages of two peers, a refusal, and a handshake that failed: ten records."""
    place = Log()
    place.deliver("127.0.0.2")
    place.deliver("127.0.0.2")
    place.deliver("127.0.0.3", secured=False)
    place.refuse("127.0.0.4")
    place.fail("127.0.0.5")
    place.told(9)
    return place


def words(line):
    return re.split(r"  +", line.strip())


def has_line(text, *wanted):
    assert any(words(line)[:len(wanted)] == list(wanted) or
               any(words(line)[i:i + len(wanted)] == list(wanted) for i in range(8))
               for line in text.splitlines()), f"no line with {wanted} in\n{text}"


class Terminal:
    """The program on a terminal of its own."""

    def __init__(self, place, *options, columns=80, rows=24, command=(), **environment):
        command = command or (program(), "-c", place.settings_file, *options)
        self.ours, theirs = pty.openpty()
        harness.at_end(os.close, self.ours)
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process = harness.start(
            *command, stdin=theirs, stdout=theirs, stderr=theirs,
            env=harness.environment(**{"TERM": "xterm", "TZ": "UTC", **environment}))
        os.close(theirs)
        self.text = ""

    def read(self):
        """What has come, until nothing does for a moment; False at the end."""
        ready, _, _ = select.select([self.ours], [], [], 0.05)
        with contextlib.suppress(OSError):
            more = os.read(self.ours, 65536) if ready else b""
            self.text += more.decode("ascii")
            return bool(more) or not ready
        return False

    def rest(self):
        while self.read():
            pass
        harness.equal(self.process.wait(PATIENCE), 0)
        return self.text.replace("\r\n", "\n")

    def until(self, text):
        def shown():
            self.read()
            return text in self.text
        harness.eventually(shown, f"{text!r} in {self.text!r}")


def plain(text):
    return re.sub(r"\x1b\[[0-9;]*m", "", text)
