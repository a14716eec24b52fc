#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""`postern --listen`: one process accepts and forks; a change applies to the next connection, no client can take all
places, and connections do not influence each other."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import threading

import harness
from harness import RECIPIENT, Client, Site, free_port
from listening import (Listening, acceptor, certificate_of, children, connections, deliver, replace, replies_of, status_of,
                       with_tls)
from logins import put
from machine import LOGIN, USERS, server, unit


def test_messages_in_the_clear_and_through_tls():
    here = with_tls().listen()
    deliver(here.client())
    deliver(here.client(), tls=True)
    harness.equal(len(here.new()), 2)
    harness.eventually(lambda: len(here.records("session")) == 2, "records")
    session = here.records("session")[1]
    harness.equal((session["peer"], session["tls"]), ("127.0.0.1", "TLS1.3"))


def test_many_clients_at_once():
    here = with_tls().listen()
    clients = [here.client() for _ in range(30)]
    for client in clients:
        client.ehlo()
        client.starttls()
        client.ehlo()
        client.envelope()
        client.say("DATA", 354)
    for client in clients:
        client.send("Subject: x\r\n\r\nx\r\n.\r\n")
    for client in clients:
        client.expect(250)
        client.quit()
    harness.equal(len(here.new()), 30)


def lmtp_client(here):
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(f"{here.dir}/lmtp")
    client = Client(connection)
    client.expect(220)
    client.lhlo()
    return client


def test_each_socket_speaks_what_its_name_says():
    here = Listening("", "smtps=", "lmtp=", tls="on", pair=harness.pair()).listen()
    deliver(here.client(0))
    client = here.client(1, greeting=False)
    client.handshake()
    client.expect(220)
    deliver(client)
    client = lmtp_client(here)
    client.envelope()
    client.say("DATA", 354)
    client.send(".\r\n")
    client.expect(250)
    client.quit()
    harness.equal(len(here.new()), 3)


def test_a_listener_for_lmtp_alone_reads_no_certificate():
    named = {"tls": "on", "tls_certificate": "credential:tls.crt", "tls_key": "credential:tls.key"}
    here = Listening("lmtp=", **named).listen()
    done = harness.run(*here.command(), "-o", "user=root", f"--listen=lmtp={here.dir}/other", "--check")
    harness.equal((done.returncode, harness.without_static(done.stdout)), (0, ""))
    lmtp_client(here).quit()
    harness.eventually(lambda: here.records("session"), "a record")
    harness.equal(here.records("error"), [], "there is no TLS on LMTP, and a check finds no fault")
    # what another socket needs is missed
    here = Listening("lmtp=", "", **named).listen()
    harness.equal(len(here.records("error")), 1)


def login_files(here):
    if not (harness.program().parent / "sasl.so").exists():
        raise harness.Skip("built without sasl")
    secret = here.dir / "secret"
    secret.write_bytes(os.urandom(32))
    users = here.dir / "users"
    users.write_text(USERS)
    for path in (secret, users):
        path.chmod(0o600)
    return {"auth_users": users, "auth_secret": secret}


def test_sockets_of_all_kinds_share_a_sandbox():
    """Each kind has its own descriptor of the outbox."""
    here = with_tls("", "smtps=", "submission=", "lmtp=", trace="127.0.0.0/8", maildir_create="yes")
    folders = [here.dir / "outbox", here.dir / "traces"]
    folders[1].mkdir()
    here.set(dsn_outbox=folders[0], trace_directory=folders[1], **login_files(here)).listen()
    client = here.client(0)
    assert client.ehlo().has("DSN")
    client.say(f"MAIL FROM:<{harness.SENDER}>", 250)
    client.say(f"RCPT TO:<{RECIPIENT}> NOTIFY=SUCCESS", 250)
    client.say("DATA", 354)
    harness.equal(client.content(harness.sample()).code, 250)
    client.quit()
    client = here.client(1, greeting=False)
    client.handshake()
    client.expect(220)
    deliver(client)
    client = here.client(2)
    client.ehlo()
    client.starttls()
    client.quit()
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(f"{here.dir}/lmtp")
    client = Client(connection)
    client.expect(220)
    client.quit()
    harness.equal(here.records("error"), [])
    harness.equal(len(here.new(folders[0])), 1, "reports")
    assert list(folders[1].iterdir()), "sessions are in traces"


