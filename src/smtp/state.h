/* SPDX-License-Identifier: ISC */
/*
 * The state of an SMTP session: data only. session.h has the functions for callers
 * outside of this folder. Each file of this folder changes only the members of its
 * subject.
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
/* up to this many times recipient-limit, refused surplus recipients are not errors */
#define RECIPIENT_OVERSHOOT 10
/* commands without effect; each further one counts as an error */
#define JUNK_COMMANDS_MAX 100
#define SESSION_OUT_MAX 8192 /* octets of replies between two flushes */
#define SESSION_OUT_ROOM 2048 /* octets of the longest reply, that to EHLO */
/* failed logins: enough to try all mechanisms with one wrong password */
#define AUTH_FAILURES_MAX 5
/* milliseconds before the reply to the first failure; doubled for each further one */
#define AUTH_PAUSE 1000
/*
 * Delivery reports of one session. The number is limited because the client chooses their
 * addresses. RFC 3461 5.1 forbids refusing a command for its parameters, so any further
 * MAIL ends the session.
 */
#define REPORTS_MAX 100
#define PEER_TEXT_MAX 64 /* octets of an IPv6 address, and some more */

enum phase {
	PHASE_CONNECTED = 1, /* no EHLO, HELO or LHLO yet */
	PHASE_GREETED = 2,
	PHASE_MAIL = 4, /* a transaction is open */
	PHASE_CONTENT = 8, /* after DATA */
	PHASE_CHUNKS = 16, /* between two chunks (RFC 3030) */
	PHASE_CHUNK = 32, /* within the octets of a BDAT */
	/* after a message: s->n_owed replies are due, one for each recipient */
	PHASE_RESULTS = 64,
	PHASE_AUTH = 128, /* after a challenge: a response is due (RFC 4954) */
	PHASE_ENDED = 256,
};

enum session_want {
	SESSION_INPUT, /* call again with more input */
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
	END_TIMEOUT, /* no input for `timeout` */
	END_SESSION_TIMEOUT, /* longer than `session-timeout` */
	END_SLOW, /* content arrived more slowly than `min-data-rate` */
	END_SHUTDOWN, /* a signal to this process */
	END_ERRORS,
	END_AUTH_FAILURES, /* AUTH_FAILURES_MAX failed logins */
	/* too many failures of the client's network, in all sessions of a listener */
	END_SOURCE_FAILURES,
	END_TRANSACTIONS, /* more than `transaction-limit` */
	END_REPORTS, /* REPORTS_MAX delivery reports were written */
	END_REJECTED, /* continued in the clear where TLS is required */
	END_TLS_FAILED, /* the handshake failed */
	END_TLS_UNUSABLE, /* this host's certificate is unusable, and TLS is required */
	END_TLS_INJECTION, /* input after STARTTLS, before its reply */
	END_FILTER, /* decided by a filter */
	END_CHUNK, /* a chunk of unknown length */
	END_FOREIGN_TLS,
	END_FOREIGN_HTTP,
	END_MISCONFIGURED,
	END_DENIED, /* denied by the rule for the client's network */
	END_BAD_PROXY, /* no PROXY header from a peer that must send one */
	END_PROXY_CHECK, /* a proxy's health check */
};

enum tls_verdict {
	TLS_READY,
	TLS_UNUSABLE,
};

struct session_peer {
	const char *name; /* a host name, confirmed by its address; NULL: none is known */
	char address[PEER_TEXT_MAX]; /* textual IP address, or empty when unknown */
	uint16_t port; /* 0: unknown */
	/* the proxy that sent the client's address; or empty */
	char proxy[PEER_TEXT_MAX];
	bool is_proxy; /* the header names the proxy itself as the client */
	bool early; /* octets arrived before the greeting */
};

/* A reply to the client. NULL in `reply`: the reply is sent later. */
struct answer {
	const struct reply *reply;
	struct span argument; /* for the "%" in its text */
	bool recorded; /* the reply is in the record of a transaction or a login */
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
	const char *unique; /* "P<pid>": together with the time it makes ids unique */
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
	bool rejected; /* a command in the clear got 530 */
	struct tls_facts tls;
	char tls_fault[FACT_NAME_MAX]; /* fault of the certificate; or empty */

	char user[AUTH_USER_MAX]; /* the logged-in user; or empty */
	char mechanism[AUTH_MECHANISM_MAX]; /* mechanism of the last exchange; or empty */

	bool esmtp; /* EHLO, not HELO */
	char helo[COMMAND_LINE_MAX]; /* the argument as the client sent it */
	size_t n_hellos; /* EHLO, HELO or LHLO that were accepted */
	struct line_reader line;
	/*
	 * the last command ended with CRLF: only then may content begin with the final
	 * dot
	 */
	bool line_crlf;
	struct data data;
	struct first_line first_line;
	uint64_t chunk_left; /* octets of the chunk that have not arrived */
	bool chunk_last;
	enum phase chunk_phase; /* the phase after a discarded chunk */
	/* the reply after a discarded chunk; or none */
	struct answer chunk_refusal;
	/* reply of a refused message while its last chunks arrive; else NULL */
	const struct reply *refused_message;
	struct tx tx;
	size_t n_owed; /* remaining replies to a message when each recipient gets one */
	const struct reply *result; /* PHASE_RESULTS: the reply to the whole message */
	size_t n_replied; /* recipients whose reply was sent */
	size_t n_auth_failures; /* failed logins of the whole session */
	/* failed logins from the same network in other sessions */
	size_t n_failed_before;
	size_t n_unknown; /* permanently refused recipients of the whole session */
	/* reply that is due at pause_until, whose argument is empty; or none */
	struct answer delayed;
	uint64_t pause_until; /* milliseconds of the monotonic clock */

	char reason[REPLY_LINE_MAX]; /* the last refusal, as it was sent */
	size_t n_errors, n_junk, n_overshoot; /* counts since the last accepted message */
	size_t n_transactions, n_messages;
	size_t n_reports; /* delivery reports written */
	size_t n_refused; /* refused commands and messages */
	size_t n_unrecorded; /* those of n_refused that only the session's record has */
	bool lenient; /* bare newlines or wrong syntax were accepted */
	bool auth_unavailable; /* the last login got 454 */

	struct buf out;
	/* the members below are not cleared by session_init() */
	char out_octets[SESSION_OUT_MAX];
	/* the last refusal that n_unrecorded counts, as it was sent */
	char unrecorded[REPLY_LINE_MAX];
	char scratch[RECORD_TEXT_MAX]; /* records and trace headers are built here */
};
