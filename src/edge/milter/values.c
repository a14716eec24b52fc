/* SPDX-License-Identifier: ISC */
/*
 * The values of macros, from the state of the session. They have the form that sendmail
 * gives them, which libraries for filters and the filters themselves expect.
 */
#include <sys/socket.h>
#include <unistd.h>
#include "edge/milter/parts.h"
#include "proto/received.h"
#include "proto/tls-names.h"

#define FORGED " (may be forged)"

static void set(struct milter_values *v, enum milter_macro macro, const char *text)
{
	if (text && *text)
		v->of[macro] = span_of(text);
}

/* Returns the part behind the "@", or an empty span. */
static struct span domain_of(struct span path)
{
	const char *at = path.n ? memrchr(path.p, '@', path.n) : NULL;

	return at ? span_from(path, (size_t)(at - path.p) + 1) : (struct span){ 0 };
}

/* "192.0.2.1" or "IPv6:2001:db8::1"; or nothing. */
static void put_address(struct buf *to, const char *address)
{
	if (strchr(address, ':'))
		buf_put(to, SPAN("IPv6:"));
	buf_put_str(to, address);
	buf_terminate(to);
}

static void put_literal(struct buf *to, const char *address)
{
	buf_put_char(to, '[');
	if (address[0])
		put_address(to, address);
	else
		buf_put(to, SPAN("unknown"));
	buf_put_char(to, ']');
	buf_terminate(to);
}

static void put_port(struct buf *to, uint16_t port)
{
	if (port)
		buf_put_num(to, port);
	buf_terminate(to);
}

/* The address at which the client has connected, or nothing. */
static void put_own_address(struct buf *to)
{
	union address own = { .any.sa_family = AF_UNSPEC };
	socklen_t n = sizeof(own);
	char text[IP_TEXT_MAX];
	struct buf b = BUF(text);
	struct ip ip = { 0 };

	if (getsockname(STDIN_FILENO, &own.any, &n) < 0)
		return;
	if (own.any.sa_family == AF_INET)
		ip = ip_of((const unsigned char *)&own.in.sin_addr, IPV4_OCTETS);
	if (own.any.sa_family == AF_INET6)
		ip = ip_of((const unsigned char *)&own.in6.sin6_addr, IPV6_OCTETS);
	if (!ip.n)
		return;
	ip_put(&b, &ip);
	buf_terminate(&b);
	put_address(to, text);
}

/* "mail.example.net [192.0.2.1]"; without a confirmed name as much as there is. */
static void put_client(
	struct buf *to, const struct client_texts *t, const char *name, const char *first)
{
	if (name || first) {
		buf_put_str(to, name ? name : first);
		buf_put_char(to, ' ');
	}
	buf_put_str(to, t->literal);
	if (!name && first)
		buf_put(to, SPAN(FORGED));
	buf_terminate(to);
}

void client_texts_make(struct filters_state *m)
{
	const struct session *s = m->host.session;
	const char *first = lookup_first(&m->lookup);
	struct client_texts *t = &m->client;
	struct buf literal = BUF(t->literal), address = BUF(t->address);
	struct buf all = BUF(t->all), port = BUF(t->port);
	struct buf own_address = BUF(t->own_address), own_port = BUF(t->own_port);

	put_literal(&literal, s->peer.address);
	put_address(&address, s->peer.address);
	put_port(&port, s->peer.port);
	put_own_address(&own_address);
	put_port(&own_port, s->own_port);
	put_client(&all, t, s->peer.name, first);
	t->name = s->peer.name ? s->peer.name : t->literal;
	t->first = first ? first : t->name;
}

/* "TLSv1.3" */
static void set_tls(
	struct milter_values *v, struct client_texts *t, const struct tls_facts *tls)
{
	struct span number = span_of(tls->version);
	struct buf version = BUF(t->tls_version), bits = BUF(t->tls_bits);

	if (!number.n)
		return;
	if (span_starts(number, SPAN("TLS")))
		number = span_from(number, 3);
	buf_put(&version, SPAN("TLSv"));
	buf_put(&version, number);
	buf_terminate(&version);
	buf_put_num(&bits, tls_suite_bits(span_of(tls->cipher)));
	buf_terminate(&bits);
	set(v, MILTER_MACRO_TLS_VERSION, t->tls_version);
	set(v, MILTER_MACRO_CIPHER, tls->cipher);
	set(v, MILTER_MACRO_CIPHER_BITS, t->tls_bits);
	set(v, MILTER_MACRO_CERT_SUBJECT, tls->client_name);
	set(v, MILTER_MACRO_CERT_ISSUER, tls->client_issuer);
	set(v, MILTER_MACRO_TLS_SNI, tls->sni);
}

static void set_session(struct milter_values *v, struct filters_state *m)
{
	const struct session *s = m->host.session;
	struct client_texts *t = &m->client;

	set(v, MILTER_MACRO_HOSTNAME, s->settings->hostname);
	set(v, MILTER_MACRO_DAEMON_NAME, s->settings->hostname);
	set(v, MILTER_MACRO_DAEMON_ADDR, t->own_address);
	set(v, MILTER_MACRO_DAEMON_PORT, t->own_port);
	set(v, MILTER_MACRO_VERSION, "postern");
	set(v, MILTER_MACRO_CLIENT, t->all);
	set(v, MILTER_MACRO_CLIENT_ADDR, t->address);
	set(v, MILTER_MACRO_CLIENT_PORT, t->port);
	set(v, MILTER_MACRO_CLIENT_NAME, t->name);
	set(v, MILTER_MACRO_CLIENT_PTR, t->first);
	set_tls(v, t, &s->tls);
}

static const char *protocol_of(const struct session *s, const struct tx *tx)
{
	return received_protocol(&(struct received_protocol){ .esmtp = s->esmtp,
		.lmtp = s->settings->lmtp,
		.utf8 = tx->params.smtputf8,
		.secured = s->secured,
		.authenticated = tx->user });
}

static void set_mail(
	struct milter_values *v, struct filters_state *m, const struct tx *tx)
{
	struct buf date = BUF(m->client.date);

	date_put(&date, tx->since.seconds);
	buf_terminate(&date);
	set(v, MILTER_MACRO_ID, tx->id);
	set(v, MILTER_MACRO_PROTOCOL, protocol_of(m->host.session, tx));
	set(v, MILTER_MACRO_DATE, m->client.date);
	if (tx->user)
		set(v, MILTER_MACRO_AUTH_TYPE, m->host.session->mechanism);
	set(v, MILTER_MACRO_AUTH_AUTHEN, tx->user);
	/* what others name is not trusted (RFC 4954 5) */
	if (tx->user && !span_eq(tx->params.author, SPAN("<>")))
		v->of[MILTER_MACRO_AUTH_AUTHOR] = tx->params.author;
	/* empty for the null sender */
	v->of[MILTER_MACRO_MAIL_ADDR] = span_of(tx->sender);
	v->of[MILTER_MACRO_MAIL_HOST] = domain_of(span_of(tx->sender));
	set(v, MILTER_MACRO_MAIL_MAILER, "smtp");
}

void values_make(struct milter_values *v, struct filters_state *m, const struct tx *tx,
	const struct recipient *to)
{
	*v = (struct milter_values){ 0 };
	set_session(v, m);
	set_mail(v, m, tx);
	if (!to)
		return;
	v->of[MILTER_MACRO_RCPT_ADDR] = to->mailbox;
	v->of[MILTER_MACRO_RCPT_HOST] = to->domain;
	set(v, MILTER_MACRO_RCPT_MAILER, "local");
}
