/* SPDX-License-Identifier: ISC */
/* smtp/tx: the order of the hooks. A refusal stops the sequence; commit never follows a refused prepare. */
#include "smtp/tx.h"
#include "unit/test.h"

struct diary {
	char text[128];
	size_t n;
};

/* Writes down each of its hooks, and refuses in one of them. */
struct noted {
	struct stage stage;
	char name;
	char refuses; /* the hook's letter, or 0 */
	size_t marks; /* refuses so many recipients in place of all */
	struct diary *diary;
};

static const struct reply *note(struct stage *st, char hook)
{
	struct noted *n = (struct noted *)st;

	REQUIRE(n->diary->n + 3 < sizeof(n->diary->text));
	n->diary->text[n->diary->n++] = n->name;
	n->diary->text[n->diary->n++] = hook;
	n->diary->text[n->diary->n++] = ' ';
	n->diary->text[n->diary->n] = '\0';
	return n->refuses == hook ? reply_get(REPLY_STORE_FAILED) : NULL;
}

static const struct reply *on_mail(struct stage *st, const struct tx *tx)
{
	(void)tx;
	return note(st, 'm');
}

static const struct reply *on_rcpt(
	struct stage *st, const struct tx *tx, struct recipient *r)
{
	(void)tx, (void)r;
	return note(st, 'r');
}

static const struct reply *on_span(
	struct stage *st, const struct tx *tx, struct span text)
{
	(void)tx;
	return note(st, text.p[0]);
}

/* Refuses the recipient in place of the whole message, if requested. */
static const struct reply *note_each(struct stage *st, struct tx *tx, char hook)
{
	const struct reply *r = note(st, hook);

	if (!r || !((struct noted *)st)->marks)
		return r;
	for (size_t i = 0; i < ((struct noted *)st)->marks; i++)
		tx->recipients[i].reply = r;
	return NULL;
}

static const struct reply *on_prepare(struct stage *st, struct tx *tx)
{
	return note_each(st, tx, 'p');
}

static const struct reply *on_commit(struct stage *st, struct tx *tx)
{
	return note_each(st, tx, 'c');
}

static void on_clear(struct stage *st)
{
	note(st, 'x');
}

static const struct stage_ops noted_ops = {
	.mail = on_mail,
	.rcpt = on_rcpt,
	.data = on_span,
	.body = on_span,
	.prepare = on_prepare,
	.commit = on_commit,
	.clear = on_clear,
};
static const struct stage_ops silent_ops;

struct walk {
	char by; /* the stage that refuses */
	char refuses;
	size_t marks;
	bool each;
	bool is_delivered; /* delivered to a recipient, although there was a refusal */
	const char *diary;
};

static void check_walk(const struct walk *want)
{
	struct diary diary = { 0 };
	struct noted a = { .stage.ops = &noted_ops, .name = 'A', .diary = &diary };
	struct noted b = { .stage.ops = &noted_ops, .name = 'B', .diary = &diary };
	struct stage silent = { .ops = &silent_ops };
	struct stage *const list[] = { &silent, &a.stage, &silent, &b.stage };
	struct stages stages = { list, TEST_COUNT(list) };
	struct recipient recipients[2] = { { 0 } };
	struct tx tx = { .recipients = recipients, .n_recipients = 2 };
	struct noted *by = want->by == 'A' ? &a : &b;
	const struct reply *r;

	by->refuses = want->refuses;
	by->marks = want->marks;
	r = stages_mail(&stages, &tx);
	if (!r)
		r = stages_rcpt(&stages, &tx, &recipients[0]);
	if (!r)
		r = stages_data(&stages, &tx, SPAN("d"));
	if (!r)
		r = stages_body(&stages, &tx, SPAN("b"));
	if (!r)
		r = stages_deliver(&stages, &tx, want->each);
	stages_clear(&stages);
	CHECK(r == (want->refuses && !want->is_delivered ? reply_get(REPLY_STORE_FAILED)
							 : NULL));
	CHECK_SPAN(((struct span){ diary.text, diary.n }), want->diary);
}

