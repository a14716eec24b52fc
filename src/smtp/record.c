/*
 * The records of a session. Values come from the state of the session, never from reply
 * text, and are escaped here to printable ASCII.
 */
#include "smtp/record.h"
#include "proto/text.h"
#include "proto/tls-names.h"
#include "smtp/ending.h"
#include "smtp/explain.h"
#include "smtp/state.h"

/* The subject of a record: the session, its open transaction, or a login. */
struct ended {
	const struct session *s;
	/* of the transaction or login; NULL: given up */
	const struct reply *outcome;
	const struct tls_failure *failure; /* of the session; or NULL */
};

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

static void put_id(const struct ended *e, struct buf *b)
{
	put_word(b, e->s->tx.id);
}

static void put_peer(const struct ended *e, struct buf *b)
{
	put_word(b, e->s->peer.address[0] ? e->s->peer.address : "unknown");
}

static void put_port(const struct ended *e, struct buf *b)
{
	put_count(b, e->s->peer.port);
}

static void put_proxy(const struct ended *e, struct buf *b)
{
	put_word(b, e->s->peer.proxy);
}

static void put_service(const struct ended *e, struct buf *b)
{
	put_word(b, e->s->service ? e->s->service : "");
}

static void put_own_port(const struct ended *e, struct buf *b)
{
	put_count(b, e->s->own_port);
}

static void put_early(const struct ended *e, struct buf *b)
{
	put_flag(b, e->s->peer.early);
}

static void put_helo(const struct ended *e, struct buf *b)
{
	put_word(b, e->s->helo);
}

static void put_tls(const struct ended *e, struct buf *b)
{
	put_word(b, e->s->tls.version);
}

static void put_cipher(const struct ended *e, struct buf *b)
{
	put_word(b, e->s->tls.cipher);
}

static void put_group(const struct ended *e, struct buf *b)
{
	put_word(b, e->s->tls.group);
}

static void put_sni(const struct ended *e, struct buf *b)
{
	const struct tls_opening *hello =
		e->failure && !e->s->secured ? &e->failure->opening : NULL;

	if (!hello)
		put_word(b, e->s->tls.sni);
	else if (hello->name[0])
		put_word(b, hello->name);
	else /* escaped when it was kept */
		buf_put_str(b, hello->odd_name);
}

static void put_alpn(const struct ended *e, struct buf *b)
{
	put_word(b, e->s->tls.alpn);
}

static void put_resumed(const struct ended *e, struct buf *b)
{
	put_flag(b, e->s->tls.resumed);
}

static void put_tls_client(const struct ended *e, struct buf *b)
{
	put_word(b, e->s->tls.client);
}

static void put_tls_fault(const struct ended *e, struct buf *b)
{
	/* escaped when it was kept */
	buf_put_str(b, e->s->tls_fault);
}

static void put_delivery_fault(const struct ended *e, struct buf *b)
{
	const char *fault = stages_fault(&e->s->stages);

	if (!fault)
		fault = e->s->tx.fault;
	if (fault)
		text_escape(b, span_of(fault), RECORD_FAULT_MAX);
}

static void put_from(const struct ended *e, struct buf *b)
{
	if (e->s->tx.sender)
		put_path(span_of(e->s->tx.sender), b);
}

static void put_tx_refused(const struct ended *e, struct buf *b)
{
	put_count(b, e->s->tx.n_refused);
}

static void put_size(const struct ended *e, struct buf *b)
{
	put_count(b, e->s->tx.octets);
}

static void put_body(const struct ended *e, struct buf *b)
{
	static const char *const words[] = {
		[BODY_UNSPECIFIED] = "",
		[BODY_7BIT] = "7bit",
		[BODY_8BITMIME] = "8bitmime",
		[BODY_BINARYMIME] = "binarymime",
	};

	put_word(b, words[e->s->tx.params.body]);
}

static void put_requiretls(const struct ended *e, struct buf *b)
{
	put_flag(b, e->s->tx.params.requiretls);
}

