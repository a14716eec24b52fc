#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Logging in (AUTH, RFC 4954): tables of real tools, mechanisms that are offered, addresses of users, faults of
tables, and replies that do not reveal which users exist."""

import base64
import contextlib
import shutil

import harness
from harness import RECIPIENT, SENDER, Client, Site
from logins import (
    Authority, PASSWORD, SECRET, USER, by_gsasl, by_mkpasswd, device_site, made, offers, plain, put, secure,
    sends_mail, site, with_certificate)


def by_doveadm(password=PASSWORD):
    root = harness.packages() / "dovecot-core/usr"
    folders = [str(root / "lib/dovecot"), harness.with_libraries().get("LD_LIBRARY_PATH", "")]
    command = ("-O", "pw", "-s", "SCRAM-SHA-256", "-p", password)
    done = harness.run(root / "bin/doveadm", *command, env=harness.environment(LD_LIBRARY_PATH=":".join(folders)))
    if "execv(/usr/bin/doveconf)" not in done.stdout:
        assert done.returncode == 0, done.stdout
        return done.stdout.split()[-1]
    # Dovecot 2.4 still reads its settings, by a program that must be in its installed place
    harness.need_root("a machine with Dovecot")
    settings = "dovecot_config_version = 2.4.0\ndovecot_storage_version = 2.4.0\n"
    return made(harness.HERE / "with-packages", harness.packages(), "dovecot-core", harness.scratch(), "sh", "-c",
                'printf "%s" "$0" >/etc/dovecot/dovecot.conf && exec doveadm "$@"', settings, *command)


VERIFIERS = {"gsasl": by_gsasl, "doveadm": by_doveadm, "yescrypt": lambda: by_mkpasswd("yescrypt"),
             "sha512crypt": lambda: by_mkpasswd("sha512crypt")}


# What is offered


def test_offered_only_inside_tls():
    client = site(tls="on").connect()
    assert not client.ehlo().has("AUTH")
    client.starttls()
    client.offered = client.ehlo()
    harness.equal(offers(client), ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN"])


def test_no_binding_before_tls_1_3():
    place = site()
    client = place.connect()
    client.ehlo()
    client.starttls(harness.client_context(maximum=harness.ssl.TLSVersion.TLSv1_2))
    client.offered = client.ehlo()
    harness.equal(offers(client), ["SCRAM-SHA-256", "PLAIN", "LOGIN"])


def test_no_scram_where_nobody_could_use_it():
    client = secure(site({USER: by_mkpasswd("yescrypt")}))
    harness.equal(offers(client), ["PLAIN", "LOGIN"])


# The tables of the tools


@harness.table(**VERIFIERS)
def test_verifiers_of_real_tools(make):
    place = site({USER: make()})
    client = secure(place)
    client.say(f"AUTH PLAIN {plain(password='wrong')}", 535)
    client.say(f"AUTH PLAIN {plain()}", 235)
    sends_mail(client)
    client.quit()
    harness.equal(place.session().get("status", ""), "")


def test_a_table_as_a_cdb():
    place = site()
    users = place.dir / "users"
    pairs = [tuple(line.split(" ", 1)) for line in users.read_text().splitlines()]
    place.set(auth_users=put(place, "users.cdb", cdb(pairs)))
    client = secure(place)
    harness.contains(offers(client), "SCRAM-SHA-256")
    client.say(f"AUTH PLAIN {plain(user='nobody')}", 535)
    client.say(f"AUTH PLAIN {plain()}", 235)


def cdb(pairs):
    """A constant database, https://cr.yp.to/cdb/cdb.txt."""

    def number(n):
        return n.to_bytes(4, "little")

    def digest(key):
        h = 5381
        for octet in key:
            h = (h * 33 & 0xFFFFFFFF) ^ octet
        return h

    body, tables = b"", [[] for _ in range(256)]
    for key, value in [(k.encode(), v.encode()) for k, v in pairs]:
        h = digest(key)
        tables[h % 256].append((h, 2048 + len(body)))
        body += number(len(key)) + number(len(value)) + key + value
    head, tail, at = b"", b"", 2048 + len(body)
    for table in tables:
        slots = [(0, 0)] * (2 * len(table))
        for h, place in table:
            i = h // 256 % len(slots)
            while slots[i][1]:
                i = (i + 1) % len(slots)
            slots[i] = (h, place)
        head += number(at) + number(len(slots))
        tail += b"".join(number(h) + number(p) for h, p in slots)
        at += 8 * len(slots)
    return head + body + tail


