/* SPDX-License-Identifier: ISC */
/*
 * AUTH (RFC 4954). A client may log in once, inside TLS. Responses are wiped, and each
 * failed attempt is delayed longer than the one before. authenticator.h is the interface
 * to mechanisms and users.
 */
#include "smtp/auth.h"
#include "proto/text.h"
#include "proto/line.h"
#include "smtp/record.h"

static struct authenticator *authenticator(const struct session *s)
{
	return s->settings->authenticator;
}

/* True when a mechanism is usable. The first call inside TLS may load the module. */
static bool has_mechanism(const struct session *s)
{
	return authenticator(s) && authenticator(s)->mechanisms(authenticator(s))[0];
}

/*
 * AUTH stays listed after a login, because AUTH= of MAIL needs it and clients may repeat
 * EHLO.
 */
bool auth_is_offered(const struct session *s)
{
	return s->settings->auth != AUTH_OFF && s->secured && has_mechanism(s);
}

bool auth_is_unavailable(const struct session *s)
{
	if (s->settings->auth == AUTH_OFF)
		return false;
	return s->secured ? !has_mechanism(s) : s->tls_unusable;
}

/*
 * The refusal is temporary when a fault of this host prevents the login, or TLS for it
 * (RFC 4954 6).
 */
const struct reply *auth_refusal(const struct session *s)
{
	if (s->settings->auth != AUTH_REQUIRED || s->user[0])
		return NULL;
	return reply_get(s->auth_unavailable || auth_is_unavailable(s)
				 ? REPLY_AUTH_UNAVAILABLE
				 : REPLY_AUTH_FIRST);
}

/* RFC 4954 4: one login in a session, and none in the clear. */
static const struct reply *judge(const struct session *s)
{
	if (s->user[0])
		return reply_get(REPLY_AUTH_TWICE);
	if (!s->secured && s->settings->tls == TLS_OFF)
		return reply_get(REPLY_NOT_IMPLEMENTED);
	if (auth_is_unavailable(s))
		return reply_get(REPLY_AUTH_UNAVAILABLE);
	return s->secured ? NULL : reply_get(REPLY_AUTH_CLEAR);
}

/* The input is writable memory (struct bytes), so the cast is safe. */
static void wipe_input(struct span text)
{
	explicit_bzero((char *)text.p, text.n);
}

/* Copies as much as fits. */
static void keep(char *to, size_t room, struct span text)
{
	struct buf b = { .p = to, .cap = room };

	text.n = text.n < room ? text.n : room - 1;
	buf_put(&b, text);
	buf_terminate(&b);
}

/*
 * sasl-mech = 1*20mech-char   mech-char = UPPER-ALPHA / DIGIT / "-" / "_"
 * (RFC 4422 3.1)
 */
static bool is_mechanism(struct span name)
{
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];
		if (!(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') && c != '-' &&
			c != '_')
			return false;
	}
	return name.n < AUTH_MECHANISM_MAX;
}

/* Keeps the mechanism's name. An invalid name may be a secret, and is not kept. */
static void keep_mechanism(struct session *s, struct span name, bool known)
{
	keep(s->mechanism, sizeof(s->mechanism),
		known || is_mechanism(name) ? name : SPAN(""));
	for (char *c = s->mechanism; *c; c++)
		*c = ascii_upper(*c);
}

/*
 * Doubles the delay with each failure, which slows guessing but hardly a user who
 * mistypes. Failures from the same network in other sessions count, too, so that a new
 * session is no faster.
 */
static void delay(struct session *s)
{
	size_t n = s->n_auth_failures++ + s->n_failed_before;

	if (n >= AUTH_FAILURES_MAX)
		n = AUTH_FAILURES_MAX - 1;
	s->pause_until = s->now.milliseconds + ((uint64_t)AUTH_PAUSE << n);
}

/* Ends the exchange, and records a failure. */
static struct answer end(struct session *s, enum reply_name name)
{
	struct answer a = answer(name);

	if (!reply_is_positive(a.reply)) {
		record_auth(s, a.reply);
		a.recorded = true;
	}
	auth_drop(s);
	return a;
}

/*
 * Ends the exchange with the mechanism's result. Success without a user name counts as a
 * failure.
 */
