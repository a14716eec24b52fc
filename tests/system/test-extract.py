#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""postern-extract: attachments are saved octet for octet, with safe names, either all of a message or none."""

import base64
import contextlib
import email.policy
import grp
import os
import quopri
import random
import re
import signal
import stat
import subprocess
import time
from email.message import EmailMessage
from urllib.parse import quote_from_bytes

import harness
from injections import Call, Calls, errors_of_calls
from mailboxes import fuse, need_fuse

EX_USAGE, EX_DATAERR, EX_IOERR, EX_TEMPFAIL = 64, 65, 74, 75
NAME_MAX = 200
PDF = b"%PDF-1.4\n" + bytes(range(256)) * 40


def program():
    return harness.build / "src/postern-extract"


class Folder:
    """A directory for attachments, in a folder that must not change."""

    def __init__(self):
        self.around = harness.scratch()
        self.dir = self.around / "scans"
        self.dir.mkdir()

    def run(self, message, *options, status=0, wrap=(), patience=harness.PATIENCE, **more):
        """The message from a file; what is printed on standard output is kept."""
        file = self.around / "message"
        file.write_bytes(message)
        with open(file, "rb") as source:
            return self.finish(source, options, status, wrap, patience, more)

    def pipe(self, message, *options, status=0):
        return self.finish(None, options, status, (), harness.PATIENCE, {"input": message})

    def finish(self, source, options, status, wrap, patience, more):
        more.setdefault("env", harness.environment())
        if source:
            more["stdin"] = source
        done = subprocess.run([*map(str, wrap), str(program()), *options, "--", str(self.dir)], capture_output=True,
                              timeout=patience, check=False, **more)
        self.printed, self.said = done.stdout.decode(), done.stderr.decode()
        if status is not None:
            harness.equal(done.returncode, status, self.said)
            assert status or "Sanitizer" not in self.said, self.said
        return done.returncode

    def files(self):
        return {p.name: p.read_bytes() for p in self.dir.iterdir()}

    def expect(self, **files):
        harness.equal(self.files(), files)

    def expect_around(self):
        """Nothing is written but below the directory."""
        harness.equal(sorted(p.name for p in self.around.iterdir()), ["message", "scans"])


def mail(*attachments, text="Hello.\n"):
    """A message with (name, content) or (name, content, type)."""
    m = EmailMessage(policy=email.policy.SMTP)
    m["From"], m["To"], m["Subject"] = harness.SENDER, harness.RECIPIENT, "scan"
    m.set_content(text)
    for name, content, *kind in attachments:
        main, sub = (kind or ["application/pdf"])[0].split("/")
        m.add_attachment(content, maintype=main, subtype=sub, filename=name)
    return bytes(m).replace(b"\r\n", b"\n")


def part(fields, body=b"content", boundary="b"):
    """A message with one part of these fields (octets)."""
    return multipart([fields + b"\n\n" + body], boundary)


def multipart(parts, boundary="b", kind="mixed", end=True):
    mark = b"--" + boundary.encode()
    return (f'MIME-Version: 1.0\nContent-Type: multipart/{kind}; boundary="{boundary}"\n\n').encode() + b"".join(
        mark + b"\n" + p + b"\n" for p in parts) + (mark + b"--\n" if end else b"")


def attached(name_parameter, body=b"content"):
    return part(b"Content-Type: application/octet-stream\nContent-Disposition: attachment; " + name_parameter, body)


# What is saved


@harness.table(from_a_file=False, from_a_pipe=True)
def test_attachments_are_saved_octet_for_octet(piped):
    folder, chance = Folder(), random.Random(1)
    contents = {f"{n}.bin": chance.randbytes(n) for n in (0, 1, 2, 3, 57, 65535, 65536, 65537, 3_000_000)}
    message = mail(*((name, octets, "application/octet-stream") for name, octets in contents.items()))
    folder.pipe(message) if piped else folder.run(message)
    folder.expect(**contents)
    harness.equal((folder.printed, folder.said), ("", ""))


@harness.table_of({encoding: encoding for encoding in ("7bit", "8bit", "binary", "quoted-printable", "base64", "")})
def test_every_encoding_is_decoded(encoding):
    folder = Folder()
    text = "a line = with\ttabs  \nÄ\n\nlast".encode() if encoding not in ("7bit", "") else b"a line\nlast"
    body = {"base64": base64.encodebytes, "quoted-printable": quopri.encodestring}.get(encoding, lambda t: t)(text)
    body = body.rstrip(b"\n") if encoding == "base64" else body
    fields = b'Content-Type: text/csv; name="x.csv"'
    fields += f"\nContent-Transfer-Encoding: {encoding}".encode() if encoding else b""
    folder.run(part(fields, body))
    folder.expect(**{"x.csv": text})


def test_a_message_that_is_one_attachment():
    """Like copiers that send no text: not a multipart."""
    folder = Folder()
    folder.run(b"Subject: scan\nContent-Type: application/pdf; name=scan.pdf\nContent-Transfer-Encoding: base64\n\n" +
               base64.encodebytes(PDF))
    folder.expect(**{"scan.pdf": PDF})


def test_what_postern_has_stored_and_what_an_mbox_has_is_read():
    folder = Folder()
    stored = mail(("a.pdf", PDF))
    folder.run(b"From sender@example.net Sun Nov 29 12:00:00 2026\n" + stored)
    folder.run(b"Return-Path: <sender@example.net>\nReceived: by mail.example.org; Sun, 29 Nov 2026 12:00:00 +0000\n" +
               stored)
    folder.run(stored.replace(b"\n", b"\r\n"))
    folder.expect(**{"a.pdf": PDF, "a-1.pdf": PDF, "a-2.pdf": PDF})


def test_bodies_are_no_attachments():
    folder = Folder()
    m = EmailMessage()
    m.set_content("text")
    m.add_alternative("<p>html", subtype="html")
    folder.run(bytes(m))
    folder.run(b"Subject: x\n\nbody\n")
    folder.run(b"\nbody without a header\n")
    folder.run(part(b"Content-Type: text/plain\nContent-Disposition: inline"))
    folder.run(multipart([b"Content-Type: text/plain\n\nx", b"Content-Type: message/delivery-status\n\nAction: failed"],
                         kind="report"))
    folder.expect()


