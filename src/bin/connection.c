/* SPDX-License-Identifier: ISC */
/*
 * Prepares a connection: settings, modules, stages, directories, sandbox, TLS
 * credentials. A fault makes it unusable. Its client then gets 421, and a record has the
 * reason.
 */
#include "bin/connection.h"
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "bin/broker.h"
#include "bin/filters.h"
#include "bin/proxy-and-rules.h"
#include "edge/sandbox/sandbox.h"
#include "edge/file.h"

static void put_log(void *ctx, const char *fault)
{
	log_error(ctx, fault);
}

bool connection_settings(
	struct connection *c, void (*report)(void *, const char *), void *ctx)
{
	struct settings_source from;
	bool fine;

	config_init(&c->config, c->inherited.credentials_directory, report, ctx);
	c->config.state_directory = c->inherited.state_directory;
	options_source(&c->options, &from);
	from.with_recipients = true;
	fine = settings_load(&c->config, &from);
	if (c->preload || c->options.listens)
		config_complete(&c->config);
	return fine;
}

/*
 * Opens a credential before the sandbox is entered, because its links may lead outside of
 * it.
 */
static void open_credential(struct connection *c, const char *path)
{
	struct tls_settings *tls = &c->config.tls;
	int fd;

	for (size_t i = 0; i < tls->n_opened; i++)
		if (strcmp(tls->opened[i].path, path) == 0)
			return;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		fd = -errno;
	if (c->n_files && fd >= c->n_files) {
		close(fd);
		fd = -EMFILE;
	}
	c->opened[tls->n_opened++] = (struct tls_opened){ path, fd };
}

/* Opens the files of credentials; they are read when TLS is first needed. */
static void open_credentials(struct connection *c)
{
	struct tls_settings *tls = &c->config.tls;

	tls->opened = c->opened;
	/* an agent also reads the certificates */
	for (size_t i = 0; i < tls->n_pairs && !tls->agent; i++) {
		open_credential(c, tls->pairs[i].certificate);
		open_credential(c, tls->pairs[i].key);
	}
	if (tls->tickets)
		open_credential(c, tls->tickets);
	if (tls->client_ca)
		open_credential(c, tls->client_ca);
}

static bool may_load_credentials(const struct connection *c)
{
	const struct preload *p = c->preload;

	if (!config_may_use_tls(&c->config))
		return false;
	return !p ||
	       (!preload_keeps_keys(p, &c->config) && !preload_fits(p, &c->config) &&
		       !preload_failed(p, &c->config.tls));
}

static void list_dirs(struct connection *c)
{
	struct sandbox_dirs *dirs = &c->dirs;

	/* the broker has the mailboxes */
	if (!dirs->owners)
		sandbox_dirs_write(dirs, c->config.mail_root, c->root);
	if (c->config.traced.n && !dirs->owners)
		sandbox_dirs_write(dirs, c->config.trace_directory, -1);
	if (c->config.session.dsn && !dirs->owners)
		sandbox_dirs_write(dirs, c->outbox.path, c->outbox.root.fd);
	if (!dirs->loaded)
		sandbox_dirs_read(dirs, c->modules);
	dirs->tls = config_may_use_tls(&c->config) && !(c->preload && dirs->loaded);
}

/* Any client may send an address that needs the module for Unicode. */
static void find_modules(struct connection *c)
{
	struct buf directory = BUF(c->modules);

	if (!c->modules[0])
		module_directory(&directory);
	idn_names_init(&c->names, c->modules, &c->log);
	c->config.session.names = &c->names.names;
}

int connection_failed(
	struct connection *c, const char *what, const char *value, int error)
{
	char text[2 * CONFIG_FAULT_MAX], why[CONFIG_FAULT_MAX];
	struct buf b = BUF(why);

	if (error >= 0)
		return error;
	if (*value == '/')
		file_put_directory_fault(&b, value, -error);
	if (*value != '/' || b.overflow)
		snprintf(why, sizeof(why), "%s", strerror(-error));
	snprintf(text, sizeof(text), "%s %s: %s", what, value, why);
	log_error(&c->log, text);
	return error;
}

