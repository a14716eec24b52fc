/* SPDX-License-Identifier: ISC */
/*
 * The sentences that explain TLS failures: one of its own for each cause (cause.c). A
 * sentence is short for any input of the client.
 *
 * A fact replaces `%` and a letter, see put_fact(). The texts are arrays in the table
 * itself, for the reason given in tls-names.c. A test compares them with the list of
 * remedies in postern(8).
 */
#include "smtp/explain.h"
#include "proto/text.h"
#include "proto/tls-names.h"

#define SENTENCE_MAX 144
#define DOTS 3
#define WORDS_MAX 3 /* entries of a list that are shown */
#define SUITES_MAX 2 /* fewer suites are shown, because their names are long */
#define FAULT_MAX 180
#define ERROR_MAX 100

static const char sentences[CAUSE_COUNT][SENTENCE_MAX] = {
	[CAUSE_FOREIGN_TLS] = "client began TLS where SMTP begins in the clear: set the "
			      "client to STARTTLS, or give it a port with tls = implicit",
	[CAUSE_FOREIGN_TLS_OFF] =
		"client began TLS, which is off here (tls): set the client "
		"to no encryption, or turn TLS on",
	[CAUSE_FOREIGN_TLS_INSIDE] = "client began TLS a second time, inside TLS",
	[CAUSE_FOREIGN_HTTP] = "client sent an HTTP request to a mail port: a browser, a "
			       "scanner, or a wrong port number",
	[CAUSE_REJECTED] =
		"client continued without TLS, which is required here (tls): turn on "
		"STARTTLS at the client",
	[CAUSE_INJECTION] =
		"client sent more after STARTTLS without waiting for the reply: a fault "
		"of the client, or a host in between adds commands",
	[CAUSE_UNUSABLE] = "TLS was refused because of a fault of this host: %f",

	[CAUSE_HTTP] = "client sent an HTTP request where TLS should begin: a browser, a "
		       "scanner, or a wrong port number",
	[CAUSE_CLEAR] =
		"client continued in the clear after STARTTLS (%x): a fault of the "
		"client, or of a host in between",
	[CAUSE_CLEAR_IMPLICIT] =
		"client began in the clear (%x) where TLS comes first (tls): "
		"set the client to TLS from the start, not STARTTLS",
	[CAUSE_NOT_TLS] = "client sent something that is not TLS (%x)",
	[CAUSE_EARLY_ALERT] =
		"client sent the alert %A and no ClientHello; its own log has "
		"the reason",

	[CAUSE_OLD_VERSION] =
		"client offers only %o; this host requires %r (tls-priority)",
	[CAUSE_OTHER_VERSION] = "client offers only %o; this host allows only %a "
				"(tls-priority)",
	[CAUSE_FALLBACK] =
		"client fell back to %o after a first try had failed, and this host "
		"supports %m: see why the first one failed",
	[CAUSE_SUITE] = "client offers for %v only cipher suites that this host does not "
			"allow: %s "
			"(tls-priority)",
	[CAUSE_EXCHANGE] =
		"client offers for %v only key exchange by RSA, which a key agent does "
		"not support (tls-key-agent, or tls-key)",
	[CAUSE_ANONYMOUS] =
		"client offers for %v only anonymous Diffie-Hellman, without a "
		"certificate: "
		"set the client to check certificates, or at least to use them",
	[CAUSE_NO_SUITE] = "client offers no cipher suite of %v, the newest version that "
			   "both allow (tls-priority, or a fault of the client)",
	[CAUSE_KEY] =
		"client accepts only an %K certificate; this host has only %k (add a "
		"pair to tls-certificate and tls-key)",
	[CAUSE_OWN_SUITES] =
		"of the client's cipher suites tls-priority allows only those for an %K "
		"certificate; this host has only %k (tls-priority, or tls-certificate)",
	[CAUSE_GROUP] =
		"client offers only the groups %g; this host allows %h (tls-priority)",
	[CAUSE_FINITE] = "client offers only Diffie-Hellman without a group of RFC 7919, "
			 "which this host does not support: turn on ECDHE at the client",
	[CAUSE_OWN_FINITE] =
		"client and tls-priority have only Diffie-Hellman in common, without a "
		"group of RFC 7919: allow ECDHE on both sides",
	[CAUSE_SIGNATURE] = "client accepts only the signatures %i; this host allows %j "
			    "(tls-priority)",
	[CAUSE_NO_SIGNATURE] = "client accepts only the signatures %i, which %v does not "
			       "have: a fault of the client",
	[CAUSE_OWN_SIGNATURES] =
		"tls-priority allows no signature that this host's %y key can make in "
		"%v: allow one, or add another pair to tls-certificate and tls-key",
	[CAUSE_PROTOCOL] =
		"client asks for another protocol than SMTP (ALPN %p): a wrong port "
		"number, or a setting of the client",
	[CAUSE_NAME] =
		"client asks for the server name (SNI) %N, which GnuTLS does not accept: "
		"it takes letters, digits, - and . alone",
	[CAUSE_NOTHING_COMMON] = "client and this host have nothing in common: compare "
				 "tls_offered with tls_allowed (tls-priority)",
	[CAUSE_MALFORMED] = "client sent a TLS message that this host cannot accept: %e",

	[CAUSE_CERTIFICATE] = "client refused this host's certificate (alert %A), %w",
	[CAUSE_VERSION_REFUSED] = "client refused %v, the newest version that both "
				  "allow (alert %A, tls-priority)",
	[CAUSE_NO_GROUPS] = "client ended TLS by the alert %A: it sent no groups, and "
			    "may not accept this host's choice of %h (tls-priority)",
	[CAUSE_ALERT] = "client ended TLS by the alert %A; its own log has the reason",
	[CAUSE_SILENT] =
		"client closed the connection without any input: a port scan, or a "
		"check that the port is open",
	[CAUSE_SILENT_STARTTLS] =
		"client closed the connection after STARTTLS, before any TLS",
	[CAUSE_CLOSED_HELLO] =
		"client closed the connection in the middle of its ClientHello",
	[CAUSE_CLOSED_ANSWERED] = "client closed the connection on seeing this host's "
				  "certificate, %w",
	[CAUSE_CLOSED] = "client closed the connection in the middle of the handshake",
	[CAUSE_LEFT] =
		"client left right after the handshake: it only checked, or does not "
		"accept this host's certificate",
	[CAUSE_LEFT_KNOWN] =
		"client left right after the handshake: it only checked, or does "
		"not accept this host's certificate, %w",

	[CAUSE_LATE] =
		"client asked for STARTTLS and then sent nothing in time (timeout)",
	[CAUSE_LATE_IMPLICIT] =
		"client sent nothing in time where TLS comes first (tls): it "
		"may be waiting for a greeting in the clear",
	[CAUSE_LATE_HELLO] =
		"client sent a part of a ClientHello, and the rest not in time "
		"(timeout)",
	[CAUSE_LATE_ANSWERED] =
		"client did not answer this host's certificate in time "
		"(timeout); perhaps large packets are lost on the way (MTU)",
	[CAUSE_LATE_MIDDLE] = "client stopped in the middle of the handshake (timeout)",
	[CAUSE_STOPPED] = "this host was stopped in the middle of the handshake",
	[CAUSE_BROKEN] = "the handshake was interrupted: %e",
};

