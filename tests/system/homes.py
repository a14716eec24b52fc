# SPDX-License-Identifier: ISC
"""What the tests of recipients = passwd: share: users of the system, their homes, and clients with mail for them."""

import harness
from harness import DOMAIN
from listening import Listening
from mailboxes import OTHER, OURS, Place, give

FIRST, LAST = 61000, 61010  # of the users here; OTHER and OURS are among them


def passwd(lines):
    """The users of the system until the end of the test, beside root and nobody."""
    path = harness.scratch() / "passwd"
    path.write_text("root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/nonexistent:/bin/false\n" + lines)
    services = path.with_name("nsswitch.conf")
    services.write_text("passwd: files\ngroup: files\n")
    for each in (path, services):
        harness.mount("--bind", each, f"/etc/{each.name}")
        harness.at_end(harness.run, "umount", f"/etc/{each.name}")
    return path


class Homes(Place):
    """Users alice and bob, with homes below mail-root."""

    def __init__(self, more="", **settings):
        settings.setdefault("maildir_create", None)
        super().__init__(settings.pop("maildir", None), recipients="passwd:", first_valid_uid=FIRST, last_valid_uid=LAST, **settings)
        self.domain.rmdir()
        self.homes = {name: self.home(name, uid) for name, uid in (("alice", OTHER), ("bob", OURS))}
        self.alice = self.homes["alice"] / "Maildir"
        passwd("".join(f"{name}:x:{uid}:{uid}::{self.root}/{name}:/bin/sh\n"
                       for name, uid in (("alice", OTHER), ("bob", OURS))) + more.format(self.root))

    def home(self, name, uid):
        path = self.root / name
        path.mkdir()
        (path / ".profile").write_text("")
        give(path, uid)
        return path

    def new(self, name):
        return self.site.new(self.homes[name] / "Maildir")

    def codes(self, *names):
        return self.rcpt([f"{name}@{DOMAIN}" for name in names])

    def refuses(self, name, fault, code=451):
        harness.equal(self.codes(name), [code])
        harness.equal(self.fault(), fault)


def begun(place, name="alice"):
    """A client whose recipient is accepted."""
    client = place.site.connect()
    client.ehlo()
    client.envelope(recipients=[f"{name}@{DOMAIN}"])
    return client


def end_message(client):
    client.send("DATA\r\n")
    code = client.reply().code
    code = client.content(harness.sample()).code if code == 354 else code
    client.quit()
    return code


def listener(place, **settings):
    names = ("mail_root", "maildir", "maildir_create", "recipients", "first_valid_uid", "last_valid_uid", "catch_all")
    kept = {key: value for key, value in place.site.settings.items() if key in names}
    here = Listening(source_connection_limit=100, **kept)
    return here.set(**settings).listen()
