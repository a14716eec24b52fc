/*
 * Reads a ClientHello a second time, only to describe it. Promises to stay within it,
 * whatever its lengths say; judges nothing, as that is GnuTLS's.
 *
 *	ProtocolVersion legacy_version; Random random; opaque legacy_session_id<0..32>;
 *	CipherSuite cipher_suites<2..2^16-2>; opaque legacy_compression_methods<1..2^8-1>;
 *	Extension extensions<8..2^16-1>;			(RFC 8446 4.1.2)
 */
#include "edge/tls-offer.h"

#include <stdint.h>

#define RANDOM_OCTETS 32
#define SUPPORTED_VERSIONS 43 /* RFC 8446 4.2.1 */
#define TLS_1_0 0x0301
#define TLS_1_3 0x0304

/*
 * Reads numbers and vectors; after the first that is not there, everything is zero or
 * empty.
 */
struct cursor {
	const unsigned char *p;
	size_t n;
};

static uint32_t take_number(struct cursor *c, size_t octets)
{
	uint32_t value = 0;

	if (c->n < octets) {
		c->n = 0;
		return 0;
	}
	for (size_t i = 0; i < octets; i++)
		value = value << 8 | c->p[i];
	c->p += octets;
	c->n -= octets;
	return value;
}

static struct cursor take(struct cursor *c, size_t n)
{
	struct cursor taken = { c->p, n };

	if (c->n < n) {
		c->n = 0;
		taken.n = 0;
		return taken;
	}
	c->p += n;
	c->n -= n;
	return taken;
}

static struct cursor take_vector(struct cursor *c, size_t octets_of_length)
{
	return take(c, take_number(c, octets_of_length));
}

/* RFC 8701: values that mean nothing, sent to keep servers tolerant. */
static bool is_grease(uint32_t value)
{
	return (value & 0x0f0f) == 0x0a0a && value >> 8 == (value & 0xff);
}

static void put_hex(struct buf *to, uint32_t value)
{
	static const char digits[] = "0123456789abcdef";
	const char text[] = { '0', 'x', digits[value >> 12 & 15], digits[value >> 8 & 15],
		digits[value >> 4 & 15], digits[value & 15] };

	buf_put(to, (struct span){ text, sizeof(text) });
}

static void put_version(struct buf *to, uint32_t version)
{
	if (version == 0x0300)
		buf_put(to, SPAN("SSL3.0"));
	else if (version >= TLS_1_0 && version <= TLS_1_3) {
		buf_put(to, SPAN("TLS1."));
		buf_put_num(to, version - TLS_1_0);
	} else
		put_hex(to, version);
}

/*
 * One more word; false when there is no room for the longest, so that no half one is
 * written.
 */
static bool put_word(struct buf *to, void (*put)(struct buf *, uint32_t), uint32_t value)
{
	if (is_grease(value))
		return true;
	if (buf_room(to) < sizeof(" 0x0000"))
		return false;
	if (to->n > 0)
		buf_put_char(to, ' ');
	put(to, value);
	return true;
}

static struct cursor find_versions(struct cursor extensions)
{
	while (extensions.n > 0) {
		uint32_t type = take_number(&extensions, 2);
		struct cursor body = take_vector(&extensions, 2);

		if (type == SUPPORTED_VERSIONS && body.n > 0)
			return take_vector(&body, 1);
	}
	return (struct cursor){ NULL, 0 };
}

void offer_describe(struct span hello, struct buf *to)
{
	struct cursor c = { (const unsigned char *)hello.p, hello.n };
	uint32_t legacy_version = take_number(&c, 2);
	struct cursor suites;
	struct cursor versions;

	take(&c, RANDOM_OCTETS);
	take_vector(&c, 1);
	suites = take_vector(&c, 2);
	take_vector(&c, 1);
	c = take_vector(&c, 2);
	versions = find_versions(c);
	if (versions.n == 0)
		put_word(to, put_version, legacy_version);
	while (versions.n >= 2 && put_word(to, put_version, take_number(&versions, 2)))
		;
	while (suites.n >= 2 && put_word(to, put_hex, take_number(&suites, 2)))
		;
}
