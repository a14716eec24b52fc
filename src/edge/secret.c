/* Promises a secret of some length that others cannot read; refuses to know what for. */
#include "edge/secret.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "base/cleanup.h"
#include "edge/credential.h"
#include "edge/file.h"

const char *secret_read(const char *path, struct span *ret)
{
	/* a pipe without a writer must not hold us up */
	OWNED_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	OWNED char *text = NULL;
	struct stat st;
	ssize_t n;

	if (credential_is_unset(path))
		return "CREDENTIALS_DIRECTORY is not set: start postern by a unit with "
		       "LoadCredential=, or name the file itself";
	if (fd < 0 || fstat(fd, &st) < 0)
		return strerror(errno);
	if (!S_ISREG(st.st_mode))
		return "is not a regular file";
	if (st.st_mode & S_IRWXO)
		return "others may read it or write to it, and it is secret: chmod o=";
	n = file_read_open(fd, SECRET_MOST, &text);
	if (n == -EFBIG)
		return "has more than 4096 octets; 32 of /dev/urandom are enough";
	if (n < 0)
		return strerror((int)-n);
	if (credential_is_placeholder((struct span){ text, (size_t)n }))
		return "the file that LoadCredential= names is missing or systemd could "
		       "not read it; put it there: the unit reads it when it starts";
	if (n < SECRET_LEAST)
		return "has less than 32 octets; make it of /dev/urandom";
	*ret = (struct span){ steal(&text), (size_t)n };
	return NULL;
}
