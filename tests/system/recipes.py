# SPDX-License-Identifier: ISC
"""The recipes of postern-guide(7) and the other manual pages as an administrator copies them: blocks of text, each
found by its section and by words of the sentence above it. A test that takes them from here fails when they are changed into
something that does not work."""

import re

import harness

ROOT = harness.HERE.parent.parent
MDOC_ESCAPES = {r"\e": "\\", r"\(aq": "'", r"\(ti": "~", r"\(ha": "^", r"\(ga": "`",
                r"\(dq": '"', r"\&": "", r"\-": "-"}
GUIDE = "postern-guide.7"


class Block:
    def __init__(self, document, section, lead, lines):
        self.document, self.section = document, section
        self.lead = " ".join(" ".join(lead).split())
        self.text = "".join(line + "\n" for line in lines)

    def __repr__(self):
        return f"{self.document}: {self.section}: {self.lead[-60:]}"


def _unescape(line):
    return re.sub(r"\\(\(..|.)", lambda m: MDOC_ESCAPES[m.group()], line)


def manual(page):
    """A block is what stands between .Bd and .Ed; its section is that of .Sh or .Ss."""
    section, lead, lines, found = "", [], None, []
    for line in (ROOT / "man" / page).read_text().splitlines():
        if line.startswith(".Bd"):
            lines = []
        elif line == ".Ed":
            found.append(Block(page, section, lead, lines))
            lead, lines = [], None
        elif lines is not None:
            lines.append(_unescape(line))
        elif line.startswith((".Sh ", ".Ss ")):
            section, lead = _unescape(line[4:]), []
        else:
            lead.append(re.sub(r"^\.[A-Z][a-z] ?", "", line))
    return found


def block(document, section, words=""):
    """The only block of that section whose lead has these words."""
    found = [b for b in manual(document) if b.section == section and words in b.lead]
    assert len(found) == 1, f"{document}: {section}: {words}: one block expected: {found}"
    return found[0].text


def value(text, key):
    """The last value of a key in a file of settings, or of systemd."""
    found = re.findall(rf"^{re.escape(key)}\s*=[ \t]*(.*)$", text, re.MULTILINE)
    assert found, f"no {key} in\n{text}"
    return found[-1]


def settings(site, text, **instead):
    """Add the settings of a block to those of a site; those named in `instead` have another value there, as their
    own names a place that the test cannot use. All that are named must be in the block."""
    found = dict(re.split(r"\s*=\s*", line, maxsplit=1) for line in text.splitlines() if "=" in line)
    for key, other in instead.items():
        assert key.replace("_", "-") in found, f"no {key} in\n{text}"
        found[key.replace("_", "-")] = other
    return site.set(**{key.replace("-", "_"): v for key, v in found.items()})
