/* SPDX-License-Identifier: ISC */
/*
 * The module sasl.so: the mechanisms of AUTH on libgsasl, one exchange at a time, and its
 * callback. A nonexistent user gets the same replies in the same time as an existing one,
 * and no secret outlives an exchange. The base64 of SMTP's lines is done in smtp/auth.c.
 */
#include <errno.h>
#include <gsasl.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/cleanup.h"
#include "edge/auth/auth.h"
#include "edge/auth/proof.h"

#define FAULT_MAX 384 /* octets of a user name and a sentence */
/* as libgsasl prepares names and passwords: characters newer than Unicode 3.2 fail */
#define PREPARE GSASL_ALLOW_UNASSIGNED
#define DECOY_SALT 16 /* octets, when no user has a SCRAM verifier */

/* The connection's library handle, and the exchange in progress. */
struct sasl {
	const struct sasl_settings *settings;
	Gsasl *library;
	Gsasl_session *session; /* the exchange, or NULL */
	size_t n_steps;
	bool is_login;
	bool proven; /* succeeds after the client's empty response */
	bool refused; /* fails even with the right password */
	bool unavailable;
	char user[AUTH_USER_MAX];
	char value[TABLE_VALUE_MAX]; /* the user's entry; `verifier` borrows from it */
	struct verifier verifier;
};

static void report(struct sasl *s, const char *what)
{
	char text[FAULT_MAX];

	snprintf(text, sizeof(text), "auth-users: %s: %s", s->user, what);
	s->settings->fault(s->settings->ctx, text);
}

/*
 * Applies SASLprep (RFC 4013). False: it failed. libidn reports a lack of memory only by
 * errno.
 */
static bool prepare(struct sasl *s, const char *text, char **ret_prepared)
{
	errno = 0;
	if (gsasl_saslprep(text, PREPARE, ret_prepared, NULL) == GSASL_OK)
		return true;
	s->unavailable |= errno == ENOMEM;
	return false;
}

/*
 * Keeps the client's user name in the form of the table (RFC 4013). False for a name that
 * cannot be in the table; the login then fails.
 */
static bool set_user(struct sasl *s, const char *name)
{
	char *prepared = NULL;
	bool fits = name && prepare(s, name, &prepared) && *prepared &&
		    strlen(prepared) < sizeof(s->user);

	if (fits)
		memcpy(s->user, prepared, strlen(prepared) + 1);
	gsasl_free(prepared);
	s->refused |= !fits;
	return fits;
}

/* False when the client requests another authorization identity, which is not allowed. */
static bool is_own(struct sasl *s, const char *authzid)
{
	char *prepared = NULL;
	bool own;

	if (!authzid || !*authzid)
		return true;
	own = prepare(s, authzid, &prepared) && strcmp(prepared, s->user) == 0;
	gsasl_free(prepared);
	return own;
}

/*
 * Finds the user's verifier. False: the user or a usable verifier is missing. An unusable
 * line is a fault of this host, which refuses the login temporarily (454).
 */
static bool look_up(struct sasl *s)
{
	struct buf value = BUF(s->value);
	const char *wrong = NULL;

	if (!s->user[0])
		return false;
	switch (s->settings->find(s->settings->ctx, span_of(s->user), &value)) {
	case TABLE_FOUND:
		wrong = verifier_parse(buf_span(&value), &s->verifier);
		if (!wrong)
			return true;
		break;
	case TABLE_ABSENT:
		return false;
	case TABLE_FAILED:
		wrong = "the table cannot be read";
		break;
	}
	report(s, wrong);
	s->unavailable = true;
	return false;
}

static int validate_password(struct sasl *s, Gsasl_session *session)
{
	const char *name = gsasl_property_fast(session, GSASL_AUTHID);
	const char *password = gsasl_property_fast(session, GSASL_PASSWORD);
	const struct decoy *decoy = decoys_any(&s->settings->decoys);
	char *prepared = NULL;
	bool known = set_user(s, name) && look_up(s);
	enum proof proof = PROOF_WRONG;

	if (!known && decoy)
		s->verifier = decoy->verifier;
	if ((known || decoy) && password && prepare(s, password, &prepared))
		proof = proof_check(&s->verifier, prepared);
	gsasl_free(prepared);
	s->unavailable |= proof == PROOF_UNABLE || proof == PROOF_INVALID;
	if (known && proof == PROOF_INVALID)
		report(s, "crypt(3) cannot compute this hash; make it again with "
			  "mkpasswd(1)");
	if (!known || proof != PROOF_RIGHT ||
		!is_own(s, gsasl_property_fast(session, GSASL_AUTHZID)))
		return GSASL_AUTHENTICATION_ERROR;
	return GSASL_OK;
}

static int set_span(Gsasl_session *session, Gsasl_property what, struct span value)
{
	return gsasl_property_set_raw(session, what, value.p, value.n);
}

