#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Mail for users of the system in the shipped units of a booted systemd, as postern-guide(7) has it: with its drop-in
each user gets mail as himself, without it none is received, and the units have no more rights than that needs."""

import socket
import sys

import harness
import machine
import recipes
from harness import DOMAIN
from machine import SETTINGS, server

SECTION = "Mail for local users"
LISTENER = "postern-listen.service"
UNITS = {"postern@.service": 2525, LISTENER: 2526}
PORTS = harness.table(connection=2525, listener=2526)
PORTS_OF_OTHERS = {"postern-submission": 2587, "postern-smtps": 2465}
OTHERS = (*PORTS_OF_OTHERS, "postern-lmtp")
PLACES = ("/var/log/postern", "/var/spool/postern/outbox/new", "/var/lib/postern/traces")
USERS = {"alice": 61001, "bob": 61002}
# Without the recipe's domain and postmaster, which are those of the tests here.
KEPT = ("mail-root", "maildir", "maildir-create", "postmaster")


def settings():
    """Those of the recipe, in place of what the machine has."""
    text = recipes.block(recipes.GUIDE, SECTION, "in place of").replace("example.org", DOMAIN)
    rest = [line for line in SETTINGS.splitlines() if line.split(" ")[0] not in (*KEPT, "domains")]
    return "\n".join(rest) + "\n" + text


def here_with_users(with_drop_in=True):
    here = server()
    for name, uid in USERS.items():
        here.run("sh", "-c", f"id {name} >/dev/null 2>&1 || useradd --create-home --uid {uid} {name}")
    harness.at_end(here.run, "sh", "-c", "rm -rf /home/*/Maildir")
    here.settings(settings() + f"last-valid-uid = {max(USERS.values())}\n")
    if with_drop_in:
        harness.at_end(here.run, "systemctl", "daemon-reload")
        for unit in UNITS:
            harness.at_end(here.run, "rm", "-f", f"/etc/systemd/system/{unit}.d/system-users.conf")
        here.run("sh", "-e", "-c", recipes.block(recipes.GUIDE, SECTION, "needs the right"))
    here.write("etc/systemd/system/postern-listen.socket.d/port.conf",
               "[Socket]\nListenStream=\nListenStream=127.0.0.1:2526\n")
    here.run("systemctl", "daemon-reload")
    here.start("postern-listen.socket")
    harness.at_end(here.run, "systemctl", "stop", LISTENER)
    return here


def all_settings():
    """The shipped settings, changed by the recipes for local users, a table of users, traces, and a log in a file."""
    text = (harness.HERE.parent.parent / "units/postern.conf").read_text()
    # that is what the recipe is in place of
    for line in ("maildir = /var/lib/postern/mail/%u\n", "postmaster = postmaster\n"):
        assert line in text, line
        text = text.replace(line, "")
    recipe = recipes.block(recipes.GUIDE, SECTION, "in place of").replace("example.org", DOMAIN)
    more = recipes.block(recipes.GUIDE, "Traces").replace("192.0.2.17", "127.0.0.1")
    return (text.replace("#auth-", "auth-") + f"hostname = {harness.HOST}\n" + recipe + more
            + recipes.block(recipes.GUIDE, "Logs: rotation and retention", "Records can go")
            + f"last-valid-uid = {max(USERS.values())}\n")


def here_with_all_settings():
    here = here_with_users()
    here.settings(all_settings())
    for name, text in (("users", machine.USERS), ("auth-secret", "x" * 32)):
        here.write(f"etc/postern/{name}", text)
        (here.root / "etc/postern" / name).chmod(0o600)
    drop_in = (here.root / "usr/local/share/postern/system-users.conf").read_text()
    for name in OTHERS:
        here.drop_in(f"{name}@.service", drop_in)
        if name in PORTS_OF_OTHERS:
            here.write(f"etc/systemd/system/{name}.socket.d/port.conf",
                       f"[Socket]\nListenStream=\nListenStream=127.0.0.1:{PORTS_OF_OTHERS[name]}\n")
    here.run("systemctl", "daemon-reload")
    for name in OTHERS:
        here.start(f"{name}.socket")
    harness.at_end(here.run, "sh", "-c", f"rm -f {' '.join(f'{place}/*' for place in PLACES)}")
    return here


def client_of(here, name):
    if name in PORTS_OF_OTHERS or name in UNITS:
        client = here.connect(port={**UNITS, **PORTS_OF_OTHERS}[name], greeting=False)
    else:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(here.root / "run/postern/lmtp"))
        client = harness.Client(connection)
    if name == "postern-smtps":
        client.handshake()
    client.expect(220)
    client.lhlo() if name == "postern-lmtp" else client.ehlo()
    if name == "postern-submission":
        client.starttls()
        client.ehlo()
        client.say(machine.LOGIN, 235)
    return client


@harness.table_of({name: name for name in (*UNITS, *OTHERS)})
def test_mail_reports_log_and_traces_are_their_owners_with_the_shipped_settings(name):
    here = here_with_all_settings()
    client = client_of(here, name)
    client.say(f"MAIL FROM:<{harness.SENDER}>", 250)
    client.say(f"RCPT TO:<alice@{DOMAIN}> NOTIFY=SUCCESS", 250)
    client.say("DATA", 354)
    harness.equal(client.content(harness.sample()).code, 250)
    client.say("QUIT", 221)
    client.close()
    harness.equal([uid for uid, _ in mail_of(here, "alice")], [USERS["alice"]])
    harness.eventually(lambda: '"session"' in here.run("sh", "-c", f"cat {PLACES[0]}/*"), "the records are in the file")
    for place in PLACES if name != "postern-lmtp" else PLACES[:2]:
        harness.equal(here.run("find", place, "-type", "f", "-printf", "%u\n"), "postern", place)
    # what sends the reports is a unit of the user postern, and can
    harness.equal(here.call("run", "setpriv", "--reuid", "postern", "--clear-groups", "sh", "-c",
                            f"cat {PLACES[1]}/*").returncode, 0)


@PORTS
def test_after_a_rotation_there_is_a_new_log_file(port):
    here = here_with_all_settings()

    def session():
        client = here.connect(port=port)
        client.say("QUIT", 221)
        client.close()

    session()
    log = f"{PLACES[0]}/postern.json"
    harness.eventually(lambda: here.call("run", "test", "-s", log).returncode == 0, "the first file")
    here.run("mv", log, f"{log}.1")

    def is_new():
        session()
        return here.call("run", "test", "-s", log).returncode == 0

    harness.eventually(is_new, "a new file")
    harness.equal(here.run("stat", "-c", "%U", log), "postern")


def test_check_finds_no_fault_with_reports_log_and_traces():
    here = here_with_all_settings()
    done = here.call("run", "/usr/local/sbin/postern-check")
    harness.equal(done.returncode, 0, done.stdout)
    assert "chown" not in done.stdout, done.stdout


def mail_of(here, name):
    """The owner of each message, and the text."""
    return [(path.stat().st_uid, path.read_bytes()) for path in (here.root / f"home/{name}/Maildir").glob("new/*")]


@PORTS
def test_each_user_gets_mail_as_himself_through_starttls(port):
    here = here_with_users()
    client = here.connect(port=port)
    client.ehlo()
    client.starttls()
    client.ehlo()
    for name in ("alice+lists", "bob", "postmaster"):
        harness.equal(client.message(harness.sample(), recipients=(f"{name}@{DOMAIN}",)).code, 250)
    client.say(f"MAIL FROM:<{harness.SENDER}>", 250)
    for name in ("root", "daemon", "nobody", "postern", "carl"):
        client.say(f"RCPT TO:<{name}@{DOMAIN}>", 550, "5.1.1")
    client.say("QUIT", 221)
    harness.equal([uid for uid, _ in mail_of(here, "alice")], [USERS["alice"]] * 2)
    harness.equal([uid for uid, _ in mail_of(here, "bob")], [USERS["bob"]])
    assert all(b"ESMTPS" in text for _, text in mail_of(here, "alice") + mail_of(here, "bob"))
    # other units still have their directories
    harness.equal(here.run("stat", "-c", "%U", "/var/lib/postern"), "postern")


@PORTS
def test_a_home_of_somebody_else_gets_no_mail(port):
    here = here_with_users()
    here.run("chown", "bob", "/home/alice")
    harness.at_end(here.run, "chown", "alice", "/home/alice")
    client = here.connect(port=port)
    client.ehlo()
    client.say(f"MAIL FROM:<{harness.SENDER}>", 250)
    client.say(f"RCPT TO:<alice@{DOMAIN}>", 451, "4.3.0")
    client.say(f"RCPT TO:<bob@{DOMAIN}>", 250)
    client.say("QUIT", 221)
    harness.equal(mail_of(here, "alice"), [])


@PORTS
def test_without_the_drop_in_no_mail_is_received(port):
    here = here_with_users(with_drop_in=False)
    client = here.connect(port=port, greeting=False)
    client.expect(421)
    done = here.call("run", "/usr/local/sbin/postern-check")
    harness.equal(done.returncode, 1, done.stdout)
    harness.contains(done.stdout, "recipients passwd: needs root")
    harness.contains(done.stdout, "drop-in system-users.conf")
    assert "mail-root" not in done.stdout, f"who obeys this changes the owner of homes: {done.stdout}"


def test_check_finds_no_fault_with_it():
    here = here_with_users()
    done = here.call("run", "/usr/local/sbin/postern-check")
    harness.equal(done.returncode, 0, done.stdout)


def test_connections_are_nobody_and_brokers_have_two_rights():
    here = here_with_users()
    for port in UNITS.values():
        client = here.connect(port=port)
        client.ehlo()
        client.say(f"MAIL FROM:<{harness.SENDER}>", 250)
        client.say(f"RCPT TO:<alice@{DOMAIN}>", 250)
        found = {}
        for line in here.run("ps", "-e", "-o", "comm=,euid=,pid=").splitlines():
            name, uid, pid = line.split()
            if name.startswith("postern"):
                caps = next(row for row in (here.root / f"proc/{pid}/status").read_text().splitlines()
                            if row.startswith("CapEff"))
                found.setdefault(name, set()).add((int(uid), int(caps.split()[1], 16)))
        harness.equal(found["postern-broker"], {(0, 1 << 6 | 1 << 7)})
        harness.equal(found["postern-users"], {(65534, 0)})
        harness.equal(found["postern-lookup"], {(65534, 0)})
        client.say("QUIT", 221)
        client.close()
        harness.eventually(lambda: not here.instances("postern@*"), "the connection has ended")


# A name service that connects to a server itself.
SERVICE = """
#include <errno.h>
#include <nss.h>
#include <pwd.h>
#include <sys/socket.h>
#include <unistd.h>
enum nss_status _nss_far_getpwnam_r(const char *name, struct passwd *to, char *room, size_t n, int *ret_error)
{
	int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)name, (void)to, (void)room, (void)n;
	*ret_error = server < 0 ? errno : ENOENT;
	if (server >= 0)
		close(server);
	return server < 0 ? NSS_STATUS_UNAVAIL : NSS_STATUS_NOTFOUND;
}
"""


def add_far_service(here):
    harness.need("cc")
    folder = harness.scratch()
    (folder / "service.c").write_text(SERVICE)
    done = harness.run("cc", "-shared", "-fPIC", "-o", folder / "service.so", folder / "service.c")
    harness.equal(done.returncode, 0, done.stdout)
    place = here.root / "usr/lib/libnss_far.so.2"
    place.write_bytes((folder / "service.so").read_bytes())
    harness.at_end(place.unlink)
    services = here.root / "etc/nsswitch.conf"
    before = services.read_text() if services.exists() else ""
    harness.at_end(services.write_text, before)
    services.write_text("passwd: files far\ngroup: files\n")


def code_of(here, port, name):
    client = here.connect(port=port)
    client.ehlo()
    client.say(f"MAIL FROM:<{harness.SENDER}>", 250)
    client.send(f"RCPT TO:<{name}@{DOMAIN}>\r\n")
    code = client.reply().code
    client.say("QUIT", 221)
    client.close()
    return code


def test_a_name_service_that_needs_a_network_gives_451_in_the_listener_until_its_unit_has_one():
    """The names of /etc/passwd have mail all the same; postern@.service has the network of the host."""
    harness.needs_modules()
    if sys.maxsize < 2**32:
        raise harness.Skip("RestrictAddressFamilies= has no effect on 32-bit x86 (systemd.exec(5))")
    here = here_with_users()
    add_far_service(here)
    at = here.cursor()
    for port, code in ((UNITS["postern@.service"], 550), (UNITS[LISTENER], 451)):
        harness.equal([code_of(here, port, name) for name in ("carl", "alice")], [code, 250], port)
    record, = here.journal(at, POSTERN_REFUSED_TO=f"<carl@{DOMAIN}>", POSTERN_SERVICE="smtp",
                           POSTERN_OUTCOME="refused")[-1:]
    harness.contains(record.get("POSTERN_DELIVERY_FAULT", ""), "RestrictAddressFamilies=")
    here.drop_in(LISTENER, recipes.block(recipes.GUIDE, SECTION, "connects to a server itself"))
    here.run("systemctl", "try-restart", LISTENER)
    harness.equal([code_of(here, UNITS[LISTENER], name) for name in ("carl", "alice")], [550, 250])


# What systemd-analyze finds in the listener's unit with the drop-in, and why it stays.
EXPOSED = {
    "SystemCallFilter=~@privileged": "capset, and what becomes a user",
    "CapabilityBoundingSet=~CAP_SET(UID|GID|PCAP)": "the broker becomes the owner of each home",
    "User=/DynamicUser=": "the broker stays root, without the rights of root",
    "PrivateUsers=": "homes have their owners here",
    "ProtectHome=": "mail goes there",
    "RootDirectory=/RootImage=": "it delivers to the host's files",
    "RestrictAddressFamilies=~AF_UNIX": "the journal, and filters with UNIX sockets",
    "DeviceAllow=": "the clock, which ProtectClock= lets be read",
}


def test_the_drop_in_exposes_the_listener_to_what_it_needs_alone():
    here = here_with_users()
    done = here.call("run", "systemd-analyze", "security", "--no-pager", "--threshold=25", LISTENER)
    harness.equal(done.returncode, 0, done.stdout)
    found = {line.split()[1] for line in done.stdout.splitlines() if line.startswith("\u2717")}
    harness.equal(found, set(EXPOSED), done.stdout[-200:])


@harness.table_of({unit: unit for unit in ("postern@x.service", "postern-submission@x.service", "postern-smtps@x.service",
                                           "postern-lmtp@x.service", LISTENER)})
def test_systemd_finds_the_drop_in_right(unit):
    here = here_with_users()
    template = unit.replace("@x.", "@.")
    here.drop_in(template, (here.root / "usr/local/share/postern/system-users.conf").read_text())
    done = here.call("run", "systemd-analyze", "verify", "--man=no", unit)
    harness.equal((done.returncode, done.stdout), (0, ""))


if __name__ == "__main__":
    harness.main()
