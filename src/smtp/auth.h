/*
 * AUTH (RFC 4954): how challenges and responses go to and fro, and what becomes of the
 * session then.
 */
#pragma once

#include "smtp/state.h"

/* True where AUTH is listed: inside TLS alone, and with a mechanism. */
bool auth_is_offered(const struct session *s);

/* True where it should be offered, and nothing of it can be used now. */
bool auth_is_unavailable(const struct session *s);

/* The refusal of mail without a login, where one is required; else NULL. */
const struct reply *auth_refusal(const struct session *s);

/*
 * The command. The reply: of the whole exchange, or a challenge, and then the phase is
 * PHASE_AUTH.
 */
struct answer auth_begin(struct session *s, struct span args);

/*
 * Takes a response from `in` in PHASE_AUTH, and leaves nothing of it there. None: the end
 * of its line has not come; else as auth_begin().
 */
struct answer auth_response(struct session *s, struct bytes *in);

/* The session ends within an exchange. */
void auth_drop(struct session *s);

/* The session ends in the middle of an exchange, which has a record. */
void auth_give_up(struct session *s);
