/* SPDX-License-Identifier: ISC */
/*
 * Reads a report. Only a regular file of this user is opened, without waiting. The header
 * must have exactly one recipient, in its first line, and the fields of an automatic
 * report. The reason: an attacker who controls a process of postern can make links,
 * pipes, devices and forged reports.
 */
#include "tools/outbox/outbox.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "proto/address.h"
#include "proto/text.h"

#define BOUNDARY_MAX 70 /* RFC 2046 5.1.1 */

struct field {
	struct span name;
	struct span value; /* value including folds: LF and a blank */
};

/* Fields that must occur exactly once. */
struct counts {
	size_t auto_submitted, content_type;
};

static bool starts(struct span s, struct span with)
{
	return s.n >= with.n && span_ieq((struct span){ s.p, with.n }, with);
}

static struct span trim(struct span s)
{
	while (s.n && (ascii_is_blank(s.p[0]) || s.p[0] == '\n'))
		s = span_from(s, 1);
	while (s.n && (ascii_is_blank(s.p[s.n - 1]) || s.p[s.n - 1] == '\n'))
		s.n--;
	return s;
}

static bool take_line(struct span *text, struct span *ret)
{
	const char *lf = text->n ? memchr(text->p, '\n', text->n) : NULL;

	if (!lf)
		return false;
	*ret = (struct span){ text->p, (size_t)(lf - text->p) };
	*text = span_from(*text, ret->n + 1);
	return true;
}

/* text = WSP / %d33-126 / UTF8-non-ascii (RFC 6532 3.2; UTF-8 is not validated) */
static bool is_text(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if ((c < 32 && c != '\t') || c == 127)
			return false;
	}
	return true;
}

/* field = 1*ftext ":" *text LF *( WSP *text LF ) */
static const char *take_field(struct span *text, struct field *ret)
{
	struct span line;

	if (!take_line(text, &line))
		return "its header does not end";
	ret->name = (struct span){ line.p, text_field_name(line) };
	if (ret->name.n == 0 || ret->name.n == line.n || line.p[ret->name.n] != ':')
		return "its header has a line that is no field";
	ret->value = span_from(line, ret->name.n + 1);
	for (;;) {
		if (!is_text(line))
			return "its header has a control character in it";
		if (text->n == 0 || !ascii_is_blank(*text->p))
			return NULL;
		if (!take_line(text, &line))
			return "its header does not end";
		ret->value.n = (size_t)(line.p + line.n - ret->value.p);
	}
}

/* token = 1*<any CHAR but SPACE, CTLs and tspecials> (RFC 2045 5.1) */
static struct span take_token(struct span *s)
{
	struct span token = { s->p, 0 };

	while (token.n < s->n && s->p[token.n] > 32 && s->p[token.n] < 127 &&
		!strchr("()<>@,;:\\\"/[]?=", s->p[token.n]))
		token.n++;
	*s = span_from(*s, token.n);
	return token;
}

/* value = token / quoted-string (RFC 2045 5.1); quoted pairs are refused */
static struct span take_value(struct span *s)
{
	struct span value = { s->p, 0 };

	if (s->n == 0 || *s->p != '"')
		return take_token(s);
	value.p++;
	while (value.n + 1 < s->n && !strchr("\"\\\n", value.p[value.n]))
		value.n++;
	if (value.n + 1 >= s->n || value.p[value.n] != '"')
		return (struct span){ s->p, 0 };
	*s = span_from(*s, value.n + 2);
	return value;
}

static bool is_report_type(struct span value)
{
	return span_ieq(value, SPAN("delivery-status")) ||
	       span_ieq(value, SPAN("global-delivery-status"));
}

/* parameter = ( "report-type" / "boundary" ) "=" value (RFC 6522 3, RFC 2046 5.1.1) */
static bool take_parameter(struct span *s, size_t *n_types, size_t *n_boundaries)
{
	struct span name = take_token(s), value;

	if (s->n == 0 || *s->p != '=')
		return false;
	*s = span_from(*s, 1);
	value = take_value(s);
	if (span_ieq(name, SPAN("report-type"))) {
		++*n_types;
		return is_report_type(value);
	}
	if (!span_ieq(name, SPAN("boundary")))
		return false;
	++*n_boundaries;
	return value.n > 0 && value.n <= BOUNDARY_MAX;
}

/* content = "multipart/report" 1*( ";" parameter ), with blanks and folds around ";" */
static bool is_report(struct span value)
{
	static const struct span type = { "multipart/report", 16 };
	size_t n_types = 0, n_boundaries = 0;

	value = trim(value);
	if (!starts(value, type))
		return false;
	for (value = trim(span_from(value, type.n)); value.n; value = trim(value)) {
		if (*value.p != ';')
			return false;
		value = trim(span_from(value, 1));
		if (!take_parameter(&value, &n_types, &n_boundaries))
			return false;
	}
	return n_types == 1 && n_boundaries == 1;
}

