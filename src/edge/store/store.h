/* SPDX-License-Identifier: ISC */
/*
 * The storing of messages: the mailbox of each recipient, the Maildirs that get the
 * message, and the reports of success. The order of this header is that of use:
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

/* The Maildir of an accepted recipient. */

/* octets below mail-root; each component has its own limit, NAME_MAX */
#define MAILBOX_PATH_MAX 1024

#define RECIPIENTS_FAULT_MAX 256
#define RECIPIENTS_USERS "passwd:" /* the value of `recipients` for users of the system */
#define RECIPIENTS_WORDS_MAX 128

/* Texts of faults of mail-root or a directory below it, beside those of the marker. */
#define RECIPIENTS_ROOT_EMPTY "is empty: is its file system not mounted?"
#define RECIPIENTS_PATH_LONG                                                             \
	"the path of a mailbox below it is longer than 1023 octets: shorten maildir, "   \
	"or the line of recipients"

struct table;

enum create_choice {
	CREATE_AUTO, /* only if clients cannot make many of them by invented names */
	CREATE_NO,
	CREATE_YES,
};

/* The users of the system, as recipients (users.h). */
struct users {
	uint32_t first, last; /* numbers of users that get mail */
	int channel; /* to the process that looks them up, or -errno: there is none */
	/* of the request that is carried out; NULL: an answer is waited for */
	struct users_answers *answers;
};

struct recipients {
	const char *root_path; /* mail-root, for faults */
	const char *marker; /* name of a file that must be in mail-root; NULL: none */
	const char *table_path; /* path of `table`, for faults */
	/* relative to mail-root; %u local part, %d domain, %% a percent */
	const char *template;
	const char *hostname; /* the domain of <postmaster> */
	enum create_choice create; /* whether missing Maildirs are made */
	struct table *table; /* table of mailboxes; NULL: each existing Maildir is one */
	/*
	 * in place of both: the users of the system, and `template` is below the home of
	 * each; NULL: mail for them is not meant
	 */
	struct users *users;
	/* mailbox for addresses without one: a template, or an address; NULL: none */
	const char *catch_all;
	const char *postmaster; /* the same for postmaster and abuse without a mailbox */
	/* character before a subaddress; NUL: there are no subaddresses */
	char delimiter;
};

enum recipients_result {
	RECIPIENTS_FOUND,
	RECIPIENTS_NAME, /* the address cannot be the name of a directory */
	RECIPIENTS_UNKNOWN, /* there is no further place */
	RECIPIENTS_AUTH, /* mail is accepted only from clients that have logged in */
	RECIPIENTS_FAILED, /* the table cannot be read, or its line is invalid */
	/* the path by the settings does not fit in MAILBOX_PATH_MAX */
	RECIPIENTS_LONG,
};

/* The places where mail for one recipient may go, in order. */
struct recipients_search {
	const struct recipients *rs;
	bool logged_in;
	char octets[NAMES_LOCAL_MAX];
	struct span whole; /* local part without quotes, in lower case */
	struct span base; /* the same without a subaddress */
	struct span domain; /* domain of the recipient */
	/*
	 * set with RECIPIENTS_FAILED: "FILE: KEY: FAULT"; with RECIPIENTS_UNKNOWN why a
	 * user that exists gets no mail, or empty
	 */
	char fault[RECIPIENTS_FAULT_MAX];
	unsigned next; /* number of the next try */

	/* The line of the table with the last place: */
	char line[ENTRY_VALUE_MAX];
	struct span also; /* its paths that recipients_also() has not returned yet */
	struct span user, host; /* values of %u and %d in them */
	const char *known; /* the parts of the address that the line determines */
	bool unfiltered; /* mail for it does not pass the filters */
};

/* What a path below mail-root has in it: the home of a user. */
struct home {
	bool is_set; /* false: none */
	size_t n_below; /* octets at the end of the path that are below it */
	uid_t owner; /* of the home and of all below it */
};

