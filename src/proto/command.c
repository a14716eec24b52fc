/* Promises to split any line; refuses to know verbs. Other protocols are told by their
 * content. */
#include "proto/command.h"

#define TLS_RECORD_HANDSHAKE 0x16
#define TLS_RECORD_MAJOR 0x03

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

struct command command_parse(struct span line)
{
	struct command c = { .verb = line };
	size_t i = 0;

	while (line.n && is_blank(line.p[line.n - 1]))
		line.n--;
	while (i < line.n && !is_blank(line.p[i]))
		i++;
	c.verb = (struct span){ line.p, i };
	while (i < line.n && is_blank(line.p[i]))
		i++;
	c.args = span_from(line, i);
	return c;
}

/* request-line = method SP request-target SP "HTTP/" DIGIT "." DIGIT */
bool command_is_http(struct span line)
{
	static const struct span version = { " HTTP/", 6 };
	struct span tail;

	if (line.n < version.n + 3)
		return false;
	tail = span_from(line, line.n - version.n - 3);
	return span_eq((struct span){ tail.p, version.n }, version) && tail.p[7] == '.';
}

bool command_is_tls(struct bytes in)
{
	return in.n >= 2 && in.p[0] == TLS_RECORD_HANDSHAKE &&
	       in.p[1] == TLS_RECORD_MAJOR;
}
