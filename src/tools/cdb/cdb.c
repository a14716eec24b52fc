/*
 * postern-cdb: makes a cdb(5) of a table in text. Promises that a table with a fault in it takes nobody's place,
 * and that every fault is told by its line. Refuses to know what the table is for: postern --check does.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "tools/cdb/cdb-file.h"

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
	const char *wrong, *fault; /* a word that was not understood, and why */
	const char *show; /* in place of all else */
	bool operands; /* "--" was there: no word is an option any more (XBD 12.2) */
};

static const char *table_fault(const char *word)
{
	if (span_ends(span_of(word), SPAN(".cdb")))
		return NULL;
	return "must end in .cdb: postern reads tables of other names as text";
}

static const char *take_word(struct request *r, const char *word)
{
	if (!r->operands && strcmp(word, "--") == 0)
		r->operands = true;
	else if (!r->operands && strcmp(word, "--help") == 0)
		r->show = help;
	else if (!r->operands && strcmp(word, "--version") == 0)
		r->show = "postern-cdb " VERSION "\n";
	else if ((!r->operands && *word == '-') || r->file)
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

/* "postern-cdb: NAME: WHAT" */
static void say(const char *name, const char *what)
{
	dprintf(STDERR_FILENO, "postern-cdb: %s: %s\n", name, what);
}

static void put_fault(void *ctx, const char *what)
{
	say(ctx, what);
}

static int make(const struct table_text *t, const char *table, const struct stat *input)
{
	const char *what;
	int r = cdb_write(t, table, input, &what);

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
	int64_t n = fstat(fd, &input) < 0 ? -errno : cdb_read_text(fd, &text);
	struct faults faults = { .report = put_fault, .ctx = (void *)name };
	int status = EX_DATAERR, r;

	if (n < 0) {
		say(name, strerror((int)-n));
		return EX_NOINPUT;
	}
	r = table_text_take(&t, steal(&text), (size_t)n, &faults);
	if (r < 0) {
		say(name, strerror(-r));
		status = EX_OSERR;
	} else if (faults.n == 0) {
		status = make(&t, table, &input);
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
		say(r->file, strerror(errno));
		return EX_NOINPUT;
	}
	return compile(fd, r->file, r->table);
}

int main(int argc, char **argv)
{
	struct request r;

	parse(argc, argv, &r);
	if (r.fault) {
		dprintf(STDERR_FILENO, "postern-cdb: %s: %s; see postern-cdb --help\n",
			r.wrong, r.fault);
		return EX_USAGE;
	}
	if (r.show)
		return fputs(r.show, stdout) < 0 || fflush(stdout) != 0 ? EX_IOERR : 0;
	return run(&r);
}
