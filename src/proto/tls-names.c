/* SPDX-License-Identifier: ISC */
/*
 * The names of IANA's registries "TLS Parameters" and "TLS Cipher Suites", as tables.
 * Each code has one name, so that a client cannot influence the text.
 *
 * Names are arrays in the rows: a table of pointers would have to be relocated at every
 * start of the program, which rarely needs one of them.
 */
#include "proto/tls-names.h"

#define NAME 24

struct name {
	uint16_t code;
	char name[NAME];
};

static const struct name groups[] = {
	{ 0x0013, "secp192r1" },
	{ 0x0015, "secp224r1" },
	{ 0x0016, "secp256k1" },
	{ 0x0017, "secp256r1" },
	{ 0x0018, "secp384r1" },
	{ 0x0019, "secp521r1" },
	{ 0x001a, "brainpoolP256r1" },
	{ 0x001b, "brainpoolP384r1" },
	{ 0x001c, "brainpoolP512r1" },
	{ 0x001d, "x25519" },
	{ 0x001e, "x448" },
	{ 0x001f, "brainpoolP256r1tls13" },
	{ 0x0020, "brainpoolP384r1tls13" },
	{ 0x0021, "brainpoolP512r1tls13" },
	{ 0x0100, "ffdhe2048" },
	{ 0x0101, "ffdhe3072" },
	{ 0x0102, "ffdhe4096" },
	{ 0x0103, "ffdhe6144" },
	{ 0x0104, "ffdhe8192" },
	{ 0x0200, "MLKEM512" },
	{ 0x0201, "MLKEM768" },
	{ 0x0202, "MLKEM1024" },
	{ 0x11eb, "SecP256r1MLKEM768" },
	{ 0x11ec, "X25519MLKEM768" },
	{ 0x11ed, "SecP384r1MLKEM1024" },
	{ 0x6399, "X25519Kyber768Draft00" },
};

/* TLS 1.3 ties each ECDSA scheme to a curve, and has no PKCS #1 (RFC 8446 4.2.3). */
static const struct {
	struct name name;
	unsigned keys, keys_1_3;
} signatures[] = {
	{ { 0x0201, "rsa_pkcs1_sha1" }, TLS_KEY_RSA, 0 },
	{ { 0x0203, "ecdsa_sha1" }, TLS_KEY_ECDSA, 0 },
	{ { 0x0401, "rsa_pkcs1_sha256" }, TLS_KEY_RSA, 0 },
	{ { 0x0403, "ecdsa_secp256r1_sha256" }, TLS_KEY_ECDSA, TLS_KEY_P256 },
	{ { 0x0501, "rsa_pkcs1_sha384" }, TLS_KEY_RSA, 0 },
	{ { 0x0503, "ecdsa_secp384r1_sha384" }, TLS_KEY_ECDSA, TLS_KEY_P384 },
	{ { 0x0601, "rsa_pkcs1_sha512" }, TLS_KEY_RSA, 0 },
	{ { 0x0603, "ecdsa_secp521r1_sha512" }, TLS_KEY_ECDSA, TLS_KEY_P521 },
	{ { 0x0804, "rsa_pss_rsae_sha256" }, TLS_KEY_RSA, TLS_KEY_RSA },
	{ { 0x0805, "rsa_pss_rsae_sha384" }, TLS_KEY_RSA, TLS_KEY_RSA },
	{ { 0x0806, "rsa_pss_rsae_sha512" }, TLS_KEY_RSA, TLS_KEY_RSA },
	{ { 0x0807, "ed25519" }, TLS_KEY_ED25519, TLS_KEY_ED25519 },
	{ { 0x0808, "ed448" }, TLS_KEY_ED448, TLS_KEY_ED448 },
	{ { 0x0809, "rsa_pss_pss_sha256" }, TLS_KEY_RSA_PSS, TLS_KEY_RSA_PSS },
	{ { 0x080a, "rsa_pss_pss_sha384" }, TLS_KEY_RSA_PSS, TLS_KEY_RSA_PSS },
	{ { 0x080b, "rsa_pss_pss_sha512" }, TLS_KEY_RSA_PSS, TLS_KEY_RSA_PSS },
};

