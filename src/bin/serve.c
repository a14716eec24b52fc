/* SPDX-License-Identifier: ISC */
/*
 * Serves one client: moves octets between the stream and the engine, and carries out the
 * requests of the engine: TLS, pauses, the end. Slow work waits for an idle client.
 */
#include "bin/serve.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>
#include "bin/filters.h"
#include "bin/proxy-and-rules.h"
#include "edge/file.h"
#include "edge/module.h"
#include "smtp/ending.h"

#define SMTP_PORT 25
/* milliseconds of waiting before the rate of content is checked */
#define SLOW_AFTER 60000
#define LOG_DELAY 20 /* milliseconds in which further records may follow */

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

static void stop(struct connection *c, enum session_end why)
{
	struct moment now = moment_now();

	session_stop(&c->session, why, &now);
}

/* Marks an event in the trace. */
static void note(struct connection *c, const char *mark)
{
	if (c->trace)
		trace_file_event(c->trace, mark);
}

/* Sends the replies. False: the connection cannot be written to, and ends. */
static bool flush(struct connection *c)
{
	struct buf *out = &c->session.out;

	if (c->trace)
		trace_file_replies(c->trace, buf_span(out));
	if (out->n == 0 || stream_flush(&c->stream, out) == 0)
		return true;
	stop(c, END_BROKEN);
	out->n = 0;
	return false;
}

/* True while the client is quiet, or at the end of a session with a fault. */
static bool may_send_status(const struct connection *c)
{
	bool is_due = stream_clock() - c->notify.last >= NOTIFY_INTERVAL;

	if (c->session.phase == PHASE_ENDED)
		return session_status(&c->session);
	return stream_is_quiet(&c->stream, is_due ? 0 : NOTIFY_INTERVAL);
}

/* Sends the line for the service manager, if it has changed. */
static void send_status(struct connection *c)
{
	char text[SESSION_STATE_MAX];
	struct buf b = BUF(text);

	if (!c->notify.socket)
		return;
	session_put_state(&c->session, &b);
	if (buf_terminate(&b) && notify_is_changed(&c->notify, text) &&
		may_send_status(c))
		notify_status(&c->notify, text, stream_clock());
}

/*
 * Returns the service for which TLS tickets are valid, because the certificate of a
 * client for one service must not be used for another.
 */
static const char *ticket_service(const struct session_settings *settings)
{
	static const char *const words[2][AUTH_REQUIRED + 1] = {
		{ "starttls", "starttls auth", "starttls auth required" },
		{ "implicit", "implicit auth", "implicit auth required" },
	};

	if (settings->lmtp)
		return "lmtp";
	return words[settings->tls == TLS_IMPLICIT][settings->auth];
}

static void handshake(struct connection *c)
{
	struct tls_failure failure;
	struct tls_facts facts;
	int r;

	log_open(&c->log);
	c->stream.service = ticket_service(c->session.settings);
	r = stream_secure(&c->stream, c->tls_api, c->credentials, HANDSHAKE_SECONDS,
		&facts, &failure);
	connection_close_keys(c);
	note(c, r < 0 ? "<TLS FAILS>" : "<TLS>");
	/* a health check of a proxy */
	if (r == -ECONNRESET && c->session.peer.is_proxy && !c->stream.received) {
		stop(c, END_EOF);
		return;
	}
	if (r < 0) {
		struct moment now = moment_now();
		session_tls_failed(&c->session, &failure, &now);
		return;
	}
	session_secured(&c->session, &facts);
	idn_names_lend(&c->names, c->tls_api->names);
	if (c->backend)
		backend_secured(c->backend, c->tls_api, c->stream.tls);
	if (connection_is_confined_later(c))
		c->confine.armed = true;
}

static void start_tls(struct connection *c)
{
	bool usable = connection_load_tls(c);

	session_tls_ready(&c->session, usable ? TLS_READY : TLS_UNUSABLE);
	if (usable && flush(c))
		handshake(c);
}

