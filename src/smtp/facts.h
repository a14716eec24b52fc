/* What is known of the TLS layer below a session, as plain values: the engine never sees
 * a library. */
#pragma once

#include <stdbool.h>

#define FACT_MAX 64 /* cipher suite, group and version names */
#define FACT_NAME_MAX                                                                    \
	256 /* a server name as the client sent it; printable ASCII only, else dropped   \
	     */

struct tls_facts {
	char version[FACT_MAX]; /* "TLS1.3" */
	char cipher[FACT_MAX]; /* IANA's name, "TLS_AES_256_GCM_SHA384" (RFC 8314 7.4) */
	char group[FACT_MAX]; /* IANA's name, "x25519"; empty without one */
	char alpn[FACT_MAX];
	char sni[FACT_NAME_MAX];
	bool resumed;
	char error[FACT_NAME_MAX]; /* why the handshake failed, in the library's words;
				      else empty */
	char alert[FACT_MAX]; /* the alert that the peer sent, when one ended it, in the
				 RFC's words */
	char offered[FACT_NAME_MAX]; /* when it failed: the client's versions and suites,
					"TLS1.0 0x002f" */
};
