/* SPDX-License-Identifier: ISC */
/*
 * Internationalized names without the tables of Unicode: a few labels, and the letters of Latin-1. test-idn.c tests
 * the tables themselves.
 */
#pragma once

#include "smtp/names.h"

struct few_names {
	struct names names;
	bool unavailable;
	size_t n_asked;
};

static inline bool few_put_label(struct buf *to, struct span label)
{
	static const char *const labels[][2] = {
		{ "bücher", "xn--bcher-kva" },
		{ "Bücher", "xn--bcher-kva" },
		{ "BÜCHER", "xn--bcher-kva" },
		{ "bu\xcc\x88"
		  "cher",
			"xn--bcher-kva" },
		{ "straße", "xn--strae-oqa" },
	};
	bool is_ascii = true;

	for (size_t i = 0; i < sizeof(labels) / sizeof(*labels); i++)
		if (span_eq(span_of(labels[i][0]), label)) {
			buf_put_str(to, labels[i][1]);
			return true;
		}
	for (size_t i = 0; i < label.n; i++) {
		is_ascii &= (unsigned char)label.p[i] < 0x80;
		buf_put_char(to, ascii_lower(label.p[i]));
	}
	return is_ascii;
}

static inline enum names_result few_domain(
	struct names *names, struct span domain, struct buf *to)
{
	struct few_names *few = (struct few_names *)names;
	bool known = true;

	few->n_asked++;
	while (known && domain.n) {
		const char *dot = memchr(domain.p, '.', domain.n);
		size_t n = dot ? (size_t)(dot - domain.p) : domain.n;
		known = few_put_label(to, (struct span){ domain.p, n });
		if (dot)
			buf_put_char(to, '.');
		domain = span_from(domain, n + (dot != NULL));
	}
	if (few->unavailable)
		return NAMES_UNAVAILABLE;
	return known ? NAMES_FINE : NAMES_INVALID;
}

/* Converts "e" followed by an acute accent to one letter, and capitals of Latin-1 to small letters. */
static inline enum names_result few_local(
	struct names *names, struct span local, struct buf *to)
{
	struct few_names *few = (struct few_names *)names;

	few->n_asked++;
	for (size_t i = 0; i < local.n; i++) {
		char c = ascii_lower(local.p[i]);
		bool is_acute = i + 2 < local.n && c == 'e' &&
				memcmp(local.p + i + 1, "\xcc\x81", 2) == 0;
		bool is_capital = i && local.p[i - 1] == '\xc3' &&
				  (unsigned char)c >= 0x80 && (unsigned char)c <= 0x9e;
		if (is_acute)
			buf_put(to, SPAN("\xc3\xa9"));
		else
			buf_put_char(to, (char)(is_capital ? c + 0x20 : c));
		i += is_acute ? 2 : 0;
	}
	return few->unavailable ? NAMES_UNAVAILABLE : NAMES_FINE;
}

static inline void few_names_init(struct few_names *few)
{
	*few = (struct few_names){
		.names = { .domain = few_domain, .local = few_local },
	};
}
