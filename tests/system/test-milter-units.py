#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""milters in the shipped units of a booted systemd, with OpenDKIM of Debian: what postern.conf(5) says of the sockets of
filters is enough, nothing less is, and postern-check names what is missing."""

import sys

import harness
import recipes
from filter_programs import GTUBE
from listening import deliver
from machine import SETTINGS, server

PAGE, SECTION = "postern.conf.5", "Sockets of filters"
LISTENER = "postern-listen.service"
UNITS = harness.table(connection=("postern@.service", 2525), listener=(LISTENER, 2526))
UNIX, INET = "local:/run/opendkim/opendkim.sock", "inet:8891@127.0.0.1"
LINES = {UNIX: "unix:/run/opendkim/opendkim.sock", INET: "inet:127.0.0.1:8891"}


def here_with(socket):
    """The machine, with OpenDKIM at that socket and both units as they are shipped."""
    here = server()
    here.add("opendkim")
    here.run("sh", "-c", "id opendkim >/dev/null 2>&1 || useradd --system opendkim")
    here.run("install", "-d", "-o", "opendkim", "-g", "opendkim", "-m", "755", "/run/opendkim")
    here.run("install", "-d", "-o", "opendkim", "-m", "700", "/etc/dkimkeys")
    here.run("sh", "-c", "[ -e /etc/dkimkeys/key ] || openssl genrsa -traditional -out /etc/dkimkeys/key 2048 && chown opendkim /etc/dkimkeys/key && "
                         "chmod 600 /etc/dkimkeys/key")
    settings = (harness.packages() / "opendkim/etc/opendkim.conf").read_text().replace(UNIX, socket)
    harness.contains(settings, socket)
    settings = settings.replace("TrustAnchorFile", "#")  # of another package, and for verification alone
    here.write("etc/opendkim.conf", settings + "Mode s\nDomain example.net\nSelector here\nKeyFile /etc/dkimkeys/key\n")
    here.run("systemctl", "daemon-reload")
    here.start("opendkim.service")
    harness.at_end(here.run, "sh", "-c", "rm -f /run/opendkim/*")
    here.write("etc/postern/milters", LINES[socket] + "\n")
    harness.at_end(here.run, "rm", "-f", "/etc/postern/milters")
    here.settings(SETTINGS + "milters = /etc/postern/milters\n")
    listen(here)
    return here


def listen(here):
    """The unit of the listener on a port of its own, beside that of connections."""
    here.write("etc/systemd/system/postern-listen.socket.d/port.conf",
               "[Socket]\nListenStream=\nListenStream=127.0.0.1:2526\n")
    here.run("systemctl", "daemon-reload")
    here.start("postern-listen.socket")
    harness.at_end(here.run, "systemctl", "stop", LISTENER)


def signs(here, port):
    """A message through STARTTLS gets its signature."""
    deliver(here.connect(port=port), tls=True)
    text = here.messages()[-1].read_text(errors="replace")
    harness.contains(text, "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/simple; d=example.net")


def defers(here, port):
    client = here.connect(port=port)
    client.ehlo()
    client.say(f"MAIL FROM:<{harness.SENDER}>", 451, "4.3.0")
    client.say("QUIT", 221)
    harness.equal(here.messages(), [])


def check(here, code=0):
    done = here.call("run", "/usr/local/sbin/postern-check")
    harness.equal(done.returncode, code, done.stdout)
    return harness.without_static(done.stdout)


def test_without_the_group_the_socket_is_closed_and_named():
    here = here_with(UNIX)
    for port in (2525, 2526):
        defers(here, port)
    harness.equal(check(here, 1), "postern: /etc/postern/milters:1: unix:/run/opendkim/opendkim.sock cannot connect: "
                  "Permission denied; its group may connect: put SupplementaryGroups= with that into a drop-in of this "
                  "unit; see ls -l /run/opendkim/opendkim.sock\n")


@UNITS
def test_a_drop_in_with_the_group_opens_a_unix_socket(unit, port):
    here = here_with(UNIX)
    here.drop_in(unit, recipes.block(PAGE, SECTION, "with systemctl edit"))
    here.run("systemctl", "try-restart", LISTENER)
    signs(here, port)


@UNITS
def test_a_closed_directory_is_named(unit, port):
    here = here_with(UNIX)
    here.drop_in(unit, recipes.block(PAGE, SECTION, "with systemctl edit"))
    here.run("chmod", "700", "/run/opendkim")
    harness.at_end(here.run, "chmod", "755", "/run/opendkim")
    defers(here, port)
    harness.contains(check(here, 1), "Permission denied; the directory /run/opendkim is closed to the user ")


def test_a_fault_of_one_of_two_services_names_it():
    here = here_with(UNIX)
    here.drop_in("postern@.service", recipes.block(PAGE, SECTION, "with systemctl edit"))
    lines = check(here, 1).splitlines()
    line = "postern: /etc/postern/milters:1: unix:/run/opendkim/opendkim.sock "
    assert any(one.startswith(f"{LISTENER}: {line}cannot connect: ") for one in lines), lines
    assert not any(one.startswith(f"{line}cannot connect: ") for one in lines), lines


def test_a_filter_that_does_not_run_is_named():
    here = here_with(UNIX)
    here.run("systemctl", "stop", "opendkim.service")
    here.run("rm", "-f", "/run/opendkim/opendkim.sock")
    harness.contains(check(here, 1), "opendkim.sock cannot connect: No such file or directory; the filter makes it")


def test_a_connection_of_its_own_reaches_the_loopback():
    signs(here_with(INET), 2525)


def install_loopback(here):
    """As the manual has it."""
    block = recipes.block(PAGE, SECTION, "opens the loopback")
    harness.at_end(here.run, "systemctl", "daemon-reload")
    harness.at_end(here.run, "rm", "-f", f"/etc/systemd/system/{LISTENER}.d/milters-loopback.conf")
    here.run("sh", "-e", "-c", block)


def test_a_listener_reaches_no_loopback_as_it_is_shipped():
    here = here_with(INET)
    defers(here, 2526)
    said = check(here, 1)
    # RestrictAddressFamilies= has no effect on i386: systemd.exec(5)
    why = "not connected within " if sys.maxsize < 2**32 else "cannot connect: Address family not supported by protocol; "
    harness.contains(said, f"postern: /etc/postern/milters:1: inet:127.0.0.1:8891 {why}")
    harness.contains(said, "its drop-in milters-loopback.conf, see THE MILTERS FILE in postern.conf(5)")


def test_the_shipped_drop_in_opens_the_loopback_to_a_listener():
    here = here_with(INET)
    install_loopback(here)
    signs(here, 2526)
    harness.contains(check(here), "no fault: ")


@harness.table(network="PrivateNetwork=yes", addresses="IPAddressAllow=")
def test_half_of_the_drop_in_is_named(text):
    here = here_with(INET)
    install_loopback(here)
    here.drop_in(LISTENER, f"[Service]\n{text}\n")
    here.run("systemctl", "try-restart", LISTENER)
    defers(here, 2526)
    harness.contains(check(here, 1), "its drop-in milters-loopback.conf")


def test_the_shipped_drop_in_opens_no_other_address():
    here = here_with(INET)
    install_loopback(here)
    here.run("ip", "address", "add", "192.0.2.1/32", "dev", "lo")
    harness.at_end(here.run, "ip", "address", "del", "192.0.2.1/32", "dev", "lo")
    here.write("etc/opendkim.conf", (here.root / "etc/opendkim.conf").read_text().replace(INET, "inet:8891@192.0.2.1"))
    here.run("systemctl", "restart", "opendkim.service")
    here.write("etc/postern/milters", "inet:192.0.2.1:8891\n")
    defers(here, 2526)
    signs(here, 2525)


# What systemd-analyze finds in the listener's unit with the drop-in, and why it stays.
EXPOSED = {
    "SystemCallFilter=~@privileged": "capset, by which each process gives up its capabilities",
    "RootDirectory=/RootImage=": "it delivers to the host's files",
    "RestrictAddressFamilies=~AF_UNIX": "the journal, and filters with UNIX sockets",
    "RestrictAddressFamilies=~AF_(INET|INET6)": "the drop-in is for this",
    "PrivateNetwork=": "the drop-in is for this",
    "DeviceAllow=": "the clock, which ProtectClock= lets be read",
    "IPAddressDeny=": "the loopback alone is allowed",
}


def test_the_drop_in_exposes_the_listener_to_what_it_needs_alone():
    here = here_with(INET)
    install_loopback(here)
    done = here.call("run", "systemd-analyze", "security", "--no-pager", "--threshold=10", LISTENER)
    harness.equal(done.returncode, 0, done.stdout)
    found = {line.split()[1] for line in done.stdout.splitlines() if line.startswith("\u2717")}
    harness.equal(found, set(EXPOSED))


def test_systemd_finds_the_drop_in_right():
    here = here_with(INET)
    install_loopback(here)
    done = here.call("run", "systemd-analyze", "verify", "--man=no", LISTENER)
    harness.equal((done.returncode, done.stdout), (0, ""))


# contrib/rspamd

RSPAMD = recipes.ROOT / "contrib/rspamd"
JUNK = b"X-Test: junk\r\n"
# mail with that field is probably spam, whatever else it has; and no pattern is compiled for a minute
RULE = """
rspamd_config:register_symbol({ name = "TEST_JUNK", type = "normal", score = 50.0,
  callback = function(task) return task:get_header("X-Test") == "junk" end })
