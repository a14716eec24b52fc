/* SPDX-License-Identifier: ISC */
/*
 * Prepares one connection for each kind of listening socket (smtp, smtps, lmtp), which is
 * forked for each client.
 */
#include "bin/listen/acceptor.h"
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "bin/broker.h"
#include "edge/auth/auth.h"
#include "edge/net/net.h"

/*
 * A request for more than any free piece has makes glibc consolidate its free lists; its
 * memory is mapped separately.
 */
#define SORTED_BY (2 * 1024 * 1024)
#define PIECE_MAX (16 * 1024)
#define PIECES_MAX 256 /* pieces of one size */
#define SMALL_MAX ((size_t)1024)
#define SMALL_STEP 16 /* granularity of malloc() */
#define LINKS_OF_FREE 64 /* octets of a free piece in which libc keeps its neighbours */
#define ROOM (1024 * 1024) /* octets; enough for all but large messages */

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
 * Watches the files that the listener opened and, with the rights of the user, the places
 * that are opened next. Called before they are opened, so that a change in between is
 * detected.
 */
static void begin_watching(struct prepared *p, const struct preload *preload)
{
	const struct config *c = &p->any->config;
	bool looks_up = c->milters && c->client_name == CLIENT_NAME_AUTO;

	/* if this fails, connection_open() also fails, and records the reason */
	if (c->user)
		sandbox_user(c->user);
	p->watch = preload->watch;
	p->n_hidden = watch_drop_hidden(&p->watch);
	watch_add(&p->watch, c->mail_root, true);
	watch_add(&p->watch, c->dsn_outbox, true);
	watch_add(&p->watch, looks_up ? LOOKUP_FILE : NULL, true);
	watch_add(&p->watch, c->trace_directory, true);
	watch_add(&p->watch, c->log == LOG_JSON ? c->log_file : NULL, true);
}

/* Moves its channel up. 0 or -errno, which is recorded. */
static int move_broker(struct prepared *p)
{
	p->broker = channel_move_up(p->broker, p->any->n_files);
	return connection_failed(p->any, "mail-root", "(no broker)", p->broker);
}

/*
 * Starts the broker, which all kinds share: their mailboxes are equal. What the settings
 * read is in its memory, too.
 */
static void start_broker(struct prepared *p, struct hangs *hangs)
{
	bool failed = false;

	p->broker = -ECONNRESET;
	p->place = -1;
	if (!p->any->dirs.owners) {
		hangs_hide(hangs);
		return;
	}
	for (size_t i = 0; i < LISTEN_KINDS; i++)
		if (p->list[i] && !p->list[i]->unusable)
			p->list[i]->unusable = connection_open_places(p->list[i]) < 0;
	if (!p->any->unusable) {
		p->place = hangs_take(hangs);
		failed = connection_start_broker(
				 p->any, false, hangs, p->place, &p->broker) < 0;
		if (failed)
			hangs_give_back(hangs, p->place);
		failed = failed || move_broker(p) < 0;
	}
	/* connections do not need it, and could write to it */
	hangs_hide(hangs);
	for (size_t i = 0; i < LISTEN_KINDS; i++) {
		if (!p->list[i])
			continue;
		connection_close_places(p->list[i]);
		p->list[i]->unusable |= failed;
	}
}

/* Opens files, and writes records now, so that forked processes do not repeat them. */
static void open_all(struct prepared *p)
{
	for (size_t i = 0; i < LISTEN_KINDS; i++)
		if (p->list[i])
			connection_open(p->list[i]);
	for (size_t i = 0; i < LISTEN_KINDS; i++) {
		if (!p->list[i])
			continue;
		log_open(&p->list[i]->log);
		log_flush(&p->list[i]->log);
	}
}

/* It has the rights of the acceptor, and is forked before the sandbox closes. */
static void start_connector(struct prepared *p, int from)
{
	struct filters *list[LISTEN_KINDS] = { NULL };
	bool is_needed = false;

	p->connector = (struct connector){ .control = -1 };
	for (size_t i = 0; i < LISTEN_KINDS; i++) {
		list[i] = p->list[i] ? p->list[i]->filters : NULL;
		is_needed |= list[i] != NULL;
	}
	if (!is_needed)
		return;
	p->lacks_connector =
		connection_failed(p->any, "milters", "(no process that connects)",
			filters_start_connector(&p->connector, list, LISTEN_KINDS,
				p->any->config.sandbox, from)) < 0;
}

/* Each kind has its own descriptor of the outbox. */
_Static_assert(LISTEN_KINDS *SANDBOX_DIRS_OF_ONE <= SANDBOX_DIRS, "room for all kinds");

