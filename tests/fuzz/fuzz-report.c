/* SPDX-License-Identifier: ISC */
/*
 * The report writer against the report checker. Input: octet with options, then a line each for the sender, a
 * recipient, ENVID and ORCPT, and a message. A report that postern writes for an accepted sender is sent by
 * postern-outbox to exactly this address; only an address that could be parsed as an option is refused.
 */
#include "fuzz/fuzz.h"
#include "proto/dsn.h"
#include "tools/outbox/outbox.h"
#include "proto/text.h"
#include "smtp/dsn-report.h"

#define REPORT_MAX (4 * REPORT_RETURNED_MAX)

static void check_report(struct span text, struct span sender)
{
	struct span head = { text.p,
		text.n < REPORT_HEADER_MAX ? text.n : REPORT_HEADER_MAX };
	struct span address = { 0 };
	const char *fault = report_check(head, &address);

	MUST(text.n <= REPORT_OCTETS_MAX);
	if (*sender.p == '-')
		MUST(fault);
	else
		MUST(!fault && span_eq(address, sender));
}

static void write_report(struct tx *tx, struct span message, bool utf8)
{
	static char header[REPORT_RETURNED_MAX], octets[REPORT_MAX];
	struct report r = {
		.tx = tx,
		.hostname = SPAN("mail.example.net"),
		.utf8 = utf8,
		.time = 1796126400,
		.returned.text = BUF(header),
	};
	struct buf b = BUF(octets);

	returned_take(&r.returned, message);
	report_begin(&r);
	MUST(!report_put(&r, &b) && !b.overflow);
	check_report(buf_span(&b), span_of(tx->sender));
}

/* As MAIL and RCPT take it: the whole line, with a domain. */
static bool take_path(struct span line, enum path_kind kind, bool utf8, struct path *ret)
{
	return path_take(&line, kind, ret) == PATH_FINE && !line.n && !ret->null &&
	       ret->domain.n && (utf8 || !ret->utf8);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span input = fuzz_input(data, size, 1);
	struct mail_params mail = { .smtputf8 = size && data[0] & 1 };
	struct rcpt_params rcpt = { .report = true, .utf8 = mail.smtputf8 };
	struct path sender, recipient;
	struct tx tx = { .id = "1796126400.M123456P42Q1" };
	struct recipient *r;

	if (!take_path(span_take_line(&input), PATH_REVERSE, mail.smtputf8, &sender) ||
		!take_path(
			span_take_line(&input), PATH_FORWARD, mail.smtputf8, &recipient))
		return 0;
	mail.envid = span_take_line(&input);
	rcpt.orcpt = span_take_line(&input);
	if (!dsn_is_envid(mail.envid))
		mail.envid = (struct span){ 0 };
	if (!dsn_is_orcpt(rcpt.orcpt, mail.smtputf8))
		rcpt.orcpt = (struct span){ 0 };
	MUST(tx_open(&tx, &sender, &mail) == 0);
	MUST(tx_add_recipient(&tx, &recipient, &rcpt, &r) == 0);
	MUST(report_is_due(&tx));
	write_report(&tx, input, mail.smtputf8);
	tx_clear(&tx);
	return 0;
}
