#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""The client's name, which filters get: looked up in the DNS and confirmed, while the client does not wait."""

import contextlib
import json
import os
import resource
import socket
import subprocess
import time

import harness
from filters import Filter, frame
from harness import RECIPIENT, SENDER, Client, Site
from listening import Listening

ADDRESS = "203.0.113.9"
ADDRESS6 = "2001:db8::25"
ZONE = "113.0.203.in-addr.arpa"
PTR6 = "5.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"
LOOKUP_SECONDS = 2


def ptr(last, *labels):
    """A PTR record as octets: what dnsmasq would not write by itself, and several of them."""
    data = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    name = f"{last}.{ZONE}" if isinstance(last, int) else last
    return f"--dns-rr={name},12,{data.hex()}"


@contextlib.contextmanager
def name_server(*records, address="127.0.0.1"):
    """A network with a real name server, which has these records and knows of nothing else."""
    harness.need("dnsmasq")
    with network(f"nameserver {address}\n"):
        server = harness.start(
            "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=root",
            "--pid-file=", "--bind-interfaces", f"--listen-address={address}", f"--local=/{ZONE}/", "--local=/example/",
            "--local=/ip6.arpa/", "--log-queries", "--log-facility=-", *records, stderr=subprocess.PIPE)
        while b"started" not in (line := server.stderr.readline()):
            assert line, "the name server has ended"
        yield server


@contextlib.contextmanager
def network(resolv_conf):
    with harness.own_network():
        path = harness.scratch() / "resolv.conf"
        path.write_text(resolv_conf)
        harness.mount("--bind", path, "/etc/resolv.conf")
        try:
            yield
        finally:
            harness.run("umount", "/etc/resolv.conf")


def place_of(kind, filter_, **settings):
    place = kind(proxy_protocol="127.0.0.1", **settings)
    path = place.dir / "milters"
    path.write_text(filter_.line())
    place.set(milters=path)
    return place.listen() if isinstance(place, Listening) else place


def begin(place, address=ADDRESS):
    if isinstance(place, Listening):
        client = Client.to(place.ports[0], greeting=False)
    else:
        client = place.connect(greeting=False)
    family = "TCP6" if ":" in address else "TCP4"
    server = "2001:db8::1" if ":" in address else "198.51.100.1"
    client.send(f"PROXY {family} {address} {server} 4711 25\r\n".encode())
    client.expect(220)
    client.ehlo()
    return client


def deliver(place, address=ADDRESS):
    client = begin(place, address)
    harness.equal(client.message(harness.sample()).code, 250)
    client.quit()


def check_name(place, filter_, name, first=None, address=ADDRESS):
    """What the filter, the record and the message have."""
    literal = f"[IPv6:{address}]" if ":" in address else f"[{address}]"
    shown = name or literal
    forged = f"{first} {literal} (may be forged)" if first else literal
    harness.equal(filter_.got("C")[0].split(b"\0")[0].decode(), shown)
    macros = filter_.macros_of("C")
    harness.equal(macros["_"], f"{name} {literal}" if name else forged)
    harness.equal(macros["{client_name}"], shown)
    harness.equal(macros["{client_ptr}"], first or name or literal)
    for record in (place.records("message")[-1], place.records("session")[-1]):
        harness.equal(record.get("peer_name"), name)
    text = place.only_message().read_text(errors="replace")
    harness.contains(text, f" ({name} {literal})\n" if name else f" ({literal})\n")


def asking_filter():
    """It asks for macros that are not sent by default."""
    return Filter(macros=b"\0\0\0\0" + b"_ j {client_name} {client_ptr} {client_addr}\0")


BOTH = {"alone": Site, "listening": Listening}


def with_kinds(**rows):
    return harness.table_of({f"{name}_{kind}": (BOTH[kind], *row) for name, row in rows.items() for kind in BOTH})


HOST = f"--dns-rr=mail.example,1,{socket.inet_aton(ADDRESS).hex()}"
HOST6 = f"--dns-rr=mail.example,28,{socket.inet_pton(socket.AF_INET6, ADDRESS6).hex()}"
OTHER = f"--dns-rr=mail.example,1,{socket.inet_aton('203.0.113.10').hex()}"


