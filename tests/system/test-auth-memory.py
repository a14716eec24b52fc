#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""No password and no key remains in memory, in core files or in traces."""

import base64
import contextlib
import os
import shutil

import harness
from logins import PASSWORD, USER, by_gsasl, by_mkpasswd, plain, secure, sends_mail, site


# What is left in memory


def memory(pid):
    """All of it that can be read, piece by piece."""
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            span, rights, *_, = line.split()
            if not rights.startswith("r") or line.rstrip().endswith(("[vvar]", "[vsyscall]")):
                continue
            start, last = (int(n, 16) for n in span.split("-"))
            with contextlib.suppress(OSError):
                mem.seek(start)
                yield line.rstrip(), mem.read(last - start)


def forms(password, user):
    """A password as it stands, as the client sent it, as libidn prepares it, and as HMAC pads it."""
    octets = password.encode()
    return {"password": octets, "UCS-4": password.encode("utf-32-le"),
            "ipad": bytes(o ^ 0x36 for o in octets), "opad": bytes(o ^ 0x5c for o in octets),
            "PLAIN": plain(user, password).encode()[8:],
            "LOGIN": base64.b64encode(password.encode())}


def leftovers(pid, password, user=USER):
    found = []
    for where, octets in memory(pid):
        for form, wanted in forms(password, user).items():
            # its second half is telling, too: the first is what a heap overwrites
            for part in (wanted, wanted[len(wanted) // 2:]):
                at = octets.find(part)
                if at >= 0:
                    found.append((form, len(part), where, octets[max(at - 40, 0):at + 60]))
    return found


@harness.senseless_when_sanitized
@harness.table_of({f"{m}, {k}": (m, k) for m in ("PLAIN", "PLAIN in two", "LOGIN")
                   for k in ("gsasl", "yescrypt", "wrong")})
def test_passwords_are_left_nowhere(mechanism, kind):
    """A short one can lie where nothing else falls upon it, a long one in more places."""
    harness.need_root("reading another process's memory")
    for octets in (4, 8, 18, 40):
        leaves_no_password(mechanism, kind, "Zq7/" + os.urandom(octets).hex())


def leaves_no_password(mechanism, kind, password):
    verifier = by_mkpasswd("yescrypt", password) if kind == "yescrypt" else by_gsasl(
        "another" if kind == "wrong" else password)
    client = secure(site({USER: verifier}))
    code = 535 if kind == "wrong" else 235
    if mechanism == "PLAIN":
        client.say(f"AUTH PLAIN {plain(password=password)}", code)
    elif mechanism == "LOGIN":
        client.say("AUTH LOGIN", 334)
        client.say(base64.b64encode(USER.encode()).decode(), 334)
        client.say(base64.b64encode(password.encode()).decode(), code)
    else:
        client.say("AUTH PLAIN", 334)
        client.say(plain(password=password), code)
    found = leftovers(client.process.pid, password)
    assert not found, "\n".join(map(str, found))


@harness.senseless_when_sanitized
def test_the_search_finds_what_is_there():
    """So that the test above can fail: a name is kept."""
    harness.need_root("reading another process's memory")
    name = "u" + os.urandom(18).hex()
    client = secure(site())
    client.say(f"EHLO {name}", 250)
    assert any(form == "password" for form, *_ in leftovers(client.process.pid, name))


@harness.table(on=("on",), off=("off",))
def test_no_core_file_where_passwords_or_keys_are(auth):
    """The kernel gives what is in /proc of such a process to root, as it writes no core file of it."""
    harness.need_root("being somebody else")
    place = site()
    for path in (place.dir, place.root, place.dir / "users", place.dir / "secret"):
        shutil.chown(path, "nobody")
    pair = harness.pair("rsa").copy_to(place.dir)
    shutil.chown(pair.key, "nobody")
    place.set(pair=pair, auth=auth)
    client = place.connect(user="nobody")
    client.ehlo()
    client.starttls()
    owner = os.stat(f"/proc/{client.process.pid}/mem").st_uid
    harness.equal(owner, 0)
    client.offered = client.ehlo()
    if auth == "on":
        client.say(f"AUTH PLAIN {plain()}", 235)
    sends_mail(client)


def test_passwords_are_in_no_trace():
    place = site()
    folder = place.dir / "traces"
    folder.mkdir()
    place.set(trace="127.0.0.1", trace_directory=folder)
    client = secure(place)
    client.say(f"AUTH PLAIN {plain()}", 235)
    client.quit()
    place.session()
    text = "".join(path.read_text() for path in folder.iterdir())
    harness.contains(text, "AUTH")
    for form in ("password", "PLAIN", "LOGIN"):
        assert forms(PASSWORD, USER)[form].decode() not in text, form


if __name__ == "__main__":
    harness.main()
