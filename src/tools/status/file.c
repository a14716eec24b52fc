/*
 * A file of JSON Lines. Promises to read no more of it than is asked for, from its end; that a line which is
 * torn, foreign or far too long costs itself alone; and to follow a file that is rotated. Refuses to know what
 * a record says.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "tools/status/json.h"
#include "tools/status/source.h"

#define BLOCK (64 * 1024) /* octets of one read; a line has room in it */
#define LOOK_MILLISECONDS 1000

_Static_assert(STATUS_LINE_MAX + 1 < BLOCK, "a line and its end");

struct file {
	struct status_source source;
	char *path;
	int fd;
	off_t at; /* the place: a line begins here */
	off_t seen; /* octets that there were when it was last looked at */
	off_t start; /* of the window */
	size_t n;
	char window[BLOCK];
};

/* Puts the octets from `start` on into the window. 0 or -errno; fewer are there at the end. */
static int load(struct file *f, off_t start)
{
	ssize_t n = pread(f->fd, f->window, BLOCK, start);

	f->start = start;
	f->n = n > 0 ? (size_t)n : 0;
	return n < 0 ? -errno : 0;
}

static bool is_loaded(const struct file *f, off_t from, off_t to)
{
	return from >= f->start && to <= f->start + (off_t)f->n;
}

/* That much of a window whose last octet is before `end`. */
static off_t start_before(off_t end)
{
	return end > BLOCK ? end - BLOCK : 0;
}

/* Behind the last line end before `end`: 0 when there is none. -errno. */
static off_t line_before(struct file *f, off_t end)
{
	while (end > 0) {
		const char *lf;
		int r = 0;

		if (!is_loaded(f, end - 1, end))
			r = load(f, start_before(end));
		if (r < 0)
			return r;
		/* it was cut in the meantime */
		if (!is_loaded(f, end - 1, end))
			return 0;
		lf = memrchr(f->window, '\n', (size_t)(end - f->start));
		if (lf)
			return f->start + (lf - f->window) + 1;
		end = f->start;
	}
	return 0;
}

/* Behind the first line end from `from` on; `from` itself when there is none. -errno. */
static off_t line_behind(struct file *f, off_t from)
{
	for (off_t at = from;;) {
		const char *lf;
		int r = 0;

		if (!is_loaded(f, at, at + 1))
			r = load(f, at);
		if (r < 0)
			return r;
		if (!is_loaded(f, at, at + 1))
			return from;
		lf = memchr(f->window + (at - f->start), '\n',
			f->n - (size_t)(at - f->start));
		if (lf)
			return f->start + (lf - f->window) + 1;
		at = f->start + (off_t)f->n;
	}
}

/* The record of the line, its end included. 1; 0 when it is none; -errno. */
static int take(struct file *f, off_t from, off_t to, struct status_record *ret)
{
	int r = 0;

	f->source.n_visited++;
	if (to - from <= STATUS_LINE_MAX + 1) {
		if (!is_loaded(f, from, to))
			r = load(f, from);
		if (r < 0)
			return r;
		if (is_loaded(f, from, to) &&
			status_json_read((struct span){ f->window + (from - f->start),
						 (size_t)(to - from) - 1 },
				ret))
			return 1;
	}
	f->source.n_skipped++;
	return 0;
}

static int file_to_end(struct status_source *s)
{
	struct file *f = (struct file *)s;
	struct stat st;
	off_t end;

	if (fstat(f->fd, &st) < 0)
		return -errno;
	f->n = 0;
	f->seen = st.st_size;
	/* what has no line end is still being written */
	end = line_before(f, st.st_size);
	if (end < 0)
		return (int)end;
	f->at = end;
	return 0;
}

static int file_previous(struct status_source *s, struct status_record *ret)
{
	struct file *f = (struct file *)s;

	while (f->at > 0) {
		off_t end = f->at, begin = line_before(f, end - 1);
		int r;

		if (begin < 0)
			return (int)begin;
		f->at = begin;
		r = take(f, begin, end, ret);
		if (r != 0)
			return r;
	}
	return 0;
}

static int file_next(struct status_source *s, struct status_record *ret)
{
	struct file *f = (struct file *)s;

	for (;;) {
		off_t begin = f->at, end = line_behind(f, begin);
		int r;

		if (end <= begin)
			return end < 0 ? (int)end : 0;
		f->at = end;
		r = take(f, begin, end, ret);
		if (r != 0)
			return r;
	}
}

static int open_regular(const char *path)
{
	OWNED_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	return steal_fd(&fd);
}

/* Asked when all of it has been read. A new file is read from its beginning. */
static int file_look(struct status_source *s)
{
	struct file *f = (struct file *)s;
	struct stat ours, theirs;
	int fd;

	if (fstat(f->fd, &ours) < 0)
		return -errno;
	if (ours.st_size != f->seen || ours.st_size < f->at) {
		if (ours.st_size < f->at)
			f->at = 0;
		f->seen = ours.st_size;
		f->n = 0;
		return 1;
	}
	/* moved away, the new one has yet to come */
	if (stat(f->path, &theirs) < 0 ||
		(ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino))
		return 0;
	fd = open_regular(f->path);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	close(f->fd);
	f->fd = fd;
	f->at = 0;
	f->seen = 0;
	f->n = 0;
	return 1;
}

static void file_wait_for(
	struct status_source *s, struct pollfd *ret, int *ret_milliseconds)
{
	(void)s;
	*ret = (struct pollfd){ .fd = -1 };
	*ret_milliseconds = LOOK_MILLISECONDS;
}

static void file_free(struct status_source *s)
{
	struct file *f = (struct file *)s;

	close(f->fd);
	free(f->path);
	free(f);
}

/* Takes over the descriptor. */
static int open_with(int fd, const char *path, struct status_source **ret)
{
	static const struct status_source_ops ops = { file_to_end, file_previous,
		file_next, file_wait_for, file_look, file_free };
	struct file *f;
	int r;

	if (fd < 0)
		return fd;
	f = calloc(1, sizeof(*f));
	if (!f) {
		close(fd);
		return -ENOMEM;
	}
	f->source.ops = &ops;
	f->fd = fd;
	f->path = strdup(path);
	r = f->path ? file_to_end(&f->source) : -ENOMEM;
	if (r < 0)
		file_free(&f->source);
	else
		*ret = &f->source;
	return r;
}

int status_file_open(const char *path, struct status_source **ret)
{
	return open_with(open_regular(path), path, ret);
}

int status_file_await(const char *path, struct status_source **ret)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	return open_with(fd < 0 ? -errno : fd, path, ret);
}