def test_a_new_certificate_counts_from_the_next_connection_on():
    here = with_tls().listen()
    before = here.client()
    before.ehlo()
    harness.equal(certificate_of(here.client()), harness.pair().der())
    replace(here, harness.pair(serial=2))
    harness.equal(certificate_of(here.client()), harness.pair(serial=2).der())
    replace(here, harness.pair("rsa"))
    harness.equal(certificate_of(here.client()), harness.pair("rsa").der())
    before.quit()


@harness.table(missing=None, garbage=b"no key", of_another="rsa")
def test_a_broken_certificate_keeps_the_old_one_and_is_told(key):
    here = with_tls().listen()
    harness.equal(certificate_of(here.client()), harness.pair().der())
    here.pair.key.unlink()
    if key:
        here.pair.key.write_bytes(harness.pair("rsa").key.read_bytes() if key == "rsa" else key)
    harness.equal(certificate_of(here.client()), harness.pair().der())
    harness.eventually(lambda: here.records("error"), "a record")
    harness.contains(here.records("error")[0]["text"], "tls-key")
    harness.equal(len(here.records("error")), 1, "it is told once")
    replace(here, harness.pair(serial=2))
    harness.equal(certificate_of(here.client()), harness.pair(serial=2).der())


def files_of(pid):
    return [os.readlink(f"/proc/{pid}/fd/{n}") for n in os.listdir(f"/proc/{pid}/fd")]


def test_a_key_that_cannot_be_used_is_not_kept_open():
    here = with_tls()
    here.pair.key.write_bytes(harness.pair("rsa").key.read_bytes())
    here.listen()
    client = here.client()
    client.ehlo()
    client.say("STARTTLS", 454)
    client.say("NOOP", 250)
    for pid in (acceptor(here), *connections(here)):
        opened = files_of(pid)
        assert str(here.pair.key) not in opened and str(here.pair.certificate) not in opened, opened
    client.quit()


class Elsewhere(Listening):
    """A listener whose program and modules are copies."""

    def __init__(self, *kinds, **settings):
        super().__init__(*kinds, **settings)
        self.place = harness.scratch()
        for name in ("postern", "tls.so", "idn.so", "sasl.so"):
            source = harness.program().parent / name
            if source.exists():
                shutil.copy(source, self.place)

    def command(self):
        return [str(self.place / "postern"), *super().command()[1:]]


def gone(module):
    module.unlink()


def garbage(module):
    module.write_bytes(b"no library" * 1000)


def empty(module):
    module.write_bytes(b"")


def not_executable(module):
    """As by NoExecPaths= of systemd, or on a file system that is mounted noexec."""
    harness.need_root()
    there = harness.scratch()
    harness.mount("-t", "tmpfs", "-o", "noexec", "tmpfs", there)
    shutil.move(module, there)
    module.symlink_to(there / module.name)


BROKEN = harness.table(
    gone=(gone, "cannot open shared object file"), garbage=(garbage, "invalid ELF header"),
    empty=(empty, "file too short"), noexec=(not_executable, "failed to map segment"))


@harness.about_modules
@BROKEN
def test_a_listener_without_tls_serves_and_says_so(spoil, why):
    here = Elsewhere("", "smtps=", "lmtp=", tls="on", pair=harness.pair())
    module = here.place / "tls.so"
    spoil(module)
    told = f"TLS does not work: {module}: {why}"
    here.first = "STATUS=" + told
    here.listen()
    client = here.client()
    client.ehlo()
    client.say("STARTTLS", 454, "4.7.0")
    harness.equal(client.message(harness.sample()).code, 250)
    client.quit()
    client = here.client(1, greeting=False)
    harness.equal(client.rest()[:1], bytes([21]), "an alert")
    here.set(tls="required")
    client = here.client()
    client.ehlo()
    client.say("STARTTLS", 421, "4.3.0")
    client.expect_end()
    records = here.records("error")
    assert all(r["text"].startswith(told) for r in records), records
    harness.equal(len(records), 2, "one for each time that the settings are read")
    done = harness.run(*here.command(), "--check")
    harness.equal(done.returncode, 78)
    harness.contains(done.stdout, f"{module}: {why}")