struct recipients_place {
	char path[MAILBOX_PATH_MAX];
	struct home home;
	bool may_create;
	/*
	 * given by a line of the table, or the only place: a directory there is a mailbox
	 * even if its parts are missing
	 */
	bool is_named;
	/* an address gives it the name of a part of a Maildir, so none is made there */
	bool is_part;
	/*
	 * octets at the start of the path that come from the settings or a line, not from
	 * an address
	 */
	size_t n_fixed;
	/* address of the mailbox; borrowed from the search */
	struct span local, domain;
};

/*
 * Begins a search. The caller still owns `rs` and the recipient. Nothing is looked up
 * yet.
 */
void recipients_begin(struct recipients_search *s, const struct recipients *rs,
	const struct recipient *r, bool logged_in);

/*
 * Finds the next place: a path below mail-root, NUL-terminated; "." for mail-root itself.
 * Called again only after -ENOENT. Local part and domain are in lower case, and each is
 * one path component or part of one: never empty, "..", hidden, malformed UTF-8, or with
 * a slash or control character in it.
 */
enum recipients_result recipients_next(
	struct recipients_search *s, struct recipients_place *ret);

/*
 * Finds the next place of the same line of the table: mail for the recipient is stored in
 * all of them, or refused. RECIPIENTS_UNKNOWN: there is no further one.
 */
enum recipients_result recipients_also(
	struct recipients_search *s, struct recipients_place *ret);

/*
 * Returns the address of the mailbox at the place, in lower case and with A-labels:
 * without a subaddress that has no mailbox, or the address in a setting if that leads
 * here. Owned by the caller; NULL: out of memory.
 */
char *recipients_address(const struct recipients_place *place);

/*
 * Appends "has no NAME (mail-root-marker): is its file system not mounted?", or the text
 * of another errno.
 */
void recipients_put_marker_fault(
	char words[static RECIPIENTS_WORDS_MAX], const char *marker, int error);

/*
 * Starts the process that looks up users, as the user of that name, and asks for one that
 * does not exist: that asks all name services. Returns a fault, or NULL.
 */
const char *users_try(struct users *u, const char *as);

/* True in a process that looks users up, by its arguments, which then has its status. */
bool users_serve(int argc, char **argv, int *ret_status);

struct store_root;

/* Why no recipient is the user of that name, whose mail gets 550; NULL: one is. */
const char *users_name_fault(const char *name);

/* Appends why a user of the system would get no mail. False: he would. */
bool users_put_home_fault(const struct recipients *rs, const struct store_root *root,
	const char *name, uid_t uid, const char *home, struct buf *to);

/* True for a catch-all that is an address. */
bool recipients_is_address(const char *catch_all);

/*
 * A Maildir of a transaction: it is opened once, and recognised by its directory. Only
 * mailbox.c opens files below mail-root, one component of the path at a time.
 */

struct hang_mark;
struct message_file;
struct shared_fds;
struct syncs;

/* A directory below which mailboxes lie, and how they are reached. */
struct store_root {
	int fd;
	/*
	 * each step is taken as the owner of the directory in which it is taken, by a
	 * process that may become any user and has no other right (broker.c)
	 */
	bool as_owner;
	struct syncs *later; /* gets what is to be synced; NULL: that is done at once */
	const struct hang_mark *mark; /* shows where the process works; NULL: nowhere */
};

/* Octets of a fault, including the NUL; a longer path is cut at its beginning. */
#define MAILBOX_FAULT_MAX 256

/*
 * A file in a mail-root that postern made, which shows that the directory is not a mount
 * point.
 */
#define MAILBOX_MARK ".postern"

/*
 * The directory in which a mailbox, or the first missing directory above it, would be
 * made.
 */
struct mailbox_above {
	size_t n_path; /* octets of the mailbox's path that lead to this directory */
	int fd; /* a descriptor that was open for a moment; -1: none was available */
	dev_t device;
	int error; /* -errno: why no directory can be made in it */
	bool is_empty; /* it has no entry, except perhaps lost+found */
};

