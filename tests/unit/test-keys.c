/* SPDX-License-Identifier: ISC */
/*
 * The key agent: it makes only signatures for handshakes, with its own key; a hostile client loses its channel, and
 * does not delay others.
 */
#include "edge/keys/keys.h"
#include <gnutls/crypto.h>
#include "edge/keys/agent.h"
#include "edge/net/net.h"
#include "unit/tls-lab.h"

#define CLIENTS 8
#define FLOOD 40 /* channels of one source */
#define EACH 2 /* requests that wait in each channel */

/* the sanitizers' own calls at the end of a process are not in the filter */
#if defined(__SANITIZE_ADDRESS__)
#define SANDBOX false
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANDBOX false
#endif
#endif
#ifndef SANDBOX
#define SANDBOX true
#endif

#define ED25519_TEXT 98 /* blanks, a context, NUL */

enum { RSA, ECDSA, ED25519, PAIRS };

static const struct lab_certificate certificates[PAIRS] = {
	[RSA] = { "rsa", GNUTLS_PK_RSA, { "a.example" }, -DAY, DAY },
	[ECDSA] = { "ecdsa", GNUTLS_PK_ECDSA, { "b.example" }, -DAY, DAY },
	[ED25519] = { "ed25519", GNUTLS_PK_EDDSA_ED25519, { "c.example" }, -DAY, DAY },
};

static struct lab_path paths[2 * PAIRS];
static struct keys_agents agents;

static struct keys open_channel(const char *source)
{
	struct ip ip = { 0 };
	struct keys keys = { .signals = -1 };

	if (source)
		REQUIRE(ip_parse(span_of(source), &ip));
	keys.channel = keys_open(&agents, &ip);
	REQUIRE(keys.channel >= 0);
	return keys;
}

static uint32_t length_of(gnutls_digest_algorithm_t digest)
{
	return (uint32_t)gnutls_hash_get_len(digest);
}

static struct keys_request hash_request(unsigned pair, gnutls_sign_algorithm_t algorithm)
{
	gnutls_digest_algorithm_t digest = gnutls_sign_get_hash_algorithm(algorithm);
	struct keys_request r = { .operation = KEYS_SIGN,
		.pair = pair,
		.algorithm = algorithm,
		.n = length_of(digest) };

	memset(r.octets, 0x5a, r.n);
	return r;
}

/* The text that TLS 1.3 signs (RFC 8446 4.4.3). */
static struct keys_request text_request(void)
{
	struct keys_request r = { .operation = KEYS_SIGN,
		.pair = ED25519,
		.algorithm = GNUTLS_SIGN_EDDSA_ED25519,
		.n = ED25519_TEXT + 32 };

	memset(r.octets, ' ', 64);
	memcpy(r.octets + 64, "TLS 1.3, server CertificateVerify", 34);
	memset(r.octets + ED25519_TEXT, 0x5a, 32);
	return r;
}

/* The text that RSA signs in TLS 1.2: a hash in a DigestInfo (RFC 8017 9.2). */
static struct keys_request info_request(gnutls_digest_algorithm_t digest)
{
	struct keys_request r = {
		.operation = KEYS_SIGN, .pair = RSA, .algorithm = GNUTLS_SIGN_RSA_RAW
	};
	unsigned char hash[64] = { 0 };
	gnutls_datum_t plain = { hash, length_of(digest) }, info;

	REQUIRE(gnutls_encode_ber_digest_info(digest, &plain, &info) == 0);
	r.n = info.size;
	memcpy(r.octets, info.data, info.size);
	gnutls_free(info.data);
	return r;
}

static ssize_t ask(const struct keys *keys, const struct keys_request *r, void *to)
{
	enum keys_result result;
	ssize_t n = keys_ask(keys, r, &result, to, KEYS_SIGNATURE_MAX);

	return n >= 0 && result != KEYS_FINE ? -EPROTO : n;
}

