/* One line of the settings file. */
#pragma once

#include <stdint.h>
#include "base/span.h"

enum conf_line {
	CONF_BLANK, /* nothing, or a comment: "#" in front */
	CONF_PAIR,
	CONF_SYNTAX, /* no "=", or no key */
};

/* line = key *WSP "=" *WSP [value] *WSP. Borrows from `line`, which has no line end. */
enum conf_line conf_parse(struct span line, struct span *ret_key, struct span *ret_value);

/*
 * number [unit]. `units` is the letters allowed and `factors` what they multiply by;
 * either case. False when it is not that, or above UINT64_MAX.
 */
bool conf_quantity(
	struct span text, const char *units, const uint64_t *factors, uint64_t *ret);

/*
 * The word of a list (NULL ends it) that was perhaps meant: with one or two letters changed, or that is a part of
 * `text` or has it in it. "_" is "-", and letters have no case. NULL: none is near.
 */
const char *conf_nearest(struct span text, const char *const *words);

#define CONF_MEANT_MAX 48

/* "; did you mean tls-key?", or nothing. */
void conf_put_meant(
	char to[static CONF_MEANT_MAX], struct span text, const char *const *words);
