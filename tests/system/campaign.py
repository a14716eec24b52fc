# SPDX-License-Identifier: ISC
"""Fault campaigns: sessions with one injected fault each, for all possible faults, and the conditions after each of
them.

A campaign lists the injections of a setting from a session in which nothing fails, plays a session for each of them
(all, or a fixed sample), and checks replies, files, records, processes and the next session.
"""

import base64
import collections
import contextlib
import itertools
import json
import os
import random
import re
import signal
import socket
import ssl
import subprocess
import threading
import time

import filters
import harness
from harness import HOST, SENDER, Client, Closed, Site

SEED = int(os.environ.get("POSTERN_CAMPAIGN_SEED", "1"))
SIZE = os.environ.get("POSTERN_CAMPAIGN", "")  # "all", or how many injections of each setting
ONLY = os.environ.get("POSTERN_CAMPAIGN_ONLY", "")  # those whose name contains this
PART = os.environ.get("POSTERN_CAMPAIGN_PART", "1/1")  # of the list of all: for runs of bounded length
WORKERS = int(os.environ.get("POSTERN_CAMPAIGN_WORKERS", "2"))
BOXES = ("ann", "bob")
BROKER = 1  # the number of its process, where there is no listener
USER, PASSWORD, SECRET = "scanner@example.org", "one password", "0123456789abcdef0123456789abcdef"
PATIENCE = 60.0  # seconds that nothing takes: what is not done then hangs
PORTS_TRIED = 5
CPU = 4000  # milliseconds of all processes of an attempt; one needs a tenth of a second
GONE = (OSError, Closed, ssl.SSLError, EOFError, ValueError)

# Libraries that end the process, or do not look, when there is no memory
ABORTING = ("libgmp", "libtasn1", "libhogweed", "libnettle", "libgnutls", "libp11-kit", "libunistring", "libidn2",
            "libgsasl", "libcrypt", "libidn")
OURS = ("postern", "tls.so", "sasl.so", "idn.so", "milter.so")


# Settings


def users(place):
    harness.need("gsasl")
    made = harness.run("gsasl", "--mkpasswd", "--mechanism=SCRAM-SHA-256", "--iteration-count=4096",
                       f"--password={PASSWORD}")
    assert made.returncode == 0, made.stdout
    for name, text in (("users", f"{USER} {made.stdout.split()[-1]}\n"), ("secret", SECRET)):
        (place.dir / name).write_text(text)
        (place.dir / name).chmod(0o600)
    place.set(auth_users=place.dir / "users", auth_secret=place.dir / "secret")


class Setting:
    """How the program is set up, and what a client does."""

    def __init__(self, tls="off", auth=False, lmtp=False, dsn=False, utf8=False, listen=False, log="stderr", own=False,
                 milters=(), always=()):
        self.tls, self.auth, self.lmtp, self.dsn, self.own = tls, auth, lmtp, dsn, own
        self.utf8, self.listen, self.log, self.milters = utf8, listen, log, milters
        self.always = always

    def place(self):
        place = Site(tls=self.tls, maildir="%u", domains="example.org xn--bcher-kva.example", timeout=20)
        if self.tls != "off":
            place.set(pair=harness.pair())
        if self.auth:
            place.set(auth="required")
            users(place)
        if self.lmtp:
            place.arguments = ["--lmtp"]
        place.outbox = place.dir / "outbox"
        if self.dsn:
            for part in ("tmp", "cur", "new"):
                (place.outbox / part).mkdir(parents=True)
            place.set(dsn_outbox=place.outbox)
        place.boxes = ("*", "all/*") if self.own else ("*",)
        if self.own:  # a copy for each mailbox, of which each name has two
            lines = [f"{box} %u,all/%u\n" for box in BOXES]
            (place.dir / "recipients").write_text("".join(lines))
            place.set(original_to="yes", recipients=place.dir / "recipients")
        place.milters = self.milters
        place.json, place.journal = place.dir / "records", None
        if self.log == "json":
            place.set(log=f"json:{place.json}")
        elif self.log == "journal":
            place.journal = journal()
            place.set(log="journal")
        place.filters = [editor(place, n) for n in range(len(self.milters))]
        if self.milters:
            lines = [f.line(f"default-action={action}") for f, action in zip(place.filters, self.milters)]
            filters.with_file(place, lines)
        if self.listen:
            # agents begin beside the acceptor, so that processes would have no fixed numbers
            place.set(source_connection_limit=2, tls_key_agent="no")
        return place


