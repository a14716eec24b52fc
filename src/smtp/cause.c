/* SPDX-License-Identifier: ISC */
/*
 * Finds the cause of a failed session. The result depends on the facts alone, and more
 * specific facts come first. explain.c has the sentences.
 *
 * If the two sides of a handshake had nothing in common, their lists are compared in the
 * order of TLS negotiation, from versions to signatures. The first list without a common
 * entry is the cause. If no list shows a conflict (one was cut, or the library had
 * another reason), the cause is CAUSE_NOTHING_COMMON.
 */
#include "smtp/explain.h"
#include "proto/tls-names.h"

uint16_t negotiation_version(const struct tls_failure *f)
{
	return tls_opening_version(&f->opening, &f->allowed.versions);
}

static enum cause version_cause(const struct tls_failure *f)
{
	return tls_list_greatest(&f->opening.offered.versions) <
			       tls_list_least(&f->allowed.versions)
		       ? CAUSE_OLD_VERSION
		       : CAUSE_OTHER_VERSION;
}

void negotiation_suites(const struct tls_failure *f, struct tls_list *ret)
{
	const struct tls_list *offered = &f->opening.offered.suites;
	uint16_t version = negotiation_version(f);

	*ret = (struct tls_list){ .n = 0 };
	for (size_t i = 0; i < offered->n; i++)
		if (tls_suite_is_of(offered->codes[i], version) &&
			!tls_list_has(&f->allowed.suites, offered->codes[i]))
			tls_list_add(ret, offered->codes[i]);
}

/* Returns the cause when the common version has no common suite. */
static enum cause suite_cause(const struct tls_failure *f)
{
	struct tls_list suites;
	bool anonymous = true, encrypted = false;

	negotiation_suites(f, &suites);
	if (suites.n == 0)
		return CAUSE_NO_SUITE;
	for (size_t i = 0; i < suites.n; i++) {
		enum tls_exchange exchange = tls_suite_exchange(suites.codes[i]);

		anonymous &= exchange == TLS_EXCHANGE_ANONYMOUS;
		encrypted |= exchange == TLS_EXCHANGE_RSA;
	}
	if (f->agent && encrypted)
		return CAUSE_EXCHANGE;
	return anonymous ? CAUSE_ANONYMOUS : CAUSE_SUITE;
}

/*
 * Returns the keys for suites of the client; with `common`, only for those that this host
 * also allows.
 */
static unsigned keys_of_suites(const struct tls_failure *f, bool common)
{
	const struct tls_list *suites = &f->opening.offered.suites;
	uint16_t version = negotiation_version(f);
	unsigned keys = 0;

	for (size_t i = 0; i < suites->n; i++)
		if (tls_suite_is_of(suites->codes[i], version) &&
			(!common || tls_list_has(&f->allowed.suites, suites->codes[i])))
			keys |= tls_suite_keys(suites->codes[i]);
	return keys;
}

/* Returns the keys for signatures in `list`; with `other`, for those in both lists. */
static unsigned keys_of_signatures(const struct tls_failure *f,
	const struct tls_list *list, const struct tls_list *other)
{
	uint16_t version = negotiation_version(f);
	unsigned keys = 0;

	for (size_t i = 0; i < list->n; i++)
		if (!other || tls_list_has(other, list->codes[i]))
			keys |= tls_signature_keys(list->codes[i], version);
	return keys;
}

/*
 * Returns the keys for signatures that the client accepts. A client that sends no list,
 * or has a version before TLS 1.2, accepts RSA and ECDSA (RFC 5246 7.4.1.4.1).
 */
static unsigned keys_accepted(const struct tls_failure *f, bool common)
{
	const struct tls_list *signatures = &f->opening.offered.signatures;

	if (negotiation_version(f) < TLS_VERSION_1_2 || signatures->n == 0)
		return TLS_KEY_RSA | TLS_KEY_ECDSA;
	return keys_of_signatures(f, signatures, common ? &f->allowed.signatures : NULL);
}

/*
 * Returns the keys of `keys` that both lists allow, and a bit for each enum tls_exchange
 * that they can serve. An RSA exchange has no signature.
 */
static unsigned keys_served(const struct tls_failure *f, unsigned keys, unsigned *ret)
{
	const struct tls_list *suites = &f->opening.offered.suites;
	uint16_t version = negotiation_version(f);
	unsigned accepted = keys_accepted(f, true), served = 0;

	*ret = 0;
	for (size_t i = 0; i < suites->n; i++) {
		enum tls_exchange exchange = tls_suite_exchange(suites->codes[i]);
		unsigned found = keys & tls_suite_keys(suites->codes[i]);

		if (exchange != TLS_EXCHANGE_RSA)
			found &= accepted;
		if (!found || !tls_suite_is_of(suites->codes[i], version) ||
			!tls_list_has(&f->allowed.suites, suites->codes[i]))
			continue;
		*ret |= 1U << exchange;
		served |= found;
	}
	return served;
}

unsigned negotiation_keys(const struct tls_failure *f)
{
	unsigned exchanges, keys = keys_served(f, TLS_KEY_ANY, &exchanges);

	return keys ? keys : keys_of_suites(f, true);
}

void negotiation_signatures(const struct tls_failure *f, struct tls_list *ret)
{
	struct tls_terms allowed = f->allowed;

	tls_terms_keep(&allowed, f->certificate.keys & keys_of_suites(f, true),
		negotiation_version(f));
	*ret = allowed.signatures;
}

/* Returns the cause when no key of this host can serve a suite that both sides allow. */
static enum cause key_cause(const struct tls_failure *f)
{
	unsigned ours = f->certificate.keys & keys_of_suites(f, true);
	unsigned theirs = keys_accepted(f, false), exchanges;

