/* SPDX-License-Identifier: ISC */
/*
 * Opens and reads the files that settings name, and describes faults. A symbolic link
 * that another user can change is not followed, because with it this user could make root
 * read, or write to, any file. The last part detects placeholders of systemd.
 */
#include "edge/file.h"
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "edge/sandbox/sandbox.h"

#define LINKS_MAX 16 /* symbolic links in one path; more are treated as a loop */
#define OLD_PLACEHOLDER "none" /* placeholder of older units, without the path */
#define PLACEHOLDER_MAX 256
#define OPEN_PATH (O_PATH | O_DIRECTORY | O_CLOEXEC)

/* A walk along a path, one component at a time, by descriptors. */
struct walk {
	int dir;
	/* another user can change a directory of the path so far, or a name in it */
	bool is_open;
	unsigned n_links;
	char todo[PATH_MAX]; /* the rest of the path */
};

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

void file_put_closed(struct buf *to, const char *path)
{
	OWNED char *above = strdup(path);
	struct stat st;
	char *slash;

	/* find the longest part of the path that can be examined */
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
	if (st->st_uid != geteuid() && !owner_may_become()) {
		put_chown(to, path);
		return;
	}
	put_path(to, "chmod u+", bits);
	put_path(to, " ", path);
}

/* Describes a directory that this user cannot enter or make, or one above or below it. */
static void put_denied(struct buf *to, const char *path)
{
	OWNED char *copy = NULL;
	struct stat st;

	if (stat(path, &st) < 0 && errno == ENOENT && (copy = strdup(path)))
		path = dirname(copy);
	if (stat(path, &st) < 0)
		file_put_closed(to, path);
	else if (faccessat(AT_FDCWD, path, R_OK | W_OK | X_OK, AT_EACCESS) == 0)
		put_path(to, "; a directory in it is closed to this user: ls -ln ", path);
	else
		put_not_writable(to, path, &st, "rwx");
}

/* Describes errors that have texts of their own here; false for all others. */
static bool put_trap(struct buf *to, const char *path, int error)
{
	if (error == ELOOP)
		put_path(to,
			"its path has a symbolic link that another user can change, and "
			"that is not followed, or too many; name another path, or show "
			"its owners: namei -l ",
			path);
	else if (error == FILE_IS_TRAP)
		put_path(to,
			"is not a regular file with exactly one name, and another user "
			"than "
			"root can change its path; remove it: rm ",
			path);
	return error == ELOOP || error == FILE_IS_TRAP;
}

void file_put_fault(struct buf *to, const char *path, int error, enum file_use use)
{
	struct stat st;

	if (put_trap(to, path, error)) {
		buf_terminate(to);
		return;
	}
	buf_put_str(
		to, error == FILE_IS_CHANNEL ? "is a FIFO or a socket" : strerror(error));
	if (error == ENOENT) {
		buf_put(to, SPAN("; put it there: install -D -m "));
		buf_put_str(to, use == FILE_SECRET ? "0600 -o " : "0644 -o ");
		buf_put_num(to, geteuid());
		put_path(to, " FILE ", path);
	} else if (error == EACCES && stat(path, &st) < 0) {
		file_put_closed(to, path);
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
	if (put_trap(to, path, error)) {
		buf_terminate(to);
		return;
	}
	if (error == FILE_IS_TAKEN_NOWHERE)
		buf_put_str(to, "its file system takes no files; name another directory");
	else
		buf_put_str(
			to, error == ENOTDIR ? "is not a directory" : strerror(error));
	file_put_directory_cure(to, path, error);
	buf_terminate(to);
}

void file_put_directory_cure(struct buf *to, const char *path, int error)
{
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
		buf_put(to, SPAN(" and restart it, even if the line is there: "
				 "systemctl try-restart postern-listen.service"));
		break;
	default:
		break;
	}
}

