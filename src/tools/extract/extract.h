/* SPDX-License-Identifier: ISC */
/*
 * postern-extract: the parts of it. Names, filters, checks of encodings and the reader of
 * uuencoded text are pure; the directory writes files; the message is read by GMime.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/buf.h"
#include "base/faults.h"
#include "base/span.h"

/* Names. */

#define EXTRACT_NAME_MAX 200 /* octets of a file name; most file systems take 255 */
#define EXTRACT_NAME_SIZE (EXTRACT_NAME_MAX + 1)

/*
 * Makes a file name out of text that the sender chose: its last component, in well-formed
 * UTF-8, of at most EXTRACT_NAME_MAX octets, with `_` for every character that controls
 * something or that Windows does not allow. It does not begin with a dot or a hyphen,
 * ends in no dot or space, and is no device or system file of Windows. Its extension is
 * kept when it is cut. Empty when nothing is left.
 */
void extract_name_make(struct span text, char ret[static EXTRACT_NAME_SIZE]);

/* "NAME-N.EXTENSION" of a name made so; a long one is cut. */
void extract_name_number(
	const char *name, uint64_t n, char ret[static EXTRACT_NAME_SIZE]);

/* "attachment" with the usual extension of the type, for a part without a name. */
void extract_name_default(const char *type, char ret[static EXTRACT_NAME_SIZE]);

/* As extract_name_make(), with composed characters (NFC): Nextcloud shows no others. */
void extract_name_compose(const char *text, char name[static EXTRACT_NAME_SIZE]);

/* The name of a part of a message; empty when it has none. Warns of its encoding. */
struct _GMimeObject;
void extract_part_name(struct _GMimeObject *o, struct faults *faults,
	char name[static EXTRACT_NAME_SIZE]);

/* "SUBJECT.eml" of a message; empty when it has no subject. */
void extract_subject_name(struct _GMimeObject *o, char name[static EXTRACT_NAME_SIZE]);

/* Filters. */

/*
 * What is wrong with a list of types: "type/subtype", "type/" with an asterisk, or
 * ".extension", separated by commas. NULL: nothing.
 */
const char *extract_types_fault(const char *list);

/* True when the list has the type, or the extension of the name. */
bool extract_types_have(const char *list, const char *type, const char *name);

/* Octets: digits, and K, M or G for powers of 1024. */
bool extract_size_parse(const char *text, uint64_t *ret);

/* Encodings. */

/* What stands before the next octet of quoted-printable. */
enum extract_quoted {
	EXTRACT_QUOTED_NONE,
	EXTRACT_QUOTED_EQUALS, /* "=" */
	EXTRACT_QUOTED_BLANK, /* "=" and a blank */
	EXTRACT_QUOTED_DIGIT, /* "=" and a digit */
};

/* Looks for faults in base64 and quoted-printable, which the decoder skips. */
struct extract_check {
	bool base64; /* else quoted-printable */
	bool damaged;
	enum extract_quoted quoted;
	uint64_t n, n_pads; /* base64: characters of the alphabet; "=" */
};

/* The octets of the text that are sextets of base64 (RFC 2045 6.8). */
size_t extract_count_base64(struct span text);

void extract_check_step(struct extract_check *c, struct span text);

/* True when anything was wrong, an end in the middle of a group included. */
bool extract_check_end(const struct extract_check *c);

/* Uuencoded files in a text (uuencode(5posix)). */

#define EXTRACT_UU_LINE 512 /* octets of a line that can be of such a file */

struct extract_uu_sink {
	/* Each returns 0, or something else to end the reading. */
	int (*begin)(void *ctx, struct span name);
	int (*data)(void *ctx, struct span octets);
	int (*end)(void *ctx, bool damaged);
};

struct extract_uu {
	const struct extract_uu_sink *sink;
	void *ctx;
	char line[EXTRACT_UU_LINE];
	size_t n; /* more than EXTRACT_UU_LINE: too long */
	char name[EXTRACT_UU_LINE]; /* of a "begin" line, which is the last one, or "" */
	size_t n_name;
	bool base64; /* of begin-base64 */
	bool inside;
};

/*
 * Reads the next piece of the text. A file begins at a "begin" line only when a line of
 * data comes next. 0, or what a function of the sink returned.
 */
int extract_uu_step(struct extract_uu *u, struct span text);

/* The end of the text. */
int extract_uu_end(struct extract_uu *u);

/* The directory. */

#define EXTRACT_NO_GROUP ((gid_t)-1)

struct extract_file;

/*
 * The files of one message. None is visible before extract_dir_publish(); a process that
 * is killed before that leaves nothing behind, or where the file system makes no files
 * without a name, hidden files, which a later run removes.
 */
struct extract_dir {
	int fd;
	mode_t mode;
	gid_t group; /* or EXTRACT_NO_GROUP: as the directory has it */
	struct extract_file *files;
	size_t n, room, n_open;
	bool swept; /* hidden files of killed runs are removed */
	char key[2 * sizeof(uint64_t) + 1]; /* of hidden names of this run */
};

/* Opens the directory. 0 or -errno. */
int extract_dir_open(struct extract_dir *d, const char *path, mode_t mode, gid_t group);
void extract_dir_done(struct extract_dir *d);

/*
 * Begins a file, that will get this name, or a numbered one. Only one is written at a
 * time. 0 or -errno.
 */
int extract_file_begin(struct extract_dir *d, const char *name);
int extract_file_write(const struct extract_dir *d, struct span octets);

/* The descriptor of the file that is written. */
int extract_file_descriptor(const struct extract_dir *d);

/* The file is complete: it is synced. 0 or -errno. */
int extract_file_end(struct extract_dir *d);

/* Gives up the file that is written, or the last one. */
void extract_file_drop(struct extract_dir *d);

/*
 * Gives all files their names, never over another file, and syncs the directory. 0, or
 * -errno; then none has one.
 */
int extract_dir_publish(struct extract_dir *d);

/* The name that the file got, or is to get. */
const char *extract_dir_name(const struct extract_dir *d, size_t i);

/* The message. */

struct extract_options {
	const char *directory;
	mode_t mode;
	const char *group; /* or NULL */
	const char *types, *skip_types; /* lists, or NULL */
	uint64_t min_size, max_size; /* octets of a file, others are left out */
	/* A message beyond one of these is refused as a whole. */
	uint64_t max_message, max_total; /* octets of it, and of all its files */
	uint64_t max_parts, max_depth;
	bool with_inline; /* save pictures that are part of an HTML text, too */
	bool open_messages; /* save the attachments of attached messages, not these */
	bool print_names;
};

#define EXTRACT_DEPTH_MAX 500 /* GMime reads up to 1024 levels, a message has two */
#define EXTRACT_PARTS_MAX 1000000

/*
 * Loads all that reading a message needs, the converters of character sets included, so
 * that no file has to be opened later.
 */
void extract_message_prepare(void);

/*
 * Reads the message from a file that can be read twice, and writes its attachments.
 * Warnings are reported as such; 0, or -errno when this host has a problem, or 1 when the
 * message is refused, which is reported as a fault.
 */
int extract_message(int fd, const struct extract_options *options,
	struct extract_dir *dir, struct faults *faults);
