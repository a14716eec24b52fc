/* SPDX-License-Identifier: ISC */
/*
 * Converts facts of GnuTLS to the plain values of smtp/facts.h and tls.h: negotiated
 * values, the cause of a failure, the policy, and the verification of the client's
 * certificate. A text of a peer is dropped unless it is plain. A client's certificate
 * never breaks a handshake; a certificate without trust is only marked.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/buf.h"
#include "base/span.h"
#include "edge/tls/parts.h"
#include "proto/text.h"
#include "proto/tls-names.h"

#define CHAIN_MAX 8 /* certificates of a client that are examined */

static void set(char *to, size_t n, const char *from)
{
	snprintf(to, n, "%s", from ? from : "");
}

static void lower(char *text)
{
	for (; *text; text++)
		*text = ascii_lower(*text);
}

void tls_facts_of_name(gnutls_session_t session, char ret[FACT_NAME_MAX])
{
	size_t n = FACT_NAME_MAX;
	unsigned int type;

	if (gnutls_server_name_get(session, ret, &n, &type, 0) < 0 ||
		!tls_name_is_plain((struct span){ ret, n }))
		ret[0] = '\0';
}

static void set_alpn(gnutls_session_t session, struct tls_facts *ret)
{
	gnutls_datum_t chosen;

	/*
	 * The name is one of this host's, because the server chooses from its own list.
	 */
	if (gnutls_alpn_get_selected_protocol(session, &chosen) == 0 &&
		chosen.size < sizeof(ret->alpn))
		memcpy(ret->alpn, chosen.data, chosen.size);
}

void tls_facts_of_session(gnutls_session_t session, struct tls_facts *ret)
{
	gnutls_group_t group = gnutls_group_get(session);

	*ret = (struct tls_facts){ .resumed = gnutls_session_is_resumed(session) };
	set(ret->version, sizeof(ret->version),
		gnutls_protocol_get_name(gnutls_protocol_get_version(session)));
	set(ret->cipher, sizeof(ret->cipher), gnutls_ciphersuite_get(session));
	if (group != GNUTLS_GROUP_INVALID)
		set(ret->group, sizeof(ret->group), gnutls_group_get_name(group));
	lower(ret->group);
	tls_facts_of_name(session, ret->sni);
	set_alpn(session, ret);
}

void tls_facts_of_client(const struct tls_client *client, struct tls_facts *ret)
{
	if (!client)
		return;
	set(ret->client, sizeof(ret->client),
		client->trusted ? "trusted" : client->fault);
	if (client->trusted && *client->subject)
		ret->client_name = client->subject;
	if (client->trusted && *client->issuer)
		ret->client_issuer = client->issuer;
}

/* Returns the text of an error below TLS. */
static const char *io_words(int error)
{
	switch (error) {
	case -ETIMEDOUT:
	case -ETIME:
		return "The handshake took too long";
	case -EINTR:
		return "Stopped by a signal";
	default:
		return strerror(-error);
	}
}

static enum tls_end end_of_io(int error)
{
	switch (error) {
	case -ETIMEDOUT:
	case -ETIME:
		return TLS_END_TIMEOUT;
	case -EINTR:
		return TLS_END_STOPPED;
	case -ECONNRESET:
	case -EPIPE:
		return TLS_END_CLOSED;
	default:
		return TLS_END_BROKEN;
	}
}

static enum tls_end end_of_tls(int code)
{
	switch (code) {
	case 0: /* close_notify */
	case GNUTLS_E_PREMATURE_TERMINATION:
	case GNUTLS_E_SESSION_EOF:
		return TLS_END_CLOSED;
	case GNUTLS_E_FATAL_ALERT_RECEIVED:
		return TLS_END_ALERT;
	case GNUTLS_E_MEMORY_ERROR:
	case GNUTLS_E_RANDOM_FAILED:
		return TLS_END_BROKEN;
	default:
		return TLS_END_REFUSED;
	}
}

