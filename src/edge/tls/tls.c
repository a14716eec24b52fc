/* SPDX-License-Identifier: ISC */
/*
 * TLS for one connection, on GnuTLS: the module's table and a session's life. Every
 * handshake ends with a session or with facts about its failure. A peer cannot keep the
 * process busy with records that carry nothing. Only a close_notify is a regular end. The
 * caller handles sockets and deadlines.
 */
#include "edge/tls/tls.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/cleanup.h"
#include "edge/idn/idn.h"
#include "edge/tls/parts.h"

/*
 * Consecutive records that carry nothing: empty ones, warnings, key updates, early data,
 * which is not accepted. Correct clients send two or three.
 */
#define QUIET_MAX 64

/* RFC 8446 5.1: type, version, and the length in the last two octets */
#define RECORD_HEADER 5

#define EXTENSION_SERVER_NAME 0 /* RFC 6066 1.1 */
/* position of the name in it; octets after the first name count as part of it */
#define NAME_AT 5

_Static_assert(TLS_TICKET_KEY == 64, "SHA-512 makes as many octets");

/*
 * Octets of a read. GnuTLS reads 5 octets of each record and then its rest. Even a buffer
 * of 64 KiB saves a tenth of the CPU time of 100 MB.
 */
#define WIRE_IN (128 * 1024)

/*
 * First octets that are kept until the handshake is done. A ClientHello is far smaller.
 */
#define WIRE_KEPT (16 * 1024)

/*
 * The buffers between GnuTLS and the caller's io, for fewer and larger reads and writes.
 * The error of io is kept here, because GnuTLS passes on only a few. GnuTLS gets EAGAIN
 * in its place, which does not change the session, so that 421 can still be written after
 * a timeout.
 */
struct wire {
	struct tls_io io;
	gnutls_session_t session;
	int error; /* negative result of io in this call; or 0 */
	bool at_end; /* io has returned end of file */
	bool dry; /* use only buffered octets, not the connection */
	bool keeps; /* the first octets are kept at the front of `in`; their number: */
	size_t kept;
	size_t begin;
	size_t end;
	unsigned char in[WIRE_IN];
};

struct tls {
	gnutls_session_t session;
	struct tls_credentials *credentials;
	/* certificates for the name that the client asked for; or NULL */
	gnutls_certificate_credentials_t own_set;
	bool broken; /* nothing more can be written */
	/* a hello for another handshake was refused; GnuTLS still holds it */
	bool refused;
	bool ended; /* nothing more can be read, because of one of these: */
	int end;
	int code; /* code of GnuTLS; 0: close_notify */
	struct tls_client *client; /* owned; NULL: the client sent no certificate */
	const char *service; /* tickets of one service are not valid for another */
	bool has_ticket_key;
	struct wire wire; /* last member, because its buffer is not cleared */
};

static ssize_t fail(struct wire *wire, int error)
{
	wire->error = error;
	gnutls_transport_set_errno(wire->session, EAGAIN);
	return -1;
}

static size_t in_hand(const struct wire *wire)
{
	return wire->end - wire->begin;
}

static ssize_t copy_out(struct wire *wire, void *to, size_t n)
{
	size_t m = n < in_hand(wire) ? n : in_hand(wire);

	memcpy(to, wire->in + wire->begin, m);
	wire->begin += m;
	return (ssize_t)m;
}

static ssize_t pull(gnutls_transport_ptr_t ctx, void *to, size_t n)
{
	struct wire *wire = ctx;
	ssize_t r;

	if (in_hand(wire) > 0)
		return copy_out(wire, to, n);
	if (wire->dry)
		return fail(wire, 0);
	r = wire->io.read(
		wire->io.ctx, wire->in + wire->kept, sizeof(wire->in) - wire->kept);
	if (r < 0)
		return fail(wire, (int)r);
	wire->at_end = r == 0;
	wire->begin = wire->kept;
	wire->end = wire->kept + (size_t)r;
	if (wire->keeps)
		wire->kept = wire->end < WIRE_KEPT ? wire->end : WIRE_KEPT;
	return copy_out(wire, to, n);
}