def editor(place, n):
    """A filter that answers every event, adds a field and replaces the body."""
    body = (REPLACED[:20], REPLACED[20:])
    edits = [filters.add(f"X-Filter-{n}", "edited"), *(filters.frame("b", piece) for piece in body), filters.frame("c")]
    return filters.Filter(path=place.dir / f"filter-{n}", E=b"".join(edits))


REPLACED = b"another body\r\nof two lines\r\n"


def edited(text, which):
    """What these filters make of a message."""
    for n in which:
        header, _ = text.split(b"\r\n\r\n", 1)
        text = header + f"\r\nX-Filter-{n}: edited\r\n\r\n".encode() + REPLACED
    return text


_journal = None


def journal():
    """A socket where programs look for that of journald, which reads entries as they are sent."""
    global _journal
    if not _journal:
        harness.mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
        os.makedirs("/run/systemd/journal")
        _journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        _journal.bind("/run/systemd/journal/socket")
        _journal.setblocking(False)
    return _journal


def entries(from_journal):
    """What has come since the last time."""
    found = ""
    with contextlib.suppress(BlockingIOError):
        while True:
            found += from_journal.recv(65536).decode(errors="backslashreplace") + "\n"
    return found


# In per-connection mode and with a listener; every module is in one of them
SETTINGS = {
    "in clear": Setting(),
    "TLS, reports, JSON Lines": Setting(tls="on", dsn=True, log="json"),
    "AUTH in TLS, SMTPUTF8": Setting(tls="required", auth=True, utf8=True),
    "LMTP": Setting(lmtp=True, utf8=True, log="journal"),
    "a copy for each mailbox, LMTP": Setting(lmtp=True, own=True),
    "listener in clear": Setting(listen=True),
    "a filter that edits": Setting(milters=("tempfail",), always=("process 1: ioctl ",)),
    "filters that are done without": Setting(lmtp=True, milters=("accept", "accept")),
    "listener, a filter that edits": Setting(
        listen=True, milters=("tempfail",), always=("process 1: socketpair ", "process 1: fcntl ", "process 1: clone ")),
    "listener, AUTH in TLS, reports": Setting(tls="on", auth=True, dsn=True, utf8=True, listen=True),
}


# A session


class Failed(Exception):
    """The session cannot continue: the reply is not the expected one."""


