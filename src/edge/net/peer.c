/* SPDX-License-Identifier: ISC */
/*
 * Finds the address of a client: from the socket, else from the environment set by an
 * inetd. It is an IP address or unknown; names are not looked up.
 */
#include "edge/net/net.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include "base/num.h"
#include "proto/dns.h"

void peer_set(struct session_peer *peer, const struct ip *ip, uint16_t port)
{
	struct buf text = BUF(peer->address);

	ip_put(&text, ip);
	buf_terminate(&text);
	peer->port = port;
}

union name {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_storage room;
};

static void from_name(const union name *name, struct session_peer *ret)
{
	struct ip ip;

	if (name->any.sa_family == AF_INET) {
		ip = ip_of((const unsigned char *)&name->v4.sin_addr, IPV4_OCTETS);
		peer_set(ret, &ip, ntohs(name->v4.sin_port));
	} else if (name->any.sa_family == AF_INET6) {
		ip = ip_of(name->v6.sin6_addr.s6_addr, IPV6_OCTETS);
		peer_set(ret, &ip, ntohs(name->v6.sin6_port));
	}
}

/*
 * Finds the peer of a connection that was reset. Linux still has the address, and returns
 * as many octets of it as requested. 0 or negative.
 */
static int former_name(int fd, union name *ret)
{
	static const socklen_t lengths[] = { sizeof(ret->v6), sizeof(ret->v4) };
	int r = -1;

	for (size_t i = 0; i < 2 && r < 0; i++) {
		socklen_t n = lengths[i];
		r = getsockopt(fd, SOL_SOCKET, SO_PEERNAME, ret, &n);
	}
	return r;
}

static bool from_socket(int fd, struct session_peer *ret)
{
	union name name = { .room = { 0 } };
	socklen_t n = sizeof(name);
	int r = getpeername(fd, &name.any, &n);

	if (r < 0 && errno == ENOTCONN)
		r = former_name(fd, &name);
	if (r < 0)
		return false;
	from_name(&name, ret);
	return ret->address[0];
}

int peer_accept(int listening, struct session_peer *ret)
{
	union name name = { .room = { 0 } };
	socklen_t n = sizeof(name);
	int fd = accept4(listening, &name.any, &n, SOCK_CLOEXEC);

	*ret = (struct session_peer){ 0 };
	if (fd >= 0)
		from_name(&name, ret);
	return fd;
}

/*
 * IPv6address [ "%" zone ] (RFC 4007 11.2): the zone has only a local meaning and is
 * removed.
 */
static struct span without_zone(struct span address)
{
	struct span zone = address, ip = span_take(&zone, '%');

	return ip.n && memchr(ip.p, ':', ip.n) ? ip : address;
}

static bool from_text(const char *address, const char *port, struct session_peer *ret)
{
	struct ip ip;
	uint64_t number;

	if (!ip_parse(without_zone(span_of(address)), &ip))
		return false;
	if (!port || !num_parse(span_of(port), &number) || number > UINT16_MAX)
		number = 0;
	peer_set(ret, &ip, (uint16_t)number);
	return true;
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

/* Of the peer, and not left over from another connection. */
static void take_name(const struct peer_environment *env, struct session_peer *ret)
{
	struct session_peer named = { 0 };

	if (env->tcp_remote_host && dns_is_host_name(span_of(env->tcp_remote_host)) &&
		env->tcp_remote_ip && from_text(env->tcp_remote_ip, NULL, &named) &&
		strcmp(named.address, ret->address) == 0)
		ret->name = env->tcp_remote_host;
}

static const char *find(
	int fd, const struct peer_environment *env, struct session_peer *ret)
{
	const struct {
		const char *name, *address, *port;
	} rows[] = {
		{ "TCPREMOTEIP", env->tcp_remote_ip, env->tcp_remote_port },
		{ "REMOTE_ADDR", env->remote_addr, env->remote_port },
		{ "REMOTE_HOST", env->remote_host, NULL },
	};
	size_t i = 0;

	*ret = (struct session_peer){ 0 };
	if (from_socket(fd, ret))
		return NULL;
	/* tcpserver and other inetds set an empty variable for an unknown address */
	while (i < sizeof(rows) / sizeof(*rows) && !(rows[i].address && *rows[i].address))
		i++;
	if (i == sizeof(rows) / sizeof(*rows) ||
		from_text(rows[i].address, rows[i].port, ret))
		return NULL;
	return rows[i].name;
}

const char *peer_find(
	int fd, const struct peer_environment *env, struct session_peer *ret)
{
	const char *wrong = find(fd, env, ret);

	take_name(env, ret);
	return wrong;
}
