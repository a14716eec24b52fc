/* SPDX-License-Identifier: ISC */
/*
 * Accepts connections, checks limits, and forks a process for each client. It waits only
 * in poll(). A client that is not served gets 421 if possible, and a record has the
 * reason. Further input of such a client is read and dropped.
 */
#include "bin/listen/acceptor.h"
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>
#include "bin/proxy-and-rules.h"
#include "bin/serve.h"
#include "edge/net/net.h"
#include "smtp/ending.h"

#define REPORTS_AT_ONCE 256 /* of failures; more are read in the next round */
#define RECORDS_EVERY 60000 /* milliseconds between two records of one kind */

/* Clients that were not served, for a record once in a while. */
struct unserved {
	uint64_t recorded; /* when the last record was written */
	size_t n; /* clients since then */
};

struct acceptor {
	const struct acceptor_task *task;
	struct prepared prepared;
	size_t n_own; /* processes of connections */
	size_t n_begun;
	uint64_t messaged; /* when the last message was sent */
	struct unserved refused, failed;
	struct lingering lingering;
	int reports; /* SOCK_DGRAM, for reports of all connections; -1: none */
	int reports_end; /* the end of the connections */
	uint64_t held_until; /* no connection is accepted before this time; 0: now */
	uint64_t ask_again; /* no successor is requested before this time; 0: now */
	bool has_counts; /* counts have to be sent */
	bool leaving; /* a successor accepts */
	bool over;
};

