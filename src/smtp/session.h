/* SPDX-License-Identifier: ISC */
/*
 * The engine: an SMTP server session (RFC 5321) without descriptors, clocks or an
 * environment. It takes octets and returns octets and what it needs next, so it never
 * blocks.
 */
#pragma once

#include "smtp/state.h"

/* Begins a session in `s`, whose old content is ignored. `unique`: see struct session. */
void session_init(struct session *s, const struct session_settings *settings,
	struct stages stages, struct recorder *recorder, const char *unique,
	const struct moment *now);

/*
 * Queues the greeting (RFC 5321 3.1). With implicit TLS it is called after the handshake.
 */
void session_greet(struct session *s);

/*
 * Takes as much as possible from the front of `in`, in place, and appends the replies to
 * s->out. The output does not depend on how the input is split. With SESSION_INPUT some
 * octets may remain in `in`. Secrets in octets that were taken are wiped.
 */
enum session_want session_take(
	struct session *s, struct bytes *in, const struct moment *now);

/* Sets the fault of this host's own TLS, for the record; empty: none. */
void session_tls_fault(struct session *s, const char *fault);

/* Queues 220, 454 or 421 after SESSION_TLS (RFC 3207 4). */
void session_tls_ready(struct session *s, enum tls_verdict verdict);

/* Discards the state from before the handshake, when it is done (RFC 3207 4.2). */
void session_secured(struct session *s, const struct tls_facts *facts);

/* Ends the session after a failed handshake, without another reply in the clear. */
void session_tls_failed(
	struct session *s, const struct tls_failure *failure, const struct moment *now);

/*
 * Like session_stop(), with the facts of the failure, when TLS broke or ended before the
 * first command. A client that refused the handshake late counts as a failed handshake.
 */
void session_tls_lost(struct session *s, enum session_end why,
	const struct tls_failure *failure, const struct moment *now);

/*
 * Ends the session before the greeting, with the reply of the reason and its argument.
 * The reply is recorded as the last refusal.
 */
void session_refuse(struct session *s, enum session_end why, struct span argument,
	const struct moment *now);

/*
 * Ends the session from outside the engine, with the reply of the reason. Further calls
 * have no effect.
 */
void session_stop(struct session *s, enum session_end why, const struct moment *now);
