#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""postern-pipe: a program runs for each message, in order, with the facts of the message; its exit status decides."""

import json
import os
import re
import shutil
import signal
import socket
import time

import harness
import logins
from harness import RECIPIENT, SENDER, Site
from pipebox import EX_CONFIG, EX_TEMPFAIL, EX_USAGE, FIRST, PipeBox, facts, message, program, read_environment


# Order


def test_messages_are_processed_in_order_of_arrival_before_and_after_the_start():
    box = PipeBox()
    late, early = f"{FIRST + 9}.M5P1Q1.h", f"{FIRST + 2}.M10P1Q1.h"
    earliest = f"{FIRST + 2}.M9P2Q1.h"
    for name in (late, early, earliest):
        box.put(name=name)
    box.start()
    box.expect(cur=[late, early, earliest])
    for number in (20, 21):
        box.put(name=f"{FIRST + number}.M1P1Q1.h")
        box.await_starts(number - 16)
    box.stop()
    harness.equal(box.order(), [earliest, early, late, f"{FIRST + 20}.M1P1Q1.h", f"{FIRST + 21}.M1P1Q1.h"])
    harness.equal({r["outcome"] for r in box.records()}, {"done"})


def test_a_message_that_waits_holds_back_none():
    box = PipeBox()
    box.be("$(test -e $0.fixed || echo 75)", "case $name in *first*) ;; *) exit 0; esac")
    first, second = box.put(name=f"{FIRST}.first"), box.put()
    box.start()
    box.expect(new=[first], cur=[second])
    (box.site / "program.fixed").touch()
    box.expect(cur=[first, second])
    box.stop()
    harness.equal(box.order()[:2], [first, second])
    assert len(box.order()) >= 3
    harness.equal(box.records()[0]["reason"], "exit status 75")
    harness.equal(box.records()[-1]["waiting"], "0")


def test_in_strict_order_it_does():
    box = PipeBox()
    box.be("$(test -e $0.fixed || echo 75)")
    first, second = box.put(), box.put()
    box.start("--strict-order")
    box.await_starts(3)
    harness.equal(set(box.order()), {first})
    (box.site / "program.fixed").touch()
    box.expect(cur=[first, second])
    box.stop()
    harness.equal(box.order()[-1], second)


def test_so_many_programs_run_at_once():
    box = PipeBox()
    box.be(0, f"until test -e {box.site}/go; do sleep 0.05; done")
    names = [box.put() for _ in range(5)]
    box.start("-n", "3")
    box.await_starts(3)
    time.sleep(0.3)
    harness.equal(sorted(box.order()), names[:3])
    (box.site / "go").touch()
    box.expect(cur=names)
    box.stop()


# What the program gets


def test_the_program_gets_the_message_and_what_is_known_of_it():
    box = PipeBox()
    name = box.put()
    with open(box.log, "ab") as log:
        box.process = harness.start(*box.command(), "--", "-x", "a b", "$(id)", stderr=log, stdout=log,
                                    env=harness.environment(TOKEN="kept", POSTERN_SENDER="the caller's",
                                                            POSTERN_X="y", NOTIFY_SOCKET="/nowhere"))
    box.expect(cur=[name])
    box.stop()
    arguments, environment, octets, run = box.run_of()
    harness.equal(arguments, [b"--", b"-x", b"a b", b"$(id)"])
    harness.equal(octets, message())
    harness.equal(facts(environment), {
        "FILE": f"{box.new}/{name}".encode(), "SENDER": SENDER.encode(), "RECIPIENT": RECIPIENT.encode(),
        "RECIPIENTS": RECIPIENT.encode(), "PEER": b"192.0.2.7", "TLS": b"TLS_AES_256_GCM_SHA384",
        "SUBJECT": b"message 1", "MESSAGE_ID": b"<1@example.net>"})
    harness.equal(environment[b"TOKEN"], b"kept")
    assert b"NOTIFY_SOCKET" not in environment
    harness.equal([line.split()[8] for line in (run / "descriptors").read_text().splitlines()[1:]
                   if int(line.split()[8]) < 10 and "/program" not in line], ["0", "1", "2"])


def test_nothing_of_the_envelope_is_taken_from_the_message():
    """A message that brings all fields itself, of which postern has written none."""
    box = PipeBox()
    forged = message(1).replace(b"ESMTPS id", b"ESMTPSA id")
    box.put(b"Return-Path: <>\nReceived: from unknown\n\tby mail.example.org with LMTP id 1;\n"
            b"\tSun, 30 Nov 2025 00:00:00 +0000\nX-Original-To: a@evil.example\n" + forged)
    box.start()
    box.await_starts(1)
    box.expect(cur=box.order())
    box.stop()
    found = facts(box.run_of()[1])
    del found["FILE"]
    harness.equal(found, {"SENDER": b"", "SUBJECT": b"message 1", "MESSAGE_ID": b"<1@example.net>"})


