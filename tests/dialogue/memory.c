/* Promises to deliver as the real stage does; refuses to touch a file. */
#include "memory.h"

const char *const memory_boxes[] = { "user@example.net", "alice@example.net",
	"bob@example.net", "jos\xc3\xa9@example.net", "postmaster@example.net",
	"postmaster@mail.example.net", "user@xn--bcher-kva.example", NULL };

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
	m->refused = hook == m->fault_at && hook != MEMORY_RCPT;
	return hook == m->fault_at ? m->fault : NULL;
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
	for (size_t i = 0; memory_boxes[i]; i++)
		if (strcmp(name, memory_boxes[i]) == 0)
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

	(void)tx;
	return called(
		m, MEMORY_PREPARE, m->last == MEMORY_DATA || m->last == MEMORY_BODY);
}

static const struct reply *memory_commit(struct stage *st, struct tx *tx)
{
	struct memory *m = memory_of(st);
	const struct reply *r = called(m, MEMORY_COMMIT, m->last == MEMORY_PREPARE);

	for (size_t i = 0; i < m->n_boxes && !r; i++)
		way_keep_message(m->way, m->boxes[i], tx->id, text_span(&m->content));
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

/* "prepare full": the hook, and the reply it gives */
static bool set_fault(struct memory *m, const char *value)
{
	static const char *const hooks[] = { [MEMORY_NONE] = "",
		[MEMORY_RCPT] = "rcpt",
		[MEMORY_DATA] = "data",
		[MEMORY_BODY] = "body",
		[MEMORY_PREPARE] = "prepare",
		[MEMORY_COMMIT] = "commit" };
	size_t n = strcspn(value, " ");
	bool full = strcmp(value + n, " full") == 0;

	if (!full && strcmp(value + n, " failed") != 0)
		return n == 0;
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
		.hostname = dialogue_setting(d, "hostname", "mail.example.net"),
		.create = strcmp(dialogue_setting(d, "maildir-create", "no"), "yes") == 0,
	};
	m->boxes = arena_take(&way->arena, MEMORY_BOXES_MAX * sizeof(*m->boxes));
	return set_fault(m, dialogue_setting(d, "fault", ""));
}
