#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""postern-status on a terminal and in a pipe: the panel drawn in place, and new records while it follows."""

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios

import harness
from harness import PATIENCE
from logs import STATUS, Log, Terminal, plain, program, some_log, words


# A terminal


RUN = {"event": "pipe", "level": "warning", "time": "2026-11-28T10:00:00.000000Z", "pid": 7, "outcome": "failed",
       "status": "Program Error (Pipe)", "from": "someone.with.a.long.name@example.net", "to": ["info@example.org"],
       "file": "1795873927.M729812P4711Q1.mail.example.org,S=48577", "mailbox": "/var/lib/postern/mail/scan",
       "program": "/usr/local/share/postern/hand-on", "tries": 12, "waiting": 3, "reason": "exit status 67",
       "duration_ms": 38}


@harness.table_of({f"{c} columns, {' '.join(o) or 'panel'}": (c, o)
                   for c in (32, 40, 48, 53, 54, 55, 56, 60, 80, 120) for o in
                   ((), ("--sessions",), ("--messages",), ("--runs",))})
def test_a_terminal_is_never_too_narrow(columns, options):
    place = some_log()
    place.set(pair=harness.pair(expired=True))
    with open(place.file, "a", encoding="ascii") as file:
        file.write(json.dumps(RUN) + "\n")
    text = Terminal(place, *options, columns=columns).rest()
    lines = plain(text).splitlines()
    harness.equal([line for line in lines if len(line) > columns], [])
    if options == ("--runs",) and columns > 60:
        for words in ("Mailbox", "Program", "scan", "hand-on", "failed: "):
            harness.contains(text, words)
    assert all(32 <= ord(c) < 127 for line in lines for c in line), lines


def masked(text):
    """Without what differs from run to run; the first line has the name of the file and the time."""
    text = re.sub(r"(?m)^.*\n", "", plain(text), count=1).replace(f"until {harness.LAST}", "until 2050-01-01")
    return re.sub(r"(?<=  )\d+\.\d(?=  )", "0.0", re.sub(r"\d+ days left", "8000 days left", text))


def expected_panels():
    """By width: below "60 columns:" stands the panel."""
    parts = re.split(r"(?m)^(\d+) columns:\n", (harness.HERE / "panels.txt").read_text())
    return {int(width): panel for width, panel in zip(parts[1::2], parts[2::2])}


@harness.table_of({f"{columns} columns": (columns,) for columns in (40, 54, 60, 80, 120)})
def test_the_panel_is_as_expected(columns):
    place = some_log()
    place.date("2026-11-28T10:00:")
    shown = Terminal(place, "--since", "2026-11-28", columns=columns, rows=40).rest()
    harness.equal(masked(shown), expected_panels()[columns])


def test_colours_are_for_terminals_that_have_them():
    place = some_log()
    harness.contains(Terminal(place).rest(), f"\x1b[1;31m{STATUS}\x1b[0m")
    for environment in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        text = Terminal(place, **environment).rest()
        harness.contains(text, STATUS)
        assert "\x1b" not in text, text
    assert "\x1b" not in place.status()


def test_follow_draws_in_place_until_it_is_interrupted():
    place = Log()
    place.deliver("127.0.0.2")
    place.told(2)
    terminal = Terminal(place, "--follow")
    terminal.until("127.0.0.2")
    place.deliver("127.0.0.3")
    terminal.until("127.0.0.3")
    terminal.process.send_signal(signal.SIGINT)
    text = terminal.rest()
    assert "\x1b[?1049h" not in text, "the screen is the usual one"
    harness.equal(text.count("\x1b[?7l\x1b[?25l"), 1)
    assert text.endswith("\x1b[?7h\x1b[?25h"), "lines wrap again, and the cursor is back"
    assert not re.search("[^\n H]\x1b\\[K", text), "no last column is cleared"
    frames = text.split("\x1b[H")[1:]
    assert all(f.count("\n") <= 23 for f in frames), "a frame fits"
    assert "\x1b[2J" not in text, "nothing flickers"


