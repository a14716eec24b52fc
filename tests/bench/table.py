# SPDX-License-Identifier: ISC
"""The table: figures with their spread, what was not measured and why, and the ratios with their bounds."""

import statistics

from claims import CLAIMS, DEFAULT, STATIC, further, ratios, steps, values

REFERENCE = ("postern-tcpserver", "postern-exec", "systemd-hardened")  # the first of them that was measured
NAME = 25  # columns for the name of a server
CELL = 20  # columns of the page for one figure
TEXT = 98  # and for what a ratio is of
AT_ONCE = (1, 10, 50)


def _sessions(kind):
    return [(f"{kind}-{jobs}", "cpu", f"CPU, {jobs}", 2) for jobs in AT_ONCE] + [
        (f"{kind}-{jobs}", "rate", f"messages, {jobs}", 0) for jobs in AT_ONCE]


# what the figures of a block are; and for each column work, figure, heading, digits behind the point
BLOCKS = (
    ("4 KiB in the clear, so many at once: CPU s of 1000 sessions, messages a second", _sessions("plain")),
    ("4 KiB, STARTTLS, full handshake: CPU s of 1000 sessions, messages a second", _sessions("tls")),
    ("4 KiB, STARTTLS, resumed: CPU s of 1000 sessions, messages a second", _sessions("resumed")),
    ("4 KiB, STARTTLS with RSA-2048, 10 at once: CPU s of 1000 sessions", [
        ("rsa", "full", "full handshake", 2), ("rsa", "resumed", "resumed", 2)]),
    ("4 KiB in the clear, in units of systemd, 10 at once: CPU s of 1000 sessions, PID 1 and the journal "
     "included, messages a second", [
         ("hardened", "cpu", "CPU", 2), ("hardened", "manager", "of this PID 1", 2),
         ("hardened", "journal", "of this journald", 2), ("hardened", "rate", "messages", 0)]),
    ("4 KiB and 20 fields in the clear, with a filter, 10 at once: CPU s of 1000 sessions, the filter left out, "
     "messages a second", [("filtered", "cpu", "CPU", 2), ("filtered", "rate", "messages", 0)]),
    ("{big:g} MB in one message: CPU ms", [
        ("big-data", "cpu", "clear, DATA", 0), ("big-bdat", "cpu", "clear, BDAT", 0),
        ("big-tls-data", "cpu", "TLS, DATA", 0), ("big-tls-bdat", "cpu", "TLS, BDAT", 0)]),
    ("{big:g} MB in one message: ms until it is in new/", [
        ("big-data", "wall", "clear, DATA", 0), ("big-bdat", "wall", "clear, BDAT", 0),
        ("big-tls-data", "wall", "TLS, DATA", 0), ("big-tls-bdat", "wall", "TLS, BDAT", 0)]),
    ("ms to the 220; Pss of an idle connection in KiB; syncs a message", [
        ("greeting", "wall", "220", 2), ("idle", "clear", "before TLS", 0), ("idle", "tls", "after TLS", 0),
        ("syncs", "files", "files", 1), ("syncs", "folders", "folders", 1)]),
)


def spread(column, digits):
    """Median, and the least and the most where there is more than one."""
    text = f"{statistics.median(column):.{digits}f}"
    if len(column) > 1:
        text += f" ({min(column):.{digits}f}-{max(column):.{digits}f})"
    return text


def head(figures):
    a = figures["about"]
    load = " ".join(f"{value:.1f}" for value in a["load"])
    yield (f"{a['date']}, {a['cpu']}, {a['processors']} processors, Linux {a['kernel']}, mail on {a['disk']}, "
           f"load average before and after: {load}")
    yield (f"{a['rounds']} rounds of {a['sessions']} sessions, {a['idle']} idle connections, big messages of "
           f"{a['big']:,} octets, {a.get('seconds', 0)} s in all")
    yield ""
    for name, server in figures["servers"].items():
        yield f"  {name:<{NAME}}{server['label']}: {server['note']}"


def block(figures, title, columns):
    """A line for each server; the last column compares the first figure of all."""
    if not any(work in figures["samples"] for work, *_ in columns):
        return
    reference = next((name for name in REFERENCE if values(figures, name, *columns[0][:2])), None)
    yield title.format(big=figures["about"]["big"] / 1e6)
    yield f"{'':<{NAME}}" + "".join(f"{heading:>{CELL}}" for _, _, heading, _ in columns) + (
        f"  to {reference}" if reference else "")
    for name in figures["servers"]:
        found = [(values(figures, name, work, figure), digits) for work, figure, _, digits in columns]
        if not any(column for column, _ in found):
            continue
        cells = "".join(f"{spread(column, digits) if column else '-':>{CELL}}" for column, digits in found)
        share, _ = ratios(figures, (name, *columns[0][:2]), [(reference, *columns[0][:2])])
        yield f"{name:<{NAME}}{cells}" + (f"  x {spread(share, 2)}" if share and name != reference else "")
    yield ""


def rows(figures):
    for title, columns in BLOCKS:
        yield from block(figures, title, columns)


def curves(figures, work, title, digits, of=steps):
    """One line a server: the figure at each step."""
    if work not in figures["samples"]:
        return
    yield title
    for name in figures["servers"]:
        found = of(figures, name, work)
        if found:
            yield f"{name:<{NAME}}" + "  ".join(f"{step:,}: {value:.{digits}f}" for step, value in found)
    yield ""


def growth(figures):
    yield from curves(figures, "many", "CPU ms of a session, by messages so far", 2)
    for work, text in (("sizes-plain", "in the clear"), ("sizes-tls", "over TLS")):
        yield from curves(figures, work, f"CPU ms of a session {text}, by octets of its message", 2)
        yield from curves(figures, work, f"CPU ns of each octet more {text}, up to that many", 2, further)


def absent(figures):
    """What went wrong; what a server does not offer shows in its line."""
    for work, servers in figures["unable"].items():
        for name, reason in servers.items():
            yield f"not measured: {work}, {name}: {reason.splitlines()[0]}"


def bounds(figures):
    yield f"{'Ratios':<{TEXT}}{'measured':>22}{'at most':>10}{'prototype':>11}"
    for claim in (*STATIC, *DEFAULT) if figures["about"].get("static_bounds") else CLAIMS:
        column, best = claim.measured(figures)
        if not column:
            yield f"{claim.text:<{TEXT}}{'not measured':>22}{claim.most:>10.2f}"
            continue
        whom = f"{claim.text} ({best})" if best else claim.text
        floor = claim.floor(figures)
        beside = f"{statistics.median(floor):.2f}" if floor else ""
        verdict = "" if statistics.median(column) <= claim.most else "  missed"
        yield (f"{whom:<{TEXT}}{spread(column, 2 if claim.most > 0.1 else 3):>22}{claim.most:>10.2f}{beside:>11}"
               f"{verdict}").rstrip()


def table(figures):
    parts = [head(figures), rows(figures), growth(figures), absent(figures), bounds(figures)]
    return "\n\n".join("\n".join(part) for part in map(list, parts) if part)
