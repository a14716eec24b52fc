/* SPDX-License-Identifier: ISC */
/* Reads from refused clients until they close, so that the reply reaches them. */
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "bin/listen/acceptor.h"
#include "edge/net/net.h"

#define PIECE_MAX 4096 /* octets read at once */

static void remove_at(struct lingering *l, size_t i)
{
	close(l->list[i].fd);
	l->n--;
	memmove(l->list + i, l->list + i + 1, (l->n - i) * sizeof(*l->list));
}

void lingering_add(struct lingering *l, int fd, int from)
{
	int moved = channel_move_up(fd, from);

	if (moved < 0)
		return;
	if (l->n == LINGERING_MAX)
		remove_at(l, 0);
	l->list[l->n++] = (struct lingering_client){
		.fd = moved,
		.until = stream_clock() + LINGERING_TIME,
		.left = LINGERING_OCTETS,
	};
}

void lingering_prepare(const struct lingering *l, struct pollfd *fds)
{
	for (size_t i = 0; i < l->n; i++)
		fds[i] = (struct pollfd){ .fd = l->list[i].fd, .events = POLLIN };
}

/* Reads and drops once. False at the end of the input, or of the limit. */
static bool read_some(struct lingering_client *c)
{
	char octets[PIECE_MAX];
	ssize_t n = recv(c->fd, octets, sizeof(octets), MSG_DONTWAIT);

	if (n <= 0 || (size_t)n >= c->left)
		return false;
	c->left -= (size_t)n;
	return true;
}

void lingering_read(struct lingering *l, const struct pollfd *fds)
{
	uint64_t now = l->n ? stream_clock() : 0;

	/* from the end, as a removal moves the entries behind it */
	for (size_t i = l->n; i-- > 0;)
		if (now >= l->list[i].until ||
			(fds[i].revents && !read_some(&l->list[i])))
			remove_at(l, i);
}

int lingering_wait(const struct lingering *l)
{
	uint64_t now;

	if (l->n == 0)
		return -1;
	now = stream_clock();
	return l->list[0].until > now ? (int)(l->list[0].until - now) : 0;
}

void lingering_close_all(struct lingering *l)
{
	while (l->n)
		remove_at(l, l->n - 1);
}