def test_a_name_or_a_disposition_makes_an_attachment():
    """Apple Mail has "inline" on PDFs, some copiers have a name in Content-Type alone, some have no name."""
    folder = Folder()
    for fields in (b"Content-Type: application/pdf; name=1.pdf\nContent-Disposition: inline; filename=1.pdf",
                   b"Content-Type: application/pdf; name=2.pdf", b"Content-Type: text/plain; name=3.txt",
                   b"Content-Type: text/plain\nContent-Disposition: attachment; filename=4.txt",
                   b"Content-Type: text/plain\nContent-Disposition: attachment",
                   b"Content-Type: text/plain\nContent-Disposition: x-unknown; filename=5.txt",
                   b"Content-Type: application/pdf", b"Content-Type: image/tiff"):
        folder.run(part(fields))
    folder.expect(**{name: b"content" for name in (
        "1.pdf", "2.pdf", "3.txt", "4.txt", "attachment.txt", "5.txt", "attachment.pdf", "attachment.tif")})


def related(*fields):
    html = b'Content-Type: text/html\n\n<img src="cid:1">'
    return multipart([html, *(f + b"\n\npicture" for f in fields)], kind="related")


# RFC 2387
def test_pictures_in_html_are_saved_on_demand():
    """The logo below each mail of a company; what is marked as an attachment is one, and so is a PDF."""
    logo = b"Content-Type: image/png; name=logo.png\nContent-ID: <1>\nContent-Disposition: inline; filename=logo.png"
    message = related(logo, b"Content-Type: image/png; name=2.png\nContent-ID: <2>\nContent-Disposition: attachment",
                      b"Content-Type: application/pdf; name=3.pdf\nContent-ID: <3>",
                      b"Content-Type: image/png; name=4.png")
    folder = Folder()
    folder.run(message)
    folder.expect(**{"2.png": b"picture", "3.pdf": b"picture", "4.png": b"picture"})
    folder = Folder()
    folder.run(message, "--inline")
    folder.expect(**{f"{n}": b"picture" for n in ("logo.png", "2.png", "3.pdf", "4.png")})


def forwarded(subject="Re: a/b", fields=b"Content-Type: message/rfc822"):
    inner = mail(("inner.pdf", PDF)).replace(b"Subject: scan", b"Subject: " + subject.encode())
    return inner, multipart([fields + b"\n\n" + inner, b"Content-Type: application/pdf; name=o.pdf\n\nx"],
                            boundary="outer")


def test_an_attached_message_is_saved_whole():
    inner, message = forwarded()
    folder = Folder()
    folder.run(message)
    folder.expect(**{"b.eml": inner, "o.pdf": b"x"})
    folder = Folder()
    folder.run(forwarded(fields=b'Content-Type: message/rfc822; name="mail.eml"')[1])
    harness.equal(sorted(folder.files()), ["mail.eml", "o.pdf"])


def test_an_attached_message_is_opened_on_demand():
    folder = Folder()
    folder.run(forwarded()[1], "--open-messages")
    folder.expect(**{"inner.pdf": PDF, "o.pdf": b"x"})


def test_an_attached_message_in_base64_is_a_file():
    """RFC 2046 forbids it, and some do it."""
    inner = mail(("inner.pdf", PDF))
    folder = Folder()
    folder.run(part(b"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64", base64.encodebytes(inner)))
    folder.expect(**{"attachment.eml": inner})


# RFC 1847 2.1, 2.2
def test_signatures_and_control_parts_are_no_attachments():
    folder = Folder()
    pdf = b"Content-Type: application/pdf; name=a.pdf\n\nx"
    folder.run(multipart([pdf, b"Content-Type: application/pgp-signature; name=signature.asc\n\nx"], kind="signed"))
    folder.run(multipart([b"Content-Type: application/pgp-encrypted\n\nVersion: 1",
                          b"Content-Type: application/octet-stream; name=encrypted.asc\n\nx"], kind="encrypted"))
    folder.expect(**{"a.pdf": b"x", "encrypted.asc": b"x"})


@harness.table_of({kind: (kind, tool) for kind, tool in (
    ("application/ms-tnef", "ytnef(1)"), ("application/vnd.ms-tnef", "ytnef(1)"), ("application/octet-stream", "ytnef(1)"),
    ("application/pkcs7-mime", "openssl-cms(1)"), ("message/partial", "in pieces"))})
def test_files_in_files_are_saved_as_they_are(kind, tool):
    folder = Folder()
    folder.run(part(f'Content-Type: {kind}; name="winmail.dat"'.encode(), b"\x78\x9f\x3e\x22"))
    folder.expect(**{"winmail.dat": b"\x78\x9f\x3e\x22"})
    harness.contains(folder.said, "postern-extract: the message: winmail.dat is ")
    harness.contains(folder.said, tool)


def test_tnef_that_filters_leave_out_is_not_passed_over_in_silence():
    folder = Folder()
    text = part(b'Content-Type: application/ms-tnef; name="winmail.dat"', b"\x78\x9f\x3e\x22")
    folder.run(text, "--types=application/pdf")
    folder.expect()
    harness.contains(folder.said, "winmail.dat is in Microsoft's format TNEF and was left out by --types")


def uuencoded(name, octets, *options):
    harness.need("uuencode")
    return subprocess.run(["uuencode", *options, name], input=octets, capture_output=True, check=True).stdout


@harness.table(uuencode=(), base64=("-m",))
def test_uuencoded_files_in_a_text_are_saved(*options):
    folder = Folder()
    text = b"Subject: scan\n\nSee below.\n\n"
    text += uuencoded("scan 1.pdf", PDF, *options) + b"\n" + uuencoded("../two.bin", b"\0", *options)
    folder.run(text)
    folder.expect(**{"scan 1.pdf": PDF, "two.bin": b"\0"})
    folder.run(text + b"\nbegin 644 a\n")
    harness.equal(sorted(folder.files()), ["scan 1-1.pdf", "scan 1.pdf", "two-1.bin", "two.bin"])


def test_a_part_may_be_uuencoded():
    folder = Folder()
    fields = b"Content-Type: application/pdf; name=x.pdf\nContent-Transfer-Encoding: x-uuencode"
    folder.run(part(fields, uuencoded("scan.pdf", PDF)))
    folder.expect(**{"scan.pdf": PDF})
    folder.run(part(fields, b"nothing of the kind"), status=EX_DATAERR)
    harness.contains(folder.said, "a part is said to be uuencoded, and is not\n")


def test_a_uuencoded_file_that_is_cut_is_saved_with_a_warning():
    folder = Folder()
    text = b"Subject: scan\n\n" + uuencoded("scan.pdf", PDF)
    folder.run(text[:4000])
    harness.contains(folder.said, "scan.pdf: its uuencoded text is damaged or cut: what could be decoded was saved\n")
    octets = folder.files()["scan.pdf"]
    assert len(octets) > 2000 and PDF.startswith(octets)


# Real programs


