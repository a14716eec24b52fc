/* SPDX-License-Identifier: ISC */
/*
 * The last stage: puts a report of success into the Maildir of postern-outbox. The report
 * is on the disk before the message is accepted, and a fault of the report never affects
 * the message.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "edge/sandbox/sandbox.h"
#include "edge/store/broker.h"
#include "edge/store/mailbox-walk.h"
#include "edge/store/mailbox.h"
#include "edge/store/message-file.h"
#include "proto/dsn.h"

#define HERE "." /* the Maildir is the directory itself */
#define WRITE_MAX (16 * 1024) /* octets of a report in one write */

static struct dsn_stage *dsn_stage_of(struct stage *st)
{
	return (struct dsn_stage *)st;
}

/* Keeps the first fault. */
static void note(struct dsn_stage *o, const char *part, int error)
{
	struct buf b = BUF(o->fault);

	if (o->error || error >= 0)
		return;
	o->error = error;
	if (o->box.error)
		mailbox_put_fault(&o->box, o->path, &b);
	else
		mailbox_put_path_fault(&b, o->path, NULL, part, mailbox_words(error));
	o->fault[b.n < sizeof(o->fault) ? b.n : sizeof(o->fault) - 1] = '\0';
}

/* Opens the Maildir in the directory, and makes missing parts. */
static void open_box(struct dsn_stage *o)
{
	int r = mailbox_open(&o->box, &o->root, HERE);

	if (r >= 0 && r != MAILBOX_OTHER && !o->box.complete)
		r = mailbox_create(&o->box);
	note(o, NULL, r == MAILBOX_OTHER ? -ENOTDIR : r);
}

int dsn_stage_open(struct dsn_stage *o, const char *path)
{
	o->path = path;
	o->error = 0;
	o->root = (struct store_root){ .fd = mailbox_root(path, CREATE_YES, true) };
	if (o->root.fd < 0) {
		note(o, NULL, o->root.fd);
		return o->root.fd;
	}
	/* where a broker makes reports, it does so as the owner */
	if (o->sent.link)
		note(o, NULL, owner_enter(o->root.fd));
	open_box(o);
	if (o->error == 0)
		note(o, "new", walk_may_write(&o->root, o->box.new_dir));
	owner_leave();
	mailbox_close(&o->box);
	o->box = MAILBOX_NONE;
	if (o->error < 0)
		close(o->root.fd);
	return o->error;
}

/*
 * Puts the client's network into the name, because postern-outbox divides its rate by
 * source.
 */
static void name_source(struct dsn_stage *o)
{
	struct buf b = BUF(o->host_and_source);
	struct ip ip;

	buf_put_str(&b, o->host);
	if (ip_parse(span_of(o->peer), &ip) && buf_room(&b) > DSN_SOURCE_MAX)
		dsn_put_source(&b, &ip);
	buf_terminate(&b);
}

static const struct reply *dsn_stage_data(
	struct stage *st, const struct tx *tx, struct span trace)
{
	struct dsn_stage *o = dsn_stage_of(st);

	(void)trace;
	o->due = report_is_due(tx);
	if (!o->due)
		return NULL;
	name_source(o);
	o->error = 0;
	if (!o->sent.link)
		open_box(o);
	o->memory = malloc(REPORT_RETURNED_MAX + WRITE_MAX);
	if (!o->memory)
		note(o, NULL, -ENOMEM);
	o->report = (struct report){
		.hostname = span_of(o->hostname),
		.returned.text = { .p = o->memory, .cap = REPORT_RETURNED_MAX },
	};
	return NULL;
}

static const struct reply *dsn_stage_body(
	struct stage *st, const struct tx *tx, struct span text)
{
	struct dsn_stage *o = dsn_stage_of(st);

	(void)tx;
	if (o->due && o->error == 0)
		returned_take(&o->report.returned, text);
	return NULL;
}

static int write_report(struct dsn_stage *o)
{
	struct buf b = { .p = o->memory + REPORT_RETURNED_MAX, .cap = WRITE_MAX };
	struct span piece;
	bool more;
	int r;

	do {
		b.n = 0;
		more = report_put(&o->report, &b);
		piece = buf_span(&b);
		r = message_file_write(&o->file, &piece);
	} while (more && r == 0);
	return r;
}

/* Keeps what the broker says of the outbox. Returns -errno. */
static int note_answer(struct dsn_stage *o, int error)
{
	const char *fault = error ? "" : o->sent.link->answer->head.fault;

	if (o->error)
		return o->error;
	o->error = error ? error : -EIO;
	snprintf(o->fault, sizeof(o->fault), "%s",
		*fault ? fault : broker_error(o->error));
	return o->error;
}

