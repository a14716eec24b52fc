#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""recipients = passwd: mail for users of the system, each as himself, and what a user can do to it."""

import os
import shutil
import signal
from pathlib import Path
from unittest import mock

import harness
from harness import DOMAIN
from homes import FIRST, LAST, Homes, begun, end_message, passwd
from listening import Listening
from mailboxes import OTHER, OURS, fuse, give, make_maildir, need_fuse

NO_USERS = "passwd: needs root"


# Who gets mail


def test_each_user_gets_mail_in_his_home_as_himself():
    place = Homes()
    harness.equal(place.deliver([f"{name}@{DOMAIN}" for name in ("alice", "bob")]), [250])
    for name, uid in (("alice", OTHER), ("bob", OURS)):
        path, = place.new(name)
        harness.check_stored(path, harness.sample())
        made = {each.stat().st_uid for each in (place.homes[name] / "Maildir", *(place.homes[name] / "Maildir").rglob("*"))}
        harness.equal(made, {uid})
        harness.equal((place.homes[name] / "Maildir").stat().st_mode & 0o777, 0o700)


def test_no_other_name_gets_mail():
    """550 for a name that is no user's, and for one whose number is out of range, as for any other."""
    place = Homes(f"low:x:{FIRST - 1}:1::{{0}}/low:/bin/sh\nhigh:x:{LAST + 1}:1::{{0}}/high:/bin/sh\n"
                  f"61001:x:{OTHER}:1::{{0}}/alice:/bin/sh\n")
    for name, uid in (("low", FIRST - 1), ("high", LAST + 1)):
        place.home(name, uid)
    client = place.site.connect()
    client.ehlo()
    client.say(f"MAIL FROM:<{harness.SENDER}>", 250)
    answers = set()
    for name in ("nobody-there", "low", "high", "root", "nobody", "61009", "+alice", '"alice "', '"alice:x"'):
        client.send(f"RCPT TO:<{name}@{DOMAIN}>\r\n")
        answers.add(str(client.reply()).replace(name, "NAME"))
    harness.equal(len(answers), 1, answers)
    harness.contains(answers.pop(), "550")
    client.say(f"RCPT TO:<a/b@{DOMAIN}>", 553, "5.1.3")
    client.say(f"RCPT TO:<alice@other.example>", 550, "5.7.1")
    client.quit()


def test_the_record_says_why_a_user_that_exists_gets_550():
    """The client cannot tell this from a name that no user has; a fault of this host is more important."""
    place = Homes(f"low:x:{FIRST - 1}:1::{{0}}/low:/bin/sh\nhigh:x:{LAST + 1}:1::{{0}}/high:/bin/sh\n"
                  "carl:x:61003:1::/elsewhere:/bin/sh\n")
    place.refuses("high", f"recipients passwd: high: is the user {LAST + 1}, and users from {FIRST} to {LAST} get mail "
                  "(last-valid-uid)", 550)
    place.refuses("low", f"recipients passwd: low: is the user {FIRST - 1}, and users from {FIRST} to {LAST} get mail "
                  "(first-valid-uid)", 550)
    harness.equal(place.codes("low", "carl"), [550, 451])
    harness.contains(place.fault(), "carl: home /elsewhere is not below mail-root")
    harness.equal(place.codes("low", "nobody-there", "alice"), [550, 550, 250])
    client = place.site.connect()
    client.ehlo()
    client.say(f"MAIL FROM:<{harness.SENDER}>", 250)
    for name, code in (("low", 550), ("alice", 250)):
        client.say(f"RCPT TO:<{name}@{DOMAIN}>", code)
    client.say("DATA", 354)
    harness.equal(client.content(harness.sample()).code, 250)
    client.quit()
    found = place.site.records("message")[-1]
    assert "delivery_fault" not in found and found["refused_to"], found
    place.site.set(catch_all=f"alice@{DOMAIN}")
    harness.equal(place.deliver([f"low@{DOMAIN}"]), [250])


