/*
 * The engine: an SMTP server session (RFC 5321) without descriptors, clocks or an
 * environment. Octets in, octets out, and what it wants next. It never blocks.
 */
#pragma once

#include "proto/data.h"
#include "proto/first-line.h"
#include "proto/line.h"
#include "smtp/authenticator.h"
#include "smtp/facts.h"
#include "smtp/record.h"
#include "smtp/settings.h"
#include "smtp/tracer.h"

#define COMMAND_LINE_MAX 512 /* RFC 5321 4.5.3.1.4, CRLF included */
/* the most that a verb has above it: AUTH's */
#define COMMAND_EXTRA_MAX (AUTH_LINE_MAX - COMMAND_LINE_MAX)
/* times recipient-limit: so many recipients above it are no errors yet */
#define RECIPIENT_OVERSHOOT 10
/* commands that do nothing; each one above counts as an error */
#define JUNK_COMMANDS_MAX 100
#define SESSION_OUT_MAX 8192 /* replies of one flush */
#define SESSION_OUT_ROOM 2048 /* the longest reply: EHLO's */
/* failed attempts to log in: a client may try all mechanisms with one wrong password */
#define AUTH_FAILURES_MAX 5
#define AUTH_PAUSE                                                                       \
	1000 /* milliseconds before the first is told, twice that for the next */
/*
 * Delivery reports of one session: they go to addresses that the client names. RFC 3461 5.1 forbids to refuse a
 * command for its parameters, so the session ends at the next MAIL, whatever is asked there.
 */
#define REPORTS_MAX 100
#define PEER_TEXT_MAX 64 /* an IPv6 address, with room to spare */

enum phase {
	PHASE_CONNECTED = 1, /* no EHLO, HELO or LHLO yet */
	PHASE_GREETED = 2,
	PHASE_MAIL = 4, /* a transaction is open */
	PHASE_CONTENT = 8, /* behind DATA */
	PHASE_CHUNKS = 16, /* a chunk has been taken, more are to come (RFC 3030) */
	PHASE_CHUNK = 32, /* behind BDAT: its octets */
	PHASE_RESULTS =
		64, /* behind a message: s->n_owed replies are due, one for each recipient */
	PHASE_AUTH = 128, /* behind a challenge: a response is due (RFC 4954) */
	PHASE_ENDED = 256,
};

enum session_want {
	SESSION_INPUT, /* show more input */
	SESSION_OUTPUT, /* write `out` first */
	SESSION_TLS, /* get TLS ready, then call session_tls_ready() */
	SESSION_PAUSE, /* write `out`, and come back at s->pause_until */
	SESSION_END, /* write `out`, then close */
};

/* Why a session ended. */
enum session_end {
	END_NONE,
	END_QUIT,
	END_EOF, /* the peer closed */
	END_BROKEN, /* reset, or TLS broken */
	END_TIMEOUT, /* nothing came within `timeout` */
	END_SESSION_TIMEOUT, /* longer than `session-timeout` */
	END_SHUTDOWN, /* a signal */
	END_ERRORS,
	END_AUTH_FAILURES, /* AUTH_FAILURES_MAX of them */
	END_TRANSACTIONS, /* more than `transaction-limit` */
	END_REPORTS, /* REPORTS_MAX delivery reports were written */
	END_REJECTED, /* went on in the clear where TLS is required */
	END_TLS_FAILED, /* the handshake */
	END_TLS_UNUSABLE, /* our certificate, where TLS is required */
	END_TLS_INJECTION, /* input behind STARTTLS */
	END_CHUNK, /* a chunk whose end cannot be known */
	END_FOREIGN_TLS,
	END_FOREIGN_HTTP,
	END_MISCONFIGURED,
	END_DENIED, /* by the rule for its network */
	END_BAD_PROXY, /* no PROXY header from a peer that must send one */
	END_PROXY_CHECK, /* a proxy has looked whether there is a connection */
};

enum tls_verdict {
	TLS_READY,
	TLS_UNUSABLE,
};

struct session_peer {
	char address[PEER_TEXT_MAX]; /* textual IP address, or empty when unknown */
	uint16_t port; /* 0: unknown */
	char proxy[PEER_TEXT_MAX]; /* who told us by a PROXY header; or empty */
	bool is_proxy; /* the header names no other client than the proxy itself */
	bool early; /* it spoke before our greeting */
};

struct session {
	const struct session_settings *settings;
	struct stages stages;
	struct recorder *recorder;
	struct tracer *tracer; /* NULL: nobody watches */
	const char *unique; /* "P<pid>": makes ids unique beside the time */
	struct session_peer peer;
	uint16_t own_port; /* 0: not known */
	const char
		*service; /* "smtp": by which kind of socket it came; NULL: not known */
	const char *
		confinement; /* what is left of a sandbox that is not whole; NULL: it is */

	/* why there is no TLS (any more), while the session's record is written; or NULL */
	const struct tls_failure *failure;

