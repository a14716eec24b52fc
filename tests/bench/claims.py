# SPDX-License-Identifier: ISC
"""What postern is to reach beside the others: each a ratio with a bound, measured in the same run.

A ratio is taken round by round, ours to the best of theirs (the one with the least median), so that what
disturbs the machine for a while disturbs both sides.
"""

import statistics

CONSTANT = 1.25  # what stays within this is called constant
PEERS = ("postfix", "exim", "exim-inetd", "opensmtpd")  # notqmail is not in Debian 12
EVERY_PEER = (*PEERS, "aiosmtpd", "mailfront")
PLAIN, TLS = ("plain-10", "cpu"), ("tls-10", "cpu")


class Claim:
    """Ours and theirs are (server, work, figure). A prototype is a server that goes our way and does no more than
    it must."""

    def __init__(self, text, ours, theirs, most, prototype=None):
        self.text, self.ours, self.theirs, self.most, self.prototype = text, ours, theirs, most, prototype

    def measured(self, figures):
        """The ratios, one a round, and whom it is compared with where there was a choice."""
        column, best = ratios(figures, self.ours, self.theirs)
        return column, best if len(self.theirs) > 1 else None

    def floor(self, figures):
        """The same ratios of the prototype: what can be had that way, here."""
        return ratios(figures, (self.prototype, *self.ours[1:]), self.theirs)[0] if self.prototype else None


class Difference:
    """Milliseconds of CPU that ours costs more than theirs, round by round; both are (server, work, figure). The
    prototype is a pair of them."""

    def __init__(self, text, ours, theirs, most, prototype=None):
        self.text, self.ours, self.theirs, self.most, self.prototype = text, ours, theirs, most, prototype

    def measured(self, figures):
        return differences(figures, self.ours, self.theirs), None

    def floor(self, figures):
        return differences(figures, *self.prototype) if self.prototype else None


class Constant:
    """That the figure of the last step is that of an earlier one. Tells the ratio and which step was the last."""

    def __init__(self, text, server, work, of, first):
        self.text, self.server, self.work, self.of, self.first = text, server, work, of, first
        self.most = CONSTANT

    def measured(self, figures):
        found = dict(self.of(figures, self.server, self.work))
        if self.first not in found or max(found) == self.first:
            return None, None
        return [found[max(found)] / found[self.first]], f"{max(found):,}"

    @staticmethod
    def floor(_):
        return None


def values(figures, server, work, figure):
    samples = figures["samples"].get(work, {}).get(server, [])
    return [sample[figure] for sample in samples if figure in sample]


def differences(figures, ours, theirs):
    """Round by round; None when one of them was not measured."""
    pairs = zip(values(figures, *ours), values(figures, *theirs))
    return [more - less for more, less in pairs] or None


def ratios(figures, ours, theirs):
    """Round by round, and whom it is compared with; None when one side was not measured."""
    mine = values(figures, *ours)
    found = {one[0]: values(figures, *one) for one in theirs}
    found = {name: column for name, column in found.items() if column}
    if not mine or not found:
        return None, None
    best = min(found, key=lambda name: statistics.median(found[name]))
    return [a / b for a, b in zip(mine, found[best])], best


def steps(figures, server, work):
    """(step, median of the figure there): messages so far, or octets."""
    samples = figures["samples"].get(work, {}).get(server, [])
    return [(int(step), statistics.median(s[step] for s in samples)) for step in (samples[0] if samples else ())]


def further(figures, server, work):
    """(octets, CPU ns that each octet cost beyond the size before it): no session is in it, only content."""
    found = steps(figures, server, work)
    return [(size, 1e6 * (cpu - less) / (size - smaller))
            for (smaller, less), (size, cpu) in zip(found, found[1:])]


def _one(server, what):
    return (server, *what)


def _to(servers, what):
    return [(server, *what) for server in servers]


def _ratio(text, server, what, others, most, prototype=None):
    return Claim(text, _one(server, what), _to(others, what), most, prototype)


def _exec_plain(server, how):
    return (_ratio(f"plain message, {how}, to the best of Postfix, Exim, OpenSMTPD", server, PLAIN, PEERS, 0.5,
                   "minimal-plain"),
            _ratio(f"plain message, {how}, to aiosmtpd", server, PLAIN, ("aiosmtpd",), 0.95, "minimal-plain"))


def _exec_tls(server, how):
    return _ratio(f"TLS message, full handshake, {how}, to Postfix", server, TLS, ("postfix",), 0.75, "minimal-tls")


def _listen(text, what, others, most):
    return _ratio(text, "postern-listen", what, others, most, "forking-tls")


def _big(work, text):
    return _ratio(f"{text}, CPU, to the best of all", "postern-tcpserver", (work, "cpu"), EVERY_PEER, 0.2)


def _big_wall(server, build):
    return Claim(f"100 MB over TLS to the same in clear, wall time, {build}", (server, "big-tls-data", "wall"),
                 [(server, "big-data", "wall")], 1.3)


def _resumed(server, build):
    return Difference(f"resumed TLS session, --listen, RSA-2048, {build}: ms of CPU more than with a full handshake",
                      (server, "rsa", "resumed"), (server, "rsa", "full"), -1.2)


