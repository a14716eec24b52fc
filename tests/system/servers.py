# SPDX-License-Identifier: ISC
"""Debian's Postfix and Exim, each on a machine of its own (with-packages), which send to postern."""

import harness
import postfix
from harness import SENDER

POSTFIX, EXIM = 61001, 61002  # the user that delivers, as in own-mailers

def read_if_there(path):
    return path.read_text(errors="backslashreplace") if path.exists() else ""


class Server:
    """A mail server on a machine of its own that gets one message, and then commands of the test."""

    def __init__(self, package, folder, script, of_file=False):
        harness.need_root(f"a machine with {package} in it")
        self.log, self.orders = folder / "server.log", folder / "orders"
        self.orders.touch()
        self.n_orders = 0
        harness.in_a_machine_with(package, folder, script, of_file)

    def order(self, command):
        """Wait for a command to be carried out on that machine, whose tail may look at it once a second."""
        self.n_orders += 1
        done = self.orders.with_name(f"order.{self.n_orders}")
        with open(self.orders, "a", encoding="ascii") as orders:
            orders.write(f"{command}\ntouch {done}\n")
        harness.eventually(done.exists, command)

    def logged(self, *words):
        """Wait for lines of its log that have all of these words."""

        def found():
            lines = read_if_there(self.log).splitlines()
            return [line for line in lines if all(word in line for word in words)]

        try:
            return harness.eventually(found, f"{words} in the log")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{read_if_there(self.log)[-8000:]}") from None


def submission(sendmail, message, recipients, sender):
    """The command that gives it the message, if there is one."""
    return f"{sendmail} -i -f {sender} {' '.join(recipients)} <{message}" if message else ""


class Postfix(Server):
    def __init__(self, folder, settings, message, recipients, sender=SENDER, chroot=False, services="", before=""):
        installed = postfix.install(folder, settings, postfix.master(services, chroot))
        super().__init__("postfix", folder, f"""
            {installed}
            postfix start || exit
            {before}
            {submission("sendmail", message, recipients, sender)}
            tail -f {folder}/orders | sh &
            exec tail -n +1 -f /var/log/postfix.log >{folder}/server.log""")


def exim_settings(port, *options):
    """Settings of an Exim that hands all mail to this port of the loopback; `options` are lines of its transport."""
    lines = "".join(f"  {option}\n" for option in options)
    return f"""\
primary_hostname = relay.example.net
domainlist local_domains =
acl_not_smtp = accept
begin acl
begin routers
all:
  driver = manualroute
  route_list = * 127.0.0.1
  self = send
  transport = out
begin transports
out:
  driver = smtp
  port = {port}
{lines}begin retry
"""


class Exim(Server):
    """With a port it is a daemon that takes mail there, too."""

    def __init__(self, folder, settings, message, recipients, sender=SENDER, port=None):
        (folder / "exim4.conf").write_text(settings)
        super().__init__("exim4-daemon-light", folder, f"""
            mkdir -p /etc/exim4 /var/spool/exim4 /var/log/exim4
            chown Debian-exim /var/spool/exim4 /var/log/exim4
            install -o Debian-exim /dev/null /var/log/exim4/mainlog
            cp {folder}/exim4.conf /etc/exim4/exim4.conf
            {f"exim4 -bdf -oX {port} &" if port else ""}
            {submission("exim4 -odf", message, recipients, sender)}
            tail -f {folder}/orders | sh &
            exec tail -n +1 -f /var/log/exim4/mainlog >{folder}/server.log""")
