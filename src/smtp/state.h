/* SPDX-License-Identifier: ISC */
/*
 * The state of an SMTP session: data only. session.h has the functions that outside files
 * call, and each file of this folder changes the part of its subject.
 */
#pragma once

#include "proto/data.h"
#include "proto/line.h"
#include "smtp/authenticator.h"
#include "smtp/facts.h"
#include "smtp/record-tables.h"
#include "smtp/settings.h"
#include "smtp/tracer.h"
#include "smtp/tx.h"

#define COMMAND_LINE_MAX 512 /* RFC 5321 4.5.3.1.4, CRLF included */
/* the largest extra length of a verb: AUTH's */
#define COMMAND_EXTRA_MAX (AUTH_LINE_MAX - COMMAND_LINE_MAX)
/* times recipient-limit: that many recipients above it are not counted as errors */
#define RECIPIENT_OVERSHOOT 10
/* commands without effect; each one above counts as an error */
#define JUNK_COMMANDS_MAX 100
#define SESSION_OUT_MAX 8192 /* replies of one flush */
#define SESSION_OUT_ROOM 2048 /* the longest reply: EHLO's */
/* failed logins: a client may try all mechanisms with one wrong password */
#define AUTH_FAILURES_MAX 5
/* milliseconds before the reply to the first; doubled for each further one */
#define AUTH_PAUSE 1000
/*
 * Delivery reports of one session, since they go to addresses that the client names.
 * RFC 3461 5.1 forbids refusing a command for its parameters, so the next MAIL, of any
 * kind, ends the session.
 */
#define REPORTS_MAX 100
#define PEER_TEXT_MAX 64 /* an IPv6 address, with room to spare */

enum phase {
	PHASE_CONNECTED = 1, /* no EHLO, HELO or LHLO yet */
	PHASE_GREETED = 2,
	PHASE_MAIL = 4, /* a transaction is open */
	PHASE_CONTENT = 8, /* after DATA */
	PHASE_CHUNKS = 16, /* a chunk was taken, more are to follow (RFC 3030) */
	PHASE_CHUNK = 32, /* after BDAT: its octets */
	/* after a message: s->n_owed replies are due, one for each recipient */
	PHASE_RESULTS = 64,
	PHASE_AUTH = 128, /* after a challenge: a response is due (RFC 4954) */
	PHASE_ENDED = 256,
};

enum session_want {
	SESSION_INPUT, /* give more input */
	SESSION_OUTPUT, /* write `out` first */
	SESSION_TLS, /* prepare TLS, then call session_tls_ready() */
	SESSION_PAUSE, /* write `out`, and call again at s->pause_until */
	SESSION_END, /* write `out`, then close */
};

/* Why a session ended. */
enum session_end {
	END_NONE,
	END_QUIT,
	END_EOF, /* the peer closed */
	END_BROKEN, /* reset, or TLS broken */
	END_TIMEOUT, /* no input within `timeout` */
	END_SESSION_TIMEOUT, /* longer than `session-timeout` */
	END_SLOW, /* content arrived more slowly than `min-data-rate` */
	END_SHUTDOWN, /* a signal */
	END_ERRORS,
	END_AUTH_FAILURES, /* AUTH_FAILURES_MAX of them */
	END_SOURCE_FAILURES, /* of its source, in all sessions of a listener */
	END_TRANSACTIONS, /* more than `transaction-limit` */
	END_REPORTS, /* REPORTS_MAX delivery reports were written */
	END_REJECTED, /* continued in the clear where TLS is required */
	END_TLS_FAILED, /* the handshake */
	END_TLS_UNUSABLE, /* this host's certificate, where TLS is required */
	END_TLS_INJECTION, /* input after STARTTLS in the same piece */
	END_FILTER, /* a filter wants it */
	END_CHUNK, /* a chunk of unknown length */
	END_FOREIGN_TLS,
	END_FOREIGN_HTTP,
	END_MISCONFIGURED,
	END_DENIED, /* by the rule for its network */
	END_BAD_PROXY, /* no PROXY header from a peer that must send one */
	END_PROXY_CHECK, /* a proxy's health check */
};

