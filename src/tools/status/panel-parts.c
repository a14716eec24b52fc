/* SPDX-License-Identifier: ISC */
/*
 * Parts of the panel: the setting with its certificates, and the counts of a span of
 * time.
 */
#include "tools/status/panel.h"
#include "base/num.h"
#include "tools/status/time.h"

#define DAY (24 * 60 * 60)
#define SOON 14 /* days before its end in which a certificate should be renewed */

static void put_word(const struct status_panel *p, const struct status_view *v)
{
	const struct status_setting *s = p->setting;
	char octets[CONFIG_FAULT_MAX];
	struct buf b = BUF(octets);

	status_label(v, "Allow SSL (SMTP Receive)");
	buf_put_str(&b, status_setting_word(s));
	if (s->known && s->config.clients.n_rules) {
		buf_put(&b, SPAN(", with "));
		buf_put_num(&b, s->config.clients.n_rules);
		buf_put(&b, s->config.clients.n_rules > 1 ? SPAN(" rules for clients")
							  : SPAN(" rule for clients"));
	}
	status_line(v, STYLE_PLAIN, buf_span(&b));
}

/* Appends how long a certificate is still valid. */
static enum status_style put_days(
	struct buf *to, const struct tls_description *c, int64_t now)
{
	int64_t left = (c->last - now) / DAY;
	enum status_style style = left < SOON ? STYLE_CARE : STYLE_GOOD;

	if (now > c->last || now < c->first) {
		buf_put(to,
			now > c->last ? SPAN("expired on ") : SPAN("not valid before "));
		status_time_put_day(to, now > c->last ? c->last : c->first);
		style = STYLE_BAD;
	} else {
		buf_put_num(to, (uint64_t)left);
		buf_put(to, left == 1 ? SPAN(" day left, until ")
				      : SPAN(" days left, until "));
		status_time_put_day(to, c->last);
	}
	buf_put(to, c->by_issuer ? SPAN(" (its issuer)") : SPAN(""));
	buf_put(to, c->misnamed ? SPAN("; does not cover the hostname") : SPAN(""));
	return c->misnamed && style == STYLE_GOOD ? STYLE_CARE : style;
}

/* True for "CN=mail.example.org" without further names. */
static bool is_subject(const struct tls_description *c)
{
	return strncmp(c->subject, "CN=", 3) == 0 &&
	       strcmp(c->subject + 3, c->names) == 0;
}

static void put_certificate(
	const struct status_view *v, const struct tls_description *c, const char *name)
{
	char octets[TLS_SUBJECT_TEXT + 64];
	struct buf b = BUF(octets);
	enum status_style style;

	status_label(v, name);
	buf_put_str(&b, c->subject[0] ? c->subject : c->file);
	buf_put(&b, SPAN(" ("));
	buf_put_str(&b, c->key);
	buf_put(&b, c->self_signed ? SPAN(", self-signed)") : SPAN(")"));
	status_line(v, STYLE_PLAIN, buf_span(&b));
	if (c->names[0] && !is_subject(c))
		status_indented(v, STYLE_PLAIN, span_of(c->names));
	b.n = 0;
	style = put_days(&b, c, v->now);
	status_indented(v, style, buf_span(&b));
}

static void put_faults(const struct status_panel *p, const struct status_view *v)
{
	const struct status_setting *s = p->setting;
	char octets[CONFIG_FAULT_MAX];
	struct buf b = BUF(octets);

	if (s->n_hidden) {
		status_label(v, "Not checked");
		buf_put_str(&b, s->hidden);
		buf_put(&b, SPAN(": this user cannot read it"));
		status_line(v, STYLE_CARE, buf_span(&b));
	}
	for (size_t i = 0; i < s->n_faults && i < STATUS_FAULTS_MAX; i++) {
		status_label(v, i ? "" : s->n_faults > 1 ? "Faults" : "Fault");
		status_line(v, STYLE_BAD, span_of(s->faults[i]));
	}
	if (s->n_faults > STATUS_FAULTS_MAX)
		status_indented(v, STYLE_BAD, SPAN("and more: see postern --check"));
}

void status_put_setting(const struct status_panel *p, const struct status_view *v)
{
	const struct status_setting *s = p->setting;

	put_word(p, v);
	for (size_t i = 0; i < s->n_certificates; i++)
		put_certificate(v, &s->certificates[i], i ? "" : "Certificate");
	put_faults(p, v);
}

#define NUMBERS 9
#define VERSION_COLUMNS 12
#define VERSIONS 8 /* versions that are shown */
#define COUNT_COLUMNS 10
#define GAP 4
#define BESIDE 74 /* columns of numbers and versions side by side */
#define REASONS 4 /* reasons that are shown */

