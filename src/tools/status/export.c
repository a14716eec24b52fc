/* SPDX-License-Identifier: ISC */
/*
 * Parses the journal's export format:
 *
 *	entry = 1*field LF
 *	field = name "=" *<any octet but LF> LF
 *	      / name LF <64 bits, little-endian: length> <that many octets> LF
 *
 * Values are checked, because any process can write such fields to the journal. Memory is
 * bounded: a field that does not fit is skipped.
 */
#include "tools/status/export.h"
#include <endian.h>
#include <errno.h>
#include <unistd.h>
#include "base/num.h"

#define PREFIX "POSTERN_"
#define NAME_MAX_ 32
#define MICROSECONDS 1000000
/* fields of an entry that are read; a record with journald's own fields has half as many
 */
#define FIELDS_MAX 128
/* the name of a field that is skipped, which no field of the journal can have */
#define SKIPPED SPAN("-")

struct field {
	struct span name; /* empty: the end of an entry */
	struct span value;
};

/* Reads more behind the octets that are left. 1; 0 at the end; -errno. */
static int fill(struct status_export *x)
{
	ssize_t n;

	memmove(x->octets, x->octets + x->begin, x->end - x->begin);
	x->end -= x->begin;
	x->begin = 0;
	do
		n = read(x->fd, x->octets + x->end, sizeof(x->octets) - x->end);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	x->end += (size_t)n;
	return n > 0;
}

/* Waits for that many octets, at most the size of the buffer. 1; 0 at the end; -errno. */
static int await(struct status_export *x, size_t n)
{
	int r = 1;

	while (x->end - x->begin < n && r > 0)
		r = fill(x);
	return r;
}

/* Drops so many octets, which may not have come yet. 1; 0 at the end; -errno. */
static int skip(struct status_export *x, uint64_t n)
{
	int r = 1;

	while (n > x->end - x->begin && r > 0) {
		n -= x->end - x->begin;
		x->begin = x->end;
		r = fill(x);
	}
	if (r > 0)
		x->begin += (size_t)n;
	return r;
}

/* Drops the rest of a line. 1; 0 at the end; -errno. */
static int skip_line(struct status_export *x)
{
	const char *newline;
	int r = 1;

	while (!(newline = memchr(x->octets + x->begin, '\n', x->end - x->begin)) &&
		r > 0) {
		x->begin = x->end;
		r = fill(x);
	}
	if (newline)
		x->begin = (size_t)(newline - x->octets) + 1;
	return r;
}

/*
 * Reads a line, without its end; it is NULL if it was too long and skipped. 1; 0 at the
 * end; -errno.
 */
static int take_line(struct status_export *x, struct span *ret)
{
	size_t looked = 0;
	int r = 1;

	for (;;) {
		char *p = x->octets + x->begin;
		size_t n = x->end - x->begin;
		const char *newline = memchr(p + looked, '\n', n - looked);

		if (newline) {
			*ret = (struct span){ p, (size_t)(newline - p) };
			x->begin += ret->n + 1;
			return 1;
		}
		if (n == sizeof(x->octets)) {
			*ret = (struct span){ 0 };
			return skip_line(x);
		}
		looked = n;
		r = fill(x);
		if (r <= 0)
			return r;
	}
}

/* Reads what follows the name of a field with any octets. 1; 0 at the end; -errno. */
static int take_binary(struct status_export *x, struct span name, struct field *ret)
{
	size_t n_name = name.n + 1;
	uint64_t n;
	int r;

	/* the name stays in the buffer, before its value */
	x->begin -= n_name;
	if (n_name + sizeof(n) >= sizeof(x->octets))
		return -EBADMSG;
	r = await(x, n_name + sizeof(n));
	if (r <= 0)
		return r;
	memcpy(&n, x->octets + x->begin + n_name, sizeof(n));
	n = le64toh(n);
	*ret = (struct field){ SKIPPED, { 0 } };
	if (n >= sizeof(x->octets) - n_name - sizeof(n)) {
		x->begin += n_name + sizeof(n);
		r = n < UINT64_MAX ? skip(x, n + 1) : -EBADMSG;
		return r;
	}
	r = await(x, n_name + sizeof(n) + (size_t)n + 1);
	if (r <= 0)
		return r;
	ret->name = (struct span){ x->octets + x->begin, name.n };
	ret->value =
		(struct span){ x->octets + x->begin + n_name + sizeof(n), (size_t)n };
	x->begin += n_name + sizeof(n) + (size_t)n + 1;
	return x->octets[x->begin - 1] == '\n' ? 1 : -EBADMSG;
}