/* Sets random keys, which match no password, so libgsasl fails after the same work. */
static int set_random_keys(Gsasl_session *session)
{
	char octets[32];
	OWNED char *text = NULL;

	if (gsasl_random(octets, sizeof(octets)) != GSASL_OK ||
		gsasl_base64_to(octets, sizeof(octets), &text, NULL) != GSASL_OK)
		return GSASL_CRYPTO_ERROR;
	gsasl_property_set(session, GSASL_SCRAM_STOREDKEY, text);
	return gsasl_property_set(session, GSASL_SCRAM_SERVERKEY, text);
}

static int set_decoy(struct sasl *s, Gsasl_session *session)
{
	const struct decoy *decoy = decoys_scram(&s->settings->decoys);
	OWNED char *salt = decoy_salt(s->settings->secret, s->user,
		decoy ? decoy->verifier.n_salt : DECOY_SALT);
	char iterations[16];

	s->refused = true;
	if (!salt)
		return GSASL_MALLOC_ERROR;
	snprintf(iterations, sizeof(iterations), "%u",
		decoy ? decoy->verifier.iterations : VERIFIER_ITERATIONS_LEAST);
	gsasl_property_set(session, GSASL_SCRAM_ITER, iterations);
	gsasl_property_set(session, GSASL_SCRAM_SALT, salt);
	return set_random_keys(session);
}

/* Sets all properties of SCRAM at the first callback, when the name is known. */
static int set_verifier(struct sasl *s, Gsasl_session *session)
{
	const struct verifier *v = &s->verifier;
	char iterations[16];

	if (!set_user(s, gsasl_property_fast(session, GSASL_AUTHID)) || !look_up(s) ||
		v->kind != VERIFIER_SCRAM)
		return set_decoy(s, session);
	snprintf(iterations, sizeof(iterations), "%u", v->iterations);
	if (gsasl_property_set(session, GSASL_SCRAM_ITER, iterations) != GSASL_OK ||
		set_span(session, GSASL_SCRAM_SALT, v->salt) != GSASL_OK ||
		set_span(session, GSASL_SCRAM_STOREDKEY, v->stored) != GSASL_OK)
		s->unavailable = true;
	s->refused |= !is_own(s, gsasl_property_fast(session, GSASL_AUTHZID));
	return set_span(session, GSASL_SCRAM_SERVERKEY, v->server);
}

static int set_binding(struct sasl *s, Gsasl_session *session)
{
	struct span binding = s->settings->binding;
	OWNED char *text = NULL;

	if (binding.n == 0)
		return GSASL_NO_CB_TLS_EXPORTER;
	if (gsasl_base64_to(binding.p, binding.n, &text, NULL) != GSASL_OK)
		return GSASL_MALLOC_ERROR;
	return gsasl_property_set(session, GSASL_CB_TLS_EXPORTER, text);
}

/*
 * EXTERNAL (RFC 4422 A): the certificate determines the users, and the response may
 * select one.
 */
static int validate_certificate(struct sasl *s, Gsasl_session *session)
{
	const char *wanted = gsasl_property_fast(session, GSASL_AUTHZID);
	const struct sasl_settings *settings = s->settings;
	size_t i = 0;

	while (wanted && *wanted && i < settings->n_names &&
		strcmp(settings->names[i], wanted) != 0)
		i++;
	if (i >= settings->n_names) {
		set_user(s, wanted);
		return GSASL_AUTHENTICATION_ERROR;
	}
	snprintf(s->user, sizeof(s->user), "%s", settings->names[i]);
	return GSASL_OK;
}

/* libgsasl's callback: sets a property, or decides on a login. */
static int answer(Gsasl *library, Gsasl_session *session, Gsasl_property what)
{
	struct sasl *s = gsasl_callback_hook_get(library);

	switch (what) {
	case GSASL_VALIDATE_SIMPLE:
		return validate_password(s, session);
	case GSASL_VALIDATE_EXTERNAL:
		return validate_certificate(s, session);
	case GSASL_SCRAM_ITER:
		return set_verifier(s, session);
	case GSASL_CB_TLS_EXPORTER:
		return set_binding(s, session);
	default:
		return GSASL_NO_CALLBACK;
	}
}

static void sasl_close(struct sasl *s)
{
	if (!s)
		return;
	gsasl_finish(s->session);
	if (s->library)
		gsasl_done(s->library);
	explicit_bzero(s, sizeof(*s));
	free(s);
}

static struct sasl *sasl_open(const struct sasl_settings *settings)
{
	struct sasl *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->settings = settings;
	if (gsasl_init(&s->library) != GSASL_OK) {
		free(s);
		return NULL;
	}
	gsasl_callback_hook_set(s->library, s);
	gsasl_callback_set(s->library, answer);
	return s;
}

/* Clears one exchange. The user's name is kept for the record. */
static void sasl_end(struct sasl *s)
{
	gsasl_finish(s->session);
	s->session = NULL;
	explicit_bzero(s->value, sizeof(s->value));
	memset(&s->verifier, 0, sizeof(s->verifier));
	proof_wipe_stack();
}