struct mailbox {
	const struct store_root *root;
	/*
	 * owned: path below mail-root, without links; of an unusable mailbox up to the
	 * fault
	 */
	char *path;
	/* owned: path of a link without a target; NULL: none */
	char *link;
	struct mailbox_above above; /* for a mailbox that does not exist */
	/* octets of its path after the name that is missing or at fault */
	size_t n_left;
	/* the directory itself, by O_PATH, while something in it is missing; else -1 */
	int dir;
	struct home home;
	int new_dir; /* its `new`, open; -1: it does not exist yet */
	int tmp_dir; /* its `tmp`, likewise */
	bool complete; /* new, cur and tmp are there */
	dev_t device; /* device and the next members are those of `new`, or will be */
	ino_t inode;
	uid_t owner;
	/*
	 * value that must be equal for links on one device, in addition to the owner; 0:
	 * unknown, or none
	 */
	uint64_t mount;
	uint32_t project;
	/* owned, with original-to: address of the mailbox (Delivered-To) */
	char *address;
	struct message_file *file; /* file that is linked into it; NULL: none */
	int error; /* -errno: why it cannot get the message */
	/* place of the error: "new", "cur", "tmp"; NULL: the path itself */
	const char *part;
	const char *why; /* in words; NULL: those of the error */
	bool wanted; /* needed by a recipient that is not refused */
	bool linked;
	char name[TX_FILE_MAX]; /* name of the message in `new` */
};

#define MAILBOX_NONE                                                                     \
	((struct mailbox){                                                               \
		.dir = -1, .new_dir = -1, .tmp_dir = -1, .above = { .fd = -1 } })

enum mailbox_result {
	MAILBOX_OPEN, /* it exists, or a part of it does */
	MAILBOX_ABSENT, /* nothing of that name exists */
	MAILBOX_DANGLING, /* a followed link has no target */
	MAILBOX_BARE, /* a directory without new, cur and tmp */
	/* its name, or that of a directory above it, is not a directory */
	MAILBOX_OTHER,
};

/*
 * Opens the directory below which Maildirs are, or that is one. Except with CREATE_NO, a
 * missing one is made, durably. With CREATE_AUTO this is done only in a directory that is
 * not empty, and MAILBOX_MARK is put into it unless it is the only mailbox. A link in its
 * place is followed as in file_open_directory(). Returns the descriptor, or -errno.
 */
int mailbox_root(const char *path, enum create_choice create, bool is_mailbox);

/*
 * Opens the Maildir at `path` below the directory `root`, which outlives the box, and
 * nowhere else. A symbolic link is followed where it and the directory that it is in
 * belong to root or to the user of this process, and as far as it stays below `root`; no
 * link in the Maildir is. An enum mailbox_result, or -errno for what is broken; then, and
 * with MAILBOX_DANGLING and MAILBOX_OTHER, mailbox_put_fault() has more. Always to be
 * closed.
 */
int mailbox_open(struct mailbox *box, const struct store_root *root, const char *path);

/*
 * The same in the home of a user, which must exist and be his, as all below it: nothing
 * is made above it, and no other process than that of a broker does this.
 */
int mailbox_open_place(struct mailbox *box, const struct store_root *root,
	const struct recipients_place *place);

/*
 * Checks that a message can be stored in a box that exists or will be made, as far as
 * this is known before. 0; or -errno, which the box keeps.
 */
int mailbox_probe(struct mailbox *box);

/*
 * Appends "/srv/mail/a/new: Permission denied", in at most MAILBOX_FAULT_MAX octets.
 * `root` is the path of mail-root.
 */
void mailbox_put_fault(const struct mailbox *box, const char *root, struct buf *to);

/*
 * Appends a fault of any path: `root`, then `path` (unless NULL or ".") and `part`
 * (unless NULL).
 */
void mailbox_put_path_fault(struct buf *to, const char *root, const char *path,
	const char *part, const char *words);

/* Returns the text for -errno in --check and records. */
const char *mailbox_words(int error);

