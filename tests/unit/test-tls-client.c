/* SPDX-License-Identifier: ISC */
/*
 * Certificates of clients, through the module tls.so: each has the right result of verification, and none breaks a
 * handshake.
 */
#include "unit/tls-lab-server.h"

/* The length and the label of the binding: RFC 9266 2. */
#define EXPORTER_LABEL "EXPORTER-Channel-Binding"

#define TWO_LINES "two\nlines" /* a common name that filters must not get */

static void look(struct tls *tls, struct connection *c, struct outcome *o)
{
	const struct tls_client *client = lab_api->client(tls);

	o->has_client = client != NULL;
	if (client)
		o->client = *client;
	o->has_binding = lab_api->binding(tls, o->binding);
	serve_to_the_end(tls, c, o);
}

static const struct plan plan = { .pairs = { "ec" }, .client_ca = "ca", .serve = look };

static struct outcome show(const struct plan *p, const char *priority, const char *name)
{
	struct client c =
		meet(p, &(struct offer){ .priority = priority, .certificate = name });

	CHECK(c.handshake == 0);
	if (c.handshake == 0)
		goodbye(&c);
	return part(&c);
}

static const char *const versions[] = { TLS_1_2, TLS_1_3 };

static void test_names_and_fingerprint_of_a_trusted_one(void)
{
	for (size_t i = 0; i < TEST_COUNT(versions); i++) {
		struct outcome o = show(&plan, versions[i], "device");
		gnutls_x509_privkey_t key;
		unsigned char expected[TLS_FINGERPRINT_SIZE];
		char digits[2 * TLS_FINGERPRINT_SIZE + 1];
		size_t n = sizeof(expected);
		gnutls_x509_crt_t crt;

		CHECK(o.accept == 0 && o.has_client && o.client.trusted);
		CHECK_SPAN(span_of(o.facts.client), "trusted");
		REQUIRE(o.client.n_names == 2);
		CHECK_SPAN(span_of(o.client.names[0]), "printer@example.org");
		CHECK_SPAN(span_of(o.client.names[1]), "printer.example.org");
		CHECK_SPAN(span_of(o.client.subject), "device");
		CHECK_SPAN(span_of(o.client.issuer), "ca");
		CHECK(o.facts.client_name && o.facts.client_issuer);
		lab_read("device", &crt, &key);
		REQUIRE(gnutls_x509_crt_get_fingerprint(
				crt, GNUTLS_DIG_SHA256, expected, &n) == 0);
		for (size_t k = 0; k < n; k++)
			snprintf(digits + 2 * k, 3, "%02x", expected[k]);
		CHECK_SPAN(span_of(o.client.fingerprint), digits);
		gnutls_x509_crt_deinit(crt);
		gnutls_x509_privkey_deinit(key);
	}
}

static void test_what_is_not_trusted_breaks_nothing(void)
{
	static const struct {
		const char *name, *why;
	} cases[] = {
		{ "stranger", "issuer is unknown" },
		{ "expired", "expired" },
		{ "early", "not yet valid" },
		{ "server", "purpose" },
		{ "forged", "signature" },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++)
		for (size_t v = 0; v < TEST_COUNT(versions); v++) {
			struct outcome o = show(&plan, versions[v], cases[i].name);
			CHECK(o.accept == 0 && o.has_client && !o.client.trusted);
			CHECK(!o.facts.client_name && !o.facts.client_issuer);
			if (!CHECK(strstr(o.facts.client, cases[i].why)))
				printf("# %s: %s\n", cases[i].name, o.facts.client);
		}
}

/* The authority may be the certificate itself: so devices sign for themselves. */
static void test_a_listed_certificate_is_its_own_authority(void)
{
	struct plan own = plan;
	struct outcome o;

	own.client_ca = "stranger";
	o = show(&own, TLS_1_3, "stranger");
	CHECK(o.accept == 0 && o.has_client && o.client.trusted);
	o = show(&own, TLS_1_3, "device");
	CHECK(o.accept == 0 && o.has_client && !o.client.trusted);
}