def test_mutt():
    harness.need("mutt")
    folder = Folder()
    made, sent = folder.around / "Größe 1.pdf", folder.around / "sent"
    made.write_bytes(PDF)
    (folder.around / "sendmail").write_text(f"#!/bin/sh\ncat >{sent}\n")
    (folder.around / "sendmail").chmod(0o755)
    done = harness.run("mutt", "-n", "-F", "/dev/null", "-e", f"set sendmail={folder.around}/sendmail copy=no",
                       "-s", "scan", "-a", made, "--", harness.RECIPIENT, input="see below\n",
                       env=harness.environment(HOME=str(folder.around)))
    harness.equal(done.returncode, 0, done.stdout)
    folder.run(sent.read_bytes())
    folder.expect(**{"Größe 1.pdf": PDF})


def test_mpack():
    harness.need("mpack")
    folder = Folder()
    (folder.around / "scan.pdf").write_bytes(PDF)
    done = harness.run("mpack", "-s", "scan", "-c", "application/pdf", "-o", folder.around / "out",
                       folder.around / "scan.pdf")
    harness.equal(done.returncode, 0, done.stdout)
    folder.run((folder.around / "out").read_bytes())
    folder.expect(**{"scan.pdf": PDF})


def through_postern(folder, send):
    """What a client sends to postern, as postern stores it."""
    site = harness.Site()
    listener = harness.Listener(site)
    (folder.around / "scan.pdf").write_bytes(PDF)
    done = send(listener.port, folder.around / "scan.pdf")
    harness.equal(done.returncode, 0, done.stdout)
    harness.eventually(site.new, "the message")
    folder.run(site.only_message().read_bytes())
    folder.expect(**{"scan.pdf": PDF})


def test_swaks_through_postern():
    harness.need("swaks")
    through_postern(Folder(), lambda port, file: harness.run(
        "swaks", "--server", f"127.0.0.1:{port}", "--from", harness.SENDER, "--to", harness.RECIPIENT,
        "--attach-type", "application/pdf", "--attach", f"@{file}"))


def test_curl_through_postern():
    harness.need("curl")
    through_postern(Folder(), lambda port, file: harness.run(
        "curl", "-sS", f"smtp://127.0.0.1:{port}", "--mail-from", harness.SENDER, "--mail-rcpt", harness.RECIPIENT,
        "-H", "Subject: scan", "-F", "=text", "-F", f"=@{file};type=application/pdf;encoder=base64"))


NODEMAILER = """
const mailer = require(process.argv[1] + "/nodemailer");
mailer.createTransport({ host: "127.0.0.1", port: Number(process.argv[2]), ignoreTLS: true }).sendMail({
  from: process.argv[3], to: process.argv[4], subject: "scan", text: "x", attachments: [{ path: process.argv[5] }],
}).catch((fault) => { console.log(fault); process.exit(1); });
"""


def test_nodemailer_through_postern():
    harness.need("node")
    modules = harness.packages() / "node-nodemailer/usr/share/nodejs"
    through_postern(Folder(), lambda port, file: harness.run(
        "node", "-e", NODEMAILER, modules, port, harness.SENDER, harness.RECIPIENT, file))


# Names


NAMES = {
    "plain": (b"filename=a.pdf", "a.pdf"),
    "quoted": (b'filename="a \\"b\\".pdf"', "a _b_.pdf"),
    "RFC 2231": (b"filename*=utf-8'de'Gr%C3%B6%C3%9Fe.pdf", "Größe.pdf"),
    "RFC 2231 in pieces": (b"filename*0*=utf-8''Gr%C3%B6; filename*1*=%C3%9Fe; filename*2=.pdf", "Größe.pdf"),
    "RFC 2231 in pieces, out of order": (b"filename*1=b.pdf; filename*0=a", "ab.pdf"),
    "RFC 2231 without a character set": (b"filename*=''a%20b.pdf", "a b.pdf"),
    "RFC 2047, which is forbidden there": (b'filename="=?utf-8?Q?Gr=C3=B6=C3=9Fe.pdf?="', "Größe.pdf"),
    "RFC 2047, two words": (b'filename="=?utf-8?B?R3LDtg==?= =?utf-8?B?w59lLnBkZg==?="', "Größe.pdf"),
    "both": (b"filename=\"Gr__e.pdf\"; filename*=utf-8''Gr%C3%B6%C3%9Fe.pdf", "Größe.pdf"),
    "both, in the other order": (b"filename*=utf-8''Gr%C3%B6%C3%9Fe.pdf; filename=\"Gr__e.pdf\"", "Größe.pdf"),
    "UTF-8 as it is": ("filename=\"Größe.pdf\"".encode(), "Größe.pdf"),
    "Latin-1 as it is": ("filename=\"Größe.pdf\"".encode("latin-1"), "Größe.pdf"),
    "decomposed, as macOS has it": (b"filename*=utf-8''Gro%CC%88%C3%9Fe.pdf", "Größe.pdf"),
    "an apostrophe, not encoded": (b"filename=it's.pdf", "it's.pdf"),
    "empty": (b'filename=""', "attachment.bin"),
    # everything that names from mail try
    "a path": (b'filename="../../../etc/passwd"', "passwd"),
    "an encoded path": (b"filename*=utf-8''..%2F..%2Fetc%2Fpasswd", "passwd"),
    "a path in RFC 2047": (b'filename="=?utf-8?Q?=2E=2E=2Fx.pdf?="', "x.pdf"),
    "an absolute path": (b'filename="/etc/cron.d/x"', "x"),
    "a path of Windows": (b'filename="C:\\\\a\\\\b.pdf"', "b.pdf"),
    "..": (b'filename=".."', "attachment.bin"),
    "a slash at the end": (b'filename="x/"', "attachment.bin"),
    "hidden": (b'filename=".htaccess"', "_htaccess"),
    "an option": (b'filename="-rf"', "_rf"),
    "a command": (b'filename="$(x).pdf"', "_(x).pdf"),
    "back quotes": (b'filename="`x`.pdf"', "_x_.pdf"),
    "NUL": (b"filename*=utf-8''a.exe%00.pdf", "a.exe"),
    "a new line": (b"filename*=utf-8''a%0Ab%0D.pdf", "a_b_.pdf"),
    "an escape of a terminal": (b"filename*=utf-8''a%1B%5B2J.pdf", "a_[2J.pdf"),
    "right to left": (b"filename*=utf-8''invoice%E2%80%AEfdp.exe", "invoice_fdp.exe"),
    "a device of Windows": (b'filename="NUL.pdf"', "_NUL.pdf"),
    "a stream of Windows": (b'filename="a.txt:b.exe"', "a.txt_b.exe"),
    "a file that Windows reads": (b'filename="desktop.ini"', "_desktop.ini"),
    "dots at the end": (b'filename="a.pdf. ."', "a.pdf"),
    "not UTF-8": (b"filename*=utf-8''%FF%FE.pdf", "ÿþ.pdf"),
    "300 octets": (b'filename="' + b"x" * 296 + b'.pdf"', "x" * (NAME_MAX - 5) + ".pdf"),
    "300 times 3 octets": (b"filename*=utf-8''" + b"%E2%82%AC" * 300 + b".pdf", "€" * 65 + ".pdf"),
}


