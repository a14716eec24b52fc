/* SPDX-License-Identifier: ISC */
/*
 * Reads a cdb(5) by pread(2). A broken file never causes a crash or an endless loop, and
 * in a truncated file a missing key is an error. The library is not used for reading,
 * because it maps the file: a process that overwrites the file, instead of replacing it
 * by rename(2), would end this one by SIGBUS.
 *
 * A cdb has 256 places of hash tables, the pairs, and the hash tables. A slot of a table
 * has a hash and the position of its pair. A pair has the lengths of key and value, then
 * both. All numbers have 32 bits, little-endian.
 */
#include "edge/table/cdb.h"
#include <cdb.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define NUMBERS 8 /* octets of two numbers: a place, a slot, the lengths of a pair */
#define HEAD_OCTETS ((size_t)(CDB_TABLES * NUMBERS))
#define SLOTS_AT_ONCE 8

struct cdb_pair {
	uint64_t at; /* position of the key, which the value follows */
	uint32_t n_key, n_value;
};

/* Reads exactly n octets. 0 or -errno. */
static int read_at(const struct table_cdb *c, uint64_t at, void *to, size_t n)
{
	char *p = to;

	while (n) {
		ssize_t got = pread(c->fd, p, n, (off_t)at);
		if (got == 0)
			return -EBADMSG;
		if (got < 0 && errno != EINTR)
			return -errno;
		if (got > 0) {
			p += got;
			at += (uint64_t)got;
			n -= (size_t)got;
		}
	}
	return 0;
}

/*
 * Reads the place of a table, which must lie after the head and wholly within the file.
 */
static int take_place(struct table_cdb *c, size_t i, const unsigned char *numbers)
{
	struct cdb_place place = { cdb_unpack(numbers), cdb_unpack(numbers + 4) };

	if (place.at < HEAD_OCTETS || place.at + (uint64_t)place.n * NUMBERS > c->size)
		return -EBADMSG;
	if (i == 0 || place.at < c->end)
		c->end = place.at;
	c->tables[i] = place;
	return 0;
}

int table_cdb_open(struct table_cdb *c, int fd)
{
	unsigned char head[HEAD_OCTETS];
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	c->fd = fd;
	c->size = (uint64_t)st.st_size;
	r = read_at(c, 0, head, sizeof(head));
	for (size_t i = 0; i < CDB_TABLES && r == 0; i++)
		r = take_place(c, i, head + i * NUMBERS);
	return r;
}

/* Finds the pair whose lengths are at this position, which must be among the pairs. */
static int find_pair(const struct table_cdb *c, uint64_t at, struct cdb_pair *ret)
{
	unsigned char numbers[NUMBERS];
	int r = at < HEAD_OCTETS ? -EBADMSG : read_at(c, at, numbers, sizeof(numbers));

	if (r < 0)
		return r;
	ret->at = at + NUMBERS;
	ret->n_key = cdb_unpack(numbers);
	ret->n_value = cdb_unpack(numbers + 4);
	return ret->at + ret->n_key + ret->n_value > c->end ? -EBADMSG : 0;
}

/* Compares the key of a pair. 1: equal; 0: different; or -errno. */
static int has_key(
	const struct table_cdb *c, const struct cdb_pair *pair, struct span key)
{
	char octets[ENTRY_KEY_MAX];
	int r;

	if (pair->n_key != key.n)
		return 0;
	r = read_at(c, pair->at, octets, key.n);
	return r < 0 ? r : span_eq((struct span){ octets, key.n }, key);
}

static int take_value(
	const struct table_cdb *c, const struct cdb_pair *pair, struct buf *ret)
{
	size_t n = pair->n_value;
	int r;

	if (n > TABLE_VALUE_MAX || n > buf_room(ret))
		return -EMSGSIZE;
	r = read_at(c, pair->at + pair->n_key, ret->p + ret->n, n);
	if (r == 0)
		ret->n += n;
	return r;
}

/* Reads slots of a table in the order of a search. */
struct cdb_slots {
	unsigned char octets[SLOTS_AT_ONCE * NUMBERS];
	size_t n, next;
	uint32_t to_read; /* slots of the table that are not read yet */
	uint64_t index; /* index in the table of the next slot to be read */
};

/*
 * Takes the next slot: up to the end of the table, then from its beginning. 0: no more.
 */
static int next_slot(const struct table_cdb *c, const struct cdb_place *table,
	struct cdb_slots *slots, uint32_t *ret_hash, uint32_t *ret_at)
{
	const unsigned char *numbers;

