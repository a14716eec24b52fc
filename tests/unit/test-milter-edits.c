/* SPDX-License-Identifier: ISC */
/* Edits of a header by filters: which field each one means, and what is written. */
#include "base/buf.h"
#include "unit/milter.h"

#define OURS "Received: ours\n"
#define TEXT_MAX 512

struct list {
	struct milter_edits e;
	struct milter_field fields[16], saved[16];
	char text[TEXT_MAX];
};

static void begin(struct list *l, const char *header)
{
	l->e = (struct milter_edits){
		.fields = l->fields,
		.saved = l->saved,
		.cap = TEST_COUNT(l->fields),
		.text = BUF(l->text),
	};
	REQUIRE(!milter_edits_begin(&l->e, SPAN(OURS), span_of(header)));
}

static const char *apply(struct list *l, enum milter_kind kind, uint32_t index,
	const char *name, const char *value)
{
	struct milter_answer a = {
		.kind = kind,
		.index = index,
		.name = span_of(name),
		.value = span_of(value),
	};

	return milter_edits_apply(&l->e, &a, 0);
}

/* Writes all in pieces of every size, and compares. */
static void check_header(const struct list *l, const char *want)
{
	for (size_t room = 1; room < 200; room += 13) {
		char all[2 * TEXT_MAX];
		struct buf out = BUF(all);
		struct milter_walk at = { 0 };
		bool done = false;
		while (!done) {
			char memory[200];
			struct buf b = { .p = memory, .cap = room };
			done = milter_edits_put(&l->e, &at, &b);
			CHECK(!b.overflow && (done || b.n == room));
			buf_put(&out, buf_span(&b));
		}
		if (!CHECK_SPAN(buf_span(&out), want))
			return;
	}
}

static void test_a_header_that_is_not_edited_is_the_same_octet_for_octet(void)
{
	static const char *const headers[] = {
		"",
		"A: b\n",
		"A:b\nB : c \n\td\n \nC:\n",
		"A: b\r\n c\r\nB: d\r\n",
		"A: \xff\x01\n",
	};

	for (size_t i = 0; i < TEST_COUNT(headers); i++) {
		struct list l;
		char want[64];
		begin(&l, headers[i]);
		CHECK(!l.e.changed);
		snprintf(want, sizeof(want), OURS "%s", headers[i]);
		check_header(&l, want);
	}
}

struct edit {
	enum milter_kind kind;
	uint32_t index;
	const char *name, *value;
};

#define TEN "Abcdefghij"
#define LONG_NAME TEN TEN TEN TEN TEN TEN TEN /* above MILTER_LAST_NAME_MAX */

