/* SPDX-License-Identifier: ISC */
/*
 * The system call filters: tables of the calls that are allowed, and with which
 * arguments. Paths are Landlock's subject.
 *
 * A call in no table answers ENOSYS: every libc knows a kernel too old for a call, and
 * then uses another or reports the failure (statx, clone3, getrandom), while it
 * believes an EPERM. A call that no library makes in good faith ends the process. A
 * refused argument gets the errno that its call has for an argument it does not know.
 */
#include "edge/sandbox/kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * Architectures of 32 bits have calls with wider arguments beside the first ones, which
 * libc uses; those with another form of their arguments are allowed nowhere: old mmap(),
 * and socketcall(), whose arguments a filter cannot see (sockets.c calls without it).
 */
#ifdef __i386__
#define CALL_FCHOWN SYS_fchown32
#define CALL_FCNTL SYS_fcntl64
#define CALL_MMAP SYS_mmap2
#else
#define CALL_FCHOWN SYS_fchown
#define CALL_FCNTL SYS_fcntl
#define CALL_MMAP SYS_mmap
#endif

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define SOCK_TYPE 0xf /* the rest of socket()'s type is flags */

static const uint16_t allowed[] = {
	/* octets */
	SYS_read,
	SYS_write,
	SYS_readv,
	SYS_writev,
	SYS_pread64,
	SYS_lseek,
	SYS_close,
	SYS_fsync,
	SYS_sendfile,
	/* names: Landlock limits them */
	SYS_unlinkat,
	SYS_fstat,
	SYS_statx,
	SYS_faccessat2,
	SYS_fgetxattr,
	SYS_fstatfs,
	/* the connection; datagrams to log and service manager, with addresses */
	SYS_ppoll,
	SYS_signalfd4,
	SYS_recvfrom,
	SYS_recvmsg,
	SYS_shutdown,
	SYS_getsockname,
	SYS_getpeername,
	SYS_getsockopt,
	/* memory */
	SYS_brk,
	SYS_mremap,
	SYS_munmap,
	SYS_madvise,
	/* the process itself; qsort asks sysinfo how much memory there is */
	SYS_exit,
	SYS_exit_group,
	SYS_futex,
	SYS_getegid,
	SYS_geteuid,
	SYS_getgid,
	SYS_getpid,
	SYS_getrandom,
	SYS_gettid,
	SYS_getuid,
	SYS_restart_syscall,
	SYS_rt_sigaction,
	SYS_rt_sigprocmask,
	SYS_rt_sigreturn,
	SYS_sched_yield,
	SYS_sigaltstack,
	SYS_sysinfo,
	SYS_uname,
	/* clocks */
	SYS_clock_getres,
	SYS_clock_gettime,
	SYS_clock_nanosleep,
	SYS_gettimeofday,
	SYS_nanosleep,
	SYS_setitimer,
#ifdef SYS_newfstatat
	SYS_newfstatat,
#endif
#ifdef SYS_poll
	SYS_poll,
	SYS_time,
#endif
#ifdef __i386__
	SYS__llseek,
	SYS_sendfile64,
	SYS_fstat64,
	SYS_fstatat64,
	SYS_fstatfs64,
	SYS_getegid32,
	SYS_geteuid32,
	SYS_getgid32,
	SYS_getuid32,
	SYS_sigreturn,
	SYS_ppoll_time64,
	SYS_futex_time64,
	SYS_clock_getres_time64,
	SYS_clock_gettime64,
	SYS_clock_nanosleep_time64,
#endif
};

/* Allowed in addition, according to struct seccomp_needs. */
static const uint16_t allowed_chown[] = { CALL_FCHOWN };
/*
 * To deliver. A connection with a broker gets directories to sync, which must be open for
 * reading, and Landlock does not judge what is done with an open one: it lists none.
 */
static const uint16_t allowed_delivery[] = { SYS_mkdirat, SYS_linkat, SYS_renameat2,
	SYS_readlinkat, SYS_getdents64 };
static const uint16_t allowed_landlock[] = { SYS_landlock_add_rule,
	SYS_landlock_create_ruleset, SYS_landlock_restrict_self };

