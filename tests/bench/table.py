"""The table: figures with their spread, what was not measured and why, and the ratios with their bounds."""

import statistics

from claims import CLAIMS, ratios, values

REFERENCE = ("postern-tcpserver", "postern-exec")  # the first of them that was measured
WIDTH = 27

# work, figure, what it is called, its unit, digits behind the point
FIGURES = (
    *((f"{kind}-{jobs}", "cpu", f"{text}, {jobs} at once: CPU", "s/1000", 2)
      for kind, text in (("plain", "4 KiB in the clear"), ("tls", "4 KiB, TLS, full handshake"),
                         ("resumed", "4 KiB, TLS, resumed"))
      for jobs in (1, 10, 50)),
    *((f"{kind}-{jobs}", "rate", f"{text}, {jobs} at once: messages", "1/s", 0)
      for kind, text in (("plain", "4 KiB in the clear"), ("tls", "4 KiB, TLS, full handshake"),
                         ("resumed", "4 KiB, TLS, resumed"))
      for jobs in (1, 10, 50)),
    *((work, figure, f"{text}: {called}", "ms", 0)
      for work, text in (("big-data", "100 MB in the clear, DATA"), ("big-bdat", "100 MB in the clear, BDAT"),
                         ("big-tls-data", "100 MB over TLS, DATA"), ("big-tls-bdat", "100 MB over TLS, BDAT"))
      for figure, called in (("cpu", "CPU"), ("wall", "time"))),
    ("greeting", "wall", "time to the 220", "ms", 2),
    ("idle", "clear", "idle connection before TLS: Pss", "KiB", 0),
    ("idle", "tls", "idle connection after TLS: Pss", "KiB", 0),
    ("syncs", "files", "syncs of files a message", "", 1),
    ("syncs", "folders", "syncs of folders a message", "", 1),
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
        yield f"  {name:<18} {server['label']}: {server['note']}"


def rows(figures):
    reference = next((name for name in REFERENCE if name in figures["servers"]), None)
    yield f"{'':<48} {'server':<18} {'median (least-most)':>{WIDTH}}        {'to ' + (reference or '-')}"
    for work, figure, text, unit, digits in FIGURES:
        for name in figures["servers"]:
            column = values(figures, name, work, figure)
            if not column:
                continue
            own = (name, work, figure)
            share = ratios(figures, own, [(reference, work, figure)])[0] if reference != name else None
            yield (f"{text:<48} {name:<18} {spread(column, digits):>{WIDTH}} {unit:<6} "
                   f"{'x ' + spread(share, 2) if share and figure != 'folders' else ''}").rstrip()
            text = ""


def curves(figures, work, text, per):
    """One line a server: the median at each step."""
    for name in figures["servers"]:
        samples = figures["samples"].get(work, {}).get(name)
        if not samples:
            continue
        steps = [(int(step), statistics.median(s[step] for s in samples)) for step in samples[0]]
        yield f"{text:<48} {name:<18} " + "  ".join(f"{step:,}: {per(step, cpu)}" for step, cpu in steps)
        text = ""


def growth(figures):
    yield from curves(figures, "many", "CPU ms of a session, by messages so far", lambda _, ms: f"{ms:.2f}")
    for work, text in (("sizes-plain", "in the clear"), ("sizes-tls", "over TLS")):
        yield from curves(figures, work, f"CPU ms of a session {text}, by octets", lambda _, ms: f"{ms:.1f}")
        yield from curves(figures, work, f"CPU ns an octet {text}, by octets",
                          lambda octets, ms: f"{1e6 * ms / octets:.2f}")


def absent(figures):
    for work, servers in figures["unable"].items():
        for name, reason in servers.items():
            yield f"not measured: {work}, {name}: {reason.splitlines()[0]}"


def bounds(figures):
    yield f"{'':<75} {'ratio':>22} {'at most':>8}"
    for claim in CLAIMS:
        column, best = ratios(figures, claim.ours, claim.theirs)
        if not column:
            yield f"{claim.text:<75} {'not measured':>22} {claim.most:>8.2f}"
            continue
        verdict = "" if statistics.median(column) <= claim.most else "  missed"
        yield f"{claim.text + ' (' + best + ')':<75} {spread(column, 2):>22} {claim.most:>8.2f}{verdict}"


def table(figures):
    parts = [head(figures), rows(figures), growth(figures), absent(figures), bounds(figures)]
    return "\n\n".join("\n".join(part) for part in map(list, parts) if part)
