# SPDX-License-Identifier: ISC
"""Filters of Debian, unpacked and not installed, each with the few settings that a test needs. A function starts one and
returns the path of its socket."""

import contextlib
import socket
import struct
import sys
import threading

import harness
from harness import HERE, HOST, SENDER

SENDER_DOMAIN = SENDER.split("@")[1]
GTUBE = b"XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n"
# in two parts, so that no scanner finds it here
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD" + b"-ANTIVIRUS-TEST-FILE!$H+H*\r\n"
RSPAMD = """
lua = "{dir}/rspamd.lua";
options {{ pidfile = "{dir}/pid"; filters = "chartable,dkim,regexp"; control_socket = "{dir}/control mode=0600";
  dns {{ nameserver = "127.0.0.1:9"; timeout = 0.1s; retransmits = 1; }} url_tld = "{share}/effective_tld_names.dat";
  disable_hyperscan = true; }}
logging {{ type = "file"; filename = "{dir}/log"; level = "info"; }}
actions {{ reject = 15; add_header = 6; greylist = 4; }}
worker "rspamd_proxy" {{ bind_socket = "{dir}/milter.sock mode=0666"; milter = yes; timeout = 120s; count = 1;
  upstream "local" {{ default = yes; self_scan = yes; }} }}
modules {{ path = "{share}/plugins/milter_headers.lua"; {modules} }}
milter_headers {{ skip_local = false; use = ["x-spamd-result", "x-spam-level"]; }}
{more}
"""
GREYLISTED = b"X-Test: greylisted\r\n"
GREYLIST = """
redis {{ servers = "{redis}"; timeout = 10s; }}
greylist {{ timeout = 1; check_local = true; message = "Try again later"; }}
"""
RULES = """
dofile("{share}/rules/rspamd.lua")
rspamd_config.TEST_GREYLISTED = {{ score = 5.0,
  callback = function(task) return task:get_header("X-Test") == "greylisted" end }}
"""


def unpacked(package, name):
    program = harness.packages() / package / name
    if not program.exists():
        raise harness.Skip(f"no {package}")
    return program


def libraries_of(*names, **more):
    found = {str(p.parent) for name in ("libraries", *names) for p in (harness.packages() / name).glob("**/*.so*")}
    return harness.environment(LD_LIBRARY_PATH=":".join(sorted(found)), **more)


def started(folder, path, log, *command, **options):
    """The path, when the program has made a socket there."""
    with open(folder / "output", "ab") as output:
        process = harness.start(*command, stdout=output, stderr=output, **options)

    def is_there():
        said = log.read_text(errors="replace") if log.exists() else ""
        assert process.poll() is None, said + (folder / "output").read_text(errors="replace")
        return path.exists()

    harness.eventually(is_there, f"{path}: {log}")
    return path


def redis():
    folder = harness.scratch()
    # one program with several names
    return started(folder, folder / "redis.sock", folder / "output", "redis-server", "--port", 0,
                   "--unixsocket", folder / "redis.sock", "--save", "", "--dir", folder,
                   executable=unpacked("redis-tools", "usr/bin/redis-check-rdb"), env=libraries_of("redis-tools"))


def rspamd(modules="", more=""):
    folder = harness.scratch()
    program, share = unpacked("rspamd", "usr/bin/rspamd"), unpacked("rspamd", "usr/share/rspamd")
    modules = "".join(f'path = "{share}/plugins/{name}.lua"; ' for name in modules.split())
    (folder / "rspamd.conf").write_text(RSPAMD.format(dir=folder, share=share, modules=modules, more=more))
    (folder / "rspamd.lua").write_text(RULES.format(share=share))
    paths = {"CONFDIR": folder, "LOCAL_CONFDIR": folder, "DBDIR": folder, "RUNDIR": folder, "LOGDIR": folder,
             "SHAREDIR": share, "RULESDIR": share / "rules", "PLUGINSDIR": share / "plugins",
             "LUALIBDIR": share / "lualib"}
    return started(folder, folder / "milter.sock", folder / "log", program, "-f", "-i", "-c", folder / "rspamd.conf",
                   *(f"--var={name}={path}" for name, path in paths.items()), env=libraries_of("rspamd"))


def rspamd_with_greylisting():
    return rspamd("greylist", GREYLIST.format(redis=redis()))


def rsa_key(folder):
    harness.need("openssl")
    key = folder / "key.pem"
    harness.equal(harness.run("openssl", "genrsa", "-traditional", "-out", key, "2048").returncode, 0)
    key.chmod(0o600)
    return key


def opendkim(mode, more=""):
    """It signs (s) mail of the sender's domain, or verifies (v)."""
    folder = harness.scratch()
    program = unpacked("opendkim", "usr/sbin/opendkim")
    if mode == "s":
        more += f"Domain {SENDER_DOMAIN}\nSelector here\nKeyFile {rsa_key(folder)}\n"
    (folder / "opendkim.conf").write_text(
        f"Mode {mode}\nAuthservID {HOST}\nRequireSafeKeys no\nSocket local:{folder}/dkim.sock\nUMask 000\n"
        f"Canonicalization simple/simple\nSyslog no\nAlwaysAddARHeader yes\n{more}")
    return started(folder, folder / "dkim.sock", folder / "output", program, "-f", "-x", folder / "opendkim.conf",
                   env=libraries_of("opendkim"))


