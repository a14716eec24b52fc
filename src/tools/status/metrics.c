/*
 * Text of OpenMetrics, which the node_exporter's textfile collector takes as well. Gauges count the records of a time
 * that moves on; counters have what was counted since they began. No label has what strangers choose.
 */
#include "tools/status/metrics.h"
#include <inttypes.h>

/* How the names of its families begin, and those of their samples end. */
struct kind {
	const char *type, *prefix, *suffix;
};

static const struct kind gauges = { "gauge", "postern_", "" };
static const struct kind counters = { "counter", "postern_recorded_", "_total" };

static void family(FILE *to, const struct kind *k, const char *name, const char *help)
{
	fprintf(to, "# TYPE %s%s %s\n# HELP %s%s %s\n", k->prefix, name, k->type,
		k->prefix, name, help);
}

static void single(FILE *to, const struct kind *k, const char *name, const char *help,
	uint64_t value)
{
	family(to, k, name, help);
	fprintf(to, "%s%s%s %" PRIu64 "\n", k->prefix, name, k->suffix, value);
}

/* The value of a label: `\\`, `"` and a line feed are escaped; what is no ASCII is left out. */
static void put_quoted(FILE *to, const char *text)
{
	putc('"', to);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			putc('\\', to);
		putc(*text >= 32 && *text <= 126 ? *text : '?', to);
	}
	putc('"', to);
}

static void labelled(FILE *to, const struct kind *k, const char *name, const char *label,
	const char *value, uint64_t n)
{
	fprintf(to, "%s%s%s{%s=", k->prefix, name, k->suffix, label);
	put_quoted(to, value);
	fprintf(to, "} %" PRIu64 "\n", n);
}

static void put_tallies(FILE *to, const struct kind *k, const char *name,
	const char *label, const char *help, const struct status_tallies *t)
{
	family(to, k, name, help);
	for (size_t i = 0; i < t->n; i++)
		labelled(to, k, name, label, t->list[i].text, t->list[i].n);
}

static void put_counts(const struct status_counts *c, const struct kind *k, FILE *to)
{
	struct status_tallies codes;

	status_count_codes(&c->reasons, &codes);
	put_tallies(to, k, "sessions", "tls", "Sessions that ended, by TLS version.",
		&c->versions);
	put_tallies(to, k, "session_statuses", "status",
		"Records with a status line, by status.", &c->statuses);
	single(to, k, "proxy_checks", "Health checks of proxies, which are no sessions.",
		c->n_checks);
	family(to, k, "messages", "Messages, by what became of them.");
	for (enum status_outcome o = 0; o < STATUS_OUTCOMES; o++)
		labelled(to, k, "messages", "outcome", status_outcome_word(o),
			c->outcomes[o]);
	single(to, k, "delivered_bytes", "Octets of delivered messages.", c->octets);
	put_tallies(to, k, "refusals", "code", "Refusals, by code of the reply.", &codes);
	single(to, k, "failed_logins", "Attempts to log in that failed.",
		c->n_failed_logins);
	single(to, k, "errors", "Errors of the program itself.", c->n_errors);
}

static void put_end_of(FILE *to, const struct tls_description *d)
{
	fputs("postern_certificate_not_after_timestamp_seconds{file=", to);
	put_quoted(to, d->file);
	fputs(",subject=", to);
	put_quoted(to, d->subject);
	fprintf(to, "} %" PRId64 "\n", d->last);
}

static void put_setting(const struct status_setting *s, FILE *to)
{
	if (s->known) {
		family(to, &gauges, "tls_setting", "The setting tls, as a label.");
		labelled(
			to, &gauges, "tls_setting", "setting", status_setting_word(s), 1);
	}
	if (s->n_certificates)
		family(to, &gauges, "certificate_not_after_timestamp_seconds",
			"When the certificate expires.");
	for (size_t i = 0; i < s->n_certificates; i++)
		put_end_of(to, &s->certificates[i]);
	single(to, &gauges, "setting_faults",
		"Faults of settings, certificates and keys, as far as they could be "
		"read.",
		s->n_faults);
}

/* Of the source as it is, not of a time. */
static void put_source(const struct status_panel *p, FILE *to)
{
	single(to, &gauges, "skipped_lines", "Lines of the log that are no records.",
		p->n_skipped);
	if (p->counts->has_newest)
		single(to, &gauges, "newest_record_timestamp_seconds",
			"When the newest record was written.",
			(uint64_t)p->counts->newest);
}

void status_metrics_put(
	const struct status_panel *panel, const struct status_totals *totals, FILE *to)
{
	single(to, &gauges, "window_seconds", "Seconds of records that are counted here.",
		(uint64_t)panel->window);
	put_counts(panel->counts, &gauges, to);
	put_source(panel, to);
	put_setting(panel->setting, to);
	if (totals) {
		single(to, &gauges, "recorded_since_timestamp_seconds",
			"When the counters began.", (uint64_t)totals->began);
		put_counts(&totals->counts, &counters, to);
	}
	fputs("# EOF\n", to);
}
