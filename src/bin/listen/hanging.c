/* SPDX-License-Identifier: ISC */
/* The record of a broker that waits for a file system. */
#include "bin/listen/listener.h"

void listener_put_hang(const struct listener *l, int place, size_t n, struct buf *to)
{
	char path[CONFIG_FAULT_MAX / 2];
	struct buf b = BUF(path);
	pid_t pid = hangs_find(l->hangs, place, stream_clock(), &b);

	buf_put(to, SPAN("the broker, process "));
	buf_put_num(to, pid > 0 ? (uint64_t)pid : 0);
	buf_put(to, SPAN(", which opens mailboxes as their owners, has not answered for "
			 "10 s: it waits for a file system"));
	/* a setting other than mail-root stands behind a slash */
	if (b.n && *b.p == '/') {
		buf_put(to, SPAN(", that of "));
		buf_put(to, span_from(buf_span(&b), 1));
	} else if (b.n) {
		buf_put(to, SPAN(", that of "));
		buf_put(to, buf_span(&b));
		buf_put(to, SPAN(" (below mail-root)"));
	}
	if (n >= HANGS_MAX)
		buf_put(to, SPAN("; as many do so as are allowed to, and no other is "
				 "started: mail gets 451 until it answers"));
	else
		buf_put(to, SPAN("; another is started for new connections"));
	buf_terminate(to);
}
