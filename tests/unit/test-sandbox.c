/* SPDX-License-Identifier: ISC */
/*
 * From inside a process with the same sandbox: each forbidden act fails, in stage A and in stage B. If possible, an
 * attempt would fail differently without the sandbox: the calls of a table get only arguments of -1.
 */
#include <dlfcn.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include "unit/sandbox-yard.h"

#define PAGE 4096
#define NOBODY 65534
#define X32 0x40000000
#define LIBRARY "libresolv.so.2" /* comes with libc, and is not loaded yet */

static const int deadly[] = { SYS_execve, SYS_execveat, SYS_clone, SYS_clone3, SYS_kcmp,
	SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_setuid, SYS_setgid,
	SYS_setresuid, SYS_setresgid, SYS_setgroups, SYS_setfsuid, SYS_capset,
	SYS_personality, SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, SYS_unshare,
	SYS_setns, SYS_fsopen, SYS_open_tree, SYS_move_mount, SYS_open_by_handle_at,
	SYS_bpf, SYS_keyctl, SYS_add_key, SYS_request_key, SYS_io_uring_setup,
	SYS_io_uring_enter, SYS_userfaultfd, SYS_perf_event_open, SYS_kexec_load,
	SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_reboot, SYS_swapon,
	SYS_clock_settime, SYS_settimeofday, SYS_sethostname, SYS_acct, SYS_quotactl,
#ifdef SYS_kexec_file_load
	SYS_kexec_file_load,
#endif
#ifdef __i386__
	SYS_setuid32, SYS_setgid32, SYS_setresuid32, SYS_setresgid32, SYS_setgroups32,
	SYS_setfsuid32, SYS_clock_settime64, SYS_vm86, SYS_umount
#endif
};

static const int unknown[] = {
	SYS_kill, SYS_tkill, SYS_rt_sigqueueinfo, SYS_pidfd_open, SYS_pidfd_send_signal,
	SYS_symlinkat, SYS_mknodat, SYS_fchmod, SYS_fchmodat, SYS_fchownat, SYS_truncate,
	SYS_utimensat, SYS_setxattr, SYS_fsetxattr, SYS_chdir, SYS_bind, SYS_listen,
	SYS_socketpair, SYS_pipe2, SYS_shmget, SYS_shmat, SYS_msgget, SYS_mq_open,
	SYS_inotify_init1, SYS_epoll_create1, SYS_timer_create, SYS_timerfd_create,
	SYS_setrlimit, SYS_setpriority, SYS_setsid, SYS_sched_setaffinity, SYS_splice,
	SYS_vmsplice, SYS_pkey_mprotect, SYS_name_to_handle_at, SYS_sendmmsg, SYS_umask,
	SYS_connect, SYS_ftruncate, SYS_pwrite64, SYS_copy_file_range, SYS_memfd_create,
	SYS_fchown, SYS_fdatasync, SYS_accept4, SYS_close_range, SYS_dup3,
	SYS_set_robust_list, SYS_wait4, SYS_renameat,
#ifdef SYS_dup2
	SYS_dup2, SYS_rename
#endif
};

static const int of_landlock[] = { SYS_landlock_create_ruleset, SYS_landlock_add_rule,
	SYS_landlock_restrict_self };

static int try_open(const struct yard *y, const char *path, int flags)
{
	return errno_of(openat(y->dir, path, flags | O_CLOEXEC, 0600));
}

static int try_map(int prot, int flags, int fd)
{
	return mmap(NULL, PAGE, prot, flags, fd, 0) == MAP_FAILED ? errno : 0;
}

#define ATTEMPT(name, expression)                                                        \
	static int name(const struct yard *y)                                            \
	{                                                                                \
		(void)y;                                                                 \
		return expression;                                                       \
	}

ATTEMPT(do_fork, errno_of(fork()))
ATTEMPT(do_execve,
	errno_of(execve("/bin/true", (char *[]){ (char *)"true", NULL }, NULL)))
