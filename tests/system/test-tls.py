#!/usr/bin/python3
"""TLS in each mode, when it works and each way it fails: replies, what becomes of the mail, and the
status word of the record, which are the device's panel lines."""

import array
import contextlib
import fcntl
import os
import re
import shutil
import socket
import ssl
import subprocess
import termios
import time

import harness
from harness import HOST, RECIPIENT, SENDER, Client, Listener, Pair, Site, client_context
from records import Tls

FAILED = "SSL Error (SMTP Receive)"
REFUSED = "SSL Error (SMTP RX Reject)"
TLS1_0, TLS1_2, TLS1_3 = (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
WITH_TLS = {"on": "on", "required": "required", "implicit": "implicit"}


def secure(place, context=None, name=HOST, **options):
    """A connection in TLS, up to EHLO's reply, whatever way the setting has it."""
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


def check_delivery(place, client):
    sent = harness.sample()
    harness.equal(client.message(sent).code, 250)
    client.quit()
    for path in place.new():
        harness.check_stored(path, sent)
        path.unlink()


def status(place):
    return place.session().get("status", "")


def test_a_handshake_never_waits_for_an_acknowledgement():
    """Nagle's algorithm would hold back each write until the client has acknowledged the one before."""
    place = Site(tls="on", pair=harness.pair())
    with socket.create_server(("127.0.0.1", 0)) as listening:
        client = Client(socket.create_connection(listening.getsockname()))
        theirs, _ = listening.accept()
    with theirs:
        client.process = place.spawn(theirs)
        client.expect(220)
        client.ehlo()
        harness.equal(theirs.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY), 0)
        client.starttls()
        harness.equal(theirs.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY), 1)
    client.ehlo()
    check_delivery(place, client)


def acknowledged(place, speak):
    """How often the program asked the system to acknowledge at once, in a session of that client."""
    harness.need("strace")
    trace = place.dir / "trace"
    client = place.connect(wrap=("strace", "-f", "-qq", "-o", trace, "-e", "trace=setsockopt"))
    client.ehlo()
    speak(client)
    client.quit()
    return trace.read_text().count("TCP_QUICKACK, [1]")


def in_pieces(client):
    """As clients write that have one buffer for the header and another for the body."""
    client.envelope()
    client.say("DATA", 354)
    for piece in ("Subject: x\r\n", "\r\nbody\r\n"):
        client.send(piece)
        client.delivered()
    client.send(".\r\n")
    client.expect(250)


def test_what_gets_no_answer_is_acknowledged_at_once():
    """Else the client's own Nagle holds back what comes next for as long as the system delays that."""
    place = Site(tls="on", pair=harness.pair())
    harness.equal(acknowledged(place, lambda client: None), 0, "where each command has its reply")
    harness.equal(acknowledged(place, lambda client: harness.equal(
        client.message(harness.sample()).code, 250)), 0, "a message in one piece")
    assert acknowledged(place, in_pieces) in (1, 2), "a message in pieces, two of which may be read as one"
    harness.equal(acknowledged(place, lambda client: client.starttls()), 1, "the end of a handshake")


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


# Certificates that cannot be used, and those that can all the same


def half_replaced(folder):
    pair = harness.pair().copy_to(folder)
    shutil.copy(harness.pair(serial=2).certificate, pair.certificate)
    return pair


def no_key(folder):
    pair = harness.pair().copy_to(folder)
    pair.key.unlink()
    return pair


def no_certificate(folder):
    pair = harness.pair().copy_to(folder)
    pair.certificate.unlink()
    return pair


def no_pem(folder):
    pair = harness.pair().copy_to(folder)
    pair.certificate.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    return pair


def empty_key(folder):
    pair = harness.pair().copy_to(folder)
    pair.key.write_text("")
    return pair


UNUSABLE = {f.__name__: f for f in (half_replaced, no_key, no_certificate, no_pem, empty_key)}


@harness.table(**UNUSABLE)
def test_on_costs_no_mail_with_an_unusable_certificate(spoil):
    place = Site(tls="on")
    place.set(pair=spoil(place.dir))
    client = place.connect()
    client.ehlo()
    client.say("STARTTLS", 454, "4.7.0")
    check_delivery(place, client)
    check_told(place)


