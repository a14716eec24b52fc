#!/usr/bin/python3
"""LMTP (RFC 2033) and a reply for each recipient: one mailbox that cannot be written costs the others
nothing, on file systems that are really full; and the mail servers that deliver through it."""

import os

import harness
from harness import DOMAIN, Client, Site

def make_maildir(path):
    for part in ("tmp", "cur", "new"):
        (path / part).mkdir(parents=True)
    return path


def address(name):
    return f"{name}@{DOMAIN}"


class Speaker:
    """One way to hand over a message to several recipients, and the replies that it ends with."""

    def __init__(self, arguments, chunk=None, prdr=False):
        self.arguments, self.chunk, self.prdr = arguments, chunk, prdr

    def begin(self, place):
        place.arguments = self.arguments
        client = place.connect()
        if self.arguments:
            client.lhlo()
        else:
            client.ehlo()
        return client

    def send(self, client, names, data):
        """The codes of the replies to the message, whether they come before or behind its content."""
        client.say(f"MAIL FROM:<{harness.SENDER}>{' PRDR' if self.prdr else ''}", 250)
        for name in names:
            client.say(f"RCPT TO:<{address(name)}>", 250)
        if self.chunk:
            return self._chunks(client, len(names), data)
        client.send("DATA\r\n")
        first = client.reply().code
        if first != 354:
            return [first]
        return self._replies(client, len(names), client.content(data).code)

    def _chunks(self, client, n, data):
        """Without waiting, as RFC 3030 4.2 allows."""
        pieces = [data[i:i + self.chunk] for i in range(0, len(data), self.chunk)]
        last = len(pieces) - 1
        client.send(b"".join(b"BDAT %d%s\r\n%s" % (len(p), b" LAST" if i == last else b"", p)
                             for i, p in enumerate(pieces)))
        codes = [client.reply().code for _ in pieces[:-1]]
        refused = [code for code in codes if code != 250]
        harness.equal(codes[len(codes) - len(refused):], refused[:1] * len(refused), f"{codes}")
        return self._replies(client, n, client.reply().code)

    def _replies(self, client, n, first):
        if self.arguments:
            return [first] + [client.reply().code for _ in range(n - 1)]
        return [first] + [client.reply().code for _ in range(n + 1)] if first == 353 else [first]

    def expected(self, codes):
        """What the message as a whole comes to when these are the recipients' own replies."""
        if self.arguments:
            return codes
        if self.prdr and len(codes) > 1:
            return [353, *codes, 250 if 250 in codes else codes[0]]
        return [250 if set(codes) == {250} else next(c for c in codes if c != 250)]

    def each(self):
        return bool(self.arguments) or self.prdr


LMTP = ["--lmtp"]
SPEAKERS = {
    "LMTP": Speaker(LMTP),
    "LMTP in a chunk": Speaker(LMTP, chunk=1 << 30),
    "LMTP in chunks": Speaker(LMTP, chunk=5000),
    "PRDR": Speaker([], prdr=True),
    "PRDR in a chunk": Speaker([], chunk=1 << 30, prdr=True),
    "PRDR in chunks": Speaker([], chunk=5000, prdr=True),
    "SMTP": Speaker([]),
    "SMTP in chunks": Speaker([], chunk=5000),
}

SMALL = harness.sample()
# Several times what is read at once, and more than the small file system has when it is empty.
LARGE = harness.sample(lines=40_000)


