/* SPDX-License-Identifier: ISC */
/*
 * Reads from and writes to the client, in the clear or by TLS. Every wait has a deadline,
 * and every wait for input ends at a stop signal. signalfd is polled with the connection,
 * so there is no handler and no race.
 */
#include "edge/net/net.h"
#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "edge/module.h"

static sigset_t stop_signals(void)
{
	sigset_t stop;

	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	sigaddset(&stop, SIGINT);
	return stop;
}

void stream_block_stop_signals(void)
{
	const sigset_t stop = stop_signals();

	sigprocmask(SIG_SETMASK, &stop, NULL);
}

int stream_init(
	struct stream *s, int in, int out, uint64_t timeout, uint64_t session_timeout)
{
	const sigset_t stop = stop_signals();

	*s = (struct stream){ .in = in, .out = out, .timeout = timeout * 1000 };
	s->deadline = stream_clock() + session_timeout * 1000;
	s->signals = signalfd(-1, &stop, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->signals < 0)
		return -errno;
	s->octets = malloc(STREAM_IN_MAX);
	if (!s->octets)
		return -ENOMEM;
	s->have.p = s->octets;
	return 0;
}

void stream_done(struct stream *s)
{
	if (s->tls)
		s->api->free(s->tls);
	free(s->octets);
	if (s->signals >= 0)
		close(s->signals);
	*s = (struct stream){ .in = -1, .out = -1, .signals = -1 };
}

/*
 * COST: 50 of 697 KiB of an idle connection after TLS (postern's budget); without it: the
 * process keeps the memory of the handshake. It is returned only after a pause, because a
 * client that continues at once needs it again.
 */
static void trim_memory(struct stream *s)
{
	s->untidy = false;
	if (!s->forked)
		module_rest();
	malloc_trim(0);
}

/*
 * Waits for the descriptor. 0 when it is ready, or a negative result. A stop signal ends
 * only waits for input: pending replies are still sent.
 */
static int wait_for(struct stream *s, int fd, short events)
{
	uint64_t part = s->is_crowded ? s->timeout / STREAM_CROWDED_PART + 1 : INT_MAX;
	bool watches_signals = events == POLLIN && !s->finishing;
	struct pollfd fds[] = { { .fd = fd, .events = events },
		{ .fd = watches_signals ? s->signals : -1, .events = POLLIN } };
	uint64_t now = stream_clock();
	uint64_t end = now + s->timeout < s->deadline ? now + s->timeout : s->deadline;
	uint64_t begin = now;

	if (!s->waiting)
		s->waiting = now;
	for (;;) {
		uint64_t left = end > now ? end - now : 0;
		uint64_t most =
			s->untidy && STREAM_TIDY_AFTER < part ? STREAM_TIDY_AFTER : part;
		int n = poll(fds, 2, (int)(left < most ? left : most));
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0 && fds[1].revents)
			return STREAM_STOP;
		if (n > 0)
			return 0;
		if (n == 0 && s->untidy)
			trim_memory(s);
		now = stream_clock();
		if (now >= s->deadline)
			return STREAM_TOO_LONG;
		if (now >= end ||
			(s->is_crowded && *s->is_crowded && now - begin >= part))
			return STREAM_TIMEOUT;
	}
}

int stream_wait_for(const struct stream *s, int fd, short events, uint64_t until)
{
	struct pollfd fds[] = { { .fd = fd, .events = events },
		{ .fd = s->signals, .events = POLLIN } };
	uint64_t end = until < s->deadline ? until : s->deadline, now = stream_clock();
	int n;

	do {
		uint64_t left = end > now ? end - now : 0;
		n = poll(fds, 2, left < INT_MAX ? (int)left : INT_MAX);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0 && fds[1].revents)
			return STREAM_STOP;
		/* a peer that sends all the time gets no more of it */
		if (n > 0 && now < end)
			return 0;
		now = stream_clock();
	} while (now < end);
	return now < until ? STREAM_TOO_LONG : STREAM_TIMEOUT;
}

int stream_wait(const struct stream *s, uint64_t until)
{
	int r = stream_wait_for(s, -1, 0, until);

	return r == STREAM_TIMEOUT ? 0 : r;
}

static ssize_t raw_read(void *ctx, void *to, size_t n)
{
	struct stream *s = ctx;
	ssize_t got;

	do {
		int r = wait_for(s, s->in, POLLIN);
		if (r < 0)
			return r;
		got = read(s->in, to, n);
	} while (got < 0 && (errno == EINTR || errno == EAGAIN));
	s->received |= got > 0;
	return got < 0 ? -errno : got;
}

/*
 * Writes without blocking: to a socket by a flag, to a pipe at most PIPE_BUF octets after
 * poll() found it ready.
 */
