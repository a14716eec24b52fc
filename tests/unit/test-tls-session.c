/* SPDX-License-Identifier: ISC */
/*
 * The course and the end of connections through the module tls.so: octets arrive unchanged, errors keep their codes,
 * only close_notify is a regular end, and no peer can keep a server busy with records that carry nothing.
 */
#include "unit/tls-lab-server.h"

#include <gnutls/crypto.h>

#define LARGE (1024 * 1024 + 7)

static void test_the_connections_own_errors_come_back(void)
{
	static const struct {
		int error;
		const char *told;
		enum tls_end how;
	} cases[] = {
		{ -ETIMEDOUT, "The handshake took too long", TLS_END_TIMEOUT },
		{ -ETIME, "The handshake took too long", TLS_END_TIMEOUT },
		{ -EINTR, "Stopped by a signal", TLS_END_STOPPED },
		{ -ECONNRESET, "Connection reset by peer", TLS_END_CLOSED },
		{ -EPIPE, "Broken pipe", TLS_END_CLOSED },
		{ -EAGAIN, "Resource temporarily unavailable", TLS_END_BROKEN },
	};

	for (size_t i = 0; i < 2 * TEST_COUNT(cases); i++) {
		struct plan plan = plain_plan;
		struct client c;
		struct outcome o;

		plan.good_reads = i % 2; /* before the hello, and after it */
		plan.error = cases[i / 2].error;
		c = meet(&plan, &(struct offer){ .priority = TLS_1_3 });
		o = part(&c);
		CHECK(o.accept == cases[i / 2].error);
		CHECK_SPAN(span_of(o.failure.error), cases[i / 2].told);
		CHECK(o.failure.how == cases[i / 2].how);
		CHECK(o.failure.alert == TLS_NO_ALERT);
		CHECK(o.failure.opening.kind ==
			(i % 2 == 1 ? TLS_OPENING_HELLO : TLS_OPENING_NOTHING));
		CHECK(o.failure.answered == (i % 2 == 1));
	}
}

static void test_what_is_not_a_handshake_is_not_taken_for_one(void)
{
	static const struct {
		struct span sent;
		int accept;
		enum tls_end how;
		enum tls_opening_kind kind;
	} cases[] = {
		{ SPAN(""), -ECONNRESET, TLS_END_CLOSED, TLS_OPENING_NOTHING },
		{ SPAN("\x16\x03\x01"), -ECONNRESET, TLS_END_CLOSED, TLS_OPENING_TORN },
		{ SPAN("\x16\x03\x01\x02\x00\x01 an end within a record"), -ECONNRESET,
			TLS_END_CLOSED, TLS_OPENING_TORN },
		{ SPAN("EHLO client.example\r\nMAIL FROM:<>\r\n"), -EPROTO,
			TLS_END_REFUSED, TLS_OPENING_TEXT },
		{ SPAN("GET / HTTP/1.1\r\n\r\n"), -EPROTO, TLS_END_REFUSED,
			TLS_OPENING_HTTP },
		/* an alert before any hello */
		{ SPAN("\x15\x03\x01\x00\x02\x02\x28"), -EPROTO, TLS_END_ALERT,
			TLS_OPENING_OTHER },
		/* a hello that claims to be longer than its record, and continues as another message */
		{ SPAN("\x16\x03\x01\x00\x06\x01\x00\x00\x40\x03\x03"
		       "\x17\x03\x01\x00\x02yz"),
			-EPROTO, TLS_END_REFUSED, TLS_OPENING_TORN },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct client c = { 0 };
		struct outcome o;

		start_server(&plain_plan, &c);
		REQUIRE(write(c.fd, cases[i].sent.p, cases[i].sent.n) ==
			(ssize_t)cases[i].sent.n);
		drain(&c);
		o = part(&c);
		if (!CHECK(o.accept == cases[i].accept))
			fprintf(stderr, "\trow %zu: %s: %s\n", i, strerror(-o.accept),
				o.failure.error);
		CHECK(o.failure.error[0] != '\0');
		CHECK(o.failure.how == cases[i].how);
		CHECK(o.failure.opening.kind == cases[i].kind);
		CHECK(!o.failure.answered);
	}
}

