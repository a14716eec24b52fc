/* SPDX-License-Identifier: ISC */
/* The steps of entering the sandbox: the user, the directories, the fault. */
#include <dlfcn.h>
#include <pwd.h>
#include "unit/sandbox-yard.h"

static int become_nobody(const struct yard *y)
{
	const struct passwd *pw = getpwnam("nobody");
	uid_t a, b, c;
	gid_t group;
	bool good;

	(void)y;
	if (sandbox_user("nobody") < 0 || getresuid(&a, &b, &c) < 0)
		return 1;
	good = a == pw->pw_uid && b == pw->pw_uid && c == pw->pw_uid;
	good = good && getgroups(1, &group) == 1 && group == pw->pw_gid &&
	       getegid() == group;
	return !(good && setuid(0) < 0 && setgid(0) < 0 && sandbox_user("nobody") == 0 &&
		 sandbox_user("root") == -EPERM);
}

static int fail_to_become_root(const struct yard *y)
{
	(void)y;
	return sandbox_user("root") != -EPERM;
}

static void test_a_user_is_taken_for_good(void)
{
	const struct passwd *pw = getpwuid(getuid());

	CHECK(sandbox_user("no-such-user") == -ENOENT);
	CHECK(!pw || sandbox_user(pw->pw_name) == 0);
	CHECK(attempt_out(NULL, getuid() == 0 ? become_nobody : fail_to_become_root) ==
		0);
}

static int enter_without_the_mail_root(const struct yard *y)
{
	struct yard gone = *y;

	sandbox_dirs_write(&gone.dirs, "/nonexistent/mail", -1);
	gone.dirs.read[gone.dirs.n_read++] = "/nonexistent/modules";
	return enter_stage(&gone, STAGE_B) != 0;
}

static int enter_with_a_file(const struct yard *y)
{
	struct yard wrong = *y;
	int r;

	wrong.dirs.write[0].path = "/proc/self/exe";
	r = enter_stage(&wrong, STAGE_A);
	return r != (landlock_abi() ? -ENOTDIR : 0);
}

