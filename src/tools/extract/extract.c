/* SPDX-License-Identifier: ISC */
/*
 * postern-extract: saves the attachments of a message. The message comes from untrusted
 * senders, so it is read in a sandbox, which allows only writing below one directory.
 * Either all attachments are saved, or none.
 */
#include "tools/extract/extract.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sysexits.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/num.h"
#include "edge/sandbox/sandbox.h"
#include "tools/job/job.h"

#define CPU_SECONDS 60 /* seconds for one message; 100 MiB take one */
#define FROM_LINE_MAX 1024 /* octets of the first line of an mbox file */
#define MIB ((uint64_t)1024 * 1024)

/* The command line. */

enum extract_mode {
	EXTRACT_RUN,
	EXTRACT_HELP,
	EXTRACT_VERSION,
};

struct command {
	enum extract_mode mode;
	bool operands; /* after "--": all words are operands (XBD 12.2) */
	struct extract_options o;
	const char *wrong, *fault; /* an invalid word, and its fault */
};

static const char help[] =
	"Usage: postern-extract [OPTION]... DIRECTORY <MESSAGE\n"
	"\n"
	"Saves the attachments of the message on standard input in DIRECTORY, all or\n"
	"none, under names that are safe, and never over another file.\n"
	"\n"
	"  --types=LIST        only these, as application/pdf,image/*,.tif\n"
	"  --skip-types=LIST   all but these\n"
	"  --min-size=SIZE     none below SIZE octets (0); 10K, 5M, 1G\n"
	"  --max-size=SIZE     none above SIZE octets\n"
	"  --inline            pictures within HTML text, too\n"
	"  --open-messages     what is in attached messages, instead of these\n"
	"  --mode=MODE         permissions of the files (0640)\n"
	"  --group=NAME        the group of the files\n"
	"  --print-names       print the names of the files, one a line\n"
	"  --max-message=SIZE  refuse a larger message (256M)\n"
	"  --max-total=SIZE    refuse more octets in all its attachments (1G)\n"
	"  --max-parts=N       refuse more parts (1000)\n"
	"  --max-depth=N       refuse deeper nesting (50)\n"
	"  --help              show this\n"
	"  --version           show the version\n"
	"\n"
	"Manual page: postern-extract(1).\n";

static const char *take_types(void *to, const char *text)
{
	*(const char **)to = text;
	return extract_types_fault(text);
}

static const char *take_size(void *to, const char *text)
{
	return extract_size_parse(text, to) ? NULL
					    : "must be a number of octets, such as 500K "
					      "or 20M";
}

static const char *take_parts(void *to, const char *text)
{
	return num_parse(span_of(text), to) && *(uint64_t *)to > 0 &&
			       *(uint64_t *)to <= EXTRACT_PARTS_MAX
		       ? NULL
		       : "must be a number from 1 to 1000000";
}

static const char *take_depth(void *to, const char *text)
{
	return num_parse(span_of(text), to) && *(uint64_t *)to > 0 &&
			       *(uint64_t *)to <= EXTRACT_DEPTH_MAX
		       ? NULL
		       : "must be a number from 1 to 500";
}

static const char *take_mode(void *to, const char *text)
{
	char *end;
	unsigned long mode = strtoul(text, &end, 8);

	*(mode_t *)to = (mode_t)mode;
	return *text >= '0' && *text <= '7' && *end == '\0' && mode <= 0666 &&
			       (mode & 0111) == 0
		       ? NULL
		       : "must be octal, without rights to execute, such as 0640";
}

static const char *take_text(void *to, const char *text)
{
	*(const char **)to = text;
	return *text ? NULL : "must not be empty";
}

/* The options; one without a parser is a switch. */
static const struct {
	const char *name;
	const char *(*parse)(void *to, const char *text);
	size_t at;
} options[] = {
	{ "--types", take_types, offsetof(struct command, o.types) },
	{ "--skip-types", take_types, offsetof(struct command, o.skip_types) },
	{ "--min-size", take_size, offsetof(struct command, o.min_size) },
	{ "--max-size", take_size, offsetof(struct command, o.max_size) },
	{ "--inline", NULL, offsetof(struct command, o.with_inline) },
	{ "--open-messages", NULL, offsetof(struct command, o.open_messages) },
	{ "--mode", take_mode, offsetof(struct command, o.mode) },
	{ "--group", take_text, offsetof(struct command, o.group) },
	{ "--print-names", NULL, offsetof(struct command, o.print_names) },
	{ "--max-message", take_size, offsetof(struct command, o.max_message) },
	{ "--max-total", take_size, offsetof(struct command, o.max_total) },
	{ "--max-parts", take_parts, offsetof(struct command, o.max_parts) },
	{ "--max-depth", take_depth, offsetof(struct command, o.max_depth) },
};

