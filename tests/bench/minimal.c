/* SPDX-License-Identifier: ISC */
/*
 * The fair comparison: the least that a program does to take one message and store it
 * durably. One process, SMTP on descriptors 0 and 1, no settings, no sandbox, no policy,
 * no caps. It is as quick as its author could make it without leaving anything out that a
 * mail needs; what postern costs beyond it is what postern does beyond it.
 */
#include "minimal.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

void die(const char *what)
{
	fprintf(stderr, "minimal: %s: %s\n", what, strerror(errno));
	exit(1);
}

ssize_t minimal_read(struct connection *c, void *to, size_t n)
{
	(void)c;
	return read(0, to, n);
}

ssize_t minimal_write(struct connection *c, const void *from, size_t n)
{
	(void)c;
	return write(1, from, n);
}

static void put(struct connection *c, const char *text)
{
	size_t n = strlen(text);

	if (c->write(c, text, n) != (ssize_t)n)
		die("write");
}

static void fill(struct connection *c)
{
	ssize_t r;

	memmove(c->in, c->in + c->begin, c->end - c->begin);
	c->end -= c->begin;
	c->begin = 0;
	if (c->end == sizeof(c->in))
		die("line too long");
	r = c->read(c, c->in + c->end, sizeof(c->in) - c->end);
	if (r <= 0)
		die("read");
	c->end += (size_t)r;
}

/* A line without its CRLF, in place. */
static char *get_line(struct connection *c, size_t *ret_n)
{
	size_t seen = 0;
	char *line;
	char *lf;

	while (!(lf = memchr(c->in + c->begin + seen, '\n', c->end - c->begin - seen))) {
		seen = c->end - c->begin;
		fill(c);
	}
	line = c->in + c->begin;
	c->begin = (size_t)(lf - c->in) + 1;
	*ret_n = (size_t)(lf - line);
	if (*ret_n > 0 && line[*ret_n - 1] == '\r')
		--*ret_n;
	line[*ret_n] = '\0';
	return line;
}

static void write_file(int fd, const char *from, size_t n)
{
	while (n > 0) {
		ssize_t r = write(fd, from, n);

		if (r < 0)
			die("write");
		from += r;
		n -= (size_t)r;
	}
}

static void get_content(struct connection *c, int fd)
{
	static char out[64 * 1024];
	size_t n_out = 0;

	for (;;) {
		size_t n;
		char *line = get_line(c, &n);

		if (line[0] == '.' && n == 1)
			break;
		if (line[0] == '.')
			line++, n--;
		if (n + 1 > sizeof(out) - n_out) {
			write_file(fd, out, n_out);
			n_out = 0;
		}
		memcpy(out + n_out, line, n);
		n_out += n;
		out[n_out++] = '\n';
	}
	write_file(fd, out, n_out);
}

static void store(struct connection *c, const char *maildir)
{
	char new[4096];
	char name[256];
	char self[64];
	struct timespec now;
	int dir;
	int fd;

	snprintf(new, sizeof(new), "%s/new", maildir);
	dir = open(new, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fd = open(new, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (dir < 0 || fd < 0)
		die(new);
	put(c, "354 Go ahead\r\n");
	get_content(c, fd);
	if (c->filter)
		minimal_filter_end(c->filter_fd);
	clock_gettime(CLOCK_REALTIME, &now);
	snprintf(name, sizeof(name), "%lld.M%ldP%d.minimal", (long long)now.tv_sec,
		now.tv_nsec / 1000, (int)getpid());
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	if (fsync(fd) < 0 || linkat(AT_FDCWD, self, dir, name, AT_SYMLINK_FOLLOW) < 0 ||
		fsync(fd) < 0 || fsync(dir) < 0)
		die("store");
	close(fd);
	close(dir);
	put(c, "250 Stored\r\n");
}

static bool starts(const char *line, const char *verb)
{
	return strncasecmp(line, verb, strlen(verb)) == 0;
}

static void greet(struct connection *c)
{
	put(c, c->tls || !c->start_tls
			? "250-minimal\r\n250 PIPELINING\r\n"
			: "250-minimal\r\n250-PIPELINING\r\n250 STARTTLS\r\n");
}

void minimal_serve(struct connection *c, const char *maildir)
{
	put(c, "220 minimal ESMTP\r\n");
	for (;;) {
		size_t n;
		const char *line = get_line(c, &n);

		if (starts(line, "EHLO"))
			greet(c);
		else if (starts(line, "HELO"))
			put(c, "250 minimal\r\n");
		else if (starts(line, "STARTTLS") && c->start_tls && !c->tls &&
			 c->begin == c->end) {
			put(c, "220 Go ahead\r\n");
			c->start_tls(c);
		} else if (starts(line, "MAIL") || starts(line, "RCPT")) {
			if (c->filter && starts(line, "MAIL"))
				c->filter_fd = minimal_filter_open(c->filter);
			put(c, "250 Ok\r\n");
		} else if (starts(line, "DATA"))
			store(c, maildir);
		else if (starts(line, "QUIT")) {
			put(c, "221 Bye\r\n");
			return;
		} else
			put(c, "500 What?\r\n");
	}
}
