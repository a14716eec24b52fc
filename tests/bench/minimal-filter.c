/* SPDX-License-Identifier: ISC */
/*
 * The least of the milter protocol that a message needs with a filter that wants no
 * events: negotiation, the end of the message and its verdict, three writes and two reads.
 */
#include "minimal.h"
#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define VERSION 6
#define ACTIONS 0x1ff
#define STEPS 0x1fffff
#define FRAME_MAX 512

static void send_frame(int fd, char command, const void *data, uint32_t n)
{
	unsigned char frame[4 + 1 + 12];
	uint32_t length = htonl(n + 1);

	memcpy(frame, &length, sizeof(length));
	frame[4] = (unsigned char)command;
	memcpy(frame + 5, data, n);
	if (send(fd, frame, 5 + n, MSG_NOSIGNAL) != (ssize_t)(5 + n))
		die("filter: send");
}

static char read_frame(int fd)
{
	unsigned char frame[FRAME_MAX];
	uint32_t length;
	ssize_t n = read(fd, frame, sizeof(frame));

	if (n < 5)
		die("filter: read");
	memcpy(&length, frame, sizeof(length));
	if (ntohl(length) + 4 != (size_t)n)
		die("filter: length");
	return (char)frame[4];
}

int minimal_filter_open(const char *path)
{
	const uint32_t offer[] = { htonl(VERSION), htonl(ACTIONS), htonl(STEPS) };
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strncpy(at.sun_path, path, sizeof(at.sun_path) - 1);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&at, sizeof(at)) < 0)
		die(path);
	send_frame(fd, 'O', offer, sizeof(offer));
	if (read_frame(fd) != 'O')
		die("filter: negotiation");
	return fd;
}

void minimal_filter_end(int fd)
{
	char verdict;

	send_frame(fd, 'E', NULL, 0);
	verdict = read_frame(fd);
	if (verdict != 'a' && verdict != 'c')
		die("filter: verdict");
	send_frame(fd, 'Q', NULL, 0);
	close(fd);
}