/* RFC 8446 6, and alerts of earlier versions that are still sent. */
static const struct name alerts[] = {
	{ 0, "close_notify" },
	{ 10, "unexpected_message" },
	{ 20, "bad_record_mac" },
	{ 21, "decryption_failed" },
	{ 22, "record_overflow" },
	{ 30, "decompression_failure" },
	{ 40, "handshake_failure" },
	{ 41, "no_certificate" },
	{ 42, "bad_certificate" },
	{ 43, "unsupported_certificate" },
	{ 44, "certificate_revoked" },
	{ 45, "certificate_expired" },
	{ 46, "certificate_unknown" },
	{ 47, "illegal_parameter" },
	{ 48, "unknown_ca" },
	{ 49, "access_denied" },
	{ 50, "decode_error" },
	{ 51, "decrypt_error" },
	{ 60, "export_restriction" },
	{ 70, "protocol_version" },
	{ 71, "insufficient_security" },
	{ 80, "internal_error" },
	{ 86, "inappropriate_fallback" },
	{ 90, "user_canceled" },
	{ 100, "no_renegotiation" },
	{ 109, "missing_extension" },
	{ 110, "unsupported_extension" },
	{ 112, "unrecognized_name" },
	{ 113, "bad_certificate_status" },
	{ 115, "unknown_psk_identity" },
	{ 116, "certificate_required" },
	{ 120, "no_application_protocol" },
};

#define COUNT(table) (sizeof(table) / sizeof(*(table)))

static const struct name *find_name(const struct name *table, size_t n, uint16_t code)
{
	for (size_t i = 0; i < n; i++)
		if (table[i].code == code)
			return &table[i];
	return NULL;
}

void tls_put_code(struct buf *to, uint16_t code)
{
	static const char digits[] = "0123456789abcdef";
	const char text[] = { '0', 'x', digits[code >> 12 & 15], digits[code >> 8 & 15],
		digits[code >> 4 & 15], digits[code & 15] };

	buf_put(to, (struct span){ text, sizeof(text) });
}

static void put_version(struct buf *to, uint16_t code, const char *between)
{
	bool is_ssl = code == TLS_VERSION_SSL_2 || code == TLS_VERSION_SSL_3;

	if (!is_ssl && (code < TLS_VERSION_1_0 || code > TLS_VERSION_1_3)) {
		tls_put_code(to, code);
		return;
	}
	buf_put(to, is_ssl ? SPAN("SSL") : SPAN("TLS"));
	buf_put_str(to, between);
	buf_put_num(to, code == TLS_VERSION_SSL_2   ? 2
			: code == TLS_VERSION_SSL_3 ? 3
						    : 1);
	buf_put_char(to, '.');
	buf_put_num(to, is_ssl ? 0 : code - TLS_VERSION_1_0);
}

void tls_put_version(struct buf *to, uint16_t code)
{
	put_version(to, code, "");
}

void tls_put_version_text(struct buf *to, uint16_t code)
{
	put_version(to, code, " ");
}

void tls_put_group(struct buf *to, uint16_t code)
{
	const struct name *name = find_name(groups, COUNT(groups), code);

	if (name)
		buf_put_str(to, name->name);
	else
		tls_put_code(to, code);
}

void tls_put_signature(struct buf *to, uint16_t code)
{
	for (size_t i = 0; i < COUNT(signatures); i++) {
		if (signatures[i].name.code != code)
			continue;
		buf_put_str(to, signatures[i].name.name);
		return;
	}
	tls_put_code(to, code);
}