/* Refuses TLS by an alert in the clear, because there is no certificate (RFC 8446 6). */
static void refuse_implicit(struct connection *c)
{
	static const char alert[] = { 21, 3, 3, 0, 2, 2, 80 }; /* fatal, internal_error */

	stop(c, END_TLS_UNUSABLE);
	c->session.out.n = 0;
	buf_put(&c->session.out, (struct span){ alert, sizeof(alert) });
	note(c, "<ALERT>");
	stream_flush(&c->stream, &c->session.out);
}

static bool wants_tls(const struct connection *c)
{
	return c->session.settings->tls == TLS_REQUIRED && !c->tls_tried;
}

static bool wants_sasl(const struct connection *c)
{
	return c->backend &&
	       (c->session.settings->auth == AUTH_REQUIRED || c->asks_for_login) &&
	       c->session.secured && !backend_tried(c->backend);
}

/* Loads modules that the client may need, once, while it does not wait. */
static void prepare(struct connection *c)
{
	bool tls = wants_tls(c), sasl = wants_sasl(c);

	if (c->log.opened && !tls && !sasl)
		return;
	if (!stream_is_quiet(&c->stream, 0))
		return;
	log_open(&c->log);
	if (tls)
		connection_load_tls(c);
	if (sasl)
		backend_load(c->backend);
}

/* Does slow work when the client has all replies and does not wait. */
static void use_idle_time(struct connection *c)
{
	filters_use_time(c->filters);
	prepare(c);
	/* after a message often only QUIT follows */
	if (log_is_pending(&c->log) && stream_is_quiet(&c->stream, LOG_DELAY))
		log_flush(&c->log);
}

/* True when TLS broke, or ended before the first command. */
static bool is_tls_lost(const struct connection *c, ssize_t result)
{
	if (!c->stream.tls)
		return false;
	return result == -EPROTO ||
	       (!c->session.helo[0] && (result == 0 || result == -ECONNRESET));
}

static void stop_lost_tls(struct connection *c, enum session_end why)
{
	struct moment now = moment_now();
	struct tls_failure failure;

	c->tls_api->failure(c->stream.tls, &failure);
	session_tls_lost(&c->session, why, &failure, &now);
}

/* Ends the session according to the result of a read without input. */
static void stop_for(struct connection *c, ssize_t result)
{
	static const struct {
		ssize_t result;
		enum session_end why;
		const char *mark;
	} ends[] = {
		{ 0, END_EOF, "<EOF>" }, { STREAM_TIMEOUT, END_TIMEOUT, "<TIMEOUT>" },
		{ STREAM_TOO_LONG, END_SESSION_TIMEOUT, "<TIMEOUT>" },
		{ STREAM_STOP, END_SHUTDOWN, "<SIGTERM>" },
		{ -EIO, END_BROKEN, "<CUT>" }, /* or any other error */
	};
	size_t i = 0, last = sizeof(ends) / sizeof(*ends) - 1;

	while (i < last && result != ends[i].result)
		i++;
	note(c, ends[i].mark);
	if (is_tls_lost(c, result))
		stop_lost_tls(c, ends[i].why);
	else
		stop(c, ends[i].why);
}

/* Waits before the next reply, as the engine requested. */
static void pause_session(struct connection *c)
{
	int r;

	if (log_is_pending(&c->log))
		log_flush(&c->log);
	note(c, "<PAUSE>");
	r = stream_wait(&c->stream, c->session.pause_until);
	if (r < 0)
		stop_for(c, r);
}

/*
 * Ends a session whose client sends content too slowly. Only the time of waiting counts,
 * because a slow disk of this host is no fault of the client.
 */
