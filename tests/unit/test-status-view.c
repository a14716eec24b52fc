/* SPDX-License-Identifier: ISC */
/*
 * tools/status/view, rows, options: columns are aligned and fit, the output is printable ASCII, and options are
 * parsed.
 */
#include "tools/status/view.h"
#include "tools/status/status.h"
#include "tools/status/rows.h"
#include "unit/test.h"

#define NOW 1796116087

/* The output, which is read back. */
struct screen {
	struct status_view view;
	char *text;
	size_t n;
};

static void screen_open(struct screen *s, size_t width)
{
	*s = (struct screen){ .view = { .width = width, .now = NOW } };
	s->view.to = open_memstream(&s->text, &s->n);
	REQUIRE(s->view.to);
}

static void screen_shows(struct screen *s, const char *want)
{
	fclose(s->view.to);
	CHECK_SPAN(((struct span){ s->text, s->n }), want);
	free(s->text);
}

static void test_text_is_cut_and_harmless(void)
{
	static const struct {
		struct span text;
		size_t columns;
		const char *want;
	} table[] = {
		{ { "mail", 4 }, 0, "mail" },
		{ { "mail", 4 }, 4, "mail" },
		{ { "mails", 5 }, 4, "m..." },
		{ { "mails", 5 }, 3, "..." },
		{ { "mails", 5 }, 1, "." },
		{ { "", 0 }, 4, "" },
		{ { "a\033[2J\r\n", 7 }, 0, "a\\x1B[2J\\x0D\\x0A" },
		{ { "\0", 1 }, 0, "\\x00" },
		{ { "\xc3\xa9", 2 }, 8, "\\xC3\\xA9" },
		{ { "\xc3\xa9", 2 }, 7, "\\xC3..." },
		{ { "\x7f", 1 }, 0, "\\x7F" },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		struct screen s;
		screen_open(&s, 80);
		status_put(&s.view, STYLE_BAD, table[i].text, table[i].columns);
		screen_shows(&s, table[i].want);
	}
}

static void test_colours_surround_text(void)
{
	struct screen s;

	screen_open(&s, 80);
	s.view.colour = true;
	status_put(&s.view, STYLE_GOOD, SPAN("Ready"), 0);
	status_put(&s.view, STYLE_PLAIN, SPAN("."), 0);
	screen_shows(&s, "\033[32mReady\033[0m.");
}

static void test_paragraphs_are_wrapped_at_words(void)
{
	static const struct {
		size_t width;
		const char *text, *want;
	} table[] = {
		{ 40, "a b c", "a b c\n" },
		{ 40, "", "" },
		{ 20, "four five six seven", "four five\n          six seven\n" },
		{ 20, "0123456789", "0123456789\n" },
		{ 20, "01234567890", "0123456789\n          0\n" },
		{ 20, "a 01234567890", "a\n          0123456789\n          0\n" },
		{ 20, "four five  \033 six", "four five\n          \\x1B six\n" },
		{ 0, "four five six seven", "four five six seven\n" },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		struct screen s;
		screen_open(&s, table[i].width);
		status_put_wrapped(&s.view, STYLE_PLAIN, span_of(table[i].text), 10);
		screen_shows(&s, table[i].want);
	}
}

static void test_octets_have_the_units_of_settings(void)
{
	static const struct {
		uint64_t n;
		const char *want;
	} table[] = {
		{ 0, "0" },
		{ 9999, "9999" },
		{ 10000, "9.7K" },
		{ 10240, "10.0K" },
		{ 102400, "100K" },
		{ 1048575, "1023K" },
		{ 1048576, "1.0M" },
		{ 52428800, "50.0M" },
		{ UINT64_MAX, "15.9E" },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		char octets[32];
		struct buf b = BUF(octets);
		status_put_octets(&b, table[i].n);
		CHECK_SPAN(buf_span(&b), table[i].want);
	}
}

static const struct status_column columns[] = {
	{ "Name", false, 6 },
	{ "N", true, 0 },
	{ "End", false, 5 },
};

static void fill(struct status_cells *c, const char *name, const char *n, const char *end)
{
	const char *cells[] = { name, n, end };

	status_cells_init(c);
	for (size_t i = 0; i < 3; i++) {
		buf_put_str(&c->b, cells[i]);
		status_cells_end(c);
	}
}

