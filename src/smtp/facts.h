/*
 * What is known of the TLS layer below a session, as plain values: the engine sees no
 * library.
 */
#pragma once

#include <stdbool.h>
#include "proto/tls-hello.h"

#define FACT_MAX 64 /* names of versions, cipher suites and groups */
#define FACT_NAME_MAX 256 /* a server name, or a sentence */
#define FACT_DAY_MAX 16 /* "2026-11-23" */

struct tls_facts {
	char version[FACT_MAX]; /* "TLS1.3" */
	char cipher[FACT_MAX]; /* IANA's name, "TLS_AES_256_GCM_SHA384" (RFC 8314 7.4) */
	char group[FACT_MAX]; /* IANA's name, "x25519"; empty without one */
	char alpn[FACT_MAX];
	char sni[FACT_NAME_MAX]; /* as the client sent it: graphic ASCII, else dropped */
	bool resumed;
	/* the client's certificate: "trusted", or why it is not; empty: none was shown */
	char client[FACT_NAME_MAX];
};

/* Who or what ended it. */
enum tls_end {
	TLS_END_REFUSED, /* we did */
	TLS_END_ALERT, /* the client, by an alert */
	TLS_END_CLOSED, /* the client closed or reset the connection */
	TLS_END_TIMEOUT, /* nobody: nothing more came in time */
	TLS_END_STOPPED, /* a signal asked us to end */
	TLS_END_BROKEN, /* the connection, or our memory */
};

/* Our certificate, as it looks to the client. */
struct tls_certificate {
	bool known; /* the rest means something */
	bool expired;
	bool early; /* not valid yet */
	bool issuer_expired, issuer_early; /* so is one of those that are sent with it */
	bool misnamed; /* does not cover `name` */
	bool self_signed;
	bool alone; /* signed by another, whose certificate is not sent */
	unsigned keys; /* enum tls_key: of all certificates that may be shown */
	uint16_t curve; /* the one ECDSA signature it can make in TLS 1.3, or 0 */
	char first[FACT_DAY_MAX], last[FACT_DAY_MAX]; /* days of its validity, UTC */
	char issuer_first[FACT_DAY_MAX],
		issuer_last[FACT_DAY_MAX]; /* and of that one's */
	char name[FACT_NAME_MAX]; /* which it should cover: the SNI, or our hostname */
};

/* Why there is no TLS, or none any more. */
struct tls_failure {
	enum tls_end how;
	int alert; /* what ended it (RFC 8446 6), or TLS_NO_ALERT */
	bool alert_sent; /* by us; else received */
	bool answered; /* the client has been sent our certificate */
	bool tickets; /* and has been offered session tickets */
	struct tls_opening opening;
	struct tls_terms allowed; /* by `tls-priority`, whatever our keys can serve */
	struct tls_certificate certificate;
	char error[FACT_NAME_MAX]; /* in the library's words */
};