def test_values_of_the_peer_are_no_shell_and_no_options():
    box = PipeBox()
    sender = '"$(touch x)`id`;-rf > /"@example.net'
    subject = b"=?utf-8?q?--output=3D/etc/x=0A=1B[31m_=E2=98=BA?="
    box.put(message().replace(SENDER.encode(), sender.encode()).replace(b"message 1", subject))
    box.start()
    box.expect(cur=[f"{FIRST + 1}.M1P1Q1.{harness.HOST},S=1"])
    box.stop()
    arguments, environment, *_ = box.run_of()
    harness.equal(arguments, [])
    harness.equal(facts(environment)["SENDER"].decode(), sender)
    harness.equal(facts(environment)["SUBJECT"].decode(), " --output=/etc/x  [31m ☺")


def test_what_postern_delivers_is_what_the_program_gets():
    place = Site(tls="on", pair=harness.pair())
    client = place.connect()
    client.ehlo()
    client.starttls()
    client.ehlo()
    harness.equal(client.message(harness.sample()).code, 250)
    client.quit()
    path = place.only_message()
    box = PipeBox(place.maildir)
    place.maildir.chmod(0o700)
    box.start()
    box.expect(cur=[path.name])
    client = place.connect()
    client.ehlo()
    harness.equal(client.message(harness.sample(), sender="").code, 250)
    client.quit()
    harness.eventually(lambda: len(os.listdir(box.cur)) == 2, "the second message")
    box.stop()
    runs = sorted(box.runs_dir.iterdir(), key=lambda p: p.stat().st_mtime)
    first, second = (facts(read_environment(path)) for path in runs)
    harness.equal((first["SENDER"], first["RECIPIENT"], first["PEER"]),
                  (SENDER.encode(), RECIPIENT.encode(), b"127.0.0.1"))
    assert first["TLS"].startswith(b"TLS_")
    harness.equal((second["SENDER"], second["PEER"]), (b"", b"127.0.0.1"))
    assert "TLS" not in second


def test_the_user_who_had_logged_in_is_known():
    place = logins.site()
    client = logins.secure(place)
    client.say(f"AUTH PLAIN {logins.plain()}", 235)
    # the same field of the client's own means nothing
    forged = (b"Received: from x ([192.0.2.66])\r\n\tby y with ESMTPA id 1\r\n"
              b"\t(Authenticated sender: eve);\r\n\tdate\r\n")
    harness.equal(client.message(forged + harness.sample(), sender="").code, 250)
    client.quit()
    place.maildir.chmod(0o700)
    box = PipeBox(place.maildir)
    box.start()
    box.await_starts(1)
    box.expect(cur=box.order())
    box.stop()
    found = facts(read_environment(next(box.runs_dir.iterdir())))
    harness.equal((found["USER"], found["PEER"]), (logins.USER.encode(), b"127.0.0.1"))


# What its exit status decides


@harness.table_of({"exit 75": ("exit 75", "exit status 75"), "a signal": ("kill -KILL $$", "signal 9")})
def test_what_may_pass_is_tried_again(also, reason):
    box = PipeBox()
    box.be(0, f"test -e {box.site}/fixed || {also}")
    name = box.put()
    box.start()
    box.await_starts(2)
    box.expect(new=[name])
    (box.site / "fixed").touch()
    box.expect(cur=[name])
    box.stop()
    harness.equal([r["outcome"] for r in box.records()], ["later"] * (len(box.order()) - 1) + ["done"])
    harness.equal(box.records()[0]["reason"], reason)
    harness.equal(os.listdir(box.dir / "pipe" / "tried"), [])


def test_a_program_that_takes_too_long_is_stopped_with_its_children():
    box = PipeBox()
    box.be(0, f"test -e {box.site}/fixed && exit 0; trap '' TERM; sleep 1000 & echo $! >{box.site}/child; wait; wait")
    name = box.put()
    box.start("--timeout=1")
    child = int(harness.eventually(lambda: (box.site / "child").exists() and (box.site / "child").read_text(), "child"))
    harness.eventually(lambda: box.records(), "a record")
    (box.site / "fixed").touch()
    box.expect(cur=[name])
    box.stop()
    harness.equal(box.records()[0]["reason"], "it did not end within 1 seconds, and was stopped")
    harness.equal(box.records()[0]["outcome"], "later")
    harness.eventually(lambda: not is_running(child), "the end of the child")


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_program_that_is_not_there_may_be_mended():
    box = PipeBox()
    box.program.rename(box.site / "away")
    name = box.put()
    box.start()
    harness.eventually(box.records, "a record")
    box.expect(new=[name])
    (box.site / "away").rename(box.program)
    box.expect(cur=[name])
    box.stop()
    harness.equal(box.records()[0]["reason"], "the program cannot be run: No such file or directory")


