/* SPDX-License-Identifier: ISC */
/*
 * The loop of one agent. It waits only in epoll_wait(), and never for a client: an answer
 * that a client does not read is lost, together with its channel. In each round one
 * request of each source is answered, from the channel that was answered least recently.
 * A source with many requests thus delays another one by one signature at most.
 */
#include "edge/keys/agent.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>
#include "edge/net/net.h"
#include "edge/tls/tls.h"

#define CHANNELS_MAX (64 * 1024) /* as many as a listener has connections */
#define EVENTS_MAX 1024 /* ready channels in one round; more come in the next */
#define ACCEPT_MAX 64 /* channels that are accepted before requests are answered */

/* Channels of one address. Entries without channels are used again. */
struct source {
	struct ip ip;
	size_t n; /* channels */
	uint64_t round; /* last round in which it had a ready channel */
	int pick; /* descriptor of the channel to be answered in that round */
};

/* One channel; its index is its descriptor. */
struct channel {
	struct source *source; /* NULL: the descriptor is no channel */
	uint64_t served; /* the round of its last answer */
	unsigned n_chains, n_signatures;
};

struct agent {
	const struct tls_api *api;
	const struct tls_keys *keys;
	const char *fault;
	int control; /* -1 after its end */
	bool is_useless; /* a token cannot be used any more by this process */
	int epoll;
	uint64_t round;
	struct channel *channels;
	size_t room; /* length of `channels`: descriptors are below it */
	size_t n; /* channels */
	struct source *sources;
	size_t n_sources; /* entries in use; some may have no channel */
	struct epoll_event events[EVENTS_MAX];
	struct keys_request request;
	struct keys_answer answer;
};

/* There are as many entries as channels, so one is always free. */
static struct source *find_source(struct agent *a, const struct ip *ip)
{
	struct source *free_one = NULL;

	for (size_t i = 0; i < a->n_sources; i++) {
		struct source *s = &a->sources[i];
		if (s->n && ip_is_same(&s->ip, ip))
			return s;
		if (!s->n && !free_one)
			free_one = s;
	}
	if (!free_one)
		free_one = &a->sources[a->n_sources++];
	*free_one = (struct source){ .ip = *ip };
	return free_one;
}

static bool watch(const struct agent *a, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	return epoll_ctl(a->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

/* Adds a channel, and takes `fd` over. */
static void add_channel(struct agent *a, int fd, const struct ip *ip)
{
	if ((size_t)fd >= a->room || ip->n > sizeof(ip->octets) || !watch(a, fd)) {
		close(fd);
		return;
	}
	a->channels[fd] = (struct channel){ .source = find_source(a, ip) };
	a->channels[fd].source->n++;
	a->n++;
}

static void drop_channel(struct agent *a, int fd)
{
	a->channels[fd].source->n--;
	a->channels[fd].source = NULL;
	a->n--;
	close(fd);
}

/* Accepts one channel. False: none is waiting, or the control was closed. */
static bool take_channel(struct agent *a)
{
	struct ip ip = { 0 };
	size_t n_fds;
	int fd;
	ssize_t n = channel_receive(a->control, &ip, sizeof(ip), &fd, 1, &n_fds);

	if (n == 0 || (n < 0 && n != -EAGAIN && n != -EINTR && n != -EMSGSIZE)) {
		close(a->control);
		a->control = -1;
	}
	if (n_fds)
		add_channel(a, fd, &ip);
	return n > 0;
}

static void take_channels(struct agent *a)
{
	for (size_t i = 0; i < ACCEPT_MAX && a->control >= 0 && take_channel(a); i++)
		continue;
}

/*
 * Counts a request. False: the channel has made more requests than one connection needs.
 */
static bool count_request(struct channel *c, uint32_t operation)
{
	if (operation == KEYS_CHAIN)
		return c->n_chains++ < KEYS_CHAINS_MAX;
	return c->n_signatures++ < KEYS_SIGNATURES_MAX;
}

static void make_answer(struct agent *a)
{
	struct keys_header *header = &a->answer.header;

	if (!a->fault) {
		a->is_useless |= !a->api->answer(a->keys, &a->request, &a->answer);
		return;
	}
	header->result = KEYS_FAULT;
	header->n = (uint32_t)strnlen(a->fault, sizeof(a->answer.octets));
	memcpy(a->answer.octets, a->fault, header->n);
}

/* Answers one request. False: the channel was closed, or its request is wrong. */
static bool serve(struct agent *a, int fd)
{
	struct keys_request *request = &a->request;
	ssize_t n = recv(fd, request, sizeof(*request), MSG_DONTWAIT | MSG_TRUNC);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n != sizeof(*request) || request->n > sizeof(request->octets) ||
		!count_request(&a->channels[fd], request->operation))
		return false;
	make_answer(a);
	if (a->answer.header.result == KEYS_REFUSED)
		return false;
	n = (ssize_t)(sizeof(a->answer.header) + a->answer.header.n);
	return send(fd, &a->answer, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) == n;
}

/* Chooses the channel of a source that was answered least recently. */
static void note_ready(struct agent *a, int fd)
{
	struct source *s = a->channels[fd].source;

	if (s->round == a->round && a->channels[s->pick].served <= a->channels[fd].served)
		return;
	s->round = a->round;
	s->pick = fd;
}

static void serve_round(struct agent *a, int n)
{
	const struct epoll_event *events = a->events;

	a->round++;
	for (int i = 0; i < n; i++) {
		int fd = events[i].data.fd;

		/* do not sign for a client that closed its channel */
		if (fd != a->control && events[i].events & EPOLLHUP)
			drop_channel(a, fd);
		else if (fd != a->control)
			note_ready(a, fd);
	}
	for (int i = 0; i < n; i++) {
		int fd = events[i].data.fd;

		if (fd == a->control || !a->channels[fd].source ||
			a->channels[fd].source->pick != fd)
			continue;
		a->channels[fd].served = a->round;
		if (!serve(a, fd))
			drop_channel(a, fd);
	}
	/* done last, because a new channel may get the number of one in `events` */
	take_channels(a);
}

struct agent *agent_new(
	const struct tls_api *api, const struct tls_keys *keys, int control)
{
	struct rlimit files = { CHANNELS_MAX, CHANNELS_MAX };
	struct agent *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	getrlimit(RLIMIT_NOFILE, &files);
	a->room = files.rlim_cur < CHANNELS_MAX ? files.rlim_cur : CHANNELS_MAX;
	a->api = api;
	a->keys = keys;
	a->control = control;
	a->channels = calloc(a->room, sizeof(*a->channels));
	a->sources = calloc(a->room, sizeof(*a->sources));
	a->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (a->channels && a->sources && a->epoll >= 0 && watch(a, a->control))
		return a;
	if (a->epoll >= 0)
		close(a->epoll);
	free(a->sources);
	free(a->channels);
	free(a);
	return NULL;
}

int agent_run(struct agent *a, const char *fault)
{
	a->fault = fault;
	while (!a->is_useless && (a->control >= 0 || a->n)) {
		int n = epoll_wait(a->epoll, a->events, EVENTS_MAX, -1);

		if (n > 0)
			serve_round(a, n);
		else if (n < 0 && errno != EINTR)
			return EX_OSERR;
	}
	return a->is_useless ? EX_UNAVAILABLE : 0;
}
