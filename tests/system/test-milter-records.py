#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""What filters did, in records, on the panel, in metrics and in traces."""

import base64
import json
import re
import time

import filters
import harness
import logins
from filters import Filter, frame
from harness import RECIPIENT, SENDER, Site

SILENT = {"steps": filters.SILENT}


def site_with(*lines, **settings):
    site = Site(**settings)
    path = site.dir / "milters"
    path.write_text("".join(lines))
    return site.set(milters=path, log=f"json:{site.dir}/records")


def message(site, code=250, **options):
    """One message in a session of its own."""
    client = site.connect(**options)
    client.ehlo()
    harness.equal(client.message(harness.sample()).code, code)
    if code != 421:
        client.quit()


def records(site, event="message"):
    def found():
        path = site.dir / "records"
        lines = path.read_text().splitlines() if path.exists() else ()
        return [r for r in map(json.loads, lines) if r["event"] == event]

    return harness.eventually(found, f"a record of the event {event}")


def record(site):
    return records(site)[-1]


# Records


def test_each_filter_has_its_verdict_its_edits_and_its_time():
    def wait(_, __):
        time.sleep(0.2)
        return filters.add("X-A", "1") + filters.add("X-B", "2") + frame("a")

    first, second = Filter(E=wait, **SILENT), Filter(path=harness.scratch() / "b")
    site = site_with(first.line(), second.line())
    message(site)
    found = record(site)
    harness.equal(len(found["filters"]), 2)
    name, verdict, edits, waited = re.fullmatch(r"(\S+): (\w+), (\d+) edits, (\d+) ms", found["filters"][0]).groups()
    harness.equal((name, verdict, edits), (f"unix:{first.path}", "accept", "2"))
    assert 200 <= int(waited) < 5000, found
    assert re.fullmatch(rf"unix:{second.path}: continue, \d+ ms", found["filters"][1]), found
    total = sum(int(text.split()[-2]) for text in found["filters"])
    harness.equal(found["filters_ms"], total)
    assert found["duration_ms"] >= 200 and "explanation" not in found and "quarantine" not in found, found


def test_a_filter_whose_name_has_a_bar_is_one_filter():
    filter_ = Filter(path=harness.scratch() / "a|b", **SILENT)
    site = site_with(filter_.line())
    message(site)
    name = str(filter_.path).replace("|", "\\x7C")
    harness.equal([text.split(",")[0] for text in record(site)["filters"]], [f"unix:{name}: continue"])


VERDICTS = harness.table(reject=(frame("r"), 550, "reject"), tempfail=(frame("t"), 451, "tempfail"),
                         own_5=(filters.reply("554 5.7.1 spam"), 554, "reject"),
                         own_4=(filters.reply("450 4.7.1 later"), 450, "tempfail"),
                         shutdown=(frame("4"), 421, "shutdown"), own_421=(filters.reply("421 4.7.1 no"), 421, "shutdown"))


@VERDICTS
def test_a_refusal_has_the_word_of_its_code_and_is_explained(answer, code, word):
    filter_ = Filter(E=answer, **SILENT)
    site = site_with(filter_.line())
    message(site, code)
    found = record(site)
    harness.contains(found["filters"][0], f"unix:{filter_.path}: {word}, ")
    harness.equal(found["outcome"], "refused")
    harness.equal(found["explanation"], f"the filter unix:{filter_.path} refused it: {found['reason']}")


def test_a_recipient_that_a_filter_refused_is_counted_and_explained():
    filter_ = Filter(R=lambda data, _: filters.reply("451 4.7.1 greylisted") if b"bob" in data else frame("c"))
    site = site_with(filter_.line(), maildir="%u")
    client = site.connect()
    client.ehlo()
    client.say(f"MAIL FROM:<{SENDER}>", 250)
    for who, code in (("bob", 451), ("alice", 250), ("bobby", 451)):
        client.say(f"RCPT TO:<{who}@{harness.DOMAIN}>", code)
    client.say("DATA", 354)
    harness.equal(client.content(harness.sample()).code, 250)
    client.quit()
    found = record(site)
    harness.contains(found["filters"][0], f"unix:{filter_.path}: continue, 2 recipients refused, ")
    harness.equal((found["outcome"], found["refused"]), ("delivered", 2))
    harness.equal(found["explanation"], f"the filter unix:{filter_.path} refused it: 451 4.7.1 greylisted")


