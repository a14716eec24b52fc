/*
 * The panel: the whole state on one screen of 80 columns, with labels on the left, facts
 * on the right, and colour only for what needs attention. Its numbers are counted from
 * the newest record back, and not further than necessary; the metrics have the same.
 */
#include "tools/status/panel.h"
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "smtp/ending.h"
#include "tools/status/rows.h"
#include "tools/status/time.h"

#define SESSIONS_LEAST 2

static const char *const outcomes[STATUS_OUTCOMES] = { "delivered", "refused", "given-up",
	"checked" };

const char *status_outcome_word(enum status_outcome outcome)
{
	return outcomes[outcome];
}

static void add_saturated(uint64_t *to, uint64_t n)
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
		add_saturated(&t->n_others, n);
		return;
	}
	if (i == t->n) {
		memcpy(t->list[i].text, text.p, text.n);
		t->list[i].text[text.n] = '\0';
		t->list[i].n = 0;
		t->n++;
	}
	add_saturated(&t->list[i].n, n);
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

/* Number of refusals: one for each recipient, or one for the whole message. */
static uint64_t refusals_of(const struct status_record *r)
{
	uint64_t n = status_record_number(r, RECORD_REFUSED);
	bool refused = span_eq(
		status_record_get(r, RECORD_OUTCOME), span_of(outcomes[STATUS_REFUSED]));

	return n == 0 || (refused && status_record_get(r, RECORD_TO).n) ? 1 : n;
}

static void count_message(struct status_counts *c, const struct status_record *r)
{
	struct span outcome = status_record_get(r, RECORD_OUTCOME);
	struct span reason = status_record_get(r, RECORD_REASON);

	c->n_messages++;
	for (enum status_outcome o = 0; o < STATUS_OUTCOMES; o++)
		c->outcomes[o] += span_eq(outcome, span_of(outcomes[o]));
	if (span_eq(outcome, span_of(outcomes[STATUS_DELIVERED])))
		add_saturated(&c->octets, status_record_number(r, RECORD_SIZE));
	if (reason.n)
		status_tally(&c->reasons, reason, refusals_of(r));
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
 * Notes successes newer than the last status and error. A session with messages does not
 * count itself: its record is newer than that of a failed message.
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
	return r < 0 ? r : 0;
}

/* Octets of "550 5.1.1" at the start of a reply; its text may have an argument. */
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
	add_saturated(&to->n_others, replies->n_others);
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
	add_saturated(&to->n_others, more->n_others);
}

void status_count_add(struct status_counts *to, const struct status_counts *more)
{
	tally_all(&to->versions, &more->versions);
	tally_all(&to->statuses, &more->statuses);
	tally_codes(&to->reasons, &more->reasons);
	for (enum status_outcome o = 0; o < STATUS_OUTCOMES; o++)
		add_saturated(&to->outcomes[o], more->outcomes[o]);
	add_saturated(&to->octets, more->octets);
	add_saturated(&to->n_checks, more->n_checks);
	add_saturated(&to->n_failed_logins, more->n_failed_logins);
	add_saturated(&to->n_errors, more->n_errors);
}

/* "mail.example.org, from the journal        Nov 28 13:40:12" */
static void put_title(const struct status_panel *p, const struct status_view *v)
{
	const char *name = p->setting->config.session.hostname;
	char octets[64];
	struct buf now = BUF(octets);
	size_t n, room;

	status_time_put_day(&now, v->now);
	buf_put_char(&now, ' ');
	status_time_put_short(&now, v->now, v->now);
	room = v->width > now.n + 2 ? v->width - now.n - 2 : 0;
	name = name && *name ? name : "postern";
	n = strlen(name);
	status_put(v, STYLE_LABEL, span_of(name), room);
	if (room == 0 || n + 16 < room) {
		const char *from = p->origin ? p->origin : "the journal";
		size_t left = room ? room - n - 7 : 0;
		n += 7 + (left && strlen(from) > left ? left : strlen(from));
		status_put(v, STYLE_QUIET, SPAN(", from "), 0);
		status_put(v, STYLE_QUIET, span_of(from), left);
	}
	status_pad(v, room > n ? room - n + 2 : 2);
	status_put(v, STYLE_QUIET, buf_span(&now), 0);
	fputs("\n\n", v->to);
}

static void put_when(
	struct buf *b, const struct status_record *r, const struct status_view *v)
{
	struct span host = status_record_get(r, RECORD_HOST);
	struct span peer = status_record_get(r, RECORD_PEER);
	struct span helo = status_record_get(r, RECORD_HELO);

	status_time_put_short(b, r->record.when.seconds, v->now);
	if (v->hosts && host.n) {
		buf_put(b, SPAN(" on "));
		buf_put(b, host);
	}
	if (peer.n) {
		buf_put(b, SPAN(" from "));
		buf_put(b, peer);
	}
	if (helo.n) {
		buf_put(b, SPAN(" ("));
		buf_put(b, helo);
		buf_put_char(b, ')');
	}
}

