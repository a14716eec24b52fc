#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""The recipes for Postfix and Exim in postern-guide(7) and postern(8), unchanged: known addresses are delivered by
LMTP, unknown ones are refused at RCPT and nothing is returned to a sender that may be forged, and mail waits while
postern is down."""

import re
import shutil

import harness
import postfix
import recipes
import servers
from harness import DOMAIN, Client, Site

FORGED = "forged@example.net"
CLIENT = "127.0.0.2"  # not in mynetworks below
POSTFIX, EXIM = "Behind Postfix", "Behind Exim"
SMTPD = "smtp inet n - n - - smtpd\n"
# Only what the test needs of its own: the client is a foreign one, and there is no DNS here.
FOREIGN = "mynetworks = 127.0.0.1/32\nsmtpd_peername_lookup = no\n"


def address(name):
    return f"{name}@{DOMAIN}"


class Backend:
    """postern as the recipe's socket unit starts it, on a machine of the mail server's."""

    def __init__(self, section):
        harness.need("socat")
        self.site = Site(maildir="%u", maildir_create="no")
        recipes.settings(self.site, recipes.block(recipes.GUIDE, section, "/etc/postern/postern.conf"))
        self.site.arguments = ["--lmtp"]
        for name in ("alice", "anna"):
            for part in ("tmp", "cur", "new"):
                (self.site.root / name / part).mkdir(parents=True)
        self.message = self.site.dir / "message"
        self.message.write_bytes(harness.sample().replace(b"\r\n", b"\n"))
        for file in (harness.program(), *harness.program().parent.glob("*.so")):
            shutil.copy(file, self.site.dir)  # the build folder need not be seen there
        self.socket = recipes.block(recipes.GUIDE, section, "systemctl edit postern-lmtp.socket")
        self.pid = self.site.dir / "socat.pid"

    def start(self):
        """A shell command; it leaves the process id of what listens in a file."""
        program = f"{self.site.dir}/{harness.program().name}"
        command = " ".join(["env", f"LD_LIBRARY_PATH={self.site.dir}", program, *self.site.command()[1:]])
        where = recipes.value(self.socket, "ListenStream")
        if where.startswith("/"):
            user = recipes.value(self.socket, "SocketUser")
            listen = f"UNIX-LISTEN:{where},fork,user={user},mode=600,unlink-early"
        else:
            host, port = where.rsplit(":", 1)
            listen = f"TCP-LISTEN:{port},bind={host},fork,reuseaddr"
        return f"socat {listen} EXEC:'{command}',nofork >/dev/null 2>>{self.site.log} & echo $! >{self.pid}\n"

    def stop(self):
        where = recipes.value(self.socket, "ListenStream")
        return f"kill $(cat {self.pid}); rm -f {where if where.startswith('/') else self.pid}"

    def box(self, name):
        return self.site.new(self.site.root / name)

    def outcomes(self):
        return [record["outcome"] for record in self.site.records("message")]


def begin_session(sender=FORGED, parameters=""):
    def reach():
        try:
            return Client.to(25, CLIENT)
        except ConnectionRefusedError:
            return None

    client = harness.eventually(reach, "the mail server listens")
    client.ehlo()
    client.say(f"MAIL FROM:<{sender}>{parameters}", 250)
    return client


def delivers_and_refuses(backend, server, refusal):
    """Both in one transaction; then what the mail server and postern have written about it."""
    client = begin_session()
    client.say(f"RCPT TO:<{address('nobody')}>", 550, refusal)
    client.say(f"RCPT TO:<{address('alice')}>", 250)
    client.say("DATA", 354)
    harness.equal(client.content(harness.sample()).code, 250)
    client.quit()
    harness.eventually(lambda: backend.box("alice"), "the message")
    log = server.log.read_text()
    assert not re.search(rf"(to=<|=> |\*\* ){FORGED}", log), log
    outcomes = harness.eventually(lambda: "delivered" in backend.outcomes() and backend.outcomes(), "records")
    # a check of a known address is called one; of an unknown one the refusal is recorded
    harness.equal(outcomes, ["refused", "checked", "delivered"])
    reasons = [record.get("reason", "") for record in backend.site.records("message")]
    harness.contains(reasons[0], "550 5.1.1")


def behind_postfix(backend, settings=None, more="", message=None, recipients=(), chroot=True):
    main = settings or recipes.block(recipes.GUIDE, POSTFIX, "/etc/postfix/main.cf")
    return servers.Postfix(backend.site.dir, main + FOREIGN + more, message, recipients, sender=address("anna"),
                           chroot=chroot, services=SMTPD, before=backend.start())


@harness.table(in_its_chroot=(True,), without_a_chroot=(False,))
def test_postfix_refuses_unknown_addresses_at_rcpt(chroot):
    with harness.own_network():
        backend = Backend(POSTFIX)
        server = behind_postfix(backend, chroot=chroot)
        delivers_and_refuses(backend, server, "5.1.1")


def other_domains(kind):
    """The block of postern(8) for domains of that kind, with the rest of the guide's."""
    main = recipes.block(recipes.GUIDE, POSTFIX, "/etc/postfix/main.cf")
    rest = re.sub(r"(?m)^(mydestination|virtual_\w+) =.*\n", "", main)
    return recipes.block("postern.8", "EXAMPLES", kind) + rest


@harness.table_of({kind: kind for kind in ("local_transport", "mailbox_transport", "relay_transport")})
def test_postfix_refuses_unknown_addresses_of_other_kinds_of_domains(kind):
    with harness.own_network():
        backend = Backend(POSTFIX)
        server = behind_postfix(backend, other_domains(kind))
        delivers_and_refuses(backend, server, "5.1.1")


