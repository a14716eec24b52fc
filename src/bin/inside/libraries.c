/* SPDX-License-Identifier: ISC */
/*
 * The modules of a static program: their tables are linked into it, and nothing is
 * loaded. This file replaces edge/module.c.
 */
#include "edge/module.h"
#include <gnutls/gnutls.h>
#include <idn2.h>
#include <string.h>
#include "edge/idn/idn.h"
#include "edge/milter/milter.h"
#include "edge/tls/tls.h"
#if HAS_SASL
#include <gsasl.h>
#include "edge/auth/auth.h"
#endif

static const struct {
	const char *name;
	const void *table;
	bool uses_gnutls;
} tables[] = {
	{ TLS_MODULE_TABLE, &postern_tls, true },
	{ IDN_MODULE_TABLE, &postern_idn, false },
	{ MILTER_MODULE_TABLE, &postern_milter, false },
#if HAS_SASL
	{ SASL_MODULE_TABLE, &postern_sasl, true },
#endif
};

const char *module_inside(void)
{
	return "static, with GnuTLS " GNUTLS_VERSION ", libidn2 " IDN2_VERSION
#if HAS_SASL
	       ", GNU SASL " GSASL_VERSION
#endif
	       ", without PKCS#11";
}

void module_directory(struct buf *ret_path)
{
	*ret_path = (struct buf){ .p = ret_path->p, .cap = ret_path->cap };
	buf_put(ret_path, SPAN("/"));
	buf_terminate(ret_path);
}

int module_search(int (*take)(void *ctx, const char *path), void *ctx)
{
	(void)take;
	(void)ctx;
	return 0;
}

/*
 * COST: GnuTLS initialises itself here and not in its constructor (SKIP below), which
 * saves a session in the clear 0.2 ms (compared CPU of starts); without it: the
 * constructor runs at every start.
 */
const void *module_load(
	const char *directory, const char *file, const char *name, const char **ret_error)
{
	(void)directory;
	for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++) {
		if (strcmp(name, tables[i].name) != 0)
			continue;
		/* the functions of the table detect a failure, as in a module */
		if (tables[i].uses_gnutls)
			gnutls_global_init();
		return tables[i].table;
	}
	(void)file;
	*ret_error = "left out of this static program";
	return NULL;
}

const void *module_load_whole(
	const char *directory, const char *file, const char *name, const char **ret_error)
{
	return module_load(directory, file, name, ret_error);
}

void module_put_fault(
	struct buf *to, const char *directory, const char *file, const char *error)
{
	(void)directory;
	buf_put_str(to, file);
	buf_put(to, SPAN(": "));
	buf_put_str(to, error);
	buf_put(to, SPAN("; build postern with it (meson_options.txt)"));
	buf_terminate(to);
}

/* GnuTLS's constructor asks this function (GNUTLS_SKIP_GLOBAL_INIT in its manual). */
int _gnutls_global_init_skip(void);

int _gnutls_global_init_skip(void)
{
	return 1;
}
