/* SPDX-License-Identifier: ISC */
/*
 * The directory of attachments. A file gets its name after it is complete and synced. All
 * files of a message get their names at the end. No file is ever overwritten.
 */
#include "tools/extract/extract.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "base/num.h"
#include "edge/file.h"

#define HIDDEN ".postern-extract-"
#define HIDDEN_SIZE (sizeof(HIDDEN) + 2 * sizeof(uint64_t) + 1 + NUM_MAX)
#define STALE_SECONDS (36 * 60 * 60) /* as files in tmp of a Maildir */
#define OPEN_MAX 200 /* files without a name, each of which needs a descriptor */
#define NUMBERS_MAX 1000000 /* numbers that are tried if a name exists */

struct extract_file {
	int fd; /* -1: closed, and the file has a hidden name */
	bool named; /* the file has its final name */
	ino_t inode;
	char hidden[HIDDEN_SIZE]; /* or "" */
	char name[EXTRACT_NAME_SIZE];
};

/* Removes the hidden files of runs that were killed long ago. */
static void remove_stale(int fd, time_t now)
{
	int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = again < 0 ? NULL : fdopendir(again);
	const struct dirent *entry;
	struct stat st;

	if (!dir) {
		if (again >= 0)
			close(again);
		return;
	}
	while ((entry = readdir(dir)))
		if (strncmp(entry->d_name, HIDDEN, sizeof(HIDDEN) - 1) == 0 &&
			fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			S_ISREG(st.st_mode) && st.st_mtime < now - STALE_SECONDS)
			unlinkat(fd, entry->d_name, 0);
	closedir(dir);
}

int extract_dir_open(struct extract_dir *d, const char *path, mode_t mode, gid_t group)
{
	uint64_t random;

	*d = (struct extract_dir){ .fd = -1, .mode = mode, .group = group };
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return -EIO;
	snprintf(d->key, sizeof(d->key), "%016llx", (unsigned long long)random);
	d->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return d->fd < 0 ? -errno : 0;
}

static struct extract_file *last_of(const struct extract_dir *d)
{
	return &d->files[d->n - 1];
}

void extract_dir_done(struct extract_dir *d)
{
	while (d->n)
		extract_file_drop(d);
	free(d->files);
	if (d->fd >= 0)
		close(d->fd);
	*d = (struct extract_dir){ .fd = -1 };
}

/*
 * Gives a file a hidden name. If this process were killed, the file would remain, so
 * those of earlier runs are removed here.
 */
static void hide(struct extract_dir *d, struct extract_file *f)
{
	if (!d->swept)
		remove_stale(d->fd, time(NULL));
	d->swept = true;
	snprintf(f->hidden, sizeof(f->hidden), HIDDEN "%s-%zu", d->key, d->n);
}

static int open_file(struct extract_dir *d, struct extract_file *f)
{
	f->fd = openat(d->fd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, d->mode);
	if (f->fd < 0 && file_needs_name(errno)) {
		hide(d, f);
		f->fd = openat(d->fd, f->hidden,
			O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, d->mode);
		if (f->fd < 0)
			f->hidden[0] = '\0';
	}
	if (f->fd < 0)
		return -errno;
	if (d->group != EXTRACT_NO_GROUP && fchown(f->fd, (uid_t)-1, d->group) < 0)
		return -errno;
	return 0;
}

int extract_file_begin(struct extract_dir *d, const char *name)
{
	struct extract_file f = { .fd = -1 };
	struct buf b = BUF(f.name);
	int r;

	if (d->n == d->room) {
		size_t room = d->room ? 2 * d->room : 16;
		struct extract_file *more = realloc(d->files, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		d->files = more;
		d->room = room;
	}
	buf_put_str(&b, name);
	if (!buf_terminate(&b))
		return -ENAMETOOLONG;
	r = open_file(d, &f);
	d->files[d->n++] = f;
	d->n_open += f.fd >= 0;
	if (r < 0)
		extract_file_drop(d);
	return r;
}

int extract_file_descriptor(const struct extract_dir *d)
{
	return last_of(d)->fd;
}

int extract_file_write(const struct extract_dir *d, struct span octets)
{
	while (octets.n) {
		ssize_t n = write(last_of(d)->fd, octets.p, octets.n);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			octets = span_from(octets, (size_t)n);
	}
	return 0;
}

static void close_file(struct extract_dir *d, struct extract_file *f)
{
	if (f->fd >= 0) {
		close(f->fd);
		d->n_open--;
	}
	f->fd = -1;
}

int extract_file_end(struct extract_dir *d)
{
	struct extract_file *f = last_of(d);
	struct stat st;
	int r = 0;

	if (fsync(f->fd) < 0 || fstat(f->fd, &st) < 0)
		return -errno;
	f->inode = st.st_ino;
	if (!f->hidden[0] && d->n_open > OPEN_MAX) {
		hide(d, f);
		r = file_link_nameless(f->fd, d->fd, f->hidden);
		if (r < 0)
			f->hidden[0] = '\0';
	}
	if (f->hidden[0])
		close_file(d, f);
	return r;
}

void extract_file_drop(struct extract_dir *d)
{
	struct extract_file *f = last_of(d);

	close_file(d, f);
	if (f->hidden[0])
		unlinkat(d->fd, f->hidden, 0);
	d->n--;
}

static int try_name(const struct extract_dir *d, struct extract_file *f, const char *name)
{
	int r = f->hidden[0] ? file_move(d->fd, f->hidden, d->fd, name)
			     : file_link_nameless(f->fd, d->fd, name);

	if (r == 0) {
		f->hidden[0] = '\0';
		f->named = true;
	}
	return r;
}

/* Gives a file its name, or the first free one with a number. */
static int give_name(const struct extract_dir *d, struct extract_file *f)
{
	char numbered[EXTRACT_NAME_SIZE];
	int r = try_name(d, f, f->name);

	for (uint64_t i = 1; r == -EEXIST && i <= NUMBERS_MAX; i++) {
		extract_name_number(f->name, i, numbered);
		r = try_name(d, f, numbered);
		if (r == 0)
			memcpy(f->name, numbered, sizeof(numbered));
	}
	return r;
}

/* Removes names that were given, unless another program has replaced the file. */
static void take_names(const struct extract_dir *d)
{
	struct stat st;

	for (size_t i = 0; i < d->n; i++) {
		struct extract_file *f = &d->files[i];

		if (f->named && fstatat(d->fd, f->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			st.st_ino == f->inode)
			unlinkat(d->fd, f->name, 0);
	}
}

int extract_dir_publish(struct extract_dir *d)
{
	int r = 0;

	for (size_t i = 0; i < d->n && r == 0; i++)
		r = give_name(d, &d->files[i]);
	if (r == 0 && d->n && fsync(d->fd) < 0)
		r = -errno;
	if (r < 0)
		take_names(d);
	return r;
}

const char *extract_dir_name(const struct extract_dir *d, size_t i)
{
	return d->files[i].name;
}
