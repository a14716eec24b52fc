/* SPDX-License-Identifier: ISC */
/*
 * Looks up the name of the client. libc's functions are not used: they load libraries and
 * make sockets, which the sandbox forbids, and wait longer than a client should. This
 * process asks for its own client alone, so that no answer is another one's.
 */
#include "edge/milter/lookup.h"
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "edge/file.h"
#include "edge/milter/link.h"

#define RESOLV_CONF "/etc/resolv.conf" /* a listener looks for changes of it */
#define RESOLV_CONF_MAX (64 * 1024)
#define PORT 53
#define ANSWERS_AT_ONCE 16 /* of a server; more are read later */

size_t lookup_servers(struct ip ret[DNS_SERVERS_MAX])
{
	OWNED char *text = NULL;
	ssize_t n = file_read(RESOLV_CONF, RESOLV_CONF_MAX, &text);

	return dns_take_servers((struct span){ text, n < 0 ? 0 : (size_t)n }, ret);
}

int lookup_connect(const struct ip *server)
{
	union address to;
	socklen_t n = link_put_address(&to, server, PORT);
	int fd = socket(to.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int error;

	if (fd < 0)
		return -errno;
	if (connect(fd, &to.any, n) == 0)
		return fd;
	error = -errno;
	close(fd);
	return error;
}

void lookup_add(struct lookup *l, int fd)
{
	if (fd < 0)
		return;
	if (l->n_servers < DNS_SERVERS_MAX)
		l->servers[l->n_servers++] = fd;
	else
		close(fd);
}

void lookup_done(struct lookup *l)
{
	while (l->n_servers)
		if (l->servers[--l->n_servers] >= 0)
			close(l->servers[l->n_servers]);
	l->step = LOOKUP_DONE;
}

static void finish(struct lookup *l, bool confirmed)
{
	l->confirmed = confirmed;
	lookup_done(l);
}

/* Chooses the next server that can be used. False: there is none. */
static bool turn(struct lookup *l)
{
	for (size_t i = 1; i <= l->n_servers; i++) {
		size_t next = (l->server + i) % l->n_servers;
		if (l->servers[next] < 0)
			continue;
		l->server = next;
		return true;
	}
	return false;
}

/* Closes the socket of a server, which is not used again. */
static void give_up_server(struct lookup *l, size_t i)
{
	close(l->servers[i]);
	l->servers[i] = -1;
}

/* Sends the question to a server, or ends the look-up if there is none. */
static void ask(struct lookup *l)
{
	char octets[DNS_QUERY_MAX];
	struct buf b = BUF(octets);

	dns_put_question(&b, &l->question);
	l->repeat = stream_clock() + LOOKUP_REPEAT;
	while (l->servers[l->server] < 0 ||
		send(l->servers[l->server], b.p, b.n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
		if (l->servers[l->server] >= 0)
			give_up_server(l, l->server);
		if (!turn(l)) {
			finish(l, false);
			return;
		}
	}
}

/* True when there is a random number for it, which answers must have. */
static bool make_question(struct lookup *l, enum dns_type type)
{
	l->question.type = type;
	return getrandom(&l->question.id, sizeof(l->question.id), GRND_NONBLOCK) ==
	       sizeof(l->question.id);
}

static void ask_for_address(struct lookup *l)
{
	l->step = LOOKUP_ADDRESS;
	l->question.name = l->names[l->which];
	if (make_question(l, l->ip.n == IPV4_OCTETS ? DNS_A : DNS_AAAA))
		ask(l);
	else
		finish(l, false);
}

void lookup_begin(struct lookup *l, const struct ip *ip)
{
	if (l->step != LOOKUP_NOT_BEGUN)
		return;
	l->step = LOOKUP_NAMES;
	l->ip = *ip;
	l->end = stream_clock() + LOOKUP_TIME;
	dns_reverse_name(&l->question.name, ip);
	if (l->n_servers && ip->n && make_question(l, DNS_PTR))
		ask(l);
	else
		finish(l, false);
}

/*
 * Takes the result for names[which], and goes on with the next name if it is not
 * confirmed.
 */
static void take_confirmation(struct lookup *l, bool confirmed)
{
	if (confirmed || l->which + 1 == l->n_names) {
		finish(l, confirmed);
		return;
	}
	l->which++;
	ask_for_address(l);
}

static enum dns_result read_answer(struct lookup *l, struct span answer)
{
	if (l->step == LOOKUP_ADDRESS)
		return dns_take_address(answer, &l->question, &l->ip);
	return dns_take_names(answer, &l->question, l->names, &l->n_names);
}

static void take_answer(struct lookup *l, size_t server, struct span answer)
{
	enum lookup_step step = l->step;
	enum dns_result r = read_answer(l, answer);

	switch (r) {
	case DNS_OTHER:
		break;
	case DNS_FAILED:
		give_up_server(l, server);
		ask(l);
		break;
	default:
		if (step == LOOKUP_ADDRESS)
			take_confirmation(l, r == DNS_FOUND);
		else if (r == DNS_FOUND)
			ask_for_address(l);
		else
			finish(l, false);
	}
}

/* Reads the answers of one server, or the error that nothing listens there. */
static void read_server(struct lookup *l, size_t i)
{
	char octets[DNS_ANSWER_MAX];

	for (size_t n_read = 0; n_read < ANSWERS_AT_ONCE; n_read++) {
		ssize_t n;
		if (l->step == LOOKUP_DONE || l->servers[i] < 0)
			return;
		n = recv(l->servers[i], octets, sizeof(octets), MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n >= 0) {
			take_answer(l, i, (struct span){ octets, (size_t)n });
			continue;
		}
		give_up_server(l, i);
		if (i == l->server)
			ask(l);
	}
}

void lookup_go_on(struct lookup *l)
{
	if (l->step == LOOKUP_NOT_BEGUN || l->step == LOOKUP_DONE)
		return;
	for (size_t i = 0; i < l->n_servers; i++)
		read_server(l, i);
	if (l->step == LOOKUP_DONE)
		return;
	if (stream_clock() >= l->end) {
		finish(l, false);
	} else if (stream_clock() >= l->repeat) {
		turn(l);
		ask(l);
	}
}

void lookup_await(struct lookup *l)
{
	lookup_go_on(l);
	while (l->step == LOOKUP_NAMES || l->step == LOOKUP_ADDRESS) {
		struct pollfd fds[DNS_SERVERS_MAX];
		uint64_t now = stream_clock(),
			 until = l->repeat < l->end ? l->repeat : l->end;
		for (size_t i = 0; i < l->n_servers; i++)
			fds[i] = (struct pollfd){ .fd = l->servers[i], .events = POLLIN };
		poll(fds, l->n_servers, now < until ? (int)(until - now) : 0);
		lookup_go_on(l);
	}
}

const char *lookup_name(const struct lookup *l)
{
	return l->confirmed ? l->names[l->which].text : NULL;
}

const char *lookup_first(const struct lookup *l)
{
	return l->n_names ? l->names[0].text : NULL;
}
