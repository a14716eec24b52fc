/* SPDX-License-Identifier: ISC */
/*
 * smtp/explain, cause, negotiation: the same facts give the same sentence; more specific facts come first; values of
 * a client are always within the limits of the sentence.
 */
#include "smtp/explain.h"

#include "proto/tls-names.h"
#include "smtp/session.h"
#include "unit/test.h"

#define LIST(...)                                                                        \
	{                                                                                \
		{ __VA_ARGS__ }, sizeof((uint16_t[]){ __VA_ARGS__ }) / sizeof(uint16_t), \
			false                                                            \
	}

#define V1_0 0x0301
#define V1_1 0x0302
#define V1_2 0x0303
#define V1_3 0x0304
#define AES_1_3 0x1301
#define CCM_1_3 0x1304
#define RSA_RC4 0x0005
#define RSA_AES 0x002f
#define DHE_RSA 0x009e
#define ECDHE_RSA 0xc02f
#define ECDHE_ECDSA 0xc02b
#define DH_ANON 0x00a6
#define ECDH_ANON 0xc018
#define P256 0x0017
#define X25519 0x001d
#define X448 0x001e
#define FFDHE 0x0100
#define FFDHE8192 0x0104
#define SIGN_EC256 0x0403
#define SIGN_EC384 0x0503
#define SIGN_EC521 0x0603
#define SIGN_ED 0x0807
#define SIGN_RSA 0x0401
#define SIGN_PSS 0x0804

/* The terms of a usual host. */
#define HOST HOST_OF(V1_3, V1_2)
#define HOST_OF(...)                                                                     \
	{                                                                                \
		.versions = LIST(__VA_ARGS__),                                           \
		.suites = LIST(AES_1_3, ECDHE_ECDSA, ECDHE_RSA, RSA_AES, DHE_RSA),       \
		.groups = LIST(X25519, P256, FFDHE),                                     \
		.signatures = LIST(SIGN_EC256, SIGN_EC384, SIGN_RSA, SIGN_PSS),          \
	}

struct row {
	enum session_end end;
	enum tls_mode tls;
	bool secured, rejected, unusable;
	const char *helo;
	const char *fault;
	const struct tls_failure *failure;
	const char *sentence;
};

static struct session *session_of(const struct row *row)
{
	static struct session_settings settings;
	static struct session s;

	memset(&s, 0, sizeof(s));
	settings.tls = row->tls;
	s.settings = &settings;
	s.end = row->end;
	s.secured = row->secured;
	s.rejected = row->rejected;
	s.tls_unusable = row->unusable;
	if (row->helo)
		strcpy(s.helo, row->helo);
	if (row->fault)
		session_tls_fault(&s, row->fault);
	return &s;
}

static bool check_row(const struct row *row)
{
	char text[EXPLANATION_MAX];
	struct buf b = BUF(text);

	explain(session_of(row), row->failure, &b);
	CHECK(!b.overflow);
	return CHECK_SPAN(buf_span(&b), row->sentence);
}

#define FAULT                                                                            \
	"tls-key /etc/postern/tls.key: is the key of another certificate than "          \
	"/etc/postern/tls.crt"

static const struct row clear_rows[] = {
	{ .end = END_QUIT, .tls = TLS_ON, .helo = "x", .sentence = "" },
	{ .end = END_EOF, .tls = TLS_ON, .sentence = "" },
	{ .end = END_QUIT, .tls = TLS_ON, .secured = true, .helo = "x", .sentence = "" },
	{ .end = END_QUIT,
		.tls = TLS_ON,
		.secured = true,
		.helo = "x",
		.fault = FAULT,
		.sentence = "" },
	{ .end = END_BROKEN,
		.tls = TLS_ON,
		.secured = true,
		.helo = "x",
		.sentence = "" },
	{ .end = END_FOREIGN_TLS,
		.tls = TLS_ON,
		.sentence = "client began TLS where SMTP begins in the clear: set the "
			    "client to "
			    "STARTTLS, or give it a port with tls = implicit" },
	{ .end = END_FOREIGN_TLS,
		.tls = TLS_REQUIRED,
		.rejected = true,
		.sentence = "client began TLS where SMTP begins in the clear: set the "
			    "client to "
			    "STARTTLS, or give it a port with tls = implicit" },
	{ .end = END_FOREIGN_TLS,
		.tls = TLS_OFF,
		.sentence =
			"client began TLS, which is off here (tls): set the client to no "
			"encryption, or turn TLS on" },
	{ .end = END_FOREIGN_TLS,
		.tls = TLS_ON,
		.secured = true,
		.sentence = "client began TLS a second time, inside TLS" },
	{ .end = END_FOREIGN_TLS,
		.tls = TLS_ON,
		.unusable = true,
		.fault = FAULT,
		.sentence = "TLS was refused because of a fault of this host: " FAULT },
	{ .end = END_FOREIGN_HTTP,
		.tls = TLS_ON,
		.sentence = "client sent an HTTP request to a mail port: a browser, a "
			    "scanner, "
			    "or a wrong port number" },
	{ .end = END_REJECTED,
		.tls = TLS_REQUIRED,
		.rejected = true,
		.sentence = "client continued without TLS, which is required here (tls): "
			    "turn on "
			    "STARTTLS at the client" },
	/* it gave up by itself after the 530 */
	{ .end = END_QUIT,
		.tls = TLS_REQUIRED,
		.rejected = true,
		.helo = "x",
		.sentence = "client continued without TLS, which is required here (tls): "
			    "turn on "
			    "STARTTLS at the client" },
	/* or came to its senses */
	{ .end = END_QUIT,
		.tls = TLS_REQUIRED,
		.rejected = true,
		.secured = true,
		.helo = "x",
		.sentence = "" },
	{ .end = END_TLS_INJECTION,
		.tls = TLS_ON,
		.sentence = "client sent more after STARTTLS without waiting for the "
			    "reply: a "
			    "fault "
			    "of the client, or a host in between adds commands" },
	{ .end = END_TLS_UNUSABLE,
		.tls = TLS_REQUIRED,
		.fault = FAULT,
		.sentence = "TLS was refused because of a fault of this host: " FAULT },
	{ .end = END_QUIT,
		.tls = TLS_ON,
		.unusable = true,
		.helo = "x",
		.fault = FAULT,
		.sentence = "TLS was refused because of a fault of this host: " FAULT },
	{ .end = END_QUIT,
		.tls = TLS_ON,
		.secured = true,
		.sentence =
			"client left right after the handshake: it only checked, or does "
			"not accept this host's certificate" },
	{ .end = END_TIMEOUT, .tls = TLS_ON, .secured = true, .sentence = "" },
};

