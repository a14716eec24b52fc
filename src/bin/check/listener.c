/*
 * `postern --check --listen`: the settings as the listener reads them, for each kind of socket that it would have. Each
 * kind is looked at in a process of its own, as looking at it means to become the user of the settings.
 */
#include "bin/check/listener.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "bin/listen/listen.h"
#include "bin/check/check.h"

#define LINES_MAX 1024 /* faults that are compared with those of other kinds */

/* The faults that were printed: most are those of every kind. */
struct printed {
	char *lines[LINES_MAX];
	size_t n;
};

/* In the process of that kind. */
static int check_kind(struct connection *c, enum listen_kind kind)
{
	struct check_output output = { &c->config, c->options.json };

	listen_put_options(&c->options, kind);
	connection_settings(c, check_print, &output);
	return check(&c->config, true);
}

static bool is_printed(const struct printed *p, const char *line)
{
	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->lines[i], line) == 0)
			return true;
	return false;
}

/* Owns `from`. */
static void print_new(struct printed *p, int from, FILE *to)
{
	FILE *lines = fdopen(from, "r");
	char *line = NULL;
	size_t room = 0;

	while (lines && getline(&line, &room, lines) > 0) {
		if (is_printed(p, line))
			continue;
		fputs(line, to);
		if (p->n < LINES_MAX && (p->lines[p->n] = strdup(line)))
			p->n++;
	}
	free(line);
	if (lines)
		fclose(lines);
	else
		close(from);
}

/* An exit status. */
static int check_apart(struct connection *c, enum listen_kind kind, struct printed *p)
{
	const bool json = c->options.json;
	int ends[2], status;
	pid_t pid = -1;

	if (pipe(ends) == 0)
		pid = fork();
	if (pid < 0) {
		check_print(&(struct check_output){ .json = json }, strerror(errno));
		return EX_OSERR;
	}
	if (pid == 0) {
		close(ends[0]);
		if (dup2(ends[1], json ? STDOUT_FILENO : STDERR_FILENO) < 0)
			_exit(EX_OSERR);
		_exit(check_kind(c, kind));
	}
	close(ends[1]);
	print_new(p, ends[0], json ? stdout : stderr);
	if (waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
		return EX_SOFTWARE;
	return WEXITSTATUS(status);
}

static void put_address_fault(
	const struct options *o, const char *address, const char *wrong)
{
	struct check_output output = { .json = o->json };
	char text[CONFIG_FAULT_MAX];

	snprintf(text, sizeof(text), "--listen=%s: %s", address, wrong);
	check_print(&output, text);
}

/* The kinds of the addresses; sockets that are handed over are taken for SMTP. False: some address is none. */
static bool find_kinds(const struct options *o, bool wanted[static LISTEN_KINDS])
{
	bool fine = true;

	wanted[LISTEN_SMTP] = o->n_addresses == 0;
	for (size_t i = 0; i < o->n_addresses; i++) {
		enum listen_kind kind;
		const char *wrong = listen_find_kind(o->addresses[i], &kind);
		if (wrong)
			put_address_fault(o, o->addresses[i], wrong);
		else
			wanted[kind] = true;
		fine &= !wrong;
	}
	return fine;
}

int check_listener(struct connection *c)
{
	struct printed printed = { .n = 0 };
	bool wanted[LISTEN_KINDS] = { false };
	int worst = find_kinds(&c->options, wanted) ? 0 : EX_CONFIG;

	for (enum listen_kind kind = 0; kind < LISTEN_KINDS; kind++) {
		int status = wanted[kind] ? check_apart(c, kind, &printed) : 0;
		if (status)
			worst = status;
	}
	while (printed.n)
		free(printed.lines[--printed.n]);
	return worst;
}
