/* SPDX-License-Identifier: ISC */
/*
 * Writes a session's trace into a file. The file has a size limit and the mode 0600, and
 * consists of whole lines. If it cannot be written, the session continues without it.
 * proto/transcript.c decides what a trace may contain.
 */
#include "edge/log/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/num.h"
#include "edge/file.h"
#include "proto/received.h"
#include "smtp/state.h"

#define TRACE_MODE 0600
/* octets of the list of domains; a longer one becomes "*" */
#define TRACE_DOMAINS_MAX 4096

static struct trace_file *trace_of(struct tracer *tracer)
{
	return (struct trace_file *)((char *)tracer -
				     offsetof(struct trace_file, tracer));
}

/* Ends the trace before the session. */
static void give_up(struct trace_file *t)
{
	close(t->fd);
	t->fd = -1;
	t->out.n = 0;
}

/* Writes all octets, or keeps the error and ends the trace. */
static void write_all(struct trace_file *t, struct span s)
{
	while (s.n && t->fd >= 0) {
		ssize_t n = write(t->fd, s.p, s.n);
		if (n >= 0) {
			s = span_from(s, (size_t)n);
		} else if (errno != EINTR) {
			t->error = -errno;
			give_up(t);
		}
	}
}

static void flush(struct trace_file *t)
{
	static const struct span end = { "# the trace ends here: it is too long\n", 38 };
	bool full = t->n_written + t->out.n > TRACE_FILE_MAX;
	struct span s = full ? end : buf_span(&t->out);

	if (t->fd < 0)
		return;
	t->n_written += s.n;
	t->out.n = 0;
	write_all(t, s);
	if (full && t->fd >= 0)
		give_up(t);
}

static void make_room(struct trace_file *t)
{
	if (buf_room(&t->out) < TRANSCRIPT_ROOM)
		flush(t);
}

static struct span keep(struct tracer *tracer, struct bytes in)
{
	struct trace_file *t = trace_of(tracer);

	if (t->n_kept < in.n) {
		free(t->kept);
		t->kept = malloc(in.n);
		t->n_kept = t->kept ? in.n : 0;
	}
	if (t->n_kept < in.n || in.n == 0)
		return (struct span){ NULL, 0 };
	memcpy(t->kept, in.p, in.n);
	return (struct span){ t->kept, in.n };
}

/* Takes a line from the front, or a piece of a long one. */
static struct span take_piece(struct span *s)
{
	size_t n = s->n < TRANSCRIPT_PIECE_MAX ? s->n : TRANSCRIPT_PIECE_MAX;
	const char *lf = memchr(s->p, '\n', n);
	struct span piece = { s->p, lf ? (size_t)(lf - s->p) + 1 : n };

	*s = span_from(*s, piece.n);
	return piece;
}

/* Writes one line for each response, even if it arrives in several pieces. */
static void took_response(struct trace_file *t, bool end)
{
	make_room(t);
	if (end && t->fd >= 0)
		transcript_response(&t->out);
}

/* Keeps a line until the octets are in the trace for which the filter was asked. */
static void filter(struct tracer *tracer, struct span line)
{
	static const struct span mark = { "# filter ", 9 };
	struct trace_file *t = trace_of(tracer);
	size_t n = mark.n + line.n + 1;
	char *more;

	if (t->fd < 0 || t->n_filtered + n > TRACE_FILE_MAX)
		return;
	more = realloc(t->filtered, t->n_filtered + n);
	if (!more)
		return;
	t->filtered = more;
	more += t->n_filtered;
	memcpy(more, mark.p, mark.n);
	memcpy(more + mark.n, line.p, line.n);
	more[n - 1] = '\n';
	t->n_filtered += n;
}

static void put_filtered(struct trace_file *t)
{
	struct span rest = { t->filtered, t->n_filtered };

	while (rest.n && t->fd >= 0) {
		make_room(t);
		buf_put(&t->out, take_piece(&rest));
	}
	t->n_filtered = 0;
}

