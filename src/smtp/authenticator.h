/*
 * Who a client says it is, and whether that is true (RFC 4954): what stands behind AUTH.
 * The engine knows how challenges and responses go to and fro, base64 included, and no
 * mechanism.
 */
#pragma once

#include "proto/reply.h"

#define AUTH_LINE_MAX 12288 /* a line of base64, CRLF included (RFC 4954 4) */
#define AUTH_MECHANISM_MAX 21 /* the name of one (RFC 4422 3.1), NUL included */
#define AUTH_USER_MAX 256 /* a user's name, NUL included */
/* a challenge, not encoded: a reply has room for it */
#define AUTH_CHALLENGE_MAX (REPLY_ARGUMENT_MAX / 4 * 3)

enum auth_result {
	AUTH_CHALLENGE, /* 334: the exchange goes on */
	AUTH_SUCCESS,
	AUTH_FAILED, /* 535 5.7.8: user or proof is wrong; nobody is told which */
	AUTH_MALFORMED, /* 501 5.5.2: the mechanism cannot read the response */
	AUTH_UNKNOWN, /* 504 5.5.4: no such mechanism, here and now */
	AUTH_UNAVAILABLE, /* 454 4.7.0: through no fault of the client's */
};

enum auth_sender {
	AUTH_SENDER_FINE,
	AUTH_SENDER_FOREIGN, /* not this user's address */
	AUTH_SENDER_UNAVAILABLE, /* nobody can tell now */
};

struct authenticator {
	/* Those that can be used now, as EHLO lists them: "PLAIN LOGIN"; empty: none. */
	const char *(*mechanisms)(struct authenticator *a);
	/* Begins an exchange. AUTH_CHALLENGE: step() is next, and nothing is said yet. */
	enum auth_result (*begin)(struct authenticator *a, struct span mechanism);
	/*
	 * Takes a response, decoded; NULL where the client sent no initial one. With
	 * AUTH_CHALLENGE what is to be said is appended to *ret_challenge, not encoded;
	 * with more than AUTH_CHALLENGE_MAX the exchange has failed.
	 */
	enum auth_result (*step)(struct authenticator *a, const struct span *response,
		struct buf *ret_challenge);
	/*
	 * Of the exchange that has just ended: who it was, or after a failure who it said
	 * it was, as far as that is known; else empty. Shorter than AUTH_USER_MAX.
	 */
	const char *(*user)(struct authenticator *a);
	/*
	 * Forgets an exchange, and wipes what was secret in it; also where none was
	 * begun.
	 */
	void (*end)(struct authenticator *a);
	/*
	 * May the user send mail from that address (empty: <>)? With
	 * AUTH_SENDER_UNAVAILABLE *ret_fault is what is wrong with this host; the
	 * authenticator's.
	 */
	enum auth_sender (*sender)(struct authenticator *a, const char *user,
		struct span address, const char **ret_fault);
};
