/* SPDX-License-Identifier: ISC */
/* The command line of postern-pipe, and its first fault. */
#include "tools/pipe/pipe.h"
#include <stddef.h>
#include "base/num.h"
#include "proto/conf.h"

#define TIMEOUT_DEFAULT 300
#define RETRY_AFTER_DEFAULT 60
#define RETRY_FOR_DEFAULT (5 * 86400)
#define SECONDS_MAX (UINT64_C(100) * 366 * 86400)

const char pipe_help[] =
	"Usage: postern-pipe [options] MAILDIR -- PROGRAM [ARGUMENT]...\n"
	"       postern-pipe [options] --tree=DIR --table=FILE\n"
	"\n"
	"Runs PROGRAM for each message in MAILDIR/new, in order of arrival, with the\n"
	"message on standard input and what is known of it in POSTERN_* variables. It\n"
	"waits for new messages until it is stopped. A TIME is a number of seconds, or\n"
	"with a letter: 90s, 5m, 12h, 5d.\n"
	"\n"
	"  -c FILE             settings file, for where records go\n"
	"  -n N                run up to N programs at once (1)\n"
	"  --check             check everything, and end\n"
	"  --delete            remove processed messages\n"
	"  --keep=TIME         remove processed messages after that time\n"
	"  --keep-new          leave processed messages in new/, and remember them\n"
	"  --notes=MAILDIR     describe failed messages in messages there\n"
	"  --retry-after=TIME  pause before the second try (1m); later ones are longer\n"
	"  --retry-for=TIME    give up after that time (5d)\n"
	"  --strict-order      a message that waits for its next try holds back others\n"
	"  --strip             PROGRAM gets messages without Bcc and postern's fields\n"
	"  --table=FILE        lines with a mailbox and its program\n"
	"  --timeout=TIME      stop a program that takes longer (5m)\n"
	"  --tree=DIR          where the mailboxes of the table are\n"
	"  --help              show this\n"
	"  --version           show the version\n"
	"\n"
	"Exit status 0 of PROGRAM: the message goes to cur/. 75, a signal or a timeout: "
	"it\n"
	"is tried again. Any other: it goes to failed/, with a note.\n"
	"\n"
	"Manual page: postern-pipe(8).\n";

static const char *take_time(const char *text, uint64_t least, uint64_t *ret)
{
	static const uint64_t factors[] = { 1, 60, 3600, 86400 };

	if (conf_quantity(span_of(text), "smhd", factors, ret) && *ret >= least &&
		*ret <= SECONDS_MAX)
		return NULL;
	return "must be a time, such as 90s, 5m, 12h or 5d";
}

static const char *take_number(struct pipe_options *o, const char *text)
{
	o->has_programs = true;
	return text && num_parse(span_of(text), &o->n_programs) && o->n_programs > 0 &&
			       o->n_programs <= PIPE_PROGRAMS_MAX
		       ? NULL
		       : "must be followed by a number from 1 to 64";
}

static const char *take_after(struct pipe_options *o, enum pipe_after after)
{
	if (o->has_after)
		return "only one of --delete, --keep and --keep-new can be used";
	o->has_after = true;
	o->after = after;
	return NULL;
}

static const char *take_keep(struct pipe_options *o, const char *text)
{
	const char *fault = take_after(o, PIPE_MOVE);

	return fault ? fault : take_time(text, 1, &o->keep);
}

static const char *take_directory(const char *text, const char **ret)
{
	*ret = text;
	return *text == '/' ? NULL : "must be a path that begins with /";
}

/* Takes a word with a value: "--timeout=5m". False: it is no such word. */
static bool take_value(struct pipe_options *o, const char *word, const char **ret_fault)
{
	static const struct {
		const char *name;
		size_t offset;
		uint64_t least;
	} times[] = {
		{ "--timeout=", offsetof(struct pipe_options, timeout), 1 },
		{ "--retry-for=", offsetof(struct pipe_options, retry_for), 0 },
		{ "--retry-after=", offsetof(struct pipe_options, retry_after), 1 },
	};
	const char *value;

	for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++) {
		value = job_value_of(word, times[i].name);
		if (!value)
			continue;
		*ret_fault = take_time(value, times[i].least,
			(uint64_t *)(void *)((char *)o + times[i].offset));
		return true;
	}
	if ((value = job_value_of(word, "--keep=")))
		*ret_fault = take_keep(o, value);
	else if ((value = job_value_of(word, "--notes=")))
		*ret_fault = take_directory(value, &o->notes);
	else if ((value = job_value_of(word, "--tree=")))
		*ret_fault = take_directory(value, &o->tree);
	else if ((value = job_value_of(word, "--table=")))
		*ret_fault = take_directory(value, &o->table);
	return value != NULL;
}