NAMES = {"mail-root is a link": ("link", "{root}"), "homes are named by a link": ("root", "{link}"),
         "both": ("link", "{link}")}


@harness.table_of(NAMES)
def test_mail_root_and_homes_may_have_several_names(named, homes):
    check_names(named, homes)


@harness.table_of(NAMES)
def test_they_may_have_several_names_in_a_container(named, homes):
    """Where its layers are on several file systems, overlayfs shows links on another device than directories."""
    layers = harness.scratch()
    for name in ("lower", "upper"):
        harness.small_file_system(layers / name, "8m")
    for path in (layers / "upper/new", layers / "upper/work", layers / "seen"):
        path.mkdir()
        path.chmod(0o755)
    harness.mount("-t", "overlay", "-o", f"lowerdir={layers}/lower,upperdir={layers}/upper/new,workdir={layers}/upper/work",
                  "overlay", layers / "seen")
    harness.at_end(harness.run, "umount", "-l", layers / "seen")
    with mock.patch.dict(os.environ, TMPDIR=str(layers / "seen")):
        check_names(named, homes)


def check_names(named, homes):
    place = Homes()
    link = place.site.dir / "link"
    link.symlink_to(place.root)
    names = {"link": link, "root": place.root}
    place.site.set(mail_root=names[named])
    home = homes.format(root=place.root, link=link)
    passwd(f"alice:x:{OTHER}:{OTHER}::{home}/alice:/bin/sh\nbob:x:{OURS}:{OURS}::{home}:/bin/sh\n")
    harness.equal(place.deliver(), [250])
    harness.equal(len(place.new("alice")), 1)
    done = place.check()
    assert "alice" not in done.stdout, done.stdout
    place.refuses("bob", f"recipients passwd: bob: home {home} is not below mail-root")
    harness.contains(done.stdout, f"bob: home {home} is not below mail-root: mail for this user gets 451")


@harness.table_of({"its own path": ({}, "far"), "a link into it": ({"users": "far/users"}, "users"),
                   "two links": ({"a": "b/users", "b": "{dir}/far"}, "a")})
def test_a_home_on_another_file_system_that_does_not_answer_holds_nobody_up(links, above):
    """It is known not to be below mail-root without a question to that file system."""
    need_fuse("bindfs")
    place = Homes()
    here, far = place.site, place.site.dir / "far"
    far.mkdir()
    (here.dir / "below" / "users" / "carl").mkdir(parents=True)
    for name, target in links.items():
        (here.dir / name).symlink_to(target.format(dir=here.dir))
    home = here.dir / above / "carl"
    process = fuse(far, "bindfs", "-f", "-o", "attr_timeout=0,entry_timeout=0,allow_other", here.dir / "below", far)
    harness.at_end(os.kill, process.pid, signal.SIGCONT)
    passwd(f"alice:x:{OTHER}:{OTHER}::{place.root}/alice:/bin/sh\ncarl:x:{LAST}:{LAST}::{home}:/bin/sh\n")
    os.kill(process.pid, signal.SIGSTOP)
    harness.equal(place.codes("carl", "alice"), [451, 250])
    harness.contains(place.fault(), f"home {home} is not below mail-root")


def test_case_subaddress_and_domain():
    place = Homes(domains=f"{DOMAIN} example.com", subaddress_delimiter="+")
    for address in (f"Alice@{DOMAIN}", "ALICE@example.com", f"alice+list@{DOMAIN}", f"ALICE+List@{DOMAIN}"):
        harness.equal(place.deliver([address]), [250], address)
    harness.equal(len(place.new("alice")), 4)
    harness.equal(place.codes("carl+list"), [550])
    place.site.set(subaddress_delimiter=None)
    harness.equal(place.codes("alice+list"), [550])


