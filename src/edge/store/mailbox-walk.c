/* SPDX-License-Identifier: ISC */
/*
 * Walks below mail-root. No symbolic link of a Maildir's owner is ever followed: with one
 * the owner could make postern, which may run as root, write anywhere.
 */
#include "edge/store/mailbox-walk.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "edge/file.h"
#include "edge/store/hangs.h"

#define LINKS_MAX 16 /* symbolic links in one path; more are treated as a loop */
#define ENTRIES_MAX 1024 /* octets of a directory in one read */
#define OPEN_PATH (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

static void begin(struct walk *w, const struct store_root *root, bool create)
{
	w->root = root;
	w->dir = -1;
	w->device = 0;
	w->create = create;
	w->n_links = w->n_made = 0;
	w->why = NULL;
	w->is_home = false;
	w->above = (struct mailbox_above){ .fd = -1 };
	w->done[0] = w->link[0] = '\0';
}

static int dir_of(const struct walk *w)
{
	return w->dir < 0 ? w->root->fd : w->dir;
}

/* Changes to another directory, which is open; -1: to the root. */
static void enter(struct walk *w, int dir)
{
	if (w->dir >= 0)
		close(w->dir);
	w->dir = dir;
	w->device = 0;
}

static void copy_path(
	char to[static MAILBOX_PATH_MAX], const char from[static MAILBOX_PATH_MAX])
{
	memcpy(to, from, strlen(from) + 1);
}

/* Appends a name to the path; "." is ignored. False: it does not fit. */
static bool append(char path[static MAILBOX_PATH_MAX], const char *name)
{
	size_t n = strlen(path);
	struct buf b = { .p = path, .n = n, .cap = MAILBOX_PATH_MAX };

	if (strcmp(name, ".") == 0)
		return true;
	if (n)
		buf_put_char(&b, '/');
	buf_put_str(&b, name);
	if (buf_terminate(&b))
		return true;
	path[n] = '\0';
	return false;
}

static int fail(struct walk *w, int error, const char *why)
{
	w->why = why;
	return error;
}

/* Puts a link's `text` before the rest of the path. 0 or -errno. */
static int put_before(struct walk *w, const char *text)
{
	char whole[sizeof(w->todo)];
	struct buf b = BUF(whole);

	buf_put_str(&b, text);
	buf_put_char(&b, '/');
	buf_put_str(&b, w->todo);
	if (!buf_terminate(&b))
		return -ENAMETOOLONG;
	memcpy(w->todo, b.p, b.n + 1);
	return 0;
}

