# SPDX-License-Identifier: ISC
"""The functions that the system tests share: TAP, scratch space, certificates, the program, its clients.

A test file defines functions named test_<what_it_promises>, each about one promise, and ends with
`harness.main()`. It is run as `test-x.py BUILDDIR [--sanitized] [NAME...]` and prints TAP. A test
that cannot run here raises Skip with the reason. Every wait has a limit, every process is ended by its own pid, and
traffic goes only to loopback.
"""

import argparse
import array
import contextlib
import ctypes
import errno
import fcntl
import os
import random
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
import traceback
from pathlib import Path

HOST = "mail.example.org"
DOMAIN = "example.org"
SENDER = "sender@example.net"
RECIPIENT = "printer@example.org"
PATIENCE = 300.0  # seconds that anything bounded may take; far more than it needs on a busy machine
TEST_LIMIT = 1500  # seconds for one test function
HERE = Path(__file__).resolve().parent
CLONE_NEWNS = 0x00020000
CLONE_NEWNET = 0x40000000

build: Path  # the build folder, from the command line, by a path that all users may pass
named: Path  # the build folder by its own path, which a booted systemd sees as well
sanitized = False

# of certificates; where time_t has 32 bits certtool knows no later year
FUTURE, LAST = ("2049-01-01", "2050-01-01") if sys.maxsize > 1 << 32 else ("2036-01-01", "2037-01-01")


class Skip(Exception):
    """This test cannot run here, and why."""


# Running tests


def table(**rows):
    """One test for each row: the function is called with the row's values, under the row's name."""

    def expand(function):
        function.rows = rows
        return function

    return expand


def table_of(rows):
    """table() for rows whose names are no identifiers."""

    def expand(function):
        function.rows = rows
        return function

    return expand


def once(make):
    """A function that makes something for the whole file at its first call; a Skip of that call is raised again
    later."""
    made = []

    def get():
        if not made:
            try:
                made.append(make())
            except Skip as reason:
                made.append(reason)
        if isinstance(made[0], Skip):
            raise made[0]
        return made[0]

    return get


def senseless_when_sanitized(function):
    """Leave a test out of the plan where the program carries a sanitizer's run time."""
    function.senseless_when_sanitized = True
    return function


def not_static(why):
    """Leave a test out of the plan where the program is static, as `why` says."""
    def mark(function):
        function.not_static = why
        return function
    return mark


def static_alone(function):
    """Leave a test out of the plan where the program is not static."""
    function.static_alone = True
    return function


about_modules = not_static("modules are inside, and nothing is loaded")
about_preloaded = not_static("no library can be put in front of its own functions")


def _plan(module, wanted):
    tests = []
    for name, function in list(vars(module).items()):
        if not name.startswith("test_") or not callable(function):
            continue
        if sanitized and getattr(function, "senseless_when_sanitized", False):
            print(f"# left out with sanitizers: {name}")
            continue
        if getattr(function, "not_static", None) and is_static():
            print(f"# left out with a static program: {name}: {function.not_static}")
            continue
        if getattr(function, "static_alone", False) and not is_static():
            print(f"# left out, of the static program: {name}")
            continue
        rows = getattr(function, "rows", None)
        if rows is None:
            tests.append((name, function, ()))
            continue
        for row, values in rows.items():
            values = values if isinstance(values, tuple) else (values,)
            tests.append((f"{name} {row}", function, values))
    return [t for t in tests if not wanted or any(w in t[0] for w in wanted)]


def _on_alarm(signum, frame):
    raise TimeoutError(f"the test took more than {TEST_LIMIT} seconds")


def _comment(text):
    for line in text.rstrip().splitlines():
        print("# " + line.encode("ascii", "backslashreplace").decode())


