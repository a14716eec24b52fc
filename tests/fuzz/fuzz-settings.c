/*
 * The settings file. Promises: each fault is one line that names its place; and settings without a fault, as
 * --print-config writes them, are read as the same.
 */
#include <sys/mman.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "edge/config.h"
#include "fuzz/fuzz.h"

#define PATH_MAX_OCTETS 32

struct faults {
	const char *path;
	size_t n;
};

/* "FILE:LINE: what", or of all settings together "settings: what". */
static void count_fault(void *ctx, const char *fault)
{
	struct faults *f = ctx;
	size_t n = strlen(f->path);

	f->n++;
	MUST(fault[0] && !strchr(fault, '\n'));
	if (strncmp(fault, f->path, n) == 0)
		MUST(fault[n] == ':');
	else
		MUST(strncmp(fault, "settings: ", 10) == 0);
}

/* A file without a name but in /proc. */
static int make_file(struct span text, char *ret_path)
{
	int fd = memfd_create("settings", MFD_CLOEXEC);

	MUST(fd >= 0);
	MUST(write(fd, text.p, text.n) == (ssize_t)text.n);
	snprintf(ret_path, PATH_MAX_OCTETS, "/proc/self/fd/%d", fd);
	return fd;
}

/* All settings as text, to be freed; NULL when there was a fault. */
static char *read_settings(struct span text, size_t *ret_n)
{
	char path[PATH_MAX_OCTETS], *printed = NULL;
	int fd = make_file(text, path);
	struct faults faults = { .path = path };
	struct config c;
	bool fine;

	config_init(&c, "/run/credentials/x", count_fault, &faults);
	config_read(&c, path, true);
	fine = config_finish(&c);
	MUST(fine == (faults.n == 0) && c.n_faults == faults.n);
	if (fine) {
		FILE *to = open_memstream(&printed, ret_n);
		MUST(to);
		config_print(&c, to);
		fclose(to);
	}
	config_done(&c);
	close(fd);
	return printed;
}

/* No file can say that the directory before the "/", which mail-root may be, ends in a blank. */
static bool has_blank_end(struct span text)
{
	return memmem(text.p, text.n, " /", 2) || memmem(text.p, text.n, "\t/", 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t n_first = 0, n_second = 0;
	OWNED char *first =
		read_settings((struct span){ (const char *)data, size }, &n_first);
	OWNED char *second = NULL;

	if (!first || has_blank_end((struct span){ first, n_first }))
		return 0;
	second = read_settings((struct span){ first, n_first }, &n_second);
	MUST(second && n_first == n_second && memcmp(first, second, n_first) == 0);
	return 0;
}
