/*
 * Promises to move octets between the stream and the engine and to do what the engine
 * wants, at a time when nobody waits for it. Refuses to know SMTP.
 */
#include "bin/serve.h"
#include <stdio.h>
#include <time.h>
#include "edge/module.h"

struct moment moment_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (struct moment){
		.seconds = t.tv_sec,
		.microseconds = (uint32_t)(t.tv_nsec / 1000),
		.milliseconds = stream_clock(),
	};
}

static void stop(struct serve *v, enum session_end why)
{
	struct moment now = moment_now();

	session_stop(v->session, why, &now);
}

/* The first fault is the one that is recorded. */
static void note_fault(void *ctx, const char *text)
{
	struct serve *v = ctx;

	if (!v->fault[0])
		snprintf(v->fault, sizeof(v->fault), "%s", text);
}

/* Loads module and credentials, once. False when TLS is unusable. */
static bool get_tls(struct serve *v)
{
	const struct tls_report report = { .ctx = v, .fault = note_fault };
	const char *error;

	if (v->credentials)
		return true;
	v->fault[0] = '\0';
	if (!v->api)
		v->api = module_load(v->modules, TLS_MODULE, TLS_MODULE_TABLE, &error);
	if (!v->api)
		note_fault(v, error);
	else if (v->api->load(v->tls, &report, &v->credentials) < 0)
		note_fault(v, "out of memory");
	session_tls_fault(v->session, v->fault);
	return v->credentials;
}

/* What is said is said; a connection that cannot be written to is over. */
static bool flush(struct serve *v)
{
	struct buf *out = &v->session->out;

	if (out->n == 0 || stream_flush(v->stream, out) == 0)
		return true;
	stop(v, END_BROKEN);
	out->n = 0;
	return false;
}

static void handshake(struct serve *v)
{
	struct tls_failure failure;
	struct tls_facts facts;
	int r;

	log_open(v->log);
	r = stream_secure(
		v->stream, v->api, v->credentials, HANDSHAKE_SECONDS, &facts, &failure);
	if (r < 0) {
		struct moment now = moment_now();
		session_tls_failed(v->session, &failure, &now);
		return;
	}
	session_secured(v->session, &facts);
	if (v->confine)
		v->confine->armed = true;
}

static void start_tls(struct serve *v)
{
	bool usable = get_tls(v);

	session_tls_ready(v->session, usable ? TLS_READY : TLS_UNUSABLE);
	if (usable && flush(v))
		handshake(v);
}

/* Without a certificate there is no session to send an alert in, so it is sent bare (RFC
 * 8446 6). */
static void refuse_implicit(struct serve *v)
{
	static const char alert[] = { 21, 3, 3, 0, 2, 2, 80 }; /* fatal, internal_error */

	stop(v, END_TLS_UNUSABLE);
	v->session->out.n = 0;
	buf_put(&v->session->out, (struct span){ alert, sizeof(alert) });
}

/* The client has just been given something to do, or has nothing to wait for. */
static void use_idle_time(struct serve *v)
{
	log_open(v->log);
	if (v->session->settings->tls == TLS_REQUIRED && !v->api)
		get_tls(v);
	if (log_is_pending(v->log) && !stream_is_ready(v->stream))
		log_flush(v->log);
}

static enum session_end end_of(ssize_t result)
{
	switch (result) {
	case 0:
		return END_EOF;
	case STREAM_TIMEOUT:
		return END_TIMEOUT;
	case STREAM_TOO_LONG:
		return END_SESSION_TIMEOUT;
	case STREAM_STOP:
		return END_SHUTDOWN;
	default:
		return END_BROKEN;
	}
}

/* TLS broke, or its end came before a word was said. */
static bool is_lost(const struct serve *v, ssize_t result)
{
	if (!v->stream->tls)
		return false;
	return result == -EPROTO ||
	       (!v->session->helo[0] && (result == 0 || result == -ECONNRESET));
}

static void lose(struct serve *v, enum session_end why)
{
	struct moment now = moment_now();
	struct tls_failure failure;

	v->api->failure(v->stream->tls, &failure);
	session_tls_lost(v->session, why, &failure, &now);
}

static void fill(struct serve *v)
{
	ssize_t got = stream_fill(v->stream);

	if (got > 0)
		return;
	if (is_lost(v, got))
		lose(v, end_of(got));
	else
		stop(v, end_of(got));
}

static void begin(struct serve *v)
{
	if (v->session->settings->tls != TLS_IMPLICIT) {
		v->session->peer.early = stream_is_ready(v->stream);
		session_greet(v->session);
	} else if (!get_tls(v)) {
		refuse_implicit(v);
	} else {
		handshake(v);
		if (v->session->secured)
			session_greet(v->session);
	}
}

void serve(struct serve *v)
{
	enum session_want want;

	begin(v);
	do {
		struct moment now = moment_now();
		want = session_take(v->session, &v->stream->have, &now);
		if (want == SESSION_TLS) {
			start_tls(v);
			continue;
		}
		if (!flush(v))
			break;
		if (want == SESSION_INPUT) {
			use_idle_time(v);
			fill(v);
		}
	} while (want != SESSION_END);
	if (log_is_pending(v->log))
		log_flush(v->log);
	stream_finish(v->stream);
}
