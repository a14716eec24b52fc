/* SPDX-License-Identifier: ISC */
/* Delivers like the real stage, in memory. */
#include "memory.h"
#include "process.h"
#include "proto/received.h"

static struct memory *memory_of(struct stage *st)
{
	return (struct memory *)st;
}

/* Notes the call and whether it may come now. */
static const struct reply *called(struct memory *m, enum memory_hook hook, bool in_order)
{
	if (!m->begun || m->refused || !in_order)
		m->broken = "a hook of the stage was called out of order";
	m->last = hook;
	/* a refused recipient refuses no transaction */
	m->refused = hook == m->fault_at && hook != MEMORY_RCPT && !m->fault_of;
	return hook == m->fault_at && !m->fault_of ? m->fault : NULL;
}

/* The fault of a single recipient. */
static void refuse_one(struct memory *m, enum memory_hook hook, struct tx *tx)
{
	for (size_t i = 0; i < tx->n_recipients && m->fault_of && hook == m->fault_at;
		i++)
		if (strcmp(m->boxes[tx->recipients[i].slot], m->fault_of) == 0)
			tx->recipients[i].reply = m->fault;
}

/* True when a recipient of this mailbox remains. */
static bool is_wanted(const struct tx *tx, size_t slot)
{
	for (size_t i = 0; i < tx->n_recipients; i++)
		if (tx->recipients[i].slot == slot && !tx->recipients[i].reply)
			return true;
	return false;
}

static const struct reply *memory_mail(struct stage *st, const struct tx *tx)
{
	struct memory *m = memory_of(st);

	if (m->begun || !tx->open)
		m->broken = "a transaction began inside another";
	m->begun = true;
	m->last = MEMORY_NONE;
	return NULL;
}

static bool box_exists(const struct memory *m, const char *name)
{
	for (size_t i = 0; m->exist[i]; i++)
		if (strcmp(name, m->exist[i]) == 0)
			return true;
	return m->create;
}

/* "john doe@example.net": unquoted, in lower case. */
static char *box_name(struct memory *m, const struct recipient *r, size_t *ret_n_local)
{
	char octets[PATH_OCTETS_MAX * 2];
	struct buf b = BUF(octets);

	local_unquote(r->local, &b);
	*ret_n_local = b.n;
	buf_put_char(&b, '@');
	buf_put(&b, r->domain.n ? r->domain : span_of(m->hostname));
	for (size_t i = 0; i < b.n; i++)
		octets[i] = ascii_lower(octets[i]);
	return arena_copy(&m->way->arena, buf_span(&b));
}

static const struct reply *memory_rcpt(
	struct stage *st, const struct tx *tx, struct recipient *r)
{
	struct memory *m = memory_of(st);
	const struct reply *fault = called(m, MEMORY_RCPT, m->last <= MEMORY_RCPT);
	size_t n_local, i = 0;
	char *name = box_name(m, r, &n_local);

	(void)tx;
	if (fault)
		return fault;
	if (n_local == 0 || name[0] == '.' || strchr(name, '/'))
		return reply_get(REPLY_MAILBOX_NAME);
	if (!box_exists(m, name))
		return reply_get(REPLY_MAILBOX_UNKNOWN);
	while (i < m->n_boxes && strcmp(m->boxes[i], name) != 0)
		i++;
	r->slot = i;
	if (i == MEMORY_BOXES_MAX)
		return reply_get(REPLY_RECIPIENT_MANY);
	if (i == m->n_boxes)
		m->boxes[m->n_boxes++] = name;
	return NULL;
}

static const struct reply *memory_data(
	struct stage *st, const struct tx *tx, struct span trace)
{
	struct memory *m = memory_of(st);

	(void)tx;
	m->content.n = 0;
	m->n_first = strcspn(trace.p, "\n") + 1;
	text_put(&m->way->arena, &m->content, trace);
	return called(m, MEMORY_DATA, m->last == MEMORY_RCPT);
}

static const struct reply *memory_body(
	struct stage *st, const struct tx *tx, struct span text)
{
	struct memory *m = memory_of(st);

	(void)tx;
	text_put(&m->way->arena, &m->content, text);
	return called(m, MEMORY_BODY, m->last == MEMORY_DATA || m->last == MEMORY_BODY);
}

static const struct reply *memory_prepare(struct stage *st, struct tx *tx)
{
	struct memory *m = memory_of(st);

	refuse_one(m, MEMORY_PREPARE, tx);
	return called(
		m, MEMORY_PREPARE, m->last == MEMORY_DATA || m->last == MEMORY_BODY);
}

