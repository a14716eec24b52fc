/* SPDX-License-Identifier: ISC */
/* A parsed dialogue as a value. parse.c has the notation. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include "base/cleanup.h"
#include "masks.h"
#include "parse.h"

#define FILE_OCTETS_MAX (1024 * 1024)

bool complain(struct complaint *c, size_t line, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(c->text, sizeof(c->text), format, args);
	va_end(args);
	c->line = line;
	return false;
}

static void close_file(FILE **f)
{
	if (*f)
		fclose(*f);
}

static const char *const usual_boxes[] = { "user@example.net", "alice@example.net",
	"bob@example.net", "jos\xc3\xa9@example.net", "postmaster@example.net",
	"postmaster@mail.example.net", "user@xn--bcher-kva.example", NULL };

bool dialogue_read(struct dialogue *d, const char *path, struct complaint *ret)
{
	struct parser p = { .d = d, .complaint = ret };
	CLEANUP(close_file) FILE *f = fopen(path, "re");
	char *octets = arena_take(&d->arena, FILE_OCTETS_MAX);
	size_t n;

	d->path = path;
	d->boxes = usual_boxes;
	if (!f)
		return complain(ret, 0, "%s", strerror(errno));
	n = fread(octets, 1, FILE_OCTETS_MAX, f);
	if (n == FILE_OCTETS_MAX)
		return complain(ret, 0, "too long");
	*ret = (struct complaint){ 0 };
	if (!parse_all(&p, (struct span){ octets, n }))
		return false;
	masks_fill(d);
	return true;
}

void dialogue_done(struct dialogue *d)
{
	arena_done(&d->arena);
}

const char *dialogue_setting(
	const struct dialogue *d, const char *key, const char *otherwise)
{
	for (size_t i = d->n_settings; i > 0; i--)
		if (strcmp(d->settings[i - 1].key, key) == 0)
			return d->settings[i - 1].value;
	return otherwise;
}

bool dialogue_has_way(const struct dialogue *d, const char *way)
{
	struct span word = span_of(way);

	for (size_t i = 0; i + word.n <= d->ways.n; i++)
		if (memcmp(d->ways.p + i, word.p, word.n) == 0)
			return true;
	return d->ways.n == 0;
}
