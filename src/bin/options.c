/* SPDX-License-Identifier: ISC */
/* Parses the command line. For a wrong one it keeps the word and the fault. */
#include "bin/options.h"
#include <string.h>
#include "edge/settings/settings.h"

const char options_help[] =
	"Usage: postern [-c FILE] [-o KEY=VALUE]... [--lmtp]\n"
	"       postern [-c FILE] [-o KEY=VALUE]... --listen[=ADDRESS]\n"
	"       postern [-c FILE] [-o KEY=VALUE]... --check [--json]\n"
	"               [--listen[=ADDRESS] | --lmtp]\n"
	"       postern [-c FILE] [-o KEY=VALUE]... --key-agent\n"
	"       postern [-c FILE] [-o KEY=VALUE]... --print-config\n"
	"\n"
	"Receives mail by SMTP on standard input and output, for one connection, and\n"
	"writes it into Maildirs. Started by systemd, an inetd, tcpserver or a pipe.\n"
	"\n"
	"  -c FILE            read settings from FILE instead of\n"
	"                     " CONFIG_FILE_DEFAULT "\n"
	"  -o KEY=VALUE       set KEY to VALUE, in place of the file\n"
	"      --lmtp         speak LMTP (RFC 2033): local delivery for a mail server\n"
	"      --listen       accept connections from the sockets that systemd hands "
	"over\n"
	"                     (Accept=no), and fork a process for each\n"
	"      --listen=ADDRESS\n"
	"                     the same, at 192.0.2.1:25, [2001:db8::1]:25, *:25 or a "
	"path;\n"
	"                     smtps=ADDRESS begins with TLS, lmtp=ADDRESS speaks LMTP,\n"
	"                     submission=ADDRESS requires TLS and a login\n"
	"      --check        check all that a connection uses, and print every fault;\n"
	"                     with --listen all that a listener uses\n"
	"      --json         print the faults on standard output, as JSON Lines\n"
	"      --key-agent    keep the private keys, and sign for processes that serve "
	"one\n"
	"                     connection each, at a socket that systemd hands over\n"
	"      --print-config show all settings and their values\n"
	"      --help         show this\n"
	"      --version      show the version\n"
	"\n"
	"To try it, with mail for any address into one Maildir:\n"
	"  postern -o maildir=/tmp/mail -o domains='*'\n"
	"\n"
	"Manual pages: postern-guide(7), postern(8), postern.conf(5).\n";

static const struct {
	const char *word;
	enum options_mode mode;
} modes[] = {
	{ "--listen", MODE_LISTEN },
	{ "--key-agent", MODE_KEY_AGENT },
	{ "--check", MODE_CHECK },
	{ "--print-config", MODE_PRINT_CONFIG },
	{ "--help", MODE_HELP },
	{ "--version", MODE_VERSION },
};

/*
 * Sets the mode; a second one is a fault. Exceptions: --check may be combined with
 * --listen; --help and --version override others.
 */
static void set_mode(struct options *o, const char *word, enum options_mode mode)
{
	bool is_help = mode == MODE_HELP || mode == MODE_VERSION;
	bool was_help = o->mode == MODE_HELP || o->mode == MODE_VERSION;

	o->listens |= mode == MODE_LISTEN;
	if (was_help || o->mode == mode || (o->mode == MODE_CHECK && mode == MODE_LISTEN))
		return;
	if (!is_help && o->mode != MODE_SERVE &&
		!(o->mode == MODE_LISTEN && mode == MODE_CHECK)) {
		o->wrong = word;
		o->why = "is a second mode: choose one of --check, --key-agent, "
			 "--print-config and "
			 "--listen; only --check and --listen can be combined";
		return;
	}
	o->mode = mode;
}

static bool parse_mode(struct options *o, const char *word)
{
	static const struct words words = WORDS_OF(modes);
	size_t i = words_find(&words, span_of(word));

	if (i < words.n)
		set_mode(o, word, modes[i].mode);
	return i < words.n;
}

/* Returns the value of a short option, "-c FILE" or "-cFILE", or NULL. */
static const char *value_of(const char *word, char letter, char **argv, int *at)
{
	if (word[0] != '-' || word[1] != letter)
		return NULL;
	if (word[2])
		return word + 2;
	return argv[*at + 1] ? argv[++*at] : NULL;
}

static bool parse_value(struct options *o, char **argv, int *at)
{
	const char *word = argv[*at];
	const char *file = value_of(word, 'c', argv, at);
	const char *pair = file ? NULL : value_of(word, 'o', argv, at);

	if (file) {
		o->file = file;
		o->file_given = true;
	} else if (pair && o->n_overrides < OPTIONS_OVERRIDES_MAX) {
		o->overrides[o->n_overrides++] = pair;
	} else {
		return false;
	}
	return true;
}

/* Parses "--listen=ADDRESS". */
static bool parse_address(struct options *o, const char *word)
{
	static const char prefix[] = "--listen=";
	size_t n = sizeof(prefix) - 1;

	if (strncmp(word, prefix, n) != 0)
		return false;
	if (o->n_addresses == OPTIONS_ADDRESSES_MAX) {
		o->wrong = word;
		o->why =
			"there are more than 16 addresses: use another listener for this "
			"one, or *:PORT for all addresses of the host";
		return true;
	}
	set_mode(o, word, MODE_LISTEN);
	o->addresses[o->n_addresses++] = word + n;
	return true;
}

void options_source(const struct options *o, struct settings_source *ret)
{
	*ret = (struct settings_source){
		.file = o->file,
		.must_exist = o->file_given,
		.overrides = o->overrides,
		.n_overrides = o->n_overrides,
		.lmtp = o->lmtp,
	};
}

static bool parse_flag(struct options *o, const char *word)
{
	bool is_lmtp = strcmp(word, "--lmtp") == 0, is_json = strcmp(word, "--json") == 0;

	o->lmtp |= is_lmtp;
	o->json |= is_json;
	return is_lmtp || is_json;
}

static void refuse(struct options *o, const char *word, bool is_operand)
{
	static const char *const options[] = { "check", "help", "json", "key-agent",
		"listen", "lmtp", "print-config", "version" };
	static const struct words names = WORDS_OF(options);

	o->wrong = word;
	o->why = "not understood";
	if (!is_operand)
		conf_put_meant_option(o->meant, word, &names);
}

void options_parse(int argc, char **argv, struct options *ret)
{
	/* all words after "--" are operands (XBD 12.2), which are not allowed */
	bool operands = false;

	*ret = (struct options){ .file = CONFIG_FILE_DEFAULT };
	for (int i = 1; i < argc && !ret->wrong; i++) {
		const char *word = argv[i];
		if (operands)
			refuse(ret, word, true);
		else if (strcmp(word, "--") == 0)
			operands = true;
		else if (!parse_mode(ret, word) && !parse_value(ret, argv, &i) &&
			 !parse_address(ret, word) && !parse_flag(ret, word))
			refuse(ret, word, false);
	}
	if (!ret->wrong && ret->lmtp && ret->listens) {
		ret->wrong = "--lmtp";
		ret->why = "is for one connection: listen at lmtp=ADDRESS";
	}
	if (!ret->wrong && ret->json && ret->mode != MODE_CHECK) {
		ret->wrong = "--json";
		ret->why = "is only for --check";
	}
	if (ret->wrong)
		ret->mode = MODE_USAGE;
}
