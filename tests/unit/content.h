/* SPDX-License-Identifier: ISC */
/*
 * A second, simple decoder of DATA for comparison (RFC 5321 4.5.2): all input is in memory, and whole lines are
 * decoded one after another.
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
	size_t n_rest; /* octets after the end */
};

/* A run of CRs is one space, and nothing before the end of a line. */
static inline void content_put_line(struct content *c, struct span body, size_t n_crs)
{
	for (size_t i = 0; i < body.n; i++) {
		if (body.p[i] != '\r')
			c->text[c->n_text++] = body.p[i];
		else if (i == 0 || body.p[i - 1] != '\r')
			c->text[c->n_text++] = ' ';
	}
	c->text[c->n_text++] = '\n';
	c->bare |= n_crs != 1 || memchr(body.p, '\r', body.n);
	c->octets += body.n + n_crs + 1;
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
		struct span body = { raw.p, n };
		size_t n_crs = 0;
		bool is_dot;
		raw = span_from(raw, n + 1);
		while (body.n && body.p[body.n - 1] == '\r') {
			body.n--;
			n_crs++;
		}
		is_dot = n_crs < 2 && span_eq(body, SPAN("."));
		c.end = is_dot && n_crs == 1 && after_crlf;
		if (c.end)
			break;
		if (body.n && body.p[0] == '.' && !is_dot)
			body = span_from(body, 1);
		content_put_line(&c, body, n_crs);
		after_crlf = n_crs > 0;
	}
	c.n_rest = raw.n;
	return c;
}
