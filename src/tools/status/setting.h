/* What the settings say, and the certificates that they name. */
#pragma once

#include "edge/settings/settings.h"

#define STATUS_FAULTS_MAX 8 /* that are told; the others are counted */

struct status_setting {
	const char *path; /* of the settings file */
	struct config config;
	bool known; /* the file could be read */
	char *directory; /* of that file */
	size_t n_certificates;
	struct tls_description certificates[TLS_PAIR_MAX];
	size_t n_faults;
	char faults[STATUS_FAULTS_MAX][CONFIG_FAULT_MAX];
	size_t n_hidden; /* files of pairs that we may not read */
	const char *hidden; /* the first of them */
};

/* "Off", "On", "SSL", as the panel of a device calls it; "Implicit"; "unknown" */
const char *status_setting_word(const struct status_setting *s);

/* Reads the settings file alone. */
void status_setting_read(struct status_setting *s, const char *path);

/* Looks at certificates and keys, where TLS is used at all: only then is GnuTLS loaded. */
void status_setting_look(struct status_setting *s);

void status_setting_done(struct status_setting *s);
