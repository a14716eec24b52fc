/*
 * Promises that no connection is lost: the sockets go over as the service manager hands
 * them. Which processes were ours does not: they go on, and are counted no more.
 */
#include "bin/listen-renew.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "bin/listen.h"

#define FIRST_FD 3 /* SD_LISTEN_FDS_START */
#define NAME_MAX_LENGTH 12

static void set(const char *name, const char *value)
{
	if (value)
		setenv(name, value, 1);
}

/* To 3 and on, in order: first out of each other's way. */
static void line_up(const struct listen_sockets *s)
{
	int moved[LISTEN_SOCKETS_MAX];

	for (size_t i = 0; i < s->n; i++)
		moved[i] = fcntl(
			s->list[i].fd, F_DUPFD_CLOEXEC, FIRST_FD + LISTEN_SOCKETS_MAX);
	for (size_t i = 0; i < s->n; i++)
		dup2(moved[i], FIRST_FD + (int)i);
}

void listen_renew(const struct listen_sockets *sockets, const struct inherited *inherited,
	char **argv, const char *why)
{
	char names[LISTEN_SOCKETS_MAX * NAME_MAX_LENGTH], number[16];
	struct buf b = BUF(names);

	for (size_t i = 0; i < sockets->n; i++) {
		if (i)
			buf_put_char(&b, ':');
		buf_put_str(&b, listen_kind_word(sockets->list[i].kind));
	}
	buf_terminate(&b);
	clearenv();
	set("LD_BIND_NOW", "1");
	set(LISTEN_RENEWED, why);
	set("LISTEN_FDNAMES", names);
	snprintf(number, sizeof(number), "%zu", sockets->n);
	set("LISTEN_FDS", number);
	snprintf(number, sizeof(number), "%d", (int)getpid());
	set("LISTEN_PID", number);
	set("NOTIFY_SOCKET", inherited->notify_socket);
	set("WATCHDOG_USEC", inherited->watchdog_usec);
	set("JOURNAL_STREAM", inherited->journal_stream);
	set("CREDENTIALS_DIRECTORY", inherited->credentials_directory);
	line_up(sockets);
	execv("/proc/self/exe", argv);
}