/* Shows "Last hour", or "Since Nov 28 09:00". */
static void put_window(const struct status_panel *p, const struct status_view *v)
{
	char octets[64];
	struct buf b = BUF(octets);

	buf_put(&b, p->moves ? SPAN("Last ") : SPAN("Since "));
	if (p->moves)
		status_time_put_span(&b, p->window);
	else
		status_time_put_short(&b, p->counts->since, v->now);
	if (buf_terminate(&b))
		status_label(v, octets);
}

static void put_number(
	const struct status_view *v, const char *name, const char *text, size_t width)
{
	fprintf(v->to, "%-*s%*s", (int)width, name, NUMBERS, text);
}

static void put_share(const struct status_view *v, uint64_t part, uint64_t whole)
{
	uint64_t percent = (uint64_t)((double)part * 100 / (double)whole + 0.5);

	if (percent == 0)
		fputs("   <1 %", v->to);
	else
		fprintf(v->to, "%5u %%", (unsigned)percent);
}

static void put_version(
	const struct status_counts *c, const struct status_view *v, size_t i)
{
	const struct status_tally *t = &c->versions.list[i];
	const char *name = t->text;
	char number[NUMBERS * 3];

	if (strcmp(name, STATUS_TLS_NONE) == 0)
		name = "in the clear";
	else if (strcmp(name, STATUS_TLS_FAILED) == 0)
		name = "TLS failed";
	snprintf(number, sizeof(number), "%ju", (uintmax_t)t->n);
	status_put(v, STYLE_PLAIN, span_of(name), VERSION_COLUMNS);
	put_number(v, "", number,
		strlen(name) < VERSION_COLUMNS ? VERSION_COLUMNS - strlen(name) : 0);
	put_share(v, t->n, c->n_sessions);
}

#define COUNTS 7

struct count {
	const char *name;
	uint64_t n;
	bool is_octets;
	bool is_rare; /* not shown where there is none */
};

/* The rows that are shown; how many. */
static size_t list_counts(const struct status_counts *c, struct count ret[static COUNTS])
{
	const struct count rows[COUNTS] = {
		{ "Sessions", c->n_sessions, false, false },
		{ "Delivered", c->outcomes[STATUS_DELIVERED], false, false },
		{ "Refused", c->outcomes[STATUS_REFUSED], false, false },
		{ "Discarded", c->outcomes[STATUS_DISCARDED], false, true },
		{ "Given up", c->outcomes[STATUS_GIVEN_UP], false, false },
		{ "Octets", c->octets, true, false },
		{ "Checks", c->n_checks, false, true },
	};
	size_t n = 0;

	for (size_t i = 0; i < COUNTS; i++)
		if (rows[i].n || !rows[i].is_rare)
			ret[n++] = rows[i];
	return n;
}

static void put_count(const struct status_view *v, const struct count *row)
{
	char number[32] = "";
	struct buf b = BUF(number);

	if (row->is_octets)
		status_put_octets(&b, row->n);
	else
		buf_put_num(&b, row->n);
	buf_terminate(&b);
	put_number(v, row->name, number, COUNT_COLUMNS);
}

/*
 * Shows the numbers and, beside them (below them in a narrow terminal), the TLS versions.
 */
static void put_numbers(const struct status_panel *p, const struct status_view *v)
{
	const struct status_counts *c = p->counts;
	size_t n = c->versions.n < VERSIONS ? c->versions.n : VERSIONS;
	bool beside = v->width == 0 || v->width >= BESIDE;
	struct count rows[COUNTS];
	size_t counts = list_counts(c, rows), lines = n > counts && beside ? n : counts;

	putc('\n', v->to);
	put_window(p, v);
	for (size_t i = 0; i < lines; i++) {
		if (i)
			status_pad(v, status_labels(v));
		if (i < counts)
			put_count(v, &rows[i]);
		else
			status_pad(v, COUNT_COLUMNS + NUMBERS);
		if (beside && i < n) {
			status_pad(v, GAP);
			put_version(c, v, i);
		}
		putc('\n', v->to);
	}
	for (size_t i = 0; i < n && !beside; i++) {
		status_pad(v, status_labels(v));
		put_version(c, v, i);
		putc('\n', v->to);
	}
}

static size_t digits(uint64_t n)
{
	char text[NUM_MAX];

	return num_format(n, text);
}

static void put_reason(const struct status_view *v, const char *name, uint64_t n,
	size_t width, enum status_style style, struct span text)
{
	size_t used = status_labels(v) + width + 2;

	status_label(v, name);
	fprintf(v->to, "%*ju  ", (int)width, (uintmax_t)n);
	status_put(v, style, text, v->width > used ? v->width - used : 0);
	putc('\n', v->to);
}

