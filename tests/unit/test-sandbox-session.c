/* SPDX-License-Identifier: ISC */
/* From inside a process with the same sandbox: all that a session needs works, in stage A and in stage B. */
#include <dlfcn.h>
#include <linux/fs.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/xattr.h>
#include <time.h>
#include "smtp/record.h"
#include "unit/sandbox-yard.h"

#define GNUTLS "libgnutls.so.30"
#define BIG (4 << 20)

static int sync_dir(const struct yard *y, const char *path)
{
	int fd = openat(y->dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? errno : errno_of(fsync(fd));
}

static int write_file(int fd)
{
	return write(fd, "message\n", 8) == 8 ? errno_of(fsync(fd)) : EIO;
}

static int deliver(const struct yard *y)
{
	char path[64];
	int fd = openat(y->dir, "mail/a/new", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	int r;

	if (fd < 0 && errno == EOPNOTSUPP)
		return 0; /* and so does the program, with the next way */
	if (fd < 0 || (r = write_file(fd)))
		return errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, path, y->dir, "mail/a/new/1", AT_SYMLINK_FOLLOW) < 0 ||
		linkat(AT_FDCWD, path, y->dir, "mail/b/new/1", AT_SYMLINK_FOLLOW) < 0 ||
		fsync(fd) < 0)
		return errno;
	r = sync_dir(y, "mail/a/new");
	if (r == 0)
		r = sync_dir(y, "mail/b/new");
	if (r == 0)
		r = errno_of(unlinkat(y->dir, "mail/a/new/1", 0));
	return r ? r : errno_of(unlinkat(y->dir, "mail/b/new/1", 0));
}

static int deliver_the_classic_way(const struct yard *y)
{
	int fd = openat(
		y->dir, "mail/a/tmp/2", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int r = fd < 0 ? errno : write_file(fd);

	if (r)
		return r;
	if (linkat(y->dir, "mail/a/tmp/2", y->dir, "mail/a/new/2", 0) < 0 ||
		linkat(y->dir, "mail/a/tmp/2", y->dir, "mail/b/new/2", 0) < 0 ||
		unlinkat(y->dir, "mail/a/tmp/2", 0) < 0 ||
		unlinkat(y->dir, "mail/b/new/2", 0) < 0)
		return errno;
	if (syscall(SYS_renameat2, y->dir, "mail/a/new/2", y->dir, "mail/a/cur/2",
		    RENAME_NOREPLACE) < 0)
		return errno;
	return errno_of(unlinkat(y->dir, "mail/a/cur/2", 0));
}

/* Which files can be linked where. */
static int look_at_a_maildir(const struct yard *y)
{
	int fd = openat(y->dir, "mail/a/new", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct fsxattr found;
	struct statx st;

	if (fd < 0 || statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) < 0)
		return errno;
	/* a file system without this request returns the same error as a filter that refuses it */
	return ioctl(-1, FS_IOC_FSGETXATTR, &found) < 0 && errno == EBADF ? 0 : errno;
}

static int make_a_maildir(const struct yard *y)
{
	int mail = openat(y->dir, "mail", O_PATH | O_CLOEXEC);
	char name[24]; /* another each time: it cannot be removed */
	int dir;

	snprintf(name, sizeof(name), "c%d", (int)getpid());
	if (mkdirat(mail, name, 0700) < 0)
		return errno;
	dir = openat(mail, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || mkdirat(dir, "new", 0700) < 0 || fsync(dir) < 0)
		return errno;
	return 0;
}

static int append(const struct yard *y)
{
	int fd = openat(
		y->dir, "mail/log", O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

	return fd < 0 ? errno : write_file(fd);
}

static int look_at_a_file(const struct yard *y)
{
	struct stat st;
	struct statx stx;
	int fd = openat(y->dir, "mail/a/new/old", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) < 0 || lseek(fd, 1, SEEK_SET) != 1 ||
		fstatat(y->dir, "outside/file", &st, 0) < 0 ||
		statx(y->dir, "mail", 0, STATX_BASIC_STATS, &stx) < 0)
		return errno;
	/* an access list determines who can read a key in $CREDENTIALS_DIRECTORY */
	return fgetxattr(fd, "system.posix_acl_access", NULL, 0) < 0 && errno == ENOSYS
		       ? errno
		       : 0;
}

static int log_datagram(const struct yard *y)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	const struct sockaddr *to = (const struct sockaddr *)&y->log_name;

	return errno_of(sendto(fd, "record", 6, MSG_NOSIGNAL, to, sizeof(y->log_name)));
}

/* Like sd_journal_sendv(): the largest record is far below the limit of a datagram. */
static int log_the_largest(const struct yard *y)
{
	static char record[2 * RECORD_LINE_MAX];
	struct iovec field = { record, sizeof(record) };
	struct msghdr m = { .msg_name = (void *)(uintptr_t)&y->log_name,
		.msg_namelen = sizeof(y->log_name),
		.msg_iov = &field,
		.msg_iovlen = 1 };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return errno_of(sendmsg(fd, &m, MSG_NOSIGNAL));
}

static int wait_for_input(const struct yard *y)
{
	struct pollfd fd = { .fd = y->log, .events = POLLIN };
	struct timespec moment = { .tv_nsec = 1000 };
	sigset_t stop;
	int waiting;

	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &stop, NULL) < 0 ||
		signalfd(-1, &stop, SFD_CLOEXEC) < 0)
		return errno;
	if (poll(&fd, 1, 1) < 0 || ppoll(&fd, 1, &moment, NULL) < 0 ||
		nanosleep(&moment, NULL) < 0)
		return errno;
	return errno_of(ioctl(y->log, FIONREAD, &waiting));
}

