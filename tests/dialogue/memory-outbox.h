/* SPDX-License-Identifier: ISC */
/* The outbox in memory: the stage after the one that delivers. */
#pragma once

#include "smtp/dsn-report.h"
#include "smtp/tx.h"
#include "way.h"

struct memory_outbox {
	struct stage stage;
	struct way *way; /* keeps the reports */
	const char *hostname;
	struct report report;
	bool due;
};

void memory_outbox_init(struct memory_outbox *o, struct way *way, const char *hostname);
