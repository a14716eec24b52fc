/* SPDX-License-Identifier: ISC */
/*
 * The copy of a message for a program that passes it on to other persons (--strip). It
 * lacks postern's fields at the top, which contain all recipients, and the fields of
 * blind recipients. All other octets are unchanged.
 */
#include "tools/pipe/pipe.h"
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/cleanup.h"

#define PIECE_SIZE 65536

static void close_stream(FILE **stream)
{
	if (*stream)
		fclose(*stream);
}

#define OWNED_STREAM CLEANUP(close_stream)

/* Opens a stream on a copy of the descriptor. */
static FILE *stream_of(int fd, const char *mode)
{
	OWNED_FD int own = dup(fd);
	FILE *stream = own < 0 ? NULL : fdopen(own, mode);

	if (stream)
		steal_fd(&own);
	return stream;
}

/*
 * True for "Bcc" (RFC 5322 3.6.3) and "Resent-Bcc" (3.6.6), also with obsolete blanks
 * before the colon.
 */
static bool is_blind(struct span line)
{
	const char *colon = memchr(line.p, ':', line.n);
	struct span name = { line.p, colon ? (size_t)(colon - line.p) : 0 };

	name = span_trim(name);
	return span_ieq(name, SPAN("Bcc")) || span_ieq(name, SPAN("Resent-Bcc"));
}

/* Copies the header, up to the empty line. Lines that are not fields are copied, too. */
static void copy_header(FILE *from, FILE *to)
{
	OWNED char *line = NULL;
	bool is_left_out = false;
	size_t cap = 0;
	ssize_t n;

	while ((n = getline(&line, &cap, from)) > 0) {
		if (*line != ' ' && *line != '\t')
			is_left_out = is_blind((struct span){ line, (size_t)n });
		if (!is_left_out)
			fwrite(line, 1, (size_t)n, to);
		if (*line == '\n')
			return;
	}
}

static void copy_rest(FILE *from, FILE *to)
{
	char piece[PIECE_SIZE];
	size_t n;

	while ((n = fread(piece, 1, sizeof(piece), from)) > 0)
		fwrite(piece, 1, n, to);
}

int pipe_strip(int file, size_t n_trace, int *ret)
{
	OWNED_FD int made = memfd_create("message", MFD_CLOEXEC);
	OWNED_STREAM FILE *from = stream_of(file, "r");
	OWNED_STREAM FILE *to = made < 0 ? NULL : stream_of(made, "w");

	if (!from || !to || fseeko(from, (off_t)n_trace, SEEK_SET) < 0)
		return -errno;
	errno = 0;
	copy_header(from, to);
	copy_rest(from, to);
	if (ferror(from) || ferror(to) || fflush(to) == EOF)
		return errno ? -errno : -EIO;
	if (lseek(made, 0, SEEK_SET) < 0)
		return -errno;
	*ret = steal_fd(&made);
	return 0;
}
