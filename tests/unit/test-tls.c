/* SPDX-License-Identifier: ISC */
/*
 * The certificate that the module tls.so chooses, the values that it negotiates and records, and the facts when
 * nothing can be negotiated.
 */
#include "proto/tls-names.h"
#include "unit/tls-lab-server.h"

#define TLS_1_1 "NORMAL:-VERS-ALL:+VERS-TLS1.1:+VERS-TLS1.0"

static void test_facts_name_what_was_negotiated(void)
{
	static const struct {
		const char *client;
		const char *server;
		const char *version;
		const char *cipher;
		const char *group;
	} cases[] = {
		{ TLS_1_3 ":-CIPHER-ALL:+AES-256-GCM:-GROUP-ALL:+GROUP-X25519", NULL,
			"TLS1.3", "TLS_AES_256_GCM_SHA384", "x25519" },
		{ TLS_1_3 ":-CIPHER-ALL:+CHACHA20-POLY1305:-GROUP-ALL:+GROUP-SECP384R1",
			NULL, "TLS1.3", "TLS_CHACHA20_POLY1305_SHA256", "secp384r1" },
		{ TLS_1_3 ":-CIPHER-ALL:+AES-128-GCM:-GROUP-ALL:+GROUP-FFDHE2048", NULL,
			"TLS1.3", "TLS_AES_128_GCM_SHA256", "ffdhe2048" },
		/* The first key share does not fit: a hello retry request. */
		{ TLS_1_3 ":-CIPHER-ALL:+AES-128-GCM",
			TLS_PRIORITY_DEFAULT ":-GROUP-ALL:+GROUP-SECP521R1", "TLS1.3",
			"TLS_AES_128_GCM_SHA256", "secp521r1" },
		{ TLS_1_2 ":-CIPHER-ALL:+AES-128-GCM:-GROUP-ALL:+GROUP-SECP256R1", NULL,
			"TLS1.2", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
			"secp256r1" },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct plan plan = plain_plan;
		struct client c;
		struct outcome o;

		plan.priority = cases[i].server;
		c = meet(&plan, &(struct offer){ .priority = cases[i].client });
		CHECK(c.handshake == 0);
		goodbye(&c);
		o = part(&c);
		CHECK(o.accept == 0);
		CHECK_SPAN(span_of(o.facts.version), cases[i].version);
		CHECK_SPAN(span_of(o.facts.cipher), cases[i].cipher);
		CHECK_SPAN(span_of(o.facts.group), cases[i].group);
		CHECK_SPAN(span_of(o.facts.sni), "");
		CHECK_SPAN(span_of(o.facts.alpn), "");
		CHECK(!o.facts.resumed);
	}
}

static void test_rsa_key_exchange_has_no_group(void)
{
	struct plan plan = plain_plan;
	struct client c;
	struct outcome o;

	plan.pairs[0] = "rsa";
	c = meet(&plan, &(struct offer){ .priority = TLS_1_2 ":-KX-ALL:+RSA" });
	CHECK(c.handshake == 0);
	o = part(&c);
	CHECK_SPAN(span_of(o.facts.group), "");
}

#define ONLY_RSA ":-SIGN-ALL:+SIGN-RSA-SHA256:+SIGN-RSA-PSS-RSAE-SHA256"
#define RSA_SUITES ":-KX-ALL:+ECDHE-RSA"

