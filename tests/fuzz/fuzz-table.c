/* SPDX-License-Identifier: ISC */
/* Tables of text, and lines of recipients: an accepted key is found, and no path is outside of mail-root. */
#include <errno.h>
#include "fuzz/fuzz.h"
#include "edge/store/store.h"
#include "edge/store/users.h"
#include "edge/table/table.h"
#include "proto/destination.h"

/* No recipients here are users of the system. */
int users_find(struct users *u, struct span name, struct user *ret)
{
	(void)u;
	(void)name;
	(void)ret;
	return -ENOENT;
}

const char *users_error(int error)
{
	return strerror(-error);
}

static void count_fault(void *ctx, const char *what)
{
	size_t *n = ctx;

	MUST(strncmp(what, "line ", 5) == 0 && strlen(what) < TABLE_FAULT_MAX);
	(*n)++;
}

/* Some part of it would leave, or begin elsewhere. */
static bool leads_out(const char *path)
{
	struct span rest = span_of(path);

	if (rest.n && *rest.p == '/')
		return true;
	while (rest.n) {
		size_t n = strcspn(rest.p, "/");
		if (span_eq((struct span){ rest.p, n }, SPAN("..")))
			return true;
		rest = span_from(rest, n + (n < rest.n));
	}
	return false;
}

/* The path as a template, with the key as the recipient. */
static void check_path(struct span path, struct span key)
{
	char template[DESTINATION_PATH_MAX + 1];
	struct buf b = BUF(template);
	struct recipients rs = { .template = template, .delimiter = '+' };
	struct recipients_search search;
	struct recipients_place place;
	struct recipient r = { .slot = 0 };

	buf_put(&b, path);
	MUST(buf_terminate(&b));
	rs.catch_all = path.n ? template : NULL;
	destination_key_cut(key, &r.local, &r.domain);
	recipients_begin(&search, &rs, &r, false);
	for (size_t i = 0; i < 4; i++)
		if (recipients_next(&search, &place) == RECIPIENTS_FOUND)
			MUST(!leads_out(place.path));
	MUST(recipients_next(&search, &place) == RECIPIENTS_UNKNOWN);
}

static void check_pair(const struct table_pair *pair, struct span text)
{
	const char *fault = destination_key_fault(pair->key);
	struct destination d;
	struct destination_fault why;
	struct span local, domain;

	MUST(pair->key.n && pair->key.n <= ENTRY_KEY_MAX);
	MUST(pair->value.n <= ENTRY_VALUE_MAX);
	fuzz_is_inside(pair->key, text);
	fuzz_is_inside(pair->value, text);
	MUST(!fault || fault[0]);
	destination_key_cut(pair->key, &local, &domain);
	fuzz_is_inside(local, pair->key);
	fuzz_is_inside(domain, pair->key);
	if (destination_parse(pair->value, &d, &why)) {
		fuzz_is_inside(d.paths, pair->value);
		MUST(!(d.deny && (d.auth || d.unfiltered || d.paths.n)));
		do {
			struct span path = destination_take_path(&d.paths);
			fuzz_is_inside(path, pair->value);
			check_path(path, pair->key);
		} while (d.paths.n);
	} else {
		fuzz_is_inside(why.word, pair->value);
		MUST(why.what && why.what[0]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = malloc(size + !size);
	struct table_text t;
	size_t n_told = 0;
	struct faults faults = { .report = count_fault, .ctx = &n_told };

	MUST(copy);
	if (size)
		memcpy(copy, data, size);
	MUST(table_text_take(&t, copy, size, &faults) == 0 && faults.n == n_told);
	for (size_t i = 0; i < t.n_pairs; i++) {
		MUST(table_text_find(&t, t.pairs[i].key) == &t.pairs[i]);
		check_pair(&t.pairs[i], (struct span){ t.text, size });
	}
	MUST(!table_text_find(&t, SPAN("")));
	table_text_done(&t);
	return 0;
}
