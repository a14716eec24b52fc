/* SPDX-License-Identifier: ISC */
/*
 * The places where mail for a recipient may go, in order: by a line of the recipients
 * table, by the name of a Maildir, and the catch-all. The places are always below
 * mail-root, and of several lines of a table the most specific one applies. mailbox.c
 * opens the directories.
 */
#include "edge/store/store.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "edge/store/mailbox-walk.h"
#include "edge/store/users.h"
#include "edge/table/table.h"
#include "proto/destination.h"
#include "proto/conf.h"
#include "proto/text.h"

/* The values of %u and %d. */
struct expansion {
	struct span local, domain;
};

enum search_step {
	STEP_NAMED,
	STEP_BASE,
	STEP_POSTMASTER,
	STEP_CATCH_ALL,
	STEP_OVER,
};

/* Returns the octets of the first character if a file name may have it; 0: it may not. */
static size_t name_length(struct span s)
{
	char c = *s.p;

	return ascii_is_printable(c) && c != '/' ? 1 : utf8_non_ascii(s);
}

static bool is_component(struct span value)
{
	if (value.n == 0 || value.n > NAME_MAX || value.p[0] == '.')
		return false;
	while (value.n) {
		size_t n = name_length(value);
		if (n == 0)
			return false;
		value = span_from(value, n);
	}
	return true;
}

const char *users_name_fault(const char *name)
{
	for (const char *p = name; *p; p++)
		if (ascii_lower(*p) != *p)
			return "has a capital letter, and recipients are looked up in "
			       "lower case";
	return is_component(span_of(name))
		       ? NULL
		       : "is no name of a recipient: it begins with "
			 "a dot, or has a slash, a control character "
			 "or an octet that is not UTF-8, or is longer "
			 "than 255 octets";
}

/* Appends lower case. Text that is not ASCII is in lower case already. */
static void put_lower(struct buf *to, struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		buf_put_char(to, ascii_lower(s.p[i]));
}

/* Appends the value as part of a file name. */
static bool put_component(struct buf *to, struct span value)
{
	if (!is_component(value))
		return false;
	put_lower(to, value);
	return true;
}

static bool put_part(struct buf *to, char what, const struct expansion *e)
{
	switch (what) {
	case 'u':
		return put_component(to, e->local);
	case 'd':
		return put_component(to, e->domain);
	default:
		buf_put_char(to, what);
		return true;
	}
}

static enum recipients_result expand(
	struct span template, const struct expansion *e, struct recipients_place *ret)
{
	struct buf path = BUF(ret->path);
	bool is_fixed = true;

	ret->n_fixed = 0;
	for (size_t i = 0; i < template.n; i++) {
		if (template.p[i] == '/' && is_fixed)
			ret->n_fixed = path.n;
		if (template.p[i] != '%') {
			buf_put_char(&path, template.p[i]);
			continue;
		}
		is_fixed &= template.p[++i] == '%';
		if (!put_part(&path, template.p[i], e))
			return RECIPIENTS_NAME;
	}
	if (is_fixed)
		ret->n_fixed = path.n;
	return buf_terminate(&path) ? RECIPIENTS_FOUND : RECIPIENTS_LONG;
}

static bool has_part(struct span template, char what)
{
	for (size_t i = 0; i + 1 < template.n; i++)
		if (template.p[i] == '%' && template.p[++i] == what)
			return true;
	return false;
}

/*
 * True if the template has only the parts in `known`, which a line of the table
 * determines.
 */
static bool is_named(struct span template, const char *known)
{
	return (strchr(known, 'u') || !has_part(template, 'u')) &&
	       (strchr(known, 'd') || !has_part(template, 'd'));
}

/*
 * True if an address gives a directory the name of a part of a Maildir. Then mail-root,
 * or the directory of a domain, may be a Maildir itself, or would look like one.
 */
static bool names_part(struct span template, const char *path)
{
	for (size_t i = 0; i < template.n; path += *path == '/', i++) {
		const struct span name = { path, strcspn(path, "/") };
		bool is_made_up = false;
		for (; i < template.n && template.p[i] != '/'; i++)
			is_made_up |= template.p[i] == '%';
		if (is_made_up &&
			(span_eq(name, SPAN("new")) || span_eq(name, SPAN("cur")) ||
				span_eq(name, SPAN("tmp"))))
			return true;
		path += name.n;
	}
	return false;
}

static enum recipients_result place(const struct recipients_search *s,
	struct span template, const struct expansion *e, const char *known,
	struct recipients_place *ret)
{
	enum create_choice create = s->rs->create;
	enum recipients_result r = expand(template, e, ret);