class Disks:
    """alice and anna on the usual disk; bob and ben on one of their own, which is small, or full."""

    def __init__(self, full=True):
        self.site = Site(maildir="%d/%u")
        below = self.site.root / DOMAIN
        self.full = harness.small_file_system(below / "full", "256k")
        self.boxes = {}
        for name, place in (("alice", below), ("anna", below), ("bob", self.full), ("ben", self.full)):
            self.boxes[name] = make_maildir(place / name)
            if place == self.full:
                (below / name).symlink_to(f"full/{name}")
        self.ballast = harness.fill(self.full) if full else None

    def count(self):
        return {name: len(self.site.new(box)) for name, box in self.boxes.items()}

    def check(self, counts, sent):
        """So many messages in each, all of them whole, and no other file anywhere."""
        harness.equal(self.count(), {name: counts.get(name, 0) for name in self.boxes})
        found = [path for box in self.boxes.values() for path in self.site.new(box)]
        for path in found:
            harness.check_stored(path, sent)
        others = set(self.site.everything()) - set(found) - {self.ballast}
        harness.equal({p for p in others if not p.is_symlink()}, set())


ORDERS = {
    "the full one last": ("alice", "bob"),
    "the full one first": ("bob", "alice"),
    "two full ones first": ("bob", "ben", "alice"),
    "between two full ones": ("bob", "alice", "ben"),
    "two full ones last": ("anna", "alice", "bob", "ben"),
    "nobody but full ones": ("bob", "ben"),
    "one full one twice": ("bob", "alice", "bob"),
    "a full one alone": ("bob",),
}


@harness.table_of({f"{how}: {order}, {size}": (how, names, sent) for how in SPEAKERS
                   for order, names in ORDERS.items()
                   for size, sent in (("small", SMALL), ("large", LARGE))})
def test_a_full_file_system_refuses_its_own_recipients(how, names, sent):
    speaker, disks = SPEAKERS[how], Disks(full=sent is SMALL)
    is_full = {"bob": 452, "ben": 452}
    client = speaker.begin(disks.site)
    codes = speaker.send(client, names, sent)
    owned = {name: 1 for name in names if name not in is_full and (
        speaker.each() or not set(names) & set(is_full))}
    whole = [is_full.get(name, 250) for name in names]
    if codes != [452] or owned:  # where nobody can have it, DATA itself may be refused
        harness.equal(codes, speaker.expected(whole))
    disks.check(owned, sent)
    # Room again: those who have not had it get it, in the same session.
    left = [name for name in dict.fromkeys(names) if name not in owned]
    if sent is SMALL:
        disks.ballast.unlink()
        harness.equal(speaker.send(client, left, sent), speaker.expected([250] * len(left)))
        disks.check({name: 1 for name in names}, sent)
    client.quit()


def test_a_read_only_file_system_refuses_its_own_recipients():
    """Also where the Maildir is yet to be made."""
    disks = Disks()
    disks.site.set(maildir_create="yes")
    (disks.site.root / DOMAIN / "new").symlink_to("full/new")
    harness.mount("-o", "remount,ro", disks.full)
    speaker = SPEAKERS["LMTP"]
    client = speaker.begin(disks.site)
    harness.equal(speaker.send(client, ("new", "bob", "alice", "fresh"), SMALL), [451, 451, 250, 250])
    harness.equal(speaker.send(client, ("new",), SMALL), [451])
    client.quit()
    disks.boxes["fresh"] = disks.site.root / DOMAIN / "fresh"
    disks.check({"alice": 1, "fresh": 1}, SMALL)


@harness.table_of({how: how for how in ("SMTP", "LMTP in chunks")})
def test_a_maildir_that_no_link_reaches_gets_a_file_of_its_own(how):
    """Behind a mount of the same file system link() says EXDEV, and stat() nothing."""
    speaker, disks = SPEAKERS[how], Disks()
    names = ("alice", "anna", "carl", "dora")
    for name in names[2:]:
        box = make_maildir(disks.site.root / DOMAIN / name)
        harness.mount_again(box)
        disks.boxes[name] = box
    client = speaker.begin(disks.site)
    harness.equal(speaker.send(client, names, LARGE), speaker.expected([250] * 4))
    client.quit()
    disks.check({name: 1 for name in names}, LARGE)
    links = [disks.site.new(disks.boxes[name])[0].stat().st_nlink for name in names]
    harness.equal(links, [2, 2, 1, 1])


if __name__ == "__main__":
    harness.main()
