/* SPDX-License-Identifier: ISC */
/* Replaces the masked logins of a trace by others to which a server replies as in the trace. */
#include "masks.h"
#include "pattern.h"

static const struct span mask = { "****\r\n", 6 };

/* Returns the start of the last line of a write. */
static size_t last_line(struct span octets)
{
	const char *lf = octets.n > 1 ? memrchr(octets.p, '\n', octets.n - 1) : NULL;

	return lf ? (size_t)(lf - octets.p) + 1 : 0;
}

static bool begins_exchange(const struct step *step)
{
	static const struct span verb = { "AUTH ", 5 };
	struct span line;

	if (step->kind != STEP_SEND)
		return false;
	line = span_from(step->octets, last_line(step->octets));
	return line.n > verb.n && span_ieq((struct span){ line.p, verb.n }, verb);
}

static bool is_masked(const struct step *step)
{
	return span_ends(step->octets, mask);
}

/* The last reply before the client writes again, or NULL. */
static struct step *last_reply(const struct dialogue *d, const struct step *send)
{
	struct step *last = NULL, *s = d->steps + (send - d->steps) + 1;

	for (; s < d->steps + d->n_steps; s++) {
		if (s->kind == STEP_EXPECT)
			last = s;
		else if (s->kind != STEP_PAUSE)
			break;
	}
	return last;
}

static bool has_code(const struct step *expect, const char *code)
{
	return span_eq(expect->expect.code, span_of(code));
}

/* Returns the end of the exchange, or NULL if nothing in it is masked and any user could send it. */
static struct step *last_of_exchange(
	const struct dialogue *d, struct step *send, bool any)
{
	struct step *end = d->steps + d->n_steps, *reply = NULL;
	bool masked = false;

	for (; send < end && send->kind == STEP_SEND; send = reply + 1) {
		masked |= is_masked(send);
		reply = last_reply(d, send);
		if (!reply || !has_code(reply, "334"))
			break;
	}
	masked |= any && reply && has_code(reply, "504");
	return masked ? reply : NULL;
}

static bool is_cancelled(const struct step *reply)
{
	static const struct span code = { "5.7.0", 5 };
	struct span text =
		reply->expect.n_patterns ? reply->expect.patterns[0] : SPAN("");

	return has_code(reply, "501") && text.n >= code.n &&
	       memcmp(text.p, code.p, code.n) == 0;
}

/* A login with a wrong password, of a known user. */
static struct span wrong_password(void)
{
	return SPAN("AUTH PLAIN AHVzZXIAZ3Vlc3M=\r\n");
}

/* Returns an exchange that gets this reply; empty: none is known. */
static struct span stand_in(const struct step *reply)
{
	if (has_code(reply, "504"))
		return SPAN("AUTH UNKNOWN\r\n");
	if (has_code(reply, "235"))
		return SPAN("AUTH PLAIN AHVzZXIAc2VjcmV0\r\n");
	if (has_code(reply, "535"))
		return wrong_password();
	return is_cancelled(reply) ? SPAN("AUTH PLAIN\r\n") : SPAN("");
}

/* Appends a step to those that are kept. */
static struct step *put_step(
	struct dialogue *d, struct step **to, size_t *n, const struct step *step)
{
	*to = arena_more(&d->arena, *to, *n, sizeof(**to));
	(*to)[*n] = *step;
	return &(*to)[(*n)++];
}

/* A client can cancel only after a challenge. */
static void put_cancel(
	struct dialogue *d, struct step **to, size_t *n, const struct step *reply)
{
	struct step challenge = { STEP_EXPECT, reply->line, { 0 }, reply->expect };
	struct step cancel = {
		.kind = STEP_SEND, .line = reply->line, .octets = SPAN("*\r\n")
	};
	static struct span any = { "", 0 };

	challenge.expect = (struct expect){ EXPECT_PREFIX, SPAN("334"), &any, 1 };
	put_step(d, to, n, &challenge);
	put_step(d, to, n, &cancel);
}

