#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Each program that starts postern for a connection gets the same service: a message through STARTTLS, the peer's
address in the trace header, and only SMTP on the connection, even on descriptor 2."""

import os
import pwd
import socket
import subprocess

import harness
from harness import Client, PATIENCE, Site, Skip

CLIENT = "127.0.0.2"  # not where the servers listen, so that it shows which address was taken


def site(log="auto"):
    return Site(tls="on", pair=harness.pair(), log=log)


def me():
    return pwd.getpwuid(os.geteuid()).pw_name


def wait_for(port):
    def listening():
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", port)) == 0

    harness.eventually(listening, f"something listens on port {port}")


def start(*command, **options):
    return harness.start(*command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)


def check(place, client):
    """One session of two messages, read octet by octet: the client accepts SMTP replies alone."""
    sent = harness.sample()
    client.expect(220)
    client.ehlo()
    client.say("NONSENSE", 500)
    client.starttls(name=harness.HOST)
    client.ehlo()
    reply = client.message(sent)
    harness.equal(reply.code, 250, str(reply))
    client.say("QUIT", 221)
    harness.equal(client.rest(), b"", "nothing may follow the 221")
    path = harness.eventually(place.new, "the message is in new/")[0]
    harness.check_stored(path, sent)
    return harness.received(path)


def check_tcp(place, port):
    wait_for(port)
    trace = check(place, Client.to(port, client=CLIENT, greeting=False))
    harness.contains(trace, f"[{CLIENT}]")


def test_openbsd_inetd():
    place, root, port = site(), harness.packages(), harness.free_port()
    conf = place.dir / "inetd.conf"
    conf.write_text(f"127.0.0.1:{port} stream tcp nowait.10000 {me()} {harness.program()} "
                    f"postern -c {place.settings_file}\n")
    start(root / "openbsd-inetd/usr/sbin/inetd", "-i", conf)
    check_tcp(place, port)


def test_inetutils_inetd():
    place, root, port = site(), harness.packages(), harness.free_port()
    conf = place.dir / "inetd.conf"
    conf.write_text(f"127.0.0.1:{port} stream tcp nowait {me()} {harness.program()} "
                    f"postern -c {place.settings_file}\n")
    start(root / "inetutils-inetd/usr/sbin/inetutils-inetd", "-d", "--environment", "-R", "10000",
          f"-p{place.dir}/pid", conf)
    check_tcp(place, port)


def test_xinetd():
    place, root, port = site(), harness.packages(), harness.free_port()
    conf = place.dir / "xinetd.conf"
    conf.write_text(
        "service postern\n{\n type = UNLISTED\n socket_type = stream\n protocol = tcp\n"
        f" wait = no\n user = {me()}\n bind = 127.0.0.1\n port = {port}\n"
        f" server = {harness.program()}\n server_args = -c {place.settings_file}\n"
        " instances = 50\n per_source = 50\n cps = 10000 1\n}\n")
    start(root / "xinetd/usr/sbin/xinetd", "-dontfork", "-f", conf, "-filelog", place.dir / "xlog",
          "-pidfile", place.dir / "pid")
    check_tcp(place, port)


def test_tcpserver():
    place, root, port = site(), harness.packages(), harness.free_port()
    start(root / "ucspi-tcp/usr/bin/tcpserver", "-R", "-H", "-l0", "127.0.0.1", port,
          *place.command())
    check_tcp(place, port)


def test_tcpsvd():
    place, root, port = site(), harness.packages(), harness.free_port()
    start(root / "ipsvd/usr/bin/tcpsvd", "-l", "localhost", "127.0.0.1", port, *place.command())
    check_tcp(place, port)


def test_socat():
    harness.need("socat")
    place, port = site(), harness.free_port()
    start("socat", f"TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork",
          f"EXEC:{' '.join(place.command())},nofork")
    check_tcp(place, port)


def test_s6_ipcserver_where_the_peer_has_no_address():
    place, root = site(), harness.packages()
    path = place.dir / "socket"
    # What s6-ipcserver execs, by names that are right for an unpacked package.
    start(root / "s6/usr/bin/s6-ipcserver-socketbinder", path, root / "s6/usr/bin/s6-ipcserverd",
          *place.command(),
          env=harness.with_libraries())

    def connected():
        s = socket.socket(socket.AF_UNIX)
        try:
            s.connect(str(path))
            return s
        except OSError:
            s.close()
            return None

    check(place, Client(harness.eventually(connected, "s6-ipcserver listens")))


def test_systemd_socket_activate_as_inetd():
    check_activate("--inetd")


def test_systemd_socket_activate_with_the_connection_as_fd_3():
    check_activate()


def check_activate(*options):
    harness.need("systemd-socket-activate")
    place, port = site(), harness.free_port()
    log = place.dir / "activate.log"
    with open(log, "wb") as out:
        harness.start("systemd-socket-activate", "-l", f"127.0.0.1:{port}", "-a", *options,
                      *place.command(), stdout=out, stderr=out)
    harness.eventually(lambda: "Listening on" in log.read_text(), "systemd-socket-activate listens")
    trace = check(place, Client.to(port, client=CLIENT, greeting=False))
    harness.contains(trace, f"[{CLIENT}]")


def accepted():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(1)
        ours = socket.create_connection(listening.getsockname(), PATIENCE, (CLIENT, 0))
        theirs, _ = listening.accept()
    return ours, theirs


def test_listen_fds_with_the_connection_as_fd_3():
    place = site()
    ours, theirs = accepted()
    with theirs:
        # The shell is replaced by the program, so that LISTEN_PID is right.
        harness.start("sh", "-c", f'exec 3<&{theirs.fileno()} {theirs.fileno()}<&-; '
                      'LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"', "sh", *place.command(),
                      pass_fds=(theirs.fileno(),), stdout=subprocess.DEVNULL,
                      stderr=subprocess.DEVNULL)
    trace = check(place, Client(ours))
    harness.contains(trace, f"[{CLIENT}]")


def test_listen_fds_of_another_process_are_not_ours():
    place = site()
    ours, theirs = accepted()
    with theirs:
        place.spawn(theirs, env=harness.environment(LISTEN_FDS="1", LISTEN_PID="1"))
    trace = check(place, Client(ours))
    harness.contains(trace, f"[{CLIENT}]")


def test_fd_2_is_the_connection_and_every_record_stays_off_it():
    place = site(log="stderr")
    ours, theirs = accepted()
    with theirs:
        place.spawn(theirs, stderr=theirs)
    check(place, Client(ours))


def all_that_comes(connection):
    """Until the other end closes it."""
    connection.settimeout(PATIENCE)
    with connection:
        return b"".join(iter(lambda: connection.recv(4096), b""))


@harness.table(clear="on", implicit="implicit")
def test_fd_2_is_the_connection_and_no_library_writes_to_it(tls):
    """GnuTLS prints there that it cannot initialise itself: here it gets no random data."""
    harness.need("strace")
    place = site().set(tls=tls, pair=harness.pair())
    ours, theirs = accepted()
    with theirs:
        place.spawn(theirs, stderr=theirs, wrap=(
            "strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=getrandom", "-e",
            "inject=getrandom:error=EIO:when=1+"))
    if tls == "on":
        client = Client(ours)
        client.expect(220)
        client.ehlo()
        client.say("STARTTLS", 454, "4.7.0")
        client.say("QUIT", 221)
        client.expect_end()
    else:
        harness.equal(all_that_comes(ours), b"\x15\x03\x03\x00\x02\x02P", "an alert alone")


@harness.table_of({"to the client too": True, "elsewhere": False})
def test_a_wrong_option_costs_a_client_a_reply_and_shows_it_nothing(same):
    place = site()
    place.arguments = ["--nonsense"]
    ours, theirs = accepted()
    with theirs:
        process = place.spawn(theirs, stderr=theirs if same else None)
    harness.equal(all_that_comes(ours), b"421 4.3.5 Misconfigured; try later\r\n")
    harness.equal(process.wait(PATIENCE), 64)
    if not same:
        harness.equal(place.log_text(), "postern: --nonsense: not understood; see postern --help\n")


def test_fd_1_and_2_are_one_pipe_and_every_record_stays_off_it():
    place = site(log="stderr")
    reading, writing = os.pipe()
    commands = b"EHLO client.example.net\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<>\r\nQUIT\r\n"
    done = subprocess.run([*place.command()], input=commands, stdout=writing, stderr=writing,
                          env=harness.environment(), timeout=PATIENCE, check=False)
    os.close(writing)
    with open(reading, "rb") as pipe:
        lines = pipe.read().splitlines()
    harness.equal(done.returncode, 0)
    assert lines and all(line[:3].isdigit() and line[3:4] in (b" ", b"-") for line in lines), lines


def test_closed_fd_2():
    place = site()
    ours, theirs = accepted()
    with theirs:
        harness.start("sh", "-c", 'exec "$@" 2>&-', "sh", *place.command(),
                      stdin=theirs, stdout=theirs)
    check(place, Client(ours))


def test_the_environment_tells_the_peer_where_the_socket_cannot():
    place = site()
    ours, theirs = socket.socketpair()
    with theirs:
        place.spawn(theirs, env=harness.environment(
            PROTO="TCP", TCPREMOTEIP="192.0.2.77", TCPREMOTEPORT="4711"))
    harness.contains(check(place, Client(ours)), "[192.0.2.77]")


# Real sender 14, RFC 4007 11.2: an address with a zone, and one that cannot be read


def over_a_local_socket(place, **variables):
    ours, theirs = socket.socketpair()
    with theirs:
        place.spawn(theirs, env=harness.environment(**variables))
    return Client(ours)


ADDRESSES = {"TCPREMOTEIP": "TCPREMOTEIP", "REMOTE_ADDR": "REMOTE_ADDR", "REMOTE_HOST": "REMOTE_HOST"}


def with_rules(*rules, **settings):
    place = site()
    path = place.dir / "clients"
    path.write_text("\n".join(rules) + "\n")
    return place.set(clients=path, **settings)


@harness.table(**ADDRESSES)
def test_a_zone_is_no_part_of_an_address(name):
    place = with_rules("fe80::/10 deny Not from this link")
    client = over_a_local_socket(place, **{name: "fe80::1%eth0"})
    client.expect(554, "5.7.1 Not from this link")
    client.expect_end()
    harness.equal(place.session()["peer"], "fe80::1")
    harness.equal(place.records("error"), [])


@harness.table(**ADDRESSES)
def test_an_empty_address_is_none(name):
    """Real sender 14: tcpserver and tcpsvd set it so for an unknown address; no rule is skipped because of it."""
    place = with_rules("192.0.2.0/24 deny no")
    client = over_a_local_socket(place, **{name: ""})
    client.expect(220)
    client.quit()
    absent = over_a_local_socket(place)
    absent.expect(220)
    absent.quit()
    first, second = (r.get("peer") for r in place.records("session"))
    harness.equal(first, second)
    harness.equal(place.records("error"), [])


RULES = {"deny": "192.0.2.0/24 deny no", "tls=required": "192.0.2.0/24 tls=required",
         "proxy": "192.0.2.0/24 proxy"}


@harness.table_of({f"{name} {rule}": (name, line) for name in ADDRESSES for rule, line in RULES.items()})
def test_an_address_that_cannot_be_read_passes_no_rule(name, rule):
    place = with_rules(rule, pair=harness.pair())
    client = over_a_local_socket(place, **{name: "192.0.2.256"})
    client.expect(421, "4.3.5")
    client.expect_end()
    harness.equal(place.session()["end"], "misconfigured")
    harness.contains(place.records("error")[0]["text"], f"variable {name} of the environment is no IP")
    harness.contains(place.records("error")[0]["text"], "192.0.2.256")


@harness.table(**ADDRESSES)
def test_where_no_rule_refuses_anything_an_address_that_cannot_be_read_is_an_error_only(name):
    place = with_rules("192.0.2.0/24 dsn=off")
    check(place, over_a_local_socket(place, **{name: "mail.example.org"}))
    harness.contains(place.records("error")[0]["text"], f"variable {name} of the environment is no IP")
    harness.equal(place.session()["peer"], "unknown")


def test_ipv6():
    place = site()
    with socket.socket(socket.AF_INET6) as listening:
        try:
            listening.bind(("::1", 0))
        except OSError as problem:
            raise Skip(f"no IPv6 loopback: {problem}") from None
        listening.listen(1)
        ours = socket.create_connection(listening.getsockname()[:2], PATIENCE)
        theirs, _ = listening.accept()
    with theirs:
        place.spawn(theirs)
    harness.contains(check(place, Client(ours)), "[IPv6:::1]")


def test_ipv4_mapped_peer_is_recorded_as_ipv4():
    place = site()
    with socket.socket(socket.AF_INET6) as listening:
        listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        try:
            listening.bind(("::", 0))
        except OSError as problem:
            raise Skip(f"no IPv6: {problem}") from None
        listening.listen(1)
        ours = socket.create_connection(
            ("127.0.0.1", listening.getsockname()[1]), PATIENCE, (CLIENT, 0))
        theirs, _ = listening.accept()
    with theirs:
        place.spawn(theirs)
    harness.contains(check(place, Client(ours)), f"[{CLIENT}]")


def session(sent):
    stuffed = b"".join(b"." + line if line.startswith(b".") else line
                       for line in sent.splitlines(keepends=True))
    return (b"EHLO client.example.net\r\n"
            + f"MAIL FROM:<{harness.SENDER}>\r\nRCPT TO:<{harness.RECIPIENT}>\r\n".encode()
            + b"DATA\r\n" + stuffed + b".\r\nQUIT\r\n")


def test_a_plain_pipe():
    place, sent = site(), harness.sample()
    text = place.dir / "session.txt"
    text.write_bytes(session(sent))
    with open(text, "rb") as stdin:
        done = subprocess.run(place.command(), stdin=stdin, capture_output=True, check=False,
                              env=harness.environment(), timeout=PATIENCE)
    codes = [line[:3] for line in done.stdout.splitlines() if line[3:4] == b" "]
    harness.equal(codes, [b"220", b"250", b"250", b"250", b"354", b"250", b"221"])
    harness.equal(done.returncode, 0)
    harness.check_stored(place.only_message(), sent)


if __name__ == "__main__":
    harness.main()