/* True for a directory without entries, except perhaps lost+found. */
bool mailbox_dir_is_empty(const struct store_root *root, int dir);

/*
 * For a box that is missing, or has MAILBOX_OTHER: true if the name at fault comes from
 * the settings or a line of the table, for any address.
 */
bool mailbox_fault_is_ours(
	const struct mailbox *box, const struct recipients_place *place);

/*
 * True if the mailbox may be on a file system that is not mounted: it would be in an
 * empty directory, and no setting allows making mailboxes there.
 */
bool mailbox_is_not_mounted(enum create_choice create, int found,
	const struct mailbox *box, const struct recipients_place *place);

/*
 * Sets the fault of a box that should exist but is missing. The fault has the first
 * missing directory, or with `whole` the whole path.
 */
int mailbox_fail_missing(struct mailbox *box, bool whole);

void mailbox_close(struct mailbox *box);

/* One file of a message for Maildirs: made without a name, linked when complete. */
struct message_file {
	const struct store_root *root; /* of that mailbox */
	int fd;
	int new_dir; /* `new` of the mailbox in which it was made; borrowed */
	/* `tmp` of that mailbox, if it has or had a name there; else -1; borrowed */
	int tmp_dir;
	const char *part; /* part of the mailbox in which it is: "new" or "tmp" */
	/* device and mount of the mailbox */
	dev_t device;
	uint64_t mount;
	uint32_t project;
	uid_t owner; /* owner of the file after message_file_give() */
	gid_t group; /* likewise */
	size_t n_planned; /* number of Maildirs into which it will be linked */
	int error; /* -errno: why its links are not durable */
	bool alone; /* it cannot be linked into another mailbox */
	bool moved; /* moved from tmp into a `new`: it cannot get another name */
	/* Its name in tmp without O_TMPFILE or hard links; else empty. */
	char tmp_name[TX_FILE_MAX];
};

/*
 * True for the errors of link() if a file cannot have a second name (vfat, exFAT, SMB,
 * some FUSE). A file with a name in tmp is then moved; one without a name must be made
 * again there.
 */
bool message_file_lacks_links(int error);

/* The stage that stores a message durably in one or more Maildirs, or not at all. */

/* links of one file: below the limit of every file system */
#define MAILDIR_LINKS_MAX 1000

struct maildir {
	struct stage stage;
	struct recipients recipients;
	struct store_root root; /* mail-root, open; owned by the caller */
	int max_fd; /* descriptors from this number on are reserved for files and logs */
	struct shared_fds *shared; /* of a broker of several connections, else NULL */
	size_t n_taken; /* of these; some are still to be opened */
	const char *host; /* escaped for a file name */
	/* each mailbox gets a file of its own with its recipients */
	bool original_to;
	struct mailbox *boxes;
	size_t n_boxes;
	/* numbers of boxes; those of a recipient begin at its `slot` */
	size_t *goals;
	size_t n_goals;
	size_t n_later; /* descriptors that boxes get before the content */
	struct message_file *files;
	size_t n_files;
	char fault[MAILBOX_FAULT_MAX]; /* fault of the transaction; see struct stage */
};

/* `host` stays the caller's. m->root.fd is to be set before mail comes. */
void maildir_init(
	struct maildir *m, const struct recipients *recipients, const char *host);

/*
 * Called before the content: the Maildir at `path`, which is made if it is missing, gets
 * the message in place of the mailboxes of all recipients. Returns NULL, or a refusal.
 */
const struct reply *maildir_divert(struct maildir *m, struct tx *tx, const char *path);

/*
 * How many recipients one transaction can have with the descriptors of this process, if
 * each mailbox has an owner of its own. `brokered`: a broker has the mailboxes, with as
 * many descriptors; `shared`: it has them of other connections, too. At least 1.
 */
size_t maildir_most_recipients(const struct maildir *m, bool brokered, bool shared);

/*
 * Appends a host name for file names: "/" and ":" are escaped, other invalid octets left
 * out.
 */
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
	int signals; /* readable when the connection is to stop; -1 without one */
	struct broker_answer *answer; /* owned; the last one */
};

