/* SPDX-License-Identifier: ISC */
/*
 * The first stage: decides which mail this host accepts. verbs.c checks TLS, login and
 * the order of commands.
 */
#pragma once

#include "smtp/names.h"
#include "smtp/settings.h"
#include "smtp/tx.h"

#define HOPS_MAX 100 /* Received fields that indicate a loop, RFC 5321 6.3 */

struct policy {
	struct stage stage;
	const struct session_settings *settings;
	/* owned: `domains`, with A-labels in place of U-labels; NULL: not comparable */
	char **forms;
	size_t n_converted;
};

void policy_init(struct policy *p, const struct session_settings *settings);
void policy_done(struct policy *p);

/*
 * Converts the domains that are not ASCII, once. A preloading process calls it before it
 * forks; otherwise the first recipient with an A-label causes the call. UNAVAILABLE: the
 * remaining domains are tried again at the next call.
 */
enum names_result policy_convert(struct policy *p);

/*
 * Returns NULL, or the refusal of mail for the domain. `domain` has the form that stages
 * compare.
 */
const struct reply *policy_judge_domain(struct policy *p, struct span domain);
