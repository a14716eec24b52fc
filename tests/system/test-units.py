#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""The shipped units in a real systemd during faults and replacements: no message that got 250 is lost, an open
transaction ends with a reply, a fault of half a second does not fail a socket unit, and mail is received when the
fault has ended. It also tests another mail root, as in postern-listen(8)."""

import ctypes
import shutil
import socket
import ssl
import threading
import time

import harness
import recipes
from harness import RECIPIENT, Client
from machine import AUTH_SETTINGS, LOGIN, SETTINGS, server

PORTS = {"postern": 2525, "postern-smtps": 2465, "postern-submission": 2587, "postern-listen": 3525,
         "postern-listen-smtps": 3465, "postern-listen-submission": 3587}
LISTENER = "postern-listen.service"


def here_with(*sockets):
    """The machine, with these sockets on ports of their own until the end of the test."""
    here = server()
    for name in sockets:
        if name in PORTS and name != "postern":
            listen = f"[Socket]\nListenStream=\nListenStream=127.0.0.1:{PORTS[name]}\n"
            here.write(f"etc/systemd/system/{name}.socket.d/port.conf", listen)
    here.run("systemctl", "daemon-reload")
    # in this order: a socket of a service that runs cannot be started
    for name in sockets:
        here.run("systemctl", "start", f"{name}.socket")
    others = [f"{name}.socket" for name in sockets if name != "postern"]
    if any("listen" in name for name in sockets):
        others.insert(0, LISTENER)
    if others:
        harness.at_end(here.run, "systemctl", "stop", *others)
    return here


def enter_network(here):
    """This thread's, for the rest of its life."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open(f"/proc/{here.pid}/ns/net", "rb") as network:
        assert libc.setns(network.fileno(), harness.CLONE_NEWNET) == 0


class Unserved(Exception):
    """The connection ended before the greeting: the client comes again."""


class Sender(threading.Thread):
    """A mail server with a queue: sends message after message, and each again until it gets 250."""

    def __init__(self, here, name, ports, tls, pause):
        super().__init__()
        self.here, self.ports, self.tls, self.pause = here, ports, tls, pause
        self.tag, self.stop = name, threading.Event()
        self.sent, self.faults = [], []
        self.put_off, self.shut_down, self.unserved = 0, 0, 0

    def run(self):
        enter_network(self.here)
        while not self.stop.is_set() and not self.faults:
            subject = f"{self.tag}-{len(self.sent)}"
            try:
                if self.send(self.ports[len(self.sent) % len(self.ports)], subject):
                    self.sent.append(subject)
                else:
                    self.put_off += 1
            except Unserved:
                self.unserved += 1
                time.sleep(0.02)
            except Exception as fault:  # for any other result, the transaction did not end correctly
                self.faults.append(f"{subject}: {fault!r}")

    def connect(self, port):
        try:
            connection = socket.create_connection(("127.0.0.1", port), harness.PATIENCE)
        except OSError as fault:
            raise Unserved from fault
        client = Client(connection)
        try:
            client.expect(220)
        except harness.Closed as fault:
            client.close()
            raise Unserved from fault
        return client

    def send(self, port, subject):
        """True when it was taken; every step has a reply, 421 where the host goes down."""
        client = self.connect(port)
        try:
            return self.transaction(client, subject)
        finally:
            client.close()

    def transaction(self, client, subject):
        commands = ["EHLO client.example.net", *(("STARTTLS", "EHLO client.example.net") if self.tls else ()),
                    f"MAIL FROM:<{harness.SENDER}>", f"RCPT TO:<{RECIPIENT}>", "DATA"]
        for n, command in enumerate(commands):
            client.send(command + "\r\n")
            try:
                reply = client.reply()
                if command == "STARTTLS" and reply.code == 220:
                    client.handshake()
            except (ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionResetError, harness.Closed):
                # a handshake has no replies, and a client of TLS 1.3 may have ended it before the server
                if "STARTTLS" not in (command, commands[n - 1]):
                    raise
                return False
            if reply.code >= 400:
                assert reply.code < 500, f"{command}: {reply}"
                return False
            time.sleep(self.pause)
        reply = client.content(harness.sample(subject))
        assert reply.code == 250 or 400 <= reply.code < 500, f"end of data: {reply}"
        if reply.code == 250:
            client.send("QUIT\r\n")
            last = client.reply()
            assert last.code in (221, 421), f"QUIT: {last}"
            self.shut_down += last.code == 421
        return reply.code == 250