static void put_smtputf8(const struct ended *e, struct buf *b)
{
	put_flag(b, e->s->tx.params.smtputf8);
}

static void put_message_id(const struct ended *e, struct buf *b)
{
	const struct header *h = &e->s->tx.header;

	text_escape(b, (struct span){ h->message_id, h->n_message_id }, RECORD_VALUE_MAX);
}

static void put_file(const struct ended *e, struct buf *b)
{
	put_word(b, e->s->tx.file);
}

static void put_report(const struct ended *e, struct buf *b)
{
	put_word(b, e->s->tx.report ? e->s->tx.report : "");
}

static void put_report_fault(const struct ended *e, struct buf *b)
{
	if (e->s->tx.report_fault)
		text_escape(b, span_of(e->s->tx.report_fault), RECORD_FAULT_MAX);
}

static void put_outcome(const struct ended *e, struct buf *b)
{
	if (ending_is_refused(e->s, e->outcome))
		buf_put(b, SPAN("refused"));
	else if (!e->outcome)
		buf_put(b, ending_is_check(e->s, e->outcome) ? SPAN("checked")
							     : SPAN("given-up"));
	else
		buf_put(b, SPAN("delivered"));
}

static void put_tx_reason(const struct ended *e, struct buf *b)
{
	const struct reply *r = ending_refusal(e->s, e->outcome);

	/* escaped when it was sent */
	if (r && r == e->s->tx.rcpt_refusal)
		buf_put_str(b, e->s->tx.rcpt_reason);
	else
		put_row(b, r);
}

static void put_tx_lenient(const struct ended *e, struct buf *b)
{
	put_flag(b, e->s->tx.lenient || e->s->tx.bare);
}

static void put_tx_duration(const struct ended *e, struct buf *b)
{
	buf_put_num(b, e->s->now.milliseconds - e->s->tx.since.milliseconds);
}

static void put_messages(const struct ended *e, struct buf *b)
{
	buf_put_num(b, e->s->n_messages);
}

static void put_transactions(const struct ended *e, struct buf *b)
{
	put_count(b, e->s->n_transactions);
}

static void put_refused(const struct ended *e, struct buf *b)
{
	put_count(b, e->s->n_refused);
}

static void put_refused_commands(const struct ended *e, struct buf *b)
{
	put_count(b, e->s->n_untold);
}

static void put_reason(const struct ended *e, struct buf *b)
{
	/* escaped when it was sent */
	buf_put_str(b, e->s->n_untold ? e->s->untold : e->s->reason);
}

static void put_sandbox(const struct ended *e, struct buf *b)
{
	put_word(b, e->s->confinement ? e->s->confinement : "");
}

static void put_lenient(const struct ended *e, struct buf *b)
{
	put_flag(b, e->s->lenient);
}

static void put_duration(const struct ended *e, struct buf *b)
{
	buf_put_num(b, e->s->now.milliseconds - e->s->since.milliseconds);
}

static void put_explanation(const struct ended *e, struct buf *b)
{
	explain(e->s, e->failure, b);
}

static void put_end(const struct ended *e, struct buf *b)
{
	put_word(b, session_end_word(e->s->end));
}

/* The ending of a login that the end of the session broke off. */
static void put_auth_end(const struct ended *e, struct buf *b)
{
	if (!e->outcome)
		put_end(e, b);
}

static void put_status(const struct ended *e, struct buf *b)
{
	const char *status = session_status(e->s);

	put_word(b, status ? status : "");
}

static void put_tx_status(const struct ended *e, struct buf *b)
{
	const char *status = topic_get(topic_of_message(e->s, e->outcome))->status;

	put_word(b, status ? status : "");
}

static void put_user(const struct ended *e, struct buf *b)
{
	put_word(b, e->s->user);
}

static void put_mechanism(const struct ended *e, struct buf *b)
{
	if (e->s->user[0])
		put_word(b, e->s->mechanism);
}

