/* Where records go: standard error, syslog, journald or a file of JSON Lines. */
#pragma once

#include "edge/settings/settings.h"
#include "edge/log/systemd.h"
#include "smtp/record.h"

#define LOG_HOST_MAX 256 /* the name of this host, escaped */
#define LOG_PENDING_MAX (32 * 1024) /* records kept while a client waits */
#define LOG_STUCK                                                                        \
	1000 /* milliseconds; a sink that takes longer gets nothing for a while: */
#define LOG_AGAIN 10000 /* milliseconds until it is tried again */

struct log {
	struct recorder recorder;
	enum log_choice sink; /* never LOG_AUTO */
	enum log_choice fallback; /* what `auto` comes to */
	enum record_level least; /* what is less is not told */
	const char *file; /* of LOG_JSON */
	int fd; /* of that file, or a socket to syslog; negative: none */
	char host[LOG_HOST_MAX]; /* what this host calls itself; in the file's records */
	bool torn; /* it ends in the middle of a line */
	bool has_name; /* standard error is the journal's, which names the program itself */
	bool silent; /* standard error is the connection, or /dev/null */
	bool has_failed; /* the sink took no record, and that was reported */
	const char *modules; /* their directory; to be set before log_open() */
	const struct systemd_api *systemd; /* loaded when first needed */
	char *pending; /* records not yet written, and behind them room for the text of one */
	size_t n_pending;
	bool opened;
	uint64_t
		stuck_until; /* stream_clock(): before, nothing is written; 0: the sink takes records */
	size_t n_lost; /* records that were not written since the last one that was */
};

/*
 * Chooses the sink as `auto` does. `journal_stream` is $JOURNAL_STREAM or NULL: journald
 * when descriptor 2 is that stream, standard error when somebody reads it, syslog when
 * nobody does (`silent`: it is the connection, or /dev/null).
 */
void log_init(struct log *l, const char *journal_stream, bool silent);
/* As the settings say, before anything was written. */
void log_choose(struct log *l, const struct config *c);
void log_done(struct log *l);

/* In a process that was forked: it tries the sink by itself, and what its parent has lost is the parent's to report. */
void log_forked(struct log *l);

/* Opens what only the first rights can: before the sandbox closes. */
void log_prepare(struct log *l);

/* Gets the sink ready: before the sandbox closes, and while no client waits. */
void log_open(struct log *l);

/*
 * Why a sink takes no record, and what to do: "/var/log/postern.json: No space left on device", "/dev/log: ...". `file` is
 * that of LOG_JSON; where it could not be made the fault is its directory's. `error` is -errno.
 */
void log_put_fault(struct buf *to, enum log_choice sink, const char *file, int error);

/* An event=error record with one sentence. */
void log_error(struct log *l, const char *text);

static inline bool log_is_pending(const struct log *l)
{
	return l->n_pending > 0;
}

/*
 * Writes what is pending, within LOG_STUCK. A sink that fails loses records, never mail. The first failure of a process
 * is reported in another place: log_sink_write_aside(). The next record that is written is preceded by one that says
 * how many were lost.
 */
void log_flush(struct log *l);