def test_files_may_be_credentials():
    place = site()
    place.set(auth_users="credential:users", auth_secret="credential:secret")
    client = secure(place, env=harness.environment(CREDENTIALS_DIRECTORY=str(place.dir)))
    client.say(f"AUTH PLAIN {plain()}", 235)


def test_the_user_need_not_read_the_tables():
    """They are opened with the first rights: root's."""
    harness.need_root("becoming another user")
    place = site(user="nobody")
    for path in (place.dir, place.root):
        shutil.chown(path, "nobody")
    pair = harness.pair("rsa").copy_to(place.dir)
    shutil.chown(pair.key, "nobody")
    place.set(pair=pair)
    client = secure(place)
    client.say(f"AUTH PLAIN {plain()}", 235)
    sends_mail(client)


# Strangers


def test_nobody_can_ask_who_exists():
    """The salt of a user that does not exist is the same in each process, and has the usual form."""
    place = site({USER: by_gsasl(), "second": by_gsasl()})

    def ask(name):
        client = secure(place)
        client.say("AUTH SCRAM-SHA-256", 334)
        client.send(base64.b64encode(f"n,,n={name},r=nonce".encode()) + b"\r\n")
        said = base64.b64decode(client.expect(334).words[0]).decode()
        return said.split(",")[1:]

    known, nobody, again, other = ask(USER), ask("nobody"), ask("nobody"), ask("nobody2")
    harness.equal(nobody, again)
    assert nobody != other and nobody != known
    harness.equal([len(part) for part in nobody], [len(part) for part in known])
    harness.equal(nobody[1], known[1])
    place.set(auth_secret=put(place, "secret", SECRET[::-1]))
    assert ask("nobody") != nobody
    harness.equal(ask(USER), known)


def test_the_reply_is_the_same_for_all():
    place = site({USER: by_gsasl(), "hashed": by_mkpasswd("yescrypt")})
    replies = set()
    for name in (USER, "hashed", "nobody", ""):
        client = secure(place)
        replies.add(str(client.say(f"AUTH PLAIN {plain(user=name, password='password')}", 535)))
        client.wait()
    harness.equal(len(replies), 1)


BROKEN_LINES = {
    "a password": ("password", "is neither a {SCRAM-SHA-256} verifier nor a $y$ or $6$ hash"),
    "half a hash": ("$6$saltsalt$abc", "is not a whole hash"),
    "a hash that crypt does not know": ("$y$zzz$abcdefgh$" + 43 * "a", "crypt(3) cannot compute this hash"),
}


@harness.table_of({f"{what}, {mechanism}": (what, mechanism) for what in BROKEN_LINES
                   for mechanism in ("PLAIN", "LOGIN", "SCRAM-SHA-256")
                   if mechanism != "SCRAM-SHA-256" or "crypt" not in what})
def test_a_line_that_cannot_be_used_is_a_fault_of_the_host(what, mechanism):
    """454 and no failed login: the client tries again, and fail2ban does not ban it."""
    value, fault = BROKEN_LINES[what]
    place = site({USER: by_gsasl(), "broken": value})
    client = secure(place)
    if mechanism == "PLAIN":
        client.say(f"AUTH PLAIN {plain(user='broken')}", 454, "4.7.0")
    else:
        client.say(f"AUTH {mechanism}", 334)
        if mechanism == "LOGIN":
            client.say(base64.b64encode(b"broken").decode(), 334)
        answer = PASSWORD.encode() if mechanism == "LOGIN" else b"n,,n=broken,r=nonce"
        client.say(base64.b64encode(answer).decode(), 454, "4.7.0")
    client.say(f"AUTH PLAIN {plain()}", 235)
    client.quit()
    harness.equal([fault in record["text"] and "broken" in record["text"] for record in place.records("error")], [True])
    assert not place.records("session")[-1].get("auth_failures"), place.records("session")[-1]



