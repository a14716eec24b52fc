#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""250 means durable: every step of a delivery fails once, is killed once, is interrupted once.
The faults are injected at the system call, by strace."""

import os
import re
import signal
import time

import harness
from harness import DOMAIN, SENDER, Closed, Site
from listening import with_tls

# The sandbox is narrower in TLS: what is rare must work there, too.
NOBODY = 65534
WAYS = {"in clear": False, "in TLS": True}
ERRORS = ("ENOSPC", "EIO", "EDQUOT")


class Call:
    """A system call that strace saw, and which of that name it was since the start."""

    def __init__(self, name, ordinal, text):
        self.name, self.ordinal, self.text = name, ordinal, text

    def inject(self, what):
        return f"inject={self.name}:{what}:when={self.ordinal}"

    def __repr__(self):
        return self.text


def make_maildir(path):
    for part in ("tmp", "cur", "new"):
        (path / part).mkdir(parents=True)
    return path


def place_with_maildir():
    """The Maildir is there, so that making it is no part of what is traced."""
    place = Site(tls="on", pair=harness.pair())
    make_maildir(place.maildir)
    return place


def connect(place, *injections, trace="all"):
    harness.need("strace")
    place.trace = place.dir / "trace"
    options = [part for injection in injections for part in ("-e", injection)]
    return place.connect(wrap=(
        "strace", "-f", "-qq", "-y", "-s", "64", "-o", place.trace, "-e", f"trace={trace}",
        *options))


def calls(place):
    found, seen = [], {}
    for line in place.trace.read_text(errors="replace").splitlines():
        text = line.split(None, 1)[1]
        name = re.match(r"(\w+)\(", text)
        if name:
            seen[name[1]] = seen.get(name[1], 0) + 1
            found.append(Call(name[1], seen[name[1]], text))
    return found


def deliver(client, recipients=("printer@example.org",), tls=False, parameters=""):
    """One transaction in a session; returns the reply, or None if the process has ended."""
    try:
        client.ehlo()
        if tls:
            client.starttls()
            client.ehlo()
        client.envelope(recipients=recipients, parameters=parameters)
        client.send("DATA\r\n")
        reply = client.reply()
        return client.content(harness.sample()) if reply.code == 354 else reply
    except (Closed, OSError):
        return None


def is_sent(call):
    return call.name in ("write", "writev", "sendto", "sendmsg") and "<socket:" in call.text


def commit_of(found):
    """What happens from the making of the file to the answer, without poll: how often input is waited for depends on
    when it comes, and it changes nothing on the disk."""
    first = next(i for i, c in enumerate(found) if "O_TMPFILE" in c.text)
    synced = max(i for i, c in enumerate(found) if c.name == "fsync")
    last = next(i for i, c in enumerate(found) if i > synced and is_sent(c))
    return [call for call in found[first:last + 1] if call.name != "poll"]


def undisturbed(place, recipients=("printer@example.org",), tls=False, parameters=""):
    """The calls of one delivery where nothing goes wrong; the Maildirs are empty again after it."""
    client = connect(place)
    reply = deliver(client, recipients, tls, parameters)
    harness.equal(reply and reply.code, 250)
    client.quit()
    for path in (*place.everything(), *place.dir.glob("outbox/new/*")):
        path.unlink()
    place.log.unlink()
    return commit_of(calls(place))


def steps(commit):
    """The calls that make a message durable, by what they do."""
    writes = [c for c in commit if c.name == "write" and not is_sent(c)]
    fsyncs = [c for c in commit if c.name == "fsync"]
    links = [c for c in commit if c.name == "linkat"]
    return {"open": commit[0], "write of the trace header": writes[0],
            "write of the content": writes[-1], "fsync of the file": fsyncs[0],
            "linkat": links[0], "second fsync of the file": fsyncs[1],
            "fsync of the directory": fsyncs[2]}


def test_the_steps_are_taken_in_order():
    """write, fsync(file), link, fsync(file), fsync(directory), 250: and nothing is left out."""
    place = place_with_maildir()
    commit = undisturbed(place)
    order = [c for c in commit if c.name in ("openat", "write", "fsync", "linkat")]
    text = "\n".join(map(str, commit))
    names = [c.name for c in order]
    harness.equal(names[:3], ["openat", "write", "write"], text)
    harness.equal(names[3:], ["fsync", "linkat", "fsync", "fsync"], text)
    harness.contains(order[-1].text, f"{place.maildir}/new>", "the directory is synced")
    harness.contains(commit[-1].text, '"250 2.6.0')


@harness.table_of({f"{step}: {error}": (step, error) for error in ERRORS for step in (
    "open", "write of the trace header", "write of the content", "fsync of the file", "linkat",
    "second fsync of the file", "fsync of the directory")})
def test_a_step_that_fails_refuses_the_message_for_now(step, error):
    place = place_with_maildir()
    at = steps(undisturbed(place))[step]
    client = connect(place, at.inject(f"error={error}"), trace=at.name)
    reply = deliver(client)
    harness.contains(place.trace.read_text(), "INJECTED")
    assert reply and reply.code in (451, 452), f"{at}: {reply}"
    harness.equal(place.everything(), [], f"after {at}")
    harness.equal(client.message(harness.sample()).code, 250, "the session goes on")
    client.quit()
    harness.check_stored(place.only_message(), harness.sample())
    harness.equal(place.leftovers(), [])
    record = place.records("message")[0]
    assert record["outcome"] != "delivered", record


def test_a_write_that_stops_short_refuses_the_message():
    """As on a disk that fills up: some octets go in, the rest does not."""
    place = place_with_maildir()
    client = place.connect(wrap=("prlimit", "--fsize=70000"))
    client.ehlo()
    big = b"Subject: big\r\n\r\n" + b"0123456789\r\n" * 10_000
    reply = client.message(big)
    assert reply.code in (451, 452), reply
    harness.equal(place.everything(), [])
    harness.equal(client.message(harness.sample()).code, 250)
    client.quit()


def test_a_process_killed_at_any_call_leaves_a_whole_message_or_none():
    place = place_with_maildir()
    commit = undisturbed(place)
    whole = 0
    for call in commit:
        client = connect(place, call.inject("signal=KILL"), trace=call.name)
        reply = deliver(client)
        assert reply is None, f"{call}: killed and yet it answers {reply}"
        client.wait()
        for path in place.new():
            harness.check_stored(path, harness.sample())
            path.unlink()
            whole += 1
        harness.equal(place.everything(), [], f"killed at {call}")
    linked = next(i for i, c in enumerate(commit) if c.name == "linkat")
    harness.equal(whole, len(commit) - linked - 1, "messages that were linked before the end")


def child_of(process):
    with open(f"/proc/{process.pid}/task/{process.pid}/children", encoding="ascii") as children:
        return int(children.read().split()[0])


@harness.table_of({step: step for step in (
    "write of the content", "fsync of the file", "linkat", "second fsync of the file",
    "fsync of the directory")})
def test_sigterm_during_a_commit_waits_for_the_answer(step):
    place = place_with_maildir()
    at = steps(undisturbed(place))[step]
    client = connect(place, at.inject("delay_enter=400000"), trace=at.name)
    client.ehlo()
    client.envelope()
    client.say("DATA", 354)
    client.send(b"Subject: x\r\n\r\nhi\r\n.\r\n")
    pid = child_of(client.process)
    harness.wait_until_held(pid)
    os.kill(pid, signal.SIGTERM)
    client.expect(250)
    client.expect(421, "4.3.2")
    client.expect_end()
    client.wait()
    harness.check_stored(place.only_message(), b"Subject: x\r\n\r\nhi\r\n")


@harness.table_of({
    f"{state} {way}": (tls, commands) for way, tls in WAYS.items() for state, commands in (
        ("idle", ()), ("in the envelope", (f"MAIL FROM:<{SENDER}>",)))})
def test_sigterm_while_waiting_ends_the_session(tls, commands):
    place = place_with_maildir()
    client = place.connect()
    client.ehlo()
    if tls:
        client.starttls()
        client.ehlo()
    for command in commands:
        client.say(command, 250)
    client.process.terminate()
    client.expect(421, "4.3.2")
    client.expect_end()
    client.wait()


@harness.table_of({call: call for call in ("getsockname", "seccomp", "signalfd4")})
def test_sigterm_while_the_process_starts_is_answered(call):
    place = place_with_maildir()
    client = connect(place, f"inject={call}:signal=SIGTERM:when=1", trace=call)
    client.expect(421, "4.3.2")
    client.expect_end()
    harness.equal(client.wait(), 0)


def test_sigterm_in_the_middle_of_a_message_delivers_nothing():
    place = place_with_maildir()
    client = place.connect()
    client.ehlo()
    client.envelope()
    client.say("DATA", 354)
    client.send(b"Subject: x\r\n\r\nhi\r\n")
    time.sleep(0.05)
    client.process.terminate()
    client.expect(421, "4.3.2")
    client.expect_end()
    client.wait()
    harness.equal(place.everything(), [])


@harness.table_of(WAYS)
def test_an_existing_name_is_never_overwritten(tls):
    place = place_with_maildir()
    at = steps(undisturbed(place, tls=tls))["linkat"]
    client = connect(place, at.inject("error=EEXIST"), trace="linkat")
    harness.equal(deliver(client, tls=tls).code, 250)
    client.quit()
    harness.check_stored(place.only_message(), harness.sample())
    names = [re.findall(r'"([^"]*)"', c.text)[1] for c in calls(place)]
    harness.equal(len(set(names)), 2, f"two names were tried: {names}")
    harness.equal(place.only_message().name, names[1])


@harness.table_of(WAYS)
def test_without_o_tmpfile_the_message_goes_by_way_of_tmp(tls):
    place = place_with_maildir()
    refuse = steps(undisturbed(place, tls=tls))["open"].inject("error=EOPNOTSUPP")
    client = connect(place, refuse)
    harness.equal(deliver(client, tls=tls).code, 250)
    client.quit()
    harness.check_stored(place.only_message(), harness.sample())
    harness.equal(place.leftovers(), [])
    links = [c.text for c in calls(place) if c.name in ("linkat", "link", "renameat2")]
    harness.contains(links[0], "tmp/")


@harness.table_of(WAYS)
def test_before_linux_6_10_the_file_gets_its_name_by_proc(tls):
    place = place_with_maildir()
    refuse = steps(undisturbed(place, tls=tls))["linkat"].inject("error=ENOENT")
    client = connect(place, refuse, trace="linkat")
    harness.equal(deliver(client, tls=tls).code, 250)
    client.quit()
    harness.check_stored(place.only_message(), harness.sample())
    links = [c.text for c in calls(place) if c.name == "linkat"]
    harness.contains(links[0], "AT_EMPTY_PATH")
    harness.contains(links[1], "/proc/self/fd/")


@harness.table_of({f"{step}: {error}": (step, error) for error in ("ENOSPC", "EIO") for step in (
    "write of the trace header", "write of the content", "fsync of the file", "linkat",
    "second fsync of the file", "fsync of the directory")})
def test_without_o_tmpfile_a_step_that_fails_leaves_nothing_in_tmp(step, error):
    place = place_with_maildir()
    normal = steps(undisturbed(place))
    at = normal[step]
    client = connect(place, normal["open"].inject("error=EOPNOTSUPP"),
                     at.inject(f"error={error}"), trace=f"openat,{at.name}")
    reply = deliver(client)
    assert reply and reply.code in (451, 452), f"{at}: {reply}"
    harness.equal(place.everything(), [], f"after {at}")
    client.quit()


# A report of the delivery

ASKED = " NOTIFY=SUCCESS"


def place_with_outbox():
    place = place_with_maildir()
    place.outbox = make_maildir(place.dir / "outbox")
    return place.set(dsn_outbox=place.outbox)


def report_steps(commit):
    """The same calls for the report, which is a file of its own."""
    opened = [c for c in commit if "O_TMPFILE" in c.text]
    fsyncs = [c for c in commit if c.name == "fsync"]
    links = [c for c in commit if c.name == "linkat"]
    written = [c for c in commit if c.name == "write" and '"To: <' in c.text]
    return {"open": opened[1], "write": written[0], "fsync of the file": fsyncs[1],
            "linkat": links[1], "second fsync of the file": fsyncs[4],
            "fsync of the directory": fsyncs[5]}


def check_report(path):
    text = path.read_bytes()
    assert text.startswith(b"To: <") and text.endswith(b"--\n"), f"not whole: {text!r}"


def test_a_report_is_written_before_and_linked_after_the_message():
    place = place_with_outbox()
    commit = undisturbed(place, parameters=ASKED)
    text = "\n".join(map(str, commit))
    harness.equal([c.name for c in commit if c.name in ("fsync", "linkat")],
                  ["fsync", "fsync", "linkat", "fsync", "fsync", "linkat", "fsync", "fsync"], text)
    synced = [c.text for c in commit if c.name == "fsync"]
    harness.contains(synced[3], f"{place.maildir}/new>", text)
    harness.contains(synced[5], f"{place.outbox}/new>", text)
    harness.contains(commit[-1].text, '"250 2.6.0')


@harness.table_of({
    f"{step}: {error} {way}": (step, error, tls) for way, tls in WAYS.items() for error in ERRORS
    for step in ("open", "write", "fsync of the file", "linkat", "second fsync of the file",
                 "fsync of the directory")})
def test_a_step_of_a_report_that_fails_is_recorded_and_costs_no_mail(step, error, tls):
    place = place_with_outbox()
    at = report_steps(undisturbed(place, tls=tls, parameters=ASKED))[step]
    client = connect(place, at.inject(f"error={error}"), trace=at.name)
    reply = deliver(client, tls=tls, parameters=ASKED)
    harness.contains(place.trace.read_text(), "INJECTED")
    harness.equal(reply and reply.code, 250, f"{at}")
    client.quit()
    harness.check_stored(place.only_message(), harness.sample())
    record = place.records("message")[0]
    harness.equal(record["outcome"], "delivered")
    assert record.get("report_fault") and "report" not in record, record
    # after its link the file exists, but may be lost in a crash
    found = list(place.outbox.glob("new/*"))
    harness.equal(len(found), int(step in ("second fsync of the file", "fsync of the directory")))
    for path in found:
        check_report(path)


def test_a_process_killed_at_any_call_reports_nothing_that_is_not_delivered():
    place = place_with_outbox()
    commit = undisturbed(place, parameters=ASKED)
    reports = 0
    for call in commit:
        client = connect(place, call.inject("signal=KILL"), trace=call.name)
        reply = deliver(client, parameters=ASKED)
        assert reply is None, f"{call}: killed and yet it answers {reply}"
        client.wait()
        for path in place.outbox.glob("new/*"):
            check_report(path)
            harness.check_stored(place.only_message(), harness.sample())
            path.unlink()
            reports += 1
        for path in place.everything():
            path.unlink()
        harness.equal(list(place.outbox.glob("tmp/*")), [])
    linked = [i for i, c in enumerate(commit) if c.name == "linkat"][1]
    harness.equal(reports, len(commit) - linked - 1, "reports that were linked before the end")


def test_without_o_tmpfile_a_report_goes_by_way_of_tmp():
    place = place_with_outbox()
    at = report_steps(undisturbed(place, tls=True, parameters=ASKED))["open"]
    client = connect(place, at.inject("error=EOPNOTSUPP"))
    harness.equal(deliver(client, tls=True, parameters=ASKED).code, 250)
    client.quit()
    for path in place.outbox.glob("new/*"):
        check_report(path)
    harness.equal(place.records("message")[0]["report"], place.new(place.outbox)[0].name)
    harness.equal(list(place.outbox.glob("tmp/*")), [])
    harness.contains([c.text for c in calls(place) if c.name == "linkat"][1], "tmp/")


# More than one Maildir

TWO = (f"alice@{DOMAIN}", f"bob@{DOMAIN}")


def place_with_two():
    place = Site(tls="on", pair=harness.pair(), maildir="%d/%u")
    boxes = [make_maildir(place.root / DOMAIN / name) for name in ("alice", "bob")]
    return place, boxes


def test_one_message_for_two_maildirs_is_written_once():
    place, boxes = place_with_two()
    commit = undisturbed(place, TWO)
    harness.equal(sum("O_TMPFILE" in c.text for c in commit), 1, str(commit))
    names = [c.name for c in commit if c.name in ("fsync", "linkat")]
    harness.equal(names, ["fsync", "linkat", "linkat", "fsync", "fsync", "fsync"])
    client = place.connect()
    harness.equal(deliver(client, TWO).code, 250)
    client.quit()
    paths = [place.new(box)[0] for box in boxes]
    harness.equal(paths[0].stat().st_ino, paths[1].stat().st_ino, "one file")
    harness.equal(paths[0].stat().st_nlink, 2)
    trace = " ".join(harness.check_stored(paths[0], harness.sample()))
    assert "alice" not in trace and "bob" not in trace, f"one recipient is told another: {trace}"


def test_one_recipient_is_named_in_the_trace_header():
    place, boxes = place_with_two()
    client = place.connect()
    harness.equal(deliver(client, TWO[:1]).code, 250)
    client.quit()
    trace = harness.check_stored(place.new(boxes[0])[0], harness.sample())
    harness.contains([t.lower() for t in trace], f"delivered-to: {TWO[0]}")


@harness.table_of({
    f"{what} {way}": (name, number, tls) for way, tls in WAYS.items() for what, name, number in (
        ("second link", "linkat", 1), ("fsync of the file", "fsync", 1),
        ("fsync of the second directory", "fsync", 3))})
def test_a_failure_after_the_first_link_takes_all_links_back(name, number, tls):
    place, _ = place_with_two()
    commit = undisturbed(place, TWO, tls)
    at = [c for c in commit if c.name == name][number]
    client = connect(place, at.inject("error=EIO"), trace=name)
    harness.equal(deliver(client, TWO, tls).code, 451)
    client.quit()
    harness.equal(place.everything(), [])


@harness.table_of(WAYS)
def test_maildirs_of_two_owners_get_copies_of_their_own(tls):
    harness.need_root("giving files to others")
    place, boxes = place_with_two()
    for box, owner in zip(boxes, (61001, 61002)):
        for path in (box, *box.iterdir()):
            os.chown(path, owner, owner)
    client = place.connect()
    harness.equal(deliver(client, TWO, tls).code, 250)
    client.quit()
    for box, owner in zip(boxes, (61001, 61002)):
        found = place.new(box)
        harness.equal(len(found), 1)
        harness.check_stored(found[0], harness.sample())
        harness.equal((found[0].stat().st_nlink, found[0].stat().st_uid), (1, owner))


def change_hands(place):
    for path in (place.maildir, *place.maildir.iterdir()):
        os.chown(path, 61001, 61001)


def check_one_file(place):
    path = place.only_message()
    harness.check_stored(path, harness.sample())
    harness.equal((path.stat().st_nlink, path.stat().st_uid), (1, 61001))


def test_a_maildir_that_changes_hands_meanwhile_gets_its_one_file():
    """A process that began when all was root's has no right to it: the client comes again."""
    harness.need_root("giving files to others")
    place = place_with_maildir()
    client = place.connect()
    client.ehlo()
    client.envelope()
    change_hands(place)
    client.say("DATA", 451)
    client.quit()
    harness.equal(place.new(), [])
    client = place.connect()
    client.ehlo()
    harness.equal(client.message(harness.sample()).code, 250)
    client.quit()
    check_one_file(place)


