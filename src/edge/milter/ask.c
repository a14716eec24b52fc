/* SPDX-License-Identifier: ISC */
/*
 * Asks one filter about one event. Events are collected, and written together when an
 * answer to one of them is needed. After an error the connection to the filter is closed,
 * and its default action applies for the rest of the session.
 */
#include "base/cleanup.h"
#include "edge/milter/parts.h"
#include <stdio.h>
#include "proto/text.h"

#define PATH_TEXT_MAX 1024

int filter_room(struct filter *f, size_t n, struct buf *ret)
{
	struct octets *out = &f->link.out;
	int r = 0;

	if (out->n > FILTERS_PENDING_MAX)
		r = link_flush(&f->link, f->setting.command_timeout);
	if (r == 0 && octets_reserve(out, n, SIZE_MAX / 4) < 0)
		r = link_fail(&f->link, "event", -ENOMEM);
	*ret = (struct buf){ .p = out->p + out->n, .cap = n };
	return r;
}

int filter_end_event(struct filter *f, const struct buf *b)
{
	if (b->overflow)
		return link_fail(&f->link, "cannot be sent a command this long", 0);
	f->link.out.n += b->n;
	return 0;
}

int filter_answer(struct filter *f, unsigned seconds, struct milter_answer *ret)
{
	uint64_t end = stream_clock() + 1000ULL * FILTER_PROGRESS_MAX;
	struct milter_frame frame;
	const char *wrong;
	int r;

	do {
		r = link_read(&f->link, seconds, &frame);
		if (r < 0)
			return r;
		wrong = milter_answer_take(&f->talk, &frame, ret);
		if (wrong)
			return link_fail(&f->link, wrong, 0);
		trace_answer(f, ret);
		if (ret->kind == MILTER_FAIL)
			return link_fail(&f->link, "reports that it failed", 0);
	} while (ret->kind == MILTER_PROGRESS && stream_clock() < end);
	if (ret->kind == MILTER_PROGRESS)
		return link_fail(&f->link, "asks for more time again and again", 0);
	return 0;
}

bool filter_may_go_on(const struct filter *f)
{
	return f->link.n_taken < f->link.in.n || milter_is_silent(&f->talk);
}

int filter_drop_late(struct filter *f)
{
	struct milter_answer a;
	int r = 0;

	while (r == 0 && link_has_input(&f->link)) {
		if (f->n_late == CHANGES_MAX)
			return link_fail(&f->link, "sends edits behind its verdict", 0);
		r = filter_answer(f, f->setting.command_timeout, &a);
		f->n_late += r == 0;
	}
	return r;
}

/* The offer has been written: reads the terms. */
static int take_terms(struct filter *f)
{
	struct milter_terms terms;
	struct milter_frame frame;
	const char *wrong;
	int r = link_read(&f->link, f->setting.command_timeout, &frame);

	if (r < 0)
		return r;
	wrong = milter_terms_take(&frame, &terms);
	if (wrong)
		return link_fail(&f->link, wrong, 0);
	milter_talk_begin(&f->talk, &terms);
	f->begun = true;
	trace_terms(f);
	return 0;
}

int filter_begin(struct filter *f)
{
	struct buf b;
	int r;

	if (f->begun)
		return 0;
	if (f->link.fd < 0)
		return -ECONNREFUSED;
	r = link_wait(&f->link, f->setting.connect_timeout);
	if (r == 0)
		r = filter_room(f, EVENT_MAX, &b);
	if (r < 0)
		return r;
	milter_put_offer(&b);
	r = filter_end_event(f, &b);
	if (r == 0)
		r = link_flush(&f->link, f->setting.command_timeout);
	return r < 0 ? r : take_terms(f);
}

/*
 * Appends the event to the fault: a filter that fails at a message usually fails at the
 * same event each time.
 */
static void name_event(struct filter *f)
{
	size_t n = strlen(f->link.fault);

	if (milter_owes(&f->talk))
		snprintf(f->link.fault + n, sizeof(f->link.fault) - n, ", after %s",
			milter_event_word(f->talk.owed[0]));
}

/*
 * The session ends during a wait for the filter. The default action does not apply: no
 * message is delivered that the filter has not judged.
 */
