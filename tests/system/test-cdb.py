#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""postern-cdb: a table of text becomes a cdb, which replaces an older one at once, or nothing changes."""

import itertools
import os
import subprocess

import harness

EX_USAGE, EX_DATAERR, EX_NOINPUT, EX_CANTCREAT = 64, 65, 66, 73
LINES = "# ours\ninfo@example.org\nscanner@example.org\tscans/%u  auth\r\n\njos\u00e9@example.org jose"
PAIRS = "+16,0:info@example.org->\n+19,14:scanner@example.org->scans/%u  auth\n+17,4:jos\u00e9@example.org->jose\n\n"


def program():
    return harness.build / "src" / "postern-cdb"


def make(*arguments, **options):
    """Exit status and messages, of which there are none after a success."""
    done = harness.run(program(), *arguments, **options)
    return done.returncode, done.stdout


def text(lines=LINES):
    path = harness.scratch() / "table"
    path.write_text(lines, encoding="utf-8", newline="")
    return path


def check_pairs(table, pairs=PAIRS):
    """As the library's own tool reads it."""
    harness.need("cdb")
    harness.equal(harness.run("cdb", "-d", table).stdout, pairs)


def test_it_makes_a_table_of_a_file():
    path = text()
    table = path.with_suffix(".cdb")
    harness.equal(make(table, path), (0, ""))
    check_pairs(table)
    harness.equal(harness.run("cdb", "-q", table, "scanner@example.org").stdout, "scans/%u  auth")
    harness.equal(sorted(os.listdir(path.parent)), ["table", "table.cdb"])


@harness.table(file=("stdin",), pipe=("input",))
def test_it_makes_a_table_of_standard_input(how):
    path = text()
    table = path.with_suffix(".cdb")
    with open(path, "rb") as lines:
        harness.equal(make(table, **{how: lines if how == "stdin" else LINES}), (0, ""))
    check_pairs(table)


def test_it_makes_a_table_in_the_directory_it_is_run_in():
    path = text()
    harness.equal(make("t.cdb", "table", cwd=path.parent), (0, ""))
    check_pairs(path.parent / "t.cdb")


def test_a_table_may_be_empty():
    path = text("# nobody\n")
    table = path.with_suffix(".cdb")
    harness.equal(make(table, path), (0, ""))
    check_pairs(table, "\n")
    harness.equal(make(table, "/dev/null"), (0, ""))


def test_a_table_may_be_large():
    path = text("".join(f"user{n}@example.org boxes/{n}\n" for n in range(100_000)))
    table = path.with_suffix(".cdb")
    harness.equal(make(table, path), (0, ""))
    harness.equal(harness.run("cdb", "-q", table, "user99999@example.org").stdout, "boxes/99999")


def test_behind_two_hyphens_all_words_are_files():
    path = text()
    (path.parent / "--help").write_text(LINES)
    harness.equal(make("t.cdb", "--", "--help", cwd=path.parent), (0, ""))
    check_pairs(path.parent / "t.cdb")
    harness.equal(make("--", "-.cdb", "table", cwd=path.parent), (0, ""))
    check_pairs(path.parent / "-.cdb")
    harness.equal(make("--")[0], EX_USAGE)


def test_a_symbolic_link_stays_and_its_file_is_replaced():
    path = text()
    (path.parent / "tables").mkdir()
    table, link = path.parent / "tables" / "t.cdb", path.with_suffix(".cdb")
    link.symlink_to("tables/t.cdb")
    status, told = make(link, path)
    harness.equal(status, EX_CANTCREAT)
    harness.contains(told, f"postern-cdb: {link}: is a symbolic link that leads to no file: No such file or directory")
    table.touch(mode=0o640)
    harness.equal(make(link, path), (0, ""))
    harness.equal((os.readlink(link), table.stat().st_mode & 0o777), ("tables/t.cdb", 0o640))
    check_pairs(table)
    harness.equal(sorted(os.listdir(table.parent)), ["t.cdb"])


def test_a_symbolic_link_of_another_user_is_not_followed():
    harness.need_root("a link of another user")
    path = text()
    table, link = path.parent / "there.cdb", path.with_suffix(".cdb")
    table.touch()
    link.symlink_to("there.cdb")
    os.chown(link, 65534, 65534, follow_symlinks=False)
    status, told = make(link, path)
    harness.equal((status, table.read_bytes()), (EX_CANTCREAT, b""))
    harness.contains(told, "is a symbolic link of another user")


def test_every_fault_is_told_and_the_table_stays():
    path = text("a 1\n b\nc\0 3\na 2\n")
    table = path.with_suffix(".cdb")
    table.write_bytes(b"what it was")
    harness.equal(make(table, path), (EX_DATAERR, "".join(f"postern-cdb: {path}: {fault}\n" for fault in (
        "line 2: begins with a blank, but no line continues another; remove the blank", "line 3: has a NUL in it", "line 4: a: is already on line 1"))))
    harness.equal(make(table, input="a\na\n"),
                  (EX_DATAERR, "postern-cdb: standard input: line 2: a: is already on line 1\n"))
    harness.equal(table.read_bytes(), b"what it was")
    harness.equal(sorted(os.listdir(path.parent)), ["table", "table.cdb"])


def mode_of(path):
    return oct(path.stat().st_mode & 0o7777)


@harness.table(secret=(0o600,), shared=(0o640,), public=(0o644,))
def test_a_new_table_may_be_read_by_whom_the_text_may(mode):
    path = text()
    path.chmod(mode)
    harness.at_end(os.umask, os.umask(0))
    harness.equal(make(path.with_suffix(".cdb"), path), (0, ""))
    harness.equal(mode_of(path.with_suffix(".cdb")), oct(mode))


