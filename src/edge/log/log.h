/* SPDX-License-Identifier: ISC */
/*
 * The output of a process about its sessions: records, which go to standard error,
 * syslog, journald or a file of JSON Lines; the line for the service manager; and traces
 * of whole sessions.
 */
#pragma once

#include "edge/settings/settings.h"
#include "proto/transcript.h"
#include "smtp/record.h"
#include "smtp/tracer.h"

#define LOG_IDENTIFIER "postern"
#define LOG_HOST_MAX 256 /* octets of the name of this host, escaped */
/* octets of records that are pending while a client waits */
#define LOG_PENDING_MAX (32 * 1024)
#define LOG_STUCK 1000 /* milliseconds after which a sink counts as stuck */
#define LOG_AGAIN 10000 /* milliseconds until a stuck sink is tried again */

struct log {
	struct recorder recorder;
	enum log_choice sink; /* never LOG_AUTO */
	enum log_choice fallback; /* the choice of `auto` */
	enum record_level least; /* less important records are not written */
	const char *file; /* path of the file of LOG_JSON */
	int fd; /* that file, or a socket to syslog or journald; negative: none */
	char host[LOG_HOST_MAX]; /* this host's name, for records in a file */
	bool torn; /* the file ends with a partial line */
	bool has_name; /* standard error is a stream of the journal */
	bool silent; /* standard error is the connection, or /dev/null */
	bool has_failed; /* a failure of the sink was reported */
	char *pending; /* pending records, then room for the text of one */
	size_t n_pending;
	bool opened;
	uint64_t stuck_until; /* time of stream_clock(); 0: the sink is not stuck */
	size_t n_lost; /* records lost since the last one that was written */
};

/*
 * Chooses the sink as `auto` does. `journal_stream` is $JOURNAL_STREAM or NULL:
 * journald when descriptor 2 is that stream; else syslog when `silent` (standard error
 * is the connection, or /dev/null), and standard error otherwise.
 */
void log_init(struct log *l, const char *journal_stream, bool silent);
/* Chooses the sink by the settings, before anything was written. */
void log_choose(struct log *l, const struct config *c);
void log_done(struct log *l);

/*
 * Resets the state in a forked process, which tries the sink itself and does not report
 * records that its parent lost.
 */
void log_forked(struct log *l);

/* Opens files and sockets that need the initial rights, before the sandbox is entered. */
void log_prepare(struct log *l);

/* Prepares the sink, before the sandbox is entered and while no client waits. */
void log_open(struct log *l);

/*
 * Appends why a sink fails, and a cure: "/var/log/postern.json: No space left on device",
 * "/dev/log: ...". `file` is the file of LOG_JSON; if it could not be made, the fault is
 * that of its directory. `error` is -errno.
 */
void log_put_fault(struct buf *to, enum log_choice sink, const char *file, int error);

/* Writes a record of event=error with one sentence. */
void log_error(struct log *l, const char *text);

static inline bool log_is_pending(const struct log *l)
{
	return l->n_pending > 0;
}

/*
 * Writes pending records, within LOG_STUCK milliseconds. A failing sink loses records,
 * never mail. The first failure of a process is reported in another place. When the sink
 * works again, the first record gives the number of lost records.
 */
void log_flush(struct log *l);

/* Tests whether a sink works, without writing a record. 0 or -errno. */
int log_sink_try(enum log_choice sink, const char *file);

#define NOTIFY_TEXT_MAX 512
/*
 * Milliseconds before the first line for the service manager, and between two. A shorter
 * session sends none.
 */
#define NOTIFY_INTERVAL 1000

/* The line for the service manager: STATUS= of sd_notify(3). */
struct notify {
	const char *socket; /* $NOTIFY_SOCKET; NULL: there is no service manager */
	uint64_t last; /* time of the last line by stream_clock(); at first: the start */
	char last_text[NOTIFY_TEXT_MAX]; /* the last line */
};

void notify_init(struct notify *n, const char *socket, uint64_t now);

/* True when the line differs from the last one, and there is a service manager. */
bool notify_is_changed(const struct notify *n, const char *text);

/* Sends lines of sd_notify(3) without waiting; they may get lost. */
void notify_send(const struct notify *n, struct span lines);

/* Sends STATUS= in the same way. */
void notify_status(struct notify *n, const char *text, uint64_t now);

/* octets of a trace; the rest of a longer session is left out */
#define TRACE_FILE_MAX (1024 * 1024)
#define TRACE_MAILBOXES_MAX 8192 /* octets of the list of mailboxes */
#define TRACE_BUFFER 8192
#define TRACE_PATH_MAX 1024

struct session;

/*
 * A session's trace: a file of its own in `trace-directory`, which the dialogue runner
 * plays as it is.
 */
struct trace_file {
	struct tracer tracer;
	const struct session *session;
	int fd; /* -1: this session is not traced */
	int error; /* -errno: why the trace is incomplete; 0: no error */
	size_t n_written;
	struct transcript transcript;
	struct buf out;
	struct buf mailboxes; /* one line for each mailbox with accepted mail */
	char *kept; /* content before it is decoded */
	size_t n_kept; /* room in `kept` */
	char *replies; /* replies that are not in the trace yet */
	size_t n_replies;
	char *filtered; /* lines about filters that are not in it yet */
	size_t n_filtered;
	char path[TRACE_PATH_MAX];
	char octets[TRACE_BUFFER];
	char mailbox_octets[TRACE_MAILBOXES_MAX];
};

/* Prepares a trace without a file. The struct is large. */
void trace_file_init(struct trace_file *t);

/* Makes a new file of that name in trace-directory. A descriptor or -errno. */
struct trace_opener {
	int (*open)(void *ctx, const char *name);
	void *ctx;
};

/*
 * Begins the trace of `s`, whose peer is known, in c->trace_directory, with mode 0600.
 * `opener`: another process makes the file; NULL: this one does. 0 or -errno: then
 * nothing is traced.
 */
int trace_file_open(struct trace_file *t, struct session *s, const struct config *c,
	const struct trace_opener *opener);

/* Adds a line of settings, before all other lines. */
void trace_file_setting(struct trace_file *t, const char *key, struct span value);

/*
 * Adds replies when they are sent. They are written to the trace at the client's turn,
 * after the commands that they answer.
 */
void trace_file_replies(struct trace_file *t, struct span out);

/* Begins the client's turn: the session waits for input. */
void trace_file_turn(struct trace_file *t);

/* Adds an event that is not a line of the dialogue: "<TLS>". */
void trace_file_event(struct trace_file *t, const char *mark);

/*
 * Closes the file, after the connection. t->path and t->error then describe an incomplete
 * trace.
 */
void trace_file_done(struct trace_file *t);
