#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Command lines and their results: exit statuses of sysexits(3), and faults as sentences."""

import os
import re
import shutil
import socket
import subprocess

import harness

EX_USAGE, EX_CONFIG = 64, 78


def postern(*arguments, stdin=""):
    return subprocess.run([str(harness.program()), *arguments], input=stdin, capture_output=True,
                          text=True, timeout=harness.PATIENCE, check=False)


def settings(text):
    path = harness.scratch() / "postern.conf"
    path.write_text(text)
    return str(path)


# printed, or there is a warning that mail would be received as root
AS_ROOT = ("-o", "user=root") if os.geteuid() == 0 else ()


def check(text, as_root=AS_ROOT):
    done = postern("-c", settings(text), *(() if "\nuser = " in text else as_root), "--check")
    harness.equal(done.stdout, "")
    return done.returncode, harness.without_static(done.stderr)


def test_help_tells_how_to_begin():
    done = postern("--help")
    harness.equal((done.returncode, done.stderr), (0, ""))
    for word in ("Usage: postern", "--check", "-o KEY=VALUE", "postern.conf(5)"):
        assert word in done.stdout, done.stdout


def test_version_is_one_line():
    """A static program has a second one, of what is inside."""
    done = postern("--version")
    harness.equal((done.returncode, done.stdout.count("\n")), (0, 1 + harness.is_static()))
    assert done.stdout.startswith("postern "), done.stdout


@harness.table(unknown=("--nonsense",), value_missing=("-c",), word=("mail",), too_many=("-o", "a=b") * 65)
def test_what_is_not_understood_is_named(*arguments):
    done = postern(*arguments)
    harness.equal((done.returncode, done.stdout), (EX_USAGE, ""))
    assert done.stderr.endswith("not understood; see postern --help\n"), done.stderr


@harness.table(
    print_and_check=(("--print-config", "--check"), "--check: is a second mode"),
    check_and_print=(("--check", "--print-config"), "--print-config: is a second mode"),
    listen_and_print=(("--listen", "--print-config"), "--print-config: is a second mode"),
    print_and_listen=(("--print-config", "--listen=127.0.0.1:0"), "--listen=127.0.0.1:0: is a second mode"),
    lmtp_and_listen=(("--lmtp", "--listen=127.0.0.1:0"), "--lmtp: is for one connection: listen at lmtp=ADDRESS"),
    check_of_both=(("--check", "--lmtp", "--listen"), "--lmtp: is for one connection"),
    too_many_addresses=((*["--listen=127.0.0.1:0"] * 16, "--listen=127.0.0.1:1"),
                        "--listen=127.0.0.1:1: there are more than 16 addresses: use another listener"),
    behind_the_end=(("--", "--check"), "--check: not understood"),
    option_behind_the_end=(("--check", "--", "-x"), "-x: not understood; see postern --help"),
    end_behind_the_end=(("--", "--"), "--: not understood"))
def test_one_command_has_one_mode(arguments, told):
    done = postern(*arguments)
    harness.equal((done.returncode, done.stdout), (EX_USAGE, ""))
    harness.contains(done.stderr, f"postern: {told}")


@harness.table_of({f"{program} {' '.join(words)}": (program, words, told) for program, words, told in (
    ("postern", ("--chek",), "--chek: not understood; did you mean --check? see postern --help"),
    ("postern", ("check",), "check: not understood; did you mean --check?"),
    ("postern", ("--print-confg",), "--print-confg: not understood; did you mean --print-config?"),
    ("postern", ("--lisen=127.0.0.1:0",), "--lisen=127.0.0.1:0: not understood; did you mean --listen?"),
    ("postern", ("--nonsense",), "--nonsense: not understood; see postern --help"),
    ("postern-status", ("--heathy",), "--heathy: not understood; did you mean --healthy? see postern-status --help"),
    ("postern-status", ("--sicne=2h",), "--sicne=2h: not understood; did you mean --since?"),
    ("postern-status", ("/a.json", "--mesages"), "--mesages: not understood; did you mean --messages?"),
    ("postern-status", ("/a.json", "-x"), "-x: not understood; see"),
    ("postern-status", ("/a.json", "--since"), "--since: needs a value; see"),
    ("postern-status", ("--json", "--", "-x"), "-x: No such file or directory"),
    ("postern-outbox", ("--kep=5", "/a"), "--kep=5: not understood; did you mean --keep=? see postern-outbox --help"),
    ("postern-outbox", ("--rate", "5"), "--rate: not understood; did you mean --rate=?"),
    ("postern-outbox", ("--", "-x", "-y"), "-y: not understood; see"),
    ("postern-cdb", ("--hepl",), "--hepl: not understood; did you mean --help? see postern-cdb --help"),
    ("postern-cdb", ("--", "-x"), "-x: must end in .cdb"),
    ("postern-cdb", ("--", "-x.cdb", "-y", "-z"), "-z: not understood; see"))})
def test_a_wrong_word_is_named_and_the_option_that_was_meant(program, words, told):
    path = harness.program().parent / program
    if not path.exists():
        raise harness.Skip(f"built without {program}")
    done = harness.run(path, *words, stdin=subprocess.DEVNULL)
    assert done.returncode in (EX_USAGE, 66), done.stdout
    harness.contains(done.stdout, f"{program}: {told}")