static const uint16_t deadly[] = {
	/* another program, another process */
	SYS_execve,
	SYS_execveat,
	SYS_clone,
	SYS_clone3,
	SYS_kcmp,
	SYS_pidfd_getfd,
	SYS_process_vm_readv,
	SYS_process_vm_writev,
	SYS_ptrace,
#ifdef SYS_fork
	SYS_fork,
	SYS_vfork,
#endif
	/* another identity */
	SYS_capset,
	SYS_personality,
	SYS_setfsgid,
	SYS_setfsuid,
	SYS_setgid,
	SYS_setgroups,
	SYS_setregid,
	SYS_setresgid,
	SYS_setresuid,
	SYS_setreuid,
	SYS_setuid,
	/* another view of the system */
	SYS_chroot,
	SYS_fsconfig,
	SYS_fsmount,
	SYS_fsopen,
	SYS_fspick,
	SYS_mount,
	SYS_mount_setattr,
	SYS_move_mount,
	SYS_open_by_handle_at,
	SYS_open_tree,
	SYS_pivot_root,
	SYS_setns,
	SYS_umount2,
	SYS_unshare,
	/* the kernel */
	SYS_acct,
	SYS_add_key,
	SYS_adjtimex,
	SYS_bpf,
	SYS_clock_adjtime,
	SYS_clock_settime,
	SYS_delete_module,
	SYS_finit_module,
	SYS_init_module,
	SYS_io_uring_enter,
	SYS_io_uring_register,
	SYS_io_uring_setup,
	SYS_kexec_load,
	SYS_keyctl,
	SYS_perf_event_open,
	SYS_quotactl,
	SYS_reboot,
	SYS_request_key,
	SYS_setdomainname,
	SYS_sethostname,
	SYS_settimeofday,
	SYS_swapoff,
	SYS_swapon,
	SYS_syslog,
	SYS_userfaultfd,
#ifdef SYS_kexec_file_load
	SYS_kexec_file_load,
#endif
#ifdef SYS_iopl
	SYS_ioperm,
	SYS_iopl,
	SYS_modify_ldt,
#endif
#ifdef __i386__
	SYS_vm86,
	SYS_vm86old,
	SYS_umount,
	SYS_stime,
	SYS_clock_adjtime64,
	SYS_clock_settime64,
	SYS_setfsgid32,
	SYS_setfsuid32,
	SYS_setgid32,
	SYS_setgroups32,
	SYS_setregid32,
	SYS_setresgid32,
	SYS_setresuid32,
	SYS_setreuid32,
	SYS_setuid32,
#endif
};

static const struct bpf_rule conditional[] = {
	{ CALL_FCNTL, 0, { { 1, ARG_IS, F_GETFD } } },
	{ CALL_FCNTL, 0, { { 1, ARG_IS, F_SETFD } } },
	{ CALL_FCNTL, 0, { { 1, ARG_IS, F_GETFL } } },
	{ CALL_FCNTL, 0, { { 1, ARG_IS, F_SETFL } } },
	{ CALL_FCNTL, EINVAL, { { 1, ARG_IS, F_DUPFD_CLOEXEC } } },
	{ SYS_ioctl, 0, { { 1, ARG_IS, TCGETS } } },
	{ SYS_ioctl, 0, { { 1, ARG_IS, FIONREAD } } },
	{ SYS_ioctl, ENOTTY, { { 1, ARG_IS, FS_IOC_FSGETXATTR } } },
	/* Libraries are mapped from files; what was writable is never executable. */
	{ CALL_MMAP, 0, { { 2, ARG_HAS_NO, PROT_EXEC } } },
	{ CALL_MMAP, EPERM,
		{ { 2, ARG_HAS_NO, PROT_WRITE }, { 3, ARG_HAS_NO, MAP_ANONYMOUS } } },
	{ SYS_mprotect, EPERM, { { 2, ARG_HAS_NO, PROT_EXEC } } },
	/* Below ABI 3 of Landlock a file that may be read may be truncated. */
	{ SYS_openat, EINVAL, { { 2, ARG_HAS_NO, O_TRUNC } } },
	{ SYS_prctl, EINVAL, { { 0, ARG_IS, PR_CAPBSET_READ } } }, /* libcap */
	{ SYS_prlimit64, EPERM, { { 0, ARG_IS, 0 }, { 2, ARG_IS_NULL, 0 } } },
	{ SYS_seccomp, EINVAL,
		{ { 0, ARG_IS, SECCOMP_SET_MODE_FILTER }, { 1, ARG_IS, 0 } } },
	/* MSG_FASTOPEN connects, which Landlock does not see. */
	{ SYS_sendmsg, EOPNOTSUPP, { { 2, ARG_HAS_NO, MSG_FASTOPEN } } },
	{ SYS_sendto, EOPNOTSUPP, { { 3, ARG_HAS_NO, MSG_FASTOPEN } } },
	{ SYS_setsockopt, 0, { { 1, ARG_IS, SOL_SOCKET }, { 2, ARG_IS, SO_SNDBUF } } },
	{ SYS_setsockopt, 0, { { 1, ARG_IS, SOL_SOCKET }, { 2, ARG_IS, SO_SNDTIMEO } } },
	{ SYS_setsockopt, 0, { { 1, ARG_IS, IPPROTO_TCP }, { 2, ARG_IS, TCP_CORK } } },
	{ SYS_setsockopt, 0,
		{ { 1, ARG_IS, IPPROTO_TCP }, { 2, ARG_IS, TCP_QUICKACK } } },
	{ SYS_setsockopt, ENOPROTOOPT,
		{ { 1, ARG_IS, IPPROTO_TCP }, { 2, ARG_IS, TCP_NODELAY } } },
	/* No streams: control sockets of daemons trust each client that can connect. */
	{ SYS_socket, EAFNOSUPPORT,
		{ { 0, ARG_IS, AF_UNIX }, { 1, ARG_HAS_NO, SOCK_TYPE & ~SOCK_DGRAM } } },
	{ SYS_tgkill, EPERM, { { 0, ARG_IS_OWN_PID, 0 } } }, /* abort() */
};

