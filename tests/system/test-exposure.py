#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""What systemd-analyze finds in each unit: exposure.txt has the reason of each point, and no reason too much."""

import fnmatch
import json
from pathlib import Path

import harness
from machine import unit

UNITS = Path(__file__).resolve().parent.parent.parent / "units"


def reasons():
    """{unit: [(point, reason)]}"""
    found, units = {}, []
    for line in (Path(__file__).parent / "exposure.txt").read_text().splitlines():
        words = line.split(None, 1)
        if not words:
            units = []
        elif words[0] != "#" and not units:
            units = line.split()
            found |= {name: [] for name in units}
        elif words[0] != "#":
            assert len(words) == 2, f"a point without its reason: {line}"
            for name in units:
                found[name].append(tuple(words))
    return found


def exposed(name):
    path = UNITS / f"{name}.service"
    done = harness.run("systemd-analyze", "security", "--offline=true", "--no-pager", "--json=short",
                       path if path.exists() else unit(f"{name}.service"))
    # reasons are for what counts, and a point whose rating is null is not about this unit
    return [point["json_field"] for point in json.loads(done.stdout) if not point["set"] and point["exposure"]]


def test_each_unit_that_is_installed_has_its_reasons():
    shipped = {path.name.removesuffix(".in").removesuffix(".service") for path in UNITS.glob("*.service*")}
    harness.equal(set(reasons()), shipped)


@harness.table_of({name: (name,) for name in reasons()})
def test_each_point_has_a_reason_and_each_reason_a_point(name):
    harness.need("systemd-analyze")
    patterns, used = [pattern for pattern, _ in reasons()[name]], set()
    for point in exposed(name):
        first = next((pattern for pattern in patterns if fnmatch.fnmatchcase(point, pattern)), None)
        assert first, f"{point} of {name}.service has no reason in exposure.txt"
        used.add(first)
    harness.equal(set(patterns) - used, set(), f"reasons that {name}.service no longer needs")


if __name__ == "__main__":
    harness.main()