def opendmarc():
    """It refuses what the policy of the sender's domain wants refused."""
    folder = harness.scratch()
    program = unpacked("opendmarc", "usr/sbin/opendmarc")
    (folder / "ignored").write_text("192.0.2.99\n")
    (folder / "opendmarc.conf").write_text(
        f"AuthservID {HOST}\nTrustedAuthservIDs {HOST}\nRejectFailures true\n"
        f"IgnoreHosts {folder}/ignored\nSocket local:{folder}/dmarc.sock\nUMask 0000\nSyslog false\n")
    return started(folder, folder / "dmarc.sock", folder / "output", program, "-f", "-c", folder / "opendmarc.conf",
                   env=libraries_of("opendmarc"))


def clamav_milter():
    """With one signature, and a clamd of its own."""
    folder = harness.scratch()
    clamd, milter = unpacked("clamav-daemon", "usr/sbin/clamd"), unpacked("clamav-milter", "usr/sbin/clamav-milter")
    (folder / "database").mkdir()
    (folder / "database/test.ndb").write_text(f"Test-Eicar:0:*:{EICAR.strip().hex()}\n")
    (folder / "clamd.conf").write_text(
        f"DatabaseDirectory {folder}/database\nLocalSocket {folder}/clamd.sock\nForeground yes\nUser root\n")
    (folder / "milter.conf").write_text(
        f"MilterSocket unix:{folder}/milter.sock\nMilterSocketMode 666\nClamdSocket unix:{folder}/clamd.sock\n"
        f"Foreground yes\nUser root\nOnInfected Reject\nRejectMsg Virus %v found\nAddHeader Replace\n")
    env = libraries_of("clamav-daemon", "clamav-milter")
    started(folder, folder / "clamd.sock", folder / "output", clamd, "-c", folder / "clamd.conf", env=env)
    return started(folder, folder / "milter.sock", folder / "output", milter, "-c", folder / "milter.conf", env=env)


SPAMASSASSIN = ("spamass-milter", "spamc", "spamd", "spamassassin", "libhtml-parser-perl", "libsocket6-perl",
                "libnet-dns-perl", "libnetaddr-ip-perl", "libhttp-date-perl", "libmail-dkim-perl",
                "libsys-hostname-long-perl", "libtimedate-perl")


def spamass_milter():
    """On a machine of its own, as it starts /usr/bin/spamc; it refuses what has 15 points."""
    harness.need_root("a machine with SpamAssassin")
    for package in SPAMASSASSIN:
        unpacked(package, "usr")
    folder = harness.scratch()
    path = folder / "spam.sock"
    harness.in_a_machine_with(",".join(SPAMASSASSIN), folder, f"""
ldconfig
spamd --local --nouser-config --username=nobody --max-children=1 --socketpath={folder}/spamd.sock &
umask 0
exec spamass-milter -p {path} -r 15 -- --socket={folder}/spamd.sock
""")
    for socket_ in (folder / "spamd.sock", path):
        try:
            harness.eventually(socket_.exists, f"{socket_}")
        except AssertionError as fault:
            raise AssertionError(f"{fault}\n{(folder / 'machine.log').read_text(errors='replace')}") from None
    return path


def greylisting():
    """A script of our own on libmilter."""
    folder = harness.scratch()
    python = unpacked("python3-milter", "usr/lib/python3/dist-packages")
    return started(folder, folder / "grey.sock", folder / "output", "/usr/bin/python3", HERE / "greylisting.py",
                   folder / "grey.sock", env=libraries_of("python3-milter", PYTHONPATH=str(python)))


class Names:
    """A name server on port 53 of the loopback: texts by name, and nothing else exists. For a network of the test's own."""

    def __init__(self, **texts):
        self.texts = texts
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 53))
        self.socket.settimeout(0.1)
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()
        harness.at_end(self.close)
        resolv = harness.scratch() / "resolv.conf"
        resolv.write_text("nameserver 127.0.0.1\n")
        harness.mount("--bind", resolv, "/etc/resolv.conf")
        harness.at_end(harness.run, "umount", "/etc/resolv.conf")

    def serve(self):
        while not self.is_over.is_set():
            with contextlib.suppress(TimeoutError):
                query, client = self.socket.recvfrom(4096)
                self.socket.sendto(self.answer(query), client)

    def close(self):
        """When no thread has the descriptor, whose number may become another socket's."""
        self.is_over.set()
        self.thread.join()
        self.socket.close()

    def answer(self, query):
        at, labels = 12, []
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        question = query[12:at + 5]
        text = self.texts.get(".".join(labels).lower())
        if text is None or question[-4:-2] != b"\0\x10":
            return query[:2] + struct.pack(">HHHHH", 0x8580 | (3 if text is None else 0), 1, 0, 0, 0) + question
        pieces = [text[n:n + 255].encode() for n in range(0, len(text), 255)]
        data = b"".join(bytes([len(piece)]) + piece for piece in pieces)
        record = b"\xc0\x0c" + struct.pack(">HHIH", 16, 1, 60, len(data)) + data
        return query[:2] + struct.pack(">HHHHH", 0x8580, 1, 1, 0, 0) + question + record


def public_key(key):
    """As a record of DKIM has it."""
    done = harness.run("openssl", "rsa", "-in", key, "-pubout")
    return "v=DKIM1; k=rsa; p=" + "".join(line for line in done.stdout.splitlines() if " " not in line)


def signed(data, key, selector="there"):
    """The message with a signature of simple/simple canonicalization, by python3-dkim."""
    for package in ("python3-dkim", "python3-dnspython"):
        sys.path.append(str(unpacked(package, "usr/lib/python3/dist-packages")))
    import dkim

    return dkim.sign(data, selector.encode(), SENDER_DOMAIN.encode(), key.read_bytes(),
                     canonicalize=(b"simple", b"simple")) + data
