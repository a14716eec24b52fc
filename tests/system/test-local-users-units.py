#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Mail for users of the system in the shipped units of a booted systemd, as postern-guide(7) has it: with its drop-in
each user gets mail as himself, without it none is received, and the units have no more rights than that needs."""

import harness
import recipes
from harness import DOMAIN
from machine import SETTINGS, server

SECTION = "Mail for local users"
LISTENER = "postern-listen.service"
UNITS = {"postern@.service": 2525, LISTENER: 2526}
PORTS = harness.table(connection=2525, listener=2526)
USERS = {"alice": 61001, "bob": 61002}
# Without the recipe's domain and postmaster, which are those of the tests here.
KEPT = ("mail-root", "maildir", "maildir-create")


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
