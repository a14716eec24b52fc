/* SPDX-License-Identifier: ISC */
/* proto/data: RFC 5321 4.5.2 and 2.3.8. Only CRLF.CRLF ends a message, in any pieces. */
#include "proto/data.h"
#include "unit/content.h"
#include "unit/test.h"

#define INPUT_MAX 128

struct decoded {
	char text[INPUT_MAX];
	size_t n_text;
	struct data state;
	bool end;
	size_t n_rest;
};

/* Shows the input in pieces that end at `first` and then every `step` octets. */
static struct decoded decode(struct span raw, enum data_at at, size_t first, size_t step)
{
	struct decoded d = { .state.at = at };
	size_t left = 0, from = 0, to = first;
	char window[INPUT_MAX];

	REQUIRE(raw.n <= sizeof(window));
	while (from < raw.n && !d.end) {
		struct bytes in;
		struct span text;
		to = to > raw.n ? raw.n : to;
		memcpy(window + left, raw.p + from, to - from);
		in = (struct bytes){ window, left + to - from };
		d.end = data_take(&d.state, &in, &text);
		CHECK(d.end || in.n <= 2);
		memcpy(d.text + d.n_text, text.p, text.n);
		d.n_text += text.n;
		memmove(window, in.p, in.n);
		left = in.n;
		from = to;
		to += step;
	}
	d.n_rest = left + raw.n - from;
	return d;
}

static void check_same(
	struct span raw, const struct decoded *d, const struct content *want)
{
	bool same = CHECK(d->end == want->end) &&
		    CHECK(d->n_text == want->n_text &&
			    memcmp(d->text, want->text, d->n_text) == 0) &&
		    CHECK(d->state.octets == want->octets) &&
		    CHECK(d->state.bare == want->bare) &&
		    CHECK(d->n_rest == want->n_rest);

	if (same)
		return;
	fprintf(stderr, "\tof ");
	for (size_t i = 0; i < raw.n; i++)
		fprintf(stderr, raw.p[i] > 32 ? "%c" : "\\%02x", (unsigned char)raw.p[i]);
	fprintf(stderr, "\n");
}

/* Whole, octet by octet, and in every two pieces. */
static void check_all_splits(struct span raw, enum data_at at)
{
	struct content want = content_decode(raw, at == DATA_AFTER_CRLF);
	struct decoded d = decode(raw, at, 1, 1);

	check_same(raw, &d, &want);
	for (size_t first = 1; first <= raw.n; first++) {
		d = decode(raw, at, first, raw.n);
		check_same(raw, &d, &want);
	}
	free(want.text);
}

/* Every text of up to six octets out of those that matter, in front of a true end. */
static void test_every_short_text_decodes_the_same_however_split(void)
{
	static const char alphabet[] = { '.', '\r', '\n', 'a', '\0' };
	char raw[6 + 7];

	for (size_t n = 0, count = 1; n <= 6; n++, count *= sizeof(alphabet))
		for (size_t seed = 0; seed < count && !test_failed; seed++) {
			size_t digits = seed;
			for (size_t i = 0; i < n; i++, digits /= sizeof(alphabet))
				raw[i] = alphabet[digits % sizeof(alphabet)];
			memcpy(raw + n, "\r\n.\r\nQ", 6);
			check_all_splits((struct span){ raw, n + 6 }, DATA_AFTER_CRLF);
			check_all_splits((struct span){ raw, n + 6 }, DATA_AFTER_LF);
		}
}

/*
 * Fault of 2026: end of data in every spelling: every text of up to seven octets of CR, LF, dot, NUL and blank, after
 * CRLF and after LF, is decoded like whole lines in memory, and ends only where these end.
 */