def test_postmaster_and_the_rest_go_to_users():
    place = Homes(postmaster=f"bob@{DOMAIN}", catch_all=f"alice@{DOMAIN}")
    harness.equal(place.deliver([f"postmaster@{DOMAIN}"]), [250])
    harness.equal(place.deliver([f"anyone@{DOMAIN}"]), [250])
    harness.equal([len(place.new(name)) for name in ("bob", "alice")], [1, 1])


@harness.table_of({"another name": "mail/in", "the home itself": "."})
def test_the_maildir_of_a_home_may_have_another_path(path):
    place = Homes(maildir=path)
    harness.equal(place.deliver(), [250])
    harness.equal(len(place.site.new(place.homes["alice"] / path)), 1)


def test_without_making_a_maildir_must_be_there():
    place = Homes(maildir_create="no")
    place.refuses("alice", f"{place.alice}: No such file or directory")
    make_maildir(place.alice, owner=OTHER)
    harness.equal(place.deliver(), [250])


def test_a_listener_delivers_to_users_through_starttls():
    place = Homes()
    here = Listening(tls="on", **{key: value for key, value in place.site.settings.items()
                                  if key in ("mail_root", "maildir", "maildir_create", "recipients",
                                             "first_valid_uid", "last_valid_uid")})
    here.set(pair=harness.pair().copy_to(here.dir))
    here.listen()
    client = here.client()
    client.ehlo()
    client.starttls()
    client.ehlo()
    harness.equal(client.message(harness.sample(), recipients=[f"alice@{DOMAIN}"]).code, 250)
    client.quit()
    harness.equal([path.stat().st_uid for path in place.new("alice")], [OTHER])


# Homes


def test_a_home_that_is_missing_is_not_made():
    place = Homes("carl:x:61003:1::{0}/carl:/bin/sh\ndora:x:61004:1::{0}/far/away/dora:/bin/sh\n")
    for name, path in (("carl", "carl"), ("dora", "far")):
        place.refuses(name, f"{place.root}/{path}: does not exist, and is the home of a user or above it")
        assert not (place.root / path).exists()
    (place.root / "dora").symlink_to("far/away/dora")
    done = place.check()
    harness.contains(done.stdout, f"recipients passwd: carl: {place.root}/carl: does not exist, and is the home of a user")


HOMES = {"elsewhere": ("/elsewhere/carl", "home {} is not below mail-root"),
         "with ..": ("{root}/alice/../bob", "home {} has . or .. in its path; name the directory itself"),
         "with .": ("{root}/./carl", "home {} has . or .. in its path; name the directory itself"),
         "mail-root": ("{root}", "home {} is not below mail-root"),
         "none": ("", "has no home"),
         "missing": ("{root}/missing", "{}: does not exist, and is the home of a user or above it"),
         "of another user": ("{root}/alice", "{}: belongs to another user than the one whose home this is; "
                             "give it to that user"),
         "a link of another user": ("{root}/link", "{}: is a symbolic link of another user, and not followed"),
         "a file": ("{root}/file", "{}: is not a directory"),
         "too long": ("{root}/" + "h" * 1024, "has a home of more than 1023 octets"),
         "hidden": ("{root}/.carl", None), "with two dots and more": ("{root}/carl/..more", None),
         "three dots": ("{root}/...", None), "more slashes": ("{root}//carl/", None), "fine": ("{root}/carl", None)}


@harness.table_of(HOMES)
def test_mail_and_check_agree_about_homes(home, fault):
    uid = 61003
    place = Homes(f"carl:x:{uid}:{uid}::{home.format(root='{0}')}:/bin/sh\n", maildir_create="auto")
    for name in ("carl", ".carl", "carl/..more", "..."):
        place.home(name, uid)
    (place.root / "link").symlink_to("carl")
    os.chown(place.root / "link", uid, uid, follow_symlinks=False)
    (place.root / "file").write_text("")
    home = home.format(root=place.root)
    shown = place.check().stdout
    if fault is None:
        harness.equal(place.deliver([f"carl@{DOMAIN}"]), [250])
        harness.equal(len(place.site.new(Path(home) / "Maildir")), 1)
        assert "carl" not in shown, shown
        return
    harness.equal(place.codes("carl"), [451])
    harness.contains(place.fault(), fault.format(home))
    harness.contains(shown, f"{fault.format(home)}: mail for this user gets 451")


