/* SPDX-License-Identifier: ISC */
/*
 * The module idn.so, and a part of tls.so: the one file that uses libidn2 and
 * libunistring. The result for a domain is always a domain name in ASCII, because the
 * output of the libraries is checked. The locale has no influence.
 */
#include "edge/idn/idn.h"
#include <errno.h>
#include <idn2.h>
#include <unicase.h>
#include <uninorm.h>
#include "base/cleanup.h"
#include "proto/text.h"

/*
 * The first step makes the form of U-labels, as in UTS 46: users write capitals, and some
 * systems separate accents from their letters. Sharp s and final sigma are letters of
 * their own.
 */
#define TO_FORM (IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL)
/*
 * In the second step each label must be valid in IDNA2008 (RFC 5891 5.4), which forbids
 * symbols and emoji. The library's option against symbols, IDN2_USE_STD3_ASCII_RULES, is
 * not used, because it removes what it forbids.
 */
#define IS_LABEL (IDN2_NO_TR46 | IDN2_ALABEL_ROUNDTRIP)

static void free_text(uint8_t **text)
{
	idn2_free(*text);
}

static enum names_result result_of(int r)
{
	if (r == IDN2_OK)
		return NAMES_FINE;
	return r == IDN2_MALLOC ? NAMES_UNAVAILABLE : NAMES_INVALID;
}

/* Refuses an address literal that is written in other characters than its own. */
static enum names_result put_name(struct buf *to, const uint8_t *text)
{
	struct span name = span_of((const char *)text);

	if (!domain_valid(name) || name.p[0] == '[')
		return NAMES_INVALID;
	buf_put(to, name);
	return NAMES_FINE;
}

static enum names_result idn_domain(struct span domain, struct buf *to)
{
	CLEANUP(free_text) uint8_t *form = NULL;
	CLEANUP(free_text) uint8_t *ascii = NULL;
	char octets[DOMAIN_OCTETS_MAX + 1];
	struct buf text = BUF(octets);
	enum names_result r;

	buf_put(&text, domain);
	if (!domain_valid_utf8(domain) || !buf_terminate(&text))
		return NAMES_INVALID;
	r = result_of(idn2_lookup_u8((const uint8_t *)octets, &form, TO_FORM));
	if (r == NAMES_FINE)
		r = result_of(idn2_lookup_u8(form, &ascii, IS_LABEL));
	return r == NAMES_FINE ? put_name(to, ascii) : r;
}

static enum names_result idn_local(struct span local, struct buf *to)
{
	OWNED uint8_t *lower = NULL;
	size_t n = 0;

	if (!utf8_valid(local))
		return NAMES_INVALID;
	lower = u8_tolower(
		(const uint8_t *)local.p, local.n, NULL, UNINORM_NFC, NULL, &n);
	if (!lower)
		return errno == ENOMEM ? NAMES_UNAVAILABLE : NAMES_INVALID;
	buf_put(to, (struct span){ (const char *)lower, n });
	return NAMES_FINE;
}

__attribute__((visibility("default"))) const struct idn_api postern_idn = {
	.domain = idn_domain,
	.local = idn_local,
};
