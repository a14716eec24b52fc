#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""A mailbox that is missing, not accessible, or full: 451, and the same text in the record and in --check."""

import os
import re
import shutil

import harness
from harness import DOMAIN, SENDER, Site
from mailboxes import ALICE, MANY, OTHER, PARTS, Place, bindfs, by_table, make_maildir, unmount

FEW_FILES = "Too many open files: raise LimitNOFILE= of the unit, or ulimit -n"


@harness.table(first=(0, [451, 250]), second=(1, [250, 452]))
def test_what_cannot_be_known_for_want_of_descriptors_is_no_unknown_address(which, codes):
    """Real sender 16: neither 550, nor a mailbox in what may be an empty directory."""
    harness.need("strace")
    place = Place()
    make_maildir(place.domain / "bob")
    recipients = [ALICE, f"bob@{DOMAIN}"]
    if which:
        recipients.reverse()
    client = place.site.connect(wrap=("strace", "-f", "-qq", "-o", place.site.dir / "trace", "-P", place.domain, "-e",
                                      "trace=openat", "-e", f"inject=openat:error=EMFILE:when={2 if not which else 3}"))
    client.ehlo()
    client.say(f"MAIL FROM:<{SENDER}>", 250)
    for recipient, code in zip(recipients, codes):
        client.say(f"RCPT TO:<{recipient}>", code)
    client.say("RSET", 250)
    client.quit()


# A mailbox that is missing although no address is unknown


FIXED = {"maildir": ({"maildir": "box"}, None, ALICE, "box"), "deep": ({"maildir": "a/box"}, None, ALICE, "a"),
         "table": ({"maildir": "box"}, f"{ALICE}\n", ALICE, "box"),
         "catch-all": ({"maildir": "%u", "catch_all": "rest"}, None, ALICE, "rest"),
         "postmaster": ({"maildir": "%u", "postmaster": "pm"}, None, "postmaster", "pm")}


@harness.table_of({f"{name} {how}": (*row, how) for name, row in FIXED.items() for how in ("SMTP", "LMTP")})
def test_a_mailbox_of_all_addresses_that_is_missing_is_a_fault(settings, lines, to, missing, how):
    """Real sender 15: "does not exist" is of addresses; this one is in no address."""
    place = Place(maildir_create="no")
    place.site.set(**settings)
    if lines:
        by_table(place, lines)
    make_maildir(place.root / "other")
    harness.equal(place.deliver((to,), lmtp=how == "LMTP"), [451])
    path = settings.get("catch_all") or settings.get("postmaster") or settings["maildir"]
    place.check_both(f"{place.root}/{path}: No such file or directory")
    make_maildir(place.root / path)
    harness.equal(place.deliver((to,), lmtp=how == "LMTP"), [250])
    harness.equal(place.check().returncode, 0)


# A directory that no address names is missing, or is none


PARENTS = {"template": ("users/%u", {}, None), "deep": ("users/a/%d-%u/Maildir", {}, None),
           "with catch-all": ("users/%u", {"catch_all": "other"}, None), "catch-all": ("%u", {"catch_all": "users/%u"}, None),
           "postmaster": ("%u", {"postmaster": "users/%d/%u"}, None), "domain": ("%u", {}, f"@{DOMAIN} users/%u\n")}


@harness.table_of({f"{name} {create} {what} {how}": (*row, create, what, how) for name, row in PARENTS.items()
                   for create in ("no", "auto") for what in ("missing", "file", "link to a file") for how in ("SMTP", "LMTP")})