	ret->is_named = is_named(template, known);
	ret->may_create = create == CREATE_AUTO ? ret->is_named : create == CREATE_YES;
	ret->is_part = r == RECIPIENTS_FOUND && !ret->is_named &&
		       names_part(template, ret->path);
	ret->home = (struct home){ .is_set = false };
	ret->local = e->local;
	ret->domain = e->domain;
	return r;
}

/*
 * Makes the fault as in --check, but without the number of the line, which a cdb does not
 * have.
 */
static enum recipients_result fail(
	struct recipients_search *s, struct span word, struct span more, const char *what)
{
	const char *path = s->rs->table_path;
	struct buf b = { .p = s->fault, .cap = sizeof(s->fault) };
	struct span words[] = { word, more };

	buf_put_str(&b, path ? path : "recipients");
	for (size_t i = 0; i < 2; i++) {
		if (!words[i].n)
			continue;
		buf_put(&b, SPAN(": "));
		entry_show(&b, words[i]);
	}
	buf_put(&b, SPAN(": "));
	buf_put_str(&b, what);
	s->fault[b.n < sizeof(s->fault) ? b.n : sizeof(s->fault) - 1] = '\0';
	return RECIPIENTS_FAILED;
}

/* Applies the line of the table for the recipient. */
static enum recipients_result apply_line(struct recipients_search *s, struct span key,
	struct span value, const struct expansion *e, const char *known,
	struct recipients_place *ret)
{
	struct destination d;
	struct destination_fault fault;

	if (!destination_parse(span_trim(value), &d, &fault))
		return fail(s, key, fault.word, fault.what);
	if (d.deny) {
		s->next = STEP_OVER;
		return RECIPIENTS_UNKNOWN;
	}
	if (d.auth && !s->logged_in)
		return RECIPIENTS_AUTH;
	s->also = d.paths;
	s->user = e->local;
	s->host = e->domain;
	s->known = known;
	s->unfiltered = d.unfiltered;
	return d.paths.n ? recipients_also(s, ret)
			 : place(s, span_of(s->rs->template), e, known, ret);
}

char *recipients_address(const struct recipients_place *place)
{
	/* each octet may get a backslash */
	struct buf b = { .cap = 2 * place->local.n + place->domain.n + sizeof("\"\"@") };

	b.p = malloc(b.cap);
	if (!b.p)
		return NULL;
	local_put(place->local, &b);
	buf_put_char(&b, '@');
	put_lower(&b, place->domain);
	buf_terminate(&b);
	return b.p;
}

enum recipients_result recipients_also(
	struct recipients_search *s, struct recipients_place *ret)
{
	const struct expansion e = { s->user, s->host };

	return s->also.n ? place(s, destination_take_path(&s->also), &e, s->known, ret)
			 : RECIPIENTS_UNKNOWN;
}

/* Searches one key, which has an "@" if it has a domain, and is written to *key. */
static enum table_found find_key(const struct table *table, struct span local,
	const struct span *domain, struct buf *key, struct buf *ret_value)
{
	/* the line of an address would match */
	if (!domain && memchr(local.p, '@', local.n))
		return TABLE_ABSENT;
	buf_put(key, local);
	if (domain) {
		buf_put_char(key, '@');
		put_lower(key, *domain);
	}
	if (key->overflow)
		return TABLE_ABSENT;
	return table_find(table, buf_span(key), ret_value);
}

/* Searches from the most specific line to the least. UNKNOWN: there is none. */
static enum recipients_result look_up(struct recipients_search *s,
	const struct expansion *whole, struct span base, struct recipients_place *ret)
{
	const struct {
		struct span local; /* local part of the key */
		bool has_domain;
		struct span user; /* value of %u */
		const char *known;
	} keys[] = {
		{ whole->local, true, whole->local, "ud" },
		{ base, true, base, "ud" },
		{ whole->local, false, whole->local, "u" },
		{ base, false, base, "u" },
		{ SPAN(""), true, base, "d" },
	};

	/* otherwise the line of the whole domain would match */
	if (whole->local.n == 0)
		return RECIPIENTS_NAME;
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		const struct expansion e = { keys[i].user, whole->domain };
		char key_octets[NAMES_LOCAL_MAX + 1 + DOMAIN_OCTETS_MAX];
		struct buf value = BUF(s->line), key = BUF(key_octets);
		/* without a subaddress it is the key above */
		if (i % 2 && base.n == whole->local.n)
			continue;
		switch (find_key(s->rs->table, keys[i].local,
			keys[i].has_domain ? &whole->domain : NULL, &key, &value)) {
		case TABLE_FOUND:
			return apply_line(s, buf_span(&key), buf_span(&value), &e,
				keys[i].known, ret);
		case TABLE_ABSENT:
			break;
		case TABLE_FAILED:
			return fail(
				s, buf_span(&key), SPAN(""), "the table cannot be read");
		}
	}
	return RECIPIENTS_UNKNOWN;
}

