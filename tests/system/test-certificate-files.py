#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Certificates and keys in files of real tools: line ends, marks, text around the blocks, kinds of keys, their
order, and long chains. All of them are used, and --check finds no fault."""

import re
import shutil
import ssl

import harness
from harness import HOST, Listener, Pair, Site

BAG = ("Bag Attributes\n    friendlyName: {}\n    localKeyID: 54 69 6D 65 20 31\n"
       "subject=CN = " + HOST + "\n\nissuer=CN = " + HOST + "\n\n")
EC_PARAMETERS = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
MARK = "\ufeff"


def openssl(*command, **options):
    harness.need("openssl")
    done = harness.run("openssl", *command, **options)
    harness.equal(done.returncode, 0, done.stdout)
    return done.stdout


def texts(pair):
    return pair.certificate.read_text(), pair.key.read_text()


def crlf(folder):
    certificate, key = texts(harness.pair())
    return write(folder, certificate.replace("\n", "\r\n"), key.replace("\n", "\r\n"))


def marks(folder):
    certificate, key = texts(harness.pair())
    return write(folder, MARK + certificate, MARK + key)


def marks_and_crlf(folder):
    pair = crlf(folder)
    for path in (pair.certificate, pair.key):
        path.write_bytes(MARK.encode() + path.read_bytes())
    return pair


def bag_attributes(folder):
    certificate, key = texts(harness.pair())
    return write(folder, BAG.format("mail") + certificate,
                 "Bag Attributes\n    localKeyID: 54 69\nKey Attributes: <No Attributes>\n" + key)


def no_last_line_end(folder):
    certificate, key = texts(harness.pair())
    return write(folder, certificate.rstrip("\n"), key.rstrip("\n"))


def ec_parameters(folder):
    pair = sec1(folder)
    pair.key.write_text(EC_PARAMETERS + pair.key.read_text())
    return pair


def key_first(folder):
    certificate, key = texts(harness.pair())
    return one_file(folder, key + certificate)


def key_last(folder):
    certificate, key = texts(harness.pair())
    return one_file(folder, certificate + "\n\n" + key)


def key_first_with_parameters(folder):
    pair = ec_parameters(folder)
    return one_file(folder, pair.key.read_text() + pair.certificate.read_text())


def sec1(folder):
    pair = harness.pair().copy_to(folder)
    openssl("ec", "-in", harness.pair().key, "-out", pair.key)
    harness.contains(pair.key.read_text(), "BEGIN EC PRIVATE KEY")
    return pair


def pkcs8(folder, kind="ecdsa"):
    pair = harness.pair(kind).copy_to(folder)
    openssl("pkcs8", "-topk8", "-nocrypt", "-in", harness.pair(kind).key, "-out", pair.key)
    harness.contains(pair.key.read_text(), "BEGIN PRIVATE KEY")
    return pair


def rsa_pkcs8(folder):
    return pkcs8(folder, "rsa")


def rsa_pkcs1(folder):
    pair = harness.pair("rsa").copy_to(folder)
    openssl("rsa", "-traditional", "-in", harness.pair("rsa").key, "-out", pair.key)
    harness.contains(pair.key.read_text(), "BEGIN RSA PRIVATE KEY")
    return pair


def ed25519(folder):
    pair = Pair(folder / "tls.crt", folder / "tls.key")
    openssl("req", "-x509", "-newkey", "ed25519", "-nodes", "-keyout", pair.key, "-out", pair.certificate,
            "-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}", "-days", "3650")
    return pair


def write(folder, certificate, key):
    pair = Pair(folder / "tls.crt", folder / "tls.key")
    for path, text in ((pair.certificate, certificate), (pair.key, key)):
        path.write_bytes(text.encode())
        path.chmod(0o600)
    return pair


def one_file(folder, text):
    path = folder / "both.pem"
    path.write_text(text)
    path.chmod(0o600)
    return Pair(path, path)


def check_used(place, pair, der):
    """--check is silent, and a client is shown the certificate."""
    pair.key.chmod(0o600)
    place.set(pair=pair)
    done = harness.run(*place.command(), "--check")
    harness.equal((done.returncode, harness.check_lines(done)), (0, ""))
    client = place.connect()
    client.ehlo()
    client.starttls()
    harness.equal(client.socket.getpeercert(True), der)
    client.ehlo()
    harness.equal(client.message(harness.sample()).code, 250)
    client.quit()


@harness.table(**{f.__name__: f for f in (
    crlf, marks, marks_and_crlf, bag_attributes, no_last_line_end, ec_parameters, key_first, key_last,
    key_first_with_parameters, sec1, pkcs8, rsa_pkcs8, rsa_pkcs1, ed25519)})
def test_files_as_tools_write_them(make):
    place = Site(tls="required")
    pair = make(place.dir)
    block = re.search(r"-----BEGIN CERTIFICATE.*?-----END CERTIFICATE-----\r?\n?", pair.certificate.read_text(), re.S)
    check_used(place, pair, ssl.PEM_cert_to_DER_cert(block[0].replace("\r", "")))


def sign(folder, key, name, issuer, is_authority):
    """A certificate of that key; issuer None: it signs itself."""
    extensions = folder / "extensions"
    extensions.write_text("basicConstraints=critical,CA:TRUE\n" if is_authority
                          else f"subjectAltName=DNS:{name}\n")
    request, certificate = folder / "request", folder / f"{name}.crt"
    openssl("req", "-new", "-key", key, "-subj", f"/CN={name}", "-out", request)
    by = ("-signkey", key) if issuer is None else ("-CA", issuer, "-CAkey", key, "-set_serial", "7")
    openssl("x509", "-req", "-in", request, *by, "-days", "300", "-extfile", extensions, "-out", certificate)
    return certificate


def test_a_chain_of_twelve_with_long_keys():
    """16 KB of certificates: a handshake message in more than one record."""
    place = Site(tls="required")
    key, issuer, made = place.dir / "long.key", None, []
    openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:4096", "-out", key)
    for number in range(12):
        is_leaf = number == 11
        issuer = sign(place.dir, key, HOST if is_leaf else f"authority-{number}", issuer, not is_leaf)
        made.insert(0, issuer)
    chain = place.dir / "chain.crt"
    with open(chain, "wb") as to:
        for path in made:
            with open(path, "rb") as certificate:
                shutil.copyfileobj(certificate, to)
    check_used(place, Pair(chain, key), Pair(made[0], key).der())
    done = harness.run("openssl", "s_client", "-showcerts", "-starttls", "smtp", "-connect",
                       f"127.0.0.1:{Listener(place).port}", input="QUIT\r\n")
    harness.equal(done.stdout.count("-----BEGIN CERTIFICATE-----"), 12)


if __name__ == "__main__":
    harness.main()
