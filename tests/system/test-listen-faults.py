#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""`postern --listen` after faults: no loop, no endless wait, no lost limit, no lost file, and a reply to each client
that cannot be served."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import threading

import harness
from harness import RECIPIENT, Site
from listening import (Listening, acceptor, certificate_of, children, connections, deliver, processes_below, replace,
                       replies_of, status_of, with_tls)


def for_nobody(**settings):
    """Becomes the user nobody, which can write only the mail."""
    harness.need_root("a change of user")
    here = Listening(user="nobody", **settings)
    here.root.chmod(0o777)
    return here


def closed(here):
    """A directory that only root can look into."""
    folder = here.dir / "closed"
    folder.mkdir(0o700)
    return folder


def put_pair(here, folder):
    here.pair = harness.pair().copy_to(folder)
    here.set(tls="on", pair=here.pair)


def put_settings(here, folder):
    here.settings_file = folder / "postern.conf"
    here.set()


def put_recipients(here, folder):
    (folder / "recipients").write_text(f"{RECIPIENT} box\n")
    here.set(recipients=folder / "recipients")


def put_clients(here, folder):
    (folder / "clients").write_text("127.0.0.9 deny not from there\n")
    here.set(clients=folder / "clients")


def put_log(here, folder):
    (folder / "log").write_text("")
    here.set(log=f"json:{folder}/log")


# Restarts


@harness.table(keys=put_pair, settings=put_settings, recipients=put_recipients, clients=put_clients, log=put_log)
def test_a_file_that_the_user_cannot_look_at_stops_nothing(put):
    here = for_nobody()
    put(here, closed(here))
    here.listen()
    first = acceptor(here)
    for _ in range(3):
        deliver(here.client())
    harness.equal(acceptor(here), first, "no successor, as nothing has changed")


def test_a_new_certificate_in_a_closed_directory_counts():
    here = for_nobody()
    put_pair(here, closed(here))
    here.listen()
    harness.equal(certificate_of(here.client()), harness.pair().der())
    replace(here, harness.pair(serial=2))
    harness.eventually(lambda: certificate_of(here.client()) == harness.pair(serial=2).der(), "the new one")


def test_a_new_setting_in_a_closed_directory_counts():
    here = for_nobody()
    put_settings(here, closed(here))
    here.listen()
    here.set(hostname="other.example.org")
    harness.eventually(lambda: "other.example.org" in replies_of(here), "the new name")


def test_an_acceptor_that_always_ends_is_started_ever_less_often():
    """The first successor at once, the next ones a second and two seconds after the one before, or later."""
    here = Listening().listen()
    starts = []
    for n in range(3):
        here_and_now = acceptor(here)
        os.kill(here_and_now, signal.SIGKILL)
        harness.eventually(lambda: len(here.records("error")) == n + 1, "one record")
        harness.eventually(lambda: acceptor_or_none(here) not in (None, here_and_now), "a successor")
        starts.append(start_of(acceptor(here)))
        here.hear("READY=1")
    texts = [record["text"] for record in here.records("error")]
    waits = [int(re.search(r"the next is started in (\d+) s", text)[1]) for text in texts]
    assert waits[0] == 0 and max(waits) <= 2, waits
    assert starts[1] - starts[0] >= 0.9 and starts[2] - starts[1] >= 1.9, starts
    deliver(here.client())


