/* SPDX-License-Identifier: ISC */
/*
 * Counts records: sessions, messages, replies and statuses of a span of time. Records are
 * read backwards from the newest one, and no further than necessary.
 */
#include "tools/status/count.h"
#include <stddef.h>
#include <stdlib.h>
#include "smtp/ending.h"

static const char *const outcomes[STATUS_OUTCOMES] = { "delivered", "refused", "given-up",
	"checked", "discarded" };

const char *status_outcome_word(enum status_outcome outcome)
{
	return outcomes[outcome];
}

void status_add(uint64_t *to, uint64_t n)
{
	if (__builtin_add_overflow(*to, n, to))
		*to = UINT64_MAX;
}

void status_tally(struct status_tallies *t, struct span text, uint64_t n)
{
	size_t i = 0;

	if (n == 0)
		return;
	if (text.n >= STATUS_TALLY_TEXT)
		text.n = STATUS_TALLY_TEXT - 1;
	while (i < t->n && !span_eq(span_of(t->list[i].text), text))
		i++;
	if (i == STATUS_TALLIES_MAX) {
		status_add(&t->n_others, n);
		return;
	}
	if (i == t->n) {
		memcpy(t->list[i].text, text.p, text.n);
		t->list[i].text[text.n] = '\0';
		t->list[i].n = 0;
		t->n++;
	}
	status_add(&t->list[i].n, n);
}

void status_keep_text(char to[static STATUS_TALLY_TEXT], struct span text)
{
	if (text.n >= STATUS_TALLY_TEXT)
		text.n = STATUS_TALLY_TEXT - 1;
	if (text.n)
		memcpy(to, text.p, text.n);
	to[text.n] = '\0';
}

static void tally_one(struct status_tallies *t, struct span text)
{
	status_tally(t, text, 1);
}

static int by_number(const void *a, const void *b)
{
	const struct status_tally *x = a, *y = b;

	if (x->n != y->n)
		return x->n < y->n ? 1 : -1;
	return strcmp(x->text, y->text);
}

static void sort(struct status_tallies *t)
{
	qsort(t->list, t->n, sizeof(*t->list), by_number);
}

/* Health checks are recorded only with `log-level = debug`. */
static bool is_check(const struct status_record *r)
{
	return span_eq(status_record_get(r, RECORD_END),
		span_of(session_end_word(END_PROXY_CHECK)));
}

static void count_session(struct status_counts *c, const struct status_record *r)
{
	struct span version = status_record_get(r, RECORD_TLS);
	struct span reason = status_record_get(r, RECORD_REASON);

	if (is_check(r)) {
		c->n_checks++;
		return;
	}
	c->n_sessions++;
	if (!version.n)
		version = status_record_get(r, RECORD_TLS_ERROR).n
				  ? SPAN(STATUS_TLS_FAILED)
				  : SPAN(STATUS_TLS_NONE);
	tally_one(&c->versions, version);
	/* refusals of transactions and logins are in their own records */
	if (reason.n)
		status_tally(&c->reasons, reason,
			status_record_number(r, RECORD_REFUSED_COMMANDS));
}

/*
 * Counts the replies to refused recipients with replies of their own. Returns their
 * number.
 */
static uint64_t count_replies(struct status_counts *c, const struct status_record *r)
{
	struct span list = status_record_get(r, RECORD_REFUSED_REPLIES);
	uint64_t n = 0;

	for (; list.n; n++)
		tally_one(&c->reasons, span_take(&list, '|'));
	return n;
}

/*
 * Counts one refusal for each recipient, by its own reply or that of the record; or one
 * for the whole message.
 */
static void count_refusals(
	struct status_counts *c, const struct status_record *r, struct span reason)
{
	uint64_t n = status_record_number(r, RECORD_REFUSED),
		 counted = count_replies(c, r);
	bool refused = span_eq(
		status_record_get(r, RECORD_OUTCOME), span_of(outcomes[STATUS_REFUSED]));

	if ((n == 0 && counted == 0) || (refused && status_record_get(r, RECORD_TO).n))
		tally_one(&c->reasons, reason);
	else if (n > counted)
		status_tally(&c->reasons, reason, n - counted);
}

static void count_message(struct status_counts *c, const struct status_record *r)
{
	struct span outcome = status_record_get(r, RECORD_OUTCOME);
	struct span reason = status_record_get(r, RECORD_REASON);

	c->n_messages++;
	for (enum status_outcome o = 0; o < STATUS_OUTCOMES; o++)
		c->outcomes[o] += span_eq(outcome, span_of(outcomes[o]));
	if (span_eq(outcome, span_of(outcomes[STATUS_DELIVERED])))
		status_add(&c->octets, status_record_number(r, RECORD_SIZE));
	if (reason.n)
		count_refusals(c, r, reason);
	status_count_filters(c, r);
}

static void keep_first(
	bool *has, struct status_record *slot, const struct status_record *r)
{
	if (!*has)
		status_record_copy(slot, r);
	*has = true;
}

static void count_error(struct status_counts *c, const struct status_record *r)
{
	c->n_errors++;
	keep_first(&c->has_error, &c->error, r);
}

static void count_auth(struct status_counts *c, const struct status_record *r)
{
	struct span reason = status_record_get(r, RECORD_REASON);

	if (reason.n)
		tally_one(&c->reasons, reason);
	c->n_failed_logins +=
		span_eq(status_record_get(r, RECORD_OUTCOME), SPAN("failed"));
}

/*
 * Returns the entry for the mailbox of the record; NULL: there are too many. The newest
 * record comes first.
 */
static struct status_pipe *pipe_of(struct status_counts *c, const struct status_record *r)
{
	char mailbox[STATUS_TALLY_TEXT];
	size_t i = 0;