static void test_each_edit_finds_its_place(void)
{
	static const struct {
		const char *header;
		struct edit edits[3];
		const char *want;
	} cases[] = {
		/* add */
		{ "A: 1\n", { { MILTER_ADD, 0, "X", "y" } }, OURS "A: 1\nX: y\n" },
		{ "", { { MILTER_ADD, 0, "X", "y" } }, OURS "X: y\n" },
		{ "A: 1\n", { { MILTER_ADD, 0, "X", "" } }, OURS "A: 1\nX: \n" },
		/* insert: 0 is above Received, 1 directly below it */
		{ "A: 1\n", { { MILTER_INSERT, 0, "X", "y" } }, "X: y\n" OURS "A: 1\n" },
		{ "A: 1\n", { { MILTER_INSERT, 1, "X", "y" } }, OURS "X: y\nA: 1\n" },
		{ "A: 1\n", { { MILTER_INSERT, 2, "X", "y" } }, OURS "A: 1\nX: y\n" },
		{ "A: 1\n", { { MILTER_INSERT, 3, "X", "y" } }, OURS "A: 1\nX: y\n" },
		{ "A: 1\n", { { MILTER_INSERT, 0xffffffff, "X", "y" } },
			OURS "A: 1\nX: y\n" },
		{ "A: 1\nB: 2\n", { { MILTER_INSERT, 2, "X", "y" } },
			OURS "A: 1\nX: y\nB: 2\n" },
		/* a field above Received makes it an ordinary one for the index */
		{ "A: 1\n",
			{ { MILTER_INSERT, 0, "X", "y" },
				{ MILTER_INSERT, 1, "Y", "z" } },
			"X: y\nY: z\n" OURS "A: 1\n" },
		{ "A: 1\n",
			{ { MILTER_INSERT, 0, "X", "y" },
				{ MILTER_INSERT, 0, "Y", "z" } },
			"Y: z\nX: y\n" OURS "A: 1\n" },
		/* change */
		{ "A: 1\nB: 2\na: 3\n", { { MILTER_CHANGE, 1, "A", "x" } },
			OURS "A: x\nB: 2\na: 3\n" },
		{ "A: 1\nB: 2\na: 3\n", { { MILTER_CHANGE, 0, "A", "x" } },
			OURS "A: x\nB: 2\na: 3\n" },
		{ "A: 1\nB: 2\na: 3\n", { { MILTER_CHANGE, 2, "A", "x" } },
			OURS "A: 1\nB: 2\nA: x\n" },
		{ "A : 1\nAA: 2\n", { { MILTER_CHANGE, 1, "A", "x" } },
			OURS "A: x\nAA: 2\n" },
		{ "A: 1\n 2\nB: 3\n", { { MILTER_CHANGE, 1, "A", "x" } },
			OURS "A: x\nB: 3\n" },
		/* a name that is too long to be kept for the next search */
		{ LONG_NAME ": 1\nA: 2\n" LONG_NAME ": 3\n",
			{ { MILTER_CHANGE, 1, LONG_NAME, "x" },
				{ MILTER_CHANGE, 2, LONG_NAME, "y" },
				{ MILTER_CHANGE, 1, LONG_NAME, "z" } },
			OURS LONG_NAME ": z\nA: 2\n" LONG_NAME ": y\n" },
		/* an absent one is added */
		{ "A: 1\n", { { MILTER_CHANGE, 2, "A", "x" } }, OURS "A: 1\nA: x\n" },
		{ "A: 1\n", { { MILTER_CHANGE, 1, "X", "y" } }, OURS "A: 1\nX: y\n" },
		/* delete */
		{ "A: 1\nB: 2\na: 3\n", { { MILTER_CHANGE, 1, "A", "" } },
			OURS "B: 2\na: 3\n" },
		{ "A: 1\nB: 2\na: 3\n", { { MILTER_CHANGE, 2, "A", "" } },
			OURS "A: 1\nB: 2\n" },
		{ "A: 1\n", { { MILTER_CHANGE, 2, "A", "" } }, OURS "A: 1\n" },
		{ "A: 1\nB: 2\n",
			{ { MILTER_CHANGE, 1, "A", "" }, { MILTER_CHANGE, 1, "B", "" } },
			OURS },
		/* the index of `m` never means our own Received */
		{ "Received: a\nA: 1\n", { { MILTER_CHANGE, 1, "Received", "x" } },
			OURS "Received: x\nA: 1\n" },
		{ "Received: a\nA: 1\n", { { MILTER_CHANGE, 1, "Received", "" } },
			OURS "A: 1\n" },
		{ "A: 1\n", { { MILTER_CHANGE, 1, "Received", "" } }, OURS "A: 1\n" },
		{ "A: 1\n", { { MILTER_CHANGE, 1, "Received", "x" } },
			OURS "A: 1\nReceived: x\n" },
		/* a field that a filter made counts from then on */
		{ "A: 1\n",
			{ { MILTER_INSERT, 1, "A", "0" }, { MILTER_CHANGE, 1, "A", "" } },
			OURS "A: 1\n" },
		{ "A: 1\n",
			{ { MILTER_ADD, 0, "X", "y" }, { MILTER_CHANGE, 1, "X", "z" } },
			OURS "A: 1\nX: z\n" },
		/* fields behind MIME fields break PGP/MIME: i puts them in front */
		{ "From: a\nContent-Type: multipart/signed\n",
			{ { MILTER_INSERT, 1, "X-Spam", "no" } },
			OURS "X-Spam: no\nFrom: a\nContent-Type: multipart/signed\n" },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct list l;
		char before[128];
		begin(&l, cases[i].header);
		for (size_t k = 0; k < 3 && cases[i].edits[k].name; k++) {
			const struct edit *edit = &cases[i].edits[k];
			CHECK(!apply(
				&l, edit->kind, edit->index, edit->name, edit->value));
		}
		check_header(&l, cases[i].want);
		snprintf(before, sizeof(before), OURS "%s", cases[i].header);
		/* an edit that found nothing has changed nothing */
		CHECK(l.e.changed ==
			(strcmp(before, cases[i].want) != 0 || cases[i].edits[1].name));
	}
}

