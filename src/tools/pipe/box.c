/* SPDX-License-Identifier: ISC */
/*
 * The directories of a Maildir. A message is in exactly one of new/, cur/ and failed/,
 * even if the program is killed at any time, and no file is overwritten. The state of a
 * message that was tried is kept in pipe/ while it is in new/. If it is lost, the message
 * is processed again.
 */
#include "tools/pipe/pipe.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/num.h"
#include "edge/file.h"
#include "proto/received.h"
#include "proto/text.h"

#define PROGRAM "postern-pipe"
#define STATE "pipe"
#define PART_MODE 0700
#define FILE_MODE 0600
#define NAME_SIZE (NAME_MAX + 1)
#define NAME_TRIES 100
#define INFO ":2," /* end of names in cur/: no flags */
#define NOTE ".txt" /* end of the name of a note for a message in failed/ */
/* octets of a message's name there, so that it fits with NOTE and a number */
#define FAILED_NAME_MAX (NAME_MAX - (sizeof(NOTE) - 1) - (sizeof(".R99") - 1))
#define UNFINISHED ".unfinished" /* end of the name of an incomplete file */
#define TRIES_MAX 64 /* octets of the state of a message that was tried */

/*
 * Opens a part of the Maildir. Returns the descriptor; or -errno, and a sentence in
 * `why`.
 */
static int open_part(int at, const char *name, bool make, struct buf *why)
{
	if (make && mkdirat(at, name, PART_MODE) == 0)
		fsync(at);
	return job_dir_open(
		&(struct job_dir){ at, name, O_NOFOLLOW, name, PROGRAM }, why);
}

