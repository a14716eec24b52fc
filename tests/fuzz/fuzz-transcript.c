/* SPDX-License-Identifier: ISC */
/*
 * The trace of a session. Input: an octet with options, then lines, whose first octet is their kind: a command, a
 * response, content or a reply; longer ones are passed in pieces. The trace is printable ASCII within the room of a
 * piece; it is parsed to the same octets; of AUTH only the mechanism is shown; filler has the length of the content
 * that is left out.
 */
#include "fuzz/fuzz.h"
#include "proto/transcript.h"

struct play {
	struct transcript t;
	bool secret; /* the rest of this line must not be shown */
	bool masked; /* nor was it */
	bool inside; /* the last piece did not end its line */
	uint64_t n_sent, n_shown; /* octets of this content */
};

struct text {
	char octets[TRANSCRIPT_ROOM];
	size_t n;
};

static bool begins(struct span s, struct span with)
{
	return s.n >= with.n && span_eq((struct span){ s.p, with.n }, with);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static size_t skip(struct span s, size_t i, bool blanks)
{
	while (i < s.n && is_blank(s.p[i]) == blanks)
		i++;
	return i;
}

/* True for AUTH with a mechanism and more text, as a server parses it. */
static bool is_secret(struct span piece)
{
	size_t end, begin;

	while (piece.n && (piece.p[piece.n - 1] == '\n' || piece.p[piece.n - 1] == '\r' ||
				  is_blank(piece.p[piece.n - 1])))
		piece.n--;
	end = skip(piece, 0, false);
	if (!span_ieq((struct span){ piece.p, end }, SPAN("AUTH")))
		return false;
	begin = skip(piece, end, true);
	return skip(piece, skip(piece, begin, false), true) < piece.n;
}

static unsigned value_of(char c)
{
	MUST((c >= '0' && c <= '9') || (c >= 'A' && c <= 'F'));
	return (unsigned)(c <= '9' ? c - '0' : c - 'A' + 10);
}

/* One octet of "C>" at `i`. */
static char unescape(struct span s, size_t *i)
{
	char c = s.p[(*i)++];

	MUST(c >= ' ' && c <= '~');
	if (c != '\\')
		return c;
	MUST(*i < s.n);
	c = s.p[(*i)++];
	if (c != 'x')
		return c == 'r' ? '\r' : c == 'n' ? '\n' : c;
	MUST(*i + 2 <= s.n);
	*i += 2;
	return (char)(value_of(s.p[*i - 2]) << 4 | value_of(s.p[*i - 1]));
}

/* "C: line", "C:" or "C> octets", with its line end. */
static struct text read_back(struct span line)
{
	struct text text = { .n = 0 };
	bool whole = begins(line, SPAN("C:"));
	struct span rest = span_from(line, whole && line.n == 3 ? 2 : 3);

	MUST(whole || begins(line, SPAN("C> ")));
	MUST(line.p[line.n - 1] == '\n');
	rest.n--;
	for (size_t i = 0; i < rest.n;) {
		char c = whole ? rest.p[i++] : unescape(rest, &i);
		MUST(text.n + 2 < sizeof(text.octets) &&
			(!whole || (c >= ' ' && c <= '~')));
		text.octets[text.n++] = c;
	}
	if (whole) {
		memcpy(text.octets + text.n, "\r\n", 2);
		text.n += 2;
	}
	return text;
}

static void check_shown(struct span line, struct span piece)
{
	struct text text = read_back(line);

	MUST(span_eq((struct span){ text.octets, text.n }, piece));
}

static void is_one_line(struct span out)
{
	MUST(out.n && memchr(out.p, '\n', out.n) == out.p + out.n - 1);
	for (size_t i = 0; i + 1 < out.n; i++)
		MUST(out.p[i] >= ' ' && out.p[i] <= '~');
}

static void play_command(struct play *p, struct buf *to, struct span piece)
{
	bool goes_on = p->inside && p->masked;

	transcript_command(&p->t, to, piece);
	p->secret = p->inside ? p->secret : is_secret(piece);
	/* a word that is not a mechanism may be masked as well */
	p->masked = goes_on || (begins(buf_span(to), SPAN("C: AUTH ")) &&
				       span_ends(buf_span(to), SPAN("****\n")));
	if (p->secret)
		MUST(p->masked);
	if (goes_on)
		MUST(to->n == 0);
	else if (!p->masked)
		check_shown(buf_span(to), piece);
	if (!goes_on)
		is_one_line(buf_span(to));
}

static void play_content(struct play *p, struct buf *to, struct span piece)
{
	transcript_content(&p->t, to, piece);
	p->n_sent += piece.n;
	if (to->n == 0) {
		MUST(!p->t.whole);
		return;
	}
	p->n_shown += piece.n;
	check_shown(buf_span(to), piece);
}

/* The number at `at`, which an '*' or '>' follows. */
static uint64_t number_at(struct span s, size_t at)
{
	uint64_t n = 0;

	MUST(at < s.n && s.p[at] >= '0' && s.p[at] <= '9');
	for (; at < s.n && s.p[at] >= '0' && s.p[at] <= '9'; at++)
		n = 10 * n + (uint64_t)(s.p[at] - '0');
	return n;
}

/* Filler has as many octets as the content that was left out. */
static void play_end(struct play *p)
{
	char octets[TRANSCRIPT_ROOM];
	struct buf b = BUF(octets);
	struct span out;
	uint64_t n = 0;

	transcript_content_end(&p->t, &b);
	out = buf_span(&b);
	while (out.n) {
		const char *lf = memchr(out.p, '\n', out.n);
		struct span line = { out.p, lf ? (size_t)(lf - out.p) : out.n };
		MUST(lf);
		if (begins(line, SPAN("C*")))
			n += number_at(line, 2) * 78;
		else if (begins(line, SPAN("C> \\{")))
			n += number_at(line, 5) + 2;
		else if (begins(line, SPAN("C> ")))
			n += line.n == 4 ? 1 : 2;
		out = span_from(out, line.n + 1);
	}
	MUST(n == p->n_sent - p->n_shown);
	p->n_sent = p->n_shown = 0;
	p->inside = false;
}

/* A reply is a line of printable ASCII: ours. */
static bool is_reply(struct span piece)
{
	for (size_t i = 0; i + 2 < piece.n; i++)
		if (piece.p[i] < ' ' || piece.p[i] > '~')
			return false;
	return piece.n > 4 && span_ends(piece, SPAN("\r\n"));
}

static void play_piece(struct play *p, char kind, struct span piece)
{
	char octets[TRANSCRIPT_ROOM];
	struct buf b = BUF(octets);

	switch (kind) {
	case 'd':
		play_content(p, &b, piece);
		break;
	case 's':
		if (is_reply(piece)) {
			transcript_reply(&b, piece);
			is_one_line(buf_span(&b));
		}
		return;
	case 'r':
		transcript_response(&b);
		is_one_line(buf_span(&b));
		break;
	default:
		play_command(p, &b, piece);
	}
	MUST(!b.overflow);
	p->inside = !span_ends(piece, SPAN("\n"));
}

static void play_line(struct play *p, char kind, struct span line)
{
	while (line.n) {
		size_t n = line.n < TRANSCRIPT_PIECE_MAX ? line.n : TRANSCRIPT_PIECE_MAX;
		play_piece(p, kind, (struct span){ line.p, n });
		line = span_from(line, n);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span input = fuzz_input(data, size, 1);
	struct play p = { .t.whole = size && data[0] & 1 };
	char last = 'c';

	while (input.n > 1) {
		char kind = *input.p;
		const char *lf = memchr(input.p + 1, '\n', input.n - 1);
		size_t n = lf ? (size_t)(lf - input.p) + 1 : input.n;
		if (last == 'd' && kind != 'd')
			play_end(&p);
		play_line(&p, kind, (struct span){ input.p + 1, n - 1 });
		last = kind;
		input = span_from(input, n);
	}
	return 0;
}
