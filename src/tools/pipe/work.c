/* SPDX-License-Identifier: ISC */
/*
 * Processes the messages of one Maildir. A message stays in new/ until its result is
 * known, and is then moved once. If this program is killed before, it processes the
 * message again. It waits only in one poll(2), without unnecessary wake-ups.
 */
#include "tools/pipe/pipe.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <unistd.h>
#include "base/cleanup.h"

#define NEVER UINT64_MAX
#define LOOK_SECONDS 30 /* between two readings of new/ if changes are not detected */
#define STORE_SECONDS 30 /* until storing a result is tried again */
#define GONE_SECONDS 5 /* between two checks for a missing Maildir */
#define LOCK_SECONDS 10 /* time of waiting for the end of another instance */
#define SWEEP_SECONDS 3600 /* between two removals of old messages */
/* a clock that was set by more than this is not trusted for a while */
#define JUMP_SECONDS 3600
#define TEXT_MAX (2 * PIPE_WHY_MAX)

struct work {
	const struct pipe_options *o;
	struct pipe_box box;
	bool is_open; /* the box is open */
	struct pipe_watch watch;
	struct pipe_queue queue;
	struct pipe_run *runs; /* owned: o->n_programs of them */
	size_t n_running;
	struct pipe_counts counts;
	struct pipe_log log;
	int signals;
	size_t n_stops; /* number of signals to end */
	/* times by job_clock(): opening the box, listing new/, removing old messages */
	uint64_t open_at, list_at, sweep_at;
	int64_t offset; /* seconds of the real clock minus those of the monotonic clock */
	char logged[TEXT_MAX]; /* the last sentence of the log */
};

static uint64_t after(uint64_t seconds)
{
	return job_clock() + seconds * JOB_SECOND;
}

/* Logs a sentence, unless it is the same as the last one. */
static void log_once(struct work *w, const char *what, const char *why)
{
	char text[TEXT_MAX];

	snprintf(text, sizeof(text), "%s%s%s", what, *what ? ": " : "", why);
	if (strcmp(text, w->logged) == 0)
		return;
	snprintf(w->logged, sizeof(w->logged), "%s", text);
	pipe_log_error(&w->log, text);
}

static void log_error_once(struct work *w, const char *what, int error)
{
	log_once(w, what, strerror(-error));
}

/* Adds a message of new/ to the queue, unless it is in the queue or was processed. */
static void see_name(void *ctx, const char *name)
{
	struct work *w = ctx;
	struct pipe_message *m;
	int r;

	if (w->o->after == PIPE_KEEP_NEW && pipe_box_is_done(&w->box, name))
		return;
	r = pipe_queue_add(&w->queue, name, &m);
	if (r == 0)
		pipe_box_recall(&w->box, m);
	else if (r < 0)
		w->list_at = after(LOOK_SECONDS);
}

static void see_change(void *ctx, const char *name, bool is_there)
{
	struct work *w = ctx;
	struct pipe_message *m = is_there ? NULL : pipe_queue_find(&w->queue, name);

	if (is_there) {
		see_name(w, name);
		return;
	}
	if (m && m->state != PIPE_RUNNING)
		pipe_queue_remove(&w->queue, name);
	pipe_box_forget(&w->box, name);
}

static void list_new(struct work *w)
{
	int r;

	w->list_at = w->watch.fd < 0 || w->watch.is_shared ? after(LOOK_SECONDS) : NEVER;
	r = pipe_list(w->box.new_dir, w, see_name);
	if (r < 0) {
		log_error_once(w, "new/", r);
		w->list_at = after(LOOK_SECONDS);
	}
}

static void watch_new(struct work *w)
{
	int r;

	if (w->watch.fd >= 0)
		return;
	r = pipe_watch_open(&w->watch, &w->box, w->o->after == PIPE_KEEP_NEW);
	if (r == -ENOSPC || r == -EMFILE)
		log_once(w, strerror(-r),
			"new messages are looked for every 30 seconds: raise "
			"fs.inotify.max_user_watches and fs.inotify.max_user_instances "
			"(inotify(7))");
	else if (r < 0)
		log_error_once(w, "new messages are looked for every 30 seconds", r);
}

static void close_box(struct work *w)
{
	pipe_queue_clear(&w->queue, false);
	pipe_watch_close(&w->watch);
	pipe_box_close(&w->box);
	w->is_open = false;
	w->open_at = job_clock();
	w->list_at = NEVER;
}

