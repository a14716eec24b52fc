/*
 * Promises that a user who is in /etc/passwd is found by reading that file alone: getpwnam() asks a
 * daemon and reads the settings of the name services before that. Refuses to know what the user is for.
 */
#include "edge/sandbox/account.h"

#include <errno.h>
#include <pwd.h>
#include "base/cleanup.h"
#include "base/num.h"
#include "edge/file.h"

#define PASSWD "/etc/passwd"
#define PASSWD_MAX (64 * 1024) /* a larger one is left to getpwnam() */
#define NO_ID UINT32_MAX /* tells setresuid() to change nothing */

static struct span take_until(struct span *rest, char end)
{
	const char *p = rest->n ? memchr(rest->p, end, rest->n) : NULL;
	struct span taken = { rest->p, p ? (size_t)(p - rest->p) : rest->n };

	*rest = span_from(*rest, p ? taken.n + 1 : taken.n);
	return taken;
}

static bool parse_ids(struct span line, struct account *ret)
{
	uint64_t uid, gid;

	take_until(&line, ':'); /* the password */
	if (!num_parse(take_until(&line, ':'), &uid) || uid >= NO_ID ||
		!num_parse(take_until(&line, ':'), &gid) || gid >= NO_ID)
		return false;
	*ret = (struct account){ (uid_t)uid, (gid_t)gid };
	return true;
}

bool account_parse(struct span text, struct span name, struct account *ret)
{
	while (text.n) {
		struct span line = take_until(&text, '\n');

		if (span_eq(take_until(&line, ':'), name))
			return parse_ids(line, ret);
	}
	return false;
}

static bool find_in_file(const char *name, struct account *ret)
{
	OWNED char *text = NULL;
	ssize_t n = file_read(PASSWD, PASSWD_MAX, &text);

	return n > 0 &&
	       account_parse((struct span){ text, (size_t)n }, span_of(name), ret);
}

void account_put_fault(struct buf *to, const char *name, int error)
{
	switch (error) {
	case ENOENT:
		buf_put(to, SPAN("no such user; make it: useradd --system "));
		buf_put_str(to, name);
		break;
	case EPERM:
		buf_put(to, SPAN("only root can become another user: start postern as "
				 "root, or set no user"));
		break;
	default:
		buf_put_str(to, strerror(error));
	}
	buf_terminate(to);
}

int account_find(const char *name, struct account *ret)
{
	const struct passwd *pw;

	if (find_in_file(name, ret))
		return 0;
	errno = 0;
	pw = getpwnam(name);
	if (!pw)
		return errno && errno != ESRCH ? -errno : -ENOENT;
	*ret = (struct account){ pw->pw_uid, pw->pw_gid };
	return 0;
}
