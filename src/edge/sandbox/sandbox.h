/* SPDX-License-Identifier: ISC */
/*
 * The sandbox: the process gives up all that it does not need, in two stages. Stage A
 * begins before the first octet of the peer is read, stage B when TLS is up and
 * everything the settings need is loaded. Before that the process changes to the user
 * of the settings.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include "base/buf.h"
#include "smtp/tx.h"

/* that a connection writes to: mail-root, traces, the outbox, messages for filters */
#define SANDBOX_DIRS_OF_ONE 4
#define SANDBOX_DIRS 16 /* of a list: those of all connections that share a sandbox */

/*
 * A directory. An open one is allowed by its descriptor, so a directory that gets its
 * name later is not.
 */
struct sandbox_dir {
	const char *path;
	int fd; /* or -1: it is opened by its path */
	bool spools; /* what is written there may be read, and no mail is stored there */
};

struct sandbox_dirs {
	struct sandbox_dir write[SANDBOX_DIRS]; /* as above */
	size_t n_write;
	const char *read[SANDBOX_DIRS]; /* modules */
	size_t n_read;
	bool too_many; /* a list is too short: the sandbox cannot be entered */
	bool tls; /* GnuTLS may initialise itself: it reads the system's policy */
	bool loaded; /* all modules are loaded: no library is read */
	bool owners; /* a broker delivers, and this process has no right to a mailbox */
	/* of a tool: root can write into directories of other users */
	bool keeps_root;
	/* of a tool: its files get another group; `loaded` is set then */
	bool gives_group;
	/* the newest Landlock to use, for tests of older kernels; 0: the kernel's */
	int abi;
};

/*
 * Appends a directory unless it is listed; sets `too_many` where the list is full. `fd`:
 * it is open, and stays so until the last stage is entered; or -1.
 */
void sandbox_dirs_write(struct sandbox_dirs *dirs, const char *dir, int fd);
/* The same for a directory whose files are read again by the process that made them. */
void sandbox_dirs_spool(struct sandbox_dirs *dirs, const char *dir, int fd);
void sandbox_dirs_read(struct sandbox_dirs *dirs, const char *dir);

/* Lets `to` use what `from` may use. */
void sandbox_dirs_add(struct sandbox_dirs *to, const struct sandbox_dirs *from);

/* Part of the record of a stage that cannot be entered. */
#define SANDBOX_CURE "(sandbox = no does without)"

struct sandbox_report {
	int landlock; /* the ABI in use; 0: the kernel has no usable one */
	bool filter; /* of system calls; false on an architecture that has none */
};

/*
 * The word of the record for a sandbox that was entered: NULL for all of it, or the part
 * that is active.
 */
const char *sandbox_word(const struct sandbox_report *report);

/*
 * False on an architecture without a system call filter, where the sandbox is Landlock
 * alone.
 */
bool sandbox_has_filter(void);

/*
 * Gives up root for `user` (a local name): its account, setgroups to its one group,
 * setgid, setuid. No-op when the process is that user already. 0, -ENOENT for an
 * unknown name, else -errno.
 */
int sandbox_user(const char *user);

/*
 * From here on the process leaves no core file, which would have keys, secrets and mail
 * in it, and no other process of its user can read its memory. Lasts until another
 * program is executed.
 */
void sandbox_hide(void);

/*
 * Stage A: no_new_privs, no capabilities but what delivery as root needs, Landlock (ABI
 * 2 and later; otherwise counted as absent), seccomp; where all is loaded, stage B at
 * once. Else libraries and dirs.read may be read, dirs.write written below; nothing may
 * be executed as a program; a new socket is a local datagram socket. A directory that
 * does not exist is skipped. 0 or -errno (-ENOSYS or -EINVAL: no seccomp; -ENOBUFS: too
 * many directories); then the caller must not go on.
 */
int sandbox_enter(const struct sandbox_dirs *dirs, struct sandbox_report *ret_report);