@harness.about_modules
def test_a_module_that_is_installed_later_is_used():
    here = Elsewhere(tls="on", pair=harness.pair())
    (here.place / "tls.so").unlink()
    here.listen()
    client = here.client()
    client.ehlo()
    client.say("STARTTLS", 454)
    client.quit()
    shutil.copy(harness.program().parent / "tls.so", here.place)
    deliver(here.client(), tls=True)
    harness.equal(len(here.records("error")), 1)


@harness.about_modules
@BROKEN
def test_a_listener_without_the_module_for_users_says_so_once(spoil, why):
    here = Elsewhere("", "", tls="on", auth="on", pair=harness.pair())
    here.set(**login_files(here))
    spoil(here.place / "sasl.so")
    here.listen()
    for n in (0, 1):
        client = here.client(n)
        client.ehlo()
        client.starttls()
        client.ehlo()
        client.say("AUTH PLAIN AHVzZXIAc2VjcmV0", 454)
        client.quit()
    records = here.records("error")
    harness.equal(len(records), 1, records)
    harness.contains(records[0]["text"], f"auth: {here.place}/sasl.so: {why}")


def test_a_new_setting_counts_from_the_next_connection_on():
    here = with_tls().listen()
    client = here.client()
    here.set(tls="required", hostname="other.example.org")
    client.ehlo()
    client.say(f"MAIL FROM:<{harness.SENDER}>", 250)
    client.quit()
    client = here.client(greeting=False)
    client.expect(220, "other.example.org")
    client.ehlo()
    client.say(f"MAIL FROM:<{harness.SENDER}>", 530)
    client.expect_end()


def test_wrong_settings_are_told_and_cost_no_listener():
    here = Listening().listen()
    here.set(size_limit="much")
    client = here.client(greeting=False)
    client.expect(421, "4.3.5")
    client.expect_end()
    here.set(size_limit="1M")
    deliver(here.client())


def test_one_source_cannot_take_every_place():
    here = Listening(source_connection_limit=3, connection_limit=5).listen()
    first = [here.client() for _ in range(3)]
    here.client(greeting=False).expect(421, "4.7.0 Too many connections")
    others = [here.client(client=f"127.0.0.{n}") for n in (2, 3)]
    here.client(client="127.0.0.4", greeting=False).expect(421, "4.7.0 Too many connections")
    harness.contains(here.records("error")[0]["text"], "source-connection-limit: a connection of 127.0.0.1")
    harness.equal(len(here.records("error")), 1, "told once in a while")
    first.pop().quit()
    harness.eventually(lambda: "220" in replies_of(here), "its place is free again")
    for client in (*first, *others):
        client.quit()


def test_one_source_cannot_come_too_often():
    here = Listening(source_connection_rate=2).listen()
    codes = [replies_of(here)[:3] for _ in range(6)]
    harness.contains(codes, "421")
    harness.equal(codes[:2], ["220", "220"])
    here.client(client="127.0.0.2").quit()


def test_two_sources_in_turn_have_each_their_rate():
    here = Listening(source_connection_rate=5).listen()
    sources = ("127.0.0.2", "127.0.10.188")
    codes = {source: [] for source in sources}
    for _ in range(12):  # two more than in two minutes
        for source in sources:
            client = here.client(client=source, greeting=False)
            codes[source].append(str(client.reply())[:3])
            client.close()
    for source in sources:
        harness.contains(codes[source], "421")
        harness.equal(codes[source][:5], ["220"] * 5)


def test_a_proxy_has_no_limit_of_its_own():
    by_setting = Listening(source_connection_limit=1, proxy_protocol="127.0.0.1")
    by_rule = Listening(source_connection_limit=1)
    by_rule.set(clients=put(by_rule, "clients", "127.0.0.1 proxy\n"))
    for here in (by_setting, by_rule):
        here.listen()
        for _ in range(3):
            client = here.client(greeting=False)
            client.send("PROXY TCP4 192.0.2.7 192.0.2.25 4711 25\r\n")
            client.expect(220)


def test_where_tls_comes_first_nothing_is_said_in_the_clear():
    here = Listening("smtps=", tls="on", pair=harness.pair(), connection_limit=1).listen()
    first = here.client(greeting=False)
    first.handshake()
    first.expect(220)
    harness.equal(here.client(greeting=False).rest(), b"")


