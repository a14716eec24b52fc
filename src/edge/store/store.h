/* SPDX-License-Identifier: ISC */
/*
 * What becomes of a message: the mailbox of each recipient, the Maildirs that get the
 * message, and the reports of success. The order of this header is that of their use:
 * recipients, mailboxes, the files of a message, and the two stages that use them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/buf.h"
#include "proto/conf.h"
#include "proto/reply.h"
#include "smtp/dsn-report.h"
#include "smtp/names.h"
#include "smtp/tx.h"

/* Which Maildir an accepted recipient's mail goes to. */

/* below mail-root; each component has its own limit, NAME_MAX */
#define MAILBOX_PATH_MAX 1024

#define RECIPIENTS_FAULT_MAX 256
#define RECIPIENTS_WORDS_MAX 128

/*
 * What is wrong with mail-root or a directory below it, in words; of the marker
 * recipients_put_marker_fault() has them.
 */
#define RECIPIENTS_ROOT_EMPTY "is empty: is its file system not mounted?"
#define RECIPIENTS_PATH_LONG                                                             \
	"the path of a mailbox below it is longer than 1023 octets: shorten maildir, "   \
	"or the line of recipients"

struct table;

enum create_choice {
	CREATE_AUTO, /* only where clients cannot make many of them by invented names */
	CREATE_NO,
	CREATE_YES,
};

struct recipients {
	const char *root_path; /* mail-root, as it is named in faults */
	const char *marker; /* a file that must be in mail-root; NULL: none */
	const char *table_path; /* of `table`, as it is named in faults */
	/* relative to mail-root; %u local part, %d domain, %% a percent */
	const char *template;
	const char *hostname; /* the domain of <postmaster> */
	enum create_choice create; /* a Maildir that does not exist */
	struct table *table; /* of mailboxes; NULL: each Maildir that exists is one */
	/* for addresses without a mailbox: a template, or an address; NULL: none */
	const char *catch_all;
	const char *postmaster; /* likewise, for postmaster and abuse without a mailbox */
	char delimiter; /* before a subaddress; NUL: there are none */
};

enum recipients_result {
	RECIPIENTS_FOUND,
	RECIPIENTS_NAME, /* the address cannot name a directory */
	RECIPIENTS_UNKNOWN, /* there is no other place for it */
	RECIPIENTS_AUTH, /* it accepts mail only from clients that have logged in */
	RECIPIENTS_FAILED, /* the table cannot be read, or its line means nothing */
	/* the settings give it a path that does not fit in MAILBOX_PATH_MAX */
	RECIPIENTS_LONG,
};

/* The places where mail for one recipient may go, in order. */
struct recipients_search {
	const struct recipients *rs;
	bool logged_in;
	char octets[NAMES_LOCAL_MAX];
	struct span whole; /* local part, without its quotes and in lower case */
	struct span base; /* and without a subaddress */
	struct span domain; /* as the recipient has it */
	/* with RECIPIENTS_FAILED: "file: key: what is wrong" */
	char fault[RECIPIENTS_FAULT_MAX];
	unsigned next; /* what is tried next */

	/* Of the line of the table that the last place is from: */
	char line[ENTRY_VALUE_MAX];
	struct span also; /* its paths that recipients_also() has not given yet */
	struct span user, host; /* what %u and %d are in them */
	const char *known; /* the parts of the address that the line has named */
	bool unfiltered; /* no filter is asked about mail for it */
};

struct recipients_place {
	char path[MAILBOX_PATH_MAX];
	bool may_create;
	/*
	 * by a line of the table, or as the only one: a directory there is a mailbox,
	 * whatever it lacks
	 */
	bool is_named;
	/* an address gives it the name of a part of a Maildir: none is made there */
	bool is_part;
	/*
	 * octets of the path that name directories of the settings or of a line, before
	 * any that an address names
	 */
	size_t n_fixed;
	/* the address whose mailbox it is; borrowed from the search */
	struct span local, domain;
};

/* `rs` and the recipient stay the caller's. Nothing is looked up yet. */
void recipients_begin(struct recipients_search *s, const struct recipients *rs,
	const struct recipient *r, bool logged_in);

