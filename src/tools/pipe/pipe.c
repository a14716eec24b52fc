/* SPDX-License-Identifier: ISC */
/*
 * postern-pipe: runs a program for each message that arrives in a Maildir, at least once,
 * in order of arrival. No message is lost, even after a failure, or when the program is
 * killed.
 */
#include "tools/pipe/pipe.h"
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

static int run(const struct pipe_options *o)
{
	job_block_signals();
	/* the program must not depend on the current directory */
	if (chdir("/") < 0)
		return EX_OSERR;
	return o->tree ? pipe_tree(o) : pipe_work(o);
}

int main(int argc, char **argv)
{
	struct pipe_options options;

	job_open_descriptors();
	pipe_options_parse(argc, argv, &options);
	switch (options.mode) {
	case PIPE_RUN:
		return run(&options);
	case PIPE_CHECK:
		return pipe_check(&options);
	case PIPE_HELP:
		return fputs(pipe_help, stdout) < 0 ? EX_IOERR : 0;
	case PIPE_VERSION:
		return puts("postern-pipe " VERSION) < 0 ? EX_IOERR : 0;
	case PIPE_USAGE:
		break;
	}
	dprintf(STDERR_FILENO, "postern-pipe: %s: %s; see postern-pipe --help\n",
		options.wrong, options.fault);
	return EX_USAGE;
}
