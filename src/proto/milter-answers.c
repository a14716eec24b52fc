/* SPDX-License-Identifier: ISC */
/*
 * Answers of filters. Each is judged by one table: which command it is, on which events
 * it may come, and what data it has. What does not fit is a fault, never half an answer.
 */
#include "proto/milter.h"
#include "base/num.h"

#define BIT(n) (UINT32_C(1) << (n))
#define ANY ((uint32_t)(BIT(MILTER_EVENTS) - 1))
#define HAS_MESSAGE                                                                      \
	(ANY & ~(BIT(MILTER_CONNECT) | BIT(MILTER_HELO) | BIT(MILTER_UNKNOWN)))
#define REPEATED (BIT(MILTER_RCPT) | BIT(MILTER_FIELD) | BIT(MILTER_BODY))
#define AT_END BIT(MILTER_END)

enum shape {
	NOTHING,
	TEXT, /* value NUL */
	TEXT_AND_PARAMS, /* value NUL [ params NUL ] */
	FIELD, /* name NUL value NUL */
	FIELD_AT_INDEX, /* index name NUL value NUL */
	OCTETS, /* value */
	REPLY_TEXT, /* a reply NUL */
};

static const struct row {
	char command;
	enum milter_kind kind;
	uint32_t events; /* on which it may come */
	enum shape shape;
	const char *word;
} rows[] = {
	{ 'c', MILTER_CONTINUE, ANY, NOTHING, "continue" },
	{ 'a', MILTER_ACCEPT, ANY, NOTHING, "accept" },
	{ 'r', MILTER_REJECT, ANY, NOTHING, "reject" },
	{ 't', MILTER_TEMPFAIL, ANY, NOTHING, "tempfail" },
	{ 'y', MILTER_REPLY, ANY, REPLY_TEXT, "reply" },
	{ 'd', MILTER_DISCARD, HAS_MESSAGE, NOTHING, "discard" },
	{ '4', MILTER_SHUTDOWN, ANY, NOTHING, "shutdown" },
	{ 'f', MILTER_FAIL, ANY, NOTHING, "fail" },
	{ 's', MILTER_SKIP, REPEATED, NOTHING, "skip" },
	{ 'p', MILTER_PROGRESS, ANY, NOTHING, "progress" },
	{ 'h', MILTER_ADD, AT_END, FIELD, "add-header" },
	{ 'i', MILTER_INSERT, AT_END, FIELD_AT_INDEX, "insert-header" },
	{ 'm', MILTER_CHANGE, AT_END, FIELD_AT_INDEX, "change-header" },
	{ 'b', MILTER_BODY_PIECE, AT_END, OCTETS, "replace-body" },
	{ '+', MILTER_RCPT_ADD, AT_END, TEXT, "add-recipient" },
	{ '2', MILTER_RCPT_ADD, AT_END, TEXT_AND_PARAMS, "add-recipient" },
	{ '-', MILTER_RCPT_DELETE, AT_END, TEXT, "delete-recipient" },
	{ 'e', MILTER_SENDER, AT_END, TEXT_AND_PARAMS, "change-sender" },
	{ 'q', MILTER_QUARANTINE, AT_END, TEXT, "quarantine" },
};

#define N_ROWS (sizeof(rows) / sizeof(*rows))

static const struct row *row_of_kind(enum milter_kind kind)
{
	const struct row *row = rows;

	while (row->kind != kind)
		row++;
	return row;
}

bool milter_is_verdict(enum milter_kind kind)
{
	return kind < MILTER_PROGRESS;
}

const char *milter_kind_word(enum milter_kind kind)
{
	return row_of_kind(kind)->word;
}

static bool take_string(struct span *data, struct span *ret)
{
	if (!data->n || !memchr(data->p, '\0', data->n))
		return false;
	*ret = span_take(data, '\0');
	return true;
}

static bool take_index(struct span *data, uint32_t *ret)
{
	uint32_t n = 0;

	if (data->n < sizeof(n))
		return false;
	for (size_t i = 0; i < sizeof(n); i++)
		n = n << 8 | (unsigned char)data->p[i];
	*data = span_from(*data, sizeof(n));
	*ret = n;
	return true;
}

/* True when the data has that shape and nothing behind it. */
static bool take_data(struct span data, enum shape shape, struct milter_answer *a)
{
	bool fine = true;

	switch (shape) {
	case NOTHING:
		break;
	case TEXT:
	case REPLY_TEXT:
		fine = take_string(&data, &a->value);
		break;
	case TEXT_AND_PARAMS:
		fine = take_string(&data, &a->value) &&
		       (data.n == 0 || take_string(&data, &a->params));
		break;
	case FIELD_AT_INDEX:
		fine = take_index(&data, &a->index) && take_string(&data, &a->name) &&
		       take_string(&data, &a->value);
		break;
	case FIELD:
		fine = take_string(&data, &a->name) && take_string(&data, &a->value);
		break;
	case OCTETS:
		a->value = data;
		return true;
	}
	return fine && data.n == 0;
}

/* Takes 1 to 3 digits. */
static bool take_digits(struct span *s)
{
	size_t n = 0;

	while (n < s->n && n < 4 && s->p[n] >= '0' && s->p[n] <= '9')
		n++;
	*s = span_from(*s, n);
	return n > 0 && n < 4;
}

static bool take_dot(struct span *s)
{
	if (s->n == 0 || *s->p != '.')
		return false;
	*s = span_from(*s, 1);
	return true;
}

/*
 * Takes an enhanced code and the blank behind it (RFC 2034 4, RFC 3463 2); *ret is empty
 * when there is none, and the line is left as it is.
 *
 *   enhanced = ( "2" / "4" / "5" ) "." 1*3DIGIT "." 1*3DIGIT
 */