@harness.table(**UNUSABLE)
def test_required_refuses_mail_with_an_unusable_certificate(spoil):
    place = Site(tls="required")
    place.set(pair=spoil(place.dir))
    client = place.connect()
    client.ehlo()
    client.say("STARTTLS", 421, "4.3.0")
    client.expect_end()
    client.wait()
    harness.equal(place.everything(), [])
    check_told(place)


@harness.table(**UNUSABLE)
def test_implicit_ends_with_an_alert_with_an_unusable_certificate(spoil):
    place = Site(tls="implicit")
    place.set(pair=spoil(place.dir))
    client = place.connect(greeting=False)
    with contextlib.suppress(OSError):
        client.handshake()
        raise AssertionError("the handshake must fail")
    client.wait()
    harness.equal(place.everything(), [])
    check_told(place)


def test_implicit_with_an_unusable_certificate_sends_an_alert():
    place = Site(tls="implicit")
    place.set(pair=no_key(place.dir))
    client = place.connect(greeting=False)
    rest = client.rest()
    harness.equal(rest[:1], b"\x15", f"an alert: {rest!r}")


def check_told(place):
    """Never silent: the record says why, and where."""
    record = place.session()
    harness.contains(record.get("tls_fault", ""), str(place.dir))


@harness.table_of({
    f"{fault} ({mode})": (mode, fault)
    for mode in WITH_TLS for fault in ("expired", "future", "other host")})
def test_a_certificate_that_is_only_wrong_for_the_client_is_used(mode, fault):
    pairs = {"expired": lambda: harness.pair(expired=True),
             "future": lambda: harness.pair(future=True),
             "other host": lambda: harness.pair("ecdsa", "elsewhere.example.net")}
    pair = pairs[fault]()
    place = Site(tls=mode, pair=pair)
    client = secure(place)
    harness.equal(client.socket.getpeercert(binary_form=True), pair.der())
    check_delivery(place, client)
    harness.equal(status(place), "")


def test_a_half_replaced_pair_is_usable_again_for_the_next_connection():
    place = Site(tls="required")
    pair = half_replaced(place.dir)
    place.set(pair=pair)
    client = place.connect()
    client.ehlo()
    client.say("STARTTLS", 421, "4.3.0")
    client.wait()
    shutil.copy(harness.pair(serial=2).key, pair.key)
    check_delivery(place, secure(place))


def test_a_replaced_certificate_is_used_by_the_very_next_connection():
    place = Site(tls="on")
    pair = harness.pair().copy_to(place.dir)
    place.set(pair=pair)
    before = secure(place)
    harness.equal(before.socket.getpeercert(binary_form=True), harness.pair().der())
    for name in ("certificate", "key"):  # as certbot does: a new file takes the name
        new = place.dir / f"new-{name}"
        shutil.copy(getattr(harness.pair(serial=2), name), new)
        os.replace(new, getattr(pair, name))
    after = secure(place)
    harness.equal(after.socket.getpeercert(binary_form=True), harness.pair(serial=2).der())
    check_delivery(place, before)  # which goes on with what it has
    check_delivery(place, after)


def test_certificate_and_key_may_be_one_file():
    place = Site(tls="on")
    pair, both = harness.pair(), place.dir / "both.pem"
    both.write_text(pair.key.read_text() + pair.certificate.read_text())
    place.set(pair=Pair(both, both))
    check_delivery(place, secure(place))


def test_a_chain_is_sent_whole():
    """The file's second certificate goes out, too: s_client shows what came."""
    harness.need("openssl")
    place = Site(tls="on")
    pair = harness.pair().copy_to(place.dir)
    authority = harness.pair("ecdsa", "Authority of example.org")
    template = place.dir / "template"
    template.write_text(f"cn = {HOST}\ndns_name = {HOST}\ntls_www_server\nexpiration_days = 300\n")
    done = harness.run(
        "certtool", "--generate-certificate", "--load-privkey", pair.key, "--load-ca-certificate",
        authority.certificate, "--load-ca-privkey", authority.key, "--template", template,
        "--no-text", "--outfile", pair.certificate)
    harness.equal(done.returncode, 0, done.stdout)
    with open(pair.certificate, "a", encoding="ascii") as chain:
        chain.write(authority.certificate.read_text())
    place.set(pair=pair)
    done = harness.run("openssl", "s_client", "-showcerts", "-starttls", "smtp", "-connect",
                       f"127.0.0.1:{Listener(place).port}", input="QUIT\r\n")
    for made in (pair, authority):
        first = made.certificate.read_text().partition("-----END")[0]
        harness.contains(done.stdout, first)


