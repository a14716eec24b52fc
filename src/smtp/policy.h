/* SPDX-License-Identifier: ISC */
/* The first stage: which mail this host accepts. verbs.c checks TLS, login and order. */
#pragma once

#include "smtp/names.h"
#include "smtp/settings.h"
#include "smtp/tx.h"

#define HOPS_MAX 100 /* Received fields that indicate a loop, RFC 5321 6.3 */

struct policy {
	struct stage stage;
	const struct session_settings *settings;
	/* owned: `domains` with A-labels for U-labels. NULL: not comparable */
	char **forms;
	size_t n_converted;
};

void policy_init(struct policy *p, const struct session_settings *settings);
void policy_done(struct policy *p);

/*
 * Converts the domains that are not ASCII, once. A preloading process calls it before it
 * forks; else the first recipient with an A-label does. UNAVAILABLE: the rest is tried
 * again on demand.
 */
enum names_result policy_convert(struct policy *p);

/* NULL, or the refusal of mail for the domain, in the form that stages compare. */
const struct reply *policy_judge_domain(struct policy *p, struct span domain);
