#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Existing mailboxes: tables of text and cdbs, subaddresses, catch-all; with real clients, in the sandbox."""

import os
import re
import smtplib

import harness
from harness import DOMAIN, SENDER, Listener, Site

LINES = """# the most specific line counts
info@example.org
sales@example.org      boxes/info
scanner@example.org    scans/%u   auth
jos\u00e9@xn--bcher-kva.example  jose
postmaster             admin
old@example.com        deny
@example.com           com/%u
"""
DOMAINS = "example.org example.com b\u00fccher.example"
KINDS = harness.table(text=("recipients",), cdb=("recipients.cdb",))


def address(name):
    return f"{name}@{DOMAIN}"


class Place:
    """A site with a table of recipients, which is not below mail-root."""

    def __init__(self, name="recipients", lines=LINES, **settings):
        settings.setdefault("domains", DOMAINS)
        settings.setdefault("maildir_create", None)
        self.site = Site(maildir="boxes/%u", **settings)
        self.table = self.site.dir / "tables" / name
        self.table.parent.mkdir()
        (self.site.root / ".postern").mkdir()  # an empty one may be a disk that is not mounted
        self.site.set(recipients=self.table)
        self.write(lines)

    def write(self, lines):
        """As an administrator replaces a table."""
        if self.table.suffix == ".cdb":
            done = harness.run(harness.build / "src" / "postern-cdb", self.table, input=lines)
            harness.equal((done.returncode, done.stdout), (0, ""))
        else:
            new = self.table.with_suffix(".new")
            new.write_text(lines, encoding="utf-8")
            new.rename(self.table)

    def box(self, path):
        return self.site.new(self.site.root / path)

    def boxes(self):
        """Each Maildir that has a message, and how many."""
        found = [str(p.parent.parent.relative_to(self.site.root)) for p in self.site.everything()]
        return {box: found.count(box) for box in found}

    def begin(self, hello="ehlo", **options):
        client = self.site.connect(**options)
        getattr(client, hello)()
        client.say(f"MAIL FROM:<{SENDER}>", 250)
        return client

    def check_done(self, client):
        """The process ends as it should, sandbox and all."""
        harness.equal(client.quit(), 0)


def end_message(client, replies=1):
    client.say("DATA", 354)
    client.send(harness.sample() + b".\r\n")
    for _ in range(replies):
        client.expect(250)


def delivered_to(path):
    trace, _ = harness.split_trace(path.read_bytes())
    return next((t.split(": ", 1)[1] for t in trace if t.startswith("Delivered-To:")), None)


@KINDS
def test_a_message_goes_where_the_table_says(name):
    place = Place(name)
    (place.site.root / "com/any.body/new").mkdir(parents=True)  # a line for all leaves that to directories
    client = place.begin()
    for recipient, code, words in (
            ("info@example.org", 250, "2.1.5"), ("Sales@EXAMPLE.org", 250, "2.1.5"),
            ('"in\\fo"@example.org', 250, "2.1.5"), ("nobody@example.org", 550, "5.1.1"),
            ("info@example.net", 550, "5.7.1"), ("any.body@example.com", 250, "2.1.5"),
            ("old@example.com", 550, "5.1.1"), ("a/b@example.com", 553, "5.1.3"),
            ('".."@example.com', 553, "5.1.3"), ('""@example.com', 553, "5.1.3"),
            ("postmaster@example.com", 250, "2.1.5"), ("Postmaster", 250, "2.1.5"),
            ("scanner@example.org", 530, "5.7.0"), ("info+x@example.org", 550, "5.1.1")):
        client.say(f"RCPT TO:<{recipient}>", code, words)
    end_message(client)
    place.check_done(client)
    harness.equal(place.boxes(), {"boxes/info": 1, "com/any.body": 1, "admin": 1})


# Real sender 24, RFC 5321 4.5.1: there is a mailbox for postmaster, or --check warns


def warnings(place, missing=None):
    done = harness.run(*place.command(), "--check")
    harness.equal(done.returncode, 78 if missing else 0, done.stdout)
    if missing:
        harness.contains(done.stdout, f"maildir {place.root}/{missing}: No such file or directory")
    return re.findall(r"warning: .*?(?<=: )(postmaster\S*) has no mailbox", done.stdout)


