/* SPDX-License-Identifier: ISC */
/*
 * Notes as messages (--notes): a note about a failed message is delivered to a Maildir.
 * If it cannot be written, the failed message is not moved, so that no note is lost. A
 * note that is written again has the same name.
 */
#include "tools/pipe/pipe.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "proto/received.h"

#define PROGRAM "postern-pipe"
/* end of the names of notes, for which no further notes are written */
#define SUFFIX ".note"
#define HOST_MAX 256
#define DATE_MAX 64
#define HEADER_MAX (16 * 1024) /* octets of the failed message that are quoted */

int pipe_notes_open(const char *path, const char *part, struct buf *why)
{
	OWNED_FD int top =
		job_dir_open(&(struct job_dir){ AT_FDCWD, path, 0, "", PROGRAM }, why);

	if (top < 0)
		return top;
	return job_dir_open(
		&(struct job_dir){ top, part, O_NOFOLLOW, part, PROGRAM }, why);
}

/* Makes the name of a note: that of the message up to its size, which differs here. */
static bool name_note(char to[static NAME_MAX + 1], const char *message)
{
	struct buf b = { .p = to, .cap = NAME_MAX + 1 };

	buf_put(&b, (struct span){ message, strcspn(message, ",:") });
	if (span_ends(buf_span(&b), SPAN(SUFFIX)))
		return false;
	buf_put(&b, SPAN(SUFFIX));
	return buf_terminate(&b);
}

/*
 * Writes the header of the failed message, up to its empty line, with "> " before each
 * line.
 */
static void put_header(FILE *to, int new_dir, const char *name)
{
	OWNED_FD int fd = openat(
		new_dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	char octets[HEADER_MAX];
	ssize_t n = fd < 0 ? 0 : read(fd, octets, sizeof(octets));
	struct span rest = { octets, n < 0 ? 0 : (size_t)n };

	while (rest.n) {
		struct span line = span_take_line(&rest);
		if (line.n == 0)
			break;
		fputs("> ", to);
		for (size_t i = 0; i < line.n; i++)
			putc((unsigned char)line.p[i] < 32 && line.p[i] != '\t'
					? '?'
					: line.p[i],
				to);
		putc('\n', to);
	}
}

static void put_message(FILE *to, const struct pipe_box *box,
	const struct pipe_message *m, struct span note)
{
	char host[HOST_MAX] = "", date[DATE_MAX] = "";
	struct buf b = BUF(date);

	gethostname(host, sizeof(host) - 1);
	date_put(&b, time(NULL));
	buf_terminate(&b);
	fprintf(to,
		"Return-Path: <>\n"
		"From: postern-pipe <postmaster@%s>\n"
		"To: postmaster@%s\n"
		"Date: %s\n"
		"Message-ID: <%ju.%ju.%ju.note@%s>\n"
		"Subject: A message could not be processed\n"
		"Auto-Submitted: auto-generated\n"
		"MIME-Version: 1.0\n"
		"Content-Type: text/plain; charset=utf-8\n"
		"Content-Transfer-Encoding: 8bit\n"
		"\n"
		"The program of a mailbox could not process a message, which is now in\n"
		"%s/failed. When the cause is gone, move it to new/.\n"
		"\n",
		host, host, date, (uintmax_t)m->seconds, (uintmax_t)m->microseconds,
		(uintmax_t)getpid(), host, box->path);
	fwrite(note.p, 1, note.n, to);
	fputs("\nThe message begins with these fields:\n\n", to);
	put_header(to, box->new_dir, m->name);
}

/* Writes and syncs the file in tmp/. 0 or -errno. */
static int write_note(int tmp, const char *name, const struct pipe_box *box,
	const struct pipe_message *m, struct span note)
{
	int fd = openat(tmp, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
		S_IRUSR | S_IWUSR);
	FILE *to = fd < 0 ? NULL : fdopen(fd, "w");
	int r = 0;

	if (!to) {
		r = -errno;
		if (fd >= 0)
			close(fd);
		return r;
	}
	put_message(to, box, m, note);
	if (fflush(to) == EOF || fsync(fd) < 0)
		r = -errno;
	if (fclose(to) == EOF && r == 0)
		r = -errno;
	if (r < 0)
		unlinkat(tmp, name, 0);
	return r;
}

int pipe_notes_put(const char *path, const struct pipe_box *box,
	const struct pipe_message *m, struct span note)
{
	char text[PIPE_WHY_MAX], name[NAME_MAX + 1];
	struct buf why = BUF(text);
	OWNED_FD int tmp = -1, new_dir = -1;
	int r;

	if (!name_note(name, m->name))
		return 0;
	tmp = pipe_notes_open(path, "tmp", &why);
	new_dir = tmp < 0 ? tmp : pipe_notes_open(path, "new", &why);
	if (new_dir < 0)
		return new_dir;
	r = write_note(tmp, name, box, m, note);
	if (r == 0 && renameat(tmp, name, new_dir, name) < 0)
		r = -errno;
	if (r == 0 && fsync(new_dir) < 0)
		r = -errno;
	return r;
}
