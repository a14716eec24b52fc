/* SPDX-License-Identifier: ISC */
/* Frames of the milter protocol, cut at every octet, and what is no frame. */
#include "unit/milter.h"

/* In memory of exactly that size. */
static enum milter_step show(struct span in, size_t n, struct milter_frame *ret_frame,
	struct milter_reading *ret_reading, size_t *ret_left)
{
	char *copy = malloc(n + !n);
	struct span rest = { copy, n };
	enum milter_step step;

	REQUIRE(copy);
	memcpy(copy, in.p, n);
	step = milter_frame_take(&rest, ret_frame, ret_reading);
	*ret_left = rest.n;
	if (step == MILTER_DONE)
		ret_frame->data.p = in.p + (ret_frame->data.p - copy);
	free(copy);
	return step;
}

static void test_a_frame_is_taken_when_its_last_octet_is_there(void)
{
	static const struct {
		struct span octets;
		char command;
		const char *data;
	} cases[] = {
		{ { "\0\0\0\1c", 5 }, 'c', "" },
		{ { "\0\0\0\4+abc", 8 }, '+', "abc" },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct span octets = cases[i].octets;
		struct milter_frame frame = { 0 };
		struct milter_reading reading = { 0 };
		size_t left;
		for (size_t n = 0; n < octets.n; n++) {
			CHECK(show(octets, n, &frame, &reading, &left) == MILTER_MORE);
			CHECK(left == n);
			CHECK(reading.n_needed > n);
			CHECK(reading.n_needed == (n < 4 ? 5 : octets.n));
		}
		CHECK(show(octets, octets.n, &frame, &reading, &left) == MILTER_DONE);
		CHECK(left == 0);
		CHECK(frame.command == cases[i].command);
		CHECK_SPAN(frame.data, cases[i].data);
	}
}

static void test_what_follows_a_frame_is_left(void)
{
	struct span in = DATA("\0\0\0\1p\0\0\0\2bx\0\0");
	struct milter_frame frame;
	struct milter_reading reading = { 0 };

	CHECK(milter_frame_take(&in, &frame, &reading) == MILTER_DONE);
	CHECK(frame.command == 'p' && in.n == 8);
	CHECK(milter_frame_take(&in, &frame, &reading) == MILTER_DONE);
	CHECK(frame.command == 'b' && in.n == 2);
	CHECK_SPAN(frame.data, "x");
	CHECK(milter_frame_take(&in, &frame, &reading) == MILTER_MORE);
	CHECK(in.n == 2);
}

static void test_a_wrong_length_is_found_by_the_octet_that_makes_it_wrong(void)
{
	static const struct {
		struct span octets;
		size_t n; /* that show it */
	} cases[] = {
		{ { "\0\0\0\0c", 5 }, 4 },
		{ { "\x01\0\0\1c", 5 }, 1 },
		{ { "\0\x02\0\0c", 5 }, 5 },
		{ DATA("\0\1\xff\xfd"
		       "c"),
			5 },
		{ { "\xff\xff\xff\xff", 4 }, 1 },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++)
		for (size_t n = 0; n <= cases[i].octets.n; n++) {
			struct milter_frame frame;
			struct milter_reading reading = { 0 };
			size_t left;
			enum milter_step step =
				show(cases[i].octets, n, &frame, &reading, &left);
			CHECK(step == (n < cases[i].n ? MILTER_MORE : MILTER_WRONG));
			CHECK((step == MILTER_WRONG) == (reading.fault != NULL));
			CHECK(left == n);
		}
}

static void test_the_largest_frame_is_a_limit_with_a_name(void)
{
	static char octets[MILTER_FRAME_MAX] = { 0, 1, (char)0xff, (char)0xfc, 'b' };
	struct span in = { octets, sizeof(octets) };
	struct milter_frame frame;
	struct milter_reading reading = { 0 };

	in.n--;
	CHECK(milter_frame_take(&in, &frame, &reading) == MILTER_MORE);
	CHECK(reading.n_needed == MILTER_FRAME_MAX);
	in.n++;
	CHECK(milter_frame_take(&in, &frame, &reading) == MILTER_DONE);
	CHECK(frame.data.n == MILTER_FRAME_MAX - MILTER_FRAME_HEAD && in.n == 0);
}