@harness.table(lmtp=("lmpt=/run/x", "lmtp="), submission=("submision=127.0.0.1:0", "submission="),
               smtps=("smpts=127.0.0.1:0", "smtps="), capital=("SMTP=127.0.0.1:0", "smtp="))
def test_the_kind_of_a_socket_that_was_meant_is_named(address, meant):
    for mode in ((), ("--check",)):
        done = postern("-o", f"maildir={harness.scratch()}", *mode, f"--listen={address}")
        assert done.returncode in (EX_USAGE, EX_CONFIG), done
        harness.contains(done.stderr, f"postern: --listen={address}: must be smtp=, smtps=, submission= or lmtp= "
                                      f"and an address; did you mean {meant}?\n")


def test_help_goes_with_all():
    for arguments in (("--check", "--help"), ("--help", "--listen"), ("--version", "--print-config"), ("--check", "--")):
        done = postern("-c", settings(f"maildir = {harness.scratch()}\n"), *AS_ROOT, *arguments)
        harness.equal(done.returncode, 0, arguments)


def check_listener(text, *addresses):
    done = postern("-c", settings(text), "--check", *(f"--listen={a}" for a in addresses))
    harness.equal(done.stdout, "")
    return done.returncode, harness.without_static(done.stderr)


def test_a_listener_is_checked_as_each_kind_of_its_sockets():
    text = f"maildir = {harness.scratch()}\nhostname = {harness.HOST}\n" + ("user = root\n" if AS_ROOT else "")
    harness.equal(check_listener(text, "127.0.0.1:25", "lmtp=/run/x"), (0, ""))
    status, told = check_listener(text, "127.0.0.1:25", "smtps=127.0.0.1:465", "submission=127.0.0.1:587")
    harness.equal(status, EX_CONFIG)
    harness.equal(told.count("tls-certificate: is not set"), 1, told)
    harness.contains(told, "auth: needs auth-users")
    # neither is in the file, and a line there would not take it back
    for key, value, kind in (("auth", "required", "a submission"), ("tls", "implicit", "an smtps")):
        line, = [line for line in told.splitlines() if f"-o {key}={value}" in line]
        harness.contains(line, ", in /")
        harness.contains(line, f".conf, as -o {key}={value} requires it: it is the option of {kind} socket")
        assert "set tls = off" not in line, line
    status, told = check_listener(text, "127.0.0.1:25", "pop3=127.0.0.1:110")
    harness.equal(status, EX_CONFIG)
    harness.contains(told, "--listen=pop3=127.0.0.1:110: must be smtp=")


def test_a_listener_reads_its_key_before_it_becomes_the_user():
    harness.need_root("another user")
    pair = harness.pair().copy_to(harness.scratch())
    pair.key.chmod(0o600)
    mail = harness.scratch() / "mail"
    mail.mkdir()
    os.chown(mail, 65534, 65534)
    text = (f"maildir = {mail}\nhostname = {harness.HOST}\nuser = nobody\ntls = on\n"
            f"tls-certificate = {pair.certificate}\ntls-key = {pair.key}\n")
    harness.equal(check_listener(text, "127.0.0.1:25", "smtps=127.0.0.1:465"), (0, ""))
    mail.chmod(0o500)
    status, told = check_listener(text, "127.0.0.1:25")
    harness.equal(status, EX_CONFIG)
    harness.contains(told, f"{mail}")


def test_printed_settings_are_a_settings_file():
    first = postern("-o", "maildir=/srv/%d/%u", "-o", "timeout=7s", "--print-config")
    harness.equal((first.returncode, first.stderr), (0, ""))
    again = postern("-c", settings(first.stdout), "--print-config")
    harness.equal(again.stdout, first.stdout)


def test_printed_values_are_as_they_were_written():
    text = "maildir = /srv//%d/./%u/\ntimeout = 300\nsize-limit = 10m\ntls = ssl\nmaildir-create = auto\n"
    done = postern("-c", settings(text), "--print-config")
    for line in text.splitlines():
        harness.contains(done.stdout, f"\n{line}\n")


def test_a_settings_file_that_is_not_there_is_named():
    default = re.search(r"instead of\s+(/\S+postern.conf)", postern("--help").stdout).group(1)
    if os.path.exists(default):
        raise harness.Skip(f"there is {default}")
    for arguments in (("--check",), ("--print-config",)):
        done = postern(*arguments)
        harness.equal(done.returncode, EX_CONFIG)
        harness.contains(done.stderr, f"postern: {default}: there is no such file: make it, with a line that says where "
                                      "mail goes, such as maildir = /srv/mail/%d/%u; or name another by -c\n")
    harness.equal(postern(*AS_ROOT, "-o", f"maildir={harness.scratch()}", "--check").returncode, 0)
    done = postern("-c", "/nonexistent.conf", "--check")
    harness.contains(done.stderr, "postern: /nonexistent.conf: No such file")


