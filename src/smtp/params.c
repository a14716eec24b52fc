/* SPDX-License-Identifier: ISC */
/*
 * Extensions and parameters, in one table each. A parameter is valid only where its
 * extension is offered, and only once. The refusal contains the parameter's name.
 */
#include "smtp/params.h"
#include "base/num.h"
#include "proto/dsn.h"
#include "proto/address.h"
#include "proto/text.h"
#include "smtp/auth.h"

enum extension {
	EXTENSION_PIPELINING, /* RFC 2920 */
	EXTENSION_SIZE, /* RFC 1870 */
	EXTENSION_STARTTLS, /* RFC 3207 */
	EXTENSION_AUTH, /* RFC 4954 */
	EXTENSION_ENHANCEDSTATUSCODES, /* RFC 2034 */
	EXTENSION_CHUNKING, /* RFC 3030 */
	EXTENSION_BINARYMIME, /* RFC 3030 */
	EXTENSION_8BITMIME, /* RFC 6152 */
	EXTENSION_SMTPUTF8, /* RFC 6531; it needs 8BITMIME */
	EXTENSION_DSN, /* RFC 3461 */
	EXTENSION_REQUIRETLS, /* RFC 8689 */
	EXTENSION_PRDR, /* draft-hall-prdr-00, as Exim implements it */
	EXTENSION_LIMITS, /* RFC 9422 */
	EXTENSION_COUNT,
};

static bool offers_starttls(const struct session *s)
{
	bool set = s->settings->tls == TLS_ON || s->settings->tls == TLS_REQUIRED;

	return set && !s->secured;
}

static void put_mechanisms(struct buf *to, const struct session *s)
{
	struct authenticator *a = s->settings->authenticator;

	buf_put_str(to, a->mechanisms(a));
}

/* SMTPUTF8 requires EHLO, because the protocol names of RFC 6531 4.3 imply ESMTP. */
static bool is_esmtp(const struct session *s)
{
	return s->esmtp;
}

static bool is_secured(const struct session *s)
{
	return s->secured;
}

/* PRDR is not offered in LMTP, which always has one reply for each recipient. */
static bool is_smtp(const struct session *s)
{
	return !s->settings->lmtp;
}

static bool offers_dsn(const struct session *s)
{
	return s->settings->dsn;
}

static bool lacks_dsn(const struct session *s)
{
	return s->settings->dsn_fault;
}

/* 0 means no limit (RFC 1870 4). */
static void put_size(struct buf *to, const struct session *s)
{
	buf_put_num(to, s->settings->size_limit);
}

/* Values have at most six digits (RFC 9422 4); the settings allow no more. */
static void put_limits(struct buf *to, const struct session *s)
{
	size_t most = s->settings->recipient_limit;

	if (s->settings->recipients_offered && s->settings->recipients_offered < most)
		most = s->settings->recipients_offered;
	buf_put(to, SPAN("RCPTMAX="));
	buf_put_num(to, most);
	buf_put(to, SPAN(" MAILMAX="));
	buf_put_num(to, s->settings->transaction_limit);
}

/* A function that is NULL means: always offered, no argument, never unavailable. */
struct extension_row {
	const char *keyword;
	bool (*is_offered)(const struct session *s);
	void (*put_argument)(struct buf *to, const struct session *s);
	bool (*is_unavailable)(const struct session *s);
};

static const struct extension_row extension_rows[EXTENSION_COUNT] = {
	[EXTENSION_PIPELINING] = { "PIPELINING", NULL, NULL, NULL },
	[EXTENSION_SIZE] = { "SIZE", NULL, put_size, NULL },
	[EXTENSION_STARTTLS] = { "STARTTLS", offers_starttls, NULL, NULL },
	[EXTENSION_AUTH] = { "AUTH", auth_is_offered, put_mechanisms,
		auth_is_unavailable },
	[EXTENSION_ENHANCEDSTATUSCODES] = { "ENHANCEDSTATUSCODES", NULL, NULL, NULL },
	[EXTENSION_CHUNKING] = { "CHUNKING", NULL, NULL, NULL },
	[EXTENSION_BINARYMIME] = { "BINARYMIME", NULL, NULL, NULL },
	[EXTENSION_8BITMIME] = { "8BITMIME", NULL, NULL, NULL },
	[EXTENSION_SMTPUTF8] = { "SMTPUTF8", is_esmtp, NULL, NULL },
	[EXTENSION_DSN] = { "DSN", offers_dsn, NULL, lacks_dsn },
	[EXTENSION_REQUIRETLS] = { "REQUIRETLS", is_secured, NULL, NULL },
	[EXTENSION_PRDR] = { "PRDR", is_smtp, NULL, NULL },
	[EXTENSION_LIMITS] = { "LIMITS", NULL, put_limits, NULL },
};

/* True when EHLO lists the extension at this point. */
static bool is_offered(const struct session *s, enum extension e)
{
	return !extension_rows[e].is_offered || extension_rows[e].is_offered(s);
}

/* True when only a fault of this host prevents that it is offered. */
static bool is_unavailable(const struct session *s, enum extension e)
{
	return extension_rows[e].is_unavailable && extension_rows[e].is_unavailable(s);
}

