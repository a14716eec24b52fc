/* SPDX-License-Identifier: ISC */
/*
 * Keeps the octets of a message while filters look at it. A file is made when they are
 * more than the memory holds, and is gone with its descriptor: nothing is left behind by
 * a process that is killed.
 */
#include "edge/milter/spool.h"
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "edge/file.h"
#include "edge/sandbox/sandbox.h"

#define FILE_MODE 0600
#define DIRECTORY_MODE 0700
#define DIRECTORY_NAME "postern-filters-" /* the user id follows */
#define NAME_MAX_HERE 32
#define NAME_TRIES 16

/* Opens a directory, and makes it if it is missing. A descriptor or -errno. */
static int open_or_make(const char *path)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int fd = open(path, flags);

	if (fd < 0 && errno == ENOENT) {
		if (mkdir(path, DIRECTORY_MODE) < 0 && errno != EEXIST)
			return -errno;
		fd = open(path, flags);
	}
	return fd < 0 ? -errno : fd;
}

/*
 * Makes an empty directory of root again, as its owner: root may have no other right to
 * give it away (units/system-users.conf). A descriptor or -errno.
 */
static int make_as_owner(const char *path, const struct account *owner)
{
	int r;

	if (rmdir(path) < 0)
		return -errno;
	r = owner_become(owner->uid, owner->gid);
	if (r < 0)
		return r;
	r = open_or_make(path);
	owner_leave();
	return r;
}

static int open_directory(const char *path, const struct account *owner)
{
	int fd = open_or_make(path), r = 0;
	struct stat st;

	if (fd < 0)
		return fd;
	if (geteuid() == 0 && fstat(fd, &st) == 0 && st.st_uid == 0 && owner->uid != 0 &&
		fchown(fd, owner->uid, owner->gid) < 0) {
		close(fd);
		fd = make_as_owner(path, owner);
		if (fd < 0)
			return fd;
	}
	/* others may make anything in the directory above */
	if (fstat(fd, &st) < 0)
		r = -errno;
	else if (st.st_uid != owner->uid || (st.st_mode & ~DIRECTORY_MODE & 07777))
		r = -EPERM;
	if (r == 0) {
		/* systemd-tmpfiles removes no directory that is locked */
		flock(fd, LOCK_SH | LOCK_NB);
		return fd;
	}
	close(fd);
	return r;
}

/* False: the path is too long. */
static bool name_directory(
	struct span above, const char *name, uid_t uid, char path[static SPOOL_PATH_MAX])
{
	struct buf b = { .p = path, .cap = SPOOL_PATH_MAX };

	buf_put(&b, above);
	buf_put_str(&b, name);
	buf_put_num(&b, uid);
	return buf_terminate(&b);
}

int spool_directory(const struct account *owner, const char *state,
	char ret_path[static SPOOL_PATH_MAX])
{
	struct span states = span_of(state ? state : "");
	struct span first = span_take(&states, ':');
	int fd = -ENOENT, shown;

	/* no mailbox has a name that begins with a dot */
	if (first.n && name_directory(first, "/." DIRECTORY_NAME, owner->uid, ret_path))
		fd = open_directory(ret_path, owner);
	if (fd >= 0)
		return fd;
	/* /tmp is often in memory */
	name_directory(SPAN("/var/tmp"), "/" DIRECTORY_NAME, owner->uid, ret_path);
	shown = open_directory(ret_path, owner);
	if (shown >= 0)
		return shown;
	name_directory(SPAN("/tmp"), "/" DIRECTORY_NAME, owner->uid, ret_path);
	fd = open_directory(ret_path, owner);
	if (fd < 0)
		name_directory(
			SPAN("/var/tmp"), "/" DIRECTORY_NAME, owner->uid, ret_path);
	return fd < 0 ? shown : fd;
}

/*
 * Makes a file and removes its name, for file systems without O_TMPFILE. A descriptor or
 * -errno.
 */
static int open_named(int directory)
{
	char name[NAME_MAX_HERE];
	int fd = -1;

	for (unsigned try = 0; fd < 0 && try < NAME_TRIES; try++) {
		struct buf b = BUF(name);
		buf_put_num(&b, (uint64_t)getpid());
		buf_put_char(&b, '.');
		buf_put_num(&b, try);
		buf_terminate(&b);
		fd = openat(directory, name,
			O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
		if (fd < 0 && errno != EEXIST)
			break;
	}
	if (fd < 0)
		return -errno;
	unlinkat(directory, name, 0);
	return fd;
}

static int open_file(int directory)
{
	/* with O_EXCL it never gets a name */
	int fd = openat(
		directory, ".", O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, FILE_MODE);

	if (fd >= 0)
		return fd;
	return file_needs_name(errno) ? open_named(directory) : -errno;
}

void spool_init(struct spool *s)
{
	*s = (struct spool){ .fd = -1 };
}

static int put_in_file(struct spool *s, int directory, struct span text)
{
	if (s->fd < 0) {
		int fd = open_file(directory);
		if (fd < 0)
			return fd;
		s->fd = fd;
	}
	while (text.n) {
		ssize_t n = write(s->fd, text.p, text.n);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			text = span_from(text, (size_t)n);
			s->n_rest += (size_t)n;
		}
	}
	return 0;
}

int spool_put(struct spool *s, int directory, struct span text)
{
	size_t most = directory < 0 ? SPOOL_MEMORY_MAX : SPOOL_HEAD_MAX;
	size_t room = most - s->head.n;
	struct span head = { text.p, text.n < room ? text.n : room };
	int r;

	if (!text.n)
		return 0;
	s->last = text.p[text.n - 1];
	r = octets_put(&s->head, head, most);
	if (r < 0 || head.n == text.n)
		return r;
	if (directory < 0)
		return -ENOSPC;
	return put_in_file(s, directory, span_from(text, head.n));
}

uint64_t spool_size(const struct spool *s)
{
	return s->head.n + s->n_rest;
}

int spool_get(const struct spool *s, uint64_t at, struct buf *room, struct span *ret)
{
	ssize_t n = 0;

	*ret = (struct span){ 0 };
	if (at < s->head.n) {
		*ret = span_from(octets_span(&s->head), (size_t)at);
		return 0;
	}
	if (at >= spool_size(s))
		return 0;
	do {
		n = pread(s->fd, room->p, room->cap, (off_t)(at - s->head.n));
	} while (n < 0 && errno == EINTR);
	if (n <= 0) /* 0 cannot be the end: `at` is within what was written */
		return n < 0 ? -errno : -EIO;
	room->n = (size_t)n;
	*ret = buf_span(room);
	return 0;
}

static void close_file(struct spool *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	s->n_rest = 0;
}

void spool_clear(struct spool *s)
{
	close_file(s);
	octets_clear(&s->head);
}

void spool_done(struct spool *s)
{
	close_file(s);
	octets_done(&s->head);
}
