/* SPDX-License-Identifier: ISC */
/* bin/listen/acceptor: refused clients get their reply, and use a limited time and a limited number of octets. */
#include "bin/listen/acceptor.h"
#include <sys/socket.h>
#include <unistd.h>
#include "unit/test.h"

#define FROM 100

static struct lingering_client *add(struct lingering *l, int *ret_client)
{
	int ends[2];

	REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	*ret_client = ends[1];
	lingering_add(l, ends[0], FROM);
	return &l->list[l->n - 1];
}

static void turn(struct lingering *l)
{
	struct pollfd fds[LINGERING_MAX];

	lingering_prepare(l, fds);
	poll(fds, l->n, 0);
	lingering_read(l, fds);
}

static void test_a_client_lingers_until_it_closes(void)
{
	struct lingering l = { 0 };
	int client;

	CHECK(lingering_wait(&l) < 0);
	CHECK(add(&l, &client)->fd >= FROM);
	CHECK(lingering_wait(&l) > 0 && lingering_wait(&l) <= LINGERING_TIME);
	turn(&l);
	CHECK(l.n == 1);
	REQUIRE(write(client, "EHLO x\r\n", 8) == 8);
	turn(&l);
	CHECK(l.n == 1);
	close(client);
	turn(&l);
	CHECK(l.n == 0);
}

static void test_a_client_that_never_stops_is_closed(void)
{
	static const char octets[LINGERING_OCTETS / 4];
	struct lingering l = { 0 };
	size_t sent = 0;
	int client;

	add(&l, &client);
	while (l.n && sent < 100 * LINGERING_OCTETS) {
		ssize_t n =
			send(client, octets, sizeof(octets), MSG_DONTWAIT | MSG_NOSIGNAL);
		sent += n > 0 ? (size_t)n : 0;
		turn(&l);
	}
	CHECK(l.n == 0 && sent < 100 * LINGERING_OCTETS);
	close(client);
}

static void test_a_client_that_says_nothing_is_closed_in_time(void)
{
	struct lingering l = { 0 };
	int client;

	add(&l, &client)->until = 1;
	CHECK(lingering_wait(&l) == 0);
	turn(&l);
	CHECK(l.n == 0);
	close(client);
}

static void test_one_too_many_closes_the_oldest(void)
{
	struct lingering l = { 0 };
	int clients[LINGERING_MAX + 1];
	char octet;

	for (size_t i = 0; i < LINGERING_MAX + 1; i++)
		add(&l, &clients[i]);
	CHECK(l.n == LINGERING_MAX);
	CHECK(recv(clients[0], &octet, 1, MSG_DONTWAIT) == 0);
	CHECK(recv(clients[1], &octet, 1, MSG_DONTWAIT) < 0);
	lingering_close_all(&l);
	CHECK(l.n == 0 && recv(clients[1], &octet, 1, MSG_DONTWAIT) == 0);
	for (size_t i = 0; i < LINGERING_MAX + 1; i++)
		close(clients[i]);
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_a_client_lingers_until_it_closes),
		TEST(test_a_client_that_never_stops_is_closed),
		TEST(test_a_client_that_says_nothing_is_closed_in_time),
		TEST(test_one_too_many_closes_the_oldest),
	};

	return test_main(tests, TEST_COUNT(tests));
}
