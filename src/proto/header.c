/* Promises flat memory and the same result however the text is split; refuses to judge
 * the header. */
#include "proto/header.h"

static bool name_is(const struct header *h, struct span name)
{
	return h->n_column == name.n && span_eq((struct span){ h->name, name.n }, name);
}

static void end_line(struct header *h)
{
	h->done = h->n_column == 0;
	h->n_column = 0;
	if (h->n_message_id)
		h->in_message_id = false;
}

/*
 * A field's name is kept in lower case while it can still be one that counts. Blanks between name and
 * colon are obsolete (RFC 5322 4.5), and would hide a hop.
 */
static void watch_name(struct header *h, char c)
{
	if ((c == ' ' || c == '\t') && h->n_column > 0)
		return;
	if (h->n_column < HEADER_NAME_MAX)
		h->name[h->n_column] = ascii_lower(c);
	h->n_column++;
	if (c != ':')
		return;
	if (name_is(h, SPAN("received:")))
		h->n_received++;
	else if (name_is(h, SPAN("message-id:")) && !h->n_message_id)
		h->in_message_id = true;
}

static void watch_octet(struct header *h, char c)
{
	/* BINARYMIME keeps its CRLF */
	if (c == '\r')
		return;
	if (c == '\n') {
		end_line(h);
		return;
	}
	/*
	 * a line that begins with a blank goes on with the field before (RFC 5322 2.2.3)
	 */
	if (h->n_column == 0 && c != ' ' && c != '\t')
		h->in_message_id = false;
	if (h->in_message_id) {
		h->n_column++;
		if (c != ' ' && c != '\t' && h->n_message_id < MESSAGE_ID_MAX)
			h->message_id[h->n_message_id++] = c;
		return;
	}
	watch_name(h, c);
}

void header_watch(struct header *h, struct span text)
{
	for (size_t i = 0; i < text.n && !h->done; i++)
		watch_octet(h, text.p[i]);
}
