/* SPDX-License-Identifier: ISC */
/*
 * Lines of the file `milters`. The forms of other mail servers for the same address
 * (tcp:, local:, inet:PORT@HOST) are refused with the right form.
 */
#include "proto/milter.h"
#include "base/num.h"

#define CONNECT_TIMEOUT 30 /* seconds, as in Postfix */
#define COMMAND_TIMEOUT 30
#define CONTENT_TIMEOUT 300

static const char no_port[] = "needs a port from 1 to 65535 behind its address, "
			      "as in inet:127.0.0.1:11332";

static bool parse_port(struct span text, uint16_t *ret)
{
	uint64_t port;

	if (!num_parse(text, &port) || port == 0 || port > UINT16_MAX)
		return false;
	*ret = (uint16_t)port;
	return true;
}

/* Splits "ADDRESS:PORT" at its last colon; without one the port is empty. */
static struct span cut_port(struct span *address)
{
	size_t n = address->n;
	struct span port;

	while (n && address->p[n - 1] != ':')
		n--;
	if (n == 0)
		return span_from(*address, address->n);
	port = span_from(*address, n);
	address->n = n - 1;
	return port;
}

/* inet = ipv4 ":" port / "[" ipv6 "]:" port */
static const char *parse_inet(struct span text, struct milter_setting *s)
{
	bool bracket = text.n && *text.p == '[';
	struct span port;
	struct ip whole;

	if (memchr(text.p, '@', text.n))
		return "is written inet:ADDRESS:PORT here, as in inet:127.0.0.1:11332";
	if (!bracket && memchr(text.p, ':', text.n) && ip_parse(text, &whole))
		return "needs brackets around an IPv6 address, as in inet:[::1]:11332";
	port = cut_port(&text);
	if (!parse_port(port, &s->port))
		return no_port;
	if (bracket) {
		if (!span_ends(text, SPAN("]")))
			return no_port;
		text = (struct span){ text.p + 1, text.n - 2 };
	}
	if (!ip_parse(text, &s->ip))
		return "needs an IP address, because names are not looked up, as in "
		       "inet:127.0.0.1:11332";
	if (!bracket && memchr(text.p, ':', text.n))
		return "needs brackets around an IPv6 address, as in inet:[::1]:11332";
	return NULL;
}

static const char *parse_unix(struct span path, struct milter_setting *s)
{
	if (path.n < 2 || *path.p != '/')
		return "needs a path that begins with /, as in unix:/run/filter.sock";
	if (path.n > MILTER_PATH_MAX)
		return "has a path of more than 107 octets, which no UNIX socket has";
	if (memchr(path.p, '\0', path.n))
		return "has a NUL in it";
	s->path = path;
	return NULL;
}

/* The forms of other programs, and the right forms. */
static const struct {
	const char *prefix, *what;
} foreign[] = {
	{ "tcp:", "is written inet:ADDRESS:PORT here, as in inet:127.0.0.1:11332" },
	{ "tcp4:", "is written inet:ADDRESS:PORT here, as in inet:127.0.0.1:11332" },
	{ "inet4:", "is written inet:ADDRESS:PORT here, as in inet:127.0.0.1:11332" },
	{ "tcp6:", "is written inet:[ADDRESS]:PORT here, as in inet:[::1]:11332" },
	{ "inet6:", "is written inet:[ADDRESS]:PORT here, as in inet:[::1]:11332" },
	{ "local:", "is written unix:PATH here, as in unix:/run/filter.sock" },
	{ "/", "is a path: write unix: in front of it" },
};

static const char *parse_address(struct span word, struct milter_setting *s)
{
	if (span_starts(word, SPAN("inet:")))
		return parse_inet(span_from(word, strlen("inet:")), s);
	if (span_starts(word, SPAN("unix:")))
		return parse_unix(span_from(word, strlen("unix:")), s);
	for (size_t i = 0; i < sizeof(foreign) / sizeof(*foreign); i++)
		if (span_starts(word, span_of(foreign[i].prefix)))
			return foreign[i].what;
	return "must begin with inet: or unix:, as in inet:127.0.0.1:11332";
}