/*
 * The next place: a path below mail-root, NUL-terminated; "." for mail-root itself. Only
 * after -ENOENT may it be asked again. Local part and domain are written in lower case,
 * and each is one path component or part of one: never empty, "..", hidden, malformed
 * UTF-8, or with a slash or control character in it.
 */
enum recipients_result recipients_next(
	struct recipients_search *s, struct recipients_place *ret);

/*
 * The next place of the same line of the table: mail for the recipient goes to all of
 * them, or it is refused. RECIPIENTS_UNKNOWN: there is no further one.
 */
enum recipients_result recipients_also(
	struct recipients_search *s, struct recipients_place *ret);

/*
 * The address whose mailbox the place is, in lower case and with A-labels: without the
 * subaddress where there is no mailbox of it, and the one that stands in a setting where
 * that leads here. Owned by the caller; NULL: no memory.
 */
char *recipients_address(const struct recipients_place *place);

/*
 * "has no NAME (mail-root-marker): is its file system not mounted?", or the words of
 * another errno.
 */
void recipients_put_marker_fault(
	char words[static RECIPIENTS_WORDS_MAX], const char *marker, int error);

/* True for a catch-all that is an address. */
bool recipients_is_address(const char *catch_all);

/*
 * A Maildir that takes part in a transaction: opened once, found again by what it is. All
 * that is opened below mail-root is opened by mailbox.c, one component of the path at a
 * time.
 */

struct message_file;

/* Directories that another process syncs, with descriptors of their own. */
#define SYNCS_OF_ALL SIZE_MAX /* it concerns all mailboxes */

struct syncs {
	struct sync {
		size_t box; /* the number of the mailbox that it concerns */
		int fd;
		bool is_owned;
	} * list;
	size_t n;
};

/* Adds a directory of a mailbox, which stays the caller's. 0 or -ENOMEM. */
int syncs_add(struct syncs *s, size_t box, int dir);

/* Adds one of all mailboxes, unless it is there, and owns it. 0 or -ENOMEM. */
int syncs_take(struct syncs *s, int dir);
void syncs_clear(struct syncs *s);

/* A directory below which mailboxes lie, and how they are reached. */
struct store_root {
	int fd;
	/*
	 * each step is taken as the owner of the directory in which it is taken, by a
	 * process that may become any user and has no other right (broker.c)
	 */
	bool as_owner;
	struct syncs *later; /* gets what is to be synced; NULL: that is done at once */
};

/* Octets of a fault, the NUL included; a longer path is cut at its beginning. */
#define MAILBOX_FAULT_MAX 256

/* A file in a mail-root made by postern: the empty directory is no mount point. */
#define MAILBOX_MARK ".postern"

/* The directory a mailbox would be made in, or the first missing one above it. */
struct mailbox_above {
	size_t n_path; /* octets of the mailbox's path that are this directory's */
	int fd; /* a descriptor that was open for a moment; -1: none could be had */
	dev_t device;
	int error; /* -errno: why nothing can be made in it */
	bool is_empty; /* but perhaps for lost+found */
};

struct mailbox {
	const struct store_root *root;
	/* owned: below mail-root, without links; of an unusable one up to the fault */
	char *path;
	/* owned: the path of a link that leads to nothing; NULL: there is none */
	char *link;
	struct mailbox_above above; /* of one that does not exist */
	/* octets of its path behind the name that is missing or at fault */
	size_t n_left;
	/* the directory itself, by O_PATH, while something in it is missing; else -1 */
	int dir;
	int new_dir; /* its `new`, open; -1: it does not exist yet */
	int tmp_dir; /* its `tmp`, likewise */
	bool complete; /* new, cur and tmp are there */
	dev_t device; /* these of `new`, or what they will be */
	ino_t inode;
	uid_t owner;
	/*
	 * what files of one device must have in common to be linked, beside the owner; 0:
	 * not known, or none
	 */
	uint64_t mount;
	uint32_t project;
	/* owned, with original-to: the address whose mailbox it is (Delivered-To) */
	char *address;
	struct message_file *file; /* the file that is linked into it; NULL: none */
	int error; /* -errno: why it cannot have the message */
	const char *part; /* where that is: "new", "cur", "tmp"; NULL: the path itself */
	const char *why; /* in words; NULL: those of the error */
	bool wanted; /* by a recipient that is not refused */
	bool linked;
	char name[TX_FILE_MAX]; /* of the message in `new` */
};

