/* SPDX-License-Identifier: ISC */
/* The conditions for the name of a saved attachment. */
#pragma once

#include "fuzz/fuzz.h"
#include "proto/text.h"
#include "tools/extract/extract.h"

static inline void check_name(const char *name)
{
	struct span s = span_of(name);

	MUST(s.n <= EXTRACT_NAME_MAX && utf8_valid(s));
	if (!s.n)
		return;
	MUST(!strchr(".-~ ", *name) && !strchr(". ", name[s.n - 1]));
	MUST(!strpbrk(name, "/\\:*?\"<>|$`"));
	for (size_t i = 0; i < s.n; i++)
		MUST((unsigned char)name[i] >= 0x20 && name[i] != 0x7F);
	MUST(!span_ieq(s, SPAN("nul")) && !span_ieq(s, SPAN("con.pdf")));
}
