#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Explanations of TLS failures: real clients fail in all usual ways, and the record has one sentence with the cause
and the setting to change, the alert with its sender, and the lists of both sides."""

import os
import re
import shutil
import socket
import ssl

import harness
from harness import HOST, RECIPIENT, SENDER, Listener, Pair, Site, client_context

FAILED = "SSL Error (SMTP Receive)"
STATUS = {"tls-failed": FAILED, "foreign-tls": "SSL Error (Wrong Port)",
          "tls-injection": "SSL Error (Injected Commands)",
          "tls-unusable": "Certificate Error (SMTP Receive)"}
ANY = "ALL:@SECLEVEL=0"
SELF_SIGNED = "which is self-signed (tls-certificate, or let the client trust it)"


def explained(place, sentence, end="tls-failed", **fields):
    """The session's record has exactly this sentence ("..." stands for anything), and these fields."""
    record = harness.eventually(lambda: place.records("session"), "the session's record")[-1]
    pattern = ".*".join(map(re.escape, sentence.split("...")))
    assert re.fullmatch(pattern, record.get("explanation", "")), (
        f"expected {sentence!r}\nfound    {record.get('explanation')!r}")
    assert len(record["explanation"]) <= 240, record["explanation"]
    harness.equal(record["end"], end)
    harness.equal(record.get("status", ""), STATUS.get(end, ""))
    for name, value in fields.items():
        if value is None:
            assert name not in record, f"{name} is {record[name]!r}"
        else:
            harness.contains(record.get(name, ""), value, name)
    harness.equal(place.everything(), [])
    return record


def openssl(place, *options):
    """s_client, which asks for STARTTLS where it must, and leaves by QUIT."""
    harness.need("openssl")
    start = () if place.settings["tls"] == "implicit" else ("-starttls", "smtp")
    return harness.run("openssl", "s_client", *start, "-connect",
                       f"127.0.0.1:{Listener(place).port}", *options, input="QUIT\r\n")


def gnutls(place, *options):
    harness.need("gnutls-cli")
    start = () if place.settings["tls"] == "implicit" else ("--starttls-proto=smtp",)
    return harness.run("gnutls-cli", *start, f"--port={Listener(place).port}", *options, "127.0.0.1")


def python(place, context, name=HOST):
    client = place.connect(greeting=place.settings["tls"] != "implicit")
    try:
        if place.settings["tls"] == "implicit":
            client.handshake(context, name)
        else:
            client.ehlo()
            client.starttls(context, name)
    except (OSError, harness.Closed):
        client.wait()
        return
    raise AssertionError("the handshake must fail")


def raw(place, octets, reply=True):
    """Octets where a ClientHello belongs; the server's answer is read to its end, or not at all."""
    client = place.connect(greeting=place.settings["tls"] != "implicit")
    if place.settings["tls"] != "implicit":
        client.ehlo()
        client.say("STARTTLS", 220)
    client.send(octets)
    if reply:
        client.rest()
    client.wait()


# Nothing in common, with OpenSSL's client

TLS1_0, TLS1_2 = "NORMAL:-VERS-ALL:+VERS-TLS1.0", "NORMAL:-VERS-ALL:+VERS-TLS1.2"
DHE = TLS1_2 + ":-KX-ALL:+DHE-RSA"
RC4 = "client offers for TLS 1.2 only cipher suites that this host does not allow: "