/* rspamd sends a body that it has changed in one frame, however long */
static void test_a_long_replacement_body_comes_in_pieces(void)
{
	static char octets[200000 + 9];
	static const size_t pieces[] = { 5, 7, 1000, sizeof(octets) };
	const uint32_t length = 200000;

	memset(octets, 'x', sizeof(octets));
	memcpy(octets, "\0\3\r\100b", MILTER_FRAME_HEAD);
	memcpy(octets + 4 + length, "\0\0\0\1c", 5);
	for (size_t i = 0; i < TEST_COUNT(pieces); i++) {
		struct milter_reading reading = { 0 };
		struct span in = { octets, 0 };
		size_t n_body = 0, n_frames = 0;
		while (in.p + in.n < octets + sizeof(octets) || in.n) {
			struct milter_frame frame;
			size_t left = (size_t)(octets + sizeof(octets) - in.p);
			if (milter_frame_take(&in, &frame, &reading) == MILTER_MORE) {
				REQUIRE(reading.n_needed > in.n && in.n < left);
				in.n += pieces[i];
				in.n = in.n < left ? in.n : left;
				continue;
			}
			n_frames++;
			if (frame.command == 'b')
				n_body += frame.data.n;
			else
				CHECK(frame.command == 'c' && in.n == 0);
		}
		CHECK(n_body == length - 1);
		CHECK(n_frames > 1 && reading.n_left == 0);
	}
}

/* HTTP at the other end */
static void test_another_protocol_at_the_other_end_is_named(void)
{
	static const struct {
		const char *octets, *fault;
	} cases[] = {
		{ "H", "answers in HTTP: this is not its milter port" },
		{ "HTTP/1.1 400 Bad Request\r\n",
			"answers in HTTP: this is not its milter port" },
		{ "Hello", "sent a frame that is too long, or is no milter" },
		{ "220 mail.example.net ESMTP\r\n",
			"answers in digits, as an SMTP server does: this is no milter" },
		{ "\x15\x03\x01", "answers in TLS: this is no milter" },
		{ "\x16\x03\x03", "answers in TLS: this is no milter" },
		{ "+OK POP3\r\n", "sent a frame that is too long, or is no milter" },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct span in = span_of(cases[i].octets);
		struct milter_frame frame;
		struct milter_reading reading = { .fault = "" };
		CHECK(milter_frame_take(&in, &frame, &reading) == MILTER_WRONG);
		CHECK_SPAN(span_of(reading.fault), cases[i].fault);
	}
}

static void test_a_frame_is_written_whole_or_not_at_all(void)
{
	char memory[16];

	for (size_t cap = 0; cap <= 12; cap++) {
		struct buf b = { .p = memory, .cap = cap };
		size_t begin;
		milter_put_abort(&b);
		begin = milter_frame_open(&b, 'H');
		milter_put_string(&b, SPAN("a"));
		milter_frame_close(&b, begin);
		CHECK(b.overflow == (cap < 12));
		CHECK(b.n == (cap < 5 ? 0 : cap < 12 ? 5 : 12));
		if (b.n == 12)
			CHECK(memcmp(memory, "\0\0\0\1A\0\0\0\3Ha\0", 12) == 0);
	}
}

static void test_a_nul_in_a_text_becomes_a_question_mark(void)
{
	static const struct {
		struct span text;
		const char *want;
		bool has_nul;
	} cases[] = {
		{ { "", 0 }, "", false },
		{ { "ab", 2 }, "ab", false },
		{ { "\0", 1 }, "?", true },
		{ { "a\0b", 3 }, "a?b", true },
		{ { "a\0\0", 3 }, "a??", true },
		{ { NULL, 0 }, "", false },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		char memory[8];
		struct buf b = BUF(memory);
		CHECK(milter_put_string(&b, cases[i].text) == cases[i].has_nul);
		CHECK(b.n == strlen(cases[i].want) + 1);
		CHECK_SPAN(span_of(memory), cases[i].want);
	}
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_a_frame_is_taken_when_its_last_octet_is_there),
		TEST(test_what_follows_a_frame_is_left),
		TEST(test_a_wrong_length_is_found_by_the_octet_that_makes_it_wrong),
		TEST(test_the_largest_frame_is_a_limit_with_a_name),
		TEST(test_a_long_replacement_body_comes_in_pieces),
		TEST(test_another_protocol_at_the_other_end_is_named),
		TEST(test_a_frame_is_written_whole_or_not_at_all),
		TEST(test_a_nul_in_a_text_becomes_a_question_mark),
	};

	return test_main(tests, TEST_COUNT(tests));
}