static int lock_box(struct pipe_box *box, int state, struct buf *why)
{
	box->lock = openat(
		state, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
	if (box->lock >= 0 && flock(box->lock, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (box->lock >= 0 && errno == EWOULDBLOCK) {
		buf_put(why, SPAN("another postern-pipe works on it"));
		return -EWOULDBLOCK;
	}
	buf_put(why, SPAN(STATE "/lock: "));
	buf_put_str(why, strerror(errno));
	return -errno;
}

static int open_state(struct pipe_box *box, struct buf *why)
{
	OWNED_FD int state = open_part(box->top, STATE, true, why);
	int r = state < 0 ? state : lock_box(box, state, why);

	if (r == 0)
		r = box->tried_dir = open_part(state, "tried", true, why);
	if (r >= 0)
		r = box->done_dir = open_part(state, "done", true, why);
	return r < 0 ? r : 0;
}

/*
 * Sets user, groups and environment of the owner's programs. Groups come first, because
 * on Linux only root can change them.
 */
static int become_user(uid_t uid, gid_t gid)
{
	const struct passwd *user = getpwuid(uid);

	if (user)
		gid = user->pw_gid;
	if ((user ? initgroups(user->pw_name, gid) : setgroups(1, &gid)) < 0 ||
		setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return -errno;
	if (user) {
		setenv("HOME", user->pw_dir, 1);
		setenv("USER", user->pw_name, 1);
		setenv("LOGNAME", user->pw_name, 1);
	}
	return setuid(0) == 0 ? -EPERM : 0;
}

/*
 * A symbolic link in the path is followed only if no other user can change it. Otherwise
 * a user could redirect this program to the mailbox of another user.
 */
int pipe_become_owner(const char *path, struct buf *why)
{
	OWNED_FD int fd = -1;
	struct stat st;
	int r = 0;

	if (geteuid() != 0)
		return 0;
	fd = file_open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		r = fd < 0 ? fd : -errno;
	else if (st.st_uid != 0)
		r = become_user(st.st_uid, st.st_gid);
	if (r < 0)
		buf_put_str(why, strerror(-r));
	return r;
}

int pipe_box_open(struct pipe_box *box, const char *path, struct buf *why)
{
	struct stat st;
	int r;

	*box = PIPE_BOX_NONE;
	box->path = path;
	r = box->top =
		job_dir_open(&(struct job_dir){ AT_FDCWD, path, 0, "", PROGRAM }, why);
	if (r >= 0 && fstat(box->top, &st) == 0) {
		box->device = st.st_dev;
		box->inode = st.st_ino;
	}
	if (r >= 0)
		r = box->new_dir = open_part(box->top, "new", false, why);
	if (r >= 0)
		r = box->cur_dir = open_part(box->top, "cur", false, why);
	if (r >= 0)
		r = box->failed_dir = open_part(box->top, "failed", true, why);
	if (r >= 0)
		r = open_state(box, why);
	if (r < 0)
		pipe_box_close(box);
	return r < 0 ? r : 0;
}

void pipe_box_close(struct pipe_box *box)
{
	const int fds[] = { box->top, box->new_dir, box->cur_dir, box->failed_dir,
		box->tried_dir, box->done_dir, box->lock };

	for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	*box = PIPE_BOX_NONE;
}

bool pipe_box_is_gone(const struct pipe_box *box)
{
	struct stat top, new_dir, open_dir;

	/* a temporary error does not mean that the mailbox is gone */
	if (stat(box->path, &top) < 0 || fstatat(box->top, "new", &new_dir, 0) < 0)
		return errno == ENOENT || errno == ENOTDIR;
	if (fstat(box->new_dir, &open_dir) < 0)
		return false;
	return top.st_dev != box->device || top.st_ino != box->inode ||
	       new_dir.st_dev != open_dir.st_dev || new_dir.st_ino != open_dir.st_ino;
}

int pipe_list(int dir, void *ctx, void (*see)(void *ctx, const char *name))
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	int r;

	if (!stream) {
		r = -errno;
		if (fd >= 0)
			close(fd);
		return r;
	}
	/* in a Maildir files with a leading dot are hidden */
	while (errno = 0, entry = readdir(stream))
		if (entry->d_name[0] != '.')
			see(ctx, entry->d_name);
	r = -errno;
	closedir(stream);
	return r;
}

static bool exists(int dir, const char *name)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
}

static bool is_same(int dir, const char *name, int other_dir, const char *other)
{
	struct stat a, b;

	return fstatat(dir, name, &a, AT_SYMLINK_NOFOLLOW) == 0 &&
	       fstatat(other_dir, other, &b, AT_SYMLINK_NOFOLLOW) == 0 &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* Writes a file, which gets its name when it is complete. 0 or -errno. */
static int write_file(int dir, const char *name, struct span text)
{
	OWNED_FD int fd = openat(dir, UNFINISHED,
		O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
	int r = fd < 0 ? -errno : 0;

	while (r == 0 && text.n) {
		ssize_t n = write(fd, text.p, text.n);
		if (n < 0 && errno != EINTR)
			r = -errno;
		if (n > 0)
			text = span_from(text, (size_t)n);
	}
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (r == 0 && renameat(dir, UNFINISHED, dir, name) < 0)
		r = -errno;
	if (r == 0 && fsync(dir) < 0)
		r = -errno;
	if (r < 0 && fd >= 0)
		unlinkat(dir, UNFINISHED, 0);
	return r;
}

/* try = tries SP seconds */
void pipe_box_recall(const struct pipe_box *box, struct pipe_message *m)
{
	OWNED_FD int fd = openat(
		box->tried_dir, m->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	char octets[TRIES_MAX];
	ssize_t n = fd < 0 ? 0 : read(fd, octets, sizeof(octets));
	struct span rest = { octets, n < 0 ? 0 : (size_t)n };
	struct span line = span_take_line(&rest), tries = span_take_word(&line);
	uint64_t n_tries, waited;

	if (!num_parse(tries, &n_tries) || !num_parse(line, &waited))
		return;
	m->tries = n_tries;
	m->waited = waited;
}

int pipe_box_keep_try(const struct pipe_box *box, const struct pipe_message *m)
{
	char text[TRIES_MAX];
	struct buf b = BUF(text);

	buf_put_num(&b, m->tries);
	buf_put_char(&b, ' ');
	buf_put_num(&b, m->waited);
	buf_put_char(&b, '\n');
	return write_file(box->tried_dir, m->name, buf_span(&b));
}

bool pipe_box_is_done(const struct pipe_box *box, const char *name)
{
	return exists(box->done_dir, name);
}

void pipe_box_forget(const struct pipe_box *box, const char *name)
{
	unlinkat(box->tried_dir, name, 0);
	unlinkat(box->done_dir, name, 0);
}

/* Removes the state of a message that is gone. */
static void tidy_state(void *ctx, const char *name)
{
	const struct pipe_box *box = ctx;

	if (!exists(box->new_dir, name))
		pipe_box_forget(box, name);
}

/* Removes a note whose message was not moved, or was removed. */
static void tidy_note(void *ctx, const char *name)
{
	const struct pipe_box *box = ctx;
	struct span note = span_of(name);
	char message[NAME_SIZE];
	struct buf b = BUF(message);

	if (!span_ends(note, SPAN(NOTE)))
		return;
	buf_put(&b, (struct span){ name, note.n - (sizeof(NOTE) - 1) });
	/* with --keep-new and without hard links the message is only in new/ */
	if (buf_terminate(&b) && !exists(box->failed_dir, message) &&
		!exists(box->done_dir, message))
		unlinkat(box->failed_dir, name, 0);
}

void pipe_box_tidy(const struct pipe_box *box)
{
	unlinkat(box->tried_dir, UNFINISHED, 0);
	unlinkat(box->failed_dir, UNFINISHED, 0);
	pipe_list(box->tried_dir, (void *)box, tidy_state);
	pipe_list(box->done_dir, (void *)box, tidy_state);
	pipe_list(box->failed_dir, (void *)box, tidy_note);
}

/* Makes "NAME:2,", or "NAME.R1:2," for number 1. False: the name is too long. */
static bool make_name(
	char to[static NAME_SIZE], const char *name, size_t try, const char *end)
{
	struct buf b = { .p = to, .cap = NAME_SIZE };

	buf_put_str(&b, name);
	if (try > 0) {
		buf_put(&b, SPAN(".R"));
		buf_put_num(&b, try);
	}
	if (!strstr(name, INFO))
		buf_put_str(&b, end);
	return buf_terminate(&b);
}

/*
 * Moves a message from new/. If both names are the same file, a move by links was
 * interrupted before.
 */
static int move_to(const struct pipe_box *box, const char *name, int to, const char *as)
{
	int r = job_move(box->new_dir, name, to, as);

	if (r == -EEXIST && is_same(box->new_dir, name, to, as))
		r = unlinkat(box->new_dir, name, 0) < 0 ? -errno : 0;
	return r;
}

/* Moves a processed message to the first free name in cur/. */
static int move_to_cur(const struct pipe_box *box, const char *name, const char *end)
{
	char as[NAME_SIZE];
	int r = -EEXIST;

	for (size_t i = 0; i < NAME_TRIES && r == -EEXIST; i++) {
		if (!make_name(as, name, i, end) && !make_name(as, name, i, ""))
			return -ENAMETOOLONG;
		r = move_to(box, name, box->cur_dir, as);
	}
	return r;
}

static int move_processed(const struct pipe_box *box, const char *name)
{
	int r = move_to_cur(box, name, INFO);

	/* a file system that does not allow a colon in names */
	if (r == -EINVAL || r == -EPERM || r == -EPROTO)
		r = move_to_cur(box, name, "");
	return r;
}

static int mark(const struct pipe_box *box, const char *name)
{
	OWNED_FD int fd = openat(box->done_dir, name,
		O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);

	if (fd < 0 || fsync(box->done_dir) < 0)
		return -errno;
	unlinkat(box->tried_dir, name, 0);
	return 0;
}

static int remove_processed(const struct pipe_box *box, const char *name)
{
	return unlinkat(box->new_dir, name, 0) < 0 || fsync(box->new_dir) < 0 ? -errno
									      : 0;
}

int pipe_box_finish(const struct pipe_box *box, const char *name, enum pipe_after after)
{
	int r;

	switch (after) {
	case PIPE_DELETE:
		r = remove_processed(box, name);
		break;
	case PIPE_KEEP_NEW:
		return exists(box->new_dir, name) ? mark(box, name) : 1;
	default:
		r = move_processed(box, name);
		break;
	}
	/* another program has moved or removed it */
	return r == -ENOENT ? 1 : r;
}

/*
 * Writes a note in failed/, beside the message, whose name there is `as`, and one in the
 * Maildir for notes.
 */
static int write_note(const struct pipe_box *box, const struct pipe_message *m,
	const struct pipe_outcome *outcome, const struct pipe_options *o, const char *as)
{
	char text[PIPE_ERRORS_MAX + NAME_SIZE + PATH_MAX + PIPE_REASON_MAX + 256];
	char name[NAME_SIZE];
	struct buf b = BUF(text), to = BUF(name);
	int r = 0;

	buf_put(&b, SPAN("Message: "));
	buf_put_str(&b, m->name);
	buf_put(&b, SPAN("\nDate: "));
	date_put(&b, time(NULL));
	buf_put(&b, SPAN("\nProgram: "));
	buf_put_str(&b, o->argv[0]);
	buf_put(&b, SPAN("\nResult: "));
	buf_put_str(&b, outcome->reason);
	buf_put(&b, SPAN("\nTries: "));
	buf_put_num(&b, m->tries);
	buf_put(&b, SPAN("\n\n"));
	buf_put(&b, (struct span){ outcome->errors, outcome->n_errors });
	buf_put_str(&to, as);
	buf_put(&to, SPAN(NOTE));
	if (o->notes)
		r = pipe_notes_put(o->notes, box, m, buf_span(&b));
	if (r < 0 || !buf_terminate(&to))
		return r;
	return write_file(box->failed_dir, name, buf_span(&b));
}

/* Chooses the message's name in failed/, which begins with `base`. */
static void choose_name(const struct pipe_box *box, const char *name, const char *base,
	char ret[static NAME_SIZE])
{
	for (size_t i = 0; i < NAME_TRIES; i++)
		if (!make_name(ret, base, i, "") || !exists(box->failed_dir, ret) ||
			is_same(box->failed_dir, ret, box->new_dir, name))
			return;
}

int pipe_box_fail(const struct pipe_box *box, const struct pipe_message *m,
	const struct pipe_outcome *outcome, const struct pipe_options *o)
{
	char as[NAME_SIZE], base[FAILED_NAME_MAX + 1];
	int r;

	if (!exists(box->new_dir, m->name))
		return 1;
	snprintf(base, sizeof(base), "%s", m->name);
	choose_name(box, m->name, base, as);
	r = write_note(box, m, outcome, o, as);
	if (r < 0)
		return r;
	if (o->after != PIPE_KEEP_NEW) {
		/* as its note; if the name is taken by now, another follows */
		r = move_to(box, m->name, box->failed_dir, as);
		return r == -ENOENT ? 1 : r;
	}
	/*
	 * the message stays in new/ for its readers; without hard links there is only the
	 * note
	 */
	if (linkat(box->new_dir, m->name, box->failed_dir, as, 0) == 0)
		fsync(box->failed_dir);
	return mark(box, m->name);
}

struct removal {
	const struct pipe_box *box;
	time_t limit;
	int error;
};

static void remove_one(void *ctx, const char *name)
{
	struct removal *removal = ctx;
	int r = job_remove_old(removal->box->cur_dir, name, removal->limit, true);

	if (r < 0)
		removal->error = r;
}

int pipe_box_remove_old(const struct pipe_box *box, time_t now, time_t age)
{
	struct removal removal = { box, now - age, 0 };
	int r = pipe_list(box->cur_dir, &removal, remove_one);

	return r < 0 ? r : removal.error;
}

/* Reports the faults of a part of the Maildir. */
static void check_part(int at, const char *name, const char *path, struct faults *faults)
{
	char text[PIPE_WHY_MAX];
	struct buf why = BUF(text);
	OWNED_FD int fd = open_part(at, name, false, &why);

	if (fd < 0)
		faults_put(faults, "%s: %s", path,
			buf_terminate(&why) ? text : strerror(-fd));
	else if (faccessat(fd, ".", W_OK | X_OK, AT_EACCESS) < 0)
		faults_put(faults, "%s/%s: %s", path, name, strerror(errno));
}

void pipe_box_check(const char *path, struct faults *faults)
{
	static const char *const parts[] = { "new", "cur", "tmp" };
	static const char *const own[] = { "failed", STATE };
	char text[PIPE_WHY_MAX];
	struct buf why = BUF(text);
	OWNED_FD int top =
		job_dir_open(&(struct job_dir){ AT_FDCWD, path, 0, "", PROGRAM }, &why);

	if (top < 0) {
		faults_put(faults, "%s: %s", path,
			buf_terminate(&why) ? text : strerror(-top));
		return;
	}
	if (faccessat(top, ".", W_OK | X_OK, AT_EACCESS) < 0)
		faults_put(faults, "%s: %s", path, strerror(errno));
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		check_part(top, parts[i], path, faults);
	for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++)
		if (exists(top, own[i]))
			check_part(top, own[i], path, faults);
}