# Real sender 21, RFC 5280 6.1: all of a chain must be valid but its root, which clients have

DAYS = {"valid": ("2020-01-01", "2050-01-01"), "expired": ("2019-01-01", "2020-01-01"),
        "future": ("2049-01-01", "2050-01-01")}


def signed(folder, name, template, days, issuer=None):
    """A certificate for a key of its own, signed by the issuer or by itself."""
    made = Pair(folder / f"{name}.crt", folder / f"{name}.key")
    first, last = DAYS[days]
    path = folder / f"{name}.template"
    path.write_text(f'cn = "{name}"\n{template}activation_date = "{first}"\nexpiration_date = "{last}"\n')
    how = ("--generate-certificate", "--load-ca-certificate", issuer.certificate, "--load-ca-privkey",
           issuer.key) if issuer else ("--generate-self-signed",)
    for command in (("--generate-privkey", "--key-type", "ecdsa", "--no-text", "--outfile", made.key),
                    (*how, "--load-privkey", made.key, "--template", path, "--no-text",
                     "--outfile", made.certificate)):
        done = harness.run("certtool", *command)
        harness.equal(done.returncode, 0, done.stdout)
    made.key.chmod(0o600)
    return made


def chain(place, leaf="valid", issuer="valid", root="valid"):
    """Sets a pair whose file has the leaf, its issuer and the root; returns the root."""
    harness.need("certtool")
    authority = "ca\ncert_signing_key\n"
    top = signed(place.dir, "Root", authority, root)
    middle = signed(place.dir, "Issuer", authority, issuer, top)
    own = signed(place.dir, HOST, f"dns_name = {HOST}\ntls_www_server\nsigning_key\n", leaf, middle)
    with open(own.certificate, "a", encoding="ascii") as file:
        file.write(middle.certificate.read_text() + top.certificate.read_text())
    place.set(pair=own)
    return top


CHAINS = {"expired": "the certificate of the issuer CN=Issuer expired on 2020-01-01",
          "future": "the certificate of the issuer CN=Issuer is not valid before 2049-01-01"}


@harness.table_of({f"{days} {mode}": (days, mode) for days in CHAINS for mode in WITH_TLS})
def test_an_issuer_that_is_not_valid_is_named(days, mode):
    """Real sender 21, RFC 5280 6.1: in each TLS mode, by --check and in the record."""
    place = Site(tls=mode)
    chain(place, issuer=days)
    done = harness.run(*place.command(), "--check")
    harness.equal(done.returncode, 78, done.stdout)
    harness.contains(done.stdout, CHAINS[days])
    check_delivery(place, secure(place))
    harness.contains(place.session()["tls_fault"], CHAINS[days])


def test_of_a_chain_every_fault_is_named():
    """Real sender 21."""
    place = Site(tls="on")
    chain(place, leaf="expired", issuer="expired")
    done = harness.run(*place.command(), "--check")
    harness.contains(done.stdout, f"{HOST}.crt: expired on 2020-01-01")
    harness.contains(done.stdout, CHAINS["expired"])


def add_stranger(place, days, name):
    """Puts a certificate behind the chain that has issued none of it."""
    authority = "ca\ncert_signing_key\n"
    folder = place.dir / "other"
    folder.mkdir()
    top = signed(folder, "Other root", authority, "valid")
    other = signed(folder, name, authority, days, top)
    with open(place.dir / f"{HOST}.crt", "a", encoding="ascii") as file:
        file.write(other.certificate.read_text())


@harness.table_of({f"{days} {name} {mode}": (days, name, mode) for days in CHAINS for name in ("Old", "Issuer")
                   for mode in ("on", "implicit")})
def test_a_certificate_that_has_issued_nothing_is_no_issuer(days, name, mode):
    """Real sender 21: also where it has the issuer's name, as after a renewal with another key."""
    place = Site(tls=mode)
    chain(place)
    add_stranger(place, days, name)
    words = CHAINS[days].replace("the issuer CN=Issuer", f"CN={name}")
    done = harness.run(*place.command(), "--check")
    harness.equal(done.returncode, 78, done.stdout)
    assert re.search(re.escape(words) + r" \S+ UTC; it is no issuer of the first one, take it out of the file", done.stdout), done.stdout
    assert "issuer CN" not in done.stdout, done.stdout
    check_delivery(place, secure(place))
    harness.contains(place.session()["tls_fault"], words)
    panel = harness.build / "src" / "postern-status"
    if panel.exists():
        assert "its issuer" not in harness.run(panel, "-c", place.settings_file, "/dev/null").stdout