static bool verifies(unsigned pair, gnutls_sign_algorithm_t algorithm,
	const struct keys_request *r, unsigned char *signature, ssize_t n)
{
	gnutls_datum_t octets = { (unsigned char *)r->octets, r->n };
	gnutls_datum_t made = { signature, (unsigned)n };
	bool is_text = algorithm == GNUTLS_SIGN_EDDSA_ED25519;
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t crt;
	gnutls_pubkey_t public;
	int v;

	lab_read(certificates[pair].name, &crt, &key);
	REQUIRE(gnutls_pubkey_init(&public) == 0);
	REQUIRE(gnutls_pubkey_import_x509(public, crt, 0) == 0);
	v = is_text ? gnutls_pubkey_verify_data2(public, algorithm, 0, &octets, &made)
		    : gnutls_pubkey_verify_hash2(public, algorithm, 0, &octets, &made);
	gnutls_pubkey_deinit(public);
	gnutls_x509_crt_deinit(crt);
	gnutls_x509_privkey_deinit(key);
	return v >= 0;
}

static void test_each_algorithm_of_a_key_signs(void)
{
	static const struct {
		unsigned pair;
		gnutls_sign_algorithm_t algorithm;
	} rows[] = {
		{ RSA, GNUTLS_SIGN_RSA_SHA256 },
		{ RSA, GNUTLS_SIGN_RSA_PSS_RSAE_SHA256 },
		{ RSA, GNUTLS_SIGN_RSA_PSS_RSAE_SHA384 },
		{ ECDSA, GNUTLS_SIGN_ECDSA_SHA256 },
		{ ECDSA, GNUTLS_SIGN_ECDSA_SECP256R1_SHA256 },
	};
	unsigned char signature[KEYS_SIGNATURE_MAX];
	struct keys_request r;
	struct keys keys = { .signals = -1 };
	ssize_t n;

	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		keys = open_channel(NULL);
		r = hash_request(rows[i].pair, rows[i].algorithm);
		n = ask(&keys, &r, signature);
		CHECK(n > 0 &&
			verifies(rows[i].pair, rows[i].algorithm, &r, signature, n));
		close(keys.channel);
	}
	keys = open_channel(NULL);
	r = text_request();
	n = ask(&keys, &r, signature);
	CHECK(n == 64 && verifies(ED25519, GNUTLS_SIGN_EDDSA_ED25519, &r, signature, n));
	r = info_request(GNUTLS_DIG_SHA256);
	CHECK(ask(&keys, &r, signature) == 256);
	/* before TLS 1.2: MD5 and SHA-1 together */
	r.n = 36;
	CHECK(ask(&keys, &r, signature) == 256);
	close(keys.channel);
}

/* The channel is closed: the next request gets no answer either. */
static void check_refused(const struct keys_request *r)
{
	const struct keys_request fine = text_request();
	unsigned char signature[KEYS_SIGNATURE_MAX];
	struct keys keys = open_channel(NULL);

	CHECK(ask(&keys, r, signature) == -ECONNRESET);
	CHECK(ask(&keys, &fine, signature) == -ECONNRESET);
	close(keys.channel);
}

static void test_nothing_else_is_signed(void)
{
	struct keys_request r = hash_request(ECDSA, GNUTLS_SIGN_ECDSA_SHA256);

	r.pair = PAIRS; /* no such pair */
	check_refused(&r);
	r.pair = RSA; /* another kind of key */
	check_refused(&r);
	r = hash_request(ECDSA, GNUTLS_SIGN_ECDSA_SHA256);
	r.n--; /* no hash */
	check_refused(&r);
	r.n = 0;
	check_refused(&r);
	r.n = KEYS_OCTETS_MAX + 1;
	check_refused(&r);
	r.n = UINT32_MAX;
	check_refused(&r);
	r = hash_request(ECDSA, GNUTLS_SIGN_ECDSA_SHA256);
	r.algorithm = 100000;
	check_refused(&r);
	r.algorithm = GNUTLS_SIGN_UNKNOWN;
	check_refused(&r);
	r = hash_request(ECDSA, GNUTLS_SIGN_ECDSA_SHA256);
	r.operation = 7; /* decrypt? */
	check_refused(&r);
	r = text_request();
	r.octets[80] ^= 1; /* not of TLS */
	check_refused(&r);
	r = text_request();
	r.n++;
	check_refused(&r);
	r = text_request();
	r.pair = ECDSA;
	check_refused(&r);
	r = info_request(GNUTLS_DIG_SHA256);
	r.octets[0] = 0x31; /* no DigestInfo: what PKCS #1 would pad */
	check_refused(&r);
	r = info_request(GNUTLS_DIG_SHA256);
	r.octets[r.n++] = 0;
	check_refused(&r);
	r = info_request(GNUTLS_DIG_SHA256);
	r.pair = ECDSA;
	check_refused(&r);
}

