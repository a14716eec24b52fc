/* SPDX-License-Identifier: ISC */
/* smtp/dsn-report: whole reports (RFC 3464, RFC 6522, RFC 6533), and the senders that get one. */
#include "smtp/dsn-report.h"
#include "unit/test.h"

#define MEMORY_MAX 65536
#define ID "1796126400.M123456P42Q1"
#define BOUNDARY "=_" ID

struct asked {
	const char *mailbox; /* NULL ends */
	bool report;
	const char *orcpt;
	enum reply_name refusal; /* REPLY_READY: none */
};

struct row {
	const char *sender, *envid;
	struct asked to[6];
	struct span content;
	bool utf8;
	const char *want;
};

#define TEXT(literal)                                                                    \
	{                                                                                \
		literal, sizeof(literal) - 1                                             \
	}

static struct path path_of(const char *mailbox)
{
	struct span text = span_of(mailbox);
	const char *at = memrchr(text.p, '@', text.n);
	size_t n = at ? (size_t)(at - text.p) : text.n;

	return (struct path){
		.text = text,
		.local = { text.p, n },
		.domain = at ? span_from(text, n + 1) : (struct span){ 0 },
		.null = text.n == 0,
	};
}

static void open_tx(struct tx *tx, const struct row *row)
{
	const struct path sender = path_of(row->sender);

	*tx = (struct tx){ .since.seconds = 1796126400, .id = ID };
	REQUIRE(tx_open(tx, &sender,
			&(struct mail_params){ .envid = span_of(row->envid) }) == 0);
	for (const struct asked *to = row->to; to->mailbox; to++) {
		const struct path path = path_of(to->mailbox);
		struct recipient *r;
		REQUIRE(tx_add_recipient(tx, &path,
				&(struct rcpt_params){ .report = to->report,
					.orcpt = span_of(to->orcpt) },
				&r) == 0);
		r->reply = to->refusal ? reply_get(to->refusal) : NULL;
	}
}

/* Writes the report in pieces of `room`. */
static struct span write_report(struct report *r, size_t room, char *to)
{
	size_t n = 0;
	bool more;

	do {
		struct buf b = { .p = to + n, .cap = room };
		REQUIRE(n + room <= MEMORY_MAX);
		more = report_put(r, &b);
		CHECK(!b.overflow && (b.n || !more));
		n += b.n;
	} while (more);
	return (struct span){ to, n };
}

static void check(const struct row *row)
{
	static char header[REPORT_RETURNED_MAX], got[MEMORY_MAX];
	struct tx tx;
	struct report r;

	open_tx(&tx, row);
	r = (struct report){
		.tx = &tx,
		.hostname = SPAN("mail.example.net"),
		.utf8 = row->utf8,
		.time = 1796126407,
		.returned.text = BUF(header),
	};
	returned_take(&r.returned, row->content);
	report_begin(&r);
	CHECK_SPAN(write_report(&r, MEMORY_MAX, got), row->want);
	/* and once more, as when delivery to some fails late */
	report_begin(&r);
	CHECK_SPAN(write_report(&r, REPORT_ROOM, got), row->want);
	tx_clear(&tx);
}

/* Auto-Submitted: RFC 3834 5 */
static void test_one_recipient(void)
{
	static const struct row row = {
		.sender = "Alice@Example.ORG",
		.envid = "QQ+2B314159",
		.to = { { "bob@example.net", true, "rfc822;Bob+2Bx@Example.COM", 0 } },
		.content = TEXT("Subject: x\nReceived: from a\n\tby b\n\nHello.\n"),
		.want = "To: <Alice@Example.ORG>\n"
			"From: Mail Delivery System <postmaster@mail.example.net>\n"
			"Subject: Your message has been delivered\n"
			"Date: Tue, 01 Dec 2026 12:00:07 +0000\n"
			"Message-ID: <report." ID "@mail.example.net>\n"
			"Auto-Submitted: auto-replied\n"
			"MIME-Version: 1.0\n"
			"Content-Type: multipart/report; report-type=delivery-status; "
			"boundary=\"" BOUNDARY "\"\n"
			"\n"
			"--" BOUNDARY "\n"
			"Content-Type: text/plain; charset=us-ascii\n"
			"\n"
			"This is the mail system of mail.example.net.\n"
			"\n"
			"Your message has been delivered to:\n"
			"\n"
			"    <bob@example.net>\n"
			"\n"
			"The sender asked for this report. It does not show whether the "
			"message was read.\n"
			"\n"
			"--" BOUNDARY "\n"
			"Content-Type: message/delivery-status\n"
			"\n"
			"Original-Envelope-Id: QQ+314159\n"
			"Reporting-MTA: dns; mail.example.net\n"
			"Arrival-Date: Tue, 01 Dec 2026 12:00:00 +0000\n"
			"\n"
			"Original-Recipient: rfc822; Bob+x@Example.COM\n"
			"Final-Recipient: rfc822; bob@example.net\n"
			"Action: delivered\n"
			"Status: 2.1.5\n"
			"\n"
			"--" BOUNDARY "\n"
			"Content-Type: text/rfc822-headers\n"
			"\n"
			"Subject: x\n"
			"Received: from a\n"
			"\tby b\n"
			"\n"
			"--" BOUNDARY "--\n",
	};

	check(&row);
}

