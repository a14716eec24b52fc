#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Only CRLF.CRLF ends a message (RFC 5321 4.1.1.4), and no similar text, and input in the clear after STARTTLS is
never carried out (RFC 3207 4.2, 6)."""

import random
import time

import harness
from harness import RECIPIENT, SENDER, Site

# What some server once took for an end of data: the scanners' lists, and their neighbours.
TERMINATORS = {
    r"\n.\n": b"\n.\n",
    r"\n.\r": b"\n.\r",
    r"\n.\r\n": b"\n.\r\n",
    r"\r.\n": b"\r.\n",
    r"\r.\r": b"\r.\r",
    r"\r.\r\n": b"\r.\r\n",
    r"\r\n.\n": b"\r\n.\n",
    r"\r\n.\r": b"\r\n.\r",
    r"\r\n.\r\r\n": b"\r\n.\r\r\n",
    r"\r\r\n.\r\r\n": b"\r\r\n.\r\r\n",
    r"\n\n.\r\n": b"\n\n.\r\n",
    r"\r\n\n.\r\n": b"\r\n\n.\r\n",
    r"\n\r.\r\n": b"\n\r.\r\n",
    r"\r\n\r.\r\n": b"\r\n\r.\r\n",
    r"\r\n.\n\r\n": b"\r\n.\n\r\n",
    r"\r\n\0.\r\n": b"\r\n\0.\r\n",
    r"\r\n.\0\r\n": b"\r\n.\0\r\n",
    r"\0\n.\r\n": b"\0\n.\r\n",
    r"\r\0\n.\r\n": b"\r\0\n.\r\n",
    r"\r\n.\r\0\n": b"\r\n.\r\0\n",
    r"\r\n. \r\n": b"\r\n. \r\n",
    r"\r\n..\r\n": b"\r\n..\r\n",
    r"\x85.\x85": b"\x85.\x85",
    r"\v.\v": b"\v.\v",
}
# These end the line before the dot by CRLF and the dot's line by a bare CR or LF plus what the
# second transaction begins with, or have none at all: nothing to reject in them.
CLEAN = (r"\r\n\0.\r\n", r"\r\n.\0\r\n", r"\r\n. \r\n", r"\r\n..\r\n", r"\x85.\x85", r"\v.\v")

SECOND = (f"MAIL FROM:<smuggled@example.net>\r\nRCPT TO:<{RECIPIENT}>\r\nDATA\r\n"
          "Subject: smuggled\r\n\r\nsecond\r\n.\r\n").encode()


def open_session(place, tls):
    client = place.connect()
    client.ehlo()
    if tls:
        client.starttls()
        client.ehlo()
    client.envelope()
    client.say("DATA", 354)
    return client


def close_session(client):
    """The codes after the 354: one for the message, one for QUIT, no more."""
    client.send("QUIT\r\n")
    codes = [line[:3] for line in client.rest().split(b"\r\n") if line]
    client.wait()
    return codes


def check(place, codes, accepted):
    harness.equal(codes, [b"250" if accepted else b"550", b"221"])
    files = place.new()
    harness.equal(len(files), 1 if accepted else 0, "files in new/")
    for path in files:
        _, rest = harness.split_trace(path.read_bytes())
        harness.contains(rest, b"first", "the first message")
        harness.contains(rest, b"\nsecond\n", "what follows is part of it")
        harness.contains(rest, b"smuggled@example.net", "what follows is part of it")
        lines = path.read_bytes().split(b"\n")
        assert not any(b"\r" in line for line in lines), f"a stray CR is stored: {rest!r}"
        path.unlink()


@harness.table_of({
    f"{setting} {'in TLS' if tls else 'in clear'}": (setting, tls)
    for setting in ("normalize", "reject") for tls in (False, True)})
def test_no_other_sequence_ends_a_message(setting, tls):
    place = Site(tls="on", pair=harness.pair(), bare_newline=setting)
    for name, terminator in TERMINATORS.items():
        client = open_session(place, tls)
        client.send(b"Subject: one\r\n\r\nfirst" + terminator + SECOND)
        try:
            check(place, close_session(client), setting == "normalize" or name in CLEAN)
        except AssertionError as wrong:
            raise AssertionError(f"{name}: {wrong}") from None


@harness.table_of({
    f"{name} {'in TLS' if tls else 'in clear'}": (name, tls)
    for name in (r"\n.\r\n", r"\r\n.\n", r"\r\n.\r\r\n") for tls in (False, True)})
def test_no_other_sequence_ends_a_message_however_it_arrives(name, tls):
    """Read in two parts, divided at every octet from before the sequence to behind it."""
    place = Site(tls="on", pair=harness.pair())
    text = b"Subject: one\r\n\r\nfirst" + TERMINATORS[name] + SECOND
    first = text.index(b"first") + 3
    for divide in range(first, first + 4 + len(TERMINATORS[name])):
        client = open_session(place, tls)
        client.send(text[:divide])
        if not tls:  # where TLS records divide it for certain
            client.delivered()
            time.sleep(0.002)
        client.send(text[divide:])
        check(place, close_session(client), True)


@harness.table_of({"in clear": False, "in TLS": True})
def test_a_stray_cr_before_it_does_not_hide_a_true_end(tls):
    """CR CR LF . CR LF contains CRLF.CRLF: a server that ignores it could be smuggled to."""
    place = Site(tls="on", pair=harness.pair())
    client = open_session(place, tls)
    client.send(b"Subject: one\r\n\r\nfirst\r\r\n.\r\n")
    harness.equal(close_session(client), [b"250", b"221"])
    _, rest = harness.split_trace(place.only_message().read_bytes())
    harness.equal(rest, b"Subject: one\n\nfirst\n")


@harness.table_of({"in clear": False, "in TLS": True})
def test_dots_are_removed_wherever_the_input_is_cut(tls):
    """Dots at the start, in and at the end of lines, and alone, cut at 25 places by chance."""
    place = Site(tls="on", pair=harness.pair())
    lines = [b"Subject: dots", b""] + [b"." * n + text for n in range(4) for text in (b"", b"x", b"x.", b" .", b"x..y")]
    sent = b"".join(line + b"\r\n" for line in lines)
    stuffed = b"".join((b"." if line.startswith(b".") else b"") + line + b"\r\n" for line in lines) + b".\r\n"
    seed = random.randrange(2 ** 32)
    print(f"# seed {seed}")
    chance = random.Random(seed)
    client = open_session(place, tls)
    for again in range(20):
        if again:
            client.envelope()
            client.say("DATA", 354)
        cuts = sorted(chance.sample(range(1, len(stuffed)), 25))
        for begin, end in zip([0, *cuts], [*cuts, len(stuffed)]):
            client.send(stuffed[begin:end])
        client.expect(250)
        harness.check_stored(place.only_message(), sent)
        place.only_message().unlink()
    harness.equal(close_session(client), [b"221"])


def test_octet_by_octet_the_message_ends_where_it_must():
    place = Site(tls="on", pair=harness.pair())
    client = open_session(place, True)
    for octet in b"Subject: one\r\n\r\nfirst\n.\r\n" + SECOND:
        client.send(bytes((octet,)))
    check(place, close_session(client), True)


def test_what_is_stored_cannot_smuggle_when_sent_on():
    """A bare CR would become a line end at the next hop: it is a space now."""
    place = Site()
    client = open_session(place, False)
    client.send(b"Subject: one\r\n\r\nfirst\r.\rMAIL\r\n.\r\n")
    harness.equal(close_session(client), [b"250", b"221"])
    _, rest = harness.split_trace(place.only_message().read_bytes())
    harness.equal(rest, b"Subject: one\n\nfirst . MAIL\n")


def test_a_bare_newline_in_a_command_is_refused_where_the_setting_says_so():
    place = Site(bare_newline="reject")
    client = place.connect()
    client.send("NOOP\n")
    client.expect(500, "5.5.2")
    client.say("NOOP", 250)
    client.quit()


def test_a_bare_newline_ends_a_command_by_default():
    client = Site().connect()
    client.send("NOOP\nNOOP\n")
    client.expect(250)
    client.expect(250)
    client.quit()


# STARTTLS injection


@harness.table_of({verb: verb for verb in (
    "NOOP", "RSET", "EHLO evil.example.net", f"MAIL FROM:<{SENDER}>", "QUIT", "\x16\x03\x01")})
def test_input_behind_starttls_in_one_segment_is_not_obeyed(verb):
    place = Site(tls="on", pair=harness.pair())
    client = place.connect()
    client.ehlo()
    client.send(f"STARTTLS\r\n{verb}\r\n")
    client.expect(503, "5.5.1")
    client.expect_end()
    client.wait()
    harness.equal(place.everything(), [])


def test_input_behind_starttls_in_a_second_segment_is_a_failed_handshake():
    place = Site(tls="on", pair=harness.pair())
    client = place.connect()
    client.ehlo()
    client.say("STARTTLS", 220)
    client.send(f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<{RECIPIENT}>\r\n")
    rest = client.rest()
    assert rest[:1] in (b"", b"\x15"), f"only a TLS alert may follow: {rest!r}"
    client.wait()
    harness.equal(place.session()["status"], "SSL Error (SMTP Receive)")
    harness.equal(place.everything(), [])


def test_input_that_arrives_during_the_handshake_is_not_obeyed():
    """The octets come after the 220 and before the ClientHello, as a meddler would send them."""
    place = Site(tls="on", pair=harness.pair())
    client = place.connect()
    client.ehlo()
    client.say("STARTTLS", 220)
    client.send("RSET\r\n")
    try:
        client.handshake()
    except OSError:
        pass
    else:
        raise AssertionError("the handshake must fail")
    client.wait()
    harness.equal(place.session()["status"], "SSL Error (SMTP Receive)")


def secured(place, *before):
    client = place.connect()
    client.ehlo("forgotten.example.net")
    for command in before:
        client.say(command, 250)
    client.starttls()
    return client


def test_the_transaction_from_before_tls_is_gone():
    place = Site(tls="on", pair=harness.pair())
    client = secured(place, f"MAIL FROM:<{SENDER}>", f"RCPT TO:<{RECIPIENT}>")
    client.say("DATA", 503, "5.5.1")
    client.ehlo()
    client.say("DATA", 503, "5.5.1")
    client.say(f"RCPT TO:<{RECIPIENT}>", 503, "5.5.1")
    client.quit()
    harness.equal(place.everything(), [])


def test_the_name_from_before_tls_is_gone():
    place = Site(tls="on", pair=harness.pair())
    client = secured(place)
    client.say(f"MAIL FROM:<{SENDER}>", 503, "5.5.1")
    client.ehlo("remembered.example.net")
    harness.equal(client.message(harness.sample()).code, 250)
    client.quit()
    trace = harness.received(place.only_message())
    harness.contains(trace, "remembered.example.net")
    assert "forgotten" not in trace, trace


def test_starttls_is_offered_once():
    client = secured(Site(tls="on", pair=harness.pair()))
    assert not client.ehlo().has("STARTTLS"), "EHLO in TLS offers STARTTLS"
    client.say("STARTTLS", 503, "5.5.1")
    client.quit()


# Other protocols (and ALPACA)


@harness.table_of({
    "GET": b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n",
    "POST": b"POST /x HTTP/1.1\r\nHost: example.org\r\n\r\nHELO x\r\n",
    "ClientHello": bytes.fromhex("160301002f0100002b0303") + bytes(43),
})
def test_another_protocol_gets_one_line(octets):
    place = Site(tls="on", pair=harness.pair())
    client = place.connect()
    client.send(octets)
    reply = client.reply()
    assert reply.code // 100 == 5 and len(reply.lines) == 1, reply
    assert "example.org" not in reply.words[0], f"reflected: {reply}"
    client.expect_end()
    client.wait()
    place.session()


if __name__ == "__main__":
    harness.main()