static void test_the_name_and_the_kind_of_key_choose_the_certificate(void)
{
	static const struct {
		const char *pairs[4];
		const char *client;
		const char *sni;
		const char *shown;
	} cases[] = {
		/* one host, two kinds */
		{ { "ec", "rsa" }, TLS_1_3, NULL, "ec" },
		{ { "ec", "rsa" }, TLS_1_3, "mail.example", "ec" },
		{ { "ec", "rsa" }, TLS_1_2, "mail.example", "ec" },
		{ { "ec", "rsa" }, TLS_1_3 ONLY_RSA, "mail.example", "rsa" },
		{ { "ec", "rsa" }, TLS_1_3 ONLY_RSA, NULL, "rsa" },
		{ { "ec", "rsa" }, TLS_1_2 ONLY_RSA, "mail.example", "rsa" },
		{ { "ec", "rsa" }, TLS_1_2 ONLY_RSA, NULL, "rsa" },
		/* signatures of both kinds, but only suites for RSA */
		{ { "ec", "rsa" }, TLS_1_2 RSA_SUITES, "mail.example", "rsa" },
		/* several hosts */
		{ { "ec", "b-ec", "b-rsa" }, TLS_1_3, "b.example", "b-ec" },
		{ { "ec", "b-ec", "b-rsa" }, TLS_1_3, "B.EXAMPLE", "b-ec" },
		{ { "ec", "b-ec", "b-rsa" }, TLS_1_2, "b.example", "b-ec" },
		{ { "ec", "b-ec", "b-rsa" }, TLS_1_2 ONLY_RSA, "b.example", "b-rsa" },
		{ { "ec", "b-ec", "b-rsa" }, TLS_1_3, "www.b.example", "b-ec" },
		{ { "ec", "b-ec", "b-rsa" }, TLS_1_3, "a.www.b.example", "ec" },
		/* an unknown name, or none: the first certificate, regardless of the client's preference */
		{ { "ec", "b-ec", "b-rsa" }, TLS_1_3, "c.example", "ec" },
		{ { "ec", "b-ec", "b-rsa" }, TLS_1_2, NULL, "ec" },
		{ { "rsa", "b-ec" }, TLS_1_2, NULL, "rsa" },
		{ { "rsa", "b-ec" }, TLS_1_2, "c.example", "rsa" },
		{ { "rsa", "b-ec" }, TLS_1_3, "c.example", "rsa" },
		/*
		 * GnuTLS by itself shows ec here: it takes the first suite that has any
		 * certificate
		 */
		{ { "ec", "b-rsa" }, TLS_1_2, "b.example", "b-rsa" },
		{ { "b-rsa", "ec" }, TLS_1_2, "b.example", "b-rsa" },
		/* a broken pair does not stand in the way */
		{ { "absent", "ec", "b-rsa" }, TLS_1_2, "b.example", "b-rsa" },
		{ { "absent", "ec", "b-rsa" }, TLS_1_3, "c.example", "ec" },
		/*
		 * the default may have a wildcard, even one that is too wide to be
		 * honoured
		 */
		{ { "wild", "b-ec", "wild-rsa" }, TLS_1_3 ONLY_RSA, NULL, "wild-rsa" },
		{ { "wide", "b-ec" }, TLS_1_3, NULL, "wide" },
		/* there is no certificate of the kind that the client requires */
		{ { "wild", "rsa" }, TLS_1_3 ONLY_RSA, "x.mail.example", NULL },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct plan plan = plain_plan;
		struct client c;

		memcpy(plan.pairs, cases[i].pairs, sizeof(plan.pairs));
		c = meet(&plan, &(struct offer){ cases[i].client, cases[i].sni, NULL,
					NULL, NULL });
		CHECK((c.handshake == 0) == (cases[i].shown != NULL));
		if (cases[i].shown && !CHECK(strcmp(c.shown, cases[i].shown) == 0))
			fprintf(stderr, "\trow %zu: got %s, want %s\n", i, c.shown,
				cases[i].shown);
		part(&c);
	}
}

static void test_only_what_belongs_to_the_chain_is_sent(void)
{
	struct plan plan = plain_plan;
	struct client c;
	unsigned int n = 0;

	plan.pairs[0] = "crowd";
	c = meet(&plan, &(struct offer){ .priority = TLS_1_3 });
	gnutls_certificate_get_peers(c.tls, &n);
	CHECK(n == 1);
	CHECK(strcmp(c.shown, "ec") == 0);
	part(&c);
}

/* The hello comes twice then, and so does the choice. */
static void test_a_retry_request_keeps_the_name(void)
{
	const struct plan plan = { .pairs = { "ec", "b-ec", "b-rsa" },
		.priority = TLS_PRIORITY_DEFAULT ":-GROUP-ALL:+GROUP-SECP521R1",
		.serve = serve_to_the_end };
	struct client c =
		meet(&plan, &(struct offer){ TLS_1_3, "b.example", NULL, NULL, NULL });
	struct outcome o;

	CHECK(strcmp(c.shown, "b-ec") == 0);
	goodbye(&c);
	o = part(&c);
	CHECK_SPAN(span_of(o.facts.group), "secp521r1");
	CHECK_SPAN(span_of(o.facts.sni), "b.example");
}