/*
 * Every prefix and many corruptions of a hello end in an error, never in a crash or a
 * wait.
 */
static void test_torn_hellos_are_refused(void)
{
	char hello[4096];
	ssize_t n;
	struct client c = { 0 };
	int ends[2];

	REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	c.fd = ends[0];
	start_client(&(struct offer){ TLS_1_3, "mail.example", "smtp", NULL, NULL }, &c);
	fcntl(c.fd, F_SETFL, O_NONBLOCK);
	gnutls_handshake_set_timeout(c.tls, 1);
	gnutls_handshake(c.tls);
	n = read(ends[1], hello, sizeof(hello));
	REQUIRE(n > 100);
	gnutls_deinit(c.tls);
	gnutls_certificate_free_credentials(c.credentials);
	close(ends[0]);
	close(ends[1]);
	for (ssize_t i = 0; i < n; i += 7) {
		struct client torn = { 0 };
		char copy[sizeof(hello)];
		struct outcome o;

		memcpy(copy, hello, (size_t)n);
		copy[i] = (char)(copy[i] ^ 0x55);
		start_server(&plain_plan, &torn);
		REQUIRE(write(torn.fd, copy, (size_t)n) == n);
		drain(&torn);
		o = part(&torn);
		CHECK(o.accept == -EPROTO || o.accept == -ECONNRESET);
	}
}

static void test_only_close_notify_is_an_end(void)
{
	static const char *const versions[] = { TLS_1_3, TLS_1_2 };

	for (size_t i = 0; i < 4; i++) {
		struct client c =
			meet(&plain_plan, &(struct offer){ .priority = versions[i / 2] });
		char octet = (char)pattern(0);
		struct outcome o;

		CHECK(gnutls_record_send(c.tls, &octet, 1) == 1);
		if (i % 2 == 0) {
			goodbye(&c);
			hear(&c, "bye\r\n");
		} else
			shutdown(c.fd, SHUT_WR);
		o = part(&c);
		CHECK(o.octets == 1 && o.intact);
		CHECK(o.read == (i % 2 == 0 ? 0 : -ECONNRESET));
		CHECK((o.write == 0) == (i % 2 == 0));
	}
}

static void test_a_spoilt_record_is_fatal(void)
{
	static const char record[] =
		"\x17\x03\x03\x00\x20 this is not what anybody encrypted";
	struct client c = meet(&plain_plan, &(struct offer){ .priority = TLS_1_3 });
	struct outcome o;
	char line[16];

	REQUIRE(write(c.fd, record, 5 + 0x20) == 5 + 0x20);
	CHECK(gnutls_record_recv(c.tls, line, sizeof(line)) ==
		GNUTLS_E_FATAL_ALERT_RECEIVED);
	CHECK(gnutls_alert_get(c.tls) == GNUTLS_A_BAD_RECORD_MAC);
	o = part(&c);
	CHECK(o.read == -EPROTO);
	CHECK(o.write == -EPROTO);
}

static void serve_after_time_out(struct tls *tls, struct connection *c, struct outcome *o)
{
	char line[64];

	c->error = -ETIMEDOUT;
	o->read = lab_api->read(tls, line, sizeof(line));
	o->write = lab_api->write(tls, "421 4.4.2\r\n", 11);
	c->error = 0;
	o->octets = (size_t)lab_api->read(tls, line, sizeof(line));
}

static void test_after_a_time_out_the_reply_can_still_be_written(void)
{
	static const char *const versions[] = { TLS_1_3, TLS_1_2 };

	for (size_t i = 0; i < TEST_COUNT(versions); i++) {
		const struct plan plan = { .pairs = { "ec" },
			.serve = serve_after_time_out };
		struct client c = meet(&plan, &(struct offer){ .priority = versions[i] });
		struct outcome o;

		hear(&c, "421 4.4.2\r\n");
		say(&c, "QUIT\r\n");
		o = part(&c);
		CHECK(o.read == -ETIMEDOUT);
		CHECK(o.write == 0);
		CHECK(o.octets == 6);
	}
}