@harness.table_of({part: (part,) for part in ("new", "tmp", "cur")})
def test_check_finds_a_part_of_a_maildir_that_gets_no_mail(part):
    place = Homes()
    make_maildir(place.alice, owner=OTHER)
    (place.alice / part).rmdir()
    (place.alice / part).write_text("")
    harness.equal(place.codes("alice"), [451])
    harness.contains(place.check().stdout, f"passwd: alice: {place.alice}/{part}: is not a directory: mail for this user")


def test_no_control_of_a_home_gets_to_the_terminal():
    place = Homes("carl:x:61003:1::/elsewhere/\x1b[2J:/bin/sh\n")
    shown = place.check().stdout
    harness.contains(shown, "home /elsewhere/?[2J is not below mail-root")
    assert "\x1b" not in shown, shown


@harness.table_of({"the home": "", "Maildir": "Maildir", "new": "Maildir/new", "tmp": "Maildir/tmp"})
def test_a_home_that_belongs_to_somebody_else_gets_no_mail(part):
    place = Homes()
    make_maildir(place.alice, owner=OTHER)
    path = place.homes["alice"] / part
    os.chown(path, OURS, OURS)
    harness.equal(place.deliver(), [451])
    harness.equal(place.fault(), f"{path}: belongs to another user than the one whose home this is; give it to that user")
    harness.equal(place.new("alice"), [])


def test_a_link_of_root_to_a_home_is_followed_and_one_of_a_user_is_not():
    place = Homes()
    place.homes["alice"].rename(place.root / "moved")
    (place.root / "alice").symlink_to("moved")
    harness.equal(place.deliver(), [250])
    harness.equal(len(place.site.new(place.root / "moved/Maildir")), 1)
    os.chown(place.root / "alice", OTHER, OTHER, follow_symlinks=False)
    harness.equal(place.deliver(), [451])


# Attacks by owners


def to_outside(place, name):
    """A link of alice to what is bob's."""
    make_maildir(place.homes["bob"] / "Maildir", owner=OURS)
    shutil.rmtree(place.alice / name, ignore_errors=True) if name else shutil.rmtree(place.alice)
    path = place.alice / name if name else place.alice
    path.symlink_to(place.homes["bob"] / "Maildir" / name)
    os.chown(path, OTHER, OTHER, follow_symlinks=False)


def fifo(place, name):
    shutil.rmtree(place.alice / name)
    os.mkfifo(place.alice / name, 0o600)
    os.chown(place.alice / name, OTHER, OTHER)


def to_root(place, name):
    """A link to a directory in which only root may write."""
    shutil.rmtree(place.alice / name)
    (place.alice / name).symlink_to("/etc")
    os.chown(place.alice / name, OTHER, OTHER, follow_symlinks=False)


def closed(place, name):
    (place.alice / name).chmod(0)


def plain(place, name):
    shutil.rmtree(place.alice / name)
    (place.alice / name).write_text("a file")
    os.chown(place.alice / name, OTHER, OTHER)


ATTACKS = {"a link to another user's Maildir": (to_outside, ""), "a link to another user's new": (to_outside, "new"),
           "a link to another user's tmp": (to_outside, "tmp"), "a link of new to /etc": (to_root, "new"),
           "a FIFO as new": (fifo, "new"), "a FIFO as tmp": (fifo, "tmp"), "a FIFO as cur": (fifo, "cur"),
           "a file as new": (plain, "new"), "no mode for new": (closed, "new"), "no mode for the Maildir": (closed, "")}