enum tls_verdict {
	TLS_READY,
	TLS_UNUSABLE,
};

struct session_peer {
	char address[PEER_TEXT_MAX]; /* textual IP address, or empty when unknown */
	uint16_t port; /* 0: unknown */
	char proxy[PEER_TEXT_MAX]; /* the proxy that named the client; or empty */
	bool is_proxy; /* the header names the proxy itself as the client */
	bool early; /* it sent octets before the greeting */
};

/* A reply to the client. Without `reply` it comes later. */
struct answer {
	const struct reply *reply;
	struct span argument; /* for the "%" in its text */
	bool recorded; /* it is in the record of a transaction or a login */
};

static inline struct answer answer_with(enum reply_name name, struct span argument)
{
	return (struct answer){ .reply = reply_get(name), .argument = argument };
}

static inline struct answer answer(enum reply_name name)
{
	return answer_with(name, (struct span){ 0 });
}

struct recorder;

struct session {
	const struct session_settings *settings;
	struct stages stages;
	struct recorder *recorder;
	struct tracer *tracer; /* NULL: no trace */
	const char *unique; /* "P<pid>": makes ids unique beside the time */
	struct session_peer peer;
	uint16_t own_port; /* 0: not known */
	/* "smtp": the kind of the listening socket; NULL: unknown */
	const char *service;
	/* the parts of an incomplete sandbox that are active; NULL: it is complete */
	const char *confinement;
	const struct filters_facts *filters; /* NULL: there are no filters */

	struct moment now, since;
	enum phase phase;
	enum session_end end;
	bool wants_tls;
	bool secured;
	bool tls_failed; /* the handshake failed */
	bool tls_unusable; /* STARTTLS was refused for a fault of this host */
	bool rejected; /* a command in the clear got the 530 */
	struct tls_facts tls;
	char tls_fault[FACT_NAME_MAX]; /* fault of the certificate; or empty */

	char user[AUTH_USER_MAX]; /* the logged-in user; or empty */
	char mechanism[AUTH_MECHANISM_MAX]; /* of the last exchange; or empty */

	bool esmtp; /* EHLO, not HELO */
	char helo[COMMAND_LINE_MAX]; /* the argument as the client sent it */
	struct line_reader line;
	/* the last command ended with CRLF: required for a dot to follow */
	bool line_crlf;
	struct data data;
	struct first_line first_line;
	uint64_t chunk_left; /* octets of the chunk still to come */
	bool chunk_last;
	enum phase chunk_phase; /* the phase after a discarded chunk */
	/* the reply after a discarded chunk; or none */
	struct answer chunk_refusal;
	/* reply of a refused message while its last chunks arrive; else NULL */
	const struct reply *refused_message;
	struct tx tx;
	size_t n_owed; /* replies to a message, where each recipient has one */
	const struct reply *result; /* in PHASE_RESULTS: of the message as a whole */
	size_t n_told; /* recipients whose reply was sent */
	size_t n_auth_failures; /* of the whole session */
	size_t n_failed_before; /* logins of the same source in other sessions */
	size_t n_unknown; /* recipients refused for good, of the whole session */
	struct answer delayed; /* due at pause_until; or none */
	uint64_t pause_until; /* milliseconds of the monotonic clock */

	char reason[REPLY_LINE_MAX]; /* the last refusal, as it was sent */
	size_t n_errors, n_junk, n_overshoot; /* since the last accepted message */
	size_t n_transactions, n_messages;
	size_t n_reports; /* delivery reports written */
	size_t n_refused; /* commands and messages */
	size_t n_untold; /* of n_refused, those in no other record than the session's */
	bool lenient; /* bare newlines or syntax forgiven */
	bool auth_unavailable; /* the last login got 454 */

	struct buf out;
	/* the members below are not cleared by session_init() */
	char out_octets[SESSION_OUT_MAX];
	/* with n_untold: the last of them, as it was sent */
	char untold[REPLY_LINE_MAX];
	char scratch[RECORD_TEXT_MAX]; /* records and trace headers are built here */
};