static void test_names_are_recorded_when_they_are_plain(void)
{
	static const struct {
		const char *sni;
		const char *recorded;
	} cases[] = {
		{ "mail.example", "mail.example" },
		{ "MAIL.Example", "MAIL.Example" },
		{ "x-1.example.", "x-1.example." },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct client c = meet(&plain_plan,
			&(struct offer){ TLS_1_3, cases[i].sni, NULL, NULL, NULL });
		struct outcome o = part(&c);

		CHECK(o.accept == 0);
		CHECK_SPAN(span_of(o.facts.sni), cases[i].recorded);
	}
}

static void test_another_protocol_gets_no_session(void)
{
	static const struct {
		const char *alpn;
		bool good;
	} cases[] = {
		{ NULL, true },
		{ "smtp", true },
		{ "esmtp", true },
		{ "http/1.1", false },
		{ "SMTP", false },
		{ "smtp2", false },
	};
	static const char *const versions[] = { TLS_1_3, TLS_1_2 };

	for (size_t i = 0; i < 2 * TEST_COUNT(cases); i++) {
		const char *alpn = cases[i / 2].alpn;
		struct client c = meet(&plain_plan,
			&(struct offer){ versions[i % 2], NULL, alpn, NULL, NULL });
		gnutls_alert_description_t alert = gnutls_alert_get(c.tls);
		struct outcome o = part(&c);

		if (cases[i / 2].good) {
			CHECK(o.accept == 0);
			CHECK_SPAN(span_of(o.facts.alpn), alpn ? alpn : "");
		} else {
			CHECK(o.accept == -EPROTO);
			CHECK(c.handshake == GNUTLS_E_FATAL_ALERT_RECEIVED);
			CHECK(alert == GNUTLS_A_NO_APPLICATION_PROTOCOL);
		}
	}
}

/* One session that takes a ticket if there is one, and gives back the newest. */
static bool visit(const char *priority, const char *tickets, gnutls_datum_t *ticket)
{
	struct plan plan = plain_plan;
	struct client c;
	struct outcome o;
	bool resumed;

	plan.tickets = tickets;
	c = meet(&plan,
		&(struct offer){
			.priority = priority, .sni = "mail.example", .ticket = ticket });
	CHECK(c.handshake == 0);
	goodbye(&c);
	hear(&c, "bye\r\n");
	resumed = gnutls_session_is_resumed(c.tls) != 0;
	gnutls_free(ticket->data);
	ticket->data = NULL;
	if (c.handshake == 0)
		gnutls_session_get_data2(c.tls, ticket);
	o = part(&c);
	CHECK(o.accept == 0);
	CHECK(o.facts.resumed == resumed);
	CHECK_SPAN(span_of(o.facts.sni), "mail.example");
	CHECK(o.facts.cipher[0] != '\0');
	return resumed;
}

static void test_tickets_resume_from_process_to_process(void)
{
	static const char *const versions[] = { TLS_1_3, TLS_1_2 };

	for (size_t i = 0; i < TEST_COUNT(versions); i++) {
		gnutls_datum_t ticket = { NULL, 0 };

		CHECK(!visit(versions[i], "tickets-a", &ticket));
		CHECK(visit(versions[i], "tickets-a", &ticket));
		CHECK(visit(versions[i], "tickets-a", &ticket));
		/* Another key, or none, means a full handshake, not a failure. */
		CHECK(!visit(versions[i], "tickets-b", &ticket));
		CHECK(visit(versions[i], "tickets-b", &ticket));
		CHECK(!visit(versions[i], NULL, &ticket));
		CHECK(!visit(versions[i], NULL, &ticket));
		gnutls_free(ticket.data);
	}
}

/* The terms as the record has them; how they begin. */
static void check_terms(const struct tls_terms *terms, const char *begin)
{
	char text[4096];
	struct buf b = BUF(text);

	tls_terms_put(&b, terms);
	CHECK(buf_terminate(&b));
	if (!CHECK(strncmp(text, begin, strlen(begin)) == 0))
		fprintf(stderr, "\tgot:  %s\n\twant: %s\n", text, begin);
}