class Talk:
    """One client: two messages to two mailboxes each; what it has read of them."""

    def __init__(self, setting, serial):
        self.setting, self.serial = setting, serial
        self.accepted, self.refused, self.unknown = set(), set(), set()
        self.replies, self.end = [], "nothing"

    def is_perfect(self):
        return self.end == "quit" and len(self.accepted) == 4

    def run(self, connection, patience):
        self.client = client = Client(connection)
        connection.settimeout(patience)
        try:
            self._session(client)
            self.end = "quit"
        except TimeoutError:
            self.end = "hangs"
        except Failed:
            self.end = "failed"
            with contextlib.suppress(*GONE):
                client.send("QUIT\r\n")
                while True:
                    self.replies.append(str(client.reply()))
        except GONE:
            self.end = "closed"
        finally:
            client.close()
        return self

    def _expect(self, code):
        reply = self.client.reply()
        self.replies.append(str(reply))
        if reply.code != code:
            raise Failed()
        return reply

    def _say(self, command, code):
        self.client.send(command + "\r\n")
        return self._expect(code)

    def _session(self, client):
        self._expect(220)
        hello = "LHLO" if self.setting.lmtp else "EHLO"
        self.offered = self._say(f"{hello} client.example.net", 250)
        if self.setting.tls != "off":
            self._say("STARTTLS", 220)
            client.handshake(_context, HOST)
            self.offered = self._say(f"{hello} client.example.net", 250)
        if self.setting.auth:
            word = base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode()
            self._say(f"AUTH PLAIN {word}", 235)
        for number in (1, 2):
            self._message(client, number)
        self._say("QUIT", 221)
        client.rest()

    def _message(self, client, number):
        with_utf8 = self.setting.utf8 and number == 2
        domain = "BÜCHER.example" if with_utf8 else "example.org"
        sender = USER if self.setting.auth else SENDER
        self._say(f"MAIL FROM:<{sender}>" + (" SMTPUTF8" if with_utf8 else ""), 250)
        asked = " NOTIFY=SUCCESS" if self.offered.has("DSN") else ""
        for box in BOXES:
            self._say(f"RCPT TO:<{box}@{domain}>{asked}", 250)
        self._say("DATA", 354)
        keys = {(self.serial, number, box) for box in BOXES}
        self.unknown |= keys
        client.send(content(self.serial, number) + b".\r\n")
        for some in ([{key} for key in sorted(keys)] if self.setting.lmtp else [keys]):
            reply = client.reply()
            self.replies.append(str(reply))
            self.unknown -= some
            (self.accepted if reply.code == 250 else self.refused).update(some)


_context = None


def content(serial, number):
    body = "".join(f"{n:06d} {'x' * 60}\r\n" for n in range(600 if number == 2 else 3))
    return f"X-Number: {serial}.{number}.\r\n\r\n{body}last line\r\n".encode()


# What must be true


def files_of(place, faults, boxes="*"):
    """Which messages are where; each is whole and there once."""
    found = collections.Counter()
    for path in place.root.glob(f"{boxes}/new/*"):
        number = re.search(rb"^X-Number: (\d+)\.(\d)\.$", path.read_bytes(), re.M)
        if not number:
            faults.append(f"{path.name} is torn")
            continue
        serial, n = int(number[1]), int(number[2])
        if not any(is_stored(path, text) for text in contents(place, serial, n)):
            faults.append(f"{path.name} is torn")
        found[serial, n, path.parts[-3]] += 1
    return found


def is_stored(path, text):
    try:
        harness.check_stored(path, text)
    except AssertionError:
        return False
    return True


def contents(place, serial, number):
    """What may be stored of a message: all edits of a filter, or none where its default action is to accept."""
    sent = content(serial, number)
    ways = [[n] if action != "accept" else [None, n] for n, action in enumerate(place.milters)]
    return [edited(sent, [n for n in which if n is not None]) for which in itertools.product(*ways)]


def check_boxes(place, talks, faults, boxes):
    found = files_of(place, faults, boxes)
    faults.extend(f"{key} is there {n} times" for key, n in found.items() if n > 1)
    for talk in talks:
        faults.extend(f"250, and no file: {key}" for key in sorted(talk.accepted - set(found)))
        faults.extend(f"refused, and yet a file: {key}" for key in sorted(talk.refused & set(found)))
    known = set().union(*(t.accepted | t.refused | t.unknown for t in talks))
    faults.extend(f"a file that was never sent: {key}" for key in set(found) - known)


def check_files(place, talks, faults, killed):
    for boxes in place.boxes:
        check_boxes(place, talks, faults, boxes)
    for path in place.outbox.glob("new/*"):
        text = path.read_bytes()
        if not (text.startswith(b"To: <") and text.endswith(b"--\n")):
            faults.append(f"the report {path.name} is torn")
    if not killed:
        left = [*place.root.glob("**/tmp/*"), *place.outbox.glob("tmp/*")]
        faults.extend(f"left in tmp: {path.name}" for path in left)


def accepts_none(injection):
    """Where no connection can ever be accepted, not even to refuse it, a client waits for the kernel: accept4 always
    fails, or the listener, process 0, cannot start its first acceptor.
    """
    if not injection or not injection.lasting:
        return False
    return injection.name == "accept4" or str(injection).startswith("process 0: clone 1:")


