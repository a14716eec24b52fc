/* SPDX-License-Identifier: ISC */
/* smtp/auth (RFC 4954): exchanges in any pieces; secrets that remain in memory; and the delay of guessing. */
#include "unit/engine.h"
#include "unit/test.h"

#define EHLO "EHLO client.example.org\r\n"
#define GOOD "AHVzZXIAc2VjcmV0" /* NUL user NUL secret */
#define BAD "AHVzZXIAZ3Vlc3M=" /* NUL user NUL guess */
#define ENVELOPE "MAIL FROM:<user@example.org>\r\nRCPT TO:<b@example.net>\r\n"

static void begin(struct engine *e, enum auth_mode mode)
{
	engine_init(e);
	e->settings.tls = TLS_ON;
	e->settings.auth = mode;
	engine_start(e);
}

static void secure(struct engine *e)
{
	engine_send(e, SPAN(EHLO "STARTTLS\r\n"));
	captured_empty(&e->out);
	engine_send(e, SPAN(EHLO));
}

static void begin_inside(struct engine *e, enum auth_mode mode)
{
	begin(e, mode);
	secure(e);
	captured_empty(&e->out);
}

static bool has(struct span all, const char *text)
{
	return memmem(all.p, all.n, text, strlen(text)) != NULL;
}

/* All messages of a login in one segment. */
struct script {
	const char *name;
	enum auth_mode mode;
	enum bare_newline bare;
	const char *input;
	const char *said; /* NULL: only the same as ever */
	size_t n_failures, n_stored;
	const char *user;
};

static const struct script scripts[] = {
	{
		.name = "an initial response, and a message",
		.mode = AUTH_REQUIRED,
		.input = "AUTH PLAIN " GOOD "\r\n" ENVELOPE "DATA\r\nx\r\n.\r\nQUIT\r\n",
		.n_stored = 1,
		.user = "user",
	},
	{
		.name = "challenges and responses",
		.mode = AUTH_ON,
		.input = "AUTH LOGIN\r\ndXNlcg==\r\nc2VjcmV0\r\nNOOP\r\n",
		.said = "334 VXNlcm5hbWU6\r\n334 UGFzc3dvcmQ6\r\n"
			"235 2.7.0 Authentication successful\r\n250 2.0.0 OK\r\n",
		.user = "user",
	},
	{
		.name = "failures, a cancellation, and what was sent ahead",
		.mode = AUTH_ON,
		.input = "AUTH PLAIN " BAD "\r\nNOOP\r\nAUTH PLAIN\r\n*\r\n"
			 "AUTH LOGIN\r\nQUIT\r\nQUIT\r\nAUTH PLAIN " GOOD "\r\n",
		.said = "535 5.7.8 Authentication failed\r\n250 2.0.0 OK\r\n"
			"334 \r\n501 5.7.0 Authentication cancelled\r\n"
			"334 VXNlcm5hbWU6\r\n334 UGFzc3dvcmQ6\r\n"
			"535 5.7.8 Authentication failed\r\n"
			"235 2.7.0 Authentication successful\r\n",
		.n_failures = 2,
		.user = "user",
	},
	{
		.name = "too many failures",
		.mode = AUTH_ON,
		.input = "AUTH PLAIN " BAD "\r\nAUTH PLAIN " BAD "\r\nAUTH PLAIN " BAD
			 "\r\nAUTH PLAIN " BAD "\r\nAUTH PLAIN " BAD
			 "\r\nAUTH PLAIN " GOOD "\r\n",
		.said = "535 5.7.8 Authentication failed\r\n"
			"535 5.7.8 Authentication failed\r\n"
			"535 5.7.8 Authentication failed\r\n"
			"535 5.7.8 Authentication failed\r\n"
			"535 5.7.8 Authentication failed\r\n"
			"421 4.7.0 Too many failed attempts to log in; "
			"closing connection\r\n",
		.n_failures = 5,
	},
	{
		.name = "what is no response",
		.mode = AUTH_ON,
		.input =
			"AUTH PLAIN\r\n" GOOD "=\r\nAUTH PLAIN\r\n=\r\nAUTH PLAIN "
			"****\r\nAUTH PLAIN\r\nA B\r\nAUTH PLAIN\r\n\r\nAUTH PLAIN =\r\n",
		.said = "334 \r\n501 5.5.2 Response not understood\r\n"
			"334 \r\n501 5.5.2 Response not understood\r\n"
			"501 5.5.2 Response not understood\r\n"
			"334 \r\n501 5.5.2 Response not understood\r\n"
			"334 \r\n501 5.5.2 Response not understood\r\n"
			"501 5.5.2 Response not understood\r\n",
	},
	{
		.name = "line ends, normalized",
		.mode = AUTH_ON,
		.input = "AUTH LOGIN\ndXNlcg==\nc2Vj\rcmV0\r\n"
			 "AUTH LOGIN\ndXNlcg==\nc2VjcmV0\n",
		.said = "334 VXNlcm5hbWU6\r\n334 UGFzc3dvcmQ6\r\n"
			"501 5.5.2 Response not understood\r\n"
			"334 VXNlcm5hbWU6\r\n334 UGFzc3dvcmQ6\r\n"
			"235 2.7.0 Authentication successful\r\n",
		.user = "user",
	},
	{
		.name = "line ends, refused",
		.mode = AUTH_ON,
		.bare = BARE_REJECT,
		.input = "AUTH LOGIN\r\ndXNlcg==\nNOOP\r\nAUTH LOGIN\r\n*\rx\r\n",
		.said = "334 VXNlcm5hbWU6\r\n"
			"500 5.5.2 Lines must end with <CR><LF>\r\n250 2.0.0 OK\r\n"
			"334 VXNlcm5hbWU6\r\n"
			"500 5.5.2 Lines must end with <CR><LF>\r\n",
	},
};