@harness.table_of({f"exit {n}": n for n in (1, 65, 74, 127, 255)})
def test_any_other_status_is_a_failure_with_a_note(status):
    box = PipeBox()
    box.be(status, "head -c 5000 /dev/zero | tr '\\0' x >&2; echo the end >&2")
    name = box.put()
    box.start()
    box.expect(failed=[name])
    box.stop()
    harness.equal((box.failed / name).read_bytes(), message())
    note = box.note(name)
    harness.contains(note, f"Message: {name}\n")
    harness.contains(note, f"\nProgram: {box.program}\nResult: exit status {status}\nTries: 1\n\n")
    harness.equal(note.split("\n\n", 1)[1], "x" * 4096)
    record = box.records()[0]
    harness.equal((record["outcome"], record["status"], record["reason"], record["file"], record["mailbox"]),
                  ("failed", "Program Error (Pipe)", f"exit status {status}", name, str(box.dir)))
    harness.contains(box.log_text(), "the end\n", "standard error is passed on")


@harness.table(longest=255, with_room_for_the_note=251, just_too_long=252)
def test_a_message_with_a_long_name_has_a_note_too(length):
    box = PipeBox()
    box.be(1)
    name = box.put(name=f"{FIRST}.M1P1Q1.".ljust(length, "h"))
    box.start()
    harness.eventually(lambda: not os.listdir(box.new), box.log_text())
    box.stop()
    failed, note = sorted(os.listdir(box.failed))
    harness.equal((note, name.startswith(failed)), (f"{failed}.txt", True))
    harness.contains(box.note(failed), f"Message: {name}\n")
    box.start()
    box.stop()
    harness.equal(sorted(os.listdir(box.failed)), [failed, note], "and a start removes none")


def test_a_failed_message_that_is_put_back_is_processed():
    box = PipeBox()
    box.be(1)
    name = box.put()
    box.start()
    box.expect(failed=[name])
    box.be(0)
    os.rename(box.failed / name, box.new / name)
    box.expect(cur=[name])
    box.stop()
    box.start()
    box.expect(cur=[name])
    harness.eventually(lambda: not os.listdir(box.failed), "the removal of the note")
    box.stop()


def test_a_message_is_given_up_at_the_end_of_its_time():
    box = PipeBox()
    box.be(75)
    name = box.put()
    box.start("--retry-for=3")
    box.expect(failed=[name])
    box.stop()
    tries = len(box.order())
    assert tries >= 3, tries
    harness.contains(box.note(name), f"Result: exit status 75; given up after {tries} tries\nTries: {tries}\n")
    harness.equal([r["outcome"] for r in box.records()], ["later"] * (tries - 1) + ["failed"])


def test_the_time_of_trying_goes_on_after_a_restart():
    box = PipeBox()
    box.be(75)
    name = box.put()
    box.start("--retry-for=4")
    box.await_starts(3)
    box.stop()
    harness.equal((box.dir / "pipe" / "tried" / name).read_text().split()[0], "3")
    box.start("--retry-for=4")
    box.expect(failed=[name])
    box.stop()
    tries = int(box.note(name).split("Tries: ")[1].split()[0])
    harness.equal(tries, len(box.order()))


def test_what_is_no_file_is_a_failure():
    box = PipeBox()
    (box.site / "secret").write_text("secret")
    (box.new / "1.link").symlink_to(box.site / "secret")
    os.mkfifo(box.new / "2.fifo")
    (box.new / "3.folder").mkdir()
    name = box.put()
    box.start()
    box.expect(cur=[name], failed=["1.link", "2.fifo", "3.folder"])
    box.stop()
    harness.equal(box.order(), [name])
    harness.contains(box.note("1.link"), "it is not a regular file")


# Where messages go


def test_processed_messages_are_removed_where_that_is_wanted():
    box = PipeBox()
    box.put()
    box.start("--delete")
    box.await_starts(1)
    box.expect()
    box.stop()


def test_processed_messages_are_removed_later():
    box = PipeBox()
    name = box.put()
    (box.cur / "folder").mkdir()
    box.start("--keep=2")
    box.expect(cur=[name, "folder"])
    harness.eventually(lambda: os.listdir(box.cur) == ["folder"], "its removal")
    box.stop()