bool file_system_takes_none(int dir)
{
	static const uint32_t kinds[] = { PROC_SUPER_MAGIC, SYSFS_MAGIC,
		CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, DEBUGFS_MAGIC, TRACEFS_MAGIC,
		SECURITYFS_MAGIC };
	struct statfs fs;
	size_t i = 0;

	if (fstatfs(dir, &fs) < 0)
		return false;
	while (i < sizeof(kinds) / sizeof(*kinds) && kinds[i] != (uint32_t)fs.f_type)
		i++;
	return i < sizeof(kinds) / sizeof(*kinds);
}

static bool is_ours(const struct stat *st)
{
	return st->st_uid == 0 || st->st_uid == getuid();
}

static bool is_open_to_others(const struct stat *dir)
{
	return (dir->st_mode & (S_IWGRP | S_IWOTH)) != 0;
}

/* With the sticky bit other users can make names, but change only their own. */
static bool keeps_names(const struct stat *dir)
{
	return is_ours(dir) && (!is_open_to_others(dir) || (dir->st_mode & S_ISVTX));
}

bool file_link_is_trusted(const struct stat *dir, const struct stat *link)
{
	return keeps_names(dir) && is_ours(link);
}

static void enter(struct walk *w, int dir)
{
	if (w->dir >= 0)
		close(w->dir);
	w->dir = dir;
}

/* 0 or -errno. */
static int begin(struct walk *w, const char *path)
{
	enter(w, open(*path == '/' ? "/" : ".", OPEN_PATH));
	return w->dir < 0 ? -errno : 0;
}