def test_a_port_that_the_system_chose_is_printed():
    process = harness.start(str(harness.program()), "-o", f"maildir={harness.scratch()}", "-o", "hostname=mail.example.org",
                            *AS_ROOT, "--listen=127.0.0.1:0", "--listen=[::1]:0", stderr=subprocess.PIPE, text=True)
    for address, host in (("127.0.0.1:0", "127.0.0.1"), ("[::1]:0", "::1")):
        line = process.stderr.readline()
        found = re.fullmatch(rf"postern: --listen={re.escape(address)}: port (\d+)\n", line)
        assert found, line
        with socket.create_connection((host, int(found.group(1))), harness.PATIENCE) as client:
            harness.equal(client.recv(3), b"220")


def test_a_descriptor_that_does_not_listen_is_named():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        done = harness.run("sh", "-c", f"exec env LISTEN_FDS=1 LISTEN_PID=$$ {harness.program()} -o maildir=/tmp --listen 3<&{theirs.fileno()}",
                           pass_fds=(theirs.fileno(),))
    harness.equal(done.returncode, EX_USAGE, done.stdout)
    harness.contains(done.stdout, "postern: --listen: descriptor 3: is no listening socket")


def test_check_is_silent_when_all_is_well():
    pair = harness.pair()
    text = (f"maildir = {harness.scratch()}\ntls = required\nhostname = {harness.HOST}\n"
            f"tls-certificate = {pair.certificate}\ntls-key = {pair.key}\n")
    harness.equal(check(text), (0, ""))


def test_check_warns_where_mail_would_be_received_with_the_rights_of_root():
    """Without a fault: another process may start it as another user."""
    harness.need_root("a warning that is for root")
    status, told = check(f"maildir = {harness.scratch()}\nhostname = {harness.HOST}\n", as_root=())
    harness.equal(status, 0)
    harness.contains(told, "postern: warning: user: not set, and this is root")


def test_check_warns_of_an_address_without_its_literal():
    """`domains = 192.0.2.1` is what some devices send to; others put it in brackets."""
    settings = harness.scratch() / "postern.conf"
    for domains, warned in (("192.0.2.1", True), ("192.0.2.1 [192.0.2.2]", True), ("[192.0.2.1] 192.0.2.1", False),
                            ("[192.0.2.1]", False), ("192.0.2.256", False), ("example.org", False)):
        settings.write_text(f"hostname = mail.example.org\nmaildir = {settings.parent}\nuser = root\ndomains = {domains}\n")
        done = harness.run(harness.program(), "-c", settings, "--check")
        text = f"warning: {settings}:4: domains 192.0.2.1: accepts user@192.0.2.1, but not user@[192.0.2.1]; add [192.0.2.1]"
        harness.equal(text in done.stdout, warned, f"{domains}: {done.stdout}")



def test_check_names_file_and_line():
    path = settings("maildir = /srv/mail\n\ntls = perhaps\n")
    done = postern("-c", path, "--check")
    harness.equal(done.returncode, EX_CONFIG)
    assert f"postern: {path}:3: tls: must be one of: off on required implicit\n" in done.stderr


@harness.table(
    missing=("/nonexistent", "No such file or directory"),
    file=("/etc/passwd", "is not a directory"),
)
def test_check_looks_at_mail_root(path, fault):
    status, told = check(f"maildir = {path}/%u\n")
    harness.equal(status, EX_CONFIG)
    assert fault in told and path in told, told


def test_check_knows_internationalized_domains():
    text = f"maildir = {harness.scratch()}\ndomains = example.org *.bücher.example straße.example\n"
    harness.equal(check(text), (0, ""))


@harness.table(emoji="📬.example", sign="a≠b.example", hyphens="ab--ü.example", below="*.☃.example",
               ascii_in_other_letters="ｅxample.org")
def test_check_names_what_idna_does_not_know(domain):
    status, told = check(f"maildir = {harness.scratch()}\ndomains = example.org {domain}\n")
    harness.equal(status, EX_CONFIG)
    harness.contains(told, f"/postern.conf:2: domains {domain}: is no internationalized domain name (RFC 5891)\n")


@harness.about_modules
def test_check_names_a_missing_module():
    place = harness.scratch()
    for name in ("postern", "tls.so"):
        shutil.copy(harness.program().parent / name, place)
    done = harness.run(place / "postern", "-c", settings(f"maildir = {place}/mail\n"), "--check")
    harness.equal(done.returncode, EX_CONFIG)
    harness.contains(done.stdout, "postern: smtputf8 module: ")
    harness.contains(done.stdout, "idn.so: cannot open shared object file")


@harness.table(
    nowhere=("/nonexistent/outbox", "/nonexistent/outbox: No such file or directory; make it: mkdir -p /nonexistent/outbox && chown "),
    file=("/etc/passwd", "/etc/passwd: is not a directory"),
    in_mail_root=("{root}/outbox", "must not lie in mail-root, where mail goes"),
)
def test_check_looks_at_the_outbox(path, fault):
    root = harness.scratch()
    (root / "box").mkdir()  # an empty one may be a disk that is not mounted
    status, told = check(f"maildir = {root}/%u\ndsn-outbox = {path.format(root=root)}\n")
    harness.equal(status, EX_CONFIG)
    harness.equal(told.count("\n"), 1, told)
    assert "dsn-outbox" in told and fault in told, told