static struct answer finish(struct session *s, enum auth_result result)
{
	static const enum reply_name replies[] = {
		[AUTH_SUCCESS] = REPLY_AUTH_DONE,
		[AUTH_FAILED] = REPLY_AUTH_FAILED,
		[AUTH_MALFORMED] = REPLY_AUTH_RESPONSE,
		[AUTH_UNKNOWN] = REPLY_AUTH_MECHANISM,
		[AUTH_UNAVAILABLE] = REPLY_AUTH_UNAVAILABLE,
	};
	struct authenticator *a = authenticator(s);

	if (result == AUTH_SUCCESS)
		keep(s->user, sizeof(s->user), span_of(a->user(a)));
	if (result == AUTH_SUCCESS && !s->user[0])
		result = AUTH_FAILED;
	if (result == AUTH_FAILED)
		delay(s);
	s->auth_unavailable = result == AUTH_UNAVAILABLE;
	return end(s, replies[result]);
}

void auth_drop(struct session *s)
{
	authenticator(s)->end(authenticator(s));
	s->phase = PHASE_GREETED;
}

void auth_give_up(struct session *s)
{
	record_auth(s, NULL);
	auth_drop(s);
}

/* Passes the response to the mechanism and wipes it. NULL: no initial response. */
static struct answer step(struct session *s, struct buf *response)
{
	struct span octets = response ? buf_span(response) : SPAN("");
	char challenge_octets[AUTH_CHALLENGE_MAX];
	struct buf challenge = BUF(challenge_octets), text = BUF(s->scratch);
	enum auth_result result = authenticator(s)->step(
		authenticator(s), response ? &octets : NULL, &challenge);

	if (response)
		explicit_bzero(response->p, response->n);
	if (result == AUTH_CHALLENGE && challenge.overflow)
		result = AUTH_MALFORMED;
	if (result != AUTH_CHALLENGE)
		return finish(s, result);
	s->phase = PHASE_AUTH;
	base64_put(&text, buf_span(&challenge));
	return answer_with(REPLY_CHALLENGE, buf_span(&text));
}

static struct answer take(struct session *s, struct span text)
{
	struct buf b = BUF(s->scratch);

	if (base64_take(text, &b))
		return step(s, &b);
	explicit_bzero(b.p, b.n);
	return finish(s, AUTH_MALFORMED);
}

/* initial-response = base64 / "=" "=" is an empty one (RFC 4954 4) */
static struct answer begin(struct session *s, struct span mechanism, struct span initial)
{
	enum auth_result result = authenticator(s)->begin(authenticator(s), mechanism);

	keep_mechanism(s, mechanism, result != AUTH_UNKNOWN);
	if (result != AUTH_CHALLENGE)
		return finish(s, result);
	if (initial.n == 0)
		return step(s, NULL);
	return take(s, span_eq(initial, SPAN("=")) ? SPAN("") : initial);
}

/* auth-command = "AUTH" SP sasl-mech [SP initial-response]     (RFC 4954 8) */
struct answer auth_begin(struct session *s, struct span args)
{
	struct command mechanism = command_parse(args);
	struct command initial = command_parse(mechanism.args);
	struct answer a = { .reply = judge(s) };

	if (!a.reply && initial.args.n)
		a = answer(REPLY_AUTH_SYNTAX);
	if (!a.reply)
		a = begin(s, mechanism.verb, initial.verb);
	wipe_input(mechanism.args);
	return a;
}

/* response = [base64] / "*" "*" cancels (RFC 4954 4) */
static struct answer take_line(struct session *s, const struct line *line)
{
	struct command response = command_parse(line->text);

	if (line->too_long)
		return end(s, REPLY_AUTH_TOO_LONG);
	s->lenient |= line->bare || command_is_padded(line->text);
	if (line->bare && s->settings->bare_newline == BARE_REJECT)
		return end(s, REPLY_LINE_BARE);
	if (response.args.n)
		return end(s, REPLY_AUTH_RESPONSE);
	if (span_eq(response.verb, SPAN("*")))
		return end(s, REPLY_AUTH_CANCELLED);
	return take(s, response.verb);
}

struct answer auth_response(struct session *s, struct bytes *in)
{
	char *start = in->p;
	struct answer a = { 0 };
	struct line line;

	if (line_take(&s->line, in, AUTH_LINE_MAX, &line))
		a = take_line(s, &line);
	explicit_bzero(start, (size_t)(in->p - start));
	explicit_bzero(s->line.tail, LINE_TAIL);
	return a;
}
