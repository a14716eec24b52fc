/* SPDX-License-Identifier: ISC */
/* Runs a server process. A run begins with new Maildirs, and the process has always ended at its end. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "process.h"

#define RUN_MODE 0700

char *arena_print(struct arena *a, const char *format, ...)
{
	char text[COMPLAINT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return arena_copy(a, span_of(text));
}

static void close_file(FILE **f)
{
	if (*f)
		fclose(*f);
}

static void set(struct process *p, const char *key, const char *value)
{
	if (p->n_settings + 1 < PROCESS_SETTINGS_MAX)
		p->settings[p->n_settings++] =
			arena_print(&p->way.arena, "%s=%s", key, value);
}

/* Settings of the dialogue itself, not of postern. */
static bool is_ours(const char *key)
{
	static const char *const ours[] = { "certificate", "fault", "outbox", "peer",
		"protocol", "recipient", "rule", "users" };

	for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++)
		if (strcmp(key, ours[i]) == 0)
			return true;
	return false;
}

/* The file that the setting names, where the dialogue has lines for it. */
static bool write_lines(
	struct process *p, const struct dialogue *d, const char *key, const char *setting)
{
	const char *path = arena_print(&p->way.arena, "%s/%s", p->directory, setting);

	for (size_t i = 0; i < d->n_settings; i++) {
		CLEANUP(close_file) FILE *f = NULL;
		if (strcmp(d->settings[i].key, key) != 0)
			continue;
		f = fopen(path, "ae");
		if (!f || fprintf(f, "%s\n", d->settings[i].value) < 0)
			return way_fail(&p->way, "%s: %s", path, strerror(errno));
		set(p, setting, path);
	}
	return true;
}

/* "yes": the server makes it; "broken": there is a file in its place. False: neither. */
static bool set_outbox(struct process *p, const char *outbox)
{
	const char *path = arena_print(&p->way.arena, "%s/outbox", p->directory);
	OWNED_FD int file = -1;

	if (!outbox)
		return true;
	set(p, "dsn-outbox", path);
	if (strcmp(outbox, "yes") == 0)
		p->outbox = path;
	else if (strcmp(outbox, "broken") == 0)
		file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	return p->outbox || file >= 0 || way_fail(&p->way, "outbox: yes or broken");
}

static bool write_file(
	struct process *p, const char *setting, const char *text, mode_t mode)
{
	const char *path = arena_print(&p->way.arena, "%s/%s", p->directory, setting);
	OWNED_FD int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, mode);
	ssize_t n = (ssize_t)strlen(text);

	set(p, setting, path);
	return (file >= 0 && write(file, text, (size_t)n) == n) ||
	       way_fail(&p->way, "%s: %s", path, strerror(errno));
}

/* The sender of "MAIL FROM:<a@example.com> ..."; empty: it is another command, or has no sender. */
static struct span sender_of(struct span line)
{
	static const struct span mail = { "MAIL FROM:<", 11 };
	const char *end;

	if (line.n <= mail.n || !span_ieq((struct span){ line.p, mail.n }, mail))
		return SPAN("");
	line = span_from(line, mail.n);
	end = memchr(line.p, '>', line.n);
	return end ? (struct span){ line.p, (size_t)(end - line.p) } : SPAN("");
}

/* Of the write's commands each has a reply: appends the senders that were accepted. */
static void put_senders(
	struct arena *a, struct text *to, const struct step *send, const struct step *end)
{
	struct span rest = send->octets;
	const struct step *reply = send + 1;

	while (rest.n && reply < end && reply->kind == STEP_EXPECT) {
		const char *lf = memchr(rest.p, '\n', rest.n);
		size_t n = lf ? (size_t)(lf - rest.p) + 1 : rest.n;
		struct span sender = sender_of((struct span){ rest.p, n });
		if (sender.n && span_eq(reply->expect.code, SPAN("250"))) {
			text_put_char(a, to, ' ');
			text_put(a, to, sender);
		}
		rest = span_from(rest, n);
		reply++;
	}
}

/* The senders of the only user: all that the traced host accepted. */
static const char *senders_of_trace(struct arena *a, const struct dialogue *d)
{
	const struct step *end = d->steps + d->n_steps;
	struct text line = { 0 };

	text_put(a, &line, SPAN("user user@example.net"));
	for (const struct step *s = d->steps; s < end; s++)
		if (s->kind == STEP_SEND)
			put_senders(a, &line, s, end);
	text_put_char(a, &line, '\n');
	return line.p;
}

/* The user of tests/unit/few-users.h, for the program; "broken": no user can be looked up. */
static bool set_users(struct process *p, const struct dialogue *d)
{
	/* gsasl --mkpasswd --mechanism SCRAM-SHA-256 --password secret --iteration-count 4096 */
	static const char user[] = "user {SCRAM-SHA-256}4096,abMczsfHWIU++oOO,"
				   "GMqPr2sKZSgZ/W/7w+95tiPHkwokNJGlMaSHoUL39CY=,"
				   "+1hMECFC51EYhftFxCFHY53z2wvhxR5CqzESkdNpClU=\n";
	bool broken = strcmp(p->users, "broken") == 0;
	const char *senders = "user user@example.com user@example.net user@example.org\n";

	if (strcmp(p->users, "any") == 0)
		senders = senders_of_trace(&p->way.arena, d);
	if (strcmp(dialogue_setting(d, "auth", "off"), "off") == 0)
		return true;
	return write_file(p, "auth-users", user, broken ? 0604 : 0600) &&
	       write_file(p, "auth-senders", senders, 0600) &&
	       write_file(p, "auth-secret", "a secret of more than 32 octets here", 0600);
}

