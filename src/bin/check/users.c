/* SPDX-License-Identifier: ISC */
/*
 * Checks the homes of users of the system, where these are the recipients. Only those of
 * /etc/passwd are listed: the other name services may have any number of them.
 */
#include "bin/check/parts.h"
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "bin/broker.h"
#include "edge/module.h"
#include "edge/sandbox/sandbox.h"

#define PASSWD "/etc/passwd"
#define REPORTED_MAX 20 /* homes that are named */

/* Warns of one user, with controls in the text made visible. */
static void warn(struct config *c, const char *fault)
{
	char text[2 * CONFIG_FAULT_MAX];

	snprintf(text, sizeof(text), "%s: mail for this user gets 451", fault);
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	check_warning(c, text);
}

/* True when mail for the user would be refused. The first such users are named. */
static bool check_home(struct config *c, const struct store_root *root,
	const struct passwd *user, size_t n_before)
{
	char text[CONFIG_FAULT_MAX] = "";
	struct buf b = BUF(text);

	if (!users_put_home_fault(
		    &c->recipients, root, user->pw_name, user->pw_uid, user->pw_dir, &b))
		return false;
	if (n_before < REPORTED_MAX && buf_terminate(&b))
		warn(c, text);
	return true;
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

static void check_homes(struct config *c)
{
	OWNED_FD int fd = open(c->mail_root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct store_root root = { .fd = fd, .as_owner = true };
	FILE *users = fd < 0 ? NULL : fopen(PASSWD, "re");
	const struct passwd *user;
	char text[CONFIG_FAULT_MAX];
	size_t n = 0, n_users = 0;

	while (users && (user = fgetpwent(users)))
		if (user->pw_uid >= c->users.first && user->pw_uid <= c->users.last) {
			n += check_home(c, &root, user, n);
			n_users++;
		}
	if (users)
		fclose(users);
	report_range(c, n_users);
	if (n <= REPORTED_MAX)
		return;
	snprintf(text, sizeof(text),
		"recipients " RECIPIENTS_USERS " %zu more homes "
		"like these",
		n - REPORTED_MAX);
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
	/* without maildir, which was refused, homes have no path to a mailbox */
	if (c->mail_root && c->maildir)
		check_homes(c);
}
