/* SPDX-License-Identifier: ISC */
/*
 * The table of commands and their dispatcher. Every command passes the same checks in the
 * same order: TLS, phase, argument. Handlers return an answer, and session.c writes it.
 */
#include "smtp/verbs.h"
#include "proto/line.h"
#include "smtp/auth.h"
#include "smtp/params.h"

enum verb_flags {
	/*
	 * allowed in the clear where TLS is required (RFC 3207 4), and before AUTH where
	 * a login is required (RFC 4954 6)
	 */
	VERB_CLEAR = 1,
	VERB_ARG = 2, /* needs an argument */
	VERB_NO_ARG = 4,
	/* announces octets, which follow even if the command is refused */
	VERB_OCTETS = 16,
	VERB_JUNK = 8, /* useless for mail: too many count as errors */
	VERB_SMTP = 32, /* unknown in LMTP (RFC 2033 4.1) */
	VERB_LMTP = 64, /* unknown in SMTP */
	/* logs in; with `auth = off` the next row of that name is used */
	VERB_AUTH = 128,
	VERB_MAIL = 256, /* begins a transaction */
};

#define VERB_HELLO (VERB_CLEAR | VERB_ARG | VERB_JUNK)
#define ANY_PHASE (PHASE_CONNECTED | PHASE_GREETED | PHASE_MAIL | PHASE_CHUNKS)

_Static_assert(MAIL_EXTRA_MAX <= COMMAND_EXTRA_MAX && RCPT_EXTRA_MAX <= COMMAND_EXTRA_MAX,
	"no verb has more than AUTH");

struct verb {
	struct span name;
	unsigned phases;
	unsigned flags;
	size_t n_extra; /* octets that a line may have above COMMAND_LINE_MAX */
	/* NULL for VERB_OCTETS, which verbs_dispatch() handles */
	struct answer (*handle)(struct session *s, struct span args);
};

/* Returns the hostname and the extensions, one per line. */
static struct span ehlo_lines(struct session *s)
{
	struct buf b = BUF(s->scratch);

	buf_put_str(&b, s->settings->hostname);
	extensions_put(&b, s);
	return buf_span(&b);
}

/*
 * Accepts any argument without control characters. Names of Windows hosts may have octets
 * above 126, in UTF-8 or Latin-1. Records escape them, and Received omits names that are
 * not domains.
 */
static const struct reply *greet(struct session *s, struct span args, bool esmtp)
{
	bool is_ascii = true;

	for (size_t i = 0; i < args.n; i++) {
		unsigned char c = (unsigned char)args.p[i];
		if (c < 32 || c == 127)
			return reply_get(REPLY_HELLO_ARGUMENT);
		is_ascii &= c < 128;
	}
	s->lenient |= !is_ascii;
	mail_end(s, NULL);
	memcpy(s->helo, args.p, args.n);
	s->helo[args.n] = '\0';
	s->n_hellos++;
	s->esmtp = esmtp;
	s->phase = PHASE_GREETED;
	return NULL;
}

static struct answer do_ehlo(struct session *s, struct span args)
{
	const struct reply *r = greet(s, args, true);

	return r ? (struct answer){ .reply = r }
		 : answer_with(REPLY_HELLO, ehlo_lines(s));
}

static struct answer do_helo(struct session *s, struct span args)
{
	const struct reply *r = greet(s, args, false);

	return r ? (struct answer){ .reply = r }
		 : answer_with(REPLY_HELLO, span_of(s->settings->hostname));
}

static struct answer do_rset(struct session *s, struct span args)
{
	(void)args;
	mail_end(s, NULL);
	if (s->phase != PHASE_CONNECTED)
		s->phase = PHASE_GREETED;
	return answer(REPLY_OK);
}

static struct answer do_noop(struct session *s, struct span args)
{
	(void)s, (void)args;
	return answer(REPLY_OK);
}

static struct answer do_help(struct session *s, struct span args);

static struct answer do_vrfy(struct session *s, struct span args)
{
	(void)s, (void)args;
	return answer(REPLY_NOT_VERIFIED);
}

static struct answer do_unimplemented(struct session *s, struct span args)
{
	(void)s, (void)args;
	return answer(REPLY_NOT_IMPLEMENTED);
}

static struct answer do_quit(struct session *s, struct span args)
{
	(void)args;
	s->end = END_QUIT;
	return answer(REPLY_BYE);
}

