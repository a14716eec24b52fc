/* Promises that a record is judged by its event, its peer, its addresses and its identifiers alone. */
#include "proto/text.h"
#include "tools/status/source.h"

static bool takes_peer(const struct status_filter *f, const struct status_record *r)
{
	struct ip ip;

	return ip_parse(status_record_get(r, RECORD_PEER), &ip) &&
	       network_has(&f->peer, &ip);
}

/* Without the brackets, which both may have. */
static struct span bare(struct span path)
{
	if (path.n >= 2 && *path.p == '<' && path.p[path.n - 1] == '>')
		return (struct span){ path.p + 1, path.n - 2 };
	return path;
}

/* Addresses are the same in any case (RFC 5321 2.4 leaves that of a local part to its host); "@" begins a domain. */
static bool is_same(struct span path, struct span wanted)
{
	if (wanted.n && *wanted.p == '@' && path.n > wanted.n)
		path = span_from(path, path.n - wanted.n);
	return span_ieq(path, wanted);
}

/* Paths escape the ">" within: the next one is the end. */
static bool has_path(
	const struct status_record *r, enum record_key key, const char *address)
{
	struct span list = status_record_get(r, key);
	char octets[RECORD_VALUE_MAX];
	struct buf b = BUF(octets);
	const char *end;

	text_escape_path(&b, bare(span_of(address)), sizeof(octets));
	while (list.n && *list.p == '<' && (end = memchr(list.p, '>', list.n))) {
		struct span path = { list.p, (size_t)(end - list.p) + 1 };
		if (is_same(bare(path), buf_span(&b)))
			return true;
		list = span_from(list, path.n);
		if (list.n)
			list = span_from(list, 1);
	}
	return false;
}

static bool takes_id(const struct status_record *r, const char *id)
{
	char octets[RECORD_VALUE_MAX];
	struct buf b = BUF(octets);

	text_escape(&b, bare(span_of(id)), sizeof(octets));
	return span_eq(status_record_get(r, RECORD_ID), buf_span(&b)) ||
	       span_eq(bare(status_record_get(r, RECORD_MESSAGE_ID)), buf_span(&b));
}

bool status_filter_takes(const struct status_filter *f, const struct status_record *r)
{
	if (!(f->events & 1U << r->record.event))
		return false;
	if (f->has_peer && !takes_peer(f, r))
		return false;
	if (f->from && !has_path(r, RECORD_FROM, f->from))
		return false;
	if (f->to && !has_path(r, RECORD_TO, f->to) &&
		!has_path(r, RECORD_REFUSED_TO, f->to))
		return false;
	return !f->id || takes_id(r, f->id);
}
