/*
 * Looks at what is below mail-root as delivery does, by the same functions, so that a fault is named before mail
 * comes. Mailboxes are found by the table of recipients, or by the directories that fit the template.
 */
#include "bin/check-mailboxes.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "edge/mailbox.h"
#include "edge/maildir-file.h"
#include "edge/table.h"
#include "proto/destination.h"

#define FAULTS_MAX 50 /* mailboxes that are named */
#define PROBE_MAX 64

struct look {
	struct config *c;
	const struct check_report *report;
	int root;
	size_t n_named;
};

static void tell(struct look *l, const char *fault)
{
	char text[CONFIG_FAULT_MAX];

	if (l->n_named++ >= FAULTS_MAX)
		return;
	snprintf(text, sizeof(text), "maildir %s", fault);
	l->report->fault(l->c, text);
}

static void tell_root(
	struct look *l, void (*tell_it)(void *, const char *), const char *words)
{
	char text[CONFIG_FAULT_MAX];

	snprintf(text, sizeof(text), "mail-root %s: %s", l->c->mail_root, words);
	tell_it(l->c, text);
}

static void tell_box(struct look *l, const struct mailbox *box)
{
	char fault[MAILBOX_FAULT_MAX];
	struct buf b = BUF(fault);

	mailbox_put_fault(box, l->c->mail_root, &b);
	if (buf_terminate(&b))
		tell(l, b.p);
}

static int may_write(int dir)
{
	return faccessat(dir, ".", W_OK | X_OK, AT_EACCESS) < 0 ? -errno : 0;
}

/* What storing a message, or making what is missing, would come to. */
static void try_box(struct mailbox *box)
{
	static const char *const parts[] = { "tmp", "cur", "new" };
	struct stat st;
	int r;

	if (box->new_dir >= 0 && (r = may_write(box->new_dir)) < 0)
		mailbox_fail(box, "new", r);
	for (size_t i = 0; !box->complete && i < sizeof(parts) / sizeof(*parts); i++)
		if (fstatat(box->dir, parts[i], &st, AT_SYMLINK_NOFOLLOW) < 0 &&
			(r = may_write(box->dir)) < 0)
			mailbox_fail(box, parts[i], r);
}

/* `is_named`: what stands there must be a mailbox. True for a directory that is none. */
static bool look_at(struct look *l, const char *path, bool is_named)
{
	struct mailbox box;
	int found = mailbox_open(&box, l->root, path);

	if (found == MAILBOX_DANGLING)
		mailbox_fail(&box, NULL, -ENOENT);
	if (found == MAILBOX_OPEN || (found == MAILBOX_BARE && is_named))
		try_box(&box);
	if (box.error && (found != MAILBOX_OTHER || is_named))
		tell_box(l, &box);
	mailbox_close(&box);
	return found == MAILBOX_OPEN || found == MAILBOX_BARE;
}

static bool is_hidden(const char *name)
{
	return name[0] == '.' || strcmp(name, "lost+found") == 0;
}

/* The path of `name` in the directory at `above`, which is empty for mail-root. */
static bool join(char to[static MAILBOX_PATH_MAX], const char *above, const char *name)
{
	int n = snprintf(to, MAILBOX_PATH_MAX, "%s%s%s", above, *above ? "/" : "", name);

	return n > 0 && n < MAILBOX_PATH_MAX;
}

static void look_below(struct look *l, const char *above, const char *rest);

static void look_at_name(
	struct look *l, const char *above, const char *name, const char *rest)
{
	char path[MAILBOX_PATH_MAX];

	rest += strspn(rest, "/");
	if (!join(path, above, name))
		return;
	if (look_at(l, path, false) && *rest)
		look_below(l, path, rest);
}

/* Each name in the directory that the next component of the template may stand for. */
static void look_below(struct look *l, const char *above, const char *rest)
{
	size_t n = strcspn(rest, "/");
	char name[MAILBOX_PATH_MAX], path[2 * MAILBOX_PATH_MAX];
	const struct dirent *entry;
	DIR *d;

	snprintf(name, sizeof(name), "%.*s", (int)n, rest);
	if (!strchr(name, '%')) {
		look_at_name(l, above, name, rest + n);
		return;
	}
	snprintf(path, sizeof(path), "%s/%s", l->c->mail_root, above);
	d = opendir(path);
	while (d && (entry = readdir(d)))
		if (!is_hidden(entry->d_name) && entry->d_type != DT_REG)
			look_at_name(l, above, entry->d_name, rest + n);
	if (d)
		closedir(d);
}

