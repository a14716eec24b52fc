/*
 * The least that an inetd does: listens on a port of 127.0.0.1 and executes PROGRAM for
 * each connection, with the socket as its descriptors 0 and 1. No settings, no limits, no
 * variables in the environment.
 *
 *	exec-listener PORT PROGRAM ARGUMENTS...
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 1024

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int listen_on(const char *port)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)strtoul(port, NULL, 10)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int yes = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0 ||
		bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0 ||
		listen(fd, BACKLOG) < 0)
		die(port);
	return fd;
}

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

		if (connection < 0)
			die("accept");
		if (vfork() == 0) {
			dup2(connection, 0);
			dup2(connection, 1);
			execve(argv[2], argv + 2, environment);
			_exit(127);
		}
		close(connection);
	}
}