static void took(struct tracer *tracer, enum traced what, struct span octets, bool end)
{
	static const struct span dot = { ".\r\n", 3 };
	struct trace_file *t = trace_of(tracer);
	bool dotted = what == TRACED_CONTENT && end;

	if (what == TRACED_RESPONSE) {
		took_response(t, end);
		return;
	}
	octets.n -= dotted ? dot.n : 0;
	while (octets.n && t->fd >= 0) {
		struct span piece = take_piece(&octets);
		make_room(t);
		if (what == TRACED_COMMAND)
			transcript_command(&t->transcript, &t->out, piece);
		else
			transcript_content(&t->transcript, &t->out, piece);
	}
	make_room(t);
	if (what != TRACED_COMMAND && end)
		transcript_content_end(&t->transcript, &t->out);
	if (dotted)
		transcript_command(&t->transcript, &t->out, dot);
	if (end)
		put_filtered(t);
}

void trace_file_replies(struct trace_file *t, struct span out)
{
	char *more;

	if (t->fd < 0 || out.n == 0 || t->n_replies + out.n > TRACE_FILE_MAX)
		return;
	more = realloc(t->replies, t->n_replies + out.n);
	if (!more)
		return;
	memcpy(more + t->n_replies, out.p, out.n);
	t->replies = more;
	t->n_replies += out.n;
}

void trace_file_turn(struct trace_file *t)
{
	struct span replies = { t->replies, t->n_replies };

	put_filtered(t);
	while (replies.n && t->fd >= 0) {
		make_room(t);
		transcript_reply(&t->out, take_piece(&replies));
	}
	t->n_replies = 0;
}

void trace_file_event(struct trace_file *t, const char *mark)
{
	trace_file_turn(t);
	make_room(t);
	buf_put_str(&t->out, mark);
	buf_put_char(&t->out, '\n');
}

/* Adds "mailbox: user@example.net" once for each recipient. */
static void accepted(struct tracer *tracer, const struct recipient *r)
{
	struct trace_file *t = trace_of(tracer);
	const char *hostname = t->session->settings->hostname;
	size_t n = t->mailboxes.n;

	if (t->fd < 0)
		return;
	buf_put(&t->mailboxes, SPAN("mailbox: "));
	local_unquote(r->local, &t->mailboxes);
	buf_put_char(&t->mailboxes, '@');
	buf_put(&t->mailboxes, r->domain.n ? r->domain : span_of(hostname));
	buf_put_char(&t->mailboxes, '\n');
	if (memmem(t->mailboxes.p, n, t->mailboxes.p + n, t->mailboxes.n - n) ||
		t->mailboxes.overflow)
		t->mailboxes.n = n;
	t->mailboxes.overflow = false;
}

static void put_setting(struct buf *to, const char *key, const char *value)
{
	buf_put(to, SPAN("= "));
	buf_put_str(to, key);
	buf_put_char(to, ' ');
	buf_put_str(to, value);
	buf_put_char(to, '\n');
}

void trace_file_setting(struct trace_file *t, const char *key, struct span value)
{
	buf_put(&t->out, SPAN("= "));
	buf_put_str(&t->out, key);
	buf_put_char(&t->out, ' ');
	buf_put(&t->out, value);
	buf_put_char(&t->out, '\n');
}

static void put_number(struct buf *to, const char *key, uint64_t n)
{
	char digits[NUM_MAX + 1];

	digits[num_format(n, digits)] = '\0';
	put_setting(to, key, digits);
}

static void put_domains(struct buf *to, const struct session_settings *settings)
{
	size_t n = to->n;

	buf_put(to, SPAN("= domains"));
	for (size_t i = 0; i < settings->n_domains; i++) {
		buf_put_char(to, ' ');
		buf_put_str(to, settings->domains[i]);
	}
	if (to->n - n > TRACE_DOMAINS_MAX || to->overflow) {
		to->n = n;
		to->overflow = false;
		buf_put(to, SPAN("= domains *"));
	}
	buf_put_char(to, '\n');
}