/* In /proc a link of the kernel leads to an open file, which may have no name. */
static bool is_in_proc(int dir)
{
	struct statfs fs;

	return fstatfs(dir, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC;
}

/* Puts the target of the link before the rest of the path. 0 or -errno. */
static int put_target(struct walk *w, const char *name)
{
	char whole[PATH_MAX];
	ssize_t n = readlinkat(w->dir, name, whole, sizeof(whole));
	struct buf b = { .p = whole, .n = n < 0 ? 0 : (size_t)n, .cap = sizeof(whole) };

	if (n < 0)
		return -errno;
	buf_put_char(&b, '/');
	buf_put_str(&b, w->todo);
	if (!buf_terminate(&b))
		return -ENAMETOOLONG;
	memcpy(w->todo, whole, b.n + 1);
	return whole[0] == '/' ? begin(w, whole) : 0;
}

/*
 * Follows a name that could not be opened, if it is a trusted link. 0, and in *ret_fd a
 * descriptor, or -1: the walk continues. Otherwise `error`, or another -errno.
 */
static int follow(struct walk *w, const char *name, int flags, int error, int *ret_fd)
{
	struct stat dir, link;

	*ret_fd = -1;
	if ((error != -ELOOP && error != -ENOTDIR) || fstat(w->dir, &dir) < 0 ||
		fstatat(w->dir, name, &link, AT_SYMLINK_NOFOLLOW) < 0 ||
		!S_ISLNK(link.st_mode))
		return error;
	if (!file_link_is_trusted(&dir, &link) || ++w->n_links > LINKS_MAX)
		return -ELOOP;
	if (!is_in_proc(w->dir))
		return put_target(w, name);
	/* such a target exists; O_CREAT would need a mode */
	*ret_fd = openat(w->dir, name, flags & ~O_CREAT);
	return *ret_fd < 0 ? -errno : 0;
}

/* Takes the first component of the rest of the path; false: there is none. */
static bool take(struct walk *w, char name[static NAME_MAX + 2])
{
	size_t start = strspn(w->todo, "/"), n = strcspn(w->todo + start, "/");
	/* a name that is cut here is still longer than a name may be */
	size_t kept = n < NAME_MAX + 2 ? n : NAME_MAX + 1;

	memcpy(name, w->todo + start, kept);
	name[kept] = '\0';
	memmove(w->todo, w->todo + start + n, strlen(w->todo + start + n) + 1);
	return n > 0;
}

static bool is_at_end(const struct walk *w)
{
	return w->todo[strspn(w->todo, "/")] == '\0';
}

/* Checks whether another user can change the current directory of the walk. */
static void judge(struct walk *w)
{
	struct stat st;

	w->is_open |= fstat(w->dir, &st) < 0 ||
		      !(is_at_end(w) ? is_ours(&st) && !is_open_to_others(&st)
				     : keeps_names(&st));
}

/* Opens the target of the path. Returns the descriptor, or -errno. */
static int walk(struct walk *w, const char *path, int flags, mode_t mode)
{
	size_t n = strlen(path);
	char name[NAME_MAX + 2];
	int r;

	if (n >= sizeof(w->todo))
		return -ENAMETOOLONG;
	memcpy(w->todo, path, n + 1);
	r = begin(w, path);
	while (r == 0 && take(w, name)) {
		bool last = is_at_end(w);
		int how = last ? flags : OPEN_PATH, fd;
		judge(w);
		fd = owner_openat(w->dir, name, how | O_NOFOLLOW, mode);
		if (fd < 0)
			r = follow(w, name, how, -errno, &fd);
		if (fd >= 0 && last)
			return fd;
		if (fd >= 0)
			enter(w, fd);
	}
	if (r < 0)
		return r;
	/* the root, or a directory whose link was the last component */
	r = owner_openat(w->dir, ".", flags & ~O_CREAT, 0);
	return r < 0 ? -errno : r;
}

static int walk_once(const char *path, int flags, mode_t mode, bool *ret_is_open)
{
	struct walk w = { .dir = -1 };
	int r = walk(&w, path, flags, mode);

	enter(&w, -1);
	*ret_is_open = w.is_open;
	return r;
}

/* A file with one name cannot be a second name of a file of root or another user. */
static bool is_plain(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1;
}

static bool has_names(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink > 1;
}

/* Like walk_once(), but with one system call if the path has no link. */
static int open_without_links(const char *path, int flags)
{
	const struct open_how how = { .flags = (uint64_t)flags,
		.resolve = RESOLVE_NO_SYMLINKS };
	long fd = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

int file_open(const char *path, int flags)
{
	int fd = open_without_links(path, flags);
	bool is_open = false, is_root = geteuid() == 0;

	/* the path has a link, this kernel has no such call, or an owner can open it */
	if (fd == -ELOOP || fd == -ENOSYS || fd == -EPERM || (fd == -EACCES && is_root))
		fd = walk_once(path, flags, 0, &is_open);
	if (fd >= 0 && is_root && !is_open && has_names(fd)) {
		close(fd);
		fd = walk_once(path, flags, 0, &is_open);
	}
	if (fd < 0 || !is_root || !is_open || !has_names(fd))
		return fd;
	close(fd);
	return -FILE_IS_TRAP;
}

int file_open_written(const char *path, int flags, mode_t mode)
{
	bool is_open;
	int fd;

	if (geteuid() != 0) {
		fd = open(path, flags, mode);
		return fd < 0 ? -errno : fd;
	}
	fd = walk_once(path, flags, mode, &is_open);
	if (fd < 0 || !is_open || is_plain(fd))
		return fd;
	close(fd);
	return -FILE_IS_TRAP;
}

int file_open_above(const char *path, const char **ret_name, bool *ret_is_open)
{
	struct walk w = { .dir = -1 };
	const char *slash = strrchr(path, '/');
	size_t n = slash ? (size_t)(slash - path) + 1 : 0;
	char above[PATH_MAX];
	int fd;

	if (n + 2 > sizeof(above))
		return -ENAMETOOLONG;
	memcpy(above, path, n);
	memcpy(above + n, ".", 2);
	fd = walk(&w, above, OPEN_PATH, 0);
	enter(&w, -1);
	*ret_is_open = w.is_open;
	*ret_name = path + n;
	return fd;
}

int file_open_directory(const char *path)
{
	return file_open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Opens a text file, and never waits for a writer of a FIFO. */
static int open_text(const char *path)
{
	int fd = file_open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	return fd == -ENXIO ? -FILE_IS_CHANNEL : fd;
}

ssize_t file_read(const char *path, size_t max, char **ret_text)
{
	OWNED_FD int fd = open_text(path);
	OWNED char *text = NULL;
	ssize_t n = fd < 0 ? fd : file_read_open(fd, max, &text);
	struct span s;

	if (!text)
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
			return -errno; /* such as EISDIR */
		n += got;
	}
	*ret_text = steal(&text);
	return n;
}

bool file_needs_name(int error)
{
	return error == EOPNOTSUPP || error == EISDIR || error == EINVAL ||
	       error == ENOENT;
}

void file_proc_path(char path[static FILE_PROC_MAX], int fd)
{
	struct buf b = { .p = path, .cap = FILE_PROC_MAX };

	buf_put(&b, SPAN("/proc/self/fd/"));
	buf_put_num(&b, (uint64_t)fd);
	buf_terminate(&b);
}

/* Before Linux 6.10 only root could link a descriptor without /proc. */
int file_link_nameless(int fd, int dir, const char *name)
{
	if (linkat(fd, "", dir, name, AT_EMPTY_PATH) == 0)
		return 0;
	return errno == ENOENT ? file_link_by_proc(fd, dir, name) : -errno;
}

int file_link_by_proc(int fd, int dir, const char *name)
{
	char path[FILE_PROC_MAX];

	file_proc_path(path, fd);
	return linkat(AT_FDCWD, path, dir, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

/*
 * Uses the system call, because libc's function without flags calls renameat(), which
 * sandboxes do not allow. The last attempt is for file systems without hard links.
 */
int file_move(int from, const char *name, int to, const char *as)
{
	struct stat st;

	if (syscall(SYS_renameat2, from, name, to, as, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	if (linkat(from, name, to, as, 0) == 0) {
		unlinkat(from, name, 0);
		return 0;
	}
	if (fstatat(to, as, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return -EEXIST;
	if (errno != ENOENT || syscall(SYS_renameat2, from, name, to, as, 0) < 0)
		return -errno;
	return 0;
}

bool credential_is_unset(const char *path)
{
	return strncmp(path, CREDENTIAL_PREFIX, strlen(CREDENTIAL_PREFIX)) == 0;
}

static struct span without_line_end(struct span content)
{
	while (span_ends(content, SPAN("\n")))
		content.n--;
	return content;
}

/* Returns the path in a placeholder, or an empty span. */
static struct span file_of(struct span content)
{
	struct span prefix = SPAN(CREDENTIAL_MISSING);

	content = without_line_end(content);
	if (content.n <= prefix.n ||
		!span_eq((struct span){ content.p, prefix.n }, prefix))
		return SPAN("");
	content = span_trim(span_from(content, prefix.n));
	for (size_t i = 0; i < content.n; i++)
		if (content.p[i] <= ' ' || content.p[i] > '~')
			return SPAN("");
	return content.n && *content.p == '/' ? content : SPAN("");
}

bool credential_is_placeholder(struct span content)
{
	content = without_line_end(content);
	return content.n <= PLACEHOLDER_MAX &&
	       (span_eq(content, SPAN(OLD_PLACEHOLDER)) || file_of(content).n);
}

void credential_put_fault(struct buf *to, const char *path, struct span content)
{
	struct span file = file_of(content);

	if (credential_is_unset(path)) {
		buf_put(to, SPAN("CREDENTIALS_DIRECTORY is not set: start postern by a "
				 "unit with LoadCredential=, or name the file itself"));
		return;
	}
	buf_put(to, file.n ? file : SPAN("the file that LoadCredential= names"));
	buf_put(to, SPAN(" is missing or systemd could not read it; put it there "
			 "(chown root, chmod 0600): the unit reads it when it starts"));
}
