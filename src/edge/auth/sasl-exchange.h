/* An exchange, and what libgsasl asks in the middle of it. */
#pragma once

#include <gsasl.h>
#include "edge/auth/sasl.h"

struct sasl {
	const struct sasl_settings *settings;
	Gsasl *library;
	Gsasl_session *session; /* of the exchange, or NULL */
	size_t n_steps;
	bool is_login;
	bool proven; /* the client's empty response is all that is missing */
	bool refused; /* whatever else comes */
	bool unavailable;
	char user[AUTH_USER_MAX];
	char value[TABLE_VALUE_MAX]; /* the user's; `verifier` is part of it */
	struct verifier verifier;
};

/*
 * Keeps the name that the client gives itself as it stands in the table (RFC 4013). False
 * for one that cannot: nobody logs in then, whatever else comes.
 */
bool sasl_set_user(struct sasl *s, const char *name);

/* libgsasl's callback: gives what it needs, and says who is right. */
int sasl_answer(Gsasl *library, Gsasl_session *session, Gsasl_property what);
