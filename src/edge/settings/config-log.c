/* Promises that `log` names a sink, and for JSON Lines a file. Refuses to look at the file. */
#include <stdlib.h>
#include "edge/settings/config-keys.h"

#define JSON_PREFIX "json:"

static const char *const words[] = {
	[LOG_AUTO] = "auto",
	[LOG_STDERR] = "stderr",
	[LOG_SYSLOG_LINES] = "syslog",
	[LOG_JOURNAL] = "journal",
	[LOG_JSON] = "json:FILE", /* for a fault's text */
	NULL,
};

/* A path is meant to be that of JSON Lines. */
static const char *log_fault(
	struct config *c, const struct config_key *key, const char *text)
{
	bool is_file = strchr(text, '/') || strncmp(text, "json", 4) == 0;

	return config_word_fault(
		c, key, words, is_file ? span_of(words[LOG_JSON]) : span_of(text));
}

const char *config_parse_log(
	struct config *c, const struct config_key *key, const char *text)
{
	size_t prefix = strlen(JSON_PREFIX);

	if (strncmp(text, JSON_PREFIX, prefix) == 0 && text[prefix]) {
		c->log = LOG_JSON;
		c->log_file = text + prefix;
		return NULL;
	}
	for (size_t i = 0; i < LOG_JSON; i++) {
		if (strcmp(words[i], text) != 0)
			continue;
		c->log = (enum log_choice)i;
		return NULL;
	}
	return log_fault(c, key, text);
}

const char *config_parse_log_level(
	struct config *c, const struct config_key *key, const char *text)
{
	static const char *const names[] = { "debug", "info", "warning", "error", NULL };
	static const enum record_level levels[] = { RECORD_LEVEL_DEBUG, RECORD_LEVEL_INFO,
		RECORD_LEVEL_WARNING, RECORD_LEVEL_ERROR };

	for (size_t i = 0; names[i]; i++) {
		if (strcmp(names[i], text) != 0)
			continue;
		c->log_level = levels[i];
		return NULL;
	}
	return config_word_fault(c, key, names, span_of(text));
}
