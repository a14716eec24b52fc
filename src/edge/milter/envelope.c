/* SPDX-License-Identifier: ISC */
/*
 * Changes of the envelope that filters ask for: recipients, the sender, a quarantine.
 * They are collected, count only with the verdict of their filter, and are carried out
 * when all filters are done.
 */
#include "base/cleanup.h"
#include "edge/milter/parts.h"
#include <stdio.h>
#include "proto/address.h"
#include "proto/text.h"

#define FIELD_QUARANTINE "X-Postern-Quarantine: "
#define REASON_MAX 200
#define CHANGE_FIELD_MAX (2 * CHANGE_TEXT_MAX)

int changes_put(struct filters_state *m, struct filter *f, const struct milter_answer *a)
{
	struct changes *c = &m->changes;
	size_t most = CHANGES_MAX + 2 * m->host.session->settings->recipient_limit;
	struct span text = a->value;
	struct change *more;

	if (c->n >= most || text.n > CHANGE_TEXT_MAX)
		return link_fail(
			&f->link, "asks for too many changes of the envelope", 0);
	more = reallocarray(c->list, c->n + 1, sizeof(*more));
	if (!more)
		return link_fail(&f->link, "change", -ENOMEM);
	c->list = more;
	more[c->n].kind = a->kind;
	more[c->n].filter = f;
	more[c->n].text = strndup(text.n ? text.p : "", text.n);
	if (!more[c->n].text)
		return link_fail(&f->link, "change", -ENOMEM);
	c->n++;
	return 0;
}

void changes_cut(struct changes *c, size_t n)
{
	while (c->n > n)
		free(c->list[--c->n].text);
}

void changes_done(struct changes *c)
{
	changes_cut(c, 0);
	free(c->list);
	c->list = NULL;
}

/* A change that cannot be carried out is recorded, and the message goes on. */
static void note(struct filters_state *m, const struct change *change, const char *what)
{
	char text[FILTER_FAULT_MAX], shown[REASON_MAX] = "";
	struct buf b = BUF(m->fault), s = BUF(shown);

	text_escape(&s, span_of(change->text), REASON_MAX - 1);
	buf_terminate(&s);
	snprintf(text, sizeof(text), "%s %s: %s", milter_kind_word(change->kind), shown,
		what);
	if (m->stage.fault)
		return;
	filter_put_fault(&b, m->host.path, change->filter, text);
	m->fault[sizeof(m->fault) - 1] = '\0';
	m->stage.fault = m->fault;
}

/* Parses an address with or without brackets. *ret borrows from `room`. */
static bool take_path(const struct change *change, enum path_kind kind, struct buf *room,
	struct path *ret)
{
	bool is_bare = change->text[0] != '<';
	struct span text;

	if (is_bare)
		buf_put_char(room, '<');
	buf_put_str(room, change->text);
	if (is_bare)
		buf_put_char(room, '>');
	text = buf_span(room);
	return !room->overflow && path_parse(&text, kind, ret) && text.n == 0;
}

/* The address without its brackets. */
static struct span address_of(const struct change *change)
{
	struct span text = span_of(change->text);

	if (span_starts(text, SPAN("<")) && span_ends(text, SPAN(">")))
		text = (struct span){ text.p + 1, text.n - 2 };
	return text;
}

/*
 * True when a later change does the opposite of number `i`, which adds or removes a
 * recipient.
 */
static bool is_undone_later(const struct changes *c, size_t i)
{
	struct span address = address_of(&c->list[i]);
	enum milter_kind opposite =
		c->list[i].kind == MILTER_RCPT_ADD ? MILTER_RCPT_DELETE : MILTER_RCPT_ADD;

	while (++i < c->n)
		if (c->list[i].kind == opposite &&
			address_is_same(address_of(&c->list[i]), address))
			return true;
	return false;
}

static void remove_recipient(struct tx *tx, const struct change *change)
{
	struct span text = address_of(change);

	for (size_t i = 0; i < tx->n_recipients; i++) {
		struct recipient *r = &tx->recipients[i];
		if (!address_is_same(r->mailbox, text))
			continue;
		r->left_out = true;
		/* no report of its delivery is made */
		r->params.report = false;
	}
}

/* True when the address is one of a recipient of the message already. */
static bool is_recipient(const struct tx *tx, struct span address)
{
	for (size_t i = 0; i < tx->n_recipients; i++)
		if (!tx->recipients[i].left_out &&
			address_is_same(tx->recipients[i].mailbox, address))
			return true;
	return false;
}

/* Looks the recipient up as if the client had named it. */
static const struct reply *add_recipient(
	struct filters_state *m, struct tx *tx, const struct change *change)
{
	char octets[CHANGE_TEXT_MAX + 3];
	const struct rcpt_params params = { 0 };
	struct buf room = BUF(octets);
	const char *fault = NULL;
	struct recipient *added;
	const struct reply *r;
	struct path path;

	if (!take_path(change, PATH_FORWARD, &room, &path) || path.null ||
		(path.utf8 && !tx->params.smtputf8)) {
		note(m, change, "is no address that can be added");
		return m->host.reply(REPLY_FILTER_FAILED_FOR_GOOD);
	}
	if (is_recipient(tx, path.text))
		return NULL;
	if (tx_add_recipient(tx, &path, &params, &added) < 0) {
		note(m, change, "out of memory");
		return m->host.reply(REPLY_NO_MEMORY);
	}
	tx->n_added++;
	added->slot = 0;
	r = m->host.judge_recipient(m->host.ctx, added);
	if (!r) {
		r = stages_rcpt(&m->host.delivery, tx, added);
		fault = r && r->code < 500 ? stages_fault(&m->host.delivery) : NULL;
	}
	if (r) {
		note(m, change, fault ? fault : r->text);
		tx_drop_recipient(tx);
	}
	return r;
}