@harness.table_of({
    "TLS 1.0": (("-tls1", "-cipher", ANY), "rsa", {},
                "client offers only TLS 1.0; this host requires TLS 1.2 (tls-priority)",
                "sent protocol_version", "versions TLS1.0; suites TLS_ECDHE_"),
    "TLS 1.1": (("-tls1_1", "-cipher", ANY), "rsa", {},
                "client offers only TLS 1.1 or older; this host requires TLS 1.2 (tls-priority)",
                "sent protocol_version", "versions TLS1.1; suites "),
    "TLS 1.2, where 1.3 is required": (
        ("-tls1_2",), "rsa", {"tls_priority": "NORMAL:-VERS-ALL:+VERS-TLS1.3"},
        "client offers only TLS 1.2 or older; this host requires TLS 1.3 (tls-priority)",
        "sent handshake_failure", "versions TLS1.2; suites "),
    "TLS 1.3, where 1.2 is all there is": (
        ("-tls1_3",), "rsa", {"tls_priority": "NORMAL:-VERS-ALL:+VERS-TLS1.2"},
        "client offers only TLS 1.3; this host allows only TLS 1.2 (tls-priority)",
        "sent handshake_failure", "versions TLS1.3; suites TLS_AES_256_GCM_SHA384 "),
    "a second try": (
        ("-tls1_2", "-fallback_scsv"), "rsa", {},
        "client fell back to TLS 1.2 or older after a first try had failed, and this host supports "
        "TLS 1.3: see why the first one failed", "sent inappropriate_fallback", "versions TLS1.2"),
    "a cipher suite": (
        ("-tls1_2", "-cipher", "ECDHE-RSA-CAMELLIA128-SHA256"), "rsa", {},
        RC4 + "TLS_ECDHE_RSA_WITH_CAMELLIA_128_CBC_SHA256 (tls-priority)",
        "sent handshake_failure", "suites TLS_ECDHE_RSA_WITH_CAMELLIA_128_CBC_SHA256; groups x25519 "),
    "anonymous suites alone": (
        ("-cipher", "ADH:AECDH:@SECLEVEL=0", "-ciphersuites", "TLS_AES_128_GCM_SHA256"), "rsa",
        {"tls_priority": "NORMAL:-VERS-ALL:+VERS-TLS1.2"},
        "client offers for TLS 1.2 only anonymous Diffie-Hellman, without a certificate: set the client to check "
        "certificates, or at least to use them",
        "sent handshake_failure", "TLS_DH_anon_WITH_"),
    "a cipher suite of TLS 1.3": (
        ("-tls1_3", "-ciphersuites", "TLS_AES_128_CCM_SHA256"), "rsa", {},
        RC4.replace("1.2", "1.3") + "TLS_AES_128_CCM_SHA256 (tls-priority)",
        "sent handshake_failure", "suites TLS_AES_128_CCM_SHA256; groups "),
    "no encryption at all": (
        ("-tls1_2", "-cipher", "eNULL:@SECLEVEL=0"), "rsa", {},
        RC4 + "TLS_ECDHE_ECDSA_WITH_NULL_SHA, TLS_ECDHE_RSA_WITH_NULL_SHA and ... more (tls-priority)",
        "sent handshake_failure", "TLS_RSA_WITH_NULL_MD5"),
    "RSA suites and an ECDSA certificate": (
        ("-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256:AES128-SHA"), "ecdsa", {},
        "client accepts only an RSA certificate; this host has only ECDSA (add a pair to "
        "tls-certificate and tls-key)",
        "sent handshake_failure",
        "suites TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 TLS_RSA_WITH_AES_128_CBC_SHA; "),
    "ECDSA suites and an RSA certificate": (
        ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"), "rsa", {},
        "client accepts only an ECDSA certificate; this host has only RSA (add a pair to "
        "tls-certificate and tls-key)",
        "sent handshake_failure", "suites TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256; "),
    "RSA signatures and an ECDSA certificate": (
        ("-tls1_3", "-sigalgs", "rsa_pss_rsae_sha256"), "ecdsa", {},
        "client accepts only an RSA certificate; this host has only ECDSA (add a pair to "
        "tls-certificate and tls-key)",
        "sent handshake_failure", "; signatures rsa_pss_rsae_sha256"),
    "ECDSA signatures and an RSA certificate": (
        ("-tls1_3", "-sigalgs", "ecdsa_secp256r1_sha256"), "rsa", {},
        "client accepts only an ECDSA certificate; this host has only RSA (add a pair to "
        "tls-certificate and tls-key)",
        "sent handshake_failure", "; signatures ecdsa_secp256r1_sha256"),
    "a signature of another curve": (
        ("-tls1_3", "-sigalgs", "ecdsa_secp384r1_sha384"), "ecdsa", {},
        "client accepts only an ECDSA P-384 certificate; this host has only ECDSA P-256 (add a pair to "
        "tls-certificate and tls-key)",
        "sent handshake_failure", "; signatures ecdsa_secp384r1_sha384"),
    "a signature that TLS 1.3 does not have": (
        ("-sigalgs", "RSA+SHA512"), "rsa", {},
        "client accepts only the signatures rsa_pkcs1_sha512, which TLS 1.3 does not have: a fault of the client",
        "sent handshake_failure", "; signatures rsa_pkcs1_sha512"),
    "a signature of another kind of RSA keys": (
        ("-sigalgs", "rsa_pss_pss_sha256"), "rsa", {},
        "client accepts only an RSA-PSS certificate; this host has only RSA (add a pair to "
        "tls-certificate and tls-key)",
        "sent handshake_failure", "; signatures rsa_pss_pss_sha256"),
    "a group": (
        ("-tls1_3", "-groups", "X448"), "rsa", {},
        "client offers only the groups x448; this host allows x25519, secp256r1, secp384r1 and 3 "
        "more (tls-priority)", "sent handshake_failure", "; groups x448; "),
    "a group in TLS 1.2": (
        ("-tls1_2", "-groups", "X448", "-cipher", "ECDHE"), "rsa", {},
        "client offers only the groups x448; this host allows x25519, secp256r1, secp384r1 and 1 "
        "more (tls-priority)", "sent handshake_failure", "; groups x448; "),
    "Diffie-Hellman of old": (
        ("-tls1_2", "-cipher", "DHE-RSA-AES128-GCM-SHA256"), "rsa", {},
        "client offers only Diffie-Hellman without a group of RFC 7919, which this host does not support: "
        "turn on ECDHE at the client",
        "sent handshake_failure", "suites TLS_DHE_RSA_WITH_AES_128_GCM_SHA256; "),
    "a group of finite fields, where only curves count": (
        ("-groups", "ffdhe8192"), "ecdsa", {"tls_priority": TLS1_2},
        "client offers only the groups ffdhe8192; this host allows secp256r1, secp384r1, secp521r1 and 2 "
        "more (tls-priority)", "sent handshake_failure", "; groups ffdhe8192; "),
    "a group of finite fields in TLS 1.3, where it counts": (
        ("-groups", "ffdhe8192"), "ecdsa", {},
        "client offers only the groups ffdhe8192; this host allows x25519, secp256r1, secp384r1 and 3 "
        "more (tls-priority)", "sent handshake_failure", "; groups ffdhe8192; "),
    "curves, where only groups of finite fields count": (
        ("-groups", "X25519:ffdhe6144"), "rsa",
        {"tls_priority": DHE + ":-GROUP-ALL:+GROUP-X25519:+GROUP-FFDHE2048:+GROUP-FFDHE3072"},
        "client offers only the groups ffdhe6144; this host allows ffdhe2048, ffdhe3072 (tls-priority)",
        "sent handshake_failure", "; groups x25519 ffdhe6144; "),
    "no group of finite fields, and no ECDHE here": (
        ("-tls1_2", "-groups", "X25519"), "rsa", {"tls_priority": DHE},
        "client and tls-priority have only Diffie-Hellman in common, without a group of RFC 7919: allow ECDHE on "
        "both sides", "sent handshake_failure", "; groups x25519; "),
    "a key for no suite here": (
        ("-tls1_2",), "ecdsa", {"tls_priority": DHE},
        "of the client's cipher suites tls-priority allows only those for an RSA certificate; this host has only "
        "ECDSA (tls-priority, or tls-certificate)", "sent handshake_failure", "TLS_ECDHE_ECDSA_WITH_"),
    "a signature that TLS 1.3 does not have, of another key": (
        ("-tls1_3", "-sigalgs", "rsa_pkcs1_sha256"), "ecdsa", {},
        "client accepts only the signatures rsa_pkcs1_sha256, which TLS 1.3 does not have: a fault of the client",
        "sent handshake_failure", "; signatures rsa_pkcs1_sha256"),
    "a signature that is not allowed": (
        ("-tls1_2", "-sigalgs", "RSA+SHA512", "-cipher", "ECDHE"), "rsa",
        {"tls_priority": TLS1_2 + ":-SIGN-ALL:+SIGN-RSA-SHA256:+SIGN-ECDSA-SHA256"},
        "client accepts only the signatures rsa_pkcs1_sha512; this host allows rsa_pkcs1_sha256 (tls-priority)",
        "sent handshake_failure", "; signatures rsa_pkcs1_sha512"),
    "a curve that the client does not have": (
        ("-tls1_2", "-groups", "X448", "-cipher", "ECDHE"), "ecdsa", {"tls_priority": TLS1_2},
        "client refused this host's certificate (alert illegal_parameter), whose curve secp256r1 is none of the "
        "client's groups, x448 (tls-certificate)", "received illegal_parameter", "; groups x448; "),
    "a group, when the client has named none": (
        ("-tls1_2", "-groups", "ffdhe4096"), "ecdsa", {},
        "client ended TLS by the alert illegal_parameter: it sent no groups, and may not accept this host's choice of x25519, secp256r1, secp384r1 and 1 more (tls-priority)", "received illegal_parameter", "; signatures "),
    "TLS 1.0, which the client turns down": (
        ("-tls1_2",), "rsa", {"tls_priority": TLS1_0},
        "client refused TLS 1.0, the newest version that both allow (alert protocol_version, tls-priority)",
        "received protocol_version", "versions TLS1.2; "),
    "suites that TLS 1.0 does not have": (
        ("-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"), "rsa", {"tls_priority": TLS1_0},
        "client offers no cipher suite of TLS 1.0, the newest version that both allow (tls-priority, or a fault of "
        "the client)", "sent handshake_failure", "versions TLS1.2; "),
    "a key that TLS 1.0 does not have": (
        ("-tls1", "-cipher", ANY), "ed25519", {"tls_priority": TLS1_0},
        "client accepts only an RSA or ECDSA certificate; this host has only EdDSA (add a pair to tls-certificate "
        "and tls-key)", "sent ", "versions TLS1.0; "),
    "another protocol": (
        ("-alpn", "http/1.1"), "rsa", {},
        "client asks for another protocol than SMTP (ALPN http/1.1): a wrong port number, or a "
        "setting of the client", "sent no_application_protocol", "; alpn http/1.1"),
})
def test_nothing_in_common_with_openssl(options, kind, settings, sentence, alert, offered):
    for mode in ("on", "implicit"):
        place = Site(tls=mode, pair=harness.pair(kind), **settings)
        openssl(place, *options, "-servername", HOST)
        record = explained(place, sentence, tls_alert=alert, tls_offered=offered, sni=HOST)
        harness.contains(record["tls_allowed"], "versions TLS1.")
        harness.contains(record["tls_allowed"], "alpn smtp esmtp")
        assert "tls" not in record, record


