/* SPDX-License-Identifier: ISC */
/*
 * A server with the module tls.so, in a process of its own, and a GnuTLS client. A plan has the configuration and the
 * actions of the server; its outcome is passed back at the end of the connection.
 */
#pragma once

#include "unit/tls-lab.h"

#define TLS_1_3 "NORMAL:-VERS-ALL:+VERS-TLS1.3"
#define TLS_1_2 "NORMAL:-VERS-ALL:+VERS-TLS1.2"

/* The result of the server's process, which is passed through a pipe. */
struct outcome {
	int load;
	int accept;
	struct tls_facts facts;
	struct tls_failure failure; /* of the handshake, or of the last read */
	ssize_t read; /* the last one */
	size_t octets; /* read before that */
	int write;
	unsigned int reads_of_io; /* from the handshake's end on */
	bool pending;
	bool intact; /* all octets were those of pattern() */
	bool has_client; /* a certificate of its own */
	struct tls_client client;
	bool has_binding;
	unsigned char binding[TLS_BINDING_SIZE];
};

/* The connection below; after `good_reads` reads it fails with `error`. */
struct connection {
	int fd;
	unsigned int n_reads;
	unsigned int good_reads;
	int error;
};

struct plan {
	const char *pairs[4]; /* names of certificates */
	const char *priority; /* the server's; NULL: the default */
	const char *tickets; /* name of a ticket key */
	const char *hostname;
	const char *client_ca; /* name of a certificate */
	void (*serve)(struct tls *tls, struct connection *c, struct outcome *o);
	unsigned int good_reads;
	int error;
};

/* The client's side. */
struct client {
	gnutls_session_t tls;
	gnutls_certificate_credentials_t credentials;
	int fd;
	pid_t server;
	int outcome;
	int handshake;
	char shown[64]; /* the common name of the server's certificate */
};

struct offer {
	const char *priority;
	const char *sni;
	const char *alpn;
	gnutls_datum_t *ticket;
	const char *certificate; /* name of the client's own; NULL: none */
};

static inline unsigned char pattern(size_t i)
{
	return (unsigned char)(i * 31 + i / 251);
}

static inline ssize_t io_read(void *ctx, void *to, size_t n)
{
	struct connection *c = ctx;
	ssize_t r;

	if (c->error && c->n_reads >= c->good_reads)
		return c->error;
	c->n_reads++;
	r = read(c->fd, to, n);
	return r < 0 ? -errno : r;
}

/* Never more than a page at once: a short write is not an error. */
static inline ssize_t io_write(void *ctx, const void *from, size_t n)
{
	struct connection *c = ctx;
	ssize_t r = write(c->fd, from, n < 4096 ? n : 4096);

	return r < 0 ? -errno : r;
}

static inline int load_plan(const struct plan *plan, struct tls_credentials **ret)
{
	struct lab_path paths[8];
	struct lab_path tickets = lab_path(plan->tickets ? plan->tickets : "", "");
	struct lab_path client_ca =
		lab_path(plan->client_ca ? plan->client_ca : "", ".pem");
	struct lab_faults faults = { 0 };
	const struct tls_report report = { .ctx = &faults, .fault = lab_hear };
	struct tls_settings settings;
	size_t n = 0;

	for (; n < 4 && plan->pairs[n]; n++) {
		paths[2 * n] = lab_path(plan->pairs[n], ".pem");
		paths[2 * n + 1] = lab_path(plan->pairs[n], ".key");
	}
	settings = lab_settings(paths, n);
	if (plan->priority)
		settings.priority = plan->priority;
	if (plan->tickets)
		settings.tickets = tickets.text;
	if (plan->client_ca)
		settings.client_ca = client_ca.text;
	settings.hostname = plan->hostname;
	return lab_api->load(&settings, &report, ret);
}

static inline void serve(const struct plan *plan, int fd, struct outcome *o)
{
	struct connection c = {
		.fd = fd, .good_reads = plan->good_reads, .error = plan->error
	};
	const struct tls_io io = { .ctx = &c, .read = io_read, .write = io_write };
	struct tls_credentials *credentials = NULL;
	struct tls *tls = NULL;

	o->load = load_plan(plan, &credentials);
	if (o->load == 0)
		o->accept =
			lab_api->accept(credentials, &io, &tls, &o->facts, &o->failure);
	if (tls && plan->serve) {
		c.n_reads = 0;
		plan->serve(tls, &c, o);
		o->reads_of_io = c.n_reads;
	}
	if (tls)
		lab_api->bye(tls);
	lab_api->free(tls);
	lab_api->unload(credentials);
}

/* A server that hangs is a failure, not a wait for ever. */
#define PATIENCE 20

static inline void start_server(const struct plan *plan, struct client *c)
{
	struct outcome o = { 0 };
	int ends[2];
	int pipes[2];

	REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0 && pipe(pipes) == 0);
	fflush(NULL);
	c->server = fork();
	if (c->server == 0) {
		alarm(PATIENCE);
		close(ends[0]);
		close(pipes[0]);
		serve(plan, ends[1], &o);
		if (write(pipes[1], &o, sizeof(o)) != sizeof(o))
			_exit(1);
		close(ends[1]);
		exit(0);
	}
	close(ends[1]);
	close(pipes[1]);
	c->fd = ends[0];
	c->outcome = pipes[0];
}

