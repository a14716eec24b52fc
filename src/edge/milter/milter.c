/* SPDX-License-Identifier: ISC */
/*
 * The module milter.so: the stage that asks filters. It stands in front of the stages
 * that deliver, and keeps the content until each filter has let it pass: then they get
 * the message as the filters want it. Nothing is sent to a filter before the first MAIL.
 */
#include "edge/milter/milter.h"
#include <stdio.h>
#include <unistd.h>
#include "edge/milter/connector.h"
#include "edge/milter/parts.h"

#define OUT_OF_MEMORY "milters: out of memory"

static struct filters_state *state_of(struct stage *st)
{
	return (struct filters_state *)st;
}

/* Takes over the fault of a stage that delivers, for the record. */
static void note_fault(struct filters_state *m)
{
	if (!m->stage.fault)
		m->stage.fault = stages_fault(&m->host.delivery);
}

/* Begins to look up the client's name, once the sockets are there. */
static void begin_lookup(struct filters_state *m)
{
	const struct session_peer *peer = &m->host.session->peer;
	struct ip ip = { 0 };

	if (m->lookup.step != LOOKUP_NOT_BEGUN || m->channel >= 0)
		return;
	if (!m->host.looks_up || peer->name || !ip_parse(span_of(peer->address), &ip))
		lookup_done(&m->lookup);
	else
		lookup_begin(&m->lookup, &ip);
}

static void filters_use_time(struct stage *stage)
{
	struct filters_state *m = state_of(stage);

	connector_take(m, 0);
	begin_lookup(m);
	lookup_go_on(&m->lookup);
}

/* Waits for the facts about the client, which the first event needs. */
static void await_client(struct filters_state *m)
{
	connector_take(m, connector_time(m));
	begin_lookup(m);
	lookup_await(&m->lookup);
	if (lookup_name(&m->lookup) && !m->host.session->peer.name)
		m->host.set_name(m->host.ctx, lookup_name(&m->lookup));
	if (!m->client.name)
		client_texts_make(m);
}

/*
 * True of a refusal of MAIL that is sent at RCPT instead, because it does not apply to
 * recipients without filters. A filter that ends the session is not put off; one that
 * failed decides nothing, whatever its default action is.
 */
static bool may_wait(const struct filters_state *m, const struct filter *f,
	const struct reply *refusal)
{
	if (!m->host.spares || f->link.interrupted)
		return false;
	return f->failed || refusal != m->host.reply(REPLY_FILTER_END);
}

/*
 * Drops the results of unknown commands before MAIL, which are no part of the
 * transaction.
 */
static void forget_commands(struct filters_state *m)
{
	for (size_t i = 0; i < m->n; i++) {
		m->list[i].verdict = NULL;
		m->list[i].link.spent = 0;
	}
	m->quarantine = NULL;
	m->stage.fault = NULL;
}

static const struct reply *filters_mail(struct stage *st, const struct tx *tx)
{
	struct filters_state *m = state_of(st);
	const struct reply *r = NULL;

	forget_commands(m);
	await_client(m);
	for (size_t i = 0; i < m->n && !r && !m->refusal && !m->discard; i++) {
		r = filter_ask_mail(m, &m->list[i], tx);
		facts_note(m, &m->list[i], r);
		if (r && may_wait(m, &m->list[i], r)) {
			m->refusal = r;
			r = NULL;
		}
	}
	if (!r)
		r = stages_mail(&m->host.delivery, tx);
	facts_write(m);
	note_fault(m);
	return r;
}

/* The recipient was accepted by the stages that deliver. NULL or a refusal. */
static const struct reply *judge_recipient(
	struct filters_state *m, const struct tx *tx, const struct recipient *to)
{
	const struct reply *r = m->refusal;

	if (tx->n_recipients > 1 && to->unfiltered != m->spared)
		return m->host.reply(REPLY_FILTER_APART);
	m->spared = to->unfiltered;
	if (m->spared)
		return NULL;
	for (size_t i = 0; i < m->n && !r && !m->discard; i++) {
		r = filter_ask_rcpt(m, &m->list[i], tx, to);
		facts_note(m, &m->list[i], r);
		m->list[i].n_refused += r && !m->list[i].failed;
	}
	return r;
}

