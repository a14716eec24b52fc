/* SPDX-License-Identifier: ISC */
/*
 * An authenticator without a library or a file: the user "user" with the password "secret". It has three mechanisms:
 * PLAIN (RFC 4616), LOGIN, and ECHO, whose challenge is the last response; an empty response logs in the user "echo".
 */
#pragma once

#include "smtp/authenticator.h"

enum few_step {
	FEW_PLAIN,
	FEW_LOGIN, /* begun */
	FEW_LOGIN_USER, /* the user's name is due */
	FEW_LOGIN_SECRET,
	FEW_ECHO,
};

struct few_users {
	struct authenticator authenticator;
	const char *listed;
	bool unavailable; /* the result of all further calls */
	bool open; /* an exchange has begun */
	bool wrong; /* one function was called where another was due */
	enum few_step at;
	char user[AUTH_USER_MAX];
	size_t n_steps, n_asked; /* of senders */
};

static inline struct few_users *few_users_of(struct authenticator *a)
{
	return (struct few_users *)a;
}

static inline const char *few_mechanisms(struct authenticator *a)
{
	return few_users_of(a)->listed;
}

static inline enum auth_result few_begin(struct authenticator *a, struct span mechanism)
{
	struct few_users *few = few_users_of(a);

	few->wrong |= few->open;
	few->open = true;
	few->user[0] = '\0';
	if (few->unavailable)
		return AUTH_UNAVAILABLE;
	if (span_ieq(mechanism, SPAN("PLAIN")))
		few->at = FEW_PLAIN;
	else if (span_ieq(mechanism, SPAN("LOGIN")))
		few->at = FEW_LOGIN;
	else if (span_ieq(mechanism, SPAN("ECHO")))
		few->at = FEW_ECHO;
	else
		return AUTH_UNKNOWN;
	return AUTH_CHALLENGE;
}

static inline void few_keep(struct few_users *few, struct span name)
{
	size_t n = name.n < AUTH_USER_MAX ? name.n : AUTH_USER_MAX - 1;

	memcpy(few->user, name.p, n);
	few->user[n] = '\0';
}

static inline enum auth_result few_judge(struct few_users *few, struct span secret)
{
	bool known = strcmp(few->user, "user") == 0;

	return known && span_eq(secret, SPAN("secret")) ? AUTH_SUCCESS : AUTH_FAILED;
}

/* message = [authzid] NUL authcid NUL passwd (RFC 4616 2) */
static inline enum auth_result few_plain(struct few_users *few, struct span message)
{
	const char *first = memchr(message.p, '\0', message.n), *second;
	struct span name, secret;

	if (!first)
		return AUTH_MALFORMED;
	name = span_from(message, (size_t)(first - message.p) + 1);
	second = name.n ? memchr(name.p, '\0', name.n) : NULL;
	if (!second)
		return AUTH_MALFORMED;
	name.n = (size_t)(second - name.p);
	secret = span_from(message, (size_t)(second - message.p) + 1);
	few_keep(few, name);
	return few_judge(few, secret);
}

static inline enum auth_result few_login(
	struct few_users *few, const struct span *response, struct buf *ret_challenge)
{
	if (few->at == FEW_LOGIN && !response) {
		few->at = FEW_LOGIN_USER;
		buf_put(ret_challenge, SPAN("Username:"));
		return AUTH_CHALLENGE;
	}
	if (few->at == FEW_LOGIN_SECRET)
		return few_judge(few, *response);
	few->at = FEW_LOGIN_SECRET;
	few_keep(few, *response);
	buf_put(ret_challenge, SPAN("Password:"));
	return AUTH_CHALLENGE;
}

static inline enum auth_result few_echo(
	struct few_users *few, const struct span *response, struct buf *ret_challenge)
{
	if (response && response->n == 0) {
		few_keep(few, SPAN("echo"));
		return AUTH_SUCCESS;
	}
	if (response)
		buf_put(ret_challenge, *response);
	return AUTH_CHALLENGE;
}

static inline enum auth_result few_step(
	struct authenticator *a, const struct span *response, struct buf *ret_challenge)
{
	struct few_users *few = few_users_of(a);

	few->wrong |= !few->open;
	few->n_steps++;
	if (few->unavailable)
		return AUTH_UNAVAILABLE;
	if (few->at == FEW_ECHO)
		return few_echo(few, response, ret_challenge);
	if (few->at != FEW_PLAIN)
		return few_login(few, response, ret_challenge);
	return response ? few_plain(few, *response) : AUTH_CHALLENGE;
}

static inline const char *few_user(struct authenticator *a)
{
	few_users_of(a)->wrong |= !few_users_of(a)->open;
	return few_users_of(a)->user;
}

static inline void few_end(struct authenticator *a)
{
	few_users_of(a)->open = false;
	few_users_of(a)->user[0] = '\0';
}

/* True for an address that begins with the user's name. */
static inline enum auth_sender few_sender(struct authenticator *a, const char *user,
	struct span address, const char **ret_fault)
{
	struct few_users *few = few_users_of(a);
	size_t n = strlen(user);

	few->n_asked++;
	few->wrong |= few->open || n == 0;
	if (few->unavailable) {
		*ret_fault = "auth-senders /etc/senders: Input/output error";
		return AUTH_SENDER_UNAVAILABLE;
	}
	if (address.n == 0 ||
		(address.n > n && memcmp(address.p, user, n) == 0 && address.p[n] == '@'))
		return AUTH_SENDER_FINE;
	return AUTH_SENDER_FOREIGN;
}

/* "good"; "missing": there is no mechanism; "broken": logins fail by a fault of this host. */
static inline void few_users_init(struct few_users *few, const char *how)
{
	*few = (struct few_users){
		.authenticator = { .mechanisms = few_mechanisms,
			.begin = few_begin,
			.step = few_step,
			.user = few_user,
			.end = few_end,
			.sender = few_sender },
		.listed = strcmp(how, "missing") == 0 ? "" : "PLAIN LOGIN ECHO",
		.unavailable = strcmp(how, "broken") == 0,
	};
}
