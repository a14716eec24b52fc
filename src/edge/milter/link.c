/* SPDX-License-Identifier: ISC */
/*
 * The connection to one filter. The socket never blocks: each wait has its own deadline,
 * for a whole frame and not for an octet. After an error the connection is closed by the
 * caller, and never used again.
 */
#include "edge/milter/link.h"
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define READ_MIN 512 /* octets that there is room for at each read */
#define READ_TIME 100 /* milliseconds that recv() waits; see await_octets() */

int link_fail(struct link *l, const char *what, int error)
{
	snprintf(l->fault, sizeof(l->fault), "%s%s%s%s", what, error ? ": " : "",
		error ? strerror(-error) : "",
		error == -EMFILE ? ": raise LimitNOFILE= of the unit, or ulimit -n" : "");
	return error ? error : -EPROTO;
}

socklen_t link_put_address(union address *to, const struct ip *ip, uint16_t port)
{
	memset(to, 0, sizeof(*to));
	if (ip->n == IPV4_OCTETS) {
		to->in.sin_family = AF_INET;
		to->in.sin_port = htons(port);
		memcpy(&to->in.sin_addr, ip->octets, IPV4_OCTETS);
		return sizeof(to->in);
	}
	to->in6.sin6_family = AF_INET6;
	to->in6.sin6_port = htons(port);
	memcpy(&to->in6.sin6_addr, ip->octets, IPV6_OCTETS);
	return sizeof(to->in6);
}

static socklen_t make_address(const struct milter_setting *s, union address *ret)
{
	if (!s->path.n)
		return link_put_address(ret, &s->ip, s->port);
	memset(ret, 0, sizeof(*ret));
	ret->un.sun_family = AF_UNIX;
	memcpy(ret->un.sun_path, s->path.p, s->path.n);
	return sizeof(ret->un);
}

struct link_start link_start(const struct milter_setting *s)
{
	const struct timeval time = { .tv_usec = 1000 * READ_TIME };
	const int one = 1;
	struct link_start start = { .error = 0 };
	union address to;
	socklen_t n = make_address(s, &to);

	start.fd =
		socket(to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (start.fd < 0) {
		start.error = -errno;
		return start;
	}
	if (to.any.sa_family != AF_UNIX)
		setsockopt(start.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	/* without that time it must not wait */
	if (setsockopt(start.fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time)) == 0) {
		start.connected = connect(start.fd, &to.any, n) == 0;
		if (start.connected || errno == EINPROGRESS)
			return start;
	}
	start.error = -errno;
	close(start.fd);
	start.fd = -1;
	return start;
}

void link_make_room_to_read(struct link *l)
{
	octets_reserve(&l->in, READ_MIN, SIZE_MAX);
}

void link_make_room_to_write(struct link *l, size_t n)
{
	octets_reserve(&l->out, n, SIZE_MAX);
}

int link_take(struct link *l, const struct link_start *start)
{
	bool is_full = start->error == -EAGAIN;

	l->fd = start->fd;
	l->connected = start->connected;
	if (l->fd >= 0)
		return 0;
	link_fail(l, is_full ? "too many connections wait there" : "cannot connect",
		is_full ? 0 : start->error);
	return start->error;
}

int link_open(struct link *l, const struct milter_setting *s)
{
	struct link_start start = link_start(s);

	return link_take(l, &start);
}

uint64_t link_full_time(const struct milter_setting *s)
{
	uint64_t time = 1000ULL * s->connect_timeout;

	return time < LINK_FULL_MAX ? time : LINK_FULL_MAX;
}

int link_open_patiently(struct link *l, const struct milter_setting *s)
{
	uint64_t until = stream_clock() + link_full_time(s);
	int r = link_open(l, s);

	while (r == -EAGAIN && stream_clock() < until) {
		poll(NULL, 0, LINK_FULL_STEP);
		r = link_open(l, s);
	}
	return r;
}

/* The wait without a session, see struct milter_wait. */
static int poll_alone(int fd, short event, uint64_t until)
{
	struct pollfd p = { .fd = fd, .events = event };
	uint64_t now = stream_clock();
	int n;

	do {
		n = poll(&p, 1, until > now ? (int)(until - now) : 0);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0 && now < until)
			return 0;
		now = stream_clock();
	} while (now < until);
	return -ETIMEDOUT;
}

/* Waits for the event. 0, -ETIMEDOUT, or another -errno; with a fault. */
static int await(struct link *l, short event, uint64_t deadline, unsigned seconds)
{
	uint64_t start = stream_clock();
	char text[LINK_FAULT_MAX];
	int r = l->wait.ready ? l->wait.ready(l->wait.ctx, l->fd, event, deadline)
			      : poll_alone(l->fd, event, deadline);

	l->spent += stream_clock() - start;
	if (r == 0)
		return 0;
	if (r == -EINTR || r == -ETIME)
		l->interrupted = r;
	if (r != -ETIMEDOUT)
		return link_fail(l, "wait", r);
	snprintf(text, sizeof(text), "%s within %u s",
		event == POLLIN ? "no answer"
		: l->connected  ? "took no octets"
				: "not connected",
		seconds);
	link_fail(l, text, 0);
	return -ETIMEDOUT;
}