static const struct reply *interrupt(struct filters_state *m, struct filter *f)
{
	f->failed = true;
	f->verdict = "interrupted";
	link_close(&f->link);
	return m->host.reply(
		f->link.interrupted == -EINTR ? REPLY_SHUTDOWN : REPLY_SESSION_TIMEOUT);
}

const struct reply *filter_fail(struct filters_state *m, struct filter *f)
{
	static const enum reply_name names[] = {
		[MILTER_DEFAULT_TEMPFAIL] = REPLY_FILTER_FAILED,
		[MILTER_DEFAULT_ACCEPT] = REPLY_COUNT,
		[MILTER_DEFAULT_REJECT] = REPLY_FILTER_FAILED_FOR_GOOD,
		[MILTER_DEFAULT_SHUTDOWN] = REPLY_FILTER_END,
		[MILTER_DEFAULT_QUARANTINE] = REPLY_COUNT,
	};
	enum reply_name name = names[f->setting.default_action];
	char text[FILTER_FAULT_MAX] = "";
	struct buf b = BUF(text);

	/* after a discard no other filter is asked, so the discard is of this one */
	m->discard = false;
	if (f->link.interrupted)
		return interrupt(m, f);
	if (!f->failed) {
		name_event(f);
		trace_failure(f);
	}
	filter_put_fault(&b, m->host.path, f, f->link.fault);
	text[sizeof(text) - 1] = '\0';
	if (!m->stage.fault) {
		memcpy(m->fault, text, sizeof(m->fault));
		m->stage.fault = m->fault;
	}
	if (!f->failed)
		m->host.report.fault(m->host.report.ctx, text);
	f->failed = true;
	f->verdict = "failed";
	if (f->setting.default_action == MILTER_DEFAULT_QUARANTINE)
		m->quarantine = "a filter failed";
	link_close(&f->link);
	return name == REPLY_COUNT ? NULL : m->host.reply(name);
}

/* Escapes the lines that fit whole. */
static void put_own_lines(struct buf *b, struct span text)
{
	while (text.n) {
		struct span line = span_take(&text, '\n');
		size_t whole = b->n;
		if (whole)
			buf_put_char(b, '\n');
		text_escape(b, line, REPLY_ARGUMENT_MAX);
		if (b->overflow) {
			b->n = whole;
			b->overflow = false;
			break;
		}
	}
}

/* Returns a reply with the text of the filter. */
static const struct reply *own_reply(
	struct filters_state *m, struct filter *f, const struct milter_answer *a)
{
	struct own_reply *own = a->event <= MILTER_HELO      ? &f->session_reply
				: a->event == MILTER_RCPT    ? &m->rcpt_reply
				: a->event == MILTER_UNKNOWN ? &m->unknown_reply
							     : &m->reply;
	struct buf b = { .p = own->text, .cap = FILTER_REPLY_MAX };
	OWNED char *whole = malloc(a->value.n + 1);
	const char *enhanced;
	struct buf all = { .p = whole, .cap = whole ? a->value.n + 1 : 0 };

	milter_put_reply(&all, a->value, '\n');
	put_own_lines(&b, buf_span(&all));
	own->text[b.n] = '\0';
	own->reply = (struct reply){ .code = (unsigned short)a->code, .text = own->text };
	enhanced = strlen(a->enhanced) < sizeof(own->reply.enhanced) ? a->enhanced
		   : a->code < 500                                   ? "4.7.1"
								     : "5.7.1";
	memcpy(own->reply.enhanced, enhanced, strlen(enhanced) + 1);
	if (!b.n)
		return m->host.reply(
			a->code < 500 ? REPLY_FILTER_LATER : REPLY_FILTER_REFUSED);
	return &own->reply;
}

/* Returns the word for the record. A reply of the filter's own counts by its code. */
static const char *verdict_word(const struct milter_answer *a)
{
	enum milter_kind kind = a->kind;

	if (kind == MILTER_REPLY)
		kind = a->code == 421  ? MILTER_SHUTDOWN
		       : a->code < 500 ? MILTER_TEMPFAIL
				       : MILTER_REJECT;
	return milter_kind_word(kind);
}

const struct reply *filter_verdict(
	struct filters_state *m, struct filter *f, const struct milter_answer *a)
{
	const struct reply *r = NULL;

