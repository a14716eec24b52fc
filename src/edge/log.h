/* Where records go: standard error, syslog or journald. */
#pragma once

#include "edge/config.h"
#include "edge/systemd.h"
#include "smtp/record.h"

#define LOG_PENDING_MAX (64 * 1024) /* records kept while a client waits */

struct log {
	struct recorder recorder;
	enum log_choice sink; /* never LOG_AUTO */
	const char *modules; /* their directory; to be set before log_open() */
	const struct systemd_api *systemd; /* loaded when first needed */
	char *pending; /* records not yet written */
	size_t n_pending;
	bool opened;
};

/*
 * Chooses the sink as `auto` does. `journal_stream` is $JOURNAL_STREAM or NULL: journald
 * when descriptor 2 is that stream, standard error when somebody reads it, syslog when
 * nobody does (`silent`: it is the connection, or /dev/null).
 */
void log_init(struct log *l, const char *journal_stream, bool silent);
/* Another sink than that, before anything was written. LOG_AUTO changes nothing. */
void log_choose(struct log *l, enum log_choice choice);
void log_done(struct log *l);

/* Reads what syslog(3) wants for its time stamps: before the sandbox closes. */
void log_prepare(const struct log *l);

/* Gets the sink ready: before the sandbox closes, and while no client waits. */
void log_open(struct log *l);

/* An event=error record with one sentence. */
void log_error(struct log *l, const char *text);

static inline bool log_is_pending(const struct log *l)
{
	return l->n_pending > 0;
}

/* Writes what is pending. A sink that fails loses records, never mail. */
void log_flush(struct log *l);
