#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""milters with real filters of Debian, unpacked and not installed: rspamd, OpenDKIM, OpenDMARC, ClamAV, SpamAssassin, and
a script on libmilter. Each gets a message of a real client through STARTTLS, from a process for each connection and
from a listener."""

import smtplib

import filter_programs
import harness
from filter_programs import EICAR, GREYLISTED, GTUBE
from harness import RECIPIENT, SENDER, Site
from listening import Listening

WAYS = harness.table(connection=(False,), listener=(True,))
OTHER = "scanner@example.org"


def site_with(listens, *paths):
    """A site with these filters, and the port where it receives mail."""
    site = (Listening if listens else Site)(tls="on", timeout=300)
    filters = site.dir / "milters"
    filters.write_text("".join(f"unix:{path} command-timeout=60s\n" for path in paths))
    site.set(pair=harness.pair(), milters=filters)
    done = harness.run(*site.command(), "--check")
    harness.equal(done.returncode, 0, done.stdout)
    harness.equal(done.stdout.count("version "), len(paths), done.stdout)
    site.port = site.listen().ports[0] if listens else harness.Listener(site).port
    return site


def send(site, data, sender=SENDER, recipients=(RECIPIENT,), code=250, text="", at="DATA"):
    """A message by Python's own client. At the command `at` it must get that code, with that text; what is before gets
    250."""
    with smtplib.SMTP("127.0.0.1", site.port, "client.example.net", harness.PATIENCE) as client:
        client.starttls(context=harness.client_context())
        client.ehlo()
        steps = [("MAIL", lambda: client.mail(sender)), *(("RCPT", lambda r=r: client.rcpt(r)) for r in recipients),
                 ("DATA", lambda: client.data(data))]
        for command, step in steps:
            got = step()
            is_last = command == at
            harness.equal(got[0], code if is_last else 250, f"{command}: {got}\n{site.log_text()}")
            if is_last:
                harness.contains(got[1].decode(), text)
                return
    raise AssertionError(f"no {at}")


def stored(site):
    _, rest = harness.split_trace(site.only_message().read_bytes())
    return rest.decode(errors="replace")


def body(text):
    return text.replace(b"\r\n", b"\n").split(b"\n\n", 1)[1].decode(errors="replace")


def records(site, n):
    return harness.eventually(lambda: len(site.records("message")) >= n and site.records("message"), f"{n} records")


@WAYS
def test_rspamd_adds_its_fields_and_refuses_what_it_knows(listens):
    site = site_with(listens, filter_programs.rspamd())
    send(site, harness.sample())
    text = stored(site)
    harness.contains(text, "\nX-Spam")
    harness.equal(text.split("\n\n", 1)[1], body(harness.sample()))
    send(site, harness.sample() + GTUBE, code=554, text="5.7.1 Gtube pattern")
    harness.equal(len(site.everything()), 1)
    first, second = records(site, 2)
    harness.contains(first["filters"], "milter.sock: accept, ")
    harness.equal(second["outcome"], "refused")


@WAYS
def test_rspamd_greylists(listens):
    """The verdict comes at the end of the message, so that is where the client is told to come again."""
    site = site_with(listens, filter_programs.rspamd_with_greylisting())
    data = GREYLISTED + harness.sample()
    send(site, harness.sample())
    send(site, data, code=451, text="4.7.1 Try again later")
    harness.equal(len(site.everything()), 1)

    def is_taken():
        try:
            send(site, data)
        except AssertionError as fault:
            harness.contains(str(fault), "451")
            return False
        return True

    harness.eventually(is_taken, "the message is taken later")
    harness.equal(len(site.new()), 2)
    harness.eventually(lambda: site.records("message")[-1]["outcome"] == "delivered", "the last record")
    harness.equal([r["outcome"] for r in site.records("message")[:2]], ["delivered", "refused"])


@WAYS
def test_opendkim_signs_what_is_stored(listens):
    site = site_with(listens, filter_programs.opendkim("s"))
    send(site, harness.sample())
    text = stored(site)
    harness.contains(text, "DKIM-Signature: v=1; a=rsa-sha256; c=simple/simple; d=example.net")
    digest = harness.run("sh", "-c", "openssl dgst -sha256 -binary | base64",
                         input=text.split("\n\n", 1)[1].replace("\n", "\r\n")).stdout
    harness.contains("".join(text.split()), f"bh={digest.strip()}")


@WAYS
def test_opendkim_signs_behind_rspamd(listens):
    site = site_with(listens, filter_programs.rspamd(), filter_programs.opendkim("s"))
    send(site, harness.sample())
    text = stored(site)
    harness.contains(text, "\nX-Spam")
    harness.contains(text, "DKIM-Signature: ")
    harness.equal(records(site, 1)[0]["filters"].count(" ms"), 2)


# As other mail servers make it: fields with odd spaces and folding, and a body with what canonicalization would change.
ODD = (b"From:  <sender@example.net>  \r\nTo: <printer@example.org>\r\nsubject:\ta  message\r\n  of  two lines \r\n"
       b"Date: Tue, 01 Jul 2025 12:00:00 +0000\r\nMessage-ID:<1@client.example.net>\r\nX-Empty:\r\n"
       b"X-Long: " + b"x" * 900 + b"\r\n\r\n.dot  \r\n\r\n \ttabs\t\r\nlast  \r\n\r\n")


def names_of(key, **more):
    return filter_programs.Names(**{"there._domainkey.example.net": filter_programs.public_key(key), **more})


@WAYS
def test_opendkim_verifies_a_signature_of_another_maker(listens):
    """simple/simple: what the filter is shown is the message, octet for octet."""
    with harness.own_network():
        key = filter_programs.rsa_key(harness.scratch())
        names_of(key)
        site = site_with(listens, filter_programs.opendkim("v", "Nameservers 127.0.0.1\n"))
        for data in (harness.sample(), ODD):
            send(site, filter_programs.signed(data, key))
            harness.contains(stored(site), "dkim=pass", site.log_text())
            site.only_message().unlink()
        send(site, filter_programs.signed(ODD, key).replace(b" \ttabs", b" tabs"))
        harness.contains(stored(site), "dkim=fail")


@WAYS
def test_opendmarc_reads_what_opendkim_added(listens):
    """The second filter gets the fields of the first one."""
    with harness.own_network():
        key = filter_programs.rsa_key(harness.scratch())
        names_of(key, **{"_dmarc.example.net": "v=DMARC1; p=reject"})
        site = site_with(listens, filter_programs.opendkim("v", "Nameservers 127.0.0.1\n"),
                         filter_programs.opendmarc())
        send(site, filter_programs.signed(ODD, key))
        text = stored(site)
        harness.contains(text, "dkim=pass", site.log_text())
        harness.contains(text, "dmarc=pass (p=reject")
        send(site, ODD, code=550, text="5.7.1 rejected by DMARC policy for example.net")
        # what a sender writes into the field itself does not count
        send(site, b"Authentication-Results: mail.example.org; dkim=pass header.d=example.net\r\n" + ODD,
             code=550, text="5.7.1 rejected by DMARC policy for example.net")
        harness.equal(len(site.everything()), 1)


@WAYS
def test_clamav_refuses_a_virus(listens):
    site = site_with(listens, filter_programs.clamav_milter())
    send(site, harness.sample())
    harness.contains(stored(site), "\nX-Virus-Status: Clean\n")
    send(site, harness.sample() + EICAR, code=550, text="Virus Test-Eicar.UNOFFICIAL found")
    harness.equal(len(site.everything()), 1)


@WAYS
def test_spamassassin_tags_and_refuses(listens):
    site = site_with(listens, filter_programs.spamass_milter())
    send(site, harness.sample())
    harness.contains(stored(site), "\nX-Spam-Status: No, ")
    send(site, harness.sample() + GTUBE, code=550, text="5.7.1 Blocked by SpamAssassin")
    harness.equal(len(site.everything()), 1)


@WAYS
def test_a_script_greylists_at_each_recipient(listens):
    """The refusal of one recipient leaves the others."""
    site = site_with(listens, filter_programs.greylisting())
    send(site, harness.sample(), code=451, text="4.7.1 Greylisted, try again later", at="RCPT")
    send(site, harness.sample())
    with smtplib.SMTP("127.0.0.1", site.port, "client.example.net", harness.PATIENCE) as client:
        client.starttls(context=harness.client_context())
        refused = client.sendmail(SENDER, [OTHER, RECIPIENT], harness.sample())
    harness.equal({to: got[0] for to, got in refused.items()}, {OTHER: 451})
    harness.equal(len(site.new()), 2)
    send(site, harness.sample(), recipients=(OTHER,))
    harness.equal(len(site.new()), 3)


if __name__ == "__main__":
    harness.main()
