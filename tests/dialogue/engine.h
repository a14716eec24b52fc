/* SPDX-License-Identifier: ISC */
/* A session of the pure engine in memory, with its stages and interfaces. */
#pragma once

#include "memory.h"
#include "memory-outbox.h"
#include "smtp/policy.h"
#include "smtp/session.h"
#include "unit/few-names.h"
#include "unit/few-users.h"

#define ENGINE_DOMAINS_MAX 8

/* How the client's writes are cut into pieces. */
struct split {
	enum {
		SPLIT_NOT,
		SPLIT_OCTETS, /* each octet by itself */
		SPLIT_TWO, /* one write in two */
	} how;
	size_t write; /* which one, from 0 */
	size_t at; /* octets of its first piece */
};

struct engine {
	struct way way;
	struct split split;
	size_t n_writes;
	size_t n_split_octets; /* of the write that SPLIT_TWO cuts */
	struct session_settings settings;
	const char *domains[ENGINE_DOMAINS_MAX];
	struct few_names names;
	struct few_users users;
	enum tls_verdict verdict;
	struct moment now;
	struct policy policy;
	struct memory memory;
	struct memory_outbox outbox;
	struct stage *stages[3];
	struct recorder recorder;
	struct session session;
	struct span in; /* shown and not taken, in memory of its own */
	bool in_handshake;
	bool done; /* the engine has returned SESSION_END */
};

/* Fills e->settings and e->verdict from those of the dialogue: engine-play.c. */
bool engine_settings(struct engine *e, const struct dialogue *d, struct complaint *ret);

bool engine_init(struct engine *e, const struct dialogue *d, struct split split,
	struct complaint *ret);
void engine_done(struct engine *e);
