/* SPDX-License-Identifier: ISC */
/*
 * Runs the program for one message, without a shell, and with the message on standard
 * input. Facts of the message are only in the environment, because there a value cannot
 * be parsed as an option.
 */
#include "tools/pipe/pipe.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>
#include "base/cleanup.h"

#define FACTS_MAX 10 /* variables with facts */
#define READS_MAX 16 /* reads at a time, because a program may write without end */
#define PREFIX "POSTERN_"

extern char **environ;

/* The variables of a program. The first ones in the list are postern-pipe's own. */
struct variables {
	char **list; /* owned, as are the first n_own strings; NULL ends the list */
	size_t n, n_own;
};

static void variables_done(struct variables *v)
{
	for (size_t i = 0; i < v->n_own; i++)
		free(v->list[i]);
	free(v->list);
}

/*
 * True for variables that are not passed on: postern-pipe's own, and those of the service
 * manager.
 */
static bool is_inherited(const char *variable)
{
	static const char *const left_out[] = { PREFIX, "NOTIFY_SOCKET=", "LISTEN_FDS=",
		"LISTEN_PID=", "LISTEN_FDNAMES=", "WATCHDOG_USEC=", "WATCHDOG_PID=" };

	for (size_t i = 0; i < sizeof(left_out) / sizeof(*left_out); i++)
		if (strncmp(variable, left_out[i], strlen(left_out[i])) == 0)
			return false;
	return true;
}

/* Adds POSTERN_NAME=value, unless the fact is missing. 0 or -ENOMEM. */
static int put_fact(struct variables *v, const char *name, struct span value)
{
	size_t cap = sizeof(PREFIX) + strlen(name) + value.n + 1;
	struct buf b = { .p = value.p ? malloc(cap) : NULL, .cap = cap };

	if (!value.p)
		return 0;
	if (!b.p)
		return -ENOMEM;
	buf_put(&b, SPAN(PREFIX));
	buf_put_str(&b, name);
	buf_put_char(&b, '=');
	buf_put(&b, value);
	buf_terminate(&b);
	v->list[v->n++] = b.p;
	v->n_own = v->n;
	return 0;
}

/*
 * Returns the text of a comment without the "\" before some characters (RFC 5322 3.2.1).
 */
static struct span plain_user(struct span user, char *room)
{
	struct span plain = { room, 0 };

	if (!user.p)
		return user;
	for (; user.n; user = span_from(user, 1)) {
		if (*user.p == '\\' && user.n > 1)
			user = span_from(user, 1);
		room[plain.n++] = *user.p;
	}
	return plain;
}

/*
 * Adds all variables of the message. `recipients` has room for as many octets as the head
 * has.
 */
static int put_facts(struct variables *v, struct pipe_run *r, const char *file,
	struct span head, struct buf *recipients)
{
	OWNED char *octets = malloc(head.n + PIPE_SUBJECT_MAX + 1);
	struct buf subject = { .p = octets, .cap = PIPE_SUBJECT_MAX };
	struct pipe_facts *f = &r->facts;
	struct span several = { NULL, 0 }, decoded = { NULL, 0 };

	if (!octets)
		return -ENOMEM;
	pipe_facts_read(head, f, recipients);
	if (f->n_recipients)
		several = (struct span){ recipients->p, recipients->n - 1 };
	if (f->subject.p) {
		pipe_words_put(&subject, f->subject);
		decoded = buf_span(&subject);
	}
	if (put_fact(v, "FILE", span_of(file)) < 0 ||
		put_fact(v, "SENDER", f->sender) < 0 ||
		put_fact(v, "RECIPIENT", f->recipient) < 0 ||
		put_fact(v, "RECIPIENTS", several) < 0 ||
		put_fact(v, "PEER", f->peer) < 0 || put_fact(v, "TLS", f->tls) < 0 ||
		put_fact(v, "SUBJECT", decoded) < 0 ||
		put_fact(v, "MESSAGE_ID", f->message_id) < 0)
		return -ENOMEM;
	return put_fact(v, "USER", plain_user(f->user, octets + PIPE_SUBJECT_MAX));
}

