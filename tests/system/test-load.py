#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""A connection loads only what it uses: libc until TLS is requested, and no variable that a library would read."""

import os
import re
import shutil
import subprocess

import harness
from harness import Site, Skip

HEAVY = ("gnutls", "systemd", "nettle", "gsasl", "idn", "unistring", "tls.so", "sasl.so", "milter.so")


def libraries(client):
    """What is mapped into the process at the other end, by file name."""
    try:
        with open(f"/proc/{client.process.pid}/maps", encoding="ascii") as maps:
            paths = {line.split()[5] for line in maps if len(line.split()) > 5}
    except PermissionError as problem:
        raise Skip(f"another's memory map cannot be read here: {problem}") from None
    return sorted(os.path.basename(p) for p in paths if re.search(r"\.so(\.|$)", p))


def heavy(found):
    return [name for name in found if any(word in name for word in HEAVY)]


@harness.about_modules
@harness.senseless_when_sanitized
def test_the_program_is_linked_with_libc_only():
    done = harness.run("ldd", harness.program())
    names = [line.split()[0].rsplit("/", 1)[-1] for line in done.stdout.splitlines()]
    extra = [n for n in names if not re.match(r"linux-(vdso|gate)|ld-linux|ld64|libc\.so", n)]
    harness.equal(extra, [], done.stdout)


@harness.senseless_when_sanitized
def test_a_plain_session_loads_nothing_to_its_end():
    place = Site(tls="on", pair=harness.pair())
    client = place.connect()
    client.ehlo()
    harness.equal(client.message(harness.sample()).code, 250)
    found = libraries(client)
    extra = [n for n in found if not re.match(r"ld-linux|ld64|libc\.so|libc-", n)]
    harness.equal(extra, [])
    client.quit()


@harness.about_modules
def test_starttls_loads_gnutls_and_nothing_of_systemd():
    place = Site(tls="on", pair=harness.pair())
    client = place.connect()
    client.ehlo()
    harness.equal(heavy(libraries(client)), [], "before STARTTLS")
    client.starttls()
    client.ehlo()
    found = heavy(libraries(client))
    assert any("gnutls" in name for name in found), found
    assert not any("systemd" in name for name in found), found
    client.quit()


def test_tls_off_never_loads_gnutls():
    client = Site().connect()
    client.ehlo()
    client.say("STARTTLS", 502, "5.5.1")
    harness.equal(heavy(libraries(client)), [])
    client.quit()


@harness.about_modules
def test_only_an_address_that_is_not_ascii_loads_its_libraries():
    client = Site(domains="example.org bücher.example").connect()
    client.ehlo()
    client.say("MAIL FROM:<josé@example.net>", 553, "5.6.7")
    client.say("MAIL FROM:<josé@example.net> SMTPUTF8", 250)
    client.say("RCPT TO:<printer@example.org>", 250)
    client.say("RCPT TO:<printer@example.com>", 550)
    harness.equal(heavy(libraries(client)), [])
    # the settings' other form: to compare them takes the libraries
    client.say("RCPT TO:<printer@xn--bcher-kva.example>", 250)
    found = heavy(libraries(client))
    for word in ("idn.so", "libidn2", "unistring"):
        assert any(word in name for name in found), found
    assert not any("gnutls" in name for name in found), found
    client.quit()


def test_no_variable_makes_gnutls_log_session_keys():
    place = Site(tls="on", pair=harness.pair())
    keys = place.dir / "keys"
    client = place.connect(env=harness.environment(SSLKEYLOGFILE=str(keys)))
    client.ehlo()
    client.starttls()
    client.ehlo()
    client.quit()
    assert not keys.exists(), "session keys were written where a variable said"


def test_the_debug_variables_of_gnutls_write_nothing_to_the_wire():
    """Under inetd standard error is the connection."""
    place = Site(tls="on", pair=harness.pair())
    client = place.connect(
        env=harness.environment(GNUTLS_DEBUG_LEVEL="9"), stderr=subprocess.STDOUT)
    client.ehlo()
    client.starttls()
    client.ehlo()
    harness.equal(client.message(harness.sample()).code, 250)
    client.quit()


