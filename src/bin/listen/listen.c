/* SPDX-License-Identifier: ISC */
/*
 * Sets up a listener: descriptors, the table of connections, sockets, settings, signals.
 * A fault that prevents its start is printed on standard error.
 */
#include "bin/listen/listen.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <unistd.h>
#include "bin/listen/listener.h"

#define LISTEN_FAULT_MAX 512 /* octets of a path and a sentence */
#define FROM_USUAL 64 /* first descriptor of the listener and its acceptors */
#define FROM_LEAST 24 /* with enough lower numbers for a connection with few recipients */
/* channels, both ends of a new one, signals, table, the least for refused clients */
#define OWN_LEAST (ACCEPTORS_MAX + 5)
/* controls of key agents, both ends of those of their successors, a channel to one */
#define OWN_OF_AGENTS (3 * KEYS_AGENTS_MAX + 1)

static int fail(const char *what, const char *why)
{
	dprintf(STDERR_FILENO, "postern: %s: %s\n", what, why);
	return EX_OSERR;
}

/*
 * Raises the limit of open files, and chooses the number from which on descriptors do not
 * belong to connections. Negative when the limit is too low.
 */
static int choose_from(size_t n_sockets)
{
	struct rlimit files = { RLIM_INFINITY, RLIM_INFINITY };
	rlim_t own = n_sockets + OWN_LEAST;

	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	getrlimit(RLIMIT_NOFILE, &files);
	if (files.rlim_cur >= FROM_USUAL + own + OWN_OF_AGENTS)
		return FROM_USUAL;
	if (files.rlim_cur >= FROM_LEAST + own + OWN_OF_AGENTS)
		return (int)(files.rlim_cur - own - OWN_OF_AGENTS);
	/* if it is too low for agents, this is recorded later */
	if (files.rlim_cur >= FROM_LEAST + own)
		return (int)(files.rlim_cur - own);
	dprintf(STDERR_FILENO,
		"postern: --listen: %zu files may be open at once, and it needs %zu: "
		"raise "
		"LimitNOFILE= of the unit, or ulimit -n\n",
		(size_t)files.rlim_cur, (size_t)(FROM_LEAST + own));
	return -1;
}

/* Moves the sockets above the descriptors of connections. 0 or -errno. */
static int move_up(struct listener *l)
{
	for (size_t i = 0; i < l->sockets.n; i++) {
		int *fd = &l->sockets.list[i].fd;
		if (*fd < l->acceptors.from)
			*fd = channel_move_up(*fd, l->acceptors.from);
		if (*fd < 0)
			return *fd;
	}
	return 0;
}

/*
 * Maps the table of the previous image, whose connections continue; or makes an empty
 * one.
 */
static int open_table(struct listener *l, int passed)
{
	if (passed >= 0)
		l->children = listen_children_reuse(passed);
	if (l->children) {
		l->table = passed;
	} else {
		l->children = listen_children_new(&l->table);
		if (!l->children)
			return -errno;
		l->children->last = TOPIC_SESSION;
	}
	l->failures = listen_failures_view(l->table);
	l->hangs = hangs_new();
	l->table = channel_move_up(l->table, l->acceptors.from);
	return l->table < 0 ? l->table : 0;
}

static sigset_t all_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	return set;
}

/* A signal that arrives before the loop stays pending. */
static sigset_t block_signals(void)
{
	const sigset_t set = all_signals();

	sigprocmask(SIG_BLOCK, &set, NULL);
	return set;
}

static int open_signals(struct listener *l)
{
	const sigset_t set = all_signals();

	l->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (l->signals < 0)
		return -errno;
	l->signals = channel_move_up(l->signals, l->acceptors.from);
	return l->signals < 0 ? l->signals : 0;
}

/* Prints the port that the system has chosen for port 0. */
static void show_port(const char *address, const struct listen_sockets *s)
{
	unsigned port = listen_port(&s->list[s->n - 1]);

	if (span_ends(span_of(address), SPAN(":0")) && port)
		dprintf(STDERR_FILENO, "postern: --listen=%s: port %u\n", address, port);
}

