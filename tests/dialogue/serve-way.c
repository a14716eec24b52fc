/* serve() in a process of its own, with real Maildirs and real TLS: all of the program
 * but its beginning and its sandbox. MODULES is where the build has put tls.so. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include "bin/serve.h"
#include "edge/idn/names.h"
#include "edge/store/maildir.h"
#include "edge/store/dsn-stage.h"
#include "edge/net/peer.h"
#include "process.h"
#include "smtp/policy.h"
#include "unit/few-users.h"

#define UNIQUE_MAX 24

struct server {
	struct config config;
	struct log log;
	struct stream stream;
	struct session session;
	struct idn_names names;
	struct few_users users;
	struct policy policy;
	struct maildir maildir;
	struct outbox outbox;
	struct stage *stages[3];
	struct notify notify;
	struct serve serve;
	char unique[UNIQUE_MAX];
	char host[TX_FILE_MAX];
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

	config_init(&s->config, NULL, put_fault, NULL);
	return settings_load(&s->config, &from);
}

static void build(struct server *s, const struct process *p)
{
	const struct peer_environment environment = { .tcp_remote_ip = p->peer };
	struct buf host = BUF(s->host);
	struct moment now = moment_now();

	snprintf(s->unique, sizeof(s->unique), "P%d", (int)getpid());
	maildir_host(&host, span_of(s->config.session.hostname));
	log_init(&s->log, NULL, false);
	log_choose(&s->log, &s->config);
	idn_names_init(&s->names, MODULES, &s->log);
	s->config.session.names = &s->names.names;
	few_users_init(&s->users, p->users);
	s->config.session.authenticator = &s->users.authenticator;
	policy_init(&s->policy, &s->config.session);
	maildir_init(&s->maildir, &s->config.recipients, s->host);
	s->stages[0] = &s->policy.stage;
	s->stages[1] = &s->maildir.stage;
	s->stages[2] = &s->outbox.stage;
	outbox_init(
		&s->outbox, s->config.session.hostname, s->host, s->session.peer.address);
	s->config.session.dsn = s->config.dsn_outbox &&
				outbox_open(&s->outbox, s->config.dsn_outbox) == 0;
	s->config.session.dsn_fault =
		s->config.dsn_outbox && !s->config.session.dsn ? s->outbox.fault : NULL;
	session_init(&s->session, &s->config.session, (struct stages){ s->stages, 3 },
		&s->log.recorder, s->unique, &now);
	peer_find(STDIN_FILENO, &environment, &s->session.peer);
}

static int run(const struct process *p, const struct surroundings *where)
{
	struct server *s = arena_take(&(struct arena){ 0 }, sizeof(*s));

	(void)where;
	if (!read_settings(s, p))
		return 96;
	build(s, p);
	s->maildir.root = open(p->mail, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->maildir.root < 0 ||
		stream_init(&s->stream, STDIN_FILENO, STDOUT_FILENO, s->config.timeout,
			s->config.session_timeout) < 0)
		return 95;
	s->serve = (struct serve){
		.stream = &s->stream,
		.session = &s->session,
		.log = &s->log,
		.names = &s->names,
		.config = &s->config,
		.modules = MODULES,
		.notify = &s->notify,
	};
	serve(&s->serve);
	log_done(&s->log);
	_exit(0);
}

bool serve_play(
	const struct surroundings *where, const struct dialogue *d, struct complaint *ret)
{
	return process_play(where, d, run, ret);
}