static struct answer do_starttls(struct session *s, struct span args)
{
	(void)args;
	if (s->secured)
		return answer(REPLY_TLS_ACTIVE);
	if (s->settings->tls == TLS_OFF)
		return answer(REPLY_TLS_OFF);
	s->wants_tls = true;
	return (struct answer){ 0 };
}

#define NAME(literal)                                                                    \
	{                                                                                \
		literal, sizeof(literal) - 1                                             \
	}

static const struct verb verbs[] = {
	{ NAME("EHLO"), ANY_PHASE, VERB_HELLO | VERB_SMTP, 0, do_ehlo },
	{ NAME("HELO"), ANY_PHASE, VERB_HELLO | VERB_SMTP, 0, do_helo },
	{ NAME("LHLO"), ANY_PHASE, VERB_HELLO | VERB_LMTP, 0, do_ehlo },
	{ NAME("MAIL"), PHASE_GREETED, VERB_ARG | VERB_MAIL, MAIL_EXTRA_MAX, mail_mail },
	{ NAME("RCPT"), PHASE_MAIL, VERB_ARG, RCPT_EXTRA_MAX, mail_rcpt },
	{ NAME("DATA"), PHASE_MAIL, VERB_NO_ARG, 0, mail_data },
	{ NAME("BDAT"), PHASE_MAIL | PHASE_CHUNKS, VERB_OCTETS, 0, NULL },
	{ NAME("RSET"), ANY_PHASE, VERB_CLEAR | VERB_NO_ARG | VERB_JUNK, 0, do_rset },
	{ NAME("NOOP"), ANY_PHASE, VERB_CLEAR | VERB_JUNK, 0, do_noop },
	{ NAME("QUIT"), ANY_PHASE, VERB_CLEAR | VERB_NO_ARG, 0, do_quit },
	{ NAME("STARTTLS"), ANY_PHASE, VERB_CLEAR | VERB_NO_ARG, 0, do_starttls },
	{ NAME("VRFY"), ANY_PHASE, VERB_ARG | VERB_JUNK, 0, do_vrfy },
	{ NAME("HELP"), ANY_PHASE, VERB_JUNK, 0, do_help },
	{ NAME("EXPN"), ANY_PHASE, 0, 0, do_unimplemented },
	{ NAME("AUTH"), PHASE_GREETED, VERB_ARG | VERB_AUTH, COMMAND_EXTRA_MAX,
		auth_begin },
	{ NAME("AUTH"), ANY_PHASE, 0, 0, do_unimplemented },
	{ NAME("ETRN"), ANY_PHASE, 0, 0, do_unimplemented },
	{ NAME("SEND"), ANY_PHASE, 0, 0, do_unimplemented },
	{ NAME("SOML"), ANY_PHASE, 0, 0, do_unimplemented },
	{ NAME("SAML"), ANY_PHASE, 0, 0, do_unimplemented },
	{ NAME("TURN"), ANY_PHASE, 0, 0, do_unimplemented },
};

/* True for a command of the session's protocol. */
static bool is_known(const struct session *s, const struct verb *verb)
{
	unsigned unknown = s->settings->lmtp ? VERB_SMTP : VERB_LMTP;

	if (s->settings->auth == AUTH_OFF)
		unknown |= VERB_AUTH;
	return !(verb->flags & unknown);
}

static bool is_hello(const struct verb *verb)
{
	return verb->handle == do_ehlo || verb->handle == do_helo;
}

/* Lists all commands that are carried out (RFC 5321 4.1.1.8). */
static struct answer do_help(struct session *s, struct span args)
{
	struct buf b = BUF(s->scratch);

	(void)args;
	buf_put(&b, SPAN("Commands:"));
	for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++) {
		if (verbs[i].handle == do_unimplemented || !is_known(s, &verbs[i]))
			continue;
		buf_put_char(&b, ' ');
		buf_put(&b, verbs[i].name);
	}
	buf_put(&b, SPAN("\nSee RFC 5321 and the manual page postern(8)"));
	return answer_with(REPLY_HELP, buf_span(&b));
}

static const struct verb *find(const struct session *s, struct span name)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
		if (is_known(s, &verbs[i]) && span_ieq(verbs[i].name, name))
			return &verbs[i];
	return NULL;
}

/*
 * Refuses a command in the clear with 530, unless it has VERB_CLEAR. For MAIL the session
 * also ends (see postern(8)).
 */
static struct answer refuse_clear(struct session *s, const struct verb *verb)
{
	if (verb && verb->flags & VERB_MAIL)
		s->end = END_REJECTED;
	s->rejected = true;
	return answer(REPLY_TLS_FIRST);
}

