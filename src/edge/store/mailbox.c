/* SPDX-License-Identifier: ISC */
/*
 * Opens and makes Maildirs below mail-root, by descriptors: no symbolic link of a
 * Maildir's owner is ever followed. New directories survive a crash.
 */
#include "edge/store/mailbox.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "edge/file.h"
#include "edge/store/hangs.h"
#include "edge/store/mailbox-walk.h"

#define MARK_MODE 0644

/* In the order in which they are made: if `new` exists, the two before it exist, too. */
enum { PART_TMP, PART_CUR, PART_NEW, N_PARTS };
static const char *const parts[N_PARTS] = { "tmp", "cur", "new" };

/* Makes the marker of the right directory, which has no mailbox yet. 0 or -errno. */
static int mark(int dir)
{
	OWNED_FD int fd = openat(dir, MAILBOX_MARK,
		O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, MARK_MODE);

	return fd < 0 || fsync(dir) < 0 ? -errno : 0;
}

/* Removes slashes at the end of a path. */
static void cut_slashes(char *path)
{
	size_t n = strlen(path);

	while (n > 1 && path[n - 1] == '/')
		path[--n] = '\0';
}

/*
 * Makes mail-root. Its name must also survive a crash, because mail is stored below it. 0
 * or -errno.
 */
static int make_root(const char *path, bool is_stated)
{
	OWNED char *copy = strdup(path);
	OWNED_FD int above = -1;
	struct store_root root = { .as_owner = false };
	const char *name;
	bool is_open;
	int r;

	if (!copy)
		return -ENOMEM;
	cut_slashes(copy);
	above = file_open_above(copy, &name, &is_open);
	if (above < 0)
		return above;
	/* the parent directory may be a mount point, too */
	if (!is_stated && mailbox_dir_is_empty(&root, above))
		return -ENOENT;
	r = walk_make(&root, above, name);
	return r < 0 ? r : walk_sync(&root, above);
}

int mailbox_root(const char *path, enum create_choice create, bool is_mailbox)
{
	int fd = file_open_directory(path), r;

	if (fd != -ENOENT || create == CREATE_NO)
		return fd;
	r = make_root(path, create == CREATE_YES);
	if (r < 0)
		return r;
	fd = file_open_directory(path);
	r = fd >= 0 && create == CREATE_AUTO && !is_mailbox ? mark(fd) : 0;
	if (r == 0)
		return fd;
	close(fd);
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

/* Takes over the result of a walk. */
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
	box->above = w->above;
	box->n_left = w->n_own;
	box->device = w->above.device;
	box->owner = geteuid();
	if (r == MAILBOX_OTHER || r < 0)
		mailbox_fail(box, NULL, r < 0 ? r : -ENOTDIR);
	return box->path ? r : -ENOMEM;
}

/*
 * Examines a part that could not, or need not, be opened. 0, -ENOENT, or another fault.
 */