ATTEMPT(do_kill_parent, errno_of(syscall(SYS_tgkill, y->parent, y->parent, 0)))
ATTEMPT(do_rename_thread, errno_of(prctl(PR_SET_NAME, "other")))
ATTEMPT(do_dumpable, errno_of(prctl(PR_SET_DUMPABLE, 0)))
ATTEMPT(do_listener, errno_of(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			     SECCOMP_FILTER_FLAG_NEW_LISTENER, NULL)))
#ifdef __x86_64__
ATTEMPT(do_x32, errno_of(syscall(X32 | SYS_getpid)))
#endif
ATTEMPT(do_parent_limits,
	errno_of(prlimit(y->parent, RLIMIT_NOFILE, NULL, &(struct rlimit){ 0 })))
ATTEMPT(do_own_limit, errno_of(prlimit(0, RLIMIT_CORE, &(struct rlimit){ 0 }, NULL)))
ATTEMPT(do_tiocsti, errno_of(ioctl(-1, TIOCSTI, "x")))
ATTEMPT(do_seal, errno_of(fcntl(-1, F_ADD_SEALS, 0)))
ATTEMPT(do_set_owner, errno_of(fcntl(-1, F_SETOWN, 1)))
ATTEMPT(do_attach_filter, errno_of(setsockopt(-1, SOL_SOCKET, SO_ATTACH_FILTER, NULL, 0)))
ATTEMPT(do_fast_open, errno_of(sendto(-1, "x", 1, MSG_FASTOPEN, NULL, 0)))

ATTEMPT(do_execveat,
	errno_of(syscall(SYS_execveat, y->program, "", NULL, NULL, AT_EMPTY_PATH)))

static void test_processes_are_never_made_or_reached(void)
{
	static const struct attempt list[] = {
		{ "fork", do_fork, KILLED, KILLED, 0 },
		{ "execve", do_execve, KILLED, KILLED, 0 },
		{ "execveat", do_execveat, KILLED, KILLED, 0 },
		{ "signal to another process", do_kill_parent, EPERM, EPERM, 0 },
		{ "limits of another process", do_parent_limits, EPERM, EPERM, 0 },
		{ "own limits", do_own_limit, EPERM, EPERM, 0 },
	};

	yard_attempt(list, TEST_COUNT(list));
}

static void test_the_sandbox_cannot_be_undone(void)
{
	static const struct attempt list[] = {
		{ "prctl: name", do_rename_thread, EINVAL, EINVAL, 0 },
		{ "prctl: dumpable", do_dumpable, EINVAL, EINVAL, 0 },
		{ "seccomp with a listener", do_listener, EINVAL, EINVAL, 0 },
#ifdef __x86_64__
		{ "calls of x32", do_x32, ENOSYS, ENOSYS, 0 },
#endif
	};

	yard_attempt(list, TEST_COUNT(list));
}

static void test_descriptors_obey_few_commands(void)
{
	static const struct attempt list[] = {
		{ "TIOCSTI", do_tiocsti, ENOTTY, ENOTTY, 0 },
		{ "F_SETOWN", do_set_owner, EINVAL, EINVAL, 0 },
		{ "F_ADD_SEALS", do_seal, EINVAL, EINVAL, 0 },
		{ "SO_ATTACH_FILTER", do_attach_filter, ENOPROTOOPT, ENOPROTOOPT, 0 },
		{ "MSG_FASTOPEN", do_fast_open, EOPNOTSUPP, EOPNOTSUPP, 0 },
	};

	yard_attempt(list, TEST_COUNT(list));
}

ATTEMPT(do_inet, errno_of(socket(AF_INET, SOCK_STREAM, 0)))
ATTEMPT(do_inet6, errno_of(socket(AF_INET6, SOCK_DGRAM, 0)))
ATTEMPT(do_netlink, errno_of(socket(AF_NETLINK, SOCK_RAW, 0)))
ATTEMPT(do_unix_stream, errno_of(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)))
ATTEMPT(do_unix_seqpacket, errno_of(socket(AF_UNIX, SOCK_SEQPACKET, 0)))

static int do_connect(const struct yard *y)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons(1),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	return errno_of(connect(y->tcp, (struct sockaddr *)&to, sizeof(to)));
}

