#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""recipients = passwd: the processes that call the name services, and services that fail, wait, hang or crash."""

import os
import select
import signal
from pathlib import Path

import harness
from harness import DOMAIN
from homes import Homes, begun, end_message, listener
from listening import acceptor, agents, asked, brokers_below, found_in, memory_of, private_values, processes_below

LOOKUPS = "postern-users"
LOOKUP = "postern-lookup"  # one that calls the name services


# The process that looks users up


def lookups_below(broker):
    """The process that has the questions, and those that call the name services."""
    first, = [pid for pid, name in processes_below(broker) if name.startswith(LOOKUPS)]
    return first, [pid for pid, name in processes_below(first) if name.startswith(LOOKUP)]


VERIFIER = ("SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0c2FsdA==$"
            "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI=:YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXoxMjM0NTY=")


def test_the_processes_that_look_up_have_no_right_and_no_file():
    place = Homes()
    client = begun(place)
    broker, = brokers_below(client.process.pid)
    first, (second,) = lookups_below(broker)
    for process, sockets in ((first, 2), (second, 1)):
        with open(f"/proc/{process}/status", encoding="ascii") as status:
            fields = dict(line.rstrip().split(":\t", 1) for line in status if ":\t" in line)
        harness.equal(set(fields["Uid"].split()), {"65534"})
        harness.equal({int(fields[name], 16) for name in ("CapPrm", "CapEff", "CapInh")}, {0})
        harness.equal(fields["NoNewPrivs"], "1")
        found = sorted(os.readlink(f"/proc/{process}/fd/{fd}").split(":")[0] for fd in os.listdir(f"/proc/{process}/fd"))
        harness.equal(found, ["/dev/null", "/dev/null"] + ["socket"] * sockets)
    harness.equal(end_message(client), 250)
    for process in (first, second):
        harness.eventually(lambda: not os.path.exists(f"/proc/{process}"), "it ends with the session")


@harness.senseless_when_sanitized
def test_the_processes_that_look_up_have_no_secret_of_a_listener():
    """The listener has read them before; the same search finds them in its broker, but no private key."""
    place, pair = Homes(maildir_create="auto"), harness.pair()
    values = private_values(pair)
    secret, verifier = b"s3cr3t-of-the-listener-for-decoys", VERIFIER.encode()
    for name, octets in (("secret", secret), ("users", b"carl " + verifier + b"\n")):
        path = place.site.dir / name
        path.write_bytes(octets)
        path.chmod(0o600)
    here = listener(place, auth="on", auth_users=place.site.dir / "users", auth_secret=place.site.dir / "secret", tls="on",
                    pair=pair.copy_to(place.site.dir))
    client = asked(here, "alice")
    client.expect(250)
    broker, = brokers_below(here.process.pid)
    first, (second,) = lookups_below(broker)
    assert all(found_in(agent, values) for agent in agents(here))
    for process, expected in ((broker, True), (first, False), (second, False)):
        memory = list(memory_of(process))
        for sought in (secret, verifier):
            harness.equal(any(sought in part for part in memory), expected, f"{process} {sought}")
        harness.equal(found_in(process, values), set(), f"in process {process}")
    client.quit()


def test_its_end_refuses_for_now_and_a_listener_starts_another():
    place = Homes()
    here = listener(place)
    broker, = brokers_below(here.process.pid)
    before = acceptor(here)
    # one that has a channel to this broker, and not to the next
    client = here.client()
    client.ehlo()
    client.say(f"MAIL FROM:<{harness.SENDER}>", 250)
    os.kill(lookups_below(broker)[0], signal.SIGKILL)
    client.say(f"RCPT TO:<alice@{DOMAIN}>", 451)
    client.quit()
    harness.eventually(lambda: broker not in brokers_below(here.process.pid), "the broker has ended, too")
    client = here.client()
    client.ehlo()
    harness.equal(client.message(harness.sample(), recipients=[f"alice@{DOMAIN}"]).code, 250)
    client.quit()
    assert acceptor(here) != before


# Name services that fail, wait, hang or crash


@harness.static_alone
def test_the_static_program_reads_no_settings_of_name_services():
    """Its libc would load the services of another libc; nothing is wrong where these are missing."""
    place = Homes()
    with open("/etc/nsswitch.conf", "w", encoding="ascii") as services:
        services.write("passwd: nosuch systemd [UNAVAIL=return] hesiod\n")
    harness.equal(place.codes("alice", "carl"), [250, 550])
    harness.equal(place.check().returncode, 0)
    Path("/etc/passwd").write_text("nobody:x:65534:65534::/:/bin/false\n")  # without root it is cut short
    harness.equal(place.codes("alice", "carl"), [451, 451])


