/* SPDX-License-Identifier: ISC */
/*
 * Takes over environment, descriptors and signals from the parent process. The
 * environment is cleared, so that libraries do not use it: GnuTLS would write secrets to
 * the file in SSLKEYLOGFILE.
 */
#include "bin/inherit.h"
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "base/num.h"

#define LISTEN_FD 3 /* SD_LISTEN_FDS_START */

#define AT(member) offsetof(struct inherited, member)

/* No pointers to names: each is a relocation of every start. */
static const struct {
	char name[24];
	size_t at; /* offset in struct inherited */
} variables[] = {
	{ "TCPREMOTEIP", AT(peer.tcp_remote_ip) },
	{ "TCPREMOTEPORT", AT(peer.tcp_remote_port) },
	{ "TCPREMOTEHOST", AT(peer.tcp_remote_host) },
	{ "REMOTE_ADDR", AT(peer.remote_addr) },
	{ "REMOTE_PORT", AT(peer.remote_port) },
	{ "REMOTE_HOST", AT(peer.remote_host) },
	{ "JOURNAL_STREAM", AT(journal_stream) },
	{ "CREDENTIALS_DIRECTORY", AT(credentials_directory) },
	{ "STATE_DIRECTORY", AT(state_directory) },
	{ "NOTIFY_SOCKET", AT(notify_socket) },
	{ "WATCHDOG_USEC", AT(watchdog_usec) },
	{ "LISTEN_PID", AT(listen_pid) },
	{ "LISTEN_FDS", AT(listen_fds) },
	{ "LISTEN_FDNAMES", AT(listen_fdnames) },
	{ LISTEN_RENEWED, AT(listen_renewed) },
};

/* Keeps the value of "NAME=value" if it is used. The first one of a name counts. */
static void take(struct inherited *in, const char *variable)
{
	for (size_t i = 0; i < sizeof(variables) / sizeof(*variables); i++) {
		const char *name = variables[i].name;
		const char **value = (const char **)((char *)in + variables[i].at);
		size_t n;
		if (*name != *variable)
			continue;
		n = strlen(name);
		if (strncmp(variable, name, n) != 0 || variable[n] != '=')
			continue;
		if (!*value)
			*value = variable + n + 1;
		return;
	}
}

/* Drops variables that have a meaning only beside another one. */
static void drop_lone(struct inherited *in)
{
	struct peer_environment *peer = &in->peer;

	if (!peer->tcp_remote_ip)
		peer->tcp_remote_port = peer->tcp_remote_host = NULL;
	if (!peer->remote_addr)
		peer->remote_port = NULL;
	if (!in->listen_pid)
		in->listen_fds = in->listen_fdnames = NULL;
	if (!in->notify_socket)
		in->watchdog_usec = NULL;
}

/* A listener that has executed itself keeps its signals blocked, so that none is lost. */
static void reset_signals(bool unblock)
{
	sigset_t none;

	sigemptyset(&none);
	if (unblock)
		sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	signal(SIGCHLD, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
}

/* /dev/null has these device numbers on all systems: null(4). */
static bool is_null(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
}

void inherit(struct inherited *ret)
{
	*ret = (struct inherited){ .stderr_silent = false };
	for (char **variable = environ; variable && *variable; variable++)
		take(ret, *variable);
	drop_lone(ret);
	clearenv();
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			open("/dev/null", O_RDWR);
	reset_signals(!ret->listen_renewed);
	ret->stderr_silent = is_null(STDERR_FILENO);
}

size_t inherit_passed(const struct inherited *in)
{
	uint64_t pid, fds;
	bool is_ours = in->listen_pid && in->listen_fds &&
		       num_parse(span_of(in->listen_pid), &pid) &&
		       num_parse(span_of(in->listen_fds), &fds) &&
		       pid == (uint64_t)getpid();

	return is_ours ? (size_t)fds : 0;
}

static bool is_listening(int fd)
{
	int yes = 0;
	socklen_t n = sizeof(yes);

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &yes, &n) == 0 && yes;
}

bool inherit_may_be_connection(const struct inherited *in)
{
	struct stat st;

	return inherit_passed(in) == 1 ||
	       (fstat(STDIN_FILENO, &st) == 0 && S_ISSOCK(st.st_mode));
}

/* False for a terminal, in which a session is typed by hand and its records are shown. */
static bool is_same_stream(int a, int b)
{
	struct stat sa, sb;

	return fstat(a, &sa) == 0 && (S_ISSOCK(sa.st_mode) || S_ISFIFO(sa.st_mode)) &&
	       fstat(b, &sb) == 0 && sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

static bool silence_stderr(struct inherited *in)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	bool done = null >= 0 && dup2(null, STDERR_FILENO) >= 0;

	if (null >= 0)
		close(null);
	in->stderr_silent = true;
	return done;
}

enum inherit_result inherit_connection(struct inherited *in)
{
	if (inherit_passed(in) == 1 &&
		(dup2(LISTEN_FD, STDIN_FILENO) < 0 || dup2(LISTEN_FD, STDOUT_FILENO) < 0))
		return INHERIT_FAILED;
	/* other inherited descriptors are not used */
	close_range(STDERR_FILENO + 1, UINT_MAX, 0);
	if ((is_same_stream(STDERR_FILENO, STDOUT_FILENO) ||
		    is_same_stream(STDERR_FILENO, STDIN_FILENO)) &&
		!silence_stderr(in))
		return INHERIT_FAILED;
	return is_listening(STDIN_FILENO) ? INHERIT_LISTENING : INHERIT_FINE;
}
