/* SPDX-License-Identifier: ISC */
/*
 * Records of runs, in the same sinks as those of postern, and the line for the service
 * manager. A record has the values by which an administrator finds the message: file,
 * addresses, and the reason of a failure.
 */
#include "tools/pipe/pipe.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "edge/net/net.h"
#include "proto/text.h"

#define SENTENCE_MAX (PATH_MAX + PIPE_WHY_MAX)

void pipe_log_open(struct pipe_log *l, const struct pipe_options *o)
{
	l->mailbox = o->mailbox;
	l->program = o->argv[0];
	config_init(&l->config, NULL, NULL, NULL);
	config_read(&l->config, o->settings ? o->settings : CONFIG_FILE_DEFAULT,
		o->settings != NULL);
	log_init(&l->log, getenv("JOURNAL_STREAM"), false);
	log_choose(&l->log, &l->config);
	notify_init(&l->notify, getenv("NOTIFY_SOCKET"), 0);
}

void pipe_log_done(struct pipe_log *l)
{
	log_done(&l->log);
	config_done(&l->config);
}

void pipe_log_error(struct pipe_log *l, const char *text)
{
	char sentence[SENTENCE_MAX];

	snprintf(sentence, sizeof(sentence), "postern-pipe: %s: %s", l->mailbox, text);
	log_error(&l->log, sentence);
	log_flush(&l->log);
}

/* The values of one record; empty ones are left out. */
struct values {
	struct record record;
	struct buf octets;
	size_t start;
};

static void end_value(struct values *v, enum record_key key)
{
	struct span value = { v->octets.p + v->start, v->octets.n - v->start };

	v->start = v->octets.n;
	if (value.n)
		v->record.values[v->record.n++] = (struct record_value){ key, value };
}

static void put_word(struct values *v, enum record_key key, struct span word, size_t max)
{
	text_escape(&v->octets, word, max);
	end_value(v, key);
}

static void put_number(struct values *v, enum record_key key, uint64_t number)
{
	buf_put_num(&v->octets, number);
	end_value(v, key);
}

static void put_path(struct values *v, enum record_key key, struct span mailbox)
{
	if (!mailbox.p)
		return;
	buf_put_char(&v->octets, '<');
	text_escape_path(&v->octets, mailbox, RECORD_VALUE_MAX);
	buf_put_char(&v->octets, '>');
	end_value(v, key);
}

static void put_values(struct values *v, const struct pipe_log *l,
	const struct pipe_run *r, const struct pipe_counts *counts)
{
	static const char *const words[] = {
		[PIPE_DONE] = "done",
		[PIPE_LATER] = "later",
		[PIPE_FAILED] = "failed",
	};
	const struct pipe_outcome *o = &r->outcome;

	put_word(v, RECORD_OUTCOME, span_of(words[o->result]), RECORD_VALUE_MAX);
	put_word(v, RECORD_STATUS, span_of(topic_get(v->record.topic)->status),
		RECORD_VALUE_MAX);
	put_path(v, RECORD_FROM, r->facts.sender);
	put_path(v, RECORD_TO, r->facts.recipient);
	put_number(v, RECORD_SIZE, r->size);
	put_word(v, RECORD_MESSAGE_ID, r->facts.message_id, RECORD_VALUE_MAX);
	put_word(v, RECORD_FILE, span_of(r->message->name), RECORD_FAULT_MAX);
	put_word(v, RECORD_MAILBOX, span_of(l->mailbox), RECORD_FAULT_MAX);
	put_word(v, RECORD_PROGRAM, span_of(l->program), RECORD_FAULT_MAX);
	put_number(v, RECORD_TRIES, r->message->tries);
	put_number(v, RECORD_WAITING, counts->waiting);
	put_word(v, RECORD_REASON, span_of(o->reason), RECORD_FAULT_MAX);
	put_number(v, RECORD_DURATION, o->milliseconds);
}

/* Sends "3 waiting, 120 done, 1 failed; last: exit status 1". */
static void put_status(struct pipe_log *l, const struct pipe_counts *c)
{
	char text[NOTIFY_TEXT_MAX];

	snprintf(text, sizeof(text), "%ju waiting, %ju done, %ju failed%s%s",
		(uintmax_t)c->waiting, (uintmax_t)c->done, (uintmax_t)c->failed,
		c->reason[0] ? "; last: " : "", c->reason);
	if (notify_is_changed(&l->notify, text))
		notify_status(&l->notify, text, stream_clock());
}

void pipe_log_run(
	struct pipe_log *l, const struct pipe_run *r, const struct pipe_counts *counts)
{
	static const enum topic topics[] = {
		[PIPE_DONE] = TOPIC_PIPE_DONE,
		[PIPE_LATER] = TOPIC_PIPE_LATER,
		[PIPE_FAILED] = TOPIC_PIPE_FAILED,
	};
	char octets[RECORD_TEXT_MAX];
	struct values v = {
		.record = { .event = RECORD_PIPE, .topic = topics[r->outcome.result] },
		.octets = BUF(octets),
	};
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	v.record.when.seconds = now.tv_sec;
	v.record.when.microseconds = (uint32_t)(now.tv_nsec / 1000);
	put_values(&v, l, r, counts);
	l->log.recorder.write(&l->log.recorder, &v.record);
	log_flush(&l->log);
	put_status(l, counts);
}
