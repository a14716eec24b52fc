/*
 * Promises text that both readers take: OpenMetrics, and the node_exporter's textfile collector. All of it is
 * gauges: what is counted are the records of a time that moves on, and a log forgets. Refuses to make labels
 * of what strangers choose.
 */
#include "tools/status-metrics.h"
#include <inttypes.h>

static void family(FILE *to, const char *name, const char *help)
{
	fprintf(to, "# TYPE %s gauge\n# HELP %s %s\n", name, name, help);
}

static void single(FILE *to, const char *name, const char *help, uint64_t value)
{
	family(to, name, help);
	fprintf(to, "%s %" PRIu64 "\n", name, value);
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

static void labelled(
	FILE *to, const char *name, const char *label, const char *value, uint64_t n)
{
	fprintf(to, "%s{%s=", name, label);
	put_quoted(to, value);
	fprintf(to, "} %" PRIu64 "\n", n);
}

static void put_tallies(FILE *to, const char *name, const char *label, const char *help,
	const struct status_tallies *t)
{
	family(to, name, help);
	for (size_t i = 0; i < t->n; i++)
		labelled(to, name, label, t->list[i].text, t->list[i].n);
}

/* "550 5.1.1" of a reply, "500" of one without; its text may have an argument. */
static size_t code_length(const char *reply)
{
	size_t code = strspn(reply, "0123456789");
	size_t more = reply[code] == ' ' ? strspn(reply + code + 1, "0123456789.") : 0;

	return more ? code + 1 + more : code;
}

/* Replies of one code are one. */
static void merge(const struct status_tallies *reasons, struct status_tallies *ret)
{
	ret->n = 0;
	for (size_t i = 0; i < reasons->n; i++) {
		struct status_tally t = reasons->list[i];
		size_t at = 0;

		t.text[code_length(t.text)] = '\0';
		while (at < ret->n && strcmp(ret->list[at].text, t.text) != 0)
			at++;
		if (at < ret->n)
			ret->list[at].n += t.n;
		else
			ret->list[ret->n++] = t;
	}
}

static void put_counts(const struct status_panel *p, FILE *to)
{
	const struct status_counts *c = p->counts;
	struct status_tallies codes;

	merge(&c->reasons, &codes);
	put_tallies(to, "postern_sessions", "tls", "Sessions that ended, by TLS version.",
		&c->versions);
	put_tallies(to, "postern_session_statuses", "status",
		"Records with a status line, by status.", &c->statuses);
	single(to, "postern_proxy_checks",
		"Health checks of proxies, which are no sessions.", c->n_checks);
	family(to, "postern_messages", "Messages, by what became of them.");
	for (enum status_outcome o = 0; o < STATUS_OUTCOMES; o++)
		labelled(to, "postern_messages", "outcome", status_outcome_word(o),
			c->outcomes[o]);
	single(to, "postern_delivered_bytes", "Octets of delivered messages.", c->octets);
	put_tallies(to, "postern_refusals", "code", "Refusals, by code of the reply.",
		&codes);
	single(to, "postern_failed_logins", "Attempts to log in that failed.",
		c->n_failed_logins);
	single(to, "postern_errors", "Errors of the program itself.", c->n_errors);
	single(to, "postern_skipped_lines", "Lines of the log that are no records.",
		p->n_skipped);
	if (c->has_newest)
		single(to, "postern_newest_record_timestamp_seconds",
			"When the newest record was written.", (uint64_t)c->newest);
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
		family(to, "postern_tls_setting", "The setting tls, as a label.");
		labelled(to, "postern_tls_setting", "setting", status_setting_word(s), 1);
	}
	if (s->n_certificates)
		family(to, "postern_certificate_not_after_timestamp_seconds",
			"When the certificate expires.");
	for (size_t i = 0; i < s->n_certificates; i++)
		put_end_of(to, &s->certificates[i]);
	single(to, "postern_setting_faults",
		"Faults of settings, certificates and keys, as far as they could be "
		"read.",
		s->n_faults);
}

void status_metrics_put(const struct status_panel *panel, FILE *to)
{
	single(to, "postern_window_seconds", "Seconds of records that are counted here.",
		(uint64_t)panel->window);
	put_counts(panel, to);
	put_setting(panel->setting, to);
	fputs("# EOF\n", to);
}
