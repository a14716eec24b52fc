/*
 * Promises that no certificate of a client breaks a handshake: one that is not trusted is
 * only told to be so. Refuses to know users.
 */
#include "edge/tls/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "edge/tls/file.h"

#define CHAIN_MAX 8 /* certificates of a client that are looked at */

int tls_client_authorities(const struct tls_settings *settings,
	gnutls_x509_trust_list_t *ret, struct tls_fault *ret_fault)
{
	const char *path = settings->client_ca;
	CLEANUP(tls_file_done) struct tls_file file = { 0 };
	gnutls_x509_trust_list_t list;
	int r = tls_file_read(settings, path, &file);

	if (r < 0)
		return tls_fault_file(ret_fault, "tls-client-ca", path, r, &file);
	if (gnutls_x509_trust_list_init(&list, 0) < 0)
		return -ENOMEM;
	r = gnutls_x509_trust_list_add_trust_mem(list,
		&(gnutls_datum_t){ file.data, (unsigned int)file.n }, NULL,
		GNUTLS_X509_FMT_PEM, 0, 0);
	if (r > 0) {
		*ret = list;
		return 0;
	}
	gnutls_x509_trust_list_deinit(list, 1);
	if (r == GNUTLS_E_MEMORY_ERROR)
		return -ENOMEM;
	return tls_fault_set(ret_fault,
		"tls-client-ca %s: holds no certificate in PEM that can be read (%s)",
		path, r < 0 ? gnutls_strerror(r) : "none at all");
}

/* A user's name must not look like another in a record. */
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

static void take_fingerprint(const gnutls_datum_t *der, struct tls_client *ret)
{
	unsigned char octets[TLS_FINGERPRINT_SIZE];
	size_t n = sizeof(octets);

	if (gnutls_fingerprint(GNUTLS_DIG_SHA256, der, octets, &n) < 0)
		return;
	for (size_t i = 0; i < n; i++)
		snprintf(ret->fingerprint + 2 * i, 3, "%02x", octets[i]);
}

static void say(struct tls_client *ret, const char *why)
{
	snprintf(ret->fault, sizeof(ret->fault), "%s", why);
}

/* The library's words end in a blank each. */
static void say_status(struct tls_client *ret, unsigned status)
{
	gnutls_datum_t text = { NULL, 0 };

	if (gnutls_certificate_verification_status_print(
		    status, GNUTLS_CRT_X509, &text, 0) < 0)
		say(ret, "The certificate is NOT trusted.");
	else
		say(ret, (const char *)text.data);
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
		say(ret, gnutls_strerror(r));
	else if (status != 0)
		say_status(ret, status);
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
	say(client, "It cannot be read");
	if (n > 0) {
		take_names(chain[0], GNUTLS_SAN_RFC822NAME, client);
		take_names(chain[0], GNUTLS_SAN_DNSNAME, client);
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