@harness.table_of(NAMES)
def test_a_name(parameter, name):
    folder = Folder()
    folder.run(attached(parameter), "--print-names")
    folder.expect(**{name: b"content"})
    harness.equal((folder.printed, folder.said), (name + "\n", ""))
    folder.expect_around()


# RFC 2231 4, and RFC 2047 2 where some put it
TEXTS = {
    "iso-8859-1": "Größe", "iso-8859-2": "Łódź", "iso-8859-3": "ĉĝ", "iso-8859-4": "āē", "iso-8859-5": "Привет",
    "iso-8859-6": "سلام", "iso-8859-7": "Καλημέρα", "iso-8859-8": "שלום", "iso-8859-9": "Şğ", "iso-8859-10": "Þð",
    "iso-8859-11": "สวัสดี", "iso-8859-13": "ąž", "iso-8859-14": "Ŵŷ", "iso-8859-15": "€", "iso-8859-16": "Șț",
    "windows-1250": "Łódź", "windows-1251": "Привет", "windows-1252": "€Größe", "windows-1253": "Καλημέρα",
    "windows-1254": "Şğ", "windows-1255": "שלום", "windows-1256": "سلام", "windows-1257": "ąž", "windows-1258": "Đ",
    "koi8-r": "Привет", "iso-2022-jp": "見積書", "shift_jis": "見積書", "euc-jp": "見積書", "euc-kr": "견적서",
    "ks_c_5601-1987": "견적서", "gb2312": "报价单", "gbk": "報價單", "gb18030": "报价单", "big5": "報價單",
    "utf-8": "Größe 見積書",
}


@harness.table_of({f"{charset}, {how}": (charset, text, how) for charset, text in TEXTS.items()
                   for how in ("RFC 2231", "RFC 2047")})
def test_a_name_in_another_character_set(charset, text, how):
    octets = text.encode("euc-kr" if charset.startswith("ks_c") else charset)
    if how == "RFC 2231":
        parameter = f"filename*={charset}''{quote_from_bytes(octets, safe='')}.pdf".encode()
    else:
        parameter = f'filename="=?{charset}?B?{base64.b64encode(octets).decode()}?=.pdf"'.encode()
    folder = Folder()
    folder.run(attached(parameter))
    harness.equal((list(folder.files()), folder.said), ([text.replace(" ", " ") + ".pdf"], ""))


@harness.table_of({f"{charset}, {how}": (charset, how) for charset in ("IBM1047", "x-nonsense", "MACINTOSH", "JOHAB")
                   for how in ("RFC 2231", "RFC 2047")})
def test_a_name_in_an_unknown_character_set(charset, how):
    parameter = {"RFC 2231": f"filename*={charset}''a%E4%F6.pdf",
                 "RFC 2047": f'filename="=?{charset}?Q?a=E4=F6?=.pdf"'}[how].encode()
    folder = Folder()
    folder.run(attached(parameter))
    name, = folder.files()
    assert re.fullmatch(r"a_+\.pdf", name), name
    harness.contains(folder.said.lower(), f"a file name is in the unknown character set {charset.lower()}: ")


def test_no_file_is_overwritten_or_written_through():
    folder = Folder()
    (folder.dir / "a.pdf").write_bytes(b"mine")
    (folder.dir / "a-1.pdf").symlink_to(folder.around / "elsewhere")
    (folder.dir / "a-2.pdf").mkdir()
    folder.run(mail(("a.pdf", PDF), ("a.pdf", b"2")), "--print-names")
    harness.equal(folder.printed, "a-3.pdf\na-4.pdf\n")
    harness.equal((folder.dir / "a.pdf").read_bytes(), b"mine")
    harness.equal((folder.dir / "a-3.pdf").read_bytes(), PDF)
    harness.equal((folder.dir / "a-4.pdf").read_bytes(), b"2")
    folder.expect_around()


def test_runs_at_the_same_time_share_a_directory():
    folder = Folder()
    messages = []
    for n in range(12):
        messages.append(folder.around / f"m{n}")
        messages[-1].write_bytes(mail(("a.pdf", b"%d" % n), ("b.pdf", b"b%d" % n)))
    running = []
    for message in messages:
        with open(message, "rb") as source:
            running.append(subprocess.Popen([program(), folder.dir], stdin=source, env=harness.environment()))
    harness.equal([process.wait(harness.PATIENCE) for process in running], [0] * 12)
    found = folder.files()
    harness.equal(sorted(found.values()), sorted(x for n in range(12) for x in (b"%d" % n, b"b%d" % n)))
    harness.equal(len(found), 24)


# Modes, groups, filters


def test_mode_and_group():
    harness.need_root("another group")
    folder = Folder()
    old = os.umask(0o077)
    try:
        folder.run(mail(("a.pdf", PDF)))
        folder.run(mail(("b.pdf", PDF)), "--mode=0664", "--group=daemon")
    finally:
        os.umask(old)
    a, b = ((folder.dir / name).stat() for name in ("a.pdf", "b.pdf"))
    harness.equal([stat.S_IMODE(s.st_mode) for s in (a, b)], [0o640, 0o664])
    harness.equal([s.st_gid for s in (a, b)], [os.getegid(), grp.getgrnam("daemon").gr_gid])


def test_a_directory_with_the_group_bit_hands_its_group_on():
    harness.need_root("another group")
    folder = Folder()
    os.chown(folder.dir, 0, grp.getgrnam("daemon").gr_gid)
    folder.dir.chmod(0o2775)
    folder.run(mail(("a.pdf", PDF)))
    harness.equal((folder.dir / "a.pdf").stat().st_gid, grp.getgrnam("daemon").gr_gid)


