/* Promises that every value is told from state and made harmless; refuses to know where
 * records go. */
#include "smtp/record.h"
#include "proto/text.h"
#include "smtp/explain.h"
#include "smtp/failure.h"
#include "smtp/record-recipients.h"
#include "smtp/session.h"

#define ON_BOTH (RECORD_MESSAGE | RECORD_SESSION)

static void put_word(struct buf *b, const char *word)
{
	text_escape(b, span_of(word), RECORD_VALUE_MAX);
}

static void put_flag(struct buf *b, bool flag)
{
	if (flag)
		buf_put(b, SPAN("yes"));
}

static void put_count(struct buf *b, uint64_t count)
{
	if (count)
		buf_put_num(b, count);
}

static void put_row(struct buf *b, const struct reply *r)
{
	if (r)
		reply_put_text(b, r, SPAN(""));
}

static void put_id(const struct session *s, struct buf *b)
{
	put_word(b, s->tx.id);
}

static void put_peer(const struct session *s, struct buf *b)
{
	put_word(b, s->peer.address[0] ? s->peer.address : "unknown");
}

static void put_port(const struct session *s, struct buf *b)
{
	put_count(b, s->peer.port);
}

static void put_proxy(const struct session *s, struct buf *b)
{
	put_word(b, s->peer.proxy);
}

static void put_early(const struct session *s, struct buf *b)
{
	put_flag(b, s->peer.early);
}

static void put_helo(const struct session *s, struct buf *b)
{
	put_word(b, s->helo);
}

static void put_tls(const struct session *s, struct buf *b)
{
	put_word(b, s->tls.version);
}

static void put_cipher(const struct session *s, struct buf *b)
{
	put_word(b, s->tls.cipher);
}

static void put_group(const struct session *s, struct buf *b)
{
	put_word(b, s->tls.group);
}

static void put_sni(const struct session *s, struct buf *b)
{
	put_word(b, s->failure && !s->secured ? s->failure->opening.name : s->tls.sni);
}

static void put_alpn(const struct session *s, struct buf *b)
{
	put_word(b, s->tls.alpn);
}

static void put_resumed(const struct session *s, struct buf *b)
{
	put_flag(b, s->tls.resumed);
}

static void put_tls_client(const struct session *s, struct buf *b)
{
	put_word(b, s->tls.client);
}

static void put_tls_fault(const struct session *s, struct buf *b)
{
	/* escaped when it was kept */
	buf_put_str(b, s->tls_fault);
}

static void put_from(const struct session *s, struct buf *b)
{
	buf_put_char(b, '<');
	put_word(b, s->tx.sender);
	buf_put_char(b, '>');
}

static void put_tx_refused(const struct session *s, struct buf *b)
{
	put_count(b, s->tx.n_refused);
}

static void put_size(const struct session *s, struct buf *b)
{
	put_count(b, s->tx.octets);
}

static void put_body(const struct session *s, struct buf *b)
{
	static const char *const words[] = {
		[BODY_UNSPECIFIED] = "",
		[BODY_7BIT] = "7bit",
		[BODY_8BITMIME] = "8bitmime",
		[BODY_BINARYMIME] = "binarymime",
	};

	put_word(b, words[s->tx.params.body]);
}

static void put_requiretls(const struct session *s, struct buf *b)
{
	put_flag(b, s->tx.params.requiretls);
}

static void put_smtputf8(const struct session *s, struct buf *b)
{
	put_flag(b, s->tx.params.smtputf8);
}

static void put_message_id(const struct session *s, struct buf *b)
{
	const struct header *h = &s->tx.header;

	text_escape(b, (struct span){ h->message_id, h->n_message_id }, RECORD_VALUE_MAX);
}

static void put_file(const struct session *s, struct buf *b)
{
	put_word(b, s->tx.file);
}

static void put_report(const struct session *s, struct buf *b)
{
	put_word(b, s->tx.report ? s->tx.report : "");
}

static void put_report_fault(const struct session *s, struct buf *b)
{
	put_word(b, s->tx.report_fault ? s->tx.report_fault : "");
}

static void put_outcome(const struct session *s, struct buf *b)
{
	if (!s->outcome)
		buf_put(b, SPAN("given-up"));
	else
		buf_put(b, reply_is_positive(s->outcome) ? SPAN("delivered")
							 : SPAN("refused"));
}

/* Of the message, or the last within it; NULL: none. */
static const struct reply *refusal(const struct session *s)
{
	return s->outcome && !reply_is_positive(s->outcome) ? s->outcome : s->tx.refusal;
}

static void put_tx_reason(const struct session *s, struct buf *b)
{
	put_row(b, refusal(s));
}

static void put_tx_lenient(const struct session *s, struct buf *b)
{
	put_flag(b, s->tx.lenient || s->tx.bare);
}

static void put_tx_duration(const struct session *s, struct buf *b)
{
	buf_put_num(b, s->now.milliseconds - s->tx.since.milliseconds);
}