static void test_a_message_of_another_size_ends_the_channel(void)
{
	static const size_t sizes[] = { 1, sizeof(struct keys_request) - 1,
		sizeof(struct keys_request) + 1, 4096 };
	const struct keys_request fine = text_request();
	unsigned char octets[4096] = { 0 };

	for (size_t i = 0; i < TEST_COUNT(sizes); i++) {
		struct keys keys = open_channel(NULL);
		CHECK(send(keys.channel, octets, sizes[i], MSG_NOSIGNAL) > 0);
		CHECK(ask(&keys, &fine, octets) == -ECONNRESET);
		close(keys.channel);
	}
}

static void test_a_channel_has_a_few_signatures(void)
{
	const struct keys_request r = text_request();
	unsigned char signature[KEYS_SIGNATURE_MAX];
	struct keys keys = open_channel(NULL);

	for (unsigned i = 0; i < KEYS_SIGNATURES_MAX; i++)
		CHECK(ask(&keys, &r, signature) == 64);
	CHECK(ask(&keys, &r, signature) == -ECONNRESET);
	close(keys.channel);
}

/* Each signs a text of its own, and gets the signature of that. */
static int run_client(unsigned number)
{
	unsigned char signature[KEYS_SIGNATURE_MAX];
	struct keys_request r = text_request();

	memset(r.octets + ED25519_TEXT, (int)number, 32);
	for (unsigned i = 0; i < 50; i++) {
		struct keys keys = open_channel("192.0.2.1");
		ssize_t n = ask(&keys, &r, signature);
		if (n != 64 ||
			!verifies(ED25519, GNUTLS_SIGN_EDDSA_ED25519, &r, signature, n))
			return 1;
		close(keys.channel);
	}
	return 0;
}

static void test_eight_sign_at_once_beside_one_that_never_reads(void)
{
	const struct keys_request r = hash_request(RSA, GNUTLS_SIGN_RSA_SHA256);
	struct keys silent = open_channel("192.0.2.2");
	int status, failed = 0;

	while (send(silent.channel, &r, sizeof(r), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
		continue;
	for (unsigned i = 0; i < CLIENTS; i++) {
		pid_t pid = fork();
		REQUIRE(pid >= 0);
		if (pid == 0)
			_exit(run_client(i));
	}
	for (unsigned i = 0; i < CLIENTS; i++)
		failed += wait(&status) < 0 || status != 0;
	CHECK(failed == 0);
	close(silent.channel);
}

/* In place of keys: notes for which source, and over which channel, it signs. */
struct tls_keys {
	int *ends; /* of the clients */
	size_t n; /* of both */
	unsigned *sources, *channels;
	size_t *n_signed;
};

/* When all requests are answered the clients close their ends, and the agent ends. */
static bool note(const struct tls_keys *keys, const struct keys_request *request,
	struct keys_answer *ret)
{
	const size_t i = (*keys->n_signed)++;

	ret->header = (struct keys_header){ .result = KEYS_FINE };
	REQUIRE(i < keys->n * EACH);
	keys->sources[i] = request->pair;
	keys->channels[i] = request->algorithm;
	if (*keys->n_signed == keys->n * EACH)
		for (size_t end = 0; end < keys->n; end++)
			close(keys->ends[end]);
	return true;
}

/* Hands a channel with EACH requests over to the agent. Returns the client's end. */
static int queue(int control, unsigned source, unsigned number)
{
	const struct keys_request r = { .pair = source, .algorithm = number };
	const struct ip ip = { .n = 4, .octets = { 192, 0, 2, (unsigned char)source } };
	int ends[2];

	REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
	for (unsigned i = 0; i < EACH; i++)
		REQUIRE(send(ends[0], &r, sizeof(r), 0) == sizeof(r));
	REQUIRE(channel_send(control, &ip, sizeof(ip), &ends[1], 1) == 0);
	close(ends[1]);
	return ends[0];
}

static void test_a_flood_by_one_source_delays_another_by_one_signature(void)
{
	enum { ALL = FLOOD + 2 };
	static const struct tls_api api = { .answer = note };
	int ends[ALL], control[2];
	unsigned sources[ALL * EACH], channels[ALL * EACH], waited[2] = { 0 };
	bool seen[ALL] = { false };
	size_t n_signed = 0;
	const struct tls_keys keys = { ends, ALL, sources, channels, &n_signed };
	struct agent *a;

	REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) == 0);
	/* the sources 0 and 1 come last, and 2 is the flood */
	for (unsigned i = 0; i < ALL; i++)
		ends[i] = queue(control[0], i < FLOOD ? 2 : i - FLOOD, i);
	close(control[0]);
	a = agent_new(&api, &keys, control[1]);
	REQUIRE(a);
	CHECK(agent_run(a, NULL) == 0);
	REQUIRE(n_signed == ALL * EACH);
	for (size_t i = 0, of_flood = 0; i < n_signed; i++) {
		if (sources[i] < 2) {
			/* at most once each of the two others, since its last one */
			CHECK(i <= waited[sources[i]] + 2);
			waited[sources[i]] = (unsigned)i + 1;
		} else if (of_flood++ < FLOOD) {
			CHECK(!seen[channels[i]]);
			seen[channels[i]] = true;
		}
	}
}