/* Opens the box. 0, or -errno: it is tried again later. */
static int open_box(struct work *w)
{
	char text[PIPE_WHY_MAX];
	struct buf why = BUF(text);
	int r = pipe_box_open(&w->box, w->o->mailbox, &why);

	if (r < 0) {
		log_once(w, "", buf_terminate(&why) ? text : strerror(-r));
		w->open_at = after(GONE_SECONDS);
		return r;
	}
	w->logged[0] = '\0';
	w->is_open = true;
	w->open_at = NEVER;
	pipe_box_tidy(&w->box);
	watch_new(w);
	list_new(w);
	return 0;
}

/* Keeps a result that cannot be stored now. Without memory the message runs again. */
static void keep_result(struct pipe_message *m, const struct pipe_outcome *outcome)
{
	struct pipe_outcome *kept = m->outcome ? m->outcome : malloc(sizeof(*kept));

	m->due = after(STORE_SECONDS);
	m->state = kept ? PIPE_DECIDED : PIPE_WAITING;
	if (kept && kept != outcome)
		*kept = *outcome;
	m->outcome = kept;
}

/* Reads new/ once more, because a message that was not found may be there. */
static void look_again(struct work *w)
{
	uint64_t at = after(LOOK_SECONDS);

	w->list_at = at < w->list_at ? at : w->list_at;
}

static void store(
	struct work *w, struct pipe_message *m, const struct pipe_outcome *outcome)
{
	bool is_done = outcome->result == PIPE_DONE;
	int r = is_done ? pipe_box_finish(&w->box, m->name, w->o->after)
			: pipe_box_fail(&w->box, m, outcome, w->o);

	if (r < 0) {
		log_error_once(w,
			is_done ? "a processed message stays in new/, and is moved later"
				: "a failed message stays in new/, and is moved later",
			r);
		keep_result(m, outcome);
		return;
	}
	if (r > 0)
		look_again(w);
	if (m->tries > 1 && w->o->after != PIPE_KEEP_NEW)
		pipe_box_forget(&w->box, m->name);
	pipe_queue_remove(&w->queue, m->name);
}

/* Counts a try. The time of trying is the time during which this program ran. */
static void count_try(struct pipe_message *m)
{
	uint64_t now = job_clock();

	m->tries++;
	if (m->since)
		m->waited += (now - m->since) / JOB_SECOND;
	m->since = now;
}

/* Sets the next try, or gives up. */
static void plan_try(struct work *w, struct pipe_message *m, struct pipe_outcome *outcome)
{
	uint64_t pause = pipe_pause(m, w->o->retry_after, w->o->retry_for);
	size_t n = strlen(outcome->reason);
	int r;

	if (pause == 0) {
		outcome->result = PIPE_FAILED;
		snprintf(outcome->reason + n, PIPE_REASON_MAX - n,
			"; given up after %ju tries", (uintmax_t)m->tries);
		return;
	}
	m->state = PIPE_WAITING;
	m->due = after(pause);
	r = pipe_box_keep_try(&w->box, m);
	if (r < 0)
		log_error_once(w, "pipe/tried/: a try cannot be written down", r);
}

/* Handles the end of a program, or that it could not be started. */
static void conclude(struct work *w, struct pipe_run *r)
{
	struct pipe_message *m = r->message;
	struct pipe_outcome *outcome = &r->outcome;
	struct pipe_counts *c = &w->counts;

	count_try(m);
	if (outcome->result == PIPE_LATER && w->is_open)
		plan_try(w, m, outcome);
	c->done += outcome->result == PIPE_DONE;
	c->failed += outcome->result == PIPE_FAILED;
	if (outcome->reason[0])
		snprintf(c->reason, sizeof(c->reason), "%s", outcome->reason);
	c->waiting = w->queue.n - w->n_running - (outcome->result != PIPE_LATER);
	pipe_log_run(&w->log, r, c);
	if (!w->is_open)
		pipe_queue_remove(&w->queue, m->name);
	else if (outcome->result != PIPE_LATER)
		store(w, m, outcome);
	pipe_run_done(r);
}

