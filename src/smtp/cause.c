/*
 * Finds the cause of a failed session. The result depends on the facts alone, and more
 * specific facts come first. explain.c has the sentences.
 *
 * If the TLS handshake found nothing in common, the two sides' lists are compared in the
 * order of TLS negotiation, from the version to the signature, up to the first without a
 * common entry. If the lists show no conflict (one was cut, or the library had a
 * different reason), the cause is CAUSE_NOTHING_COMMON.
 */
#include "smtp/explain.h"
#include "proto/tls-names.h"

#define SCHEMES_1_3 0x08 /* high octet of TLS 1.3 schemes other than ECDSA */

static bool is_offered(const struct tls_opening *o, uint16_t version)
{
	return o->or_older ? version <= tls_list_greatest(&o->offered.versions)
			   : tls_list_has(&o->offered.versions, version);
}

uint16_t negotiation_version(const struct tls_failure *f)
{
	uint16_t newest = 0;

	for (size_t i = 0; i < f->allowed.versions.n; i++) {
		uint16_t version = f->allowed.versions.codes[i];

		if (version > newest && is_offered(&f->opening, version))
			newest = version;
	}
	return newest;
}

static enum cause version_cause(const struct tls_failure *f)
{
	return tls_list_greatest(&f->opening.offered.versions) <
			       tls_list_least(&f->allowed.versions)
		       ? CAUSE_OLD_VERSION
		       : CAUSE_OTHER_VERSION;
}

/* TLS 1.3 uses its own suites only (RFC 8446 B.4). */
static bool is_of_version(uint16_t suite, uint16_t version)
{
	return (version == TLS_VERSION_1_3) ==
	       (tls_suite_exchange(suite) == TLS_EXCHANGE_1_3);
}

/* True for a suite of that version that both allow. */
static bool is_common_suite(const struct tls_failure *f, uint16_t version, uint16_t suite)
{
	return tls_list_has(&f->allowed.suites, suite) && is_of_version(suite, version);
}

void negotiation_suites(const struct tls_failure *f, struct tls_list *ret)
{
	const struct tls_list *offered = &f->opening.offered.suites;
	uint16_t version = negotiation_version(f);

	*ret = (struct tls_list){ .n = 0 };
	for (size_t i = 0; i < offered->n; i++)
		if (is_of_version(offered->codes[i], version) &&
			!tls_list_has(&f->allowed.suites, offered->codes[i]))
			tls_list_add(ret, offered->codes[i]);
}

/* The cause when there is no common suite of the common version. */
static enum cause suite_cause(const struct tls_failure *f)
{
	struct tls_list suites;
	bool anonymous = true;

	negotiation_suites(f, &suites);
	if (suites.n == 0)
		return CAUSE_NO_SUITE;
	for (size_t i = 0; i < suites.n; i++)
		anonymous &=
			tls_suite_exchange(suites.codes[i]) == TLS_EXCHANGE_ANONYMOUS;
	return anonymous ? CAUSE_ANONYMOUS : CAUSE_SUITE;
}

static unsigned keys_of_signatures(const struct tls_list *signatures)
{
	unsigned keys = 0;

	for (size_t i = 0; i < signatures->n; i++)
		keys |= tls_signature_keys(signatures->codes[i]);
	return keys;
}

static unsigned keys_of_suites(const struct tls_failure *f, uint16_t version)
{
	const struct tls_list *suites = &f->opening.offered.suites;
	unsigned keys = 0;

	for (size_t i = 0; i < suites->n; i++)
		if (is_common_suite(f, version, suites->codes[i]))
			keys |= tls_suite_keys(suites->codes[i]);
	return keys;
}

/* A client of TLS 1.2 may send no list of signatures; an older one has none. */
static bool has_signatures(const struct tls_failure *f, uint16_t version)
{
	return version >= TLS_VERSION_1_2 && f->opening.offered.signatures.n > 0;
}

static unsigned keys_wanted(const struct tls_failure *f, uint16_t version)
{
	unsigned keys = keys_of_suites(f, version);

	if (has_signatures(f, version))
		keys &= keys_of_signatures(&f->opening.offered.signatures);
	return keys;
}

unsigned negotiation_keys(const struct tls_failure *f)
{
	return keys_wanted(f, negotiation_version(f));
}

/* A bit for each enum tls_exchange of the suites that the keys can serve. */
static unsigned exchanges(const struct tls_failure *f, uint16_t version)
{
	const struct tls_list *suites = &f->opening.offered.suites;
	unsigned set = 0;

	for (size_t i = 0; i < suites->n; i++)
		if (is_common_suite(f, version, suites->codes[i]) &&
			tls_suite_keys(suites->codes[i]) & f->certificate.keys)
			set |= 1U << tls_suite_exchange(suites->codes[i]);
	return set;
}

static bool has_common_group(const struct tls_failure *f, bool finite)
{
	const struct tls_list *groups = &f->opening.offered.groups;

	for (size_t i = 0; i < groups->n; i++)
		if (tls_group_is_finite(groups->codes[i]) == finite &&
			tls_list_has(&f->allowed.groups, groups->codes[i]))
			return true;
	return false;
}

