/* SPDX-License-Identifier: ISC */
/*
 * Plays a dialogue several times with the client's octets split in different ways: whole, one by one, and with each
 * write cut in two at each octet. The result must always be the same. play.c has the steps.
 */
#include <stdlib.h>
#include "base/cleanup.h"
#include "base/num.h"
#include "engine.h"

/* Octets shown to the engine for all cuts of one write; a write that would need more is
 * cut at some of its octets only, an odd number apart. */
#define CUT_OCTETS_MAX (16 * 1024 * 1024)

static const char *const tls_words[] = {
	[TLS_OFF] = "off",
	[TLS_ON] = "on",
	[TLS_REQUIRED] = "required",
	[TLS_IMPLICIT] = "implicit",
};

static const char *const auth_words[] = {
	[AUTH_OFF] = "off",
	[AUTH_ON] = "on",
	[AUTH_REQUIRED] = "required",
};

static bool set_count(const struct dialogue *d, const char *key, uint64_t otherwise,
	uint64_t *ret, struct complaint *complaint)
{
	const char *value = dialogue_setting(d, key, NULL);

	*ret = otherwise;
	if (!value || num_parse(span_of(value), ret))
		return true;
	return complain(complaint, 0, "%s: not a number", key);
}

static void set_domains(struct engine *e, const struct dialogue *d)
{
	char *list = arena_copy(
		&e->way.arena, span_of(dialogue_setting(d, "domains", "example.net")));
	char *save = NULL;

	for (char *p = strtok_r(list, " ", &save); p; p = strtok_r(NULL, " ", &save))
		if (e->settings.n_domains < ENGINE_DOMAINS_MAX)
			e->domains[e->settings.n_domains++] = p;
	e->settings.domains = e->domains;
}

static bool set_tls(struct engine *e, const struct dialogue *d, struct complaint *ret)
{
	const char *mode = dialogue_setting(d, "tls", "on");
	const char *certificate = dialogue_setting(d, "certificate", "good");

	e->verdict =
		strcmp(certificate, "good") == 0 || strcmp(certificate, "expired") == 0
			? TLS_READY
			: TLS_UNUSABLE;
	if (strcmp(mode, "ssl") == 0)
		mode = tls_words[TLS_REQUIRED];
	for (size_t i = 0; i < sizeof(tls_words) / sizeof(*tls_words); i++)
		if (strcmp(mode, tls_words[i]) == 0) {
			e->settings.tls = (enum tls_mode)i;
			return true;
		}
	return complain(ret, 0, "tls: no such mode");
}

static bool set_auth(struct engine *e, const struct dialogue *d, struct complaint *ret)
{
	const char *mode = dialogue_setting(d, "auth", "off");

	few_users_init(&e->users, dialogue_setting(d, "users", "good"));
	e->settings.authenticator = &e->users.authenticator;
	for (size_t i = 0; i < sizeof(auth_words) / sizeof(*auth_words); i++)
		if (strcmp(mode, auth_words[i]) == 0) {
			e->settings.auth = (enum auth_mode)i;
			e->settings.any_needs_login = e->settings.auth != AUTH_OFF;
			return true;
		}
	return complain(ret, 0, "auth: no such mode");
}

bool engine_settings(struct engine *e, const struct dialogue *d, struct complaint *ret)
{
	const char *bare = dialogue_setting(d, "bare-newline", "normalize");
	uint64_t recipients, transactions, errors;

	if (!set_count(d, "size-limit", 50 << 20, &e->settings.size_limit, ret) ||
		!set_count(d, "recipient-limit", 1000, &recipients, ret) ||
		!set_count(d, "transaction-limit", 1000, &transactions, ret) ||
		!set_count(d, "error-limit", 20, &errors, ret) || !set_tls(e, d, ret) ||
		!set_auth(e, d, ret))
		return false;
	set_domains(e, d);
	e->settings.lmtp = strcmp(dialogue_setting(d, "protocol", "smtp"), "lmtp") == 0;
	few_names_init(&e->names);
	e->settings.names = &e->names.names;
	e->settings.hostname = dialogue_setting(d, "hostname", "mail.example.net");
	e->settings.banner = dialogue_setting(d, "banner",
		e->settings.lmtp ? "LMTP service ready" : "ESMTP service ready");
	e->settings.original_to =
		strcmp(dialogue_setting(d, "original-to", "no"), "yes") == 0;
	e->settings.dsn = strcmp(dialogue_setting(d, "outbox", "no"), "yes") == 0;
	e->settings.dsn_fault = strcmp(dialogue_setting(d, "outbox", "no"), "broken") == 0
					? "/outbox: is not a directory"
					: NULL;
	e->settings.recipient_limit = recipients;
	e->settings.transaction_limit = transactions;
	e->settings.error_limit = errors;
	e->settings.bare_newline =
		strcmp(bare, "reject") == 0 ? BARE_REJECT : BARE_NORMALIZE;
	return true;
}

static void engine_free(struct engine **e)
{
	if (!*e)
		return;
	engine_done(*e);
	free(*e);
}

/* One run. *ret_n is how many octets the write has that the split names; 0: there is none
 * or the run ended before it. */
static bool run(const struct dialogue *d, struct split split, size_t *ret_n,
	struct complaint *ret)
{
	CLEANUP(engine_free) struct engine *e = calloc(1, sizeof(*e));
	struct complaint what;

	*ret_n = 0;
	if (!e || !engine_init(e, d, split, ret))
		return false;
	if (play(&e->way, d, &what)) {
		*ret_n = e->n_split_octets;
		return true;
	}
	switch (split.how) {
	case SPLIT_TWO:
		return complain(ret, what.line, "write %zu cut behind octet %zu: %.3000s",
			split.write + 1, split.at, what.text);
	case SPLIT_OCTETS:
		return complain(ret, what.line, "octet by octet: %.3000s", what.text);
	default:
		*ret = what;
		return false;
	}
}

/* The octets that a run shows to the engine. */
static size_t octets_of(const struct dialogue *d)
{
	size_t n = 0;

	for (size_t i = 0; i < d->n_steps; i++)
		n += d->steps[i].octets.n;
	return n;
}

static bool cut_write(
	const struct dialogue *d, size_t write, size_t n_octets, struct complaint *ret)
{
	size_t step = (n_octets * octets_of(d) / CUT_OCTETS_MAX) | 1, n;

	for (size_t at = 1; at < n_octets; at += step)
		if (!run(d, (struct split){ SPLIT_TWO, write, at }, &n, ret))
			return false;
	return true;
}

bool engine_play(
	const struct surroundings *where, const struct dialogue *d, struct complaint *ret)
{
	size_t write = 0, n;

	(void)where;
	if (!run(d, (struct split){ SPLIT_NOT, 0, 0 }, &n, ret) ||
		!run(d, (struct split){ SPLIT_OCTETS, 0, 0 }, &n, ret))
		return false;
	for (size_t i = 0; i < d->n_steps; i++)
		if (d->steps[i].kind == STEP_SEND &&
			!cut_write(d, write++, d->steps[i].octets.n, ret))
			return false;
	return true;
}
