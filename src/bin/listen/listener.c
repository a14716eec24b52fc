/* SPDX-License-Identifier: ISC */
/*
 * Runs the listener: keeps one acceptor running, replaces it when files have changed, and
 * executes the program again after a crash of a connection, so that later connections
 * have another address space. It has no connection to clients. It waits in poll(), and
 * after a change of keys for new key agents (KEYS_WAIT), while acceptors go on.
 */
#include "bin/listen/listener.h"
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/num.h"
#include "edge/log/log.h"
#include "edge/net/net.h"
#include "edge/sandbox/sandbox.h"

#define FOREVER UINT64_MAX /* nothing is due */
#define SECOND UINT64_C(1000)
#define LOOK_EVERY SECOND /* interval of checking files that acceptors cannot watch */
#define START_TIME (30 * SECOND) /* an acceptor that is not ready by then is killed */
#define STOP_TIME (2 * SECOND) /* time until acceptors are killed */
#define KILL_TIME (1 * SECOND) /* time until the listener ends */

/* restarts of an acceptor that has ended */
static const struct restart_terms after_end = {
	.least = 1 * SECOND,
	.most = 60 * SECOND,
	.quiet = 300 * SECOND,
};

/* successors after a change of files: the first 32 changes apply at once */
static const struct restart_terms after_change = {
	.n_free = 32,
	.least = 1 * SECOND,
	.most = 30 * SECOND,
	.quiet = 60 * SECOND,
};

/* successors for unusable settings */
static const struct restart_terms after_failure = {
	.least = 1 * SECOND,
	.most = 30 * SECOND,
	.quiet = 60 * SECOND,
};

/* for a broker that hangs: this takes longer, and there is a limit of these */
static const struct restart_terms after_hang = { 0, SECOND, SECOND, 60 * SECOND };

/* executing the program again; a longer interval would allow more guesses of addresses */
static const struct restart_terms after_fault = {
	.least = 10 * SECOND,
	.most = 80 * SECOND,
	.quiet = 300 * SECOND,
};

static void write_record(const struct listener *l, const char *text, bool as_set)
{
	struct log log;

	log_init(&log, l->inherited->journal_stream, l->inherited->stderr_silent);
	if (as_set)
		log_choose(&log, l->preload.config);
	log_error(&log, text);
	log_done(&log);
}

static void run_writer(const struct listener *l, const char *text)
{
	close_range(STDERR_FILENO + 1, UINT_MAX, 0);
	write_record(l, text, sandbox_user(l->preload.config->user) == 0);
	_exit(0);
}

void listener_report(void *ctx, const char *text)
{
	const struct listener *l = ctx;
	const struct config *c = l->preload.config;
	bool by_user = c && c->user && c->log == LOG_JSON && geteuid() == 0;
	pid_t pid = by_user ? fork() : -1;

	if (pid == 0)
		run_writer(l, text);
	if (pid < 0)
		write_record(l, text, c && !by_user);
}

static void init_manager(struct listen_manager *m, const struct inherited *inherited)
{
	uint64_t microseconds;

	*m = (struct listen_manager){ 0 };
	notify_init(&m->notify, inherited->notify_socket, 0);
	/* twice as often as required */
	if (inherited->watchdog_usec &&
		num_parse(span_of(inherited->watchdog_usec), &microseconds))
		m->watchdog = microseconds / 1000 / 2;
}

static void send_manager(const struct listen_manager *m, const char *word)
{
	notify_send(&m->notify, span_of(word));
}

static void send_alive(struct listen_manager *m)
{
	uint64_t now = stream_clock();

	/* half of the interval, because this function is called at the interval */
	if (m->watchdog == 0 || now - m->alive < m->watchdog / 2)
		return;
	send_manager(m, "WATCHDOG=1");
	m->alive = now;
}

static uint64_t send_status(struct listen_manager *m, const char *status)
{
	uint64_t now = stream_clock();

	if (!notify_is_changed(&m->notify, status))
		return FOREVER;
	if (now - m->notify.last < NOTIFY_INTERVAL)
		return m->notify.last + NOTIFY_INTERVAL - now;
	notify_status(&m->notify, status, now);
	return FOREVER;
}

