/*
 * The repair of the first line of content. Octets are held only while an earlier piece of the content has ended
 * within the part that decides; in all other cases the content passes as it is, in one piece.
 */
#include "proto/first-line.h"

enum verdict {
	UNDECIDED,
	FINE, /* an empty line, or a field */
	FROM, /* ">*From " */
	OTHER,
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* ftext = %d33-57 / %d59-126 (RFC 5322 3.6.8) */
static bool is_name_octet(char c)
{
	return c > 32 && c < 127 && c != ':';
}

/* True when the name so far is ">*From", of which this octet is the next. */
static bool continues_from(const struct first_line *f, char c)
{
	static const char from[] = "From ";
	size_t i = f->n - f->n_angles;

	return (i == 0 || f->is_from) && i < sizeof(from) - 1 && c == from[i];
}

static enum verdict judge_name(struct first_line *f, char c)
{
	if (f->n == 0 && c == '\n')
		return FINE;
	if (f->n == 0 && c == '\r') {
		f->at = FIRST_LINE_CR;
		return UNDECIDED;
	}
	if (c == ':')
		return f->n ? FINE : OTHER;
	if (is_blank(c) && f->n) {
		f->is_from = continues_from(f, c);
		f->at = FIRST_LINE_BLANKS;
		return UNDECIDED;
	}
	if (!is_name_octet(c) || f->n == FIRST_LINE_NAME_MAX)
		return OTHER;
	if (c == '>' && f->n == f->n_angles)
		f->n_angles++;
	else
		f->is_from = continues_from(f, c);
	return UNDECIDED;
}

static enum verdict judge_blanks(const struct first_line *f, char c)
{
	if (c == ':')
		return FINE;
	if (is_blank(c) && f->n < FIRST_LINE_HELD_MAX - 1)
		return UNDECIDED;
	return f->is_from ? FROM : OTHER;
}

static enum verdict judge(struct first_line *f, char c)
{
	switch (f->at) {
	case FIRST_LINE_NAME:
		return judge_name(f, c);
	case FIRST_LINE_BLANKS:
		return judge_blanks(f, c);
	default:
		return c == '\n' ? FINE : OTHER;
	}
}

/* The line passes from its start on, behind what belongs in front of it. */
static void decide(struct first_line *f, enum verdict verdict)
{
	if (verdict == OTHER)
		f->prefix = SPAN("\n");
	else if (verdict == FROM)
		f->prefix = SPAN("X-Mailbox-Line: ");
	f->at = verdict == FROM ? FIRST_LINE_MAILBOX : FIRST_LINE_DONE;
	f->held_out = f->n_held > 0;
	f->n = f->n_angles = 0;
	f->is_from = false;
}

/* Judges what is there of the line. An undecided one is held. */
static void judge_text(struct first_line *f, struct span *text)
{
	enum verdict verdict = UNDECIDED;
	size_t i = 0;

	while (i < text->n && (verdict = judge(f, text->p[i])) == UNDECIDED) {
		f->n++;
		i++;
	}
	if (verdict != UNDECIDED) {
		decide(f, verdict);
		return;
	}
	memcpy(f->held + f->n_held, text->p, i);
	f->n_held += i;
	*text = span_from(*text, i);
}

/* The part of the text that passes now: all of it, or to the end of the From_ line. */
static struct span passing(struct first_line *f, struct span text)
{
	const char *lf;

	if (f->at == FIRST_LINE_DONE || !(lf = memchr(text.p, '\n', text.n)))
		return text;
	f->at = FIRST_LINE_NAME;
	return (struct span){ text.p, (size_t)(lf - text.p) + 1 };
}

bool first_line_take(struct first_line *f, struct span *text, struct span *ret_piece)
{
	if (f->at < FIRST_LINE_MAILBOX && text->n)
		judge_text(f, text);
	if (f->prefix.n) {
		*ret_piece = f->prefix;
		f->prefix = (struct span){ 0 };
		return true;
	}
	if (f->held_out) {
		*ret_piece = (struct span){ f->held, f->n_held };
		f->n_held = 0;
		f->held_out = false;
		return true;
	}
	if (text->n == 0)
		return false;
	*ret_piece = passing(f, *text);
	*text = span_from(*text, ret_piece->n);
	return true;
}

void first_line_end(struct first_line *f)
{
	if (f->at < FIRST_LINE_MAILBOX && f->n)
		decide(f, f->is_from && f->at == FIRST_LINE_BLANKS ? FROM : OTHER);
}
