#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""What filters get of a session: whose mail they are asked about, and what they read about client, TLS and login."""

import filters
import harness
from filters import Filter, frame
from harness import DOMAIN, RECIPIENT, SENDER, Client, Site
from listening import Listening

PROXY_HEADER = b"PROXY TCP4 %s 198.51.100.1 4711 25\r\n"


def set_filter(place, filter_, *words, clients=(), recipients=()):
    """Lines for the filter and, if there are any, files with rules for clients and lines for recipients."""
    for name, lines in (("milters", [filter_.line(*words).strip()]), ("clients", clients), ("recipients", recipients)):
        if lines:
            path = place.dir / name
            path.write_text("\n".join(lines) + "\n")
            place.set(**{name: path})
    return place


def connect(place, header=b""):
    """The client, and the code of its greeting."""
    if isinstance(place, Listening):
        client = Client.to(place.ports[0], greeting=False)
    else:
        client = place.connect(greeting=False)
    client.send(header)
    return client, client.reply().code


def begin(place, header=b""):
    client, code = connect(place, header)
    harness.equal(code, 220)
    client.ehlo()
    return client


def started(place):
    return place.listen() if isinstance(place, Listening) else place


def mailboxes(place):
    return sorted(str(path.relative_to(place.root)).split("/")[0] for path in place.everything())


BOTH = harness.table(alone=(Site,), listening=(Listening,))


@BOTH
def test_no_filter_is_connected_to_for_a_client_that_wants_none(kind):
    filter_ = Filter(E=frame("r"))
    place = started(set_filter(kind(), filter_, clients=["127.0.0.1 milters=off"]))
    client = begin(place)
    harness.equal(client.message(harness.sample()).code, 250)
    client.quit()
    harness.check_stored(place.only_message(), harness.sample())
    assert "filters" not in place.records("message")[0]
    harness.equal(filter_.conversations, [])


@harness.table_of({f"{way}_{name}": (way, kind, header) for way in ("missing", "closes")
                   for name, kind, header in (("alone", Site, b""), ("listening", Listening, b""),
                                              ("proxied", Site, PROXY_HEADER % b"203.0.113.9"))})
def test_a_dead_filter_that_ends_sessions_touches_no_client_that_wants_none(way, kind, header):
    filter_ = Filter(O=None)
    settings = {"proxy_protocol": "127.0.0.1"} if header else {}
    place = set_filter(kind(**settings), filter_, "default-action=shutdown",
                       clients=["127.0.0.1 milters=off", "203.0.113.9 milters=off"])
    if way == "missing":
        filter_.path.unlink()
    client = begin(started(place), header)
    harness.equal(client.message(harness.sample()).code, 250)
    client.quit()
    harness.check_stored(place.only_message(), harness.sample())


@harness.table_of({f"{what}_{name}": (text, kind, header)
                   for what, text in (("missing", None), ("wrong", "uxin:/x\n"))
                   for name, kind, header in (("alone", Site, b""), ("listening", Listening, b""),
                                              ("proxied", Site, PROXY_HEADER), ("both", Listening, PROXY_HEADER))})
def test_a_file_of_filters_that_cannot_be_used_touches_no_client_that_wants_none(text, kind, header):
    settings = {"proxy_protocol": "127.0.0.1"} if header else {}
    place = set_filter(kind(**settings), Filter(), clients=["127.0.0.1 milters=off", "203.0.113.9 milters=off"])
    file = place.dir / "milters"
    file.unlink()
    if text:
        file.write_text(text)
    client = begin(started(place), header and header % b"203.0.113.9")
    harness.equal(client.message(harness.sample()).code, 250)
    client.quit()
    harness.check_stored(place.only_message(), harness.sample())


@harness.table(alone=(Site, b""), listening=(Listening, b""), proxied=(Site, PROXY_HEADER),
               both=(Listening, PROXY_HEADER))