static void run_acceptor(struct listener *l, int channel)
{
	const struct acceptor_task task = {
		.options = l->options,
		.inherited = l->inherited,
		.modules = l->modules,
		.sockets = &l->sockets,
		.preload = &l->preload,
		.children = l->children,
		.hangs = l->hangs,
		.failures = l->failures,
		.signals = l->signals,
		.channel = channel,
		.from = l->acceptors.from,
		.alive = l->manager.watchdog,
	};

	close(l->table);
	_exit(acceptor_run(&task));
}

static bool start_acceptor(struct listener *l)
{
	char text[CONFIG_FAULT_MAX];
	int channel;
	pid_t pid = acceptors_fork(&l->acceptors, &channel);

	if (pid == 0)
		run_acceptor(l, channel);
	if (pid > 0)
		return true;
	snprintf(text, sizeof(text),
		"no process that accepts connections can be started: %s", strerror(-pid));
	listener_report(l, text);
	return false;
}

/* Executes the program again, in another address space. Returns only on failure. */
static void execute_again(struct listener *l)
{
	const struct listen_renewal renewal = { &l->sockets, l->inherited, l->argv,
		LISTEN_BY_FAULT, l->table, &l->faults };
	char text[CONFIG_FAULT_MAX];

	restart_note(&l->faults, &after_fault, stream_clock());
	snprintf(text, sizeof(text), "the listener could not restart itself: %s",
		strerror(-renew_execute(&renewal)));
	/* copies for the new image, which connections must not have */
	close_range(STDERR_FILENO + 1, (unsigned)l->acceptors.from - 1, 0);
	listener_report(l, text);
}

static bool may_execute_again(const struct listener *l)
{
	return restart_wait(&l->faults, &after_fault, stream_clock()) == 0;
}

void listener_find_modules(struct listener *l)
{
	struct buf directory = BUF(l->modules);

	module_directory(&directory);
}

/* Starts a new acceptor; reloads settings that have changed or could not be loaded. */
static bool start_successor(struct listener *l)
{
	const char *stuck = preload_stuck(&l->preload);
	char text[CONFIG_FAULT_MAX];

	if (stuck && may_execute_again(l)) {
		snprintf(text, sizeof(text),
			"%s, which needs a new process: the listener restarts itself",
			stuck);
		listener_report(l, text);
		execute_again(l);
	}
	/* the acceptor may have failed to load one from a folder that was not found */
	listener_find_modules(l);
	if (preload_refresh(&l->preload) < 0)
		listener_report(l, "changed settings cannot be read: out of memory");
	return start_acceptor(l);
}

/*
 * Starts a successor, because the acceptor requested it or the listener found a change;
 * or answers when the acceptor may ask again. While a successor is starting, no answer is
 * sent.
 */
static void replace_acceptor(
	struct listener *l, struct restarts *r, const struct restart_terms *terms)
{
	struct acceptor_process *now = acceptors_find(&l->acceptors, ACCEPTOR_ACCEPTING);
	uint64_t clock = stream_clock(), wait = restart_wait(r, terms, clock);
	char text[CONFIG_FAULT_MAX];

	if (acceptors_find(&l->acceptors, ACCEPTOR_STARTING))
		return;
	if (wait && !r->is_recorded && terms->n_free) {
		snprintf(text, sizeof(text),
			"settings, tables or directories have changed %zu times within a "
			"short time; further changes are applied after %zu s or more",
			r->n, (size_t)(terms->least / SECOND));
		listener_report(l, text);
		r->is_recorded = true;
	}
	if (wait) {
		acceptors_answer(now, ACCEPTOR_GO_ON, wait);
		return;
	}
	restart_note(r, terms, clock);
	if (!start_successor(l))
		acceptors_answer(now, ACCEPTOR_GO_ON, terms->least);
}

/* Executes the program again, unless this was done a moment ago. */
static void handle_fault(struct listener *l, pid_t pid, int signal)
{
	const char *name = signal > 0 ? sigabbrev_np(signal) : NULL;
	bool is_due = may_execute_again(l);
	char text[CONFIG_FAULT_MAX];

	snprintf(text, sizeof(text), "process %d of a connection was ended by SIG%s; %s",
		(int)pid, name ? name : "?",
		is_due ? "the listener restarts itself"
		       : "the listener restarted itself a moment ago, and continues");
	listener_report(l, text);
	if (is_due)
		execute_again(l);
}

