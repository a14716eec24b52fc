/* SPDX-License-Identifier: ISC */
/*
 * The engine with all its interfaces in memory: a delivering stage that keeps messages, a recorder that keeps
 * records, a clock that the test sets, and a peer that sends in pieces. Each piece is in memory of exactly its size,
 * so that a sanitizer detects a read behind it.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include "smtp/policy.h"
#include "smtp/record.h"
#include "smtp/session.h"
#include "unit/few-names.h"
#include "unit/few-users.h"
#include "unit/test.h"

/* Text that grows. */
struct captured {
	char *p;
	size_t n;
	FILE *to;
};

/* A hook of the delivering stage, to be refused. */
enum memory_hook {
	HOOK_NONE,
	HOOK_MAIL,
	HOOK_RCPT,
	HOOK_DATA,
	HOOK_BODY,
	HOOK_PREPARE,
	HOOK_COMMIT,
	HOOK_COUNT,
};

struct memory {
	struct stage stage;
	enum memory_hook refuses;
	enum reply_name refuses_with;
	/* bit i: prepare refuses recipient i (of 32, then again) alone */
	unsigned refuses_of;
	struct captured message; /* of the open transaction */
	/* each delivered message, and "=" CRLF, which no message contains */
	struct captured stored;
	size_t n_cleared, n_stored;
	enum memory_hook last; /* of the open transaction */
	bool wrong; /* hooks came in an order they must not come in */
};

struct engine {
	struct session session;
	struct session_settings settings;
	struct few_names names;
	struct few_users users;
	struct policy policy;
	struct memory memory;
	struct recorder recorder;
	struct stage *list[2];
	struct moment now;
	enum tls_verdict verdict; /* of our certificate */
	bool handshake_fails;
	size_t n_handshakes;
	size_t n_pauses;
	uint64_t paused; /* milliseconds, all of them together */
	bool tls_behind; /* input followed STARTTLS */
	struct captured out; /* all replies */
	struct captured records; /* a line each */
	size_t n_records, n_sessions, n_attempts;
	bool bad_record; /* a value that is not escaped */
	bool overflow; /* a reply did not fit */
	char *left; /* input that the session has not taken yet */
	size_t n_left;
};

static inline void captured_open(struct captured *l)
{
	l->to = open_memstream(&l->p, &l->n);
	if (!l->to)
		abort();
}

static inline struct span captured_span(struct captured *l)
{
	fflush(l->to);
	return (struct span){ l->p, l->n };
}

static inline void captured_close(struct captured *l)
{
	fclose(l->to);
	free(l->p);
}

static inline void captured_empty(struct captured *l)
{
	captured_close(l);
	captured_open(l);
}

static inline const struct reply *memory_answer(
	struct memory *m, enum memory_hook hook, bool in_order)
{
	m->wrong |= !in_order;
	m->last = hook;
	return m->refuses == hook ? reply_get(m->refuses_with) : NULL;
}

static inline const struct reply *memory_mail(struct stage *st, const struct tx *tx)
{
	struct memory *m = (struct memory *)st;

	return memory_answer(m, HOOK_MAIL, m->last == HOOK_NONE && tx->open && tx->id[0]);
}

static inline const struct reply *memory_rcpt(
	struct stage *st, const struct tx *tx, struct recipient *r)
{
	struct memory *m = (struct memory *)st;
	bool in_order = m->last == HOOK_MAIL || m->last == HOOK_RCPT;

	return memory_answer(
		m, HOOK_RCPT, in_order && r == &tx->recipients[tx->n_recipients - 1]);
}

static inline const struct reply *memory_data(
	struct stage *st, const struct tx *tx, struct span trace)
{
	struct memory *m = (struct memory *)st;

	captured_empty(&m->message);
	fwrite(trace.p, 1, trace.n, m->message.to);
	return memory_answer(m, HOOK_DATA, m->last == HOOK_RCPT && tx->n_recipients);
}

static inline const struct reply *memory_body(
	struct stage *st, const struct tx *tx, struct span text)
{
	struct memory *m = (struct memory *)st;
	bool in_order = m->last == HOOK_DATA || m->last == HOOK_BODY;

	if (text.n)
		fwrite(text.p, 1, text.n, m->message.to);
	return memory_answer(m, HOOK_BODY, in_order && !tx->refusal);
}

