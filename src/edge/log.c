/*
 * Promises that writing a record never holds up a client: records wait until nobody does,
 * or until there are too many. Refuses to know what a record says.
 */
#include "edge/log.h"
#include <stdlib.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/cleanup.h"
#include "edge/module.h"
#include "proto/text.h"

#define ENTRY_MAX (RECORD_TEXT_MAX + 1024) /* a record: values and names */
#define TEXT_MAX (3 * ENTRY_MAX) /* the same as a line, and as fields of the journal */
#define FIELDS_MAX (RECORD_VALUES_MAX + 8)
#define IDENTIFIER "postern"
#define LEVEL_INFO '6'
#define LEVEL_WARNING '4'
#define LEVEL_ERROR '3'

/* "dev:inode" of descriptor 2, as systemd.exec(5) has it. */
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

static const char *event_word(enum record_event event)
{
	switch (event) {
	case RECORD_MESSAGE:
		return "message";
	case RECORD_SESSION:
		return "session";
	default:
		return "error";
	}
}

/* The levels of syslog(3). */
static char level_of(const struct record *r)
{
	if (r->event == RECORD_ERROR)
		return LEVEL_ERROR;
	return r->problem ? LEVEL_WARNING : LEVEL_INFO;
}

static void put_pair(struct buf *b, const char *name, struct span value)
{
	buf_put_str(b, name);
	buf_put_char(b, '=');
	buf_put(b, value);
	buf_put_char(b, '\0');
}

/* Kept as: the level, "name=value" NUL for each value, and one more NUL. */
static void log_write(struct recorder *recorder, const struct record *r)
{
	struct log *l = (struct log *)recorder;
	struct buf b;

	if (!l->pending && !(l->pending = malloc(LOG_PENDING_MAX)))
		return;
	if (l->n_pending + ENTRY_MAX > LOG_PENDING_MAX)
		log_flush(l);
	b = (struct buf){ .p = l->pending + l->n_pending, .cap = ENTRY_MAX };
	buf_put_char(&b, level_of(r));
	put_pair(&b, "event", span_of(event_word(r->event)));
	for (size_t i = 0; i < r->n; i++)
		put_pair(&b, r->values[i].name, r->values[i].value);
	buf_put_char(&b, '\0');
	if (!b.overflow)
		l->n_pending += b.n;
}

/* Values have no quote of their own: record.h. */
static void put_in_line(struct buf *line, const char *pair)
{
	const char *value = strchr(pair, '=') + 1;
	bool quote = strpbrk(value, " =") != NULL;

	buf_put(line, (struct span){ pair, (size_t)(value - pair) });
	if (quote)
		buf_put_char(line, '"');
	buf_put_str(line, value);
	if (quote)
		buf_put_char(line, '"');
}

/* The pairs of an entry as one line of text; returns what follows the entry. */
static const char *put_line(struct buf *line, const char *pairs)
{
	const char *first = pairs;

	for (; *pairs; pairs += strlen(pairs) + 1) {
		if (pairs != first)
			buf_put_char(line, ' ');
		put_in_line(line, pairs);
	}
	return pairs + 1;
}

static void write_stderr(struct span line)
{
	/* one write a record, so that the lines of several processes do not mix */
	if (write(STDERR_FILENO, line.p, line.n) < 0)
		return;
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

/* What journald does not know by itself, and "POSTERN_NAME=value" for each pair. */
static void write_journal(
	const struct log *l, struct buf *b, char level, const char *pairs)
{
	struct fields f = { .b = b };

	buf_put(b, SPAN("MESSAGE="));
	put_line(b, pairs);
	end_field(&f);
	buf_put(b, SPAN("PRIORITY="));
	buf_put_char(b, level);
	end_field(&f);
	buf_put(b, SPAN("SYSLOG_FACILITY=2"));
	end_field(&f);
	buf_put(b, SPAN("SYSLOG_IDENTIFIER=" IDENTIFIER));
	end_field(&f);
	for (; *pairs; pairs += strlen(pairs) + 1) {
		size_t n_name = strcspn(pairs, "=");
		buf_put(b, SPAN("POSTERN_"));
		for (size_t i = 0; i < n_name; i++)
			buf_put_char(b, ascii_upper(pairs[i]));
		buf_put_str(b, pairs + n_name);
		end_field(&f);
	}
	if (!b->overflow)
		l->systemd->send(f.list, f.n);
}

/* One entry; returns what follows it. */
static const char *write_entry(const struct log *l, struct buf *b, const char *entry)
{
	char level = *entry++;
	const char *next;

	if (l->sink == LOG_JOURNAL)
		write_journal(l, b, level, entry);
	b->n = 0;
	if (l->sink == LOG_STDERR) {
		buf_put(b, SPAN(IDENTIFIER "["));
		buf_put_num(b, (uint64_t)getpid());
		buf_put(b, SPAN("]: "));
	}
	next = put_line(b, entry);
	if (l->sink == LOG_STDERR) {
		buf_put_char(b, '\n');
		write_stderr(buf_span(b));
	} else if (l->sink == LOG_SYSLOG_LINES && buf_terminate(b)) {
		syslog(level - '0', "%s", b->p);
	}
	b->n = 0;
	b->overflow = false;
	return next;
}

void log_flush(struct log *l)
{
	OWNED char *text = malloc(TEXT_MAX);
	struct buf b = { .p = text, .cap = TEXT_MAX };
	const char *entry, *end;

	log_open(l);
	if (!text || !l->pending)
		return;
	end = l->pending + l->n_pending;
	for (entry = l->pending; entry < end;)
		entry = write_entry(l, &b, entry);
	l->n_pending = 0;
}

void log_init(struct log *l, const char *journal_stream, bool silent)
{
	*l = (struct log){ .recorder.write = log_write };
	if (is_journal(journal_stream))
		l->sink = LOG_JOURNAL;
	else
		l->sink = silent ? LOG_SYSLOG_LINES : LOG_STDERR;
}

void log_choose(struct log *l, enum log_choice choice)
{
	if (choice != LOG_AUTO)
		l->sink = choice;
}

void log_prepare(const struct log *l)
{
	if (l->sink == LOG_SYSLOG_LINES)
		tzset();
}

void log_open(struct log *l)
{
	const char *error;

	if (l->opened)
		return;
	l->opened = true;
	if (l->sink == LOG_SYSLOG_LINES)
		openlog(IDENTIFIER, LOG_PID | LOG_NDELAY, LOG_MAIL);
	if (l->sink != LOG_JOURNAL)
		return;
	l->systemd =
		module_load(l->modules, SYSTEMD_MODULE, SYSTEMD_MODULE_TABLE, &error);
	if (!l->systemd) {
		l->sink = LOG_STDERR;
		log_error(l, error);
	}
}

void log_error(struct log *l, const char *text)
{
	char octets[CONFIG_FAULT_MAX];
	struct buf b = BUF(octets);
	struct record r = { .event = RECORD_ERROR, .n = 1 };

	text_escape(&b, span_of(text), sizeof(octets));
	r.values[0] = (struct record_value){ "text", buf_span(&b) };
	log_write(&l->recorder, &r);
}

void log_done(struct log *l)
{
	if (log_is_pending(l))
		log_flush(l);
	free(l->pending);
	*l = (struct log){ 0 };
}
