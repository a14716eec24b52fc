/* Promises one short line of printable ASCII for every state; refuses to know who reads it. */
#include "smtp/status.h"
#include "proto/text.h"
#include "smtp/session.h"

#define HELO_SHOWN_MAX 80

static const char *state(const struct session *s)
{
	switch (s->phase) {
	case PHASE_CONTENT:
	case PHASE_CHUNK:
	case PHASE_CHUNKS:
		return "Receiving a message";
	case PHASE_MAIL:
	case PHASE_RESULTS:
		return "In a transaction";
	case PHASE_AUTH:
		return "Logging in";
	case PHASE_ENDED:
		return session_status(s) ? session_status(s) : "Ended";
	default:
		return "Connected";
	}
}

void status_put(const struct session *s, struct buf *to)
{
	buf_put_str(to, state(s));
	buf_put(to, SPAN(": "));
	buf_put_str(to, s->peer.address[0] ? s->peer.address : "unknown");
	if (s->helo[0]) {
		buf_put(to, SPAN(" ("));
		text_escape(to, span_of(s->helo), HELO_SHOWN_MAX);
		buf_put_char(to, ')');
	}
	if (s->secured) {
		buf_put(to, SPAN(", "));
		buf_put_str(to, s->tls.version);
	}
	if (s->n_messages) {
		buf_put(to, SPAN(", "));
		buf_put_num(to, s->n_messages);
		buf_put_str(to,
			s->n_messages > 1 ? " messages delivered" : " message delivered");
	}
}