static const struct bpf_rule conditional_late[] = {
	{ SYS_landlock_add_rule, ENOSYS, { { 0, ARG_NEVER, 0 } } },
	{ SYS_landlock_create_ruleset, ENOSYS, { { 0, ARG_NEVER, 0 } } },
	{ SYS_landlock_restrict_self, ENOSYS, { { 0, ARG_NEVER, 0 } } },
	{ CALL_MMAP, EPERM, { { 2, ARG_HAS_NO, PROT_EXEC } } },
	{ SYS_mprotect, EPERM, { { 2, ARG_HAS_NO, PROT_EXEC } } },
};

/* Beside all that a connection needs. */
static const uint16_t allowed_accepting[] = {
	SYS_accept4,
	SYS_close_range,
	SYS_dup3,
	SYS_set_robust_list,
	SYS_wait4,
	SYS_socketpair, /* a channel to the key agent, for each connection */
	SYS_tgkill, /* with any process id, because that of a forked process is another */
#ifdef SYS_dup2
	SYS_dup2,
#endif
};

/* clone() with the flags of fork(): no new namespace, no shared memory. */
static const struct bpf_rule conditional_accepting[] = {
	{ SYS_clone, EPERM,
		{ { 0, ARG_IS, CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID | SIGCHLD } } },
};

static const uint16_t deadly_forked[] = { SYS_clone };

/*
 * Refused after fork(): calls of the process that accepts, and of the first steps of a
 * new one.
 */
static const struct bpf_rule conditional_forked[] = {
	{ SYS_accept4, ENOSYS, { { 0, ARG_NEVER, 0 } } },
	{ SYS_close_range, ENOSYS, { { 0, ARG_NEVER, 0 } } },
	{ SYS_dup3, ENOSYS, { { 0, ARG_NEVER, 0 } } },
	{ SYS_set_robust_list, ENOSYS, { { 0, ARG_NEVER, 0 } } },
	{ SYS_socketpair, ENOSYS, { { 0, ARG_NEVER, 0 } } },
	/*
	 * of the client's socket only: all connections share the socket to the acceptor
	 */
	{ SYS_shutdown, 0, { { 0, ARG_IS, STDIN_FILENO } } },
	{ SYS_shutdown, EBADF, { { 0, ARG_IS, STDOUT_FILENO } } },
	{ SYS_wait4, ENOSYS, { { 0, ARG_NEVER, 0 } } },
#ifdef SYS_dup2
	{ SYS_dup2, ENOSYS, { { 0, ARG_NEVER, 0 } } },
#endif
	{ SYS_tgkill, EPERM, { { 0, ARG_IS_OWN_PID, 0 } } }, /* abort() */
};