def test_check_warns_of_a_postmaster_without_a_mailbox():
    place = Site(maildir="%d/%u", domains=f"{DOMAIN} example.com *.example.net", maildir_create=None)
    harness.equal(warnings(place), ["postmaster", f"postmaster@{DOMAIN}", "postmaster@example.com"])
    (place.root / DOMAIN / "postmaster" / "new").mkdir(parents=True)
    harness.equal(warnings(place), ["postmaster", "postmaster@example.com"])
    place.set(postmaster=f"postmaster@{DOMAIN}")
    harness.equal(warnings(place), [])
    place.set(postmaster=f"nobody@{DOMAIN}", maildir_create="no")
    harness.equal(warnings(place, missing=f"{DOMAIN}/nobody"), [])  # a fault is more than a warning
    place.set(postmaster="admin", maildir_create=None)  # one mailbox, which is made when mail comes
    harness.equal(warnings(place), [])
    client = place.connect()
    client.ehlo()
    harness.equal(client.message(harness.sample(), recipients=("postmaster", "Abuse@example.com")).code, 250)
    client.quit()
    harness.equal(len(place.new(place.root / "admin")), 1)


@harness.table(one={"maildir": "box"}, all={"maildir": "%u", "maildir_create": "yes"},
               rest={"maildir": "%u", "maildir_create": None, "catch_all": "rest"})
def test_check_is_silent_where_postmaster_has_a_mailbox(settings):
    harness.equal(warnings(Site(**settings)), [])


@KINDS
def test_check_looks_for_postmaster_in_the_table(name):
    place = Place(name).site  # LINES has one for all domains
    (place.root / "com/other").mkdir(parents=True)
    harness.equal(warnings(place), [])
    place = Place(name, lines="info@example.org\n", domains=DOMAIN).site
    harness.equal(warnings(place), ["postmaster", f"postmaster@{DOMAIN}"])


def test_a_postmaster_that_leads_out_of_mail_root_is_a_fault():
    for wrong in ("../admin", "/etc", "@example.org"):
        done = harness.run(*Site(postmaster=wrong).command(), "--check")
        harness.equal(done.returncode, 78, wrong)
        harness.contains(done.stdout, ": postmaster: ")


@KINDS
def test_swaks(name):
    harness.need("swaks")
    place = Place(name, tls="required", pair=harness.pair("rsa"))
    port = Listener(place.site).port

    def swaks(recipient):
        return harness.run("swaks", "--server", "127.0.0.1", "--port", port, "--tls", "--from", SENDER,
                           "--to", recipient, "--helo", "client.example.net")

    harness.equal(swaks(address("sales")).returncode, 0)
    harness.eventually(lambda: place.box("boxes/info"), "a message")
    for recipient, reply in ((address("nobody"), "550 5.1.1"), (address("scanner"), "530 5.7.0")):
        done = swaks(recipient)
        harness.equal(done.returncode, 24, done.stdout)
        harness.contains(done.stdout, reply)
    harness.equal(place.boxes(), {"boxes/info": 1})


@KINDS
def test_python_smtplib_tells_who_was_refused(name):
    place = Place(name)
    names = [address(n) for n in ("info", "nobody", "scanner")]
    with smtplib.SMTP("127.0.0.1", Listener(place.site).port) as client:
        refused = client.sendmail(SENDER, names, harness.sample())
        harness.equal({n: refused[n][0] for n in refused}, {names[1]: 550, names[2]: 530})
        try:
            client.sendmail(SENDER, names[1:], harness.sample())
        except smtplib.SMTPRecipientsRefused as refusal:
            harness.equal(sorted(refusal.recipients), names[1:])
        else:
            raise AssertionError("nobody was refused")
    harness.equal(place.boxes(), {"boxes/info": 1})


@KINDS
def test_python_smtplib_with_smtputf8(name):
    place = Place(name)
    with smtplib.SMTP("127.0.0.1", Listener(place.site).port) as client:
        client.sendmail(SENDER, ["JOSE\u0301@B\u00dcCHER.example"], harness.sample(), mail_options=["SMTPUTF8"])
    harness.equal(place.boxes(), {"jose": 1})