/* Takes a word that begins with a hyphen. Returns NULL, or the fault. */
static const char *take_option(struct command *c, const char *word)
{
	size_t n = strcspn(word, "=");

	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
		void *to = (char *)c + options[i].at;

		if (!span_eq((struct span){ word, n }, span_of(options[i].name)))
			continue;
		if (options[i].parse)
			return word[n] ? options[i].parse(to, word + n + 1)
				       /* is always followed by another text */
				       : "needs a value: "
					 "write it behind an equals sign";
		*(bool *)to = true;
		return word[n] ? "takes no value" : NULL;
	}
	if (strcmp(word, "--help") == 0)
		c->mode = EXTRACT_HELP;
	else if (strcmp(word, "--version") == 0)
		c->mode = EXTRACT_VERSION;
	else
		return "not understood";
	return NULL;
}

static const char *take_word(struct command *c, const char *word)
{
	if (!c->operands && *word == '-') {
		c->operands = strcmp(word, "--") == 0;
		return c->operands ? NULL : take_option(c, word);
	}
	if (c->o.directory)
		return "only one directory can be given: this is the second";
	c->o.directory = word;
	return *word ? NULL : "must not be empty";
}

static void parse(int argc, char **argv, struct command *ret)
{
	*ret = (struct command){ .o = {
					 .mode = 0640,
					 .max_size = UINT64_MAX,
					 .max_message = 256 * MIB,
					 .max_total = 1024 * MIB,
					 .max_parts = 1000,
					 .max_depth = 50,
				 } };
	for (int i = 1; i < argc && !ret->fault; i++) {
		ret->wrong = argv[i];
		ret->fault = take_word(ret, argv[i]);
	}
	if (!ret->fault && ret->mode == EXTRACT_RUN && !ret->o.directory) {
		ret->wrong = "DIRECTORY";
		ret->fault = "must be given";
	}
}

/* The run. */

static void print_line(void *ctx, const char *text)
{
	dprintf(STDERR_FILENO, "postern-extract: %s: %s\n", (const char *)ctx, text);
}

/* Reports a failure of this host, after which the message can be tried again. */
static int fail(const char *what, int error, const char *cure)
{
	dprintf(STDERR_FILENO,
		"postern-extract: %s: %s%s%s; nothing was saved, and "
		"the message can be tried again\n",
		what, strerror(-error), *cure ? ": " : "", cure);
	return EX_TEMPFAIL;
}

static const char *cure_of(int error)
{
	switch (-error) {
	case ENOENT:
		return "make the directory, or mount its file system";
	case ENOTDIR:
		return "name a directory";
	case EACCES:
	case EPERM:
		return "let this user write there";
	case EROFS:
		return "mount its file system for writing";
	case ENOSPC:
	case EDQUOT:
		return "make room there";
	case EFBIG:
		return "raise the limit on the size of files";
	case EMFILE:
	case ENFILE:
		return "raise the limit on open files";
	default:
		return "";
	}
}

static int find_group(const char *name, gid_t *ret)
{
	const struct group *group;

	*ret = EXTRACT_NO_GROUP;
	if (!name)
		return 0;
	errno = 0;
	group = getgrnam(name);
	if (group)
		*ret = group->gr_gid;
	return group ? 0 : errno ? -errno : -ENOENT;
}

/* Opens the input. A pipe is copied into memory, because the message is read twice. */
static int open_input(int *ret)
{
	struct stat st;

	if (fstat(STDIN_FILENO, &st) < 0)
		return -errno;
	*ret = S_ISREG(st.st_mode) ? STDIN_FILENO
				   : memfd_create("postern-extract", MFD_CLOEXEC);
	return *ret < 0 ? -errno : 0;
}

static int write_all(int fd, struct span text)
{
	while (text.n) {
		ssize_t n = write(fd, text.p, text.n);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			text = span_from(text, (size_t)n);
	}
	return 0;
}

/* Copies at most one octet more than a message may have. */
static int copy_input(int to, uint64_t max)
{
	OWNED char *piece = malloc(MIB);
	uint64_t n_copied = 0;
	int r = piece ? 0 : -ENOMEM;

	while (r == 0 && n_copied <= max) {
		ssize_t n = read(STDIN_FILENO, piece, MIB);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			break;
		if (n > 0) {
			r = write_all(to, (struct span){ piece, (size_t)n });
			n_copied += (uint64_t)n;
		}
	}
	return r < 0 ? r : lseek(to, 0, SEEK_SET) < 0 ? -errno : 0;
}

