/* Promises that the sandbox is closed before there is a client; refuses to know how many there will be. */
#include "bin/listen/acceptor.h"
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include "edge/auth/auth.h"

/* Octets: who asks for so many makes malloc() sort what is free. They come as a mapping, and go without a trace. */
#define SORTED_BY (64 * 1024 * 1024)
#define PIECE_MAX (16 * 1024)
#define PIECES_MAX 256 /* of one size */
#define SMALL_MAX ((size_t)1024)
#define SMALL_STEP 16 /* of what malloc() gives */
#define ROOM (1024 * 1024) /* more than a connection takes, but for a large message */

static struct connection *prepare(const struct acceptor_task *task, enum listen_kind kind)
{
	struct connection *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->inherited = *task->inherited;
	c->inherited.notify_socket = NULL;
	c->inherited.peer = (struct peer_environment){ 0 };
	c->options = *task->options;
	listen_put_options(&c->options, kind);
	c->preload = task->preload;
	c->n_files = task->from;
	memcpy(c->modules, task->modules, strlen(task->modules) + 1);
	connection_prepare(c);
	return c;
}

/*
 * The files were opened with the rights of the listener, and watched by it since before; the places are opened next,
 * with those of the user. Watching them comes first: a change in between is then a change.
 */
static void begin_watching(struct kinds *k, const struct preload *preload)
{
	const struct config *c = &k->any->config;

	/* where it fails connection_open() fails, too, and reports why */
	if (c->user)
		sandbox_user(c->user);
	k->watch = preload->watch;
	k->n_hidden = watch_drop_hidden(&k->watch);
	watch_add(&k->watch, c->mail_root, true);
	watch_add(&k->watch, c->dsn_outbox, true);
	watch_add(&k->watch, c->trace_directory, true);
	watch_add(&k->watch, c->log == LOG_JSON ? c->log_file : NULL, true);
}

/* The first rights may end with the first of them. What has been said by then is not said again by each that
 * is forked. */
static void open_all(struct kinds *k)
{
	for (size_t i = 0; i < LISTEN_KINDS; i++)
		if (k->list[i])
			connection_open(k->list[i]);
	for (size_t i = 0; i < LISTEN_KINDS; i++) {
		if (!k->list[i])
			continue;
		log_open(&k->list[i]->log);
		log_flush(&k->list[i]->log);
	}
}

/* Each kind has its own descriptor of the outbox, so their directories are not the same. */
_Static_assert(LISTEN_KINDS *SANDBOX_DIRS_OF_ONE <= SANDBOX_DIRS, "room for all kinds");

/* What any of them may need, all may. */
static void add_dirs(const struct kinds *k, struct sandbox_dirs *dirs)
{
	for (size_t i = 0; i < LISTEN_KINDS; i++) {
		if (!k->list[i] || k->list[i]->unusable)
			continue;
		sandbox_dirs_add(dirs, &k->list[i]->dirs);
		dirs->loaded &= k->list[i]->dirs.loaded;
	}
}

static void shut_ourselves_in(struct kinds *k)
{
	struct sandbox_dirs dirs = { .loaded = true };
	struct sandbox_report report = { 0 };
	const char *confinement = "none";
	bool failed = false;

	add_dirs(k, &dirs);
	if (k->any->config.sandbox) {
		failed = connection_failed(k->any, CONNECTION_SANDBOX,
				 sandbox_enter_accepting(&dirs, &report)) < 0;
		confinement = report.landlock ? NULL : "seccomp";
	}
	for (size_t i = 0; i < LISTEN_KINDS; i++) {
		if (!k->list[i])
			continue;
		k->list[i]->unusable |= failed;
		k->list[i]->confinement = confinement;
	}
	if (log_is_pending(&k->any->log))
		log_flush(&k->any->log);
}

/* Its address; a compiler leaves out what nobody uses. */
static uintptr_t take(size_t n)
{
	void *volatile memory = malloc(n);

	return (uintptr_t)memory;
}

/* Takes the pieces of that size that are free below `end`: few, but another malloc() may know no such order. */
static void use_up(size_t n, uintptr_t end)
{
	for (size_t i = 0; i < PIECES_MAX; i++)
		if (take(n) >= end)
			return;
}

/*
 * The memory of each that is forked is ours until it writes to it. So what is free is sorted here, and pieces of
 * it, for each of which a page would be copied, are taken out of the way; behind them there is room, which is
 * none before it is written to, so that no connection asks the system for more.
 */
static void arrange_memory(void)
{
	uintptr_t room;

	free((void *)take(SORTED_BY));
	malloc_trim(0);
	mallopt(M_MMAP_THRESHOLD, ROOM);
	mallopt(M_TRIM_THRESHOLD, 2 * ROOM);
	mallopt(M_TOP_PAD, ROOM);
	room = take(ROOM / 2);
	free((void *)room);
	for (size_t n = PIECE_MAX; n > SMALL_MAX; n /= 2)
		use_up(n, room);
	for (size_t n = SMALL_MAX; n >= SMALL_STEP; n -= SMALL_STEP)
		use_up(n, room);
}

int kinds_prepare(struct kinds *k, const struct acceptor_task *task)
{
	for (size_t i = 0; i < task->sockets->n; i++) {
		enum listen_kind kind = task->sockets->list[i].kind;

		if (k->list[kind])
			continue;
		k->list[kind] = k->any = prepare(task, kind);
		if (!k->any)
			return -ENOMEM;
	}
	begin_watching(k, task->preload);
	open_all(k);
	shut_ourselves_in(k);
	arrange_memory();
	return 0;
}

bool kinds_are_unusable(const struct kinds *k)
{
	for (size_t i = 0; i < LISTEN_KINDS; i++) {
		const struct connection *c = k->list[i];

		if (!c)
			continue;
		if (c->unusable || (c->config.dsn_outbox && !c->config.session.dsn) ||
			(c->logins && logins_lack_table(c->logins)))
			return true;
	}
	return false;
}
