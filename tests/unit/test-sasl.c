/* SPDX-License-Identifier: ISC */
/*
 * The module sasl.so against libgsasl's clients, and against responses that no client sends: successful and failed
 * logins, and that clients cannot find out which users exist.
 */
#include "unit/sasl-lab.h"

#include <crypt.h>
#include <errno.h>
#include <gnutls/crypto.h>

/* Work that was done: what a test puts in place of a library's function counts it. */
static struct {
	size_t iterations;
	size_t hashes;
	char cost[8];
} work;

int gnutls_pbkdf2(gnutls_mac_algorithm_t mac, const gnutls_datum_t *key,
	const gnutls_datum_t *salt, unsigned n, void *output, size_t length)
{
	__typeof__(gnutls_pbkdf2) *real =
		(__typeof__(gnutls_pbkdf2) *)dlsym(RTLD_NEXT, "gnutls_pbkdf2");

	work.iterations += n;
	return real(mac, key, salt, n, output, length);
}

char *crypt_rn(const char *phrase, const char *setting, void *data, int size)
{
	__typeof__(crypt_rn) *real = (__typeof__(crypt_rn) *)dlsym(RTLD_NEXT, "crypt_rn");

	work.hashes++;
	snprintf(work.cost, sizeof(work.cost), "%.7s", setting);
	return real(phrase, setting, data, size);
}

/* The call of the server's in which SASLprep gets no memory, which libgsasl calls another error. */
static enum { ENOUGH, NONE_IN_STEP, NONE_IN_PREPARE } memory;

int gsasl_step(Gsasl_session *session, const char *input, size_t n, char **output,
	size_t *n_output)
{
	__typeof__(gsasl_step) *real =
		(__typeof__(gsasl_step) *)dlsym(RTLD_NEXT, "gsasl_step");

	if (memory != NONE_IN_STEP)
		return real(session, input, n, output, n_output);
	errno = ENOMEM;
	return GSASL_AUTHENTICATION_ERROR;
}

int gsasl_saslprep(const char *in, Gsasl_saslprep_flags flags, char **out, int *rc)
{
	__typeof__(gsasl_saslprep) *real =
		(__typeof__(gsasl_saslprep) *)dlsym(RTLD_NEXT, "gsasl_saslprep");

	if (memory != NONE_IN_PREPARE)
		return real(in, flags, out, rc);
	errno = ENOMEM;
	return GSASL_SASLPREP_ERROR;
}

static enum auth_result log_in(struct lab_login *l)
{
	struct sasl_settings settings;

	lab_settings(&settings);
	return lab_log_in(&settings, l);
}

static void test_the_right_password_logs_in(void)
{
	static const struct {
		const char *mechanism, *user;
	} cases[] = {
		{ SASL_PLAIN, "gsasl" },
		{ SASL_PLAIN, "dovecot" },
		{ SASL_PLAIN, "yescrypt" },
		{ SASL_PLAIN, "sha512" },
		{ SASL_LOGIN, "gsasl" },
		{ SASL_LOGIN, "yescrypt" },
		{ SASL_LOGIN, "sha512" },
		{ SASL_SCRAM, "gsasl" },
		{ SASL_SCRAM, "dovecot" },
		{ SASL_SCRAM_PLUS, "gsasl" },
		{ SASL_SCRAM_PLUS, "dovecot" },
	};

	for (size_t i = 0; i < 2 * TEST_COUNT(cases); i++) {
		struct lab_login l = {
			.mechanism = cases[i / 2].mechanism,
			.user = cases[i / 2].user,
			.password = "secret",
			.waits = i % 2 || strcmp(cases[i / 2].mechanism, SASL_LOGIN) == 0,
		};
		if (!CHECK(log_in(&l) == AUTH_SUCCESS))
			printf("# %s %s\n", l.mechanism, l.user);
		CHECK_SPAN(span_of(l.who), l.user);
		CHECK(!lab_fault[0]);
	}
}