# Whose addresses


def test_who_may_send_from_where():
    place = site({"alice": by_gsasl(), "bob": by_gsasl(), "carol": by_gsasl()})
    place.set(auth_senders=put(place, "senders", "alice alice@example.net @alice.example\nbob *\n", 0o644))
    for user, sender, code in (
            ("alice", "alice@example.net", 250), ("alice", "Alice@Example.NET", 250),
            ("alice", "any@alice.example", 250), ("alice", "", 250), ("alice", "bob@example.net", 553),
            ("bob", "anybody@example.com", 250), ("carol", "carol@example.net", 553)):
        client = secure(place)
        client.say(f"AUTH PLAIN {plain(user=user)}", 235)
        found = client.say(f"MAIL FROM:<{sender}>", code)
        client.quit()
        harness.contains(str(found), "5.7.1" if code == 553 else "2.1.0")


@harness.table_of({f"{what} {how}": (what, how) for what in ("missing", "malformed cdb") for how in ("once", "twice")})
def test_senders_that_cannot_be_checked_are_a_fault_of_the_host(what, how):
    """Real sender 17: 451 at MAIL has its cause in the record, in the words of --check."""
    place = site({"alice": by_gsasl()})
    table = place.dir / ("senders" if what == "missing" else "senders.cdb")
    if what != "missing":
        table.write_bytes(b"no table" * 300)
    place.set(auth_senders=table)
    client = secure(place)
    client.say(f"AUTH PLAIN {plain(user='alice')}", 235)
    for _ in range(1 if how == "once" else 2):
        client.say("MAIL FROM:<alice@example.net>", 451, "4.3.0")
    client.quit()
    done = harness.run(*place.command(), "--check")
    harness.equal(done.returncode, 78, done.stdout)
    records = place.records("message")
    harness.equal(len(records), 1 if how == "once" else 2)
    for record in records:
        harness.equal((record["outcome"], record["status"]), ("refused", "Delivery Error (SMTP Receive)"))
        harness.contains(record["delivery_fault"], f"auth-senders {table}: ")
        harness.contains(done.stdout, record["delivery_fault"])
    harness.equal(len(place.records("error")), 1)


def test_a_byte_order_mark_is_skipped_in_every_file():
    """Real sender 20, RFC 3629 6: as editors on Windows write it, with CRLF."""
    pair = harness.pair("rsa")
    place = Site(tls="required", pair=pair)

    def put_marked(name, text, mode=0o600):
        return put(place, name, b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode(), mode)

    place.set(auth="on", auth_secret=put(place, "secret", b"\xef\xbb\xbf" + b"s" * 29),
              tls_tickets=put(place, "tickets", b"\xef\xbb\xbf" + b"t" * 61),
              auth_users=put_marked("users", f"{USER} {by_gsasl()}\n"),
              auth_senders=put_marked("senders", f"{USER} {SENDER}\n", 0o644),
              recipients=put_marked("recipients", f"{RECIPIENT} box auth\n", 0o644), maildir="%u",
              clients=put_marked("clients", "127.0.0.2 deny no\n", 0o644),
              tls_client_ca=put_marked("ca.pem", pair.certificate.read_text(), 0o644),
              tls_certificate=put_marked("cert.pem", pair.certificate.read_text(), 0o644),
              tls_key=put_marked("key.pem", pair.key.read_text()))
    put_marked("postern.conf", place.settings_file.read_text(), 0o644)
    place.connect("127.0.0.2", greeting=False).expect(554, "5.7.1 no")
    client = secure(place)
    client.say(f"AUTH PLAIN {plain()}", 235)
    sends_mail(client)
    client.quit()
    assert "tls_fault" not in place.records("session")[-1], place.log_text()
    cdb_file = place.dir / "users.cdb"
    done = harness.run(harness.build / "src" / "postern-cdb", cdb_file, place.dir / "users")
    harness.equal((done.returncode, done.stdout), (0, ""))
    client = secure(place.set(auth_users=cdb_file))
    client.say(f"AUTH PLAIN {plain()}", 235)
    done = harness.run(*place.command(), "--check")
    assert not [line for line in done.stdout.splitlines() if place.dir.name in line], done.stdout