void recipients_put_marker_fault(
	char words[static RECIPIENTS_WORDS_MAX], const char *marker, int error)
{
	if (error == ENOENT)
		snprintf(words, RECIPIENTS_WORDS_MAX,
			"has no %.48s (mail-root-marker): is its file system not "
			"mounted?",
			marker);
	else
		snprintf(words, RECIPIENTS_WORDS_MAX, "mail-root-marker %.48s: %s",
			marker, strerror(error));
}

bool recipients_is_address(const char *catch_all)
{
	return strchr(catch_all, '@') && !strchr(catch_all, '/');
}

/* Makes the fault "recipients passwd: NAME: FAULT". */
static enum recipients_result fail_user(
	struct recipients_search *s, struct span name, const char *home, const char *what)
{
	struct buf b = { .p = s->fault, .cap = sizeof(s->fault) };
	char words[RECIPIENTS_FAULT_MAX];

	snprintf(words, sizeof(words), "%s%.100s%s%s", *home ? "home " : "", home,
		*home ? " " : "", what);
	buf_put(&b, SPAN("recipients " RECIPIENTS_USERS " "));
	entry_show(&b, name);
	buf_put(&b, SPAN(": "));
	buf_put_str(&b, words);
	s->fault[b.n < sizeof(s->fault) ? b.n : sizeof(s->fault) - 1] = '\0';
	return RECIPIENTS_FAILED;
}

/* True of a path with "." or ".." in it, which a link could lead elsewhere. */
static bool has_dots(const char *path)
{
	for (size_t n; *path; path += n + (path[n] == '/')) {
		n = strcspn(path, "/");
		if (n && n <= 2 && strspn(path, ".") >= n)
			return true;
	}
	return false;
}

/* The rest of a path that begins with another one; NULL: it does not. */
static const char *rest_of(const char *path, const char *first)
{
	size_t n = strlen(first);

	while (n && first[n - 1] == '/')
		n--;
	return strncmp(path, first, n) == 0 && path[n] == '/' ? path + n : NULL;
}

/* The part of a home that is below mail-root; NULL: there is none, and why. */
static const char *below_root(
	const struct recipients *rs, const char *home, const char **ret_why)
{
	const char *below;
	struct stat root;

	*ret_why = "has no home";
	if (!*home)
		return NULL;
	*ret_why = "has . or .. in its path; name the directory itself";
	if (has_dots(home))
		return NULL;
	*ret_why = "is not below mail-root";
	if (!rs->root_path)
		return NULL;
	errno = 0;
	below = rest_of(home, rs->root_path);
	/* one of them may name the other by a link, such as /home to /var/home */
	if (!below && stat(rs->root_path, &root) == 0)
		below = walk_below(&root, rs->root_path, home);
	if (!below && errno == EACCES)
		*ret_why = "is below a directory that root may not search here";
	if (!below)
		return NULL;
	below += strspn(below, "/");
	return *below ? below : NULL;
}

enum recipients_result recipients_at_home(struct recipients_search *s, struct span local,
	struct span domain, const struct user *user, struct recipients_place *ret)
{
	const struct expansion e = { local, domain };
	char path[2 * MAILBOX_PATH_MAX];
	struct buf b = BUF(path);
	const char *why, *below = below_root(s->rs, user->home, &why);
	enum recipients_result result;

	if (!below)
		return fail_user(s, local, user->home, why);
	result = place(s, span_of(s->rs->template), &e, "ud", ret);
	if (result != RECIPIENTS_FOUND)
		return result;
	ret->home = (struct home){ true, strlen(ret->path), user->uid };
	buf_put_str(&b, below);
	buf_put_char(&b, '/');
	buf_put_str(&b, ret->path);
	if (!buf_terminate(&b) || b.n >= sizeof(ret->path))
		return RECIPIENTS_LONG;
	memcpy(ret->path, path, b.n + 1);
	ret->n_fixed = b.n;
	return RECIPIENTS_FOUND;
}

/* Keeps why a user that exists gets no mail, which is no fault of this host. */
static void fail_range(struct recipients_search *s, struct span name, uid_t uid)
{
	const struct users *u = s->rs->users;
	char words[RECIPIENTS_FAULT_MAX];

	snprintf(words, sizeof(words),
		"is the user %lu, and users from %lu to %lu get mail (%s-valid-uid)",
		(unsigned long)uid, (unsigned long)u->first, (unsigned long)u->last,
		uid < u->first ? "first" : "last");
	fail_user(s, name, "", words);
}

/* Finds the Maildir in the home of a user of the system. UNKNOWN: there is none. */
static enum recipients_result find_user(struct recipients_search *s, struct span local,
	struct span domain, struct recipients_place *ret)
{
	struct user user;
	int r;

