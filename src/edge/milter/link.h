/* SPDX-License-Identifier: ISC */
/* The connection to one filter: octets, time, and what went wrong. */
#pragma once

#include <netinet/in.h>
#include <stdint.h>
#include <sys/un.h>
#include "edge/milter/milter.h"
#include "edge/milter/octets.h"
#include "edge/net/net.h"
#include "proto/milter.h"

#define LINK_FAULT_MAX 128

struct link {
	int fd; /* -1: none */
	struct milter_wait wait;
	/* -EINTR, -ETIME: the session ends, which is no failure of the filter; 0 */
	int interrupted;
	bool connected;
	/* the last octets were an answer, and no other process was waited for since */
	bool in_turn;
	bool has_waited; /* in recv(), since the last event was sent */
	struct octets out; /* not written yet */
	struct octets in; /* read */
	struct milter_reading reading; /* of frames, in their order */
	size_t n_taken; /* octets of `in` that were taken */
	uint64_t spent; /* milliseconds that were waited */
	char fault[LINK_FAULT_MAX]; /* the last error, as a sentence */
};

union address {
	struct sockaddr any;
	struct sockaddr_un un;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

/* Fills in the address of an IP socket, and returns its size. */
socklen_t link_put_address(union address *to, const struct ip *ip, uint16_t port);

/* The state of a new socket. */
struct link_start {
	int fd; /* -1: there is an error */
	int error; /* -errno; 0: it is connected, or will be */
	bool connected;
};

/* Makes a socket, and begins to connect, without waiting. */
struct link_start link_start(const struct milter_setting *s);

/* Room for short answers, and for n octets, if possible; more is made when needed. */
void link_make_room_to_read(struct link *l);
void link_make_room_to_write(struct link *l, size_t n);

/* Takes over that socket. 0; or -errno, with a fault. */
int link_take(struct link *l, const struct link_start *start);

/*
 * A connection to a local filter whose queue is full fails at once (-EAGAIN). A burst of
 * clients fills a queue, so it is tried again for the time to connect, which the client
 * may have to wait: so many milliseconds at most.
 */
#define LINK_FULL_MAX 5000
#define LINK_FULL_STEP 20

/* Milliseconds for which the filter is tried again. */
uint64_t link_full_time(const struct milter_setting *s);

/*
 * Makes a socket and takes it over. The second one repeats this for link_full_time()
 * while the filter has no room.
 */
int link_open(struct link *l, const struct milter_setting *s);
int link_open_patiently(struct link *l, const struct milter_setting *s);

/*
 * Each of the functions below that waits ends with -EINTR or -ETIME where the session
 * ends: l->interrupted has it then.
 */

/* Waits until it is connected, that many seconds. 0 or -errno. */
int link_wait(struct link *l, unsigned seconds);

/*
 * Writes what is in l->out, within that many seconds. What the filter sent without being
 * asked is -EPROTO. 0 or -errno.
 */
int link_flush(struct link *l, unsigned seconds);

/* Writes l->out once, without waiting. Nothing may be read after that. */
void link_send(struct link *l);

/* True when input was not taken. An error or end is found by the next call. */
bool link_has_input(const struct link *l);

/* Reads a whole frame, within that many seconds. It is valid until the next call. */
int link_read(struct link *l, unsigned seconds, struct milter_frame *ret);

/* Keeps the fault, and returns `error`. */
int link_fail(struct link *l, const char *what, int error);

/* Closes the socket; memory is kept. */
void link_close(struct link *l);
void link_done(struct link *l);
