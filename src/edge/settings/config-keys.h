/* SPDX-License-Identifier: ISC */
/* The table of settings that postern.conf(5) describes, and the parsers of its values. */
#pragma once

#include "edge/file.h"
#include "edge/settings/settings.h"

struct config_key {
	const char *name;
	/*
	 * the default, as in a settings file. NULL: the first of the words, or an empty
	 * text, of which the parser makes zeros
	 */
	const char *value;
	/* Parses `text`, which must outlive `c`, into `c`. Returns NULL, or the fault. */
	const char *(*parse)(
		struct config *c, const struct config_key *key, const char *text);
	size_t offset; /* offset in struct config of the member that the parser sets */
	/* parse_word: the words of an enum, in its order */
	const struct words *words;
};

/*
 * Returns "must be one of: a b c", and the word that was probably meant; in memory of the
 * settings.
 */
const char *config_word_fault(
	struct config *c, const struct words *words, struct span written);

/* Allocates memory that is freed with the settings; NULL: out of memory. */
void *config_allocate(struct config *c, size_t n);
const char *config_copy(struct config *c, struct span text);
void config_free(struct config *c);

/* The parsers of config-values.c. */

/*
 * Finds the path of a file: the word itself, or for "credential:NAME" the path that
 * systemd's LoadCredential= provides. Without a directory of credentials *ret is the
 * word, because it is not known yet whether the file is needed (edge/file.h). Returns
 * NULL, or the fault.
 */
const char *config_file(struct config *c, const char *word, const char **ret);

/*
 * Returns NULL, or the fault of a path that is not absolute, because processes start in
 * different directories. The cure proposes a path in `directory`.
 */
const char *config_path_fault(struct config *c, struct span path, const char *directory);

/* Parses the path of a directory. */
const char *config_parse_directory(
	struct config *c, const struct config_key *key, const char *text);

/* Parses one file: a path, or a credential. */
const char *config_parse_file(
	struct config *c, const struct config_key *key, const char *text);

/* Parses networks, separated by blanks. */
const char *config_parse_networks(
	struct config *c, const struct config_key *key, const char *text);

const char *config_parse_log(
	struct config *c, const struct config_key *key, const char *text);
const char *config_parse_log_level(
	struct config *c, const struct config_key *key, const char *text);

/* Parse the settings of where mail goes. */
const char *config_parse_maildir(
	struct config *c, const struct config_key *key, const char *text);
const char *config_parse_mailbox(
	struct config *c, const struct config_key *key, const char *text);
const char *config_parse_recipients(
	struct config *c, const struct config_key *key, const char *text);
const char *config_parse_uid(
	struct config *c, const struct config_key *key, const char *text);
const char *config_parse_marker(
	struct config *c, const struct config_key *key, const char *text);
const char *config_parse_catch_all(
	struct config *c, const struct config_key *key, const char *text);
const char *config_parse_delimiter(
	struct config *c, const struct config_key *key, const char *text);

/*
 * The number of settings of a listener, at the end of the table. A connection does not
 * use them.
 */
#define CONFIG_KEYS_OF_LISTENER 8

extern const struct config_key config_keys[];

/* The default of a row, as in a settings file. */
const char *config_default(const struct config_key *key);
extern const struct words config_names;
