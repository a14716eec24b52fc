/*
 * Promises one write a record, so that those of several processes do not mix. Refuses to wait longer than the
 * caller's timer: a write that is interrupted is given up.
 */
#include "edge/log-sinks.h"
#include <unistd.h>
#include "edge/datagram.h"
#include "smtp/record-text.h"

#define FACILITY_MAIL 2
#define FIELDS_MAX (RECORD_KEYS + 8)

static bool write_stderr(struct log *l, const struct record *r, struct buf *b)
{
	if (!l->has_name) {
		buf_put(b, SPAN(LOG_IDENTIFIER "["));
		buf_put_num(b, (uint64_t)getpid());
		buf_put(b, SPAN("]: "));
	}
	record_put_line(b, r);
	buf_put_char(b, '\n');
	return !b->overflow && write(STDERR_FILENO, b->p, b->n) >= 0;
}

/* As RFC 3164 4.1 has it, without the time: the daemon's own is as good (4.3.2). */
static bool write_syslog(struct log *l, const struct record *r, struct buf *b)
{
	buf_put_char(b, '<');
	buf_put_num(b, FACILITY_MAIL * 8 + topic_get(r->topic)->level);
	buf_put(b, SPAN(">" LOG_IDENTIFIER "["));
	buf_put_num(b, (uint64_t)getpid());
	buf_put(b, SPAN("]: "));
	record_put_line(b, r);
	return !b->overflow && datagram_send(l->fd, LOG_SYSLOG_SOCKET, buf_span(b)) == 0;
}

/* After a piece of a line the next one begins with a line end: whoever reads skips the piece alone. */
static bool write_json(struct log *l, const struct record *r, struct buf *b)
{
	ssize_t n;

	if (l->torn)
		buf_put_char(b, '\n');
	record_put_json(b, r, (uint64_t)getpid());
	buf_put_char(b, '\n');
	if (b->overflow)
		return false;
	n = write(l->fd, b->p, b->n);
	if (n > 0)
		l->torn = b->p[n - 1] != '\n' && write(l->fd, "\n", 1) != 1;
	return n == (ssize_t)b->n;
}

/* The fields of an entry for the journal, laid out in `b`. */
struct fields {
	struct buf *b;
	struct iovec list[FIELDS_MAX];
	int n;
	size_t start;
};

static void end_field(struct fields *f)
{
	f->list[f->n++] = (struct iovec){ f->b->p + f->start, f->b->n - f->start };
	f->start = f->b->n;
}

/* "POSTERN_NAME=value" */
static void put_field(struct fields *f, const char *name, struct span value)
{
	buf_put(f->b, SPAN("POSTERN_"));
	for (; *name; name++)
		buf_put_char(f->b, ascii_upper(*name));
	buf_put_char(f->b, '=');
	buf_put(f->b, value);
	end_field(f);
}

/* What journald does not know by itself, and each value as a field. */
static bool write_journal(struct log *l, const struct record *r, struct buf *b)
{
	const struct topic_row *topic = topic_get(r->topic);
	struct fields f = { .b = b };

	buf_put(b, SPAN("MESSAGE="));
	record_put_line(b, r);
	end_field(&f);
	buf_put(b, SPAN("MESSAGE_ID="));
	buf_put_str(b, topic->id);
	end_field(&f);
	buf_put(b, SPAN("PRIORITY="));
	buf_put_num(b, topic->level);
	end_field(&f);
	buf_put(b, SPAN("SYSLOG_FACILITY=2"));
	end_field(&f);
	buf_put(b, SPAN("SYSLOG_IDENTIFIER=" LOG_IDENTIFIER));
	end_field(&f);
	put_field(&f, "event", span_of(record_event_word(r->event)));
	for (size_t i = 0; i < r->n; i++)
		put_field(&f, record_field(r->values[i].key)->name, r->values[i].value);
	return !b->overflow && l->systemd->send(f.list, f.n) >= 0;
}

bool log_sink_write(struct log *l, const struct record *r, struct buf *b)
{
	static bool (*const writers[])(
		struct log * l, const struct record *r, struct buf *b) = {
		[LOG_STDERR] = write_stderr,
		[LOG_SYSLOG_LINES] = write_syslog,
		[LOG_JOURNAL] = write_journal,
		[LOG_JSON] = write_json,
	};

	return writers[l->sink](l, r, b);
}
