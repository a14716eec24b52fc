/* SPDX-License-Identifier: ISC */
/*
 * The table of replies, and their formatting. Every line is printable ASCII within its
 * limit. The code in smtp/ decides when a reply is sent.
 */
#include "proto/reply.h"
#include "proto/text.h"

static const struct reply replies[REPLY_COUNT] = {
	[REPLY_READY] = { 220, "", "%" },
	[REPLY_HELLO] = { 250, "", "%" },
	[REPLY_BYE] = { 221, "2.0.0", "Closing connection" },
	[REPLY_OK] = { 250, "2.0.0", "OK" },
	[REPLY_HELP] = { 214, "2.0.0", "%" },
	[REPLY_NOT_VERIFIED] = { 252, "2.5.0", "Not verified; try RCPT" },
	[REPLY_SENDER_OK] = { 250, "2.1.0", "Sender OK" },
	[REPLY_RECIPIENT_OK] = { 250, "2.1.5", "Recipient OK" },
	[REPLY_START_CONTENT] = { 354, "", "End data with <CR><LF>.<CR><LF>" },
	[REPLY_ACCEPTED] = { 250, "2.6.0", "Delivered as %" },
	[REPLY_FILTER_DISCARDED] = { 250, "2.6.0", "Accepted as %" },
	[REPLY_CHUNK_OK] = { 250, "2.0.0", "Chunk received" },
	[REPLY_RESULTS] = { 353, "", "A reply for each recipient follows" },
	[REPLY_GO_AHEAD] = { 220, "2.0.0", "Go ahead" },
	[REPLY_CHALLENGE] = { 334, "", "%" },
	[REPLY_AUTH_DONE] = { 235, "2.7.0", "Authentication successful" },

	[REPLY_UNKNOWN_VERB] = { 500, "5.5.2", "Command unrecognized" },
	[REPLY_NOT_IMPLEMENTED] = { 502, "5.5.1", "Command not implemented" },
	[REPLY_LINE_TOO_LONG] = { 500, "5.5.2", "Line too long" },
	[REPLY_LINE_NUL] = { 500, "5.5.2", "NUL in command" },
	[REPLY_LINE_BARE] = { 500, "5.5.2", "Lines must end with <CR><LF>" },
	[REPLY_ARGUMENT_MISSING] = { 501, "5.5.4", "Argument missing" },
	[REPLY_ARGUMENT_UNWANTED] = { 501, "5.5.4", "No argument allowed" },
	[REPLY_HELLO_ARGUMENT] = { 501, "5.5.4",
		"Control character in the name of the client" },
	[REPLY_FROM_MISSING] = { 501, "5.5.4", "Syntax: MAIL FROM:<address>" },
	[REPLY_SENDER_SYNTAX] = { 501, "5.1.7", "Not an address: MAIL FROM:<address>" },
	[REPLY_TO_MISSING] = { 501, "5.5.4", "Syntax: RCPT TO:<address>" },
	[REPLY_RECIPIENT_SYNTAX] = { 501, "5.1.3", "Not an address: RCPT TO:<address>" },
	[REPLY_PARAMETER_SYNTAX] = { 501, "5.5.4", "Parameter not understood: %" },
	[REPLY_PARAMETER_UNKNOWN] = { 555, "5.5.4", "Parameter unknown: %" },
	[REPLY_PARAMETER_TWICE] = { 501, "5.5.4", "Parameter given twice: %" },
	[REPLY_PARAMETER_UNAVAILABLE] = { 455, "4.3.0",
		"Parameter not available; try later: %" },
	[REPLY_HELLO_FIRST] = { 503, "5.5.1", "% first" },
	[REPLY_MAIL_FIRST] = { 503, "5.5.1", "MAIL first" },
	[REPLY_RECIPIENT_FIRST] = { 503, "5.5.1", "RCPT first" },
	[REPLY_NO_RECIPIENT] = { 554, "5.5.1", "No valid recipients" },
	[REPLY_NO_RECIPIENT_NOW] = { 451, "4.3.0",
		"No recipient could be accepted; try later" },
	[REPLY_MAIL_NESTED] = { 503, "5.5.1", "Sender already given" },
	[REPLY_CHUNKS_BEGUN] = { 503, "5.5.1", "BDAT has begun; only BDAT can go on" },
	[REPLY_CHUNK_SYNTAX] = { 501, "5.5.4",
		"Syntax: BDAT size [LAST]; closing connection" },
	[REPLY_BINARY_DATA] = { 503, "5.5.1", "BODY=BINARYMIME needs BDAT" },
	[REPLY_TLS_ACTIVE] = { 503, "5.5.1", "TLS is active already" },
	[REPLY_TLS_OFF] = { 502, "5.5.1", "STARTTLS not offered" },
	[REPLY_TLS_EARLY] = { 503, "5.5.1", "Input behind STARTTLS before its reply" },
	[REPLY_TLS_FIRST] = { 530, "5.7.0", "Must issue a STARTTLS command first" },
	[REPLY_AUTH_FIRST] = { 530, "5.7.0", "Authentication required" },
	[REPLY_AUTH_CLEAR] = { 538, "5.7.11",
		"Encryption required for requested authentication mechanism" },
	[REPLY_AUTH_TWICE] = { 503, "5.5.1", "Already authenticated" },
	[REPLY_AUTH_NESTED] = { 503, "5.5.1", "No AUTH within a transaction" },
	[REPLY_AUTH_SYNTAX] = { 501, "5.5.4",
		"Syntax: AUTH mechanism [initial-response]" },
	[REPLY_AUTH_MECHANISM] = { 504, "5.5.4", "Mechanism not offered" },
	[REPLY_AUTH_RESPONSE] = { 501, "5.5.2", "Response not understood" },
	[REPLY_AUTH_CANCELLED] = { 501, "5.7.0", "Authentication cancelled" },
	[REPLY_AUTH_TOO_LONG] = { 500, "5.5.6", "Response too long" },
	[REPLY_AUTH_FAILED] = { 535, "5.7.8", "Authentication failed" },

	[REPLY_ADDRESS_UTF8] = { 553, "5.6.7",
		"Address is not ASCII, and MAIL had no SMTPUTF8" },
	[REPLY_SENDER_DOMAIN] = { 553, "5.1.8",
		"Sender's domain is no internationalized domain name" },
	[REPLY_SENDER_FOREIGN] = { 553, "5.7.1",
		"Not an address of the user that has logged in" },
	[REPLY_RECIPIENT_DOMAIN] = { 553, "5.1.2",
		"Recipient's domain is no internationalized domain name" },
	[REPLY_DOMAIN_UNKNOWN] = { 550, "5.7.1",
		"No mail is accepted here for that domain" },
	[REPLY_MAILBOX_UNKNOWN] = { 550, "5.1.1", "No such mailbox here" },
	[REPLY_MAILBOX_NAME] = { 553, "5.1.3", "Not a valid name of a mailbox here" },
	[REPLY_RECIPIENT_MANY] = { 452, "4.5.3", "Too many recipients" },
	[REPLY_SIZE_DECLARED] = { 552, "5.3.4", "Message size exceeds the limit" },
	[REPLY_SIZE_ACTUAL] = { 552, "5.3.4", "Message too big" },
	[REPLY_CONTENT_BARE] = { 550, "5.6.0", "Bare <CR> or <LF> in the message" },
	[REPLY_HOPS] = { 554, "5.4.6", "Too many hops" },
	[REPLY_FILTER_HEADER] = { 552, "5.3.4", "Header too big for the filters here" },
	/* the words of Postfix, which some clients recognise */
	[REPLY_FILTER_REFUSED] = { 550, "5.7.1", "Command rejected" },
	[REPLY_FILTER_LATER] = { 451, "4.7.1", "Service unavailable - try again later" },
	[REPLY_FILTER_FAILED] = { 451, "4.3.0",
		"A filter of this host failed; try later" },
	[REPLY_FILTER_FAILED_FOR_GOOD] = { 550, "5.5.0", "Service unavailable" },
	[REPLY_FILTER_APART] = { 452, "4.5.3",
		"This recipient takes no message together with those before it" },
	[REPLY_FILTER_END] = { 421, "4.7.0", "Service unavailable; closing connection" },

	[REPLY_NAMES_UNAVAILABLE] = { 451, "4.3.0",
		"No internationalized addresses for now; try later" },
	[REPLY_SENDER_UNAVAILABLE] = { 451, "4.3.0",
		"No senders can be checked for now; try later" },
	[REPLY_AUTH_UNAVAILABLE] = { 454, "4.7.0",
		"Authentication not available; try later" },
	[REPLY_RECIPIENTS_FAILED] = { 451, "4.3.5",
		"Recipients cannot be looked up; try later" },
	[REPLY_STORE_FAILED] = { 451, "4.3.0",
		"The message could not be stored; try later" },
	[REPLY_STORE_FULL] = { 452, "4.3.1", "Insufficient storage; try later" },
	[REPLY_NO_MEMORY] = { 451, "4.3.0", "Out of memory; try later" },
	[REPLY_TLS_UNUSABLE] = { 454, "4.7.0", "TLS not available" },
	[REPLY_TLS_UNUSABLE_END] = { 421, "4.3.0",
		"TLS not available; closing connection" },
	[REPLY_TRANSACTIONS] = { 421, "4.7.0",
		"Too many messages in one session; closing connection" },
	[REPLY_REPORTS] = { 421, "4.7.0",
		"Too many delivery reports in one session; closing connection" },
	[REPLY_ERRORS] = { 421, "4.7.0", "Too many errors; closing connection" },
	[REPLY_AUTH_FAILURES] = { 421, "4.7.0",
		"Too many failed attempts to log in; closing connection" },
	[REPLY_CONNECTIONS] = { 421, "4.7.0", "Too many connections; try later" },
	[REPLY_SOURCE_FAILURES] = { 421, "4.7.0",
		"Too many failures from your address; try later" },
	[REPLY_TIMEOUT] = { 421, "4.4.2", "Timeout; closing connection" },
	[REPLY_SESSION_TIMEOUT] = { 421, "4.4.2",
		"Session too long; closing connection" },
	[REPLY_SLOW] = { 421, "4.4.2",
		"The message arrives too slowly; closing connection" },
	[REPLY_SHUTDOWN] = { 421, "4.3.2", "Shutting down; closing connection" },
	[REPLY_MISCONFIGURED] = { 421, "4.3.5", "Misconfigured; try later" },
	[REPLY_FOREIGN_HTTP] = { 554, "5.5.1", "This is SMTP, not HTTP" },
	[REPLY_FOREIGN_TLS] = { 554, "5.5.1",
		"SMTP commands are expected here, not TLS" },
	[REPLY_DENIED] = { 554, "5.7.1", "%" },
	/* temporary: a misconfigured proxy must not make mail bounce */
	[REPLY_BAD_PROXY] = { 421, "4.3.5", "PROXY header %; closing connection" },
};