static void test_sessions_in_the_clear(void)
{
	for (size_t i = 0; i < TEST_COUNT(clear_rows); i++)
		check_row(&clear_rows[i]);
}

/* One failure a row, of a host with STARTTLS unless `implicit`. */
struct failed_row {
	struct tls_failure failure;
	bool implicit;
	const char *sentence;
};

static struct row row_of(const struct failed_row *f)
{
	return (struct row){
		.end = END_TLS_FAILED,
		.tls = f->implicit ? TLS_IMPLICIT : TLS_ON,
		.failure = &f->failure,
		.sentence = f->sentence,
	};
}

#define REFUSED(number) .how = TLS_END_REFUSED, .alert = (number), .alert_sent = true
#define HELLO .opening.kind = TLS_OPENING_HELLO, .opening.alert = TLS_NO_ALERT
#define OF(kind_) .opening.kind = TLS_OPENING_##kind_, .opening.alert = TLS_NO_ALERT
#define EC .certificate = { .keys = TLS_KEY_P256, .key = TLS_KEY_P256 }
#define RSA .certificate = { .keys = TLS_KEY_RSA }
#define OFFERED .opening.offered

static const struct failed_row refused_rows[] = {
	/* versions */
	{ { REFUSED(70), HELLO, .opening.or_older = true, OFFERED.versions = LIST(V1_0),
		  .allowed = HOST, RSA },
		false,
		"client offers only TLS 1.0; this host requires TLS 1.2 (tls-priority)" },
	{ { REFUSED(70), HELLO, .opening.or_older = true, OFFERED.versions = LIST(V1_1),
		  .allowed = HOST, RSA },
		false,
		"client offers only TLS 1.1 or older; this host requires TLS 1.2 "
		"(tls-priority)" },
	{ { REFUSED(70), HELLO, OFFERED.versions = LIST(V1_1, V1_0), .allowed = HOST,
		  RSA },
		false,
		"client offers only TLS 1.1 or older; this host requires TLS 1.2 "
		"(tls-priority)" },
	{ { REFUSED(70), HELLO, .opening.or_older = true, OFFERED.versions = LIST(0x0300),
		  .allowed = HOST, RSA },
		false,
		"client offers only SSL 3.0; this host requires TLS 1.2 (tls-priority)" },
	{ { REFUSED(70), HELLO, .opening.or_older = true, OFFERED.versions = LIST(0x0002),
		  .allowed = HOST, RSA },
		true,
		"client offers only SSL 2.0; this host requires TLS 1.2 (tls-priority)" },
	{ { REFUSED(40), HELLO, OFFERED.versions = LIST(V1_3),
		  .allowed.versions = LIST(V1_2), RSA },
		false,
		"client offers only TLS 1.3; this host allows only TLS 1.2 "
		"(tls-priority)" },
	{ { REFUSED(40), HELLO, OFFERED.versions = LIST(V1_3, V1_1),
		  .allowed.versions = LIST(V1_2, V1_0), RSA },
		false,
		"client offers only TLS 1.3 or older; this host allows only TLS 1.2 or "
		"older "
		"(tls-priority)" },
	{ { REFUSED(86), HELLO, .opening.or_older = true, .opening.fallback = true,
		  OFFERED.versions = LIST(V1_2), .allowed = HOST, RSA },
		false,
		"client fell back to TLS 1.2 or older after a first try had failed, and "
		"this "
		"host supports TLS 1.3: see why the first one failed" },
	/* suites */
	{ { REFUSED(40), HELLO, .opening.or_older = true, OFFERED.versions = LIST(V1_2),
		  OFFERED.suites = LIST(RSA_RC4), .allowed = HOST, RSA },
		false,
		"client offers for TLS 1.2 only cipher suites that this host does not "
		"allow: "
		"TLS_RSA_WITH_RC4_128_SHA (tls-priority)" },
	{ { REFUSED(40), HELLO, .opening.or_older = true, OFFERED.versions = LIST(V1_2),
		  OFFERED.suites = LIST(RSA_RC4, 0x0004, 0x000a, 0x0009), .allowed = HOST,
		  RSA },
		false,
		"client offers for TLS 1.2 only cipher suites that this host does not "
		"allow: "
		"TLS_RSA_WITH_RC4_128_SHA, TLS_RSA_WITH_RC4_128_MD5 and 2 more "
		"(tls-priority)" },
	{ { REFUSED(40), HELLO, .opening.or_older = true, OFFERED.versions = LIST(V1_2),
		  OFFERED.suites = LIST(0x009c), .allowed = HOST, .agent = true, RSA },
		false,
		"client offers for TLS 1.2 only key exchange by RSA, which a key agent "
		"does not support (tls-key-agent, or tls-key)" },
	{ { REFUSED(40), HELLO, .opening.or_older = true, OFFERED.versions = LIST(V1_2),
		  OFFERED.suites = LIST(DH_ANON), .allowed = HOST, .agent = true, RSA },
		false,
		"client offers for TLS 1.2 only anonymous Diffie-Hellman, without a "
		"certificate: set the client to check certificates, or at least to use "
		"them" },
	/* those of TLS 1.2 do not count in TLS 1.3, nor the other way round */
	{ { REFUSED(40), HELLO, OFFERED.versions = LIST(V1_3, V1_2),
		  OFFERED.suites = LIST(CCM_1_3, ECDHE_RSA), .allowed = HOST, RSA },
		false,
		"client offers for TLS 1.3 only cipher suites that this host does not "
		"allow: TLS_AES_128_CCM_SHA256 (tls-priority)" },
	{ { REFUSED(40), HELLO, OFFERED.versions = LIST(V1_3, V1_2),
		  OFFERED.suites = LIST(CCM_1_3, RSA_RC4), .allowed = HOST_OF(V1_2),
		  RSA },
		false,
		"client offers for TLS 1.2 only cipher suites that this host does not "
		"allow: TLS_RSA_WITH_RC4_128_SHA (tls-priority)" },
	/* an allowed suite of TLS 1.3 cannot be used in TLS 1.2 */
	{ { REFUSED(40), HELLO, OFFERED.versions = LIST(V1_3, V1_2),
		  OFFERED.suites = LIST(AES_1_3, DH_ANON, ECDH_ANON),
		  .allowed = HOST_OF(V1_2), RSA },
		false,
		"client offers for TLS 1.2 only anonymous Diffie-Hellman, without a "
		"certificate: set the client to check certificates, or at least to use "
		"them" },
	{ { REFUSED(40), HELLO, .opening.or_older = true, OFFERED.versions = LIST(V1_2),
		  OFFERED.suites = LIST(DH_ANON, RSA_RC4), .allowed = HOST, RSA },
		false,
		"client offers for TLS 1.2 only cipher suites that this host does not "
		"allow: TLS_DH_anon_WITH_AES_128_GCM_SHA256, TLS_RSA_WITH_RC4_128_SHA "
		"(tls-priority)" },
	{ { REFUSED(40), HELLO, .opening.or_older = true, OFFERED.versions = LIST(V1_2),
		  OFFERED.suites = LIST(AES_1_3), .allowed = HOST, RSA },
		false,
		"client offers no cipher suite of TLS 1.2, the newest version that both "
		"allow (tls-priority, or a fault of the client)" },
	/* AEAD came with TLS 1.2 */
	{ { REFUSED(40), HELLO, .opening.or_older = true, OFFERED.versions = LIST(V1_2),
		  OFFERED.suites = LIST(ECDHE_RSA), .allowed = HOST_OF(V1_0), RSA },
		false,
		"client offers no cipher suite of TLS 1.0, the newest version that both "
		"allow (tls-priority, or a fault of the client)" },
	/* keys */
	{ { REFUSED(40), HELLO, .opening.or_older = true, OFFERED.versions = LIST(V1_2),
		  OFFERED.suites = LIST(RSA_RC4, ECDHE_RSA), .allowed = HOST, EC },
		false,
		"client accepts only an RSA certificate; this host has only ECDSA (add a "
		"pair "
		"to tls-certificate and tls-key)" },
	{ { REFUSED(40), HELLO, .opening.or_older = true, OFFERED.versions = LIST(V1_2),
		  OFFERED.suites = LIST(ECDHE_ECDSA), .allowed = HOST, RSA },
		false,
		"client accepts only an ECDSA certificate; this host has only RSA (add a "
		"pair "
		"to tls-certificate and tls-key)" },
	{ { REFUSED(40), HELLO, OFFERED.versions = LIST(V1_3, V1_2),
		  OFFERED.suites = LIST(AES_1_3, ECDHE_ECDSA), .allowed = HOST_OF(V1_2),
		  RSA },
		false,
		"client accepts only an ECDSA certificate; this host has only RSA (add a "
		"pair "
		"to tls-certificate and tls-key)" },
	/* signatures that are of no use for any of its suites */
	{ { REFUSED(40), HELLO, .opening.or_older = true, OFFERED.versions = LIST(V1_2),
		  OFFERED.suites = LIST(ECDHE_ECDSA), OFFERED.signatures = LIST(SIGN_PSS),
		  .allowed = HOST, RSA },
		false,
		"client accepts only an ECDSA certificate; this host has only RSA (add a "
		"pair "
		"to tls-certificate and tls-key)" },
	{ { REFUSED(40), HELLO, OFFERED.versions = LIST(V1_3),
		  OFFERED.suites = LIST(AES_1_3), OFFERED.groups = LIST(X25519),
		  OFFERED.signatures = LIST(SIGN_PSS), .allowed = HOST, EC },
		false,
		"client accepts only an RSA certificate; this host has only ECDSA (add a "
		"pair "
		"to tls-certificate and tls-key)" },
	{ { REFUSED(40), HELLO, OFFERED.versions = LIST(V1_3),
		  OFFERED.suites = LIST(AES_1_3), OFFERED.groups = LIST(X25519),
		  OFFERED.signatures = LIST(SIGN_ED),
		  .allowed = { .versions = LIST(V1_3),
			  .suites = LIST(AES_1_3),
			  .signatures = LIST(SIGN_EC256, SIGN_ED) },
		  .certificate.keys = TLS_KEY_RSA | TLS_KEY_ECDSA },
		false,
		"client accepts only an EdDSA certificate; this host has only RSA or "
		"ECDSA (add "
		"a pair to tls-certificate and tls-key)" },
	{ { REFUSED(40), HELLO, .opening.or_older = true, OFFERED.versions = LIST(V1_2),
		  OFFERED.suites = LIST(ECDHE_ECDSA, ECDHE_RSA),
		  OFFERED.signatures = LIST(SIGN_RSA), .allowed = HOST, EC },
		false,
		"client accepts only an RSA certificate; this host has only ECDSA (add a "
		"pair "
		"to tls-certificate and tls-key)" },
	/* groups */
	{ { REFUSED(40), HELLO, OFFERED.versions = LIST(V1_3),
		  OFFERED.suites = LIST(AES_1_3), OFFERED.groups = LIST(X448),
		  OFFERED.signatures = LIST(SIGN_EC256), .allowed = HOST, EC },
		false,
		"client offers only the groups x448; this host allows x25519, secp256r1, "
		"ffdhe2048 (tls-priority)" },
	{ { REFUSED(40), HELLO, .opening.or_older = true, OFFERED.versions = LIST(V1_2),
		  OFFERED.suites = LIST(ECDHE_RSA, DHE_RSA),
		  OFFERED.groups = LIST(X448, 1, 2, 3), .allowed = HOST, RSA },
		false,
		"client offers only the groups x448, 0x0001, 0x0002 and 1 more; this "
		"host "
		"allows x25519, secp256r1, ffdhe2048 (tls-priority)" },
	{ { REFUSED(40), HELLO, .opening.or_older = true, OFFERED.versions = LIST(V1_2),
		  OFFERED.suites = LIST(DHE_RSA), OFFERED.groups = LIST(P256),
		  .allowed = HOST, RSA },
		false,
		"client offers only Diffie-Hellman without a group of RFC 7919, which "
		"this host "
		"does not support: turn on ECDHE at the client" },
	/* in TLS 1.2 those of the key exchange count, in TLS 1.3 all */
	{ { REFUSED(40), HELLO, .opening.or_older = true, OFFERED.versions = LIST(V1_2),
		  OFFERED.suites = LIST(ECDHE_RSA), OFFERED.groups = LIST(X448, FFDHE),
		  .allowed = HOST, RSA },
		false,
		"client offers only the groups x448; this host allows x25519, secp256r1 "
		"(tls-priority)" },
	{ { REFUSED(40), HELLO, .opening.or_older = true, OFFERED.versions = LIST(V1_2),
		  OFFERED.suites = LIST(ECDHE_RSA), OFFERED.groups = LIST(FFDHE),
		  .allowed = HOST, RSA },
		false,
		"client offers only the groups ffdhe2048; this host allows x25519, "
		"secp256r1 (tls-priority)" },
	{ { REFUSED(40), HELLO, .opening.or_older = true, OFFERED.versions = LIST(V1_2),
		  OFFERED.suites = LIST(ECDHE_ECDSA, DHE_RSA),
		  OFFERED.groups = LIST(X448, FFDHE8192), .allowed = HOST, EC },
		false,
		"client offers only the groups x448; this host allows x25519, secp256r1 "
		"(tls-priority)" },
	{ { REFUSED(40), HELLO, .opening.or_older = true, OFFERED.versions = LIST(V1_2),
		  OFFERED.suites = LIST(DHE_RSA), OFFERED.groups = LIST(P256, FFDHE8192),
		  .allowed = HOST, RSA },
		false,
		"client offers only the groups ffdhe8192; this host allows ffdhe2048 "
		"(tls-priority)" },
	{ { REFUSED(40), HELLO, OFFERED.versions = LIST(V1_3),
		  OFFERED.suites = LIST(AES_1_3), OFFERED.groups = LIST(FFDHE8192),
		  OFFERED.signatures = LIST(SIGN_EC256), .allowed = HOST, EC },
		false,
		"client offers only the groups ffdhe8192; this host allows x25519, "
		"secp256r1, ffdhe2048 (tls-priority)" },
	{ { REFUSED(40), HELLO, .opening.or_older = true, OFFERED.versions = LIST(V1_2),
		  OFFERED.suites = LIST(ECDHE_RSA), OFFERED.groups = LIST(P256),
		  .allowed = { .versions = LIST(V1_2),
			  .suites = LIST(ECDHE_RSA),
			  .groups = LIST(FFDHE) },
		  RSA },
		false,
		"client offers only the groups secp256r1; this host allows none of this "
		"kind (tls-priority)" },
	{ { REFUSED(40), HELLO, .opening.or_older = true, OFFERED.versions = LIST(V1_2),
		  OFFERED.suites = LIST(ECDHE_RSA, DHE_RSA), OFFERED.groups = LIST(P256),
		  .allowed = { .versions = LIST(V1_2),
			  .suites = LIST(DHE_RSA),
			  .groups = LIST(P256, FFDHE) },
		  RSA },
		false,
		"client and tls-priority have only Diffie-Hellman in common, without a "
		"group of RFC 7919: allow ECDHE on both sides" },
	{ { REFUSED(40), HELLO, .opening.or_older = true, OFFERED.versions = LIST(V1_2),
		  OFFERED.suites = LIST(DHE_RSA), OFFERED.groups = LIST(P256),
		  .allowed = { .versions = LIST(V1_2),
			  .suites = LIST(ECDHE_RSA, DHE_RSA),
			  .groups = LIST(FFDHE) },
		  RSA },
		false,
		"client and tls-priority have only Diffie-Hellman in common, without a "
		"group of RFC 7919: allow ECDHE on both sides" },
	/* this host's keys have no use for what tls-priority allows */
	{ { REFUSED(40), HELLO, .opening.or_older = true, OFFERED.versions = LIST(V1_2),
		  OFFERED.suites = LIST(ECDHE_ECDSA, DHE_RSA),
		  .allowed = { .versions = LIST(V1_2), .suites = LIST(DHE_RSA) }, EC },
		false,
		"of the client's cipher suites tls-priority allows only those for an RSA "
		"certificate; this host has only ECDSA (tls-priority, or "
		"tls-certificate)" },
	{ { REFUSED(40), HELLO, OFFERED.versions = LIST(V1_3),
		  OFFERED.suites = LIST(AES_1_3), OFFERED.groups = LIST(P256),
		  OFFERED.signatures = LIST(SIGN_EC256, SIGN_EC521),
		  .allowed = { .versions = LIST(V1_3),
			  .suites = LIST(AES_1_3),
			  .groups = LIST(P256),
			  .signatures = LIST(SIGN_EC521) },
		  EC },
		false,
		"tls-priority allows no signature that this host's ECDSA P-256 key can "
		"make in TLS 1.3: allow one, or add another pair to tls-certificate and "
		"tls-key" },
	{ { REFUSED(40), HELLO, .opening.or_older = true, OFFERED.versions = LIST(V1_2),
		  OFFERED.suites = LIST(ECDHE_RSA), OFFERED.groups = LIST(P256),
		  OFFERED.signatures = LIST(SIGN_RSA),
		  .allowed = { .versions = LIST(V1_2),
			  .suites = LIST(ECDHE_RSA),
			  .groups = LIST(P256),
			  .signatures = LIST(SIGN_EC256, SIGN_ED) },
		  RSA },
		false,
		"tls-priority allows no signature that this host's RSA key can make in "
		"TLS 1.2: allow one, or add another pair to tls-certificate and "
		"tls-key" },
	/* in TLS 1.2 a curve is no matter */
	{ { REFUSED(40), HELLO, .opening.or_older = true, OFFERED.versions = LIST(V1_2),
		  OFFERED.suites = LIST(ECDHE_ECDSA), OFFERED.groups = LIST(P256),
		  OFFERED.signatures = LIST(SIGN_EC521), .allowed = HOST, EC },
		false,
		"client accepts only the signatures ecdsa_secp521r1_sha512; this host "
		"allows ecdsa_secp256r1_sha256, ecdsa_secp384r1_sha384 (tls-priority)" },
	/* without a list of signatures there are but these two */
	{ { REFUSED(40), HELLO, .answered = true, .opening.or_older = true,
		  OFFERED.versions = LIST(V1_0), OFFERED.suites = LIST(0xc009, RSA_AES),
		  .allowed = { .versions = LIST(V1_0), .suites = LIST(0xc009, RSA_AES) },
		  .certificate.keys = TLS_KEY_ED25519 },
		false,
		"client accepts only an RSA or ECDSA certificate; this host has only "
		"EdDSA (add a pair to tls-certificate and tls-key)" },
	/* signatures: TLS 1.3 ties them to the curve, and has no PKCS #1 */
	{ { REFUSED(40), HELLO, OFFERED.versions = LIST(V1_3),
		  OFFERED.suites = LIST(AES_1_3), OFFERED.groups = LIST(P256),
		  OFFERED.signatures = LIST(SIGN_RSA), .allowed = HOST, EC },
		false,
		"client accepts only the signatures rsa_pkcs1_sha256, which TLS 1.3 does "
		"not have: a fault of the client" },
	{ { REFUSED(40), HELLO, OFFERED.versions = LIST(V1_3),
		  OFFERED.suites = LIST(AES_1_3), OFFERED.groups = LIST(P256),
		  OFFERED.signatures = LIST(SIGN_EC384), .allowed = HOST, EC },
		false,
		"client accepts only an ECDSA P-384 certificate; this host has only "
		"ECDSA "
		"P-256 (add a pair to tls-certificate and tls-key)" },
	{ { REFUSED(40), HELLO, OFFERED.versions = LIST(V1_3),
		  OFFERED.suites = LIST(AES_1_3), OFFERED.groups = LIST(P256),
		  OFFERED.signatures = LIST(SIGN_RSA), .allowed = HOST, RSA },
		false,
		"client accepts only the signatures rsa_pkcs1_sha256, which TLS 1.3 does "
		"not have: a fault of the client" },
	{ { REFUSED(40), HELLO, .opening.or_older = true, OFFERED.versions = LIST(V1_2),
		  OFFERED.suites = LIST(ECDHE_RSA), OFFERED.groups = LIST(P256),
		  OFFERED.signatures = LIST(0x0201, 0x0501, 0x0601), .allowed = HOST,
		  RSA },
		false,
		"client accepts only the signatures rsa_pkcs1_sha1, rsa_pkcs1_sha384 and "
		"1 more; this host allows rsa_pkcs1_sha256, rsa_pss_rsae_sha256 "
		"(tls-priority)" },
	{ { REFUSED(40), HELLO, .opening.or_older = true, OFFERED.versions = LIST(V1_2),
		  OFFERED.suites = LIST(ECDHE_ECDSA), OFFERED.groups = LIST(P256),
		  OFFERED.signatures = LIST(SIGN_RSA), .allowed = HOST, EC },
		false,
		"client accepts only the signatures rsa_pkcs1_sha256; this host allows "
		"ecdsa_secp256r1_sha256, ecdsa_secp384r1_sha384 (tls-priority)" },
	/* there seems to be all that is needed: the library had another reason */
	{ { REFUSED(40), HELLO, OFFERED.versions = LIST(V1_3),
		  OFFERED.suites = LIST(AES_1_3), OFFERED.groups = LIST(P256),
		  OFFERED.signatures = LIST(SIGN_EC256), .allowed = HOST, EC },
		false,
		"client and this host have nothing in common: compare tls_offered with "
		"tls_allowed (tls-priority)" },
	{ { REFUSED(40), HELLO, .opening.or_older = true, OFFERED.versions = LIST(V1_2),
		  OFFERED.suites = LIST(RSA_AES), OFFERED.groups = LIST(X448),
		  OFFERED.signatures = LIST(0x0201), .allowed = HOST, RSA },
		false,
		"client and this host have nothing in common: compare tls_offered with "
		"tls_allowed (tls-priority)" },
	{ { REFUSED(40), HELLO, .opening.or_older = true, OFFERED.versions = LIST(V1_2),
		  OFFERED.suites = LIST(DHE_RSA), OFFERED.groups = LIST(FFDHE),
		  .allowed = HOST, RSA },
		false,
		"client and this host have nothing in common: compare tls_offered with "
		"tls_allowed (tls-priority)" },
	/* the rest of a list that was cut is unknown */
	{ { REFUSED(40), HELLO, .opening.or_older = true, OFFERED.versions = LIST(V1_2),
		  OFFERED.suites = { { RSA_RC4 }, 1, true }, .allowed = HOST, RSA },
		false,
		"client and this host have nothing in common: compare tls_offered with "
		"tls_allowed (tls-priority)" },
	{ { REFUSED(70), HELLO, OFFERED.versions = { { V1_0 }, 1, true },
		  OFFERED.suites = LIST(RSA_RC4), .allowed = HOST, RSA },
		false,
		"client and this host have nothing in common: compare tls_offered with "
		"tls_allowed (tls-priority)" },
	{ { REFUSED(40), HELLO, .opening.or_older = true, OFFERED.versions = LIST(V1_2),
		  OFFERED.suites = LIST(RSA_RC4), OFFERED.groups = { { X448 }, 1, true },
		  .allowed = HOST, RSA },
		false,
		"client and this host have nothing in common: compare tls_offered with "
		"tls_allowed (tls-priority)" },
	{ { REFUSED(40), HELLO, .opening.or_older = true, OFFERED.versions = LIST(V1_2),
		  OFFERED.suites = LIST(RSA_RC4),
		  OFFERED.signatures = { { SIGN_ED }, 1, true }, .allowed = HOST, RSA },
		false,
		"client and this host have nothing in common: compare tls_offered with "
		"tls_allowed (tls-priority)" },
	{ { REFUSED(40), HELLO, .opening.or_older = true, OFFERED.versions = LIST(V1_2),
		  OFFERED.suites = LIST(RSA_RC4), .allowed.versions = LIST(V1_2),
		  .allowed.suites = { { RSA_AES }, 1, true }, RSA },
		false,
		"client and this host have nothing in common: compare tls_offered with "
		"tls_allowed (tls-priority)" },
	/* without a list of groups, any curve may be meant (RFC 8422 4) */
	{ { REFUSED(40), HELLO, .opening.or_older = true, OFFERED.versions = LIST(V1_2),
		  OFFERED.suites = LIST(ECDHE_RSA), .allowed = HOST, RSA },
		false,
		"client and this host have nothing in common: compare tls_offered with "
		"tls_allowed (tls-priority)" },
	/* causes that do not depend on the lists */
	{ { REFUSED(120), HELLO, OFFERED.versions = LIST(V1_3),
		  OFFERED.alpn = "h2 http/1.1", .allowed = HOST, RSA },
		false,
		"client asks for another protocol than SMTP (ALPN h2 http/1.1): a wrong "
		"port "
		"number, or a setting of the client" },
	{ { REFUSED(47), HELLO, .opening.bad_name = true,
		  .opening.odd_name = "mail_srv.example", .allowed = HOST, RSA,
		  .error = "A disallowed SNI server name has been received." },
		false,
		"client asks for the server name (SNI) mail_srv.example, which GnuTLS "
		"does not accept: it takes letters, digits, - and . alone" },
	{ { REFUSED(47), HELLO, .opening.bad_name = true, .allowed = HOST, RSA,
		  .error = "A disallowed SNI server name has been received." },
		false,
		"client asks for the server name (SNI) (empty), which GnuTLS "
		"does not accept: it takes letters, digits, - and . alone" },
	{ { REFUSED(47), HELLO, .allowed = HOST, RSA,
		  .error = "An illegal parameter has been received." },
		false,
		"client sent a TLS message that this host cannot accept: An illegal "
		"parameter "
		"has been received." },
	{ { REFUSED(47), HELLO, .answered = true, .opening.bad_name = true, RSA,
		  .error = "An illegal parameter has been received." },
		false,
		"client sent a TLS message that this host cannot accept: An illegal "
		"parameter "
		"has been received." },
	{ { REFUSED(20), HELLO, .answered = true, RSA,
		  .error = "Decryption has failed." },
		false,
		"client sent a TLS message that this host cannot accept: Decryption has "
		"failed." },
	{ { REFUSED(40), HELLO, .answered = true, OFFERED.versions = LIST(V1_0),
		  .allowed = HOST, .error = "x \"\\\n" },
		false,
		"client sent a TLS message that this host cannot accept: x "
		"\\x22\\x5C\\x0A" },
	{ { REFUSED(50), OF(TORN), .error = "x" }, false,
		"client sent a TLS message that this host cannot accept: x" },
	/* no TLS at all */
	{ { REFUSED(10), OF(HTTP), .opening.first = "GET / HTTP/1.1" }, false,
		"client sent an HTTP request where TLS should begin: a browser, a "
		"scanner, or a "
		"wrong port number" },
	{ { REFUSED(10), OF(TEXT), .opening.first = "EHLO client.example" }, false,
		"client continued in the clear after STARTTLS (EHLO client.example): a "
		"fault of "
		"the client, or of a host in between" },
	{ { REFUSED(10), OF(TEXT), .opening.first = "EHLO client.example" }, true,
		"client began in the clear (EHLO client.example) where TLS comes first "
		"(tls): "
		"set the client to TLS from the start, not STARTTLS" },
	{ { REFUSED(10), OF(OTHER), .opening.first = "\\x00\\xFF" }, true,
		"client sent something that is not TLS (\\x00\\xFF)" },
};

