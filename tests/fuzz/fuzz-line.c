/* SPDX-License-Identifier: ISC */
/* Lines give the same result in pieces and at once, and are never above their limit. Input: piece, limit, octets. */
#include "fuzz/fuzz.h"
#include "proto/line.h"

struct lines {
	char *text; /* octets of each line, followed by a word of flags */
	size_t n, n_left;
};

static void keep(struct lines *to, const struct line *line, size_t max)
{
	MUST(line->text.n <= (line->too_long ? LINE_TAIL : max));
	MUST(!line->text.n || !memchr(line->text.p, '\n', line->text.n));
	if (line->text.n)
		memcpy(to->text + to->n, line->text.p, line->text.n);
	to->n += line->text.n;
	to->text[to->n++] = (char)('A' + line->bare + 2 * line->crlf + 4 * line->nul +
				   8 * line->too_long);
}

static struct lines read_all(struct span input, size_t piece, size_t max)
{
	struct lines lines = { .text = malloc(2 * input.n + 1) };
	struct line_reader reader = { 0 };
	char *left = malloc(1);
	struct line line;

	MUST(lines.text && left);
	while (input.n) {
		size_t n = piece < input.n ? piece : input.n;
		char *window = malloc(lines.n_left + n);
		struct bytes in = { window, lines.n_left + n };
		MUST(window);
		memcpy(window, left, lines.n_left);
		memcpy(window + lines.n_left, input.p, n);
		while (line_take(&reader, &in, max, &line))
			keep(&lines, &line, max);
		MUST(in.n < max);
		free(left);
		left = malloc(in.n + 1);
		MUST(left);
		memcpy(left, in.p, in.n);
		lines.n_left = in.n;
		free(window);
		input = span_from(input, n);
	}
	free(left);
	return lines;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span input = fuzz_input(data, size, 2);
	size_t piece = size > 2 ? 1 + data[0] % FUZZ_PIECE_MAX : 1;
	size_t max = size > 2 ? 2 + data[1] : 2;
	struct lines whole = read_all(input, SIZE_MAX, max);
	struct lines split = read_all(input, piece, max);

	MUST(whole.n == split.n && memcmp(whole.text, split.text, whole.n) == 0);
	MUST(whole.n_left == split.n_left);
	free(whole.text);
	free(split.text);
	return 0;
}