static int write_all(struct wire *wire, const unsigned char *from, size_t n)
{
	while (n > 0) {
		ssize_t r = wire->io.write(wire->io.ctx, from, n);

		if (r < 0)
			return (int)r;
		from += r;
		n -= (size_t)r;
	}
	return 0;
}

static size_t gather(const giovec_t *parts, int n_parts, unsigned char *to)
{
	size_t n = 0;

	for (int i = 0; i < n_parts; i++) {
		memcpy(to + n, parts[i].iov_base, parts[i].iov_len);
		n += parts[i].iov_len;
	}
	return n;
}

/*
 * Collects the records of a flight, about six, so that they become one write and one
 * packet.
 */
static ssize_t push(gnutls_transport_ptr_t ctx, const giovec_t *parts, int n_parts)
{
	struct wire *wire = ctx;
	OWNED unsigned char *joined = NULL;
	const unsigned char *from = parts[0].iov_base;
	size_t n = 0;
	int r;

	for (int i = 0; i < n_parts; i++)
		n += parts[i].iov_len;
	if (n_parts > 1) {
		joined = malloc(n);
		if (!joined)
			return fail(wire, -ENOMEM);
		gather(parts, n_parts, joined);
		from = joined;
	}
	r = write_all(wire, from, n);
	return r < 0 ? fail(wire, r) : (ssize_t)n;
}

/* `wire` is zeroed except `in`, so that its pages are used only when input arrives. */
static void wire_init(
	struct wire *wire, const struct tls_io *io, gnutls_session_t session)
{
	wire->io = *io;
	wire->session = session;
	wire->keeps = true;
	gnutls_transport_set_ptr(session, wire);
	gnutls_transport_set_pull_function(session, pull);
	gnutls_transport_set_vec_push_function(session, push);
}

/* True when a whole TLS record is buffered, so that GnuTLS does not wait. */
static bool wire_has_record(const struct wire *wire)
{
	const unsigned char *header = wire->in + wire->begin;

	if (in_hand(wire) < RECORD_HEADER)
		return false;
	return in_hand(wire) - RECORD_HEADER >= (size_t)(header[3] << 8 | header[4]);
}

static int choose_certificates(gnutls_session_t session)
{
	struct tls *tls = gnutls_session_get_ptr(session);
	gnutls_certificate_credentials_t set;
	char name[FACT_NAME_MAX];
	size_t n = sizeof(name);
	unsigned int type;
	bool owned;

	if (gnutls_server_name_get(session, name, &n, &type, 0) < 0)
		return 0;
	if (tls_credentials_for_name(tls->credentials, name, &set, &owned) < 0)
		return GNUTLS_E_MEMORY_ERROR;
	if (owned) {
		/*
		 * Frees the set of the first hello, because a second one (after a retry
		 * request) may ask for another name.
		 */
		if (tls->own_set)
			gnutls_certificate_free_credentials(tls->own_set);
		tls->own_set = set;
	}
	return gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, set);
}

/* Refuses clients of other protocols, against the attack ALPACA. */
static int set_protocols(gnutls_session_t session)
{
	static unsigned char smtp[] = TLS_PROTOCOL_SMTP;
	static unsigned char esmtp[] = TLS_PROTOCOL_ESMTP;
	const gnutls_datum_t protocols[] = {
		{ smtp, sizeof(smtp) - 1 },
		{ esmtp, sizeof(esmtp) - 1 },
	};

	return gnutls_alpn_set_protocols(session, protocols, 2, GNUTLS_ALPN_MANDATORY);
}

/*
 * Finds the name in a ServerNameList (RFC 6066 3): its length, a type, the length of the
 * name, and the name.
 */
static int find_name(void *ctx, unsigned int type, const unsigned char *p, unsigned int n)
{
	struct span list = { (const char *)p, n };

	if (type == EXTENSION_SERVER_NAME && n > NAME_AT)
		*(struct span *)ctx = span_from(list, NAME_AT);
	return 0;
}