def while_mail_comes(here, ports, change):
    """The senders after the change; each message that got 250 is there, once."""
    senders = [Sender(here, f"{n}", ports, n % 2, (0, 0.002, 0.02, 0.2)[n]) for n in range(4)]
    for sender in senders:
        sender.start()
    try:
        harness.eventually(lambda: all(s.sent or s.faults for s in senders), "all have sent")
        change()
        before = [len(s.sent) for s in senders]
        harness.eventually(lambda: all(len(s.sent) > n + 1 or s.faults for s, n in zip(senders, before)),
                           "all send again", 60)
    finally:
        for sender in senders:
            sender.stop.set()
        for sender in senders:
            sender.join(harness.PATIENCE)
    harness.equal([fault for s in senders for fault in s.faults], [])
    stored = {}
    for path in here.messages():
        subject = next(line[9:] for line in path.read_text(errors="replace").splitlines() if line.startswith("Subject: "))
        stored[subject] = stored.get(subject, 0) + 1
    wanted = [subject for s in senders for subject in s.sent]
    harness.equal(sorted(subject for subject in wanted if stored.get(subject, 0) != 1), [], "lost, or there twice")
    print(f"# {len(wanted)} messages, put off {[s.put_off for s in senders]}, unserved {[s.unserved for s in senders]}")
    return senders


def restart(here, *units, times=3):
    for unit in units:
        for _ in range(times):
            here.run("systemctl", "restart", unit)
            time.sleep(0.3)


def commands(page, section, words):
    """The commands of a block of a manual page, without the prompt of root."""
    lines = recipes.block(page, section, words).splitlines()
    assert all(line.startswith("# ") for line in lines), lines
    return [line[2:] for line in lines]


def run(here, command, **options):
    """As root at a terminal does."""
    return here.run("env", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "sh", "-c", command, **options)


def upgrade(here):
    """What postern(8) has, twice, with the build folder of the tests."""
    for _ in range(2):
        for command in commands("postern.8", "Upgrading", "A new version is installed"):
            command = command.replace("-C build", f"--no-rebuild -C {harness.named}")
            run(here, f"cd {harness.HERE} && {command}")


@harness.senseless_when_sanitized
@harness.table(
    service=lambda here: restart(here, LISTENER),
    program=upgrade)
def test_no_client_notices_that_the_listener_is_replaced(change):
    here = here_with("postern-listen")
    senders = while_mail_comes(here, [PORTS["postern-listen"]], lambda: change(here))
    harness.equal([(s.put_off, s.shut_down, s.unserved) for s in senders], [(0, 0, 0)] * 4)


@harness.senseless_when_sanitized
def test_a_restart_of_the_listeners_sockets_loses_no_message():
    here = here_with("postern-listen")
    while_mail_comes(here, [PORTS["postern-listen"]], lambda: restart(here, "postern-listen.socket"))


@harness.senseless_when_sanitized
def test_a_restart_of_the_socket_of_connections_loses_no_message():
    here = here_with("postern")
    while_mail_comes(here, [PORTS["postern"]], lambda: restart(here, "postern.socket"))


@harness.senseless_when_sanitized
def test_the_program_is_replaced_under_connections():
    here = here_with("postern")
    while_mail_comes(here, [PORTS["postern"]], lambda: upgrade(here))


def test_all_is_replaced_at_once():
    here = here_with("postern", "postern-listen")

    def change():
        upgrade(here)
        restart(here, LISTENER, "postern-listen.socket", "postern.socket", times=1)

    while_mail_comes(here, [PORTS["postern"], PORTS["postern-listen"]], change)


def stop_all_connections(here):
    for _ in range(5):
        here.run("systemctl", "stop", "postern@*")
        time.sleep(0.2)


