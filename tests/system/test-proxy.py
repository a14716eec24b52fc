#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Behind HAProxy, and with rules for networks: the client's address, its rule, and peers that send too little, too
late, or a forbidden header."""

import contextlib
import re
import socket
import ssl
import struct
import subprocess
import time

import harness
from harness import HOST, PATIENCE, RECIPIENT, SENDER, Client, Listener, Site, client_context
from listening import Listening

PROXY = "127.0.0.1"  # where connections to postern come from
CLIENT = "127.0.0.2"  # and who is behind them
HEADER_SECONDS = 5
V1 = b"PROXY TCP4 203.0.113.9 198.51.100.1 4711 25\r\n"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V2 = (SIGNATURE + b"\x21\x11\0\x13" + socket.inet_aton("203.0.113.9")
      + socket.inet_aton("198.51.100.1") + b"\x12\x67\0\x19" + b"\x02\0\x04host")
LOCAL = SIGNATURE + b"\x20\0\0\0"
VERSIONS = {"v1": "send-proxy", "v2": "send-proxy-v2"}


def site(tls="on", proxies=PROXY, rules=(), **settings):
    place = Site(tls=tls, proxy_protocol=proxies, **settings)
    if tls != "off" or any("tls=" in rule for rule in rules):
        place.set(pair=harness.pair())
    if rules:
        path = place.dir / "clients"
        path.write_text("\n".join(rules) + "\n")
        place.set(clients=path)
    return place


# HAProxy


class HAProxy:
    """Accepts on a port of both loopbacks and passes connections on to `target`."""

    def __init__(self, place, target, how, backend="", bind=""):
        self.port, self.dir = harness.free_port(), place.dir
        self.stats = place.dir / "stats"
        path = place.dir / "haproxy.cfg"
        address, port = target
        address = f"[{address}]" if ":" in address else address
        path.write_text(f"""
global
    maxconn 50
    stats socket {self.stats}
defaults
    mode tcp
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    timeout check 30s
listen smtp
    bind 127.0.0.1:{self.port}{bind}
    bind [::1]:{self.port}{bind}
    {backend}
    server postern {address}:{port} {how}
""")
        log = open(place.dir / "haproxy.log", "wb")
        harness.at_end(log.close)
        self.process = harness.start(
            harness.packages() / "haproxy/usr/sbin/haproxy", "-db", "-f", path, stdout=log,
            stderr=log, env=harness.with_libraries())
        harness.eventually(self.listens, "HAProxy listens")

    def listens(self):
        assert self.process.poll() is None, (self.dir / "haproxy.log").read_text()
        with contextlib.suppress(OSError):
            self.status()
            return True
        return False

    def status(self):
        """What HAProxy thinks of its server: the columns of `show stat` by their names."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(PATIENCE)
            s.connect(str(self.stats))
            s.sendall(b"show stat smtp 4 -1\n")
            text = b"".join(iter(lambda: s.recv(65536), b"")).decode()
        names, values = text.lstrip("# ").splitlines()[:2]
        return dict(zip(names.split(","), values.split(",")))

    def connect(self, client=CLIENT, **options):
        return Client.to(self.port, client=client, **options)

    def connect6(self):
        client = Client(socket.create_connection(("::1", self.port), PATIENCE))
        client.expect(220)
        return client


def port_of(client):
    return str(client.socket.getsockname()[1])


def check_message(place, client, address, port):
    """A message, and the client where it has to stand: in the trace and in all records."""
    sent = harness.sample()
    harness.equal(client.message(sent).code, 250)
    client.say("QUIT", 221)
    client.rest()
    trace = harness.check_stored(place.only_message(), sent)
    literal = f"[IPv6:{address}]" if ":" in address else f"[{address}]"
    harness.contains(" ".join(trace), literal)
    record = place.session()
    harness.equal((record["peer"], record["port"]), (address, port))
    harness.equal(place.records("message")[0]["peer"], address)
    assert "early" not in record, record
    return record


@harness.table(**VERSIONS)
def test_starttls_behind_haproxy(how):
    place = site(tls="required")
    haproxy = HAProxy(place, (PROXY, Listener(place).port), how)
    client = haproxy.connect()
    port = port_of(client)
    client.ehlo()
    client.starttls()
    client.ehlo()
    record = check_message(place, client, CLIENT, port)
    harness.equal((record["proxy"], record["tls"]), (PROXY, "TLS1.3"))
    assert record.get("sandbox") != "none", record


