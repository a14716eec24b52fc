/* SPDX-License-Identifier: ISC */
/* Headers give the same result in pieces and at once. Input: piece, text. */
#include "fuzz/fuzz.h"
#include "proto/data.h"

static struct header watch(struct span text, size_t piece)
{
	struct header h;

	memset(&h, 0, sizeof(h));
	while (text.n) {
		size_t n = piece < text.n ? piece : text.n;
		header_watch(&h, (struct span){ text.p, n });
		text = span_from(text, n);
	}
	MUST(h.n_message_id <= MESSAGE_ID_MAX);
	MUST(!memchr(h.message_id, '\n', h.n_message_id));
	return h;
}

/* A line of nothing but its end, which keeps its CR in binary content. */
static bool is_empty(struct span line)
{
	while (line.n && *line.p == '\r')
		line = span_from(line, 1);
	return line.n == 0;
}

/* Counts fields of the name "Received", in any case. */
static size_t count_received(struct span text)
{
	size_t n = 0;

	while (text.n) {
		const char *lf = memchr(text.p, '\n', text.n);
		size_t n_line = lf ? (size_t)(lf - text.p) : text.n;
		if (is_empty((struct span){ text.p, n_line }))
			break;
		n += n_line > 8 && text.p[8] == ':' &&
		     span_ieq((struct span){ text.p, 8 }, SPAN("received"));
		text = span_from(text, n_line + (lf != NULL));
	}
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = fuzz_input(data, size, 1);
	struct header whole = watch(text, SIZE_MAX);
	struct header split = watch(text, size > 1 ? 1 + data[0] % FUZZ_PIECE_MAX : 1);

	MUST(memcmp(&whole, &split, sizeof(whole)) == 0);
	MUST(whole.n_received >= count_received(text));
	return 0;
}
