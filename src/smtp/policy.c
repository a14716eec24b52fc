/* Promises that each rule of acceptance stands here, once. Refuses to know where mail
 * goes. */
#include "smtp/policy.h"
#include "proto/utf8.h"
#include "smtp/authenticator.h"
#include "smtp/names.h"

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

/* Who is logged in writes as nobody else. Where nobody is, this is no question. */
static const struct reply *judge_sender(
	const struct session_settings *settings, const struct tx *tx)
{
	struct authenticator *a = settings->authenticator;

	if (!tx->user)
		return NULL;
	switch (a->sender(a, tx->user, span_of(tx->sender))) {
	case AUTH_SENDER_FINE:
		return NULL;
	case AUTH_SENDER_FOREIGN:
		return reply_get(REPLY_SENDER_FOREIGN);
	default:
		return reply_get(REPLY_SENDER_UNAVAILABLE);
	}
}

static const struct reply *policy_mail(struct stage *st, const struct tx *tx)
{
	bool too_big = tx->params.has_size && is_too_big(st, tx->params.size);
	const struct reply *r = judge_sender(settings_of(st), tx);

	if (r)
		return r;
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

/* A-label = "xn--" 1*LDH (RFC 5890 2.3.2.1) */
static bool has_a_label(struct span domain)
{
	static const struct span prefix = { "xn--", 4 };

	while (domain.n > prefix.n) {
		const char *dot = memchr(domain.p, '.', domain.n);
		if (span_ieq((struct span){ domain.p, prefix.n }, prefix))
			return true;
		domain = span_from(domain, dot ? (size_t)(dot - domain.p) + 1 : domain.n);
	}
	return false;
}

/* The same for a pattern with U-labels. INVALID: it does not match. */
static enum names_result match_u_labels(
	struct names *names, struct span pattern, struct span domain)
{
	char octets[sizeof("*.") + DOMAIN_OCTETS_MAX];
	struct buf b = BUF(octets);
	enum names_result r;

	if (pattern.p[0] == '*') {
		buf_put(&b, SPAN("*."));
		pattern = span_from(pattern, 2);
	}
	r = names->domain(names, pattern, &b);
	if (r == NAMES_FINE && !domain_matches(buf_span(&b), domain))
		return NAMES_INVALID;
	return r;
}

/* U-labels are A-labels in other letters: no other domain has a reason to ask what they are. */
static enum names_result match(
	struct names *names, struct span pattern, struct span domain)
{
	if (domain_matches(pattern, domain))
		return NAMES_FINE;
	if (utf8_is_ascii(pattern) || !has_a_label(domain))
		return NAMES_INVALID;
	return match_u_labels(names, pattern, domain);
}

/* <postmaster> without a domain is ours wherever it comes from (RFC 5321 4.5.1). */
const struct reply *policy_judge_domain(
	const struct session_settings *settings, struct span domain)
{
	enum reply_name verdict = REPLY_DOMAIN_UNKNOWN;

	if (domain.n == 0)
		return NULL;
	for (size_t i = 0; i < settings->n_domains; i++) {
		struct span pattern = span_of(settings->domains[i]);
		enum names_result r = match(settings->names, pattern, domain);
		if (r == NAMES_FINE)
			return NULL;
		if (r == NAMES_UNAVAILABLE)
			verdict = REPLY_NAMES_UNAVAILABLE;
	}
	return reply_get(verdict);
}

static const struct reply *policy_rcpt(
	struct stage *st, const struct tx *tx, struct recipient *r)
{
	if (tx->n_recipients > settings_of(st)->recipient_limit)
		return reply_get(REPLY_RECIPIENT_MANY);
	return policy_judge_domain(settings_of(st), r->domain);
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
