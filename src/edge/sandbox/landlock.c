/* SPDX-License-Identifier: ISC */
/*
 * Landlock rulesets, by direct system calls. What a ruleset does not allow is denied,
 * as far as the kernel's ABI reaches. The paths are the caller's.
 */
#include "edge/sandbox/kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/cleanup.h"

/* ABI 1 is not used: it denies links and renames between directories (tmp/ to new/). */
#define ABI_REFER 2
#define ABI_NET 4
#define ABI_IOCTL 5
#define ABI_SCOPE 6

/* Later than the header of Debian 12, which stops at ABI 2. */
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif
#ifndef LANDLOCK_ACCESS_FS_IOCTL_DEV
#define LANDLOCK_ACCESS_FS_IOCTL_DEV (1ULL << 15)
#endif
#ifndef LANDLOCK_ACCESS_NET_BIND_TCP
#define LANDLOCK_ACCESS_NET_BIND_TCP (1ULL << 0)
#define LANDLOCK_ACCESS_NET_CONNECT_TCP (1ULL << 1)
#endif
#ifndef LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET
#define LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET (1ULL << 0)
#define LANDLOCK_SCOPE_SIGNAL (1ULL << 1)
#endif

/* struct landlock_ruleset_attr as of ABI 6: older kernels take it when the rest is 0. */
struct ruleset {
	uint64_t fs;
	uint64_t net;
	uint64_t scoped;
};

static const uint64_t rights[] = {
	[LANDLOCK_READ] = LANDLOCK_ACCESS_FS_READ_FILE,
	[LANDLOCK_KEEP] = LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_WRITE_FILE |
			  LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR |
			  LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
			  LANDLOCK_ACCESS_FS_REFER,
	[LANDLOCK_SPOOL] = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |
			   LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE,
};

static struct ruleset ruleset_for(int abi)
{
	struct ruleset r = { .fs = (LANDLOCK_ACCESS_FS_REFER << 1) - 1 };

	if (abi >= LANDLOCK_ABI_TRUNCATE)
		r.fs |= LANDLOCK_ACCESS_FS_TRUNCATE;
	if (abi >= ABI_NET)
		r.net = LANDLOCK_ACCESS_NET_BIND_TCP | LANDLOCK_ACCESS_NET_CONNECT_TCP;
	if (abi >= ABI_IOCTL)
		r.fs |= LANDLOCK_ACCESS_FS_IOCTL_DEV;
	if (abi >= ABI_SCOPE)
		r.scoped = LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | LANDLOCK_SCOPE_SIGNAL;
	return r;
}

int landlock_init(struct landlock *ret, int most, bool connects)
{
	long abi = syscall(
		SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	struct ruleset r;
	long fd = -1;

	if (abi < 0 && errno != ENOSYS && errno != EOPNOTSUPP)
		return -errno;
	if (most && abi > most)
		abi = most;
	if (abi < ABI_REFER) {
		*ret = (struct landlock){ 0 };
		return 0;
	}
	r = ruleset_for((int)abi);
	if (connects)
		r.net &= ~LANDLOCK_ACCESS_NET_CONNECT_TCP;
	fd = syscall(SYS_landlock_create_ruleset, &r, sizeof(r), 0);
	if (fd < 0)
		return -errno;
	*ret = (struct landlock){ .fd = (int)fd, .abi = (int)abi, .handled = r.fs };
	return 0;
}

void landlock_done(struct landlock *l)
{
	if (l->abi)
		close(l->fd);
	*l = (struct landlock){ 0 };
}

int landlock_allow_open(struct landlock *l, int fd, enum landlock_access access)
{
	struct landlock_path_beneath_attr rule = {
		.allowed_access = rights[access] & l->handled,
		.parent_fd = fd,
	};

	if (l->abi && syscall(SYS_landlock_add_rule, l->fd, LANDLOCK_RULE_PATH_BENEATH,
			      &rule, 0) < 0)
		return -errno;
	return 0;
}

int landlock_allow(struct landlock *l, const char *path, enum landlock_access access)
{
	OWNED_FD int fd = -1;

	if (!l->abi)
		return 0;
	fd = open(path, O_PATH | O_CLOEXEC | (access == LANDLOCK_READ ? 0 : O_DIRECTORY));
	return fd < 0 ? -errno : landlock_allow_open(l, fd, access);
}

int landlock_enforce(struct landlock *l)
{
	if (l->abi && syscall(SYS_landlock_restrict_self, l->fd, 0) < 0)
		return -errno;
	return 0;
}
