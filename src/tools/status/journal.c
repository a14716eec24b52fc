/* SPDX-License-Identifier: ISC */
/*
 * Reads records from the journal. Only entries with the fields of records are read, each
 * once. Their values are checked, because any process can write such fields to the
 * journal.
 */
#include <errno.h>
#include <stdlib.h>
#include <systemd/sd-journal.h>
#include "base/num.h"
#include "edge/log/log.h"
#include "tools/status/source.h"

#define PREFIX "POSTERN_"
#define FIELD_MAX (RECORD_TEXT_MAX + 64) /* octets of a field, with its name */
/* fields of an entry; a record with journald's own fields has half as many */
#define FIELDS_MAX 128
#define NAME_MAX_ 32
#define MICROSECONDS 1000000
#define LOOK_MILLISECONDS 2000

/* The position of the source, relative to the current entry of the library. */
enum side {
	SIDE_NONE, /* there is no current entry */
	SIDE_BEFORE,
	SIDE_BEHIND,
};

struct journal {
	struct status_source source;
	sd_journal *sd;
	enum side side;
	bool watched; /* new entries are detected from now on */
};

/* Takes the value of "POSTERN_TLS_ERROR=...". */
static void take_value(struct status_record *to, struct span field)
{
	const char *equals = memchr(field.p, '=', field.n);
	size_t n = equals ? (size_t)(equals - field.p) : 0;
	size_t prefix = sizeof(PREFIX) - 1;
	char name[NAME_MAX_];
	struct buf b = BUF(name);
	enum record_key key;

	if (n <= prefix || memcmp(field.p, PREFIX, prefix) != 0)
		return;
	for (size_t i = prefix; i < n; i++)
		buf_put_char(&b, ascii_lower(field.p[i]));
	key = record_key_find(buf_span(&b));
	if (key < RECORD_KEYS && !b.overflow)
		status_record_put(to, key, span_from(field, n + 1));
}

static struct span field_of(sd_journal *sd, const char *name)
{
	const void *data;
	size_t n, skip = strlen(name) + 1;

	if (sd_journal_get_data(sd, name, &data, &n) < 0 || n < skip)
		return (struct span){ 0 };
	return (struct span){ (const char *)data + skip, n - skip };
}

static enum record_level level_of(struct span priority)
{
	int level = priority.n == 1 ? *priority.p - '0' : RECORD_LEVEL_INFO;

	if (level == RECORD_LEVEL_DEBUG)
		return RECORD_LEVEL_DEBUG;
	if (level >= RECORD_LEVEL_INFO || level < 0)
		return RECORD_LEVEL_INFO;
	return level <= RECORD_LEVEL_ERROR ? RECORD_LEVEL_ERROR : RECORD_LEVEL_WARNING;
}

static uint64_t pid_of(struct span text)
{
	uint64_t pid = 0;

	num_parse(text, &pid);
	return pid;
}

/* Reads the current entry. 1; 0: it is not a record; or -errno. */
static int read_entry(struct journal *j, struct status_record *ret)
{
	const void *data;
	uint64_t usec;
	size_t n, count = 0;
	int r;

	j->source.n_visited++;
	status_record_clear(ret);
	r = sd_journal_get_realtime_usec(j->sd, &usec);
	if (r < 0)
		return r;
	ret->record.when.seconds = (int64_t)(usec / MICROSECONDS);
	ret->record.when.microseconds = (uint32_t)(usec % MICROSECONDS);
	ret->record.event = record_event_find(field_of(j->sd, PREFIX "EVENT"));
	ret->pid = pid_of(field_of(j->sd, "_PID"));
	SD_JOURNAL_FOREACH_DATA(j->sd, data, n)
	{
		take_value(ret, (struct span){ data, n });
		if (++count == FIELDS_MAX)
			break;
	}
	status_record_put(ret, RECORD_HOST, field_of(j->sd, "_HOSTNAME"));
	status_record_set_level(ret, level_of(field_of(j->sd, "PRIORITY")));
	if (ret->record.event < RECORD_EVENTS)
		return 1;
	j->source.n_skipped++;
	return 0;
}

static int journal_to_end(struct status_source *s)
{
	struct journal *j = (struct journal *)s;

	j->side = SIDE_NONE;
	return sd_journal_seek_tail(j->sd);
}

