/* SPDX-License-Identifier: ISC */
/*
 * Starts agents and hands over channels to them. The first process reads the keys and
 * forks the others, so that all have the same keys. With keys in tokens (PKCS #11) there
 * is only one process, because the sessions of token modules do not survive a fork.
 */
#include "edge/keys/keys.h"
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>
#include "base/span.h"
#include "edge/keys/agent.h"
#include "edge/net/net.h"
#include "edge/sandbox/sandbox.h"
#include "edge/tls/tls.h"

#define CONTROL 3 /* the only descriptor of an agent above 2 */

struct ends {
	int ours, theirs;
};

static int open_pair(int from, struct ends *ret)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	ret->ours = channel_move_up(ends[0], from);
	ret->theirs = channel_move_up(ends[1], from);
	if (ret->ours >= 0 && ret->theirs >= 0)
		return 0;
	if (ret->ours >= 0)
		close(ret->ours);
	if (ret->theirs >= 0)
		close(ret->theirs);
	return ret->ours < 0 ? ret->ours : ret->theirs;
}

static size_t count_processors(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof(set), &set) < 0 ? 1 : CPU_COUNT(&set);

	return n < KEYS_AGENTS_MAX ? (size_t)n : KEYS_AGENTS_MAX;
}

/* Runs an agent in the sandbox. If it cannot be entered, all pairs have this fault. */
static int run(
	const struct tls_api *api, const struct tls_keys *keys, bool sandbox, bool tokens)
{
	struct agent *a = agent_new(api, keys, CONTROL);
	char fault[TLS_FAULT_TEXT];
	int r;

	if (!a)
		return EX_OSERR;
	r = sandbox ? sandbox_enter_signing(tokens) : 0;
	snprintf(fault, sizeof(fault),
		"tls-key: the key agent cannot enter its sandbox " SANDBOX_CURE ": %s",
		strerror(-r));
	return agent_run(a, r < 0 ? fault : NULL);
}

static int keep_only(int control)
{
	if (control != CONTROL && dup2(control, CONTROL) < 0)
		return -errno;
	close_range(CONTROL + 1, UINT_MAX, 0);
	return 0;
}

/* Runs the first agent; `ends` has the control of each of the `n` agents. */
static int run_first(const struct tls_api *api, const struct tls_settings *settings,
	bool sandbox, const struct ends *ends, size_t n)
{
	bool tokens = tls_settings_have_token(settings);
	struct tls_keys *keys;
	size_t own = 0;

	prctl(PR_SET_NAME, "postern-keys");
	/* the other agents are not reaped */
	signal(SIGCHLD, SIG_IGN);
	if (api->load_keys(settings, &keys) < 0)
		return EX_OSERR;
	for (size_t i = 1; i < n; i++) {
		pid_t pid = fork();
		if (pid < 0)
			return EX_OSERR;
		if (pid == 0) {
			own = i;
			break;
		}
	}
	if (keep_only(ends[own].theirs) < 0)
		return EX_OSERR;
	return run(api, keys, sandbox, tokens);
}

static void close_all(const struct ends *ends, size_t n, bool ours)
{
	for (size_t i = 0; i < n; i++) {
		close(ends[i].theirs);
		if (ours)
			close(ends[i].ours);
	}
}

int keys_start(struct keys_agents *ret, const struct tls_api *api,
	const struct tls_settings *settings, bool sandbox, int from)
{
	size_t n = tls_settings_have_token(settings) ? 1 : count_processors();
	struct ends ends[KEYS_AGENTS_MAX] = { 0 };
	pid_t pid;
	int r;

	for (size_t i = 0; i < n; i++) {
		r = open_pair(from, &ends[i]);
		if (r < 0) {
			close_all(ends, i, true);
			return r;
		}
	}
	pid = fork();
	r = -errno;
	if (pid == 0) {
		for (size_t i = 0; i < n; i++)
			close(ends[i].ours);
		_exit(run_first(api, settings, sandbox, ends, n));
	}
	close_all(ends, n, pid < 0);
	if (pid < 0)
		return r;
	*ret = (struct keys_agents){ .n = n };
	for (size_t i = 0; i < n; i++)
		ret->controls[i] = ends[i].ours;
	return 0;
}

void keys_leave(struct keys_agents *a)
{
	while (a->n)
		close(a->controls[--a->n]);
}

bool keys_have_ended(const struct keys_agents *a)
{
	char octet;

	for (size_t i = 0; i < a->n; i++)
		if (recv(a->controls[i], &octet, sizeof(octet),
			    MSG_DONTWAIT | MSG_PEEK) >= 0 ||
			errno != EAGAIN)
			return true;
	return false;
}

int keys_hand_over(struct keys_agents *a, int theirs, const struct ip *source)
{
	int r = -ECONNRESET;

	for (size_t i = 0; i < a->n; i++) {
		r = channel_send(a->controls[a->next++ % a->n], source, sizeof(*source),
			&theirs, 1);
		if (r == 0)
			return 0;
	}
	return r == -EPIPE ? -ECONNRESET : r;
}

int keys_open(struct keys_agents *a, const struct ip *source)
{
	int ends[2], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	r = keys_hand_over(a, ends[1], source);
	close(ends[1]);
	if (r == 0)
		return ends[0];
	close(ends[0]);
	return r;
}
