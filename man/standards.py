#!/usr/bin/env python3
"""standards.py SOURCE [PAGE DEPFILE]: makes the manual page postern-standards(7) from the tests below SOURCE/tests: the
first line of each dialogue names a section and the rule; comments of the other tests name sections. Without PAGE it
prints the page."""

import collections
import pathlib
import re
import sys
import textwrap

# Titles of the standards that tests or comments of the source name.
TITLES = {
    'RFC 822': 'Standard for the Format of ARPA Internet Text Messages',
    'RFC 1035': 'Domain Names - Implementation and Specification',
    'RFC 1122': 'Requirements for Internet Hosts - Communication Layers',
    'RFC 1847': 'Security Multiparts for MIME',
    'RFC 1870': 'SMTP Service Extension for Message Size Declaration',
    'RFC 2033': 'Local Mail Transfer Protocol',
    'RFC 2034': 'SMTP Service Extension for Returning Enhanced Error Codes',
    'RFC 2045': 'MIME Part One: Format of Internet Message Bodies',
    'RFC 2046': 'MIME Part Two: Media Types',
    'RFC 2047': 'MIME Part Three: Message Header Extensions for Non-ASCII Text',
    'RFC 2142': 'Mailbox Names for Common Services, Roles and Functions',
    'RFC 2183': 'The Content-Disposition Header Field',
    'RFC 2231': 'MIME Parameter Value and Encoded Word Extensions',
    'RFC 2317': 'Classless IN-ADDR.ARPA Delegation',
    'RFC 2387': 'The MIME Multipart/Related Content-type',
    'RFC 2920': 'SMTP Service Extension for Command Pipelining',
    'RFC 3030': 'SMTP Service Extensions for Transmission of Large and Binary MIME Messages',
    'RFC 3164': 'The BSD syslog Protocol',
    'RFC 3207': 'SMTP Service Extension for Secure SMTP over Transport Layer Security',
    'RFC 3339': 'Date and Time on the Internet: Timestamps',
    'RFC 3461': 'SMTP Service Extension for Delivery Status Notifications',
    'RFC 3463': 'Enhanced Mail System Status Codes',
    'RFC 3464': 'An Extensible Message Format for Delivery Status Notifications',
    'RFC 3596': 'DNS Extensions to Support IP Version 6',
    'RFC 3629': 'UTF-8, a transformation format of ISO 10646',
    'RFC 3834': 'Recommendations for Automatic Responses to Electronic Mail',
    'RFC 3848': 'ESMTP and LMTP Transmission Types Registration',
    'RFC 3949': 'File Format for Internet Fax',
    'RFC 4007': 'IPv6 Scoped Address Architecture',
    'RFC 4013': 'SASLprep: Stringprep Profile for User Names and Passwords',
    'RFC 4055': 'Additional Algorithms and Identifiers for RSA Cryptography for use in X.509',
    'RFC 4291': 'IP Version 6 Addressing Architecture',
    'RFC 4422': 'Simple Authentication and Security Layer (SASL)',
    'RFC 4514': 'LDAP: String Representation of Distinguished Names',
    'RFC 4616': 'The PLAIN Simple Authentication and Security Layer (SASL) Mechanism',
    'RFC 4632': 'Classless Inter-domain Routing (CIDR)',
    'RFC 4648': 'The Base16, Base32, and Base64 Data Encodings',
    'RFC 4954': 'SMTP Service Extension for Authentication',
    'RFC 5233': 'Sieve Email Filtering: Subaddress Extension',
    'RFC 5246': 'The Transport Layer Security (TLS) Protocol Version 1.2',
    'RFC 5280': 'Internet X.509 Public Key Infrastructure Certificate and CRL Profile',
    'RFC 5288': 'AES Galois Counter Mode (GCM) Cipher Suites for TLS',
    'RFC 5321': 'Simple Mail Transfer Protocol',
    'RFC 5322': 'Internet Message Format',
    'RFC 5802': 'Salted Challenge Response Authentication Mechanism (SCRAM)',
    'RFC 5890': 'Internationalized Domain Names for Applications (IDNA): Definitions',
    'RFC 5891': 'Internationalized Domain Names in Applications (IDNA): Protocol',
    'RFC 5892': 'The Unicode Code Points and IDNA',
    'RFC 5893': 'Right-to-Left Scripts for IDNA',
    'RFC 5894': 'IDNA: Background, Explanation, and Rationale',
    'RFC 5895': 'Mapping Characters for IDNA 2008',
    'RFC 6066': 'Transport Layer Security (TLS) Extensions: Extension Definitions',
    'RFC 6152': 'SMTP Service Extension for 8-bit MIME Transport',
    'RFC 6409': 'Message Submission for Mail',
    'RFC 6522': 'The Multipart/Report Media Type for the Reporting of Mail System Messages',
    'RFC 6531': 'SMTP Extension for Internationalized Email',
    'RFC 6532': 'Internationalized Email Headers',
    'RFC 6533': 'Internationalized Delivery Status and Disposition Notifications',
    'RFC 6891': 'Extension Mechanisms for DNS (EDNS(0))',
    'RFC 7301': 'TLS Application-Layer Protocol Negotiation Extension',
    'RFC 7435': 'Opportunistic Security: Some Protection Most of the Time',
    'RFC 7507': 'TLS Fallback Signaling Cipher Suite Value (SCSV)',
    'RFC 7512': 'The PKCS #11 URI Scheme',
    'RFC 7627': 'TLS Session Hash and Extended Master Secret Extension',
    'RFC 7677': 'SCRAM-SHA-256 and SCRAM-SHA-256-PLUS SASL Mechanisms',
    'RFC 7919': 'Negotiated Finite Field Diffie-Hellman Ephemeral Parameters for TLS',
    'RFC 8017': 'PKCS #1: RSA Cryptography Specifications Version 2.2',
    'RFC 8259': 'The JavaScript Object Notation (JSON) Data Interchange Format',
    'RFC 8314': 'Cleartext Considered Obsolete: Use of TLS for Email Submission and Access',
    'RFC 8422': 'Elliptic Curve Cryptography (ECC) Cipher Suites for TLS Versions 1.2 and Earlier',
    'RFC 8446': 'The Transport Layer Security (TLS) Protocol Version 1.3',
    'RFC 8689': 'SMTP Require TLS Option',
    'RFC 8701': 'Applying GREASE to TLS Extensibility',
    'RFC 9112': 'HTTP/1.1',
    'RFC 9266': 'Channel Bindings for TLS 1.3',
    'RFC 9293': 'Transmission Control Protocol (TCP)',
    'RFC 9422': 'The LIMITS SMTP Service Extension',
    'RFC 9525': 'Service Identity in TLS',
    'RFC 9715': 'IP Fragmentation Avoidance in DNS over UDP',
    'draft-hall-prdr-00': 'SMTP Service Extension for Per-Recipient Data Responses (PRDR)',
    'the PROXY protocol': 'Versions 1 and 2, by HAProxy',
}

