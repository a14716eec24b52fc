/* SPDX-License-Identifier: ISC */
/*
 * serve() in a process of its own, with real Maildirs and real TLS: the whole program except its start and its
 * sandbox. MODULES is the directory of tls.so in the build.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include "bin/serve.h"
#include "process.h"
#include "unit/few-users.h"

struct server {
	struct connection c;
	struct few_users users;
};

static void put_fault(void *ctx, const char *fault)
{
	(void)ctx;
	dprintf(STDERR_FILENO, "%s\n", fault);
}

static bool read_settings(struct server *s, const struct process *p)
{
	const struct settings_source from = {
		.overrides = p->settings,
		.n_overrides = p->n_settings,
		.lmtp = p->lmtp,
		.with_recipients = true,
	};

	config_init(&s->c.config, NULL, put_fault, NULL);
	return settings_load(&s->c.config, &from);
}

static void build(struct server *s, const struct process *p)
{
	const struct peer_environment environment = { .tcp_remote_ip = p->peer };
	struct buf host = BUF(s->c.host);
	struct moment now = moment_now();

	snprintf(s->c.unique, sizeof(s->c.unique), "P%d", (int)getpid());
	maildir_host(&host, span_of(s->c.config.session.hostname));
	log_init(&s->c.log, NULL, false);
	log_choose(&s->c.log, &s->c.config);
	idn_names_init(&s->c.names, MODULES, &s->c.log);
	s->c.config.session.names = &s->c.names.names;
	few_users_init(&s->users, p->users);
	s->c.config.session.authenticator = &s->users.authenticator;
	policy_init(&s->c.policy, &s->c.config.session);
	maildir_init(&s->c.maildir, &s->c.config.recipients, s->c.host);
	s->c.maildir.original_to = s->c.config.session.original_to;
	s->c.stages[0] = &s->c.policy.stage;
	s->c.stages[1] = &s->c.maildir.stage;
	s->c.stages[2] = &s->c.outbox.stage;
	dsn_stage_init(&s->c.outbox, s->c.config.session.hostname, s->c.host,
		s->c.session.peer.address);
	s->c.config.session.dsn =
		s->c.config.dsn_outbox &&
		dsn_stage_open(&s->c.outbox, s->c.config.dsn_outbox) == 0;
	s->c.config.session.dsn_fault = s->c.config.dsn_outbox && !s->c.config.session.dsn
						? s->c.outbox.fault
						: NULL;
	session_init(&s->c.session, &s->c.config.session,
		(struct stages){ s->c.stages, 3 }, &s->c.log.recorder, s->c.unique, &now);
	peer_find(STDIN_FILENO, &environment, &s->c.session.peer);
}

static int run(const struct process *p, const struct surroundings *where)
{
	struct server *s = arena_take(&(struct arena){ 0 }, sizeof(*s));

	(void)where;
	if (!read_settings(s, p))
		return 96;
	build(s, p);
	s->c.maildir.root.fd = open(p->mail, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->c.maildir.root.fd < 0 ||
		stream_init(&s->c.stream, STDIN_FILENO, STDOUT_FILENO,
			s->c.config.timeout, s->c.config.session_timeout) < 0)
		return 95;
	snprintf(s->c.modules, sizeof(s->c.modules), "%s", MODULES);
	stream_block_stop_signals();
	serve(&s->c);
	log_done(&s->c.log);
	_exit(0);
}

bool serve_play(
	const struct surroundings *where, const struct dialogue *d, struct complaint *ret)
{
	return process_play(where, d, run, ret);
}