/*
 * Clauses that state a fact about the certificate. The client's true reason is unknown.
 */
static const char dislikes[DISLIKE_COUNT][SENTENCE_MAX] = {
	[DISLIKE_NOTHING] =
		"in which this host sees no fault; the client's own log has the reason",
	[DISLIKE_CURVE] = "whose curve %c is none of the client's groups, %g "
			  "(tls-certificate)",
	[DISLIKE_EXPIRED] = "which expired on %l (tls-certificate)",
	[DISLIKE_EARLY] = "which is not valid before %b (tls-certificate, or this host's "
			  "clock)",
	[DISLIKE_ISSUER_EXPIRED] = "whose issuer's certificate expired on %L "
				   "(tls-certificate)",
	[DISLIKE_ISSUER_EARLY] = "whose issuer's certificate is not valid before %B "
				 "(tls-certificate, or this host's clock)",
	[DISLIKE_MISNAMED] = "which does not cover %n (tls-certificate)",
	[DISLIKE_SELF_SIGNED] =
		"which is self-signed (tls-certificate, or let the client "
		"trust it)",
	[DISLIKE_ALONE] =
		"which is sent without its issuer's certificate (tls-certificate)",
	[DISLIKE_CLOCK] =
		"which is valid until %l: look at the client's clock, and at the "
		"other certificates in tls-certificate",
	[DISLIKE_TICKETS] =
		"in which this host sees no fault; some clients reject session "
		"tickets (tls-tickets)",
};

