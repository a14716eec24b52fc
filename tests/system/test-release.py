#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""A release: the same commit gives the same octets, for any folder, time and umask."""

import hashlib
import json
import os
import tarfile
from pathlib import Path

import harness

SOURCE = Path(__file__).resolve().parents[2]
LIMIT = 1500.0  # seconds


def made(umask):
    folder = harness.scratch()
    done = harness.run(SOURCE / "contrib/release/make", folder, patience=LIMIT, umask=umask,
                       env=harness.environment(PATH=os.environ["PATH"], TMPDIR=str(harness.scratch())))
    harness.equal(done.returncode, 0, done.stdout)
    return folder, {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_two_builds_give_the_same_octets():
    (folder, first), (_, second) = made(0o022), made(0o077)
    harness.equal(second, first)
    archive, = folder.glob("postern-*.tar.xz")
    version = archive.name.removeprefix("postern-").removesuffix(".tar.xz")
    harness.equal(sorted(first), sorted([archive.name, f"postern-{version}.spdx.json", "SHA256SUMS"]))
    harness.equal(harness.run("sha256sum", "--check", "SHA256SUMS", cwd=folder).returncode, 0)
    with tarfile.open(archive) as tar:
        names = tar.getnames()
        harness.contains(names, f"postern-{version}/meson.build")
        assert not [name for name in names if "/.git/" in name], "the history is not part of it"
    bill = json.loads((folder / f"postern-{version}.spdx.json").read_text())
    harness.equal((bill["spdxVersion"], bill["packages"][0]["versionInfo"]), ("SPDX-2.3", version))
    harness.contains([one["name"] for one in bill["packages"]], "gnutls")
    shown = harness.run(harness.program(), "--version").stdout.splitlines()[0]
    harness.equal(shown, f"postern {version}")


harness.main()