"""
OPTIONS = {"rspamd.lua": RULE, "actions.conf": "reject = 500;\n", "options.inc": "disable_hyperscan = true;\n"}
CHECK_PATH = "PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"


def block_of_readme(words):
    """The only indented block that has these words."""
    found = [b for b in (RSPAMD / "README.md").read_text().split("\n\n") if b.startswith("    ") and words in b]
    harness.equal(len(found), 1, f"{words}: {found}")
    return "".join(line[4:] + "\n" for line in found[0].splitlines())


def here_with_rspamd():
    """The machine as README.md of contrib/rspamd has it; apt-get has done no more than unpack and make a user."""
    here = server()
    here.add("rspamd", "redis-server", "redis-tools")
    here.run("sh", "-c", "id _rspamd >/dev/null 2>&1 || useradd --system _rspamd")
    here.run("install", "-d", "-o", "_rspamd", "/var/lib/rspamd", "/var/log/rspamd")
    here.run("systemd-run", "-q", "--unit=test-redis", "redis-server", "--save", "")
    harness.at_end(here.run, "systemctl", "stop", "test-redis")
    for name, text in OPTIONS.items():
        here.write(f"etc/rspamd/local.d/{name}", text)
    harness.contains(block_of_readme("apt-get"), "\ncontrib/rspamd/install\n")
    here.settings(SETTINGS.replace("maildir = %d/%u", "maildir = %u") + "recipients = /etc/postern/recipients\n"
                  + block_of_readme("subaddress-delimiter"))
    here.write("etc/postern/recipients", block_of_readme("info/.Junk") + f"sales@{harness.DOMAIN}\n")
    harness.at_end(here.run, "sh", "-c", "systemctl stop rspamd; rm -rf /etc/rspamd/rspamd.local.lua /etc/postern/milters "
                   "/etc/systemd/system/postern*.service.d/rspamd.conf /var/lib/postern/*")
    harness.contains(here.run("env", CHECK_PATH, RSPAMD / "install"), "no fault: ")
    listen(here)
    return here


def addressed(here, port, recipient, header=b"", body=b"", code=250):
    client = here.connect(port=port)
    client.ehlo()
    client.starttls()
    client.ehlo()
    reply = client.message(header + harness.sample() + body, recipients=(f"{recipient}@{harness.DOMAIN}",))
    harness.equal(reply.code, code, str(reply))
    client.say("QUIT", 221)


def boxes(here):
    """Each message below the mail root by its mailbox: those that are marked as junk, and the others."""
    found = {}
    root = here.root / "var/lib/postern"
    for path in root.glob("**/new/*"):
        marked = b"\nX-Spam: Yes\n" in path.read_bytes()
        found.setdefault(str(path.parent.parent.relative_to(root)), []).append(marked)
    return found


@harness.table(connection=2525, listener=2526)
def test_rspamd_puts_junk_into_a_folder(port):
    here = here_with_rspamd()
    addressed(here, port, "info")
    harness.equal(boxes(here), {"info": [False]})
    addressed(here, port, "info", JUNK)
    addressed(here, port, "info+list", JUNK)
    harness.equal(boxes(here), {"info": [False], "info/.Junk": [True, True]})
    # no line for that
    addressed(here, port, "sales", JUNK)
    harness.equal(boxes(here), {"info": [False], "info/.Junk": [True, True], "sales": [True]})
    addressed(here, port, "info", body=GTUBE, code=554)
    harness.equal(len(boxes(here)), 3)


def test_the_installation_of_rspamd_changes_no_file_of_an_administrator():
    here = here_with_rspamd()
    here.write("etc/rspamd/local.d/redis.conf", 'servers = "192.0.2.1";\n')
    harness.at_end(here.run, "rm", "/etc/rspamd/local.d/redis.conf")
    harness.contains(here.run("env", CHECK_PATH, RSPAMD / "install"), "/etc/rspamd/local.d/redis.conf: is there already")
    harness.contains((here.root / "etc/rspamd/local.d/redis.conf").read_text(), "192.0.2.1")


if __name__ == "__main__":
    harness.main()
