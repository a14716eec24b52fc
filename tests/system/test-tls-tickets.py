#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Session tickets: resumption from one process to another, and services for which a ticket is not valid."""

import harness
from handshakes import TLS1_2, TLS1_3, resumed, secure, ticket_key
from harness import HOST, Site, client_context


def with_tickets(*pairs):
    place = Site(tls="on", pairs=pairs)
    return place.set(tls_tickets=ticket_key(place.dir))


VERSIONS = {"TLS 1.2": TLS1_2, "TLS 1.3": TLS1_3}


@harness.table_of(VERSIONS)
def test_a_session_is_resumed_from_one_process_to_another(version):
    place = with_tickets(harness.pair())
    context = client_context(version, version)
    session, again = resumed(place, context)
    assert not again
    _, again = resumed(place, context, session)
    assert again, "the second session was not resumed"
    flags = [r.get("resumed") for r in place.records("session")]
    harness.equal(flags, [None, "yes"])


@harness.table_of(VERSIONS)
def test_a_ticket_of_one_service_is_of_no_use_at_another(version):
    """Fault of 2026: session tickets taken from one service to another, RFC 9525 7.1: STARTTLS and implicit TLS."""
    place = with_tickets(harness.pair())
    context = client_context(version, version)
    session, _ = resumed(place, context)
    place.set(tls="implicit")
    other, again = resumed(place, context, session)
    assert not again, "the ticket of STARTTLS was taken where TLS comes first"
    assert resumed(place, context, other)[1], "its own ticket was not taken"
    place.set(tls="required")
    assert not resumed(place, context, other)[1], "the ticket of implicit TLS was taken after STARTTLS"
    assert resumed(place, context, session)[1], "on and required are one service"
    harness.equal([r.get("resumed") for r in place.records("session")],
                  [None, None, "yes", None, "yes"])


@harness.table_of(VERSIONS)
def test_a_ticket_of_one_name_is_of_no_use_at_another(version):
    """Fault of 2026: session tickets taken from one service to another, RFC 8446 4.6.1: with one certificate or two."""
    names = ("mail.example.org", "mx.example.org")
    for pairs in ([harness.pair("ecdsa", *names)], [harness.pair("ecdsa", name) for name in names]):
        place = with_tickets(*pairs)
        context = client_context(version, version)

        def again(name, session=None):
            client = secure(place, context, name, session=session)
            client.say("NOOP", 250)
            found = client.socket.session, client.socket.session_reused
            client.quit()
            return found

        session, _ = again(names[0])
        assert not again(names[1], session)[1], "the ticket of another name was taken"
        assert not again("unknown.example.org", session)[1], "the ticket of another name was taken"
        assert again(names[0], session)[1], "its own ticket was not taken"


@harness.table_of(VERSIONS)
def test_without_a_name_the_ticket_is_of_the_hostname(version):
    """Fault of 2026: session tickets taken from one service to another: two hosts, clients that send no name."""
    place = with_tickets(harness.pair())
    context = client_context(version, version)

    def again(session=None, name=None):
        client = secure(place, context, name, session=session)
        client.say("NOOP", 250)
        found = client.socket.session, client.socket.session_reused
        client.quit()
        return found

    session, _ = again()
    assert again(session)[1], "its own ticket was not taken"
    place.set(hostname="other.example.org")
    assert not again(session)[1], "the ticket of another host was taken"
    assert again(session, HOST)[1] or version == TLS1_2, "the name that it stands for"


@harness.table_of(VERSIONS)
def test_a_session_is_not_resumed_with_another_key(version):
    place = with_tickets(harness.pair())
    context = client_context(version, version)
    session, _ = resumed(place, context)
    place.set(tls_tickets=ticket_key(place.dir, "other"))
    assert not resumed(place, context, session)[1], "resumed with another key"
    place.set(tls_tickets=None)
    assert not resumed(place, context, session)[1], "resumed without a key"


@harness.table_of(VERSIONS)
def test_no_tickets_unless_asked_for(version):
    place = Site(tls="on", pair=harness.pair())
    context = client_context(version, version)
    session, _ = resumed(place, context)
    assert session is None or not session.has_ticket, "a ticket was sent"
    assert session is None or not resumed(place, context, session)[1]


@harness.table_of({
    "zero": (bytes(64), 0o600), "short": (b"x" * 63, 0o600), "empty": (b"", 0o600),
    "readable by others": (None, 0o644)})
def test_a_ticket_key_that_protects_nobody_is_refused(octets, mode):
    place = Site(tls="on", pair=harness.pair())
    place.set(tls_tickets=ticket_key(place.dir, octets=octets, mode=mode))
    client = place.connect()
    client.ehlo()
    client.send("STARTTLS\r\n")
    if client.reply().code == 220:  # mail is not lost for it, but no ticket goes out
        client.handshake()
        client.ehlo()
        client.say("NOOP", 250)
        session = client.socket.session
        assert session is None or not session.has_ticket, "a ticket under that key"
    client.wait()
    harness.contains(place.log_text(), "tickets")


if __name__ == "__main__":
    harness.main()
