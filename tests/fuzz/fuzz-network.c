/* SPDX-License-Identifier: ISC */
/* Networks and lines of a clients file: an accepted network has one text, which is parsed to the same network. */
#include "fuzz/fuzz.h"
#include "base/num.h"
#include "proto/conf.h"

#define NETWORK_TEXT_MAX (IP_TEXT_MAX + 4)

static void check_again(const struct network *network)
{
	char octets[NETWORK_TEXT_MAX];
	struct buf b = BUF(octets);
	struct network again;

	ip_put(&b, &network->ip);
	buf_put_char(&b, '/');
	buf_put_num(&b, network->prefix);
	MUST(!b.overflow);
	MUST(!network_parse(buf_span(&b), &again));
	MUST(network_compare(network, &again) == 0);
}

/* It has its first address and its last, and none with another bit in its prefix. */
static void check_members(const struct network *network)
{
	struct ip ip = network->ip;

	MUST(ip.n == IPV4_OCTETS || ip.n == IPV6_OCTETS);
	MUST(network->prefix <= 8 * ip.n);
	MUST(network_has(network, &ip));
	for (size_t bit = 0; bit < 8 * ip.n; bit++) {
		unsigned char mask = (unsigned char)(0x80 >> bit % 8);
		ip.octets[bit / 8] ^= mask;
		MUST(network_has(network, &ip) == (bit >= network->prefix));
		/* bits after the prefix were 0, and stay inverted */
		if (bit < network->prefix)
			ip.octets[bit / 8] ^= mask;
		else
			MUST(ip.octets[bit / 8] & mask);
	}
	MUST(network_has(network, &ip));
}

static void check_network(const struct network *network)
{
	check_again(network);
	check_members(network);
}

static void check_rule(struct span line)
{
	struct rule rule;
	struct rule_fault fault;

	switch (rule_parse(line, &rule, &fault)) {
	case RULE_FINE:
		check_network(&rule.network);
		fuzz_is_inside(rule.deny, line);
		fuzz_is_inside(rule.priority, line);
		MUST(rule.deny.n <= RULE_TEXT_MAX);
		MUST(!rule.deny.n ||
			!(rule.proxy || rule.priority.n || rule.tls != RULE_TLS_AS_SET));
		break;
	case RULE_WRONG:
		fuzz_is_inside(fault.word, line);
		MUST(fault.what && fault.what[0]);
		break;
	case RULE_BLANK:
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span input = fuzz_input(data, size, 0);
	struct network network;
	struct ip ip;

	if (!network_parse(input, &network))
		check_network(&network);
	if (ip_parse(input, &ip)) {
		MUST(!network_parse(input, &network));
		MUST(network_has(&network, &ip) && network.prefix == 8 * ip.n);
	}
	while (input.n) {
		const char *lf = memchr(input.p, '\n', input.n);
		size_t n = lf ? (size_t)(lf - input.p) : input.n;
		check_rule((struct span){ input.p, n });
		input = span_from(input, n + (lf != NULL));
	}
	return 0;
}
