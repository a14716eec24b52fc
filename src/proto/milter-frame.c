/* SPDX-License-Identifier: ISC */
/*
 * Frames of the milter protocol: reads those of a filter and writes ours. A length is
 * checked octet by octet, so that a peer with another protocol is detected by its first
 * octet and not by a timeout.
 */
#include "proto/milter.h"

#define LENGTH_OCTETS 4

/* The first octet of a text protocol would be a length of 16 MiB and more. */
static const char *foreign_fault(struct span in)
{
	static const struct span http = { "HTTP/", 5 };
	size_t n = in.n < http.n ? in.n : http.n;

	if (span_starts(http, (struct span){ in.p, n }))
		return "answers in HTTP: this is not its milter port";
	if (*in.p >= '0' && *in.p <= '9')
		return "answers in digits, as an SMTP server does: this is no milter";
	if (*in.p == '\x15' || *in.p == '\x16')
		return "answers in TLS: this is no milter";
	return "sent a frame that is too long, or is no milter";
}

static uint32_t length_of(struct span in)
{
	uint32_t length = 0;

	for (size_t i = 0; i < LENGTH_OCTETS; i++)
		length = length << 8 | (i < in.n ? (unsigned char)in.p[i] : 0);
	return length;
}

static enum milter_step wrong(struct milter_reading *reading, const char *fault)
{
	reading->fault = fault;
	return MILTER_WRONG;
}

static enum milter_step need(struct milter_reading *reading, size_t n)
{
	reading->n_needed = n;
	return MILTER_MORE;
}

/* Returns the octets of a long frame `b` that have arrived. */
static enum milter_step take_piece(
	struct span *in, struct milter_frame *ret, struct milter_reading *reading)
{
	size_t n = in->n < reading->n_left ? in->n : reading->n_left;

	if (n == 0)
		return need(reading, 1);
	*ret = (struct milter_frame){ 'b', { in->p, n } };
	*in = span_from(*in, n);
	reading->n_left -= n;
	return MILTER_DONE;
}

static enum milter_step take_long(struct span *in, uint32_t length,
	struct milter_frame *ret, struct milter_reading *reading)
{
	if (in->n < MILTER_FRAME_HEAD)
		return need(reading, MILTER_FRAME_HEAD);
	if (in->p[LENGTH_OCTETS] != 'b')
		return wrong(reading, "sent a frame of more than 128 KiB");
	if (in->n == MILTER_FRAME_HEAD)
		return need(reading, MILTER_FRAME_HEAD + 1);
	*in = span_from(*in, MILTER_FRAME_HEAD);
	reading->n_left = length - 1;
	return take_piece(in, ret, reading);
}

enum milter_step milter_frame_take(
	struct span *in, struct milter_frame *ret_frame, struct milter_reading *reading)
{
	/*
	 * octets that have not arrived count as 0, so this is the smallest possible value
	 */
	uint32_t length = length_of(*in);

	if (reading->n_left)
		return take_piece(in, ret_frame, reading);
	if (length > MILTER_BODY_FRAME_MAX)
		return wrong(reading, foreign_fault(*in));
	if (in->n >= LENGTH_OCTETS && length == 0)
		return wrong(reading, "sent a frame without a command");
	if (length > MILTER_FRAME_MAX - LENGTH_OCTETS)
		return take_long(in, length, ret_frame, reading);
	if (in->n < LENGTH_OCTETS)
		return need(reading, MILTER_FRAME_HEAD);
	if (in->n - LENGTH_OCTETS < length)
		return need(reading, LENGTH_OCTETS + length);
	ret_frame->command = in->p[LENGTH_OCTETS];
	ret_frame->data = (struct span){ in->p + MILTER_FRAME_HEAD, length - 1 };
	*in = span_from(*in, LENGTH_OCTETS + length);
	return MILTER_DONE;
}

size_t milter_frame_open(struct buf *to, char command)
{
	size_t begin = to->n;

	buf_put(to, (struct span){ "\0\0\0", LENGTH_OCTETS });
	buf_put_char(to, command);
	return begin;
}

void milter_frame_close(struct buf *to, size_t begin)
{
	size_t length = to->n - begin - LENGTH_OCTETS;

	if (to->overflow) {
		to->n = begin;
		return;
	}
	for (size_t i = LENGTH_OCTETS; i-- > 0; length >>= 8)
		to->p[begin + i] = (char)(length & 0xff);
}

bool milter_put_string(struct buf *to, struct span text)
{
	bool has_nul = false;

	while (text.n && memchr(text.p, '\0', text.n)) {
		has_nul = true;
		buf_put(to, span_take(&text, '\0'));
		buf_put_char(to, '?');
	}
	buf_put(to, text);
	buf_put_char(to, '\0');
	return has_nul;
}
