/* SPDX-License-Identifier: ISC */
/*
 * Lines of the files that administrators write: settings, tables, and rules for clients.
 * A line has one meaning, or it is refused with the word that is wrong. The meaning of
 * settings and values is decided elsewhere.
 */
#include "proto/conf.h"
#include <stdio.h>
#include "base/num.h"
#include "proto/text.h"

#define WORD_MAX 40 /* octets of a word that is compared at most */
#define PART_LEAST 3 /* octets; shorter parts match by chance */

enum conf_line conf_parse(struct span line, struct span *ret_key, struct span *ret_value)
{
	const char *equals;
	struct span key;

	line = span_trim(line);
	if (line.n == 0 || *line.p == '#')
		return CONF_BLANK;
	equals = memchr(line.p, '=', line.n);
	if (!equals)
		return CONF_SYNTAX;
	key = span_trim((struct span){ line.p, (size_t)(equals - line.p) });
	if (key.n == 0)
		return CONF_SYNTAX;
	*ret_key = key;
	*ret_value = span_trim(span_from(line, (size_t)(equals - line.p) + 1));
	return CONF_PAIR;
}

bool conf_quantity(
	struct span text, const char *units, const uint64_t *factors, uint64_t *ret)
{
	uint64_t factor = 1, number;

	if (text.n) {
		char last = ascii_lower(text.p[text.n - 1]);
		const char *unit = last ? strchr(units, last) : NULL;
		if (unit) {
			factor = factors[unit - units];
			text.n--;
		}
	}
	return num_parse(text, &number) && !__builtin_mul_overflow(number, factor, ret);
}

static char folded(char c)
{
	return c == '_' ? '-' : ascii_lower(c);
}

/*
 * Returns the number of letters that are changed, missing, added or swapped. A word
 * longer than WORD_MAX has the distance WORD_MAX.
 */
static size_t distance(struct span a, const char *b)
{
	size_t rows[3][WORD_MAX + 1], n = strlen(b);
	size_t *before = rows[0], *above = rows[1], *row = rows[2];

	if (a.n > WORD_MAX || n > WORD_MAX)
		return WORD_MAX;
	for (size_t j = 0; j <= n; j++)
		above[j] = before[j] = j;
	for (size_t i = 1; i <= a.n; i++) {
		size_t *last = before;
		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			bool same = folded(a.p[i - 1]) == folded(b[j - 1]);
			row[j] = above[j - 1] + !same;
			if (above[j] + 1 < row[j])
				row[j] = above[j] + 1;
			if (row[j - 1] + 1 < row[j])
				row[j] = row[j - 1] + 1;
			if (i > 1 && j > 1 && folded(a.p[i - 1]) == b[j - 2] &&
				folded(a.p[i - 2]) == b[j - 1] &&
				before[j - 2] + 1 < row[j])
				row[j] = before[j - 2] + 1;
		}
		before = above;
		above = row;
		row = last;
	}
	return above[n];
}

static bool has_part(struct span whole, struct span part)
{
	for (size_t i = 0; part.n >= PART_LEAST && i + part.n <= whole.n; i++) {
		size_t n = 0;
		while (n < part.n && folded(whole.p[i + n]) == folded(part.p[n]))
			n++;
		if (n == part.n)
			return true;
	}
	return false;
}

const char *conf_nearest(struct span text, const struct words *words)
{
	size_t least = WORD_MAX, found = words->n;

	for (size_t i = 0; i < words->n; i++) {
		size_t n = distance(text, words_get(words, i));
		if (n >= least || 3 * n > strlen(words_get(words, i)) || n > 2)
			continue;
		least = n;
		found = i;
	}
	for (size_t i = 0; i < words->n && found == words->n; i++)
		found = has_part(span_of(words_get(words, i)), text) ? i : words->n;
	for (size_t i = 0; i < words->n && found == words->n; i++)
		found = has_part(text, span_of(words_get(words, i))) ? i : words->n;
	return found < words->n ? words_get(words, found) : NULL;
}

void conf_put_meant(
	char to[static CONF_MEANT_MAX], struct span text, const struct words *words)
{
	const char *word = conf_nearest(text, words);

	*to = '\0';
	if (word)
		snprintf(to, CONF_MEANT_MAX, "; did you mean %.24s?", word);
}

void conf_put_meant_option(
	char to[static CONF_MEANT_MAX], const char *written, const struct words *names)
{
	struct span text = span_of(written + strspn(written, "-"));
	size_t n = strcspn(text.p, "=");
	const char *name = NULL;

	*to = '\0';
	if (n < text.n)
		name = conf_nearest((struct span){ text.p, n + 1 }, names);
	if (!name && n)
		name = conf_nearest((struct span){ text.p, n }, names);
	if (name)
		snprintf(to, CONF_MEANT_MAX, "; did you mean --%.24s?", name);
}

#define PIECE_MAX 8 /* octets that one octet of a word may become */

static const char *find_fault(struct span line, struct span key, struct span value)
{
	if (memchr(line.p, '\0', line.n))
		return "has a NUL in it";
	/* in other formats such a line continues the previous one */
	if (ascii_is_blank(*line.p))
		return "begins with a blank, but no line continues another; remove the "
		       "blank";
	if (key.n > ENTRY_KEY_MAX)
		return "has a key of more than 1024 octets";
	if (value.n > ENTRY_VALUE_MAX)
		return "has a value of more than 4096 octets";
	return NULL;
}

/*
 * COST: 18 % of a session's instructions with a table of 10,000 lines of text
 * (callgrind); without it: span_take_word().
 */
static struct span take_key(struct span *text)
{
	struct span rest = *text, word = span_take(&rest, ' '),
		    key = span_take(&word, '\t');