def test_processed_messages_stay_in_new_and_are_remembered():
    box = PipeBox()
    box.be("$(case $name in *bad*) echo 1; esac)")
    good, bad = box.put(), box.put(name=f"{FIRST + 5}.bad")
    box.start("--keep-new")
    box.await_starts(2)
    done = box.dir / "pipe" / "done"
    harness.eventually(lambda: sorted(os.listdir(done)) == [good, bad], "both remembered")
    box.stop()
    harness.equal(box.names(), {"new": [good, bad], "cur": [], "failed": [bad]})
    harness.contains(box.note(bad), "exit status 1")
    box.start("--keep-new")
    more = box.put(name=f"{FIRST + 9}.more")
    harness.eventually(lambda: more in os.listdir(done), "the third message")
    harness.equal(box.order(), [good, bad, more])
    # a reader takes one away
    os.rename(box.new / good, box.cur / f"{good}:2,S")
    harness.eventually(lambda: good not in os.listdir(done), "that it is forgotten")
    box.stop()
    os.unlink(box.new / more)
    box.start("--keep-new")
    harness.eventually(lambda: os.listdir(done) == [bad], "that the other is, too")
    box.stop()


# Copies without fields, and notes


def test_a_stripped_message_is_what_the_client_sent_without_blind_copies():
    """All octets but those fields, also for a program that goes back to the beginning of its input."""
    box = PipeBox()
    box.be(0, "python3 -c 'import sys; sys.stdin.buffer.seek(0); "
              "sys.stdout.buffer.write(sys.stdin.buffer.read())' <&0 >${run%.new}/again")
    own = ("Received: from a\n\tby b;\n\tdate\nBCC: eve@example.net,\n\tmal@example.net\n"
           "Resent-bcc : eve@example.net\nX-Original-To: kept@example.net\nbcc-not: kept\n")
    body = "Bcc: in the body\n\n\0 octets \n" + "Bcc: x\n" * 20000 + "no line end"
    names = [box.put(message(1, own, body)), box.put(message(2, "", "").rstrip(b"\n") + b"\nBcc: eve@example.net")]
    box.start("--strip")
    box.expect(cur=names)
    box.stop()
    _, environment, octets, run = box.run_of(1)
    kept = "Received: from a\n\tby b;\n\tdate\nX-Original-To: kept@example.net\nbcc-not: kept\n"
    wanted = message(1, kept, body).split(b" +0000\n", 1)[1]
    harness.equal(octets, wanted)
    harness.equal((run / "again").read_bytes(), wanted)
    harness.equal(facts(environment)["RECIPIENTS"], RECIPIENT.encode())
    harness.equal(box.run_of(2)[2], b"Subject: message 2\nMessage-ID: <2@example.net>\n")


def test_a_message_without_fields_of_postern_is_not_handed_on():
    box = PipeBox()
    names = [box.put(b"X-Original-To: a@example.net\n" + message(1)), box.put(b"")]
    box.start("--strip")
    box.expect(failed=names)
    box.stop()
    harness.equal(box.order(), [])
    harness.contains(box.note(names[0]), "Result: postern's fields are not on top of it (--strip)")


def test_the_fields_of_a_thousand_recipients_are_stripped():
    box = PipeBox()
    address = "a" * 60 + "@" + "b" * 60 + ".example.org"
    many = "".join(f"X-Original-To: {n}{address}\n" for n in range(1000)).encode()
    text = message(1)
    box.put(text.replace(b"Delivered-To:", many + b"Delivered-To:", 1))
    box.start("--strip")
    # more than Linux lets one variable have: that does not pass, so it is not tried for days
    box.expect(failed=[f"{FIRST + 1}.M1P1Q1.{harness.HOST},S=1"])
    text = text.replace(b"Delivered-To:", many[:100000].rpartition(b"\n")[0] + b"\nDelivered-To:", 1)
    name = box.put(text)
    box.expect(cur=[name], failed=[f"{FIRST + 1}.M1P1Q1.{harness.HOST},S=1"])
    box.stop()
    octets = box.run_of(2)[2]
    harness.equal(octets, message(1).split(b" +0000\n", 1)[1])
    harness.contains(box.log_text(), "its recipients are more than a variable can hold")


def notes_of(box):
    notes = box.site / "notes"
    for part in ("new", "cur", "tmp"):
        (notes / part).mkdir(parents=True)
        (notes / part).chmod(0o700)
    notes.chmod(0o700)
    return notes


