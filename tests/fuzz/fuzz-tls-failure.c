/* SPDX-License-Identifier: ISC */
/*
 * A TLS failure as a sentence. Input: the kind of end and facts of the certificate, then the codes that the client
 * offers and this host allows. The result is one printable sentence within its limit, the same for the same facts. If
 * it states that the two sides have nothing in common, this is true for the two lists.
 */
#include "fuzz/fuzz.h"
#include "proto/tls-names.h"
#include "smtp/explain.h"
#include "smtp/record.h"

#define CHOICES 12

struct cursor {
	const uint8_t *p;
	size_t n;
};

static uint8_t take(struct cursor *c)
{
	if (c->n == 0)
		return 0;
	c->n--;
	return *c->p++;
}

/* Most lists are of codes that are known: the high octet chooses one, or is the code's own. */
static void take_list(
	struct cursor *c, const uint16_t *known, size_t n_known, struct tls_list *to)
{
	for (size_t n = take(c) % (TLS_LIST_MAX + 2); n; n--) {
		uint8_t high = take(c);
		tls_list_add(to,
			high < n_known ? known[high] : (uint16_t)(high << 8 | take(c)));
	}
}

static void take_terms(struct cursor *c, struct tls_terms *to)
{
	static const uint16_t versions[] = { 0x0002, 0x0300, 0x0301, 0x0302, 0x0303,
		0x0304, 0x7f1c };
	static const uint16_t suites[] = { 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc030,
		0x009e, 0x009c, 0x002f, 0x000a, 0xcca8, 0x00ff };
	static const uint16_t groups[] = { 23, 24, 25, 29, 30, 256, 257, 0x11ec };
	static const uint16_t signatures[] = { 0x0403, 0x0503, 0x0603, 0x0804, 0x0805,
		0x0401, 0x0201, 0x0203, 0x0807, 0x0809 };

	take_list(c, versions, sizeof(versions) / sizeof(*versions), &to->versions);
	take_list(c, suites, sizeof(suites) / sizeof(*suites), &to->suites);
	take_list(c, groups, sizeof(groups) / sizeof(*groups), &to->groups);
	take_list(
		c, signatures, sizeof(signatures) / sizeof(*signatures), &to->signatures);
}

/* Escaped before it comes here: tls-offer has the octets themselves. */
static void take_text(struct cursor *c, char *to, size_t room)
{
	size_t n = take(c) % room;

	for (size_t i = 0; i < n; i++)
		to[i] = (char)('!' + take(c) % 94);
	to[n] = '\0';
	for (size_t i = 0; i < n; i++)
		if (to[i] == '"' || to[i] == '\\')
			to[i] = '_';
}

static void take_certificate(struct cursor *c, struct tls_certificate *to)
{
	uint8_t flags = take(c);

	to->known = flags & 1;
	to->expired = flags & 2;
	to->early = flags & 4;
	to->misnamed = flags & 8;
	to->self_signed = flags & 16;
	to->alone = flags & 32;
	to->keys = take(c) & TLS_KEY_ANY;
	to->key = flags & 64 ? TLS_KEY_P256 : TLS_KEY_RSA;
	memcpy(to->first, "2026-01-01", 11);
	memcpy(to->last, "2027-01-01", 11);
	take_text(c, to->name, sizeof(to->name));
}

static void take_failure(struct cursor *c, struct tls_failure *to)
{
	uint8_t flags = take(c);

	memset(to, 0, sizeof(*to));
	to->how = take(c) % (TLS_END_BROKEN + 1);
	to->alert = flags & 1 ? take(c) : TLS_NO_ALERT;
	to->alert_sent = flags & 2;
	to->answered = flags & 4;
	to->tickets = flags & 8;
	to->opening.or_older = flags & 16;
	to->opening.fallback = flags & 32;
	to->opening.bad_name = flags & 64;
	to->opening.kind = take(c) % (TLS_OPENING_OTHER + 1);
	to->opening.alert = flags & 128 ? take(c) : TLS_NO_ALERT;
	take_certificate(c, &to->certificate);
	take_text(c, to->opening.name, sizeof(to->opening.name));
	take_text(c, to->opening.first, sizeof(to->opening.first));
	take_text(c, to->error, sizeof(to->error));
	take_terms(c, &to->opening.offered);
	take_terms(c, &to->allowed);
}