/* CRLF at the end of a value; nothing a filter sends is two fields, or ends the header */
static void test_a_value_is_one_field_whatever_breaks_it_has(void)
{
	static const struct {
		const char *value, *want;
	} cases[] = {
		{ "a", " a" },
		{ "a\r\n", " a" },
		{ "a\n", " a" },
		{ "a\n\tb", " a\n\tb" },
		{ "a\r\n b", " a\n b" },
		{ "a\nEvil: b", " a\n\tEvil: b" },
		{ "a\r\nEvil: b\r\n", " a\n\tEvil: b" },
		{ "a\rEvil: b", " a\n\tEvil: b" },
		{ "a\n\nbody", " a\n\tbody" },
		{ "a\n \n\nb", " a\n\tb" },
		{ "a\n\t\n  b", " a\n  b" },
		{ "a\n \t", " a" },
		{ "\n\ta", " \n\ta" },
		{ "\r\n", " " },
		{ "  a  ", "   a  " },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++)
		for (int kind = MILTER_ADD; kind <= MILTER_CHANGE; kind++) {
			struct list l;
			char want[64];
			begin(&l, "");
			CHECK(!apply(&l, (enum milter_kind)kind, 1, "X", cases[i].value));
			snprintf(want, sizeof(want), OURS "X:%s\n", cases[i].want);
			check_header(&l, want);
			CHECK(l.e.n == 2);
		}
}

/* white space behind the colon */
static void test_with_leading_space_a_value_brings_its_own(void)
{
	static const struct {
		const char *value, *want;
	} cases[] = {
		{ "a", OURS "X:a\n" },
		{ " a", OURS "X: a\n" },
		{ "\ta", OURS "X:\ta\n" },
		{ "\n a", OURS "X:\n a\n" },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct list l;
		struct milter_answer a = {
			.kind = MILTER_ADD,
			.name = SPAN("X"),
			.value = span_of(cases[i].value),
		};
		begin(&l, "");
		CHECK(!milter_edits_apply(&l.e, &a, MILTER_LEADING_SPACE));
		check_header(&l, cases[i].want);
	}
}

static void test_a_name_that_is_none_is_a_fault(void)
{
	static const char *const names[] = { "", " ", "a b", "a:", ":", "a\n", "a\nb",
		"\tx", "\xc3\xa9", "a\x7f" };

	for (size_t i = 0; i < TEST_COUNT(names); i++)
		for (int kind = MILTER_ADD; kind <= MILTER_CHANGE; kind++) {
			struct list l;
			begin(&l, "A: 1\n");
			CHECK_SPAN(span_of(apply(
					   &l, (enum milter_kind)kind, 1, names[i], "x")),
				"sent a field with a name that is none");
			CHECK(apply(&l, (enum milter_kind)kind, 1, names[i], ""));
			check_header(&l, OURS "A: 1\n");
			CHECK(!l.e.changed);
		}
}

/* a filter that dies in the middle of its edits leaves none of them */
static void test_edits_of_a_filter_are_undone_together(void)
{
	struct list l;

	begin(&l, "A: 1\nB: 2\n");
	CHECK(!apply(&l, MILTER_ADD, 0, "First", "filter"));
	milter_edits_save(&l.e);
	CHECK(!apply(&l, MILTER_CHANGE, 1, "A", ""));
	CHECK(!apply(&l, MILTER_CHANGE, 1, "First", "second"));
	CHECK(!apply(&l, MILTER_INSERT, 0, "X", "y"));
	CHECK(l.e.changed);
	milter_edits_restore(&l.e);
	check_header(&l, OURS "A: 1\nB: 2\nFirst: filter\n");
	CHECK(l.e.changed);
	CHECK(!apply(&l, MILTER_ADD, 0, "X", "y"));
	check_header(&l, OURS "A: 1\nB: 2\nFirst: filter\nX: y\n");

	begin(&l, "A: 1\n");
	CHECK(!apply(&l, MILTER_CHANGE, 1, "A", "x"));
	milter_edits_restore(&l.e);
	check_header(&l, OURS "A: 1\n");
	CHECK(!l.e.changed);
}

/* the second filter gets what the first one left, without our own field */
static void test_the_next_filter_gets_the_fields_as_they_are(void)
{
	static const char *const want[] = { "X: y\n", "B: 2\n c\n", "Z: z\n" };
	struct list l;
	struct span field;
	size_t at = 0;

	begin(&l, "A: 1\nB: 2\n c\n");
	CHECK(!apply(&l, MILTER_CHANGE, 1, "A", ""));
	CHECK(!apply(&l, MILTER_INSERT, 0, "X", "y"));
	CHECK(!apply(&l, MILTER_ADD, 0, "Z", "z"));
	for (size_t i = 0; i < TEST_COUNT(want); i++)
		if (CHECK(milter_edits_next(&l.e, &at, &field)))
			CHECK_SPAN(field, want[i]);
	CHECK(!milter_edits_next(&l.e, &at, &field));
	CHECK(!milter_edits_next(&l.e, &at, &field));
}