def test_people_get_a_note_when_a_message_has_failed():
    box = PipeBox()
    notes = notes_of(box)
    box.be("$(case $name in *later*) echo 75; esac)", "case $name in *bad*) echo 'no such printer' >&2; exit 1; esac")
    bad, given_up = box.put(message(1, "Subject: \x01caf\xe9\n"), f"{FIRST + 1}.bad,S=1"), box.put(name=f"{FIRST}.later")
    note = box.put(name=f"{FIRST + 2}.bad.note")
    box.start(f"--notes={notes}", "--retry-for=1")
    box.expect(failed=[bad, given_up, note])
    box.stop()
    harness.equal(sorted(os.listdir(notes / "new")), [f"{FIRST}.later.note", f"{FIRST + 1}.bad.note"],
                  "a note about a note is none")
    harness.equal(os.listdir(notes / "tmp"), [])
    text = (notes / "new" / f"{FIRST + 1}.bad.note").read_text()
    for words in ("Return-Path: <>\n", "Auto-Submitted: auto-generated\n", f"{box.failed}", "Result: exit status 1",
                  "no such printer", f"> Return-Path: <{SENDER}>\n", "> Subject: ?caf"):
        harness.contains(text, words)
    assert "the body" not in text
    harness.contains((notes / "new" / f"{FIRST}.later.note").read_text(), "given up after")


def test_a_note_that_cannot_be_written_keeps_the_message():
    box = PipeBox()
    box.be(1)
    notes = notes_of(box)
    (notes / "new").rmdir()
    name = box.put()
    box.start(f"--notes={notes}")
    harness.eventually(lambda: "a failed message stays in new/" in box.log_text(), "a record")
    box.expect(new=[name])
    box.stop()
    (notes / "new").mkdir(0o700)
    box.start(f"--notes={notes}")
    box.expect(failed=[name])
    box.stop()
    harness.equal(len(os.listdir(notes / "new")), 1)


# Instances and signals


def test_a_maildir_has_one_instance():
    box = PipeBox()
    box.start()
    harness.eventually(lambda: (box.dir / "pipe" / "done").exists(), "the start")
    second = harness.run(*box.command())
    harness.equal(second.returncode, EX_TEMPFAIL)
    harness.contains(second.stdout, "another postern-pipe works on it")
    box.stop()
    box.start()
    name = box.put()
    box.expect(cur=[name])
    box.stop()


def test_a_stop_lets_the_program_end():
    box = PipeBox()
    box.be(0, f"until test -e {box.site}/go; do sleep 0.05; done")
    first, second = box.put(), box.put()
    box.start()
    box.await_starts(1)
    box.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    harness.equal(box.process.poll(), None)
    (box.site / "go").touch()
    harness.equal(box.process.wait(harness.PATIENCE), 0)
    box.expect(new=[second], cur=[first])


def test_a_second_signal_stops_it():
    box = PipeBox()
    box.be(0, "exec sleep 1000")
    name = box.put()
    box.start()
    box.await_starts(1)
    box.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    box.process.send_signal(signal.SIGINT)
    harness.equal(box.process.wait(harness.PATIENCE), 0)
    box.expect(new=[name])
    harness.equal(box.records()[0]["outcome"], "later")


def test_it_sleeps_while_there_is_nothing_to_do():
    box = PipeBox()
    box.start()
    name = box.put()
    box.expect(cur=[name])

    def ticks():
        with open(f"/proc/{box.process.pid}/stat", encoding="ascii") as stat:
            return stat.read().rpartition(")")[2].split()[11:13]

    def switches():
        with open(f"/proc/{box.process.pid}/status", encoding="ascii") as status:
            return [line for line in status if "ctxt_switches" in line]
    harness.eventually(box.records, "the record")
    time.sleep(0.5)
    before = switches(), ticks()
    time.sleep(2)
    harness.equal((switches(), ticks()), before)
    box.stop()


# Maildirs that come and go


def test_a_maildir_that_does_not_exist_yet_is_awaited():
    box = PipeBox()
    shutil.rmtree(box.dir)
    box.start()
    harness.eventually(lambda: "No such file or directory" in box.log_text(), "a record")
    box.make()
    name = box.put()
    box.expect(cur=[name])
    box.stop()


@harness.table_of({f"{how} {where}{slash}": (how, where, slash) for how in ("renamed over", "removed")
                   for where in ("the Maildir", "above it") for slash in ("", " with a slash")})