def test_a_real_issuer_behind_a_stranger_is_named():
    """Real sender 21: the order in the file does not matter."""
    place = Site(tls="on")
    chain(place, issuer="expired")
    path = place.dir / f"{HOST}.crt"
    first, *more = path.read_text().split("-----BEGIN")[1:]
    add_stranger(place, "valid", "Issuer")
    stranger = path.read_text().split("-----BEGIN")[-1]
    path.write_text("".join("-----BEGIN" + part for part in (first, stranger, *more)))
    done = harness.run(*place.command(), "--check")
    harness.contains(done.stdout, CHAINS["expired"])
    harness.equal(done.stdout.count("2020-01-01"), 1)


def test_the_root_of_a_chain_is_the_clients():
    place = Site(tls="on")
    chain(place, root="expired")
    done = harness.run(*place.command(), "--check")
    harness.equal((done.returncode, harness.check_lines(done)), (0, ""))
    check_delivery(place, secure(place))
    assert "tls_fault" not in place.session()


@harness.table(expired=("which is sent with its issuer's, and that expired on 2020-01-01",),
               future=("which is sent with its issuer's, and that is not valid before 2049-01-01",))
def test_a_client_that_refuses_the_chain_is_explained(sentence):
    place = Site(tls="on")
    top = chain(place, issuer="expired" if "expired" in sentence else "future")
    client = place.connect()
    client.ehlo()
    with contextlib.suppress(ssl.SSLError):
        client.starttls(client_context(trust=top))
        raise AssertionError("the client has taken the chain")
    client.close()
    harness.contains(place.session()["explanation"], sentence)


def test_the_panel_shows_the_day_on_which_the_chain_ends():
    panel = harness.build / "src" / "postern-status"
    if not panel.exists():
        raise harness.Skip("built without postern-status")
    place = Site(tls="on")
    place.set(log=f"json:{place.dir}/json")
    chain(place, issuer="expired")
    check_delivery(place, secure(place))
    text = harness.run(panel, "-c", place.settings_file).stdout
    harness.contains(text, "expired on 2020-01-01 (its issuer)")
    harness.contains(text, CHAINS["expired"])


# Names that GnuTLS takes from no client


@harness.table_of({name: name for name in ("mail_srv.example", "::1", "printer 1", "192.0.2.1:25")})
def test_a_server_name_that_gnutls_refuses_is_named(name):
    """Real sender 22, RFC 6066 3: the explanation has the name."""
    harness.need("openssl")
    place = Site(tls="on", pair=harness.pair())
    done = harness.run("openssl", "s_client", "-starttls", "smtp", "-servername", name, "-connect",
                       f"127.0.0.1:{Listener(place).port}", input="QUIT\r\n")
    assert done.returncode != 0, done.stdout
    harness.contains(place.session()["explanation"],
                     f"client asks for the server name (SNI) {name}, which GnuTLS does not accept")


@harness.table_of({"taken": ("mail-srv.example", 0), "underscore": ("mail_srv.example", 78),
                   "literal": ("[192.0.2.1]", 0)})
def test_a_hostname_that_gnutls_refuses_is_told(name, code):
    """Real sender 22: --check says that no client may ask for the name."""
    place = Site(tls="on", hostname=name, pair=harness.pair("ecdsa", name.strip("[]")))
    done = harness.run(*place.command(), "--check")
    told = f"hostname {name}: clients that send this name in TLS (SNI) are refused" in done.stdout
    harness.equal(told, code == 78, done.stdout)
    place.set(tls="off")
    harness.equal(harness.run(*place.command(), "--check").returncode, 0)


# Several certificates


def test_sni_chooses_the_certificate_and_an_unknown_name_gets_the_first():
    pairs = [harness.pair("ecdsa", f"{name}.example.org") for name in ("mail", "mx", "scan")]
    place = Site(tls="on", pairs=pairs)
    for name, expected in (("mail", 0), ("mx", 1), ("scan", 2), ("unknown", 0), (None, 0)):
        name = name and f"{name}.example.org"
        client = secure(place, name=name)
        harness.equal(client.socket.getpeercert(binary_form=True), pairs[expected].der(), str(name))
        client.quit()


