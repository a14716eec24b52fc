/* SPDX-License-Identifier: ISC */
/* A test program is a table of functions; it prints TAP. A failed CHECK prints its place, and the test continues. */
#pragma once

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/span.h"

struct test {
	const char *name;
	void (*fn)(void);
};

#define TEST(fn)                                                                         \
	{                                                                                \
#fn, fn                                                                  \
	}
#define TEST_COUNT(array) (sizeof(array) / sizeof *(array))

static bool test_failed;

static inline bool test_check(bool ok, const char *file, int line, const char *what)
{
	if (!ok) {
		fprintf(stderr, "%s:%d: %s\n", file, line, what);
		test_failed = true;
	}
	return ok;
}

static inline bool test_span(
	struct span got, struct span want, const char *file, int line)
{
	bool ok = test_check(span_eq(got, want), file, line, "spans differ");

	if (!ok)
		fprintf(stderr, "\tgot:  '%.*s'\n\twant: '%.*s'\n", (int)got.n,
			got.n ? got.p : "", (int)want.n, want.n ? want.p : "");
	return ok;
}

#define CHECK(expr) test_check((expr), __FILE__, __LINE__, #expr)
#define CHECK_SPAN(span, text) test_span((span), span_of(text), __FILE__, __LINE__)
#define REQUIRE(expr) (CHECK(expr) ? (void)0 : exit(99))

static inline int test_main(const struct test *tests, size_t n)
{
	int failures = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("1..%zu\n", n);
	for (size_t i = 0; i < n; i++) {
		test_failed = false;
		tests[i].fn();
		printf("%sok %zu - %s\n", test_failed ? "not " : "", i + 1,
			tests[i].name);
		failures += test_failed;
	}
	return failures != 0;
}