@harness.table_of({"no service": ("nsswitch.conf", "passwd: nosuch [UNAVAIL=return] files\n",
                                  "a name that no user has cannot be looked up: "),
                   "no users": ("passwd", "", "without the user nobody no mail is received: ")})
def test_where_the_name_services_have_failed_nobody_is_unknown(file, text, shown):
    if file == "nsswitch.conf":
        harness.needs_modules()
    place = Homes()
    client = place.site.connect()
    client.ehlo()
    client.say(f"MAIL FROM:<{harness.SENDER}>", 250)
    client.say(f"RCPT TO:<bob@{DOMAIN}>", 250)  # what looks up has begun
    with open(f"/etc/{file}", "w", encoding="ascii") as of_the_test:
        of_the_test.write(text)
    for name in ("alice", "carl"):
        client.say(f"RCPT TO:<{name}@{DOMAIN}>", 451)
    client.quit()
    harness.contains(place.fault(), "recipients passwd: alice: ")
    harness.contains(place.check().stdout, f"recipients passwd: {shown}")

SERVICE = """
#include <errno.h>
#include <nss.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static int n_again;
enum nss_status _nss_hesiod_getpwnam_r(const char *name, struct passwd *to, char *room, size_t n, int *ret_error)
{
	(void)to, (void)room, (void)n;
	if (strncmp(name, "hang", 4) == 0)
		for (;;)
			pause();
	if (strncmp(name, "crash", 5) == 0)
		_exit(1);
	if (strncmp(name, "again", 5) == 0 && n_again++ % 3 < 2) {
		*ret_error = EAGAIN;
		return NSS_STATUS_TRYAGAIN;
	}
	if (strncmp(name, "begun", 5) == 0) {
		*ret_error = EINPROGRESS;
		return NSS_STATUS_UNAVAIL;
	}
	*ret_error = ENOENT;
	return NSS_STATUS_NOTFOUND;
}
"""


def hostile_service():
    """A name service after that of files, in the place of one of the C library."""
    harness.needs_modules()
    harness.need("cc")
    places = list(Path("/lib").glob("*/libnss_hesiod.so.2"))
    if not places:
        raise harness.Skip("the C library has no service to replace")
    folder = harness.scratch()
    (folder / "service.c").write_text(SERVICE)
    done = harness.run("cc", "-shared", "-fPIC", "-o", folder / "service.so", folder / "service.c")
    harness.equal(done.returncode, 0, done.stdout)
    for path in places:
        harness.mount("--bind", folder / "service.so", path)
        harness.at_end(harness.run, "umount", "-l", path)
    with open("/etc/nsswitch.conf", "w", encoding="ascii") as services:
        services.write("passwd: files hesiod\ngroup: files\n")


def test_names_that_take_long_hold_up_nobody_else():
    """Twelve names that are never answered are refused for now, and others are looked up meanwhile and afterwards."""
    place = Homes(maildir_create="auto")
    hostile_service()
    here = listener(place)
    broker, = brokers_below(here.process.pid)
    waiting = [asked(here, f"hang{n}") for n in range(11)]
    for _ in range(2):
        client = asked(here, "alice")
        client.expect(250)
        client.quit()
    harness.equal(select.select([client.socket for client in waiting], [], [], 0)[0], [])
    for client in waiting:
        client.expect(451)
        client.say(f"RCPT TO:<bob@{DOMAIN}>", 250)
        client.quit()
    harness.contains(place.site.log_text() + here.log_text(), "the name services did not answer in time")
    harness.equal(brokers_below(here.process.pid), [broker])
    harness.eventually(lambda: len(lookups_below(broker)[1]) <= 11, "what hangs is gone")


def test_a_name_that_was_found_is_looked_up_when_all_others_wait():
    place = Homes(maildir_create="auto")
    hostile_service()
    here = listener(place)
    client = asked(here, "alice")
    client.expect(250)
    waiting = [asked(here, f"hang{n}") for n in range(18)]
    broker, = brokers_below(here.process.pid)
    harness.eventually(lambda: len(lookups_below(broker)[1]) >= 12, "the places of other names are taken")
    late = asked(here, "bob")
    client.say(f"RCPT TO:<alice@{DOMAIN}>", 250)
    client.quit()
    late.expect(451)
    for client in waiting:
        client.expect(451)
        client.close()
    late.say(f"RCPT TO:<bob@{DOMAIN}>", 250)
    late.quit()
    harness.contains(here.log_text(), "the name services are slow, and too many other names are looked up")


