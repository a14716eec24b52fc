/*
 * The mechanisms of AUTH, on libgsasl: the module's table and an exchange's life. Promises
 * that nothing secret outlives an exchange. Refuses to know SMTP, the base64 of its lines,
 * and where users are kept.
 */
#include "edge/auth/sasl.h"

#include <errno.h>
#include <gsasl.h>
#include <stdlib.h>
#include "base/cleanup.h"
#include "edge/auth/sasl-exchange.h"
#include "edge/auth/proof.h"

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
	gsasl_callback_set(s->library, sasl_answer);
	return s;
}

/* What belongs to one exchange. The user is told of even when that is over. */
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

/* Old clients know these two words, and wait for them. */
static void put_challenge(struct sasl *s, struct span said, struct buf *to)
{
	if (s->is_login)
		said = s->n_steps == 1 ? SPAN("Username:") : SPAN("Password:");
	buf_put(to, said);
}

static enum auth_result take(
	struct sasl *s, const char *response, size_t n, struct buf *ret_challenge)
{
	char *said = NULL;
	size_t n_said = 0;
	enum auth_result result;
	int code;

	errno = 0;
	code = gsasl_step(s->session, response, n, &said, &n_said);
	/* libgsasl calls it a wrong password when SASLprep lacks memory */
	s->unavailable |= code != GSASL_OK && code != GSASL_NEEDS_MORE && errno == ENOMEM;
	result = verdict(s, code);
	s->n_steps++;
	/* who gives up behind this has said who it is */
	if (s->is_login && s->n_steps == 2 && result == AUTH_CHALLENGE)
		sasl_set_user(s, response);
	/* what is said last cannot go with the 235 (RFC 4954 4): it takes one more step */
	if (result == AUTH_SUCCESS && n_said) {
		s->proven = true;
		result = AUTH_CHALLENGE;
	}
	if (result == AUTH_CHALLENGE)
		put_challenge(s, (struct span){ said, n_said }, ret_challenge);
	gsasl_free(said);
	return ret_challenge->overflow ? AUTH_MALFORMED : result;
}

/* A user's name that came with the command answers a question that nobody asked. */
static enum auth_result skip_question(struct sasl *s)
{
	char octets[32];
	struct buf unsaid = BUF(octets);

	return take(s, NULL, 0, &unsaid);
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
		result = take(s, text, n, ret_challenge);
	if (text)
		explicit_bzero(text, n);
	proof_wipe_stack();
	return result;
}

static const char *sasl_user(const struct sasl *s)
{
	return s->user;
}

__attribute__((visibility("default"))) const struct sasl_api postern_sasl = {
	.open = sasl_open,
	.close = sasl_close,
	.begin = sasl_begin,
	.step = sasl_step,
	.user = sasl_user,
	.end = sasl_end,
};