def test_check_takes_an_outbox_that_can_be_made():
    place = harness.scratch()
    (place / "mail/box").mkdir(parents=True)
    harness.equal(check(f"maildir = {place}/mail/%u\npostmaster = box\n"
                        f"dsn-outbox = {place}/outbox\n"), (0, ""))
    assert not (place / "outbox").exists(), "nothing is changed"


def test_check_names_an_unknown_user():
    status, told = check(f"maildir = {harness.scratch()}\nuser = nobody-of-that-name\n")
    harness.equal(status, EX_CONFIG)
    assert "user nobody-of-that-name: no such user" in told, told


@harness.table(
    missing=(lambda good: ("/nonexistent.pem", good.key), "/nonexistent.pem: No such file"),
    unparsable=(lambda good: ("/etc/passwd", good.key), "/etc/passwd"),
    of_another=(lambda good: (good.certificate, harness.pair("rsa").key), "another certificate"),
    expired=(lambda good: vars_of(harness.pair("ecdsa", expired=True)), "expired"),
    future=(lambda good: vars_of(harness.pair("ecdsa", future=True)), "is not valid before"),
    misnamed=(lambda good: vars_of(harness.pair("ecdsa", "other.example")), "does not cover hostname"),
)
def test_check_names_what_is_wrong_with_a_certificate(choose, fault):
    certificate, key = choose(harness.pair())
    status, told = check(f"maildir = {harness.scratch()}\ntls = on\nhostname = {harness.HOST}\n"
                         f"tls-certificate = {certificate}\ntls-key = {key}\n")
    harness.equal(status, EX_CONFIG)
    harness.equal(told.count("\n"), 1, told)
    assert fault in told, told


CREDENTIALS = f"hostname = {harness.HOST}\ntls-certificate = credential:tls.crt\ntls-key = credential:tls.key\n"


def check_credentials(more="tls = on\n", arguments=(), **contents):
    """`--check` of settings that name credentials; without contents there is no directory for them."""
    env = {}
    if contents:
        folder = harness.scratch()
        env["CREDENTIALS_DIRECTORY"] = str(folder)
        for name, content in contents.items():
            (folder / f"tls.{name}").write_bytes(content)
            (folder / f"tls.{name}").chmod(0o600)
    path = settings(f"maildir = {harness.scratch()}\n{CREDENTIALS}{more}")
    done = harness.run(harness.program(), "-c", path, *AS_ROOT, *arguments, "--check",
                       env=harness.environment(**env))
    return done.returncode, harness.without_static(done.stdout)


@harness.table(
    missing=(b"missing: /etc/postern/tls.key",
             "tls-key credential:tls.key: /etc/postern/tls.key is missing or systemd could not read it; "),
    line=(b"missing: /srv/a.key\n", "tls-key credential:tls.key: /srv/a.key is missing"),
    old=(b"none", "tls-key credential:tls.key: the file that LoadCredential= names is missing"),
    garbage=(b"no key", "tls-key credential:tls.key: holds no private key in PEM"),
    relative=(b"missing: tls.key", "tls-key credential:tls.key: holds no private key in PEM"),
)
def test_check_names_the_file_of_a_credential(key, told):
    status, out = check_credentials(crt=harness.pair().certificate.read_bytes(), key=key)
    harness.equal(status, EX_CONFIG)
    harness.contains(out, told)
    harness.equal(out.count("\n"), 1, out)


def test_a_credential_outside_a_unit_is_missed_where_it_is_used():
    status, out = check_credentials()
    harness.equal(status, EX_CONFIG)
    harness.contains(out, "tls-certificate credential:tls.crt: CREDENTIALS_DIRECTORY is not set: ")
    harness.equal(check_credentials("tls = off\n"), (0, ""))
    harness.equal(check_credentials("auth = on\nauth-users = credential:users\nauth-secret = credential:s\n",
                                    ("-o", "tls=off", "--lmtp")), (0, ""))


def test_the_lines_of_credentials_are_named_as_in_the_settings():
    """Not by the path of systemd's copy, which is another for each unit; also where a link leads to it."""
    place = harness.scratch()
    folder = place / "credentials"
    folder.mkdir()
    (folder / "recipients").write_text("info box Auth\nsales@elsewhere.example\n")
    (folder / "clients").write_text("192.0.2.1 tlss=on\n")
    text = (f"maildir = {place}/mail/%u\nmaildir-create = yes\nhostname = {harness.HOST}\n"
            "recipients = credential:recipients\nclients = credential:clients\n")
    for name in (folder, place / "link"):
        if name != folder:
            name.symlink_to(folder)
        for json in ((), ("--json",)):
            done = harness.run(harness.program(), "-c", settings(text), *AS_ROOT, "--check", *json,
                               env=harness.environment(CREDENTIALS_DIRECTORY=str(name)))
            harness.equal(done.returncode, EX_CONFIG, done.stdout)
            assert "/credentials/" not in done.stdout and "/link" not in done.stdout, done.stdout
            for file, line in (("recipients", 1), ("recipients", 2), ("clients", 1)):
                harness.contains(done.stdout, f'"file":"credential:{file}","line":{line}' if json
                                 else f"postern: credential:{file}:{line}: ")


