# SPDX-License-Identifier: ISC
"""A Debian mirror on a loopback, which gets its files from the mirror that this machine's apt uses.

What never changes under its name (packages, indexes by hash) is kept in a folder, so that a second run is quick.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT = 3142  # of networks that exist for a test alone
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
        try:
            if not os.path.exists(kept):
                os.makedirs(os.path.dirname(kept), exist_ok=True)
                partial = f"{kept}.{os.getpid()}.{threading.get_ident()}"
                with urllib.request.urlopen(f"{self.server.upstream}/{path}", timeout=60) as got, \
                        open(partial, "wb") as file:
                    shutil.copyfileobj(got, file)
                os.rename(partial, kept)
            with open(kept, "rb") as file:
                self.answer(200, os.fstat(file.fileno()).st_size)
                shutil.copyfileobj(file, self.wfile)
        except urllib.error.HTTPError as error:
            self.answer(error.code)
        except urllib.error.URLError:
            self.answer(502)

    def passed_on(self, path):
        try:
            with urllib.request.urlopen(f"{self.server.upstream}/{path}", timeout=60) as got:
                content = got.read()
                self.answer(200, len(content), got.headers.get("Last-Modified"))
                self.wfile.write(content)
        except urllib.error.HTTPError as error:
            self.answer(error.code)
        except urllib.error.URLError:
            self.answer(502)


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