static void test_a_client_without_one_is_welcome(void)
{
	for (size_t v = 0; v < TEST_COUNT(versions); v++) {
		struct outcome o = show(&plan, versions[v], NULL);
		CHECK(o.accept == 0 && !o.has_client && !o.facts.client[0]);
	}
}

static void test_nobody_is_asked_without_authorities(void)
{
	struct plan bare = plan;
	struct outcome o;

	bare.client_ca = NULL;
	o = show(&bare, TLS_1_3, "device");
	CHECK(o.accept == 0 && !o.has_client && !o.facts.client[0]);
}

/* A name with a blank or a NUL in it could pass for another. */
static void test_names_that_are_not_plain_are_left_out(void)
{
	struct outcome o = show(&plan, TLS_1_3, "odd");

	CHECK(o.has_client && o.client.trusted);
	REQUIRE(o.client.n_names == 1);
	CHECK_SPAN(span_of(o.client.names[0]), "plain.example.org");
	o = show(&plan, TLS_1_3, TWO_LINES);
	CHECK(o.client.trusted && !*o.client.subject && !o.facts.client_name);
	CHECK_SPAN(span_of(o.client.issuer), "ca");
}

static void test_the_binding_is_the_clients_too(void)
{
	struct client c = meet(&plan, &(struct offer){ .priority = TLS_1_3 });
	unsigned char expected[TLS_BINDING_SIZE];
	struct outcome o;

	REQUIRE(c.handshake == 0);
	REQUIRE(gnutls_prf_rfc5705(c.tls, strlen(EXPORTER_LABEL), EXPORTER_LABEL, 0, "",
			sizeof(expected), (char *)expected) == 0);
	goodbye(&c);
	o = part(&c);
	CHECK(o.has_binding && memcmp(o.binding, expected, sizeof(expected)) == 0);
	/* tls-unique is safe with RFC 7627 alone, which a client may lack */
	CHECK(!show(&plan, TLS_1_2, NULL).has_binding);
}

static void test_authorities_that_cannot_be_read_are_told(void)
{
	struct lab_path pair[] = { lab_path("ec", ".pem"), lab_path("ec", ".key") };
	struct lab_path missing = lab_path("missing", ".pem"),
			none = lab_path("none", ".pem");
	struct tls_settings s = lab_settings(pair, 1);
	struct lab_faults faults = { 0 };
	const struct tls_report report = { .ctx = &faults, .fault = lab_hear };
	struct tls_credentials *credentials;

	lab_write(none.text, "nothing\n", 8, 0600);
	s.client_ca = missing.text;
	CHECK(lab_api->check(&s, &report) == 1);
	CHECK(strstr(faults.text[0], "tls-client-ca") &&
		strstr(faults.text[0], "No such"));
	s.client_ca = none.text;
	faults.n = 0;
	REQUIRE(lab_api->load(&s, &report, &credentials) == 0); /* mail is not lost */
	CHECK(faults.n == 1 && strstr(faults.text[0], "holds no certificate"));
	lab_api->unload(credentials);
}

static void name(gnutls_x509_crt_t crt, gnutls_x509_subject_alt_name_t type,
	const char *text, size_t n)
{
	gnutls_x509_crt_set_subject_alt_name(
		crt, type, text, (unsigned)n, GNUTLS_FSAN_APPEND);
}

/* Signs what lab_make() has made, for a purpose, with "ca" or the key of another. */
static void sign(const char *who, const char *purpose, const char *signer,
	void (*names)(gnutls_x509_crt_t))
{
	gnutls_x509_crt_t crt, ca, other;
	gnutls_x509_privkey_t key, ca_key, signing_key;

	lab_read(who, &crt, &key);
	lab_read("ca", &ca, &ca_key);
	lab_read(signer, &other, &signing_key);
	gnutls_x509_crt_set_key_purpose_oid(crt, purpose, 0);
	if (names)
		names(crt);
	REQUIRE(gnutls_x509_crt_sign2(crt, ca, signing_key, GNUTLS_DIG_SHA256, 0) == 0);
	lab_export(crt, key, who);
	gnutls_x509_crt_deinit(crt);
	gnutls_x509_crt_deinit(ca);
	gnutls_x509_crt_deinit(other);
	gnutls_x509_privkey_deinit(key);
	gnutls_x509_privkey_deinit(ca_key);
	gnutls_x509_privkey_deinit(signing_key);
}

