/* Promises a secret of some length that others cannot read; refuses to know what for. */
#include "edge/auth/secret.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "base/cleanup.h"
#include "edge/file.h"

/* 0 and the descriptor, or a fault. */
static int open_secret(const char *path, struct buf *ret_fault)
{
	/* a pipe without a writer must not hold us up */
	OWNED_FD int fd = file_open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;

	if (credential_is_unset(path)) {
		credential_put_fault(ret_fault, path, SPAN(""));
	} else if (fd < 0 || fstat(fd, &st) < 0) {
		file_put_fault(ret_fault, path, fd < 0 ? -fd : errno, FILE_SECRET);
	} else if (!S_ISREG(st.st_mode)) {
		buf_put(ret_fault, SPAN("is not a regular file; name a file of at least "
					"32 random octets"));
	} else if (st.st_mode & S_IRWXO) {
		buf_put(ret_fault, SPAN("others may read it or write to it, and it is "
					"secret: chmod o= "));
		buf_put_str(ret_fault, path);
	} else {
		return steal_fd(&fd);
	}
	return -EINVAL;
}

static void put_length_fault(struct buf *to, const char *what, const char *path)
{
	buf_put_str(to, what);
	buf_put(to, SPAN("; make it: head -c 32 /dev/urandom >"));
	buf_put_str(to, path);
}

int secret_read(const char *path, struct span *ret, struct buf *ret_fault)
{
	OWNED_FD int fd = open_secret(path, ret_fault);
	OWNED char *text = NULL;
	ssize_t n = fd < 0 ? -EINVAL : file_read_open(fd, SECRET_MOST, &text);
	int r = -EINVAL;

	if (fd >= 0 && n == -EFBIG) {
		put_length_fault(ret_fault, "has more than 4096 octets", path);
	} else if (fd >= 0 && n < 0) {
		buf_put_str(ret_fault, strerror((int)-n));
	} else if (fd >= 0 &&
		   credential_is_placeholder((struct span){ text, (size_t)n })) {
		credential_put_fault(ret_fault, path, (struct span){ text, (size_t)n });
	} else if (fd >= 0 && n < SECRET_LEAST) {
		put_length_fault(ret_fault, "has less than 32 octets", path);
	} else if (fd >= 0) {
		*ret = (struct span){ steal(&text), (size_t)n };
		r = 0;
	}
	buf_terminate(ret_fault);
	return r;
}