static void show_table(size_t width, const char *want)
{
	static struct status_cells rows[2];
	struct status_table t;
	struct screen s;

	fill(&rows[0], "mail.example.org", "7", "quit");
	fill(&rows[1], "a", "123", "SSL Error");
	screen_open(&s, width);
	status_table_init(&t, columns, 3, 2);
	for (size_t i = 0; i < 2; i++)
		status_table_measure(&t, &rows[i]);
	status_table_fit(&t, &s.view);
	status_table_head(&t, &s.view);
	for (size_t i = 0; i < 2; i++)
		status_table_row(&t, &s.view, &rows[i]);
	screen_shows(&s, want);
}

static void test_columns_line_up(void)
{
	show_table(80, "  Name                N  End\n"
		       "  mail.example.org    7  quit\n"
		       "  a                 123  SSL Error\n");
	show_table(0, "  Name                N  End\n"
		      "  mail.example.org    7  quit\n"
		      "  a                 123  SSL Error\n");
}

/* The widest give way, to their least; a number is never cut. */
static void test_columns_fit(void)
{
	show_table(26, "  Name        N  End\n"
		       "  mail....    7  quit\n"
		       "  a         123  SSL Error\n");
	show_table(20, "  Name      N  End\n"
		       "  mai...    7  quit\n"
		       "  a       123  SS...\n");
	/* a column that is never cut is left out */
	show_table(12, "  Name  End\n"
		       "  m...  quit\n"
		       "  a     S...\n");
}

static void test_options_are_understood(void)
{
	const char *const argv[] = { "postern-status", "--since", "2h", "-n5",
		"--peer=192.0.2.0/24", "--messages", "-c", "settings", "log" };
	struct status_options o;

	status_options_parse((int)TEST_COUNT(argv), (char **)argv, NOW, &o);
	CHECK(o.mode == STATUS_MODE_TABLE && !o.fault && o.most == 5 && !o.follow);
	CHECK(o.filter.has_peer && o.filter.peer.prefix == 24);
	CHECK(o.filter.events == 1U << RECORD_MESSAGE);
	CHECK_SPAN(span_of(o.since), "2h");
	CHECK_SPAN(span_of(o.settings), "settings");
	CHECK(o.n_files == 1);
	CHECK_SPAN(span_of(o.files[0]), "log");
	status_options_parse(1, (char **)argv, NOW, &o);
	CHECK(o.mode == STATUS_MODE_PANEL && !o.n_files && !o.since && !o.most);
	CHECK(o.filter.events == (1U << RECORD_EVENTS) - 1 && !o.filter.has_peer);
}

static void test_nonsense_is_named(void)
{
	static const struct {
		const char *argv[4];
		const char *wrong;
	} table[] = {
		{ { "--nonsense" }, "--nonsense" },
		{ { "-x" }, "-x" },
		{ { "-n" }, "-n" },
		{ { "-n0" }, "-n0" },
		{ { "-n", "-1" }, "-n" },
		{ { "-n1000000001" }, "-n1000000001" },
		{ { "--since=then" }, "--since=then" },
		{ { "--since" }, "--since" },
		{ { "--peer=mail.example" }, "--peer=mail.example" },
		{ { "--peer=192.0.2.1/33" }, "--peer=192.0.2.1/33" },
		{ { "--json=x" }, "--json=x" },
		{ { "--to", "a@example.net", "--sessions" }, "options" },
		{ { "--id=7", "--openmetrics" }, "options" },
		{ { "--sessions", "--messages" }, "options" },
		{ { "--openmetrics", "--follow" }, "options" },
		{ { "--healthy", "--follow" }, "options" },
		{ { "--healthy", "--sessions" }, "options" },
		{ { "--healthy", "--to=a@example.net" }, "options" },
		{ { "--openmetrics", "-n", "1" }, "options" },
		{ { "-D", "journal", "log" }, "options" },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		const char *argv[6] = { "postern-status" };
		struct status_options o;
		int argc = 1;
		for (; argc < 5 && table[i].argv[argc - 1]; argc++)
			argv[argc] = table[i].argv[argc - 1];
		status_options_parse(argc, (char **)argv, NOW, &o);
		CHECK(o.mode == STATUS_MODE_USAGE && o.fault && *o.fault);
		CHECK_SPAN(span_of(o.wrong), table[i].wrong);
	}
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_text_is_cut_and_harmless),
		TEST(test_colours_surround_text),
		TEST(test_paragraphs_are_wrapped_at_words),
		TEST(test_octets_have_the_units_of_settings),
		TEST(test_columns_line_up),
		TEST(test_columns_fit),
		TEST(test_options_are_understood),
		TEST(test_nonsense_is_named),
	};

	return test_main(tests, TEST_COUNT(tests));
}
