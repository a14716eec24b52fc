/*
 * What DATA must make of its input, said a second time and in another way (RFC 5321 4.5.2): all of it
 * lies in memory, and whole lines are looked at one after another.
 */
#pragma once

#include <stdint.h>
#include <stdlib.h>
#include "base/span.h"
#include "proto/data.h"

struct content {
	char *text;
	size_t n_text;
	uint64_t octets;
	bool bare;
	bool end;
	size_t n_rest; /* octets behind the end */
};

static inline void content_put_line(struct content *c, struct span body, bool crlf)
{
	for (size_t i = 0; i < body.n; i++) {
		c->bare |= body.p[i] == '\r';
		c->text[c->n_text++] = body.p[i] == '\r' ? ' ' : body.p[i];
	}
	c->text[c->n_text++] = '\n';
	c->bare |= !crlf;
	c->octets += body.n + 1 + crlf;
}

/* Lines without an end at the end of the input are left out. */
static inline struct content content_decode(struct span raw, bool after_crlf)
{
	struct content c = { .text = malloc(raw.n + 1) };
	const char *lf;

	if (!c.text)
		abort();
	while (!c.end && raw.n && (lf = memchr(raw.p, '\n', raw.n))) {
		size_t n = (size_t)(lf - raw.p);
		bool crlf = n && lf[-1] == '\r';
		struct span body = { raw.p, n - crlf };
		bool is_dot = span_eq(body, SPAN("."));
		raw = span_from(raw, n + 1);
		c.end = is_dot && crlf && after_crlf;
		if (c.end)
			break;
		if (body.n && body.p[0] == '.' && !is_dot)
			body = span_from(body, 1);
		content_put_line(&c, body, crlf);
		after_crlf = crlf;
	}
	c.n_rest = raw.n;
	return c;
}
