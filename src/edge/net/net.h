/* SPDX-License-Identifier: ISC */
/* Sockets: the addresses of a connection, and the stream to the client. */
#pragma once

#include <errno.h>
#include <time.h>
#include "base/buf.h"
#include "edge/tls/tls.h"
#include "proto/network.h"
#include "smtp/state.h"

/* Variables of the environment that name the peer; each may be NULL. */
struct peer_environment {
	const char *tcp_remote_ip; /* TCPREMOTEIP: tcpserver, tcpsvd, inetutils-inetd */
	const char *tcp_remote_port;
	const char
		*tcp_remote_host; /* TCPREMOTEHOST: the name that tcpserver has found */
	const char *remote_addr; /* REMOTE_ADDR: systemd */
	const char *remote_port;
	const char *remote_host; /* REMOTE_HOST: xinetd, with an address */
};

/*
 * Finds the peer by getpeername() of `fd`, else by the first variable of the environment
 * that is set (an IP address; a zone is dropped). IPv4 mapped into IPv6 is written as
 * IPv4. Empty when unknown. TCPREMOTEHOST is the name of the address in TCPREMOTEIP; the
 * name borrows from `env`. NULL, or the name of a variable without a valid IP address.
 */
const char *peer_find(
	int fd, const struct peer_environment *env, struct session_peer *ret);

/* accept4(2) with the peer's address: getpeername() fails after the peer's reset. */
int peer_accept(int listening, struct session_peer *ret);

/* The local TCP port of the connection; 0 when it has none. */
uint16_t peer_own_port(int fd);

/* Replaces the peer's address and port. */
void peer_set(struct session_peer *peer, const struct ip *ip, uint16_t port);

/*
 * The stream: a pair of descriptors, with TLS after the handshake. Every wait has a
 * deadline and ends at a stop signal. The mode of the descriptors is left unchanged, as
 * other processes may share them.
 */

/* octets of one read; messages are decoded in place there */
#define STREAM_IN_MAX (256 * 1024)
#define STREAM_PIECE (16 * 1024) /* smaller pieces count as small */
#define STREAM_DRAIN_MAX (1024 * 1024) /* octets discarded after the last reply */
/* milliseconds without input until memory of a handshake is returned */
#define STREAM_TIDY_AFTER 1000
#define STREAM_DRAIN_SECONDS 2
/* in a crowded listener timeouts are divided by this, and checked as often */
#define STREAM_CROWDED_PART 10

/* Read results beside 0 (end of file) and -errno of the system. */
#define STREAM_TIMEOUT (-ETIMEDOUT) /* no input within the timeout */
#define STREAM_TOO_LONG (-ETIME) /* the whole session's deadline has passed */
#define STREAM_STOP (-EINTR) /* a stop signal has arrived */

struct stream {
	int in, out;
	int signals; /* signalfd; -1 without one */
	bool finishing; /* stop signals are ignored */
	uint64_t timeout; /* milliseconds for each wait */
	uint64_t deadline; /* of the whole session, by stream_clock() */
	uint64_t waiting; /* start of the first wait since this was cleared; 0: none */
	const struct tls_api *api;
	const char *service; /* kind of the service, as in struct tls_io */
	struct tls *tls; /* NULL in the clear */
	char *octets; /* STREAM_IN_MAX octets */
	struct bytes have; /* input that was read but not taken */
	/*
	 * not 0: timeouts without input are divided by STREAM_CROWDED_PART; NULL: never
	 */
	const _Atomic uint32_t *is_crowded;
	bool untidy; /* unused memory of the handshake has not been returned */
	bool forked; /* memory of libraries is shared with other connections */
	bool received; /* octets of the client were received, other than a PROXY header */
	bool unanswered; /* the last piece was small, and nothing has been sent since */
};