/* Skips the line "From " of an mbox file, which is not a field. */
static int skip_from_line(int fd)
{
	char text[FROM_LINE_MAX];
	off_t at = lseek(fd, 0, SEEK_CUR);
	ssize_t n = at < 0 ? -1 : pread(fd, text, sizeof(text), at);
	const char *lf = n > 0 ? memchr(text, '\n', (size_t)n) : NULL;

	if (n < 0)
		return -errno;
	if (lf && n > 5 && memcmp(text, "From ", 5) == 0 &&
		lseek(fd, at + (lf - text) + 1, SEEK_SET) < 0)
		return -errno;
	return 0;
}

/* Prepares the input. 1: it is too large, or empty. */
static int prepare_input(int fd, uint64_t max, struct faults *faults)
{
	struct stat st;
	off_t at;
	int r = fd == STDIN_FILENO ? 0 : copy_input(fd, max);

	if (r < 0)
		return r;
	at = lseek(fd, 0, SEEK_CUR);
	if (at < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size <= at) {
		faults_put(faults, "it is empty: give a message on standard input");
		return 1;
	}
	if ((uint64_t)(st.st_size - at) > max) {
		faults_put(faults, "it has more than %llu octets (--max-message)",
			(unsigned long long)max);
		return 1;
	}
	return skip_from_line(fd);
}

static void stop_endless(int signal)
{
	static const char text[] = "postern-extract: the message: reading it takes more "
				   "than a minute of computing time: look at it by "
				   "hand; nothing was saved\n";

	(void)signal;
	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		_exit(EX_DATAERR);
	_exit(EX_DATAERR);
}

static void limit_time(void)
{
	const struct itimerval limit = { .it_value.tv_sec = CPU_SECONDS };

	signal(SIGPROF, stop_endless);
	setitimer(ITIMER_PROF, &limit, NULL);
}

static int print_names(const struct extract_dir *dir)
{
	for (size_t i = 0; i < dir->n; i++)
		if (puts(extract_dir_name(dir, i)) < 0)
			return EX_IOERR;
	if (fflush(stdout) == 0)
		return 0;
	print_line((void *)"standard output", strerror(errno));
	return EX_IOERR;
}

/* Extracts the attachments, inside the sandbox. */
static int extract(int input, const struct extract_options *o, struct extract_dir *dir)
{
	struct faults faults = { .report = print_line, .ctx = (void *)"the message" };
	int r;

	limit_time();
	r = prepare_input(input, o->max_message, &faults);
	if (r < 0)
		return fail("standard input", r, "");
	if (r == 0)
		r = extract_message(input, o, dir, &faults);
	if (r > 0)
		return EX_DATAERR;
	if (r == 0)
		r = extract_dir_publish(dir);
	if (r < 0)
		return fail(o->directory, r, cure_of(r));
	return o->print_names ? print_names(dir) : 0;
}

static int run(const struct extract_options *o)
{
	CLEANUP(extract_dir_done) struct extract_dir dir = { .fd = -1 };
	struct sandbox_dirs allowed = {
		.loaded = true, .keeps_root = true, .gives_group = o->group
	};
	struct sandbox_report report;
	gid_t group;
	int input = -1, r;

	umask(0);
	signal(SIGXFSZ, SIG_IGN);
	r = find_group(o->group, &group);
	if (r < 0)
		return fail(o->group, r, r == -ENOENT ? "make the group" : "");
	r = extract_dir_open(&dir, o->directory, o->mode, group);
	if (r < 0)
		return fail(o->directory, r, cure_of(r));
	r = open_input(&input);
	if (r < 0)
		return fail("standard input", r, "");
	extract_message_prepare();
	sandbox_dirs_write(&allowed, o->directory, dir.fd);
	r = sandbox_enter(&allowed, &report);
	if (r < 0)
		return fail("sandbox", r,
			"it needs a kernel with seccomp, and a unit that filters system "
			"calls must allow it: see postern-extract(1)");
	return extract(input, o, &dir);
}

int main(int argc, char **argv)
{
	struct command c;

	job_open_descriptors();
	parse(argc, argv, &c);
	if (c.fault) {
		dprintf(STDERR_FILENO,
			"postern-extract: %s: %s; see postern-extract --help\n", c.wrong,
			c.fault);
		return EX_USAGE;
	}
	switch (c.mode) {
	case EXTRACT_RUN:
		break;
	case EXTRACT_HELP:
		return fputs(help, stdout) < 0 || fflush(stdout) != 0 ? EX_IOERR : 0;
	case EXTRACT_VERSION:
		return puts("postern-extract " VERSION) < 0 || fflush(stdout) != 0
			       ? EX_IOERR
			       : 0;
	}
	return run(&c.o);
}