static const char *set_time(unsigned *timeout, struct span value)
{
	static const uint64_t factors[] = { 1, 60, 3600 };
	uint64_t seconds;

	if (!conf_quantity(value, "smh", factors, &seconds) || seconds == 0 ||
		seconds > MILTER_TIMEOUT_MAX)
		return "must be a time from 1s to 1h";
	*timeout = (unsigned)seconds;
	return NULL;
}

static const char *set_connect(struct milter_setting *s, struct span value)
{
	return set_time(&s->connect_timeout, value);
}

static const char *set_command(struct milter_setting *s, struct span value)
{
	return set_time(&s->command_timeout, value);
}

static const char *set_content(struct milter_setting *s, struct span value)
{
	return set_time(&s->content_timeout, value);
}

/* in the order of enum milter_default */
static const struct words actions =
	WORDS("tempfail", "accept", "reject", "shutdown", "quarantine");

const char *milter_default_word(enum milter_default action)
{
	return words_get(&actions, action);
}

static const char *set_action(struct milter_setting *s, struct span value)
{
	size_t i = words_find(&actions, value);

	if (i == actions.n)
		return "must be default-action=tempfail, accept, reject, shutdown or "
		       "quarantine";
	s->default_action = (enum milter_default)i;
	return NULL;
}

static const struct {
	const char *name; /* including its "=" */
	const char *(*set)(struct milter_setting *s, struct span value);
	const struct words *words; /* allowed values, or NULL */
} options[] = {
	{ "command-timeout=", set_command, NULL },
	{ "connect-timeout=", set_connect, NULL },
	{ "content-timeout=", set_content, NULL },
	{ "default-action=", set_action, &actions },
};

static const struct words option_names = WORDS_OF(options);

#define SEEN(i) (1U << (i))

/* Reads one option. NULL, or what is wrong, with the rest in *f. */
static const char *take_option(
	struct span word, struct milter_setting *s, unsigned *seen, struct rule_fault *f)
{
	struct span rest = word, name = span_take(&rest, '=');
	struct span value = span_from(word, name.n + (name.n < word.n));
	size_t i;

	name.n += name.n < word.n;
	f->word = word;
	f->written = name;
	f->words = &option_names;
	i = words_find(&option_names, name);
	if (i == option_names.n)
		return "is not command-timeout=, connect-timeout=, content-timeout= or "
		       "default-action=";
	f->words = NULL;
	if (*seen & SEEN(i))
		return "is given twice";
	*seen |= SEEN(i);
	f->written = value;
	f->words = options[i].words;
	return options[i].set(s, value);
}

enum rule_line milter_line_parse(
	struct span line, struct milter_setting *ret, struct rule_fault *ret_fault)
{
	struct milter_setting s = { .default_action = MILTER_DEFAULT_TEMPFAIL };
	struct rule_fault fault = { 0 };
	struct span rest = span_trim(line);
	unsigned seen = 0;

	if (rest.n == 0 || *rest.p == '#')
		return RULE_BLANK;
	s.address = fault.word = span_take_word(&rest);
	fault.what = parse_address(s.address, &s);
	while (!fault.what && rest.n)
		fault.what = take_option(span_take_word(&rest), &s, &seen, &fault);
	if (fault.what) {
		*ret_fault = fault;
		return RULE_WRONG;
	}
	s.connect_timeout = s.connect_timeout ? s.connect_timeout : CONNECT_TIMEOUT;
	s.command_timeout = s.command_timeout ? s.command_timeout : COMMAND_TIMEOUT;
	s.content_timeout = s.content_timeout ? s.content_timeout : CONTENT_TIMEOUT;
	*ret = s;
	return RULE_FINE;
}
