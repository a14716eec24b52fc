/* SPDX-License-Identifier: ISC */
/*
 * Parses an expected reply in each of its forms:
 *
 *  *	S: 250                          by its code, however many lines it has
 *  *	S: 250 2.1.5                    by its codes
 *  *	S: 250 2.1.5 Recipient ...      by its text
 *  *	S: 250-mail.example.net         by several lines; a last line with "-" leaves
 *  *	S: 250-...                      the rest open
 *  *	S: 250 with PIPELINING, 8BITMIME
 *  *	S: 250 without STARTTLS
 */
#include "parse.h"
#include "pattern.h"

#define CODE_LENGTH 3
#define REPLY_TIMES_MAX 100000

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* class "." subject "." detail (RFC 3463 2) */
static bool is_enhanced(struct span s)
{
	size_t dots = 0;

	for (size_t i = 0; i < s.n; i++) {
		dots += s.p[i] == '.';
		if (s.p[i] != '.' && !is_digit(s.p[i]))
			return false;
	}
	return dots == 2 && is_digit(s.p[0]) && is_digit(s.p[s.n - 1]);
}

static bool has_prefix(struct span s, struct span prefix)
{
	return s.n > prefix.n && span_eq((struct span){ s.p, prefix.n }, prefix);
}

static void add_pattern(struct parser *p, struct expect *e, struct span raw)
{
	struct arena *a = &p->d->arena;

	e->patterns = arena_more(a, e->patterns, e->n_patterns, sizeof(*e->patterns));
	pattern_compile(a, raw, false, &e->patterns[e->n_patterns++]);
}

/* "PIPELINING, SIZE ..." */
static void add_list(struct parser *p, struct expect *e, struct span list)
{
	while (list.n) {
		const char *comma = memchr(list.p, ',', list.n);
		size_t n = comma ? (size_t)(comma - list.p) : list.n;
		add_pattern(p, e, (struct span){ list.p, n });
		list = span_from(list, n + (comma != NULL));
		while (list.n && *list.p == ' ')
			list = span_from(list, 1);
	}
}

static struct expect compile(struct parser *p)
{
	struct expect e = { .kind = EXPECT_TEXT, .code = p->code };
	struct span raw = text_span(&p->reply);

	if (raw.n == 0 || is_enhanced(raw)) {
		e.kind = EXPECT_PREFIX;
		add_pattern(p, &e, raw);
	} else if (has_prefix(raw, SPAN("with "))) {
		e.kind = EXPECT_WITH;
		add_list(p, &e, span_from(raw, 5));
	} else if (has_prefix(raw, SPAN("without "))) {
		e.kind = EXPECT_WITHOUT;
		add_list(p, &e, span_from(raw, 8));
	} else {
		if (p->reply_open)
			text_put(&p->d->arena, &p->reply, SPAN("..."));
		add_pattern(p, &e, text_span(&p->reply));
	}
	return e;
}

bool parse_reply_end(struct parser *p)
{
	struct expect e;

	if (p->reply_times == 0)
		return true;
	e = compile(p);
	for (; p->reply_times; p->reply_times--)
		parse_add_step(p, STEP_EXPECT, p->reply_line)->expect = e;
	p->reply = (struct text){ 0 };
	p->reply_open = false;
	return true;
}

bool parse_reply_line(struct parser *p, struct span s)
{
	size_t times = parse_times(&s);
	struct span code = { 0 };
	bool open;

	if (!parse_mark(&s, ':') || times == 0 || times > REPLY_TIMES_MAX)
		return complain(p->complaint, p->line, "not a reply line");
	if (s.n < CODE_LENGTH || !is_digit(s.p[0]) || !is_digit(s.p[1]) ||
		!is_digit(s.p[2]) || (s.n > CODE_LENGTH && !strchr(" -", s.p[3])))
		return complain(p->complaint, p->line, "a reply begins with its code");
	code = (struct span){ s.p, CODE_LENGTH };
	open = s.n > CODE_LENGTH && s.p[CODE_LENGTH] == '-';
	s = span_from(s, s.n > CODE_LENGTH ? CODE_LENGTH + 1 : CODE_LENGTH);
	if (p->reply_open && span_eq(code, p->code)) {
		text_put_char(&p->d->arena, &p->reply, '\n');
	} else {
		parse_reply_end(p);
		p->code = code;
		p->reply_line = p->line;
		p->reply_times = times;
	}
	text_put(&p->d->arena, &p->reply, s);
	p->reply_open = open;
	if (!open)
		return parse_reply_end(p);
	return true;
}