/* Shows the newest of several versions. */
static void put_versions(struct buf *to, const struct tls_list *versions, bool or_older)
{
	uint16_t newest = tls_list_greatest(versions);

	tls_put_version_text(to, newest);
	if (versions->n > 1 || (or_older && newest > TLS_VERSION_1_0))
		buf_put(to, SPAN(" or older"));
}

/* Appends the names of the kinds of keys. Rows for several kinds come first. */
static void put_keys(struct buf *to, unsigned keys)
{
	static const struct {
		unsigned keys;
		char name[16];
	} names[] = {
		{ TLS_KEY_RSA, "RSA" },
		{ TLS_KEY_ECDSA, "ECDSA" },
		{ TLS_KEY_P256, "ECDSA P-256" },
		{ TLS_KEY_P384, "ECDSA P-384" },
		{ TLS_KEY_P521, "ECDSA P-521" },
		{ TLS_KEY_CURVE, "ECDSA" },
		{ TLS_KEY_EDDSA, "EdDSA" },
		{ TLS_KEY_ED25519, "Ed25519" },
		{ TLS_KEY_ED448, "Ed448" },
		{ TLS_KEY_RSA_PSS, "RSA-PSS" },
	};
	size_t start = to->n;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if ((keys & names[i].keys) != names[i].keys)
			continue;
		if (to->n > start)
			buf_put(to, SPAN(" or "));
		buf_put_str(to, names[i].name);
		keys &= ~names[i].keys;
	}
}

/* Adds all ECDSA keys to one of them, and all EdDSA keys to one of them. */
static unsigned whole_kinds(unsigned keys)
{
	if (keys & TLS_KEY_ECDSA)
		keys |= TLS_KEY_ECDSA;
	if (keys & TLS_KEY_EDDSA)
		keys |= TLS_KEY_EDDSA;
	return keys;
}

/* Appends the kinds of this host's keys. Curves are named when both sides have ECDSA. */
static void put_own_keys(struct buf *to, const struct tls_failure *f)
{
	unsigned ours = f->certificate.keys, wanted = negotiation_keys(f);

	put_keys(to, ours & whole_kinds(wanted) ? ours : whole_kinds(ours));
}

static void put_wanted_keys(struct buf *to, const struct tls_failure *f)
{
	unsigned wanted = negotiation_keys(f);

	if (!(wanted & whole_kinds(f->certificate.keys)))
		wanted = whole_kinds(wanted);
	/* ECDSA and EdDSA share suites, and EdDSA keys are rare */
	if (wanted & TLS_KEY_ECDSA)
		wanted &= ~(unsigned)TLS_KEY_EDDSA;
	if (wanted & TLS_KEY_RSA) /* likewise */
		wanted &= ~(unsigned)TLS_KEY_RSA_PSS;
	put_keys(to, wanted);
}

static void put_sentence(struct buf *to, const char *text, const struct session *s,
	const struct tls_failure *failure);

static void put_list(struct buf *to, char letter, const struct tls_failure *f)
{
	const struct tls_terms *offered = &f->opening.offered;
	struct tls_list list;

	switch (letter) {
	case 's':
		negotiation_suites(f, &list);
		tls_list_put(to, &list, SUITES_MAX, ", ", tls_put_suite);
		break;
	case 'g': /* groups of another kind if there are no others */
		negotiation_groups(f, &offered->groups, &list);
		tls_list_put(to, list.n ? &list : &offered->groups, WORDS_MAX, ", ",
			tls_put_group);
		break;
	case 'h':
		negotiation_groups(f, &f->allowed.groups, &list);
		if (list.n == 0)
			buf_put(to, SPAN("none of this kind"));
		tls_list_put(to, &list, WORDS_MAX, ", ", tls_put_group);
		break;
	case 'j':
		negotiation_signatures(f, &list);
		tls_list_put(to, &list, SUITES_MAX, ", ", tls_put_signature);
		break;
	default:
		tls_list_put(
			to, &offered->signatures, SUITES_MAX, ", ", tls_put_signature);
		break;
	}
}

