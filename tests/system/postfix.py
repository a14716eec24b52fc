"""Postfix as it is in Debian, on a machine of its own, passing mail on to a port of this one."""

import harness

MAIN = """\
compatibility_level = 3.6
myhostname = relay.example.net
mydestination =
relayhost = [127.0.0.1]:{port}
inet_protocols = ipv4
smtp_tls_security_level = encrypt
smtp_tls_loglevel = 1
maillog_file = /var/log/postfix.log
"""

# Nothing that listens on the network: only what takes a message from here to there.
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
proxymap  unix  -  -  n  -   -  proxymap
smtp      unix  -  -  n  -   -  smtp
showq     unix  n  -  n  -   -  showq
error     unix  -  -  n  -   -  error
retry     unix  -  -  n  -   -  error
"""


def relay(folder, port, submit):
    """Start it, run the shell command `submit`, and relay what that submits, until the test ends."""
    harness.need_root("a machine with Postfix in it")
    (folder / "main.cf").write_text(MAIN.format(port=port))
    (folder / "master.cf").write_text(MASTER)
    harness.in_a_machine_with("postfix", folder, f"""
        cp {folder}/main.cf {folder}/master.cf /etc/postfix/
        chown postfix /var/lib/postfix
        postfix start || exit
        {submit}
        tail -f /var/log/postfix.log""")