def test_a_directory_above_all_mailboxes_that_is_missing_is_a_fault(template, settings, lines, create, what, how):
    """Real senders 15 and 16: the settings name it, so no address is unknown for that, and none goes to the
    catch-all."""
    place = Place(template=template, maildir_create=create)
    place.site.set(**settings)
    if lines:
        by_table(place, lines)
    make_maildir(place.root / "other")
    fault = f"{place.root}/users: No such file or directory"
    if what == "file":
        (place.root / "users").write_text("")
        fault = f"{place.root}/users: is not a directory"
    elif what == "link to a file":
        (place.root / "file").write_text("")
        (place.root / "users").symlink_to("file")
        fault = f"{place.root}/file: is not a directory"
    to = f"postmaster@{DOMAIN}" if settings.get("postmaster") else ALICE
    harness.equal(place.deliver((to,), lmtp=how == "LMTP"), [451])
    place.check_both(fault)
    if what != "missing":
        (place.root / "users").unlink()
    (place.root / "users/a").mkdir(parents=True)
    (place.root / "users/b").mkdir()
    harness.equal(place.deliver((to,), lmtp=how == "LMTP"), [451 if template.startswith("users/a") else
                                                            250 if settings.get("catch_all") == "other" else 550])


def test_a_directory_above_all_mailboxes_that_cannot_be_made():
    """Real sender 15: where addresses may make it it is none either while there is a file in its place."""
    place = Place(template="users/%u", maildir_create="yes")
    (place.root / "users").write_text("")
    harness.equal(place.deliver(), [451])
    place.check_both(f"{place.root}/users: is not a directory")
    (place.root / "users").unlink()
    harness.equal(place.deliver(), [250])


NAMED = {"line": ({}, f"{ALICE} boxes/alice\n", "boxes/alice"), "line of the template": ({}, f"{ALICE}\n", f"{DOMAIN}/alice"),
         "line of a domain": ({}, f"@{DOMAIN} rest\n", "rest"), "line with a catch-all": ({"catch_all": "other"}, f"{ALICE} a\n", "a"),
         "catch-all": ({"catch_all": f"info@{DOMAIN}"}, None, f"{DOMAIN}/info"),
         "catch-all of the table": ({"catch_all": f"info@{DOMAIN}"}, f"info@{DOMAIN} info\n", "info"),
         "postmaster": ({"postmaster": f"info@{DOMAIN}"}, None, f"{DOMAIN}/info")}


@harness.table_of({f"{name} {how}": (*row, how) for name, row in NAMED.items() for how in ("SMTP", "LMTP", "BDAT")})
def test_a_mailbox_that_is_named_and_missing_is_a_fault(settings, lines, path, how):
    """Real sender 15: a backup without empty folders has nothing of an empty mailbox, and none is made here."""
    place = Place(maildir_create="no")
    place.site.set(**settings)
    if lines:
        by_table(place, lines)
    make_maildir(place.root / "other")
    make_maildir(place.domain / "other")
    to = "postmaster" if "postmaster" in settings else ALICE
    if "postmaster" in settings:
        place.site.set(hostname=DOMAIN)
    harness.equal(place.deliver((to,), lmtp=how == "LMTP", chunk=how == "BDAT"), [451])
    place.check_both(f"{place.root}/{path}: No such file or directory")
    make_maildir(place.root / path)
    harness.equal(place.deliver((to,), lmtp=how == "LMTP", chunk=how == "BDAT"), [250])
    harness.equal(place.check().returncode, 0)


# A mailbox that is closed for writing


CLOSED = {"new": "new: Permission denied", "itself": "cur: Permission denied", "absent": ": Permission denied"}


@harness.table_of({f"{what} {how}": (what, how) for what in CLOSED for how in ("SMTP", "LMTP", "BDAT")})
def test_a_closed_mailbox_costs_the_others_nothing(what, how):
    """Real sender 17: it is known at RCPT, so that bob gets the message."""
    place = Place(user="nobody", maildir_create="yes" if what == "absent" else "no")
    for name in ("alice", "bob"):
        make_maildir(place.domain / name, owner=65534)
    os.chown(place.root, 65534, 65534)
    fault = place.alice / "new"
    if what == "new":
        (place.alice / "new").chmod(0o500)
    elif what == "itself":
        (place.alice / "cur").rmdir()
        place.alice.chmod(0o500)
        fault = place.alice / "cur"
    else:
        shutil.rmtree(place.alice)
        fault = place.alice
    recipients = (ALICE, f"bob@{DOMAIN}")
    harness.equal(place.rcpt(recipients), [451, 250])
    place.site.arguments = ["--lmtp"] if how == "LMTP" else []
    client = place.site.connect()
    client.lhlo() if how == "LMTP" else client.ehlo()
    client.say(f"MAIL FROM:<{SENDER}>", 250)
    client.say(f"RCPT TO:<{ALICE}>", 451)
    client.say(f"RCPT TO:<bob@{DOMAIN}>", 250)
    harness.equal(place._content(client, how == "BDAT", 1), [250])
    client.quit()
    harness.equal(len(place.site.new(place.domain / "bob")), 1)
    harness.equal(place.fault(), f"{fault}: Permission denied")
    if what != "absent":
        done = place.check()
        harness.equal(done.returncode, 78, done.stdout)
        harness.contains(done.stdout, f"{fault}: Permission denied")


