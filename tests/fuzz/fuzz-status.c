/* SPDX-License-Identifier: ISC */
/*
 * A line of a log: its record is printable, within the limits and in the order of the table, and is parsed to the
 * same values when it is written again.
 */
#include "fuzz/fuzz.h"
#include "smtp/record.h"
#include "tools/status/source.h"

static void check_values(const struct status_record *r)
{
	MUST(r->record.n <= RECORD_KEYS && r->record.event < RECORD_EVENTS);
	MUST(r->record.topic < TOPICS);
	for (size_t i = 0; i < r->record.n; i++) {
		const struct record_value *v = &r->record.values[i];

		MUST(v->key < RECORD_KEYS && v->value.n > 0);
		MUST(i == 0 || r->record.values[i - 1].key < v->key);
		fuzz_is_inside(v->value, (struct span){ r->text, sizeof(r->text) });
		for (size_t k = 0; k < v->value.n; k++)
			MUST(v->value.p[k] >= ' ' && v->value.p[k] <= '~' &&
				v->value.p[k] != '"');
	}
}

static void put(const struct status_record *r, struct buf *to)
{
	record_put_json(to, &r->record, r->pid);
	MUST(!to->overflow);
}

/* In memory of exactly its size. */
static bool read_octets(struct span line, struct status_record *ret)
{
	char *copy = malloc(line.n + !line.n);
	bool is_record;

	MUST(copy);
	memcpy(copy, line.p, line.n);
	is_record = status_json_read((struct span){ copy, line.n }, ret);
	free(copy);
	return is_record;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct status_record first, second;
	static char one[STATUS_LINE_MAX], two[STATUS_LINE_MAX];
	struct buf a = BUF(one), b = BUF(two);

	if (!read_octets((struct span){ (const char *)data, size }, &first))
		return 0;
	check_values(&first);
	put(&first, &a);
	/* a path may be cut to "...", which is then parsed as a cut list */
	MUST(read_octets(buf_span(&a), &second));
	check_values(&second);
	put(&second, &b);
	MUST(a.n == b.n && memcmp(one, two, a.n) == 0);
	return 0;
}
