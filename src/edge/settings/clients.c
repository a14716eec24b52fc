/* SPDX-License-Identifier: ISC */
/* Reads the rules for clients; finds that of the most specific network of an address. */
#include "edge/settings/settings.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "edge/file.h"
#include "proto/conf.h"

#define WORD_SHOWN_MAX 60 /* octets of a wrong word in a message */

static void put_fault(
	struct faults *f, const char *path, size_t line, const struct rule_fault *fault)
{
	char meant[CONF_MEANT_MAX] = "";
	int n = (int)(fault->word.n < WORD_SHOWN_MAX ? fault->word.n : WORD_SHOWN_MAX);

	if (fault->words)
		conf_put_meant(meant, fault->written, fault->words);
	faults_put(f, "%s:%zu: %.*s: %s%s", path, line, n, fault->word.p, fault->what,
		meant);
}

static void put_trouble(struct faults *f, const char *path, int error)
{
	char why[CONFIG_FAULT_MAX / 2];
	struct buf b = BUF(why);

	if (credential_is_unset(path))
		credential_put_fault(&b, path, SPAN(""));
	else
		file_put_fault(&b, path, error, FILE_READ);
	faults_put(f, "clients %s: %s", path, b.overflow ? strerror(error) : why);
}

/* Adds a rule. 0 or -ENOMEM. */
static int keep(struct clients *c, const struct rule *rule)
{
	if (c->n_rules == c->cap_rules) {
		size_t cap = c->cap_rules ? 2 * c->cap_rules : 16;
		struct rule *rules = realloc(c->rules, cap * sizeof(*rules));
		if (!rules)
			return -ENOMEM;
		c->rules = rules;
		c->cap_rules = cap;
	}
	c->rules[c->n_rules++] = *rule;
	c->may_use_tls |= rule->tls == RULE_TLS_ON || rule->tls == RULE_TLS_REQUIRED;
	c->may_skip_filters |= rule->unfiltered;
	c->may_refuse |= rule->deny.n || rule->proxy || rule->tls == RULE_TLS_REQUIRED;
	return 0;
}

/*
 * Ends a priority with a NUL, in place of the blank or line end after it, or in the spare
 * octet at the end.
 */
static void end_priority(struct clients *c, const struct rule *rule)
{
	if (rule->priority.n)
		c->text[rule->priority.p - c->text + (ptrdiff_t)rule->priority.n] = '\0';
}

/* Takes a line of the file. 0 or -ENOMEM. */
static int take_line(struct clients *c, const char *path, struct span line, size_t number,
	struct faults *faults)
{
	struct rule_fault fault;
	struct rule rule;

	switch (rule_parse(line, &rule, &fault)) {
	case RULE_FINE:
		rule.line = number;
		end_priority(c, &rule);
		return keep(c, &rule);
	case RULE_WRONG:
		put_fault(faults, path, number, &fault);
		break;
	case RULE_BLANK:
		break;
	}
	return 0;
}

static int by_network(const void *a, const void *b)
{
	const struct rule *x = a, *y = b;
	int order = network_compare(&x->network, &y->network);

	return order ? order : (x->line > y->line) - (x->line < y->line);
}

/* Two rules for one network are a fault: neither is more specific. */
static void find_twins(const struct clients *c, const char *path, struct faults *faults)
{
	for (size_t i = 1; i < c->n_rules; i++) {
		const struct rule *first = &c->rules[i - 1], *second = &c->rules[i];
		char octets[IP_TEXT_MAX + 4], what[64];
		struct buf b = BUF(octets);
		if (network_compare(&first->network, &second->network) != 0)
			continue;
		ip_put(&b, &first->network.ip);
		buf_put_char(&b, '/');
		buf_put_num(&b, first->network.prefix);
		snprintf(what, sizeof(what), "is already on line %zu", first->line);
		put_fault(faults, path, second->line,
			&(struct rule_fault){ .word = buf_span(&b), .what = what });
	}
}

void clients_read(struct clients *c, const char *path, struct faults *faults)
{
	ssize_t n = file_read(path, CLIENTS_FILE_MAX, &c->text);
	struct span rest = { c->text, n < 0 ? 0 : (size_t)n };
	int error = n < 0 ? (int)n : 0;

	for (size_t number = 1; rest.n && error == 0; number++)
		error = take_line(c, path, span_take_line(&rest), number, faults);
	if (error < 0)
		put_trouble(faults, path, -error);
	if (c->n_rules)
		qsort(c->rules, c->n_rules, sizeof(*c->rules), by_network);
	find_twins(c, path, faults);
}

void clients_done(struct clients *c)
{
	free(c->rules);
	free(c->text);
	*c = (struct clients){ 0 };
}

const struct rule *clients_find(const struct clients *c, const struct ip *ip)
{
	for (size_t i = 0; i < c->n_rules; i++)
		if (network_has(&c->rules[i].network, ip))
			return &c->rules[i];
	return NULL;
}

void clients_apply(const struct rule *rule, struct session_settings *session,
	struct tls_settings *tls)
{
	static const enum tls_mode modes[] = {
		[RULE_TLS_OFF] = TLS_OFF,
		[RULE_TLS_ON] = TLS_ON,
		[RULE_TLS_REQUIRED] = TLS_REQUIRED,
	};

	if (!rule)
		return;
	if (rule->tls != RULE_TLS_AS_SET && session->tls != TLS_IMPLICIT &&
		!session->lmtp)
		session->tls = modes[rule->tls];
	if (rule->no_dsn)
		session->dsn = false, session->dsn_fault = NULL;
	if (rule->priority.n)
		tls->priority = rule->priority.p;
}
