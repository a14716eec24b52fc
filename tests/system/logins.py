# SPDX-License-Identifier: ISC
"""The functions that the tests of AUTH share: tables of users, verifiers, and clients that log in."""

import base64

import harness
from harness import SENDER, Site

USER, PASSWORD = "scanner", "correct horse battery staple"
SECRET = bytes(range(64, 96))


# Tables


def by_gsasl(password=PASSWORD):
    harness.need("gsasl")
    return made("gsasl", "--mkpasswd", "--mechanism=SCRAM-SHA-256", "--iteration-count=4096",
                f"--password={password}")


def by_mkpasswd(method, password=PASSWORD):
    harness.need("mkpasswd")
    return made("mkpasswd", "-m", method, "-s", input=password + "\n")


def made(*command, **options):
    done = harness.run(*command, **options)
    assert done.returncode == 0, done.stdout
    return done.stdout.split()[-1]


def put(place, name, content, mode=0o600):
    path = place.dir / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(mode)
    return path


def site(users=None, auth="on", **settings):
    """One where people can log in; users: names and verifiers."""
    place = Site(tls=settings.pop("tls", "required"), pair=harness.pair("rsa"), auth=auth, **settings)
    if users is None:
        users = {USER: by_gsasl()}
    lines = "".join(f"{name} {verifier}\n" for name, verifier in users.items())
    place.set(auth_users=put(place, "users", lines), auth_secret=put(place, "secret", SECRET))
    return place


def secure(place, **options):
    """A client that has sent EHLO inside TLS."""
    client = place.connect(**options)
    client.ehlo()
    client.starttls(context=options.get("context"))
    client.offered = client.ehlo()
    return client


def offers(client):
    return next((w.split()[1:] for w in client.offered.words if w.startswith("AUTH ")), [])


def plain(user=USER, password=PASSWORD, authzid=""):
    return base64.b64encode(f"{authzid}\0{user}\0{password}".encode()).decode()


def sends_mail(client, sender=SENDER):
    harness.equal(client.message(harness.sample(), sender).code, 250)


# Certificates


class Authority:
    """A self-signed certificate that signs those of clients."""

    def __init__(self, of_file=False):
        self.folder = harness.scratch(of_file=of_file)
        self.certificate, self.key = self.folder / "ca.crt", self.folder / "ca.key"
        self._make(self.certificate, self.key, ["cn = Devices", "ca", "cert_signing_key"],
                   "--generate-self-signed")

    def _make(self, certificate, key, template, *how):
        path = self.folder / "template"
        path.write_text("\n".join([*template, "expiration_days = 300"]) + "\n")
        for command in (("--generate-privkey", "--key-type=ecdsa", "--outfile", key),
                        (*how, "--load-privkey", key, "--template", path, "--outfile", certificate)):
            done = harness.run("certtool", "--no-text", *command)
            assert done.returncode == 0, done.stdout

    def signs(self, name, *lines):
        made = harness.Pair(self.folder / f"{name}.crt", self.folder / f"{name}.key")
        self._make(made.certificate, made.key, [f"cn = {name}", "tls_www_client", "signing_key", *lines],
                   "--generate-certificate", "--load-ca-certificate", self.certificate,
                   "--load-ca-privkey", self.key)
        return made


def with_certificate(pair):
    context = harness.client_context()
    context.load_cert_chain(pair.certificate, pair.key)
    return context


def device_site(authority, **settings):
    return site(tls_client_ca=authority.certificate, **settings)