/* The place of one line of the table, if it is one mailbox's. */
static void look_at_line(void *ctx, size_t line, struct span key, struct span value)
{
	struct look *l = ctx;
	struct recipients_search search;
	struct recipients_place place;
	struct recipient r = { .slot = 0 };

	(void)line, (void)value;
	destination_key_cut(key, &r.local, &r.domain);
	if (r.local.n == 0)
		return;
	recipients_begin(&search, &l->c->recipients, &r, true);
	if (recipients_next(&search, &place) == RECIPIENTS_FOUND)
		look_at(l, place.path, place.is_named);
}

static void ignore_fault(void *ctx, const char *what)
{
	(void)ctx, (void)what;
}

/* A file system that makes files without a name can link them. Else it is tried, with names that no mailbox has. */
static int probe_links(int root)
{
	char one[PROBE_MAX], other[PROBE_MAX];
	OWNED_FD int fd = openat(root, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	int r;

	if (fd >= 0)
		return 0;
	snprintf(one, sizeof(one), ".postern-check.%d", (int)getpid());
	snprintf(other, sizeof(other), ".postern-check.%d.link", (int)getpid());
	fd = openat(root, one, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return 0;
	r = linkat(root, one, root, other, 0) < 0 ? -errno : 0;
	unlinkat(root, one, 0);
	if (r == 0)
		unlinkat(root, other, 0);
	return r;
}

static void check_file_system(struct look *l)
{
	if (copy_lacks_links(probe_links(l->root)))
		tell_root(l, l->report->warning,
			"its file system has no hard links: a message for several "
			"mailboxes is written once for each, and on FAT a power cut can "
			"lose or double the last message");
}

static void look_for_domain(void *ctx, size_t line, struct span key, struct span value)
{
	bool *ret = ctx;
	struct recipient r = { .slot = 0 };

	(void)line, (void)value;
	destination_key_cut(key, &r.local, &r.domain);
	*ret |= r.local.n == 0;
}

/* True where an address may have a mailbox that is not made when it is missing. */
static bool may_lack_mailbox(const struct config *c)
{
	bool has_domain = false;
	const struct table_visitor domains = { &has_domain, look_for_domain,
		ignore_fault };

	if (c->recipients.create != CREATE_AUTO || !c->recipients.table)
		return c->maildir_create == CREATE_NO;
	table_visit(c->recipients.table, &domains);
	return has_domain;
}

/* Mail would be refused for now. */
static void check_mounted(struct look *l)
{
	const struct recipients *rs = &l->c->recipients;
	char words[RECIPIENTS_WORDS_MAX];
	struct stat st;

	if (rs->marker && fstatat(l->root, rs->marker, &st, 0) < 0) {
		recipients_put_marker_fault(words, rs->marker, errno);
		tell_root(l, l->report->fault, words);
	} else if (may_lack_mailbox(l->c) && mailbox_root_is_empty(l->root)) {
		tell_root(l, l->report->warning, RECIPIENTS_ROOT_EMPTY);
	}
}

void check_mailboxes(struct config *c, const struct check_report *report)
{
	OWNED_FD int root = open(c->mail_root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct look l = { .c = c, .report = report, .root = root };
	const struct table_visitor all = { &l, look_at_line, ignore_fault };
	char more[64];

	if (root < 0)
		return;
	check_mounted(&l);
	check_file_system(&l);
	if (c->recipients.table)
		table_visit(c->recipients.table, &all);
	else if (strchr(c->maildir, '%'))
		look_below(&l, "", c->maildir);
	else
		look_at(&l, c->maildir, true);
	if (l.n_named <= FAULTS_MAX)
		return;
	snprintf(more, sizeof(more), "maildir: %zu more mailboxes like these",
		l.n_named - FAULTS_MAX);
	report->fault(c, more);
}
