/* SPDX-License-Identifier: ISC */
/*
 * Reads a ClientHello a second time, only to describe it; the TLS library decides about
 * it. Wrong lengths never cause a read outside of it, and lists never exceed their
 * capacity.
 *
 *  *	ProtocolVersion legacy_version; Random random; opaque legacy_session_id<0..32>;
 *  *	CipherSuite cipher_suites<2..2^16-2>; opaque legacy_compression_methods<1..2^8-1>;
 *  *	Extension extensions<8..2^16-1>;			(RFC 8446 4.1.2)
 */
#include "proto/tls-hello.h"
#include "proto/line.h"
#include "proto/text.h"
#include "proto/tls-names.h"

bool tls_list_has(const struct tls_list *list, uint16_t code)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->codes[i] == code)
			return true;
	return false;
}

void tls_list_add(struct tls_list *list, uint16_t code)
{
	if (tls_list_has(list, code))
		return;
	if (list->n < TLS_LIST_MAX)
		list->codes[list->n++] = code;
	else
		list->cut = true;
}

bool tls_list_meet(const struct tls_list *a, const struct tls_list *b)
{
	for (size_t i = 0; i < a->n; i++)
		if (tls_list_has(b, a->codes[i]))
			return true;
	return false;
}

uint16_t tls_list_least(const struct tls_list *list)
{
	uint16_t least = list->n ? list->codes[0] : 0;

	for (size_t i = 1; i < list->n; i++)
		if (list->codes[i] < least)
			least = list->codes[i];
	return least;
}

uint16_t tls_list_greatest(const struct tls_list *list)
{
	uint16_t greatest = 0;

	for (size_t i = 0; i < list->n; i++)
		if (list->codes[i] > greatest)
			greatest = list->codes[i];
	return greatest;
}

void tls_list_put(struct buf *to, const struct tls_list *list, size_t max,
	const char *between, void (*put)(struct buf *to, uint16_t code))
{
	for (size_t i = 0; i < list->n && i < max; i++) {
		if (i > 0)
			buf_put_str(to, between);
		put(to, list->codes[i]);
	}
	if (list->n > max) {
		buf_put(to, SPAN(" and "));
		buf_put_num(to, list->n - max);
		buf_put(to, SPAN(" more"));
	}
}

static unsigned suite_keys(uint16_t code, uint16_t version)
{
	(void)version;
	return tls_suite_keys(code);
}

static void keep_codes(struct tls_list *list, unsigned keys, uint16_t version,
	unsigned (*keys_of)(uint16_t code, uint16_t version))
{
	size_t n = 0;

	for (size_t i = 0; i < list->n; i++)
		if (keys_of(list->codes[i], version) & keys)
			list->codes[n++] = list->codes[i];
	list->n = n;
}

void tls_terms_keep(struct tls_terms *terms, unsigned keys, uint16_t version)
{
	keep_codes(&terms->suites, keys, version, suite_keys);
	keep_codes(&terms->signatures, keys, version, tls_signature_keys);
}

static void put_part(struct buf *to, size_t start, const char *name)
{
	if (to->n > start)
		buf_put(to, SPAN("; "));
	buf_put_str(to, name);
	buf_put_char(to, ' ');
}

void tls_terms_put(struct buf *to, const struct tls_terms *terms)
{
	const struct {
		const char *name;
		const struct tls_list *list;
		void (*put)(struct buf *to, uint16_t code);
	} parts[] = {
		{ "versions", &terms->versions, tls_put_version },
		{ "suites", &terms->suites, tls_put_suite },
		{ "groups", &terms->groups, tls_put_group },
		{ "signatures", &terms->signatures, tls_put_signature },
	};
	size_t start = to->n;

	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		if (parts[i].list->n == 0)
			continue;
		put_part(to, start, parts[i].name);
		tls_list_put(to, parts[i].list, TLS_WORDS_MAX, " ", parts[i].put);
	}
	if (terms->alpn[0]) {
		put_part(to, start, "alpn");
		buf_put_str(to, terms->alpn);
	}
}

#define RANDOM_OCTETS 32
#define RECORD_HEADER 5
#define RECORD_ALERT 21
#define RECORD_HANDSHAKE 22
#define RECORD_MAJOR 3 /* the same for all versions since SSL 3.0 */
#define ALERT_FATAL 2
#define ALERT_OCTETS 2 /* octets of an alert in the clear; encrypted ones are longer */
#define MESSAGE_HEADER 4
#define CLIENT_HELLO 1
#define SSL2_HEADER 2
#define NAME_TYPE_HOST 0
#define PROTOCOL_MAX 32 /* of one name, escaped */
#define SUITE_RENEGOTIATION 0x00ff /* these two are signals, not suites */
#define SUITE_FALLBACK 0x5600

enum extension {
	EXTENSION_SERVER_NAME = 0, /* RFC 6066 3 */
	EXTENSION_GROUPS = 10, /* RFC 8446 4.2.7 */
	EXTENSION_SIGNATURES = 13, /* RFC 8446 4.2.3 */
	EXTENSION_ALPN = 16, /* RFC 7301 3.1 */
	EXTENSION_VERSIONS = 43, /* RFC 8446 4.2.1 */
};

