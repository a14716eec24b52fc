/* SPDX-License-Identifier: ISC */
/* The faults that a reader of settings reports, as one text. */
#pragma once

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define FAULTS_MAX 4096

struct heard {
	char text[FAULTS_MAX];
};

static inline void hear(void *ctx, const char *fault)
{
	struct heard *h = ctx;
	size_t n = strlen(h->text);

	snprintf(h->text + n, sizeof(h->text) - n, "%s\n", fault);
}
