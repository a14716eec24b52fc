#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""TLS in each mode, with success and each kind of failure: replies, the delivery of mail, and the status line in the
record."""

import ssl
import time

import harness
from handshakes import TLS1_0, TLS1_2, TLS1_3, WITH_TLS, check_delivery, secure, status
from harness import HOST, RECIPIENT, SENDER, Client, Listener, Site, client_context

FAILED = "SSL Error (SMTP Receive)"
REFUSED = "SSL Error (SMTP RX Reject)"


# Each mode, with a client that has TLS and one that has not


@harness.table(**WITH_TLS)
def test_a_message_through_tls(mode):
    place = Site(tls=mode, pair=harness.pair())
    check_delivery(place, secure(place))
    harness.equal(status(place), "")
    record = place.session()
    harness.equal(record["tls"], "TLS1.3")
    harness.contains(record["cipher"], "TLS_AES_")
    harness.equal(record["sni"], HOST)


def test_off_offers_no_tls_and_takes_mail():
    place = Site(tls="off")
    client = place.connect()
    assert not client.ehlo().has("STARTTLS")
    client.say("STARTTLS", 502, "5.5.1")
    check_delivery(place, client)
    harness.equal(status(place), "")


def test_on_takes_mail_in_the_clear():
    place = Site(tls="on", pair=harness.pair())
    client = place.connect()
    assert client.ehlo().has("STARTTLS")
    check_delivery(place, client)
    harness.equal(status(place), "")


@harness.table_of({mode: mode for mode in ("required", "ssl")})
def test_required_refuses_mail_in_the_clear_and_ends(mode):
    place = Site(tls=mode, pair=harness.pair())
    client = place.connect()
    assert client.ehlo().has("STARTTLS")
    client.send(f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<{RECIPIENT}>\r\nDATA\r\n")
    client.expect(530, "Must issue a STARTTLS command first")
    client.expect_end()  # in good order: a reset would have cost the client the 530
    client.wait()
    harness.equal(status(place), REFUSED)
    harness.equal(place.everything(), [])


def test_required_refuses_all_that_is_not_needed_for_starttls():
    place = Site(tls="required", pair=harness.pair())
    client = place.connect()
    for verb in ("NOOP", "RSET", "HELO client.example.net", "EHLO client.example.net"):
        client.say(verb, 250)
    for verb in (f"RCPT TO:<{RECIPIENT}>", "DATA", "VRFY postmaster", "HELP"):
        client.say(verb, 530, "5.7.0")
    client.starttls()
    client.ehlo()
    check_delivery(place, client)


def test_implicit_shows_nothing_to_a_client_without_tls():
    place = Site(tls="implicit", pair=harness.pair())
    client = place.connect(greeting=False)
    client.send("EHLO client.example.net\r\n")
    check_only_an_alert(client)
    client.wait()
    harness.equal(status(place), FAILED)


# Handshakes that fail


def check_only_an_alert(client):
    """What follows the 220 is TLS's, if anything: records of type alert, no line of SMTP."""
    rest = client.rest()
    while rest:
        harness.equal(rest[:1], b"\x15", f"a TLS alert was expected: {rest!r}")
        rest = rest[5 + int.from_bytes(rest[3:5], "big"):]


def raw(place):
    """A connection where the server expects a ClientHello next."""
    if place.settings["tls"] == "implicit":
        return place.connect(greeting=False)
    client = place.connect()
    client.ehlo()
    client.say("STARTTLS", 220)
    return client


def fails(place, context):
    try:
        secure(place, context)
    except (ssl.SSLError, harness.Closed, OSError) as problem:
        return str(problem)
    raise AssertionError("the handshake must fail")


def check_failed(place):
    harness.eventually(lambda: place.records("session"), "the session's record")
    harness.equal(status(place), FAILED)
    harness.equal(place.everything(), [])


@harness.table(**WITH_TLS)
def test_a_client_with_tls_1_0_only(mode):
    place = Site(tls=mode, pair=harness.pair("rsa"))
    problem = fails(place, client_context(TLS1_0, TLS1_0, "ALL:@SECLEVEL=0"))
    harness.contains(problem.lower(), "alert protocol version")
    check_failed(place)


@harness.table(**WITH_TLS)
def test_no_common_cipher(mode):
    place = Site(tls=mode, pair=harness.pair())
    problem = fails(place, client_context(TLS1_2, TLS1_2, "eNULL:@SECLEVEL=0"))
    harness.contains(problem.lower(), "alert handshake failure")
    check_failed(place)


@harness.table(**WITH_TLS)
def test_a_client_that_stalls(mode):
    place = Site(tls=mode, pair=harness.pair(), timeout=1)
    client = raw(place)
    begun = time.monotonic()
    check_only_an_alert(client)
    client.wait()
    took = time.monotonic() - begun
    assert 0.8 < took < 60, f"the handshake's deadline came after {took:.1f} s"
    check_failed(place)


@harness.table(**WITH_TLS)
def test_a_client_that_stalls_in_the_middle_of_a_handshake_record(mode):
    place = Site(tls=mode, pair=harness.pair(), timeout=1)
    client = raw(place)
    client.send(bytes.fromhex("1603010200010001fc0303"))
    check_only_an_alert(client)
    client.wait()
    check_failed(place)


