/* SPDX-License-Identifier: ISC */
/*
 * The whole engine with stages in memory. Input: settings, the hook and the recipients that are refused, piece and
 * users, and the peer's octets, among which 255 is a pause in which the peer reads. The result is the same in pieces
 * and at once; replies are lines of SMTP, and none is missing; records are escaped; nothing is stored before the
 * octets CRLF.CRLF, and nothing without a login where one is required.
 */
#include "fuzz/fuzz.h"
#include "unit/engine.h"

#define CHOICES 3 /* octets in front that choose */
#define PAUSE 255
#define ERROR_LIMIT 50
#define SIZE_LIMIT 200
#define RECIPIENT_LIMIT 5 /* data[1] / HOOK_COUNT has a bit for each */

static void choose(struct engine *e, const uint8_t *data)
{
	static const enum auth_mode modes[] = { AUTH_OFF, AUTH_ON, AUTH_REQUIRED,
		AUTH_ON };

	engine_init(e);
	e->settings.tls = data[0] & 3;
	e->settings.bare_newline = data[0] & 4 ? BARE_REJECT : BARE_NORMALIZE;
	e->verdict = data[0] & 8 ? TLS_UNUSABLE : TLS_READY;
	e->handshake_fails = data[0] & 16;
	e->settings.lmtp = data[0] & 64;
	e->settings.dsn = data[0] & 128;
	e->settings.auth = modes[data[2] / FUZZ_PIECE_MAX];
	e->users.unavailable = data[2] / FUZZ_PIECE_MAX == 3;
	e->settings.recipient_limit = RECIPIENT_LIMIT;
	e->settings.error_limit = ERROR_LIMIT;
	e->memory.refuses = data[1] % HOOK_COUNT;
	e->memory.refuses_of = data[1] / HOOK_COUNT;
	/* a stage may refuse part of a text that is too big as a whole: either is right */
	if (data[0] & 32 && e->memory.refuses != HOOK_BODY)
		e->settings.size_limit = SIZE_LIMIT;
	engine_start(e);
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Reply-line = code ("-" / SP) [enhanced SP] textstring CRLF */
static void check_line(struct span line)
{
	MUST(line.n >= 6 && line.n <= REPLY_LINE_MAX);
	MUST(line.p[0] >= '2' && line.p[0] <= '5' && line.p[1] >= '0' &&
		line.p[1] <= '5');
	MUST(is_digit(line.p[2]) && (line.p[3] == ' ' || line.p[3] == '-'));
	MUST(line.p[line.n - 2] == '\r');
	for (size_t i = 0; i < line.n - 2; i++)
		MUST(line.p[i] >= 32 && line.p[i] <= 126);
	if (is_digit(line.p[4]) && line.p[5] == '.')
		MUST(line.p[4] == line.p[0]);
}

static void check_replies(struct span out)
{
	const char *lf;
	bool more = false;

	while (out.n && (lf = memchr(out.p, '\n', out.n))) {
		struct span line = { out.p, (size_t)(lf - out.p) + 1 };
		check_line(line);
		more = line.p[3] == '-';
		out = span_from(out, line.n);
	}
	MUST(out.n == 0 && !more);
}

static void check(struct engine *e)
{
	MUST(!e->overflow);
	MUST(!e->bad_record);
	MUST(!e->memory.wrong);
	MUST(e->n_sessions == 1);
	MUST(e->memory.n_cleared == e->n_records - e->n_attempts - 1);
	MUST(e->memory.n_stored == e->session.n_messages);
	MUST(e->memory.n_stored == 0 || e->memory.refuses == HOOK_NONE);
	MUST(!e->users.wrong && !e->users.open);
	MUST(e->session.n_auth_failures == e->n_pauses);
	MUST(e->n_pauses <= AUTH_FAILURES_MAX);
	if (e->settings.auth == AUTH_OFF || e->n_handshakes == 0)
		MUST(e->users.n_steps == 0);
	if (e->settings.auth == AUTH_REQUIRED && !e->session.user[0])
		MUST(e->memory.n_stored == 0);
	MUST(!e->session.tx.open);
	MUST(!memchr(e->session.helo, '\n', strlen(e->session.helo)));
	if (e->settings.tls == TLS_REQUIRED && e->n_handshakes == 0)
		MUST(e->memory.n_stored == 0);
	check_replies(captured_span(&e->out));
}

/* The last octets that were sent. */
struct tail {
	char octets[5];
};

/* Nothing is stored but at the last octet of CRLF.CRLF, or of a last chunk. */
static void check_end(struct engine *e, size_t n_stored, enum phase before,
	struct tail *tail, char octet)
{
	memmove(tail->octets, tail->octets + 1, 4);
	tail->octets[4] = octet;
	if (e->memory.n_stored == n_stored)
		return;
	MUST(e->memory.n_stored == n_stored + 1);
	if (before == PHASE_CONTENT)
		MUST(memcmp(tail->octets, "\r\n.\r\n", 5) == 0);
	else
		MUST(e->session.chunk_last && e->session.chunk_left == 0);
}

static void send_segment(
	struct engine *e, struct span segment, size_t piece, struct tail *tail)
{
	while (segment.n) {
		size_t n = piece < segment.n ? piece : segment.n;
		size_t n_stored = e->memory.n_stored;
		enum phase before = e->session.phase;
		engine_send(e, (struct span){ segment.p, n });
		MUST(e->session.phase != PHASE_RESULTS);
		if (piece == 1)
			check_end(e, n_stored, before, tail, *segment.p);
		segment = span_from(segment, n);
	}
}

static void run(struct engine *e, const uint8_t *data, struct span input, size_t piece)
{
	struct tail tail = { 0 };

	choose(e, data);
	while (input.n) {
		const char *pause = memchr(input.p, PAUSE, input.n);
		size_t n = pause ? (size_t)(pause - input.p) : input.n;
		send_segment(e, (struct span){ input.p, n }, piece, &tail);
		input = span_from(input, n + (pause != NULL));
	}
	engine_stop(e, END_EOF);
	check(e);
}

static void check_same(struct engine *a, struct engine *b)
{
	MUST(span_eq(captured_span(&a->out), captured_span(&b->out)));
	MUST(span_eq(captured_span(&a->records), captured_span(&b->records)));
	MUST(span_eq(captured_span(&a->memory.stored), captured_span(&b->memory.stored)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct engine whole, split, octets;
	struct span input = fuzz_input(data, size, CHOICES);

	if (input.n == 0)
		return 0;
	run(&whole, data, input, SIZE_MAX);
	run(&split, data, input, 1 + data[2] % FUZZ_PIECE_MAX);
	run(&octets, data, input, 1);
	/* the only exception: input after STARTTLS is refused if it has arrived */
	if (whole.session.end != END_TLS_INJECTION) {
		check_same(&whole, &split);
		check_same(&whole, &octets);
	}
	engine_done(&whole);
	engine_done(&split);
	engine_done(&octets);
	return 0;
}
