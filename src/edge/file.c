/* Promises all of a file or nothing; refuses to know what is in it. */
#include "edge/file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"

ssize_t file_read(const char *path, size_t max, char **ret_text)
{
	OWNED_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	return fd < 0 ? -errno : file_read_open(fd, max, ret_text);
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