def test_a_maildir_that_changes_hands_under_a_listener_gets_its_one_file():
    harness.need_root("giving files to others")
    here = with_tls()
    make_maildir(here.maildir)
    here.listen()
    client = here.client()
    client.ehlo()
    client.envelope()
    change_hands(here)
    client.say("DATA", 354)
    harness.equal(client.content(harness.sample()).code, 250)
    client.quit()
    check_one_file(here)


@harness.table_of(WAYS)
def test_a_maildir_that_is_made_is_durable_before_the_answer(tls):
    """Each directory in which a name was made is synced, from mail-root down to new/."""
    place = Site(tls="on", pair=harness.pair(), maildir="%d/%u")
    client = connect(place)
    harness.equal(deliver(client, TWO[:1], tls).code, 250)
    client.quit()
    box = place.root / DOMAIN / "alice"
    harness.check_stored(place.new(box)[0], harness.sample())
    synced = {re.search(r"<(.*?)>", c.text)[1] for c in calls(place) if c.name == "fsync"}
    for path in (place.root, place.root / DOMAIN, box, box / "new"):
        assert str(path) in synced, f"{path} is not among {synced}"


def test_the_same_maildir_twice_gets_one_file():
    place = place_with_maildir()
    client = place.connect()
    harness.equal(deliver(client, TWO).code, 250)
    client.quit()
    harness.check_stored(place.only_message(), harness.sample())


