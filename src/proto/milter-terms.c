/* SPDX-License-Identifier: ISC */
/*
 * Negotiation of the milter protocol: the offer to a filter, its answer, and the macros
 * that it gets. A filter of an older version is used with that version; one that requests
 * more than was offered is refused.
 */
#include "proto/milter.h"

#define NUMBERS 12 /* octets of version, actions and options: rspamd takes no others */
#define VERSION_2_OPTIONS 0x7f /* without NR_* and skip, which came with later versions */
#define BIT(n) (UINT32_C(1) << (n))

static const char *const macro_names[MILTER_MACROS] = {
	[MILTER_MACRO_HOSTNAME] = "j",
	[MILTER_MACRO_DAEMON_NAME] = "{daemon_name}",
	[MILTER_MACRO_DAEMON_ADDR] = "{daemon_addr}",
	[MILTER_MACRO_DAEMON_PORT] = "{daemon_port}",
	[MILTER_MACRO_VERSION] = "v",
	[MILTER_MACRO_CLIENT] = "_",
	[MILTER_MACRO_CLIENT_ADDR] = "{client_addr}",
	[MILTER_MACRO_CLIENT_PORT] = "{client_port}",
	[MILTER_MACRO_CLIENT_NAME] = "{client_name}",
	[MILTER_MACRO_CLIENT_PTR] = "{client_ptr}",
	[MILTER_MACRO_TLS_VERSION] = "{tls_version}",
	[MILTER_MACRO_CIPHER] = "{cipher}",
	[MILTER_MACRO_CIPHER_BITS] = "{cipher_bits}",
	[MILTER_MACRO_CERT_SUBJECT] = "{cert_subject}",
	[MILTER_MACRO_CERT_ISSUER] = "{cert_issuer}",
	[MILTER_MACRO_TLS_SNI] = "{tls_sni}",
	[MILTER_MACRO_ID] = "i",
	[MILTER_MACRO_PROTOCOL] = "r",
	[MILTER_MACRO_DATE] = "b",
	[MILTER_MACRO_AUTH_TYPE] = "{auth_type}",
	[MILTER_MACRO_AUTH_AUTHEN] = "{auth_authen}",
	[MILTER_MACRO_AUTH_AUTHOR] = "{auth_author}",
	[MILTER_MACRO_MAIL_ADDR] = "{mail_addr}",
	[MILTER_MACRO_MAIL_HOST] = "{mail_host}",
	[MILTER_MACRO_MAIL_MAILER] = "{mail_mailer}",
	[MILTER_MACRO_RCPT_ADDR] = "{rcpt_addr}",
	[MILTER_MACRO_RCPT_HOST] = "{rcpt_host}",
	[MILTER_MACRO_RCPT_MAILER] = "{rcpt_mailer}",
};

/*
 * The macros that Postfix sends, and `r` and `b`, which SpamAssassin's milter reads at
 * rcpt.
 */
static const uint32_t default_macros[MILTER_STAGES] = {
	[MILTER_AT_CONNECT] = BIT(MILTER_MACRO_HOSTNAME) | BIT(MILTER_MACRO_DAEMON_NAME) |
			      BIT(MILTER_MACRO_DAEMON_ADDR) | BIT(MILTER_MACRO_VERSION) |
			      BIT(MILTER_MACRO_CLIENT),
	[MILTER_AT_HELO] = BIT(MILTER_MACRO_TLS_VERSION) | BIT(MILTER_MACRO_CIPHER) |
			   BIT(MILTER_MACRO_CIPHER_BITS) |
			   BIT(MILTER_MACRO_CERT_SUBJECT) |
			   BIT(MILTER_MACRO_CERT_ISSUER) | BIT(MILTER_MACRO_TLS_SNI),
	[MILTER_AT_MAIL] = BIT(MILTER_MACRO_ID) | BIT(MILTER_MACRO_AUTH_TYPE) |
			   BIT(MILTER_MACRO_AUTH_AUTHEN) | BIT(MILTER_MACRO_AUTH_AUTHOR) |
			   BIT(MILTER_MACRO_MAIL_ADDR) | BIT(MILTER_MACRO_MAIL_HOST) |
			   BIT(MILTER_MACRO_MAIL_MAILER),
	[MILTER_AT_RCPT] = BIT(MILTER_MACRO_ID) | BIT(MILTER_MACRO_PROTOCOL) |
			   BIT(MILTER_MACRO_DATE) | BIT(MILTER_MACRO_RCPT_ADDR) |
			   BIT(MILTER_MACRO_RCPT_HOST) | BIT(MILTER_MACRO_RCPT_MAILER),
	[MILTER_AT_DATA] = BIT(MILTER_MACRO_ID),
	[MILTER_AT_END] = BIT(MILTER_MACRO_ID),
	[MILTER_AT_END_OF_HEADER] = BIT(MILTER_MACRO_ID),
};

