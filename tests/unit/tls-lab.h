/* SPDX-License-Identifier: ISC */
/*
 * The functions that the tests of the module tls.so share: the module itself, certificates that are made at run time,
 * and a server in a child process whose result is passed through a pipe.
 */
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "edge/tls/tls.h"
#include "unit/module-lab.h"

#define LAB_PATH 128
#define LAB_FAULTS 8
#define DAY (24 * 3600)

static const struct tls_api *lab_api;
static char lab_dir[] = "/tmp/postern-test-tls.XXXXXX";

struct lab_path {
	char text[LAB_PATH];
};

static inline struct lab_path lab_path(const char *name, const char *ending)
{
	struct lab_path path;

	snprintf(path.text, sizeof(path.text), "%s/%s%s", lab_dir, name, ending);
	return path;
}

/* A new file each time: one of mode 0400 could not be written again. */
static inline void lab_write(const char *path, const void *from, size_t n, mode_t mode)
{
	int fd;

	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	REQUIRE(fd >= 0);
	REQUIRE(fchmod(fd, mode) == 0);
	REQUIRE(write(fd, from, n) == (ssize_t)n);
	close(fd);
}

/* The content of a certificate of the tests; times are seconds from now. */
struct lab_certificate {
	const char *name; /* of its files: NAME.pem, NAME.key */
	gnutls_pk_algorithm_t kind;
	const char *names[3]; /* host names and addresses */
	long from;
	long until;
};

static inline void lab_export(
	gnutls_x509_crt_t crt, gnutls_x509_privkey_t key, const char *name)
{
	gnutls_datum_t pem;

	REQUIRE(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &pem) == 0);
	lab_write(lab_path(name, ".pem").text, pem.data, pem.size, 0600);
	gnutls_free(pem.data);
	REQUIRE(gnutls_x509_privkey_export2_pkcs8(
			key, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN, &pem) == 0);
	lab_write(lab_path(name, ".key").text, pem.data, pem.size, 0600);
	gnutls_free(pem.data);
}

static inline void lab_add_name(gnutls_x509_crt_t crt, const char *name)
{
	unsigned char address[16];
	unsigned int n = inet_pton(AF_INET, name, address) == 1    ? 4
			 : inet_pton(AF_INET6, name, address) == 1 ? 16
								   : 0;

	gnutls_x509_crt_set_subject_alt_name(crt,
		n ? GNUTLS_SAN_IPADDRESS : GNUTLS_SAN_DNSNAME,
		n ? (const void *)address : name, n ? n : (unsigned int)strlen(name),
		GNUTLS_FSAN_APPEND);
}

static inline void lab_make(const struct lab_certificate *c)
{
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t crt;
	time_t now = time(NULL);
	unsigned int bits = c->kind == GNUTLS_PK_RSA ? 2048
			    : c->kind == GNUTLS_PK_EDDSA_ED25519
				    ? GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_ED25519)
				    : GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1);

	REQUIRE(gnutls_x509_privkey_init(&key) == 0 && gnutls_x509_crt_init(&crt) == 0);
	REQUIRE(gnutls_x509_privkey_generate(key, c->kind, bits, 0) == 0);
	gnutls_x509_crt_set_version(crt, 3);
	gnutls_x509_crt_set_serial(crt, "\1", 1);
	gnutls_x509_crt_set_activation_time(crt, now + c->from);
	gnutls_x509_crt_set_expiration_time(crt, now + c->until);
	/* The common name, by which tests identify the certificate. */
	gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, c->name,
		(unsigned int)strlen(c->name));
	for (size_t i = 0; i < 3 && c->names[i]; i++)
		lab_add_name(crt, c->names[i]);
	gnutls_x509_crt_set_key_usage(
		crt, GNUTLS_KEY_DIGITAL_SIGNATURE | GNUTLS_KEY_KEY_ENCIPHERMENT);
	REQUIRE(gnutls_x509_crt_set_key(crt, key) == 0);
	REQUIRE(gnutls_x509_crt_sign2(crt, crt, key,
			c->kind == GNUTLS_PK_EDDSA_ED25519 ? GNUTLS_DIG_SHA512
							   : GNUTLS_DIG_SHA256,
			0) == 0);
	lab_export(crt, key, c->name);
	gnutls_x509_crt_deinit(crt);
	gnutls_x509_privkey_deinit(key);
}

/* Reads back what lab_make() made. */
static inline void lab_read(
	const char *name, gnutls_x509_crt_t *ret_crt, gnutls_x509_privkey_t *ret_key)
{
	gnutls_datum_t pem;

	REQUIRE(gnutls_x509_crt_init(ret_crt) == 0 &&
		gnutls_x509_privkey_init(ret_key) == 0);
	REQUIRE(gnutls_load_file(lab_path(name, ".pem").text, &pem) == 0);
	REQUIRE(gnutls_x509_crt_import(*ret_crt, &pem, GNUTLS_X509_FMT_PEM) == 0);
	gnutls_free(pem.data);
	REQUIRE(gnutls_load_file(lab_path(name, ".key").text, &pem) == 0);
	REQUIRE(gnutls_x509_privkey_import(*ret_key, &pem, GNUTLS_X509_FMT_PEM) == 0);
	gnutls_free(pem.data);
}

/* The module is named by argv[1] or POSTERN_TLS_MODULE. */
static inline void lab_open(int argc, char *argv[])
{
	void *module = lab_module(argc, argv, "POSTERN_TLS_MODULE");

	lab_api = dlsym(module, TLS_MODULE_TABLE);
	REQUIRE(lab_api != NULL);
	/* Nothing else may be seen of it. */
	CHECK(dlsym(module, "tls_credentials_load") == NULL);
	REQUIRE(mkdtemp(lab_dir) != NULL);
	signal(SIGPIPE, SIG_IGN);
}

static inline void lab_close(void)
{
	char command[LAB_PATH];

	snprintf(command, sizeof(command), "rm -rf %s", lab_dir);
	if (system(command) != 0)
		fprintf(stderr, "%s is left behind\n", lab_dir);
}

/* The faults that load() and check() report. */
struct lab_faults {
	size_t n;
	char text[LAB_FAULTS][TLS_FAULT_TEXT];
};

static inline void lab_hear(void *ctx, const char *text)
{
	struct lab_faults *faults = ctx;

	if (faults->n < LAB_FAULTS)
		snprintf(faults->text[faults->n], TLS_FAULT_TEXT, "%s", text);
	faults->n++;
}

static inline struct tls_settings lab_settings(
	const struct lab_path *paths, size_t n_pairs)
{
	struct tls_settings s = { .n_pairs = n_pairs, .priority = TLS_PRIORITY_DEFAULT };

	for (size_t i = 0; i < n_pairs; i++)
		s.pairs[i] =
			(struct tls_pair){ paths[2 * i].text, paths[2 * i + 1].text };
	return s;
}