	f->verdict = verdict_word(a);
	switch (a->kind) {
	case MILTER_REJECT:
		r = m->host.reply(REPLY_FILTER_REFUSED);
		break;
	case MILTER_TEMPFAIL:
		r = m->host.reply(REPLY_FILTER_LATER);
		break;
	case MILTER_REPLY:
		r = own_reply(m, f, a);
		break;
	case MILTER_SHUTDOWN:
		r = m->host.reply(REPLY_FILTER_END);
		break;
	case MILTER_DISCARD:
		m->discard = true;
		break;
	default:
		break;
	}
	if (a->event <= MILTER_HELO && r)
		f->session_refusal = r;
	return r;
}

const struct reply *filter_await(struct filters_state *m, struct filter *f)
{
	const struct reply *refusal = NULL;
	struct milter_answer a;
	int r = 0;

	if (!milter_owes(&f->talk))
		return NULL;
	r = link_flush(&f->link, f->setting.command_timeout);
	while (r == 0 && milter_owes(&f->talk) && !refusal) {
		r = filter_answer(f, f->setting.command_timeout, &a);
		if (r == 0 && !a.late)
			refusal = filter_verdict(m, f, &a);
	}
	/* after a refusal more input is no error here: the next event finds it */
	if (r == 0 && !refusal && filter_may_go_on(f) && link_has_input(&f->link))
		r = link_fail(&f->link, "answered what was not asked", 0);
	return r < 0 ? filter_fail(m, f) : refusal;
}

/* An event, and what is sent with it beside its macros. */
struct event {
	enum milter_event what;
	struct span text, params;
	const struct session *session;
	bool drops_answer; /* its answer has no effect */
};

static void put_event(struct buf *b, const struct event *e)
{
	const struct session_peer *peer = &e->session->peer;
	struct ip ip = { 0 };

	switch (e->what) {
	case MILTER_CONNECT:
		if (!ip_parse(span_of(peer->address), &ip))
			ip.n = 0;
		milter_put_connect(b, e->text, &ip, peer->port);
		break;
	case MILTER_HELO:
		milter_put_helo(b, e->text);
		break;
	case MILTER_MAIL:
		milter_put_mail(b, e->text, e->params);
		break;
	case MILTER_RCPT:
		milter_put_rcpt(b, e->text, e->params);
		break;
	case MILTER_UNKNOWN:
		milter_put_unknown(b, e->text);
		break;
	default:
		milter_put_data(b);
	}
}

/* Sends an event with its macros, and awaits its answer unless it owes none. */
static const struct reply *ask(struct filters_state *m, struct filter *f,
	const struct event *e, const struct milter_values *values)
{
	struct buf b;

	if (f->failed)
		return filter_fail(m, f);
	f->link.in_turn = false;
	if (filter_room(f, EVENT_MAX, &b) < 0)
		return filter_fail(m, f);
	if (milter_wants_macros(&f->talk, e->what))
		milter_put_macros(&b, &f->talk, e->what, values);
	if (milter_wants(&f->talk, e->what)) {
		put_event(&b, e);
		milter_sent(&f->talk, e->what);
		if (e->drops_answer)
			milter_drops_answer(&f->talk);
		trace_event(f, e->what, e->text);
		if (!f->verdict)
			f->verdict = milter_kind_word(MILTER_CONTINUE);
	}
	if (filter_end_event(f, &b) < 0)
		return filter_fail(m, f);
	return filter_await(m, f);
}

/* Sends connection and greeting, unless the filter has them. */
static const struct reply *ask_session(
	struct filters_state *m, struct filter *f, const struct milter_values *values)
{
	const struct session *s = m->host.session;
	const struct reply *r = NULL;
	bool is_new = !f->begun;

	if (filter_begin(f) < 0)
		return filter_fail(m, f);
	if (is_new)
		r = ask(m, f,
			&(struct event){ .what = MILTER_CONNECT,
				.text = span_of(m->client.name),
				.session = s },
			values);
	if (r || f->n_hellos == s->n_hellos)
		return r;
	f->n_hellos = s->n_hellos;
	return ask(m, f,
		&(struct event){
			.what = MILTER_HELO, .text = span_of(s->helo), .session = s },
		values);
}

/* "<a@b>" in the buffer. */
static struct span path_of(struct buf *b, struct span mailbox)
{
	buf_put_char(b, '<');
	buf_put(b, mailbox);
	buf_put_char(b, '>');
	return buf_span(b);
}

