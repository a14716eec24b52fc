/* SPDX-License-Identifier: ISC */
/* The table of settings and the parsers that most rows share. */
#include "edge/settings/config-keys.h"
#include <stdlib.h>
#include <sys/utsname.h>
#include "base/buf.h"
#include "proto/address.h"
#include "proto/conf.h"
#include "proto/text.h"

#define LABEL_MAX 64 /* octets of maildir-hostname */
#define RECIPIENTS_LEAST 100 /* RFC 5321 4.5.3.1.8 */
#define COUNT_MAX 999999 /* the largest value that LIMITS can announce, RFC 9422 4.1 */
#define WORDS_MAX 128 /* octets of a sentence with the words of a setting */

static void *field(struct config *c, const struct config_key *key)
{
	return (char *)c + key->offset;
}

static const char *parse_text(
	struct config *c, const struct config_key *key, const char *text)
{
	*(const char **)field(c, key) = *text ? text : NULL;
	return NULL;
}

static const char *parse_banner(
	struct config *c, const struct config_key *key, const char *text)
{
	if (!text_is_printable(span_of(text)))
		return "must be printable ASCII";
	*(const char **)field(c, key) = text;
	return NULL;
}

const char *config_word_fault(
	struct config *c, const struct words *words, struct span written)
{
	char text[WORDS_MAX], meant[CONF_MEANT_MAX];
	struct buf b = BUF(text);

	conf_put_meant(meant, written, words);
	buf_put(&b, SPAN("must be one of:"));
	for (size_t i = 0; i < words->n; i++) {
		buf_put_char(&b, ' ');
		buf_put_str(&b, words_get(words, i));
	}
	buf_put_str(&b, meant);
	buf_terminate(&b);
	return config_copy(c, span_of(text));
}

static const char *parse_word(
	struct config *c, const struct config_key *key, const char *text)
{
	size_t i = words_find(key->words, span_of(text));

	if (i == key->words->n)
		return config_word_fault(c, key->words, span_of(text));
	*(int *)field(c, key) = (int)i;
	return NULL;
}

static const char *parse_tls(
	struct config *c, const struct config_key *key, const char *text)
{
	/* `ssl` is the panel's word for it */
	return parse_word(c, key, strcmp(text, "ssl") == 0 ? "required" : text);
}

static const char *parse_flag(
	struct config *c, const struct config_key *key, const char *text)
{
	static const char *const answers[] = { "no", "yes" };
	static const struct words words = WORDS_OF(answers);
	size_t i = words_find(&words, span_of(text));
	char fault[WORDS_MAX], meant[CONF_MEANT_MAX];

	if (i == words.n) {
		conf_put_meant(meant, span_of(text), &words);
		snprintf(fault, sizeof(fault), "must be yes or no%s", meant);
		return config_copy(c, span_of(fault));
	}
	*(bool *)field(c, key) = i;
	return NULL;
}

static const char *parse_seconds(
	struct config *c, const struct config_key *key, const char *text)
{
	static const uint64_t factors[] = { 1, 60, 3600 };
	uint64_t *to = field(c, key);

	if (!conf_quantity(span_of(text), "smh", factors, to) || *to == 0 || *to > 86400)
		return "must be a time from 1s to 24h: a number, and s, m or h";
	return NULL;
}

static const char *parse_octets(
	struct config *c, const struct config_key *key, const char *text)
{
	static const uint64_t factors[] = { 1 << 10, 1 << 20, 1 << 30 };

	if (!conf_quantity(span_of(text), "kmg", factors, field(c, key)))
		return "must be a number of octets, optionally with K, M or G; 0 for no "
		       "limit";
	return NULL;
}

static const char *parse_count(
	struct config *c, const struct config_key *key, const char *text)
{
	uint64_t count;

	if (!conf_quantity(span_of(text), "", NULL, &count) || count == 0 ||
		count > COUNT_MAX)
		return "must be a number from 1 to 999999";
	*(size_t *)field(c, key) = (size_t)count;
	return NULL;
}

static const char *parse_count_or_none(
	struct config *c, const struct config_key *key, const char *text)
{
	if (strcmp(text, "0") != 0)
		return parse_count(c, key, text)
			       ? "must be a number from 1 to 999999; 0 for no limit"
			       : NULL;
	*(size_t *)field(c, key) = 0;
	return NULL;
}

static const char *parse_recipients(
	struct config *c, const struct config_key *key, const char *text)
{
	const char *wrong = parse_count(c, key, text);

	if (!wrong && c->session.recipient_limit < RECIPIENTS_LEAST)
		return "must be at least 100 (RFC 5321 4.5.3.1.8)";
	return wrong;
}

/* Returns the host name of the system, when none is set. */
static const char *system_name(struct config *c)
{
	struct utsname u;

	return uname(&u) == 0 ? config_copy(c, span_of(u.nodename)) : NULL;
}

static const char *parse_hostname(
	struct config *c, const struct config_key *key, const char *text)
{
	const char *name = *text ? text : system_name(c);

	if (!name || !domain_valid(span_of(name)))
		return "must be a domain name or an address literal such as [192.0.2.1]";
	*(const char **)field(c, key) = name;
	return NULL;
}

