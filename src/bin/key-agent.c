/* SPDX-License-Identifier: ISC */
/*
 * Accepts channels for the processes that sign (edge/keys), and starts new ones when a
 * file has changed or one of them has ended. This process does not read from channels,
 * and has no key. The mode of the socket decides which users may connect.
 */
#include "bin/key-agent.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>
#include "bin/preload.h"
#include "edge/log/log.h"
#include "edge/net/net.h"

#define PASSED_FD 3 /* sd_listen_fds(3) */
#define OWN_FDS 64 /* first number of the descriptors of agents */
#define LOAD_EVERY 1000 /* milliseconds until a failed load is repeated */
#define ACCEPT_PAUSE 100 /* milliseconds of waiting after accept() failed */

struct key_agent {
	const struct inherited *inherited;
	struct preload preload;
	char modules[MODULE_PATH_MAX];
	uint64_t loaded; /* time by stream_clock() */
	int socket;
};

static void report(void *ctx, const char *text)
{
	const struct key_agent *a = ctx;
	struct log log;

	log_init(&log, a->inherited->journal_stream, a->inherited->stderr_silent);
	log_error(&log, text);
	log_done(&log);
}

static bool is_socket_of_agents(int fd)
{
	int type = 0, listens = 0, domain = 0;
	socklen_t n = sizeof(int);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n) == 0 &&
	       getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0 &&
	       getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &n) == 0 &&
	       domain == AF_UNIX && type == SOCK_SEQPACKET && listens;
}

static void load(struct key_agent *a)
{
	struct preload *p = &a->preload;
	int r;

	a->loaded = stream_clock();
	r = p->config ? preload_refresh(p) : preload_load(p);
	if (r < 0)
		report(a, "tls-key: out of memory");
	else if (p->config->tls.n_pairs == 0 && !p->credentials)
		report(a, "tls-certificate: is not set: there is no key to sign with");
}

/*
 * Loads changed keys, which sign from the next channel on. If they are unusable, the old
 * ones stay in use.
 */
static void load_if_due(struct key_agent *a)
{
	const struct preload *p = &a->preload;
	bool is_broken = preload_has_failed(p) ||
			 (preload_lacks_agents(p) && !preload_awaits_change(p));

	if (preload_is_stale(p) ||
		(is_broken && stream_clock() - a->loaded >= LOAD_EVERY))
		load(a);
}

/*
 * Accepts a channel. If it cannot be handed over, it is closed, which its process
 * records.
 */
static void accept_one(struct key_agent *a)
{
	const struct ip unknown = { 0 };
	int fd = accept4(a->socket, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0 && errno != EINTR && errno != ECONNABORTED)
		poll(NULL, 0, ACCEPT_PAUSE);
	if (fd < 0)
		return;
	load_if_due(a);
	keys_hand_over(&a->preload.agents, fd, &unknown);
	close(fd);
}

/* Raises the limit of open files, because agents have a descriptor for each channel. */
static void raise_file_limit(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return;
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
}

int key_agent_run(const struct options *options, const struct inherited *inherited)
{
	struct key_agent a = { .inherited = inherited, .socket = PASSED_FD };
	struct buf directory = BUF(a.modules);

	if (inherit_passed(inherited) != 1 || !is_socket_of_agents(PASSED_FD)) {
		dprintf(STDERR_FILENO,
			"postern: --key-agent: no socket was handed over: use "
			"postern-key-agent.socket, or another with "
			"ListenSequentialPacket=\n");
		return EX_USAGE;
	}
	fcntl(PASSED_FD, F_SETFD, FD_CLOEXEC);
	close_range(PASSED_FD + 1, UINT_MAX, 0);
	signal(SIGCHLD, SIG_IGN);
	raise_file_limit();
	module_directory(&directory);
	a.preload = (struct preload){ .options = options,
		.modules = a.modules,
		.credentials_directory = inherited->credentials_directory,
		.report = report,
		.ctx = &a,
		.needs_tls = true,
		.only_keys = true,
		.from = OWN_FDS };
	load(&a);
	for (;;)
		accept_one(&a);
}