static void run(struct engine *e, const struct script *script, size_t first, size_t step)
{
	begin_inside(e, script->mode);
	e->settings.bare_newline = script->bare;
	engine_send_split(e, span_of(script->input), first, step);
	engine_stop(e, END_EOF);
}

static void check_sane(struct engine *e, const struct script *script)
{
	CHECK(!e->overflow && !e->bad_record && !e->memory.wrong && !e->users.wrong);
	CHECK(!e->users.open);
	CHECK(e->n_sessions == 1);
	CHECK(e->session.n_auth_failures == script->n_failures);
	CHECK(e->n_pauses == script->n_failures);
	CHECK(e->memory.n_stored == script->n_stored);
	CHECK_SPAN(span_of(e->session.user), script->user ? script->user : "");
}

static void check_script(const struct script *script)
{
	struct engine whole, split;
	size_t n = strlen(script->input);

	run(&whole, script, SIZE_MAX, 1);
	check_sane(&whole, script);
	if (script->said && !CHECK_SPAN(captured_span(&whole.out), script->said))
		fprintf(stderr, "\t%s\n", script->name);
	/* in two pieces, and octet by octet */
	for (size_t first = 0; first <= n && !test_failed; first++) {
		run(&split, script, first, first ? SIZE_MAX : 1);
		check_sane(&split, script);
		CHECK(span_eq(captured_span(&whole.out), captured_span(&split.out)));
		CHECK(span_eq(
			captured_span(&whole.records), captured_span(&split.records)));
		CHECK(whole.paused == split.paused);
		if (test_failed)
			fprintf(stderr, "\t%s, cut at %zu\n", script->name, first);
		engine_done(&split);
	}
	engine_done(&whole);
}

static void test_exchanges_are_the_same_however_they_are_cut(void)
{
	for (size_t i = 0; i < TEST_COUNT(scripts); i++)
		check_script(&scripts[i]);
}