	status_keep_text(mailbox, status_record_get(r, RECORD_MAILBOX));
	while (i < c->n_pipes && strcmp(c->pipes[i].mailbox, mailbox) != 0)
		i++;
	if (i == STATUS_PIPES_MAX)
		return NULL;
	if (i == c->n_pipes) {
		c->pipes[i] = (struct status_pipe){ .waiting = status_record_number(
							    r, RECORD_WAITING) };
		memcpy(c->pipes[i].mailbox, mailbox, sizeof(mailbox));
		c->n_pipes++;
	}
	return &c->pipes[i];
}

static void count_pipe(struct status_counts *c, const struct status_record *r)
{
	struct status_pipe *pipe = pipe_of(c, r);
	struct span outcome = status_record_get(r, RECORD_OUTCOME);

	if (!pipe)
		return;
	pipe->done += span_eq(outcome, SPAN("done"));
	pipe->failed += span_eq(outcome, SPAN("failed"));
	if (!pipe->reason[0])
		status_keep_text(pipe->reason, status_record_get(r, RECORD_REASON));
}

/*
 * Counts successes that are newer than the last status and error. A session with messages
 * is not a success itself, because its record is newer than that of a failed message.
 */
static void count_well(struct status_counts *c, const struct status_record *r)
{
	bool is_well =
		r->record.event == RECORD_SESSION
			? !is_check(r) && !status_record_number(r, RECORD_TRANSACTIONS)
			: span_eq(status_record_get(r, RECORD_OUTCOME),
				  span_of(outcomes[STATUS_DELIVERED]));

	if (c->has_status || c->has_error || !is_well)
		return;
	c->has_well = true;
	c->well_since = r->record.when.seconds;
}

static void count_event(struct status_counts *c, const struct status_record *r)
{
	static void (*const counters[RECORD_EVENTS])(
		struct status_counts * c, const struct status_record *r) = {
		[RECORD_MESSAGE] = count_message,
		[RECORD_SESSION] = count_session,
		[RECORD_AUTH] = count_auth,
		[RECORD_PIPE] = count_pipe,
		[RECORD_ERROR] = count_error,
	};
	struct span status = status_record_get(r, RECORD_STATUS);

	counters[r->record.event](c, r);
	if (!status.n) {
		count_well(c, r);
		return;
	}
	tally_one(&c->statuses, status);
	keep_first(&c->has_status, &c->status, r);
}

static void count_if_wanted(struct status_counts *c, const struct status_record *r)
{
	if (!c->has_newest)
		c->newest = r->record.when.seconds;
	c->has_newest = true;
	if (r->record.when.seconds >= c->since && r->record.when.seconds < c->until)
		count_event(c, r);
	if (r->record.event == RECORD_SESSION && !is_check(r) && c->n_kept < c->n_wanted)
		status_record_copy(&c->kept[c->n_kept++], r);
}

static bool is_done(const struct status_counts *c, const struct status_record *r)
{
	return r->record.when.seconds < c->since - STATUS_DISORDER &&
	       c->n_kept == c->n_wanted;
}

int status_count(struct status_source *source, const struct status_filter *filter,
	struct status_span time, size_t n_wanted, struct status_counts *ret)
{
	struct status_record record;
	int r = source->ops->to_end(source);

	/* the kept records are large, and are not cleared */
	memset(ret, 0, offsetof(struct status_counts, kept));
	ret->since = time.since;
	ret->until = time.until;
	ret->n_wanted = n_wanted < STATUS_SESSIONS_MAX ? n_wanted : STATUS_SESSIONS_MAX;
	while (r >= 0 && (r = source->ops->previous(source, &record)) > 0) {
		if (status_filter_takes(filter, &record))
			count_if_wanted(ret, &record);
		if (is_done(ret, &record))
			break;
	}
	sort(&ret->versions);
	sort(&ret->reasons);
	sort(&ret->statuses);
	sort(&ret->verdicts);
	return r < 0 ? r : 0;
}

/*
 * Returns the length of "550 5.1.1" at the start of a reply, whose text may have an
 * argument.
 */
static size_t code_length(const char *reply)
{
	size_t code = strspn(reply, "0123456789");
	size_t more = reply[code] == ' ' ? strspn(reply + code + 1, "0123456789.") : 0;

	return more ? code + 1 + more : code;
}

static void tally_codes(struct status_tallies *to, const struct status_tallies *replies)
{
	for (size_t i = 0; i < replies->n; i++) {
		const char *text = replies->list[i].text;
		status_tally(
			to, (struct span){ text, code_length(text) }, replies->list[i].n);
	}
	status_add(&to->n_others, replies->n_others);
}

void status_count_codes(const struct status_tallies *replies, struct status_tallies *ret)
{
	ret->n = 0;
	ret->n_others = 0;
	tally_codes(ret, replies);
}

static void tally_all(struct status_tallies *to, const struct status_tallies *more)
{
	for (size_t i = 0; i < more->n; i++)
		status_tally(to, span_of(more->list[i].text), more->list[i].n);
	status_add(&to->n_others, more->n_others);
}

void status_count_add(struct status_counts *to, const struct status_counts *more)
{
	tally_all(&to->versions, &more->versions);
	tally_all(&to->statuses, &more->statuses);
	tally_all(&to->verdicts, &more->verdicts);
	tally_codes(&to->reasons, &more->reasons);
	for (enum status_outcome o = 0; o < STATUS_OUTCOMES; o++)
		status_add(&to->outcomes[o], more->outcomes[o]);
	status_add(&to->octets, more->octets);
	status_add(&to->n_checks, more->n_checks);
	status_add(&to->n_failed_logins, more->n_failed_logins);
	status_add(&to->n_errors, more->n_errors);
	status_add(&to->filter_milliseconds, more->filter_milliseconds);
}