/*
 * A filter's refusal concerns that recipient alone. A message has one verdict and one
 * reply, so its recipients all want filters, or all want none: those of the other kind
 * get a 452, after which the client sends them the message in another transaction (RFC
 * 5321 4.5.3.1.10).
 */
static const struct reply *filters_rcpt(
	struct stage *st, const struct tx *tx, struct recipient *to)
{
	struct filters_state *m = state_of(st);
	const struct stages *delivery = &m->host.delivery;
	const struct reply *r;

	r = stages_rcpt(delivery, tx, to);
	note_fault(m);
	m->withheld = to->unfiltered;
	if (r)
		return r;
	r = judge_recipient(m, tx, to);
	m->withheld = r != NULL;
	for (size_t i = 0; i < delivery->n && r; i++)
		if (delivery->list[i]->ops->drop)
			delivery->list[i]->ops->drop(delivery->list[i], to);
	facts_write(m);
	return r;
}

/* True when filters are not asked about the message any more. */
static bool is_settled(const struct filters_state *m)
{
	return m->discard || m->spared;
}

/* Shows a recipient that this host has refused to filters that want these, too. */
static void filters_refused(struct stage *st, const struct tx *tx, struct span mailbox,
	const struct reply *refusal, struct span text)
{
	struct filters_state *m = state_of(st);

	for (size_t i = 0; i < m->n && !m->withheld && !is_settled(m); i++)
		filter_show_refused(m, &m->list[i], tx, mailbox, refusal, text);
	m->withheld = false;
}

static const struct reply *filters_unknown(struct stage *st, struct span line)
{
	struct filters_state *m = state_of(st);
	const struct reply *r = NULL;

	/* after a discard the content is incomplete, so no filter may fail and undo it */
	for (size_t i = 0; i < m->n && !r && !m->discard; i++)
		r = filter_ask_unknown(m, &m->list[i], line);
	return r;
}

static const struct reply *filters_data(
	struct stage *st, const struct tx *tx, struct span trace)
{
	struct filters_state *m = state_of(st);
	const struct reply *r = NULL;

	if (octets_put(&m->content.trace, trace, SIZE_MAX / 4) < 0)
		return m->host.reply(REPLY_NO_MEMORY);
	for (size_t i = 0; i < m->n && !r && !is_settled(m); i++) {
		r = filter_ask_data(m, &m->list[i], tx);
		facts_note(m, &m->list[i], r);
	}
	facts_write(m);
	return r;
}

static const struct reply *filters_body(
	struct stage *st, const struct tx *tx, struct span text)
{
	struct filters_state *m = state_of(st);
	int r;

	(void)tx;
	if (m->discard && !m->spared)
		return NULL;
	r = spool_put(&m->content.text, m->directory, text);
	return r < 0 ? content_fail(m, r) : NULL;
}

static const struct reply *filters_prepare(struct stage *st, struct tx *tx)
{
	struct filters_state *m = state_of(st);
	const struct stages *to = &m->host.delivery;
	const struct reply *r = NULL;

	for (size_t i = 0; i < m->n && !r && !is_settled(m); i++) {
		r = filter_ask_content(m, &m->list[i], tx);
		facts_note(m, &m->list[i], r);
	}
	if (!r && !is_settled(m))
		r = changes_carry_out(m, tx);
	facts_write(m);
	if (!r && m->discard && !m->spared)
		r = m->host.reply(REPLY_FILTER_DISCARDED);
	if (!r)
		r = content_deliver(m, tx);
	for (size_t i = 0; i < to->n && !r; i++)
		if (to->list[i]->ops->prepare)
			r = to->list[i]->ops->prepare(to->list[i], tx);
	note_fault(m);
	return r;
}

static const struct reply *filters_commit(struct stage *st, struct tx *tx)
{
	struct filters_state *m = state_of(st);
	const struct stages *to = &m->host.delivery;
	const struct reply *r = NULL;

	for (size_t i = 0; i < to->n && !r; i++)
		if (to->list[i]->ops->commit)
			r = to->list[i]->ops->commit(to->list[i], tx);
	note_fault(m);
	return r;
}

