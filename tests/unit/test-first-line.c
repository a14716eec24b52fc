/* SPDX-License-Identifier: ISC */
/*
 * proto/data: octets of the client never continue the trace header, and readers find the header and the body that the
 * client sent (RFC 5322 2.2).
 */
#include "proto/data.h"
#include "base/buf.h"
#include "unit/content.h"
#include "unit/test.h"

#define SYMBOLS_MAX 6
#define RAW_MAX 64
#define TEXT_MAX 256

struct text {
	char octets[TEXT_MAX];
	size_t n;
};

static void add(struct text *t, struct span more)
{
	REQUIRE(t->n + more.n <= sizeof(t->octets));
	memcpy(t->octets + t->n, more.p, more.n);
	t->n += more.n;
}

static void add_passing(struct first_line *f, struct span text, struct text *to)
{
	struct span piece;

	while (first_line_take(f, &text, &piece)) {
		CHECK(f->n_held <= FIRST_LINE_HELD_MAX);
		add(to, piece);
	}
	CHECK(text.n == 0);
}

/* The same rule for whole lines in memory: the prefixes of the text, and of its From_ lines. */
static void repair(struct span text, struct text *to)
{
	size_t n_line = 0, i = 0;

	while (n_line < text.n && text.p[n_line] != '\n')
		n_line++;
	if (text.n == 0)
		return;
	while (i < n_line && text.p[i] > 32 && text.p[i] < 127 && text.p[i] != ':')
		i++;
	size_t n_name = i;
	while (i < n_line && (text.p[i] == ' ' || text.p[i] == '\t'))
		i++;
	bool is_field = n_name > 0 && n_name <= FIRST_LINE_NAME_MAX &&
			i < FIRST_LINE_HELD_MAX && i < n_line && text.p[i] == ':';
	struct span word = { text.p, n_name };
	while (word.n && *word.p == '>')
		word = span_from(word, 1);
	if (n_line == 0 && text.n) {
		add(to, text);
	} else if (is_field || (n_line == 1 && text.n > 1 && text.p[0] == '\r')) {
		add(to, text);
	} else if (n_name <= FIRST_LINE_NAME_MAX && span_eq(word, SPAN("From")) &&
		   n_name < n_line && text.p[n_name] == ' ') {
		size_t n = n_line + (n_line < text.n);
		add(to, SPAN("X-Mailbox-Line: "));
		add(to, (struct span){ text.p, n });
		repair(span_from(text, n), to);
	} else {
		add(to, SPAN("\n"));
		add(to, text);
	}
}

static void check_equal(struct span raw, const struct text *got, const struct text *want)
{
	struct span a = { got->octets, got->n }, b = { want->octets, want->n };

	if (CHECK(span_eq(a, b)))
		return;
	fprintf(stderr, "\tof ");
	for (size_t i = 0; i < raw.n; i++)
		fprintf(stderr, raw.p[i] > 32 ? "%c" : "\\%02x", (unsigned char)raw.p[i]);
	fprintf(stderr, "\n");
}

/* Shows `raw` to DATA's decoder, in two pieces cut at `cut` or, for 0, octet by octet. */
static void decode_data(struct span raw, size_t cut, struct text *to)
{
	struct data d = { .at = DATA_AFTER_CRLF };
	struct first_line f = { 0 };
	char window[RAW_MAX];
	size_t n = 0, at = 0;
	bool end = false;

	while (at < raw.n && !end) {
		size_t piece = cut == 0 ? 1 : at == 0 ? cut : raw.n - cut;
		struct bytes in;
		struct span text;
		memcpy(window + n, raw.p + at, piece);
		in = (struct bytes){ window, n + piece };
		at += piece;
		end = data_take(&d, &in, &text);
		add_passing(&f, text, to);
		memmove(window, in.p, n = in.n);
	}
	CHECK(end);
	first_line_end(&f);
	add_passing(&f, SPAN(""), to);
}

/* The same for chunks; `binary` is BODY=BINARYMIME. */
static void decode_chunks(struct span raw, size_t cut, bool binary, struct text *to)
{
	struct data d = { .at = DATA_AFTER_CRLF };
	struct first_line f = { 0 };
	char window[RAW_MAX];
	struct span kept, text;

	for (size_t at = 0, piece; at < raw.n; at += piece) {
		piece = cut == 0 ? 1 : at == 0 ? cut : raw.n - cut;
		memcpy(window, raw.p + at, piece);
		kept = SPAN("");
		text = (struct span){ window, piece };
		if (!binary)
			data_chunk(&d, (struct bytes){ window, piece }, &kept, &text);
		add_passing(&f, kept, to);
		add_passing(&f, text, to);
	}
	data_chunk_end(&d, &kept);
	add_passing(&f, kept, to);
	first_line_end(&f);
	add_passing(&f, SPAN(""), to);
}

/* CRs: none before LF, a space for a run of them elsewhere (RFC 3030 has no dots). */
static void decode_crs(struct span raw, struct text *to)
{
	for (size_t i = 0; i < raw.n; i++) {
		char next = i + 1 < raw.n ? raw.p[i + 1] : '\0';
		if (raw.p[i] != '\r')
			add(to, (struct span){ raw.p + i, 1 });
		else if (next != '\n' && next != '\r')
			add(to, SPAN(" "));
	}
}

