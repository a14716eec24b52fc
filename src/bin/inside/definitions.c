/* SPDX-License-Identifier: ISC */
/*
 * GnuTLS's ASN.1 definitions in a static program. libtasn1 makes two trees of them when
 * GnuTLS initialises itself, of 105 KiB in each process: a quarter of what a connection
 * after TLS has. A connection that waits frees them. They are made again when it reads a
 * certificate or a key after that. The trees and what they are made of are GnuTLS's own;
 * the names have been the same since GnuTLS 3.0.
 */
#include <libtasn1.h>
#include <stddef.h>
#include <string.h>
#include "edge/module.h"

extern asn1_node _gnutls_pkix1_asn, _gnutls_gnutls_asn;
extern const asn1_static_node pkix_asn1_tab[], gnutls_asn1_tab[];

/* The linker gives all callers these two for one function. */
int __real_asn1_create_element(
	asn1_node_const definitions, const char *name, asn1_node *ret);
int __wrap_asn1_create_element(
	asn1_node_const definitions, const char *name, asn1_node *ret);

void module_rest(void)
{
	asn1_delete_structure(&_gnutls_pkix1_asn);
	asn1_delete_structure(&_gnutls_gnutls_asn);
}

/* The caller read its tree where module_rest() has left NULL. */
static asn1_node_const make_definitions(const char *name)
{
	bool of_gnutls = strncmp(name, "GNUTLS.", 7) == 0;
	asn1_node *tree = of_gnutls ? &_gnutls_gnutls_asn : &_gnutls_pkix1_asn;

	if (!*tree)
		asn1_array2tree(of_gnutls ? gnutls_asn1_tab : pkix_asn1_tab, tree, NULL);
	return *tree;
}

int __wrap_asn1_create_element(
	asn1_node_const definitions, const char *name, asn1_node *ret)
{
	if (!definitions)
		definitions = make_definitions(name);
	return __real_asn1_create_element(definitions, name, ret);
}
