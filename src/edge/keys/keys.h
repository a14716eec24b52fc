/* SPDX-License-Identifier: ISC */
/*
 * The key agent: processes that hold the private keys and make signatures for
 * connections, which hold none. Each connection has a channel of its own, so that no
 * answer reaches another one. Requests come from processes that parse hostile input: the
 * agent takes nothing in them on trust, and closes the channel of a wrong one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "proto/network.h"

struct tls_api;
struct tls_settings;

#define KEYS_AGENTS_MAX 8 /* processes: as many as processors, but no more */

/* A hash, a DigestInfo, or the whole text for Ed25519: TLS 1.2 with secp521r1 has 201. */
#define KEYS_OCTETS_MAX 512
#define KEYS_SIGNATURE_MAX 2048 /* of an RSA key of 16384 bits */
#define KEYS_CHAIN_MAX (64 * 1024) /* a certificate chain, or the text of a fault */

/* A handshake needs one signature; a channel that has had these is closed. */
#define KEYS_SIGNATURES_MAX 4
#define KEYS_CHAINS_MAX 64 /* a client asks once for each of at most 16 pairs */
#define KEYS_WAIT 30000 /* milliseconds that a client waits for an answer */

enum keys_operation {
	KEYS_CHAIN, /* answer: the certificates of a pair */
	KEYS_SIGN, /* answer: a signature */
};

/* All requests have this size. */
struct keys_request {
	uint32_t operation;
	uint32_t pair; /* its number in the settings */
	uint32_t algorithm; /* of KEYS_SIGN, as GnuTLS numbers them */
	uint32_t n; /* octets to be signed */
	unsigned char octets[KEYS_OCTETS_MAX];
};

enum keys_result {
	KEYS_FINE,
	KEYS_FAULT, /* the pair cannot be used; the octets are the text of the fault */
	KEYS_REFUSED, /* the request is wrong */
};

struct keys_header {
	uint32_t result;
	uint32_t n; /* octets that follow */
};

/* Sent without the octets behind the first n. */
struct keys_answer {
	struct keys_header header;
	unsigned char octets[KEYS_CHAIN_MAX];
};

/* What a process without private keys has of them. */
struct keys {
	int channel; /* SOCK_SEQPACKET to an agent; or -errno: there is none */
};

/*
 * Asks the agent, and waits for its answer. Octets of the answer in `to`, with *ret its
 * result; or -errno: -ECONNRESET after the agent has ended or has refused, -ETIMEDOUT.
 */
ssize_t keys_ask(const struct keys *keys, const struct keys_request *request,
	enum keys_result *ret, void *to, size_t room);

/* A channel to the agent that listens at this path, or -errno. Never waits. */
int keys_connect(const char *path);

/* Why there is no answer, as a sentence; `error` is of keys_ask(). */
const char *keys_error(int error);

/* The processes, as seen by one that hands over channels to them. */
struct keys_agents {
	int controls[KEYS_AGENTS_MAX]; /* SOCK_SEQPACKET, each to one process */
	size_t n;
	size_t next; /* gets the next channel */
};

/*
 * Forks agents that read the private keys of the settings and then enter the sandbox, if
 * `sandbox`. They end when all controls and channels are closed. Descriptors are numbered
 * `from` or higher. 0 or -errno.
 */
int keys_start(struct keys_agents *ret, const struct tls_api *api,
	const struct tls_settings *settings, bool sandbox, int from);

/* Closes the controls. Channels go on. */
void keys_leave(struct keys_agents *a);

/* True when an agent has ended. Then the others are of no use either. */
bool keys_have_ended(const struct keys_agents *a);

/*
 * Makes a channel for a connection of that source, whose requests the agent answers in
 * turn with those of other sources. Its descriptor, or -errno. Never waits.
 */
int keys_open(struct keys_agents *a, const struct ip *source);

/* Hands over `theirs`, an end of a channel, which stays open here. 0 or -errno. */
int keys_hand_over(struct keys_agents *a, int theirs, const struct ip *source);
