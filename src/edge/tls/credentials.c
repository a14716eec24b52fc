/* SPDX-License-Identifier: ISC */
/*
 * Makes credentials from the settings, and reports their faults, for loading and for
 * `postern --check`. A fault disables only its part: an unusable pair is left out, and
 * without a usable ticket key there are no tickets. All faults are reported.
 *
 * A session gets only the certificates of the name that the client asked for. GnuTLS
 * could choose among all certificates, but it decides by cipher suites first: in TLS 1.2
 * a client that asks for b.example and prefers ECDSA would get the ECDSA certificate of
 * a.example if that of b.example is RSA.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "edge/tls/parts.h"

#define NAME_MAX_OCTETS 256 /* a DNS name has 253 */

/*
 * GnuTLS initialises itself when it is loaded. If that failed, all of its functions fail.
 */
static int check_library(struct tls_fault *fault)
{
	int r = gnutls_global_init();

	if (r == GNUTLS_E_MEMORY_ERROR)
		return -ENOMEM;
	if (r < 0)
		return tls_fault_set(fault,
			"tls: GnuTLS does not work on this host (%s): neither "
			"certificate nor key was read; try certtool --version",
			gnutls_strerror(r));
	return 0;
}

/* A certificate in DER (Ed25519, self-signed), which is only read as a test. */
/* clang-format off */
static const unsigned char specimen[] = {
	0x30, 0x82, 0x01, 0x1c, 0x30, 0x81, 0xcf, 0xa0, 0x03, 0x02, 0x01, 0x02,
	0x02, 0x14, 0x74, 0xfa, 0x9b, 0xd5, 0x71, 0x71, 0x8f, 0x2c, 0x97, 0xc7,
	0xb7, 0xb6, 0x05, 0xc3, 0x72, 0x8b, 0x45, 0x8f, 0x8b, 0xd1, 0x30, 0x05,
	0x06, 0x03, 0x2b, 0x65, 0x70, 0x30, 0x12, 0x31, 0x10, 0x30, 0x0e, 0x06,
	0x03, 0x55, 0x04, 0x03, 0x0c, 0x07, 0x70, 0x6f, 0x73, 0x74, 0x65, 0x72,
	0x6e, 0x30, 0x1e, 0x17, 0x0d, 0x32, 0x36, 0x31, 0x31, 0x33, 0x30, 0x30,
	0x37, 0x32, 0x30, 0x35, 0x39, 0x5a, 0x17, 0x0d, 0x32, 0x36, 0x31, 0x32,
	0x30, 0x31, 0x30, 0x37, 0x32, 0x30, 0x35, 0x39, 0x5a, 0x30, 0x12, 0x31,
	0x10, 0x30, 0x0e, 0x06, 0x03, 0x55, 0x04, 0x03, 0x0c, 0x07, 0x70, 0x6f,
	0x73, 0x74, 0x65, 0x72, 0x6e, 0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b,
	0x65, 0x70, 0x03, 0x21, 0x00, 0xd4, 0x76, 0xd9, 0x8a, 0x4c, 0x64, 0xf5,
	0xc8, 0xa7, 0xd8, 0xb9, 0x9d, 0x0f, 0x61, 0x06, 0x06, 0x59, 0xda, 0x84,
	0x60, 0x60, 0x4c, 0xbf, 0x36, 0x8b, 0xb8, 0x8f, 0x21, 0xe6, 0x57, 0x18,
	0xaa, 0xa3, 0x37, 0x30, 0x35, 0x30, 0x14, 0x06, 0x03, 0x55, 0x1d, 0x11,
	0x04, 0x0d, 0x30, 0x0b, 0x82, 0x09, 0x70, 0x2e, 0x65, 0x78, 0x61, 0x6d,
	0x70, 0x6c, 0x65, 0x30, 0x1d, 0x06, 0x03, 0x55, 0x1d, 0x0e, 0x04, 0x16,
	0x04, 0x14, 0x1c, 0xee, 0x2c, 0xed, 0x53, 0x5b, 0xea, 0x35, 0xca, 0x84,
	0x6e, 0x5c, 0xc5, 0x0f, 0x74, 0xaf, 0x2b, 0xfe, 0xa7, 0xe8, 0x30, 0x05,
	0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x41, 0x00, 0xe2, 0x82, 0x63, 0x95,
	0x6f, 0xce, 0x43, 0xa0, 0xbc, 0x08, 0xeb, 0xbe, 0xd0, 0xee, 0xd3, 0xea,
	0x16, 0xc1, 0xb3, 0x93, 0xb3, 0x7e, 0x5f, 0x2c, 0x56, 0x93, 0x67, 0xf2,
	0x1a, 0xe1, 0xef, 0x07, 0x40, 0x9e, 0xbf, 0x79, 0xa7, 0x95, 0x68, 0x89,
	0x03, 0xe8, 0x20, 0x82, 0x0f, 0xd4, 0x40, 0x1d, 0x51, 0xae, 0xbe, 0xb0,
	0x72, 0xe9, 0x36, 0x8a, 0x64, 0x1c, 0xc4, 0xcf, 0x7d, 0xfc, 0x22, 0x04,
};
/* clang-format on */