WHEN = ("before RCPT", "before DATA", "after the content began")


@harness.table_of({f"{name}, {when}": (when, *attack) for name, attack in ATTACKS.items() for when in WHEN})
def test_no_user_can_turn_his_mail_against_others(when, attack, name):
    """The message is stored in the directories that were there before, or the client comes again; nothing waits."""
    place = Homes()
    make_maildir(place.alice, owner=OTHER)
    before = sorted(os.listdir("/etc"))
    if when == "before RCPT":
        attack(place, name)
        assert place.deliver()[0] // 100 == 4 or name in ("tmp", "cur")
    else:
        client = begun(place)
        if when == "before DATA":
            attack(place, name)
            assert end_message(client) in (250, 451)
        else:
            client.say("DATA", 354)
            attack(place, name)
            assert client.content(harness.sample()).code in (250, 451)
            client.quit()
    harness.equal(place.new("bob"), [])
    harness.equal(place.site.leftovers(), [])
    harness.equal(sorted(os.listdir("/etc")), before)


def test_a_home_that_is_replaced_in_between_keeps_the_message_with_its_owner():
    """Bob can write into the directory above, and puts another directory in the place of alice's home."""
    place = Homes()
    make_maildir(place.alice, owner=OTHER)
    client = begun(place)
    place.homes["alice"].rename(place.root / "old")
    place.home("alice", OURS)
    make_maildir(place.alice, owner=OURS)
    harness.equal(end_message(client), 250)
    harness.equal(place.new("alice"), [])
    harness.equal([path.stat().st_uid for path in place.site.new(place.root / "old/Maildir")], [OTHER])
    harness.equal(place.deliver(), [451])


@harness.table_of({f"{name}, {when}": (name, when) for name in ("new", "tmp") for when in WHEN[1:]})
def test_a_directory_that_root_takes_in_between_gets_no_message_of_root(name, when):
    place = Homes()
    make_maildir(place.alice, owner=OTHER)
    client = begun(place)
    if when == "before DATA":
        os.chown(place.alice / name, 0, 0)
        harness.equal(end_message(client), 451)
    else:
        client.say("DATA", 354)
        os.chown(place.alice / name, 0, 0)
        harness.equal(client.content(harness.sample()).code, 451)
        client.quit()
    harness.equal([each for part in ("new", "tmp") for each in (place.alice / part).iterdir()], [])
    harness.contains(place.fault(), f"{name}: belongs to ")


def test_a_hard_link_of_a_message_is_another_name_and_no_message_is_changed_by_the_next():
    place = Homes()
    harness.equal(place.deliver(), [250])
    path, = place.new("alice")
    for name in ("one", "two"):
        os.link(path, place.alice / "new" / name)
    harness.equal(place.deliver(), [250])
    harness.equal(len(place.new("alice")), 4)
    for each in place.new("alice"):
        harness.check_stored(each, harness.sample())


def test_a_name_that_an_owner_has_taken_is_left_alone():
    """Links to what another user can read, in the place of a file in tmp, are not opened."""
    place = Homes()
    make_maildir(place.alice, owner=OTHER)
    secret = place.homes["bob"] / "secret"
    secret.write_text("bob's")
    give(secret, OURS)
    for number in range(50):
        (place.alice / "tmp" / f"{number}").symlink_to(secret)
    harness.equal(place.deliver(), [250])
    harness.equal(secret.read_text(), "bob's")


def quota(place, size="64k"):
    """A small file system of alice's own."""
    home = harness.small_file_system(place.homes["alice"], size)
    (home / ".profile").write_text("")
    give(home, OTHER)
    return home