/* Reads a field, which is in the buffer until the next call. 1; 0 at the end; -errno. */
static int take_field(struct status_export *x, struct field *ret)
{
	struct span line;
	const char *equals;
	int r = take_line(x, &line);

	if (r <= 0)
		return r;
	*ret = (struct field){ SKIPPED, { 0 } };
	if (!line.p)
		return 1;
	equals = memchr(line.p, '=', line.n);
	if (!equals && line.n)
		return take_binary(x, line, ret);
	ret->name = (struct span){ line.p, equals ? (size_t)(equals - line.p) : 0 };
	if (equals)
		ret->value = span_from(line, ret->name.n + 1);
	/* a line that begins with "=" is no end */
	if (equals && !ret->name.n)
		return -EBADMSG;
	return 1;
}

/* Takes the value of "POSTERN_TLS_ERROR". */
static void put_own(const struct field *f, struct status_record *to)
{
	struct span rest = span_from(f->name, sizeof(PREFIX) - 1);
	char name[NAME_MAX_];
	struct buf b = BUF(name);
	enum record_key key;

	for (size_t i = 0; i < rest.n; i++)
		buf_put_char(&b, ascii_lower(rest.p[i]));
	if (b.overflow)
		return;
	if (span_eq(rest, SPAN("EVENT")) && to->record.event == RECORD_EVENTS)
		to->record.event = record_event_find(f->value);
	key = record_key_find(buf_span(&b));
	/* journald knows the host */
	if (key < RECORD_KEYS && key != RECORD_HOST)
		status_record_put(to, key, f->value);
}

static void put_time(struct span value, struct status_record *to)
{
	uint64_t microseconds = 0;

	num_parse(value, &microseconds);
	to->record.when.seconds = (int64_t)(microseconds / MICROSECONDS);
	to->record.when.microseconds = (uint32_t)(microseconds % MICROSECONDS);
}

static enum record_level level_of(struct span priority)
{
	int level = priority.n == 1 ? *priority.p - '0' : RECORD_LEVEL_INFO;

	if (level == RECORD_LEVEL_DEBUG)
		return RECORD_LEVEL_DEBUG;
	if (level >= RECORD_LEVEL_INFO || level < 0)
		return RECORD_LEVEL_INFO;
	return level <= RECORD_LEVEL_ERROR ? RECORD_LEVEL_ERROR : RECORD_LEVEL_WARNING;
}

static void put_cursor(struct span value, struct status_cursor *to)
{
	struct buf b = BUF(to->text);

	buf_put(&b, value);
	if (!buf_terminate(&b))
		*to->text = '\0';
}

static void put_field(const struct field *f, enum record_level *level,
	struct status_cursor *cursor, struct status_record *to)
{
	size_t n = sizeof(PREFIX) - 1;

	if (f->name.n > n && memcmp(f->name.p, PREFIX, n) == 0)
		put_own(f, to);
	else if (span_eq(f->name, SPAN("__CURSOR")))
		put_cursor(f->value, cursor);
	else if (span_eq(f->name, SPAN("__REALTIME_TIMESTAMP")))
		put_time(f->value, to);
	else if (span_eq(f->name, SPAN("_HOSTNAME")))
		status_record_put(to, RECORD_HOST, f->value);
	else if (span_eq(f->name, SPAN("_PID")))
		num_parse(f->value, &to->pid);
	else if (span_eq(f->name, SPAN("PRIORITY")))
		*level = level_of(f->value);
}

bool status_export_has_more(const struct status_export *x)
{
	return x->end > x->begin;
}

int status_export_read(struct status_export *x, struct status_cursor *ret_cursor,
	struct status_record *ret)
{
	enum record_level level = RECORD_LEVEL_INFO;
	struct field f;
	size_t n = 0;
	int r;

	status_record_clear(ret);
	ret->record.event = RECORD_EVENTS;
	*ret_cursor->text = '\0';
	while ((r = take_field(x, &f)) > 0) {
		if (f.name.n == 0 && n > 0)
			break;
		if (f.name.n && ++n <= FIELDS_MAX)
			put_field(&f, &level, ret_cursor, ret);
	}
	status_record_set_level(ret, level);
	return r;
}