static void check_data(struct span raw)
{
	struct content content = content_decode(raw, true);
	struct text want = { .n = 0 };

	repair((struct span){ content.text, content.n_text }, &want);
	for (size_t cut = 0; cut < raw.n && !test_failed; cut++) {
		struct text got = { .n = 0 };
		decode_data(raw, cut, &got);
		check_equal(raw, &got, &want);
	}
	free(content.text);
}

static void check_chunks(struct span raw, bool binary)
{
	struct text text = { .n = 0 }, want = { .n = 0 };

	if (binary)
		add(&text, raw);
	else
		decode_crs(raw, &text);
	repair((struct span){ text.octets, text.n }, &want);
	for (size_t cut = 0; cut < raw.n && !test_failed; cut++) {
		struct text got = { .n = 0 };
		decode_chunks(raw, cut, binary, &got);
		check_equal(raw, &got, &want);
	}
}

/* Every text of six symbols, in DATA, in chunks and in chunks of BINARYMIME, cut everywhere. */
static void test_every_short_text_is_repaired_the_same_however_cut(void)
{
	static const char *const symbols[] = { " ", "\t", ":", "a", "\r", "\n", ".",
		"From " };

	for (unsigned code = 0; code < 1U << 3 * SYMBOLS_MAX && !test_failed; code++) {
		char raw[RAW_MAX];
		struct buf b = BUF(raw);
		struct span text;
		for (unsigned i = 0; i < SYMBOLS_MAX; i++)
			buf_put_str(&b, symbols[code >> 3 * i & 7]);
		text = buf_span(&b);
		check_chunks(text, false);
		check_chunks(text, true);
		buf_put(&b, SPAN("\r\n.\r\n"));
		check_data(buf_span(&b));
	}
}

static void test_repairs(void)
{
	static const struct {
		const char *text, *want;
	} table[] = {
		{ "", "" },
		{ "\n", "\n" },
		{ "\nbody\n", "\nbody\n" },
		{ "Subject: s\n", "Subject: s\n" },
		{ "Subject \t: s\n", "Subject \t: s\n" },
		{ "Subject\n", "\nSubject\n" },
		{ " x\n", "\n x\n" },
		{ "\tx\n", "\n\tx\n" },
		{ ":\n", "\n:\n" },
		{ "\xc3\xa4: b\n", "\n\xc3\xa4: b\n" },
		{ "a\x7f: b\n", "\na\x7f: b\n" },
		{ "From a\n", "X-Mailbox-Line: From a\n" },
		{ ">>From a\nA: b\n", "X-Mailbox-Line: >>From a\nA: b\n" },
		{ "From a\nFrom b\n\nc\n",
			"X-Mailbox-Line: From a\nX-Mailbox-Line: From b\n\nc\n" },
		{ "From a\n b\n", "X-Mailbox-Line: From a\n\n b\n" },
		{ "From : a\n", "From : a\n" },
		{ "From: a\n", "From: a\n" },
		{ "From\ta\n", "\nFrom\ta\n" },
		{ "From", "\nFrom" },
		{ "From ", "X-Mailbox-Line: From " },
		{ "Fromage a\n", "\nFromage a\n" },
		{ "> From a\n", "\n> From a\n" },
		{ ">From>From a\n", "\n>From>From a\n" },
		{ "a", "\na" },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		struct first_line f = { 0 };
		struct text got = { .n = 0 };
		add_passing(&f, span_of(table[i].text), &got);
		first_line_end(&f);
		add_passing(&f, SPAN(""), &got);
		CHECK_SPAN(((struct span){ got.octets, got.n }), table[i].want);
	}
}

/* NUL is no octet of a name, and ends no text. */
static void test_nul_begins_a_body(void)
{
	struct first_line f = { 0 };
	struct text got = { .n = 0 };

	add_passing(&f, (struct span){ "a\0b: c\n", 7 }, &got);
	CHECK(got.n == 8 && memcmp(got.octets, "\na\0b: c\n", 8) == 0);
}

/* A name, its blanks and the colon, at and above the limits, in one piece and octet by octet. */
static void check_length(size_t n_name, size_t n_blanks, bool is_field)
{
	char line[TEXT_MAX];
	size_t n = n_name + n_blanks;

	memset(line, 'n', n_name);
	memset(line + n_name, ' ', n_blanks);
	line[n++] = ':';
	for (size_t step = 1; step <= n; step += n - 1) {
		struct first_line f = { 0 };
		struct text got = { .n = 0 };
		for (size_t i = 0; i < n; i += step)
			add_passing(&f, (struct span){ line + i, step }, &got);
		CHECK(got.n == n + !is_field);
		CHECK((got.octets[0] == '\n') == !is_field);
	}
}

static void test_a_long_name_begins_a_body(void)
{
	check_length(FIRST_LINE_NAME_MAX, 0, true);
	check_length(FIRST_LINE_NAME_MAX, 1, true);
	check_length(FIRST_LINE_NAME_MAX, 2, false);
	check_length(FIRST_LINE_NAME_MAX + 1, 0, false);
	check_length(1, FIRST_LINE_HELD_MAX - 2, true);
	check_length(1, FIRST_LINE_HELD_MAX - 1, false);
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_repairs),
		TEST(test_nul_begins_a_body),
		TEST(test_a_long_name_begins_a_body),
		TEST(test_every_short_text_is_repaired_the_same_however_cut),
	};

	return test_main(tests, TEST_COUNT(tests));
}