/* RFC 4954 4: 12288 octets with CRLF, of a response and of AUTH itself */
static void check_length(const char *command, size_t n, const char *said)
{
	static char line[AUTH_LINE_MAX + 64];
	size_t n_command = strlen(command);
	struct engine e;

	begin_inside(&e, AUTH_ON);
	if (n_command == 0)
		engine_send(&e, SPAN("AUTH ECHO\r\n"));
	captured_empty(&e.out);
	memset(line, 'A', n);
	memcpy(line, command, n_command);
	memcpy(line + n - 2, "\r\n", 2);
	engine_send_split(&e, (struct span){ line, n }, n / 2, SIZE_MAX);
	if (!CHECK_SPAN(captured_span(&e.out), said))
		fprintf(stderr, "\t%s%zu octets\n", command, n);
	CHECK(e.session.phase == PHASE_GREETED && !e.users.open);
	engine_done(&e);
}

static void test_lines_may_be_long_and_no_longer(void)
{
	/* valid, but the challenge would be too long: see below */
	check_length("", 12286, "501 5.5.2 Response not understood\r\n");
	check_length("", 12288, "501 5.5.2 Response not understood\r\n");
	check_length("", 12289, "500 5.5.6 Response too long\r\n");
	check_length("", 12300, "500 5.5.6 Response too long\r\n");
	check_length("AUTH ECHO ", 12288, "501 5.5.2 Response not understood\r\n");
	check_length("AUTH ECHO ", 12289, "500 5.5.2 Line too long\r\n");
}

/* The octets of base64 that fit into a reply (RFC 5321 4.5.3.1.5). */
static void test_challenges_have_an_end(void)
{
	static const char ahead[] = "AUTH ECHO ";

	for (size_t n = 380; n <= 392; n += 4) {
		char line[512];
		struct engine e;
		begin_inside(&e, AUTH_ON);
		memset(line, 'A', sizeof(line));
		memcpy(line, ahead, sizeof(ahead) - 1);
		memcpy(line + sizeof(ahead) - 1 + n, "\r\n", 2);
		engine_send(&e, (struct span){ line, sizeof(ahead) - 1 + n + 2 });
		CHECK(e.session.phase == (n <= 384 ? PHASE_AUTH : PHASE_GREETED));
		CHECK(captured_span(&e.out).n == (n <= 384 ? 4 + n + 2 : 35));
		engine_done(&e);
	}
}

static bool holds(const void *memory, size_t n, const char *text)
{
	return memmem(memory, n, text, strlen(text)) != NULL;
}

/* No secret remains in the session, except the user's name, nor in the input that was taken. */
static void check_wiped(const char *input, const char *const *secrets)
{
	size_t n = strlen(input);
	char *copy = strdup(input);
	struct bytes in = { copy, n };
	struct engine e;

	begin_inside(&e, AUTH_ON);
	while (session_take(&e.session, &in, &e.now) == SESSION_PAUSE)
		engine_wait(&e);
	CHECK(in.n == 0);
	for (; *secrets; secrets++)
		if (!CHECK(!holds(copy, n, *secrets)) ||
			!CHECK(!holds(&e.session, sizeof(e.session), *secrets)))
			fprintf(stderr, "\t%s after %s", *secrets, input);
	free(copy);
	engine_done(&e);
}

/* At an offset that records, which use the same memory, do not reach. */
static void test_nothing_is_left_of_the_beginning_of_what_is_no_base64(void)
{
	static const char *const secrets[] = { "secret", "c2VjcmV0", NULL };
	char input[AUTH_LINE_MAX];
	size_t n = (size_t)sprintf(input, "AUTH PLAIN ");

	memset(input + n, 'A', 8000);
	strcpy(input + n + 8000, "c2VjcmV0!!!!\r\n");
	check_wiped(input, secrets);
}

