/* SPDX-License-Identifier: ISC */
/*
 * Enters the sandbox: changes to the user of the settings, drops capabilities, and lets
 * Landlock and seccomp limit files and system calls to what the settings need. The last
 * part is the stage of mail that enters stage B.
 */
#include "edge/sandbox/sandbox.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/num.h"
#include "edge/auth/auth.h"
#include "edge/file.h"
#include "edge/log/log.h"
#include "edge/module.h"
#include "edge/sandbox/kernel.h"

#define PASSWD "/etc/passwd"
#define PASSWD_MAX (64 * 1024) /* a larger one is left to getpwnam() */
#define IDENTITIES (1U << CAP_SETUID | 1U << CAP_SETGID)
#define NO_ID UINT32_MAX /* setresuid() changes nothing then */

static bool parse_ids(struct span line, struct account *ret)
{
	uint64_t uid, gid;

	span_take(&line, ':'); /* the password */
	if (!num_parse(span_take(&line, ':'), &uid) || uid >= NO_ID ||
		!num_parse(span_take(&line, ':'), &gid) || gid >= NO_ID)
		return false;
	*ret = (struct account){ (uid_t)uid, (gid_t)gid };
	return true;
}

bool account_parse(struct span text, struct span name, struct account *ret)
{
	while (text.n) {
		struct span line = span_take_line(&text);

		if (span_eq(span_take(&line, ':'), name))
			return parse_ids(line, ret);
	}
	return false;
}

/*
 * COST: 9 % of a plain session's instructions where `user` is set (callgrind); without
 * it: getpwnam(), which reads the settings of the name services and may ask a daemon.
 */
static bool find_in_file(const char *name, struct account *ret)
{
	OWNED char *text = NULL;
	ssize_t n = file_read(PASSWD, PASSWD_MAX, &text);

	return n > 0 &&
	       account_parse((struct span){ text, (size_t)n }, span_of(name), ret);
}

void account_put_fault(struct buf *to, const char *name, int error)
{
	switch (error) {
	case ENOENT:
		buf_put(to, SPAN("no such user; "));
		if (name[strspn(name, "0123456789")] && !strpbrk(name, ": @")) {
			buf_put(to, SPAN("make it: useradd --system "));
			buf_put_str(to, name);
		} else {
			buf_put(to, SPAN("name a user, without its number or group"));
		}
		break;
	case EPERM:
		buf_put(to, SPAN("only root can become another user: start postern as "
				 "root, or set no user"));
		break;
	default:
		buf_put_str(to, strerror(error));
	}
	buf_terminate(to);
}

int account_find(const char *name, struct account *ret)
{
	const struct passwd *pw;

	if (find_in_file(name, ret))
		return 0;
	errno = 0;
	pw = getpwnam(name);
	if (!pw)
		return errno && errno != ESRCH ? -errno : -ENOENT;
	*ret = (struct account){ pw->pw_uid, pw->pw_gid };
	return 0;
}

/* Files that GnuTLS reads when it starts. */
static const char *const tls_files[] = {
	"/etc/gnutls", /* the system's policy for TLS: Debian */
	"/etc/crypto-policies", /* and Fedora, by a link into the next */
	"/usr/share/crypto-policies",
	NULL,
};

static bool is_user(const struct account *a)
{
	uid_t uid[3];
	gid_t gid[3];

	return getresuid(&uid[0], &uid[1], &uid[2]) == 0 && uid[0] == a->uid &&
	       uid[1] == a->uid && uid[2] == a->uid &&
	       getresgid(&gid[0], &gid[1], &gid[2]) == 0 && gid[0] == a->gid &&
	       gid[1] == a->gid && gid[2] == a->gid;
}

/* True if the process can become root again, by capabilities that setresuid() left. */
static bool can_return(const struct account *a)
{
	return a->uid != 0 && (setresuid(0, 0, 0) == 0 || setresgid(0, 0, 0) == 0);
}

int sandbox_user(const char *user)
{
	struct account a = { 0 };
	int r = account_find(user, &a);

	if (r < 0)
		return r;
	if (is_user(&a))
		return 0;
	if (setgroups(1, &a.gid) < 0 || setresgid(a.gid, a.gid, a.gid) < 0 ||
		setresuid(a.uid, a.uid, a.uid) < 0)
		return -errno;
	/* the kernel has put fs.suid_dumpable in its place */
	sandbox_hide();
	if (!is_user(&a) || can_return(&a))
		return -EPERM;
	return 0;
}

