# SPDX-License-Identifier: ISC
"""aiosmtpd-server.py PORT MAILDIR CERTIFICATE KEY: aiosmtpd with as little around it as will do.

Its own handler for Maildirs parses the message and writes it out again. This one writes what came, syncs
the file and renames it into new/, as mailbox.Maildir does; the folder is not synced.
"""

import asyncio
import itertools
import os
import ssl
import sys
import time

from aiosmtpd.smtp import SMTP


class Maildir:
    def __init__(self, path):
        self.path = path
        self.numbers = itertools.count()

    async def handle_DATA(self, server, session, envelope):  # its name for the hook
        name = f"{time.time_ns()}.P{os.getpid()}Q{next(self.numbers)}.aiosmtpd"
        trace = f"Return-Path: <{envelope.mail_from}>\nReceived: from {session.host_name}\n"
        with open(f"{self.path}/tmp/{name}", "xb", buffering=0) as file:
            content = envelope.content.replace(b"\r\n", b"\n")
            file.write(trace.encode() + content)
            os.fsync(file.fileno())
        os.rename(f"{self.path}/tmp/{name}", f"{self.path}/new/{name}")
        return "250 2.0.0 Stored"


async def main(port, maildir, certificate, key):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    handler = Maildir(maildir)

    def connection():
        return SMTP(handler, hostname="mail.example.org", tls_context=context, data_size_limit=None,
                    enable_SMTPUTF8=True)

    server = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", port, backlog=1024)
    async with server:
        await server.serve_forever()


asyncio.run(main(int(sys.argv[1]), *sys.argv[2:5]))