#define MAILBOX_NONE                                                                     \
	((struct mailbox){                                                               \
		.dir = -1, .new_dir = -1, .tmp_dir = -1, .above = { .fd = -1 } })

enum mailbox_result {
	MAILBOX_OPEN, /* it is there, or a part of it is */
	MAILBOX_ABSENT, /* nothing of that name is there */
	MAILBOX_DANGLING, /* a link that is followed leads to nothing */
	MAILBOX_BARE, /* a directory that has none of new, cur and tmp */
	/* what has its name, or that of a directory above it, is no directory */
	MAILBOX_OTHER,
};

/*
 * Opens the directory below which Maildirs lie, or that is one; but with CREATE_NO makes
 * it, durably, where it is missing. With CREATE_AUTO only in a directory that is not
 * empty, and puts MAILBOX_MARK in it, unless it is to be the only mailbox. A link in its
 * place is followed as file_open_directory() does it. The descriptor, or -errno.
 */
int mailbox_root(const char *path, enum create_choice create, bool is_mailbox);

/*
 * Opens the Maildir at `path` below the directory `root`, which outlives the box, and
 * nowhere else. A symbolic
 * link is followed where it and the directory that it is in belong to root or to the user
 * of this process, and as far as it stays below `root`; no link in the Maildir is. An
 * enum mailbox_result, or -errno for what is broken; then, and with MAILBOX_DANGLING and
 * MAILBOX_OTHER, mailbox_put_fault() has more. Always to be closed.
 */
int mailbox_open(struct mailbox *box, const struct store_root *root, const char *path);

/*
 * Makes what is missing of a Maildir for which mailbox_open() returned anything but
 * MAILBOX_OTHER, and the directories above it, durably, and opens it. 0 or -errno.
 */
int mailbox_create(struct mailbox *box);

/*
 * Checks that a message can be stored in a box that exists or is to be made, as far as
 * that can be known before one comes. 0; or -errno, which the box then has.
 */
int mailbox_probe(struct mailbox *box);

/*
 * True where the file system of the box has no room for that many octets. Of a box that
 * does not exist yet it is known only where that is the one of mail-root.
 */
bool mailbox_is_full(const struct mailbox *box, uint64_t octets);

/*
 * Learns again what decides which files can be linked into a complete box: whose it is,
 * and the project whose quota its files count for, where its file system has such quotas.
 * 0 or -errno.
 */
int mailbox_learn(struct mailbox *box);

/* Keeps the first thing that is wrong with the box. Returns `error`. */
int mailbox_fail(struct mailbox *box, const char *part, int error);

/*
 * Appends "/srv/mail/a/new: Permission denied", in at most MAILBOX_FAULT_MAX octets.
 * `root` is the path of mail-root.
 */
void mailbox_put_fault(const struct mailbox *box, const char *root, struct buf *to);

/* "/srv/mail/a: is empty ...", of the directory above a box that does not exist. */
void mailbox_put_empty_fault(const struct mailbox *box, const char *root, struct buf *to);

/*
 * The same for any path: `root`, then `path` (unless NULL or ".") and `part` (unless
 * NULL).
 */
void mailbox_put_path_fault(struct buf *to, const char *root, const char *path,
	const char *part, const char *words);

/* The words for -errno, as --check and records have them. */
const char *mailbox_words(int error);

/* True for a directory that has no entry, but perhaps lost+found. */
bool mailbox_dir_is_empty(const struct store_root *root, int dir);

/*
 * Of a box that is missing, or that has MAILBOX_OTHER: true where the name at fault is
 * one that the settings or a line of the table give, whatever the address.
 */
