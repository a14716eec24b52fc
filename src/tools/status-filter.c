/* Promises that a record is judged by its event and its peer alone. */
#include "tools/status-source.h"

bool status_filter_takes(const struct status_filter *f, const struct status_record *r)
{
	struct ip ip;

	if (!(f->events & 1U << r->record.event))
		return false;
	if (!f->has_peer)
		return true;
	return ip_parse(status_record_get(r, RECORD_PEER), &ip) &&
	       network_has(&f->peer, &ip);
}
