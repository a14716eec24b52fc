/* SPDX-License-Identifier: ISC */
/*
 * Files of JSON Lines, which are read backwards and no further than requested. Only
 * incomplete, foreign and overlong lines are skipped. After a rotation the new file is
 * read. Several files, such as the logs of several hosts and their rotated files, are
 * merged by the times of their records. The order of records within a file is not
 * changed.
 */
#include "tools/status/source.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/num.h"

/* One file. */

#define BLOCK (64 * 1024) /* octets of one read; a line fits in it */
#define LOOK_MILLISECONDS 1000

_Static_assert(STATUS_LINE_MAX + 1 < BLOCK, "a line and its end");

struct file {
	struct status_source source;
	char *path;
	int fd;
	off_t at; /* the position, at which a line begins */
	off_t seen; /* size when last checked */
	off_t start; /* offset of the window */
	size_t n;
	char window[BLOCK];
};

/* Fills the window from `start` on, shorter at the end of the file. 0 or -errno. */
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

/* Returns the start of a window that ends before `end`. */
static off_t start_before(off_t end)
{
	return end > BLOCK ? end - BLOCK : 0;
}

/*
 * Returns the offset after the last line end before `end`, 0 if there is none, or -errno.
 */
static off_t line_before(struct file *f, off_t end)
{
	while (end > 0) {
		const char *lf;
		int r = 0;

		if (!is_loaded(f, end - 1, end))
			r = load(f, start_before(end));
		if (r < 0)
			return r;
		/* the file was truncated in the meantime */
		if (!is_loaded(f, end - 1, end))
			return 0;
		lf = memrchr(f->window, '\n', (size_t)(end - f->start));
		if (lf)
			return f->start + (lf - f->window) + 1;
		end = f->start;
	}
	return 0;
}

/*
 * Returns the offset after the first line end from `from` on, `from` if there is none, or
 * -errno.
 */
static off_t line_after(struct file *f, off_t from)
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

/* Reads the line, including its end. 1; 0: it is not a record; or -errno. */
static int read_record(struct file *f, off_t from, off_t to, struct status_record *ret)
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
	/* a line without its end is still being written */
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
		r = read_record(f, begin, end, ret);
		if (r != 0)
			return r;
	}
	return 0;
}

static int file_next(struct status_source *s, struct status_record *ret)
{
	struct file *f = (struct file *)s;

	for (;;) {
		off_t begin = f->at, end = line_after(f, begin);
		int r;

		if (end <= begin)
			return end < 0 ? (int)end : 0;
		f->at = end;
		r = read_record(f, begin, end, ret);
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

/* Checks for new octets at the end of the file. A new file is read from its beginning. */
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
	/* the file was moved away, and the new one does not exist yet */
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

/* Opens a source, and takes over the descriptor. */
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

/* Several files that are read as one. */

/* The direction of the held record, which was read from a file but not returned yet. */
enum taken {
	TAKEN_NONE,
	TAKEN_PREVIOUS, /* the file is before it, the whole source after */
	TAKEN_NEXT, /* the reverse */
};

struct part {
	struct status_source *source;
	bool live; /* the file grows; a rotated one does not */
	dev_t dev;
	ino_t ino;
	enum taken taken;
	struct status_record record;
};

struct files {
	struct status_source source;
	size_t n;
	struct part *list[STATUS_FILES_MAX];
};

/* Reads one record of a file; its lines are counted for the whole source. */
static int read_part(struct files *f, struct part *p, enum taken way)
{
	struct status_source *s = p->source;
	uint64_t visited = s->n_visited, skipped = s->n_skipped;
	int r = way == TAKEN_NEXT ? s->ops->next(s, &p->record)
				  : s->ops->previous(s, &p->record);

	f->source.n_visited += s->n_visited - visited;
	f->source.n_skipped += s->n_skipped - skipped;
	return r;
}

/* Reads and holds the next record in that direction, if there is one. 0 or -errno. */
static int hold_record(struct files *f, struct part *p, enum taken way)
{
	int r = 1;

	if (p->taken == way)
		return 0;
	/* skip the record that was read in the other direction */
	if (p->taken != TAKEN_NONE)
		r = read_part(f, p, way);
	p->taken = TAKEN_NONE;
	if (r > 0)
		r = read_part(f, p, way);
	if (r > 0)
		p->taken = way;
	return r < 0 ? r : 0;
}

static bool is_before(const struct moment *a, const struct moment *b)
{
	return a->seconds != b->seconds ? a->seconds < b->seconds
					: a->microseconds < b->microseconds;
}

/* True when `p` comes before `best`. At equal times the later file counts as newer. */
static bool is_nearer(const struct part *p, const struct part *best, enum taken way)
{
	if (!best)
		return true;
	if (way == TAKEN_NEXT)
		return is_before(&p->record.record.when, &best->record.record.when);
	return !is_before(&p->record.record.when, &best->record.record.when);
}

static int nearest(struct files *f, enum taken way, struct status_record *ret)
{
	struct part *best = NULL;

	for (size_t i = 0; i < f->n; i++) {
		struct part *p = f->list[i];
		int r = hold_record(f, p, way);
		if (r < 0)
			return r;
		if (p->taken == way && is_nearer(p, best, way))
			best = p;
	}
	if (!best)
		return 0;
	status_record_copy(ret, &best->record);
	best->taken = TAKEN_NONE;
	return 1;
}

static int files_previous(struct status_source *s, struct status_record *ret)
{
	return nearest((struct files *)s, TAKEN_PREVIOUS, ret);
}

static int files_next(struct status_source *s, struct status_record *ret)
{
	return nearest((struct files *)s, TAKEN_NEXT, ret);
}

static int files_to_end(struct status_source *s)
{
	struct files *f = (struct files *)s;
	int r = 0;

	for (size_t i = 0; i < f->n && r >= 0; i++) {
		r = f->list[i]->source->ops->to_end(f->list[i]->source);
		f->list[i]->taken = TAKEN_NONE;
	}
	return r;
}

/* Files are read at intervals, because there is no descriptor to wait for. */
static void files_wait_for(
	struct status_source *s, struct pollfd *ret, int *ret_milliseconds)
{
	struct files *f = (struct files *)s;

	f->list[0]->source->ops->wait_for(f->list[0]->source, ret, ret_milliseconds);
}

static int files_look(struct status_source *s)
{
	struct files *f = (struct files *)s;
	int more = 0;

	for (size_t i = 0; i < f->n; i++) {
		struct part *p = f->list[i];
		int r = p->live ? p->source->ops->look(p->source) : 0;
		if (r < 0)
			return r;
		more |= r;
	}
	return more;
}

static void files_free(struct status_source *s)
{
	struct files *f = (struct files *)s;

	for (size_t i = 0; i < f->n; i++) {
		f->list[i]->source->ops->free(f->list[i]->source);
		free(f->list[i]);
	}
	free(f);
}

/*
 * Returns the part that reads the same file, because a file that is given twice, as by
 * "log*", is read once.
 */
static struct part *find_part(const struct files *f, const struct stat *st)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->list[i]->dev == st->st_dev && f->list[i]->ino == st->st_ino)
			return f->list[i];
	return NULL;
}

