/* Promises lists that never grow above their room, and say so; refuses to know which side
 * they are of. */
#include "proto/tls-terms.h"
#include "proto/tls-suites.h"

bool tls_list_has(const struct tls_list *list, uint16_t code)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->codes[i] == code)
			return true;
	return false;
}

void tls_list_add(struct tls_list *list, uint16_t code)
{
	if (tls_list_has(list, code))
		return;
	if (list->n < TLS_LIST_MAX)
		list->codes[list->n++] = code;
	else
		list->cut = true;
}

bool tls_list_meet(const struct tls_list *a, const struct tls_list *b)
{
	for (size_t i = 0; i < a->n; i++)
		if (tls_list_has(b, a->codes[i]))
			return true;
	return false;
}

uint16_t tls_list_least(const struct tls_list *list)
{
	uint16_t least = list->n ? list->codes[0] : 0;

	for (size_t i = 1; i < list->n; i++)
		if (list->codes[i] < least)
			least = list->codes[i];
	return least;
}

uint16_t tls_list_greatest(const struct tls_list *list)
{
	uint16_t greatest = 0;

	for (size_t i = 0; i < list->n; i++)
		if (list->codes[i] > greatest)
			greatest = list->codes[i];
	return greatest;
}

void tls_list_put(struct buf *to, const struct tls_list *list, size_t max,
	const char *between, void (*put)(struct buf *to, uint16_t code))
{
	for (size_t i = 0; i < list->n && i < max; i++) {
		if (i > 0)
			buf_put_str(to, between);
		put(to, list->codes[i]);
	}
	if (list->n > max) {
		buf_put(to, SPAN(" and "));
		buf_put_num(to, list->n - max);
		buf_put(to, SPAN(" more"));
	}
}

static void keep(struct tls_list *list, unsigned keys, unsigned (*keys_of)(uint16_t code))
{
	size_t n = 0;

	for (size_t i = 0; i < list->n; i++)
		if (keys_of(list->codes[i]) & keys)
			list->codes[n++] = list->codes[i];
	list->n = n;
}

void tls_terms_keep(struct tls_terms *terms, unsigned keys)
{
	keep(&terms->suites, keys, tls_suite_keys);
	keep(&terms->signatures, keys, tls_signature_keys);
}

static void put_part(struct buf *to, size_t start, const char *name)
{
	if (to->n > start)
		buf_put(to, SPAN("; "));
	buf_put_str(to, name);
	buf_put_char(to, ' ');
}

void tls_terms_put(struct buf *to, const struct tls_terms *terms)
{
	const struct {
		const char *name;
		const struct tls_list *list;
		void (*put)(struct buf *to, uint16_t code);
	} parts[] = {
		{ "versions", &terms->versions, tls_put_version },
		{ "suites", &terms->suites, tls_put_suite },
		{ "groups", &terms->groups, tls_put_group },
		{ "signatures", &terms->signatures, tls_put_signature },
	};
	size_t start = to->n;

	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		if (parts[i].list->n == 0)
			continue;
		put_part(to, start, parts[i].name);
		tls_list_put(to, parts[i].list, TLS_WORDS_MAX, " ", parts[i].put);
	}
	if (terms->alpn[0]) {
		put_part(to, start, "alpn");
		buf_put_str(to, terms->alpn);
	}
}
