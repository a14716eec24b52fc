/* SPDX-License-Identifier: ISC */
/*
 * The copy of a message that a program hands on to other people (--strip): without the
 * fields that postern has put on top, which name its recipients, and without those of
 * its own header that name blind ones. All else is the same, octet by octet.
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

/* A stream of its own of that descriptor. */
static FILE *stream_of(int fd, const char *mode)
{
	OWNED_FD int own = dup(fd);
	FILE *stream = own < 0 ? NULL : fdopen(own, mode);

	if (stream)
		steal_fd(&own);
	return stream;
}

/* RFC 5322 3.6.3: "Bcc"; 3.6.6: "Resent-Bcc". Blanks before the colon are obsolete. */
static bool is_blind(struct span line)
{
	const char *colon = memchr(line.p, ':', line.n);
	struct span name = { line.p, colon ? (size_t)(colon - line.p) : 0 };

	name = span_trim(name);
	return span_ieq(name, SPAN("Bcc")) || span_ieq(name, SPAN("Resent-Bcc"));
}

/* Up to the empty line; what is no field in between is none of ours to judge. */
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