def test_a_full_home_is_that_users_own():
    place = Homes()
    home = quota(place)
    make_maildir(place.alice, owner=OTHER)
    harness.fill(home)
    harness.equal(place.deliver(), [452])
    harness.equal(place.fault(), f"{place.alice}/new: No space left on device")
    harness.equal(place.deliver([f"alice@{DOMAIN}", f"bob@{DOMAIN}"], lmtp=True), [452, 250])
    harness.equal(len(place.new("bob")), 1)


def test_a_real_quota_of_a_user_is_his_own():
    """A home that is a subvolume of btrfs with a limit: EDQUOT while the message comes."""
    place = Homes()
    harness.need("mkfs.btrfs", "btrfs")
    image = place.site.dir / "image"
    with open(image, "wb") as file:
        file.truncate(128 << 20)
    done = harness.run("mkfs.btrfs", "-q", image)
    harness.equal(done.returncode, 0, done.stdout)
    for name in place.homes:
        shutil.rmtree(place.root / name)
    try:
        harness.mount("-o", "loop", image, place.root)
    except AssertionError as error:
        raise harness.Skip("btrfs cannot be mounted") from error
    harness.at_end(harness.run, "umount", "-l", place.root)
    for command in (("subvolume", "create", place.root / "alice"), ("quota", "enable", place.root),
                    ("qgroup", "limit", "1M", place.root / "alice")):
        done = harness.run("btrfs", *command)
        harness.equal(done.returncode, 0, done.stdout)
    (place.root / "alice/.profile").write_text("")
    give(place.root / "alice", OTHER)
    place.home("bob", OURS)
    large = b"Subject: large\r\n\r\n" + (b"x" * 70 + b"\r\n") * 40000
    client = begun(place)
    client.say("DATA", 354)
    harness.equal(client.content(large).code, 452)
    client.quit()
    harness.equal(place.fault(), f"{place.alice}/new: Disk quota exceeded")
    harness.equal(place.site.leftovers() + place.new("alice"), [])
    client = begun(place, "bob")
    client.say("DATA", 354)
    harness.equal(client.content(large).code, 250)
    client.quit()
    harness.equal(place.deliver(), [250])


def test_a_file_system_of_a_user_that_lets_nobody_else_in_gets_no_mail_and_holds_up_none():
    """The kernel lets no process in that is root besides, as the broker is: also not as that user."""
    need_fuse("bindfs")
    place = Homes()
    below = make_maildir(place.site.dir / "below", owner=OTHER)
    place.alice.mkdir()
    os.chown(place.alice, OTHER, OTHER)
    fuse(place.alice, "bindfs", "-f", "--no-allow-other", below, place.alice)
    harness.equal(place.deliver(), [451])
    harness.equal(place.fault(), f"{place.alice}: Permission denied")
    harness.equal(place.deliver([f"bob@{DOMAIN}"]), [250])


@harness.table_of({"read only": "ro", "without rights": "closed"})
def test_a_home_on_a_file_system_that_refuses(how):
    place = Homes()
    home = quota(place, "1m")
    make_maildir(place.alice, owner=OTHER)
    if how == "ro":
        harness.mount("-o", "remount,ro", home)
        fault = f"{place.alice}/new: Read-only file system"
    else:
        home.chmod(0)
        fault = f"{place.alice}: Permission denied"
    harness.equal(place.deliver(), [451])
    harness.equal(place.fault(), fault)
    harness.equal(place.deliver([f"bob@{DOMAIN}"]), [250])


# Settings


@harness.table_of({"user": {"user": "nobody"}})
def test_without_root_no_mail_is_received(settings):
    place = Homes(**settings)
    client = place.site.connect(greeting=False)
    client.expect(421)
    client.expect_end()
    harness.contains(place.site.log_text(), NO_USERS)
    done = place.check()
    harness.equal(done.returncode, 78)
    harness.contains(done.stdout, NO_USERS)


