/* SPDX-License-Identifier: ISC */
/*
 * The panel: the whole state on one screen of 80 columns, with labels on the left, facts
 * on the right, and colour only for problems. It only shows values of other files.
 */
#include "tools/status/panel.h"
#include <stdlib.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "tools/status/rows.h"
#include "tools/status/time.h"

#define SESSIONS_LEAST 2

/* Shows "mail.example.org, from the journal Nov 28 13:40:12". */
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

/* Shows the newest record with a status and its details, or "Ready". */
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

const char *status_why_none(const struct status_panel *p)
{
	enum log_choice log = p->setting->config.log;

	if (p->counts->has_newest || p->origin || !p->setting->known)
		return NULL;
	if (log == LOG_STDERR || log == LOG_SYSLOG_LINES)
		return "no records can be shown with this setting of log: it should be "
		       "auto, journal or json:FILE";
	if (geteuid() != 0)
		return "no records seen: there are none, or only root and the group "
		       "systemd-journal may read them";
	return NULL;
}

static void put_notes(const struct status_panel *p, const struct status_view *v)
{
	const char *why = status_why_none(p);
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
 * Returns the lines of the screen that are left for sessions, after `text`, two lines of
 * headings and a prompt.
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