def test_other_clients_are_refused_while_the_file_of_filters_cannot_be_used(kind, header):
    settings = {"proxy_protocol": "127.0.0.1"} if header else {}
    filter_ = Filter()
    place = set_filter(kind(**settings), filter_, clients=["203.0.113.9 milters=off"])
    file = place.dir / "milters"
    text = file.read_text()
    file.write_text("uxin:/x\n")
    client, code = connect(started(place), header and header % b"203.0.113.10")
    harness.equal(code, 421)
    client.close()
    record = harness.eventually(lambda: place.records("session"), "a record")[-1]
    harness.equal(record["end"], "misconfigured")
    file.write_text(text)

    def is_served():
        client, code = connect(place, header and header % b"203.0.113.10")
        client.close()
        return code == 220

    harness.eventually(is_served, "a greeting, when the file can be used")


@BOTH
def test_the_rule_of_another_client_changes_nothing(kind):
    filter_ = Filter(E=frame("r"))
    place = started(set_filter(kind(), filter_, clients=["127.0.0.2 milters=off"]))
    client = begin(place)
    harness.equal(client.message(harness.sample()).code, 550)
    client.quit()


@BOTH
def test_behind_a_proxy_the_real_client_decides(kind):
    filter_ = Filter(E=frame("r"))
    place = set_filter(kind(proxy_protocol="127.0.0.1"), filter_,
                       clients=["127.0.0.1 milters=off", "203.0.113.9 milters=off"])
    started(place)
    for address, code in ((b"203.0.113.9", 250), (b"203.0.113.10", 550)):
        client = begin(place, PROXY_HEADER % address)
        harness.equal(client.message(harness.sample()).code, code)
        client.quit()
    harness.eventually(lambda: all(c.ended for c in filter_.conversations), "the end of all connections")
    harness.equal(sorted(filter_.events(n)[-3:] for n in range(len(filter_.conversations))), ["", "EAQ"])


def begin_message(client):
    client.ehlo()
    client.say(f"MAIL FROM:<{SENDER}>", 250)


OFF = f"abuse@{DOMAIN} milters=off"
LINES = [OFF, f"alice@{DOMAIN}", f"bob@{DOMAIN} bob,archive", f"security@{DOMAIN} milters=off"]


def test_a_mailbox_that_wants_no_filter_gets_the_message_as_it_came():
    filter_ = Filter(E=filters.add("X-A", "1") + frame("b", b"other\r\n") + frame("q", b"odd\0") + frame("c"))
    place = set_filter(Site(maildir="%u", quarantine_mailbox="odd"), filter_, recipients=LINES)
    client = place.connect()
    client.ehlo()
    to = (f"abuse@{DOMAIN}", f"security@{DOMAIN}")
    harness.equal(client.message(harness.sample(), recipients=to).code, 250)
    client.quit()
    harness.equal(mailboxes(place), ["abuse", "security"])
    for path in place.everything():
        harness.check_stored(path, harness.sample())
    harness.equal(filter_.events(), "OCHMAQ")
    harness.contains(place.records("message")[0]["filters"], "without effect: milters=off")


@harness.table(off_first=("abuse", "alice", ["abuse"]), off_last=("alice", "abuse", ["alice"]))
def test_recipients_of_both_kinds_get_a_transaction_each(first, second, stored):
    filter_ = Filter(E=filters.add("X-A", "1") + frame("c"))
    place = set_filter(Site(maildir="%u"), filter_, recipients=LINES)
    client = place.connect()
    begin_message(client)
    client.say(f"RCPT TO:<{first}@{DOMAIN}>", 250)
    client.say(f"RCPT TO:<{second}@{DOMAIN}>", 452, "4.5.3")
    client.say("DATA", 354)
    harness.equal(client.content(harness.sample()).code, 250)
    harness.equal(mailboxes(place), stored)
    harness.equal(client.message(harness.sample(), recipients=(f"{second}@{DOMAIN}",)).code, 250)
    client.quit()
    harness.equal(mailboxes(place), ["abuse", "alice"])
    for path in place.everything():
        harness.equal(b"\nX-A: 1\n" in path.read_bytes(), "alice" in str(path))
    assert all(r.get("status") is None for r in place.records("message")), place.records("message")


def test_what_a_client_sends_to_many_of_both_kinds_is_no_error():
    place = set_filter(Site(maildir="%u", error_limit=3), Filter(), recipients=LINES)
    client = place.connect()
    begin_message(client)
    client.say(f"RCPT TO:<alice@{DOMAIN}>", 250)
    for _ in range(10):
        client.say(f"RCPT TO:<abuse@{DOMAIN}>", 452)
    client.say("RSET", 250)
    client.quit()