/*
 * Adds a part. `st` is NULL if the file is missing. 0 or -errno; -E2BIG: too many files.
 */
static int add_part(struct files *f, const char *path, const struct stat *st, bool live)
{
	struct part *p;
	int r;

	if (f->n == STATUS_FILES_MAX)
		return -E2BIG;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	r = st ? status_file_open(path, &p->source) : status_file_await(path, &p->source);
	if (r < 0) {
		free(p);
		return r;
	}
	p->live = live;
	p->dev = st ? st->st_dev : 0;
	p->ino = st ? st->st_ino : 0;
	f->list[f->n++] = p;
	return 0;
}

static int add_file(struct files *f, const char *path, bool live)
{
	struct part *p;
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	p = find_part(f, &st);
	if (!p)
		return add_part(f, path, &st, live);
	p->live |= live;
	return 0;
}

/*
 * True for names of logrotate(8): "log.1", "log-20261128", "log-20261128.1"; not
 * "log.1.gz".
 */
static bool is_rotated(const char *name, const char *base)
{
	size_t n = strlen(base);
	const char *rest = name + n;

	return strncmp(name, base, n) == 0 && (*rest == '.' || *rest == '-') && rest[1] &&
	       strspn(rest, ".-0123456789") == strlen(rest);
}

/* Adds the rotated files. Returns their number, or -errno. */
static int add_rotated(struct files *f, const char *path)
{
	OWNED char *copy = strdup(path), *last = strdup(path);
	const char *base = last ? basename(last) : NULL;
	const char *above = copy ? dirname(copy) : NULL;
	DIR *dir = above ? opendir(above) : NULL;
	int r = 0, n = 0;

	/* the file may be readable although its directory is not */
	if (!dir)
		return 0;
	for (const struct dirent *e; r == 0 && base && (e = readdir(dir));) {
		OWNED char *name = NULL;
		if (!is_rotated(e->d_name, base))
			continue;
		r = asprintf(&name, "%s/%s", above, e->d_name) < 0
			    ? -ENOMEM
			    : add_file(f, name, false);
		n += r == 0;
		/* rotated again in the meantime */
		if (r == -ENOENT)
			r = 0;
	}
	closedir(dir);
	return r < 0 ? r : n;
}

/* Adds a file, empty if it does not exist yet after rotation, and its rotated ones. */
static int add_with_rotated(struct files *f, const char *path)
{
	int n_rotated = add_rotated(f, path), r = add_file(f, path, true);

	if (n_rotated < 0)
		return n_rotated;
	return r == -ENOENT && n_rotated > 0 ? add_part(f, path, NULL, true) : r;
}

int status_files_open(const char *const *paths, size_t n, struct status_source **ret,
	const char **ret_wrong)
{
	static const struct status_source_ops ops = { files_to_end, files_previous,
		files_next, files_wait_for, files_look, files_free };
	struct files *f = calloc(1, sizeof(*f));
	int r = f ? 0 : -ENOMEM;

	if (!f)
		return r;
	f->source.ops = &ops;
	for (size_t i = 0; i < n && r == 0; i++) {
		*ret_wrong = paths[i];
		r = add_file(f, paths[i], true);
		/* rotated files may exist */
		if (r == -ENOENT)
			r = 0;
	}
	for (size_t i = 0; i < n && r == 0; i++) {
		*ret_wrong = paths[i];
		r = add_with_rotated(f, paths[i]);
	}
	if (r < 0)
		files_free(&f->source);
	else
		*ret = &f->source;
	return r;
}
