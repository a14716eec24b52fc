/* SPDX-License-Identifier: ISC */
/*
 * Facts of the TLS layer and of filters as plain values, so that the engine needs neither
 * a TLS library nor the milter protocol.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "proto/tls-hello.h"

#define FACT_MAX 64 /* octets of a name of a version, cipher suite or group */
#define FACT_NAME_MAX 256 /* octets of a server name, or of a sentence */
#define FACT_DAY_MAX 16 /* "2026-11-23" */

struct tls_facts {
	char version[FACT_MAX]; /* "TLS1.3" */
	char cipher[FACT_MAX]; /* IANA's name, "TLS_AES_256_GCM_SHA384" (RFC 8314 7.4) */
	char group[FACT_MAX]; /* IANA's name, "x25519"; empty without one */
	char alpn[FACT_MAX];
	char sni[FACT_NAME_MAX]; /* as the client sent it: graphic ASCII, else dropped */
	bool resumed;
	/* the client's certificate: "trusted", or why it is not; empty: none was sent */
	char client[FACT_NAME_MAX];
	/*
	 * common names of a trusted one and of its issuer, in UTF-8 without controls;
	 * valid as long as TLS lasts; NULL: none
	 */
	const char *client_name, *client_issuer;
};

/* The way in which TLS ended. */
enum tls_end {
	TLS_END_REFUSED, /* by this host */
	TLS_END_ALERT, /* by an alert of the client */
	TLS_END_CLOSED, /* the client closed or reset the connection */
	TLS_END_TIMEOUT, /* no input in time */
	TLS_END_STOPPED, /* by a signal to this process */
	TLS_END_BROKEN, /* a connection error, or no memory */
};

/* This host's certificate, from the client's point of view. */
struct tls_certificate {
	bool known; /* the other members are valid */
	bool expired;
	bool early; /* not valid yet */
	/* the same for an issuer's certificate sent with it */
	bool issuer_expired, issuer_early;
	bool misnamed; /* does not cover `name` */
	bool self_signed;
	bool alone; /* without the certificate of its issuer */
	unsigned keys; /* kinds of keys (enum tls_key) of all certificates of this host */
	unsigned key; /* the kind of this certificate's key */
	char first[FACT_DAY_MAX], last[FACT_DAY_MAX]; /* days of validity, UTC */
	char issuer_first[FACT_DAY_MAX],
		issuer_last[FACT_DAY_MAX]; /* and of the issuer's certificate */
	/* the name that it should cover: SNI, or the hostname */
	char name[FACT_NAME_MAX];
};

/* The failure of a handshake, or of TLS after it. */
struct tls_failure {
	enum tls_end how;
	int alert; /* the alert that ended it (RFC 8446 6), or TLS_NO_ALERT */
	bool alert_sent; /* sent by this host; else received */
	bool answered; /* the certificate was sent to the client */
	bool tickets; /* session tickets were offered as well */
	bool agent; /* a key agent has the keys: no key exchange by RSA */
	struct tls_opening opening;
	/*
	 * terms of `tls-priority`, regardless of the keys; the signatures are those of
	 * the version
	 */
	struct tls_terms allowed;
	struct tls_certificate certificate;
	char error[FACT_NAME_MAX]; /* error text of the library */
};

#define FILTER_NAME_MAX 113 /* an address of the file `milters`, escaped, and a NUL */
#define FILTER_WHY_MAX 256 /* a reason or a fault, escaped, and a NUL */
#define FILTERS_TEXT_MAX 1024 /* octets of a record about all filters */

/* What a filter did to a message, beside changing it. */
enum filter_effect {
	FILTER_NO_EFFECT,
	FILTER_REFUSED, /* by `refusal` */
	FILTER_DISCARDED,
	FILTER_QUARANTINED, /* for the reason `quarantine` */
	FILTER_FAILED, /* for the fault `why`, so that its default action held */
};

/* How long a filter was waited for, with one message. */
struct filter_wait {
	char name[FILTER_NAME_MAX];
	uint64_t milliseconds;
};

struct reply;

/* Of all filters of a session. Texts are escaped; they are empty where there is none. */
struct filters_facts {
	/* of the open transaction: "unix:/run/x.sock: accept, 2 edits, 13 ms|..." */
	char text[FILTERS_TEXT_MAX];
	char quarantine[FILTER_WHY_MAX];
	uint64_t milliseconds; /* in which filters were waited for */
	/* of these, since the step that began at this time: they are not in it yet */
	uint64_t step_milliseconds, step;
	struct filter_wait slow; /* the slowest */
	enum filter_effect effect;
	char actor[FILTER_NAME_MAX]; /* the filter that had it */
	char why[FILTER_WHY_MAX];
	const char *action; /* "tempfail": its default action */
	const struct reply *refusal; /* the last one of a filter, also of a recipient */
	/* of the session: */
	struct filter_wait slowest;
};