def start_of(pid):
    """Seconds since the system was started, to a hundredth (proc(5))."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        return int(file.read().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")


def acceptor_or_none(here):
    return max(children(here.process.pid), default=None)


def test_settings_that_cannot_be_used_do_not_start_a_process_for_each_client():
    here = Listening(hostname="bad name", size_limit="much").listen()
    seen = set()
    for _ in range(30):
        here.client(greeting=False).expect(421)
        seen.add(acceptor(here))
    assert len(seen) < 10, f"{len(seen)} acceptors for 30 clients"


def filters_of(pid):
    return status_of(pid)["Seccomp_filters"]


def stop_successor(here):
    """Stops a process that is to accept connections before it has entered the sandbox, and is ready."""
    for n in range(20):
        before = [pid for pid, _ in processes_below(here.process.pid)]
        here.set(hostname=f"h{n}.example.org")
        client = here.client(greeting=False)
        fresh = None
        while not fresh:
            with open(f"/proc/{here.process.pid}/task/{here.process.pid}/children", encoding="ascii") as file:
                fresh = next((int(pid) for pid in file.read().split() if int(pid) not in before), None)
        os.kill(fresh, signal.SIGSTOP)
        if filters_of(fresh) == filters_of(here.process.pid):
            return fresh, client
        os.kill(fresh, signal.SIGCONT)
        client.expect(220)
        client.quit()
    raise AssertionError("each successor was ready at once")


def test_a_successor_that_does_nothing_is_killed():
    here = Listening().listen()
    pid, client = stop_successor(here)
    client.expect(220)
    deliver(client)
    text = f"process {pid}, which was to accept connections, was not ready within 30 s and is killed; the previous one"
    harness.eventually(lambda: text in here.log_text(), "a record")
    harness.eventually(lambda: pid not in children(here.process.pid), "its end")
    name = here.settings["hostname"]
    harness.eventually(lambda: name in replies_of(here), "the new settings")
    harness.equal(len(here.records("error")), 1, "records")


# Refusals


FLOOD = 256 * 1024 * 1024


def flood(port, zeros, ret_sent):
    """Sends as fast as the kernel can, until the other side ends it."""
    with socket.create_connection(("127.0.0.1", port), harness.PATIENCE) as client:
        sent = 0
        client.settimeout(None)  # sendfile() waits in the kernel
        with contextlib.suppress(OSError):
            while sent < FLOOD:
                sent += os.sendfile(client.fileno(), zeros, 0, FLOOD)
        ret_sent.append(sent)


def test_a_refused_client_that_sends_without_end_delays_no_other():
    here = Listening(source_connection_limit=1).listen()
    first, sent = here.client(), []
    zeros = os.memfd_create("zeros")
    harness.at_end(os.close, zeros)
    os.ftruncate(zeros, FLOOD)
    os.kill(acceptor(here), signal.SIGSTOP)  # what is sent meanwhile waits for it
    floods = [threading.Thread(target=flood, args=(here.ports[0], zeros, sent)) for _ in range(3)]
    for thread in floods:
        thread.start()
    os.kill(acceptor(here), signal.SIGCONT)
    for n in range(2, 12):
        here.client(client=f"127.0.0.{n}").quit()
    for thread in floods:
        thread.join()
    assert max(sent) < FLOOD // 8, f"octets that were taken of refused clients: {sent}"
    first.quit()


def test_a_refused_client_reads_its_reply_whatever_it_has_sent():
    here = Listening(source_connection_limit=1).listen()
    first = here.client()
    for _ in range(20):
        client = here.client(greeting=False)
        client.send("EHLO client.example.net\r\n" * 100)
        client.expect(421, "4.7.0 Too many connections")
        client.expect_end()
    first.quit()


def test_many_refused_clients_that_stay_are_closed():
    here = Listening(source_connection_limit=1).listen()
    first = here.client()
    refused = [here.client(greeting=False) for _ in range(50)]
    for client in refused:
        client.expect(421)
    first.quit()
    harness.eventually(lambda: "220" in replies_of(here), "another is served")
    descriptors = f"/proc/{acceptor(here)}/fd"
    harness.eventually(lambda: len(os.listdir(descriptors)) < 20, "all are closed")


# Stops


def test_a_stop_does_not_wait_for_an_acceptor_that_does_nothing():
    here = Listening().listen()
    session, pid = here.client(), acceptor(here)
    os.kill(pid, signal.SIGSTOP)
    here.process.terminate()
    harness.equal(here.process.wait(harness.PATIENCE), 0)
    assert not os.path.exists(f"/proc/{pid}") or "Z" in open(f"/proc/{pid}/stat").read()
    deliver(session)


def test_an_acceptor_does_not_wait_for_a_listener_that_does_nothing():
    here = Listening().listen()
    victim = here.client()
    os.kill(here.process.pid, signal.SIGSTOP)
    try:
        os.kill(max(connections(here)), signal.SIGSEGV)
        victim.rest()
        deliver(here.client())
    finally:
        os.kill(here.process.pid, signal.SIGCONT)


# Limits


def fill_all(here, places):
    clients = [here.client() for _ in range(places)]
    here.client(greeting=False).expect(421, "4.7.0 Too many connections")
    return clients


def expect_free(here, places):
    """Exactly so many places are free; they are taken."""
    def taken():
        reply = replies_of_kept(here, kept)
        return reply.startswith("220") or None

    kept = []
    for _ in range(places):
        harness.eventually(taken, "a free place")
    harness.contains(replies_of(here), "421")
    return kept


def replies_of_kept(here, kept):
    client = here.client(greeting=False)
    reply = str(client.reply())
    if reply.startswith("220"):
        kept.append(client)
    else:
        client.close()
    return reply


@harness.senseless_when_sanitized
def test_a_crash_of_a_connection_resets_no_limit():
    here = Listening(connection_limit=5).listen()
    clients = fill_all(here, 5)
    pids = connections(here)
    os.kill(max(pids), signal.SIGSEGV)
    here.hear("READY=1")
    harness.contains(here.records("error")[-1]["text"], "restarts itself")
    clients += expect_free(here, 1)
    os.kill(min(pids), signal.SIGABRT)
    clients += expect_free(here, 1)
    for client in clients:
        client.close()
    here.hear("STATUS=Ready; 0 connections")
    fill_all(here, 5)


def test_a_crash_of_the_acceptor_resets_no_limit():
    here = Listening(connection_limit=4).listen()
    clients = fill_all(here, 4)
    os.kill(acceptor(here), signal.SIGKILL)
    here.hear("READY=1")
    harness.contains(replies_of(here), "421")
    clients.pop().close()
    clients += expect_free(here, 1)
    for client in clients[:-1]:
        deliver(client) if client is not clients[0] else client.quit()


def test_connections_of_the_oldest_acceptors_count():
    here = Listening(connection_limit=20, source_connection_limit=0).listen()
    clients = []
    for n in range(20):
        here.set(hostname=f"h{n}.example.org")
        clients.append(here.client(greeting=False))
        clients[-1].expect(220, f"h{n}.example.org")
    harness.contains(replies_of(here), "421")
    clients.pop(0).quit()
    clients += expect_free(here, 1)
    for client in clients:
        client.close()
    here.hear("STATUS=Ready; 0 connections")


def test_a_connection_whose_acceptor_has_gone_ends_with_its_topic():
    here = Listening(proxy_protocol="127.0.0.1").listen()
    here.forget()
    proxy = here.client(greeting=False)
    harness.eventually(lambda: connections(here), "a connection")
    os.kill(acceptor(here), signal.SIGKILL)
    here.hear("READY=1")
    proxy.close()
    here.hear("STATUS=Ready; 0 connections, 0 so far, 1 checks of proxies")


# Records


def fill_pipe(pipe):
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(pipe, b"x" * 4096)


def read_pipe(pipe):
    with contextlib.suppress(BlockingIOError):
        return os.read(pipe, 1 << 20).decode("ascii", "replace")
    return ""


def test_a_log_that_is_read_again_has_the_records_of_later_connections():
    here = Listening(connection_limit=1, log="stderr")
    os.mkfifo(here.dir / "records")
    pipe = os.open(here.dir / "records", os.O_RDWR | os.O_NONBLOCK)
    harness.at_end(os.close, pipe)
    here.listen(wrap=("sh", "-c", 'exec "$@" 2>"$0"', here.dir / "records"))
    client = here.client()
    fill_pipe(pipe)
    harness.contains(replies_of(here), "421")  # its record waits for a reader in vain
    client.quit()
    read_pipe(pipe)
    harness.eventually(lambda: not connections(here), "a free place")
    deliver(here.client())
    text = harness.eventually(lambda: read_pipe(pipe), "records")
    harness.contains(text, "outcome=delivered")


# Descriptors and memory


def limit_files(pid, most):
    """As its user, who alone may do so without another right."""
    user = int(status_of(pid)["Uid"].split()[0])
    as_user = {"user": user, "group": user, "extra_groups": []} if os.getuid() == 0 else {}
    done = harness.run("prlimit", "--pid", pid, f"--nofile={most}:", **as_user)
    harness.equal(done.returncode, 0, done.stdout)


def test_without_a_free_descriptor_a_client_is_refused_with_a_record():
    here = Listening()
    if os.getuid() == 0:
        here.dir.chmod(0o755)
        os.chown(here.root, 65534, 65534)
        here.set(user="nobody")  # a broker leaves a number free
    here.listen()
    pid = acceptor(here)
    used = {int(n) for n in os.listdir(f"/proc/{pid}/fd")}
    limit_files(pid, min(set(range(1000)) - used))
    for _ in range(5):
        client = here.client(greeting=False)
        client.expect(421, "4.7.0")
        client.expect_end()
    texts = [record["text"] for record in here.records("error")]
    harness.equal(len(texts), 1, "once in a while")
    harness.contains(texts[0], "a connection could not be accepted: Too many open files (raise LimitNOFILE=")
    limit_files(pid, 1024)
    deliver(here.client())


@harness.table_of({str(most): most for most in (48, 65, 66, 80)})
def test_a_listener_serves_with_few_descriptors(most):
    here = Listening().listen(wrap=("prlimit", f"--nofile={most}:{most}", "--"))
    clients = [here.client() for _ in range(20)]
    for client in clients:
        deliver(client)
    here.set(hostname="other.example.org")
    deliver(here.client())


def test_descriptors_on_their_way_are_waited_for():
    """The kernel counts those of all processes of a user, which another program of nobody adds to."""
    harness.need("strace")
    here = with_tls(sandbox="no")
    here.listen(wrap=("strace", "-f", "-qq", "-o", here.dir / "trace", "-e", "trace=sendmsg", "-e",
                      "inject=sendmsg:error=ETOOMANYREFS:when=1+2"))
    for tls in (False, True, True):
        deliver(here.client(), tls=tls)
    harness.contains((here.dir / "trace").read_text(), "ETOOMANYREFS")


def test_a_listener_says_that_it_has_too_few_descriptors():
    here = Site()
    done = harness.run("prlimit", "--nofile=32:32", "--", *here.command(),
                       f"--listen=127.0.0.1:{harness.free_port()}")
    harness.equal(done.returncode, 71)
    harness.contains(done.stdout, "postern: --listen: 32 files may be open at once, and it needs 46: raise LimitNOFILE=")


def test_a_connection_without_descriptors_is_refused_with_a_reply():
    here = Site()
    near, far = socket.socketpair()
    process = here.spawn(far, wrap=("prlimit", "--nofile=4:4", "--"))
    far.close()
    near.settimeout(harness.PATIENCE)
    harness.contains(near.recv(100).decode(), "421 4.3.5")
    harness.equal(process.wait(harness.PATIENCE), 71)
    harness.contains(here.log_text(), "Too many open files")


# Files


def owned_by_nobody(here, name):
    folder = here.dir / name
    folder.mkdir(0o755)
    nobody = int(harness.run("id", "-u", "nobody").stdout)
    os.chown(folder, nobody, -1)
    return folder, nobody


def expect_error_of_listener(here):
    os.kill(acceptor(here), signal.SIGKILL)
    here.hear("READY=1")


def make_fifo(path):
    os.mkfifo(path)


def make_socket(path):
    abandoned_socket(path)


@harness.table_of({f"{kind.__name__[5:]}_of_{name}": (kind, name) for kind in (make_fifo, make_socket)
                   for name in ("settings", "clients")})
def test_a_file_that_becomes_a_channel_is_an_error_and_no_wait(kind, name):
    here = Listening()
    rules = here.dir / "clients"
    rules.write_text("")
    here.set(clients=rules).listen()
    path = here.settings_file if name == "settings" else rules
    path.rename(here.dir / "kept")
    kind(path)
    here.client(greeting=False).expect(421)
    harness.eventually(lambda: f"{path}: is a FIFO or a socket; name a file" in here.log_text(), "a record")
    (here.dir / "kept").rename(path)
    harness.eventually(lambda: "220" in replies_of(here), "a greeting")
    path.unlink()
    kind(path)
    here.client(greeting=False).expect(421)
    here.process.terminate()
    harness.equal(here.process.wait(harness.PATIENCE), 0)


def test_settings_may_be_an_empty_device():
    done = harness.run(harness.program(), "--check", "-c", "/dev/null")
    harness.contains(done.stdout, "maildir: not set")
    assert "name a file" not in done.stdout, done.stdout


def test_a_listener_writes_to_the_log_as_the_user():
    here = for_nobody()
    folder, nobody = owned_by_nobody(here, "logs")
    here.set(log=f"json:{folder}/log").listen()
    expect_error_of_listener(here)
    harness.eventually(lambda: (folder / "log").exists() and "has ended" in (folder / "log").read_text(), "a record")
    harness.equal((folder / "log").stat().st_uid, nobody)


@harness.table(as_user="nobody", as_root=None)
def test_no_link_makes_root_write_to_another_file(user):
    harness.need_root()
    here = Listening(user=user)
    here.root.chmod(0o777)
    folder, _ = owned_by_nobody(here, "logs")
    target = here.dir / "target"
    target.write_text("")
    target.chmod(0o600)
    (folder / "log").symlink_to(target)
    here.set(log=f"json:{folder}/log").listen()
    deliver(here.client())
    expect_error_of_listener(here)
    (folder / "log").unlink()
    os.link(target, folder / "log")
    deliver(here.client())
    expect_error_of_listener(here)
    harness.eventually(lambda: "has ended" in here.log_text(), "a record elsewhere")
    harness.equal(target.read_text(), "")


def make_file(path):
    path.write_text("hostname = mail.example.org\n")


def make_link(path):
    target = path.with_name("target")
    make_file(target)
    path.symlink_to(target)


@harness.table(file=make_file, fifo=os.mkfifo, link=make_link, dangling=lambda p: p.symlink_to("nowhere"))
def test_only_a_socket_is_ever_removed(make):
    here = Site()
    path = here.dir / "path"
    make(path)
    before = path.lstat()
    done = harness.run(*here.command(), f"--listen={path}")
    harness.equal(done.returncode, 64)
    harness.contains(done.stdout, f"postern: --listen={path}: exists and is no socket")
    after = path.lstat()
    harness.equal((after.st_ino, after.st_mtime), (before.st_ino, before.st_mtime))


def abandoned_socket(path):
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(path))


def test_an_abandoned_socket_makes_room():
    here = Listening("lmtp=")
    abandoned_socket(here.dir / "lmtp")
    here.listen()
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(f"{here.dir}/lmtp")


def test_a_socket_with_a_listener_is_not_removed():
    here = Listening("lmtp=").listen()
    done = harness.run(*here.command(), f"--listen=lmtp={here.dir}/lmtp")
    harness.equal(done.returncode, 64)
    harness.contains(done.stdout, "Address already in use")
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(f"{here.dir}/lmtp")


@harness.table(of_another=("nobody", 0o755), for_all=("root", 0o777))
def test_no_socket_is_removed_where_others_can_put_another_file(owner, mode):
    harness.need_root()
    here = Site()
    folder = here.dir / "sockets"
    folder.mkdir()
    subprocess.run(["chown", owner, folder], check=True)
    folder.chmod(mode)
    abandoned_socket(folder / "lmtp")
    done = harness.run(*here.command(), f"--listen=lmtp={folder}/lmtp")
    harness.equal(done.returncode, 64)
    harness.contains(done.stdout, "in a directory that other users can write to it is not removed")
    assert (folder / "lmtp").is_socket()


harness.main()
