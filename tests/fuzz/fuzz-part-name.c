/* SPDX-License-Identifier: ISC */
/* The names that GMime and postern-extract make from the header of a part are safe file names. */
#include <gmime/gmime.h>
#include "base/faults.h"
#include "fuzz/fuzz-name.h"

static void ignore(void *ctx, const char *text)
{
	(void)ctx;
	MUST(*text && utf8_valid(span_of(text)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct faults faults = { .report = ignore };
	char name[EXTRACT_NAME_SIZE];
	GMimeStream *stream;
	GMimeParser *parser;
	GMimeObject *part;

	g_mime_init();
	stream = g_mime_stream_mem_new_with_buffer((const char *)data, size);
	parser = g_mime_parser_new_with_stream(stream);
	part = g_mime_parser_construct_part(parser, NULL);
	if (part) {
		extract_part_name(part, &faults, name);
		check_name(name);
		extract_subject_name(part, name);
		check_name(name);
		g_object_unref(part);
	}
	g_object_unref(parser);
	g_object_unref(stream);
	return 0;
}