def test_a_crash_of_a_name_service_refuses_that_name_alone():
    place = Homes()
    hostile_service()
    here = listener(place)
    broker, = brokers_below(here.process.pid)
    client = asked(here, "crash")
    client.expect(451)
    client.say(f"RCPT TO:<alice@{DOMAIN}>", 250)
    client.say(f"RCPT TO:<crash-too@{DOMAIN}>", 451)
    client.say("DATA", 354)
    harness.equal(client.content(harness.sample()).code, 250)
    client.quit()
    harness.contains(here.log_text(), "a name service has crashed")
    harness.equal(brokers_below(here.process.pid), [broker])


def test_the_number_of_a_process_that_was_reaped_gets_no_signal():
    """It may be that of another process. The process ends while its parent, which has just waited, is about to reap it."""
    harness.need("strace")
    place = Homes()
    here = listener(place)
    client = asked(here, "alice")
    client.expect(250)
    first, (second,) = lookups_below(brokers_below(here.process.pid)[0])
    trace = place.site.dir / "trace"
    tracer = harness.start("strace", "-qq", "-p", first, "-o", trace, "-e", "trace=wait4,kill", "-e",
                           "inject=wait4:delay_enter=2000000:when=1")
    harness.wait_until_traced(first)
    client.send(f"RCPT TO:<bob@{DOMAIN}>\r\n")
    harness.wait_until_held(first)
    os.kill(second, signal.SIGKILL)
    client.expect(250)
    client.say(f"RCPT TO:<nobody-there@{DOMAIN}>", 550)
    client.quit()
    harness.end(tracer)  # which has then written all
    calls = trace.read_text()
    harness.contains(calls, f"= {second} ")
    assert f"kill({second}" not in calls, calls


FAILING = {"again": ([451, 451, 550], "Resource temporarily unavailable"), "begun": ([451] * 3, "a name service has failed"),
           "crash": ([451] * 3, "a name service has crashed")}


@harness.table_of({f"{name}, {how}": (name, *row, how == "listener") for name, row in FAILING.items()
                   for how in ("listener", "alone")})
def test_a_service_that_fails_twice_in_a_row_refuses_for_now_and_others_go_on(name, codes, fault, listens):
    """In one session and in several, with other names in between; nothing is left of it."""
    place = Homes()
    hostile_service()
    here = listener(place) if listens else None
    client = here.client() if listens else place.site.connect()
    client.ehlo()
    client.say(f"MAIL FROM:<{harness.SENDER}>", 250)
    for code in codes:
        client.say(f"RCPT TO:<{name}@{DOMAIN}>", code)
    client.say(f"RCPT TO:<alice@{DOMAIN}>", 250)
    client.send(f"RCPT TO:<{name}@{DOMAIN}>\r\nRCPT TO:<bob@{DOMAIN}>\r\nDATA\r\n")
    for code in (451, 250, 354):
        client.expect(code)
    harness.equal(client.content(harness.sample()).code, 250)
    client.quit()
    harness.equal([len(place.new(user)) for user in ("alice", "bob")], [1, 1])
    harness.contains((here or place.site).log_text(), fault)


def test_check_does_not_wait_for_a_name_service_that_hangs():
    place = Homes(catch_all=f"hang@{DOMAIN}")
    hostile_service()
    done = place.check()
    harness.equal(done.returncode, 0, done.stdout)


@harness.table_of({"the broker": "broker", "the client": "client"})
def test_no_process_is_left_when_a_name_service_hangs(who):
    place = Homes()
    hostile_service()
    client = place.site.connect()
    client.ehlo()
    client.say(f"MAIL FROM:<{harness.SENDER}>", 250)
    broker, = brokers_below(client.process.pid)
    client.send(f"RCPT TO:<hang@{DOMAIN}>\r\n")
    processes = harness.eventually(lambda: [pid for pid, name in processes_below(lookups_below(broker)[0])],
                                   "the name service is called")
    processes += [lookups_below(broker)[0], broker]
    if who == "broker":
        os.kill(broker, signal.SIGKILL)
    client.close()
    for process in processes:
        harness.eventually(lambda: not has_process(process), f"{process} has ended")


def has_process(pid):
    """False of one that has ended and waits for its parent."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_change_of_users_counts_from_the_next_recipient_on():
    place = Homes()
    harness.equal(place.codes("carl"), [550])
    with open("/etc/passwd", "a", encoding="ascii") as users:
        users.write(f"carl:x:61003:61003::{place.root}/carl:/bin/sh\n")
    place.homes["carl"] = place.home("carl", 61003)
    harness.equal(place.deliver([f"carl@{DOMAIN}"]), [250])


if __name__ == "__main__":
    harness.main()