static inline const struct reply *memory_prepare(struct stage *st, struct tx *tx)
{
	struct memory *m = (struct memory *)st;

	for (size_t i = 0; i < tx->n_recipients; i++)
		if (m->refuses_of >> i % 32 & 1)
			tx->recipients[i].reply = reply_get(REPLY_STORE_FULL);
	return memory_answer(m, HOOK_PREPARE, m->last == HOOK_BODY && !tx->refusal);
}

static inline const struct reply *memory_commit(struct stage *st, struct tx *tx)
{
	struct memory *m = (struct memory *)st;
	struct span text = captured_span(&m->message);
	const struct reply *r = memory_answer(m, HOOK_COMMIT,
		m->last == HOOK_PREPARE && m->refuses != HOOK_PREPARE && tx->open &&
			!tx_is_refused(tx));

	if (r)
		return r;
	fwrite(text.p, 1, text.n, m->stored.to);
	fputs("=\r\n", m->stored.to);
	snprintf(tx->file, sizeof(tx->file), "%s.host,S=%zu", tx->id, text.n);
	m->n_stored++;
	return NULL;
}

static inline void memory_clear(struct stage *st)
{
	struct memory *m = (struct memory *)st;

	m->n_cleared++;
	m->last = HOOK_NONE;
}

static inline bool record_value_is_escaped(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < 32 || s.p[i] > 126 || s.p[i] == '"')
			return false;
		if (s.p[i] != '\\')
			continue;
		if (i + 3 >= s.n || s.p[i + 1] != 'x' ||
			!strchr("0123456789ABCDEF", s.p[i + 2]) ||
			!strchr("0123456789ABCDEF", s.p[i + 3]))
			return false;
	}
	return s.n > 0;
}

static inline void engine_record(struct recorder *r, const struct record *record)
{
	struct engine *e =
		(struct engine *)((char *)r - offsetof(struct engine, recorder));

	e->n_records++;
	e->n_sessions += record->event == RECORD_SESSION;
	e->n_attempts += record->event == RECORD_AUTH;
	fprintf(e->records.to, "%s%s", record_event_word(record->event),
		topic_get(record->topic)->level < RECORD_LEVEL_INFO ? "!" : "");
	for (size_t i = 0; i < record->n; i++) {
		struct span value = record->values[i].value;
		e->bad_record |= !record_value_is_escaped(value);
		fprintf(e->records.to, " %s=\"%.*s\"",
			record_field(record->values[i].key)->name, (int)value.n, value.p);
	}
	fputc('\n', e->records.to);
}

static const char *const engine_domains[] = { "example.net", "*.example.net" };

/* Settings and the rest of the struct may be changed before engine_start(). */
static inline void engine_init(struct engine *e)
{
	static const struct stage_ops ops = {
		.mail = memory_mail,
		.rcpt = memory_rcpt,
		.data = memory_data,
		.body = memory_body,
		.prepare = memory_prepare,
		.commit = memory_commit,
		.clear = memory_clear,
	};

	memset(e, 0, sizeof(*e));
	/* these two are not cleared for a session */
	memset(e->session.out_octets, 0xa5, sizeof(e->session.out_octets));
	memset(e->session.scratch, 0xa5, sizeof(e->session.scratch));
	e->settings = (struct session_settings){
		.hostname = "mail.example.net",
		.banner = "ESMTP service ready",
		.domains = engine_domains,
		.n_domains = sizeof(engine_domains) / sizeof(*engine_domains),
		.size_limit = 1000000,
		.recipient_limit = 100,
		.transaction_limit = 1000,
		.error_limit = 20,
		.names = &e->names.names,
		.authenticator = &e->users.authenticator,
	};
	few_names_init(&e->names);
	few_users_init(&e->users, "good");
	e->now = (struct moment){ 1796116087, 42, 5000 };
	e->memory.stage.ops = &ops;
	e->memory.refuses_with = REPLY_STORE_FAILED;
	e->recorder.write = engine_record;
	captured_open(&e->out);
	captured_open(&e->records);
	captured_open(&e->memory.message);
	captured_open(&e->memory.stored);
}

/* Does the work of serve() before a read. */
static inline void engine_flush(struct engine *e)
{
	struct session *s = &e->session;

	e->overflow |= s->out.overflow || s->out.n > SESSION_OUT_MAX;
	fwrite(s->out.p, 1, s->out.n, e->out.to);
	s->out.n = 0;
}

