/* SPDX-License-Identifier: ISC */
/*
 * Messages of the domain name system: one question, and answers to it. An answer is read
 * by a cursor that stays at its fault: what lies outside of the message is never read,
 * and a name ends after POINTERS_MAX pointers.
 */
#include "proto/dns.h"

#define CLASS_IN 1
#define FLAG_ANSWER 0x8000
#define FLAGS_OPCODE 0x7800
#define FLAG_RECURSION 0x0100
#define FLAGS_RESULT 0x000f
#define RESULT_FINE 0
#define RESULT_NO_NAME 3
#define HEAD 12 /* octets in front of the question */
#define LABEL_MAX 63
#define POINTER 0xc0 /* the bits of a pointer; a length has neither */
#define POINTERS_MAX 16 /* in one name: more are a circle, or meant to cost time */
#define RECORDS_MAX 64 /* that are looked at */
#define TYPE_OPTIONS 41

struct cursor {
	struct span message;
	size_t at;
	bool failed;
};

struct record {
	struct dns_name owner;
	bool has_owner; /* it is a name that is_name_octet() allows */
	unsigned type, class;
	size_t data; /* where it begins */
	size_t n; /* octets of data */
};

static void put_u16(struct buf *to, unsigned n)
{
	buf_put_char(to, (char)(n >> 8 & 0xff));
	buf_put_char(to, (char)(n & 0xff));
}

void dns_reverse_name(struct dns_name *ret, const struct ip *ip)
{
	static const char digits[] = "0123456789abcdef";
	struct buf b = BUF(ret->text);

	for (size_t i = ip->n; i > 0; i--) {
		unsigned octet = ip->octets[i - 1];
		if (ip->n == IPV4_OCTETS) {
			buf_put_num(&b, octet);
		} else {
			buf_put_char(&b, digits[octet & 0xf]);
			buf_put_char(&b, '.');
			buf_put_char(&b, digits[octet >> 4]);
		}
		buf_put_char(&b, '.');
	}
	buf_put_str(&b, ip->n == IPV4_OCTETS ? "in-addr.arpa" : "ip6.arpa");
	buf_terminate(&b);
}

void dns_put_question(struct buf *to, const struct dns_question *q)
{
	struct span rest = span_of(q->name.text);

	put_u16(to, q->id);
	put_u16(to, FLAG_RECURSION);
	put_u16(to, 1); /* questions */
	put_u16(to, 0);
	put_u16(to, 0);
	put_u16(to, 1); /* further records: the options */
	while (rest.n) {
		struct span label = span_take(&rest, '.');
		buf_put_char(to, (char)label.n);
		buf_put(to, label);
	}
	buf_put_char(to, 0);
	put_u16(to, q->type);
	put_u16(to, CLASS_IN);
	buf_put_char(to, 0); /* the root */
	put_u16(to, TYPE_OPTIONS);
	put_u16(to, DNS_ANSWER_MAX);
	put_u16(to, 0);
	put_u16(to, 0);
	put_u16(to, 0);
}

static unsigned take_octet(struct cursor *c)
{
	if (c->failed || c->at >= c->message.n) {
		c->failed = true;
		return 0;
	}
	return (unsigned char)c->message.p[c->at++];
}

static unsigned take_u16(struct cursor *c)
{
	unsigned high = take_octet(c);

	return high << 8 | take_octet(c);
}

static void skip(struct cursor *c, size_t n)
{
	if (c->failed || n > c->message.n - c->at)
		c->failed = true;
	else
		c->at += n;
}

