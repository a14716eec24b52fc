# SPDX-License-Identifier: ISC
"""The functions that the tests of TLS share."""

import os
import ssl

import harness
from harness import HOST

TLS1_0, TLS1_2, TLS1_3 = (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
RSA_ALONE = {"maximum": TLS1_2, "ciphers": "AES128-GCM-SHA256"}  # for key exchange, as old copiers
RSA_ALONE_REFUSED = ("client offers for TLS 1.2 only key exchange by RSA, which a key agent does not support "
                     "(tls-key-agent, or tls-key)")
WITH_TLS = {"on": "on", "required": "required", "implicit": "implicit"}


def secure(place, context=None, name=HOST, **options):
    """A connection in TLS, up to the reply to EHLO, by STARTTLS or with implicit TLS."""
    if place.settings["tls"] == "implicit":
        client = place.connect(greeting=False)
        client.handshake(context, name, **options)
        client.expect(220)
    else:
        client = place.connect()
        client.ehlo()
        client.starttls(context, name, **options)
    client.ehlo()
    return client


def refuse_handshake(client, **context):
    client.ehlo()
    client.say("STARTTLS", 220)
    try:
        client.handshake(harness.client_context(**context))
        raise AssertionError("a handshake")
    except ssl.SSLError:
        client.close()


def check_delivery(place, client):
    sent = harness.sample()
    harness.equal(client.message(sent).code, 250)
    client.quit()
    for path in place.new():
        harness.check_stored(path, sent)
        path.unlink()


def status(place):
    return place.session().get("status", "")


# Session tickets


def ticket_key(folder, name="tickets", octets=None, mode=0o600):
    path = folder / name
    path.write_bytes(os.urandom(64) if octets is None else octets)
    path.chmod(mode)
    return path


def resumed(place, context, session=None):
    """One session, and the ticket that it gave; TLS 1.3 sends it with the first data."""
    client = secure(place, context, session=session)
    client.say("NOOP", 250)
    got, again = client.socket.session, client.socket.session_reused
    check_delivery(place, client)
    return got, again