/*
 * A process that signs. GnuTLS needs random numbers, memory, locks and a clock; the rest
 * is the channels.
 */
static const uint16_t allowed_signing[] = {
	SYS_recvfrom,
	SYS_recvmsg,
	SYS_sendto,
	SYS_close,
	SYS_epoll_ctl,
	SYS_epoll_pwait,
#ifdef SYS_epoll_wait
	SYS_epoll_wait,
#endif
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
	SYS_restart_syscall,
	SYS_exit,
	SYS_exit_group,
#ifdef __i386__
	SYS_clock_gettime64,
	SYS_futex_time64,
	SYS_sigreturn,
#endif
};

static const struct bpf_rule conditional_signing[] = {
	{ CALL_MMAP, EPERM, { { 2, ARG_HAS_NO, PROT_EXEC } } },
	{ SYS_mprotect, EPERM, { { 2, ARG_HAS_NO, PROT_EXEC } } },
	{ SYS_tgkill, EPERM, { { 0, ARG_IS_OWN_PID, 0 } } }, /* abort() */
};

/* The calls of a process that connects for others, and reads only requests. */
static const uint16_t allowed_connecting[] = {
	SYS_recvmsg,
	SYS_sendmsg,
	SYS_connect,
	SYS_close,
	SYS_ppoll,
	SYS_clock_gettime,
	SYS_brk,
	SYS_munmap,
	SYS_futex,
	SYS_getpid,
	SYS_gettid,
	SYS_rt_sigprocmask,
	SYS_rt_sigreturn,
	SYS_sigaltstack, /* sanitizers, when the process ends */
	SYS_restart_syscall,
	SYS_exit,
	SYS_exit_group,
#ifdef __i386__
	SYS_sigreturn,
	SYS_ppoll_time64,
	SYS_clock_gettime64,
#endif
};

static const struct bpf_rule conditional_connecting[] = {
	{ CALL_MMAP, EPERM, { { 2, ARG_HAS_NO, PROT_EXEC } } },
	{ SYS_setsockopt, 0, { { 1, ARG_IS, SOL_SOCKET }, { 2, ARG_IS, SO_RCVTIMEO } } },
	{ SYS_setsockopt, ENOPROTOOPT,
		{ { 1, ARG_IS, IPPROTO_TCP }, { 2, ARG_IS, TCP_NODELAY } } },
	{ SYS_socket, 0,
		{ { 0, ARG_IS, AF_UNIX }, { 1, ARG_HAS_NO, SOCK_TYPE & ~SOCK_STREAM } } },
	{ SYS_socket, 0,
		{ { 0, ARG_IS, AF_INET },
			{ 1, ARG_HAS_NO, SOCK_TYPE & ~(SOCK_STREAM | SOCK_DGRAM) } } },
	{ SYS_socket, EAFNOSUPPORT,
		{ { 0, ARG_IS, AF_INET6 },
			{ 1, ARG_HAS_NO, SOCK_TYPE & ~(SOCK_STREAM | SOCK_DGRAM) } } },
	{ SYS_tgkill, EPERM, { { 0, ARG_IS_OWN_PID, 0 } } }, /* abort() */
};

static const struct bpf_rule conditional_tokens[] = {
	{ SYS_mprotect, EPERM, { { 2, ARG_HAS_NO, PROT_EXEC } } },
	{ SYS_socket, EAFNOSUPPORT, { { 0, ARG_NEVER, 0 } } },
	{ SYS_socketpair, EAFNOSUPPORT, { { 0, ARG_NEVER, 0 } } },
	{ SYS_tgkill, EPERM, { { 0, ARG_IS_OWN_PID, 0 } } },
};

static const struct bpf_table signing = {
	.allowed = allowed_signing,
	.n_allowed = COUNT(allowed_signing),
	.deadly = deadly,
	.n_deadly = COUNT(deadly),
	.rules = conditional_signing,
	.n_rules = COUNT(conditional_signing),
	.others = SECCOMP_RET_ERRNO | ENOSYS,
};

static const struct bpf_table signing_with_tokens = {
	.deadly = deadly,
	.n_deadly = COUNT(deadly),
	.rules = conditional_tokens,
	.n_rules = COUNT(conditional_tokens),
	.others = SECCOMP_RET_ALLOW,
};

