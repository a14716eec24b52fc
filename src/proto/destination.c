/* SPDX-License-Identifier: ISC */
/*
 * Parses keys and values of the recipients table. A line has one meaning, or it is
 * refused with the word that is wrong. Nothing is looked up here.
 */
#include "proto/destination.h"
#include "proto/address.h"
#include "proto/text.h"

static bool is_printable(struct span s)
{
	while (s.n) {
		size_t n = ascii_is_printable(*s.p) ? 1 : utf8_non_ascii(s);
		if (n == 0)
			return false;
		s = span_from(s, n);
	}
	return true;
}

const char *destination_path_fault(struct span path)
{
	struct span rest = path;

	while (rest.n) {
		struct span part = span_take(&rest, '/');
		if (span_eq(part, SPAN("..")))
			return "must not have .. in it";
		for (size_t i = 0; i < part.n; i++)
			if (part.p[i] == '%' &&
				(++i == part.n || !strchr("ud%", part.p[i])))
				return "may have %u, %d and %% in it, and no other %";
	}
	return NULL;
}

const char *destination_below_fault(struct span path)
{
	if (path.n && *path.p == '/')
		return "must be a path that begins at mail-root, without / in front";
	if (path.n > DESTINATION_PATH_MAX)
		return "has more than 512 octets";
	if (!is_printable(path))
		return "must be printable, in ASCII or UTF-8";
	return destination_path_fault(path);
}

/* The flag of that name, or NULL. */
static bool *find_flag(struct destination *d, struct span word)
{
	if (span_eq(word, SPAN("auth")))
		return &d->auth;
	if (span_eq(word, SPAN("milters=off")))
		return &d->unfiltered;
	return span_eq(word, SPAN("deny")) ? &d->deny : NULL;
}

static const char *take_flag(struct destination *d, bool *flag)
{
	if (*flag)
		return "is given twice";
	*flag = true;
	return d->deny && (d->auth || d->unfiltered || d->paths.n)
		       ? "cannot be combined with other words"
		       : NULL;
}

/*
 * Refuses a path that looks like an address, an alias or a shell path: it is probably a
 * mistake.
 */
static const char *place_fault(struct span path)
{
	bool is_plain =
		path.n && !memchr(path.p, '/', path.n) && !memchr(path.p, '%', path.n);

	if (is_plain && memchr(path.p, '@', path.n))
		return "is an address, and mail is not forwarded: name a path below "
		       "mail-root; ./ in front makes it one";
	if (path.n && (*path.p == '|' || *path.p == ':'))
		return "is no program and no list, as in aliases(5): name a path below "
		       "mail-root; ./ in front makes it one";
	if (span_starts(path, SPAN("milters=")))
		return "must be milters=off; ./ in front makes it a mailbox";
	if (path.n && *path.p == '~')
		return "has ~, which no shell expands here: name a path below mail-root";
	return destination_below_fault(path);
}

static bool has_commas(struct span path)
{
	return path.n > 1 && path.p[0] == '.' && path.p[1] == '/';
}

struct span destination_take_path(struct span *paths)
{
	const char *comma = has_commas(*paths) ? NULL : memchr(paths->p, ',', paths->n);
	struct span path = { paths->p, comma ? (size_t)(comma - paths->p) : paths->n };

	*paths = span_from(*paths, path.n + (comma != NULL));
	return path;
}

/* True when the list has the same path before this place. */
static bool is_twice(struct span list, struct span path)
{
	struct span earlier;

	do
		earlier = destination_take_path(&list);
	while (!span_eq(earlier, path));
	return earlier.p != path.p;
}

/* Returns NULL, or the fault of one of the paths. */
static const char *list_fault(struct span list, struct span *ret_word)
{
	struct destination none = { .auth = false };
	struct span rest = list;
	const char *what = NULL;
	bool ends = false;

	for (size_t n = 1; !ends && !what; n++) {
		struct span path = destination_take_path(&rest);
		ends = path.p + path.n == list.p + list.n;
		*ret_word = path.n ? path : list;
		if (path.n == 0)
			what = "has a comma beside no name: write names with one comma "
			       "between them and no blank";
		else if (n > DESTINATION_PATHS_MAX)
			what = "is one mailbox too many: a line has 16 at most";
		else if (find_flag(&none, path))
			what = "is no mailbox: write it behind a blank; ./ in front "
			       "makes it one";
		else if (is_twice(list, path))
			what = "is named twice";
		else
			what = place_fault(path);
	}
	return what;
}

bool destination_parse(
	struct span value, struct destination *ret, struct destination_fault *ret_fault)
{
	static const char *const flags[] = { "auth", "deny", "milters=off" };
	static const struct words names = WORDS_OF(flags);
	const struct words *words = NULL;
	struct destination d = { .paths = { value.p, 0 } };
	struct span rest = value, word = { value.p, 0 };
	const char *what = NULL;

	for (bool first = true; rest.n && !what; first = false) {
		bool *flag;
		word = span_take_word(&rest);
		flag = find_flag(&d, word);
		if (flag) {
			what = take_flag(&d, flag);
		} else if (first) {
			d.paths = word;
			what = list_fault(d.paths, &word);
		} else {
			what = "is not auth, deny or milters=off";
			words = &names;
		}
	}
	if (what)
		*ret_fault = (struct destination_fault){ word, what, words };
	else
		*ret = d;
	return !what;
}

void destination_key_cut(struct span key, struct span *ret_local, struct span *ret_domain)
{
	size_t n = key.n;

	while (n && key.p[n - 1] != '@')
		n--;
	*ret_domain = n ? span_from(key, n) : span_from(key, key.n);
	*ret_local = (struct span){ key.p, n ? n - 1 : key.n };
}

static bool has_capitals(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (ascii_lower(s.p[i]) != s.p[i])
			return true;
	return false;
}

/* RFC 5321 4.5.3.1.3: a longer path, including its brackets, is refused. */
static bool is_too_long(struct span key, struct span local)
{
	/* other forms of a name may be shorter */
	bool has_forms = !utf8_is_ascii(key) || memmem(key.p, key.n, "xn--", 4);

	/* at least one octet of a domain */
	return !has_forms && key.n + (local.n == key.n ? 2 : 0) + 2 > PATH_OCTETS_MAX;
}

static const char *local_fault(struct span local)
{
	if (!is_printable(local))
		return "must be printable, in ASCII or UTF-8";
	if (memchr(local.p, '"', local.n))
		return "must be without quotes";
	if (span_ends(local, SPAN(",")) || span_ends(local, SPAN(":")))
		return "is no address: a line is a name, a blank and a path, without "
		       "commas and colons";
	if (span_eq(local, SPAN("*")))
		return "is no name: for all others of a domain write @domain";
	return NULL;
}

const char *destination_key_fault(struct span key)
{
	struct span local, domain;

	destination_key_cut(key, &local, &domain);
	if (local.n == key.n && key.n == 0)
		return "is no address";
	if (local.n < key.n && !utf8_is_ascii(domain))
		return "must have its domain as A-labels (xn--...)";
	if (local.n < key.n && !domain_valid(domain))
		return "is no address: its domain cannot be one";
	if (has_capitals(key))
		return "must be in lower case";
	if (is_too_long(key, local))
		return "is longer than any address may be (254 octets)";
	return local_fault(local);
}
