/*
 * The contract of a report in the outbox, between the one who writes it and the one who
 * sends it. A report is a message about delivery (RFC 3464, RFC 6522; RFC 6533 for
 * internationalized mail), its lines ended by LF. Of its header:
 *
 *   To: <ADDRESS>                        the first line, unfolded, and the only To field:
 *                                        a mailbox with a domain, never <>, never with a
 *                                        hyphen in front
 *   Auto-Submitted: auto-replied         exactly once (RFC 3834 5)
 *   Content-Type: multipart/report;      exactly once, may be folded; for internationalized
 *     report-type=delivery-status;       mail the type is global-delivery-status; no other
 *     boundary="..."                     parameter
 *
 * Other fields may follow, but none that names somebody else or asks for more mail:
 * Return-Path, Cc, Bcc, Resent-* and a few of old. An empty line ends the header within
 * REPORT_HEADER_MAX octets, and the whole has at most REPORT_OCTETS_MAX.
 */
#pragma once

#include "base/span.h"

#define REPORT_HEADER_MAX (16 * 1024) /* many times what its fields come to */
/* A thousand recipients with a long ORCPT each are 1 MB; what a header may add is more. */
#define REPORT_OCTETS_MAX (16 * 1024 * 1024)

/*
 * Reads the header of a report: `text` is the message, or its first REPORT_HEADER_MAX
 * octets. NULL when all of the contract holds that a header can show, and then
 * `*ret_address` is the mailbox, a part of `text`; else what is wrong, as a part of a
 * sentence.
 */
const char *report_check(struct span text, struct span *ret_address);