@harness.table_of({
    "P-521, TLS 1.3": ("ecdsa", "ECDSA P-256", "ECDSA-SECP521R1-SHA512", "3"),
    "P-521, TLS 1.2": ("ecdsa", "ECDSA P-256", "ECDSA-SECP521R1-SHA512", "2"),
    "P-384, TLS 1.3": ("ecdsa", "ECDSA P-256", "ECDSA-SECP384R1-SHA384", "3"),
    "ECDSA without a curve, TLS 1.3": ("ecdsa", "ECDSA P-256", "ECDSA-SHA256", "3"),
    "Ed25519 and RSA": ("rsa", "RSA", "EDDSA-ED25519", "3"),
    "Ed25519 and ECDSA, TLS 1.3": ("ecdsa", "ECDSA P-256", "EDDSA-ED25519", "3"),
    "Ed25519 and ECDSA, TLS 1.2": ("ecdsa", "ECDSA P-256", "EDDSA-ED25519", "2"),
    "RSA-PSS and RSA": ("rsa", "RSA", "RSA-PSS-SHA256", "3"),
    "RSA and RSA-PSS": ("rsa-pss", "RSA-PSS", "RSA-PSS-RSAE-SHA256", "3"),
    "P-256 and P-521": ("ecdsa-p521", "ECDSA P-521", "ECDSA-SECP256R1-SHA256", "3"),
    "PKCS #1, TLS 1.3": ("rsa", "RSA", "RSA-SHA256", "3"),
})
def test_signatures_that_no_key_of_this_host_can_make(kind, key, signature, version):
    place = Site(tls="on", pair=harness.pair(kind), tls_priority="NORMAL:-SIGN-ALL:+SIGN-" + signature)
    openssl(place, "-tls1_" + version)
    record = explained(place, f"tls-priority allows no signature that this host's {key} key can make in TLS 1.{version}: "
                       "allow one, or add another pair to tls-certificate and tls-key", tls_alert="sent handshake_failure")
    assert "signatures" not in record["tls_allowed"], record["tls_allowed"]