static void test_what_we_refused(void)
{
	for (size_t i = 0; i < TEST_COUNT(refused_rows); i++) {
		struct row row = row_of(&refused_rows[i]);

		if (!check_row(&row))
			fprintf(stderr, "\trow %zu\n", i);
	}
}

#define ALERTED(number) .how = TLS_END_ALERT, .alert = (number), .answered = true, HELLO
#define CLOSED .how = TLS_END_CLOSED, .alert = TLS_NO_ALERT
#define LATE .how = TLS_END_TIMEOUT, .alert = TLS_NO_ALERT
#define CERTIFICATE(...)                                                                 \
	.certificate = { .known = true,                                                  \
		.first = "2026-01-02",                                                   \
		.last = "2027-03-04",                                                    \
		.name = "mail.example",                                                  \
		__VA_ARGS__ }

static const struct failed_row ended_rows[] = {
	/* the certificate, by alert */
	{ { ALERTED(48), CERTIFICATE(.self_signed = true) }, false,
		"client refused this host's certificate (alert unknown_ca), which is "
		"self-signed "
		"(tls-certificate, or let the client trust it)" },
	{ { ALERTED(48), CERTIFICATE(.self_signed = true, .expired = true) }, false,
		"client refused this host's certificate (alert unknown_ca), which is "
		"self-signed "
		"(tls-certificate, or let the client trust it)" },
	{ { ALERTED(48), CERTIFICATE(.alone = true, .expired = true) }, false,
		"client refused this host's certificate (alert unknown_ca), which is "
		"sent "
		"without its issuer's certificate (tls-certificate)" },
	{ { ALERTED(48), CERTIFICATE(.keys = TLS_KEY_RSA) }, false,
		"client refused this host's certificate (alert unknown_ca), in which "
		"this host "
		"sees no fault; the client's own log has the reason" },
	{ { ALERTED(45), CERTIFICATE(.expired = true, .self_signed = true) }, false,
		"client refused this host's certificate (alert certificate_expired), "
		"which "
		"expired on 2027-03-04 (tls-certificate)" },
	{ { ALERTED(45), CERTIFICATE(.self_signed = true) }, false,
		"client refused this host's certificate (alert certificate_expired), "
		"which is "
		"valid until 2027-03-04: look at the client's clock, and at the other "
		"certificates in tls-certificate" },
	{ { ALERTED(42), CERTIFICATE(.early = true, .self_signed = true) }, false,
		"client refused this host's certificate (alert bad_certificate), which "
		"is not "
		"valid before 2026-01-02 (tls-certificate, or this host's clock)" },
	/* Real sender 21, RFC 5280 6.1 */
	{ { ALERTED(45), CERTIFICATE(.issuer_expired = true, .misnamed = true,
				 .issuer_last = "2026-01-31") },
		false,
		"client refused this host's certificate (alert certificate_expired), "
		"whose issuer's certificate expired on 2026-01-31 "
		"(tls-certificate)" },
	{ { ALERTED(42),
		  CERTIFICATE(.issuer_early = true, .issuer_first = "2026-12-01") },
		false,
		"client refused this host's certificate (alert bad_certificate), whose "
		"issuer's certificate is not valid before 2026-12-01 "
		"(tls-certificate, or this host's clock)" },
	{ { ALERTED(42), CERTIFICATE(.misnamed = true, .self_signed = true) }, false,
		"client refused this host's certificate (alert bad_certificate), which "
		"does not "
		"cover mail.example (tls-certificate)" },
	{ { ALERTED(46), CERTIFICATE(.self_signed = true) }, false,
		"client refused this host's certificate (alert certificate_unknown), "
		"which is "
		"self-signed (tls-certificate, or let the client trust it)" },
	{ { ALERTED(43), CERTIFICATE(.alone = true) }, false,
		"client refused this host's certificate (alert unsupported_certificate), "
		"which "
		"is sent without its issuer's certificate (tls-certificate)" },
	{ { ALERTED(44), CERTIFICATE(.keys = TLS_KEY_RSA), .tickets = true }, false,
		"client refused this host's certificate (alert certificate_revoked), in "
		"which "
		"this host sees no fault; the client's own log has the reason" },
	{ { ALERTED(49), CERTIFICATE(.misnamed = true) }, false,
		"client refused this host's certificate (alert access_denied), which "
		"does not "
		"cover mail.example (tls-certificate)" },
	{ { ALERTED(47), .opening.or_older = true, OFFERED.versions = LIST(V1_2),
		  OFFERED.suites = LIST(RSA_AES), .allowed = HOST, RSA },
		false,
		"client ended TLS by the alert illegal_parameter; its own log has the "
		"reason" },
	{ { ALERTED(47), OFFERED.versions = LIST(V1_3), OFFERED.suites = LIST(AES_1_3),
		  OFFERED.groups = LIST(X25519), .allowed = HOST, EC },
		false,
		"client ended TLS by the alert illegal_parameter; its own log has the "
		"reason" },
	{ { ALERTED(47), .opening.or_older = true, OFFERED.versions = LIST(V1_2),
		  OFFERED.suites = LIST(ECDHE_RSA), OFFERED.groups = LIST(X25519),
		  .allowed = HOST, RSA },
		false,
		"client ended TLS by the alert illegal_parameter; its own log has the "
		"reason" },
	/* in TLS 1.2 the key's curve must be a group of the client (RFC 8422 5.1) */
	{ { ALERTED(47), .opening.or_older = true, OFFERED.versions = LIST(V1_2),
		  OFFERED.suites = LIST(ECDHE_ECDSA), OFFERED.groups = LIST(X448),
		  .allowed = HOST, EC },
		false,
		"client refused this host's certificate (alert illegal_parameter), whose "
		"curve secp256r1 is none of the client's groups, x448 "
		"(tls-certificate)" },
	{ { ALERTED(47), .opening.or_older = true, OFFERED.versions = LIST(V1_2),
		  OFFERED.suites = LIST(ECDHE_ECDSA), .allowed = HOST, EC },
		false,
		"client ended TLS by the alert illegal_parameter: it sent no groups, "
		"and may not accept this host's choice of x25519, secp256r1 "
		"(tls-priority)" },
	{ { ALERTED(47), .opening.or_older = true, OFFERED.versions = LIST(V1_2),
		  OFFERED.suites = LIST(ECDHE_ECDSA), OFFERED.groups = LIST(P256),
		  .allowed = HOST, EC },
		false,
		"client ended TLS by the alert illegal_parameter; its own log has the "
		"reason" },
	{ { ALERTED(70), .opening.or_older = true, OFFERED.versions = LIST(V1_2),
		  .allowed = HOST_OF(V1_0), RSA },
		false,
		"client refused TLS 1.0, the newest version that both allow (alert "
		"protocol_version, tls-priority)" },
	{ { ALERTED(70), .certificate.keys = TLS_KEY_RSA }, false,
		"client ended TLS by the alert protocol_version; its own log has the "
		"reason" },
	/* other alerts */
	{ { ALERTED(40), CERTIFICATE(.expired = true) }, false,
		"client ended TLS by the alert handshake_failure; its own log has the "
		"reason" },
	{ { .how = TLS_END_ALERT, .alert = 42, HELLO }, false,
		"client ended TLS by the alert bad_certificate; its own log has the "
		"reason" },
	{ { .how = TLS_END_ALERT, .alert = 200, .answered = true, HELLO }, false,
		"client ended TLS by the alert alert 200; its own log has the reason" },
	{ { .how = TLS_END_ALERT,
		  .alert = 40,
		  .opening = { TLS_OPENING_OTHER, .alert = 40 } },
		false,
		"client sent the alert handshake_failure and no ClientHello; its own log "
		"has "
		"the reason" },
	{ { .how = TLS_END_CLOSED,
		  .alert = 0,
		  .opening = { TLS_OPENING_OTHER, .alert = 0 } },
		false,
		"client sent the alert close_notify and no ClientHello; its own log has "
		"the reason" },
	/* it closed */
	{ { CLOSED, OF(NOTHING) }, true,
		"client closed the connection without any input: a port scan, or a check "
		"that the "
		"port is open" },
	{ { CLOSED, OF(NOTHING) }, false,
		"client closed the connection after STARTTLS, before any TLS" },
	{ { CLOSED, OF(TORN) }, true,
		"client closed the connection in the middle of its ClientHello" },
	{ { CLOSED, HELLO }, true,
		"client closed the connection in the middle of the handshake" },
	{ { CLOSED, OF(OTHER), .opening.first = "x" }, true,
		"client sent something that is not TLS (x)" },
	{ { CLOSED, HELLO, .answered = true, CERTIFICATE(.expired = true) }, false,
		"client closed the connection on seeing this host's certificate, which "
		"expired "
		"on 2027-03-04 (tls-certificate)" },
	{ { CLOSED, HELLO, .answered = true, CERTIFICATE(.keys = TLS_KEY_RSA) }, false,
		"client closed the connection on seeing this host's certificate, in "
		"which this "
		"host sees no fault; the client's own log has the reason" },
	{ { CLOSED, HELLO, .answered = true, .tickets = true,
		  CERTIFICATE(.keys = TLS_KEY_RSA) },
		false,
		"client closed the connection on seeing this host's certificate, in "
		"which this "
		"host sees no fault; some clients reject session tickets "
		"(tls-tickets)" },
	/* it stopped */
	{ { LATE, OF(NOTHING) }, false,
		"client asked for STARTTLS and then sent nothing in time (timeout)" },
	{ { LATE, OF(NOTHING) }, true,
		"client sent nothing in time where TLS comes first (tls): it may be "
		"waiting for "
		"a greeting in the clear" },
	{ { LATE, OF(TORN) }, true,
		"client sent a part of a ClientHello, and the rest not in time "
		"(timeout)" },
	{ { LATE, OF(TEXT), .opening.first = "Q" }, true,
		"client began in the clear (Q) where TLS comes first (tls): set the "
		"client to "
		"TLS from the start, not STARTTLS" },
	{ { LATE, HELLO, .answered = true }, true,
		"client did not answer this host's certificate in time (timeout); "
		"perhaps large "
		"packets are lost on the way (MTU)" },
	{ { LATE, HELLO }, true,
		"client stopped in the middle of the handshake (timeout)" },
	{ { .how = TLS_END_STOPPED, HELLO }, true,
		"this host was stopped in the middle of the handshake" },
	{ { .how = TLS_END_BROKEN, HELLO, .error = "No route to host" }, true,
		"the handshake was interrupted: No route to host" },
};

