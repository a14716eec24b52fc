/*
 * Writes one record to one sink: standard error, syslog, journald or a file. Each
 * record is one write, so that records of several processes do not mix. A write that
 * the caller's timer interrupts is given up.
 */
#include "edge/log/sinks.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "edge/file.h"
#include "smtp/record.h"

#define FACILITY_MAIL 2
#define FIELDS_MAX (RECORD_KEYS + 8)
#define ROOM_TRIED 4096 /* octets of a file system that a record may need */

/* All of the text in one write. */
static int write_whole(int fd, const struct buf *b)
{
	ssize_t n = b->overflow ? 0 : write(fd, b->p, b->n);

	if (b->overflow)
		return -EMSGSIZE;
	if (n < 0)
		return -errno;
	return n == (ssize_t)b->n ? 0 : -ENOSPC;
}

static int write_stderr(struct log *l, const struct record *r, struct buf *b)
{
	if (!l->has_name) {
		buf_put(b, SPAN(LOG_IDENTIFIER "["));
		buf_put_num(b, (uint64_t)getpid());
		buf_put(b, SPAN("]: "));
	}
	record_put_line(b, r);
	buf_put_char(b, '\n');
	return write_whole(STDERR_FILENO, b);
}

/* RFC 3164 4.1 without the time, for which the daemon puts its own (4.3.2). */
static int write_syslog(struct log *l, const struct record *r, struct buf *b)
{
	buf_put_char(b, '<');
	buf_put_num(b, FACILITY_MAIL * 8 + topic_get(r->topic)->level);
	buf_put(b, SPAN(">" LOG_IDENTIFIER "["));
	buf_put_num(b, (uint64_t)getpid());
	buf_put(b, SPAN("]: "));
	record_put_line(b, r);
	if (b->overflow)
		return -EMSGSIZE;
	/* negative: the error of log_prepare() */
	return l->fd < 0 ? l->fd : datagram_send(l->fd, LOG_SYSLOG_SOCKET, buf_span(b));
}

/*
 * After a partial line it begins with a line end, so that readers lose only the partial
 * line.
 */
static int write_json(struct log *l, const struct record *r, struct buf *b)
{
	ssize_t n;

	if (l->torn)
		buf_put_char(b, '\n');
	record_put_json(b, r, (uint64_t)getpid());
	buf_put_char(b, '\n');
	if (b->overflow)
		return -EMSGSIZE;
	n = write(l->fd, b->p, b->n);
	if (n < 0)
		return -errno;
	if (n > 0)
		l->torn = b->p[n - 1] != '\n' && write(l->fd, "\n", 1) != 1;
	return n == (ssize_t)b->n ? 0 : -ENOSPC;
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

/* Sends the fields that journald does not know by itself, and each value as a field. */
static int write_journal(struct log *l, const struct record *r, struct buf *b)
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
	return b->overflow ? -EMSGSIZE : l->systemd->send(f.list, f.n);
}

int log_sink_write(struct log *l, const struct record *r, struct buf *b)
{
	static int (*const writers[])(
		struct log * l, const struct record *r, struct buf *b) = {
		[LOG_STDERR] = write_stderr,
		[LOG_SYSLOG_LINES] = write_syslog,
		[LOG_JOURNAL] = write_journal,
		[LOG_JSON] = write_json,
	};
	int error = writers[l->sink](l, r, b);

	return error < 0 ? error : 0;
}

/*
 * To standard error where that is a stream of the journal, which knows the program's
 * name (systemd.exec(5)).
 */
static int write_stream(const struct record *r, struct buf *b)
{
	buf_put_char(b, '<');
	buf_put_num(b, topic_get(r->topic)->level);
	buf_put_char(b, '>');
	record_put_line(b, r);
	buf_put_char(b, '\n');
	return write_whole(STDERR_FILENO, b);
}

int log_sink_write_aside(struct log *l, const struct record *r, struct buf *b)
{
	int error = -ENOTSUP;

	if (l->fallback == LOG_JOURNAL)
		error = write_stream(r, b);
	else if (!l->silent && l->sink != LOG_STDERR)
		error = write_stderr(l, r, b);
	if (error < 0 && l->sink != LOG_SYSLOG_LINES) {
		struct log syslog = { .fd = datagram_open(LOG_STUCK) };
		b->n = 0;
		error = write_syslog(&syslog, r, b);
		if (syslog.fd >= 0)
			close(syslog.fd);
	}
	return error;
}

int log_sink_open(const char *file, bool make)
{
	const int flags = O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;

	return file_open_written(file, flags | (make ? O_CREAT : 0), LOG_FILE_MODE);
}

/*
 * Tries to allocate room for a record behind the end of the file; later records use it.
 */
static int try_room(int fd)
{
	struct statvfs fs;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return write(fd, "", 0) < 0 ? -errno
					    : 0; /* /dev/full refuses this, too */
	if (fallocate(fd, FALLOC_FL_KEEP_SIZE, st.st_size, ROOM_TRIED) == 0)
		return 0;
	if (errno != EOPNOTSUPP)
		return -errno;
	return fstatvfs(fd, &fs) == 0 && fs.f_bavail == 0 ? -ENOSPC : 0;
}

int log_sink_try(enum log_choice sink, const char *file)
{
	OWNED_FD int fd = -1;

	switch (sink) {
	case LOG_SYSLOG_LINES:
		return datagram_try(LOG_SYSLOG_SOCKET);
	case LOG_JOURNAL:
		return datagram_try(LOG_JOURNAL_SOCKET);
	case LOG_JSON:
		fd = log_sink_open(file, false);
		return fd < 0 ? fd : try_room(fd);
	default:
		return 0;
	}
}
