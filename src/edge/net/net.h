/* Sockets: the addresses of a connection, and the stream to the client. */
#pragma once

#include <errno.h>
#include "base/buf.h"
#include "edge/tls/tls.h"
#include "proto/network.h"
#include "smtp/state.h"

/* The peer of a connection. */

/* What starters of the process put into its environment; each may be NULL. */
struct peer_environment {
	const char *tcp_remote_ip; /* TCPREMOTEIP: tcpserver, tcpsvd, inetutils-inetd */
	const char *tcp_remote_port;
	const char *remote_addr; /* REMOTE_ADDR: systemd */
	const char *remote_port;
	const char *remote_host; /* REMOTE_HOST: xinetd, which has an address there */
};

/*
 * By getpeername of `fd`, else from the first variable of the environment that is set (an
 * IP address, whose zone is left out). IPv4 mapped into IPv6 is written as IPv4. Empty
 * when unknown. NULL, or the name of the variable that has no IP address in it.
 */
const char *peer_find(
	int fd, const struct peer_environment *env, struct session_peer *ret);

/*
 * accept4(2), and the peer of the connection, which getpeername() no longer knows once
 * the peer has reset it.
 */
int peer_accept(int listening, struct session_peer *ret);

/* The TCP port that the peer came to; 0 when it came by none. */
uint16_t peer_own_port(int fd);

/* Puts that address and port in the place of those that were there. */
void peer_set(struct session_peer *peer, const struct ip *ip, uint16_t port);

/*
 * The stream: a pair of descriptors, with TLS on top once it is there. Every wait has a
 * deadline and ends when a signal asks the process to stop. Descriptors are left in the
 * mode they came in, as other processes may share them.
 */

#define STREAM_IN_MAX (256 * 1024) /* one read; a message is decoded in place in it */
#define STREAM_PIECE (16 * 1024) /* less than that is small */
#define STREAM_DRAIN_MAX (1024 * 1024) /* octets thrown away after the last reply */
#define STREAM_TIDY_AFTER 1000 /* milliseconds without input, after a handshake */
#define STREAM_DRAIN_SECONDS 2

/* Read results beside 0 (end of file) and -errno of the system. */
#define STREAM_TIMEOUT (-ETIMEDOUT) /* nothing within the timeout */
#define STREAM_TOO_LONG (-ETIME) /* the whole session's deadline has passed */
#define STREAM_STOP (-EINTR) /* a signal asked the process to end */

struct stream {
	int in, out;
	int signals; /* signalfd; -1 without one */
	bool finishing; /* stop signals no longer matter */
	uint64_t timeout; /* milliseconds for each wait */
	uint64_t deadline; /* for all, by stream_clock() */
	const struct tls_api *api;
	const char *service; /* as in struct tls_io */
	struct tls *tls; /* NULL in the clear */
	char *octets; /* STREAM_IN_MAX of them */
	struct bytes have; /* read and not yet taken */
	bool untidy; /* memory that is not in use has not been given back */
	bool received; /* octets of the client have come, a PROXY header apart */
	bool unanswered; /* the last piece was small, and nothing has been sent since */
};

/* Milliseconds of a clock that never jumps. */
uint64_t stream_clock(void);

/*
 * Takes over `in` and `out`; SIGTERM and SIGINT are blocked and come through `signals`
 * from here on. Seconds. 0 or -errno.
 */
int stream_init(
	struct stream *s, int in, int out, uint64_t timeout, uint64_t session_timeout);
void stream_done(struct stream *s);

/* Reads more behind what is there. Octets read, 0 at the end, or one of the negative
 * results. */
ssize_t stream_fill(struct stream *s);

/*
 * Waits for that time of stream_clock(), whatever the peer does. 0, STREAM_TOO_LONG or
 * STREAM_STOP.
 */
int stream_wait(const struct stream *s, uint64_t until);

/* Writes all of `out` and empties it. 0 or negative as above. */
int stream_flush(struct stream *s, struct buf *out);

/*
 * True when input waits already, in any of these places, and the peer has not closed:
 * nothing is read.
 */
bool stream_is_ready(const struct stream *s);

/*
 * True when nothing comes for that long, neither input nor a stop signal. False at once
 * when stream_fill() has something to go on with, wherever that is: at the socket, in a
 * TLS record, or decrypted. 0 only looks.
 */
bool stream_is_quiet(const struct stream *s, uint64_t milliseconds);

/*
 * From here on all has to be done within `milliseconds`, or sooner. Returns the deadline
 * that held before, to be put back.
 */
uint64_t stream_hurry(struct stream *s, uint64_t milliseconds);

/*
 * The handshake, with `seconds` for all of it; what is in `have` belongs to it. 0 or
 * -errno; facts and failure as tls.h says.
 */
int stream_secure(struct stream *s, const struct tls_api *api,
	struct tls_credentials *credentials, uint64_t seconds,
	struct tls_facts *ret_facts, struct tls_failure *ret_failure);

/*
 * Says goodbye: close_notify, half-close, and a short wait for the peer's own end, so
 * that it sees the last reply instead of a reset (RFC 1122 4.2.2.13).
 */
void stream_finish(struct stream *s);