@harness.about_modules
def test_a_module_that_cannot_be_loaded_is_an_error_of_its_feature_alone():
    """A copy of the program, with a module beside it that is none."""
    place = Site(tls="on", pair=harness.pair())
    copy = place.dir / "postern"
    shutil.copy(harness.program(), copy)
    (place.dir / "tls.so").write_text("no library\n")
    place.command = lambda: [str(copy), "-c", str(place.settings_file)]
    client = place.connect()
    client.ehlo()
    client.say("STARTTLS", 454, "4.7.0")
    harness.equal(client.message(harness.sample()).code, 250)
    client.quit()
    harness.contains(place.session()["tls_fault"], "tls.so")


@harness.senseless_when_sanitized  # the module then looks its own table up, whose name is changed here
@harness.about_modules
def test_a_session_that_an_upgrade_overtakes_uses_no_module_of_another_version():
    """The functions of a module and their arguments may have changed. Mail is still accepted in the clear."""
    place = Site(tls="on", pair=harness.pair())
    for name in ("postern", "tls.so"):
        shutil.copy(harness.program().parent / name, place.dir)
    place.command = lambda: [str(place.dir / "postern"), "-c", str(place.settings_file)]
    version = harness.run(harness.program(), "--version").stdout.split()[1].replace(".", "_").encode()
    octets = (place.dir / "tls.so").read_bytes()
    assert b"\0postern_tls_" + version + b"\0" in octets, "the table has the version in its name"
    client = place.connect()
    client.ehlo()
    (place.dir / "newer").write_bytes(octets.replace(b"postern_tls_" + version, b"postern_tls_" + b"9" * len(version)))
    (place.dir / "newer").rename(place.dir / "tls.so")
    client.say("STARTTLS", 454, "4.7.0")
    harness.equal(client.message(harness.sample()).code, 250)
    client.quit()
    harness.contains(place.session()["tls_fault"], "tls.so is of another version of postern; processes that start now")


def without_idn(**settings):
    """A copy of the program that has tls.so alone."""
    place = Site(tls="on", pair=harness.pair(), domains="bücher.example example.org", **settings)
    for name in ("postern", "tls.so"):
        shutil.copy(harness.program().parent / name, place.dir)
    place.command = lambda: [str(place.dir / "postern"), "-c", str(place.settings_file)]
    client = place.connect()
    client.ehlo()
    return place, client


@harness.about_modules
def test_without_its_module_only_internationalized_addresses_wait():
    place, client = without_idn()
    harness.equal(client.message(harness.sample()).code, 250)
    client.say("MAIL FROM:<é@example.net> SMTPUTF8", 250)
    harness.equal(place.records("error"), [])
    client.say("RCPT TO:<é@example.org>", 451, "4.3.0")
    client.say("RCPT TO:<printer@bücher.example>", 451, "4.3.0")
    client.say("RCPT TO:<printer@xn--bcher-kva.example>", 451, "4.3.0")
    client.say(f"RCPT TO:<{harness.RECIPIENT}>", 250)
    client.say("DATA", 354)
    harness.equal(client.content(harness.sample()).code, 250)
    client.quit()
    told = place.records("error")
    harness.equal(len(told), 1, told)
    harness.contains(told[0]["text"], "smtputf8: ")
    harness.contains(told[0]["text"], "idn.so")


def test_inside_tls_the_libraries_of_gnutls_serve_internationalized_addresses():
    place, client = without_idn(maildir="%u")
    client.starttls()
    client.ehlo()
    harness.equal(client.message(harness.sample()).code, 250)
    client.say("MAIL FROM:<é@example.net> SMTPUTF8", 250)
    for recipient in ("é@example.org", "printer@bücher.example", "printer@xn--bcher-kva.example"):
        client.say(f"RCPT TO:<{recipient}>", 250)
    assert "idn.so" not in libraries(client), libraries(client)
    client.quit()
    harness.equal(place.records("error"), [])


if __name__ == "__main__":
    harness.main()
