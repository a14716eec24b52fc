#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""A build without a system call filter (-Dseccomp=disabled), as for an architecture that has none: it receives mail as
the others do, and `--check` and the records say what is missing.

The program is built here."""

import os

import harness
from filters import Filter, frame
from harness import Site
from listening import AGENT, BROKER, CONNECTOR, Listening, agents, brokers_below, deliver
from mailboxes import OTHER, make_maildir

SOURCE = harness.HERE.parents[1]
LIMIT = 1500  # seconds for the build


@harness.once
def build():
    """All further tests are of this build."""
    folder = harness.scratch(of_file=True)
    for command in (("setup", folder, SOURCE, "--werror", "-Dseccomp=disabled", "-Dtests=false", "-Doptimization=1",
                     "-Ddebug=false"), ("compile", "-C", folder)):
        done = harness.run("meson", *command, patience=LIMIT, env=harness.environment(PATH=os.environ["PATH"]))
        assert done.returncode == 0, done.stdout[-3000:]
    harness.build = folder
    return folder


def check_sessions(place, n):
    """Each has the rest of the sandbox, and its records say so."""
    for kind in ("session", "message"):
        harness.equal([record.get("sandbox") for record in place.records(kind)], ["landlock-only"] * n)


def test_check_warns():
    build()
    place = Site(tls="on", pair=harness.pair())
    done = harness.run(*place.command(), "--check")
    harness.equal(done.returncode, 0, done.stdout)
    harness.contains(done.stdout, "warning: sandbox: this build has no system call filter")
    harness.contains(done.stdout, "sandbox=landlock-only")
    harness.equal(harness.run(*place.command(), "-o", "sandbox=no", "--check").stdout.count("no system call filter"), 0)


@harness.table(in_the_clear=False, inside_tls=True)
def test_a_process_for_one_connection_delivers(tls):
    build()
    place = Site(tls="on", pair=harness.pair())
    deliver(place.connect(), tls)
    harness.check_stored(place.only_message(), harness.sample())
    check_sessions(place, 1)


def test_a_listener_delivers_with_agents_a_filter_and_a_broker():
    harness.need_root("a broker")
    build()
    filter_ = Filter(E=frame("a"))
    here = Listening(tls="on", pair=harness.pair(), maildir="%u")
    path = here.dir / "milters"
    path.write_text(filter_.line())
    make_maildir(here.root / "printer", owner=OTHER)
    here.set(milters=path).listen()
    for tls in (False, True):
        deliver(here.client(), tls)
    assert agents(here) and brokers_below(here.process.pid), f"{AGENT}, {BROKER} and {CONNECTOR} have started"
    harness.equal([path.stat().st_uid for path in here.new(here.root / "printer")], [OTHER] * 2)
    harness.equal(len(filter_.conversations), 2)
    harness.eventually(lambda: len(here.records("session")) == 2, "two records")
    check_sessions(here, 2)


def test_attachments_are_saved():
    program = build() / "src/postern-extract"
    if not program.exists():
        raise harness.Skip("no GMime")
    saved = harness.scratch()
    message = ("MIME-Version: 1.0\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename=a.txt\r\n"
               "\r\nHello.\r\n")
    done = harness.run(program, saved, input=message)
    harness.equal(done.returncode, 0, done.stdout)
    harness.equal([path.name for path in saved.iterdir()], ["a.txt"])


harness.main()