def test_a_mailbox_on_a_file_system_for_reading():
    """Real sender 17: known at RCPT, for root, too."""
    place = Place()
    for name in ("alice", "bob"):
        make_maildir(place.domain / name)
    harness.mount("--bind", place.alice, place.alice)
    harness.at_end(unmount, place.alice)
    harness.mount("-o", "remount,bind,ro", place.alice)
    harness.equal(place.rcpt((ALICE, f"bob@{DOMAIN}")), [451, 250])
    harness.equal(place.deliver(), [451])
    place.check_both(f"{place.alice}/new: Read-only file system")


@harness.table(needed=(True,), not_needed=(False,))
def test_a_closed_tmp_is_a_fault_where_it_is_needed(needed):
    """Real sender 17: a file system with O_TMPFILE stores a message without it."""
    place = Place(user="nobody")
    if needed:
        place.domain.rmdir()
        bindfs(place)
    alice = make_maildir(place.root / DOMAIN / "alice", owner=65534)
    bob = make_maildir(place.root / DOMAIN / "bob", owner=65534)
    (alice / "tmp").chmod(0o500)
    os.chown(place.root, 65534, 65534)
    harness.equal(place.rcpt((ALICE, f"bob@{DOMAIN}")), [451 if needed else 250, 250])
    if needed:
        harness.equal(place.deliver(), [451])
        place.check_both(f"{alice}/tmp: Permission denied")
    assert bob.exists()


# More mailboxes than descriptors


@harness.table_of({f"{limit} {owners} {how} {there}": (limit, owners, how, there) for limit in (40, 64)
                   for owners in ("one", "many") for how in ("SMTP", "LMTP", "BDAT") for there in ("new", "old", "bare")})
def test_recipients_that_do_not_fit_are_told_at_once(limit, owners, how, there):
    """Real sender 8: RFC 5321 4.5.3.1.10, those that were accepted get the message, also into mailboxes to be made."""
    harness.need("prlimit")
    place = Place(maildir_create="yes")
    names = [f"user{i}" for i in range(40)]
    for i, name in enumerate(names if there != "new" else ()):
        make_maildir(place.domain / name, PARTS if there == "old" else ("cur",), owner=OTHER + (i if owners == "many" else 0))
    place.site.arguments = ["--lmtp"] if how == "LMTP" else []
    client = place.site.connect(wrap=("prlimit", f"--nofile={limit}:{limit}"))
    hello = client.lhlo() if how == "LMTP" else client.ehlo()
    offered = int(re.search(r"RCPTMAX=(\d+)", "\n".join(hello.lines)).group(1))
    client.say(f"MAIL FROM:<{SENDER}>", 250)
    codes = []
    for name in names:
        client.send(f"RCPT TO:<{name}@{DOMAIN}>\r\n")
        codes.append(client.reply().code)
    n = codes.count(250)
    assert 0 < offered <= n < 40, (offered, codes)
    harness.equal(codes, [250] * n + [452] * (40 - n))
    harness.equal(place._content(client, how == "BDAT", n if how == "LMTP" else 1), [250] * (n if how == "LMTP" else 1))
    client.quit()
    for name in names[:n]:
        harness.check_stored(place.site.new(place.domain / name)[0], harness.sample())
    harness.equal(place.site.leftovers(), [])
    harness.contains(place.fault(), f"/new: {FEW_FILES}")


