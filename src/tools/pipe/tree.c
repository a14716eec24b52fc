/* SPDX-License-Identifier: ISC */
/*
 * Many mailboxes: a process for each line of the table, so that mailboxes do not delay
 * each other, and each process becomes the owner of its mailbox. This file also checks
 * everything that they would use.
 */
#include "tools/pipe/pipe.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "edge/table/table.h"

#define RESTART_SECONDS 10 /* minimum time between two starts of a process */
#define WORDS_MAX 64 /* words of a program */

struct tree_mailbox {
	char *path; /* owned */
	char *words; /* owned: the program, split into words */
	char *argv[WORDS_MAX + 1];
	pid_t pid; /* 0: no process is running */
	uint64_t started; /* time by job_clock() */
};

struct tree {
	const struct pipe_options *o;
	struct tree_mailbox *list; /* owned */
	size_t n;
	struct faults faults;
};

static void put_fault(void *ctx, const char *fault)
{
	(void)ctx;
	dprintf(STDERR_FILENO, "postern-pipe: %s\n", fault);
}

/* True for a path that stays below the tree. */
static bool is_below(struct span name)
{
	struct span rest = name;

	if (!name.n || *name.p == '/' || memchr(name.p, '\0', name.n))
		return false;
	while (rest.n) {
		const char *slash = memchr(rest.p, '/', rest.n);
		size_t n = slash ? (size_t)(slash - rest.p) : rest.n;
		if (n == 0 || span_eq((struct span){ rest.p, n }, SPAN("..")))
			return false;
		rest = span_from(rest, slash ? n + 1 : n);
	}
	return true;
}

/* Splits the program at blanks. There is no shell, and no quoting. */
static bool cut_words(struct tree_mailbox *m)
{
	size_t n = 0;
	char *save = NULL;

	for (char *word = strtok_r(m->words, " \t", &save); word;
		word = strtok_r(NULL, " \t", &save)) {
		if (n == WORDS_MAX)
			return false;
		m->argv[n++] = word;
	}
	return n > 0 && (m->argv[0][0] == '/' || !strchr(m->argv[0], '/'));
}

static void add_mailbox(void *ctx, size_t line, struct span key, struct span value)
{
	struct tree *t = ctx;
	struct tree_mailbox m = { 0 };
	struct tree_mailbox *more = reallocarray(t->list, t->n + 1, sizeof(*more));
	const char *fault = NULL;

	t->list = more ? more : t->list;
	if (!more || asprintf(&m.path, "%s/%.*s", t->o->tree, (int)key.n, key.p) < 0) {
		faults_put(&t->faults, "%s", strerror(ENOMEM));
		return;
	}
	m.words = strndup(value.p, value.n);
	if (!is_below(key))
		fault = "is no mailbox below the tree: name it without / in front, and "
			"without ..";
	else if (!m.words || !cut_words(&m))
		fault = "has no program behind it: a name that is found in $PATH, or a "
			"path that begins with /";
	if (fault)
		faults_put(&t->faults, "%s:%zu: %.*s: %s", t->o->table, line, (int)key.n,
			key.p, fault);
	t->list[t->n++] = m;
}

static void free_tree(struct tree *t)
{
	for (size_t i = 0; i < t->n; i++) {
		free(t->list[i].path);
		free(t->list[i].words);
	}
	free(t->list);
}

static void report_table(void *ctx, const char *what)
{
	const struct pipe_options *o = ctx;

	dprintf(STDERR_FILENO, "postern-pipe: %s: %s\n", o->table, what);
}

/* Reads the table, and reports its faults. */
static void read_tree(struct tree *t)
{
	const struct table_visitor visitor = { t, add_mailbox };
	struct faults faults = { .report = report_table, .ctx = (void *)t->o };

	t->faults.report = put_fault;
	table_check(t->o->table, false, &visitor, &faults);
	t->faults.n += faults.n;
	if (t->n == 0 && t->faults.n == 0)
		faults_put(&t->faults, "%s: " TABLE_EMPTY, t->o->table);
}

static struct pipe_options options_of(const struct tree *t, const struct tree_mailbox *m)
{
	struct pipe_options o = *t->o;

	o.mailbox = m->path;
	o.argv = m->argv;
	return o;
}

static void start_mailbox(const struct tree *t, struct tree_mailbox *m, pid_t parent)
{
	m->started = job_clock();
	m->pid = fork();
	if (m->pid == 0) {
		struct pipe_options o = options_of(t, m);
		/* if the parent is killed, this process ends, too */
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		_exit(getppid() == parent ? pipe_work(&o) : 0);
	}
	if (m->pid < 0) {
		put_fault(NULL, strerror(errno));
		m->pid = 0;
	}
}