def test_a_recipient_for_those_who_have_logged_in():
    place = site()
    place.set(recipients=put(place, "recipients", f"{RECIPIENT} box auth\nopen@{harness.DOMAIN} box\n", 0o644),
              maildir="%u")
    client = secure(place)
    client.say("AUTH LOGIN", 334)  # loads what the sandbox would not let in later
    client.say("*", 501)
    client.say(f"MAIL FROM:<{SENDER}>", 250)
    client.say(f"RCPT TO:<{RECIPIENT}>", 530, "5.7.0")
    client.say(f"RCPT TO:<open@{harness.DOMAIN}>", 250)
    client.say("RSET", 250)
    client.say(f"AUTH PLAIN {plain()}", 235)
    sends_mail(client)


# What is wrong with files


def readable(place):
    (place.dir / "users").chmod(0o604)
    return "auth-users {}/users: other users may read it"


def secret_readable(place):
    (place.dir / "secret").chmod(0o644)
    return "auth-secret {}/secret: other users may read it"


def short_secret(place):
    put(place, "secret", b"x" * 31)
    return "auth-secret {}/secret: has less than 32 octets"


def missing(place):
    (place.dir / "users").unlink()
    return "auth-users {}/users: No such file"


def missing_secret(place):
    (place.dir / "secret").unlink()
    return "auth-secret {}/secret: No such file"


def twice(place):
    users = place.dir / "users"
    put(place, "users", users.read_text() * 2)
    return "auth-users {}/users: line 2", "{}/users:2: "


def emptied(place):
    put(place, "users", "")
    return "auth-users {}/users: has no line, as if it had been emptied"


SPOILT = {f.__name__: f for f in (readable, secret_readable, short_secret, missing, missing_secret, twice, emptied)}


@harness.table(**SPOILT)
def test_where_all_must_log_in_files_that_cannot_be_used_defer_mail(spoil):
    place = site(auth="required")
    spoil(place)
    client = secure(place)
    client.say(f"AUTH PLAIN {plain()}", 454, "4.7.0")
    client.say(f"MAIL FROM:<{SENDER}>", 454, "4.7.0")  # by 530 the client would return it
    client.quit()


@harness.table(**SPOILT)
def test_files_that_cannot_be_used_cost_no_mail(spoil):
    place = site()
    told = spoil(place)
    told, by_check = (each.format(place.dir) for each in (told if isinstance(told, tuple) else (told, told)))
    client = secure(place)
    client.say(f"AUTH PLAIN {plain()}", 454, "4.7.0")
    client.say("AUTH LOGIN", 454)
    client.say("AUTH SCRAM-SHA-256", 454)  # not offered now, and as little the fault of a client that has no other
    client.say("AUTH CRAM-MD5", 504)
    sends_mail(client)
    client.quit()
    harness.equal([told in r["text"] for r in place.records("error")], [True])
    harness.contains(check(place, 78), by_check)


def check(place, code, own=False):
    """`own`: but for the warning that the user of the tests may be root."""
    done = harness.run(*place.command(), "--check")
    harness.equal(done.returncode, code, done.stdout)
    return harness.check_lines(done) if own else done.stdout


def test_who_does_not_log_in_does_not_hear_of_it():
    place = site()
    missing(place)
    client = secure(place)
    sends_mail(client)
    client.quit()
    harness.equal(place.records("error"), [])


