/* SPDX-License-Identifier: ISC */
/*
 * Requests of a connection to the broker, which makes and links files of messages as the
 * owners of mailboxes, and its answers. All requests have one size, and none has a path
 * in it: a mailbox is found by the address of a recipient. This file decides which
 * requests are well-formed, and in which order they may come.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BROKER_ADDRESS_MAX 320 /* octets of local part, "@", domain: RFC 5321 4.5.3.1 */
#define BROKER_ID_MAX 64 /* with its NUL */
#define BROKER_SOURCE_MAX 17 /* likewise: of a report's file name */
#define BROKER_RECIPIENTS_MAX 32768 /* of one transaction: an answer has their numbers */
#define BROKER_ERRNO_MAX 4095 /* of Linux */

/* What is delivered; each has a state of its own. */
enum broker_delivery {
	BROKER_MAIL,
	BROKER_REPORT, /* into dsn-outbox */
	BROKER_DELIVERIES,
};

enum broker_operation {
	BROKER_RECIPIENT, /* one more recipient; answered with consent or refusal */
	BROKER_DROP, /* not for the one that came last; no answer */
	BROKER_DIVERT, /* all goes into quarantine-mailbox */
	BROKER_OPEN, /* the file of that number, made with the first such request */
	BROKER_SYNCS, /* directories that are to be synced, from that number on */
	BROKER_FILE_FAILED, /* the file of that number, for that error; no answer */
	BROKER_SYNC_FAILED, /* the directory of that number; no answer */
	BROKER_REFUSE, /* not for the recipient of that number; no answer */
	BROKER_JUDGE, /* what recipients get after such failures */
	BROKER_COMMIT, /* links the files into the mailboxes; syncs from that number on */
	BROKER_WITHDRAW, /* removes what is linked and has failed since */
	/* forgets the transaction: what is linked stays; no answer */
	BROKER_CLEAR,
	BROKER_TRACE, /* makes a file of that name in trace-directory, once */
	BROKER_OPERATIONS,
};

enum broker_flag {
	BROKER_LOGGED_IN = 1,
	BROKER_HAS_SIZE = 2,
	BROKER_EACH = 4, /* each recipient has its own reply, and can fail alone */
	BROKER_ADDED = 8, /* of RECIPIENT: a filter has added it */
	BROKER_FLAGS = 15,
};

struct broker_request {
	uint32_t operation;
	uint32_t delivery;
	uint32_t number;
	int32_t error; /* -errno */
	uint32_t flags;
	uint32_t n_local, n_domain; /* octets of the address */
	uint64_t size; /* that the client declares for the message */
	char id[BROKER_ID_MAX]; /* of the transaction: the file names begin with it */
	char source[BROKER_SOURCE_MAX]; /* behind the host in the name of a report */
	/* local part and domain, without "@"; of TRACE the name, as the local part */
	char address[BROKER_ADDRESS_MAX];
};

enum broker_phase {
	BROKER_BEGUN, /* recipients may come */
	BROKER_OPENED, /* the files are there */
	BROKER_LINKED, /* and have names */
	BROKER_WITHDRAWN, /* but for some of them; no more is linked */
	BROKER_WRONG, /* the request must not come */
};

/* True when all fields of the request can mean something. */
bool broker_is_valid(const struct broker_request *r);

/* The phase after the request, or BROKER_WRONG. The request is valid. */
enum broker_phase broker_next(enum broker_phase now, const struct broker_request *r);

/* True of an operation that has an answer. */
bool broker_has_answer(const struct broker_request *r);

#define BROKER_NO_REPLY UINT16_MAX /* in place of an enum reply_name: consent */
#define BROKER_FAULT_MAX 256
#define BROKER_NAME_MAX 256
#define BROKER_FDS_MAX 16 /* in one answer */
#define BROKER_BODY_MAX (2 * BROKER_RECIPIENTS_MAX + 2 * BROKER_ADDRESS_MAX)

/*
 * In place of an answer this octet says that the broker has no descriptor left for the
 * channel, which it has closed.
 */
#define BROKER_FULL "F"

/* Sent without the octets of the body behind the first n. */
struct broker_answer {
	struct broker_head {
		uint32_t reply; /* to all of it: an enum reply_name, or none */
		uint32_t n_files, n_syncs; /* files, and directories to sync */
		uint32_t has_errors; /* recipients have replies of their own */
		uint32_t again; /* new files are to be synced, and commit is to follow */
		uint32_t is_hint; /* as of struct stage: `fault` is one */
		uint32_t unfiltered; /* of RECIPIENT: filters are not asked about it */
		int32_t error; /* of TRACE: -errno */
		uint32_t n; /* octets of the body */
		char fault[BROKER_FAULT_MAX]; /* of this host, for the record, or empty */
		char name[BROKER_NAME_MAX]; /* of the linked file, or empty */
	} head;
	/*
	 * OPEN: with original-to the address of the mailbox, a NUL, and the numbers of
	 * its recipients, of 16 bits; JUDGE, COMMIT, WITHDRAW: with `has_errors` the
	 * reply to each recipient, of 16 bits
	 */
	unsigned char body[BROKER_BODY_MAX];
};