/* Waits until the client has sent "." as its last octet, so that all octets are in the socket. */
static void wait_for_all(int fd, size_t at_least)
{
	char block[65536];

	for (int i = 0; i < 1000; i++) {
		if (recv(fd, block, sizeof(block), MSG_PEEK) >= (ssize_t)at_least)
			return;
		poll(NULL, 0, 5);
	}
}

static void serve_small_reads(struct tls *tls, struct connection *c, struct outcome *o)
{
	char block[64];

	/* Nothing may have come together with the handshake's end. */
	o->write = lab_api->write(tls, "go\r\n", 4);
	/* Five records of 10 octets, each 22 longer on the wire. */
	wait_for_all(c->fd, (size_t)5 * 32);
	o->octets = (size_t)lab_api->read(tls, block, sizeof(block));
	o->pending = lab_api->pending(tls);
	o->reads_of_io = c->n_reads;
	c->error = -ETIMEDOUT; /* nothing more may be asked of the connection */
	c->good_reads = c->n_reads;
	o->intact = memcmp(block, "0123456789012345678901234567890123456789", 40) == 0;
	o->read = lab_api->read(tls, block, 1);
}

static void serve_octet_and_nothing(
	struct tls *tls, struct connection *c, struct outcome *o)
{
	char block[64];

	o->write = lab_api->write(tls, "go\r\n", 4);
	wait_for_all(c->fd, (size_t)5 + 8 + 1 + 16 + 5 + 8 + 16);
	o->octets = (size_t)lab_api->read(tls, block, sizeof(block));
	o->intact = block[0] == 'a';
}

static void test_records_in_hand_are_gathered_in_one_read(void)
{
	const struct plan plan = { .pairs = { "ec" }, .serve = serve_small_reads };
	struct client c = meet(&plan, &(struct offer){ .priority = TLS_1_3 });
	struct outcome o;

	hear(&c, "go\r\n");
	for (int i = 0; i < 5; i++)
		say(&c, "0123456789");
	o = part(&c);
	CHECK(o.octets == 50 && o.intact);
	CHECK(!o.pending);
	CHECK(o.reads_of_io == 1);
	CHECK(o.read == -ETIMEDOUT);
}

/*
 * Seals an empty record by hand, as GnuTLS will not: AES-128-GCM in TLS 1.2 (RFC 5246
 * 6.2.3.3, RFC 5288 3), an explicit nonce of 8 octets and a tag of 16.
 */
static void send_empty_record(struct client *c)
{
	unsigned char sequence[8];
	unsigned char record[5 + 8 + 16] = { 0x17, 3, 3, 0, 8 + 16 };
	unsigned char nonce[12];
	unsigned char header[13] = { [8] = 0x17, 3, 3, 0, 0 };
	size_t n_tag = 16;
	gnutls_datum_t iv;
	gnutls_datum_t key;
	gnutls_aead_cipher_hd_t cipher;

	REQUIRE(gnutls_record_get_state(c->tls, 0, NULL, &iv, &key, sequence) == 0);
	REQUIRE(iv.size >= 4);
	memcpy(record + 5, sequence, 8);
	memcpy(nonce, iv.data, 4);
	memcpy(nonce + 4, sequence, 8);
	memcpy(header, sequence, 8);
	REQUIRE(gnutls_aead_cipher_init(&cipher, GNUTLS_CIPHER_AES_128_GCM, &key) == 0);
	REQUIRE(gnutls_aead_cipher_encrypt(cipher, nonce, sizeof(nonce), header,
			sizeof(header), 16, "", 0, record + 13, &n_tag) == 0);
	gnutls_aead_cipher_deinit(cipher);
	REQUIRE(write(c->fd, record, sizeof(record)) == sizeof(record));
}

/* An octet, followed by an empty record, after which GnuTLS waits for another record. */
static void test_what_is_in_hand_is_given_before_more_is_waited_for(void)
{
	const struct plan plan = { .pairs = { "ec" }, .serve = serve_octet_and_nothing };
	struct client c = meet(&plan,
		&(struct offer){ .priority = TLS_1_2 ":-CIPHER-ALL:+AES-128-GCM" });
	struct outcome o;

	hear(&c, "go\r\n");
	say(&c, "a");
	send_empty_record(&c);
	o = part(&c);
	CHECK(o.octets == 1 && o.intact);
	CHECK(o.reads_of_io == 1);
}