def test_check_tells_what_is_wrong_in_tables():
    authority = Authority()
    place = device_site(authority, users={USER: by_gsasl(), "bare": "hunter2", "weak":
                                          by_gsasl().replace("}4096", "}1000")})
    place.set(
        auth_certificates=put(place, "certificates", f"{'AB:' * 31}AB one\n{'a' * 64}\n", 0o644),
        auth_senders=put(place, "senders", "alice alice@example.net, bob\n", 0o644))
    found = check(place, 78)
    for told in ("users:2: bare: is neither", "users:3: weak: has less than 4096", "certificates:1: AB:AB",
                 "certificates:2: aaaa", "senders:1: alice: has a word that is no address"):
        harness.contains(found, told)
    assert "hunter2" not in found and "users:1: " not in found, found


def test_check_is_silent_where_all_is_well():
    authority = Authority()
    place = device_site(authority, users={USER: by_gsasl(), "second": by_mkpasswd("sha512crypt")})
    place.set(auth_senders=put(place, "senders", "alice alice@example.net\n", 0o644),
              auth_certificates=put(place, "certificates", "a" * 64 + " alice\n", 0o644))
    harness.equal(check(place, 0, own=True), "")


@harness.table(off=("off", False, 78), on=("on", False, 78), required=("required", False, 0),
               no_users=("off", True, 0))
def test_any_domain_is_a_fault_where_some_need_not_log_in(auth, sink, code):
    place = site(auth=auth, domains="example.org *")
    if sink:
        place.set(auth_users=None, auth_secret=None)
    found = check(place, code)
    harness.equal("domains *: needs auth = required" in found, code == 78, found)


def test_any_domain_is_checked_for_each_kind_of_socket():
    place = site(auth="off", domains="*", tls="on")
    for kind, code in (("127.0.0.1:25", 78), ("smtps=127.0.0.1:465", 78), ("submission=127.0.0.1:587", 0),
                       ("lmtp=/run/postern.lmtp", 0)):
        done = harness.run(*place.command(), "--check", f"--listen={kind}")
        harness.equal(done.returncode, code, f"{kind}: {done.stdout}")
        harness.equal("domains *: needs auth = required" in done.stdout, code == 78, kind)


def test_no_open_relay_beside_a_submission_socket():
    """The users are those of another socket of this host."""
    place = site(auth="off", domains="example.org *", tls="on")
    client = place.connect()
    client.ehlo()
    client.say(f"MAIL FROM:<{harness.SENDER}>", 250)
    client.say("RCPT TO:<user@example.com>", 530, "5.7.0")
    client.say("RCPT TO:<user@example.org>", 250)
    client.quit()


def without_module(place):
    """The same program and modules, but for one."""
    folder = place.dir / "program"
    folder.mkdir()
    for name in ("postern", "tls.so", "idn.so"):
        shutil.copy(harness.build / "src" / name, folder / name)
    command = place.command
    place.command = lambda: [str(folder / "postern"), *command()[1:]]


@harness.about_modules
def test_a_missing_module_costs_no_mail():
    place = site()
    without_module(place)
    client = secure(place)
    client.say(f"AUTH PLAIN {plain()}", 454, "4.7.0")
    sends_mail(client)
    client.quit()
    harness.contains(place.records("error")[0]["text"], "sasl.so")
    harness.contains(check(place, 78), "sasl.so")


# The sandbox


def has_module(client):
    with open(f"/proc/{client.process.pid}/maps", encoding="utf-8") as maps:
        return "/sasl.so" in maps.read()


@harness.about_modules
def test_the_library_is_loaded_by_who_logs_in():
    client = secure(site())
    assert not has_module(client)
    client.say(f"AUTH PLAIN {plain()}", 235)
    assert has_module(client)
    sends_mail(client)
    client.quit()


@harness.about_modules
def test_where_all_must_log_in_it_is_loaded_while_they_are_awaited():
    client = secure(site(auth="required"))
    harness.eventually(lambda: has_module(client), "the module is loaded while the client says nothing")


