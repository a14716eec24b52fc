# SPDX-License-Identifier: ISC
"""A certificate authority (ACME, RFC 8555) inside a machine, in the place of Let's Encrypt: pebble, Debian's server for
tests of ACME clients, which checks names over port 80 as the real one does. This file is also a program: in the
machine it listens under the name of Let's Encrypt, and passes requests on to pebble, which has another path."""

import http.server
import json
import ssl
import sys
import time
import urllib.error
import urllib.request

NAME = "acme-v02.api.letsencrypt.org"
DIRECTORY = {"/directory": "/dir"}  # of pebble
PEBBLE, ROOT = "https://127.0.0.1:14000", "https://127.0.0.1:15000/roots/0"
FOLDER = "/run/authority"
CONFIGURATION = {"pebble": {
    "listenAddress": "127.0.0.1:14000", "managementListenAddress": "127.0.0.1:15000",
    "certificate": f"{FOLDER}/cert.pem", "privateKey": f"{FOLDER}/key.pem",
    "httpPort": 80, "tlsPort": 5001, "ocspResponderURL": "",
    "externalAccountBindingRequired": False}}
# certbot asks for a mail address and for consent; these are the answers
ANSWERS = "agree-tos = true\nregister-unsafely-without-email = true\n"
BEGIN = f"""\
apt-get install -qy --no-install-recommends pebble ca-certificates openssl python3
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN={NAME} \\
    -addext subjectAltName=DNS:{NAME} -keyout {FOLDER}/key.pem -out {FOLDER}/cert.pem
echo 127.0.0.1 {NAME} >>/etc/hosts
cp {FOLDER}/cert.pem /usr/local/share/ca-certificates/authority.crt
update-ca-certificates
systemd-run --quiet --unit=pebble -E PEBBLE_VA_NOSLEEP=1 -E PEBBLE_WFE_NONCEREJECT=0 pebble -config {FOLDER}/pebble.json
systemd-run --quiet --unit=authority python3 {FOLDER}/authority.py
python3 {FOLDER}/authority.py root
"""


def begin(machine):
    """Starts it; afterwards ACME clients of the machine use it. The certificate of its root."""
    with open(__file__, encoding="utf-8") as program:
        files = {f"{FOLDER}/authority.py": program.read(), f"{FOLDER}/pebble.json": json.dumps(CONFIGURATION),
                 "/root/.config/letsencrypt/cli.ini": ANSWERS}
    for name, text in files.items():
        path = machine.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    done = machine.run("sh", "-e", "-c", BEGIN)
    assert done.returncode == 0, f"no certificate authority: {done.stdout[-2000:]}"
    return done.stdout[done.stdout.rindex("-----BEGIN CERTIFICATE-----"):]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer(None)

    def do_HEAD(self):
        self.answer(None)

    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers["Content-Length"])))

    def answer(self, content):
        """The host name is passed on, because pebble puts it into the addresses of its answers."""
        headers = {name: self.headers[name] for name in ("Host", "User-Agent", "Content-Type") if name in self.headers}
        address = PEBBLE + DIRECTORY.get(self.path, self.path)
        request = urllib.request.Request(address, content, headers, method=self.command)
        try:
            got = urllib.request.urlopen(request, context=ssl._create_unverified_context())
        except urllib.error.HTTPError as error:
            got = error
        octets = got.read()
        self.send_response_only(got.code)
        for name, value in got.headers.items():
            if name not in ("Content-Length", "Transfer-Encoding", "Connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(octets)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(octets)


def root():
    """Pebble's own, new for each start, once it listens."""
    for _ in range(6000):
        try:
            return urllib.request.urlopen(ROOT, context=ssl._create_unverified_context()).read().decode()
        except urllib.error.URLError:
            time.sleep(0.1)
    return "pebble does not listen"


def main():
    if sys.argv[1:] == ["root"]:
        print(root())
        return
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 443), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{FOLDER}/cert.pem", f"{FOLDER}/key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