def test_a_refusal_of_postern_is_not_explained_by_a_filter():
    filter_ = Filter(R=lambda data, _: frame("t") if b"bob" in data else frame("c"))
    site = site_with(filter_.line(), maildir="%u")
    client = site.connect()
    client.ehlo()
    client.say(f"MAIL FROM:<{SENDER}>", 250)
    client.say(f"RCPT TO:<bob@{harness.DOMAIN}>", 451)
    client.say("RCPT TO:<eve@example.com>", 550)
    client.quit()
    found = record(site)
    harness.equal(found["outcome"], "refused")
    assert "explanation" not in found and found["reason"].startswith("550"), found


def test_a_discarded_message_is_explained():
    filter_ = Filter(E=frame("d"), **SILENT)
    site = site_with(filter_.line())
    message(site)
    found = record(site)
    harness.equal((found["outcome"], found["filters"][0].split(",")[0]), ("discarded", f"unix:{filter_.path}: discard"))
    harness.equal(found["explanation"], f"the filter unix:{filter_.path} discarded it, and the client was told that it "
                                        "was accepted")
    harness.equal(site.everything(), [])


def test_a_message_whose_recipients_a_filter_removes_is_discarded_by_it():
    first = Filter(**SILENT)
    second = Filter(E=frame("-", f"<{RECIPIENT}>\0".encode()) + frame("c"), path=harness.scratch() / "b", **SILENT)
    third = Filter(path=harness.scratch() / "c", **SILENT)
    site = site_with(first.line(), second.line(), third.line())
    message(site)
    found = record(site)
    harness.equal(found["outcome"], "discarded")
    harness.equal(found["explanation"], f"the filter unix:{second.path} discarded it, and the client was told that it "
                                        "was accepted")


def test_a_message_that_was_to_be_discarded_is_refused_or_given_up():
    filter_ = Filter(R=frame("d"))
    site = site_with(filter_.line(), size_limit="1000")
    client = site.connect()
    client.ehlo()
    harness.equal(client.message(harness.sample() + b"x" * 998 + b"\r\n").code, 552)
    client.envelope()
    client.close()
    refused, given_up = harness.eventually(lambda: len(found := records(site)) == 2 and found, "two records")
    harness.equal((refused["outcome"], given_up["outcome"]), ("refused", "given-up"))
    assert "explanation" not in refused and "explanation" not in given_up, (refused, given_up)


def test_a_message_for_which_the_quarantine_has_no_room_is_not_there():
    filter_ = Filter(E=frame("q", b"odd\0") + frame("c"), **SILENT)
    site = site_with(filter_.line(), quarantine_mailbox="odd")
    (site.root / "odd").write_text("no directory")
    message(site, code=451)
    found = record(site)
    harness.equal(found["outcome"], "refused")
    assert "quarantine" not in found and "explanation" not in found, found
    harness.contains(found["delivery_fault"], "odd")


def test_a_quarantine_has_its_reason():
    first = Filter(**SILENT)
    second = Filter(E=frame("q", b"virus \"A|B\"\0") + frame("a"), path=harness.scratch() / "b", **SILENT)
    site = site_with(first.line(), second.line(), quarantine_mailbox="odd")
    message(site)
    found = record(site)
    harness.equal(found["quarantine"], r"virus \x22A|B\x22")
    assert found["filters"][1].startswith(f"unix:{second.path}: quarantine, 1 edit, "), found
    harness.equal(len(found["filters"]), 2)
    harness.equal(found["explanation"], f"the filter unix:{second.path} put it into quarantine (quarantine-mailbox): "
                                        r"virus \x22A|B\x22")