@harness.table_of({f"{event}_{name}": (event, answer, code) for event in "CHM"
                   for name, answer, code in (("reject", frame("r"), 550), ("later", frame("t"), 451),
                                              ("own", filters.reply("550 5.7.9 not you"), 550), ("dies", None, 451))})
def test_what_a_filter_decides_about_client_or_sender_does_not_hold_there(event, answer, code):
    filter_ = Filter(**{event: answer})
    place = set_filter(Site(maildir="%u"), filter_, recipients=LINES)
    client = place.connect()
    begin_message(client)
    client.say(f"RCPT TO:<alice@{DOMAIN}>", code)
    client.say(f"RCPT TO:<abuse@{DOMAIN}>", 250)
    client.say(f"RCPT TO:<alice@{DOMAIN}>", 452)
    client.say("DATA", 354)
    harness.equal(client.content(harness.sample()).code, 250)
    client.quit()
    harness.equal(mailboxes(place), ["abuse"])


def test_a_discarded_sender_is_not_discarded_there():
    filter_ = Filter(M=frame("d"))
    place = set_filter(Site(maildir="%u"), filter_, recipients=LINES)
    client = place.connect()
    for name in ("alice", "abuse"):
        client.ehlo()
        harness.equal(client.message(harness.sample(), recipients=(f"{name}@{DOMAIN}",)).code, 250)
    client.quit()
    harness.equal(mailboxes(place), ["abuse"])
    harness.equal([r["outcome"] for r in place.records("message")], ["discarded", "delivered"])


def test_a_shutdown_waits_for_no_recipient():
    place = set_filter(Site(maildir="%u"), Filter(C=frame("4")), recipients=LINES)
    client = place.connect()
    client.ehlo()
    client.say(f"MAIL FROM:<{SENDER}>", 421)
    client.expect_end()


@harness.table_of({f"{event}_{kind.__name__}": (event, kind) for event in "OCM" for kind in (Site, Listening)})
def test_a_dead_filter_that_ends_sessions_stops_no_recipient_that_wants_none(event, kind):
    filter_ = Filter(**{event: None})
    place = started(set_filter(kind(maildir="%u"), filter_, "default-action=shutdown", recipients=LINES))
    client = begin(place)
    for _ in range(2):
        client.say(f"MAIL FROM:<{SENDER}>", 250)
        client.say(f"RCPT TO:<abuse@{DOMAIN}>", 250)
        client.say(f"RCPT TO:<alice@{DOMAIN}>", 452)
        client.say("DATA", 354)
        harness.equal(client.content(harness.sample()).code, 250)
    client.say(f"MAIL FROM:<{SENDER}>", 250)
    client.say(f"RCPT TO:<alice@{DOMAIN}>", 421)
    client.expect_end()
    harness.equal(mailboxes(place), ["abuse", "abuse"])


def test_without_such_a_line_a_refusal_is_the_answer_to_mail():
    place = set_filter(Site(maildir="%u"), Filter(C=frame("r")), recipients=LINES[1:3])
    client = place.connect()
    client.ehlo()
    client.say(f"MAIL FROM:<{SENDER}>", 550)
    client.quit()


def test_a_cdb_may_have_such_a_line():
    place = set_filter(Site(maildir="%u"), Filter(C=frame("r")), recipients=LINES)
    harness.equal(harness.run(harness.program().parent / "postern-cdb", place.dir / "recipients.cdb",
                              place.dir / "recipients").returncode, 0)
    place.set(recipients=place.dir / "recipients.cdb")
    client = place.connect()
    begin_message(client)
    client.say(f"RCPT TO:<alice@{DOMAIN}>", 550)
    client.say(f"RCPT TO:<abuse@{DOMAIN}>", 250)
    client.say("RSET", 250)
    client.quit()