@KINDS
def test_lmtp_refuses_each_recipient_alone(name):
    place = Place(name)
    place.site.arguments = ["--lmtp"]
    with smtplib.LMTP("127.0.0.1", Listener(place.site).port) as client:
        refused = client.sendmail(SENDER, [address("nobody"), address("info"), "old@example.com"], harness.sample())
    harness.equal({n: code for n, (code, _) in refused.items()}, {address("nobody"): 550, "old@example.com": 550})
    harness.equal(place.boxes(), {"boxes/info": 1})


@KINDS
def test_the_next_connection_sees_a_new_table(name):
    place = Place(name, "old@example.org\nboth@example.org boxes/old\n")
    first = place.begin()
    place.write("new@example.org\nboth@example.org boxes/new\n")
    second = place.begin()
    for client, knows, knows_not in ((first, "old", "new"), (second, "new", "old")):
        client.say(f"RCPT TO:<{address(knows)}>", 250)
        client.say(f"RCPT TO:<{address(knows_not)}>", 550, "5.1.1")
        client.say(f"RCPT TO:<{address('both')}>", 250)
        end_message(client)
        harness.equal([path for path in place.boxes() if path == f"boxes/{knows}"], [f"boxes/{knows}"])
        place.check_done(client)
    harness.equal(place.boxes(), {"boxes/old": 1, "boxes/new": 1})


@KINDS
def test_a_subaddress_is_in_the_trace_header(name):
    place = Place(name, LINES + "info+list@example.org lists/%u\n", subaddress_delimiter="+")
    for recipient, box in (("info+Tickets@example.org", "boxes/info"), ("info+list@example.org", "lists/info+list")):
        client = place.begin()
        client.say(f"RCPT TO:<{recipient}>", 250)
        end_message(client)
        place.check_done(client)
        harness.equal([delivered_to(path) for path in place.box(box)], [recipient])
    client = place.begin()
    client.say(f"RCPT TO:<{address('nobody+x')}>", 550, "5.1.1")
    client.say(f"RCPT TO:<{address('scanner+x')}>", 530, "5.7.0")
    harness.equal(place.boxes(), {"boxes/info": 1, "lists/info+list": 1})


def test_a_subaddress_goes_without_a_table():
    site = Site(maildir="%u", subaddress_delimiter="-", maildir_create="no")
    for box in ("info", "info-list"):
        for part in ("new", "cur", "tmp"):
            (site.root / box / part).mkdir(parents=True)
    for name, box in (("info-x", "info"), ("info-list", "info-list"), ("info-list-x", "info"), ("joe-x", None)):
        client = site.connect()
        client.ehlo()
        client.say(f"MAIL FROM:<{SENDER}>", 250)
        client.say(f"RCPT TO:<{address(name)}>", 250 if box else 550)
        if box:
            before = len(site.new(site.root / box))
            end_message(client)
            harness.equal(len(site.new(site.root / box)), before + 1)


@harness.table(
    path=("recipients", "rest", "rest"), path_cdb=("recipients.cdb", "rest", "rest"),
    address=("recipients", "sales@example.org", "boxes/info"),
    address_cdb=("recipients.cdb", "sales@example.org", "boxes/info"))
def test_the_rest_goes_to_the_catch_all(name, catch_all, box):
    place = Place(name, catch_all=catch_all)
    client = place.begin()
    client.say("RCPT TO:<nobody@example.net>", 550, "5.7.1")
    client.say("RCPT TO:<old@example.com>", 550, "5.1.1")
    client.say("RCPT TO:<a/b@example.org>", 553, "5.1.3")
    client.say("RCPT TO:<scanner@example.org>", 530, "5.7.0")
    client.say("RCPT TO:<No.Body@example.org>", 250)
    end_message(client)
    place.check_done(client)
    harness.equal(place.boxes(), {box: 1})
    harness.equal(delivered_to(place.box(box)[0]), "No.Body@example.org")


def test_the_catch_all_goes_without_a_table():
    site = Site(maildir="%u", catch_all="rest", maildir_create=None)
    (site.root / ".postern").mkdir()
    client = site.connect()
    client.ehlo()
    client.message(harness.sample(), recipients=(address("nobody"),))
    harness.equal(len(site.new(site.root / "rest")), 1)


def test_a_recipient_who_wants_a_login_costs_the_others_nothing():
    place = Place()
    client = place.begin()
    client.say(f"RCPT TO:<{address('scanner')}>", 530, "5.7.0 Authentication required")
    client.say(f"RCPT TO:<{address('info')}>", 250)
    end_message(client)
    place.check_done(client)
    assert not (place.site.root / "scans").exists(), "a Maildir was made for a stranger"
    record = place.site.records("message")[0]
    harness.equal((record["outcome"], record["refused"]), ("delivered", "1"))