void tls_put_alert(struct buf *to, uint8_t number)
{
	const struct name *name = find_name(alerts, COUNT(alerts), number);

	if (name) {
		buf_put_str(to, name->name);
	} else {
		buf_put(to, SPAN("alert "));
		buf_put_num(to, number);
	}
}

unsigned tls_signature_keys(uint16_t code, uint16_t version)
{
	for (size_t i = 0; i < COUNT(signatures); i++)
		if (signatures[i].name.code == code)
			return version == TLS_VERSION_1_3 ? signatures[i].keys_1_3
							  : signatures[i].keys;
	return 0;
}

bool tls_group_is_finite(uint16_t code)
{
	return code >> 8 == 1; /* 0x0100 to 0x01ff (RFC 7919 9) */
}

uint16_t tls_key_group(unsigned key)
{
	switch (key) {
	case TLS_KEY_P256:
		return 0x0017;
	case TLS_KEY_P384:
		return 0x0018;
	case TLS_KEY_P521:
		return 0x0019;
	default:
		return 0;
	}
}

uint16_t tls_group_named(struct span name)
{
	for (size_t i = 0; i < COUNT(groups); i++)
		if (span_ieq(span_of(groups[i].name), name))
			return groups[i].code;
	return 0;
}

/*
 * The name of a suite has two halves: key exchange and authentication, which depend on
 * the certificate, and the cipher.
 */
#define SUITE_NAME 28
#define HALF_NAME 28

/* Key exchange and authentication: the first half of a suite's name. */
enum half {
	TLS13,
	RSA,
	RSA_EXPORT,
	DHE_DSS,
	DHE_RSA,
	DHE_RSA_EXPORT,
	ECDHE_RSA,
	ECDHE_ECDSA,
	DH_ANON,
	ECDH_ANON,
};

static const struct {
	char name[HALF_NAME];
	enum tls_exchange exchange;
	unsigned keys;
} halves[] = {
	[TLS13] = { "TLS_", TLS_EXCHANGE_1_3, TLS_KEY_ANY },
	[RSA] = { "TLS_RSA_WITH_", TLS_EXCHANGE_RSA, TLS_KEY_RSA },
	[RSA_EXPORT] = { "TLS_RSA_EXPORT_WITH_", TLS_EXCHANGE_UNKNOWN, 0 },
	[DHE_DSS] = { "TLS_DHE_DSS_WITH_", TLS_EXCHANGE_FINITE, 0 },
	[DHE_RSA] = { "TLS_DHE_RSA_WITH_", TLS_EXCHANGE_FINITE,
		TLS_KEY_RSA | TLS_KEY_RSA_PSS },
	[DHE_RSA_EXPORT] = { "TLS_DHE_RSA_EXPORT_WITH_", TLS_EXCHANGE_UNKNOWN, 0 },
	[ECDHE_RSA] = { "TLS_ECDHE_RSA_WITH_", TLS_EXCHANGE_CURVE,
		TLS_KEY_RSA | TLS_KEY_RSA_PSS },
	[ECDHE_ECDSA] = { "TLS_ECDHE_ECDSA_WITH_", TLS_EXCHANGE_CURVE,
		TLS_KEY_ECDSA | TLS_KEY_EDDSA },
	[DH_ANON] = { "TLS_DH_anon_WITH_", TLS_EXCHANGE_ANONYMOUS, 0 },
	[ECDH_ANON] = { "TLS_ECDH_anon_WITH_", TLS_EXCHANGE_ANONYMOUS, 0 },
};

struct suite {
	uint16_t code;
	uint8_t half;
	char name[SUITE_NAME];
};

