/* SPDX-License-Identifier: ISC */
/* Cdbs with any content: a search and a visit end, and stay within the file and the memory. */
#include <sys/mman.h>
#include <unistd.h>
#include <cdb.h>
#include "fuzz/fuzz.h"
#include "edge/table/cdb.h"

#define HEAD_OCTETS 2048
#define CHOICE_OCTETS 4 /* where the one hash table is, and how many slots it has */

static void take_pair(void *ctx, size_t line, struct span key, struct span value)
{
	const struct table_cdb *c = ctx;
	char octets[TABLE_VALUE_MAX];
	struct buf b = BUF(octets);

	MUST(line == 0);
	/* of two pairs with one key this is the one that is found */
	MUST(table_cdb_find(c, key, &b) == TABLE_FOUND);
	MUST(span_eq(buf_span(&b), value));
}

static void take_fault(void *ctx, const char *what)
{
	(void)ctx;
	MUST(what[0] && strlen(what) < TABLE_FAULT_MAX);
}

static void look_around(int fd)
{
	static const struct span keys[] = { { "", 0 }, { "a", 1 }, { "b", 1 },
		{ "info@example.org", 16 } };
	struct table_cdb c;
	const struct table_visitor v = { &c, take_pair };
	struct faults faults = { .report = take_fault };

	if (table_cdb_open(&c, fd) < 0)
		return;
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		char octets[16];
		struct buf b = BUF(octets);
		enum table_found found = table_cdb_find(&c, keys[i], &b);
		MUST(!b.overflow && (found == TABLE_FOUND || b.n == 0));
	}
	table_cdb_visit(&c, &v, &faults);
}

/* A head with the same place for all tables, before the rest of the input. */
static void put_head(int fd, struct span input)
{
	const unsigned char *p = (const unsigned char *)input.p;
	unsigned char head[HEAD_OCTETS];

	for (size_t i = 0; i < HEAD_OCTETS; i += 8) {
		cdb_pack(HEAD_OCTETS + (unsigned)p[0] + 256U * p[1], head + i);
		cdb_pack((unsigned)p[2] + 256U * p[3], head + i + 4);
	}
	MUST(pwrite(fd, head, sizeof(head), 0) == HEAD_OCTETS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	struct span input = { (const char *)data, size };

	if (fd < 0)
		fd = memfd_create("cdb", MFD_CLOEXEC);
	MUST(fd >= 0 && ftruncate(fd, 0) == 0);
	MUST(pwrite(fd, data, size, 0) == (ssize_t)size);
	look_around(fd);
	if (size < CHOICE_OCTETS)
		return 0;
	put_head(fd, input);
	input = span_from(input, CHOICE_OCTETS);
	MUST(pwrite(fd, input.p, input.n, HEAD_OCTETS) == (ssize_t)input.n);
	MUST(ftruncate(fd, (off_t)(HEAD_OCTETS + input.n)) == 0);
	look_around(fd);
	return 0;
}