static void set_alert(gnutls_session_t session, int code, struct tls_failure *ret)
{
	int level;

	ret->alert = TLS_NO_ALERT;
	if (ret->how == TLS_END_ALERT) {
		ret->alert = (int)gnutls_alert_get(session);
	} else if (ret->opening.alert != TLS_NO_ALERT) {
		ret->alert = ret->opening.alert;
	} else if (ret->how == TLS_END_REFUSED) {
		ret->alert = gnutls_error_to_alert(code, &level);
		ret->alert_sent = true;
	} else if (code == 0 || code == GNUTLS_E_SESSION_EOF) {
		ret->alert = TLS_ALERT_CLOSE_NOTIFY;
	}
}

/*
 * Applies an alert in the clear where an encrypted one is expected. GnuTLS treats it as a
 * record that it cannot decrypt. In TLS 1.3 clients with OpenSSL send such an alert when
 * they do not accept the certificate.
 */
static void apply_clear_alert(struct tls_failure *ret)
{
	if (ret->how != TLS_END_REFUSED || ret->opening.alert == TLS_NO_ALERT)
		return;
	set(ret->error, sizeof(ret->error),
		gnutls_strerror(GNUTLS_E_FATAL_ALERT_RECEIVED));
	ret->how = ret->opening.alert == TLS_ALERT_CLOSE_NOTIFY ||
				   ret->opening.alert == TLS_ALERT_USER_CANCELED
			   ? TLS_END_CLOSED
			   : TLS_END_ALERT;
}

/* True when this host has sent more than a HelloRetryRequest. */
static bool has_answered(gnutls_session_t session)
{
	switch (gnutls_handshake_get_last_out(session)) {
	case GNUTLS_HANDSHAKE_SERVER_HELLO:
	case GNUTLS_HANDSHAKE_ENCRYPTED_EXTENSIONS:
	case GNUTLS_HANDSHAKE_CERTIFICATE_PKT:
	case GNUTLS_HANDSHAKE_CERTIFICATE_STATUS:
	case GNUTLS_HANDSHAKE_SERVER_KEY_EXCHANGE:
	case GNUTLS_HANDSHAKE_CERTIFICATE_REQUEST:
	case GNUTLS_HANDSHAKE_SERVER_HELLO_DONE:
	case GNUTLS_HANDSHAKE_CERTIFICATE_VERIFY:
	case GNUTLS_HANDSHAKE_NEW_SESSION_TICKET:
	case GNUTLS_HANDSHAKE_FINISHED:
		return true;
	default:
		return false;
	}
}

void tls_facts_of_failure(
	gnutls_session_t session, int code, int io_error, struct tls_failure *ret)
{
	if (io_error || code < 0)
		set(ret->error, sizeof(ret->error),
			io_error ? io_words(io_error) : gnutls_strerror(code));
	ret->how = io_error ? end_of_io(io_error) : end_of_tls(code);
	set_alert(session, code, ret);
	apply_clear_alert(ret);
	ret->answered = has_answered(session);
}

void tls_facts_of_no_memory(struct tls_failure *ret)
{
	*ret = (struct tls_failure){
		.how = TLS_END_BROKEN,
		.alert = TLS_NO_ALERT,
		.opening.alert = TLS_NO_ALERT,
	};
	set(ret->error, sizeof(ret->error), gnutls_strerror(GNUTLS_E_MEMORY_ERROR));
}

static void list_versions(gnutls_priority_t priority, struct tls_list *to)
{
	const unsigned *list;
	int n = gnutls_priority_protocol_list(priority, &list);

	/* SSL 3.0 to TLS 1.3 have consecutive numbers, in GnuTLS and in TLS */
	for (int i = 0; i < n; i++)
		if (list[i] >= GNUTLS_SSL3 && list[i] <= GNUTLS_TLS1_3)
			tls_list_add(to,
				(uint16_t)(TLS_VERSION_SSL_3 + (list[i] - GNUTLS_SSL3)));
}