@harness.table_of({
    "P-521": ("ecdsa-p521", "ECDSA-SECP521R1-SHA512", "3"), "ECDSA in TLS 1.2": ("ecdsa", "ECDSA-SHA512", "2"),
    "Ed25519": ("ed25519", "EDDSA-ED25519", "2"), "RSA-PSS": ("rsa-pss", "RSA-PSS-SHA256", "3"),
    "RSA": ("rsa", "RSA-PSS-RSAE-SHA256", "3"),
})
def test_signatures_that_the_key_can_make(kind, signature, version):
    place = Site(tls="on", pair=harness.pair(kind), tls_priority="NORMAL:-SIGN-ALL:+SIGN-" + signature)
    openssl(place, "-tls1_" + version)
    harness.equal(place.session().get("tls"), "TLS1." + version)


def test_what_is_allowed_is_what_the_certificate_can_serve():
    allowed = {}
    for kind in ("rsa", "ecdsa"):
        place = Site(tls="on", pair=harness.pair(kind))
        openssl(place, "-tls1", "-cipher", ANY)
        allowed[kind] = explained(place, "client offers only TLS 1.0; ...")["tls_allowed"]
    for both in allowed.values():
        harness.contains(both, "versions TLS1.3 TLS1.2; suites TLS_AES_128_GCM_SHA256 ")
        harness.contains(both, "; groups x25519 secp256r1 ")
    harness.contains(allowed["rsa"], "TLS_ECDHE_RSA_WITH_")
    harness.contains(allowed["rsa"], "rsa_pss_rsae_sha256")
    harness.contains(allowed["ecdsa"], "TLS_ECDHE_ECDSA_WITH_")
    harness.contains(allowed["ecdsa"], "ecdsa_secp256r1_sha256")
    assert "RSA_WITH" not in allowed["ecdsa"] and "rsa_" not in allowed["ecdsa"], allowed
    assert "ECDSA" not in allowed["rsa"] and "ecdsa" not in allowed["rsa"], allowed


# The same with GnuTLS's, swaks, curl