static void check_pace(struct connection *c, const struct moment *now)
{
	struct pace *p = &c->pace;

	/* otherwise the octets were in a TLS record that had been read */
	if (c->stream.waiting)
		p->waited += now->milliseconds - c->stream.waiting;
	p->octets += p->got;
	p->got = 0;
	if (p->waited < SLOW_AFTER ||
		p->octets / (p->waited / 1000) >= c->config.min_data_rate)
		return;
	note(c, "<TIMEOUT>");
	stop(c, END_SLOW);
}

static void fill(struct connection *c)
{
	bool is_content = c->session.phase & (PHASE_CONTENT | PHASE_CHUNK);
	ssize_t got;

	send_status(c);
	if (c->trace)
		trace_file_turn(c->trace);
	/* the next message may have begun without a read between the two */
	if (c->pace.transaction != c->session.n_transactions)
		c->pace = (struct pace){ .transaction = c->session.n_transactions };
	c->stream.waiting = 0;
	got = stream_fill(&c->stream);
	if (got <= 0)
		stop_for(c, got);
	else if (is_content)
		c->pace.got = (uint64_t)got;
}

/* Compares the failures of the source with the limits, except for a proxy itself. */
static enum session_end judge_source(struct connection *c)
{
	const struct failure_limits limits = failure_limits_of(&c->config);
	const struct session_peer *peer = &c->session.peer;
	struct failure_link *l = &c->failures;
	uint64_t now = stream_clock();
	struct ip ip;

	if (!l->channel || peer->is_proxy || !ip_parse(span_of(peer->address), &ip))
		return END_NONE;
	if (!failure_link_begin(l, &limits, &ip, peer->proxy[0], now))
		return END_SOURCE_FAILURES;
	c->session.n_failed_before =
		failures_count(l->table, &limits, &ip, FAILURE_LOGIN, now);
	return END_NONE;
}

/*
 * Reports failures of this session. After each, and again after the pause of a login, it
 * ends if its source has too many, including those of other sessions. Never after another
 * reply, and after a handshake rather than before it: the refusal would be in the clear.
 */
static void report_failures(struct connection *c, enum session_want want)
{
	const size_t n[FAILURES] = { [FAILURE_LOGIN] = c->session.n_auth_failures,
		[FAILURE_RECIPIENT] = c->session.n_unknown };
	const struct failure_limits limits = failure_limits_of(&c->config);
	struct failure_link *l = &c->failures;
	bool is_tls = want == SESSION_TLS;

	if (failure_link_report(l, n, is_tls || want == SESSION_PAUSE) && !is_tls &&
		failures_exceeded(l->table, &limits, &l->source, stream_clock()) !=
			FAILURES)
		stop(c, END_SOURCE_FAILURES);
}

/* Makes TLS before the greeting. False: there is no session. */
static bool secure_first(struct connection *c)
{
	if (connection_load_tls(c))
		handshake(c);
	else
		refuse_implicit(c);
	return c->session.secured;
}

/* Sends the greeting, or a refusal. */
static void greet(struct connection *c, enum session_end end, struct span why)
{
	struct moment now = moment_now();

	if (end == END_NONE)
		session_greet(&c->session);
	else
		session_refuse(&c->session, end, why, &now);
}

static int open_trace(void *ctx, const char *name)
{
	return broker_trace(ctx, name);
}

/* Begins a trace if the settings require one. Mail is received even if this fails. */
static void begin_trace(struct connection *c, struct span denied)
{
	const struct config *config = &c->config;
	const char *peer = c->session.peer.address;
	char text[CONFIG_FAULT_MAX], why[CONFIG_FAULT_MAX / 2];
	const struct trace_opener opener = { open_trace, &c->broker };
	struct buf rule = BUF(text), b = BUF(why);
	struct ip ip;
	int r;

	if (config->traced.n == 0 || !ip_parse(span_of(peer), &ip) ||
		!networks_have(&config->traced, &ip))
		return;
	c->trace = malloc(sizeof(*c->trace));
	if (!c->trace)
		return;
	trace_file_init(c->trace);
	r = trace_file_open(
		c->trace, &c->session, config, c->dirs.owners ? &opener : NULL);
	if (r == 0 && denied.n) {
		buf_put_str(&rule, peer);
		buf_put(&rule, SPAN(" deny "));
		buf_put(&rule, denied);
		trace_file_setting(c->trace, "rule", buf_span(&rule));
	}
	if (r == 0)
		return;
	file_put_directory_fault(&b, config->trace_directory, -r);
	snprintf(text, sizeof(text), "trace-directory %s: %s", config->trace_directory,
		b.overflow ? strerror(-r) : why);
	log_error(&c->log, text);
}