bool mailbox_fault_is_ours(
	const struct mailbox *box, const struct recipients_place *place);

/*
 * True for a place that is no mailbox, so that the next is looked at. `found` is what
 * mailbox_open() returned.
 */
bool mailbox_is_elsewhere(
	int found, const struct mailbox *box, const struct recipients_place *place);

/*
 * True where the mailbox may be on a file system that is not mounted: it would be in an
 * empty directory, and no setting allows to make mailboxes there.
 */
bool mailbox_is_not_mounted(enum create_choice create, int found,
	const struct mailbox *box, const struct recipients_place *place);

/*
 * The box is missing, and should not be. The fault names the first directory that is
 * missing, or with `whole` the whole path.
 */
int mailbox_fail_missing(struct mailbox *box, bool whole);

bool mailbox_is_same(const struct mailbox *a, const struct mailbox *b);

void mailbox_close(struct mailbox *box);

/* One file of a message for Maildirs: made without a name, linked when complete. */
struct message_file {
	const struct store_root *root; /* of that mailbox */
	int fd;
	int new_dir; /* the `new` of the mailbox that it was made in; borrowed */
	/* that mailbox's `tmp`, while it has or had a name there; else -1; borrowed */
	int tmp_dir;
	const char *part; /* of the mailbox, in which it lies: "new" or "tmp" */
	/* as the mailbox has them */
	dev_t device;
	uint64_t mount;
	uint32_t project;
	uid_t owner; /* of the file after message_file_give() */
	gid_t group; /* likewise */
	size_t n_planned; /* Maildirs that it will be linked into */
	int error; /* -errno: why its links are not durable */
	bool alone; /* it cannot be linked into another mailbox */
	bool moved; /* out of tmp into a `new`: no more names can be had for it */
	/* Its name in tmp without O_TMPFILE or hard links; else empty. */
	char tmp_name[TX_FILE_MAX];
};

/*
 * True for the errors of link() where a file cannot have a second name (vfat, exFAT, SMB,
 * some FUSE). A file that has a name in tmp is then moved; one that has none must be made
 * again there.
 */
bool message_file_lacks_links(int error);

/* The stage that stores a message durably in one or more Maildirs, or not at all. */

/* links of one file: below the limit of every file system */
#define MAILDIR_LINKS_MAX 1000

struct maildir {
	struct stage stage;
	struct recipients recipients;
	struct store_root root; /* mail-root, open; the caller's */
	int max_fd; /* descriptors from here on are kept for files and logs */
	const char *host; /* escaped for a file name */
	/* each mailbox gets a file of its own, which names its recipients */
	bool original_to;
	struct mailbox *boxes;
	size_t n_boxes;
	/* numbers of boxes; those of a recipient begin at its `slot` */
	size_t *goals;
	size_t n_goals;
	size_t n_later; /* descriptors that boxes get when content is about to come */
	struct message_file *files;
	size_t n_files;
	char fault[MAILBOX_FAULT_MAX]; /* of the transaction; see struct stage */
};

/* `host` stays the caller's. m->root.fd is to be set before mail comes. */
void maildir_init(
	struct maildir *m, const struct recipients *recipients, const char *host);

/*
 * Before the content: the Maildir at `path`, which is made where it is missing, gets the
 * message in the place of the mailboxes of all recipients. NULL or a refusal.
 */
const struct reply *maildir_divert(struct maildir *m, struct tx *tx, const char *path);

/*
 * How many recipients one transaction can have with the descriptors of this process, if
 * each mailbox has an owner of its own. `brokered`: a broker has the mailboxes, with as
 * many descriptors. At least 1.
 */
size_t maildir_most_recipients(const struct maildir *m, bool brokered);

/* A host name for names of messages: "/" and ":" escaped, other octets left out. */
void maildir_host(struct buf *to, struct span hostname);

/*
 * The broker: a process that makes and links the files of messages as the owners of the
 * mailboxes. Connections, which parse hostile input, write the files and sync them, and
 * have no right to a mailbox themselves. Each connection has a channel of its own.
 */

