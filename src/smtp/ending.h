/* SPDX-License-Identifier: ISC */
/*
 * The end of a session, a transaction or a login in words: for the record, the reply, the
 * panel and `systemctl status`.
 */
#pragma once

#include "smtp/state.h"

#define SESSION_STATE_MAX 512

/* Returns the reply when a session ends for that reason; NULL: none. */
const struct reply *session_end_reply(enum session_end why);

/*
 * Returns the reason for which a refusal by a stage ends the session: its 421 is that of
 * an ending, or of a filter. END_NONE: it does not.
 */
enum session_end ending_of_refusal(const struct reply *r);

/* Returns the word of records for a reason. */
const char *session_end_word(enum session_end why);

/*
 * True for an address check (Postfix's address verification, Exim's callout): the client
 * ends the transaction by a command, before any content and after all recipients were
 * accepted.
 */
bool ending_is_check(const struct session *s, const struct reply *outcome);

/* True when the message was stored, for some recipient at least. */
bool ending_is_delivered(const struct reply *outcome);

/* True when the message, or each recipient, was refused. */
bool ending_is_refused(const struct session *s, const struct reply *outcome);

/*
 * Returns the refusal of the transaction or login, or one within it; NULL: none. If no
 * recipient was accepted, it is the refusal of a recipient.
 */
const struct reply *ending_refusal(const struct session *s, const struct reply *outcome);

/* Return the topic of a session, a transaction, or a login that ends. */
enum topic topic_of_session(const struct session *s);
enum topic topic_of_message(const struct session *s, const struct reply *outcome);
enum topic topic_of_login(const struct reply *outcome);

/* Returns the status line of the panel, which postern(8) explains; NULL: none. */
const char *session_status(const struct session *s);

/*
 * Appends the current state in printable ASCII, for `systemctl status`: "Receiving a
 * message: 192.0.2.7 (client.example.net), TLS1.3, 2 messages delivered"
 */
void session_put_state(const struct session *s, struct buf *to);
