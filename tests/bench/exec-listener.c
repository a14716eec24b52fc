/* SPDX-License-Identifier: ISC */
/*
 * The least that an inetd does: listens on a port of 127.0.0.1 and executes PROGRAM for
 * each connection, with the socket as its descriptors 0 and 1. No settings, no limits, no
 * variables in the environment.
 *
 *	exec-listener PORT PROGRAM ARGUMENTS...
 */
#include "listen.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char *argv[])
{
	char *environment[] = { NULL };
	int fd;

	if (argc < 3) {
		fputs("usage: exec-listener PORT PROGRAM ARGUMENTS...\n", stderr);
		return 64;
	}
	fd = listen_on(argv[1]);
	signal(SIGCHLD, SIG_IGN); /* the kernel waits for them */
	for (;;) {
		int connection = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

		if (connection < 0) {
			perror("accept");
			return 1;
		}
		if (vfork() == 0) {
			dup2(connection, 0);
			dup2(connection, 1);
			execve(argv[2], argv + 2, environment);
			_exit(127);
		}
		close(connection);
	}
}