def test_a_line_of_a_catch_all_address_counts():
    filter_ = Filter(E=frame("r"))
    place = set_filter(Site(maildir="%u", catch_all=f"abuse@{DOMAIN}"), filter_, recipients=LINES)
    client = place.connect()
    client.ehlo()
    harness.equal(client.message(harness.sample(), recipients=(f"other@{DOMAIN}",)).code, 250)
    harness.equal(client.message(harness.sample(), recipients=(f"alice@{DOMAIN}",)).code, 550)
    client.quit()
    harness.equal(mailboxes(place), ["abuse"])


def test_in_lmtp_recipients_of_both_kinds_get_a_transaction_each():
    place = set_filter(Site(maildir="%u"), Filter(E=frame("r")), recipients=LINES)
    place.arguments = ["--lmtp"]
    client = place.connect()
    client.lhlo()
    client.say(f"MAIL FROM:<{SENDER}>", 250)
    client.say(f"RCPT TO:<abuse@{DOMAIN}>", 250)
    client.say(f"RCPT TO:<alice@{DOMAIN}>", 452)
    client.say("DATA", 354)
    harness.equal(client.content(harness.sample()).code, 250)
    client.quit()
    harness.equal(mailboxes(place), ["abuse"])


@harness.table(clients=("clients", "127.0.0.1 milters=on", "milters=on: must be milters=off"),
               recipients=("recipients", f"abuse@{DOMAIN} milters=on", "milters=on: must be milters=off"))
def test_check_names_what_is_wrong_in_a_line(file, line, words):
    place = set_filter(Site(maildir="%u"), Filter(), **{file: [line]})
    done = harness.run(*place.command(), "--check")
    harness.contains(done.stdout, f"{place.dir}/{file}:1: ")
    harness.contains(done.stdout, words)


REJECTED = 0x800  # the step with which a filter asks for refused recipients, too


def test_parameters_come_as_the_client_wrote_them():
    filter_ = Filter()
    place = set_filter(Site(maildir="%u"), filter_)
    (place.dir / "outbox").mkdir()
    place.set(dsn_outbox=place.dir / "outbox")
    client = place.connect()
    client.ehlo()
    client.say(f"MAIL FROM:<{SENDER}> SMTPUTF8 size=9 RET=HDRS ENVID=x+2By", 250)
    client.say(f"RCPT TO:<{RECIPIENT}> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;a@b", 250)
    client.say("RSET", 250)
    client.quit()
    harness.equal(filter_.got("M"), [f"<{SENDER}>\0SMTPUTF8\0size=9\0RET=HDRS\0ENVID=x+2By\0".encode()])
    harness.equal(filter_.got("R"), [f"<{RECIPIENT}>\0NOTIFY=SUCCESS,FAILURE\0ORCPT=rfc822;a@b\0".encode()])


def test_a_filter_that_asks_for_them_gets_refused_recipients_too():
    asking = Filter(path=harness.scratch() / "a.sock", steps=REJECTED, R=lambda data, _: frame("r") if b"bob" in data
                    else frame("c"))
    other = Filter(path=harness.scratch() / "b.sock")
    place = set_filter(Site(maildir="%u", domains=DOMAIN), asking)
    (place.dir / "milters").write_text(asking.line() + other.line())
    client = place.connect()
    begin_message(client)
    client.say("RCPT TO:<x@elsewhere.example>", 550, "5.7.1")
    last = asking.macros_of("R")
    harness.equal((last["{rcpt_mailer}"], last["{rcpt_host}"]), ("error", "5.7.1"))
    harness.equal(last["{rcpt_addr}"], "No mail is accepted here for that domain")
    client.say(f"RCPT TO:<bob@{DOMAIN}>", 550, "5.7.1")
    client.say(f"RCPT TO:<alice@{DOMAIN}>", 250)
    harness.equal(asking.macros_of("R")["{rcpt_mailer}"], "local")
    client.say("RSET", 250)
    client.quit()
    names = [data.split(b"\0")[0] for data in asking.got("R")]
    harness.equal(names, [b"<x@elsewhere.example>", b"<bob@%s>" % DOMAIN.encode(), b"<alice@%s>" % DOMAIN.encode()])
    harness.equal([data.split(b"\0")[0] for data in other.got("R")], [b"<alice@%s>" % DOMAIN.encode()])


