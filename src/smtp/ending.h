/* SPDX-License-Identifier: ISC */
/*
 * The end of a session, a transaction or a login in words: for the record, the reply, the
 * panel and `systemctl status`.
 */
#pragma once

#include "smtp/state.h"

#define SESSION_STATE_MAX 512

/* The reply when a session ends for that reason; NULL: none. */
const struct reply *session_end_reply(enum session_end why);

/* The word for a reason, as records have it. */
const char *session_end_word(enum session_end why);

/*
 * True for an address check (Postfix's address verification, Exim's callout): the client
 * ends the transaction by a command, before any content and after all recipients were
 * accepted.
 */
bool ending_is_check(const struct session *s, const struct reply *outcome);

/* True when the message, or each recipient, was refused. */
bool ending_is_refused(const struct session *s, const struct reply *outcome);

/*
 * The refusal of the transaction or login, or one within it; NULL: none. Without accepted
 * recipients it is that of a recipient.
 */
const struct reply *ending_refusal(const struct session *s, const struct reply *outcome);

/* The topic of a session, its transaction, or a login that ends. */
enum topic topic_of_session(const struct session *s);
enum topic topic_of_message(const struct session *s, const struct reply *outcome);
enum topic topic_of_login(const struct reply *outcome);

/* The status line of the panel, as in the manual, or NULL for none. */
const char *session_status(const struct session *s);

/*
 * The current state in printable ASCII, for `systemctl status`: "Receiving a message:
 * 192.0.2.7 (client.example.net), TLS1.3, 2 messages delivered"
 */
void session_put_state(const struct session *s, struct buf *to);