/* Waits until it is connected, or has failed. 0 or -errno, with a fault. */
static int await_connection(struct link *l, unsigned seconds)
{
	socklen_t n = sizeof(int);
	int error = 0;
	int r = await(l, POLLOUT, stream_clock() + 1000U * seconds, seconds);

	if (r < 0)
		return r;
	if (getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0)
		error = errno;
	return error ? link_fail(l, "cannot connect", -error) : 0;
}

int link_wait(struct link *l, unsigned seconds)
{
	int r = l->connected ? 0 : await_connection(l, seconds);

	if (r < 0)
		return r;
	l->connected = true;
	/* recv() waits for READ_TIME from now on; where this fails it does not */
	fcntl(l->fd, F_SETFL, O_RDWR);
	return 0;
}

bool link_has_input(const struct link *l)
{
	char octet;

	return l->n_taken < l->in.n ||
	       recv(l->fd, &octet, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

int link_flush(struct link *l, unsigned seconds)
{
	uint64_t deadline = stream_clock() + 1000U * seconds;
	size_t at = 0;
	int r = 0;

	/*
	 * COST: 0.7 us of each event that is answered; without it: input is looked for at
	 * once behind an answer, too.
	 */
	if (!l->in_turn && link_has_input(l))
		r = link_fail(l, "answered what was not asked", 0);
	l->in_turn = l->has_waited = false;
	while (r == 0 && at < l->out.n) {
		ssize_t n = send(
			l->fd, l->out.p + at, l->out.n - at, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n > 0)
			at += (size_t)n;
		else if (errno == EAGAIN)
			r = await(l, POLLOUT, deadline, seconds);
		else if (errno != EINTR)
			r = link_fail(l,
				errno == EPIPE ? "closed the connection" : "write",
				errno == EPIPE ? 0 : -errno);
	}
	octets_clear(&l->out);
	return r;
}

void link_send(struct link *l)
{
	if (l->out.n)
		send(l->fd, l->out.p, l->out.n, MSG_DONTWAIT | MSG_NOSIGNAL);
	octets_clear(&l->out);
}

/*
 * Takes a frame from the input. False: more input is needed; else *ret_r is the result.
 */
static bool take(struct link *l, struct milter_frame *ret, int *ret_r)
{
	enum milter_step step;
	struct span left;

	if (l->n_taken == l->in.n)
		return false;
	left = span_from(octets_span(&l->in), l->n_taken);
	step = milter_frame_take(&left, ret, &l->reading);
	if (step == MILTER_MORE)
		return false;
	*ret_r = 0;
	l->n_taken = l->in.n - left.n;
	if (step == MILTER_WRONG)
		*ret_r = link_fail(l, l->reading.fault, 0);
	return true;
}

/* Moves the rest of the input to the front, and reads more, once. 0 or -errno. */
static int fill(struct link *l, int flags)
{
	int r;
	ssize_t n;

	l->in.n -= l->n_taken;
	if (l->in.n && l->n_taken)
		memmove(l->in.p, l->in.p + l->n_taken, l->in.n);
	l->n_taken = 0;
	r = octets_reserve(&l->in, READ_MIN, 2 * MILTER_FRAME_MAX);
	if (r < 0)
		return link_fail(l, "read", r);
	n = recv(l->fd, l->in.p + l->in.n, l->in.cap - l->in.n, flags);
	if (n == 0)
		return link_fail(l, "closed the connection", 0);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return link_fail(l,
			errno == ECONNRESET ? "closed the connection" : "read",
			errno == ECONNRESET ? 0 : -errno);
	l->in.n += n > 0 ? (size_t)n : 0;
	return 0;
}

/* Reads what comes within READ_TIME. False: nothing came; else *ret_r is 0 or -errno. */
static bool fill_soon(struct link *l, int *ret_r)
{
	size_t had = l->in.n - l->n_taken;
	uint64_t start = stream_clock();

	l->has_waited = true;
	*ret_r = fill(l, 0);
	l->spent += stream_clock() - start;
	return *ret_r < 0 || l->in.n > had;
}

/*
 * Reads more, and waits for it. COST: 1.3 us of each event that is answered: recv() waits
 * once, for a short time in which no stop signal is seen; without it: poll() waits.
 */
static int await_octets(struct link *l, uint64_t deadline, unsigned seconds)
{
	int r;

	if (!l->has_waited && fill_soon(l, &r))
		return r;
	r = await(l, POLLIN, deadline, seconds);
	return r < 0 ? r : fill(l, MSG_DONTWAIT);
}

int link_read(struct link *l, unsigned seconds, struct milter_frame *ret)
{
	uint64_t deadline = stream_clock() + 1000U * seconds;
	int r = 0;

	while (r == 0 && !take(l, ret, &r))
		r = await_octets(l, deadline, seconds);
	l->in_turn = r == 0 && l->n_taken == l->in.n;
	return r;
}

void link_close(struct link *l)
{
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
	l->out.n = l->in.n = l->n_taken = 0;
}

void link_done(struct link *l)
{
	link_close(l);
	octets_done(&l->out);
	octets_done(&l->in);
}