const struct reply *filter_ask_mail(
	struct filters_state *m, struct filter *f, const struct tx *tx)
{
	char path[PATH_TEXT_MAX];
	struct buf to = BUF(path);
	struct milter_values v;
	const struct reply *r;

	values_make(&v, m, tx, NULL);
	if (f->failed || (f->talk.ended && filter_drop_late(f) < 0))
		return filter_fail(m, f);
	f->n_late = 0;
	r = f->session_refusal ? f->session_refusal : ask_session(m, f, &v);
	if (r || f->failed)
		return r;
	f->in_message = true;
	return ask(m, f,
		&(struct event){ .what = MILTER_MAIL,
			.text = path_of(&to, span_of(tx->sender)),
			.params = tx->written_params,
			.session = m->host.session },
		&v);
}

const struct reply *filter_ask_rcpt(struct filters_state *m, struct filter *f,
	const struct tx *tx, const struct recipient *to)
{
	char path[PATH_TEXT_MAX];
	struct buf b = BUF(path);
	struct milter_values v;

	values_make(&v, m, tx, to);
	return ask(m, f,
		&(struct event){ .what = MILTER_RCPT,
			.text = path_of(&b, to->mailbox),
			.params = tx->written_params,
			.session = m->host.session },
		&v);
}

void filter_show_refused(struct filters_state *m, struct filter *f, const struct tx *tx,
	struct span mailbox, const struct reply *refusal, struct span text)
{
	char path[PATH_TEXT_MAX];
	struct buf b = BUF(path);
	struct milter_values v;

	if (f->failed || !f->in_message || !milter_wants_rejected(&f->talk))
		return;
	values_make(&v, m, tx, NULL);
	v.of[MILTER_MACRO_RCPT_MAILER] = SPAN("error");
	v.of[MILTER_MACRO_RCPT_HOST] = span_of(refusal->enhanced);
	v.of[MILTER_MACRO_RCPT_ADDR] = text;
	ask(m, f,
		&(struct event){ .what = MILTER_RCPT,
			.text = path_of(&b, mailbox),
			.params = tx->written_params,
			.session = m->host.session,
			.drops_answer = true },
		&v);
}

const struct reply *filter_ask_unknown(
	struct filters_state *m, struct filter *f, struct span line)
{
	static const struct milter_values none;
	const char *verdict = f->verdict;
	const struct reply *r;

	/* nothing is sent to a filter before the first MAIL */
	if (f->failed || !f->begun)
		return NULL;
	r = ask(m, f,
		&(struct event){ .what = MILTER_UNKNOWN,
			.text = line,
			.session = m->host.session },
		&none);
	/* a verdict on a command does not apply to the message */
	if (!f->failed)
		f->verdict = verdict;
	return r;
}

const struct reply *filter_ask_data(
	struct filters_state *m, struct filter *f, const struct tx *tx)
{
	struct milter_values v;

	values_make(&v, m, tx, NULL);
	return ask(m, f,
		&(struct event){ .what = MILTER_DATA, .session = m->host.session }, &v);
}

void filter_end_message(struct filter *f)
{
	struct buf b;

	f->verdict = NULL;
	f->n_edits = f->n_late = f->n_refused = f->n_traced = 0;
	f->field_notes = 0;
	f->link.spent = 0;
	if (!f->in_message)
		return;
	f->in_message = false;
	if (f->failed)
		return;
	milter_talk_reset(&f->talk);
	if (octets_reserve(&f->link.out, EVENT_MAX, SIZE_MAX / 4) < 0) {
		link_fail(&f->link, "event", -ENOMEM);
		link_close(&f->link);
		f->failed = true;
		return;
	}
	b = (struct buf){ .p = f->link.out.p + f->link.out.n, .cap = EVENT_MAX };
	milter_put_abort(&b);
	f->link.out.n += b.n;
}

void filter_quit(struct filter *f)
{
	struct buf b;

	if (f->link.fd >= 0 && f->begun && filter_room(f, EVENT_MAX, &b) == 0) {
		milter_put_quit(&b);
		if (filter_end_event(f, &b) == 0)
			link_send(&f->link);
	}
	link_close(&f->link);
}
