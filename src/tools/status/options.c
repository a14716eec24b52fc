/* SPDX-License-Identifier: ISC */
/* Parses the command line, and describes its first fault. Opens nothing. */
#include "tools/status/status.h"
#include <getopt.h>
#include "base/num.h"
#include "edge/settings/settings.h"
#include "tools/status/time.h"

const char status_help[] =
	"Usage: postern-status [-c FILE] [OPTION]... [FILE]...\n"
	"\n"
	"Shows the state of postern: its TLS setting and certificate, the status line,\n"
	"the sessions and messages of the last hour. Reads the records in FILE, which\n"
	"the setting log = json:FILE writes, and in its rotated files; without FILE the\n"
	"records in the place of the setting log, by default the journal. Several "
	"FILEs,\n"
	"such as those of several hosts, are read as one.\n"
	"\n"
	"  -c FILE            read settings from FILE instead of\n"
	"                     " CONFIG_FILE_DEFAULT "\n"
	"  -D DIRECTORY       read the journal in DIRECTORY\n"
	"      --follow       continue, and show new records\n"
	"      --sessions     list sessions, the newest last\n"
	"      --messages     list messages, the newest last\n"
	"      --runs         list runs of programs (postern-pipe), the newest last\n"
	"      --peer ADDRESS only records of ADDRESS, or a network such as "
	"192.0.2.0/24\n"
	"      --to ADDRESS   messages for ADDRESS, delivered or refused; @DOMAIN for "
	"all\n"
	"                     of a domain\n"
	"      --from ADDRESS messages from ADDRESS; '<>' for reports\n"
	"      --id ID        the message with this id in its reply, or Message-ID\n"
	"      --since TIME   since TIME: 2h, 7d, today, 2026-11-28, 2026-11-28T09:30\n"
	"  -n NUMBER          only the newest NUMBER; 20 of a list without --since\n"
	"      --json         print the records as JSON Lines\n"
	"      --openmetrics  print numbers for Prometheus\n"
	"      --totals FILE  also counters, which are kept in FILE\n"
	"      --healthy      print one line, and exit with 0 (well), 1 (a warning) or "
	"2\n"
	"      --help         show this\n"
	"      --version      show the version\n"
	"\n"
	"Manual page: postern-status(1).\n";

enum long_option {
	OPTION_FOLLOW = 256, /* above all option letters */
	OPTION_SESSIONS,
	OPTION_MESSAGES,
	OPTION_RUNS,
	OPTION_PEER,
	OPTION_TO,
	OPTION_FROM,
	OPTION_ID,
	OPTION_SINCE,
	OPTION_JSON,
	OPTION_OPENMETRICS,
	OPTION_TOTALS,
	OPTION_HEALTHY,
	OPTION_HELP,
	OPTION_VERSION,
};

static const struct option longs[] = {
	{ "follow", no_argument, NULL, OPTION_FOLLOW },
	{ "sessions", no_argument, NULL, OPTION_SESSIONS },
	{ "messages", no_argument, NULL, OPTION_MESSAGES },
	{ "runs", no_argument, NULL, OPTION_RUNS },
	{ "peer", required_argument, NULL, OPTION_PEER },
	{ "to", required_argument, NULL, OPTION_TO },
	{ "from", required_argument, NULL, OPTION_FROM },
	{ "id", required_argument, NULL, OPTION_ID },
	{ "since", required_argument, NULL, OPTION_SINCE },
	{ "json", no_argument, NULL, OPTION_JSON },
	{ "openmetrics", no_argument, NULL, OPTION_OPENMETRICS },
	{ "totals", required_argument, NULL, OPTION_TOTALS },
	{ "healthy", no_argument, NULL, OPTION_HEALTHY },
	{ "help", no_argument, NULL, OPTION_HELP },
	{ "version", no_argument, NULL, OPTION_VERSION },
	{ 0 },
};

static const char *take_number(struct status_options *o, const char *text)
{
	uint64_t number;

	if (!num_parse(span_of(text), &number) || number == 0 || number > STATUS_MOST_MAX)
		return "must be a number from 1 to 1000000000";
	o->most = (size_t)number;
	return NULL;
}

static const char *take_since(struct status_options *o, const char *text, int64_t now)
{
	int64_t ignored;

	o->since = text;
	return status_time_since(text, now, &ignored);
}

/* Sets the mode. A mode that is later in the enum takes precedence, as --help does. */
static const char *take_mode(struct status_options *o, enum status_mode mode)
{
	if (o->mode < mode)
		o->mode = mode;
	return NULL;
}

/* Takes an option that selects records. Returns NULL, or the fault. */
static const char *take_filter(struct status_options *o, int option)
{
	switch (option) {
	case OPTION_SESSIONS:
		o->filter.events |= 1U << RECORD_SESSION;
		return NULL;
	case OPTION_MESSAGES:
		o->filter.events |= 1U << RECORD_MESSAGE;
		return NULL;
	case OPTION_RUNS:
		o->filter.events |= 1U << RECORD_PIPE;
		return NULL;
	case OPTION_PEER:
		o->peer = optarg;
		o->filter.has_peer = true;
		return network_parse(span_of(optarg), &o->filter.peer);
	case OPTION_TO:
		o->filter.to = optarg;
		return NULL;
	case OPTION_FROM:
		o->filter.from = optarg;
		return NULL;
	case OPTION_ID:
		o->filter.id = optarg;
		return NULL;
	default:
		return "not understood";
	}
}