static void test_the_number_of_fields_has_a_limit(void)
{
	struct milter_field fields[3], saved[3];
	char text[64];
	struct list l = { .e = {
				  .fields = fields,
				  .saved = saved,
				  .cap = 3,
				  .text = BUF(text),
			  } };

	CHECK(!milter_edits_begin(&l.e, SPAN(OURS), SPAN("A: 1\n")));
	CHECK(!apply(&l, MILTER_ADD, 0, "B", "2"));
	CHECK_SPAN(span_of(apply(&l, MILTER_ADD, 0, "C", "3")),
		"sent more fields than the 16384 that a header may have");
	CHECK_SPAN(span_of(apply(&l, MILTER_INSERT, 0, "C", "3")),
		"sent more fields than the 16384 that a header may have");
	CHECK(l.e.full);
	CHECK(apply(&l, MILTER_ADD, 0, "C D", "3"));
	CHECK(!l.e.full);
	CHECK(!apply(&l, MILTER_CHANGE, 1, "B", "3"));
	check_header(&l, OURS "A: 1\nB: 3\n");
	CHECK_SPAN(
		span_of(milter_edits_begin(&l.e, SPAN(OURS), SPAN("A: 1\nB: 2\nC: 3\n"))),
		"is left out: the header has more than 16384 fields");
	l.e.cap = 0;
	CHECK(milter_edits_begin(&l.e, SPAN(OURS), SPAN("")));
}

static void test_a_header_of_more_than_a_mebibyte_is_a_fault(void)
{
	static char header[MILTER_HEADER_MAX + 1];
	struct list l;

	begin(&l, "");
	memset(header, ' ', sizeof(header));
	memcpy(header, "A:", 2);
	CHECK(!milter_edits_begin(
		&l.e, SPAN(OURS), (struct span){ header, MILTER_HEADER_MAX }));
	CHECK_SPAN(span_of(milter_edits_begin(
			   &l.e, SPAN(OURS), (struct span){ header, sizeof(header) })),
		"is left out: the header has more than 1 MiB");
}

static void test_new_text_has_a_limit_and_is_not_cut(void)
{
	char value[TEXT_MAX + 1];
	struct list l;

	memset(value, 'x', sizeof(value));
	value[TEXT_MAX] = '\0';
	begin(&l, "A: 1\n");
	CHECK_SPAN(span_of(apply(&l, MILTER_ADD, 0, "X", value)),
		"sent more than 1 MiB of fields");
	CHECK(l.e.full);
	check_header(&l, OURS "A: 1\n");
	value[TEXT_MAX - 4] = '\0';
	CHECK(!apply(&l, MILTER_ADD, 0, "X", value));
	CHECK(apply(&l, MILTER_ADD, 0, "X", ""));
	CHECK(l.e.n == 3);
}

static void test_a_last_line_without_its_end_gets_one(void)
{
	struct list l;

	begin(&l, "A: 1\nB: 2");
	CHECK(!apply(&l, MILTER_ADD, 0, "X", "y"));
	check_header(&l, OURS "A: 1\nB: 2\nX: y\n");
}

static void test_the_header_ends_at_an_empty_line_or_where_the_body_begins(void)
{
	static const struct {
		const char *text;
		size_t n, n_separator;
	} cases[] = {
		{ "", 0, 0 },
		{ "\n", 0, 1 },
		{ "\nbody\n", 0, 1 },
		{ "\r\nbody\n", 0, 2 },
		{ "A: 1\n\nbody\n", 5, 1 },
		{ "A: 1\r\n\r\nbody\r\n", 6, 2 },
		{ "A: 1\n b\n\tc\n\nbody\n", 11, 1 },
		{ "A: 1\n \n\n", 7, 1 },
		{ "A : 1\n\n", 6, 1 },
		{ "A:\n\n", 3, 1 },
		{ "A: 1\n", 5, 0 },
		{ "A: 1", 4, 0 },
		{ "A: 1\nno field\n\nbody\n", 5, 0 },
		{ "A: 1\n: x\n", 5, 0 },
		{ "A: 1\nA\n", 5, 0 },
		{ "A: 1\nA", 5, 0 },
		{ "A: 1\nA ", 5, 0 },
		{ "A: 1\nA b: c\n", 5, 0 },
		{ " b\nA: 1\n\n", 0, 0 },
		{ "no field\n", 0, 0 },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct span text = span_of(cases[i].text);
		size_t n_decided = cases[i].n + cases[i].n_separator;
		struct milter_header h = { 99, 99 };
		if (!CHECK(milter_header_find(text, true, &h) && h.n == cases[i].n &&
			    h.n_separator == cases[i].n_separator))
			fprintf(stderr, "\tcase %zu: %zu %zu\n", i, h.n, h.n_separator);
		for (size_t n = 0; n <= text.n; n++) {
			struct milter_header part = { 99, 99 };
			bool found = milter_header_find(
				(struct span){ text.p, n }, false, &part);
			CHECK(!found ||
				(part.n == h.n && part.n_separator == h.n_separator &&
					n >= n_decided));
		}
	}
}