def test_a_default_action_is_explained():
    site = Site()
    path = site.dir / "milters"
    site.set(milters=path, log=f"json:{site.dir}/records", quarantine_mailbox="odd")
    for action, code in (("tempfail", 451), ("reject", 550), ("accept", 250), ("quarantine", 250)):
        path.write_text(f"unix:{site.dir}/none default-action={action}\n")
        client = site.connect()
        client.ehlo()
        client.send(f"MAIL FROM:<{SENDER}>\r\n")
        client.expect(code)
        if code == 250:
            client.say("RSET", 250)
            harness.equal(client.message(harness.sample()).code, 250)
        client.quit()
        found = record(site)
        harness.equal(found["explanation"], f"the filter unix:{site.dir}/none cannot connect: No such file or directory "
                                            f"(milters, default-action={action})")
        assert re.fullmatch(rf"unix:{site.dir}/none: failed, \d+ ms", found["filters"][0]), found
    harness.equal(found["quarantine"], "a filter failed")


@harness.table(at_mail=("M", "MAIL"), at_a_recipient=("R", "RCPT"), at_a_field=("L", "header field"),
               at_the_end=("E", "end of message"))
def test_a_filter_that_dies_of_a_message_is_recorded_with_the_event(event, word):
    """Such a message comes again and again: its records name the filter, the event, and the Message-ID."""
    filter_ = Filter(**{event: None})
    site = site_with(filter_.line())
    for _ in range(2):
        client = site.connect()
        client.ehlo()
        codes = []
        for command in (f"MAIL FROM:<{SENDER}>", f"RCPT TO:<{RECIPIENT}>", "DATA"):
            client.send(command + "\r\n")
            codes.append(client.reply().code)
            if codes[-1] == 451:
                break
        if codes[-1] == 354:
            codes.append(client.content(harness.sample()).code)
        harness.equal(codes[-1], 451)
        client.quit()
    for found in records(site):
        harness.contains(found["delivery_fault"], f"unix:{filter_.path} closed the connection, after {word}")
        harness.contains(found["explanation"], f"closed the connection, after {word} (milters, default-action=tempfail)")
        assert event in "MR" or found["message_id"], found
    harness.equal(len(records(site)), 2)


# Slow sessions


def slow(*_):
    time.sleep(1.2)
    return frame("c")


def test_a_message_that_took_long_names_the_filter():
    quick, late = Filter(**SILENT), Filter(E=slow, path=harness.scratch() / "b", **SILENT)
    site = site_with(quick.line(), late.line())
    message(site)
    expected = rf"the filter unix:{late.path} took 1\.[2-9] s \(milters\)"
    assert re.fullmatch(expected, record(site)["explanation"]), record(site)
    assert re.fullmatch(expected, records(site, "session")[0]["explanation"]), records(site, "session")


def test_a_client_that_left_before_a_filter_had_answered_is_explained():
    late = Filter(E=slow, **SILENT)
    site = site_with(late.line())
    client = site.connect()
    client.ehlo()
    client.say(f"MAIL FROM:<{SENDER}>", 250)
    client.say(f"RCPT TO:<{RECIPIENT}>", 250)
    client.say("DATA", 354)
    client.send(harness.sample() + b".\r\n")
    client.close()
    found = records(site, "session")[0]
    assert found["end"] in ("eof", "broken"), found
    assert re.fullmatch(rf"client closed the connection, perhaps because it did not wait: the filter unix:{late.path} took "
                        r"1\.[2-9] s \(milters\)", found["explanation"]), found


def test_a_session_that_took_too_long_names_the_filter():
    late = Filter(M=slow)
    site = site_with(late.line(), session_timeout=2)
    client = site.connect()
    client.ehlo()
    client.say(f"MAIL FROM:<{SENDER}>", 250)
    client.expect(421)
    found = records(site, "session")[0]
    harness.equal(found["end"], "session-timeout")
    assert re.fullmatch(rf"the session took too long \(session-timeout\): the filter unix:{late.path} took 1\.[2-9] s of it "
                        r"\(milters\)", found["explanation"]), found