def test_transactions_of_connections_that_are_stopped_end_with_a_reply():
    here = here_with("postern")
    senders = while_mail_comes(here, [PORTS["postern"]], lambda: stop_all_connections(here))
    assert sum(s.put_off for s in senders) > 0, "some were stopped"


# Something is missing for half a second


def move(here, name):
    """Take a file or directory away; the function puts it back."""
    path, aside = here.root / name, here.root / f"{name}.aside"
    path.rename(aside)
    return lambda: aside.rename(path)


def without_program(here):
    return move(here, "usr/local/sbin/postern")


def without_directory(here):
    """A file in its place: systemd would make a directory that is missing."""
    back = move(here, "var/lib/postern")
    (here.root / "var/lib/postern").write_text("")

    def put_back():
        (here.root / "var/lib/postern").unlink()
        back()

    return put_back


def without_user(here):
    path = here.root / "etc/passwd"
    whole = path.read_text()
    path.write_text("".join(line for line in whole.splitlines(True) if not line.startswith("postern:")))
    return lambda: path.write_text(whole)


def without_settings(here):
    return move(here, "etc/postern/postern.conf")


def without_key(here):
    return move(here, "etc/postern/tls.key")


def without_modules(here):
    harness.needs_modules()
    found = [str(p.relative_to(here.root)) for p in (here.root / "usr/local").glob("lib*/**/postern/tls.so")]
    return move(here, found[0])


FAULTS = {f.__name__: f for f in (without_program, without_directory, without_user, without_settings, without_key,
                                  without_modules)}
SOCKETS = ("postern", "postern-smtps", "postern-submission", "postern-lmtp")
LISTENERS = ("postern-listen-smtps", "postern-listen-submission", "postern-listen")


def connect(here, name, patience=harness.PATIENCE):
    if name not in PORTS:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(here.root / "run/postern/lmtp"))
        return connection
    with harness.in_network_of(here.pid):
        return socket.create_connection(("127.0.0.1", PORTS[name]), patience)


def deliver_to(here, name, patience=harness.PATIENCE):
    """A message as the socket asks for: TLS in the ways that it has, a login where that is required."""
    client = Client(connect(here, name, patience))
    client.socket.settimeout(patience)
    if name.endswith("smtps"):
        client.handshake()
    client.expect(220)
    if name.endswith("lmtp"):
        client.lhlo()
    else:
        client.ehlo()
    if not name.endswith(("smtps", "lmtp")):
        client.starttls()
        client.ehlo()
    if name.endswith("submission"):
        client.say(LOGIN, 235)
    harness.equal(client.message(harness.sample()).code, 250)
    client.say("QUIT", 221)
    client.close()


def poke(here, name):
    """What a client gets meanwhile: nothing but the end, an alert, or a reply that is no permanent refusal."""
    connection = connect(here, name)
    connection.settimeout(0.2)
    try:
        got = connection.recv(200)
    except (TimeoutError, ConnectionResetError):
        got = b""
    connection.close()
    assert not got or got[:1] in b"24\x15", got


def users(here, unit):
    """Users for port 587; on the other ports no client must log in."""
    here.let_log_in(unit)
    here.settings(SETTINGS + AUTH_SETTINGS.replace("auth = required\n", ""))


@harness.table_of(FAULTS)
def test_a_short_fault_costs_no_socket_of_connections(spoil):
    here = here_with(*SOCKETS)
    harness.at_end(here.run, "systemctl", "stop", *(f"{name}.socket" for name in SOCKETS[1:]))
    users(here, "postern-submission@.service")
    put_back = spoil(here)
    until = time.monotonic() + 0.5
    try:
        while time.monotonic() < until:
            for name in SOCKETS:
                poke(here, name)
    finally:
        put_back()
    for name in SOCKETS:
        harness.equal(here.show(f"{name}.socket", "ActiveState"), "ActiveState=active")
        deliver_to(here, name)
    harness.equal(len(here.messages()), len(SOCKETS))