static ssize_t write_some(int fd, const void *from, size_t n, bool ready)
{
	ssize_t put = send(fd, from, n, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (put >= 0 || errno != ENOTSOCK)
		return put;
	if (ready)
		return write(fd, from, n < PIPE_BUF ? n : PIPE_BUF);
	errno = EAGAIN;
	return -1;
}

/* Tries to write before it waits, because the socket usually has room. */
static ssize_t raw_write(void *ctx, const void *from, size_t n)
{
	struct stream *s = ctx;
	bool ready = false;
	ssize_t put;

	while ((put = write_some(s->out, from, n, ready)) < 0 &&
		(errno == EINTR || errno == EAGAIN)) {
		int r = wait_for(s, s->out, POLLOUT);
		if (r < 0)
			return r;
		ready = true;
	}
	return put < 0 ? -errno : put;
}

/*
 * Moves the remaining input to the front, and wipes its old place, because it may be a
 * secret.
 */
static void move_to_front(struct stream *s)
{
	size_t n = s->have.n, gap = (size_t)(s->have.p - s->octets);

	if (n && gap) {
		memmove(s->octets, s->have.p, n);
		explicit_bzero(s->octets + (gap > n ? gap : n), gap > n ? n : gap);
	}
	s->have.p = s->octets;
}

/*
 * Makes the kernel acknowledge a small piece at once if no reply follows (the end of a
 * handshake, part of a message). The client's Nagle algorithm may wait for the
 * acknowledgement, which the kernel would delay by 40 ms.
 */
static void acknowledge(const struct stream *s)
{
	static const int on = 1;

	setsockopt(s->in, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
}

ssize_t stream_fill(struct stream *s)
{
	ssize_t got;
	char *to;

	if (s->unanswered)
		acknowledge(s);

	move_to_front(s);
	to = s->octets + s->have.n;
	if (s->tls)
		got = s->api->read(s->tls, to, STREAM_IN_MAX - s->have.n);
	else
		got = raw_read(s, to, STREAM_IN_MAX - s->have.n);
	if (got > 0)
		s->have.n += (size_t)got;
	s->unanswered = got > 0 && got < STREAM_PIECE;
	return got;
}

static int write_all(struct stream *s, struct span all)
{
	if (s->tls)
		return s->api->write(s->tls, all.p, all.n);
	while (all.n) {
		ssize_t put = raw_write(s, all.p, all.n);
		if (put < 0)
			return (int)put;
		all = span_from(all, (size_t)put);
	}
	return 0;
}

int stream_flush(struct stream *s, struct buf *out)
{
	int r = write_all(s, buf_span(out));

	s->unanswered = false;
	out->n = 0;
	return r;
}

/*
 * True when tls.so has read input ahead, which poll() does not report. `have` does not
 * count: the caller has seen it and needs more.
 */
static bool is_buffered(const struct stream *s)
{
	return s->tls && s->api->pending(s->tls);
}

bool stream_is_ready(const struct stream *s)
{
	struct pollfd fd = { .fd = s->in, .events = POLLIN | POLLRDHUP };

	if (is_buffered(s))
		return true;
	return poll(&fd, 1, 0) > 0 && !(fd.revents & (POLLRDHUP | POLLHUP));
}

bool stream_is_quiet(const struct stream *s, uint64_t milliseconds)
{
	struct pollfd fds[] = { { .fd = s->in, .events = POLLIN },
		{ .fd = s->signals, .events = POLLIN } };

	return !is_buffered(s) && poll(fds, 2, (int)milliseconds) == 0;
}

uint64_t stream_hurry(struct stream *s, uint64_t milliseconds)
{
	uint64_t before = s->deadline;
	uint64_t end = stream_clock() + milliseconds;

	if (end < before)
		s->deadline = end;
	return before;
}

/*
 * Octets after a PROXY header come first. All of them belong to the handshake: inside TLS
 * the client sends nothing before the greeting.
 */
static ssize_t read_below_tls(void *ctx, void *to, size_t n)
{
	struct stream *s = ctx;

	if (s->tls || s->have.n == 0)
		return raw_read(s, to, n);
	if (n > s->have.n)
		n = s->have.n;
	memcpy(to, s->have.p, n);
	s->have.p += n;
	s->have.n -= n;
	return (ssize_t)n;
}

/*
 * Disables Nagle's algorithm (RFC 9293 3.7.4): a handshake is several small writes, and
 * the second would wait for an acknowledgement that clients delay by 40 ms. Fails for a
 * connection other than TCP, which has no such delay.
 */
static void write_at_once(const struct stream *s)
{
	static const int on = 1;

	setsockopt(s->out, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

int stream_secure(struct stream *s, const struct tls_api *api,
	struct tls_credentials *credentials, uint64_t seconds,
	struct tls_facts *ret_facts, struct tls_failure *ret_failure)
{
	const struct tls_io io = { .ctx = s,
		.read = read_below_tls,
		.write = raw_write,
		.service = s->service };
	uint64_t deadline = stream_hurry(s, seconds * 1000);
	int r;

	s->api = api;
	write_at_once(s);
	r = api->accept(credentials, &io, &s->tls, ret_facts, ret_failure);
	s->deadline = deadline;
	if (r == 0)
		acknowledge(s);
	s->untidy = r == 0;
	return r;
}
