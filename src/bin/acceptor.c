/*
 * Promises that a connection is never dropped without a word, that what one does costs no other, and that
 * each gets the settings of the moment it is accepted. Refuses to read what a peer says.
 */
#include "bin/acceptor.h"
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>
#include "bin/acceptor-kinds.h"
#include "bin/listen-helpers.h"
#include "edge/peer.h"

#define REFUSALS_TOLD_EVERY 60000 /* milliseconds */

struct acceptor {
	const struct acceptor_task *task;
	struct kinds kinds;
	size_t n_own; /* processes */
	size_t n_begun;
	uint64_t refusals_told, news_told;
	size_t n_refused;
	bool is_news;
	bool leaving; /* there is a successor */
	bool over;
};

static void tell(struct acceptor *a, enum acceptor_word word, pid_t pid, int signal)
{
	const struct acceptor_news news = { word, pid, signal };

	a->news_told = stream_clock();
	a->is_news = false;
	if (send(a->task->news, &news, sizeof(news), MSG_NOSIGNAL) < 0)
		a->over = true;
}

/* Told once in a while: whoever is refused may come again at once. */
static void tell_refusal(struct acceptor *a, const char *address, const char *limit)
{
	uint64_t now = stream_clock();
	char text[CONFIG_FAULT_MAX];

	a->n_refused++;
	if (a->refusals_told && now - a->refusals_told < REFUSALS_TOLD_EVERY)
		return;
	snprintf(text, sizeof(text),
		"%s: a connection of %s was refused; %zu in all since the last such "
		"record",
		limit, address[0] ? address : "unknown", a->n_refused);
	a->refusals_told = now;
	a->n_refused = 0;
	log_error(&a->kinds.any->log, text);
	log_flush(&a->kinds.any->log);
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

static void unblock_signals(void)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* In the process of the connection. */
static void become(const struct acceptor *a, enum listen_kind kind, int fd,
	const struct session_peer *peer)
{
	struct connection *c = a->kinds.list[kind];
	int r;

	unblock_signals();
	dup2(fd, STDIN_FILENO);
	dup2(fd, STDOUT_FILENO);
	close(fd);
	close_range(ACCEPTOR_FDS, UINT_MAX, 0);
	if (c->config.sandbox && !c->unusable)
		c->unusable = connection_failed(
				      c, CONNECTION_SANDBOX, sandbox_enter_forked()) < 0;
	r = connection_attend(c, peer);
	_exit(r ? r : ACCEPTOR_STATUS + (int)topic_of(&c->session, RECORD_SESSION));
}

static void begin(struct acceptor *a, const struct listen_socket *s, int fd,
	const struct session_peer *peer, const struct ip *source)
{
	pid_t pid = fork();

	if (pid == 0)
		become(a, s->kind, fd, peer);
	if (pid < 0) {
		tell_refusal(a, peer->address, strerror(errno));
		refuse(s, fd);
		return;
	}
	listen_add(a->task->children, getpid(), pid, source);
	a->n_own++;
	a->n_begun++;
	a->is_news = true;
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

static void admit(struct acceptor *a, const struct listen_socket *s, int fd)
{
	static const struct peer_environment none = { 0 };
	const struct config *c = &a->kinds.any->config;
	const struct listen_limits limits = { c->connection_limit,
		c->source_connection_limit, c->source_connection_rate };
	struct session_peer peer;
	struct ip ip = { 0 }, source;
	enum listen_verdict verdict;

	peer_find(fd, &none, &peer);
	if (!ip_parse(span_of(peer.address), &ip))
		ip.n = 0;
	source = listen_source(&ip);
	verdict = listen_judge(a->task->children, &limits, &source,
		networks_have(&c->proxies, &ip),
		stream_clock() / (LISTEN_RATE_SECONDS * 1000));
	if (verdict == LISTEN_FINE) {
		begin(a, s, fd, &peer, &source);
		return;
	}
	tell_refusal(a, peer.address, limit_of(verdict));
	refuse(s, fd);
}

static void leave(struct acceptor *a)
{
	a->leaving = true;
	for (size_t i = 0; i < a->task->sockets->n; i++)
		close(a->task->sockets->list[i].fd);
	tell(a, ACCEPTOR_STALE, 0, 0);
}

/* What could not be used then may be usable now, though no file tells. */
static bool is_stale(const struct acceptor *a)
{
	return warm_is_stale(a->task->warm) ||
	       (a->n_begun && kinds_are_unusable(&a->kinds));
}

static void accept_from(struct acceptor *a, const struct listen_socket *s)
{
	int fd;

	if (a->leaving)
		return;
	if (is_stale(a)) {
		leave(a);
		return;
	}
	fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		return;
	admit(a, s, fd);
	close(fd);
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

/* Nothing is forked until it is known whether that has to be in another address space. */
static void ask(struct acceptor *a, pid_t pid, int signal)
{
	char answer;

	tell(a, ACCEPTOR_FAULT, pid, signal);
	if (recv(a->task->news, &answer, sizeof(answer), 0) <= 0)
		a->over = true;
}

static void bury(struct acceptor *a, pid_t pid, int status)
{
	int topic = WIFEXITED(status) ? WEXITSTATUS(status) - ACCEPTOR_STATUS : -1;

	if (listen_remove(a->task->children, pid))
		a->n_own--;
	a->is_news = true;
	if (topic >= 0 && topic < TOPICS && topic_get((enum topic)topic)->status)
		a->task->children->last = (unsigned)topic;
	if (is_fault(status))
		ask(a, pid, WTERMSIG(status));
}

static void take_signals(struct acceptor *a)
{
	pid_t pid;
	int status;

	a->over |= helpers_told_to_stop(a->task->signals);
	while (!a->over && (pid = waitpid(-1, &status, WNOHANG)) > 0)
		bury(a, pid, status);
}

/* Tells what is due. In how many milliseconds something will be: -1 for never. */
static int tell_in_time(struct acceptor *a)
{
	uint64_t now = stream_clock(), alive = a->task->alive, every = alive;

	if (a->is_news && (!alive || ACCEPTOR_NEWS_EVERY < alive))
		every = ACCEPTOR_NEWS_EVERY;
	if (!every)
		return -1;
	if (now - a->news_told < every)
		return (int)(a->news_told + every - now);
	tell(a, ACCEPTOR_COUNTS, 0, 0);
	return alive ? (int)alive : -1;
}

static void loop(struct acceptor *a)
{
	const struct listen_sockets *s = a->task->sockets;
	struct pollfd fds[LISTEN_SOCKETS_MAX + 2];

	fds[0] = (struct pollfd){ .fd = a->task->signals, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = a->task->news }; /* its end is an event */
	for (size_t i = 0; i < s->n; i++)
		fds[i + 2] = (struct pollfd){ .fd = s->list[i].fd, .events = POLLIN };
	while (!a->over && (!a->leaving || a->n_own)) {
		int wait = tell_in_time(a);
		if (poll(fds, a->leaving ? 2 : s->n + 2, wait) < 0)
			continue;
		a->over |= fds[1].revents != 0;
		if (fds[0].revents)
			take_signals(a);
		for (size_t i = 0; i < s->n && !a->over && !a->leaving; i++)
			if (fds[i + 2].revents)
				accept_from(a, &s->list[i]);
	}
}

int acceptor_run(const struct acceptor_task *task)
{
	struct acceptor a = { .task = task };

	listen_children_hide(task->children);
	if (kinds_prepare(&a.kinds, task) < 0)
		return EX_OSERR;
	tell(&a, ACCEPTOR_READY, 0, 0);
	loop(&a);
	return 0;
}