static void test_nothing_else_does(void)
{
	static const struct lab_login cases[] = {
		{ .mechanism = SASL_PLAIN, .user = "gsasl", .password = "Secret" },
		{ .mechanism = SASL_PLAIN, .user = "gsasl", .password = "secret2" },
		{ .mechanism = SASL_PLAIN, .user = "gsasl", .password = "" },
		{ .mechanism = SASL_PLAIN, .user = "yescrypt", .password = "Secret" },
		{ .mechanism = SASL_PLAIN, .user = "sha512", .password = "Secret" },
		{ .mechanism = SASL_PLAIN, .user = "nobody", .password = "secret" },
		{ .mechanism = SASL_PLAIN, .user = "GSASL", .password = "secret" },
		{ .mechanism = SASL_PLAIN,
			.user = "gsasl",
			.password = "secret",
			.authzid = "dovecot" },
		{ .mechanism = SASL_LOGIN,
			.user = "gsasl",
			.password = "Secret",
			.waits = true },
		{ .mechanism = SASL_LOGIN,
			.user = "nobody",
			.password = "secret",
			.waits = true },
		{ .mechanism = SASL_SCRAM, .user = "gsasl", .password = "Secret" },
		{ .mechanism = SASL_SCRAM, .user = "nobody", .password = "secret" },
		{ .mechanism = SASL_SCRAM, .user = "yescrypt", .password = "secret" },
		{ .mechanism = SASL_SCRAM,
			.user = "gsasl",
			.password = "secret",
			.authzid = "dovecot" },
		{ .mechanism = SASL_SCRAM_PLUS, .user = "gsasl", .password = "Secret" },
		/* an attacker between both, with a TLS session to each side */
		{ .mechanism = SASL_SCRAM_PLUS,
			.user = "gsasl",
			.password = "secret",
			.binding = "the 32 octets of another's TLS.." },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct lab_login l = cases[i];
		if (!CHECK(log_in(&l) == AUTH_FAILED))
			printf("# %s %s\n", l.mechanism, l.user);
		CHECK_SPAN(span_of(l.who), l.user);
	}
}

static void test_who_acts_for_oneself_may_say_so(void)
{
	static const char *const mechanisms[] = { SASL_PLAIN, SASL_SCRAM,
		SASL_SCRAM_PLUS };

	for (size_t i = 0; i < TEST_COUNT(mechanisms); i++) {
		struct lab_login l = { .mechanism = mechanisms[i],
			.user = "gsasl",
			.password = "secret",
			.authzid = "gsasl" };
		CHECK(log_in(&l) == AUTH_SUCCESS);
	}
}

/* RFC 4013 3: other letters that mean the same are the same. */
static void test_names_and_passwords_are_prepared(void)
{
	static const char *const mechanisms[] = { SASL_PLAIN, SASL_LOGIN };

	for (size_t i = 0; i < TEST_COUNT(mechanisms); i++) {
		struct lab_login l = { .mechanism = mechanisms[i],
			.user = "\xe2\x85\xa8", /* ROMAN NUMERAL NINE */
			.password = "se\xc2\xad"
				    "cret", /* SOFT HYPHEN */
			.waits = true };
		CHECK(log_in(&l) == AUTH_SUCCESS);
		CHECK_SPAN(span_of(l.who), "IX");
	}
}

/* The server's first message: what a stranger learns of a name. */
static struct lab_login ask(const char *user)
{
	struct lab_login l = {
		.mechanism = SASL_SCRAM, .user = user, .password = "secret"
	};

	log_in(&l);
	REQUIRE(strstr(l.said, ",s="));
	return l;
}

static void test_salts_of_nobody_look_like_salts(void)
{
	struct lab_login known = ask("dovecot"), nobody = ask("nobody"),
			 again = ask("nobody"), other = ask("nobody2"),
			 hashed = ask("yescrypt");
	const char *salt = strstr(nobody.said, ",s=");

	/* always the same, different from others, and with the length and cost of most users */
	CHECK(strcmp(salt, strstr(again.said, ",s=")) == 0);
	CHECK(strcmp(salt, strstr(other.said, ",s=")) != 0);
	CHECK(strcmp(salt, strstr(hashed.said, ",s=")) != 0);
	CHECK(strlen(salt) == strlen(strstr(known.said, ",s=")));
	CHECK(strcmp(strstr(salt, ",i="), ",i=4096") == 0);
}

static void test_salts_of_nobody_depend_on_the_secret(void)
{
	struct lab_login before = ask("nobody"), after = before;
	struct sasl_settings settings;

	lab_settings(&settings);
	settings.secret = SPAN("another secret of 32 octets here");
	after.said[0] = '\0';
	memset(after.said, 0, sizeof(after.said));
	lab_log_in(&settings, &after);
	CHECK(strcmp(strstr(before.said, ",s="), strstr(after.said, ",s=")) != 0);
}

