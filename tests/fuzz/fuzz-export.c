/* SPDX-License-Identifier: ISC */
/*
 * Output of journalctl: each record is printable and within its limits, and the entries that are read are the same
 * when they come in small pieces.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "fuzz/fuzz.h"
#include "tools/status/export.h"

static void check_values(const struct status_record *r)
{
	MUST(r->record.n <= RECORD_KEYS && r->record.event <= RECORD_EVENTS);
	for (size_t i = 0; i < r->record.n; i++) {
		const struct record_value *v = &r->record.values[i];

		MUST(v->key < RECORD_KEYS && v->value.n > 0);
		MUST(i == 0 || r->record.values[i - 1].key < v->key);
		fuzz_is_inside(v->value, (struct span){ r->text, sizeof(r->text) });
	}
}

/* Puts octets where only so many are left, so that the rest comes with another read. */
static void begin_with(struct status_export *x, int fd, const uint8_t *data, size_t n)
{
	MUST(lseek(fd, (off_t)n, SEEK_SET) == (off_t)n);
	x->fd = fd;
	x->begin = sizeof(x->octets) - n;
	x->end = sizeof(x->octets);
	memcpy(x->octets + x->begin, data, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct status_export whole, pieces;
	static struct status_record first, second;
	struct status_cursor one, two;
	int fd = memfd_create("export", MFD_CLOEXEC), fd2, r;
	size_t n = size ? data[0] % size : 0;
	char path[32];

	MUST(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	fd2 = open(path, O_RDONLY | O_CLOEXEC);
	MUST(fd2 >= 0);
	begin_with(&whole, fd, data, 0);
	begin_with(&pieces, fd2, data, n);
	do {
		r = status_export_read(&whole, &one, &first);
		MUST(r == status_export_read(&pieces, &two, &second));
		check_values(&first);
		MUST(first.record.n == second.record.n &&
			first.record.event == second.record.event);
		MUST(strcmp(one.text, two.text) == 0);
	} while (r > 0);
	close(fd);
	close(fd2);
	return 0;
}