@harness.table_of(FAULTS)
def test_a_short_fault_costs_no_listener_and_no_mail(spoil):
    """Clients that connect during this time wait in the backlog, or get a temporary reply; then all are served."""
    here = here_with(*LISTENERS)
    users(here, LISTENER)
    here.run("systemctl", "stop", LISTENER)
    put_back = spoil(here)
    waiting = []
    try:
        until = time.monotonic() + 0.5
        with harness.in_network_of(here.pid):
            waiting = [socket.create_connection(("127.0.0.1", PORTS["postern-listen"]), 30) for _ in range(8)]
        while time.monotonic() < until:
            for name in LISTENERS:
                poke(here, name)
    finally:
        put_back()
    served = 0
    for connection in waiting:
        client = Client(connection)
        client.socket.settimeout(30)
        served += client.reply().code == 220
        client.close()
    # with the fault in a file that a connection reads they got 421
    if spoil is not without_settings:
        harness.equal(served, 8)
    here.run("systemctl", "try-restart", LISTENER)  # as postern-listen.path does for a credential
    for name in LISTENERS:
        harness.contains(here.show(f"{name}.socket", "ActiveState"), "ActiveState=active")
        deliver_to(here, name, 30)
    harness.equal(len(here.messages()), 3)


def test_a_long_fault_is_no_different():
    """More starts fail than systemd allows by default, five in ten seconds; a slow machine would not come to that."""
    here = here_with("postern-listen")
    harness.equal(here.show(LISTENER, "StartLimitIntervalUSec"), "StartLimitIntervalUSec=0")
    for name in (*SOCKETS, *LISTENERS):
        harness.equal(here.show(f"{name}.socket", "TriggerLimitIntervalUSec"), "TriggerLimitIntervalUSec=0")
    here.run("systemctl", "stop", LISTENER)
    put_back = without_program(here)
    try:
        poke(here, "postern-listen")
        harness.eventually(lambda: int(here.show(LISTENER, "NRestarts").split("=")[1]) > 6, "seven starts")
    finally:
        put_back()
    deliver_to(here, "postern-listen", 30)


@harness.table(listener="postern-listen", connections="postern-smtps")
def test_a_port_in_use_is_named_with_its_process(name):
    here = here_with()
    port = PORTS[name]
    here.write(f"etc/systemd/system/{name}.socket.d/port.conf",
               f"[Socket]\nListenStream=\nListenStream=127.0.0.1:{port}\n")
    here.run("systemctl", "daemon-reload")
    here.run("systemd-run", "--collect", "--unit=other.service", "socat", f"TCP-LISTEN:{port},fork,reuseaddr", "EXEC:cat")
    harness.at_end(here.call, "run", "systemctl", "stop", "other.service", f"{name}.socket")
    harness.eventually(lambda: f":{port}" in here.run("ss", "-ltn"), "another server listens")
    assert "failed" in here.run("systemctl", "start", f"{name}.socket", check=False)
    told = run(here, "postern-check", check=False)
    pid = here.show("other.service", "MainPID").split("=")[1]
    harness.contains(told, f"{name}.socket: port {port}: Address already in use; the process {pid} (socat) listens "
                     f"there, stop it: systemctl disable --now other.service && systemctl restart {name}.socket")
    here.run("systemctl", "stop", "other.service")
    here.run("systemctl", "restart", f"{name}.socket")
    if "listen" in name:
        harness.at_end(here.run, "systemctl", "stop", LISTENER)
    deliver_to(here, name)


@harness.table(
    connections=("postern", "postern-listen"), listener=("postern-listen", "postern"))
def test_a_port_of_another_socket_unit_is_named_with_it(name, other):
    here = here_with()
    here.run("systemctl", "stop", "postern.socket")
    harness.at_end(here.run, "systemctl", "start", "postern.socket")
    here.write("etc/systemd/system/postern-listen.socket.d/port.conf",
               "[Socket]\nListenStream=\nListenStream=127.0.0.1:2525\n")
    here.run("systemctl", "daemon-reload")
    harness.at_end(here.run, "systemctl", "reset-failed", f"{name}.socket")
    harness.at_end(here.run, "systemctl", "stop", "postern.socket", "postern-listen.socket", LISTENER)
    here.run("systemctl", "start", f"{other}.socket")
    assert "failed" in here.run("systemctl", "start", f"{name}.socket", check=False)
    told = run(here, "postern-check", check=False)
    harness.contains(told, f"the process 1 (systemd) listens there, stop it: systemctl disable --now {other}.socket "
                     f"&& systemctl restart {name}.socket")