def test_a_quick_session_is_not_explained():
    filter_ = Filter()
    site = site_with(filter_.line())
    message(site)
    assert "explanation" not in record(site) and "explanation" not in records(site, "session")[0], record(site)


# The panel, and metrics


def status(site, *options, columns=None):
    command = [harness.build / "src" / "postern-status", "-c", site.settings_file, *options]
    if not command[0].exists():
        raise harness.Skip("built without postern-status")
    done = harness.run(*command, env=harness.environment(TZ="UTC"))
    harness.equal(done.returncode, 0, done.stdout)
    return done.stdout


def site_of_each_verdict():
    """A message for each verdict of the first of two filters; the site and their names."""
    first, second = Filter(**SILENT), Filter(path=harness.scratch() / "b", **SILENT)
    site = site_with(first.line(), second.line(), quarantine_mailbox="odd")
    for answer, code in ((frame("a"), 250), (frame("c"), 250), (frame("r"), 550), (filters.reply("450 4.7.1 no"), 450),
                         (frame("d"), 250), (frame("q", b"odd\0") + frame("a"), 250), (None, 451), (None, 451)):
        first.answers = {"E": answer}
        message(site, code)
    harness.eventually(lambda: len(records(site, "session")) == 8, "eight sessions")
    return site, f"unix:{first.path}", f"unix:{second.path}"


def test_the_panel_has_a_line_for_each_filter():
    site, first, second = site_of_each_verdict()
    shown = " ".join(status(site).split())
    assert re.search(rf"Filters {first}: 2 accepted, 1 refused, 1 tempfailed, 1 discarded, 1 quarantined, 2 failed; "
                     rf"\d+ ms on average, \d+ ms at most; last: {site.dir}/milters:1: {first} closed the connection, after "
                     r"end of message; always with the message <1@client\.example\.net>", shown), shown
    assert re.search(rf"{second}: 8 accepted; \d+ ms on average, \d+ ms at most", shown), shown
    harness.contains(shown, "Delivered 3")
    harness.contains(shown, "Discarded 1")


def test_metrics_count_what_filters_did():
    site, first, second = site_of_each_verdict()
    shown = status(site, "--openmetrics")
    for line in (f'postern_filter_messages{{filter="{first}",verdict="accepted"}} 2',
                 f'postern_filter_messages{{filter="{first}",verdict="failed"}} 2',
                 f'postern_filter_messages{{filter="{second}",verdict="accepted"}} 8',
                 f'postern_filter_messages{{filter="{second}",verdict="failed"}} 0',
                 'postern_filter_verdicts{verdict="accepted"} 10', 'postern_filter_verdicts{verdict="quarantined"} 1',
                 'postern_messages{outcome="discarded"} 1'):
        harness.contains(shown, line + "\n")
    assert re.search(rf'postern_filter_seconds\{{filter="{first}"\}} \d+\.\d\d\d\n', shown), shown
    assert re.search(rf'postern_filter_longest_seconds\{{filter="{second}"\}} \d+\.\d\d\d\n', shown), shown
    tool = harness.packages() / "promtool" / "usr/bin/promtool"
    harness.equal(harness.run(tool, "check", "metrics", input=shown).stdout, "")


def test_counters_of_an_earlier_version_go_on():
    site, _, __ = site_of_each_verdict()
    totals = site.dir / "totals"
    status(site, "--openmetrics", "--totals", totals)
    kept = json.loads(totals.read_text())
    new = ("discarded", "filter_milliseconds", "filter_verdicts")
    totals.write_text(json.dumps({key: value for key, value in {**kept, "delivered": 7}.items() if key not in new}))
    shown = status(site, "--openmetrics", "--totals", totals)
    harness.contains(shown, 'postern_recorded_messages_total{outcome="delivered"} 7\n')
    harness.contains(shown, "postern_recorded_filter_wait_seconds_total 0.000\n")
    totals.write_text(json.dumps({**kept, "filter_verdicts": {"accepted": 9}, "filter_milliseconds": 3100}))
    shown = status(site, "--openmetrics", "--totals", totals)
    harness.contains(shown, 'postern_recorded_filter_verdicts_total{verdict="accepted"} 9\n')
    harness.contains(shown, "postern_recorded_filter_wait_seconds_total 3.100\n")


