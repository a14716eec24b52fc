/* SPDX-License-Identifier: ISC */
/* Parses a whole file, or reports the line of a fault; README.md has the notation. */
#include "base/num.h"
#include "parse.h"
#include "pattern.h"

#define TIMES_MAX 100000

struct step *parse_add_step(struct parser *p, enum step_kind kind, size_t line)
{
	struct dialogue *d = p->d;
	struct step *step;

	d->steps = arena_more(&d->arena, d->steps, d->n_steps, sizeof(*d->steps));
	step = &d->steps[d->n_steps++];
	*step = (struct step){ .kind = kind, .line = line };
	return step;
}

size_t parse_times(struct span *s)
{
	struct span digits;
	uint64_t n = 1;
	size_t i = 1;

	if (s->n == 0 || *s->p != '*')
		return 1;
	while (i < s->n && s->p[i] >= '0' && s->p[i] <= '9')
		i++;
	digits = (struct span){ s->p + 1, i - 1 };
	*s = span_from(*s, i);
	return num_parse(digits, &n) && n <= TIMES_MAX ? n : 0;
}

bool parse_mark(struct span *s, char c)
{
	if (s->n == 0 || *s->p != c)
		return false;
	*s = span_from(*s, s->n > 1 && s->p[1] == ' ' ? 2 : 1);
	return true;
}

static void end_write(struct parser *p)
{
	if (p->write.n)
		parse_add_step(p, STEP_SEND, p->write_line)->octets =
			text_span(&p->write);
	p->write = (struct text){ 0 };
}

/* The line for the nth time: each "{n}" in it is the number. */
static struct span numbered(struct parser *p, struct span s, size_t n)
{
	struct text t = { 0 };
	char digits[NUM_MAX];

	for (size_t i = 0; i < s.n; i++) {
		if (s.n - i >= 3 && memcmp(s.p + i, "{n}", 3) == 0) {
			text_put(&p->d->arena, &t,
				(struct span){ digits, num_format(n, digits) });
			i += 2;
		} else {
			text_put_char(&p->d->arena, &t, s.p[i]);
		}
	}
	return text_span(&t);
}

/* "C: line", "C> octets with escapes", either "*N" times; after the letter. */
static bool parse_client(struct parser *p, struct span s)
{
	bool numbers = s.n && *s.p == '*';
	size_t times = parse_times(&s);
	bool raw = s.n && *s.p == '>';

	if (times == 0 || !parse_mark(&s, raw ? '>' : ':'))
		return complain(p->complaint, p->line, "not a client's line");
	if (p->write.n == 0)
		p->write_line = p->line;
	for (size_t i = 1; i <= times; i++) {
		struct span line = numbers ? numbered(p, s, i) : s;
		if (!raw) {
			text_put(&p->d->arena, &p->write, line);
			text_put(&p->d->arena, &p->write, SPAN("\r\n"));
		} else if (!pattern_unescape(&p->d->arena, &p->write, line)) {
			return complain(p->complaint, p->line, "no such escape");
		}
	}
	return true;
}

static bool parse_angle(struct parser *p, struct span s)
{
	static const struct {
		struct span word;
		enum step_kind kind;
	} marks[] = {
		{ { "<TLS>", 5 }, STEP_TLS },
		{ { "<TLS FAILS>", 11 }, STEP_TLS_FAILS },
		{ { "<ALERT>", 7 }, STEP_ALERT },
		{ { "<EOF>", 5 }, STEP_EOF },
		{ { "<CUT>", 5 }, STEP_CUT },
		{ { "<CLOSED>", 8 }, STEP_CLOSED },
		{ { "<TIMEOUT>", 9 }, STEP_TIMEOUT },
		{ { "<PAUSE>", 7 }, STEP_PAUSE },
		{ { "<SIGTERM>", 9 }, STEP_SIGTERM },
	};

	for (size_t i = 0; i < sizeof(marks) / sizeof(*marks); i++)
		if (span_eq(marks[i].word, s)) {
			parse_add_step(p, marks[i].kind, p->line);
			return true;
		}
	return complain(p->complaint, p->line, "no such event");
}

