/*
 * Promises that whoever opens the table finds the old one or the new one, whole, and that nobody may read the
 * new one who could not read the old. Refuses to know what the pairs mean.
 */
#include "tools/cdb/cdb-file.h"
#include <cdb.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"

#define PIECE_LEAST (64 * 1024)
#define MODE_BITS (S_IRWXU | S_IRWXG | S_IRWXO)
#define MODE_UNKNOWN (S_IRUSR | S_IWUSR)

int64_t cdb_read_text(int fd, char **ret_text)
{
	OWNED char *text = NULL;
	size_t n = 0, cap = 0;
	ssize_t got = 1;

	while (got != 0) {
		if (n == cap) {
			size_t more = cap ? 2 * cap : PIECE_LEAST;
			char *larger = realloc(text, more);
			if (!larger)
				return -ENOMEM;
			text = larger;
			cap = more;
		}
		got = read(fd, text + n, cap - n);
		if (got < 0 && errno != EINTR)
			return -errno;
		n += got > 0 ? (size_t)got : 0;
		if (n > CDB_TEXT_MAX)
			return -EFBIG;
	}
	*ret_text = steal(&text);
	return (int64_t)n;
}

static int put_pairs(const struct table_text *t, int fd)
{
	struct cdb_make make;
	bool fine;

	errno = 0;
	fine = cdb_make_start(&make, fd) == 0;
	for (size_t i = 0; i < t->n_pairs && fine; i++) {
		const struct table_pair *pair = &t->pairs[i];
		fine = cdb_make_add(&make, pair->key.p, (unsigned)pair->key.n,
			       pair->value.p, (unsigned)pair->value.n) == 0;
	}
	/* it gives its memory back as well */
	fine = cdb_make_finish(&make) == 0 && fine;
	if (fine)
		return 0;
	return errno ? -errno : -EIO;
}

/* Before anything is in the file. The owner first: a change of it may take bits of the mode away. */
static int keep_rights(int fd, const char *path, const struct stat *input)
{
	struct stat st;
	mode_t mode = S_ISREG(input->st_mode) ? input->st_mode : MODE_UNKNOWN;

	if (stat(path, &st) == 0) {
		mode = st.st_mode;
		if ((st.st_uid != geteuid() || st.st_gid != getegid()) &&
			fchown(fd, st.st_uid, st.st_gid) < 0)
			return -errno;
	} else if (errno != ENOENT) {
		return -errno;
	}
	return fchmod(fd, mode & MODE_BITS) < 0 ? -errno : 0;
}

static int sync_directory_of(const char *path)
{
	OWNED char *copy = strdup(path);
	OWNED_FD int dir = -1;

	if (!copy)
		return -ENOMEM;
	dir = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir < 0 || fsync(dir) < 0 ? -errno : 0;
}

/* All that is done to the new file, up to its name. */
static int fill(const struct table_text *t, int fd, const char *path,
	const struct stat *input, const char **ret_what)
{
	int r = keep_rights(fd, path, input);

	*ret_what = "owner and mode of the old file cannot be kept";
	if (r == 0) {
		*ret_what = "cannot be written";
		r = put_pairs(t, fd);
	}
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	return r;
}

/* The file itself where a link has its name, so that the link stays. 0 or -errno; *ret is owned by the caller. */
static int follow(const char *path, char **ret, const char **ret_what)
{
	struct stat st;
	bool is_link = lstat(path, &st) == 0 && S_ISLNK(st.st_mode);

	*ret_what = "is a symbolic link of another user";
	if (is_link && st.st_uid != 0 && st.st_uid != geteuid())
		return -EPERM;
	*ret_what = is_link ? "is a symbolic link that leads to no file"
			    : "cannot be written";
	*ret = is_link ? realpath(path, NULL) : strdup(path);
	return *ret ? 0 : -errno;
}

static int write_file(const struct table_text *t, const char *path,
	const struct stat *input, const char **ret_what)
{
	OWNED char *name = NULL;
	OWNED_FD int fd = -1;
	int r;

	*ret_what = "cannot be written";
	if (asprintf(&name, "%s.XXXXXX", path) < 0) {
		name = NULL;
		return -ENOMEM;
	}
	fd = mkostemp(name, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = fill(t, fd, path, input, ret_what);
	if (r == 0 && rename(name, path) < 0)
		r = -errno;
	if (r < 0) {
		unlink(name);
		return r;
	}
	return sync_directory_of(path);
}

int cdb_write(const struct table_text *t, const char *path, const struct stat *input,
	const char **ret_what)
{
	OWNED char *file = NULL;
	int r = follow(path, &file, ret_what);

	return r < 0 ? r : write_file(t, file, input, ret_what);
}
