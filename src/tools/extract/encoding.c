/* SPDX-License-Identifier: ISC */
/*
 * Encodings: faults that a decoder ignores, and uuencoded files in a text, which are not
 * MIME parts.
 */
#include "tools/extract/extract.h"
#include "proto/text.h"

static bool is_base64(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (c >= '0' && c <= '9') || c == '+' || c == '/';
}

static bool is_hex(char c)
{
	char low = ascii_lower(c);

	return (c >= '0' && c <= '9') || (low >= 'a' && low <= 'f');
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

size_t extract_count_base64(struct span text)
{
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++)
		n += is_base64(text.p[i]);
	return n;
}

/* RFC 2045 6.8: nothing follows the padding, of which there are at most two. */
static void step_base64(struct extract_check *c, char octet)
{
	if (octet == '=')
		c->n_pads++;
	else if (is_base64(octet)) {
		c->damaged |= c->n_pads > 0;
		c->n++;
	} else
		c->damaged |= !is_space(octet);
}

/* RFC 2045 6.7: "=" and two digits, or "=", blanks and the end of the line. */
static void step_quoted(struct extract_check *c, char octet)
{
	enum extract_quoted next = EXTRACT_QUOTED_NONE;

	if (octet == '=')
		next = EXTRACT_QUOTED_EQUALS;
	else if (c->quoted == EXTRACT_QUOTED_EQUALS && is_hex(octet))
		next = EXTRACT_QUOTED_DIGIT;
	else if (c->quoted && c->quoted != EXTRACT_QUOTED_DIGIT && is_space(octet))
		next = octet == '\n' ? EXTRACT_QUOTED_NONE : EXTRACT_QUOTED_BLANK;
	else if (c->quoted && (c->quoted != EXTRACT_QUOTED_DIGIT || !is_hex(octet)))
		c->damaged = true;
	c->damaged |= c->quoted && octet == '=';
	c->quoted = next;
}

void extract_check_step(struct extract_check *c, struct span text)
{
	for (size_t i = 0; i < text.n; i++)
		if (c->base64)
			step_base64(c, text.p[i]);
		else
			step_quoted(c, text.p[i]);
}

bool extract_check_end(const struct extract_check *c)
{
	return c->damaged || c->quoted == EXTRACT_QUOTED_DIGIT || c->n_pads > 2 ||
	       (c->n + c->n_pads) % 4 != 0;
}

/*
 * begin-line = "begin" SP 3*4octal SP name / "begin-base64" SP 3*4octal SP name
 */
static bool take_begin(struct extract_uu *u, struct span line)
{
	struct span rest = line, word = span_take_word(&rest), mode;

	u->n_name = 0;
	u->base64 = span_eq(word, SPAN("begin-base64"));
	if (!u->base64 && !span_eq(word, SPAN("begin")))
		return false;
	/* with more than one space the line is probably a sentence */
	if (line.n <= word.n + 1 || line.p[word.n + 1] == ' ')
		return false;
	mode = span_take_word(&rest);
	if (mode.n < 3 || mode.n > 4 || rest.n == 0)
		return false;
	for (size_t i = 0; i < mode.n; i++)
		if (mode.p[i] < '0' || mode.p[i] > '7')
			return false;
	memcpy(u->name, rest.p, rest.n);
	u->n_name = rest.n;
	return true;
}

/*
 * Returns six bits. Missing characters at the end of a line were spaces, which are zeros.
 */
static unsigned char sextet(struct span line, size_t at)
{
	return at < line.n ? (unsigned char)(line.p[at] - ' ') & 0x3F : 0;
}

/*
 * Takes a line of uuencoded data: a character for the number of octets, and four
 * characters for three octets. False: it is no such line.
 */
static bool take_data(struct span line, struct buf *to)
{
	size_t n = sextet(line, 0), n_text = (n + 2) / 3 * 4;

	/*
	 * old programs append one octet of checksum; an empty line may have lost its
	 * space
	 */
	if (n > 45 || line.n > n_text + 2)
		return false;
	for (size_t i = 0; i < line.n; i++)
		if (line.p[i] < ' ' || line.p[i] > '`')
			return false;
	for (size_t at = 1; n > 0; at += 4) {
		unsigned char octets[] = {
			(unsigned char)(sextet(line, at) << 2 |
					sextet(line, at + 1) >> 4),
			(unsigned char)(sextet(line, at + 1) << 4 |
					sextet(line, at + 2) >> 2),
			(unsigned char)(sextet(line, at + 2) << 6 | sextet(line, at + 3)),
		};
		size_t taken = n < 3 ? n : 3;

		buf_put(to, (struct span){ (char *)octets, taken });
		n -= taken;
	}
	return true;
}

static bool decode(const struct extract_uu *u, struct span line, struct buf *to)
{
	return u->base64 ? line.n && base64_take(line, to) : take_data(line, to);
}

static bool is_end(const struct extract_uu *u, struct span line)
{
	return span_eq(span_trim(line), u->base64 ? SPAN("====") : SPAN("end"));
}

static int take_inside(struct extract_uu *u, struct span line)
{
	char octets[EXTRACT_UU_LINE];
	struct buf b = BUF(octets);

	/* "end" is not a line of data, which would have 5 octets in 8 characters */
	if (is_end(u, line)) {
		u->inside = false;
		return u->sink->end(u->ctx, false);
	}
	if (decode(u, line, &b))
		return b.n ? u->sink->data(u->ctx, buf_span(&b)) : 0;
	u->inside = false;
	return u->sink->end(u->ctx, true);
}

static int take_line(struct extract_uu *u, struct span line)
{
	char octets[EXTRACT_UU_LINE];
	struct buf b = BUF(octets);
	int r;

	if (line.n && line.p[line.n - 1] == '\r')
		line.n--;
	if (u->inside)
		return take_inside(u, line);
	if (u->n_name && !is_end(u, line) && decode(u, line, &b) && b.n) {
		u->inside = true;
		r = u->sink->begin(u->ctx, (struct span){ u->name, u->n_name });
		u->n_name = 0;
		return r ? r : u->sink->data(u->ctx, buf_span(&b));
	}
	take_begin(u, line);
	return 0;
}

int extract_uu_step(struct extract_uu *u, struct span text)
{
	int r = 0;

	while (text.n && r == 0) {
		const char *lf = memchr(text.p, '\n', text.n);
		size_t n = lf ? (size_t)(lf - text.p) : text.n;

		if (u->n + n <= EXTRACT_UU_LINE)
			memcpy(u->line + u->n, text.p, n);
		u->n = u->n + n <= EXTRACT_UU_LINE ? u->n + n : EXTRACT_UU_LINE + 1;
		if (lf) {
			/* a line that is too long does not belong to a file */
			r = take_line(u, (struct span){ u->line,
						 u->n > EXTRACT_UU_LINE ? 0 : u->n });
			u->n = 0;
		}
		text = span_from(text, n + (lf != NULL));
	}
	return r;
}

/* True unless the last line was cut, and therefore not decoded. */
static bool is_whole(const struct extract_uu *u)
{
	struct span line = { u->line, u->n };

	return u->n && u->n <= EXTRACT_UU_LINE &&
	       (u->base64 || is_end(u, line) || u->n > (sextet(line, 0) + 2U) / 3 * 4);
}

int extract_uu_end(struct extract_uu *u)
{
	int r = is_whole(u) ? take_line(u, (struct span){ u->line, u->n }) : 0;

	if (r || !u->inside)
		return r;
	u->inside = false;
	return u->sink->end(u->ctx, true);
}
