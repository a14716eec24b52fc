# SPDX-License-Identifier: ISC
"""The indented blocks of README.md, and of manual pages in mdoc, and what each of them is.

A block is what its sentence says: the one directly above, which ends with a colon.

    ..., as root:                        commands, run by bash -e as root
    ..., as any user:                    commands, run by an ordinary user
    ... in the foreground, as root:      a server, which runs until it is stopped
    ... one of these ...                 before such an end: each line is a way of its own
    ... in `/etc/postern/postern.conf`:  lines that are added to that file
    ... in place of `mail-root`, in ...: the same, without the lines of these keys (or: `mail-root` and `maildir`)
    `/etc/inetd.conf` is:                the whole file (or: contains)
    ... with `systemctl edit UNIT`:      lines of a drop-in
    ... prints:                          output (or: shows, is recorded as, for example), which is not run
    On Debian 12 ...                     before such an end: for that release alone (or: Debian 13 and later)

A dialogue, all of whose lines begin with "S:", "C:" or "<", needs no sentence. Every other block is an
error: nothing that a reader may take for a command is left out silently.
"""

import re
from dataclasses import dataclass, field

COMMANDS, SERVER, FILE, ADDITION, OUTPUT, DIALOGUE = "commands", "server", "file", "addition", "output", "dialogue"
ENDINGS = "as root:, as any user:, in the foreground, as root:, in `/PATH`:, `/PATH` is:, " \
          "with `systemctl edit UNIT`:, prints:, shows:, is recorded as: or for example:"


class Unclear(Exception):
    """A block that no rule covers."""


@dataclass
class Block:
    section: str  # the heading above it
    line: int  # of the first line of the block
    lead: str  # the sentence above it
    lines: list
    kind: str = ""
    path: str = ""  # of FILE and ADDITION
    unit: str = ""  # of a drop-in: the unit that it belongs to
    instead: tuple = ()  # of ADDITION: keys whose lines it takes the place of, beside its own
    root: bool = True  # of COMMANDS
    alternatives: bool = False
    releases: tuple = (0, 99)  # of Debian: the first and the last one that it is for
    page: str = field(default="", compare=False)

    def text(self):
        return "\n".join(self.lines) + "\n"

    def ways(self):
        """The scripts of a block: each command of its own where they are alternatives."""
        if not self.alternatives:
            return [self.text()]
        joined = self.text().replace("\\\n", "\\\0")
        return [line.replace("\0", "\n") + "\n" for line in joined.splitlines() if line.strip(" \0\\")]

    def is_for(self, release):
        return self.releases[0] <= release <= self.releases[1]

    def where(self):
        return f"{self.page}:{self.line}"


def classify(block):
    """Set what a block is; Unclear where its sentence does not say so."""
    if all(re.match(r"[SC]:|<", line) for line in block.lines):
        block.kind = DIALOGUE
        return block
    lead = block.lead
    if not lead.endswith(":"):
        raise Unclear(f"{block.where()}: no sentence that ends with a colon directly above the block")
    if found := re.search(r"\b[Ww]ith `systemctl edit ([^` ]+)`:$", lead):
        block.unit = found[1]
        block.kind, block.path = ADDITION, f"/etc/systemd/system/{block.unit}.d/override.conf"
    elif found := re.search(r"\b[Ii]n `(/[^`]+)`:$", lead):
        block.kind, block.path = ADDITION, found[1]
        if instead := re.search(r"\b[Ii]n place of ((?:`[\w-]+`(?: and |, )?)+)", lead):
            block.instead = tuple(re.findall(r"[\w-]+(?=`)", instead[1]))
    elif found := re.search(r"`(/[^`]+)` (?:is|contains):$", lead):
        block.kind, block.path = FILE, found[1]
    elif re.search(r"\bin the foreground, as root:$", lead):
        block.kind = SERVER
    elif found := re.search(r"\b[Aa]s (root|any user):$", lead):
        block.kind, block.root = COMMANDS, found[1] == "root"
    elif re.search(r"\b(prints|shows|is recorded as|for example):$", lead, re.I):
        block.kind = OUTPUT
    else:
        raise Unclear(f"{block.where()}: the sentence above the block ends with none of the known endings: {lead!r}")
    if re.search(r"\bone of these\b", lead, re.I):
        if block.kind not in (COMMANDS, SERVER):
            raise Unclear(f"{block.where()}: \"one of these\" is for commands alone")
        block.alternatives = True
    if found := re.search(r"\b[Oo]n Debian (\d+)( and later)?\b", lead):
        block.releases = (int(found[1]), 99 if found[2] else int(found[1]))
    return block