/* The broker belongs to the acceptor: another acceptor starts another one. */
static void replace_brokerless(struct listener *l)
{
	if (!acceptors_find(&l->acceptors, ACCEPTOR_STARTING) &&
		restart_wait(&l->brokers, &after_end, stream_clock()) == 0)
		listener_report(l, "the broker, which opens mailboxes as their owners, "
				   "has ended; another is started. Without one no mail "
				   "is received");
	replace_acceptor(l, &l->brokers, &after_end);
}

/* Another acceptor starts another broker, unless too many wait already. */
static void replace_hanging(struct listener *l, int place)
{
	const size_t n = hangs_count(l->hangs, stream_clock());
	bool is_starting = acceptors_find(&l->acceptors, ACCEPTOR_STARTING);
	char text[CONFIG_FAULT_MAX];
	struct buf b = BUF(text);

	hangs_put(l->hangs, place, n, stream_clock(), &b);
	if (n >= HANGS_MAX) {
		if (!l->has_many_hangs)
			listener_report(l, text);
		l->has_many_hangs = true;
		acceptors_answer(acceptors_find(&l->acceptors, ACCEPTOR_ACCEPTING),
			ACCEPTOR_GO_ON, HANG_TIME);
		return;
	}
	l->has_many_hangs = false;
	if (!is_starting && restart_wait(&l->hanging, &after_hang, stream_clock()) == 0)
		listener_report(l, text);
	replace_acceptor(l, &l->hanging, &after_hang);
}

static void read_message(struct listener *l, struct acceptor_process *p)
{
	struct acceptor_message m;
	ssize_t n = recv(p->channel, &m, sizeof(m), MSG_DONTWAIT);

	/* the acceptor closed its channel */
	if (n == 0)
		kill(p->pid, SIGKILL);
	if (n != sizeof(m))
		return;
	send_alive(&l->manager);
	if (m.word == ACCEPTOR_READY && p->state == ACCEPTOR_STARTING) {
		acceptors_switch_to(&l->acceptors, p);
		l->hides = m.hides;
		send_manager(&l->manager, "READY=1");
	}
	if (m.word == ACCEPTOR_CHANGED && p->state == ACCEPTOR_ACCEPTING)
		replace_acceptor(l, &l->changed, &after_change);
	if (m.word == ACCEPTOR_UNUSABLE && p->state == ACCEPTOR_ACCEPTING)
		replace_acceptor(l, &l->failed, &after_failure);
	if (m.word == ACCEPTOR_BROKERLESS && p->state == ACCEPTOR_ACCEPTING)
		replace_brokerless(l);
	if (m.word == ACCEPTOR_HANGS && p->state == ACCEPTOR_ACCEPTING)
		replace_hanging(l, m.place);
	if (m.word == ACCEPTOR_FAULT) {
		handle_fault(l, m.pid, m.signal);
		acceptors_answer(p, ACCEPTOR_GO_ON, 0);
	}
}

/* Records the end of an acceptor, and the time of the next start. */
static void report_end(struct listener *l, pid_t pid, int status, bool accepted)
{
	char text[CONFIG_FAULT_MAX], next[64];
	uint64_t wait = restart_wait(&l->ended, &after_end, stream_clock());

	snprintf(next, sizeof(next), "; the next is started in %zu s",
		(size_t)((wait + SECOND - 1) / SECOND));
	snprintf(text, sizeof(text),
		"process %d, which accepts connections, has ended (%s %d)%s", (int)pid,
		WIFSIGNALED(status) ? "signal" : "status",
		WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
		accepted ? next : "");
	listener_report(l, text);
}

/*
 * Handles the end of an acceptor. If a successor fails, the previous acceptor continues
 * with its settings.
 */
static void handle_end(
	struct listener *l, pid_t pid, int status, enum acceptor_state state)
{
	struct acceptor_process *now = acceptors_find(&l->acceptors, ACCEPTOR_ACCEPTING);
	bool failed = !WIFEXITED(status) || WEXITSTATUS(status) != 0;

	if (failed)
		report_end(l, pid, status, state == ACCEPTOR_ACCEPTING);
	if (state == ACCEPTOR_STARTING)
		acceptors_answer(now, ACCEPTOR_GO_ON, after_failure.least);
}