static void test_nothing_secret_is_left(void)
{
	static const char *const secrets[] = { "secret", "guess", "c2VjcmV0", "AHVz",
		"Z3Vlc3M", NULL };
	static const char *const inputs[] = {
		"AUTH PLAIN " GOOD "\r\n",
		"AUTH PLAIN " BAD "\r\n",
		"AUTH PLAIN\r\n" GOOD "\r\n",
		"AUTH LOGIN\r\ndXNlcg==\r\nc2VjcmV0\r\n",
		"AUTH LOGIN dXNlcg==\r\nc2VjcmV0\r\nNOOP\r\n",
		"AUTH LOGIN dXNlcg==\r\nZ3Vlc3M=\r\nNOOP\r\n",
		/* a beginning that is base64, and an end that is not */
		"AUTH PLAIN AHVzZXIAc2VjcmV0!\r\n",
		"AUTH PLAIN AHVzZXIAc2VjcmV0!!!!\r\n",
		"AUTH PLAIN\r\nAHVzZXIAc2VjcmV0c2VjcmV0!\r\n",
		"AUTH PLAIN\r\nc2VjcmV0 c2VjcmV0\r\n",
		"AUTH PLAIN c2VjcmV0 c2VjcmV0\r\n",
		"AUTH PLAIN " GOOD "\r\nAUTH PLAIN " GOOD "\r\n",
		"AUTH NTLM " GOOD "\r\n",
	};

	for (size_t i = 0; i < TEST_COUNT(inputs); i++)
		check_wiped(inputs[i], secrets);
}

/* Only the end of an overlong line is kept; the octets before it are dropped in pieces. */
static void test_nothing_is_left_of_a_response_that_is_too_long(void)
{
	static const char *const ends[] = { "c2VjcmV0", "c2VjcmV0\r\n" };
	size_t n = AUTH_LINE_MAX;
	char *copy = malloc(n + 16);
	struct engine e;

	begin_inside(&e, AUTH_ON);
	engine_send(&e, SPAN("AUTH PLAIN\r\n"));
	for (size_t i = 0; i < TEST_COUNT(ends); i++) {
		struct bytes in = { copy, n + strlen(ends[i]) };
		memset(copy, 'A', n);
		memcpy(copy + n, ends[i], strlen(ends[i]));
		CHECK(session_take(&e.session, &in, &e.now) == SESSION_INPUT);
		CHECK(in.n == 0 && !holds(copy, n + strlen(ends[i]), "c2VjcmV0"));
	}
	CHECK(span_ends(
		buf_span(&e.session.out), SPAN("500 5.5.6 Response too long\r\n")));
	CHECK(!holds(&e.session, sizeof(e.session), "c2VjcmV0"));
	free(copy);
	engine_done(&e);
}

/* The delays are 1, 2, 4, 8 and 16 seconds, in which no input is taken and no reply sent. */
static void test_guessing_takes_longer_and_longer(void)
{
	uint64_t pause = AUTH_PAUSE;
	struct engine e;

	begin_inside(&e, AUTH_ON);
	for (size_t i = 0; i < AUTH_FAILURES_MAX; i++, pause *= 2) {
		char input[] = "AUTH PLAIN " BAD "\r\nNOOP\r\n";
		struct bytes in = { input, sizeof(input) - 1 };
		uint64_t before = e.now.milliseconds;
		CHECK(session_take(&e.session, &in, &e.now) == SESSION_PAUSE);
		CHECK(e.session.pause_until == before + pause);
		e.now.milliseconds = before + pause - 1;
		CHECK(session_take(&e.session, &in, &e.now) == SESSION_PAUSE);
		CHECK(in.n == 6 && e.session.out.n == 0);
		e.now.milliseconds++;
		CHECK(session_take(&e.session, &in, &e.now) ==
			(i + 1 < AUTH_FAILURES_MAX ? SESSION_INPUT : SESSION_END));
		CHECK(e.session.pause_until == 0 && e.session.out.n > 0);
		e.session.out.n = 0;
	}
	CHECK(e.session.end == END_AUTH_FAILURES);
	CHECK(e.session.n_auth_failures == AUTH_FAILURES_MAX);
	engine_done(&e);
}

