/* Promises to split any line; refuses to know verbs. Other protocols are told by their
 * content. */
#include "proto/command.h"

#define TLS_RECORD_HANDSHAKE 0x16
#define TLS_RECORD_MAJOR 0x03

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static struct span without_padding(struct span line)
{
	while (line.n && is_blank(line.p[line.n - 1]))
		line.n--;
	return line;
}

bool command_is_padded(struct span line)
{
	return line.n && is_blank(line.p[line.n - 1]);
}

struct command command_parse(struct span line)
{
	struct command c;
	size_t i = 0;

	line = without_padding(line);
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

	line = without_padding(line);
	if (line.n < version.n + 3)
		return false;
	tail = span_from(line, line.n - version.n - 3);
	return span_eq((struct span){ tail.p, version.n }, version) &&
	       is_digit(tail.p[6]) && tail.p[7] == '.' && is_digit(tail.p[8]);
}

bool command_is_tls(struct bytes in)
{
	return in.n >= 2 && in.p[0] == TLS_RECORD_HANDSHAKE &&
	       in.p[1] == TLS_RECORD_MAJOR;
}
