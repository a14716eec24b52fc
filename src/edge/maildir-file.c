/*
 * Promises that an unfinished file has no name in `new`: with O_TMPFILE it has none at
 * all, so that a killed process leaves nothing behind; elsewhere it is in tmp, as ever in
 * a Maildir.
 */
#include "edge/maildir-file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"

#define FILE_MODE 0600
#define TMP_DIR "../tmp/"
#define PROC_FD_MAX 32 /* "/proc/self/fd/" and an int */
#define COPY_CHUNK_MAX 0x7ffff000 /* what Linux moves in one call */

/* The file system cannot make a file without a name (open(2), O_TMPFILE). */
static bool has_no_tmpfile(int error)
{
	return error == EOPNOTSUPP || error == EISDIR || error == EINVAL ||
	       error == ENOENT;
}

static void tmp_path(struct buf *to, const char *name)
{
	buf_put(to, SPAN(TMP_DIR));
	buf_put_str(to, name);
	buf_terminate(to);
}

static int open_in_tmp(struct copy *c, const char *name)
{
	char path[sizeof(TMP_DIR) + TX_FILE_MAX];
	struct buf b = BUF(path);
	struct buf kept = BUF(c->tmp_name);
	int fd;

	tmp_path(&b, name);
	fd = openat(c->new_dir, path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
	if (fd < 0)
		return -errno;
	buf_put_str(&kept, name);
	buf_terminate(&kept);
	return fd;
}

int copy_open(struct copy *c, int new_dir, const char *name)
{
	struct stat st;

	*c = (struct copy){ .fd = -1, .new_dir = new_dir };
	if (fstat(new_dir, &st) < 0)
		return -errno;
	c->device = st.st_dev;
	c->owner = st.st_uid;
	c->fd = openat(new_dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, FILE_MODE);
	if (c->fd < 0 && has_no_tmpfile(errno))
		c->fd = open_in_tmp(c, name);
	else if (c->fd < 0)
		c->fd = -errno;
	if (c->fd < 0)
		return c->fd;
	if (geteuid() == 0 && st.st_uid != 0 && fchown(c->fd, st.st_uid, st.st_gid) < 0)
		return -errno;
	return 0;
}

int copy_write(struct copy *c, struct span *text)
{
	while (text->n) {
		ssize_t put = write(c->fd, text->p, text->n);
		if (put < 0 && errno != EINTR)
			return -errno;
		if (put > 0)
			*text = span_from(*text, (size_t)put);
	}
	return 0;
}

int copy_fill(struct copy *c, const struct copy *from)
{
	off_t at = 0;
	ssize_t n;

	do {
		n = sendfile(c->fd, from->fd, &at, COPY_CHUNK_MAX);
	} while (n > 0 || (n < 0 && errno == EINTR));
	return n < 0 ? -errno : 0;
}

int copy_sync(const struct copy *c)
{
	return fsync(c->fd) < 0 ? -errno : 0;
}

void copy_make_name(char name[static TX_FILE_MAX], const char *id, size_t try,
	const char *host, off_t size)
{
	struct buf b = { .p = name, .cap = TX_FILE_MAX };

	buf_put_str(&b, id);
	if (try > 0) {
		buf_put_char(&b, 'R');
		buf_put_num(&b, try);
	}
	buf_put_char(&b, '.');
	buf_put_str(&b, host);
	if (size >= 0) {
		buf_put(&b, SPAN(",S="));
		buf_put_num(&b, (uint64_t)size);
	}
	buf_terminate(&b);
}

/* The file that has no name, by its descriptor: before Linux 6.10 only /proc can do that for everybody. */
static int link_nameless(int fd, int new_dir, const char *name)
{
	char path[PROC_FD_MAX];
	struct buf b = BUF(path);

	if (linkat(fd, "", new_dir, name, AT_EMPTY_PATH) == 0)
		return 0;
	if (errno != ENOENT)
		return -errno;
	buf_put(&b, SPAN("/proc/self/fd/"));
	buf_put_num(&b, (uint64_t)fd);
	buf_terminate(&b);
	return linkat(AT_FDCWD, path, new_dir, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

/* -EEXIST: another file has that name. */
static int link_as(const struct copy *c, int new_dir, const char *name)
{
	char path[sizeof(TMP_DIR) + TX_FILE_MAX];
	struct buf b = BUF(path);

	if (!c->tmp_name[0])
		return link_nameless(c->fd, new_dir, name);
	tmp_path(&b, c->tmp_name);
	return linkat(c->new_dir, path, new_dir, name, 0) < 0 ? -errno : 0;
}

int copy_link_new(struct copy *c, int new_dir, const char *id, const char *host,
	char ret_name[static TX_FILE_MAX])
{
	struct stat st;
	int r = fstat(c->fd, &st) < 0 ? -errno : -EEXIST;

	for (size_t try = 0; r == -EEXIST && try < COPY_NAME_TRIES; try++) {
		copy_make_name(ret_name, id, try, host, st.st_size);
		r = link_as(c, new_dir, ret_name);
	}
	return r;
}

void copy_close(struct copy *c)
{
	char path[sizeof(TMP_DIR) + TX_FILE_MAX];
	struct buf b = BUF(path);

	if (c->tmp_name[0]) {
		tmp_path(&b, c->tmp_name);
		unlinkat(c->new_dir, path, 0);
	}
	if (c->fd >= 0)
		close(c->fd);
	*c = (struct copy){ .fd = -1 };
}