/* The client's socket becomes free for another connection; below ABI 4 no rule of Landlock is about that. */
static int do_disconnect(const struct yard *y)
{
	const struct sockaddr to = { .sa_family = AF_UNSPEC };

	return errno_of(connect(y->connected, &to, sizeof(to)));
}

static int do_connect_log(const struct yard *y)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	return errno_of(
		connect(fd, (const struct sockaddr *)&y->log_name, sizeof(y->log_name)));
}

static int do_abstract(const struct yard *y)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	snprintf(to.sun_path + 1, sizeof(to.sun_path) - 1, "postern-test-%d",
		(int)y->parent);
	return errno_of(sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)));
}

static void test_nobody_is_called(void)
{
	static const struct attempt list[] = {
		{ "socket: IPv4", do_inet, EAFNOSUPPORT, EAFNOSUPPORT, 0 },
		{ "socket: IPv6", do_inet6, EAFNOSUPPORT, EAFNOSUPPORT, 0 },
		{ "socket: netlink", do_netlink, EAFNOSUPPORT, EAFNOSUPPORT, 0 },
		{ "socket: local stream", do_unix_stream, EAFNOSUPPORT, EAFNOSUPPORT, 0 },
		{ "socket: local packets", do_unix_seqpacket, EAFNOSUPPORT, EAFNOSUPPORT,
			0 },
		{ "connect: TCP", do_connect, ENOSYS, ENOSYS, 0 },
		{ "connect: the client's socket to nothing", do_disconnect, ENOSYS,
			ENOSYS, 0 },
		{ "connect: local datagrams", do_connect_log, ENOSYS, ENOSYS, 0 },
		{ "abstract name", do_abstract, EPERM, EPERM, LANDLOCK_SCOPE },
	};
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "postern-test-%d",
		(int)getpid());
	CHECK(bind(fd, (struct sockaddr *)&name, sizeof(name)) == 0);
	yard_attempt(list, TEST_COUNT(list));
	close(fd);
}

ATTEMPT(do_read_passwd, try_open(y, "/etc/passwd", O_RDONLY))
ATTEMPT(do_read_memory, try_open(y, "/proc/self/mem", O_RDWR))
ATTEMPT(do_read_random, try_open(y, "/dev/urandom", O_RDONLY))
ATTEMPT(do_read_outside, try_open(y, "outside/file", O_RDONLY))
ATTEMPT(do_read_mail, try_open(y, "mail/a/new/old", O_RDONLY))
ATTEMPT(do_read_and_write_mail, try_open(y, "mail/a/new/old", O_RDWR))
ATTEMPT(do_make_to_read, try_open(y, "mail/a/tmp/r", O_RDWR | O_CREAT))
ATTEMPT(do_tmpfile_to_read, try_open(y, "mail/a/new", O_TMPFILE | O_RDWR))
ATTEMPT(do_link_to_read,
	errno_of(linkat(y->dir, "mail/a/new/old", y->dir, "modules/l", 0)))

/* A file that is open for writing, by its descriptor. */
static int do_read_again(const struct yard *y)
{
	int fd = openat(y->dir, "mail/a/new/old", O_WRONLY | O_CLOEXEC);
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return fd < 0 ? 0 : try_open(y, path, O_RDONLY);
}

ATTEMPT(do_list_outside, try_open(y, "outside", O_RDONLY | O_DIRECTORY))
ATTEMPT(do_list_root, try_open(y, "/", O_RDONLY | O_DIRECTORY))
ATTEMPT(do_list_libraries, try_open(y, "/usr/lib", O_RDONLY | O_DIRECTORY))
ATTEMPT(do_write_outside, try_open(y, "outside/file", O_WRONLY | O_APPEND))
ATTEMPT(do_create_outside, try_open(y, "outside/new", O_WRONLY | O_CREAT | O_EXCL))
ATTEMPT(do_tmpfile_outside, try_open(y, "outside", O_TMPFILE | O_RDWR))
ATTEMPT(do_climb, try_open(y, "mail/../outside/file", O_RDONLY))
ATTEMPT(do_mkdir_outside, errno_of(mkdirat(y->dir, "outside/new", 0700)))
ATTEMPT(do_unlink_outside, errno_of(unlinkat(y->dir, "outside/file", 0)))
ATTEMPT(do_rmdir_outside, errno_of(unlinkat(y->dir, "outside/dir", AT_REMOVEDIR)))
ATTEMPT(do_link_out, errno_of(linkat(y->dir, "mail/a/new/old", y->dir, "outside/l", 0)))
ATTEMPT(do_link_in, errno_of(linkat(y->dir, "outside/file", y->dir, "mail/a/new/l", 0)))

