#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""The broker, which delivers as the owner of each mailbox: its end, its rights, and owners that change theirs."""

import contextlib
import os
import pwd
import shutil
import signal
import threading
import time
from pathlib import Path

import filters
import harness
from harness import DOMAIN
from listening import Listening, acceptor, asked, brokers_below, deliver, status_of, with_tls
from mailboxes import ALICE, OTHER, OURS, Place, fuse, give, make_maildir, need_fuse

ENDED = "the broker, which opens mailboxes as their owners, has ended"
BOB = f"bob@{DOMAIN}"


def with_alice(**settings):
    place = Place(**settings)
    make_maildir(place.alice, owner=OTHER)
    return place


def begun(place, recipients=(ALICE,)):
    """A client whose recipients are accepted."""
    client = place.site.connect()
    client.ehlo()
    client.envelope(recipients=recipients)
    return client


def code_of_data(client):
    client.send("DATA\r\n")
    code = client.reply().code
    return client.content(harness.sample()).code if code == 354 else code


def kill(pid):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


# Its end


@harness.table(before_rcpt=False, before_data=True)
def test_without_its_broker_a_connection_refuses_for_now(late):
    place = with_alice()
    client = place.site.connect()
    client.ehlo()
    broker, = brokers_below(client.process.pid)
    if late:
        client.envelope(recipients=[ALICE])
    os.kill(broker, signal.SIGKILL)
    if not late:
        client.say(f"MAIL FROM:<{harness.SENDER}>", 250)
        client.say(f"RCPT TO:<{ALICE}>", 451)
    else:
        harness.equal(code_of_data(client), 451)
    client.quit()
    harness.contains(place.fault(), f"{ENDED} or has refused a request; mail comes again with the next broker: see the error")
    harness.equal(place.site.new(place.alice), [])


def test_what_the_client_has_its_250_for_stays_where_the_kernel_does_not_count_unread_answers():
    harness.need("strace")
    place = with_alice()
    place.site.set(sandbox="no")
    client = place.site.connect(wrap=("strace", "-f", "-qq", "-o", place.site.dir / "trace", "-e", "trace=ioctl", "-e",
                                      "inject=ioctl:error=ENOTTY"))
    client.ehlo()
    for n in (1, 2):
        client.envelope(recipients=[ALICE])
        harness.equal(code_of_data(client), 250)
        harness.equal(len(place.site.new(place.alice)), n)
    client.quit()
    harness.equal(len(place.site.new(place.alice)), 2)


@harness.table_of({f"{which}_{n}{'_on' if on else ''}": (which, n, on) for which in ("", "other") for n in range(1, 12)
                   for on in ("", "+")})
def test_a_mailbox_has_the_message_exactly_if_its_recipient_has_a_250(which, n, on):
    """A sync fails, or all from one on: also those behind the removal of what another mailbox could not keep."""
    harness.need("strace")
    place = with_alice()
    make_maildir(place.domain / "bob", owner=OURS if which else OTHER)
    place.site.set(sandbox="no")
    place.site.arguments = ["--lmtp"]
    client = place.site.connect(wrap=("strace", "-f", "-qq", "-o", place.site.dir / "trace", "-e", "trace=fsync", "-e",
                                      f"inject=fsync:error=EIO:when={n}{on}"))
    client.lhlo()
    client.envelope(recipients=[ALICE, BOB])
    client.say("DATA", 354)
    codes = [client.content(harness.sample()).code, client.reply().code]
    client.quit()
    harness.equal([len(place.site.new(box)) for box in (place.alice, place.domain / "bob")],
                  [int(code == 250) for code in codes])


def test_a_listener_starts_another_broker():
    harness.need_root("a broker")
    here = Listening(maildir="%u")
    make_maildir(here.root / "printer", owner=OTHER)
    here.listen()
    client = here.client()
    deliver(client)
    broker, = brokers_below(here.process.pid)
    before = acceptor(here)
    os.kill(broker, signal.SIGKILL)
    harness.eventually(lambda: broker not in brokers_below(here.process.pid), "the broker has ended")
    deliver(here.client())
    assert acceptor(here) != before
    assert brokers_below(here.process.pid) != [broker]
    harness.contains("\n".join(record["text"] for record in here.records("error")), f"{ENDED}; another is started")
    harness.equal({path.stat().st_uid for path in here.new(here.root / "printer")}, {OTHER})