@harness.about_modules
def test_nothing_can_be_loaded_behind_the_first_mail():
    place = site()
    client = secure(place)
    sends_mail(client)
    client.say(f"AUTH PLAIN {plain()}", 454, "4.7.0")
    client.say("AUTH LOGIN", 454)
    assert not has_module(client)
    client.say(f"MAIL FROM:<{SENDER}> AUTH=<>", 250)
    client.say("RSET", 250)
    sends_mail(client)
    client.quit()
    harness.equal(["cannot log in any more" in r["text"] for r in place.records("error")], [True])


@harness.table_of({"a line of the table": ({"recipients": True}, "inside@"), "any domain": ({"domains": "*"}, "far@other.")})
def test_who_is_told_to_log_in_at_rcpt_can(settings, start):
    """Also behind a message for another recipient, and where all commands come at once."""
    place = site(**{key: value for key, value in settings.items() if key != "recipients"})
    if "recipients" in settings:
        place.set(recipients=put(place, "recipients", "printer box\ninside box auth\n"))
    if "domains" in settings:
        place.set(domains=f"{harness.DOMAIN} *")
    closed = start + harness.DOMAIN
    for recipients, codes in (([closed], [530]), ([RECIPIENT, closed], [250, 530])):
        client = secure(place)
        client.send("".join([f"MAIL FROM:<{SENDER}>\r\n", *(f"RCPT TO:<{to}>\r\n" for to in recipients)]))
        client.expect(250)
        for code in codes:
            client.expect(code)
        if 250 in codes:
            client.say("DATA", 354)
            harness.equal(client.content(harness.sample()).code, 250)
        else:
            client.say("RSET", 250)
        client.say(f"AUTH PLAIN {plain()}", 235)
        client.say(f"MAIL FROM:<{SENDER}>", 250)
        client.say(f"RCPT TO:<{closed}>", 250)
        client.quit()


def test_who_has_tried_before_may_try_again_behind_it():
    client = secure(site())
    client.say(f"AUTH PLAIN {plain(password='wrong')}", 535)
    sends_mail(client)
    client.say(f"AUTH PLAIN {plain()}", 235)
    sends_mail(client)


def test_without_a_sandbox_nothing_ends():
    client = secure(site(sandbox="no"))
    sends_mail(client)
    client.say(f"AUTH PLAIN {plain()}", 235)
    sends_mail(client)


# A listener


def listening(place, kind=""):
    """A client of a process that a listener has forked, once it is there."""
    port = harness.free_port()
    with open(place.log, "ab") as log:
        harness.start(*place.command(), f"--listen={kind}127.0.0.1:{port}", stderr=log)

    def connect():
        with contextlib.suppress(ConnectionRefusedError):
            return Client.to(port)

    return lambda: harness.eventually(connect, "the listener accepts")


def inside(client, context=None):
    client.ehlo()
    client.starttls(context)
    client.offered = client.ehlo()
    return client


def test_a_listener_has_the_library_and_reads_the_tables_anew():
    place = site(auth="on")
    connect = listening(place)
    client = inside(connect())
    sends_mail(client)
    client.say(f"AUTH PLAIN {plain()}", 235)  # what is loaded needs no loading
    client.quit()
    put(place, "users", f"somebody {by_gsasl()}\n")
    client = inside(connect())
    client.say(f"AUTH PLAIN {plain(user='somebody')}", 235)
    client.quit()


def test_port_587_has_the_library_where_port_25_needs_no_login():
    connect = listening(site(auth="off"), "submission=")
    client = inside(connect())
    client.say(f"AUTH PLAIN {plain()}", 235)
    sends_mail(client)
    client.quit()


def test_new_authorities_count_from_the_next_connection_on():
    first, second = Authority(), Authority()
    place = site()
    place.set(tls_client_ca=put(place, "ca", first.certificate.read_bytes(), 0o644))
    connect = listening(place)
    context = with_certificate(second.signs("device", "email = scanner@example.org"))
    assert "EXTERNAL" not in offers(inside(connect(), context))
    put(place, "fresh", second.certificate.read_bytes(), 0o644).rename(place.dir / "ca")
    client = inside(connect(), context)
    client.say("AUTH EXTERNAL =", 235)


if __name__ == "__main__":
    harness.main()