static void test_what_the_client_ended(void)
{
	for (size_t i = 0; i < TEST_COUNT(ended_rows); i++) {
		struct row row = row_of(&ended_rows[i]);

		if (!check_row(&row))
			fprintf(stderr, "\trow %zu\n", i);
	}
}

/* Behind a good handshake. */
static void test_what_was_lost(void)
{
	static const struct tls_failure closed = { CLOSED, .answered = true,
		CERTIFICATE(.self_signed = true) };
	static const struct tls_failure fine = { CLOSED, .answered = true,
		CERTIFICATE(.keys = TLS_KEY_RSA) };
	static const struct tls_failure alerted = { .how = TLS_END_ALERT,
		.alert = 42,
		.answered = true,
		CERTIFICATE(.misnamed = true) };
	static const struct tls_failure spoilt = { REFUSED(20), .answered = true,
		.error = "Decryption has failed." };
	static const struct tls_failure again = { REFUSED(40), .answered = true, HELLO,
		.error = "A handshake failed." };
	static const struct row rows[] = {
		{ .end = END_BROKEN,
			.tls = TLS_ON,
			.secured = true,
			.helo = "x",
			.failure = &again,
			.sentence =
				"client sent a TLS message that this host cannot accept: "
				"A handshake failed." },
		{ .end = END_BROKEN,
			.tls = TLS_ON,
			.secured = true,
			.failure = &closed,
			.sentence =
				"client left right after the handshake: it only checked, "
				"or does not accept this host's certificate, which is "
				"self-signed (tls-certificate, or let the client trust "
				"it)" },
		{ .end = END_EOF,
			.tls = TLS_IMPLICIT,
			.secured = true,
			.failure = &fine,
			.sentence =
				"client left right after the handshake: it only checked, "
				"or does not accept this host's certificate, in which "
				"this "
				"host sees no fault; the client's own log has the "
				"reason" },
		{ .end = END_TLS_FAILED,
			.tls = TLS_ON,
			.secured = true,
			.failure = &alerted,
			.sentence = "client refused this host's certificate (alert "
				    "bad_certificate), which does not cover mail.example "
				    "(tls-certificate)" },
		{ .end = END_BROKEN,
			.tls = TLS_ON,
			.secured = true,
			.helo = "x",
			.failure = &spoilt,
			.sentence =
				"client sent a TLS message that this host cannot accept: "
				"Decryption has failed." },
	};

	for (size_t i = 0; i < TEST_COUNT(rows); i++)
		check_row(&rows[i]);
}

