/* Promises that no sentence shows a secret; refuses to compute one. */
#include "bin/check/auth.h"
#include <stdio.h>
#include <stdlib.h>
#include "edge/auth/auth.h"
#include "edge/table/table.h"
#include "edge/tls/tls.h"
#include "proto/address.h"
#include "proto/verifier.h"
#include "smtp/authenticator.h"

/* A table that is looked at. */
struct place {
	const char *setting, *path;
	const char *(*judge)(struct span key, struct span value);
	void (*fault)(void *ctx, const char *text);
	void *ctx;
};

static void put(void *ctx, const char *what)
{
	const struct place *p = ctx;
	char text[CONFIG_FAULT_MAX];

	snprintf(text, sizeof(text), "%s %s: %s", p->setting, p->path, what);
	p->fault(p->ctx, text);
}

static void see_pair(void *ctx, size_t line, struct span key, struct span value)
{
	const struct place *p = ctx;
	const char *wrong = p->judge(key, value);
	char octets[TABLE_FAULT_MAX];
	struct buf b = BUF(octets);

	if (!wrong)
		return;
	if (line) {
		buf_put(&b, SPAN("line "));
		buf_put_num(&b, line);
		buf_put(&b, SPAN(": "));
	}
	entry_show(&b, key);
	buf_put(&b, SPAN(": "));
	buf_put_str(&b, wrong);
	put(ctx, buf_terminate(&b) ? octets : wrong);
}

static void check_table(const struct place *p, bool is_secret)
{
	const struct table_visitor v = { (void *)p, see_pair };
	struct faults faults = { .report = put, .ctx = (void *)p };
	char unused[TABLE_FAULT_MAX];
	struct table *t = NULL;

	if (!p->path)
		return;
	table_check(p->path, is_secret, &v, &faults);
	if (table_open(p->path, is_secret, &t, unused) == 0 && table_is_empty(t))
		put((void *)p, TABLE_EMPTY);
	table_close(t);
}

static const char *judge_user(struct span user, struct span verifier)
{
	struct verifier unused;

	if (user.n >= AUTH_USER_MAX)
		return "is longer than a user's name may be (255 octets)";
	return verifier_parse(verifier, &unused);
}

static const char *judge_certificate(struct span fingerprint, struct span user)
{
	bool fine = fingerprint.n == 2 * TLS_FINGERPRINT_SIZE;

	for (size_t i = 0; fine && i < fingerprint.n; i++)
		fine = (fingerprint.p[i] >= '0' && fingerprint.p[i] <= '9') ||
		       (fingerprint.p[i] >= 'a' && fingerprint.p[i] <= 'f');
	if (!fine)
		return "is no SHA-256 fingerprint of 64 hexadecimal digits, in lower "
		       "case and without colons";
	if (user.n == 0 || user.n >= AUTH_USER_MAX)
		return "has no user's name of 1 to 255 octets";
	return NULL;
}

static const char *judge_sender(struct span user, struct span list)
{
	(void)user;
	return senders_wrong(list).n ? "has a word that is no address, @domain or *"
				     : NULL;
}

static void check_secret(const struct place *p)
{
	struct span secret = { 0 };
	char why[TABLE_FAULT_MAX];
	struct buf b = BUF(why);

	if (p->path && secret_read(p->path, &secret, &b) < 0)
		put((void *)p, b.overflow ? "cannot be used" : why);
	free((char *)secret.p);
}

void check_auth(
	const struct config *c, void (*fault)(void *ctx, const char *text), void *ctx)
{
	const struct place users = { "auth-users", c->auth_users, judge_user, fault,
		ctx };
	const struct place secret = { "auth-secret", c->auth_secret, NULL, fault, ctx };
	const struct place certificates = { "auth-certificates", c->auth_certificates,
		judge_certificate, fault, ctx };
	const struct place senders = { "auth-senders", c->auth_senders, judge_sender,
		fault, ctx };

	check_table(&users, true);
	check_secret(&secret);
	check_table(&certificates, false);
	check_table(&senders, false);
}