static void serve_octet_by_octet(struct tls *tls, struct connection *c, struct outcome *o)
{
	char octet;

	o->read = lab_api->read(tls, &octet, 1);
	o->intact = o->read == 1 && octet == 'a' && lab_api->pending(tls);
	c->error = -ETIMEDOUT;
	while (lab_api->pending(tls)) {
		o->read = lab_api->read(tls, &octet, 1);
		if (o->read != 1)
			break;
		o->octets++;
	}
}

static void test_pending_means_no_waiting(void)
{
	const struct plan plan = { .pairs = { "ec" }, .serve = serve_octet_by_octet };
	struct client c = meet(&plan, &(struct offer){ .priority = TLS_1_3 });
	struct outcome o;

	say(&c, "abcdefgh");
	o = part(&c);
	CHECK(o.intact);
	CHECK(o.read == 1);
	CHECK(o.octets == 7);
}

static void serve_large(struct tls *tls, struct connection *c, struct outcome *o)
{
	unsigned char *block = malloc(LARGE);

	(void)c;
	for (size_t i = 0; i < LARGE; i++)
		block[i] = pattern(i);
	o->write = lab_api->write(tls, block, LARGE);
	free(block);
	serve_to_the_end(tls, c, o);
}

static void test_large_contents_arrive_whole(void)
{
	static const char *const versions[] = { TLS_1_3, TLS_1_2 };

	for (size_t v = 0; v < TEST_COUNT(versions); v++) {
		const struct plan plan = { .pairs = { "ec" }, .serve = serve_large };
		struct client c = meet(&plan, &(struct offer){ .priority = versions[v] });
		unsigned char block[3000];
		size_t n = 0;
		bool intact = true;
		struct outcome o;

		while (n < LARGE) {
			ssize_t r = gnutls_record_recv(c.tls, block, sizeof(block));

			if (r <= 0)
				break;
			for (ssize_t i = 0; i < r; i++)
				intact = block[i] == pattern(n++) && intact;
		}
		CHECK(n == LARGE && intact);
		for (n = 0; n < LARGE;) {
			size_t m = LARGE - n < sizeof(block) ? LARGE - n : sizeof(block);

			for (size_t i = 0; i < m; i++)
				block[i] = pattern(n + i);
			n += (size_t)gnutls_record_send(c.tls, block, m);
		}
		goodbye(&c);
		hear(&c, "bye\r\n");
		o = part(&c);
		CHECK(o.write == 0);
		CHECK(o.octets == LARGE && o.intact);
		CHECK(o.read == 0);
	}
}

static void serve_lines(struct tls *tls, struct connection *c, struct outcome *o)
{
	char line[64];

	(void)c;
	while ((o->read = lab_api->read(tls, line, sizeof(line))) > 0) {
		o->octets += (size_t)o->read;
		o->write = lab_api->write(tls, line, (size_t)o->read);
	}
}

static void renegotiate(struct client *c)
{
	int r;

	do
		r = gnutls_handshake(c->tls);
	while (r == GNUTLS_E_AGAIN || r == GNUTLS_E_INTERRUPTED);
	CHECK(r == GNUTLS_E_WARNING_ALERT_RECEIVED);
	CHECK(gnutls_alert_get(c->tls) == GNUTLS_A_NO_RENEGOTIATION);
}

/* RFC 5246 7.2.2: no_renegotiation is always a warning, after which the session continues. */
static void test_renegotiation_is_refused_and_the_session_goes_on(void)
{
	const struct plan plan = { .pairs = { "ec" }, .serve = serve_lines };
	struct client c = meet(&plan, &(struct offer){ .priority = TLS_1_2 });
	struct outcome o;

	CHECK(c.handshake == 0);
	for (int i = 0; i < 3; i++) {
		renegotiate(&c);
		say(&c, "NOOP\r\n");
		hear(&c, "NOOP\r\n");
	}
	goodbye(&c);
	o = part(&c);
	CHECK(o.accept == 0);
	CHECK(o.octets == 18);
	CHECK(o.read == 0);
}

