/*
 * The fair comparison: the least that a program linked with GnuTLS does to take one
 * message by STARTTLS and store it durably. One process, SMTP on descriptors 0 and 1, no
 * settings, no sandbox, no policy, no caps. It is as quick as its author could make it
 * without leaving anything out that a mail needs; what postern costs beyond it is what
 * postern does beyond it.
 *
 *	minimal-tls [-k] MAILDIR CERTIFICATE KEY [PRIORITY]
 *
 * -k lets GnuTLS test by a signature that key and certificate match, as it does by
 * default. Without it the test is skipped, which is the cheaper way, and the harder one to
 * compare with.
 */
#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#define PRIORITY "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

struct connection {
	gnutls_session_t tls; /* NULL in the clear */
	size_t begin;
	size_t end;
	char in[64 * 1024];
};

static void die(const char *what)
{
	fprintf(stderr, "minimal-tls: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void check(int r, const char *what)
{
	if (r < 0) {
		fprintf(stderr, "minimal-tls: %s: %s\n", what, gnutls_strerror(r));
		exit(1);
	}
}

static void put(struct connection *c, const char *text)
{
	size_t n = strlen(text);
	ssize_t r = c->tls ? gnutls_record_send(c->tls, text, n) : write(1, text, n);

	if (r != (ssize_t)n)
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
	do
		r = c->tls ? gnutls_record_recv(
				     c->tls, c->in + c->end, sizeof(c->in) - c->end)
			   : read(0, c->in + c->end, sizeof(c->in) - c->end);
	while (r == GNUTLS_E_AGAIN || r == GNUTLS_E_INTERRUPTED);
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

static void start_tls(
	struct connection *c, char *const files[], const char *priority, bool test)
{
	gnutls_certificate_credentials_t certificates;

	check(gnutls_certificate_allocate_credentials(&certificates), "credentials");
	if (!test)
		gnutls_certificate_set_flags(
			certificates, GNUTLS_CERTIFICATE_SKIP_KEY_CERT_MATCH);
	check(gnutls_certificate_set_x509_key_file(
		      certificates, files[0], files[1], GNUTLS_X509_FMT_PEM),
		files[0]);
	check(gnutls_init(&c->tls, GNUTLS_SERVER | GNUTLS_NO_TICKETS), "init");
	check(gnutls_priority_set_direct(c->tls, priority, NULL), priority);
	check(gnutls_credentials_set(c->tls, GNUTLS_CRD_CERTIFICATE, certificates),
		"set");
	gnutls_transport_set_int2(c->tls, 0, 1);
	check(gnutls_handshake(c->tls), "handshake");
}

static bool starts(const char *line, const char *verb)
{
	return strncasecmp(line, verb, strlen(verb)) == 0;
}

int main(int argc, char *argv[])
{
	static struct connection c;
	bool test = argc > 1 && strcmp(argv[1], "-k") == 0;
	char **operands = argv + 1 + test;
	int n_operands = argc - 1 - test;

	if (n_operands < 3)
		return 64;
	put(&c, "220 minimal ESMTP\r\n");
	for (;;) {
		size_t n;
		const char *line = get_line(&c, &n);

		if (starts(line, "EHLO"))
			put(&c, c.tls ? "250-minimal\r\n250 PIPELINING\r\n"
				      : "250-minimal\r\n250-PIPELINING\r\n250 "
					"STARTTLS\r\n");
		else if (starts(line, "STARTTLS") && !c.tls && c.begin == c.end) {
			put(&c, "220 Go ahead\r\n");
			start_tls(&c, operands + 1,
				n_operands > 3 ? operands[3] : PRIORITY, test);
		} else if (starts(line, "MAIL") || starts(line, "RCPT"))
			put(&c, "250 Ok\r\n");
		else if (starts(line, "DATA"))
			store(&c, operands[0]);
		else if (starts(line, "QUIT")) {
			put(&c, "221 Bye\r\n");
			break;
		} else
			put(&c, "500 What?\r\n");
	}
	if (c.tls)
		gnutls_bye(c.tls, GNUTLS_SHUT_WR);
	return 0;
}
