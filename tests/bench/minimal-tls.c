/* SPDX-License-Identifier: ISC */
/*
 * The least that a program linked with GnuTLS does to take one message by STARTTLS and
 * store it durably.
 *
 *	minimal-tls [-k] [-l PORT] MAILDIR CERTIFICATE KEY [PRIORITY]
 *
 * -l accepts connections itself and forks for each of them, with the certificate loaded.
 * -k lets GnuTLS test by a signature that key and certificate match, as it does by
 * default. Without it the test is skipped, which is the cheaper way, and the harder one to
 * compare with.
 */
#include "listen.h"
#include "minimal.h"
#include <gnutls/gnutls.h>
#include <unistd.h>

#define PRIORITY "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

/* a session in the clear does not pay for it */
GNUTLS_SKIP_GLOBAL_INIT

struct server {
	/* first: a pointer to one is a pointer to the other */
	struct connection connection;
	char *const *files;
	const char *priority;
	gnutls_certificate_credentials_t certificates; /* NULL: not loaded yet */
	bool test;
};

static void check(int r)
{
	if (r < 0)
		die(gnutls_strerror(r));
}

static ssize_t read_record(struct connection *c, void *to, size_t n)
{
	ssize_t r;

	do
		r = gnutls_record_recv(c->tls, to, n);
	while (r == GNUTLS_E_AGAIN || r == GNUTLS_E_INTERRUPTED);
	return r;
}

static ssize_t write_record(struct connection *c, const void *from, size_t n)
{
	return gnutls_record_send(c->tls, from, n);
}

static void load(struct server *s)
{
	check(gnutls_global_init());
	check(gnutls_certificate_allocate_credentials(&s->certificates));
	if (!s->test)
		gnutls_certificate_set_flags(
			s->certificates, GNUTLS_CERTIFICATE_SKIP_KEY_CERT_MATCH);
	check(gnutls_certificate_set_x509_key_file(
		s->certificates, s->files[0], s->files[1], GNUTLS_X509_FMT_PEM));
}

static void start_tls(struct connection *c)
{
	struct server *s = (struct server *)c;
	gnutls_session_t tls;

	if (!s->certificates)
		load(s);
	check(gnutls_init(&tls, GNUTLS_SERVER | GNUTLS_NO_TICKETS));
	check(gnutls_priority_set_direct(tls, s->priority, NULL));
	check(gnutls_credentials_set(tls, GNUTLS_CRD_CERTIFICATE, s->certificates));
	gnutls_transport_set_int2(tls, 0, 1);
	check(gnutls_handshake(tls));
	c->tls = tls;
	c->read = read_record;
	c->write = write_record;
}

int main(int argc, char *argv[])
{
	static struct server s = { .connection = { .read = minimal_read,
					   .write = minimal_write,
					   .start_tls = start_tls } };
	const char *port = NULL;
	int letter;

	while ((letter = getopt(argc, argv, "+kl:")) != -1)
		if (letter == 'k')
			s.test = true;
		else if (letter == 'l')
			port = optarg;
		else
			return 64;
	if (argc - optind < 3)
		return 64;
	s.files = argv + optind + 1;
	s.priority = argc - optind > 3 ? argv[optind + 3] : PRIORITY;
	if (port) {
		load(&s);
		fork_for_each(port);
	}
	minimal_serve(&s.connection, argv[optind]);
	if (s.connection.tls)
		gnutls_bye(s.connection.tls, GNUTLS_SHUT_WR);
	return 0;
}