/* The call itself: libc's function without flags is another. */
static long rename_by(const struct yard *y, const char *from, const char *to)
{
	return syscall(SYS_renameat2, y->dir, from, y->dir, to, 0);
}

ATTEMPT(do_rename_out, errno_of(rename_by(y, "mail/a/new/old", "outside/r")))
ATTEMPT(do_rename_in, errno_of(rename_by(y, "outside/file", "mail/a/new/r")))
ATTEMPT(do_rmdir, errno_of(unlinkat(y->dir, "mail/a", AT_REMOVEDIR)))
ATTEMPT(do_write_module, try_open(y, "modules/module", O_RDWR))
ATTEMPT(do_create_module, try_open(y, "modules/new", O_WRONLY | O_CREAT))
ATTEMPT(do_read_module, try_open(y, "modules/module", O_RDONLY))
ATTEMPT(do_list_modules, try_open(y, "modules", O_RDONLY | O_DIRECTORY))
ATTEMPT(do_read_cache, try_open(y, "/etc/ld.so.cache", O_RDONLY))

static void test_files_outside_stay_shut(void)
{
	static const struct attempt list[] = {
		{ "read /etc/passwd", do_read_passwd, EACCES, EACCES, LANDLOCK },
		{ "open /proc/self/mem", do_read_memory, EACCES, EACCES, LANDLOCK },
		{ "read /dev/urandom", do_read_random, EACCES, EACCES, LANDLOCK },
		{ "read", do_read_outside, EACCES, EACCES, LANDLOCK },
		{ "read by ..", do_climb, EACCES, EACCES, LANDLOCK },
		{ "list", do_list_outside, EACCES, EACCES, LANDLOCK },
		{ "list /", do_list_root, EACCES, EACCES, LANDLOCK },
		{ "list libraries", do_list_libraries, EACCES, EACCES, LANDLOCK },
		{ "write", do_write_outside, EACCES, EACCES, LANDLOCK },
		{ "create", do_create_outside, EACCES, EACCES, LANDLOCK },
		{ "create without a name", do_tmpfile_outside, EACCES, EACCES, LANDLOCK },
		{ "mkdir", do_mkdir_outside, EACCES, EACCES, LANDLOCK },
		{ "unlink", do_unlink_outside, EACCES, EACCES, LANDLOCK },
		{ "rmdir", do_rmdir_outside, EACCES, EACCES, LANDLOCK },
		{ "link out", do_link_out, EACCES, EACCES, LANDLOCK },
		{ "link in", do_link_in, EXDEV, EXDEV, LANDLOCK },
		{ "rename out", do_rename_out, EACCES, EACCES, LANDLOCK },
		{ "rename in", do_rename_in, EACCES, EACCES, LANDLOCK },
		{ "write a module", do_write_module, EACCES, EACCES, LANDLOCK },
		{ "create a module", do_create_module, EACCES, EACCES, LANDLOCK },
		/* what was made for a mailbox that cannot be made whole */
		{ "remove a directory of mail", do_rmdir, ENOTEMPTY, ENOTEMPTY,
			LANDLOCK },
	};

	yard_attempt(list, TEST_COUNT(list));
}

