/* SPDX-License-Identifier: ISC */
/*
 * Writes a session as a dialogue, in printable ASCII. Playing it gives the same octets,
 * except for masked or cut ones. This file parses the syntax of a session, not its
 * meaning.
 */
#include "proto/transcript.h"
#include "proto/line.h"
#include "proto/reply.h"
#include "proto/text.h"

#define MECHANISM_MAX 20 /* characters of a mechanism's name (RFC 4422 3.1) */
#define FILL_LINE 78 /* octets of a line of filler for content that was left out */

static void put_escaped(struct buf *to, char c)
{
	static const char hex[] = "0123456789ABCDEF";
	unsigned char octet = (unsigned char)c;
	char escaped[] = { '\\', 'x', hex[octet >> 4], hex[octet & 15] };

	if (c == '\r')
		buf_put(to, SPAN("\\r"));
	else if (c == '\n')
		buf_put(to, SPAN("\\n"));
	else if (c == '\\')
		buf_put(to, SPAN("\\\\"));
	else if (!ascii_is_printable(c))
		buf_put(to, (struct span){ escaped, sizeof(escaped) });
	else
		buf_put_char(to, c);
}

/* Writes "C: line" for a whole line of printable octets, else "C> octets". */
static void put_client(struct transcript *t, struct buf *to, struct span piece)
{
	bool ended = span_ends(piece, SPAN("\r\n"));
	struct span text = { piece.p, piece.n - (ended ? 2 : 0) };

	if (ended && !t->in_line && text_is_printable(text)) {
		buf_put(to, text.n ? SPAN("C: ") : SPAN("C:"));
		buf_put(to, text);
	} else {
		buf_put(to, SPAN("C> "));
		for (size_t i = 0; i < piece.n; i++)
			put_escaped(to, piece.p[i]);
	}
	buf_put_char(to, '\n');
	t->in_line = !span_ends(piece, SPAN("\n"));
}

/*
 * The text after the mechanism is a secret (RFC 4954 4), even if AUTH is not offered. A
 * word that is too long for a mechanism may be a secret as well.
 */
static bool put_masked(struct transcript *t, struct buf *to, struct span piece)
{
	struct command c = command_parse(piece);
	struct command mechanism = command_parse(c.args);
	bool too_long = mechanism.verb.n > MECHANISM_MAX;

	if (t->in_line || !span_ieq(c.verb, SPAN("AUTH")) ||
		(mechanism.args.n == 0 && !too_long))
		return false;
	t->masked = true;
	buf_put(to, SPAN("C: AUTH "));
	for (size_t i = 0; i < mechanism.verb.n && !too_long; i++)
		put_escaped(to, mechanism.verb.p[i]);
	buf_put(to, too_long ? SPAN("****\n") : SPAN(" ****\n"));
	return true;
}

void transcript_command(struct transcript *t, struct buf *to, struct span piece)
{
	if (!t->in_line && span_ieq(command_parse(piece).verb, SPAN("MAIL")))
		t->past_header = false;
	t->masked &= t->in_line;
	if (!t->masked && !put_masked(t, to, piece))
		put_client(t, to, piece);
	t->in_line = !span_ends(piece, SPAN("\n"));
}

void transcript_response(struct buf *to)
{
	buf_put(to, SPAN("C: ****\n"));
}

/* True for a header field, or a line that continues one (RFC 5322 2.2). */
static bool is_header(struct span line)
{
	size_t n = text_field_name(line);

	if (line.n && ascii_is_blank(*line.p))
		return true;
	return n > 0 && n < line.n && line.p[n] == ':';
}

void transcript_content(struct transcript *t, struct buf *to, struct span piece)
{
	bool blank = !t->in_line && span_eq(piece, SPAN("\r\n"));

	t->past_header |= !t->in_line && !blank && !is_header(piece);
	if (t->past_header && !t->whole) {
		t->n_cut += piece.n;
		return;
	}
	t->past_header |= blank;
	put_client(t, to, piece);
}

void transcript_content_end(struct transcript *t, struct buf *to)
{
	uint64_t lines = t->n_cut / FILL_LINE, left = t->n_cut % FILL_LINE;

	/* one octet is too short for a line of its own */
	if (lines && left == 1) {
		lines--;
		left += FILL_LINE;
	}
	if (t->n_cut)
		buf_put(to, SPAN("# content left out: this is as long\n"));
	if (lines) {
		buf_put(to, SPAN("C*"));
		buf_put_num(to, lines);
		buf_put(to, SPAN("> \\{76*x}\\r\\n\n"));
	}
	if (left > 2) {
		buf_put(to, SPAN("C> \\{"));
		buf_put_num(to, left - 2);
		buf_put(to, SPAN("*x}\\r\\n\n"));
	} else if (left) {
		buf_put(to, left == 2 ? SPAN("C> \\r\\n\n") : SPAN("C> x\n"));
	}
	t->n_cut = 0;
	t->in_line = false;
}

/*
 * A challenge of AUTH and the id of a message ("Delivered as ...") differ in every
 * session.
 */
void transcript_reply(struct buf *to, struct span line)
{
	const struct reply *accepted = reply_get(REPLY_ACCEPTED);
	struct span open = { accepted->text, strcspn(accepted->text, "%") };
	const char *at = memmem(line.p, line.n, open.p, open.n);

	line.n -= span_ends(line, SPAN("\r\n")) ? 2 : 0;
	buf_put(to, SPAN("S: "));
	if (span_starts(line, SPAN("334 "))) {
		buf_put(to, SPAN("334 ..."));
	} else if (at) {
		buf_put(to, (struct span){ line.p, (size_t)(at - line.p) + open.n });
		buf_put(to, SPAN("..."));
	} else {
		buf_put(to, line);
	}
	buf_put_char(to, '\n');
}