@with_kinds(confirmed=([ptr(9, b"mail", b"example"), HOST], "mail.example"),
            in_capitals=([ptr(9, b"MAIL", b"Example"), HOST], "mail.example"),
            not_confirmed=([ptr(9, b"mail", b"example"), OTHER], None,
                           "mail.example"),
            without_address=([ptr(9, b"other", b"example"), HOST], None, "other.example"),
            none=([HOST], None),
            several=([ptr(9, b"a", b"example"), ptr(9, b"b", b"example"), ptr(9, b"mail", b"example"), HOST],
                     "mail.example", ("a.example", "b.example", "mail.example")),
            by_an_alias=([f"--cname=9.{ZONE},9.0-15.{ZONE}", ptr(f"9.0-15.{ZONE}", b"mail", b"example"), HOST],
                         "mail.example"),
            by_an_alias_with_a_slash=([f"--cname=9.{ZONE},9.0/25.{ZONE}", ptr(f"9.0/25.{ZONE}", b"mail", b"example"), HOST],
                                      "mail.example"),
            a_slash=([ptr(9, b"a/b", b"example")], None),
            name_of_an_alias=([ptr(9, b"www", b"example"), "--cname=www.example,mail.example", HOST], "www.example"),
            hostile=([ptr(9, b"mail) by evil (x", b"example"), HOST], None),
            hostile_line=([ptr(9, b"a\r\nX-Evil: 1", b"example")], None),
            hostile_dot=([ptr(9, b"mail.example", b"example")], None),
            hostile_nul=([ptr(9, b"mail\0", b"example")], None),
            hostile_then_fine=([ptr(9, b"a b"), ptr(9, b"mail", b"example"), HOST], "mail.example"),
            an_address=([ptr(9, b"127", b"0", b"0", b"1")], None),
            an_address_then_fine=([ptr(9, b"127", b"0", b"0", b"1"), ptr(9, b"mail", b"example"), HOST], "mail.example"),
            the_root=([ptr(9)], None))
def test_the_name_is_confirmed_or_it_is_none(kind, records, name, first=None):
    filter_ = asking_filter()
    with name_server(*records):
        place = place_of(kind, filter_)
        deliver(place)
    found = filter_.macros_of("C")["{client_ptr}"]
    if isinstance(first, tuple):
        assert found in first, found
        first = found
    check_name(place, filter_, name, first)


@with_kinds(confirmed=([ptr(PTR6, b"mail", b"example"), HOST6], "mail.example"),
            not_confirmed=([ptr(PTR6, b"mail", b"example"), HOST], None, "mail.example"))
def test_of_an_address_of_ipv6(kind, records, name, first=None):
    filter_ = asking_filter()
    with name_server(*records, address="::1"):
        place = place_of(kind, filter_)
        deliver(place, ADDRESS6)
    check_name(place, filter_, name, first, ADDRESS6)


@harness.table(**BOTH)
def test_a_name_server_that_never_answers_costs_two_seconds_once(kind):
    filter_ = asking_filter()
    with network("nameserver 127.0.0.1\n"), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 53))
        place = place_of(kind, filter_)
        client = begin(place)
        times = []
        for _ in range(2):
            began = time.monotonic()
            client.say(f"MAIL FROM:<{SENDER}>", 250)
            times.append(time.monotonic() - began)
            client.say("RSET", 250)
        harness.equal(client.message(harness.sample()).code, 250)
        client.quit()
    assert times[1] < LOOKUP_SECONDS / 2, times
    assert LOOKUP_SECONDS / 2 < times[0], times
    check_name(place, filter_, None)


@harness.table(**BOTH)
def test_another_name_server_is_asked(kind):
    """The first is not there, the second never answers, the third knows."""
    filter_ = asking_filter()
    with name_server(ptr(9, b"mail", b"example"), HOST, address="127.0.0.3"):
        harness.run("umount", "/etc/resolv.conf")
        path = harness.scratch() / "resolv.conf"
        path.write_text("# two are no use\nsearch example\nnameserver 127.0.0.1\nnameserver  127.0.0.2\n"
                        "nameserver\t127.0.0.3\noptions edns0\n")
        harness.mount("--bind", path, "/etc/resolv.conf")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.2", 53))
            place = place_of(kind, filter_)
            deliver(place)
    check_name(place, filter_, "mail.example")


@harness.table(**BOTH)
def test_without_a_network_there_is_no_name_and_no_wait(kind):
    filter_ = asking_filter()
    with network("nameserver 192.0.2.53\n"):
        place = place_of(kind, filter_)
        client = begin(place)
        began = time.monotonic()
        client.say(f"MAIL FROM:<{SENDER}>", 250)
        assert time.monotonic() - began < LOOKUP_SECONDS / 2
        client.say("RSET", 250)
        harness.equal(client.message(harness.sample()).code, 250)
        client.quit()
    check_name(place, filter_, None)


