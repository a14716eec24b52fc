/* SPDX-License-Identifier: ISC */
/* tools/outbox/report: valid delivery reports with one recipient, and texts that are similar but invalid. */
#include "tools/outbox/outbox.h"
#include "unit/test.h"

#define TO "To: <joe@example.com>\n"
#define AUTO "Auto-Submitted: auto-replied\n"
#define TYPE                                                                             \
	"Content-Type: multipart/report; report-type=delivery-status; boundary=\"b\"\n"
#define REST AUTO TYPE "\n"
#define TEXT(literal)                                                                    \
	{                                                                                \
		"" literal, sizeof(literal) - 1                                          \
	}
#define SIXTY "0123456789'()+_,-./:=?01234567890123456789012345678901234567"

#define NO_TO "its first line is not To: <ADDRESS>"
#define NO_MAILBOX "To does not name a mailbox"
#define NO_END "its header does not end"
#define NO_FIELD "its header has a line that is no field"
#define CONTROL "its header has a control character in it"
#define OTHER_ADDRESS "its header names another address"
#define AUTO_VALUE "Auto-Submitted is not auto-replied"
#define AUTO_COUNT "it has not one Auto-Submitted"
#define TYPE_VALUE "Content-Type is not that of a delivery report"
#define TYPE_COUNT "it has not one Content-Type"

struct valid {
	struct span text;
	const char *address;
};

static const struct valid valid[] = {
	{ TEXT(TO REST), "joe@example.com" },
	{ TEXT(TO TYPE AUTO "\n\001 the body is not looked at"), "joe@example.com" },
	/* other fields, folded and empty ones, and octets above 127 */
	{ TEXT(TO "From: Mail <postmaster@mail.example.org>\nSubject: Delivered\n"
		  "Date: Tue, 1 Jul 2025 12:00:00 +0000\nMessage-ID: "
		  "<1@mail.example.org>\n"
		  "MIME-Version: 1.0\nIn-Reply-To: <2@example.com>\nReply-To: "
		  "<3@example.org>\n"
		  "References: <2@example.com>\n\t<3@example.com>\nX:\n \n" REST),
		"joe@example.com" },
	{ TEXT(TO "Subject: caf\xc3\xa9\n" REST), "joe@example.com" },
	{ TEXT(TO "X-To: a\nToo: b\nResent: c\nCcc: d\nX-Return-Path: e\n" REST),
		"joe@example.com" },
	/* addresses of every kind that proto/address parses */
	{ TEXT("To: <a.b+c@[192.0.2.1]>\n" REST), "a.b+c@[192.0.2.1]" },
	{ TEXT("To: <\"-o \\\" >\"@example.com>\n" REST), "\"-o \\\" >\"@example.com" },
	{ TEXT("To: <|/bin/sh@example.com>\n" REST), "|/bin/sh@example.com" },
	/* and those that MAIL has forgiven: they are sent as they were written */
	{ TEXT("To: <a..b@mobile.example>\n" REST), "a..b@mobile.example" },
	{ TEXT("To: <.ab.@mobile.example.>\n" REST), ".ab.@mobile.example." },
	/* the two fields as they may be written */
	{ TEXT(TO "auto-submitted:\tAuto-Replied \n" TYPE "\n"), "joe@example.com" },
	{ TEXT(TO "AUTO-SUBMITTED:\n auto-replied\n" TYPE "\n"), "joe@example.com" },
	{ TEXT(TO AUTO "Content-Type: multipart/report;\n\treport-type=delivery-status;\n"
		       "\tboundary=\"" SIXTY "0123456789\"\n\n"),
		"joe@example.com" },
	{ TEXT(TO AUTO "content-type:\n Multipart/Report ; boundary=b;\n"
		       " Report-Type=\"Global-Delivery-Status\"\n\n"),
		"joe@example.com" },
};

static void test_takes_the_address_of_a_report(void)
{
	for (size_t i = 0; i < TEST_COUNT(valid); i++) {
		struct span address = { 0 };
		const char *fault = report_check(valid[i].text, &address);
		if (!CHECK(!fault))
			fprintf(stderr, "\tvalid[%zu]: %s\n", i, fault);
		CHECK_SPAN(address, valid[i].address);
	}
}

struct invalid {
	struct span text;
	const char *fault;
};

#define WITH_TYPE(type)                                                                  \
	{                                                                                \
		TEXT(TO AUTO "Content-Type: " type "\n\n"), TYPE_VALUE                   \
	}

