/* SPDX-License-Identifier: ISC */
/*
 * The settings file. Each fault is one line with its place. Settings without a fault, as written by --print-config,
 * are parsed to the same values.
 */
#include <unistd.h>
#include "base/cleanup.h"
#include "edge/settings/settings.h"
#include "fuzz/fuzz-file.h"

/* "FILE:LINE: what", or of all settings together "settings: what". */
static void count_fault(void *ctx, const char *fault)
{
	MUST(fuzz_file_count(ctx, fault) || strncmp(fault, "settings: ", 10) == 0);
}

/* All settings as text, to be freed; NULL when there was a fault. */
static char *read_settings(struct span text, size_t *ret_n)
{
	char *printed = NULL;
	struct fuzz_file file;
	struct config c;
	bool fine;

	fuzz_file_make(&file, text);
	config_init(&c, "/run/credentials/x", count_fault, &file);
	config_read(&c, file.path, true);
	fine = config_finish(&c);
	MUST(fine == (file.n_faults == 0) && c.faults.n == file.n_faults);
	if (fine) {
		FILE *to = open_memstream(&printed, ret_n);
		MUST(to);
		config_print(&c, to);
		fclose(to);
	}
	config_done(&c);
	close(file.fd);
	return printed;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t n_first = 0, n_second = 0;
	OWNED char *first =
		read_settings((struct span){ (const char *)data, size }, &n_first);
	OWNED char *second = NULL;

	if (!first)
		return 0;
	second = read_settings((struct span){ first, n_first }, &n_second);
	MUST(second && n_first == n_second && memcmp(first, second, n_first) == 0);
	return 0;
}