/* Readable files can be mapped as code, and files below mail-root can be written. */
static void test_no_file_of_mail_is_read(void)
{
	static const struct attempt list[] = {
		{ "read", do_read_mail, EACCES, EACCES, LANDLOCK },
		{ "read and write", do_read_and_write_mail, EACCES, EACCES, LANDLOCK },
		{ "make one to read", do_make_to_read, EACCES, EACCES, LANDLOCK },
		{ "the same without a name", do_tmpfile_to_read, EACCES, EACCES,
			LANDLOCK },
		{ "link to where it can be read", do_link_to_read, EACCES, EACCES,
			LANDLOCK },
		{ "read by its descriptor", do_read_again, EACCES, EACCES, LANDLOCK },
	};

	yard_attempt(list, TEST_COUNT(list));
}

static void test_stage_b_ends_reading_libraries(void)
{
	static const struct attempt list[] = {
		{ "read a module", do_read_module, WORKS, EACCES, LANDLOCK },
		{ "list modules", do_list_modules, EACCES, EACCES, LANDLOCK },
		{ "the loader's cache", do_read_cache, WORKS, EACCES, LANDLOCK },
	};

	yard_attempt(list, TEST_COUNT(list));
}

/* The library that the program has, opened as the loader does; -1 where it cannot be. */
static int open_libc(int flags)
{
	Dl_info libc;

	return dladdr((const void *)getpid, &libc)
		       ? open(libc.dli_fname, flags | O_CLOEXEC)
		       : -1;
}

ATTEMPT(do_dlopen, dlopen(LIBRARY, RTLD_NOW) ? 0 : ELIBACC)
ATTEMPT(do_empty_library, errno_of(open_libc(O_RDONLY | O_TRUNC)))
ATTEMPT(do_empty_module, try_open(y, "modules/module", O_RDONLY | O_TRUNC))

/* Its flags are in memory, where no filter sees them. */
static int do_empty_by_openat2(const struct yard *y)
{
	struct open_how how = { .flags = O_RDONLY | O_TRUNC | O_CLOEXEC };

	return errno_of(
		(int)syscall(SYS_openat2, y->dir, "modules/module", &how, sizeof(how)));
}

static int do_give_away(const struct yard *y)
{
	struct stat st;
	int fd = open_libc(O_RDONLY);

	(void)y;
	/* to the owner that it has: changes nothing where it works */
	if (fd < 0 || fstat(fd, &st) < 0)
		return EACCES;
	return fchown(fd, st.st_uid, st.st_gid) < 0 ? EACCES : 0;
}

static void test_what_may_be_read_cannot_be_changed(void)
{
	static const struct attempt list[] = {
		{ "empty a library", do_empty_library, EINVAL, EINVAL, LANDLOCK },
		{ "empty a module", do_empty_module, EINVAL, EINVAL, LANDLOCK },
		{ "empty a module by openat2", do_empty_by_openat2, ENOSYS, ENOSYS,
			LANDLOCK },
		{ "give a library away", do_give_away, EACCES, EACCES, LANDLOCK },
	};

	yard_attempt(list, TEST_COUNT(list));
}

/* A message that was delivered, as far as it can be opened. */
static int do_map_mail_x(const struct yard *y)
{
	static const int flags[] = { O_RDONLY, O_WRONLY, O_RDWR };
	int fd, r = EACCES;

	for (size_t i = 0; i < TEST_COUNT(flags) && r; i++) {
		fd = openat(y->dir, "mail/a/new/old", flags[i] | O_CLOEXEC);
		r = fd < 0 ? EACCES : try_map(PROT_READ | PROT_EXEC, MAP_PRIVATE, fd);
	}
	return r ? EPERM : 0;
}