	struct moment now, since;
	enum phase phase;
	enum session_end end;
	bool wants_tls;
	bool secured;
	bool tls_failed; /* the handshake did */
	bool tls_unusable; /* STARTTLS was refused for our own sake */
	bool rejected; /* a command in the clear got the 530 */
	struct tls_facts tls;
	char tls_fault[FACT_NAME_MAX]; /* what is wrong with our own certificate */

	char user[AUTH_USER_MAX]; /* who has logged in; empty: nobody */
	char mechanism[AUTH_MECHANISM_MAX]; /* of the last exchange; or empty */

	bool esmtp; /* EHLO, not HELO */
	char helo[COMMAND_LINE_MAX]; /* as the client said it */
	struct line_reader line;
	bool line_crlf; /* the last command ended with CRLF: only then may a dot come next
			 */
	struct data data;
	struct first_line first_line;
	uint64_t chunk_left; /* octets of the chunk still to come */
	bool chunk_last;
	enum phase chunk_phase; /* to go back to when they are thrown away */
	const struct reply
		*chunk_refusal; /* they are thrown away, and this is the reply */
	/* why a message was refused whose chunks still come, none but them since; NULL: none is */
	const struct reply *lost;
	struct tx tx;
	size_t n_owed; /* replies to a message, where each recipient has one */
	const struct reply *result; /* in PHASE_RESULTS: of the message as a whole */
	size_t n_told; /* recipients that have had theirs */
	size_t n_auth_failures; /* in all, whatever was between them */
	const struct reply *delayed; /* the reply that is due at pause_until; or NULL */
	uint64_t pause_until; /* milliseconds, of the clock that never jumps */

	struct span argument; /* of the reply that a handler is about to return */
	char reason[REPLY_LINE_MAX]; /* the last refusal, as it was said */
	/* of the transaction that ends, or NULL: given up; or of an attempt to log in */
	const struct reply *outcome;
	size_t n_errors, n_junk, n_overshoot; /* since the last accepted message */
	size_t n_transactions, n_messages;
	size_t n_reports; /* delivery reports written */
	size_t n_refused; /* commands and messages */
	size_t n_untold; /* of n_refused, those that are in no such record */
	bool lenient; /* bare newlines or syntax forgiven */
	bool told; /* the refusal that is counted next is in the record of a transaction or a login */
	bool auth_unavailable; /* the last attempt got 454 */

	struct buf out;
	/* From here on: not cleared at the start, as that alone would cost more than a reply. */
	char out_octets[SESSION_OUT_MAX];
	char untold
		[REPLY_LINE_MAX]; /* where n_untold: the last of them, as it was said */
	char scratch[RECORD_TEXT_MAX]; /* records and trace headers are built here */
};

/* Begins a session; `s` is zeroed memory but for what is passed. `unique` as in the
 * struct. */
void session_init(struct session *s, const struct session_settings *settings,
	struct stages stages, struct recorder *recorder, const char *unique,
	const struct moment *now);

/* Queues the greeting (RFC 5321 3.1); after the handshake where TLS is implicit. */
void session_greet(struct session *s);

/*
 * Takes all it can from the front of `in`, in place, and appends the replies to s->out.
 * The output is the same however the input is split. With SESSION_INPUT some octets may
 * stay in `in`. What was secret in those that were taken is wiped.
 */
enum session_want session_take(
	struct session *s, struct bytes *in, const struct moment *now);

/* What is wrong with our own TLS, for the record; empty: nothing. */
void session_tls_fault(struct session *s, const char *fault);

/* After SESSION_TLS: queues 220, 454 or 421 (RFC 3207 4). */
void session_tls_ready(struct session *s, enum tls_verdict verdict);

/* The handshake is done: all that was said before is forgotten (RFC 3207 4.2). */
void session_secured(struct session *s, const struct tls_facts *facts);

/* The handshake failed: the session is over, and nothing more is said in the clear. */
void session_tls_failed(
	struct session *s, const struct tls_failure *failure, const struct moment *now);

/*
 * What came inside TLS is broken, or its end came before a word was said: session_stop(),
 * with what TLS knows of it. A client that refused the handshake late has failed it.
 */
void session_tls_lost(struct session *s, enum session_end why,
	const struct tls_failure *failure, const struct moment *now);

/*
 * In place of the greeting: ends the session with the reply that the reason has, and its
 * argument. It is recorded as the last refusal.
 */
void session_refuse(struct session *s, enum session_end why, struct span argument,
	const struct moment *now);

/* Ends the session from outside, with the reply that the reason has. A second call does
 * nothing. */
void session_stop(struct session *s, enum session_end why, const struct moment *now);

/* For handlers: */

/* Returns the row, and remembers its argument until it is written. */
const struct reply *session_reply(
	struct session *s, enum reply_name name, struct span argument);

/* The open transaction ends with `outcome`; NULL: it was given up. Tells the recorder,
 * clears all. */
void session_end_tx(struct session *s, const struct reply *outcome);
