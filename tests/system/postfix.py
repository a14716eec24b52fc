# SPDX-License-Identifier: ISC
"""Postfix as it is in Debian, on a machine of its own: the settings that all tests of it begin with."""

import harness

MAIN = """\
compatibility_level = 3.6
myhostname = relay.example.net
mydestination =
inet_protocols = ipv4
alias_maps =
maillog_file = /var/log/postfix.log
"""

# Nothing here listens on the network: a test adds an smtpd where it needs one. lmtp(8) logs its dialogue.
MASTER = """\
postlog   unix-dgram n  -  n  -  1  postlogd
pickup    unix  n  -  n  60  1  pickup
cleanup   unix  n  -  n  -   0  cleanup
qmgr      unix  n  -  n  300 1  qmgr
tlsmgr    unix  -  -  n  1000? 1 tlsmgr
rewrite   unix  -  -  n  -   -  trivial-rewrite
bounce    unix  -  -  n  -   0  bounce
defer     unix  -  -  n  -   0  bounce
trace     unix  -  -  n  -   0  bounce
verify    unix  -  -  n  -   1  verify
anvil     unix  -  -  n  -   1  anvil
proxymap  unix  -  -  n  -   -  proxymap
smtp      unix  -  -  n  -   -  smtp
lmtp      unix  -  -  n  -   -  lmtp -v
local     unix  -  n  n  -   -  local
showq     unix  n  -  n  -   -  showq
error     unix  -  -  n  -   -  error
retry     unix  -  -  n  -   -  error
"""
LMTP_IN_A_CHROOT = "lmtp      unix  -  -  y  -   -  lmtp -v\n"  # as Debian has it

# What Debian's package does when it is installed.
INSTALL = """
chown postfix /var/lib/postfix
chgrp postdrop /usr/sbin/postdrop
chmod 2555 /usr/sbin/postdrop
"""


def master(more="", chroot=False):
    """The services, with more of them, and with an lmtp(8) that sees its queue directory alone."""
    services = [line for line in MASTER.splitlines(True) if not (chroot and line.startswith("lmtp "))]
    return "".join(services) + more + (LMTP_IN_A_CHROOT if chroot else "")


def install(folder, settings="", services=MASTER):
    """Shell commands that put it on the machine, with these settings; `folder` is seen there, too."""
    (folder / "main.cf").write_text(MAIN + settings)
    (folder / "master.cf").write_text(services)
    return f"cp {folder}/main.cf {folder}/master.cf /etc/postfix/\n{INSTALL}"


def relay(folder, port, submit):
    """Start it, run the shell command `submit`, and relay what that submits, until the test ends."""
    harness.need_root("a machine with Postfix in it")
    settings = (f"relayhost = [127.0.0.1]:{port}\nsmtp_tls_security_level = encrypt\n"
                "smtp_tls_loglevel = 1\n")
    harness.in_a_machine_with("postfix", folder, f"""
        {install(folder, settings)}
        postfix start || exit
        {submit}
        tail -f /var/log/postfix.log""")