/* After a stop from outside, a delayed reply is not sent. */
/* Failures of the same network in other sessions make the first delay of this one long, up to a limit. */
static void test_the_delay_has_a_limit_whatever_came_before(void)
{
	static const size_t before[] = { 4, 5, 1000 };

	for (size_t i = 0; i < TEST_COUNT(before); i++) {
		char input[] = "AUTH PLAIN " BAD "\r\n";
		struct bytes in = { input, sizeof(input) - 1 };
		struct engine e;
		begin_inside(&e, AUTH_ON);
		e.session.n_failed_before = before[i];
		CHECK(session_take(&e.session, &in, &e.now) == SESSION_PAUSE);
		CHECK(e.session.pause_until ==
			e.now.milliseconds + (AUTH_PAUSE << (AUTH_FAILURES_MAX - 1)));
		engine_done(&e);
	}
}

/* RFC 4954 6: this host cannot check logins, so what needs one is refused for now. */
static void test_what_needs_a_login_is_put_off_while_none_works(void)
{
	struct engine e;

	begin_inside(&e, AUTH_REQUIRED);
	engine_send(&e, SPAN("MAIL FROM:<>\r\n"));
	CHECK(span_starts(captured_span(&e.out), SPAN("530 ")));
	e.users.unavailable = true;
	engine_send(&e, SPAN("AUTH PLAIN " GOOD "\r\n"));
	captured_empty(&e.out);
	engine_send(&e, SPAN("MAIL FROM:<>\r\n"));
	CHECK(span_starts(captured_span(&e.out), SPAN("454 ")));
	engine_done(&e);
}

static void test_a_session_may_end_while_it_waits(void)
{
	static const struct {
		enum session_end why;
		const char *said;
	} table[] = {
		{ END_SHUTDOWN, "421 4.3.2 Shutting down; closing connection\r\n" },
		{ END_SESSION_TIMEOUT,
			"421 4.4.2 Session too long; closing connection\r\n" },
		{ END_BROKEN, "" },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		char input[] = "AUTH PLAIN " BAD "\r\nNOOP\r\n";
		struct bytes in = { input, sizeof(input) - 1 };
		struct engine e;
		begin_inside(&e, AUTH_ON);
		CHECK(session_take(&e.session, &in, &e.now) == SESSION_PAUSE);
		engine_stop(&e, table[i].why);
		CHECK_SPAN(captured_span(&e.out), table[i].said);
		CHECK(session_take(&e.session, &in, &e.now) == SESSION_END);
		CHECK(e.n_sessions == 1);
		engine_done(&e);
	}
}

/* RFC 4954 4: AUTH is listed inside TLS, before and after a login; not if it is off or there are no users. */
static void test_it_is_offered_where_it_can_be_used(void)
{
	static const struct {
		enum auth_mode mode;
		const char *listed;
		bool offered;
	} table[] = {
		{ AUTH_OFF, "PLAIN", false },
		{ AUTH_ON, "PLAIN", true },
		{ AUTH_REQUIRED, "PLAIN", true },
		{ AUTH_ON, "", false },
	};

	for (size_t i = 0; i < TEST_COUNT(table); i++) {
		struct engine e;
		begin(&e, table[i].mode);
		e.users.listed = table[i].listed;
		engine_send(&e, SPAN(EHLO));
		CHECK(!has(captured_span(&e.out), "AUTH"));
		secure(&e);
		CHECK(has(captured_span(&e.out), "250-AUTH PLAIN\r\n") ==
			table[i].offered);
		engine_send(&e, SPAN("AUTH PLAIN " GOOD "\r\n"));
		captured_empty(&e.out);
		engine_send(&e, SPAN(EHLO));
		CHECK(has(captured_span(&e.out), "250-AUTH PLAIN\r\n") ==
			table[i].offered);
		engine_done(&e);
	}
}

static void test_without_an_authenticator_there_is_no_auth(void)
{
	struct engine e;

	begin(&e, AUTH_ON);
	e.settings.authenticator = NULL;
	secure(&e);
	CHECK(!has(captured_span(&e.out), "AUTH"));
	captured_empty(&e.out);
	engine_send(&e, SPAN("AUTH PLAIN " GOOD "\r\n" ENVELOPE));
	CHECK_SPAN(captured_span(&e.out),
		"454 4.7.0 Authentication not available; try later\r\n"
		"250 2.1.0 Sender OK\r\n250 2.1.5 Recipient OK\r\n");
	engine_done(&e);
}

