/* SPDX-License-Identifier: ISC */
/*
 * The rules of acceptance, in one place. Only the number of recipients is checked in
 * mail.c, before they are copied.
 */
#include "smtp/policy.h"
#include <stdlib.h>
#include <string.h>
#include "proto/text.h"
#include "smtp/authenticator.h"
#include "smtp/names.h"

static const struct session_settings *settings_of(struct stage *st)
{
	return ((struct policy *)st)->settings;
}

/* A limit of 0 means no limit (RFC 1870 4). */
static bool is_too_big(struct stage *st, uint64_t octets)
{
	uint64_t limit = settings_of(st)->size_limit;

	return limit && octets > limit;
}

/* A logged-in user may use only its own senders. Other clients are not checked. */
static const struct reply *judge_sender(struct stage *st, const struct tx *tx)
{
	struct authenticator *a = settings_of(st)->authenticator;

	if (!tx->user)
		return NULL;
	switch (a->sender(a, tx->user, span_of(tx->sender), &st->fault)) {
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
	const struct reply *r = judge_sender(st, tx);

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

	while (domain.n) {
		struct span label = span_take(&domain, '.');
		if (label.n > prefix.n &&
			span_ieq((struct span){ label.p, prefix.n }, prefix))
			return true;
	}
	return false;
}

/*
 * Converts the pattern's U-labels to A-labels; *ret is owned. INVALID: a label is
 * invalid, and the pattern matches nothing.
 */
static enum names_result convert(struct names *names, struct span pattern, char **ret)
{
	char octets[sizeof("*.") + DOMAIN_OCTETS_MAX];
	struct buf b = BUF(octets);
	enum names_result r;

	if (pattern.n > 2 && pattern.p[0] == '*') {
		buf_put(&b, SPAN("*."));
		pattern = span_from(pattern, 2);
	}
	r = names->domain(names, pattern, &b);
	if (r == NAMES_FINE && b.overflow)
		return NAMES_INVALID;
	if (r == NAMES_FINE && !(*ret = strndup(b.p, b.n)))
		return NAMES_UNAVAILABLE;
	return r;
}

enum names_result policy_convert(struct policy *p)
{
	const struct session_settings *settings = p->settings;

	for (; p->n_converted < settings->n_domains; p->n_converted++) {
		struct span pattern = span_of(settings->domains[p->n_converted]);
		if (utf8_is_ascii(pattern))
			continue;
		if (!p->forms)
			p->forms = calloc(settings->n_domains, sizeof(*p->forms));
		if (!p->forms || convert(settings->names, pattern,
					 &p->forms[p->n_converted]) == NAMES_UNAVAILABLE)
			return NAMES_UNAVAILABLE;
	}
	return NAMES_FINE;
}

/*
 * Compares with the converted patterns. Only domains with A-labels need these, because
 * U-labels of patterns become A-labels.
 */
static const struct reply *judge_a_labels(struct policy *p, struct span domain)
{
	enum names_result r = policy_convert(p);

	for (size_t i = 0; p->forms && i < p->settings->n_domains; i++)
		if (p->forms[i] && domain_matches(span_of(p->forms[i]), domain))
			return NULL;
	return reply_get(
		r == NAMES_UNAVAILABLE ? REPLY_NAMES_UNAVAILABLE : REPLY_DOMAIN_UNKNOWN);
}

/* <postmaster> without a domain is always accepted (RFC 5321 4.5.1). */
static const struct reply *judge_domain(
	struct policy *p, struct span domain, bool with_any)
{
	const struct session_settings *settings = p->settings;

	if (domain.n == 0)
		return NULL;
	for (size_t i = 0; i < settings->n_domains; i++) {
		struct span pattern = span_of(settings->domains[i]);
		if ((with_any || !span_eq(pattern, SPAN("*"))) &&
			domain_matches(pattern, domain))
			return NULL;
	}
	return has_a_label(domain) ? judge_a_labels(p, domain)
				   : reply_get(REPLY_DOMAIN_UNKNOWN);
}

const struct reply *policy_judge_domain(struct policy *p, struct span domain)
{
	return judge_domain(p, domain, true);
}

/*
 * Mail of logged-in users may be passed on to other hosts. Therefore a host with users
 * accepts mail for any domain only from them: otherwise port 25 would be an open relay.
 */
static const struct reply *policy_rcpt(
	struct stage *st, const struct tx *tx, struct recipient *to)
{
	struct policy *p = (struct policy *)st;
	bool with_any = tx->user || !p->settings->any_needs_login;
	const struct reply *r = judge_domain(p, to->domain, with_any);

	if (r && !with_any && !judge_domain(p, to->domain, true))
		return reply_get(REPLY_AUTH_FIRST);
	if (r == reply_get(REPLY_NAMES_UNAVAILABLE) && !st->fault)
		st->fault = settings_of(st)->names->fault;
	return r;
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

static void policy_clear(struct stage *st)
{
	st->fault = NULL;
}

static const struct stage_ops policy_ops = {
	.mail = policy_mail,
	.rcpt = policy_rcpt,
	.body = policy_body,
	.prepare = policy_prepare,
	.clear = policy_clear,
};

void policy_init(struct policy *p, const struct session_settings *settings)
{
	*p = (struct policy){ .stage.ops = &policy_ops, .settings = settings };
}

void policy_done(struct policy *p)
{
	for (size_t i = 0; p->forms && i < p->settings->n_domains; i++)
		free(p->forms[i]);
	free(p->forms);
	*p = (struct policy){ 0 };
}