def code_of(client, command):
    """Both codes of a reply of one line, which may have UTF-8 in it."""
    client.send(command + "\r\n")
    while b"\n" not in client.buffer:
        client.buffer += client.socket.recv(4096)
    line, client.buffer = client.buffer.split(b"\n", 1)
    return line[:9]


def test_postfix_checks_internationalized_addresses():
    with harness.own_network():
        backend = Backend(POSTFIX)
        known, unknown = "jos\u00e9", "josefa-\u00e9"
        for part in ("tmp", "cur", "new"):
            (backend.site.root / known / part).mkdir(parents=True)
        server = behind_postfix(backend)
        client = begin_session(parameters=" SMTPUTF8")
        harness.equal(code_of(client, f"RCPT TO:<{address(unknown)}>"), b"550 5.1.1")
        harness.equal(code_of(client, f"RCPT TO:<{address(known)}>"), b"250 2.1.5")
        client.say("DATA", 354)
        harness.equal(client.content(harness.sample()).code, 250)
        client.quit()
        server.logged("status=sent", "250 2.6.0 Delivered as")
        harness.equal(len(backend.box(known)), 1)


def test_postfix_defers_while_postern_is_down():
    """Neither a deferred sender nor a message in the queue gets a refusal; and a message that Postfix has
    found out meanwhile does not outlast the fault."""
    with harness.own_network():
        backend = Backend(POSTFIX)
        server = behind_postfix(backend, more="address_verify_negative_expire_time = 1s\n")
        begin_session().say(f"RCPT TO:<{address('alice')}>", 250)  # Postfix remembers her
        server.order(backend.stop())
        client = begin_session()
        client.say(f"RCPT TO:<{address('anna')}>", 450)
        client.say(f"RCPT TO:<{address('alice')}>", 250)
        client.say("DATA", 354)
        harness.equal(client.content(harness.sample()).code, 250)
        server.logged("status=deferred", f"to=<{address('alice')}>")
        assert "status=bounced" not in server.log.read_text()
        server.order(backend.start())

        def accepts(name):
            client.send(f"MAIL FROM:<{FORGED}>\r\nRCPT TO:<{address(name)}>\r\nRSET\r\n")
            return [client.reply().code for _ in range(3)][1] == 250

        harness.eventually(lambda: accepts("anna"), "anna is accepted again")
        server.order("postqueue -f")
        server.logged("status=sent", f"to=<{address('alice')}>")
        harness.equal(len(backend.box("alice")), 1)


def test_postfix_defers_mail_of_its_own_while_postern_is_down():
    """What is submitted on the machine is not checked: it is in the queue, and waits there."""
    with harness.own_network():
        backend = Backend(POSTFIX)
        server = behind_postfix(backend, message=backend.message, recipients=[address("alice")])
        server.logged("status=sent", f"to=<{address('alice')}>")
        server.order(backend.stop())
        server.order(f"sendmail -i -f {address('anna')} {address('alice')} <{backend.message}")
        server.logged("status=deferred", f"to=<{address('alice')}>")
        assert "status=bounced" not in server.log.read_text()
        server.order(backend.start())
        server.order("sleep 1; postqueue -f")
        harness.eventually(lambda: len(backend.box("alice")) == 2, "the message")


EXIM_FRAME = """\
primary_hostname = relay.example.net
log_selector = +smtp_confirmation
domainlist local_domains = {domain}
local_interfaces = 127.0.0.1
acl_smtp_rcpt = check_rcpt
acl_not_smtp = accept
smtp_accept_max = 20
begin acl
check_rcpt:
{acl}
  accept
    domains = +local_domains
begin routers
{router}
begin transports
{transport}
begin retry
* * F,2h,15m
"""


def exim_settings():
    return EXIM_FRAME.format(
        domain=DOMAIN, acl=recipes.block(recipes.GUIDE, EXIM, "verifies recipients"),
        router=recipes.block(recipes.GUIDE, EXIM, "The router of"),
        transport=recipes.block(recipes.GUIDE, EXIM, "The transport of"))


def listen_beside(backend):
    """On this machine, until the end of the test: what listens is no child that ends with its shell."""
    harness.run("sh", "-c", backend.start())
    harness.at_end(harness.run, "sh", "-c", f"kill $(cat {backend.pid}) 2>/dev/null")


def behind_exim(backend, message=None, recipients=()):
    listen_beside(backend)
    return servers.Exim(backend.site.dir, exim_settings(), message, recipients, sender=address("anna"), port=25)


def test_exim_refuses_unknown_addresses_at_rcpt():
    with harness.own_network():
        backend = Backend(EXIM)
        server = behind_exim(backend)
        delivers_and_refuses(backend, server, "No such mailbox here")


def test_exim_defers_while_postern_is_down():
    with harness.own_network():
        backend = Backend(EXIM)
        server = behind_exim(backend, message=backend.message, recipients=[address("alice")])
        server.logged("=> ", address("alice"), "250 2.6.0 Delivered as")
        harness.run("sh", "-c", backend.stop())
        client = begin_session()
        client.say(f"RCPT TO:<{address('anna')}>", 451)
        client.say(f"RCPT TO:<{address('alice')}>", 451)
        server.order(f"exim4 -odf -i -f {address('anna')} {address('alice')} <{backend.message}")
        server.logged(" == ", address("alice"), "Connection refused")
        listen_beside(backend)
        server.order("sleep 1; exim4 -qff")
        harness.eventually(lambda: len(backend.box("alice")) == 2, "the message")
        # and at once, as nothing is cached
        client.say(f"RCPT TO:<{address('anna')}>", 250)
        log = server.log.read_text()
        assert " ** " not in log, log


if __name__ == "__main__":
    harness.main()