static void start_message(struct work *w, struct pipe_message *m)
{
	struct pipe_run *r = w->runs;
	int result;

	while (r->message)
		r++;
	result = pipe_run_start(r, &w->box, m, w->o);
	if (result == 0) {
		m->state = PIPE_RUNNING;
		w->n_running++;
	} else if (result > 0) {
		conclude(w, r);
	} else {
		/* another program has moved or removed it */
		look_again(w);
		pipe_run_done(r);
		pipe_box_forget(&w->box, m->name);
		pipe_queue_remove(&w->queue, m->name);
	}
}

/* Starts programs that can be started, and stores results that are due. */
static void advance(struct work *w, uint64_t *ret_due)
{
	struct pipe_message *m;

	while (w->is_open && (m = pipe_queue_decided(&w->queue, job_clock(), ret_due))) {
		struct pipe_outcome *outcome = m->outcome;
		m->outcome = NULL;
		store(w, m, outcome);
		free(outcome);
	}
	while (w->is_open && !w->n_stops && w->n_running < w->o->n_programs) {
		m = pipe_queue_next(&w->queue, job_clock(), w->o->strict_order, ret_due);
		if (!m)
			break;
		if (pipe_box_is_gone(&w->box))
			close_box(w);
		else
			start_message(w, m);
	}
}

static int64_t clock_offset(void)
{
	struct timespec real, since_boot;

	clock_gettime(CLOCK_REALTIME, &real);
	clock_gettime(CLOCK_BOOTTIME, &since_boot);
	return real.tv_sec - since_boot.tv_sec;
}

/*
 * Removes processed messages that are older than --keep. If the clock was set, their ages
 * are unknown, and none is removed until this time has passed again.
 */
static void sweep(struct work *w)
{
	int64_t jump = clock_offset() - w->offset;
	uint64_t pause = w->o->keep < SWEEP_SECONDS ? w->o->keep : SWEEP_SECONDS;
	int r;

	w->sweep_at = after(pause);
	if (jump > JUMP_SECONDS || jump < -JUMP_SECONDS) {
		w->offset += jump;
		w->sweep_at = after(w->o->keep);
		log_once(w, "cur/",
			"the clock was set, so that ages of messages are not known: none "
			"is removed for the time of --keep");
	} else if (w->is_open) {
		r = pipe_box_remove_old(&w->box, time(NULL), (time_t)w->o->keep);
		if (r < 0)
			log_error_once(w, "cur/: old messages cannot be removed", r);
	}
}

/* Does everything that is due by the clock. */
static void handle_times(struct work *w)
{
	uint64_t now = job_clock();

	if (!w->is_open && now >= w->open_at && !w->n_stops)
		open_box(w);
	if (w->is_open && now >= w->list_at) {
		watch_new(w);
		list_new(w);
	}
	if (now >= w->sweep_at)
		sweep(w);
	for (size_t i = 0; i < w->o->n_programs; i++)
		if (w->runs[i].message)
			pipe_run_press(&w->runs[i], now);
}

static void handle_ends(struct work *w)
{
	for (size_t i = 0; i < w->o->n_programs; i++) {
		struct pipe_run *r = &w->runs[i];
		if (!r->message)
			continue;
		pipe_run_read(r);
		if (!pipe_run_has_ended(r))
			continue;
		w->n_running--;
		conclude(w, r);
	}
}

/* After a first signal programs may still end; a second one stops them. */
static void handle_signals(struct work *w)
{
	struct signalfd_siginfo info;

	while (read(w->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGCHLD || w->n_stops++ == 0)
			continue;
		for (size_t i = 0; i < w->o->n_programs; i++)
			w->runs[i].until = job_clock();
	}
}

static void handle_changes(struct work *w)
{
	unsigned bits = pipe_watch_read(&w->watch, w, see_change);

	if (bits & PIPE_WATCH_GONE && pipe_box_is_gone(&w->box))
		close_box(w);
	else if (bits & PIPE_WATCH_LIST)
		list_new(w);
}

/* Returns the earliest time at which something is due. */
static uint64_t next_time(const struct work *w, uint64_t due)
{
	uint64_t times[] = { w->is_open ? w->list_at : w->open_at, w->sweep_at };

	if (w->n_stops)
		times[0] = NEVER;
	for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++)
		due = times[i] < due ? times[i] : due;
	for (size_t i = 0; i < w->o->n_programs; i++) {
		const struct pipe_run *r = &w->runs[i];
		uint64_t until = r->phase == PIPE_RUN_TERMINATED
					 ? r->until + JOB_GRACE_SECONDS * JOB_SECOND
					 : r->until;
		if (r->message && r->phase != PIPE_RUN_KILLED && until < due)
			due = until;
	}
	return due;
}

