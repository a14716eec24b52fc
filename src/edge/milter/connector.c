/* SPDX-License-Identifier: ISC */
/*
 * Sockets for the connections of a listener. The acceptor and its connections may connect
 * to nothing; a process that was forked before their sandbox closed, the connector, makes
 * the sockets for each connection and passes them over a channel that the connection
 * alone has. It reads nothing from clients, filters or name servers, and waits for none:
 * where a filter has no room, that connection is put off, and others are served. A source
 * with many connections thus delays others by the time of a few system calls.
 */
#include "edge/milter/connector.h"
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "edge/net/net.h"

#define ENDED "has no socket: the process that makes them has ended"
#define DESCRIPTORS_MAX (FILTERS_MAX + DNS_SERVERS_MAX)
_Static_assert(DESCRIPTORS_MAX <= CHANNEL_FDS_MAX, "one message has them all");
/* connections that are put off, of which each may have FILTERS_MAX sockets */
#define WAITING_MAX 32

/*
 * The message to a connection. Its descriptors are those of filters, then of name
 * servers.
 */
struct parcel {
	uint32_t n_filters, n_servers;
	struct {
		int32_t error; /* -errno: no descriptor; 0: a descriptor */
		bool connected;
	} filters[FILTERS_MAX];
};

struct descriptors {
	int list[DESCRIPTORS_MAX];
	size_t n;
};

static void close_all(struct descriptors *d)
{
	while (d->n)
		close(d->list[--d->n]);
}

/* The sockets of a connection while they are made. */
struct making {
	int channel;
	const struct filters_state *of;
	uint64_t since; /* when it was first tried */
	struct link_start starts[FILTERS_MAX];
};

/* The state of the connector. */
struct maker {
	struct ip servers[DNS_SERVERS_MAX];
	size_t n_servers;
	struct making waiting[WAITING_MAX]; /* oldest first */
	size_t n_waiting;
};

static struct making making_of(int channel, const struct filters_state *of)
{
	struct making c = { .channel = channel, .of = of, .since = stream_clock() };

	for (size_t i = 0; i < of->n; i++)
		c.starts[i] = (struct link_start){ .fd = -1, .error = -EAGAIN };
	return c;
}

/* Connects again to filters that had no room. True when one still has none. */
static bool try_all(struct making *c)
{
	uint64_t tried_for = stream_clock() - c->since;
	bool again = false;

	for (size_t i = 0; i < c->of->n; i++) {
		const struct milter_setting *setting = &c->of->list[i].setting;
		if (c->starts[i].error == -EAGAIN)
			c->starts[i] = link_start(setting);
		again |= c->starts[i].error == -EAGAIN &&
			 tried_for < link_full_time(setting);
	}
	return again;
}

/* Passes the sockets on, with those to name servers. */
static void hand_over(const struct maker *k, const struct making *c)
{
	CLEANUP(close_all) struct descriptors d = { .n = 0 };
	struct parcel p = { .n_filters = (uint32_t)c->of->n };

	for (size_t i = 0; i < c->of->n; i++) {
		p.filters[i].error = c->starts[i].error;
		p.filters[i].connected = c->starts[i].connected;
		if (c->starts[i].fd >= 0)
			d.list[d.n++] = c->starts[i].fd;
	}
	for (size_t i = 0; i < k->n_servers; i++) {
		int fd = lookup_connect(&k->servers[i]);
		if (fd < 0)
			continue;
		d.list[d.n++] = fd;
		p.n_servers++;
	}
	/* an error is ignored: the connection has ended */
	channel_send(c->channel, &p, sizeof(p), d.list, d.n);
	close(c->channel);
}

/* Of those that wait: the ones that were put off longer are tried first. */
static void try_waiting(struct maker *k)
{
	size_t n = 0;

	for (size_t i = 0; i < k->n_waiting; i++) {
		if (try_all(&k->waiting[i]))
			k->waiting[n++] = k->waiting[i];
		else
			hand_over(k, &k->waiting[i]);
	}
	k->n_waiting = n;
}

static void serve(struct maker *k, int channel, const struct filters_state *of)
{
	struct making c = making_of(channel, of);

	if (try_all(&c) && k->n_waiting < WAITING_MAX)
		k->waiting[k->n_waiting++] = c;
	else
		hand_over(k, &c);
}