def test_records_of_an_earlier_version_are_still_read():
    """They have no filters_ms, and a quarantine among the filters."""
    site = site_with("unix:/none\n")
    old = {"time": time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime()), "event": "message", "level": "info", "pid": 1,
           "outcome": "delivered", "from": SENDER, "to": [RECIPIENT],
           "filters": ["unix:/a: reply, 13 ms", "unix:/b: accept, 1 edit, 7 ms", "quarantine: odd", "b"]}
    (site.dir / "records").write_text(json.dumps(old) + "\n")
    harness.contains(" ".join(status(site).split()), "Filters unix:/b: 1 accepted; 7 ms on average, 7 ms at most")


def test_the_list_of_messages_says_what_a_filter_did():
    site, first, _ = site_of_each_verdict()
    lines = status(site, "--messages").splitlines()[1:]
    harness.equal(len(lines), 8)
    for line, text in zip(lines, (
            None, None, f"refused: the filter {first} refused it: 550 5.7.1 Command rejected",
            f"refused: the filter {first} refused it: 450 4.7.1 no",
            f"discarded: the filter {first} discarded it, and the client was told that it was accepted",
            f"delivered: the filter {first} put it into quarantine (quarantine-mailbox): odd",
            f"Delivery Error (SMTP Receive): 451 4.3.0 A filter of this host failed; try later: {site.dir}/milters:1: {first} "
            "closed the connection, after end of message", "closed the connection, after end of message")):
        assert line.endswith(text or "delivered"), (line, text)


# Traces


def traced(*lines, **settings):
    site = site_with(*lines, **settings)
    (site.dir / "traces").mkdir()
    return site.set(trace="127.0.0.1", trace_directory=site.dir / "traces")


def trace(site):
    harness.eventually(lambda: records(site, "session"), "the end")
    path, = (site.dir / "traces").iterdir()
    return path, path.read_text(encoding="ascii").splitlines()


def play(path):
    return harness.run(harness.build / "tests/dialogue/run-dialogue", "program", harness.program(), path)


def test_a_trace_has_each_event_and_each_answer_and_is_still_a_dialogue():
    filter_ = Filter(E=filters.add("X-A", "\u00e9\n b") + frame("b", b"12345") + frame("a"), R=frame("p") + frame("c"))
    site = traced(filter_.line())
    message(site)
    path, lines = trace(site)
    found = [line.removeprefix(f"# filter unix:{filter_.path} ") for line in lines if line.startswith("# filter ")]
    assert found[0].startswith("> version 6, actions add-header"), found
    body = len(harness.sample().split(b"\r\n\r\n", 1)[1])
    harness.equal([line for line in found[1:] if "header field" not in line],
                  ["< CONNECT [127.0.0.1]", "> continue", "< HELO client.example.net", "> continue",
                   f"< MAIL <{SENDER}>", "> continue", f"< RCPT <{RECIPIENT}>", "> progress", "> continue", "< DATA",
                   "> continue", "< end of header", "> continue", f"< body of {body} octets", "< end of message",
                   r"> add-header X-A \xC3\xA9\x0A b", "> replace-body of 5 octets", "> accept"])
    fields = [line for line in found if "header field" in line]
    harness.equal(len(fields), 8)
    assert "< header field Subject" in fields, fields
    # behind what the client said, and before the reply
    at = lines.index(f"C: MAIL FROM:<{SENDER}>")
    assert lines[at + 1].startswith("# filter ") and lines[at + 8].startswith("S: 250 "), lines
    played = play(path)
    harness.equal(played.returncode, 0, played.stdout)


