/* SPDX-License-Identifier: ISC */
/*
 * The filters of a connection. Mail is never received without the filters that are set:
 * where they cannot be loaded or read, clients are refused for which they are set.
 */
#include "bin/filters.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "edge/log/log.h"
#include "edge/milter/milter.h"
#include "edge/module.h"
#include "edge/net/net.h"
#include "edge/sandbox/sandbox.h"
#include "edge/settings/settings.h"
#include "edge/store/store.h"
#include "proto/text.h"
#include "smtp/names.h"
#include "smtp/policy.h"
#include "smtp/state.h"

static void put_fault(void *ctx, const char *text)
{
	log_error(ctx, text);
}

static void report(const struct filters_place *place, const char *what)
{
	char text[2 * CONFIG_FAULT_MAX];

	snprintf(text, sizeof(text), "milters %s: %s", place->path, what);
	log_error(place->log, text);
}

static const struct milter_api *load(const struct filters_place *place)
{
	char why[CONFIG_FAULT_MAX];
	struct buf b = BUF(why);
	const struct milter_api *api;
	const char *error;

	/* whole: a listener is in its sandbox when it is first used */
	api = module_load_whole(
		place->modules, MILTER_MODULE, MILTER_MODULE_TABLE, &error);
	if (api)
		return api;
	module_put_fault(&b, place->modules, MILTER_MODULE, error);
	report(place, b.overflow ? error : why);
	return NULL;
}

static int wait_for(void *ctx, int fd, short events, uint64_t until)
{
	return stream_wait_for(ctx, fd, events, until);
}

static const struct reply *judge_recipient(void *ctx, struct recipient *r)
{
	const struct filters *f = ctx;
	const struct reply *refusal = NULL;

	if (!utf8_is_ascii(r->mailbox))
		refusal = names_settle(f->place.session->settings->names, r);
	return refusal ? refusal : policy_judge_domain(f->place.policy, r->domain);
}

static void set_name(void *ctx, const char *name)
{
	struct filters *f = ctx;

	f->place.session->peer.name = name;
}

static const struct reply *quarantine(void *ctx, struct tx *tx)
{
	const struct filters *f = ctx;

	if (f->place.brokered)
		return brokered_divert(f->place.brokered, tx);
	return maildir_divert(f->place.maildir, tx, f->place.quarantine);
}

struct filters *filters_open(const struct filters_place *place, struct stage **stages,
	size_t *n_stages, const struct stage *first)
{
	OWNED struct filters *f = calloc(1, sizeof(*f));
	size_t at = 0;

	if (!f) {
		report(place, "out of memory");
		return NULL;
	}
	f->place = *place;
	while (at < *n_stages && stages[at] != first)
		at++;
	f->n_delivery = *n_stages - at;
	if (f->n_delivery < 1 || f->n_delivery > FILTERS_DELIVERY_MAX) {
		report(place, "there is no place for filters among the stages");
		return NULL;
	}
	for (size_t i = 0; i < f->n_delivery; i++)
		f->delivery[i] = stages[at + i];
	f->api = load(place);
	if (f->api)
		f->stage = f->api->open(
			&(struct milter_host){
				.path = place->path,
				.state_directory = place->state_directory,
				.session = place->session,
				.owner = place->owner,
				.reply = reply_get,
				.delivery = { f->delivery, f->n_delivery },
				.report = { .ctx = place->log, .fault = put_fault },
				.looks_up = place->looks_up,
				.spares = place->spares,
				.wait = { .ctx = f->place.stream, .ready = wait_for },
				.set_name = set_name,
				.ctx = f,
				.judge_recipient = judge_recipient,
				.quarantine = place->quarantine ? quarantine : NULL,
			},
			&f->facts, &f->directory);
	if (!f->stage)
		return NULL;
	stages[at] = f->stage;
	*n_stages = at + 1;
	return steal(&f);
}

void filters_connect(struct filters *f, int channel)
{
	if (f)
		f->api->connect(f->stage, channel);
}

void filters_use_time(struct filters *f)
{
	if (f)
		f->api->use_time(f->stage);
}

#define CONTROL 3 /* the only descriptor of the connector, beside 0 to 2 */