/* Every cause has a row above, and no two have the same sentence. */
static void test_every_cause_has_a_sentence(void)
{
	bool seen[CAUSE_COUNT] = { [CAUSE_LEFT_KNOWN] = true };
	bool disliked[DISLIKE_COUNT] = { false };

	for (size_t i = 0; i < TEST_COUNT(clear_rows); i++)
		seen[cause_of(session_of(&clear_rows[i]), clear_rows[i].failure)] = true;
	for (size_t i = 0; i < TEST_COUNT(refused_rows); i++) {
		struct row row = row_of(&refused_rows[i]);
		seen[cause_of(session_of(&row), row.failure)] = true;
	}
	for (size_t i = 0; i < TEST_COUNT(ended_rows); i++) {
		struct row row = row_of(&ended_rows[i]);
		seen[cause_of(session_of(&row), row.failure)] = true;
		disliked[cause_dislike(&ended_rows[i].failure)] = true;
	}
	for (size_t i = 0; i < CAUSE_COUNT; i++)
		if (!CHECK(seen[i]))
			fprintf(stderr, "\tcause %zu\n", i);
	for (size_t i = 0; i < DISLIKE_COUNT; i++)
		if (!CHECK(disliked[i]))
			fprintf(stderr, "\tdislike %zu\n", i);
}