	if (slots->next == slots->n) {
		uint64_t n = table->n - slots->index;
		int r;
		if (n > slots->to_read)
			n = slots->to_read;
		if (n > SLOTS_AT_ONCE)
			n = SLOTS_AT_ONCE;
		if (n == 0)
			return 0;
		r = read_at(c, table->at + slots->index * NUMBERS, slots->octets,
			n * NUMBERS);
		if (r < 0)
			return r;
		slots->n = n;
		slots->next = 0;
		slots->to_read -= (uint32_t)n;
		slots->index = (slots->index + n) % table->n;
	}
	numbers = slots->octets + slots->next++ * NUMBERS;
	*ret_hash = cdb_unpack(numbers);
	*ret_at = cdb_unpack(numbers + 4);
	return 1;
}

/* Finds a key. 1 and its pair; 0: not found; or -errno. */
static int find(const struct table_cdb *c, struct span key, struct cdb_pair *ret)
{
	uint32_t wanted = cdb_hash(key.p, (unsigned)key.n), hash = 0, at = 0;
	const struct cdb_place *table = &c->tables[wanted % CDB_TABLES];
	struct cdb_slots slots = { .to_read = table->n };
	int r = 0;

	if (table->n == 0)
		return 0;
	slots.index = wanted / CDB_TABLES % table->n;
	while ((r = next_slot(c, table, &slots, &hash, &at)) > 0 && at) {
		if (hash != wanted)
			continue;
		r = find_pair(c, at, ret);
		if (r == 0)
			r = has_key(c, ret, key);
		if (r)
			return r;
	}
	return r < 0 ? r : 0;
}

bool table_cdb_is_empty(const struct table_cdb *c)
{
	return c->end <= HEAD_OCTETS;
}

enum table_found table_cdb_find(
	const struct table_cdb *c, struct span key, struct buf *ret_value)
{
	struct cdb_pair pair;
	int r = key.n > ENTRY_KEY_MAX ? 0 : find(c, key, &pair);

	if (r > 0)
		return take_value(c, &pair, ret_value) < 0 ? TABLE_FAILED : TABLE_FOUND;
	return r < 0 ? TABLE_FAILED : TABLE_ABSENT;
}

static void put_fault(struct faults *f, struct span key, const char *what)
{
	char octets[TABLE_FAULT_MAX];
	struct buf b = BUF(octets);

	entry_show(&b, key);
	buf_terminate(&b);
	faults_put(f, "%s: %s", octets, what);
}

/* Reports a fault unless a search for the key ends at this pair. */
static void check_pair(const struct table_cdb *c, const struct table_visitor *v,
	const struct cdb_pair *pair, struct span key, struct span value, struct faults *f)
{
	struct cdb_pair found = { 0 };
	int r = find(c, key, &found);

	if (r <= 0)
		put_fault(f, key, "is not found: that file is broken");
	else if (found.at != pair->at)
		put_fault(f, key, "stands twice");
	else if (v->pair)
		v->pair(v->ctx, 0, key, value);
}

/* Visits one pair. 0, or -errno: the visit cannot continue. */
static int visit_pair(const struct table_cdb *c, const struct table_visitor *v,
	struct cdb_pair *pair, struct faults *f)
{
	char key[ENTRY_KEY_MAX], octets[TABLE_VALUE_MAX];
	struct buf value = BUF(octets);
	struct span shown = { key,
		pair->n_key < sizeof(key) ? pair->n_key : sizeof(key) };
	int r = read_at(c, pair->at, key, shown.n);

	if (r < 0)
		return r;
	if (pair->n_key > ENTRY_KEY_MAX) {
		put_fault(f, shown, "has a key of more than 1024 octets");
		return 0;
	}
	r = take_value(c, pair, &value);
	if (r == -EMSGSIZE) {
		put_fault(f, shown, "has a value of more than 4096 octets");
		return 0;
	}
	if (r == 0)
		check_pair(c, v, pair, shown, buf_span(&value), f);
	return r;
}

void table_cdb_visit(const struct table_cdb *c, const struct table_visitor *visitor,
	struct faults *faults)
{
	struct cdb_pair pair = { 0 };
	int r = 0;

	for (uint64_t at = HEAD_OCTETS; at < c->end && r == 0;
		at = pair.at + pair.n_key + pair.n_value) {
		r = find_pair(c, at, &pair);
		if (r == 0)
			r = visit_pair(c, visitor, &pair, faults);
	}
	if (r < 0)
		faults_put(faults, "%s", table_cdb_fault(r));
}

void table_cdb_sample(const struct table_cdb *c, size_t n,
	void (*see)(void *ctx, struct span value), void *ctx)
{
	struct cdb_pair pair = { 0 };

	for (uint64_t at = HEAD_OCTETS; at < c->end && n > 0;
		at = pair.at + pair.n_key + pair.n_value, n--) {
		char octets[TABLE_VALUE_MAX];
		struct buf value = BUF(octets);
		if (find_pair(c, at, &pair) < 0)
			break;
		if (take_value(c, &pair, &value) == 0)
			see(ctx, buf_span(&value));
	}
}

const char *table_cdb_fault(int error)
{
	return error == -EBADMSG ? "is no cdb, or not all of one" : strerror(-error);
}
