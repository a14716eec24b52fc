# SPDX-License-Identifier: ISC
"""Debian's Postfix and postern, each with one filter and a mailbox for each recipient, so that tests can compare what
the same filter sees and does beside both."""

import re
import socket
import threading

import harness
import postfix
from harness import DOMAIN, Client, Site
from servers import Server

MAIN = """\
mynetworks =
local_header_rewrite_clients =
smtpd_relay_restrictions = permit_auth_destination, reject
smtpd_peername_lookup = no
virtual_uid_maps = static:61001
virtual_gid_maps = static:61001
default_transport = error:no mail leaves this machine
"""
BOXES = ("alice", "bob", "carl")


def address(name):
    return f"{name}@{DOMAIN}"


class Peer(Server):
    """Postfix with a port for messages; `settings` are lines of main.cf, with FOLDER for a folder that both see."""

    def __init__(self, settings=""):
        self.folder = folder = harness.scratch(of_file=True)
        self.port = harness.free_port()
        self.root, self.socket = folder / "mail", folder / "filter.sock"
        self.root.mkdir()
        self.root.chmod(0o777)
        (folder / "recipients").write_text("".join(f"{address(name)} {name}/\n" for name in BOXES))
        settings = (f"{MAIN}virtual_mailbox_domains = {DOMAIN}\nvirtual_mailbox_base = {self.root}\n"
                    f"virtual_mailbox_maps = texthash:{folder}/recipients\n" + settings.replace("FOLDER", str(folder)))
        services = postfix.master(
            f"127.0.0.1:{self.port} inet n - n - - smtpd -o smtpd_milters=unix:{self.socket}\n"
            "virtual unix - n n - - virtual\n")
        super().__init__("postfix", folder, f"""
            {postfix.install(folder, settings, services)}
            postfix start || exit
            tail -f {folder}/orders | sh &
            exec tail -n +1 -f /var/log/postfix.log >{folder}/server.log""", of_file=True)
        harness.eventually(lambda: self.log.exists() and "daemon started" in self.log.read_text(), "Postfix runs")

    def connect(self):
        self.begin = len(self.log.read_text(errors="replace"))
        return Client.to(self.port, greeting=False)

    def settle(self, last):
        """What became of a message that it accepted, once that is decided."""
        name = re.search(r"queued as ([0-9A-F]+)", str(last)).group(1)
        pattern = re.compile(rf"{name}: (removed|milter-hold|milter-reject)|(milter-discard): ")
        found = harness.eventually(lambda: pattern.search(self.log.read_text(errors="replace"), self.begin), name)
        return {"removed": "delivered", "milter-hold": "quarantined", "milter-reject": "lost",
                None: "discarded"}[found.group(1)]

    def new(self):
        return self.root.glob("*/new/*")


class Ours:
    def __init__(self, filter_, **settings):
        self.site = Site(maildir="%u", quarantine_mailbox="odd", **settings)
        path = self.site.dir / "milters"
        path.write_text(filter_.line())
        self.site.set(milters=path)

    def connect(self):
        return self.site.connect(greeting=False)

    def settle(self, _):
        if list(self.site.root.glob("odd/new/*")):
            return "quarantined"
        return self.site.records("message")[-1]["outcome"]

    def new(self):
        return [path for path in self.site.root.glob("*/new/*") if path.parent.parent.name != "odd"]


class Logins:
    """A server of Dovecot's protocol for logins, which lets everyone in; for Postfix, which has no table of users."""

    GREETING = "VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\t0123456789abcdef0123456789abcdef\nDONE\n"

    def __init__(self, path, user):
        self.user = user
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(str(path))
        path.chmod(0o777)
        self.listening.listen(16)
        thread = threading.Thread(target=self._accept, daemon=True)
        thread.start()
        harness.at_end(harness.stop_accepting, self.listening, thread, of_file=True)

    def _accept(self):
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        connection.sendall(self.GREETING.encode())
        with connection, connection.makefile() as lines:
            for line in lines:
                words = line.rstrip("\n").split("\t")
                if words[0] == "AUTH":
                    connection.sendall(f"OK\t{words[1]}\tuser={self.user}\n".encode())