static int give_mail_away(const struct yard *y)
{
	int fd = openat(y->dir, "mail/a/new/mine", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	return fd < 0 ? errno : errno_of(fchown(fd, NOBODY, NOBODY));
}

/* Root delivers to other users by another process, and changes the owner of nothing. */
static void test_root_gives_nothing_away(void)
{
	struct yard y;

	if (getuid() != 0)
		return;
	yard_init(&y);
	CHECK(attempt_in(&y, STAGE_A, give_mail_away) == ENOSYS);
	y.dirs.owners = y.dirs.loaded = true;
	y.dirs.n_read = 0;
	CHECK(attempt_in(&y, STAGE_A, give_mail_away) == ENOSYS);
	CHECK(attempt_in(&y, STAGE_A, do_give_away) == EACCES);
	yard_done(&y);
}

/* A directory that another process opened, as a broker does, for one that syncs it. */
static int of_a_broker = -1;

static int do_list_open(const struct yard *y)
{
	char entries[PAGE];

	(void)y;
	return errno_of(syscall(SYS_getdents64, of_a_broker, entries, sizeof(entries)));
}

static int do_read_link(const struct yard *y)
{
	char target[YARD_PATH];

	(void)y;
	return errno_of(readlinkat(of_a_broker, "link", target, sizeof(target)));
}

ATTEMPT(do_sync_open, errno_of(fsync(of_a_broker)))
ATTEMPT(do_link_open, errno_of(linkat(of_a_broker, "old", of_a_broker, "other", 0)))
ATTEMPT(do_move_open,
	errno_of(syscall(SYS_renameat2, of_a_broker, "old", of_a_broker, "old", 0)))
ATTEMPT(do_mkdir_open, errno_of(mkdirat(of_a_broker, "d", 0700)))

/* Landlock judges no call on an open directory, so that the filter of calls must. */
static void test_where_a_broker_delivers_its_directories_are_synced_and_not_listed(void)
{
	static const struct attempt with_broker[] = {
		{ "sync", do_sync_open, WORKS, WORKS, 0 },
		{ "list", do_list_open, ENOSYS, ENOSYS, 0 },
		{ "read a link", do_read_link, ENOSYS, ENOSYS, 0 },
		{ "link", do_link_open, ENOSYS, ENOSYS, 0 },
		{ "move", do_move_open, ENOSYS, ENOSYS, 0 },
		{ "make a directory", do_mkdir_open, ENOSYS, ENOSYS, 0 },
	};
	static const struct attempt without[] = { { "list", do_list_open, WORKS, WORKS,
		0 } };
	struct yard y;

	yard_init(&y);
	of_a_broker = openat(y.dir, "mail/a/new", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	REQUIRE(of_a_broker >= 0 && symlinkat("old", of_a_broker, "link") == 0);
	attempt_all(&y, without, TEST_COUNT(without));
	y.dirs.owners = true;
	attempt_all(&y, with_broker, TEST_COUNT(with_broker));
	close(of_a_broker);
	yard_done(&y);
}

#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
ATTEMPT(do_map_wx, try_map(PROT_READ | PROT_WRITE | PROT_EXEC, ANON, -1))
ATTEMPT(do_map_anon_x, try_map(PROT_READ | PROT_EXEC, ANON, -1))
ATTEMPT(do_map_file_wx, try_map(PROT_WRITE | PROT_EXEC, MAP_PRIVATE, y->program))
ATTEMPT(do_map_file_x, try_map(PROT_READ | PROT_EXEC, MAP_PRIVATE, y->program))

static int do_make_executable(const struct yard *y)
{
	void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, ANON, -1, 0);

	(void)y;
	return errno_of(mprotect(page, PAGE, PROT_READ | PROT_EXEC));
}

static void test_nothing_written_is_executed(void)
{
	static const struct attempt list[] = {
		{ "memory to write and execute", do_map_wx, EPERM, EPERM, 0 },
		{ "memory to execute", do_map_anon_x, EPERM, EPERM, 0 },
		{ "a file to write and execute", do_map_file_wx, EPERM, EPERM, 0 },
		{ "mprotect to execute", do_make_executable, EPERM, EPERM, 0 },
		{ "a file to execute", do_map_file_x, WORKS, EPERM, 0 },
		{ "a message to execute", do_map_mail_x, EPERM, EPERM, LANDLOCK },
		{ "another library", do_dlopen, WORKS, ELIBACC, 0 },
	};

	yard_attempt(list, TEST_COUNT(list));
}

static int do_call(const struct yard *y)
{
	return errno_of(syscall(y->call, -1L, -1L, -1L, -1L, -1L, -1L));
}

static void attempt_calls(const int *calls, size_t n, int expected)
{
	struct yard y;

	yard_init(&y);
	for (size_t i = 0; i < n; i++) {
		const struct attempt a = { "call", do_call, expected, expected, 0 };

		y.call = calls[i];
		if (!attempt_all(&y, &a, 1))
			fprintf(stderr, "\tnumber %d\n", calls[i]);
	}
	yard_done(&y);
}

static void test_calls_nobody_needs_end_the_process(void)
{
	attempt_calls(deadly, TEST_COUNT(deadly), KILLED);
}

static void test_other_calls_look_unknown(void)
{
	attempt_calls(unknown, TEST_COUNT(unknown), ENOSYS);
}

/* Which steps of these fail, as bits: a process that connects for others can do the first ones alone. */
static int connect_for_others(const struct yard *y)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9) };
	int failed = 0, r = sandbox_enter_connecting(), fd;

	(void)y;
	if (r < 0)
		return NOT_ENTERED;
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	failed |= connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0;
	failed |= (socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0) << 1;
	failed |= (socket(AF_INET6, SOCK_STREAM, 0) < 0 && errno != EAFNOSUPPORT) << 2;
	failed |= (bind(fd, (struct sockaddr *)&to, sizeof(to)) < 0) << 3;
	failed |= (socket(AF_INET, SOCK_RAW, IPPROTO_UDP) < 0) << 4;
	failed |= (socket(AF_UNIX, SOCK_DGRAM, 0) < 0) << 5;
	failed |= (open("/etc/passwd", O_RDONLY) < 0) << 6;
	return failed;
}