/* Takes an option. Returns NULL, or the fault. */
static const char *take_option(struct status_options *o, int option, int64_t now)
{
	switch (option) {
	case 'c':
		o->settings = optarg;
		return NULL;
	case 'D':
		o->directory = optarg;
		return NULL;
	case 'n':
		return take_number(o, optarg);
	case OPTION_FOLLOW:
		o->follow = true;
		return NULL;
	case OPTION_SINCE:
		return take_since(o, optarg, now);
	case OPTION_JSON:
		o->json = true;
		return take_mode(o, STATUS_MODE_JSON);
	case OPTION_OPENMETRICS:
		o->metrics = true;
		return take_mode(o, STATUS_MODE_METRICS);
	case OPTION_TOTALS:
		o->totals = optarg;
		return NULL;
	case OPTION_HEALTHY:
		return take_mode(o, STATUS_MODE_HEALTH);
	case OPTION_HELP:
		return take_mode(o, STATUS_MODE_HELP);
	case OPTION_VERSION:
		return take_mode(o, STATUS_MODE_VERSION);
	case ':':
		return "needs a value";
	default:
		return take_filter(o, option);
	}
}

/* True for options about fields that only records of messages and runs have. */
static bool searches(const struct status_options *o)
{
	return o->filter.to || o->filter.from || o->filter.id;
}

/* Returns the fault of options that contradict each other, or NULL. */
static const char *check_all(struct status_options *o)
{
	if (o->totals && o->mode < STATUS_MODE_METRICS)
		return "--totals are counters of --openmetrics, which is missing";
	if (o->mode == STATUS_MODE_METRICS && o->json)
		return "--json and --openmetrics are two formats: choose one";
	if (o->mode == STATUS_MODE_METRICS && (o->follow || o->filter.events || o->most))
		return "--openmetrics cannot be combined with --follow, --sessions, "
		       "--messages, --runs and -n";
	if (o->mode == STATUS_MODE_HEALTH &&
		(o->follow || o->json || o->metrics || o->totals || o->peer ||
			o->filter.events || o->most || searches(o)))
		return "--healthy covers all records: only -c, -D, "
		       "--since and files can be used with it";
	if (searches(o) && (o->mode == STATUS_MODE_METRICS ||
				   o->filter.events & 1U << RECORD_SESSION))
		return "--to, --from and --id are for messages and runs: --sessions "
		       "and --openmetrics have none of them";
	/* more than one bit is set */
	if (o->mode == STATUS_MODE_PANEL && o->filter.events & (o->filter.events - 1))
		return "--sessions, --messages and --runs are lists of their own; with "
		       "--json they are one";
	if (o->peer && o->filter.events & 1U << RECORD_PIPE)
		return "--peer is for sessions and messages: --runs have none";
	if (o->n_files && o->directory)
		return "-D is a journal, and a file was given, too";
	return NULL;
}

static void settle(struct status_options *o)
{
	if (searches(o) && !o->filter.events)
		o->filter.events = 1U << RECORD_MESSAGE;
	if (o->mode == STATUS_MODE_PANEL && o->filter.events)
		o->mode = STATUS_MODE_TABLE;
	if (o->filter.events == 0)
		o->filter.events = (1U << RECORD_EVENTS) - 1;
}

static void find_meant(struct status_options *o)
{
	struct words names = WORDS_OF(longs);

	names.n--; /* the end of the list */
	conf_put_meant_option(o->meant, o->wrong, &names);
}

static const char *take_file(struct status_options *o, const char *path)
{
	if (o->n_files == STATUS_FILES_GIVEN_MAX)
		return "is one file too many";
	o->files[o->n_files++] = path;
	return NULL;
}

void status_options_parse(int argc, char **argv, int64_t now, struct status_options *ret)
{
	*ret = (struct status_options){ .settings = CONFIG_FILE_DEFAULT };
	opterr = 0;
	optind = 0;
	for (int option; !ret->fault;) {
		int at = optind ? optind : 1;

		/* "-": operands are returned in order, so that `at` is the word */
		option = getopt_long(argc, argv, "-:c:D:n:", longs, NULL);
		if (option < 0)
			break;
		ret->wrong = argv[at < argc ? at : argc - 1];
		ret->fault = option == 1 ? take_file(ret, optarg)
					 : take_option(ret, option, now);
		if (option == '?')
			find_meant(ret);
	}
	for (; !ret->fault && optind < argc; optind++) {
		ret->wrong = argv[optind];
		ret->fault = take_file(ret, argv[optind]);
	}
	if (!ret->fault) {
		ret->wrong = "options";
		ret->fault = check_all(ret);
	}
	if (ret->fault)
		ret->mode = STATUS_MODE_USAGE;
	settle(ret);
}
