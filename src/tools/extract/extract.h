/* SPDX-License-Identifier: ISC */
/*
 * The parts of postern-extract. Names, filters, checks of encodings and the reader of
 * uuencoded text are pure functions; the directory writes files; GMime reads the message.
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
 * Makes a file name from the last component of a text that the sender chose. It is
 * well-formed UTF-8 of at most EXTRACT_NAME_MAX octets, with `_` in place of control
 * characters and of characters that Windows does not allow. It does not begin with a dot
 * or a hyphen, does not end with a dot or a space, and is not a device or a system file
 * of Windows. Its extension is kept when it is cut. Empty: nothing was left.
 */
void extract_name_make(struct span text, char ret[static EXTRACT_NAME_SIZE]);

/*
 * Makes "NAME-N.EXTENSION" from such a name; a long one is cut. Each number makes another
 * name; one of them can be the name itself, if that is long and ends in "-N.EXTENSION".
 */
void extract_name_number(
	const char *name, uint64_t n, char ret[static EXTRACT_NAME_SIZE]);

/* Makes "attachment" with the usual extension of the type, for a part without a name. */
void extract_name_default(const char *type, char ret[static EXTRACT_NAME_SIZE]);

/*
 * Like extract_name_make(), with composed characters (NFC), because Nextcloud shows no
 * others.
 */
void extract_name_compose(const char *text, char name[static EXTRACT_NAME_SIZE]);

/* Finds the name of a part; empty: it has none. Warns of an unknown character set. */
struct _GMimeObject;
void extract_part_name(struct _GMimeObject *o, struct faults *faults,
	char name[static EXTRACT_NAME_SIZE]);

/* Makes "SUBJECT.eml" of a message; empty: it has no subject. */
void extract_subject_name(struct _GMimeObject *o, char name[static EXTRACT_NAME_SIZE]);

/* Filters. */

/*
 * Returns the fault of a list of types, or NULL. Items are "type/subtype", "type/" with
 * an asterisk, or ".extension", separated by commas.
 */
const char *extract_types_fault(const char *list);

/* True when the list has the type, or the extension of the name. */
bool extract_types_have(const char *list, const char *type, const char *name);

/* Parses a number of octets: digits, and K, M or G for powers of 1024. */
bool extract_size_parse(const char *text, uint64_t *ret);

/* Encodings. */

/* The state before the next octet of quoted-printable. */
enum extract_quoted {
	EXTRACT_QUOTED_NONE,
	EXTRACT_QUOTED_EQUALS, /* "=" */
	EXTRACT_QUOTED_BLANK, /* "=" and a blank */
	EXTRACT_QUOTED_DIGIT, /* "=" and a digit */
};

/* A search for faults in base64 and quoted-printable, which the decoder ignores. */
struct extract_check {
	bool base64; /* false: quoted-printable */
	bool damaged;
	enum extract_quoted quoted;
	uint64_t n, n_pads; /* base64: characters of the alphabet; "=" */
};

/* Returns the number of octets that are sextets of base64 (RFC 2045 6.8). */
size_t extract_count_base64(struct span text);

void extract_check_step(struct extract_check *c, struct span text);

/* True after any fault, such as an end in the middle of a group. */
bool extract_check_end(const struct extract_check *c);

/* Uuencoded files in a text (uuencode(5posix)). */

#define EXTRACT_UU_LINE 512 /* octets of a line of such a file at most */

struct extract_uu_sink {
	/* Each function returns 0, or another value to end the reading. */
	int (*begin)(void *ctx, struct span name);
	int (*data)(void *ctx, struct span octets);
	int (*end)(void *ctx, bool damaged);
};

struct extract_uu {
	const struct extract_uu_sink *sink;
	void *ctx;
	char line[EXTRACT_UU_LINE];
	size_t n; /* octets of the line; more than EXTRACT_UU_LINE: it is too long */
	/* name in the last line, if it was a "begin" line; else "" */
	char name[EXTRACT_UU_LINE];
	size_t n_name;
	bool base64; /* the line was begin-base64 */
	bool inside;
};

/*
 * Reads the next piece of the text. A file begins at a "begin" line only when a line of
 * data comes next. 0, or what a function of the sink returned.
 */
int extract_uu_step(struct extract_uu *u, struct span text);

/* Ends the text. */
int extract_uu_end(struct extract_uu *u);

/* The directory. */

#define EXTRACT_NO_GROUP ((gid_t)-1)

struct extract_file;

/*
 * The files of one message. None is visible before extract_dir_publish(). If the process
 * is killed before that, no file remains, except hidden files on a file system that
 * cannot make files without a name; a later run removes these.
 */
struct extract_dir {
	int fd;
	mode_t mode;
	gid_t group; /* group of files; EXTRACT_NO_GROUP: the directory determines it */
	struct extract_file *files;
	size_t n, room, n_open;
	bool swept; /* hidden files of killed runs were removed */
	char key[2 * sizeof(uint64_t) + 1]; /* part of the hidden names of this run */
};

/* Opens the directory. 0 or -errno. */
int extract_dir_open(struct extract_dir *d, const char *path, mode_t mode, gid_t group);
void extract_dir_done(struct extract_dir *d);

/*
 * Begins a file that will get this name, or a numbered one. Only one file is written at a
 * time. 0 or -errno.
 */
int extract_file_begin(struct extract_dir *d, const char *name);
int extract_file_write(const struct extract_dir *d, struct span octets);

/* Returns the descriptor of the current file. */
int extract_file_descriptor(const struct extract_dir *d);

/* Ends the current file, and syncs it. 0 or -errno. */
int extract_file_end(struct extract_dir *d);

/* Drops the current file, or the last one. */
void extract_file_drop(struct extract_dir *d);

/*
 * Gives all files their names, without overwriting a file, and syncs the directory. 0; or
 * -errno, and no file has a name.
 */
int extract_dir_publish(struct extract_dir *d);

/* Returns the name that the file got or will get. */
const char *extract_dir_name(const struct extract_dir *d, size_t i);

/* The message. */

struct extract_options {
	const char *directory;
	mode_t mode;
	const char *group; /* or NULL */
	const char *types, *skip_types; /* lists, or NULL */
	/* octets of a file; smaller and larger ones are left out */
	uint64_t min_size, max_size;
	/* a message above one of these limits is refused as a whole */
	uint64_t max_message, max_total; /* octets of the message, and of all its files */
	uint64_t max_parts, max_depth;
	bool with_inline; /* also save pictures that are part of an HTML text */
	/* save the attachments of attached messages instead of these messages */
	bool open_messages;
	bool print_names;
};

#define EXTRACT_DEPTH_MAX 500 /* a usual message has two levels; GMime reads up to 1024 */
#define EXTRACT_PARTS_MAX 1000000

/*
 * Loads everything for reading a message, including the converters of character sets, so
 * that no file has to be opened later.
 */
void extract_message_prepare(void);

/*
 * Reads the message from a file that can be read twice, and writes its attachments.
 * Warnings are reported. 0; 1: the message is refused, and a fault was reported; or
 * -errno for a fault of this host.
 */
int extract_message(int fd, const struct extract_options *options,
	struct extract_dir *dir, struct faults *faults);
