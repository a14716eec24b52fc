/* SPDX-License-Identifier: ISC */
/*
 * Events of the milter protocol: the data about a session and a message that a filter
 * gets. A text is sent as the reader of the message will get it. If the protocol cannot
 * carry it (NUL, a field above 64 KiB), the result contains a note for the record.
 */
#include "proto/milter.h"
#include "proto/text.h"

static void put_empty(struct buf *to, char command)
{
	milter_frame_close(to, milter_frame_open(to, command));
}

static void put_text(struct buf *to, char command, struct span text)
{
	size_t begin = milter_frame_open(to, command);

	milter_put_string(to, text);
	milter_frame_close(to, begin);
}

/*
 * connect = name NUL family [ port address NUL ]
 *
 * IPv6 has no "IPv6:" in front, because rspamd parses no other form.
 */
void milter_put_connect(
	struct buf *to, struct span name, const struct ip *ip, uint16_t port)
{
	size_t begin = milter_frame_open(to, 'C');

	milter_put_string(to, name);
	if (ip->n == 0) {
		buf_put_char(to, 'U');
	} else {
		buf_put_char(to, ip->n == IPV4_OCTETS ? '4' : '6');
		buf_put_char(to, (char)(port >> 8));
		buf_put_char(to, (char)(port & 0xff));
		ip_put(to, ip);
		buf_put_char(to, '\0');
	}
	milter_frame_close(to, begin);
}

void milter_put_helo(struct buf *to, struct span name)
{
	put_text(to, 'H', name);
}

/* path NUL *( parameter NUL ) */
static void put_path(struct buf *to, char command, struct span path, struct span params)
{
	size_t begin = milter_frame_open(to, command);

	milter_put_string(to, path);
	params = span_trim(params);
	while (params.n)
		milter_put_string(to, span_take_word(&params));
	milter_frame_close(to, begin);
}

void milter_put_mail(struct buf *to, struct span path, struct span params)
{
	put_path(to, 'M', path, params);
}

void milter_put_rcpt(struct buf *to, struct span path, struct span params)
{
	put_path(to, 'R', path, params);
}

void milter_put_data(struct buf *to)
{
	put_empty(to, 'T');
}

void milter_put_unknown(struct buf *to, struct span line)
{
	put_text(to, 'U', line);
}

/* Removes the line end, LF or CRLF. */
static struct span without_end(struct span s)
{
	if (span_ends(s, SPAN("\n")))
		s.n--;
	if (span_ends(s, SPAN("\r")))
		s.n--;
	return s;
}

/* Appends octets of a value, at most *room: CRLF becomes LF, and NUL "?". */
static unsigned put_value(struct buf *to, struct span value, size_t room)
{
	unsigned notes = 0;

	for (size_t i = 0; i < value.n; i++) {
		char c = value.p[i];
		if (c == '\r' && i + 1 < value.n && value.p[i + 1] == '\n')
			continue;
		if (room-- == 0)
			return notes | MILTER_FIELD_CUT;
		if (c == '\0')
			notes |= MILTER_FIELD_NUL;
		buf_put_char(to, c ? c : '?');
	}
	return notes;
}

/* field = name NUL value NUL */
unsigned milter_put_field(struct buf *to, struct span field, uint32_t options)
{
	struct span value = without_end(field);
	struct span name = { field.p, text_field_name(field) };
	size_t begin = milter_frame_open(to, 'L'), room;
	unsigned notes = 0;

	span_take(&value, ':');
	if (!(options & MILTER_LEADING_SPACE) && span_starts(value, SPAN(" ")))
		value = span_from(value, 1);
	if (name.n > MILTER_DATA_MAX - 2) {
		name.n = MILTER_DATA_MAX - 2;
		notes = MILTER_FIELD_CUT;
	}
	room = MILTER_DATA_MAX - 2 - name.n;
	milter_put_string(to, name);
	notes |= put_value(to, value, room);
	buf_put_char(to, '\0');
	milter_frame_close(to, begin);
	return notes;
}

void milter_put_end_of_header(struct buf *to)
{
	put_empty(to, 'N');
}

void milter_put_body_head(struct buf *to, size_t n)
{
	size_t begin = to->n, length = n + 1;

	put_empty(to, 'B');
	if (to->n == begin)
		return;
	to->p[begin + 1] = (char)(length >> 16);
	to->p[begin + 2] = (char)(length >> 8 & 0xff);
	to->p[begin + 3] = (char)(length & 0xff);
}

void milter_put_end(struct buf *to)
{
	put_empty(to, 'E');
}

void milter_put_abort(struct buf *to)
{
	put_empty(to, 'A');
}

void milter_put_quit(struct buf *to)
{
	put_empty(to, 'Q');
}

/* Returns the octets before the next `end`, as many as fit; at least one. */
static struct span take_run(const struct buf *to, struct span *text, char end)
{
	size_t most = text->n < buf_room(to) ? text->n : buf_room(to);
	const char *at = memchr(text->p + 1, end, most - 1);
	struct span run = { text->p, at ? (size_t)(at - text->p) : most };

	*text = span_from(*text, run.n);
	return run;
}

void milter_put_crlf(struct buf *to, struct span *text, bool *cr)
{
	while (text->n && buf_room(to)) {
		struct span run;
		if (*text->p == '\n' && !*cr) {
			buf_put_char(to, '\r');
			*cr = true;
			continue;
		}
		run = take_run(to, text, '\n');
		buf_put(to, run);
		*cr = run.p[run.n - 1] == '\r';
	}
}

void milter_put_lf(struct buf *to, struct span *text, bool *cr)
{
	while (text->n && buf_room(to)) {
		if (*cr && *text->p != '\n') {
			buf_put_char(to, '\r');
			*cr = false;
		} else if (*text->p == '\r') {
			*text = span_from(*text, 1);
			*cr = true;
		} else {
			buf_put(to, take_run(to, text, '\r'));
			*cr = false;
		}
	}
}

void milter_put_lf_end(struct buf *to, bool *cr)
{
	if (*cr)
		buf_put_char(to, '\r');
	*cr = false;
}