def test_keys_in_a_closed_directory_do_not_seem_to_change():
    """Root examines them at the start, and nobody, whom the acceptor becomes, cannot: that is no reason for another one."""
    harness.need_root("a broker")
    here = with_tls(maildir="%u")
    keys = here.dir / "keys"
    keys.mkdir(mode=0o700)
    here.set(pair=harness.pair().copy_to(keys))
    make_maildir(here.root / "printer", owner=OTHER)
    here.listen()
    before = acceptor(here)
    for _ in range(5):
        deliver(here.client(), tls=True)
        time.sleep(0.3)  # the acceptor looks at its files between connections
    harness.equal(acceptor(here), before)


def test_without_the_right_to_become_a_user_no_mail_is_received():
    place = with_alice()
    harness.need("setpriv")
    client = place.site.connect(greeting=False, wrap=("setpriv", "--bounding-set=-setuid,-setgid"))
    client.expect(421)
    client.expect_end()
    harness.contains(place.site.log_text(), "give the process CAP_SETUID and CAP_SETGID")
    done = harness.run("setpriv", "--bounding-set=-setuid,-setgid", *place.site.command(), "--check")
    harness.contains(done.stdout, "this process may become no other user: mailboxes of other users get no mail")


def test_these_two_rights_are_enough():
    place = with_alice()
    harness.need("setpriv")
    harness.equal(place.deliver(wrap=("setpriv", "--bounding-set=-all,+setuid,+setgid")), [250])
    harness.equal([path.stat().st_uid for path in place.site.new(place.alice)], [OTHER])


# File systems that do not answer


def with_hanging_mailbox(cached=0):
    """A listener, and the process of the file system that has the mailboxes below `far`, and is asked again after
    `cached` seconds."""
    need_fuse("bindfs")
    here = Listening(recipients=None, maildir="%u", source_connection_limit=100)
    table = here.dir / "recipients"
    table.write_text("printer printer\nalice far/alice\nbob far/bob\n")
    here.set(recipients=table)
    below = here.dir / "below"
    for name in ("alice", "bob"):
        make_maildir(below / name, owner=OTHER)
    make_maildir(here.root / "printer", owner=OURS)
    (here.root / "far").mkdir()
    process = fuse(here.root / "far", "bindfs", "-f", "-o",
                   f"attr_timeout={cached},entry_timeout={cached},allow_other", below, here.root / "far")
    harness.at_end(os.kill, process.pid, signal.SIGCONT)
    return here.listen(), process


def is_new_broker(here, before):
    """Also connects, as another broker is started for a client; what is for one that waits is in its queue."""
    time.sleep(0.2)
    client = here.client()
    client.ehlo()
    client.quit()
    return [broker for broker in brokers_below(here.process.pid) if broker not in before]


def test_a_file_system_that_does_not_answer_stops_the_mail_of_its_own_mailboxes_alone():
    """Who waits for it has the answer when it answers; for others there is another broker, which does not wait again."""
    here, process = with_hanging_mailbox()
    before = brokers_below(here.process.pid)
    deliver(here.client())
    os.kill(process.pid, signal.SIGSTOP)
    waiting = asked(here, "alice")
    harness.eventually(lambda: is_new_broker(here, before), "another broker")
    deliver(here.client())
    for name in ("alice", "bob"):
        client = asked(here, name)
        client.expect(451)
        client.quit()
    harness.contains(here.log_text(), "far: does not answer")
    harness.contains("\n".join(record["text"] for record in here.records("error")), "has not answered for 10 s")
    os.kill(process.pid, signal.SIGCONT)
    waiting.expect(250)
    harness.equal(code_of_data(waiting), 250)
    waiting.quit()
    harness.eventually(lambda: before[0] not in brokers_below(here.process.pid), "the broker that hung ends")
    client = asked(here, "bob")
    client.expect(250)
    client.quit()


def test_a_file_system_that_answers_from_a_cache_stops_the_mail_of_its_own_mailboxes_alone():
    """Its first directory answers, and each mailbox hangs by itself: no second broker waits for a second one."""
    here, process = with_hanging_mailbox(3600)
    before = brokers_below(here.process.pid)
    os.stat(here.root / "far")
    os.kill(process.pid, signal.SIGSTOP)
    waiting = asked(here, "alice")
    harness.eventually(lambda: is_new_broker(here, before), "another broker")
    client = asked(here, "bob")
    client.expect(451)
    client.quit()
    harness.contains(here.log_text(), "far/bob: does not answer")
    deliver(here.client())
    harness.equal(len(brokers_below(here.process.pid)), 2)
    os.kill(process.pid, signal.SIGCONT)
    waiting.expect(250)
    waiting.quit()