static bool needs_certificate(gnutls_kx_algorithm_t kx)
{
	switch (kx) {
	case GNUTLS_KX_UNKNOWN: /* TLS 1.3, in which the suite does not determine it */
	case GNUTLS_KX_RSA:
	case GNUTLS_KX_DHE_RSA:
	case GNUTLS_KX_ECDHE_RSA:
	case GNUTLS_KX_ECDHE_ECDSA:
		return true;
	default:
		return false;
	}
}

/* True when a version for the key exchange is allowed. */
static bool has_version(const struct tls_list *versions, gnutls_kx_algorithm_t kx)
{
	return kx == GNUTLS_KX_UNKNOWN
		       ? tls_list_has(versions, TLS_VERSION_1_3)
		       : versions->n > 0 && tls_list_least(versions) < TLS_VERSION_1_3;
}

static void list_suites(
	gnutls_priority_t priority, const struct tls_list *versions, struct tls_list *to)
{
	for (unsigned i = 0;; i++) {
		gnutls_kx_algorithm_t kx;
		unsigned char code[2];
		unsigned index;
		int r = gnutls_priority_get_cipher_suite_index(priority, i, &index);

		if (r == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
			return;
		if (r >= 0 &&
			gnutls_cipher_suite_info(index, code, &kx, NULL, NULL, NULL) &&
			needs_certificate(kx) && has_version(versions, kx))
			tls_list_add(to, (uint16_t)(code[0] << 8 | code[1]));
	}
}

static void list_groups(gnutls_priority_t priority, struct tls_list *to)
{
	const unsigned *list;
	int n = gnutls_priority_group_list(priority, &list);

	for (int i = 0; i < n; i++) {
		uint16_t code = tls_group_named(span_of(gnutls_group_get_name(list[i])));

		if (code)
			tls_list_add(to, code);
	}
}

/*
 * Returns the code of a signature. GnuTLS has two algorithms for each ECDSA code: that of
 * TLS 1.3 has the name of a curve, that of earlier versions has none; each can be allowed
 * separately. Version 0: any version.
 */
static uint16_t code_of_signature(unsigned signature, uint16_t version)
{
	static const struct {
		gnutls_sign_algorithm_t signature;
		uint16_t older, in_1_3;
	} codes[] = {
		{ GNUTLS_SIGN_RSA_SHA1, 0x0201, 0 },
		{ GNUTLS_SIGN_ECDSA_SHA1, 0x0203, 0 },
		{ GNUTLS_SIGN_RSA_SHA256, 0x0401, 0 },
		{ GNUTLS_SIGN_ECDSA_SHA256, 0x0403, 0 },
		{ GNUTLS_SIGN_ECDSA_SECP256R1_SHA256, 0, 0x0403 },
		{ GNUTLS_SIGN_RSA_SHA384, 0x0501, 0 },
		{ GNUTLS_SIGN_ECDSA_SHA384, 0x0503, 0 },
		{ GNUTLS_SIGN_ECDSA_SECP384R1_SHA384, 0, 0x0503 },
		{ GNUTLS_SIGN_RSA_SHA512, 0x0601, 0 },
		{ GNUTLS_SIGN_ECDSA_SHA512, 0x0603, 0 },
		{ GNUTLS_SIGN_ECDSA_SECP521R1_SHA512, 0, 0x0603 },
		{ GNUTLS_SIGN_RSA_PSS_RSAE_SHA256, 0x0804, 0x0804 },
		{ GNUTLS_SIGN_RSA_PSS_RSAE_SHA384, 0x0805, 0x0805 },
		{ GNUTLS_SIGN_RSA_PSS_RSAE_SHA512, 0x0806, 0x0806 },
		{ GNUTLS_SIGN_EDDSA_ED25519, 0x0807, 0x0807 },
		{ GNUTLS_SIGN_EDDSA_ED448, 0x0808, 0x0808 },
		{ GNUTLS_SIGN_RSA_PSS_SHA256, 0x0809, 0x0809 },
		{ GNUTLS_SIGN_RSA_PSS_SHA384, 0x080a, 0x080a },
		{ GNUTLS_SIGN_RSA_PSS_SHA512, 0x080b, 0x080b },
	};

	for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++)
		if (codes[i].signature == signature)
			return version == TLS_VERSION_1_3 ? codes[i].in_1_3
			       : version                  ? codes[i].older
					 : codes[i].older | codes[i].in_1_3;
	return 0;
}