@harness.table(auto=(None, 250), yes=("yes", 250), no=("no", 451))
def test_a_maildir_that_the_table_names_is_made(create, code):
    place = Place(maildir_create=create)
    (place.site.root / ".postern").rename(place.site.root / "old")
    client = place.begin()
    client.say(f"RCPT TO:<{address('info')}>", code)
    client.say("RCPT TO:<made.up@example.com>", 250 if create == "yes" else 451)  # where is com?
    client.say("RSET", 250)
    harness.equal(os.listdir(place.site.root), ["old"])  # by content, not by an address that is tried
    (place.site.root / "com/other").mkdir(parents=True)
    client.say(f"MAIL FROM:<{SENDER}>", 250)
    client.say("RCPT TO:<made.up@example.com>", 250 if create == "yes" else 550)
    client.say("RSET", 250)
    if code == 250:
        client.say(f"MAIL FROM:<{SENDER}>", 250)
        client.say(f"RCPT TO:<{address('info')}>", code)
        end_message(client)
        harness.equal(place.boxes(), {"boxes/info": 1})


@KINDS
def test_inside_tls_nothing_needs_to_be_opened(name):
    """The sandbox has closed by then, twice."""
    place = Place(name, tls="required", pair=harness.pair())
    client = place.site.connect()
    client.ehlo()
    client.starttls()
    client.ehlo()
    harness.equal(client.message(harness.sample(), recipients=(address("info"), "postmaster@example.com")).code, 250)
    client.say(f"MAIL FROM:<{SENDER}>", 250)
    client.say(f"RCPT TO:<{address('nobody')}>", 550)
    client.quit()
    harness.equal(place.boxes(), {"boxes/info": 1, "admin": 1})


@KINDS
def test_a_table_is_read_with_the_first_rights(name):
    """By root, in a directory that only root may enter, for a process that then becomes the user nobody."""
    harness.need_root("another user")
    place = Place(name, user="nobody")
    place.site.root.chmod(0o777)
    place.table.parent.chmod(0o700)
    client = place.begin()
    client.say(f"RCPT TO:<{address('info')}>", 250)
    client.say(f"RCPT TO:<{address('nobody')}>", 550)
    end_message(client)
    place.check_done(client)
    harness.equal(place.boxes(), {"boxes/info": 1})


def check_refuses_everybody(place):
    client = place.site.connect(greeting=False)
    client.expect(421, "4.3.5")
    client.wait()
    harness.contains(place.site.log_text(), f"recipients {place.table}: ")


@harness.table(
    missing=("recipients", None), directory=("recipients", "directory"), line=("recipients", b"a 1\n b\n"),
    twice=("recipients", b"a\na\n"), empty=("recipients", b""), remarks=("recipients", b"# a\n\n"),
    mark=("recipients", b"\xef\xbb\xbf"), empty_cdb=("recipients.cdb", b""), no_pair=("recipients.cdb", "no pair"), no_cdb=("recipients.cdb", b"a 1\n"), zeros=("recipients.cdb", bytes(5000)))
def test_a_table_that_cannot_be_used_is_wrong_settings(name, octets):
    place = Place(name)
    place.table.unlink()
    if octets == "directory":
        place.table.mkdir()
    elif octets == "no pair":
        place.write("")
    elif octets is not None:
        place.table.write_bytes(octets)
    check_refuses_everybody(place)


@KINDS
def test_a_table_without_a_line_leaves_all_to_the_catch_all(name):
    place = Place(name, lines="", catch_all="rest")
    harness.equal(harness.run(*place.site.command(), "--check").returncode, 0)
    client = place.begin()
    client.say(f"RCPT TO:<{address('info')}>", 250)
    client.quit()