def main():
    global build, named, sanitized
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("build", type=Path, help="the build folder")
    parser.add_argument("tests", nargs="*", help="run only tests whose name contains one of these")
    parser.add_argument("--sanitized", action="store_true", help="the program has sanitizers in it")
    args = parser.parse_args()
    build, sanitized = args.build.resolve(), args.sanitized
    named = build
    sys.stdout.reconfigure(line_buffering=True)
    signal.signal(signal.SIGALRM, _on_alarm)
    # Meson ends a test that takes too long by SIGTERM: leave by way of the cleanups then, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    plan = _plan(sys.modules["__main__"], args.tests)
    print(f"1..{len(plan) + 1}")
    os.environ[_MARK] = str(os.getpid())
    failed = 0
    try:
        build = _passable(build)
        for number, (name, function, values) in enumerate(plan, 1):
            failed += not _run(number, name, function, values)
    finally:
        _everything.close()
    failed += not _run(len(plan) + 1, "no process is left", _end_left, ())
    sys.exit(1 if failed else 0)


_MARK = "POSTERN_TEST_RUN"  # in the environment of all processes that tests start


def _left():
    """Processes with the mark, but for ended ones, and for those that this user must not look into."""
    mark = f"{_MARK}={os.getpid()}".encode()
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (place / "environ").read_bytes().split(b"\0"):
                found[int(place.name)] = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return found


def _end_left():
    """A process that stays would keep Meson waiting, and the processor busy."""
    try:
        eventually(lambda: not _left(), "the processes of all tests end", 60)
    except AssertionError:
        left = _left()
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        raise AssertionError("\n".join(f"{pid}: {command}" for pid, command in left.items())) from None


def _passable(folder):
    """The same folder under a path that all users may pass, also where the checkout is below a closed one (/root)."""
    if os.geteuid() != 0 or all(path.stat().st_mode & 0o001 for path in (folder, *folder.parents)):
        return folder
    place = tempfile.mkdtemp(prefix="pt.", dir="/tmp")
    at_end(os.rmdir, place, of_file=True)
    mount("--bind", folder, place)
    at_end(run, "umount", "-l", place, of_file=True)
    return Path(place)


def _run(number, name, function, values):
    global _cleanups
    passed, directive = True, ""
    signal.alarm(TEST_LIMIT)
    _cleanups = contextlib.ExitStack()
    try:
        with _cleanups:
            function(*values)
    except Skip as reason:
        directive = f" # SKIP {reason}"
    except Exception:  # SystemExit must pass
        passed = False
        _comment(traceback.format_exc())
        for site in _sites:
            _comment(f"records of {site.dir}:\n{site.log_text()[-4000:]}")
    finally:
        signal.alarm(0)
        _sites.clear()
        _cleanups = _everything
    print(f"{'ok' if passed else 'not ok'} {number} - {name}{directive}")
    return passed


_everything = contextlib.ExitStack()  # undone at the end of the file
_cleanups = _everything  # undone at the end of the running test
_sites = []


def at_end(function, *args, of_file=False):
    """Call function at the end of this test, or of all of them."""
    (_everything if of_file else _cleanups).callback(function, *args)


# Small things


def need_root(what="this"):
    if os.geteuid() != 0:
        raise Skip(f"{what} needs root")


def need(*programs):
    for program in programs:
        if not shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"):
            raise Skip(f"{program} is not installed")


def eventually(condition, what, patience=PATIENCE):
    """Wait for a condition to hold and return its value."""
    until = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > until:
            raise AssertionError(f"waited {patience} s in vain: {what}")
        time.sleep(0.005)


def wait_until_held(pid):
    """Until strace has kept the process stopped for a while: it is in the delay."""
    held = 0

    def stopped():
        nonlocal held
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            held = held + 1 if stat.read().rsplit(")", 1)[1].split()[0] == "t" else 0
        return held > 10

    eventually(stopped, "the process is held in its system call")


def wait_until_traced(pid):
    """Until strace has attached to the process."""
    eventually(lambda: "TracerPid:\t0\n" not in Path(f"/proc/{pid}/status").read_text(), "strace has begun")


def equal(found, expected, what=""):
    assert found == expected, f"{what}\nexpected {expected!r}\nfound    {found!r}"


def contains(found, expected, what=""):
    assert expected in found, f"{what}\nexpected {expected!r}\nin       {found!r}"


def scratch(of_file=False):
    """A fresh directory, under a path short enough for a socket's name, that others may pass."""
    path = Path(tempfile.mkdtemp(prefix="pt.", dir=os.environ.get("TMPDIR", "/tmp")))
    path.chmod(0o755)
    at_end(_remove, path, of_file=of_file)
    return path