@harness.table_of({
    "TLS 1.0": ("LEGACY:-VERS-ALL:+VERS-TLS1.0",
                "client offers only TLS 1.0; this host requires TLS 1.2 (tls-priority)"),
    "RC4": ("NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+ARCFOUR-128:-KX-ALL:+RSA:%NO_EXTENSIONS",
            RC4 + "TLS_RSA_WITH_RC4_128_SHA... (tls-priority)"),
    "a group": ("NORMAL:-VERS-ALL:+VERS-TLS1.3:-GROUP-ALL:+GROUP-SECP224R1",
                "client offers only the groups secp224r1; this host allows x25519, ... (tls-priority)"),
    "a certificate": ("NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+ECDHE-ECDSA",
                      "client accepts only an ECDSA certificate; this host has only RSA (add a pair ..."),
})
def test_nothing_in_common_with_gnutls(priority, sentence):
    place = Site(tls="required", pair=harness.pair("rsa"))
    gnutls(place, "--insecure", f"--priority={priority}")
    explained(place, sentence)


def swaks(place, *options):
    harness.need("swaks")
    return harness.run("swaks", "--server", f"127.0.0.1:{Listener(place).port}", "--from", SENDER,
                       "--to", RECIPIENT, "--tls", *options)


def test_swaks_with_tls_1_0_only():
    place = Site(tls="required", pair=harness.pair("rsa"))
    swaks(place, "--tls-protocol", "tlsv1", "--tls-cipher", ANY)
    explained(place, "client offers only TLS 1.0; this host requires TLS 1.2 (tls-priority)")


def refused_or_left(place, alert, **fields):
    """A client looks at the certificate in the handshake, and hangs up by an alert or without one (curl of Debian 13),
    or behind it (swaks and curl with OpenSSL 3.6)."""
    record = harness.eventually(lambda: place.records("session"), "the session's record")[-1]
    if "tls_alert" in record:
        explained(place, f"client refused this host's certificate (alert {alert}), {SELF_SIGNED}", **fields)
    elif record["end"] == "broken":
        explained(place, "client left right after the handshake: it only checked, or does not accept this host's "
                  f"certificate, {SELF_SIGNED}", end="broken")
    else:
        explained(place, f"client closed the connection on seeing this host's certificate, {SELF_SIGNED}")


def test_swaks_that_verifies():
    place = Site(tls="required", pair=harness.pair("rsa"))
    swaks(place, "--tls-verify")
    refused_or_left(place, "...")


def test_curl_that_verifies():
    harness.need("curl")
    place = Site(tls="required", pair=harness.pair("rsa"))
    harness.run("curl", "--ssl-reqd", "--url", f"smtp://127.0.0.1:{Listener(place).port}",
                "--mail-from", SENDER, "--mail-rcpt", RECIPIENT, "--upload-file", "/dev/null")
    refused_or_left(place, "unknown_ca", tls_alert="received unknown_ca")


# Clients that hang up on our certificate

VERSIONS = {"TLS 1.2": ssl.TLSVersion.TLSv1_2, "TLS 1.3": ssl.TLSVersion.TLSv1_3}


def cases(**rows):
    return harness.table_of({f"{name}, {version}": (number, *row) for name, row in rows.items()
                             for version, number in VERSIONS.items()})


@cases(
    unknown=(harness.pair, {}, HOST, False, "unknown_ca", SELF_SIGNED),
    expired=(lambda: harness.pair(expired=True), {}, HOST, True, "certificate_expired",
             "which expired on 2020-01-01 (tls-certificate)"),
    future=(lambda: harness.pair(future=True), {}, HOST, True, "bad_certificate",
            f"which is not valid before {harness.FUTURE} (tls-certificate, or this host's clock)"),
    misnamed=(harness.pair, {}, "mx.example.org", True, "bad_certificate",
              "which does not cover mx.example.org (tls-certificate)"),
)
def test_python_that_verifies(version, make, settings, name, trusts, alert, why):
    """OpenSSL sends it in the clear in TLS 1.3, which GnuTLS treats as a broken record."""
    pair = make()
    place = Site(tls="on", pair=pair, **settings)
    trust = pair if trusts else harness.pair("ecdsa", HOST, serial=99)
    python(place, client_context(version, version, trust=trust), name)
    explained(place, f"client refused this host's certificate (alert {alert}), {why}",
              tls_alert=f"received {alert}", tls_error="alert has been received", sni=name)


def test_a_chain_without_its_issuer():
    pair = Pair(harness.scratch() / "tls.crt", harness.pair().key)
    authority = harness.pair("ecdsa", "Authority of example.org")
    harness.issue(pair, authority)
    place = Site(tls="on", pair=pair)
    python(place, client_context(trust=harness.pair("ecdsa", HOST, serial=99)))
    explained(place, "client refused this host's certificate (alert unknown_ca), which is sent without "
              "its issuer's certificate (tls-certificate)")
    pair.certificate.write_text(pair.certificate.read_text() + authority.certificate.read_text())
    python(place, client_context(trust=harness.pair("ecdsa", HOST, serial=99)))
    explained(place, "client refused this host's certificate (alert unknown_ca), in which this host sees "
              "no fault; the client's own log has the reason")


