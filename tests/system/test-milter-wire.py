#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""What a filter gets from postern and from Debian's Postfix in the same session, frame by frame and octet by octet:
the events in their order, the macros in front of them, and their data. Where postern differs on purpose, a table says so
with the reason."""

import difflib
import struct

import filters
import harness
from filters import Filter, frame
from harness import DOMAIN, SENDER
from logins import Authority, PASSWORD, SECRET, by_gsasl, plain, put, with_certificate
from peers import Logins, Ours, Peer, address

USER = "scanner"
HELLO = "EHLO client.example.net"
MAIL = f"MAIL FROM:<{SENDER}>"
ALICE, BOB = (f"RCPT TO:<{address(name)}>" for name in ("alice", "bob"))
FOREIGN, UNKNOWN = "RCPT TO:<eve@example.com>", f"RCPT TO:<nobody@{DOMAIN}>"
MESSAGE = b"Subject: a\r\nX-Two: one\r\n two\r\n\tthree\r\nX-None:\r\nX-Tab:\tfour \r\n\r\none\r\n.two\r\n\r\n"
LARGE = b"Subject: large\r\n\r\n" + b"".join(b"%06d %s\r\n" % (n, b"x" * 70) for n in range(2000))


def data(octets):
    """DATA with that content."""
    def send(talk):
        if talk.say("DATA") == 354:
            talk.codes.append(talk.client.content(octets).code)
    return send


def chunks(*pieces):
    def send(talk):
        for n, piece in enumerate(pieces, 1):
            talk.client.send(b"BDAT %d%s\r\n" % (len(piece), b" LAST" if n == len(pieces) else b"") + piece)
            talk.codes.append(talk.client.reply().code)
    return send


def tls(talk):
    talk.client.starttls(context=talk.context, name="sni.example.net")


def login(talk):
    talk.say(f"AUTH PLAIN {plain(USER)}")


class Talk:
    """One session: the same steps, with whatever server."""

    def __init__(self, client, steps, context):
        self.client, self.context, self.codes = client, context, [client.reply().code]
        for step in steps:
            step(self) if callable(step) else self.say(step)
        if steps[-1] == "QUIT":
            client.rest()
        client.close()

    def say(self, command):
        self.client.send(command + "\r\n")
        self.codes.append(self.client.reply().code)
        return self.codes[-1]


ONE = (MAIL, ALICE, data(MESSAGE))
SESSIONS = {
    "plain": (HELLO, *ONE, "QUIT"),
    "HELO": ("HELO client.example.net", *ONE, "QUIT"),
    "EHLO again": (HELLO, HELLO, *ONE, "QUIT"),
    "EHLO between messages": (HELLO, *ONE, HELLO, *ONE, "QUIT"),
    "EHLO of another name": (HELLO, *ONE, "EHLO other.example.net", *ONE, "QUIT"),
    "EHLO in a transaction": (HELLO, MAIL, ALICE, HELLO, *ONE, "QUIT"),
    "recipients": (HELLO, MAIL, ALICE, BOB, data(MESSAGE), "QUIT"),
    "refused recipients": (HELLO, MAIL, FOREIGN, ALICE, UNKNOWN, data(MESSAGE), "QUIT"),
    "no recipient": (HELLO, MAIL, FOREIGN, "DATA", "QUIT"),
    "two messages": (HELLO, *ONE, MAIL, BOB, data(MESSAGE), "QUIT"),
    "RSET": (HELLO, MAIL, "RSET", MAIL, ALICE, "RSET", *ONE, "RSET", "QUIT"),
    "QUIT in a transaction": (HELLO, MAIL, ALICE, "QUIT"),
    "lost in a transaction": (HELLO, MAIL, ALICE),
    "null sender": (HELLO, "MAIL FROM:<>", ALICE, data(MESSAGE), "QUIT"),
    "parameters": (HELLO, f"{MAIL} SIZE=1000 BODY=8BITMIME RET=HDRS ENVID=a+2Bb",
                   f"{ALICE} NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;alice@example.org", data(MESSAGE), "QUIT"),
    "unknown commands": (HELLO, "FROB one", MAIL, "FROB two", ALICE, "NOOP", data(MESSAGE), "QUIT"),
    "quoted": (HELLO, 'MAIL FROM:<"a b"@example.net>', 'RCPT TO:<"alice"@example.org>', data(MESSAGE), "QUIT"),
    "empty body": (HELLO, MAIL, ALICE, data(b"Subject: a\r\n\r\n"), "QUIT"),
    "no header": (HELLO, MAIL, ALICE, data(b"\r\nbody\r\n"), "QUIT"),
    "only a header": (HELLO, MAIL, ALICE, data(b"Subject: a\r\n"), "QUIT"),
    "nothing": (HELLO, MAIL, ALICE, data(b""), "QUIT"),
    "body in pieces": (HELLO, MAIL, ALICE, data(LARGE), "QUIT"),
    "SMTPUTF8": (HELLO, "MAIL FROM:<j\u00fcrgen@b\u00fccher.example> SMTPUTF8", ALICE,
                 data("Subject: gr\u00fc\u00df\r\n\r\n\u00e9\r\n".encode()), "QUIT"),
    "BDAT": (HELLO, MAIL, ALICE, chunks(MESSAGE[:7], MESSAGE[7:40], MESSAGE[40:], b""), "QUIT"),
    "TLS": (HELLO, tls, HELLO, *ONE, "QUIT"),
    "TLS in a transaction": (HELLO, MAIL, tls, HELLO, *ONE, "QUIT"),
    "AUTH": (HELLO, tls, HELLO, login, *ONE, "QUIT"),
    "AUTH with an author": (HELLO, tls, HELLO, login, f"{MAIL} AUTH=some+2Bone@example.net", ALICE, data(MESSAGE), "QUIT"),
    "AUTH without an author": (HELLO, tls, HELLO, login, f"{MAIL} AUTH=<>", ALICE, data(MESSAGE), "QUIT"),
    "author without a login": (HELLO, tls, HELLO, f"{MAIL} AUTH=a@example.net", ALICE, data(MESSAGE), "QUIT"),
    "certificate": (HELLO, tls, HELLO, *ONE, "QUIT"),
    "certificate of another authority": (HELLO, tls, HELLO, *ONE, "QUIT"),
    "leading space": (HELLO, *ONE, "QUIT"),
    "without answers": (HELLO, *ONE, *ONE, "QUIT"),
    "without some events": (HELLO, *ONE, *ONE, "QUIT"),
    "version 2": (HELLO, "FROB", *ONE, "QUIT"),
    "macros on request": (HELLO, tls, HELLO, login, *ONE, "QUIT"),
}


def wanted(stage, *names):
    return struct.pack(">I", stage) + filters.strings(" ".join(names))


# What the filter negotiates in some sessions
REJECTED = 0x800
NEGOTIATED = {
    "refused recipients": {"steps": REJECTED}, "no recipient": {"steps": REJECTED},
    "leading space": {"steps": filters.HEADER_LEADING_SPACE}, "without answers": {"steps": filters.SILENT},
    "without some events": {"steps": filters.NO["H"] | filters.NO["R"] | filters.NO["L"] | filters.NO["B"]},
    "version 2": {"version": 2},
    "macros on request": {"macros": wanted(0, "{client_addr}", "{client_name}", "{client_ptr}") + wanted(
        1, "{cipher}") + wanted(2, "j", "{auth_authen}") + wanted(3, "{mail_addr}") + wanted(5, "{rcpt_addr}", "j")},
}


class Both:
    """Postfix and postern with logins, TLS and certificates of clients."""

    def __init__(self):
        self.authority = Authority(of_file=True)
        self.contexts = {"certificate": with_certificate(self.authority.signs("client")),
                         "certificate of another authority": with_certificate(Authority().signs("client"))}
        pair = harness.pair("rsa")
        self.peer = Peer(f"""\
