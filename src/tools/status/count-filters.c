/* SPDX-License-Identifier: ISC */
/*
 * Counts what filters did with messages, from the texts that records have about each of
 * them: "unix:/run/x.sock: accept, 1 recipient refused, 2 edits, 13 ms". What has
 * another form is not counted.
 */
#include "base/num.h"
#include "tools/status/count.h"

static const char *const verdicts[STATUS_VERDICTS] = { "accepted", "refused",
	"tempfailed", "discarded", "quarantined", "failed" };

const char *status_verdict_word(enum status_verdict verdict)
{
	return verdicts[verdict];
}

/* The verdict of a word of a record; or STATUS_VERDICTS. */
static enum status_verdict verdict_of(struct span word)
{
	static const struct {
		const char *word;
		enum status_verdict verdict;
	} words[] = {
		{ "continue", STATUS_FILTER_ACCEPTED },
		{ "accept", STATUS_FILTER_ACCEPTED },
		{ "skip", STATUS_FILTER_ACCEPTED },
		{ "reject", STATUS_FILTER_REFUSED },
		{ "tempfail", STATUS_FILTER_TEMPFAILED },
		{ "shutdown", STATUS_FILTER_TEMPFAILED },
		{ "discard", STATUS_FILTER_DISCARDED },
		{ "quarantine", STATUS_FILTER_QUARANTINED },
		{ "failed", STATUS_FILTER_FAILED },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (span_is(word, words[i].word))
			return words[i].verdict;
	return STATUS_VERDICTS;
}

struct share {
	struct span name;
	enum status_verdict verdict;
	uint64_t n_refused, milliseconds;
};

/* "2 recipients refused" */
static void take_item(struct span item, struct share *t)
{
	uint64_t n;

	if (!num_parse(span_take(&item, ' '), &n))
		return;
	if (span_starts(item, SPAN("recipient")))
		t->n_refused = n;
	else if (span_eq(item, SPAN("ms")))
		t->milliseconds = n;
}

static bool take(struct span text, struct share *ret)
{
	const char *end = text.n ? memmem(text.p, text.n, ": ", 2) : NULL;
	struct span rest;

	if (!end)
		return false;
	*ret = (struct share){ .name = { text.p, (size_t)(end - text.p) } };
	rest = span_from(text, ret->name.n + 2);
	ret->verdict = verdict_of(span_take(&rest, ','));
	while (rest.n) {
		struct span item = span_take(&rest, ',');
		take_item(span_from(item, item.n && *item.p == ' '), ret);
	}
	return ret->verdict < STATUS_VERDICTS;
}

/* The filter of that name; NULL: there are too many. */
static struct status_filter_count *filter_of(struct status_counts *c, struct span name)
{
	size_t i = 0;

	if (name.n >= STATUS_TALLY_TEXT)
		name.n = STATUS_TALLY_TEXT - 1;
	while (i < c->n_filters && !span_eq(span_of(c->filters[i].name), name))
		i++;
	if (i == STATUS_FILTERS_MAX)
		return NULL;
	if (i == c->n_filters) {
		memcpy(c->filters[i].name, name.p, name.n);
		c->filters[i].name[name.n] = '\0';
		c->n_filters++;
	}
	return &c->filters[i];
}

/* The newest record is the first. Where all failures are of one message, it is named. */
static void count_failure(struct status_filter_count *f, const struct status_record *r)
{
	struct span why = status_record_get(r, RECORD_DELIVERY_FAULT);
	struct span id = status_record_get(r, RECORD_MESSAGE_ID);

	if (f->verdicts[STATUS_FILTER_FAILED] == 1) {
		status_keep_text(f->why, why);
		status_keep_text(f->message, id);
	} else if (!span_eq(span_of(f->message), id)) {
		f->message[0] = '\0';
	}
}

static void count_one(
	struct status_counts *c, const struct share *t, const struct status_record *r)
{
	struct status_filter_count *f = filter_of(c, t->name);

	status_tally(&c->verdicts, span_of(verdicts[t->verdict]), 1);
	status_add(&c->filter_milliseconds, t->milliseconds);
	if (!f)
		return;
	f->verdicts[t->verdict]++;
	status_add(&f->n_refused, t->n_refused);
	status_add(&f->milliseconds, t->milliseconds);
	if (t->milliseconds > f->longest)
		f->longest = t->milliseconds;
	if (t->verdict == STATUS_FILTER_FAILED)
		count_failure(f, r);
}

void status_count_filters(struct status_counts *c, const struct status_record *r)
{
	struct span list = status_record_get(r, RECORD_FILTERS);
	struct share share;

	while (list.n)
		if (take(span_take(&list, '|'), &share))
			count_one(c, &share, r);
}
