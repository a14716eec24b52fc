/* SPDX-License-Identifier: ISC */
/*
 * The findings of `postern --check`: faults and warnings, as lines of text or of JSON,
 * with the file and line of the setting that each begins with.
 */
#include "bin/check/check.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/num.h"
#include "bin/check/parts.h"
#include "proto/text.h"

#define WARNING "warning: "
#define NOTE "note: "

/* The levels of findings, by the beginning of their text. */
static const struct level {
	struct span prefix;
	const char *word; /* the word in JSON */
} levels[] = {
	{ { WARNING, sizeof(WARNING) - 1 }, "warning" },
	{ { NOTE, sizeof(NOTE) - 1 }, "note" },
	{ { "", 0 }, "fault" },
};

/* A fault, warning or note, with the place in a file that its text names. */
struct finding {
	const struct level *level;
	struct span file; /* or "-o" */
	uint64_t line; /* 0: unknown */
	struct span key; /* a setting, or empty */
	struct span text; /* without the place */
};

static bool skip_prefix(struct span *s, struct span prefix)
{
	if (!span_starts(*s, prefix))
		return false;
	*s = span_from(*s, prefix.n);
	return true;
}

/* Reads "file:12". */
static bool read_place(struct span place, struct finding *f)
{
	const char *colon = place.n ? memrchr(place.p, ':', place.n) : NULL;
	size_t n = colon ? (size_t)(colon - place.p) : 0;

	if (!colon || !num_parse(span_from(place, n + 1), &f->line))
		return false;
	f->file = (struct span){ place.p, n };
	return true;
}

/* Returns the part before the first ": ", or all. */
static struct span before_colon(struct span s)
{
	const char *at = memmem(s.p, s.n, ": ", 2);

	return at ? (struct span){ s.p, (size_t)(at - s.p) } : s;
}

/* "recipients /etc/postern/recipients: line 7: ..." has the setting of the file. */
static void read_line_of_table(struct finding *f)
{
	struct span head = before_colon(f->text), rest = span_from(f->text, head.n),
		    number;

	if (f->key.n == 0 || head.n <= f->key.n || !skip_prefix(&rest, SPAN(": line ")))
		return;
	number = before_colon(rest);
	if (!num_parse(number, &f->line))
		return;
	f->file = span_from(head, f->key.n + 1);
	f->text = span_from(rest, number.n);
	skip_prefix(&f->text, SPAN(": "));
}

static void find_place(const struct config *c, const char *text, struct finding *f)
{
	struct span head;
	const char *place;

	*f = (struct finding){ .text = span_of(text) };
	f->level = levels;
	while (!skip_prefix(&f->text, f->level->prefix))
		f->level++;
	head = before_colon(f->text);
	if (read_place(head, f) || span_eq(head, SPAN("-o"))) {
		f->file = f->line ? f->file : head;
		f->text = span_from(f->text, head.n);
		skip_prefix(&f->text, SPAN(": "));
		head = before_colon(f->text);
	}
	head.n = head.n ? strcspn(head.p, ": ") : 0;
	place = c ? config_place(c, head) : NULL;
	if (!place)
		return;
	f->key = head;
	if (f->file.n)
		return;
	read_line_of_table(f);
	if (!f->file.n && !read_place(span_of(place), f))
		f->file = span_of(place);
}

static void put_text(const struct finding *f)
{
	char line[32] = "";

	if (f->line)
		snprintf(line, sizeof(line), ":%ju", (uintmax_t)f->line);
	dprintf(STDERR_FILENO, "postern: %s%.*s%s%s%.*s\n", f->level->prefix.p,
		(int)f->file.n, f->file.p ? f->file.p : "", line, f->file.n ? ": " : "",
		(int)f->text.n, f->text.p);
}

/* Prints a string of JSON. Octets that are not UTF-8 become replacement characters. */
static void put_string(struct span s)
{
	putchar('"');
	while (s.n) {
		size_t n = utf8_non_ascii(s);
		if (n)
			fwrite(s.p, 1, n, stdout);
		else if (*s.p == '"' || *s.p == '\\')
			printf("\\%c", *s.p);
		else if (!ascii_is_printable(*s.p))
			printf("\\u%04x", (unsigned char)*s.p > 126 ? 0xfffd : *s.p);
		else
			putchar(*s.p);
		s = span_from(s, n ? n : 1);
	}
	putchar('"');
}

static void put_json(const struct finding *f)
{
	printf("{\"level\":\"%s\"", f->level->word);
	if (f->file.n) {
		fputs(",\"file\":", stdout);
		put_string(f->file);
	}
	if (f->line)
		printf(",\"line\":%ju", (uintmax_t)f->line);
	if (f->key.n) {
		fputs(",\"setting\":", stdout);
		put_string(f->key);
	}
	fputs(",\"text\":", stdout);
	put_string(f->text);
	fputs("}\n", stdout);
	fflush(stdout);
}

void check_print(void *ctx, const char *text)
{
	const struct check_output *output = ctx;
	char shown[2 * CONFIG_FAULT_MAX];
	struct buf b = BUF(shown);
	struct finding f;

	/* shows a credential by its name in the settings */
	if (output->config)
		config_show(output->config, text, &b);
	find_place(output->config, output->config && !b.overflow ? shown : text, &f);
	if (output->json)
		put_json(&f);
	else
		put_text(&f);
}

void check_fault(void *ctx, const char *text)
{
	struct config *c = ctx;
	char shown[CONFIG_FAULT_MAX];
	struct buf b = BUF(shown);

	config_show(c, text, &b);
	faults_put(&c->faults, "%s", b.overflow ? text : shown);
}

void check_warning(struct config *c, const char *text)
{
	char shown[CONFIG_FAULT_MAX];

	snprintf(shown, sizeof(shown), WARNING "%s", text);
	faults_warn(&c->faults, shown);
}

void check_note(struct config *c, const char *text)
{
	char shown[2 * CONFIG_FAULT_MAX];

	snprintf(shown, sizeof(shown), NOTE "%s", text);
	faults_warn(&c->faults, shown);
}

void check_setting_fault(
	struct config *c, const char *key, const char *value, const char *what)
{
	char text[2 * CONFIG_FAULT_MAX];

	snprintf(text, sizeof(text), "%s %s: %s", key, value, what);
	check_fault(c, text);
}