/* In TLS 1.2 a client without a list of groups supports any curve (RFC 8422 4). */
static enum cause group_cause(const struct tls_failure *f, uint16_t version)
{
	unsigned set = exchanges(f, version);
	bool curve = has_common_group(f, false), finite = has_common_group(f, true);

	if (version == TLS_VERSION_1_3)
		return curve || finite ? CAUSE_NONE : CAUSE_GROUP;
	if (set & 1U << TLS_EXCHANGE_RSA || (set & 1U << TLS_EXCHANGE_FINITE && finite))
		return CAUSE_NONE;
	if (!(set & 1U << TLS_EXCHANGE_CURVE))
		return CAUSE_FINITE;
	return curve || f->opening.offered.groups.n == 0 ? CAUSE_NONE : CAUSE_GROUP;
}

/* TLS 1.3 ties each ECDSA scheme to a curve, and has no PKCS #1 (RFC 8446 4.2.3). */
static bool can_sign(const struct tls_failure *f, uint16_t version, uint16_t scheme)
{
	unsigned keys = tls_signature_keys(scheme) & f->certificate.keys;

	if (!keys || !tls_list_has(&f->allowed.signatures, scheme))
		return false;
	if (version != TLS_VERSION_1_3)
		return true;
	return keys & TLS_KEY_ECDSA ? scheme == f->certificate.curve
				    : scheme >> 8 == SCHEMES_1_3;
}

static enum cause signature_cause(const struct tls_failure *f, uint16_t version)
{
	const struct tls_list *schemes = &f->opening.offered.signatures;

	if (!has_signatures(f, version) || exchanges(f, version) & 1U << TLS_EXCHANGE_RSA)
		return CAUSE_NONE;
	for (size_t i = 0; i < schemes->n; i++)
		if (can_sign(f, version, schemes->codes[i]))
			return CAUSE_NONE;
	return CAUSE_SIGNATURE;
}

static bool is_cut(const struct tls_terms *terms)
{
	return terms->versions.cut || terms->suites.cut || terms->groups.cut ||
	       terms->signatures.cut;
}

enum cause negotiation_cause(const struct tls_failure *f)
{
	uint16_t version = negotiation_version(f);
	enum cause cause;

	if (is_cut(&f->opening.offered) || is_cut(&f->allowed))
		return CAUSE_NOTHING_COMMON;
	if (!version)
		return version_cause(f);
	if (!keys_of_suites(f, version))
		return suite_cause(f);
	if (!(keys_wanted(f, version) & f->certificate.keys))
		return keys_wanted(f, version) ? CAUSE_KEY : CAUSE_SIGNATURE;
	cause = group_cause(f, version);
	if (cause == CAUSE_NONE)
		cause = signature_cause(f, version);
	return cause == CAUSE_NONE ? CAUSE_NOTHING_COMMON : cause;
}

/* By the alert sent, since it is the library's own reason. */
static enum cause refused_hello(const struct session *s, const struct tls_failure *f)
{
	switch (f->alert) {
	case TLS_ALERT_NO_APPLICATION_PROTOCOL:
		return CAUSE_PROTOCOL;
	case TLS_ALERT_INAPPROPRIATE_FALLBACK:
		return CAUSE_FALLBACK;
	case TLS_ALERT_HANDSHAKE_FAILURE:
	case TLS_ALERT_PROTOCOL_VERSION:
		return s->secured || f->answered ? CAUSE_MALFORMED : negotiation_cause(f);
	default:
		return f->opening.bad_name && !f->answered ? CAUSE_NAME : CAUSE_MALFORMED;
	}
}

static enum cause refused(const struct session *s, const struct tls_failure *f)
{
	switch (f->opening.kind) {
	case TLS_OPENING_HTTP:
		return CAUSE_HTTP;
	case TLS_OPENING_TEXT:
		return s->settings->tls == TLS_IMPLICIT ? CAUSE_CLEAR_IMPLICIT
							: CAUSE_CLEAR;
	case TLS_OPENING_OTHER:
		return CAUSE_NOT_TLS;
	case TLS_OPENING_HELLO:
		return refused_hello(s, f);
	default:
		return CAUSE_MALFORMED;
	}
}

static enum cause alerted(const struct session *s, const struct tls_failure *f)
{
	if (!s->secured && !f->answered)
		return f->opening.kind == TLS_OPENING_HELLO ? CAUSE_ALERT
							    : CAUSE_EARLY_ALERT;
	switch (f->alert) {
	case TLS_ALERT_BAD_CERTIFICATE:
	case TLS_ALERT_UNSUPPORTED_CERTIFICATE:
	case TLS_ALERT_CERTIFICATE_REVOKED:
	case TLS_ALERT_CERTIFICATE_EXPIRED:
	case TLS_ALERT_CERTIFICATE_UNKNOWN:
	case TLS_ALERT_UNKNOWN_CA:
	case TLS_ALERT_ACCESS_DENIED:
		return CAUSE_CERTIFICATE;
	default:
		return CAUSE_ALERT;
	}
}

