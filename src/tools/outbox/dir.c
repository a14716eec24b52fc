/* SPDX-License-Identifier: ISC */
/*
 * The directories of the outbox. A report is in exactly one of the three, even if the
 * program is killed at any time, and no file is ever overwritten.
 */
#include "tools/outbox/outbox.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/num.h"
#include "proto/dsn.h"
#include "tools/job/job.h"

#define REJECTED "rejected"
#define REJECTED_MODE 0700
#define STAMP ",T=" /* precedes the seconds of the last attempt, like ",S=" in Maildirs */
#define NAME_TRIES 100

#define PROGRAM "postern-outbox"

static int open_part(const struct outbox_dirs *o, const char *name, struct buf *why)
{
	return job_dir_open(
		&(struct job_dir){ o->top, name, O_NOFOLLOW, name, PROGRAM }, why);
}

int outbox_dirs_open(struct outbox_dirs *o, const char *path, struct buf *why)
{
	*o = (struct outbox_dirs){ -1, -1, -1, -1 };
	o->top = job_dir_open(&(struct job_dir){ AT_FDCWD, path, 0, "", PROGRAM }, why);
	if (o->top < 0)
		return -1;
	if (mkdirat(o->top, REJECTED, REJECTED_MODE) == 0)
		fsync(o->top);
	o->new_dir = open_part(o, "new", why);
	if (o->new_dir >= 0)
		o->cur_dir = open_part(o, "cur", why);
	if (o->cur_dir >= 0)
		o->rejected_dir = open_part(o, REJECTED, why);
	return o->rejected_dir < 0 ? -1 : 0;
}

int outbox_lock(const struct outbox_dirs *o)
{
	return flock(o->top, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
}

/*
 * Returns NAME of "NAME,T=SECONDS". Without a stamp it is the whole name, and *ret_stamp
 * is not changed.
 */
static struct span base_of(const char *name, uint64_t *ret_stamp)
{
	struct span base = span_of(name);
	size_t n = base.n;

	while (n > 0 && base.p[n - 1] >= '0' && base.p[n - 1] <= '9')
		n--;
	if (span_ends((struct span){ base.p, n }, SPAN(STAMP)) &&
		num_parse(span_from(base, n), ret_stamp))
		base.n = n - (sizeof(STAMP) - 1);
	return base;
}

bool outbox_is_due(const char *name, time_t now, time_t wait)
{
	uint64_t stamp = 0, at = (uint64_t)now, distance;

	base_of(name, &stamp);
	/* a stamp in the future means that the clock was set back */
	distance = stamp < at ? at - stamp : stamp - at;
	return distance >= (uint64_t)wait;
}

static struct span source_of(const struct outbox_entry *e)
{
	return dsn_source(span_of(e->name));
}

static size_t count_of(const struct outbox_round *r, struct span source)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++)
		n += span_eq(source_of(&r->entries[i]), source);
	return n;
}

void outbox_round_add(struct outbox_round *r, const char *name)
{
	struct outbox_entry e = { .turn = count_of(r, dsn_source(span_of(name))) };
	struct buf b = BUF(e.name);
	size_t at = r->n;

	buf_put_str(&b, name);
	if (!buf_terminate(&b) || e.turn >= OUTBOX_TURNS_MAX)
		return;
	/* the entries are sorted: the last has the latest turn */
	if (r->n == OUTBOX_ROUND_MAX && r->entries[r->n - 1].turn <= e.turn)
		return;
	if (r->n == OUTBOX_ROUND_MAX)
		at--;
	else
		r->n++;
	for (; at > 0 && r->entries[at - 1].turn > e.turn; at--)
		r->entries[at] = r->entries[at - 1];
	r->entries[at] = e;
}

/* Appends a stamp to the base, which is cut if it is too long. */
static void stamped_name(
	struct span base, uint64_t stamp, char to[static OUTBOX_NAME_SIZE])
{
	struct buf b = { .p = to, .cap = OUTBOX_NAME_SIZE };
	size_t room = NAME_MAX - (sizeof(STAMP) - 1) - NUM_MAX;

	if (base.n > room)
		base.n = room;
	buf_put(&b, base);
	buf_put(&b, SPAN(STAMP));
	buf_put_num(&b, stamp);
	buf_terminate(&b);
}

/* Moves the file to the first free stamped name. */
static int move_stamped(int from, const char *name, int to, time_t now,
	char ret_name[static OUTBOX_NAME_SIZE])
{
	uint64_t ignored = 0;
	struct span base = base_of(name, &ignored);
	int r = -EEXIST;

	for (uint64_t i = 0; i < NAME_TRIES && r == -EEXIST; i++) {
		stamped_name(base, (uint64_t)now + i, ret_name);
		r = job_move(from, name, to, ret_name);
	}
	return r;
}

int outbox_claim(const struct outbox_dirs *o, int from, const char *name, time_t now,
	char ret_claimed[static OUTBOX_NAME_SIZE])
{
	return move_stamped(from, name, o->cur_dir, now, ret_claimed);
}

int outbox_reject(const struct outbox_dirs *o, const char *claimed, time_t now)
{
	uint64_t ignored = 0;
	struct span base = base_of(claimed, &ignored);
	char name[OUTBOX_NAME_SIZE];
	struct buf b = BUF(name);
	int r;

	buf_put(&b, base);
	buf_terminate(&b);
	r = base.n ? job_move(o->cur_dir, claimed, o->rejected_dir, name) : -EEXIST;
	if (r == -EEXIST)
		r = move_stamped(o->cur_dir, claimed, o->rejected_dir, now, name);
	/* its age in rejected/ starts now, unless another user owns it */
	if (r == 0)
		utimensat(o->rejected_dir, name, NULL, AT_SYMLINK_NOFOLLOW);
	return r;
}

int outbox_remove(const struct outbox_dirs *o, const char *claimed)
{
	if (unlinkat(o->cur_dir, claimed, 0) < 0)
		return -errno;
	return fsync(o->cur_dir) < 0 ? -errno : 0;
}

int outbox_forget(const struct outbox_dirs *o, time_t now, time_t age)
{
	int fd = openat(o->rejected_dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	int r = dir ? 0 : -errno;

	while (dir && (entry = readdir(dir))) {
		int error =
			job_remove_old(o->rejected_dir, entry->d_name, now - age, false);
		r = error ? error : r;
	}
	if (dir)
		closedir(dir);
	else if (fd >= 0)
		close(fd);
	return r;
}