static void put_messages(const struct session *s, struct buf *b)
{
	buf_put_num(b, s->n_messages);
}

static void put_transactions(const struct session *s, struct buf *b)
{
	put_count(b, s->n_transactions);
}

static void put_refused(const struct session *s, struct buf *b)
{
	put_count(b, s->n_refused);
}

static void put_reason(const struct session *s, struct buf *b)
{
	/* escaped when it was said */
	buf_put_str(b, s->reason);
}

static void put_sandbox(const struct session *s, struct buf *b)
{
	put_word(b, s->confinement ? s->confinement : "");
}

static void put_lenient(const struct session *s, struct buf *b)
{
	put_flag(b, s->lenient);
}

static void put_duration(const struct session *s, struct buf *b)
{
	buf_put_num(b, s->now.milliseconds - s->since.milliseconds);
}

static void put_explanation(const struct session *s, struct buf *b)
{
	explain(s, b);
}

static void put_end(const struct session *s, struct buf *b)
{
	put_word(b, session_end_word(s->end));
}

static void put_status(const struct session *s, struct buf *b)
{
	put_word(b, session_status(s) ? session_status(s) : "");
}

/* A value that stays empty is not told. */
struct record_field {
	const char *name;
	unsigned on;
	void (*put)(const struct session *s, struct buf *b);
};

static const struct record_field fields[] = {
	{ "id", RECORD_MESSAGE, put_id },
	{ "outcome", RECORD_MESSAGE, put_outcome },
	{ "end", RECORD_SESSION, put_end },
	{ "status", RECORD_SESSION, put_status },
	{ "explanation", RECORD_SESSION, put_explanation },
	{ "peer", ON_BOTH, put_peer },
	{ "port", RECORD_SESSION, put_port },
	{ "proxy", RECORD_SESSION, put_proxy },
	{ "helo", ON_BOTH, put_helo },
	{ "tls", ON_BOTH, put_tls },
	{ "cipher", ON_BOTH, put_cipher },
	{ "group", RECORD_SESSION, put_group },
	{ "sni", RECORD_SESSION, put_sni },
	{ "alpn", RECORD_SESSION, put_alpn },
	{ "resumed", RECORD_SESSION, put_resumed },
	{ "tls_client", RECORD_SESSION, put_tls_client },
	{ "tls_error", RECORD_SESSION, failure_put_error },
	{ "tls_alert", RECORD_SESSION, failure_put_alert },
	{ "tls_offered", RECORD_SESSION, failure_put_offered },
	{ "tls_allowed", RECORD_SESSION, failure_put_allowed },
	{ "tls_fault", RECORD_SESSION, put_tls_fault },
	{ "from", RECORD_MESSAGE, put_from },
	{ "to", RECORD_MESSAGE, record_put_to },
	{ "recipients", RECORD_MESSAGE, record_put_recipients },
	{ "refused", RECORD_MESSAGE, put_tx_refused },
	{ "size", RECORD_MESSAGE, put_size },
	{ "body", RECORD_MESSAGE, put_body },
	{ "requiretls", RECORD_MESSAGE, put_requiretls },
	{ "smtputf8", RECORD_MESSAGE, put_smtputf8 },
	{ "message_id", RECORD_MESSAGE, put_message_id },
	{ "file", RECORD_MESSAGE, put_file },
	{ "report", RECORD_MESSAGE, put_report },
	{ "report_fault", RECORD_MESSAGE, put_report_fault },
	{ "reason", RECORD_MESSAGE, put_tx_reason },
	{ "lenient", RECORD_MESSAGE, put_tx_lenient },
	{ "duration_ms", RECORD_MESSAGE, put_tx_duration },
	{ "transactions", RECORD_SESSION, put_transactions },
	{ "messages", RECORD_SESSION, put_messages },
	{ "refused", RECORD_SESSION, put_refused },
	{ "reason", RECORD_SESSION, put_reason },
	{ "early", RECORD_SESSION, put_early },
	{ "lenient", RECORD_SESSION, put_lenient },
	{ "sandbox", RECORD_SESSION, put_sandbox },
	{ "duration_ms", RECORD_SESSION, put_duration },
};

static bool is_problem(const struct session *s, enum record_event event)
{
	if (event == RECORD_SESSION)
		return session_status(s) || s->tls_fault[0] || s->end == END_BAD_PROXY;
	if (s->tx.report_fault)
		return true;
	return s->outcome && refusal(s) && refusal(s)->code >= 400 &&
	       refusal(s)->code < 500;
}

void record_write(struct session *s, enum record_event event)
{
	struct record record = { .event = event, .problem = is_problem(s, event) };
	struct buf b = BUF(s->scratch);

	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
		size_t start = b.n;
		if (!(fields[i].on & event))
			continue;
		fields[i].put(s, &b);
		if (b.n == start || b.overflow)
			continue;
		record.values[record.n++] = (struct record_value){
			fields[i].name,
			{ b.p + start, b.n - start },
		};
	}
	s->recorder->write(s->recorder, &record);
}
