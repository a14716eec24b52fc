/* SPDX-License-Identifier: ISC */
/* Counts of the records of a span of time, for the panel, --healthy and OpenMetrics. */
#pragma once

#include "tools/status/source.h"

/* octets of a reply; longer ones are counted by their beginning */
#define STATUS_TALLY_TEXT 160
#define STATUS_TALLIES_MAX 256 /* different texts that are counted */
#define STATUS_SESSIONS_MAX 100 /* records kept at most */

struct status_tally {
	char text[STATUS_TALLY_TEXT];
	uint64_t n;
};

struct status_tallies {
	struct status_tally list[STATUS_TALLIES_MAX]; /* the most frequent first */
	size_t n;
	uint64_t n_others; /* texts beyond STATUS_TALLIES_MAX */
};

enum status_outcome {
	STATUS_DELIVERED,
	STATUS_REFUSED,
	STATUS_GIVEN_UP,
	STATUS_CHECKED, /* an address check, without a message */
	STATUS_DISCARDED, /* by a filter */
	STATUS_OUTCOMES,
};

/* Returns the word of an outcome, as in records: "delivered". */
const char *status_outcome_word(enum status_outcome outcome);

#define STATUS_PIPES_MAX 16 /* mailboxes whose programs are shown */

/* The program of a mailbox (postern-pipe). */
struct status_pipe {
	char mailbox[STATUS_TALLY_TEXT];
	char reason[STATUS_TALLY_TEXT]; /* reason of the last failure */
	uint64_t done, failed;
	uint64_t waiting; /* messages that wait after the last run */
};

#define STATUS_FILTERS_MAX 16 /* filters that are shown */

/* What a filter did with a message. */
enum status_verdict {
	STATUS_FILTER_ACCEPTED,
	STATUS_FILTER_REFUSED,
	STATUS_FILTER_TEMPFAILED,
	STATUS_FILTER_DISCARDED,
	STATUS_FILTER_QUARANTINED,
	STATUS_FILTER_FAILED, /* its default action held */
	STATUS_VERDICTS,
};

/* "accepted" */
const char *status_verdict_word(enum status_verdict verdict);

struct status_filter_count {
	char name[STATUS_TALLY_TEXT];
	uint64_t verdicts[STATUS_VERDICTS];
	uint64_t n_refused; /* recipients, of messages that went on without them */
	uint64_t milliseconds, longest; /* in which it was waited for */
	char why[STATUS_TALLY_TEXT]; /* it failed last */
	char message[STATUS_TALLY_TEXT]; /* the only one at which it failed; or empty */
};

#define STATUS_TLS_NONE "none" /* word among the versions: the session had no TLS */
#define STATUS_TLS_FAILED "failed" /* word among the versions: the handshake failed */

struct status_counts {
	int64_t since, until;
	uint64_t n_sessions, n_messages, n_errors;
	uint64_t n_checks; /* health checks of proxies, which are not sessions */
	uint64_t n_failed_logins; /* logins with a wrong user or proof */
	uint64_t outcomes[STATUS_OUTCOMES];
	uint64_t octets; /* octets of delivered messages */
	struct status_tallies versions; /* TLS versions of sessions */
	struct status_tallies reasons; /* replies of refusals */
	struct status_tallies statuses;
	struct status_pipe pipes[STATUS_PIPES_MAX];
	size_t n_pipes;
	struct status_tallies verdicts; /* of all filters; those of the enum alone */
	uint64_t filter_milliseconds;
	struct status_filter_count filters[STATUS_FILTERS_MAX];
	size_t n_filters;
	bool has_newest, has_status, has_error;
	bool has_well; /* there was a success after the newest status and error */
	int64_t well_since; /* seconds; the first of these successes */
	int64_t newest; /* seconds; time of the newest record */
	struct status_record status; /* newest record with a status */
	struct status_record error;
	size_t n_kept, n_wanted;
	/* the newest sessions first, of any age */
	struct status_record kept[STATUS_SESSIONS_MAX];
};

/* A span of time in seconds: from `since` on, and before `until`. */
struct status_span {
	int64_t since, until;
};

/*
 * Counts the records of that time, from the end of the source back, and reads further
 * until `n_wanted` sessions are kept. 0 or -errno.
 */
int status_count(struct status_source *source, const struct status_filter *filter,
	struct status_span time, size_t n_wanted, struct status_counts *ret);

/* Adds `n` to the count of that text. */
void status_tally(struct status_tallies *t, struct span text, uint64_t n);

/* Adds up to UINT64_MAX. */
void status_add(uint64_t *to, uint64_t n);

/* Copies a value, and cuts a long one. */
void status_keep_text(char to[static STATUS_TALLY_TEXT], struct span text);

/* Counts what filters did with a message. */
void status_count_filters(struct status_counts *c, const struct status_record *r);

/* Counts of replies by code: "550 5.1.1", or "500" without an enhanced code. */
void status_count_codes(const struct status_tallies *replies, struct status_tallies *ret);

/* Adds the numbers of `more`, its replies by code; no records are copied. */
void status_count_add(struct status_counts *to, const struct status_counts *more);