@harness.table(recipients=("recipients", b"info\n"), clients=("clients", b"192.0.2.17 tls=off\n"),
               tickets=("tls-tickets", bytes(range(64))), ca=("tls-client-ca", None))
def test_each_file_of_the_settings_can_be_a_credential(key, content):
    place = harness.scratch()
    (place / "a-file").write_bytes(content or harness.pair().certificate.read_bytes())
    (place / "a-file").chmod(0o600)
    pair = harness.pair()
    text = (f"maildir = {place}/mail/%u\nmaildir-create = yes\npostmaster = x\n{TLS}tls-certificate = {pair.certificate}\n"
            f"tls-key = {pair.key}\n{key} = credential:a-file\n")
    (place / "mail/x/new").mkdir(parents=True)
    arguments = (str(harness.program()), "-c", settings(text), *AS_ROOT, "--check")
    done = harness.run(*arguments, env=harness.environment(CREDENTIALS_DIRECTORY=str(place)))
    harness.equal((done.returncode, harness.without_static(done.stdout)), (0, ""))
    done = harness.run(*arguments)
    harness.equal(done.returncode, EX_CONFIG)
    harness.contains(done.stdout, f"{key} credential:a-file: CREDENTIALS_DIRECTORY is not set: start postern by a unit")


@harness.table(users="auth-users", secret="auth-secret")
def test_a_placeholder_is_no_table_and_no_secret(key):
    place = harness.scratch()
    for name, content in {"users": b"", "secret": os.urandom(32)}.items():
        (place / name).write_bytes(content)
        (place / name).chmod(0o600)
    (place / key[5:]).write_bytes(b"missing: /etc/postern/a-long-name-for-this-file")
    pair = harness.pair()
    status, out = check(f"maildir = {place}/mail\n{TLS}tls-certificate = {pair.certificate}\n"
                        f"tls-key = {pair.key}\nauth = on\nauth-users = {place}/users\n"
                        f"auth-secret = {place}/secret\n")
    harness.equal(status, EX_CONFIG)
    harness.contains(out, f"{key} {place}/{key[5:]}: ")
    harness.contains(out, "is missing or systemd could not read it; put it there")


@harness.table(
    missing=(lambda place: place / "no", "No such file or directory; make it: mkdir -p {path} && chown 65534 {path}"),
    owner=(lambda place: made(place, 0o755), "Permission denied; it belongs to the user 0 and is to be written to by "
           "the user 65534: chown 65534 {path}"),
    above=(lambda place: made(place / "above", 0o755, above=0o700),
           "Permission denied; the directory {above} is closed to the user 65534: chmod o+x {above}"),
    read_only=(lambda place: read_only(place), "Read-only file system; mount it for writing or, where a unit has "
               "ProtectSystem=, add to it ReadWritePaths={path} and restart it, even if the line is there: "
               "systemctl try-restart postern-listen.service"),
)
def test_check_says_what_to_do_about_a_directory(make, told):
    harness.need_root()
    place = harness.scratch()
    place.chmod(0o755)
    path = make(place)
    status, out = check(f"maildir = {path}/%u\nmail-root = {path}\nuser = nobody\n")
    harness.equal(status, EX_CONFIG)
    harness.contains(out, f"/postern.conf:2: mail-root {path}: {told.format(path=path, above=path.parent)}\n")


def made(place, mode, above=0o755):
    path = place / "mail"
    path.mkdir(parents=True)
    path.chmod(mode)
    place.chmod(above)
    return path


def read_only(place):
    path = harness.small_file_system(place / "mail", "64k")
    harness.run("mount", "-o", "remount,ro,mode=777", path)
    return path


TLS = f"tls = on\nhostname = {harness.HOST}\n"


@harness.table(
    syntax=("", "192.0.2.0/24 tls=implicit\n", ":1: tls=implicit: must be tls=off, tls=on or tls=required"),
    bits=("", "# x\n\n192.0.2.1/24\n", ":3: 192.0.2.1/24: has bits set behind its prefix"),
    twice=("", "192.0.2.1\n192.0.2.1/32 proxy", ":2: 192.0.2.1/32: is already on line 1"),
    priority=(TLS, "192.0.2.1\n192.0.2.2 tls-priority=NORMAL:NONSENSE\n",
              ':2: tls-priority: GnuTLS stops at position 8, "NONSENSE"'),
    priority_alone=("", "192.0.2.2 tls-priority=NONE\n", ":1: tls-priority: leaves nothing to offer"),
)
def test_check_looks_at_the_clients_file(more, rules, fault):
    pair, path = harness.pair(), harness.scratch() / "clients"
    path.write_text(rules)
    if more:
        more += f"tls-certificate = {pair.certificate}\ntls-key = {pair.key}\n"
    status, told = check(f"maildir = {path.parent}\nclients = {path}\n{more}")
    harness.equal(status, EX_CONFIG)
    harness.equal(told.count("\n"), 1, told)
    assert f"postern: {path}{fault}" in told, told


def test_check_misses_the_certificate_of_a_rule():
    path = harness.scratch() / "clients"
    path.write_text("192.0.2.1 tls=off\n192.0.2.2 tls=required\n")
    status, told = check(f"maildir = {path.parent}\nclients = {path}\n")
    harness.equal(status, EX_CONFIG)
    assert f"{path}:2: tls= needs the settings tls-certificate and tls-key\n" in told, told


