/* SPDX-License-Identifier: ISC */
/*
 * Collects records and writes them to their sink: standard error, syslog, journald or a
 * file. Records are written while no client waits for a reply, or when too many are
 * pending, and a stuck sink is not used for a while: so no client waits for a record.
 * Each record is one write, so that records of several processes do not mix.
 */
#include "edge/log/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/cleanup.h"
#include "edge/file.h"
#include "edge/log/sinks.h"
#include "edge/net/net.h"
#include "proto/text.h"
#include "smtp/record.h"

#define FACILITY_MAIL 2
/* octets of a line with its fields of the journal */
#define TEXT_MAX (3 * RECORD_LINE_MAX / 2)
/*
 * microseconds until the timer's signal is repeated, in case the first one came just
 * before a wait
 */
#define AGAIN 50000

/*
 * The head of a waiting record. Its values follow: for each a struct value_head and the
 * octets.
 */
struct head {
	enum record_event event;
	enum topic topic;
	struct moment when;
	size_t n;
};

struct value_head {
	uint16_t n;
	uint8_t key;
};

/* octets of the largest pending record */
#define ENTRY_MAX                                                                        \
	(RECORD_TEXT_MAX + sizeof(struct head) + RECORD_KEYS * sizeof(struct value_head))

/* True when $JOURNAL_STREAM, "dev:inode", is descriptor 2 (systemd.exec(5)). */
static bool is_journal(const char *journal_stream)
{
	char text[2 * 20 + 2];
	struct buf b = BUF(text);
	struct stat st;

	if (!journal_stream || fstat(STDERR_FILENO, &st) < 0)
		return false;
	buf_put_num(&b, st.st_dev);
	buf_put_char(&b, ':');
	buf_put_num(&b, st.st_ino);
	return span_eq(buf_span(&b), span_of(journal_stream));
}

static void put_octets(struct buf *b, const void *p, size_t n)
{
	buf_put(b, (struct span){ p, n });
}

static void log_write(struct recorder *recorder, const struct record *r)
{
	struct log *l = (struct log *)recorder;
	struct head head = { r->event, r->topic, r->when, r->n };
	struct buf b;

	if (topic_get(r->topic)->level > l->least)
		return;
	if (!l->pending && !(l->pending = malloc(LOG_PENDING_MAX + TEXT_MAX)))
		return;
	if (l->n_pending + ENTRY_MAX > LOG_PENDING_MAX)
		log_flush(l);
	b = (struct buf){ .p = l->pending + l->n_pending, .cap = ENTRY_MAX };
	put_octets(&b, &head, sizeof(head));
	for (size_t i = 0; i < r->n; i++) {
		const struct record_value *v = &r->values[i];
		struct value_head vh = { (uint16_t)v->value.n, (uint8_t)v->key };
		put_octets(&b, &vh, sizeof(vh));
		buf_put(&b, v->value);
	}
	if (!b.overflow)
		l->n_pending += b.n;
}

static void take_octets(struct span *from, void *to, size_t n)
{
	memcpy(to, from->p, n);
	*from = span_from(*from, n);
}

/* Reads a record that log_write() stored. Its values point into `from`. */
static void take_record(struct span *from, struct record *ret)
{
	struct head head;

	take_octets(from, &head, sizeof(head));
	*ret = (struct record){
		.event = head.event,
		.topic = head.topic,
		.when = head.when,
		.n = head.n,
	};
	for (size_t i = 0; i < head.n; i++) {
		struct value_head vh;
		take_octets(from, &vh, sizeof(vh));
		ret->values[i] = (struct record_value){ vh.key, { from->p, vh.n } };
		*from = span_from(*from, vh.n);
	}
}

/* Writes all of the text in one call. */
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

/* Sends all of the text in one datagram to the daemon at `path`. */
static int send_text(const struct log *l, const char *path, const struct buf *b)
{
	if (b->overflow)
		return -EMSGSIZE;
	/* negative: the error of log_prepare() */
	return l->fd < 0 ? l->fd : datagram_send(l->fd, path, buf_span(b));
}

/* Writes a message of RFC 3164 4.1 without the time, which the daemon adds (4.3.2). */
static int write_syslog(struct log *l, const struct record *r, struct buf *b)
{
	buf_put_char(b, '<');
	buf_put_num(b, FACILITY_MAIL * 8 + topic_get(r->topic)->level);
	buf_put(b, SPAN(">" LOG_IDENTIFIER "["));
	buf_put_num(b, (uint64_t)getpid());
	buf_put(b, SPAN("]: "));
	record_put_line(b, r);
	return send_text(l, LOG_SYSLOG_SOCKET, b);
}