@harness.table_of({
    "TLS 1.2, RSA": ("-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256", "rsa"),
    "TLS 1.2, ECDSA": ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256", "ecdsa"),
    "TLS 1.3, RSA": ("-tls1_3", "-sigalgs", "rsa_pss_rsae_sha256", "rsa"),
    "TLS 1.3, ECDSA": ("-tls1_3", "-sigalgs", "ecdsa_secp256r1_sha256", "ecdsa"),
})
def test_rsa_and_ecdsa_are_chosen_by_what_the_client_can(version, option, value, expected):
    harness.need("openssl")
    place = Site(tls="on", pairs=[harness.pair("rsa"), harness.pair("ecdsa")])
    port = Listener(place).port
    done = harness.run("openssl", "s_client", "-starttls", "smtp", "-connect", f"127.0.0.1:{port}",
                       "-servername", HOST, version, option, value, input="QUIT\r\n")
    certificate = harness.pair(expected).certificate.read_text().strip()
    harness.contains(done.stdout, certificate)


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


# ALPN


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


# The first command in one packet with the client's last word of the handshake


class InOnePacket:
    """A client in TLS that decides by itself which octets it sends together."""

    def __init__(self, client, context, session=None):
        self.socket = client.socket
        self.came, self.goes = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(
            self.came, self.goes, server_hostname=HOST, session=session)

    def receive(self):
        octets = self.socket.recv(65536)
        assert octets, "the connection has ended"
        self.came.write(octets)

    def handshake(self, behind):
        """Sends `behind` with the last word of the handshake, which is the client's."""
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.send()
                self.receive()
        self.tls.write(behind)
        self.send()

    def send(self):
        octets = self.goes.read()
        if octets:
            self.socket.sendall(octets)

    def reply(self, code):
        text = b""
        while not re.search(rb"(?m)^[0-9]{3} .*\r\n", text):
            try:
                text += self.tls.read(65536)
            except ssl.SSLWantReadError:
                self.receive()
        harness.equal(text[:3].decode(), str(code))


def manager(place):
    """The socket of a service manager that wants to know what a session does."""
    told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    harness.at_end(told.close)
    told.bind(str(place.dir / "notify"))
    return harness.environment(NOTIFY_SOCKET=str(place.dir / "notify"))


def waits_in_vain(trace):
    """The waits that only their time ended, between the last octets of the client and the last of ours."""
    calls = trace.splitlines()
    read = max(n for n, call in enumerate(calls) if re.search(r"read\(0, .* = [1-9]", call))
    written = max(n for n, call in enumerate(calls) if "sendto(1, " in call)
    assert read < written, "the reply comes after the command"
    return [call for call in calls[read:written]
            if call.endswith("= 0 (Timeout)") and ", 0) = 0" not in call]


@harness.table_of({f"{mode} {name}": (mode, version) for mode in WITH_TLS
                   for name, version in {"TLS 1.2": TLS1_2, "TLS 1.3": TLS1_3}.items()})
def test_no_wait_while_input_is_in_hand(mode, version):
    """In TLS 1.2 the client has the last word when a session is resumed."""
    harness.need("strace")
    place = Site(tls=mode, pair=harness.pair())
    place.set(tls_tickets=ticket_key(place.dir))
    context = client_context(version, version)
    session = resumed(place, context)[0] if version == TLS1_2 else None
    trace = place.dir / "trace"
    client = place.connect(
        greeting=mode != "implicit", env=manager(place),
        wrap=("strace", "-f", "-qq", "-o", trace, "-e", "trace=read,sendto,poll,ppoll"))
    if mode != "implicit":
        client.ehlo()
        client.say("STARTTLS", 220)
    talk = InOnePacket(client, context, session)
    talk.handshake(b"EHLO client.example.net\r\n")
    if mode == "implicit":
        talk.reply(220)
    talk.reply(250)
    harness.equal(waits_in_vain(trace.read_text()), [])
    talk.tls.write(b"QUIT\r\n")
    talk.send()
    talk.reply(221)
    client.wait()
    harness.equal(place.records("session")[-1].get("resumed"), "yes" if session else None)


# Session tickets


def ticket_key(folder, name="tickets", octets=None, mode=0o600):
    path = folder / name
    path.write_bytes(os.urandom(64) if octets is None else octets)
    path.chmod(mode)
    return path


