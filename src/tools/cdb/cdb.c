/* SPDX-License-Identifier: ISC */
/*
 * postern-cdb: compiles a text table into a cdb(5). The file is replaced by a rename and
 * keeps owner and mode, so that readers always find a whole, readable table. If the text
 * has faults, no table is made, and each fault is reported with its line. postern --check
 * checks the meaning of the pairs.
 */
#include <cdb.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "edge/table/table.h"

#define CDB_TEXT_MAX (UINT64_C(1) << 30) /* octets of text: a cdb has at most 4 GiB */
#define PIECE_LEAST (64 * 1024)
#define MODE_BITS (S_IRWXU | S_IRWXG | S_IRWXO)
#define MODE_UNKNOWN (S_IRUSR | S_IWUSR)

/*
 * Reads a file or a pipe. Returns the octets of *ret_text, which the caller frees; or
 * -errno.
 */
static int64_t read_text(int fd, char **ret_text)
{
	OWNED char *text = NULL;
	size_t n = 0, cap = 0;
	ssize_t got = 1;

	while (got != 0) {
		if (n == cap) {
			size_t more = cap ? 2 * cap : PIECE_LEAST;
			char *larger = realloc(text, more);
			if (!larger)
				return -ENOMEM;
			text = larger;
			cap = more;
		}
		got = read(fd, text + n, cap - n);
		if (got < 0 && errno != EINTR)
			return -errno;
		n += got > 0 ? (size_t)got : 0;
		if (n > CDB_TEXT_MAX)
			return -EFBIG;
	}
	*ret_text = steal(&text);
	return (int64_t)n;
}

static int put_pairs(const struct table_text *t, int fd)
{
	struct cdb_make make;
	bool fine;

	errno = 0;
	fine = cdb_make_start(&make, fd) == 0;
	for (size_t i = 0; i < t->n_pairs && fine; i++) {
		const struct table_pair *pair = &t->pairs[i];
		fine = cdb_make_add(&make, pair->key.p, (unsigned)pair->key.n,
			       pair->value.p, (unsigned)pair->value.n) == 0;
	}
	/* also frees its memory */
	fine = cdb_make_finish(&make) == 0 && fine;
	if (fine)
		return 0;
	return errno ? -errno : -EIO;
}

/*
 * Sets owner and mode of the empty file. The owner is set first, because this may clear
 * bits of the mode.
 */
static int keep_rights(int fd, const char *path, const struct stat *input)
{
	struct stat st;
	mode_t mode = S_ISREG(input->st_mode) ? input->st_mode : MODE_UNKNOWN;

	if (stat(path, &st) == 0) {
		mode = st.st_mode;
		if ((st.st_uid != geteuid() || st.st_gid != getegid()) &&
			fchown(fd, st.st_uid, st.st_gid) < 0)
			return -errno;
	} else if (errno != ENOENT) {
		return -errno;
	}
	return fchmod(fd, mode & MODE_BITS) < 0 ? -errno : 0;
}

static int sync_directory_of(const char *path)
{
	OWNED char *copy = strdup(path);
	OWNED_FD int dir = -1;

	if (!copy)
		return -ENOMEM;
	dir = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir < 0 || fsync(dir) < 0 ? -errno : 0;
}

/* Makes the new file, before it is renamed. */
static int fill_file(const struct table_text *t, int fd, const char *path,
	const struct stat *input, const char **ret_what)
{
	int r = keep_rights(fd, path, input);

	*ret_what = "owner and mode of the old file cannot be kept";
	if (r == 0) {
		*ret_what = "cannot be written";
		r = put_pairs(t, fd);
	}
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	return r;
}

/* Resolves a link, so that it is kept. 0 or -errno; *ret is owned by the caller. */
static int resolve_link(const char *path, char **ret, const char **ret_what)
{
	struct stat st;
	bool is_link = lstat(path, &st) == 0 && S_ISLNK(st.st_mode);

	*ret_what = "is a symbolic link of another user";
	if (is_link && st.st_uid != 0 && st.st_uid != geteuid())
		return -EPERM;
	*ret_what = is_link ? "is a symbolic link that leads to no file"
			    : "cannot be written";
	*ret = is_link ? realpath(path, NULL) : strdup(path);
	return *ret ? 0 : -errno;
}