static void measure(const char *mechanism, const char *user)
{
	struct lab_login l = {
		.mechanism = mechanism, .user = user, .password = "wrong", .waits = true
	};

	memset(&work, 0, sizeof(work));
	CHECK(log_in(&l) == AUTH_FAILED);
}

static void test_nobody_takes_as_much_work(void)
{
	static const char *const mechanisms[] = { SASL_PLAIN, SASL_LOGIN };
	struct sasl_settings settings;
	struct lab_login l = {
		.mechanism = SASL_PLAIN, .user = "nobody", .password = "wrong"
	};

	for (size_t i = 0; i < TEST_COUNT(mechanisms); i++) {
		measure(mechanisms[i], "dovecot");
		CHECK(work.iterations == 4096 && work.hashes == 0);
		measure(mechanisms[i], "nobody");
		CHECK(work.iterations == 4096 && work.hashes == 0);
		measure(mechanisms[i], "yescrypt");
		CHECK(work.iterations == 0 && work.hashes == 1);
	}
	/* and where most have a hash, of a hash */
	lab_settings(&settings);
	memset(&settings.decoys, 0, sizeof(settings.decoys));
	for (size_t i = 2; i < 4; i++)
		decoys_count(&settings.decoys, span_of(lab_users[3].value));
	decoys_count(&settings.decoys, span_of(lab_users[0].value));
	memset(&work, 0, sizeof(work));
	CHECK(lab_log_in(&settings, &l) == AUTH_FAILED);
	CHECK(work.iterations == 0 && work.hashes == 1);
	CHECK_SPAN(span_of(work.cost), "$y$j9T$");
}

/* The table has no users. */
static void test_an_empty_table_lets_nobody_in(void)
{
	static const char *const mechanisms[] = { SASL_PLAIN, SASL_SCRAM };

	for (size_t i = 0; i < TEST_COUNT(mechanisms); i++) {
		struct sasl_settings settings;
		struct lab_login l = {
			.mechanism = mechanisms[i], .user = "nobody", .password = ""
		};
		lab_settings(&settings);
		memset(&settings.decoys, 0, sizeof(settings.decoys));
		CHECK(lab_log_in(&settings, &l) == AUTH_FAILED);
	}
}

static void test_a_table_that_fails_is_not_the_clients_fault(void)
{
	static const char *const mechanisms[] = { SASL_PLAIN, SASL_LOGIN, SASL_SCRAM,
		SASL_SCRAM_PLUS };

	for (size_t i = 0; i < TEST_COUNT(mechanisms); i++) {
		struct lab_login l = { .mechanism = mechanisms[i],
			.user = "broken",
			.password = "secret",
			.waits = true };
		CHECK(log_in(&l) == AUTH_UNAVAILABLE);
		CHECK_SPAN(span_of(lab_fault),
			"auth-users: broken: the table cannot be read");
	}
}

/* The right password all the same: the client has to come again. */
static void test_without_memory_no_password_is_called_wrong(void)
{
	static const char response[] = "\0yescrypt\0secret";
	char octets[LAB_RESPONSE_MAX];

	for (memory = NONE_IN_PREPARE; memory != ENOUGH; memory--) {
		struct sasl_settings settings;
		struct buf said = BUF(octets);
		struct sasl *server;
		lab_settings(&settings);
		server = lab_api->open(&settings);
		REQUIRE(server &&
			lab_api->begin(server, span_of(SASL_PLAIN)) == AUTH_CHALLENGE);
		CHECK(lab_api->step(server,
			      &(struct span){ response, sizeof(response) - 1 },
			      &said) == AUTH_UNAVAILABLE);
		lab_api->close(server);
	}
}

static void test_a_line_that_cannot_be_used_is_not_the_clients_fault(void)
{
	static const char *const mechanisms[] = { SASL_PLAIN, SASL_LOGIN, SASL_SCRAM,
		SASL_SCRAM_PLUS };

	for (size_t i = 0; i < TEST_COUNT(mechanisms); i++) {
		struct lab_login l = { .mechanism = mechanisms[i],
			.user = "bare",
			.password = "secret",
			.waits = true };
		CHECK(log_in(&l) == AUTH_UNAVAILABLE);
		CHECK(strstr(lab_fault, "auth-users: bare: is neither") != NULL);
		CHECK(strstr(lab_fault, "secret") == NULL);
	}
}

