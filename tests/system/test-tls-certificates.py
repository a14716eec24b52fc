#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Certificates in sessions: unusable ones, chains, names, several certificates, and their replacement."""

import contextlib
import os
import re
import shutil
import ssl

import harness
from handshakes import WITH_TLS, check_delivery, secure, status
from harness import HOST, Listener, Pair, Site, client_context


# Certificates that cannot be used, and those that are used in spite of a fault


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
    """Never without a record, which has the cause and the path."""
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
    check_delivery(place, before)  # which continues with the previous one
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
    harness.issue(pair, authority)
    with open(pair.certificate, "a", encoding="ascii") as chain:
        chain.write(authority.certificate.read_text())
    place.set(pair=pair)
    done = harness.run("openssl", "s_client", "-showcerts", "-starttls", "smtp", "-connect",
                       f"127.0.0.1:{Listener(place).port}", input="QUIT\r\n")
    for made in (pair, authority):
        first = made.certificate.read_text().partition("-----END")[0]
        harness.contains(done.stdout, first)


# Real sender 21, RFC 5280 6.1: all of a chain must be valid but its root, which clients have

DAYS = {"valid": ("2020-01-01", harness.LAST), "expired": ("2019-01-01", "2020-01-01"),
        "future": (harness.FUTURE, harness.LAST)}


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
          "future": f"the certificate of the issuer CN=Issuer is not valid before {harness.FUTURE}"}


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


@harness.table(expired=("whose issuer's certificate expired on 2020-01-01",),
               future=(f"whose issuer's certificate is not valid before {harness.FUTURE}",))
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
    """Real sender 22: --check warns that no client can ask for the name."""
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


if __name__ == "__main__":
    harness.main()
