/* Promises that nothing is listed that cannot be used now; refuses to know how it is used. */
#include "smtp/extensions.h"
#include "smtp/auth.h"
#include "smtp/authenticator.h"

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

/* Its name in the trace header, UTF8SMTP, is a kind of ESMTP (RFC 6531 4.3). */
static bool is_esmtp(const struct session *s)
{
	return s->esmtp;
}

static bool is_secured(const struct session *s)
{
	return s->secured;
}

/* LMTP always has a reply for each recipient. */
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

/* 0 is no limit (RFC 1870 4). */
static void put_size(struct buf *to, const struct session *s)
{
	buf_put_num(to, s->settings->size_limit);
}

/* Each has six digits at most, as the settings have (RFC 9422 4). */
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

/* NULL: always, and no argument; and never through a fault of this host alone. */
struct row {
	const char *keyword;
	bool (*is_offered)(const struct session *s);
	void (*put_argument)(struct buf *to, const struct session *s);
	bool (*is_unavailable)(const struct session *s);
};

static const struct row rows[EXTENSION_COUNT] = {
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

bool extension_is_offered(const struct session *s, enum extension e)
{
	return !rows[e].is_offered || rows[e].is_offered(s);
}

bool extension_is_unavailable(const struct session *s, enum extension e)
{
	return rows[e].is_unavailable && rows[e].is_unavailable(s);
}

void extensions_put(struct buf *to, const struct session *s)
{
	for (enum extension e = 0; e < EXTENSION_COUNT; e++) {
		if (!extension_is_offered(s, e))
			continue;
		buf_put_char(to, '\n');
		buf_put_str(to, rows[e].keyword);
		if (!rows[e].put_argument)
			continue;
		buf_put_char(to, ' ');
		rows[e].put_argument(to, s);
	}
}