def test_gnutls_that_verifies():
    place = Site(tls="on", pair=harness.pair())
    gnutls(place, "--verify-hostname=mx.example.org")
    explained(place, "client refused this host's certificate (alert ...), " + SELF_SIGNED,
              tls_alert="received ")


def hello(place, version):
    """A good ClientHello, and a socket on which its answer comes."""
    context = client_context(version, version)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=HOST)
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    client = place.connect(greeting=False)
    client.send(outgoing.read())
    client.socket.recv(65536)
    return client


@harness.table_of(VERSIONS)
def test_a_client_that_closes_on_seeing_the_certificate(version):
    place = Site(tls="implicit", pair=harness.pair())
    client = hello(place, version)
    client.socket.shutdown(socket.SHUT_WR)  # an end and no reset, which octets that were not read would make of it
    client.wait()
    explained(place, "client closed the connection on seeing this host's certificate, " + SELF_SIGNED,
              tls_alert=None, tls_error="non-properly terminated")


def test_a_client_that_closes_though_nothing_is_wrong_but_the_tickets():
    key = harness.scratch() / "tickets"
    key.write_bytes(bytes(range(64)))
    key.chmod(0o600)
    pair = Pair(harness.scratch() / "tls.crt", harness.pair().key)
    shutil.copy(harness.pair().certificate, pair.certificate)
    place = Site(tls="implicit", pair=pair, tls_tickets=key)
    hello(place, VERSIONS["TLS 1.3"]).wait()
    explained(place, "client closed the connection on seeing this host's certificate, " + SELF_SIGNED)


def test_a_client_that_resets_on_seeing_the_certificate():
    place = Site(tls="implicit", pair=harness.pair())
    client = hello(place, VERSIONS["TLS 1.2"])
    client.reset()
    client.wait()
    explained(place, "client closed the connection on seeing this host's certificate, " + SELF_SIGNED,
              tls_error="Connection reset by peer")


def test_a_client_that_does_not_answer_the_certificate():
    place = Site(tls="implicit", pair=harness.pair(), timeout=1)
    client = hello(place, VERSIONS["TLS 1.3"])
    client.rest()
    client.wait()
    explained(place, "client did not answer this host's certificate in time (timeout); perhaps large "
              "packets are lost on the way (MTU)", tls_alert=None)


@harness.table_of({"closed": "close", "quit": "quit"})
def test_a_client_that_leaves_after_the_handshake(how):
    place = Site(tls="on", pair=harness.pair())
    client = place.connect()
    client.ehlo()
    client.starttls()
    if how == "quit":
        client.quit()
        explained(place, "client left right after the handshake: it only checked, or does not accept "
                  "this host's certificate", end="quit")
    else:
        client.wait()
        explained(place, "client left right after the handshake: it only checked, or does not accept "
                  "this host's certificate, " + SELF_SIGNED, end="broken")


def test_a_client_that_breaks_tls_in_the_middle_of_a_message():
    """By then the sandbox has closed further."""
    place = Site(tls="on", pair=harness.pair())
    client = place.connect()
    client.ehlo()
    client.starttls()
    client.ehlo()
    client.envelope()
    client.say("DATA", 354)
    os.write(client.socket.fileno(), bytes.fromhex("1703030020") + bytes(32))
    client.wait()
    explained(place, "client sent a TLS message that this host cannot accept: Decryption has failed.",
              end="broken", tls_alert="sent bad_record_mac", tls="TLS1.3", tls_offered=None,
              tls_allowed=None)


# No TLS where it should begin


@harness.table_of({
    "HTTP": (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
             "client sent an HTTP request where TLS should begin: a browser, a scanner, or a wrong port "
             "number", None),
    "SMTP": (b"EHLO client.example.net\r\n",
             "client continued in the clear after STARTTLS (EHLO client.example.net): a fault of the "
             "client, or of a host in between",
             "client began in the clear (EHLO client.example.net) where TLS comes first (tls): set the "
             "client to TLS from the start, not STARTTLS"),
    "zeros": (bytes(64), "client sent something that is not TLS (" + "\\x00" * 8 + ")", None),
    "noise": (bytes(range(255, 191, -1)), "client sent something that is not TLS (\\xFF\\xFE...)", None),
    "an alert": (bytes.fromhex("15030100020228"),
                 "client sent the alert handshake_failure and no ClientHello; its own log has the reason", None),
    "another message": (bytes.fromhex("160301000402000000"),
                        "client sent something that is not TLS (\\x16\\x03\\x01...)", None),
    "a broken hello": (bytes.fromhex("1603010010010000ff") + bytes(300),
                       "client sent a TLS message that this host cannot accept: ...", None),
})
def test_something_that_is_no_handshake(octets, sentence, implicit):
    place = Site(tls="on", pair=harness.pair())
    raw(place, octets)
    explained(place, sentence)
    place = Site(tls="implicit", pair=harness.pair())
    raw(place, octets)
    explained(place, implicit or sentence)


