/* SPDX-License-Identifier: ISC */
/*
 * Reads records from the journal by running journalctl, which knows the format of its
 * files and looks up matches in their index. One journalctl writes the entries before the
 * place of the source, and another one those after it: up to the end, and later as they
 * come. No more of its output is read than is asked for.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "edge/log/log.h"
#include "tools/job/job.h"
#include "tools/status/export.h"

#define PREFIX "POSTERN_"
#define MATCH_MAX (32 + IP_TEXT_MAX)
#define MATCHES_MAX (RECORD_EVENTS + 2) /* the identifier, events and the peer */
#define ARGUMENTS_MAX (MATCHES_MAX + 16)

enum way {
	WAY_BACK,
	WAY_TO_END,
	WAY_ON, /* waits for more at the end */
};

/* A journalctl, and what it writes. */
struct reader {
	pid_t pid; /* 0: none */
	bool has_written; /* an entry */
	enum way way;
	struct status_cursor known; /* the first entry is left out if it has this one */
	struct status_export output;
};

/* The place of the source, relative to the entry that was read last. */
enum side {
	SIDE_NONE, /* none was read: at the end */
	SIDE_BEFORE,
	SIDE_BEHIND,
};

struct journal {
	struct status_source source;
	const char *directory; /* NULL: the journal of this machine */
	char matches[MATCHES_MAX][MATCH_MAX];
	size_t n_matches;
	enum side side;
	/* of the entry that was read last; where there is none, the journal was empty */
	struct status_cursor cursor;
	struct status_cursor newest; /* of the first entry that was read from the end */
	struct reader before, after;
};

static const struct status_cursor no_cursor;