def test_check_finds_missing_rights_and_a_missing_user():
    place = Homes()
    harness.need("setpriv")
    done = harness.run("setpriv", "--bounding-set=-setuid,-setgid", *place.site.command(), "--check")
    harness.equal(done.returncode, 78, done.stdout)
    harness.contains(done.stdout, "this process may become no other user, and receives no mail: give it CAP_SETUID and")
    assert "set user" not in done.stdout, done.stdout
    passwd("").write_text("root:x:0:0::/root:/bin/sh\n")
    done = place.check()
    harness.equal(done.returncode, 78, done.stdout)
    harness.contains(done.stdout, "recipients passwd: without the user nobody no mail is received: ")


def test_check_tells_what_users_get():
    place = Homes("carl:x:61003:1::{0}/alice:/bin/sh\n", postmaster=f"bob@{DOMAIN}")
    done = place.check()
    harness.equal(done.returncode, 0, done.stdout)
    harness.contains(done.stdout, f"recipients passwd: carl: {place.root}/alice: belongs to another user than the one "
                     "whose home this is; give it to that user: mail for this user gets 451")
    harness.equal("this program is static, and reads /etc/passwd alone" in done.stdout, harness.is_static())
    assert "bob:" not in done.stdout and "alice: home" not in done.stdout.replace("carl: home", ""), done.stdout


@harness.table_of({"a file behind passwd:": ({"recipients": "passwd:/etc/passwd"}, "recipients: passwd: stands alone"),
                   "a maildir that is no path in a home": ({"maildir": "/abs"}, "maildir: is a path in the home"),
                   "root": ({"first_valid_uid": 0, "last_valid_uid": 900}, "first-valid-uid: must be the number"),
                   "no number": ({"first_valid_uid": 70000, "last_valid_uid": -1}, "last-valid-uid: must be the number")})
def test_one_wrong_setting_is_one_fault(wrong, fault):
    place = Homes(postmaster=None, maildir=None, user=None)
    place.site.set(**wrong)
    done = place.check()
    harness.equal(done.returncode, 78, done.stdout)
    lines = [line for line in done.stdout.splitlines() if ": note: " not in line and "has no mailbox" not in line
             and ": warning: static, " not in line]
    harness.equal(len(lines), 1, lines)
    harness.contains(lines[0], fault)


@harness.table_of({"two": ({}, f"users with numbers from {FIRST} to {LAST} get mail, 2 of them in /etc/passwd"),
                   "none": ({"first_valid_uid": 70000, "last_valid_uid": 80000}, "from 70000 to 80000 get mail, 0 of them"),
                   "the default": ({"first_valid_uid": None, "last_valid_uid": None}, "from 1000 to 60000 get mail, 0 of")})
def test_check_says_which_users_get_mail(range_, note):
    place = Homes()
    place.site.set(**range_)
    done = place.check()
    harness.equal(done.returncode, 0, done.stdout)
    harness.contains(done.stdout, note)


def line_of(name, uid=61003):
    return f"{name}:x:{uid}:{uid}::{{0}}/alice:/bin/sh\n"


@harness.table_of({"a capital letter": ("Carl", "Carl", 550, "has a capital letter, and recipients are looked up in lower case"),
                   "a dot first": (".carl", '".carl"', 553, "is no name of a recipient: it begins with a dot, or"),
                   "a slash": ("a/b", "a/b", 553, "is no name of a recipient: it begins with a dot, or has a slash")})
def test_mail_and_check_agree_about_names_that_no_recipient_has(name, local, code, fault):
    place = Homes(line_of(name))
    harness.equal(place.codes(local), [code])
    shown = place.check().stdout
    harness.contains(shown, f"recipients passwd: {name}: {fault}")
    harness.contains(shown, "mail for this user gets 550")
    harness.contains(shown, "get mail, 2 of them in /etc/passwd")
    harness.equal(shown.count(f"passwd: {name}: "), 1, shown)