@harness.table_of({
    "nothing": (b"", "client asked for STARTTLS and then sent nothing in time (timeout)",
                "client sent nothing in time where TLS comes first (tls): it may be waiting for a "
                "greeting in the clear",
                "client closed the connection after STARTTLS, before any TLS",
                "client closed the connection without any input: a port scan, or a check that the port is "
                "open"),
    "a part of a hello": (bytes.fromhex("1603010200010001fc0303"),
                          "client sent a part of a ClientHello, and the rest not in time (timeout)", None,
                          "client closed the connection in the middle of its ClientHello", None),
})
def test_a_client_that_stops(octets, late, late_implicit, closed, closed_implicit):
    for mode, first, second in (("on", late, closed),
                                ("implicit", late_implicit or late, closed_implicit or closed)):
        place = Site(tls=mode, pair=harness.pair(), timeout=1)
        raw(place, octets)
        explained(place, first, tls_error="took too long", tls_alert=None)
        place = Site(tls=mode, pair=harness.pair())
        raw(place, octets, reply=False)
        explained(place, second, tls_alert=None)


# Very old clients, by hand


def number(value, octets=2):
    return value.to_bytes(octets, "big")


def vector(content, octets=2):
    return number(len(content), octets) + content


def record(message, version):
    return b"\x16" + number(version) + vector(message)


def old_hello(version, suites, extensions=b""):
    body = number(version) + bytes(range(32)) + b"\0" + vector(b"".join(map(number, suites))) + b"\1\0"
    return b"\1" + vector(body + (vector(extensions) if extensions else b""), 3)


def ssl2_hello(version, specs):
    body = b"\1" + number(version) + number(len(specs)) + b"\0\0\0\x10" + specs + bytes(range(16))
    return number(0x8000 | len(body)) + body


ONLY_RC4 = record(old_hello(0x0301, (0x0005, 0x0004)), 0x0301)
CUT = b"".join(record(old_hello(0x0301, (0x0005, 0x000a))[i:i + 9], 0x0301) for i in range(0, 54, 9))


@harness.table_of({
    "TLS 1.0 with RC4": (ONLY_RC4, "TLS 1.0",
                         "versions TLS1.0; suites TLS_RSA_WITH_RC4_128_SHA TLS_RSA_WITH_RC4_128_MD5"),
    "in small records": (CUT, "TLS 1.0",
                         "versions TLS1.0; suites TLS_RSA_WITH_RC4_128_SHA TLS_RSA_WITH_3DES_EDE_CBC_SHA"),
    "SSL 3.0": (record(old_hello(0x0300, (0x000a,)), 0x0300), "SSL 3.0",
                "versions SSL3.0; suites TLS_RSA_WITH_3DES_EDE_CBC_SHA"),
    "SSL 2.0": (ssl2_hello(0x0002, bytes.fromhex("0700c0050080030080010080")), "SSL 2.0",
                "versions SSL2.0"),
    "TLS 1.0 in a hello of SSL 2.0": (ssl2_hello(0x0301, bytes.fromhex("000005010080")), "TLS 1.0",
                                      "versions TLS1.0; suites TLS_RSA_WITH_RC4_128_SHA"),
})
def test_very_old_clients(octets, version, offered):
    for mode in ("on", "implicit"):
        place = Site(tls=mode, pair=harness.pair("rsa"))
        raw(place, octets)
        found = explained(place, f"client offers only {version}; this host requires TLS 1.2 (tls-priority)",
                          tls_alert="sent protocol_version")
        harness.equal(found["tls_offered"], offered)


def test_rc4_where_the_version_would_do():
    place = Site(tls="on", pair=harness.pair("rsa"), tls_priority="NORMAL:-VERS-ALL:+VERS-TLS1.0")
    raw(place, ONLY_RC4)
    explained(place, RC4.replace("1.2", "1.0") + "TLS_RSA_WITH_RC4_128_SHA, TLS_RSA_WITH_RC4_128_MD5 (tls-priority)")


@harness.table_of({"with a NUL": b"a\0b", "of high octets": b"\xff\xfe", "of control characters": b"a\n\"b",
                   "with a blank": b"a b.example", "with signs": b"a'b`c\\d", "long": b"a b" * 20, "UTF-8": "b\u00fc.example".encode(),
                   "underscore": b"mail_srv.example"})