/* The newest record with a status and its details, or "Ready". */
static void put_status(const struct status_panel *p, const struct status_view *v)
{
	const struct status_counts *c = p->counts;
	const struct status_record *r = &c->status;
	struct span why = status_record_get(r, RECORD_EXPLANATION);
	struct span fault = status_record_get(r, RECORD_DELIVERY_FAULT);
	char octets[3 * RECORD_VALUE_MAX + 64];
	struct buf b = BUF(octets);

	status_label(v, "Status");
	if (!c->has_status) {
		status_line(v, STYLE_GOOD, SPAN("Ready"));
		return;
	}
	status_line(v, STYLE_BAD, status_record_get(r, RECORD_STATUS));
	put_when(&b, r, v);
	status_indented(v, STYLE_PLAIN, buf_span(&b));
	if (!why.n)
		why = status_record_get(r, RECORD_REASON);
	if (why.n)
		status_indented(v, STYLE_PLAIN, why);
	if (!fault.n)
		fault = status_record_get(r, RECORD_REPORT_FAULT);
	if (fault.n)
		status_indented(v, STYLE_PLAIN, fault);
}

static void put_error(const struct status_panel *p, const struct status_view *v)
{
	const struct status_counts *c = p->counts;
	char octets[RECORD_TEXT_MAX];
	struct buf b = BUF(octets);

	if (!c->has_error)
		return;
	status_label(v, "Error");
	put_when(&b, &c->error, v);
	buf_put(&b, SPAN(": "));
	buf_put(&b, status_record_get(&c->error, RECORD_SENTENCE));
	status_line(v, STYLE_BAD, buf_span(&b));
}

static void put_well(const struct status_panel *p, const struct status_view *v)
{
	const struct status_counts *c = p->counts;
	char octets[64];
	struct buf b = BUF(octets);

	if (!c->has_well || (!c->has_status && !c->has_error))
		return;
	status_label(v, "All is well since");
	status_time_put_short(&b, c->well_since, v->now);
	status_line(v, STYLE_GOOD, buf_span(&b));
}

/* Why there are no records; NULL: not known. */
static const char *why_none(const struct status_panel *p)
{
	enum log_choice log = p->setting->config.log;

	if (p->origin || !p->setting->known)
		return NULL;
	if (log == LOG_STDERR || log == LOG_SYSLOG_LINES)
		return "no records can be shown with this setting of log: it should be "
		       "auto, journal or json:FILE";
	if (geteuid() != 0)
		return "no records seen: root and the group systemd-journal may read all "
		       "of the journal";
	return NULL;
}

static void put_notes(const struct status_panel *p, const struct status_view *v)
{
	const char *why = p->counts->has_newest ? NULL : why_none(p);
	char octets[64];
	struct buf b = BUF(octets);

	if (p->peer) {
		status_label(v, "Peer");
		status_line(v, STYLE_PLAIN, span_of(p->peer));
	}
	if (why) {
		status_label(v, "Records");
		status_line(v, STYLE_CARE, span_of(why));
	}
	if (p->n_skipped) {
		status_label(v, "Skipped");
		buf_put_num(&b, p->n_skipped);
		buf_put(&b, p->n_skipped > 1 ? SPAN(" lines that are no records")
					     : SPAN(" line that is no record"));
		status_line(v, STYLE_CARE, buf_span(&b));
	}
}

static void put_sessions(
	const struct status_panel *p, const struct status_view *v, size_t most)
{
	const struct status_counts *c = p->counts;
	size_t n = c->n_kept < most ? c->n_kept : most;
	struct status_rows rows;

	fputs("\n", v->to);
	if (n == 0) {
		status_label(v, "Last sessions");
		fputs("none\n", v->to);
		return;
	}
	status_put(v, STYLE_LABEL, SPAN("Last sessions"), 0);
	putc('\n', v->to);
	status_rows_init(&rows, RECORD_SESSION, v, 2);
	rows.brief = true;
	for (size_t i = 0; i < n; i++)
		status_rows_measure(&rows, &c->kept[i]);
	status_table_fit(&rows.table, v);
	status_table_head(&rows.table, v);
	for (size_t i = 0; i < n; i++)
		status_rows_put(&rows, v, &c->kept[i]);
}

static void put_upper(const struct status_panel *p, const struct status_view *v)
{
	put_title(p, v);
	status_put_setting(p, v);
	put_notes(p, v);
	put_status(p, v);
	put_error(p, v);
	put_well(p, v);
	status_put_counts(p, v);
}

/*
 * Lines left for sessions on the screen: below `text`, two lines of heads and a prompt.
 */
static size_t room_for_sessions(struct span text, const struct status_view *v)
{
	size_t used = 4;

	for (size_t i = 0; i < text.n; i++)
		used += text.p[i] == '\n';
	if (v->height == 0)
		return STATUS_PANEL_SESSIONS;
	return v->height > used + SESSIONS_LEAST ? v->height - used : SESSIONS_LEAST;
}

void status_panel_put(const struct status_panel *p, const struct status_view *v)
{
	OWNED char *text = NULL;
	struct status_view upper = *v;
	size_t n = 0;

	upper.to = open_memstream(&text, &n);
	if (!upper.to)
		return;
	put_upper(p, &upper);
	fclose(upper.to);
	fwrite(text, 1, n, v->to);
	put_sessions(p, v,
		p->n_sessions ? p->n_sessions
			      : room_for_sessions((struct span){ text, n }, v));
}