/* Without the outbox DSN is not offered; mail is received nevertheless. */
static void open_outbox(struct connection *c)
{
	const char *path = c->config.dsn_outbox;

	c->config.session.dsn = path && connection_failed(c, "dsn-outbox", path,
						dsn_stage_open(&c->outbox, path)) == 0;
	c->config.session.dsn_fault =
		path && !c->config.session.dsn ? c->outbox.fault : NULL;
}

/* Records the fault, and returns `error`. */
static int user_failed(struct connection *c, int error)
{
	char why[CONFIG_FAULT_MAX / 2], text[CONFIG_FAULT_MAX];
	struct buf b = BUF(why);

	account_put_fault(&b, c->config.user, -error);
	snprintf(text, sizeof(text), "user %s: %s", c->config.user,
		b.overflow ? strerror(-error) : why);
	log_error(&c->log, text);
	return error;
}

/* The stage that stores messages. */
static struct stage *delivery_of(struct connection *c)
{
	return c->dirs.owners ? &c->brokered.stage : &c->maildir.stage;
}

static int open_filters(struct connection *c)
{
	struct filters_place place = { .path = c->config.milters,
		.state_directory = c->config.state_directory,
		.owner = { geteuid(), getegid() },
		.modules = c->modules,
		.session = &c->session,
		.stream = &c->stream,
		.log = &c->log,
		.policy = &c->policy,
		.maildir = &c->maildir,
		.brokered = c->dirs.owners ? &c->brokered : NULL,
		.quarantine = c->config.quarantine_mailbox,
		.looks_up = c->config.client_name == CLIENT_NAME_AUTO,
		.spares = c->spares };
	struct session_peer peer = { 0 };
	bool listens = c->preload != NULL;

	if (c->dirs.owners)
		account_find(BROKERED_USER, &place.owner);
	/* the table of clients may have a line for this one */
	if (!listens && c->config.clients.may_skip_filters &&
		!peer_find(STDIN_FILENO, &c->inherited.peer, &peer) &&
		client_is_unfiltered(&c->config, &peer))
		return 0;
	c->filters = filters_open(&place, c->stages, &c->n_stages, delivery_of(c));
	if (c->filters && c->filters->directory.fd >= 0)
		sandbox_dirs_spool(
			&c->dirs, c->filters->directory.path, c->filters->directory.fd);
	if (!listens)
		filters_connect(c->filters, MILTER_OWN_SOCKETS);
	c->lacks_filters = !c->filters;
	return c->filters || c->config.clients.may_skip_filters ? 0 : -EINVAL;
}

int connection_open_places(struct connection *c)
{
	if (c->has_places)
		return 0;
	c->has_places = true;
	c->root = mailbox_root(c->config.mail_root,
		c->config.maildir_create == CREATE_NO ? CREATE_NO
						      : c->config.recipients.create,
		config_is_one_mailbox(&c->config));
	if (c->root < 0)
		return connection_failed(c, "mail-root", c->config.mail_root, c->root);
	c->maildir.root.fd = c->root;
	open_outbox(c);
	return 0;
}

/* Gives up the rights of root, and opens files outside of the sandbox. 0 or -errno. */
static int open_all(struct connection *c)
{
	int r = c->config.user ? sandbox_user(c->config.user) : 0;

	if (r < 0)
		return user_failed(c, r);
	r = connection_open_places(c);
	if (r < 0)
		return r;
	log_prepare(&c->log);
	list_dirs(c);
	if (c->config.tls.agent)
		c->agent.channel = may_load_credentials(c)
					   ? keys_connect(c->config.tls.agent)
					   : -ECONNRESET;
	if ((c->config.sandbox || c->dirs.owners) && may_load_credentials(c))
		open_credentials(c);
	return c->config.milters ? open_filters(c) : 0;
}

