/* SPDX-License-Identifier: ISC */
/* edge/net/peer: the peer by the socket, else by the environment, else unknown. */
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>
#include "edge/net/net.h"
#include <errno.h>
#include "unit/test.h"

static void test_the_environment_is_believed_only_for_an_address(void)
{
	static const struct {
		struct peer_environment env;
		const char *address;
		uint16_t port;
		const char *wrong; /* the variable */
	} cases[] = {
		{ { .tcp_remote_ip = "192.0.2.1", .tcp_remote_port = "1025" },
			"192.0.2.1", 1025, NULL },
		{ { .remote_addr = "192.0.2.1", .remote_port = "1025" }, "192.0.2.1",
			1025, NULL },
		{ { .tcp_remote_ip = "192.0.2.1",
			  .remote_addr = "192.0.2.2",
			  .remote_port = "1" },
			"192.0.2.1", 0, NULL },
		{ { .tcp_remote_ip = "2001:db8::1", .tcp_remote_port = "0" },
			"2001:db8::1", 0, NULL },
		{ { .tcp_remote_ip = "2001:0DB8:0::1", .tcp_remote_port = "65535" },
			"2001:db8::1", 65535, NULL },
		{ { .tcp_remote_ip = "::ffff:192.0.2.1", .tcp_remote_port = "9" },
			"192.0.2.1", 9, NULL },
		{ { .tcp_remote_ip = "192.0.2.1", .tcp_remote_port = "65536" },
			"192.0.2.1", 0, NULL },
		{ { .tcp_remote_ip = "192.0.2.1", .tcp_remote_port = "-1" }, "192.0.2.1",
			0, NULL },
		{ { .tcp_remote_ip = "192.0.2.1\r\nX: y", .tcp_remote_port = "1" }, "", 0,
			"TCPREMOTEIP" },
		{ { .tcp_remote_ip = "mail.example.org", .tcp_remote_port = "25" }, "", 0,
			"TCPREMOTEIP" },
		{ { .tcp_remote_ip = "",
			  .tcp_remote_port = "",
			  .remote_addr = "",
			  .remote_port = "" },
			"", 0, NULL },
		/* Real sender 14: tcpserver and tcpsvd have no address of a local client */
		{ { .tcp_remote_ip = "", .tcp_remote_port = "25" }, "", 0, NULL },
		{ { .remote_addr = "" }, "", 0, NULL },
		{ { .remote_host = "" }, "", 0, NULL },
		{ { .tcp_remote_ip = "", .remote_addr = "192.0.2.1", .remote_port = "7" },
			"192.0.2.1", 7, NULL },
		{ { .tcp_remote_ip = "", .remote_addr = "", .remote_host = "x" }, "", 0,
			"REMOTE_HOST" },
		{ { .tcp_remote_ip = " " }, "", 0, "TCPREMOTEIP" },
		/* Real sender 14, RFC 4007 11.2 */
		{ { .tcp_remote_ip = "fe80::1%eth0", .tcp_remote_port = "1025" },
			"fe80::1", 1025, NULL },
		{ { .remote_addr = "fe80::1%2", .remote_port = "1025" }, "fe80::1", 1025,
			NULL },
		{ { .remote_host = "fe80::1%eth0" }, "fe80::1", 0, NULL },
		{ { .remote_host = "192.0.2.1" }, "192.0.2.1", 0, NULL },
		{ { .tcp_remote_ip = "::ffff:192.0.2.1%eth0", .tcp_remote_port = "25" },
			"192.0.2.1", 25, NULL },
		{ { .tcp_remote_ip = "192.0.2.1%eth0", .tcp_remote_port = "25" }, "", 0,
			"TCPREMOTEIP" },
		{ { .tcp_remote_ip = "%eth0", .tcp_remote_port = "25" }, "", 0,
			"TCPREMOTEIP" },
		{ { .remote_addr = "unknown", .remote_port = "25" }, "", 0,
			"REMOTE_ADDR" },
		{ { .remote_host = "mail.example.org" }, "", 0, "REMOTE_HOST" },
		{ { .remote_addr = NULL }, "", 0, NULL },
	};
	int pair[2];

	REQUIRE(pipe(pair) == 0);
	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct session_peer peer;
		const char *wrong = peer_find(pair[0], &cases[i].env, &peer);
		CHECK_SPAN(span_of(wrong ? wrong : ""),
			cases[i].wrong ? cases[i].wrong : "");
		CHECK_SPAN(span_of(peer.address), cases[i].address);
		CHECK(peer.port == cases[i].port);
	}
	close(pair[0]);
	close(pair[1]);
}

