/*
 * Promises that a report is on the disk before the message is accepted, and that nothing which goes wrong
 * with it harms the message. Refuses to know what a report says.
 */
#include "edge/outbox.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "proto/dsn.h"

#define HERE "." /* the Maildir is the directory itself */
#define WRITE_MAX (16 * 1024) /* octets of a report that are written at once */

static struct outbox *outbox_of(struct stage *st)
{
	return (struct outbox *)st;
}

/* The Maildir in the directory; made if it is missing. */
static int open_box(struct outbox *o)
{
	int r = mailbox_open(&o->box, o->root, HERE);

	return r == -ENOENT ? mailbox_create(&o->box, o->root) : r;
}

/* The call itself, as libc's function for it would have to be looked up in every session. */
static int check_access(int dir)
{
	long r = syscall(SYS_faccessat2, dir, HERE, W_OK | X_OK, AT_EACCESS);

	/* before Linux 5.8 it shows when a report is due */
	return r < 0 && errno != ENOSYS ? -errno : 0;
}

int outbox_open(struct outbox *o, const char *path)
{
	struct buf place = BUF(o->place);
	int r;

	o->root = mailbox_root(path, true);
	if (o->root < 0)
		return o->root;
	r = open_box(o);
	if (r == 0)
		r = check_access(o->box.new_dir);
	mailbox_close(&o->box);
	if (r < 0)
		close(o->root);
	buf_put(&place, SPAN("/proc/self/fd/"));
	buf_put_num(&place, (uint64_t)o->root);
	buf_terminate(&place);
	return r;
}

/* Who asked goes into the name: postern-outbox gives each source its share. */
static void name_source(struct outbox *o)
{
	struct buf b = BUF(o->host_and_source);
	struct ip ip;

	buf_put_str(&b, o->host);
	if (ip_parse(span_of(o->peer), &ip) && buf_room(&b) > DSN_SOURCE_MAX)
		dsn_put_source(&b, &ip);
	buf_terminate(&b);
}

static const struct reply *outbox_data(
	struct stage *st, const struct tx *tx, struct span trace)
{
	struct outbox *o = outbox_of(st);

	(void)trace;
	o->due = report_is_due(tx);
	if (!o->due)
		return NULL;
	name_source(o);
	o->error = open_box(o);
	o->memory = malloc(REPORT_RETURNED_MAX + WRITE_MAX);
	if (!o->memory && o->error == 0)
		o->error = -ENOMEM;
	o->report = (struct report){
		.hostname = span_of(o->hostname),
		.returned.text = { .p = o->memory, .cap = REPORT_RETURNED_MAX },
	};
	return NULL;
}

static const struct reply *outbox_body(
	struct stage *st, const struct tx *tx, struct span text)
{
	struct outbox *o = outbox_of(st);

	(void)tx;
	if (o->due && o->error == 0)
		returned_take(&o->report.returned, text);
	return NULL;
}

static int write_report(struct outbox *o)
{
	struct buf b = { .p = o->memory + REPORT_RETURNED_MAX, .cap = WRITE_MAX };
	struct span piece;
	bool more;
	int r;

	do {
		b.n = 0;
		more = report_put(&o->report, &b);
		piece = buf_span(&b);
		r = copy_write(&o->copy, &piece);
	} while (more && r == 0);
	return r;
}

/* Makes the file, without a name in `new` yet, for those who are delivered to as far as is known. */
static int make_report(struct outbox *o, const struct tx *tx)
{
	char name[TX_FILE_MAX];
	int r;

	o->n_told = report_count(tx);
	o->report.tx = tx;
	o->report.utf8 = tx->params.smtputf8;
	o->report.time = time(NULL);
	report_begin(&o->report);
	copy_make_name(name, tx->id, 0, o->host_and_source, -1);
	r = copy_open(&o->copy, o->box.new_dir, name);
	if (r == 0)
		r = write_report(o);
	return r == 0 ? copy_sync(&o->copy) : r;
}

static const struct reply *outbox_prepare(struct stage *st, struct tx *tx)
{
	struct outbox *o = outbox_of(st);

	if (o->due && o->error == 0)
		o->error = make_report(o, tx);
	return NULL;
}

/* Delivery has failed for some since it was made: they must not be in it. */
static int make_again(struct outbox *o, const struct tx *tx)
{
	copy_close(&o->copy);
	return make_report(o, tx);
}

/* As maildir.c does it: the file again, for its link count. */
static int link_report(struct outbox *o, const struct tx *tx)
{
	int r = copy_link_new(
		&o->copy, o->box.new_dir, tx->id, o->host_and_source, o->box.name);

	if (r == 0)
		r = copy_sync(&o->copy);
	if (r == 0 && fsync(o->box.new_dir) < 0)
		r = -errno;
	return r;
}

static const struct reply *outbox_commit(struct stage *st, struct tx *tx)
{
	struct outbox *o = outbox_of(st);
	size_t n = o->due ? report_count(tx) : 0;

	if (n == 0)
		return NULL;
	if (o->error == 0 && n != o->n_told)
		o->error = make_again(o, tx);
	if (o->error == 0)
		o->error = link_report(o, tx);
	if (o->error == 0)
		tx->report = o->box.name;
	else
		tx->report_fault = strerror(-o->error);
	return NULL;
}

static void outbox_clear(struct stage *st)
{
	struct outbox *o = outbox_of(st);

	if (!o->due)
		return;
	copy_close(&o->copy);
	mailbox_close(&o->box);
	free(o->memory);
	o->memory = NULL;
	o->due = false;
}

static const struct stage_ops outbox_ops = {
	.data = outbox_data,
	.body = outbox_body,
	.prepare = outbox_prepare,
	.commit = outbox_commit,
	.clear = outbox_clear,
};

void outbox_init(
	struct outbox *o, const char *hostname, const char *host, const char *peer)
{
	*o = (struct outbox){
		.stage.ops = &outbox_ops,
		.hostname = hostname,
		.host = host,
		.peer = peer,
		.root = -1,
		.copy.fd = -1,
	};
}