static const struct suite suites[] = {
	{ 0x0001, RSA, "NULL_MD5" },
	{ 0x0002, RSA, "NULL_SHA" },
	{ 0x0003, RSA_EXPORT, "RC4_40_MD5" },
	{ 0x0004, RSA, "RC4_128_MD5" },
	{ 0x0005, RSA, "RC4_128_SHA" },
	{ 0x0006, RSA_EXPORT, "RC2_CBC_40_MD5" },
	{ 0x0007, RSA, "IDEA_CBC_SHA" },
	{ 0x0008, RSA_EXPORT, "DES40_CBC_SHA" },
	{ 0x0009, RSA, "DES_CBC_SHA" },
	{ 0x000a, RSA, "3DES_EDE_CBC_SHA" },
	{ 0x0012, DHE_DSS, "DES_CBC_SHA" },
	{ 0x0013, DHE_DSS, "3DES_EDE_CBC_SHA" },
	{ 0x0014, DHE_RSA_EXPORT, "DES40_CBC_SHA" },
	{ 0x0015, DHE_RSA, "DES_CBC_SHA" },
	{ 0x0016, DHE_RSA, "3DES_EDE_CBC_SHA" },
	{ 0x0018, DH_ANON, "RC4_128_MD5" },
	{ 0x001a, DH_ANON, "DES_CBC_SHA" },
	{ 0x001b, DH_ANON, "3DES_EDE_CBC_SHA" },
	{ 0x002f, RSA, "AES_128_CBC_SHA" },
	{ 0x0032, DHE_DSS, "AES_128_CBC_SHA" },
	{ 0x0033, DHE_RSA, "AES_128_CBC_SHA" },
	{ 0x0034, DH_ANON, "AES_128_CBC_SHA" },
	{ 0x0035, RSA, "AES_256_CBC_SHA" },
	{ 0x0038, DHE_DSS, "AES_256_CBC_SHA" },
	{ 0x0039, DHE_RSA, "AES_256_CBC_SHA" },
	{ 0x003a, DH_ANON, "AES_256_CBC_SHA" },
	{ 0x003b, RSA, "NULL_SHA256" },
	{ 0x003c, RSA, "AES_128_CBC_SHA256" },
	{ 0x003d, RSA, "AES_256_CBC_SHA256" },
	{ 0x0040, DHE_DSS, "AES_128_CBC_SHA256" },
	{ 0x0041, RSA, "CAMELLIA_128_CBC_SHA" },
	{ 0x0045, DHE_RSA, "CAMELLIA_128_CBC_SHA" },
	{ 0x0046, DH_ANON, "CAMELLIA_128_CBC_SHA" },
	{ 0x0066, DHE_DSS, "RC4_128_SHA" },
	{ 0x0067, DHE_RSA, "AES_128_CBC_SHA256" },
	{ 0x006a, DHE_DSS, "AES_256_CBC_SHA256" },
	{ 0x006b, DHE_RSA, "AES_256_CBC_SHA256" },
	{ 0x006c, DH_ANON, "AES_128_CBC_SHA256" },
	{ 0x006d, DH_ANON, "AES_256_CBC_SHA256" },
	{ 0x0084, RSA, "CAMELLIA_256_CBC_SHA" },
	{ 0x0088, DHE_RSA, "CAMELLIA_256_CBC_SHA" },
	{ 0x0089, DH_ANON, "CAMELLIA_256_CBC_SHA" },
	{ 0x0096, RSA, "SEED_CBC_SHA" },
	{ 0x009a, DHE_RSA, "SEED_CBC_SHA" },
	{ 0x009b, DH_ANON, "SEED_CBC_SHA" },
	{ 0x009c, RSA, "AES_128_GCM_SHA256" },
	{ 0x009d, RSA, "AES_256_GCM_SHA384" },
	{ 0x009e, DHE_RSA, "AES_128_GCM_SHA256" },
	{ 0x009f, DHE_RSA, "AES_256_GCM_SHA384" },
	{ 0x00a2, DHE_DSS, "AES_128_GCM_SHA256" },
	{ 0x00a3, DHE_DSS, "AES_256_GCM_SHA384" },
	{ 0x00a6, DH_ANON, "AES_128_GCM_SHA256" },
	{ 0x00a7, DH_ANON, "AES_256_GCM_SHA384" },
	{ 0x00ba, RSA, "CAMELLIA_128_CBC_SHA256" },
	{ 0x00be, DHE_RSA, "CAMELLIA_128_CBC_SHA256" },
	{ 0x00bf, DH_ANON, "CAMELLIA_128_CBC_SHA256" },
	{ 0x00c0, RSA, "CAMELLIA_256_CBC_SHA256" },
	{ 0x00c4, DHE_RSA, "CAMELLIA_256_CBC_SHA256" },
	{ 0x00c5, DH_ANON, "CAMELLIA_256_CBC_SHA256" },
	{ 0x1301, TLS13, "AES_128_GCM_SHA256" },
	{ 0x1302, TLS13, "AES_256_GCM_SHA384" },
	{ 0x1303, TLS13, "CHACHA20_POLY1305_SHA256" },
	{ 0x1304, TLS13, "AES_128_CCM_SHA256" },
	{ 0x1305, TLS13, "AES_128_CCM_8_SHA256" },
	{ 0xc006, ECDHE_ECDSA, "NULL_SHA" },
	{ 0xc007, ECDHE_ECDSA, "RC4_128_SHA" },
	{ 0xc008, ECDHE_ECDSA, "3DES_EDE_CBC_SHA" },
	{ 0xc009, ECDHE_ECDSA, "AES_128_CBC_SHA" },
	{ 0xc00a, ECDHE_ECDSA, "AES_256_CBC_SHA" },
	{ 0xc010, ECDHE_RSA, "NULL_SHA" },
	{ 0xc011, ECDHE_RSA, "RC4_128_SHA" },
	{ 0xc012, ECDHE_RSA, "3DES_EDE_CBC_SHA" },
	{ 0xc013, ECDHE_RSA, "AES_128_CBC_SHA" },
	{ 0xc014, ECDHE_RSA, "AES_256_CBC_SHA" },
	{ 0xc015, ECDH_ANON, "NULL_SHA" },
	{ 0xc016, ECDH_ANON, "RC4_128_SHA" },
	{ 0xc017, ECDH_ANON, "3DES_EDE_CBC_SHA" },
	{ 0xc018, ECDH_ANON, "AES_128_CBC_SHA" },
	{ 0xc019, ECDH_ANON, "AES_256_CBC_SHA" },
	{ 0xc023, ECDHE_ECDSA, "AES_128_CBC_SHA256" },
	{ 0xc024, ECDHE_ECDSA, "AES_256_CBC_SHA384" },
	{ 0xc027, ECDHE_RSA, "AES_128_CBC_SHA256" },
	{ 0xc028, ECDHE_RSA, "AES_256_CBC_SHA384" },
	{ 0xc02b, ECDHE_ECDSA, "AES_128_GCM_SHA256" },
	{ 0xc02c, ECDHE_ECDSA, "AES_256_GCM_SHA384" },
	{ 0xc02f, ECDHE_RSA, "AES_128_GCM_SHA256" },
	{ 0xc030, ECDHE_RSA, "AES_256_GCM_SHA384" },
	{ 0xc072, ECDHE_ECDSA, "CAMELLIA_128_CBC_SHA256" },
	{ 0xc073, ECDHE_ECDSA, "CAMELLIA_256_CBC_SHA384" },
	{ 0xc076, ECDHE_RSA, "CAMELLIA_128_CBC_SHA256" },
	{ 0xc077, ECDHE_RSA, "CAMELLIA_256_CBC_SHA384" },
	{ 0xc07a, RSA, "CAMELLIA_128_GCM_SHA256" },
	{ 0xc07b, RSA, "CAMELLIA_256_GCM_SHA384" },
	{ 0xc07c, DHE_RSA, "CAMELLIA_128_GCM_SHA256" },
	{ 0xc07d, DHE_RSA, "CAMELLIA_256_GCM_SHA384" },
	{ 0xc084, DH_ANON, "CAMELLIA_128_GCM_SHA256" },
	{ 0xc085, DH_ANON, "CAMELLIA_256_GCM_SHA384" },
	{ 0xc086, ECDHE_ECDSA, "CAMELLIA_128_GCM_SHA256" },
	{ 0xc087, ECDHE_ECDSA, "CAMELLIA_256_GCM_SHA384" },
	{ 0xc08a, ECDHE_RSA, "CAMELLIA_128_GCM_SHA256" },
	{ 0xc08b, ECDHE_RSA, "CAMELLIA_256_GCM_SHA384" },
	{ 0xc09c, RSA, "AES_128_CCM" },
	{ 0xc09d, RSA, "AES_256_CCM" },
	{ 0xc09e, DHE_RSA, "AES_128_CCM" },
	{ 0xc09f, DHE_RSA, "AES_256_CCM" },
	{ 0xc0a0, RSA, "AES_128_CCM_8" },
	{ 0xc0a1, RSA, "AES_256_CCM_8" },
	{ 0xc0a2, DHE_RSA, "AES_128_CCM_8" },
	{ 0xc0a3, DHE_RSA, "AES_256_CCM_8" },
	{ 0xc0ac, ECDHE_ECDSA, "AES_128_CCM" },
	{ 0xc0ad, ECDHE_ECDSA, "AES_256_CCM" },
	{ 0xc0ae, ECDHE_ECDSA, "AES_128_CCM_8" },
	{ 0xc0af, ECDHE_ECDSA, "AES_256_CCM_8" },
	{ 0xcca8, ECDHE_RSA, "CHACHA20_POLY1305_SHA256" },
	{ 0xcca9, ECDHE_ECDSA, "CHACHA20_POLY1305_SHA256" },
	{ 0xccaa, DHE_RSA, "CHACHA20_POLY1305_SHA256" },
};