/* Opens the sockets of the command line. 0 or EX_USAGE. */
static int open_sockets(struct listener *l)
{
	const struct options *o = l->options;
	char wrong[LISTEN_FAULT_MAX];

	for (size_t i = 0; i < o->n_addresses && l->sockets.n < LISTEN_SOCKETS_MAX; i++) {
		struct buf b = BUF(wrong);
		if (listen_open(&l->sockets, o->addresses[i], &b)) {
			show_port(o->addresses[i], &l->sockets);
			continue;
		}
		dprintf(STDERR_FILENO, "postern: --listen=%s: %.*s\n", o->addresses[i],
			(int)b.n, b.p);
		return EX_USAGE;
	}
	if (l->sockets.n)
		return 0;
	dprintf(STDERR_FILENO, "postern: --listen: no socket was handed over: use "
			       "--listen=ADDRESS, or Accept=no\n");
	return EX_USAGE;
}

static int use_passed_sockets(struct listener *l)
{
	size_t passed = inherit_passed(l->inherited);
	const char *wrong = NULL;

	if (passed)
		wrong = listen_use_passed(
			&l->sockets, passed, l->inherited->listen_fdnames);
	if (!wrong)
		return 0;
	dprintf(STDERR_FILENO, "postern: --listen: descriptor %zu: %s\n",
		LISTEN_FIRST_FD + l->sockets.n, wrong);
	return EX_USAGE;
}

/*
 * COST: 6 % of a plain and 10 % of a TLS session's instructions (postern's budget, with
 * the arranged memory of prepared.c): the program executes itself once at its start, in
 * an image that binds all functions of libraries; without it: each connection binds them.
 * Returns the descriptor of the previous image's table of connections, or -1.
 */
static int bind_or_resume(struct listener *l)
{
	const struct listen_renewal renewal = { &l->sockets, l->inherited, l->argv,
		LISTEN_AT_START, -1, NULL };
	int table;

	if (!renew_resume(l->inherited, &table, &l->faults))
		renew_execute(&renewal);
	/* the image was started as /proc/self/exe: for ps(1) and the journal */
	prctl(PR_SET_NAME, "postern");
	/* connections become children of this process when their acceptor has ended */
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	return table;
}

static bool some_socket_needs_tls(const struct listen_sockets *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (listen_kind_needs_tls(s->list[i].kind))
			return true;
	return false;
}

static bool all_sockets_are_lmtp(const struct listen_sockets *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->list[i].kind != LISTEN_LMTP)
			return false;
	return true;
}

static int set_up(struct listener *l)
{
	int r = use_passed_sockets(l), passed;

	if (r)
		return r;
	passed = bind_or_resume(l);
	l->acceptors.from =
		choose_from(l->sockets.n ? l->sockets.n : l->options->n_addresses);
	if (l->acceptors.from < 0)
		return EX_OSERR;
	r = move_up(l);
	if (r == 0)
		r = open_table(l, passed);
	if (r < 0)
		return fail("--listen", strerror(-r));
	close_range(STDERR_FILENO + 1, (unsigned)l->acceptors.from - 1, 0);
	if (l->sockets.n == 0 && (r = open_sockets(l)))
		return r;
	l->preload.from = l->acceptors.from;
	l->preload.needs_tls = some_socket_needs_tls(&l->sockets);
	l->preload.only_lmtp = all_sockets_are_lmtp(&l->sockets);
	r = move_up(l);
	if (r == 0)
		r = preload_load(&l->preload);
	if (r == 0)
		r = open_signals(l);
	return r < 0 ? fail("--listen", strerror(-r)) : 0;
}

int listen_run(
	const struct options *options, const struct inherited *inherited, char **argv)
{
	const sigset_t blocked = block_signals();
	struct listener *l;
	int r;

	if (listen_outlive(&blocked, &r))
		return r;
	l = calloc(1, sizeof(*l));
	if (!l)
		return fail("--listen", strerror(ENOMEM));
	l->options = options;
	l->inherited = inherited;
	l->argv = argv;
	listener_find_modules(l);
	l->preload = (struct preload){ .options = options,
		.modules = l->modules,
		.credentials_directory = inherited->credentials_directory,
		.report = listener_report,
		.ctx = l };
	r = set_up(l);
	if (r)
		return r;
	listener_run(l);
	return 0;
}