/* The directory that is open may be written to, and not the one that has its name now. */
static int enter_with_what_is_open(const struct yard *y)
{
	struct yard open_before = *y;
	int mail = openat(y->dir, "mail", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	open_before.dirs.n_write = 0;
	sandbox_dirs_write(&open_before.dirs, y->mail, mail);
	if (mail < 0 || renameat(y->dir, "mail", y->dir, "moved") < 0 ||
		mkdirat(y->dir, "mail", 0700) < 0)
		return 1;
	if (enter_stage(&open_before, STAGE_B) < 0 || mkdirat(mail, "made", 0700) < 0)
		return 2;
	return landlock_abi() && mkdirat(y->dir, "mail/made", 0700) == 0;
}

static void test_what_is_open_is_what_is_written_to(void)
{
	struct yard y;

	yard_init(&y);
	CHECK(attempt_out(&y, enter_with_what_is_open) == 0);
	yard_done(&y);
}

/* A message that filters look at is read again; mail that is stored is not, and cannot be put where that is possible. */
static int read_messages_of_filters(const struct yard *y, enum yard_stage stage)
{
	int spool, file,
		mail = openat(y->dir, "mail/a/new", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct yard filtered = *y;
	char octets[4] = "";

	if (mkdirat(y->dir, "spool", 0700) < 0)
		return 1;
	spool = openat(y->dir, "spool", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	sandbox_dirs_spool(&filtered.dirs, "spool", spool);
	if (spool < 0 || mail < 0 || enter_stage(&filtered, stage) < 0)
		return 2;
	file = openat(spool, "file", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (file < 0 || write(file, "text", 4) != 4 || pread(file, octets, 4, 0) != 4 ||
		memcmp(octets, "text", 4) != 0)
		return 3;
	if (landlock_abi() && (openat(mail, "old", O_RDONLY | O_CLOEXEC) >= 0 ||
				      linkat(mail, "old", spool, "old", 0) == 0 ||
				      renameat2(mail, "old", spool, "old", 0) == 0 ||
				      linkat(spool, "file", mail, "file", 0) == 0 ||
				      renameat2(spool, "file", mail, "file", 0) == 0))
		return 4;
	return unlinkat(spool, "file", 0) < 0 ? 5 : 0;
}

static int read_messages_in_a(const struct yard *y)
{
	return read_messages_of_filters(y, STAGE_A);
}

static int read_messages_in_b(const struct yard *y)
{
	return read_messages_of_filters(y, STAGE_B);
}

static void test_a_message_for_filters_can_be_read_and_stored_mail_cannot(void)
{
	int (*const acts[])(
		const struct yard *y) = { read_messages_in_a, read_messages_in_b };

	for (size_t i = 0; i < TEST_COUNT(acts); i++) {
		struct yard y;
		yard_init(&y);
		CHECK(attempt_out(&y, acts[i]) == 0);
		yard_done(&y);
	}
}

static int enter_where_search_is_denied(const struct yard *y)
{
	int r;

	if (fchmodat(y->dir, "mail", 0, 0) < 0 || fchmodat(y->dir, ".", 0, 0) < 0)
		return 1;
	r = getuid() == 0 ? sandbox_user("nobody") : 0;
	return r != 0 || enter_stage(y, STAGE_A) != (landlock_abi() ? -EACCES : 0);
}

static void test_only_a_missing_directory_is_skipped(void)
{
	struct yard y;

	yard_init(&y);
	CHECK(attempt_out(&y, enter_without_the_mail_root) == 0);
	CHECK(attempt_out(&y, enter_with_a_file) == 0);
	CHECK(attempt_out(&y, enter_where_search_is_denied) == 0);
	CHECK(chmod(y.base, 0700) == 0 && chmod(y.mail, 0700) == 0);
	yard_done(&y);
}

/* Of directories that do not fit none is dropped: the process would write where it must not, or fail later. */
static int enter_with_too_many(const struct yard *y)
{
	char names[SANDBOX_DIRS + 1][8];
	struct yard many = *y;

	many.dirs.n_write = many.dirs.n_read = 0;
	for (size_t i = 0; i <= SANDBOX_DIRS; i++) {
		snprintf(names[i], sizeof(names[i]), "/d%zu", i);
		sandbox_dirs_write(&many.dirs, names[i], -1);
	}
	return many.dirs.n_write != SANDBOX_DIRS || many.dirs.n_read != 0 ||
	       enter_stage(&many, STAGE_A) != -ENOBUFS;
}

static void test_too_many_directories_are_an_error(void)
{
	struct yard y;

	yard_init(&y);
	CHECK(attempt_out(&y, enter_with_too_many) == 0);
	yard_done(&y);
}

static int read_by(const struct yard *y, const char *path)
{
	int fd = openat(y->dir, path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? errno : close(fd);
}

static int read_libc(const struct yard *y)
{
	Dl_info libc;

	if (!dladdr((const void *)getpid, &libc) || enter_stage(y, STAGE_A) < 0)
		return NOT_ENTERED;
	return read_by(y, libc.dli_fname);
}

static int read_what_is_listed_twice(const struct yard *y)
{
	struct yard twice = *y;

	twice.dirs.read[twice.dirs.n_read++] = y->modules;
	return enter_stage(&twice, STAGE_A) < 0 ? NOT_ENTERED
						: read_by(y, "modules/module");
}

static void test_libraries_and_what_is_listed_can_be_read(void)
{
	struct yard y;

	yard_init(&y);
	CHECK(attempt_out(&y, read_libc) == 0);
	CHECK(attempt_out(&y, read_what_is_listed_twice) == 0);
	yard_done(&y);
}

static int report_the_abi(const struct yard *y)
{
	int abi = landlock_abi();
	struct sandbox_report report = { .landlock = -1 };

	return sandbox_enter(&y->dirs, &report) != 0 || report.landlock != abi;
}

static void test_the_report_has_the_abi_of_landlock(void)
{
	struct yard y;

	yard_init(&y);
	CHECK(attempt_out(&y, report_the_abi) == 0);
	yard_done(&y);
}

static const struct test tests[] = {
	TEST(test_a_user_is_taken_for_good),
	TEST(test_only_a_missing_directory_is_skipped),
	TEST(test_what_is_open_is_what_is_written_to),
	TEST(test_a_message_for_filters_can_be_read_and_stored_mail_cannot),
	TEST(test_too_many_directories_are_an_error),
	TEST(test_libraries_and_what_is_listed_can_be_read),
	TEST(test_the_report_has_the_abi_of_landlock),
};

int main(void)
{
	return yard_main(tests, TEST_COUNT(tests));
}