static void reap(struct tree *t)
{
	pid_t pid;
	int status;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (size_t i = 0; i < t->n; i++)
			if (t->list[i].pid == pid)
				t->list[i].pid = 0;
}

/* Starts missing processes. Returns the time until the next one can be started. */
static struct timespec start_missing(struct tree *t, pid_t parent)
{
	uint64_t now = job_clock(), left = UINT64_C(3600) * JOB_SECOND;

	for (size_t i = 0; i < t->n; i++) {
		struct tree_mailbox *m = &t->list[i];
		uint64_t at = m->started + RESTART_SECONDS * JOB_SECOND;
		if (m->pid)
			continue;
		if (m->started && now < at)
			left = at - now < left ? at - now : left;
		else
			start_mailbox(t, m, parent);
	}
	return (struct timespec){ .tv_sec = (time_t)(left / JOB_SECOND) + 1 };
}

static bool has_children(const struct tree *t)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->list[i].pid)
			return true;
	return false;
}

static void supervise(struct tree *t)
{
	sigset_t signals = job_ending_signals();
	bool stops = false;
	pid_t parent = getpid();

	sigaddset(&signals, SIGCHLD);
	while (!stops || has_children(t)) {
		struct timespec left = { .tv_sec = 3600 };
		int signal;
		if (!stops)
			left = start_missing(t, parent);
		signal = sigtimedwait(&signals, NULL, &left);
		reap(t);
		if (signal <= 0 || signal == SIGCHLD)
			continue;
		stops = true;
		for (size_t i = 0; i < t->n; i++)
			if (t->list[i].pid)
				kill(t->list[i].pid, SIGTERM);
	}
}

int pipe_tree(const struct pipe_options *o)
{
	struct tree t = { .o = o };

	read_tree(&t);
	if (t.faults.n == 0)
		supervise(&t);
	free_tree(&t);
	return t.faults.n ? EX_CONFIG : 0;
}

/* Reports a program that cannot be found now. */
static void check_program(const char *name, const char *where, struct faults *faults)
{
	OWNED char *path = strdup(getenv("PATH") ? getenv("PATH") : "/usr/bin:/bin");
	char file[PATH_MAX], *save = NULL;

	if (strchr(name, '/')) {
		if (access(name, X_OK) < 0)
			faults_put(faults, "%s: %s: %s", where, name, strerror(errno));
		return;
	}
	for (char *dir = path ? strtok_r(path, ":", &save) : NULL; dir;
		dir = strtok_r(NULL, ":", &save)) {
		snprintf(file, sizeof(file), "%s/%s", dir, name);
		if (access(file, X_OK) == 0)
			return;
	}
	faults_put(faults, "%s: %s: is not found in $PATH", where, name);
}

static void check_notes(const struct pipe_options *o, struct faults *faults)
{
	static const char *const parts[] = { "new", "tmp" };

	for (size_t i = 0; o->notes && i < sizeof(parts) / sizeof(*parts); i++) {
		char text[PIPE_WHY_MAX];
		struct buf why = BUF(text);
		OWNED_FD int fd = pipe_notes_open(o->notes, parts[i], &why);

		if (fd < 0)
			faults_put(faults, "%s: %s", o->notes,
				buf_terminate(&why) ? text : strerror(-fd));
	}
}

static size_t check_here(const struct pipe_options *o)
{
	struct faults faults = { .report = put_fault };
	char text[PIPE_WHY_MAX];
	struct buf why = BUF(text);

	if (pipe_become_owner(o->mailbox, &why) < 0)
		faults_put(&faults, "%s: %s", o->mailbox,
			buf_terminate(&why) ? text : "cannot be opened");
	else
		pipe_box_check(o->mailbox, &faults);
	check_notes(o, &faults);
	check_program(o->argv[0], o->mailbox, &faults);
	return faults.n;
}

/* Checks a mailbox as its owner, in a process of its own. */
static size_t check_mailbox(const struct pipe_options *o)
{
	pid_t pid = fork();
	int status = -1;

	if (pid == 0)
		_exit(check_here(o) ? EX_CONFIG : 0);
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		put_fault(NULL, strerror(errno));
	return status != 0;
}

int pipe_check(const struct pipe_options *o)
{
	struct tree t = { .o = o };
	size_t n = 0;

	if (!o->tree)
		return check_mailbox(o) ? EX_CONFIG : 0;
	read_tree(&t);
	for (size_t i = 0; i < t.n; i++) {
		struct pipe_options one = options_of(&t, &t.list[i]);
		if (one.argv[0])
			n += check_mailbox(&one);
	}
	n += t.faults.n;
	free_tree(&t);
	return n ? EX_CONFIG : 0;
}
