/* The table of settings: what postern.conf(5) describes, row by row. */
#pragma once

#include "edge/settings/config.h"
#include "edge/credential.h"

struct config_key {
	const char *name;
	const char *value; /* the default, as it would be written */
	/* Takes `text` (which lives on) into `c`. NULL, or what is
	 * wrong. */
	const char *(*parse)(
		struct config *c, const struct config_key *key, const char *text);
	size_t offset; /* in struct config, of what the parser fills */
	const char *const
		*words; /* for parse_word: the enum's words in order; NULL ends */
};

/* In config-keys.c: "must be one of: a b c", and which was perhaps meant. The sentence is the row's memory. */
const char *config_word_fault(struct config *c, const struct config_key *key,
	const char *const *words, struct span written);

/*
 * In config-files.c. *ret is the name behind "credential:", a file that systemd's LoadCredential= has put
 * in place, or NULL where the word is a path. Returns NULL, or what is wrong. Without a directory for them the
 * word itself stands for the path: whether the file is needed is not known yet (credential.h).
 */
const char *config_credential(const char *word, const char **ret);

/* A parser of the table: one file, in either way. */
const char *config_parse_file(
	struct config *c, const struct config_key *key, const char *text);

/* A parser of the table, in config-networks.c: networks, separated by blanks. */
const char *config_parse_networks(
	struct config *c, const struct config_key *key, const char *text);

/* In config-log.c. */
const char *config_parse_log(
	struct config *c, const struct config_key *key, const char *text);
const char *config_parse_log_level(
	struct config *c, const struct config_key *key, const char *text);

/* Of config-recipients.c: where mail goes. */
const char *config_parse_maildir(
	struct config *c, const struct config_key *key, const char *text);
const char *config_parse_marker(
	struct config *c, const struct config_key *key, const char *text);
const char *config_parse_catch_all(
	struct config *c, const struct config_key *key, const char *text);
const char *config_parse_delimiter(
	struct config *c, const struct config_key *key, const char *text);

extern const struct config_key config_keys[];
extern const size_t config_n_keys;
