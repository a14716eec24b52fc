/*
 * What a listener gets ready once for all its connections: modules, certificates and keys. Every connection
 * still reads its own settings, and uses what is ready where they ask for the same.
 */
#pragma once

#include <sys/stat.h>
#include "edge/config.h"
#include "edge/sasl.h"

/* the settings file, that of rules, the ticket key, authorities, certificates and keys */
#define WARM_FILES_MAX (2 * TLS_PAIR_MAX + 4)

/* A file as it was when it was read. */
struct warm_file {
	const char *path;
	bool there;
	struct stat st;
};

struct options;

struct warm {
	const struct options *options;
	const char *modules; /* their directory */
	const char *credentials_directory;
	void (*report)(void *ctx, const char *fault);
	void *ctx;
	struct config *config; /* owned: as it was read last */
	const struct tls_api *api; /* NULL: nobody needs TLS, or it cannot be had */
	const struct sasl_api *sasl; /* NULL: nobody logs in, or it cannot be had */
	struct tls_credentials *credentials; /* NULL: none that can be used */
	struct config *lent; /* owned: what they borrow from; may be the other one */
	char fault[TLS_FAULT_TEXT]; /* the first thing wrong when they were last read */
	struct warm_file files[WARM_FILES_MAX];
	size_t n_files;
};

/* Reads settings and credentials; `w` has its first five members. Faults go to `report`. 0 or -ENOMEM. */
int warm_up(struct warm *w);

/*
 * Reads anew what has changed since. Credentials that have become unusable are told of,
 * and the old ones kept.
 */
void warm_refresh(struct warm *w);

/* True when a connection with these settings can use what is ready. */
bool warm_fits(const struct warm *w, const struct tls_settings *settings);