def check_replies(talk, faults, injection):
    if talk.end == "hangs" and not accepts_none(injection):
        faults.append("it hangs")
    faults.extend(f"a fault of the host refuses for ever: {reply}" for reply in talk.replies if reply[0] == "5")


def log_of(place):
    texts = [p.read_text(errors="backslashreplace") for p in (place.log, place.json) if p.exists()]
    if place.journal:
        texts.append(entries(place.journal))
    return "\n".join(texts)


def records_of(text):
    """JSON Lines, entries of the journal and lines on standard error."""
    found = harness.parse_records(text)
    for line in text.splitlines():
        if line.startswith("{"):
            found.append({key: str(value) for key, value in json.loads(line).items()})
    return found


def tells(text):
    """A record, or a line on standard error, about something that went wrong."""
    if re.search(r"^postern: ", text, re.M):
        return True
    return any(
        record.get("event") == "error" or record.get("end", "quit") != "quit" or "status" in record or
        "tls_fault" in record or int(record.get("refused", 0)) or record.get("outcome", "delivered") != "delivered"
        for record in records_of(text))


def reset(place):
    """As before the first session, without the cost of another place."""
    if place.journal:
        entries(place.journal)
    for path in (place.log, place.json):
        path.unlink(missing_ok=True)
    for path in sorted(place.root.glob("**/*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    for path in place.outbox.glob("*/*"):
        path.unlink()
    for one in place.filters:
        one.conversations.clear()


# Attempts


class Attempt:
    """One injection, and all that is looked at after it."""

    def __init__(self, setting, place, tool, serial):
        self.setting, self.place, self.tool = setting, place, tool
        self.serials = itertools.count(serial)
        self.faults, self.outcome, self.log = [], "", ""
        self.patience = PATIENCE

    def talk(self, connection):
        return Talk(self.setting, next(self.serials)).run(connection, self.patience)

    def start(self, injection, *arguments, **options):
        wrap, env = self.tool.wrap(injection)
        with open(self.place.log, "ab") as log:
            return subprocess.Popen([*wrap, *self.place.command(), *arguments], stderr=log, start_new_session=True,
                                    env=harness.environment(**env), **options)

    def one(self, injection):
        """In per-connection mode: a session."""
        ours, theirs = connected_pair()
        with theirs:
            process = self.start(injection, stdin=theirs, stdout=theirs)
        talk = self.talk(ours)
        return talk, self.wait(process)

    def wait(self, process):
        try:
            return process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.faults.append("a process does not end")
            os.killpg(process.pid, signal.SIGKILL)
            return process.wait()

    def check_end(self, talk, status, injection):
        """How the first session came out."""
        hit, cpu = self.tool.read()
        crash = self.tool.crash()
        if cpu > CPU:
            self.faults.append(f"{cpu} ms of CPU")
        if injection is None:
            hit = True
        check_replies(talk, self.faults, injection)
        text = self.log = log_of(self.place)
        if injection and injection.killed:
            self.outcome = "killed"
        elif talk.is_perfect():
            self.outcome = "no harm"
        elif "error while loading shared libraries" in text or (status == 127 and not talk.replies):
            self.outcome = "not loaded"
        elif status == 127 and "__tls_get_addr" in self.tool.asked():
            # the first use of a library's thread-local variables: without memory the loader calls _exit()
            self.outcome = "ended by the loader"
        elif crash:
            self.outcome = "crash in " + self.judge(crash)
        else:
            self.outcome = f"{len(talk.accepted) // 2} of 2 accepted, {talk.end}"
            self.check_told(talk, text, injection)
        if not hit:
            self.outcome = "not met"

    def has_lost_port(self):
        """Another process has bound it, so that the listener ends with 64 before it gets to the injection."""
        return self.outcome == "not met" and "Address already in use" in self.log

    def judge(self, crash):
        names = [frame.split(":")[0] for frame in crash.split()]
        inner = next((n for n in names if not n.startswith(("libc.so", "fail-alloc", "libgcc", "ld-linux", "linux-gate"))), "?")
        if inner in OURS or not inner.startswith(ABORTING):
            self.faults.append(f"crash: {crash}")
        return inner

    def check_told(self, talk, text, injection):
        # the reply to QUIT may be lost, and nothing with it
        if tells(text) or (len(talk.accepted) == 4 and any(r.get("event") == "session" for r in records_of(text))):
            return
        # without any memory, or where nothing can be written, there may be no record
        if injection and injection.lasting and injection.name in ("malloc", "write", "mmap", "sendmsg"):
            self.outcome += ", no record"
        else:
            self.faults.append("no record")


class AloneAttempt(Attempt):
    def run(self, injection):
        reset(self.place)
        talk, status = self.one(injection)
        if status >= 128 and not (injection and injection.killed) and not self.tool.crash():
            self.faults.append(f"status {status}")
        self.check_end(talk, status, injection)
        if injection and injection.killed and injection.process == BROKER:
            # what it has linked stays, as after a connection that is killed; but the client gets a reply
            talk.unknown |= talk.refused
            talk.refused = set()
        following, _ = self.one_unharmed()
        if not following.is_perfect():
            self.faults.append(f"the next session: {following.end} {following.replies[-1:]}")
        check_files(self.place, (talk, following), self.faults, injection and injection.killed)
        if injection is None and not talk.is_perfect():
            self.faults.append(f"without a fault: {talk.end} {talk.replies[-1:]}")

    def one_unharmed(self):
        ours, theirs = connected_pair()
        with theirs, open(self.place.log, "ab") as log:
            process = subprocess.Popen(self.place.command(), stdin=theirs, stdout=theirs, stderr=log,
                                       env=harness.environment())
        return self.talk(ours), self.wait(process)


class ListenerAttempt(Attempt):
    """A listener for one session with a fault, and for what must be possible after it."""

    def __init__(self, *values):
        super().__init__(*values)
        self.port, self.process = harness.free_port(), None

    def listen(self, injection):
        self.process = self.start(injection, f"--listen=127.0.0.1:{self.port}", stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL)

    def connect(self, source="127.0.0.1"):
        """A connection; None when the listener has ended, or makes none."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            try:
                return socket.create_connection(("127.0.0.1", self.port), PATIENCE, (source, 0))
            except OSError:
                if self.process.poll() is not None:
                    return None
                time.sleep(0.01)
        self.faults.append("the listener accepts nothing")
        return None

    def run(self, injection):
        reset(self.place)
        if accepts_none(injection):
            self.patience = 2
        self.listen(injection)
        talks, status = [], 0
        talk = Talk(self.setting, 0)
        connection = self.connect()
        if connection:
            talk = self.talk(connection)
            talks.append(talk)
        self.go_on(talks, injection)
        status = self.stop(injection)
        self.check_end(talk, status, injection)
        check_files(self.place, talks or [talk], self.faults, injection and injection.killed)

    def go_on(self, talks, injection):
        """The next session; where the listener has ended, as the service manager starts it again."""
        # what fails for ever in a process that stays fails in the next session, too
        stays = injection and not injection.killed and injection.lasting and injection.process <= 1
        for _ in range(200):
            if self.process.poll() is not None:
                self.ended(injection)
                self.listen(None)
            connection = self.connect()
            following = self.talk(connection) if connection else None
            if following:
                talks.append(following)
            if following and (following.is_perfect() or stays):
                check_replies(following, self.faults, injection)
                break
            time.sleep(0.05)
        else:
            self.faults.append(f"no further session: {following and (following.end, following.replies[-1:])}")
            return
        if not stays:
            self.check_places()

    def ended(self, injection):
        status = self.process.returncode
        status = 128 - status if status < 0 else status
        text = log_of(self.place)
        crash = self.tool.crash()
        if injection is None:
            self.faults.append(f"the listener ends without a fault: {status}")
        elif crash:
            self.judge(crash)
        elif not injection.killed and (status >= 128 or not text.strip()):
            self.faults.append(f"the listener ends without a word: {status}")
        self.kept = self.tool.read(), crash
        self.place.report_kept = True

    def check_places(self):
        """Both of source-connection-limit are free, and no more."""
        def is_free():
            kept, codes = [], []
            for _ in range(3):
                connection = self.connect("127.0.0.9")
                if connection:
                    client = Client(connection)
                    kept.append(client)
                    with contextlib.suppress(*GONE):
                        codes.append(client.reply().code)
            for client in kept:
                client.close()
            seen[:] = codes
            return codes == [220, 220, 421]

        seen = []
        try:
            harness.eventually(is_free, "places")
        except AssertionError:
            self.faults.append(f"places: {seen}")

    def stop(self, injection):
        self.process.send_signal(signal.SIGTERM)
        status = self.wait(self.process)
        if status != 0 and not self.tool.crash() and not (injection and injection.killed):
            self.faults.append(f"the listener stops with {status}")
        return status


def connected_pair():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(1)
        ours = socket.create_connection(listening.getsockname(), PATIENCE)
        theirs, _ = listening.accept()
    return ours, theirs


# Campaigns


class Campaign:
    def __init__(self, setting, tool, injections, size):
        self.setting, self.tool, self.injections = setting, tool, injections
        self.size = size
        self.outcomes, self.faults = collections.Counter(), []
        self.lock, self.serials = threading.Lock(), itertools.count(10, 1000)

    def attempt(self, place, tool, injection):
        kind = ListenerAttempt if self.setting.listen else AloneAttempt
        for _ in range(PORTS_TRIED):
            with self.lock:
                serial = next(self.serials)
            attempt = kind(self.setting, place, tool, serial)
            attempt.run(injection)
            # the fault may be just that
            if not attempt.has_lost_port() or (injection and injection.name == "bind"):
                break
        return attempt

    def chosen(self, every):
        """All, a part of all, or a fixed sample."""
        if ONLY:
            return [injection for injection in every if ONLY in str(injection)]
        if SIZE == "all":
            n, of = map(int, PART.split("/"))
            return every[n - 1::of]
        size = int(SIZE or self.size)
        sample = random.Random(SEED).sample(every, min(size, len(every)))
        # beside these those that once found a fault
        return sample + [i for i in every if str(i).startswith(self.setting.always) and i not in sample]

    def run(self):
        global _context
        _context = harness.client_context()
        place = self.setting.place()
        tool = self.tool(place)
        undisturbed = self.attempt(place, tool, None)
        assert not undisturbed.faults, undisturbed.faults
        every = list(self.injections(tool))
        chosen = self.chosen(every)
        signal.alarm(harness.TEST_LIMIT + 10 * len(chosen))
        print(f"# {len(chosen)} of {len(every)} injections; seed {SEED}, part {PART}")
        queue = collections.deque(enumerate(chosen))
        # one journal cannot tell the sessions of one place from those of another
        places = [place] + [self.setting.place() for _ in range(WORKERS - 1) if not place.journal]
        threads = [threading.Thread(target=self._work, args=(queue, p)) for p in places]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        finally:
            # also where the run is ended before all have been played
            queue.clear()
            self.show()
        assert not self.faults, "\n".join([f"{len(self.faults)} injections", *self.faults])

    def show(self):
        for outcome, n in sorted(self.outcomes.items(), key=lambda item: -item[1]):
            print(f"# {n:6d} {outcome}")

    def _work(self, queue, place):
        tool = self.tool(place)
        while True:
            try:
                _, injection = queue.popleft()
            except IndexError:
                return
            try:
                attempt = self.attempt(place, tool, injection)
                outcome, faults = attempt.outcome, attempt.faults
                if ONLY:
                    print("# " + attempt.log.replace("\n", "\n# "))
            except Exception as problem:  # pylint: disable=broad-except
                outcome, faults = "not judged", [repr(problem)]
            with self.lock:
                self.outcomes[outcome] += 1
                if faults:
                    text = f"{injection}: {'; '.join(faults)} [{outcome}] {tool.asked()}"
                    self.faults.append(text)
                    print(f"# FAULT {text}", flush=True)
