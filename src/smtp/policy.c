/* Promises that each rule of acceptance stands here, once. Refuses to know where mail
 * goes. */
#include "smtp/policy.h"

static const struct session_settings *settings_of(struct stage *st)
{
	return ((struct policy *)st)->settings;
}

/* A limit of 0 is none (RFC 1870 4). */
static bool is_too_big(struct stage *st, uint64_t octets)
{
	uint64_t limit = settings_of(st)->size_limit;

	return limit && octets > limit;
}

static const struct reply *policy_mail(struct stage *st, const struct tx *tx)
{
	bool too_big = tx->params.has_size && is_too_big(st, tx->params.size);

	return too_big ? reply_get(REPLY_SIZE_DECLARED) : NULL;
}

static bool domain_matches(struct span pattern, struct span domain)
{
	if (span_eq(pattern, SPAN("*")))
		return true;
	if (pattern.n > 2 && pattern.p[0] == '*' && domain.n > pattern.n - 1)
		domain = span_from(domain, domain.n - (pattern.n - 1));
	if (pattern.n > 2 && pattern.p[0] == '*')
		pattern = span_from(pattern, 1);
	return span_ieq(pattern, domain);
}

/* <postmaster> without a domain is ours wherever it comes from (RFC 5321 4.5.1). */
static bool domain_is_ours(const struct session_settings *settings, struct span domain)
{
	for (size_t i = 0; i < settings->n_domains; i++)
		if (domain_matches(span_of(settings->domains[i]), domain))
			return true;
	return domain.n == 0;
}

static const struct reply *policy_rcpt(
	struct stage *st, const struct tx *tx, struct recipient *r)
{
	if (tx->n_recipients > settings_of(st)->recipient_limit)
		return reply_get(REPLY_RECIPIENT_MANY);
	if (!domain_is_ours(settings_of(st), r->domain))
		return reply_get(REPLY_DOMAIN_UNKNOWN);
	return NULL;
}

static const struct reply *policy_body(
	struct stage *st, const struct tx *tx, struct span text)
{
	(void)text;
	return is_too_big(st, tx->octets) ? reply_get(REPLY_SIZE_ACTUAL) : NULL;
}

static const struct reply *policy_prepare(struct stage *st, struct tx *tx)
{
	if (tx->bare && settings_of(st)->bare_newline == BARE_REJECT)
		return reply_get(REPLY_CONTENT_BARE);
	if (tx->too_long)
		return reply_get(REPLY_CONTENT_LINE);
	if (tx->header.n_received >= HOPS_MAX)
		return reply_get(REPLY_HOPS);
	return NULL;
}

static const struct stage_ops policy_ops = {
	.mail = policy_mail,
	.rcpt = policy_rcpt,
	.body = policy_body,
	.prepare = policy_prepare,
};

void policy_init(struct policy *p, const struct session_settings *settings)
{
	*p = (struct policy){ .stage.ops = &policy_ops, .settings = settings };
}