def test_all_addresses_of_one_mailbox_need_no_more_descriptors():
    """RFC 9422 3: EHLO names the limit that there is."""
    harness.need("prlimit")
    client = Site(maildir="box").connect(wrap=("prlimit", "--nofile=40:40"))
    harness.contains("\n".join(client.ehlo().lines), "RCPTMAX=1000")
    client.quit()


@harness.table(template=("%d/" + 1015 * "x" + "/%u", None), line=("%d/%u", "x/%d/" * 100))
def test_a_path_that_is_too_long_is_a_fault_of_this_host(template, line):
    """What an administrator can repair is never a permanent refusal."""
    settings = {}
    if line:
        table = harness.scratch() / "recipients"
        table.write_text(f"{ALICE} {line}%u\n")
        settings["recipients"] = table
    place = Place(template, **settings)
    harness.equal(place.deliver(), [451])
    harness.contains(place.fault(), f"{place.root}: the path of a mailbox below it is longer than 1023 octets")


def test_check_names_a_maildir_that_is_too_long():
    site = Site(maildir="%d/" + 1022 * "x" + "/%u")
    done = harness.run(*site.command(), "--check")
    harness.equal(done.returncode, 78, done.stdout)
    harness.contains(done.stdout, "maildir: has more than 1023 octets below mail-root")


# Less space than the message needs


@harness.table(new=False, old=True)
def test_a_message_that_does_not_fit_is_refused_before_it_is_sent(exists):
    """RFC 1870 6.1: SIZE is compared with the space of the file system that the mailbox is on."""
    place = Place(maildir_create="yes")
    harness.small_file_system(place.domain if exists else place.root, "512k")
    make_maildir(place.domain / "bob")
    if exists:
        make_maildir(place.alice)
    client = place.site.connect()
    client.ehlo()
    for size, code in ((600_000, 452), (500_000, 250), (0, 250)):
        client.say(f"MAIL FROM:<{SENDER}> SIZE={size}", 250)
        client.say(f"RCPT TO:<{ALICE}>", code)
        client.say(f"RCPT TO:<bob@{DOMAIN}>", code)
        client.say("RSET", 250)
    client.quit()
    record = place.site.records("message")[0]
    name = f"{place.alice}/new" if exists else place.alice
    harness.contains(record["delivery_fault"], f"{name}")
    harness.contains(record["delivery_fault"], ": No space left on device for a message of the size that the client declares")
    harness.equal(record["reason"], "452 4.3.1 Insufficient storage; try later")


# The record of a message that could not be stored


ERRORS = {"EACCES": "Permission denied", "EROFS": "Read-only file system", "EXDEV": "Invalid cross-device link",
          "EIO": "Input/output error", "EDQUOT": "Disk quota exceeded", "ENOSPC": "No space left on device"}


@harness.table_of({f"{call} {error} {how}": (call, error, how) for how in ("SMTP", "LMTP")
                   for call, error in (*(("linkat", e) for e in ERRORS), ("fsync", "EIO"), ("fsync", "ENOSPC"))})
def test_why_a_message_was_not_stored_is_in_its_record(call, error, how):
    """Real sender 17, RFC 5321 4.2.1: the path and the system's words, and no permanent refusal."""
    harness.need("strace")
    place = Place()
    make_maildir(place.alice)
    code = 452 if error in ("EDQUOT", "ENOSPC") else 451
    codes = place.deliver(lmtp=how == "LMTP", wrap=(
        "strace", "-f", "-qq", "-o", place.site.dir / "trace", "-e", f"trace={call}", "-e",
        f"inject={call}:error={error}"))
    harness.equal(codes, [code])
    harness.equal(place.fault(), f"{place.alice}/new: {ERRORS[error]}")
    harness.equal(place.site.records("message")[-1]["status"], "Delivery Error (SMTP Receive)")


@harness.table_of({f"{limit} {how}": (limit, how) for limit in (10, 13, 16) for how in ("SMTP", "LMTP", "BDAT")})
def test_no_descriptors_for_the_first_mailbox_are_a_fault(limit, how):
    """Real sender 17: the client can send to fewer recipients, but not to less than one."""
    harness.need("prlimit")
    place = Place()
    make_maildir(place.alice)
    codes = place.deliver(lmtp=how == "LMTP", chunk=how == "BDAT", wrap=("prlimit", f"--nofile={limit}:{limit}"))
    harness.equal(codes, [451])
    harness.equal(place.fault(), f"{place.alice}/new: {FEW_FILES}")
    harness.equal(place.site.records("message")[-1]["status"], "Delivery Error (SMTP Receive)")