/* in the order of the bits; the words are those of filter libraries */
static const char *const action_names[] = { "add-headers", "change-body",
	"add-recipients", "delete-recipients", "change-headers", "quarantine",
	"change-sender", "add-recipients-with-parameters", "set-macros" };

static const char *const option_names[] = { "no-connect", "no-helo", "no-mail", "no-rcpt",
	"no-body", "no-headers", "no-end-of-headers", "silent-headers", "no-unknown",
	"no-data", "skip", "rejected-rcpt", "silent-connect", "silent-helo",
	"silent-mail", "silent-rcpt", "silent-data", "silent-unknown",
	"silent-end-of-headers", "silent-body", "leading-space" };

static void put_u32(struct buf *to, uint32_t n)
{
	for (size_t shift = 32; shift > 0; shift -= 8)
		buf_put_char(to, (char)(n >> (shift - 8) & 0xff));
}

static uint32_t take_u32(struct span *data)
{
	uint32_t n = 0;

	for (size_t i = 0; i < sizeof(n); i++)
		n = n << 8 | (unsigned char)data->p[i];
	*data = span_from(*data, sizeof(n));
	return n;
}

void milter_put_offer(struct buf *to)
{
	size_t begin = milter_frame_open(to, 'O');

	put_u32(to, MILTER_VERSION);
	put_u32(to, MILTER_ACTIONS);
	put_u32(to, MILTER_OPTIONS);
	milter_frame_close(to, begin);
}

static const char *numbers_fault(uint32_t version, uint32_t actions)
{
	if (version > MILTER_VERSION)
		return "answered a version of the protocol above 6, which it was offered";
	if (version < MILTER_VERSION_MIN)
		return "answered a version of the protocol below 2";
	if (actions & ~(uint32_t)MILTER_ACTIONS)
		return "wants an action that it was not offered";
	return NULL;
}

/* Returns the options without those that a filter of that version does not support. */
static uint32_t options_of(uint32_t version, uint32_t options)
{
	options &= version == 2 ? VERSION_2_OPTIONS : MILTER_OPTIONS;
	if (version < 3)
		options |= MILTER_NO_UNKNOWN;
	if (version < 4)
		options |= MILTER_NO_DATA;
	return options;
}

/* Returns the name without braces; "i" and "{i}" are equal. */
static struct span bare_name(struct span name)
{
	if (name.n > 2 && name.p[0] == '{' && name.p[name.n - 1] == '}')
		return (struct span){ name.p + 1, name.n - 2 };
	return name;
}

/* list = [ name *( 1*( SP / HTAB / "," ) name ) ] */
static uint32_t macros_of(struct span list)
{
	uint32_t set = 0;

	for (size_t i = 0; i < list.n;) {
		size_t begin = i;
		while (i < list.n && !ascii_is_blank(list.p[i]) && list.p[i] != ',')
			i++;
		for (size_t m = 0; m < MILTER_MACROS; m++)
			if (span_eq(bare_name((struct span){ list.p + begin, i - begin }),
				    bare_name(span_of(macro_names[m]))))
				set |= BIT(m);
		i++;
	}
	return set;
}