/*
 * Derives the key of tickets for a service and a server name, the hostname if the client
 * sent none: an HMAC of both with the key of the file. A ticket of another service or
 * name cannot be decrypted with it, and causes a full handshake.
 */
static int derive_ticket_key(
	const struct tls *tls, struct span asked, unsigned char ret[TLS_TICKET_KEY])
{
	const struct tls_credentials *c = tls->credentials;
	char octets[FACT_NAME_MAX + 64];
	struct buf b = BUF(octets);

	buf_put_str(&b, tls->service);
	buf_put_char(&b, '\0');
	if (!asked.n && c->hostname)
		asked = span_of(c->hostname);
	for (size_t i = 0; i < asked.n; i++)
		buf_put_char(&b, ascii_lower(asked.p[i]));
	if (b.overflow)
		return GNUTLS_E_RECEIVED_DISALLOWED_NAME;
	return gnutls_hmac_fast(
		GNUTLS_MAC_SHA512, c->ticket_key, sizeof(c->ticket_key), b.p, b.n, ret);
}

/*
 * Sets the ticket key before GnuTLS reads a ticket in the ClientHello. A second hello
 * uses the key of the first.
 */
static int enable_tickets(gnutls_session_t session, unsigned int type, unsigned int when,
	unsigned int incoming, const gnutls_datum_t *message)
{
	struct tls *tls = gnutls_session_get_ptr(session);
	unsigned char key[TLS_TICKET_KEY];
	struct span asked = { 0 };
	int r;

	(void)type, (void)when;
	if (!incoming || tls->has_ticket_key)
		return 0;
	/* GnuTLS itself refuses a malformed hello */
	gnutls_ext_raw_parse(
		&asked, find_name, message, GNUTLS_EXT_RAW_FLAG_TLS_CLIENT_HELLO);
	r = derive_ticket_key(tls, asked, key);
	if (r >= 0)
		r = gnutls_session_ticket_enable_server(
			session, &(gnutls_datum_t){ key, sizeof(key) });
	gnutls_memset(key, 0, sizeof(key));
	tls->has_ticket_key = r >= 0;
	return 0;
}

static int set_up(struct tls *tls, struct tls_credentials *c)
{
	gnutls_session_t session = tls->session;
	int r;

	gnutls_session_set_ptr(session, tls);
	r = gnutls_priority_set(session, c->priority);
	if (r >= 0)
		r = gnutls_credentials_set(
			session, GNUTLS_CRD_CERTIFICATE, c->default_set);
	if (r >= 0 && c->has_tickets)
		gnutls_handshake_set_hook_function(session, GNUTLS_HANDSHAKE_CLIENT_HELLO,
			GNUTLS_HOOK_PRE, enable_tickets);
	if (r >= 0)
		r = set_protocols(session);
	if (c->n_pairs > 1)
		gnutls_handshake_set_post_client_hello_function(
			session, choose_certificates);
	if (c->authorities)
		gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUEST);
	return r;
}

/*
 * Corrects the code: GnuTLS reports an end within a record as a record of a wrong length.
 */
static int clarify(const struct tls *tls, int code)
{
	return code < 0 && tls->wire.at_end ? GNUTLS_E_PREMATURE_TERMINATION : code;
}

static int shake_hands(struct tls *tls)
{
	for (unsigned int quiet = 0; quiet < QUIET_MAX; quiet++) {
		int r;

		tls->wire.error = 0;
		r = gnutls_handshake(tls->session);
		if (r >= 0 || tls->wire.error || gnutls_error_is_fatal(r))
			return clarify(tls, r);
	}
	return GNUTLS_E_TOO_MANY_HANDSHAKE_PACKETS;
}

/* Converts a code of GnuTLS to an errno, and sends an alert for an error in TLS. */
static int give_up(struct tls *tls, int code)
{
	if (tls->wire.error)
		return tls->wire.error;
	tls->broken = true;
	/* after these three the client no longer reads */
	if (code != GNUTLS_E_PREMATURE_TERMINATION && code != GNUTLS_E_SESSION_EOF &&
		code != GNUTLS_E_FATAL_ALERT_RECEIVED)
		gnutls_alert_send_appropriate(tls->session, code);
	switch (code) {
	case GNUTLS_E_PREMATURE_TERMINATION:
	case GNUTLS_E_SESSION_EOF:
		return -ECONNRESET;
	case GNUTLS_E_MEMORY_ERROR:
		return -ENOMEM;
	default:
		return -EPROTO;
	}
}