/* Sends a message without waiting. Counts that do not arrive are sent again. */
static void send_message(struct acceptor *a, struct acceptor_message m)
{
	a->messaged = stream_clock();
	if (send(a->task->channel, &m, sizeof(m), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		a->over |= errno != EAGAIN;
	else
		a->has_counts = false;
}

/* Sends a request. No connection is accepted until the answer, for a limited time. */
static void ask(struct acceptor *a, struct acceptor_message m)
{
	send_message(a, m);
	a->held_until = a->messaged + ACCEPTOR_ANSWER_TIME;
	a->ask_again = a->held_until + ACCEPTOR_ANSWER_TIME;
}

/* Writes one record per minute at most, because refused clients may return at once. */
static void report_unserved(struct acceptor *a, struct unserved *u, const char *text)
{
	uint64_t now = stream_clock();
	char line[CONFIG_FAULT_MAX];

	u->n++;
	if (u->recorded && now - u->recorded < RECORDS_EVERY)
		return;
	snprintf(line, sizeof(line), "%s; %zu in all since the last such record", text,
		u->n);
	*u = (struct unserved){ .recorded = now };
	log_error(&a->prepared.any->log, line);
	log_flush(&a->prepared.any->log);
}

static void report_refusal(struct acceptor *a, const char *address, const char *limit)
{
	char text[CONFIG_FAULT_MAX / 2];

	snprintf(text, sizeof(text), "%s: a connection of %s was refused", limit,
		address[0] ? address : "unknown");
	report_unserved(a, &a->refused, text);
}

/* Sends 421, or nothing if TLS comes first. */
static void send_refusal(const struct listen_socket *s, int fd, enum reply_name why)
{
	char octets[REPLY_LINE_MAX];
	struct buf b = BUF(octets);

	reply_put(&b, reply_get(why), SPAN(""));
	if (s->kind != LISTEN_SMTPS &&
		send(fd, b.p, b.n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return;
	shutdown(fd, SHUT_WR);
}

static void refuse(
	struct acceptor *a, const struct listen_socket *s, int fd, enum reply_name why)
{
	send_refusal(s, fd, why);
	lingering_add(&a->lingering, fd, a->task->from);
}

/* Closes sockets, channels, files, and clients that only other connections need. */
static void close_others(const struct acceptor *a, const struct connection *c)
{
	close_range((unsigned)a->task->from, UINT_MAX, 0);
	for (size_t i = 0; i < LISTEN_KINDS; i++)
		if (a->prepared.list[i] && a->prepared.list[i] != c)
			connection_close_files(a->prepared.list[i]);
}

/* Opens a channel to the key agent for a connection that may use TLS; or -errno. */
static int open_keys(
	const struct acceptor *a, const struct listen_socket *s, const struct ip *source)
{
	const struct connection *c = a->prepared.list[s->kind];
	struct preload *p = a->task->preload;

	if (!p->keys || c->unusable || !preload_fits(p, &c->config) ||
		!config_may_use_tls(&c->config))
		return -ECONNRESET;
	return keys_open(&p->agents, source);
}

/* A channel to the broker for a connection that can receive mail; or -errno. */
static int open_broker(const struct acceptor *a, const struct listen_socket *s)
{
	const struct connection *c = a->prepared.list[s->kind];

	return c->unusable ? -ECONNRESET : broker_open(a->prepared.broker);
}

/* A channel to the connector for a connection that may ask filters; or -errno. */
static int open_sockets(struct acceptor *a, const struct listen_socket *s,
	const struct session_peer *peer)
{
	const struct connection *c = a->prepared.list[s->kind];

	if (!c->filters || c->unusable || client_is_unfiltered(&c->config, peer))
		return -ECONNRESET;
	return filters_open_channel(&a->prepared.connector, s->kind, stream_clock());
}

/* What only this connection has, of the other processes. */
struct own_channels {
	int keys, broker, sockets; /* or -errno */
};

static void close_channels(const struct own_channels *own)
{
	if (own->keys >= 0)
		close(own->keys);
	if (own->broker >= 0)
		close(own->broker);
	if (own->sockets >= 0)
		close(own->sockets);
}

/* Serves the client, in the process of the connection. */
static void run_connection(const struct acceptor *a, const struct listen_socket *s,
	int fd, const struct own_channels *own, const struct session_peer *peer)
{
	struct connection *c = a->prepared.list[s->kind];
	int r;

	if (a->task->preload->keys)
		a->task->preload->keys->channel = own->keys;
	broker_link_init(&c->broker, own->broker);
	stream_block_stop_signals();
	log_forked(&c->log);
	if (dup2(fd, STDIN_FILENO) < 0 || dup2(fd, STDOUT_FILENO) < 0) {
		connection_failed(c, "connection", "(no descriptor)", -errno);
		log_flush(&c->log);
		send_refusal(s, fd, REPLY_CONNECTIONS);
		_exit(EX_OSERR);
	}
	close(fd);
	if (a->reports_end >= 0 && !c->failures.channel)
		close(a->reports_end);
	close_others(a, c);
	filters_connect(c->filters, own->sockets);
	if (c->config.sandbox && !c->unusable && (r = sandbox_enter_forked()) < 0) {
		connection_failed(c, CONNECTION_SANDBOX, r);
		c->unusable = true;
	}
	r = serve_client(c, peer);
	_exit(r ? r : LISTEN_STATUS + (int)topic_of_session(&c->session));
}

/* Forks a process for the client, and takes `fd` over. */
static void fork_connection(struct acceptor *a, const struct listen_socket *s, int fd,
	const struct session_peer *peer, const struct ip *source, bool is_relay)
{
	const struct own_channels own = { open_keys(a, s, source), open_broker(a, s),
		open_sockets(a, s, peer) };
	pid_t pid = fork();
	int error = errno;

	if (pid == 0)
		run_connection(a, s, fd, &own, peer);
	close_channels(&own);
	if (pid < 0) {
		report_refusal(a, peer->address, strerror(error));
		refuse(a, s, fd, REPLY_CONNECTIONS);
		return;
	}
	close(fd);
	listen_add(a->task->children, getpid(), pid, source, is_relay);
	listen_note_crowd(a->task->children, a->prepared.any->config.connection_limit);
	a->n_own++;
	a->n_begun++;
	a->has_counts = true;
}

static const char *limit_of(enum listen_verdict verdict)
{
	switch (verdict) {
	case LISTEN_FULL:
		return "connection-limit";
	case LISTEN_SOURCE_FULL:
		return "source-connection-limit";
	default:
		return "source-connection-rate";
	}
}

/* True for a peer that must send its client's address; failures are not its own. */
static bool is_proxy(const struct config *c, const struct ip *ip)
{
	const struct rule *rule = ip->n ? clients_find(&c->clients, ip) : NULL;

	return networks_have(&c->proxies, ip) || (rule && rule->proxy);
}

/* Refuses a source with too many failures, and then takes `fd` over. Not in LMTP. */
static bool refuses_failed(struct acceptor *a, const struct listen_socket *s, int fd,
	const struct session_peer *peer, const struct ip *source)
{
	const struct failure_limits limits = failure_limits_of(&a->prepared.any->config);
	enum failure kind =
		s->kind == LISTEN_LMTP
			? FAILURES
			: failures_exceeded(listen_failures(a->task->children), &limits,
				  source, stream_clock());

	if (kind == FAILURES)
		return false;
	report_refusal(a, peer->address, failure_setting(kind));
	refuse(a, s, fd, REPLY_SOURCE_FAILURES);
	return true;
}

/* Serves or refuses the client, by the limits, and takes `fd` over. */
static void check_limits(struct acceptor *a, const struct listen_socket *s, int fd,
	const struct session_peer *peer)
{
	const struct config *c = &a->prepared.any->config;
	const struct listen_limits limits = { c->connection_limit,
		c->source_connection_limit, c->source_connection_rate };
	struct ip ip = { 0 }, source;
	enum listen_verdict verdict;
	bool names_client;

	if (!ip_parse(span_of(peer->address), &ip))
		ip.n = 0;
	source = listen_source(&ip);
	names_client = is_proxy(c, &ip);
	if (!names_client && refuses_failed(a, s, fd, peer, &source))
		return;
	verdict = listen_judge(a->task->children, &limits, &source, names_client,
		stream_clock() / (LISTEN_RATE_SECONDS * 1000));
	if (verdict == LISTEN_FINE) {
		fork_connection(
			a, s, fd, peer, &source, names_client || s->kind == LISTEN_LMTP);
		return;
	}
	report_refusal(a, peer->address, limit_of(verdict));
	refuse(a, s, fd, REPLY_CONNECTIONS);
}

static void leave(struct acceptor *a)
{
	a->leaving = true;
	for (size_t i = 0; i < a->task->sockets->n; i++)
		close(a->task->sockets->list[i].fd);
	lingering_close_all(&a->lingering);
}

/* Requests a successor: a file has changed, or unusable settings may be usable now. */
static bool asks_for_successor(struct acceptor *a)
{
	if (a->ask_again && stream_clock() < a->ask_again)
		return false;
	a->ask_again = 0;
	if (a->prepared.broker >= 0 && broker_has_ended(a->prepared.broker))
		ask(a, (struct acceptor_message){ .word = ACCEPTOR_BROKERLESS });
	else if (hangs_has(a->task->hangs, a->prepared.place, stream_clock()))
		ask(a, (struct acceptor_message){
			       .word = ACCEPTOR_HANGS, .place = a->prepared.place });
	else if (watch_has_changed(&a->prepared.watch))
		ask(a, (struct acceptor_message){ .word = ACCEPTOR_CHANGED });
	else if (a->prepared.lost_connector ||
		 (a->n_begun && (prepared_is_unusable(&a->prepared) ||
					preload_has_failed(a->task->preload))))
		ask(a, (struct acceptor_message){ .word = ACCEPTOR_UNUSABLE });
	return a->held_until != 0;
}

/*
 * Closes descriptor 0, which is /dev/null like 1, to accept and refuse one client with a
 * reply. False when no client could be accepted.
 */
static bool refuse_in_reserve(const struct listen_socket *s)
{
	int fd;

	close(STDIN_FILENO);
	fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		send_refusal(s, fd, REPLY_CONNECTIONS);
	if (fd > STDIN_FILENO)
		close(fd);
	dup2(STDOUT_FILENO, STDIN_FILENO);
	return fd >= 0;
}

/* True when the client has closed, or no connection was waiting. */
static bool is_harmless(int error)
{
	return error == EAGAIN || error == ECONNABORTED || error == EINTR;
}

/* Stops accepting for a while, because accept() would fail again at once. */
static void handle_failed_accept(
	struct acceptor *a, const struct listen_socket *s, int error)
{
	bool lacks_descriptors = error == EMFILE || error == ENFILE;
	char text[CONFIG_FAULT_MAX / 2];

	if (is_harmless(error))
		return;
	snprintf(text, sizeof(text), "a connection could not be accepted: %s%s",
		strerror(error),
		error == EMFILE ? " (raise LimitNOFILE= of the unit, or ulimit -n)" : "");
	report_unserved(a, &a->failed, text);
	if (!lacks_descriptors || !refuse_in_reserve(s))
		a->held_until = stream_clock() + ACCEPTOR_PAUSE;
}

static void accept_from(struct acceptor *a, const struct listen_socket *s)
{
	struct session_peer peer;
	int fd;

	if (asks_for_successor(a))
		return;
	fd = peer_accept(s->fd, &peer);
	if (fd < 0)
		handle_failed_accept(a, s, errno);
	else
		check_limits(a, s, fd, &peer);
}

/* Returns the sending process, which the kernel has added; 0: unknown. */
static pid_t sender_of(struct msghdr *message)
{
	const struct cmsghdr *c = CMSG_FIRSTHDR(message);
	struct ucred sender = { 0 };

	if (c && c->cmsg_type == SCM_CREDENTIALS &&
		c->cmsg_len == CMSG_LEN(sizeof(sender)))
		memcpy(&sender, CMSG_DATA(c), sizeof(sender));
	return sender.pid;
}

/* Counts one report of a connection. False: none is waiting. */
static bool read_report(struct acceptor *a)
{
	const struct failure_limits limits = failure_limits_of(&a->prepared.any->config);
	union {
		struct cmsghdr header;
		char octets[CMSG_SPACE(sizeof(struct ucred))];
	} sender;
	struct failure_report report;
	struct iovec part = { &report, sizeof(report) };
	struct msghdr message = { .msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &sender,
		.msg_controllen = sizeof(sender) };
	ssize_t n = recvmsg(a->reports, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n == sizeof(report) && !(message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
		listen_count_report(a->task->children, sender_of(&message), &report,
			&limits, stream_clock());
	return n >= 0;
}

/* Called before ended processes are removed: until then their numbers are not reused. */
static void read_reports(struct acceptor *a)
{
	for (size_t i = 0; i < REPORTS_AT_ONCE && read_report(a); i++)
		continue;
}

static void reap_child(struct acceptor *a, pid_t pid, int status)
{
	const struct config *c = &a->prepared.any->config;
	const struct failure_limits limits = failure_limits_of(c);

	if (listen_is_fault(status))
		listen_count_crash(a->task->children, pid, &limits, stream_clock());
	listen_remove(a->task->children, pid, status);
	listen_note_crowd(a->task->children, a->leaving ? 0 : c->connection_limit);
	a->n_own--;
	a->has_counts = true;
	if (listen_is_fault(status))
		ask(a, (struct acceptor_message){ .word = ACCEPTOR_FAULT,
			       .pid = pid,
			       .signal = WTERMSIG(status) });
}

static void read_signals(struct acceptor *a)
{
	pid_t pid;
	int status;

	a->over |= listen_read_stop(a->task->signals);
	while (!a->over && (pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == a->prepared.connector.pid)
			prepared_lose_connector(&a->prepared, "has ended");
		else
			reap_child(a, pid, status);
}

static void read_answer(struct acceptor *a)
{
	struct acceptor_answer answer;

	if (recv(a->task->channel, &answer, sizeof(answer), MSG_DONTWAIT) !=
		sizeof(answer)) {
		a->over = true;
		return;
	}
	a->held_until = 0;
	if (answer.order == ACCEPTOR_LEAVE && !a->leaving)
		leave(a);
	a->ask_again = answer.wait ? stream_clock() + answer.wait : 0;
}

static int sooner(int a, int b)
{
	if (a < 0 || b < 0)
		return a < 0 ? b : a;
	return a < b ? a : b;
}

/* Sends a message that is due. Returns milliseconds until the next one; -1: none. */
static int send_in_time(struct acceptor *a)
{
	uint64_t now = stream_clock(), alive = a->task->alive, every = alive;

	if (a->has_counts && (!alive || ACCEPTOR_COUNTS_EVERY < alive))
		every = ACCEPTOR_COUNTS_EVERY;
	if (!every)
		return -1;
	if (now - a->messaged < every)
		return (int)(a->messaged + every - now);
	send_message(a, (struct acceptor_message){ .word = ACCEPTOR_COUNTS });
	return alive ? (int)alive : -1;
}

/* Returns the milliseconds until connections are accepted again; -1: now. */
static int held_for(struct acceptor *a)
{
	uint64_t now = a->held_until ? stream_clock() : 0;

	if (now < a->held_until)
		return (int)(a->held_until - now);
	a->held_until = 0;
	return -1;
}

#define FIXED_FDS 4 /* signals, channel, reports, connector */

/* Milliseconds until something is due; -1: nothing is. */
static int next_wait(struct acceptor *a, int pause)
{
	int connector = filters_connector_wait(&a->prepared.connector, stream_clock());
	int others = sooner(send_in_time(a), lingering_wait(&a->lingering));

	return sooner(pause, sooner(connector, others));
}

static void loop(struct acceptor *a)
{
	const struct listen_sockets *s = a->task->sockets;
	struct pollfd fds[FIXED_FDS + LINGERING_MAX + LISTEN_SOCKETS_MAX];

	fds[0] = (struct pollfd){ .fd = a->task->signals, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = a->task->channel, .events = POLLIN };
	fds[2] = (struct pollfd){ .fd = a->reports, .events = POLLIN };
	while (!a->over && (!a->leaving || a->n_own)) {
		int pause = held_for(a);
		int wait = next_wait(a, pause);
		size_t n = FIXED_FDS + a->lingering.n;
		size_t n_sockets = a->leaving || pause >= 0 ? 0 : s->n;
		fds[3] = (struct pollfd){ a->prepared.connector.control, POLLIN, 0 };
		lingering_prepare(&a->lingering, fds + FIXED_FDS);
		for (size_t i = 0; i < n_sockets; i++)
			fds[n + i] = (struct pollfd){ s->list[i].fd, POLLIN, 0 };
		if (poll(fds, n + n_sockets, wait) < 0)
			continue;
		lingering_read(&a->lingering, fds + FIXED_FDS);
		if (fds[2].revents)
			read_reports(a);
		if (fds[1].revents)
			read_answer(a);
		if (fds[0].revents)
			read_signals(a);
		prepared_watch_connector(&a->prepared, fds[3].revents != 0);
		for (size_t i = 0; i < n_sockets && !a->over && !a->leaving; i++)
			if (fds[n + i].revents && !a->held_until)
				accept_from(a, &s->list[i]);
	}
}

/* Opens the socket for reports of failures, if possible. The kernel adds the sender. */
static void open_reports(struct acceptor *a)
{
	static const int on = 1;
	int ends[2];

	a->reports = a->reports_end = -1;
	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends) < 0)
		return;
	a->reports = channel_move_up(ends[0], a->task->from);
	if (a->reports >= 0 &&
		setsockopt(a->reports, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) == 0)
		a->reports_end = ends[1];
	else
		close(ends[1]);
}

/* Lets connections report failures, except in LMTP, whose client is a relay. */
static void link_failures(struct acceptor *a)
{
	for (enum listen_kind kind = 0; kind < LISTEN_KINDS; kind++) {
		struct connection *c = a->prepared.list[kind];

		if (!c || !a->task->failures)
			continue;
		c->failures.table = a->task->failures;
		if (kind != LISTEN_LMTP && a->reports_end >= 0)
			c->failures.channel = a->reports_end;
	}
}

int acceptor_run(const struct acceptor_task *task)
{
	struct acceptor a = { .task = task };

	open_reports(&a);
	listen_children_hide(task->children);
	if (prepared_init(&a.prepared, task) < 0)
		return EX_OSERR;
	link_failures(&a);
	send_message(&a, (struct acceptor_message){ .word = ACCEPTOR_READY,
				 .hides = a.prepared.n_hidden > 0 });
	loop(&a);
	return 0;
}
