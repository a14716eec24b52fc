/*
 * The names of IANA's "TLS Parameters" registry, as tables. Promises that a code has one
 * name and no peer can choose what is written; refuses to judge any of them.
 *
 * Names lie in the rows themselves: a table of pointers would have to be relocated at
 * every start of the program, which hardly ever needs one of them.
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

static const struct {
	struct name name;
	unsigned keys;
} signatures[] = {
	{ { 0x0201, "rsa_pkcs1_sha1" }, TLS_KEY_RSA },
	{ { 0x0203, "ecdsa_sha1" }, TLS_KEY_ECDSA },
	{ { 0x0401, "rsa_pkcs1_sha256" }, TLS_KEY_RSA },
	{ { 0x0403, "ecdsa_secp256r1_sha256" }, TLS_KEY_ECDSA },
	{ { 0x0501, "rsa_pkcs1_sha384" }, TLS_KEY_RSA },
	{ { 0x0503, "ecdsa_secp384r1_sha384" }, TLS_KEY_ECDSA },
	{ { 0x0601, "rsa_pkcs1_sha512" }, TLS_KEY_RSA },
	{ { 0x0603, "ecdsa_secp521r1_sha512" }, TLS_KEY_ECDSA },
	{ { 0x0804, "rsa_pss_rsae_sha256" }, TLS_KEY_RSA },
	{ { 0x0805, "rsa_pss_rsae_sha384" }, TLS_KEY_RSA },
	{ { 0x0806, "rsa_pss_rsae_sha512" }, TLS_KEY_RSA },
	{ { 0x0807, "ed25519" }, TLS_KEY_EDDSA },
	{ { 0x0808, "ed448" }, TLS_KEY_EDDSA },
	{ { 0x0809, "rsa_pss_pss_sha256" }, TLS_KEY_RSA },
	{ { 0x080a, "rsa_pss_pss_sha384" }, TLS_KEY_RSA },
	{ { 0x080b, "rsa_pss_pss_sha512" }, TLS_KEY_RSA },
};

/* RFC 8446 6, with those of earlier versions that are still sent. */
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

void tls_say_version(struct buf *to, uint16_t code)
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

unsigned tls_signature_keys(uint16_t code)
{
	for (size_t i = 0; i < COUNT(signatures); i++)
		if (signatures[i].name.code == code)
			return signatures[i].keys;
	return 0;
}

bool tls_group_is_finite(uint16_t code)
{
	return code >> 8 == 1; /* 0x0100 to 0x01ff (RFC 7919 9) */
}

uint16_t tls_group_named(struct span name)
{
	for (size_t i = 0; i < COUNT(groups); i++)
		if (span_ieq(span_of(groups[i].name), name))
			return groups[i].code;
	return 0;
}
