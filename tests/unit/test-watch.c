/* SPDX-License-Identifier: ISC */
/* bin/preload: a file has changed if its path leads to a changed file, but not if the process cannot examine it. */
#include "bin/preload.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "unit/test.h"

struct yard {
	char dir[32], file[64], link[64], other[64];
};

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	REQUIRE(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static struct yard begin(void)
{
	struct yard y = { .dir = "/tmp/test-watch.XXXXXX" };

	REQUIRE(mkdtemp(y.dir));
	snprintf(y.file, sizeof(y.file), "%s/file", y.dir);
	snprintf(y.other, sizeof(y.other), "%s/other", y.dir);
	snprintf(y.link, sizeof(y.link), "%s/link", y.dir);
	put(y.file, "one");
	put(y.other, "two");
	return y;
}

static void end(const struct yard *y)
{
	chmod(y->dir, 0700);
	unlink(y->file);
	unlink(y->other);
	unlink(y->link);
	rmdir(y->dir);
}

static void test_content_name_and_link_count(void)
{
	struct yard y = begin();
	struct watch w = { 0 };

	REQUIRE(symlink("file", y.link) == 0);
	watch_add(&w, y.link, false);
	watch_add(&w, NULL, false);
	CHECK(w.n == 1 && !watch_has_changed(&w));
	put(y.file, "other content");
	CHECK(watch_has_changed(&w));
	w.n = 0;
	watch_add(&w, y.link, false);
	unlink(y.link);
	REQUIRE(symlink("other", y.link) == 0);
	CHECK(watch_has_changed(&w));
	w.n = 0;
	watch_add(&w, y.link, false);
	unlink(y.link);
	CHECK(watch_has_changed(&w));
	end(&y);
}

static void test_of_a_place_its_content_does_not_count(void)
{
	struct yard y = begin();
	struct watch w = { 0 };

	watch_add(&w, y.file, true);
	put(y.file, "other content");
	CHECK(!watch_has_changed(&w));
	REQUIRE(rename(y.other, y.file) == 0);
	CHECK(watch_has_changed(&w));
	end(&y);
}

static int as_another_user(const struct yard *y, struct watch *w)
{
	int fine;

	if (setresuid(65534, 65534, 65534) < 0)
		return 1;
	fine = watch_drop_hidden(w) == 1 && w->n == 1 && !watch_has_changed(w);
	(void)y;
	return fine ? 0 : 1;
}

/* A process cannot detect changes of files that it has no right to examine. */
static void test_what_may_not_be_looked_at_has_not_changed(void)
{
	struct yard y = begin();
	struct watch w = { 0 };
	pid_t pid;
	int status;

	watch_add(&w, y.file, false);
	watch_add(&w, "/dev/null", true);
	CHECK(watch_drop_hidden(&w) == 0);
	if (geteuid() != 0) {
		printf("# without root all files can be looked at\n");
		end(&y);
		return;
	}
	chmod(y.dir, 0700);
	w.n = 0;
	watch_add(&w, y.file, false);
	watch_add(&w, "/dev/null", true);
	pid = fork();
	if (pid == 0)
		_exit(as_another_user(&y, &w));
	waitpid(pid, &status, 0);
	CHECK(status == 0);
	end(&y);
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_content_name_and_link_count),
		TEST(test_of_a_place_its_content_does_not_count),
		TEST(test_what_may_not_be_looked_at_has_not_changed),
	};

	return test_main(tests, TEST_COUNT(tests));
}
