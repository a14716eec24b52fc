/* SPDX-License-Identifier: ISC */
/*
 * Checks the homes of users of the system, where these are the recipients. Only those of
 * /etc/passwd are listed: the other name services may have any number of them.
 */
#include "bin/check/parts.h"
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "edge/module.h"

#define PASSWD "/etc/passwd"
#define REPORTED_MAX 20 /* homes that are named */

/* NULL: the home is fine. */
static const char *home_fault(const struct passwd *user)
{
	struct stat st;

	if (stat(user->pw_dir, &st) < 0)
		return strerror(errno);
	if (!S_ISDIR(st.st_mode))
		return strerror(ENOTDIR);
	return st.st_uid == user->pw_uid ? NULL : "does not belong to this user";
}

static bool is_below_root(const struct config *c, const char *home)
{
	size_t n = strlen(c->mail_root);

	while (n && c->mail_root[n - 1] == '/')
		n--;
	return strncmp(home, c->mail_root, n) == 0 && home[n] == '/';
}

static void check_home(struct config *c, const struct passwd *user, size_t *n_reported)
{
	const char *wrong = home_fault(user);
	char text[CONFIG_FAULT_MAX];

	if (!wrong && !is_below_root(c, user->pw_dir))
		wrong = "is not below mail-root";
	if (!wrong || ++*n_reported > REPORTED_MAX)
		return;
	snprintf(text, sizeof(text),
		"recipients " RECIPIENTS_USERS " %.64s: home %.128s: %s: mail for this "
		"user gets 451",
		user->pw_name, user->pw_dir, wrong);
	check_warning(c, text);
}

static void check_homes(struct config *c)
{
	FILE *users = fopen(PASSWD, "re");
	const struct passwd *user;
	char text[CONFIG_FAULT_MAX];
	size_t n = 0;

	while (users && (user = fgetpwent(users)))
		if (user->pw_uid >= c->users.first && user->pw_uid <= c->users.last)
			check_home(c, user, &n);
	if (users)
		fclose(users);
	if (n <= REPORTED_MAX)
		return;
	snprintf(text, sizeof(text),
		"recipients " RECIPIENTS_USERS " %zu more homes "
		"like these",
		n - REPORTED_MAX);
	check_warning(c, text);
}

void check_users(struct config *c)
{
	if (!c->has_users)
		return;
	if (module_inside())
		check_note(c,
			"recipients " RECIPIENTS_USERS " this program is static, and "
			"reads " PASSWD " alone, whatever nsswitch.conf(5) says");
	if (geteuid() != 0)
		check_fault(c, USERS_NEED_ROOT);
	else if (c->mail_root)
		check_homes(c);
}