static const char *take_word(struct pipe_options *o, const char *word)
{
	const char *fault = NULL;

	if (strcmp(word, "--help") == 0)
		o->mode = PIPE_HELP;
	else if (strcmp(word, "--version") == 0)
		o->mode = PIPE_VERSION;
	else if (strcmp(word, "--check") == 0)
		o->mode = PIPE_CHECK;
	else if (strcmp(word, "--strict-order") == 0)
		o->strict_order = true;
	else if (strcmp(word, "--strip") == 0)
		o->strip = true;
	else if (strcmp(word, "--delete") == 0)
		fault = take_after(o, PIPE_DELETE);
	else if (strcmp(word, "--keep-new") == 0)
		fault = take_after(o, PIPE_KEEP_NEW);
	else if (!take_value(o, word, &fault))
		fault = "not understood";
	return fault;
}

static const char *take_mailbox(struct pipe_options *o, const char *word)
{
	if (o->mailbox)
		return "not understood: put -- before the program";
	return take_directory(word, &o->mailbox);
}

static void set_fault(struct pipe_options *o, const char *wrong, const char *fault)
{
	if (o->fault)
		return;
	o->wrong = wrong;
	o->fault = fault;
}

/* Checks the conditions between several words. */
static void check_together(struct pipe_options *o)
{
	if (o->mode != PIPE_RUN && o->mode != PIPE_CHECK)
		return;
	if (!o->tree != !o->table)
		set_fault(o, o->tree ? "--tree" : "--table",
			"--tree and --table are used together");
	if (o->tree && (o->mailbox || o->argv))
		set_fault(o, o->mailbox ? o->mailbox : o->argv[0],
			"the table names mailboxes and programs");
	if (!o->tree && !o->mailbox)
		set_fault(o, "MAILDIR", "must be given");
	if (!o->tree && !o->argv)
		set_fault(o, "PROGRAM",
			"must be given, behind --; the unit postern-pipe@NAME takes it "
			"from Environment=PROGRAM=/PATH (systemctl edit "
			"postern-pipe@NAME)");
	if (o->argv && strchr(o->argv[0], '/') && o->argv[0][0] != '/')
		set_fault(o, o->argv[0],
			"must be a name that is found in $PATH, or a path that begins "
			"with /");
	if (o->notes && o->mailbox && strcmp(o->notes, o->mailbox) == 0)
		set_fault(o, "--notes", "must be another Maildir");
	if (o->strict_order && o->n_programs > 1)
		set_fault(
			o, "--strict-order", "runs one program at a time: leave out -n");
}

void pipe_options_parse(int argc, char **argv, struct pipe_options *ret)
{
	*ret = (struct pipe_options){
		.n_programs = 1,
		.timeout = TIMEOUT_DEFAULT,
		.retry_for = RETRY_FOR_DEFAULT,
		.retry_after = RETRY_AFTER_DEFAULT,
	};
	for (int i = 1; i < argc && !ret->fault; i++) {
		const char *word = argv[i], *next = i + 1 < argc ? argv[i + 1] : NULL;
		ret->wrong = word;
		if (strcmp(word, "--") == 0) {
			ret->argv = next ? argv + i + 1 : NULL;
			break;
		}
		if (strcmp(word, "-n") == 0) {
			ret->fault = take_number(ret, next);
			i++;
		} else if (strcmp(word, "-c") == 0) {
			ret->settings = next;
			ret->fault = next ? NULL : "must be followed by a file";
			i++;
		} else if (*word == '-') {
			ret->fault = take_word(ret, word);
		} else {
			ret->fault = take_mailbox(ret, word);
		}
	}
	check_together(ret);
	if (ret->fault)
		ret->mode = PIPE_USAGE;
}