/*
 * The same for a process that accepts connections and forks: it may do both, and where
 * all is loaded it is in stage B at once. Each process that it forks begins with
 * sandbox_enter_forked().
 */
int sandbox_enter_accepting(
	const struct sandbox_dirs *dirs, struct sandbox_report *ret_report);

/*
 * For a process that holds private keys and signs for others: it reads, answers and
 * takes channels from descriptors that are open, and does nothing else. It has no
 * capability. `has_tokens`: modules of PKCS #11 read files and devices, but there is no
 * new socket, process or program. 0 or -errno, as above.
 */
int sandbox_enter_signing(bool has_tokens);

/*
 * For the broker: it keeps the right to become any user and no other, and files below
 * `dirs` alone. Without `whole` it gives up the other rights only. 0 or -errno, as above;
 * -EPERM where the process cannot become another user.
 */
int sandbox_enter_broker(const struct sandbox_dirs *dirs, bool whole);

/*
 * Steps as the owner of a directory, by root that may become any user and may not pass by
 * the modes of files, as with a unit's CapabilityBoundingSet=CAP_SETUID CAP_SETGID.
 */

/* True for root that may become any user; false in a sandbox. */
bool owner_may_become(void);

/*
 * Becomes the owner of an open directory, with its group, until owner_leave(); does
 * nothing unless owner_may_become(). 0 or -errno.
 */
int owner_enter(int dir);
void owner_leave(void);

/* The same for that user and group: 0, or -EPERM without the right to become it. */
int owner_become(uid_t uid, gid_t gid);

/*
 * Like openat(2). Where that is denied the owner of `dir` opens it, and a directory its
 * own owner.
 */
int owner_openat(int dir, const char *name, int flags, mode_t mode);

/* Checks whether its owner can read, write and search an open directory. 0 or -errno. */
int owner_may_use(int dir);

/* True where this process can become any user and group. */
bool sandbox_may_become_users(void);

/*
 * For a process that makes sockets for others: it connects streams, and datagrams to name
 * servers, and passes them on. It has no file, and root keeps its access to sockets of
 * any owner. 0 or -errno, as above.
 */
int sandbox_enter_connecting(void);

/*
 * Stage A, or B, of its parent; no process is forked any more. 0 or -errno, as above.
 */
int sandbox_enter_forked(void);

/*
 * Stage B, after A: no more executable memory, hence no more modules, and no reads
 * outside dirs.write. What is open stays open. 0 or -errno: then the caller must not go
 * on.
 */
int sandbox_tighten(const struct sandbox_dirs *dirs);

struct backend;
struct log;

/* The stage of mail that enters stage B of the sandbox, at the first MAIL inside TLS. */
struct confine {
	struct stage stage;
	const struct sandbox_dirs *dirs;
	/* can load no module after this; NULL: no client can log in */
	struct backend *backend;
	/*
	 * some recipients get 530, and their clients log in after MAIL: what is needed
	 * for that is loaded before
	 */
	bool asks_for_login;
	struct log *log; /* gets the cause when the stage cannot be entered */
	/* set once TLS is up and nothing has to be loaded; until stage B is entered */
	bool armed;
};

void confine_init(struct confine *c, const struct sandbox_dirs *dirs,
	struct backend *backend, bool asks_for_login, struct log *log);

/* A local user. */
struct account {
	uid_t uid;
	gid_t gid; /* of its primary group */
};

/*
 * Finds the user in the text of a passwd(5) file: the first line of that name counts.
 * False when there is none or its numbers are no ids.
 */
bool account_parse(struct span text, struct span name, struct account *ret);

/* From /etc/passwd or, if not there, getpwnam(). 0, -ENOENT, or another -errno. */
int account_find(const char *name, struct account *ret);

/* Why the process cannot become that user, and what to do. */
void account_put_fault(struct buf *to, const char *name, int error);