def test_check_looks_at_the_certificate_of_a_rule():
    path, pair = harness.scratch() / "clients", harness.pair("ecdsa", expired=True)
    path.write_text("192.0.2.2 tls=on\n")
    status, told = check(f"maildir = {path.parent}\nclients = {path}\nhostname = {harness.HOST}\n"
                         f"tls-certificate = {pair.certificate}\ntls-key = {pair.key}\n")
    harness.equal(status, EX_CONFIG)
    assert "expired" in told, told


def test_check_is_silent_about_good_rules():
    path, pair = harness.scratch() / "clients", harness.pair()
    path.write_text("# ours\n192.0.2.0/24 tls=on tls-priority=NORMAL:+VERS-TLS1.0\n"
                    "2001:db8::/32 deny Not from there.\n198.51.100.7 proxy\n")
    harness.equal(check(f"maildir = {path.parent}\nclients = {path}\nhostname = {harness.HOST}\n"
                        f"proxy-protocol = 198.51.100.0/24 ::1\n"
                        f"tls-certificate = {pair.certificate}\ntls-key = {pair.key}\n"), (0, ""))


OURS = f"hostname = {harness.HOST}\ndomains = example.org *.example.net b\u00fccher.example\n"


@harness.table(
    capitals=("Info@example.org\n", ":1: Info@example.org: must be written info@example.org"),
    domain_in_capitals=("info@Example.org\n", ":1: info@Example.org: must be written info@example.org"),
    u_label=("info@b\u00fccher.example\n",
             ":1: info@b\u00fccher.example: must be written info@xn--bcher-kva.example"),
    form_of_unicode=("jose\u0301@example.org\n",
                     ":1: jose\u0301@example.org: must be written jos\u00e9@example.org"),
    quotes=('"john doe"@example.org\n', ":1: \\x22john: must be without quotes"),
    star=("*@example.org all\n", ":1: *@example.org: is no name: for all others of a domain write @domain"),
    bare_domain=("example.org all\n", ":1: example.org: is a domain: for all its names write @domain"),
    no_domain=("info@-example.org\n", ":1: info@-example.org: is no address"),
    not_ours=("a\nb@example.com\n", ":2: b@example.com: is of no domain that mail is accepted for"),
    others_not_ours=("@example.net x\n", ":1: @example.net: is of no domain that mail is accepted for"),
    above=("\n# x\na ../x\n", ":3: ../x: must not have .. in it"),
    absolute=("a /srv/mail/a\n", ":1: /srv/mail/a: must be a path that begins at mail-root"),
    percent=("a x/%h auth\n", ":1: x/%h: may have %u, %d and %% in it"),
    flag=("a x authenticated\n", ":1: authenticated: is not auth, deny or milters=off"),
    continued=("a x\n  auth\n", ":2: begins with a blank, but no line continues another; remove the blank"),
    twice=("a\nb\na x\n", ":3: a: is already on line 1"),
)
def test_check_looks_at_every_recipient(lines, fault):
    path = harness.scratch() / "recipients"
    path.write_text(lines, encoding="utf-8")
    (path.parent / "x").mkdir()  # where a line for all names leads to must be there
    status, told = check(f"maildir = {path.parent}/%u\nrecipients = {path}\n{OURS}")
    harness.equal(status, EX_CONFIG)
    harness.equal(told.count("\n"), 1, told)
    assert f"{path}{fault}" in told, told


def test_check_tells_all_faults_of_recipients():
    path = harness.scratch() / "recipients"
    path.write_text("a@example.com ../x\nb\n")
    status, told = check(f"maildir = {path.parent}/%u\nrecipients = {path}\n{OURS}")
    harness.equal(status, EX_CONFIG)
    harness.equal(told.count("\n"), 2, told)
    path.write_text(" a\na@example.com ../x\nb@example.org ~/x\nb@example.org c\n")
    status, told = check(f"maildir = {path.parent}/%u\nrecipients = {path}\n{OURS}")
    for place in (":1: begins", ":2: a@example.com: is of", ":2: ../x: must", ":3: ~/x: has", ":4: b@example.org: is"):
        harness.equal(told.count(f"{path}{place}"), 1, told)
    harness.equal((status, told.count("\n")), (EX_CONFIG, 5), told)
    path.write_text(" a\nb\n c\nb\n")
    status, told = check(f"maildir = {path.parent}/%u\nrecipients = {path}\n{OURS}")
    harness.equal(told.count("\n"), 3, told)


def test_check_needs_a_mailbox_behind_a_catch_all():
    path = harness.scratch() / "recipients"
    path.write_text("a\nb deny\n")
    for address, fault in (("a@example.org", ""), ("b@example.org", f"has no mailbox in {path}"),
                           ("c@example.org", f"has no mailbox in {path}")):
        status, told = check(f"maildir = {path.parent}/%u\nrecipients = {path}\n{OURS}"
                             f"catch-all = {address}\n")
        harness.equal(status, EX_CONFIG if fault else 0, told)
        assert fault in told, told