/* Returns to the root, and puts `path` before the rest. 0 or -errno. */
static int restart(struct walk *w, const char *path)
{
	int r = put_before(w, path);

	enter(w, -1);
	w->done[0] = '\0';
	return r;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/*
 * Handles "..", which leaves the root. True when the rest of the link leads back to it,
 * only through directories; that part is then done.
 */
static bool comes_back(struct walk *w)
{
	char path[sizeof("../") + sizeof(w->todo)] = "../";
	size_t n_link = strlen(w->todo) - w->n_own;
	struct stat root, st;

	if (fstat(w->root->fd, &root) < 0)
		return false;
	for (size_t n = 0; w->todo[n];) {
		n += strspn(w->todo + n, "/");
		n += strcspn(w->todo + n, "/");
		if (n > n_link)
			return false;
		memcpy(path + 3, w->todo, n);
		path[3 + n] = '\0';
		if (fstatat(w->root->fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
			!S_ISDIR(st.st_mode))
			return false;
		if (!is_same(&st, &root))
			continue;
		memmove(w->todo, w->todo + n, strlen(w->todo + n) + 1);
		return true;
	}
	return false;
}

/*
 * Handles "..", which only links contain. The parent is reached by a new walk, because
 * this directory may have been moved.
 */
static int climb(struct walk *w)
{
	char above[MAILBOX_PATH_MAX];
	char *slash;

	if (!w->done[0]) {
		if (comes_back(w))
			return 0;
		copy_path(w->done, w->link);
		return fail(w, -ELOOP, "is a symbolic link that leads out of mail-root");
	}
	copy_path(above, w->done);
	slash = strrchr(above, '/');
	above[slash ? slash - above : 0] = '\0';
	return restart(w, above);
}

/* Replaces a link by its target, if it may be followed. 0 or -errno. */
static int follow(struct walk *w, const char *name)
{
	char target[WALK_TARGET_MAX];
	const char *below = target;
	struct stat root;
	ssize_t n = readlinkat(dir_of(w), name, target, sizeof(target));

	if (n < 0 || (size_t)n == sizeof(target))
		return n < 0 ? -errno : -ENAMETOOLONG;
	target[n] = '\0';
	copy_path(w->link, w->done);
	if (!append(w->link, name))
		return -ENAMETOOLONG;
	if (*target == '/')
		below = fstat(w->root->fd, &root) == 0 ? walk_below(&root, NULL, target)
						       : NULL;
	if (!below) {
		append(w->done, name);
		return fail(w, -ELOOP, "is a symbolic link that leads out of mail-root");
	}
	return *target == '/' ? restart(w, below) : put_before(w, below);
}

/*
 * Handles a name that is not a directory. MAILBOX_OTHER; 0 for a link that is followed;
 * or -errno.
 */
static int judge_link(struct walk *w, const char *name)
{
	struct stat dir, link;

	if (fstat(dir_of(w), &dir) < 0 ||
		fstatat(dir_of(w), name, &link, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (S_ISLNK(link.st_mode) && file_link_is_trusted(&dir, &link))
		return ++w->n_links > LINKS_MAX ? -ELOOP : follow(w, name);
	append(w->done, name);
	if (!S_ISLNK(link.st_mode))
		return fail(w, MAILBOX_OTHER, mailbox_words(-ENOTDIR));
	return fail(w, -ELOOP, "is a symbolic link of another user, and not followed");
}

/* True if that is the group of the process, and its only one. */
static bool is_in(gid_t gid)
{
	gid_t other;

	return getegid() == gid && getgroups(1, &other) == 1 && other == gid;
}

static int become(uid_t uid, gid_t gid)
{
	bool has_group = is_in(gid);

	if (has_group && geteuid() == uid)
		return 0;
	/* only root may take the next steps; it stays the real and the saved user */
	if (walk_return() < 0 ||
		(!has_group && (setgroups(1, &gid) < 0 ||
				       setresgid((gid_t)-1, gid, (gid_t)-1) < 0)) ||
		setresuid((uid_t)-1, uid, (uid_t)-1) < 0)
		return -errno;
	return geteuid() == uid && getegid() == gid ? 0 : -EPERM;
}

int walk_become(const struct store_root *root, int dir)
{
	struct stat st;

	if (!root->as_owner)
		return 0;
	return fstat(dir, &st) < 0 ? -errno : become(st.st_uid, st.st_gid);
}

/*
 * The same for a directory in one of the owner that this process is. *ret_device is that
 * of the directory, or 0.
 */
static int walk_descend(const struct store_root *root, int dir, dev_t *ret_device)
{
	struct stat st;

	*ret_device = 0;
	if (!root->as_owner)
		return 0;
	if (fstat(dir, &st) < 0)
		return -errno;
	*ret_device = st.st_dev;
	/* what a user has put there is not reached with the rights of root */
	return st.st_uid == 0 && geteuid() != 0 ? -WALK_IS_ROOTS
						: become(st.st_uid, st.st_gid);
}

int walk_return_with_group(void)
{
	return become(0, 0);
}

/*
 * COST: 16 of 24 calls of a message for one owner, whose group stays; without it:
 * walk_return_with_group().
 */
int walk_return(void)
{
	if (geteuid() == 0)
		return 0;
	if (setresuid((uid_t)-1, 0, (uid_t)-1) < 0)
		return -errno;
	return geteuid() == 0 ? 0 : -EPERM;
}

int walk_open(const struct store_root *root, int dir, const char *name)
{
	OWNED_FD int path = -1;
	int r = walk_become(root, dir), fd;
	dev_t device;

	if (r < 0)
		return r;
	if (root->as_owner) {
		/* reading it is up to its own owner */
		path = openat(dir, name, OPEN_PATH);
		r = path < 0 ? -errno : walk_descend(root, path, &device);
		if (r < 0)
			return r;
	}
	fd = root->as_owner ? openat(path, ".", WALK_OPEN_DIR)
			    : openat(dir, name, WALK_OPEN_DIR);
	return fd < 0 ? -errno : fd;
}

int walk_sync(const struct store_root *root, int dir)
{
	OWNED_FD int fd = walk_open(root, dir, ".");

	if (fd < 0)
		return fd;
	if (root->later)
		return syncs_take(root->later, steal_fd(&fd));
	return fsync(fd) < 0 ? -errno : 0;
}

/*
 * Gives a directory that root has just made to the owner of its parent directory. This
 * owner may have replaced it by another directory of root, so only an empty one is given.
 * 0 or -errno.
 */
static int give(int dir, const char *name)
{
	static const struct store_root here = { .as_owner = false };
	OWNED_FD int fd = -1;
	struct stat above, st;

	if (geteuid() != 0)
		return 0;
	fd = openat(dir, name, WALK_OPEN_DIR);
	if (fd < 0 || fstat(dir, &above) < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (above.st_uid == 0 || st.st_uid != 0)
		return 0;
	if (st.st_dev != above.st_dev || !walk_is_empty(&here, fd, NULL))
		return -EEXIST;
	return fchown(fd, above.st_uid, above.st_gid) < 0 ? -errno : 0;
}

int walk_make(const struct store_root *root, int dir, const char *name)
{
	int r = walk_become(root, dir);

	if (r < 0)
		return r;
	if (mkdirat(dir, name, WALK_DIR_MODE) == 0)
		return root->as_owner ? 0 : give(dir, name);
	if (errno != EEXIST || root->as_owner)
		return errno == EEXIST ? 0 : -errno;
	/*
	 * another process may have made it just now, without giving it yet; faults are
	 * found later
	 */
	give(dir, name);
	return 0;
}

/* Makes the directory, durably. 0 or -errno. */
static int make(struct walk *w, const char *name)
{
	int r = walk_make(w->root, dir_of(w), name);

	return r < 0 ? r : walk_sync(w->root, dir_of(w));
}

/* True in the home of a user, with what a link leads to done. */
static bool is_at_home(const struct walk *w)
{
	return strlen(w->todo + strspn(w->todo, "/")) <= w->home.n_below;
}

int walk_judge_owner(const struct home *home, int fd)
{
	struct stat st;

	if (!home->is_set)
		return 0;
	if (fstat(fd, &st) < 0)
		return -errno;
	return st.st_uid == home->owner ? 0 : -WALK_IS_OTHERS;
}

/* Nothing is made in the place of a home, or above it. */
static bool is_below_home(const struct walk *w)
{
	return !w->home.is_set || w->is_home;
}

/* Shows where the next step is. 0; or -errno, and the step is not to be taken. */
static int show_step(struct walk *w, const char *name)
{
	char path[MAILBOX_PATH_MAX];
	int r;

	if (!w->root->mark)
		return 0;
	copy_path(path, w->done);
	if (!append(path, name))
		return -ENAMETOOLONG;
	r = hang_step(w->root->mark, path, w->device);
	return r < 0 ? fail(w, r, mailbox_words(r)) : 0;
}

/* Takes one component. 0, an enum mailbox_result, or -errno. */
static int step(struct walk *w, const char *name)
{
	int r = show_step(w, name), fd;
	dev_t device = 0;

	if (r < 0) {
		append(w->done, name);
		return r;
	}
	r = walk_become(w->root, dir_of(w));
	if (r < 0)
		return r;
	fd = openat(dir_of(w), name, OPEN_PATH);
	if (fd < 0 && errno == ENOENT && !is_below_home(w)) {
		append(w->done, name);
		return fail(w, -WALK_HAS_NO_HOME, mailbox_words(-WALK_HAS_NO_HOME));
	}
	if (fd < 0 && errno == ENOENT && w->create) {
		r = make(w, name);
		if (r < 0)
			return r;
		w->n_made++;
		fd = openat(dir_of(w), name, OPEN_PATH);
	}
	if (fd >= 0) {
		r = is_at_home(w) ? walk_judge_owner(&w->home, fd) : 0;
		if (r == 0)
			r = walk_descend(w->root, fd, &device);
		w->is_home = is_at_home(w);
		enter(w, fd);
		w->device = device;
		if (!append(w->done, name))
			return -ENAMETOOLONG;
		return r < 0 ? fail(w, r, mailbox_words(r)) : 0;
	}
	if (errno == ENOTDIR || errno == ELOOP)
		return judge_link(w, name);
	if (errno != ENOENT)
		return -errno;
	return strlen(w->todo) > w->n_own ? MAILBOX_DANGLING : MAILBOX_ABSENT;
}

/* Takes the first component of the rest of the path; false: there is none. */
static bool take(struct walk *w, char name[static MAILBOX_PATH_MAX])
{
	size_t start = strspn(w->todo, "/");
	size_t n = strcspn(w->todo + start, "/");
	/* a name that is cut here is still longer than a name may be */
	size_t kept = n < MAILBOX_PATH_MAX ? n : MAILBOX_PATH_MAX - 1, left;

	memcpy(name, w->todo + start, kept);
	name[kept] = '\0';
	left = strlen(w->todo + start + n);
	memmove(w->todo, w->todo + start + n, left + 1);
	if (w->n_own > left)
		w->n_own = left;
	return n > 0;
}

/* Of getdents64(2). */
struct entry {
	uint64_t inode;
	int64_t offset;
	uint16_t length;
	uint8_t type;
	char name[];
};

static bool is_itself(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* True for a directory without entries; `fd` is open for reading; -1: false. */
static bool has_no_entry(int fd, const char *extra)
{
	_Alignas(struct entry) char some[ENTRIES_MAX];
	long n;

	while ((n = fd < 0 ? -1 : syscall(SYS_getdents64, fd, some, sizeof(some))) > 0) {
		for (long at = 0; at < n;) {
			const struct entry *e = (const void *)(some + at);
			if (!is_itself(e->name) &&
				!(extra && strcmp(e->name, extra) == 0))
				return false;
			at += e->length;
		}
	}
	return n == 0;
}

bool walk_is_empty(const struct store_root *root, int dir, const char *extra)
{
	/*
	 * with an offset of its own, because the descriptor may be shared with other
	 * processes
	 */
	OWNED_FD int fd = walk_open(root, dir, ".");

	return has_no_entry(fd, extra);
}

int walk_may_write(const struct store_root *root, int dir)
{
	long r = walk_become(root, dir);

	if (r < 0)
		return (int)r;
	/*
	 * before Linux 5.8 libc would guess by the mode; the fault is then found when
	 * writing
	 */
	r = syscall(SYS_faccessat2, dir, ".", W_OK | X_OK, AT_EACCESS);
	return r < 0 && errno != ENOSYS ? -errno : 0;
}

/*
 * Examines the directory in which the rest of the path would be made. 0; or -errno: it
 * cannot be examined now.
 */
static int look_around(struct walk *w)
{
	OWNED_FD int fd = walk_open(w->root, dir_of(w), ".");
	struct stat st;

	/* a directory that can be entered but not read is accepted */
	if (fd < 0 && fd != -EACCES)
		return fd;
	if (fstat(dir_of(w), &st) < 0)
		return -errno;
	w->above = (struct mailbox_above){
		.n_path = strlen(w->done),
		.fd = fd,
		.device = st.st_dev,
		.error = walk_may_write(w->root, dir_of(w)),
		.is_empty = has_no_entry(fd, "lost+found"),
	};
	return 0;
}

/*
 * Removes new empty directories, because they would look like those of an unmounted file
 * system.
 */
static void take_back(struct walk *w)
{
	char path[MAILBOX_PATH_MAX];

	copy_path(path, w->done);
	for (; w->n_made > 0 && w->dir >= 0; w->n_made--) {
		char *slash = strrchr(path, '/');
		int above = openat(w->dir, "..", OPEN_PATH);
		if (above < 0)
			return;
		enter(w, above);
		if (walk_become(w->root, above) < 0 ||
			unlinkat(above, slash ? slash + 1 : path, AT_REMOVEDIR) < 0)
			return;
		path[slash ? slash - path : 0] = '\0';
	}
}

/* Walks the whole path. A missing or faulty name is then the end of `done`. */
int walk_path(struct walk *w, const struct store_root *root, bool create,
	const struct home *home, const char *path)
{
	char name[MAILBOX_PATH_MAX];
	struct buf todo = BUF(w->todo);
	const char *rest;
	int r = 0;

	begin(w, root, create);
	w->home = *home;
	buf_put_str(&todo, path);
	if (!buf_terminate(&todo))
		return -ENAMETOOLONG;
	w->n_own = todo.n;
	while (r == 0 && take(w, name))
		r = strcmp(name, "..") == 0 ? climb(w) : step(w, name);
	if (r == 0 && w->dir < 0) /* a link to the root */
		r = step(w, ".");
	if (r == MAILBOX_DANGLING || r == MAILBOX_ABSENT) {
		int error = look_around(w);
		r = error ? error : r;
	}
	if (r < 0)
		take_back(w);
	if (r != 0 && !w->why)
		append(w->done, name);
	if (r == MAILBOX_DANGLING)
		w->why = "is a symbolic link to nothing";
	/* a mailbox that can be made has its whole path */
	rest = w->todo + strspn(w->todo, "/");
	if ((r == MAILBOX_DANGLING || r == MAILBOX_ABSENT) && *rest &&
		!append(w->done, rest))
		r = -ENAMETOOLONG;
	return r;
}