void sandbox_hide(void)
{
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

/* Allows reading below a directory. One that cannot be opened is left out. */
static int allow_read(struct landlock *l, const char *path)
{
	int r = landlock_allow(l, path, LANDLOCK_READ);

	return r == -ENOENT || r == -EACCES || r == -ENOTDIR ? 0 : r;
}

static int allow_writes(struct landlock *l, const struct sandbox_dirs *dirs)
{
	for (size_t i = 0; i < dirs->n_write; i++) {
		const struct sandbox_dir *dir = &dirs->write[i];
		const enum landlock_access access =
			dir->spools ? LANDLOCK_SPOOL : LANDLOCK_KEEP;
		int r = dir->fd >= 0 ? landlock_allow_open(l, dir->fd, access)
				     : landlock_allow(l, dir->path, access);

		if (r < 0 && r != -ENOENT)
			return r;
	}
	return 0;
}

static int allow_files(struct landlock *l, const char *const *files)
{
	int r = 0;

	for (; *files && r == 0; files++)
		r = allow_read(l, *files);
	return r;
}

static int allow_library(void *ctx, const char *path)
{
	return allow_read(ctx, path);
}

static int allow_reads(struct landlock *l, const struct sandbox_dirs *dirs)
{
	int r = dirs->loaded ? 0 : module_search(allow_library, l);

	if (r == 0 && dirs->tls)
		r = allow_files(l, tls_files);
	for (size_t i = 0; r == 0 && i < dirs->n_read; i++)
		r = allow_read(l, dirs->read[i]);
	return r;
}

static int limit_capabilities(unsigned kept)
{
	struct __user_cap_header_struct header = { .version =
							   _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data) < 0)
		return -errno;
	data[0].permitted &= kept;
	data[0].effective = data[0].permitted;
	data[0].inheritable = 0;
	memset(&data[1], 0, sizeof(data[1]));
	return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

static void add_write(struct sandbox_dirs *dirs, const struct sandbox_dir *dir)
{
	for (size_t i = 0; i < dirs->n_write; i++)
		if (strcmp(dirs->write[i].path, dir->path) == 0)
			return;
	if (dirs->n_write < SANDBOX_DIRS)
		dirs->write[dirs->n_write++] = *dir;
	else
		dirs->too_many = true;
}

void sandbox_dirs_write(struct sandbox_dirs *dirs, const char *dir, int fd)
{
	add_write(dirs, &(struct sandbox_dir){ .path = dir, .fd = fd });
}

void sandbox_dirs_spool(struct sandbox_dirs *dirs, const char *dir, int fd)
{
	add_write(dirs, &(struct sandbox_dir){ .path = dir, .fd = fd, .spools = true });
}

void sandbox_dirs_read(struct sandbox_dirs *dirs, const char *dir)
{
	for (size_t i = 0; i < dirs->n_read; i++)
		if (strcmp(dirs->read[i], dir) == 0)
			return;
	if (dirs->n_read < SANDBOX_DIRS)
		dirs->read[dirs->n_read++] = dir;
	else
		dirs->too_many = true;
}

void sandbox_dirs_add(struct sandbox_dirs *to, const struct sandbox_dirs *from)
{
	for (size_t i = 0; i < from->n_write; i++)
		add_write(to, &from->write[i]);
	for (size_t i = 0; i < from->n_read; i++)
		sandbox_dirs_read(to, from->read[i]);
	to->too_many |= from->too_many;
	to->tls |= from->tls;
	to->owners |= from->owners;
}

/* Returns the capabilities that stay; only root has any. */
static unsigned kept_capabilities(const struct sandbox_dirs *dirs)
{
	const unsigned chown = dirs->gives_group ? 1U << CAP_CHOWN : 0;

	return dirs->keeps_root ? chown | 1U << CAP_DAC_OVERRIDE : 0;
}

/* Enters stage A, except for the system call filter. */
static int limit(const struct sandbox_dirs *dirs, struct sandbox_report *ret_report)
{
	CLEANUP(landlock_done) struct landlock l = { 0 };
	int r;

	if (dirs->too_many)
		return -ENOBUFS;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	r = landlock_init(&l, dirs->abi, false);
	if (r == 0)
		r = allow_writes(&l, dirs);
	if (r == 0)
		r = allow_reads(&l, dirs);
	if (r == 0)
		r = limit_capabilities(kept_capabilities(dirs));
	if (r == 0)
		r = landlock_enforce(&l);
	if (r == 0)
		*ret_report = (struct sandbox_report){
			.landlock = l.abi,
			.filter = seccomp_exists(),
		};
	return r;
}

/*
 * Returns the calls that are needed. Root could change the group of any open file, so
 * fchown() is allowed only when no file of the system can be read.
 */
static struct seccomp_needs needs_of(const struct sandbox_dirs *dirs)
{
	return (struct seccomp_needs){ .fchown = dirs->gives_group && dirs->loaded,
		.delivery = !dirs->owners,
		.landlock = !dirs->loaded };
}

static int enter(const struct sandbox_dirs *dirs, struct sandbox_report *ret_report,
	int (*filter)(const struct seccomp_needs *needs))
{
	struct seccomp_needs needs;
	int r = limit(dirs, ret_report);

	if (r < 0)
		return r;
	needs = needs_of(dirs);
	r = filter(&needs);
	return r == 0 && dirs->loaded ? seccomp_tighten() : r;
}

const char *sandbox_word(const struct sandbox_report *report)
{
	if (report->filter)
		return report->landlock ? NULL : "seccomp";
	return report->landlock ? "landlock-only" : "none";
}

bool sandbox_has_filter(void)
{
	return seccomp_exists();
}

int sandbox_enter(const struct sandbox_dirs *dirs, struct sandbox_report *ret_report)
{
	return enter(dirs, ret_report, seccomp_enter);
}

int sandbox_enter_accepting(
	const struct sandbox_dirs *dirs, struct sandbox_report *ret_report)
{
	return enter(dirs, ret_report, seccomp_enter_accepting);
}

int sandbox_enter_signing(bool has_tokens)
{
	CLEANUP(landlock_done) struct landlock l = { 0 };
	int r;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	r = limit_capabilities(0);
	if (r == 0 && !has_tokens)
		r = landlock_init(&l, 0, false);
	if (r == 0 && !has_tokens)
		r = landlock_enforce(&l);
	return r == 0 ? seccomp_enter_signing(has_tokens) : r;
}

bool sandbox_may_become_users(void)
{
	struct __user_cap_header_struct header = { .version =
							   _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	return syscall(SYS_capget, &header, data) == 0 &&
	       (data[0].effective & IDENTITIES) == IDENTITIES;
}

int sandbox_enter_broker(const struct sandbox_dirs *dirs, bool whole)
{
	CLEANUP(landlock_done) struct landlock l = { 0 };
	int r = limit_capabilities(IDENTITIES);

	if (r < 0 || !whole)
		return r;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	r = landlock_init(&l, dirs->abi, false);
	if (r == 0)
		r = allow_writes(&l, dirs);
	/* a file is read to make another from it */
	for (size_t i = 0; i < dirs->n_write && r == 0; i++)
		r = landlock_allow_open(&l, dirs->write[i].fd, LANDLOCK_READ);
	if (r == 0)
		r = landlock_enforce(&l);
	return r == 0 ? seccomp_enter_broker() : r;
}

int sandbox_enter_connecting(void)
{
	CLEANUP(landlock_done) struct landlock l = { 0 };
	int r;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	/* root needs this one to connect to sockets of other owners */
	r = limit_capabilities(1U << CAP_DAC_OVERRIDE);
	if (r == 0)
		r = landlock_init(&l, 0, true);
	if (r == 0)
		r = landlock_enforce(&l);
	return r == 0 ? seccomp_enter_connecting() : r;
}

int sandbox_enter_forked(void)
{
	return seccomp_enter_forked();
}

int sandbox_tighten(const struct sandbox_dirs *dirs)
{
	CLEANUP(landlock_done) struct landlock l = { 0 };
	int r = landlock_init(&l, dirs->abi, false);

	if (r == 0)
		r = allow_writes(&l, dirs);
	if (r == 0)
		r = landlock_enforce(&l);
	if (r == 0)
		r = seccomp_tighten();
	return r;
}

/* Ends the session, by the 421 of a stage: no mail is received outside stage B. */
static const struct reply *fail(const struct confine *c, int error)
{
	char text[CONFIG_FAULT_MAX];

	snprintf(text, sizeof(text), "sandbox " SANDBOX_CURE ": at MAIL inside TLS: %s",
		strerror(-error));
	log_error(c->log, text);
	return reply_get(REPLY_MISCONFIGURED);
}

static const struct reply *confine_mail(struct stage *st, const struct tx *tx)
{
	struct confine *c = (struct confine *)st;
	int r;

	if (!c->armed)
		return NULL;
	if (c->backend && c->asks_for_login && !tx->user)
		backend_load(c->backend);
	if (c->backend)
		backend_shut(c->backend);
	r = sandbox_tighten(c->dirs);
	if (r < 0)
		return fail(c, r);
	c->armed = false;
	return NULL;
}

static const struct stage_ops confine_ops = { .mail = confine_mail };

void confine_init(struct confine *c, const struct sandbox_dirs *dirs,
	struct backend *backend, bool asks_for_login, struct log *log)
{
	*c = (struct confine){
		.stage.ops = &confine_ops,
		.dirs = dirs,
		.backend = backend,
		.asks_for_login = asks_for_login,
		.log = log,
	};
}