def test_a_slow_file_system_stops_the_mail_of_its_own_mailboxes_alone():
    """It answers each call, but what waits for the broker does so for 10 seconds."""
    harness.need("strace")
    here, process = with_hanging_mailbox()
    before = brokers_below(here.process.pid)
    harness.start("strace", "-f", "-qq", "-o", here.dir / "trace", "-p", process.pid, "-e", "trace=file",
                  "-e", "inject=file:delay_enter=700000")
    harness.eventually(lambda: "TracerPid:\t0" not in Path(f"/proc/{process.pid}/status").read_text(), "it is slow")
    waiting = [asked(here, name) for name in ("alice", "bob") * 6]
    harness.eventually(lambda: is_new_broker(here, before), "another broker")
    deliver(here.client())
    harness.contains("\n".join(record["text"] for record in here.records("error")), "has not answered for 10 s")
    for client in waiting:
        client.close()


def test_a_stop_ends_the_wait_for_a_broker_that_does_not_answer():
    need_fuse("bindfs")
    place = with_alice()
    process = fuse(place.alice, "bindfs", "-f", "-o", "attr_timeout=0,entry_timeout=0,allow_other", place.alice,
                   place.alice)
    harness.at_end(os.kill, process.pid, signal.SIGCONT)
    client = place.site.connect()
    client.ehlo()
    client.say(f"MAIL FROM:<{harness.SENDER}>", 250)
    os.kill(process.pid, signal.SIGSTOP)
    client.send(f"RCPT TO:<{ALICE}>\r\n")
    time.sleep(0.5)  # a stop that comes before the command gets a 421 alone
    os.kill(client.process.pid, signal.SIGTERM)
    before = time.monotonic()
    client.expect(451)
    client.expect(421)
    client.expect_end()
    assert time.monotonic() - before < 30  # 60 s without the stop


def test_a_stop_ends_the_wait_for_room_at_a_broker_that_reads_nothing():
    """A filter removes one of many recipients: the requests about all of them have no answers."""
    place = with_alice()
    removed = filters.frame("-", f"<r1@{DOMAIN}>\0".encode())
    stopped = threading.Event()

    def stop_broker(*_):
        os.kill(broker, signal.SIGSTOP)
        stopped.set()
        return removed + filters.frame("c")

    filters.with_file(place.site, [filters.Filter(E=stop_broker).line()])
    place.site.set(catch_all=ALICE, recipient_limit=1000)
    client = place.site.connect()
    client.ehlo()
    broker, = brokers_below(client.process.pid)
    harness.at_end(kill, broker)
    client.envelope(recipients=[f"r{n}@{DOMAIN}" for n in range(400)])
    client.say("DATA", 354)
    client.send(harness.sample() + b".\r\n")
    assert stopped.wait(harness.PATIENCE)
    time.sleep(0.5)  # until the channel is full
    os.kill(client.process.pid, signal.SIGTERM)
    before = time.monotonic()
    client.expect(451)
    client.expect(421)
    assert time.monotonic() - before < 30  # 60 s without the stop


def test_when_many_brokers_hang_no_further_one_is_started():
    """Each waits for another file system; what needs none of these has mail until then, and when one answers again."""
    need_fuse("bindfs")
    here = Listening(maildir="%u", source_connection_limit=100)
    make_maildir(here.root / "printer", owner=OURS)
    processes = []
    for n in range(8):
        make_maildir(here.dir / f"below{n}", owner=OTHER)
        (here.root / f"far{n}").mkdir()
        processes.append(fuse(here.root / f"far{n}", "bindfs", "-f", "-o", "attr_timeout=0,entry_timeout=0,allow_other",
                              here.dir / f"below{n}", here.root / f"far{n}"))
        harness.at_end(os.kill, processes[-1].pid, signal.SIGCONT)
    here.listen()
    waiting = []
    for n, process in enumerate(processes):
        deliver(here.client())
        before = brokers_below(here.process.pid)
        os.kill(process.pid, signal.SIGSTOP)
        waiting.append(asked(here, f"far{n}"))
        if n < 7:
            harness.eventually(lambda: is_new_broker(here, before), "another broker")
    harness.eventually(lambda: is_new_broker(here, before) or "no other is started" in here.log_text(), "a record")
    harness.equal(is_new_broker(here, before), [])
    for process in processes:
        os.kill(process.pid, signal.SIGCONT)
    waiting[-1].expect(250)
    deliver(here.client())