# The static program, by connection and by its own listener.
STATIC = (
    _ratio("TLS message, by exec, static, to Postfix", "postern-static-tcpserver", TLS, ("postfix",), 0.8,
           "minimal-static-tls"),
    _ratio("plain message, by exec, static, to Postfix", "postern-static-tcpserver", PLAIN, ("postfix",), 0.6,
           "minimal-static-plain"),
    _ratio("plain message, --listen, static, to aiosmtpd", "postern-static-listen", PLAIN, ("aiosmtpd",), 0.85,
           "forking-static-tls"),
    _ratio("TLS message, --listen, static, to Postfix", "postern-static-listen", TLS, ("postfix",), 0.36,
           "forking-static-tls"),
    _ratio("TLS message, --listen, static, to aiosmtpd", "postern-static-listen", TLS, ("aiosmtpd",), 0.6,
           "forking-static-tls"),
    _big_wall("postern-static-tcpserver", "static"), _big_wall("postern-tcpserver", "default"),
    _resumed("postern-static-rsa", "static"), _resumed("postern-rsa", "default"),
    _ratio("idle connection by exec, after TLS, static, to the default build, Pss", "postern-static-tcpserver",
           ("idle", "tls"), ("postern-tcpserver",), 0.55))

# The same of the default build, which the static one is not to make worse: the ratios before there was one.
DEFAULT = (
    _ratio("TLS message, by exec, default, to Postfix", "postern-tcpserver", TLS, ("postfix",), 1.16, "minimal-tls"),
    _ratio("plain message, by exec, default, to Postfix", "postern-tcpserver", PLAIN, ("postfix",), 0.64,
           "minimal-plain"),
    _ratio("plain message, --listen, default, to aiosmtpd", "postern-listen", PLAIN, ("aiosmtpd",), 1.06, "forking-tls"),
    _ratio("TLS message, --listen, default, to Postfix", "postern-listen", TLS, ("postfix",), 0.47, "forking-tls"),
    _ratio("TLS message, --listen, default, to aiosmtpd", "postern-listen", TLS, ("aiosmtpd",), 0.76, "forking-tls"))

# Whom a prototype is compared with does the same: where one has the TLS library loaded, so has the other.
PROTOTYPES = (
    ("plain message, by exec", PLAIN, "postern-exec", "minimal-plain"),
    ("TLS message, by exec", TLS, "postern-exec", "minimal-tls"),
    ("plain message, --listen, TLS offered", PLAIN, "postern-listen", "forking-tls"),
    ("plain message, --listen, tls = off", PLAIN, "postern-listen-plain", "forking-plain"),
    ("TLS message, --listen", TLS, "postern-listen", "forking-tls"))

# The filter itself is left out; with one that wants no events both do the least.
FILTERED = (
    *(Difference(f"a filter that {text}, {way}: ms of CPU more", (f"{server}-{mode}", "filtered", "cpu"),
                 (f"{server}-unfiltered", "filtered", "cpu"), most,
                 (("forking-nothing", "filtered", "cpu"), ("forking-unfiltered", "filtered", "cpu"))
                 if (server, mode) == ("postern", "nothing") else None)
      for server, way in (("postern", "--listen"), ("exec", "by exec"))
      for mode, text, most in (("nothing", "wants no events", 0.1), ("silent", "answers nothing before the end of the message", 0.1),
                               ("every", "answers each event", 0.4))),
    *(_ratio(f"plain message with a filter that {text}, --listen, to Postfix with it", f"postern-{mode}",
             ("filtered", "cpu"), (f"postfix-{mode}",), most)
      for mode, text, most in (("nothing", "wants no events", 0.5), ("silent", "answers at the end alone", 0.5),
                               ("every", "answers each event", 0.5))))

CLAIMS = (
    *_exec_plain("postern-exec", "by exec, least listener"),
    *_exec_plain("postern-tcpserver", "by exec, tcpserver"),
    _listen("plain message, --listen, to the best of Postfix, Exim, OpenSMTPD", PLAIN, PEERS, 0.5),
    _listen("plain message, --listen, to aiosmtpd", PLAIN, ("aiosmtpd",), 0.7),
    _exec_tls("postern-exec", "by exec, least listener"),
    _exec_tls("postern-tcpserver", "by exec, tcpserver"),
    _listen("TLS message, full handshake, --listen, to Postfix", TLS, ("postfix",), 0.4),
    _listen("TLS message, full handshake, --listen, to aiosmtpd", TLS, ("aiosmtpd",), 0.75),
    *STATIC, *FILTERED,
    *(_ratio(f"{text}, to the prototype of the same way", ours, what, (theirs,), 1.15)
      for text, what, ours, theirs in PROTOTYPES),
    _ratio("plain message, --listen in its unit, to Accept=yes in the same hardening, systemd included",
           "systemd-listen", ("hardened", "cpu"), ("systemd-hardened",), 0.05),
    _big("big-data", "100 MB in the clear, DATA"),
    _big("big-bdat", "100 MB in the clear, BDAT"),
    _big("big-tls-data", "100 MB over TLS, DATA"),
    _big("big-tls-bdat", "100 MB over TLS, BDAT"),
    _ratio("idle connection, --listen, before TLS, to Exim's daemon, Pss", "postern-listen", ("idle", "clear"),
           ("exim",), 0.4),
    _ratio("idle connection, --listen, after TLS, to Exim's daemon, Pss", "postern-listen", ("idle", "tls"),
           ("exim",), 0.7),
    _ratio("idle connection by exec, before TLS, to Postfix, Pss", "postern-tcpserver", ("idle", "clear"),
           ("postfix",), 0.1),
    Constant("CPU of a message when so many are there, to that of the first hundred", "postern-tcpserver", "many",
             steps, 100),
    Constant("CPU of an octet more, in the largest message to one of 1 MB, in the clear", "postern-tcpserver",
             "sizes-plain", further, 1_000_000),
    Constant("CPU of an octet more, in the largest message to one of 1 MB, over TLS", "postern-tcpserver",
             "sizes-tls", further, 1_000_000),
)