/* The server was about to refuse a password, and the session ended within the pause before its reply. */
static bool ends_in_pause(const struct dialogue *d, const struct step *send)
{
	const struct step *next = send + 1;

	return is_masked(send) && !last_reply(d, send) && next < d->steps + d->n_steps &&
	       next->kind == STEP_PAUSE;
}

/* The write with a wrong password in place of its mask. */
static void put_wrong_password(
	struct dialogue *d, struct step **to, size_t *n, const struct step *send)
{
	struct step *put = put_step(d, to, n, send);
	struct text octets = { 0 };

	text_put(&d->arena, &octets,
		(struct span){ send->octets.p, last_line(send->octets) });
	text_put(&d->arena, &octets, wrong_password());
	put->octets = text_span(&octets);
}

/* The exchange from `send` to `reply`; what its first write has before AUTH keeps its replies. */
static void put_exchange(struct dialogue *d, struct step **to, size_t *n,
	const struct step *send, const struct step *reply)
{
	const struct step *first = last_reply(d, send);
	struct step *put = put_step(d, to, n, send);
	struct text octets = { 0 };

	text_put(&d->arena, &octets,
		(struct span){ send->octets.p, last_line(send->octets) });
	text_put(&d->arena, &octets, stand_in(reply));
	put->octets = text_span(&octets);
	for (const struct step *s = send + 1; s < reply; s++)
		if (s->kind == STEP_PAUSE || (s->kind == STEP_EXPECT && s < first))
			put_step(d, to, n, s);
	if (is_cancelled(reply))
		put_cancel(d, to, n, reply);
	put_step(d, to, n, reply);
}

/* "AUTH SCRAM-SHA-256 PLAIN" in a reply to EHLO: any other list is as good. */
static void loosen(struct dialogue *d, struct span *pattern)
{
	struct span from = *pattern;
	const char *line = memmem(from.p, from.n, "\nAUTH ", 6);
	const char *end;
	struct text out = { 0 };
	struct span star;

	if (!line)
		return;
	from = span_from(from, (size_t)(line - from.p) + 5);
	end = memchr(from.p, '\n', from.n);
	from = span_from(from, end ? (size_t)(end - from.p) : from.n);
	pattern_compile(&d->arena, SPAN(" ..."), false, &star);
	text_put(&d->arena, &out,
		(struct span){ pattern->p, (size_t)(line - pattern->p) + 5 });
	text_put(&d->arena, &out, star);
	text_put(&d->arena, &out, from);
	*pattern = text_span(&out);
}

/* The users of the traced host are not known, nor what they could log in with. */
static void loosen_all(struct dialogue *d)
{
	for (size_t i = 0; i < d->n_steps; i++)
		if (d->steps[i].kind == STEP_EXPECT && has_code(&d->steps[i], "250") &&
			d->steps[i].expect.kind == EXPECT_TEXT)
			loosen(d, &d->steps[i].expect.patterns[0]);
}

void masks_fill(struct dialogue *d)
{
	bool any = strcmp(dialogue_setting(d, "users", ""), "any") == 0;
	struct step *steps = NULL;
	size_t n = 0;

	for (size_t i = 0; i < d->n_steps; i++) {
		struct step *send = &d->steps[i], *reply = NULL;
		if (begins_exchange(send))
			reply = last_of_exchange(d, send, any);
		if (begins_exchange(send) && ends_in_pause(d, send)) {
			put_wrong_password(d, &steps, &n, send);
			continue;
		}
		if (!reply || stand_in(reply).n == 0) {
			put_step(d, &steps, &n, send);
			continue;
		}
		put_exchange(d, &steps, &n, send, reply);
		i = (size_t)(reply - d->steps);
	}
	d->steps = steps;
	d->n_steps = n;
	if (any)
		loosen_all(d);
}