def test_an_ordinary_user_without_rights_is_refused():
    harness.need_root("being another user")
    folder = Folder()
    as_daemon = ("setpriv", "--reuid=daemon", "--regid=daemon", "--clear-groups")
    folder.run(mail(("a.pdf", PDF)), wrap=as_daemon, status=EX_TEMPFAIL)
    harness.contains(folder.said, f"postern-extract: {folder.dir}: Permission denied: let this user write there; ")
    folder.dir.chmod(0o777)
    folder.run(mail(("a.pdf", PDF)), wrap=as_daemon)
    folder.run(mail(("a.pdf", PDF)), "--group=root", wrap=as_daemon, status=EX_TEMPFAIL)
    harness.contains(folder.said, "Operation not permitted")
    folder.expect(**{"a.pdf": PDF})


FILTERED = (("a.pdf", b"x" * 3000), ("b.PDF", b"x" * 10, "application/octet-stream"), ("c.tif", b"x" * 100, "image/tiff"),
            ("d.png", b"x" * 5000, "image/png"))


@harness.table_of({" ".join(options): (options, names) for options, names in (
    (("--types=application/pdf",), "a.pdf"),
    (("--types=application/pdf,.pdf",), "a.pdf b.PDF"),
    (("--types=IMAGE/*",), "c.tif d.png"),
    (("--skip-types=image/*",), "a.pdf b.PDF"),
    (("--types=image/*", "--skip-types=.png"), "c.tif"),
    (("--min-size=100",), "a.pdf c.tif d.png"),
    (("--max-size=100",), "b.PDF c.tif"),
    (("--min-size=1K", "--max-size=4K"), "a.pdf"),
    (("--types=video/*",), ""),
)})
def test_filters(options, names):
    folder = Folder()
    folder.run(mail(*FILTERED), *options)
    harness.equal(sorted(folder.files()), names.split())
    harness.equal(folder.said, "")


# The command line


@harness.table_of({" ".join(words) or "nothing": (words, fault) for words, fault in (
    ((), "DIRECTORY: must be given"),
    (("a", "b"), "b: only one directory can be given: this is the second"),
    (("",), ": must not be empty"),
    (("--nonsense", "a"), "--nonsense: not understood"),
    (("-x", "a"), "-x: not understood"),
    (("--types", "a"), "--types: needs a value: write it behind an equals sign"),
    (("--types=pdf", "a"), "--types=pdf: must be a list such as application/pdf,image/*,.pdf"),
    (("--types=*/*", "a"), "--types=*/*: has an asterisk that is not behind a slash"),
    (("--inline=yes", "a"), "--inline=yes: takes no value"),
    (("--mode=rw", "a"), "--mode=rw: must be octal, without rights to execute, such as 0640"),
    (("--mode=0755", "a"), "--mode=0755: must be octal"),
    (("--mode=4644", "a"), "--mode=4644: must be octal"),
    (("--group=", "a"), "--group=: must not be empty"),
    (("--min-size=1T", "a"), "--min-size=1T: must be a number of octets, such as 500K or 20M"),
    (("--max-parts=0", "a"), "--max-parts=0: must be a number from 1 to 1000000"),
    (("--max-depth=501", "a"), "--max-depth=501: must be a number from 1 to 500"),
)})
def test_a_wrong_command_line(words, fault):
    done = harness.run(program(), *words)
    harness.equal(done.returncode, EX_USAGE)
    harness.contains(done.stdout, f"postern-extract: {fault}")
    harness.contains(done.stdout, "; see postern-extract --help\n")


def test_help_and_version():
    harness.contains(harness.run(program(), "--help").stdout, "Usage: postern-extract [OPTION]... DIRECTORY <MESSAGE\n")
    assert re.fullmatch(r"postern-extract \d+\.\d+\.\d+\n", harness.run(program(), "--version").stdout)
    with open("/dev/full", "wb") as full:
        for option in ("--help", "--version"):
            harness.equal(subprocess.run([program(), option], stdout=full, check=False).returncode, EX_IOERR)


def test_names_that_cannot_be_printed_are_a_failure():
    """The files are there: it is no reason to try again."""
    folder = Folder()
    with open("/dev/full", "wb") as full, open("/dev/null", "rb") as nothing:
        file = folder.around / "message"
        file.write_bytes(mail(("a.pdf", PDF)))
        with open(file, "rb") as source:
            done = subprocess.run([program(), "--print-names", folder.dir], stdin=source, stdout=full,
                                  stderr=subprocess.PIPE, check=False)
        harness.equal(done.returncode, EX_IOERR)
        harness.equal(done.stderr, b"postern-extract: standard output: No space left on device\n")
        folder.expect(**{"a.pdf": PDF})
        done = subprocess.run([program(), folder.dir], stdin=nothing, stderr=subprocess.PIPE, check=False)
        harness.equal(done.returncode, EX_DATAERR)
        harness.contains(done.stderr, b"the message: it is empty: give a message on standard input\n")


def test_a_directory_that_is_not_there_may_come():
    """A share that is not mounted now: to be tried again."""
    folder = Folder()
    folder.dir.rmdir()
    folder.run(mail(("a.pdf", PDF)), status=EX_TEMPFAIL)
    harness.contains(folder.said, f"postern-extract: {folder.dir}: No such file or directory: make the directory, or "
                                  "mount its file system; nothing was saved, and the message can be tried again\n")
    folder.dir.write_text("")
    folder.run(mail(("a.pdf", PDF)), status=EX_TEMPFAIL)
    harness.contains(folder.said, "Not a directory: name a directory")


def test_an_input_that_cannot_be_read():
    folder = Folder()
    done = harness.run("sh", "-c", 'exec "$@" <"$2"', "sh", program(), folder.dir)
    harness.equal(done.returncode, EX_TEMPFAIL)
    harness.equal(done.stdout, "postern-extract: standard input: Is a directory; nothing was saved, and the message "
                               "can be tried again\n")


def test_a_group_that_is_not_there():
    folder = Folder()
    folder.run(mail(("a.pdf", PDF)), "--group=no-such-group", status=EX_TEMPFAIL)
    harness.contains(folder.said, "postern-extract: no-such-group: No such file or directory: make the group; ")


def test_descriptors_that_are_closed_do_no_harm():
    folder = Folder()
    (folder.around / "message").write_bytes(mail(("a.pdf", PDF)))
    done = harness.run("sh", "-c", f'exec "$@" <{folder.around}/message >&- 2>&-', "sh", program(), "--print-names",
                       folder.dir)
    harness.equal(done.returncode, 0)
    folder.expect(**{"a.pdf": PDF})
    done = harness.run("sh", "-c", 'exec "$@" <&-', "sh", program(), folder.dir)
    harness.equal(done.returncode, EX_DATAERR, done.stdout)


# Broken mail


def nested(levels, kind):
    if kind == "messages":
        return b"Content-Type: message/rfc822\n\n" * levels + b"Subject: x\n\nx"
    opened = b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n' % (n, n) for n in range(levels))
    closed = b"".join(b"--b%d--\n" % n for n in reversed(range(levels)))
    return opened + b"Content-Type: application/pdf; name=x.pdf\n\nx\n" + closed


