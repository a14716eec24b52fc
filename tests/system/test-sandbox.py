#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""The sandbox around whole sessions: the result if it cannot be entered, the files that stay accessible, and no core
file of a process with a key."""

import ctypes
import os
import re
import resource
import signal
import socket
from pathlib import Path

import harness
from harness import SENDER, Site
from listening import Listening, acceptor, brokers_below, children, connections, deliver, status_of

LANDLOCK_CREATE_RULESET, LANDLOCK_RESTRICT_SELF = 444, 446
LAYERS_MAX = 16  # rulesets that the kernel puts one upon another
PR_SET_NO_NEW_PRIVS = 38
MAKE_BLOCK_DEVICE = 1 << 11  # what the layers of a test deny: no session does it


def landlock_abi():
    return ctypes.CDLL(None).syscall(LANDLOCK_CREATE_RULESET, None, 0, 1)


def put_layers(n):
    """Enter that many sandboxes, as a container in a container does."""
    libc = ctypes.CDLL(None, use_errno=True)
    handled = ctypes.c_uint64(MAKE_BLOCK_DEVICE)
    assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    for _ in range(n):
        fd = libc.syscall(LANDLOCK_CREATE_RULESET, ctypes.byref(handled), 8, 0)
        assert fd >= 0 and libc.syscall(LANDLOCK_RESTRICT_SELF, fd, 0) == 0, os.strerror(ctypes.get_errno())
        os.close(fd)


# A stage that cannot be entered


def layers_but(n):
    """The kernel takes n more rulesets and no other."""
    if landlock_abi() < 2:
        raise harness.Skip("no Landlock that serves")
    return {"preexec_fn": lambda: put_layers(LAYERS_MAX - n)}


def failing(call, n):
    """The n-th call of that name fails."""
    harness.need("strace")
    return {"wrap": ("strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}",
                     "-e", f"inject={call}:error=ENOMEM:when={n}")}


def one_error(place, text):
    errors = [r["text"] for r in place.records("error")]
    assert len(errors) == 1 and text in errors[0], errors


@harness.not_static("it has one stage, as it loads nothing")
@harness.table(
    landlock=("Argument list too long", lambda: layers_but(1)),
    ruleset=("Cannot allocate memory", lambda: failing("landlock_restrict_self", 2)),
    filter=("Cannot allocate memory", lambda: failing("seccomp", 2)),
)
def test_without_its_second_stage_a_session_ends(why, start):
    """At the first MAIL inside TLS, with 421: the next MAIL, sent at once, is not executed."""
    place = Site(tls="on", pair=harness.pair())
    client = place.connect(**start())
    client.ehlo()
    client.starttls()
    client.ehlo()
    client.send(f"MAIL FROM:<{SENDER}>\r\n" * 2 + f"RCPT TO:<{harness.RECIPIENT}>\r\nDATA\r\n")
    client.expect(421, "4.3.5")
    client.expect_end()
    client.wait()
    harness.equal(place.session()["end"], "misconfigured")
    one_error(place, why)
    harness.equal(place.everything(), [])


@harness.table(
    landlock=("Argument list too long", lambda: layers_but(0)),
    filter=("Cannot allocate memory", lambda: failing("seccomp", 1)),
)
def test_without_its_first_stage_no_session_begins(why, start):
    place = Site(tls="off")
    client = place.connect(greeting=False, **start())
    client.expect(421, "4.3.5")
    client.expect_end()
    client.wait()
    one_error(place, why)


# Credentials


def lets_encrypt(folder):
    """A pair as certbot keeps it: links into a folder beside; the new pair there, and how to switch to it."""
    live, archive = folder / "live", folder / "archive"
    for path in (live, archive):
        path.mkdir()
    for n, pair in enumerate((harness.pair(), harness.pair(serial=2)), 1):
        (archive / f"{n}.crt").write_bytes(pair.certificate.read_bytes())
        (archive / f"{n}.key").write_bytes(pair.key.read_bytes())
        (archive / f"{n}.key").chmod(0o600)

    def switch(n):
        for end in ("crt", "key"):
            (live / "fresh").symlink_to(f"../archive/{n}.{end}")
            (live / "fresh").rename(live / f"tls.{end}")

    switch(1)
    return harness.Pair(live / "tls.crt", live / "tls.key"), switch


def der_of(client):
    client.ehlo()
    client.starttls()
    der = client.socket.getpeercert(binary_form=True)
    client.ehlo()
    client.envelope()
    client.quit()
    return der


def test_credentials_may_be_links():
    place = Site()
    pair, _ = lets_encrypt(place.dir)
    place.set(tls="on", pair=pair)
    harness.equal(der_of(place.connect()), harness.pair().der())


@harness.table(by_links=True, by_name=False)
def test_credentials_may_be_replaced_while_a_client_waits(links):
    """It gets those of its beginning, the next client the new ones."""
    place = Site()
    if links:
        pair, switch = lets_encrypt(place.dir)
    else:
        pair = harness.pair().copy_to(place.dir)

        def switch(_):
            for name in ("certificate", "key"):
                fresh = place.dir / "fresh"
                fresh.write_bytes(getattr(harness.pair(serial=2), name).read_bytes())
                fresh.rename(getattr(pair, name))

    place.set(tls="on", pair=pair)
    client = place.connect()
    client.ehlo()
    switch(2)
    harness.equal(der_of(client), harness.pair().der())
    harness.equal(der_of(place.connect()), harness.pair(serial=2).der())


def rules_of(place, **options):
    """What is named to Landlock, in a session with TLS and a message."""
    harness.need("strace")
    trace = place.dir / "trace"
    client = place.connect(wrap=("strace", "-f", "-qq", "-y", "-s", "200", "-o", trace, "-e",
                                 "trace=landlock_add_rule"), **options)
    client.ehlo()
    client.starttls()
    client.ehlo()
    harness.equal(client.message(harness.sample()).code, 250)
    client.quit()
    return {Path(p) for p in re.findall(r"parent_fd=\d+<([^>]*)>", trace.read_text())}


def test_no_rule_is_about_credentials():
    """Beside them there may be secrets of others: /etc/shadow beside /etc/tls.key."""
    place = Site()
    folder = place.dir / "etc"
    folder.mkdir()
    (folder / "tickets").write_bytes(os.urandom(64))
    (folder / "tickets").chmod(0o600)
    pair = harness.pair().copy_to(folder)
    place.set(tls="on", pair=pair, tls_tickets=folder / "tickets", tls_client_ca=harness.pair().certificate)
    named = rules_of(place)
    assert place.root in named, named
    outside = [p for p in named if p != place.root and not str(p).startswith(("/usr", "/lib", "/etc/ld.so.cache"))
               and not str(p).startswith(str(harness.build)) and p not in map(Path, (
                   "/etc/gnutls", "/etc/crypto-policies"))]
    harness.equal(outside, [])


# Root that delivers to Maildirs of others


def maildir_of(user, place, name):
    harness.need_root("Maildirs of several owners")
    path = place.root / name
    for part in (path, path / "tmp", path / "cur", path / "new"):
        part.mkdir()
        os.chown(part, user, user)
    return path


def mapped(pid):
    return set(re.findall(r"/([a-z]+)\.so$", Path(f"/proc/{pid}/maps").read_text(), re.M))


@harness.table(in_the_clear=False, inside_tls=True)
def test_root_gives_mail_to_its_owner(tls):
    place = Site(tls="on", pair=harness.pair(), maildir="%u")
    box = maildir_of(NOBODY, place, "printer")
    deliver(place.connect(), tls)
    found, = place.new(box)
    harness.equal((found.stat().st_uid, found.stat().st_gid), (NOBODY, NOBODY))


OWNER = 61001


def test_a_connection_for_all_owners_is_nobody_and_its_broker_can_only_become_them():
    place = Site(maildir="%u")
    maildir_of(OWNER, place, "printer")
    client = place.connect()
    client.ehlo()
    broker, = brokers_below(client.process.pid)
    connection = status_of(client.process.pid)
    harness.equal([connection[of].split() for of in ("Uid", "Gid", "Groups")],
                  [[str(NOBODY)] * 4, [str(NOBODY)] * 4, [str(NOBODY)]])
    harness.equal([int(connection[of], 16) for of in ("CapPrm", "CapEff", "CapInh")], [0, 0, 0])
    harness.equal(connection["NoNewPrivs"], "1")
    found = status_of(broker)
    harness.equal([int(found[of], 16) for of in ("CapPrm", "CapInh")], [1 << 6 | 1 << 7, 0], "CAP_SETGID, CAP_SETUID")
    harness.equal([found["NoNewPrivs"], found["Seccomp"]], ["1", "2"])
    harness.equal(sorted(link for fd in os.listdir(f"/proc/{broker}/fd")
                         if (link := os.readlink(f"/proc/{broker}/fd/{fd}")).startswith("/")),
                  ["/dev/null"] * 3 + [str(place.root)], "and no client")
    assert is_hidden(broker)
    client.quit()
    harness.eventually(lambda: not brokers_below(client.process.pid), "it ends with the connection")


def test_a_maildir_of_its_own_loads_nothing_before():
    client = Site(tls="on", pair=harness.pair()).connect()
    client.ehlo()
    harness.equal(mapped(client.process.pid) & {"idn", "tls"}, set())


@harness.table(off=("off", {"idn"}), on=("on", {"tls"}))
def test_a_listener_loads_all_for_its_connections(tls, modules):
    """So that they may read no library, whether there is TLS or not."""
    here = Listening(tls=tls, pair=harness.pair())
    here.listen()
    client = here.client()
    client.ehlo()
    # a static program loads none
    harness.equal(mapped(connections(here)[0]) & {"idn", "tls"}, set() if harness.is_static() else modules)
    client.say("MAIL FROM:<jos\u00e9@b\u00fccher.example> SMTPUTF8", 250)
    client.say("RCPT TO:<printer@example.org>", 250)
    client.quit()


# What can be written to, and read

NOBODY = 65534
AS_NOBODY = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
WAYS = {  # settings, and options of strace
    "root": ({}, ()),
    "root for all owners": ({"maildir": "%u"}, ()),
    "root with user": ({"user": "nobody"}, ()),
    "ordinary user": ({}, ("-u", "nobody")),
}
BROKERED = ("root", "root for all owners")


def with_all(place):
    """Every place to which a session writes; the user nobody owns all of them."""
    harness.need_root("processes of another user")
    place.outbox, place.traces, place.json = place.dir / "outbox", place.dir / "traces", place.dir / "logs/records"
    for path in (place.outbox, place.traces, place.json.parent):
        path.mkdir()
    place.dir.chmod(0o755)
    for path in (place.root, place.outbox, place.traces, place.json.parent):
        os.chown(path, NOBODY, NOBODY)
    place.set(maildir_create="yes", dsn_outbox=place.outbox, trace_directory=place.traces, trace="127.0.0.0/8",
              log=f"json:{place.json}")
    place.pair = harness.pair().copy_to(place.dir)
    for path in (place.pair.certificate, place.pair.key):
        os.chown(path, NOBODY, NOBODY)
    return place.set(tls="on", pair=place.pair)


def tracing_rules(place, options):
    harness.need("strace")
    return ("strace", "-f", "-qq", "-y", "-o", place.dir / "trace", "-e", "trace=landlock_add_rule", *options)


def write_and_read(pid):
    """Its plain files that are open for both: what is written there could be mapped as code."""
    found = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        path = os.readlink(f"/proc/{pid}/fd/{fd}")
        mode = int(re.search(r"flags:\s*0(\d+)", Path(f"/proc/{pid}/fdinfo/{fd}").read_text())[1], 8) & os.O_ACCMODE
        if path.startswith("/") and not path.startswith("/dev/") and not Path(path).is_dir() and mode == os.O_RDWR:
            found.append(path)
    return found


def send_with_report(client, tls, pid):
    client.ehlo()
    if tls:
        client.starttls()
        client.ehlo()
    client.say(f"MAIL FROM:<{SENDER}>", 250)
    client.say(f"RCPT TO:<{harness.RECIPIENT}> NOTIFY=SUCCESS", 250)
    client.say("DATA", 354)
    harness.equal(write_and_read(pid), [])
    harness.equal(client.content(harness.sample()).code, 250)
    harness.equal(write_and_read(pid), [])
    client.quit()


def check_rights(place, way, session):
    """Of the broker, where there is one, or else of the session or its parent."""
    processes = {}
    trace = (place.dir / "trace").read_text()
    for pid, access, path in re.findall(r"^(\d+) .*allowed_access=([A-Z_|]+), parent_fd=\d+<([^>]*)>", trace, re.M):
        rights = processes.setdefault(pid, {})
        rights[Path(path)] = rights.get(Path(path), "") + access
    writable = {pid: paths for pid, rights in processes.items()
                if (paths := {path for path, access in rights.items() if "WRITE_FILE" in access})}
    harness.equal({frozenset(paths) for paths in writable.values()}, {frozenset((place.root, place.outbox, place.traces))})
    if way in BROKERED:
        assert str(session) not in writable, (session, writable)
    else:
        for pid, paths in writable.items():
            harness.equal([path for path in paths if "READ_FILE" in processes[pid][path]], [])


@harness.table_of({f"{way}, {how}": (way, tls) for way in WAYS for how, tls in (("in clear", False), ("TLS", True))})
def test_a_session_reads_no_file_that_it_can_write_to(way, tls):
    settings, options = WAYS[way]
    place = with_all(Site(**settings))
    client = place.connect(wrap=tracing_rules(place, options))
    session, = children(client.process.pid)
    send_with_report(client, tls, session)
    check_rights(place, way, session)
    harness.equal(len(list(place.outbox.glob("new/*"))), 1)


@harness.table_of({way: way for way in WAYS})
def test_nor_does_a_session_of_a_listener(way):
    settings, options = WAYS[way]
    here = with_all(Listening(**settings))
    here.listen(wrap=tracing_rules(here, options))
    client = here.client()
    listener, = children(here.process.pid)
    acceptor_, = children(listener)
    send_with_report(client, True, children(acceptor_)[0])
    harness.equal(write_and_read(acceptor_), [])
    os.kill(listener, signal.SIGTERM)
    here.process.wait(harness.PATIENCE)
    check_rights(here, way, acceptor_)


# Memory


def is_hidden(pid):
    """The kernel gives the files of a process that must not be dumped to root."""
    found = os.stat(f"/proc/{pid}/maps").st_uid
    assert found in (0, NOBODY), found
    return found == 0


def core_here(place):
    """Lets processes that are started from now on leave a core file in the place, and returns its name."""
    pattern = open("/proc/sys/kernel/core_pattern", encoding="ascii").read().strip()
    place.dir.chmod(0o777)
    return None if pattern[0] in "|/@" else pattern.split("%")[0]


def crash(place, pid, core):
    os.kill(pid, signal.SIGSEGV)
    harness.eventually(lambda: is_dead(pid), "the process is gone")
    if core:
        harness.equal([p.name for p in place.dir.glob(core + "*")], [])


def is_dead(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):  # it has ended since
        return True


def nobodys(place):
    """All of a site becomes that user's."""
    harness.need_root("processes of another user")
    place.pair = harness.pair().copy_to(place.dir)
    for path in (place.root, place.pair.certificate, place.pair.key):
        os.chown(path, NOBODY, NOBODY)
    return place.set(tls="on", pair=place.pair, auth="off")


