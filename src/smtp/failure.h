/*
 * The values of a record that tell how TLS failed; nothing where it did not. One function
 * for each, as record.c wants them.
 */
#pragma once

#include "smtp/session.h"

/* "No supported cipher suites have been found.": the library's words. */
void failure_put_error(const struct session *s, struct buf *b);
/* "received unknown_ca", "sent protocol_version" */
void failure_put_alert(const struct session *s, struct buf *b);
/* tls_terms_put() of the ClientHello. */
void failure_put_offered(const struct session *s, struct buf *b);
/* The same of our own side: only beside the other, and what our certificates can serve. */
void failure_put_allowed(const struct session *s, struct buf *b);
