/* SPDX-License-Identifier: ISC */
/* Runs a harness for files and for the files of directories: the corpus as a test, with any compiler. */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include "base/cleanup.h"
#include "fuzz/fuzz.h"

static size_t n_replayed;

static void replay_file(int dir, const char *name)
{
	OWNED_FD int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	OWNED uint8_t *data = NULL;
	struct stat st;

	MUST(fd >= 0 && fstat(fd, &st) == 0);
	/* exactly its size, so that a sanitizer sees a step beyond */
	data = malloc((size_t)st.st_size + !st.st_size);
	MUST(data && read(fd, data, (size_t)st.st_size) == st.st_size);
	fprintf(stderr, "%s\n", name);
	LLVMFuzzerTestOneInput(data, (size_t)st.st_size);
	n_replayed++;
}

static void replay(const char *path)
{
	DIR *dir = opendir(path);

	if (!dir) {
		replay_file(AT_FDCWD, path);
		return;
	}
	for (struct dirent *d; (d = readdir(dir));)
		if (d->d_name[0] != '.')
			replay_file(dirfd(dir), d->d_name);
	closedir(dir);
}

int main(int argc, char **argv)
{
	LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
	for (int i = 1; i < argc; i++)
		replay(argv[i]);
	printf("%zu files\n", n_replayed);
	return n_replayed == 0;
}