def test_check_is_silent_about_good_recipients():
    path = harness.scratch() / "recipients"
    path.write_text("# ours\ninfo@example.org\nsales@example.org info\nscanner@example.org scans/%u auth\n"
                    "jos\u00e9@xn--bcher-kva.example jose\n@sub.example.net %d/%u\npostmaster\r\nabuse deny\n"
                    f"postmaster@{harness.HOST} ./auth\n", encoding="utf-8")
    harness.equal(check(f"maildir = {path.parent}/%u\nrecipients = {path}\ncatch-all = rest\n"
                        f"subaddress-delimiter = +\n{OURS}"), (0, ""))


@harness.table(missing=("/nonexistent/recipients", "No such file"),
               directory=("/etc", "is not a regular file"), no_cdb=("x.cdb", "is no cdb, or not all of one"))
def test_check_needs_the_table_of_recipients(name, fault):
    path = harness.scratch() / name
    if not name.startswith("/"):
        path.write_bytes(b"x" * 5000)
    status, told = check(f"maildir = {harness.scratch()}\nrecipients = {path}\n")
    harness.equal(status, EX_CONFIG)
    assert f"postern.conf:2: recipients {path}: {fault}" in told, told


@harness.table(missing=("/nonexistent/clients", "No such file"), directory=("/etc", "Is a directory"))
def test_check_needs_the_clients_file(path, fault):
    status, told = check(f"maildir = {harness.scratch()}\nclients = {path}\n")
    harness.equal(status, EX_CONFIG)
    assert f"postern.conf:2: clients {path}: {fault}" in told, told


def vars_of(pair):
    return pair.certificate, pair.key


def test_a_settings_file_that_was_named_must_be_there():
    done = postern("-c", "/nonexistent/postern.conf", "--check")
    harness.equal(done.returncode, EX_CONFIG)
    assert "/nonexistent/postern.conf: No such file or directory" in done.stderr, done.stderr


def test_wrong_settings_cost_the_client_a_421_and_are_recorded():
    done = postern("-c", settings("maildir = /srv\ntls = 7\n"), stdin="EHLO x\r\nQUIT\r\n")
    harness.equal(done.returncode, EX_CONFIG)
    harness.equal(done.stdout, "421 4.3.5 Misconfigured; try later\n")
    assert "must be one of: off on required implicit" in done.stderr, done.stderr
    assert "end=misconfigured" in done.stderr, done.stderr


def test_a_listening_socket_is_refused_with_the_remedy():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        done = subprocess.run([str(harness.program()), "-o", "maildir=/srv"], stdin=listener,
                              capture_output=True, text=True, timeout=harness.PATIENCE, check=False)
    harness.equal(done.returncode, EX_USAGE)
    assert "Accept=yes" in done.stderr, done.stderr


def test_a_first_look_needs_no_file():
    place = harness.scratch() / "mail"
    (place.parent / "other").mkdir()  # in an empty directory, which may be a disk that is not mounted, none is made
    session = ("EHLO me\nMAIL FROM:<a@example.com>\nRCPT TO:<b@example.org>\nDATA\n"
               "Subject: x\n\nHello.\r\n.\r\nQUIT\n")
    done = postern("-o", f"maildir={place}", "-o", "domains=*", stdin=session)
    harness.equal(done.returncode, 0)
    harness.equal(len(os.listdir(place / "new")), 1)


def make_certificate(*arguments):
    """What it writes into a new directory, whose name has a space: exit status, output, names in the certificate."""
    harness.need("certtool")
    place = harness.scratch() / "a place"
    done = harness.run(harness.HERE.parent.parent / "contrib/make-certificate", "--dir", place, *arguments)
    if done.returncode:
        assert not list(place.glob("*")), list(place.glob("*"))
        return done.returncode, done.stdout, []
    shown = harness.run("certtool", "--certificate-info", "--infile", place / "tls.crt").stdout
    return 0, done.stdout, re.findall(r"Subject: (.*)|(DNSname: .*)|(IPAddress: .*)", shown)


def test_a_certificate_is_made_for_names_and_addresses_as_clients_check_them():
    label = "a" * 63
    for given, wanted in (
            (("mail.example.org", "192.0.2.25", "2001:db8::25"),
             ["CN=mail.example.org", "DNSname: mail.example.org", "IPAddress: 192.0.2.25", "IPAddress: 2001:db8::25"]),
            (("192.0.2.25",), ["CN=192.0.2.25", "IPAddress: 192.0.2.25"]),
            (("2001:db8::25", "192.0.2.25"),
             ["CN=2001:db8::25", "IPAddress: 2001:db8::25", "IPAddress: 192.0.2.25"]),
            (("mail",), ["CN=mail", "DNSname: mail"]),
            (("xn--bcher-kva.example",), ["CN=xn--bcher-kva.example", "DNSname: xn--bcher-kva.example (b\u00fccher.example)"]),
            # RFC 5280 A.1: a common name has 64 octets at most
            ((f"{label}.example.org",), [f"CN={label}", f"DNSname: {label}.example.org"])):
        status, said, names = make_certificate(*given)
        harness.equal((status, ["".join(name) for name in names]), (0, wanted), said)