void extensions_put(struct buf *to, const struct session *s)
{
	for (enum extension e = 0; e < EXTENSION_COUNT; e++) {
		if (!is_offered(s, e))
			continue;
		buf_put_char(to, '\n');
		buf_put_str(to, extension_rows[e].keyword);
		if (!extension_rows[e].put_argument)
			continue;
		buf_put_char(to, ' ');
		extension_rows[e].put_argument(to, s);
	}
}

/* size-value = 1*20DIGIT (RFC 1870 3): values above UINT64_MAX are valid too */
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

/* REQUIRETLS has no value (RFC 8689 2). */
static bool parse_requiretls(void *params, const struct param *p)
{
	((struct mail_params *)params)->requiretls = true;
	return !p->has_value;
}

/* PRDR has no value (draft-hall-prdr-00 4.2). */
static bool parse_prdr(void *params, const struct param *p)
{
	((struct mail_params *)params)->prdr = true;
	return !p->has_value;
}

/* SMTPUTF8 has no value (RFC 6531 3.4). */
static bool parse_smtputf8(void *params, const struct param *p)
{
	((struct mail_params *)params)->smtputf8 = true;
	return !p->has_value;
}

/*
 * AUTH is "<>" or a mailbox, as xtext (RFC 4954 5): the submitter, which a relay passes
 * on. Filters get it; it has no other effect, because mail is not relayed.
 */
static bool parse_auth(void *params, const struct param *p)
{
	((struct mail_params *)params)->author = p->value;
	return p->has_value && xtext_valid(p->value);
}

/*
 * RET has no effect, because it applies to reports of failures (RFC 3461 4.3), and
 * replies report these.
 */
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

struct param_row {
	struct span keyword;
	enum extension of;
	/* `params` is the struct of the table: mail_params or rcpt_params */
	bool (*parse)(void *params, const struct param *p);
};

struct param_table {
	const struct param_row *rows;
	size_t n;
};

static const struct param_row mail_rows[] = {
	{ { "SIZE", 4 }, EXTENSION_SIZE, parse_size },
	{ { "BODY", 4 }, EXTENSION_8BITMIME, parse_body },
	{ { "REQUIRETLS", 10 }, EXTENSION_REQUIRETLS, parse_requiretls },
	{ { "PRDR", 4 }, EXTENSION_PRDR, parse_prdr },
	{ { "SMTPUTF8", 8 }, EXTENSION_SMTPUTF8, parse_smtputf8 },
	{ { "AUTH", 4 }, EXTENSION_AUTH, parse_auth },
	{ { "RET", 3 }, EXTENSION_DSN, parse_ret },
	{ { "ENVID", 5 }, EXTENSION_DSN, parse_envid },
};

static const struct param_row rcpt_rows[] = {
	{ { "NOTIFY", 6 }, EXTENSION_DSN, parse_notify },
	{ { "ORCPT", 5 }, EXTENSION_DSN, parse_orcpt },
};

static const struct param_table mail_table = { mail_rows,
	sizeof(mail_rows) / sizeof(*mail_rows) };

static const struct param_table rcpt_table = { rcpt_rows,
	sizeof(rcpt_rows) / sizeof(*rcpt_rows) };

static const struct param_row *find(
	const struct session *s, const struct param_table *t, struct span keyword)
{
	for (size_t i = 0; i < t->n; i++)
		if (span_ieq(t->rows[i].keyword, keyword) &&
			(is_offered(s, t->rows[i].of) ||
				is_unavailable(s, t->rows[i].of)))
			return &t->rows[i];
	return NULL;
}

/*
 * Parameters are parsed even if a fault of this host disables their extension, so that
 * the client gets a temporary refusal.
 */
static bool is_missing(const struct session *s, const struct param_row *row)
{
	return !is_offered(s, row->of);
}

static struct answer take(
	struct session *s, const struct param_table *t, struct span args, void *ret)
{
	unsigned seen = 0;
	struct param p;
	enum param_step step;

	while ((step = param_take(&args, &p)) == PARAM_ONE) {
		const struct param_row *row = find(s, t, p.keyword);
		unsigned bit;
		/* UTF-8 is valid only in the values that allow it (RFC 6531 3.3) */
		if (!row)
			return answer_with(
				p.utf8 ? REPLY_PARAMETER_SYNTAX : REPLY_PARAMETER_UNKNOWN,
				p.keyword);
		bit = 1U << (row - t->rows);
		if (seen & bit)
			return answer_with(REPLY_PARAMETER_TWICE, p.keyword);
		seen |= bit;
		if (!row->parse(ret, &p))
			return answer_with(REPLY_PARAMETER_SYNTAX, p.keyword);
		if (is_missing(s, row))
			return answer_with(REPLY_PARAMETER_UNAVAILABLE, p.keyword);
	}
	if (step == PARAM_SYNTAX)
		return answer_with(REPLY_PARAMETER_SYNTAX, p.keyword);
	return (struct answer){ 0 };
}

struct answer params_mail(struct session *s, struct span args, struct mail_params *ret)
{
	return take(s, &mail_table, args, ret);
}

struct answer params_rcpt(struct session *s, struct span args, struct rcpt_params *ret)
{
	ret->utf8 = s->tx.params.smtputf8;
	return take(s, &rcpt_table, args, ret);
}
