/* One connection from its greeting to its end. */
#pragma once

#include "bin/proxy-and-rules.h"
#include "bin/preload.h"
#include "edge/sandbox/sandbox.h"
#include "edge/idn/idn.h"
#include "edge/log/log.h"
#include "edge/auth/auth.h"
#include "edge/net/net.h"
#include "smtp/session.h"

/* for a TLS handshake; `timeout` holds for each wait inside */
#define HANDSHAKE_SECONDS 60

struct serve {
	struct stream *stream;
	struct session *session;
	struct log *log;
	struct config *config; /* which the rule for the client may change */
	const char *modules; /* their directory */
	const struct warm *warm; /* what is loaded already; NULL: nothing */
	struct confine *confine; /* NULL without a sandbox */
	struct logins *logins; /* NULL: nobody can log in */
	struct idn_names *names;
	struct notify *notify;
	struct trace_file *trace; /* NULL: this session is not written down */

	/* Filled when TLS is first needed. */
	const struct tls_api *api;
	struct tls_credentials *credentials;
	bool tls_tried; /* to get them */
	char fault[TLS_FAULT_TEXT];
};

/* The time, in both ways. */
struct moment moment_now(void);

/* Serves the connection until it is over; records are written by then. */
void serve(struct serve *v);