# Standards of which the source uses a part, which no test names.
NOT_TESTED_BY_NAME = {
    'RFC 1122': 'a connection is closed only after its input has been read',
    'RFC 3164': 'records to syslog',
    'RFC 3596': 'names of addresses of IPv6',
    'RFC 4055': 'keys that sign by RSASSA-PSS alone',
    'RFC 4514': 'subjects of certificates in the panel',
    'RFC 6891': 'the size of answers of name servers',
    'RFC 7512': 'keys that tokens keep',
    'RFC 9293': 'small segments are sent at once',
    'RFC 9715': 'the same, so that no answer is in fragments',
}

LINE = 72  # columns, before characters are escaped

NUMBER = r'(?:\d+|[A-E])(?:\.\d+)*\b(?!-)'
ITEM = r'(?: \(\d+\))?'
NAME = r'(?:RFC \d+|draft-[a-z0-9-]+|[Tt]he PROXY protocol)'
REFERENCE = rf'({NAME})((?: {NUMBER}{ITEM}(?:(?:, | and |, and ){NUMBER}{ITEM})*)?)'
# what may stand in front of the references of a first line, and behind them
ROW = r'(?:(?:Real sender \d+|Fault of 2026: (?P<fault>.*?)), )?'
FIRST_LINE = re.compile(rf'{ROW}(?P<references>(?:{REFERENCE}(?:[,;] (?={NAME}))?)+)(?:, and the [^:]*)?: (?P<rule>.+)')


def references(text):
    """(standard, section) of each section that the text names; an empty section where it names none."""
    for name, numbers in re.findall(REFERENCE, text):
        name = name[0].lower() + name[1:] if name.startswith('The') else name
        for number in re.findall(NUMBER, re.sub(r'\(\d+\)', '', numbers)) or ['']:
            yield name, number


def first_line(text):
    """The references and the sentence of a dialogue; no references where it names no standard."""
    line = text.partition('\n')[0].removeprefix('# ')
    found = FIRST_LINE.fullmatch(line)
    if not found:
        return [], line
    rule = f'{found["fault"]}: {found["rule"]}' if found['fault'] else found['rule']
    return list(references(found['references'])), rule


def dialogues(source):
    for path in sorted((source / 'tests' / 'dialogue').glob('*.txt')):
        yield path, *first_line(path.read_text(encoding='utf-8', errors='replace'))


def comments(path):
    """The text in which a test names what it tests."""
    text = path.read_text(encoding='utf-8')
    pattern = r'/\*.*?\*/' if path.suffix in ('.c', '.h') else r'""".*?"""|#[^\n]*'
    return ' '.join(re.sub(r'\s+(?:\*(?!/))?\s*', ' ', comment) for comment in re.findall(pattern, text, re.S))


def programs(source):
    tests = source / 'tests'
    for path in sorted([*(tests / 'unit').glob('test-*.c'), *(tests / 'system').glob('test-*.py')]):
        found = set(references(comments(path)))
        # a section is more specific than the name alone
        yield path, {(name, number) for name, number in found if number or not any(
            other == name and more for other, more in found)}