/* Appends a fact about this host's certificate. */
static void put_certificate(struct buf *to, char letter, const struct tls_failure *f)
{
	switch (letter) {
	case 'k':
		put_own_keys(to, f);
		break;
	case 'y': /* this host's keys, with curves */
		put_keys(to, f->certificate.keys);
		break;
	case 'c':
		tls_put_group(to, tls_key_group(f->certificate.key));
		break;
	case 'b': /* first day, last day, name */
		buf_put_str(to, f->certificate.first);
		break;
	case 'l':
		buf_put_str(to, f->certificate.last);
		break;
	case 'B': /* first and last day of its issuer's certificate */
		buf_put_str(to, f->certificate.issuer_first);
		break;
	case 'L':
		buf_put_str(to, f->certificate.issuer_last);
		break;
	case 'n':
		text_escape(to, span_of(f->certificate.name), ERROR_MAX);
		break;
	default:
		put_list(to, letter, f);
		break;
	}
}

/* Appends a fact about the failure. */
static void put_fact(struct buf *to, char letter, const struct tls_failure *f)
{
	switch (letter) {
	case 'o': /* versions: offered */
		put_versions(to, &f->opening.offered.versions, f->opening.or_older);
		break;
	case 'a': /* allowed */
		put_versions(to, &f->allowed.versions, false);
		break;
	case 'r': /* required */
		tls_put_version_text(to, tls_list_least(&f->allowed.versions));
		break;
	case 'm': /* the newest allowed */
		tls_put_version_text(to, tls_list_greatest(&f->allowed.versions));
		break;
	case 'v': /* the newest that both sides allow */
		tls_put_version_text(to, negotiation_version(f));
		break;
	case 'K': /* kinds of keys: the client's, this host's */
		put_wanted_keys(to, f);
		break;
	case 'p': /* ALPN */
		buf_put_str(to, f->opening.offered.alpn);
		break;
	case 'x': /* the first octets */
		buf_put_str(to, f->opening.first);
		break;
	case 'A':
		tls_put_alert(to, (uint8_t)f->alert);
		break;
	case 'e':
		text_escape(to, span_of(f->error), ERROR_MAX);
		break;
	case 'N': /* it was escaped before */
		buf_put_str(to, f->opening.odd_name[0] ? f->opening.odd_name : "(empty)");
		break;
	default:
		put_certificate(to, letter, f);
		break;
	}
}

/*
 * Appends a fault that is already escaped. It is cut if it is too long, but never inside
 * an escape.
 */
static void put_fault(struct buf *to, const char *fault)
{
	size_t n = strlen(fault);

	if (n <= FAULT_MAX) {
		buf_put_str(to, fault);
		return;
	}
	n = FAULT_MAX - DOTS;
	for (size_t i = n - DOTS; i < n; i++)
		if (fault[i] == '\\')
			n = i;
	buf_put(to, (struct span){ fault, n });
	buf_put(to, SPAN("..."));
}

static void put_letter(struct buf *to, char letter, const struct session *s,
	const struct tls_failure *failure)
{
	if (letter == 'f')
		put_fault(to, s->tls_fault);
	else if (letter == 'w')
		put_sentence(to, dislikes[cause_dislike(failure)], s, failure);
	else
		put_fact(to, letter, failure);
}

static void put_sentence(struct buf *to, const char *text, const struct session *s,
	const struct tls_failure *failure)
{
	for (const char *p = text; *p; p++) {
		size_t n = strcspn(p, "%");

		buf_put(to, (struct span){ p, n });
		p += n;
		if (!*p)
			return;
		put_letter(to, *++p, s, failure);
	}
}

void explain(const struct session *s, const struct tls_failure *failure, struct buf *to)
{
	enum cause cause = cause_of(s, failure);
	char text[EXPLANATION_MAX];
	struct buf b = { .p = text, .cap = sizeof(text) - DOTS };

	if (cause == CAUSE_NONE) {
		if (s->filters)
			explain_slow(s, to);
		return;
	}
	put_sentence(&b, sentences[cause], s, failure);
	buf_put(to, buf_span(&b));
	if (b.overflow)
		buf_put(to, SPAN("..."));
}
