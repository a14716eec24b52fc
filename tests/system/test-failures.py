#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Limits for a source: guessing passwords, searching addresses, holding places."""

import os
import signal
import socket
import threading
import time

import harness
from harness import Site
from listening import Listening, acceptor, children, connections, deliver, replies_of, with_tls
from logins import PASSWORD, SECRET, USER, by_gsasl, plain, put

LONG = 75  # seconds in which a slow client is found: it has 60


def trickle(client, rate, seconds):
    """Sends content at that rate; the reply that comes in the meantime, or None."""
    line = b"x" * (rate // 2 - 2) + b"\r\n"
    until = time.monotonic() + seconds
    client.socket.settimeout(0.5)
    while time.monotonic() < until:
        client.send(line)
        try:
            return client.reply()
        except TimeoutError:
            continue
    client.socket.settimeout(harness.PATIENCE)
    return None


def begin_message(place):
    client = place.connect()
    client.ehlo()
    client.envelope()
    return client


def in_threads(*functions):
    results = {}
    threads = [threading.Thread(target=lambda f=f: results.update({f: f()})) for f in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [results.get(f) for f in functions]


def test_content_that_comes_too_slowly_ends_the_session():
    place, steady = Site(), Site()
    off = Site(min_data_rate=0)

    def slow():
        client = begin_message(place)
        client.say("DATA", 354)
        return trickle(client, 200, LONG)

    def slow_in_chunks():
        client = begin_message(place)
        client.send("BDAT 100000\r\n")
        return trickle(client, 200, LONG)

    def good(where, rate):
        client = begin_message(where)
        client.say("DATA", 354)
        assert trickle(client, rate, LONG) is None
        client.send(".\r\n")
        return client.reply()

    def credit():
        """The octets of a message before count for none after it, though nothing was read in between."""
        client = begin_message(place)
        client.say("DATA", 354)
        begin = f"MAIL FROM:<{harness.SENDER}>\r\nRCPT TO:<{harness.RECIPIENT}>\r\nDATA\r\n"
        client.send(b"Subject: x\r\n\r\n" + 1000 * (78 * b"x" + b"\r\n") + b".\r\n" + begin.encode())
        for code in (250, 250, 250, 354):
            client.expect(code)
        return trickle(client, 200, LONG)

    def slow_command():
        """A command has the time of `timeout` for each octet, in a transaction, too."""
        client = begin_message(steady)
        command = "NOOP " + "x" * 18 + "\r\n"
        for octet in command:
            time.sleep(LONG / len(command))
            client.send(octet)
        client.expect(250)
        client.say("DATA", 354)
        return client.content(harness.sample())

    found = in_threads(slow, slow_in_chunks, credit, lambda: good(steady, 1200), lambda: good(off, 200), slow_command)
    for reply in found[:3]:
        harness.equal(reply.code, 421)
        harness.contains(str(reply), "4.4.2")
    harness.equal([reply.code for reply in found[3:]], [250, 250, 250])
    harness.equal(len(place.new()), 1)  # the one before
    harness.equal([record["end"] for record in place.records("session")], ["slow", "slow", "slow"])


MANY = "421 4.7.0 Too many failures from your address"


def with_logins(**settings):
    here = with_tls(auth="on", **settings)
    here.set(auth_users=put(here, "users", f"{USER} {by_gsasl()}\n"), auth_secret=put(here, "secret", SECRET))
    return here.listen()


def inside(here, source="127.0.0.1"):
    client = here.client(client=source)
    client.ehlo()
    client.starttls()
    client.ehlo()
    return client


def guess(client):
    """True when it was answered as a wrong password, and false when the source is refused."""
    client.send(f"AUTH PLAIN {plain(password='wrong')}\r\n")
    reply = client.reply()
    if reply.code == 421:
        harness.contains(str(reply), MANY)
    else:
        harness.equal(reply.code, 535)
    return reply.code == 535


def guess_from(client):
    """The same in a session that has just begun, and may be refused later."""
    try:
        client.ehlo()
        client.starttls()
        client.ehlo()
        return guess(client)
    except (harness.Closed, AssertionError):
        return False


def guesses_of(here, source, seconds):
    """How many passwords a source has tried in that time, with 8 clients at once that come again after each."""
    until = time.monotonic() + seconds

    def one():
        n = 0
        while time.monotonic() < until:
            client = here.client(client=source, greeting=False)
            if client.reply().code == 220:
                n += guess_from(client)
            else:
                time.sleep(0.05)
            client.close()

        return n

    return sum(in_threads(*[lambda: one() for _ in range(8)]))


def test_a_source_guesses_a_limited_number_of_passwords():
    here, before = with_logins(source_failed_logins=5), with_logins(source_failed_logins=0)
    limited, unlimited = in_threads(lambda: guesses_of(here, "127.0.0.2", 12), lambda: guesses_of(before, "127.0.0.2", 12))
    print(f"# guesses in 12 seconds: {unlimited} without a limit, {limited} with a limit of 5")
    # one more for each of its other clients, whose password was on its way; some get 421 in place of 535
    assert 1 <= limited <= 12, limited
    assert unlimited >= 20, unlimited
    here.client(client="127.0.0.2", greeting=False).expect(421, MANY[4:])
    harness.contains([r["text"].split(":")[0] for r in here.records("error")], "source-failed-logins")
    harness.contains([r["end"] for r in here.records("session")], "source-failures")
    # another source is not affected, and a right password is no failure
    client = inside(here, "127.0.0.3")
    client.say(f"AUTH PLAIN {plain(password=PASSWORD)}", 235)
    harness.equal(client.message(harness.sample()).code, 250)


def test_a_new_session_of_a_source_that_has_failed_is_no_faster():
    here = with_logins()
    client = inside(here)
    for _ in range(2):
        assert guess(client)
    began = time.monotonic()
    assert guess(inside(here))
    assert time.monotonic() - began > 3.5, "the third pause"
    began = time.monotonic()
    assert guess(inside(here, "127.0.0.2"))
    assert time.monotonic() - began < 3, "the first pause of another source"


def test_failures_are_forgotten_with_time():
    here = with_logins(source_failed_logins=2, source_failure_time="8s")
    assert guess(inside(here))
    client = inside(here)
    if guess(client):
        client.expect(421, MANY[4:])
    here.client(greeting=False).expect(421, MANY[4:])
    time.sleep(4.5)
    here.client().quit()


def try_addresses(client, n, pause=0):
    client.ehlo()
    client.say("MAIL FROM:<a@example.org>", 250)
    replies = []
    for i in range(n):
        client.send(f"RCPT TO:<unknown{i}@example.com>\r\n")
        replies.append(client.reply().code)
        if replies[-1] == 421:
            break
        time.sleep(pause)
    return replies


def test_a_source_tries_a_limited_number_of_addresses():
    here = Listening(source_refused_recipients=10, error_limit=100).listen()
    harness.equal(try_addresses(here.client(), 8), [550] * 8)
    # the listener gets each address, but the client does not wait for this
    replies = try_addresses(here.client(), 90, pause=0.05)
    harness.equal(replies[-1], 421)
    harness.eventually(lambda: MANY in str(here.client(greeting=False).reply()), "the source is refused")
    deliver(here.client(client="127.0.0.2"))


def test_lmtp_has_no_such_limit():
    here = Listening("lmtp=", source_refused_recipients=1, error_limit=100).listen()
    for _ in range(2):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(here.dir / "lmtp"))
        client = harness.Client(connection)
        client.expect(220)
        client.lhlo()
        client.say("MAIL FROM:<a@example.org>", 250)
        for i in range(5):
            client.say(f"RCPT TO:<unknown{i}@example.com>", 550)
        client.quit()


def behind_proxy(here, client_address):
    client = here.client(client="127.0.0.9", greeting=False)
    client.send(f"PROXY TCP4 {client_address} 192.0.2.25 4711 25\r\n")
    return client


def test_behind_a_proxy_the_real_client_is_counted():
    here = Listening(proxy_protocol="127.0.0.9", source_refused_recipients=5, error_limit=100).listen()
    client = behind_proxy(here, "192.0.2.66")
    client.expect(220)
    harness.equal(set(try_addresses(client, 5)) - {421}, {550})
    harness.eventually(lambda: MANY in str(behind_proxy(here, "192.0.2.66").reply()), "the client is refused")
    good = behind_proxy(here, "192.0.2.7")
    good.expect(220)
    deliver(good)

def flood(client, n):
    """One unknown recipient after the other, so that each is reported for itself."""
    harness.equal(set(try_addresses(client, n)), {550})


def test_a_client_of_a_proxy_is_counted_though_its_address_could_not_be_reported_at_once():
    here = Listening(proxy_protocol="127.0.0.9", source_refused_recipients=600, error_limit=1000).listen()
    many, few = (here.client(client="127.0.0.9", greeting=False) for _ in range(2))
    harness.eventually(lambda: len(connections(here)) == 2, "both are accepted")
    behind_proxy_of(many, "192.0.2.1")
    pid = acceptor(here)
    os.kill(pid, signal.SIGSTOP)
    try:
        flood(many, 500)  # more than the queue of the acceptor holds
        behind_proxy_of(few, "192.0.2.2")
    finally:
        os.kill(pid, signal.SIGCONT)
    many.close()
    behind_proxy_of(here.client(client="127.0.0.9", greeting=False), "192.0.2.3")  # it has read its queue
    try_addresses(few, 700)
    harness.eventually(lambda: MANY in str(behind_proxy(here, "192.0.2.2").reply()), "the client is refused")


def behind_proxy_of(client, client_address):
    client.send(f"PROXY TCP4 {client_address} 192.0.2.25 4711 25\r\n")
    client.expect(220)


def refuse_source(here, source="127.0.0.1"):
    """Another session reaches the limit of 3."""
    try_addresses(here.client(client=source), 3)
    harness.eventually(lambda: MANY in replies_of(here), "the source is refused")


def test_failures_of_other_sessions_end_none_before_its_next_failure():
    here = Listening(source_refused_recipients=3).listen()
    client = here.client()
    harness.equal(try_addresses(client, 1), [550])
    refuse_source(here)
    client.say("RSET", 250)
    harness.equal(client.message(harness.sample()).code, 250)
    client.envelope()
    client.send("RCPT TO:<unknown@example.com>\r\n")
    client.expect(550)
    client.expect(421, MANY[4:])

def test_a_session_that_turns_to_tls_is_not_refused_in_the_clear():
    here = with_tls(source_refused_recipients=3).listen()
    client = here.client()
    harness.equal(try_addresses(client, 1), [550])
    refuse_source(here)
    client.send("STARTTLS\r\n")
    client.expect(220)
    harness.equal(client.buffer, b"", "octets in the clear after the 220")
    client.handshake()
    client.ehlo()


def test_nor_when_its_failure_and_its_starttls_come_together():
    here = with_tls(source_refused_recipients=3).listen()
    client = here.client()
    client.ehlo()
    client.say("MAIL FROM:<a@example.org>", 250)
    refuse_source(here)
    client.send("RCPT TO:<unknown@example.com>\r\nSTARTTLS\r\n")
    client.expect(550)
    client.expect(220)
    harness.equal(client.buffer, b"", "octets in the clear after the 220")
    client.handshake()
    client.expect(421, MANY[4:])
    harness.eventually(lambda: "source-failures" in [r["end"] for r in here.records("session")], "it has ended")


@harness.senseless_when_sanitized
def test_crashes_of_connections_of_lmtp_are_not_counted():
    here = Listening("lmtp=127.0.0.1:", "", source_crashes=1).listen()
    client = here.client(0)
    process = max(connections(here))
    os.kill(process, signal.SIGSEGV)
    client.rest()
    harness.eventually(lambda: not os.path.exists(f"/proc/{process}"), "its process has ended")
    deliver(here.client(1))


@harness.senseless_when_sanitized
def test_crashes_of_a_source_are_counted_across_a_new_start():
    here = Listening(source_crashes=2).listen()
    for n in range(2):
        client = here.client(client="127.0.0.2")
        process = max(connections(here))
        os.kill(process, signal.SIGSEGV)
        client.rest()
        harness.eventually(lambda: not os.path.exists(f"/proc/{process}"), "its process has ended")
        if n == 0:  # it does so again after ten seconds
            here.hear("READY=1")
    here.client(client="127.0.0.2", greeting=False).expect(421, MANY[4:])
    deliver(here.client(client="127.0.0.3"))


def test_good_clients_get_through_a_crowd_of_idle_ones():
    places = 100
    here = Listening(connection_limit=places, source_connection_limit=20, timeout=100).listen()
    held, refused = [], 0
    for n in range(20):  # each of 8 sources takes what it can
        for source in range(2, 10):
            client = here.client(client=f"127.0.0.{source}", greeting=False)
            if client.reply().code == 220:
                held.append(client)
            else:
                refused += 1
    assert places * 8 // 10 <= len(held) < places, len(held)
    assert refused, "sources with many connections are refused"
    for n in range(100, 150):  # and 50 good ones come, one after the other
        deliver(here.client(client=f"127.0.0.{n}"))
    # those that are silent end after a tenth of the timeout, until there is room again
    harness.eventually(lambda: len(connections(here)) < places * 8 // 10, "idle connections end", patience=60)
    harness.contains({r["end"] for r in here.records("session")}, "timeout")


def test_idle_clients_keep_their_time_where_there_is_room():
    here = Listening(connection_limit=100, timeout=20).listen()
    client = here.client()
    time.sleep(6)
    deliver(client)


def test_an_earlier_limit_of_all_connections_shortens_no_time():
    here = Listening(connection_limit=10, timeout=20).listen()
    earlier = [here.client() for _ in range(9)]
    here.set(connection_limit=1000)
    client = here.client()  # 10 of 1000
    before = acceptor(here)
    earlier.pop().quit()
    harness.eventually(lambda: len(children(here.process.pid)) == 2 and before == acceptor(here), "both acceptors are there")
    time.sleep(4)
    deliver(client)


def test_only_a_listener_remembers():
    place = Site(source_failed_logins=5)
    done = harness.run(*place.command(), "--check")
    harness.contains(done.stdout + str(done.stderr or ""), "source-failed-logins: has no effect in a process that serves one")
    done = harness.run(*place.command(), "--check", "--listen=127.0.0.1:2525")
    assert "source-failed-logins" not in done.stdout, done.stdout
    done = harness.run(*Site(source_failure_time="1m").command(), "--check")
    harness.contains(done.stdout + str(done.stderr or ""), "source-failure-time: has no effect in a process that serves one")


if __name__ == "__main__":
    harness.main()