static void test_a_pair_with_a_fault_is_told_and_signs_nothing(void)
{
	struct tls_settings s = lab_settings(paths, 1);
	struct lab_path missing = lab_path("missing", ".key");
	char text[KEYS_CHAIN_MAX] = "";
	struct keys_request r = { .operation = KEYS_CHAIN };
	struct keys_agents others;
	enum keys_result result;
	struct keys keys = { .signals = -1 };
	ssize_t n;

	s.pairs[0].key = missing.text;
	REQUIRE(keys_start(&others, lab_api, &s, SANDBOX, 32) == 0);
	keys.channel = keys_open(&others, &(struct ip){ 0 });
	REQUIRE(keys.channel >= 0);
	n = keys_ask(&keys, &r, &result, text, sizeof(text) - 1);
	CHECK(n > 0 && result == KEYS_FAULT);
	CHECK(strstr(text, missing.text) != NULL);
	r = hash_request(0, GNUTLS_SIGN_RSA_SHA256);
	CHECK(ask(&keys, &r, text) == -ECONNRESET);
	close(keys.channel);
	CHECK(!keys_have_ended(&others));
	keys_leave(&others);
}

static void test_agents_end_with_the_last_channel(void)
{
	const struct keys_request r = text_request();
	unsigned char signature[KEYS_SIGNATURE_MAX];
	struct keys keys = open_channel(NULL);
	int status;

	keys_leave(&agents);
	/* the channel stays open */
	CHECK(ask(&keys, &r, signature) == 64);
	close(keys.channel);
	/* the first one; it has forked the others */
	while (wait(&status) > 0)
		CHECK(status == 0);
}

int main(int argc, char *argv[])
{
	static const struct test tests[] = {
		TEST(test_each_algorithm_of_a_key_signs),
		TEST(test_nothing_else_is_signed),
		TEST(test_a_message_of_another_size_ends_the_channel),
		TEST(test_a_channel_has_a_few_signatures),
		TEST(test_eight_sign_at_once_beside_one_that_never_reads),
		TEST(test_a_flood_by_one_source_delays_another_by_one_signature),
		TEST(test_a_pair_with_a_fault_is_told_and_signs_nothing),
		TEST(test_agents_end_with_the_last_channel),
	};
	struct tls_settings s;
	int failed;

	lab_open(argc, argv);
	for (size_t i = 0; i < PAIRS; i++) {
		lab_make(&certificates[i]);
		paths[2 * i] = lab_path(certificates[i].name, ".pem");
		paths[2 * i + 1] = lab_path(certificates[i].name, ".key");
	}
	s = lab_settings(paths, PAIRS);
	REQUIRE(keys_start(&agents, lab_api, &s, SANDBOX, 32) == 0);
	failed = test_main(tests, TEST_COUNT(tests));
	lab_close();
	return failed;
}
