/* SPDX-License-Identifier: ISC */
/*
 * Composes the delivery report. Every line begins with a text of this host, and values of
 * the peer stand only inside lines, so that no line can look like a boundary.
 */
#include "smtp/dsn-report.h"
#include "proto/dsn.h"
#include "proto/received.h"
#include "proto/text.h"

#define BOUNDARY_MAX (TX_ID_MAX + 2) /* at most 70 octets (RFC 2046 5.1.1) */

/*
 * The boundary cannot be known before the message has ended, and "=_" never occurs in
 * quoted-printable text.
 */
static void put_boundary(const struct report *r, struct buf *to)
{
	buf_put(to, SPAN("=_"));
	buf_put_str(to, r->tx->id);
}

static void put_between(
	struct buf *to, struct span before, struct span value, struct span after)
{
	buf_put(to, before);
	buf_put(to, value);
	buf_put(to, after);
}

static void put_date(struct buf *to, struct span name, int64_t time)
{
	buf_put(to, name);
	date_put(to, time);
	buf_put_char(to, '\n');
}

/* Appends the last field of the report's header, and of each part that may have UTF-8. */
static void put_encoding(const struct report *r, struct buf *to)
{
	buf_put(to, r->utf8 ? SPAN("\nContent-Transfer-Encoding: 8bit\n") : SPAN("\n"));
}

/*
 * The line end before a delimiter is part of the delimiter, or ends the header (RFC 2046
 * 5.1.1).
 */
static void put_delimiter(const struct report *r, struct buf *to)
{
	buf_put(to, SPAN("\n--"));
	put_boundary(r, to);
}

static void begin_part(const struct report *r, struct buf *to, struct span type)
{
	put_delimiter(r, to);
	put_between(to, SPAN("\nContent-Type: "), type, SPAN(""));
}

/*
 * Auto-Submitted: RFC 3834 5. To is the first field, because postern-outbox requires it.
 */
static bool put_header(struct report *r, struct buf *to)
{
	put_between(to, SPAN("To: <"), span_of(r->tx->sender), SPAN(">\n"));
	put_between(to, SPAN("From: Mail Delivery System <postmaster@"), r->hostname,
		SPAN(">\nSubject: Your message has been delivered\n"));
	put_date(to, SPAN("Date: "), r->time);
	put_between(to, SPAN("Message-ID: <report."), span_of(r->tx->id), SPAN("@"));
	put_between(to, SPAN(""), r->hostname,
		SPAN(">\nAuto-Submitted: auto-replied\nMIME-Version: 1.0\n"
		     "Content-Type: multipart/report; report-type="));
	buf_put(to, r->utf8 ? SPAN("global-delivery-status") : SPAN("delivery-status"));
	buf_put(to, SPAN("; boundary=\""));
	put_boundary(r, to);
	buf_put_char(to, '"');
	put_encoding(r, to);
	return true;
}

static bool put_text(struct report *r, struct buf *to)
{
	begin_part(r, to,
		r->utf8 ? SPAN("text/plain; charset=utf-8")
			: SPAN("text/plain; charset=us-ascii"));
	put_encoding(r, to);
	put_between(to, SPAN("\nThis is the mail system of "), r->hostname,
		SPAN(".\n\nYour message has been delivered to:\n\n"));
	return true;
}

static bool is_reported(const struct recipient *to)
{
	return to->params.report && !to->reply;
}

/* Returns the next recipient of the report, or NULL. */
static const struct recipient *next_recipient(struct report *r)
{
	while (r->next < r->tx->n_recipients) {
		const struct recipient *to = &r->tx->recipients[r->next++];
		if (is_reported(to))
			return to;
	}
	return NULL;
}

static bool put_name(struct report *r, struct buf *to)
{
	const struct recipient *recipient = next_recipient(r);

	if (recipient)
		put_between(to, SPAN("    <"), recipient->mailbox, SPAN(">\n"));
	else
		buf_put(to, SPAN("\nThe sender asked for this report. It does not show "
				 "whether the message was read.\n"));
	return !recipient;
}

