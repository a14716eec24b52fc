#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Completions in real shells, on a terminal: a typed word with TAB is completed."""

import os
import pty
import re
import select
import time

import harness

FOLDER = "contrib/completion"
# what is typed, and the words that the program gets
LINES = {
    "postern --chec": ["--check"],
    "postern --print": ["--print-config"],
    "postern --list": ["--listen"],
    "postern -o maildir-cr": ["-o", "maildir-create"],
    "postern -o tls=imp": ["-o", "tls=implicit"],
    "postern -o tls=off -o sandbox=n": ["-o", "tls=off", "-o", "sandbox=no"],
    "postern -o log-level=deb": ["-o", "log-level=debug"],
    "postern -c {dir}/only-t": ["-c", "{dir}/only-this"],
    "postern-status --foll": ["--follow"],
    "postern-status -D {dir}/fold": ["-D", "{dir}/folder"],
    "postern-pipe --retry-f": ["--retry-for"],
    "postern-pipe --table={dir}/onl": ["--table={dir}/only-this"],
    "postern-outbox --ra": ["--rate"],
    "postern-cdb --ver": ["--version"],
    "postern-extract --skip": ["--skip-types"],
}


class Shell:
    """An interactive one; the programs are functions that print their words."""

    def __init__(self, command, setup):
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.execvpe(command[0], command, harness.environment(TERM="vt100", PS1="> ", HOME=str(harness.scratch())))
        harness.at_end(self.close)
        self.seen = ""
        self.type(setup + "\n")
        self.type("echo rea''dy\n")
        self.wait("\nready")

    def close(self):
        os.close(self.terminal)
        os.waitpid(self.pid, 0)

    def type(self, text):
        os.write(self.terminal, text.encode())

    def wait(self, pattern):
        until = time.monotonic() + harness.PATIENCE
        while not (found := re.search(pattern, self.seen)):
            ready, _, _ = select.select([self.terminal], [], [], max(0, until - time.monotonic()))
            assert ready, f"waited in vain for {pattern!r} in {self.seen!r}"
            self.seen += os.read(self.terminal, 4096).decode(errors="replace").replace("\r", "")
        self.seen = self.seen[found.end():]
        return found

    def words(self, typed):
        """What the command gets when TAB ends the line."""
        self.type(typed + "\t")
        self.type("\n")
        return self.wait(r"<<<(.*)>>>")[1].split("|")[1:]


def functions(folder):
    names = sorted(path.name for path in folder.iterdir() if path.name.startswith("postern"))
    body = "printf '<<<'; printf '|%s' \"$@\"; printf '>>>\\n'"
    return names, " ".join(f"{name}() {{ {body}; }};" for name in names)


def bash(folder):
    names, made = functions(folder)
    return Shell(["bash", "--norc", "--noprofile", "-i"],
                 made + "".join(f" source {folder}/{name};" for name in names) + " bind 'set enable-bracketed-paste off'")


def zsh(folder):
    harness.need("zsh")
    _, made = functions(folder)
    return Shell(["zsh", "-f", "-i"], f"fpath=({folder} $fpath); autoload -Uz compinit; compinit -u -D; setopt no_prompt_sp;"
                 f" {made}")


@harness.table(bash=bash, zsh=zsh)
def test_what_is_typed_is_completed(start):
    folder = harness.build / FOLDER
    place = harness.scratch()
    (place / "only-this").touch()
    (place / "folder").mkdir()
    shell = start(folder)
    for typed, expected in LINES.items():
        if not (folder / typed.split()[0]).exists():
            continue
        found = shell.words(typed.format(dir=place))
        # zsh takes the slash of a directory and a last = away again
        harness.equal([word.rstrip("/=") for word in found], [word.format(dir=place) for word in expected], typed)


def test_each_setting_and_option_is_completed():
    folder = harness.build / FOLDER
    shown = harness.run(harness.program(), "-c", "/dev/null", "-o", "maildir=/x", "--print-config").stdout
    keys = re.findall(r"^([a-z-]+) =", shown, re.MULTILINE)
    options = re.findall(r"^ +(--[a-z-]+)", harness.run(harness.program(), "--help").stdout, re.MULTILINE)
    assert len(keys) > 40 and len(options) > 6, (keys, options)
    for name in ("postern", "_postern"):
        words = set(re.split(r"[\s'\[=*]+", (folder / name).read_text()))
        harness.equal([w for w in (*keys, *options) if w not in words], [], name)


harness.main()
