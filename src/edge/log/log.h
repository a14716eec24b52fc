/* SPDX-License-Identifier: ISC */
/*
 * What this process reports about itself: records of sessions, which go to standard
 * error, syslog, journald or a file of JSON Lines; the status line of the service
 * manager; and traces of whole sessions.
 */
#pragma once

#include "edge/settings/settings.h"
#include "proto/transcript.h"
#include "smtp/record.h"
#include "smtp/tracer.h"

#define LOG_IDENTIFIER "postern"
#define LOG_HOST_MAX 256 /* the name of this host, escaped */
#define LOG_PENDING_MAX (32 * 1024) /* records kept while a client waits */
#define LOG_STUCK 1000 /* milliseconds after which a sink counts as stuck */
#define LOG_AGAIN 10000 /* milliseconds until a stuck sink is tried again */

struct log {
	struct recorder recorder;
	enum log_choice sink; /* never LOG_AUTO */
	enum log_choice fallback; /* what `auto` comes to */
	enum record_level least; /* records of less importance are not written */
	const char *file; /* of LOG_JSON */
	int fd; /* of that file, or a socket to syslog or journald; negative: none */
	char host[LOG_HOST_MAX]; /* this host's name, for records in a file */
	bool torn; /* the file ends in the middle of a line */
	bool has_name; /* standard error is a stream of the journal */
	bool silent; /* standard error is the connection, or /dev/null */
	bool has_failed; /* the sink took no record, and that was reported */
	char *pending; /* records not yet written, then room for the text of one */
	size_t n_pending;
	bool opened;
	uint64_t stuck_until; /* by stream_clock(); 0: the sink takes records */
	size_t n_lost; /* records that were not written since the last one that was */
};

/*
 * Chooses the sink as `auto` does. `journal_stream` is $JOURNAL_STREAM or NULL:
 * journald when descriptor 2 is that stream; else syslog when `silent` (standard error
 * is the connection, or /dev/null), and standard error otherwise.
 */
void log_init(struct log *l, const char *journal_stream, bool silent);
/* As the settings say, before anything was written. */
void log_choose(struct log *l, const struct config *c);
void log_done(struct log *l);

/*
 * In a forked process: it tries the sink by itself, and does not report the records
 * that its parent lost.
 */
void log_forked(struct log *l);

/* Opens what only the first rights can: before the sandbox closes. */
void log_prepare(struct log *l);

/* Gets the sink ready: before the sandbox closes, and while no client waits. */
void log_open(struct log *l);

/*
 * Why a sink takes no record, and what to do: "/var/log/postern.json: No space left on
 * device", "/dev/log: ...". `file` is that of LOG_JSON; where it could not be made the
 * fault is its directory's. `error` is -errno.
 */
void log_put_fault(struct buf *to, enum log_choice sink, const char *file, int error);

/* An event=error record with one sentence. */
void log_error(struct log *l, const char *text);

static inline bool log_is_pending(const struct log *l)
{
	return l->n_pending > 0;
}

/*
 * Writes what is pending, within LOG_STUCK. A sink that fails loses records, never
 * mail. The first failure of a process is reported in another place. The next record
 * that is written is preceded by one with the number of the lost ones.
 */
void log_flush(struct log *l);

/* Tries whether a sink would take a record, and writes none. 0 or -errno. */
int log_sink_try(enum log_choice sink, const char *file);

#define NOTIFY_TEXT_MAX 512
/*
 * Milliseconds between two status lines, and before the first: a shorter session has
 * none.
 */
#define NOTIFY_INTERVAL 1000

/* The status line of the service manager: STATUS= of sd_notify(3). */
struct notify {
	const char *socket; /* $NOTIFY_SOCKET, or NULL: there is no service manager */
	uint64_t last; /* when it was sent, by stream_clock(); at first: when we began */
	char told[NOTIFY_TEXT_MAX]; /* the last line */
};

void notify_init(struct notify *n, const char *socket, uint64_t now);

/* True when that line differs from the last one, and there is a service manager. */
bool notify_is_changed(const struct notify *n, const char *text);

/* Sends lines of sd_notify(3) without waiting; they may get lost. */
void notify_send(const struct notify *n, struct span lines);

/* STATUS=, in the same way. */
void notify_status(struct notify *n, const char *text, uint64_t now);

/* octets of a trace; the rest of the session is left out */
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
	int error; /* -errno: why the rest of it is not; 0: nothing went wrong */
	size_t n_written;
	struct transcript transcript;
	struct buf out;
	struct buf mailboxes; /* a line for each that took mail */
	char *kept; /* content before it is decoded */
	size_t n_kept; /* room there */
	char *said; /* replies not yet in the trace */
	size_t n_said;
	char path[TRACE_PATH_MAX];
	char octets[TRACE_BUFFER];
	char mailbox_octets[TRACE_MAILBOXES_MAX];
};

/* Without a file. The struct is large. */
void trace_file_init(struct trace_file *t);

/*
 * Begins the trace of `s`, whose peer is known, in c->trace_directory, with mode 0600.
 * 0 or -errno: then nothing is traced.
 */
int trace_file_open(struct trace_file *t, struct session *s, const struct config *c);

/* One more line of settings, before all other lines. */
void trace_file_setting(struct trace_file *t, const char *key, struct span value);

/*
 * Replies, as they are sent. They enter the trace at the client's turn, behind the
 * commands that they answer.
 */
void trace_file_replies(struct trace_file *t, struct span out);

/* The session waits for the client. */
void trace_file_turn(struct trace_file *t);

/* An event that is no line of the dialogue: "<TLS>". */
void trace_file_event(struct trace_file *t, const char *mark);

/*
 * The connection is closed; so is the file. t->path and t->error then say what is
 * missing of it.
 */
void trace_file_done(struct trace_file *t);
