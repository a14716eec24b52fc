/* SPDX-License-Identifier: ISC */
/*
 * Certificates that are made at run time, because files in the tree would expire: good, expired, missing, garbage,
 * mismatch.
 */
#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "process.h"

#define NAME "mail.example.net"
#define DAY (24 * 60 * 60)
#define PEM_MAX 8192

static bool put_file(struct way *w, const char *path, const void *octets, size_t n)
{
	FILE *f = fopen(path, "we");
	bool ok = f && fwrite(octets, 1, n, f) == n;

	if (f)
		ok = fclose(f) == 0 && ok;
	return ok || way_fail(w, "%s: cannot be written", path);
}

/* Fills in all that a leaf for our name needs. Negative: GnuTLS's error. */
static int fill(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key, time_t from, time_t to)
{
	unsigned char serial[8];
	int r = gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof(serial));

	serial[0] = 1;
	if (r >= 0)
		r = gnutls_x509_crt_set_version(crt, 3);
	if (r >= 0)
		r = gnutls_x509_crt_set_serial(crt, serial, sizeof(serial));
	if (r >= 0)
		r = gnutls_x509_crt_set_dn(crt, "CN=" NAME, NULL);
	if (r >= 0)
		r = gnutls_x509_crt_set_subject_alt_name(
			crt, GNUTLS_SAN_DNSNAME, NAME, sizeof(NAME) - 1, GNUTLS_FSAN_SET);
	if (r >= 0)
		r = gnutls_x509_crt_set_activation_time(crt, from);
	if (r >= 0)
		r = gnutls_x509_crt_set_expiration_time(crt, to);
	if (r >= 0)
		r = gnutls_x509_crt_set_key(crt, key);
	if (r >= 0)
		r = gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0);
	return r;
}

static bool export_pair(
	struct way *w, gnutls_x509_crt_t crt, gnutls_x509_privkey_t key, const char *base)
{
	char pem[PEM_MAX];
	size_t n = sizeof(pem);

	if (gnutls_x509_crt_export(crt, GNUTLS_X509_FMT_PEM, pem, &n) < 0 ||
		!put_file(w, arena_print(&w->arena, "%s.crt", base), pem, n))
		return way_fail(w, "no certificate");
	n = sizeof(pem);
	if (gnutls_x509_privkey_export(key, GNUTLS_X509_FMT_PEM, pem, &n) < 0)
		return way_fail(w, "no key");
	return put_file(w, arena_print(&w->arena, "%s.key", base), pem, n);
}

/* BASE.crt and BASE.key: self-signed ECDSA, valid from the one moment to the other. */
static bool make_pair(struct way *w, const char *base, time_t from, time_t to)
{
	gnutls_x509_privkey_t key = NULL;
	gnutls_x509_crt_t crt = NULL;
	unsigned curve = GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1);
	int r = gnutls_x509_privkey_init(&key);
	bool ok;

	if (r >= 0)
		r = gnutls_x509_crt_init(&crt);
	if (r >= 0)
		r = gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA, curve, 0);
	if (r >= 0)
		r = fill(crt, key, from, to);
	ok = r >= 0 ? export_pair(w, crt, key, base)
		    : way_fail(w, "certificate: %s", gnutls_strerror(r));
	gnutls_x509_crt_deinit(crt);
	gnutls_x509_privkey_deinit(key);
	return ok;
}

bool certificates_make(struct way *w, const char *directory)
{
	static const char garbage[] = "-----BEGIN CERTIFICATE-----\nAAAA\n";
	const char *last = arena_print(&w->arena, "%s/garbage.crt", directory);
	time_t now = time(NULL);

	if (access(last, F_OK) == 0)
		return true;
	return make_pair(w, arena_print(&w->arena, "%s/good", directory), now - DAY,
		       now + 30 * DAY) &&
	       make_pair(w, arena_print(&w->arena, "%s/expired", directory),
		       now - 30 * DAY, now - DAY) &&
	       put_file(w, last, garbage, sizeof(garbage) - 1);
}

void certificates_find(struct arena *a, const char *directory, const char *name,
	const char **ret_certificate, const char **ret_key)
{
	bool mismatch = strcmp(name, "mismatch") == 0;

	*ret_certificate =
		arena_print(a, "%s/%s.crt", directory, mismatch ? "good" : name);
	if (strcmp(name, "garbage") == 0)
		name = "good";
	*ret_key = arena_print(a, "%s/%s.key", directory, mismatch ? "expired" : name);
}