# Its descriptors


def test_the_broker_keeps_no_file_of_a_trace():
    """It would be one more for each connection than the share of each has room for."""
    here = Listening(maildir="%u", trace="127.0.0.0/8")
    make_maildir(here.root / "printer", owner=OTHER)
    traces = here.dir / "traces"
    traces.mkdir()
    os.chown(traces, OTHER, OTHER)
    here.set(trace_directory=traces)
    here.listen()
    deliver(here.client())
    client = here.client()
    client.ehlo()
    harness.equal(len(list(traces.iterdir())), 2)
    broker = brokers_below(here.process.pid)[0]
    kept = [os.readlink(f"/proc/{broker}/fd/{fd}") for fd in os.listdir(f"/proc/{broker}/fd")]
    harness.equal([path for path in kept if path.startswith(f"{traces}/")], [])
    client.quit()


def test_who_finds_no_room_has_the_cause_in_the_record():
    """Even the channel of a connection needs a descriptor: the limit is named, and the broker has not ended."""
    harness.need("prlimit")
    here = Listening(maildir="%u", source_connection_limit=100)
    make_maildir(here.root / "printer", owner=OTHER)
    here.listen(wrap=("prlimit", "--nofile=64:64"))
    clients = [asked(here, "printer") for _ in range(40)]
    codes = [client.reply().code for client in clients]
    for client in clients:
        client.quit()
    assert {250, 451} <= set(codes) <= {250, 451, 452}, codes
    faults = {record.get("delivery_fault") for record in here.records("message")} - {None}
    assert faults, here.log_text()
    for fault in faults:
        harness.contains(fault, "raise LimitNOFILE=")
    harness.equal(len(brokers_below(here.process.pid)), 1)


def test_clients_with_many_recipients_leave_others_room():
    """They get 452 for what is too many, and the message for the rest; another client has room for some recipients."""
    harness.need("prlimit")
    names = [f"user{n}" for n in range(100)]
    here = Listening(maildir="%u", source_connection_limit=100, error_limit=200)
    for name in ("printer", *names):
        make_maildir(here.root / name, owner=OTHER)
    here.listen(wrap=("prlimit", "--nofile=400:400"))
    clients = []
    for _ in range(4):
        client = here.client()
        client.ehlo()
        client.say(f"MAIL FROM:<{harness.SENDER}>", 250)
        client.send("".join(f"RCPT TO:<{name}@{DOMAIN}>\r\n" for name in names))
        clients.append((client, [client.reply().code for _ in names]))
    for _, codes in clients:
        harness.equal(set(codes) - {250, 452}, set())
        assert codes.count(250) >= 5, codes
    assert 452 in clients[-1][1]
    for _ in range(20):
        others = here.client()
        others.ehlo()
        others.envelope(recipients=[f"{name}@{DOMAIN}" for name in names[:3]])
        harness.equal(code_of_data(others), 250)
        others.quit()
    deliver(here.client())
    for client, _ in clients:
        harness.equal(code_of_data(client), 250)
        client.quit()
    harness.equal(here.records("error"), [])


# Owners that change their mailboxes between RCPT and DATA


def link_of_new(place):
    (place.alice / "new").rename(place.alice / "old")
    (place.alice / "new").symlink_to(place.target)


def link_of_all(place):
    place.alice.rename(place.domain / "old")
    place.alice.symlink_to(place.target)


def fifo(place):
    shutil.rmtree(place.alice / "new")
    os.mkfifo(place.alice / "new")


def nothing(place):
    shutil.rmtree(place.alice)


def closed(place):
    (place.alice / "new").chmod(0)


CHANGES = {"a link in the place of new": link_of_new, "a link in the place of the mailbox": link_of_all,
           "a FIFO": fifo, "nothing": nothing, "a mode": closed}


