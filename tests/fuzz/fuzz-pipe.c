/* SPDX-License-Identifier: ISC */
/*
 * The facts of postern-pipe: those of the envelope come only from the top of the message, and no value is dangerous.
 */
#include <strings.h>
#include <sys/mman.h>
#include <unistd.h>
#include "fuzz/fuzz.h"
#include "proto/text.h"
#include "tools/pipe/pipe.h"

static bool is_received(struct span line)
{
	const char *colon = memchr(line.p, ':', line.n);
	struct span name = { line.p, colon ? (size_t)(colon - line.p) : 0 };

	return span_ieq(span_trim(name), SPAN("received"));
}

/* Returns the text after the first such field; or the end. */
static struct span behind_received(struct span text)
{
	while (text.n) {
		struct span line = span_take_line(&text);
		if (line.n == 0 || *line.p == ' ' || *line.p == '\t' ||
			!is_received(line))
			continue;
		while (text.n && (*text.p == ' ' || *text.p == '\t'))
			span_take_line(&text);
		return text;
	}
	return text;
}

static void is_plain(struct span value, struct span head)
{
	fuzz_is_inside(value, head);
	for (size_t i = 0; i < value.n; i++)
		MUST((unsigned char)value.p[i] >= 32 && value.p[i] != 127);
}

static void is_harmless(struct span subject)
{
	MUST(subject.n <= PIPE_SUBJECT_MAX && utf8_valid(subject));
	MUST(subject.n == 0 || *subject.p != '-');
	for (size_t i = 0; i < subject.n; i++)
		MUST((unsigned char)subject.p[i] >= 32 && subject.p[i] != 127);
}

/* The copy ends as the message does, and no line of its header begins with a field for blind copies. */
static void check_copy(struct span text, size_t n_trace)
{
	struct span own = span_from(text, n_trace), rest;
	int file = memfd_create("text", 0), copy = -1;
	char *octets = malloc(text.n + 1);
	ssize_t n;

	MUST(octets && write(file, text.p, text.n) == (ssize_t)text.n);
	MUST(pipe_strip(file, n_trace, &copy) == 0);
	n = read(copy, octets, text.n + 1);
	MUST(n >= 0 && (size_t)n <= own.n);
	rest = (struct span){ octets, (size_t)n };
	while (rest.n) {
		struct span line = span_take_line(&rest);
		if (line.n == 0)
			break;
		MUST(line.n < 4 || strncasecmp(line.p, "bcc:", 4) != 0);
		MUST(line.n < 11 || strncasecmp(line.p, "resent-bcc:", 11) != 0);
	}
	MUST(rest.n <= own.n);
	MUST(rest.n == 0 || memcmp(rest.p, own.p + own.n - rest.n, rest.n) == 0);
	close(copy);
	close(file);
	free(octets);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span head = fuzz_input(data, size, 0), below = behind_received(head);
	char *room = malloc(size + 1);
	struct buf recipients = { .p = room, .cap = size + 1 };
	char decoded[PIPE_SUBJECT_MAX];
	struct buf subject = BUF(decoded);
	struct pipe_facts f;

	MUST(room);
	pipe_facts_read(head, &f, &recipients);
	is_plain(f.sender, head);
	is_plain(f.recipient, head);
	is_plain(f.message_id, head);
	fuzz_is_inside(f.subject, head);
	MUST(!recipients.overflow);
	MUST(f.n_recipients == 1 ? f.recipient.p != NULL : !f.recipient.p);
	/* no fact of the envelope is after the first Received */
	MUST(!f.sender.p || f.sender.p < below.p);
	MUST(!f.recipient.p || f.recipient.p < below.p);
	MUST(!f.peer.p || f.peer.p < below.p);
	MUST(!f.user.p || f.user.p < below.p);
	MUST(!f.tls.p || f.tls.p < below.p);
	if (f.subject.p)
		pipe_words_put(&subject, f.subject);
	is_harmless(buf_span(&subject));
	subject.n = 0;
	pipe_words_put(&subject, head);
	is_harmless(buf_span(&subject));
	MUST(f.n_trace <= size);
	check_copy(head, f.n_trace);
	free(room);
	return 0;
}
