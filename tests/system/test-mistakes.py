#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""The mistakes of mistakes.txt: postern --check reports each with file, line and cure, as text and as JSON."""

import json
import os
from pathlib import Path

import harness

EX_CONFIG = 78
LIST = Path(__file__).with_name("mistakes.txt")
GOOD = {"hostname": "mail.example.org", "domains": "example.org", "maildir": "{dir}/mail/%u", "maildir-create": "yes"}
TABLES = {"recipients": "recipients = {dir}/recipients\n", "clients": "clients = {dir}/clients\n",
          "users": "auth-users = {dir}/users\nauth-secret = {dir}/secret\nauth = on\ntls = on\ntls-certificate = {dir}/c\n"}
TABLES["senders"] = TABLES["users"] + "auth-senders = {dir}/senders\n"


def read():
    rows = {}
    for line in LIST.read_text().splitlines():
        if line.startswith("#"):
            continue
        file, text, place, words = (column.strip() for column in line.split(" | "))
        text = text.replace("\\n", "\n").replace("\\x01", "\x01")
        rows[f"{file} {text}"] = (file, text, place, [words] if " no address, " in words else words.split(";"))
    return rows


def put(folder, file, text):
    """The settings, and the place as --check names it."""
    (folder / "mail").mkdir()
    secret = folder / "secret"
    secret.write_bytes(os.urandom(32))
    secret.chmod(0o600)
    if file != "settings":
        (folder / file).write_text(text + "\n")
        (folder / file).chmod(0o600)
    more = text if file == "settings" else TABLES[file].replace("{dir}", str(folder))
    keys = {line.split("=")[0].strip() for line in more.splitlines()}
    lines = [f"{key} = {value}" for key, value in GOOD.items() if not (keys & {key} and file == "settings")]
    # a line that is in another's place stands there
    for key in keys & set(GOOD):
        lines.insert(list(GOOD).index(key), more)
        more = ""
    settings = folder / "postern.conf"
    settings.write_text("\n".join(lines).replace("{dir}", str(folder)) + "\n" + more + "\n")
    return settings


@harness.table_of(read())
def test_each_mistake_has_file_line_and_cure(file, text, place, words):
    folder = harness.scratch()
    text = text.replace("{dir}", str(folder))
    settings = put(folder, file, text)
    where = f"{folder}/{place}" if ":" in place else f"{settings}:{place}"
    command = (harness.program(), "-c", settings, "--check")
    done = harness.run(*command)
    harness.equal(done.returncode, EX_CONFIG, done.stdout)
    lines = [line for line in done.stdout.splitlines() if line.startswith(f"postern: {where}: ")]
    assert any(all(word in line for word in words) for line in lines), f"{where}: {words} in\n{done.stdout}"
    found = [json.loads(line) for line in harness.run(*command, "--json").stdout.splitlines()]
    harness.equal({f["level"] for f in found} - {"fault", "warning"}, set())
    file, line = where.rsplit(":", 1)
    texts = [f["text"] for f in found if (f["level"], f.get("file"), f.get("line")) == ("fault", file, int(line))]
    assert any(all(word in each for word in words) for each in texts), f"{where}: {words} in {found}"


def test_the_list_has_a_hundred_mistakes():
    assert len(read()) >= 100, len(read())


def test_warnings_are_no_faults():
    """They differ in the word, and change no exit status."""
    folder = harness.scratch()
    settings = put(folder, "settings", "user = root" if os.geteuid() == 0 else "")
    settings.write_text(settings.read_text().replace("maildir-create = yes", "maildir-create = no"))
    done = harness.run(harness.program(), "-c", settings, "--check")
    harness.equal(done.returncode, 0)
    assert done.stdout and all(line.startswith("postern: warning: ") for line in done.stdout.splitlines()), done.stdout
    done = harness.run(harness.program(), "-c", settings, "--check", "--json")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    harness.equal((done.returncode, {f["level"] for f in found}), (0, {"warning"}))


def check_recipients(text, name="recipients", status=0):
    """The output of --check for a table with these lines."""
    folder = harness.scratch()
    settings = put(folder, "recipients", text)
    if name.endswith(".cdb"):
        done = harness.run(harness.program().parent / "postern-cdb", folder / name, folder / "recipients")
        harness.equal(done.returncode, 0, done.stdout)
        settings.write_text(settings.read_text().replace(f"{folder}/recipients", f"{folder}/{name}"))
    done = harness.run(harness.program(), "-c", settings, *(() if os.geteuid() else ("-o", "user=root")), "--check")
    harness.equal(done.returncode, status, done.stdout)
    return [line.split(f"{folder}/{name}", 1)[-1] for line in harness.without_static(done.stdout).splitlines() if "postmaster@" not in line]


@harness.table(text=("recipients", ":1"), cdb=("recipients.cdb", ""))
def test_a_key_that_only_a_quoted_local_part_matches_is_warned_of(name, place):
    """Such mail may come: the line is no fault."""
    for key, quoted in (("info@@example.org", '"info@"'), ("info;alice", '"info;alice"'),
                        ("a..b@example.org", '"a..b"')):
        lines = check_recipients(f"{key} box\npostmaster box", name)
        harness.equal(lines, [f"{place}: {key}: only mail for {quoted}@... matches this, with the quotes: "
                              "a line is for one name"])
    harness.equal(check_recipients("info box\na+b@example.org\nx/y box\njosé\npostmaster box\n-rf\n{a}~'!", name), [])


def test_a_cdb_is_checked_as_its_text():
    lines = check_recipients("info/../x\n.hidden@example.org\npostmaster box", "recipients.cdb", EX_CONFIG)
    harness.equal(lines, [f": {key}: is no name of a directory, for %u: write a path behind it, without %u"
                          for key in ("info/../x", ".hidden@example.org")])


def test_json_is_for_checks():
    for arguments in (("--json",), ("--json", "--print-config"), ("--listen=127.0.0.1:0", "--json")):
        done = harness.run(harness.program(), *arguments, stdin=-3)
        harness.equal(done.returncode, 64, done.stdout)
        harness.contains(done.stdout, "--json: is only for --check")


def test_a_listener_is_checked_in_json_too():
    folder = harness.scratch()
    settings = put(folder, "settings", "timeout = x")
    done = harness.run(harness.program(), "-c", settings, "--check", "--json", "--listen=127.0.0.1:25",
                       "--listen=lmtp=/run/x", "--listen=nonsense")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    harness.equal(done.returncode, EX_CONFIG)
    harness.equal([f["line"] for f in found if "timeout: " in f["text"]], [5], "said once for all kinds of sockets")
    harness.equal([f["level"] for f in found if f["text"].startswith("--listen=nonsense: ")], ["fault"])


if __name__ == "__main__":
    harness.main()