void connection_open(struct connection *c)
{
	if (!c->unusable)
		c->unusable = open_all(c) < 0;
}

/* Descriptors 0 to 2 stay open. */
static void close_own(int fd)
{
	if (fd > STDERR_FILENO)
		close(fd);
}

void connection_close_files(const struct connection *c)
{
	const struct tls_settings *tls = &c->config.tls;

	close_own(c->root);
	if (c->config.session.dsn)
		close_own(c->outbox.root.fd);
	close_own(c->log.fd);
	for (size_t i = 0; i < tls->n_opened; i++)
		close_own(tls->opened[i].fd);
	table_close_file(c->config.recipients.table);
	backend_close_files(c->backend);
}

int connection_confine(struct connection *c)
{
	struct sandbox_report report = { 0 };
	int r;

	c->confinement = "none";
	if (c->dirs.owners && (r = broker_leave_root(&c->log)) < 0)
		return r;
	if (!c->config.sandbox)
		return 0;
	r = sandbox_enter(&c->dirs, &report);
	c->confinement = sandbox_word(&report);
	return connection_failed(c, CONNECTION_SANDBOX, r);
}

/* Raises the limit of open files, because each recipient has open directories. */
static void raise_file_limit(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur == files.rlim_max)
		return;
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
}

/* Before the outbox is opened, because the fault of that is kept. */
static void build_outbox(struct connection *c)
{
	if (!c->config.dsn_outbox)
		return;
	dsn_stage_init(
		&c->outbox, c->config.session.hostname, c->host, c->session.peer.address);
	c->outbox.path = c->config.dsn_outbox;
	if (c->dirs.owners)
		c->outbox.sent.link = &c->broker;
}

/* Sets up the stages of transactions. They do not open files yet. */
static void build(struct connection *c)
{
	size_t n = 0;

	policy_init(&c->policy, &c->config.session);
	confine_init(&c->confine, &c->dirs, c->backend, c->asks_for_login, &c->log);
	maildir_init(&c->maildir, &c->config.recipients, c->host);
	c->maildir.root.fd = c->root;
	c->maildir.original_to = c->config.session.original_to;
	brokered_init(&c->brokered, &c->broker, c->maildir.original_to);
	if (c->config.recipients_file || c->config.has_users ||
		(c->config.maildir && strchr(c->config.maildir, '%')))
		c->config.session.recipients_offered = maildir_most_recipients(
			&c->maildir, c->dirs.owners, c->dirs.owners && c->preload);
	c->stages[n++] = &c->policy.stage;
	if (connection_is_confined_later(c))
		c->stages[n++] = &c->confine.stage;
	c->stages[n++] = delivery_of(c);
	if (c->config.dsn_outbox)
		c->stages[n++] = &c->outbox.stage;
	c->n_stages = n;
}

/* True when connections run as root. */
static bool stays_root(const struct config *c)
{
	struct account a;

	if (geteuid() != 0)
		return false;
	return !c->user || (account_find(c->user, &a) == 0 && a.uid == 0);
}

/* True when another user owns the file or, if it is missing, its directory. */
static bool belongs_to_other_user(const char *path)
{
	OWNED char *copy = strdup(path);
	struct stat st;

	if (!copy)
		return true;
	return (stat(copy, &st) == 0 || stat(dirname(copy), &st) == 0) && st.st_uid != 0;
}

/*
 * Like belongs_to_other_user(), for any directory from mail-root to the mailbox of all
 * mail.
 */
static bool path_belongs_to_other_user(const char *root, const char *maildir)
{
	OWNED char *path = NULL;

	if (asprintf(&path, "%s/%s/new", root, maildir) < 0)
		return true;
	for (char *p = path + strlen(root); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		if (belongs_to_other_user(path))
			return true;
		*p = '/';
	}
	return belongs_to_other_user(path);
}

/*
 * True when root delivers to Maildirs of other users, by a broker. A listener assumes
 * this, because owners may change while it runs.
 */