/* The sender is checked at MAIL, only after a login. */
static void test_who_has_logged_in_writes_as_nobody_else(void)
{
	struct engine e;

	begin_inside(&e, AUTH_ON);
	engine_send(&e, SPAN("MAIL FROM:<eve@example.org>\r\nRSET\r\n"));
	CHECK(e.users.n_asked == 0);
	captured_empty(&e.out);
	engine_send(&e, SPAN("AUTH PLAIN " GOOD "\r\nMAIL FROM:<eve@example.org>\r\n"
			     "MAIL FROM:<user@example.org>\r\n"));
	CHECK_SPAN(captured_span(&e.out),
		"235 2.7.0 Authentication successful\r\n"
		"553 5.7.1 Not an address of the user that has logged in\r\n"
		"250 2.1.0 Sender OK\r\n");
	CHECK(e.users.n_asked == 2);
	CHECK(e.session.tx.user == e.session.user);
	e.users.unavailable = true;
	captured_empty(&e.out);
	engine_send(&e, SPAN("RSET\r\nMAIL FROM:<user@example.org>\r\n"));
	CHECK_SPAN(captured_span(&e.out),
		"250 2.0.0 OK\r\n"
		"451 4.3.0 No senders can be checked for now; try later\r\n");
	CHECK(!e.memory.wrong && !e.users.wrong && !e.session.tx.open);
	engine_done(&e);
}

/* A success without a user name, as a mechanism without a proof could return. */
static enum auth_result step_blindly(
	struct authenticator *a, const struct span *response, struct buf *ret_challenge)
{
	(void)a, (void)response, (void)ret_challenge;
	return AUTH_SUCCESS;
}

static void test_nobody_cannot_log_in(void)
{
	struct engine e;

	begin_inside(&e, AUTH_REQUIRED);
	e.users.authenticator.step = step_blindly;
	engine_send(&e, SPAN("AUTH PLAIN\r\nMAIL FROM:<user@example.org>\r\n"));
	CHECK_SPAN(captured_span(&e.out), "535 5.7.8 Authentication failed\r\n"
					  "530 5.7.0 Authentication required\r\n");
	engine_done(&e);
}

/* With implicit TLS the state is reset after the handshake: RFC 3207 4.2. */
static void test_what_ends_within_an_exchange_ends_it(void)
{
	static const enum session_end ends[] = { END_EOF, END_BROKEN, END_TIMEOUT,
		END_SESSION_TIMEOUT, END_SHUTDOWN };

	for (size_t i = 0; i < TEST_COUNT(ends); i++) {
		struct engine e;
		begin_inside(&e, AUTH_ON);
		engine_send(&e, SPAN("AUTH LOGIN\r\ndXNlcg==\r\nc2Vj"));
		CHECK(e.users.open && e.session.phase == PHASE_AUTH);
		engine_stop(&e, ends[i]);
		CHECK(!e.users.open && e.session.phase == PHASE_ENDED);
		engine_done(&e);
	}
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_exchanges_are_the_same_however_they_are_cut),
		TEST(test_lines_may_be_long_and_no_longer),
		TEST(test_challenges_have_an_end),
		TEST(test_nothing_secret_is_left),
		TEST(test_nothing_is_left_of_the_beginning_of_what_is_no_base64),
		TEST(test_nothing_is_left_of_a_response_that_is_too_long),
		TEST(test_guessing_takes_longer_and_longer),
		TEST(test_the_delay_has_a_limit_whatever_came_before),
		TEST(test_what_needs_a_login_is_put_off_while_none_works),
		TEST(test_a_session_may_end_while_it_waits),
		TEST(test_it_is_offered_where_it_can_be_used),
		TEST(test_without_an_authenticator_there_is_no_auth),
		TEST(test_who_has_logged_in_writes_as_nobody_else),
		TEST(test_nobody_cannot_log_in),
		TEST(test_what_ends_within_an_exchange_ends_it),
	};

	return test_main(tests, TEST_COUNT(tests));
}
