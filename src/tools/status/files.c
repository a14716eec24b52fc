/*
 * Several files of JSON Lines, read as one by the times of their records: the logs of several hosts, and of each what
 * it was rotated to. What a file itself has out of order stays so.
 */
#include <dirent.h>
#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "base/cleanup.h"
#include "base/num.h"
#include "tools/status/source.h"

/* The record that was taken from a file and not given yet. */
enum taken {
	TAKEN_NONE,
	TAKEN_PREVIOUS, /* the place of the file is before it, that of all is behind */
	TAKEN_NEXT, /* the other way round */
};

struct part {
	struct status_source *source;
	bool live; /* grows; a rotated one does not */
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

/* One step of a file, whose lines are counted for all of them. */
static int step(struct files *f, struct part *p, enum taken way)
{
	struct status_source *s = p->source;
	uint64_t visited = s->n_visited, skipped = s->n_skipped;
	int r = way == TAKEN_NEXT ? s->ops->next(s, &p->record)
				  : s->ops->previous(s, &p->record);

	f->source.n_visited += s->n_visited - visited;
	f->source.n_skipped += s->n_skipped - skipped;
	return r;
}

/* Has a record in hand that lies that way, if there is one. 0 or -errno. */
static int take(struct files *f, struct part *p, enum taken way)
{
	int r = 1;

	if (p->taken == way)
		return 0;
	/* back over the one that was taken the other way */
	if (p->taken != TAKEN_NONE)
		r = step(f, p, way);
	p->taken = TAKEN_NONE;
	if (r > 0)
		r = step(f, p, way);
	if (r > 0)
		p->taken = way;
	return r < 0 ? r : 0;
}

static bool is_before(const struct moment *a, const struct moment *b)
{
	return a->seconds != b->seconds ? a->seconds < b->seconds
					: a->microseconds < b->microseconds;
}

/* True when `p` comes before `best` on that way; of two of one time the later file is the newer. */
static bool is_nearer(const struct part *p, const struct part *best, enum taken way)
{
	if (!best)
		return true;
	if (way == TAKEN_NEXT)
		return is_before(&p->record.record.when, &best->record.record.when);
	return !is_before(&p->record.record.when, &best->record.record.when);
}

static int give(struct files *f, enum taken way, struct status_record *ret)
{
	struct part *best = NULL;

	for (size_t i = 0; i < f->n; i++) {
		struct part *p = f->list[i];
		int r = take(f, p, way);
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
	return give((struct files *)s, TAKEN_PREVIOUS, ret);
}

static int files_next(struct status_source *s, struct status_record *ret)
{
	return give((struct files *)s, TAKEN_NEXT, ret);
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

/* Files are looked at now and then: none of them has a descriptor to wait for. */
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

/* One that is named twice, as by "log*", is read once. */
static struct part *find(const struct files *f, const struct stat *st)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->list[i]->dev == st->st_dev && f->list[i]->ino == st->st_ino)
			return f->list[i];
	return NULL;
}

/* `st`: NULL where it is missing. 0 or -errno; -E2BIG: is one too many. */
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

static int add(struct files *f, const char *path, bool live)
{
	struct part *p;
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	p = find(f, &st);
	if (!p)
		return add_part(f, path, &st, live);
	p->live |= live;
	return 0;
}

/* "log.1", "log-20261128", "log-20261128.1": as logrotate(8) names them, and not "log.1.gz". */
static bool is_rotated(const char *name, const char *base)
{
	size_t n = strlen(base);
	const char *rest = name + n;

	return strncmp(name, base, n) == 0 && (*rest == '.' || *rest == '-') && rest[1] &&
	       strspn(rest, ".-0123456789") == strlen(rest);
}

/* What the file was rotated to. How many there are, or -errno. */
static int add_rotated(struct files *f, const char *path)
{
	OWNED char *copy = strdup(path), *last = strdup(path);
	const char *base = last ? basename(last) : NULL;
	const char *above = copy ? dirname(copy) : NULL;
	DIR *dir = above ? opendir(above) : NULL;
	int r = 0, n = 0;

	/* a file may be read whose directory may not */
	if (!dir)
		return 0;
	for (const struct dirent *e; r == 0 && base && (e = readdir(dir));) {
		OWNED char *name = NULL;
		if (!is_rotated(e->d_name, base))
			continue;
		r = asprintf(&name, "%s/%s", above, e->d_name) < 0 ? -ENOMEM
								   : add(f, name, false);
		n += r == 0;
		/* rotated once more in the meantime */
		if (r == -ENOENT)
			r = 0;
	}
	closedir(dir);
	return r < 0 ? r : n;
}

/* One that was rotated away, and is not made anew yet, is empty. 0 or -errno. */
static int add_with_rotated(struct files *f, const char *path)
{
	int n_rotated = add_rotated(f, path), r = add(f, path, true);

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
		r = add(f, paths[i], true);
		/* what was rotated may be there */
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