static void test_only_crlf_dot_crlf_ends_the_content(void)
{
	static const char alphabet[] = { '\r', '\n', '.', '\0', ' ' };
	static const struct span fronts[] = { { "x\r\n", 3 }, { "x\n", 2 }, { "x", 1 } };
	char raw[3 + 7 + 9];

	for (size_t n = 0, count = 1; n <= 7; n++, count *= sizeof(alphabet))
		for (size_t seed = 0; seed < count * TEST_COUNT(fronts) && !test_failed;
			seed++) {
			struct span front = fronts[seed / count];
			size_t digits = seed % count;
			memcpy(raw, front.p, front.n);
			for (size_t i = 0; i < n; i++, digits /= sizeof(alphabet))
				raw[front.n + i] = alphabet[digits % sizeof(alphabet)];
			memcpy(raw + front.n + n, "QUIT\r\n.\r\n", 9);
			check_all_splits(
				(struct span){ raw, front.n + n + 9 }, DATA_AFTER_CRLF);
		}
}

struct case_ {
	struct span raw;
	const char *text;
	uint64_t octets;
	bool bare;
};

/* Each is followed by the true end. */
static void test_decodes(void)
{
	static const struct case_ table[] = {
		{ .raw = { "", 0 }, .text = "" },
		{ .raw = { "\r\n", 2 }, .text = "\n", .octets = 2 },
		{ .raw = { "a\r\n", 3 }, .text = "a\n", .octets = 3 },
		/* stuffed dots are not counted (RFC 1870 5) */
		{ .raw = { "..\r\n", 4 }, .text = ".\n", .octets = 3 },
		{ .raw = { ".a\r\n..b\r\n", 9 }, .text = "a\n.b\n", .octets = 7 },
		{ .raw = { "a.\r\n", 4 }, .text = "a.\n", .octets = 4 },
		{ .raw = { "a\nb\r\n", 5 }, .text = "a\nb\n", .octets = 5, .bare = true },
		{ .raw = { "a\rb\r\n", 5 }, .text = "a b\n", .octets = 5, .bare = true },
		{ .raw = { "a\r\r\n", 4 }, .text = "a\n", .octets = 4, .bare = true },
		{ .raw = { "\r\r\r\nb\r\n", 7 },
			.text = "\nb\n",
			.octets = 7,
			.bare = true },
		{ .raw = { "a\r\r\rb\r\n", 7 },
			.text = "a b\n",
			.octets = 7,
			.bare = true },
		{ .raw = { ".\r\r\n", 4 }, .text = "\n", .octets = 3, .bare = true },
		{ .raw = { "\xff\xfe\r\n", 4 }, .text = "\xff\xfe\n", .octets = 4 },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		char raw[INPUT_MAX];
		struct decoded d;
		memcpy(raw, table[i].raw.p, table[i].raw.n);
		memcpy(raw + table[i].raw.n, ".\r\n", 3);
		d = decode((struct span){ raw, table[i].raw.n + 3 }, DATA_AFTER_CRLF,
			INPUT_MAX, 1);
		CHECK(d.end && d.n_rest == 0);
		CHECK_SPAN(((struct span){ d.text, d.n_text }), table[i].text);
		CHECK(d.state.octets == table[i].octets);
		CHECK(d.state.bare == table[i].bare);
	}
}

static void test_nothing_but_crlf_dot_crlf_ends_it(void)
{
	static const struct span table[] = {
		{ "\n.\n", 3 },
		{ "\n.\r", 3 },
		{ "\n.\r\n", 4 },
		{ "\r.\r", 3 },
		{ "\r.\n", 3 },
		{ "\r.\r\n", 4 },
		{ "\r\n.\n", 4 },
		{ "\r\n.\r", 4 },
		{ "\r\n.\r\r\n", 6 },
		{ "\r\r\n.\r\r\n", 7 },
		{ "\r\n\0.\r\n", 6 },
		{ "\r\n.\0\r\n", 6 },
		{ "\r\n.\r\0\n", 6 },
		{ "\r\0\n.\r\n", 6 },
		{ "\n\r.\r\n", 5 },
		{ "\n\n.\r\n", 5 },
		{ "\r\n.\n\r\n", 6 },
		{ "\r\n. \r\n", 6 },
		{ "\r\n .\r\n", 6 },
		{ "\r\n..\r\n", 6 },
		{ "\r\n.\x0b\n", 5 },
		{ "\r\n.\x8d\x8a", 5 },
		{ "\x8d\x8a.\r\n", 5 },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		char raw[INPUT_MAX] = "a";
		struct span s = { raw, 1 + table[i].n + 16 };
		memcpy(raw + 1, table[i].p, table[i].n);
		memcpy(raw + 1 + table[i].n, "MAIL FROM:<x@y>\n", 16);
		for (size_t first = 1; first <= s.n; first++)
			for (size_t step = 1; step <= s.n; step++)
				CHECK(!decode(s, DATA_AFTER_CRLF, first, step).end);
	}
}