/*
 * Writes a line of JSON. After a partial line it begins with a line end, so that readers
 * lose only the partial line.
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

/* Appends "POSTERN_NAME=value". */
static void put_field(struct buf *b, const char *name, struct span value)
{
	buf_put(b, SPAN("POSTERN_"));
	for (; *name; name++)
		buf_put_char(b, ascii_upper(*name));
	buf_put_char(b, '=');
	buf_put(b, value);
	buf_put_char(b, '\n');
}

/*
 * Sends each value, and the fields that journald does not add itself, in one datagram.
 * Fields are lines of "NAME=value", because no value has a line end (systemd.io,
 * JOURNAL_NATIVE_PROTOCOL).
 */
static int write_journal(struct log *l, const struct record *r, struct buf *b)
{
	const struct topic_row *topic = topic_get(r->topic);

	buf_put(b, SPAN("MESSAGE="));
	record_put_line(b, r);
	buf_put(b, SPAN("\nMESSAGE_ID="));
	buf_put_str(b, topic->id);
	buf_put(b, SPAN("\nPRIORITY="));
	buf_put_num(b, topic->level);
	buf_put(b, SPAN("\nSYSLOG_FACILITY="));
	buf_put_num(b, FACILITY_MAIL);
	buf_put(b, SPAN("\nSYSLOG_IDENTIFIER=" LOG_IDENTIFIER "\n"));
	put_field(b, "event", span_of(record_event_word(r->event)));
	for (size_t i = 0; i < r->n; i++)
		put_field(b, record_field(r->values[i].key)->name, r->values[i].value);
	return send_text(l, LOG_JOURNAL_SOCKET, b);
}

/*
 * Writes a record to the sink; `b` is empty and has room for its text. 0, or -errno: the
 * record is lost.
 */
static int write_sink(struct log *l, const struct record *r, struct buf *b)
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
 * Writes to standard error, which is a stream of the journal: the journal adds the
 * program's name (systemd.exec(5)).
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

/*
 * Writes to another place than the sink that has just failed: standard error, or syslog
 * if standard error is the sink or the connection. 0 or -errno.
 */
static int write_aside(struct log *l, const struct record *r, struct buf *b)
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

static void wake(int signal)
{
	(void)signal;
}

