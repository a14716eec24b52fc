# SPDX-License-Identifier: ISC
"""The servers that are compared. One more is a class here, and its name in SERVERS.

None looks up a name, and none has a limit that the load could reach; all else is as it comes.
"""

import os
import shutil
import subprocess

from harness import eventually
from measure import Unable
import postfix  # of the system tests

from server import BACKLOG, CONNECTIONS, HERE, MAIL, Server
import units

PYTHON = "/usr/bin/python3"  # Debian's own: the modules of its packages are for it


class Postern(Server):
    tls = "on"
    note = "one record a message and one a session, appended to a file"

    def tickets(self, on):
        """Each process reads the settings anew."""
        line = f"tls-tickets = {self.place.tickets}\n" if on else ""
        return self.write("postern.conf", self.settings() + line)

    def settings(self):
        return f"""\
hostname = mail.example.org
domains = example.org
maildir = {self.folder}/mail/%u
user = mail
size-limit = 0
tls = {self.tls}
tls-certificate = {self.place.certificate}
tls-key = {self.place.key}
log = json:{self.log}/records
"""

    def program(self):
        return f"{self.build()}/src/postern"

    def postern(self):
        return [self.program(), "-c", self.tickets(False)]


class PosternExec(Postern):
    name, label = "postern-exec", "postern, the least listener"
    note = "by exec-listener of this folder: accept, vfork, execve"

    def command(self):
        return [f"{self.place.build}/tests/bench/exec-listener", str(self.port), *self.postern()]


class PosternTcpserver(Postern):
    name, label = "postern-tcpserver", "postern, tcpserver"
    packages = ("ucspi-tcp",)

    def command(self):
        return self.tcpserver(*self.postern())


class PosternInetd(Postern):
    name, label = "postern-inetd", "postern, openbsd-inetd"
    packages = ("openbsd-inetd",)

    def command(self):
        program, *arguments = self.postern()
        return self.inetd(program, "postern", *arguments)


class PosternListen(Postern):
    name, label = "postern-listen", "postern, its own listener"
    note = "forks a process a connection; TLS is loaded and the certificate parsed once"

    def settings(self):
        return super().settings() + f"""\
connection-limit = {CONNECTIONS}
source-connection-limit = 0
"""

    def command(self):
        program, *arguments = self.postern()
        return [program, f"--listen=127.0.0.1:{self.port}", *arguments]


class PosternListenPlain(PosternListen):
    name, label = "postern-listen-plain", "postern, its own listener, tls = off"
    extensions = {"BDAT"}
    tls = "off"
    note = "the same without the TLS library"


class Static:
    """The same from the build folder that --static names."""

    def build(self):
        return self.place.static


class PosternStaticExec(Static, PosternExec):
    name, label = "postern-static-exec", "postern, static, the least listener"


class PosternStaticTcpserver(Static, PosternTcpserver):
    name, label = "postern-static-tcpserver", "postern, static, tcpserver"


class PosternStaticListen(Static, PosternListen):
    name, label = "postern-static-listen", "postern, static, its own listener"


class PosternRsa(PosternListen):
    name, label = "postern-rsa", "postern, its own listener, RSA-2048, tickets"
    extensions = {"STARTTLS", "rsa"}
    only = "rsa"

    def settings(self):
        names = f"{self.folder}/rsa.crt", f"{self.folder}/rsa.key"
        if not os.path.exists(names[0]):
            self.place.make_pair(*names, "rsa:2048")
        own, shared = names, (self.place.certificate, self.place.key)
        return super().settings().replace(shared[0], own[0]).replace(shared[1], own[1])

    def postern(self):
        return [self.program(), "-c", self.tickets(True)]


class PosternStaticRsa(Static, PosternRsa):
    name, label = "postern-static-rsa", "postern, static, its own listener, RSA-2048, tickets"


class Minimal(Server):
    """The prototypes, as root, by the least listener or their own."""

    extensions = set()
    note = "no settings, no sandbox, no policy, no caps, no log, no change of user"

    def tools(self):
        return f"{self.build()}/tests/bench"

    def command(self):
        return [f"{self.tools()}/exec-listener", str(self.port), *self.prototype(self.tools())]


class MinimalPlain(Minimal):
    name, label = "minimal-plain", "prototype without TLS"

    def prototype(self, tools, *options):
        return [f"{tools}/minimal-plain", *options, self.box]


class MinimalTls(Minimal):
    name, label = "minimal-tls", "prototype linked with GnuTLS"
    extensions = {"STARTTLS"}

    def prototype(self, tools, *options):
        return [f"{tools}/minimal-tls", *options, self.box, self.place.certificate, self.place.key]


class Forking:
    """A prototype that accepts and forks itself, with what can be loaded before loaded."""

    def command(self):
        return self.prototype(self.tools(), "-l", str(self.port))


class ForkingPlain(Forking, MinimalPlain):
    name, label = "forking-plain", "prototype without TLS, its own listener"


class ForkingTls(Forking, MinimalTls):
    name, label = "forking-tls", "prototype linked with GnuTLS, its own listener"


