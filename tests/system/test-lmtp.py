#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""LMTP (RFC 2033) and a reply for each recipient: a mailbox that cannot be written does not affect the others, on
file systems that are really full; and real mail servers deliver through LMTP."""

import shutil
import smtplib
import socket

import harness
import servers
from harness import DOMAIN, PATIENCE, Client, Site

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

    def send(self, client, names, data, then=None):
        """The codes of the replies to the message, before or behind its content; `then` is done behind RCPT."""
        client.say(f"MAIL FROM:<{harness.SENDER}>{' PRDR' if self.prdr else ''}", 250)
        for name in names:
            client.say(f"RCPT TO:<{address(name)}>", 250)
        if then:
            then()
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
    if codes != [452] or owned:  # if no recipient can get the message, DATA itself may be refused
        harness.equal(codes, speaker.expected(whole))
    disks.check(owned, sent)
    # There is space again: the other recipients get it in the same session.
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
    speaker = SPEAKERS["LMTP"]
    client = speaker.begin(disks.site)
    codes = speaker.send(client, ("new", "bob", "alice", "fresh"), SMALL,
                         lambda: harness.mount("-o", "remount,ro", disks.full))
    harness.equal(codes, [451, 451, 250, 250])
    client.say(f"MAIL FROM:<{harness.SENDER}>", 250)
    for name in ("new", "bob"):
        client.say(f"RCPT TO:<{address(name)}>", 451)
    client.quit()
    disks.boxes["fresh"] = disks.site.root / DOMAIN / "fresh"
    disks.check({"alice": 1, "fresh": 1}, SMALL)


@harness.table_of({how: how for how in ("SMTP", "LMTP in chunks")})
def test_a_maildir_that_no_link_reaches_gets_a_file_of_its_own(how):
    """Across a mount of the same file system link() fails with EXDEV, although stat() shows no difference."""
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


@harness.table_of({how: how for how in ("SMTP", "LMTP", "PRDR in chunks")})
def test_a_maildir_that_takes_no_name_is_refused_alone(how):
    """Found out when others have theirs: without a reply for each these are taken back."""
    speaker, disks = SPEAKERS[how], Disks()
    closed = disks.boxes["anna"]
    harness.mount_again(closed)
    disks.boxes["carl"] = make_maildir(disks.site.root / DOMAIN / "carl")
    client = speaker.begin(disks.site)
    codes = speaker.send(client, ("alice", "anna", "carl"), SMALL,
                         lambda: harness.mount("-o", "remount,ro,bind", closed))
    harness.equal(codes, speaker.expected([250, 451, 250]))
    client.quit()
    disks.check({"alice": 1, "carl": 1} if speaker.each() else {}, SMALL)


# More replies than a socket holds

MANY = 20_000


def owed_many(**settings):
    """A client that has sent a message for MANY recipients, and reads none of their replies."""
    place = Site(maildir="%d/%u", recipient_limit=MANY, **settings)
    place.arguments = LMTP
    ours, theirs = socket.socketpair()
    with theirs:
        process = place.spawn(theirs)
    client = Client(ours, process)
    client.expect(220)
    client.lhlo()
    client.say(f"MAIL FROM:<{harness.SENDER}>", 250)
    for _ in range(MANY // 1000):
        client.send(f"RCPT TO:<{address('alice')}>\r\n" * 1000)
        for _ in range(1000):
            client.expect(250)
    client.say("DATA", 354)
    client.send(SMALL.replace(b"\n.", b"\n..") + b".\r\n")
    box = place.root / DOMAIN / "alice"
    harness.eventually(lambda: place.new(box), "it is delivered")
    return place, client, box


def check_delivered(place, box, end):
    """Once, and recorded as such, for any end of the session."""
    path, = place.new(box)
    harness.check_stored(path, SMALL)
    record = harness.eventually(lambda: place.records("message"), "the message's record")[0]
    harness.equal((record["outcome"], record["recipients"]), ("delivered", str(MANY)))
    session = place.session()
    harness.equal((session["end"], session["messages"]), (end, "1"))


def test_each_of_many_recipients_has_a_reply():
    place, client, box = owed_many()
    client.send("QUIT\r\n")
    for _ in range(MANY):
        client.expect(250, "2.6.0 Delivered as")
    client.expect(221)
    client.expect_end()
    harness.equal(client.wait(), 0)
    check_delivered(place, box, "quit")


def test_sigterm_waits_for_replies_that_are_owed():
    place, client, box = owed_many()
    client.process.terminate()
    for _ in range(MANY):
        client.expect(250, "2.6.0 Delivered as")
    client.expect(421, "4.3.2")
    client.expect_end()
    harness.equal(client.wait(), 0)
    check_delivered(place, box, "shutdown")


def test_a_client_that_leaves_its_replies_unread_is_given_up():
    place, client, box = owed_many(timeout=1)
    harness.equal(client.process.wait(PATIENCE), 0)
    check_delivered(place, box, "broken")


def test_a_client_that_goes_while_replies_are_owed_changes_nothing():
    place, client, box = owed_many()
    client.close()
    harness.equal(client.process.wait(PATIENCE), 0)
    check_delivered(place, box, "broken")


# Never on port 25 (RFC 2033 5)


@harness.table(
    v4=(socket.AF_INET, "127.0.0.1", 25, LMTP, 421), v6=(socket.AF_INET6, "::1", 25, LMTP, 421),
    mapped=(socket.AF_INET6, "::ffff:127.0.0.1", 25, LMTP, 421),
    another_port=(socket.AF_INET, "127.0.0.1", 24, LMTP, 220),
    smtp=(socket.AF_INET, "127.0.0.1", 25, [], 220))
def test_lmtp_is_not_spoken_on_port_25(family, host, port, arguments, code):
    place = Site()
    place.arguments = arguments
    with harness.own_network(), socket.socket(family) as listening:
        listening.bind((host, port))
        listening.listen(1)
        ours = socket.socket(family)
        ours.connect((host, port))
        theirs, _ = listening.accept()
    with theirs:
        process = place.spawn(theirs)
    client = Client(ours, process)
    client.expect(code)
    if code == 220:
        client.quit()
        return
    client.expect_end()
    harness.equal(client.wait(), 78)
    harness.contains(place.records("error")[0]["text"], "--lmtp: must not be spoken on port 25")


# Programs that deliver by LMTP


class Agent:
    """A delivery agent, and a message as a file, with LF; or a receiver of SMTP."""

    def __init__(self, site=None, boxes=None, arguments=("--lmtp",)):
        self.site = site or Site(maildir="%d/%u", maildir_create="no")
        self.site.arguments = list(arguments)
        self.boxes = boxes or {name: make_maildir(self.site.root / DOMAIN / name)
                               for name in ("alice", "anna", "carl")}
        self.sent = SMALL
        self.lf = self.site.dir / "message"
        self.lf.write_bytes(self.sent.replace(b"\r\n", b"\n"))

    def listen(self, user=0):
        """Behind a UNIX socket that this user alone may connect to, and root."""
        harness.need("socat")
        self.path = self.site.dir / "socket"
        with open(self.site.log, "ab") as log:
            harness.start("socat", f"UNIX-LISTEN:{self.path},fork,user={user},mode=600,backlog=16",
                          f"EXEC:{' '.join(self.site.command())},nofork", stderr=log)
        harness.eventually(self.path.exists, "socat listens")
        return self

    def count(self):
        return {name: len(self.site.new(box)) for name, box in self.boxes.items()}

    def check(self, **counts):
        """So many messages in each mailbox, and all that is no bounce is what was sent, by LMTP."""
        harness.equal(self.count(), {name: counts.get(name, 0) for name in self.boxes})
        for path in (path for box in self.boxes.values() for path in self.site.new(box)):
            stored = path.read_bytes()
            harness.contains(harness.received(path), f"with {'LMTP' if self.site.arguments else 'ESMTP'} id")
            if b"MAILER-DAEMON" not in stored and b"Mailer-Daemon" not in stored:
                # a mail server puts header fields of its own on top
                assert stored.endswith(self.sent.replace(b"\r\n", b"\n")), stored
        harness.equal(self.site.leftovers(), [])


def test_python_smtplib():
    agent = Agent().listen()
    with smtplib.LMTP(str(agent.path)) as client:
        harness.equal(client.sendmail(harness.SENDER, [address("alice")], agent.sent), {})
        with_refused = client.sendmail(harness.SENDER, [address("nobody"), address("alice")], agent.sent)
        harness.equal(with_refused[address("nobody")][0], 550)
        # its sendmail() reads one reply alone
        client.mail(harness.SENDER)
        for name in ("alice", "anna"):
            harness.equal(client.rcpt(address(name))[0], 250)
        harness.equal(client.data(agent.sent)[0], 250)
        harness.equal(client.getreply()[0], 250)
        harness.equal(client.noop()[0], 250)
    agent.check(alice=3, anna=1)


def test_swaks():
    harness.need("swaks")
    agent = Agent().listen()
    data = agent.site.dir / "data"
    data.write_bytes(agent.sent[:-2])
    done = harness.run(
        "swaks", "--protocol", "LMTP", "--socket", agent.path, "--from", harness.SENDER, "--to",
        ",".join(map(address, ("alice", "nobody", "anna"))), "--helo", "client.example.net",
        "--data", f"@{data}")
    harness.contains(done.stdout, "550 5.1.1")
    harness.equal(done.stdout.count("250 2.6.0"), 2)
    agent.check(alice=1, anna=1)


def test_msmtp():
    agent = Agent().listen()
    done = harness.run(
        harness.packages() / "msmtp/usr/bin/msmtp", "--host=localhost", "--port=24", "--protocol=lmtp",
        f"--socket={agent.path}", f"--from={harness.SENDER}", "--auth=off",
        "--domain=client.example.net", "--", address("alice"), address("anna"),
        input=agent.lf.read_text(), env=harness.with_libraries(HOME=str(agent.site.dir)))
    harness.equal(done.returncode, 0, done.stdout)
    agent.check(alice=1, anna=1)


def virtual(agent):
    return f"virtual_mailbox_domains = {DOMAIN}\nvirtual_transport = lmtp:unix:{agent.path}\n"


@harness.table(
    virtual=(virtual,),
    local=(lambda agent: f"mydestination = {DOMAIN}\nlocal_transport = lmtp:unix:{agent.path}\n",),
    mailbox=(lambda agent: f"mydestination = {DOMAIN}\nmailbox_transport = lmtp:unix:{agent.path}\n",))
def test_postfix_delivers(settings):
    """The unknown recipient alone is bounced; and the bounce, to a sender of ours, is delivered as well."""
    agent = Agent().listen(servers.POSTFIX)
    postfix = servers.Postfix(agent.site.dir, settings(agent), agent.lf, sender=address("carl"),
                              recipients=map(address, ("alice", "nobody", "anna")))
    postfix.logged("status=bounced", f"to=<{address('nobody')}>", "said: 550 5.1.1 No such mailbox here")
    for name in ("alice", "anna"):
        postfix.logged("status=sent", f"to=<{address(name)}>", "250 2.6.0 Delivered as")
    postfix.logged("status=sent", f"to=<{address('carl')}>")
    agent.check(alice=1, anna=1, carl=1)
    postfix.logged("Using LMTP PIPELINING")


def test_postfix_in_a_chroot_delivers_below_its_queue():
    """As Debian runs it, with the socket where its client can see it."""
    agent = Agent()
    shutil.copy(harness.program(), agent.site.dir)
    command = " ".join([f"{agent.site.dir}/{harness.program().name}", *agent.site.command()[1:]])
    postfix = servers.Postfix(
        agent.site.dir, f"local_transport = lmtp:unix:private/postern\nmydestination = {DOMAIN}\n",
        agent.lf, [address("alice")], chroot=True,
        before=f"socat UNIX-LISTEN:/var/spool/postfix/private/postern,fork,user=postfix,mode=600 "
               f"EXEC:'{command}',nofork &")
    postfix.logged("status=sent", f"to=<{address('alice')}>")
    agent.check(alice=1)


def test_postfix_tries_again_for_the_full_one_alone():
    disks = Disks()
    agent = Agent(disks.site, disks.boxes).listen(servers.POSTFIX)
    postfix = servers.Postfix(agent.site.dir, virtual(agent), agent.lf,
                              map(address, ("bob", "alice", "ben")))
    postfix.logged("status=sent", f"to=<{address('alice')}>")
    for name in ("bob", "ben"):
        postfix.logged("status=deferred", f"to=<{address(name)}>", "said: 452 4.3.1 Insufficient storage")
    agent.check(alice=1)
    disks.ballast.unlink()
    postfix.order("postqueue -f")
    for name in ("bob", "ben"):
        postfix.logged("status=sent", f"to=<{address(name)}>")
    agent.check(alice=1, bob=1, ben=1)


EXIM = """\
primary_hostname = relay.example.net
log_selector = +smtp_confirmation
acl_not_smtp = accept
begin acl
begin routers
all:
  driver = accept
  transport = postern
