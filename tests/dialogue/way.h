/* SPDX-License-Identifier: ISC */
/*
 * A way to play a dialogue: a server that replies to octets with octets. play.c plays the steps with any way, and
 * compares the replies.
 */
#pragma once

#include "dialogue.h"

struct way;

struct way_ops {
	/* Writes the octets and, if the way needs no wait, takes the replies. */
	bool (*send)(struct way *w, struct span octets);
	/* Waits for more of the server's octets. False: none will arrive; `closed` is the reason. */
	bool (*more)(struct way *w);
	/* Carries out any step but SEND, EXPECT and CLOSED. */
	bool (*event)(struct way *w, enum step_kind kind);
	/* Ends the session if it has not ended, and collects its result. */
	bool (*finish)(struct way *w);
};

struct stored {
	const char *mailbox; /* "alice@example.net" */
	const char *file; /* sorts in the order of delivery */
	struct span content;
};

/* Files of one place. */
struct stored_files {
	struct stored *list;
	size_t n;
};

struct kept_record {
	enum record_event event;
	size_t n;
	struct {
		struct span name, value;
	} fields[RECORD_KEYS];
};

/* The output and the result of the server. */
struct way {
	const struct way_ops *ops;
	struct arena arena;
	struct text got; /* octets of the server that no step has taken yet */
	bool closed; /* the server has closed */
	bool over; /* the rest of the dialogue is not to be played */
	struct stored_files stored; /* of all mailboxes */
	struct stored_files reports; /* of the outbox */
	struct kept_record *records;
	size_t n_records;
	char fault[COMPLAINT_MAX]; /* why a call failed, when it has no better words */
};

/* A file in one of the mailboxes, or, without one, in the outbox. */
void way_keep_message(
	struct way *w, const char *mailbox, const char *file, struct span content);
struct kept_record *way_keep_record(struct way *w, enum record_event event);
void way_keep_field(
	struct way *w, struct kept_record *r, struct span name, struct span value);
/* Says why, printf's way, and returns false. */
bool way_fail(struct way *w, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Plays the steps and compares all. */
bool play(struct way *w, const struct dialogue *d, struct complaint *ret);

/* Compares the result with the dialogue. */
bool check_outcome(struct way *w, const struct dialogue *d, struct complaint *ret);

/* A whole reply at the front of `s`; 0: it is not complete yet. */
size_t reply_length(struct span s);
/*
 * Compares one whole reply with the expected one, and checks that it is valid: CRLF, one code, printable lines within
 * their limit, an enhanced code of the same class.
 */
bool reply_check(struct arena *a, struct span reply, const struct expect *e,
	struct complaint *ret, size_t line);

/* The files and programs of the ways. */
struct surroundings {
	const char *program; /* path, or NULL */
	const char *directory; /* temporary, removed at the end */
	const char *traces; /* where the program writes traces, or NULL */
};

/* Each plays a dialogue, in as many runs as it likes. */
bool engine_play(
	const struct surroundings *, const struct dialogue *d, struct complaint *ret);
bool serve_play(
	const struct surroundings *, const struct dialogue *d, struct complaint *ret);
bool program_play(
	const struct surroundings *, const struct dialogue *d, struct complaint *ret);
bool traced_play(
	const struct surroundings *, const struct dialogue *d, struct complaint *ret);