/* Reaps an acceptor, a connection of an ended acceptor, or the writer of a record. */
static void reap_child(struct listener *l, pid_t pid, int status)
{
	const struct failure_limits limits = failure_limits_of(l->preload.config);
	enum acceptor_state state;

	hangs_forget(l->hangs, pid);
	if (listen_is_fault(status))
		listen_count_crash(l->children, pid, &limits, stream_clock());
	if (acceptors_remove(&l->acceptors, pid, &state))
		handle_end(l, pid, status, state);
	if (!listen_remove(l->children, pid, status))
		listen_verify(l->children);
	else if (listen_is_fault(status))
		handle_fault(l, pid, WTERMSIG(status));
}

static void reap_children(struct listener *l)
{
	pid_t pid;
	int status;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		reap_child(l, pid, status);
}

/* Writes the line for the service manager. */
static void put_status(const struct listener *l, char ret[NOTIFY_TEXT_MAX])
{
	const char *status = topic_get(listen_last_topic(l->children))->status;
	const char *fault = preload_tls_fault(&l->preload);
	size_t n_checks = l->children->n_checks, n_so_far = l->children->n_so_far;
	char checks[64] = "";

	if (fault)
		status = fault;
	if (n_checks)
		snprintf(checks, sizeof(checks), ", %zu checks of proxies", n_checks);
	snprintf(ret, NOTIFY_TEXT_MAX, "%s%s; %zu connections, %zu so far%s",
		fault ? "TLS does not work: " : "", status ? status : "Ready",
		listen_count(l->children), n_so_far - n_checks, checks);
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Starts an acceptor if there is none. Milliseconds until it is due, or FOREVER. */
static uint64_t start_in_time(struct listener *l)
{
	uint64_t clock = stream_clock(), wait;

	if (acceptors_find(&l->acceptors, ACCEPTOR_ACCEPTING) ||
		acceptors_find(&l->acceptors, ACCEPTOR_STARTING))
		return FOREVER;
	wait = restart_wait(&l->ended, &after_end, clock);
	if (wait)
		return wait;
	restart_note(&l->ended, &after_end, clock);
	return start_successor(l) ? FOREVER : restart_wait(&l->ended, &after_end, clock);
}

/* Checks files that acceptors cannot watch. Milliseconds until the next, or FOREVER. */
static uint64_t look_in_time(struct listener *l)
{
	uint64_t clock;

	if (!l->hides)
		return FOREVER;
	clock = stream_clock();
	if (clock - l->looked < LOOK_EVERY)
		return l->looked + LOOK_EVERY - clock;
	l->looked = clock;
	if (preload_is_stale(&l->preload))
		replace_acceptor(l, &l->changed, &after_change);
	return LOOK_EVERY;
}

/*
 * Replaces key agents after one has ended, together with the acceptor, which has channels
 * to them. Returns the milliseconds until this is due, or FOREVER.
 */
static uint64_t watch_agents(struct listener *l)
{
	uint64_t clock;

	if (!preload_lacks_agents(&l->preload)) {
		l->lacks_agents = false;
		return FOREVER;
	}
	if (acceptors_find(&l->acceptors, ACCEPTOR_STARTING))
		return FOREVER;
	clock = stream_clock();
	if (!l->lacks_agents)
		listener_report(l, "a key agent has ended; others are started. Without "
				   "one TLS does not work");
	l->lacks_agents = true;
	if (preload_awaits_change(&l->preload))
		return FOREVER;
	if (restart_wait(&l->agents, &after_end, clock) == 0)
		replace_acceptor(l, &l->agents, &after_end);
	return restart_wait(&l->agents, &after_end, clock);
}

static void kill_late(struct listener *l, pid_t pid)
{
	struct acceptor_process *now = acceptors_find(&l->acceptors, ACCEPTOR_ACCEPTING);
	enum acceptor_state state;
	char text[CONFIG_FAULT_MAX];

	snprintf(text, sizeof(text),
		"process %d, which was to accept connections, was not ready within %zu s "
		"and is killed; %s",
		(int)pid, (size_t)(START_TIME / SECOND),
		now ? "the previous one continues with its settings"
		    : "another is started");
	listener_report(l, text);
	acceptors_answer(now, ACCEPTOR_GO_ON, after_failure.least);
	kill(pid, SIGKILL);
	/* removed now, because a process that waits for a disk does not end */
	acceptors_remove(&l->acceptors, pid, &state);
}

/*
 * Kills an acceptor that is not ready in time, such as one that waits for a dead file
 * system, because while it is starting no other one is started. Returns the milliseconds
 * until this is due, or FOREVER.
 */
static uint64_t kill_in_time(struct listener *l)
{
	const struct acceptor_process *p =
		acceptors_find(&l->acceptors, ACCEPTOR_STARTING);
	uint64_t age;

	if (!p)
		return FOREVER;
	age = stream_clock() - p->started;
	if (age < START_TIME)
		return START_TIME - age;
	kill_late(l, p->pid);
	return 0;
}

/* Does everything that is due. Milliseconds until the next action; -1: never. */
static int do_in_time(struct listener *l)
{
	char status[NOTIFY_TEXT_MAX];
	uint64_t wait = sooner(start_in_time(l), look_in_time(l));

	/* last, because the others may have started an agent */
	wait = sooner(wait, watch_agents(l));
	wait = sooner(wait, kill_in_time(l));
	put_status(l, status);
	wait = sooner(wait, send_status(&l->manager, status));
	return wait == FOREVER ? -1 : (int)wait;
}

static void read_signals(struct listener *l)
{
	l->over |= listen_read_stop(l->signals);
	reap_children(l);
}

/*
 * Reads a channel, by which an acceptor is found, because entries move after a removal.
 */
static void read_channel(struct listener *l, int channel)
{
	for (size_t i = 0; i < l->acceptors.n; i++) {
		if (l->acceptors.list[i].channel != channel)
			continue;
		read_message(l, &l->acceptors.list[i]);
		return;
	}
}

/* Adds entries for poll(), which detect the end of an agent once. Their number. */
static size_t put_agents(const struct listener *l, struct pollfd *fds)
{
	const struct keys_agents *a = &l->preload.agents;
	size_t n = l->lacks_agents ? 0 : a->n;

	for (size_t i = 0; i < n; i++)
		fds[i] = (struct pollfd){ .fd = a->controls[i], .events = POLLIN };
	return n;
}

static void loop(struct listener *l)
{
	struct pollfd fds[ACCEPTORS_MAX + 1 + KEYS_AGENTS_MAX];

	while (!l->over) {
		int wait = do_in_time(l);
		size_t n = l->acceptors.n, n_agents;
		n_agents = put_agents(l, fds + n + 1);
		fds[n] = (struct pollfd){ .fd = l->signals, .events = POLLIN };
		for (size_t i = 0; i < n; i++)
			fds[i] = (struct pollfd){ .fd = l->acceptors.list[i].channel,
				.events = POLLIN };
		if (poll(fds, n + 1 + n_agents, wait) < 0)
			continue;
		for (size_t i = 0; i < n; i++)
			if (fds[i].revents)
				read_channel(l, fds[i].fd);
		if (fds[n].revents)
			read_signals(l);
	}
}

/* Ends all acceptors by a signal, and waits for them for a limited time. */
static void end_acceptors(struct listener *l, int signal, uint64_t time)
{
	uint64_t until = stream_clock() + time, now;
	struct pollfd fd = { .fd = l->signals, .events = POLLIN };
	enum acceptor_state state;
	pid_t pid;

	acceptors_kill(&l->acceptors, signal);
	while (l->acceptors.n && (now = stream_clock()) < until) {
		while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
			acceptors_remove(&l->acceptors, pid, &state);
		if (l->acceptors.n && poll(&fd, 1, (int)(until - now)) > 0)
			listen_read_stop(l->signals);
	}
}

void listener_run(struct listener *l)
{
	init_manager(&l->manager, l->inherited);
	/* signals SIGCHLD to the previous image are lost */
	listen_verify(l->children);
	reap_children(l);
	start_acceptor(l);
	loop(l);
	send_manager(&l->manager, "STOPPING=1");
	end_acceptors(l, SIGTERM, STOP_TIME);
	end_acceptors(l, SIGKILL, KILL_TIME);
}
