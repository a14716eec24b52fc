/* SPDX-License-Identifier: ISC */
/*
 * postern-outbox: passes postern's reports to sendmail(8). The rate is limited, because
 * clients choose the addresses. A report is removed only after sendmail has accepted it;
 * a failure is logged, and the report is kept. If the program is killed in between, it
 * sends a report twice, but not within RETRY_SECONDS.
 */
#include "tools/outbox/outbox.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sysexits.h>
#include "base/cleanup.h"
#include "base/num.h"
#include "proto/conf.h"
#include "proto/text.h"
#include "tools/job/job.h"

/* The command line. */

#define OUTBOX_RATE_MAX 60000

enum outbox_mode {
	OUTBOX_RUN,
	OUTBOX_HELP,
	OUTBOX_VERSION,
	OUTBOX_USAGE, /* `wrong` is the invalid word, and `fault` its fault */
};

struct outbox_options {
	enum outbox_mode mode;
	const char *directory;
	const char *sendmail; /* absolute */
	uint64_t keep; /* days that files are kept in rejected/; 0: forever */
	uint64_t rate; /* reports per minute; 1 to OUTBOX_RATE_MAX */
	const char *wrong, *fault;
	char meant[CONF_MEANT_MAX]; /* the option that was probably meant; or empty */
};

#define SENDMAIL_DEFAULT "/usr/sbin/sendmail"
#define RATE_DEFAULT 60
#define KEEP_DEFAULT 30
#define KEEP_MAX 36500

static const char help[] =
	"Usage: postern-outbox [--keep=DAYS] [--rate=N] [--sendmail=PATH] DIRECTORY\n"
	"\n"
	"Hands the delivery reports in DIRECTORY, the Maildir that the setting\n"
	"dsn-outbox of postern names, to sendmail(8), one by one, and ends. To be run\n"
	"as the user who owns DIRECTORY, when something has come and every few\n"
	"minutes.\n"
	"\n"
	"  --keep=DAYS      remove what is older from DIRECTORY/rejected (30); 0: "
	"nothing\n"
	"  --rate=N         run sendmail at most N times a minute (60)\n"
	"  --sendmail=PATH  run this program (/usr/sbin/sendmail)\n"
	"  --help           show this\n"
	"  --version        show the version\n"
	"\n"
	"What cannot be sent is tried again after 10 minutes at the earliest, for 5\n"
	"days. Then it is in DIRECTORY/rejected, as is what was no report.\n"
	"\n"
	"Manual page: postern-outbox(8).\n";

static const char *take_rate(struct outbox_options *o, const char *text)
{
	if (!num_parse(span_of(text), &o->rate) || o->rate == 0 ||
		o->rate > OUTBOX_RATE_MAX)
		return "must be a number from 1 to 60000";
	return NULL;
}

static const char *take_keep(struct outbox_options *o, const char *text)
{
	return num_parse(span_of(text), &o->keep) && o->keep <= KEEP_MAX
		       ? NULL
		       : "must be a number of days from 0 to 36500";
}

static const char *take_sendmail(struct outbox_options *o, const char *text)
{
	o->sendmail = text;
	return *text == '/' ? NULL : "must be a path that begins with /";
}

static const char *take_operand(struct outbox_options *o, const char *word)
{
	if (o->directory)
		return "not understood";
	o->directory = word;
	return NULL;
}

/* Takes a word of the command line. Returns NULL, or its fault. */
static const char *take_word(struct outbox_options *o, const char *word)
{
	const char *rate = job_value_of(word, "--rate=");
	const char *sendmail = job_value_of(word, "--sendmail=");
	const char *keep = job_value_of(word, "--keep=");
	static const char *const options[] = { "help",
		"keep=", "rate=", "sendmail=", "version" };
	static const struct words names = WORDS_OF(options);

	if (keep)
		return take_keep(o, keep);
	if (rate)
		return take_rate(o, rate);
	if (sendmail)
		return take_sendmail(o, sendmail);
	if (strcmp(word, "--help") == 0)
		o->mode = OUTBOX_HELP;
	else if (strcmp(word, "--version") == 0)
		o->mode = OUTBOX_VERSION;
	else if (*word != '-')
		return take_operand(o, word);
	else
		return conf_put_meant_option(o->meant, word, &names), "not understood";
	return NULL;
}

static void parse_options(int argc, char **argv, struct outbox_options *ret)
{
	/* all words after "--" are operands (XBD 12.2) */
	bool operands = false;

	*ret = (struct outbox_options){
		.sendmail = SENDMAIL_DEFAULT, .rate = RATE_DEFAULT, .keep = KEEP_DEFAULT
	};
	for (int i = 1; i < argc && !ret->fault; i++) {
		ret->wrong = argv[i];
		if (!operands && strcmp(argv[i], "--") == 0)
			operands = true;
		else
			ret->fault = operands ? take_operand(ret, argv[i])
					      : take_word(ret, argv[i]);
	}
	if (!ret->fault && ret->mode == OUTBOX_RUN && !ret->directory) {
		ret->wrong = "DIRECTORY";
		ret->fault = "must be given";
	}
	if (ret->fault)
		ret->mode = OUTBOX_USAGE;
}

