#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""The static program: it needs no linker, library or file of the system, and works like the dynamic one.

It is built here, unless the build folder is a static one already. The dialogues and all system tests run against it
with tests/static."""

import base64
import ctypes
import os
import shutil
import socket
import stat
import sys
from pathlib import Path

import harness
import logins
from harness import Site

SOURCE = Path(__file__).resolve().parents[2]
USER, PASSWORD = "scanner", "a password of the scanner"
ADDRESS = "printér@bücher.example"
LIMIT = 1500  # seconds for the build


@harness.once
def program():
    if harness.is_static():
        return harness.program()
    if sys.maxsize < 2**32:
        raise harness.Skip("libc.a of i386 has objects that cannot be in a static-pie program")
    folder = harness.scratch(of_file=True)
    for command in (("setup", folder, SOURCE, "--werror", "-Dstatic=enabled", "-Dtests=false",
                     "-Dextract=disabled", "-Doptimization=1", "-Ddebug=false"),
                    ("compile", "-C", folder, "postern:executable", "postern-status")):
        done = harness.run("meson", *command, patience=LIMIT, env=harness.environment(PATH=os.environ["PATH"]))
        assert done.returncode == 0, done.stdout[-3000:]
    return folder / "src/postern"


class Static(Site):
    def command(self):
        return [str(program()), *super().command()[1:]]


class Empty(Static):
    """In a root directory with the program, /dev/null, its settings and its mail alone."""

    def __init__(self, **settings):
        harness.need_root("chroot")
        harness.need("chroot")
        super().__init__(**settings)
        shutil.copy(program(), self.dir / "postern")
        (self.dir / "dev").mkdir()
        os.mknod(self.dir / "dev/null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))

    def set(self, pair=None, pairs=(), **settings):
        if pair:
            pair = pair.copy_to(self.dir)
        super().set(pair, pairs, **settings)
        text = self.settings_file.read_text().replace(f"{self.dir}/", "/")
        self.settings_file.write_text(text)
        return self

    def command(self):
        return ["chroot", str(self.dir), "/postern", "-c", "/postern.conf", *self.arguments]


def put_users(place):
    logins.put(place, "users", f"{USER} {logins.by_gsasl(PASSWORD)}\n")
    logins.put(place, "secret", logins.SECRET)


def test_it_has_no_interpreter_and_needs_no_library():
    harness.need("readelf")
    for name in ("postern", "postern-status"):
        shown = harness.run("readelf", "--wide", "--file-header", "--program-headers", "--dynamic",
                            program().with_name(name)).stdout
        harness.contains(shown, "DYN (", "its addresses are random")
        for absent in ("INTERP", "(NEEDED)"):
            assert absent not in shown, shown


def test_the_version_says_what_is_inside_and_what_is_missing():
    version, inside = harness.run(program(), "--version").stdout.splitlines()
    assert version.startswith("postern "), version
    for part in ("static", "GnuTLS 3.", "libidn2 2.", "GNU SASL 2.", "without PKCS#11"):
        harness.contains(inside, part)
    harness.equal(harness.run(harness.program(), "--version").stdout.splitlines()[0], version)


def test_check_says_it_too():
    place = Static(tls="on", pair=harness.pair())
    done = harness.run(*place.command(), "--check")
    harness.equal(done.returncode, 0, done.stdout)
    harness.contains(done.stdout, "warning: static, with GnuTLS")
    harness.contains(done.stdout, "without PKCS#11")


@harness.table(connection=(), listener=("--listen",))
def test_check_names_a_key_that_it_cannot_use(*options):
    place = Static(tls="on", tls_certificate=harness.pair().certificate, tls_key="pkcs11:token=none")
    done = harness.run(*place.command(), "--check", *options)
    harness.equal(done.returncode, 78, done.stdout)
    harness.contains(done.stdout, "tls-key pkcs11:: this program is static, without PKCS#11: name a file")
    assert "memory" not in done.stdout, done.stdout


def test_it_plays_dialogues_as_the_other_one_does():
    """Those of what its libraries are for; tests/static plays all of them."""
    folder = SOURCE / "tests/dialogue"
    files = sorted(path for kind in ("auth", "smtputf8", "starttls") for path in folder.glob(f"{kind}*.txt"))
    done = harness.run(harness.build / "tests/dialogue/run-dialogue", "program", program(), *files)
    harness.equal(done.returncode, 0, done.stdout[-3000:])
    # some are for other ways alone
    assert sum(line.startswith("ok ") for line in done.stdout.splitlines()) > len(files) / 2, done.stdout[-3000:]


def test_mail_by_a_login_inside_tls_needs_no_other_file():
    for user in (None, "mail"):
        place = Empty(tls="required", pair=harness.pair(), auth="required", domains="bücher.example example.org",
                      maildir="/mail/box", auth_users="/users", auth_secret="/secret", user=user)
        put_users(place)
        if user:
            (place.dir / "etc").mkdir()
            (place.dir / "etc/passwd").write_text("root:x:0:0::/:\nmail:x:8:8::/:\n")
            for name in ("mail", "users", "secret", "tls.key", "postern.conf"):
                os.chown(place.dir / name, 8, 8)
        client = place.connect()
        client.ehlo()
        client.starttls()
        client.ehlo()
        both = base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode()
        client.say(f"AUTH PLAIN {both}", 235)
        client.say("MAIL FROM:<sender@example.net> SMTPUTF8", 250)
        client.say(f"RCPT TO:<{ADDRESS}>", 250)
        client.say("DATA", 354)
        client.content(harness.sample())
        client.quit()
        stored = place.only_message()
        harness.equal(stored.stat().st_uid, 8 if user else 0)
        session = place.session()
        assert "sandbox" not in session, "the whole sandbox is in force"


def test_a_wrong_password_is_refused():
    place = Empty(tls="on", pair=harness.pair(), auth="on", auth_users="/users", auth_secret="/secret")
    put_users(place)
    client = place.connect()
    client.ehlo()
    client.starttls()
    client.ehlo()
    client.say("AUTH PLAIN " + base64.b64encode(f"\0{USER}\0other".encode()).decode(), 535)
    client.quit()


def test_nothing_is_loaded_and_nothing_can_be():
    place = Static(tls="on", pair=harness.pair())
    client = place.connect()
    client.ehlo()
    client.starttls()
    client.ehlo()
    harness.equal(client.message(harness.sample()).code, 250)
    maps = Path(f"/proc/{client.process.pid}/maps").read_text(encoding="ascii")
    files = {line.split()[5] for line in maps.splitlines() if len(line.split()) > 5 and line.split()[5].startswith("/")}
    harness.equal({os.path.basename(name) for name in files}, {"postern"})
    client.quit()


class GnuTLS:
    """A client that verifies nothing, and sends the alert that the test sets."""

    CLIENT, CERTIFICATE, FATAL, UNKNOWN_CA = 2, 1, 2, 48

    def __init__(self, client):
        self.gnutls, self.tls, trusted = ctypes.CDLL("libgnutls.so.30"), ctypes.c_void_p(), ctypes.c_void_p()
        self.call("init", ctypes.byref(self.tls), self.CLIENT)
        self.call("set_default_priority", self.tls)
        self.call("certificate_allocate_credentials", ctypes.byref(trusted))
        self.call("credentials_set", self.tls, self.CERTIFICATE, trusted)
        client.socket.settimeout(None)
        self.gnutls.gnutls_transport_set_int2(self.tls, client.socket.fileno(), client.socket.fileno())
        self.call("handshake", self.tls)

    def call(self, name, *arguments):
        harness.equal(getattr(self.gnutls, f"gnutls_{name}")(*arguments), 0, name)

    def refuse(self):
        self.call("alert_send", self.tls, self.FATAL, self.UNKNOWN_CA)


def anonymous(pid):
    """KiB that the process alone has."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    return int(next(line for line in text.splitlines() if line.startswith("Anonymous:")).split()[1])


