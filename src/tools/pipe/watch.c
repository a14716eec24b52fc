/* SPDX-License-Identifier: ISC */
/*
 * Detects by inotify(7) messages that arrive in new/, and that the Maildir is removed,
 * moved away or unmounted. It reports which changes cannot be detected, so that the
 * caller reads new/ at intervals.
 */
#include "tools/pipe/pipe.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "base/cleanup.h"

#define EVENTS_SIZE 16384 /* octets of one read(2) */
/*
 * Events of a directory itself. The removal of a directory that a process has open is
 * only an event of its parent directory.
 */
#define SELF (IN_DELETE_SELF | IN_MOVE_SELF)
#define BELOW (IN_DELETE | IN_MOVED_FROM)

/* File systems that other hosts may write to, by the magic numbers of statfs(2). */
static bool is_shared(int dir)
{
	static const unsigned long kinds[] = {
		0x6969, /* NFS */
		0x517b, 0xff534d42, 0xfe534d42, /* SMB */
		0x01021997, /* 9P */
		0x65735546, /* FUSE */
		0x00c36400, /* Ceph */
		0x5346414f, /* AFS */
		0x01161970, /* GFS2 */
		0x7461636f, /* OCFS2 */
		0x0bd00bd0, /* Lustre */
	};
	struct statfs fs;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (fstatfs(dir, &fs) == 0 &&
			((unsigned long)fs.f_type & 0xffffffff) == kinds[i])
			return true;
	return false;
}

/* The replacement of a link is an event of its directory. */
static bool is_link(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
}

/* Watches the Maildir and the directories above it, except those that cannot be read. */
static void watch_above(int fd, const char *maildir)
{
	OWNED char *path = strdup(maildir);
	uint32_t wanted = SELF | BELOW;

	while (path && *path) {
		char *end = strrchr(path, '/');
		/* "/box/" and "/box" are one directory, with one watch */
		inotify_add_watch(fd, path, wanted | IN_ONLYDIR | IN_MASK_ADD);
		wanted = SELF | (is_link(path) ? BELOW : 0);
		*(end ? end : path) = '\0';
		if (end == path && wanted & BELOW)
			inotify_add_watch(fd, "/", wanted | IN_ONLYDIR | IN_MASK_ADD);
	}
}

int pipe_watch_open(struct pipe_watch *w, const struct pipe_box *box, bool removals)
{
	char path[PATH_MAX];
	struct buf b = BUF(path);
	uint32_t wanted = SELF | IN_CREATE | IN_MOVED_TO | IN_ONLYDIR;
	int r;

	*w = (struct pipe_watch){ .fd = -1, .is_shared = is_shared(box->new_dir) };
	buf_put_str(&b, box->path);
	buf_put(&b, SPAN("/new"));
	if (!buf_terminate(&b))
		return -ENAMETOOLONG;
	w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (w->fd < 0)
		return -errno;
	if (removals)
		wanted |= BELOW;
	w->new_dir = inotify_add_watch(w->fd, path, wanted);
	if (w->new_dir >= 0) {
		watch_above(w->fd, box->path);
		return 0;
	}
	r = -errno;
	pipe_watch_close(w);
	return r;
}

void pipe_watch_close(struct pipe_watch *w)
{
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
}

static unsigned read_event(const struct pipe_watch *w, const struct inotify_event *event,
	void *ctx, void (*see)(void *ctx, const char *name, bool is_there))
{
	if (event->mask & IN_Q_OVERFLOW)
		return PIPE_WATCH_LIST | PIPE_WATCH_GONE;
	if (event->wd != w->new_dir || event->len == 0)
		return PIPE_WATCH_GONE;
	if (event->name[0] != '.')
		see(ctx, event->name, event->mask & (IN_CREATE | IN_MOVED_TO));
	return 0;
}

unsigned pipe_watch_read(const struct pipe_watch *w, void *ctx,
	void (*see)(void *ctx, const char *name, bool is_there))
{
	_Alignas(struct inotify_event) char events[EVENTS_SIZE];
	unsigned bits = 0;
	ssize_t n;

	while (w->fd >= 0 && (n = read(w->fd, events, sizeof(events))) > 0)
		for (char *p = events; p < events + n;) {
			const struct inotify_event *event = (void *)p;
			bits |= read_event(w, event, ctx, see);
			p += sizeof(*event) + event->len;
		}
	return bits;
}
