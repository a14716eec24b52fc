/* SPDX-License-Identifier: ISC */
/*
 * Examines the homes of users of the system as the broker does when mail comes, and tells
 * what would refuse it.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "edge/store/mailbox-walk.h"
#include "edge/store/mailbox.h"
#include "edge/store/users.h"

#define NO_USER "postern-no-such-user"

/* Appends what would refuse mail in the place. False: nothing. */
static bool put_place_fault(const struct recipients *rs, const struct store_root *root,
	const struct recipients_place *place, struct buf *to)
{
	struct mailbox box;
	int found = mailbox_open_place(&box, root, place);
	bool is_missing = found == MAILBOX_ABSENT || found == MAILBOX_DANGLING;
	bool is_empty = mailbox_is_not_mounted(rs->create, found, &box, place), has_fault;

	if (is_missing && !place->may_create)
		mailbox_fail_missing(&box, place->is_named || found == MAILBOX_DANGLING);
	else if (found >= 0 && found != MAILBOX_OTHER)
		mailbox_probe(&box);
	has_fault = is_empty || box.error;
	if (is_empty)
		mailbox_put_empty_fault(&box, rs->root_path, to);
	else if (has_fault)
		mailbox_put_fault(&box, rs->root_path, to);
	mailbox_close(&box);
	return walk_return_with_group() == 0 && has_fault;
}

static void put_user(struct buf *to, const char *name)
{
	buf_put(to, SPAN("recipients " RECIPIENTS_USERS " "));
	buf_put_str(to, name);
	buf_put(to, SPAN(": "));
}

bool users_put_home_fault(const struct recipients *rs, const struct store_root *root,
	const char *name, uid_t uid, const char *home, struct buf *to)
{
	const struct recipient recipient = { .local = span_of(name) };
	struct recipients_search search;
	struct recipients_place place;
	struct user user = { .uid = uid };
	enum recipients_result result;

	if (strlen(home) >= sizeof(user.home)) {
		put_user(to, name);
		buf_put_str(to, users_error(-ENAMETOOLONG));
		return true;
	}
	memcpy(user.home, home, strlen(home));
	recipients_begin(&search, rs, &recipient, true);
	result = recipients_at_home(&search, search.whole, search.domain, &user, &place);
	if (result == RECIPIENTS_FAILED) {
		buf_put_str(to, search.fault);
		return true;
	}
	put_user(to, name);
	if (result == RECIPIENTS_FOUND)
		return put_place_fault(rs, root, &place, to);
	buf_put(to, SPAN(RECIPIENTS_PATH_LONG));
	return true;
}

const char *users_try(struct users *u, const char *as)
{
	struct user user;
	int r = users_start(u, as, false);

	if (r == 0)
		r = users_find(u, SPAN(NO_USER), &user);
	return r >= 0 || r == -ENOENT ? NULL : users_error(r);
}