static inline void see_certificate(struct client *c)
{
	unsigned int n;
	const gnutls_datum_t *certificates = gnutls_certificate_get_peers(c->tls, &n);
	size_t size = sizeof(c->shown);
	gnutls_x509_crt_t leaf;

	if (!certificates || gnutls_x509_crt_init(&leaf) < 0)
		return;
	if (gnutls_x509_crt_import(leaf, certificates, GNUTLS_X509_FMT_DER) == 0)
		gnutls_x509_crt_get_dn_by_oid(
			leaf, GNUTLS_OID_X520_COMMON_NAME, 0, 0, c->shown, &size);
	gnutls_x509_crt_deinit(leaf);
}

static inline void shake_hands(struct client *c)
{
	do
		c->handshake = gnutls_handshake(c->tls);
	while (c->handshake < 0 && !gnutls_error_is_fatal(c->handshake));
	if (c->handshake == 0)
		see_certificate(c);
}

static inline void start_client(const struct offer *offer, struct client *c)
{
	REQUIRE(gnutls_certificate_allocate_credentials(&c->credentials) == 0);
	if (offer->certificate)
		REQUIRE(gnutls_certificate_set_x509_key_file(c->credentials,
				lab_path(offer->certificate, ".pem").text,
				lab_path(offer->certificate, ".key").text,
				GNUTLS_X509_FMT_PEM) == 0);
	REQUIRE(gnutls_init(&c->tls, GNUTLS_CLIENT) == 0);
	REQUIRE(gnutls_priority_set_direct(c->tls, offer->priority, NULL) == 0);
	gnutls_credentials_set(c->tls, GNUTLS_CRD_CERTIFICATE, c->credentials);
	gnutls_transport_set_int(c->tls, c->fd);
	gnutls_handshake_set_timeout(c->tls, PATIENCE * 1000);
	if (offer->sni)
		gnutls_server_name_set(
			c->tls, GNUTLS_NAME_DNS, offer->sni, strlen(offer->sni));
	if (offer->alpn)
		gnutls_alpn_set_protocols(c->tls,
			&(gnutls_datum_t){ (unsigned char *)(uintptr_t)offer->alpn,
				(unsigned int)strlen(offer->alpn) },
			1, 0);
	if (offer->ticket && offer->ticket->data)
		gnutls_session_set_data(c->tls, offer->ticket->data, offer->ticket->size);
}

static inline struct client meet(const struct plan *plan, const struct offer *offer)
{
	struct client c = { 0 };

	start_server(plan, &c);
	start_client(offer, &c);
	shake_hands(&c);
	return c;
}

/* Ends the client and reads the server's result. */
static inline struct outcome part(struct client *c)
{
	struct outcome o = { .load = -1 };
	int status = -1;

	if (c->tls)
		gnutls_deinit(c->tls);
	if (c->credentials)
		gnutls_certificate_free_credentials(c->credentials);
	close(c->fd);
	CHECK(read(c->outcome, &o, sizeof(o)) == sizeof(o));
	close(c->outcome);
	CHECK(waitpid(c->server, &status, 0) == c->server);
	CHECK(status == 0);
	CHECK(o.load == 0);
	return o;
}

/* Until the server has ended, so that it never writes into a closed socket. */
static inline void drain(struct client *c)
{
	char block[4096];

	shutdown(c->fd, SHUT_WR);
	while (read(c->fd, block, sizeof(block)) > 0)
		;
}

static inline void goodbye(struct client *c)
{
	CHECK(gnutls_bye(c->tls, GNUTLS_SHUT_WR) == 0);
}

static inline void say(struct client *c, const char *text)
{
	CHECK(gnutls_record_send(c->tls, text, strlen(text)) == (ssize_t)strlen(text));
}

static inline bool hear(struct client *c, const char *text)
{
	char line[256];
	ssize_t r;

	do
		r = gnutls_record_recv(c->tls, line, sizeof(line));
	while (r == GNUTLS_E_AGAIN || r == GNUTLS_E_INTERRUPTED);
	return CHECK(r == (ssize_t)strlen(text)) &&
	       CHECK(memcmp(line, text, (size_t)r) == 0);
}

/* The server reads to the end, and answers a line of its own. */
static inline void serve_to_the_end(
	struct tls *tls, struct connection *c, struct outcome *o)
{
	char block[5000];

	(void)c;
	o->intact = true;
	while ((o->read = lab_api->read(tls, block, sizeof(block))) > 0)
		for (ssize_t i = 0; i < o->read; i++)
			if ((unsigned char)block[i] != pattern(o->octets++))
				o->intact = false;
	lab_api->failure(tls, &o->failure);
	o->write = lab_api->write(tls, "bye\r\n", 5);
}

static const struct plan plain_plan = { .pairs = { "ec" }, .serve = serve_to_the_end };
