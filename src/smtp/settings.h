/*
 * What the engine must be told. The texts belong to the caller and outlive the session.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct authenticator;
struct names;

enum tls_mode {
	TLS_OFF,
	TLS_ON, /* offered */
	TLS_REQUIRED, /* 530 to mail in the clear */
	TLS_IMPLICIT, /* before the greeting (RFC 8314) */
};

enum auth_mode {
	AUTH_OFF,
	AUTH_ON, /* offered inside TLS */
	AUTH_REQUIRED, /* MAIL without a login gets 530 */
};

enum bare_newline {
	BARE_NORMALIZE, /* taken for a line end, never for part of an end of data */
	BARE_REJECT,
};

struct session_settings {
	bool lmtp; /* RFC 2033 in place of SMTP */
	const char *hostname;
	const char *banner;
	/* names in ASCII or UTF-8, "*.name" for all below one, "*" for any */
	const char *const *domains;
	size_t n_domains;
	enum tls_mode tls;
	enum auth_mode auth;
	struct authenticator *authenticator; /* NULL: there is no AUTH */
	enum bare_newline bare_newline;
	bool dsn; /* reports of success can be made (RFC 3461) */
	const char *dsn_fault; /* why they cannot, but should; NULL: nothing is wrong */
	uint64_t size_limit; /* octets as RFC 1870 counts them; 0 for none */
	size_t recipient_limit; /* accepted recipients of one transaction */
	size_t recipients_offered; /* of them, that EHLO names; 0: all */
	size_t transaction_limit; /* of one session */
	size_t error_limit; /* refused commands of one session */
	struct names *names; /* brings those that are not ASCII into one form */
};
