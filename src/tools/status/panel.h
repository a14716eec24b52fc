/* SPDX-License-Identifier: ISC */
/* The panel, and the settings and certificates that it shows. */
#pragma once

#include "edge/settings/settings.h"
#include "tools/status/count.h"
#include "tools/status/view.h"

#define STATUS_FAULTS_MAX 8 /* faults shown; further ones are counted */

struct status_setting {
	const char *path; /* of the settings file */
	struct config config;
	bool known; /* the settings file could be read */
	char *directory; /* of that file */
	size_t n_certificates;
	struct tls_description certificates[TLS_PAIR_MAX];
	size_t n_faults;
	char faults[STATUS_FAULTS_MAX][CONFIG_FAULT_MAX];
	size_t n_hidden; /* files of pairs without permission to read */
	const char *hidden; /* the first of them */
	const char *hidden_certificate; /* the first that is a certificate; or NULL */
};

/* "Off", "On", "SSL", as the panel of a device calls it; "Implicit"; "unknown" */
const char *status_setting_word(const struct status_setting *s);

/* Reads only the settings file. */
void status_setting_read(struct status_setting *s, const char *path);

/* Checks certificates and keys. GnuTLS is loaded only if TLS is used. */
void status_setting_look(struct status_setting *s);

void status_setting_done(struct status_setting *s);

/* The panel: settings, counts and last sessions. */

struct status_panel {
	const struct status_setting *setting;
	const struct status_counts *counts;
	const char *origin; /* a file, or NULL: the journal */
	const char *peer; /* the network of --peer, or NULL */
	int64_t window; /* seconds that are counted, since counts->since */
	bool moves; /* the window ends now, and moves on */
	uint64_t n_skipped; /* lines that are not records */
	size_t n_sessions; /* to show at most; 0: as many as fit */
};

#define STATUS_PANEL_SESSIONS 10 /* where any number fits */

void status_panel_put(const struct status_panel *panel, const struct status_view *v);

/* Why there are no records; NULL: there are some, or it is not known. */
const char *status_why_none(const struct status_panel *p);

/* The setting, the certificates, and their faults. */
void status_put_setting(const struct status_panel *p, const struct status_view *v);
/* The counts. */
void status_put_counts(const struct status_panel *p, const struct status_view *v);
