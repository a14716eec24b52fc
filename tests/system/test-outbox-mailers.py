#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""postern-outbox with the sendmail(1) of real mailers, as a user without privileges: exactly the report arrives, from
<>, at its only address."""

import email.policy
import email.parser
import os
import shutil

import harness
import postfix
import servers
from harness import DOMAIN, HERE, Listener, Site
from outbox import Outbox, program, report

UID = 61004  # an address that own-mailers does not have
ADDRESS = f"joe@{DOMAIN}"


class Place:
    """A postern that receives what mailers send, and an outbox in a machine that has one of them."""

    def __init__(self):
        harness.need_root("a machine with a mailer in it")
        self.sink = Site(maildir="%u")
        self.port = Listener(self.sink).port
        self.box = Outbox()
        self.site = self.box.site
        shutil.copy(program(), self.site / "postern-outbox")

    def put(self, *args, **more):
        name = self.box.put(*args, **more)
        for path in (self.box.dir, *self.box.dir.rglob("*")):
            os.chown(path, UID, UID)
        return name

    def start(self, package, script, sendmail="/usr/sbin/sendmail"):
        """The script, and then postern-outbox as an ordinary user, in the machine."""
        run = f"""
            echo 'postern:x:{UID}:{UID}::/:/usr/sbin/nologin' >>/etc/passwd
            {script}
            setpriv --reuid={UID} --regid={UID} --clear-groups \\
                {self.site}/postern-outbox --sendmail={sendmail} {self.box.dir}
            echo "exit $?" >{self.site}/status
            # the machine ends with its first process, and mailers may have work to do
            while [ -e {self.site}/stay ]; do sleep 0.1; done
            """
        (self.site / "stay").touch()
        with open(self.site / "machine.log", "wb") as log:
            harness.start(HERE / "with-packages", harness.packages(), package, self.site,
                          "/bin/sh", "-c", run, stdout=log, stderr=log, env=harness.with_libraries())
        harness.at_end((self.site / "stay").unlink)

    def said(self):
        return (self.site / "machine.log").read_text(errors="backslashreplace")

    def check_end(self):
        status = self.site / "status"
        harness.eventually(lambda: status.exists() and status.read_text().endswith("\n"), "the end of postern-outbox")
        harness.equal(status.read_text(), "exit 0\n", self.said())

    def check(self, address=ADDRESS, sent=None):
        """Exactly one message, to the address, from the null sender, with the report's own content."""
        sent = report(address) if sent is None else sent
        self.check_end()
        found = harness.eventually(self.sink.everything, f"a message: {self.said()}")
        harness.equal(len(found), 1, self.said())
        self.box.expect()
        text = found[0].read_bytes()
        harness.equal(text.split(b"\n")[0], b"Return-Path: <>")
        harness.contains(text, b"\nDelivered-To: " + address.encode() + b"\n")
        ours, theirs = parse(sent), parse(text)
        for field in ("To", "From", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version",
                      "Content-Type"):
            harness.equal(theirs.get_all(field), ours.get_all(field), field)
        harness.equal(text.split(b"\n\n", 1)[1].rstrip(), sent.split(b"\n\n", 1)[1].rstrip())


def parse(text):
    """Its header, each field unfolded."""
    return email.parser.BytesHeaderParser(policy=email.policy.default).parsebytes(text)


def start_postfix(place, then):
    installed = postfix.install(place.site, f"relayhost = [127.0.0.1]:{place.port}\n")
    place.start("postfix", installed + then)


@harness.table_of({address: address for address in (
    ADDRESS, f'"a b, <c> -t"@{DOMAIN}', f"|{{x}}`y`$z@{DOMAIN}")})
def test_postfix(address):
    place = Place()
    place.put(report(address))
    start_postfix(place, "postfix start || exit")
    place.check(address)


def test_postfix_that_is_down_still_takes_it():
    """Its sendmail leaves it in the queue directory for later."""
    place = Place()
    place.put()
    start_postfix(place, "postfix start || exit; postfix stop")
    place.check_end()
    place.box.expect()


@harness.table_of({address: address for address in (f"a..b@{DOMAIN}", f".ab.@{DOMAIN}.")})
def test_postfix_takes_the_address_of_a_phone(address):
    """It is in the queue directory as it was written; a relay may not be as tolerant."""
    place = Place()
    place.put(report(address))
    start_postfix(place, "postfix start || exit; postfix stop")
    place.check_end()
    place.box.expect()


def test_postfix_that_cannot_take_it():
    """Its settings are missing: the reports stay in cur/, to be tried again."""
    place = Place()
    name = place.put()
    start_postfix(place, "rm /etc/postfix/main.cf")
    place.check_end()
    place.box.expect(cur=[name])
    harness.contains(place.said(), "; it will be tried again")


def test_exim():
    """setuid root; it delivers in the background, when its first process has ended."""
    place = Place()
    place.put(report(ADDRESS))
    (place.site / "exim4.conf").write_text(servers.exim_settings(place.port))
    place.start("exim4-daemon-light", f"""
        mkdir -p /etc/exim4 /var/spool/exim4 /var/log/exim4
        chown Debian-exim:Debian-exim /var/spool/exim4 /var/log/exim4
        cp {place.site}/exim4.conf /etc/exim4/exim4.conf""")
    place.check()


def test_msmtp():
    """Without a queue of its own it ends after the reply of the relay."""
    place = Place()
    place.put(report(ADDRESS))
    place.start("msmtp", f"""
        printf 'host 127.0.0.1\\nport {place.port}\\nset_from_header off\\nadd_missing_from_header off\\n' \\
            >/etc/msmtprc
        """, "/usr/bin/msmtp")
    place.check()


def test_msmtp_without_a_relay():
    place = Place()
    name = place.put(report(ADDRESS))
    place.start("msmtp", f"""
        printf 'host 127.0.0.1\\nport {harness.free_port()}\\n' >/etc/msmtprc
        """, "/usr/bin/msmtp")
    place.check_end()
    place.box.expect(cur=[name])
    harness.contains(place.said(), "it will be tried again")


if __name__ == "__main__":
    harness.main()