const struct reply *reply_get(enum reply_name name)
{
	return &replies[name];
}

/* True for a row of the table; false for a reply with the text of a filter. */
static bool is_row(const struct reply *r)
{
	uintptr_t at = (uintptr_t)r;

	return at >= (uintptr_t)replies && at < (uintptr_t)(replies + REPLY_COUNT);
}

bool reply_is_fault(const struct reply *r)
{
	static const enum reply_name no_faults[] = { REPLY_RECIPIENT_MANY,
		REPLY_FILTER_APART, REPLY_FILTER_LATER, REPLY_FILTER_END, REPLY_SHUTDOWN,
		REPLY_SESSION_TIMEOUT };

	if (r->code < 400 || r->code >= 500 || !is_row(r))
		return false;
	for (size_t i = 0; i < sizeof(no_faults) / sizeof(*no_faults); i++)
		if (r == reply_get(no_faults[i]))
			return false;
	return true;
}

static void put_filled(struct buf *to, const char *text, struct span argument)
{
	const char *mark = strchr(text, '%');

	if (!mark) {
		buf_put_str(to, text);
		return;
	}
	buf_put(to, (struct span){ text, (size_t)(mark - text) });
	text_escape(to, argument, REPLY_ARGUMENT_MAX);
	buf_put_str(to, mark + 1);
}