def test_a_stop_lets_sessions_go_on():
    here = Listening().listen()
    client = here.client()
    client.ehlo()
    client.envelope()
    client.say("DATA", 354)
    here.process.terminate()
    harness.equal(here.process.wait(harness.PATIENCE), 0)
    with contextlib.suppress(ConnectionRefusedError):
        here.client()
        raise AssertionError("somebody still listens")
    client.send(".\r\n")
    client.expect(250)
    client.quit()
    harness.equal(len(here.new()), 1)


def test_as_the_first_process_of_a_container_it_ends_after_its_sessions():
    """The kernel kills all others when it ends."""
    harness.need_root("a namespace of processes")
    here = Listening().listen(wrap=("unshare", "--pid", "--fork", "--kill-child", "--mount-proc"))
    first, = children(here.process.pid)
    listener = min(children(first))
    client = here.client()
    client.ehlo()
    client.envelope()
    client.say("DATA", 354)
    os.kill(first, signal.SIGTERM)
    harness.eventually(lambda: listener not in children(first), "the listener ends")
    with contextlib.suppress(ConnectionRefusedError):
        here.client()
        raise AssertionError("somebody still listens")
    client.send(".\r\n")
    client.expect(250)
    client.quit()
    harness.equal(here.process.wait(harness.PATIENCE), 0)
    harness.equal(len(here.new()), 1)


def layout(here):
    """The address of the program in memory."""
    with open(f"/proc/{here.process.pid}/maps", encoding="ascii") as maps:
        return next(line.split("-")[0] for line in maps if line.rstrip().endswith("/postern"))


@harness.senseless_when_sanitized
def test_a_crash_makes_another_address_space():
    here = Listening().listen()
    bystander, victim = here.client(), here.client()
    before = layout(here)
    os.kill(max(connections(here)), signal.SIGSEGV)
    victim.rest()
    here.hear("READY=1")
    assert layout(here) != before, "the same layout"
    harness.contains(here.records("error")[0]["text"], "was ended by SIGSEGV; the listener restarts itself")
    bystander.quit()
    deliver(here.client())
    after = layout(here)
    victim = here.client()
    os.kill(max(connections(here)), signal.SIGSEGV)
    victim.rest()
    harness.eventually(lambda: len(here.records("error")) == 2, "a second record")
    harness.contains(here.records("error")[1]["text"], "continues")
    harness.equal(layout(here), after, "not again so soon")
    deliver(here.client())


def test_a_kill_is_no_crash():
    here = Listening().listen()
    victim = here.client()
    os.kill(max(connections(here)), signal.SIGKILL)
    victim.rest()
    deliver(here.client())
    harness.equal(here.records("error"), [])


def test_the_service_manager_hears_how_it_goes():
    here = Listening(tls="required", pair=harness.pair()).listen(WATCHDOG_USEC="200000")
    here.hear("WATCHDOG=1")
    client = here.client()
    here.hear("STATUS=Ready; 1 connections, 1 so far")
    client.ehlo()
    client.say(f"MAIL FROM:<{harness.SENDER}>", 530)
    client.rest()
    client.close()
    here.hear("STATUS=SSL Error (SMTP RX Reject); 0 connections, 1 so far")


def test_a_process_leaves_no_descriptor_of_the_listener_to_a_connection():
    here = Listening().listen()
    client = here.client()
    child = connections(here)[0]
    links = files_of(child)
    sockets = [link for link in links if link.startswith("socket:")]
    brokers = 1 if os.getuid() == 0 else 0
    harness.equal(len(set(sockets)), 2 + brokers, f"the connection, that to its acceptor, that to the broker: {links}")
    client.quit()


KINDS = ("", "smtps=", "submission=", "lmtp=")


def reach(here, kind):
    """A client of that kind, whose session has begun."""
    if kind == "lmtp=":
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(f"{here.dir}/lmtp")
        client = Client(connection)
    else:
        client = here.client(KINDS.index(kind), greeting=False)
    if kind == "smtps=":
        client.handshake()
    client.expect(220)
    return client


