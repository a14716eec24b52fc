/* SPDX-License-Identifier: ISC */
/*
 * Reads values from the header of a stored message. Sender, recipients, user, peer and
 * TLS come only from postern's own fields at the top: from Return-Path, which is the
 * first line, to the first Received. The same fields further down are sent by the client,
 * and are ignored.
 */
#include "tools/pipe/pipe.h"

struct field {
	struct span name, value; /* the value including folds, without its last LF */
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static struct span trim(struct span s)
{
	while (s.n && (is_blank(*s.p) || *s.p == '\n'))
		s = span_from(s, 1);
	while (s.n && (is_blank(s.p[s.n - 1]) || s.p[s.n - 1] == '\n'))
		s.n--;
	return s;
}

/*
 * field = 1*ftext *WSP ":" *octet LF *( WSP *octet LF )
 *
 * False at the end of the header, or at a line that is not a field or has no end.
 */
static bool take_field(struct span *text, struct field *ret)
{
	const char *end = text->n ? memchr(text->p, '\n', text->n) : NULL;
	const char *colon = end ? memchr(text->p, ':', (size_t)(end - text->p)) : NULL;
	struct span rest;

	if (!colon || colon == text->p)
		return false;
	ret->name = span_trim((struct span){ text->p, (size_t)(colon - text->p) });
	for (size_t i = 0; i < ret->name.n; i++)
		if (ret->name.p[i] <= 32 || ret->name.p[i] > 126)
			return false;
	rest = span_from(*text, (size_t)(end - text->p) + 1);
	while (rest.n && is_blank(*rest.p)) {
		end = memchr(rest.p, '\n', rest.n);
		if (!end)
			return false;
		rest = span_from(rest, (size_t)(end - rest.p) + 1);
	}
	ret->value = (struct span){ colon + 1, (size_t)(end - colon - 1) };
	*text = rest;
	return true;
}

static bool is_named(const struct field *f, struct span name)
{
	return span_ieq(f->name, name);
}

/* True for a text that fits into a variable of the environment, and into one line. */
static bool is_plain(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 32 || s.p[i] == 127)
			return false;
	return true;
}

/*
 * Returns the fields that postern wrote, from Return-Path to the first Received; or an
 * empty span.
 */
static struct span trace_of(struct span head, struct field *ret_received)
{
	struct span rest = head;
	struct field f;

	for (size_t i = 0; take_field(&rest, &f); i++) {
		if (i == 0 && !is_named(&f, SPAN("Return-Path")))
			break;
		if (is_named(&f, SPAN("Received"))) {
			*ret_received = f;
			return (struct span){ head.p, (size_t)(rest.p - head.p) };
		}
	}
	return (struct span){ head.p, 0 };
}

/* Reads "<mailbox>". */
static void read_sender(struct pipe_facts *ret, struct span value)
{
	value = trim(value);
	if (value.n >= 2 && value.p[0] == '<' && value.p[value.n - 1] == '>' &&
		is_plain(value))
		ret->sender = (struct span){ value.p + 1, value.n - 2 };
}

/*
 * Reads the recipients in the fields of that name. With one message for each mailbox,
 * X-Original-To has the address of the client, and Delivered-To the mailbox.
 */
static void read_recipients(struct pipe_facts *ret, struct span trace, struct span name,
	struct buf *ret_recipients)
{
	struct field f;

	while (take_field(&trace, &f)) {
		struct span value = trim(f.value);
		if (!is_named(&f, name) || !value.n || !is_plain(value))
			continue;
		ret->recipient = value;
		ret->n_recipients++;
		buf_put(ret_recipients, value);
		buf_put_char(ret_recipients, '\n');
	}
}

/* Returns the text between two others in `in`; p is NULL: not found. */
static struct span between(struct span in, const char *before, const char *behind)
{
	const char *from = memmem(in.p, in.n, before, strlen(before));
	struct span rest;
	const char *to;

	if (!from)
		return (struct span){ NULL, 0 };
	rest = span_from(in, (size_t)(from - in.p) + strlen(before));
	to = memmem(rest.p, rest.n, behind, strlen(behind));
	if (!to)
		return (struct span){ NULL, 0 };
	return (struct span){ rest.p, (size_t)(to - rest.p) };
}

/* Returns the rest of a comment with this beginning; p is NULL: not found. */
static struct span comment_after(struct span in, const char *before)
{
	struct span rest = between(in, before, "\n");
	size_t n = 0;

	while (n < rest.n && rest.p[n] != ')')
		n += rest.p[n] == '\\' ? 2 : 1;
	return (struct span){ n < rest.n ? rest.p : NULL, n < rest.n ? n : 0 };
}

/*
 * value = " from " name [ " ([" [ "IPv6:" ] address "])" ] LF HTAB "by " ...
 *         [ LF HTAB "(Authenticated sender: " user ")" ]
 *         [ LF HTAB "tls " cipher [ " group " group ] ] ";" LF HTAB date
 *
 * Values of the client there are only a domain, addresses and its user name.
 */
static void read_received(struct pipe_facts *ret, struct span value)
{
	static const struct span six = { "IPv6:", 5 };
	struct span rest = value, from = span_take_line(&rest), tls;

	ret->peer = between(from, " ([", "])");
	if (ret->peer.n >= six.n && memcmp(ret->peer.p, six.p, six.n) == 0)
		ret->peer = span_from(ret->peer, six.n);
	ret->user = comment_after(value, "\n\t(Authenticated sender: ");
	tls = between(value, "\n\ttls ", ";\n\t");
	if (tls.n)
		ret->tls = span_take_word(&tls);
}

/* Reads fields of the message's own header: the first of each name. */
static void read_own(struct pipe_facts *ret, struct span head)
{
	struct field f;

	while (take_field(&head, &f)) {
		if (!ret->subject.p && is_named(&f, SPAN("Subject")))
			ret->subject = trim(f.value);
		if (ret->message_id.p || !is_named(&f, SPAN("Message-ID")))
			continue;
		f.value = trim(f.value);
		if (f.value.n && *f.value.p == '<' && is_plain(f.value))
			ret->message_id = f.value;
	}
}

void pipe_facts_read(struct span head, struct pipe_facts *ret, struct buf *ret_recipients)
{
	struct field first, received = { .value = { NULL, 0 } };
	struct span trace = trace_of(head, &received), rest = trace;

	*ret = (struct pipe_facts){ .n_trace = trace.n };
	if (trace.n) {
		if (take_field(&rest, &first))
			read_sender(ret, first.value);
		read_recipients(ret, trace, SPAN("X-Original-To"), ret_recipients);
		if (ret->n_recipients == 0)
			read_recipients(ret, trace, SPAN("Delivered-To"), ret_recipients);
		if (ret->n_recipients != 1)
			ret->recipient = (struct span){ NULL, 0 };
		read_received(ret, received.value);
	}
	read_own(ret, head);
}
