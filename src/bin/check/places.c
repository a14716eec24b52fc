/* SPDX-License-Identifier: ISC */
/*
 * Checks the directories that a connection writes to. Mailboxes are opened by the
 * functions of delivery, so that a fault is found before mail arrives. They are found by
 * the table of recipients, or as directories that match the template.
 */
#include "bin/check/parts.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "edge/file.h"
#include "edge/log/log.h"
#include "edge/sandbox/sandbox.h"
#include "edge/store/store.h"
#include "edge/table/table.h"
#include "proto/destination.h"

#define FAULTS_MAX 50 /* mailboxes that are reported at most */
#define PROBE_MAX 64
#define DEVICES_MAX 32 /* file systems that are checked at most */

struct look {
	struct config *c;
	struct store_root root;
	/* key of the current line of the table; empty: none */
	struct span key;
	size_t line; /* 0: a cdb has no lines */
	size_t n_named;
	const char *setting; /* that names the mailbox; NULL: maildir or its like */
	bool has_empty;
	char empty[MAILBOX_PATH_MAX]; /* the directory reported last, if has_empty */
	dev_t devices[DEVICES_MAX];
	size_t n_devices;
};

/* Appends "recipients FILE: line 7: KEY: " for a mailbox in a line of the table. */
static void put_line(const struct look *l, struct buf *to)
{
	buf_put_str(to, "recipients ");
	buf_put_str(to, l->c->recipients_file);
	buf_put_str(to, ": ");
	if (l->line) {
		buf_put_str(to, "line ");
		buf_put_num(to, l->line);
		buf_put_str(to, ": ");
	}
	entry_show(to, l->key);
	buf_put_str(to, ": ");
}

static void report(struct look *l, const char *fault)
{
	char text[2 * CONFIG_FAULT_MAX];
	struct buf b = BUF(text);

	if (l->n_named++ >= FAULTS_MAX)
		return;
	if (l->key.n)
		put_line(l, &b);
	buf_put_str(&b, l->setting ? l->setting : "maildir");
	buf_put_char(&b, ' ');
	buf_put_str(&b, fault);
	check_fault(l->c, buf_terminate(&b) ? text : fault);
}

static void report_root(const struct look *l, const char *words)
{
	char text[CONFIG_FAULT_MAX];

	snprintf(text, sizeof(text), "mail-root %s: %s", l->c->mail_root, words);
	check_fault(l->c, text);
}

/* Appends a command to a fault that is a path and the text of an errno. */
static void put_cure(struct buf *to, const struct mailbox *box)
{
	struct span fault = buf_span(to), words = span_of(mailbox_words(box->error));
	char path[MAILBOX_FAULT_MAX];
	struct buf b = BUF(path);
	struct stat st;
	char *slash;

	if (box->why || (box->error != -EACCES && box->error != -EROFS) ||
		!span_ends(fault, words) || *fault.p != '/')
		return;
	buf_put(&b, (struct span){ fault.p, fault.n - words.n - strlen(": ") });
	if (!buf_terminate(&b))
		return;
	/* the command is for the first directory that cannot be searched */
	while (stat(path, &st) < 0 && errno == EACCES && (slash = strrchr(path, '/')) &&
		slash != path)
		*slash = '\0';
	file_put_directory_cure(to, path, -box->error);
}

static void report_box(struct look *l, const struct mailbox *box)
{
	char fault[CONFIG_FAULT_MAX];
	struct buf b = BUF(fault);

	mailbox_put_fault(box, l->c->mail_root, &b);
	put_cure(&b, box);
	if (buf_terminate(&b))
		report(l, b.p);
}

/*
 * Reports an empty directory, because mail for mailboxes in it gets 4yz. `path` is below
 * mail-root; "": mail-root itself.
 */