@harness.table_of({"the first gets mail": (61003, 250, 3), "the first is out of range": (FIRST - 1, 550, 2)})
def test_mail_and_check_use_the_first_line_of_a_name(uid, code, count):
    place = Homes(f"carl:x:{uid}:{uid}::{{0}}/carl:/bin/sh\ncarl:x:61004:61004::{{0}}/gone:/bin/sh\n")
    place.home("carl", uid)
    harness.equal(place.codes("carl"), [code])
    shown = place.check().stdout
    harness.contains(shown, "recipients passwd: carl: an earlier line of /etc/passwd has this name, and is the one that is used")
    harness.contains(shown, f"get mail, {count} of them in /etc/passwd")
    assert "gone" not in shown and "gets 451" not in shown, shown


def test_check_counts_users_when_mail_root_is_missing():
    place = Homes()
    place.site.set(mail_root=place.site.dir / "missing")
    done = place.check()
    harness.equal(done.returncode, 78, done.stdout)
    harness.contains(done.stdout, "get mail, 2 of them in /etc/passwd")


def test_a_range_without_a_number_is_one_fault_and_nobody_is_said_to_get_mail():
    place = Homes()
    place.site.set(first_valid_uid=70000, last_valid_uid=None)
    done = place.check()
    harness.equal(done.returncode, 78, done.stdout)
    harness.contains(done.stdout, "last-valid-uid: is below first-valid-uid: no user would get mail; raise it")
    assert "get mail, " not in done.stdout, done.stdout


def test_check_warns_of_a_range_that_is_not_used():
    place = Homes()
    place.site.set(recipients=None, maildir=place.root / "one")
    done = place.check()
    for name in ("first-valid-uid", "last-valid-uid"):
        harness.contains(done.stdout, f"{name}: has no effect without recipients = passwd:")


@harness.table_of({key: (key,) for key in ("catch_all", "postmaster")})
def test_an_address_of_another_domain_is_a_fault_for_mail_and_check_alike(key):
    place = Homes(**{key: "alice@other.example"})
    client = place.site.connect(greeting=False)
    client.expect(421)
    client.expect_end()
    fault = "is of no domain that mail is accepted for, and mail is not forwarded: name the address of a user of this host"
    harness.contains(place.site.log_text(), fault)
    done = place.check()
    harness.equal((done.returncode, done.stdout.count(fault)), (78, 1), done.stdout)
    name = key.replace("_", "-")
    place.site.set(**{key: "carl@other.example"})
    shown = place.check().stdout
    harness.equal(len([line for line in shown.splitlines() if name in line and ": note: " not in line]), 1, shown)
    place.site.set(**{key: "alice@other.example"})
    place.site.set(domains=f"{DOMAIN} other.example")
    harness.equal(place.deliver([f"anyone@{DOMAIN}" if key == "catch_all" else f"postmaster@{DOMAIN}"]), [250])
    harness.equal(place.check().returncode, 0)


@harness.table_of({"root": ("root", f" has none: recipients passwd: root: is the user 0, and users from {FIRST} to"),
                   "nobody of that name": ("carl", "has none")})
def test_check_says_why_the_named_postmaster_has_no_mailbox(name, why):
    done = Homes(postmaster=f"{name}@{DOMAIN}").check()
    harness.equal(done.stdout.count(f"postmaster = {name}@{DOMAIN} has none"), 1, done.stdout)
    harness.contains(done.stdout, why)
    assert "name another by" not in done.stdout, done.stdout


def test_check_names_a_catch_all_that_no_user_has():
    place = Homes(catch_all=f"carl@{DOMAIN}")
    done = place.check()
    harness.equal(done.returncode, 78)
    harness.contains(done.stdout, f"catch-all carl@{DOMAIN}: has no mailbox in passwd:")
    place.site.set(catch_all=f"root@{DOMAIN}")
    harness.contains(place.check().stdout, f"catch-all root@{DOMAIN}: has no mailbox: recipients passwd: root: is the user 0, ")


if __name__ == "__main__":
    harness.main()
