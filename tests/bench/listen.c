/* SPDX-License-Identifier: ISC */
#include "listen.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 1024

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

int listen_on(const char *port)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)strtoul(port, NULL, 10)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int yes = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0 ||
		bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0 ||
		listen(fd, BACKLOG) < 0)
		fail(port);
	return fd;
}

void fork_for_each(const char *port)
{
	int fd = listen_on(port);

	signal(SIGCHLD, SIG_IGN); /* the kernel waits for them */
	for (;;) {
		int connection = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
		pid_t pid;

		if (connection < 0)
			fail("accept");
		pid = fork();
		if (pid < 0)
			fail("fork");
		if (pid == 0) {
			dup2(connection, 0);
			dup2(connection, 1);
			return;
		}
		close(connection);
	}
}
