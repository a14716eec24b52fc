#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""The mirror of tests/distributions asks again where a mirror is busy, and keeps no file that was cut."""

import io
import sys
import threading
import urllib.error
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "system"))
import harness  # noqa: E402
import mirror  # noqa: E402

CONTENT = b"a package"


class Upstream(BaseHTTPRequestHandler):
    """Answers with what the server's list has, one after the other, and then with the content."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.asked += 1
        answer = self.server.answers.pop(0) if self.server.answers else None
        if isinstance(answer, int):
            self.send_error(answer)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[:4] if answer == "cut" else CONTENT)


def upstream(answers):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    server.answers, server.asked = list(answers), 0
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    harness.at_end(server.server_close)
    harness.at_end(server.shutdown)
    return server, f"http://127.0.0.1:{server.server_port}/pool/main/a/a.deb"


@harness.table(busy=(503,), limited=(429,), cut=("cut",), twice=(502, "cut"))
def test_what_goes_by_is_tried_again(*answers):
    server, address = upstream(answers)
    found = io.BytesIO()
    mirror.fetch(address, found)
    harness.equal(found.getvalue(), CONTENT)
    harness.equal(server.asked, len(answers) + 1)


def test_what_does_not_exist_is_asked_for_once():
    server, address = upstream([404])
    try:
        mirror.fetch(address, io.BytesIO())
        raise AssertionError("there is such a file")
    except urllib.error.HTTPError as error:
        harness.equal(error.code, 404)
    harness.equal(server.asked, 1)


if __name__ == "__main__":
    harness.main()