/* It is a part of file names, in which "," and ":" end it for readers of Maildirs. */
static const char *parse_maildir_hostname(
	struct config *c, const struct config_key *key, const char *text)
{
	if (*text && (strlen(text) > LABEL_MAX || !domain_valid(span_of(text)) ||
			     strchr(text, '[')))
		return "must be a name of letters, digits, - and dots, of 64 octets at "
		       "most";
	*(const char **)field(c, key) = *text ? text : NULL;
	return NULL;
}

/* Cuts a copy of `text` at blanks. NULL ends the list. */
static const char **cut(struct config *c, const char *text, size_t *ret_n)
{
	size_t most = strlen(text) / 2 + 2, n = 0;
	const char **list = config_allocate(c, most * sizeof(*list) + strlen(text) + 1);
	char *save = NULL, *copy;

	if (!list)
		return NULL;
	copy = memcpy(list + most, text, strlen(text) + 1);
	for (char *w = strtok_r(copy, " \t", &save); w; w = strtok_r(NULL, " \t", &save))
		list[n++] = w;
	list[n] = NULL;
	*ret_n = n;
	return list;
}

static bool is_domain_pattern(const char *text)
{
	if (strcmp(text, "*") == 0)
		return true;
	/* an address literal has no names below it */
	if (strncmp(text, "*.", 2) == 0 && text[2] != '[')
		text += 2;
	return domain_valid_utf8(span_of(text));
}

static const char *parse_domains(
	struct config *c, const struct config_key *key, const char *text)
{
	const char **list = cut(c, text, &c->session.n_domains);

	(void)key;
	if (!list)
		return "out of memory";
	for (size_t i = 0; i < c->session.n_domains; i++)
		if (!is_domain_pattern(list[i]))
			return "must be domain names, *.name, or * for any, separated by "
			       "blanks";
	c->session.domains = list;
	return NULL;
}

/* Finds a comma before or after a path, which other lists have between their items. */
static const char *comma_fault(const char *word)
{
	size_t n = strlen(word);

	if (*word == ',' || word[n - 1] == ',' || strstr(word, ",/") ||
		strstr(word, "," CREDENTIAL_PREFIX))
		return "has a comma: the files are separated by blanks";
	return NULL;
}

#define SOCKET_PATH_MAX 108 /* octets of sun_path */

/* True for a word of tls-key that is not a file. */
static bool is_token(const struct config_key *key, const char *word)
{
	return strcmp(key->name, "tls-key") == 0 && tls_is_token(word);
}

/* The settings are read by processes, and shown to people, that must not have the PIN. */
static const char *token_fault(const char *word)
{
	const char *file = strstr(word, TLS_PIN_SOURCE);

	if (strstr(word, "pin-value="))
		return "has the PIN in it: write it into a file that others cannot read, "
		       "and name that in place of pin-value=, as in "
		       "pin-source=/etc/postern/pin";
	if (file && file[strlen(TLS_PIN_SOURCE)] != '/')
		return "pin-source= is followed by the path of a file, such as "
		       "pin-source=/etc/postern/pin";
	return NULL;
}

static bool is_agent(const struct config_key *key, const char *word)
{
	return strcmp(key->name, "tls-key") == 0 &&
	       strncmp(word, TLS_AGENT, strlen(TLS_AGENT)) == 0;
}

/* The path must fit into the address of a socket (unix(7)). */
static const char *agent_fault(const char *word, size_t n)
{
	const char *path = word + strlen(TLS_AGENT);

	if (*path != '/' || strlen(path) >= SOCKET_PATH_MAX)
		return "agent: is followed by the path of a socket, such as "
		       "agent:/run/postern/key-agent";
	return n > 1 ? "agent: stands alone: one agent has the keys of all certificates"
		     : NULL;
}

/* Parses paths; "credential:NAME" is a file that systemd provides by LoadCredential=. */
static const char *parse_files(
	struct config *c, const struct config_key *key, const char *text)
{
	size_t n;
	const char **list = cut(c, text, &n);

	if (!list)
		return "out of memory";
	if (n > TLS_PAIR_MAX)
		return "has more than 16 files";
	for (size_t i = 0; i < n; i++) {
		const char *wrong = comma_fault(list[i]);
		if (is_token(key, list[i]))
			wrong = token_fault(list[i]);
		else if (is_agent(key, list[i]))
			wrong = agent_fault(list[i], n);
		else if (!wrong)
			wrong = config_file(c, list[i], &list[i]);
		if (wrong)
			return wrong;
	}
	*(const char *const **)field(c, key) = list;
	return NULL;
}

static const struct words tls_words = WORDS("off", "on", "required", "implicit");
static const struct words auth_words = WORDS("off", "on", "required");
static const struct words bare_words = WORDS("normalize", "reject");
static const struct words name_words = WORDS("auto", "off");
static const struct words create_words = WORDS("auto", "no", "yes");

#define AT(member) offsetof(struct config, member)

