/* SPDX-License-Identifier: ISC */
/* The table of settings that postern.conf(5) describes, and the parsers of its values. */
#pragma once

#include "edge/file.h"
#include "edge/settings/settings.h"

struct config_key {
	const char *name;
	const char *value; /* the default, as it would be written */
	/* Takes `text` (which lives on) into `c`. NULL, or what is wrong. */
	const char *(*parse)(
		struct config *c, const struct config_key *key, const char *text);
	size_t offset; /* in struct config, of what the parser fills */
	/* for parse_word: of an enum, in its order */
	const struct words *words;
};

/* "must be one of: a b c", and which was perhaps meant. Memory of the settings. */
const char *config_word_fault(
	struct config *c, const struct words *words, struct span written);

/* Memory that lives as long as the settings; NULL: there is none. */
void *config_allocate(struct config *c, size_t n);
const char *config_copy(struct config *c, struct span text);
void config_free(struct config *c);

/* The parsers of config-values.c. */

/*
 * *ret is the path of a file: the word itself, or where systemd's LoadCredential= has put
 * it for "credential:NAME". Without a directory for them the word stands for the path:
 * whether the file is needed is not known yet (edge/file.h). NULL, or what is wrong.
 */
const char *config_file(struct config *c, const char *word, const char **ret);

/*
 * NULL, or what is wrong with a path that is not absolute: processes are started in
 * different directories. The cure names one in `directory`.
 */
const char *config_path_fault(struct config *c, struct span path, const char *directory);

/* A directory. */
const char *config_parse_directory(
	struct config *c, const struct config_key *key, const char *text);

/* One file: a path, or a credential. */
const char *config_parse_file(
	struct config *c, const struct config_key *key, const char *text);

/* Networks, separated by blanks. */
const char *config_parse_networks(
	struct config *c, const struct config_key *key, const char *text);

const char *config_parse_log(
	struct config *c, const struct config_key *key, const char *text);
const char *config_parse_log_level(
	struct config *c, const struct config_key *key, const char *text);

/* Where mail goes. */
const char *config_parse_maildir(
	struct config *c, const struct config_key *key, const char *text);
const char *config_parse_mailbox(
	struct config *c, const struct config_key *key, const char *text);
const char *config_parse_marker(
	struct config *c, const struct config_key *key, const char *text);
const char *config_parse_catch_all(
	struct config *c, const struct config_key *key, const char *text);
const char *config_parse_delimiter(
	struct config *c, const struct config_key *key, const char *text);

/* The last of the table: a connection has no use for them. */
#define CONFIG_KEYS_OF_LISTENER 8

extern const struct config_key config_keys[];
extern const struct words config_names;