# The output of postern-check


def program_is_closed(here):
    (here.root / "usr/local/sbin/postern").chmod(0o644)
    return lambda: (here.root / "usr/local/sbin/postern").chmod(0o755)


def modules_are_closed(here):
    harness.needs_modules()
    path = next((here.root / "usr/local").glob("lib*/**/postern/tls.so")).parent
    path.chmod(0o700)
    return lambda: path.chmod(0o755)


UNSTARTED = {
    without_program: ("{service}: /usr/local/sbin/postern: No such file or directory; install postern again: "
                      "meson install -C build", None),
    program_is_closed: ("{service}: /usr/local/sbin/postern: Permission denied; chmod 755 /usr/local/sbin/postern",
                        "chmod 755 /usr/local/sbin/postern"),
    without_user: ("{service}: User=postern: no such user; make it: systemd-sysusers", "systemd-sysusers"),
    without_directory: ("{service}: /var/lib/postern: Not a directory; it must be a directory: mv /var/lib/postern "
                        "/var/lib/postern.old && install -d -o postern -m 700 /var/lib/postern", None),
    modules_are_closed: (" is closed to the user ", "chmod o+x $(dirname $(find /usr/local/lib* -path '*/postern/tls.so'))"),
}
SERVICES = {"postern": "postern@.service", "postern-listen": LISTENER}


@harness.senseless_when_sanitized
@harness.table_of({f"{f.__name__} {name}": (f, name, *row) for f, row in UNSTARTED.items() for name in SERVICES})
def test_postern_check_names_what_keeps_the_program_from_its_start(spoil, name, text, command):
    here = here_with(name)
    if name != "postern":
        here.run("systemctl", "stop", "postern.socket")
        harness.at_end(here.run, "systemctl", "start", "postern.socket")
    put_back = spoil(here)
    harness.at_end(put_back)
    told = run(here, "postern-check", check=False)
    harness.contains(told, text.format(service=SERVICES[name]))
    for line in told.splitlines():
        harness.contains(line, "; ", "each line has a cure")
    if command:
        here.run("sh", "-ec", command)
        harness.contains(run(here, "postern-check", check=False), "no fault: ")


def test_postern_check_names_an_enabled_socket_that_does_not_listen():
    here = here_with("postern")
    here.run("systemctl", "enable", "postern.socket")
    harness.at_end(here.run, "systemctl", "disable", "postern.socket")
    harness.contains(run(here, "postern-check", check=False), "no fault: ")
    here.run("systemctl", "stop", "postern.socket")
    harness.at_end(here.run, "systemctl", "start", "postern.socket")
    told = run(here, "postern-check", check=False)
    harness.contains(told, "postern.socket: is enabled, but does not listen; start it: systemctl start postern.socket")
    here.run("sh", "-ec", told.split("start it: ")[1].splitlines()[0])
    harness.contains(run(here, "postern-check", check=False), "no fault: ")


def test_a_directory_that_the_listeners_unit_names_and_that_is_not_there():
    here = here_with("postern-listen")
    here.drop_in(LISTENER, "[Service]\nReadWritePaths=/srv/other\n")
    harness.contains(run(here, "postern-check", check=False),
                     f"{LISTENER}: /srv/other: No such file or directory; a path of the unit must be there: "
                     "install -d -o postern -m 700 /srv/other")
    here.run("sh", "-ec", "install -d -o postern -m 700 /srv/other")
    harness.at_end(shutil.rmtree, here.root / "srv/other", True)
    harness.contains(run(here, "postern-check", check=False), "no fault: ")