static int talk(const struct yard *y)
{
	int ends[2] = { y->ends[0], y->ends[1] };
	char octet;
	int one = 1;

	if (send(ends[0], "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL) != 1 ||
		recv(ends[1], &octet, 1, 0) != 1)
		return errno;
	if (write(ends[1], "y", 1) != 1 || read(ends[0], &octet, 1) != 1)
		return errno;
	if (setsockopt(y->tcp, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0)
		return errno;
	if (fcntl(ends[0], F_SETFL, fcntl(ends[0], F_GETFL) | O_NONBLOCK) < 0)
		return errno;
	/* the client, which is a pipe or terminal here */
	if (shutdown(STDOUT_FILENO, SHUT_WR) < 0 && errno != ENOTSOCK &&
		errno != ENOTCONN)
		return errno;
	return shutdown(STDIN_FILENO, SHUT_WR) < 0 && errno != ENOTSOCK &&
			       errno != ENOTCONN
		       ? errno
		       : 0;
}

static int shut_down_another(const struct yard *y)
{
	return shutdown(y->tcp, SHUT_WR) < 0 && errno != ENOTCONN ? errno : 0;
}

/* Connections of a listener share a socket, over which they report failures. */
static void test_a_forked_process_shuts_down_its_client_alone(void)
{
	struct yard y;

	yard_init(&y);
	CHECK(attempt_in(&y, STAGE_A, shut_down_another) == WORKS);
	CHECK(attempt_forked(&y, false, shut_down_another) == EBADF);
	CHECK(attempt_forked(&y, true, shut_down_another) == EBADF);
	yard_done(&y);
}

static int use_memory(const struct yard *y)
{
	char *p = malloc(BIG);
	char *more;

	(void)y;
	if (!p || !(more = realloc(p, 4 * (size_t)BIG)))
		return ENOMEM;
	memset(more, 1, BIG);
	free(more);
	return 0;
}

static int ask_the_system(const struct yard *y)
{
	struct timespec now;
	struct rlimit limit;
	char octets[16];

	(void)y;
	if (syscall(SYS_clock_gettime, CLOCK_REALTIME, &now) < 0 ||
		getrandom(octets, sizeof(octets), 0) != sizeof(octets))
		return errno;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || sched_yield() < 0)
		return errno;
	return errno_of(syscall(SYS_tgkill, getpid(), gettid(), 0));
}

static int give_up(const struct yard *y)
{
	(void)y;
	abort();
}

static int leave(const struct yard *y)
{
	(void)y;
	exit(0);
}

static void test_messages_are_delivered(void)
{
	static const struct attempt list[] = {
		{ "without a name", deliver, WORKS, WORKS, 0 },
		{ "by tmp", deliver_the_classic_way, WORKS, WORKS, 0 },
		{ "into several Maildirs", look_at_a_maildir, WORKS, WORKS, 0 },
		{ "into a new Maildir", make_a_maildir, WORKS, WORKS, 0 },
		{ "to the end of a file", append, WORKS, WORKS, 0 },
		{ "stat", look_at_a_file, WORKS, WORKS, 0 },
	};

	yard_attempt(list, TEST_COUNT(list));
}

static void test_records_are_sent(void)
{
	static const struct attempt list[] = {
		{ "datagram", log_datagram, WORKS, WORKS, 0 },
		{ "the largest", log_the_largest, WORKS, WORKS, 0 },
	};

	yard_attempt(list, TEST_COUNT(list));
}

static void test_the_dialogue_goes_on(void)
{
	static const struct attempt list[] = {
		{ "waiting", wait_for_input, WORKS, WORKS, 0 },
		{ "talking", talk, WORKS, WORKS, 0 },
		{ "memory", use_memory, WORKS, WORKS, 0 },
		{ "clocks, chance, limits", ask_the_system, WORKS, WORKS, 0 },
		{ "abort", give_up, DIES(SIGABRT), DIES(SIGABRT), 0 },
		{ "exit", leave, WORKS, WORKS, 0 },
	};

	yard_attempt(list, TEST_COUNT(list));
}

/* GnuTLS loaded in A is used in B. */
static int use_gnutls(const struct yard *y)
{
	struct sandbox_report report;
	unsigned char octets[32];
	void *library;
	int (*rnd)(int, void *, size_t);
	int (*hash)(int, const void *, size_t, void *);

	if (sandbox_enter(&y->dirs, &report) < 0)
		return NOT_ENTERED;
	library = dlopen(GNUTLS, RTLD_NOW);
	if (!library)
		return ELIBACC;
	*(void **)&rnd = dlsym(library, "gnutls_rnd");
	*(void **)&hash = dlsym(library, "gnutls_hash_fast");
	if (sandbox_tighten(&y->dirs) < 0)
		return NOT_ENTERED;
	return rnd(1, octets, sizeof(octets)) || hash(6, octets, sizeof(octets), octets);
}

static void test_gnutls_loaded_in_a_works_in_b(void)
{
	struct yard y;

	yard_init(&y);
	CHECK(attempt_out(&y, use_gnutls) == WORKS);
	yard_done(&y);
}

static const struct test tests[] = {
	TEST(test_messages_are_delivered),
	TEST(test_records_are_sent),
	TEST(test_the_dialogue_goes_on),
	TEST(test_a_forked_process_shuts_down_its_client_alone),
	TEST(test_gnutls_loaded_in_a_works_in_b),
};

int main(void)
{
	return yard_main(tests, TEST_COUNT(tests));
}