smtpd_tls_chain_files = {pair.key} {pair.certificate}
smtpd_tls_security_level = may
smtpd_tls_ask_ccert = yes
smtpd_tls_CAfile = {self.authority.certificate}
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = FOLDER/logins
myhostname = {harness.HOST}
""")
        Logins(self.peer.folder / "logins", USER)
        # the cipher suite that OpenSSL prefers
        self.settings = {"tls": "on", "tls_priority": "NORMAL:-AES-128-GCM:-AES-128-CCM", "pair": pair, "auth": "on",
                         "tls_client_ca": self.authority.certificate, "domains": DOMAIN}

    def ours(self, filter_):
        ours = Ours(filter_, **self.settings)
        (ours.site.dir / "outbox").mkdir()
        ours.site.set(dsn_outbox=ours.site.dir / "outbox")
        (ours.site.dir / "recipients").write_text("alice alice\nbob bob\n")
        ours.site.set(recipients=ours.site.dir / "recipients", auth_secret=put(ours.site, "secret", SECRET),
                      auth_users=put(ours.site, "users", f"{USER} {by_gsasl()}\n"))
        return ours


the_both = harness.once(Both)


def frames_of(server, filter_, name, context):
    talk = Talk(server.connect(), SESSIONS[name], context)
    filter_.events()
    harness.equal([len(filter_.conversations), filter_.faults], [1, []])
    return talk.codes, filter_.conversations[0].frames


# Why the frames are not equal everywhere. A function makes of the frames of Postfix those of postern, or of both what
# can be compared.


def without_frames(commands):
    return lambda frames: [(c, d) for c, d in frames if c != "D" or d[:1].decode() not in commands]


def without_empty_macros(frames):
    return [(c, d) for c, d in frames if c != "D" or len(d) > 1]


def with_one_abort(frames):
    return [frame_ for n, frame_ in enumerate(frames) if n == 0 or frame_ != ("A", b"") or frames[n - 1] != frame_]


def hello_with_mail(frames):
    """The last H in front of each MAIL, or none; neither A nor U in front of the first."""
    made, hello = [], []
    for command, octets in frames:
        if command == "H" or (command, octets[:1]) == ("D", b"H"):
            hello = [*(hello if command == "H" and hello and hello[-1][0] == "D" else []), (command, octets)]
        elif command == "M" or (command, octets[:1]) == ("D", b"M"):
            made += [*hello, (command, octets)]
            hello = []
        elif command not in "AU" or "M" in dict(made):
            made.append((command, octets))
    return made


RULES = (
    ("filter libraries drop macros of fields and pieces of the body", without_frames("LB")),
    ("a frame without macros says nothing", without_empty_macros),
    ("nothing is sent before MAIL, when the last EHLO is what counts", hello_with_mail),
    ("a second A behind the first says nothing", with_one_abort),
)
def macro_as(name, value, wanted=b""):
    """That macro with another value, where it has the wanted one."""
    def change(frames):
        return [(c, o if c != "D" else o.replace(b"%s\0%s\0" % (name, wanted), b"%s\0%s\0" % (name, value))) for c, o in frames]
    return change


def macro_without(name, value):
    return lambda frames: [(c, o if c != "D" else o.replace(b"%s\0%s\0" % (name, value), b"")) for c, o in frames]


def unnamed(frames):
    for name in (b"{client_name}", b"{client_ptr}"):
        frames = macro_as(name, b"[127.0.0.1]", b"unknown")(frames)
    return frames


def refusals(frames):
    texts = {b"Recipient address rejected: Access denied": b"No mail is accepted here for that domain",
             b"Recipient address rejected: User unknown in virtual mailbox table": b"No such mailbox here"}
    for text, ours in texts.items():
        frames = macro_as(b"{rcpt_addr}", ours, text)(frames)
    return frames


# The same of one session
OWN_TEXT = ("each server refuses in words of its own", refusals)
OF_SESSION = {
    "refused recipients": OWN_TEXT,
    "no recipient": OWN_TEXT,
    "author without a login": ("what a client without a login names is not trusted (RFC 4954 5)",
                               macro_without(b"{auth_author}", b"a@example.net")),
    "macros on request": ("without a name the address is sent, as by sendmail", unnamed),
    "quoted": ("the address is as the client wrote it", macro_as(b"{rcpt_addr}", b'"alice"@example.org', b"alice@example.org")),
    "unknown commands": ("libmilter documents that arguments are in it", lambda frames: [
        (c, o if c != "U" else b"FROB two\0") for c, o in frames]),
}
# Of macros: what is left out on both sides before the others are compared, and why.
MACROS = {
    "i": "each has names of its own, and postern has one from MAIL on",
    "v": "the name of the server",
    "_": "without a name postern sends the address alone, as sendmail does; Postfix has unknown in front of it",
    "r": "of postern alone, for the milter of SpamAssassin",
    "b": "of postern alone, for the milter of SpamAssassin",
    "{tls_sni}": "of postern alone, for rspamd",
    "{mail_host}": "the domain, where Postfix has the next host of its transport",
    "{mail_mailer}": "smtp, where Postfix has its transport",
    "{rcpt_mailer}": "local, where Postfix has its transport",
}


def macros_of(octets):
    words = octets[1:].split(b"\0")
    return [(name, value) for name, value in zip(words[::2], words[1::2]) if name.decode() not in MACROS]


def comparable(frames):
    made = []
    for command, octets in frames:
        if command == "D":
            octets = (octets[:1], *macros_of(octets))
        if command == "C":
            name, rest = octets.split(b"\0", 1)
            octets = (name, rest[:1], rest[3:])  # without the port
        made.append((command, octets))
    return [(c, o) for c, o in made if c != "D" or len(o) > 1]


@harness.table_of({name: (name,) for name in SESSIONS})
def test_a_filter_gets_the_same_octets(name):
    both = the_both()
    options = NEGOTIATED.get(name, {})
    context = both.contexts.get(name) or harness.client_context()
    ours = Filter(**options)
    our_codes, our_frames = frames_of(both.ours(ours), ours, name, context)
    both.peer.socket.unlink(missing_ok=True)
    theirs = Filter(path=both.peer.socket, **options)
    their_codes, their_frames = frames_of(both.peer, theirs, name, context)
    for _, rule in RULES:
        their_frames = rule(their_frames)
    if name in OF_SESSION:
        changed = OF_SESSION[name][1](their_frames)
        assert changed != their_frames, f"{name}: Postfix does the same as postern"
        their_frames = changed
    harness.equal([code // 100 for code in our_codes], [code // 100 for code in their_codes])
    ours, theirs = ([f"{command} {octets}" for command, octets in comparable(frames)] for frames in (our_frames, their_frames))
    assert name != "certificate" or "(b'{cert_subject}', b'client'), (b'{cert_issuer}', b'Devices')" in str(ours), ours
    differing = list(difflib.unified_diff(theirs, ours, "Postfix", "postern", n=0, lineterm=""))
    assert not differing, "\n".join(line[:400] for line in differing)


if __name__ == "__main__":
    harness.main()
