/* SPDX-License-Identifier: ISC */
/*
 * The key agent: processes that hold the private keys and make signatures for
 * connections, which hold none. Each connection has a channel of its own, so that no
 * answer reaches another one. Requests come from processes that parse hostile input, so
 * the agent checks every value, and closes the channel after a wrong request.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "proto/network.h"

struct tls_api;
struct tls_settings;

#define KEYS_AGENTS_MAX 8 /* processes; otherwise as many as processors */

/*
 * octets of a hash, a DigestInfo, or the whole text for Ed25519 (201 in TLS 1.2 with
 * secp521r1)
 */
#define KEYS_OCTETS_MAX 512
#define KEYS_SIGNATURE_MAX 2048 /* octets, for an RSA key of 16384 bits */
#define KEYS_CHAIN_MAX (64 * 1024) /* a certificate chain, or the text of a fault */

/* signatures of one channel, which is then closed; a handshake needs one */
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
	uint32_t pair; /* number of the pair in the settings */
	uint32_t algorithm; /* signature algorithm of KEYS_SIGN, a number of GnuTLS */
	uint32_t n; /* octets to be signed */
	unsigned char octets[KEYS_OCTETS_MAX];
};

enum keys_result {
	KEYS_FINE,
	KEYS_FAULT, /* the pair is unusable; the octets are the text of the fault */
	KEYS_PIN_REFUSED, /* the same, and the cause is the PIN of a token */
	KEYS_REFUSED, /* the request is wrong */
};

struct keys_header {
	uint32_t result;
	uint32_t n; /* octets that follow */
};

/* An answer; only the first n octets are sent. */
struct keys_answer {
	struct keys_header header;
	unsigned char octets[KEYS_CHAIN_MAX];
};

/* The access to private keys in another process. */
struct keys {
	int channel; /* SOCK_SEQPACKET to an agent; or -errno: there is none */
	int signals; /* readable when the process is to stop; -1 without one */
};

/*
 * Sends a request to the agent, and waits up to KEYS_WAIT for its answer. Returns the
 * octets of the answer, written to `to`, and its result in *ret; or -errno: -ECONNRESET
 * when the agent has ended or refused the request, -ETIMEDOUT.
 */
ssize_t keys_ask(const struct keys *keys, const struct keys_request *request,
	enum keys_result *ret, void *to, size_t room);

/* Returns a channel to the agent that listens at this path, or -errno. Never waits. */
int keys_connect(const char *path);

/* Returns a sentence that explains `error`, the result of keys_ask(). */
const char *keys_error(int error);

/* The agents, for a process that hands over channels to them. */
struct keys_agents {
	int controls[KEYS_AGENTS_MAX]; /* SOCK_SEQPACKET, each to one process */
	size_t n;
	size_t next; /* number of the process that gets the next channel */
};

/*
 * Forks agents that read the private keys of the settings and then enter the sandbox, if
 * `sandbox`. They end when all controls and channels are closed. Descriptors are numbered
 * `from` or higher. 0 or -errno.
 */
int keys_start(struct keys_agents *ret, const struct tls_api *api,
	const struct tls_settings *settings, bool sandbox, int from);

/* Closes the controls. Channels stay usable. */
void keys_leave(struct keys_agents *a);

/* True when an agent has ended. The remaining agents must then be replaced, too. */
bool keys_have_ended(const struct keys_agents *a);

/*
 * Makes a channel for a connection of that source. The agent answers the requests of
 * sources in turn. Returns the descriptor, or -errno. Never waits.
 */
int keys_open(struct keys_agents *a, const struct ip *source);

/* Hands over `theirs`, an end of a channel, which stays open here. 0 or -errno. */
int keys_hand_over(struct keys_agents *a, int theirs, const struct ip *source);
