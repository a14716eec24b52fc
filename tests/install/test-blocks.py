#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Every block of README and of postern-guide(7) has one kind, and a block that the extractor cannot classify is an
error."""

import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "system")]
import blocks  # noqa: E402
import harness  # noqa: E402
import scenarios  # noqa: E402


def parsed(text, parser=blocks.markdown):
    return [blocks.classify(block) for block in parser(text, "page")]


def only(lead, body="    x = 1\n"):
    found = parsed(f"## Section\n\n{lead}\n\n{body}\nMore.\n")
    harness.equal(len(found), 1)
    return found[0]


def unclear(text, *words, parser=blocks.markdown):
    try:
        found = parsed(text, parser)
    except blocks.Unclear as fault:
        for word in words:
            harness.contains(str(fault), word)
    else:
        raise AssertionError(f"taken for {[b.kind for b in found]}: {text!r}")


@harness.table_of({
    "As root:": ("As root:", blocks.COMMANDS, ""),
    "then, as root:": ("Make it so. Then, as root:", blocks.COMMANDS, ""),
    "as any user:": ("Build it, as any user:", blocks.COMMANDS, ""),
    "in the foreground": ("It runs in the foreground, as root:", blocks.SERVER, ""),
    "in a file": ("First a word. In `/etc/postern/postern.conf`:", blocks.ADDITION, "/etc/postern/postern.conf"),
    "a file over two lines": ("and then the lines in\n`/etc/inetd.conf`:", blocks.ADDITION, "/etc/inetd.conf"),
    "a file is": ("For mail, `/etc/postern/postern.conf` is:", blocks.FILE, "/etc/postern/postern.conf"),
    "a file contains": ("`/etc/x` contains:", blocks.FILE, "/etc/x"),
    "a drop-in": ("With `systemctl edit postern@.service`:", blocks.ADDITION,
                  "/etc/systemd/system/postern@.service.d/override.conf"),
    "prints": ("It prints:", blocks.OUTPUT, ""),
    "for example": ("A record is, for example:", blocks.OUTPUT, ""),
    "the last sentence counts": ("As root: this is not it. It prints:", blocks.OUTPUT, ""),
})
def test_the_sentence_says_what_a_block_is(lead, kind, path):
    block = only(lead)
    harness.equal((block.kind, block.path, block.section, block.line), (kind, path, "Section", lead.count("\n") + 5))


@harness.table_of({
    "no sentence": ("## Section\n\n    rm file\n", "page:3"),
    "no colon": ("Do this.\n\n    rm file\n", "colon"),
    "a colon alone": ("Do this:\n\n    rm file\n", "endings"),
    "a relative path": ("In `postern.conf`:\n\n    x = 1\n", "endings"),
    "the sentence of another block": ("As root:\n\n    ls\n\nText.\n\n    rm file\n", "page:7"),
    "of another section": ("As root:\n\n## Section\n\n    rm file\n", "page:5"),
    "a fence": ("As root:\n\n```\nls\n```\n", "fenced"),
    "one of these files": ("One of these, in `/etc/x`:\n\n    a\n    b\n", "commands alone"),
    "no dialogue to the end": ("Text.\n\n    S: 220 here\n    rm file\n", "colon"),
})
def test_what_is_not_understood_is_an_error(text, word):
    unclear(text, word)


def test_settings_take_the_place_of_others_that_the_sentence_names():
    for lead, keys in (("In place of `y`, in `/etc/x`:", ("y",)), ("Now, in place of `y`, in `/etc/x`:", ("y",)),
                       ("The lines, in place of `y-1` and `z`, in `/etc/x`:", ("y-1", "z")),
                       ("In place of lines with the same names, in `/etc/x`:", ())):
        block = only(lead)
        harness.equal((block.kind, block.path, block.instead), (blocks.ADDITION, "/etc/x", keys))


def test_a_dialogue_needs_no_sentence():
    harness.equal(only("Text.", "    S: 220 here\n    C: EHLO me\n    <TLS>\n").kind, blocks.DIALOGUE)


def test_a_block_goes_on_behind_an_empty_line():
    harness.equal(only("As root:", "    one\n\n      two\n").lines, ["one", "", "  two"])


def test_each_line_is_a_way_where_they_are_alternatives():
    block = only("One of these, in the foreground, as root:", "    one \\\n      more\n    two\n")
    harness.equal(block.ways(), ["one \\\n  more\n", "two\n"])
    harness.equal(only("As root:", "    one\n    two\n").ways(), ["one\ntwo\n"])


PAGE = r"""
.Dd today
.Nm postern
.Sh INSTALLING
Some text.
In
.Pa /etc/postern/postern.conf :
.Bd -literal -offset indent
tls = on
maildir = \(aq/x\e
.Ed
.Pp
With
.Ic systemctl edit postern@.service :
.Bd -literal
[Service]
.Ed
.Pp
The table
.Pq see Xr postern 8 ,
as root:
.Dl postern \-\-check
.Dl ls
"""


def test_a_manual_page_has_the_same_rules():
    found = parsed(PAGE, blocks.mdoc)
    harness.equal([(b.kind, b.path, b.lines) for b in found], [
        (blocks.ADDITION, "/etc/postern/postern.conf", ["tls = on", "maildir = '/x\\"]),
        (blocks.ADDITION, "/etc/systemd/system/postern@.service.d/override.conf", ["[Service]"]),
        (blocks.COMMANDS, "", ["postern --check", "ls"])])
    harness.equal({b.section for b in found}, {"INSTALLING"})
    unclear(PAGE.replace("as root:", "so:"), "endings", parser=blocks.mdoc)


def test_a_block_is_for_the_releases_that_its_sentence_names():
    def releases(lead):
        return [n for n in (12, 13, 14) if only(lead).is_for(n)]
    harness.equal(releases("On Debian 12 (Dovecot 2.3), `/etc/x` is:"), [12])
    harness.equal(releases("On Debian 13 and later, `/etc/x` is:"), [13, 14])
    harness.equal(releases("As root:"), [12, 13, 14])


def page_of(*titles):
    page = harness.scratch() / "page.md"
    page.write_text("".join(f"## {title}\n\nAs root:\n\n    ls\n\n" for title in titles))
    return page


def test_a_title_belongs_to_one_page():
    harness.equal(list(scenarios.plan([page_of("Port 587"), page_of("Port 465")])), ["Port 587", "Port 465"])
    try:
        scenarios.plan([page_of("Port 587"), page_of("Port 465", "Port 587")])
    except blocks.Unclear as fault:
        harness.contains(str(fault), "'Port 587', too")
    else:
        raise AssertionError("--section could mean either of two")


@harness.table_of({
    "other numbers": (["<-  220 ready", "    at 07:10:40, 12"], True),
    "some of the lines": (["<-  220 ready"], True),
    "another order": (["    at 07:10:40, 12", "<-  220 ready"], False),
    "another line": (["<-  220 ready", "no such line"], False),
    "a part of a line": (["<-  220"], False),
})
def test_output_of_a_page_is_compared(lines, equal):
    section = scenarios.Section.__new__(scenarios.Section)
    section.ran_on = "begin\n<-  220 ready\n\n    at 09:30:00, 7\n"
    try:
        section.compare_output(blocks.Block("Try it", 1, "It prints:", lines))
    except scenarios.debian.Fault as fault:
        assert not equal, fault
        return
    assert equal, lines


def test_readme_shows_output_of_the_command_that_goes_on():
    kinds = [(b.kind, b.lines) for b in scenarios.plan(scenarios.PAGES)["Try it"]]
    harness.equal([kind for kind, _ in kinds[:2]], [blocks.COMMANDS, blocks.OUTPUT])
    harness.contains(kinds[0][1], next(iter(scenarios.RUNS_ON)))
    harness.equal(len(kinds[1][1]), 12)


def test_readme_and_guide_have_their_sections():
    of_readme, of_guide = (set(scenarios.plan([page])) for page in scenarios.PAGES)
    for title in ("Try it", "Install", "First mailbox", "See it work", "When it does not"):
        assert title in of_readme, title
    for title in ("A session", "Port 587", "One listener for many connections", "Behind Postfix", "inetd"):
        assert title in of_guide, title


def test_the_sections_of_continuous_integration_exist():
    text = (HERE.parent.parent / ".ci/run").read_text()
    named = re.findall(r'--section "([^"]+)"', text)
    assert len(named) >= 4, named
    plan = scenarios.plan(scenarios.PAGES)
    for title in named:
        assert title in plan and scenarios.BEGINS[title] != scenarios.NOTHING, title


def test_every_block_of_readme_and_guide_can_be_run():
    plan = scenarios.plan(scenarios.PAGES)
    unknown = [title for title in scenarios.BEGINS if title not in plan]
    harness.equal(unknown, [], "sections that neither page has")
    for titles in (scenarios.WITHOUT_MAIL, scenarios.MAIL_AT_THE_END, scenarios.SCANS, scenarios.REMOVED,
                   scenarios.PRINTED, scenarios.THROUGH_SENDMAIL, scenarios.FILES_ALONE, scenarios.WITH_USERS,
                   scenarios.WITH_SENDMAIL, scenarios.WITH_AUTHORITY):
        harness.equal([title for title in titles if title not in plan], [], "exceptions for sections that do not exist")
    kinds = [b.kind for found in plan.values() for b in found]
    for kind in (blocks.COMMANDS, blocks.SERVER, blocks.FILE, blocks.ADDITION, blocks.DIALOGUE):
        harness.contains(kinds, kind)
    commands = [line.split("#")[0].strip() for found in plan.values() for b in found for line in b.lines]
    for command in (*scenarios.LEFT_OUT, *scenarios.RUNS_ON):
        harness.contains(commands, command, "an exception for a command that no page has")


if __name__ == "__main__":
    harness.main()