static void take_enhanced(struct span *line, struct span *ret)
{
	struct span s = *line;
	size_t n;

	*ret = (struct span){ 0 };
	if (s.n < 2 || !strchr("245", *s.p) || *s.p == '\0')
		return;
	s = span_from(s, 1);
	if (!take_dot(&s) || !take_digits(&s) || !take_dot(&s) || !take_digits(&s))
		return;
	n = line->n - s.n;
	if (s.n && *s.p != ' ')
		return;
	*ret = (struct span){ line->p, n };
	*line = span_from(s, s.n > 0);
}

/* Takes the code of a line, and the octet behind it. */
static bool take_code(struct span *line, uint64_t *ret)
{
	if (line->n < 3 || !num_parse((struct span){ line->p, 3 }, ret))
		return false;
	*line = span_from(*line, 3);
	if (line->n == 0)
		return true;
	if (*line->p != ' ' && *line->p != '-')
		return false;
	*line = span_from(*line, 1);
	return true;
}

/* Takes a line that ends in CRLF or with the text; false: CR or LF stand elsewhere. */
static bool take_line(struct span *text, struct span *ret)
{
	*ret = span_take_line(text);
	if (span_ends(*ret, SPAN("\r")) && ret->p[ret->n] == '\n')
		ret->n--;
	else if (text->n || ret->p[ret->n] == '\n')
		return false;
	return !memchr(ret->p, '\r', ret->n);
}

/* Reads one line of a reply into *a, of which the first line fills the codes. */
static const char *take_reply_line(struct span line, bool first, struct milter_answer *a)
{
	struct span enhanced;
	uint64_t code;

	if (!take_code(&line, &code) || code < 400 || code > 599)
		return "sent a reply whose code is not 4xx or 5xx";
	take_enhanced(&line, &enhanced);
	if (enhanced.n && (unsigned char)*enhanced.p - '0' != (int)(code / 100))
		return "sent a reply whose enhanced code is of another class";
	if (!first)
		return a->code == code ? NULL : "sent a reply of two codes";
	a->code = (unsigned)code;
	if (enhanced.n)
		memcpy(a->enhanced, enhanced.p, enhanced.n);
	return NULL;
}

/* The value is followed by its NUL, so one octet behind it can be read. */
static const char *take_reply(struct milter_answer *a)
{
	struct span text = a->value;
	const char *fault = NULL;
	size_t n = 0;

	do {
		struct span line;
		if (n == MILTER_REPLY_LINES_MAX)
			return "sent a reply of more than 32 lines";
		if (!take_line(&text, &line))
			return "sent a reply with a CR or LF that is no line end";
		fault = take_reply_line(line, n++ == 0, a);
	} while (text.n && !fault);
	return fault;
}

/* "%%" is "%"; one that stands alone is itself. */
static void put_text(struct buf *to, struct span text)
{
	while (text.n) {
		bool twice = text.n > 1 && text.p[0] == '%' && text.p[1] == '%';
		buf_put_char(to, *text.p);
		text = span_from(text, twice ? 2 : 1);
	}
}

void milter_put_reply(struct buf *to, struct span text, char between)
{
	for (bool first = true; text.n; first = false) {
		struct span line = span_take_line(&text), enhanced;
		uint64_t code;
		if (span_ends(line, SPAN("\r")))
			line.n--;
		if (!take_code(&line, &code))
			return;
		take_enhanced(&line, &enhanced);
		if (!first)
			buf_put_char(to, between);
		put_text(to, line);
	}
}

static const struct row *row_of_command(char command)
{
	for (size_t i = 0; i < N_ROWS; i++)
		if (rows[i].command == command)
			return &rows[i];
	return NULL;
}

/* What the verdict on an event ends. */
static void end_events(
	struct milter_talk *t, enum milter_event event, enum milter_kind kind, bool late)
{
	if (kind == MILTER_SKIP && !late)
		t->skipped |= BIT(event);
	if (kind != MILTER_ACCEPT)
		return;
	if (event == MILTER_CONNECT || event == MILTER_HELO)
		t->session_accepted = true;
	else if (event != MILTER_UNKNOWN && !late)
		t->message_accepted = true;
}

/* The oldest event is no longer owed. */
static void settle(struct milter_talk *t, const struct milter_answer *a)
{
	t->n_owed--;
	memmove(t->owed, t->owed + 1, t->n_owed);
	t->ended = a->event == MILTER_END;
	t->n_late -= a->late;
	end_events(t, a->event, a->kind, a->late);
}

const char *milter_answer_take(struct milter_talk *t, const struct milter_frame *frame,
	struct milter_answer *ret)
{
	const struct row *row = row_of_command(frame->command);
	struct milter_answer a = { 0 };
	const char *fault;

	if (!row)
		return "sent a command that is none";
	if (t->n_owed == 0 && !(t->ended && row->events == AT_END))
		return "answered although it owed no answer";
	a.kind = row->kind;
	a.event = t->n_owed ? (enum milter_event)t->owed[0] : MILTER_END;
	a.late = t->n_late > 0 || t->n_owed == 0;
	if (!(row->events & BIT(a.event)))
		return "sent a command that is not for this event";
	if (row->kind == MILTER_SKIP && t->terms.version == MILTER_VERSION_MIN)
		return "sent a command that its version does not have";
	if (!take_data(frame->data, row->shape, &a))
		return "sent a command with wrong data";
	fault = row->shape == REPLY_TEXT ? take_reply(&a) : NULL;
	if (fault)
		return fault;
	if (milter_is_verdict(row->kind))
		settle(t, &a);
	*ret = a;
	return NULL;
}