static enum cause closed(const struct session *s, const struct tls_failure *f)
{
	bool implicit = s->settings->tls == TLS_IMPLICIT;

	if (f->answered)
		return CAUSE_CLOSED_ANSWERED;
	switch (f->opening.kind) {
	case TLS_OPENING_NOTHING:
		return implicit ? CAUSE_SILENT : CAUSE_SILENT_STARTTLS;
	case TLS_OPENING_HELLO:
		return CAUSE_CLOSED;
	case TLS_OPENING_TORN:
		return CAUSE_CLOSED_HELLO;
	default:
		return f->opening.alert == TLS_NO_ALERT ? refused(s, f)
							: CAUSE_EARLY_ALERT;
	}
}

static enum cause late(const struct session *s, const struct tls_failure *f)
{
	bool implicit = s->settings->tls == TLS_IMPLICIT;

	if (f->answered)
		return CAUSE_LATE_ANSWERED;
	switch (f->opening.kind) {
	case TLS_OPENING_NOTHING:
		return implicit ? CAUSE_LATE_IMPLICIT : CAUSE_LATE;
	case TLS_OPENING_HELLO:
		return CAUSE_LATE_MIDDLE;
	case TLS_OPENING_TORN:
		return CAUSE_LATE_HELLO;
	default:
		return refused(s, f);
	}
}

static enum cause failed(const struct session *s, const struct tls_failure *f)
{
	switch (f->how) {
	case TLS_END_REFUSED:
		return refused(s, f);
	case TLS_END_ALERT:
		return alerted(s, f);
	case TLS_END_CLOSED:
		return closed(s, f);
	case TLS_END_TIMEOUT:
		return late(s, f);
	case TLS_END_STOPPED:
		return CAUSE_STOPPED;
	case TLS_END_BROKEN:
		break;
	}
	return CAUSE_BROKEN;
}

/* Some clients begin TLS after any reply to STARTTLS. */
static enum cause foreign_tls(const struct session *s)
{
	if (s->secured)
		return CAUSE_FOREIGN_TLS_INSIDE;
	if (s->tls_unusable)
		return CAUSE_UNUSABLE;
	return s->settings->tls == TLS_OFF ? CAUSE_FOREIGN_TLS_OFF : CAUSE_FOREIGN_TLS;
}

/* True when the client left after the handshake without a command. */
static bool has_left(const struct session *s)
{
	return s->secured && !s->helo[0] &&
	       (s->end == END_QUIT || s->end == END_EOF || s->end == END_BROKEN);
}

static enum cause left(const struct tls_failure *f)
{
	return f ? CAUSE_LEFT_KNOWN : CAUSE_LEFT;
}

enum cause cause_of(const struct session *s, const struct tls_failure *failure)
{
	switch (s->end) {
	case END_FOREIGN_TLS:
		return foreign_tls(s);
	case END_FOREIGN_HTTP:
		return CAUSE_FOREIGN_HTTP;
	case END_TLS_INJECTION:
		return CAUSE_INJECTION;
	case END_TLS_UNUSABLE:
		return CAUSE_UNUSABLE;
	default:
		break;
	}
	if (failure && !(failure->how == TLS_END_CLOSED && s->secured))
		return failed(s, failure);
	if (has_left(s))
		return left(failure);
	if (s->secured)
		return CAUSE_NONE;
	if (s->rejected)
		return CAUSE_REJECTED;
	return s->tls_unusable ? CAUSE_UNUSABLE : CAUSE_NONE;
}

/* The alert's subject is checked first. */
static bool is_about_trust(const struct tls_failure *f)
{
	return f->how == TLS_END_ALERT && f->alert == TLS_ALERT_UNKNOWN_CA;
}

enum dislike cause_dislike(const struct tls_failure *f)
{
	const struct tls_certificate *c = &f->certificate;

	if (is_about_trust(f) && c->self_signed)
		return DISLIKE_SELF_SIGNED;
	if (is_about_trust(f) && c->alone)
		return DISLIKE_ALONE;
	if (c->expired)
		return DISLIKE_EXPIRED;
	if (c->early)
		return DISLIKE_EARLY;
	if (c->issuer_expired)
		return DISLIKE_ISSUER_EXPIRED;
	if (c->issuer_early)
		return DISLIKE_ISSUER_EARLY;
	if (f->how == TLS_END_ALERT && f->alert == TLS_ALERT_CERTIFICATE_EXPIRED)
		return DISLIKE_CLOCK;
	if (c->misnamed)
		return DISLIKE_MISNAMED;
	if (c->self_signed)
		return DISLIKE_SELF_SIGNED;
	if (c->alone)
		return DISLIKE_ALONE;
	return f->tickets && f->how == TLS_END_CLOSED ? DISLIKE_TICKETS : DISLIKE_NOTHING;
}
