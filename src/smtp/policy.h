/* What this host accepts: the first stage. The other half of policy is the gates of the
 * verb table. */
#pragma once

#include "smtp/settings.h"
#include "smtp/stage.h"

#define HOPS_MAX 100 /* Received: fields that make a loop, RFC 5321 6.3 */

struct policy {
	struct stage stage;
	const struct session_settings *settings;
};

void policy_init(struct policy *p, const struct session_settings *settings);

/* NULL, or why mail for the domain is not accepted; a domain as stages compare it. */
const struct reply *policy_judge_domain(
	const struct session_settings *settings, struct span domain);
