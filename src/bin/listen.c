/*
 * Promises that there is always a process that accepts, and that no second attacker meets the address space
 * of the first. Refuses to hear a client.
 */
#include "bin/listen.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>
#include "bin/acceptor.h"
#include "bin/listen-helpers.h"
#include "bin/listen-manager.h"
#include "bin/listen-renew.h"
#include "edge/log.h"
#include "edge/module.h"
#include "edge/stream.h"

#define RESTART_EVERY 1000 /* milliseconds between two that ended by themselves */

struct listener {
	const struct options *options;
	const struct inherited *inherited;
	char **argv;
	char modules[MODULE_PATH_MAX];
	struct listen_sockets sockets;
	struct warm warm;
	struct listen_manager manager;
	int signals;
	struct helpers helpers;
	uint64_t renewed; /* when we took over after a fault, or 0 */
	bool over;
};

/* One sentence where the settings say, at once: it is seldom needed. */
static void report(void *ctx, const char *text)
{
	struct listener *l = ctx;
	struct log log;

	log_init(&log, l->inherited->journal_stream, l->inherited->stderr_silent);
	log.modules = l->modules;
	if (l->warm.config)
		log_choose(&log, l->warm.config);
	log_error(&log, text);
	log_done(&log);
}

/* In the process that is to accept. */
static void become(const struct listener *l, int news)
{
	const struct acceptor_task task = {
		.options = l->options,
		.inherited = l->inherited,
		.modules = l->modules,
		.sockets = &l->sockets,
		.warm = &l->warm,
		.children = l->helpers.children,
		.signals = l->signals,
		.news = news,
		.alive = l->manager.watchdog,
	};

	_exit(acceptor_run(&task));
}

static void start_acceptor(struct listener *l)
{
	char text[CONFIG_FAULT_MAX];
	int news;
	pid_t pid = helpers_fork(&l->helpers, &news);

	if (pid == 0)
		become(l, news);
	if (pid > 0)
		return;
	snprintf(text, sizeof(text), "no process can accept connections: %s",
		strerror(-pid));
	report(l, text);
}

/* The same program in another address space, unless that has just been done. */
static void renew(struct listener *l, pid_t pid, int signal)
{
	char text[CONFIG_FAULT_MAX];
	bool is_due =
		!l->renewed || stream_clock() - l->renewed >= LISTEN_RENEW_SECONDS * 1000;

	snprintf(text, sizeof(text), "process %d of a connection was ended by SIG%s; %s",
		(int)pid, sigabbrev_np(signal),
		is_due ? "the listener starts itself anew"
		       : "the listener has just started itself anew, and goes on");
	report(l, text);
	if (!is_due)
		return;
	listen_renew(&l->sockets, l->inherited, l->argv, LISTEN_BY_FAULT);
	report(l, "the listener could not be started anew");
}

/* With what is there now. */
static void succeed(struct listener *l)
{
	if (warm_is_stale(&l->warm))
		warm_up(&l->warm);
	start_acceptor(l);
}

static void hear(struct listener *l, const struct helper *h)
{
	bool accepts = helpers_accepts(&l->helpers, h);
	struct acceptor_news news;

	if (recv(h->news, &news, sizeof(news), MSG_DONTWAIT) != sizeof(news))
		return;
	listen_manager_alive(&l->manager);
	switch (news.word) {
	case ACCEPTOR_READY:
		if (accepts)
			listen_manager_say(&l->manager, "READY=1");
		break;
	case ACCEPTOR_COUNTS:
		break;
	case ACCEPTOR_STALE:
		if (accepts)
			succeed(l);
		break;
	case ACCEPTOR_FAULT:
		renew(l, news.pid, news.signal);
		send(h->news, "", 1, MSG_NOSIGNAL);
		break;
	}
}

