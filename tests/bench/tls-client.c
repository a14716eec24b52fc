/* SPDX-License-Identifier: ISC */
/*
 * Sends messages to an SMTP server, in the clear or with TLS, and says what the server
 * used.
 *
 *	tls-client [options] -- PROGRAM ARGUMENTS...	one process a session
 *	tls-client [options] ADDRESS PORT		a server that listens
 *
 * PROGRAM has a socket as its descriptors 0 and 1. Only its own work is measured (its CPU
 * time), so that `valgrind --tool=callgrind`, `strace -c` or `perf stat` can be put before
 * it. Of a server that listens nothing is measured here but the time.
 */
#include "client.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_JOBS 1000

static void usage(void)
{
	fputs("usage: tls-client [-m plain|starttls|implicit] [-n SESSIONS] [-j JOBS]\n"
	      "                  [-s OCTETS] [-c CHUNK] [-r FILE] [-p PRIORITY]\n"
	      "                  [-t RECIPIENT] [-f FIELDS] ADDRESS PORT | -- PROGRAM "
	      "ARGUMENTS...\n"
	      "-j  so many sessions at once\n"
	      "-c  BDAT with chunks of so many octets; 0: DATA\n"
	      "-f  so many fields more, with DATA\n"
	      "-r  resumes the session kept in FILE; where it is missing, keeps the "
	      "first\n",
		stderr);
	exit(64);
}

static void parse_options(int argc, char *argv[], struct options *o)
{
	int letter;

	while ((letter = getopt(argc, argv, "+f:m:n:j:s:c:r:p:t:")) != -1)
		switch (letter) {
		case 'f':
			o->fields = strtoul(optarg, NULL, 10);
			break;
		case 'm':
			o->mode = (enum mode)optarg[0];
			break;
		case 'n':
			o->sessions = strtoul(optarg, NULL, 10);
			break;
		case 's':
			o->size = strtoul(optarg, NULL, 10);
			break;
		case 'c':
			o->chunk = strtoul(optarg, NULL, 10);
			break;
		case 'j':
			o->jobs = strtoul(optarg, NULL, 10);
			break;
		case 'r':
			o->ticket = optarg;
			break;
		case 'p':
			o->priority = optarg;
			break;
		case 't':
			o->recipient = optarg;
			break;
		default:
			usage();
		}
	if (o->jobs < 1 || o->jobs > MAX_JOBS || o->fields > FIELDS_MAX)
		usage();
	if (strcmp(argv[optind - 1], "--") == 0 && argv[optind])
		o->program = argv + optind;
	else if (argc - optind != 2)
		usage();
	else {
		o->address = argv[optind];
		o->port = argv[optind + 1];
	}
}

static void read_ticket(const struct options *o, struct results *results)
{
	if (!o->ticket)
		return;
	if (access(o->ticket, F_OK) != 0)
		return;
	if (gnutls_load_file(o->ticket, &results->ticket) < 0)
		die(o->ticket, "cannot be read");
}

static void write_ticket(const struct options *o, const struct results *results)
{
	FILE *file;

	if (!o->ticket || !results->ticket.data || access(o->ticket, F_OK) == 0)
		return;
	file = fopen(o->ticket, "w");
	if (!file || fwrite(results->ticket.data, results->ticket.size, 1, file) != 1 ||
		fclose(file) != 0)
		die(o->ticket, strerror(errno));
}

static void run_sessions(
	const struct options *o, unsigned long sessions, struct results *results)
{
	for (unsigned long i = 0; i < sessions; i++)
		run_session(o, results);
}

static void wait_for(unsigned long jobs)
{
	bool failed = false;

	for (unsigned long i = 0; i < jobs; i++) {
		int status;

		if (wait(&status) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
			failed = true;
	}
	if (failed)
		exit(1);
}

/* Processes that each have their share of the sessions. */
static void run_jobs(const struct options *o, struct results *results)
{
	unsigned long *resumed = mmap(NULL, o->jobs * sizeof(*resumed),
		PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (resumed == MAP_FAILED)
		die("mmap", strerror(errno));
	for (unsigned long i = 0; i < o->jobs; i++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork", strerror(errno));
		if (pid > 0)
			continue;
		run_sessions(
			o, o->sessions / o->jobs + (i < o->sessions % o->jobs), results);
		resumed[i] = results->resumed;
		exit(0);
	}
	wait_for(o->jobs);
	for (unsigned long i = 0; i < o->jobs; i++)
		results->resumed += resumed[i];
}

static double milliseconds(struct timeval t)
{
	return (double)t.tv_sec * 1e3 + (double)t.tv_usec / 1e3;
}

int main(int argc, char *argv[])
{
	struct options o = { .mode = STARTTLS,
		.sessions = 1,
		.jobs = 1,
		.size = 4096,
		.priority = "NORMAL",
		.recipient = "user@example.net" };
	struct results results = { 0 };
	struct timeval begin;
	struct timeval end;
	double n;

	parse_options(argc, argv, &o);
	n = (double)o.sessions;
	signal(SIGPIPE, SIG_IGN);
	gnutls_certificate_allocate_credentials(&results.credentials);
	read_ticket(&o, &results);
	gettimeofday(&begin, NULL);
	if (o.jobs == 1)
		run_sessions(&o, o.sessions, &results);
	else
		run_jobs(&o, &results);
	gettimeofday(&end, NULL);
	timersub(&end, &begin, &end);
	write_ticket(&o, &results);
	printf("sessions %lu resumed %lu wall-ms %.3f server-user-ms %.3f "
	       "server-system-ms %.3f\n",
		o.sessions, results.resumed, milliseconds(end) / n,
		milliseconds(results.usage.ru_utime) / n,
		milliseconds(results.usage.ru_stime) / n);
	return 0;
}
