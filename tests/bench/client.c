/* SPDX-License-Identifier: ISC */
/* A session from connecting to QUIT. Whatever is not as expected ends the process. */
#include "client.h"
#include "content.h"
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

struct client {
	const struct options *options;
	int fd;
	pid_t pid; /* of the server, if it is ours */
	gnutls_session_t tls;
	bool secure;
	size_t begin;
	size_t end;
	char in[8192];
};

void die(const char *what, const char *why)
{
	fprintf(stderr, "tls-client: %s: %s\n", what, why);
	exit(1);
}

static void put(struct client *c, const char *from, size_t n)
{
	while (n > 0) {
		ssize_t r = c->secure ? gnutls_record_send(c->tls, from, n)
				      : send(c->fd, from, n, MSG_NOSIGNAL);

		if (r < 0)
			die("write",
				c->secure ? gnutls_strerror((int)r) : strerror(errno));
		from += r;
		n -= (size_t)r;
	}
}

static void fill(struct client *c)
{
	ssize_t r;

	do
		r = c->secure ? gnutls_record_recv(c->tls, c->in, sizeof(c->in))
			      : read(c->fd, c->in, sizeof(c->in));
	while (c->secure && (r == GNUTLS_E_AGAIN || r == GNUTLS_E_INTERRUPTED));
	if (r <= 0)
		die("read", r == 0      ? "end of file"
			    : c->secure ? gnutls_strerror((int)r)
					: strerror(errno));
	c->begin = 0;
	c->end = (size_t)r;
}

static void get_line(struct client *c, char *to, size_t cap)
{
	size_t n = 0;

	for (;;) {
		if (c->begin == c->end)
			fill(c);
		if (n + 1 == cap)
			die("read", "line too long");
		to[n] = c->in[c->begin++];
		if (to[n++] == '\n')
			break;
	}
	to[n] = '\0';
}

static void expect(struct client *c, const char *code)
{
	char line[2048];

	do
		get_line(c, line, sizeof(line));
	while (line[0] && line[1] && line[2] && line[3] == '-');
	if (strncmp(line, code, 3) != 0)
		die(code, line);
}

static void say(struct client *c, const char *text, const char *code)
{
	put(c, text, strlen(text));
	expect(c, code);
}

static void start_tls(struct client *c, struct results *results)
{
	const struct options *o = c->options;
	int r;

	gnutls_init(&c->tls, GNUTLS_CLIENT);
	if (gnutls_priority_set_direct(c->tls, o->priority, NULL) < 0)
		die("priority", o->priority);
	gnutls_credentials_set(c->tls, GNUTLS_CRD_CERTIFICATE, results->credentials);
	if (results->ticket.data)
		gnutls_session_set_data(
			c->tls, results->ticket.data, results->ticket.size);
	gnutls_transport_set_int(c->tls, c->fd);
	do
		r = gnutls_handshake(c->tls);
	while (r < 0 && !gnutls_error_is_fatal(r));
	if (r < 0)
		die("handshake", gnutls_strerror(r));
	c->secure = true;
	results->resumed += gnutls_session_is_resumed(c->tls) != 0;
}

/* The first session that has none to resume leaves one for those to come. */
static void keep_ticket(struct client *c, struct results *results)
{
	if (c->options->ticket && !results->ticket.data)
		gnutls_session_get_data2(c->tls, &results->ticket);
}

static void put_content(struct client *c, unsigned long at, unsigned long n)
{
	while (n > 0) {
		const char *from;
		size_t piece = content_at(at, n, &from);
		put(c, from, piece);
		at += piece;
		n -= piece;
	}
}

/* In one write. */
static void put_fields(struct client *c, unsigned long n)
{
	static const char field[] = "X-Field: as long as fields are that a host adds\r\n";
	char text[FIELDS_MAX * sizeof(field)];
	size_t at = 0;

	for (unsigned long i = 0; i < n; i++) {
		memcpy(text + at, field, sizeof(field) - 1);
		at += sizeof(field) - 1;
	}
	put(c, text, at);
}

static void send_data(struct client *c, unsigned long fields, unsigned long size)
{
	say(c, "DATA\r\n", "354");
	if (fields)
		put_fields(c, fields);
	put_content(c, 0, size);
	put(c, ".\r\n", 3);
}

/* Waits for the reply to each chunk but the last (RFC 3030). */
static void send_chunks(struct client *c, unsigned long size, unsigned long chunk)
{
	for (unsigned long at = 0; at < size; at += chunk) {
		bool last = size - at <= chunk;
		unsigned long n = last ? size - at : chunk;
		char command[64];
		snprintf(command, sizeof(command), "BDAT %lu%s\r\n", n,
			last ? " LAST" : "");
		put(c, command, strlen(command));
		put_content(c, at, n);
		if (!last)
			expect(c, "250");
	}
}

static void send_content(struct client *c, const struct options *o)
{
	if (o->chunk)
		send_chunks(c, content_size(o->size), o->chunk);
	else
		send_data(c, o->fields, content_size(o->size));
}

static void open_program(struct client *c)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		die("socketpair", strerror(errno));
	c->pid = fork();
	if (c->pid == 0) {
		dup2(pair[1], 0);
		dup2(pair[1], 1);
		execvp(c->options->program[0], c->options->program);
		_exit(127);
	}
	close(pair[1]);
	c->fd = pair[0];
}

static void open_address(struct client *c)
{
	const struct options *o = c->options;
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICHOST };
	struct addrinfo *found;
	int yes = 1;

	if (getaddrinfo(o->address, o->port, &hints, &found) != 0)
		die(o->address, "not an address");
	c->fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, found->ai_addr, found->ai_addrlen) < 0)
		die("connect", strerror(errno));
	/* what is measured is the server's time, not that of acknowledgements */
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	freeaddrinfo(found);
}

static void add_usage(struct client *c, struct results *results)
{
	struct rusage usage;
	int status;

	if (c->pid <= 0)
		return;
	if (wait4(c->pid, &status, 0, &usage) < 0 || !WIFEXITED(status) ||
		WEXITSTATUS(status) != 0)
		die("server", "did not exit well");
	timeradd(&results->usage.ru_utime, &usage.ru_utime, &results->usage.ru_utime);
	timeradd(&results->usage.ru_stime, &usage.ru_stime, &results->usage.ru_stime);
}

static void greet(struct client *c, struct results *results)
{
	const struct options *o = c->options;

	if (o->mode == IMPLICIT)
		start_tls(c, results);
	expect(c, "220");
	say(c, "EHLO client.example\r\n", "250");
	if (o->mode == STARTTLS) {
		say(c, "STARTTLS\r\n", "220");
		start_tls(c, results);
		say(c, "EHLO client.example\r\n", "250");
	}
}

void run_session(const struct options *o, struct results *results)
{
	struct client c = { .options = o, .fd = -1 };
	char rcpt[512];

	snprintf(rcpt, sizeof(rcpt), "RCPT TO:<%s>\r\n", o->recipient);
	if (o->program)
		open_program(&c);
	else
		open_address(&c);
	greet(&c, results);
	say(&c, "MAIL FROM:<a@client.example>\r\n", "250");
	say(&c, rcpt, "250");
	send_content(&c, o);
	expect(&c, "250");
	if (c.secure)
		keep_ticket(&c, results);
	say(&c, "QUIT\r\n", "221");
	if (c.secure)
		gnutls_bye(c.tls, GNUTLS_SHUT_WR);
	if (c.tls)
		gnutls_deinit(c.tls);
	close(c.fd);
	add_usage(&c, results);
}
