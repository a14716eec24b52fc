/* SPDX-License-Identifier: ISC */
/*
 * Executes the program again in the same process: at its start, to bind all functions of
 * libraries; after a crash of a connection, for another address space. The sockets are
 * passed as a service manager does, with the table of connections behind them.
 * Connections continue, and remain children of this process.
 */
#include "bin/listen/listener.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/num.h"

#define FIRST_FD 3 /* SD_LISTEN_FDS_START */
#define PASSED_MAX (LISTEN_SOCKETS_MAX + 1) /* sockets and table */
#define NAME_MAX_LENGTH 12
#define STATE_MAX 96

/* Sets a variable of the environment. False: out of memory. */
static bool set(const char *name, const char *value)
{
	return !value || setenv(name, value, 1) == 0;
}

static bool set_number(const char *name, size_t value)
{
	char number[24];

	snprintf(number, sizeof(number), "%zu", value);
	return set(name, number);
}

/*
 * Copies all descriptors to numbers above those at which they are passed. Returns the
 * number of copies, or -errno without any copy.
 */
static int copy_all(const struct listen_renewal *r, int ret_copies[PASSED_MAX])
{
	size_t n = 0, n_sockets = r->sockets->n, all = n_sockets + (r->table >= 0);

	while (n < all) {
		int fd = n < n_sockets ? r->sockets->list[n].fd : r->table;
		ret_copies[n] = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FD + PASSED_MAX);
		if (ret_copies[n] < 0)
			break;
		n++;
	}
	if (n == all)
		return (int)n;
	all = n;
	n = (size_t)errno;
	while (all)
		close(ret_copies[--all]);
	return -(int)n;
}

/* Moves the copies to 3 and higher. These numbers are free, or have the same sockets. */
static int line_up(const int *copies, int n)
{
	int error = 0;

	for (int i = 0; i < n; i++) {
		if (dup2(copies[i], FIRST_FD + i) < 0 && error == 0)
			error = -errno;
		close(copies[i]);
	}
	return error;
}

static void put_state(const struct listen_renewal *r, char ret[STATE_MAX])
{
	const struct restarts *f = r->faults;

	if (f)
		snprintf(ret, STATE_MAX, "%s %zu %zu %zu", r->why, (size_t)f->last,
			(size_t)f->interval, f->n);
	else
		snprintf(ret, STATE_MAX, "%s", r->why);
}

/* Sets the variables by which the program finds its sockets. False: out of memory. */
static bool set_environment(const struct listen_renewal *r)
{
	const struct inherited *inherited = r->inherited;
	char names[LISTEN_SOCKETS_MAX * NAME_MAX_LENGTH], state[STATE_MAX];
	struct buf b = BUF(names);

	for (size_t i = 0; i < r->sockets->n; i++) {
		if (i)
			buf_put_char(&b, ':');
		buf_put_str(&b, listen_kind_word(r->sockets->list[i].kind));
	}
	buf_terminate(&b);
	put_state(r, state);
	clearenv();
	return set("LD_BIND_NOW", "1") && set(LISTEN_RENEWED, state) &&
	       set("LISTEN_FDNAMES", names) && set_number("LISTEN_FDS", r->sockets->n) &&
	       set_number("LISTEN_PID", (size_t)getpid()) &&
	       set("NOTIFY_SOCKET", inherited->notify_socket) &&
	       set("WATCHDOG_USEC", inherited->watchdog_usec) &&
	       set("JOURNAL_STREAM", inherited->journal_stream) &&
	       set("CREDENTIALS_DIRECTORY", inherited->credentials_directory) &&
	       set("STATE_DIRECTORY", inherited->state_directory);
}

int renew_execute(const struct listen_renewal *r)
{
	int copies[PASSED_MAX] = { 0 };
	int n = copy_all(r, copies), error;

	if (n < 0)
		return n;
	error = line_up(copies, n);
	if (error < 0)
		return error;
	if (!set_environment(r))
		return -ENOMEM;
	execv("/proc/self/exe", r->argv);
	return -errno;
}

/* Takes the first number of a list that is separated by blanks; 0: it is not a number. */
static uint64_t take_number(struct span *from)
{
	uint64_t number;

	return num_parse(span_take(from, ' '), &number) ? number : 0;
}

bool renew_resume(
	const struct inherited *inherited, int *ret_table, struct restarts *ret_faults)
{
	static const char by_fault[] = LISTEN_BY_FAULT " ";
	const char *state = inherited->listen_renewed;
	struct span numbers;

	*ret_table = -1;
	if (!state)
		return false;
	if (strncmp(state, by_fault, sizeof(by_fault) - 1) != 0)
		return true;
	numbers = span_of(state + sizeof(by_fault) - 1);
	ret_faults->last = take_number(&numbers);
	ret_faults->interval = take_number(&numbers);
	ret_faults->n = (size_t)take_number(&numbers);
	*ret_table = FIRST_FD + (int)inherit_passed(inherited);
	return true;
}
