/* SPDX-License-Identifier: ISC */
/*
 * A filter that sends anything: frames are the same however they are cut, an answer is
 * whole or a fault, and what edits leave is a header of as many fields as the list has.
 * The same octets are a line of the file `milters`, and a body.
 *
 * input = event options n-header header frames
 */
#include "fuzz/fuzz.h"
#include "proto/milter.h"

#define FIELDS_MAX 64
#define TEXT_MAX 2048

struct filter {
	struct milter_talk talk;
	enum milter_event event;
	struct milter_edits edits;
	struct milter_field fields[FIELDS_MAX], saved[FIELDS_MAX];
	char text[TEXT_MAX], before[2 * TEXT_MAX];
	struct buf header_before;
};

static void put_header(const struct milter_edits *e, struct buf *to)
{
	struct milter_walk at = { 0 };

	MUST(milter_edits_put(e, &at, to));
	MUST(!to->overflow);
}

/* In memory of exactly that size; the octets of *ret_frame are those of `in`. */
static enum milter_step show(struct span in, size_t n, struct milter_reading *reading,
	struct milter_frame *ret_frame, size_t *ret_taken)
{
	char *copy = malloc(n + !n);
	struct span rest = { copy, n };
	enum milter_step step;

	MUST(copy);
	if (n)
		memcpy(copy, in.p, n);
	step = milter_frame_take(&rest, ret_frame, reading);
	*ret_taken = n - rest.n;
	if (step == MILTER_DONE)
		ret_frame->data.p = in.p + (ret_frame->data.p - copy);
	MUST(step != MILTER_MORE ||
		(reading->n_needed > n && reading->n_needed <= MILTER_FRAME_MAX));
	MUST((step == MILTER_WRONG) == (reading->fault != NULL));
	free(copy);
	return step;
}

/*
 * The first frame, which no octet less would have shown and no octet more changes; but
 * for a long body, which comes in pieces of any size.
 */
static bool take_frame(
	struct span *in, struct milter_reading *reading, struct milter_frame *ret)
{
	struct milter_reading before = *reading, after;
	struct milter_frame part;
	size_t n_taken, n_part;
	enum milter_step verdict = show(*in, in->n, reading, ret, &n_taken);
	bool is_piece = before.n_left || reading->n_left;
	enum milter_step step = MILTER_MORE;

	for (size_t n = 0; step == MILTER_MORE && n <= in->n; n++) {
		after = before;
		step = show(*in, n, &after, &part, &n_part);
		MUST(step != MILTER_DONE || n_part == n);
		MUST(step != MILTER_DONE || n == n_taken || is_piece);
	}
	MUST(step == verdict);
	if (verdict != MILTER_DONE)
		return false;
	fuzz_is_inside(ret->data, *in);
	*in = span_from(*in, n_taken);
	return true;
}

/* Fields of a text that is a header and nothing else. */
static size_t count_fields(struct span text)
{
	static struct milter_field fields[FIELDS_MAX + 1], saved[FIELDS_MAX + 1];
	struct milter_edits e = {
		.fields = fields, .saved = saved, .cap = FIELDS_MAX + 1
	};
	struct milter_header h;

	MUST(milter_header_find(text, true, &h));
	MUST(h.n == text.n && h.n_separator == 0);
	MUST(!milter_edits_begin(&e, SPAN(""), text));
	return e.n - 1;
}

static void check_edit(struct filter *f, const struct milter_answer *a)
{
	char memory[3 * TEXT_MAX];
	struct buf b = BUF(memory);
	size_t n = f->edits.n;
	const char *fault = milter_edits_apply(&f->edits, a, f->talk.terms.options);

	MUST(f->edits.n + 1 >= n && f->edits.n <= n + 1);
	MUST(!fault || f->edits.n == n);
	put_header(&f->edits, &b);
	MUST(count_fields(buf_span(&b)) == f->edits.n);
}

static void check_reply(const struct milter_answer *a)
{
	char memory[4096];
	struct buf b = BUF(memory);

	MUST(a->code >= 400 && a->code <= 599);
	MUST(!*a->enhanced || a->enhanced[0] - '0' == (int)(a->code / 100));
	milter_put_reply(&b, a->value, ' ');
	MUST(!b.overflow && b.n < a->value.n);
	MUST(!memchr(memory, '\n', b.n) && !memchr(memory, '\r', b.n));
	MUST(!memchr(memory, '\0', b.n));
}

static void check_answer(struct filter *f, const struct milter_frame *frame)
{
	struct milter_talk before = f->talk;
	struct milter_answer a;

	if (milter_answer_take(&f->talk, frame, &a)) {
		MUST(memcmp(&before, &f->talk, sizeof(before)) == 0);
		return;
	}
	MUST(f->talk.n_owed + milter_is_verdict(a.kind) == before.n_owed);
	fuzz_is_inside(a.name, frame->data);
	fuzz_is_inside(a.value, frame->data);
	fuzz_is_inside(a.params, frame->data);
	if (a.kind == MILTER_REPLY)
		check_reply(&a);
	if (a.kind == MILTER_ADD || a.kind == MILTER_INSERT || a.kind == MILTER_CHANGE)
		check_edit(f, &a);
	if (milter_wants(&f->talk, f->event))
		milter_sent(&f->talk, f->event);
}

