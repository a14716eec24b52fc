/* SPDX-License-Identifier: ISC */
/*
 * The engine in memory. Each piece of input is in memory of its own, so that a read behind it is detected. Nothing
 * waits, because every step is a function call.
 */
#include <stdlib.h>
#include "engine.h"
#include "proto/tls-names.h"

static const struct moment noon = { 1796126400, 123456, 5000 };

static const struct tls_facts facts = {
	.version = "TLS1.3",
	.cipher = "TLS_AES_256_GCM_SHA384",
	.group = "x25519",
};

/* As <TLS FAILS> fails with a real client. */
static const struct tls_failure failure = {
	.how = TLS_END_REFUSED,
	.alert = TLS_ALERT_PROTOCOL_VERSION,
	.alert_sent = true,
	.opening = { .kind = TLS_OPENING_HELLO,
		.or_older = true,
		.alert = TLS_NO_ALERT,
		.offered.versions = { .codes = { TLS_VERSION_1_0 }, .n = 1 } },
	.allowed.versions = { .codes = { TLS_VERSION_1_3, TLS_VERSION_1_2 }, .n = 2 },
	.error = "nothing in common",
};

static struct engine *engine_of(struct way *w)
{
	return (struct engine *)w;
}

/* Takes the output of the engine, as a write would. */
static bool collect(struct engine *e)
{
	struct session *s = &e->session;

	text_put(&e->way.arena, &e->way.got, buf_span(&s->out));
	s->out.n = 0;
	if (s->out.overflow)
		return way_fail(&e->way, "a reply did not fit");
	if (e->memory.broken)
		return way_fail(&e->way, "%s", e->memory.broken);
	return true;
}

static bool begin_handshake(struct engine *e, bool more_of_write)
{
	if (e->in.n)
		return way_fail(&e->way, "TLS is wanted with input in hand");
	/* the one exception: what comes after STARTTLS is part of the handshake */
	if (more_of_write) {
		e->way.over = true;
		return true;
	}
	session_tls_ready(&e->session, e->verdict);
	e->in_handshake = e->verdict == TLS_READY;
	return collect(e);
}

/* Input that the engine leaves is a part of a line, or of an end of data. */
static bool check_left(struct engine *e, size_t n)
{
	size_t most = e->session.phase == PHASE_CONTENT
			      ? 2
			      : COMMAND_LINE_MAX + COMMAND_EXTRA_MAX;

	return n <= most || way_fail(&e->way, "%zu octets were left", n);
}

/* Passes `octets` to the engine, after the rest of earlier input. */
static bool show(struct engine *e, struct span octets, bool more_of_write)
{
	size_t n = e->in.n + octets.n;
	char *memory = malloc(n ? n : 1);
	struct bytes in = { memory, n };
	enum session_want want;
	bool ok;

	if (e->in.n)
		memcpy(memory, e->in.p, e->in.n);
	memcpy(memory + e->in.n, octets.p, octets.n);
	do {
		want = session_take(&e->session, &in, &e->now);
		ok = collect(e);
	} while (ok && want == SESSION_OUTPUT);
	free((char *)e->in.p);
	e->in = (struct span){ NULL, 0 };
	if (ok && (want == SESSION_INPUT || want == SESSION_PAUSE) && in.n) {
		char *rest = malloc(in.n);
		memcpy(rest, in.p, in.n);
		e->in = (struct span){ rest, in.n };
		ok = want == SESSION_PAUSE || check_left(e, in.n);
	}
	free(memory);
	if (ok && want == SESSION_TLS)
		ok = begin_handshake(e, more_of_write);
	e->way.closed = e->session.phase == PHASE_ENDED;
	return ok;
}

static size_t piece_length(const struct engine *e, size_t at, size_t n)
{
	const struct split *split = &e->split;

	if (split->how == SPLIT_OCTETS)
		return 1;
	if (split->how == SPLIT_TWO && split->write == e->n_writes && at == 0)
		return split->at;
	return n - at;
}

static bool engine_send(struct way *w, struct span octets)
{
	struct engine *e = engine_of(w);
	bool ok = true;

	if (e->in_handshake)
		return way_fail(w, "the engine has no handshake that could fail here");
	if (w->closed)
		return way_fail(w, "the server has closed");
	if (e->split.how == SPLIT_TWO && e->split.write == e->n_writes)
		e->n_split_octets = octets.n;
	for (size_t i = 0, n; i < octets.n && ok && !w->closed && !w->over; i += n) {
		n = piece_length(e, i, octets.n);
		ok = show(e, (struct span){ octets.p + i, n }, i + n < octets.n);
	}
	e->n_writes++;
	return ok;
}

