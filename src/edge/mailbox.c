/*
 * Promises that every Maildir it opens lies below the root, and that what it creates
 * survives a crash. Refuses to know what is delivered.
 */
#include "edge/mailbox.h"
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "edge/recipients.h"

#define DIR_MODE 0700

/* Its name, too, must outlive a crash: mail will lie below it. 0 or -errno. */
static int make_root(const char *path)
{
	OWNED char *copy = strdup(path);
	OWNED_FD int above = -1;

	/* another process may have been quicker */
	if (!copy || (mkdir(path, DIR_MODE) < 0 && errno != EEXIST))
		return -errno;
	above = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return above < 0 || fsync(above) < 0 ? -errno : 0;
}

int mailbox_root(const char *path, bool create)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT && create) {
		int r = make_root(path);
		if (r < 0)
			return r;
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	return fd < 0 ? -errno : fd;
}

static int open_below(int root, const char *path)
{
	struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};
	long fd = syscall(SYS_openat2, root, path, &how, sizeof(how));

	/* before Linux 5.6: the path has no ".." in it, and that must do */
	if (fd < 0 && errno == ENOSYS)
		fd = openat(root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : (int)fd;
}

/* Opens `new` and learns what it is. */
static int open_new(struct mailbox *box, int root)
{
	char path[MAILBOX_PATH_MAX + sizeof("/new")];
	struct buf b = BUF(path);
	struct stat st;

	buf_put_str(&b, box->path);
	buf_put(&b, SPAN("/new"));
	if (!buf_terminate(&b))
		return -ENAMETOOLONG;
	box->new_dir = open_below(root, path);
	if (box->new_dir < 0)
		return box->new_dir;
	if (fstat(box->new_dir, &st) < 0)
		return -errno;
	box->device = st.st_dev;
	box->inode = st.st_ino;
	box->owner = st.st_uid;
	return 0;
}

int mailbox_open(struct mailbox *box, int root, const char *path)
{
	*box = (struct mailbox){ .new_dir = -1, .path = strdup(path) };
	return box->path ? open_new(box, root) : -ENOMEM;
}

static int sync_below(int root, const char *path)
{
	OWNED_FD int dir = open_below(root, path);

	if (dir < 0)
		return dir;
	return fsync(dir) < 0 ? -errno : 0;
}

/* The directories of a path, from the top, each name of a new one made durable. */
static int make_path(int root, const char *path)
{
	char above[MAILBOX_PATH_MAX] = ".", at[MAILBOX_PATH_MAX];

	for (size_t n = strcspn(path, "/");; n += 1 + strcspn(path + n + 1, "/")) {
		memcpy(at, path, n);
		at[n] = '\0';
		if (mkdirat(root, at, DIR_MODE) == 0) {
			int r = sync_below(root, above);
			if (r < 0)
				return r;
		} else if (errno != EEXIST) {
			return -errno;
		}
		if (!path[n])
			return 0;
		memcpy(above, at, n + 1);
	}
}

int mailbox_create(struct mailbox *box, int root)
{
	static const char *const parts[] = { "tmp", "cur", "new" };
	OWNED_FD int dir = -1;
	int r = make_path(root, box->path);

	if (r < 0)
		return r;
	dir = open_below(root, box->path);
	if (dir < 0)
		return dir;
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		if (mkdirat(dir, parts[i], DIR_MODE) < 0 && errno != EEXIST)
			return -errno;
	if (fsync(dir) < 0)
		return -errno;
	return open_new(box, root);
}

/* Two that do not exist yet have only their names. */
bool mailbox_is_same(const struct mailbox *a, const struct mailbox *b)
{
	if (a->new_dir < 0 || b->new_dir < 0)
		return strcmp(a->path, b->path) == 0;
	return a->device == b->device && a->inode == b->inode;
}

void mailbox_close(struct mailbox *box)
{
	if (box->new_dir >= 0)
		close(box->new_dir);
	free(box->path);
}
