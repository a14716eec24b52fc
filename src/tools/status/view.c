/* SPDX-License-Identifier: ISC */
/*
 * Output for terminals and files: styles, cut and wrapped text, and lines with labels.
 * Octets of a log are shown only as printable ASCII, and lines are not longer than the
 * terminal is wide.
 */
#include "tools/status/view.h"
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define DOTS "..."
#define WIDTH_LEAST 32 /* columns; in a narrower window lines wrap */
#define ESCAPED 4 /* \xHH */
#define NARROW 56 /* columns; below this width numbers do not fit beside their labels */

void status_view_init(struct status_view *v, bool colours)
{
	struct winsize size = { 0 };
	bool terminal = isatty(STDOUT_FILENO);

	*v = (struct status_view){ .to = stdout, .colour = terminal && colours };
	if (!terminal)
		return;
	ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	v->width = size.ws_col ? size.ws_col : 80;
	if (v->width < WIDTH_LEAST)
		v->width = WIDTH_LEAST;
	v->height = size.ws_row;
}

static void paint(const struct status_view *v, enum status_style style)
{
	static const char *const codes[] = {
		[STYLE_PLAIN] = "0",
		[STYLE_LABEL] = "1",
		[STYLE_QUIET] = "2",
		[STYLE_GOOD] = "32",
		[STYLE_CARE] = "33",
		[STYLE_BAD] = "1;31",
	};

	if (v->colour)
		fprintf(v->to, "\033[%sm", codes[style]);
}

static bool is_plain(char c)
{
	return c >= 32 && c <= 126;
}

/* Returns the columns of an octet. */
static size_t columns_of(char c)
{
	return is_plain(c) ? 1 : ESCAPED;
}

static void put_octet(const struct status_view *v, char c)
{
	if (is_plain(c))
		putc(c, v->to);
	else
		fprintf(v->to, "\\x%02X", (unsigned)(unsigned char)c);
}

/* Returns the number of octets that fit in `columns`. */
static size_t octets_within(struct span text, size_t columns)
{
	size_t i = 0, used = 0;

	while (i < text.n && used + columns_of(text.p[i]) <= columns)
		used += columns_of(text.p[i++]);
	return i;
}

void status_put(const struct status_view *v, enum status_style style, struct span text,
	size_t columns)
{
	size_t dots = sizeof(DOTS) - 1;
	bool cut = columns && octets_within(text, columns) < text.n;

	if (cut)
		text.n = columns > dots ? octets_within(text, columns - dots) : 0;
	if (style != STYLE_PLAIN)
		paint(v, style);
	for (size_t i = 0; i < text.n; i++)
		put_octet(v, text.p[i]);
	if (cut)
		fprintf(v->to, "%.*s", (int)columns, DOTS);
	if (style != STYLE_PLAIN)
		paint(v, STYLE_PLAIN);
}

void status_pad(const struct status_view *v, size_t columns)
{
	fprintf(v->to, "%*s", (int)columns, "");
}

/* Returns the words that fit; at least the part of the first one that fits. */
static struct span first_line(struct span text, size_t columns)
{
	size_t n = octets_within(text, columns), cut = n;

	if (n == text.n || text.p[n] == ' ')
		return (struct span){ text.p, n };
	while (cut && text.p[cut - 1] != ' ')
		cut--;
	return (struct span){ text.p, cut ? cut - 1 : n };
}

void status_put_wrapped(const struct status_view *v, enum status_style style,
	struct span text, size_t indent)
{
	size_t columns = v->width > indent + ESCAPED ? v->width - indent : SIZE_MAX;

	while (text.n) {
		struct span line = first_line(text, columns);

		text = span_from(text, line.n);
		while (line.n && line.p[line.n - 1] == ' ')
			line.n--;
		status_put(v, style, line, 0);
		while (text.n && *text.p == ' ')
			text = span_from(text, 1);
		putc('\n', v->to);
		if (text.n)
			status_pad(v, indent);
	}
}

void status_put_octets(struct buf *to, uint64_t octets)
{
	static const char units[] = "KMGTPE";
	uint64_t unit = 1024;
	size_t i = 0;

	if (octets < 10000) {
		buf_put_num(to, octets);
		return;
	}
	while (units[i + 1] && octets / unit >= 1024) {
		unit *= 1024;
		i++;
	}
	buf_put_num(to, octets / unit);
	if (octets / unit < 100) {
		buf_put_char(to, '.');
		buf_put_num(to, octets % unit / (unit / 10 + 1));
	}
	buf_put_char(to, units[i]);
}

size_t status_labels(const struct status_view *v)
{
	return v->width && v->width < NARROW ? STATUS_LABELS_ABOVE : STATUS_LABELS;
}

void status_label(const struct status_view *v, const char *text)
{
	size_t labels = status_labels(v), n = strlen(text);

	status_put(v, STYLE_LABEL, span_of(text), 0);
	if (n > labels) {
		putc('\n', v->to);
		n = 0;
	}
	status_pad(v, labels - n);
}

void status_line(const struct status_view *v, enum status_style style, struct span text)
{
	status_put_wrapped(v, style, text, status_labels(v));
}

void status_indented(
	const struct status_view *v, enum status_style style, struct span text)
{
	status_pad(v, status_labels(v));
	status_line(v, style, text);
}
