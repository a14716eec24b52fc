/* SPDX-License-Identifier: ISC */
/*
 * The program postern: runs the mode of the command line, and ends with an exit status of
 * sysexits.h.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>
#include "bin/check/check.h"
#include "bin/key-agent.h"
#include "bin/listen/listen.h"
#include "bin/serve.h"
#include "edge/module.h"
#include "edge/sandbox/sandbox.h"

static void put_stderr(void *ctx, const char *fault)
{
	(void)ctx;
	dprintf(STDERR_FILENO, "postern: %s\n", fault);
}

static int show_config(struct connection *c)
{
	struct check_output output = { .config = &c->config };
	bool fine = connection_settings(c, check_print, &output);

	config_print(&c->config, stdout);
	return fine ? 0 : EX_CONFIG;
}

static int check_config(struct connection *c)
{
	struct check_output output = { &c->config, c->options.json };

	if (c->options.listens)
		return check_listener(c);
	connection_settings(c, check_print, &output);
	return check(&c->config);
}

/* Without the settings file: only an option of the command line can put TLS first. */
static bool is_implicit(const struct options *o)
{
	for (size_t i = 0; i < o->n_overrides; i++)
		if (strcmp(o->overrides[i], "tls=implicit") == 0)
			return true;
	return false;
}

/* Sends 421, unless the connection begins with TLS. False when it cannot be sent. */
static bool put_refusal(const struct options *o)
{
	char octets[REPLY_LINE_MAX];
	struct buf b = BUF(octets);

	reply_put(&b, reply_get(REPLY_MISCONFIGURED), SPAN(""));
	return is_implicit(o) || write(STDOUT_FILENO, b.p, b.n) >= 0;
}

/*
 * Reports a wrong command line: to the log if descriptor 2 may be the client, else to
 * standard error.
 */
static int usage(struct connection *c)
{
	const struct options *o = &c->options;
	bool has_client = inherit_may_be_connection(&c->inherited) &&
			  inherit_connection(&c->inherited) == INHERIT_FINE;
	char text[CONFIG_FAULT_MAX];

	snprintf(text, sizeof(text), "%s: %s%s%s see postern --help", o->wrong, o->why,
		o->meant, *o->meant ? "" : ";");
	if (c->inherited.stderr_silent) {
		log_init(&c->log, NULL, true);
		log_error(&c->log, text);
		log_done(&c->log);
	} else {
		put_stderr(NULL, text);
	}
	return has_client && !put_refusal(o) ? EX_IOERR : EX_USAGE;
}

/*
 * Sends 421 to the client. Nothing is written to descriptor 2, because it may be the
 * client (inetd).
 */
static int fail_without_memory(int argc, char **argv)
{
	struct inherited inherited;
	struct options o;

	options_parse(argc, argv, &o);
	inherit(&inherited);
	if (o.mode != MODE_SERVE || inherit_connection(&inherited) == INHERIT_FINE)
		put_stderr(NULL, "out of memory");
	return o.mode == MODE_SERVE && !put_refusal(&o) ? EX_IOERR : EX_OSERR;
}

/* Prints the version. A static program has a second line. */
static int show_version(void)
{
	const char *inside = module_inside();

	if (puts("postern " VERSION) < 0)
		return EX_IOERR;
	return inside && puts(inside) < 0 ? EX_IOERR : 0;
}

int main(int argc, char **argv)
{
	struct connection *c;
	int status;

	sandbox_hide();
	if (users_serve(argc, argv, &status))
		return status;
	c = malloc(sizeof(*c));
	if (!c)
		return fail_without_memory(argc, argv);
	memset(c, 0, offsetof(struct connection, session));
	inherit(&c->inherited);
	options_parse(argc, argv, &c->options);
	switch (c->options.mode) {
	case MODE_SERVE:
		/* exit handlers of libraries do not run in the sandbox */
		_exit(serve_inherited(c));
	case MODE_LISTEN:
		_exit(listen_run(&c->options, &c->inherited, argv));
	case MODE_KEY_AGENT:
		_exit(key_agent_run(&c->options, &c->inherited));
	case MODE_CHECK:
		return check_config(c);
	case MODE_PRINT_CONFIG:
		return show_config(c);
	case MODE_HELP:
		return fputs(options_help, stdout) < 0 ? EX_IOERR : 0;
	case MODE_VERSION:
		return show_version();
	case MODE_USAGE:
		break;
	}
	return usage(c);
}
