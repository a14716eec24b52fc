/*
 * Opens and makes Maildirs below mail-root. A path is walked one component at a time, by descriptors, and no
 * symbolic link of a Maildir's owner is ever followed: with them the owner could make postern, which may run as
 * root, write anywhere. What is made survives a crash.
 */
#include "edge/mailbox.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "edge/file.h"
#include "edge/recipients.h"

#define DIR_MODE 0700
#define LINKS_MAX 16 /* symbolic links of one path: more are a loop */
#define TARGET_MAX 1024 /* octets of what a link says */
#define ENTRIES_MAX 1024 /* octets of a directory that are read at once */
#define OPEN_PATH (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define OPEN_DIR (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* In the order in which they are made: where there is a `new`, the others are, too. */
enum { PART_TMP, PART_CUR, PART_NEW, N_PARTS };
static const char *const parts[N_PARTS] = { "tmp", "cur", "new" };

/* A walk from mail-root down. */
struct walk {
	int root;
	int dir; /* where it is, by O_PATH; -1: in the root */
	bool create; /* what is missing is made */
	unsigned n_links;
	size_t n_own; /* octets at the end of `todo` that are no link's */
	const char *why; /* in words; NULL: those of the error */
	char done[MAILBOX_PATH_MAX]; /* the path of `dir`, without links */
	char todo[MAILBOX_PATH_MAX + TARGET_MAX]; /* what is left of the path */
	char link[MAILBOX_PATH_MAX]; /* the path of the link that was followed last */
};

/* At the end of a path. */
static void cut_slashes(char *path)
{
	size_t n = strlen(path);

	while (n > 1 && path[n - 1] == '/')
		path[--n] = '\0';
}

