/* SPDX-License-Identifier: ISC */
/* The panel of postern-status, and the settings and certificates that it shows. */
#pragma once

#include "edge/settings/settings.h"
#include "tools/status/count.h"
#include "tools/status/view.h"

#define STATUS_FAULTS_MAX 8 /* faults shown; further ones are counted */

struct status_setting {
	const char *path; /* path of the settings file */
	struct config config;
	bool known; /* the settings file could be read */
	char *directory; /* directory of that file */
	size_t n_certificates;
	struct tls_description certificates[TLS_PAIR_MAX];
	size_t n_faults;
	char faults[STATUS_FAULTS_MAX][CONFIG_FAULT_MAX];
	size_t n_hidden; /* files of pairs without permission to read */
	const char *hidden; /* the first of these */
	/* the first of these that is a certificate; or NULL */
	const char *hidden_certificate;
};

/* Returns the word for the setting: "Off", "On", "SSL", "Implicit" or "unknown". */
const char *status_setting_word(const struct status_setting *s);

/* Reads only the settings file. */
void status_setting_read(struct status_setting *s, const char *path);

/* Checks certificates and keys. GnuTLS is loaded only if TLS is used. */
void status_setting_look(struct status_setting *s);

void status_setting_done(struct status_setting *s);

/* The content of the panel: settings, counts and last sessions. */

struct status_panel {
	const struct status_setting *setting;
	const struct status_counts *counts;
	const char *origin; /* file of records; NULL: the journal */
	const char *peer; /* the network of --peer, or NULL */
	int64_t window; /* seconds that are counted, since counts->since */
	bool moves; /* the window ends now, and moves with time */
	uint64_t n_skipped; /* lines that are not records */
	size_t n_sessions; /* sessions to show at most; 0: as many as fit */
};

/* sessions that are shown if the height is not limited */
#define STATUS_PANEL_SESSIONS 10

void status_panel_put(const struct status_panel *panel, const struct status_view *v);

/* Returns the reason why there are no records; NULL: there are some, or it is unknown. */
const char *status_why_none(const struct status_panel *p);

/* Shows the setting, the certificates, and their faults. */
void status_put_setting(const struct status_panel *p, const struct status_view *v);
/* Shows the counts. */
void status_put_counts(const struct status_panel *p, const struct status_view *v);