/* One step after another; NULL ends. "" is an empty response, "-" none. */
struct script {
	const char *mechanism;
	struct span responses[4];
	size_t n;
	enum auth_result result;
	const char *said; /* last one; NULL: not returned */
};

static void play(const struct script *s)
{
	char octets[LAB_RESPONSE_MAX];
	struct sasl_settings settings;
	struct sasl *server;
	struct buf said = BUF(octets);
	enum auth_result result;

	lab_settings(&settings);
	server = lab_api->open(&settings);
	REQUIRE(server);
	result = lab_api->begin(server, span_of(s->mechanism));
	for (size_t i = 0; i < s->n && result == AUTH_CHALLENGE; i++) {
		said.n = 0;
		result = lab_api->step(
			server, s->responses[i].p ? &s->responses[i] : NULL, &said);
	}
	if (!CHECK(result == s->result))
		printf("# %s: %d\n", s->mechanism, result);
	if (s->said)
		CHECK_SPAN(buf_span(&said), s->said);
	lab_api->end(server);
	lab_api->close(server);
}

#define NO_RESPONSE                                                                      \
	{                                                                                \
		NULL, 0                                                                  \
	}

static void test_responses_by_hand(void)
{
	static const struct script scripts[] = {
		/* LOGIN asks twice, unless the first answer comes unasked */
		{ SASL_LOGIN, { NO_RESPONSE }, 1, AUTH_CHALLENGE, "Username:" },
		{ SASL_LOGIN, { NO_RESPONSE, { "gsasl", 5 } }, 2, AUTH_CHALLENGE,
			"Password:" },
		{ SASL_LOGIN, { { "gsasl", 5 } }, 1, AUTH_CHALLENGE, "Password:" },
		{ SASL_LOGIN, { { "gsasl", 5 }, { "secret", 6 } }, 2, AUTH_SUCCESS,
			NULL },
		{ SASL_LOGIN, { { "gsasl", 5 }, { "secres", 6 } }, 2, AUTH_FAILED, NULL },
		{ SASL_LOGIN, { { "", 0 } }, 1, AUTH_MALFORMED, NULL },
		{ SASL_LOGIN, { { "gsasl", 5 }, { "", 0 } }, 2, AUTH_MALFORMED, NULL },
		{ SASL_LOGIN, { { "gsa\0l", 5 } }, 1, AUTH_MALFORMED, NULL },
		{ SASL_LOGIN, { { "gsasl", 5 }, { "sec\0et", 6 } }, 2, AUTH_MALFORMED,
			NULL },
		{ SASL_LOGIN, { { "gs\xff", 3 }, { "secret", 6 } }, 2, AUTH_FAILED,
			NULL },
		/* PLAIN, RFC 4616 */
		{ "plain", { { "\0gsasl\0secret", 13 } }, 1, AUTH_SUCCESS, NULL },
		{ SASL_PLAIN, { NO_RESPONSE }, 1, AUTH_CHALLENGE, "" },
		{ SASL_PLAIN, { { "\0gsasl\0secret", 13 } }, 1, AUTH_SUCCESS, NULL },
		{ SASL_PLAIN, { { "gsasl\0gsasl\0secret", 18 } }, 1, AUTH_SUCCESS, NULL },
		{ SASL_PLAIN, { { "other\0gsasl\0secret", 18 } }, 1, AUTH_FAILED, NULL },
		{ SASL_PLAIN, { { "\0gsasl\0secret\0", 14 } }, 1, AUTH_MALFORMED, NULL },
		{ SASL_PLAIN, { { "\0gsasl", 6 } }, 1, AUTH_MALFORMED, NULL },
		{ SASL_PLAIN, { { "gsasl", 5 } }, 1, AUTH_MALFORMED, NULL },
		{ SASL_PLAIN, { { "\0\0secret", 8 } }, 1, AUTH_FAILED, NULL },
		{ SASL_PLAIN, { { "\0", 1 } }, 1, AUTH_MALFORMED, NULL },
		{ SASL_PLAIN, { { "\0\0", 2 } }, 1, AUTH_FAILED, NULL },
		/* SCRAM, RFC 5802 7 */
		{ SASL_SCRAM, { NO_RESPONSE }, 1, AUTH_CHALLENGE, "" },
		{ SASL_SCRAM, { { "n,,n=gsasl,r=abc", 16 } }, 1, AUTH_CHALLENGE, NULL },
		{ SASL_SCRAM, { { "n,,n=gsasl", 10 } }, 1, AUTH_MALFORMED, NULL },
		{ SASL_SCRAM, { { "n,,n=,r=abc", 11 } }, 1, AUTH_MALFORMED, NULL },
		{ SASL_SCRAM, { { "garbage", 7 } }, 1, AUTH_MALFORMED, NULL },
		{ SASL_SCRAM,
			{ { "n,,n=gsasl,r=abc", 16 }, { "c=biws,r=abc,p=AAAA", 19 } }, 2,
			AUTH_FAILED, NULL },
		{ SASL_SCRAM, { { "n,,n=gsasl,r=abc", 16 }, { "", 0 } }, 2,
			AUTH_MALFORMED, NULL },
		/* "I could bind, but you did not offer it": we did */
		{ SASL_SCRAM, { { "y,,n=gsasl,r=abc", 16 } }, 1, AUTH_FAILED, NULL },
		{ SASL_SCRAM_PLUS, { { "n,,n=gsasl,r=abc", 16 } }, 1, AUTH_FAILED, NULL },
		{ SASL_SCRAM_PLUS, { { "p=tls-unique,,n=gsasl,r=abc", 27 } }, 1,
			AUTH_FAILED, NULL },
		{ SASL_SCRAM_PLUS, { { "p=tls-exporter,,n=gsasl,r=abc", 29 } }, 1,
			AUTH_CHALLENGE, NULL },
		/* no certificate was sent */
		{ SASL_EXTERNAL, { { "", 0 } }, 1, AUTH_FAILED, NULL },
		{ SASL_EXTERNAL, { { "gsasl", 5 } }, 1, AUTH_FAILED, NULL },
		{ "CRAM-MD6", { { "", 0 } }, 0, AUTH_UNKNOWN, NULL },
		{ "A-NAME-LONGER-THAN-TWENTY", { { "", 0 } }, 0, AUTH_UNKNOWN, NULL },
		{ "", { { "", 0 } }, 0, AUTH_UNKNOWN, NULL },
	};

	for (size_t i = 0; i < TEST_COUNT(scripts); i++)
		play(&scripts[i]);
}