#define RETRY_SECONDS 600 /* minimum time between two attempts */
#define DAY_SECONDS (24 * 60 * 60)
#define GIVE_UP_SECONDS (5 * DAY_SECONDS) /* RFC 5321 4.5.4.1: 4 to 5 days */
#define LOCK_SECONDS 10 /* time of waiting for the end of another run */
#define FAILURES_MAX 10 /* files that cannot be moved; more end the run */

#define SHOWN_MAX 320 /* octets of a file's name, or of an address, in a message */
#define WHY_MAX 640 /* octets of a sentence: an address and its fault */
#define LINE_SIZE (SHOWN_MAX + WHY_MAX + 32)

struct run {
	const char *directory; /* directory as on the command line, for messages */
	struct outbox_dirs outbox;
	struct outbox_sendmail sendmail;
	uint64_t interval; /* time of job_clock() between two starts of sendmail */
	uint64_t next; /* earliest time of the next start */
	bool stopped; /* stopped by a signal */
	size_t n_failures;
	/* files that could not be moved to cur/, skipped by this run */
	char stuck[FAILURES_MAX][OUTBOX_NAME_SIZE];
	size_t n_stuck;
	struct outbox_round round;
};

/*
 * Writes "postern-outbox: NAME: WHAT" in one call, so that lines of several programs do
 * not mix.
 */
static void log_line(const char *name, struct span what)
{
	char line[LINE_SIZE];
	struct buf b = BUF(line);

	buf_put(&b, SPAN("postern-outbox: "));
	text_escape(&b, span_of(name), SHOWN_MAX);
	buf_put(&b, SPAN(": "));
	buf_put(&b, what);
	buf_put_char(&b, '\n');
	if (write(STDERR_FILENO, line, b.n) < 0)
		return;
}

/* Logs a failure of the system; the run continues with the next report. */
static void log_failure(struct run *run, const char *name, const char *what, int error)
{
	char text[WHY_MAX];
	struct buf b = BUF(text);

	buf_put_str(&b, what);
	buf_put(&b, SPAN(": "));
	buf_put_str(&b, strerror(-error));
	log_line(name, buf_span(&b));
	run->n_failures++;
}

static void reject(struct run *run, const char *claimed, struct buf *why)
{
	int r = outbox_reject(&run->outbox, claimed, time(NULL));

	if (r == 0)
		buf_put(why, SPAN("; it is now in rejected/"));
	log_line(claimed, buf_span(why));
	if (r < 0)
		log_failure(run, claimed, "cannot be moved to rejected/", r);
}

/* Removes a sent report, so that it is not sent again. */
static void discard(struct run *run, const char *claimed)
{
	char text[WHY_MAX];
	struct buf why = BUF(text);
	int r = outbox_remove(&run->outbox, claimed);

	if (r == 0 || r == -ENOENT)
		return;
	buf_put(&why, SPAN("was sent, but cannot be removed: "));
	buf_put_str(&why, strerror(-r));
	reject(run, claimed, &why);
}

static void deliver(
	struct run *run, const char *claimed, const struct outbox_report *report)
{
	char text[WHY_MAX];
	struct buf why = BUF(text);
	enum outbox_sent sent;

	buf_put(&why, SPAN("to "));
	text_escape(&why, span_of(report->address), SHOWN_MAX);
	buf_put(&why, SPAN(": "));
	run->next = job_clock() + run->interval;
	sent = outbox_send(&run->sendmail, report->fd, report->address, &why);
	if (sent == OUTBOX_SENT) {
		discard(run, claimed);
	} else if (sent == OUTBOX_LATER &&
		   time(NULL) - report->written < GIVE_UP_SECONDS) {
		buf_put(&why, SPAN("; it will be tried again"));
		log_line(claimed, buf_span(&why));
	} else {
		reject(run, claimed, &why);
	}
}

/* Keeps the name of a file that this run skips. */
static void set_stuck(struct run *run, const char *name)
{
	struct buf b = BUF(run->stuck[run->n_stuck]);

	buf_put_str(&b, name);
	run->n_stuck += buf_terminate(&b);
}

static bool is_stuck(const struct run *run, const char *name)
{
	for (size_t i = 0; i < run->n_stuck; i++)
		if (strcmp(run->stuck[i], name) == 0)
			return true;
	return false;
}