static int sync_dir(int dir)
{
	OWNED_FD int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
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

/* `extra`: a name that does not count; NULL: there is none. */
static bool is_empty(int dir, const char *extra)
{
	_Alignas(struct entry) char some[ENTRIES_MAX];
	/* with an offset of its own: the directory may be shared with other processes */
	OWNED_FD int fd = openat(dir, ".", OPEN_DIR);
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

/*
 * A directory that root has just made becomes its owner's who has the one above, as all of a home does. That user may
 * have put another directory of root in its place: only an empty one is given. 0 or -errno.
 */
static int give(int dir, const char *name)
{
	OWNED_FD int fd = -1;
	struct stat above, st;

	if (geteuid() != 0)
		return 0;
	fd = openat(dir, name, OPEN_DIR);
	if (fd < 0 || fstat(dir, &above) < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (above.st_uid == 0 || st.st_uid != 0)
		return 0;
	if (st.st_dev != above.st_dev || !is_empty(fd, NULL))
		return -EEXIST;
	return fchown(fd, above.st_uid, above.st_gid) < 0 ? -errno : 0;
}

/* Makes a directory, and gives it to its owner. 0 or -errno. */
static int make_given(int dir, const char *name)
{
	if (mkdirat(dir, name, DIR_MODE) == 0)
		return give(dir, name);
	if (errno != EEXIST)
		return -errno;
	/* another process may have made it just now, and not have given it yet; what is wrong with it comes out later */
	give(dir, name);
	return 0;
}

/* Its name, too, must outlive a crash: mail will lie below it. 0 or -errno. */
static int make_root(const char *path)
{
	OWNED char *copy = strdup(path);
	OWNED_FD int above = -1;
	const char *name;
	bool is_open;
	int r;

	if (!copy)
		return -ENOMEM;
	cut_slashes(copy);
	above = file_open_above(copy, &name, &is_open);
	if (above < 0)
		return above;
	r = make_given(above, name);
	return r < 0 ? r : sync_dir(above);
}

int mailbox_root(const char *path, bool create)
{
	int fd = file_open_directory(path);

	if (fd == -ENOENT && create) {
		int r = make_root(path);
		if (r < 0)
			return r;
		fd = file_open_directory(path);
	}
	return fd;
}

static void begin(struct walk *w, int root, bool create)
{
	w->root = root;
	w->dir = -1;
	w->create = create;
	w->n_links = 0;
	w->why = NULL;
	w->done[0] = w->link[0] = '\0';
}

static int dir_of(const struct walk *w)
{
	return w->dir < 0 ? w->root : w->dir;
}

/* Goes into another directory, which is open; -1: to the root. */
static void enter(struct walk *w, int dir)
{
	if (w->dir >= 0)
		close(w->dir);
	w->dir = dir;
}

static void copy_path(
	char to[static MAILBOX_PATH_MAX], const char from[static MAILBOX_PATH_MAX])
{
	memcpy(to, from, strlen(from) + 1);
}

/* Puts the name behind the path; "." is none. False where there is no room for it. */
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

/* Puts `text`, which a link brought, in front of what is left of the path. 0 or -errno. */
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

/* Walks back to the root, and `path` is then what is to be done first. 0 or -errno. */
static int restart(struct walk *w, const char *path)
{
	int r = put_before(w, path);

	enter(w, -1);
	w->done[0] = '\0';
	return r;
}

/* "..": only a link has one. The directory above is walked to again, as the one here may be elsewhere by now. */
static int climb(struct walk *w)
{
	char above[MAILBOX_PATH_MAX];
	char *slash;

	if (!w->done[0]) {
		copy_path(w->done, w->link);
		return fail(w, -ELOOP, "is a symbolic link that leads out of mail-root");
	}
	copy_path(above, w->done);
	slash = strrchr(above, '/');
	above[slash ? slash - above : 0] = '\0';
	return restart(w, above);
}

/*
 * What of an absolute path is below the root; NULL: it leads elsewhere. Directories are compared, not names: the
 * root may have several. The path stands in a trusted link.
 */
static const char *below_root(int root, const char *target)
{
	char above[TARGET_MAX];
	struct stat ours, st;

	if (fstat(root, &ours) < 0)
		return NULL;
	for (size_t n = 0; target[n];) {
		n += strspn(target + n, "/");
		n += strcspn(target + n, "/");
		memcpy(above, target, n);
		above[n] = '\0';
		if (fstatat(AT_FDCWD, above, &st, 0) < 0)
			return NULL;
		if (st.st_dev == ours.st_dev && st.st_ino == ours.st_ino)
			return target + n;
	}
	return NULL;
}

/* Puts the target of the link in its place, if it may be followed. 0 or -errno. */
static int follow(struct walk *w, const char *name)
{
	char target[TARGET_MAX];
	const char *below = target;
	/* the call itself: libc's function would have to be looked up in every session */
	long n = syscall(SYS_readlinkat, dir_of(w), name, target, sizeof(target));

	if (n < 0 || (size_t)n == sizeof(target))
		return n < 0 ? -errno : -ENAMETOOLONG;
	target[n] = '\0';
	copy_path(w->link, w->done);
	if (!append(w->link, name))
		return -ENAMETOOLONG;
	if (*target == '/')
		below = below_root(w->root, target);
	if (!below) {
		append(w->done, name);
		return fail(w, -ELOOP, "is a symbolic link that leads out of mail-root");
	}
	return *target == '/' ? restart(w, below) : put_before(w, below);
}

/* What has the name is no directory. MAILBOX_OTHER, 0 when it is a link that is followed, or -errno. */
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

/* The name, and durable. 0 or -errno. */
static int make(struct walk *w, const char *name)
{
	int r = make_given(dir_of(w), name);

	return r < 0 ? r : sync_dir(dir_of(w));
}

/* One component. 0, an enum mailbox_result, or -errno. */
static int step(struct walk *w, const char *name)
{
	int fd = openat(dir_of(w), name, OPEN_PATH);

	if (fd < 0 && errno == ENOENT && w->create) {
		int r = make(w, name);
		if (r < 0)
			return r;
		fd = openat(dir_of(w), name, OPEN_PATH);
	}
	if (fd >= 0) {
		enter(w, fd);
		return append(w->done, name) ? 0 : -ENAMETOOLONG;
	}
	if (errno == ENOTDIR || errno == ELOOP)
		return judge_link(w, name);
	if (errno != ENOENT)
		return -errno;
	return strlen(w->todo) > w->n_own ? MAILBOX_DANGLING : MAILBOX_ABSENT;
}

/* Takes the first component of what is left; false where there is none. */
static bool take(struct walk *w, char name[static MAILBOX_PATH_MAX])
{
	size_t start = strspn(w->todo, "/");
	size_t n = strcspn(w->todo + start, "/");
	/* one that is cut is longer than a name may be all the same */
	size_t kept = n < MAILBOX_PATH_MAX ? n : MAILBOX_PATH_MAX - 1, left;

	memcpy(name, w->todo + start, kept);
	name[kept] = '\0';
	left = strlen(w->todo + start + n);
	memmove(w->todo, w->todo + start + n, left + 1);
	if (w->n_own > left)
		w->n_own = left;
	return n > 0;
}

/* The whole path. What is missing or at fault is then the end of `done`. */
static int walk(struct walk *w, const char *path)
{
	char name[MAILBOX_PATH_MAX];
	struct buf todo = BUF(w->todo);
	int r = 0;

	buf_put_str(&todo, path);
	if (!buf_terminate(&todo))
		return -ENAMETOOLONG;
	w->n_own = todo.n;
	while (r == 0 && take(w, name))
		r = strcmp(name, "..") == 0 ? climb(w) : step(w, name);
	if (r == 0 && w->dir < 0) /* a link to the root */
		r = step(w, ".");
	if (r != 0 && !w->why)
		append(w->done, name);
	if (r == MAILBOX_DANGLING)
		w->why = "is a symbolic link to nothing";
	/* a mailbox that can be made has its whole path */
	if ((r == MAILBOX_DANGLING || r == MAILBOX_ABSENT) &&
		!append(w->done, w->todo + strspn(w->todo, "/")))
		r = -ENAMETOOLONG;
	return r;
}

int mailbox_fail(struct mailbox *box, const char *part, int error)
{
	if (!box->error) {
		box->error = error;
		box->part = part;
	}
	return error;
}

/* Takes over what a walk came to. */
static int arrive(struct mailbox *box, struct walk *w, int r)
{
	free(box->path);
	free(box->link);
	box->link = r == MAILBOX_DANGLING ? strdup(w->link) : NULL;
	box->dir = w->dir;
	if (r != 0 && box->dir >= 0)
		close(box->dir);
	if (r != 0)
		box->dir = -1;
	box->path = strdup(w->done[0] ? w->done : ".");
	box->why = w->why;
	if (r == MAILBOX_OTHER || r < 0)
		mailbox_fail(box, NULL, r < 0 ? r : -ENOTDIR);
	return box->path ? r : -ENOMEM;
}

/* 0, -ENOENT, or what else is wrong with a part that could not be opened, or need not be. */
static int look_at(struct mailbox *box, const char *part)
{
	struct stat st;

	if (fstatat(box->dir, part, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (S_ISLNK(st.st_mode))
		box->why = "is a symbolic link, and none is followed in a mailbox";
	return S_ISLNK(st.st_mode) ? -ELOOP : S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

static void close_dir(int *dir)
{
	if (*dir >= 0)
		close(*dir);
	*dir = -1;
}

/* Opens a part. 0 or -errno, -ENOENT where it is missing. */
static int open_part(struct mailbox *box, const char *part, int *ret_dir)
{
	int error, r;

	close_dir(ret_dir);
	*ret_dir = openat(box->dir, part, OPEN_DIR);
	if (*ret_dir >= 0)
		return 0;
	error = errno;
	r = look_at(box, part);
	return r ? r : -error;
}

/* Opens `new` and learns what it is. */
static int open_new(struct mailbox *box)
{
	struct stat st;
	int r = open_part(box, "new", &box->new_dir);

	if (r < 0)
		return r;
	if (fstat(box->new_dir, &st) < 0)
		return -errno;
	box->device = st.st_dev;
	box->inode = st.st_ino;
	box->owner = st.st_uid;
	return 0;
}

/* Opens `new` and `tmp`, and looks at `cur`: what is there is a directory, or the box is broken. */
static int open_parts(struct mailbox *box)
{
	size_t n_missing = 0;

	for (size_t i = 0; i < N_PARTS; i++) {
		int r = i == PART_NEW   ? open_new(box)
			: i == PART_TMP ? open_part(box, "tmp", &box->tmp_dir)
					: look_at(box, parts[i]);
		if (r == -ENOENT)
			n_missing++;
		else if (r < 0)
			return mailbox_fail(box, parts[i], r);
	}
	box->complete = n_missing == 0;
	if (box->complete)
		close_dir(&box->dir);
	return n_missing < N_PARTS ? MAILBOX_OPEN : MAILBOX_BARE;
}

int mailbox_open(struct mailbox *box, int root, const char *path)
{
	struct walk w;
	int r;

	begin(&w, root, false);
	*box = MAILBOX_NONE;
	r = arrive(box, &w, walk(&w, path));
	return r ? r : open_parts(box);
}

/* What is missing in the box. 0 or -errno. */
static int complete(struct mailbox *box)
{
	int r;

	for (size_t i = 0; i < N_PARTS; i++) {
		r = make_given(box->dir, parts[i]);
		if (r < 0)
			return mailbox_fail(box, parts[i], r);
	}
	r = sync_dir(box->dir);
	if (r < 0)
		return mailbox_fail(box, NULL, r);
	r = open_parts(box);
	/* its owner may be quicker than we are */
	if (r >= 0 && !box->complete)
		r = mailbox_fail(box, NULL, -ENOENT);
	return r;
}

int mailbox_create(struct mailbox *box, int root)
{
	struct walk w;
	int r = 0;

	if (box->dir < 0) {
		begin(&w, root, true);
		r = arrive(box, &w, walk(&w, box->path));
	}
	if (r > 0)
		r = mailbox_fail(box, NULL, -ENOTDIR);
	return r < 0 ? r : complete(box);
}

const char *mailbox_words(int error)
{
	return error == -ENOTDIR ? "is not a directory" : strerror(-error);
}

void mailbox_put_path_fault(struct buf *to, const char *root, const char *path,
	const char *part, const char *words)
{
	char whole[2 * MAILBOX_PATH_MAX];
	struct buf b = BUF(whole);
	struct span shown, said = span_of(words);
	size_t room;

	if (said.n > MAILBOX_FAULT_MAX / 2)
		said.n = MAILBOX_FAULT_MAX / 2;
	room = MAILBOX_FAULT_MAX - sizeof(": ...") - said.n;
	buf_put_str(&b, root);
	while (b.n > 1 && b.p[b.n - 1] == '/')
		b.n--;
	for (size_t i = 0; i < 2; i++) {
		const char *more = i ? part : path;
		if (!more || strcmp(more, ".") == 0)
			continue;
		if (b.n && b.p[b.n - 1] != '/')
			buf_put_char(&b, '/');
		buf_put_str(&b, more);
	}
	shown = buf_span(&b);
	if (shown.n > room) {
		buf_put(to, SPAN("..."));
		shown = span_from(shown, shown.n - room);
	}
	buf_put(to, shown);
	buf_put(to, SPAN(": "));
	buf_put(to, said);
}

void mailbox_put_fault(const struct mailbox *box, const char *root, struct buf *to)
{
	const char *words = box->why ? box->why : mailbox_words(box->error);

	mailbox_put_path_fault(
		to, root, box->link ? box->link : box->path, box->part, words);
}

bool mailbox_root_is_empty(int root)
{
	return is_empty(root, "lost+found");
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
	close_dir(&box->new_dir);
	close_dir(&box->tmp_dir);
	close_dir(&box->dir);
	free(box->path);
	free(box->link);
}
