/*
 * How a session, a transaction or an attempt to log in has ended, in words: of the
 * record, of the reply, of the panel and of `systemctl status`.
 */
#pragma once

#include "smtp/state.h"

#define SESSION_STATE_MAX 512

/* The reply when a session ends for that reason; NULL: none. */
const struct reply *session_end_reply(enum session_end why);

/* The word for a reason, as records have it. */
const char *session_end_word(enum session_end why);

/*
 * The transaction ends as a check of addresses does (Postfix's address verification,
 * Exim's callout): the client ends it by a command, before any content and after all
 * recipients were accepted.
 */
bool ending_is_check(const struct session *s, const struct reply *outcome);

/* The message was refused, or each recipient that was named. */
bool ending_is_refused(const struct session *s, const struct reply *outcome);

/*
 * Why the transaction or the attempt was refused, or what was refused within it; NULL:
 * nothing was. Where no recipient was accepted, it is the refusal of one.
 */
const struct reply *ending_refusal(const struct session *s, const struct reply *outcome);

/*
 * The topic of the session, of its transaction, or of an attempt to log in: as it ends.
 */
enum topic topic_of_session(const struct session *s);
enum topic topic_of_message(const struct session *s, const struct reply *outcome);
enum topic topic_of_login(const struct reply *outcome);

/*
 * The status line of the panel: the manual's words, or NULL when there is nothing to say.
 */
const char *session_status(const struct session *s);

/*
 * What the session is doing, in printable ASCII, for `systemctl status`:
 * "Receiving a message: 192.0.2.7 (client.example.net), TLS1.3, 2 messages delivered"
 */
void session_put_state(const struct session *s, struct buf *to);
