/* SPDX-License-Identifier: ISC */
/* AUTH (RFC 4954): challenges, responses, and their effect on the session. */
#pragma once

#include "smtp/state.h"

/* True when EHLO lists AUTH: inside TLS, with a usable mechanism. */
bool auth_is_offered(const struct session *s);

/* True when AUTH should be offered, but no mechanism is usable now. */
bool auth_is_unavailable(const struct session *s);

/* Returns the refusal of mail without a login where one is required; else NULL. */
const struct reply *auth_refusal(const struct session *s);

/*
 * Carries out the command AUTH. Returns the reply that ends the exchange, or a challenge
 * and sets PHASE_AUTH.
 */
struct answer auth_begin(struct session *s, struct span args);

/*
 * Takes a response from `in` in PHASE_AUTH and wipes it. Returns no reply if the line is
 * incomplete; otherwise as auth_begin().
 */
struct answer auth_response(struct session *s, struct bytes *in);

/* Ends an exchange without a record. */
void auth_drop(struct session *s);

/* Ends an exchange that the end of the session interrupted, with a record. */
void auth_give_up(struct session *s);