static bool gives_files_away(const struct connection *c)
{
	const struct config *config = &c->config;
	const char *maildir = config->recipients.template;

	if (!stays_root(config))
		return false;
	if (c->preload || config->has_users)
		return true;
	if (config->dsn_outbox && belongs_to_other_user(config->dsn_outbox))
		return true;
	if (config->traced.n && belongs_to_other_user(config->trace_directory))
		return true;
	if (!maildir || strchr(maildir, '%') || config->recipients_file ||
		config->recipients.catch_all)
		return true;
	return path_belongs_to_other_user(config->mail_root, maildir);
}

static void name_host(struct connection *c)
{
	struct buf host = BUF(c->host);

	maildir_host(&host,
		span_of(c->config.maildir_hostname ? c->config.maildir_hostname : ""));
}

void connection_close_places(struct connection *c)
{
	if (c->root >= 0)
		close(c->root);
	if (c->outbox.root.fd >= 0)
		close(c->outbox.root.fd);
	c->root = c->maildir.root.fd = c->outbox.root.fd = -1;
	table_close(c->config.recipients.table);
	c->config.recipients.table = c->maildir.recipients.table = NULL;
}

int connection_start_broker(struct connection *c, bool serves_one, struct hangs *hangs,
	int place, int *ret_ours)
{
	const struct broker_start start = { .config = &c->config,
		.host = c->host,
		.mail_root = c->root,
		.outbox = c->config.session.dsn ? c->outbox.root.fd : -1,
		.serves_one = serves_one,
		.hangs = hangs,
		.place = place,
		.log = &c->log };

	return broker_begin(&start, ret_ours);
}

/* First of all, so that it has no secrets in its memory, and little to copy. */
static void start_broker(struct connection *c)
{
	int channel, r = connection_open_places(c);

	if (r == 0)
		r = connection_start_broker(c, true, NULL, -1, &channel);
	if (r == 0)
		broker_link_init(&c->broker, channel);
	connection_close_places(c);
	c->unusable |= r < 0;
}

void connection_prepare(struct connection *c)
{
	log_init(&c->log, c->inherited.journal_stream, c->inherited.stderr_silent);
	c->unusable = !connection_settings(c, put_log, &c->log);
	log_choose(&c->log, &c->config);
	find_modules(c);
	if (c->config.client_name == CLIENT_NAME_OFF)
		c->inherited.peer.tcp_remote_host = NULL;
	c->dirs.owners = gives_files_away(c);
	if (c->config.has_users && !c->dirs.owners && !c->unusable) {
		log_error(&c->log, USERS_NEED_ROOT);
		c->unusable = true;
	}
	c->root = c->outbox.root.fd = -1;
	broker_link_init(&c->broker, -ECONNRESET);
	c->agent = (struct keys){ .channel = -ECONNRESET, .signals = -1 };
	raise_file_limit();
	name_host(c);
	c->spares = c->config.recipients.table &&
		    table_may_have(c->config.recipients.table, SPAN("milters=off"));
	c->asks_for_login = config_asks_for_login(&c->config);
	build_outbox(c);
	if (c->dirs.owners && !c->preload && !c->unusable)
		start_broker(c);
	c->backend = backend_new(
		&c->config, c->preload ? c->preload->sasl : NULL, c->modules, &c->log);
	if (!c->backend && c->config.session.auth != AUTH_OFF &&
		config_may_use_tls(&c->config))
		c->unusable = connection_failed(c, "auth", "tables", -ENOMEM) < 0;
	if (c->backend && c->preload && c->preload->sasl_failed)
		backend_missing(c->backend);
	c->dirs.loaded = module_inside() ||
			 (c->preload && preload_is_complete(c->preload, &c->config));
	if (c->preload && c->preload->names)
		idn_names_lend(&c->names, c->preload->names);
	build(c);
	/* a listener converts them once; a single connection may not need them */
	if (c->preload && !c->unusable)
		policy_convert(&c->policy);
}