/* The replies were taken in send(). */
static bool engine_more(struct way *w)
{
	(void)w;
	return false;
}

static bool stop(struct engine *e, enum session_end why)
{
	session_stop(&e->session, why, &e->now);
	e->way.closed = true;
	return collect(e);
}

static bool handshake(struct engine *e, bool ok)
{
	if (!e->in_handshake)
		return way_fail(&e->way, "no handshake is due");
	e->in_handshake = false;
	if (!ok) {
		session_tls_failed(&e->session, &failure, &e->now);
		e->way.closed = true;
		return collect(e);
	}
	session_secured(&e->session, &facts);
	if (e->settings.tls == TLS_IMPLICIT)
		session_greet(&e->session);
	return collect(e);
}

/* Nobody else waits: the time has come. */
static bool end_pause(struct engine *e)
{
	if (!e->session.pause_until)
		return way_fail(&e->way, "the server does not wait");
	e->now.milliseconds = e->session.pause_until;
	return show(e, SPAN(""), false);
}

static bool engine_event(struct way *w, enum step_kind kind)
{
	struct engine *e = engine_of(w);

	switch (kind) {
	case STEP_TLS:
		return handshake(e, true);
	case STEP_TLS_FAILS:
		return handshake(e, false);
	case STEP_PAUSE:
		return end_pause(e);
	case STEP_EOF:
		return stop(e, END_EOF);
	case STEP_CUT:
		return stop(e, END_BROKEN);
	case STEP_TIMEOUT:
		return stop(e, END_TIMEOUT);
	case STEP_SIGTERM:
		return stop(e, END_SHUTDOWN);
	default:
		return way_fail(w, "the engine knows nothing of that");
	}
}

static bool engine_finish(struct way *w)
{
	struct engine *e = engine_of(w);

	if (!stop(e, END_EOF))
		return false;
	if (e->memory.begun)
		return way_fail(w, "a transaction was not cleared");
	return w->over || e->session.phase == PHASE_ENDED ||
	       way_fail(w, "the session has no end");
}

static const struct way_ops engine_ops = {
	.send = engine_send,
	.more = engine_more,
	.event = engine_event,
	.finish = engine_finish,
};

static void keep(struct recorder *r, const struct record *record)
{
	struct engine *e =
		(struct engine *)((char *)r - offsetof(struct engine, recorder));
	struct kept_record *kept = way_keep_record(&e->way, record->event);

	for (size_t i = 0; i < record->n; i++)
		way_keep_field(&e->way, kept,
			span_of(record_field(record->values[i].key)->name),
			record->values[i].value);
}

bool engine_init(struct engine *e, const struct dialogue *d, struct split split,
	struct complaint *ret)
{
	struct stages stages = { e->stages, 3 };
	const char *peer = dialogue_setting(d, "peer", "192.0.2.1");

	e->way.ops = &engine_ops;
	e->split = split;
	e->recorder.write = keep;
	if (!engine_settings(e, d, ret))
		return false;
	if (!memory_init(&e->memory, &e->way, d))
		return complain(ret, 0, "fault: not a hook and full or failed");
	policy_init(&e->policy, &e->settings);
	e->stages[0] = &e->policy.stage;
	e->stages[1] = &e->memory.stage;
	memory_outbox_init(&e->outbox, &e->way, e->settings.hostname);
	e->stages[2] = &e->outbox.stage;
	e->now = noon;
	session_init(&e->session, &e->settings, stages, &e->recorder, "P42", &e->now);
	if (strcmp(dialogue_setting(d, "certificate", "good"), "good") != 0)
		session_tls_fault(&e->session, "a fault made for the test");
	if (strcmp(peer, "unknown") != 0)
		strncpy(e->session.peer.address, peer, PEER_TEXT_MAX - 1);
	e->session.peer.early = d->steps[0].kind == STEP_SEND;
	if (e->settings.tls == TLS_IMPLICIT) {
		e->in_handshake = true;
		return true;
	}
	session_greet(&e->session);
	return collect(e);
}

void engine_done(struct engine *e)
{
	free((char *)e->in.p);
	arena_done(&e->way.arena);
}