static bool can_read_certificates(void)
{
	const gnutls_datum_t der = { (unsigned char *)specimen, sizeof(specimen) };
	gnutls_x509_crt_t crt;
	int r = gnutls_x509_crt_init(&crt);

	if (r < 0)
		return false;
	r = gnutls_x509_crt_import(crt, &der, GNUTLS_X509_FMT_DER);
	gnutls_x509_crt_deinit(crt);
	return r == 0;
}

bool tls_library_works(void)
{
	return gnutls_global_init() >= 0 && can_read_certificates();
}

/* A key agent does not decrypt, so key exchange by RSA encryption is not offered. */
#define WITHOUT_RSA_EXCHANGE ":-RSA"

static int init_priority(
	const char *priority, bool agent, gnutls_priority_t *ret, const char **ret_at)
{
	size_t room = strlen(priority) + sizeof(WITHOUT_RSA_EXCHANGE);
	OWNED char *shorter = NULL;
	int r = gnutls_priority_init(ret, priority, ret_at);

	if (r < 0 || !agent)
		return r;
	gnutls_priority_deinit(*ret);
	*ret_at = NULL;
	shorter = malloc(room);
	if (!shorter)
		return GNUTLS_E_MEMORY_ERROR;
	snprintf(shorter, room, "%s" WITHOUT_RSA_EXCHANGE, priority);
	return gnutls_priority_init(ret, shorter, NULL);
}

static int parse_priority(const char *priority, bool agent, gnutls_priority_t *ret,
	struct tls_fault *ret_fault)
{
	const char *at = NULL;
	int r = check_library(ret_fault);

	if (r < 0)
		return r;
	r = init_priority(priority, agent, ret, &at);
	if (r == GNUTLS_E_MEMORY_ERROR)
		return -ENOMEM;
	if (r == GNUTLS_E_NO_PRIORITIES_WERE_SET || (r < 0 && !*priority))
		return tls_fault_set(ret_fault,
			"tls-priority: leaves nothing to offer%s, \"%s\"",
			agent ? " (the key agent has no key exchange by RSA)" : "",
			priority);
	if (r < 0 && at)
		return tls_fault_set(ret_fault,
			"tls-priority: GnuTLS stops at position %zu, \"%s\"",
			(size_t)(at - priority) + 1, at);
	if (r < 0)
		return tls_fault_set(ret_fault, "tls-priority: %s", gnutls_strerror(r));
	return 0;
}

static bool all_zero(const struct tls_file *file)
{
	unsigned char any = 0;

	for (size_t i = 0; i < file->n; i++)
		any |= file->data[i];
	return any == 0;
}

static int load_tickets(const struct tls_settings *settings, struct tls_credentials *c,
	struct tls_fault *fault)
{
	const char *path = settings->tickets;
	CLEANUP(tls_file_done) struct tls_file file = { 0 };
	int r = tls_file_read(settings, path, &file);

	if (r < 0)
		return tls_fault_file(fault, "tls-tickets", path, r, &file);
	if (file.n != TLS_TICKET_KEY)
		return tls_fault_set(fault,
			"tls-tickets %s: has %zu octets, not %d; make it of /dev/urandom",
			path, file.n, TLS_TICKET_KEY);
	if (all_zero(&file))
		return tls_fault_set(fault,
			"tls-tickets %s: is all zeros; make it of /dev/urandom", path);
	if (tls_file_shared_with_group(&file) || tls_file_shared_with_others(&file))
		return tls_fault_set(fault,
			"tls-tickets %s: is open to group or others; make another key, "
			"with mode 0600",
			path);
	memcpy(c->ticket_key, file.data, TLS_TICKET_KEY);
	c->has_tickets = true;
	return 0;
}