@harness.table_of({f"{levels} {kind}": (levels, kind) for levels in (1000, 100_000)
                   for kind in ("multiparts", "messages")})
def test_deep_nesting_is_refused(levels, kind):
    folder = Folder()
    folder.run(nested(levels, kind), "--open-messages", status=EX_DATAERR)
    harness.contains(folder.said, "postern-extract: the message: it is nested more than 50 levels (--max-depth)\n")
    folder.expect()
    folder.run(nested(levels, kind), "--open-messages", "--max-depth=500", status=EX_DATAERR)
    folder.expect()


def test_nesting_up_to_the_limit_is_read():
    folder = Folder()
    folder.run(nested(48, "multiparts"))
    folder.expect(**{"x.pdf": b"x"})
    folder.run(nested(400, "multiparts"), "--max-depth=500")
    harness.equal(sorted(folder.files()), ["x-1.pdf", "x.pdf"])


def many_parts(n):
    return multipart([b"Content-Type: application/pdf; name=x.pdf\n\n%d" % i for i in range(n)])


def test_ten_thousand_parts():
    folder = Folder()
    folder.run(many_parts(10_000), status=EX_DATAERR)
    harness.contains(folder.said, "postern-extract: the message: it has more than 1000 parts (--max-parts)\n")
    folder.expect()
    folder.run(many_parts(3_000), "--max-parts=20000", "--print-names")
    harness.equal(len(folder.printed.splitlines()), 3_000)
    harness.equal(sorted(int(octets) for octets in folder.files().values()), list(range(3_000)))


@harness.senseless_when_sanitized
@harness.table(parts=(b'Content-Type: multipart/mixed; boundary="b"\n\n' + b"--b\nA:\n\n" * 4_000_000),
               fields=(b"A:\n" * 8_000_000 + b"\nx"))
def test_a_message_of_nothing_but_structure_is_refused(message):
    """Five octets are a part, which costs the parser more than a thousand."""
    folder = Folder()
    folder.run(message, status=EX_DATAERR, wrap=("prlimit", f"--as={1 << 30}"))
    harness.contains(folder.said, "of memory would be needed")
    folder.expect()


@harness.table_of({
    "parameters": b"Content-Type: application/pdf; " + b"; ".join(b"a%d=x" % n for n in range(50_000)) + b"\n\nx",
    "pieces of a name": part(b"Content-Disposition: attachment; " +
                             b"; ".join(b"filename*%d=x" % n for n in range(50_000))),
    "words of a name": part(b'Content-Disposition: attachment; filename="' + b"=?utf-8?Q?x?= " * 10_000 + b'"'),
    "lines of a field": part(b"Content-Disposition: attachment; filename=x;" + b"\n x=y;" * 50_000),
    "colons of an address": part(b"Content-Type: message/rfc822", b"From: " + b":" * 200_000 + b"\n\nx"),
    "comments": part(b"Content-Type: " + b"(" * 200_000 + b")" * 200_000 + b" text/plain"),
    "boundaries that are none": multipart([b"Content-Type: application/pdf; name=x.pdf\n\n" + b"--c\n" * 500_000]),
    "a line": b"Content-Type: application/pdf; name=x.pdf\n\n" + b"x" * 5_000_000,
    "a field": b"Subject: " + b"x" * 5_000_000 + b"\n\nx",
    "nested boundaries": nested(1000, "multiparts")[:40_000] + b"--x\n" * 500_000,
})
def test_what_makes_parsers_slow_or_deep_does_not(message):
    """No crash, and an end; the processor time of one message is limited to a minute."""
    folder = Folder()
    begun = os.times()
    status = folder.run(message, status=None)
    used = os.times()
    assert status in (0, EX_DATAERR), (status, folder.said)
    print(f"# {used.children_user + used.children_system - begun.children_user - begun.children_system:.2f} s of CPU")


BROKEN = {
    "a boundary that never comes": (b'Content-Type: multipart/mixed; boundary="b"\n\n--c\n\nx\n', EX_DATAERR,
                                    "a multipart has no boundary, or none of its parts can be found", {}),
    "no boundary parameter": (b"Content-Type: multipart/mixed\n\n--b\nContent-Type: application/pdf\n\nx\n--b--\n",
                              EX_DATAERR, "no attachment can be read: its MIME structure is broken", {}),
    "an unknown encoding": (part(b"Content-Type: application/pdf; name=x.pdf\nContent-Transfer-Encoding: rot13", b"x"),
                            0, "", {"x.pdf": b"x"}),
    "no header": (b"\x00\x01\x02 nothing\n", None, "", {}),
    "a part without an empty line": (multipart([b"Content-Type: application/pdf; name=x.pdf"]), 0, "", None),
    "a type that is none": (part(b"Content-Type: ///; name=x.pdf", b"x"), 0, "", {"x.pdf": b"x"}),
    "two types": (part(b"Content-Type: text/plain\nContent-Type: application/pdf; name=x.pdf\n"
                       b"Content-Disposition: attachment; filename=x.pdf", b"x"), 0, "", {"x.pdf": b"x"}),
    "NULs": (part(b"Content-Type: application/pdf; name=x.pdf", b"a\0b"), 0, "", {"x.pdf": b"a\0b"}),
    "a message that ends in a part": (
        multipart([b"Content-Type: application/pdf; name=x.pdf\n\nx"], end=False), 0,
        "a multipart has no end: the message was cut, and perhaps its last attachment", {"x.pdf": b"x\n"}),
}


@harness.table_of(BROKEN)
def test_broken_mail(message, status, warning, files):
    folder = Folder()
    found = folder.run(message, status=status)
    assert found in (0, EX_DATAERR), found
    harness.contains(folder.said, warning)
    if files is not None:
        folder.expect(**files)


@harness.table_of({
    "a character that is none": (b"QUJD*REVG", b"ABCDEF"), "cut": (b"QUJDRE", b"ABCD"), "no padding": (b"QUI", b"AB"),
    "padding in the middle": (b"QUI=QUJD", b"ABABC"), "two pieces": (b"QQ==\nQUI=\n", b"AAB"),
    "8 bits": (b"QUJD\xff\xfeREVG", b"ABCDEF")})
def test_broken_base64_gives_what_can_be_decoded(body, octets):
    folder = Folder()
    folder.run(part(b"Content-Type: application/pdf; name=x.pdf\nContent-Transfer-Encoding: base64", body))
    folder.expect(**{"x.pdf": octets})
    harness.equal(folder.said, "postern-extract: the message: x.pdf: its base64 is damaged or cut: what could be "
                               "decoded was saved\n")