def test_a_trace_has_the_refusal_and_the_failure_of_a_filter():
    first = Filter(M=filters.reply("450 4.7.1 later"))
    site = traced(first.line())
    client = site.connect()
    client.ehlo()
    client.say(f"MAIL FROM:<{SENDER}>", 450)
    first.answers = {"M": None}
    client.say(f"MAIL FROM:<{SENDER}>", 451)
    client.quit()
    _, lines = trace(site)
    harness.contains(lines, f"# filter unix:{first.path} > reply 450 4.7.1 later")
    harness.contains(lines, f"# filter unix:{first.path} ! closed the connection, after MAIL")


def test_a_trace_has_no_secret_and_is_bounded():
    filter_ = Filter()
    site = traced(filter_.line())
    fields = b"".join(b"X-%d: %s\r\n" % (n, b"v" * 50) for n in range(3000))
    client = site.connect()
    client.ehlo()
    harness.equal(client.message(fields + b"\r\nsecret body\r\n").code, 250)
    client.quit()
    path, lines = trace(site)
    found = [line for line in lines if line.startswith("# filter ")]
    assert found[-1].endswith(" < ..."), found[-3:]
    harness.equal(len(found), 201)
    assert not any("vvv" in line or "secret" in line for line in found)
    harness.equal(play(path).returncode, 0)


def test_a_login_is_in_no_line_about_a_filter():
    filter_ = Filter()
    site = logins.site()
    path = logins.put(site, "milters", filter_.line())
    (site.dir / "traces").mkdir()
    site.set(milters=path, trace="127.0.0.1", trace_directory=site.dir / "traces", log=f"json:{site.dir}/records")
    client = site.connect()
    client.ehlo()
    client.starttls()
    client.ehlo()
    secret = base64.b64encode(f"\0{logins.USER}\0{logins.PASSWORD}".encode()).decode()
    client.say(f"AUTH PLAIN {secret}", 235)
    client.say("AUTH PLAIN again", 503)
    client.say(f"MAIL FROM:<{SENDER}>", 250)
    client.quit()
    _, lines = trace(site)
    text = "\n".join(line for line in lines if line.startswith("# filter"))
    assert f"MAIL <{SENDER}>" in text and logins.PASSWORD not in text and secret not in text, text


@harness.table(field=("L",), end_of_header=("N",), body=("B",))
def test_a_second_answer_in_the_content_is_found_before_the_verdict(event):
    filter_ = Filter(**{event: frame("c") + frame("a")}, E=frame("a"))
    site = site_with(filter_.line("default-action=tempfail"))
    message(site, 451)
    harness.equal(site.everything(), [])
    harness.contains(record(site)["delivery_fault"], "answered what was not asked")


# Writes


@harness.table(silent=(filters.SILENT, 4), nothing=(sum(filters.NO.values()), 4), every=(0, 34))
def test_a_message_of_20_fields_takes_few_writes_to_a_filter(steps, most):
    """Events are collected as long as the filter owes no answer; nothing is written for each field."""
    harness.need("strace")
    filter_ = Filter(steps=steps)
    site = site_with(filter_.line())
    trace_file = site.dir / "strace"
    client = site.connect(wrap=("strace", "-f", "-qq", "-yy", "-o", trace_file, "-e", "trace=sendto,sendmsg,write,writev"))
    client.ehlo()
    fields = b"".join(b"X-%d: value\r\n" % n for n in range(20))
    harness.equal(client.message(fields + b"\r\n" + b"x" * 70 + b"\r\n").code, 250)
    client.quit()
    client.wait()
    harness.equal(len(filter_.got("L")), 0 if steps & filters.NO["L"] else 20)
    pattern = r"(?:sendto|sendmsg|write|writev)\(\d+<UNIX"
    writes = len(re.findall(pattern, trace_file.read_text(encoding="utf-8", errors="replace")))
    assert 1 <= writes <= most, f"{writes} writes, and {most} were expected at most"


if __name__ == "__main__":
    harness.main()
