/* SPDX-License-Identifier: ISC */
/*
 * The parsers of values with a syntax of their own: files and credentials, lists of
 * networks, the log, and where mail goes. A parser does not look at the file or the
 * directory that a value names.
 */
#include "edge/settings/config-keys.h"
#include <stdlib.h>
#include "proto/destination.h"

#define WORD_FAULT_MAX 160 /* octets of a word and a sentence */
#define JSON_PREFIX "json:"
/* atext (RFC 5321 4.1.2) that can separate the parts of a file name */
#define DELIMITERS "!#$&'*+-=?^_`{|}~"

struct config_memory {
	struct config_memory *next;
	_Alignas(max_align_t) char octets[];
};

void *config_allocate(struct config *c, size_t n)
{
	struct config_memory *memory = malloc(sizeof(*memory) + n);

	if (!memory) {
		c->no_memory = true;
		return NULL;
	}
	memory->next = c->memory;
	c->memory = memory;
	return memory->octets;
}

const char *config_copy(struct config *c, struct span text)
{
	char *copy = config_allocate(c, text.n + 1);

	if (!copy)
		return NULL;
	if (text.n)
		memcpy(copy, text.p, text.n);
	copy[text.n] = '\0';
	return copy;
}

void config_free(struct config *c)
{
	while (c->memory) {
		struct config_memory *next = c->memory->next;
		free(c->memory);
		c->memory = next;
	}
}

static const char **text_at(struct config *c, const struct config_key *key)
{
	return (const char **)((char *)c + key->offset);
}

const char *config_path_fault(struct config *c, struct span path, const char *directory)
{
	char text[CONFIG_FAULT_MAX];

	if (path.n == 0 || *path.p == '/')
		return NULL;
	while (path.n > 2 && path.p[0] == '.' && path.p[1] == '/')
		path = span_from(path, 2);
	snprintf(text, sizeof(text), "must be an absolute path, such as %s%s%.*s",
		directory, *path.p == '.' ? "" : "/", *path.p == '.' ? 0 : (int)path.n,
		path.p);
	return config_copy(c, span_of(text));
}

const char *config_parse_directory(
	struct config *c, const struct config_key *key, const char *text)
{
	*text_at(c, key) = *text ? text : NULL;
	return config_path_fault(c, span_of(text),
		strcmp(key->name, "mail-root") == 0 ? "/srv" : "/var/lib/postern");
}

const char *config_file(struct config *c, const char *word, const char **ret)
{
	size_t prefix = strlen(CREDENTIAL_PREFIX), n;
	char *full;

	*ret = word;
	/* most files are not set, and each process parses all defaults first */
	if (!*word)
		return NULL;
	if (!credential_is_unset(word))
		return config_path_fault(c, span_of(word), "/etc/postern");
	if (strchr(word, '/'))
		return "credential: takes a name, not a path";
	if (!c->credentials)
		return NULL;
	n = strlen(c->credentials) + strlen(word) - prefix + 2;
	*ret = full = config_allocate(c, n);
	if (!full)
		return "out of memory";
	snprintf(full, n, "%s/%s", c->credentials, word + prefix);
	return NULL;
}

const char *config_parse_file(
	struct config *c, const struct config_key *key, const char *text)
{
	const char **path = text_at(c, key);
	const char *wrong = config_file(c, text, path);

	if (wrong || !*text)
		*path = NULL;
	return wrong;
}

void config_show(const struct config *c, const char *text, struct buf *to)
{
	const char *directory = c->credentials;
	size_t n = directory ? strlen(directory) : 0;

	while (*text) {
		if (n && strncmp(text, directory, n) == 0 && text[n] == '/') {
			buf_put(to, SPAN(CREDENTIAL_PREFIX));
			text += n + 1;
		} else {
			buf_put_char(to, *text++);
		}
	}
	buf_terminate(to);
}

static size_t count_words(struct span text)
{
	size_t n = 0;

	while (span_take_word(&text).n)
		n++;
	return n;
}

/* Returns "WORD FAULT". */
static const char *word_fault(struct config *c, struct span word, const char *what)
{
	char text[WORD_FAULT_MAX];

	snprintf(text, sizeof(text), "%.*s %s", word.n < 60 ? (int)word.n : 60, word.p,
		what);
	return config_copy(c, span_of(text));
}

const char *config_parse_networks(
	struct config *c, const struct config_key *key, const char *text)
{
	struct networks *networks = (struct networks *)((char *)c + key->offset);
	struct span rest = span_trim(span_of(text));
	size_t n = count_words(rest);
	struct network *list = n ? config_allocate(c, n * sizeof(*list)) : NULL;

	*networks = (struct networks){ 0 };
	if (n && !list)
		return "out of memory";
	for (size_t i = 0; i < n; i++) {
		struct span word = span_take_word(&rest);
		const char *what = network_parse(word, &list[i]);
		if (what && memchr(word.p, ',', word.n))
			what = "has a comma: networks are separated by blanks";
		if (what)
			return word_fault(c, word, what);
	}
	*networks = (struct networks){ list, n };
	return NULL;
}