def last_sentence(paragraph):
    """What begins after the last full stop (or other end), a block's lead."""
    text = " ".join(paragraph.split())
    return re.split(r"(?<=[.!?])(?:\s+)(?=[A-Z`(/])", text)[-1]


# Markdown


def markdown(text, page):
    """All blocks of a text with indented ones; fenced ones are an error."""
    blocks, section, paragraph, lead = [], "", [], ""
    current = None
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("```"):
            raise Unclear(f"{page}:{number}: a fenced block; indent it by four spaces")
        if line.startswith("    ") and line.strip() and (current or not paragraph):
            if current is None:
                current = Block(section, number, lead, [], page=page)
                blocks.append(current)
            current.lines += [""] * (number - current.line - len(current.lines))
            current.lines.append(line[4:])
            continue
        if not line.strip():
            if paragraph:
                lead, paragraph = last_sentence(" ".join(paragraph)), []
            continue
        if current is not None:
            current, lead = None, ""
        if line.startswith("#"):
            section, paragraph, lead = line.lstrip("# "), [], ""
        else:
            paragraph.append(line)
    return blocks


# mdoc: what a page says as text, with backticks around paths and commands

QUOTED = {"Pa", "Ic", "Cm", "Nm", "Fl", "Ql", "Li", "Va", "Ev"}
ESCAPES = {r"\e": "\\", r"\-": "-", r"\&": "", r"\(aq": "'", r"\(dq": '"', r"\(ha": "^", r"\(ti": "~",
           r"\(ga": "`", r"\ ": " "}
PUNCTUATION = {".", ",", ":", ";", "(", ")", "[", "]", "?", "!"}


def unescape(text):
    for escape, character in ESCAPES.items():
        text = text.replace(escape, character)
    return text


def words_of(line, name):
    """A macro line as text: arguments of the macros for paths and commands stand in backticks."""
    words = re.findall(r'"[^"]*"|\S+', line[1:])
    macro, out, quoted = words[0], [], []

    def close():
        if quoted:
            out.append("`" + " ".join(quoted) + "`")
            quoted.clear()

    pending, words = macro, words[1:]
    if macro == "Nm" and (not words or words[0] in PUNCTUATION):
        quoted.append(name)
    for word in words:
        if word in PUNCTUATION:
            close()
            if out and word not in "([":
                out[-1] += word
            else:
                out.append(word)
        elif re.fullmatch(r"[A-Z][a-z]", word):
            if word == "Nm":
                quoted.append(name)
            pending = word
        elif pending in QUOTED:
            quoted.append(("-" if pending == "Fl" else "") + unescape(word.strip('"')))
        else:
            close()
            out.append(unescape(word.strip('"')))
    close()
    return " ".join(out)


def mdoc(text, page):
    """All .Bd -literal and .Dl blocks of a manual page."""
    blocks, section, paragraph, name = [], "", [], ""
    current = None
    for number, line in enumerate(text.splitlines(), 1):
        if current is not None:
            if line.startswith(".Ed"):
                current, paragraph = None, []
            else:
                current.lines.append(unescape(line))
        elif line.startswith('.\\"'):
            continue
        elif re.match(r"\.S[hs] ", line):
            section, paragraph = unescape(line[4:].strip('"')), []
        elif re.match(r"\.Bd .*-(literal|unfilled)", line):
            current = Block(section, number + 1, last_sentence(" ".join(paragraph)), [], page=page)
            blocks.append(current)
        elif line.startswith(".Dl "):
            if blocks and blocks[-1].line + len(blocks[-1].lines) == number and not paragraph:
                blocks[-1].lines.append(unescape(line[4:]))
            else:
                blocks.append(Block(section, number, last_sentence(" ".join(paragraph)),
                                    [unescape(line[4:])], page=page))
            paragraph = []
        elif re.match(r"\.(It|Bl|El|Ss|Dd|Dt|Os)\b", line):
            paragraph = []
        elif re.match(r"\.Pp\b", line):
            continue
        elif line.startswith("."):
            if line.startswith(".Nm ") and not name:
                name = line.split()[1]
            paragraph.append(words_of(line, name))
        else:
            paragraph.append(unescape(line))
    return blocks


def read(path):
    """All blocks of a page, each of them classified; Unclear names every one that is not."""
    text = path.read_text(encoding="utf-8")
    found = (mdoc if re.search(r"^\.Dd ", text, re.M) else markdown)(text, path.name)
    faults = []
    for block in found:
        try:
            classify(block)
        except Unclear as fault:
            faults.append(str(fault))
    if faults:
        raise Unclear("\n".join(faults + [f"the known endings: {ENDINGS}"]))
    return found
