/* Promises that the numbers of one time stand together. Refuses to count. */
#include "tools/status/parts.h"
#include "base/num.h"
#include "tools/status/time.h"

#define NUMBERS 9
#define VERSION_COLUMNS 12
#define VERSIONS 8 /* that are shown */
#define COUNT_COLUMNS 10
#define GAP 4
#define BESIDE 74 /* columns that both take */
#define REASONS 4 /* that are shown */

/* "Last hour", or "Since Nov 28 09:00" */
static void put_window(const struct status_panel *p, const struct status_view *v)
{
	char octets[64];
	struct buf b = BUF(octets);

	buf_put(&b, p->moves ? SPAN("Last ") : SPAN("Since "));
	if (p->moves)
		status_time_put_span(&b, p->window);
	else
		status_time_put_short(&b, p->counts->since, v->now);
	if (buf_terminate(&b))
		status_label(v, octets);
}

static void put_number(
	const struct status_view *v, const char *name, const char *text, size_t width)
{
	fprintf(v->to, "%-*s%*s", (int)width, name, NUMBERS, text);
}

static void put_share(const struct status_view *v, uint64_t part, uint64_t whole)
{
	uint64_t percent = (uint64_t)((double)part * 100 / (double)whole + 0.5);

	if (percent == 0)
		fputs("   <1 %", v->to);
	else
		fprintf(v->to, "%5u %%", (unsigned)percent);
}

static void put_version(
	const struct status_counts *c, const struct status_view *v, size_t i)
{
	const struct status_tally *t = &c->versions.list[i];
	const char *name = t->text;
	char number[NUMBERS * 3];

	if (strcmp(name, STATUS_TLS_NONE) == 0)
		name = "in the clear";
	else if (strcmp(name, STATUS_TLS_FAILED) == 0)
		name = "TLS failed";
	snprintf(number, sizeof(number), "%ju", (uintmax_t)t->n);
	status_put(v, STYLE_PLAIN, span_of(name), VERSION_COLUMNS);
	put_number(v, "", number,
		strlen(name) < VERSION_COLUMNS ? VERSION_COLUMNS - strlen(name) : 0);
	put_share(v, t->n, c->n_sessions);
}

#define COUNTS 6
#define OCTETS 4 /* the row that is no plain number */

/* Checks of proxies are shown where records have them. */
static size_t n_counts(const struct status_counts *c)
{
	return c->n_checks ? COUNTS : COUNTS - 1;
}

static void put_count(
	const struct status_counts *c, const struct status_view *v, size_t i)
{
	const struct {
		const char *name;
		uint64_t n;
	} rows[COUNTS] = {
		{ "Sessions", c->n_sessions },
		{ "Delivered", c->outcomes[STATUS_DELIVERED] },
		{ "Refused", c->outcomes[STATUS_REFUSED] },
		{ "Given up", c->outcomes[STATUS_GIVEN_UP] },
		{ "Octets", c->octets },
		{ "Checks", c->n_checks },
	};
	char number[32] = "";
	struct buf b = BUF(number);

	if (i >= n_counts(c)) {
		status_pad(v, COUNT_COLUMNS + NUMBERS);
		return;
	}
	if (i == OCTETS)
		status_put_octets(&b, rows[i].n);
	else
		buf_put_num(&b, rows[i].n);
	buf_terminate(&b);
	put_number(v, rows[i].name, number, COUNT_COLUMNS);
}

/* Numbers and, beside them or in a narrow terminal below, the versions of TLS. */
static void put_numbers(const struct status_panel *p, const struct status_view *v)
{
	const struct status_counts *c = p->counts;
	size_t n = c->versions.n < VERSIONS ? c->versions.n : VERSIONS;
	bool beside = v->width == 0 || v->width >= BESIDE;
	size_t counts = n_counts(c), lines = n > counts && beside ? n : counts;

	putc('\n', v->to);
	put_window(p, v);
	for (size_t i = 0; i < lines; i++) {
		if (i)
			status_pad(v, status_labels(v));
		put_count(c, v, i);
		if (beside && i < n) {
			status_pad(v, GAP);
			put_version(c, v, i);
		}
		putc('\n', v->to);
	}
	for (size_t i = 0; i < n && !beside; i++) {
		status_pad(v, status_labels(v));
		put_version(c, v, i);
		putc('\n', v->to);
	}
}

static size_t digits(uint64_t n)
{
	char text[NUM_MAX];

	return num_format(n, text);
}

static void put_reason(const struct status_view *v, const char *name, uint64_t n,
	size_t width, enum status_style style, struct span text)
{
	size_t used = status_labels(v) + width + 2;

	status_label(v, name);
	fprintf(v->to, "%*ju  ", (int)width, (uintmax_t)n);
	status_put(v, style, text, v->width > used ? v->width - used : 0);
	putc('\n', v->to);
}

static void put_reasons(const struct status_panel *p, const struct status_view *v)
{
	const struct status_tallies *t = &p->counts->reasons;
	uint64_t others = t->n_others;
	size_t width;

	for (size_t i = REASONS; i < t->n; i++)
		others += t->list[i].n;
	if (t->n == 0)
		return;
	width = digits(others > t->list[0].n ? others : t->list[0].n);
	putc('\n', v->to);
	for (size_t i = 0; i < t->n && i < REASONS; i++)
		put_reason(v, i ? "" : "Refusals", t->list[i].n, width, STYLE_PLAIN,
			span_of(t->list[i].text));
	if (others)
		put_reason(v, "", others, width, STYLE_QUIET, SPAN("other reasons"));
}

void status_put_counts(const struct status_panel *p, const struct status_view *v)
{
	put_numbers(p, v);
	put_reasons(p, v);
}
