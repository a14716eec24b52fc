/* SPDX-License-Identifier: ISC */
/* Reads all files of all Maildirs below a root. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "process.h"

#define BOX_MODE 0700
#define READ_MAX (64 * 1024)

static void close_dir(DIR **d)
{
	if (*d)
		closedir(*d);
}

/* mkdir -p for "root/example.net/user/new" */
static bool make_path(struct way *w, char *path)
{
	for (char *p = path + 1;; p++) {
		char c = *p;
		if (c && c != '/')
			continue;
		*p = '\0';
		if (mkdir(path, BOX_MODE) < 0 && errno != EEXIST)
			return way_fail(w, "%s: %s", path, strerror(errno));
		*p = c;
		if (!c)
			return true;
	}
}

bool maildirs_make(struct way *w, const char *root, const char *const *boxes)
{
	static const char *const parts[] = { "new", "cur", "tmp" };

	for (size_t i = 0; boxes[i]; i++) {
		const char *at = strrchr(boxes[i], '@');
		for (size_t j = 0; j < sizeof(parts) / sizeof(*parts); j++)
			if (!make_path(w,
				    arena_print(&w->arena, "%s/%s/%.*s/%s", root, at + 1,
					    (int)(at - boxes[i]), boxes[i], parts[j])))
				return false;
	}
	return true;
}

static bool read_message(
	struct way *w, const char *mailbox, const char *directory, const char *name)
{
	const char *path = arena_print(&w->arena, "%s/%s", directory, name);
	OWNED_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	char octets[READ_MAX];
	struct text content = { 0 };
	ssize_t got;

	if (fd < 0)
		return way_fail(w, "%s: %s", path, strerror(errno));
	while ((got = read(fd, octets, sizeof(octets))) > 0)
		text_put(&w->arena, &content, (struct span){ octets, (size_t)got });
	way_keep_message(w, mailbox, name, text_span(&content));
	return true;
}

/* Calls `visit` for each name but those with a dot in front. */
static bool each(struct way *w, const char *directory,
	bool (*visit)(struct way *w, const char *mailbox, const char *directory,
		const char *name),
	const char *mailbox)
{
	CLEANUP(close_dir) DIR *d = opendir(directory);
	struct dirent *entry;

	if (!d)
		return way_fail(w, "%s: %s", directory, strerror(errno));
	while ((entry = readdir(d)))
		if (entry->d_name[0] != '.' &&
			!visit(w, mailbox, directory, entry->d_name))
			return false;
	return true;
}

static bool refuse_left(
	struct way *w, const char *mailbox, const char *directory, const char *name)
{
	(void)mailbox;
	return way_fail(w, "left behind: %s/%s", directory, name);
}

/* `mailbox` is the domain here; `name` the local part's directory. */
static bool read_box(
	struct way *w, const char *mailbox, const char *directory, const char *name)
{
	const char *box = arena_print(&w->arena, "%s@%s", name, mailbox);
	const char *path = arena_print(&w->arena, "%s/%s", directory, name);

	return each(w, arena_print(&w->arena, "%s/new", path), read_message, box) &&
	       each(w, arena_print(&w->arena, "%s/tmp", path), refuse_left, box) &&
	       each(w, arena_print(&w->arena, "%s/cur", path), refuse_left, box);
}

static bool read_domain(
	struct way *w, const char *mailbox, const char *directory, const char *name)
{
	(void)mailbox;
	return each(w, arena_print(&w->arena, "%s/%s", directory, name), read_box, name);
}

bool maildirs_read(struct way *w, const char *root)
{
	return each(w, root, read_domain, "");
}

bool maildirs_read_outbox(struct way *w, const char *outbox)
{
	return each(w, arena_print(&w->arena, "%s/new", outbox), read_message, NULL) &&
	       each(w, arena_print(&w->arena, "%s/tmp", outbox), refuse_left, NULL) &&
	       each(w, arena_print(&w->arena, "%s/cur", outbox), refuse_left, NULL);
}
