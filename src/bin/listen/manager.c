/* Promises no more than a line a second; refuses to know what is in it. */
#include "bin/listen/manager.h"
#include "base/num.h"
#include "edge/net/net.h"

void listen_manager_init(struct listen_manager *m, const struct inherited *inherited)
{
	uint64_t microseconds;

	*m = (struct listen_manager){ 0 };
	notify_init(&m->notify, inherited->notify_socket, 0);
	/* twice as often as it must be */
	if (inherited->watchdog_usec &&
		num_parse(span_of(inherited->watchdog_usec), &microseconds))
		m->watchdog = microseconds / 1000 / 2;
}

void listen_manager_say(const struct listen_manager *m, const char *word)
{
	notify_send(&m->notify, span_of(word));
}

void listen_manager_alive(struct listen_manager *m)
{
	uint64_t now = stream_clock();

	/* a little sooner than it must be: who calls us does so as often */
	if (m->watchdog == 0 || now - m->alive < m->watchdog / 2)
		return;
	listen_manager_say(m, "WATCHDOG=1");
	m->alive = now;
}

uint64_t listen_manager_tell(struct listen_manager *m, const char *status)
{
	uint64_t now = stream_clock();

	if (!notify_is_changed(&m->notify, status))
		return LISTEN_FOREVER;
	if (now - m->notify.last < NOTIFY_INTERVAL)
		return m->notify.last + NOTIFY_INTERVAL - now;
	notify_status(&m->notify, status, now);
	return LISTEN_FOREVER;
}
