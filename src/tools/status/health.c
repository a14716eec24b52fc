/* SPDX-License-Identifier: ISC */
/*
 * Prints the state in one line: "WARNING: certificate CN=mail.example.org expires on
 * 2026-12-08; ...". The worst problem determines the exit status; the line has all
 * problems, or the counts if there is none.
 */
#include "tools/status/status.h"
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include "base/cleanup.h"
#include "smtp/record-tables.h"
#include "tools/status/time.h"

#define DAY (24 * 60 * 60)
#define SOON 14 /* days, as on the panel */
#define LINE_MAX_ 4096

struct health {
	enum status_health worst;
	struct buf line;
	char octets[LINE_MAX_];
};

/* Begins another problem in the line. */
static struct buf *add_problem(struct health *h, enum status_health how)
{
	if (h->line.n)
		buf_put(&h->line, SPAN("; "));
	if (h->worst < how)
		h->worst = how;
	return &h->line;
}

static void look_at_certificate(
	struct health *h, const struct tls_description *c, int64_t now)
{
	bool over = now > c->last || now < c->first;
	struct buf *b;

	if (!over && !c->misnamed && (c->last - now) / DAY >= SOON)
		return;
	b = add_problem(h, over ? HEALTH_CRITICAL : HEALTH_WARNING);
	buf_put(b, SPAN("certificate "));
	buf_put_str(b, c->subject[0] ? c->subject : c->file);
	if (now < c->first) {
		buf_put(b, SPAN(" is not valid before "));
		status_time_put_day(b, c->first);
	} else if (over || (c->last - now) / DAY < SOON) {
		buf_put(b, over ? SPAN(" expired on ") : SPAN(" expires on "));
		status_time_put_day(b, c->last);
	} else {
		buf_put(b, SPAN(" does not cover the hostname"));
	}
}

/* Shows only the first fault as a sentence. */
static void look_at_faults(struct health *h, const struct status_setting *s)
{
	struct buf *b;

	if (s->n_faults == 0)
		return;
	b = add_problem(h, HEALTH_CRITICAL);
	buf_put_str(b, s->faults[0]);
	if (s->n_faults > 1) {
		buf_put(b, SPAN(" (and "));
		buf_put_num(b, s->n_faults - 1);
		buf_put(b, SPAN(" more: see postern --check)"));
	}
}

/* Adds statuses that are caused by this host, not by a client. */
static void look_at_statuses(struct health *h, const struct status_tallies *t)
{
	static const struct {
		enum topic topic;
		enum status_health how;
	} rows[] = {
		{ TOPIC_MISCONFIGURED, HEALTH_CRITICAL },
		{ TOPIC_NOT_DELIVERED, HEALTH_CRITICAL },
		{ TOPIC_TLS_UNUSABLE, HEALTH_CRITICAL }, /* a listener without TLS */
		{ TOPIC_NOT_REPORTED, HEALTH_WARNING },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const char *status = topic_get(rows[i].topic)->status;

		for (size_t k = 0; k < t->n; k++) {
			if (strcmp(t->list[k].text, status) != 0)
				continue;
			buf_put_num(add_problem(h, rows[i].how), t->list[k].n);
			buf_put(&h->line, SPAN(" x "));
			buf_put_str(&h->line, status);
		}
	}
}

/* Returns the number of entries of the directory, or -errno. */
static int64_t count_files(const char *path)
{
	DIR *dir = opendir(path);
	const struct dirent *entry;
	int64_t n = 0;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir)))
		n += entry->d_name[0] != '.';
	closedir(dir);
	return n;
}

/* Reports that could not be sent are in cur/ of the outbox (postern-outbox(8)). */
static void look_at_outbox(struct health *h, const char *outbox)
{
	OWNED char *path = NULL;
	int64_t n;

	if (!outbox || asprintf(&path, "%s/cur", outbox) < 0)
		return;
	n = count_files(path);
	/* the first report creates the directory */
	if (n == 0 || n == -ENOENT)
		return;
	add_problem(h, HEALTH_WARNING);
	if (n > 0) {
		buf_put_num(&h->line, (uint64_t)n);
		buf_put(&h->line,
			n > 1 ? SPAN(" reports wait in ") : SPAN(" report waits in "));
	}
	buf_put_str(&h->line, path);
	if (n < 0) {
		buf_put(&h->line, SPAN(": "));
		buf_put_str(&h->line, strerror((int)-n));
	}
}

/* Adds files that this user cannot read, which may have problems. */
static void look_at_hidden(struct health *h, const struct status_panel *p, int error)
{
	const char *certificate = p->setting->hidden_certificate;
	const char *why = error ? NULL : status_why_none(p);

	if (certificate) {
		buf_put(add_problem(h, HEALTH_WARNING), SPAN("certificate "));
		buf_put_str(&h->line, certificate);
		buf_put(&h->line, SPAN(" is not checked: this user cannot read it"));
	}
	if (why)
		buf_put_str(add_problem(h, HEALTH_WARNING), why);
}

static void put_counts(struct health *h, const struct status_panel *p)
{
	buf_put_num(&h->line, p->counts->n_sessions);
	buf_put(&h->line, SPAN(" sessions, "));
	buf_put_num(&h->line, p->counts->outcomes[STATUS_DELIVERED]);
	buf_put(&h->line, SPAN(" messages delivered in the last "));
	status_time_put_span(&h->line, p->window);
}

enum status_health status_health_put(
	const struct status_panel *panel, int error, const struct status_view *v)
{
	static const char *const words[] = { "OK", "WARNING", "CRITICAL" };
	struct health h = { .worst = HEALTH_OK };
	const struct status_setting *s = panel->setting;

	h.line = BUF(h.octets);
	for (size_t i = 0; i < s->n_certificates; i++)
		look_at_certificate(&h, &s->certificates[i], v->now);
	look_at_faults(&h, s);
	if (error == 0)
		look_at_statuses(&h, &panel->counts->statuses);
	if (s->known)
		look_at_outbox(&h, s->config.dsn_outbox);
	look_at_hidden(&h, panel, error);
	if (error < 0) {
		buf_put_str(add_problem(&h, HEALTH_WARNING), "no records: ");
		buf_put_str(&h.line, panel->origin ? panel->origin : "the journal");
		buf_put(&h.line, SPAN(": "));
		buf_put_str(&h.line, status_why_unread(panel->origin, -error));
	}
	if (h.worst == HEALTH_OK)
		put_counts(&h, panel);
	fprintf(v->to, "%s: ", words[h.worst]);
	status_put(v, STYLE_PLAIN, buf_span(&h.line), 0);
	fputs(h.line.overflow ? "...\n" : "\n", v->to);
	return h.worst;
}