static void set_all(
	struct process *p, const struct surroundings *where, const struct dialogue *d)
{
	const char *certificate, *key;

	certificates_find(&p->way.arena, where->directory,
		dialogue_setting(d, "certificate", "good"), &certificate, &key);
	set(p, "hostname", "mail.example.net");
	set(p, "domains", "example.net");
	set(p, "mail-root", p->mail);
	set(p, "maildir", "%d/%u");
	set(p, "maildir-create", "no");
	set(p, "tls", "on");
	set(p, "tls-certificate", certificate);
	set(p, "tls-key", key);
	set(p, "log", "stderr");
	for (size_t i = 0; i < d->n_settings; i++)
		if (!is_ours(d->settings[i].key))
			set(p, d->settings[i].key, d->settings[i].value);
	if (where->traces) {
		set(p, "trace", "0.0.0.0/0 ::/0");
		set(p, "trace-directory", where->traces);
		set(p, "trace-content", "yes");
	}
	p->lmtp = strcmp(dialogue_setting(d, "protocol", "smtp"), "lmtp") == 0;
	p->users = dialogue_setting(d, "users", "good");
	p->peer = dialogue_setting(d, "peer", "192.0.2.1");
	if (strcmp(p->peer, "unknown") == 0)
		p->peer = NULL;
}

/* A directory for this run alone, emptied of the run before by its name. */
static bool make_directory(
	struct process *p, const struct surroundings *where, const struct dialogue *d)
{
	struct arena *a = &p->way.arena;
	char *directory = arena_print(a, "%s/run.XXXXXX", where->directory);

	if (!mkdtemp(directory))
		return way_fail(&p->way, "%s: %s", directory, strerror(errno));
	p->directory = directory;
	p->mail = arena_print(a, "%s/mail", directory);
	p->log = arena_print(a, "%s/log", directory);
	if (mkdir(p->mail, RUN_MODE) < 0)
		return way_fail(&p->way, "%s: %s", p->mail, strerror(errno));
	return maildirs_make(&p->way, p->mail, d->boxes);
}

/* Keeps only the peer, and what a sanitized build or one that counts reads at its start. */
static void clear_environment(const struct process *p)
{
	static const char *const names[] = { "ASAN_OPTIONS", "LLVM_PROFILE_FILE" };
	char *kept[sizeof(names) / sizeof(*names)];

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		kept[i] = getenv(names[i]) ? strdup(getenv(names[i])) : NULL;
	clearenv();
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (kept[i])
			setenv(names[i], kept[i], 1);
		free(kept[i]);
	}
	if (p->peer)
		setenv("TCPREMOTEIP", p->peer, 1);
}

static _Noreturn void become_server(const struct process *p,
	const struct surroundings *where, process_body *body, int fd)
{
	int log = open(p->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	clear_environment(p);
	if (log < 0 || dup2(fd, STDIN_FILENO) < 0 || dup2(fd, STDOUT_FILENO) < 0 ||
		dup2(log, STDERR_FILENO) < 0)
		_exit(98);
	signal(SIGPIPE, SIG_DFL);
	exit(body(p, where));
}

bool process_start(struct process *p)
{
	if (p->pid)
		return true;
	fflush(NULL);
	p->pid = fork();
	if (p->pid == 0) {
		close(p->fd);
		become_server(p, p->where, p->body, p->server_fd);
	}
	close(p->server_fd);
	p->server_fd = -1;
	return p->pid > 0 || way_fail(&p->way, "fork: %s", strerror(errno));
}

static bool open_connection(struct process *p)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return way_fail(&p->way, "socketpair: %s", strerror(errno));
	p->fd = ends[0];
	p->server_fd = ends[1];
	return true;
}

static void process_done(struct process *p)
{
	if (p->tls)
		gnutls_deinit(p->tls);
	if (p->credentials)
		gnutls_certificate_free_credentials(p->credentials);
	if (p->fd >= 0)
		close(p->fd);
	if (p->server_fd >= 0)
		close(p->server_fd);
	arena_done(&p->way.arena);
}

/* Appends the server's standard error to the complaint. Always false. */
static bool add_log(const struct process *p, struct complaint *c)
{
	FILE *f = fopen(p->log, "re");
	size_t used = strlen(c->text), room = sizeof(c->text) - used, n = 0;

	if (f && room > 2) {
		c->text[used] = '\n';
		n = fread(c->text + used + 1, 1, room - 2, f);
		c->text[used + 1 + n] = '\0';
	}
	if (f)
		fclose(f);
	return false;
}

bool process_play(const struct surroundings *where, const struct dialogue *d,
	process_body *body, struct complaint *ret)
{
	CLEANUP(process_done)
	struct process p = { .way.ops = &process_ops,
		.fd = -1,
		.server_fd = -1,
		.body = body,
		.where = where };

	if (!certificates_make(&p.way, where->directory) || !make_directory(&p, where, d))
		return complain(ret, 0, "%s", p.way.fault);
	set_all(&p, where, d);
	if (!set_users(&p, d) || !write_lines(&p, d, "rule", "clients") ||
		!write_lines(&p, d, "recipient", "recipients") ||
		!set_outbox(&p, dialogue_setting(d, "outbox", NULL)))
		return complain(ret, 0, "%s", p.way.fault);
	if (!open_connection(&p))
		return complain(ret, 0, "%s", p.way.fault);
	return play(&p.way, d, ret) || add_log(&p, ret);
}