static int load_authorities(const struct tls_settings *settings,
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

/* Appends a pair whose key the agent has. */
static int fetch_pair(const struct tls_settings *settings, size_t number,
	struct tls_credentials *c, struct tls_fault *fault)
{
	struct tls_pair_read *pair = &c->pairs[c->n_pairs];
	struct tls_remote_key *k = &c->remote[number];
	int r = tls_pair_fetch(settings, number, pair, fault);

	if (r < 0)
		return r;
	*k = (struct tls_remote_key){ .keys = settings->keys, .number = number };
	k->kind = gnutls_x509_crt_get_pk_algorithm(pair->chain[0], &k->bits);
	pair->remote = k;
	return 0;
}

static int load_pairs(const struct tls_settings *settings,
	const struct tls_report *report, struct tls_credentials *c)
{
	struct tls_fault fault;

	if (settings->n_pairs == 0) {
		tls_fault_set(
			&fault, "tls-certificate: is not set; TLS needs it and tls-key");
		tls_fault_report(&fault, report);
	}
	for (size_t i = 0; i < settings->n_pairs && i < TLS_PAIR_MAX; i++) {
		struct tls_pair_read *pair = &c->pairs[c->n_pairs];
		int r = settings->keys ? fetch_pair(settings, i, c, &fault)
				       : tls_pair_read(settings, i, pair, &fault);

		if (r == -ENOMEM)
			return r;
		if (r < 0) {
			tls_fault_report(&fault, report);
			continue;
		}
		c->n_pairs++;
		tls_pair_report_time(pair, &settings->pairs[i], report);
	}
	return 0;
}

static uint32_t pairs_covering(const struct tls_credentials *c, const char *name)
{
	uint32_t set = 0;

	for (size_t i = 0; i < c->n_pairs; i++)
		if (tls_covers(c->pairs[i].chain[0], name))
			set |= UINT32_C(1) << i;
	return set;
}

static void report_uncovered(const struct tls_settings *settings,
	const struct tls_report *report, const struct tls_credentials *c)
{
	struct tls_fault fault;

	if (!settings->hostname || pairs_covering(c, settings->hostname) != 0)
		return;
	tls_fault_set(&fault,
		"tls-certificate %s: does not cover hostname %s%s; it is used "
		"nevertheless",
		settings->pairs[0].certificate, settings->hostname,
		settings->n_pairs > 1 ? ", nor does another" : "");
	tls_fault_report(&fault, report);
}

static int make_set(const struct tls_credentials *c, uint32_t pairs,
	gnutls_certificate_credentials_t *ret)
{
	gnutls_certificate_credentials_t set;

	if (gnutls_certificate_allocate_credentials(&set) < 0)
		return -ENOMEM;
	/* tls_pair_read() has made the test that the flag disables */
	gnutls_certificate_set_flags(set, GNUTLS_CERTIFICATE_SKIP_KEY_CERT_MATCH);
	for (size_t i = 0; i < c->n_pairs; i++) {
		if (!(pairs & UINT32_C(1) << i))
			continue;
		if (tls_pair_add(&c->pairs[i], set) < 0) {
			gnutls_certificate_free_credentials(set);
			return -ENOMEM;
		}
	}
	*ret = set;
	return 0;
}

/*
 * Finds the pairs with the name of the first one, for clients that ask for no name or an
 * unknown one.
 */
static uint32_t find_default(const struct tls_credentials *c)
{
	char name[NAME_MAX_OCTETS];
	size_t n = sizeof(name);

	if (c->n_pairs == 1 || gnutls_x509_crt_get_subject_alt_name(c->pairs[0].chain[0],
				       0, name, &n, NULL) != GNUTLS_SAN_DNSNAME)
		return 1;
	return pairs_covering(c, name) | 1;
}

static void drop_pairs(struct tls_credentials *c)
{
	for (size_t i = 0; i < c->n_pairs; i++)
		tls_pair_done(&c->pairs[i]);
	c->n_pairs = 0;
}

/* Reports the fault of an unusable part; returns only other errors. */
static int forgive(int r, const struct tls_fault *fault, const struct tls_report *report)
{
	if (r != -EINVAL)
		return r;
	tls_fault_report(fault, report);
	return 0;
}

/*
 * Reads every part before it returns an error, so that all faults are reported at once.
 */
static int load_parts(const struct tls_settings *settings,
	const struct tls_report *report, struct tls_credentials *c)
{
	struct tls_fault fault;
	int r = check_library(&fault);

	if (r == -EINVAL)
		tls_fault_report(&fault, report);
	if (r < 0)
		return r;
	r = forgive(
		parse_priority(settings->priority, settings->keys, &c->priority, &fault),
		&fault, report);
	if (r == 0)
		r = load_pairs(settings, report, c);
	if (r == 0 && settings->tickets)
		r = forgive(load_tickets(settings, c, &fault), &fault, report);
	if (r == 0 && settings->client_ca)
		r = forgive(load_authorities(settings, &c->authorities, &fault), &fault,
			report);
	if (r < 0)
		return r;
	if (c->n_pairs > 0)
		report_uncovered(settings, report, c);
	return c->priority && c->n_pairs > 0 ? 0 : -EINVAL;
}

static int load_all(const struct tls_settings *settings, const struct tls_report *report,
	bool only_check, struct tls_credentials *c)
{
	int r = load_parts(settings, report, c);

	if (r < 0 || only_check)
		return r;
	c->default_pairs = find_default(c);
	r = make_set(c, c->default_pairs, &c->default_set);
	/*
	 * A parsed certificate is large, and a single one is not needed for a later
	 * choice.
	 */
	if (r == 0 && c->n_pairs == 1)
		drop_pairs(c);
	return r;
}

static int load(const struct tls_settings *settings, const struct tls_report *report,
	bool only_check, struct tls_credentials **ret)
{
	struct tls_credentials *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->hostname = settings->hostname;
	c->keys = settings->keys;
	r = load_all(settings, report, only_check, c);
	if (r < 0)
		tls_credentials_free(c);
	else
		*ret = c;
	return r;
}

int tls_credentials_load(const struct tls_settings *settings,
	const struct tls_report *report, struct tls_credentials **ret)
{
	struct tls_fault fault = { .text = "" };

	if (settings->keys || !tls_settings_have_token(settings))
		return load(settings, report, false, ret);
	tls_fault_set(&fault,
		"tls-key: only the key agent of a listener uses the key of a token "
		"(postern --listen, with tls-key-agent = yes)");
	tls_fault_report(&fault, report);
	return -EINVAL;
}

int tls_credentials_prioritize(
	struct tls_credentials *c, const char *priority, const struct tls_report *report)
{
	gnutls_priority_t parsed;
	struct tls_fault fault;
	int r = parse_priority(priority, c->keys, &parsed, &fault);

	if (r == -EINVAL)
		tls_fault_report(&fault, report);
	if (r < 0)
		return r;
	gnutls_priority_deinit(c->priority);
	c->priority = parsed;
	return 0;
}

void tls_credentials_free(struct tls_credentials *c)
{
	if (!c)
		return;
	drop_pairs(c);
	if (c->default_set)
		gnutls_certificate_free_credentials(c->default_set);
	if (c->priority)
		gnutls_priority_deinit(c->priority);
	if (c->authorities)
		gnutls_x509_trust_list_deinit(c->authorities, 1);
	gnutls_memset(c->ticket_key, 0, sizeof(c->ticket_key));
	free(c);
}

int tls_credentials_for_name(const struct tls_credentials *c, const char *name,
	gnutls_certificate_credentials_t *ret, bool *ret_owned)
{
	uint32_t pairs = c->n_pairs > 1 ? pairs_covering(c, name) : 0;
	int r;

	if (pairs == 0 || pairs == c->default_pairs) {
		*ret = c->default_set;
		*ret_owned = false;
		return 0;
	}
	r = make_set(c, pairs, ret);
	if (r == 0)
		*ret_owned = true;
	return r;
}

struct counter {
	const struct tls_report *report;
	size_t n;
};

static void count(void *ctx, const char *text)
{
	struct counter *counter = ctx;

	counter->n++;
	counter->report->fault(counter->report->ctx, text);
}

/* Of a key in a token it is the file of the PIN that others must not read. */
static void check_key_mode(const struct tls_settings *settings, const char *path,
	const struct tls_report *report)
{
	CLEANUP(tls_file_done) struct tls_file file = { 0 };
	const struct span source = tls_pin_file(path);
	struct tls_fault fault;
	char pin[PATH_MAX];

	if (source.n) {
		snprintf(pin, sizeof(pin), "%.*s", (int)source.n, source.p);
		path = pin;
	}
	/* the fault of an unreadable file was reported before */
	if (tls_file_read(settings, path, &file) < 0 ||
		!tls_file_shared_with_others(&file))
		return;
	tls_fault_set(&fault,
		"tls-key %s: is open to everyone; take that away (chmod o-rwx)", path);
	tls_fault_report(&fault, report);
}

/*
 * True when the priority has key exchange by RSA in TLS 1.2, in which an RSA key decrypts
 * and does not sign.
 */
static bool has_rsa_key_exchange(gnutls_priority_t priority)
{
	const unsigned int *list;
	int n = gnutls_priority_kx_list(priority, &list);

	for (int i = 0; i < n; i++)
		if (list[i] == GNUTLS_KX_RSA)
			return true;
	return false;
}

static bool allows_key(gnutls_priority_t priority, gnutls_pk_algorithm_t key)
{
	const unsigned int *list;
	int n = gnutls_priority_sign_list(priority, &list);

	for (int i = 0; i < n; i++)
		if (gnutls_sign_supports_pk_algorithm(list[i], key))
			return true;
	return key == GNUTLS_PK_RSA && has_rsa_key_exchange(priority);
}

/* Checks that some signature is possible. Unreadable pairs are reported elsewhere. */
static void check_signatures(const struct tls_settings *settings, size_t number,
	gnutls_priority_t priority, const struct tls_report *report)
{
	CLEANUP(tls_pair_done) struct tls_pair_read pair = { 0 };
	const struct tls_pair *files = &settings->pairs[number];
	struct tls_fault fault;
	int key;

	/* a token would count one more attempt with a PIN that it has refused */
	if ((tls_is_token(files->key)
			    ? tls_chain_read(settings, files->certificate, &pair, &fault)
			    : tls_pair_read(settings, number, &pair, &fault)) < 0)
		return;
	key = gnutls_x509_crt_get_pk_algorithm(pair.chain[0], NULL);
	if (key < 0 || allows_key(priority, (gnutls_pk_algorithm_t)key))
		return;
	tls_fault_set(&fault,
		"tls-priority: allows no signature of a key of type %s, so that no "
		"client can use tls-certificate %s; add such a signature (SIGN-...), "
		"or take a key of another type",
		gnutls_pk_get_name((gnutls_pk_algorithm_t)key), files->certificate);
	tls_fault_report(&fault, report);
}

static void check_all_signatures(
	const struct tls_settings *settings, const struct tls_report *report)
{
	gnutls_priority_t priority = NULL;
	struct tls_fault fault;

	if (parse_priority(settings->priority, false, &priority, &fault) < 0)
		return;
	for (size_t i = 0; !settings->keys && i < settings->n_pairs && i < TLS_PAIR_MAX;
		i++)
		check_signatures(settings, i, priority, report);
	gnutls_priority_deinit(priority);
}

size_t tls_credentials_check_priority(
	const struct tls_settings *settings, const struct tls_report *report)
{
	struct counter counter = { report, 0 };
	const struct tls_report counting = { .ctx = &counter, .fault = count };
	gnutls_priority_t parsed = NULL;
	struct tls_fault fault;
	int r = parse_priority(settings->priority, false, &parsed, &fault);

	if (r == 0)
		gnutls_priority_deinit(parsed);
	else if (r == -ENOMEM)
		tls_fault_set(&fault, "tls-priority: not enough memory to read it");
	if (r < 0)
		tls_fault_report(&fault, &counting);
	check_all_signatures(settings, &counting);
	return counter.n;
}

size_t tls_credentials_check(
	const struct tls_settings *settings, const struct tls_report *report)
{
	struct counter counter = { report, 0 };
	const struct tls_report counting = { .ctx = &counter, .fault = count };
	struct tls_credentials *credentials = NULL;
	int r = load(settings, &counting, true, &credentials);

	if (r == -ENOMEM)
		count(&counter, "tls-certificate: not enough memory to load it");
	for (size_t i = 0; !settings->keys && i < settings->n_pairs && i < TLS_PAIR_MAX;
		i++)
		check_key_mode(settings, settings->pairs[i].key, &counting);
	check_all_signatures(settings, &counting);
	tls_credentials_free(credentials);
	return counter.n;
}