static void list_signatures(
	gnutls_priority_t priority, uint16_t version, struct tls_list *to)
{
	const unsigned *list;
	int n = gnutls_priority_sign_list(priority, &list);

	for (int i = 0; i < n; i++)
		if (code_of_signature(list[i], version))
			tls_list_add(to, code_of_signature(list[i], version));
}

void tls_facts_of_priority(gnutls_priority_t priority, const struct tls_opening *opening,
	struct tls_terms *ret)
{
	struct buf protocols = BUF(ret->alpn);

	list_versions(priority, &ret->versions);
	list_suites(priority, &ret->versions, &ret->suites);
	list_groups(priority, &ret->groups);
	list_signatures(
		priority, tls_opening_version(opening, &ret->versions), &ret->signatures);
	buf_put(&protocols, SPAN(TLS_PROTOCOL_SMTP " " TLS_PROTOCOL_ESMTP));
	buf_terminate(&protocols);
}

/* True for a name that cannot be mistaken for another one in a record. */
static bool is_plain(const char *name, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (name[i] <= 32 || name[i] > 126)
			return false;
	return n > 0;
}

static void take_names(gnutls_x509_crt_t leaf, int wanted, struct tls_client *ret)
{
	for (unsigned i = 0; ret->n_names < TLS_CLIENT_NAMES_MAX; i++) {
		char *name = ret->names[ret->n_names];
		size_t n = TLS_CLIENT_NAME_MAX;
		int type = gnutls_x509_crt_get_subject_alt_name(leaf, i, name, &n, NULL);
		if (type == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
			break;
		if (type != wanted || n >= TLS_CLIENT_NAME_MAX || !is_plain(name, n))
			continue;
		name[n] = '\0';
		ret->n_names++;
	}
}

/* A name that has other octets, or does not fit, is none. */
static void check_common_name(int r, size_t n, char name[static TLS_CLIENT_NAME_MAX])
{
	bool is_fine =
		r >= 0 && n < TLS_CLIENT_NAME_MAX && utf8_valid((struct span){ name, n });

	for (size_t i = 0; is_fine && i < n; i++)
		is_fine = (unsigned char)name[i] >= ' ' && name[i] != '\x7f';
	name[is_fine ? n : 0] = '\0';
}

static void take_common_names(gnutls_x509_crt_t leaf, struct tls_client *ret)
{
	size_t n = sizeof(ret->subject);
	int r = gnutls_x509_crt_get_dn_by_oid(
		leaf, GNUTLS_OID_X520_COMMON_NAME, 0, 0, ret->subject, &n);

	check_common_name(r, n, ret->subject);
	n = sizeof(ret->issuer);
	r = gnutls_x509_crt_get_issuer_dn_by_oid(
		leaf, GNUTLS_OID_X520_COMMON_NAME, 0, 0, ret->issuer, &n);
	check_common_name(r, n, ret->issuer);
}

static void take_fingerprint(const gnutls_datum_t *der, struct tls_client *ret)
{
	unsigned char octets[TLS_FINGERPRINT_SIZE];
	size_t n = sizeof(octets);

	if (gnutls_fingerprint(GNUTLS_DIG_SHA256, der, octets, &n) < 0)
		return;
	for (size_t i = 0; i < n; i++)
		snprintf(ret->fingerprint + 2 * i, 3, "%02x", octets[i]);
}

static void set_fault(struct tls_client *ret, const char *why)
{
	set(ret->fault, sizeof(ret->fault), why);
}

/* Sets the fault to the library's text, without the blank at its end. */
static void set_status_fault(struct tls_client *ret, unsigned status)
{
	gnutls_datum_t text = { NULL, 0 };

	if (gnutls_certificate_verification_status_print(
		    status, GNUTLS_CRT_X509, &text, 0) < 0)
		set_fault(ret, "The certificate is NOT trusted.");
	else
		set_fault(ret, (const char *)text.data);
	gnutls_free(text.data);
	for (size_t n = strlen(ret->fault); n && ret->fault[n - 1] == ' '; n--)
		ret->fault[n - 1] = '\0';
}

static void verify(gnutls_x509_crt_t *chain, unsigned n_chain,
	gnutls_x509_trust_list_t authorities, struct tls_client *ret)
{
	static char client[] = GNUTLS_KP_TLS_WWW_CLIENT;
	gnutls_typed_vdata_st purpose = { GNUTLS_DT_KEY_PURPOSE_OID,
		(unsigned char *)client, 0 };
	unsigned status = 0;
	int r = gnutls_x509_trust_list_verify_crt2(
		authorities, chain, n_chain, &purpose, 1, 0, &status, NULL);

	if (r < 0)
		set_fault(ret, gnutls_strerror(r));
	else if (status != 0)
		set_status_fault(ret, status);
	else
		ret->trusted = true;
}

struct tls_client *tls_client_new(
	gnutls_session_t session, gnutls_x509_trust_list_t authorities)
{
	gnutls_x509_crt_t chain[CHAIN_MAX];
	unsigned n_shown, n = 0;
	const gnutls_datum_t *shown = gnutls_certificate_get_peers(session, &n_shown);
	struct tls_client *client = shown ? calloc(1, sizeof(*client)) : NULL;

	if (!client)
		return NULL;
	take_fingerprint(shown, client);
	for (; n < n_shown && n < CHAIN_MAX; n++) {
		if (gnutls_x509_crt_init(&chain[n]) < 0)
			break;
		if (gnutls_x509_crt_import(chain[n], &shown[n], GNUTLS_X509_FMT_DER) <
			0) {
			gnutls_x509_crt_deinit(chain[n]);
			break;
		}
	}
	set_fault(client, "It cannot be read");
	if (n > 0) {
		take_names(chain[0], GNUTLS_SAN_RFC822NAME, client);
		take_names(chain[0], GNUTLS_SAN_DNSNAME, client);
		take_common_names(chain[0], client);
		verify(chain, n, authorities, client);
	}
	while (n > 0)
		gnutls_x509_crt_deinit(chain[--n]);
	return client;
}

bool tls_client_binding(gnutls_session_t session, unsigned char ret[TLS_BINDING_SIZE])
{
	gnutls_datum_t octets = { NULL, 0 };
	bool has = gnutls_protocol_get_version(session) >= GNUTLS_TLS1_3 &&
		   gnutls_session_channel_binding(
			   session, GNUTLS_CB_TLS_EXPORTER, &octets) >= 0 &&
		   octets.size == TLS_BINDING_SIZE;

	if (has)
		memcpy(ret, octets.data, TLS_BINDING_SIZE);
	gnutls_free(octets.data);
	return has;
}

/* GnuTLS takes an address without the brackets and the tag of a literal. */
bool tls_covers(gnutls_x509_crt_t leaf, const char *name)
{
	static const char tag[] = "IPv6:";
	char address[INET6_ADDRSTRLEN];
	struct buf b = BUF(address);
	size_t n = strlen(name);

	if (n < 2 || name[0] != '[' || name[n - 1] != ']')
		return gnutls_x509_crt_check_hostname(leaf, name);
	name++, n -= 2;
	if (strncasecmp(name, tag, strlen(tag)) == 0)
		name += strlen(tag), n -= strlen(tag);
	buf_put(&b, (struct span){ name, n });
	return buf_terminate(&b) && gnutls_x509_crt_check_hostname(leaf, address);
}
