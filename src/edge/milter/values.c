/* SPDX-License-Identifier: ISC */
/* The values of macros, from the state of the session. */
#include "edge/milter/parts.h"

static void set(struct milter_values *v, enum milter_macro macro, const char *text)
{
	if (text && *text)
		v->of[macro] = span_of(text);
}

/* What stands behind the "@"; of a path without one nothing. */
static struct span domain_of(struct span path)
{
	const char *at = path.n ? memrchr(path.p, '@', path.n) : NULL;

	return at ? span_from(path, (size_t)(at - path.p) + 1) : (struct span){ 0 };
}

void values_of_session(struct milter_values *v, const struct session *s)
{
	*v = (struct milter_values){ 0 };
	set(v, MILTER_MACRO_HOSTNAME, s->settings->hostname);
	set(v, MILTER_MACRO_DAEMON_NAME, s->settings->hostname);
	set(v, MILTER_MACRO_VERSION, "postern");
	set(v, MILTER_MACRO_CLIENT_ADDR, s->peer.address);
	set(v, MILTER_MACRO_TLS_VERSION, s->tls.version);
	set(v, MILTER_MACRO_CIPHER, s->tls.cipher);
	set(v, MILTER_MACRO_TLS_SNI, s->tls.sni);
}

void values_of_mail(struct milter_values *v, const struct session *s, const struct tx *tx)
{
	values_of_session(v, s);
	set(v, MILTER_MACRO_ID, tx->id);
	if (tx->user)
		set(v, MILTER_MACRO_AUTH_TYPE, s->mechanism);
	set(v, MILTER_MACRO_AUTH_AUTHEN, tx->user);
	set(v, MILTER_MACRO_MAIL_ADDR, tx->sender);
	v->of[MILTER_MACRO_MAIL_HOST] = domain_of(span_of(tx->sender));
	set(v, MILTER_MACRO_MAIL_MAILER, "smtp");
}

void values_of_rcpt(
	struct milter_values *v, const struct tx *tx, const struct recipient *r)
{
	*v = (struct milter_values){ 0 };
	set(v, MILTER_MACRO_ID, tx->id);
	v->of[MILTER_MACRO_RCPT_ADDR] = r->mailbox;
	v->of[MILTER_MACRO_RCPT_HOST] = r->domain;
	set(v, MILTER_MACRO_RCPT_MAILER, "local");
}