static struct answer out_of_phase(struct session *s, const struct verb *verb)
{
	if (s->phase == PHASE_CONNECTED)
		return answer_with(REPLY_HELLO_FIRST,
			s->settings->lmtp ? SPAN("LHLO") : SPAN("EHLO"));
	if (s->phase == PHASE_CHUNKS)
		return answer(REPLY_CHUNKS_BEGUN);
	if (verb->flags & VERB_AUTH)
		return answer(REPLY_AUTH_NESTED);
	return answer(s->phase == PHASE_GREETED ? REPLY_MAIL_FIRST : REPLY_MAIL_NESTED);
}

/* Returns NULL, or the refusal of a further transaction. */
static const struct reply *refuse_more(struct session *s)
{
	if (s->n_transactions >= s->settings->transaction_limit)
		s->end = END_TRANSACTIONS;
	else if (s->n_reports >= REPORTS_MAX)
		s->end = END_REPORTS;
	else
		return NULL;
	return reply_get(s->end == END_REPORTS ? REPLY_REPORTS : REPLY_TRANSACTIONS);
}

/* Makes all checks of a command, in order. Returns no reply, or the first refusal. */
static struct answer gate(
	struct session *s, const struct verb *verb, struct span args, size_t n_line)
{
	bool needs_tls = s->settings->tls == TLS_REQUIRED && !s->secured;
	const struct reply *refusal;

	if (n_line > COMMAND_LINE_MAX + (verb ? verb->n_extra : 0))
		return answer(REPLY_LINE_TOO_LONG);
	if (needs_tls && !(verb && verb->flags & VERB_CLEAR))
		return refuse_clear(s, verb);
	if (!(verb && verb->flags & (VERB_CLEAR | VERB_AUTH)) &&
		(refusal = auth_refusal(s)))
		return (struct answer){ .reply = refusal };
	if (!verb)
		return answer(REPLY_UNKNOWN_VERB);
	if (verb->flags & VERB_JUNK && s->n_junk++ >= JUNK_COMMANDS_MAX)
		s->n_errors++;
	if (!(verb->phases & s->phase))
		return out_of_phase(s, verb);
	if (verb->flags & VERB_MAIL && (refusal = refuse_more(s)))
		return (struct answer){ .reply = refusal };
	if (verb->flags & VERB_ARG && args.n == 0)
		return answer(REPLY_ARGUMENT_MISSING);
	if (verb->flags & VERB_NO_ARG && args.n)
		return answer(REPLY_ARGUMENT_UNWANTED);
	return (struct answer){ 0 };
}

const struct reply *verbs_line(struct session *s, const struct line *line)
{
	if (line->too_long && command_is_http(line->text))
		s->end = END_FOREIGN_HTTP;
	if (line->too_long)
		return reply_get(s->end ? REPLY_FOREIGN_HTTP : REPLY_LINE_TOO_LONG);
	if (line->nul)
		return reply_get(REPLY_LINE_NUL);
	s->lenient |= line->bare || command_is_padded(line->text);
	if (line->bare && s->settings->bare_newline == BARE_REJECT)
		return reply_get(REPLY_LINE_BARE);
	return NULL;
}

bool verbs_is_rcpt(struct span line)
{
	return span_ieq(command_parse(line).verb, SPAN("RCPT"));
}

static const struct reply *unknown(struct session *s, struct span line)
{
	const struct reply *r = stages_unknown(&s->stages, line);

	return r ? r : reply_get(REPLY_UNKNOWN_VERB);
}

struct answer verbs_dispatch(
	struct session *s, struct span line, size_t n_line, const struct reply *refusal)
{
	struct command command = command_parse(line);
	const struct verb *verb = find(s, command.verb);
	struct answer a = { .reply = refusal };

	if (!verb && command_is_http(line)) {
		s->end = END_FOREIGN_HTTP;
		return answer(REPLY_FOREIGN_HTTP);
	}
	if (!refusal)
		a = gate(s, verb, command.args, n_line);
	/* in the name of a client, NUL is a control character like others */
	else if (verb && is_hello(verb) && refusal == reply_get(REPLY_LINE_NUL))
		a = answer(REPLY_HELLO_ARGUMENT);
	if (verb && verb->flags & VERB_OCTETS)
		return chunk_bdat(s, command.args, a);
	s->refused_message = NULL;
	if (a.reply == reply_get(REPLY_UNKNOWN_VERB))
		a.reply = unknown(s, line);
	return a.reply ? a : verb->handle(s, command.args);
}
