/* SPDX-License-Identifier: ISC */
/*
 * Checks the users of the system and their homes, where these are the recipients. Only
 * those of /etc/passwd are listed: the other name services may have any number of them.
 */
#include "bin/check/parts.h"
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "bin/broker.h"
#include "edge/module.h"
#include "edge/sandbox/sandbox.h"

#define PASSWD "/etc/passwd"
#define REPORTED_MAX 20 /* users that are named */

/* What has been seen of /etc/passwd. */
struct checked_users {
	void *names; /* a tree, for tsearch(3) */
	size_t n; /* users who get mail */
	size_t n_reported; /* warnings, of which REPORTED_MAX are shown */
};

/* Warns of one user, with controls in the text made visible. */
static void warn(struct config *c, struct checked_users *u, char *text)
{
	if (u->n_reported++ >= REPORTED_MAX)
		return;
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	check_warning(c, text);
}

/* Warns where mail for the user would be refused because of the home. */
static void check_home(struct config *c, struct checked_users *u,
	const struct store_root *root, const struct passwd *user)
{
	char fault[CONFIG_FAULT_MAX] = "", text[2 * CONFIG_FAULT_MAX];
	struct buf b = BUF(fault);

	if (!users_put_home_fault(
		    &c->recipients, root, user->pw_name, user->pw_uid, user->pw_dir, &b))
		return;
	snprintf(text, sizeof(text), "%s: mail for this user gets 451",
		buf_terminate(&b) ? fault : user->pw_name);
	warn(c, u, text);
}

static void warn_of_name(struct config *c, struct checked_users *u,
	const struct passwd *user, const char *what)
{
	char text[2 * CONFIG_FAULT_MAX];

	snprintf(text, sizeof(text), "recipients " RECIPIENTS_USERS " %.256s: %s",
		user->pw_name, what);
	warn(c, u, text);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* True when no earlier line has the name; it is then kept. */
static bool is_first(struct checked_users *u, const char *name)
{
	OWNED char *copy = strdup(name);
	void *found = copy ? tsearch(copy, &u->names, compare_names) : NULL;

	/* without memory it counts as the first */
	if (!found || *(char **)found != copy)
		return !found;
	steal(&copy);
	return true;
}

/* Checks one line. Of several of one name, look-ups find the first alone. */
static void check_user(struct config *c, struct checked_users *u,
	const struct store_root *root, const struct passwd *user)
{
	const bool first = is_first(u, user->pw_name);
	const char *fault = users_name_fault(user->pw_name);
	char text[CONFIG_FAULT_MAX];

	if (user->pw_uid < c->users.first || user->pw_uid > c->users.last)
		return;
	if (!first) {
		warn_of_name(c, u, user,
			"an earlier line of " PASSWD " has this name, and is the one "
			"that is used: remove one of them");
		return;
	}
	if (fault) {
		snprintf(text, sizeof(text), "%s: mail for this user gets 550", fault);
		warn_of_name(c, u, user, text);
		return;
	}
	u->n++;
	/* without mail-root, which was reported, no home can be looked at */
	if (root->fd >= 0)
		check_home(c, u, root, user);
}

/* Says which users get mail; those of other services than /etc/passwd are not listed. */
static void report_range(struct config *c, size_t n)
{
	char text[CONFIG_FAULT_MAX];

	snprintf(text, sizeof(text),
		"recipients " RECIPIENTS_USERS
		" users with numbers from %lu to %lu get mail, %zu of them in " PASSWD
		"; others get 550, such as users of a directory service with numbers "
		"above: see first-valid-uid and last-valid-uid",
		(unsigned long)c->users.first, (unsigned long)c->users.last, n);
	check_note(c, text);
}

/* Warns of a range that no setting uses. */
static void check_unused_range(struct config *c)
{
	static const char *const keys[] = { "first-valid-uid", "last-valid-uid" };
	char text[CONFIG_FAULT_MAX];

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		if (!config_place(c, span_of(keys[i])))
			continue;
		snprintf(text, sizeof(text),
			"%s: has no effect without recipients = " RECIPIENTS_USERS,
			keys[i]);
		check_warning(c, text);
	}
}

static void check_lines(struct config *c, struct checked_users *u, FILE *file)
{
	OWNED_FD int fd = open(c->mail_root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct store_root root = { .fd = fd, .as_owner = true };
	const struct passwd *user;

	while ((user = fgetpwent(file)))
		check_user(c, u, &root, user);
}

static void check_passwd(struct config *c)
{
	struct checked_users u = { .names = NULL };
	FILE *file = fopen(PASSWD, "re");
	char text[CONFIG_FAULT_MAX];

	if (!file) {
		snprintf(text, sizeof(text),
			"recipients " RECIPIENTS_USERS " " PASSWD
			" cannot be read, and its users are not checked: %s",
			strerror(errno));
		check_warning(c, text);
		return;
	}
	check_lines(c, &u, file);
	fclose(file);
	tdestroy(u.names, free);
	report_range(c, u.n);
	if (u.n_reported <= REPORTED_MAX)
		return;
	snprintf(text, sizeof(text),
		"recipients " RECIPIENTS_USERS " %zu more users like these",
		u.n_reported - REPORTED_MAX);
	check_warning(c, text);
}

/* The process that is started here looks users up for all later checks, too. */
static void check_services(struct config *c)
{
	const char *fault = users_try(&c->users, BROKERED_USER);
	char text[CONFIG_FAULT_MAX];

	if (!fault)
		return;
	snprintf(text, sizeof(text),
		"recipients " RECIPIENTS_USERS " a name that no user has cannot be "
		"looked up: %s: mail for such names gets 451",
		fault);
	check_warning(c, text);
}

/* Whether connections and the broker can be who they have to be. */
static bool check_rights(struct config *c)
{
	struct account nobody;
	int r = account_find(BROKERED_USER, &nobody);
	char text[CONFIG_FAULT_MAX];
	struct buf b = BUF(text);

	if (!sandbox_may_become_users())
		check_fault(c,
			"recipients " RECIPIENTS_USERS
			" this process may become no other "
			"user, and receives no mail: give it CAP_SETUID and CAP_SETGID");
	if (r == 0)
		return sandbox_may_become_users();
	buf_put(&b, SPAN("recipients " RECIPIENTS_USERS " without the user " BROKERED_USER
			 " no mail is received: "));
	account_put_fault(&b, BROKERED_USER, -r);
	if (buf_terminate(&b))
		check_fault(c, text);
	return false;
}

void check_users(struct config *c)
{
	if (!c->has_users && !config_is_refused(c, "recipients"))
		check_unused_range(c);
	if (!c->has_users)
		return;
	if (module_inside())
		check_note(c,
			"recipients " RECIPIENTS_USERS " this program is static, and "
			"reads " PASSWD " alone, whatever nsswitch.conf(5) says");
	if (geteuid() != 0) {
		check_fault(c, USERS_NEED_ROOT);
		return;
	}
	if (!check_rights(c))
		return;
	check_services(c);
	/*
	 * without maildir, which was refused, homes have no path to a mailbox; a range
	 * without a number was refused, too
	 */
	if (c->mail_root && c->maildir && c->users.first <= c->users.last)
		check_passwd(c);
}
