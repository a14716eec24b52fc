/* SPDX-License-Identifier: ISC */
/*
 * The parameters of reports, and a report made from them. Input: octet with options, then a line each for ENVID,
 * ORCPT and NOTIFY, and a message. The report is the same in any pieces, and has lines of this host with the four
 * delimiters of its three parts; without UTF-8 it is ASCII, in lines that mail can carry.
 */
#include "fuzz/fuzz.h"
#include "proto/dsn.h"
#include "proto/text.h"
#include "smtp/dsn-report.h"

#define ID "1796126400.M123456P42Q1"
#define BOUNDARY "--=_" ID
#define REPORT_MAX (4 * REPORT_RETURNED_MAX)
#define LINE_OCTETS_MAX 998 /* RFC 5322 2.1.1 */
#define N_DELIMITERS 4

/* The next line of the input, without its LF. */
static struct span write_report(struct report *r, size_t room, char *to)
{
	struct span all = { to, 0 };
	bool more;

	report_begin(r);
	do {
		struct buf b = { .p = to + all.n, .cap = room };
		MUST(all.n + room <= REPORT_MAX);
		more = report_put(r, &b);
		MUST(!b.overflow);
		all.n += b.n;
	} while (more);
	return all;
}

static bool begins(struct span line, struct span with)
{
	return line.n >= with.n && span_eq((struct span){ line.p, with.n }, with);
}

static void check_report(struct span text, bool utf8)
{
	size_t n_delimiters = 0;

	MUST(begins(text, SPAN("To: <a@example.org>\nFrom: ")));
	MUST(span_ends(text, SPAN("\n" BOUNDARY "--\n")));
	while (text.n) {
		struct span line = span_take_line(&text);
		n_delimiters += begins(line, SPAN(BOUNDARY));
		MUST(line.n <= LINE_OCTETS_MAX);
		MUST(utf8_valid(line));
		for (size_t i = 0; i < line.n; i++) {
			unsigned char c = (unsigned char)line.p[i];
			MUST((c >= 32 && c < 127) || c == '\t' || (utf8 && c > 127));
		}
	}
	MUST(n_delimiters == N_DELIMITERS);
}

static void report_on(struct tx *tx, struct span message, bool utf8, size_t first)
{
	static char header[REPORT_RETURNED_MAX], whole[REPORT_MAX], pieces[REPORT_MAX];
	struct report r = {
		.tx = tx,
		.hostname = SPAN("mail.example.net"),
		.utf8 = utf8,
		.returned.text = BUF(header),
	};
	struct span text;

	first = first < message.n ? first : message.n;
	returned_take(&r.returned, (struct span){ message.p, first });
	returned_take(&r.returned, span_from(message, first));
	text = write_report(&r, REPORT_MAX, whole);
	check_report(text, utf8);
	MUST(span_eq(text, write_report(&r, REPORT_ROOM, pieces)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span message = fuzz_input(data, size, 1);
	struct path sender = { .text = SPAN("a@example.org") };
	struct path recipient = { .text = SPAN("b@example.net") };
	struct mail_params mail = { .envid = span_take_line(&message) };
	struct rcpt_params rcpt = { .orcpt = span_take_line(&message) };
	bool utf8 = size && data[0] & 128;
	struct tx tx = { .id = ID };
	struct recipient *r;

	if (size == 0)
		return 0;
	if (!dsn_is_envid(mail.envid))
		mail.envid = (struct span){ 0 };
	if (!dsn_is_orcpt(rcpt.orcpt, utf8))
		rcpt.orcpt = (struct span){ 0 };
	dsn_notify(span_take_line(&message), &rcpt.report);
	MUST(tx_open(&tx, &sender, &mail) == 0);
	MUST(tx_add_recipient(&tx, &recipient, &rcpt, &r) == 0);
	MUST(report_is_due(&tx) == rcpt.report);
	report_on(&tx, message, utf8, data[0] & 127);
	tx_clear(&tx);
	return 0;
}
