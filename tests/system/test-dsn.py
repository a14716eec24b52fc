#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Reports of success: a real Postfix requests one, an independent MIME parser reads it, and no fault of the outbox
loses a message."""

import email
import email.policy
import os
import pwd
import shutil

import harness
import outbox
import postfix
from harness import DOMAIN, HOST, RECIPIENT, SENDER, Listener, Site

ENVID = "QQ+314159 at example.net"
ASKED = "NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Printer@Example.ORG"
MESSAGE = (b"Received: from a.example.net\r\n\tby b.example.net\r\nSubject: caf\xc3\xa9\r\n"
           b"From: Sender <" + SENDER.encode() + b">\r\n\r\nHello.\r\n")


class Place(Site):
    """A site with an outbox, which the first session makes."""

    def __init__(self, **settings):
        settings.setdefault("pair", harness.pair())
        super().__init__(**{"tls": "on", **settings})
        self.outbox = self.dir / "outbox"
        self.set(dsn_outbox=self.outbox)

    def only_report(self):
        found = harness.eventually(lambda: self.new(self.outbox), "a report")
        harness.equal(len(found), 1, f"{found}")
        harness.equal(list(self.outbox.glob("tmp/*")), [])
        return found[0]

    def message(self):
        """The record of the only message."""
        found = harness.eventually(lambda: self.records("message"), "a message's record")
        harness.equal(len(found), 1, f"{found}")
        return found[0]


def ask(client, parameters=ASKED, recipient=RECIPIENT, tls=False, message=MESSAGE, sender=SENDER):
    """One message whose delivery is to be reported."""
    assert client.ehlo().has("DSN")
    if tls:
        client.starttls()
        assert client.ehlo().has("DSN")
    client.say(f"MAIL FROM:<{sender}> RET=HDRS ENVID=QQ+2B314159+20at+20example.net", 250)
    client.say(f"RCPT TO:<{recipient}> {parameters}", 250)
    client.say("DATA", 354)
    return client.content(message)


def report_of(path):
    """The report as Python's email package sees it: its text, its groups of fields, its header."""
    text = path.read_bytes()
    assert text.startswith(b"To: <"), text
    assert b"\r" not in text, text
    parsed = email.message_from_bytes(text, policy=email.policy.default)
    parts = list(parsed.walk())
    harness.equal([p.defects for p in parts], [[]] * len(parts))
    harness.equal(parsed.get_content_type(), "multipart/report")
    harness.equal(parsed.get_param("report-type"), "delivery-status")
    human, status, header = parsed.iter_parts()
    harness.equal(human.get_content_type(), "text/plain")
    harness.equal(status.get_content_type(), "message/delivery-status")
    harness.equal(header.get_content_type(), "text/rfc822-headers")
    return parsed, human.get_content(), status.get_payload(), header.get_payload(decode=True)


def test_a_parser_that_is_not_ours_reads_the_report():
    place = Place()
    client = place.connect()
    harness.equal(ask(client).code, 250)
    client.quit()
    report, human, (message, recipient), header = report_of(place.only_report())
    harness.equal(report["To"].addresses[0].addr_spec, SENDER)
    harness.equal(report["From"].addresses[0].addr_spec, f"postmaster@{HOST}")
    harness.equal(report.get_all("Auto-Submitted"), ["auto-replied"])
    harness.equal(len(report.get_all("Content-Type")), 1)
    harness.equal(report["Return-Path"], None)
    assert report["Date"].datetime and report["Message-ID"] and report["Subject"]
    harness.contains(human, f"<{RECIPIENT}>")
    harness.equal(message.keys(), ["Original-Envelope-Id", "Reporting-MTA", "Arrival-Date"])
    harness.equal(message["Original-Envelope-Id"], ENVID)
    harness.equal(message["Reporting-MTA"], f"dns; {HOST}")
    harness.equal(recipient.items(), [
        ("Original-Recipient", "rfc822; Printer@Example.ORG"),
        ("Final-Recipient", f"rfc822; {RECIPIENT}"), ("Action", "delivered"), ("Status", "2.1.5")])
    harness.equal(header, MESSAGE.split(b"\r\n\r\n")[0].replace(b"\r\n", b"\n") + b"\n")
    record = place.message()
    harness.equal(record["report"], place.only_report().name)
    assert "report_fault" not in record, record


def test_a_thousand_recipients_are_in_one_report():
    place = Place()
    client = place.connect()
    client.ehlo()
    client.say(f"MAIL FROM:<{SENDER}>", 250)
    for n in range(1000):
        asked = " NOTIFY=SUCCESS ORCPT=rfc822;" + "x" * 400 if n % 2 else ""
        client.say(f"RCPT TO:<user{n}@{DOMAIN}>{asked}", 250)
    client.say("DATA", 354)
    harness.equal(client.content(MESSAGE).code, 250)
    client.quit()
    _, human, (_, *recipients), _ = report_of(place.only_report())
    expected = [f"user{n}@{DOMAIN}" for n in range(1, 1000, 2)]
    harness.equal([r["Final-Recipient"] for r in recipients], [f"rfc822; {e}" for e in expected])
    harness.equal([line.strip(" <>") for line in human.splitlines() if "@" in line], expected)


