#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""A wrong environment: a file that is missing, has a wrong owner or a wrong mode, a library that cannot be loaded, a
user that does not exist, a directory that is read-only. Each fault causes one message with the file, the cause and a
cure, the same by `--check`, for one connection and from a listener. Mail is deferred or delivered, never refused
permanently and never lost. If the message ends with a command, this command removes the fault."""

import contextlib
import os
import shutil
import socket
import subprocess
from pathlib import Path

import harness
from harness import RECIPIENT, SENDER
from listening import Listening
from machine import LOGIN, USERS

NOBODY = 65534  # the user of postern, so that root's files belong to another user
AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--")
MODULES = ("tls.so", "idn.so", "sasl.so")

# What becomes of a client's message
DELIVERED, IN_THE_CLEAR, NO_LOGIN = "delivered", "delivered without TLS", "delivered without a login"
LATER, NOT_SERVED = "451 or 452", "421"


class Place(Listening):
    """A copy of the program, which a test may spoil, run by a user of its own."""

    def __init__(self):
        harness.need_root("another user")
        harness.need("setpriv")
        super().__init__()
        self.bin = harness.scratch()
        for name in ("postern", *MODULES):
            source = harness.program().parent / name
            if source.exists():
                shutil.copy(source, self.bin)
        self.wrap, self.env = AS_NOBODY, {}
        own(self.root)

    def command(self):
        return [*self.wrap, str(self.bin / "postern"), *super().command()[1:]]

    def file(self, name, content="", mode=0o600):
        path = self.dir / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(mode)
        return own(path)

    def directory(self, name, owner=NOBODY, mode=0o700):
        path = self.dir / name
        path.mkdir()
        path.chmod(mode)
        return own(path, owner)

    def module(self, name):
        if not (self.bin / name).exists():
            raise harness.Skip(f"built without {name}")
        return self.bin / name


def own(path, owner=NOBODY):
    os.chown(path, owner, owner)
    return path


# Settings that are in order, and the file that is about to be spoilt


def settings(place):
    return own(place.settings_file)


def with_tls(place):
    place.pair = harness.pair().copy_to(place.dir)
    own(place.pair.certificate).chmod(0o600)
    own(place.pair.key)
    place.set(pair=place.pair, tls="on")


def certificate(place):
    with_tls(place)
    return place.pair.certificate


def key(place):
    with_tls(place)
    return place.pair.key


def with_login(place):
    place.module("sasl.so")
    with_tls(place)
    place.set(auth="on", auth_users=place.file("users", USERS), auth_secret=place.file("secret", os.urandom(32)))


def users(place):
    with_login(place)
    return place.dir / "users"


def secret(place):
    with_login(place)
    return place.dir / "secret"


def senders(place):
    with_login(place)
    path = place.file("senders", "scanner *\n")
    place.set(auth_senders=path)
    return path


def tickets(place):
    with_tls(place)
    path = place.file("tickets", os.urandom(64))
    place.set(tls_tickets=path)
    return path


def authorities(place):
    with_tls(place)
    path = place.file("ca", place.pair.certificate.read_bytes())
    place.set(tls_client_ca=path)
    return path


def clients(place):
    path = place.file("clients", "192.0.2.1\n")
    place.set(clients=path)
    return path


def recipients(place):
    path = place.file("recipients", f"{RECIPIENT} box\npostmaster box\n")
    place.set(recipients=path)
    return path


def log(place):
    path = place.file("records")
    place.set(log=f"json:{path}")
    return path


SETTING = {certificate: "tls_certificate", key: "tls_key", users: "auth_users", secret: "auth_secret",
           senders: "auth_senders", tickets: "tls_tickets", authorities: "tls_client_ca", clients: "clients",
           recipients: "recipients"}
# The file, and what a fault of it costs.
READ = {settings: NOT_SERVED, certificate: IN_THE_CLEAR, key: IN_THE_CLEAR, users: NO_LOGIN, secret: NO_LOGIN,
        senders: LATER, tickets: DELIVERED, authorities: DELIVERED, clients: NOT_SERVED, recipients: NOT_SERVED}


# Faults of a file, and the expected message: {path} is the file, {dir} its directory


def missing(place, make):
    path = make(place)
    path.unlink()
    return path


def of_root(place, make):
    path = make(place)
    own(path, 0).chmod(0o600)
    return path


def without_a_right(place, make):
    path = make(place)
    path.chmod(0o200)
    return path


def in_a_closed_directory(place, make):
    path, closed = make(place), place.directory("closed", 0)
    there = closed / path.name
    path.rename(there)
    if make is settings:
        place.settings_file = there
    elif make is log:
        place.set(log=f"json:{there}")
    else:
        place.set(**{SETTING[make]: there})
    return there


def open_to_all(place, make):
    path = make(place)
    path.chmod(0o644)
    return path


SPOILT = {
    missing: "{path}: No such file or directory; put it there: install -D -m ",
    of_root: "{path}: Permission denied; it belongs to the user 0 and is to be read by the user 65534: ch",
    without_a_right: "{path}: Permission denied; it belongs to the user 65534 and is to be read by the user 65534: chmod ",
    in_a_closed_directory:
        "{path}: Permission denied; the directory {dir} is closed to the user 65534: chmod o+x {dir}",
}
ROWS = {f"{make.__name__} {spoil.__name__}": (lambda place, m=make, s=spoil: s(place, m), text, effect)
        for make, effect in READ.items() for spoil, text in SPOILT.items()}
for make in (users, secret):
    ROWS[f"{make.__name__} open_to_all"] = (
        lambda place, m=make: open_to_all(place, m),
        "{path}: other users may read it or write to it, and it is secret: chmod o= {path}", NO_LOGIN)
ROWS["tickets open_to_all"] = (
    lambda place: open_to_all(place, tickets), "{path}: is open to group or others; make another key, with mode 0600",
    DELIVERED)


def row(text, effect):
    """A row that is a function: it spoils the place and returns the path."""

    def add(function):
        ROWS[function.__name__] = (function, text, effect)
        return function

    return add


MAKE_IT = "{path}: No such file or directory; make it: mkdir -p {path} && chown 65534 {path}"
OTHERS = "{path}: Permission denied; it belongs to the user 0 and is to be written to by the user 65534: chown 65534 {path}"
OTHERS_DIR = "{path}: Permission denied; it belongs to the user 0 and is to be written to by the user 65534: " \
             "chown 65534 {dir}"
READ_ONLY = "Read-only file system; mount it for writing or, where a unit has ProtectSystem=, add to it ReadWritePaths="


def read_only(path):
    harness.mount("-t", "tmpfs", "-o", f"ro,mode=700,uid={NOBODY}", "tmpfs", path)
    harness.at_end(harness.run, "umount", "-l", path)
    return path


@row(MAKE_IT, NOT_SERVED)
def mail_root_missing(place):
    place.root.rmdir()
    place.set(maildir_create="no")
    return place.root


@row(OTHERS_DIR, NOT_SERVED)
def mail_root_missing_and_cannot_be_made(place):
    place.root.rmdir()
    return place.root


@row("{path}: is not a directory; name a directory, or make one in its place: rm {path} && mkdir {path} && "
     "chown 65534 {path}", NOT_SERVED)
def mail_root_is_a_file(place):
    place.root.rmdir()
    place.root.write_text("")
    return place.root


@row("{path}: Permission denied; the directory {dir} is closed to the user 65534: chmod o+x {dir}", NOT_SERVED)
def mail_root_in_a_closed_directory(place):
    closed = place.directory("closed", 0)
    (closed / "mail").mkdir()
    place.set(mail_root=closed / "mail", maildir=closed / "mail/box")
    return own(closed / "mail")


def mailbox(place):
    path = place.directory("mails")
    for name in ("box", "box/tmp", "box/new", "box/cur"):
        own(path / name if (path / name).mkdir(0o700) is None else path)
    place.set(mail_root=path, maildir=path / "box")
    return path / "box"


# A record has the file and the cause; --check has the command, too: CURED.
@row("{path}: Permission denied", LATER)
def mailbox_part_of_root(place):
    return own(mailbox(place) / "new", 0)


@row("{path}: Permission denied", LATER)
def mailbox_part_without_a_right(place):
    path = mailbox(place) / "new"
    path.chmod(0o500)
    return path


@row("{dir}/tmp: Permission denied", LATER)
def mailbox_of_root(place):
    return own(mailbox(place), 0) / "tmp"


def outbox(place):
    path = place.directory("outbox")
    for part in ("tmp", "new", "cur"):
        own(path / part if (path / part).mkdir() is None else path)
    place.set(dsn_outbox=path)
    return path


@row(OTHERS_DIR, DELIVERED)
def outbox_cannot_be_made(place):
    place.set(dsn_outbox=place.dir / "outbox")
    return place.dir / "outbox"


@row("{path}: Permission denied; it belongs to the user 0 and is to be written to by the user 65534: chown 65534 {path}",
     DELIVERED)
def outbox_of_root(place):
    return own(outbox(place), 0)


@row("{path}: " + READ_ONLY + "{path}", DELIVERED)
def outbox_read_only(place):
    path = outbox(place)
    harness.mount("--bind", path, path)
    harness.at_end(harness.run, "umount", "-l", path)
    harness.mount("-o", "remount,bind,ro", path)
    return path


@row("{path}: No such file or directory; make it: mkdir -p {dir} && chown 65534 {dir}", DELIVERED)
def log_directory_missing(place):
    place.set(log=f"json:{place.dir}/logs/records")
    return place.dir / "logs/records"


@row(OTHERS_DIR, DELIVERED)
def log_cannot_be_made(place):
    place.directory("logs", 0, 0o755)
    place.set(log=f"json:{place.dir}/logs/records")
    return place.dir / "logs/records"


@row(OTHERS, DELIVERED)
def log_of_root(place):
    return of_root(place, log)


@row("{path}: " + READ_ONLY + "{dir}", DELIVERED)
def log_read_only(place):
    path = read_only(place.directory("logs")) / "records"
    place.set(log=f"json:{path}")
    return path


@row("{path}: Is a directory; name a file", DELIVERED)
def log_is_a_directory(place):
    place.set(log=f"json:{place.root}")
    return place.root


def traced(place, path):
    place.set(trace="127.0.0.0/8", trace_directory=path)
    return path


@row(MAKE_IT, DELIVERED)
def trace_directory_missing(place):
    return traced(place, place.dir / "traces")


@row(OTHERS, DELIVERED)
def trace_directory_of_root(place):
    return traced(place, place.directory("traces", 0, 0o755))


@row("{path}: " + READ_ONLY + "{path}", DELIVERED)
def trace_directory_read_only(place):
    return traced(place, read_only(place.directory("traces")))


@row("user no-such-user: no such user; make it: useradd --system no-such-user", NOT_SERVED)
def user_missing(place):
    place.wrap = ()
    place.set(user="no-such-user")
    return place.dir


@row("user daemon: only root can become another user: start postern as root, or set no user", NOT_SERVED)
def user_without_root(place):
    place.set(user="daemon")
    return place.dir


@row("credential:tls.crt: CREDENTIALS_DIRECTORY is not set: start postern by a unit with LoadCredential=, or name "
     "the file itself", IN_THE_CLEAR)
def credential_outside_a_unit(place):
    place.set(tls="on", tls_certificate="credential:tls.crt", tls_key="credential:tls.key")
    return place.dir


@row("credential:tls.crt: /etc/postern/tls.crt is missing or systemd could not read it; put it there (chown root, "
     "chmod 0600)", IN_THE_CLEAR)
def credential_missing(place):
    folder = place.directory("credentials")
    for name in ("tls.crt", "tls.key"):
        own(place.file(f"credentials/{name}", f"missing: /etc/postern/{name}"))
    place.env["CREDENTIALS_DIRECTORY"] = str(folder)
    return credential_outside_a_unit(place)


# Modules

USE = {"tls.so": (with_tls, IN_THE_CLEAR), "sasl.so": (with_login, NO_LOGIN)}


def not_there(module):
    module.unlink()


def not_executable(module):
    """As by NoExecPaths= of systemd, or on a file system that is mounted noexec."""
    there = harness.scratch()
    harness.mount("-t", "tmpfs", "-o", "noexec,mode=755", "tmpfs", there)
    harness.at_end(harness.run, "umount", "-l", there)
    shutil.copy(module, there)
    harness.mount("--bind", there / module.name, module)
    harness.at_end(harness.run, "umount", "-l", module)


def closed(module):
    module.chmod(0o600)


def cut_short(module):
    module.write_bytes(b"")


LIBRARIES = {
    not_there: "{path}: cannot open shared object file: No such file or directory; install postern again: meson install",
    not_executable: "{path}: failed to map segment from shared object; a mount with noexec or a unit with "
                    "NoExecPaths= forbids to execute it, see findmnt -T {path}, or add to the unit ExecPaths={dir}",
    closed: "{path}: cannot open shared object file: Permission denied; chmod 755 {path}",
    cut_short: "{path}: file too short; install postern again: meson install -C build",
}


def spoil_module(place, name, spoil):
    if harness.is_static():
        raise harness.Skip("a static program has its modules inside")
    USE[name][0](place)
    module = place.module(name)
    spoil(module)
    return module


for name, (_, effect) in USE.items():
    for spoil, text in LIBRARIES.items():
        ROWS[f"{name} {spoil.__name__}"] = (
            lambda place, n=name, s=spoil: spoil_module(place, n, s), text, effect)


# What a client meets


def attempt(place, client):
    """A message, with TLS and a login where they are offered: what becomes of it. No reply is a permanent refusal."""
    codes = []

    def say(command):
        client.send(command + "\r\n")
        reply = client.reply()
        codes.append(reply.code)
        assert reply.code < 500, f"a permanent refusal: {command}: {reply}"
        return reply

    if client.reply().code == 421:
        return NOT_SERVED
    greeting, found = say("EHLO client.example.net"), DELIVERED
    if greeting.has("STARTTLS") and say("STARTTLS").code == 454:
        found = IN_THE_CLEAR
    elif greeting.has("STARTTLS"):
        client.handshake()
        offered = say("EHLO client.example.net")
        if "auth" in place.settings and not (offered.has("AUTH") and say(LOGIN).code == 235):
            found = NO_LOGIN
    if say(f"MAIL FROM:<{SENDER}>").code >= 400 or say(f"RCPT TO:<{RECIPIENT}>").code >= 400:
        return LATER
    assert say("DATA").code == 354
    harness.equal(client.content(harness.sample()).code, 250)
    return found


def expect(place, how, client, effect):
    found = attempt(place, client)
    harness.equal(found, effect, how)
    client.close()
    stored = [path for path in place.root.parent.glob("**/new/*") if "outbox" not in str(path)]
    harness.equal(len(stored), int(found not in (LATER, NOT_SERVED)), how)


def check(place):
    done = harness.run(*place.command(), "--check", env=harness.environment(**place.env))
    return done.returncode, harness.check_lines(done)


def prepared(spoil):
    place = Place()
    return place, spoil(place)


def text_of(text, path):
    return text.format(path=path, dir=path.parent)


@harness.table_of(ROWS)
def test_check_names_file_cause_and_cure(spoil, text, _effect):
    place, path = prepared(spoil)
    status, told = check(place)
    harness.equal((status, told.count("\n")), (78, 1), told)
    harness.contains(told, text_of(text, path))


@harness.table_of(ROWS)
def test_a_connection_defers_and_records_it(spoil, text, effect):
    place, path = prepared(spoil)
    client = place.connect(greeting=False, env=harness.environment(**place.env))
    expect(place, "connection", client, effect)
    client.wait()
    harness.contains(place.log_text(), text_of(text, path))


@harness.table_of(ROWS)
def test_a_listener_defers_and_records_it(spoil, text, effect):
    place, path = prepared(spoil)
    place.listen(**place.env)
    expect(place, "listener", place.client(greeting=False), effect)
    harness.eventually(lambda: text_of(text, path) in place.log_text(), f"{text_of(text, path)}\n{place.log_text()}")


CURED = {name: row[0] for name, row in ROWS.items()
         if name.split()[-1] in ("of_root", "without_a_right", "in_a_closed_directory", "open_to_all", "closed")
         and not name.startswith("tickets open") or name in (
             "mail_root_missing_and_cannot_be_made", "mail_root_is_a_file",
             "mail_root_in_a_closed_directory", "mailbox_part_of_root", "mailbox_part_without_a_right",
             "mailbox_of_root", "outbox_cannot_be_made", "outbox_of_root", "log_directory_missing",
             "log_cannot_be_made", "log_of_root", "trace_directory_missing", "trace_directory_of_root")}


@harness.table_of(CURED)
def test_the_command_that_is_named_makes_an_end_of_it(spoil):
    place, _ = prepared(spoil)
    _, told = check(place)
    command = told.rstrip("\n").rsplit(": " if ": ch" in told or "make" in told else "; ", 1)[1]
    done = harness.run("sh", "-ec", command)
    harness.equal(done.returncode, 0, command + done.stdout)
    harness.equal(check(place), (0, ""), command)
    client = place.connect(greeting=False, env=harness.environment(**place.env))
    harness.equal(attempt(place, client), DELIVERED)


# The address of a listener


def refused(address, wrap=(), **options):
    place = Place()
    place.wrap = wrap
    done = harness.run(*place.command(), f"--listen={address}", **options)
    harness.equal((done.returncode, done.stdout.count("\n")), (64, 1), done.stdout)
    harness.contains(done.stdout, f"postern: --listen={address}: ")
    return done.stdout


@contextlib.contextmanager
def held(address, family=socket.AF_INET):
    """Another process listens there: its id."""
    kind = "UNIX" if family == socket.AF_UNIX else "TCP"
    harness.need("socat")
    process = harness.start("socat", f"{kind}-LISTEN:{address},fork", "-")
    listed = ("ss", "-lxp" if kind == "UNIX" else "-ltnp")
    harness.eventually(lambda: f"pid={process.pid}," in harness.run(*listed).stdout, "it listens")
    yield process.pid
    harness.end(process)


@harness.table(same="127.0.0.1:{}", all_addresses="*:{}", ipv4="0.0.0.0:{}")
def test_a_port_in_use_is_named_with_its_process(address):
    with harness.own_network():
        with held("2525,bind=127.0.0.1") as pid:
            told = refused(address.format(2525))
            harness.contains(told, f"--listen={address.format(2525)}: Address already in use: 127.0.0.1:2525; the process "
                                   f"{pid} (socat) listens there, stop it: ")
            harness.contains(told, f"kill {pid}\n")


def test_a_port_in_use_by_ipv6():
    with harness.own_network():
        process = harness.start("python3", "-c", "import socket, time; s = socket.create_server(('::1', 2525), "
                                "family=socket.AF_INET6); print(flush=True); time.sleep(1000)", stdout=subprocess.PIPE)
        process.stdout.readline()
        harness.contains(refused("*:2525"), f"Address already in use: [::1]:2525; the process {process.pid} ")
        harness.end(process)


RENAMED = """
import socket, sys, time
open("/proc/self/comm", "wb").write(b"\\x1b[2J\\n\\xff\\"(x)")
s = socket.create_server(("127.0.0.1", 2525))
print(flush=True)
time.sleep(1000)
"""


def test_a_name_of_a_process_is_escaped():
    with harness.own_network():
        process = harness.start("python3", "-c", RENAMED, stdout=subprocess.PIPE)
        process.stdout.readline()
        told = refused("127.0.0.1:2525")
        harness.contains(told, f"the process {process.pid} (\\x1B[2J")
        assert told.rstrip("\n").isprintable(), repr(told)
        harness.end(process)


@harness.table(plain=("other@1-x.service", "systemctl disable --now other@1-x.service"),
               postfix=("postfix@-.service", "systemctl disable --now postfix.service"),
               login=("user@1000.service", "kill {pid}"),
               escaped=(r"a\x2db.service", r"systemctl disable --now 'a\x2db.service'"),
               command=("x;reboot;.service", "kill {pid}"), option=("-x.service", "kill {pid}"))
def test_a_name_of_a_unit_is_one_word(name, advice):
    harness.need_root()
    group = control_groups() / name
    try:
        group.mkdir()
    except OSError as error:
        raise harness.Skip(f"no control group can be made: {error}") from error
    harness.at_end(group.rmdir)
    with harness.own_network(), held("2525,bind=127.0.0.1") as pid:
        (group / "cgroup.procs").write_text(str(pid))
        harness.contains(refused("127.0.0.1:2525"), f"stop it: {advice.format(pid=pid)}\n")


def control_groups():
    """Where processes are put that have a group of their own."""
    for place in (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/systemd")):
        if (place / "cgroup.procs").exists():
            return place
    raise harness.Skip("no control groups")


def test_who_may_not_see_the_process_is_told_how_root_can():
    with harness.own_network(), held("2525,bind=127.0.0.1"):
        told = refused("127.0.0.1:2525", AS_NOBODY)
        harness.contains(told, "Address already in use: 127.0.0.1:2525; as root, this names the process: ss -ltnp sport = :2525\n")


def test_a_socket_in_use_is_named_with_its_process():
    path = str(harness.scratch() / "lmtp")
    with held(path, socket.AF_UNIX) as pid:
        told = refused(path)
        harness.contains(told, f"Address already in use; the process {pid} (socat) listens there, stop it: ")


def test_a_port_for_root_alone():
    with harness.own_network():
        harness.contains(refused("127.0.0.1:25", AS_NOBODY), "Permission denied; a port below 1024 is for root: start "
                         "postern as root, with the setting user\n")


def test_an_address_of_another_host():
    with harness.own_network():
        harness.contains(refused("192.0.2.1:2525"), "Cannot assign requested address; no interface of this host has it")


@harness.table(
    missing=(lambda place: place / "no/lmtp", "No such file or directory; make it: mkdir -p {dir} && chown 65534 {dir}"),
    of_root=(lambda place: place / "lmtp", "Permission denied; it belongs to the user 0 and is to be written to by the "
             "user 65534: chown 65534 {dir}"),
    read_only=(lambda place: read_only(place) / "lmtp", READ_ONLY + "{dir}"))
def test_a_directory_in_which_no_socket_can_be_made(make, text):
    path = make(harness.scratch())
    harness.contains(refused(path, AS_NOBODY), text.format(dir=path.parent))


if __name__ == "__main__":
    harness.main()