static void end_trace(struct connection *c)
{
	char text[2 * CONFIG_FAULT_MAX];

	trace_file_done(c->trace);
	if (!c->trace->error)
		return;
	snprintf(text, sizeof(text), "trace-directory %.*s: %s", CONFIG_FAULT_MAX,
		c->trace->path, strerror(-c->trace->error));
	log_error(&c->log, text);
}

static void begin(struct connection *c)
{
	bool implicit = c->session.settings->tls == TLS_IMPLICIT;
	struct span why = { 0 };
	enum session_end end =
		client_identify(&c->config, &c->stream, &c->session.peer, &why);
	bool is_known;

	if (c->filters && !c->config.milters)
		filters_leave_out(&c->filters, c->stages, &c->n_stages);
	if (end == END_NONE && c->lacks_filters && c->config.milters)
		end = END_MISCONFIGURED;
	if (end == END_NONE)
		end = judge_source(c);
	is_known = end == END_NONE || end == END_DENIED;
	if (is_known)
		begin_trace(c, end == END_DENIED ? why : SPAN(""));
	if (is_known && implicit && !secure_first(c))
		return;
	if (is_known && !implicit)
		c->session.peer.early =
			c->stream.have.n > 0 || stream_is_ready(&c->stream);
	greet(c, end, why);
	/* if TLS comes first, nothing is sent in the clear */
	if (implicit && !c->session.secured)
		c->session.out.n = 0;
}

void serve(struct connection *c)
{
	enum session_want want;

	begin(c);
	do {
		struct moment now = moment_now();
		if (c->pace.got)
			check_pace(c, &now);
		want = session_take(&c->session, &c->stream.have, &now);
		if (c->failures.source.n &&
			(c->session.n_auth_failures || c->session.n_unknown))
			report_failures(c, want);
		if (want == SESSION_TLS) {
			start_tls(c);
			continue;
		}
		if (!flush(c))
			break;
		if (want == SESSION_PAUSE)
			pause_session(c);
		if (want == SESSION_INPUT) {
			use_idle_time(c);
			fill(c);
		}
	} while (want != SESSION_END);
	if (c->trace)
		end_trace(c);
	send_status(c);
	if (log_is_pending(&c->log))
		log_flush(&c->log);
	stream_finish(&c->stream);
}

/* LMTP must not be used on port 25 (RFC 2033 5). */
static bool is_port_of_smtp(struct connection *c)
{
	if (!c->options.lmtp || c->session.own_port != SMTP_PORT)
		return false;
	log_error(&c->log, "--lmtp: must not be spoken on port 25 (RFC 2033)");
	return true;
}

/* Sends 421; a record has the reason already. */
static int refuse(struct connection *c)
{
	struct moment now = moment_now();

	session_stop(&c->session, END_MISCONFIGURED, &now);
	stream_flush(&c->stream, &c->session.out);
	log_done(&c->log);
	stream_finish(&c->stream);
	return EX_CONFIG;
}

/*
 * Like refuse(), without waiting, memory and descriptors. Sends nothing if TLS is first.
 */
