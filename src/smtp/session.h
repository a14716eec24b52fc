/*
 * The engine: an SMTP server session (RFC 5321) without descriptors, clocks or an
 * environment. It takes octets, and returns octets and what it needs next. It never
 * blocks.
 */
#pragma once

#include "smtp/state.h"

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