/* The octet after a stray CR LF is at the start of a line, where the message may end. */
static void test_a_stray_cr_before_crlf_starts_a_line(void)
{
	struct decoded d = decode(SPAN("a\r\r\n.\r\n"), DATA_AFTER_CRLF, 7, 1);

	CHECK(d.end && d.state.bare);
}

/* Stored text must not end a message when a client sends it again with stuffed dots. */
static void test_no_stray_cr_is_stored(void)
{
	struct decoded d = decode(
		SPAN("\ra\r\r\n\r.\r\r\n.\n\r\n.\r\n"), DATA_AFTER_CRLF, INPUT_MAX, 1);

	CHECK(d.end);
	CHECK(!memchr(d.text, '\r', d.n_text));
}

static void test_a_bare_lf_before_the_content_ends_nothing(void)
{
	CHECK(decode(SPAN(".\r\n"), DATA_AFTER_CRLF, 3, 1).end);
	CHECK(!decode(SPAN(".\r\n"), DATA_AFTER_LF, 3, 1).end);
	CHECK(decode(SPAN(".\r\n.\r\n"), DATA_AFTER_LF, 3, 1).end);
}

/* A gigabyte of CRs is one octet of input to be shown again, and one space in the end. */
static void test_a_long_run_of_crs_needs_no_memory(void)
{
	static char raw[64 * 1024];
	struct data d = { 0 };
	struct bytes in;
	struct span text;

	for (size_t i = 0; i < 1024; i++) {
		memset(raw, '\r', sizeof(raw));
		in = (struct bytes){ raw, sizeof(raw) };
		REQUIRE(!data_take(&d, &in, &text));
		REQUIRE(text.n == 0 && in.n == 1);
	}
	CHECK(d.octets == 1024 * (sizeof(raw) - 1) && d.bare);
	memcpy(raw, "\rb\r\n", 4);
	in = (struct bytes){ raw, 4 };
	CHECK(!data_take(&d, &in, &text) && in.n == 0);
	CHECK_SPAN(text, " b\n");
}

/* Many short runs cost no more than their octets: no rest of the text is moved for each. */
static void test_many_runs_of_crs_are_taken_at_once(void)
{
	size_t n = 4 * 1024 * 1024;
	char *raw = malloc(n);
	struct data d = { 0 };
	struct bytes in = { raw, n };
	struct span text;

	REQUIRE(raw);
	for (size_t i = 0; i < n; i++)
		raw[i] = i % 4 ? '\r' : 'a';
	raw[n - 1] = 'z';
	CHECK(!data_take(&d, &in, &text));
	CHECK(text.n == n / 2 + 1 && text.p[0] == 'a' && text.p[1] == ' ');
	CHECK(text.p[text.n - 1] == 'z' && d.octets == n);
	free(raw);
}

static void test_counts_beyond_four_gigabytes(void)
{
	size_t n = 1024 * 1024;
	char *raw = malloc(n);
	struct data d = { 0 };

	REQUIRE(raw);
	d.octets = (UINT64_C(1) << 32) - 5;
	memset(raw, 'x', n);
	struct bytes in = { raw, n };
	struct span text;
	CHECK(!data_take(&d, &in, &text));
	CHECK(text.n == n && in.n == 0);
	CHECK(d.octets == (UINT64_C(1) << 32) - 5 + n);
	free(raw);
}

