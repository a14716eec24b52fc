/* What this host accepts: the first stage. The other half of policy is the gates of the
 * verb table. */
#pragma once

#include "smtp/names.h"
#include "smtp/settings.h"
#include "smtp/tx.h"

#define HOPS_MAX 100 /* Received: fields that make a loop, RFC 5321 6.3 */

struct policy {
	struct stage stage;
	const struct session_settings *settings;
	/*
	 * owned: `domains` with U-labels as A-labels, as far as they are converted. NULL:
	 * not to be compared
	 */
	char **forms;
	size_t n_converted;
};

void policy_init(struct policy *p, const struct session_settings *settings);
void policy_done(struct policy *p);

/*
 * Converts `domains` that are not ASCII, once; else the first recipient with an A-label
 * does. Processes that are forked afterwards need not. UNAVAILABLE: what is left is tried
 * again when it is needed.
 */
enum names_result policy_convert(struct policy *p);

/* NULL, or why mail for the domain is not accepted; a domain as stages compare it. */
const struct reply *policy_judge_domain(struct policy *p, struct span domain);
