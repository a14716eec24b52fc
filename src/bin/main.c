/* The program: what the command line asks for. Promises an exit status that tells; refuses to know SMTP. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>
#include "bin/check.h"
#include "bin/connection.h"
#include "bin/listen.h"

static void put_stderr(void *ctx, const char *fault)
{
	(void)ctx;
	dprintf(STDERR_FILENO, "postern: %s\n", fault);
}

/* A connection in a process that was forked for it. */
static int serve_forked(void *ctx, enum listen_kind kind, const struct warm *warm)
{
	struct connection *c = ctx;
	struct options *o = &c->options;
	int r;

	c->warm = warm;
	c->inherited.notify_socket = NULL;
	c->inherited.listen_pid = NULL;
	c->inherited.peer = (struct peer_environment){ 0 };
	o->lmtp = kind == LISTEN_LMTP;
	if (kind != LISTEN_SMTP)
		o->overrides[o->n_overrides++] =
			kind == LISTEN_LMTP ? "tls=off" : "tls=implicit";
	r = connection_serve(c);
	return r ? r : LISTEN_STATUS + (int)topic_of(&c->session, RECORD_SESSION);
}

static int start_listening(struct connection *c, char **argv)
{
	struct buf directory = BUF(c->modules);
	const struct listen_service service = {
		.options = &c->options,
		.inherited = &c->inherited,
		.modules = c->modules,
		.serve = serve_forked,
		.ctx = c,
	};

	module_directory(&directory);
	return listen_run(&service, argv);
}

static int show_config(struct connection *c)
{
	bool fine = connection_settings(c, put_stderr, NULL);

	config_print(&c->config, stdout);
	return fine ? 0 : EX_CONFIG;
}

static int check_config(struct connection *c)
{
	connection_settings(c, put_stderr, NULL);
	return check(&c->config);
}

static int usage(const struct options *o)
{
	dprintf(STDERR_FILENO, "postern: %s: not understood; see postern --help\n",
		o->wrong);
	return EX_USAGE;
}

int main(int argc, char **argv)
{
	struct connection *c = malloc(sizeof(*c));

	if (!c)
		return EX_OSERR;
	memset(c, 0, offsetof(struct connection, session));
	inherit(&c->inherited);
	options_parse(argc, argv, &c->options);
	switch (c->options.mode) {
	case MODE_SERVE:
		return connection_serve(c);
	case MODE_LISTEN:
		return start_listening(c, argv);
	case MODE_CHECK:
		return check_config(c);
	case MODE_PRINT_CONFIG:
		return show_config(c);
	case MODE_HELP:
		return fputs(options_help, stdout) < 0 ? EX_IOERR : 0;
	case MODE_VERSION:
		return puts("postern " VERSION) < 0 ? EX_IOERR : 0;
	case MODE_USAGE:
		break;
	}
	return usage(&c->options);
}
