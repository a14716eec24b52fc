/*
 * Promises that a parameter is known exactly where its extension is offered, that none is given twice,
 * and that a refusal names it. Refuses to know what the values are for.
 */
#include "smtp/params.h"
#include "base/num.h"
#include "proto/dsn.h"
#include "proto/address.h"
#include "proto/text.h"
#include "smtp/extensions.h"
#include "smtp/session.h"

/* size-value = 1*20DIGIT (RFC 1870 3): some of them are above UINT64_MAX, and no less valid */
static bool parse_size(void *params, const struct param *p)
{
	struct mail_params *mail = params;

	mail->has_size = true;
	if (num_parse(p->value, &mail->size))
		return true;
	mail->size = UINT64_MAX;
	return num_is_digits(p->value);
}

/* body-value = "7BIT" / "8BITMIME" (RFC 6152 2) / "BINARYMIME" (RFC 3030 3) */
static bool parse_body(void *params, const struct param *p)
{
	struct mail_params *mail = params;

	if (span_ieq(p->value, SPAN("7BIT")))
		mail->body = BODY_7BIT;
	else if (span_ieq(p->value, SPAN("8BITMIME")))
		mail->body = BODY_8BITMIME;
	else if (span_ieq(p->value, SPAN("BINARYMIME")))
		mail->body = BODY_BINARYMIME;
	return mail->body != BODY_UNSPECIFIED;
}

/* The keyword alone (RFC 8689 2). */
static bool parse_requiretls(void *params, const struct param *p)
{
	((struct mail_params *)params)->requiretls = true;
	return !p->has_value;
}

/* The keyword alone (draft-hall-prdr-00 4.2). */
static bool parse_prdr(void *params, const struct param *p)
{
	((struct mail_params *)params)->prdr = true;
	return !p->has_value;
}

/* The keyword alone (RFC 6531 3.4). */
static bool parse_smtputf8(void *params, const struct param *p)
{
	((struct mail_params *)params)->smtputf8 = true;
	return !p->has_value;
}

/*
 * "<>" or a mailbox, as xtext (RFC 4954 5): who has submitted the message to the one that sends it on. Here it
 * is at its end, and nobody's word is taken for it.
 */
static bool parse_auth(void *params, const struct param *p)
{
	(void)params;
	return p->has_value && xtext_valid(p->value);
}

/* RET is about failures (RFC 3461 4.3), and those are told in replies: it changes nothing. */
static bool parse_ret(void *params, const struct param *p)
{
	(void)params;
	return dsn_is_ret(p->value);
}

static bool parse_envid(void *params, const struct param *p)
{
	((struct mail_params *)params)->envid = p->value;
	return dsn_is_envid(p->value);
}

static bool parse_notify(void *params, const struct param *p)
{
	return dsn_notify(p->value, &((struct rcpt_params *)params)->report);
}

static bool parse_orcpt(void *params, const struct param *p)
{
	struct rcpt_params *rcpt = params;

	rcpt->orcpt = p->value;
	return dsn_is_orcpt(p->value, rcpt->utf8);
}

struct row {
	struct span keyword;
	enum extension of;
	bool (*parse)(void *params, const struct param *p); /* the table's struct */
};

struct table {
	const struct row *rows;
	size_t n;
};

static const struct row mail_rows[] = {
	{ { "SIZE", 4 }, EXTENSION_SIZE, parse_size },
	{ { "BODY", 4 }, EXTENSION_8BITMIME, parse_body },
	{ { "REQUIRETLS", 10 }, EXTENSION_REQUIRETLS, parse_requiretls },
	{ { "PRDR", 4 }, EXTENSION_PRDR, parse_prdr },
	{ { "SMTPUTF8", 8 }, EXTENSION_SMTPUTF8, parse_smtputf8 },
	{ { "AUTH", 4 }, EXTENSION_AUTH, parse_auth },
	{ { "RET", 3 }, EXTENSION_DSN, parse_ret },
	{ { "ENVID", 5 }, EXTENSION_DSN, parse_envid },
};

static const struct row rcpt_rows[] = {
	{ { "NOTIFY", 6 }, EXTENSION_DSN, parse_notify },
	{ { "ORCPT", 5 }, EXTENSION_DSN, parse_orcpt },
};

static const struct table mail_table = { mail_rows,
	sizeof(mail_rows) / sizeof(*mail_rows) };

static const struct table rcpt_table = { rcpt_rows,
	sizeof(rcpt_rows) / sizeof(*rcpt_rows) };

static const struct row *find(
	const struct session *s, const struct table *t, struct span keyword)
{
	for (size_t i = 0; i < t->n; i++)
		if (span_ieq(t->rows[i].keyword, keyword) &&
			(extension_is_offered(s, t->rows[i].of) ||
				extension_is_unavailable(s, t->rows[i].of)))
			return &t->rows[i];
	return NULL;
}

/* A client that has not looked at EHLO is to come again, where its parameter is missing through our own fault. */
static bool is_missing(const struct session *s, const struct row *row)
{
	return !extension_is_offered(s, row->of);
}

static const struct reply *take(
	struct session *s, const struct table *t, struct span args, void *ret)
{
	unsigned seen = 0;
	struct param p;
	enum param_step step;

	while ((step = param_take(&args, &p)) == PARAM_ONE) {
		const struct row *row = find(s, t, p.keyword);
		unsigned bit;
		/* UTF-8 is no value but where a parameter is known to have it (RFC 6531 3.3) */
		if (!row)
			return session_reply(s,
				p.utf8 ? REPLY_PARAMETER_SYNTAX : REPLY_PARAMETER_UNKNOWN,
				p.keyword);
		bit = 1U << (row - t->rows);
		if (seen & bit)
			return session_reply(s, REPLY_PARAMETER_TWICE, p.keyword);
		seen |= bit;
		if (!row->parse(ret, &p))
			return session_reply(s, REPLY_PARAMETER_SYNTAX, p.keyword);
		if (is_missing(s, row))
			return session_reply(s, REPLY_PARAMETER_UNAVAILABLE, p.keyword);
	}
	if (step == PARAM_SYNTAX)
		return session_reply(s, REPLY_PARAMETER_SYNTAX, p.keyword);
	return NULL;
}

const struct reply *params_mail(
	struct session *s, struct span args, struct mail_params *ret)
{
	return take(s, &mail_table, args, ret);
}

const struct reply *params_rcpt(
	struct session *s, struct span args, struct rcpt_params *ret)
{
	ret->utf8 = s->tx.params.smtputf8;
	return take(s, &rcpt_table, args, ret);
}