	*text = span_trim(span_from(*text, key.n));
	return key;
}

enum entry_line entry_parse(struct span line, struct span *ret_key,
	struct span *ret_value, const char **ret_what)
{
	struct span value = span_trim(line), key;
	const char *what;

	if (value.n == 0 || *value.p == '#')
		return ENTRY_BLANK;
	key = take_key(&value);
	what = find_fault(line, key, value);
	if (what) {
		*ret_what = what;
		return ENTRY_WRONG;
	}
	*ret_key = key;
	*ret_value = value;
	return ENTRY_FINE;
}

void entry_show(struct buf *to, struct span word)
{
	size_t begin = to->n;

	while (word.n && to->n - begin < ENTRY_SHOWN_MAX - PIECE_MAX) {
		size_t n = utf8_non_ascii(word);
		if (n)
			buf_put(to, (struct span){ word.p, n });
		else
			text_escape(to, (struct span){ word.p, n = 1 }, PIECE_MAX);
		word = span_from(word, n);
	}
	if (word.n)
		buf_put(to, SPAN("..."));
}

/* in the order of enum rule_tls */
static const struct words tls_words = WORDS("off", "on", "required");
static const struct words dsn_words = WORDS("off");
static const struct words milters_words = WORDS("off");

static const char *set_proxy(struct rule *rule, struct span value)
{
	(void)value;
	if (rule->proxy)
		return "is given twice";
	rule->proxy = true;
	return NULL;
}

static const char *set_tls(struct rule *rule, struct span value)
{
	bool is_ssl = span_is(value, "ssl"); /* the word that the panel shows */
	size_t i = words_find(&tls_words, is_ssl ? SPAN("required") : value);

	if (rule->tls != RULE_TLS_AS_SET)
		return "is given twice";
	if (i == tls_words.n)
		return "must be tls=off, tls=on or tls=required";
	rule->tls = RULE_TLS_OFF + (enum rule_tls)i;
	return NULL;
}

static const char *set_priority(struct rule *rule, struct span value)
{
	if (rule->priority.n)
		return "is given twice";
	if (value.n == 0 || !text_is_printable(value))
		return "must be a priority string of GnuTLS, without blanks";
	rule->priority = value;
	return NULL;
}

static const char *set_dsn(struct rule *rule, struct span value)
{
	if (rule->no_dsn)
		return "is given twice";
	rule->no_dsn = span_eq(value, SPAN("off"));
	return rule->no_dsn ? NULL : "must be dsn=off";
}

static const char *set_milters(struct rule *rule, struct span value)
{
	if (rule->unfiltered)
		return "is given twice";
	rule->unfiltered = span_eq(value, SPAN("off"));
	return rule->unfiltered ? NULL : "must be milters=off";
}

/* Quotes and backslashes would be escaped in the reply, so they are refused here. */
static const char *set_deny(struct rule *rule, struct span text)
{
	if (rule->proxy || rule->no_dsn || rule->unfiltered ||
		rule->tls != RULE_TLS_AS_SET || rule->priority.n)
		return "cannot be combined with other words";
	if (text.n == 0)
		return "needs a text for the client";
	if (text.n > RULE_TEXT_MAX)
		return "has a text of more than 256 octets";
	if (!text_is_printable(text) || memchr(text.p, '"', text.n) ||
		memchr(text.p, '\\', text.n))
		return "has a text that is not printable ASCII without \" and \\";
	rule->deny = text;
	return NULL;
}

static const struct {
	const char *name; /* including its "=" */
	bool takes_line; /* the value is the rest of the line */
	const char *(*set)(struct rule *rule, struct span value);
	const struct words *words; /* allowed values, or NULL */
} options[] = {
	{ "deny", true, set_deny, NULL },
	{ "dsn=", false, set_dsn, &dsn_words },
	{ "milters=", false, set_milters, &milters_words },
	{ "proxy", false, set_proxy, NULL },
	{ "tls=", false, set_tls, &tls_words },
	{ "tls-priority=", false, set_priority, NULL },
};

static const struct words option_names = WORDS_OF(options);

/* Takes an option from the front of `s`. Returns NULL, or the fault, and fills *f. */
static const char *take_option(struct span *s, struct rule *rule, struct rule_fault *f)
{
	const char *equals;
	struct span name, value;
	size_t i;

	f->word = name = span_take_word(s);
	equals = memchr(name.p, '=', name.n);
	if (equals)
		name.n = (size_t)(equals - name.p) + 1;
	value = span_from(f->word, name.n);
	f->written = name;
	f->words = &option_names;
	i = words_find(&option_names, name);
	if (i == option_names.n)
		return "is not deny, dsn=, milters=, proxy, tls= or tls-priority=";
	f->written = value;
	f->words = options[i].words;
	/* the value is valid; the fault is something else */
	if (f->words && words_find(f->words, value) < f->words->n)
		f->words = NULL;
	if (options[i].takes_line) {
		value = *s;
		*s = span_from(*s, s->n);
	}
	return options[i].set(rule, value);
}

enum rule_line rule_parse(
	struct span line, struct rule *ret, struct rule_fault *ret_fault)
{
	struct rule rule = { 0 };
	struct rule_fault fault = { 0 };
	struct span s = span_trim(line);

	if (s.n == 0 || *s.p == '#')
		return RULE_BLANK;
	fault.word = span_take_word(&s);
	fault.what = network_parse(fault.word, &rule.network);
	while (!fault.what && s.n)
		fault.what = take_option(&s, &rule, &fault);
	if (fault.what) {
		*ret_fault = fault;
		return RULE_WRONG;
	}
	*ret = rule;
	return RULE_FINE;
}