static bool is_host_octet(char c)
{
	c = ascii_lower(c);
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/*
 * Names of hosts and of the zones that have them: where a network is smaller than a
 * zone, these may have "/", as in 0/25.2.0.192.in-addr.arpa (RFC 2317 4).
 */
static bool is_name_octet(char c)
{
	return is_host_octet(c) || c == '/';
}

/* Appends a label. False: it has octets that no such name has. */
static bool take_label(struct cursor *c, size_t n, struct buf *to)
{
	bool fine = true;

	if (to->n)
		buf_put_char(to, '.');
	while (n-- && !c->failed) {
		char octet = (char)take_octet(c);
		fine &= is_name_octet(octet);
		buf_put_char(to, ascii_lower(octet));
	}
	return fine;
}

/*
 * Takes a name (RFC 1035 4.1.4). True when it has only octets of such names. The cursor
 * is behind it then in any case, or has failed.
 */
static bool take_name(struct cursor *c, struct dns_name *ret)
{
	struct buf b = BUF(ret->text);
	size_t behind = 0, n_pointers = 0;
	bool fine = true;
	unsigned n;

	while ((n = take_octet(c)) != 0 && !c->failed) {
		if ((n & POINTER) == POINTER) {
			size_t to = (n & ~(unsigned)POINTER) << 8 | take_octet(c);
			behind = n_pointers ? behind : c->at;
			c->failed |= ++n_pointers > POINTERS_MAX;
			c->at = to;
		} else if (n > LABEL_MAX) {
			c->failed = true;
		} else {
			fine &= take_label(c, n, &b);
		}
		/* longer than any name may be: no more is read of it */
		c->failed |= b.overflow;
	}
	if (n_pointers)
		c->at = behind;
	return buf_terminate(&b) && fine && b.n && !c->failed;
}

static bool take_record(struct cursor *c, struct record *ret)
{
	ret->has_owner = take_name(c, &ret->owner);
	ret->type = take_u16(c);
	ret->class = take_u16(c);
	skip(c, 4); /* time to live */
	ret->n = take_u16(c);
	ret->data = c->at;
	skip(c, ret->n);
	return !c->failed;
}

/* The name in the data of a record. */
static bool name_of(const struct cursor *c, const struct record *r, struct dns_name *ret)
{
	struct cursor data = { .message = c->message, .at = r->data };

	return take_name(&data, ret) && data.at == r->data + r->n;
}

static bool is_same(const struct dns_name *a, const struct dns_name *b)
{
	return strcmp(a->text, b->text) == 0;
}

/*
 * Reads head and question. DNS_FOUND: it is an answer to `q`, and the cursor stands at
 * the first of *ret_n records.
 */
static enum dns_result take_head(
	struct cursor *c, const struct dns_question *q, size_t *ret_n)
{
	unsigned id = take_u16(c), flags = take_u16(c), n_questions = take_u16(c);
	struct dns_name name;
	bool has_name;

	*ret_n = take_u16(c);
	c->at = HEAD;
	has_name = take_name(c, &name);
	if (take_u16(c) != q->type || take_u16(c) != CLASS_IN || c->failed || !has_name ||
		id != q->id || n_questions != 1 || !is_same(&name, &q->name) ||
		(flags & (FLAG_ANSWER | FLAGS_OPCODE)) != FLAG_ANSWER)
		return DNS_OTHER;
	if (*ret_n > RECORDS_MAX)
		*ret_n = RECORDS_MAX;
	switch (flags & FLAGS_RESULT) {
	case RESULT_FINE:
		return DNS_FOUND;
	case RESULT_NO_NAME:
		return DNS_ABSENT;
	default:
		return DNS_FAILED;
	}
}

/* The name that the answer is about, behind all aliases, which may come in any order. */
static void follow_aliases(const struct cursor *records, size_t n, struct dns_name *name)
{
	for (size_t i = 0; i < DNS_ALIASES_MAX; i++) {
		struct cursor c = *records;
		struct dns_name to;
		struct record r;
		size_t left = n;
		bool found = false;
		while (!found && left-- && take_record(&c, &r))
			found = r.type == DNS_CNAME && r.class == CLASS_IN &&
				r.has_owner && is_same(&r.owner, name) &&
				name_of(&c, &r, &to);
		if (!found)
			return;
		*name = to;
	}
}

/* What is looked for in records of the type of the question. True: no more are needed. */
struct search {
	bool (*see)(struct search *s, const struct cursor *c, const struct record *r);
	struct dns_name *names;
	size_t n;
	const struct ip *ip;
};

static enum dns_result look(
	struct span answer, const struct dns_question *q, struct search *s)
{
	struct cursor c = { .message = answer };
	struct dns_name owner = q->name;
	enum dns_result result;
	struct record r;
	size_t n;
	bool done = false;

	result = take_head(&c, q, &n);
	if (result != DNS_FOUND)
		return result;
	follow_aliases(&c, n, &owner);
	/* an answer that was cut has whole records in front */
	while (!done && n-- && take_record(&c, &r))
		done = r.type == (unsigned)q->type && r.class == CLASS_IN &&
		       r.has_owner && is_same(&r.owner, &owner) && s->see(s, &c, &r);
	return s->n ? DNS_FOUND : DNS_ABSENT;
}

/* Digits and dots alone: who reads that takes it for an address. */
static bool is_numeric(struct span text)
{
	size_t n = 0;

	while (n < text.n && (text.p[n] == '.' || (text.p[n] >= '0' && text.p[n] <= '9')))
		n++;
	return n == text.n;
}

static bool see_name(struct search *s, const struct cursor *c, const struct record *r)
{
	struct dns_name *name = &s->names[s->n];

	/* it is shown, so "/" is not allowed */
	if (name_of(c, r, name) && dns_is_host_name(span_of(name->text)))
		s->n++;
	return s->n == DNS_NAMES_MAX;
}

enum dns_result dns_take_names(struct span answer, const struct dns_question *q,
	struct dns_name ret[DNS_NAMES_MAX], size_t *ret_n)
{
	struct search s = { .see = see_name, .names = ret };
	enum dns_result result = look(answer, q, &s);

	*ret_n = s.n;
	return result;
}

static bool see_address(struct search *s, const struct cursor *c, const struct record *r)
{
	struct ip found;

	if (r->n != IPV4_OCTETS && r->n != IPV6_OCTETS)
		return false;
	found = ip_of((const unsigned char *)c->message.p + r->data, r->n);
	s->n = found.n == s->ip->n && memcmp(found.octets, s->ip->octets, found.n) == 0;
	return s->n;
}

enum dns_result dns_take_address(
	struct span answer, const struct dns_question *q, const struct ip *ip)
{
	struct search s = { .see = see_address, .ip = ip };

	return look(answer, q, &s);
}

bool dns_is_host_name(struct span text)
{
	size_t n_label = 0;

	if (text.n == 0 || text.n > DNS_NAME_MAX)
		return false;
	for (size_t i = 0; i < text.n; i++) {
		bool is_dot = text.p[i] == '.';
		if (is_dot ? n_label == 0
			   : !is_host_octet(text.p[i]) || n_label == LABEL_MAX)
			return false;
		n_label = is_dot ? 0 : n_label + 1;
	}
	return n_label > 0 && !is_numeric(text);
}

size_t dns_take_servers(struct span file, struct ip ret[DNS_SERVERS_MAX])
{
	size_t n = 0;

	while (file.n && n < DNS_SERVERS_MAX) {
		struct span line = span_take_line(&file);
		struct span rest = span_trim(line);
		if (span_eq(span_take_word(&rest), SPAN("nameserver")) &&
			ip_parse(span_take_word(&rest), &ret[n]))
			n++;
	}
	if (n == 0)
		ip_parse(SPAN("127.0.0.1"), &ret[n++]);
	return n;
}
