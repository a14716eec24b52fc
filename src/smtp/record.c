/*
 * The records of a session. Every value comes from the state of the session, never from reply text,
 * and is made harmless here: printable ASCII, escaped.
 */
#include "smtp/record.h"
#include "proto/text.h"
#include "proto/tls-names.h"
#include "smtp/ending.h"
#include "smtp/explain.h"
#include "smtp/session.h"

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

static void put_path(struct span mailbox, struct buf *b)
{
	buf_put_char(b, '<');
	text_escape_path(b, mailbox, RECORD_VALUE_MAX);
	buf_put_char(b, '>');
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

static void put_service(const struct session *s, struct buf *b)
{
	put_word(b, s->service ? s->service : "");
}

static void put_own_port(const struct session *s, struct buf *b)
{
	put_count(b, s->own_port);
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
	const struct tls_opening *hello =
		s->failure && !s->secured ? &s->failure->opening : NULL;

	if (!hello)
		put_word(b, s->tls.sni);
	else if (hello->name[0])
		put_word(b, hello->name);
	else /* escaped when it was kept */
		buf_put_str(b, hello->odd_name);
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

static void put_delivery_fault(const struct session *s, struct buf *b)
{
	const char *fault = stages_fault(&s->stages);

	if (!fault)
		fault = s->tx.fault;
	if (fault)
		text_escape(b, span_of(fault), RECORD_FAULT_MAX);
}

static void put_from(const struct session *s, struct buf *b)
{
	if (s->tx.sender)
		put_path(span_of(s->tx.sender), b);
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
	if (s->tx.report_fault)
		text_escape(b, span_of(s->tx.report_fault), RECORD_FAULT_MAX);
}

static void put_outcome(const struct session *s, struct buf *b)
{
	if (record_is_refused(s))
		buf_put(b, SPAN("refused"));
	else if (!s->outcome)
		buf_put(b, record_is_check(s) ? SPAN("checked") : SPAN("given-up"));
	else
		buf_put(b, SPAN("delivered"));
}

static void put_tx_reason(const struct session *s, struct buf *b)
{
	const struct reply *r = record_refusal(s);

	/* escaped when it was sent */
	if (r && r == s->tx.rcpt_refusal)
		buf_put_str(b, s->tx.rcpt_reason);
	else
		put_row(b, r);
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

static void put_untold(const struct session *s, struct buf *b)
{
	put_count(b, s->n_untold);
}

static void put_reason(const struct session *s, struct buf *b)
{
	/* escaped when it was said */
	buf_put_str(b, s->n_untold ? s->untold : s->reason);
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

/* Of an attempt to log in that the end of the session broke off. */
static void put_auth_end(const struct session *s, struct buf *b)
{
	if (!s->outcome)
		put_end(s, b);
}

static void put_status(const struct session *s, struct buf *b)
{
	const char *status = session_status(s);

	put_word(b, status ? status : "");
}

static void put_tx_status(const struct session *s, struct buf *b)
{
	const char *status = topic_get(topic_of(s, RECORD_MESSAGE))->status;

	put_word(b, status ? status : "");
}

static void put_user(const struct session *s, struct buf *b)
{
	put_word(b, s->user);
}

static void put_mechanism(const struct session *s, struct buf *b)
{
	if (s->user[0])
		put_word(b, s->mechanism);
}

static void put_auth_failures(const struct session *s, struct buf *b)
{
	if (s->n_auth_failures)
		buf_put_num(b, s->n_auth_failures);
}

static void put_auth_outcome(const struct session *s, struct buf *b)
{
	if (s->outcome == reply_get(REPLY_AUTH_FAILED))
		buf_put(b, SPAN("failed"));
	else if (s->outcome == reply_get(REPLY_AUTH_UNAVAILABLE))
		buf_put(b, SPAN("unavailable"));
	else if (!s->outcome || s->outcome == reply_get(REPLY_AUTH_CANCELLED))
		buf_put(b, SPAN("given-up"));
	else
		buf_put(b, SPAN("refused"));
}

static void put_auth_user(const struct session *s, struct buf *b)
{
	put_word(b, s->settings->authenticator->user(s->settings->authenticator));
}

static void put_auth_mechanism(const struct session *s, struct buf *b)
{
	put_word(b, s->mechanism);
}

/* Others got the message, this one did not. */
static bool is_left_out(const struct session *s, const struct recipient *r)
{
	return r->reply && s->outcome && reply_is_positive(s->outcome);
}

static void put_to(const struct session *s, struct buf *b)
{
	size_t start = b->n, end = b->n + RECORD_LIST_MAX;

	for (size_t i = 0; i < s->tx.n_recipients; i++) {
		if (is_left_out(s, &s->tx.recipients[i]))
			continue;
		if (b->n + RECORD_VALUE_MAX > end) {
			buf_put(b, SPAN(",..."));
			return;
		}
		if (b->n > start)
			buf_put_char(b, ',');
		put_path(s->tx.recipients[i].mailbox, b);
	}
}

/* The one that follows `n` others. */
static void put_next(struct buf *b, size_t n, struct span mailbox)
{
	if (n)
		buf_put_char(b, ',');
	put_path(mailbox, b);
}

static void put_refused_to(const struct session *s, struct buf *b)
{
	const struct tx *tx = &s->tx;
	size_t n = 0;

	for (; n < tx->n_refused_kept; n++)
		put_next(b, n, span_of(tx->refused[n]));
	for (size_t i = 0; i < tx->n_recipients && n < TX_REFUSED_MAX; i++)
		if (is_left_out(s, &tx->recipients[i]))
			put_next(b, n++, tx->recipients[i].mailbox);
	if (n == TX_REFUSED_MAX && tx->n_refused > n)
		buf_put(b, SPAN(",..."));
}

static void put_recipients(const struct session *s, struct buf *b)
{
	size_t n = 0;

	for (size_t i = 0; i < s->tx.n_recipients; i++)
		n += !is_left_out(s, &s->tx.recipients[i]);
	if (n)
		buf_put_num(b, n);
}

static void put_tls_error(const struct session *s, struct buf *b)
{
	if (s->failure)
		text_escape(b, span_of(s->failure->error), RECORD_VALUE_MAX);
}

static void put_tls_alert(const struct session *s, struct buf *b)
{
	if (!s->failure || s->failure->alert == TLS_NO_ALERT)
		return;
	buf_put(b, s->failure->alert_sent ? SPAN("sent ") : SPAN("received "));
	tls_put_alert(b, (uint8_t)s->failure->alert);
}

static void put_tls_offered(const struct session *s, struct buf *b)
{
	if (s->failure)
		tls_terms_put(b, &s->failure->opening.offered);
}

static void put_tls_allowed(const struct session *s, struct buf *b)
{
	struct tls_terms allowed;

	if (!s->failure || s->failure->opening.offered.versions.n == 0)
		return;
	allowed = s->failure->allowed;
	tls_terms_keep(&allowed, s->failure->certificate.keys);
	tls_terms_put(b, &allowed);
}

/* Who tells a value of which event. NULL: it is not told; nor is one that stays empty. */
struct teller {
	void (*message)(const struct session *s, struct buf *b);
	void (*session)(const struct session *s, struct buf *b);
	void (*auth)(const struct session *s, struct buf *b);
};

static const struct teller tellers[RECORD_KEYS] = {
	[RECORD_ID] = { put_id, NULL, NULL },
	[RECORD_OUTCOME] = { put_outcome, NULL, put_auth_outcome },
	[RECORD_END] = { NULL, put_end, put_auth_end },
	[RECORD_STATUS] = { put_tx_status, put_status, NULL },
	[RECORD_EXPLANATION] = { NULL, put_explanation, NULL },
	[RECORD_PEER] = { put_peer, put_peer, put_peer },
	[RECORD_PORT] = { NULL, put_port, put_port },
	[RECORD_PROXY] = { NULL, put_proxy, put_proxy },
	[RECORD_SERVICE] = { put_service, put_service, put_service },
	[RECORD_LOCAL_PORT] = { NULL, put_own_port, put_own_port },
	[RECORD_HELO] = { put_helo, put_helo, put_helo },
	[RECORD_TLS] = { put_tls, put_tls, put_tls },
	[RECORD_CIPHER] = { put_cipher, put_cipher, put_cipher },
	[RECORD_GROUP] = { NULL, put_group, NULL },
	[RECORD_SNI] = { NULL, put_sni, NULL },
	[RECORD_ALPN] = { NULL, put_alpn, NULL },
	[RECORD_RESUMED] = { NULL, put_resumed, NULL },
	[RECORD_TLS_CLIENT] = { NULL, put_tls_client, NULL },
	[RECORD_TLS_ERROR] = { NULL, put_tls_error, NULL },
	[RECORD_TLS_ALERT] = { NULL, put_tls_alert, NULL },
	[RECORD_TLS_OFFERED] = { NULL, put_tls_offered, NULL },
	[RECORD_TLS_ALLOWED] = { NULL, put_tls_allowed, NULL },
	[RECORD_TLS_FAULT] = { NULL, put_tls_fault, NULL },
	[RECORD_DELIVERY_FAULT] = { put_delivery_fault, NULL, NULL },
	[RECORD_MECHANISM] = { NULL, put_mechanism, put_auth_mechanism },
	[RECORD_USER] = { put_user, put_user, put_auth_user },
	[RECORD_AUTH_FAILURES] = { NULL, put_auth_failures, put_auth_failures },
	[RECORD_FROM] = { put_from, NULL, NULL },
	[RECORD_TO] = { put_to, NULL, NULL },
	[RECORD_RECIPIENTS] = { put_recipients, NULL, NULL },
	[RECORD_TRANSACTIONS] = { NULL, put_transactions, NULL },
	[RECORD_MESSAGES] = { NULL, put_messages, NULL },
	[RECORD_REFUSED] = { put_tx_refused, put_refused, NULL },
	[RECORD_REFUSED_COMMANDS] = { NULL, put_untold, NULL },
	[RECORD_REFUSED_TO] = { put_refused_to, NULL, NULL },
	[RECORD_SIZE] = { put_size, NULL, NULL },
	[RECORD_BODY] = { put_body, NULL, NULL },
	[RECORD_REQUIRETLS] = { put_requiretls, NULL, NULL },
	[RECORD_SMTPUTF8] = { put_smtputf8, NULL, NULL },
	[RECORD_MESSAGE_ID] = { put_message_id, NULL, NULL },
	[RECORD_FILE] = { put_file, NULL, NULL },
	[RECORD_REPORT] = { put_report, NULL, NULL },
	[RECORD_REPORT_FAULT] = { put_report_fault, NULL, NULL },
	[RECORD_REASON] = { put_tx_reason, put_reason, put_tx_reason },
	[RECORD_EARLY] = { NULL, put_early, NULL },
	[RECORD_LENIENT] = { put_tx_lenient, put_lenient, NULL },
	[RECORD_SANDBOX] = { NULL, put_sandbox, NULL },
	[RECORD_DURATION] = { put_tx_duration, put_duration, NULL },
};

void record_write(struct session *s, enum record_event event)
{
	struct record record = {
		.event = event,
		.topic = topic_of(s, event),
		.when = s->now,
	};
	struct buf b = BUF(s->scratch);

	for (enum record_key key = 0; key < RECORD_KEYS; key++) {
		const struct teller *t = &tellers[key];
		size_t start = b.n;
		if (event == RECORD_MESSAGE && t->message)
			t->message(s, &b);
		if (event == RECORD_SESSION && t->session)
			t->session(s, &b);
		if (event == RECORD_AUTH && t->auth)
			t->auth(s, &b);
		if (b.n == start || b.overflow)
			continue;
		record.values[record.n++] = (struct record_value){
			key,
			{ b.p + start, b.n - start },
		};
	}
	s->recorder->write(s->recorder, &record);
}