def test_no_certificate_is_made_for_what_is_no_name_of_a_host():
    for name in ("", ".", "mail..org", "mail.example.org.", "-mail.example.org", "a b", "*.example.org", "_mail.example",
                 "b\u00fccher.example", "a" * 64 + ".example", "127.1", "1.2.3.4.5", "a.example\nb.example"):
        status, said, _ = make_certificate("--", name) if name.startswith("-") else make_certificate(name)
        assert status in (1, EX_USAGE) and len(said.splitlines()) == 1, (name, status, said)
    for address in ("", "b.example", "999.1.1.1", "192.0.2.0/24", "fe80::1%eth0", "--force"):
        status, said, _ = make_certificate("mail.example.org", address)
        harness.equal(status, 1, said)
        harness.contains(said, "address")
    harness.equal(make_certificate()[0], EX_USAGE)


def test_a_certificate_that_is_there_is_replaced_on_request_alone():
    harness.need("certtool")
    place = harness.scratch()
    make = (harness.HERE.parent.parent / "contrib/make-certificate", "--dir", place)
    harness.equal(harness.run(*make, "a.example").returncode, 0)
    key = place / "tls.key"
    harness.equal(key.stat().st_mode & 0o777, 0o600)
    if os.geteuid() == 0:
        os.chown(key, 65534, -1)
    before = key.read_text()
    done = harness.run(*make, "a.example")
    harness.equal(done.returncode, 1)
    harness.contains(done.stdout, f"{key}: exists; --force replaces")
    harness.equal(key.read_text(), before)
    harness.equal(harness.run(*make, "--force", "a.example").returncode, 0)
    assert key.read_text() != before
    if os.geteuid() == 0:
        harness.equal(key.stat().st_uid, 65534, "whose user can then not read it")
    key.unlink()
    key.symlink_to("elsewhere")
    (place / "tls.crt").unlink()
    harness.equal(harness.run(*make, "a.example").returncode, 1, "a symbolic link is replaced")
    key.unlink()
    key.mkdir()
    harness.contains(harness.run(*make, "--force", "a.example").stdout, "is a directory")
    harness.equal(list(key.iterdir()), [])


def test_quickstart_names_what_holds_its_port():
    harness.need("socat", "swaks")
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        done = harness.run(harness.HERE.parent.parent / "contrib/quickstart", "--once", patience=600,
                           env=harness.environment(POSTERN_PORT=str(port)))
    harness.equal(done.returncode, 1)
    harness.contains(done.stdout, f"port {port} of 127.0.0.1 is in use by process {os.getpid()} ")
    harness.contains(done.stdout, f"end it (kill {os.getpid()}), or choose another port: POSTERN_PORT={port + 1} ")
    assert "Building" not in done.stdout, "it builds before it looks"


def quickstart_in(checkout, **variables):
    harness.need("socat", "swaks", "openssl", "meson", "ninja")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return harness.run(checkout / "contrib/quickstart", "--once", patience=900,
                       env=harness.environment(POSTERN_PORT=str(port), **variables))


def test_quickstart_runs_again_after_a_build_that_failed_and_below_a_path_with_a_space():
    source = harness.HERE.parent.parent
    checkout = harness.scratch() / "check out"
    checkout.mkdir()
    # tests=false, so the build needs no more
    for name in ("meson.build", "meson_options.txt", "contrib", "man", "src", "tests", "units", "README.md", "LICENSE"):
        if (source / name).exists():
            (checkout / name).symlink_to(source / name)
    (checkout / "contrib").unlink()
    shutil.copytree(source / "contrib", checkout / "contrib")
    done = quickstart_in(checkout, CC="false")
    harness.equal(done.returncode, 1, done.stdout)
    harness.contains(done.stdout, "quickstart: the build failed")
    assert "Listening" not in done.stdout, done.stdout
    for run in (1, 2):
        done = quickstart_in(checkout)
        harness.equal(done.returncode, 0, done.stdout)
        harness.contains(done.stdout, "outcome=delivered")
        assert "\0" not in done.stdout, "the records of the probe are overwritten by a hole"
        harness.equal(len(list((checkout / "build-quickstart/Maildir/new").iterdir())), run)


@harness.table(outbox=("dsn-outbox", "maildir = {dir}/mail\ndsn-outbox = {dir}/spool/box\n", "spool/box"),
               mail=("mail-root", "mail-root = {dir}/lib/mail\nmaildir = one\n", "lib/mail"))
def test_the_cure_of_a_missing_directory_is_that_of_the_record(key, text, path):
    place = harness.scratch()
    (place / "mail").mkdir()
    text = text.replace("{dir}", str(place)) + f"log = stderr\nhostname = {harness.HOST}\n" + (
        "user = root\n" if AS_ROOT else "")
    cure = (f"{key} {place}/{path}: No such file or directory; make it: mkdir -p {place}/{path} && "
            f"chown {os.geteuid()} {place}/{path}")
    done = postern("-c", settings(text), "--check")
    harness.equal(done.returncode, EX_CONFIG)
    harness.contains(done.stderr, cure)
    done = postern("-c", settings(text), stdin="QUIT\r\n")
    harness.contains(done.stderr, cure)


if __name__ == "__main__":
    harness.main()
