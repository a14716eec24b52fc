# SPDX-License-Identifier: ISC
"""The clients: Postfix's smtp-source in the clear, tls-client of this folder with TLS and with BDAT,
and connections that only wait."""

import os
import re
import resource
import socket
import ssl
import subprocess
import time

PATIENCE = 600  # seconds for one run of a client


class Load:
    def __init__(self, tools, packages, library_path):
        self.tools = tools
        self.smtp_source = f"{packages}/postfix/usr/sbin/smtp-source"
        own = (f"{packages}/postfix/usr/lib/postfix", f"{packages}/postfix/usr/lib/x86_64-linux-gnu", library_path)
        self.environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C",
                            "LD_LIBRARY_PATH": ":".join(filter(None, own))}

    def plain(self, server, sessions, jobs, size):
        """One message a session, so many sessions at once."""
        self._run(*server.within, self.smtp_source, "-4", "-s", jobs, "-m", sessions, "-l", size, "-f", "a@client.example",
                  "-M", "client.example", "-t", server.recipient, f"inet:127.0.0.1:{server.port}")

    def client(self, server, mode, sessions, jobs, size, chunk=0, ticket=None, fields=0):
        """The same by our own client: over TLS, or in chunks. How many sessions were resumed."""
        said = self._run(f"{self.tools}/tls-client", "-m", mode, "-n", sessions, "-j", min(jobs, sessions),
                         "-s", size, "-c", chunk, "-f", fields, "-t", server.recipient,
                         *(("-r", ticket) if ticket else ()), "127.0.0.1", server.port)
        return int(re.search(r"resumed (\d+)", said)[1])

    def _run(self, *command):
        done = subprocess.run([str(c) for c in command], env=self.environment, capture_output=True, text=True,
                              timeout=PATIENCE, check=False)
        if done.returncode:
            raise RuntimeError(f"{command[0]}: {done.stderr.strip()[-500:] or done.returncode}")
        return done.stdout


class Talk:
    """A connection step by step: what waits, and who greets how quickly."""

    def __init__(self, server):
        self.socket = socket.create_connection(("127.0.0.1", server.port), 30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def expect(self, code):
        while True:
            while b"\n" not in self.buffer:
                more = self.socket.recv(4096)
                if not more:
                    raise RuntimeError(f"the connection ended where a {code} was due")
                self.buffer += more
            line, self.buffer = self.buffer.split(b"\n", 1)
            if not line.startswith(str(code).encode()):
                raise RuntimeError(f"{line.decode('ascii', 'replace')!r} in place of a {code}")
            if line[3:4] != b"-":
                return

    def say(self, command, code):
        self.socket.sendall(command.encode() + b"\r\n")
        self.expect(code)

    def begin(self):
        self.expect(220)
        self.say("EHLO client.example", 250)
        return self

    def start_tls(self, context):
        self.say("STARTTLS", 220)
        self.socket = context.wrap_socket(self.socket)
        self.say("EHLO client.example", 250)

    def quit(self):
        try:
            self.say("QUIT", 221)
        finally:
            self.close()

    def close(self):
        self.socket.close()


def any_certificate():
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def many_files():
    """Sockets are files, and one idle connection is one."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))


def greeting_time(server):
    """Milliseconds from connecting to the 220."""
    begin = time.perf_counter()
    talk = Talk(server)
    talk.expect(220)
    took = 1e3 * (time.perf_counter() - begin)
    talk.quit()
    return took


def messages_in(folder):
    """How many there are."""
    with os.scandir(folder) as entries:
        return sum(1 for entry in entries if not entry.name.startswith("."))