/* Fields that name further recipients, or request messages to them. */
static bool is_refused(struct span name)
{
	static const struct span names[] = {
		{ "to", 2 },
		{ "cc", 2 },
		{ "bcc", 3 },
		{ "return-path", 11 },
		{ "apparently-to", 13 },
		{ "errors-to", 9 },
		{ "return-receipt-to", 17 },
		{ "disposition-notification-to", 27 },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (span_ieq(name, names[i]))
			return true;
	return starts(name, SPAN("resent-"));
}

static const char *check_field(const struct field *field, struct counts *counts)
{
	if (is_refused(field->name))
		return "its header names another address";
	if (span_ieq(field->name, SPAN("auto-submitted"))) {
		counts->auto_submitted++;
		if (!span_ieq(trim(field->value), SPAN("auto-replied")))
			return "Auto-Submitted is not auto-replied";
	} else if (span_ieq(field->name, SPAN("content-type"))) {
		counts->content_type++;
		if (!is_report(field->value))
			return "Content-Type is not that of a delivery report";
	}
	return NULL;
}

/*
 * to = "To: <" Mailbox ">" LF as lenient as in MAIL, from which the address comes
 *
 * An address that sendmail could parse as an option is refused.
 */
static const char *take_recipient(struct span *text, struct span *ret_address)
{
	static const struct span keyword = { "To: ", 4 };
	struct span line, rest;
	struct path path;

	if (!take_line(text, &line) || line.n < keyword.n ||
		!span_eq((struct span){ line.p, keyword.n }, keyword))
		return "its first line is not To: <ADDRESS>";
	rest = span_from(line, keyword.n);
	/* this length implies brackets and no route */
	if (!path_parse(&rest, PATH_REVERSE, &path) || rest.n || path.domain.n == 0 ||
		*path.text.p == '-' || path.text.n + keyword.n + 2 != line.n)
		return "To does not name a mailbox";
	if (text->n && ascii_is_blank(*text->p))
		return "To is folded";
	*ret_address = path.text;
	return NULL;
}

const char *report_check(struct span text, struct span *ret_address)
{
	struct counts counts = { 0 };
	struct span address;
	const char *fault = take_recipient(&text, &address);

	while (!fault && !(text.n && *text.p == '\n')) {
		struct field field;
		fault = take_field(&text, &field);
		if (!fault)
			fault = check_field(&field, &counts);
	}
	if (!fault && counts.auto_submitted != 1)
		fault = "it has not one Auto-Submitted";
	if (!fault && counts.content_type != 1)
		fault = "it has not one Content-Type";
	if (!fault)
		*ret_address = address;
	return fault;
}

/*
 * names of a file: without O_TMPFILE a second one in tmp/ remains if the writer is killed
 */
#define LINKS_MAX 2

/*
 * Returns the fault of a file that is not a report, by the error of open(2); NULL for
 * errors that may be temporary.
 */
static const char *open_fault(int error)
{
	switch (error) {
	case ELOOP:
		return "it is a symbolic link";
	case ENXIO:
	case ENODEV:
		return "it is not a regular file";
	case EACCES:
		return "it may not be read";
	default:
		return NULL;
	}
}

static const char *file_fault(const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return "it is not a regular file";
	if (st->st_uid != geteuid())
		return "it belongs to another user";
	if (st->st_nlink > LINKS_MAX)
		return "it has more names elsewhere";
	if (st->st_size > REPORT_OCTETS_MAX)
		return "it is too big";
	return NULL;
}

/* Reads up to REPORT_HEADER_MAX octets. Returns their number, or -errno. */
static ssize_t read_head(int fd, char *to)
{
	size_t n = 0;

	while (n < REPORT_HEADER_MAX) {
		ssize_t got = pread(fd, to + n, REPORT_HEADER_MAX - n, (off_t)n);
		if (got == 0)
			break;
		if (got < 0 && errno != EINTR)
			return -errno;
		n += got > 0 ? (size_t)got : 0;
	}
	return (ssize_t)n;
}

static int check_header(struct outbox_report *report, const char **ret_fault)
{
	OWNED char *head = malloc(REPORT_HEADER_MAX);
	struct buf address = BUF(report->address);
	struct span text;
	ssize_t n = head ? read_head(report->fd, head) : -ENOMEM;

	if (n < 0)
		return (int)n;
	*ret_fault = report_check((struct span){ head, (size_t)n }, &text);
	if (*ret_fault)
		return 1;
	buf_put(&address, text);
	return buf_terminate(&address) ? 0 : -ENAMETOOLONG;
}

int outbox_report_open(
	int dir, const char *name, struct outbox_report *ret, const char **ret_fault)
{
	struct stat st;

	/*
	 * O_NONBLOCK: opening a FIFO must not wait for its writer; for a regular file it
	 * has no effect, even in sendmail, which inherits it
	 */
	ret->fd = openat(
		dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (ret->fd < 0) {
		*ret_fault = open_fault(errno);
		return *ret_fault ? 1 : -errno;
	}
	if (fstat(ret->fd, &st) < 0)
		return -errno;
	ret->written = st.st_mtime;
	*ret_fault = file_fault(&st);
	return *ret_fault ? 1 : check_header(ret, ret_fault);
}