/* Sends one report, which is in cur/ until its result is known. */
static void handle(struct run *run, int from, const char *name)
{
	struct outbox_report report = { .fd = -1 };
	char claimed[OUTBOX_NAME_SIZE], text[WHY_MAX];
	struct buf why = BUF(text);
	const char *fault = NULL;
	int r = outbox_claim(&run->outbox, from, name, time(NULL), claimed);

	if (r == -ENOENT)
		return;
	if (r < 0) {
		set_stuck(run, name);
		log_failure(run, name, "cannot be moved to cur/, and is not sent", r);
		return;
	}
	r = outbox_report_open(run->outbox.cur_dir, claimed, &report, &fault);
	if (r == 0) {
		deliver(run, claimed, &report);
	} else if (r > 0) {
		buf_put(&why, SPAN("is no delivery report: "));
		buf_put_str(&why, fault);
		reject(run, claimed, &why);
	} else {
		log_failure(run, claimed, "cannot be read now", r);
	}
	if (report.fd >= 0)
		close(report.fd);
}

/* Fills the round with the reports of one directory that can be tried now. */
static void fill_round(struct run *run, int from)
{
	int fd = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	bool is_retry = from == run->outbox.cur_dir;
	struct dirent *entry;

	run->round.n = 0;
	if (!dir) {
		log_failure(run, run->directory, "cannot be read", -errno);
		return;
	}
	while ((entry = readdir(dir))) {
		const char *name = entry->d_name;
		/* as in any Maildir, a leading dot hides a file */
		if (*name == '.' || is_stuck(run, name) ||
			(is_retry && !outbox_is_due(name, time(NULL), RETRY_SECONDS)))
			continue;
		outbox_round_add(&run->round, name);
	}
	closedir(dir);
}

/* Handles one round of a directory. Returns the number of reports in it. */
static size_t pass(struct run *run, int from)
{
	fill_round(run, from);
	for (size_t i = 0; i < run->round.n && run->n_failures < FAILURES_MAX; i++) {
		run->stopped = run->stopped || outbox_wait(run->next);
		if (run->stopped)
			break;
		handle(run, from, run->round.entries[i].name);
	}
	return run->round.n;
}

/*
 * Sends all reports. Returns when sendmail may be started again, so that the next run,
 * which does not know the time of the last start, may start it at once.
 */
static void handle_all(struct run *run)
{
	size_t n;

	do {
		n = pass(run, run->outbox.new_dir);
		n += pass(run, run->outbox.cur_dir);
		run->stopped = run->stopped || outbox_wait(run->next);
	} while (n > 0 && !run->stopped && run->n_failures < FAILURES_MAX);
}

/*
 * Locks the outbox. Waits LOCK_SECONDS for another run, which may have read new/ for the
 * last time; a run that takes longer sends all reports itself. False: nothing is left to
 * do.
 */
static bool wait_for_lock(struct run *run)
{
	for (size_t i = 0; i < LOCK_SECONDS && !run->stopped; i++) {
		int r = outbox_lock(&run->outbox);
		if (r == 0)
			return true;
		if (r != -EWOULDBLOCK) {
			log_failure(run, run->directory, "cannot be locked", r);
			return false;
		}
		run->stopped = outbox_wait(job_clock() + JOB_SECOND);
	}
	return false;
}

/* Removes old rejected reports, because they contain personal addresses. */
static void remove_old(struct run *run, uint64_t days)
{
	int r = 0;

	if (days)
		r = outbox_forget(&run->outbox, time(NULL), (time_t)(days * DAY_SECONDS));
	if (r < 0)
		log_failure(run, "rejected/", "has old files that cannot be removed", r);
}

static int run_outbox(const struct outbox_options *options)
{
	struct run run = {
		.directory = options->directory,
		.sendmail = { options->sendmail, OUTBOX_SEND_SECONDS },
		.interval = 60 * JOB_SECOND / options->rate,
	};
	char text[WHY_MAX];
	struct buf why = BUF(text);

	if (outbox_dirs_open(&run.outbox, options->directory, &why) < 0) {
		log_line(options->directory, buf_span(&why));
		return EX_CONFIG;
	}
	job_block_signals();
	/* sendmail must not depend on the current directory */
	if (chdir("/") < 0)
		log_failure(&run, "/", "cannot be entered", -errno);
	else if (wait_for_lock(&run)) {
		remove_old(&run, options->keep);
		handle_all(&run);
	}
	return run.n_failures ? EX_IOERR : 0;
}

int main(int argc, char **argv)
{
	struct outbox_options options;

	job_open_descriptors();
	parse_options(argc, argv, &options);
	switch (options.mode) {
	case OUTBOX_RUN:
		return run_outbox(&options);
	case OUTBOX_HELP:
		return fputs(help, stdout) < 0 ? EX_IOERR : 0;
	case OUTBOX_VERSION:
		return puts("postern-outbox " VERSION) < 0 ? EX_IOERR : 0;
	case OUTBOX_USAGE:
		break;
	}
	dprintf(STDERR_FILENO, "postern-outbox: %s: %s%s%s see postern-outbox --help\n",
		options.wrong, options.fault, options.meant, *options.meant ? "" : ";");
	return EX_USAGE;
}
