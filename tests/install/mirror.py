# SPDX-License-Identifier: ISC
"""A Debian mirror on a loopback, which gets its files from the mirror that this machine's apt uses.

What never changes under its name (packages, indexes by hash) is kept in a folder, so that a second run is quick.
"""

import contextlib
import http.client
import io
import os
import shutil
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT = 3142  # of networks that exist for a test alone
TRIES = 4  # of a mirror that is busy or breaks the connection
URL = f"http://127.0.0.1:{PORT}/debian"


class NoMirror(Exception):
    """apt on this machine has no Debian mirror."""


def configured():
    """The address of Debian's main archive in apt's configuration."""
    for lists in (["true"], ["apt-get", "update", "-qq"]):  # a fresh machine has no lists yet
        subprocess.run(lists, check=False)
        listed = subprocess.run(
            ["apt-get", "indextargets", "--format", "$(LABEL) $(REPO_URI)", "Created-By: Packages"],
            capture_output=True, text=True, check=False).stdout
        for line in listed.splitlines():
            if line.startswith("Debian http"):
                return line.split()[1].rstrip("/")
    raise NoMirror("apt on this machine names no Debian mirror (see `apt-get indextargets`)")


def settings():
    """What apt on this machine has set for a mirror that is older than its indexes allow."""
    return "".join(
        subprocess.run(["apt-config", "dump", f"Acquire::{name}"], capture_output=True, text=True, check=False).stdout
        for name in ("Check-Date", "Check-Valid-Until"))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        if not self.path.startswith("/debian/") or ".." in self.path:
            self.answer(404)
            return
        path = self.path[len("/debian/"):]
        if path.startswith("pool/") or "/by-hash/" in path:
            self.kept(path)
        else:
            self.passed_on(path)

    def answer(self, code, length=0, date=None):
        self.send_response(code)
        self.send_header("Content-Length", str(length))
        if date:
            self.send_header("Last-Modified", date)
        self.end_headers()

    def kept(self, path):
        kept = os.path.join(self.server.folder, path)
        if not os.path.exists(kept):
            os.makedirs(os.path.dirname(kept), exist_ok=True)
            partial = f"{kept}.{os.getpid()}.{threading.get_ident()}"
            with open(partial, "wb") as file:
                got = self.fetched(path, file)
            if not got:
                os.unlink(partial)
                return
            os.rename(partial, kept)
        with open(kept, "rb") as file:
            self.answer(200, os.fstat(file.fileno()).st_size)
            shutil.copyfileobj(file, self.wfile)

    def passed_on(self, path):
        content = io.BytesIO()
        got = self.fetched(path, content)
        if got:
            self.answer(200, content.tell(), got.get("Last-Modified"))
            self.wfile.write(content.getvalue())

    def fetched(self, path, to):
        """The headers of what is now in the file; None: there is an error, which was answered."""
        try:
            return fetch(f"{self.server.upstream}/{path}", to)
        except urllib.error.HTTPError as error:
            self.answer(error.code)
        except (OSError, http.client.HTTPException):
            self.answer(502)
        return None


def is_final(error):
    """An error that another try would not change: 429 is that of a mirror that limits its clients."""
    return isinstance(error, urllib.error.HTTPError) and error.code < 500 and error.code != 429


def fetch(address, to):
    """Writes what is at the address into a file."""
    for tried in range(1, TRIES + 1):
        try:
            with urllib.request.urlopen(address, timeout=60) as got:
                to.seek(0)
                to.truncate()
                shutil.copyfileobj(got, to)
                if int(got.headers.get("Content-Length", to.tell())) == to.tell():
                    return got.headers
                raise OSError(f"{address}: the connection broke")
        except (OSError, http.client.HTTPException) as error:
            if tried == TRIES or is_final(error):
                raise
        time.sleep(tried)


@contextlib.contextmanager
def serving(network, folder, upstream):
    """A process with a mirror in a network (entered for its socket alone: what it fetches comes by the host's own)."""
    with network:
        server = ThreadingHTTPServer(("127.0.0.1", PORT), Handler)
    server.daemon_threads = True
    server.folder, server.upstream = str(folder), upstream
    process = os.fork()
    if not process:
        try:
            server.serve_forever()
        finally:
            os._exit(1)
    server.server_close()
    try:
        yield
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