/* With original-to, fields below the first line for each recipient of this mailbox. */
static struct span content_of(struct memory *m, const struct tx *tx, size_t slot)
{
	struct span whole = text_span(&m->content);
	struct arena *arena = &m->way->arena;
	struct text own = { 0 };

	if (!m->original_to)
		return whole;
	text_put(arena, &own, (struct span){ whole.p, m->n_first });
	for (size_t i = 0; i < tx->n_recipients; i++) {
		if (tx->recipients[i].slot != slot)
			continue;
		text_put(arena, &own, SPAN(FIELD_ORIGINAL_TO));
		text_put(arena, &own, tx->recipients[i].mailbox);
		text_put(arena, &own, SPAN("\n"));
	}
	text_put(arena, &own, SPAN(FIELD_DELIVERED_TO));
	text_put(arena, &own, span_of(m->boxes[slot]));
	text_put(arena, &own, SPAN("\n"));
	text_put(arena, &own, span_from(whole, m->n_first));
	return text_span(&own);
}

/* Files of one name are one message. */
static const char *name_of(struct memory *m, const struct tx *tx, size_t slot)
{
	return m->original_to ? arena_print(&m->way->arena, "%s,%zu", tx->id, slot)
			      : tx->id;
}

static const struct reply *memory_commit(struct stage *st, struct tx *tx)
{
	struct memory *m = memory_of(st);
	const struct reply *r = called(m, MEMORY_COMMIT, m->last == MEMORY_PREPARE);

	refuse_one(m, MEMORY_COMMIT, tx);
	for (size_t i = 0; i < m->n_boxes && !r; i++)
		if (is_wanted(tx, i))
			way_keep_message(m->way, m->boxes[i], name_of(m, tx, i),
				content_of(m, tx, i));
	if (!r)
		memcpy(tx->file, tx->id, sizeof(tx->id));
	return r;
}

static void memory_clear(struct stage *st)
{
	struct memory *m = memory_of(st);

	if (!m->begun && m->last != MEMORY_NONE)
		m->broken = "a transaction was cleared twice";
	m->begun = m->refused = false;
	m->last = MEMORY_NONE;
	m->n_boxes = 0;
}

static const struct stage_ops memory_ops = {
	.mail = memory_mail,
	.rcpt = memory_rcpt,
	.data = memory_data,
	.body = memory_body,
	.prepare = memory_prepare,
	.commit = memory_commit,
	.clear = memory_clear,
};

/* "prepare full": the hook, and the reply it gives, to one recipient if one is named */
static bool set_fault(struct memory *m, const char *value)
{
	static const char *const hooks[] = { [MEMORY_NONE] = "",
		[MEMORY_RCPT] = "rcpt",
		[MEMORY_DATA] = "data",
		[MEMORY_BODY] = "body",
		[MEMORY_PREPARE] = "prepare",
		[MEMORY_COMMIT] = "commit" };
	size_t n = strcspn(value, " ");
	const char *how = value + n + (value[n] == ' ');
	size_t n_how = strcspn(how, " ");
	bool full = span_eq((struct span){ how, n_how }, SPAN("full"));

	if (!full && !span_eq((struct span){ how, n_how }, SPAN("failed")))
		return n == 0;
	if (how[n_how])
		m->fault_of = how + n_how + 1;
	m->fault = reply_get(full ? REPLY_STORE_FULL : REPLY_STORE_FAILED);
	for (size_t i = MEMORY_RCPT; i <= MEMORY_COMMIT; i++)
		if (span_eq((struct span){ value, n }, span_of(hooks[i])))
			m->fault_at = (enum memory_hook)i;
	return m->fault_at != MEMORY_NONE;
}

bool memory_init(struct memory *m, struct way *way, const struct dialogue *d)
{
	*m = (struct memory){
		.stage.ops = &memory_ops,
		.way = way,
		.exist = d->boxes,
		.hostname = dialogue_setting(d, "hostname", "mail.example.net"),
		.create = strcmp(dialogue_setting(d, "maildir-create", "no"), "yes") == 0,
		.original_to =
			strcmp(dialogue_setting(d, "original-to", "no"), "yes") == 0,
	};
	m->boxes = arena_take(&way->arena, MEMORY_BOXES_MAX * sizeof(*m->boxes));
	return set_fault(m, dialogue_setting(d, "fault", ""));
}
