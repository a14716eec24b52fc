/* SPDX-License-Identifier: ISC */
/*
 * A client's first octets: their description is printable and within its limit, does not depend on the split into
 * records, and is explained for any end of the handshake. Input: piece, kind of end, alert, octets.
 */
#include "fuzz/fuzz.h"
#include "proto/tls-names.h"
#include "smtp/explain.h"

#define RECORD_HEADER 5
#define RECORD_HANDSHAKE 22
#define RECORD_MAX 16384
#define TERMS_MAX 8192

static void is_printable(struct span text)
{
	for (size_t i = 0; i < text.n; i++)
		MUST(text.p[i] >= ' ' && text.p[i] <= '~' && text.p[i] != '"');
}

static void check_text(const char *text, size_t room)
{
	MUST(memchr(text, '\0', room));
	is_printable(span_of(text));
}

static void check_opening(const struct tls_opening *o)
{
	const struct tls_list *lists[] = { &o->offered.versions, &o->offered.suites,
		&o->offered.groups, &o->offered.signatures };
	char *terms = malloc(TERMS_MAX);
	struct buf b = { .p = terms, .cap = TERMS_MAX };

	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++)
		MUST(lists[i]->n <= TLS_LIST_MAX);
	MUST(o->kind <= TLS_OPENING_OTHER);
	MUST(o->alert >= TLS_NO_ALERT && o->alert <= UINT8_MAX);
	check_text(o->name, sizeof(o->name));
	check_text(o->first, sizeof(o->first));
	check_text(o->offered.alpn, sizeof(o->offered.alpn));
	MUST(terms);
	tls_terms_put(&b, &o->offered);
	MUST(!b.overflow);
	is_printable(buf_span(&b));
	free(terms);
}

/* In memory of exactly their size. */
static void read_octets(struct span octets, struct tls_opening *ret)
{
	char *copy = malloc(octets.n + !octets.n);

	MUST(copy);
	memcpy(copy, octets.p, octets.n);
	tls_opening_read((struct bytes){ copy, octets.n }, ret);
	free(copy);
	check_opening(ret);
}

/* The octets as the content of handshake records of `piece` octets at most. */
static void read_records(struct span message, size_t piece, struct tls_opening *ret)
{
	size_t n_records = message.n / piece + 1, n = 0;
	char *records = malloc(n_records * RECORD_HEADER + message.n);

	MUST(records);
	while (message.n) {
		size_t m = message.n < piece ? message.n : piece;
		const char header[RECORD_HEADER] = { RECORD_HANDSHAKE, 3, 1,
			(char)(m >> 8), (char)m };

		memcpy(records + n, header, RECORD_HEADER);
		memcpy(records + n + RECORD_HEADER, message.p, m);
		n += RECORD_HEADER + m;
		message = span_from(message, m);
	}
	tls_opening_read((struct bytes){ records, n }, ret);
	free(records);
	check_opening(ret);
	/* this alone shows the records themselves */
	memset(ret->first, 0, sizeof(ret->first));
}

static void explain_all(const struct tls_opening *o, uint8_t how, uint8_t alert)
{
	static struct session_settings settings;
	static struct session session;
	static struct tls_failure failure;
	char text[EXPLANATION_MAX];
	struct buf b = BUF(text);

	memset(&failure, 0, sizeof(failure));
	failure.how = how % (TLS_END_BROKEN + 1);
	failure.answered = how & 8;
	failure.alert_sent = how & 16;
	failure.alert = how & 32 ? alert : TLS_NO_ALERT;
	failure.opening = *o;
	failure.certificate.keys = alert & TLS_KEY_ANY;
	failure.certificate.self_signed = true;
	tls_list_add(&failure.allowed.versions, TLS_VERSION_1_3);
	tls_list_add(&failure.allowed.versions, TLS_VERSION_1_2);
	for (uint16_t suite = 0xc02b; suite <= 0xc030; suite++)
		tls_list_add(&failure.allowed.suites, suite);
	tls_list_add(&failure.allowed.suites, 0x1301);
	settings.tls = how & 64 ? TLS_IMPLICIT : TLS_ON;
	session.settings = &settings;
	session.end = END_TLS_FAILED;
	explain(&session, &failure, &b);
	MUST(!b.overflow && b.n > 0);
	is_printable(buf_span(&b));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span input = fuzz_input(data, size, 3);
	size_t piece = size > 3 ? 1 + data[0] % FUZZ_PIECE_MAX : 1;
	struct tls_opening whole, split;

	if (size < 3)
		return 0;
	read_octets(input, &whole);
	explain_all(&whole, data[1], data[2]);
	/* the message within the first record, or any other octets */
	if (input.n > RECORD_HEADER && input.p[0] == RECORD_HANDSHAKE)
		input = span_from(input, RECORD_HEADER);
	if (input.n == 0 || input.n > RECORD_MAX)
		return 0;
	read_records(input, RECORD_MAX, &whole);
	read_records(input, piece, &split);
	MUST(memcmp(&whole, &split, sizeof(whole)) == 0);
	return 0;
}
