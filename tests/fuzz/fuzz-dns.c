/* SPDX-License-Identifier: ISC */
/* Answers of name servers: what is taken can be shown, and was in an answer to the question. */
#include "fuzz/fuzz.h"
#include "proto/dns.h"

static void check_names(struct span answer, const struct dns_question *q)
{
	struct dns_name names[DNS_NAMES_MAX];
	size_t n;

	MUST((dns_take_names(answer, q, names, &n) == DNS_FOUND) == (n > 0));
	MUST(n <= DNS_NAMES_MAX);
	for (size_t i = 0; i < n; i++)
		MUST(dns_is_host_name(span_of(names[i].text)));
}

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size)
{
	struct span answer = { (const char *)octets, size };
	struct dns_question q = { .id = 0x1234, .type = DNS_PTR };
	struct ip servers[DNS_SERVERS_MAX], ip;
	size_t n;

	MUST(ip_parse(SPAN("203.0.113.9"), &ip));
	dns_reverse_name(&q.name, &ip);
	check_names(answer, &q);
	q.type = DNS_A;
	memcpy(q.name.text, "mail.example", sizeof("mail.example"));
	dns_take_address(answer, &q, &ip);
	n = dns_take_servers(answer, servers);
	MUST(n >= 1 && n <= DNS_SERVERS_MAX);
	return 0;
}
