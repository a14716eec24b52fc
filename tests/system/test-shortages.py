#!/usr/bin/python3
"""What campaigns have found, each directly: a process that is short of memory, descriptors or random data says so,
blames nothing else, and serves again when it can."""

import os
import socket

import harness
from harness import Site
from injections import Allocation, Allocations
from listening import Listening

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


def test_without_memory_for_a_connection_there_is_a_reply_and_a_record():
    place = Site()
    with open(place.log, "ab") as log:
        harness.equal(without_first_memory(place, stderr=log), 71)
    harness.equal(place.log_text(), "postern: out of memory\n")


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


harness.main()