/* All kinds share one sandbox, which allows everything that one of them needs. */
static void add_dirs(const struct prepared *p, struct sandbox_dirs *dirs)
{
	for (size_t i = 0; i < LISTEN_KINDS; i++) {
		if (!p->list[i] || p->list[i]->unusable)
			continue;
		sandbox_dirs_add(dirs, &p->list[i]->dirs);
		dirs->loaded &= p->list[i]->dirs.loaded;
	}
}

static void enter_sandbox(struct prepared *p)
{
	struct sandbox_dirs dirs = { .loaded = true };
	struct sandbox_report report = { 0 };
	const char *confinement = "none";
	bool failed = false;

	add_dirs(p, &dirs);
	if (p->any->dirs.owners && !p->any->unusable) {
		failed = broker_leave_root(&p->any->log) < 0;
		/* what root could examine would seem to have changed */
		p->n_hidden += watch_drop_hidden(&p->watch);
	}
	if (p->any->config.sandbox && !failed) {
		failed = connection_failed(p->any, CONNECTION_SANDBOX,
				 sandbox_enter_accepting(&dirs, &report)) < 0;
		confinement = sandbox_word(&report);
	}
	for (size_t i = 0; i < LISTEN_KINDS; i++) {
		if (!p->list[i])
			continue;
		p->list[i]->unusable |= failed;
		p->list[i]->confinement = confinement;
	}
	if (log_is_pending(&p->any->log))
		log_flush(&p->any->log);
}

/*
 * Allocates memory that is never used; volatile prevents the compiler from omitting it.
 */
static uintptr_t occupy(size_t n)
{
	void *volatile memory = malloc(n);

	return (uintptr_t)memory;
}

/*
 * Occupies free pieces of that size below `end`. Their number is limited, because another
 * malloc() may not return the lowest first.
 */
static void use_up(size_t n, uintptr_t end)
{
	for (size_t i = 0; i < PIECES_MAX; i++)
		if (occupy(n) >= end)
			return;
}

/*
 * COST: 14 of 76 KiB of an idle connection (postern's budget, with the bound functions of
 * listen.c); without it: a connection copies more pages, and asks the system for memory.
 * Free pieces between pages in use are occupied, so that it allocates from unused memory
 * behind them.
 */
static void arrange_memory(void)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t room;

	free((void *)occupy(SORTED_BY));
	malloc_trim(0);
	mallopt(M_MMAP_THRESHOLD, ROOM);
	mallopt(M_TRIM_THRESHOLD, 2 * ROOM);
	mallopt(M_TOP_PAD, ROOM);
	room = occupy(ROOM / 2);
	free((void *)room);
	/* each fork would copy the page tables of what a free() of wipe.c overwrote */
	madvise((void *)((room + LINKS_OF_FREE + page - 1) / page * page),
		ROOM / 2 - 2 * page, MADV_DONTNEED);
	for (size_t n = PIECE_MAX; n > SMALL_MAX; n /= 2)
		use_up(n, room);
	for (size_t n = SMALL_MAX; n >= SMALL_STEP; n -= SMALL_STEP)
		use_up(n, room);
}

int prepared_init(struct prepared *p, const struct acceptor_task *task)
{
	for (size_t i = 0; i < task->sockets->n; i++) {
		enum listen_kind kind = task->sockets->list[i].kind;

		if (p->list[kind])
			continue;
		p->list[kind] = p->any = prepare(task, kind);
		if (!p->any)
			return -ENOMEM;
	}
	begin_watching(p, task->preload);
	start_broker(p, task->hangs);
	open_all(p);
	start_connector(p, task->from);
	enter_sandbox(p);
	arrange_memory();
	return 0;
}

/* A successor has another one, before it accepts the next connection. */
void prepared_lose_connector(struct prepared *p, const char *what)
{
	struct connector *c = &p->connector;
	char text[CONFIG_FAULT_MAX];

	if (p->lost_connector)
		return;
	close(c->control);
	*c = (struct connector){ .control = -1, .pid = c->pid };
	p->lost_connector = true;
	snprintf(text, sizeof(text),
		"the process that connects to filters %s; another is started with the "
		"next connection",
		what);
	log_error(&p->any->log, text);
	log_flush(&p->any->log);
}

void prepared_watch_connector(struct prepared *p, bool is_readable)
{
	uint64_t now;

	if (!is_readable && !p->connector.asked && !p->connector.in_doubt)
		return;
	now = stream_clock();
	if (!is_readable && filters_connector_wait(&p->connector, now) != 0)
		return;
	if (!filters_watch_connector(&p->connector, now))
		prepared_lose_connector(p, "does not answer");
}

bool prepared_is_unusable(const struct prepared *p)
{
	for (size_t i = 0; i < LISTEN_KINDS; i++) {
		const struct connection *c = p->list[i];

		if (!c)
			continue;
		if (c->unusable || c->lacks_filters ||
			(c->config.dsn_outbox && !c->config.session.dsn) ||
			(c->backend && backend_lacks_table(c->backend)))
			return true;
	}
	return p->lacks_connector;
}