begin transports
postern:
{transport}
begin retry
* * F,2h,15m
"""


def exim_by_socket(agent):
    """Its lmtp transport: no extension, and no pipelining."""
    agent.listen(servers.EXIM)
    return f"""
  driver = lmtp
  socket = {agent.path}
  batch_max = 100
  user = Debian-exim
"""


def exim_by_tcp(agent, chunking="*"):
    """Its smtp transport, which also speaks LMTP: with everything that we offer."""
    port = harness.Listener(agent.site).port
    return f"""
  driver = smtp
  protocol = lmtp
  hosts = 127.0.0.1
  allow_localhost
  port = {port}
  hosts_try_chunking = {chunking}
  connection_max_messages = 10
"""


EXIM_WAYS = {"by socket": exim_by_socket, "by TCP, in chunks": exim_by_tcp,
             "by TCP": lambda agent: exim_by_tcp(agent, "")}


@harness.table_of(EXIM_WAYS)
def test_exim_delivers(transport):
    """The unknown recipient alone is bounced; and the bounce, to a sender of ours, is delivered as well."""
    agent = Agent()
    exim = servers.Exim(agent.site.dir, EXIM.format(transport=transport(agent)), agent.lf,
                        map(address, ("alice", "nobody", "anna")), sender=address("carl"))
    for name in ("alice", "anna", "carl"):
        exim.logged("> ", address(name), "250 2.6.0 Delivered as")
    exim.logged(f" ** {address('nobody')} ", "550 5.1.1 No such mailbox here")
    agent.check(alice=1, anna=1, carl=1)


def keeps_the_full_one_alone(exim, agent, disks):
    """Of bob, alice and ben only alice has space, until the ballast is removed."""
    exim.logged("> ", address("alice"), "250 2.6.0 Delivered as")
    for name in ("bob", "ben"):
        # at RCPT where it declares the size, and after the content where it does not
        exim.logged(f" == {address(name)} ", "452 4.3.1 Insufficient storage")
    agent.check(alice=1)
    disks.ballast.unlink()
    exim.order("exim4 -qff")
    for name in ("bob", "ben"):
        exim.logged("> ", address(name), "250 2.6.0 Delivered as")
    agent.check(alice=1, bob=1, ben=1)


@harness.table_of(EXIM_WAYS)
def test_exim_tries_again_for_the_full_one_alone(transport):
    disks = Disks()
    agent = Agent(disks.site, disks.boxes)
    exim = servers.Exim(agent.site.dir, EXIM.format(transport=transport(agent)), agent.lf,
                        map(address, ("bob", "alice", "ben")))
    keeps_the_full_one_alone(exim, agent, disks)


# PRDR


def exim_by_smtp(agent, chunking, prdr="*"):
    port = harness.Listener(agent.site).port
    return EXIM.format(transport=f"""
  driver = smtp
  hosts = 127.0.0.1
  allow_localhost
  port = {port}
  hosts_try_chunking = {chunking}
  hosts_try_prdr = {prdr}
