/* SPDX-License-Identifier: ISC */
/*
 * The engine: an SMTP server session (RFC 5321) without descriptors, clocks or an
 * environment. It takes octets and returns octets and what it needs next, so it never
 * blocks.
 */
#pragma once

#include "smtp/state.h"

/* Begins a session in `s`, of any content. `unique` as in the struct. */
void session_init(struct session *s, const struct session_settings *settings,
	struct stages stages, struct recorder *recorder, const char *unique,
	const struct moment *now);

/* Queues the greeting (RFC 5321 3.1); with implicit TLS after the handshake. */
void session_greet(struct session *s);

/*
 * Takes as much as possible from the front of `in`, in place, and appends the replies to
 * s->out. The output is the same however the input is split. With SESSION_INPUT some
 * octets may stay in `in`. Secrets in the octets taken are wiped.
 */
enum session_want session_take(
	struct session *s, struct bytes *in, const struct moment *now);

/* Sets the fault of this host's own TLS, for the record; empty: none. */
void session_tls_fault(struct session *s, const char *fault);

/* After SESSION_TLS: queues 220, 454 or 421 (RFC 3207 4). */
void session_tls_ready(struct session *s, enum tls_verdict verdict);

/* The handshake is done: discards the state from before it (RFC 3207 4.2). */
void session_secured(struct session *s, const struct tls_facts *facts);

/* The handshake failed: ends the session without another reply in the clear. */
void session_tls_failed(
	struct session *s, const struct tls_failure *failure, const struct moment *now);

/*
 * TLS broke, or ended before the first command: session_stop() with the facts of the
 * failure. A client that refused the handshake late counts as a failed handshake.
 */
void session_tls_lost(struct session *s, enum session_end why,
	const struct tls_failure *failure, const struct moment *now);

/*
 * In place of the greeting: ends the session with the reply of the reason and its
 * argument. It is recorded as the last refusal.
 */
void session_refuse(struct session *s, enum session_end why, struct span argument,
	const struct moment *now);

/* Ends the session from outside, with the reply of the reason; once only. */
void session_stop(struct session *s, enum session_end why, const struct moment *now);