def test_a_server_name_that_is_none(name):
    """Real sender 22: where the library takes it not, the record and the explanation have it, escaped."""
    place = Site(tls="on", pair=harness.pair())
    sni = number(0) + vector(vector(b"\0" + vector(name)))
    raw(place, record(old_hello(0x0303, (0xc02b, 0xc02c), sni), 0x0301), reply=False)
    found = explained(place, "client ...")
    shown = "".join(chr(c) if 32 <= c < 127 and chr(c) not in "\"\\" else f"\\x{c:02X}" for c in name)
    harness.equal(found["sni"], shown)
    if found.get("tls_alert") == "sent illegal_parameter":
        harness.equal(found["explanation"], f"client asks for the server name (SNI) {shown}, which GnuTLS does not "
                      "accept: it takes letters, digits, - and . alone")


def test_hostile_names_of_protocols_stay_in_their_field():
    place = Site(tls="on", pair=harness.pair())
    names = vector(b"\" evil=1\n", 1) + vector(b"h2", 1) + vector(b"x" * 200, 1)
    alpn = number(16) + vector(vector(names)) + number(43) + vector(vector(number(0x0303), 1))
    raw(place, record(old_hello(0x0303, (0xc02b, 0x1301), alpn), 0x0301))
    found = explained(place, "client ...")
    harness.contains(found["tls_offered"], "; alpn \\x22 evil=1\\x0A h2")
    assert "evil" not in found, found


# In the clear, and our own faults


@harness.table_of({
    "on": ("on", "client began TLS where SMTP begins in the clear: set the client to STARTTLS, or give it "
           "a port with tls = implicit"),
    "off": ("off", "client began TLS, which is off here (tls): set the client to no encryption, or turn "
            "TLS on")})
def test_a_client_that_begins_with_tls_on_the_plain_port(mode, sentence):
    place = Site(tls=mode, pair=harness.pair())
    client = place.connect()
    client.send(record(old_hello(0x0303, (0xc02b,)), 0x0301))
    client.expect(554)
    client.wait()
    explained(place, sentence, end="foreign-tls", refused="1", refused_commands="1", reason="554 5.5.1 ")


def test_openssl_on_the_plain_port():
    harness.need("openssl")
    place = Site(tls="on", pair=harness.pair())
    harness.run("openssl", "s_client", "-connect", f"127.0.0.1:{Listener(place).port}")
    explained(place, "client began TLS where SMTP begins in the clear: ...", end="foreign-tls", refused="1",
              reason="554 5.5.1 ")


def test_curl_that_speaks_http():
    harness.need("curl")
    place = Site(tls="on", pair=harness.pair())
    harness.run("curl", "--http0.9", f"http://127.0.0.1:{Listener(place).port}/")
    explained(place, "client sent an HTTP request to a mail port: a browser, a scanner, or a wrong port "
              "number", end="foreign-http", refused="1", reason="554 5.5.1 ")


def test_mail_without_tls_where_it_is_required():
    harness.need("swaks")
    place = Site(tls="required", pair=harness.pair())
    harness.run("swaks", "--server", f"127.0.0.1:{Listener(place).port}", "--from", SENDER, "--to",
                RECIPIENT)
    record_ = harness.eventually(lambda: place.records("session"), "the session's record")[-1]
    harness.equal(record_["explanation"], "client continued without TLS, which is required here (tls): turn on "
                  "STARTTLS at the client")
    harness.equal(record_["status"], "SSL Error (SMTP RX Reject)")


def test_a_half_replaced_pair():
    for mode in ("on", "required", "implicit"):
        place = Site(tls=mode)
        pair = harness.pair().copy_to(place.dir)
        shutil.copy(harness.pair(serial=2).certificate, pair.certificate)
        place.set(pair=pair)
        openssl(place)
        found = harness.eventually(lambda: place.records("session"), "the session's record")[-1]
        harness.contains(found["explanation"], "TLS was refused because of a fault of this host: tls-key ")
        harness.contains(found["explanation"], "is the key of another certificate than ")
        harness.contains(found["explanation"], "(was only one of them replaced?")


def test_sessions_that_go_well_want_no_explaining():
    for mode in ("on", "required", "implicit"):
        place = Site(tls=mode, pair=harness.pair(expired=True))
        client = place.connect(greeting=False)
        if mode == "implicit":
            client.handshake()
        client.expect(220)
        client.ehlo()
        if mode != "implicit":
            client.starttls()
            client.ehlo()
        harness.equal(client.message(harness.sample()).code, 250)
        client.quit()
        found = place.session()
        for name in ("explanation", "tls_error", "tls_alert", "tls_offered", "tls_allowed"):
            assert name not in found, f"{name}: {found[name]}"
        harness.contains(found["tls_fault"], "expired on 2020-01-01")


if __name__ == "__main__":
    harness.main()