static int journal_previous(struct status_source *s, struct status_record *ret)
{
	struct journal *j = (struct journal *)s;
	int r = 1;

	for (;;) {
		if (j->side != SIDE_BEHIND)
			r = sd_journal_previous(j->sd);
		/* at the tail of an empty journal later entries would not be found */
		if (r == 0 && j->side == SIDE_NONE)
			return sd_journal_seek_head(j->sd);
		if (r <= 0)
			return r;
		j->side = SIDE_BEFORE;
		r = read_entry(j, ret);
		if (r != 0)
			return r;
	}
}

static int journal_next(struct status_source *s, struct status_record *ret)
{
	struct journal *j = (struct journal *)s;
	int r = 1;

	for (;;) {
		if (j->side != SIDE_BEFORE)
			r = sd_journal_next(j->sd);
		if (r <= 0)
			return r;
		j->side = SIDE_BEHIND;
		r = read_entry(j, ret);
		if (r != 0)
			return r;
	}
}

static void journal_wait_for(
	struct status_source *s, struct pollfd *ret, int *ret_milliseconds)
{
	struct journal *j = (struct journal *)s;
	int events = sd_journal_get_events(j->sd);

	*ret = (struct pollfd){
		.fd = sd_journal_get_fd(j->sd),
		.events = (short)(events > 0 ? events : 0),
	};
	/* network file systems do not notify */
	*ret_milliseconds = sd_journal_reliable_fd(j->sd) > 0 ? -1 : LOOK_MILLISECONDS;
	/* entries may have arrived between the last read and the first wait */
	if (!j->watched)
		*ret_milliseconds = 0;
}

static int journal_look(struct status_source *s)
{
	struct journal *j = (struct journal *)s;
	int r = sd_journal_process(j->sd);
	bool first = !j->watched;

	j->watched = true;
	return r < 0 ? r : first || r != SD_JOURNAL_NOP;
}

static void journal_free(struct status_source *s)
{
	struct journal *j = (struct journal *)s;

	sd_journal_close(j->sd);
	free(j);
}

static int match(sd_journal *sd, const char *name, const char *value)
{
	char octets[NAME_MAX_ + IP_TEXT_MAX + 2];
	struct buf b = BUF(octets);

	buf_put_str(&b, name);
	buf_put_char(&b, '=');
	buf_put_str(&b, value);
	return b.overflow ? -ENOBUFS : sd_journal_add_match(sd, octets, b.n);
}

/* A single address has the same text in records and here. */
static int match_peer(sd_journal *sd, const struct network *peer)
{
	char octets[IP_TEXT_MAX];
	struct buf b = BUF(octets);

	if (peer->prefix < 8 * peer->ip.n)
		return 0;
	ip_put(&b, &peer->ip);
	return buf_terminate(&b) ? match(sd, PREFIX "PEER", octets) : -ENOBUFS;
}

/*
 * Adds matches. Those of one field are alternatives; those of several fields must all
 * hold.
 */
static int add_matches(sd_journal *sd, const struct status_filter *filter)
{
	int r = match(sd, "SYSLOG_IDENTIFIER", LOG_IDENTIFIER);

	for (enum record_event e = 0; e < RECORD_EVENTS && r >= 0; e++)
		if (filter->events & 1U << e)
			r = match(sd, PREFIX "EVENT", record_event_word(e));
	if (r >= 0 && filter->has_peer)
		r = match_peer(sd, &filter->peer);
	return r;
}

/*
 * Checks that there are files, because a directory without a journal opens like an empty
 * journal. 0 or -errno.
 */
static int has_files(sd_journal *sd)
{
	uint64_t octets = 0;
	int r = sd_journal_get_usage(sd, &octets);

	return r < 0 ? r : octets ? 0 : -ENODATA;
}

int status_journal_open(const char *directory, const struct status_filter *filter,
	struct status_source **ret)
{
	static const struct status_source_ops ops = { journal_to_end, journal_previous,
		journal_next, journal_wait_for, journal_look, journal_free };
	struct journal *j = calloc(1, sizeof(*j));
	int r;

	if (!j)
		return -ENOMEM;
	j->source.ops = &ops;
	r = directory ? sd_journal_open_directory(&j->sd, directory, 0)
		      : sd_journal_open(&j->sd, SD_JOURNAL_LOCAL_ONLY);
	if (r >= 0 && directory)
		r = has_files(j->sd);
	if (r >= 0)
		r = sd_journal_set_data_threshold(j->sd, FIELD_MAX);
	if (r >= 0)
		r = add_matches(j->sd, filter);
	if (r >= 0)
		r = journal_to_end(&j->source);
	if (r < 0)
		journal_free(&j->source);
	else
		*ret = &j->source;
	return r < 0 ? r : 0;
}
