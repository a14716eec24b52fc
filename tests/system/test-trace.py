#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""A trace has the exact input of a client, is readable only for the administrator, and can be played again; if it
cannot be written, no mail is lost."""

import base64
import stat

import harness
from harness import RECIPIENT, Site
from machine import USERS


def place(trace="127.0.0.1", **settings):
    here = Site(tls="on", pair=harness.pair(), **settings)
    here.traces = here.dir / "traces"
    here.traces.mkdir()
    return here.set(trace=trace, trace_directory=here.traces)


def traces(here):
    return sorted(here.traces.iterdir())


def only_trace(here):
    found = traces(here)
    harness.equal(len(found), 1, "traces")
    return found[0]


def deliver(here, message=None, tls=True, **options):
    client = here.connect(**options)
    client.ehlo()
    if tls:
        client.starttls()
        client.ehlo()
    harness.equal(client.message(message or harness.sample()).code, 250)
    client.quit()


def play(path):
    """The dialogue runner plays a user's trace as it is, with the program of this build."""
    return harness.run(harness.build / "tests/dialogue/run-dialogue", "program", harness.program(), path)


def test_a_session_of_swaks_can_be_played_again():
    harness.need("swaks")
    here = place()
    listener = harness.Listener(here)
    done = harness.run("swaks", "--server", f"127.0.0.1:{listener.port}", "--tls", "--to", RECIPIENT,
                       "--from", harness.SENDER, "--header", "Subject: from a scanner", "--body", "words\nof it")
    harness.equal(done.returncode, 0, done.stdout)
    listener.finished()
    path = only_trace(here)
    text = path.read_text(encoding="ascii")
    for line in ("<TLS>", f"C: RCPT TO:<{RECIPIENT}>", "C: Subject: from a scanner", "S: 250 2.1.0 Sender OK"):
        harness.contains(text.splitlines(), line)
    assert "words" not in text, "of a message only the header is there"
    played = play(path)
    harness.equal(played.returncode, 0, played.stdout)


def with_users(verifier, **settings):
    """A host where the user `scanner` has the password `secret`, in one form or another."""
    here = place(auth="required", **settings)
    for key, text in (("auth_users", f"scanner {verifier}\n"), ("auth_secret", "x" * 32),
                      ("auth_senders", "scanner office@example.com\n")):
        path = here.dir / key
        path.write_text(text)
        path.chmod(0o600)
        here.set(**{key: path})
    return here


def secured(here):
    client = here.connect()
    client.ehlo()
    client.starttls()
    return client, client.ehlo()


def b64(text):
    return base64.b64encode(text.encode()).decode()


@harness.table(crypt=("crypt", "AUTH PLAIN LOGIN"),
               scram=("scram", "AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN"))
def test_a_trace_of_a_host_with_users_can_be_played_again(kind, offered):
    if not (harness.build / "src/sasl.so").exists():
        raise harness.Skip("built without sasl.so")
    harness.need("mkpasswd")
    verifier = USERS.split()[1]
    if kind == "crypt":
        verifier = harness.run("mkpasswd", "-m", "sha512crypt", "secret").stdout.strip()
    here = with_users(verifier)
    client, reply = secured(here)
    harness.contains(reply.words, offered)
    client.say("MAIL FROM:<office@example.com>", 530)
    client.say("AUTH CRAM-MD5", 504)
    client.say("AUTH GSSAPI " + b64("x"), 504)
    if kind == "crypt":
        client.say("AUTH SCRAM-SHA-256 " + b64("n,,n=scanner,r=x"), 504)
        client.say("AUTH SCRAM-SHA-256", 504)
    client.say("AUTH LOGIN", 334)
    client.say("*", 501)
    client.say("AUTH PLAIN " + b64("\0scanner\0wrong"), 535)
    client.say("AUTH PLAIN " + b64("\0scanner\0secret"), 235)
    client.say("MAIL FROM:<another@example.com>", 553)
    client.say("MAIL FROM:<office@example.com>", 250)
    client.say(f"RCPT TO:<{RECIPIENT}>", 250)
    client.say("DATA", 354)
    harness.equal(client.content(b"Subject: x\r\n\r\ny\r\n").code, 250)
    client.quit()
    path = only_trace(here)
    played = play(path)
    harness.equal(played.returncode, 0, played.stdout + path.read_text())
    text = path.read_text()
    path.write_text(text.replace("S: 235", "S: 535"))
    assert play(path).returncode != 0, "only what is not the trace's own is left open"


def test_nobody_else_may_read_it():
    here = place()
    deliver(here)
    harness.equal(stat.S_IMODE(only_trace(here).stat().st_mode), 0o600)


def test_messages_are_whole_where_that_is_asked_for():
    here = place(trace_content="yes")
    deliver(here)
    harness.contains(only_trace(here).read_text(), "C: line 2")


def test_other_clients_are_not_written_down():
    here = place(trace="127.0.0.2 ::1")
    deliver(here)
    harness.equal(traces(here), [])
    deliver(here, client="127.0.0.2")
    harness.contains(only_trace(here).name, ".127.0.0.2.txt")


def test_a_failed_handshake_is_in_it():
    here = place()
    client = here.connect()
    client.fail_handshake("QUIT\r\n")
    client.wait()
    harness.contains(only_trace(here).read_text(), "S: 220 2.0.0 Go ahead\n<TLS FAILS>\n")


def test_it_ends_before_it_is_too_long():
    here = place(trace_content="yes", size_limit=0)
    deliver(here, b"Subject: long\r\n\r\n" + b"0123456789abcdef\r\n" * 200000, tls=False)
    path = only_trace(here)
    assert path.stat().st_size <= 1024 * 1024, path.stat()
    harness.equal(path.read_text().splitlines()[-1], "# the trace ends here: it is too long")
    harness.equal(here.only_message().stat().st_size > 3000000, True)


def test_a_missing_directory_costs_no_mail_and_is_told():
    here = place()
    here.traces.rmdir()
    deliver(here)
    harness.equal(len(here.new()), 1)
    harness.contains(here.records("error")[0]["text"], f"trace-directory {here.traces}: No such file")
    done = harness.run(*here.command(), "--check")
    harness.equal(done.returncode, 78)
    harness.contains(done.stdout, f"trace-directory {here.traces}: No such file")


def test_a_full_disk_costs_no_mail():
    here = place()
    small = harness.small_file_system(here.dir / "small", "64k")
    here.traces = small / "traces"
    here.traces.mkdir()
    here.set(trace_directory=here.traces)
    harness.fill(small)
    deliver(here)
    harness.equal(len(here.new()), 1)
    harness.equal(here.records("message")[0]["outcome"], "delivered")


def test_an_old_trace_is_never_written_over():
    """Its name has the time and the process."""
    here = place()
    deliver(here)
    first = only_trace(here).read_bytes()
    deliver(here)
    harness.equal(len(traces(here)), 2)
    harness.equal(traces(here)[0].read_bytes(), first)


harness.main()