static int milliseconds_until(uint64_t due)
{
	uint64_t now = job_clock(), left = due > now ? due - now : 0;

	if (due == NEVER)
		return -1;
	left = left / (JOB_SECOND / 1000) + 1;
	return left < INT_MAX ? (int)left : INT_MAX;
}

static void await(struct work *w, uint64_t due)
{
	struct pollfd polled[PIPE_PROGRAMS_MAX + 2] = {
		{ .fd = w->signals, .events = POLLIN },
		{ .fd = w->is_open ? w->watch.fd : -1, .events = POLLIN },
	};
	nfds_t n = 2;

	for (size_t i = 0; i < w->o->n_programs; i++)
		if (w->runs[i].message && w->runs[i].errors >= 0)
			polled[n++] = (struct pollfd){ w->runs[i].errors, POLLIN, 0 };
	if (poll(polled, n, milliseconds_until(next_time(w, due))) < 0)
		return;
	if (polled[0].revents)
		handle_signals(w);
	if (polled[1].revents)
		handle_changes(w);
}

static void work(struct work *w)
{
	for (;;) {
		uint64_t due = NEVER;
		handle_times(w);
		handle_ends(w);
		advance(w, &due);
		if (w->n_stops && !w->n_running)
			return;
		await(w, due);
	}
}

/*
 * Opens the box at the start. A fault of the Maildir ends the program, unless it is
 * temporary.
 */
static int open_first(struct work *w)
{
	uint64_t until = after(LOCK_SECONDS);
	int r = open_box(w);

	while (r == -EWOULDBLOCK && job_clock() < until && !w->n_stops) {
		poll(&(struct pollfd){ w->signals, POLLIN, 0 }, 1, 1000);
		handle_signals(w);
		r = open_box(w);
	}
	if (r == -EWOULDBLOCK)
		return EX_TEMPFAIL;
	return r == 0 || r == -ENOENT ? 0 : EX_CONFIG;
}

static void print_fault(const struct work *w, struct buf *why)
{
	dprintf(STDERR_FILENO, "postern-pipe: %s: %s\n", w->o->mailbox,
		buf_terminate(why) ? why->p : "cannot be opened");
}

/*
 * Changes the user to the owner of the Maildir, which must exist; root does not read it
 * before.
 */
static int become_owner(struct work *w)
{
	char text[PIPE_WHY_MAX];
	struct buf why = BUF(text);
	bool is_logged = false;
	int r;

	while ((r = pipe_become_owner(w->o->mailbox, &why)) == -ENOENT && !w->n_stops) {
		if (!is_logged)
			print_fault(w, &why);
		is_logged = true;
		poll(&(struct pollfd){ w->signals, POLLIN, 0 }, 1, GONE_SECONDS * 1000);
		handle_signals(w);
		why = (struct buf)BUF(text);
	}
	if (r < 0 && r != -ENOENT)
		print_fault(w, &why);
	return r;
}

int pipe_work(const struct pipe_options *o)
{
	sigset_t signals = job_ending_signals();
	struct work w = {
		.o = o,
		.box = PIPE_BOX_NONE,
		.watch = { .fd = -1 },
		.list_at = NEVER,
		.sweep_at =
			o->keep ? after(o->keep < SWEEP_SECONDS ? o->keep : SWEEP_SECONDS)
				: NEVER,
		.offset = clock_offset(),
		.runs = calloc(o->n_programs, sizeof(*w.runs)),
	};
	int status, r;

	sigaddset(&signals, SIGCHLD);
	w.signals = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
	if (!w.runs || w.signals < 0)
		return EX_OSERR;
	r = become_owner(&w);
	if (r < 0)
		return r == -ENOENT ? 0 : EX_CONFIG;
	pipe_log_open(&w.log, o);
	status = open_first(&w);
	if (status == 0)
		work(&w);
	pipe_queue_clear(&w.queue, true);
	pipe_watch_close(&w.watch);
	pipe_box_close(&w.box);
	pipe_log_done(&w.log);
	close(w.signals);
	free(w.runs);
	return status;
}