/* Each field goes to a filter as one frame of two strings. */
static void check_fields(const struct filter *f)
{
	struct span field;

	for (size_t at = 0; milter_edits_next(&f->edits, &at, &field);) {
		char memory[2 * TEXT_MAX];
		struct buf b = BUF(memory);
		struct span in, name, value;
		struct milter_reading reading = { 0 };
		struct milter_frame frame;
		milter_put_field(&b, field, f->talk.terms.options);
		MUST(!b.overflow && b.n <= field.n + MILTER_FRAME_HEAD + 2);
		in = buf_span(&b);
		MUST(take_frame(&in, &reading, &frame) && in.n == 0 &&
			frame.command == 'L');
		name = span_take(&frame.data, '\0');
		value = span_take(&frame.data, '\0');
		MUST(name.n && frame.data.n == 0 && !memchr(value.p, '\0', value.n));
	}
}

static bool begin(struct filter *f, struct span header)
{
	struct milter_header h;

	f->edits = (struct milter_edits){
		.fields = f->fields,
		.saved = f->saved,
		.cap = FIELDS_MAX,
		.text = BUF(f->text),
	};
	f->header_before = (struct buf)BUF(f->before);
	MUST(milter_header_find(header, true, &h));
	MUST(h.n + h.n_separator <= header.n);
	header.n = h.n;
	if (milter_edits_begin(&f->edits, SPAN("Received: x\n"), header))
		return false;
	put_header(&f->edits, &f->header_before);
	MUST(f->edits.n == count_fields(buf_span(&f->header_before)));
	return true;
}

static void converse(uint8_t event, uint8_t options, struct span header, struct span in)
{
	static struct filter f;
	struct milter_reading reading = { 0 };
	struct milter_frame frame;
	struct milter_terms terms = {
		.version = MILTER_VERSION,
		.options = options & 1 ? MILTER_LEADING_SPACE : 0,
	};
	char memory[3 * TEXT_MAX];
	struct buf b = BUF(memory);

	if (!begin(&f, header))
		return;
	f.talk = (struct milter_talk){ 0 };
	f.event = (enum milter_event)(event % MILTER_EVENTS);
	while (take_frame(&in, &reading, &frame)) {
		if (f.talk.terms.version == 0 && options & 2 &&
			milter_terms_take(&frame, &terms))
			return;
		if (f.talk.terms.version == 0) {
			milter_talk_begin(&f.talk, &terms);
			milter_sent(&f.talk, f.event);
		}
		check_answer(&f, &frame);
	}
	check_fields(&f);
	milter_edits_restore(&f.edits);
	put_header(&f.edits, &b);
	MUST(span_eq(buf_span(&b), buf_span(&f.header_before)));
}

static void check_line(struct span line)
{
	struct milter_setting s = { 0 }, again;
	struct rule_fault fault = { 0 };

	switch (milter_line_parse(line, &s, &fault)) {
	case RULE_FINE:
		fuzz_is_inside(s.address, line);
		MUST(s.path.n ? s.path.n <= MILTER_PATH_MAX : s.ip.n && s.port);
		MUST(s.connect_timeout && s.connect_timeout <= MILTER_TIMEOUT_MAX);
		MUST(milter_line_parse(s.address, &again, &fault) == RULE_FINE);
		MUST(again.port == s.port && span_eq(again.path, s.path));
		break;
	case RULE_WRONG:
		MUST(fault.what);
		fuzz_is_inside(fault.word, line);
		break;
	case RULE_BLANK:
		break;
	}
}

/* Out with CRLF and back in pieces: the same, but for CRs that were there before. */
static void check_body(struct span body, size_t n_piece)
{
	char out[2 * TEXT_MAX], back[2 * TEXT_MAX];
	struct buf crlf = BUF(out), lf = BUF(back);
	struct span rest = body;
	bool cr = false;

	while (rest.n) {
		struct span piece = { rest.p, n_piece < rest.n ? n_piece : rest.n };
		rest = span_from(rest, piece.n);
		milter_put_crlf(&crlf, &piece, &cr);
		MUST(piece.n == 0);
	}
	for (size_t i = 0; i < crlf.n; i++)
		MUST(out[i] != '\n' || (i && out[i - 1] == '\r'));
	cr = false;
	rest = buf_span(&crlf);
	milter_put_lf(&lf, &rest, &cr);
	milter_put_lf_end(&lf, &cr);
	MUST(rest.n == 0 && !lf.overflow);
	MUST(memchr(body.p, '\r', body.n) || span_eq(buf_span(&lf), body));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span input = fuzz_input(data, size, 3), header;

	if (size < 3 || input.n > TEXT_MAX / 2)
		return 0;
	header = (struct span){ input.p, data[2] < input.n ? data[2] : input.n };
	converse(data[0], data[1], header, span_from(input, header.n));
	check_line(input);
	check_body(input, 1 + data[2] % FUZZ_PIECE_MAX);
	return 0;
}