/* Starts journalctl. Returns the descriptor of its output, or -errno. */
static int start_command(char **argv, pid_t *ret_pid)
{
	OWNED_FD int null = open("/dev/null", O_RDWR | O_CLOEXEC), out = -1;
	int fds[2], r;

	if (null < 0 || pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	out = fds[1];
	r = job_start(&(struct job_program){ .path = argv[0],
			      .argv = argv,
			      .environment = environ,
			      .in = null,
			      .out = out,
			      .err = null,
			      .ends_with_us = true },
		ret_pid);
	if (r == 0)
		return fds[0];
	close(fds[0]);
	return r == -ENOENT ? -EOPNOTSUPP : r;
}

/* Waits for journalctl, whose output has ended. 0 or -EIO. */
static int await_end(struct reader *r)
{
	int status = 0;

	waitpid(r->pid, &status, 0);
	close(r->output.fd);
	r->pid = 0;
	/* it fails for users who may not read any file: their journal is empty */
	if (WIFEXITED(status) && geteuid() != 0 && !r->has_written)
		return 0;
	return status ? -EIO : 0;
}

static void stop_reader(struct reader *r)
{
	if (!r->pid)
		return;
	kill(r->pid, SIGKILL);
	await_end(r);
}

/*
 * Starts to read at a cursor, if there is one, and with its entry if it is `included`. 0
 * or -errno.
 */
static int start_reader(struct journal *j, struct reader *r, enum way way,
	const struct status_cursor *from, bool included)
{
	static const char *const ways[][2] = {
		[WAY_BACK] = { "--reverse" }, [WAY_ON] = { "--follow", "--no-tail" }
	};
	const char *argv[ARGUMENTS_MAX] = { "journalctl", "--quiet", "--no-pager",
		"--output=export" };
	size_t n = 4;
	int fd;

	stop_reader(r);
	for (size_t i = 0; i < 2 && ways[way][i]; i++)
		argv[n++] = ways[way][i];
	if (j->directory) {
		argv[n++] = "--directory";
		argv[n++] = j->directory;
	}
	/* --after-cursor has no entry to begin with when it names the newest */
	if (*from->text) {
		argv[n++] = "--cursor";
		argv[n++] = from->text;
	}
	for (size_t i = 0; i < j->n_matches; i++)
		argv[n++] = j->matches[i];
	fd = start_command((char **)argv, &r->pid);
	if (fd < 0)
		return fd;
	r->way = way;
	r->has_written = false;
	r->known = included ? no_cursor : *from;
	r->output.fd = fd;
	r->output.begin = 0;
	r->output.end = 0;
	return 0;
}

/* Reads the next record that journalctl writes. 1; 0 when it has ended; -errno. */
static int read_record(struct journal *j, struct reader *from, struct status_record *ret)
{
	struct status_cursor cursor;
	bool is_known;
	int r;

	while ((r = status_export_read(&from->output, &cursor, ret)) > 0) {
		j->cursor = cursor;
		from->has_written = true;
		is_known = *from->known.text &&
			   strcmp(j->cursor.text, from->known.text) == 0;
		from->known = no_cursor;
		if (!*j->newest.text)
			j->newest = j->cursor;
		if (is_known)
			continue;
		j->source.n_visited++;
		if (ret->record.event < RECORD_EVENTS)
			return 1;
		j->source.n_skipped++;
	}
	if (r == 0)
		r = await_end(from);
	return r == 0 && from->way == WAY_ON ? -EIO : r;
}

/* True when journalctl has written something, or has ended. */
static bool is_ready(const struct reader *r)
{
	struct pollfd fd = { .fd = r->output.fd, .events = POLLIN };

	return status_export_has_more(&r->output) || poll(&fd, 1, 0) > 0;
}

static bool follows(const struct journal *j)
{
	return j->after.pid && j->after.way == WAY_ON;
}

static int journal_to_end(struct status_source *s)
{
	struct journal *j = (struct journal *)s;
	struct status_record skipped;
	int r = 1;

	/* one that was started at the end, and not read yet, is kept */
	if (j->side != SIDE_NONE)
		stop_reader(&j->before);
	if (!follows(j))
		stop_reader(&j->after);
	while (follows(j) && is_ready(&j->after) && r > 0)
		r = status_export_read(&j->after.output, &j->cursor, &skipped);
	j->side = SIDE_NONE;
	j->cursor = no_cursor;
	j->newest = no_cursor;
	return r > 0 ? 0 : r < 0 ? r : -EIO;
}

static int journal_previous(struct status_source *s, struct status_record *ret)
{
	struct journal *j = (struct journal *)s;
	int r = 0;

	if (j->side != SIDE_NONE && !*j->cursor.text)
		return 0;
	if (j->side == SIDE_BEHIND) {
		stop_reader(&j->before);
		stop_reader(&j->after);
	}
	if (!j->before.pid)
		r = start_reader(
			j, &j->before, WAY_BACK, &j->cursor, j->side == SIDE_BEHIND);
	j->side = SIDE_BEFORE;
	return r < 0 ? r : read_record(j, &j->before, ret);
}

static int journal_next(struct status_source *s, struct status_record *ret)
{
	struct journal *j = (struct journal *)s;
	int r = 0;

	/* what the end is follows from the entry before it */
	if (j->side == SIDE_NONE && !follows(j)) {
		r = journal_previous(s, ret);
		j->side = SIDE_BEHIND;
	}
	if (j->side == SIDE_BEFORE)
		stop_reader(&j->after);
	stop_reader(&j->before);
	if (r >= 0 && !j->after.pid)
		r = start_reader(
			j, &j->after, WAY_TO_END, &j->cursor, j->side == SIDE_BEFORE);
	j->side = SIDE_BEHIND;
	if (r < 0 || (follows(j) && !is_ready(&j->after)))
		return r < 0 ? r : 0;
	return read_record(j, &j->after, ret);
}

static void journal_wait_for(
	struct status_source *s, struct pollfd *ret, int *ret_milliseconds)
{
	struct journal *j = (struct journal *)s;
	const struct status_cursor *from =
		j->side == SIDE_BEHIND ? &j->cursor : &j->newest;
	int r = follows(j) ? 0 : start_reader(j, &j->after, WAY_ON, from, false);

	*ret = (struct pollfd){
		.fd = r < 0 ? -1 : j->after.output.fd,
		.events = POLLIN,
	};
	*ret_milliseconds = r < 0 ? 0 : -1;
}

static int journal_look(struct status_source *s)
{
	struct journal *j = (struct journal *)s;

	return follows(j) ? is_ready(&j->after) : -EIO;
}

static void journal_free(struct status_source *s)
{
	struct journal *j = (struct journal *)s;

	stop_reader(&j->before);
	stop_reader(&j->after);
	free(j);
}

/* Adds a match, for which there is room. */
static void match(struct journal *j, const char *name, struct span value)
{
	struct buf b = BUF(j->matches[j->n_matches]);

	buf_put_str(&b, name);
	buf_put_char(&b, '=');
	buf_put(&b, value);
	if (buf_terminate(&b))
		j->n_matches++;
}

/*
 * Adds matches. Those of one field are alternatives; those of several fields must all
 * hold. A single address has the same text in records and here.
 */
static void add_matches(struct journal *j, const struct status_filter *filter)
{
	char octets[IP_TEXT_MAX];
	struct buf b = BUF(octets);

	match(j, "SYSLOG_IDENTIFIER", SPAN(LOG_IDENTIFIER));
	for (enum record_event e = 0; e < RECORD_EVENTS; e++)
		if (filter->events & 1U << e)
			match(j, PREFIX "EVENT", span_of(record_event_word(e)));
	if (!filter->has_peer || filter->peer.prefix < 8 * filter->peer.ip.n)
		return;
	ip_put(&b, &filter->peer.ip);
	match(j, PREFIX "PEER", buf_span(&b));
}

/*
 * Checks that the directory has files of a journal, because one without them is read like
 * an empty journal. 0 or -errno.
 */
static int has_files(const char *directory)
{
	const char *argv[] = { "journalctl", "--quiet", "--no-pager", "--header",
		"--directory", directory, NULL };
	OWNED_FD int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct reader r = { 0 };
	char octet;
	ssize_t n;

	if (fd < 0)
		return -errno;
	r.output.fd = start_command((char **)argv, &r.pid);
	if (r.output.fd < 0)
		return r.output.fd;
	n = read(r.output.fd, &octet, 1);
	stop_reader(&r);
	return n > 0 ? 0 : -ENODATA;
}

int status_journal_open(const char *directory, const struct status_filter *filter,
	struct status_source **ret)
{
	static const struct status_source_ops ops = { journal_to_end, journal_previous,
		journal_next, journal_wait_for, journal_look, journal_free };
	struct journal *j;
	int r = directory ? has_files(directory) : 0;

	if (r < 0)
		return r;
	j = calloc(1, sizeof(*j));
	if (!j)
		return -ENOMEM;
	j->source.ops = &ops;
	j->directory = directory;
	add_matches(j, filter);
	/* whether there is a journalctl is seen here */
	r = start_reader(j, &j->before, WAY_BACK, &no_cursor, false);
	if (r < 0)
		journal_free(&j->source);
	else
		*ret = &j->source;
	return r;
}

const char *status_why_unread(const char *file, int error)
{
	if (error == EOPNOTSUPP)
		return "cannot be read without journalctl, which is not in PATH; name a "
		       "FILE that log = json:FILE writes";
	if (error == EIO && !file)
		return "cannot be read: journalctl fails; see what it says: journalctl "
		       "-n 1 -t " LOG_IDENTIFIER;
	if (error == EINVAL && file)
		return "is not a regular file";
	if (error == ENODATA)
		return "has no journal in it that can be read";
	if (error == E2BIG)
		return "is one file too many, with those that were rotated";
	return strerror(error);
}
