/*
 * What TLS makes of a session. Promises that nothing said in the clear counts inside TLS; refuses to speak.
 */
#include "smtp/session.h"
#include "proto/text.h"

void session_tls_fault(struct session *s, const char *fault)
{
	struct buf b = BUF(s->tls_fault);

	text_escape(&b, span_of(fault), FACT_NAME_MAX - 1);
	buf_terminate(&b);
}

void session_secured(struct session *s, const struct tls_facts *facts)
{
	/* first, as a transaction that STARTTLS ends is not a check of addresses */
	s->phase = PHASE_CONNECTED;
	session_end_tx(s, NULL);
	s->helo[0] = '\0';
	s->esmtp = false;
	s->secured = true;
	s->tls = *facts;
}

void session_tls_failed(
	struct session *s, const struct tls_failure *failure, const struct moment *now)
{
	s->tls_failed = true;
	s->failure = failure;
	session_stop(s, END_TLS_FAILED, now);
	s->failure = NULL;
}

/* In TLS 1.3 a server is through before the client has judged (RFC 8446 4.4.4). */
void session_tls_lost(struct session *s, enum session_end why,
	const struct tls_failure *failure, const struct moment *now)
{
	if (failure->how == TLS_END_ALERT && !s->helo[0]) {
		session_tls_failed(s, failure, now);
		return;
	}
	s->failure = failure;
	session_stop(s, why, now);
	s->failure = NULL;
}