class MinimalStaticPlain(Static, MinimalPlain):
    name, label = "minimal-static-plain", "static prototype without TLS"


class MinimalStaticTls(Static, MinimalTls):
    name, label = "minimal-static-tls", "static prototype with GnuTLS inside"


class ForkingStaticTls(Static, ForkingTls):
    name, label = "forking-static-tls", "static prototype with GnuTLS inside, its own listener"


class Postfix(Server):
    name, label = "postfix", "Postfix 3.7, virtual(8)"
    packages = ("postfix",)
    note = "a queue: writes the message twice; no folder is synced"

    MAIN = """\
compatibility_level = 3.6
myhostname = mail.example.org
mydestination =
inet_protocols = ipv4
alias_maps =
maillog_file = /var/log/postfix.log
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
smtpd_recipient_restrictions = reject_unauth_destination
default_process_limit = {connections}
message_size_limit = 0
mailbox_size_limit = 0
virtual_mailbox_limit = 0
virtual_mailbox_domains = example.org
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = static:box/
virtual_minimum_uid = 1
virtual_uid_maps = static:{mail}
virtual_gid_maps = static:{mail}
smtpd_tls_security_level = may
smtpd_tls_chain_files = /etc/postfix/tls.pem
"""
    MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
virtual   unix  -  n  n  -   -  virtual
""" + postfix.MASTER

    more = ""  # settings

    def command(self):
        values = {"folder": self.folder, "port": self.port, "mail": MAIL, "connections": CONNECTIONS}
        self.write("main.cf", (self.MAIN + self.more).format(**values))
        self.write("master.cf", self.MASTER.format(**values))
        with open(self.place.key, encoding="ascii") as key, \
                open(self.place.certificate, encoding="ascii") as certificate:
            self.write("tls.pem", key.read() + certificate.read())
        return self.machine("postfix", f"""
            mount --bind {self.log} /var/log
            mount --bind {self.folder}/spool /var/spool/postfix
            cp {self.folder}/main.cf {self.folder}/master.cf {self.folder}/tls.pem /etc/postfix/
            chmod 600 /etc/postfix/tls.pem
            chown root /var/spool/postfix; chown postfix /var/lib/postfix
            postfix start""")


class Exim(Server):
    note = "a queue: writes the message twice; no folder is synced"

    SETTINGS = """\
primary_hostname = mail.example.org
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
log_file_path = /var/log/exim4/%slog
rfc1413_query_timeout = 0s
smtp_accept_max = {connections}
smtp_accept_queue_per_connection = 0
smtp_connect_backlog = {backlog}
message_size_limit = 0
tls_advertise_hosts = *
tls_certificate = {certificate}
tls_privatekey = {folder}/tls.key
tls_resumption_hosts = *
acl_smtp_rcpt = all
begin acl
all:
  accept
begin routers
here:
  driver = accept
  domains = example.org
  transport = here
begin transports
here:
  driver = appendfile
  directory = {folder}/mail/box
  maildir_format
  user = mail
  group = mail
"""

    def exim(self, start):
        self.write("exim4.conf", self.SETTINGS.format(
            folder=self.folder, port=self.port, certificate=f"{self.folder}/tls.crt",
            connections=CONNECTIONS, backlog=BACKLOG))
        shutil.copy(self.place.certificate, f"{self.folder}/tls.crt")
        shutil.copy(self.place.key, f"{self.folder}/tls.key")
        return self.machine("exim4-daemon-light", f"""
            mkdir -p /etc/exim4 /var/spool/exim4 {self.log}/exim4
            mount --bind {self.log} /var/log
            mount --bind {self.folder}/spool /var/spool/exim4
            chown Debian-exim:Debian-exim /var/spool/exim4 /var/log/exim4 {self.folder}/tls.key
            cp {self.folder}/exim4.conf /etc/exim4/exim4.conf
            {start}""")


class EximDaemon(Exim):
    name, label = "exim", "Exim 4.96, daemon"
    packages = ("exim4-daemon-light",)

    def command(self):
        return self.exim("exim4 -bd")


class EximInetd(Exim):
    name, label = "exim-inetd", "Exim 4.96, -bs by inetd"
    packages = ("exim4-daemon-light", "openbsd-inetd")
    extensions = {"STARTTLS", "BDAT"}

    def command(self):
        return self.exim(" ".join(self.inetd("/usr/sbin/exim4", "exim4", "-bs")) + " &")


class Opensmtpd(Server):
    # Built with OpenSSL 3, Debian's fails each handshake: its engine's keys have no private part there.
    name, label = "opensmtpd", "OpenSMTPD 6.8"
    packages = ("opensmtpd",)
    extensions = set()
    note = ("a queue; no folder is synced; no TLS (Debian's build fails each handshake); no log (there is no "
            "syslog here)")

    SETTINGS = """\
