/* Promises names of IANA's and nothing of the client's own choosing; refuses to judge. */
#include "smtp/failure.h"
#include "proto/text.h"
#include "proto/tls-names.h"

void failure_put_error(const struct session *s, struct buf *b)
{
	if (s->failure)
		text_escape(b, span_of(s->failure->error), RECORD_VALUE_MAX);
}

void failure_put_alert(const struct session *s, struct buf *b)
{
	if (!s->failure || s->failure->alert == TLS_NO_ALERT)
		return;
	buf_put(b, s->failure->alert_sent ? SPAN("sent ") : SPAN("received "));
	tls_put_alert(b, (uint8_t)s->failure->alert);
}

void failure_put_offered(const struct session *s, struct buf *b)
{
	if (s->failure)
		tls_terms_put(b, &s->failure->opening.offered);
}

void failure_put_allowed(const struct session *s, struct buf *b)
{
	struct tls_terms allowed;

	if (!s->failure || s->failure->opening.offered.versions.n == 0)
		return;
	allowed = s->failure->allowed;
	tls_terms_keep(&allowed, s->failure->certificate.keys);
	tls_terms_put(b, &allowed);
}
