/*
 * Promises to move octets between the stream and the engine and to do what the engine
 * wants, at a time when nobody waits for it. Refuses to know SMTP.
 */
#include "bin/serve.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "edge/file.h"
#include "edge/module.h"
#include "smtp/ending.h"

#define LOG_DELAY 20 /* milliseconds in which more may come to be told */

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

/* For whoever reads the trace. */
static void note(struct serve *v, const char *mark)
{
	if (v->trace)
		trace_file_event(v->trace, mark);
}

/* The first fault is the one that is recorded. */
static void note_fault(void *ctx, const char *text)
{
	struct serve *v = ctx;
	struct buf b = BUF(v->fault);

	if (v->fault[0])
		return;
	config_show(v->config, text, &b);
	v->fault[sizeof(v->fault) - 1] = '\0';
}

/* What a listener has loaded is this process's own since it was forked: it may change the copy. */
static bool use_warm(struct serve *v)
{
	const struct tls_report report = { .ctx = v, .fault = note_fault };
	const struct tls_settings *tls = &v->config->tls;
	struct tls_credentials *credentials = v->warm->credentials;

	v->api = v->warm->api;
	snprintf(v->fault, sizeof(v->fault), "%s", v->warm->fault);
	if (!warm_has_priority(v->warm, tls)) {
		int r = v->api->prioritize(credentials, tls->priority, &report);
		if (r == -ENOMEM)
			note_fault(v, "out of memory");
		if (r < 0)
			return false;
	}
	v->credentials = credentials;
	return true;
}

/* They are in memory now, or cannot be used. */
static void close_opened(struct tls_settings *tls)
{
	for (size_t i = 0; i < tls->n_opened; i++)
		if (tls->opened[i].fd >= 0)
			close(tls->opened[i].fd);
	tls->n_opened = 0;
}

static void note_missing_module(struct serve *v, const char *error)
{
	char text[CONFIG_FAULT_MAX];
	struct buf b = BUF(text);

	module_put_fault(&b, v->modules, TLS_MODULE, error);
	note_fault(v, b.overflow ? error : text);
}

static void load_tls(struct serve *v)
{
	const struct tls_report report = { .ctx = v, .fault = note_fault };
	const char *error;

	if (!v->api)
		v->api = module_load(v->modules, TLS_MODULE, TLS_MODULE_TABLE, &error);
	if (!v->api)
		note_missing_module(v, error);
	else if (v->api->load(&v->config->tls, &report, &v->credentials) < 0)
		note_fault(v, "out of memory");
}

/* Gets module and credentials, once. False when TLS is unusable. */
static bool get_tls(struct serve *v)
{
	/* what was read and could not be used is closed by now, and outside the sandbox */
	if (v->tls_tried)
		return v->credentials;
	v->tls_tried = true;
	v->fault[0] = '\0';
	if (v->warm && warm_fits(v->warm, &v->config->tls))
		use_warm(v);
	else if (v->warm && warm_failed(v->warm, &v->config->tls))
		snprintf(v->fault, sizeof(v->fault), "%s", v->warm->fault);
	else
		load_tls(v);
	close_opened(&v->config->tls);
	session_tls_fault(v->session, v->fault);
	return v->credentials;
}

/* What is said is said; a connection that cannot be written to is over. */
static bool flush(struct serve *v)
{
	struct buf *out = &v->session->out;

	if (v->trace)
		trace_file_replies(v->trace, buf_span(out));
	if (out->n == 0 || stream_flush(v->stream, out) == 0)
		return true;
	stop(v, END_BROKEN);
	out->n = 0;
	return false;
}

/* It is worth a line when the client leaves us time, the less the longer it has been here, or comes to a bad end. */
static bool is_worth_telling(const struct serve *v)
{
	bool is_due = stream_clock() - v->notify->last >= NOTIFY_INTERVAL;

	if (v->session->phase == PHASE_ENDED)
		return session_status(v->session);
	return stream_is_quiet(v->stream, is_due ? 0 : NOTIFY_INTERVAL);
}

/* Shows what goes on to whoever looks. */
static void tell_status(struct serve *v)
{
	char text[SESSION_STATE_MAX];
	struct buf b = BUF(text);

	if (!v->notify->socket)
		return;
	session_put_state(v->session, &b);
	if (buf_terminate(&b) && notify_is_news(v->notify, text) && is_worth_telling(v))
		notify_status(v->notify, text, stream_clock());
}

/* What a ticket is good for: what a client has shown of itself to one service counts at no other. */
static const char *service_of(const struct session_settings *settings)
{
	static const char *const words[2][AUTH_REQUIRED + 1] = {
		{ "starttls", "starttls auth", "starttls auth required" },
		{ "implicit", "implicit auth", "implicit auth required" },
	};

	if (settings->lmtp)
		return "lmtp";
	return words[settings->tls == TLS_IMPLICIT][settings->auth];
}

static void handshake(struct serve *v)
{
	struct tls_failure failure;
	struct tls_facts facts;
	int r;

	log_open(v->log);
	v->stream->service = service_of(v->session->settings);
	r = stream_secure(
		v->stream, v->api, v->credentials, HANDSHAKE_SECONDS, &facts, &failure);
	note(v, r < 0 ? "<TLS FAILS>" : "<TLS>");
	/* a health check */
	if (r == -ECONNRESET && v->session->peer.is_proxy && !v->stream->received) {
		stop(v, END_EOF);
		return;
	}
	if (r < 0) {
		struct moment now = moment_now();
		session_tls_failed(v->session, &failure, &now);
		return;
	}
	session_secured(v->session, &facts);
	idn_names_lend(v->names, v->api->names);
	if (v->logins)
		logins_secured(v->logins, v->api, v->stream->tls);
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
	note(v, "<ALERT>");
	stream_flush(v->stream, &v->session->out);
}

