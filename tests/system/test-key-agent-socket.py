#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""`postern --key-agent` at a socket: processes that serve one connection each have no private key, and real clients
can use TLS."""

import contextlib
import os
import shutil
import socket
import threading
import time
from pathlib import Path

import harness
from handshakes import RSA_ALONE, RSA_ALONE_REFUSED, TLS1_2, TLS1_3, check_delivery, refuse_handshake, secure
from harness import HOST, Site, client_context
from listening import Listening, agents_below, brokers_below, found_in, private_values

TOKENS = Path("/var/lib/softhsm/tokens")
P11_MODULES = Path("/usr/share/p11-kit/modules")


class KeyAgent:
    """The process at a socket, as systemd starts it, and a site whose connections use it."""

    def __init__(self, pair=None, key=None, mode="on", **settings):
        self.place = Site(tls=mode)
        self.pair = (pair or harness.pair()).copy_to(self.place.dir)
        self.key = key or self.pair.key
        self.path = self.place.dir / "key-agent"
        self.log = self.place.dir / "agent.log"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.bind(str(self.path))
        self.socket.listen(64)
        harness.at_end(self.socket.close)
        self.place.set(tls_certificate=self.pair.certificate, tls_key=f"agent:{self.path}", **settings)

    def start(self):
        with open(self.log, "ab") as log:
            self.process = harness.start(
                "sh", "-c", f'exec 3<&{self.socket.fileno()} && LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"', "sh",
                *self.place.command(), "-o", f"tls-key={self.key}", "-o", "log=stderr", "--key-agent",
                pass_fds=[self.socket.fileno()], stderr=log)
        return self

    def signers(self):
        return agents_below(self.process.pid)


MODES = {"on": "on", "required": "required", "implicit": "implicit"}


@harness.table_of({f"{kind} {mode}": (kind, mode) for kind in ("rsa", "ecdsa", "ed25519") for mode in MODES})
def test_mail_comes_through_tls(kind, mode):
    agent = KeyAgent(harness.pair(kind), mode=mode).start()
    for version in (TLS1_2, TLS1_3):
        check_delivery(agent.place, secure(agent.place, client_context(minimum=version, maximum=version)))


def test_an_openssl_client_checks_the_chain():
    harness.need("openssl")
    agent = KeyAgent(harness.pair("rsa")).start()
    listener = harness.Listener(agent.place)
    done = harness.run("openssl", "s_client", "-starttls", "smtp", "-connect", f"127.0.0.1:{listener.port}", "-CAfile",
                       agent.pair.certificate, "-verify_return_error", "-servername", HOST, input="QUIT\n")
    harness.contains(done.stdout, "Verify return code: 0 (ok)")


@harness.senseless_when_sanitized
@harness.table_of({kind: (kind,) for kind in ("rsa", "ecdsa", "ed25519")})
def test_the_connection_has_no_key(kind):
    """Nor has its broker."""
    harness.need_root("to read the memory of processes")
    pair = harness.pair(kind)
    agent, values = KeyAgent(pair, maildir="%u").start(), private_values(pair)

    def check_others(client):
        broker, = brokers_below(client.process.pid)
        for pid in (client.process.pid, agent.process.pid, broker):
            harness.equal(found_in(pid, values), set(), f"in process {pid}")

    client = agent.place.connect()
    check_others(client)
    client.ehlo()
    client.starttls()
    check_others(client)
    client.ehlo()
    harness.equal(client.message(harness.sample()).code, 250)
    check_others(client)
    assert all(found_in(signer, values) for signer in agent.signers())


def test_eight_connections_sign_at_once_and_one_never_reads():
    agent = KeyAgent().start()
    stalled = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    stalled.connect(str(agent.path))
    harness.at_end(stalled.close)
    stalled.setblocking(False)
    with contextlib.suppress(OSError):  # requests for the chain, whose answers are not read
        for _ in range(64):
            stalled.send(bytes(16 + 512))
    problems = []

    def one():
        try:
            for _ in range(4):
                client = secure(agent.place)
                client.quit()
        except Exception as problem:
            problems.append(repr(problem))

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    harness.equal(problems, [])


def serial_of(agent):
    client = secure(agent.place)
    der = client.socket.getpeercert(binary_form=True)
    client.quit()
    return der


def test_key_exchange_by_rsa_needs_a_key_file_and_the_record_says_so():
    agent = KeyAgent(harness.pair("rsa")).start()
    refuse_handshake(agent.place.connect(), **RSA_ALONE)
    harness.equal(agent.place.session()["explanation"], RSA_ALONE_REFUSED)
    agent.place.set(tls_key=agent.key)
    check_delivery(agent.place, secure(agent.place, client_context(**RSA_ALONE)))


def test_a_new_key_holds_from_the_next_connection_on():
    agent = KeyAgent().start()
    harness.equal(serial_of(agent), agent.pair.der())
    held = secure(agent.place)
    fresh = harness.pair("ecdsa", serial=77)
    shutil.copy(fresh.key, agent.pair.key)
    shutil.copy(fresh.certificate, agent.pair.certificate)
    harness.eventually(lambda: serial_of(agent) == fresh.der(), "the new certificate")
    harness.equal(held.message(harness.sample()).code, 250)


def test_a_key_that_cannot_be_used_leaves_the_old_one():
    agent = KeyAgent().start()
    harness.equal(serial_of(agent), agent.pair.der())
    before = agent.pair.der()
    agent.pair.key.write_text("nonsense\n")
    for _ in range(3):
        harness.equal(serial_of(agent), before)
    harness.contains(agent.log.read_text(), "tls-key")


@harness.senseless_when_sanitized
def test_an_agent_that_has_ended_is_replaced():
    agent = KeyAgent().start()
    serial_of(agent)
    os.kill(agent.signers()[0], 9)

    def works():
        client = agent.place.connect()
        client.ehlo()
        client.send("STARTTLS\r\n")
        fine = client.reply().code == 220
        client.close()
        return fine

    harness.eventually(works, "others have been started")
    harness.equal(serial_of(agent), agent.pair.der())


def test_without_an_agent_mail_is_received_in_the_clear():
    agent = KeyAgent()
    agent.socket.close()
    client = agent.place.connect()
    client.ehlo()
    client.say("STARTTLS", 454, "4.7.0")
    harness.equal(client.message(harness.sample()).code, 250)
    client.quit()
    harness.contains(agent.place.session()["tls_fault"], "no key agent listens there")
    required = KeyAgent(mode="required")
    required.path.unlink()
    client = required.place.connect()
    client.ehlo()
    client.say("STARTTLS", 421, "4.3.0")
    harness.contains(required.place.session()["tls_fault"], "there is no socket of a key agent")


@harness.table(stream=(socket.SOCK_STREAM, "what listens there is no key agent: name the path of postern-key-agent.socket"),
               others=(socket.SOCK_SEQPACKET, "what listens there does not answer as a key agent: is the path that of"))
def test_check_finds_what_is_no_key_agent(kind, fault):
    agent = KeyAgent()
    agent.path.unlink()
    with socket.socket(socket.AF_UNIX, kind) as other:
        other.bind(str(agent.path))
        other.listen(8)

        def answer():
            conn, _ = other.accept()
            with conn:
                conn.recv(4096)
                conn.send(b"\xff" * 64)

        if kind == socket.SOCK_SEQPACKET:
            threading.Thread(target=answer, daemon=True).start()
        done = harness.run(*agent.place.command(), "--check")
    harness.equal(done.returncode, 78)
    harness.contains(done.stdout, fault)


def test_check_asks_the_agent():
    agent = KeyAgent()
    agent.path.unlink()
    done = harness.run(*agent.place.command(), "--check")
    harness.contains(done.stdout, "there is no socket of a key agent")
    harness.equal(done.returncode, 78)
    agent = KeyAgent().start()
    done = harness.run(*agent.place.command(), "--check")
    assert "tls-key" not in done.stdout, done.stdout
    broken = KeyAgent(key="/nonexistent/key").start()
    done = harness.run(*broken.place.command(), "--check")
    harness.contains(done.stdout, "the key agent has ended, or refused a request: see its error records")
    harness.contains(broken.log.read_text(), "/nonexistent/key")
    done = harness.run(*agent.place.command(), "--check", "--listen=127.0.0.1:2525")
    harness.contains(done.stdout, "a listener has key agents of its own")


WRONG = {
    "no path": ("agent:", "is followed by the path of a socket"),
    "relative": ("agent:run/agent", "is followed by the path of a socket"),
    "two": ("agent:/run/a agent:/run/b", "stands alone"),
    "long": ("agent:/" + "x" * 107, "is followed by the path of a socket"),
}


@harness.table_of({name: row for name, row in WRONG.items()})
def test_wrong_values_are_named(value, fault):
    place = Site(tls="on", tls_certificate=harness.pair().certificate, tls_key=value)
    done = harness.run(*place.command(), "--check")
    harness.contains(done.stdout, fault)


def test_it_needs_a_socket():
    done = harness.run(*Site().command(), "--key-agent")
    harness.equal(done.returncode, 64)
    harness.contains(done.stdout, "no socket was handed over")


def token_with(pair):
    """A token of SoftHSM that has the key; its URL."""
    harness.need("softhsm2-util", "p11tool", "openssl")
    harness.need_root("for a folder of tokens of its own")
    if not TOKENS.is_dir():
        raise harness.Skip(f"SoftHSM keeps its tokens elsewhere: there is no {TOKENS}")
    harness.mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", TOKENS)
    harness.at_end(harness.run, "umount", "-l", TOKENS)
    done = harness.run("softhsm2-util", "--init-token", "--free", "--label", "postern", "--pin", "1234", "--so-pin", "5678")
    assert done.returncode == 0, done.stdout
    pkcs8 = harness.scratch() / "pkcs8"
    harness.run("openssl", "pkcs8", "-topk8", "-nocrypt", "-in", pair.key, "-out", pkcs8)
    done = harness.run("softhsm2-util", "--import", pkcs8, "--token", "postern", "--label", "key", "--id", "01", "--pin", "1234")
    assert done.returncode == 0, done.stdout
    pin = harness.scratch() / "pin"
    pin.write_text("1234")
    return f"pkcs11:token=postern;object=key;type=private?pin-source={pin}"


def record_logins():
    """From now on processes write their calls of the token to standard error (p11-kit's log-calls)."""
    module = P11_MODULES / "softhsm2.module"
    if not module.exists():
        raise harness.Skip(f"p11-kit has no {module}")
    logging = harness.scratch() / "module"
    logging.write_text(module.read_text() + "\nlog-calls: yes\n")
    harness.mount("--bind", logging, module)
    harness.at_end(harness.run, "umount", module)


def refused_pins(log):
    return log.read_bytes().count(b"C_Login = CKR_PIN_INCORRECT")


@harness.not_static("it has no PKCS#11")
@harness.table(rsa="rsa", ecdsa="ecdsa")
def test_the_key_is_in_a_token(kind):
    pair = harness.pair(kind)
    agent = KeyAgent(pair, key=token_with(pair)).start()
    for version in (TLS1_2, TLS1_3):
        check_delivery(agent.place, secure(agent.place, client_context(minimum=version, maximum=version)))
    harness.equal(len(agent.signers()), 1, "one process has the session with the token")
    done = harness.run(*agent.place.command(), "--check")
    assert "tls-key" not in done.stdout, done.stdout


@harness.not_static("it has no PKCS#11")
@harness.table_of({"a wrong PIN": "4321", "a PIN that ends a line": "1234\n"})
def test_a_wrong_pin_is_named_and_not_shown(pin):
    pair = harness.pair("rsa")
    url = token_with(pair)
    Path(url.split("pin-source=")[1]).write_text(pin)
    place = Site(tls="on", tls_certificate=pair.certificate, tls_key=url)
    done = harness.run(*place.command(), "--check", "--listen")
    harness.contains(done.stdout, f"tls-key {url}: the token gives no private key (Error in provided PIN.); name a file by "
                                  "?pin-source=/PATH that has the PIN and nothing else, no end of a line either")


@harness.not_static("it has no PKCS#11")
@harness.table(open=(0o644, True), closed=(0o640, False))
def test_the_file_of_a_pin_is_no_secret_where_others_can_read_it(mode, is_fault):
    pair = harness.pair("rsa")
    url = token_with(pair)
    pin = Path(url.split("pin-source=")[1])
    pin.chmod(mode)
    done = harness.run(*Site(tls="on", tls_certificate=pair.certificate, tls_key=url).command(), "--check", "--listen")
    fault = f"tls-key {pin}: is open to everyone; take that away (chmod o-rwx)"
    harness.equal(fault in done.stdout, is_fault, done.stdout)


def has_tls(client):
    client.ehlo()
    client.send("STARTTLS\r\n")
    if client.reply().code != 220:
        client.quit()
        return False
    client.handshake()
    client.quit()
    return True


def offers_no_tls(client):
    client.ehlo()
    client.send("STARTTLS\r\n")
    if client.reply().code == 220:
        client.close()
        return False
    harness.equal(client.message(harness.sample()).code, 250)
    client.quit()
    return True


@harness.not_static("it has no PKCS#11")
@harness.table_of({each: (each,) for each in ("agent", "listener")})
def test_a_refused_pin_is_tried_once_until_its_file_changes(each):
    """Many tokens lock themselves after the third."""
    pair = harness.pair("rsa")
    url = token_with(pair)
    pin = Path(url.split("pin-source=")[1])
    pin.write_text("4321")
    record_logins()
    if each == "agent":
        here = KeyAgent(pair, key=url).start()
        log, connect = here.log, here.place.connect
    else:
        here = Listening(tls="on", tls_certificate=pair.certificate, tls_key=url).listen()
        log, connect = here.log, here.client
    for _ in range(4):
        assert offers_no_tls(connect())
        time.sleep(1.1)  # a second after a failure it may be tried again
    harness.equal(refused_pins(log), 1)
    pin.write_text("1234")
    harness.eventually(lambda: has_tls(connect()), "the PIN is read again")
    harness.equal(refused_pins(log), 1)


@harness.not_static("it has no PKCS#11")
def test_check_tries_a_pin_once():
    pair = harness.pair("rsa")
    url = token_with(pair)
    Path(url.split("pin-source=")[1]).write_text("4321")
    record_logins()
    log = harness.scratch() / "log"
    with open(log, "wb") as to:
        harness.start(*Site(tls="on", tls_certificate=pair.certificate, tls_key=url).command(), "--check", "--listen",
                      stdout=to, stderr=to).wait()
    harness.equal(refused_pins(log), 1)


@harness.not_static("it has no PKCS#11")
@harness.table_of({each: (each,) for each in ("agent", "listener")})
def test_a_token_that_comes_back_signs_again(each):
    pair = harness.pair("rsa")
    url = token_with(pair)
    token, = TOKENS.iterdir()
    if each == "agent":
        here = KeyAgent(pair, key=url).start()
        site, connect = here.place, here.place.connect
    else:
        site = Listening(tls="on", tls_certificate=pair.certificate, tls_key=url).listen()
        connect = site.client
    assert has_tls(connect())
    kept = harness.scratch() / "token"
    shutil.move(token, kept)
    refuse_handshake(connect())
    harness.eventually(lambda: len(site.records("session")) == 2, "the record")
    harness.contains(site.records("session")[1]["explanation"], "the token with the key does not sign; p11tool says more")
    # the next processes do not find it, and mail comes in the clear
    harness.eventually(lambda: offers_no_tls(connect()), "the agent has ended")
    shutil.move(kept, token)
    harness.eventually(lambda: has_tls(connect()), "it is found again")


if __name__ == "__main__":
    harness.main()
