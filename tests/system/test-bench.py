#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""tests/bench/run: a smoke test of all its works, with postern and one other server."""

import json
import os
import subprocess
import xml.etree.ElementTree

import harness

RUN = harness.HERE.parent / "bench" / "run"


def environment():
    return harness.environment(POSTERN_TEST_PACKAGES=os.environ.get("POSTERN_TEST_PACKAGES", ""))


def bench(*arguments):
    return subprocess.run([RUN, harness.build, *map(str, arguments)], capture_output=True, text=True, timeout=590,
                          check=False, env=environment())


@harness.senseless_when_sanitized
def test_everything_is_measured():
    harness.need_root("machines and control groups")
    harness.need("openssl", "strace", "ip", "unshare")
    harness.packages()
    out = harness.scratch()
    done = bench("--quick", "--out", out)
    harness.equal(done.returncode, 0, done.stderr[-2000:])
    figures = json.loads((out / "figures.json").read_text())
    check_units(figures)
    harness.equal({work: told for work, told in figures["unable"].items() if told}, {})
    for server in ("postern-exec", "postern-tcpserver", "postern-listen", "aiosmtpd"):
        check_sense(figures["samples"], server)
    # the file twice and its folder once: what postern(8) promises is on the disk before the 250
    for server in ("postern-exec", "postern-tcpserver", "postern-listen"):
        harness.equal(figures["samples"]["syncs"][server], [{"files": 2.0, "folders": 1.0}], server)
    harness.contains(done.stdout, "at most")
    harness.equal((out / "table.txt").read_text(), done.stdout)
    plot = xml.etree.ElementTree.parse(out / "plot.svg")
    assert len(list(plot.iter())) > 100, "hardly anything is drawn"


@harness.senseless_when_sanitized
def test_one_command_measures_each_bound_of_the_static_program():
    """Here this build stands for both."""
    harness.need_root("machines and control groups")
    harness.need("openssl", "ip", "unshare")
    harness.packages()
    done = bench("--static-bounds", "--static", harness.build, "--rounds", 1, "--sessions", 10, "--big", 1_000_000, "--idle", 10)
    harness.equal(done.returncode, 0, done.stderr[-2000:])
    bounds = done.stdout.partition("Ratios")[2].splitlines()[1:]
    harness.equal([line for line in bounds if "not measured" in line], [])
    for part in ("TLS message, by exec, static, to Postfix", "plain message, --listen, default, to aiosmtpd",
                 "100 MB over TLS to the same in clear, wall time, default", "RSA-2048, static: ms of CPU more"):
        harness.equal(sum(part in line for line in bounds), 1, part)


@harness.senseless_when_sanitized
@harness.not_static("the profile is of both builds")
def test_the_profile_divides_each_row():
    harness.need_root("control groups")
    harness.need("openssl", "valgrind")
    done = harness.run(RUN.with_name("profile"), harness.build, "--rounds", "1", env=environment())
    harness.equal(done.returncode, 0, done.stdout[-3000:])
    for row in ("plain: instructions", "starttls: instructions", "default: plain, by exec: ms", "default: TLS, --listen: ms",
                "default: 100 MB over TLS, wall: ms", "default: idle connection after TLS, KiB", "  = syncs: "):
        harness.contains(done.stdout, row)


def check_sense(samples, server):
    """Every session cost something, and over TLS a great deal more."""
    plain, tls = (samples[work][server][0]["cpu"] for work in ("plain-10", "tls-10"))
    assert 0.1 < plain < tls < 1000, f"{server}: {plain} and {tls} ms a session"
    assert samples["plain-10"][server][0]["rate"] > 0
    assert samples["greeting"][server][0]["wall"] > 0


def check_units(figures):
    """A machine that cannot boot systemd is reported, and is no fault; on others hardening has a high cost."""
    told = figures["unable"].get("hardened", {})
    if all("no systemd can be booted" in reason for reason in told.values()):
        told.clear()
    if "hardened" in figures["samples"]:
        units = figures["samples"]["hardened"]
        listen, accept, hardened = (units[f"systemd-{name}"][0]["cpu"] for name in ("listen", "accept", "hardened"))
        assert 0.1 < listen < accept < hardened < 1000, f"{listen}, {accept} and {hardened} ms a session"


@harness.senseless_when_sanitized
def test_nothing_is_left_behind_when_it_is_ended():
    harness.need_root("machines and control groups")
    harness.packages()
    scratch = harness.scratch()
    run = harness.start(RUN, harness.build, "--quick", "--servers", "postern-tcpserver,postfix,systemd-accept",
                        "--works", "plain-1,hardened", "--rounds", 1000, "--scratch", scratch, env=environment(),
                        stderr=subprocess.DEVNULL)
    harness.eventually(lambda: len(groups(run.pid)) == 2, "two servers")
    if os.path.exists("/lib/systemd/systemd"):
        harness.eventually(lambda: machines(scratch), "a systemd")
    run.terminate()
    assert run.wait(harness.PATIENCE) != 0
    harness.equal(groups(run.pid), [], "control groups, and the processes in them")
    harness.equal(machines(scratch), [], "a systemd")
    harness.equal(os.listdir(scratch), [])


def machines(folder):
    """The processes of a systemd with its state there, even while it boots."""
    lines = harness.run("ps", "-eo", "args=").stdout.splitlines()
    return [line for line in lines if f"with-systemd inner {folder}" in line]


def groups(pid):
    roots = ("/sys/fs/cgroup/unified", "/sys/fs/cgroup", "/sys/fs/cgroup/cpuacct")
    return [f"{root}/{name}" for root in roots if os.path.isdir(root) for name in os.listdir(root)
            if name.startswith(f"postern-bench-{pid}-")]


def test_what_it_does_not_know_it_refuses():
    for arguments in (("--servers", "sendmail"), ("--works", "sleep"), ("--rounds", "many"), ("--static-bounds", "--quick")):
        done = bench(*arguments)
        harness.equal(done.returncode, 2, str(arguments))
        harness.contains(done.stderr, arguments[1] if arguments[0] != "--static-bounds" else "--static BUILD")


if __name__ == "__main__":
    harness.main()