/*
 * Sets the channel, a descriptor, or the error because of which there is none, -errno.
 * The caller sets `signals` when it has opened them; until then it is -1.
 */
void broker_link_init(struct broker_link *l, int channel);

/* Why the broker does not answer, as a sentence. */
const char *broker_error(int error);

/*
 * Where the brokers of a listener work. A process that waits for a file system can do
 * nothing else, and may wait for ever; so others see by this that it hangs, and where,
 * and do not follow it. A table is shared with processes that are forked later; without
 * one (NULL) nothing is seen.
 */
#define HANG_TIME 10000 /* milliseconds that requests wait, after which a broker hangs */
#define HANGS_MAX 8 /* brokers that hang at once: with so many no other is started */

struct hangs;

struct hangs *hangs_new(void);

/* A place for a broker that is to be started; -1: there is none. */
int hangs_take(struct hangs *h);
void hangs_give_back(struct hangs *h, int place);

/* Gives back the place of a broker that has ended. */
void hangs_forget(struct hangs *h, pid_t pid);

/* Hides the table from processes that are forked later. */
void hangs_hide(struct hangs *h);

/* True when requests wait for the broker for HANG_TIME; `now` by stream_clock(). */
bool hangs_has(const struct hangs *h, int place, uint64_t now);

/* How many brokers hang. */
size_t hangs_count(const struct hangs *h, uint64_t now);

/*
 * Puts a sentence that names the broker's process and where it hangs, and says whether
 * another broker is started: `n` brokers hang. `to` has room for its NUL, too.
 */
void hangs_put(const struct hangs *h, int place, size_t n, uint64_t now, struct buf *to);

/* What the broker needs of the settings. All of it outlives the broker's start. */
struct broker_task {
	const struct recipients *recipients;
	const char *host;
	const char *quarantine; /* the mailbox; NULL: there is none */
	const char *outbox; /* the path; NULL: there is none */
	bool original_to;
	const char *user_of_lookups; /* of the process that looks up users */
	int mail_root, outbox_root; /* open */
	int traces; /* trace-directory, open, or -errno */
	const char *traces_path; /* NULL: there is none */
	bool sandbox; /* it enters one */
	/* the connection's end of its only channel is `ours`; else a control is */
	bool serves_one;
	struct hangs *hangs; /* NULL: there is none */
	int place; /* in it; -1: none */
};

/*
 * Forks the broker, and makes it a child of an ancestor of this process. *ret_ours is a
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
 * The last stage: writes reports of success into the Maildir of dsn-outbox, from which
 * postern-outbox sends them. It never refuses mail; its faults are in the record of the
 * transaction.
 */

struct dsn_stage {
	struct stage stage;
	const char *hostname;
	const char *host; /* host name, escaped for a file name */
	const char *peer; /* the client's address as text; empty: unknown */
	const char *path; /* path of the directory, as in the settings */
	struct store_root root; /* the directory, open */
	struct broker_files sent; /* where a broker writes into it: sent.link is set */

	/* Members of the transaction, while a report is due: */
	bool due;
	int error; /* first error: -errno; 0: none yet */
	char fault[MAILBOX_FAULT_MAX]; /* first fault: place and text */
	char *memory; /* owned */
	char host_and_source[TX_FILE_MAX]; /* the part of the file's name after the id */
	struct mailbox box;
	struct message_file file;
	struct report report;
	size_t n_reported; /* recipients in the report */
};

/*
 * Prepares the stage. The caller still owns all texts; `peer` is read when a report is
 * due.
 */
void dsn_stage_init(
	struct dsn_stage *o, const char *hostname, const char *host, const char *peer);

/*
 * Opens the Maildir, and makes a missing one, durably, before the sandbox is entered. 0;
 * or -errno if no report could be written there; the stage must then not be used, and
 * o->fault is "PATH: FAULT".
 */
int dsn_stage_open(struct dsn_stage *o, const char *path);