def test_what_a_filter_says_about_a_refused_recipient_changes_nothing():
    filter_ = Filter(steps=REJECTED, R=filters.reply("450 4.0.0 later"))
    place = set_filter(Site(maildir="%u", domains=DOMAIN), filter_)
    client = place.connect()
    begin_message(client)
    client.say("RCPT TO:<x@elsewhere.example>", 550, "5.7.1")
    client.say("RSET", 250)
    client.quit()


@harness.table_of({command: (command,) for command in "acdrst4"})
def test_no_answer_to_a_refused_recipient_changes_anything(command):
    filter_ = Filter(steps=REJECTED | filters.SKIP, E=frame("r"),
                     R=lambda data, _: frame(command) if b"elsewhere" in data else frame("c"))
    place = set_filter(Site(domains=DOMAIN), filter_)
    client = place.connect()
    begin_message(client)
    client.say("RCPT TO:<x@elsewhere.example>", 550, "5.7.1")
    client.say(f"RCPT TO:<{RECIPIENT}>", 250)
    client.say("DATA", 354)
    harness.equal(client.content(b"A: b\r\n\r\nx\r\n").code, 550)
    client.quit()
    harness.equal(filter_.events(), "OCHMRRTLNBEAQ")
    filters_ = place.records("message")[0]["filters"]
    harness.contains(filters_, ": reject, ")
    assert "recipient" not in filters_, filters_


def test_each_refused_recipient_is_shown():
    filter_ = Filter(steps=REJECTED)
    place = set_filter(Site(domains=DOMAIN), filter_)
    client = place.connect()
    begin_message(client)
    client.say(f"RCPT TO:<{RECIPIENT}>", 250)
    for name in "abc":
        client.say(f"RCPT TO:<{name}@elsewhere.example>", 550)
    client.say("RSET", 250)
    client.quit()
    names = [f"<{RECIPIENT}>\0", *(f"<{name}@elsewhere.example>\0" for name in "abc")]
    harness.equal(filter_.got("R"), [name.encode() for name in names])


def test_a_recipient_that_wants_no_filter_is_not_shown_when_it_is_refused():
    filter_ = Filter(steps=REJECTED)
    place = set_filter(Site(maildir="%u"), filter_, recipients=LINES)
    client = place.connect()
    begin_message(client)
    client.say(f"RCPT TO:<alice@{DOMAIN}>", 250)
    client.say(f"RCPT TO:<abuse@{DOMAIN}>", 452, "4.5.3")
    client.say("RSET", 250)
    client.quit()
    harness.equal(filter_.got("R"), [f"<alice@{DOMAIN}>\0".encode()])


LATER = filters.reply("450 4.7.1 later")


def test_the_refusal_of_mail_outlasts_an_unknown_command():
    filter_ = Filter(M=filters.reply("550 5.7.1 no"), U=LATER)
    place = set_filter(Site(maildir="%u"), filter_, recipients=LINES)
    client = place.connect()
    begin_message(client)
    client.say("FROB", 450, "4.7.1 later")
    client.say(f"RCPT TO:<alice@{DOMAIN}>", 550, "5.7.1 no")
    client.quit()


@harness.table(in_front=(True, False), within=(False, True))
def test_a_verdict_on_an_unknown_command_is_none_on_a_message(in_front, within):
    filter_ = Filter(U=LATER, steps=filters.NR["M"] | filters.NR["R"])
    place = set_filter(Site(), filter_)
    client = place.connect()
    client.ehlo()
    client.message(harness.sample())
    if in_front:
        client.say("FROB", 450, "4.7.1 later")
    client.say(f"MAIL FROM:<{SENDER}>", 250)
    if within:
        client.say("FROB", 450, "4.7.1 later")
    client.say(f"RCPT TO:<{RECIPIENT}>", 250)
    client.say("RSET", 250)
    client.quit()
    harness.contains(place.records("message")[1]["filters"], ": continue, ")


