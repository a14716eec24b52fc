/* Promises the full path of a file or a sentence; refuses to look at the file. */
#include "edge/settings/config-keys.h"
#include <stdlib.h>

const char *config_credential(const char *word, const char **ret)
{
	size_t prefix = strlen(CREDENTIAL_PREFIX);

	*ret = NULL;
	if (strncmp(word, CREDENTIAL_PREFIX, prefix) != 0)
		return NULL;
	if (strchr(word, '/'))
		return "credential: takes a name, not a path";
	*ret = word + prefix;
	return NULL;
}

const char *config_parse_file(
	struct config *c, const struct config_key *key, const char *text)
{
	const char **path = (const char **)((char *)c + key->offset);
	char **row = &c->more[key - config_keys], *full;
	const char *name, *wrong = config_credential(text, &name);

	if (wrong)
		return wrong;
	*path = *text ? text : NULL;
	if (!name || !c->credentials)
		return NULL;
	if (asprintf(&full, "%s/%s", c->credentials, name) < 0)
		return "out of memory";
	free(*row);
	*path = *row = full;
	return NULL;
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
