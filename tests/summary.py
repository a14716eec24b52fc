#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""summary.py [--step NAME=STATUS]... [--without BUILD:SUITE]... BUILD=STATUS...: one line that counts every test of every suite.

A step is a command that passes or fails as a whole; STATUS is its exit status. BUILD is a build folder
in which `meson test` ran, STATUS is what that exited with. Each TAP line counts as a test. Which
test programs failed comes from meson alone (testlog.json): a program that timed out, crashed,
printed no plan or too few lines counts as one failed test beside the lines that it printed. A test
that the build has and the log lacks is a failed test, too, but for those of a SUITE that was left out.
"""
import argparse
import json
import re
import signal
import sys
from pathlib import Path

BAD = ("FAIL", "ERROR", "TIMEOUT", "INTERRUPT", "UNEXPECTEDPASS")
TAP_LINE = re.compile(r"(?P<not>not )?ok\b *(?P<name>[^#]*?)\s*(?:#\s*(?P<directive>.*))?$")
TAP_PLAN = re.compile(r"1\.\.(?P<count>\d+)\s*(?:#\s*(?P<directive>.*))?$")


class Counts:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def add_failed(self, what):
        self.failed += 1
        print(f"not ok: {what}")

    def add_skipped(self, what):
        self.skipped += 1
        print(f"skipped: {what}")


def is_directive(text, word):
    return (text or "").upper().startswith(word)


def count_tap_line(counts, test, line):
    what = f"{test}: {line['name']}"
    if is_directive(line["directive"], "SKIP"):
        counts.add_skipped(what)
    elif bool(line["not"]) == is_directive(line["directive"], "TODO"):
        counts.passed += 1
    else:
        counts.add_failed(what)


def why_program_failed(result, status, plan, lines, bad_lines):
    """Why this TAP program is a failed test of its own, beside its failed lines; else None."""
    if result in ("TIMEOUT", "INTERRUPT"):
        return "killed, it took too long" if result == "TIMEOUT" else "interrupted"
    if status < 0:
        return f"killed by {signal.Signals(-status).name}"
    if plan is None:
        return "printed no plan" if lines else "printed no result"
    if int(plan["count"]) != lines:
        return f"printed {lines} of {plan['count']} results"
    if result in BAD and not bad_lines:
        return f"{result}, exit status {status}"
    return None


def count_tap(counts, name, result, status, text):
    plan, lines, failed_before = None, 0, counts.failed
    for row in text.splitlines():
        row = row.rstrip()
        plan = plan or TAP_PLAN.match(row)
        line = TAP_LINE.match(row)
        if line:
            lines += 1
            count_tap_line(counts, name, line)
    why = why_program_failed(result, status, plan, lines, counts.failed > failed_before)
    if why:
        counts.add_failed(f"{name}: {why}")
    elif not lines:
        counts.add_skipped(f"{name}: {plan['directive'] or 'no tests'}")


def count_test(counts, name, protocol, record):
    result, status = record["result"], record["returncode"]
    if protocol == "tap":
        count_tap(counts, name, result, status, record.get("stdout", ""))
    elif result in BAD:
        counts.add_failed(f"{name}: {result}, exit status {status}")
    elif result == "SKIP":
        counts.add_skipped(name)
    else:
        counts.passed += 1


def read_log(path):
    """The records of testlog.json, one a line, and what is wrong with the file."""
    records = []
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            for number, line in enumerate(file, 1):
                record = json.loads(line)
                if not {"name", "command", "result", "returncode"} <= record.keys():
                    return records, f"{path}:{number}: not a record of a test"
                records.append(record)
    except (OSError, ValueError) as error:
        return records, f"{path}: {error}"
    return records, None


def is_of(test, suite):
    """Meson writes a suite as "PROJECT:SUITE"."""
    return any(name.rpartition(":")[2] == suite for name in test["suite"])


def count_build(counts, build, status, left_out=()):
    failed_before = counts.failed
    try:
        tests = json.loads((build / "meson-info" / "intro-tests.json").read_text())
        protocols = {tuple(test["cmd"]): test["protocol"] for test in tests}
        missing = {tuple(test["cmd"]): test["name"] for test in tests
                   if not any(is_of(test, suite) for suite in left_out)}
    except (OSError, ValueError) as error:
        counts.add_failed(f"{build}: no list of tests: {error}")
        return
    records, fault = read_log(build / "meson-logs" / "testlog.json")
    for record in records:
        command = tuple(record["command"])
        missing.pop(command, None)
        count_test(counts, f"{build.name}: {record['name']}", protocols.get(command, "tap"), record)
    if fault and not records:
        counts.add_failed(f"{fault} ({len(missing)} tests did not run)")
    elif fault and not missing:
        counts.add_failed(fault)
    else:
        for name in missing.values():
            counts.add_failed(f"{build.name}: {name}: no result{f' ({fault})' if fault else ''}")
    if status and counts.failed == failed_before:
        counts.add_failed(f"{build}: meson test exited with status {status}")


def name_and_status(text):
    name, sign, status = text.rpartition("=")
    if not sign:
        raise ValueError(text)
    return name, int(status)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--step", action="append", default=[], type=name_and_status)
    parser.add_argument("--without", action="append", default=[], metavar="BUILD:SUITE")
    parser.add_argument("builds", nargs="*", type=name_and_status, metavar="BUILD=STATUS")
    # options and builds come in any order
    args = parser.parse_intermixed_args()
    counts = Counts()
    for build, status in args.builds:
        left_out = [suite for name, _, suite in (text.rpartition(":") for text in args.without) if name == build]
        count_build(counts, Path(build), status, left_out)
    for name, status in args.step:
        if status:
            counts.add_failed(f"{name}: exit status {status}")
    tail = f", {counts.skipped} skipped" if counts.skipped else ""
    print(f"{counts.passed} passed, {counts.failed} failed{tail}")
    return 1 if counts.failed else 0


if __name__ == "__main__":
    sys.exit(main())