static void test_key_updates_are_taken(void)
{
	const struct plan plan = { .pairs = { "ec" }, .serve = serve_lines };
	struct client c = meet(&plan, &(struct offer){ .priority = TLS_1_3 });
	struct outcome o;

	for (int i = 0; i < 4; i++) {
		CHECK(gnutls_session_key_update(c.tls, GNUTLS_KU_PEER) == 0);
		say(&c, "NOOP\r\n");
		hear(&c, "NOOP\r\n");
	}
	goodbye(&c);
	o = part(&c);
	CHECK(o.octets == 24);
	CHECK(o.read == 0);
}

static void test_a_flood_of_nothing_ends_the_session(void)
{
	struct client c = meet(&plain_plan, &(struct offer){ .priority = TLS_1_3 });
	struct outcome o;

	for (int i = 0; i < 1000; i++)
		if (gnutls_session_key_update(c.tls, 0) < 0)
			break;
	shutdown(c.fd, SHUT_WR);
	o = part(&c);
	CHECK(o.read == -EPROTO);
	CHECK(o.octets == 0);
}

static void test_empty_records_are_skipped_but_not_for_ever(void)
{
	static const struct {
		unsigned int n;
		ssize_t end;
	} cases[] = { { 3, 0 }, { 20000, -EPROTO } };

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct client c =
			meet(&plain_plan, &(struct offer){ .priority = TLS_1_3 });
		char octet = (char)pattern(0);
		struct outcome o;

		for (unsigned int n = 0; n < cases[i].n; n++)
			if (gnutls_record_send2(c.tls, "", 0, 1, 0) < 0)
				break;
		if (gnutls_record_send(c.tls, &octet, 1) == 1)
			gnutls_bye(c.tls, GNUTLS_SHUT_WR);
		o = part(&c);
		CHECK(o.read == cases[i].end);
		CHECK(o.octets == (cases[i].end == 0 ? 1 : 0));
	}
}

static void test_a_flood_of_early_data_is_not_taken(void)
{
	/*
	 * A record that could be early data, again and again, before any hello's second
	 * flight.
	 */
	static const char record[] = "\x17\x03\x03\x00\x14 twenty octets of it ";
	struct client c = { 0 };
	struct outcome o;

	start_server(&plain_plan, &c);
	for (int i = 0; i < 1000; i++)
		if (write(c.fd, record, 25) < 0)
			break;
	shutdown(c.fd, SHUT_WR);
	o = part(&c);
	CHECK(o.accept == -EPROTO || o.accept == -ECONNRESET);
}

static void make_files(void)
{
	static const struct lab_certificate certificate = { "ec", GNUTLS_PK_ECDSA,
		{ "mail.example" }, -DAY, DAY };

	lab_make(&certificate);
}

int main(int argc, char *argv[])
{
	static const struct test tests[] = {
		TEST(test_the_connections_own_errors_come_back),
		TEST(test_what_is_not_a_handshake_is_not_taken_for_one),
		TEST(test_torn_hellos_are_refused),
		TEST(test_only_close_notify_is_an_end),
		TEST(test_a_spoilt_record_is_fatal),
		TEST(test_after_a_time_out_the_reply_can_still_be_written),
		TEST(test_records_in_hand_are_gathered_in_one_read),
		TEST(test_what_is_in_hand_is_given_before_more_is_waited_for),
		TEST(test_pending_means_no_waiting),
		TEST(test_large_contents_arrive_whole),
		TEST(test_renegotiation_is_refused_and_the_session_goes_on),
		TEST(test_key_updates_are_taken),
		TEST(test_a_flood_of_nothing_ends_the_session),
		TEST(test_empty_records_are_skipped_but_not_for_ever),
		TEST(test_a_flood_of_early_data_is_not_taken),
	};
	int r;

	lab_open(argc, argv);
	make_files();
	r = test_main(tests, TEST_COUNT(tests));
	lab_close();
	return r;
}
