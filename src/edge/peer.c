/* Promises an IP address or nothing; refuses to look anything up. */
#include "edge/peer.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include "base/num.h"

#define V4_MAPPED_OFFSET 12 /* ::ffff:a.b.c.d */

static void put_ipv6(const struct in6_addr *a, struct session_peer *ret)
{
	if (IN6_IS_ADDR_V4MAPPED(a))
		inet_ntop(AF_INET, a->s6_addr + V4_MAPPED_OFFSET, ret->address,
			PEER_TEXT_MAX);
	else
		inet_ntop(AF_INET6, a, ret->address, PEER_TEXT_MAX);
}

union name {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_storage room;
};

static bool from_socket(int fd, struct session_peer *ret)
{
	union name name = { .room = { 0 } };
	socklen_t n = sizeof(name);

	if (getpeername(fd, &name.any, &n) < 0)
		return false;
	if (name.any.sa_family == AF_INET) {
		inet_ntop(AF_INET, &name.v4.sin_addr, ret->address, PEER_TEXT_MAX);
		ret->port = ntohs(name.v4.sin_port);
	} else if (name.any.sa_family == AF_INET6) {
		put_ipv6(&name.v6.sin6_addr, ret);
		ret->port = ntohs(name.v6.sin6_port);
	}
	return ret->address[0];
}

static void from_text(const char *address, const char *port, struct session_peer *ret)
{
	struct in6_addr v6;
	struct in_addr v4;
	uint64_t number;

	if (inet_pton(AF_INET, address, &v4) == 1)
		inet_ntop(AF_INET, &v4, ret->address, PEER_TEXT_MAX);
	else if (inet_pton(AF_INET6, address, &v6) == 1)
		put_ipv6(&v6, ret);
	if (ret->address[0] && port && num_parse(span_of(port), &number) &&
		number <= UINT16_MAX)
		ret->port = (uint16_t)number;
}

uint16_t peer_own_port(int fd)
{
	union name name = { .room = { 0 } };
	socklen_t n = sizeof(name);

	if (getsockname(fd, &name.any, &n) < 0)
		return 0;
	if (name.any.sa_family == AF_INET)
		return ntohs(name.v4.sin_port);
	return name.any.sa_family == AF_INET6 ? ntohs(name.v6.sin6_port) : 0;
}

void peer_find(int fd, const struct peer_environment *env, struct session_peer *ret)
{
	*ret = (struct session_peer){ 0 };
	if (from_socket(fd, ret))
		return;
	if (env->tcp_remote_ip)
		from_text(env->tcp_remote_ip, env->tcp_remote_port, ret);
	else if (env->remote_addr)
		from_text(env->remote_addr, env->remote_port, ret);
}
