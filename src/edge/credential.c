/* Promises that no placeholder is taken for a key, a secret or a table. Refuses to open anything. */
#include "edge/credential.h"
#include <string.h>

#define OLD_PLACEHOLDER "none" /* of the units before the path was in it */
#define PLACEHOLDER_MAX 256

bool credential_is_unset(const char *path)
{
	return strncmp(path, CREDENTIAL_PREFIX, strlen(CREDENTIAL_PREFIX)) == 0;
}

static struct span without_line_end(struct span content)
{
	while (span_ends(content, SPAN("\n")))
		content.n--;
	return content;
}

/* The path in a placeholder, or nothing. */
static struct span file_of(struct span content)
{
	struct span prefix = SPAN(CREDENTIAL_MISSING);

	content = without_line_end(content);
	if (content.n <= prefix.n ||
		!span_eq((struct span){ content.p, prefix.n }, prefix))
		return SPAN("");
	content = span_trim(span_from(content, prefix.n));
	for (size_t i = 0; i < content.n; i++)
		if (content.p[i] <= ' ' || content.p[i] > '~')
			return SPAN("");
	return content.n && *content.p == '/' ? content : SPAN("");
}

bool credential_is_placeholder(struct span content)
{
	content = without_line_end(content);
	return content.n <= PLACEHOLDER_MAX &&
	       (span_eq(content, SPAN(OLD_PLACEHOLDER)) || file_of(content).n);
}

void credential_put_fault(struct buf *to, const char *path, struct span content)
{
	struct span file = file_of(content);

	if (credential_is_unset(path)) {
		buf_put(to, SPAN("CREDENTIALS_DIRECTORY is not set: start postern by a "
				 "unit with LoadCredential=, or name the file itself"));
		return;
	}
	buf_put(to, file.n ? file : SPAN("the file that LoadCredential= names"));
	buf_put(to, SPAN(" is missing or systemd could not read it; put it there "
			 "(chown root, chmod 0600): the unit reads it when it starts"));
}
