/*
 * What the module sasl.so offers: the mechanisms of AUTH, for one connection, as a table
 * of functions. The program includes only this page; libgsasl is loaded with the module,
 * when a client logs in.
 */
#pragma once

#include "edge/table/table.h"
#include "proto/verifier.h"
#include "smtp/authenticator.h"

#define SASL_MODULE "sasl.so"
#define SASL_MODULE_TABLE "postern_sasl"

#define SASL_PLAIN "PLAIN"
#define SASL_LOGIN "LOGIN"
#define SASL_SCRAM "SCRAM-SHA-256"
#define SASL_SCRAM_PLUS "SCRAM-SHA-256-PLUS"
#define SASL_EXTERNAL "EXTERNAL"

#define SASL_NAMES_MAX 8 /* of one certificate */

/* What it needs to know, and whom to ask. All of it outlives what is opened with it. */
struct sasl_settings {
	void *ctx;
	/* As table_find() of the table of users. */
	enum table_found (*find)(void *ctx, struct span user, struct buf *ret_value);
	/* Hears what an administrator should know; a sentence a call. */
	void (*fault)(void *ctx, const char *text);
	struct decoys decoys;
	struct span secret; /* makes the salts of users that do not exist */
	struct span binding; /* of the channel, tls-exporter; empty: there is none */
	/* of the client's certificate: whoever it may be, the first unless it says so */
	const char *names[SASL_NAMES_MAX];
	size_t n_names;
};

struct sasl;

struct sasl_api {
	/* NULL without memory. */
	struct sasl *(*open)(const struct sasl_settings *settings);
	void (*close)(struct sasl *sasl);

	/* As struct authenticator has them. The mechanism is one of the above. */
	enum auth_result (*begin)(struct sasl *sasl, struct span mechanism);
	enum auth_result (*step)(struct sasl *sasl, const struct span *response,
		struct buf *ret_challenge);
	const char *(*user)(const struct sasl *sasl);
	void (*end)(struct sasl *sasl);
};