static const struct invalid invalid[] = {
	{ TEXT(""), NO_TO },
	{ TEXT("\n"), NO_TO },
	{ TEXT("To: <joe@example.com>"), NO_TO },
	{ TEXT("\n" TO REST), NO_TO },
	{ TEXT(AUTO TO TYPE "\n"), NO_TO },
	{ TEXT("to: <joe@example.com>\n" REST), NO_TO },
	{ TEXT("To:<joe@example.com>\n" REST), NO_TO },
	{ TEXT("To : <joe@example.com>\n" REST), NO_TO },
	{ TEXT(" To: <joe@example.com>\n" REST), NO_TO },
	{ TEXT("Return-Path: <>\n" TO REST), NO_TO },
	{ TEXT("From x Tue Jul 1 12:00:00 2025\n" TO REST), NO_TO },
	/* values other than a single mailbox with a domain in angle brackets */
	{ TEXT("To: <>\n" REST), NO_MAILBOX },
	{ TEXT("To: joe@example.com\n" REST), NO_MAILBOX },
	{ TEXT("To:  <joe@example.com>\n" REST), NO_MAILBOX },
	{ TEXT("To: <joe>\n" REST), NO_MAILBOX },
	{ TEXT("To: <postmaster>\n" REST), NO_MAILBOX },
	{ TEXT("To: <joe@>\n" REST), NO_MAILBOX },
	{ TEXT("To: <@a:joe@example.com>\n" REST), NO_MAILBOX },
	{ TEXT("To: Joe <joe@example.com>\n" REST), NO_MAILBOX },
	{ TEXT("To: <joe@example.com> \n" REST), NO_MAILBOX },
	{ TEXT("To: <joe@example.com>\r\n" REST), NO_MAILBOX },
	{ TEXT("To: <joe@example.com> (Joe)\n" REST), NO_MAILBOX },
	{ TEXT("To: <joe@example.com>, <mary@example.com>\n" REST), NO_MAILBOX },
	{ TEXT("To: <joe@example.com,mary@example.com>\n" REST), NO_MAILBOX },
	{ TEXT("To: <joe@example.com\n" REST), NO_MAILBOX },
	{ TEXT("To: <joe@example.com\n>\n" REST), NO_MAILBOX },
	{ TEXT("To: <joe\0@example.com>\n" REST), NO_MAILBOX },
	{ TEXT("To: <joe@example.com\0>\n" REST), NO_MAILBOX },
	{ TEXT("To: <joe\033@example.com>\n" REST), NO_MAILBOX },
	{ TEXT("To: <\"joe\177\"@example.com>\n" REST), NO_MAILBOX },
	/* what sendmail could take for an option */
	{ TEXT("To: <-oQ/tmp@example.com>\n" REST), NO_MAILBOX },
	{ TEXT("To: <-t@example.com>\n" REST), NO_MAILBOX },
	{ TEXT("To: <--@example.com>\n" REST), NO_MAILBOX },
	{ TEXT("To: <-..@example.com.>\n" REST), NO_MAILBOX },
	{ TEXT("To: -bs\n" REST), NO_MAILBOX },
	{ TEXT("To: <joe@example.com..>\n" REST), NO_MAILBOX },
	{ TEXT("To: <joe@example.com>.\n" REST), NO_MAILBOX },
	{ TEXT("To: <joe@example.com>\n ,<mary@example.com>\n" REST), "To is folded" },
	{ TEXT("To: <joe@example.com>\n\t\n" REST), "To is folded" },
	/* another recipient */
	{ TEXT(TO TO REST), OTHER_ADDRESS },
	{ TEXT(TO "tO: <mary@example.com>\n" REST), OTHER_ADDRESS },
	{ TEXT(TO AUTO TYPE "CC: <mary@example.com>\n\n"), OTHER_ADDRESS },
	{ TEXT(TO "bcc:\n" REST), OTHER_ADDRESS },
	{ TEXT(TO "Return-Path: <>\n" REST), OTHER_ADDRESS },
	{ TEXT(TO "Resent-To: <mary@example.com>\n" REST), OTHER_ADDRESS },
	{ TEXT(TO "resent-anything: x\n" REST), OTHER_ADDRESS },
	{ TEXT(TO "Apparently-To: x\n" REST), OTHER_ADDRESS },
	{ TEXT(TO "Errors-To: x\n" REST), OTHER_ADDRESS },
	{ TEXT(TO "Return-Receipt-To: x\n" REST), OTHER_ADDRESS },
	{ TEXT(TO "Disposition-Notification-To: x\n" REST), OTHER_ADDRESS },
	/* not a header */
	{ TEXT(TO AUTO TYPE), NO_END },
	{ TEXT(TO AUTO TYPE "X: y"), NO_END },
	{ TEXT(TO AUTO TYPE "X: y\n z"), NO_END },
	{ TEXT(TO AUTO TYPE "no field\n\n"), NO_FIELD },
	{ TEXT(TO AUTO TYPE ": x\n\n"), NO_FIELD },
	{ TEXT(TO "Cc : <mary@example.com>\n" REST), NO_FIELD },
	{ TEXT(TO "X\xc3\xa9: y\n" REST), NO_FIELD },
	{ TEXT(TO "\r\n" REST), NO_FIELD },
	{ TEXT(TO "X: y\r\n" REST), CONTROL },
	{ TEXT(TO "X: y\0\n" REST), CONTROL },
	{ TEXT(TO "X: y\n \rCc: x\n" REST), CONTROL },
	{ TEXT(TO "X: \033[2J\n" REST), CONTROL },
	{ TEXT(TO "X: \177\n" REST), CONTROL },
	/* not by a program */
	{ TEXT(TO TYPE "\n" AUTO), AUTO_COUNT },
	{ TEXT(TO AUTO REST), AUTO_COUNT },
	{ TEXT(TO "Auto-Submitted: auto-generated\n" TYPE "\n"), AUTO_VALUE },
	{ TEXT(TO "Auto-Submitted: no\n" REST), AUTO_VALUE },
	{ TEXT(TO "Auto-Submitted:\n" REST), AUTO_VALUE },
	{ TEXT(TO "Auto-Submitted: auto-replied; x=y\n" TYPE "\n"), AUTO_VALUE },
	/* not a report */
	{ TEXT(TO AUTO "\n" TYPE), TYPE_COUNT },
	{ TEXT(TO TYPE REST), TYPE_COUNT },
	WITH_TYPE(""),
	WITH_TYPE("text/plain"),
	WITH_TYPE("multipart/report"),
	WITH_TYPE("multipart/report;"),
	WITH_TYPE("multipart/report report-type=delivery-status; boundary=b"),
	WITH_TYPE("multipart/reports; report-type=delivery-status; boundary=b"),
	WITH_TYPE("multipart/report; boundary=b"),
	WITH_TYPE("multipart/report; report-type=delivery-status"),
	WITH_TYPE("multipart/report; report-type=disposition-notification; boundary=b"),
	WITH_TYPE("multipart/report; report-type=delivery-status; boundary="),
	WITH_TYPE("multipart/report; report-type=delivery-status; boundary=\"\""),
	WITH_TYPE("multipart/report; report-type=delivery-status; boundary=\"b"),
	WITH_TYPE("multipart/report; report-type=delivery-status; boundary=\"b\\\"c\""),
	WITH_TYPE("multipart/report; report-type=delivery-status; boundary=\"b\n c\""),
	WITH_TYPE("multipart/report; report-type=delivery-status; boundary=\"" SIXTY
		  "01234567890\""),
	WITH_TYPE("multipart/report; report-type=delivery-status; boundary=b;"),
	WITH_TYPE("multipart/report; report-type=delivery-status; boundary=b c"),
	WITH_TYPE("multipart/report; report-type=delivery-status; boundary=b; x=y"),
	WITH_TYPE(
		"multipart/report; report-type=delivery-status; boundary=b; boundary=b"),
	WITH_TYPE("multipart/report; report-type=delivery-status; "
		  "report-type=delivery-status; boundary=b"),
	WITH_TYPE("multipart/report; report-type; boundary=b"),
	WITH_TYPE("multipart/report; ; report-type=delivery-status; boundary=b"),
	WITH_TYPE("multipart/report, report-type=delivery-status; boundary=b"),
	WITH_TYPE("multipart/report (x); report-type=delivery-status; boundary=b"),
};