def test_a_large_header_is_cut_at_a_line():
    place = Place()
    client = place.connect()
    fields = b"".join(b"X-%05d: %s\r\n" % (n, b"y" * 100) for n in range(5000))
    harness.equal(ask(client, message=fields + b"\r\nHello.\r\n").code, 250)
    client.quit()
    header = report_of(place.only_report())[3]
    assert 7 * 1024 < len(header) <= 8 * 1024, len(header)
    harness.equal(header, fields.replace(b"\r\n", b"\n")[:len(header)])
    assert header.endswith(b"y\n"), header[-100:]


def test_a_session_has_its_share_of_reports():
    """RFC 3461 5.1: no command is refused for its parameters. The session ends at the next MAIL, and all mail that was
    accepted has its report."""
    place = Place(maildir_create="yes")
    client = place.connect()
    client.ehlo()
    for n in range(120):
        asks = n < 110 and n % 11 != 10
        client.say(f"MAIL FROM:<forged{n}@example.com>", 250)
        client.say(f"RCPT TO:<{RECIPIENT}>{' NOTIFY=SUCCESS' if asks else ''}", 250)
        client.say("DATA", 354)
        harness.equal(client.content(MESSAGE).code, 250)
        if len(place.new(place.outbox)) == 100:
            break
    harness.contains(str(client.say("MAIL FROM:<sender@example.com>", 421)), "delivery reports")
    client.expect_end()
    harness.equal(n, 108, "messages without a report are not counted")
    session = harness.eventually(lambda: place.records("session"), "the session's record")[0]
    harness.equal((session["end"], session["messages"]), ("reports", "109"))


@harness.table_of({"in clear": False, "in TLS": True})
def test_the_outbox_is_made_durably(tls):
    harness.need("strace")
    place = Place()
    trace = place.dir / "trace"
    client = place.connect(wrap=("strace", "-f", "-qq", "-y", "-o", trace, "-e", "trace=fsync"))
    harness.equal(ask(client, tls=tls).code, 250)
    client.quit()
    report_of(place.only_report())
    for path in (place.dir, place.outbox, place.outbox / "new"):
        harness.contains(trace.read_text(), f"<{path}>)")
    for path in (place.outbox, *place.outbox.iterdir()):
        harness.equal(path.stat().st_mode & 0o777, 0o700)
    harness.equal(place.only_report().stat().st_mode & 0o777, 0o600)


@harness.table_of({"in clear": False, "in TLS": True})
def test_a_report_belongs_to_the_owner_of_the_outbox(tls):
    harness.need_root("giving files to others")
    place = Place()
    for part in ("", "tmp", "cur", "new"):
        (place.outbox / part).mkdir()
        os.chown(place.outbox / part, 61001, 61001)
    client = place.connect()
    harness.equal(ask(client, tls=tls).code, 250)
    client.quit()
    harness.equal(place.only_report().stat().st_uid, 61001)


# What may happen to an outbox


def check_delivered_without_a_report(place, fault):
    place.only_message()
    record = place.message()
    harness.equal(record["outcome"], "delivered")
    harness.equal(record.get("report_fault"), f"{place.outbox}/{fault}")
    assert "report" not in record, record


def removed(place):
    shutil.rmtree(place.outbox)


def replaced_by_a_file(place):
    removed(place)
    place.outbox.write_text("in the way\n")


def parts_removed(place):
    shutil.rmtree(place.outbox / "new")
    (place.outbox / "new").write_text("in the way\n")


@harness.table_of({
    f"{what.__name__} {way}": (what, fault, tls) for way, tls in (("in clear", False), ("in TLS", True))
    for what, fault in ((removed, "tmp: No such file or directory"),
                        (replaced_by_a_file, "tmp: No such file or directory"),
                        (parts_removed, "new: is not a directory"))})
def test_an_outbox_that_is_lost_while_running_costs_no_mail(what, fault, tls):
    place = Place()
    client = place.connect()
    what(place)
    harness.equal(ask(client, tls=tls).code, 250)
    client.quit()
    check_delivered_without_a_report(place, fault)


def as_nobody(place):
    harness.need_root("becoming another")
    nobody = pwd.getpwnam("nobody")
    for path in (place.dir, place.root):
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    place.set(user="nobody")
    if place.settings.get("tls_key"):
        place.set(tls="off", tls_key=None, tls_certificate=None)
    return nobody


def make_outbox(place, nobody):
    for part in ("", "tmp", "cur", "new"):
        (place.outbox / part).mkdir()
        os.chown(place.outbox / part, nobody.pw_uid, nobody.pw_gid)


def test_an_outbox_that_becomes_unwritable_costs_no_mail():
    place = Place()
    make_outbox(place, as_nobody(place))
    client = place.connect()
    (place.outbox / "new").chmod(0o500)
    harness.equal(ask(client).code, 250)
    client.quit()
    check_delivered_without_a_report(place, "new: Permission denied")