def test_a_link_that_leads_to_another_maildir_is_noticed(how, where, slash):
    site = harness.scratch()
    for name in ("one", "two"):
        for part in ("new", "cur", "tmp"):
            (site / name / "box" / part).mkdir(parents=True, mode=0o700)
        (site / name / "box").chmod(0o700)
    rest = "box" if where == "the Maildir" else ""
    link = site / "link"
    link.symlink_to(site / "one" / rest)
    box = PipeBox(link if rest else link / "box")
    command = box.command
    box.command = lambda *options: [w + "/" if slash and w == str(box.dir) else w for w in command(*options)]
    box.start()
    first = box.put()
    box.expect(cur=[first])
    if how == "removed":
        link.unlink()
        link.symlink_to(site / "two" / rest)
    else:
        (site / "other").symlink_to(site / "two" / rest)
        (site / "other").rename(link)
    second = box.put()
    box.expect(cur=[second])
    box.stop()


@harness.table(removed="removed", moved="moved", moved_above="moved_above")
def test_a_maildir_that_is_made_again_is_processed(how):
    site = harness.scratch()
    (site / "above").mkdir()
    box = PipeBox(site / "above" / "box")
    box.make()
    box.start()
    first = box.put()
    box.expect(cur=[first])
    if how == "removed":
        shutil.rmtree(box.dir)
    else:
        which = box.dir if how == "moved" else box.dir.parent
        which.rename(site / "elsewhere")
    box.make()
    second = box.put()
    box.expect(cur=[second])
    box.stop()


def test_a_maildir_that_is_removed_while_the_program_runs_is_no_harm():
    box = PipeBox()
    box.be(0, f"until test -e {box.site}/go; do sleep 0.05; done")
    box.put()
    box.start()
    box.await_starts(1)
    shutil.rmtree(box.dir)
    (box.site / "go").touch()
    harness.eventually(box.records, "a record")
    box.make()
    name = box.put()
    box.expect(cur=[name])
    box.stop()


# Records


def test_records_go_where_those_of_postern_go():
    box = PipeBox()
    records, settings = box.site / "records", box.site / "settings"
    settings.write_text(f"log = json:{records}\n")
    box.be("$(case $name in *bad*) echo 3; esac)")
    good, bad = box.put(), box.put(name=f"{FIRST + 5}.bad")
    box.start("-c", settings)
    box.expect(cur=[good], failed=[bad])
    box.stop()
    found = [json.loads(line) for line in records.read_text().splitlines()]
    keys = ("event", "outcome", "level", "file", "mailbox", "program", "tries")
    harness.equal([tuple(r[key] for key in keys) for r in found],
                  [("pipe", "done", "info", good, str(box.dir), str(box.program), 1),
                   ("pipe", "failed", "warning", bad, str(box.dir), str(box.program), 1)])
    harness.equal((found[0]["from"], found[0]["to"], found[0]["message_id"], found[0]["size"], found[0]["waiting"]),
                  (SENDER, [RECIPIENT], "<1@example.net>", len(message()), 1))
    panel = harness.build / "src" / "postern-status"
    if panel.exists():
        shown = harness.run(panel, "-c", settings, "--since=2000-01-01", records).stdout
        harness.contains(" ".join(shown.split()),
                         f"Programs {box.dir}: 0 waiting, 1 done, 1 failed; last: exit status 3")
        harness.contains(shown, "Program Error (Pipe)")
        numbers = harness.run(panel, "-c", settings, "--since=2000-01-01", "--openmetrics", records).stdout
        for line in (f'postern_program_messages{{mailbox="{box.dir}",outcome="done"}} 1',
                     f'postern_program_messages{{mailbox="{box.dir}",outcome="failed"}} 1',
                     f'postern_program_waiting{{mailbox="{box.dir}"}} 0'):
            harness.contains(numbers, line + "\n")
        tool = harness.packages() / "promtool" / "usr/bin/promtool"
        harness.equal(harness.run(tool, "check", "metrics", input=numbers).stdout, "")


