"""Debian's own Postfix and Exim, each on a machine of its own (with-packages), sending to us."""

import harness
from harness import SENDER

POSTFIX, EXIM = 61001, 61002  # who delivers, as with-packages has them

POSTFIX_MAIN = """\
compatibility_level = 3.6
myhostname = relay.example.net
mydestination =
inet_protocols = ipv4
alias_maps =
maillog_file = /var/log/postfix.log
"""

# Nothing that listens on the network: only what takes a message from here to there.
POSTFIX_MASTER = """\
postlog   unix-dgram n  -  n  -  1  postlogd
pickup    unix  n  -  n  60  1  pickup
cleanup   unix  n  -  n  -   0  cleanup
qmgr      unix  n  -  n  300 1  qmgr
tlsmgr    unix  -  -  n  1000? 1 tlsmgr
rewrite   unix  -  -  n  -   -  trivial-rewrite
bounce    unix  -  -  n  -   0  bounce
defer     unix  -  -  n  -   0  bounce
trace     unix  -  -  n  -   0  bounce
proxymap  unix  -  -  n  -   -  proxymap
smtp      unix  -  -  n  -   -  smtp
lmtp      unix  -  -  {chroot}  -   -  lmtp -v
local     unix  -  n  n  -   -  local
showq     unix  n  -  n  -   -  showq
error     unix  -  -  n  -   -  error
retry     unix  -  -  n  -   -  error
"""


def read_if_there(path):
    return path.read_text(errors="backslashreplace") if path.exists() else ""


class Server:
    """A mail server on a machine of its own that is given one message, and then whatever it is told."""

    def __init__(self, package, folder, script):
        harness.need_root(f"a machine with {package} in it")
        self.log, self.orders = folder / "server.log", folder / "orders"
        self.orders.touch()
        harness.in_a_machine_with(package, folder, script)

    def order(self, command):
        """A command to be carried out on that machine."""
        with open(self.orders, "a", encoding="ascii") as orders:
            orders.write(command + "\n")

    def logged(self, *words):
        """Wait for lines of its log that have all of these words."""

        def found():
            lines = read_if_there(self.log).splitlines()
            return [line for line in lines if all(word in line for word in words)]

        try:
            return harness.eventually(found, f"{words} in the log", 30)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{read_if_there(self.log)[-8000:]}") from None


class Postfix(Server):
    def __init__(self, folder, settings, message, recipients, sender=SENDER, chroot="n", before=""):
        (folder / "main.cf").write_text(POSTFIX_MAIN + settings)
        (folder / "master.cf").write_text(POSTFIX_MASTER.format(chroot=chroot))
        super().__init__("postfix", folder, f"""
            cp {folder}/main.cf {folder}/master.cf /etc/postfix/
            chown postfix /var/lib/postfix
            postfix start || exit
            {before}
            sendmail -i -f {sender} {' '.join(recipients)} <{message}
            tail -f {folder}/orders | sh &
            exec tail -n +1 -f /var/log/postfix.log >{folder}/server.log""")


class Exim(Server):
    def __init__(self, folder, settings, message, recipients, sender=SENDER):
        (folder / "exim4.conf").write_text(settings)
        super().__init__("exim4-daemon-light", folder, f"""
            mkdir -p /etc/exim4 /var/spool/exim4 /var/log/exim4
            chown Debian-exim /var/spool/exim4 /var/log/exim4
            cp {folder}/exim4.conf /etc/exim4/exim4.conf
            exim4 -odf -i -f {sender} {' '.join(recipients)} <{message}
            tail -f {folder}/orders | sh &
            exec tail -n +1 -f /var/log/exim4/mainlog >{folder}/server.log""")