static enum auth_result sasl_begin(struct sasl *s, struct span mechanism)
{
	char name[GSASL_MAX_MECHANISM_SIZE + 1] = "";
	struct buf b = BUF(name);

	sasl_end(s);
	s->n_steps = 0;
	s->proven = s->refused = s->unavailable = false;
	s->user[0] = '\0';
	for (size_t i = 0; i < mechanism.n; i++)
		buf_put_char(&b, ascii_upper(mechanism.p[i]));
	if (!buf_terminate(&b))
		return AUTH_UNKNOWN;
	s->is_login = strcmp(name, SASL_LOGIN) == 0;
	switch (gsasl_server_start(s->library, name, &s->session)) {
	case GSASL_OK:
		return AUTH_CHALLENGE;
	case GSASL_UNKNOWN_MECHANISM:
		return AUTH_UNKNOWN;
	default:
		return AUTH_UNAVAILABLE;
	}
}

static enum auth_result verdict(struct sasl *s, int code)
{
	if (s->unavailable)
		return AUTH_UNAVAILABLE;
	switch (code) {
	case GSASL_OK:
		return s->refused ? AUTH_FAILED : AUTH_SUCCESS;
	case GSASL_NEEDS_MORE:
		return AUTH_CHALLENGE;
	case GSASL_MECHANISM_PARSE_ERROR:
	case GSASL_BASE64_ERROR:
		return AUTH_MALFORMED;
	case GSASL_MALLOC_ERROR:
	case GSASL_CRYPTO_ERROR:
		return AUTH_UNAVAILABLE;
	default:
		return AUTH_FAILED;
	}
}

/* Old clients of LOGIN require these two words. */
static void put_challenge(struct sasl *s, struct span text, struct buf *to)
{
	if (s->is_login)
		text = s->n_steps == 1 ? SPAN("Username:") : SPAN("Password:");
	buf_put(to, text);
}

static enum auth_result feed(
	struct sasl *s, const char *response, size_t n, struct buf *ret_challenge)
{
	char *out = NULL;
	size_t n_out = 0;
	enum auth_result result;
	int code;

	errno = 0;
	code = gsasl_step(s->session, response, n, &out, &n_out);
	/* libgsasl reports a wrong password when SASLprep lacks memory */
	s->unavailable |= code != GSASL_OK && code != GSASL_NEEDS_MORE && errno == ENOMEM;
	result = verdict(s, code);
	s->n_steps++;
	/* LOGIN: the name is kept for the record, if the client gives up after it */
	if (s->is_login && s->n_steps == 2 && result == AUTH_CHALLENGE)
		set_user(s, response);
	/* the 235 cannot carry the last challenge (RFC 4954 4): one more step */
	if (result == AUTH_SUCCESS && n_out) {
		s->proven = true;
		result = AUTH_CHALLENGE;
	}
	if (result == AUTH_CHALLENGE)
		put_challenge(s, (struct span){ out, n_out }, ret_challenge);
	gsasl_free(out);
	return ret_challenge->overflow ? AUTH_MALFORMED : result;
}

/* Skips the first challenge of LOGIN when the command has a user name already. */
static enum auth_result skip_question(struct sasl *s)
{
	char octets[32];
	struct buf unused = BUF(octets);

	return feed(s, NULL, 0, &unused);
}

static enum auth_result sasl_step(
	struct sasl *s, const struct span *response, struct buf *ret_challenge)
{
	enum auth_result result = AUTH_CHALLENGE;
	size_t n = response ? response->n : 0;
	OWNED char *text = response ? malloc(n + 1) : NULL;

	if (s->proven)
		return n ? AUTH_MALFORMED : AUTH_SUCCESS;
	if (!s->session || (response && !text))
		return AUTH_UNAVAILABLE;
	if (text) {
		memcpy(text, response->p, n);
		text[n] = '\0';
	}
	if (s->is_login && s->n_steps == 0 && text)
		result = skip_question(s);
	if (result == AUTH_CHALLENGE)
		result = feed(s, text, n, ret_challenge);
	if (text)
		explicit_bzero(text, n);
	proof_wipe_stack();
	return result;
}

static const char *sasl_user(const struct sasl *s)
{
	return s->user;
}

static bool sasl_form(struct span name, struct buf *to)
{
	char octets[AUTH_USER_MAX] = "";
	struct buf text = BUF(octets);
	char *prepared = NULL;
	bool fine;

	buf_put(&text, name);
	if (!buf_terminate(&text) || strlen(octets) != name.n)
		return false;
	fine = gsasl_saslprep(octets, PREPARE, &prepared, NULL) == GSASL_OK && *prepared;
	if (fine)
		buf_put_str(to, prepared);
	gsasl_free(prepared);
	return fine && !to->overflow;
}

__attribute__((visibility("default"))) const struct sasl_api postern_sasl = {
	.open = sasl_open,
	.close = sasl_close,
	.begin = sasl_begin,
	.step = sasl_step,
	.user = sasl_user,
	.end = sasl_end,
	.form = sasl_form,
};