def test_a_filter_that_fails_between_messages_is_in_no_record_where_it_is_not_asked():
    """The first filter refuses MAIL, so that the second has no part in that message."""
    first = Filter(path=harness.scratch() / "a.sock")
    second = Filter(path=harness.scratch() / "b.sock", U=None)
    place = set_filter(Site(), first)
    (place.dir / "milters").write_text(first.line() + second.line())
    client = place.connect()
    client.ehlo()
    client.message(harness.sample())
    client.say("FROB", 451)
    first.answers = {"M": frame("r")}
    client.say(f"MAIL FROM:<{SENDER}>", 550)
    client.quit()
    refused = place.records("message")[-1]
    assert "failed" not in refused["filters"] and "delivery_fault" not in refused, refused


def test_unknown_commands_come_after_the_first_mail():
    filter_ = Filter(U=lambda data, _: filters.reply("502 5.5.9 not that") if b"TWO" in data else frame("c"))
    place = set_filter(Site(), filter_)
    client = place.connect()
    client.ehlo()
    client.say("FROB ZERO", 500)
    harness.equal(client.message(harness.sample()).code, 250)
    client.say("FROB ONE", 500, "5.5.2")
    client.say("FROB TWO", 502, "5.5.9 not that")
    client.say(f"MAIL FROM:<{SENDER}>", 250)
    client.say("FROB THREE", 500)
    client.say("RSET", 250)
    client.quit()
    harness.equal(filter_.got("U"), [b"FROB ONE\0", b"FROB TWO\0", b"FROB THREE\0"])


@harness.table(not_wanted=({"steps": 0x100},), version_2=({"version": 2},))
def test_some_filters_get_no_unknown_commands(options):
    filter_ = Filter(**options)
    place = set_filter(Site(), filter_)
    client = place.connect()
    begin_message(client)
    client.say("FROB", 500)
    client.say("RSET", 250)
    client.quit()
    harness.eventually(lambda: filter_.conversations[0].ended, "its end")
    harness.equal(filter_.got("U"), [])


def test_ehlo_within_a_transaction_aborts_it_and_another_name_comes_again():
    filter_ = Filter()
    place = set_filter(Site(), filter_)
    client = place.connect()
    begin_message(client)
    client.say("EHLO other.example.net", 250)
    client.say(f"MAIL FROM:<{SENDER}>", 250)
    client.quit()
    harness.eventually(lambda: filter_.conversations[0].ended, "its end")
    harness.equal(filter_.events(), "OCHMAHMAQ")
    harness.equal(filter_.got("H"), [b"client.example.net\0", b"other.example.net\0"])


def test_starttls_aborts_a_transaction_and_ehlo_comes_again_with_its_macros():
    filter_ = Filter()
    place = set_filter(Site(tls="on"), filter_).set(pair=harness.pair())
    client = place.connect()
    begin_message(client)
    client.starttls()
    client.ehlo()
    client.say(f"MAIL FROM:<{SENDER}>", 250)
    client.say("RSET", 250)
    client.quit()
    harness.eventually(lambda: filter_.conversations[0].ended, "its end")
    harness.equal(filter_.events(), "OCHMAHMAQ")
    macros = filter_.macros_of("H")
    bits = "128" if "_128_" in macros["{cipher}"] else "256"
    harness.equal((macros["{tls_version}"], macros["{cipher_bits}"]), ("TLSv1.3", bits))
    harness.equal(macros["{tls_sni}"], harness.HOST)


@BOTH
def test_a_session_without_mail_sends_nothing(kind):
    filter_ = Filter()
    place = started(set_filter(kind(), filter_))
    client = begin(place)
    client.say("RSET", 250)
    client.say("FROB", 500)
    client.say("NOOP", 250)
    client.quit()
    harness.eventually(lambda: filter_.conversations and filter_.conversations[0].ended, "the end of a connection")
    harness.equal(filter_.conversations[0].frames, [])


@harness.table_of({f"{event}_{name}": (kind, event) for event in "CH"
                   for name, kind in (("alone", Site), ("listening", Listening))})
def test_verdicts_at_connect_and_helo_are_the_answer_to_mail(kind, event):
    filter_ = Filter(**{event: filters.reply("550 5.7.9 not here")})
    place = started(set_filter(kind(), filter_))
    client = begin(place)
    for _ in range(2):
        client.say(f"MAIL FROM:<{SENDER}>", 550, "5.7.9 not here")
    client.quit()


if __name__ == "__main__":
    harness.main()
