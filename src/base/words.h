/* SPDX-License-Identifier: ISC */
/* The words of a table, whose rows begin with them: one search for all tables. */
#pragma once

#include "base/span.h"

struct words {
	const void *rows; /* each begins with a const char * */
	size_t size; /* octets of a row */
	size_t n;
};

#define WORDS_OF(table)                                                                  \
	{                                                                                \
		(table), sizeof(*(table)), sizeof(table) / sizeof(*(table))              \
	}

/* At file scope: WORDS("off", "on"). */
#define WORDS(...) WORDS_OF(((const char *const[]){ __VA_ARGS__ }))

static inline const char *words_get(const struct words *words, size_t row)
{
	const char *word;

	memcpy(&word, (const char *)words->rows + row * words->size, sizeof(word));
	return word;
}

/* The row of the word; words->n: there is none. */
static inline size_t words_find(const struct words *words, struct span word)
{
	size_t row = 0;

	while (row < words->n && !span_is(word, words_get(words, row)))
		row++;
	return row;
}