static int refuse_at_once(struct connection *c, int error)
{
	struct moment now = moment_now();
	const struct buf *out = &c->session.out;

	connection_failed(c, "connection", c->session.peer.address, error);
	session_stop(&c->session, END_MISCONFIGURED, &now);
	/* it fits into the socket, because nothing has been written yet */
	if (c->config.session.tls != TLS_IMPLICIT &&
		write(STDOUT_FILENO, out->p, out->n) < 0)
		connection_failed(c, "connection", c->session.peer.address, -errno);
	log_done(&c->log);
	return EX_OSERR;
}

static const char *value_of(const struct peer_environment *env, const char *name)
{
	if (strcmp(name, "TCPREMOTEIP") == 0)
		return env->tcp_remote_ip;
	return strcmp(name, "REMOTE_ADDR") == 0 ? env->remote_addr : env->remote_host;
}

/* A client of unknown address is refused if a rule might have refused it. */
static void find_peer(struct connection *c)
{
	const struct peer_environment *env = &c->inherited.peer;
	const char *name = peer_find(STDIN_FILENO, env, &c->session.peer);
	bool may_refuse = c->config.clients.may_refuse;
	char text[CONFIG_FAULT_MAX];

	if (!name)
		return;
	snprintf(text, sizeof(text),
		"the variable %s of the environment is no IP address but \"%.80s\"%s",
		name, value_of(env, name),
		may_refuse ? ": the client is refused, as rules of clients may hold "
			     "for it"
			   : "");
	log_error(&c->log, text);
	c->unusable |= may_refuse;
}

/* Returns the service of the socket, by settings that units and kinds of sockets set. */
static const char *kind_of_service(const struct session_settings *s)
{
	if (s->lmtp)
		return "lmtp";
	if (s->tls == TLS_IMPLICIT)
		return "smtps";
	return s->tls == TLS_REQUIRED && s->auth == AUTH_REQUIRED ? "submission" : "smtp";
}

static void begin_session(struct connection *c, const struct session_peer *peer)
{
	struct moment now = moment_now();
	struct buf unique = BUF(c->unique);

	buf_put_char(&unique, 'P');
	buf_put_num(&unique, (uint64_t)getpid());
	buf_terminate(&unique);
	session_init(&c->session, &c->config.session,
		(struct stages){ c->stages, c->n_stages }, &c->log.recorder, c->unique,
		&now);
	c->session.confinement = c->confinement;
	if (c->filters)
		c->session.filters = c->filters->facts;
	c->session.service = kind_of_service(&c->config.session);
	c->session.own_port = peer_own_port(STDIN_FILENO);
	notify_init(&c->notify, c->inherited.notify_socket, now.milliseconds);
	if (peer)
		c->session.peer = *peer;
	else
		find_peer(c);
}

int serve_client(struct connection *c, const struct session_peer *peer)
{
	int r;

	begin_session(c, peer);
	r = stream_init(&c->stream, STDIN_FILENO, STDOUT_FILENO, c->config.timeout,
		c->config.session_timeout);
	if (r < 0)
		return refuse_at_once(c, r);
	connection_heed_signals(c);
	c->stream.forked = peer != NULL;
	if (c->failures.table)
		c->stream.is_crowded = &c->failures.table->is_crowded;
	if (c->unusable || is_port_of_smtp(c))
		return refuse(c);
	serve(c);
	filters_end(c->filters);
	/* COST: 4 us of each session: free() touches pages, and the process ends */
	if (peer)
		return 0;
	filters_close(c->filters);
	backend_free(c->backend);
	policy_done(&c->policy);
	return 0;
}

int serve_inherited(struct connection *c)
{
	enum inherit_result r = inherit_connection(&c->inherited);

	stream_block_stop_signals();
	if (r == INHERIT_LISTENING) {
		dprintf(STDERR_FILENO, "postern: standard input is a listening socket: "
				       "use Accept=yes\n");
		return EX_USAGE;
	}
	if (r == INHERIT_FAILED)
		return EX_OSERR;
	connection_prepare(c);
	connection_open(c);
	if (!c->unusable)
		c->unusable = connection_confine(c) < 0;
	return serve_client(c, NULL);
}
