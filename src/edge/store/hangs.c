/* SPDX-License-Identifier: ISC */
/*
 * Where the brokers of a listener work, in memory that they share. Each writes its own
 * place alone. What another one wrote is used as a time and as a text of limited length.
 */
#include "edge/store/hangs.h"
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>
#include "edge/net/net.h"

#define PLACES 64 /* brokers at once: more are not seen */
#define TAKEN (-1) /* the process of a place, until it has begun */
#define BASE_MAX 24 /* octets of a base */
#define SHOWN_MAX 256 /* octets of a path in a record: its beginning */

struct hangs {
	_Atomic size_t n_used; /* places that have ever been used */
	struct hang {
		_Atomic pid_t pid; /* 0: the place is free */
		/* time since when requests wait for it; 0: it waits for them */
		_Atomic uint64_t since;
		_Atomic uint64_t changes; /* of the next two; odd during one */
		/* of the last step; 0: not known, or that of mail-root */
		_Atomic dev_t device;
		char path[BASE_MAX + MAILBOX_PATH_MAX];
	} list[PLACES];
};

struct hangs *hangs_new(void)
{
	void *memory = mmap(NULL, sizeof(struct hangs), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

int hangs_take(struct hangs *h)
{
	for (size_t i = 0; h && i < PLACES; i++) {
		pid_t none = 0;
		if (!atomic_compare_exchange_strong(&h->list[i].pid, &none, TAKEN))
			continue;
		if (h->n_used <= i)
			h->n_used = i + 1;
		return (int)i;
	}
	return -1;
}

void hangs_give_back(struct hangs *h, int place)
{
	if (!h || place < 0 || place >= PLACES)
		return;
	h->list[place].since = 0;
	h->list[place].pid = 0;
}

void hangs_forget(struct hangs *h, pid_t pid)
{
	for (int i = 0; h && i < PLACES; i++)
		if (h->list[i].pid == pid)
			hangs_give_back(h, i);
}

void hangs_hide(struct hangs *h)
{
	if (h)
		madvise(h, sizeof(*h), MADV_DONTFORK);
}

static bool is_hung(const struct hang *hang, uint64_t now)
{
	const uint64_t since = hang->since;

	return since && hang->pid && now > since && now - since >= HANG_TIME;
}

bool hangs_has(const struct hangs *h, int place, uint64_t now)
{
	return h && place >= 0 && place < PLACES && is_hung(&h->list[place], now);
}

size_t hangs_count(const struct hangs *h, uint64_t now)
{
	size_t n = 0;

	for (size_t i = 0; h && i < PLACES; i++)
		n += is_hung(&h->list[i], now);
	return n;
}

/* The path where a broker hangs. False: it does not hang, or not any more. */
static bool copy_path(
	const struct hang *hang, uint64_t now, char ret[static sizeof(hang->path)])
{
	const uint64_t changes = hang->changes;

	if (!is_hung(hang, now) || changes % 2)
		return false;
	memcpy(ret, hang->path, sizeof(hang->path));
	ret[sizeof(hang->path) - 1] = '\0';
	/* a step in between may have changed the path */
	return hang->changes == changes;
}

void hangs_put(const struct hangs *h, int place, size_t n, uint64_t now, struct buf *to)
{
	char path[sizeof(h->list->path)] = "";
	bool hangs = hangs_has(h, place, now);

	if (hangs && !copy_path(&h->list[place], now, path))
		path[0] = '\0';
	path[SHOWN_MAX] = '\0';
	buf_put(to, SPAN("the broker, process "));
	buf_put_num(to, hangs ? (uint64_t)h->list[place].pid : 0);
	buf_put(to, SPAN(", which opens mailboxes as their owners, has not answered for "
			 "10 s: it waits for a file system"));
	if (path[0])
		buf_put(to, SPAN(", that of "));
	/* a setting other than mail-root stands behind a slash */
	buf_put_str(to, path + (path[0] == '/'));
	if (path[0] && path[0] != '/')
		buf_put(to, SPAN(" (below mail-root)"));
	buf_put_str(to,
		n < HANGS_MAX
			? "; another is started for new connections"
			: "; as many do so as are allowed to, and no other is started: "
			  "mail gets 451 until it answers");
	buf_terminate(to);
}

/* True of a path that is `above`, or below it. */
static bool is_below(const char *path, const char *above)
{
	const size_t n = strlen(above);

	return n && strncmp(path, above, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

/*
 * The device counts because a file system may answer from a cache down to some directory,
 * and each path below hangs by itself.
 */
static bool has_hang_at(
	const struct hang_mark *m, const char *path, dev_t device, uint64_t now)
{
	const struct hangs *h = m->all;
	const size_t n = h->n_used < PLACES ? h->n_used : PLACES;
	char where[sizeof(h->list->path)];

	for (size_t i = 0; i < n; i++)
		if ((int)i != m->place && copy_path(&h->list[i], now, where) &&
			(is_below(path, where) ||
				(device && h->list[i].device == device)))
			return true;
	return false;
}

static bool has_place(const struct hang_mark *m)
{
	return m && m->all && m->place >= 0 && m->place < PLACES;
}

void hang_own(const struct hang_mark *m)
{
	if (!has_place(m))
		return;
	/* one that was killed may have left a change */
	m->all->list[m->place].changes = 0;
	m->all->list[m->place].pid = getpid();
}

static void show(const struct hang_mark *m, const char *path, dev_t device)
{
	struct hang *own = &m->all->list[m->place];

	own->changes++;
	own->device = device;
	memcpy(own->path, path, strlen(path) + 1);
	own->changes++;
}

void hang_begin(const struct hang_mark *m, uint64_t since)
{
	if (!has_place(m))
		return;
	show(m, "", 0);
	m->all->list[m->place].since = since;
}

int hang_step(const struct hang_mark *m, const char *path, dev_t device)
{
	char whole[sizeof(m->all->list->path)];
	struct buf b = BUF(whole);

	if (!has_place(m))
		return 0;
	if (device == m->device)
		device = 0;
	buf_put_str(&b, m->base);
	if (b.n)
		buf_put_char(&b, '/');
	buf_put_str(&b, path);
	/* the beginning of one that is too long */
	whole[b.n < sizeof(whole) ? b.n : sizeof(whole) - 1] = '\0';
	show(m, whole, device);
	return has_hang_at(m, whole, device, stream_clock()) ? -HANG_HERE : 0;
}

void hang_end(const struct hang_mark *m)
{
	if (has_place(m))
		m->all->list[m->place].since = 0;
}