def test_a_directory_that_was_made_since_takes_a_new_start():
    """The outbox was missing when the unit started: its sandbox has none, and the record has the cure."""
    here = here_with("postern-listen")
    here.settings(SETTINGS + "dsn-outbox = /var/spool/postern/outbox\n")
    put_back = move(here, "var/spool/postern")
    harness.at_end(lambda: put_back() if not (here.root / "var/spool/postern").exists() else None)
    cursor = here.cursor()
    deliver_to(here, "postern-listen")
    put_back()
    deliver_to(here, "postern-listen")
    told = harness.eventually(lambda: [e["MESSAGE"] for e in here.journal(cursor, POSTERN_EVENT="error")
                                       if "Read-only" in e["MESSAGE"]], "a record")[0]
    command = "systemctl try-restart postern-listen.service"
    harness.contains(told, command)
    here.run("sh", "-ec", command)
    cursor = here.cursor()
    deliver_to(here, "postern-listen")
    harness.equal(here.journal(cursor, POSTERN_EVENT="error"), [])


def test_a_table_of_users_that_is_missing_is_named_as_settings_name_it():
    here = here_with("postern-submission")
    users(here, "postern-submission@.service")
    put_back = move(here, "etc/postern/users")
    harness.at_end(put_back)
    cursor = here.cursor()
    client = Client(connect(here, "postern-submission"))
    client.expect(220)
    client.ehlo()
    client.starttls()
    client.ehlo()
    client.say(LOGIN, 454)
    client.close()
    told = harness.eventually(lambda: here.journal(cursor, POSTERN_EVENT="error"), "a record")[0]["MESSAGE"]
    harness.contains(told, "auth-users credential:users: /etc/postern/users is missing")


# A mail root of one's own


def other_root(here, path):
    """Settings, and the directory as in postern-listen(8), without the line for the unit."""
    here.settings(SETTINGS.replace("/var/lib/postern", path))
    make, *rest = commands("postern-listen.8", "EXAMPLES", "which is restarted")
    run(here, make.replace("/srv/mail", path))
    harness.at_end(shutil.rmtree, here.root / path[1:], True)
    return rest


def drop_in_for(path):
    text = recipes.block("postern-listen.8", "EXAMPLES", "The sandbox of the unit")
    return text.replace("/srv/mail", path) + ("ProtectHome=no\n" if path.startswith("/home") else "")


@harness.table(srv="/srv/mail", home="/home/mail")
def test_a_mail_root_of_ones_own(path):
    here = here_with("postern-listen")
    rest = other_root(here, path)
    here.drop_in(LISTENER, drop_in_for(path))
    for command in rest:
        run(here, command)
    deliver_to(here, "postern-listen")
    harness.equal(len(list((here.root / path[1:]).glob("**/new/*"))), 1)
    harness.equal(here.messages(), [])


def test_without_the_line_mail_is_put_off_and_the_line_is_named():
    here = here_with("postern-listen")
    other_root(here, "/srv/mail")
    cursor = here.cursor()
    here.run("systemctl", "try-restart", LISTENER)
    with harness.in_network_of(here.pid):
        client = Client(socket.create_connection(("127.0.0.1", PORTS["postern-listen"]), harness.PATIENCE))
    client.expect(220)
    client.ehlo()
    for command in (f"MAIL FROM:<{harness.SENDER}>", f"RCPT TO:<{RECIPIENT}>", "DATA"):
        client.send(command + "\r\n")
        reply = client.reply()
        if reply.code >= 400:
            break
    else:
        reply = client.content(harness.sample())
    assert 400 <= reply.code < 500, reply
    client.close()
    here.record(cursor)
    told = run(here, "postern-check", check=False)
    harness.contains(told, "mail-root /srv/mail: Read-only file system; ")
    harness.contains(told, "ReadWritePaths=/srv/mail")


def test_connections_need_no_line_for_a_mail_root_of_ones_own():
    here = here_with("postern")
    other_root(here, "/srv/mail")
    deliver_to(here, "postern")
    harness.equal(len(list((here.root / "srv/mail").glob("**/new/*"))), 1)


if __name__ == "__main__":
    harness.main()