static bool wants_tls(const struct serve *v)
{
	return v->session->settings->tls == TLS_REQUIRED && !v->tls_tried;
}

static bool wants_logins(const struct serve *v)
{
	return v->logins && v->session->settings->auth == AUTH_REQUIRED &&
	       v->session->secured && !logins_tried(v->logins);
}

/* What the client will need is got ready while it is not waiting, once. */
static void prepare(struct serve *v)
{
	bool tls = wants_tls(v), logins = wants_logins(v);

	if (v->log->opened && !tls && !logins)
		return;
	if (!stream_is_quiet(v->stream, 0))
		return;
	log_open(v->log);
	if (tls)
		get_tls(v);
	if (logins)
		logins_load(v->logins);
}

/* The client has just been given something to do, or has nothing to wait for. */
static void use_idle_time(struct serve *v)
{
	prepare(v);
	/* who has one message often has no more to say than QUIT */
	if (log_is_pending(v->log) && stream_is_quiet(v->stream, LOG_DELAY))
		log_flush(v->log);
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

/* Why no more input came. */
static void stop_for(struct serve *v, ssize_t result)
{
	static const struct {
		ssize_t result;
		enum session_end why;
		const char *mark;
	} ends[] = {
		{ 0, END_EOF, "<EOF>" }, { STREAM_TIMEOUT, END_TIMEOUT, "<TIMEOUT>" },
		{ STREAM_TOO_LONG, END_SESSION_TIMEOUT, "<TIMEOUT>" },
		{ STREAM_STOP, END_SHUTDOWN, "<SIGTERM>" },
		{ -EIO, END_BROKEN, "<CUT>" }, /* or whatever else it is */
	};
	size_t i = 0, last = sizeof(ends) / sizeof(*ends) - 1;

	while (i < last && result != ends[i].result)
		i++;
	note(v, ends[i].mark);
	if (is_lost(v, result))
		lose(v, ends[i].why);
	else
		stop(v, ends[i].why);
}

/* The client has to wait for what is due then. */
static void pause_session(struct serve *v)
{
	int r;

	if (log_is_pending(v->log))
		log_flush(v->log);
	note(v, "<PAUSE>");
	r = stream_wait(v->stream, v->session->pause_until);
	if (r < 0)
		stop_for(v, r);
}

static void fill(struct serve *v)
{
	ssize_t got;

	tell_status(v);
	if (v->trace)
		trace_file_turn(v->trace);
	got = stream_fill(v->stream);
	if (got <= 0)
		stop_for(v, got);
}

/* False: there will be no session. */
static bool secure_first(struct serve *v)
{
	if (get_tls(v))
		handshake(v);
	else
		refuse_implicit(v);
	return v->session->secured;
}

/* The greeting, or what is said in its place. */
static void greet(struct serve *v, enum session_end end, struct span why)
{
	struct moment now = moment_now();

	if (end == END_NONE)
		session_greet(v->session);
	else
		session_refuse(v->session, end, why, &now);
}

/* Writes the session down where that is asked for; without it mail goes on all the same. */
static void begin_trace(struct serve *v, struct span denied)
{
	const struct config *c = v->config;
	const char *peer = v->session->peer.address;
	char text[CONFIG_FAULT_MAX], why[CONFIG_FAULT_MAX / 2];
	struct buf rule = BUF(text), b = BUF(why);
	struct ip ip;
	int r;

	if (c->traced.n == 0 || !ip_parse(span_of(peer), &ip) ||
		!networks_have(&c->traced, &ip))
		return;
	v->trace = malloc(sizeof(*v->trace));
	if (!v->trace)
		return;
	trace_file_init(v->trace);
	r = trace_file_open(v->trace, v->session, c);
	if (r == 0 && denied.n) {
		buf_put_str(&rule, peer);
		buf_put(&rule, SPAN(" deny "));
		buf_put(&rule, denied);
		trace_file_setting(v->trace, "rule", buf_span(&rule));
	}
	if (r == 0)
		return;
	file_put_directory_fault(&b, c->trace_directory, -r);
	snprintf(text, sizeof(text), "trace-directory %s: %s", c->trace_directory,
		b.overflow ? strerror(-r) : why);
	log_error(v->log, text);
}

static void end_trace(struct serve *v)
{
	char text[2 * CONFIG_FAULT_MAX];

	trace_file_done(v->trace);
	if (!v->trace->error)
		return;
	snprintf(text, sizeof(text), "trace-directory %.*s: %s", CONFIG_FAULT_MAX,
		v->trace->path, strerror(-v->trace->error));
	log_error(v->log, text);
}

static void begin(struct serve *v)
{
	bool implicit = v->session->settings->tls == TLS_IMPLICIT;
	struct span why = { 0 };
	enum session_end end =
		admit_client(v->config, v->stream, &v->session->peer, &why);
	bool is_known = end == END_NONE || end == END_DENIED;

	if (is_known)
		begin_trace(v, end == END_DENIED ? why : SPAN(""));
	if (is_known && implicit && !secure_first(v))
		return;
	if (is_known && !implicit)
		v->session->peer.early =
			v->stream->have.n > 0 || stream_is_ready(v->stream);
	greet(v, end, why);
	/* where TLS comes first nothing is said in the clear */
	if (implicit && !v->session->secured)
		v->session->out.n = 0;
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
		if (want == SESSION_PAUSE)
			pause_session(v);
		if (want == SESSION_INPUT) {
			use_idle_time(v);
			fill(v);
		}
	} while (want != SESSION_END);
	if (v->trace)
		end_trace(v);
	tell_status(v);
	if (log_is_pending(v->log))
		log_flush(v->log);
	stream_finish(v->stream);
}
