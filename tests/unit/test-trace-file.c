/* SPDX-License-Identifier: ISC */
/* edge/log/trace-file: no secret of a login is written, in any pieces (RFC 4954 4). */
#include <dirent.h>
#include <unistd.h>
#include "edge/log/log.h"
#include "unit/engine.h"
#include "unit/test.h"

#define TRACE_READ_MAX 65536

/* A traced session, and the content of its file. */
struct traced_session {
	struct engine engine;
	struct trace_file trace;
	struct config config;
	char directory[32];
	char text[TRACE_READ_MAX];
};

static void begin(struct traced_session *t)
{
	memset(t, 0, sizeof(*t));
	strcpy(t->directory, "/tmp/postern-trace.XXXXXX");
	REQUIRE(mkdtemp(t->directory));
	t->config.trace_directory = t->directory;
	engine_init(&t->engine);
	t->engine.settings.tls = TLS_ON;
	t->engine.settings.auth = AUTH_ON;
	engine_open(&t->engine);
	trace_file_init(&t->trace);
	REQUIRE(trace_file_open(&t->trace, &t->engine.session, &t->config, NULL) == 0);
	session_greet(&t->engine.session);
}

/* Does the work of serve() before a read. */
static void turn(struct traced_session *t)
{
	trace_file_replies(&t->trace, captured_span(&t->engine.out));
	captured_empty(&t->engine.out);
	trace_file_turn(&t->trace);
}

static void send_traced(struct traced_session *t, const char *input, size_t step)
{
	turn(t);
	engine_send_split(&t->engine, span_of(input), step, step);
}

static void read_text(struct traced_session *t)
{
	char path[512] = "";
	struct dirent *entry;
	DIR *d = opendir(t->directory);
	FILE *f;

	while ((entry = readdir(d)))
		if (entry->d_name[0] != '.')
			snprintf(
				path, sizeof(path), "%s/%s", t->directory, entry->d_name);
	closedir(d);
	f = fopen(path, "re");
	REQUIRE(f);
	t->text[fread(t->text, 1, sizeof(t->text) - 1, f)] = '\0';
	fclose(f);
	unlink(path);
	rmdir(t->directory);
}

static void end(struct traced_session *t)
{
	turn(t);
	engine_stop(&t->engine, END_EOF);
	trace_file_done(&t->trace);
	read_text(t);
	t->engine.session.tracer = NULL;
	engine_done(&t->engine);
}

static void test_an_exchange_is_masked(void)
{
	static const char *const inputs[] = {
		"EHLO x\r\nSTARTTLS\r\n",
		"EHLO x\r\n",
		"AUTH LOGIN\r\n",
		"dXNlcg==\r\n",
		"c2VjcmV0c2VjcmV0\r\n",
		"AUTH PLAIN\r\n",
		"c2VjcmV0!\r\n",
		"AUTH LOGIN dXNlcg==\r\n",
		"*\r\n",
		"AUTH LOGIN\r\ndXNlcg==\r\nc2VjcmV0\r\nMAIL FROM:<user@example.org>\r\n",
	};
	static const char wanted[] = "C: AUTH LOGIN\nS: 334 ...\nC: ****\nS: 334 ...\n"
				     "C: ****\nS: 535 5.7.8 Authentication failed\n"
				     "C: AUTH PLAIN\nS: 334 ...\nC: ****\n"
				     "S: 501 5.5.2 Response not understood\n"
				     "C: AUTH LOGIN ****\nS: 334 ...\nC: ****\n"
				     "S: 501 5.7.0 Authentication cancelled\n"
				     "C: AUTH LOGIN\nC: ****\nC: ****\n"
				     "C: MAIL FROM:<user@example.org>\n"
				     "S: 334 ...\nS: 334 ...\n"
				     "S: 235 2.7.0 Authentication successful\n"
				     "S: 250 2.1.0 Sender OK\n";

	for (size_t step = 1; step <= 64; step = step < 8 ? step + 1 : 2 * step) {
		struct traced_session *t = malloc(sizeof(*t));
		REQUIRE(t);
		begin(t);
		for (size_t i = 0; i < TEST_COUNT(inputs); i++)
			send_traced(t, inputs[i], step);
		end(t);
		if (!CHECK(strstr(t->text, wanted)))
			fprintf(stderr, "%s", t->text);
		CHECK(strstr(t->text, "= auth on\n"));
		CHECK(!strstr(t->text, "c2Vj") && !strstr(t->text, "dXNlcg"));
		CHECK(!t->trace.kept);
		free(t);
	}
}

/* It is one response, in any pieces. */
static void test_a_response_that_is_too_long_is_one(void)
{
	size_t n = 3 * AUTH_LINE_MAX;
	char *line = malloc(n + 1);
	struct traced_session *t = malloc(sizeof(*t));

	REQUIRE(line && t);
	memset(line, 'c', n);
	memcpy(line + n - 2, "\r\n", 3);
	begin(t);
	send_traced(t, "EHLO x\r\nSTARTTLS\r\n", SIZE_MAX);
	send_traced(t, "EHLO x\r\n", SIZE_MAX);
	send_traced(t, "AUTH PLAIN\r\n", SIZE_MAX);
	send_traced(t, line, 5000);
	end(t);
	CHECK(strstr(t->text, "S: 334 ...\nC: ****\nS: 500 5.5.6 Response too long\n"));
	CHECK(!strstr(t->text, "cccc"));
	free(line);
	free(t);
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_an_exchange_is_masked),
		TEST(test_a_response_that_is_too_long_is_one),
	};

	return test_main(tests, TEST_COUNT(tests));
}