def test_a_cdb_that_is_cut_short_is_wrong_settings():
    place = Place("recipients.cdb")
    whole = place.table.read_bytes()
    for n in (0, 100, 2047, 2048, len(whole) // 2, len(whole) - 1):
        place.table.write_bytes(whole[:n])
        check_refuses_everybody(place)


def test_a_cdb_that_is_cut_short_in_a_session_makes_nobody_unknown():
    """In place, where a rename would have been right. The client may come again."""
    place = Place("recipients.cdb", LINES + "".join(f"user{n}@example.org\n" for n in range(100)))
    client = place.begin()
    client.say(f"RCPT TO:<{address('info')}>", 250)
    os.truncate(place.table, 3000)
    codes = set()
    for n in range(10):
        client.send(f"RCPT TO:<{address(f'user{n}')}>\r\n")
        codes.add(str(client.reply())[:9])
    assert "451 4.3.5" in codes and codes <= {"451 4.3.5", "250 2.1.5"}, codes
    end_message(client)
    place.check_done(client)


def test_a_line_that_means_nothing_is_for_later():
    place = Place(lines="a@example.org ../a\nb@example.org b c\ninfo@example.org\n")
    client = place.begin()
    for name, code in (("a", 451), ("b", 451), ("info", 250)):
        client.say(f"RCPT TO:<{address(name)}>", code)
    end_message(client)
    place.check_done(client)
    harness.equal(place.boxes(), {"boxes/info": 1})


@harness.senseless_when_sanitized
def test_a_session_reads_little_of_a_large_cdb():
    """A few reads for each recipient, of all 100,000."""
    harness.need("strace")
    place = Place("recipients.cdb", "".join(f"user{n}@example.org\n" for n in range(100_000)))
    size = place.table.stat().st_size
    trace = place.site.dir / "trace"
    client = place.begin(wrap=("strace", "-e", "trace=pread64,mmap", "-o", trace, "--quiet=all"))
    for n in range(10):
        client.say(f"RCPT TO:<{address(f'user{n * 9999}')}>", 250)
    client.say(f"RCPT TO:<{address('user100000')}>", 550)
    end_message(client)
    place.check_done(client)
    reads = [int(n) for n in re.findall(r"pread64\(.* = (\d+)$", trace.read_text(), re.M)]
    assert size > 4_000_000 and reads, f"{size} octets, {reads}"
    # the head once; slots, lengths and key of each, and three keys more for the last
    assert sum(reads) < 2048 + 1024 + 14 * 200, reads


# A line of several mailboxes

LIST = """sales@example.org   boxes/alice,boxes/bob
bob@example.org     boxes/bob
odd@example.org     ./boxes/a,b
@example.com        com/%u,archive
"""


def copies(place, *boxes):
    """The only message of each box."""
    found = [place.box(box) for box in boxes]
    harness.equal([len(messages) for messages in found], [1] * len(boxes))
    return [messages[0] for messages in found]


@KINDS
def test_a_line_names_several_mailboxes(name):
    place = Place(name, LIST)
    (place.site.root / "com/joe/new").mkdir(parents=True)
    client = place.begin()
    for recipient, code in (("sales@example.org", 250), ("joe@example.com", 250), ("jim@example.com", 550)):
        client.say(f"RCPT TO:<{recipient}>", code)
    end_message(client)
    client.say(f"MAIL FROM:<{SENDER}>", 250)
    client.say("RCPT TO:<odd@example.org>", 250)
    end_message(client)
    place.check_done(client)
    harness.equal(place.boxes(), {"boxes/alice": 1, "boxes/bob": 1, "com/joe": 1, "archive": 1, "boxes/a,b": 1})
    files = [path.stat() for path in copies(place, "boxes/alice", "boxes/bob", "com/joe", "archive")]
    harness.equal({file.st_ino for file in files}, {files[0].st_ino})
    harness.equal(files[0].st_nlink, 4)
    harness.equal(place.site.leftovers(), [])


def test_mailboxes_of_a_line_on_two_file_systems_get_a_copy_each():
    place = Place(lines=LIST)
    harness.small_file_system(place.site.root / "boxes/bob", "1m")
    client = place.begin()
    client.say("RCPT TO:<sales@example.org>", 250)
    end_message(client)
    place.check_done(client)
    one, other = copies(place, "boxes/alice", "boxes/bob")
    assert one.stat().st_dev != other.stat().st_dev
    harness.equal(one.read_bytes(), other.read_bytes())


def test_a_name_of_several_mailboxes_is_refused_as_a_whole_by_lmtp():
    """A directory that goes away before the end of the content: bob's copy stays, as he has another name."""
    lines = LIST + "all@example.org boxes/alice,boxes/carl,boxes/bob\ncarl@example.org boxes/carl\n"
    place = Place(lines=lines)
    place.site.arguments = ["--lmtp"]
    for box in ("alice", "bob", "carl"):
        for part in ("new", "cur", "tmp"):
            (place.site.root / "boxes" / box / part).mkdir(parents=True)
    client = place.begin(hello="lhlo")
    for recipient in ("all", "bob", "carl"):
        client.say(f"RCPT TO:<{address(recipient)}>", 250)
    client.say("DATA", 354)
    (place.site.root / "boxes/carl/new").rmdir()
    client.send(harness.sample() + b".\r\n")
    harness.equal([client.reply().code for _ in range(3)], [451, 250, 451])
    place.check_done(client)
    harness.equal(place.boxes(), {"boxes/bob": 1})


def test_descriptors_of_a_list_count():
    """Too few for one name alone is this host's fault, and no reason to send it with fewer others."""
    boxes = [f"boxes/{n}" for n in range(16)]
    lines = f"all@example.org {','.join(boxes)}\ninfo@example.org boxes/info\n"
    place = Place(lines=lines)
    client = place.begin(wrap=("sh", "-c", 'ulimit -n 64; exec "$@"', "sh"))
    client.say(f"RCPT TO:<{address('info')}>", 250)
    client.say(f"RCPT TO:<{address('all')}>", 452, "4.5.3")
    client.say("RSET", 250)
    client.say(f"MAIL FROM:<{SENDER}>", 250)
    client.say(f"RCPT TO:<{address('all')}>", 451, "4.3.0")
    client.say(f"RCPT TO:<{address('info')}>", 250)
    end_message(client)
    place.check_done(client)
    harness.equal(place.boxes(), {"boxes/info": 1})
    harness.contains(place.site.records("message")[-1]["delivery_fault"], "raise LimitNOFILE=")


def test_check_looks_at_each_mailbox_of_a_line():
    lines = "info@example.org a,b\nsales@example.org boxes/x,boxes/y,boxes/z\n@example.com boxes/x,file\n"
    place = Place(lines=lines, maildir_create="no")
    for box in ("a", "b", "boxes/x"):
        (place.site.root / box / "new").mkdir(parents=True)
    (place.site.root / "file").write_text("")
    done = harness.run(*place.site.command(), "--check")
    harness.equal(done.returncode, 78, done.stdout)
    root = place.site.root
    for line, key, path, words in ((2, "sales@example.org", "boxes/y", "No such file or directory"),
                                   (2, "sales@example.org", "boxes/z", "No such file or directory"),
                                   (3, "@example.com", "file", "is not a directory")):
        harness.contains(done.stdout, f"{place.table}:{line}: {key}: maildir {root}/{path}: {words}")
    assert "boxes/x:" not in done.stdout and f"{root}/a" not in done.stdout, done.stdout
    place = Place("recipients.cdb", lines=lines, maildir_create="no")
    (place.site.root / "a/new").mkdir(parents=True)
    done = harness.run(*place.site.command(), "--check")
    harness.contains(done.stdout, f"recipients {place.table}: info@example.org: maildir {place.site.root}/b: No such")


@harness.table(
    twice=("a,b,a", "a: is named twice"), comma=("a,", "a,: has a comma beside no name"),
    blank=("a, b", "a,: has a comma beside no name"), flag=("a,auth", "auth: is no mailbox: write it behind a blank"),
    many=(",".join(f"m{n}" for n in range(17)), "m16: is one mailbox too many: a line has 16 at most"),
    address=("a,joe@example.net", "joe@example.net: is an address, and mail is not forwarded"))
def test_check_names_what_is_wrong_with_a_list(value, words):
    place = Place(lines=f"info@example.org\nsales@example.org {value}\n")
    done = harness.run(*place.site.command(), "--check")
    harness.equal(done.returncode, 78, done.stdout)
    harness.contains(done.stdout, f"{place.table}:2: {words}")
    client = place.begin()
    client.say("RCPT TO:<sales@example.org>", 451, "4.3.5")
    client.quit()


def test_vrfy_tells_nothing():
    place = Place()
    client = place.site.connect()
    client.ehlo()
    for name in ("info", "nobody", "scanner"):
        client.say(f"VRFY {address(name)}", 252)


if __name__ == "__main__":
    harness.main()
