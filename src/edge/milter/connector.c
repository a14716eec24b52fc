/* SPDX-License-Identifier: ISC */
/*
 * Sockets for the connections of a listener. The acceptor and its connections may connect
 * to nothing; a process that was forked before their sandbox closed, the connector, makes
 * the sockets for each connection and passes them over a channel that the connection
 * alone has. It never waits, and reads nothing from clients, filters or name servers, so
 * that a source with many connections delays others by the time of a few system calls.
 */
#include "edge/milter/connector.h"
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/cleanup.h"

#define ENDED "has no socket: the process that makes them has ended"
#define DESCRIPTORS_MAX (FILTERS_MAX + DNS_SERVERS_MAX)

/* What a connection gets, beside descriptors: those of filters, then of name servers. */
struct parcel {
	uint32_t n_filters, n_servers;
	struct {
		int32_t error; /* -errno: there is no descriptor; 0: there is */
		bool connected;
	} filters[FILTERS_MAX];
};

union rights {
	struct cmsghdr header;
	char octets[CMSG_SPACE(DESCRIPTORS_MAX * sizeof(int))];
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

/* Sends without waiting: a connection that has ended needs nothing. */
static void send_parcel(int channel, struct parcel *p, const struct descriptors *d)
{
	union rights rights = { 0 };
	struct iovec part = { p, sizeof(*p) };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	struct cmsghdr *c;

	if (d->n) {
		message.msg_control = &rights;
		message.msg_controllen = CMSG_SPACE(d->n * sizeof(int));
		c = CMSG_FIRSTHDR(&message);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(d->n * sizeof(int));
		memcpy(CMSG_DATA(c), d->list, d->n * sizeof(int));
	}
	sendmsg(channel, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void serve(int channel, const struct filters_state *m, const struct ip *servers,
	size_t n_servers)
{
	CLEANUP(close_all) struct descriptors d = { .n = 0 };
	struct parcel p = { .n_filters = (uint32_t)m->n };

	for (size_t i = 0; i < m->n; i++) {
		struct link_start start = link_start(&m->list[i].setting);
		p.filters[i].error = start.error;
		p.filters[i].connected = start.connected;
		if (start.fd >= 0)
			d.list[d.n++] = start.fd;
	}
	for (size_t i = 0; i < n_servers; i++) {
		int fd = lookup_connect(&servers[i]);
		if (fd < 0)
			continue;
		d.list[d.n++] = fd;
		p.n_servers++;
	}
	send_parcel(channel, &p, &d);
}

/* Descriptors of a message: up to `most` of them, or none. */
static void take_rights(struct msghdr *message, struct descriptors *ret)
{
	const struct cmsghdr *c = CMSG_FIRSTHDR(message);
	size_t n;

	ret->n = 0;
	if (!c || c->cmsg_type != SCM_RIGHTS || c->cmsg_len < CMSG_LEN(0))
		return;
	n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	ret->n = n < DESCRIPTORS_MAX ? n : DESCRIPTORS_MAX;
	memcpy(ret->list, CMSG_DATA(c), ret->n * sizeof(int));
}

/* Octets that were read, or -errno; *ret gets the descriptors. */
static ssize_t receive(int fd, void *to, size_t size, int flags, struct descriptors *ret)
{
	union rights rights;
	struct iovec part = { to, size };
	struct msghdr message = { .msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &rights,
		.msg_controllen = sizeof(rights) };
	ssize_t n = recvmsg(fd, &message, flags | MSG_CMSG_CLOEXEC);

	ret->n = 0;
	if (n < 0)
		return -errno;
	take_rights(&message, ret);
	return n;
}

int connector_run(const struct connector_task *task)
{
	struct ip servers[DNS_SERVERS_MAX];
	size_t n_servers = task->looks_up ? lookup_servers(servers) : 0;
	const struct filters_state *m;
	int r = task->confine ? task->confine() : 0;

	while (r == 0) {
		CLEANUP(close_all) struct descriptors d = { .n = 0 };
		struct connector_request request = { 0 };
		ssize_t n = receive(task->control, &request, sizeof(request), 0, &d);
		if (n == -EINTR)
			continue;
		if (n <= 0)
			return (int)n;
		if (n != sizeof(request) || d.n != 1 || request.which >= task->n_stages ||
			!task->stages[request.which])
			continue;
		m = (const struct filters_state *)task->stages[request.which];
		serve(d.list[0], m, servers, n_servers);
	}
	return r;
}

/* Gives the descriptors to their owners. */
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

/* True when the descriptors are those that the parcel says. */
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

void connector_take(struct filters_state *m, unsigned wait)
{
	CLEANUP(close_all) struct descriptors d = { .n = 0 };
	struct pollfd fd = { .fd = m->channel, .events = POLLIN };
	struct parcel p;
	ssize_t n = -EAGAIN;

	if (m->channel < 0)
		return;
	if (poll(&fd, 1, (int)wait) > 0)
		n = receive(m->channel, &p, sizeof(p), MSG_DONTWAIT, &d);
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
