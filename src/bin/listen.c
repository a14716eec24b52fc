/*
 * Promises that a connection is never dropped without a word, that what one does costs no
 * other, and that no second attacker meets the address space of the first. Refuses to read
 * what a peer says.
 */
#include "bin/listen.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>
#include "bin/listen-children.h"
#include "bin/listen-manager.h"
#include "bin/listen-renew.h"
#include "bin/options.h"
#include "edge/log.h"
#include "edge/peer.h"
#include "edge/stream.h"

#define ACCEPT_AT_ONCE 64
#define REFUSALS_TOLD_EVERY 60000 /* milliseconds */

struct listener {
	const struct listen_service *service;
	char **argv;
	struct listen_sockets sockets;
	struct listen_children children;
	struct warm warm;
	struct listen_manager manager;
	int signals;
	uint64_t renewed; /* when we took over from another image of the program, or 0 */
	uint64_t refusals_told;
	size_t n_sessions, n_refused;
	enum topic last; /* of the sessions that had a status */
	bool over;
};

/* One sentence where the settings say, at once: it is seldom needed. */
static void report(void *ctx, const char *text)
{
	struct listener *l = ctx;
	struct log log;

	log_init(&log, l->service->inherited->journal_stream,
		l->service->inherited->stderr_silent);
	log.modules = l->service->modules;
	if (l->warm.config)
		log_choose(&log, l->warm.config);
	log_error(&log, text);
	log_done(&log);
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

/* Told once in a while: whoever is refused may come again at once. */
static void tell_refusal(struct listener *l, const char *address, const char *limit)
{
	uint64_t now = stream_clock();
	char text[CONFIG_FAULT_MAX];

	l->n_refused++;
	if (l->refusals_told && now - l->refusals_told < REFUSALS_TOLD_EVERY)
		return;
	snprintf(text, sizeof(text),
		"%s: a connection of %s was refused; %zu in all since the last such "
		"record",
		limit, address[0] ? address : "unknown", l->n_refused);
	l->refusals_told = now;
	l->n_refused = 0;
	report(l, text);
}

/* Where TLS comes first nothing can be said. */
static void refuse(const struct listen_socket *s, int fd)
{
	char octets[REPLY_LINE_MAX];
	struct buf b = BUF(octets);

	reply_put(&b, reply_get(REPLY_CONNECTIONS), SPAN(""));
	if (s->kind != LISTEN_SMTPS &&
		send(fd, b.p, b.n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return;
	shutdown(fd, SHUT_WR);
	/* what has come unread would make a reset of our end */
	while (recv(fd, octets, sizeof(octets), MSG_DONTWAIT) > 0)
		continue;
}

/* In the child: only what is above 2 and named here is left of the listener's descriptors. */
static void become(const struct listener *l, const struct listen_socket *s, int fd)
{
	inherit_signals();
	dup2(fd, STDIN_FILENO);
	dup2(fd, STDOUT_FILENO);
	_exit(l->service->serve(l->service->ctx, s->kind, &l->warm));
}

static void begin(struct listener *l, const struct listen_socket *s, int fd,
	const struct session_peer *peer, const struct ip *source)
{
	pid_t pid = fork();

	if (pid == 0)
		become(l, s, fd);
	if (pid > 0 && listen_add(&l->children, pid, source) == 0) {
		l->n_sessions++;
		return;
	}
	if (pid > 0) /* it is served, and not counted */
		return;
	tell_refusal(l, peer->address, strerror(errno));
	refuse(s, fd);
}

static void admit(struct listener *l, const struct listen_socket *s, int fd)
{
	static const struct peer_environment none = { 0 };
	const struct config *c = l->warm.config;
	const struct listen_limits limits = { c->connection_limit,
		c->source_connection_limit, c->source_connection_rate };
	struct session_peer peer;
	struct ip ip = { 0 }, source;
	enum listen_verdict verdict;

	peer_find(fd, &none, &peer);
	if (!ip_parse(span_of(peer.address), &ip))
		ip.n = 0;
	source = listen_source(&ip);
	verdict = listen_judge(&l->children, &limits, &source,
		networks_have(&c->proxies, &ip),
		stream_clock() / (LISTEN_RATE_SECONDS * 1000));
	if (verdict == LISTEN_FINE) {
		begin(l, s, fd, &peer, &source);
		return;
	}
	tell_refusal(l, peer.address, limit_of(verdict));
	refuse(s, fd);
}

static void accept_from(struct listener *l, const struct listen_socket *s)
{
	for (size_t i = 0; i < ACCEPT_AT_ONCE; i++) {
		int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			return;
		warm_refresh(&l->warm);
		admit(l, s, fd);
		close(fd);
	}
}

/* By one of these somebody may have tried to take a process over. */
static bool is_fault(int status)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGILL, SIGABRT, SIGSYS };

	for (size_t i = 0; WIFSIGNALED(status) && i < sizeof(faults) / sizeof(*faults);
		i++)
		if (WTERMSIG(status) == faults[i])
			return true;
	return false;
}

/* The same program in another address space, unless that has just been done. */
static void renew(struct listener *l, pid_t pid, int status)
{
	char text[CONFIG_FAULT_MAX];
	bool is_due =
		!l->renewed || stream_clock() - l->renewed >= LISTEN_RENEW_SECONDS * 1000;

	snprintf(text, sizeof(text), "process %d of a connection was ended by SIG%s; %s",
		(int)pid, sigabbrev_np(WTERMSIG(status)),
		is_due ? "the listener starts itself anew"
		       : "the listener has just started itself anew, and goes on");
	report(l, text);
	if (!is_due)
		return;
	listen_renew(&l->sockets, l->service->inherited, l->argv);
	report(l, "the listener could not be started anew");
}

static void bury(struct listener *l, pid_t pid, int status)
{
	int topic = WIFEXITED(status) ? WEXITSTATUS(status) - LISTEN_STATUS : -1;

	listen_remove(&l->children, pid);
	if (topic >= 0 && topic < TOPICS && topic_get((enum topic)topic)->status)
		l->last = (enum topic)topic;
	if (is_fault(status))
		renew(l, pid, status);
}

static void take_signals(struct listener *l)
{
	struct signalfd_siginfo info;
	pid_t pid;
	int status;

	while (read(l->signals, &info, sizeof(info)) == sizeof(info))
		l->over |= info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		bury(l, pid, status);
}

/* What `systemctl status` shows. */
static void put_status(const struct listener *l, char ret[NOTIFY_TEXT_MAX])
{
	const char *status = topic_get(l->last)->status;

	snprintf(ret, NOTIFY_TEXT_MAX, "%s; %zu connections, %zu so far",
		status ? status : "Ready", l->children.n, l->n_sessions);
}

static void loop(struct listener *l)
{
	struct pollfd fds[LISTEN_SOCKETS_MAX + 1];
	size_t n = l->sockets.n;

	for (size_t i = 0; i < n; i++)
		fds[i] = (struct pollfd){ .fd = l->sockets.list[i].fd, .events = POLLIN };
	fds[n] = (struct pollfd){ .fd = l->signals, .events = POLLIN };
	while (!l->over) {
		char status[NOTIFY_TEXT_MAX];
		uint64_t wait;
		put_status(l, status);
		wait = listen_manager_tell(&l->manager, status);
		if (poll(fds, n + 1, wait == LISTEN_FOREVER ? -1 : (int)wait) < 0)
			continue;
		if (fds[n].revents)
			take_signals(l);
		for (size_t i = 0; i < n && !l->over; i++)
			if (fds[i].revents)
				accept_from(l, &l->sockets.list[i]);
	}
}

/* NULL, or what is wrong with the sockets. */
static const char *open_sockets(struct listener *l)
{
	const struct options *o = l->service->options;
	size_t passed = inherit_passed(l->service->inherited);
	const char *wrong = NULL;

	if (passed)
		return listen_take(
			&l->sockets, passed, l->service->inherited->listen_fdnames);
	for (size_t i = 0; i < o->n_addresses && !wrong; i++)
		wrong = listen_open(&l->sockets, o->addresses[i]);
	if (!wrong && l->sockets.n == 0)
		wrong = "no socket was handed over: use --listen=ADDRESS, or Accept=no";
	return wrong;
}

static int catch_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int listen_run(const struct listen_service *service, char **argv)
{
	struct listener *l = calloc(1, sizeof(*l));
	const char *wrong;

	if (!l)
		return EX_OSERR;
	l->service = service;
	l->argv = argv;
	l->last = TOPIC_SESSION;
	l->renewed = service->inherited->listen_renewed ? stream_clock() : 0;
	wrong = open_sockets(l);
	if (wrong) {
		dprintf(STDERR_FILENO, "postern: --listen: %s\n", wrong);
		return EX_USAGE;
	}
	l->signals = catch_signals();
	l->warm = (struct warm){ .options = service->options,
		.modules = service->modules,
		.credentials_directory = service->inherited->credentials_directory,
		.report = report,
		.ctx = l };
	if (l->signals < 0 || warm_up(&l->warm) < 0)
		return EX_OSERR;
	listen_manager_init(&l->manager, service->inherited);
	listen_manager_say(&l->manager, "READY=1");
	loop(l);
	listen_manager_say(&l->manager, "STOPPING=1");
	return 0;
}