static int run_connector(struct filters *const *list, size_t n, bool sandbox, int control)
{
	struct stage *stages[FILTERS_KINDS_MAX] = { NULL };
	const struct filters *any = NULL;
	int r;

	prctl(PR_SET_NAME, "postern-connect");
	if (control != CONTROL && dup2(control, CONTROL) < 0)
		return EX_OSERR;
	/* the other end of the control is among them */
	if (close_range(CONTROL + 1, UINT_MAX, 0) < 0)
		return EX_OSERR;
	for (size_t i = 0; i < n && i < FILTERS_KINDS_MAX; i++) {
		stages[i] = list[i] ? list[i]->stage : NULL;
		any = list[i] ? list[i] : any;
	}
	if (!any)
		return EX_SOFTWARE;
	r = any->api->hand_out(&(struct connector_task){
		.stages = stages,
		.n_stages = n,
		.looks_up = any->place.looks_up,
		.control = CONTROL,
		.confine = sandbox ? sandbox_enter_connecting : NULL,
	});
	return r < 0 ? EX_OSERR : 0;
}

int filters_start_connector(struct connector *ret, struct filters *const *list, size_t n,
	bool sandbox, int from)
{
	int ends[2], moved, error;
	pid_t pid;

	*ret = (struct connector){ .control = -1 };
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	moved = channel_move_up(ends[0], from);
	error = moved < 0 ? moved : 0;
	pid = moved < 0 ? -1 : fork();
	if (pid == 0)
		_exit(run_connector(list, n, sandbox, ends[1]));
	if (pid < 0 && moved >= 0)
		error = -errno;
	close(ends[1]);
	if (pid > 0) {
		*ret = (struct connector){ .control = moved, .pid = pid };
		return 0;
	}
	if (moved >= 0)
		close(moved);
	return error;
}

/*
 * Sends the other end of a channel, unless it is negative. 0 or -errno. An answer is due
 * even from a connector whose channel has no room for the request (-EAGAIN): it has not
 * read earlier ones. Other errors are of this process, and say nothing about it.
 */
static int send_request(struct connector *c, int fd,
	const struct connector_request *request, uint64_t now)
{
	int r = channel_send(c->control, request, sizeof(*request), &fd, fd >= 0);

	if (r < 0 && r != -EAGAIN)
		return r;
	c->in_doubt = !request->wants_answer;
	if (request->wants_answer)
		c->asked = now;
	return r;
}

static bool is_to_be_asked(const struct connector *c, uint64_t now)
{
	return !c->asked && now - c->answered >= CONNECTOR_ASKED_EVERY;
}

int filters_open_channel(struct connector *c, size_t which, uint64_t now)
{
	const struct connector_request request = { .which = (uint32_t)which,
		.wants_answer = is_to_be_asked(c, now) };
	int ends[2], r;

	if (c->control < 0)
		return -ECONNRESET;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	r = send_request(c, ends[1], &request, now);
	close(ends[1]);
	if (r == 0)
		return ends[0];
	close(ends[0]);
	return r;
}

bool filters_watch_connector(struct connector *c, uint64_t now)
{
	const struct connector_request question = { .wants_answer = true };
	char octet;

	if (c->control < 0)
		return true;
	if (recv(c->control, &octet, sizeof(octet), MSG_DONTWAIT) > 0) {
		c->asked = 0;
		c->answered = now;
	}
	if (c->in_doubt && is_to_be_asked(c, now)) {
		/* after an error the next request asks */
		c->in_doubt = false;
		send_request(c, -1, &question, now);
	}
	return !c->asked || now - c->asked < CONNECTOR_ANSWER_TIME;
}

int filters_connector_wait(const struct connector *c, uint64_t now)
{
	uint64_t until = c->asked ? c->asked + CONNECTOR_ANSWER_TIME
				  : c->answered + CONNECTOR_ASKED_EVERY;

	if (c->control < 0 || (!c->asked && !c->in_doubt))
		return -1;
	return now < until ? (int)(until - now) : 0;
}

void filters_end(struct filters *f)
{
	if (f)
		f->api->end(f->stage);
}

void filters_close(struct filters *f)
{
	if (!f)
		return;
	f->api->close(f->stage);
	free(f);
}

void filters_leave_out(struct filters **f, struct stage **stages, size_t *n_stages)
{
	struct session *session = (*f)->place.session;
	size_t at = *n_stages - 1; /* it is the last one */

	for (size_t i = 0; i < (*f)->n_delivery; i++)
		stages[at + i] = (*f)->delivery[i];
	*n_stages = at + (*f)->n_delivery;
	session->filters = NULL;
	session->stages.n = *n_stages;
	filters_close(*f);
	*f = NULL;
}