@harness.table_of({f"{kind}{shape}": (kind, shape) for kind in KINDS for shape in (".text", ".cdb")})
def test_a_connection_has_open_what_its_kind_needs(kind, shape):
    """Not what the acceptor holds beside it, nor what connections of other kinds use."""
    here = with_tls(*KINDS, maildir_create="yes")
    files = login_files(here)
    if shape == ".cdb":
        tables = {"auth_users": files["auth_users"], "auth_senders": here.dir / "senders",
                  "recipients": here.dir / "recipients"}
        tables["auth_senders"].write_text(f"ann {harness.SENDER}\n")
        tables["recipients"].write_text(f"{RECIPIENT} box\n")
        for setting, path in tables.items():
            files[setting] = path.with_suffix(".cdb")
            done = harness.run(harness.build / "src/postern-cdb", files[setting], path)
            harness.equal(done.returncode, 0, done.stdout)
            files[setting].chmod(0o600)
    here.set(dsn_outbox=here.dir / "outbox", log=f"json:{here.dir}/log.json", **files).listen()
    client = reach(here, kind)
    links = files_of(connections(here)[0])
    # it reports failures to its acceptor; until the handshake it has a channel to the key agent, too; and root's has
    # one to the broker, which has the mailboxes
    brokered = os.getuid() == 0
    sockets = {"lmtp=": 1, "smtps=": 2}.get(kind, 3) + brokered
    harness.equal(len({link for link in links if link.startswith("socket:")}), sockets, "no other")
    opened = sorted(link for link in links if not link.startswith(("socket:", "anon_inode:")))
    expected = ["/dev/null"] if "/dev/null" in opened else []
    expected += [str(here.log), str(here.dir / "log.json")]
    if not brokered:
        expected += [str(here.root), str(here.dir / "outbox")]
    if shape == ".cdb":
        expected += [] if brokered else [str(files["recipients"])]
        if kind == "submission=":
            expected += [str(files["auth_users"]), str(files["auth_senders"])]
    harness.equal(opened, sorted(expected))
    client.close()


def test_who_accepts_is_shut_in_before_anybody_comes():
    here = with_tls().listen()
    status = status_of(acceptor(here))
    harness.equal((status["NoNewPrivs"], status["Seccomp"]), ("1", "2"))
    harness.equal(int(status["CapEff"], 16), 0)
    client = here.client()
    connection = status_of(connections(here)[0])
    assert int(connection["Seccomp_filters"]) > int(status["Seccomp_filters"]), "it forks no more"
    client.quit()


def test_all_processes_have_the_name_of_the_program():
    here = Listening().listen()
    client = here.client()
    for pid in (here.process.pid, acceptor(here), connections(here)[0]):
        harness.equal(status_of(pid)["Name"], "postern")
    client.quit()


def test_who_accepts_is_the_user():
    harness.need_root()
    here = Listening(user="nobody")
    here.root.chmod(0o777)
    here.dir.chmod(0o755)
    here.listen()
    client = here.client()
    nobody = harness.run("id", "-u", "nobody").stdout.strip()
    for pid in (acceptor(here), connections(here)[0]):
        harness.equal(set(status_of(pid)["Uid"].split("\t")), {nobody})
    deliver(client)


def test_connections_of_earlier_settings_count():
    here = Listening(source_connection_limit=3).listen()
    clients = [here.client(), here.client()]
    here.set(source_connection_limit=3, hostname="other.example.org")
    clients.append(here.client(greeting=False))
    clients[2].expect(220, "other.example.org")
    here.client(greeting=False).expect(421, "4.7.0 Too many connections")
    clients[0].quit()
    harness.eventually(lambda: "220" in replies_of(here), "its place is free again")
    here.hear("STATUS=Ready; 2 connections")
    for client in clients[1:]:
        deliver(client)


@harness.table(one="{root}/box", each="{root}/%u")
def test_a_tls_socket_serves_where_tls_is_off(maildir):
    """As root too, whose connections can read no library once they are in their sandbox."""
    here = Listening("", "smtps=")
    pair = harness.pair().copy_to(here.dir)
    here.set(tls="off", pair=pair, maildir=maildir.format(root=here.root)).listen()
    client = here.client(1, greeting=False)
    client.handshake()
    client.expect(220)
    deliver(client)
    assert not here.client(0).ehlo().has("STARTTLS"), "tls = off"


