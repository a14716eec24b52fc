/* SPDX-License-Identifier: ISC */
/*
 * Internationalized names: the module idn.so, and its use by the engine (smtp/names.h).
 * libidn2 and libunistring are loaded with the module, when an address that is not ASCII
 * comes. They come with GnuTLS, too: inside TLS tls.so has the same functions.
 */
#pragma once

#include "smtp/names.h"

struct log;

#define IDN_MODULE "idn.so"
#define IDN_MODULE_TABLE "postern_idn"
#define IDN_FAULT_MAX 512 /* one fault, as a line */

/* As struct names has them. UNAVAILABLE: there is no memory. */
struct idn_api {
	enum names_result (*domain)(struct span domain, struct buf *to);
	enum names_result (*local)(struct span local, struct buf *to);
};

/* In both modules. */
extern const struct idn_api postern_idn;

/* What the engine uses: it loads the module once it needs it. */
struct idn_names {
	struct names names;
	const char *modules; /* their directory */
	/* gets one line where the module is needed and cannot be loaded */
	struct log *log;
	const struct idn_api *api;
	bool tried; /* to load it */
	char fault[IDN_FAULT_MAX]; /* why it was not loaded */
};

/* Loads nothing yet. */
void idn_names_init(struct idn_names *n, const char *modules, struct log *log);

/* Another module has the functions: none is loaded for them. */
void idn_names_lend(struct idn_names *n, const struct idn_api *api);