static void change_sender(
	struct filters_state *m, const struct tx *tx, const struct change *change)
{
	char octets[CHANGE_TEXT_MAX + 3];
	struct octets *field = &m->content.return_path;
	struct buf room = BUF(octets);
	struct path path;

	if (!take_path(change, PATH_REVERSE, &room, &path) ||
		(path.utf8 && !tx->params.smtputf8)) {
		note(m, change, "is no address of a sender");
		return;
	}
	field->n = 0;
	if (octets_put(field, SPAN("Return-Path: <"), CHANGE_FIELD_MAX) < 0 ||
		octets_put(field, path.text, CHANGE_FIELD_MAX) < 0 ||
		octets_put(field, SPAN(">\n"), CHANGE_FIELD_MAX) < 0) {
		field->n = 0;
		note(m, change, "out of memory");
	}
}

/* Adds a field with the reason, for the reader of the mailbox. 0 or -errno. */
static int mark(struct filters_state *m, const char *reason)
{
	char field[sizeof(FIELD_QUARANTINE) + REASON_MAX + 1];
	struct buf b = BUF(field);

	buf_put(&b, SPAN(FIELD_QUARANTINE));
	text_escape(&b, span_of(reason), REASON_MAX);
	buf_put_char(&b, '\n');
	return octets_put(&m->content.mark, buf_span(&b), CHANGE_FIELD_MAX);
}

/* Mailboxes are looked up again, in the order of recipients, without those left out. */
static const struct reply *look_up_again(struct filters_state *m, struct tx *tx)
{
	const struct stages *to = &m->host.delivery;
	const struct reply *r = NULL;

	for (size_t i = tx->n_recipients; i > 0; i--)
		for (size_t j = 0; j < to->n; j++)
			if (to->list[j]->ops->drop)
				to->list[j]->ops->drop(
					to->list[j], &tx->recipients[i - 1]);
	for (size_t i = 0; i < tx->n_recipients && !r; i++)
		if (!tx->recipients[i].left_out)
			r = stages_rcpt(to, tx, &tx->recipients[i]);
	return r;
}

static bool has_recipient(const struct tx *tx)
{
	for (size_t i = 0; i < tx->n_recipients; i++)
		if (!tx->recipients[i].left_out)
			return true;
	return false;
}

/*
 * Undoes the removal of recipients. A message in quarantine needs one, and the stages
 * that deliver have places for those of the client.
 */
static void take_back_removals(struct tx *tx)
{
	for (size_t i = 0; i < tx->n_recipients; i++)
		tx->recipients[i].left_out = false;
}

/* Of two refusals the one after which a sender tries again. NULL is none. */
static const struct reply *worse(const struct reply *a, const struct reply *b)
{
	return !a || (b && b->code < a->code) ? b : a;
}

/* No recipient is left: the filter that removed the last one discards the message. */
static void discard(struct filters_state *m)
{
	const struct changes *c = &m->changes;
	size_t i = c->n;

	m->discard = true;
	while (i > 0 && c->list[i - 1].kind != MILTER_RCPT_DELETE)
		i--;
	if (i > 0)
		facts_note(m, c->list[i - 1].filter, NULL);
}

const struct reply *changes_carry_out(struct filters_state *m, struct tx *tx)
{
	const struct changes *c = &m->changes;
	const struct reply *r = NULL, *not_added = NULL;
	bool removed = false;

	for (size_t i = 0; i < c->n; i++) {
		if (c->list[i].kind == MILTER_RCPT_DELETE && !is_undone_later(c, i)) {
			remove_recipient(tx, &c->list[i]);
			removed = true;
		}
		if (c->list[i].kind == MILTER_SENDER)
			change_sender(m, tx, &c->list[i]);
		if (c->list[i].kind == MILTER_QUARANTINE && !m->quarantine) {
			m->quarantine = c->list[i].text;
			m->quarantiner = c->list[i].filter;
		}
	}
	if (m->quarantine && removed && !has_recipient(tx)) {
		take_back_removals(tx);
		removed = false;
	}
	if (removed)
		r = look_up_again(m, tx);
	for (size_t i = 0; i < c->n && !r; i++)
		if (c->list[i].kind == MILTER_RCPT_ADD && !is_undone_later(c, i))
			not_added = worse(not_added, add_recipient(m, tx, &c->list[i]));
	/* otherwise the message is lost: no recipient has it, and the sender no reply */
	if (!r && not_added && (not_added->code < 500 || !has_recipient(tx)))
		return not_added;
	if (!has_recipient(tx))
		discard(m);
	if (r || !m->quarantine || m->discard)
		return r;
	if (mark(m, m->quarantine) < 0)
		return m->host.reply(REPLY_NO_MEMORY);
	for (size_t i = 0; i < tx->n_recipients; i++)
		tx->recipients[i].params.report = false; /* it is not delivered yet */
	return m->host.quarantine(m->host.ctx, tx);
}
