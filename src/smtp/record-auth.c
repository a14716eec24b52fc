/* Promises the names of users and of mechanisms, and nothing else that was said to log in. */
#include "smtp/record-auth.h"
#include "proto/text.h"
#include "smtp/session.h"

static void put_word(struct buf *b, const char *word)
{
	text_escape(b, span_of(word), RECORD_VALUE_MAX);
}

void record_put_user(const struct session *s, struct buf *b)
{
	put_word(b, s->user);
}

void record_put_mechanism(const struct session *s, struct buf *b)
{
	if (s->user[0])
		put_word(b, s->mechanism);
}

void record_put_failures(const struct session *s, struct buf *b)
{
	if (s->n_auth_failures)
		buf_put_num(b, s->n_auth_failures);
}

void record_put_auth_outcome(const struct session *s, struct buf *b)
{
	if (s->outcome == reply_get(REPLY_AUTH_FAILED))
		buf_put(b, SPAN("failed"));
	else if (s->outcome == reply_get(REPLY_AUTH_UNAVAILABLE))
		buf_put(b, SPAN("unavailable"));
	else if (!s->outcome || s->outcome == reply_get(REPLY_AUTH_CANCELLED))
		buf_put(b, SPAN("given-up"));
	else
		buf_put(b, SPAN("refused"));
}

void record_put_auth_user(const struct session *s, struct buf *b)
{
	put_word(b, s->settings->authenticator->user(s->settings->authenticator));
}

void record_put_auth_mechanism(const struct session *s, struct buf *b)
{
	put_word(b, s->mechanism);
}
