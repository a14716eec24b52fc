/* SPDX-License-Identifier: ISC */
/*
 * Internationalized names: the module idn.so, and its use by the engine (smtp/names.h).
 * libidn2 and libunistring are loaded with the module at the first address that is not
 * ASCII. GnuTLS loads them, too, so inside TLS tls.so has the same functions.
 */
#pragma once

#include "edge/module.h"
#include "smtp/names.h"

struct log;

#define IDN_MODULE "idn.so"
#define IDN_MODULE_TABLE MODULE_TABLE("postern_idn")
#define IDN_FAULT_MAX 512 /* octets of a fault */

/* The functions of struct names. UNAVAILABLE: out of memory. */
struct idn_api {
	enum names_result (*domain)(struct span domain, struct buf *to);
	enum names_result (*local)(struct span local, struct buf *to);
};

/* The table; both modules have it. */
extern const struct idn_api postern_idn __asm__(IDN_MODULE_TABLE);

/* The implementation of struct names, which loads the module at the first use. */
struct idn_names {
	struct names names;
	const char *modules; /* directory of the modules */
	/* receives one line when the module is needed but cannot be loaded */
	struct log *log;
	const struct idn_api *api;
	bool tried; /* loading was tried */
	char fault[IDN_FAULT_MAX]; /* why it could not be loaded */
};

/* Prepares `n`. No module is loaded yet. */
void idn_names_init(struct idn_names *n, const char *modules, struct log *log);

/* Uses the functions of another module, so that none is loaded for them. */
void idn_names_lend(struct idn_names *n, const struct idn_api *api);