/* Writes all settings that influence the replies of the session. */
static void put_settings(struct trace_file *t, const struct config *c)
{
	static const char *const tls[] = { [TLS_OFF] = "off",
		[TLS_ON] = "on",
		[TLS_REQUIRED] = "required",
		[TLS_IMPLICIT] = "implicit" };
	static const char *const auth[] = {
		[AUTH_OFF] = "off", [AUTH_ON] = "on", [AUTH_REQUIRED] = "required"
	};
	const struct session_settings *s = t->session->settings;
	const char *peer = t->session->peer.address;
	struct buf *to = &t->out;

	put_setting(to, "protocol", s->lmtp ? "lmtp" : "smtp");
	put_setting(to, "peer", peer[0] ? peer : "unknown");
	put_setting(to, "hostname", s->hostname);
	put_setting(to, "banner", s->banner);
	put_domains(to, s);
	put_setting(to, "tls", tls[s->tls]);
	put_setting(to, "auth", auth[s->auth]);
	/* the mechanisms depend on the verifiers, which a trace does not contain */
	if (s->auth != AUTH_OFF)
		put_setting(to, "users", "any");
	if (s->original_to)
		put_setting(to, "original-to", "yes");
	if (s->dsn)
		put_setting(to, "outbox", "yes");
	else if (s->dsn_fault)
		put_setting(to, "outbox", "broken");
	put_number(to, "size-limit", s->size_limit);
	put_number(to, "recipient-limit",
		s->recipients_offered && s->recipients_offered < s->recipient_limit
			? s->recipients_offered
			: s->recipient_limit);
	put_number(to, "transaction-limit", s->transaction_limit);
	put_number(to, "error-limit", s->error_limit);
	put_number(to, "timeout", c->timeout);
	put_number(to, "session-timeout", c->session_timeout);
	put_number(to, "min-data-rate", c->min_data_rate);
	put_setting(to, "bare-newline",
		s->bare_newline == BARE_REJECT ? "reject" : "normalize");
}

void trace_file_init(struct trace_file *t)
{
	memset(t, 0, offsetof(struct trace_file, octets));
	t->tracer = (struct tracer){
		.keep = keep, .took = took, .accepted = accepted, .filter = filter
	};
	t->fd = -1;
	t->out = BUF(t->octets);
	t->mailboxes = BUF(t->mailbox_octets);
}

/*
 * Makes "1796000000.M123456P4242.192.0.2.1.txt". The ids of the session's messages have
 * the same beginning.
 */
static bool put_path(struct buf *to, const struct session *s, const char *directory)
{
	const char *peer = s->peer.address;

	buf_put_str(to, directory);
	buf_put_char(to, '/');
	buf_put_num(to, s->since.seconds > 0 ? (uint64_t)s->since.seconds : 0);
	buf_put(to, SPAN(".M"));
	buf_put_num_wide(to, s->since.microseconds, 6);
	buf_put_str(to, s->unique);
	buf_put_char(to, '.');
	buf_put_str(to, peer[0] ? peer : "unknown");
	buf_put(to, SPAN(".txt"));
	return buf_terminate(to);
}

int trace_file_open(struct trace_file *t, struct session *s, const struct config *c,
	const struct trace_opener *opener)
{
	struct buf b = BUF(t->path);

	if (!put_path(&b, s, c->trace_directory))
		return -ENAMETOOLONG;
	t->fd = opener ? opener->open(opener->ctx, strrchr(t->path, '/') + 1)
		       : file_open_written(t->path,
				 O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
				 TRACE_MODE);
	if (t->fd < 0)
		return t->fd;
	t->session = s;
	t->transcript.whole = c->trace_content;
	buf_put(&t->out, SPAN("# RFC 5321: a session of "));
	date_put(&t->out, s->since.seconds);
	buf_put_char(&t->out, '\n');
	put_settings(t, c);
	s->tracer = &t->tracer;
	return 0;
}

void trace_file_done(struct trace_file *t)
{
	if (t->fd >= 0) {
		trace_file_event(t, "<CLOSED>\nstored: any");
		if (t->session->settings->dsn)
			trace_file_event(t, "reports: any");
		flush(t);
	}
	if (t->fd >= 0 && t->n_written + t->mailboxes.n < TRACE_FILE_MAX)
		write_all(t, buf_span(&t->mailboxes));
	if (t->fd >= 0)
		give_up(t);
	free(t->kept);
	free(t->replies);
	free(t->filtered);
}
