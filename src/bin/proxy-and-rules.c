/* SPDX-License-Identifier: ISC */
/*
 * Reads the PROXY header and applies the rule for the client, before the greeting. Only
 * peers that the settings list as proxies can send the address of another client; nothing
 * is read from other peers.
 */
#include "bin/proxy-and-rules.h"
#include "proto/proxy.h"

static bool must_send_header(
	const struct config *c, const struct rule *rule, const struct ip *ip)
{
	if (rule && rule->proxy)
		return true;
	return networks_have(&c->proxies, ip);
}

/* Returns one word for the reply. */
static struct span header_fault(enum proxy_step step, const struct stream *s, ssize_t got)
{
	if (step == PROXY_MALFORMED)
		return SPAN("malformed");
	if (s->have.n == 0)
		return SPAN("missing");
	return got == STREAM_TIMEOUT || got == STREAM_TOO_LONG ? SPAN("late")
							       : SPAN("cut short");
}

/* Reads a whole header from the stream; the octets after it stay there. */
static enum session_end read_header(
	struct stream *s, struct proxy_header *ret, struct span *ret_why)
{
	uint64_t most = PROXY_SECONDS * UINT64_C(1000);
	uint64_t deadline = stream_hurry(s, s->timeout < most ? s->timeout : most);
	enum proxy_step step;
	ssize_t got = 1;

	do {
		step = proxy_parse((struct span){ s->have.p, s->have.n }, ret);
		if (step == PROXY_MORE)
			got = stream_fill(s);
	} while (step == PROXY_MORE && got > 0);
	s->deadline = deadline;
	if ((got == 0 || got == -ECONNRESET) && s->have.n == 0)
		return END_PROXY_CHECK;
	if (step != PROXY_DONE) {
		*ret_why = header_fault(step, s, got);
		return got == STREAM_STOP ? END_SHUTDOWN : END_BAD_PROXY;
	}
	s->have.p += ret->n;
	s->have.n -= ret->n;
	s->received = s->have.n > 0;
	return END_NONE;
}

/* Without an address in the header (LOCAL, UNKNOWN) the proxy itself is the client. */
static void set_client(struct session_peer *peer, const struct proxy_header *header)
{
	memcpy(peer->proxy, peer->address, sizeof(peer->proxy));
	peer->name = NULL;
	if (header->client.n)
		peer_set(peer, &header->client, header->port);
	peer->is_proxy = strcmp(peer->proxy, peer->address) == 0;
}

static const struct rule *rule_of(
	const struct config *c, const struct session_peer *peer, struct ip *ret_ip)
{
	*ret_ip = (struct ip){ 0 };
	return ip_parse(span_of(peer->address), ret_ip)
		       ? clients_find(&c->clients, ret_ip)
		       : NULL;
}

bool client_is_unfiltered(const struct config *c, const struct session_peer *peer)
{
	struct ip ip;
	const struct rule *rule = rule_of(c, peer, &ip);

	return rule && rule->unfiltered && !must_send_header(c, rule, &ip);
}

enum session_end client_identify(struct config *c, struct stream *stream,
	struct session_peer *peer, struct span *ret_why)
{
	struct ip ip;
	const struct rule *rule = rule_of(c, peer, &ip);
	struct proxy_header header;

	if (must_send_header(c, rule, &ip)) {
		enum session_end end = read_header(stream, &header, ret_why);
		if (end != END_NONE)
			return end;
		set_client(peer, &header);
		/* a connection has one header, even if its client is a proxy, too */
		rule = rule_of(c, peer, &ip);
	}
	clients_apply(rule, &c->session, &c->tls);
	if (rule && rule->unfiltered)
		c->milters = NULL;
	if (!rule || rule->deny.n == 0)
		return END_NONE;
	*ret_why = rule->deny;
	return END_DENIED;
}