/* Returns milliseconds of the monotonic clock. Modules need it without stream.c. */
static inline uint64_t stream_clock(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/*
 * Blocks SIGTERM and SIGINT, and no other signal. Called when the process of a connection
 * begins: a stop that arrives before stream_init() stays pending and gets its 421.
 */
void stream_block_stop_signals(void);

/*
 * Takes over `in` and `out`. From then on blocked stop signals arrive through `signals`.
 * Times are in seconds. 0 or -errno.
 */
int stream_init(
	struct stream *s, int in, int out, uint64_t timeout, uint64_t session_timeout);
void stream_done(struct stream *s);

/*
 * Appends input. Returns the octets read, 0 at the end, or one of the negative results.
 */
ssize_t stream_fill(struct stream *s);

/*
 * Waits until stream_clock() is `until`, even if input arrives. 0, STREAM_TOO_LONG or
 * STREAM_STOP.
 */
int stream_wait(const struct stream *s, uint64_t until);

/*
 * Waits for another descriptor than the client's, until stream_clock() is `until`: 0 when
 * it is ready. STREAM_TIMEOUT, STREAM_TOO_LONG, STREAM_STOP, or another -errno. Does not
 * look at the client, whose end is found by the next read.
 */
int stream_wait_for(const struct stream *s, int fd, short events, uint64_t until);

/* Writes all of `out` and empties it. 0, or one of the negative results. */
int stream_flush(struct stream *s, struct buf *out);

/*
 * True when input is pending, in memory or in the socket, and the peer has not closed.
 * Reads nothing.
 */
bool stream_is_ready(const struct stream *s);

/*
 * True when neither input nor a stop signal arrives within `milliseconds` (0: checks
 * once). False at once when stream_fill() has input at the socket, in a TLS record, or
 * decrypted.
 */
bool stream_is_quiet(const struct stream *s, uint64_t milliseconds);

/*
 * Sets the deadline to `milliseconds` from now unless it is earlier. Returns the previous
 * one, to be restored.
 */
uint64_t stream_hurry(struct stream *s, uint64_t milliseconds);

/*
 * Makes the TLS handshake within `seconds`; `have` is its first input. 0 or -errno; facts
 * and failure as in tls.h.
 */
int stream_secure(struct stream *s, const struct tls_api *api,
	struct tls_credentials *credentials, uint64_t seconds,
	struct tls_facts *ret_facts, struct tls_failure *ret_failure);

/*
 * Closes the connection: close_notify, half-close, and a short wait for the peer's end,
 * so that the peer gets the last reply instead of a reset (RFC 1122 4.2.2.13).
 */
void stream_finish(struct stream *s);

/* Channels between processes of postern: SOCK_SEQPACKET. */

#define CHANNEL_STOP_WAIT 2000 /* milliseconds */

/*
 * Waits up to `most` milliseconds until the channel is ready for the events of poll(); as
 * soon as `signals` (-1: none) is readable CHANNEL_STOP_WAIT at most. 0, -ETIMEDOUT, or
 * another -errno.
 */
int channel_wait(int channel, short events, int signals, unsigned most);

#define CHANNEL_FDS_MAX 32 /* descriptors with one message */

/*
 * Changes the number of a descriptor, of any kind, to `from` or higher. The number, or
 * -errno, and the descriptor is closed.
 */
int channel_move_up(int fd, int from);

/*
 * Sends a message with descriptors, which stay open here. 0 or -errno. Does not wait, but
 * at most 50 ms where too many descriptors of this user are on their way.
 */
int channel_send(int channel, const void *text, size_t n, const int *fds, size_t n_fds);

/*
 * Receives one. Octets, 0 at the end of the channel, or -errno: -EAGAIN where there is
 * none, -EMSGSIZE where it or its descriptors were cut. Those that came are the caller's.
 */
ssize_t channel_receive(int channel, void *to, size_t room, int *ret_fds, size_t n_room,
	size_t *ret_n_fds);

/* The same, but waits for a message; -EINTR: for a signal. */
ssize_t channel_await(int channel, void *to, size_t room, int *ret_fds, size_t n_room,
	size_t *ret_n_fds);