static void put_auth_failures(const struct ended *e, struct buf *b)
{
	if (e->s->n_auth_failures)
		buf_put_num(b, e->s->n_auth_failures);
}

static void put_auth_outcome(const struct ended *e, struct buf *b)
{
	if (e->outcome == reply_get(REPLY_AUTH_FAILED))
		buf_put(b, SPAN("failed"));
	else if (e->outcome == reply_get(REPLY_AUTH_UNAVAILABLE))
		buf_put(b, SPAN("unavailable"));
	else if (!e->outcome || e->outcome == reply_get(REPLY_AUTH_CANCELLED))
		buf_put(b, SPAN("given-up"));
	else
		buf_put(b, SPAN("refused"));
}

static void put_auth_user(const struct ended *e, struct buf *b)
{
	put_word(b, e->s->settings->authenticator->user(e->s->settings->authenticator));
}

static void put_auth_mechanism(const struct ended *e, struct buf *b)
{
	put_word(b, e->s->mechanism);
}

/*
 * True when the recipient, accepted before, got a refusal of its own after the content:
 * the message was delivered to others, or each has its own reply.
 */
static bool is_left_out(const struct ended *e, const struct recipient *r)
{
	return r->reply && e->outcome &&
	       (reply_is_positive(e->outcome) ||
		       (e->s->tx.each && r->reply != e->outcome));
}

static void put_to(const struct ended *e, struct buf *b)
{
	size_t start = b->n, end = b->n + RECORD_LIST_MAX;

	for (size_t i = 0; i < e->s->tx.n_recipients; i++) {
		if (is_left_out(e, &e->s->tx.recipients[i]))
			continue;
		if (b->n + RECORD_VALUE_MAX > end) {
			buf_put(b, SPAN(",..."));
			return;
		}
		if (b->n > start)
			buf_put_char(b, ',');
		put_path(e->s->tx.recipients[i].mailbox, b);
	}
}

/* Appends a path after `n` earlier ones. */
static void put_next(struct buf *b, size_t n, struct span mailbox)
{
	if (n)
		buf_put_char(b, ',');
	put_path(mailbox, b);
}

static void put_refused_to(const struct ended *e, struct buf *b)
{
	const struct tx *tx = &e->s->tx;
	size_t n = 0;

	for (; n < tx->n_refused_kept; n++)
		put_next(b, n, span_of(tx->refused[n]->mailbox));
	for (size_t i = 0; i < tx->n_recipients && n < TX_REFUSED_MAX; i++)
		if (is_left_out(e, &tx->recipients[i]))
			put_next(b, n++, tx->recipients[i].mailbox);
	if (n == TX_REFUSED_MAX && tx->n_refused > n)
		buf_put(b, SPAN(",..."));
}

/* Appends a reply to the list that begins at `start`; a long one is cut. */
static void put_refusal(struct buf *b, size_t start, const char *said)
{
	size_t most;

	if (b->n > start)
		buf_put_char(b, '|');
	most = b->n + TX_REFUSAL_MAX;
	while (*said) {
		/* an escape is whole, or left out */
		struct span piece = { said, *said == '\\' ? 4 : 1 };
		said += piece.n;
		if (*piece.p == '|')
			piece = SPAN("\\x7C");
		if (b->n + piece.n > most) {
			buf_put(b, SPAN("..."));
			return;
		}
		buf_put(b, piece);
	}
}