# A reply for each recipient (RFC 2033 4.2): two Maildirs, each of which has a file of its own. With two owners that is
# so, too: tests/campaign and test-broker.py let steps of a broker fail


def place_with_two_files():
    harness.need_root("another user")
    place, boxes = place_with_two()
    place.dir.chmod(0o755)
    for path in (place.root, *place.root.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    pair = harness.pair().copy_to(place.dir)
    for path in (pair.certificate, pair.key):
        os.chown(path, NOBODY, NOBODY)
    place.set(pair=pair, original_to="yes", user="nobody")
    place.arguments = ["--lmtp"]
    return place, boxes


def deliver_each(client, tls):
    """The codes of the two replies; two times that of DATA where that is refused."""
    client.lhlo()
    if tls:
        client.starttls()
        client.lhlo()
    client.envelope(recipients=TWO)
    client.send("DATA\r\n")
    reply = client.reply()
    if reply.code != 354:
        return [reply.code] * 2
    return [client.content(harness.sample()).code, client.reply().code]


def undisturbed_each(place, tls):
    client = connect(place)
    harness.equal(deliver_each(client, tls), [250, 250])
    client.quit()
    for path in place.everything():
        path.unlink()
    place.log.unlink()
    return commit_of(calls(place))


def steps_of_two(commit):
    """The calls that make two files durable, and the replies when one of them fails."""
    opens = [c for c in commit if "O_TMPFILE" in c.text]
    writes = [c for c in commit if c.name == "write" and not is_sent(c)]
    fsyncs = [c for c in commit if c.name == "fsync"]
    links = [c for c in commit if c.name == "linkat" and " ENOENT " not in c.text]
    harness.equal((len(opens), len(links), len(fsyncs)), (2, 2, 6), f"{commit}")
    first, second = [True, False], [False, True]
    return {
        "open of the first": (opens[0], first), "open of the second": (opens[1], second),
        "trace header of the first": (writes[0], first), "trace header of the second": (writes[1], second),
        "content of the first": (writes[-2], first), "content of the second": (writes[-1], second),
        "fsync of the first": (fsyncs[0], first), "fsync of the second": (fsyncs[1], second),
        "first link": (links[0], first), "second link": (links[1], second),
        "second fsync of the first": (fsyncs[2], first),
        "second fsync of the second": (fsyncs[3], second),
        "fsync of the first directory": (fsyncs[4], first),
        "fsync of the second directory": (fsyncs[5], second)}


STEPS_OF_TWO = (
    "open of the first", "open of the second", "trace header of the first", "trace header of the second",
    "content of the first", "content of the second", "fsync of the first", "fsync of the second", "first link",
    "second link", "second fsync of the first", "second fsync of the second",
    "fsync of the first directory", "fsync of the second directory")


@harness.table_of({f"{step}: {error} {way}": (step, error, tls) for way, tls in WAYS.items()
                   for error in ("ENOSPC", "EIO") for step in STEPS_OF_TWO})
def test_what_fails_for_one_mailbox_is_told_to_its_recipient(step, error, tls):
    place, boxes = place_with_two_files()
    at, fails = steps_of_two(undisturbed_each(place, tls))[step]
    code = 452 if error == "ENOSPC" else 451
    client = connect(place, at.inject(f"error={error}"), trace=at.name)
    found = deliver_each(client, tls)
    harness.contains(place.trace.read_text(), "INJECTED")
    harness.equal(found, [code if f else 250 for f in fails], f"after {at}")
    harness.equal([len(place.new(box)) for box in boxes], [0 if f else 1 for f in fails])
    for path in place.everything():
        harness.check_stored(path, harness.sample())
    harness.equal(len(place.everything()), fails.count(False), "and nothing beside")
    client.quit()
    outcomes = [record["outcome"] for record in place.records("message")]
    harness.equal(outcomes, ["refused" if all(fails) else "delivered"])


@harness.table_of({f"{step} {way}": (step, tls) for way, tls in WAYS.items() for step in (
    "trace header of the first", "trace header of the second", "content of the first", "content of the second",
    "fsync of the first", "fsync of the second", "second link")})
def test_without_o_tmpfile_nothing_is_left_in_any_tmp(step, tls):
    place, boxes = place_with_two_files()
    normal = steps_of_two(undisturbed_each(place, tls))
    at, fails = normal[step]
    first = normal["open of the first"][0]
    # each file is then opened twice, and nothing else comes between
    refuse = f"inject=openat:error=EOPNOTSUPP:when={first.ordinal}+2"
    client = connect(place, refuse, at.inject("error=ENOSPC"), trace=f"openat,{at.name}")
    found = deliver_each(client, tls)
    harness.equal(place.trace.read_text().count("INJECTED"), 3)
    harness.equal(found, [452 if f else 250 for f in fails], f"after {at}")
    client.quit()
    harness.equal([len(place.new(box)) for box in boxes], [0 if f else 1 for f in fails])
    harness.equal(place.leftovers(), [])
    for path in place.everything():
        harness.check_stored(path, harness.sample())


if __name__ == "__main__":
    harness.main()