def test_many_changes_while_a_session_lasts():
    here = Listening(timeout=300).listen()
    first = here.client()
    first.ehlo()
    waiting = []
    for n in range(20):
        here.set(hostname=f"h{n}.example.org")
        waiting.append(here.client(greeting=False))
        waiting[-1].expect(220, f"h{n}.example.org")
    acceptors = [pid for pid in children(here.process.pid) if children(pid)]
    assert len(acceptors) <= 16, "the oldest do not wait for ever"
    for client in waiting:
        client.quit()
    harness.eventually(lambda: len(children(here.process.pid)) <= 2, "the others end with their connections")
    harness.equal(first.message(harness.sample()).code, 250)
    first.quit()
    harness.equal(here.records("error"), [])


def test_a_log_that_was_moved_away_is_written_anew():
    here = Listening()
    log, old = here.dir / "records", here.dir / "records.1"
    here.set(log=f"json:{log}").listen()
    deliver(here.client())
    harness.eventually(lambda: '"session"' in log.read_text(), "a record")
    log.rename(old)
    deliver(here.client())
    harness.eventually(lambda: log.exists() and '"session"' in log.read_text(), "a record in the new file")
    harness.equal(old.read_text().count('"event":"session"'), 1)


def test_a_mail_root_in_place_of_the_old_one_is_used():
    here = Listening().listen()
    deliver(here.client())
    old = here.root.rename(here.dir / "old")
    deliver(here.client())
    harness.equal((len(here.new()), len(list((old / "box/new").iterdir()))), (1, 1))


def test_a_mail_root_that_is_made_later_is_used():
    here = Listening(maildir_create="no")
    here.root.rmdir()
    here.listen()
    for _ in range(2):
        client = here.client(greeting=False)
        client.expect(421, "4.3.5")
        client.expect_end()
    for part in ("tmp", "new", "cur"):
        (here.maildir / part).mkdir(parents=True)
    deliver(here.client())


def test_a_new_table_counts_from_the_next_connection_on():
    here = Listening()
    table = here.dir / "recipients"
    table.write_text(f"{RECIPIENT} {here.maildir.name}\n")
    here.set(recipients=table).listen()
    deliver(here.client())
    table.write_text("somebody@example.org box\n")
    client = here.client()
    client.ehlo()
    client.say(f"MAIL FROM:<{harness.SENDER}>", 250)
    client.say(f"RCPT TO:<{RECIPIENT}>", 550)
    client.quit()


def test_a_client_with_a_priority_of_its_own():
    here = with_tls()
    rules = here.dir / "clients"
    rules.write_text("127.0.0.2 tls-priority=NORMAL:-VERS-ALL:+VERS-TLS1.2\n")
    here.set(pair=here.pair, clients=rules).listen()
    for address, version in (("127.0.0.1", "TLSv1.3"), ("127.0.0.2", "TLSv1.2")):
        client = here.client(client=address)
        client.ehlo()
        client.starttls()
        harness.equal(client.socket.version(), version)
        client.ehlo()
        harness.equal(client.message(harness.sample()).code, 250)
        client.quit()


@harness.table(in_the_clear=False, through_tls=True)
def test_an_internationalized_address(through_tls):
    here = (with_tls() if through_tls else Listening()).listen()
    client = here.client()
    client.ehlo()
    if through_tls:
        client.starttls()
        client.ehlo()
    client.say("MAIL FROM:<jos\u00e9@b\u00fccher.example> SMTPUTF8", 250)
    client.say(f"RCPT TO:<{RECIPIENT}>", 250)
    client.quit()


def test_who_accepts_is_replaced_when_it_is_gone():
    here = Listening().listen()
    session = here.client()
    os.kill(acceptor(here), signal.SIGKILL)
    harness.eventually(lambda: here.records("error"), "a record")
    harness.contains(here.records("error")[0]["text"], "which accepts connections, has ended (signal 9)")
    deliver(here.client())
    deliver(session)


def test_who_accepts_ends_with_the_listener():
    here = Listening().listen()
    session, pid = here.client(), acceptor(here)
    here.process.kill()
    here.process.wait(harness.PATIENCE)
    harness.eventually(lambda: not os.path.exists(f"/proc/{pid}"), "it has ended")
    deliver(session)