@harness.table(process=("EMFILE", 452, FEW_FILES), host=("ENFILE", 451, "Too many open files in system"))
def test_no_descriptors_for_a_further_mailbox(error, code, words):
    """Real sender 17: those of this process are the client's matter (RFC 5321 4.5.3.1.10), those of the host never."""
    harness.need("strace")
    place = Place()
    boxes = [make_maildir(place.domain / name) for name in ("alice", "bob")]
    client = place.site.connect(wrap=("strace", "-f", "-qq", "-o", place.site.dir / "trace", "-P", boxes[1], "-e",
                                      "trace=openat", "-e", f"inject=openat:error={error}:when=2"))
    client.ehlo()
    client.say(f"MAIL FROM:<{SENDER}>", 250)
    client.say(f"RCPT TO:<{ALICE}>", 250)
    client.say(f"RCPT TO:<bob@{DOMAIN}>", code)
    client.say("DATA", 354)
    harness.equal(client.content(harness.sample()).code, 250)
    client.quit()
    harness.equal(place.fault(), f"{boxes[1]}/new: {words}")


def test_a_fault_of_one_recipient_is_in_the_record_of_the_others_message():
    """Real sender 17: bob gets the message, and the record shows why alice did not."""
    place = Place()
    make_maildir(place.domain / "bob")
    make_maildir(place.alice, ("cur",))
    (place.alice / "new").write_text("")
    client = place.site.connect()
    client.ehlo()
    client.say(f"MAIL FROM:<{SENDER}>", 250)
    client.say(f"RCPT TO:<{ALICE}>", 451)
    client.say(f"RCPT TO:<bob@{DOMAIN}>", 250)
    client.say("DATA", 354)
    harness.equal(client.content(harness.sample()).code, 250)
    client.envelope(recipients=(f"bob@{DOMAIN}",))
    client.say("DATA", 354)
    harness.equal(client.content(harness.sample()).code, 250)
    client.quit()
    first, second = place.site.records("message")
    harness.equal((first["outcome"], first["delivery_fault"], first["status"]), (
        "delivered", f"{place.alice}/new: is not a directory", "Delivery Error (SMTP Receive)"))
    harness.equal((second["outcome"], "delivery_fault" in second, "status" in second), ("delivered", False, False))


@harness.table(panel=((),), messages=(("--messages",),))
def test_the_panel_shows_where_a_message_could_not_be_stored(arguments):
    """Real sender 17: in the panel and in the list of messages."""
    program = harness.build / "src/postern-status"
    if not program.exists():
        raise harness.Skip("postern-status was not built")
    place = Place()
    make_maildir(place.alice, ("cur",))
    (place.alice / "new").write_text("")
    log = place.site.dir / "log.json"
    place.site.set(log=f"json:{log}")
    harness.equal(place.deliver(), [451])
    done = harness.run(program, "-c", place.site.settings_file, *arguments, log)
    harness.contains(done.stdout, "Delivery Error (SMTP Receive)")
    harness.contains(done.stdout, f"{place.alice}/new: is not a directory")


def test_a_broken_line_of_the_table_is_in_the_record():
    """Real sender 17: which table, which line, which word."""
    place = Place()
    table = place.site.dir / "recipients"
    table.write_text(f"{ALICE} boxes/alice atuh\n")
    place.site.set(recipients=table)
    harness.equal(place.deliver(), [451])
    harness.equal(place.fault(), f"{table}: {ALICE}: atuh: is not auth, deny or milters=off")


