/* SPDX-License-Identifier: ISC */
/*
 * Loads the settings of a process from all their sources: the settings file, the options
 * of the command line, the rules for clients, the table of recipients. Connections,
 * listeners and `--check` use this function, so that all of them accept the same
 * settings.
 */
#include "edge/settings/settings.h"
#include "edge/table/table.h"

static void report_recipients(void *ctx, const char *what)
{
	struct config *c = ctx;

	faults_put(&c->faults, "recipients %s: %s", c->recipients_file, what);
}

/*
 * Opens the table of recipients. All faults of an unusable table are reported, not only
 * the first.
 */
static void open_recipients(struct config *c)
{
	static const struct table_visitor no_pairs = { NULL, NULL };
	struct faults faults = { .report = report_recipients, .ctx = c };
	char fault[TABLE_FAULT_MAX];

	if (table_open(c->recipients_file, false, &c->recipients.table, fault) == 0) {
		/* without a catch-all an empty table refuses each address */
		if (table_is_empty(c->recipients.table) && !c->recipients.catch_all)
			report_recipients(c, TABLE_EMPTY);
		return;
	}
	table_check(c->recipients_file, false, &no_pairs, &faults);
	if (faults.n == 0)
		report_recipients(c, fault);
}

/* Rules may turn TLS on only when there is a certificate. */
static void check_rules(struct config *c)
{
	for (size_t i = 0; i < c->clients.n_rules && c->tls.n_pairs == 0; i++) {
		const struct rule *rule = &c->clients.rules[i];
		if (rule->tls == RULE_TLS_ON || rule->tls == RULE_TLS_REQUIRED)
			faults_put(&c->faults,
				"%s:%zu: tls= needs the settings tls-certificate and "
				"tls-key",
				c->clients_file, rule->line);
	}
}

static void announce(const struct settings_source *from, const char *path)
{
	if (from->before_reading)
		from->before_reading(from->ctx, path);
}

bool settings_load(struct config *c, const struct settings_source *from)
{
	if (from->file) {
		announce(from, from->file);
		config_read(c, from->file, from->must_exist);
	}
	for (size_t i = 0; i < from->n_overrides; i++)
		config_override(c, from->overrides[i]);
	c->session.lmtp = from->lmtp;
	config_finish(c);
	if (c->recipients_file && from->with_recipients)
		open_recipients(c);
	if (c->clients_file) {
		announce(from, c->clients_file);
		clients_read(&c->clients, c->clients_file, &c->faults);
	}
	check_rules(c);
	return c->faults.n == 0;
}