class Rows:
    """What is tested: rows[standard][section] has dialogues with their sentences, and programs."""

    def __init__(self, source):
        self.rows = collections.defaultdict(lambda: collections.defaultdict(lambda: ([], [])))
        self.own = []
        self.files = []
        for path, found, sentence in dialogues(source):
            self.files.append(path)
            for name, number in found:
                self.rows[name][number][0].append((path.stem, sentence))
            if not found:
                self.own.append((path.stem, sentence))
        for path, found in programs(source):
            self.files.append(path)
            for name, number in found:
                self.rows[name][number][1].append(path.name)


def sort_key(text):
    """Numbers in their order; letters, which are appendices, behind them."""
    return [(0, int(part), '') if part.isdigit() else (1, 0, part) for part in re.findall(r'\d+|[^\d. ()]+', text)]


def escape(text):
    """A text for one line of mdoc."""
    for plain, escaped in (('\\', r'\e'), ("'", r'\(aq'), ('`', r'\(ga'), ('^', r'\(ha'), ('~', r'\(ti'), ('-', r'\-')):
        text = text.replace(plain, escaped)
    return r'\&' + text if text[:1] == '.' else text


def escape_words(text):
    """A text behind a macro, none of whose words is one."""
    return re.sub(r'\b([A-Z][a-z])\b', r'\\&\1', escape(text))


def put_text(text):
    yield from map(escape, textwrap.wrap(text, LINE, break_long_words=False, break_on_hyphens=False))


def put_section(number, found, programs_of_it):
    yield f'.It Sy {number}' if number else '.It Sy \\-'
    yield '.Bl -item -compact'
    for name, sentence in sorted(found):
        yield '.It'
        yield f'.Pa {name} :'
        yield from put_text(sentence)
    if programs_of_it:
        yield '.It'
        yield 'Programs:'
        yield from (f'.Pa {name} ,' for name in sorted(programs_of_it)[:-1])
        yield f'.Pa {max(programs_of_it)} .'
    yield '.El'


def put_standard(name, rows):
    # check-standards reports a missing title, which must not break the build
    title = f': {TITLES[name]}' if name in TITLES else ''
    yield f'.Ss {escape_words(name[0].upper() + name[1:] + title)}'
    yield '.Bl -tag -width 4.5.3.1.10'
    for number in sorted(rows, key=sort_key):
        yield from put_section(number, *rows[number])
    yield '.El'


HEAD = r'''.\" Made by man/standards.py from the first lines of the tests. Do not edit.
.Dd November 30, 2026
.Dt POSTERN-STANDARDS 7
.Os
.Sh NAME
.Nm postern-standards
.Nd sections of standards that postern implements, and the test of each
.Sh DESCRIPTION
This page lists the sections of standards that
.Xr postern 8
and its tools implement, each with the tests that show it.
It is made from the tests when postern is built.
.Pp
A name with a sentence is a dialogue: the file
.Pa tests/dialogue/NAME.txt
of the source, in which the lines of client and server stand as in an RFC.
Each dialogue is played against the engine in memory, against a process, and
against the program.
Behind
.Dq Programs
stand test programs of
.Pa tests/unit
and
.Pa tests/system
whose comments name the section.
A dash in place of a section means the standard as a whole.
.Pp
A section that is not listed may be implemented without a test that names it.
.Sh SECTIONS AND TESTS'''


def page(source):
    """The lines of the page."""
    all_rows = Rows(source)
    yield from HEAD.splitlines()
    for name in sorted(all_rows.rows, key=lambda name: (not name.startswith('RFC'), sort_key(name))):
        yield from put_standard(name, all_rows.rows[name])
    yield '.Sh RULES OF POSTERN ITSELF'
    yield 'These dialogues show rules that no standard has.'
    yield '.Bl -item -compact'
    for name, sentence in all_rows.own:
        yield '.It'
        yield f'.Pa {name} :'
        yield from put_text(sentence)
    yield '.El'
    yield '.Sh NOT TESTED BY NAME'
    yield 'The source names these standards, and no test does:'
    yield '.Bl -tag -width "RFC 0000"'
    for name in sorted(NOT_TESTED_BY_NAME, key=sort_key):
        yield f'.It Sy {name}'
        yield from put_text(f'{NOT_TESTED_BY_NAME[name]} ({TITLES.get(name, name)})')
    yield '.El'
    yield '.Sh SEE ALSO'
    yield '.Xr postern.conf 5 ,'
    yield '.Xr postern 8'


def main():
    source = pathlib.Path(sys.argv[1])
    text = '\n'.join(page(source)) + '\n'
    if len(sys.argv) == 2:
        print(text, end='')
        return
    output, depfile = map(pathlib.Path, sys.argv[2:])
    output.write_text(text, encoding='utf-8')
    tests = source / 'tests'
    files = [*Rows(source).files, tests / 'dialogue', tests / 'unit', tests / 'system']
    depfile.write_text(f'{output}: ' + ' '.join(str(path).replace(' ', r'\ ') for path in files) + '\n')


if __name__ == '__main__':
    main()