static void tls_free(struct tls *tls)
{
	if (!tls)
		return;
	if (tls->session)
		gnutls_deinit(tls->session);
	if (tls->own_set)
		gnutls_certificate_free_credentials(tls->own_set);
	free(tls->client);
	free(tls);
}

static void cleanup_tls(struct tls **tls)
{
	tls_free(*tls);
}

static struct tls *tls_new(struct tls_credentials *credentials, const struct tls_io *io)
{
	CLEANUP(cleanup_tls) struct tls *tls = malloc(sizeof(*tls));
	unsigned int flags =
		GNUTLS_SERVER | (credentials->has_tickets ? 0 : GNUTLS_NO_TICKETS);

	if (!tls)
		return NULL;
	memset(tls, 0, offsetof(struct tls, wire.in));
	tls->credentials = credentials;
	tls->service = io->service ? io->service : "";
	if (gnutls_init(&tls->session, flags) < 0)
		return NULL;
	wire_init(&tls->wire, io, tls->session);
	if (set_up(tls, credentials) < 0)
		return NULL;
	return steal(&tls);
}

/* Fills this host's part of a failure: certificate and tickets. */
static void set_our_part(const struct tls *tls, struct tls_failure *ret)
{
	const struct tls_credentials *c = tls->credentials;
	char name[FACT_NAME_MAX];

	tls_facts_of_name(tls->session, name);
	if (!name[0] && ret->opening.name[0])
		memcpy(name, ret->opening.name, sizeof(name));
	tls_facts_of_certificate(tls->session,
		!name[0] && c->hostname ? c->hostname : name, &ret->certificate);
	ret->tickets = c->has_tickets;
	ret->agent = c->keys;
}

/* Fills the facts of a failure. Changes the first octets that were kept. */
static void set_failure(struct tls *tls, int code, struct tls_failure *ret)
{
	struct bytes kept = { (char *)tls->wire.in, tls->wire.kept };

	memset(ret, 0, sizeof(*ret));
	tls_opening_read(kept, &ret->opening);
	tls_facts_of_failure(tls->session, code, tls->wire.error, ret);
	tls_facts_of_priority(tls->credentials->priority, &ret->opening, &ret->allowed);
	set_our_part(tls, ret);
	tls_facts_of_agent(tls->credentials, code, ret);
}

static int tls_accept(struct tls_credentials *credentials, const struct tls_io *io,
	struct tls **ret, struct tls_facts *ret_facts, struct tls_failure *ret_failure)
{
	CLEANUP(cleanup_tls) struct tls *tls = tls_new(credentials, io);
	int code;

	if (!tls) {
		tls_facts_of_no_memory(ret_failure);
		return -ENOMEM;
	}
	code = shake_hands(tls);
	if (code < 0) {
		set_failure(tls, code, ret_failure);
		return give_up(tls, code);
	}
	tls->wire.keeps = false;
	tls->wire.kept = 0;
	tls_facts_of_session(tls->session, ret_facts);
	if (credentials->authorities)
		tls->client = tls_client_new(tls->session, credentials->authorities);
	tls_facts_of_client(tls->client, ret_facts);
	*ret = steal(&tls);
	return 0;
}

static void tls_failure(const struct tls *tls, struct tls_failure *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->opening.alert = TLS_NO_ALERT;
	tls_facts_of_failure(tls->session, tls->code, 0, ret);
	ret->answered = true;
	set_our_part(tls, ret);
}

static const struct tls_client *tls_client(const struct tls *tls)
{
	return tls->client;
}

static bool tls_binding(const struct tls *tls, unsigned char ret[TLS_BINDING_SIZE])
{
	return tls_client_binding(tls->session, ret);
}

