#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""The key agents of a listener: every kind of key signs, no other process has a key in its memory, and what happens
when a key is renewed, an agent ends, or a client needs the key itself."""

import contextlib
import os
import signal
import threading
import time

import harness
from handshakes import RSA_ALONE, RSA_ALONE_REFUSED, TLS1_2, TLS1_3, refuse_handshake
from harness import client_context
from listening import (
    Listening, acceptor, agents, brokers_below, certificate_of, connections, deliver, found_in, private_values, replace,
    status_of, with_tls)

@harness.senseless_when_sanitized
@harness.table_of({kind: (kind,) for kind in ("rsa", "ecdsa", "ecdsa-p521", "ed25519")})
def test_only_agents_have_the_key(kind):
    harness.need_root("to read the memory of processes")
    pair = harness.pair(kind)
    values = private_values(pair)
    here = Listening("", "smtps=", tls="on", pair=pair).listen()
    processes = agents(here)
    harness.equal(len(processes), min(8, len(os.sched_getaffinity(0))), "one for each processor")

    def check_others():
        broker, = brokers_below(here.process.pid)
        for pid in (here.process.pid, acceptor(here), broker, *connections(here)):
            harness.equal(found_in(pid, values), set(), f"in process {pid}")

    client = here.client()
    check_others()
    client.ehlo()
    client.starttls()
    check_others()
    first = here.client(1, greeting=False)
    first.handshake()
    first.expect(220)
    check_others()
    for pid in processes:
        assert found_in(pid, values), "the same search finds it in an agent"
    client.ehlo()
    harness.equal(client.message(harness.sample()).code, 250)
    check_others()


@harness.table(name=("hostname", "other.example.org"), priority=("tls_priority", "NORMAL:-VERS-TLS1.3"),
               required=("tls", "required"))
def test_an_acceptor_whose_settings_are_newer_than_those_of_the_listener_opens_no_key(key, value):
    """The first open() of each process takes a second; the settings are changed while the acceptor waits for it."""
    harness.need("strace")
    here = Listening(tls="on", pair=harness.pair())
    trace = here.dir / "trace"
    starting = threading.Thread(target=here.listen, daemon=True, kwargs={"wrap": (
        "strace", "-D", "-f", "-o", trace, "-P", here.settings_file, "-e", "trace=openat2", "-e",
        "inject=openat2:delay_enter=1000000:when=1")})
    starting.start()
    harness.eventually(lambda: trace.exists() and "(DELAYED)" in trace.read_text(), "the listener has read them")
    here.set(**{key: value})
    starting.join()
    pid = acceptor(here)
    opened = [os.readlink(f"/proc/{pid}/fd/{n}") for n in os.listdir(f"/proc/{pid}/fd")]
    assert not [path for path in opened if path.endswith(".key")], opened
    deliver(here.client(), tls=True)


@harness.table(settings=("settings",), clients=("clients",))
def test_what_is_changed_while_the_listener_reads_it_is_used(name):
    """The first close() of the file takes a second: it has been read, and is changed before anything else is done."""
    harness.need("strace")
    here = Listening(tls="off", pair=harness.pair())
    clients = here.dir / "clients"
    clients.write_text("10.0.0.1 tls=off\n")
    here.set(clients=clients)
    path = {"settings": here.settings_file, "clients": clients}[name]
    trace = here.dir / "trace"
    starting = threading.Thread(target=here.listen, daemon=True, kwargs={"wrap": (
        "strace", "-D", "-f", "-o", trace, "-P", path, "-e", "trace=close", "-e",
        "inject=close:delay_enter=1000000:when=1")})
    starting.start()
    harness.eventually(lambda: trace.exists() and "close(" in trace.read_text(), "the listener has read it")
    if name == "settings":
        here.set(tls="required")
    else:
        path.write_text("127.0.0.1 tls=required\n")
    starting.join()
    deliver(here.client(), tls=True)


@harness.senseless_when_sanitized
def test_a_key_in_the_file_of_the_certificate_is_not_read_by_the_listener():
    harness.need_root("to read the memory of processes")
    here = Listening(tls="on")
    pair = harness.pair().copy_to(here.dir)
    values = private_values(pair)
    pair.certificate.write_text(pair.certificate.read_text() + pair.key.read_text())
    here.set(tls_certificate=pair.certificate, tls_key=None).listen()
    client = here.client()
    client.ehlo()
    client.starttls()
    for pid in (here.process.pid, acceptor(here), connections(here)[0]):
        harness.equal(found_in(pid, values), set(), f"in process {pid}")
    assert all(found_in(pid, values) for pid in agents(here))


@harness.senseless_when_sanitized
def test_no_process_leaves_a_core_file():
    here = with_tls().listen(options={"cwd": harness.scratch(), "preexec_fn": no_limit_of_cores})
    client = here.client()
    client.ehlo()
    client.starttls()
    for pid in (connections(here)[0], agents(here)[0]):
        harness.contains(status_of(pid)["Seccomp"], "2")
        os.kill(pid, signal.SIGSEGV)
    client.rest()
    deliver(here.client(), tls=True)
    harness.equal(list(here.dir.rglob("core*")), [])


def no_limit_of_cores():
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


SIGNATURES = {
    "rsa_pkcs1_1_2": ("rsa", TLS1_2, "RSA+SHA256"), "rsa_pss_1_2": ("rsa", TLS1_2, "RSA-PSS+SHA256"),
    "rsa_pss_1_3": ("rsa", TLS1_3, "RSA-PSS+SHA384"), "rsa_pss_key_1_3": ("rsa-pss", TLS1_3, "rsa_pss_pss_sha256"),
    "ecdsa_1_2": ("ecdsa", TLS1_2, "ECDSA+SHA384"), "ecdsa_1_3": ("ecdsa", TLS1_3, "ECDSA+SHA256"),
    "ecdsa_p521_1_3": ("ecdsa-p521", TLS1_3, "ECDSA+SHA512"),
    "ed25519_1_2": ("ed25519", TLS1_2, "ed25519"), "ed25519_1_3": ("ed25519", TLS1_3, "ed25519"),
}


@harness.table(**SIGNATURES)
def test_an_agent_makes_the_signatures_of_tls(kind, version, signatures):
    harness.need("openssl")
    here = Listening(tls="on", pair=harness.pair(kind)).listen()
    done = harness.run("openssl", "s_client", "-starttls", "smtp", "-connect", f"127.0.0.1:{here.ports[0]}",
                       "-sigalgs", signatures, "-tls1_2" if version == TLS1_2 else "-tls1_3", input="QUIT\n")
    harness.contains(done.stdout, "Cipher is " + ("ECDHE" if version == TLS1_2 else "TLS_AES"))


def test_several_certificates_have_their_own_keys():
    pairs = (harness.pair("rsa"), harness.pair("ecdsa", "other.example"))
    here = Listening(tls="on", pairs=pairs).listen()
    for name, pair in ((harness.HOST, pairs[0]), ("other.example", pairs[1])):
        client = here.client()
        client.ehlo()
        client.starttls(name=name)
        harness.equal(client.socket.getpeercert(binary_form=True), pair.der())
        client.close()


def test_a_new_key_holds_from_the_next_connection_on():
    here = with_tls().listen()
    before = here.client()
    first = agents(here)
    fresh = harness.pair(serial=2)
    replace(here, fresh)
    client = here.client()
    harness.equal(certificate_of(client), fresh.der())
    # begun before: with the certificate and the key of that time
    harness.equal(certificate_of(before), harness.pair().der())
    second = set(agents(here)) - set(first)
    assert second, "other agents"
    before.close()
    client.close()
    harness.eventually(lambda: set(agents(here)) == second, "the first end with their last connection")


def test_an_agent_that_has_ended_is_replaced():
    here = with_tls().listen()
    before = agents(here)
    os.kill(before[0], signal.SIGKILL)
    harness.eventually(lambda: agents(here) and not set(agents(here)) & set(before), "others")
    deliver(here.client(), tls=True)
    harness.equal([record["text"] for record in here.records("error")],
                  ["a key agent has ended; others are started. Without one TLS does not work"])


def has_ended(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def fails(client):
    with contextlib.suppress(OSError):
        client.handshake()
        raise AssertionError("an agent that was stopped has signed")


def test_a_stop_ends_the_wait_for_an_agent_that_does_not_answer():
    here = with_tls().listen()
    for agent in agents(here):
        os.kill(agent, signal.SIGSTOP)
        harness.at_end(os.kill, agent, signal.SIGCONT)
    client = here.client()
    client.ehlo()
    connection, = connections(here)
    client.say("STARTTLS", 220)
    failed = threading.Thread(target=fails, args=(client,))
    failed.start()
    time.sleep(0.5)  # it waits for the signature
    before = time.monotonic()
    os.kill(connection, signal.SIGTERM)
    harness.eventually(lambda: connection not in connections(here), "the connection ends")
    assert time.monotonic() - before < 15  # 30 s without the stop
    failed.join()



def test_without_an_agent_mail_is_received_in_the_clear():
    here = with_tls().listen()
    client = here.client()
    os.kill(here.process.pid, signal.SIGSTOP)
    ended = agents(here)
    for pid in ended:
        os.kill(pid, signal.SIGKILL)
    harness.eventually(lambda: all(map(has_ended, ended)), "the agents have ended")
    # begun while there was one
    refuse_handshake(client)
    client = here.client()
    client.ehlo()
    client.say("STARTTLS", 454, "4.7.0")
    harness.equal(client.message(harness.sample()).code, 250)
    client.quit()
    os.kill(here.process.pid, signal.SIGCONT)
    harness.eventually(lambda: len(here.records("session")) == 2, "both records")
    first, second = here.records("session")
    harness.contains(first["explanation"], "the key agent has ended")
    harness.contains(second["tls_fault"], "tls-key: the key agent has ended")


@harness.senseless_when_sanitized
def test_an_agent_is_shut_in():
    here = with_tls().listen()
    client = here.client()
    for pid in agents(here):
        status = status_of(pid)
        harness.equal((status["NoNewPrivs"], status["Seccomp"], int(status["CapPrm"], 16)), ("1", "2", 0))
        files = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd") if int(fd) > 2}
        assert all(name.startswith(("socket:", "anon_inode:[eventpoll]")) for name in files), files
    client.close()


def test_key_exchange_by_rsa_is_not_offered_and_the_record_says_why():
    here = Listening(tls="on", pair=harness.pair("rsa")).listen()
    refuse_handshake(here.client(), **RSA_ALONE)
    harness.eventually(lambda: here.records("session"), "the record")
    harness.equal(here.session()["explanation"], RSA_ALONE_REFUSED)


def test_without_agents_there_is_key_exchange_by_rsa():
    here = Listening(tls="on", tls_key_agent="no", pair=harness.pair("rsa")).listen()
    harness.equal(agents(here), [])
    client = here.client()
    client.ehlo()
    client.starttls(client_context(**RSA_ALONE))
    client.ehlo()
    harness.equal(client.message(harness.sample()).code, 250)


@harness.not_static("it has no PKCS#11")
@harness.table(connection=((), {}, True), listener=(("--listen",), {}, False),
               listener_without_agents=(("--listen",), {"tls_key_agent": "no"}, True))
def test_check_names_a_token_that_no_agent_would_use(options, settings, is_fault):
    """The key of a token itself is looked for in any case: here there is no such token."""
    here = Listening(tls="on", tls_certificate=harness.pair().certificate, tls_key="pkcs11:token=none", **settings)
    done = harness.run(*here.command(), "--check", *options)
    harness.contains(done.stdout, "tls-key pkcs11:token=none: the token gives no private key")
    harness.equal("only the key agent of a listener uses" in done.stdout, is_fault, done.stdout)


if __name__ == "__main__":
    harness.main()