def test_runs_are_listed():
    status = harness.build / "src" / "postern-status"
    if not status.exists():
        raise harness.Skip("built without postern-status")
    box = PipeBox()
    records, settings = box.site / "records", box.site / "settings"
    settings.write_text(f"log = json:{records}\n")
    box.be("$(case $name in *.bad.*) echo 3; esac)")
    first, last = f"{FIRST}.M1P1Q1.h,S=1", f"{FIRST + 9}.M1P1Q1.bad.h"
    box.put(name=first)
    box.put(message().replace(SENDER.encode(), b"other@example.net"), name=last)
    box.start("-c", settings)
    box.expect(cur=[first], failed=[last])
    box.stop()

    def rows(*options, code=0):
        done = harness.run(status, "-c", settings, *options, records)
        harness.equal(done.returncode, code, done.stdout)
        return [re.split(r" {2,}", line.strip()) for line in done.stdout.splitlines()]

    head, good, bad = rows("--runs")
    harness.equal(head, ["Time", "Mailbox", "Program", "From", "Message", "Tries", "Seconds", "Outcome"])
    harness.equal(good[1:6] + good[7:], [str(box.dir), str(box.program), SENDER, first, "1", "done"])
    harness.equal(bad[3:6] + bad[7:], ["other@example.net", last, "1", "failed: exit status 3"])
    for options, found in ((("-n", "1"), [bad]), (("--from", SENDER), [good]), (("--to", RECIPIENT), [good, bad]),
                           (("--id", f"{FIRST}.M1P1Q1"), [good]), (("--id", f"{FIRST}"), []),
                           (("--id", f"{FIRST}.M1P1Q"), []), (("--id", "2@example.net"), []), (("--since", "2h"), [good, bad])):
        harness.equal(rows("--runs", *options)[1:], found, options)
    # without --runs these are about messages, of which there is no record here
    harness.equal(rows("--from", SENDER)[1:], [])
    for more, fault in ((("--sessions",), "lists of their own"), (("--messages",), "lists of their own"),
                        (("--peer", "192.0.2.7"), "--runs have none"), (("--openmetrics",), "cannot be combined with"),
                        (("--healthy",), "only -c, -D")):
        harness.contains(str(rows("--runs", *more, code=EX_USAGE)), fault)
    harness.equal(len(rows("--json", "--runs")), 2)


def test_records_go_to_syslog():
    box = PipeBox()
    settings = box.site / "settings"
    settings.write_text("log = syslog\n")
    harness.own_devices()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind("/dev/log")
        log.settimeout(harness.PATIENCE)
        box.be(3)
        name = box.put()
        box.start("-c", settings)
        line = log.recv(10000).decode("ascii")
    box.expect(failed=[name])
    box.stop()
    harness.contains(line, f"postern[{box.process.pid}]: event=pipe outcome=failed ")
    harness.contains(line, f'file="{name}" mailbox={box.dir} ')
    harness.equal(line[:4], "<20>", "mail.warning")


# The command line


@harness.table_of({
    "no program": (("/box",), "PROGRAM: must be given, behind --; the unit postern-pipe@NAME takes it "
                               "from Environment=PROGRAM=/PATH (systemctl edit postern-pipe@NAME)"),
    "no Maildir": (("--", "cat"), "MAILDIR: must be given"),
    "a relative one": (("box", "--", "cat"), "box: must be a path that begins with /"),
    "two of them": (("/a", "/b", "--", "cat"), "/b: not understood: put -- before the program"),
    "a relative program": (("/a", "--", "./cat"), "./cat: must be a name that is found in $PATH"),
    "nonsense": (("--nonsense",), "--nonsense: not understood"),
    "a time": (("--timeout=soon",), "--timeout=soon: must be a time, such as 90s, 5m, 12h or 5d"),
    "no number": (("-n", "0"), "-n: must be followed by a number from 1 to 64"),
    "two ends": (("--delete", "--keep-new"), "--keep-new: only one of --delete, --keep and --keep-new can be used"),
    "half a tree": (("--tree=/a",), "--tree: --tree and --table are used together"),
    "notes about notes": (("--notes=/a", "/a", "--", "cat"), "--notes: must be another Maildir"),
    "strict and many": (("--strict-order", "-n", "2", "/a", "--", "cat"),
                        "--strict-order: runs one program at a time: leave out -n"),
})
def test_a_wrong_command_line_is_named(words, fault):
    done = harness.run(program(), *words)
    harness.equal(done.returncode, EX_USAGE)
    harness.contains(done.stdout, f"postern-pipe: {fault}")
    harness.contains(done.stdout, "; see postern-pipe --help\n")


def test_check_names_each_fault():
    box = PipeBox()
    harness.equal(box.check(), "")
    harness.equal(sorted(os.listdir(box.dir)), ["cur", "new", "tmp"], "--check makes nothing")
    box.new.chmod(0o770)
    (box.dir / "cur").rmdir()
    box.program.unlink()
    harness.equal(box.check(status=EX_CONFIG).splitlines(), [
        f"postern-pipe: {box.dir}: new/: others may write there: chmod go-w",
        f"postern-pipe: {box.dir}: cur/: No such file or directory",
        f"postern-pipe: {box.dir}: {box.program}: No such file or directory"])
    box.program = "no-such-program"
    shutil.rmtree(box.dir)
    harness.equal(box.check(f"--notes={box.site}", status=EX_CONFIG).splitlines(), [
        f"postern-pipe: {box.dir}: No such file or directory",
        f"postern-pipe: {box.site}: new/: No such file or directory",
        f"postern-pipe: {box.site}: tmp/: No such file or directory",
        f"postern-pipe: {box.dir}: no-such-program: is not found in $PATH"])