""")


@harness.table(by_data=("",), by_chunks=("*",))
def test_exim_asks_for_prdr(chunking):
    """With two recipients or more. Its log then has PRDR, and both the recipient's reply and the last."""
    agent = Agent(arguments=())
    exim = servers.Exim(agent.site.dir, exim_by_smtp(agent, chunking), agent.lf,
                        map(address, ("alice", "nobody", "anna")))
    for name in ("alice", "anna"):
        lines = exim.logged("> ", address(name), " PRDR ")
        harness.equal(lines[0].count("250 2.6.0 Delivered as"), 2, lines[0])
        harness.equal(" K " in lines[0], bool(chunking), lines[0])
    exim.logged(f" ** {address('nobody')} ", "550 5.1.1")
    agent.check(alice=1, anna=1)


@harness.table(by_data=("",), by_chunks=("*",))
def test_exim_keeps_the_full_one_alone_by_prdr(chunking):
    disks = Disks()
    agent = Agent(disks.site, disks.boxes, arguments=())
    exim = servers.Exim(agent.site.dir, exim_by_smtp(agent, chunking), agent.lf,
                        map(address, ("bob", "alice", "ben")))
    keeps_the_full_one_alone(exim, agent, disks)


@harness.table(nobody_can_have_it=("bob", "ben"), one_recipient_left=("bob", "nobody"))
def test_exim_understands_a_refusal_in_place_of_the_block(*names):
    disks = Disks()
    agent = Agent(disks.site, disks.boxes, arguments=())
    exim = servers.Exim(agent.site.dir, exim_by_smtp(agent, ""), agent.lf, map(address, names))
    exim.logged(f" == {address('bob')} ", "452 4.3.1 Insufficient storage")
    agent.check()