/* `text`: the argument of a row, or a line of a filter's own reply. */
static void put_line(struct buf *to, const struct reply *r, struct span text, bool last)
{
	buf_put_num(to, r->code);
	buf_put_char(to, last ? ' ' : '-');
	if (r->enhanced[0]) {
		buf_put_str(to, r->enhanced);
		buf_put_char(to, ' ');
	}
	if (is_row(r))
		put_filled(to, r->text, text);
	else
		buf_put(to, text);
}

bool reply_has_lines(const struct reply *r)
{
	return !is_row(r) && strchr(r->text, '\n');
}

void reply_put(struct buf *to, const struct reply *r, struct span argument)
{
	const char *lf;

	if (!is_row(r))
		argument = span_of(r->text);
	while (argument.n && (lf = memchr(argument.p, '\n', argument.n))) {
		size_t n = (size_t)(lf - argument.p);
		put_line(to, r, (struct span){ argument.p, n }, false);
		buf_put(to, SPAN("\r\n"));
		argument = span_from(argument, n + 1);
	}
	put_line(to, r, argument, true);
	buf_put(to, SPAN("\r\n"));
}

void reply_put_text(struct buf *to, const struct reply *r, struct span argument)
{
	struct span text = is_row(r) ? argument : span_of(r->text);
	bool is_cut = reply_has_lines(r) && text.n > REPLY_ARGUMENT_MAX;

	if (!reply_has_lines(r)) {
		put_line(to, r, text, true);
		return;
	}
	if (is_cut)
		text.n = REPLY_ARGUMENT_MAX;
	put_line(to, r, span_take(&text, '\n'), true);
	while (text.n) {
		buf_put_char(to, ' ');
		buf_put(to, span_take(&text, '\n'));
	}
	if (is_cut)
		buf_put(to, SPAN("..."));
}