/* "= key value" or "= key = value" */
static bool parse_setting(struct parser *p, struct span s)
{
	struct dialogue *d = p->d;
	struct setting *setting;
	size_t n = 0;

	if (d->n_steps)
		return complain(p->complaint, p->line, "settings come first");
	while (n < s.n && s.p[n] != ' ')
		n++;
	d->settings =
		arena_more(&d->arena, d->settings, d->n_settings, sizeof(*d->settings));
	setting = &d->settings[d->n_settings++];
	setting->key = arena_copy(&d->arena, (struct span){ s.p, n });
	s = span_from(s, n);
	while (s.n && strchr(" =", *s.p))
		s = span_from(s, 1);
	setting->value = arena_copy(&d->arena, s);
	return n > 0;
}

/* "# ways: engine serve: the reason". Other comments are for people. */
static bool parse_comment(struct parser *p, struct span s)
{
	static const struct span ways = { "ways: ", 6 };
	const char *colon;

	if (s.n <= ways.n || !span_eq((struct span){ s.p, ways.n }, ways))
		return p->line > 1 || s.n > 0 ||
		       complain(p->complaint, 1, "the first line says the rule");
	s = span_from(s, ways.n);
	colon = memchr(s.p, ':', s.n);
	if (!colon)
		return complain(p->complaint, p->line, "ways need a reason");
	p->d->ways = (struct span){ s.p, (size_t)(colon - s.p) };
	p->d->reason = span_from(s, p->d->ways.n + 1);
	return true;
}

/* "> line" of a message, "R> line" of a report. NULL: it is neither. */
static struct wanted_files *take_content_mark(struct parser *p, struct span *s)
{
	struct span rest = *s;
	bool of_report = rest.n > 1 && rest.p[0] == 'R';

	if (of_report)
		rest = span_from(rest, 1);
	if (!parse_mark(&rest, '>'))
		return NULL;
	*s = rest;
	return of_report ? &p->d->reports : &p->d->stored;
}

static bool parse_line(struct parser *p, struct span s)
{
	const struct wanted_files *before = p->in_content;
	struct wanted_files *files;

	if (p->line == 1 && !(s.n && *s.p == '#'))
		return complain(p->complaint, 1, "the first line says the rule");
	if (s.n && *s.p == '#')
		return parse_comment(p, span_from(s, s.n > 1 ? 2 : 1));
	if (!(s.n && *s.p == 'C'))
		end_write(p);
	if (!(s.n && *s.p == 'S') && !parse_reply_end(p))
		return false;
	p->in_content = files = take_content_mark(p, &s);
	if (files)
		return parse_content(p, files, s, files == before);
	if (s.n == 0)
		return true;
	if (parse_mark(&s, '='))
		return parse_setting(p, s);
	if (parse_is_outcome(s))
		return parse_outcome(p, s);
	switch (*s.p) {
	case 'C':
		return parse_client(p, span_from(s, 1));
	case 'S':
		return parse_reply_line(p, span_from(s, 1));
	case '<':
		return parse_angle(p, s);
	default:
		return complain(p->complaint, p->line, "not a line of a dialogue");
	}
}

bool parse_all(struct parser *p, struct span s)
{
	while (s.n) {
		const char *lf = memchr(s.p, '\n', s.n);
		size_t n = lf ? (size_t)(lf - s.p) : s.n;
		p->line++;
		if (!parse_line(p, (struct span){ s.p, n }))
			return false;
		s = span_from(s, n + (lf != NULL));
	}
	end_write(p);
	return parse_reply_end(p) &&
	       (p->d->n_steps || complain(p->complaint, 0, "nothing happens in it"));
}
