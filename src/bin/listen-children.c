/* Promises that no source takes every place; refuses to know what a connection does. */
#include "bin/listen-children.h"
#include <errno.h>
#include <stdlib.h>

#define SOURCE_OCTETS 8 /* of an IPv6 address */

struct ip listen_source(const struct ip *ip)
{
	struct ip source = *ip;

	if (ip->n == IPV6_OCTETS)
		memset(source.octets + SOURCE_OCTETS, 0, IPV6_OCTETS - SOURCE_OCTETS);
	return source;
}

static bool is_same(const struct ip *a, const struct ip *b)
{
	return a->n == b->n && memcmp(a->octets, b->octets, a->n) == 0;
}

/* FNV-1a; a source that meets another in its slot only begins its minute anew. */
static struct listen_rate *slot_of(struct listen_children *c, const struct ip *source)
{
	uint32_t hash = UINT32_C(2166136261);

	for (size_t i = 0; i < source->n; i++)
		hash = (hash ^ source->octets[i]) * UINT32_C(16777619);
	return &c->rates[hash % LISTEN_RATE_SLOTS];
}

static size_t count_rate(
	struct listen_children *c, const struct ip *source, uint64_t minute)
{
	struct listen_rate *r = slot_of(c, source);

	if (r->minute != minute || !is_same(&r->source, source))
		*r = (struct listen_rate){ .source = *source, .minute = minute };
	return ++r->n;
}

static size_t count_source(const struct listen_children *c, const struct ip *source)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n; i++)
		n += is_same(&c->list[i].source, source);
	return n;
}

enum listen_verdict listen_judge(struct listen_children *c,
	const struct listen_limits *limits, const struct ip *source, bool is_exempt,
	uint64_t minute)
{
	bool is_judged = source->n > 0 && !is_exempt;

	if (is_judged && limits->rate && count_rate(c, source, minute) > limits->rate)
		return LISTEN_SOURCE_FAST;
	if (c->n >= limits->all)
		return LISTEN_FULL;
	if (is_judged && limits->of_source &&
		count_source(c, source) >= limits->of_source)
		return LISTEN_SOURCE_FULL;
	return LISTEN_FINE;
}

int listen_add(struct listen_children *c, pid_t pid, const struct ip *source)
{
	if (c->n == c->cap) {
		size_t cap = c->cap ? 2 * c->cap : 64;
		struct listen_child *more = reallocarray(c->list, cap, sizeof(*more));
		if (!more)
			return -ENOMEM;
		c->list = more;
		c->cap = cap;
	}
	c->list[c->n++] = (struct listen_child){ pid, *source };
	return 0;
}

bool listen_remove(struct listen_children *c, pid_t pid)
{
	for (size_t i = 0; i < c->n; i++) {
		if (c->list[i].pid != pid)
			continue;
		c->list[i] = c->list[--c->n];
		return true;
	}
	return false;
}
