/* SPDX-License-Identifier: ISC */
/* Checks that each reply is valid by RFC 5321 4.2, regardless of the command. */
#include "pattern.h"
#include "proto/reply.h"
#include "way.h"

#define PREFIX_LENGTH 4 /* the code and what divides it from the text */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The next line without its LF, from the front. False: its end has not come. */
static bool take_line(struct span *s, struct span *ret)
{
	const char *lf = s->n ? memchr(s->p, '\n', s->n) : NULL;

	if (!lf)
		return false;
	*ret = (struct span){ s->p, (size_t)(lf - s->p) };
	*s = span_from(*s, ret->n + 1);
	return true;
}

size_t reply_length(struct span s)
{
	struct span rest = s, line;

	while (take_line(&rest, &line))
		if (line.n < PREFIX_LENGTH || line.p[PREFIX_LENGTH - 1] != '-')
			return s.n - rest.n;
	return 0;
}

/* Checks a line (RFC 5321 4.2, 4.5.3.1.5). `line` ends with its CR. */
static const char *line_fault(struct span line, struct span code)
{
	if (line.n < PREFIX_LENGTH + 1 || line.p[line.n - 1] != '\r')
		return "a reply line without CRLF";
	if (line.n + 1 > REPLY_LINE_MAX)
		return "a reply line longer than 512 octets";
	if (!span_eq((struct span){ line.p, code.n }, code))
		return "lines of one reply with different codes";
	for (size_t i = 0; i + 1 < line.n; i++)
		if (line.p[i] < 32 || line.p[i] > 126)
			return "an octet in a reply that is not printable";
	return NULL;
}

/* RFC 2034 4: the class of the enhanced code is the first digit of the code. */
static const char *enhanced_fault(struct span text, struct span code)
{
	if (text.n < 2 || !is_digit(text.p[0]) || text.p[1] != '.')
		return NULL;
	return text.p[0] == code.p[0] ? NULL : "code and enhanced code disagree";
}

/* Appends the text of all lines, separated by LF. Returns NULL, or the fault of the reply itself. */
static const char *join(struct arena *a, struct span reply, struct text *to)
{
	struct span code = { reply.p, PREFIX_LENGTH - 1 }, line;

	while (take_line(&reply, &line)) {
		const char *fault = line_fault(line, code);
		struct span text;
		if (fault)
			return fault;
		text = (struct span){ line.p + PREFIX_LENGTH,
			line.n - PREFIX_LENGTH - 1 };
		fault = enhanced_fault(text, code);
		if (fault)
			return fault;
		if (to->n)
			text_put_char(a, to, '\n');
		text_put(a, to, text);
	}
	return NULL;
}

static bool has_line(struct span text, struct span pattern)
{
	while (text.n) {
		const char *lf = memchr(text.p, '\n', text.n);
		size_t n = lf ? (size_t)(lf - text.p) : text.n;
		if (pattern_matches(pattern, (struct span){ text.p, n }))
			return true;
		text = span_from(text, n + (lf != NULL));
	}
	return false;
}

static bool begins(struct span text, struct span word)
{
	return word.n == 0 || (text.n >= word.n && memcmp(text.p, word.p, word.n) == 0 &&
				      (text.n == word.n || text.p[word.n] == ' '));
}

static bool text_fits(struct span text, const struct expect *e)
{
	switch (e->kind) {
	case EXPECT_PREFIX:
		return begins(text, e->patterns[0]);
	case EXPECT_TEXT:
		return pattern_matches(e->patterns[0], text);
	default:
		for (size_t i = 0; i < e->n_patterns; i++)
			if (has_line(text, e->patterns[i]) != (e->kind == EXPECT_WITH))
				return false;
		return true;
	}
}

bool reply_check(struct arena *a, struct span reply, const struct expect *e,
	struct complaint *ret, size_t line)
{
	struct text text = { 0 };
	const char *fault = join(a, reply, &text);

	if (fault)
		return complain(ret, line, "%s: %.*s", fault, (int)reply.n - 1, reply.p);
	if (!span_eq((struct span){ reply.p, e->code.n }, e->code) ||
		!text_fits(text_span(&text), e))
		return complain(ret, line, "came: %.*s", (int)reply.n - 2, reply.p);
	return true;
}