static int make_variables(
	struct variables *v, struct pipe_run *r, const char *file, struct span head)
{
	OWNED char *room = malloc(head.n + 1);
	struct buf recipients = { .p = room, .cap = head.n + 1 };
	size_t n = 0;

	while (environ[n])
		n++;
	*v = (struct variables){ .list = calloc(n + FACTS_MAX + 1, sizeof(char *)) };
	if (!v->list || !room || put_facts(v, r, file, head, &recipients) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		if (is_inherited(environ[i]))
			v->list[v->n++] = environ[i];
	return 0;
}

/* Reads the first octets of the message. */
static int read_head(struct pipe_run *r, int file, struct span *ret)
{
	struct stat st;
	size_t want, n = 0;

	if (fstat(file, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -ELOOP;
	r->size = (uint64_t)st.st_size;
	want = r->size < PIPE_HEAD_MAX ? (size_t)r->size : PIPE_HEAD_MAX;
	r->head = malloc(want + 1);
	if (!r->head)
		return -ENOMEM;
	while (n < want) {
		ssize_t got = pread(file, r->head + n, want - n, (off_t)n);
		if (got < 0 && errno != EINTR)
			return -errno;
		if (got == 0)
			break;
		n += got > 0 ? (size_t)got : 0;
	}
	*ret = (struct span){ r->head, n };
	return 0;
}

/* Starts the program. Its standard error is a pipe, whose reader never waits. */
static int start(struct pipe_run *r, const struct pipe_options *o, int file, char **list)
{
	int ends[2];
	int error;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	error = job_start(
		&(struct job_program){
			.path = o->argv[0],
			.argv = o->argv,
			.environment = list,
			.in = file,
			.out = STDOUT_FILENO,
			.err = ends[1],
		},
		&r->pid);
	close(ends[1]);
	if (error < 0)
		close(ends[0]);
	else
		r->errors = ends[0];
	return error;
}

/*
 * Makes the copy of the message for --strip. Without a trace header it is unknown which
 * fields contain recipients, so this is an error. 0 or -errno.
 */
static int strip(const struct pipe_run *r, int *file)
{
	int copy = -1;
	int error =
		r->facts.n_trace ? pipe_strip(*file, r->facts.n_trace, &copy) : -EBADMSG;

	if (error < 0)
		return error;
	close(*file);
	*file = copy;
	return 0;
}

/* Sets the outcome when the program cannot be started. Some errors are permanent. */
static int refuse(struct pipe_run *r, int error)
{
	static const struct {
		int error;
		const char *reason;
	} lasting[] = {
		{ -ELOOP, "it is not a regular file" },
		{ -ENXIO, "it is not a regular file" },
		{ -EBADMSG, "postern's fields are not on top of it (--strip)" },
		{ -E2BIG, "its recipients are more than a variable can hold" },
	};

	for (size_t i = 0; i < sizeof(lasting) / sizeof(*lasting); i++)
		if (lasting[i].error == error) {
			r->outcome.result = PIPE_FAILED;
			snprintf(r->outcome.reason, PIPE_REASON_MAX, "%s",
				lasting[i].reason);
			return 1;
		}
	r->outcome.result = PIPE_LATER;
	snprintf(r->outcome.reason, PIPE_REASON_MAX, "it cannot be processed now: %s",
		strerror(-error));
	return 1;
}

int pipe_run_start(struct pipe_run *r, const struct pipe_box *box, struct pipe_message *m,
	const struct pipe_options *o)
{
	/* O_NONBLOCK: opening a FIFO must not wait for its writer */
	OWNED_FD int file = openat(box->new_dir, m->name,
		O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct variables variables = { 0 };
	char path[PATH_MAX];
	struct span head = { NULL, 0 };
	int error = file < 0 ? -errno : 0;

	*r = (struct pipe_run){ .message = m, .errors = -1, .started = job_clock() };
	r->until = r->started + o->timeout * JOB_SECOND;
	if (error == -ENOENT)
		return error;
	if (snprintf(path, sizeof(path), "%s/new/%s", box->path, m->name) >= PATH_MAX)
		error = -ENAMETOOLONG;
	if (error == 0)
		error = read_head(r, file, &head);
	if (error == 0)
		error = make_variables(&variables, r, path, head);
	if (error == 0 && o->strip)
		error = strip(r, &file);
	if (error < 0) {
		variables_done(&variables);
		return refuse(r, error);
	}
	error = start(r, o, file, variables.list);
	variables_done(&variables);
	if (error == -E2BIG)
		return refuse(r, error);
	if (error == 0)
		return 0;
	r->outcome.result = PIPE_LATER;
	snprintf(r->outcome.reason, PIPE_REASON_MAX, "the program cannot be run: %s",
		strerror(-error));
	return 1;
}

static void keep_errors(struct pipe_outcome *o, const char *octets, size_t n)
{
	size_t room = PIPE_ERRORS_MAX - o->n_errors;

	n = n < room ? n : room;
	memcpy(o->errors + o->n_errors, octets, n);
	o->n_errors += n;
}

void pipe_run_read(struct pipe_run *r)
{
	char octets[PIPE_ERRORS_MAX];

	for (size_t i = 0; i < READS_MAX && r->errors >= 0; i++) {
		ssize_t n = read(r->errors, octets, sizeof(octets));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return;
		if (n > 0) {
			keep_errors(&r->outcome, octets, (size_t)n);
			if (write(STDERR_FILENO, octets, (size_t)n) < 0)
				continue;
		} else {
			close(r->errors);
			r->errors = -1;
		}
	}
}

static void judge(struct pipe_run *r, const siginfo_t *info)
{
	struct pipe_outcome *o = &r->outcome;
	bool has_exited = info->si_code == CLD_EXITED;

	o->milliseconds = (job_clock() - r->started) / (JOB_SECOND / 1000);
	if (r->phase != PIPE_RUN_FREE) {
		o->result = PIPE_LATER;
		snprintf(o->reason, PIPE_REASON_MAX,
			"it did not end within %ju seconds, and was stopped",
			(uintmax_t)((r->until - r->started) / JOB_SECOND));
	} else if (!has_exited) {
		o->result = PIPE_LATER;
		snprintf(o->reason, PIPE_REASON_MAX, "signal %d", info->si_status);
	} else if (info->si_status != 0) {
		o->result = info->si_status == EX_TEMPFAIL ? PIPE_LATER : PIPE_FAILED;
		snprintf(o->reason, PIPE_REASON_MAX, "exit status %d", info->si_status);
	}
}

/*
 * Checks a child. SIGCHLD arrives only once, so an end that is missed here is detected
 * only after the timeout.
 */
static int look_at_child(pid_t pid, siginfo_t *ret, int flags)
{
	int r;

	do
		r = waitid(P_PID, (id_t)pid, ret, WEXITED | flags);
	while (r < 0 && errno == EINTR);
	return r;
}

bool pipe_run_has_ended(struct pipe_run *r)
{
	siginfo_t info = { 0 };

	if (look_at_child(r->pid, &info, WNOHANG | WNOWAIT) < 0) {
		r->outcome.result = PIPE_LATER;
		snprintf(r->outcome.reason, PIPE_REASON_MAX,
			"its exit status is not known: %s", strerror(errno));
		return true;
	}
	if (info.si_pid != r->pid)
		return false;
	/* kill remaining processes of a stopped program; its number is not reused yet */
	if (r->phase != PIPE_RUN_FREE)
		kill(-r->pid, SIGKILL);
	look_at_child(r->pid, &info, 0);
	pipe_run_read(r);
	judge(r, &info);
	return true;
}

void pipe_run_press(struct pipe_run *r, uint64_t now)
{
	uint64_t grace = r->phase == PIPE_RUN_FREE ? 0 : JOB_GRACE_SECONDS * JOB_SECOND;

	if (r->phase == PIPE_RUN_KILLED || now < r->until + grace)
		return;
	kill(-r->pid, r->phase == PIPE_RUN_FREE ? SIGTERM : SIGKILL);
	r->phase = r->phase == PIPE_RUN_FREE ? PIPE_RUN_TERMINATED : PIPE_RUN_KILLED;
}

void pipe_run_done(struct pipe_run *r)
{
	if (r->errors >= 0)
		close(r->errors);
	free(r->head);
	r->errors = -1;
	r->head = NULL;
	r->message = NULL;
}