/*
 * Reads numbers and vectors. After the first incomplete one, all results are zero or
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

static struct cursor take_octets(struct cursor *c, size_t n)
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
	return take_octets(c, take_number(c, octets_of_length));
}

static struct span span_of_cursor(struct cursor c)
{
	return (struct span){ (const char *)c.p, c.n };
}

/* True for values of RFC 8701, which have no meaning and keep servers tolerant. */
static bool is_grease(uint32_t value)
{
	return (value & 0x0f0f) == 0x0a0a && value >> 8 == (value & 0xff);
}

static void read_list(struct cursor c, struct tls_list *to)
{
	while (c.n >= 2) {
		uint32_t code = take_number(&c, 2);

		if (!is_grease(code))
			tls_list_add(to, (uint16_t)code);
	}
}

static void add_suite(struct tls_opening *ret, uint32_t code)
{
	if (code == SUITE_FALLBACK)
		ret->fallback = true;
	else if (code != SUITE_RENEGOTIATION && !is_grease(code))
		tls_list_add(&ret->offered.suites, (uint16_t)code);
}

bool tls_name_is_plain(struct span name)
{
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] <= ' ' || name.p[i] > '~' || strchr("\"'`\\", name.p[i]))
			return false;
	return name.n > 0 && name.n < TLS_NAME_MAX;
}

bool tls_name_is_taken(struct span name)
{
	for (size_t i = 0; i < name.n; i++) {
		char c = ascii_lower(name.p[i]);
		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' &&
			c != '.')
			return false;
	}
	return name.n > 0 && name.n < TLS_NAME_MAX;
}

static void take_name(struct span name, struct tls_opening *ret)
{
	struct buf b = BUF(ret->odd_name);

	if (tls_name_is_plain(name))
		memcpy(ret->name, name.p, name.n);
	ret->bad_name = !tls_name_is_taken(name);
	if (!ret->bad_name)
		return;
	text_escape(&b, name, sizeof(ret->odd_name) - 1);
	buf_terminate(&b);
}

static void read_name(struct cursor c, struct tls_opening *ret)
{
	struct cursor list = take_vector(&c, 2);

	while (list.n > 0) {
		uint32_t type = take_number(&list, 1);
		struct cursor name = take_vector(&list, 2);

		if (type != NAME_TYPE_HOST)
			continue;
		take_name(span_of_cursor(name), ret);
		return;
	}
}

static void read_protocols(struct cursor c, struct tls_opening *ret)
{
	struct cursor list = take_vector(&c, 2);
	struct buf b = BUF(ret->offered.alpn);

	while (list.n > 0) {
		struct cursor name = take_vector(&list, 1);
		struct cursor number = name;

		if (name.n == 0 || (name.n == 2 && is_grease(take_number(&number, 2))))
			continue;
		if (buf_room(&b) < 1 + PROTOCOL_MAX + 1)
			break;
		if (b.n > 0)
			buf_put_char(&b, ' ');
		text_escape(&b, span_of_cursor(name), PROTOCOL_MAX);
	}
	buf_terminate(&b);
}

static void read_extension(uint32_t type, struct cursor body, struct tls_opening *ret)
{
	switch (type) {
	case EXTENSION_SERVER_NAME:
		read_name(body, ret);
		break;
	case EXTENSION_GROUPS:
		read_list(take_vector(&body, 2), &ret->offered.groups);
		break;
	case EXTENSION_SIGNATURES:
		read_list(take_vector(&body, 2), &ret->offered.signatures);
		break;
	case EXTENSION_ALPN:
		read_protocols(body, ret);
		break;
	case EXTENSION_VERSIONS:
		read_list(take_vector(&body, 1), &ret->offered.versions);
		break;
	default:
		break;
	}
}

static void read_hello(struct cursor c, struct tls_opening *ret)
{
	uint32_t legacy_version = take_number(&c, 2);
	struct cursor suites;
	struct cursor extensions;

	take_octets(&c, RANDOM_OCTETS);
	take_vector(&c, 1);
	suites = take_vector(&c, 2);
	while (suites.n >= 2)
		add_suite(ret, take_number(&suites, 2));
	take_vector(&c, 1);
	extensions = take_vector(&c, 2);
	while (extensions.n > 0) {
		uint32_t type = take_number(&extensions, 2);

		read_extension(type, take_vector(&extensions, 2), ret);
	}
	ret->or_older = ret->offered.versions.n == 0;
	if (ret->or_older && legacy_version)
		tls_list_add(&ret->offered.versions, (uint16_t)legacy_version);
}

/*
 *	uint16 msg_length (top bit set); uint8 msg_type; Version version;
 *	uint16 cipher_spec_length; uint16 session_id_length; uint16 challenge_length;
 *	V2CipherSpec cipher_specs[V2ClientHello.cipher_spec_length];	(RFC 5246 E.2)
 */
