/* SPDX-License-Identifier: ISC */
/* A table of text in memory: a hash table of its lines. Duplicate keys are faults. */
#include "edge/table/table.h"
#include <cdb.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Reports "line 7: ", the word and its fault. */
static void put_fault(struct faults *f, size_t line, struct span word, const char *what)
{
	char octets[TABLE_FAULT_MAX];
	struct buf b = BUF(octets);

	entry_show(&b, word);
	buf_put_str(&b, what);
	buf_terminate(&b);
	faults_put(f, "line %zu: %s", line, octets);
}

static size_t count_lines(struct span text)
{
	size_t n = 1;

	for (; text.n; n++)
		span_take_line(&text);
	return n;
}

/* Allocates memory for all possible pairs, and for at least twice as many slots. */
static int make_room(struct table_text *t, size_t n_lines)
{
	size_t n_slots = 2;

	while (n_slots < 2 * n_lines)
		n_slots *= 2;
	t->mask = n_slots - 1;
	t->pairs = malloc(n_lines * sizeof(*t->pairs));
	t->slots = calloc(n_slots, sizeof(*t->slots));
	return t->pairs && t->slots ? 0 : -ENOMEM;
}

/* Returns the slot that has the key, or the empty one for it. */
static uint32_t *find_slot(const struct table_text *t, struct span key)
{
	size_t i = cdb_hash(key.p, (unsigned)key.n) & t->mask;

	while (t->slots[i] && !span_eq(t->pairs[t->slots[i] - 1].key, key))
		i = (i + 1) & t->mask;
	return &t->slots[i];
}

static void keep(
	struct table_text *t, const struct table_pair *pair, struct faults *faults)
{
	uint32_t *slot = find_slot(t, pair->key);
	char what[64];

	if (*slot) {
		snprintf(what, sizeof(what), ": is already on line %zu",
			t->pairs[*slot - 1].line);
		put_fault(faults, pair->line, pair->key, what);
		return;
	}
	t->pairs[t->n_pairs++] = *pair;
	*slot = (uint32_t)t->n_pairs;
}

static void take_line(
	struct table_text *t, struct span line, size_t number, struct faults *faults)
{
	struct table_pair pair = { .line = number };
	const char *what;

	switch (entry_parse(line, &pair.key, &pair.value, &what)) {
	case ENTRY_FINE:
		keep(t, &pair, faults);
		break;
	case ENTRY_WRONG:
		put_fault(faults, number, SPAN(""), what);
		break;
	case ENTRY_BLANK:
		break;
	}
}

int table_text_take(struct table_text *t, char *text, size_t n, struct faults *faults)
{
	struct span rest = span_after_mark((struct span){ text, n });

	*t = (struct table_text){ .text = text };
	if (make_room(t, count_lines(rest)) < 0)
		return -ENOMEM;
	for (size_t number = 1; rest.n; number++)
		take_line(t, span_take_line(&rest), number, faults);
	return 0;
}

void table_text_done(struct table_text *t)
{
	free(t->slots);
	free(t->pairs);
	free(t->text);
	*t = (struct table_text){ 0 };
}

const struct table_pair *table_text_find(const struct table_text *t, struct span key)
{
	uint32_t number = key.n > ENTRY_KEY_MAX ? 0 : *find_slot(t, key);

	return number ? &t->pairs[number - 1] : NULL;
}
