# SPDX-License-Identifier: ISC
"""Rows of the budget for which servers take turns: what key agents cost, and a broker. As root, for control groups."""

import os
import socket
import statistics
import subprocess
import time

from load import Talk
from measure import Group
from server import MAIL

ROUNDS = 15
HANDSHAKES = 100  # in each round
CONNECTIONS = 40  # likewise
FURTHER = 4  # messages of a connection after its first
CONTENT = "Subject: x\r\n\r\n" + ("x" * 70 + "\r\n") * 57 + "."
BACKLOG = 64
EXEC, LISTEN = "exec", "listen"  # a process for each connection by exec, or by fork


class Turn:
    """postern, with all its processes in one group."""

    def __init__(self, bench, name, way, **settings):
        self.bench, self.address = bench, "127.0.0.1"
        self.folder = f"{bench.scratch}/{name}"
        for part in ("log", "mail/new", "mail/cur", "mail/tmp", "mail"):
            os.makedirs(f"{self.folder}/{part}", exist_ok=True)
            os.chown(f"{self.folder}/{part}", MAIL, MAIL)
        with socket.socket() as free:
            free.bind((self.address, 0))
            self.port = free.getsockname()[1]
        self.group = Group(name)
        self.processes = []
        settings = {"domains": "*", "maildir": f"{self.folder}/mail", "hostname": "localhost",
                    "log": f"json:{self.folder}/log/records", "source-connection-limit": 0, **settings}
        self.command = [bench.program, "-c", "/dev/null", *(word for key, value in settings.items()
                                                            for word in ("-o", f"{key}={value}"))]
        if way == EXEC:
            self.start(f"{bench.tools}/exec-listener", str(self.port), *self.command)
        else:
            self.start(*self.command, f"--listen={self.address}:{self.port}")

    def start(self, *command, **options):
        self.processes.append(subprocess.Popen(command, stderr=subprocess.DEVNULL, preexec_fn=self.group.enter, **options))

    def serve_keys(self, key, path):
        """The agent, which has its keys read before the first round."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            listener.bind(path)
            listener.listen(BACKLOG)
            self.start("sh", "-c", f'exec 3<&{listener.fileno()} && LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"', "sh",
                       *self.command, "-o", f"tls-key={key}", "--key-agent", pass_fds=[listener.fileno()])

    def handshakes(self, n=HANDSHAKES):
        """CPU ms of a session with a full handshake, and sessions a second."""
        before, begun = self.group.settled_cpu(), time.monotonic()
        subprocess.run([f"{self.bench.tools}/tls-client", "-m", "starttls", "-n", str(n), "-j", "4", "-s", "100", "-c", "0",
                        self.address, str(self.port)], check=True, capture_output=True)
        took = time.monotonic() - begun
        return (self.group.settled_cpu() - before) / n, n / took

    def messages(self, of_each, n=CONNECTIONS):
        """CPU ms of a connection with so many messages."""
        before = self.group.settled_cpu()
        for _ in range(n):
            talk = Talk(self).begin()
            for _ in range(of_each):
                for command, code in (("MAIL FROM:<a@example.com>", 250), ("RCPT TO:<b@example.org>", 250), ("DATA", 354),
                                      (CONTENT, 250)):
                    talk.say(command, code)
            talk.quit()
        return (self.group.settled_cpu() - before) / n

    def end(self):
        self.group.end()
        for process in self.processes:
            process.wait()


def in_turn(turns, *measures):
    """{name: [median of each measure]}, and {name: [median of what it is more than the first, round by round]}."""
    found = {name: [] for name in turns}
    time.sleep(1)  # they start
    for turn in turns.values():
        measures[0](turn)
    for _ in range(ROUNDS):
        for name, turn in turns.items():
            found[name].append([figure for measure in measures for figure in measure(turn)])
    for turn in turns.values():
        turn.end()
    first = found[next(iter(found))]
    return ({name: [statistics.median(column) for column in zip(*rounds)] for name, rounds in found.items()},
            {name: [statistics.median(a - b for a, b in zip(*columns)) for columns in zip(zip(*rounds), zip(*first))]
             for name, rounds in found.items()})


def pair(bench, kind):
    names = f"{bench.scratch}/{kind[:3]}.crt", f"{bench.scratch}/{kind[:3]}.key"
    curve = ["-pkeyopt", "ec_paramgen_curve:P-256"] if kind == "ec" else []
    subprocess.run(["openssl", "req", "-x509", "-newkey", kind, *curve, "-nodes", "-days", "9", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost", "-out", names[0], "-keyout", names[1]],
                   check=True, stderr=subprocess.DEVNULL)
    return names


def put_keys(bench, row):
    """Full handshakes with key agents and without."""
    for label, kind in (("RSA-2048", "rsa:2048"), ("ECDSA P-256", "ec")):
        certificate, key = pair(bench, kind)
        for way in (LISTEN, EXEC):
            settings = {"tls": "on", "tls-certificate": certificate, "tls-key": key}
            path, name = f"{bench.scratch}/{kind[:3]}-socket", f"{kind[:3]}-{way}"
            if way == LISTEN:
                other = Turn(bench, f"{name}-agents", way, **settings)
                alone = Turn(bench, name, way, **settings, **{"tls-key-agent": "no"})
            else:
                other = Turn(bench, f"{name}-agents", way, **settings | {"tls-key": f"agent:{path}"})
                other.serve_keys(key, path)
                alone = Turn(bench, name, way, **settings)
            figures, more = in_turn({"alone": alone, "agents": other}, Turn.handshakes)
            row(f"full handshake, {label}, {way}: CPU ms with key agents", f"{figures['agents'][0]:.2f}", "")
            row("  without", f"{figures['alone'][0]:.2f}", "")
            row("  difference, round by round", f"{more['agents'][0]:.3f}", "0.10")
            row("  sessions a second, ratio", f"{figures['agents'][1] / figures['alone'][1]:.2f}",
                "0.95" if kind.startswith("rsa") else "")


def put_owners(bench, row):
    """Messages of a connection for one owner, with a broker and as that owner."""
    os.chmod(bench.scratch, 0o755)  # for the user of the mailbox
    for way in (LISTEN, EXEC):
        turns = {"owner": Turn(bench, f"owner-{way}", way, user="mail"), "broker": Turn(bench, f"broker-{way}", way)}
        _, more = in_turn(turns, *(lambda turn, n=n: [turn.messages(n)] for n in (0, 1, 1 + FURTHER)))
        none, one, all_of_them = more["broker"]
        row(f"a broker, {way}: CPU ms of a connection without a message", f"{none:.3f}", "")
        row("  of its first message", f"{one - none:.3f}", "0.15")
        row("  of each further one", f"{(all_of_them - one) / FURTHER:.3f}", "0.15")
