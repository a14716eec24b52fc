/*
 * Goes the way that a TLS server goes, from the version to the signature, and stops where
 * nothing is left. Promises that what it says is so by the two lists; where they do not
 * tell (a list was cut, or the library had another reason) it says so.
 */
#include "smtp/negotiation.h"
#include "proto/tls-names.h"

#define SCHEMES_1_3 0x08 /* the high octet of what TLS 1.3 signs with, ECDSA apart */

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

/* TLS 1.3 has suites of its own, and no others (RFC 8446 B.4). */
static bool is_of_version(uint16_t suite, uint16_t version)
{
	return (version == TLS_VERSION_1_3) ==
	       (tls_suite_exchange(suite) == TLS_EXCHANGE_1_3);
}

/* Both know it, and it is one of that version. */
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

/* Of the version that both allow there is no suite in common. */
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

/* A bit for each way (enum tls_exchange) of the suites that our keys can serve. */
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

/* A client of TLS 1.2 that names no group can do any curve (RFC 8422 4). */
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