static void test_a_certificate_says_who_it_is(void)
{
	static const struct {
		struct span response;
		enum auth_result result;
		const char *user;
	} cases[] = {
		{ { "", 0 }, AUTH_SUCCESS, "printer@example.org" },
		{ SPAN("printer@example.org"), AUTH_SUCCESS, "printer@example.org" },
		{ SPAN("printer.example.org"), AUTH_SUCCESS, "printer.example.org" },
		{ SPAN("gsasl"), AUTH_FAILED, "gsasl" },
		{ SPAN("printer"), AUTH_FAILED, "printer" },
		{ { "a\0b", 3 }, AUTH_MALFORMED, "" },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct sasl_settings settings;
		struct sasl *server;
		struct buf unsaid = { 0 };

		lab_settings(&settings);
		settings.names[0] = "printer@example.org";
		settings.names[1] = "printer.example.org";
		settings.n_names = 2;
		server = lab_api->open(&settings);
		CHECK(lab_api->begin(server, SPAN(SASL_EXTERNAL)) == AUTH_CHALLENGE);
		CHECK(lab_api->step(server, NULL, &unsaid) == AUTH_CHALLENGE);
		CHECK(lab_api->step(server, &cases[i].response, &unsaid) ==
			cases[i].result);
		lab_api->end(server);
		CHECK_SPAN(span_of(lab_api->user(server)), cases[i].user);
		lab_api->close(server);
	}
}