static void test_no_input_is_no_text(void)
{
	struct data d = { 0 };
	char nowhere;
	struct bytes in = { &nowhere, 0 };
	struct span text = { "x", 1 };

	CHECK(!data_take(&d, &in, &text));
	CHECK(text.n == 0 && in.n == 0 && d.at == DATA_AFTER_CRLF);
}

/* True for a CR without LF after it, or an LF without CR before it. */
static bool is_bare(const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (text[i] == '\r' && (i + 1 == n || text[i + 1] != '\n'))
			return true;
		if (text[i] == '\n' && (i == 0 || text[i - 1] != '\r'))
			return true;
	}
	return false;
}

/*
 * The decoded text of a chunk, by a simple rule: CRLF and LF are LF, and so is a run of CRs before LF; another run is
 * a space.
 */
static size_t chunk_text(const char *from, size_t n, char *to)
{
	size_t m = 0;

	for (size_t i = 0; i < n; i++) {
		if (from[i] != '\r')
			to[m++] = from[i];
		else if (i + 1 == n || (from[i + 1] != '\n' && from[i + 1] != '\r'))
			to[m++] = ' ';
	}
	return m;
}

/* The text in chunks of `piece` octets, as BDAT may send it. */
static size_t decode_chunks(
	const char *from, size_t n, size_t piece, char *to, struct data *d)
{
	char octets[8];
	struct span kept, text;
	size_t m = 0;

	*d = (struct data){ .at = DATA_AFTER_CRLF };
	for (size_t i = 0; i < n; i += piece) {
		size_t now = n - i < piece ? n - i : piece;
		memcpy(octets, from + i, now);
		data_chunk(d, (struct bytes){ octets, now }, &kept, &text);
		memcpy(to + m, kept.n ? kept.p : "", kept.n);
		memcpy(to + m + kept.n, text.p, text.n);
		m += kept.n + text.n;
	}
	data_chunk_end(d, &kept);
	memcpy(to + m, kept.n ? kept.p : "", kept.n);
	return m + kept.n;
}

/* RFC 3030 2: every text of six octets over four that matter, cut into chunks of every size. */
static void test_chunks_are_the_same_however_they_are_cut(void)
{
	static const char octets[] = "\r\n.a";

	for (unsigned code = 0; code < 1U << 12; code++) {
		char text[6], want[8], got[8];
		size_t n_want;
		for (size_t i = 0; i < sizeof(text); i++)
			text[i] = octets[code >> 2 * i & 3];
		n_want = chunk_text(text, sizeof(text), want);
		for (size_t piece = 1; piece <= sizeof(text); piece++) {
			struct data d;
			size_t n = decode_chunks(text, sizeof(text), piece, got, &d);
			CHECK(n == n_want && memcmp(got, want, n) == 0);
			CHECK(d.octets == sizeof(text) && !d.cr);
			CHECK(d.bare == is_bare(text, sizeof(text)));
		}
	}
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_every_short_text_decodes_the_same_however_split),
		TEST(test_only_crlf_dot_crlf_ends_the_content),
		TEST(test_decodes),
		TEST(test_nothing_but_crlf_dot_crlf_ends_it),
		TEST(test_a_stray_cr_before_crlf_starts_a_line),
		TEST(test_no_stray_cr_is_stored),
		TEST(test_a_bare_lf_before_the_content_ends_nothing),
		TEST(test_a_long_run_of_crs_needs_no_memory),
		TEST(test_many_runs_of_crs_are_taken_at_once),
		TEST(test_counts_beyond_four_gigabytes),
		TEST(test_no_input_is_no_text),
		TEST(test_chunks_are_the_same_however_they_are_cut),
	};

	return test_main(tests, TEST_COUNT(tests));
}
