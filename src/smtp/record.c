/* SPDX-License-Identifier: ISC */
/*
 * The records of a session, and records as text: log lines and JSON Lines. Values come
 * from the state of the session, never from reply text, and are escaped here to printable
 * ASCII.
 */
#include "smtp/record.h"
#include "proto/received.h"
#include "proto/text.h"
#include "proto/tls-names.h"
#include "smtp/ending.h"
#include "smtp/explain.h"
#include "smtp/record-recipients.h"
#include "smtp/state.h"

/* The subject of a record: the session, its open transaction, or a login. */
struct ended {
	const struct session *s;
	const struct reply *outcome; /* reply that ended it; NULL: given up */
	const struct tls_failure *failure; /* TLS failure of the session; or NULL */
};

/* Appends a word; nothing for NULL. */
static void put_word(struct buf *b, const char *word)
{
	if (word)
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

static void put_peer(const struct ended *e, struct buf *b)
{
	put_word(b, e->s->peer.address[0] ? e->s->peer.address : "unknown");
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

static void put_tls_fault(const struct ended *e, struct buf *b)
{
	/* escaped when it was kept */
	buf_put_str(b, e->s->tls_fault);
}

static void put_delivery_fault(const struct ended *e, struct buf *b)
{
	const char *fault = stages_fault(&e->s->stages);

	fault = fault ? fault : e->s->tx.fault;
	/* in the record of a delivery it would look like a fault of this host */
	if (!fault && ending_is_refused(e->s, e->outcome))
		fault = stages_hint(&e->s->stages);
	if (fault)
		text_escape(b, span_of(fault), RECORD_FAULT_MAX);
}

static void put_from(const struct ended *e, struct buf *b)
{
	if (e->s->tx.sender)
		record_put_path(b, span_of(e->s->tx.sender));
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

static void put_message_id(const struct ended *e, struct buf *b)
{
	const struct header *h = &e->s->tx.header;

	text_escape(b, (struct span){ h->message_id, h->n_message_id }, RECORD_VALUE_MAX);
}

static void put_report_fault(const struct ended *e, struct buf *b)
{
	if (e->s->tx.report_fault)
		text_escape(b, span_of(e->s->tx.report_fault), RECORD_FAULT_MAX);
}

static void put_filters(const struct ended *e, struct buf *b)
{
	buf_put_str(b, e->s->filters->text); /* escaped when it was made */
}

static void put_filters_time(const struct ended *e, struct buf *b)
{
	if (e->s->filters->text[0])
		buf_put_num(b, e->s->filters->milliseconds);
}

static void put_quarantine(const struct ended *e, struct buf *b)
{
	if (ending_is_delivered(e->outcome))
		buf_put_str(b, e->s->filters->quarantine); /* likewise */
}

static void put_outcome(const struct ended *e, struct buf *b)
{
	if (ending_is_refused(e->s, e->outcome))
		buf_put(b, SPAN("refused"));
	else if (!e->outcome)
		buf_put(b, ending_is_check(e->s, e->outcome) ? SPAN("checked")
							     : SPAN("given-up"));
	else
		buf_put(b, ending_is_delivered(e->outcome) ? SPAN("delivered")
							   : SPAN("discarded"));
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
	const struct filters_facts *f = e->s->filters;
	uint64_t n = e->s->now.milliseconds - e->s->tx.since.milliseconds;

	if (f && f->step == e->s->now.milliseconds)
		n += f->step_milliseconds;
	buf_put_num(b, n);
}

static void put_to(const struct ended *e, struct buf *b)
{
	record_put_to(b, &e->s->tx, e->outcome);
}

static void put_refused_to(const struct ended *e, struct buf *b)
{
	record_put_refused_to(b, &e->s->tx, e->outcome);
}

static void put_refused_replies(const struct ended *e, struct buf *b)
{
	char text[REPLY_LINE_MAX] = "";
	struct buf reason = BUF(text);

	put_tx_reason(e, &reason);
	buf_terminate(&reason);
	record_put_refused_replies(b, &e->s->tx, e->outcome, text);
}

static void put_recipients(const struct ended *e, struct buf *b)
{
	put_count(b, record_count_recipients(&e->s->tx, e->outcome));
}

static void put_messages(const struct ended *e, struct buf *b)
{
	buf_put_num(b, e->s->n_messages);
}

static void put_reason(const struct ended *e, struct buf *b)
{
	/* escaped when it was sent */
	buf_put_str(b, e->s->n_unrecorded ? e->s->unrecorded : e->s->reason);
}

static void put_duration(const struct ended *e, struct buf *b)
{
	buf_put_num(b, e->s->now.milliseconds - e->s->since.milliseconds);
}

static void put_explanation(const struct ended *e, struct buf *b)
{
	explain(e->s, e->failure, b);
}

static void put_tx_explanation(const struct ended *e, struct buf *b)
{
	explain_message(e->s, e->outcome, b);
}

static void put_end(const struct ended *e, struct buf *b)
{
	put_word(b, session_end_word(e->s->end));
}

/* Appends the ending of a login that the end of the session interrupted. */
static void put_auth_end(const struct ended *e, struct buf *b)
{
	if (!e->outcome)
		put_end(e, b);
}

static void put_status(const struct ended *e, struct buf *b)
{
	put_word(b, session_status(e->s));
}

static void put_tx_status(const struct ended *e, struct buf *b)
{
	put_word(b, topic_get(topic_of_message(e->s, e->outcome))->status);
}

static void put_mechanism(const struct ended *e, struct buf *b)
{
	if (e->s->user[0])
		put_word(b, e->s->mechanism);
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
	tls_terms_keep(
		&allowed, e->failure->certificate.keys, negotiation_version(e->failure));
	tls_terms_put(b, &allowed);
}

/* The events whose records have a value. */
#define M (1U << RECORD_MESSAGE)
#define S (1U << RECORD_SESSION)
#define A (1U << RECORD_AUTH)
#define F (1U << RECORD_EVENTS) /* of a message with filters */

enum source {
	CALL, /* value: the result of `put` */
	WORD, /* value: an array of characters in struct session */
	POINTER, /* value: a pointer to a word, or NULL */
	FLAG,
	PORT,
	COUNT,
};

#define IN(source, member) source, offsetof(struct session, member), NULL
#define BY(put) CALL, 0, put

/* In the order of the record. Empty values are left out. */
static const struct row {
	enum record_key key;
	unsigned events;
	enum source source;
	size_t where; /* offset in struct session */
	void (*put)(const struct ended *e, struct buf *b);
} rows[] = {
	{ RECORD_ID, M, IN(WORD, tx.id) },
	{ RECORD_OUTCOME, M, BY(put_outcome) },
	{ RECORD_OUTCOME, A, BY(put_auth_outcome) },
	{ RECORD_END, S, BY(put_end) },
	{ RECORD_END, A, BY(put_auth_end) },
	{ RECORD_STATUS, M, BY(put_tx_status) },
	{ RECORD_STATUS, S, BY(put_status) },
	{ RECORD_EXPLANATION, F, BY(put_tx_explanation) },
	{ RECORD_EXPLANATION, S, BY(put_explanation) },
	{ RECORD_PEER, M | S | A, BY(put_peer) },
	{ RECORD_PORT, S | A, IN(PORT, peer.port) },
	{ RECORD_PEER_NAME, M | S | A, IN(POINTER, peer.name) },
	{ RECORD_PROXY, S | A, IN(WORD, peer.proxy) },
	{ RECORD_SERVICE, M | S | A, IN(POINTER, service) },
	{ RECORD_LOCAL_PORT, S | A, IN(PORT, own_port) },
	{ RECORD_HELO, M | S | A, IN(WORD, helo) },
	{ RECORD_TLS, M | S | A, IN(WORD, tls.version) },
	{ RECORD_CIPHER, M | S | A, IN(WORD, tls.cipher) },
	{ RECORD_GROUP, S, IN(WORD, tls.group) },
	{ RECORD_SNI, S, BY(put_sni) },
	{ RECORD_ALPN, S, IN(WORD, tls.alpn) },
	{ RECORD_RESUMED, S, IN(FLAG, tls.resumed) },
	{ RECORD_TLS_CLIENT, S, IN(WORD, tls.client) },
	{ RECORD_TLS_ERROR, S, BY(put_tls_error) },
	{ RECORD_TLS_ALERT, S, BY(put_tls_alert) },
	{ RECORD_TLS_OFFERED, S, BY(put_tls_offered) },
	{ RECORD_TLS_ALLOWED, S, BY(put_tls_allowed) },
	{ RECORD_TLS_FAULT, S, BY(put_tls_fault) },
	{ RECORD_DELIVERY_FAULT, M, BY(put_delivery_fault) },
	{ RECORD_MECHANISM, S, BY(put_mechanism) },
	{ RECORD_MECHANISM, A, IN(WORD, mechanism) },
	{ RECORD_USER, M | S, IN(WORD, user) },
	{ RECORD_USER, A, BY(put_auth_user) },
	{ RECORD_AUTH_FAILURES, S | A, IN(COUNT, n_auth_failures) },
	{ RECORD_FROM, M, BY(put_from) },
	{ RECORD_TO, M, BY(put_to) },
	{ RECORD_RECIPIENTS, M, BY(put_recipients) },
	{ RECORD_TRANSACTIONS, S, IN(COUNT, n_transactions) },
	{ RECORD_MESSAGES, S, BY(put_messages) },
	{ RECORD_REFUSED, M, IN(COUNT, tx.n_refused) },
	{ RECORD_REFUSED, S, IN(COUNT, n_refused) },
	{ RECORD_REFUSED_COMMANDS, S, IN(COUNT, n_unrecorded) },
	{ RECORD_REFUSED_TO, M, BY(put_refused_to) },
	{ RECORD_REFUSED_REPLIES, M, BY(put_refused_replies) },
	{ RECORD_SIZE, M, BY(put_size) },
	{ RECORD_BODY, M, BY(put_body) },
	{ RECORD_REQUIRETLS, M, IN(FLAG, tx.params.requiretls) },
	{ RECORD_SMTPUTF8, M, IN(FLAG, tx.params.smtputf8) },
	{ RECORD_MESSAGE_ID, M, BY(put_message_id) },
	{ RECORD_FILE, M, IN(WORD, tx.file) },
	{ RECORD_REPORT, M, IN(POINTER, tx.report) },
	{ RECORD_REPORT_FAULT, M, BY(put_report_fault) },
	{ RECORD_FILTERS, F, BY(put_filters) },
	{ RECORD_FILTERS_TIME, F, BY(put_filters_time) },
	{ RECORD_QUARANTINE, F, BY(put_quarantine) },
	{ RECORD_REASON, M | A, BY(put_tx_reason) },
	{ RECORD_REASON, S, BY(put_reason) },
	{ RECORD_EARLY, S, IN(FLAG, peer.early) },
	{ RECORD_LENIENT, M, BY(put_tx_lenient) },
	{ RECORD_LENIENT, S, IN(FLAG, lenient) },
	{ RECORD_SANDBOX, M | S, IN(POINTER, confinement) },
	{ RECORD_DURATION, M, BY(put_tx_duration) },
	{ RECORD_DURATION, S, BY(put_duration) },
};

static void put_source(const struct row *row, const struct ended *e, struct buf *b)
{
	const void *at = (const char *)e->s + row->where;

	switch (row->source) {
	case CALL:
		row->put(e, b);
		break;
	case WORD:
		put_word(b, at);
		break;
	case POINTER:
		put_word(b, *(const char *const *)at);
		break;
	case FLAG:
		put_flag(b, *(const bool *)at);
		break;
	case PORT:
		put_count(b, *(const uint16_t *)at);
		break;
	case COUNT:
		put_count(b, *(const size_t *)at);
		break;
	}
}

static void write_record(struct session *s, enum record_event event, enum topic topic,
	const struct ended *e)
{
	struct record record = { .event = event, .topic = topic, .when = s->now };
	struct buf b = BUF(s->scratch);
	unsigned events = 1U << event | (event == RECORD_MESSAGE && s->filters ? F : 0);

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		size_t start = b.n;
		if (rows[i].events & events)
			put_source(&rows[i], e, &b);
		if (b.n == start || b.overflow)
			continue;
		record.values[record.n++] = (struct record_value){
			rows[i].key,
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

const char *record_level_word(enum record_level level)
{
	switch (level) {
	case RECORD_LEVEL_ERROR:
		return "error";
	case RECORD_LEVEL_WARNING:
		return "warning";
	case RECORD_LEVEL_DEBUG:
		return "debug";
	default:
		return "info";
	}
}

/* Values contain no quotes. */
static void put_pair(struct buf *to, const char *name, struct span value)
{
	bool quote = memchr(value.p, ' ', value.n) || memchr(value.p, '=', value.n);

	buf_put_str(to, name);
	buf_put_char(to, '=');
	if (quote)
		buf_put_char(to, '"');
	buf_put(to, value);
	if (quote)
		buf_put_char(to, '"');
}

void record_put_line(struct buf *to, const struct record *r)
{
	put_pair(to, "event", span_of(record_event_word(r->event)));
	for (size_t i = 0; i < r->n; i++) {
		buf_put_char(to, ' ');
		put_pair(to, record_field(r->values[i].key)->name, r->values[i].value);
	}
}

/* A string of JSON (RFC 8259 7). The backslash is the only special octet in values. */
static void put_string(struct buf *to, struct span value)
{
	buf_put_char(to, '"');
	while (value.n) {
		const char *slash = memchr(value.p, '\\', value.n);
		size_t n = slash ? (size_t)(slash - value.p) : value.n;
		buf_put(to, (struct span){ value.p, n });
		if (slash)
			buf_put(to, SPAN("\\\\"));
		value = span_from(value, slash ? n + 1 : n);
	}
	buf_put_char(to, '"');
}

/* Appends "<a@b>" without its brackets; or "...". */
static void put_json_path(struct buf *to, struct span path)
{
	if (path.n > 1 && *path.p == '<')
		path = (struct span){ path.p + 1, path.n - 2 };
	put_string(to, path);
}

/* Takes a path. Only a comma after ">" is a separator, as paths do not contain ">". */
static struct span take_path(struct span *list)
{
	const char *end = memmem(list->p, list->n, ">,", 2);
	size_t n = end ? (size_t)(end - list->p) + 1 : list->n;
	struct span path = { list->p, n };

	*list = span_from(*list, end ? n + 1 : n);
	return path;
}

static void put_paths(struct buf *to, struct span list)
{
	buf_put_char(to, '[');
	while (list.n) {
		put_json_path(to, take_path(&list));
		if (list.n)
			buf_put_char(to, ',');
	}
	buf_put_char(to, ']');
}

static void put_texts(struct buf *to, struct span list)
{
	buf_put_char(to, '[');
	while (list.n) {
		put_string(to, span_take(&list, '|'));
		if (list.n)
			buf_put_char(to, ',');
	}
	buf_put_char(to, ']');
}

static void put_json(struct buf *to, enum record_kind kind, struct span value)
{
	switch (kind) {
	case RECORD_TEXT:
		put_string(to, value);
		break;
	case RECORD_NUMBER:
		buf_put(to, value);
		break;
	case RECORD_FLAG:
		buf_put(to, SPAN("true"));
		break;
	case RECORD_PATH:
		put_json_path(to, value);
		break;
	case RECORD_PATHS:
		put_paths(to, value);
		break;
	case RECORD_TEXTS:
		put_texts(to, value);
		break;
	}
}

static void put_name(struct buf *to, const char *name)
{
	buf_put_char(to, ',');
	put_string(to, span_of(name));
	buf_put_char(to, ':');
}

void record_put_json(struct buf *to, const struct record *r, uint64_t pid)
{
	buf_put(to, SPAN("{\"time\":\""));
	timestamp_put(to, r->when.seconds, r->when.microseconds);
	buf_put_char(to, '"');
	put_name(to, "event");
	put_string(to, span_of(record_event_word(r->event)));
	put_name(to, "level");
	put_string(to, span_of(record_level_word(topic_get(r->topic)->level)));
	put_name(to, "pid");
	buf_put_num(to, pid);
	for (size_t i = 0; i < r->n; i++) {
		const struct record_field *field = record_field(r->values[i].key);
		put_name(to, field->name);
		put_json(to, field->kind, r->values[i].value);
	}
	buf_put_char(to, '}');
}