static void read_ssl2_hello(struct bytes in, struct tls_opening *ret)
{
	struct cursor c = { (const unsigned char *)in.p, in.n };
	size_t length = take_number(&c, SSL2_HEADER) & 0x7fff;
	struct cursor specs;

	ret->kind = c.n >= length ? TLS_OPENING_HELLO : TLS_OPENING_TORN;
	ret->or_older = true;
	take_number(&c, 1);
	tls_list_add(&ret->offered.versions, (uint16_t)take_number(&c, 2));
	length = take_number(&c, 2);
	take_octets(&c, 4);
	specs = take_octets(&c, length);
	/* suites have three octets here; those of SSL 3.0 and TLS begin with a zero */
	while (specs.n >= 3) {
		uint32_t spec = take_number(&specs, 3);

		if (spec <= UINT16_MAX)
			add_suite(ret, spec);
	}
}

/* Of warnings, only those that announce the end count (RFC 8446 6.1). */
static void read_alert(struct cursor c, struct tls_opening *ret)
{
	bool fatal = take_number(&c, 1) == ALERT_FATAL;
	int alert = (int)take_number(&c, 1);

	if (fatal || alert == TLS_ALERT_CLOSE_NOTIFY || alert == TLS_ALERT_USER_CANCELED)
		ret->alert = alert;
}

/*
 * Joins the records of the handshake message at the front of `in`; keeps an alert behind
 * it.
 */
static struct span join_records(struct bytes in, struct tls_opening *ret)
{
	struct cursor c = { (const unsigned char *)in.p, in.n };
	size_t joined = 0;

	while (c.n >= RECORD_HEADER) {
		uint32_t type = take_number(&c, 1);
		struct cursor body;
		size_t length;

		take_number(&c, 2);
		length = take_number(&c, 2);
		body = take_octets(&c, length < c.n ? length : c.n);
		if (type == RECORD_ALERT && length == ALERT_OCTETS && body.n == length)
			read_alert(body, ret);
		if (type != RECORD_HANDSHAKE)
			continue;
		memmove(in.p + joined, body.p, body.n);
		joined += body.n;
	}
	return (struct span){ in.p, joined };
}

static void read_message(struct span message, struct tls_opening *ret)
{
	struct cursor c = { (const unsigned char *)message.p, message.n };
	uint32_t type = take_number(&c, 1);
	size_t length = take_number(&c, MESSAGE_HEADER - 1);

	if (message.n > 0 && type != CLIENT_HELLO)
		return;
	ret->kind = TLS_OPENING_TORN;
	if (message.n >= MESSAGE_HEADER && c.n >= length) {
		ret->kind = TLS_OPENING_HELLO;
		c = take_octets(&c, length);
	}
	read_hello(c, ret);
}

/* Returns TLS_OPENING_TEXT or TLS_OPENING_HTTP when the first line is readable text. */
static enum tls_opening_kind kind_of_text(struct span in)
{
	const char *end = memchr(in.p, '\n', in.n);
	struct span line = { in.p, end ? (size_t)(end - in.p) : in.n };

	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	for (size_t i = 0; i < line.n; i++)
		if ((line.p[i] < ' ' && line.p[i] != '\t') || line.p[i] > '~')
			return TLS_OPENING_OTHER;
	if (command_is_http(line))
		return TLS_OPENING_HTTP;
	return line.n > 0 ? TLS_OPENING_TEXT : TLS_OPENING_OTHER;
}

/* Keeps the first octets to be shown; of a text, the first line at most. */
static void show_first(struct span in, struct tls_opening *ret)
{
	bool is_text = ret->kind != TLS_OPENING_OTHER;
	size_t max = is_text ? TLS_FIRST_TEXT : TLS_FIRST_OCTETS;
	struct buf b = BUF(ret->first);
	size_t n = 0;

	while (n < in.n && n < max && !(is_text && (in.p[n] == '\r' || in.p[n] == '\n')))
		n++;
	text_escape(&b, (struct span){ in.p, n }, sizeof(ret->first) - 1);
	buf_terminate(&b);
}

uint16_t tls_opening_version(const struct tls_opening *o, const struct tls_list *allowed)
{
	const struct tls_list *offered = &o->offered.versions;
	uint16_t newest = 0;

	for (size_t i = 0; i < allowed->n; i++) {
		uint16_t version = allowed->codes[i];

		if (version > newest &&
			(o->or_older ? version <= tls_list_greatest(offered)
				     : tls_list_has(offered, version)))
			newest = version;
	}
	return newest;
}

static bool is_record(struct bytes in, unsigned char type)
{
	return (unsigned char)in.p[0] == type && (in.n < 2 || in.p[1] == RECORD_MAJOR);
}

void tls_opening_read(struct bytes in, struct tls_opening *ret)
{
	struct span octets = { in.p, in.n };

	memset(ret, 0, sizeof(*ret));
	ret->alert = TLS_NO_ALERT;
	if (in.n == 0)
		return;
	ret->kind = kind_of_text(octets);
	show_first(octets, ret);
	if (command_is_ssl2(in))
		read_ssl2_hello(in, ret);
	else if (is_record(in, RECORD_HANDSHAKE))
		read_message(join_records(in, ret), ret);
	else if (is_record(in, RECORD_ALERT))
		join_records(in, ret);
}
