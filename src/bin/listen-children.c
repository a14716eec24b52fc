/* Promises that no source takes every place; refuses to know what a connection does. */
#include "bin/listen-children.h"
#include <sys/mman.h>

#define SOURCE_OCTETS 8 /* of an IPv6 address */

struct listen_children *listen_children_new(void)
{
	void *c = mmap(NULL, sizeof(struct listen_children), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return c == MAP_FAILED ? NULL : c;
}

void listen_children_hide(struct listen_children *c)
{
	madvise(c, sizeof(*c), MADV_DONTFORK);
}

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

/* How many there are; of one source, where one is given. */
static size_t count(const struct listen_children *c, const struct ip *source)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n_used; i++)
		n += c->list[i].pid && (!source || is_same(&c->list[i].source, source));
	return n;
}

size_t listen_count(const struct listen_children *c)
{
	return count(c, NULL);
}

enum listen_verdict listen_judge(struct listen_children *c,
	const struct listen_limits *limits, const struct ip *source, bool is_exempt,
	uint64_t minute)
{
	bool is_judged = source->n > 0 && !is_exempt;
	size_t n = listen_count(c);

	if (is_judged && limits->rate && count_rate(c, source, minute) > limits->rate)
		return LISTEN_SOURCE_FAST;
	if (n >= limits->all || n == LISTEN_CHILDREN_MAX)
		return LISTEN_FULL;
	if (is_judged && limits->of_source && count(c, source) >= limits->of_source)
		return LISTEN_SOURCE_FULL;
	return LISTEN_FINE;
}

void listen_add(
	struct listen_children *c, pid_t keeper, pid_t pid, const struct ip *source)
{
	size_t i = 0;

	while (c->list[i].pid)
		i++;
	c->list[i].keeper = keeper;
	c->list[i].source = *source;
	c->list[i].pid = pid; /* last: now it counts */
	if (i >= c->n_used)
		c->n_used = i + 1;
	c->n_so_far++;
}

bool listen_remove(struct listen_children *c, pid_t pid)
{
	for (size_t i = 0; i < c->n_used; i++) {
		if (c->list[i].pid != pid)
			continue;
		c->list[i].pid = 0;
		return true;
	}
	return false;
}

void listen_remove_all(struct listen_children *c, pid_t keeper)
{
	for (size_t i = 0; i < c->n_used; i++)
		if (c->list[i].pid && c->list[i].keeper == keeper)
			c->list[i].pid = 0;
}
