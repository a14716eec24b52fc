/*
 * Writes records of the listener. Connections open a log file as the user of the settings, in a directory that may
 * be that user's, where a link could stand in its place: so a listener that has kept root's rights writes to it by
 * a process that has given them up.
 */
#include "bin/listen/record.h"
#include <limits.h>
#include <unistd.h>
#include "edge/log/log.h"
#include "edge/sandbox/sandbox.h"

static void write_record(const struct listen_record *r, const char *text, bool as_set)
{
	struct log log;

	log_init(&log, r->inherited->journal_stream, r->inherited->stderr_silent);
	log.modules = r->modules;
	if (as_set)
		log_choose(&log, r->config);
	log_error(&log, text);
	log_done(&log);
}

static void run_writer(const struct listen_record *r, const char *text)
{
	close_range(STDERR_FILENO + 1, UINT_MAX, 0);
	write_record(r, text, sandbox_user(r->config->user) == 0);
	_exit(0);
}

void listen_record(const struct listen_record *r, const char *text)
{
	const struct config *c = r->config;
	bool by_user = c && c->user && c->log == LOG_JSON && geteuid() == 0;
	pid_t pid = by_user ? fork() : -1;

	if (pid == 0)
		run_writer(r, text);
	if (pid < 0)
		write_record(r, text, c && !by_user);
}