@harness.table(small=("q",), capital=("Q",))
def test_a_key_ends_following_and_the_terminal_is_as_it_was(key):
    """In the foreground of a terminal, as a shell starts it."""
    place = Log()
    place.deliver("127.0.0.2")
    place.told(2)
    command = (f"import os, pty, termios, sys; before = termios.tcgetattr(0); "
               f"s = os.spawnvp(os.P_WAIT, sys.argv[1], sys.argv[1:]); "
               f"print('same' if termios.tcgetattr(0) == before else 'changed', s)")
    pid, ours = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm", TZ="UTC")
        os.execv("/usr/bin/python3", ["python3", "-c", command, str(program()), "-c", str(place.settings_file),
                                      "--follow"])
    harness.at_end(os.close, ours)
    text = ""

    def shows(wanted):
        nonlocal text
        ready, _, _ = select.select([ours], [], [], 0.05)
        with contextlib.suppress(OSError):
            text += os.read(ours, 65536).decode("ascii") if ready else ""
        return wanted in text

    harness.eventually(lambda: shows("127.0.0.2"), "a panel")
    os.write(ours, b"x")
    os.write(ours, key.encode())
    harness.eventually(lambda: shows("same 0") or shows("changed"), "the end")
    harness.contains(text, "same 0")
    harness.equal(os.waitpid(pid, 0)[1], 0)


def test_follow_shows_a_window_that_changes():
    place = Log()
    place.deliver("127.0.0.2")
    place.told(2)
    terminal = Terminal(place, "--follow", rows=10)
    terminal.until("Status")
    assert "Last sessions" not in terminal.text
    fcntl.ioctl(terminal.ours, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
    terminal.until("Last sessions")
    terminal.process.terminate()
    terminal.rest()


# What comes, in a pipe


class Followed:
    def __init__(self, place, *options):
        self.process = harness.start(
            program(), "-c", place.settings_file, "--follow", *options,
            stdout=subprocess.PIPE, bufsize=0, env=harness.environment(TZ="UTC"))
        self.text = b""

    def line(self):
        while b"\n" not in self.text:
            ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
            assert ready, "no line comes"
            self.text += os.read(self.process.stdout.fileno(), 65536)
        line, self.text = self.text.split(b"\n", 1)
        return line.decode("ascii")


@harness.table(lines=((), "event=session end=quit"), json=(("--json",), '"end":"quit"'),
               sessions=(("--sessions",), "quit"))
def test_follow_tells_each_record_in_a_pipe(options, wanted):
    place = Log(tls="off")
    place.deliver("127.0.0.2", secured=False)
    place.told(2)
    followed = Followed(place, "-n1", *options)
    if options == ("--sessions",):
        harness.equal(words(followed.line())[0], "Time")
    harness.contains(followed.line(), "127.0.0.2")
    place.refuse("127.0.0.3")
    lines = [followed.line()]
    if options != ("--sessions",):
        lines.append(followed.line())
    harness.contains(lines[-1], "127.0.0.3")
    harness.contains(lines[-1], wanted)


def test_follow_goes_on_in_the_next_file():
    place = Log(tls="off")
    place.deliver("127.0.0.2", secured=False)
    place.told(2)
    followed = Followed(place, "--json", "--sessions")
    harness.contains(followed.line(), "127.0.0.2")
    place.file.rename(place.dir / "postern.json.1")
    place.deliver("127.0.0.3", secured=False)
    harness.contains(followed.line(), "127.0.0.3")


def test_follow_begins_while_the_file_is_rotated_away():
    place = Log(tls="off")
    place.deliver("127.0.0.2", secured=False)
    place.told(2)
    place.file.rename(place.dir / "postern.json.1")
    followed = Followed(place, "--json", "--sessions")
    harness.contains(followed.line(), "127.0.0.2")
    place.deliver("127.0.0.3", secured=False)
    harness.contains(followed.line(), "127.0.0.3")


if __name__ == "__main__":
    harness.main()