	if (!ours)
		return f->certificate.keys & keys_of_suites(f, false) & theirs
			       ? CAUSE_OWN_SUITES
			       : CAUSE_KEY;
	if (negotiation_version(f) >= TLS_VERSION_1_2 &&
		!(ours & keys_of_signatures(f, &f->allowed.signatures, NULL)))
		return CAUSE_OWN_SIGNATURES;
	if (!(ours & theirs) && keys_served(f, TLS_KEY_ANY, &exchanges))
		return CAUSE_KEY;
	return theirs ? CAUSE_SIGNATURE : CAUSE_NO_SIGNATURE;
}

/* In TLS 1.2 each key exchange has groups of its own kind (RFC 7919, RFC 8422). */
void negotiation_groups(
	const struct tls_failure *f, const struct tls_list *from, struct tls_list *ret)
{
	unsigned set;

	keys_served(f, f->certificate.keys, &set);
	*ret = (struct tls_list){ .n = 0 };
	for (size_t i = 0; i < from->n; i++)
		if (set & (1U << TLS_EXCHANGE_1_3 |
				  1U << (tls_group_is_finite(from->codes[i])
						  ? TLS_EXCHANGE_FINITE
						  : TLS_EXCHANGE_CURVE)))
			tls_list_add(ret, from->codes[i]);
}

/* True when this host would accept ECDHE. */
static bool allows_curves(const struct tls_failure *f)
{
	const struct tls_list *suites = &f->allowed.suites, *groups = &f->allowed.groups;
	bool suite = false, group = false;

	for (size_t i = 0; i < suites->n; i++)
		suite |= tls_suite_exchange(suites->codes[i]) == TLS_EXCHANGE_CURVE &&
			 tls_suite_keys(suites->codes[i]) & f->certificate.keys;
	for (size_t i = 0; i < groups->n; i++)
		group |= !tls_group_is_finite(groups->codes[i]);
	return suite && group;
}

/* In TLS 1.2 a client without a list of groups supports any curve (RFC 8422 4). */
static enum cause group_cause(const struct tls_failure *f, unsigned exchanges)
{
	const struct tls_list *offered = &f->opening.offered.groups;
	struct tls_list ours, theirs;

	negotiation_groups(f, &f->allowed.groups, &ours);
	negotiation_groups(f, offered, &theirs);
	if (exchanges & 1U << TLS_EXCHANGE_RSA || tls_list_meet(&ours, &theirs))
		return CAUSE_NOTHING_COMMON;
	if (exchanges == 1U << TLS_EXCHANGE_FINITE && theirs.n == 0)
		return allows_curves(f) ? CAUSE_FINITE : CAUSE_OWN_FINITE;
	return offered->n ? CAUSE_GROUP : CAUSE_NOTHING_COMMON;
}

static bool is_cut(const struct tls_terms *terms)
{
	return terms->versions.cut || terms->suites.cut || terms->groups.cut ||
	       terms->signatures.cut;
}

enum cause negotiation_cause(const struct tls_failure *f)
{
	unsigned exchanges;

	if (is_cut(&f->opening.offered) || is_cut(&f->allowed))
		return CAUSE_NOTHING_COMMON;
	if (!negotiation_version(f))
		return version_cause(f);
	if (!keys_of_suites(f, true))
		return suite_cause(f);
	if (!keys_served(f, f->certificate.keys, &exchanges))
		return key_cause(f);
	return group_cause(f, exchanges);
}

/*
 * GnuTLS may detect only while it composes its answer that the key is not allowed in that
 * version.
 */
static enum cause refused_lists(const struct tls_failure *f)
{
	enum cause cause = negotiation_cause(f);

	return f->answered && cause != CAUSE_KEY ? CAUSE_MALFORMED : cause;
}

/* Uses the alert that this host sent, because it shows the library's own reason. */
static enum cause refused_hello(const struct session *s, const struct tls_failure *f)
{
	switch (f->alert) {
	case TLS_ALERT_NO_APPLICATION_PROTOCOL:
		return CAUSE_PROTOCOL;
	case TLS_ALERT_INAPPROPRIATE_FALLBACK:
		return CAUSE_FALLBACK;
	case TLS_ALERT_HANDSHAKE_FAILURE:
	case TLS_ALERT_PROTOCOL_VERSION:
		return s->secured ? CAUSE_MALFORMED : refused_lists(f);
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

/*
 * True in TLS 1.2 when the key's curve is not among the client's groups (RFC 8422 5.1).
 */
static bool has_other_curve(const struct tls_failure *f)
{
	const struct tls_list *groups = &f->opening.offered.groups;
	uint16_t version = negotiation_version(f),
		 curve = tls_key_group(f->certificate.key);

	return version && version < TLS_VERSION_1_3 && groups->n && curve &&
	       !tls_list_has(groups, curve);
}

/* Returns the cause when the client refused a choice of this host. */
static enum cause refused_choice(const struct tls_failure *f)
{
	unsigned exchanges;

	keys_served(f, f->certificate.keys, &exchanges);
	if (has_other_curve(f))
		return CAUSE_CERTIFICATE;
	return exchanges & 1U << TLS_EXCHANGE_CURVE && f->opening.offered.groups.n == 0
		       ? CAUSE_NO_GROUPS
		       : CAUSE_ALERT;
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
	case TLS_ALERT_PROTOCOL_VERSION:
		return negotiation_version(f) ? CAUSE_VERSION_REFUSED : CAUSE_ALERT;
	case TLS_ALERT_ILLEGAL_PARAMETER:
		return refused_choice(f);
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

	if (has_other_curve(f))
		return DISLIKE_CURVE;
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
