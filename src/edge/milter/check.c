/* SPDX-License-Identifier: ISC */
/* The filters of a file as `--check` sees them: connected to, and asked for terms. */
#include <unistd.h>
#include "edge/milter/parts.h"
#include <stdio.h>

#define FINDING_MAX 1024
#define HTTP_SECONDS 5

static void put_terms(struct buf *b, const struct milter_terms *t)
{
	size_t n;

	buf_put(b, SPAN("version "));
	buf_put_num(b, t->version);
	buf_put(b, SPAN("; actions: "));
	n = b->n;
	milter_put_actions(b, t->actions);
	if (b->n == n)
		buf_put(b, SPAN("none"));
	buf_put(b, SPAN("; steps: "));
	n = b->n;
	milter_put_options(b, t->options);
	if (b->n == n)
		buf_put(b, SPAN("all"));
}

/*
 * A server of HTTP may close, or wait, when it gets something else: then it is asked with
 * HTTP, and the fault says what it is. Other servers get that on a second connection.
 */
static void ask_http(struct filter *f)
{
	struct link l = { .fd = -1 };
	struct milter_frame frame;
	int r = link_open(&l, &f->setting);

	if (r == 0)
		r = link_wait(&l, HTTP_SECONDS);
	if (r == 0)
		r = octets_put(&l.out, SPAN("GET /ping HTTP/1.0\r\n\r\n"), SIZE_MAX / 4);
	if (r == 0)
		r = link_flush(&l, HTTP_SECONDS);
	if (r == 0 && link_read(&l, HTTP_SECONDS, &frame) < 0 && strstr(l.fault, "HTTP"))
		memcpy(f->link.fault, l.fault, sizeof(l.fault));
	link_done(&l);
}

/* Root can connect to what others cannot. */
static void report_reach(
	const struct filter *f, const char *path, const struct milter_report *report)
{
	char text[FINDING_MAX] = "", said[FINDING_MAX / 2] = "";
	struct buf b = BUF(text), about = BUF(said);

	if (geteuid() != 0 || !filter_put_reach(&about, &f->setting))
		return;
	said[about.n < sizeof(said) ? about.n : sizeof(said) - 1] = '\0';
	filter_put_fault(&b, path, f, said);
	report->finding(report->ctx, text);
}

/* True when nothing is wrong with the filter. */
static bool check_one(
	struct filter *f, const char *path, const struct milter_report *report)
{
	char text[FINDING_MAX] = "", finding[FINDING_MAX / 2] = "";
	struct buf b = BUF(text), about = BUF(finding);
	int r = link_open(&f->link, &f->setting);
	bool fine;

	if (r == 0)
		r = filter_begin(f);
	fine = r == 0;
	if (!fine && f->link.connected)
		ask_http(f);
	if (fine)
		put_terms(&about, &f->talk.terms);
	else
		buf_put_str(&about, f->link.fault);
	if (!fine && !f->link.connected)
		filter_put_cure(&about, &f->setting, -r);
	finding[about.n < sizeof(finding) ? about.n : sizeof(finding) - 1] = '\0';
	filter_put_fault(&b, path, f, finding);
	(fine ? report->finding : report->fault)(report->ctx, text);
	if (fine)
		report_reach(f, path, report);
	filter_quit(f);
	link_done(&f->link);
	return fine;
}

size_t filters_check(const struct milter_check *what, const struct milter_report *report)
{
	char directory_path[SPOOL_PATH_MAX];
	struct filter *list;
	char *file = NULL;
	size_t n, faults = 0;
	const struct account owner = { geteuid(), getegid() };
	int directory =
		filters_directory(&owner, what->state_directory, directory_path, report);

	if (directory >= 0)
		close(directory);
	faults += directory < 0;
	if (!filters_read(what->path, what->can_quarantine, report, &file, &list, &n))
		faults++;
	for (size_t i = 0; i < n; i++)
		faults += !check_one(&list[i], what->path, report);
	free(list);
	free(file);
	return faults;
}
