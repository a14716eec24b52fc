#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Faults that campaigns have found, each one directly: a process that is short of memory, descriptors or random data
reports this and no other cause, and serves again when it can."""

import base64
import errno
import os
import re
import socket

import harness
from harness import Site
from injections import Allocation, Allocations, Call, Calls
from listening import Listening, children, deliver, with_tls

MISCONFIGURED = b"421 4.3.5 Misconfigured; try later\r\n"


def without_first_memory(place, stderr=None):
    """The status of a process that gets no memory for its connection, whose client gets the reply and nothing else."""
    tool = Allocations(place)
    for nth in range(1, 10):
        ours, theirs = socket.socketpair()
        _, env = tool.wrap(Allocation(0, nth, False))
        with theirs:
            process = harness.start(*place.command(), stdin=theirs, stdout=theirs, stderr=stderr or theirs,
                                    env=harness.environment(**env))
        ours.settimeout(harness.PATIENCE)
        ours.shutdown(socket.SHUT_WR)
        with ours:
            octets = b"".join(iter(lambda: ours.recv(4096), b""))
        if tool.read()[0] and octets == MISCONFIGURED:
            return process.wait(harness.PATIENCE)
    raise AssertionError(f"no such reply but {octets}")


@harness.about_preloaded
def test_without_memory_for_a_connection_there_is_a_reply_and_a_record():
    place = Site()
    with open(place.log, "ab") as log:
        harness.equal(without_first_memory(place, stderr=log), 71)
    harness.equal(place.log_text(), "postern: out of memory\n")


@harness.about_preloaded
def test_without_memory_for_a_connection_the_client_gets_the_reply_alone():
    harness.equal(without_first_memory(Site()), 71)


def has_dsn(here):
    client = here.client()
    reply = client.ehlo()
    client.quit()
    return reply.has("DSN")


def test_an_outbox_that_becomes_usable_is_used():
    """Though no file shows it that a listener watches."""
    harness.need_root("a change of user")
    here = Listening(user="nobody")
    here.root.chmod(0o777)
    outbox = here.dir / "outbox"
    for part in ("tmp", "cur", "new"):
        (outbox / part).mkdir(parents=True)
    nobody = int(harness.run("id", "-u", "nobody").stdout)
    for folder in (outbox, outbox / "tmp", outbox / "cur"):
        os.chown(folder, nobody, nobody)
    here.set(dsn_outbox=outbox).listen()
    assert not has_dsn(here), "root's new can be written to"
    os.chown(outbox / "new", nobody, nobody)
    harness.eventually(lambda: has_dsn(here), "DSN is offered")


# A listener


def has_tls(here):
    client = here.client()
    client.ehlo()
    client.send("STARTTLS\r\n")
    code = client.reply().code
    client.close()
    return code == 220


def test_a_listener_whose_gnutls_could_not_initialise_itself_starts_anew():
    """That is done once in a process: TLS works again in another one, in which the host has random data."""
    harness.need("strace")
    here = with_tls()
    with socket.socket(socket.AF_UNIX) as no_file:
        no_file.bind(str(here.dir / "socket"))
    harness.mount("--bind", here.dir / "socket", "/dev/urandom")
    harness.at_end(harness.run, "umount", "-l", "/dev/urandom")
    # the last of these calls is the only one that does not do without
    here.listen(wrap=("strace", "-qq", "-o", "/dev/null", "-e", "trace=getrandom", "-e",
                      "inject=getrandom:error=EIO:when=1..4"))
    harness.eventually(lambda: has_tls(here), "TLS works")
    deliver(here.client(), tls=True)
    harness.contains(here.log_text(), "GnuTLS does not work on this host")
    harness.contains(here.log_text(), "GnuTLS could not be initialised, which needs a new process: the listener "
                                      "restarts itself")


def users(here):
    harness.need("gsasl")
    made = harness.run("gsasl", "--mkpasswd", "--mechanism=SCRAM-SHA-256", "--iteration-count=4096",
                       "--password=password").stdout.split()[-1]
    for name, text in (("users", f"scanner {made}\n"), ("secret", "0123456789abcdef" * 2)):
        (here.dir / name).write_text(text)
        (here.dir / name).chmod(0o600)
    here.set(auth="on", auth_users=here.dir / "users", auth_secret=here.dir / "secret")
    return here.dir / "users"


def log_in(here):
    client = here.client()
    client.ehlo()
    client.starttls()
    client.ehlo()
    client.send(f"AUTH PLAIN {base64.b64encode(bytes(1) + b'scanner' + bytes(1) + b'password').decode()}\r\n")
    code = client.reply().code
    client.close()
    return code


def place_of_open(here, path):
    """Which openat2() of the first acceptor is that of the path."""
    harness.need("strace")
    here.listen(wrap=("strace", "-f", "-qq", "-o", here.dir / "trace", "-e", "trace=openat2"))
    pid, = children(here.traced)
    here.stop_traced()
    here.process.wait(harness.PATIENCE)
    lines = [line for line in (here.dir / "trace").read_text().splitlines() if re.match(rf"{pid} +openat2\(", line)]
    return 1 + next(n for n, line in enumerate(lines) if f'"{path}"' in line)


def test_a_table_that_could_not_be_opened_is_opened_by_the_next_acceptor():
    """Without descriptors for a moment, which no file shows."""
    here = with_tls()
    here.set(tls_key_agent="no")  # so that the acceptor is process 1
    path = users(here)
    nth = place_of_open(here, path)
    here.ports.clear()
    (here.dir / "notify").unlink()
    wrap, _ = Calls(here).wrap(Call(1, "openat2", nth, errno.EMFILE))
    here.listen(wrap=wrap)
    harness.equal(log_in(here), 454)
    harness.eventually(lambda: log_in(here) == 235, "a client logs in")


harness.main()
