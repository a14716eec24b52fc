/* Promises all of a file or nothing; refuses to know what is in it. */
#include "edge/file.h"
#include <errno.h>
#include <fcntl.h>
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

/* The directory itself, one above it or one in it is closed to this user. */
static void put_denied(struct buf *to, const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0) {
		put_path(to, "; a directory above it is closed to this user: namei -l ",
			path);
		return;
	}
	if (faccessat(AT_FDCWD, path, R_OK | W_OK | X_OK, AT_EACCESS) == 0) {
		put_path(to, "; a directory in it is closed to this user: ls -ln ", path);
		return;
	}
	buf_put(to, SPAN("; it belongs to the user "));
	buf_put_num(to, st.st_uid);
	buf_put(to, SPAN(" and is to be written to by the user "));
	buf_put_num(to, geteuid());
	buf_put(to, SPAN(": "));
	if (st.st_uid == geteuid())
		put_path(to, "chmod u+rwx ", path);
	else
		put_chown(to, path);
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

ssize_t file_read(const char *path, size_t max, char **ret_text)
{
	OWNED_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	OWNED char *text = NULL;
	ssize_t n = fd < 0 ? -errno : file_read_open(fd, max, &text);
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
