/* SPDX-License-Identifier: ISC */
/*
 * The settings of the engine. The caller owns the texts, which must outlive the session.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct authenticator;
struct names;

enum tls_mode {
	TLS_OFF,
	TLS_ON, /* STARTTLS is offered */
	TLS_REQUIRED, /* mail in the clear gets 530 */
	TLS_IMPLICIT, /* TLS begins before the greeting (RFC 8314) */
};

enum auth_mode {
	AUTH_OFF,
	AUTH_ON, /* AUTH is offered inside TLS */
	AUTH_REQUIRED, /* MAIL without a login gets 530 */
};

enum bare_newline {
	BARE_NORMALIZE, /* it is a line end, but never part of the end of data */
	BARE_REJECT,
};

struct session_settings {
	bool lmtp; /* RFC 2033 in place of SMTP */
	const char *hostname;
	const char *banner;
	/* names in ASCII or UTF-8, "*.name" for all subdomains, "*" for any domain */
	const char *const *domains;
	size_t n_domains;
	/* this host has users: "*" holds only after a login; other clients get 530 */
	bool any_needs_login;
	enum tls_mode tls;
	enum auth_mode auth;
	struct authenticator *authenticator; /* NULL: no AUTH */
	enum bare_newline bare_newline;
	/* the delivering stage writes the fields that name the recipients */
	bool original_to;
	bool dsn; /* reports of success can be made (RFC 3461) */
	const char *dsn_fault; /* the fault that prevents reports; NULL: none */
	uint64_t size_limit; /* octets by RFC 1870; 0: no limit */
	size_t recipient_limit; /* accepted recipients of one transaction */
	size_t recipients_offered; /* the number that EHLO lists; 0: recipient_limit */
	size_t transaction_limit; /* of one session */
	size_t error_limit; /* refused commands of one session */
	struct names *names; /* converts names that are not ASCII */
};
