/* Who is on the other side. */
#pragma once

#include "proto/network.h"
#include "smtp/state.h"

/* What starters of the process put into its environment; each may be NULL. */
struct peer_environment {
	const char *tcp_remote_ip; /* TCPREMOTEIP: tcpserver, tcpsvd, inetutils-inetd */
	const char *tcp_remote_port;
	const char *remote_addr; /* REMOTE_ADDR: systemd */
	const char *remote_port;
	const char *remote_host; /* REMOTE_HOST: xinetd, which has an address there */
};

/*
 * By getpeername of `fd`, else from the first variable of the environment that is set (an IP address, whose zone
 * is left out). IPv4 mapped into IPv6 is written as IPv4. Empty when unknown. NULL, or the name of the variable
 * that has no IP address in it.
 */
const char *peer_find(
	int fd, const struct peer_environment *env, struct session_peer *ret);

/*
 * accept4(2), and the peer of the connection, which getpeername() no longer knows once the peer has reset it.
 */
int peer_accept(int listening, struct session_peer *ret);

/* The TCP port that the peer came to; 0 when it came by none. */
uint16_t peer_own_port(int fd);

/* Puts that address and port in the place of those that were there. */
void peer_set(struct session_peer *peer, const struct ip *ip, uint16_t port);
