/* Promises that where mail goes is below mail-root, or a sentence. Refuses to know whose mail it is. */
#include "edge/settings/config-keys.h"
#include "proto/destination.h"

#define DELIMITERS                                                                       \
	"!#$&'*+-=?^_`{|}~" /* atext (RFC 5321 4.1.2), as far as it can part names of files */

static const char **text_at(struct config *c, const struct config_key *key)
{
	return (const char **)((char *)c + key->offset);
}

const char *config_parse_maildir(
	struct config *c, const struct config_key *key, const char *text)
{
	const char *fault = destination_path_fault(span_of(text));

	if (!fault)
		*text_at(c, key) = *text ? text : NULL;
	return fault;
}

const char *config_parse_marker(
	struct config *c, const struct config_key *key, const char *text)
{
	if (strchr(text, '/') || strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
		return "must be the name of a file in mail-root, without a slash";
	*text_at(c, key) = *text ? text : NULL;
	return NULL;
}

/* It is looked up like any other. */
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