static void check_bounded(const struct row *row)
{
	char text[EXPLANATION_MAX];
	struct buf b = BUF(text);

	explain(session_of(row), row->failure, &b);
	CHECK(!b.overflow && b.n > 0);
	for (size_t i = 0; i < b.n; i++)
		CHECK(text[i] >= ' ' && text[i] <= '~' && text[i] != '"' &&
			(text[i] != '\\' || (i + 3 < b.n && text[i + 1] == 'x')));
}

/* Every sentence with the longest and worst facts there can be. */
static void test_no_sentence_is_too_long(void)
{
	static struct tls_failure worst;
	char fault[FACT_NAME_MAX];

	memset(fault, '\\', sizeof(fault) - 1);
	fault[sizeof(fault) - 1] = '\0';
	for (size_t pad = 0; pad < 8; pad++) {
		struct row row = { .end = END_TLS_UNUSABLE, .fault = fault };

		memset(fault, 'x', pad);
		check_bounded(&row);
	}
	for (size_t i = 0; i < TEST_COUNT(refused_rows) + TEST_COUNT(ended_rows); i++) {
		const struct failed_row *from =
			i < TEST_COUNT(refused_rows)
				? &refused_rows[i]
				: &ended_rows[i - TEST_COUNT(refused_rows)];
		struct row row = row_of(from);

		worst = from->failure;
		memset(worst.error, '\\', sizeof(worst.error) - 1);
		memset(worst.certificate.name, '"', sizeof(worst.certificate.name) - 1);
		memset(worst.opening.offered.alpn, 'x',
			sizeof(worst.opening.offered.alpn) - 1);
		memset(worst.opening.first, 'x', sizeof(worst.opening.first) - 1);
		row.failure = &worst;
		check_bounded(&row);
	}
}