def test_socket_activation_hands_over_the_socket():
    harness.need("systemd-socket-activate")
    here = Listening()
    port = free_port()
    with open(here.log, "ab") as log:
        harness.start("systemd-socket-activate", "-l", f"127.0.0.1:{port}", "--fdname=smtp",
                      *here.command(), "--listen", stderr=log)
    harness.eventually(lambda: "Listening on" in here.log_text(), "it listens")
    deliver(Client.to(port))
    deliver(Client.to(port))
    harness.equal(len(here.new()), 2)


def test_without_a_socket_it_says_what_to_do():
    here = Site()
    done = harness.run(*here.command(), "--listen")
    harness.equal(done.returncode, 64)
    harness.contains(done.stdout, "no socket was handed over: use --listen=ADDRESS")
    for address in ("192.0.2.1", "mail.example.org:25", "ftp=127.0.0.1:25", "127.0.0.1:99999"):
        done = harness.run(*here.command(), f"--listen={address}")
        harness.equal(done.returncode, 64)
        harness.contains(done.stdout, "must be")


# Under systemd


def listening_server():
    here = server()
    here.write("etc/systemd/system/postern-listen.socket.d/port.conf",
               "[Socket]\nListenStream=\nListenStream=127.0.0.1:2526\n")
    here.run("systemctl", "daemon-reload")
    here.start("postern-listen.socket")
    harness.at_end(here.run, "systemctl", "stop", "postern-listen.service")
    return here


def test_the_hardened_unit_takes_mail_through_tls():
    here = listening_server()
    try:
        client = here.connect(port=2526)
    except AssertionError:
        print("#", here.run("journalctl", "-t", "postern", "-n", "20").replace("\n", "\n# "))
        raise
    client.ehlo()
    client.starttls()
    client.ehlo()
    harness.equal(client.message(harness.sample()).code, 250)
    client.say("QUIT", 221)
    harness.equal(len(here.messages()), 1)
    harness.contains(here.show("postern-listen.service", "StatusText", "ActiveState"), "ActiveState=active")


def test_users_log_in_to_the_hardened_unit():
    here = listening_server()
    here.let_log_in("postern-listen.service")
    client = here.connect(port=2526)
    client.ehlo()
    client.starttls()
    client.ehlo()
    client.say(LOGIN, 235)
    harness.equal(client.message(harness.sample()).code, 250)
    client.say("QUIT", 221)
    harness.equal(len(here.messages()), 1)


def test_a_new_certificate_starts_the_unit_anew():
    here = listening_server()
    here.start("postern-listen.path")
    harness.at_end(here.certificate, harness.pair())
    deliver(here.connect(port=2526))
    here.certificate(harness.pair(serial=2))

    def is_new():
        client = here.connect(port=2526)
        return certificate_of(client) == harness.pair(serial=2).der()

    harness.eventually(is_new, "the new certificate")


def test_no_connection_is_lost_when_the_unit_starts_anew():
    here = listening_server()
    deliver(here.connect(port=2526))
    failures, stop = [], threading.Event()

    def load():
        while not stop.is_set():
            done = subprocess.run(
                [harness.HERE / "with-systemd", "run", here.dir, "sh", "-c",
                 f"printf 'HELO x\\r\\nMAIL FROM:<>\\r\\nRCPT TO:<{RECIPIENT}>\\r\\nDATA\\r\\n.\\r\\nQUIT\\r\\n' | "
                 "socat -t5 - TCP:127.0.0.1:2526"], capture_output=True, text=True, timeout=60, check=False)
            if "221 " not in done.stdout:
                failures.append(done.stdout + done.stderr)

    threads = [threading.Thread(target=load) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(4):
            here.run("systemctl", "reset-failed", "postern-listen.service")  # how often it was started
            here.run("systemctl", "restart", "postern-listen.service")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    harness.contains(here.show("postern-listen.service", "NRestarts"), "NRestarts=0", "it never failed")
    harness.equal(failures, [])


def test_the_unit_is_exposed_to_nearly_nothing():
    harness.need("systemd-analyze")
    done = harness.run("systemd-analyze", "security", "--offline=true", "--threshold=5", "--no-pager",
                       unit("postern-listen.service"))
    harness.equal(done.returncode, 0, done.stdout)


harness.main()
