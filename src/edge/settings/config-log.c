/* Promises that `log` names a sink, and for JSON Lines a file. Refuses to look at the file. */
#include <stdlib.h>
#include "edge/settings/config-keys.h"

#define JSON_PREFIX "json:"

static const char *const words[] = {
	[LOG_AUTO] = "auto",
	[LOG_STDERR] = "stderr",
	[LOG_SYSLOG_LINES] = "syslog",
	[LOG_JOURNAL] = "journal",
};

const char *config_parse_log(
	struct config *c, const struct config_key *key, const char *text)
{
	size_t prefix = strlen(JSON_PREFIX);

	(void)key;
	if (strncmp(text, JSON_PREFIX, prefix) == 0 && text[prefix]) {
		c->log = LOG_JSON;
		c->log_file = text + prefix;
		return NULL;
	}
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		if (strcmp(words[i], text) != 0)
			continue;
		c->log = (enum log_choice)i;
		return NULL;
	}
	return "must be one of: auto stderr syslog journal json:FILE";
}

const char *config_parse_log_level(
	struct config *c, const struct config_key *key, const char *text)
{
	static const struct {
		const char *word;
		enum record_level level;
	} levels[] = {
		{ "debug", RECORD_LEVEL_DEBUG },
		{ "info", RECORD_LEVEL_INFO },
		{ "warning", RECORD_LEVEL_WARNING },
		{ "error", RECORD_LEVEL_ERROR },
	};

	(void)key;
	for (size_t i = 0; i < sizeof(levels) / sizeof(*levels); i++) {
		if (strcmp(levels[i].word, text) != 0)
			continue;
		c->log_level = levels[i].level;
		return NULL;
	}
	return "must be one of: debug info warning error";
}
