/* SPDX-License-Identifier: ISC */
/* The functions that tests of the milter protocol share: frames as literals, and a conversation. */
#pragma once

#include <stdlib.h>
#include "proto/milter.h"
#include "unit/test.h"

#define DATA(literal) ((struct span){ "" literal, sizeof(literal) - 1 })

/* Terms of a filter of that version that answers these options. */
static inline struct milter_terms terms_of(uint32_t version, uint32_t options)
{
	unsigned char numbers[12] = { 0, 0, 0, (unsigned char)version, 0, 0, 0x01, 0xff,
		(unsigned char)(options >> 24), (unsigned char)(options >> 16),
		(unsigned char)(options >> 8), (unsigned char)options };
	struct milter_frame frame = { 'O', { (char *)numbers, sizeof(numbers) } };
	struct milter_terms terms = { 0 };

	REQUIRE(!milter_terms_take(&frame, &terms));
	return terms;
}

static inline struct milter_talk talk_of(uint32_t version, uint32_t options)
{
	struct milter_terms terms = terms_of(version, options);
	struct milter_talk talk;

	milter_talk_begin(&talk, &terms);
	return talk;
}

/* The fault of an answer; NULL: none. Its data is in memory of exactly its size. */
static inline const char *answer(
	struct milter_talk *t, char command, struct span data, struct milter_answer *ret)
{
	static char memory[MILTER_FRAME_MAX];
	char *copy = memory + sizeof(memory) - data.n;
	struct milter_frame frame = { command, { copy, data.n } };

	memcpy(copy, data.p, data.n);
	return milter_answer_take(t, &frame, ret);
}
