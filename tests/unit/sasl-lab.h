/* SPDX-License-Identifier: ISC */
/*
 * The functions that the tests of the module sasl.so share: the module, a table of users, and libgsasl's clients.
 * Verifiers were printed by the tools in the comments beside them.
 */
#pragma once

#include <gsasl.h>
#include "edge/auth/auth.h"
#include "unit/module-lab.h"

#define LAB_SECRET "0123456789abcdef0123456789abcdef"
#define LAB_BINDING "the 32 octets of a TLS exporter."
#define LAB_RESPONSE_MAX 2048

struct lab_user {
	const char *name, *value;
};

/* The password is "secret" unless another one is given. */
static const struct lab_user lab_users[] = {
	/* gsasl --mkpasswd --iteration-count 4096 */
	{ "gsasl", "{SCRAM-SHA-256}4096,abMczsfHWIU++oOO,"
		   "GMqPr2sKZSgZ/W/7w+95tiPHkwokNJGlMaSHoUL39CY=,"
		   "+1hMECFC51EYhftFxCFHY53z2wvhxR5CqzESkdNpClU=" },
	/* doveadm pw -s SCRAM-SHA-256 */
	{ "dovecot", "{SCRAM-SHA-256}4096,3IihwtyvoakRYuNDdXzSiQ==,"
		     "uDAzScWIzXgX4pgO5O0o+DEnRqtxHvOMVIrh7akSuIM=,"
		     "NTcyojHmiwFxqh28FFXX7y+/iHXVOlHsudqaucTO4dM=" },
	/* the same once more, for the count */
	{ "dovecot2", "{SCRAM-SHA-256}4096,n2repK9Sbdhw4vVhCnEYRQ==,"
		      "kNFPuLivDWBBUlGEYI9xV3+82xrNMRUBsiUsYNcjMWE=,"
		      "c2Sbx2lEv1aet66nW7xJ2vrRlHoE5r8+qofdPJA4+Ig=" },
	/* mkpasswd -m yescrypt */
	{ "yescrypt", "$y$j9T$vJLAYJ65uZ3UG1bjR5Dii/"
		      "$0vAOjNpLw3O.iV2kZfbB0aQ274F3dQfeeUNeiC/37A8" },
	/* mkpasswd -m sha512crypt */
	{ "sha512", "$6$yQP/1ffsMVn2dtHy$"
		    "qvysfEx.x5FVj9NzzEKY..sCe3KWFIm5h4qloQbZb1xEff27Lk8LYiBMPjhXi2BR"
		    "V4uTE1ElFL99oMFK0JYCY/" },
	{ "IX", "$6$yQP/1ffsMVn2dtHy$"
		"qvysfEx.x5FVj9NzzEKY..sCe3KWFIm5h4qloQbZb1xEff27Lk8LYiBMPjhXi2BR"
		"V4uTE1ElFL99oMFK0JYCY/" },
	{ "bare", "secret" }, { "broken", NULL }, /* the table cannot be read there */
};

static const struct sasl_api *lab_api;
static char lab_fault[512];

static inline enum table_found lab_find(
	void *ctx, struct span user, struct buf *ret_value)
{
	(void)ctx;
	for (size_t i = 0; i < TEST_COUNT(lab_users); i++) {
		if (!span_eq(span_of(lab_users[i].name), user))
			continue;
		if (!lab_users[i].value)
			return TABLE_FAILED;
		buf_put_str(ret_value, lab_users[i].value);
		return TABLE_FOUND;
	}
	return TABLE_ABSENT;
}

static inline void lab_hear(void *ctx, const char *text)
{
	(void)ctx;
	snprintf(lab_fault, sizeof(lab_fault), "%s", text);
}

