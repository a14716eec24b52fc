#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""milters with real filters: rspamd and OpenDKIM of Debian, unpacked and not installed."""

import harness
from harness import SENDER, Site

GTUBE = b"XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
RSPAMD = """
lua = "{share}/rules/rspamd.lua";
options {{ pidfile = "{dir}/pid"; filters = "chartable,dkim,regexp"; control_socket = "{dir}/control mode=0600";
  dns {{ nameserver = "127.0.0.1:9"; timeout = 0.1s; retransmits = 1; }} url_tld = "{share}/effective_tld_names.dat";
  disable_hyperscan = true; }}
logging {{ type = "file"; filename = "{dir}/log"; level = "info"; }}
actions {{ reject = 15; add_header = 6; greylist = 4; }}
worker "rspamd_proxy" {{ bind_socket = "{dir}/milter.sock mode=0666"; milter = yes; timeout = 120s; count = 1;
  upstream "local" {{ default = yes; self_scan = yes; }} }}
modules {{ path = "{share}/plugins/milter_headers.lua"; }}
milter_headers {{ skip_local = false; use = ["x-spamd-result", "x-spam-level"]; }}
"""


def libraries_of(*names):
    found = {str(p.parent) for name in ("libraries", *names) for p in (harness.packages() / name).glob("**/*.so*")}
    return harness.environment(LD_LIBRARY_PATH=":".join(sorted(found)))


def start_rspamd(folder):
    """The path of its socket."""
    unpacked = harness.packages() / "rspamd"
    program, share = unpacked / "usr/bin/rspamd", unpacked / "usr/share/rspamd"
    if not program.exists():
        raise harness.Skip("no rspamd")
    (folder / "rspamd.conf").write_text(RSPAMD.format(dir=folder, share=share))
    paths = {"CONFDIR": folder, "LOCAL_CONFDIR": folder, "DBDIR": folder, "RUNDIR": folder, "LOGDIR": folder,
             "SHAREDIR": share, "RULESDIR": share / "rules", "PLUGINSDIR": share / "plugins",
             "LUALIBDIR": share / "lualib"}
    with open(folder / "output", "wb") as output:
        process = harness.start(program, "-f", "-i", "-c", folder / "rspamd.conf",
                                *(f"--var={name}={path}" for name, path in paths.items()),
                                env=libraries_of("rspamd"), stdout=output, stderr=output)
    harness.at_end(harness.end, process)
    return wait_for(folder / "milter.sock", process, folder / "log")


def start_opendkim(folder):
    """It signs mail of the sender's domain."""
    harness.need("openssl")
    program = harness.packages() / "opendkim/usr/sbin/opendkim"
    if not program.exists():
        raise harness.Skip("no opendkim")
    key = folder / "key.pem"
    harness.equal(harness.run("openssl", "genrsa", "-out", key, "2048").returncode, 0)
    key.chmod(0o600)
    (folder / "opendkim.conf").write_text(
        f"Domain {SENDER.split('@')[1]}\nSelector here\nKeyFile {key}\nMode s\nRequireSafeKeys no\n"
        f"Socket local:{folder}/dkim.sock\nUMask 000\nCanonicalization simple/simple\nSyslog no\n")
    with open(folder / "output", "wb") as output:
        process = harness.start(program, "-f", "-x", folder / "opendkim.conf",
                                env=libraries_of("opendkim"), stdout=output, stderr=output)
    harness.at_end(harness.end, process)
    return wait_for(folder / "dkim.sock", process, folder / "output")


def wait_for(path, process, log):
    def is_there():
        assert process.poll() is None, log.read_text(errors="replace") if log.exists() else "it ended"
        return path.exists()

    harness.eventually(is_there, f"{path}: {log}")
    return path


def site_with(*paths, **settings):
    site = Site(tls="on", **settings)
    filters = site.dir / "milters"
    filters.write_text("".join(f"unix:{path} command-timeout=60s\n" for path in paths))
    return site.set(pair=harness.pair(), milters=filters)


def send(site, data):
    client = site.connect()
    client.ehlo()
    client.starttls()
    client.ehlo()
    reply = client.message(data)
    client.quit()
    return reply


def test_rspamd_adds_its_fields_and_refuses_what_it_knows():
    site = site_with(start_rspamd(harness.scratch()))
    done = harness.run(*site.command(), "--check")
    harness.equal(done.returncode, 0, done.stdout)
    harness.contains(done.stdout, "version 6; actions: ")
    reply = send(site, harness.sample())
    harness.equal(reply.code, 250, str(reply) + site.log_text())
    trace, rest = harness.split_trace(site.only_message().read_bytes())
    harness.contains(rest.decode(errors="replace"), "\nX-Spam")
    harness.equal(rest.split(b"\n\n", 1)[1], harness.sample().replace(b"\r\n", b"\n").split(b"\n\n", 1)[1])
    reply = send(site, harness.sample() + GTUBE + b"\r\n")
    assert reply.code in (550, 554), str(reply)
    harness.equal(len(site.everything()), 1)
    first, second = site.records("message")
    harness.contains(first["filters"], "milter.sock: accept, ")
    harness.equal(second["outcome"], "refused")


def test_opendkim_signs_what_is_stored():
    site = site_with(start_opendkim(harness.scratch()))
    reply = send(site, harness.sample())
    harness.equal(reply.code, 250, str(reply) + site.log_text())
    stored = site.only_message().read_bytes()
    harness.contains(stored.decode(errors="replace"), "DKIM-Signature: v=1; a=rsa-sha256; c=simple/simple; d=example.net")
    body = stored.split(b"\n\n", 1)[1].replace(b"\n", b"\r\n")
    digest = harness.run("sh", "-c", "openssl dgst -sha256 -binary | base64", input=body.decode("utf-8")).stdout
    harness.contains("".join(stored.decode(errors="replace").split()), f"bh={digest.strip()}")


def test_both_one_after_the_other():
    site = site_with(start_rspamd(harness.scratch()), start_opendkim(harness.scratch()))
    reply = send(site, harness.sample())
    harness.equal(reply.code, 250, str(reply) + site.log_text())
    text = site.only_message().read_text(errors="replace")
    harness.contains(text, "\nX-Spam")
    harness.contains(text, "DKIM-Signature: ")
    harness.equal(site.records("message")[0]["filters"].count(" ms"), 2)


if __name__ == "__main__":
    harness.main()