def test_broken_quoted_printable_gives_what_can_be_decoded():
    folder = Folder()
    folder.run(part(b"Content-Type: application/pdf; name=x.pdf\nContent-Transfer-Encoding: quoted-printable",
                    b"a=zzb=41"))
    folder.expect(**{"x.pdf": b"a=zzbA"})
    harness.contains(folder.said, "x.pdf: its quoted-printable is damaged or cut")


def test_mail_that_is_cut_anywhere():
    folder, message = Folder(), mail(("a.pdf", PDF), ("b.txt", b"text\n" * 300, "text/plain"))
    for n in range(1, len(message), len(message) // 60):
        status = folder.run(message[:n], status=None)
        assert status in (0, EX_DATAERR), (n, status, folder.said)
        for path in folder.dir.iterdir():
            assert (PDF if path.suffix == ".pdf" else b"text\n" * 300).startswith(path.read_bytes()), (n, path)
            path.unlink()


def test_mail_that_is_damaged_anywhere():
    """Fixed random damage: no crash, no file outside."""
    chance = random.Random(17)
    seeds = [mail(("Größe.pdf", PDF[:500])), forwarded()[1], related(b"Content-Type: image/png; name=x.png"),
             attached(b"filename*0*=utf-8''a; filename*1*=%C3%B6")]
    folder = Folder()
    for _ in range(60):
        octets = bytearray(chance.choice(seeds))
        for _ in range(chance.randrange(1, 30)):
            octets[chance.randrange(len(octets))] = chance.choice(b"\0\n\r\t =;:\"'%?*-/\\\xff")
        status = folder.run(bytes(octets), "--open-messages", status=None)
        assert status in (0, EX_DATAERR), (status, folder.said, bytes(octets))
    folder.expect_around()


@harness.table_of({option: (option, fault) for option, fault in (
    ("--max-message=1K", "it has more than 1024 octets (--max-message)"),
    ("--max-total=9K", "its attachments have more than 9216 octets (--max-total)"),
    ("--max-parts=2", "it has more than 2 parts (--max-parts)"),
    ("--max-depth=1", "it is nested more than 1 levels (--max-depth)"),
)})
def test_what_is_beyond_a_limit_is_refused_as_a_whole(option, fault):
    folder = Folder()
    for run in (folder.run, folder.pipe):
        run(mail(("a.pdf", b"x" * 8000), ("b.pdf", b"x" * 2000)), option, status=EX_DATAERR)
        harness.equal(folder.said, f"postern-extract: the message: {fault}\n")
        folder.expect()


# A host with problems


def test_a_full_disk_leaves_nothing_and_is_tried_again():
    folder = Folder()
    harness.small_file_system(folder.dir, "256k")
    message = mail(("a.pdf", b"a" * 100_000), ("b.pdf", b"b" * 300_000))
    for _ in range(3):
        folder.run(message, status=EX_TEMPFAIL)
        harness.equal(folder.said, f"postern-extract: {folder.dir}: No space left on device: make room there; nothing "
                                   "was saved, and the message can be tried again\n")
        folder.expect()
    harness.run("mount", "-o", "remount,size=1m", folder.dir)
    folder.run(message)
    folder.expect(**{"a.pdf": b"a" * 100_000, "b.pdf": b"b" * 300_000})


def test_a_disk_without_inodes():
    folder = Folder()
    harness.small_file_system(folder.dir, "1m,nr_inodes=4")
    message = mail(*((f"{n}.pdf", b"x") for n in range(6)))
    folder.run(message, status=EX_TEMPFAIL)
    harness.contains(folder.said, "No space left on device")
    folder.expect()


def test_a_limit_on_the_size_of_files():
    folder = Folder()
    folder.run(mail(("a.pdf", b"x" * 100_000)), status=EX_TEMPFAIL, wrap=("prlimit", "--fsize=4096"))
    harness.contains(folder.said, "File too large: raise the limit on the size of files")
    folder.expect()


def test_a_file_system_that_is_read_only():
    folder = Folder()
    harness.small_file_system(folder.dir, "256k")
    harness.run("mount", "-o", "remount,ro", folder.dir)
    folder.run(mail(("a.pdf", PDF)), status=EX_TEMPFAIL)
    harness.contains(folder.said, "Read-only file system: mount its file system for writing")


def hidden(folder):
    return [p for p in folder.dir.iterdir() if p.name.startswith(".")]


def bindfs(folder):
    need_fuse("bindfs")
    lower = folder.around / "lower"
    lower.mkdir()
    fuse(folder.dir, "bindfs", "-f", "--no-allow-other", lower, folder.dir)


def exfat(folder):
    """No files without a name, no hard links."""
    need_fuse("mkfs.exfat", "mount.exfat-fuse", "losetup")
    image = folder.around / "image"
    with open(image, "wb") as file:
        file.truncate(8 << 20)
    harness.run("mkfs.exfat", image)
    device = harness.run("losetup", "--find", "--show", image).stdout.strip()
    harness.at_end(harness.run, "losetup", "-d", device)
    fuse(folder.dir, "mount.exfat-fuse", "-d", device, folder.dir)


@harness.table_of({"bindfs": bindfs, "exFAT": exfat})
def test_a_file_system_that_makes_no_files_without_a_name(mount):
    """Hidden names until all are complete; what a killed run left is removed when it is old."""
    folder = Folder()
    mount(folder)
    for name, age in ((".postern-extract-0123456789abcdef-0", 40), (".postern-extract-fresh-0", 30), (".other", 99)):
        (folder.dir / name).write_bytes(b"x")
        os.utime(folder.dir / name, (time.time() - age * 3600,) * 2)
    (folder.dir / "a.pdf").write_bytes(b"mine")
    folder.run(mail(("a.pdf", PDF), ("b.pdf", b"b")))
    harness.equal(sorted(p.name for p in hidden(folder)), [".other", ".postern-extract-fresh-0"])
    harness.equal({n: o for n, o in folder.files().items() if n[0] != "."},
                  {"a.pdf": b"mine", "a-1.pdf": PDF, "b.pdf": b"b"})


@harness.table_of({error: error for error in ("EINVAL", "EOPNOTSUPP", "EISDIR", "ENOENT")})
def test_a_file_system_without_o_tmpfile(error):
    harness.need("strace")
    folder = Folder()
    count = harness.run("strace", "-f", "-e", "trace=openat", program(), folder.dir, input=mail(("a.pdf", b"a")).decode())
    nth = next(i for i, line in enumerate((x for x in count.stdout.splitlines() if x.startswith("openat")), 1)
               if "O_TMPFILE" in line)
    (folder.dir / "a.pdf").unlink()
    folder.run(mail(("a.pdf", b"a")), wrap=("strace", "-qq", "-o", "/dev/null", "-e",
                                            f"inject=openat:error={error}:when={nth}"))
    folder.expect(**{"a.pdf": b"a"})


def calls_of(folder, message):
    """The tool, and the calls of a run, from the first one that the message can change."""
    class Place:
        dir = folder.around

    tool = Calls(Place)
    wrap, _ = tool.wrap(None)
    folder.run(message, wrap=wrap)
    text = (folder.around / "report").read_text()
    names = re.findall(r"^call 0 (\w+) \d+$", text, re.M)
    assert "unknown" not in names, "a call that tests/system/inject-calls.h does not know"
    first = max(i for i, name in enumerate(names) if name == "seccomp")
    return tool, [(name, names[:i + 1].count(name)) for i, name in enumerate(names) if i > first]


TWO = (("a.pdf", PDF), ("b.pdf", b"b" * 70_000))


def clear(folder):
    for path in folder.dir.iterdir():
        path.unlink()


@harness.senseless_when_sanitized
def test_killed_before_any_system_call():
    """No half file, and the next run saves all: at least once."""
    folder, message = Folder(), mail(*TWO)
    tool, calls = calls_of(folder, message)
    assert len(calls) > 20, calls
    for name, nth in calls:
        clear(folder)
        wrap, _ = tool.wrap(Call(0, name, nth, 0))
        folder.run(message, wrap=wrap, status=None)
        found = folder.files()
        assert all(dict(TWO).get(n) == octets for n, octets in found.items()), f"{name} {nth}: {list(found)}"
        folder.run(message)
        again = folder.files()
        assert sorted(again.values(), key=len) == sorted(
            [*found.values(), *dict(TWO).values()], key=len), f"{name} {nth}: {list(again)}"


@harness.senseless_when_sanitized
def test_any_system_call_may_fail():
    """Then all is saved, or nothing is and the message is tried again; there is no third way."""
    folder, message = Folder(), mail(*TWO)
    tool, calls = calls_of(folder, message)
    errors = errors_of_calls()
    faults = []
    for name, nth in calls:
        for error in errors[name][:3]:
            clear(folder)
            wrap, _ = tool.wrap(Call(0, name, nth, error))
            status = folder.run(message, wrap=wrap, status=None)
            found = folder.files()
            # a name that is taken gives another name
            if (status, sorted(found.values())) not in ((0, sorted(dict(TWO).values())), (EX_TEMPFAIL, [])):
                faults.append(f"{name} {nth} {os.strerror(error)}: {status} {list(found)} {folder.said}")
    assert not faults, "\n".join(faults)


# The sandbox


def test_it_is_in_a_sandbox_before_it_reads():
    folder = Folder()
    process = harness.start(program(), folder.dir, stdin=subprocess.PIPE)

    def is_inside():
        with contextlib.suppress(OSError), open(f"/proc/{process.pid}/status", encoding="ascii") as status:
            return re.search(r"^Seccomp:\t2$", status.read(), re.M)
        return False

    harness.eventually(is_inside, "a filter")
    links = {os.readlink(f"/proc/{process.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{process.pid}/fd")}
    assert any("memfd:postern-extract" in link for link in links), links
    assert not any("socket" in link for link in links), links
    process.stdin.write(mail(("a.pdf", PDF)))
    process.stdin.close()
    harness.equal(process.wait(harness.PATIENCE), 0)
    folder.expect(**{"a.pdf": PDF})


def test_a_message_that_takes_too_long_is_refused():
    """The processor time is used up: the timer that measures it sends SIGPROF."""
    folder = Folder()
    process = harness.start(program(), folder.dir, stdin=subprocess.PIPE, stderr=subprocess.PIPE)

    def is_caught():
        with contextlib.suppress(OSError), open(f"/proc/{process.pid}/status", encoding="ascii") as status:
            caught = re.search(r"^SigCgt:\t([0-9a-f]+)$", status.read(), re.M)
            return caught and int(caught[1], 16) & 1 << (signal.SIGPROF - 1)
        return False

    harness.eventually(is_caught, "a handler")
    process.send_signal(signal.SIGPROF)
    harness.equal(process.wait(harness.PATIENCE), EX_DATAERR)
    harness.equal(process.stderr.read(), b"postern-extract: the message: reading it takes more than a minute of "
                                         b"computing time: look at it by hand; nothing was saved\n")
    folder.expect()


@harness.senseless_when_sanitized
@harness.table_of({call: call for call in ("seccomp", "capset", "landlock_create_ruleset", "landlock_restrict_self")})
def test_nothing_is_read_without_a_sandbox(call):
    """As in a unit that filters system calls and does not allow this one."""
    harness.need("strace")
    folder = Folder()
    folder.run(mail(("a.pdf", PDF)), status=EX_TEMPFAIL,
               wrap=("strace", "-qq", "-o", "/dev/null", "-e", f"inject={call}:error=EPERM"))
    harness.contains(folder.said, "postern-extract: sandbox: Operation not permitted: it needs a kernel with seccomp, "
                                  "and a unit that filters system calls must allow it: see postern-extract(1); ")
    folder.expect()


def test_the_parser_is_loaded_by_this_program_alone():
    harness.need("ldd")
    for path in sorted((harness.build / "src").iterdir()):
        if path.is_file() and (path.suffix == ".so" or (path.name.startswith("postern") and not path.suffix)):
            harness.equal("libgmime" in harness.run("ldd", path).stdout, path.name == "postern-extract", path.name)


def test_a_message_may_take_its_time():
    """From a pipe, in pieces."""
    folder = Folder()
    process = harness.start(program(), folder.dir, stdin=subprocess.PIPE)
    message = mail(("a.pdf", PDF))
    for n in range(0, len(message), len(message) // 5):
        process.stdin.write(message[n:n + len(message) // 5])
        process.stdin.flush()
        time.sleep(0.05)
    process.stdin.close()
    harness.equal(process.wait(harness.PATIENCE), 0)
    folder.expect(**{"a.pdf": PDF})


def test_a_stop_leaves_nothing():
    folder = Folder()
    process = harness.start(program(), folder.dir, stdin=subprocess.PIPE)
    process.stdin.write(mail(("a.pdf", PDF)))
    process.stdin.flush()
    process.send_signal(signal.SIGTERM)
    harness.equal(process.wait(harness.PATIENCE), -signal.SIGTERM)
    folder.expect()


harness.main()
