/* Promises all of a file or nothing; refuses to know what is in it. */
#include "edge/file.h"
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"

static void put_path(struct buf *to, const char *before, const char *path)
{
	buf_put_str(to, before);
	buf_put_str(to, path);
}

static void put_chown(struct buf *to, const char *path)
{
	buf_put(to, SPAN("chown "));
	buf_put_num(to, geteuid());
	put_path(to, " ", path);
}

/* The longest part of the path that can be looked at is the directory that is closed to this user. */
static void put_closed(struct buf *to, const char *path)
{
	OWNED char *above = strdup(path);
	struct stat st;
	char *slash;

	do {
		slash = above ? strrchr(above, '/') : NULL;
		if (!slash || slash == above)
			return;
		*slash = '\0';
	} while (stat(above, &st) < 0);
	put_path(to, "; the directory ", above);
	buf_put(to, SPAN(" is closed to the user "));
	buf_put_num(to, geteuid());
	put_path(to, ": chmod o+x ", above);
}

static void put_users(struct buf *to, uid_t owner, const char *need)
{
	buf_put(to, SPAN("; it belongs to the user "));
	buf_put_num(to, owner);
	buf_put_str(to, need);
	buf_put_num(to, geteuid());
	buf_put(to, SPAN(": "));
}

static void put_not_writable(
	struct buf *to, const char *path, const struct stat *st, const char *bits)
{
	put_users(to, st->st_uid, " and is to be written to by the user ");
	if (st->st_uid != geteuid()) {
		put_chown(to, path);
		return;
	}
	put_path(to, "chmod u+", bits);
	put_path(to, " ", path);
}

/* The directory itself, one above it or one in it is closed to this user; or it cannot be made in the one above. */
static void put_denied(struct buf *to, const char *path)
{
	OWNED char *copy = NULL;
	struct stat st;

	if (stat(path, &st) < 0 && errno == ENOENT && (copy = strdup(path)))
		path = dirname(copy);
	if (stat(path, &st) < 0)
		put_closed(to, path);
	else if (faccessat(AT_FDCWD, path, R_OK | W_OK | X_OK, AT_EACCESS) == 0)
		put_path(to, "; a directory in it is closed to this user: ls -ln ", path);
	else
		put_not_writable(to, path, &st, "rwx");
}

void file_put_fault(struct buf *to, const char *path, int error, enum file_use use)
{
	struct stat st;

	buf_put_str(
		to, error == FILE_IS_CHANNEL ? "is a FIFO or a socket" : strerror(error));
	if (error == ENOENT) {
		buf_put(to, SPAN("; put it there: install -D -m "));
		buf_put_str(to, use == FILE_SECRET ? "0600 -o " : "0644 -o ");
		buf_put_num(to, geteuid());
		put_path(to, " FILE ", path);
	} else if (error == EACCES && stat(path, &st) < 0) {
		put_closed(to, path);
	} else if (error == EACCES && use == FILE_WRITTEN) {
		put_not_writable(to, path, &st, "rw");
	} else if (error == EACCES) {
		put_users(to, st.st_uid, " and is to be read by the user ");
		if (use == FILE_SECRET && st.st_uid != geteuid())
			put_chown(to, path);
		else
			put_path(to, use == FILE_SECRET ? "chmod u+r " : "chmod a+r ",
				path);
	} else if (error == EISDIR || error == FILE_IS_CHANNEL) {
		buf_put(to, SPAN("; name a file"));
	}
	buf_terminate(to);
}

void file_put_directory_fault(struct buf *to, const char *path, int error)
{
	buf_put_str(to, error == ENOTDIR ? "is not a directory" : strerror(error));
	switch (error) {
	case ENOENT:
		put_path(to, "; make it: mkdir -p ", path);
		buf_put(to, SPAN(" && "));
		put_chown(to, path);
		break;
	case ENOTDIR:
		put_path(to, "; name a directory, or make one in its place: rm ", path);
		put_path(to, " && mkdir ", path);
		buf_put(to, SPAN(" && "));
		put_chown(to, path);
		break;
	case EACCES:
		put_denied(to, path);
		break;
	case EROFS:
		put_path(to,
			"; mount it for writing or, where a unit has "
			"ProtectSystem=, add to it ReadWritePaths=",
			path);
		break;
	default:
		break;
	}
	buf_terminate(to);
}

/* Without waiting for a process that writes to it. */
static int open_text(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return errno == ENXIO ? -FILE_IS_CHANNEL : -errno;
	return fd;
}

static bool is_ours(const struct stat *st)
{
	return st->st_uid == 0 || st->st_uid == geteuid();
}

bool file_link_is_trusted(const struct stat *dir, const struct stat *link)
{
	return is_ours(dir) && is_ours(link) && !(dir->st_mode & (S_IWGRP | S_IWOTH));
}

static bool is_trusted_link(const char *path)
{
	OWNED char *copy = strdup(path);
	struct stat link, dir;

	return copy && lstat(path, &link) == 0 && S_ISLNK(link.st_mode) &&
	       stat(dirname(copy), &dir) == 0 && file_link_is_trusted(&dir, &link);
}

int file_open_directory(const char *path)
{
	OWNED char *copy = strdup(path);
	size_t n = strlen(path);
	int fd;

	if (!copy)
		return -ENOMEM;
	/* with a slash at the end the link would be followed */
	while (n > 1 && copy[n - 1] == '/')
		copy[--n] = '\0';
	fd = open(copy, O_RDONLY | O_DIRECTORY | O_CLOEXEC |
				(is_trusted_link(copy) ? 0 : O_NOFOLLOW));
	return fd < 0 ? -errno : fd;
}

ssize_t file_read(const char *path, size_t max, char **ret_text)
{
	OWNED_FD int fd = open_text(path);
	OWNED char *text = NULL;
	ssize_t n = fd < 0 ? fd : file_read_open(fd, max, &text);
	struct span s;

	if (n < 0)
		return n;
	s = span_after_mark((struct span){ text, (size_t)n });
	memmove(text, s.p, s.n);
	*ret_text = steal(&text);
	return (ssize_t)s.n;
}

ssize_t file_read_open(int fd, size_t max, char **ret_text)
{
	OWNED char *text = NULL;
	struct stat st;
	ssize_t n = 0, got = 1;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISFIFO(st.st_mode))
		return -FILE_IS_CHANNEL;
	if ((size_t)st.st_size > max)
		return -EFBIG;
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return -ENOMEM;
	while (n < st.st_size && got > 0) {
		got = read(fd, text + n, (size_t)(st.st_size - n));
		if (got < 0)
			return -errno; /* such as a directory's */
		n += got;
	}
	*ret_text = steal(&text);
	return n;
}
