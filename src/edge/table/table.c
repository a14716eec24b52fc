/* SPDX-License-Identifier: ISC */
/*
 * Opens a table, a text or a cdb, and searches both in the same way. An unusable or
 * truncated file is a fault when it is opened. A file that replaces it later is not read.
 */
#include "edge/table/table.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "edge/file.h"
#include "edge/table/cdb.h"

/* a sample takes some 50 us at most */
#define SAMPLE_TEXT 1000
#define SAMPLE_CDB 64

struct table {
	int fd; /* descriptor of a cdb; -1: the table is a text */
	struct table_cdb cdb;
	struct table_text text;
};

/* Opens the file if it may be used. Returns the descriptor, or -errno, after a fault. */
static int open_file(const char *path, bool is_secret, struct faults *f)
{
	char content[CREDENTIAL_FAULT_MAX], text[TABLE_FAULT_MAX];
	struct buf b = BUF(text);
	/* O_NONBLOCK: opening a FIFO must not wait for a writer */
	OWNED_FD int fd = file_open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;
	ssize_t n = fd < 0 ? 0 : pread(fd, content, sizeof(content), 0);
	struct span start = { content, n < 0 ? 0 : (size_t)n };

	if (credential_is_unset(path) || credential_is_placeholder(start)) {
		credential_put_fault(&b, path, start);
		faults_put(f, "%s", buf_terminate(&b) ? text : "is a placeholder");
		return -ENOENT;
	}
	if (fd < 0 || fstat(fd, &st) < 0) {
		int error = fd < 0 ? -fd : errno;
		file_put_fault(&b, path, error, is_secret ? FILE_SECRET : FILE_READ);
		faults_put(f, "%s", b.overflow ? strerror(error) : text);
		return -error;
	}
	if (!S_ISREG(st.st_mode)) {
		faults_put(f, "is not a regular file; name a file of text, or a .cdb");
		return -EINVAL;
	}
	if (is_secret && (st.st_mode & S_IRWXO)) {
		buf_put(&b,
			SPAN("other users may read it or write to it, and it is secret: "
			     "chmod o= "));
		buf_put_str(&b, path);
		faults_put(f, "%s",
			buf_terminate(&b) ? text : "is open to others, and it is secret");
		return -EPERM;
	}
	return steal_fd(&fd);
}

/* Reads a text. 0, or -errno after a fault. With 0, lines may still have faults. */
static int read_text(struct table *t, int fd, struct faults *f)
{
	OWNED char *text = NULL;
	ssize_t n = file_read_open(fd, TABLE_TEXT_MAX, &text);
	int r = (int)n;

	if (n >= 0)
		r = table_text_take(&t->text, steal(&text), (size_t)n, f);
	if (r == -EFBIG)
		faults_put(f, "has more than 1 MiB: make a cdb of it, by postern-cdb(8)");
	else if (r < 0)
		faults_put(f, "%s", strerror(-r));
	return r;
}

static int read_cdb(struct table *t, int *fd, struct faults *f)
{
	int r = table_cdb_open(&t->cdb, *fd);

	if (r < 0)
		faults_put(f, "%s", table_cdb_fault(r));
	else
		t->fd = steal_fd(fd);
	return r;
}

static int read_table(struct table *t, const char *path, bool is_secret, struct faults *f)
{
	OWNED_FD int fd = open_file(path, is_secret, f);

	if (fd < 0)
		return fd;
	return span_ends(span_of(path), SPAN(".cdb")) ? read_cdb(t, &fd, f)
						      : read_text(t, fd, f);
}

/* Keeps the first fault. */
static void keep_fault(void *ctx, const char *what)
{
	char *fault = ctx;

	if (!*fault)
		snprintf(fault, TABLE_FAULT_MAX, "%s", what);
}

static struct table *new_table(struct faults *f)
{
	struct table *t = calloc(1, sizeof(*t));

	if (t)
		t->fd = -1;
	else
		faults_put(f, "%s", strerror(ENOMEM));
	return t;
}

int table_open(const char *path, bool is_secret, struct table **ret,
	char ret_fault[TABLE_FAULT_MAX])
{
	struct faults f = { .report = keep_fault, .ctx = ret_fault };
	struct table *t = new_table(&f);
	int r = -ENOMEM;

	ret_fault[0] = '\0';
	if (t)
		r = read_table(t, path, is_secret, &f);
	if (r == 0 && f.n == 0) {
		*ret = t;
		return 0;
	}
	table_close(t);
	return r < 0 ? r : -EINVAL;
}

int table_file(const struct table *t)
{
	return t ? t->fd : -1;
}

void table_close_file(const struct table *t)
{
	if (t && t->fd >= 0)
		close(t->fd);
}

void table_close(struct table *t)
{
	if (!t)
		return;
	table_close_file(t);
	table_text_done(&t->text);
	free(t);
}

static enum table_found find_text(
	const struct table *t, struct span key, struct buf *ret_value)
{
	const struct table_pair *pair = table_text_find(&t->text, key);

	if (!pair)
		return TABLE_ABSENT;
	buf_put(ret_value, pair->value);
	return ret_value->overflow ? TABLE_FAILED : TABLE_FOUND;
}

enum table_found table_find(const struct table *t, struct span key, struct buf *ret_value)
{
	return t->fd < 0 ? find_text(t, key, ret_value)
			 : table_cdb_find(&t->cdb, key, ret_value);
}

bool table_is_empty(const struct table *t)
{
	return t->fd < 0 ? t->text.n_pairs == 0 : table_cdb_is_empty(&t->cdb);
}

bool table_may_have(const struct table *t, struct span word)
{
	const struct table_text *text = &t->text;
	const struct table_pair *last;
	const char *end;

	if (t->fd >= 0)
		return true;
	if (text->n_pairs == 0)
		return false;
	last = &text->pairs[text->n_pairs - 1];
	end = last->value.p ? last->value.p + last->value.n : last->key.p + last->key.n;
	return memmem(text->text, (size_t)(end - text->text), word.p, word.n);
}

void table_visit(
	const struct table *t, const struct table_visitor *visitor, struct faults *faults)
{
	if (t->fd >= 0)
		table_cdb_visit(&t->cdb, visitor, faults);
	for (size_t i = 0; visitor->pair && i < t->text.n_pairs; i++) {
		const struct table_pair *pair = &t->text.pairs[i];
		visitor->pair(visitor->ctx, pair->line, pair->key, pair->value);
	}
}

void table_check(const char *path, bool is_secret, const struct table_visitor *visitor,
	struct faults *faults)
{
	struct table *t = new_table(faults);

	if (t && read_table(t, path, is_secret, faults) == 0)
		table_visit(t, visitor, faults);
	table_close(t);
}

void table_sample(
	const struct table *t, void (*see)(void *ctx, struct span value), void *ctx)
{
	if (t->fd >= 0)
		table_cdb_sample(&t->cdb, SAMPLE_CDB, see, ctx);
	for (size_t i = 0; i < t->text.n_pairs && i < SAMPLE_TEXT; i++)
		see(ctx, t->text.pairs[i].value);
}
