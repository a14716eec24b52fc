/* What is known of the TLS layer below a session, as plain values: the engine sees no library. */
#pragma once

#include <stdbool.h>

#define FACT_MAX 64 /* names of versions, cipher suites and groups */
#define FACT_NAME_MAX 256 /* a server name, or a sentence */

struct tls_facts {
	char version[FACT_MAX]; /* "TLS1.3" */
	char cipher[FACT_MAX]; /* IANA's name, "TLS_AES_256_GCM_SHA384" (RFC 8314 7.4) */
	char group[FACT_MAX]; /* IANA's name, "x25519"; empty without one */
	char alpn[FACT_MAX];
	char sni[FACT_NAME_MAX]; /* as the client sent it: graphic ASCII, else dropped */
	bool resumed;
	char error[FACT_NAME_MAX]; /* why the handshake failed, in the library's words */
	char alert[FACT_MAX]; /* the alert that the peer sent, in the RFC's words */
	/* when it failed: the client's versions and suites, "TLS1.0 0x002f" */
	char offered[FACT_NAME_MAX];
};