def dumping(place):
    return {"cwd": place.dir, "preexec_fn":
            lambda: resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)}


@harness.table(before=False, inside=True)
def test_a_connection_leaves_no_core_file(tls):
    place = nobodys(Site())
    core = core_here(place)
    client = place.connect(**AS_NOBODY, **dumping(place))
    client.ehlo()
    if tls:
        client.starttls()
        client.ehlo()
    assert is_hidden(client.process.pid)
    crash(place, client.process.pid, core)


def nobodys_listener(**settings):
    here = nobodys(Listening(**settings))
    core = core_here(here)
    os.chown(here.dir, NOBODY, NOBODY)
    return here, core


ROLES = {
    "listener": lambda here: here.process.pid,
    "acceptor": acceptor,
    "connection": lambda here: connections(here)[0],
}


@harness.table_of({f"{role} {how}": (role, settings) for role in ROLES for how, settings in {
    "from the start": {}, "after a change of user": {"user": "nobody"}}.items()})
def test_no_process_of_a_listener_leaves_a_core_file(role, settings):
    here, core = nobodys_listener(**settings)
    here.listen(options=dumping(here) if settings else {**AS_NOBODY, **dumping(here)})
    client = here.client()
    client.ehlo()
    client.starttls()
    pid = ROLES[role](here)
    assert is_hidden(pid), pid
    crash(here, pid, core)


