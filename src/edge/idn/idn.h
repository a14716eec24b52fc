/*
 * What the module idn.so offers: the tables of Unicode, as two functions. The program includes only this
 * page; libidn2 and libunistring are loaded with the module, when an address that is not ASCII comes. They come
 * with GnuTLS, too: inside TLS tls.so has the same functions.
 */
#pragma once

#include "smtp/names.h"

#define IDN_MODULE "idn.so"
#define IDN_MODULE_TABLE "postern_idn"

/* As struct names has them. UNAVAILABLE: there is no memory. */
struct idn_api {
	enum names_result (*domain)(struct span domain, struct buf *to);
	enum names_result (*local)(struct span local, struct buf *to);
};

/* In both modules. */
extern const struct idn_api postern_idn;
