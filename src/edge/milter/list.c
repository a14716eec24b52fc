/* SPDX-License-Identifier: ISC */
/* The file with the filters: one a line, in the order in which they are asked. */
#include "base/cleanup.h"
#include "edge/file.h"
#include "edge/milter/parts.h"
#include <stdio.h>
#include "proto/text.h"

#define WORD_SHOWN_MAX 80

static void report(const struct milter_report *to, const char *path, size_t line,
	struct span word, const char *what)
{
	char text[2 * FILTER_FAULT_MAX];
	int n = (int)(word.n < WORD_SHOWN_MAX ? word.n : WORD_SHOWN_MAX);

	if (line)
		snprintf(text, sizeof(text), "%s:%zu: %.*s%s%s", path, line, n,
			word.n ? word.p : "", word.n ? ": " : "", what);
	else
		snprintf(text, sizeof(text), "milters %s: %s", path, what);
	to->fault(to->ctx, text);
}

static void report_trouble(const struct milter_report *to, const char *path, int error)
{
	char why[FILTER_FAULT_MAX];
	struct buf b = BUF(why);

	if (credential_is_unset(path))
		credential_put_fault(&b, path, SPAN(""));
	else
		file_put_fault(&b, path, error, FILE_READ);
	report(to, path, 0, SPAN(""), b.overflow ? strerror(error) : why);
}

/* Takes one line. False: its fault was reported. */
static bool take_line(struct filter *list, size_t *n, struct span line, size_t number,
	const char *path, bool can_quarantine, const struct milter_report *to)
{
	bool is_quarantine;
	char what[FILTER_FAULT_MAX], meant[CONF_MEANT_MAX] = "";
	struct milter_setting setting;
	struct rule_fault fault;
	enum rule_line r = milter_line_parse(line, &setting, &fault);

	if (r == RULE_BLANK)
		return true;
	if (r == RULE_WRONG) {
		if (fault.words)
			conf_put_meant(meant, fault.written, fault.words);
		snprintf(what, sizeof(what), "%s%s", fault.what, meant);
		report(to, path, number, fault.word, what);
		return false;
	}
	is_quarantine = setting.default_action == MILTER_DEFAULT_QUARANTINE;
	if (*n == FILTERS_MAX || (is_quarantine && !can_quarantine)) {
		report(to, path, number, setting.address,
			*n == FILTERS_MAX ? "there are more than 16 filters"
					  : "default-action=quarantine needs the setting "
					    "quarantine-mailbox");
		return false;
	}
	list[(*n)++] = (struct filter){
		.setting = setting, .line = number, .link = { .fd = -1 }
	};
	return true;
}

/* The rest of the memory is for what messages need beside the filters. */
static void shrink(struct filter **list, size_t n)
{
	struct filter *less = realloc(*list, n * sizeof(**list));

	if (less)
		*list = less;
}

bool filters_read(const char *path, bool can_quarantine, const struct milter_report *to,
	char **ret_text, struct filter **ret_list, size_t *ret_n)
{
	ssize_t n = file_read(path, FILTERS_FILE_MAX, ret_text);
	struct span rest = { *ret_text, n < 0 ? 0 : (size_t)n };
	bool fine = n >= 0;

	*ret_n = 0;
	*ret_list = calloc(FILTERS_MAX, sizeof(**ret_list));
	if (n < 0)
		report_trouble(to, path, (int)-n);
	else if (!*ret_list)
		report_trouble(to, path, ENOMEM);
	for (size_t number = 1; rest.n && *ret_list; number++)
		fine &= take_line(*ret_list, ret_n, span_take_line(&rest), number, path,
			can_quarantine, to);
	if (fine && *ret_n == 0) {
		report(to, path, 0, SPAN(""), "names no filter; or set no milters");
		fine = false;
	}
	if (fine && *ret_list)
		shrink(ret_list, *ret_n);
	return fine && *ret_list;
}

int filters_directory(const struct account *owner, const char *state,
	char ret_path[static SPOOL_PATH_MAX], const struct milter_report *report)
{
	char text[2 * FILTER_FAULT_MAX];
	int fd = spool_directory(owner, state, ret_path);

	if (fd >= 0)
		return fd;
	snprintf(text, sizeof(text),
		"milters: %s, for messages that filters look at: %s; until then messages "
		"above %d MiB get 452",
		ret_path,
		fd == -EPERM ? "other users can reach it: remove it" : strerror(-fd),
		SPOOL_MEMORY_MAX / (1024 * 1024));
	report->fault(report->ctx, text);
	return fd;
}

void filter_put_fault(
	struct buf *to, const char *path, const struct filter *f, const char *what)
{
	buf_put_str(to, path);
	buf_put_char(to, ':');
	buf_put_num(to, f->line);
	buf_put(to, SPAN(": "));
	text_escape(to, f->setting.address, FILTER_NAME_MAX - 1);
	buf_put_char(to, ' ');
	buf_put_str(to, what);
	buf_terminate(to);
}
