/* SPDX-License-Identifier: ISC */
/* Internationalized addresses: converts the paths of a transaction by names.h. */
#include "smtp/names.h"
#include "proto/text.h"

static const struct reply *refusal_of(enum names_result result, enum reply_name invalid)
{
	switch (result) {
	case NAMES_FINE:
		return NULL;
	case NAMES_INVALID:
		return reply_get(invalid);
	default:
		return reply_get(REPLY_NAMES_UNAVAILABLE);
	}
}

static const struct reply *settle_domain(
	struct names *names, struct span domain, enum reply_name invalid, struct buf *to)
{
	if (!utf8_is_ascii(domain))
		return refusal_of(names->domain(names, domain, to), invalid);
	buf_put(to, domain);
	return NULL;
}

/* Case conversion depends on adjacent letters, so quotes are removed first. */
static const struct reply *settle_local(
	struct names *names, struct span local, struct buf *to)
{
	char octets[PATH_OCTETS_MAX], settled[NAMES_LOCAL_MAX];
	struct buf plain = BUF(octets), form = BUF(settled);
	enum names_result result;

	if (utf8_is_ascii(local)) {
		buf_put(to, local);
		return NULL;
	}
	local_unquote(local, &plain);
	result = names->local(names, buf_span(&plain), &form);
	if (form.overflow)
		result = NAMES_INVALID;
	local_quote(buf_span(&form), to);
	return refusal_of(result, REPLY_MAILBOX_NAME);
}

const struct reply *names_check_sender(struct names *names, const struct path *sender)
{
	char octets[DOMAIN_OCTETS_MAX];
	struct buf domain = BUF(octets);

	return settle_domain(names, sender->domain, REPLY_SENDER_DOMAIN, &domain);
}

const struct reply *names_settle(struct names *names, struct recipient *r)
{
	char local_octets[2 * NAMES_LOCAL_MAX + 2], domain_octets[DOMAIN_OCTETS_MAX];
	struct buf local = BUF(local_octets), domain = BUF(domain_octets);
	const struct reply *refusal =
		settle_domain(names, r->domain, REPLY_RECIPIENT_DOMAIN, &domain);

	if (!refusal)
		refusal = settle_local(names, r->local, &local);
	if (!refusal && tx_rename_recipient(r, buf_span(&local), buf_span(&domain)) < 0)
		refusal = reply_get(REPLY_NO_MEMORY);
	return refusal;
}
