/* One line of a clients file: a network, and what holds for the clients in it. */
#pragma once

#include "proto/network.h"

#define RULE_TEXT_MAX 256 /* what a denied client is told; a reply has room for it */

enum rule_tls {
	RULE_TLS_AS_SET, /* for everybody, by the setting */
	RULE_TLS_OFF,
	RULE_TLS_ON,
	RULE_TLS_REQUIRED,
};

struct rule {
	struct network network;
	struct span deny; /* the text; empty: not denied */
	enum rule_tls tls;
	struct span priority; /* GnuTLS's string; empty: as set */
	bool no_dsn; /* it is offered no delivery reports */
	bool proxy; /* it must send a PROXY header */
	size_t line; /* its number in the file */
};

struct rule_fault {
	struct span word; /* what is wrong; may be empty */
	const char *what; /* to be read behind it */
	struct span written; /* the part of `word` that is none of `words` */
	const char *const
		*words; /* what may stand in its place, NULL at the end; or NULL */
};

enum rule_line {
	RULE_BLANK, /* nothing, or a comment: "#" in front */
	RULE_FINE,
	RULE_WRONG,
};

/*
 * line   = [ network *( 1*WSP option ) ] *WSP
 * option = "proxy" / "tls=" ( "off" / "on" / "required" / "ssl" ) /
 *          "tls-priority=" 1*VCHAR / "dsn=off" / "deny" 1*WSP 1*( VCHAR / WSP )
 *
 * Each option once; "deny" alone, with what is left of the line. Borrows from `line`,
 * which has no line end. One of ret and ret_fault is filled.
 */
enum rule_line rule_parse(
	struct span line, struct rule *ret, struct rule_fault *ret_fault);