#define START(rest)                                                                      \
	"From: Mail Delivery System <postmaster@mail.example.net>\n"                     \
	"Subject: Your message has been delivered\n"                                     \
	"Date: Tue, 01 Dec 2026 12:00:07 +0000\n"                                        \
	"Message-ID: <report." ID "@mail.example.net>\n"                                 \
	"Auto-Submitted: auto-replied\n"                                                 \
	"MIME-Version: 1.0\n" rest "\n--" BOUNDARY "\n"

#define TOLD                                                                             \
	"The sender asked for this report. It does not show whether the message was "    \
	"read.\n"

/* RFC 3461 5.2.8: a report has only recipients for which it was requested, and that were accepted. */
static void test_several_recipients(void)
{
	static const struct row row = {
		.sender = "a@example.org",
		.to = { { "nobody@example.net", false, "rfc822;nobody@x", 0 },
			{ "first@example.net", true, NULL, 0 },
			{ "full@example.net", true, NULL, REPLY_STORE_FULL },
			{ "\"a b\"@example.net", true, "utf-8;caf\\x{E9}@x", 0 },
			{ "postmaster", true, NULL, 0 } },
		.content = TEXT("Subject: caf\xe9\n\n"),
		.want = "To: <a@example.org>\n" START(
			"Content-Type: multipart/report; "
			"report-type=delivery-status; "
			"boundary=\"" BOUNDARY
			"\"\n") "Content-Type: text/plain; charset=us-ascii\n"
				"\n"
				"This is the mail system of mail.example.net.\n"
				"\n"
				"Your message has been delivered to:\n"
				"\n"
				"    <first@example.net>\n"
				"    <\"a b\"@example.net>\n"
				"    <postmaster>\n"
				"\n" TOLD "\n"
				"--" BOUNDARY "\n"
				"Content-Type: message/delivery-status\n"
				"\n"
				"Reporting-MTA: dns; mail.example.net\n"
				"Arrival-Date: Tue, 01 Dec 2026 12:00:00 +0000\n"
				"\n"
				"Final-Recipient: rfc822; first@example.net\n"
				"Action: delivered\n"
				"Status: 2.1.5\n"
				"\n"
				"Original-Recipient: utf-8; caf\\x{E9}@x\n"
				"Final-Recipient: rfc822; \"a b\"@example.net\n"
				"Action: delivered\n"
				"Status: 2.1.5\n"
				"\n"
				"Final-Recipient: rfc822; postmaster\n"
				"Action: delivered\n"
				"Status: 2.1.5\n"
				"\n"
				"--" BOUNDARY "\n"
				"Content-Type: text/rfc822-headers\n"
				"Content-Transfer-Encoding: quoted-printable\n"
				"\n"
				"Subject: caf=E9\n"
				"\n"
				"--" BOUNDARY "--\n",
	};

	check(&row);
}

/* RFC 6533 4 */
static void test_in_utf8(void)
{
	static const struct row row = {
		.sender = "andr\xc3\xa9@example.org",
		.to = { { "ren\xc3\xa9@example.net", true, "utf-8;ren\\x{E9}\\x{3D}@x",
				0 },
			{ "bob@example.net", true,
				"utf-8;b\xc3\xb6"
				"b@x",
				0 } },
		.content = TEXT("Subject: caf\xc3\xa9\n\n"),
		.utf8 = true,
		.want = "To: <andr\xc3\xa9@example.org>\n" START(
			"Content-Type: multipart/report; "
			"report-type=global-delivery-status; "
			"boundary=\"" BOUNDARY "\"\n"
			"Content-Transfer-Encoding: 8bit\n") "Content-Type: text/plain; "
							     "charset=utf-8\n"
							     "Content-Transfer-Encoding: "
							     "8bit\n"
							     "\n"
							     "This is the mail system of "
							     "mail.example.net.\n"
							     "\n"
							     "Your message has been "
							     "delivered to:\n"
							     "\n"
							     "    "
							     "<ren\xc3\xa9@example.net>\n"
							     "    <bob@example.net>\n"
							     "\n" TOLD "\n"
							     "--" BOUNDARY "\n"
							     "Content-Type: "
							     "message/"
							     "global-delivery-status\n"
							     "Content-Transfer-Encoding: "
							     "8bit\n"
							     "\n"
							     "Reporting-MTA: dns; "
							     "mail.example.net\n"
							     "Arrival-Date: Tue, 01 Dec "
							     "2026 12:00:00 +0000\n"
							     "\n"
							     "Original-Recipient: utf-8; "
							     "ren\xc3\xa9=@x\n"
							     "Final-Recipient: utf-8; "
							     "ren\xc3\xa9@example.net\n"
							     "Action: delivered\n"
							     "Status: 2.1.5\n"
							     "\n"
							     "Original-Recipient: utf-8; "
							     "b\xc3\xb6"
							     "b@x\n"
							     "Final-Recipient: rfc822; "
							     "bob@example.net\n"
							     "Action: delivered\n"
							     "Status: 2.1.5\n"
							     "\n"
							     "--" BOUNDARY "\n"
							     "Content-Type: "
							     "message/global-headers\n"
							     "Content-Transfer-Encoding: "
							     "8bit\n"
							     "\n"
							     "Subject: caf\xc3\xa9\n"
							     "\n"
							     "--" BOUNDARY "--\n",
	};

	check(&row);
}

