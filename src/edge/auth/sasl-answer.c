/*
 * Promises that a user who does not exist gets the answers, and takes the time, of one who
 * does. Refuses to know mechanisms: what libgsasl asks of them is the same.
 */
#include "edge/auth/sasl-exchange.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/cleanup.h"
#include "edge/auth/proof.h"

#define FAULT_MAX 384 /* a user's name and a sentence */
/* as libgsasl itself prepares names and passwords: newer characters than Unicode 3.2 fail */
#define PREPARE GSASL_ALLOW_UNASSIGNED
#define DECOY_SALT 16 /* octets, where nobody has SCRAM's verifier */

static void tell(struct sasl *s, const char *what)
{
	char text[FAULT_MAX];

	snprintf(text, sizeof(text), "auth-users: %s: %s", s->user, what);
	s->settings->fault(s->settings->ctx, text);
}

/* SASLprep. False where that cannot be done; libidn's own codes do not tell a lack of memory. */
static bool prepare(struct sasl *s, const char *text, char **ret_prepared)
{
	errno = 0;
	if (gsasl_saslprep(text, PREPARE, ret_prepared, NULL) == GSASL_OK)
		return true;
	s->unavailable |= errno == ENOMEM;
	return false;
}

bool sasl_set_user(struct sasl *s, const char *name)
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

/* Nobody acts for another here. */
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

/* False where there is no such user, or no usable verifier. */
static bool look_up(struct sasl *s)
{
	struct buf value = BUF(s->value);
	const char *wrong;

	if (!s->user[0])
		return false;
	switch (s->settings->find(s->settings->ctx, span_of(s->user), &value)) {
	case TABLE_FOUND:
		wrong = verifier_parse(buf_span(&value), &s->verifier);
		if (wrong)
			tell(s, wrong);
		return !wrong;
	case TABLE_ABSENT:
		return false;
	case TABLE_FAILED:
		break;
	}
	tell(s, "the table cannot be read");
	s->unavailable = true;
	return false;
}

static int validate_password(struct sasl *s, Gsasl_session *session)
{
	const char *name = gsasl_property_fast(session, GSASL_AUTHID);
	const char *password = gsasl_property_fast(session, GSASL_PASSWORD);
	const struct decoy *decoy = decoys_any(&s->settings->decoys);
	char *prepared = NULL;
	bool known = sasl_set_user(s, name) && look_up(s);
	enum proof proof = PROOF_WRONG;

	if (!known && decoy)
		s->verifier = decoy->verifier;
	if ((known || decoy) && password && prepare(s, password, &prepared))
		proof = proof_check(&s->verifier, prepared);
	gsasl_free(prepared);
	s->unavailable |= proof == PROOF_UNABLE;
	if (!known || proof != PROOF_RIGHT ||
		!is_own(s, gsasl_property_fast(session, GSASL_AUTHZID)))
		return GSASL_AUTHENTICATION_ERROR;
	return GSASL_OK;
}

static int set_span(Gsasl_session *session, Gsasl_property what, struct span value)
{
	return gsasl_property_set_raw(session, what, value.p, value.n);
}

/* Keys that no password has: the proof must fail, and libgsasl works for it all the same. */
static int set_nobodys_keys(Gsasl_session *session)
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
	OWNED char *salt = proof_salt(s->settings->secret, s->user,
		decoy ? decoy->verifier.n_salt : DECOY_SALT);
	char iterations[16];

	s->refused = true;
	if (!salt)
		return GSASL_MALLOC_ERROR;
	snprintf(iterations, sizeof(iterations), "%u",
		decoy ? decoy->verifier.iterations : VERIFIER_ITERATIONS_LEAST);
	gsasl_property_set(session, GSASL_SCRAM_ITER, iterations);
	gsasl_property_set(session, GSASL_SCRAM_SALT, salt);
	return set_nobodys_keys(session);
}

/* All that the exchange asks for, at its first question: the name is known by then. */
static int set_verifier(struct sasl *s, Gsasl_session *session)
{
	const struct verifier *v = &s->verifier;
	char iterations[16];

	if (!sasl_set_user(s, gsasl_property_fast(session, GSASL_AUTHID)) ||
		!look_up(s) || v->kind != VERIFIER_SCRAM)
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

/* RFC 4422 A: the certificate says who the client is, and the response which of them. */
static int validate_certificate(struct sasl *s, Gsasl_session *session)
{
	const char *wanted = gsasl_property_fast(session, GSASL_AUTHZID);
	const struct sasl_settings *settings = s->settings;
	size_t i = 0;

	while (wanted && *wanted && i < settings->n_names &&
		strcmp(settings->names[i], wanted) != 0)
		i++;
	if (i >= settings->n_names) {
		sasl_set_user(s, wanted);
		return GSASL_AUTHENTICATION_ERROR;
	}
	snprintf(s->user, sizeof(s->user), "%s", settings->names[i]);
	return GSASL_OK;
}

int sasl_answer(Gsasl *library, Gsasl_session *session, Gsasl_property what)
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