static void filters_clear(struct stage *st)
{
	struct filters_state *m = state_of(st);

	stages_clear(&m->host.delivery);
	content_clear(&m->content);
	for (size_t i = 0; i < m->n; i++)
		filter_end_message(&m->list[i]);
	changes_cut(&m->changes, 0);
	m->quarantine = NULL;
	m->discard = m->spared = false;
	m->refusal = NULL;
	facts_clear(&m->facts);
	m->quarantiner = NULL;
	m->stage.fault = NULL;
}

static const struct stage_ops filters_ops = {
	.mail = filters_mail,
	.rcpt = filters_rcpt,
	.refused = filters_refused,
	.unknown = filters_unknown,
	.data = filters_data,
	.body = filters_body,
	.prepare = filters_prepare,
	.commit = filters_commit,
	.clear = filters_clear,
};

static void filters_end(struct stage *stage)
{
	struct filters_state *m = state_of(stage);

	for (size_t i = 0; i < m->n; i++)
		filter_quit(&m->list[i]);
}

static void filters_close(struct stage *stage)
{
	struct filters_state *m = state_of(stage);

	for (size_t i = 0; i < m->n; i++)
		link_done(&m->list[i].link);
	if (m->channel >= 0)
		close(m->channel);
	lookup_done(&m->lookup);
	content_done(&m->content);
	changes_done(&m->changes);
	if (m->directory >= 0)
		close(m->directory);
	free(m->list);
	free(m->file);
	free(m);
}

/*
 * COST: 15 us of a session with a filter: what a usual message needs is in memory of the
 * listener that no process has touched, small parts side by side; without it: each
 * connection allocates it, which touches the page behind each part as well. More room is
 * made later where there is too little. 0 or -ENOMEM.
 */
static int make_room_for_all(struct filters_state *m)
{
	for (size_t i = 0; i < m->n; i++)
		link_make_room_to_read(&m->list[i].link);
	content_make_room(&m->content);
	for (size_t i = 0; i < m->n; i++)
		link_make_room_to_write(&m->list[i].link, 2 * EVENT_MAX);
	return content_make_room_for_text(&m->content);
}

static struct stage *filters_open(const struct milter_host *host,
	const struct filters_facts **ret_facts, struct milter_directory *ret_directory)
{
	struct filters_state *m = calloc(1, sizeof(*m));

	if (!m) {
		host->report.fault(host->report.ctx, OUT_OF_MEMORY);
		return NULL;
	}
	content_init(&m->content);
	m->host = *host;
	m->stage.ops = &filters_ops;
	m->channel = -1;
	/* without it messages are kept in memory */
	m->directory = filters_directory(
		&host->owner, host->state_directory, m->directory_path, &host->report);
	if (!filters_read(host->path, host->quarantine, &host->report, &m->file, &m->list,
		    &m->n)) {
		filters_close(&m->stage);
		return NULL;
	}
	for (size_t i = 0; i < m->n; i++) {
		m->list[i].link.wait = host->wait;
		m->list[i].session = host->session;
	}
	if (make_room_for_all(m) < 0) {
		host->report.fault(host->report.ctx, OUT_OF_MEMORY);
		filters_close(&m->stage);
		return NULL;
	}
	*ret_facts = &m->facts;
	*ret_directory = (struct milter_directory){ m->directory_path, m->directory };
	return &m->stage;
}

/*
 * Connects to all filters. One that cannot be reached is not asked later; its default
 * action applies.
 */
static void filters_connect(struct stage *stage, int channel)
{
	struct filters_state *m = state_of(stage);
	struct ip servers[DNS_SERVERS_MAX];
	size_t n;

	m->channel = channel;
	if (channel < MILTER_OWN_SOCKETS)
		connector_lost(m);
	if (channel != MILTER_OWN_SOCKETS)
		return;
	for (size_t i = 0; i < m->n; i++)
		link_open_patiently(&m->list[i].link, &m->list[i].setting);
	n = m->host.looks_up ? lookup_servers(servers) : 0;
	for (size_t i = 0; i < n; i++)
		lookup_add(&m->lookup, lookup_connect(&servers[i]));
}

__attribute__((visibility("default"))) const struct milter_api postern_milter = {
	.open = filters_open,
	.connect = filters_connect,
	.use_time = filters_use_time,
	.hand_out = connector_run,
	.end = filters_end,
	.close = filters_close,
	.check = filters_check,
};
