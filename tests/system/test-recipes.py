#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""The recipes of postern-guide(7) and the other manual pages, with their own text: each fulfils its purpose, and
prevents misuse. Postfix and Exim have a file of their own (test-mail-servers.py)."""

import base64
import re
import socket

import harness
import recipes
from harness import RECIPIENT, SENDER, Client, Site
from machine import server

INFO = "info@example.org"


def guide(section, words=""):
    return recipes.block(recipes.GUIDE, section, words)


def client_from(place, address, **options):
    """A client of that address, as an inetd passes it."""
    ours, theirs = socket.socketpair()
    with theirs:
        place.spawn(theirs, env=harness.environment(TCPREMOTEIP=address, TCPREMOTEPORT="4711"), **options)
    return Client(ours)


# Behind HAProxy: on one machine with both addresses


HOSTS = ("192.0.2.10", "192.0.2.25", "192.0.2.77", "192.0.2.99")
FRAME = """\
defaults
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    timeout check 5s
    source 192.0.2.10
"""


class BehindHAProxy:
    def __init__(self, settings=True):
        for host in HOSTS:
            assert harness.run("nsenter", "--net=/proc/thread-self/ns/net", "ip", "addr", "add", f"{host}/32",
                               "dev", "lo").returncode == 0
        self.place = Site()
        if settings:
            recipes.settings(self.place, guide("Behind HAProxy", "/etc/postern/postern.conf"))
        self.listener = harness.Listener(self.place, "192.0.2.25")
        text = guide("Behind HAProxy", "where HAProxy runs")
        assert "bind :25\n" in text and "192.0.2.25:25 " in text, text
        text = text.replace("bind :25\n", "bind 192.0.2.10:25\n")
        text = text.replace("192.0.2.25:25 ", f"192.0.2.25:{self.listener.port} ")
        path = self.place.dir / "haproxy.cfg"
        path.write_text(f"global\n    stats socket {self.place.dir}/stats\n{FRAME}{text}")
        harness.start(harness.packages() / "haproxy/usr/sbin/haproxy", "-db", "-f", path,
                      env=harness.with_libraries())
        harness.eventually(self.status, "HAProxy listens")

    def status(self):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(harness.PATIENCE)
            try:
                s.connect(f"{self.place.dir}/stats")
            except OSError:
                return ""
            s.sendall(b"show stat smtp 4 -1\n")
            text = b"".join(iter(lambda: s.recv(65536), b"")).decode()
        names, values = text.lstrip("# ").splitlines()[:2]
        return dict(zip(names.split(","), values.split(",")))["status"]

    def connect(self, client="192.0.2.77", to="192.0.2.10", port=25):
        return Client(socket.create_connection((to, port), harness.PATIENCE, (client, 0)))


def test_haproxy_names_the_client_and_finds_the_server_up():
    with harness.own_network():
        here = BehindHAProxy()
        harness.eventually(lambda: here.status().startswith("UP"), "the check passes")
        client = here.connect()
        client.expect(220)
        client.ehlo()
        harness.equal(client.message(harness.sample()).code, 250)
        client.quit()
        message, = here.place.records("message")
        harness.equal(message["peer"], "192.0.2.77")
        session = [r for r in here.place.records("session") if r["peer"] == "192.0.2.77"][0]
        harness.equal(session["proxy"], "192.0.2.10")


def test_no_other_host_can_name_a_client():
    with harness.own_network():
        here = BehindHAProxy()
        client = here.connect("192.0.2.99", "192.0.2.25", here.listener.port)
        client.expect(220)
        client.say("PROXY TCP4 192.0.2.77 192.0.2.25 4711 25", 500)
        client.quit()
        harness.equal([r["peer"] for r in here.place.records("session") if "proxy" not in r], ["192.0.2.99"])


def test_without_the_setting_haproxy_names_no_client():
    with harness.own_network():
        here = BehindHAProxy(settings=False)
        client = here.connect()
        client.send("EHLO client.example.net\r\n")
        client.rest()
        assert "192.0.2.77" not in here.place.log_text(), here.place.log_text()


# Users


def with_users():
    """What the guide's commands make, with a folder in the place of /etc/postern, which is the credentials', too."""
    harness.need("gsasl")
    place = Site(pair=harness.pair())
    script = guide("User names and passwords", "As root:").replace("apt-get install -y gsasl\n", "")
    done = harness.run("sh", "-ec", script.replace("/etc/postern", str(place.dir)), input="secret\nsecret\n")
    harness.equal(done.returncode, 0, done.stdout)
    settings = "".join(block.text for block in recipes.manual(recipes.GUIDE)
                       if block.section == "User names and passwords" and "/etc/postern/postern.conf" in block.lead)
    (place.dir / "senders").write_text(guide("User names and passwords", "/etc/postern/senders"))
    recipes.settings(place, settings, auth_senders=place.dir / "senders")
    return place


def logged_in(place, password="secret", code=235):
    client = place.connect(env=harness.environment(CREDENTIALS_DIRECTORY=str(place.dir)))
    client.ehlo()
    client.starttls()
    client.ehlo()
    client.say(f"MAIL FROM:<{SENDER}>", 530)
    client.say("AUTH PLAIN " + base64.b64encode(f"\0scanner\0{password}".encode()).decode(), code)
    return client


def test_the_scanner_logs_in_and_sends():
    place = with_users()
    harness.equal([(place.dir / name).stat().st_mode & 0o077 for name in ("users", "auth-secret")], [0, 0])
    client = logged_in(place)
    harness.equal(client.message(harness.sample(), "scanner@example.org").code, 250)
    client.quit()
    harness.equal(place.records("message")[0]["user"], "scanner")


def test_the_scanner_sends_from_no_other_address():
    client = logged_in(with_users())
    client.say("MAIL FROM:<alice@example.org>", 553)
    client.say("MAIL FROM:<user@lists.example.org>", 553)


def test_another_password_is_none():
    client = logged_in(with_users(), "Secret", 535)
    client.say("MAIL FROM:<scanner@example.org>", 530)


# Rules for clients

OLD = "An old device without TLS"


def with_rules():
    place = Site(pair=harness.pair())
    (place.dir / "clients").write_text(guide(OLD, "/etc/postern/clients"))
    return recipes.settings(place, guide(OLD, "/etc/postern/postern.conf"), clients=place.dir / "clients")


def test_the_scanner_sends_in_the_clear():
    place = with_rules()
    client = client_from(place, "192.0.2.17")
    client.expect(220)
    client.ehlo()
    harness.equal(client.message(harness.sample()).code, 250)


def test_no_other_client_sends_in_the_clear():
    place = with_rules()
    for address in ("192.0.2.18", "192.0.2.19", "203.0.113.1"):
        client = client_from(place, address)
        client.expect(220)
        client.ehlo()
        client.say(f"MAIL FROM:<{SENDER}>", 530)
    harness.equal(place.everything(), [])


def test_the_denied_network_gets_the_text_and_no_other():
    place = with_rules()
    client = client_from(place, "198.51.100.200")
    client.expect(554, "No mail from there; see https://example.org/mail")
    client.expect_end()
    client_from(place, "198.51.101.1").expect(220)


def test_the_rules_of_the_manual_are_in_order():
    place = Site(pair=harness.pair(), tls="required")
    text = recipes.block("postern.conf.5", "THE CLIENTS FILE")
    (place.dir / "clients").write_text(text)
    place.set(clients=place.dir / "clients")
    client_from(place, "198.51.100.25").expect(220)  # the exception
    client_from(place, "198.51.100.26").expect(554)


# Addresses

TABLE = "Which addresses exist"


@harness.table(text="recipients", cdb="recipients.cdb")
def test_mail_goes_where_the_table_says(name):
    place = Site(maildir=None, maildir_create=None)
    path = place.dir / "recipients"
    path.write_text(guide(TABLE, "For example, in /etc/postern/recipients"))
    recipes.settings(place, guide(TABLE, "The settings for it"), recipients=path)
    place.set(maildir=f"{place.root}/%u")
    if name.endswith("cdb"):
        command = guide(TABLE, "should be a cdb").strip().replace("/etc/postern", str(place.dir))
        done = harness.run("sh", "-c", f"PATH={harness.build}/src:$PATH; {command}")
        harness.equal((done.returncode, done.stdout), (0, ""))
        # the last block for that file: the lead is that alone
        block = [b for b in recipes.manual(recipes.GUIDE)
                 if b.section == TABLE and b.lead == "In /etc/postern/postern.conf :"]
        recipes.settings(place, block[0].text, recipients=f"{path}.cdb")
    for part in ("tmp", "cur", "new"):
        (place.root / "com/any" / part).mkdir(parents=True)
    client = place.connect()
    client.ehlo()
    client.say(f"MAIL FROM:<{SENDER}>", 250)
    # a name that a stranger has made up makes no Maildir: its mail goes to the catch-all
    for address, code in (("made-up@example.com", 250), ("info+tickets@example.org", 250), ("sales@example.org", 250), ("scanner@example.org", 530),
                          ("old@example.com", 550), ("any@example.com", 250), ("postmaster@example.com", 250),
                          ("nobody@example.org", 250), ("info@example.net", 550)):
        client.say(f"RCPT TO:<{address}>", code)
    client.say("DATA", 354)
    harness.equal(client.content(harness.sample()).code, 250)
    client.quit()
    boxes = sorted(str(p.parent.parent.relative_to(place.root)) for p in place.root.glob("**/new/*"))
    harness.equal(boxes, ["admin", "com/any", "info", "unknown"])


# Traces


def test_the_client_that_is_named_is_traced_and_no_other():
    folder = harness.scratch()
    place = recipes.settings(Site(), guide("Traces", "/etc/postern/postern.conf"), trace_directory=folder)
    for address in ("192.0.2.18", "192.0.2.17"):
        client = client_from(place, address)
        client.expect(220)
        client.ehlo()
        harness.equal(client.message(harness.sample()).code, 250)
        client.quit()
    harness.eventually(lambda: len(place.records("session")) == 2, "both sessions")
    trace, = folder.iterdir()
    harness.contains(trace.name, "192.0.2.17")
    text = trace.read_text()
    harness.contains(text, "C: EHLO client.example.net")
    assert "line 1" not in text, "of the message the header alone"


# cron, which has a short PATH


def command_of(line):
    """User and command of a line of /etc/cron.d."""
    assert re.match(r"(\S+ +){5}\S+ +\S", line) and "%" not in line, line
    return re.split(r" +", line.strip(), maxsplit=6)[5:]


def by_cron(command, **options):
    return harness.run("sh", "-c", command, env={"PATH": "/usr/bin:/bin", "HOME": "/"}, **options)


def test_cron_sends_the_reports():
    user, command = command_of(guide("Delivery reports by cron", "/etc/cron.d/"))
    _, as_in_manual = command_of(recipes.block("postern-outbox.8", "EXAMPLES", "Without, in"))
    harness.equal((user, as_in_manual), ("vmail", command))
    outbox = harness.scratch() / "outbox"
    make = guide("Delivery reports by cron", "For the outbox").replace("-o vmail -g vmail", "")
    assert by_cron(make.replace("/var/spool/postern/outbox", str(outbox))).returncode == 0
    program = "/usr/local/sbin/postern-outbox"
    assert command.startswith(program + " "), command
    here = command.replace(program, str(harness.build / "src/postern-outbox")).replace(
        "/var/spool/postern/outbox", str(outbox))
    (outbox / "new/1").write_text("To: <user@example.net>\n\nno report\n")
    done = by_cron(here)
    harness.equal(done.returncode, 0, done.stdout)
    harness.contains(done.stdout, "is no delivery report")
    harness.equal([p.name for p in (outbox / "rejected").iterdir()], ["1"])
    harness.equal(by_cron(here).stdout, "", "no mail of cron while nothing is wrong")


def test_cron_writes_the_numbers():
    text = recipes.block("postern-status.1", "EXAMPLES", "Numbers for node_exporter")
    _, command = command_of(text)
    program = "/usr/local/bin/postern-status"
    harness.contains(command, program)
    if not (harness.build / "src/postern-status").exists():
        raise harness.Skip("built without postern-status")
    folder, place = harness.scratch(), Site()
    place.set(log=f"json:{place.dir}/records")
    client = place.connect()
    client.quit()
    status = f"{harness.build}/src/postern-status -c {place.settings_file}"
    command = command.replace("/var/lib/prometheus/postern.totals", str(harness.scratch() / "totals"))
    command = command.replace("/var/lib/prometheus/node-exporter", str(folder)).replace(program, status)
    done = by_cron(command)
    harness.equal((done.returncode, done.stdout), (0, ""))
    harness.equal([p.name for p in folder.iterdir()], ["postern.prom"], "and nothing half written")
    for name in ("postern_sessions{", "postern_recorded_errors_total 0"):
        harness.contains((folder / "postern.prom").read_text(), name)
    broken = command.replace("--openmetrics", "--nonsense")
    assert by_cron(broken).returncode != 0
    harness.contains((folder / "postern.prom").read_text(), "postern_sessions{", "the old numbers stay")


# Without systemd: what is started on port 25 of a machine of its own, with the guide's settings


def without_systemd():
    here = server()
    here.run("systemctl", "stop", "postern.socket")
    harness.at_end(here.run, "systemctl", "start", "postern.socket")
    here.settings(guide("Without systemd", "/etc/postern/postern.conf"))
    if not (here.root / "srv/mail/info").exists():
        script = guide("Without systemd", "a new user and a certificate").replace("apt-get install -y gnutls-bin\n", "")
        for name in ("tls.crt", "tls.key"):
            (here.root / "etc/postern" / name).unlink(missing_ok=True)
        run(here, f"set -e\n{script}")
    for path in (here.root / "srv/mail/info/new").iterdir():
        path.unlink()
    return here


def run(here, command):
    return here.run("env", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "sh", "-c", command)


def serves(here, *command):
    """The mailbox that exists gets mail, another does not."""
    harness.start(harness.HERE / "with-systemd", "run", here.dir, "env",
                  "PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin", *command)
    harness.at_end(here.call, "run", "sh", "-c",
                   "for p in $(ss -Hltnp 'sport = :25' | grep -o 'pid=[0-9]*' | cut -d= -f2 | sort -u); do kill $p; done")

    def reach():
        with harness.in_network_of(here.pid):
            try:
                return socket.create_connection(("127.0.0.1", 25), harness.PATIENCE)
            except OSError:
                return None

    client = Client(harness.eventually(reach, f"{command} listens", 30))
    client.expect(220, "mail.example.org")
    client.ehlo()
    client.starttls()
    client.ehlo()
    client.say(f"MAIL FROM:<{SENDER}>", 250)
    client.say("RCPT TO:<nobody@example.org>", 550)
    client.say("RCPT TO:<info@example.net>", 550)
    client.say(f"RCPT TO:<{INFO}>", 250)
    client.say("DATA", 354)
    harness.equal(client.content(harness.sample()).code, 250)
    client.say("QUIT", 221)
    client.expect_end()
    harness.equal(len(list((here.root / "srv/mail/info/new").iterdir())), 1)


@harness.table(openbsd_inetd=("openbsd-inetd/usr/sbin/inetd", "-i"),
               inetutils_inetd=("inetutils-inetd/usr/sbin/inetutils-inetd", "-d"))
def test_inetd(program, *options):
    here = without_systemd()
    line = guide("inetd", "/etc/inetd.conf")
    harness.contains(recipes.block("postern.8", "EXAMPLES", "/etc/inetd.conf"), line.strip())
    here.write("etc/inetd.conf", line)
    serves(here, str(harness.packages() / program), *options, "/etc/inetd.conf")


def test_xinetd():
    here = without_systemd()
    here.write("etc/xinetd.d/smtp", guide("xinetd", "/etc/xinetd.d/smtp"))
    here.write("etc/xinetd.conf", "includedir /etc/xinetd.d\n")
    serves(here, str(harness.packages() / "xinetd/usr/sbin/xinetd"), "-dontfork", "-f", "/etc/xinetd.conf", "-filelog",
           "/tmp/xinetd", "-pidfile", "/tmp/xinetd.pid")


@harness.table(tcpserver=("tcpserver", "ucspi-tcp"), tcpsvd=("tcpsvd", "ipsvd"))
def test_one_line_in_the_foreground(name, package):
    line, = [line for line in guide("tcpserver, tcpsvd", "One of these runs").splitlines() if line.startswith(name)]
    here = without_systemd()
    serves(here, "sh", "-c", f"exec {harness.packages()}/{package}/usr/bin/{line}")


@harness.table(guide=(recipes.GUIDE, "No other program", ""), manual=("postern-listen.8", "EXAMPLES", "Without systemd"))
def test_postern_listens_itself(page, section, words):
    here = without_systemd()
    serves(here, "sh", "-c", "exec " + recipes.block(page, section, words).strip().removeprefix("# "))


if __name__ == "__main__":
    harness.main()