static const struct suite *find_suite(uint16_t code)
{
	for (size_t i = 0; i < COUNT(suites); i++)
		if (suites[i].code == code)
			return &suites[i];
	return NULL;
}

void tls_put_suite(struct buf *to, uint16_t code)
{
	const struct suite *suite = find_suite(code);

	if (!suite) {
		tls_put_code(to, code);
		return;
	}
	buf_put_str(to, halves[suite->half].name);
	buf_put_str(to, suite->name);
}

unsigned tls_suite_keys(uint16_t code)
{
	const struct suite *suite = find_suite(code);

	return suite ? halves[suite->half].keys : 0;
}

enum tls_exchange tls_suite_exchange(uint16_t code)
{
	const struct suite *suite = find_suite(code);

	return suite ? halves[suite->half].exchange : TLS_EXCHANGE_UNKNOWN;
}

bool tls_suite_is_of(uint16_t code, uint16_t version)
{
	static const char *const newer[] = { "GCM", "CCM", "POLY1305", "SHA256",
		"SHA384" };
	const struct suite *suite = find_suite(code);
	bool is_1_3 = suite && suite->half == TLS13;

	if (!suite || is_1_3 || version == TLS_VERSION_1_3)
		return is_1_3 == (version == TLS_VERSION_1_3);
	for (size_t i = 0; i < COUNT(newer) && version < TLS_VERSION_1_2; i++)
		if (strstr(suite->name, newer[i]))
			return false;
	return true;
}

unsigned tls_suite_bits(struct span name)
{
	static const struct {
		const char *part; /* of the name */
		unsigned bits;
	} rows[] = {
		{ "_256_", 256 },
		{ "_CHACHA20_", 256 },
		{ "_128_", 128 },
		{ "_3DES_EDE_", 168 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (memmem(name.p, name.n, rows[i].part, strlen(rows[i].part)))
			return rows[i].bits;
	return 0;
}