/* Sets a timer that interrupts waiting system calls; 0 stops it. */
static void set_timer(uint64_t milliseconds)
{
	const struct sigaction interrupt = { .sa_handler = wake };
	const struct itimerval timer = {
		.it_value.tv_sec = (time_t)(milliseconds / 1000),
		.it_interval.tv_usec = milliseconds ? AGAIN : 0,
	};

	sigaction(SIGALRM, &interrupt, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
}

/* Makes a record with one sentence; `b` holds its text. */
static struct record error_record(struct buf *b, const char *text)
{
	struct record r = { .event = RECORD_ERROR, .topic = TOPIC_ERROR, .n = 1 };
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	r.when.seconds = now.tv_sec;
	r.when.microseconds = (uint32_t)(now.tv_nsec / 1000);
	text_escape(b, span_of(text), b->cap);
	r.values[0] = (struct record_value){ RECORD_SENTENCE, buf_span(b) };
	return r;
}

/*
 * True for a sink that needs the timer: a file does not block, and a datagram socket has
 * a timeout of its own.
 */
static bool may_wait(const struct log *l)
{
	return l->fd < 0;
}

/*
 * Reports the first failure of this process in the place that `auto` would choose; `text`
 * has room for TEXT_MAX octets.
 */
static void report_failure(struct log *l, int error, char *text)
{
	char octets[CONFIG_FAULT_MAX], sentence[CONFIG_FAULT_MAX];
	struct buf b = BUF(octets), why = BUF(sentence),
		   to = { text, 0, TEXT_MAX, false };
	struct record r;

	if (l->has_failed)
		return;
	l->has_failed = true;
	buf_put(&why, SPAN("log "));
	log_put_fault(&why, l->sink, l->file, error);
	if (!buf_terminate(&why))
		return;
	r = error_record(&b, sentence);
	set_timer(LOG_STUCK);
	write_aside(l, &r, &to);
	set_timer(may_wait(l) ? LOG_STUCK : 0);
}

/*
 * Writes one record, unless the sink has been stuck since `start`; `text` has room for
 * TEXT_MAX octets.
 */
static void write_one(struct log *l, struct record *r, char *text, uint64_t start)
{
	struct buf b = { .p = text, .cap = TEXT_MAX };
	int error;

	if (l->sink == LOG_JSON && l->host[0])
		r->values[r->n++] =
			(struct record_value){ RECORD_HOST, span_of(l->host) };
	error = l->stuck_until ? 0 : write_sink(l, r, &b);
	if (l->stuck_until || error < 0)
		l->n_lost++;
	if (!l->stuck_until && stream_clock() - start >= LOG_STUCK)
		l->stuck_until = stream_clock() + LOG_AGAIN;
	if (error < 0)
		report_failure(l, error, text);
}

/*
 * Reports lost records by one record. If this one cannot be written either, it is not
 * counted.
 */
static void report_lost(struct log *l, char *text, uint64_t start)
{
	char octets[CONFIG_FAULT_MAX], sentence[CONFIG_FAULT_MAX];
	struct buf b = BUF(octets);
	size_t n = l->n_lost;
	struct record r;

	snprintf(sentence, sizeof(sentence),
		"%zu record%s of this process could not be written before: the log took "
		"none",
		n, n == 1 ? "" : "s");
	r = error_record(&b, sentence);
	l->n_lost = 0;
	write_one(l, &r, text, start);
	if (l->n_lost)
		l->n_lost = n;
}

void log_flush(struct log *l)
{
	struct span waiting;
	uint64_t start;
	char *text;

	log_open(l);
	if (!l->pending)
		return;
	waiting = (struct span){ l->pending, l->n_pending };
	text = l->pending + l->n_pending;
	l->n_pending = 0;
	start = stream_clock();
	if (start >= l->stuck_until)
		l->stuck_until = 0;
	if (may_wait(l))
		set_timer(LOG_STUCK);
	if (l->n_lost)
		report_lost(l, text, start);
	while (waiting.n) {
		struct record r;
		take_record(&waiting, &r);
		write_one(l, &r, text, start);
	}
	if (may_wait(l))
		set_timer(0);
}

void log_forked(struct log *l)
{
	l->stuck_until = 0;
	l->n_lost = 0;
	l->has_failed = false;
}

void log_init(struct log *l, const char *journal_stream, bool silent)
{
	*l = (struct log){
		.recorder.write = log_write,
		.least = RECORD_LEVEL_INFO,
		.fd = -1,
	};
	l->has_name = is_journal(journal_stream);
	if (l->has_name)
		l->fallback = LOG_JOURNAL;
	else
		l->fallback = silent ? LOG_SYSLOG_LINES : LOG_STDERR;
	l->silent = silent && l->fallback != LOG_JOURNAL;
	l->sink = l->fallback;
}

void log_choose(struct log *l, const struct config *c)
{
	if (c->log != LOG_AUTO)
		l->sink = c->log;
	l->file = c->log_file;
	l->least = c->log_level;
}

/*
 * True when the file ends in a partial line (full disk). The next record then starts on a
 * new line, so that readers lose only the partial one.
 */
static bool is_torn(const char *path)
{
	OWNED_FD int fd =
		file_open_written(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0);
	off_t end = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
	char last;

	return end > 0 && pread(fd, &last, 1, end - 1) == 1 && last != '\n';
}

/* Replaces a sink that fails at the start. */
static void fall_back(struct log *l, int error)
{
	char text[CONFIG_FAULT_MAX];
	struct buf b = BUF(text);

	buf_put(&b, SPAN("log "));
	log_put_fault(&b, l->sink, l->file, error);
	if (l->sink != l->fallback)
		l->sink = l->fallback;
	else
		l->sink = l->silent ? LOG_SYSLOG_LINES : LOG_STDERR;
	if (buf_terminate(&b))
		log_error(l, text);
}

/* Finds the host name for records in a file; journald and syslog add it themselves. */
static void find_host(struct log *l)
{
	char name[HOST_NAME_MAX + 1] = "";
	struct buf b = BUF(l->host);

	gethostname(name, sizeof(name) - 1);
	text_escape(&b, span_of(name), sizeof(l->host) - 1);
	buf_terminate(&b);
}

static void open_file(struct log *l)
{
	int fd = log_sink_open(l->file, true);

	if (fd < 0) {
		fall_back(l, fd);
		return;
	}
	l->fd = fd;
	l->torn = is_torn(l->file);
	find_host(l);
}

void log_prepare(struct log *l)
{
	if (l->sink == LOG_JSON && l->fd < 0)
		open_file(l);
	if (l->sink == LOG_SYSLOG_LINES && l->fd < 0)
		l->fd = datagram_open(LOG_STUCK);
}

static void open_journal(struct log *l)
{
	struct stat st;

	l->fd = stat(LOG_JOURNAL_SOCKET, &st) < 0 ? -errno : datagram_open(LOG_STUCK);
	if (l->fd >= 0)
		return;
	fall_back(l, l->fd);
	log_prepare(l);
}

void log_open(struct log *l)
{
	if (l->opened)
		return;
	l->opened = true;
	log_prepare(l);
	if (l->sink == LOG_JOURNAL)
		open_journal(l);
}

void log_error(struct log *l, const char *text)
{
	char octets[CONFIG_FAULT_MAX];
	struct buf b = BUF(octets);
	struct record r = error_record(&b, text);

	log_write(&l->recorder, &r);
}

void log_done(struct log *l)
{
	if (log_is_pending(l))
		log_flush(l);
	free(l->pending);
	if (l->fd >= 0)
		close(l->fd);
	*l = (struct log){ .fd = -1 };
}