struct broker_answer;
struct broker_request;

/* A connection's end of a channel. */
struct broker_link {
	int channel; /* or -errno: why there is none */
	struct broker_answer *answer; /* owned; the last one */
};

/* A channel, or one without: `channel` is a descriptor or -errno. */
void broker_link_init(struct broker_link *l, int channel);

/* Why the broker does not answer, as a sentence. */
const char *broker_error(int error);

/* What the broker needs of the settings. All of it outlives the broker's start. */
struct broker_task {
	const struct recipients *recipients;
	const char *host;
	const char *quarantine; /* the mailbox; NULL: there is none */
	const char *outbox; /* the path; NULL: there is none */
	bool original_to;
	int mail_root, outbox_root; /* open */
	int traces; /* trace-directory, open, or -errno */
	const char *traces_path; /* NULL: there is none */
	bool sandbox; /* it enters one */
	/* the connection's end of its only channel is `ours`; else a control is */
	bool serves_one;
};

/*
 * Forks the broker, and makes it a child of init or of the next subreaper. *ret_ours is a
 * channel, or a control for broker_open(). 0 or -errno.
 */
int broker_start(const struct broker_task *task, int *ret_ours);

/* A channel for a connection, by the control. Its descriptor, or -errno. Never waits. */
int broker_open(int control);

/* A new file of that name in trace-directory. Its descriptor, or -errno. */
int broker_trace(struct broker_link *l, const char *name);

/* True when the broker at the control has ended. */
bool broker_has_ended(int control);

/* The files of a message as a connection has them. */
struct broker_files {
	struct broker_link *link;
	uint32_t delivery; /* enum broker_delivery */
	bool each; /* as struct tx has it */
	bool used; /* the broker has something of this message */
	bool has_errors;
	struct broker_file {
		int fd; /* -1: it is given up */
		/* with original-to: the address of its mailbox; owned */
		char *address;
		uint16_t *recipients; /* likewise: their numbers; owned */
		size_t n_recipients;
	} * list;
	size_t n;
	size_t n_synced; /* directories that the broker has and that are synced */
};

/* The stage that stores messages by the broker, in the place of a struct maildir. */
struct brokered {
	struct stage stage;
	struct broker_files files;
	bool original_to;
	size_t n_recipients; /* that the broker has */
	char fault[MAILBOX_FAULT_MAX];
};

/* `link` stays the caller's. */
void brokered_init(struct brokered *b, struct broker_link *link, bool original_to);

/* As maildir_divert(), into the mailbox of the broker's settings. */
const struct reply *brokered_divert(struct brokered *b, struct tx *tx);

/*
 * The last stage: writes reports of success into the Maildir that dsn-outbox names, from
 * which postern-outbox sends them. It never refuses mail: what keeps it from a report
 * stands in the transaction's record.
 */

struct dsn_stage {
	struct stage stage;
	const char *hostname;
	const char *host; /* the same, escaped for a file name */
	const char *peer; /* the client's address as text; empty: unknown */
	const char *path; /* of the directory, as settings name it */
	struct store_root root; /* the directory, open */
	struct broker_files sent; /* where a broker writes into it: sent.link is set */

	/* Of the transaction, while a report is due: */
	bool due;
	int error; /* what went wrong first: -errno; 0: nothing yet */
	char fault[MAILBOX_FAULT_MAX]; /* the same: where, and in words */
	char *memory; /* owned */
	char host_and_source[TX_FILE_MAX]; /* what the file's name has behind the id */
	struct mailbox box;
	struct message_file file;
	struct report report;
	size_t n_told; /* recipients in it */
};

/* All texts stay the caller's; `peer` is read when a report is due. */
void dsn_stage_init(
	struct dsn_stage *o, const char *hostname, const char *host, const char *peer);

/*
 * Opens the Maildir, and makes it, durably, where it is missing: before the sandbox
 * closes. 0, or -errno when no report could be written there; then the stage is not to be
 * used, and o->fault has "PATH: what is wrong".
 */
int dsn_stage_open(struct dsn_stage *o, const char *path);