def test_the_program_that_checks_a_key_is_hidden():
    """It reads the key, too."""
    place = nobodys(Site())
    os.unlink(place.pair.key)
    os.mkfifo(place.pair.key)
    harness.need("strace")
    done = harness.run("strace", "-e", "trace=prctl,openat,openat2", *place.command(), "--check")
    text = done.stdout
    assert "PR_SET_DUMPABLE, SUID_DUMP_DISABLE" in text, text
    assert text.index("PR_SET_DUMPABLE") < text.index(str(place.settings_file) + '", '), text


# GnuTLS


def without_chance():
    harness.need("strace")
    return ("strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=getrandom",
            "-e", "inject=getrandom:error=EIO:when=1+")


def check_fault(text):
    harness.contains(text, "GnuTLS does not work on this host (Failed to acquire random data.)")
    assert "holds no" not in text and "tls-certificate" not in text, text


def test_no_certificate_is_blamed_for_gnutls():
    """GnuTLS initialises itself, and needs random data for that."""
    place = Site(tls="on", pair=harness.pair())
    client = place.connect(wrap=without_chance())
    client.ehlo()
    client.say("STARTTLS", 454, "4.7.0")
    client.quit()
    check_fault(place.session()["tls_fault"])


def test_nor_is_it_when_settings_are_checked():
    place = Site(tls="on", pair=harness.pair())
    with socket.socket(socket.AF_UNIX) as no_file:
        no_file.bind(str(place.dir / "socket"))
    harness.mount("--bind", place.dir / "socket", "/dev/urandom")  # open() fails: outside the sandbox it must, too
    harness.at_end(harness.run, "umount", "-l", "/dev/urandom")
    done = harness.run(*without_chance(), *place.command(), "--check")
    harness.equal(done.returncode, 78)
    check_fault(done.stdout)


if __name__ == "__main__":
    harness.main()
