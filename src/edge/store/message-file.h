/* SPDX-License-Identifier: ISC */
/* The files of a message on its way into Maildirs. */
#pragma once

#include "edge/store/store.h"
#include "proto/received.h"

#define MESSAGE_NAME_TRIES 16 /* names that are tried if one exists already */

/*
 * Makes an empty file in the mailbox. It has no name, or `name` in tmp if `in_tmp` is set
 * or the file system requires it. 0 or -errno; c->part is then the place.
 */
int message_file_open(
	struct message_file *c, const struct mailbox *box, const char *name, bool in_tmp);
/* Writes all of the text. 0 or -errno; *text is then the rest that was not written. */
int message_file_write(struct message_file *c, struct span *text);
/*
 * Gives the file to the owner of the mailbox if this process is root. The owner can then
 * write to a file with a name, so it must be complete before. 0 or -errno.
 */
int message_file_give(const struct message_file *c);
int message_file_sync(const struct message_file *c);
/* Syncs the directory from which the file was moved, if it was. 0 or -errno. */
int message_file_sync_tmp(const struct message_file *c);
/*
 * Makes the name of a file: "<id>R<try>.<host>,S=<octets>". The first try has no R, and a
 * file in tmp, whose size is below 0, no S.
 */
void message_file_make_name(char name[static TX_FILE_MAX], const char *id, size_t try,
	const char *host, off_t size);
/*
 * Gives the file a new name in `new_dir`, and returns it in *ret_name. Without hard links
 * it is moved out of tmp; it can then have only one name, and is durable only after
 * message_file_sync_tmp(). 0 or -errno.
 */
int message_file_link_new(struct message_file *c, int new_dir, const char *id,
	const char *host, char ret_name[static TX_FILE_MAX]);
/*
 * Writes the trace header of one mailbox: fields of its own stand below the first line.
 * Each function returns 0 or -errno.
 */
struct message_trace {
	struct message_file *file;
	struct buf b;
	struct span rest; /* of the trace header */
	char octets[2 * RECEIVED_MAX];
};

int message_trace_begin(
	struct message_trace *t, struct message_file *file, struct span trace);
int message_trace_put(struct message_trace *t, struct span name, struct span value);
int message_trace_end(struct message_trace *t);

/* Closes the file. Without a link it is lost. */
void message_file_close(struct message_file *c);

/*
 * The files of a transaction: one for each file system and owner. All are open from the
 * beginning of the content, which is written to each: inside the sandbox no file can be
 * read, so none can be copied from another. An error of one Maildir does not affect the
 * others.
 */

/* Opens the files, or keeps an error for each. 0; or -errno if all have an error. */
int message_files_begin(struct maildir *m, const struct tx *tx);

/*
 * Writes the trace header, and with m->original_to, below its first line (Return-Path),
 * the fields of each box: X-Original-To for each of its recipients, and Delivered-To. 0
 * or -errno, as above.
 */
int message_files_write_trace(struct maildir *m, const struct tx *tx, struct span trace);

/*
 * Appends to each file; a failing one is given up with its boxes. 0 or -errno, as above.
 */
int message_files_write(struct maildir *m, struct span text);

/*
 * Makes the complete files durable, and gives each one to its owner. 0 or -errno, as
 * above.
 */
int message_files_finish(struct maildir *m);

/*
 * Makes a file only for that box, in place of one that cannot be linked into it. `error`
 * is the reason, and is returned if that file cannot be read. Without hard links the new
 * file is made in tmp. 0 or -errno.
 */
int message_files_own(
	struct maildir *m, const struct tx *tx, struct mailbox *box, int error);