static bool explains_message(
	const struct session *s, const struct reply *outcome, const char *sentence)
{
	char text[EXPLANATION_MAX];
	struct buf b = BUF(text);

	explain_message(s, outcome, &b);
	CHECK(!b.overflow);
	return CHECK_SPAN(buf_span(&b), sentence);
}

static void test_what_a_filter_did_is_explained_by_its_effect(void)
{
	const struct reply *no = reply_get(REPLY_FILTER_REFUSED);
	static struct session s;
	struct filters_facts f = { .actor = "unix:/f", .action = "accept" };

	s.filters = &f;
	explains_message(&s, no, "");
	f.effect = FILTER_REFUSED;
	f.refusal = no;
	explains_message(
		&s, no, "the filter unix:/f refused it: 550 5.7.1 Command rejected");
	/* another one decided */
	explains_message(&s, reply_get(REPLY_SIZE_ACTUAL), "");
	f.effect = FILTER_FAILED;
	strcpy(f.why, "cannot connect");
	explains_message(&s, NULL,
		"the filter unix:/f cannot connect (milters, default-action=accept)");
	f.effect = FILTER_QUARANTINED;
	explains_message(&s, reply_get(REPLY_ACCEPTED),
		"the filter unix:/f put it into quarantine (quarantine-mailbox): (no "
		"reason given)");
	explains_message(&s, reply_get(REPLY_STORE_FULL), "");
	f.effect = FILTER_DISCARDED;
	explains_message(&s, reply_get(REPLY_FILTER_DISCARDED),
		"the filter unix:/f discarded it, and the client was told that it was "
		"accepted");
	explains_message(&s, reply_get(REPLY_SIZE_ACTUAL), "");
	explains_message(&s, NULL, "");
	f.effect = FILTER_NO_EFFECT;
	f.slow = (struct filter_wait){ "unix:/s", 999 };
	explains_message(&s, NULL, "");
	f.slow.milliseconds = 31099;
	explains_message(&s, NULL, "the filter unix:/s took 31.0 s (milters)");
}

static void test_an_explanation_of_a_filter_is_bounded_and_cuts_no_escape(void)
{
	static struct session s;
	struct filters_facts f = { .effect = FILTER_FAILED, .action = "quarantine" };
	char text[EXPLANATION_MAX];
	struct buf b = BUF(text);

	memset(f.actor, 'a', sizeof(f.actor) - 1);
	for (size_t i = 0; i + 4 < sizeof(f.why); i += 4)
		memcpy(f.why + i, "\\xFF", 4);
	s.filters = &f;
	explain_message(&s, NULL, &b);
	CHECK(!b.overflow && b.n > 200);
	for (size_t i = 0; i < b.n; i++)
		CHECK(text[i] != '\\' || (i + 3 < b.n && text[i + 1] == 'x'));
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_sessions_in_the_clear),
		TEST(test_what_we_refused),
		TEST(test_what_the_client_ended),
		TEST(test_what_was_lost),
		TEST(test_every_cause_has_a_sentence),
		TEST(test_no_sentence_is_too_long),
		TEST(test_what_a_filter_did_is_explained_by_its_effect),
		TEST(test_an_explanation_of_a_filter_is_bounded_and_cuts_no_escape),
	};

	return test_main(tests, TEST_COUNT(tests));
}