static void put_reasons(const struct status_panel *p, const struct status_view *v)
{
	const struct status_tallies *t = &p->counts->reasons;
	uint64_t others = t->n_others;
	size_t width;

	for (size_t i = REASONS; i < t->n; i++)
		others += t->list[i].n;
	if (t->n == 0)
		return;
	width = digits(others > t->list[0].n ? others : t->list[0].n);
	putc('\n', v->to);
	for (size_t i = 0; i < t->n && i < REASONS; i++)
		put_reason(v, i ? "" : "Refusals", t->list[i].n, width, STYLE_PLAIN,
			span_of(t->list[i].text));
	if (others)
		put_reason(v, "", others, width, STYLE_QUIET, SPAN("other reasons"));
}

/* Shows "/srv/mail/scan: 3 waiting, 120 done, 1 failed; last: exit status 1". */
static void put_pipes(const struct status_panel *p, const struct status_view *v)
{
	const struct status_counts *c = p->counts;
	char text[4 * STATUS_TALLY_TEXT];

	if (c->n_pipes)
		putc('\n', v->to);
	for (size_t i = 0; i < c->n_pipes; i++) {
		const struct status_pipe *pipe = &c->pipes[i];
		snprintf(text, sizeof(text), "%s: %ju waiting, %ju done, %ju failed%s%s",
			pipe->mailbox, (uintmax_t)pipe->waiting, (uintmax_t)pipe->done,
			(uintmax_t)pipe->failed, pipe->reason[0] ? "; last: " : "",
			pipe->reason);
		status_label(v, i ? "" : "Programs");
		status_line(v, pipe->failed ? STYLE_CARE : STYLE_PLAIN, span_of(text));
	}
}

/* "3.1 s", "13 ms" */
static void put_time(struct buf *b, uint64_t milliseconds)
{
	if (milliseconds < 1000) {
		buf_put_num(b, milliseconds);
		buf_put(b, SPAN(" ms"));
		return;
	}
	buf_put_num(b, milliseconds / 1000);
	buf_put_char(b, '.');
	buf_put_num(b, milliseconds % 1000 / 100);
	buf_put(b, SPAN(" s"));
}

static uint64_t put_verdicts(struct buf *b, const struct status_filter_count *f)
{
	uint64_t n = 0;

	for (enum status_verdict i = 0; i < STATUS_VERDICTS; i++) {
		if (!f->verdicts[i] && i != STATUS_FILTER_ACCEPTED)
			continue;
		buf_put(b, i ? SPAN(", ") : SPAN(""));
		buf_put_num(b, f->verdicts[i]);
		buf_put_char(b, ' ');
		buf_put_str(b, status_verdict_word(i));
		n += f->verdicts[i];
	}
	if (f->n_refused) {
		buf_put(b, SPAN(", "));
		buf_put_num(b, f->n_refused);
		buf_put_str(b,
			f->n_refused > 1 ? " recipients refused" : " recipient refused");
	}
	return n;
}

/* "unix:/run/x.sock: 7 accepted, 1 failed; 13 ms on average, 3.1 s at most; last: ..." */
static void put_filter(struct buf *b, const struct status_filter_count *f)
{
	uint64_t n;

	buf_put_str(b, f->name);
	buf_put(b, SPAN(": "));
	n = put_verdicts(b, f);
	buf_put(b, SPAN("; "));
	put_time(b, n ? f->milliseconds / n : 0);
	buf_put(b, SPAN(" on average, "));
	put_time(b, f->longest);
	buf_put(b, SPAN(" at most"));
	if (f->why[0]) {
		buf_put(b, SPAN("; last: "));
		buf_put_str(b, f->why);
	}
	if (f->verdicts[STATUS_FILTER_FAILED] > 1 && f->message[0]) {
		buf_put(b, SPAN("; always with the message "));
		buf_put_str(b, f->message);
	}
}

static void put_filters(const struct status_panel *p, const struct status_view *v)
{
	const struct status_counts *c = p->counts;
	char text[5 * STATUS_TALLY_TEXT];

	if (c->n_filters)
		putc('\n', v->to);
	for (size_t i = 0; i < c->n_filters; i++) {
		const struct status_filter_count *f = &c->filters[i];
		struct buf b = BUF(text);

		put_filter(&b, f);
		status_label(v, i ? "" : "Filters");
		status_line(v,
			f->verdicts[STATUS_FILTER_FAILED] ? STYLE_CARE : STYLE_PLAIN,
			buf_span(&b));
	}
}

void status_put_counts(const struct status_panel *p, const struct status_view *v)
{
	put_numbers(p, v);
	put_reasons(p, v);
	put_filters(p, v);
	put_pipes(p, v);
}
