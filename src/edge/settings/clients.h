/* What holds for which clients: the rules of a file (postern.conf(5)). */
#pragma once

#include "edge/tls/tls.h"
#include "proto/conf.h"
#include "smtp/settings.h"

#define CLIENTS_FILE_MAX (1024 * 1024) /* octets */
#define CLIENTS_FAULT_MAX 512 /* one fault, as a line */

/* Zero is no rules at all. */
struct clients {
	char *text; /* the file: texts of the rules lie in it, and a priority ends in a NUL */
	struct rule *rules; /* the more specific before the less specific */
	size_t n_rules, cap_rules;
	bool may_use_tls; /* some rule turns it on */
	bool may_refuse; /* some rule denies clients, or requires something of them */
};

/*
 * Reads the file. Each fault is told as "file:line: what is wrong"; a network that stands
 * in two lines is one. Returns how many there were.
 */
size_t clients_read(struct clients *c, const char *path,
	void (*report)(void *ctx, const char *fault), void *ctx);
void clients_done(struct clients *c);

/* The rule of the most specific network that has the address, or NULL. */
const struct rule *clients_find(const struct clients *c, const struct ip *ip);

/*
 * Puts what a rule says of TLS and DSN (NULL: nothing) in the place of what is set for all.
 * Where TLS is implicit it stays so, and in LMTP it stays as it is set: the socket says who may deliver.
 */
void clients_apply(const struct rule *rule, struct session_settings *session,
	struct tls_settings *tls);
