#!/usr/bin/python3
"""The sandbox around whole sessions: what happens where it cannot be entered, which files it leaves, and that no
process with a key leaves a core file."""

import ctypes
import os

import harness
from harness import SENDER, Site

LANDLOCK_CREATE_RULESET, LANDLOCK_RESTRICT_SELF = 444, 446
LAYERS_MAX = 16  # rulesets that the kernel puts one upon another
PR_SET_NO_NEW_PRIVS = 38
MAKE_BLOCK_DEVICE = 1 << 11  # what the layers of a test deny: no session does it


def landlock_abi():
    return ctypes.CDLL(None).syscall(LANDLOCK_CREATE_RULESET, None, 0, 1)


def put_layers(n):
    """Enter that many sandboxes, as a container in a container does."""
    libc = ctypes.CDLL(None, use_errno=True)
    handled = ctypes.c_uint64(MAKE_BLOCK_DEVICE)
    assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    for _ in range(n):
        fd = libc.syscall(LANDLOCK_CREATE_RULESET, ctypes.byref(handled), 8, 0)
        assert fd >= 0 and libc.syscall(LANDLOCK_RESTRICT_SELF, fd, 0) == 0, os.strerror(ctypes.get_errno())
        os.close(fd)


# A stage that cannot be entered


def layers_but(n):
    """The kernel takes n more rulesets and no other."""
    if landlock_abi() < 2:
        raise harness.Skip("no Landlock that serves")
    return {"preexec_fn": lambda: put_layers(LAYERS_MAX - n)}


def failing(call, n):
    """The n-th call of that name fails."""
    harness.need("strace")
    return {"wrap": ("strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}",
                     "-e", f"inject={call}:error=ENOMEM:when={n}")}


def one_error(place, text):
    errors = [r["text"] for r in place.records("error")]
    assert len(errors) == 1 and text in errors[0], errors


@harness.table(
    landlock=("Argument list too long", lambda: layers_but(1)),
    ruleset=("Cannot allocate memory", lambda: failing("landlock_restrict_self", 2)),
    filter=("Cannot allocate memory", lambda: failing("seccomp", 2)),
)
def test_without_its_second_stage_a_session_ends(why, start):
    """At the first MAIL inside TLS, with 421: the next MAIL, sent at once, is not executed."""
    place = Site(tls="on", pair=harness.pair())
    client = place.connect(**start())
    client.ehlo()
    client.starttls()
    client.ehlo()
    client.send(f"MAIL FROM:<{SENDER}>\r\n" * 2 + f"RCPT TO:<{harness.RECIPIENT}>\r\nDATA\r\n")
    client.expect(421, "4.3.5")
    client.expect_end()
    client.wait()
    harness.equal(place.session()["end"], "misconfigured")
    one_error(place, why)
    harness.equal(place.everything(), [])


@harness.table(
    landlock=("Argument list too long", lambda: layers_but(0)),
    filter=("Cannot allocate memory", lambda: failing("seccomp", 1)),
)
def test_without_its_first_stage_no_session_begins(why, start):
    place = Site(tls="off")
    client = place.connect(greeting=False, **start())
    client.expect(421, "4.3.5")
    client.expect_end()
    client.wait()
    one_error(place, why)


if __name__ == "__main__":
    harness.main()
