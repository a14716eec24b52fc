/* SPDX-License-Identifier: ISC */
/* A message of any size without memory for it: a header, then the same line again and again. */
#pragma once

#include <stddef.h>
#include <string.h>

#define CONTENT_HEADER "From: <a@client.example>\r\nSubject: bench\r\n\r\n"
#define CONTENT_LINE                                                                     \
	"This line is as long as lines of mail are, and it holds nothing else....\r\n"
#define CONTENT_HEADER_N (sizeof(CONTENT_HEADER) - 1)
#define CONTENT_LINE_N (sizeof(CONTENT_LINE) - 1)
#define CONTENT_LINES 220 /* in one piece */

/* Octets of a message of about `size`, of whole lines. */
static inline unsigned long content_size(unsigned long size)
{
	return CONTENT_HEADER_N + (size / CONTENT_LINE_N + 1) * CONTENT_LINE_N;
}

/* How many octets there are in one piece from `at` on, at most `n`, and where. */
static inline size_t content_at(unsigned long at, unsigned long n, const char **ret)
{
	static const char header[] = CONTENT_HEADER;
	static char lines[CONTENT_LINE_N * CONTENT_LINES];
	size_t from = at, end = CONTENT_HEADER_N;

	for (size_t i = 0; !lines[0] && i < CONTENT_LINES; i++)
		memcpy(lines + CONTENT_LINE_N * (CONTENT_LINES - 1 - i), CONTENT_LINE,
			CONTENT_LINE_N);
	if (at < CONTENT_HEADER_N) {
		*ret = header + from;
	} else {
		from = (at - CONTENT_HEADER_N) % CONTENT_LINE_N;
		end = sizeof(lines);
		*ret = lines + from;
	}
	return end - from < n ? end - from : n;
}