@harness.table(
    unwritable=(lambda place: (place.outbox / "new").chmod(0o500), "Permission denied"),
    unreadable=(lambda place: place.outbox.chmod(0), "Permission denied"),
    file=(replaced_by_a_file, "is not a directory"),
    nowhere=(lambda place: place.set(dsn_outbox=place.dir / "a" / "b"), "No such file or directory"),
)
def test_without_an_outbox_dsn_is_not_offered_and_mail_comes(spoil, fault):
    place = Place()
    make_outbox(place, as_nobody(place))
    spoil(place)
    client = place.connect()
    assert not client.ehlo().has("DSN")
    client.say(f"MAIL FROM:<{SENDER}> RET=HDRS", 455)
    harness.equal(client.message(harness.sample()).code, 250)
    client.quit()
    harness.check_stored(place.only_message(), harness.sample())
    errors = [r["text"] for r in place.records("error")]
    harness.equal(len(errors), 1)
    what, _, cure = errors[0].partition(";")
    harness.equal(what, f"dsn-outbox {place.settings['dsn_outbox']}: {fault}")
    assert cure, "what to do about it"


def test_an_outbox_without_space_costs_no_mail():
    """On a file system of its own that holds a small report, and not a large one."""
    harness.need_root("mounting a file system")
    place = Place()
    place.outbox.mkdir()
    mount = 'mount -t tmpfs -o size=12k tmpfs "$0" && exec "$@"'
    client = place.connect(wrap=("unshare", "--mount", "sh", "-c", mount, place.outbox))
    harness.equal(ask(client).code, 250)
    fields = b"".join(b"X-%05d: %s\r\n" % (n, b"y" * 100) for n in range(600))
    harness.equal(ask(client, message=fields + b"\r\nHello.\r\n").code, 250)
    harness.equal(ask(client).code, 250, "what was not finished takes no space")
    client.quit()
    harness.equal(len(place.new()), 3)
    first, second, third = place.records("message")
    harness.equal([r["outcome"] for r in (first, second, third)], ["delivered"] * 3)
    assert "report" in first and "report" in third, (first, third)
    harness.equal(second.get("report_fault"), f"{place.outbox}/new: No space left on device")


def test_a_report_that_may_not_grow_costs_no_mail():
    """RLIMIT_FSIZE: the message is small, and the report is not."""
    place = Place()
    client = place.connect(wrap=("prlimit", "--fsize=20000"))
    client.ehlo()
    client.say(f"MAIL FROM:<{SENDER}>", 250)
    for n in range(50):
        client.say(f"RCPT TO:<user{n}@{DOMAIN}> NOTIFY=SUCCESS ORCPT=rfc822;" + "x" * 400, 250)
    client.say("DATA", 354)
    harness.equal(client.content(MESSAGE).code, 250)
    client.quit()
    harness.equal(place.new(place.outbox), [])
    check_delivered_without_a_report(place, "new: File too large")


# A real sender


def relayed_by_postfix(place, then=""):
    """Postfix asks for a report of success, and relays; what it submits is in `place`."""
    port = Listener(place).port
    message = place.dir / "message"
    message.write_bytes(harness.sample().replace(b"\r\n", b"\n"))
    postfix.relay(place.dir, port, f"""
        sendmail -i -N success,failure -V 'envelope id+1' -R hdrs -f {SENDER} {RECIPIENT} <{message}
        {then}""")


def check_report(path):
    _, _, (message, recipient), header = report_of(path)
    harness.equal(message["Original-Envelope-Id"], "envelope id+1")
    harness.equal(recipient["Original-Recipient"], f"rfc822; {RECIPIENT}")
    harness.equal(recipient["Final-Recipient"], f"rfc822; {RECIPIENT}")
    harness.equal(recipient["Action"], "delivered")
    harness.contains(header.decode(), "Subject: a message\n")
    harness.contains(header.decode(), "by relay.example.net (Postfix")


def test_postfix_asks_for_a_report():
    place = Place(tls="required")
    relayed_by_postfix(place)
    harness.eventually(place.new, "a message in new/")
    check_report(place.only_report())


def test_the_report_comes_back_to_the_sender():
    """postern writes it, postern-outbox gives it to Postfix, and Postfix brings it to postern."""
    place = Place(tls="required", domains=f"{DOMAIN} {SENDER.partition('@')[2]}", maildir="%d/%u")
    local, _, domain = SENDER.partition("@")
    shutil.copy(outbox.program(), place.dir / "postern-outbox")
    relayed_by_postfix(place, f"""
        until ls {place.outbox}/new/* >/dev/null 2>&1; do sleep 0.2; done
        {place.dir}/postern-outbox {place.outbox}""")
    path = harness.eventually(lambda: place.new(place.root / domain / local), "the report", 60)[0]
    text = path.read_bytes()
    assert text.startswith(b"Return-Path: <>\n"), text
    returned = place.dir / "returned"
    returned.write_bytes(text[text.index(b"\nTo: <") + 1:])
    check_report(returned)
    harness.eventually(lambda: not place.new(place.outbox), "an empty outbox")


if __name__ == "__main__":
    harness.main()
