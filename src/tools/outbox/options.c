/* Promises to understand the command line or to say what it did not; opens nothing. */
#include "tools/outbox/options.h"
#include "base/num.h"

#define SENDMAIL_DEFAULT "/usr/sbin/sendmail"
#define RATE_DEFAULT 60
#define KEEP_DEFAULT 30
#define KEEP_MAX 36500

const char outbox_help[] =
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

/* What is behind `name` ("--rate="), or NULL. */
static const char *value_of(const char *word, const char *name)
{
	size_t n = strlen(name);

	return strncmp(word, name, n) == 0 ? word + n : NULL;
}

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

/* NULL, or what is wrong with the word. */
static const char *take_word(struct outbox_options *o, const char *word)
{
	const char *rate = value_of(word, "--rate=");
	const char *sendmail = value_of(word, "--sendmail=");
	const char *keep = value_of(word, "--keep=");

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
	else if (*word == '-')
		return "not understood";
	else
		return take_operand(o, word);
	return NULL;
}

void outbox_options_parse(int argc, char **argv, struct outbox_options *ret)
{
	bool operands =
		false; /* "--" was there: no word is an option any more (XBD 12.2) */

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