/* per-message-fields, in their order (RFC 3464 2.2) */
static bool put_message_fields(struct report *r, struct buf *to)
{
	begin_part(r, to,
		r->utf8 ? SPAN("message/global-delivery-status")
			: SPAN("message/delivery-status"));
	put_encoding(r, to);
	buf_put_char(to, '\n');
	if (r->tx->params.envid.n) {
		buf_put(to, SPAN("Original-Envelope-Id: "));
		xtext_put(to, r->tx->params.envid);
		buf_put_char(to, '\n');
	}
	put_between(to, SPAN("Reporting-MTA: dns; "), r->hostname, SPAN("\n"));
	put_date(to, SPAN("Arrival-Date: "), r->tx->since.seconds);
	return true;
}

/* An address that is not ASCII has the type utf-8 (RFC 6533 4.1). */
static struct span type_of(struct span mailbox)
{
	return utf8_is_ascii(mailbox) ? SPAN("rfc822; ") : SPAN("utf-8; ");
}

/* per-recipient-fields, in their order (RFC 3464 2.3). X.1.5: RFC 3463 3.2 */
static bool put_recipient_fields(struct report *r, struct buf *to)
{
	const struct recipient *recipient = next_recipient(r);

	if (!recipient)
		return true;
	buf_put_char(to, '\n');
	if (recipient->params.orcpt.n) {
		buf_put(to, SPAN("Original-Recipient: "));
		dsn_put_orcpt(to, recipient->params.orcpt, r->utf8);
		buf_put_char(to, '\n');
	}
	buf_put(to, SPAN("Final-Recipient: "));
	put_between(to, type_of(recipient->mailbox), recipient->mailbox,
		SPAN("\nAction: delivered\nStatus: 2.1.5\n"));
	return false;
}

static bool begin_returned(struct report *r, struct buf *to)
{
	static const struct span encodings[] = {
		[RETURNED_7BIT] = { "\n\n", 2 },
		[RETURNED_8BIT] = { "\nContent-Transfer-Encoding: 8bit\n\n", 34 },
		[RETURNED_QUOTED] = { "\nContent-Transfer-Encoding: quoted-printable\n\n",
			46 },
	};

	begin_part(r, to,
		r->utf8 ? SPAN("message/global-headers") : SPAN("text/rfc822-headers"));
	buf_put(to, encodings[r->returned.encoding]);
	return true;
}

static bool put_returned(struct report *r, struct buf *to)
{
	return returned_put(&r->returned, to);
}

static bool put_end(struct report *r, struct buf *to)
{
	put_delimiter(r, to);
	buf_put(to, SPAN("--\n"));
	return true;
}

/*
 * The parts, in order. Each function is called until it returns true: the part is
 * complete.
 */
static bool (*const parts[])(struct report *r, struct buf *to) = {
	put_header,
	put_text,
	put_name,
	put_message_fields,
	put_recipient_fields,
	begin_returned,
	put_returned,
	put_end,
};

#define N_PARTS (sizeof(parts) / sizeof(*parts))

bool report_is_due(const struct tx *tx)
{
	return tx->sender[0] && report_count(tx) > 0;
}

size_t report_count(const struct tx *tx)
{
	size_t n = 0;

	for (size_t i = 0; i < tx->n_recipients; i++)
		n += is_reported(&tx->recipients[i]);
	return n;
}

void report_begin(struct report *r)
{
	char octets[BOUNDARY_MAX];
	struct buf boundary = BUF(octets);

	put_boundary(r, &boundary);
	returned_seal(&r->returned, buf_span(&boundary), r->utf8);
	r->part = r->next = 0;
}

bool report_put(struct report *r, struct buf *to)
{
	while (r->part < N_PARTS && buf_room(to) >= REPORT_ROOM) {
		if (!parts[r->part](r, to))
			continue;
		r->part++;
		r->next = 0;
	}
	return r->part < N_PARTS;
}