smtp max-message-size "1G"
table who {{ "box" = "{mail}:{mail}:{folder}/mail" }}
listen on 127.0.0.1 port {port} hostname mail.example.org
action here maildir "{folder}/mail/box" userbase <who>
match from any for domain "example.org" action here
"""

    def command(self):
        self.write("smtpd.conf", self.SETTINGS.format(folder=self.folder, port=self.port, mail=MAIL))
        return self.machine("opensmtpd", f"""
            echo opensmtpd:x:61011:61011::/var/lib/opensmtpd/empty:/usr/sbin/nologin >>/etc/passwd
            echo opensmtpq:x:61012:61012::/var/lib/opensmtpd/empty:/usr/sbin/nologin >>/etc/passwd
            printf 'opensmtpd:x:61011:\\nopensmtpq:x:61012:\\n' >>/etc/group
            mkdir -p /var/spool/smtpd
            mount --bind {self.folder}/spool /var/spool/smtpd
            chmod 711 /var/spool/smtpd
            install -m 600 {self.folder}/smtpd.conf /etc/smtpd.conf
            smtpd""")


class Aiosmtpd(Server):
    name, label = "aiosmtpd", "aiosmtpd 1.4, one event loop"
    packages = ("python3-aiosmtpd", "python3-attr", "python3-public")
    extensions = {"STARTTLS", "resume"}
    note = "no processes, no log, the folder is not synced"

    def environment(self):
        return {"PYTHONPATH": ":".join(
            f"{self.place.packages}/{name}/usr/lib/python3/dist-packages"
            for name in self.packages)}

    def command(self):
        return [PYTHON, f"{HERE}/aiosmtpd-server.py", str(self.port), self.box, self.place.certificate,
                self.place.key]


class Mailfront(Server):
    name, label = "mailfront", "mailfront 2.12, tcpserver"
    packages = ("mailfront", "ucspi-tcp")
    extensions = set()
    note = "stores envelope and message in one file of a queue folder, which is not synced"

    def command(self):
        program = " ".join(self.tcpserver(
            "/usr/sbin/mailfront", "smtp", "queuedir", "accept", "add-received",
            options=("-u", str(MAIL), "-g", str(MAIL))))
        return self.machine("mailfront", f"""
            export QUEUEDIR={self.box}
            {program} &""")


class Filtered:
    """With a filter of libmilter, whose own CPU does not count: it runs outside the group of the server."""

    only = "filtered"
    extensions = {"filter"}
    mode = None  # of the filter; None: there is none
    filter = None

    def start(self):
        if self.mode:
            program, socket = f"{self.place.build}/tests/bench/filter", f"{self.folder}/filter.sock"
            if not os.path.exists(program):
                raise Unable("built without libmilter (libmilter-dev)")
            self.filter = subprocess.Popen([program, socket, self.mode])
            eventually(lambda: os.path.exists(socket), "a filter")
        return super().start()

    def stop(self):
        super().stop()
        if self.filter:
            self.filter.kill()
            self.filter.wait()
        self.filter = None


class PosternFiltered(Filtered, PosternListenPlain):
    def settings(self):
        if not self.mode:
            return super().settings()
        return super().settings() + f"""\
milters = {self.write('milters', f'unix:{self.folder}/filter.sock')}
client-name = off
"""


class PosternExecFiltered(PosternFiltered):
    """The same settings, and a process by exec for each connection."""

    command = PosternExec.command


class PrototypeFiltered(Filtered, ForkingPlain):
    def command(self):
        options = ("-f", f"{self.folder}/filter.sock") if self.mode else ()
        return self.prototype(self.tools(), "-l", str(self.port), *options)


class PostfixFiltered(Filtered, Postfix):
    @property
    def more(self):
        return "smtpd_milters = unix:{folder}/filter.sock\n" if self.mode else ""


def filtered(kind, name, label, mode, note):
    return type(f"{kind.__name__}-{mode}", (kind,), {"name": name, "label": label, "mode": mode, "note": note})


MODES = {None: "no filter, for comparison", "nothing": "a filter that wants no events",
         "silent": "a filter that answers nothing before the end of the message",
         "every": "a filter that answers each event"}

FILTERED = [filtered(kind, f"{name}-{mode or 'unfiltered'}", label, mode, MODES[mode])
            for kind, name, label, modes in ((PosternFiltered, "postern", "postern, its own listener", MODES),
                                      (PosternExecFiltered, "exec", "postern, the least listener", MODES),
                                             (PrototypeFiltered, "forking", "prototype, its own listener",
                                              (None, "nothing")),
                                             (PostfixFiltered, "postfix", "Postfix 3.7, virtual(8)", MODES))
            for mode in modes]

SERVERS = {kind.name: kind for kind in (
    PosternExec, PosternTcpserver, PosternInetd, PosternListen, PosternListenPlain, PosternStaticExec,
    PosternStaticTcpserver, PosternStaticListen, PosternRsa, PosternStaticRsa, MinimalPlain, MinimalTls,
    ForkingPlain, ForkingTls, MinimalStaticPlain, MinimalStaticTls, ForkingStaticTls, Postfix, EximDaemon, EximInetd, Opensmtpd, Aiosmtpd, Mailfront,
    *FILTERED, *units.UNITS)}
