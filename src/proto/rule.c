/*
 * Promises that a line means one thing or is refused with the word that is wrong; refuses
 * to know files, and what comes of a rule.
 */
#include "proto/rule.h"

static const char *set_proxy(struct rule *rule, struct span value)
{
	(void)value;
	if (rule->proxy)
		return "is said twice";
	rule->proxy = true;
	return NULL;
}

static const char *set_tls(struct rule *rule, struct span value)
{
	static const struct {
		struct span word;
		enum rule_tls tls;
	} modes[] = {
		{ { "off", 3 }, RULE_TLS_OFF }, { { "on", 2 }, RULE_TLS_ON },
		{ { "required", 8 }, RULE_TLS_REQUIRED },
		{ { "ssl", 3 }, RULE_TLS_REQUIRED }, /* the panel's own word for it */
	};

	if (rule->tls != RULE_TLS_AS_SET)
		return "is said twice";
	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++)
		if (span_eq(modes[i].word, value))
			rule->tls = modes[i].tls;
	return rule->tls == RULE_TLS_AS_SET ? "must be tls=off, tls=on or tls=required"
					    : NULL;
}

static bool is_printable(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < 32 || s.p[i] > 126)
			return false;
	return true;
}

static const char *set_priority(struct rule *rule, struct span value)
{
	if (rule->priority.n)
		return "is said twice";
	if (value.n == 0 || !is_printable(value))
		return "must be a priority string of GnuTLS, without blanks";
	rule->priority = value;
	return NULL;
}

static const char *set_dsn(struct rule *rule, struct span value)
{
	if (rule->no_dsn)
		return "is said twice";
	rule->no_dsn = span_eq(value, SPAN("off"));
	return rule->no_dsn ? NULL : "must be dsn=off";
}

/* Quotes and backslashes would be escaped in the reply: what is written here is said. */
static const char *set_deny(struct rule *rule, struct span text)
{
	if (rule->proxy || rule->no_dsn || rule->tls != RULE_TLS_AS_SET ||
		rule->priority.n)
		return "goes with nothing else";
	if (text.n == 0)
		return "needs a text, which the client is told";
	if (text.n > RULE_TEXT_MAX)
		return "has a text of more than 256 octets";
	if (!is_printable(text) || memchr(text.p, '"', text.n) ||
		memchr(text.p, '\\', text.n))
		return "has a text that is not printable ASCII without \" and \\";
	rule->deny = text;
	return NULL;
}

static const char *const names[] = { "deny", "dsn=", "proxy",
	"tls=", "tls-priority=", NULL };
static const char *const tls_words[] = { "off", "on", "required", NULL };
static const char *const dsn_words[] = { "off", NULL };

static const struct {
	struct span name; /* with its "=" */
	bool takes_line; /* the value is all that follows */
	const char *(*set)(struct rule *rule, struct span value);
	const char *const *words; /* of the value; or NULL */
} options[] = {
	{ { "proxy", 5 }, false, set_proxy, NULL },
	{ { "tls=", 4 }, false, set_tls, tls_words },
	{ { "tls-priority=", 13 }, false, set_priority, NULL },
	{ { "dsn=", 4 }, false, set_dsn, dsn_words },
	{ { "deny", 4 }, true, set_deny, NULL },
};

static bool is_one_of(struct span value, const char *const *words)
{
	while (*words && !span_eq(span_of(*words), value))
		words++;
	return *words != NULL;
}

/* Takes an option from the front of `s`. NULL, or what is wrong; the rest of the fault is then in *f. */
static const char *take_option(struct span *s, struct rule *rule, struct rule_fault *f)
{
	const char *equals;
	struct span name, value;

	f->word = name = span_take_word(s);
	equals = memchr(name.p, '=', name.n);
	if (equals)
		name.n = (size_t)(equals - name.p) + 1;
	value = span_from(f->word, name.n);
	f->written = name;
	f->words = names;
	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
		if (!span_eq(options[i].name, name))
			continue;
		f->written = value;
		f->words = options[i].words;
		/* the value is right, and something else is wrong */
		if (f->words && is_one_of(value, f->words))
			f->words = NULL;
		if (options[i].takes_line) {
			value = *s;
			*s = span_from(*s, s->n);
		}
		return options[i].set(rule, value);
	}
	return "is not deny, dsn=, proxy, tls= or tls-priority=";
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