static const struct bpf_table connecting = {
	.allowed = allowed_connecting,
	.n_allowed = COUNT(allowed_connecting),
	.deadly = deadly,
	.n_deadly = COUNT(deadly),
	.rules = conditional_connecting,
	.n_rules = COUNT(conditional_connecting),
	.others = SECCOMP_RET_ERRNO | ENOSYS,
};

static const struct bpf_table stage_a = {
	.allowed = allowed,
	.n_allowed = COUNT(allowed),
	.deadly = deadly,
	.n_deadly = COUNT(deadly),
	.rules = conditional,
	.n_rules = COUNT(conditional),
	.others = SECCOMP_RET_ERRNO | ENOSYS,
};

static const struct bpf_table accepting = {
	.allowed = allowed_accepting,
	.n_allowed = COUNT(allowed_accepting),
	.rules = conditional_accepting,
	.n_rules = COUNT(conditional_accepting),
	.others = SECCOMP_RET_ERRNO | ENOSYS,
};

static const struct bpf_table forked = {
	.deadly = deadly_forked,
	.n_deadly = COUNT(deadly_forked),
	.rules = conditional_forked,
	.n_rules = COUNT(conditional_forked),
	.others = SECCOMP_RET_ALLOW,
};

static const struct bpf_table stage_b = {
	.rules = conditional_late,
	.n_rules = COUNT(conditional_late),
	.others = SECCOMP_RET_ALLOW,
};

#define FORKED_MAX BPF_LENGTH_MAX(COUNT(deadly_forked), COUNT(conditional_forked))

_Static_assert(COUNT(conditional) + COUNT(conditional_accepting) <= BPF_RULES_MAX,
	"stage A fits, that of a process that accepts, too");
_Static_assert(COUNT(allowed) + COUNT(deadly) + COUNT(allowed_chown) +
			       COUNT(allowed_delivery) + COUNT(allowed_landlock) +
			       COUNT(allowed_accepting) <=
		       BPF_CALLS_MAX,
	"and all its calls do");

bool seccomp_exists(void)
{
	return true;
}

/* `p` is empty, and has room for the program. */
static int enforce(struct bpf_program *p, const struct bpf_table *t)
{
	struct sock_fprog filter;

	bpf_assemble(p, t);
	filter = (struct sock_fprog){
		.len = (unsigned short)(p->n - p->first),
		.filter = p->at + p->first,
	};
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) < 0)
		return -errno;
	return 0;
}

int seccomp_enforce(const struct bpf_table *t)
{
	struct sock_filter at[BPF_PROGRAM_MAX];
	struct bpf_program p = { .at = at, .n = COUNT(at) };

	return enforce(&p, t);
}

/* `needs` comes between stage A and the last table. */
static int enforce_for(const struct seccomp_needs *needs, const struct bpf_table *last)
{
	struct bpf_table chown = { .allowed = allowed_chown,
		.n_allowed = needs->fchown ? COUNT(allowed_chown) : 0,
		.base = &stage_a };
	struct bpf_table delivery = { .allowed = allowed_delivery,
		.n_allowed = needs->delivery ? COUNT(allowed_delivery) : 0,
		.base = &chown };
	struct bpf_table landlock = { .allowed = allowed_landlock,
		.n_allowed = needs->landlock ? COUNT(allowed_landlock) : 0,
		.base = &delivery };
	struct bpf_table t = *last;

	t.base = &landlock;
	return seccomp_enforce(&t);
}

int seccomp_enter(const struct seccomp_needs *needs)
{
	static const struct bpf_table none = { .others = SECCOMP_RET_ERRNO | ENOSYS };

	return enforce_for(needs, &none);
}

int seccomp_enter_accepting(const struct seccomp_needs *needs)
{
	return enforce_for(needs, &accepting);
}

/*
 * COST: two page faults of a connection; without it: seccomp_enforce() has a larger part
 * of the stack.
 */
int seccomp_enter_forked(void)
{
	struct sock_filter at[FORKED_MAX];
	struct bpf_program p = { .at = at, .n = COUNT(at) };

	return enforce(&p, &forked);
}

int seccomp_enter_connecting(void)
{
	return seccomp_enforce(&connecting);
}

int seccomp_enter_signing(bool has_tokens)
{
	return seccomp_enforce(has_tokens ? &signing_with_tokens : &signing);
}

int seccomp_tighten(void)
{
	return seccomp_enforce(&stage_b);
}
