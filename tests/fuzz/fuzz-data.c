/* SPDX-License-Identifier: ISC */
/*
 * Content is decoded like a simple decoder by the standard does, in pieces and at once. Input: piece, earlier octets,
 * octets.
 */
#include "fuzz/fuzz.h"
#include "proto/data.h"
#include "unit/content.h"

static void decode(
	struct span raw, enum data_at at, size_t piece, const struct content *want)
{
	struct data d = { .at = at };
	char *left = malloc(2), *text = malloc(raw.n + 1);
	size_t n_left = 0, n_text = 0;
	bool end = false;

	MUST(left && text);
	while (raw.n && !end) {
		size_t n = piece < raw.n ? piece : raw.n;
		char *window = malloc(n_left + n);
		struct bytes in = { window, n_left + n };
		struct span part;
		MUST(window);
		memcpy(window, left, n_left);
		memcpy(window + n_left, raw.p, n);
		end = data_take(&d, &in, &part);
		MUST(part.p == window && in.p + in.n == window + n_left + n);
		MUST(end || in.n <= 2);
		memcpy(text + n_text, part.p, part.n);
		n_text += part.n;
		raw = span_from(raw, n);
		n_left = end ? 0 : in.n;
		if (!end)
			memcpy(left, in.p, in.n);
		else
			MUST(in.n + raw.n == want->n_rest);
		free(window);
	}
	MUST(end == want->end);
	MUST(n_text >= want->n_text && memcmp(text, want->text, want->n_text) == 0);
	MUST(!memchr(text, '\r', n_text));
	if (end)
		MUST(n_text == want->n_text && d.octets == want->octets &&
			d.bare == want->bare);
	free(left);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span raw = fuzz_input(data, size, 2);
	size_t piece = size > 2 ? 1 + data[0] % FUZZ_PIECE_MAX : 1;
	enum data_at at = size > 2 && data[1] & 1 ? DATA_AFTER_LF : DATA_AFTER_CRLF;
	struct content want = content_decode(raw, at == DATA_AFTER_CRLF);

	decode(raw, at, SIZE_MAX, &want);
	decode(raw, at, piece, &want);
	decode(raw, at, 1, &want);
	free(want.text);
	return 0;
}
