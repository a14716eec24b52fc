/* SPDX-License-Identifier: ISC */
/*
 * Filters of mail that speak the milter protocol: the table of functions of the module
 * milter.so. It is loaded where the setting `milters` names a file, before the sandbox
 * closes.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "proto/reply.h"
#include "edge/module.h"
#include "smtp/facts.h"
#include "edge/sandbox/sandbox.h"
#include "smtp/tx.h"

#define MILTER_MODULE "milter.so"
#define MILTER_MODULE_TABLE MODULE_TABLE("postern_milter")
#define MILTER_OWN_SOCKETS (-1) /* -EPERM: no channel has that */

struct session;

/* Gets faults and findings, a sentence a call. */
struct milter_report {
	void *ctx;
	void (*fault)(void *ctx, const char *text);
	void (*finding)(void *ctx, const char *text); /* of check() alone */
};

/* How to wait for the socket of a filter. */
struct milter_wait {
	void *ctx;
	/*
	 * Until that time of the monotonic clock, in milliseconds: 0 when it is ready for
	 * the events of poll(2). -ETIMEDOUT; -EINTR: a stop signal has arrived; -ETIME:
	 * the session has lasted too long; or another -errno. NULL: there is no session,
	 * and poll(2) waits.
	 */
	int (*ready)(void *ctx, int fd, short events, uint64_t until);
};

/*
 * The connector: a process that makes the sockets for connections of a listener. It gets
 * a channel of each connection from its control, with a message that says which stage it
 * has.
 */
struct connector_task {
	struct stage *const *stages; /* of each kind; NULL: it has no filters */
	size_t n_stages;
	bool looks_up; /* sockets for name servers, too */
	int control; /* SOCK_SEQPACKET */
	/* enters the sandbox, when all files have been read: 0 or -errno; or NULL */
	int (*confine)(void);
};

struct connector_request {
	uint32_t which; /* of the stages */
	bool wants_answer; /* one octet: the connector does not hang */
};

/* What the module needs of the program. All of it outlives the stage. */
struct milter_host {
	const char *path; /* of the file with the filters */
	/* STATE_DIRECTORY of systemd, which other users cannot write to; or NULL */
	const char *state_directory;
	const struct session *session;
	struct account owner; /* as whom the process reads from its client */
	/* the rows of the program's own table: the engine compares their addresses */
	const struct reply *(*reply)(enum reply_name name);
	/* these deliver: they get a message once the filters have let it pass */
	struct stages delivery;
	struct milter_report report;
	/* the name of the client is looked up, unless it is known */
	bool looks_up;
	/* some recipients may want no filter (struct recipient) */
	bool spares;
	struct milter_wait wait;
	void *ctx; /* of the functions below */
	/* The client's name was confirmed; it lives until the stage is closed. */
	void (*set_name)(void *ctx, const char *name);
	/*
	 * Converts names that are not ASCII to the form for comparison. NULL, or the
	 * refusal of mail for that domain.
	 */
	const struct reply *(*judge_recipient)(void *ctx, struct recipient *r);
	/*
	 * Puts the mailbox for quarantined mail in the place of those of all recipients.
	 * NULL or a refusal. The function is NULL where there is no such mailbox.
	 */
	const struct reply *(*quarantine)(void *ctx, struct tx *tx);
};

/* Where messages are while filters look at them; for the sandbox. */
struct milter_directory {
	const char *path;
	int fd; /* open as long as the stage is; -1: they are in memory alone */
};

/* What check() is about. */
struct milter_check {
	const char *path; /* of the file with the filters */
	const char *state_directory; /* as struct milter_host has it */
	bool can_quarantine;
};

struct milter_api {
	/*
	 * Reads the file. Returns the stage that asks the filters, and at *ret_facts what
	 * records have about them, which changes with each transaction. NULL when the
	 * file cannot be used, which has been reported.
	 */
	struct stage *(*open)(const struct milter_host *host,
		const struct filters_facts **ret_facts,
		struct milter_directory *ret_directory);
	/*
	 * Begins to connect to each filter, in the process of a connection and before it
	 * reads from its client. No socket is made later. With a channel to a connector
	 * the sockets come from there; it is owned by the stage. MILTER_OWN_SOCKETS:
	 * there is none; less: there should be one, and none could be made.
	 */
	void (*connect)(struct stage *stage, int channel);
	/* Does what can be done without waiting, while the client does not wait. */
	void (*use_time)(struct stage *stage);
	/* Runs the connector. Returns at the end of its control: 0 or -errno. */
	int (*hand_out)(const struct connector_task *task);
	/* Ends the conversations, at the end of the session. */
	void (*end)(struct stage *stage);
	/* Does that, and frees the stage. */
	void (*close)(struct stage *stage);
	/*
	 * Connects to each filter of the file, and reports what it wants or what is
	 * wrong. Returns how many faults there were.
	 */
	size_t (*check)(
		const struct milter_check *what, const struct milter_report *report);
};

/* The table in the module. */
extern const struct milter_api postern_milter __asm__(MILTER_MODULE_TABLE);
