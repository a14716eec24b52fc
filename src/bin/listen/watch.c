/* Compares what stat() says of files with what it said before. It reads no file, and follows links as open() does. */
#include "bin/listen/watch.h"
#include <errno.h>
#include <string.h>

static int look_at(const char *path, struct stat *ret_st)
{
	return stat(path, ret_st) < 0 ? errno : 0;
}

void watch_add(struct watch *w, const char *path, bool is_place)
{
	struct watched_file *f = &w->files[w->n];

	if (!path || w->n == WATCH_MAX)
		return;
	w->n++;
	*f = (struct watched_file){ .path = path, .is_place = is_place };
	f->error = look_at(path, &f->st);
}

static bool has_changed(const struct watched_file *f)
{
	struct stat st;
	int error = look_at(f->path, &st);

	if (error || f->error)
		return error != f->error;
	if (st.st_dev != f->st.st_dev || st.st_ino != f->st.st_ino)
		return true;
	return !f->is_place &&
	       (st.st_size != f->st.st_size ||
		       memcmp(&st.st_mtim, &f->st.st_mtim, sizeof(st.st_mtim)) != 0 ||
		       memcmp(&st.st_ctim, &f->st.st_ctim, sizeof(st.st_ctim)) != 0);
}

bool watch_has_changed(const struct watch *w)
{
	for (size_t i = 0; i < w->n; i++)
		if (has_changed(&w->files[i]))
			return true;
	return false;
}

/* "Is there" and "is not there" are answers; all else means that this process cannot know. */
static bool is_answer(int error)
{
	return error == 0 || error == ENOENT || error == ENOTDIR;
}

size_t watch_drop_hidden(struct watch *w)
{
	size_t n = w->n;
	struct stat st;

	w->n = 0;
	for (size_t i = 0; i < n; i++)
		if (is_answer(w->files[i].error) &&
			is_answer(look_at(w->files[i].path, &st)))
			w->files[w->n++] = w->files[i];
	return n - w->n;
}