/* As the program would fill it. */
static inline void lab_settings(struct sasl_settings *ret)
{
	*ret = (struct sasl_settings){
		.find = lab_find,
		.fault = lab_hear,
		.secret = SPAN(LAB_SECRET),
		.binding = SPAN(LAB_BINDING),
	};
	for (size_t i = 0; i < TEST_COUNT(lab_users); i++)
		if (lab_users[i].value)
			decoys_count(&ret->decoys, span_of(lab_users[i].value));
	lab_fault[0] = '\0';
}

/* Logs in, and returns the result. */
struct lab_login {
	const char *mechanism, *user, *password;
	const char *authzid; /* NULL: none is sent */
	const char *binding; /* of the client's side; NULL: LAB_BINDING */
	bool waits; /* sends no initial response */
	char said[LAB_RESPONSE_MAX]; /* the server, first */
	char who[AUTH_USER_MAX];
};

static inline int lab_answer(Gsasl *library, Gsasl_session *session, Gsasl_property what)
{
	const struct lab_login *l = gsasl_callback_hook_get(library);
	const char *binding = l->binding ? l->binding : LAB_BINDING;
	char *text;

	switch (what) {
	case GSASL_AUTHID:
		return gsasl_property_set(session, what, l->user);
	case GSASL_AUTHZID:
		return gsasl_property_set(session, what, l->authzid);
	case GSASL_PASSWORD:
		return gsasl_property_set(session, what, l->password);
	case GSASL_CB_TLS_EXPORTER:
		if (!strstr(l->mechanism, "PLUS") ||
			gsasl_base64_to(binding, strlen(binding), &text, NULL) !=
				GSASL_OK)
			return GSASL_NO_CALLBACK;
		gsasl_property_set(session, what, text);
		gsasl_free(text);
		return GSASL_OK;
	default:
		return GSASL_NO_CALLBACK;
	}
}

/* Plays the exchange to its end; each side gets the messages of the other. */
static inline enum auth_result lab_exchange(
	struct sasl *server, Gsasl_session *client, struct lab_login *l)
{
	char challenge[LAB_RESPONSE_MAX] = "";
	struct buf said = BUF(challenge);
	enum auth_result result = AUTH_CHALLENGE;

	if (l->waits)
		result = lab_api->step(server, NULL, &said);
	for (size_t i = 0; result == AUTH_CHALLENGE && i < 8; i++) {
		char *response = NULL;
		size_t n = 0;
		int code = gsasl_step(client, said.p, said.n, &response, &n);
		if (code != GSASL_OK && code != GSASL_NEEDS_MORE) {
			printf("# client: %s\n", gsasl_strerror(code));
			return AUTH_FAILED;
		}
		said.n = 0;
		result = lab_api->step(server, &(struct span){ response, n }, &said);
		gsasl_free(response);
		if (!l->said[0])
			memcpy(l->said, said.p, said.n);
	}
	return result;
}

static inline enum auth_result lab_log_in(
	const struct sasl_settings *settings, struct lab_login *l)
{
	struct sasl *server = lab_api->open(settings);
	enum auth_result result;
	Gsasl *library;
	Gsasl_session *client;

	REQUIRE(server && gsasl_init(&library) == GSASL_OK);
	gsasl_callback_hook_set(library, l);
	gsasl_callback_set(library, lab_answer);
	REQUIRE(gsasl_client_start(library, l->mechanism, &client) == GSASL_OK);
	result = lab_api->begin(server, span_of(l->mechanism));
	if (CHECK(result == AUTH_CHALLENGE))
		result = lab_exchange(server, client, l);
	lab_api->end(server);
	snprintf(l->who, sizeof(l->who), "%s", lab_api->user(server));
	lab_api->close(server);
	gsasl_finish(client);
	gsasl_done(library);
	return result;
}

/* The module is named by argv[1] or POSTERN_SASL_MODULE. */
static inline void lab_open(int argc, char *argv[])
{
	void *module = lab_module(argc, argv, "POSTERN_SASL_MODULE");

	lab_api = dlsym(module, SASL_MODULE_TABLE);
	REQUIRE(lab_api != NULL);
}