@harness.table(at_once=False, after_a_pause=True)
def test_a_connection_that_waits_frees_definitions_and_reads_certificates_still(pause):
    place = Static(tls="on", pair=harness.pair())
    client = place.connect()
    client.ehlo()
    client.say("STARTTLS", 220)
    tls, pid = GnuTLS(client), client.process.pid
    if pause:
        # no octet has come for a second; the trees of ASN.1 have 105 KiB
        harness.eventually(lambda: anonymous(pid) < 340, "memory that is freed")
    tls.refuse()
    client.rest()
    harness.contains(place.session()["explanation"], "certificate (alert unknown_ca), which is self-signed")


def test_a_record_is_one_datagram_to_the_journal():
    harness.need_root("a socket in /run")
    harness.mount("-t", "tmpfs", "tmpfs", "/run")
    harness.at_end(harness.run, "umount", "-l", "/run")
    os.makedirs("/run/systemd/journal")
    journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    harness.at_end(journal.close)
    journal.bind("/run/systemd/journal/socket")
    journal.settimeout(harness.PATIENCE)
    client = Static(log="journal").connect()
    client.ehlo()
    client.quit()
    fields = dict(line.split("=", 1) for line in journal.recv(65536).decode("ascii").splitlines())
    harness.equal((fields["POSTERN_EVENT"], fields["POSTERN_END"]), ("session", "quit"))
    harness.equal((fields["PRIORITY"], fields["SYSLOG_FACILITY"], fields["SYSLOG_IDENTIFIER"]), ("6", "2", "postern"))
    harness.contains(fields["MESSAGE"], "event=session end=quit")


harness.main()
