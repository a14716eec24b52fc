/* SPDX-License-Identifier: ISC */
/* Lines of the settings file, of tables in text, and of clients files. */
#pragma once

#include <stdint.h>
#include "base/buf.h"
#include "base/span.h"
#include "base/words.h"
#include "proto/network.h"

enum conf_line {
	CONF_BLANK, /* nothing, or a comment: "#" in front */
	CONF_PAIR,
	CONF_SYNTAX, /* no "=", or no key */
};

/* line = key *WSP "=" *WSP [value] *WSP. Borrows from `line`, which has no line end. */
enum conf_line conf_parse(struct span line, struct span *ret_key, struct span *ret_value);

/*
 * Parses `number [unit]`. `units` has the allowed letters, in either case, and `factors`
 * the factor of each. False for any other text, and for a value above UINT64_MAX.
 */
bool conf_quantity(
	struct span text, const char *units, const uint64_t *factors, uint64_t *ret);

/*
 * Returns the word that was probably meant: it differs in one or two letters, is a part
 * of `text`, or contains it. "_" equals "-"; case is ignored. NULL: no word is close
 * enough.
 */
const char *conf_nearest(struct span text, const struct words *words);

#define CONF_MEANT_MAX 48

/* Appends "; did you mean tls-key?", or nothing. */
void conf_put_meant(
	char to[static CONF_MEANT_MAX], struct span text, const struct words *words);

/*
 * Like conf_put_meant() for options: "; did you mean --check?" The names have no "--";
 * the name of an option with a value may end in "=".
 */
void conf_put_meant_option(
	char to[static CONF_MEANT_MAX], const char *written, const struct words *names);

/* One line of a table in text: a key and its value. */

#define ENTRY_KEY_MAX 1024 /* octets; an address is shorter */
#define ENTRY_VALUE_MAX 4096 /* octets */
#define ENTRY_SHOWN_MAX 80 /* octets of a word in a sentence, "..." included */

enum entry_line {
	ENTRY_BLANK, /* nothing, or a comment: "#" in front */
	ENTRY_FINE,
	ENTRY_WRONG,
};

/*
 * line = key [ 1*WSP value ] *WSP
 *
 * A key has no blanks. A missing value is returned as an empty one. The results borrow
 * from `line`, which has no line end. With ENTRY_WRONG only *ret_what is set: a predicate
 * that describes the fault.
 */
enum entry_line entry_parse(struct span line, struct span *ret_key,
	struct span *ret_value, const char **ret_what);

/* Appends a word for a message: unprintable octets as \xHH, a long one cut with "...". */
void entry_show(struct buf *to, struct span word);

/* One line of a clients file: a network, and the rule for its clients. */

#define RULE_TEXT_MAX 256 /* the text of a 554 reply; a reply has room for it */

enum rule_tls {
	RULE_TLS_AS_SET, /* by the setting */
	RULE_TLS_OFF,
	RULE_TLS_ON,
	RULE_TLS_REQUIRED,
};

struct rule {
	struct network network;
	struct span deny; /* the text; empty: not denied */
	enum rule_tls tls;
	struct span priority; /* GnuTLS's string; empty: as set */
	bool no_dsn; /* DSN is not offered */
	bool unfiltered; /* no filter is asked about its mail */
	bool proxy; /* it must send a PROXY header */
	size_t line; /* its number in the file */
};

struct rule_fault {
	struct span word; /* the wrong word; may be empty */
	const char *what; /* rest of the sentence */
	struct span written; /* the part of `word` that is none of `words` */
	const struct words *words; /* what may stand in its place; or NULL */
};

enum rule_line {
	RULE_BLANK, /* nothing, or a comment: "#" in front */
	RULE_FINE,
	RULE_WRONG,
};

/*
 * line   = [ network *( 1*WSP option ) ] *WSP
 * option = "proxy" / "tls=" ( "off" / "on" / "required" / "ssl" ) /
 *          "tls-priority=" 1*VCHAR / "dsn=off" / "milters=off" /
 *          "deny" 1*WSP 1*( VCHAR / WSP )
 *
 * Each option once; "deny" alone, with what is left of the line. Borrows from `line`,
 * which has no line end. One of ret and ret_fault is filled.
 */
enum rule_line rule_parse(
	struct span line, struct rule *ret, struct rule_fault *ret_fault);