/* A connected pair of sockets of the family over loopback; the accepted end, or -1. */
static int accepted(const struct sockaddr *any, socklen_t n, int *ret_client)
{
	struct sockaddr_storage name;
	socklen_t room = sizeof(name);
	int listener = socket(any->sa_family, SOCK_STREAM, 0), server;

	if (bind(listener, any, n) < 0 || listen(listener, 1) < 0)
		return -1;
	getsockname(listener, (struct sockaddr *)&name, &room);
	*ret_client = socket(name.ss_family, SOCK_STREAM, 0);
	if (connect(*ret_client, (struct sockaddr *)&name, room) < 0)
		return -1;
	server = accept(listener, NULL, NULL);
	close(listener);
	return server;
}

static void test_the_socket_is_believed_before_the_environment(void)
{
	const struct peer_environment env = { .tcp_remote_ip = "192.0.2.1" };
	const struct sockaddr_in loopback = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	struct session_peer peer;
	int client = -1;
	int server =
		accepted((const struct sockaddr *)&loopback, sizeof(loopback), &client);

	REQUIRE(server >= 0);
	peer_find(server, &env, &peer);
	CHECK_SPAN(span_of(peer.address), "127.0.0.1");
	CHECK(peer.port != 0);
	close(server);
	close(client);
}

#define N_FAMILIES 2 /* of a loopback: IPv4, IPv6 */

static int accepted_from(size_t family, int *ret_client)
{
	const struct sockaddr_in v4 = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	const struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
		.sin6_addr = IN6ADDR_LOOPBACK_INIT };

	return family == 0
		       ? accepted((const struct sockaddr *)&v4, sizeof(v4), ret_client)
		       : accepted((const struct sockaddr *)&v6, sizeof(v6), ret_client);
}

/* Real sender 9: a proxy's health check may be gone before our process has begun */
static void test_a_connection_that_was_reset_has_its_address(void)
{
	const struct linger at_once = { .l_onoff = 1 };

	for (size_t i = 0; i < N_FAMILIES; i++) {
		int client = -1, server = accepted_from(i, &client);
		struct session_peer peer;
		char octet;
		/* no IPv6 here */
		if (server < 0 && i == 1)
			continue;
		REQUIRE(server >= 0);
		setsockopt(client, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
		close(client);
		CHECK(recv(server, &octet, 1, 0) < 0 && errno == ECONNRESET);
		CHECK(!peer_find(server, &(struct peer_environment){ 0 }, &peer));
		CHECK_SPAN(span_of(peer.address), i ? "::1" : "127.0.0.1");
		CHECK(peer.port != 0);
		close(server);
	}
}

static void test_a_local_socket_has_no_address(void)
{
	const struct peer_environment env = { .remote_addr = NULL };
	struct session_peer peer;
	int pair[2];

	REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	peer_find(pair[0], &env, &peer);
	CHECK_SPAN(span_of(peer.address), "");
	close(pair[0]);
	close(pair[1]);
}

/* RFC 2033 5: the port of the connection, because LMTP must not use port 25 */
static void test_our_own_port_is_the_sockets(void)
{
	int pair[2], client = -1;

	for (size_t i = 0; i < N_FAMILIES; i++) {
		int server = accepted_from(i, &client);
		struct session_peer peer;
		/* no IPv6 here */
		if (server < 0 && i == 1)
			continue;
		REQUIRE(server >= 0);
		peer_find(client, &(struct peer_environment){ 0 }, &peer);
		CHECK(peer.port && peer_own_port(server) == peer.port);
		close(server);
		close(client);
	}
	REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	CHECK(peer_own_port(pair[0]) == 0);
	close(pair[0]);
	close(pair[1]);
	REQUIRE(pipe(pair) == 0);
	CHECK(peer_own_port(pair[0]) == 0);
	close(pair[0]);
	close(pair[1]);
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_the_environment_is_believed_only_for_an_address),
		TEST(test_the_socket_is_believed_before_the_environment),
		TEST(test_a_connection_that_was_reset_has_its_address),
		TEST(test_a_local_socket_has_no_address),
		TEST(test_our_own_port_is_the_sockets),
	};

	return test_main(tests, TEST_COUNT(tests));
}
