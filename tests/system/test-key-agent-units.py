#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""postern-key-agent.socket and its service in a real systemd, as postern(8) has them: connections receive mail inside
TLS and have no private key, a new pair is used from the next connection on, and the agent can be restarted."""

import ssl
import threading

import harness
import recipes
from machine import SETTINGS, exposes_at_most, server, verify

AGENT = "postern-key-agent.service"
SOCKET = "postern-key-agent.socket"
PATH = "/run/postern/key-agent"
EXPOSURE = 9  # tenths: it is root, owns the key, and has no name space for users


def here_with_agent():
    """The machine, whose connections use the agent and get no copy of the key, until the end of the test."""
    here = server()
    here.settings(SETTINGS.replace("credential:tls.key", f"agent:{PATH}"))
    here.drop_in("postern@.service", recipes.block("postern.8", "Key agent", "removes the key from"))
    here.start(SOCKET)
    harness.at_end(here.run, "systemctl", "stop", AGENT)
    return here


def secured(here):
    client = here.connect()
    client.ehlo()
    client.starttls()
    client.ehlo()
    return client


def deliver(here):
    client = secured(here)
    harness.equal(client.message(harness.sample()).code, 250)
    client.say("QUIT", 221)
    client.close()


def processes_of(here, unit):
    """Process numbers of a unit, in this machine's own numbers."""
    group = here.show(unit, "ControlGroup").split("=", 1)[1]
    return here.run("cat", f"/sys/fs/cgroup{group}/cgroup.procs").split()


def field(here, pid, name):
    return here.run("sed", "-n", f"s/^{name}:[[:space:]]*//p", f"/proc/{pid}/status")


def test_mail_comes_inside_tls_and_connections_have_no_key():
    here = here_with_agent()
    cursor = here.cursor()
    client = secured(here)
    instance = here.instances().split()[0]
    credentials = here.run("sh", "-c", f"cat /run/credentials/{instance}/*")
    assert "PRIVATE KEY" not in credentials, credentials
    pid = here.show(instance, "MainPID").split("=")[1]
    assert field(here, pid, "State"), "the connection is there"
    harness.equal(client.message(harness.sample()).code, 250)
    client.say("QUIT", 221)
    client.close()
    harness.equal(len(here.messages()), 1)
    assert "POSTERN_TLS_FAULT" not in here.record(cursor)


def test_processes_of_the_agent_have_no_rights():
    here = here_with_agent()
    deliver(here)
    pids = processes_of(here, AGENT)
    main = here.show(AGENT, "MainPID").split("=")[1]
    assert len(pids) >= 2, pids
    for pid in pids:
        for name in ("CapEff", "CapPrm", "CapBnd"):
            harness.equal(int(field(here, pid, name), 16), 0, f"{name} of {pid}")
        harness.equal(field(here, pid, "NoNewPrivs"), "1")
        if pid != main:
            harness.equal(field(here, pid, "Seccomp"), "2")
            links = here.run("sh", "-c", f"readlink /proc/{pid}/ns/net /proc/1/ns/net").split()
            assert links[0] != links[1], "a network of its own, without any interface"


def test_only_the_user_of_connections_can_have_handshakes_signed():
    here = here_with_agent()
    harness.equal(here.run("stat", "-c", "%U %a", PATH), "postern 600")
    script = f"import socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect('{PATH}')"
    told = here.run("setpriv", "--reuid=65534", "--clear-groups", "python3", "-c", script, check=False)
    harness.contains(told, "Permission denied")


def served_certificate(here):
    client = secured(here)
    found = client.socket.getpeercert(binary_form=True)
    client.close()
    return found


def test_a_new_pair_holds_from_the_next_connection_on():
    here = here_with_agent()
    for pair in (harness.pair("rsa"), harness.pair()):
        here.certificate(pair)
        harness.equal(served_certificate(here), ssl.PEM_cert_to_DER_cert(pair.certificate.read_text()))
        deliver(here)


def test_a_broken_pair_leaves_the_one_before():
    here = here_with_agent()
    harness.at_end(here.certificate, harness.pair())
    deliver(here)
    cursor = here.cursor()
    (here.root / "etc/postern/tls.key").write_text("no key\n")
    deliver(here)
    faults = harness.eventually(lambda: here.journal(cursor, _SYSTEMD_UNIT=AGENT, POSTERN_EVENT="error"),
                                "a record of the agent")
    harness.contains(" ".join(entry["MESSAGE"] for entry in faults), "/etc/postern/tls.key")


@harness.table(restart=("restart",), kill=("kill", "--signal=KILL", "--kill-whom=all"))
def test_an_agent_that_ends_costs_no_mail(*how):
    """TLS is there again with the next start, and mail in the clear came meanwhile."""
    here = here_with_agent()
    deliver(here)
    held = secured(here)
    here.run("systemctl", *how, AGENT)
    harness.equal(held.message(harness.sample()).code, 250, "a session whose handshake is over needs no agent")
    held.close()

    def again():
        client = here.connect()
        client.ehlo()
        client.send("STARTTLS\r\n")
        reply = client.reply()
        if reply.code == 454:
            harness.equal(client.message(harness.sample()).code, 250)
            client.close()
            return False
        harness.equal(reply.code, 220)
        client.handshake()
        client.ehlo()
        client.close()
        return True

    harness.eventually(again, "TLS is offered and works")
    deliver(here)


def test_sessions_at_once_get_their_own_signatures():
    here = here_with_agent()
    faults = []

    def one():
        try:
            with harness.in_network_of(here.pid):
                deliver(here)
        except Exception as fault:  # a thread has no other way to report a fault
            faults.append(repr(fault))

    clients = [secured(here) for _ in range(8)]
    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for client in clients:
        harness.equal(client.message(harness.sample()).code, 250)
        client.close()
    for thread in threads:
        thread.join(harness.PATIENCE)
    harness.equal(faults, [])
    harness.equal(len(here.messages()), 12)


def test_postern_check_asks_the_agent():
    here = here_with_agent()
    check = ("env", "PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin", "postern-check")
    told = here.run(*check)
    assert "tls-key" not in told, told
    harness.contains(told, "no fault: postern.socket")
    here.run("systemctl", "stop", SOCKET, AGENT)
    told = here.run(*check, check=False)
    harness.contains(told, "there is no socket of a key agent")


def test_systemd_finds_no_fault_and_few_rights():
    verify(SOCKET, AGENT)
    exposes_at_most(AGENT, EXPOSURE)


if __name__ == "__main__":
    harness.main()