static void report_empty(struct look *l, const char *path)
{
	char text[CONFIG_FAULT_MAX], whole[MAILBOX_FAULT_MAX];
	struct buf b = BUF(whole);

	if (l->has_empty && strcmp(l->empty, path) == 0)
		return;
	snprintf(l->empty, sizeof(l->empty), "%s", path);
	l->has_empty = true;
	mailbox_put_path_fault(
		&b, l->c->mail_root, *path ? path : NULL, NULL, RECIPIENTS_ROOT_EMPTY);
	if (!buf_terminate(&b))
		return;
	snprintf(text, sizeof(text),
		"%s %s On a first start make a mailbox in it, or the file " MAILBOX_MARK,
		*path ? "maildir" : "mail-root", whole);
	check_warning(l->c, text);
}

/*
 * Tries hard links. If O_TMPFILE works, they work, too, and are not tried. 0 or -errno.
 */
static int probe_links(int dir)
{
	char one[PROBE_MAX], other[PROBE_MAX];
	OWNED_FD int fd = openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	int r;

	if (fd >= 0)
		return 0;
	snprintf(one, sizeof(one), ".postern-check.%d", (int)getpid());
	snprintf(other, sizeof(other), ".postern-check.%d.link", (int)getpid());
	fd = openat(dir, one, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return 0;
	r = linkat(dir, one, dir, other, 0) < 0 ? -errno : 0;
	unlinkat(dir, one, 0);
	if (r == 0)
		unlinkat(dir, other, 0);
	return r;
}

/* Checks each file system once; `path` as in report_empty(). */
static void check_file_system(struct look *l, int dir, const char *path)
{
	char text[CONFIG_FAULT_MAX];
	struct stat st;
	size_t i = 0;

	if (dir < 0 || fstat(dir, &st) < 0)
		return;
	while (i < l->n_devices && l->devices[i] != st.st_dev)
		i++;
	if (i < l->n_devices || i == DEVICES_MAX)
		return;
	l->devices[l->n_devices++] = st.st_dev;
	if (!message_file_lacks_links(probe_links(dir)))
		return;
	snprintf(text, sizeof(text),
		"%s %s%s%s: its file system has no hard links: a message for several "
		"mailboxes is written once for each, and on FAT a power cut can "
		"lose or double the last message",
		*path ? "maildir" : "mail-root", l->c->mail_root, *path ? "/" : "", path);
	check_warning(l->c, text);
}

static void report_above(struct look *l, const struct mailbox *box)
{
	char above[MAILBOX_PATH_MAX];

	memcpy(above, box->path, box->above.n_path);
	above[box->above.n_path] = '\0';
	report_empty(l, above);
}

/* Checks one mailbox. True when the path is a directory, even if it is not a mailbox. */
static bool look_at(struct look *l, const struct recipients_place *place)
{
	struct mailbox box;
	int found = mailbox_open_place(&box, &l->root, place);
	bool is_mailbox =
		found == MAILBOX_OPEN || (found == MAILBOX_BARE && place->is_named);
	bool is_missing = found == MAILBOX_ABSENT || found == MAILBOX_DANGLING;

	if (found == MAILBOX_DANGLING ||
		(is_missing && !place->may_create && mailbox_fault_is_ours(&box, place)))
		mailbox_fail_missing(&box, place->is_named || found == MAILBOX_DANGLING);
	if (is_mailbox || (is_missing && place->may_create))
		mailbox_probe(&box);
	if (mailbox_is_not_mounted(l->c->recipients.create, found, &box, place))
		report_above(l, &box);
	else if (box.error &&
		 (found != MAILBOX_OTHER || mailbox_fault_is_ours(&box, place)))
		report_box(l, &box);
	if (found == MAILBOX_OPEN)
		check_file_system(l, box.tmp_dir, box.path);
	mailbox_close(&box);
	return found == MAILBOX_OPEN || found == MAILBOX_BARE;
}

static bool is_hidden(const char *name)
{
	return name[0] == '.' || strcmp(name, "lost+found") == 0;
}

static bool is_no_entry(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
	       strcmp(name, "lost+found") == 0;
}

/* Makes the path of `name` in the directory `above`, which is empty for mail-root. */
static bool join(char to[static MAILBOX_PATH_MAX], const char *above, const char *name)
{
	int n = snprintf(to, MAILBOX_PATH_MAX, "%s%s%s", above, *above ? "/" : "", name);

	return n > 0 && n < MAILBOX_PATH_MAX;
}

static void look_below(
	struct look *l, const char *above, const char *rest, bool is_fixed);

/* Checks a name. `is_fixed`: the path up to it is the same for all addresses. */
static void look_at_name(struct look *l, const char *above, const char *name,
	const char *rest, bool is_fixed)
{
	struct recipients_place place = {
		.may_create = is_fixed && l->c->recipients.create == CREATE_YES
	};

	rest += strspn(rest, "/");
	if (!join(place.path, above, name))
		return;
	if (is_fixed)
		place.n_fixed = strlen(place.path);
	if (look_at(l, &place) && *rest)
		look_below(l, place.path, rest, is_fixed);
}

/* Checks each directory that the next component of the template may match. */
static void look_below(struct look *l, const char *above, const char *rest, bool is_fixed)
{
	size_t n = strcspn(rest, "/");
	char name[MAILBOX_PATH_MAX], path[2 * MAILBOX_PATH_MAX];
	const struct dirent *entry;
	bool is_empty = true;
	DIR *d;

	snprintf(name, sizeof(name), "%.*s", (int)n, rest);
	if (!strchr(name, '%')) {
		look_at_name(l, above, name, rest + n, is_fixed);
		return;
	}
	snprintf(path, sizeof(path), "%s/%s", l->c->mail_root, above);
	d = opendir(path);
	while (d && (entry = readdir(d))) {
		is_empty &= is_no_entry(entry->d_name);
		if (!is_hidden(entry->d_name) && entry->d_type != DT_REG)
			look_at_name(l, above, entry->d_name, rest + n, false);
	}
	if (d && is_empty && l->c->recipients.create != CREATE_YES)
		report_empty(l, above);
	if (d)
		closedir(d);
}

/* Checks the mailbox of a line for a whole domain, or all mailboxes of its template. */
static void look_at_template(struct look *l, struct span path)
{
	struct recipients_place place = { .is_named = true,
		.may_create = l->c->recipients.create != CREATE_NO };
	struct buf b = BUF(place.path);

	buf_put(&b, path);
	if (!buf_terminate(&b))
		return;
	if (strchr(place.path, '%'))
		look_below(l, "", place.path, true);
	else
		look_at(l, &place);
}

static void look_at_domain(struct look *l, struct span value)
{
	struct destination d;
	struct destination_fault fault;

	if (!destination_parse(span_trim(value), &d, &fault))
		return;
	while (d.paths.n)
		look_at_template(l, destination_take_path(&d.paths));
}

static void report_long(const struct look *l)
{
	char text[2 * CONFIG_FAULT_MAX];
	struct buf b = BUF(text);

	put_line(l, &b);
	buf_put_str(&b, RECIPIENTS_PATH_LONG);
	check_fault(l->c, buf_terminate(&b) ? text : RECIPIENTS_PATH_LONG);
}

/* Checks each mailbox in the line of a name. */
static void look_at_name_of_line(struct look *l)
{
	struct recipients_search search;
	struct recipients_place place;
	struct recipient r = { .slot = 0 };
	enum recipients_result result;

	destination_key_cut(l->key, &r.local, &r.domain);
	recipients_begin(&search, &l->c->recipients, &r, true);
	result = recipients_next(&search, &place);
	while (result == RECIPIENTS_FOUND) {
		look_at(l, &place);
		result = recipients_also(&search, &place);
	}
	if (result == RECIPIENTS_LONG)
		report_long(l);
}

static void look_at_line(void *ctx, size_t line, struct span key, struct span value)
{
	struct look *l = ctx;

	l->line = line;
	l->key = key;
	if (key.n && *key.p == '@')
		look_at_domain(l, value);
	else
		look_at_name_of_line(l);
	l->key = SPAN("");
}

/*
 * Checks the one mailbox of all addresses, or all mailboxes that the template may match.
 */
static void look_at_path(struct look *l, const char *path)
{
	const enum create_choice create = l->c->recipients.create;
	struct recipients_place place = { .is_named = true,
		.may_create = create != CREATE_NO };

	if (!path || recipients_is_address(path) || !join(place.path, "", path))
		return;
	if (strchr(path, '%'))
		look_below(l, "", path, true);
	else
		look_at(l, &place);
}

/*
 * Checks the mailbox of an address in a setting. With a table its line is checked
 * already, and the homes of users are elsewhere.
 */
static void look_at_address(struct look *l, const char *address)
{
	struct recipients_search search;
	struct recipients_place place;
	struct recipient r = { .slot = 0 };

	if (!address || l->c->recipients.table || l->c->has_users ||
		!recipients_is_address(address))
		return;
	destination_key_cut(span_of(address), &r.local, &r.domain);
	recipients_begin(&search, &l->c->recipients, &r, true);
	if (recipients_next(&search, &place) != RECIPIENTS_FOUND)
		return;
	place.is_named = true;
	place.may_create = l->c->recipients.create != CREATE_NO;
	look_at(l, &place);
}

/* It is made when the first message comes, whatever maildir-create is. */
static void look_at_quarantine(struct look *l)
{
	struct recipients_place place = { .is_named = true, .may_create = true };

	if (!l->c->quarantine_mailbox || !join(place.path, "", l->c->quarantine_mailbox))
		return;
	place.n_fixed = strlen(place.path);
	l->setting = "quarantine-mailbox";
	look_at(l, &place);
	l->setting = NULL;
}

/* Reports a mail-root that looks unmounted, because mail then gets 4yz. */
static void check_mounted(struct look *l)
{
	const struct recipients *rs = &l->c->recipients;
	char words[RECIPIENTS_WORDS_MAX];
	struct stat st;

	if (rs->marker && fstatat(l->root.fd, rs->marker, &st, 0) < 0) {
		recipients_put_marker_fault(words, rs->marker, errno);
		report_root(l, words);
	} else if (rs->create != CREATE_YES && !config_is_one_mailbox(l->c) &&
		   mailbox_dir_is_empty(&l->root, l->root.fd)) {
		report_empty(l, "");
	}
}

static void check_mailboxes(struct config *c)
{
	OWNED_FD int root = open(c->mail_root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct look l = { .c = c, .root.fd = root };
	const struct table_visitor all = { &l, look_at_line };
	struct faults reported = { 0 };
	char more[64];

	if (root < 0)
		return;
	check_mounted(&l);
	check_file_system(&l, root, "");
	if (c->recipients.table)
		table_visit(c->recipients.table, &all, &reported);
	else if (!c->has_users)
		look_at_path(&l, c->maildir);
	look_at_path(&l, c->recipients.catch_all);
	look_at_path(&l, c->recipients.postmaster);
	look_at_address(&l, c->recipients.catch_all);
	look_at_address(&l, c->recipients.postmaster);
	look_at_quarantine(&l);
	if (l.n_named <= FAULTS_MAX)
		return;
	snprintf(more, sizeof(more), "maildir: %zu more mailboxes like these",
		l.n_named - FAULTS_MAX);
	check_fault(c, more);
}

/* Returns the errno of writing to a directory; 0: it can be written to. */
static int directory_fault(const char *path)
{
	/* does not follow links of other users */
	OWNED_FD int fd = file_open_directory(path);
	struct stat st;

	if (fd == -ELOOP)
		return ELOOP;
	if (fd >= 0)
		return file_system_takes_none(fd) ? FILE_IS_TAKEN_NOWHERE
						  : -owner_may_use(fd);
	if (stat(path, &st) < 0)
		return errno;
	if (!S_ISDIR(st.st_mode))
		return ENOTDIR;
	if (faccessat(AT_FDCWD, path, R_OK | W_OK | X_OK, AT_EACCESS) < 0)
		return errno;
	return 0;
}

static void put_directory_fault(
	struct config *c, const char *key, const char *value, const char *path, int error)
{
	char text[CONFIG_FAULT_MAX];
	struct buf b = BUF(text);

	if (!error)
		return;
	file_put_directory_fault(&b, path, error);
	check_setting_fault(c, key, value, b.overflow ? strerror(error) : text);
}

static void check_directory(struct config *c, const char *key, const char *path)
{
	put_directory_fault(c, key, path, path, directory_fault(path));
}

/*
 * Checks the directory `above`, in which the next connection makes a missing directory.
 * If `above` is missing, the cure is that of a connection.
 */
static void check_above(
	struct config *c, const char *key, const char *path, const char *above)
{
	int error = directory_fault(above);

	put_directory_fault(c, key, path, error == ENOENT ? path : above, error);
}

static bool is_missing(const char *path)
{
	struct stat st;

	return stat(path, &st) < 0 && errno == ENOENT;
}

/* True when the next connection makes a mail-root that is missing: see mailbox_root(). */
static bool is_made(const struct config *c, const char *above)
{
	OWNED_FD int fd = file_open_directory(above);
	const struct store_root root = { .fd = fd };

	return c->maildir_create == CREATE_YES && is_missing(c->mail_root) &&
	       (c->recipients.create == CREATE_YES || fd < 0 ||
		       !mailbox_dir_is_empty(&root, fd));
}

static void check_mail_root(struct config *c)
{
	OWNED char *copy = strdup(c->mail_root);
	const char *above = copy ? dirname(copy) : ".";
	int error = directory_fault(c->mail_root);

	if (is_made(c, above))
		check_above(c, "mail-root", c->mail_root, above);
	else
		put_directory_fault(c, "mail-root", c->mail_root, c->mail_root, error);
	if (!error)
		check_mailboxes(c);
}

/* The next connection makes a missing outbox. */
static void check_outbox(struct config *c)
{
	const char *path = c->dsn_outbox;
	OWNED char *copy = strdup(path);
	OWNED char *inside = NULL;

	if (copy && is_missing(path)) {
		check_above(c, "dsn-outbox", path, dirname(copy));
		return;
	}
	check_directory(c, "dsn-outbox", path);
	if (!directory_fault(path) && asprintf(&inside, "%s/new", path) >= 0 &&
		!is_missing(inside))
		check_directory(c, "dsn-outbox", inside);
}

/* Checks the directory in which the next connection makes the file. */
static void check_log_place(struct config *c)
{
	OWNED char *copy = strdup(c->log_file);
	const char *above = copy ? dirname(copy) : ".";
	struct statvfs fs;
	int error = directory_fault(above);

	if (!error && statvfs(above, &fs) == 0 && fs.f_bavail == 0)
		error = ENOSPC;
	if (error != ENOSPC)
		put_directory_fault(c, "log", c->log_file, above, error);
	else
		check_setting_fault(c, "log", c->log_file, strerror(error));
}

/* Tests the sink; that of `auto` is unknown here. */
static void check_log(struct config *c)
{
	int error = log_sink_try(c->log, c->log_file);
	char text[CONFIG_FAULT_MAX] = "log ";
	struct buf b = BUF(text);

	if (c->log == LOG_JSON && error == -ENOENT) {
		check_log_place(c);
		return;
	}
	if (error == 0)
		return;
	b.n = strlen(text);
	log_put_fault(&b, c->log, c->log_file, error);
	check_fault(c, buf_terminate(&b) ? text : strerror(-error));
}

void check_places(struct config *c)
{
	/* where users of the system need root, that alone is the fault: check_users() */
	if (c->maildir && (!c->has_users || geteuid() == 0))
		check_mail_root(c);
	check_log(c);
	if (c->traced.n && c->trace_directory)
		check_directory(c, "trace-directory", c->trace_directory);
	if (c->dsn_outbox)
		check_outbox(c);
}