/* How often `what` stands at the beginning of a line. */
static size_t count_lines(struct span text, const char *what)
{
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++)
		if ((i == 0 || text.p[i - 1] == '\n') && text.n - i >= strlen(what) &&
			memcmp(text.p + i, what, strlen(what)) == 0)
			n++;
	return n;
}

#define OF_100                                                                           \
	"0123456789012345678901234567890123456789012345678901234567890123456789"         \
	"012345678901234567890123456789"

/* Each value has its maximum length, and all octets that a peer may use of a boundary. */
static void test_nothing_can_be_forged_and_all_fits(void)
{
	static const char *const longest =
		"rfc822;--" BOUNDARY "-----" OF_100 OF_100 OF_100 OF_100
		"012345678901234567890123456789012345"
		"678901234567890123456";
	static const struct row row = {
		.sender = "\"-- " OF_100 OF_100 "01234567890\"@example.org",
		.envid = "--" BOUNDARY "+20+7E" OF_100,
		.to = { { "\"--" BOUNDARY "\"@example.net", true, NULL, 0 },
			{ "\"" OF_100 OF_100 "--" BOUNDARY "\"@example.net", true, NULL,
				0 } },
		.content = TEXT("A:\n --" BOUNDARY "\n--" BOUNDARY
				"--: x\nAction: failed\n\nbody\n"),
	};
	static char header[REPORT_RETURNED_MAX], got[MEMORY_MAX];
	struct span text;
	struct tx tx;
	struct report r;

	open_tx(&tx, &row);
	tx.recipients[1].params.orcpt = span_of(longest);
	CHECK(strlen(longest) >= 490);
	r = (struct report){
		.tx = &tx,
		.hostname =
			SPAN(OF_100 OF_100 OF_100 "."), /* more than a name may have */
		.returned.text = BUF(header),
	};
	returned_take(&r.returned, row.content);
	report_begin(&r);
	text = write_report(&r, REPORT_ROOM, got);
	CHECK(count_lines(text, "--" BOUNDARY) == 4);
	CHECK(count_lines(text, "--" BOUNDARY "--") == 1);
	CHECK(count_lines(text, "--=3D_" ID "--: x\n") == 1);
	CHECK(count_lines(text, "To:") == 1 && count_lines(text, "Content-Type:") == 4);
	CHECK(count_lines(text, "Action:") == 3);
	CHECK(count_lines(text, "body") == 0);
	CHECK(!memchr(text.p, '\r', text.n));
	tx_clear(&tx);
}

static void test_only_who_asked_and_can_be_told_gets_one(void)
{
	static const struct {
		struct row row;
		bool due;
		size_t n;
	} cases[] = {
		{ { .sender = "a@b", .to = { { "x@y", true, NULL, 0 } } }, true, 1 },
		{ { .sender = "", .to = { { "x@y", true, NULL, 0 } } }, false, 1 },
		{ { .sender = "a@b", .to = { { "x@y", false, "rfc822;x", 0 } } }, false,
			0 },
		{ { .sender = "a@b", .envid = "x" }, false, 0 },
		{ { .sender = "a@b", .to = { { "x@y", true, NULL, REPLY_STORE_FULL } } },
			false, 0 },
		{ { .sender = "a@b",
			  .to = { { "x@y", false, NULL, 0 }, { "x@y", true, NULL, 0 },
				  { "x@y", true, NULL, REPLY_STORE_FULL },
				  { "x@y", true, NULL, 0 } } },
			true, 2 },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct tx tx;
		open_tx(&tx, &cases[i].row);
		CHECK(report_is_due(&tx) == cases[i].due);
		CHECK(report_count(&tx) == cases[i].n);
		tx_clear(&tx);
	}
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_one_recipient),
		TEST(test_several_recipients),
		TEST(test_in_utf8),
		TEST(test_nothing_can_be_forged_and_all_fits),
		TEST(test_only_who_asked_and_can_be_told_gets_one),
	};

	return test_main(tests, TEST_COUNT(tests));
}