	if (!is_component(local))
		return RECIPIENTS_NAME;
	r = users_find(s->rs->users, local, &user);
	if (r == -EINPROGRESS) {
		s->fault[0] = '\0';
		return RECIPIENTS_FAILED;
	}
	if (r == USERS_OUT_OF_RANGE) {
		fail_range(s, local, user.uid);
		return RECIPIENTS_UNKNOWN;
	}
	if (r < 0)
		return r == -ENOENT ? RECIPIENTS_UNKNOWN
				    : fail_user(s, local, "", users_error(r));
	return recipients_at_home(s, local, domain, &user, ret);
}

/*
 * Uses another mailbox in place of the one that was not found; `text` is a template or an
 * address. An invalid name does not get another mailbox.
 */
static enum recipients_result instead(
	struct recipients_search *s, const char *text, struct recipients_place *ret)
{
	struct expansion e = { s->whole, s->domain };

	if (!text)
		return RECIPIENTS_UNKNOWN;
	if (!is_component(s->whole))
		return RECIPIENTS_NAME;
	if (!recipients_is_address(text))
		return place(s, span_of(text), &e, "", ret);
	destination_key_cut(span_of(text), &e.local, &e.domain);
	if (s->rs->users)
		return find_user(s, e.local, e.domain, ret);
	return s->rs->table ? look_up(s, &e, e.local, ret)
			    : place(s, span_of(s->rs->template), &e, "ud", ret);
}

/* Finds the Maildir of that name, without a table. */
static enum recipients_result named(const struct recipients_search *s, struct span local,
	struct recipients_place *ret)
{
	const struct expansion e = { local, s->domain };

	return place(s, span_of(s->rs->template), &e, "", ret);
}

/* Returns the part before the first delimiter, or all if that would be empty. */
static struct span without_subaddress(struct span local, char delimiter)
{
	struct span detail = local, name = span_take(&detail, delimiter);

	return delimiter && name.n ? name : local;
}

/* True for a local part that must have a mailbox (RFC 5321 4.5.1, RFC 2142 4). */
static bool is_role(struct span local)
{
	return span_ieq(local, SPAN("postmaster")) || span_ieq(local, SPAN("abuse"));
}

/* Finds the mailbox of postmaster. Without one the catch-all is next. */
static enum recipients_result postmaster(
	struct recipients_search *s, struct recipients_place *ret)
{
	enum recipients_result r = RECIPIENTS_UNKNOWN;

	if (is_role(s->base))
		r = instead(s, s->rs->postmaster, ret);
	return r == RECIPIENTS_UNKNOWN ? recipients_next(s, ret) : r;
}

void recipients_begin(struct recipients_search *s, const struct recipients *rs,
	const struct recipient *r, bool logged_in)
{
	struct buf local = BUF(s->octets);

	local_unquote(r->local, &local);
	for (size_t i = 0; i < local.n; i++)
		local.p[i] = ascii_lower(local.p[i]);
	s->fault[0] = '\0';
	s->rs = rs;
	s->logged_in = logged_in;
	/* longer than any name, so it is invalid, and must not match its beginning */
	s->whole = local.overflow ? SPAN("") : buf_span(&local);
	s->base = without_subaddress(s->whole, rs->delimiter);
	s->domain = r->domain.n ? r->domain : span_of(rs->hostname);
	s->next = STEP_NAMED;
	s->also = SPAN("");
}

enum recipients_result recipients_next(
	struct recipients_search *s, struct recipients_place *ret)
{
	bool has_base = s->base.n != s->whole.n;
	const struct expansion whole = { s->whole, s->domain };
	enum recipients_result r;

	s->also = SPAN("");
	s->unfiltered = false;
	switch (s->next++) {
	case STEP_NAMED:
		if (s->rs->users) {
			r = find_user(s, s->whole, s->domain, ret);
			return r == RECIPIENTS_UNKNOWN ? recipients_next(s, ret) : r;
		}
		if (!s->rs->table) {
			r = named(s, s->whole, ret);
			/* a subaddress makes no mailbox of its own */
			ret->may_create &= !has_base;
			return r;
		}
		s->next = STEP_POSTMASTER;
		r = look_up(s, &whole, s->base, ret);
		if (r != RECIPIENTS_UNKNOWN)
			return r;
		return recipients_next(s, ret);
	case STEP_BASE:
		if (has_base && s->rs->users) {
			r = find_user(s, s->base, s->domain, ret);
			return r == RECIPIENTS_UNKNOWN ? recipients_next(s, ret) : r;
		}
		return has_base ? named(s, s->base, ret) : recipients_next(s, ret);
	case STEP_POSTMASTER:
		return postmaster(s, ret);
	case STEP_CATCH_ALL:
		return instead(s, s->rs->catch_all, ret);
	default:
		return RECIPIENTS_UNKNOWN;
	}
}
