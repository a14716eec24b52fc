/*
 * A session's trace: a file of its own in `trace-directory`, which the dialogue runner plays as it is.
 */
#pragma once

#include "edge/settings/settings.h"
#include "proto/transcript.h"
#include "smtp/tracer.h"

#define TRACE_FILE_MAX (1024 * 1024) /* octets of a trace; what comes later is not told */
#define TRACE_MAILBOXES_MAX 8192 /* octets of the list of mailboxes */
#define TRACE_BUFFER 8192
#define TRACE_PATH_MAX 1024

struct session;

struct trace_file {
	struct tracer tracer;
	const struct session *session;
	int fd; /* -1: this session is not traced */
	int error; /* -errno: why the rest of it is not; 0: nothing went wrong */
	size_t n_written;
	struct transcript transcript;
	struct buf out;
	struct buf mailboxes; /* a line for each that took mail */
	char *kept; /* content before it is decoded */
	size_t n_kept; /* room there */
	char *said; /* replies not told yet */
	size_t n_said;
	char path[TRACE_PATH_MAX];
	char octets[TRACE_BUFFER];
	char mailbox_octets[TRACE_MAILBOXES_MAX];
};

/* Without a file. The struct is large. */
void trace_file_init(struct trace_file *t);

/*
 * Begins the trace of `s`, whose peer is known, in c->trace_directory, with mode 0600. 0 or -errno: then
 * nothing is traced.
 */
int trace_file_open(struct trace_file *t, struct session *s, const struct config *c);

/* One more line of settings, before anything else is told. */
void trace_file_setting(struct trace_file *t, const char *key, struct span value);

/* What the session says, as it is sent. It is told when the client's turn comes: behind all it was told in answer to. */
void trace_file_replies(struct trace_file *t, struct span out);

/* The session waits for the client. */
void trace_file_turn(struct trace_file *t);

/* Something that is not told in octets: "<TLS>". */
void trace_file_event(struct trace_file *t, const char *mark);

/* The connection is closed; so is the file. t->path and t->error then say what is missing of it. */
void trace_file_done(struct trace_file *t);