@harness.table(**BOTH)
def test_with_off_nothing_is_asked(kind):
    filter_ = asking_filter()
    with network("nameserver 127.0.0.1\n"), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 53))
        server.setblocking(False)
        place = place_of(kind, filter_, client_name="off")
        deliver(place)
        try:
            raise AssertionError(server.recv(512))
        except BlockingIOError:
            pass
    check_name(place, filter_, None)


@harness.table(**BOTH)
def test_without_filters_nothing_is_asked(kind):
    with network("nameserver 127.0.0.1\n"), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 53))
        server.setblocking(False)
        place = kind(proxy_protocol="127.0.0.1")
        if kind is Listening:
            place.listen()
        deliver(place)
        try:
            raise AssertionError(server.recv(512))
        except BlockingIOError:
            pass
    assert "peer_name" not in place.records("message")[0]


def test_an_answer_to_another_question_is_none():
    """Of other numbers, other names, cut short, of no question at all; the right one comes last."""
    filter_ = asking_filter()
    with network("nameserver 127.0.0.1\n"), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 53))
        server.settimeout(harness.PATIENCE)
        place = place_of(Site, filter_)
        client = begin(place)
        question, peer = server.recvfrom(512)
        body = question[12:question.index(b"\0", 12) + 5]

        def answer(data, number=question[:2], flags=b"\x81\x80", counts=b"\0\1\0\1\0\0\0\0", body=body):
            return (number + flags + counts + body + b"\xc0\x0c" + body[-4:] + b"\0\0\0\1" +
                    len(data).to_bytes(2, "big") + data)

        evil, good = b"\4evil\7example\0", b"\4mail\7example\0"
        other = bytes([question[0] ^ 1, question[1]])
        for packet in (b"", b"\0", question, answer(evil, number=other), answer(evil, flags=b"\1\0"),
                       answer(evil, body=body.replace(b"\x019", b"\x018", 1)), answer(evil, counts=b"\0\2\0\1\0\0\0\0"),
                       question[:2] + b"\x81\x80\0\1\xff\xff\0\0\0\0\xc0\x0c", answer(good)):
            server.sendto(packet, peer)
        client.send(f"MAIL FROM:<{SENDER}>\r\n")
        question, peer = server.recvfrom(512)
        body = question[12:question.index(b"\0", 12) + 5]
        harness.contains(body, b"\4mail\7example\0\0\1\0\1")
        server.sendto(answer(socket.inet_aton(ADDRESS), number=question[:2], body=body), peer)
        client.expect(250)
        client.say("RSET", 250)
        harness.equal(client.message(harness.sample()).code, 250)
        client.quit()
    check_name(place, filter_, "mail.example")


@harness.table(of_the_client=("mail.example.net", ADDRESS, "mail.example.net"), hostile=("a b", ADDRESS, None),
               empty=("", ADDRESS, None), off=("mail.example.net", ADDRESS, None))
def test_tcpserver_has_the_name_already(name, address, expected):
    place = Site()
    place.set(log=f"json:{place.dir}/records")
    if expected is None and name == "mail.example.net":
        place.set(client_name="off")
    commands = f"EHLO x\r\nMAIL FROM:<{SENDER}>\r\nRCPT TO:<{RECIPIENT}>\r\nDATA\r\n\r\n.\r\nQUIT\r\n"
    done = harness.run(*place.command(), input=commands,
                       env=harness.environment(TCPREMOTEIP=address, TCPREMOTEHOST=name))
    harness.contains(done.stdout, "250 2.6.0")
    records = [json.loads(line) for line in (place.dir / "records").read_text().splitlines()]
    harness.equal([record.get("peer_name") for record in records], [expected] * 2)
    harness.contains(place.only_message().read_text(),
                     f" ({expected} [{ADDRESS}])\n" if expected else f" ([{ADDRESS}])\n")


def processes_of(place, name):
    found = harness.run("pgrep", "--parent", str(acceptor_of(place)), "--exact", name).stdout
    return [int(line) for line in found.split()]


def acceptor_of(place):
    return int(harness.run("pgrep", "--parent", str(place.process.pid), "--exact", "postern").stdout.split()[-1])