def test_exim_keeps_the_full_one_alone_without_prdr():
    """It declares the size: the recipient whose disk is full is refused at RCPT, before there is content."""
    disks = Disks()
    agent = Agent(disks.site, disks.boxes, arguments=())
    exim = servers.Exim(agent.site.dir, exim_by_smtp(agent, "", prdr=""), agent.lf,
                        map(address, ("alice", "bob")))
    exim.logged("> ", address("alice"), "250 2.6.0 Delivered as")
    exim.logged(f" == {address('bob')} ", "452 4.3.1 Insufficient storage")
    agent.check(alice=1)


def test_swaks_asks_for_prdr():
    harness.need("swaks")
    agent = Agent(arguments=())
    data = agent.site.dir / "data"
    data.write_bytes(agent.sent[:-2])
    done = harness.run(
        "swaks", "--server", "127.0.0.1", "--port", harness.Listener(agent.site).port, "--prdr", "--from",
        harness.SENDER, "--to", ",".join(map(address, ("alice", "nobody", "anna"))), "--helo",
        "client.example.net", "--data", f"@{data}")
    harness.contains(done.stdout, "353 ")
    harness.equal(done.stdout.count("250 2.6.0"), 3)
    agent.check(alice=1, anna=1)


if __name__ == "__main__":
    harness.main()