static int look_at(struct mailbox *box, const char *part)
{
	struct stat st;
	int r = walk_become(box->root, box->dir);

	if (r < 0)
		return r;
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

/* Opens a part. 0 or -errno; -ENOENT: it is missing. */
static int open_part(struct mailbox *box, const char *part, int *ret_dir)
{
	int fd, r;

	close_dir(ret_dir);
	fd = walk_open(box->root, box->dir, part);
	if (fd >= 0) {
		*ret_dir = fd;
		return walk_judge_owner(&box->home, fd);
	}
	r = look_at(box, part);
	return r ? r : fd;
}

static int learn(struct mailbox *box, int dir)
{
	struct statx st;

	if (statx(dir, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_MNT_ID, &st) < 0)
		return -errno;
	box->device = makedev(st.stx_dev_major, st.stx_dev_minor);
	box->inode = st.stx_ino;
	box->owner = st.stx_uid;
	box->mount = st.stx_mask & STATX_MNT_ID ? st.stx_mnt_id : 0;
	return 0;
}

int mailbox_learn(struct mailbox *box)
{
	struct fsxattr found;
	int r = learn(box, box->new_dir);

	if (r < 0)
		return mailbox_fail(box, "new", r);
	if (ioctl(box->new_dir, FS_IOC_FSGETXATTR, &found) == 0 &&
		found.fsx_xflags & FS_XFLAG_PROJINHERIT)
		box->project = found.fsx_projid;
	return 0;
}

/*
 * Opens `new`, and reads its owner and file system, or those that a missing one will
 * have.
 */
static int open_new(struct mailbox *box)
{
	int r = open_part(box, "new", &box->new_dir), learned;

	if (r < 0 && r != -ENOENT)
		return r;
	learned = learn(box, r < 0 ? box->dir : box->new_dir);
	return learned < 0 ? learned : r;
}

/* Opens `new` and `tmp`, and examines `cur`: existing parts must be directories. */
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

static int open_path(struct mailbox *box, const char *path)
{
	struct walk w;
	int r = arrive(box, &w, walk_path(&w, box->root, false, &box->home, path));

	return r ? r : open_parts(box);
}

int mailbox_open(struct mailbox *box, const struct store_root *root, const char *path)
{
	*box = MAILBOX_NONE;
	box->root = root;
	return open_path(box, path);
}

int mailbox_open_place(struct mailbox *box, const struct store_root *root,
	const struct recipients_place *place)
{
	*box = MAILBOX_NONE;
	box->root = root;
	box->home = place->home;
	return open_path(box, place->path);
}

/* Makes missing parts of the box. 0 or -errno. */
static int complete(struct mailbox *box)
{
	int r;

	for (size_t i = 0; i < N_PARTS; i++) {
		r = walk_make(box->root, box->dir, parts[i]);
		if (r < 0)
			return mailbox_fail(box, parts[i], r);
	}
	r = walk_sync(box->root, box->dir);
	if (r < 0)
		return mailbox_fail(box, NULL, r);
	r = open_parts(box);
	/* its owner may have removed something in the meantime */
	if (r >= 0 && !box->complete)
		r = mailbox_fail(box, NULL, -ENOENT);
	return r;
}

int mailbox_judge_owners(struct mailbox *box)
{
	struct stat st;
	int r = hang_step(box->root->mark, box->path, box->device);

	if (r == 0 && box->root->as_owner)
		r = walk_judge_owner(&box->home, box->new_dir);
	if (r == 0 && box->root->as_owner && box->owner != 0 &&
		(fstat(box->new_dir, &st) < 0 || st.st_uid == 0))
		r = -WALK_IS_ROOTS;
	if (r < 0)
		return mailbox_fail(box, "new", r);
	if (box->root->as_owner && box->tmp_dir >= 0)
		r = walk_judge_owner(&box->home, box->tmp_dir);
	return r < 0 ? mailbox_fail(box, "tmp", r) : 0;
}

int mailbox_create(struct mailbox *box)
{
	struct walk w;
	int r = hang_step(box->root->mark, box->path, box->device);

	if (r < 0)
		return mailbox_fail(box, NULL, r);
	if (box->dir < 0)
		r = arrive(
			box, &w, walk_path(&w, box->root, true, &box->home, box->path));
	if (r > 0)
		r = mailbox_fail(box, NULL, -ENOTDIR);
	return r < 0 ? r : complete(box);
}

/* True if the file system may need a name for a file from the beginning. */
static bool needs_tmp(const struct mailbox *box)
{
	OWNED_FD int fd = -1;

	if (walk_become(box->root, box->new_dir) == 0)
		fd = openat(box->new_dir, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	return fd < 0;
}

/* Checks a box with missing parts. 0 or -errno. */
static int probe_missing(struct mailbox *box)
{
	struct stat st;
	int r = walk_may_write(box->root, box->dir);

	for (size_t i = 0; r < 0 && i < N_PARTS; i++)
		if (fstatat(box->dir, parts[i], &st, AT_SYMLINK_NOFOLLOW) < 0)
			return mailbox_fail(box, parts[i], r);
	return 0;
}

/* Cuts the path of a missing mailbox after the first missing directory. */
static void cut_path(struct mailbox *box)
{
	char *first = box->path + box->above.n_path;

	first += strspn(first, "/");
	first[strcspn(first, "/")] = '\0';
}

/*
 * Checks a missing mailbox. The fault has the first directory that cannot be made, as
 * when it is made.
 */
static int probe_above(struct mailbox *box)
{
	if (!box->above.error)
		return 0;
	cut_path(box);
	return mailbox_fail(box, NULL, box->above.error);
}

int mailbox_fail_missing(struct mailbox *box, bool whole)
{
	if (!whole)
		cut_path(box);
	return mailbox_fail(box, NULL, -ENOENT);
}

bool mailbox_fault_is_ours(
	const struct mailbox *box, const struct recipients_place *place)
{
	return place->is_named || strlen(place->path) - box->n_left <= place->n_fixed;
}

/* True in lost+found, which a file system makes for itself (mkfs(8)). */
static bool is_lost_and_found(const char *path)
{
	for (size_t n; *path; path += n + (path[n] == '/')) {
		n = strcspn(path, "/");
		if (span_eq((struct span){ path, n }, SPAN("lost+found")))
			return true;
	}
	return false;
}

bool mailbox_is_elsewhere(
	int found, const struct mailbox *box, const struct recipients_place *place)
{
	if (found != MAILBOX_OPEN && !place->is_named && is_lost_and_found(place->path))
		return true;
	switch (found) {
	case MAILBOX_ABSENT:
		return place->is_part ||
		       (!place->may_create && !mailbox_fault_is_ours(box, place));
	case MAILBOX_BARE:
		/* a directory with other entries has another purpose */
		return !place->is_named &&
		       (place->is_part || !place->may_create ||
			       !mailbox_dir_is_empty(box->root, box->dir));
	case MAILBOX_OTHER:
		return !mailbox_fault_is_ours(box, place);
	default:
		return false;
	}
}

bool mailbox_is_not_mounted(enum create_choice create, int found,
	const struct mailbox *box, const struct recipients_place *place)
{
	if (create == CREATE_YES || (!place->is_named && is_lost_and_found(place->path)))
		return false;
	switch (found) {
	case MAILBOX_ABSENT:
		return box->above.is_empty;
	case MAILBOX_DANGLING:
		return place->may_create && box->above.is_empty;
	default:
		/* an empty directory in the place of a mailbox must be completed */
		return false;
	}
}

int mailbox_probe(struct mailbox *box)
{
	int r = 0;

	if (box->dir < 0 && box->new_dir < 0)
		return probe_above(box);
	if (box->new_dir >= 0 && (r = walk_may_write(box->root, box->new_dir)) < 0)
		return mailbox_fail(box, "new", r);
	if (box->tmp_dir >= 0 && box->new_dir >= 0 &&
		(r = walk_may_write(box->root, box->tmp_dir)) < 0 && needs_tmp(box))
		return mailbox_fail(box, "tmp", r);
	return box->complete ? 0 : probe_missing(box);
}

bool mailbox_is_full(const struct mailbox *box, uint64_t octets)
{
	int dir = box->new_dir >= 0 ? box->new_dir : box->dir;
	struct statvfs fs;
	struct stat st;
	uint64_t blocks;

	if (dir < 0 && fstat(box->root->fd, &st) == 0 && st.st_dev == box->device)
		dir = box->root->fd;
	if (dir < 0 || fstatvfs(dir, &fs) < 0 || fs.f_blocks == 0 || fs.f_frsize == 0)
		return false;
	/* some blocks are reserved for root */
	blocks = geteuid() == 0 ? fs.f_bfree : fs.f_bavail;
	return octets / fs.f_frsize >= blocks;
}

const char *mailbox_words(int error)
{
	switch (error) {
	case -ENOTDIR:
		return "is not a directory";
	case -WALK_IS_ROOTS:
		return "belongs to root in a directory of another user; give it to that "
		       "user";
	case -WALK_IS_OTHERS:
		return "belongs to another user than the one whose home this is; give it "
		       "to that user";
	case -HANG_HERE:
		return "does not answer: a broker has waited for this file system for "
		       "more than 10 s";
	case -WALK_HAS_NO_HOME:
		return "does not exist, and is the home of a user or above it";
	default:
		return strerror(-error);
	}
}

void mailbox_put_path_fault(struct buf *to, const char *root, const char *path,
	const char *part, const char *words)
{
	char whole[2 * MAILBOX_PATH_MAX];
	struct buf b = BUF(whole);
	struct span shown, reason = span_of(words);
	size_t room;

	if (reason.n > MAILBOX_FAULT_MAX / 2)
		reason.n = MAILBOX_FAULT_MAX / 2;
	room = MAILBOX_FAULT_MAX - sizeof(": ...") - reason.n;
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
	buf_put(to, reason);
}

void mailbox_put_fault(const struct mailbox *box, const char *root, struct buf *to)
{
	const char *words = box->why ? box->why : mailbox_words(box->error);

	mailbox_put_path_fault(
		to, root, box->link ? box->link : box->path, box->part, words);
}

void mailbox_put_empty_fault(const struct mailbox *box, const char *root, struct buf *to)
{
	char above[MAILBOX_PATH_MAX];

	memcpy(above, box->path, box->above.n_path);
	above[box->above.n_path] = '\0';
	mailbox_put_path_fault(
		to, root, *above ? above : NULL, NULL, RECIPIENTS_ROOT_EMPTY);
}

bool mailbox_dir_is_empty(const struct store_root *root, int dir)
{
	return walk_is_empty(root, dir, "lost+found");
}

/* Two mailboxes that do not exist yet are compared by their paths. */
bool mailbox_is_same(const struct mailbox *a, const struct mailbox *b)
{
	if (a->new_dir < 0 || b->new_dir < 0)
		return strcmp(a->path, b->path) == 0;
	return a->device == b->device && a->inode == b->inode;
}

int syncs_add(struct syncs *s, size_t box, int dir)
{
	struct sync *more = reallocarray(s->list, s->n + 1, sizeof(*more));

	if (!more)
		return -ENOMEM;
	s->list = more;
	s->list[s->n++] = (struct sync){ box, dir, false };
	return 0;
}

int syncs_take(struct syncs *s, int dir)
{
	struct stat ours, st;
	int r = fstat(dir, &ours) < 0 ? -errno : 0;

	for (size_t i = 0; i < s->n && r == 0; i++)
		if (s->list[i].is_owned && fstat(s->list[i].fd, &st) == 0 &&
			st.st_dev == ours.st_dev && st.st_ino == ours.st_ino) {
			close(dir);
			return 0;
		}
	if (r == 0)
		r = syncs_add(s, SYNCS_OF_ALL, dir);
	if (r == 0)
		s->list[s->n - 1].is_owned = true;
	else
		close(dir);
	return r;
}

void syncs_clear(struct syncs *s)
{
	while (s->n)
		if (s->list[--s->n].is_owned)
			close(s->list[s->n].fd);
	free(s->list);
	s->list = NULL;
}

void mailbox_close(struct mailbox *box)
{
	close_dir(&box->new_dir);
	close_dir(&box->tmp_dir);
	close_dir(&box->dir);
	free(box->path);
	free(box->link);
	free(box->address);
}