@harness.table_of({
    f"{name} ({mode})": (mode, octets) for mode in WITH_TLS for name, octets in {
        "zeros": bytes(64), "text": b"MAIL FROM:<x@example.net>\r\n",
        "noise": bytes(range(255, 0, -1)) * 4,
        "broken hello": bytes.fromhex("1603010010010000ff") + bytes(300)}.items()})
def test_a_client_that_sends_garbage(mode, octets):
    place = Site(tls=mode, pair=harness.pair())
    client = raw(place)
    client.send(octets)
    check_only_an_alert(client)
    client.wait()
    check_failed(place)


@harness.table(**WITH_TLS)
def test_a_client_that_leaves_in_the_handshake(mode):
    place = Site(tls=mode, pair=harness.pair())
    client = raw(place)
    client.wait()
    check_failed(place)


@harness.table(**WITH_TLS)
def test_a_client_that_does_not_trust_the_certificate(mode):
    place = Site(tls=mode, pair=harness.pair())
    context = client_context(maximum=TLS1_2, trust=harness.pair("ecdsa", HOST, serial=99))
    contained = fails(place, context)
    harness.contains(contained, "certificate verify failed")
    check_failed(place)
    harness.contains(str(place.session()).lower(), "unknown")  # the alert, in the record


@harness.table_of({"TLS 1.2": TLS1_2, "TLS 1.3": TLS1_3})
def test_both_versions(version):
    place = Site(tls="on", pair=harness.pair())
    client = secure(place, client_context(version, version))
    check_delivery(place, client)
    harness.equal(place.session()["tls"], f"TLS1.{version - 0x301}")


def test_the_priority_string_rules():
    place = Site(tls="on", pair=harness.pair(), tls_priority="NORMAL:-VERS-ALL:+VERS-TLS1.2")
    client = secure(place)
    harness.equal(client.socket.version(), "TLSv1.2")
    check_delivery(place, client)


def test_an_old_device_is_let_in_by_the_priority_string():
    place = Site(tls="on", pair=harness.pair("rsa"),
                 tls_priority="LEGACY:+VERS-TLS1.0:+SHA1:%VERIFY_ALLOW_SIGN_WITH_SHA1")
    client = secure(place, client_context(TLS1_0, TLS1_0, "ALL:@SECLEVEL=0"))
    check_delivery(place, client)
    harness.equal(place.session()["tls"], "TLS1.0")


# ALPN (RFC 7301 3.2)


@harness.table_of({"smtp": ("smtp", "smtp"), "esmtp": ("esmtp", "esmtp"),
                   "smtp after another": ("http/1.1 smtp", "smtp"), "none": ("", None)})
def test_alpn_that_names_smtp_or_nothing(offered, chosen):
    place = Site(tls="on", pair=harness.pair())
    client = secure(place, client_context(alpn=offered.split()))
    harness.equal(client.socket.selected_alpn_protocol(), chosen)
    check_delivery(place, client)


@harness.table(**WITH_TLS)
def test_alpn_of_another_protocol_fails(mode):
    place = Site(tls=mode, pair=harness.pair())
    problem = fails(place, client_context(alpn=["http/1.1"]))
    harness.contains(problem.lower(), "no application protocol")
    check_failed(place)


# The end


def test_quit_in_tls_ends_with_close_notify():
    place = Site(tls="on", pair=harness.pair())
    client = secure(place)
    client.say("QUIT", 221)
    harness.equal(client.socket.recv(1), b"")  # a ragged end would raise
    client.wait()


def test_pipelined_commands_in_tls():
    place = Site(tls="on", pair=harness.pair())
    client = secure(place)
    client.send(f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<{RECIPIENT}>\r\nDATA\r\n")
    for code in (250, 250, 354):
        client.expect(code)
    client.send("Subject: x\r\n\r\nhi\r\n.\r\nQUIT\r\n")
    client.expect(250)
    client.expect(221)


def test_gnutls_cli_with_tls_1_0_only():
    harness.need("gnutls-cli")
    place = Site(tls="required", pair=harness.pair("rsa"))
    port = Listener(place).port
    done = harness.run("gnutls-cli", "--starttls-proto=smtp", "--insecure", f"--port={port}",
                       "--priority=LEGACY:-VERS-ALL:+VERS-TLS1.0", "127.0.0.1")
    assert done.returncode != 0, done.stdout
    check_failed(place)


def test_a_large_message_through_tls():
    place = Site(tls="on", pair=harness.pair())
    sent = b"Subject: large\r\n\r\n" + b"0123456789 abcdefghij\r\n" * 150_000
    client = secure(place)
    harness.equal(client.message(sent).code, 250)
    client.quit()
    harness.check_stored(place.only_message(), sent)


def test_many_clients_at_once():
    place = Site(tls="on", pair=harness.pair())
    port = Listener(place).port
    clients = [Client.to(port) for _ in range(20)]
    for step in ("ehlo", "starttls", "ehlo"):
        for client in clients:
            getattr(client, step)()
    for client in clients:
        harness.equal(client.message(harness.sample()).code, 250)
        client.quit()
    harness.equal(len(place.new()), 20)


if __name__ == "__main__":
    harness.main()
