/* SPDX-License-Identifier: ISC */
/* proto/line: RFC 5321 2.3.8 and 4.5.3.1.4, with the stream in any pieces. */
#include "proto/line.h"
#include "unit/test.h"

#define MAX 12
#define LINES_MAX 16

struct shown {
	char text[LINE_TAIL + 1];
	bool bare, crlf, nul, too_long;
};

struct lines {
	size_t n;
	struct shown line[LINES_MAX];
	size_t n_left;
};

static void keep(struct lines *to, const struct line *line)
{
	struct shown *s = &to->line[to->n++];

	REQUIRE(to->n <= LINES_MAX);
	REQUIRE(line->text.n <= LINE_TAIL);
	memset(s, 0, sizeof(*s));
	if (line->text.n)
		memcpy(s->text, line->text.p, line->text.n);
	s->bare = line->bare;
	s->crlf = line->crlf;
	s->nul = line->nul;
	s->too_long = line->too_long;
}

/* Shows the input in pieces that end at `first` and then every `step` octets. */
static void read_all(struct span input, size_t first, size_t step, struct lines *ret)
{
	struct line_reader reader = { 0 };
	struct line line;
	size_t left = 0, at = 0, to = first;
	char window[64];

	memset(ret, 0, sizeof(*ret));
	REQUIRE(input.n <= sizeof(window));
	while (at < input.n) {
		struct bytes in;
		to = to > input.n ? input.n : to;
		memcpy(window + left, input.p + at, to - at);
		in = (struct bytes){ window, left + to - at };
		while (line_take(&reader, &in, MAX, &line))
			keep(ret, &line);
		CHECK(in.n < MAX);
		memmove(window, in.p, in.n);
		left = in.n;
		at = to;
		to += step;
	}
	ret->n_left = left;
}

struct one {
	struct span input;
	struct shown line;
};

static void test_judges_a_line(void)
{
	static const struct one table[] = {
		{ .input = { "NOOP\r\n", 6 }, .line = { .text = "NOOP", .crlf = true } },
		{ .input = { "\r\n", 2 }, .line = { .text = "", .crlf = true } },
		{ .input = { "\n", 1 }, .line = { .text = "", .bare = true } },
		{ .input = { "NOOP\n", 5 }, .line = { .text = "NOOP", .bare = true } },
		{ .input = { "NO\rOP\r\n", 7 },
			.line = { .text = "NO\rOP", .bare = true, .crlf = true } },
		{ .input = { "NOOP\r\r\n", 7 },
			.line = { .text = "NOOP\r", .bare = true, .crlf = true } },
		{ .input = { "\r\r\n", 3 },
			.line = { .text = "\r", .bare = true, .crlf = true } },
		{ .input = { "NO\0P\r\n", 6 },
			.line = { .text = "NO\0P", .crlf = true, .nul = true } },
		{ .input = { "\0\n", 2 },
			.line = { .text = "\0", .bare = true, .nul = true } },
		/* exactly the limit, its end included */
		{ .input = { "1234567890\r\n", 12 },
			.line = { .text = "1234567890", .crlf = true } },
		{ .input = { "12345678901\n", 12 },
			.line = { .text = "12345678901", .bare = true } },
		/* of a longer one the end is shown */
		{ .input = { "12345678901\r\n", 13 },
			.line = { .text = "12345678901", .too_long = true } },
		{ .input = { "123456789012\n", 13 },
			.line = { .text = "123456789012", .too_long = true } },
		{ .input = { "1234567890123456789012345678901234567890\r\n", 42 },
			.line = { .text = "78901234567890", .too_long = true } },
		{ .input = { "12345678901234567890\0"
			     "2345678901234567890\r\n",
			  42 },
			.line = { .text = "78901234567890",
				.too_long = true,
				.nul = true } },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		struct lines got;
		read_all(table[i].input, table[i].input.n, 1, &got);
		CHECK(got.n == 1 && got.n_left == 0);
		CHECK(memcmp(&got.line[0], &table[i].line, sizeof(got.line[0])) == 0);
	}
}

static void test_lines_are_the_same_however_split(void)
{
	static const struct span inputs[] = {
		{ "EHLO a\r\nNOOP\r\n\r\nQUIT\r\nrest", 26 },
		{ "a\nb\r\nc\rd\r\n\r\r\n\n", 15 },
		{ "12345678901234567890\r\nNOOP\r\n12345678901\r\n1234567890\r\nx", 54 },
		{ "a\0b\r\n1234567890123\0"
		  "45\nc\n12345678901\r",
			37 },
	};

	for (size_t i = 0; i < TEST_COUNT(inputs); i++) {
		struct lines whole, split;
		read_all(inputs[i], inputs[i].n, 1, &whole);
		CHECK(whole.n > 2);
		for (size_t first = 1; first <= inputs[i].n; first++)
			for (size_t step = 1; step <= inputs[i].n; step++) {
				read_all(inputs[i], first, step, &split);
				CHECK(split.n == whole.n);
				CHECK(memcmp(split.line, whole.line,
					      sizeof(split.line)) == 0);
			}
	}
}

static void test_an_unfinished_line_waits(void)
{
	struct lines got;

	read_all(SPAN("NOOP\r"), 5, 1, &got);
	CHECK(got.n == 0 && got.n_left == 5);
}

static void test_a_line_of_any_length_needs_no_memory(void)
{
	struct line_reader reader = { 0 };
	struct line line;
	char block[512];

	memset(block, 'x', sizeof(block));
	for (size_t i = 0; i < 4096; i++) {
		struct bytes in = { block, sizeof(block) };
		CHECK(!line_take(&reader, &in, MAX, &line) && in.n == 0);
	}
	block[0] = '\n';
	block[1] = '\n';
	struct bytes in = { block, 2 };
	CHECK(line_take(&reader, &in, MAX, &line) && line.too_long && !line.nul);
	CHECK(line_take(&reader, &in, MAX, &line) && !line.too_long && line.text.n == 0);
	CHECK(in.n == 0);
}

static void test_no_input_is_no_line(void)
{
	struct line_reader fresh = { 0 }, inside = { .n_dropped = 100 };
	char nowhere;
	struct bytes none = { &nowhere, 0 };
	struct line line;

	CHECK(!line_take(&fresh, &none, MAX, &line));
	CHECK(!line_take(&inside, &none, MAX, &line));
	CHECK(inside.n_dropped == 100);
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_judges_a_line),
		TEST(test_lines_are_the_same_however_split),
		TEST(test_an_unfinished_line_waits),
		TEST(test_a_line_of_any_length_needs_no_memory),
		TEST(test_no_input_is_no_line),
	};

	return test_main(tests, TEST_COUNT(tests));
}