static void test_says_what_is_no_report(void)
{
	for (size_t i = 0; i < TEST_COUNT(invalid); i++) {
		struct span address = SPAN("untouched");
		const char *fault = report_check(invalid[i].text, &address);
		if (!CHECK(fault && strcmp(fault, invalid[i].fault) == 0))
			fprintf(stderr, "\tinvalid[%zu]: %s, not %s\n", i,
				fault ? fault : "fine", invalid[i].fault);
		CHECK_SPAN(address, "untouched");
	}
}

/* Whatever is cut off: a file is never taken for more than is there. */
static void test_no_beginning_of_a_header_is_one(void)
{
	const struct span whole = SPAN(TO REST);
	struct span address;

	for (size_t n = 0; n < whole.n; n++)
		CHECK(report_check((struct span){ whole.p, n }, &address));
	CHECK(!report_check(whole, &address));
}

/* Each octet of the header, one by one, made NUL: none is overlooked. */
static void test_nul_is_seen_anywhere(void)
{
	const struct span whole = SPAN(TO REST);
	struct span address;
	char copy[sizeof(TO REST)];

	for (size_t i = 0; i < whole.n; i++) {
		memcpy(copy, whole.p, whole.n);
		copy[i] = '\0';
		CHECK(report_check((struct span){ copy, whole.n }, &address));
	}
}

static void test_an_address_is_as_long_as_a_path_may_be(void)
{
	char text[1024], name[256];
	struct span address;

	for (int n = 240; n < 250; n++) {
		const char *fault;
		memset(name, 'a', sizeof(name));
		snprintf(text, sizeof(text), "To: <%.*s@b.example>\n" REST, n, name);
		fault = report_check(span_of(text), &address);
		/* RFC 5321 4.5.3.1.3: 256 with the angle brackets */
		CHECK(!fault == (n + 10 + 2 <= 256));
	}
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_takes_the_address_of_a_report),
		TEST(test_says_what_is_no_report),
		TEST(test_no_beginning_of_a_header_is_one),
		TEST(test_nul_is_seen_anywhere),
		TEST(test_an_address_is_as_long_as_a_path_may_be),
	};

	return test_main(tests, TEST_COUNT(tests));
}