def test_a_maildir_that_others_may_write_to_is_refused():
    box = PipeBox()
    box.new.chmod(0o777)
    done = harness.run(*box.command())
    harness.equal(done.returncode, EX_CONFIG)
    harness.contains(done.stdout, f"{box.dir}: new/: others may write there: chmod go-w")


# Many mailboxes


class Tree:
    def __init__(self, *names):
        self.site = harness.scratch()
        self.boxes = [PipeBox(self.site / "mail" / name) for name in names]
        for box in self.boxes:
            box.make()
        self.table = self.site / "table"
        self.table.write_text("# programs\n" + "".join(
            f"{name} {box.program} with {name}\n" for name, box in zip(names, self.boxes)))
        self.log = self.site / "log"

    def command(self, *options):
        return [program(), "--retry-after=1", *options, f"--tree={self.site}/mail", f"--table={self.table}"]

    def start(self):
        with open(self.log, "ab") as log:
            self.process = harness.start(*self.command(), stderr=log, stdout=log)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        harness.equal(self.process.wait(harness.PATIENCE), 0)


def test_a_tree_has_a_program_for_each_mailbox():
    tree = Tree("one", "two/below")
    one, two = tree.boxes
    one.be(75)
    waiting, name = one.put(), two.put()
    harness.equal(harness.run(*tree.command("--check")).stdout, "")
    tree.start()
    two.expect(cur=[name])
    one.await_starts(1)
    one.expect(new=[waiting])
    tree.stop()
    harness.equal(two.run_of()[0], [b"with", b"two/below"])


def test_the_processes_of_a_tree_end_with_it():
    tree = Tree("one", "two")
    tree.start()
    pids = harness.eventually(lambda: (lambda p: len(p) == 2 and p)(children_of(tree.process.pid)), "two processes")
    tree.process.kill()
    tree.process.wait(harness.PATIENCE)
    harness.eventually(lambda: not any(is_running(p) for p in pids), "their end")


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
        return [int(p) for p in children.read().split()]


def test_faults_of_a_table_are_named():
    tree = Tree("one")
    tree.table.write_text("../one /bin/cat\none\nthree ./cat\n")
    done = harness.run(*tree.command("--check"))
    harness.equal(done.returncode, EX_CONFIG)
    for line, name, fault in ((1, "../one", "is no mailbox below the tree"), (2, "one", "has no program behind it"),
                              (3, "three", "has no program behind it")):
        harness.contains(done.stdout, f"postern-pipe: {tree.table}:{line}: {name}: {fault}")
    harness.equal(harness.run(*tree.command()).returncode, EX_CONFIG)
    tree.table.write_text("")
    harness.contains(harness.run(*tree.command("--check")).stdout, f"{tree.table}: has no line")


# Owners


OWNER = 61017


def test_root_becomes_the_owner_of_a_mailbox():
    harness.need_root("a mailbox of another user")
    tree = Tree("one", "two")
    for box, owner in zip(tree.boxes, (OWNER, OWNER + 1)):
        for path in (box.dir, *box.dir.iterdir(), box.site, box.runs_dir):
            os.chown(path, owner, owner)
        box.be(0, "id -u >$run.id; id -G >>$run.id; id -g >>$run.id; "
                  "grep -h ^Uid /proc/$PPID/status >>$run.id; mv $run.id ${run%.new}/id")
    names = []
    for box in tree.boxes:
        names.append(box.put())
        os.chown(box.new / names[-1], *(2 * [box.dir.stat().st_uid]))
    harness.equal(harness.run(*tree.command("--check")).stdout, "")
    tree.start()
    for box, name, owner in zip(tree.boxes, names, (OWNER, OWNER + 1)):
        box.expect(cur=[name])
        lines = (box.run_of()[3] / "id").read_text().split("\n")
        harness.equal(lines[:3], [str(owner)] * 3)
        harness.equal(set(lines[3].split()[1:]), {str(owner)})
        harness.equal((box.dir / "pipe" / "lock").stat().st_uid, owner)
    tree.stop()


def test_root_follows_no_link_of_a_user():
    harness.need_root("a mailbox of another user")
    box = PipeBox()
    os.chown(box.dir, OWNER, OWNER)
    home = harness.scratch()
    os.chown(home, OWNER + 1, OWNER + 1)
    (home / "box").symlink_to(box.dir)
    os.chown(home / "box", OWNER + 1, OWNER + 1, follow_symlinks=False)
    done = harness.run(program(), home / "box", "--", "cat")
    harness.equal(done.returncode, EX_CONFIG)
    harness.contains(done.stdout, f"postern-pipe: {home}/box: Too many levels of symbolic links")


if __name__ == "__main__":
    harness.main()