/* Begins a connection without a greeting. */
static inline void engine_open(struct engine *e)
{
	policy_init(&e->policy, &e->settings);
	e->list[0] = &e->policy.stage;
	e->list[1] = &e->memory.stage;
	session_init(&e->session, &e->settings, (struct stages){ e->list, 2 },
		&e->recorder, "P7", &e->now);
	snprintf(e->session.peer.address, PEER_TEXT_MAX, "192.0.2.1");
	e->session.peer.port = 50000;
}

static inline void engine_start(struct engine *e)
{
	engine_open(e);
	session_greet(&e->session);
	engine_flush(e);
}

static inline void engine_tls(struct engine *e)
{
	static const struct tls_facts facts = {
		.version = "TLS1.3",
		.cipher = "TLS_AES_256_GCM_SHA384",
		.group = "x25519",
	};
	static const struct tls_failure failure = {
		.alert = TLS_NO_ALERT,
		.opening.alert = TLS_NO_ALERT,
		.error = "No \"common\" cipher",
	};

	if (e->verdict != TLS_READY)
		session_tls_fault(&e->session, "key of another \"certificate\"");
	session_tls_ready(&e->session, e->verdict);
	engine_flush(e);
	if (e->verdict != TLS_READY)
		return;
	e->n_handshakes++;
	if (e->handshake_fails)
		session_tls_failed(&e->session, &failure, &e->now);
	else
		session_secured(&e->session, &facts);
}

/* A peer that waits for the delay of the engine. */
static inline void engine_wait(struct engine *e)
{
	e->n_pauses++;
	e->paused += e->session.pause_until - e->now.milliseconds;
	e->now.milliseconds = e->session.pause_until;
}

/* Passes to the session the rest of earlier input, and `input` after it. */
static inline void engine_send(struct engine *e, struct span input)
{
	size_t n = e->n_left + input.n;
	char *window = malloc(n ? n : 1);
	struct bytes in = { window, n };
	enum session_want want;

	if (!window)
		abort();
	if (e->n_left)
		memcpy(window, e->left, e->n_left);
	if (input.n)
		memcpy(window + e->n_left, input.p, input.n);
	while ((want = session_take(&e->session, &in, &e->now)) != SESSION_INPUT) {
		engine_flush(e);
		if (want == SESSION_END)
			break;
		if (want == SESSION_PAUSE)
			engine_wait(e);
		if (want == SESSION_TLS) {
			e->tls_behind |= in.n > 0;
			engine_tls(e);
		}
	}
	engine_flush(e);
	free(e->left);
	e->n_left = want == SESSION_END ? 0 : in.n;
	e->left = malloc(e->n_left + 1);
	if (!e->left)
		abort();
	memcpy(e->left, in.p, e->n_left);
	free(window);
}

/* Sends `input` in two pieces, the rest in pieces of `step`. */
static inline void engine_send_split(
	struct engine *e, struct span input, size_t first, size_t step)
{
	first = first < input.n ? first : input.n;
	engine_send(e, (struct span){ input.p, first });
	while (first < input.n) {
		size_t n = step < input.n - first ? step : input.n - first;
		engine_send(e, (struct span){ input.p + first, n });
		first += n;
	}
}

static inline void engine_stop(struct engine *e, enum session_end why)
{
	session_stop(&e->session, why, &e->now);
	engine_flush(e);
}

/* True when `text` is a part of the records. */
static inline bool tells(struct engine *e, const char *text)
{
	struct span all = captured_span(&e->records);

	return memmem(all.p, all.n, text, strlen(text)) != NULL;
}

/* Checks the conditions that hold after each session, for any input. */
static inline void engine_check(struct engine *e)
{
	CHECK(!e->overflow);
	CHECK(!e->bad_record);
	CHECK(!e->memory.wrong);
	CHECK(e->n_sessions == 1);
	CHECK(e->memory.n_cleared == e->n_records - 1);
	CHECK(!e->session.tx.open && !e->session.tx.sender && !e->session.tx.recipients);
}

/* Closes the session, if it is open, and frees all memory. */
static inline void engine_done(struct engine *e)
{
	engine_stop(e, END_EOF);
	captured_close(&e->out);
	captured_close(&e->records);
	captured_close(&e->memory.message);
	captured_close(&e->memory.stored);
	free(e->left);
}
