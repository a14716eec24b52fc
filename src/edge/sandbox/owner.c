/* SPDX-License-Identifier: ISC */
/*
 * Becomes owners of directories for a moment. The real and the saved user stay root, so
 * that the way back is open, and no owner can signal or trace this process.
 */
#include "edge/sandbox/sandbox.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/cleanup.h"

#define IDENTITIES (1U << CAP_SETUID | 1U << CAP_SETGID)
#define UNCHANGED ((uid_t)-1)
#define OPEN_PATH (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

bool owner_may_become(void)
{
	struct __user_cap_header_struct header = { .version =
							   _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	return getuid() == 0 && syscall(SYS_capget, &header, data) == 0 &&
	       (data[0].permitted & IDENTITIES) == IDENTITIES;
}

void owner_leave(void)
{
	if (geteuid() == getuid())
		return;
	/* cannot fail: this user is still the real one */
	if (setresuid(UNCHANGED, getuid(), UNCHANGED) < 0 ||
		setresgid(UNCHANGED, getgid(), UNCHANGED) < 0)
		_exit(EXIT_FAILURE);
	/* the kernel has put fs.suid_dumpable in its place */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

int owner_become(uid_t uid, gid_t gid)
{
	if (setresgid(UNCHANGED, gid, UNCHANGED) == 0 &&
		setresuid(UNCHANGED, uid, UNCHANGED) == 0)
		return 0;
	(void)!setresgid(UNCHANGED, getgid(), UNCHANGED);
	return -EPERM;
}

int owner_enter(int dir)
{
	struct stat st;

	if (!owner_may_become())
		return 0;
	owner_leave();
	if (fstat(dir, &st) < 0)
		return -errno;
	return st.st_uid == 0 ? 0 : owner_become(st.st_uid, st.st_gid);
}

/* Opens a directory as its own owner. */
static int open_as_itself(int dir, const char *name, int flags)
{
	OWNED_FD int path = openat(dir, name, OPEN_PATH);

	if (path < 0 || owner_enter(path) < 0)
		return -1;
	return openat(path, ".", flags);
}

int owner_openat(int dir, const char *name, int flags, mode_t mode)
{
	int fd = openat(dir, name, flags, mode), error = errno;

	if (fd >= 0 || error != EACCES || !owner_may_become())
		return fd;
	if (owner_enter(dir) == 0)
		fd = openat(dir, name, flags, mode);
	if (fd < 0 && errno != EACCES)
		error = errno;
	else if (fd < 0 && (flags & O_DIRECTORY))
		fd = open_as_itself(dir, name, flags);
	owner_leave();
	errno = error;
	return fd;
}

int owner_may_use(int dir)
{
	int r = faccessat(dir, ".", R_OK | W_OK | X_OK, AT_EACCESS) < 0 ? -errno : 0;

	if (r != -EACCES || !owner_may_become())
		return r;
	r = owner_enter(dir);
	if (r == 0 && faccessat(dir, ".", R_OK | W_OK | X_OK, AT_EACCESS) < 0)
		r = -errno;
	owner_leave();
	return r;
}