const struct config_key config_keys[] = {
	{ "hostname", "", parse_hostname, AT(session.hostname), NULL },
	{ "banner", "", parse_banner, AT(session.banner), NULL },
	{ "domains", "", parse_domains, 0, NULL },
	{ "mail-root", NULL, config_parse_directory, AT(mail_root), NULL },
	{ "mail-root-marker", NULL, config_parse_marker, AT(recipients.marker), NULL },
	{ "maildir", NULL, config_parse_maildir, AT(maildir), NULL },
	{ "maildir-hostname", NULL, parse_maildir_hostname, AT(maildir_hostname), NULL },
	{ "maildir-create", NULL, parse_word, AT(maildir_create), &create_words },
	{ "recipients", NULL, config_parse_recipients, AT(recipients_file), NULL },
	{ "first-valid-uid", "1000", config_parse_uid, AT(users.first), NULL },
	{ "last-valid-uid", "60000", config_parse_uid, AT(users.last), NULL },
	{ "catch-all", NULL, config_parse_catch_all, AT(recipients.catch_all), NULL },
	{ "postmaster", NULL, config_parse_catch_all, AT(recipients.postmaster), NULL },
	{ "subaddress-delimiter", NULL, config_parse_delimiter, AT(recipients.delimiter),
		NULL },
	{ "original-to", "no", parse_flag, AT(session.original_to), NULL },
	{ "dsn-outbox", NULL, config_parse_directory, AT(dsn_outbox), NULL },
	{ "tls", NULL, parse_tls, AT(session.tls), &tls_words },
	{ "tls-certificate", "", parse_files, AT(tls_certificates), NULL },
	{ "tls-key", "", parse_files, AT(tls_keys), NULL },
	{ "tls-priority", TLS_PRIORITY_DEFAULT, parse_text, AT(tls.priority), NULL },
	{ "tls-tickets", NULL, config_parse_file, AT(tls.tickets), NULL },
	{ "tls-client-ca", NULL, config_parse_file, AT(tls.client_ca), NULL },
	{ "auth", NULL, parse_word, AT(session.auth), &auth_words },
	{ "auth-users", NULL, config_parse_file, AT(auth_users), NULL },
	{ "auth-secret", NULL, config_parse_file, AT(auth_secret), NULL },
	{ "auth-certificates", NULL, config_parse_file, AT(auth_certificates), NULL },
	{ "auth-senders", NULL, config_parse_file, AT(auth_senders), NULL },
	{ "size-limit", "50M", parse_octets, AT(session.size_limit), NULL },
	{ "recipient-limit", "1000", parse_recipients, AT(session.recipient_limit),
		NULL },
	{ "transaction-limit", "1000", parse_count, AT(session.transaction_limit), NULL },
	{ "error-limit", "20", parse_count, AT(session.error_limit), NULL },
	{ "timeout", "5m", parse_seconds, AT(timeout), NULL },
	{ "session-timeout", "1h", parse_seconds, AT(session_timeout), NULL },
	{ "min-data-rate", "500", parse_octets, AT(min_data_rate), NULL },
	{ "bare-newline", NULL, parse_word, AT(session.bare_newline), &bare_words },
	{ "log", "auto", config_parse_log, 0, NULL },
	{ "log-level", "info", config_parse_log_level, 0, NULL },
	{ "trace", NULL, config_parse_networks, AT(traced), NULL },
	{ "trace-directory", NULL, config_parse_directory, AT(trace_directory), NULL },
	{ "trace-content", "no", parse_flag, AT(trace_content), NULL },
	{ "proxy-protocol", NULL, config_parse_networks, AT(proxies), NULL },
	{ "milters", NULL, config_parse_file, AT(milters), NULL },
	{ "quarantine-mailbox", NULL, config_parse_mailbox, AT(quarantine_mailbox),
		NULL },
	{ "client-name", NULL, parse_word, AT(client_name), &name_words },
	{ "clients", NULL, config_parse_file, AT(clients_file), NULL },
	{ "user", NULL, parse_text, AT(user), NULL },
	{ "sandbox", "yes", parse_flag, AT(sandbox), NULL },
	/* settings of a listener: the last CONFIG_KEYS_OF_LISTENER rows */
	{ "tls-key-agent", "yes", parse_flag, AT(tls_key_agent), NULL },
	{ "connection-limit", "256", parse_count, AT(connection_limit), NULL },
	{ "source-connection-limit", "32", parse_count_or_none,
		AT(source_connection_limit), NULL },
	{ "source-connection-rate", "0", parse_count_or_none, AT(source_connection_rate),
		NULL },
	{ "source-failed-logins", "20", parse_count_or_none, AT(source_failed_logins),
		NULL },
	{ "source-refused-recipients", "300", parse_count_or_none,
		AT(source_refused_recipients), NULL },
	{ "source-crashes", "3", parse_count_or_none, AT(source_crashes), NULL },
	{ "source-failure-time", "10m", parse_seconds, AT(source_failure_time), NULL },
};

const struct words config_names = WORDS_OF(config_keys);
_Static_assert(sizeof(config_keys) / sizeof(*config_keys) <= CONFIG_KEYS_MAX,
	"CONFIG_KEYS_MAX is less than the number of settings");