@harness.table(**VERSIONS)
def test_implicit_tls_behind_haproxy(how):
    place = site(tls="implicit")
    haproxy = HAProxy(place, (PROXY, Listener(place).port), how)
    client = haproxy.connect(greeting=False)
    port = port_of(client)
    client.handshake()
    client.expect(220)
    client.ehlo()
    record = check_message(place, client, CLIENT, port)
    harness.equal((record["proxy"], record["tls"]), (PROXY, "TLS1.3"))


@harness.table(**VERSIONS)
def test_a_client_with_ipv6(how):
    place = site()
    haproxy = HAProxy(place, (PROXY, Listener(place).port), how)
    client = haproxy.connect6()
    port = port_of(client)
    client.ehlo()
    harness.equal(check_message(place, client, "::1", port)["proxy"], PROXY)


@harness.table(**VERSIONS)
def test_a_proxy_with_ipv6(how):
    place = site(proxies="2001:db8::/32 ::1")
    haproxy = HAProxy(place, ("::1", Listener(place, "::1").port), how)
    client = haproxy.connect()
    port = port_of(client)
    client.ehlo()
    harness.equal(check_message(place, client, CLIENT, port)["proxy"], "::1")


@harness.table(**VERSIONS)
def test_postern_started_by_tcpserver_behind_haproxy(how):
    place, port = site(log="syslog"), harness.free_port()
    harness.start(harness.packages() / "ucspi-tcp/usr/bin/tcpserver", "-R", "-H", "-l0", PROXY, port,
                  *place.command(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def listening():
        with socket.socket() as s:
            return s.connect_ex((PROXY, port)) == 0

    harness.eventually(listening, "tcpserver listens")
    client = HAProxy(place, (PROXY, port), how).connect()
    client.ehlo()
    client.starttls()
    client.ehlo()
    sent = harness.sample()
    harness.equal(client.message(sent).code, 250)
    harness.contains(" ".join(harness.check_stored(place.only_message(), sent)), f"[{CLIENT}]")


def test_tls_that_haproxy_ended_grants_nothing():
    """With TLVs about TLS, its name and a checksum: the connection to postern is in the clear."""
    place = site(tls="required")
    both = place.dir / "both.pem"
    both.write_text(harness.pair().key.read_text() + harness.pair().certificate.read_text())
    haproxy = HAProxy(
        place, (PROXY, Listener(place).port),
        "send-proxy-v2-ssl-cn proxy-v2-options ssl-cipher,cert-key,authority,crc32c,unique-id",
        bind=f" ssl crt {both}")
    client = haproxy.connect(greeting=False)
    port = port_of(client)
    client.handshake()
    client.expect(220)
    client.ehlo()
    client.say(f"MAIL FROM:<{SENDER}>", 530)
    record = place.session()
    harness.equal((record["peer"], record["port"], record["proxy"]), (CLIENT, port, PROXY))
    harness.equal(record["status"], "SSL Error (SMTP RX Reject)")
    assert "tls" not in record, record


@harness.table(**VERSIONS)
def test_a_health_check_is_the_proxys_own_connection(how):
    place = site(log_level="debug")
    haproxy = HAProxy(place, (PROXY, Listener(place).port), f"{how} check inter 100ms",
                      backend="option smtpchk EHLO haproxy.example.net")
    harness.eventually(lambda: haproxy.status()["check_status"] == "L7OK", "HAProxy says L7OK")
    record = harness.eventually(lambda: place.records("session"), "a check's record")[0]
    harness.equal((record["end"], record["helo"]), ("proxy-check", "haproxy.example.net"))
    harness.equal((record["peer"], record["proxy"]), (PROXY, PROXY))
    harness.eventually(lambda: haproxy.status()["status"] == "UP", "it is up")


@harness.table(**VERSIONS)
def test_a_check_that_is_reset_behind_its_header_does_no_harm(how):
    """Real sender 9: postern may find the connection closed, but still has the peer's address."""
    place = site(log_level="debug")
    haproxy = HAProxy(place, (PROXY, Listener(place).port), f"{how} check inter 100ms")
    harness.eventually(lambda: haproxy.status()["check_status"] == "L4OK", "HAProxy says L4OK")
    harness.eventually(lambda: len(place.records("session")) > 2, "records of checks")
    for record in place.records("session"):
        harness.equal((record["peer"], record["end"]), (PROXY, "proxy-check"))
        assert "status" not in record, record


# Real sender 9, the PROXY protocol 2.2: a health check is no session, and has no status


def hear_of_checks(here, n):
    """The listener's status once it has counted so many, and nothing else has ended; once a second at most."""

    def told():
        found = re.search(r"STATUS=Ready; (\d+) connections, (\d+) so far, (\d+) checks of proxies",
                          here.heard.recv(1000).decode())
        return found and int(found[3]) >= n and int(found[2]) <= int(found[1])

    harness.eventually(told, f"{n} checks are told")


@harness.table(**VERSIONS)
def test_a_health_check_has_no_record_and_is_counted_apart(how):
    here = Listening(proxy_protocol=PROXY).listen()
    haproxy = HAProxy(here, (PROXY, here.ports[0]), f"{how} check inter 100ms")
    harness.eventually(lambda: haproxy.status()["check_status"] == "L4OK", "HAProxy says L4OK")
    hear_of_checks(here, 5)
    client = haproxy.connect()
    client.ehlo()
    client.quit()
    harness.equal(here.session()["end"], "quit")
    harness.equal(here.records("error"), [])


@harness.table(**VERSIONS)
def test_a_health_check_by_smtp_has_no_record_and_is_counted_apart(how):
    here = Listening(proxy_protocol=PROXY).listen()
    haproxy = HAProxy(here, (PROXY, here.ports[0]), f"{how} check inter 100ms",
                      backend="option smtpchk EHLO haproxy.example.net")
    harness.eventually(lambda: haproxy.status()["check_status"] == "L7OK", "HAProxy says L7OK")
    hear_of_checks(here, 5)
    harness.equal(here.records("session"), [])


@harness.table_of({"an end": False, "a reset": True})
def test_a_connection_of_a_proxy_without_an_octet_has_no_record(reset):
    here = Listening(proxy_protocol=PROXY).listen()
    for _ in range(5):
        client = here.client(greeting=False)
        (client.reset if reset else client.close)()
    hear_of_checks(here, 5)
    harness.equal(here.records("session"), [])


@harness.table(**VERSIONS)
def test_a_health_check_of_implicit_tls_is_no_failed_handshake(how):
    here = Listening("smtps=", proxy_protocol=PROXY, pair=harness.pair()).listen()
    HAProxy(here, (PROXY, here.ports[0]), f"{how} check inter 100ms")
    hear_of_checks(here, 3)
    harness.equal(here.records("session"), [])


@harness.table_of({f"{tls} {how} {seconds}": (tls, how, seconds) for tls in ("off", "on", "implicit")
                   for how in ("setting", "rule") for seconds in (0, 1)})
def test_a_reset_before_the_process_begins_is_a_check(tls, how, seconds):
    """Real sender 9: the peer of a closed connection has its address, as with the listener."""
    place = Site(tls=tls, log_level="debug", pair=harness.pair() if tls != "off" else None)
    if how == "setting":
        place.set(proxy_protocol=PROXY)
    else:
        rules = place.dir / "clients"
        rules.write_text(f"{PROXY} proxy\n")
        place.set(clients=rules)
    with socket.socket() as listening:
        listening.bind((PROXY, 0))
        listening.listen(1)
        ours = socket.create_connection(listening.getsockname(), harness.PATIENCE, (PROXY, 0))
        theirs, _ = listening.accept()
    port = ours.getsockname()[1]
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with theirs:
        if not seconds:  # closed before the process starts
            ours.close()
        process = place.spawn(theirs)
        if seconds:  # or while it waits for the header
            time.sleep(0.2)
            ours.close()
    process.wait(harness.PATIENCE)
    record = place.session()
    harness.equal((record["end"], record["peer"], record["port"]), ("proxy-check", PROXY, str(port)))
    assert "status" not in record, record
    harness.equal(place.records("error"), [])


@harness.table(**VERSIONS)
def test_a_health_check_under_tcpserver_has_no_record(how):
    """tcpserver names the peer of a connection that has been reset since."""
    place, port = site(log_level="debug"), harness.free_port()
    with open(place.log, "ab") as log:
        harness.start(harness.packages() / "ucspi-tcp/usr/bin/tcpserver", "-R", "-H", "-l0", PROXY,
                      port, *place.command(), stdout=subprocess.DEVNULL, stderr=log)
    HAProxy(place, (PROXY, port), f"{how} check inter 100ms")
    harness.eventually(lambda: len(place.records("session")) > 3, "records of checks")
    for record in place.records("session"):
        harness.equal((record["end"], record["peer"]), ("proxy-check", PROXY))
    place.set(log_level=None)
    n = harness.eventually(lambda: len(place.records("session")), "a record")
    time.sleep(0.5)
    assert len(place.records("session")) <= n + 1, "one may have read the settings before"


def test_the_panel_counts_checks_apart_where_they_have_records():
    panel = harness.build / "src" / "postern-status"
    if not panel.exists():
        raise harness.Skip("built without postern-status")
    place = site(tls="off", log_level="debug")
    file = place.dir / "json"
    place.set(log=f"json:{file}")
    for octets in (b"", LOCAL, b"PROXY UNKNOWN\r\n", LOCAL + b"EHLO check\r\n", V1):
        client = place.connect(greeting=False)
        client.send(octets)
        if octets:
            client.expect(220)
        if b"EHLO" in octets:
            client.expect(250)
            client.say("QUIT", 221)
        client.close()
        client.wait()
    text = harness.run(panel, "-c", place.settings_file).stdout
    lines = [line.split() for line in text.replace("Last hour", "").splitlines()]
    assert any(line[:2] == ["Sessions", "1"] for line in lines), text
    assert any(line[:2] == ["Checks", "4"] for line in lines), text
    numbers = harness.run(panel, "-c", place.settings_file, "--openmetrics").stdout
    harness.contains(numbers, "\npostern_proxy_checks 4\n")
    harness.contains(numbers, 'postern_sessions{tls="none"} 1\n')


def test_a_check_without_a_header_fails_and_is_told():
    place = site(timeout=1)
    haproxy = HAProxy(place, (PROXY, Listener(place).port), "check inter 4s",
                      backend="option smtpchk EHLO haproxy.example.net")
    harness.eventually(lambda: haproxy.status()["check_status"] == "L7STS", "HAProxy says L7STS")
    harness.contains(haproxy.status()["last_chk"], "PROXY header missing")
    harness.equal(place.session()["end"], "bad-proxy")


def test_haproxy_that_sends_no_header_costs_a_temporary_failure():
    place = site(timeout=1)
    client = HAProxy(place, (PROXY, Listener(place).port), "").connect(greeting=False)
    client.expect(421, "4.3.5 PROXY header missing")
    client.expect_end()
    harness.equal(place.session()["peer"], PROXY)


def test_haproxy_that_is_not_in_the_list_is_an_ordinary_client():
    place = site(proxies="192.0.2.0/24 2001:db8::/32")
    client = HAProxy(place, (PROXY, Listener(place).port), "send-proxy").connect()
    client.expect(500, "5.5.2")
    client.ehlo()
    client.say("QUIT", 221)
    record = place.session()
    harness.equal(record["peer"], PROXY)
    assert "proxy" not in record, record


@harness.table(**VERSIONS)
def test_the_rule_is_the_clients(how):
    place = site(tls="off", rules=(f"{PROXY} deny Not the proxy", f"{CLIENT} tls=required",
                                   "127.0.0.3 deny Not this one"))
    haproxy = HAProxy(place, (PROXY, Listener(place).port), how)
    denied = haproxy.connect("127.0.0.3", greeting=False)
    denied.expect(554, "5.7.1 Not this one")
    denied.expect_end()
    client = haproxy.connect()
    assert client.ehlo().has("STARTTLS")
    client.say("HELP", 530)
    client.starttls()
    client.ehlo()
    harness.equal(client.message(harness.sample()).code, 250)
    other = haproxy.connect("127.0.0.4")
    assert not other.ehlo().has("STARTTLS")
    harness.equal(other.message(harness.sample()).code, 250)


def test_a_rule_asks_for_the_header_as_the_list_does():
    place = site(proxies=None, rules=("127.0.0.0/8 proxy",))
    client = HAProxy(place, (PROXY, Listener(place).port), "send-proxy-v2").connect()
    port = port_of(client)
    client.ehlo()
    harness.equal(check_message(place, client, CLIENT, port)["proxy"], PROXY)


# Peers by hand


def bad_proxy(place, reason):
    record = place.session()
    harness.equal((record["end"], record["peer"]), ("bad-proxy", PROXY))
    harness.contains(record["reason"], reason)
    assert "proxy" not in record and "early" not in record, record


def wait_for_the_sandbox(client):
    status = f"/proc/{client.process.pid}/status"

    def confined():
        with open(status, encoding="ascii") as f:
            return "\nSeccomp:\t2\n" in f.read()

    harness.eventually(confined, "the process has shut itself in")


def test_the_header_is_read_inside_the_sandbox():
    place = site()
    client = place.connect(greeting=False)
    wait_for_the_sandbox(client)
    client.send(V1)
    client.expect(220)
    client.ehlo()
    client.starttls()
    client.ehlo()
    record = check_message(place, client, "203.0.113.9", "4711")
    assert record.get("sandbox") != "none", record


@harness.table(v1=V1, v2=V2)
def test_a_header_may_come_octet_by_octet(header):
    place = site()
    client = place.connect(greeting=False)
    for i in range(len(header)):
        client.send(header[i:i + 1])
        client.delivered()
    client.expect(220)
    client.ehlo()
    check_message(place, client, "203.0.113.9", "4711")


def test_what_follows_in_the_same_segment_is_the_clients():
    place = site()
    client = place.connect(greeting=False)
    client.send(V2 + b"EHLO client.example.net\r\nQUIT\r\n")
    for code in (220, 250, 221):
        client.expect(code)
    client.expect_end()
    record = place.session()
    harness.equal((record["early"], record["end"], record["peer"]), ("yes", "quit", "203.0.113.9"))


class InMemory:
    """TLS over a client's connection, with its octets in the test's hand."""

    def __init__(self, client, first):
        self.client, self.first = client, first
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = client_context().wrap_bio(self.incoming, self.outgoing, server_hostname=HOST)

    def send(self):
        """Octets of TLS, after the header before them, in one segment."""
        self.client.send(self.first + self.outgoing.read())
        self.first = b""

    def do(self, step, *arguments):
        while True:
            try:
                return step(*arguments)
            except ssl.SSLWantReadError:
                self.send()
            octets = self.client.socket.recv(65536)
            assert octets, "the server has closed"
            self.incoming.write(octets)


@harness.table(v1=V1, v2=V2, local=LOCAL)
def test_a_handshake_in_the_same_segment(header):
    place = site(tls="implicit", log_level="debug")  # a session of the proxy itself is a health check
    client = place.connect(greeting=False)
    memory = InMemory(client, header)
    memory.do(memory.tls.do_handshake)
    memory.send()
    harness.equal(memory.do(memory.tls.read, 4), b"220 ")
    memory.tls.write(b"QUIT\r\n")
    memory.send()
    client.rest()
    record = place.session()
    harness.equal((record["end"], record["tls"]), ("proxy-check" if header == LOCAL else "quit", "TLS1.3"))
    harness.equal(record["peer"], PROXY if header == LOCAL else "203.0.113.9")


def drip(client, octets, seconds):
    """Sends an octet now and then, until the server closes; how long that took."""
    begun = time.monotonic()
    client.socket.settimeout(0.2)
    for i in range(int(5 * (seconds + 5))):
        with contextlib.suppress(TimeoutError):
            client.socket.sendall(octets[i % len(octets):][:1])
            client.buffer += client.socket.recv(4096)
            break
    client.socket.settimeout(PATIENCE)
    return time.monotonic() - begun


@harness.table_of({"5 seconds": (10, HEADER_SECONDS), "the timeout": (2, 2)})
def test_a_header_that_drips_in_is_late(timeout, seconds):
    place = site(timeout=timeout)
    client = place.connect(greeting=False)
    took = drip(client, b"PROXY UNKNOWN " + b"x" * 90, seconds)
    client.expect(421, "4.3.5 PROXY header late")
    assert seconds - 0.5 < took < seconds + 2, f"it took {took:.1f} s"
    client.wait()
    bad_proxy(place, "late")


def test_the_deadline_is_the_headers_alone():
    place = site(timeout=1)
    client = place.connect(greeting=False)
    client.send(V2)
    client.expect(220)
    for _ in range(4):
        time.sleep(0.5)
        client.say("NOOP", 250)
    client.say("QUIT", 221)
    harness.equal(place.session()["end"], "quit")


def test_a_peer_that_says_nothing_is_not_waited_for():
    place = site(timeout=300)
    client = place.connect(greeting=False)
    begun = time.monotonic()
    client.expect(421, "4.3.5 PROXY header missing")
    took = time.monotonic() - begun
    assert HEADER_SECONDS - 0.5 < took < HEADER_SECONDS + 3, f"it took {took:.1f} s"
    client.wait()
    bad_proxy(place, "missing")


@harness.table_of({
    "length 65535": SIGNATURE + b"\x21\x11\xff\xff",
    "length 65535 of LOCAL": SIGNATURE + b"\x20\x00\xff\xff",
    "length 65535 and all of it": SIGNATURE + b"\x21\x11\xff\xff" + bytes(65535),
    "too short": SIGNATURE + b"\x21\x11\0\x04abcd",
    "version 3": SIGNATURE + b"\x31",
    "a line without end": b"PROXY UNKNOWN " + b"x" * 94,
    "an address that is none": b"PROXY TCP4 203.0.113.256 ",
    "LF alone": V1.replace(b"\r\n", b"\n"),
    "no header": b"EHLO client.example.net\r\n",
    "TLS": b"\x16\x03\x01\x02\0\x01",
    "a request": b"GET / HTTP/1.1\r\n\r\n",
    "end of line": b"\r\nEHLO x\r\n",
    "zeros": bytes(100)})
def test_a_malformed_header_is_refused_at_once(octets):
    place = site()
    client = place.connect(greeting=False)
    begun = time.monotonic()
    client.send(octets)
    client.expect(421, "4.3.5 PROXY header malformed")
    took = time.monotonic() - begun
    assert took < HEADER_SECONDS - 2, f"it took {took:.1f} s"
    client.expect_end()
    client.wait()
    bad_proxy(place, "malformed")
    harness.equal(place.everything(), [])


@harness.table_of({"v1": (V1[:-1], "cut short"),
                   "v2": (V2[:-1], "cut short"), "v2 without a length": (V2[:15], "cut short")})
def test_a_peer_that_closes_its_half_is_answered_and_ended(octets, reason):
    place = site()
    client = place.connect(greeting=False)
    client.send(octets)
    client.socket.shutdown(socket.SHUT_WR)
    client.expect(421, f"4.3.5 PROXY header {reason}")
    client.expect_end()
    harness.equal(client.wait(), 0)
    bad_proxy(place, reason)


def test_a_reset_in_the_header():
    place = site()
    client = place.connect(greeting=False)
    client.send(V2[:20])
    client.delivered()
    wait_for_the_sandbox(client)  # it has the peer's address by then
    client.reset()
    harness.equal(client.process.wait(PATIENCE), 0)
    # a reset takes with it what was not read by then
    assert place.session()["end"] in ("bad-proxy", "broken"), place.session()


@harness.table_of({"no header": b"EHLO x\r\n", "half of one": V2[:15], "length 65535":
                   SIGNATURE + b"\x21\x11\xff\xff", "TLS at once": b"\x16\x03\x01\x02\0\x01"})
def test_with_implicit_tls_nothing_is_said_of_it(octets):
    place = site(tls="implicit", timeout=1)
    client = place.connect(greeting=False)
    client.send(octets)
    client.expect_end()
    client.wait()
    harness.equal(place.session()["end"], "bad-proxy")


def test_a_signal_while_the_header_is_due():
    place = site()
    client = place.connect(greeting=False)
    client.send(V1[:9])
    wait_for_the_sandbox(client)
    client.process.terminate()
    client.expect(421, "4.3.2")
    client.wait()
    harness.equal(place.session()["end"], "shutdown")


@harness.table(v1=(V1, (500,)), v2=(SIGNATURE[:-5], (500, 500, 500)))
def test_a_header_from_any_other_peer_is_a_command_that_does_not_exist(header, codes):
    place = site(proxies="192.0.2.0/24", rules=("127.0.0.5 proxy",))
    client = place.connect()
    harness.equal(client.say("NOOP", 250).words, ["2.0.0 OK"])
    client.send(header)
    for code in codes:
        client.expect(code, "5.5.2")
    client.ehlo()
    client.say("QUIT", 221)
    record = place.session()
    harness.equal(record["peer"], PROXY)
    assert "proxy" not in record, record


# Rules without a proxy


def test_a_scanner_without_tls_beside_a_world_that_must():
    place = site(tls="required", proxies=None, rules=("# the scanner", "127.0.0.3 tls=off"))
    scanner = place.connect("127.0.0.3")
    assert not scanner.ehlo().has("STARTTLS")
    harness.equal(scanner.message(harness.sample()).code, 250)
    other = place.connect(CLIENT)
    assert other.ehlo().has("STARTTLS")
    other.say(f"MAIL FROM:<{SENDER}>", 530)
    harness.equal(len(place.new()), 1)


def test_an_old_scanner_has_tls_of_its_own():
    place = Site(tls="required", pair=harness.pair("rsa"))
    rules = place.dir / "clients"
    rules.write_text("127.0.0.3 tls-priority=LEGACY:+VERS-TLS1.0:+SHA1:%VERIFY_ALLOW_SIGN_WITH_SHA1\n")
    place.set(clients=rules)
    old = ssl.TLSVersion.TLSv1
    scanner = place.connect("127.0.0.3")
    scanner.ehlo()
    scanner.starttls(client_context(old, old, "ALL:@SECLEVEL=0"))
    scanner.ehlo()
    harness.equal(scanner.message(harness.sample()).code, 250)
    scanner.quit()
    harness.equal(place.session()["tls"], "TLS1.0")
    other = place.connect(CLIENT)
    other.ehlo()
    try:
        other.starttls(client_context(old, old, "ALL:@SECLEVEL=0"))
    except ssl.SSLError as problem:
        harness.contains(str(problem).lower(), "alert protocol version")
    else:
        raise AssertionError("TLS 1.0 is for the scanner alone")


def test_a_network_turns_tls_on_inside_the_sandbox():
    place = site(tls="off", proxies=None, rules=("127.0.0.0/8 tls=required", "127.0.0.4"))
    client = place.connect(CLIENT)
    client.ehlo()
    client.starttls()
    client.ehlo()
    harness.equal(client.message(harness.sample()).code, 250)
    client.quit()
    record = place.session()
    harness.equal(record["tls"], "TLS1.3")
    assert record.get("sandbox") != "none", record
    exempt = place.connect("127.0.0.4")
    assert not exempt.ehlo().has("STARTTLS")


def test_a_denied_client_sees_its_text_and_the_end():
    text = "No mail from there; see https://example.org/why"
    place = site(proxies=None, rules=(f"127.0.0.0/29 deny {text}", "127.0.0.1"))
    client = place.connect(CLIENT, greeting=False)
    client.send(f"EHLO x\r\nMAIL FROM:<{SENDER}>\r\nRCPT TO:<{RECIPIENT}>\r\n")
    harness.equal(client.expect(554).lines, [f"554 5.7.1 {text}"])
    client.expect_end()
    harness.equal(client.wait(), 0)
    record = place.session()
    harness.equal((record["end"], record["reason"]), ("denied", f"554 5.7.1 {text}"))
    place.connect().quit()


def test_a_faulty_clients_file_is_named_and_costs_a_421():
    place = site(proxies=None, rules=("127.0.0.1 tls=on", "", "127.0.0.1/8 proxy"))
    client = place.connect(greeting=False)
    client.expect(421, "4.3.5")
    client.expect_end()
    client.wait()
    harness.contains(place.records("error")[0]["text"], f"{place.dir}/clients:3: 127.0.0.1/8: has bits")
    harness.equal(place.session()["end"], "misconfigured")


if __name__ == "__main__":
    harness.main()