static bool is_offered(const struct tls_opening *o, uint16_t version)
{
	return o->or_older ? version <= tls_list_greatest(&o->offered.versions)
			   : tls_list_has(&o->offered.versions, version);
}

static bool has_common_version(const struct tls_failure *f)
{
	for (size_t i = 0; i < f->allowed.versions.n; i++)
		if (f->allowed.versions.codes[i] &&
			is_offered(&f->opening, f->allowed.versions.codes[i]))
			return true;
	return false;
}

/* Checks the cause against the two lists, in another way. */
static void check_cause(const struct tls_failure *f, enum cause cause)
{
	const struct tls_terms *client = &f->opening.offered, *ours = &f->allowed;

	switch (cause) {
	case CAUSE_OLD_VERSION:
	case CAUSE_OTHER_VERSION:
		MUST(!has_common_version(f));
		break;
	case CAUSE_SUITE:
	case CAUSE_ANONYMOUS:
	case CAUSE_NO_SUITE:
	case CAUSE_KEY:
	case CAUSE_OWN_SUITES:
	case CAUSE_FINITE:
	case CAUSE_OWN_FINITE:
	case CAUSE_SIGNATURE:
	case CAUSE_NO_SIGNATURE:
	case CAUSE_OWN_SIGNATURES:
		MUST(has_common_version(f));
		break;
	case CAUSE_GROUP:
		MUST(has_common_version(f) &&
			tls_list_meet(&client->suites, &ours->suites));
		break;
	default:
		MUST(cause == CAUSE_NOTHING_COMMON);
	}
	if (cause != CAUSE_SUITE && cause != CAUSE_ANONYMOUS && cause != CAUSE_NO_SUITE &&
		cause != CAUSE_NOTHING_COMMON && has_common_version(f))
		MUST(tls_list_meet(&client->suites, &ours->suites));
	if (cause == CAUSE_KEY)
		MUST(!(negotiation_keys(f) & f->certificate.keys));
}

static void is_printable(struct span text)
{
	for (size_t i = 0; i < text.n; i++)
		MUST(text.p[i] >= ' ' && text.p[i] <= '~' && text.p[i] != '"');
}

static void put_sentence(
	const struct session *s, const struct tls_failure *failure, struct buf *to)
{
	explain(s, failure, to);
	MUST(!to->overflow);
	is_printable(buf_span(to));
}

static void check_values(struct recorder *r, const struct record *record)
{
	(void)r;
	for (size_t i = 0; i < record->n; i++)
		is_printable(record->values[i].value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct tls_failure failure;
	static struct session session;
	static struct session_settings settings;
	static struct recorder recorder = { check_values };
	char one[EXPLANATION_MAX], two[EXPLANATION_MAX];
	struct buf a = BUF(one), b = BUF(two);
	struct cursor c = { data, size };
	uint8_t flags;

	if (size < CHOICES)
		return 0;
	flags = take(&c);
	take_failure(&c, &failure);
	memset(&session, 0, sizeof(session));
	settings.tls = flags & 3;
	session.settings = &settings;
	session.secured = flags & 4;
	session.tls_unusable = flags & 8;
	session.rejected = flags & 16;
	session.end = flags & 32   ? END_TLS_FAILED
		      : flags >> 6 ? END_EOF
				   : END_TLS_UNUSABLE;
	check_cause(&failure, negotiation_cause(&failure));
	put_sentence(&session, &failure, &a);
	put_sentence(&session, &failure, &b);
	MUST(a.n == b.n && memcmp(one, two, a.n) == 0);
	MUST(a.n > 0 || session.end != END_TLS_FAILED || session.secured);
	session.recorder = &recorder;
	record_session(&session, &failure);
	return 0;
}