static void test_a_header_in_pieces_is_found_with_its_last_octet(void)
{
	static const struct span text = SPAN("A: 1\n b\n\nbody\n");
	struct milter_header h;

	for (size_t n = 0; n <= text.n; n++)
		CHECK(milter_header_find((struct span){ text.p, n }, false, &h) ==
			(n >= 9));
	CHECK(h.n == 8 && h.n_separator == 1);
}

/* Counts from the beginning. Returns the index, or e->n. */
static size_t count_to(const struct milter_edits *e, char name, uint32_t index)
{
	size_t at = 0;

	for (; at < e->n; at++)
		if (!e->fields[at].ours && (*e->fields[at].text.p | 32) == name &&
			--index == 0)
			break;
	return at;
}

/* Deletes, replaces, or inserts a field, and compares the list with what it was. */
static void edit_and_compare(struct list *l, unsigned what, char name, uint32_t index)
{
	const char names[] = { name, '\0' };
	struct milter_field was[TEST_COUNT(l->fields)] = { 0 };
	const size_t n = l->e.n, at = count_to(&l->e, name, index);
	const bool inserts = what == 2, deletes = what == 0;
	const size_t place = inserts ? (index < n ? index : n) : at;

	memcpy(was, l->fields, n * sizeof(*was));
	CHECK(!apply(l, inserts ? MILTER_INSERT : MILTER_CHANGE, index, names,
		deletes ? "" : "x"));
	if (deletes)
		CHECK(l->e.n == n - (at < n));
	else
		CHECK(l->e.n == n + (inserts || at == n));
	for (size_t i = 0; i < l->e.n; i++) {
		size_t from = i;

		if (i == place && !deletes)
			continue;
		if (i >= place)
			from += deletes ? 1 : 0;
		if (i > place && inserts)
			from--;
		CHECK(l->fields[i].text.p == was[from].text.p);
	}
}

static void test_a_search_goes_on_from_the_last_one(void)
{
	unsigned random = 1;
	struct list l;

	for (int round = 0; round < 500; round++) {
		begin(&l, "A: 1\nB: 2\nA: 3\nb: 4\na: 5\n");
		for (int i = 0; i < 40 && l.e.n < TEST_COUNT(l.fields); i++) {
			random = random * 1103515245 + 12345;
			edit_and_compare(&l, random >> 16 & 3, "aaab"[random >> 18 & 3],
				1 + (random >> 20) % 6);
			if ((random >> 24) % 16 == 0)
				milter_edits_save(&l.e);
			if ((random >> 24) % 16 == 1)
				milter_edits_restore(&l.e);
		}
	}
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_a_header_that_is_not_edited_is_the_same_octet_for_octet),
		TEST(test_each_edit_finds_its_place),
		TEST(test_a_value_is_one_field_whatever_breaks_it_has),
		TEST(test_with_leading_space_a_value_brings_its_own),
		TEST(test_a_name_that_is_none_is_a_fault),
		TEST(test_edits_of_a_filter_are_undone_together),
		TEST(test_the_next_filter_gets_the_fields_as_they_are),
		TEST(test_the_number_of_fields_has_a_limit),
		TEST(test_a_header_of_more_than_a_mebibyte_is_a_fault),
		TEST(test_new_text_has_a_limit_and_is_not_cut),
		TEST(test_a_last_line_without_its_end_gets_one),
		TEST(test_the_header_ends_at_an_empty_line_or_where_the_body_begins),
		TEST(test_a_header_in_pieces_is_found_with_its_last_octet),
		TEST(test_a_search_goes_on_from_the_last_one),
	};

	return test_main(tests, TEST_COUNT(tests));
}