def test_what_comes_through_a_pipe_is_a_secret():
    table = harness.scratch() / "t.cdb"
    harness.equal(make(table, input=LINES), (0, ""))
    harness.equal(mode_of(table), oct(0o600))


def test_the_mode_of_a_table_stays():
    path = text()
    table = path.with_suffix(".cdb")
    table.touch()
    table.chmod(0o640)
    harness.equal(make(table, path), (0, ""))
    harness.equal(mode_of(table), oct(0o640))
    check_pairs(table)


def test_the_owner_of_a_table_stays():
    harness.need_root("another owner")
    path = text()
    table = path.with_suffix(".cdb")
    table.touch()
    os.chown(table, 4711, 4712)
    table.chmod(0o640)
    harness.equal(make(table, path), (0, ""))
    st = table.stat()
    harness.equal((st.st_uid, st.st_gid, mode_of(table)), (4711, 4712, oct(0o640)))


def test_a_table_of_another_is_left_alone():
    """A user that cannot keep the owner must not make the table unreadable for its readers."""
    harness.need_root("another owner")
    path = text()
    table = path.with_suffix(".cdb")
    table.write_bytes(b"theirs")
    path.parent.chmod(0o777)
    status, told = make(table, path, user=4711, group=4711, extra_groups=[])
    harness.equal(status, EX_CANTCREAT, told)
    harness.contains(told, "owner and mode of the old file cannot be kept")
    harness.equal(table.read_bytes(), b"theirs")
    harness.equal(sorted(os.listdir(path.parent)), ["table", "table.cdb"])


def test_who_reads_sees_the_old_table_or_the_new_one():
    """Two tables of many keys, in turn: a reader of one file sees one of them, whole."""
    tables = {n: "".join(f"key{k} {n}\n" for k in range(2000)) for n in (1, 2)}
    table = text(tables[1]).with_suffix(".cdb")
    harness.equal(make(table, input=tables[1]), (0, ""))
    whole = {table.read_bytes()}
    harness.equal(make(table, input=tables[2]), (0, ""))
    whole.add(table.read_bytes())
    harness.equal(len(whole), 2)
    for round_ in range(20):
        maker = subprocess.Popen([program(), table], stdin=subprocess.PIPE, env=harness.environment())
        maker.stdin.write(tables[1 + round_ % 2].encode())
        maker.stdin.close()
        while maker.poll() is None:
            assert table.read_bytes() in whole, "neither the old table nor the new one"
        harness.equal(maker.returncode, 0)


@harness.senseless_when_sanitized
def test_it_is_on_the_disk_before_it_has_its_name():
    harness.need("strace")
    path = text()
    trace = path.parent / "trace"
    done = harness.run("strace", "-f", "-y", "-e", "trace=fsync,fdatasync,rename,renameat,renameat2", "-o", trace,
                       program(), path.with_suffix(".cdb"), path)
    if "ptrace" in done.stdout:
        raise harness.Skip("no process can be traced here")
    harness.equal(done.returncode, 0, done.stdout)
    calls = [line.split("(")[0].split()[-1] for line in trace.read_text().splitlines() if "(" in line]
    # TinyCDB 0.82 syncs the file, too
    harness.equal([call for call, _ in itertools.groupby(calls)], ["fsync", "rename", "fsync"], trace.read_text())


def test_a_full_disk_leaves_the_old_table():
    disk = harness.small_file_system(harness.scratch() / "disk", "64k")
    table = disk / "t.cdb"
    harness.equal(make(table, input="a 1\n"), (0, ""))
    before = table.read_bytes()
    status, told = make(table, input="".join(f"key{n}\n" for n in range(20_000)))
    harness.equal(status, EX_CANTCREAT, told)
    harness.contains(told, "cannot be written: No space left on device")
    harness.equal(table.read_bytes(), before)
    harness.equal(os.listdir(disk), ["t.cdb"])


@harness.table(
    nothing=((), EX_USAGE, "TABLE.cdb: must be given"),
    option=(("--force", "t.cdb"), EX_USAGE, "--force: not understood"),
    third=(("t.cdb", "a", "b"), EX_USAGE, "b: not understood"),
    name=(("table", "a"), EX_USAGE, "table: must end in .cdb"),
    no_file=(("t.cdb", "/nonexistent/table"), EX_NOINPUT, "/nonexistent/table: No such file or directory"),
    directory=(("t.cdb", "/etc"), EX_NOINPUT, "/etc: Is a directory"),
    no_place=(("/nonexistent/t.cdb", "/dev/null"), EX_CANTCREAT, "/nonexistent/t.cdb: cannot be written: No such"),
)
def test_what_cannot_be_done_is_told(arguments, status, fault):
    folder = harness.scratch()
    found, told = make(*arguments, cwd=folder)
    harness.equal(found, status, told)
    harness.contains(told, f"postern-cdb: {fault}")
    harness.equal(os.listdir(folder), [])


@harness.table(help=("--help", "Usage: postern-cdb"), version=("--version", "postern-cdb "))
def test_it_shows(option, shown):
    status, told = make(option)
    harness.equal(status, 0)
    harness.contains(told, shown)


@harness.senseless_when_sanitized
@harness.not_static("they are linked with nothing")
def test_both_programs_are_linked_with_libc_alone():
    """libcdb is in them, for the little that they need of it."""
    harness.need("ldd")
    for name in ("postern-cdb", "postern"):
        linked = [line.split()[0] for line in harness.run(
            "ldd", harness.build / "src" / name).stdout.splitlines()]
        harness.equal([path for path in linked if not path.startswith(("linux-vdso", "linux-gate", "/lib"))], ["libc.so.6"])


if __name__ == "__main__":
    harness.main()