@harness.table_of({f"{when}, {name}": (when, change) for name, change in CHANGES.items() for when in ("before", "between")})
def test_no_change_of_an_owner_leads_elsewhere(when, change):
    """A message goes into the mailbox that was there at RCPT, or the client comes again; nothing waits."""
    place = with_alice()
    place.target = place.site.dir / "target"
    make_maildir(place.target)
    os.chown(place.domain, OTHER, OTHER)
    if when == "before":
        change(place)
        assert place.deliver()[0] // 100 in (4, 5)
    else:
        client = begun(place)
        change(place)
        assert code_of_data(client) in (250, 451)
        client.quit()
    harness.equal([path for part in place.target.iterdir() for path in part.iterdir()], [])


def test_what_one_owner_breaks_is_told_to_that_recipient_alone():
    place = with_alice()
    bob = make_maildir(place.domain / "bob", owner=OURS)
    (place.alice / "new").chmod(0o500)
    harness.equal(place.rcpt((ALICE, BOB)), [451, 250])
    harness.equal(place.deliver(), [451])
    harness.equal(place.fault(), f"{place.alice}/new: Permission denied")
    harness.equal(place.deliver((BOB,), lmtp=True), [250])
    harness.equal([path.stat().st_uid for path in place.site.new(bob)], [OURS])


def test_a_message_for_two_owners_is_written_for_each_and_for_one_owner_once():
    place = with_alice()
    boxes = {"alice": OTHER, "carl": OTHER, "bob": OURS}
    for name in ("carl", "bob"):
        make_maildir(place.domain / name, owner=boxes[name])
    harness.equal(place.deliver([f"{name}@{DOMAIN}" for name in boxes]), [250])
    files = {}
    for name, owner in boxes.items():
        path, = place.site.new(place.domain / name)
        harness.check_stored(path, harness.sample())
        harness.equal(path.stat().st_uid, owner)
        files[name] = (path.stat().st_ino, path.stat().st_nlink)
    harness.equal(files["alice"], files["carl"])
    harness.equal([files[name][1] for name in boxes], [2, 2, 1])


def test_files_of_owners_in_turn_have_their_user_and_group():
    """The broker keeps the group from one request to the next; each owner has his own all the same."""
    place = Place()
    owners = {"alice": (OTHER, OTHER), "bob": (OTHER, OURS), "carl": (OURS, OURS), "dora": (0, OTHER), "root": (0, 0)}
    for name, (user, group) in owners.items():
        box = make_maildir(place.domain / name)
        for path in (box, *box.iterdir()):
            os.chown(path, user, group)
    client = place.site.connect()
    client.ehlo()
    broker, = brokers_below(client.process.pid)
    for name in (*owners, *reversed(owners)):
        client.envelope(recipients=[f"{name}@{DOMAIN}"])
        harness.equal(code_of_data(client), 250)
        user, group = owners[name]
        for path in place.site.new(place.domain / name):
            harness.equal((path.stat().st_uid, path.stat().st_gid), (user, group), name)
        harness.eventually(lambda: status_of(broker)["Uid"].split() == ["0"] * 4, "root between requests")
        harness.equal(status_of(broker)["Groups"].split(), [str(group)])
    client.quit()


def test_where_user_is_set_there_is_no_broker():
    """It would cost each message, and all mailboxes belong to that user."""
    place = Place(user="nobody")
    give(place.root, pwd.getpwnam("nobody").pw_uid)
    make_maildir(place.alice, owner=pwd.getpwnam("nobody").pw_uid)
    client = begun(place)
    harness.equal(brokers_below(client.process.pid), [])
    harness.equal(code_of_data(client), 250)
    client.quit()
    here = Listening(user="nobody")
    give(here.root, pwd.getpwnam("nobody").pw_uid)
    here.listen()
    harness.equal(brokers_below(here.process.pid), [])
    deliver(here.client())


def test_a_full_quota_is_that_of_the_owner():
    """Root's reserve of a file system is not used for the mail of others."""
    place = with_alice()
    small = harness.small_file_system(place.alice, "64k")
    for part in ("new", "cur", "tmp"):
        (small / part).mkdir()
        os.chown(small / part, OTHER, OTHER)
    os.chown(small, OTHER, OTHER)
    harness.fill(small / "cur")
    harness.equal(place.deliver(), [452])
    harness.equal(place.fault(), f"{place.alice}/new: No space left on device")


if __name__ == "__main__":
    harness.main()
