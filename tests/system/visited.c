/* SPDX-License-Identifier: ISC */
/*
 * visited DIRECTORY NUMBER [PEER]: looks for the newest sessions in a journal, and tells how many were found and
 * how many entries were looked at for that.
 */
#include <stdio.h>
#include <stdlib.h>
#include "tools/status/source.h"

int main(int argc, char **argv)
{
	struct status_filter filter = { .events = 1U << RECORD_SESSION };
	static struct status_record record;
	struct status_source *source;
	size_t wanted = argc > 2 ? strtoul(argv[2], NULL, 10) : 0, found = 0;

	filter.has_peer = argc > 3;
	if (wanted == 0 || (argc > 3 && network_parse(span_of(argv[3]), &filter.peer)) ||
		status_journal_open(argv[1], &filter, &source) < 0)
		return 1;
	while (found < wanted && source->ops->previous(source, &record) > 0)
		found += status_filter_takes(&filter, &record);
	printf("%zu found, %zu visited\n", found, (size_t)source->n_visited);
	source->ops->free(source);
	return 0;
}
