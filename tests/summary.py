#!/usr/bin/env python3
"""summary.py FAILED_BUILDS FAILED_FUZZ JUNIT...: one line that counts every test of every suite.

A test program that died, timed out or printed no result counts as one failed test.
"""
import re
import sys
import xml.etree.ElementTree as xml


# what a test printed stands in the file as it is, and XML has no way to write most control characters
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd]")


def read(name: str) -> xml.Element:
    with open(name, encoding="utf-8", errors="replace") as file:
        return xml.fromstring(NOT_XML.sub("?", file.read()))


def main() -> int:
    passed, skipped = 0, 0
    failed = int(sys.argv[1]) + int(sys.argv[2])
    for name in sys.argv[3:]:
        try:
            suites = read(name).iter("testsuite")
        except (OSError, xml.ParseError) as error:
            print(f"not ok: {name}: {error}")
            failed += 1
            continue
        for suite in suites:
            cases = suite.findall("testcase")
            broken = int(suite.get("errors", 0)) + int(suite.get("failures", 0))
            seen = 0
            for case in cases:
                what = f"{suite.get('name')}: {case.get('name')}"
                if case.find("failure") is not None or case.find("error") is not None:
                    failed, seen = failed + 1, seen + 1
                    print(f"not ok: {what}")
                elif case.find("skipped") is not None:
                    skipped += 1
                    print(f"skipped: {what}")
                else:
                    passed += 1
            if broken > seen:
                failed += broken - seen
                print(f"not ok: {suite.get('name')}: {broken - seen} more")
    tail = f", {skipped} skipped" if skipped else ""
    print(f"{passed} passed, {failed} failed{tail}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