static int write_file(const struct table_text *t, const char *path,
	const struct stat *input, const char **ret_what)
{
	OWNED char *name = NULL;
	OWNED_FD int fd = -1;
	int r;

	*ret_what = "cannot be written";
	if (asprintf(&name, "%s.XXXXXX", path) < 0) {
		name = NULL;
		return -ENOMEM;
	}
	fd = mkostemp(name, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = fill_file(t, fd, path, input, ret_what);
	if (r == 0 && rename(name, path) < 0)
		r = -errno;
	if (r < 0) {
		unlink(name);
		return r;
	}
	return sync_directory_of(path);
}

/*
 * Writes the pairs into a new file beside `path`, and renames it after a sync. The new
 * file gets owner and mode of the old one. If there is none, it gets the mode of `input`,
 * or 0600 if that is not a file. 0 or -errno; *ret_what is then the step that failed.
 */
static int write_cdb(const struct table_text *t, const char *path,
	const struct stat *input, const char **ret_what)
{
	OWNED char *file = NULL;
	int r = resolve_link(path, &file, ret_what);

	return r < 0 ? r : write_file(t, file, input, ret_what);
}

static const char help[] =
	"Usage: postern-cdb TABLE.cdb [FILE]\n"
	"\n"
	"Makes TABLE.cdb, a table for postern, of the lines of FILE or of standard "
	"input:\n"
	"each a key, blanks, and a value up to the end of the line. Empty lines and "
	"lines\n"
	"that begin with # mean nothing. It takes the place of an older one at once, "
	"and\n"
	"the next connection sees it.\n"
	"\n"
	"  --help           show this\n"
	"  --version        show the version\n"
	"\n"
	"A key that has two lines is a fault, and no table is made then. What keys and\n"
	"values mean is for postern to check.\n"
	"\n"
	"Manual page: postern-cdb(8).\n";

struct request {
	const char *table, *file; /* file: NULL for standard input */
	const char *wrong, *fault; /* an invalid word, and its fault */
	char meant[CONF_MEANT_MAX]; /* the option that was probably meant; or empty */
	const char *show; /* text to print instead */
	bool operands; /* after "--": all words are operands (XBD 12.2) */
};

static const char *table_fault(const char *word)
{
	if (span_ends(span_of(word), SPAN(".cdb")))
		return NULL;
	return "must end in .cdb: postern reads tables of other names as text";
}

static const char *take_word(struct request *r, const char *word)
{
	static const char *const options[] = { "help", "version" };
	static const struct words names = WORDS_OF(options);

	if (!r->operands && strcmp(word, "--") == 0)
		r->operands = true;
	else if (!r->operands && strcmp(word, "--help") == 0)
		r->show = help;
	else if (!r->operands && strcmp(word, "--version") == 0)
		r->show = "postern-cdb " VERSION "\n";
	else if (!r->operands && *word == '-')
		return conf_put_meant_option(r->meant, word, &names), "not understood";
	else if (r->file)
		return "not understood";
	else if (r->table)
		r->file = word;
	else
		return table_fault(r->table = word);
	return NULL;
}

static void parse(int argc, char **argv, struct request *ret)
{
	*ret = (struct request){ .table = NULL };
	for (int i = 1; i < argc && !ret->fault; i++) {
		ret->wrong = argv[i];
		ret->fault = take_word(ret, argv[i]);
	}
	if (!ret->fault && !ret->show && !ret->table) {
		ret->wrong = "TABLE.cdb";
		ret->fault = "must be given";
	}
}

/* Prints "postern-cdb: NAME: WHAT". */
static void print_error(const char *name, const char *what)
{
	dprintf(STDERR_FILENO, "postern-cdb: %s: %s\n", name, what);
}

static void print_fault(void *ctx, const char *what)
{
	print_error(ctx, what);
}

static int write_table(
	const struct table_text *t, const char *table, const struct stat *input)
{
	const char *what;
	int r = write_cdb(t, table, input, &what);

	if (r == 0)
		return 0;
	dprintf(STDERR_FILENO, "postern-cdb: %s: %s: %s\n", table, what, strerror(-r));
	return EX_CANTCREAT;
}

static int compile(int fd, const char *name, const char *table)
{
	OWNED char *text = NULL;
	struct table_text t = { 0 };
	struct stat input;
	int64_t n = fstat(fd, &input) < 0 ? -errno : read_text(fd, &text);
	struct faults faults = { .report = print_fault, .ctx = (void *)name };
	int status = EX_DATAERR, r;

	if (n < 0) {
		print_error(name, strerror((int)-n));
		return EX_NOINPUT;
	}
	r = table_text_take(&t, steal(&text), (size_t)n, &faults);
	if (r < 0) {
		print_error(name, strerror(-r));
		status = EX_OSERR;
	} else if (faults.n == 0) {
		status = write_table(&t, table, &input);
	}
	table_text_done(&t);
	return status;
}

static int run(const struct request *r)
{
	OWNED_FD int fd = -1;

	if (!r->file)
		return compile(STDIN_FILENO, "standard input", r->table);
	fd = open(r->file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0) {
		print_error(r->file, strerror(errno));
		return EX_NOINPUT;
	}
	return compile(fd, r->file, r->table);
}

int main(int argc, char **argv)
{
	struct request r;

	parse(argc, argv, &r);
	if (r.fault) {
		dprintf(STDERR_FILENO, "postern-cdb: %s: %s%s%s see postern-cdb --help\n",
			r.wrong, r.fault, r.meant, *r.meant ? "" : ";");
		return EX_USAGE;
	}
	if (r.show)
		return fputs(r.show, stdout) < 0 || fflush(stdout) != 0 ? EX_IOERR : 0;
	return run(&r);
}