def test_a_connector_that_was_killed_costs_no_mail():
    filter_ = Filter(E=frame("c"))
    place = place_of(Listening, filter_)
    deliver(place)
    before = processes_of(place, "postern-connect")
    harness.equal(len(before), 1)
    harness.run("kill", "-9", str(before[0]))
    harness.eventually(lambda: "connects to filters has ended" in place.log_text(), "its end is recorded")
    deliver(place)
    harness.equal(len(place.new()), 2)
    harness.equal(len(processes_of(place, "postern-connect")), 1)


def test_a_connector_that_hangs_is_replaced():
    filter_ = Filter(E=frame("c"))
    place = place_of(Listening, filter_)
    deliver(place)
    before, = processes_of(place, "postern-connect")
    old = acceptor_of(place)
    harness.run("kill", "-STOP", str(before))
    client = begin(place)
    client.say(f"MAIL FROM:<{SENDER}>", 451)
    harness.eventually(lambda: "connects to filters does not answer" in place.log_text(), "that it hangs is recorded")
    deliver(place)
    harness.equal(len(place.new()), 2)
    after, = processes_of(place, "postern-connect")
    assert after != before
    client.quit()
    harness.eventually(lambda: harness.run("kill", "-0", str(old)).returncode, "the end of the acceptor")
    # it is not killed, and finds its control closed
    harness.run("kill", "-CONT", str(before))
    harness.eventually(lambda: harness.run("kill", "-0", str(before)).returncode, "its end as soon as it goes on")


def wait_for_a_question_that_is_late(place):
    """An acceptor gives up a connector that has not answered for two seconds."""
    time.sleep(2.5)
    assert "does not answer" not in place.log_text(), place.log_text()


def test_an_error_of_the_acceptor_is_not_one_of_the_connector():
    """A request that was not sent gets no answer."""
    harness.need("strace")
    filter_ = Filter(E=frame("c"))
    place = place_of(Listening, filter_)
    deliver(place)
    time.sleep(1.1)  # the next request asks for an answer
    before = processes_of(place, "postern-connect")
    pid = acceptor_of(place)
    tracer = harness.start("strace", "-qq", "-p", pid, "-o", place.dir / "trace", "-e", "trace=sendmsg", "-e",
                           "inject=sendmsg:error=ENOMEM")
    harness.wait_until_traced(pid)
    client = begin(place)
    client.say(f"MAIL FROM:<{SENDER}>", 451)
    client.quit()
    harness.end(tracer)
    harness.contains((place.dir / "trace").read_text(), "ENOMEM")
    wait_for_a_question_that_is_late(place)
    deliver(place)
    harness.equal(processes_of(place, "postern-connect"), before)


@harness.table(for_a_request=(0, "has no socket: the process that makes them has ended"), for_a_socket=(
    1, "cannot connect: Too many open files: raise LimitNOFILE= of the unit, or ulimit -n"))
def test_a_connector_without_room_for_descriptors_answers(room, fault):
    filter_ = Filter(E=frame("c"))
    place = place_of(Listening, filter_)
    deliver(place)
    time.sleep(1.1)  # the next request asks for an answer
    before = processes_of(place, "postern-connect")
    pid = before[0]
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{pid}/fd")) + room, limits[1]))
    client = begin(place)
    client.say(f"MAIL FROM:<{SENDER}>", 451)
    client.quit()
    harness.contains(place.records("message")[-1]["delivery_fault"], fault)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
    wait_for_a_question_that_is_late(place)
    deliver(place)
    harness.equal(processes_of(place, "postern-connect"), before)


def test_a_connector_that_goes_on_in_time_is_kept():
    filter_ = Filter(E=frame("c"))
    place = place_of(Listening, filter_)
    deliver(place)
    before = processes_of(place, "postern-connect")
    harness.run("kill", "-STOP", str(before[0]))
    client = begin(place)
    harness.run("kill", "-CONT", str(before[0]))
    harness.equal(client.message(harness.sample()).code, 250)
    client.quit()
    harness.equal(processes_of(place, "postern-connect"), before)
    assert "does not answer" not in place.log_text(), place.log_text()


def test_the_connector_ends_with_its_acceptor():
    filter_ = Filter()
    place = place_of(Listening, filter_)
    connector, = processes_of(place, "postern-connect")
    place.process.terminate()
    place.process.wait()
    harness.eventually(lambda: harness.run("kill", "-0", str(connector)).returncode, "its end")


if __name__ == "__main__":
    harness.main()
