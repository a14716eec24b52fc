/* SPDX-License-Identifier: ISC */
/*
 * The clients file. Input: octets of an address, then the file. Each fault is one line with its place; the rule for
 * an address is that of the most specific network; a denying rule has no other option.
 */
#include <unistd.h>
#include "edge/settings/settings.h"
#include "fuzz/fuzz-file.h"

static void count_fault(void *ctx, const char *fault)
{
	MUST(fuzz_file_count(ctx, fault) && strlen(fault) < FAULTS_TEXT_MAX);
}

static void check_rule(const struct rule *rule)
{
	MUST(rule->network.ip.n == IPV4_OCTETS || rule->network.ip.n == IPV6_OCTETS);
	MUST(rule->network.prefix <= 8 * rule->network.ip.n);
	MUST(network_has(&rule->network, &rule->network.ip));
	MUST(rule->line > 0 && rule->tls <= RULE_TLS_REQUIRED);
	MUST(rule->deny.n <= RULE_TEXT_MAX);
	for (size_t i = 0; i < rule->deny.n; i++)
		MUST(rule->deny.p[i] == '\t' ||
			(rule->deny.p[i] >= ' ' && rule->deny.p[i] <= '~'));
	if (rule->deny.n)
		MUST(!rule->proxy && !rule->no_dsn && !rule->unfiltered &&
			!rule->priority.n && rule->tls == RULE_TLS_AS_SET);
	if (rule->priority.n)
		MUST(strlen(rule->priority.p) == rule->priority.n);
}

/* By the rule alone: of all networks that have the address the one with the longest prefix. */
static void check_address(const struct clients *c, const struct ip *ip)
{
	const struct rule *found = clients_find(c, ip);

	MUST(!found || network_has(&found->network, ip));
	for (size_t i = 0; i < c->n_rules; i++)
		if (network_has(&c->rules[i].network, ip))
			MUST(found &&
				found->network.prefix >= c->rules[i].network.prefix);
}

static void check_applied(const struct rule *rule)
{
	struct session_settings session = { .tls = TLS_IMPLICIT, .dsn = true };
	struct tls_settings tls = { .priority = "NORMAL" };

	clients_apply(rule, &session, &tls);
	MUST(session.tls == TLS_IMPLICIT && session.dsn == !rule->no_dsn);
	MUST(rule->priority.n ? tls.priority == rule->priority.p
			      : strcmp(tls.priority, "NORMAL") == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_file file;
	struct clients c = { 0 };
	struct faults faults = { .report = count_fault, .ctx = &file };
	struct ip ip;

	fuzz_file_make(&file, fuzz_input(data, size, IPV6_OCTETS));
	clients_read(&c, file.path, &faults);
	MUST(faults.n == file.n_faults);
	close(file.fd);
	for (size_t i = 0; i < c.n_rules; i++) {
		check_rule(&c.rules[i]);
		check_applied(&c.rules[i]);
		check_address(&c, &c.rules[i].network.ip);
	}
	if (size >= IPV6_OCTETS) {
		ip = ip_of(data, IPV6_OCTETS);
		check_address(&c, &ip);
		ip = ip_of(data, IPV4_OCTETS);
		check_address(&c, &ip);
	}
	clients_done(&c);
	return 0;
}