static void test_one_exchange_knows_nothing_of_the_last(void)
{
	static const struct span right = { "\0gsasl\0secret", 13 },
				 wrong = { "\0gsasl\0sekret", 13 }, garbage = { "x", 1 };
	struct sasl_settings settings;
	struct sasl *server;
	struct buf unsaid = { 0 };

	lab_settings(&settings);
	server = lab_api->open(&settings);
	lab_api->end(server); /* none was begun */
	for (size_t i = 0; i < 3; i++) {
		lab_api->begin(server, SPAN(SASL_PLAIN));
		CHECK(lab_api->step(server, &wrong, &unsaid) == AUTH_FAILED);
		lab_api->end(server);
		lab_api->begin(server, SPAN(SASL_PLAIN));
		CHECK(lab_api->step(server, &garbage, &unsaid) == AUTH_MALFORMED);
		lab_api->end(server);
		CHECK_SPAN(span_of(lab_api->user(server)), "");
		lab_api->begin(server, SPAN(SASL_PLAIN));
		CHECK(lab_api->step(server, &right, &unsaid) == AUTH_SUCCESS);
		lab_api->end(server);
		CHECK_SPAN(span_of(lab_api->user(server)), "gsasl");
		CHECK(lab_api->step(server, &right, &unsaid) == AUTH_UNAVAILABLE);
	}
	lab_api->close(server);
}

static void test_who_gives_up_is_known_as_far_as_it_said(void)
{
	static const struct span name = { "nobody", 6 };
	char octets[LAB_RESPONSE_MAX];
	struct buf said = BUF(octets);
	struct sasl_settings settings;
	struct sasl *server;

	lab_settings(&settings);
	server = lab_api->open(&settings);
	lab_api->begin(server, SPAN(SASL_LOGIN));
	CHECK(lab_api->step(server, NULL, &said) == AUTH_CHALLENGE);
	CHECK_SPAN(span_of(lab_api->user(server)), "");
	CHECK(lab_api->step(server, &name, &said) == AUTH_CHALLENGE);
	lab_api->end(server);
	CHECK_SPAN(span_of(lab_api->user(server)), "nobody");
	lab_api->close(server);
}

/* RFC 4954 4: the last message of SCRAM is a challenge, and its response is empty. */
static void test_what_is_said_last_takes_an_empty_response(void)
{
	struct lab_login l = {
		.mechanism = SASL_SCRAM, .user = "gsasl", .password = "secret"
	};
	char octets[LAB_RESPONSE_MAX];
	struct buf said = BUF(octets);
	struct sasl_settings settings;
	struct sasl *server;
	Gsasl *library;
	Gsasl_session *client;
	char *response;
	size_t n;

	lab_settings(&settings);
	server = lab_api->open(&settings);
	REQUIRE(server && gsasl_init(&library) == GSASL_OK);
	gsasl_callback_hook_set(library, &l);
	gsasl_callback_set(library, lab_answer);
	REQUIRE(gsasl_client_start(library, SASL_SCRAM, &client) == GSASL_OK);
	lab_api->begin(server, SPAN(SASL_SCRAM));
	for (size_t i = 0; i < 2; i++) {
		REQUIRE(gsasl_step(client, said.p, said.n, &response, &n) ==
			GSASL_NEEDS_MORE);
		said.n = 0;
		CHECK(lab_api->step(server, &(struct span){ response, n }, &said) ==
			AUTH_CHALLENGE);
		gsasl_free(response);
	}
	CHECK(said.n > 2 && memcmp(said.p, "v=", 2) == 0);
	CHECK(lab_api->step(server, &(struct span){ "x", 1 }, &said) == AUTH_MALFORMED);
	CHECK(lab_api->step(server, &(struct span){ "", 0 }, &said) == AUTH_SUCCESS);
	lab_api->close(server);
	gsasl_finish(client);
	gsasl_done(library);
}

int main(int argc, char *argv[])
{
	static const struct test tests[] = {
		TEST(test_the_right_password_logs_in),
		TEST(test_nothing_else_does),
		TEST(test_who_acts_for_oneself_may_say_so),
		TEST(test_names_and_passwords_are_prepared),
		TEST(test_salts_of_nobody_look_like_salts),
		TEST(test_salts_of_nobody_depend_on_the_secret),
		TEST(test_nobody_takes_as_much_work),
		TEST(test_an_empty_table_lets_nobody_in),
		TEST(test_a_table_that_fails_is_not_the_clients_fault),
		TEST(test_without_memory_no_password_is_called_wrong),
		TEST(test_a_line_that_cannot_be_used_is_not_the_clients_fault),
		TEST(test_responses_by_hand),
		TEST(test_a_certificate_says_who_it_is),
		TEST(test_one_exchange_knows_nothing_of_the_last),
		TEST(test_who_gives_up_is_known_as_far_as_it_said),
		TEST(test_what_is_said_last_takes_an_empty_response),
	};

	lab_open(argc, argv);
	return test_main(tests, TEST_COUNT(tests));
}