static void test_a_failed_handshake_says_why(void)
{
	static const struct {
		const char *client;
		gnutls_alert_description_t alert;
		const char *offered; /* how it begins */
	} cases[] = {
		{ TLS_1_1, GNUTLS_A_PROTOCOL_VERSION,
			"versions TLS1.1; suites TLS_ECDHE_ECDSA_WITH_" },
		{ TLS_1_2 ":-CIPHER-ALL:+CAMELLIA-128-GCM", GNUTLS_A_HANDSHAKE_FAILURE,
			"versions TLS1.2; suites "
			"TLS_ECDHE_ECDSA_WITH_CAMELLIA_128_GCM_SHA256 " },
		{ TLS_1_3 ONLY_RSA, GNUTLS_A_HANDSHAKE_FAILURE,
			"versions TLS1.3; suites TLS_AES_256_GCM_SHA384 " },
		{ TLS_1_3 ":-GROUP-ALL:+GROUP-SECP224R1", GNUTLS_A_HANDSHAKE_FAILURE,
			"versions TLS1.3; suites TLS_AES_256_GCM_SHA384 " },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct plan plan = plain_plan;
		struct client c;
		gnutls_alert_description_t alert;
		struct outcome o;

		c = meet(&plan, &(struct offer){ .priority = cases[i].client,
					.sni = "mail.example" });
		alert = gnutls_alert_get(c.tls);
		o = part(&c);
		CHECK(o.accept == -EPROTO);
		CHECK(c.handshake == GNUTLS_E_FATAL_ALERT_RECEIVED);
		CHECK(alert == cases[i].alert);
		CHECK(o.failure.error[0] != '\0');
		CHECK(o.failure.how == TLS_END_REFUSED);
		CHECK(o.failure.alert == (int)cases[i].alert && o.failure.alert_sent);
		CHECK(o.failure.opening.kind == TLS_OPENING_HELLO);
		CHECK_SPAN(span_of(o.failure.opening.name), "mail.example");
		CHECK(!o.failure.answered);
		check_terms(&o.failure.opening.offered, cases[i].offered);
	}
}

static void test_what_is_allowed_is_told_in_the_codes_of_the_wire(void)
{
	static const struct {
		const char *priority;
		const char *allowed;
	} cases[] = {
		{ TLS_PRIORITY_DEFAULT,
			"versions TLS1.3 TLS1.2; suites TLS_AES_128_GCM_SHA256 "
			"TLS_AES_256_GCM_SHA384 TLS_CHACHA20_POLY1305_SHA256 "
			"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 " },
		{ TLS_1_3 ":-CIPHER-ALL:+AES-128-CCM:-GROUP-ALL:+GROUP-X448"
			  ":+GROUP-FFDHE8192:-SIGN-ALL:+SIGN-ECDSA-SECP384R1-SHA384"
			  ":+SIGN-EdDSA-Ed25519",
			"versions TLS1.3; suites TLS_AES_128_CCM_SHA256; groups x448 "
			"ffdhe8192; signatures ecdsa_secp384r1_sha384 ed25519; alpn smtp "
			"esmtp" },
		{ TLS_1_2 ":-KX-ALL:+RSA:+PSK:+ANON-DH:-CIPHER-ALL:+AES-128-CBC:"
			  "-MAC-ALL:+SHA1:-GROUP-ALL:+GROUP-SECP521R1:-SIGN-ALL:"
			  "+SIGN-RSA-SHA512",
			"versions TLS1.2; suites TLS_RSA_WITH_AES_128_CBC_SHA; groups "
			"secp521r1; signatures rsa_pkcs1_sha512; alpn smtp esmtp" },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct plan plan = plain_plan;
		struct client c;
		struct outcome o;

		plan.priority = cases[i].priority;
		c = meet(&plan, &(struct offer){ .priority = TLS_1_1 });
		o = part(&c);
		CHECK(o.accept == -EPROTO);
		check_terms(&o.failure.allowed, cases[i].allowed);
	}
}

