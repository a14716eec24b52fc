/* The commands (RFC 5321 4.1.1): one table, and the one dispatcher that uses each of its
 * columns. */
#pragma once

#include "smtp/session.h"

/*
 * Carries out one command line, of `n_line` octets with its end. Returns the reply; NULL
 * when the engine turns to TLS instead.
 */
const struct reply *verbs_dispatch(struct session *s, struct span line, size_t n_line);

/* MAIL, RCPT and DATA, in mail.c. */
const struct reply *mail_mail(struct session *s, struct span args);
const struct reply *mail_rcpt(struct session *s, struct span args);
const struct reply *mail_data(struct session *s, struct span args);

/*
 * Takes content from `in` while the phase is PHASE_CONTENT. True when its end was found.
 */
bool mail_content(struct session *s, struct bytes *in);
/* The end was found: delivers. Returns the reply, after which the transaction is to be
 * ended. */
const struct reply *mail_deliver(struct session *s);