static void names_of_device(gnutls_x509_crt_t crt)
{
	name(crt, GNUTLS_SAN_URI, "https://example.org/", 20);
	name(crt, GNUTLS_SAN_DNSNAME, "printer.example.org", 19);
	name(crt, GNUTLS_SAN_RFC822NAME, "printer@example.org", 19);
}

static void odd_names(gnutls_x509_crt_t crt)
{
	name(crt, GNUTLS_SAN_RFC822NAME, "two words@example.org", 21);
	name(crt, GNUTLS_SAN_RFC822NAME, "root\0@example.org", 17);
	name(crt, GNUTLS_SAN_DNSNAME, "plain.example.org", 17);
}

static void make_authority(void)
{
	gnutls_x509_crt_t crt;
	gnutls_x509_privkey_t key;

	lab_make(&(struct lab_certificate){ "ca", GNUTLS_PK_ECDSA, { 0 }, -DAY, DAY });
	lab_read("ca", &crt, &key);
	gnutls_x509_crt_set_basic_constraints(crt, 1, -1);
	gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_KEY_CERT_SIGN);
	REQUIRE(gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0) == 0);
	lab_export(crt, key, "ca");
	gnutls_x509_crt_deinit(crt);
	gnutls_x509_privkey_deinit(key);
}

static void make_files(void)
{
	static const struct lab_certificate certificates[] = {
		{ "ec", GNUTLS_PK_ECDSA, { "mail.example" }, -DAY, DAY },
		{ "stranger", GNUTLS_PK_ECDSA, { "stranger.example" }, -DAY, DAY },
		{ "device", GNUTLS_PK_ECDSA, { 0 }, -DAY, DAY },
		{ "expired", GNUTLS_PK_ECDSA, { 0 }, -2 * DAY, -DAY },
		{ "early", GNUTLS_PK_ECDSA, { 0 }, DAY, 2 * DAY },
		{ "server", GNUTLS_PK_ECDSA, { 0 }, -DAY, DAY },
		{ "forged", GNUTLS_PK_ECDSA, { 0 }, -DAY, DAY },
		{ "odd", GNUTLS_PK_ECDSA, { 0 }, -DAY, DAY },
		{ TWO_LINES, GNUTLS_PK_ECDSA, { 0 }, -DAY, DAY },
	};

	make_authority();
	for (size_t i = 0; i < TEST_COUNT(certificates); i++)
		lab_make(&certificates[i]);
	sign("device", GNUTLS_KP_TLS_WWW_CLIENT, "ca", names_of_device);
	sign("expired", GNUTLS_KP_TLS_WWW_CLIENT, "ca", NULL);
	sign("early", GNUTLS_KP_TLS_WWW_CLIENT, "ca", NULL);
	sign("server", GNUTLS_KP_TLS_WWW_SERVER, "ca", NULL);
	sign("forged", GNUTLS_KP_TLS_WWW_CLIENT, "stranger", NULL);
	sign("odd", GNUTLS_KP_TLS_WWW_CLIENT, "ca", odd_names);
	sign(TWO_LINES, GNUTLS_KP_TLS_WWW_CLIENT, "ca", NULL);
}

int main(int argc, char *argv[])
{
	static const struct test tests[] = {
		TEST(test_names_and_fingerprint_of_a_trusted_one),
		TEST(test_what_is_not_trusted_breaks_nothing),
		TEST(test_a_listed_certificate_is_its_own_authority),
		TEST(test_a_client_without_one_is_welcome),
		TEST(test_nobody_is_asked_without_authorities),
		TEST(test_names_that_are_not_plain_are_left_out),
		TEST(test_the_binding_is_the_clients_too),
		TEST(test_authorities_that_cannot_be_read_are_told),
	};
	int r;

	lab_open(argc, argv);
	make_files();
	r = test_main(tests, TEST_COUNT(tests));
	lab_close();
	return r;
}