/* The replies to those of put_refused_to(), unless each is that of the record. */
static void put_refused_replies(const struct ended *e, struct buf *b)
{
	const struct tx *tx = &e->s->tx;
	char octets[REPLY_LINE_MAX] = "", text[REPLY_LINE_MAX] = "";
	struct buf reason = BUF(octets);
	size_t start = b->n, n = 0;
	bool differs = false;

	put_tx_reason(e, &reason);
	buf_terminate(&reason);
	for (; n < tx->n_refused_kept; n++) {
		differs |= strcmp(tx->refused[n]->said, octets) != 0;
		put_refusal(b, start, tx->refused[n]->said);
	}
	for (size_t i = 0; i < tx->n_recipients && n < TX_REFUSED_MAX; i++) {
		struct buf said = BUF(text);
		if (!is_left_out(e, &tx->recipients[i]))
			continue;
		put_row(&said, tx->recipients[i].reply);
		buf_terminate(&said);
		differs |= strcmp(text, octets) != 0;
		put_refusal(b, start, text);
		n++;
	}
	if (!differs)
		b->n = start;
}

static void put_recipients(const struct ended *e, struct buf *b)
{
	size_t n = 0;

	for (size_t i = 0; i < e->s->tx.n_recipients; i++)
		n += !is_left_out(e, &e->s->tx.recipients[i]);
	if (n)
		buf_put_num(b, n);
}

static void put_tls_error(const struct ended *e, struct buf *b)
{
	if (e->failure)
		text_escape(b, span_of(e->failure->error), RECORD_VALUE_MAX);
}

static void put_tls_alert(const struct ended *e, struct buf *b)
{
	if (!e->failure || e->failure->alert == TLS_NO_ALERT)
		return;
	buf_put(b, e->failure->alert_sent ? SPAN("sent ") : SPAN("received "));
	tls_put_alert(b, (uint8_t)e->failure->alert);
}

static void put_tls_offered(const struct ended *e, struct buf *b)
{
	if (e->failure)
		tls_terms_put(b, &e->failure->opening.offered);
}

static void put_tls_allowed(const struct ended *e, struct buf *b)
{
	struct tls_terms allowed;

	if (!e->failure || e->failure->opening.offered.versions.n == 0)
		return;
	allowed = e->failure->allowed;
	tls_terms_keep(&allowed, e->failure->certificate.keys);
	tls_terms_put(b, &allowed);
}

/*
 * The functions that write a value, by event. NULL: the event does not have it. Empty
 * values are left out.
 */
struct writers {
	void (*message)(const struct ended *e, struct buf *b);
	void (*session)(const struct ended *e, struct buf *b);
	void (*auth)(const struct ended *e, struct buf *b);
};

static const struct writers writers[RECORD_KEYS] = {
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
	[RECORD_REFUSED_COMMANDS] = { NULL, put_refused_commands, NULL },
	[RECORD_REFUSED_TO] = { put_refused_to, NULL, NULL },
	[RECORD_REFUSED_REPLIES] = { put_refused_replies, NULL, NULL },
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

static void write_record(struct session *s, enum record_event event, enum topic topic,
	const struct ended *e)
{
	struct record record = { .event = event, .topic = topic, .when = s->now };
	struct buf b = BUF(s->scratch);

	for (enum record_key key = 0; key < RECORD_KEYS; key++) {
		const struct writers *t = &writers[key];
		size_t start = b.n;
		if (event == RECORD_MESSAGE && t->message)
			t->message(e, &b);
		if (event == RECORD_SESSION && t->session)
			t->session(e, &b);
		if (event == RECORD_AUTH && t->auth)
			t->auth(e, &b);
		if (b.n == start || b.overflow)
			continue;
		record.values[record.n++] = (struct record_value){
			key,
			{ b.p + start, b.n - start },
		};
	}
	s->recorder->write(s->recorder, &record);
}

void record_message(struct session *s, const struct reply *outcome)
{
	write_record(s, RECORD_MESSAGE, topic_of_message(s, outcome),
		&(struct ended){ .s = s, .outcome = outcome });
}

void record_auth(struct session *s, const struct reply *outcome)
{
	write_record(s, RECORD_AUTH, topic_of_login(outcome),
		&(struct ended){ .s = s, .outcome = outcome });
}

void record_session(struct session *s, const struct tls_failure *failure)
{
	write_record(s, RECORD_SESSION, topic_of_session(s),
		&(struct ended){ .s = s, .failure = failure });
}