static void test_walks_in_order(void)
{
	static const struct walk table[] = {
		{ .diary = "Am Bm Ar Br Ad Bd Ab Bb Ap Bp Ac Bc Ax Bx " },
		{ .by = 'A', .refuses = 'm', .diary = "Am Ax Bx " },
		{ .by = 'B', .refuses = 'm', .diary = "Am Bm Ax Bx " },
		{ .by = 'A', .refuses = 'r', .diary = "Am Bm Ar Ax Bx " },
		{ .by = 'A', .refuses = 'd', .diary = "Am Bm Ar Br Ad Ax Bx " },
		{ .by = 'B', .refuses = 'b', .diary = "Am Bm Ar Br Ad Bd Ab Bb Ax Bx " },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++)
		check_walk(&table[i]);
}

static void test_commit_never_follows_a_refused_prepare(void)
{
	static const struct walk table[] = {
		{ .by = 'A',
			.refuses = 'p',
			.diary = "Am Bm Ar Br Ad Bd Ab Bb Ap Ax Bx " },
		{ .by = 'B',
			.refuses = 'p',
			.diary = "Am Bm Ar Br Ad Bd Ab Bb Ap Bp Ax Bx " },
		{ .by = 'A',
			.refuses = 'p',
			.marks = 1,
			.diary = "Am Bm Ar Br Ad Bd Ab Bb Ap Bp Ax Bx " },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++)
		check_walk(&table[i]);
}

static void test_a_refused_commit_is_told(void)
{
	static const struct walk table[] = {
		{ .by = 'A',
			.refuses = 'c',
			.diary = "Am Bm Ar Br Ad Bd Ab Bb Ap Bp Ac Ax Bx " },
		{ .by = 'B',
			.refuses = 'c',
			.marks = 1,
			.diary = "Am Bm Ar Br Ad Bd Ab Bb Ap Bp Ac Bc Ax Bx " },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++)
		check_walk(&table[i]);
}

/* RFC 2033 4.2 */
static void test_with_a_reply_for_each_one_refusal_is_not_all(void)
{
	static const struct walk table[] = {
		{ .by = 'A',
			.refuses = 'p',
			.marks = 1,
			.each = true,
			.is_delivered = true,
			.diary = "Am Bm Ar Br Ad Bd Ab Bb Ap Bp Ac Bc Ax Bx " },
		{ .by = 'A',
			.refuses = 'p',
			.marks = 2,
			.each = true,
			.diary = "Am Bm Ar Br Ad Bd Ab Bb Ap Bp Ax Bx " },
		{ .by = 'B',
			.refuses = 'p',
			.each = true,
			.diary = "Am Bm Ar Br Ad Bd Ab Bb Ap Bp Ax Bx " },
		{ .by = 'A',
			.refuses = 'c',
			.marks = 1,
			.each = true,
			.is_delivered = true,
			.diary = "Am Bm Ar Br Ad Bd Ab Bb Ap Bp Ac Bc Ax Bx " },
		{ .by = 'A',
			.refuses = 'c',
			.each = true,
			.diary = "Am Bm Ar Br Ad Bd Ab Bb Ap Bp Ac Ax Bx " },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++)
		check_walk(&table[i]);
}

static void test_no_stage_is_no_refusal(void)
{
	struct stages none = { 0 };
	struct tx tx = { 0 };

	CHECK(!stages_mail(&none, &tx));
	CHECK(!stages_rcpt(&none, &tx, NULL));
	CHECK(!stages_data(&none, &tx, SPAN("")));
	CHECK(!stages_body(&none, &tx, SPAN("")));
	CHECK(!stages_deliver(&none, &tx, false));
	stages_clear(&none);
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_walks_in_order),
		TEST(test_commit_never_follows_a_refused_prepare),
		TEST(test_a_refused_commit_is_told),
		TEST(test_with_a_reply_for_each_one_refusal_is_not_all),
		TEST(test_no_stage_is_no_refusal),
	};

	return test_main(tests, TEST_COUNT(tests));
}