/* It has failed, and is replaced, though not at once. */
static void report_end(struct listener *l, pid_t pid, int status)
{
	char text[CONFIG_FAULT_MAX];

	snprintf(text, sizeof(text),
		"process %d, which accepts connections, has ended (%s %d)", (int)pid,
		WIFSIGNALED(status) ? "signal" : "status",
		WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	report(l, text);
}

/* One that leaves ends with its last connection, which may be before we have heard that it leaves. */
static void bury(struct listener *l, pid_t pid, int status)
{
	bool failed = !WIFEXITED(status) || WEXITSTATUS(status) != 0;
	enum helpers_end end = helpers_remove(&l->helpers, pid);

	if (failed && end != HELPERS_UNKNOWN)
		report_end(l, pid, status);
	if (!failed && end == HELPERS_NEEDED)
		succeed(l);
}

static void take_signals(struct listener *l)
{
	pid_t pid;
	int status;

	l->over |= helpers_told_to_stop(l->signals);
	while (!l->over && (pid = waitpid(-1, &status, WNOHANG)) > 0)
		bury(l, pid, status);
}

/* What `systemctl status` shows. */
static void put_status(const struct listener *l, char ret[NOTIFY_TEXT_MAX])
{
	const char *status = topic_get((enum topic)l->helpers.children->last)->status;
	const char *fault = warm_tls_fault(&l->warm);

	snprintf(ret, NOTIFY_TEXT_MAX, "%s%s; %zu connections, %zu so far",
		fault ? "TLS does not work: " : "",
		fault    ? fault
		: status ? status
			 : "Ready",
		listen_count(l->helpers.children), (size_t)l->helpers.children->n_so_far);
}

/* Starts one that accepts, and tells the status, when they are due. In how many milliseconds one will be; -1: never. */
static int do_in_time(struct listener *l)
{
	char status[NOTIFY_TEXT_MAX];
	uint64_t wait, now = stream_clock();

	if (l->helpers.due && now - l->helpers.started >= RESTART_EVERY)
		start_acceptor(l);
	put_status(l, status);
	wait = listen_manager_tell(&l->manager, status);
	if (l->helpers.due && l->helpers.started + RESTART_EVERY - now < wait)
		wait = l->helpers.started + RESTART_EVERY - now;
	return wait == LISTEN_FOREVER ? -1 : (int)wait;
}

static void loop(struct listener *l)
{
	struct pollfd fds[HELPERS_MAX + 1];

	while (!l->over) {
		int wait = do_in_time(l);
		size_t n = l->helpers.n;
		fds[n] = (struct pollfd){ .fd = l->signals, .events = POLLIN };
		for (size_t i = 0; i < n; i++)
			fds[i] = (struct pollfd){ .fd = l->helpers.list[i].news,
				.events = POLLIN };
		if (poll(fds, n + 1, wait) < 0)
			continue;
		for (size_t i = 0; i < n; i++)
			if (fds[i].revents & POLLIN)
				hear(l, &l->helpers.list[i]);
		if (fds[n].revents)
			take_signals(l);
	}
}

/* NULL, or what is wrong with the sockets. */
static const char *open_sockets(struct listener *l)
{
	size_t passed = inherit_passed(l->inherited);
	const char *wrong = NULL;

	if (passed)
		return listen_take(&l->sockets, passed, l->inherited->listen_fdnames);
	for (size_t i = 0; i < l->options->n_addresses && !wrong; i++)
		wrong = listen_open(&l->sockets, l->options->addresses[i]);
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
	return helpers_move_up(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

/* Whatever else was left open is nobody's business here. */
static void clear_descriptors(struct listener *l)
{
	for (size_t i = 0; i < l->sockets.n; i++)
		l->sockets.list[i].fd = helpers_move_up(l->sockets.list[i].fd);
	close_range(STDERR_FILENO + 1, ACCEPTOR_FDS - 1, 0);
}

/* Where that cannot be done each connection costs a little more. */
static void take_over(struct listener *l)
{
	const char *why = l->inherited->listen_renewed;

	if (!why)
		listen_renew(&l->sockets, l->inherited, l->argv, LISTEN_AT_START);
	else if (strcmp(why, LISTEN_BY_FAULT) == 0)
		l->renewed = stream_clock();
	/* the image was started as /proc/self/exe: for ps(1) and the journal */
	prctl(PR_SET_NAME, "postern");
}

int listen_run(
	const struct options *options, const struct inherited *inherited, char **argv)
{
	struct listener *l = calloc(1, sizeof(*l));
	struct buf modules;
	const char *wrong;

	if (!l)
		return EX_OSERR;
	l->options = options;
	l->inherited = inherited;
	l->argv = argv;
	modules = (struct buf)BUF(l->modules);
	module_directory(&modules);
	wrong = open_sockets(l);
	if (wrong) {
		dprintf(STDERR_FILENO, "postern: --listen: %s\n", wrong);
		return EX_USAGE;
	}
	take_over(l);
	clear_descriptors(l);
	l->signals = catch_signals();
	l->helpers.children = listen_children_new();
	l->warm = (struct warm){ .options = options,
		.modules = l->modules,
		.credentials_directory = inherited->credentials_directory,
		.report = report,
		.ctx = l };
	if (l->signals < 0 || !l->helpers.children || warm_up(&l->warm) < 0)
		return EX_OSERR;
	l->helpers.children->last = TOPIC_SESSION;
	listen_manager_init(&l->manager, inherited);
	start_acceptor(l);
	loop(l);
	listen_manager_say(&l->manager, "STOPPING=1");
	helpers_end(&l->helpers);
	return 0;
}