static int fork_for_others(const struct yard *y)
{
	(void)y;
	return sandbox_enter_connecting() < 0 ? NOT_ENTERED : errno_of(fork());
}

static void test_a_process_that_connects_for_others_does_nothing_else(void)
{
	struct yard y;

	yard_init(&y);
	CHECK(attempt_out(&y, connect_for_others) == 0x78);
	CHECK(attempt_out(&y, fork_for_others) == KILLED);
	yard_done(&y);
}

static int restrict_again(const struct yard *y)
{
	int error = do_call(y);

	return error == ENOSYS ? ENOSYS : 0;
}

/* Stage B, which is entered at once where all is loaded, is the last that needs them. */
static void test_rules_of_landlock_end_with_stage_b(void)
{
	struct yard y;

	yard_init(&y);
	for (size_t i = 0; i < TEST_COUNT(of_landlock); i++) {
		y.call = of_landlock[i];
		y.dirs.loaded = false;
		CHECK(attempt_in(&y, STAGE_A, restrict_again) == WORKS);
		CHECK(attempt_in(&y, STAGE_B, restrict_again) == ENOSYS);
		CHECK(attempt_forked(&y, false, restrict_again) == WORKS);
		CHECK(attempt_forked(&y, true, restrict_again) == ENOSYS);
		y.dirs.loaded = true;
		CHECK(attempt_in(&y, STAGE_A, restrict_again) == ENOSYS);
	}
	yard_done(&y);
}

static const struct test tests[] = {
	TEST(test_processes_are_never_made_or_reached),
	TEST(test_the_sandbox_cannot_be_undone),
	TEST(test_descriptors_obey_few_commands),
	TEST(test_nobody_is_called),
	TEST(test_files_outside_stay_shut),
	TEST(test_no_file_of_mail_is_read),
	TEST(test_stage_b_ends_reading_libraries),
	TEST(test_what_may_be_read_cannot_be_changed),
	TEST(test_root_gives_nothing_away),
	TEST(test_where_a_broker_delivers_its_directories_are_synced_and_not_listed),
	TEST(test_nothing_written_is_executed),
	TEST(test_calls_nobody_needs_end_the_process),
	TEST(test_other_calls_look_unknown),
	TEST(test_rules_of_landlock_end_with_stage_b),
	TEST(test_a_process_that_connects_for_others_does_nothing_else),
};

int main(void)
{
	return yard_main(tests, TEST_COUNT(tests));
}