/* Where a broker makes the file. 0 or -errno, which is kept. */
static int open_sent(struct dsn_stage *o, const struct tx *tx)
{
	const struct reply *refusal = NULL;
	const char *source = o->host_and_source + strlen(o->host);
	int r = broker_files_open(&o->sent, tx->id, source, &refusal);

	if (r < 0 || refusal || o->sent.list[0].fd < 0)
		return note_answer(o, r);
	o->file = (struct message_file){
		.fd = o->sent.list[0].fd, .tmp_dir = -1, .part = "new"
	};
	return 0;
}

/* The same for its name in the outbox. */
static int link_sent(struct dsn_stage *o)
{
	int r = broker_files_commit(&o->sent, 0, o->box.name);

	return r < 0 || broker_refusal(o->sent.link) ? note_answer(o, r) : 0;
}

static void close_file(struct dsn_stage *o)
{
	if (!o->sent.link) {
		message_file_close(&o->file);
		return;
	}
	broker_files_clear(&o->sent);
	o->file.fd = -1;
}

/*
 * Makes the file, still without a name in `new`, for the recipients whose delivery has
 * not failed so far. 0 or -errno, which is kept.
 */
static int make_report(struct dsn_stage *o, const struct tx *tx, bool in_tmp)
{
	char name[TX_FILE_MAX];
	int r;

	o->n_reported = report_count(tx);
	o->report.tx = tx;
	o->report.utf8 = tx->params.smtputf8;
	o->report.time = time(NULL);
	report_begin(&o->report);
	if (o->sent.link) {
		r = open_sent(o, tx);
	} else {
		message_file_make_name(name, tx->id, 0, o->host_and_source, -1);
		r = message_file_open(&o->file, &o->box, name, in_tmp);
	}
	if (r == 0)
		r = write_report(o);
	if (r == 0 && !o->sent.link)
		r = message_file_give(&o->file);
	if (r == 0)
		r = message_file_sync(&o->file);
	note(o, o->file.part, r);
	return r;
}

static const struct reply *dsn_stage_prepare(struct stage *st, struct tx *tx)
{
	struct dsn_stage *o = dsn_stage_of(st);

	if (o->due && o->error == 0)
		make_report(o, tx, false);
	return NULL;
}

/*
 * Makes the file again: delivery has failed since for recipients that must not be in it,
 * or it needs a name in tmp.
 */
static int make_again(struct dsn_stage *o, const struct tx *tx, bool in_tmp)
{
	close_file(o);
	return make_report(o, tx, in_tmp);
}

static int link_name(struct dsn_stage *o, const struct tx *tx)
{
	return message_file_link_new(
		&o->file, o->box.new_dir, tx->id, o->host_and_source, o->box.name);
}

/*
 * Links the file, and syncs it again for its link count, like maildir.c. 0 or -errno,
 * which is kept.
 */
static int link_report(struct dsn_stage *o, const struct tx *tx)
{
	int r = link_name(o, tx);

	if (message_file_lacks_links(r) && o->file.tmp_dir < 0) {
		r = make_again(o, tx, true);
		if (r == 0)
			r = link_name(o, tx);
	}
	if (r == 0)
		r = message_file_sync(&o->file);
	if (r == 0 && fsync(o->box.new_dir) < 0)
		r = -errno;
	if (r == 0)
		r = message_file_sync_tmp(&o->file);
	note(o, "new", r);
	return r;
}

static const struct reply *dsn_stage_commit(struct stage *st, struct tx *tx)
{
	struct dsn_stage *o = dsn_stage_of(st);
	size_t n = o->due ? report_count(tx) : 0;

	if (n == 0)
		return NULL;
	if (o->error == 0 && n != o->n_reported)
		make_again(o, tx, false);
	if (o->error == 0 && (o->sent.link ? link_sent(o) : link_report(o, tx)) == 0)
		tx->report = o->box.name;
	else
		tx->report_fault = o->fault;
	return NULL;
}

static void dsn_stage_clear(struct stage *st)
{
	struct dsn_stage *o = dsn_stage_of(st);

	if (!o->due)
		return;
	close_file(o);
	mailbox_close(&o->box);
	o->box = MAILBOX_NONE;
	free(o->memory);
	o->memory = NULL;
	o->due = false;
}

static const struct stage_ops dsn_stage_ops = {
	.data = dsn_stage_data,
	.body = dsn_stage_body,
	.prepare = dsn_stage_prepare,
	.commit = dsn_stage_commit,
	.clear = dsn_stage_clear,
};

void dsn_stage_init(
	struct dsn_stage *o, const char *hostname, const char *host, const char *peer)
{
	*o = (struct dsn_stage){
		.stage.ops = &dsn_stage_ops,
		.hostname = hostname,
		.host = host,
		.peer = peer,
		.root.fd = -1,
		.file.fd = -1,
		.file.tmp_dir = -1,
		.box = MAILBOX_NONE,
		.sent.delivery = BROKER_REPORT,
	};
}