/* lists = *( stage list NUL ); a stage that does not exist here is skipped */
static const char *take_macros(struct span data, uint32_t *macros)
{
	while (data.n) {
		uint32_t stage;
		struct span list;
		if (data.n < sizeof(stage) + 1 || data.p[data.n - 1] != '\0')
			return "sent a list of macros that is cut short";
		stage = take_u32(&data);
		list = span_take(&data, '\0');
		if (stage < MILTER_STAGES)
			macros[stage] = macros_of(list);
	}
	return NULL;
}

const char *milter_terms_take(const struct milter_frame *frame, struct milter_terms *ret)
{
	struct milter_terms terms;
	struct span data = frame->data;
	const char *fault;

	if (frame->command != 'O')
		return "answered the offer with something else";
	if (data.n < NUMBERS)
		return "answered the offer with too few octets";
	terms.version = take_u32(&data);
	terms.actions = take_u32(&data);
	terms.options = options_of(terms.version, take_u32(&data));
	memcpy(terms.macros, default_macros, sizeof(terms.macros));
	fault = numbers_fault(terms.version, terms.actions);
	if (!fault)
		fault = take_macros(data, terms.macros);
	if (!fault)
		*ret = terms;
	return fault;
}

static void put_names(struct buf *to, uint32_t bits, const char *const *names, size_t n)
{
	size_t begin = to->n;

	for (size_t i = 0; i < n; i++) {
		if (!(bits & BIT(i)))
			continue;
		if (to->n > begin)
			buf_put_char(to, ' ');
		buf_put_str(to, names[i]);
	}
}

void milter_put_actions(struct buf *to, uint32_t actions)
{
	put_names(
		to, actions, action_names, sizeof(action_names) / sizeof(*action_names));
}

void milter_put_options(struct buf *to, uint32_t options)
{
	put_names(
		to, options, option_names, sizeof(option_names) / sizeof(*option_names));
}

/* Returns the stage whose macros the event has; MILTER_STAGES: none. */
static enum milter_stage stage_of(enum milter_event event)
{
	static const unsigned char stages[MILTER_EVENTS] = {
		[MILTER_CONNECT] = MILTER_AT_CONNECT,
		[MILTER_HELO] = MILTER_AT_HELO,
		[MILTER_MAIL] = MILTER_AT_MAIL,
		[MILTER_RCPT] = MILTER_AT_RCPT,
		[MILTER_DATA] = MILTER_AT_DATA,
		[MILTER_FIELD] = MILTER_STAGES,
		[MILTER_END_OF_HEADER] = MILTER_AT_END_OF_HEADER,
		[MILTER_BODY] = MILTER_STAGES,
		[MILTER_END] = MILTER_AT_END,
		[MILTER_UNKNOWN] = MILTER_STAGES,
	};

	return (enum milter_stage)stages[event];
}

bool milter_wants_macros(const struct milter_talk *t, enum milter_event event)
{
	return !t->session_accepted && !t->message_accepted &&
	       stage_of(event) < MILTER_STAGES;
}

/* macros = command *( name NUL value NUL ), where command is that of the event */
void milter_put_macros(struct buf *to, const struct milter_talk *t,
	enum milter_event event, const struct milter_values *values)
{
	static const char commands[] = "CHMRTLNBEU";
	enum milter_stage stage = stage_of(event);
	uint32_t set = stage < MILTER_STAGES ? t->terms.macros[stage] : 0;
	size_t begin, empty;

	begin = milter_frame_open(to, 'D');
	buf_put_char(to, commands[event]);
	empty = to->n;
	for (size_t m = 0; m < MILTER_MACROS; m++) {
		if (!(set & BIT(m)) || !values->of[m].p)
			continue;
		buf_put_str(to, macro_names[m]);
		buf_put_char(to, '\0');
		milter_put_string(to, values->of[m]);
	}
	if (to->n == empty && !to->overflow)
		to->n = begin;
	else
		milter_frame_close(to, begin);
}
