/* SPDX-License-Identifier: ISC */
/*
 * The system call filter of the broker. It opens, makes, links and removes files, and
 * becomes their owners; it writes none, and syncs none. It has no other socket than its
 * channels, and starts nothing.
 */
#include "edge/sandbox/kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef __i386__
#define CALL_FCNTL SYS_fcntl64
#define CALL_MMAP SYS_mmap2
#define CALL_GETRLIMIT SYS_ugetrlimit
#else
#define CALL_FCNTL SYS_fcntl
#define CALL_MMAP SYS_mmap
#endif

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const uint16_t allowed_broker[] = {
	/* channels */
	SYS_recvfrom,
	SYS_recvmsg,
	SYS_sendmsg,
	SYS_close,
	SYS_epoll_ctl,
	SYS_epoll_pwait,
#ifdef SYS_epoll_wait
	SYS_epoll_wait,
#endif
	/* names: Landlock limits them */
	SYS_mkdirat,
	SYS_unlinkat,
	SYS_linkat,
	SYS_renameat2,
	SYS_readlinkat,
	SYS_getdents64,
	SYS_fstat,
	SYS_statx,
	SYS_faccessat2,
	SYS_fstatfs,
	/* a table of recipients; a file that is made again from another */
	SYS_pread64,
	SYS_sendfile,
	/* the owner */
	SYS_getegid,
	SYS_geteuid,
	SYS_getgid,
	SYS_getgroups,
	SYS_getuid,
	SYS_setgroups,
	SYS_setresgid,
	SYS_setresuid,
	/* memory, and the process itself */
	SYS_brk,
	SYS_madvise,
	SYS_mremap,
	SYS_munmap,
	SYS_getrandom,
	SYS_clock_gettime,
	SYS_futex,
	SYS_getpid,
	SYS_gettid,
	SYS_rt_sigprocmask,
	SYS_rt_sigreturn,
	SYS_sigaltstack, /* sanitizers, when the process ends */
	SYS_restart_syscall,
	SYS_exit,
	SYS_exit_group,
#ifdef SYS_newfstatat
	SYS_newfstatat,
#endif
#ifdef __i386__
	SYS_clock_gettime64,
	SYS_futex_time64,
	SYS_fstat64,
	SYS_fstatat64,
	SYS_fstatfs64,
	SYS_sendfile64,
	SYS_getegid32,
	SYS_geteuid32,
	SYS_getgid32,
	SYS_getgroups32,
	SYS_getuid32,
	SYS_setgroups32,
	SYS_setresgid32,
	SYS_setresuid32,
	SYS_sigreturn,
	CALL_GETRLIMIT,
#endif
};

static const struct bpf_rule conditional_broker[] = {
	{ CALL_FCNTL, 0, { { 1, ARG_IS, F_GETFL } } },
	{ CALL_FCNTL, EINVAL, { { 1, ARG_IS, F_DUPFD_CLOEXEC } } },
	{ SYS_ioctl, 0, { { 1, ARG_IS, FS_IOC_FSGETXATTR } } },
	{ SYS_ioctl, ENOTTY, { { 1, ARG_IS, SIOCOUTQ } } },
	{ CALL_MMAP, EPERM, { { 2, ARG_HAS_NO, PROT_EXEC } } },
	{ SYS_mprotect, EPERM, { { 2, ARG_HAS_NO, PROT_EXEC } } },
	{ SYS_openat, EINVAL, { { 2, ARG_HAS_NO, O_TRUNC } } },
	{ SYS_prlimit64, EPERM, { { 0, ARG_IS, 0 }, { 2, ARG_IS_NULL, 0 } } },
	{ SYS_tgkill, EPERM, { { 0, ARG_IS_OWN_PID, 0 } } }, /* abort() */
};

static const struct bpf_table broker = {
	.allowed = allowed_broker,
	.n_allowed = COUNT(allowed_broker),
	.rules = conditional_broker,
	.n_rules = COUNT(conditional_broker),
	.others = SECCOMP_RET_ERRNO | ENOSYS,
};

int seccomp_enter_broker(void)
{
	return seccomp_enforce(&broker);
}