def _remove(path):
    if os.environ.get("POSTERN_TEST_KEEP"):
        print(f"# kept {path}")
    else:
        shutil.rmtree(path, ignore_errors=True)


_own_mounts = False


def mount(*arguments):
    """Mount something, seen by this process and its children alone."""
    global _own_mounts
    need_root("mounting")
    if not _own_mounts:
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.unshare(CLONE_NEWNS) == 0, os.strerror(ctypes.get_errno())
        _own_mounts = True
        mount("--make-rprivate", "/")
    done = run("mount", *arguments)
    assert done.returncode == 0, done.stdout


def small_file_system(path, size):
    """An empty file system of that size (64k, 1m) at path."""
    path.mkdir(parents=True, exist_ok=True)
    mount("-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", path)
    at_end(run, "umount", "-l", path)
    return path


def mount_again(path):
    """The same directory, of the same file system, behind a mount of its own."""
    mount("--bind", path, path)
    at_end(run, "umount", "-l", path)


def fill(path):
    """Leave no room on the file system of that directory; the file to be removed to make some."""
    ballast = path / "ballast"
    with open(ballast, "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError as error:
            assert error.errno == errno.ENOSPC, error
    return ballast


@contextlib.contextmanager
def in_network_of(pid):
    """Sockets made within are of the network that the process has."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net", "rb") as ours, open(f"/proc/{pid}/ns/net", "rb") as theirs:
        assert libc.setns(theirs.fileno(), CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        try:
            yield
        finally:
            assert libc.setns(ours.fileno(), CLONE_NEWNET) == 0


def own_devices():
    """A /dev of the test's own, in which /dev/log can come and go."""
    need_root("a /dev of our own")
    devices = small_file_system(scratch() / "dev", "64k")
    for name in ("null", "zero", "urandom", "random"):
        (devices / name).touch()
        mount("--bind", f"/dev/{name}", devices / name)
    mount("--rbind", devices, "/dev")
    at_end(run, "umount", "-R", "-l", "/dev")


def own_network():
    """A loopback of the test's own, with every port free; for `with`."""
    need_root("a network of our own")
    need("unshare", "ip")
    holder = start("unshare", "--net", "sh", "-c", "ip link set lo up && echo up && exec sleep 1000",
                   stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"up\n"
    return in_network_of(holder.pid)


def is_free(port):
    """For both families."""
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.socket(family) as s:
            try:
                s.bind((address, port))
            except OSError as fault:
                if fault.errno == errno.EADDRINUSE:
                    return False
    return True


def free_port():
    """One that no client gets by itself before it is used: those of this machine's clients begin above 32767."""
    while True:
        port = random.randrange(10000, 32768)
        if is_free(port):
            return port


def environment(**more):
    """An environment with nothing of the caller's but what sanitizers read."""
    kept = ("UBSAN_OPTIONS", "LSAN_OPTIONS")
    base = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/", "LC_ALL": "C.UTF-8"}
    base.update({k: os.environ[k] for k in kept if k in os.environ})
    if sanitized:  # the leak checker traces its process, which the sandbox forbids
        base["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
    base.update(more)
    return base


def without_static(text):
    """What --check says, without the warning that the program is static."""
    return "".join(line for line in text.splitlines(True) if ": warning: static, " not in line)


def check_lines(done):
    """The same without the warning that root receives mail, too."""
    return "".join(line for line in without_static(done.stdout).splitlines(True) if ": warning: user: not set" not in line)


def run(*command, patience=PATIENCE, **options):
    """Run a client or tool to its end; its output is text, standard error included."""
    options.setdefault("env", environment())
    if "input" not in options:
        options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run(
        [str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        errors="backslashreplace", timeout=patience, check=False, **options)


def start(*command, of_file=False, **options):
    """Start a process that ends with the test, or with all of them."""
    options.setdefault("env", environment())
    options.setdefault("stdin", subprocess.DEVNULL)
    process = subprocess.Popen([str(c) for c in command], **options)
    at_end(end, process, of_file=of_file)
    return process


def end(process, patience=3.0):
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(patience)
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe:
            pipe.close()


def packages():
    """The folder of unpacked Debian packages, one below it for each, filled at first use."""
    folder = Path(os.environ.get("POSTERN_TEST_PACKAGES", build / "test-packages"))
    got = subprocess.run([HERE / "fetch-packages", folder], capture_output=True, text=True,
                         timeout=590, check=False)
    if got.returncode:
        raise Skip(f"no unpacked packages: {got.stderr.strip().splitlines()[-1:]}")
    return folder


def with_libraries(**more):
    """An environment in which programs of packages() find libraries that the system lacks."""
    found = {str(p.parent) for p in (packages() / "libraries").glob("**/*.so*")}
    return environment(**({"LD_LIBRARY_PATH": ":".join(sorted(found))} if found else {}), **more)


def in_a_machine_with(package, folder, script, of_file=False):
    """Run a shell script on a machine of its own that has the package, until the test ends, or all of them."""
    with open(folder / "machine.log", "wb") as log:
        process = start(HERE / "with-packages", packages(), package, folder, "/bin/sh", "-c", script,
                        of_file=of_file, stdout=log, stderr=log)
    at_end(process.kill, of_file=of_file)  # unshare does not heed SIGTERM; all that runs inside goes with it


# Certificates


class Pair:
    """A certificate and its key, as files."""

    def __init__(self, certificate, key):
        self.certificate, self.key = Path(certificate), Path(key)

    def der(self):
        return ssl.PEM_cert_to_DER_cert(self.certificate.read_text())

    def copy_to(self, folder):
        """The same pair in files of its own, which a test may replace."""
        copies = Pair(folder / "tls.crt", folder / "tls.key")
        shutil.copy(self.certificate, copies.certificate)
        shutil.copy(self.key, copies.key)
        return copies


def issue(wanted, authority):
    """Makes the certificate of a pair for HOST, issued by the authority; the key is there."""
    template = wanted.certificate.parent / "template"
    template.write_text(f"cn = {HOST}\ndns_name = {HOST}\ntls_www_server\nexpiration_days = 300\n")
    done = run("certtool", "--generate-certificate", "--load-privkey", wanted.key, "--load-ca-certificate",
               authority.certificate, "--load-ca-privkey", authority.key, "--template", template,
               "--no-text", "--outfile", wanted.certificate)
    equal(done.returncode, 0, done.stdout)


_pairs = {}
_KEYS = {"rsa": ("rsa", "--bits", "2048"), "rsa-pss": ("rsa-pss", "--bits", "2048"),
         "ecdsa": ("ecdsa", "--curve", "secp256r1"), "ecdsa-p521": ("ecdsa", "--curve", "secp521r1"),
         "ed25519": ("ed25519",)}


def pair(kind="ecdsa", *names, expired=False, future=False, serial=1):
    """A self-signed certificate for names; made once for each set of arguments."""
    names = names or (HOST,)
    what = (kind, names, expired, future, serial)
    if what not in _pairs:
        _pairs[what] = _make_pair(kind, names, expired, future, serial)
    return _pairs[what]


def _make_pair(kind, names, expired, future, serial):
    need("certtool")
    folder = scratch(of_file=True)
    made = Pair(folder / "tls.crt", folder / "tls.key")
    first, last = ("2019-01-01", "2020-01-01") if expired else ("2020-01-01", LAST)
    if future:
        first, last = FUTURE, LAST
    template = [f"cn = {names[0]}", f"serial = {serial}", "tls_www_server", "signing_key",
                f'activation_date = "{first}"', f'expiration_date = "{last}"']
    if kind == "rsa":
        template.append("encryption_key")
    template += [f"dns_name = {name}" for name in names]
    (folder / "template").write_text("\n".join(template) + "\n")
    for command in (
            ("--generate-privkey", "--key-type", *_KEYS[kind], "--no-text", "--outfile", made.key),
            ("--generate-self-signed", "--load-privkey", made.key, "--template",
             folder / "template", "--no-text", "--outfile", made.certificate)):
        done = run("certtool", *command)
        assert done.returncode == 0, done.stdout
    made.key.chmod(0o600)
    return made


def client_context(minimum=None, maximum=None, ciphers=None, alpn=(), trust=None):
    """A TLS client; without `trust` it takes any certificate: the tests compare it themselves."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = trust is not None
    context.verify_mode = ssl.CERT_REQUIRED if trust else ssl.CERT_NONE
    if trust:
        context.load_verify_locations(str(trust.certificate))
    if ciphers:
        context.set_ciphers(ciphers)
    if minimum:
        with _quiet():
            context.minimum_version = minimum
    if maximum:
        with _quiet():
            context.maximum_version = maximum
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


@contextlib.contextmanager
def _quiet():
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old protocol versions are asked for on purpose
        yield


# The program


def program():
    path = build / "src" / "postern"
    assert path.exists(), f"{path} is not built"
    return path


def needs_modules():
    if is_static():
        raise Skip("a static program has its modules inside")


def is_static():
    """The program has its modules inside: no linker is named near its beginning."""
    with open(program(), "rb") as file:
        return b"/ld-linux" not in file.read(4096)


class Site:
    """A place where postern receives mail: a settings file, a Maildir, records."""

    def __init__(self, tls="off", **settings):
        self.dir = scratch()
        self.root = self.dir / "mail"
        self.root.mkdir()
        self.maildir = self.root / "box"
        self.log = self.dir / "log"
        self.settings_file = self.dir / "postern.conf"
        self.arguments = []  # of the program, beside the settings file
        self.settings = {
            "hostname": HOST, "domains": DOMAIN, "mail_root": self.root, "maildir": self.maildir,
            "maildir_create": "yes", "tls": tls, "timeout": 10, "log": "stderr"}
        self.set(**settings)
        _sites.append(self)

    def set(self, pair=None, pairs=(), **settings):
        """Change settings; None takes one away."""
        pairs = pairs or ((pair,) if pair else ())
        if pairs:
            settings["tls_certificate"] = " ".join(str(p.certificate) for p in pairs)
            settings["tls_key"] = " ".join(str(p.key) for p in pairs)
        self.settings.update(settings)
        lines = [f"{key.replace('_', '-')} = {value}"
                 for key, value in self.settings.items() if value is not None]
        self.settings_file.write_text("\n".join(lines) + "\n")
        return self

    def command(self):
        return [str(program()), "-c", str(self.settings_file), *self.arguments]

    def spawn(self, connection, wrap=(), env=None, stderr=None, **options):
        """One process for one connection, as any inetd starts it."""
        with open(self.log, "ab") as log:
            process = subprocess.Popen(
                [*map(str, wrap), *self.command()], stdin=connection, stdout=connection,
                stderr=log if stderr is None else stderr,
                env=environment() if env is None else env, **options)
        at_end(end, process)
        return process

    def connect(self, client="127.0.0.1", greeting=True, **options):
        """A client and, at the other end, a process of its own."""
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            listening.listen(1)
            ours = socket.create_connection(listening.getsockname(), PATIENCE, (client, 0))
            theirs, _ = listening.accept()
        with theirs:
            process = self.spawn(theirs, **options)
        connected = Client(ours, process)
        if greeting:
            connected.expect(220)
        return connected

    def new(self, maildir=None):
        return sorted(p for p in (maildir or self.maildir).glob("new/*"))

    def leftovers(self):
        """All files in a tmp/ below mail-root."""
        return sorted(p for p in self.root.glob("**/tmp/*"))

    def everything(self):
        """Every visible file below mail-root."""
        return sorted(p for p in self.root.glob("**/*") if not p.is_dir())

    def only_message(self):
        found = self.new()
        assert len(found) == 1, f"one message expected in new/: {found}"
        return found[0]

    def log_text(self):
        return self.log.read_text(errors="backslashreplace") if self.log.exists() else ""

    def records(self, event):
        return [r for r in parse_records(self.log_text()) if r.get("event") == event]

    def protocol(self, suffix):
        """What the trace header of the only message has to name: ESMTP, or UTF8SMTP where its client asked for that
        (msmtp of Debian 13 does so for every message)."""
        message = eventually(lambda: self.records("message"), "a message's record")[-1]
        return ("UTF8SMTP" if message.get("smtputf8") == "yes" else "ESMTP") + suffix

    def session(self):
        """The record of the only session so far."""
        found = eventually(lambda: self.records("session"), "a session's record")
        assert len(found) == 1, f"one record expected: {found}"
        return found[0]


_field = re.compile(r'([a-z][a-z0-9_-]*)=("[^"]*"|\S*)')


def parse_records(text):
    """Lines of key=value pairs; values are quoted where they hold blanks, and have no quote of their own."""
    found = []
    for line in text.splitlines():
        if "event=" not in line:
            continue
        record = {}
        for key, value in _field.findall(line):
            record[key] = value[1:-1] if value.startswith('"') else value
        found.append(record)
    return found


def stop_accepting(listening, thread):
    """Close a socket that a thread accepts from, once that thread has ended: a number that is closed earlier may be
    that of the next test's socket by the time the thread uses it."""
    with contextlib.suppress(OSError):
        listening.shutdown(socket.SHUT_RDWR)  # wakes accept()
    thread.join(PATIENCE)
    assert not thread.is_alive(), "it accepts no more"
    listening.close()


class Listener:
    """An inetd: a process of the site's for each connection."""

    def __init__(self, site, address="127.0.0.1", **options):
        self.site, self.options = site, options
        self.socket = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        self.socket.bind((address, 0))
        self.socket.listen(16)
        self.port = self.socket.getsockname()[1]
        self.processes = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        at_end(self.close)

    def _serve(self):
        with open(self.site.log, "ab") as log:
            while True:
                try:
                    connection, _ = self.socket.accept()
                except OSError:
                    return
                with connection:
                    self.processes.append(subprocess.Popen(
                        self.site.command(), stdin=connection, stdout=connection, stderr=log,
                        env=environment(), **self.options))

    def close(self):
        stop_accepting(self.socket, self._thread)
        for process in self.processes:
            end(process)

    def finished(self):
        """Wait for every process to end by itself; their exit codes."""
        return [process.wait(PATIENCE) for process in list(self.processes)]


# The client


class Closed(Exception):
    """The server ended the connection; the octets of a reply that had not ended."""


class Reply:
    def __init__(self, lines):
        self.lines = lines
        self.code = int(lines[0][:3])
        self.words = [line[4:] for line in lines]

    def has(self, keyword):
        return any(w.split()[:1] == [keyword] for w in self.words)

    def __repr__(self):
        return " / ".join(self.lines)


class Client:
    """An SMTP client that the test controls step by step, in the clear or inside TLS."""

    def __init__(self, connection, process=None):
        self.socket, self.process = connection, process
        self.socket.settimeout(PATIENCE)
        with contextlib.suppress(OSError):
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        at_end(self.close)

    @classmethod
    def to(cls, port, client="127.0.0.1", greeting=True):
        connected = cls(socket.create_connection(("127.0.0.1", port), PATIENCE, (client, 0)))
        if greeting:
            connected.expect(220)
        return connected

    def send(self, octets):
        self.socket.sendall(octets.encode() if isinstance(octets, str) else octets)

    def reply(self):
        lines = []
        while True:
            while b"\n" not in self.buffer:
                self._read()
            line, self.buffer = self.buffer.split(b"\n", 1)
            assert line.endswith(b"\r"), f"a reply that does not end in CRLF: {line!r}"
            text = line[:-1].decode("ascii")
            assert re.match(r"[2-5][0-9][0-9]([ -]|$)", text), f"not an SMTP reply: {text!r}"
            lines.append(text)
            if text[3:4] != "-":
                return Reply(lines)

    def _read(self):
        try:
            more = self.socket.recv(65536)
        except (ConnectionResetError, ssl.SSLEOFError) as problem:
            raise Closed(repr(problem), self.buffer) from None
        if not more:
            raise Closed("end of file", self.buffer)
        self.buffer += more

    def expect(self, code, text=None):
        found = self.reply()
        assert found.code == code, f"expected {code}, found {found}"
        if text is not None:
            contains(str(found), text)
        return found

    def say(self, command, code, text=None):
        self.send(command + "\r\n")
        return self.expect(code, text)

    def ehlo(self, name="client.example.net"):
        return self.say(f"EHLO {name}", 250)

    def lhlo(self, name="client.example.net"):
        return self.say(f"LHLO {name}", 250)

    def rest(self):
        """All octets up to the end of the connection, which must come."""
        with contextlib.suppress(Closed):
            while True:
                self._read()
        rest, self.buffer = self.buffer, b""
        return rest

    def expect_end(self):
        equal(self.rest(), b"", "the connection must end here")

    def starttls(self, context=None, name=HOST, **options):
        self.say("STARTTLS", 220)
        equal(self.buffer, b"", "octets in the clear after the 220")
        self.handshake(context, name, **options)

    def fail_handshake(self, text):
        """EHLO, STARTTLS, and then text in place of a ClientHello; returns at the end of the connection."""
        self.ehlo()
        self.say("STARTTLS", 220)
        self.send(text)
        self.rest()

    def handshake(self, context=None, name=HOST, **options):
        context = context or client_context()
        self.socket = context.wrap_socket(
            self.socket, server_hostname=name, suppress_ragged_eofs=False, **options)

    def envelope(self, sender=SENDER, recipients=(RECIPIENT,), parameters=""):
        self.say(f"MAIL FROM:<{sender}>", 250)
        for recipient in recipients:
            self.say(f"RCPT TO:<{recipient}>{parameters}", 250)

    def message(self, data, sender=SENDER, recipients=(RECIPIENT,)):
        """One transaction; data has CRLF line ends and is dot-stuffed here. The last reply."""
        self.envelope(sender, recipients)
        self.say("DATA", 354)
        return self.content(data)

    def content(self, data):
        self.send(re.sub(rb"(?m)^\.", b"..", data) + b".\r\n")
        return self.reply()

    def quit(self):
        self.say("QUIT", 221)
        self.rest()
        return self.wait() if self.process else self.close()

    def close(self):
        self.socket.close()

    def reset(self):
        """End the connection by a reset, what was sent before included."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def wait(self):
        """Leave; the exit code of the process, which would wait a while for that."""
        self.close()
        return self.process.wait(PATIENCE)

    def delivered(self):
        """Wait until the peer's kernel has all we sent, so that the next octet comes apart."""

        def unsent():
            left = array.array("i", [0])
            fcntl.ioctl(self.socket.fileno(), termios.TIOCOUTQ, left)
            return left[0]

        eventually(lambda: unsent() == 0, "the peer's kernel takes what was sent")


# Messages

TRACE = ("return-path:", "received:", "x-original-to:", "delivered-to:")


def sample(subject="a message", lines=3):
    """A small message with something to dot-stuff, an empty line and octets above 127."""
    body = "".join(f"line {n}\r\n" for n in range(lines))
    return (f"From: <{SENDER}>\r\nTo: <{RECIPIENT}>\r\nSubject: {subject}\r\n"
            "Date: Tue, 01 Jul 2025 12:00:00 +0000\r\nMessage-ID: <1@client.example.net>\r\n"
            "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
            "Content-Transfer-Encoding: 8bit\r\n\r\n"
            f".dot\r\n..two\r\n\r\n{body}caf\xe9\r\n").encode()


def split_trace(stored):
    """The header lines that postern wrote on top, unfolded, and the rest as it came."""
    trace, rest = [], stored
    while True:
        line, _, after = rest.partition(b"\n")
        text = line.decode("utf-8", "backslashreplace")
        if trace and text[:1] in (" ", "\t"):
            trace[-1] += " " + text.strip()
        elif text.lower().startswith(TRACE):
            trace.append(text)
        else:
            return trace, rest
        rest = after


def check_stored(path, sent):
    """The file is our trace header lines and then exactly what was sent, with LF line ends."""
    trace, rest = split_trace(path.read_bytes())
    equal(rest, sent.replace(b"\r\n", b"\n"), f"the content of {path.name}")
    assert any(t.lower().startswith("received:") for t in trace), f"no Received: in {trace}"
    assert any(t.lower().startswith("return-path:") for t in trace), f"no Return-Path: in {trace}"
    return trace


def received(path):
    trace, _ = split_trace(path.read_bytes())
    return next(t for t in trace if t.lower().startswith("received:"))
