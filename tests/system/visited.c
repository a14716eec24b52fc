/* SPDX-License-Identifier: ISC */
/*
 * visited DIRECTORY NUMBER [PEER]: looks for the newest sessions in a journal, and tells how many were found and
 * how many entries were looked at for that; then it reads on to the end, and back again, and tells how many of
 * these were found each time.
 */
#include <stdio.h>
#include <stdlib.h>
#include "tools/status/source.h"

int main(int argc, char **argv)
{
	struct status_filter filter = { .events = 1U << RECORD_SESSION };
	static struct status_record record;
	struct status_source *source;
	size_t wanted = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
	size_t found = 0, visited, forward = 0, back = 0;

	filter.has_peer = argc > 3;
	if (wanted == 0 || (argc > 3 && network_parse(span_of(argv[3]), &filter.peer)) ||
		status_journal_open(argv[1], &filter, &source) < 0)
		return 1;
	while (found < wanted && source->ops->previous(source, &record) > 0)
		found += status_filter_takes(&filter, &record);
	visited = (size_t)source->n_visited;
	while (source->ops->next(source, &record) > 0)
		forward += status_filter_takes(&filter, &record);
	while (back < wanted && source->ops->previous(source, &record) > 0)
		back += status_filter_takes(&filter, &record);
	printf("%zu found, %zu visited, %zu forward, %zu back\n", found, visited, forward,
		back);
	source->ops->free(source);
	return 0;
}