static const char *const log_words[] = {
	[LOG_AUTO] = "auto",
	[LOG_STDERR] = "stderr",
	[LOG_SYSLOG_LINES] = "syslog",
	[LOG_JOURNAL] = "journal",
	[LOG_JSON] = "json:FILE", /* the form that a fault shows */
};
static const struct words log_choices = WORDS_OF(log_words);

/* A path alone probably means a file of JSON Lines. */
static const char *log_fault(struct config *c, const char *text)
{
	bool is_file = strchr(text, '/') || strncmp(text, "json", 4) == 0;

	return config_word_fault(
		c, &log_choices, span_of(is_file ? log_words[LOG_JSON] : text));
}

const char *config_parse_log(
	struct config *c, const struct config_key *key, const char *text)
{
	const char *fault = NULL;
	size_t prefix = strlen(JSON_PREFIX), i = words_find(&log_choices, span_of(text));

	(void)key;
	if (strncmp(text, JSON_PREFIX, prefix) == 0 && text[prefix]) {
		i = LOG_JSON;
		c->log_file = text + prefix;
		fault = config_path_fault(
			c, span_of(c->log_file), JSON_PREFIX "/var/log/postern");
	} else if (i >= LOG_JSON) {
		return log_fault(c, text);
	}
	c->log = (enum log_choice)i;
	return fault;
}

const char *config_parse_log_level(
	struct config *c, const struct config_key *key, const char *text)
{
	static const struct {
		const char *word;
		enum record_level level;
	} levels[] = { { "debug", RECORD_LEVEL_DEBUG }, { "info", RECORD_LEVEL_INFO },
		{ "warning", RECORD_LEVEL_WARNING }, { "error", RECORD_LEVEL_ERROR } };
	static const struct words words = WORDS_OF(levels);
	size_t i = words_find(&words, span_of(text));

	(void)key;
	if (i == words.n)
		return config_word_fault(c, &words, span_of(text));
	c->log_level = levels[i].level;
	return NULL;
}

const char *config_parse_maildir(
	struct config *c, const struct config_key *key, const char *text)
{
	const char *fault = destination_path_fault(span_of(text));

	if (!fault)
		*text_at(c, key) = *text ? text : NULL;
	return fault;
}

/* Parses a path below mail-root that does not depend on addresses. */
const char *config_parse_mailbox(
	struct config *c, const struct config_key *key, const char *text)
{
	const char *fault = *text ? destination_below_fault(span_of(text)) : NULL;

	if (!fault && (strchr(text, '%') || *text == '/'))
		fault = "must be the path of a Maildir below mail-root, without %";
	if (!fault)
		*text_at(c, key) = *text ? text : NULL;
	return fault;
}

/* Parses a file, or "passwd:" for the users of the system. */
const char *config_parse_recipients(
	struct config *c, const struct config_key *key, const char *text)
{
	const size_t n = strlen(RECIPIENTS_USERS);

	c->has_users = strncmp(text, RECIPIENTS_USERS, n) == 0;
	if (!c->has_users)
		return config_parse_file(c, key, text);
	c->recipients_file = NULL;
	return text[n] ? RECIPIENTS_USERS
		       " stands alone: users are looked up by the name services of the "
		       "system (nsswitch.conf(5))"
		       : NULL;
}

/* Root never gets mail by its number. */
const char *config_parse_uid(
	struct config *c, const struct config_key *key, const char *text)
{
	uint64_t number;

	if (!conf_quantity(span_of(text), "", NULL, &number) || number == 0 ||
		number >= UINT32_MAX)
		return "must be the number of a user, from 1 to 4294967294";
	*(uint32_t *)((char *)c + key->offset) = (uint32_t)number;
	return NULL;
}

const char *config_parse_marker(
	struct config *c, const struct config_key *key, const char *text)
{
	if (strchr(text, '/') || strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
		return "must be the name of a file in mail-root, without a slash";
	*text_at(c, key) = *text ? text : NULL;
	return NULL;
}

/* The address is looked up like a recipient. */
static const char *address_fault(const char *text)
{
	struct span local, domain;

	destination_key_cut(span_of(text), &local, &domain);
	return local.n ? destination_key_fault(span_of(text)) : "is no address";
}

const char *config_parse_catch_all(
	struct config *c, const struct config_key *key, const char *text)
{
	const char *fault = recipients_is_address(text)
				    ? address_fault(text)
				    : destination_below_fault(span_of(text));

	if (!fault)
		*text_at(c, key) = *text ? text : NULL;
	return fault;
}

const char *config_parse_delimiter(
	struct config *c, const struct config_key *key, const char *text)
{
	if (strlen(text) > 1 || (*text && !strchr(DELIMITERS, *text)))
		return "must be one character that may stand in a local part, and no "
		       "letter, digit, dot, slash or percent sign";
	*((char *)c + key->offset) = *text;
	return NULL;
}
