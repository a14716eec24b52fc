/* SPDX-License-Identifier: ISC */
/* A parsed dialogue file: the steps of the client, the expected replies, and the expected result. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "arena.h"
#include "smtp/record.h"

#define COMPLAINT_MAX 4096

/* A fault, and its line of the file; 0: no particular line. */
struct complaint {
	size_t line;
	char text[COMPLAINT_MAX];
};

/* Says it, printf's way, and returns false. */
bool complain(struct complaint *c, size_t line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

enum expect_kind {
	EXPECT_PREFIX, /* the code alone, or with an enhanced status code */
	EXPECT_TEXT, /* the text of all lines, divided by LF */
	EXPECT_WITH, /* each of these lines is there */
	EXPECT_WITHOUT, /* none of the lines is in the reply */
};

struct expect {
	enum expect_kind kind;
	struct span code;
	struct span *patterns; /* several for WITH and WITHOUT */
	size_t n_patterns;
};

enum step_kind {
	STEP_SEND,
	STEP_EXPECT,
	STEP_TLS, /* the handshake, which must be well */
	STEP_TLS_FAILS, /* a handshake with nothing in common */
	STEP_ALERT, /* the server has sent a TLS alert and closed */
	STEP_EOF, /* the client closes, as it should */
	STEP_CUT, /* the client is gone: no close_notify */
	STEP_CLOSED, /* the server has closed without another reply */
	STEP_TIMEOUT, /* the client sends nothing until the server's timeout */
	STEP_PAUSE, /* the server waits before its next reply */
	STEP_SIGTERM, /* the server gets a stop signal */
};

struct step {
	enum step_kind kind;
	size_t line;
	struct span octets; /* STEP_SEND: written at once */
	struct expect expect;
};

struct setting {
	const char *key;
	const char *value;
};

struct wanted_message {
	size_t line;
	struct span pattern;
};

/* Files that must exist at the end: their number, and the content of the first ones. */
struct wanted_files {
	size_t line;
	bool any; /* any number is right */
	size_t n;
	struct wanted_message *messages;
	size_t n_messages;
};

/* One field of a record. */
struct wanted_field {
	size_t line;
	enum record_event event;
	bool absent;
	struct span name;
	struct span pattern;
};

struct dialogue {
	struct arena arena;
	const char *path;
	struct span ways; /* "engine program"; empty for all */
	struct span reason; /* why not in the others */
	struct setting *settings;
	size_t n_settings;
	struct step *steps;
	size_t n_steps;
	const char *const *boxes; /* mailboxes that exist; ended by NULL */
	const char **own_boxes; /* those that the dialogue names */
	size_t n_own_boxes;
	struct wanted_files stored; /* in all mailboxes */
	struct span mailboxes; /* their mailboxes, "a@example.net, b@example.net"; empty:
				  any */
	struct wanted_files reports; /* in the outbox */
	struct wanted_field *fields;
	size_t n_fields;
};

bool dialogue_read(struct dialogue *d, const char *path, struct complaint *ret);
void dialogue_done(struct dialogue *d);

/* The value of a setting, or `otherwise`. The last one of a key holds. */
const char *dialogue_setting(
	const struct dialogue *d, const char *key, const char *otherwise);

bool dialogue_has_way(const struct dialogue *d, const char *way);