/* Waits for the next request. -EINTR: it is time to try the waiting ones again. */
static ssize_t await_request(const struct connector_task *task, const struct maker *k,
	struct connector_request *ret, struct descriptors *ret_channel)
{
	const struct timespec step = { .tv_nsec = LINK_FULL_STEP * 1000000 };
	struct pollfd fd = { .fd = task->control, .events = POLLIN };

	if (k->n_waiting && ppoll(&fd, 1, &step, NULL) <= 0)
		return -EINTR;
	return channel_await(task->control, ret, sizeof(*ret), ret_channel->list,
		DESCRIPTORS_MAX, &ret_channel->n);
}

int connector_run(const struct connector_task *task)
{
	struct maker k = { .n_waiting = 0 };
	int r;

	k.n_servers = task->looks_up ? lookup_servers(k.servers) : 0;
	r = task->confine ? task->confine() : 0;
	while (r == 0) {
		CLEANUP(close_all) struct descriptors d = { .n = 0 };
		struct connector_request request = { 0 };
		ssize_t n = await_request(task, &k, &request, &d);
		try_waiting(&k);
		if (n == -EINTR)
			continue;
		if (n <= 0 && n != -EMSGSIZE)
			return (int)n;
		/*
		 * Even where its descriptor had no room (-EMSGSIZE): it was read. The
		 * answer has room, because one at a time is due.
		 */
		if (request.wants_answer)
			channel_send(task->control, "", 1, NULL, 0);
		if (n != sizeof(request) || d.n != 1 || request.which >= task->n_stages ||
			!task->stages[request.which])
			continue;
		d.n = 0;
		serve(&k, d.list[0],
			(const struct filters_state *)task->stages[request.which]);
	}
	return r;
}

/* Gives the descriptors to the filters and to the look-up of the client's name. */
static void unpack(struct filters_state *m, const struct parcel *p, struct descriptors *d)
{
	size_t at = 0;

	for (size_t i = 0; i < m->n; i++) {
		struct link_start start = { .fd = -1, .error = p->filters[i].error };
		if (!start.error)
			start.fd = d->list[at++];
		start.connected = p->filters[i].connected;
		link_take(&m->list[i].link, &start);
	}
	while (at < d->n)
		lookup_add(&m->lookup, d->list[at++]);
	d->n = 0;
}

/* True when the number of descriptors is the one that the parcel announces. */
static bool is_whole(const struct filters_state *m, const struct parcel *p,
	const struct descriptors *d)
{
	size_t n = p->n_servers;

	if (p->n_filters != m->n || n > DNS_SERVERS_MAX)
		return false;
	for (size_t i = 0; i < m->n; i++)
		n += p->filters[i].error == 0;
	return n == d->n;
}

static void give_up(struct filters_state *m, const char *what)
{
	for (size_t i = 0; i < m->n; i++)
		link_fail(&m->list[i].link, what, 0);
}

void connector_lost(struct filters_state *m)
{
	give_up(m, ENDED);
	lookup_done(&m->lookup);
}

/* The time that a look-up may take as well is what it needs where all have room. */
unsigned connector_time(const struct filters_state *m)
{
	uint64_t most = 0;

	for (size_t i = 0; i < m->n; i++) {
		uint64_t time = link_full_time(&m->list[i].setting);
		most = m->list[i].setting.path.n && time > most ? time : most;
	}
	return LOOKUP_TIME + (unsigned)most;
}

void connector_take(struct filters_state *m, unsigned wait)
{
	CLEANUP(close_all) struct descriptors d = { .n = 0 };
	struct pollfd fd = { .fd = m->channel, .events = POLLIN };
	struct parcel p;
	ssize_t n;

	if (m->channel < 0)
		return;
	n = channel_receive(m->channel, &p, sizeof(p), d.list, DESCRIPTORS_MAX, &d.n);
	if (n == -EAGAIN && wait && poll(&fd, 1, (int)wait) > 0)
		n = channel_receive(
			m->channel, &p, sizeof(p), d.list, DESCRIPTORS_MAX, &d.n);
	if (n == -EAGAIN && !wait)
		return;
	if (n == sizeof(p) && is_whole(m, &p, &d))
		unpack(m, &p, &d);
	else
		give_up(m, n == -EAGAIN ? "has no socket: the process that makes them "
					  "did not answer in time"
					: ENDED);
	close(m->channel);
	m->channel = -1;
}