/* Everything that GnuTLS can be configured to accept must have a name here for explanations. */
static void test_every_suite_of_the_library_is_known(void)
{
	gnutls_priority_t priority;
	gnutls_kx_algorithm_t kx;
	unsigned char code[2];
	unsigned index;
	size_t n = 0;
	int r;

	REQUIRE(gnutls_priority_init(&priority,
			"NORMAL:+CIPHER-ALL:+AES-128-CCM-8:+AES-256-CCM-8:+3DES-CBC"
			":+ARCFOUR-128:+CAMELLIA-128-GCM:+CAMELLIA-256-GCM"
			":+CAMELLIA-128-CBC:+CAMELLIA-256-CBC:+NULL:+MAC-ALL:+SHA384"
			":+SHA256:+MD5:+VERS-ALL:+KX-ALL",
			NULL) >= 0);
	for (unsigned i = 0;; i++) {
		r = gnutls_priority_get_cipher_suite_index(priority, i, &index);
		if (r == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
			break;
		if (r < 0 ||
			!gnutls_cipher_suite_info(index, code, &kx, NULL, NULL, NULL))
			continue;
		if (kx != GNUTLS_KX_RSA && kx != GNUTLS_KX_DHE_RSA &&
			kx != GNUTLS_KX_ECDHE_RSA && kx != GNUTLS_KX_ECDHE_ECDSA)
			continue;
		n++;
		if (!CHECK(tls_suite_keys((uint16_t)(code[0] << 8 | code[1])) != 0))
			fprintf(stderr, "\t0x%02x%02x\n", code[0], code[1]);
	}
	CHECK(n > 40);
	gnutls_priority_deinit(priority);
}

static int distrust(gnutls_session_t session)
{
	gnutls_alert_send(session, GNUTLS_AL_FATAL, GNUTLS_A_UNKNOWN_CA);
	return GNUTLS_E_CERTIFICATE_ERROR;
}

static void test_the_clients_alert_is_recorded(void)
{
	static const char *const versions[] = { TLS_1_3, TLS_1_2 };

	for (size_t i = 0; i < TEST_COUNT(versions); i++) {
		struct client c = { 0 };
		struct outcome o;

		start_server(&plain_plan, &c);
		start_client(&(struct offer){ .priority = versions[i] }, &c);
		gnutls_certificate_set_verify_function(c.credentials, distrust);
		shake_hands(&c);
		o = part(&c);
		CHECK(o.accept == -EPROTO);
		CHECK(o.failure.how == TLS_END_ALERT);
		CHECK(o.failure.alert == GNUTLS_A_UNKNOWN_CA && !o.failure.alert_sent);
		CHECK(o.failure.answered);
		CHECK(o.failure.opening.kind == TLS_OPENING_HELLO);
	}
}

/* Many clients look at the certificate only when the server is through. */
static void test_an_alert_behind_the_handshake_is_recorded(void)
{
	static const char *const versions[] = { TLS_1_3, TLS_1_2 };

	for (size_t i = 0; i < TEST_COUNT(versions); i++) {
		struct client c =
			meet(&plain_plan, &(struct offer){ .priority = versions[i] });
		struct outcome o;

		CHECK(c.handshake == 0);
		gnutls_alert_send(c.tls, GNUTLS_AL_FATAL, GNUTLS_A_BAD_CERTIFICATE);
		o = part(&c);
		CHECK(o.accept == 0 && o.read == -EPROTO);
		CHECK(o.failure.how == TLS_END_ALERT);
		CHECK(o.failure.alert == GNUTLS_A_BAD_CERTIFICATE);
		CHECK(!o.failure.alert_sent && o.failure.answered);
		CHECK(o.failure.certificate.known && o.failure.certificate.self_signed);
	}
}

static void test_an_end_of_a_session_is_told(void)
{
	struct client c = meet(&plain_plan, &(struct offer){ .priority = TLS_1_3 });
	struct outcome o;

	goodbye(&c);
	hear(&c, "bye\r\n");
	o = part(&c);
	CHECK(o.read == 0);
	CHECK(o.failure.how == TLS_END_CLOSED);
	CHECK(o.failure.alert == GNUTLS_A_CLOSE_NOTIFY && !o.failure.alert_sent);
	CHECK_SPAN(span_of(o.failure.error), "");

	c = meet(&plain_plan, &(struct offer){ .priority = TLS_1_3 });
	shutdown(c.fd, SHUT_WR);
	o = part(&c);
	CHECK(o.read == -ECONNRESET);
	CHECK(o.failure.how == TLS_END_CLOSED);
	CHECK(o.failure.alert == TLS_NO_ALERT);
	CHECK(o.failure.error[0] != '\0');
}

/* The reasons are those of the certificate that the client got, not of another one. */
static void test_our_certificate_is_described(void)
{
	static const struct {
		const char *pairs[4];
		const char *sni;
		const char *hostname;
		struct tls_certificate certificate;
	} cases[] = {
		{ { "ec" }, "mail.example", NULL,
			{ .self_signed = true, .keys = TLS_KEY_P256 } },
		{ { "rsa" }, "mail.example", NULL,
			{ .self_signed = true, .keys = TLS_KEY_RSA } },
		{ { "ec", "rsa" }, NULL, "mail.example",
			{ .self_signed = true, .keys = TLS_KEY_RSA | TLS_KEY_P256 } },
		{ { "ec" }, "b.example", "mail.example",
			{ .self_signed = true, .misnamed = true, .keys = TLS_KEY_P256 } },
		{ { "ec" }, NULL, "b.example",
			{ .self_signed = true, .misnamed = true, .keys = TLS_KEY_P256 } },
		{ { "ec", "b-ec" }, "b.example", "mail.example",
			{ .self_signed = true, .keys = TLS_KEY_P256 } },
		{ { "expired" }, NULL, NULL,
			{ .self_signed = true, .expired = true, .keys = TLS_KEY_P256 } },
		{ { "early" }, NULL, NULL,
			{ .self_signed = true, .early = true, .keys = TLS_KEY_P256 } },
		{ { "leaf" }, NULL, NULL, { .alone = true, .keys = TLS_KEY_P256 } },
		{ { "chain" }, NULL, NULL, { .keys = TLS_KEY_P256 } },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		const struct tls_certificate *want = &cases[i].certificate, *got;
		struct plan plan = plain_plan;
		struct client c = { 0 };
		struct outcome o;

		memcpy(plan.pairs, cases[i].pairs, sizeof(plan.pairs));
		plan.hostname = cases[i].hostname;
		start_server(&plan, &c);
		start_client(
			&(struct offer){ .priority = TLS_1_3, .sni = cases[i].sni }, &c);
		gnutls_certificate_set_verify_function(c.credentials, distrust);
		shake_hands(&c);
		o = part(&c);
		got = &o.failure.certificate;
		if (!CHECK(got->known && got->expired == want->expired &&
			    got->early == want->early &&
			    got->misnamed == want->misnamed &&
			    got->self_signed == want->self_signed &&
			    got->alone == want->alone && got->keys == want->keys &&
			    got->key && (got->key & ~got->keys) == 0))
			fprintf(stderr, "\trow %zu\n", i);
		CHECK_SPAN(span_of(got->name), cases[i].sni        ? cases[i].sni
					       : cases[i].hostname ? cases[i].hostname
								   : "");
		CHECK(strlen(got->first) == 10 && strlen(got->last) == 10);
	}
}

static ssize_t pull_nothing(gnutls_transport_ptr_t ctx, void *to, size_t n)
{
	(void)ctx, (void)to, (void)n;
	errno = EAGAIN;
	return -1;
}

/*
 * The alert in the clear of OpenSSL's clients in TLS 1.3, after a real hello and its answer; no key is needed for it.
 */
static void test_an_alert_in_the_clear_is_heard(void)
{
	static const char alert[] = "\x15\x03\x03\x00\x02\x02\x2d";
	struct client c = { 0 };
	struct outcome o;
	char answer;

	start_server(&plain_plan, &c);
	start_client(&(struct offer){ .priority = TLS_1_3 }, &c);
	gnutls_handshake_set_timeout(c.tls, 0);
	gnutls_transport_set_pull_function(c.tls, pull_nothing);
	CHECK(gnutls_handshake(c.tls) == GNUTLS_E_AGAIN);
	CHECK(recv(c.fd, &answer, 1, MSG_PEEK) == 1);
	REQUIRE(write(c.fd, alert, sizeof(alert) - 1) == sizeof(alert) - 1);
	drain(&c);
	o = part(&c);
	CHECK(o.accept == -EPROTO);
	CHECK(o.failure.how == TLS_END_ALERT);
	CHECK(o.failure.alert == GNUTLS_A_CERTIFICATE_EXPIRED && !o.failure.alert_sent);
	CHECK(o.failure.answered);
}

/* A certificate that another one has signed, which follows it or not. */
static void make_signed(const char *name, bool chain)
{
	gnutls_x509_privkey_t key, issuer_key;
	gnutls_x509_crt_t crt, issuer;
	char command[4 * LAB_PATH];

	lab_read("ec", &issuer, &issuer_key);
	lab_make(&(struct lab_certificate){
		name, GNUTLS_PK_ECDSA, { "mail.example" }, -DAY, DAY });
	lab_read(name, &crt, &key);
	REQUIRE(gnutls_x509_crt_sign2(crt, issuer, issuer_key, GNUTLS_DIG_SHA256, 0) ==
		0);
	lab_export(crt, key, name);
	gnutls_x509_crt_deinit(issuer);
	gnutls_x509_crt_deinit(crt);
	gnutls_x509_privkey_deinit(issuer_key);
	gnutls_x509_privkey_deinit(key);
	snprintf(command, sizeof(command), "cd %s && cat ec.pem >>%s.pem", lab_dir, name);
	REQUIRE(!chain || system(command) == 0);
}

static void make_files(void)
{
	static const struct lab_certificate certificates[] = {
		{ "ec", GNUTLS_PK_ECDSA, { "mail.example" }, -DAY, DAY },
		{ "rsa", GNUTLS_PK_RSA, { "mail.example" }, -DAY, DAY },
		{ "b-ec", GNUTLS_PK_ECDSA, { "b.example", "*.b.example" }, -DAY, DAY },
		{ "b-rsa", GNUTLS_PK_RSA, { "*.b.example", "b.example" }, -DAY, DAY },
		{ "wild", GNUTLS_PK_ECDSA, { "*.mail.example" }, -DAY, DAY },
		{ "wild-rsa", GNUTLS_PK_RSA, { "*.mail.example" }, -DAY, DAY },
		{ "wide", GNUTLS_PK_ECDSA, { "*.example" }, -DAY, DAY },
		{ "expired", GNUTLS_PK_ECDSA, { "mail.example" }, -2 * DAY, -DAY },
		{ "early", GNUTLS_PK_ECDSA, { "mail.example" }, DAY, 2 * DAY },
	};
	char command[4 * LAB_PATH];
	char key[TLS_TICKET_KEY];

	for (size_t i = 0; i < TEST_COUNT(certificates); i++)
		lab_make(&certificates[i]);
	snprintf(command, sizeof(command),
		"cd %s && cat ec.pem rsa.pem b-ec.pem >crowd.pem && ln ec.key crowd.key",
		lab_dir);
	REQUIRE(system(command) == 0);
	make_signed("leaf", false);
	make_signed("chain", true);
	memset(key, 'a', sizeof(key));
	lab_write(lab_path("tickets-a", "").text, key, sizeof(key), 0600);
	memset(key, 'b', sizeof(key));
	lab_write(lab_path("tickets-b", "").text, key, sizeof(key), 0600);
}

int main(int argc, char *argv[])
{
	static const struct test tests[] = {
		TEST(test_facts_name_what_was_negotiated),
		TEST(test_rsa_key_exchange_has_no_group),
		TEST(test_the_name_and_the_kind_of_key_choose_the_certificate),
		TEST(test_only_what_belongs_to_the_chain_is_sent),
		TEST(test_a_retry_request_keeps_the_name),
		TEST(test_names_are_recorded_when_they_are_plain),
		TEST(test_another_protocol_gets_no_session),
		TEST(test_tickets_resume_from_process_to_process),
		TEST(test_a_failed_handshake_says_why),
		TEST(test_what_is_allowed_is_told_in_the_codes_of_the_wire),
		TEST(test_every_suite_of_the_library_is_known),
		TEST(test_the_clients_alert_is_recorded),
		TEST(test_an_alert_behind_the_handshake_is_recorded),
		TEST(test_an_end_of_a_session_is_told),
		TEST(test_our_certificate_is_described),
		TEST(test_an_alert_in_the_clear_is_heard),
	};
	int r;

	lab_open(argc, argv);
	make_files();
	r = test_main(tests, TEST_COUNT(tests));
	lab_close();
	return r;
}
