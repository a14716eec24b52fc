/* SPDX-License-Identifier: ISC */
/*
 * The interface between the engine and the mechanisms and users of AUTH (RFC 4954). The
 * engine does base64 and the exchange, and depends on no mechanism.
 */
#pragma once

#include "proto/reply.h"

#define AUTH_LINE_MAX 12288 /* a line of base64, CRLF included (RFC 4954 4) */
/* octets of a mechanism's name (RFC 4422 3.1), NUL included */
#define AUTH_MECHANISM_MAX 21
#define AUTH_USER_MAX 256 /* octets of a user name, NUL included */
/* octets of a challenge before base64: it fits in a reply */
#define AUTH_CHALLENGE_MAX (REPLY_ARGUMENT_MAX / 4 * 3)

enum auth_result {
	AUTH_CHALLENGE, /* 334: the exchange continues */
	AUTH_SUCCESS,
	AUTH_FAILED, /* 535 5.7.8: wrong user or proof; the reply is the same for both */
	AUTH_MALFORMED, /* 501 5.5.2: the mechanism cannot parse the response */
	AUTH_UNKNOWN, /* 504 5.5.4: mechanism not available */
	AUTH_UNAVAILABLE, /* 454 4.7.0: a fault of this host */
};

enum auth_sender {
	AUTH_SENDER_FINE,
	AUTH_SENDER_FOREIGN, /* the address is not one of this user */
	AUTH_SENDER_UNAVAILABLE, /* the address cannot be checked now */
};

struct authenticator {
	/* The usable mechanisms, as EHLO lists them: "PLAIN LOGIN"; empty: none. */
	const char *(*mechanisms)(struct authenticator *a);
	/*
	 * Begins an exchange. After AUTH_CHALLENGE step() is called before the first
	 * challenge is sent.
	 */
	enum auth_result (*begin)(struct authenticator *a, struct span mechanism);
	/*
	 * Takes a decoded response; NULL: the client sent no initial one. With
	 * AUTH_CHALLENGE the challenge is appended to *ret_challenge, not encoded; more
	 * than AUTH_CHALLENGE_MAX fails the exchange.
	 */
	enum auth_result (*step)(struct authenticator *a, const struct span *response,
		struct buf *ret_challenge);
	/*
	 * The user of the exchange that has just ended; after a failure the claimed one,
	 * if known; else empty. Shorter than AUTH_USER_MAX.
	 */
	const char *(*user)(struct authenticator *a);
	/* Ends an exchange, if any, and wipes its secrets. */
	void (*end)(struct authenticator *a);
	/*
	 * Decides whether the user may send mail from the address (empty: <>). With
	 * AUTH_SENDER_UNAVAILABLE *ret_fault is the fault of this host, owned by the
	 * authenticator.
	 */
	enum auth_sender (*sender)(struct authenticator *a, const char *user,
		struct span address, const char **ret_fault);
};
