/*
 * Writes a session as a dialogue, in printable ASCII. Reading it gives the same octets,
 * except for masked or cut ones. It knows the syntax of a session, not its meaning.
 */
#include "proto/transcript.h"
#include "proto/line.h"
#include "proto/reply.h"

#define MECHANISM_MAX 20 /* characters of its name (RFC 4422 3.1) */
#define FILL_LINE 78 /* octets of a line that stands for content left out */

static bool is_printable(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < 32 || s.p[i] > 126)
			return false;
	return true;
}

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
	else if (c < 32 || c > 126)
		buf_put(to, (struct span){ escaped, sizeof(escaped) });
	else
		buf_put_char(to, c);
}

static bool ends_with(struct span s, struct span end)
{
	return s.n >= end.n && span_eq(span_from(s, s.n - end.n), end);
}

/* "C: line" for a whole one of printable octets, else "C> octets". */
static void put_client(struct transcript *t, struct buf *to, struct span piece)
{
	bool ended = ends_with(piece, SPAN("\r\n"));
	struct span text = { piece.p, piece.n - (ended ? 2 : 0) };

	if (ended && !t->in_line && is_printable(text)) {
		buf_put(to, text.n ? SPAN("C: ") : SPAN("C:"));
		buf_put(to, text);
	} else {
		buf_put(to, SPAN("C> "));
		for (size_t i = 0; i < piece.n; i++)
			put_escaped(to, piece.p[i]);
	}
	buf_put_char(to, '\n');
	t->in_line = !ends_with(piece, SPAN("\n"));
}

/*
 * The text behind the mechanism is a secret (RFC 4954 4), whether AUTH is offered or not.
 * A word that is too long for a mechanism may be one as well.
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
	t->in_line = !ends_with(piece, SPAN("\n"));
}

void transcript_response(struct buf *to)
{
	buf_put(to, SPAN("C: ****\n"));
}

/* A header field, or a line that continues one (RFC 5322 2.2). */
static bool is_header(struct span line)
{
	size_t i = 0;

	if (line.n && (line.p[0] == ' ' || line.p[0] == '\t'))
		return true;
	while (i < line.n && line.p[i] > 32 && line.p[i] < 127 && line.p[i] != ':')
		i++;
	return i > 0 && i < line.n && line.p[i] == ':';
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

	/* a rest of one octet is no line */
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

/* A challenge of AUTH is unique, as is the id of a message ("Delivered as ..."). */
void transcript_reply(struct buf *to, struct span line)
{
	static const struct span challenge = { "334 ", 4 };
	const struct reply *accepted = reply_get(REPLY_ACCEPTED);
	struct span open = { accepted->text, strcspn(accepted->text, "%") };
	const char *at = memmem(line.p, line.n, open.p, open.n);

	line.n -= ends_with(line, SPAN("\r\n")) ? 2 : 0;
	buf_put(to, SPAN("S: "));
	if (line.n >= challenge.n && memcmp(line.p, challenge.p, challenge.n) == 0) {
		buf_put(to, SPAN("334 ..."));
	} else if (at) {
		buf_put(to, (struct span){ line.p, (size_t)(at - line.p) + open.n });
		buf_put(to, SPAN("..."));
	} else {
		buf_put(to, line);
	}
	buf_put_char(to, '\n');
}
