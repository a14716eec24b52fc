/* SPDX-License-Identifier: ISC */
/* The filters of the command line by type and size. */
#include "tools/extract/extract.h"
#include "base/num.h"

static struct span take_item(struct span *rest)
{
	const char *comma = rest->n ? memchr(rest->p, ',', rest->n) : NULL;
	struct span item = { rest->p, comma ? (size_t)(comma - rest->p) : rest->n };

	*rest = span_from(*rest, item.n + (comma != NULL));
	return span_trim(item);
}

/* Splits TYPE/SUBTYPE. False: the item has no slash, or a half is empty. */
static bool cut_type(struct span item, struct span *ret_type, struct span *ret_subtype)
{
	const char *slash = item.n ? memchr(item.p, '/', item.n) : NULL;

	if (!slash)
		return false;
	*ret_type = (struct span){ item.p, (size_t)(slash - item.p) };
	*ret_subtype = span_from(item, ret_type->n + 1);
	return ret_type->n && ret_subtype->n &&
	       !memchr(ret_subtype->p, '/', ret_subtype->n);
}

const char *extract_types_fault(const char *list)
{
	struct span rest = span_of(list), type, subtype;

	do {
		struct span item = take_item(&rest);

		if (item.n > 1 && *item.p == '.')
			continue;
		if (!cut_type(item, &type, &subtype))
			return "must be a list such as application/pdf,image/*,.pdf";
		if (memchr(type.p, '*', type.n))
			return "has an asterisk that is not behind a slash";
	} while (rest.n);
	return span_ends(span_of(list), SPAN(",")) ? "ends in a comma" : NULL;
}

static bool item_has(struct span item, struct span type, struct span name)
{
	struct span main, sub, wanted, wanted_sub;

	if (item.n && *item.p == '.')
		return name.n > item.n &&
		       span_ieq(span_from(name, name.n - item.n), item);
	return cut_type(type, &main, &sub) && cut_type(item, &wanted, &wanted_sub) &&
	       span_ieq(main, wanted) &&
	       (span_eq(wanted_sub, SPAN("*")) || span_ieq(sub, wanted_sub));
}

bool extract_types_have(const char *list, const char *type, const char *name)
{
	struct span rest = span_of(list);

	while (rest.n)
		if (item_has(take_item(&rest), span_of(type), span_of(name)))
			return true;
	return false;
}

bool extract_size_parse(const char *text, uint64_t *ret)
{
	static const char units[] = "KMG";
	struct span s = span_of(text);
	const char *unit = s.n ? strchr(units, ascii_upper(s.p[s.n - 1])) : NULL;
	unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
	uint64_t value;

	s.n -= unit != NULL;
	if (!num_parse(s, &value) || value > UINT64_MAX >> shift)
		return false;
	*ret = value << shift;
	return true;
}