static bool tls_pending(const struct tls *tls)
{
	return tls->ended || gnutls_record_check_pending(tls->session) > 0 ||
	       wire_has_record(&tls->wire);
}

/*
 * True for a code that is neither an error nor an end, because GnuTLS handled the record
 * itself.
 */
static bool is_quiet(const struct tls *tls, ssize_t code)
{
	return !tls->wire.error &&
	       (code == GNUTLS_E_AGAIN || code == GNUTLS_E_INTERRUPTED ||
		       code == GNUTLS_E_WARNING_ALERT_RECEIVED);
}

/*
 * Refuses a renegotiation by a warning, after which the session continues (RFC 5246
 * 7.2.2). The next read returns the hello once more, as an unexpected packet, and drops
 * it.
 */
static ssize_t refuse_renegotiation(struct tls *tls)
{
	int r = gnutls_alert_send(
		tls->session, GNUTLS_AL_WARNING, GNUTLS_A_NO_RENEGOTIATION);

	tls->refused = true;
	return r < 0 ? r : GNUTLS_E_AGAIN;
}

static ssize_t receive(struct tls *tls, void *to, size_t n)
{
	bool refused = tls->refused;
	ssize_t code = gnutls_record_recv(tls->session, to, n);

	tls->refused = false;
	if (refused && code == GNUTLS_E_UNEXPECTED_PACKET)
		return GNUTLS_E_AGAIN;
	return code == GNUTLS_E_REHANDSHAKE ? refuse_renegotiation(tls) : code;
}

static void end_reading(struct tls *tls, ssize_t code)
{
	tls->ended = true;
	tls->code = clarify(tls, (int)code);
	tls->end = code == 0 ? 0 : give_up(tls, tls->code);
}

/*
 * Reads all buffered whole records. It reads from the connection only until the first
 * octet is available. An end after some octets is kept for the next call.
 */
static ssize_t tls_read(struct tls *tls, void *to, size_t n)
{
	unsigned int quiet = 0;
	size_t got = 0;

	while (!tls->ended && got < n) {
		ssize_t code;

		if (got > 0 && !tls_pending(tls))
			break;
		tls->wire.error = 0;
		tls->wire.dry = got > 0;
		code = receive(tls, (char *)to + got, n - got);
		if (code > 0)
			got += (size_t)code;
		else if (tls->wire.error)
			return got > 0 ? (ssize_t)got : tls->wire.error;
		else if (!is_quiet(tls, code))
			end_reading(tls, code);
		else if (++quiet == QUIET_MAX)
			end_reading(tls, GNUTLS_E_TOO_MANY_EMPTY_PACKETS);
	}
	return got > 0 ? (ssize_t)got : tls->end;
}

static int tls_write(struct tls *tls, const void *from, size_t n)
{
	const char *p = from;

	while (n > 0) {
		ssize_t r;

		tls->wire.error = 0;
		r = tls->broken ? GNUTLS_E_INVALID_SESSION
				: gnutls_record_send(tls->session, p, n);
		if (r <= 0) {
			r = give_up(tls, (int)r);
			tls->broken = true;
			return (int)r;
		}
		p += r;
		n -= (size_t)r;
	}
	return 0;
}

static void tls_bye(struct tls *tls)
{
	if (!tls->broken)
		gnutls_bye(tls->session, GNUTLS_SHUT_WR);
}

__attribute__((visibility("default"))) const struct tls_api postern_tls = {
	.names = &postern_idn,
	.is_initialised = tls_library_works,
	.load = tls_credentials_load,
	.unload = tls_credentials_free,
	.prioritize = tls_credentials_prioritize,
	.check = tls_credentials_check,
	.check_priority = tls_credentials_check_priority,
	.accept = tls_accept,
	.read = tls_read,
	.failure = tls_failure,
	.pending = tls_pending,
	.client = tls_client,
	.binding = tls_binding,
	.write = tls_write,
	.bye = tls_bye,
	.free = tls_free,
	.load_keys = tls_keys_load,
	.answer = tls_keys_answer,
	.describe = tls_describe,
};