def with_tickets(*pairs):
    place = Site(tls="on", pairs=pairs)
    return place.set(tls_tickets=ticket_key(place.dir))


def resumed(place, context, session=None):
    """One session, and the ticket that it gave; TLS 1.3 sends it with the first data."""
    client = secure(place, context, session=session)
    client.say("NOOP", 250)
    got, again = client.socket.session, client.socket.session_reused
    check_delivery(place, client)
    return got, again


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


class ByHand:
    """s_client at a keyboard: R, K, k and Q at the start of a line are its own commands."""

    def __init__(self, place, version):
        harness.need("openssl")
        self.shown = place.dir / "shown"
        with open(self.shown, "wb") as out:
            self.process = harness.start(
                "openssl", "s_client", "-starttls", "smtp", version, "-connect",
                f"127.0.0.1:{Listener(place).port}", stdin=subprocess.PIPE, stdout=out, stderr=out)
        self.wait_for("Verify return code")

    def wait_for(self, text):
        harness.eventually(lambda: text in self.shown.read_text(errors="replace"), text)

    def type(self, line, answer):
        self.process.stdin.write(f"{line}\r\n".encode())
        self.process.stdin.flush()
        self.wait_for(answer)


def test_renegotiation_is_refused():
    place = Site(tls="on", pair=harness.pair())
    client = ByHand(place, "-tls1_2")
    client.type("EHLO client.example.net", "PIPELINING")
    client.type("R", "no renegotiation")
    harness.equal(place.everything(), [])
    place.session()


@harness.table_of({"of the client's key": "k", "of both keys": "K"})
def test_a_session_goes_on_after_a_key_update(command):
    place = Site(tls="on", pair=harness.pair())
    client = ByHand(place, "-tls1_3")
    client.type(command, "KEYUPDATE")
    client.type("HELP", "214 ")
    client.type("quit", "221 ")
    harness.equal(place.session()["end"], "quit")


@harness.table_of({"of the client's key": "k", "of both keys": "K"})
def test_a_key_update_within_a_message(command):
    place = Site(tls="on", pair=harness.pair())
    client = ByHand(place, "-tls1_3")
    for line, code in (("EHLO client.example.net", "PIPELINING"), (f"MAIL FROM:<{SENDER}>", "250 2.1.0"),
                       (f"rcpt TO:<{RECIPIENT}>", "250 2.1.5"), ("DATA", "354 ")):
        client.type(line, code)
    client.process.stdin.write(b"Subject: x\r\n\r\nbefore\r\n")
    client.process.stdin.flush()
    harness.eventually(lambda: not unread(client.process.stdin), "openssl reads the first part")
    client.type(command, "KEYUPDATE")
    client.process.stdin.write(b"behind\r\n")
    client.type(".", "250 2.6.0")
    harness.check_stored(place.only_message(), b"Subject: x\r\n\r\nbefore\r\nbehind\r\n")


def unread(pipe):
    """Octets that the process at its other end has not read yet."""
    left = array.array("i", [0])
    fcntl.ioctl(pipe.fileno(), termios.FIONREAD, left)
    return left[0]


@harness.table_of({f"{what}, {version.name}": (what, version)
                   for what in ("segments", "records", "both") for version in (TLS1_2, TLS1_3)})
def test_a_client_hello_in_small_pieces(what, version):
    place = Site(tls="on", pair=harness.pair())
    client = place.connect()
    client.ehlo()
    client.say("STARTTLS", 220)
    tls = Tls(client, version)
    octets, _ = tls.flight()
    # GnuTLS wants the message's length within the first record, and from 3.8.13 on at most some dozens of records;
    # the ClientHello of OpenSSL 3.5 has three times the octets of its predecessors'
    size = max(16, len(octets) // 32)
    if what != "segments":
        octets = b"".join(octets[:3] + len(octets[i:i + size]).to_bytes(2, "big") + octets[i:i + size]
                          for i in range(5, len(octets), size))
    if what == "records":
        client.send(octets)
    else:
        for i in range(len(octets)):
            client.send(octets[i:i + 1])
    tls.receive()
    tls.handshake()
    tls.say("EHLO client.example.net", 250)
    tls.say("QUIT", 221)
    client.wait()
    harness.equal(place.session()["end"], "quit")


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
