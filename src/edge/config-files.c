/* Promises the full path of a file or a sentence; refuses to look at the file. */
#include "edge/config-keys.h"
#include <stdlib.h>

const char *config_credential(const struct config *c, const char *word, const char **ret)
{
	size_t prefix = strlen(CREDENTIAL_PREFIX);

	*ret = NULL;
	if (strncmp(word, CREDENTIAL_PREFIX, prefix) != 0)
		return NULL;
	if (!c->credentials)
		return "names a credential, but CREDENTIALS_DIRECTORY is not set; see "
		       "LoadCredential= in systemd.exec(5)";
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
	const char *name, *wrong = config_credential(c, text, &name);

	if (wrong)
		return wrong;
	*path = *text ? text : NULL;
	if (!name)
		return NULL;
	if (asprintf(&full, "%s/%s", c->credentials, name) < 0)
		return "out of memory";
	free(*row);
	*path = *row = full;
	return NULL;
}
