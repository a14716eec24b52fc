/* SPDX-License-Identifier: ISC */
/*
 * Looks up the name of the client: that of its address, if the name has that address
 * among its own. The sockets are connected to the name servers before the sandbox closes;
 * a question is sent when there is time, and its answer is read when there is time again.
 */
#pragma once

#include <stdint.h>
#include "proto/dns.h"

#define LOOKUP_TIME 2000 /* milliseconds for all of it */
#define LOOKUP_REPEAT 500 /* then the question is sent again, to the next server */

enum lookup_step {
	LOOKUP_NOT_BEGUN,
	LOOKUP_NAMES, /* of the address */
	LOOKUP_ADDRESS, /* whether names[which] has it */
	LOOKUP_DONE,
};

struct lookup {
	int servers[DNS_SERVERS_MAX]; /* owned, connected; -1: unusable */
	size_t n_servers;
	enum lookup_step step;
	struct ip ip;
	uint64_t end, repeat; /* by stream_clock() */
	size_t server; /* index of the server that has the question */
	struct dns_question question;
	struct dns_name names[DNS_NAMES_MAX];
	size_t n_names, which;
	bool confirmed; /* names[which] is the confirmed name */
};

/* The servers of /etc/resolv.conf. Returns how many there are. */
size_t lookup_servers(struct ip ret[DNS_SERVERS_MAX]);

/* A socket connected to that name server, or -errno. */
int lookup_connect(const struct ip *server);

/* Takes over a socket; a negative one is none. */
void lookup_add(struct lookup *l, int fd);

/* Begins, once. Without a server or an address it is over. */
void lookup_begin(struct lookup *l, const struct ip *ip);

/* Does what can be done without waiting. */
void lookup_go_on(struct lookup *l);

/* Waits for the end, at most until LOOKUP_TIME after the beginning. */
void lookup_await(struct lookup *l);

/* The confirmed name, or NULL. */
const char *lookup_name(const struct lookup *l);

/* The first name of the address, confirmed or not, or NULL. */
const char *lookup_first(const struct lookup *l);

void lookup_done(struct lookup *l);