@harness.about_modules
@harness.table_of({f"{verb} {how}": (verb, how) for verb in ("MAIL", "RCPT", "domain") for how in ("SMTP", "LMTP")})
def test_why_a_name_cannot_be_read_is_in_the_record(verb, how):
    """Real sender 17: the module that is missing, in the words of the record of the error, and as a fault of this
    host."""
    place = Place(domains=f"{DOMAIN} b\u00fccher.example")
    make_maildir(place.alice)
    files = harness.scratch()
    for path in harness.program().parent.iterdir():
        if path.is_file() and path.name != "idn.so":
            shutil.copy(path, files)
    site = place.site
    command = site.command()
    site.command = lambda: [str(files / "postern"), *command[1:], *site.arguments]
    site.arguments = ["--lmtp"] if how == "LMTP" else []
    client = site.connect()
    client.lhlo() if how == "LMTP" else client.ehlo()
    sender = "jos\u00e9@b\u00fccher.example" if verb == "MAIL" else SENDER
    client.send(f"MAIL FROM:<{sender}> SMTPUTF8\r\n".encode())
    if verb != "MAIL":
        client.expect(250)
        to = f"jos\u00e9@{DOMAIN}" if verb == "RCPT" else "user@xn--other-name.example"
        client.send(f"RCPT TO:<{to}>\r\n".encode())
    client.expect(451, "4.3.0")
    client.say("RSET", 250)
    client.say(f"MAIL FROM:<{SENDER}>", 250)  # the fault is over with the message
    client.say(f"RCPT TO:<{ALICE}>", 250)
    client.quit()
    first, second = site.records("message")
    harness.contains(first["delivery_fault"], f"smtputf8: {files}/idn.so: cannot open shared object file")
    harness.contains(site.records("error")[0]["text"], first["delivery_fault"][:200])
    harness.equal(first["status"], "Delivery Error (SMTP Receive)")
    harness.equal(first["reason"], "451 4.3.0 No internationalized addresses for now; try later")
    assert not {"delivery_fault", "status"} & set(second), second


def test_the_fault_of_a_report_has_its_path():
    """Real sender 17: the outbox, which costs no mail."""
    place = Place()
    make_maildir(place.alice)
    outbox = make_maildir(place.site.dir / "outbox")
    place.site.set(dsn_outbox=outbox)
    client = place.site.connect()
    client.ehlo()
    shutil.rmtree(outbox / "new")
    (outbox / "new").write_text("")
    client.envelope(recipients=(ALICE,), parameters=" NOTIFY=SUCCESS")
    client.say("DATA", 354)
    harness.equal(client.content(harness.sample()).code, 250)
    client.quit()
    record = place.site.records("message")[-1]
    harness.equal(record["report_fault"], f"{outbox}/new: is not a directory")


def test_a_trace_that_cannot_be_written_is_reported():
    """Real sender 17: the file and the system's words, in a record of its own."""
    place = Place(trace="127.0.0.1")
    make_maildir(place.alice)
    traces = harness.small_file_system(place.site.dir / "traces", "64k")
    harness.fill(traces)
    place.site.set(trace_directory=traces)
    harness.equal(place.deliver(), [250])
    text = [r["text"] for r in place.site.records("error")]
    assert any(re.search(rf"^trace-directory {traces}.*: No space left on device", t) for t in text), text


@harness.table(SMTP=(False, [451]), LMTP=(True, [451, 250]))
def test_a_mailbox_that_is_removed_before_the_content_is_named_as_missing(lmtp, codes):
    """Its recipient is to come again, and those of other mailboxes are served where they have replies of their own."""
    place = Place()
    boxes = [make_maildir(place.domain / name) for name in ("alice", "bob")]
    place.site.arguments = ["--lmtp"] if lmtp else []
    client = place.site.connect()
    client.lhlo() if lmtp else client.ehlo()
    client.envelope(recipients=MANY[:2])
    shutil.rmtree(boxes[0])
    client.send("DATA\r\n")
    harness.equal(client.reply().code, 354)
    found = [client.content(harness.sample()).code] + [client.reply().code for _ in codes[1:]]
    client.quit()
    harness.equal(found, codes)
    harness.equal(place.fault(), f"{boxes[0]}/new: No such file or directory")
    harness.equal(len(place.site.new(boxes[1])), codes.count(250))
    harness.equal(place.site.leftovers(), [])


if __name__ == "__main__":
    harness.main()
