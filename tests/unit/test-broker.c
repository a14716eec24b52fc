/* SPDX-License-Identifier: ISC */
/* proto/broker and edge/store/broker: what a connection that was taken over can ask, and what it gets. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "edge/net/net.h"
#include "edge/store/broker.h"
#include "unit/test.h"

#define PATH_OCTETS 128
#define OWNERS 61001 /* the first of two */
#define WAIT 10000 /* milliseconds */

static struct broker_request request_of(enum broker_operation operation)
{
	struct broker_request r = { .operation = operation };

	if (operation == BROKER_RECIPIENT || operation == BROKER_TRACE) {
		memcpy(r.address, "alice", 5);
		r.n_local = 5;
	}
	if (operation == BROKER_FILE_FAILED || operation == BROKER_SYNC_FAILED)
		r.error = -EIO;
	strcpy(r.id, "1796000000.M1P1Q1");
	return r;
}

static void test_a_request_with_a_meaning_is_valid(void)
{
	for (enum broker_operation o = 0; o < BROKER_OPERATIONS; o++) {
		const struct broker_request r = request_of(o);
		CHECK(broker_is_valid(&r));
	}
}

static void test_a_field_without_a_meaning_makes_a_request_invalid(void)
{
	struct broker_request wrong[16];
	size_t n = 0;

	for (size_t i = 0; i < TEST_COUNT(wrong); i++)
		wrong[i] = request_of(BROKER_RECIPIENT);
	wrong[n++].operation = BROKER_OPERATIONS;
	wrong[n++].operation = UINT32_MAX;
	wrong[n++].delivery = BROKER_DELIVERIES;
	wrong[n++].flags = BROKER_FLAGS + 1;
	wrong[n++].error = -EIO;
	wrong[n++].n_local = 0;
	wrong[n++].n_local = BROKER_ADDRESS_MAX + 1;
	wrong[n++].n_domain = UINT32_MAX - 4;
	memcpy(wrong[n++].address, "al\0ce", 5);
	memcpy(wrong[n++].address, "al\nce", 5);
	memset(wrong[n++].id, 'a', BROKER_ID_MAX);
	strcpy(wrong[n++].id, "../up");
	strcpy(wrong[n++].id, "a/b");
	strcpy(wrong[n++].id, ".a");
	memset(wrong[n++].source, 'a', BROKER_SOURCE_MAX);
	strcpy(wrong[n++].source, ",N=/");
	for (size_t i = 0; i < n; i++)
		CHECK(!broker_is_valid(&wrong[i]));
}

static void test_an_address_fits_and_has_no_controls(void)
{
	struct broker_request r = request_of(BROKER_RECIPIENT);

	memset(r.address, 'a', sizeof(r.address));
	r.n_local = sizeof(r.address) - 1;
	r.n_domain = 1;
	CHECK(broker_is_valid(&r));
	r.n_domain++;
	CHECK(!broker_is_valid(&r));
	r.n_domain = 0;
	r.address[1] = '\x7f';
	CHECK(!broker_is_valid(&r));
}

static void test_an_error_is_one_of_linux(void)
{
	static const int32_t errors[] = { 0, 1, -BROKER_ERRNO_MAX - 1, INT32_MIN };
	struct broker_request r = request_of(BROKER_FILE_FAILED);

	for (size_t i = 0; i < TEST_COUNT(errors); i++) {
		r.error = errors[i];
		CHECK(!broker_is_valid(&r));
	}
	r.error = -BROKER_ERRNO_MAX;
	CHECK(broker_is_valid(&r));
}

static void test_the_name_of_a_trace_is_no_path(void)
{
	static const char *const names[] = { "..", ".a", "a/b", "a b", "a\x01", "a{b",
		"a[b" };
	struct broker_request r = request_of(BROKER_TRACE);

	for (size_t i = 0; i < TEST_COUNT(names); i++) {
		r.n_local = (uint32_t)strlen(names[i]);
		memcpy(r.address, names[i], r.n_local);
		CHECK(!broker_is_valid(&r));
	}
	r.n_local = 3;
	memcpy(r.address, "a\0b", 3);
	CHECK(!broker_is_valid(&r));
	memcpy(r.address, "a:1", 3);
	CHECK(broker_is_valid(&r));
	r.n_domain = 1;
	r.address[3] = 'b';
	CHECK(!broker_is_valid(&r));
	r.n_domain = 0;
	memset(r.address, 'a', BROKER_NAME_MAX);
	r.n_local = BROKER_NAME_MAX;
	CHECK(!broker_is_valid(&r));
	r.n_local--;
	CHECK(broker_is_valid(&r));
}

static void test_operations_have_an_order(void)
{
	static const struct {
		enum broker_operation operation;
		enum broker_phase next[BROKER_WRONG]; /* by the phase before */
	} table[] = {
		{ BROKER_RECIPIENT,
			{ BROKER_BEGUN, BROKER_WRONG, BROKER_WRONG, BROKER_WRONG } },
		{ BROKER_DROP,
			{ BROKER_BEGUN, BROKER_WRONG, BROKER_WRONG, BROKER_WRONG } },
		{ BROKER_DIVERT,
			{ BROKER_BEGUN, BROKER_WRONG, BROKER_WRONG, BROKER_WRONG } },
		{ BROKER_OPEN,
			{ BROKER_OPENED, BROKER_OPENED, BROKER_LINKED, BROKER_WRONG } },
		{ BROKER_SYNCS, { BROKER_WRONG, BROKER_OPENED, BROKER_LINKED,
					BROKER_WITHDRAWN } },
		{ BROKER_FILE_FAILED, { BROKER_WRONG, BROKER_OPENED, BROKER_LINKED,
					      BROKER_WITHDRAWN } },
		{ BROKER_SYNC_FAILED, { BROKER_WRONG, BROKER_OPENED, BROKER_LINKED,
					      BROKER_WITHDRAWN } },
		{ BROKER_REFUSE,
			{ BROKER_WRONG, BROKER_OPENED, BROKER_WRONG, BROKER_WRONG } },
		{ BROKER_JUDGE, { BROKER_WRONG, BROKER_OPENED, BROKER_LINKED,
					BROKER_WITHDRAWN } },
		{ BROKER_COMMIT,
			{ BROKER_WRONG, BROKER_LINKED, BROKER_LINKED, BROKER_WRONG } },
		{ BROKER_WITHDRAW,
			{ BROKER_WRONG, BROKER_WRONG, BROKER_WITHDRAWN, BROKER_WRONG } },
		{ BROKER_CLEAR,
			{ BROKER_BEGUN, BROKER_BEGUN, BROKER_BEGUN, BROKER_BEGUN } },
		{ BROKER_TRACE, { BROKER_BEGUN, BROKER_OPENED, BROKER_LINKED,
					BROKER_WITHDRAWN } },
	};

	CHECK(TEST_COUNT(table) == BROKER_OPERATIONS);
	for (size_t i = 0; i < TEST_COUNT(table); i++)
		for (enum broker_phase p = 0; p < BROKER_WRONG; p++) {
			const struct broker_request r = request_of(table[i].operation);
			CHECK(broker_next(p, &r) == table[i].next[p]);
		}
}

static void test_a_report_has_no_recipients_and_a_message_has_an_id(void)
{
	struct broker_request r = request_of(BROKER_RECIPIENT);

	r.delivery = BROKER_REPORT;
	CHECK(broker_next(BROKER_BEGUN, &r) == BROKER_WRONG);
	r = request_of(BROKER_OPEN);
	*r.id = '\0';
	CHECK(broker_is_valid(&r));
	CHECK(broker_next(BROKER_BEGUN, &r) == BROKER_WRONG);
	CHECK(broker_next(BROKER_OPENED, &r) == BROKER_OPENED);
}

/* The process, with mailboxes of two owners. */

struct place {
	char root[PATH_OCTETS];
	const char *quarantine; /* NULL: there is none */
	int mail_root;
	int control;
	struct recipients recipients;
};

static void make_box(const struct place *p, const char *name, uid_t owner)
{
	static const char *const parts[] = { "", "/tmp", "/cur", "/new" };
	char path[2 * PATH_OCTETS];

	for (size_t i = 0; i < TEST_COUNT(parts); i++) {
		snprintf(path, sizeof(path), "%s/%s%s", p->root, name, parts[i]);
		REQUIRE(mkdir(path, 0700) == 0 && chown(path, owner, owner) == 0);
	}
}

/* False: this is not root. */
static bool place_with(struct place *p, const char *quarantine)
{
	struct broker_task task;

	if (getuid() != 0)
		return false;
	*p = (struct place){ .quarantine = quarantine };
	strcpy(p->root, "/tmp/postern-broker-XXXXXX");
	REQUIRE(mkdtemp(p->root) && chmod(p->root, 0755) == 0);
	make_box(p, "alice", OWNERS);
	make_box(p, "bob", OWNERS + 1);
	p->mail_root = open(p->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	p->recipients = (struct recipients){ .root_path = p->root,
		.template = "%u",
		.hostname = "mail.example.net",
		.create = CREATE_NO };
	task = (struct broker_task){ .recipients = &p->recipients,
		.host = "mail.example.net",
		.quarantine = p->quarantine,
		.mail_root = p->mail_root,
		.outbox_root = -1,
		.traces = -ENOENT };
	REQUIRE(broker_start(&task, &p->control) == 0);
	return true;
}

static bool place_init(struct place *p)
{
	return place_with(p, NULL);
}

static int remove_one(
	const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st, (void)type, (void)where;
	return remove(path);
}

static void place_done(struct place *p)
{
	close(p->control);
	close(p->mail_root);
	nftw(p->root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void send_request(int channel, const struct broker_request *r)
{
	CHECK(send(channel, r, sizeof(*r), MSG_NOSIGNAL) == sizeof(*r));
}

static struct broker_answer got;

/* Octets of the answer; 0: the channel was closed. */
static ssize_t receive(int channel, int fds[BROKER_FDS_MAX], size_t *n_fds)
{
	struct pollfd fd = { .fd = channel, .events = POLLIN };

	*n_fds = 0;
	if (poll(&fd, 1, WAIT) <= 0)
		return -1;
	return channel_receive(channel, &got, sizeof(got), fds, BROKER_FDS_MAX, n_fds);
}

static bool ask(int channel, struct broker_request r, int *ret_fd)
{
	int fds[BROKER_FDS_MAX];
	size_t n;

	send_request(channel, &r);
	if (receive(channel, fds, &n) <= 0)
		return false;
	CHECK(n <= 1);
	if (ret_fd)
		*ret_fd = n ? fds[0] : -1;
	return true;
}

static struct broker_request recipient(const char *local)
{
	struct broker_request r = request_of(BROKER_RECIPIENT);

	r.n_local = (uint32_t)strlen(local);
	memcpy(r.address, local, r.n_local);
	return r;
}

static uid_t owner_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 ? st.st_uid : 0;
}

static void test_each_channel_gets_its_own_files(void)
{
	static const char *const names[] = { "alice", "bob" };
	struct place p;
	int channels[2], fds[2], dir;

	if (!place_init(&p))
		return;
	for (size_t i = 0; i < 2; i++)
		channels[i] = broker_open(p.control);
	for (size_t i = 0; i < 2; i++) {
		CHECK(ask(channels[i], recipient(names[i]), NULL));
		CHECK(got.head.reply == BROKER_NO_REPLY);
	}
	for (size_t i = 2; i-- > 0;)
		CHECK(ask(channels[i], request_of(BROKER_OPEN), &fds[i]));
	for (size_t i = 0; i < 2; i++)
		CHECK(owner_of(fds[i]) == OWNERS + i);
	for (size_t i = 0; i < 2; i++) {
		CHECK(ask(channels[i], request_of(BROKER_COMMIT), &dir));
		CHECK(owner_of(dir) == OWNERS + i);
		CHECK(strncmp(got.head.name, "1796000000.M1P1Q1.", 18) == 0);
		close(fds[i]);
		close(dir);
		close(channels[i]);
	}
	place_done(&p);
}

static void test_a_wrong_request_closes_its_channel_and_no_other(void)
{
	struct broker_request wrong[6];
	struct place p;
	int good, bad, fds[BROKER_FDS_MAX];
	size_t n_fds;

	if (!place_init(&p))
		return;
	good = broker_open(p.control);
	CHECK(ask(good, recipient("alice"), NULL));
	for (size_t i = 0; i < TEST_COUNT(wrong); i++)
		wrong[i] = request_of(BROKER_COMMIT);
	wrong[1].operation = BROKER_OPERATIONS;
	wrong[2] = request_of(BROKER_OPEN); /* without a recipient, and of no report */
	wrong[2].delivery = BROKER_REPORT;
	wrong[3] = request_of(BROKER_DIVERT); /* there is no quarantine-mailbox */
	wrong[4] = request_of(BROKER_DROP);
	wrong[5] = request_of(BROKER_WITHDRAW);
	for (size_t i = 0; i < TEST_COUNT(wrong); i++) {
		bad = broker_open(p.control);
		send_request(bad, &wrong[i]);
		CHECK(receive(bad, fds, &n_fds) == 0);
		close(bad);
	}
	bad = broker_open(p.control);
	CHECK(send(bad, &wrong[0], sizeof(wrong[0]) - 1, MSG_NOSIGNAL) > 0);
	CHECK(receive(bad, fds, &n_fds) == 0);
	close(bad);
	CHECK(ask(good, request_of(BROKER_OPEN), &bad) && owner_of(bad) == OWNERS);
	close(bad);
	close(good);
	place_done(&p);
}

static void test_numbers_that_do_not_exist_close_the_channel(void)
{
	static const enum broker_operation operations[] = { BROKER_OPEN,
		BROKER_FILE_FAILED, BROKER_SYNC_FAILED, BROKER_REFUSE };
	struct place p;
	int channel, fd, fds[BROKER_FDS_MAX];
	size_t n_fds;

	if (!place_init(&p))
		return;
	for (size_t i = 0; i < TEST_COUNT(operations); i++) {
		struct broker_request r = request_of(operations[i]);
		r.number = 1;
		channel = broker_open(p.control);
		CHECK(ask(channel, recipient("alice"), NULL));
		CHECK(ask(channel, request_of(BROKER_OPEN), &fd));
		send_request(channel, &r);
		CHECK(receive(channel, fds, &n_fds) == 0);
		close(fd);
		close(channel);
	}
	place_done(&p);
}

static void test_no_address_leads_out_of_mail_root(void)
{
	static const char *const names[] = { "..", "../etc", "alice/../bob", ".", "/etc",
		"alice/new", "\"..\"", "\"a/b\"" };
	struct place p;
	int channel;

	if (!place_init(&p))
		return;
	channel = broker_open(p.control);
	for (size_t i = 0; i < TEST_COUNT(names); i++) {
		CHECK(ask(channel, recipient(names[i]), NULL));
		CHECK(got.head.reply != BROKER_NO_REPLY);
	}
	close(channel);
	place_done(&p);
}

static void test_what_was_not_linked_is_gone_with_the_channel(void)
{
	struct place p;
	int channel, fd;
	struct stat st;

	if (!place_init(&p))
		return;
	channel = broker_open(p.control);
	CHECK(ask(channel, recipient("alice"), NULL));
	CHECK(ask(channel, request_of(BROKER_OPEN), &fd));
	CHECK(fstat(fd, &st) == 0 && st.st_nlink == 0);
	close(channel);
	close(fd);
	place_done(&p);
}

/* Names in the directory, but for those of itself and of the one above. */
static size_t count_in(const char *root, const char *dir)
{
	char path[2 * PATH_OCTETS];
	size_t n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "%s/%s", root, dir);
	d = opendir(path);
	REQUIRE(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

/* The connection sends that before it accepts the message. */
static void test_what_was_linked_stays_only_when_the_message_was_cleared(void)
{
	struct place p;
	int fd, dir, other;

	if (!place_init(&p))
		return;
	for (size_t i = 0; i < 2; i++) {
		int channel = broker_open(p.control);
		CHECK(ask(channel, recipient("alice"), NULL));
		CHECK(ask(channel, request_of(BROKER_OPEN), &fd));
		CHECK(ask(channel, request_of(BROKER_COMMIT), &dir));
		CHECK(count_in(p.root, "alice/new") == 1);
		if (i == 1)
			send_request(channel,
				&(struct broker_request){ .operation = BROKER_CLEAR });
		close(channel);
		close(fd);
		close(dir);
		/* an answer to another: by then the end has been read */
		other = broker_open(p.control);
		CHECK(ask(other, recipient("bob"), NULL));
		CHECK(ask(other, recipient("bob"), NULL));
		close(other);
		CHECK(count_in(p.root, "alice/new") == i);
	}
	place_done(&p);
}

/* A quarantine that is a file: all recipients lose their mailboxes, and get none. */
static void test_after_a_refused_quarantine_no_recipient_has_a_mailbox(void)
{
	static const enum broker_operation later[] = { BROKER_RECIPIENT, BROKER_DROP,
		BROKER_DROP, BROKER_RECIPIENT, BROKER_DIVERT, BROKER_RECIPIENT,
		BROKER_OPEN };
	char path[2 * PATH_OCTETS];
	struct place p;
	int channel, fd = -1;

	if (!place_with(&p, "bob/cur/file"))
		return;
	snprintf(path, sizeof(path), "%s/bob/cur/file", p.root);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	REQUIRE(fd >= 0);
	close(fd);
	channel = broker_open(p.control);
	for (size_t i = 0; i < 8; i++)
		CHECK(ask(channel, recipient(i % 2 ? "alice" : "bob"), NULL));
	CHECK(ask(channel, request_of(BROKER_DIVERT), NULL));
	CHECK(got.head.reply == REPLY_STORE_FAILED);
	for (size_t i = 0; i < TEST_COUNT(later); i++) {
		const struct broker_request r = request_of(later[i]);
		fd = -1;
		if (!broker_has_answer(&r))
			send_request(channel, &r);
		else
			CHECK(ask(channel, r, &fd));
	}
	/* it is the message of the recipient that came last */
	CHECK(got.head.reply == BROKER_NO_REPLY && owner_of(fd) == OWNERS);
	CHECK(ask(channel, request_of(BROKER_COMMIT), NULL));
	CHECK(got.head.reply == BROKER_NO_REPLY);
	CHECK(count_in(p.root, "alice/new") == 1 && count_in(p.root, "bob/new") == 0);
	close(fd);
	close(channel);
	place_done(&p);
}

/* In turn they would let what is to be synced grow without end. */
static void test_after_a_withdrawal_nothing_is_linked_again(void)
{
	const struct broker_request commit = request_of(BROKER_COMMIT);
	struct place p;
	int channel, fd, dir, fds[BROKER_FDS_MAX];
	size_t n_fds;

	if (!place_init(&p))
		return;
	channel = broker_open(p.control);
	CHECK(ask(channel, recipient("alice"), NULL));
	CHECK(ask(channel, request_of(BROKER_OPEN), &fd));
	CHECK(ask(channel, commit, &dir));
	CHECK(ask(channel, request_of(BROKER_WITHDRAW), NULL));
	send_request(channel, &commit);
	CHECK(receive(channel, fds, &n_fds) == 0);
	CHECK(count_in(p.root, "alice/new") == 0);
	close(channel);
	close(fd);
	close(dir);
	place_done(&p);
}

/* The kernel counts descriptors of unread answers for all of root. */
static void test_a_channel_that_does_not_read_answers_is_closed(void)
{
	const struct broker_request open_again = request_of(BROKER_OPEN);
	struct place p;
	int channel, fds[BROKER_FDS_MAX];
	size_t n_fds, n_answers = 0;

	if (!place_init(&p))
		return;
	channel = broker_open(p.control);
	CHECK(ask(channel, recipient("alice"), NULL));
	for (size_t i = 0; i < 2; i++)
		send(channel, &open_again, sizeof(open_again), MSG_NOSIGNAL);
	/* without a look at the answers, until the other end is closed */
	for (struct pollfd fd = { .fd = channel }; !(fd.revents & POLLHUP);)
		REQUIRE(poll(&fd, 1, WAIT) == 1);
	while (receive(channel, fds, &n_fds) > 0) {
		n_answers++;
		while (n_fds)
			close(fds[--n_fds]);
	}
	CHECK(n_answers == 1);
	close(channel);
	place_done(&p);
}

#define FEW_FILES 24

static void test_without_descriptors_channels_are_lost_and_the_control_is_not(void)
{
	int many[2 * FEW_FILES], channel, fds[BROKER_FDS_MAX];
	const struct broker_request alice = recipient("alice");
	struct rlimit before, few;
	struct place p;
	size_t n_fds, n_lost = 0, n_told = 0;
	ssize_t n;

	REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
	few = (struct rlimit){ FEW_FILES, before.rlim_max };
	REQUIRE(setrlimit(RLIMIT_NOFILE, &few) == 0);
	if (!place_init(&p))
		return;
	REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
	for (size_t i = 0; i < TEST_COUNT(many); i++)
		many[i] = broker_open(p.control);
	for (size_t i = 0; i < TEST_COUNT(many); i++) {
		send(many[i], &alice, sizeof(alice), MSG_NOSIGNAL);
		n = receive(many[i], fds, &n_fds);
		n_lost += n <= 1;
		n_told += n == 1;
	}
	CHECK(n_told > 0); /* BROKER_FULL */
	CHECK(n_lost >= FEW_FILES && n_lost < TEST_COUNT(many));
	CHECK(!broker_has_ended(p.control));
	for (size_t i = 0; i < TEST_COUNT(many); i++)
		close(many[i]);
	do {
		channel = broker_open(p.control);
		REQUIRE(channel >= 0);
		send(channel, &alice, sizeof(alice), MSG_NOSIGNAL);
		n = receive(channel, fds, &n_fds);
		close(channel);
	} while (n <= 1);
	place_done(&p);
}

static void test_it_ends_with_its_control_and_channels(void)
{
	struct place p;
	int channel, fds[BROKER_FDS_MAX];
	size_t n_fds;

	if (!place_init(&p))
		return;
	channel = broker_open(p.control);
	CHECK(!broker_has_ended(p.control));
	CHECK(shutdown(p.control, SHUT_WR) == 0);
	CHECK(ask(channel, recipient("alice"), NULL));
	CHECK(shutdown(channel, SHUT_WR) == 0);
	CHECK(receive(channel, fds, &n_fds) == 0);
	CHECK(broker_has_ended(p.control));
	close(channel);
	place_done(&p);
}

static const struct test tests[] = {
	TEST(test_a_request_with_a_meaning_is_valid),
	TEST(test_a_field_without_a_meaning_makes_a_request_invalid),
	TEST(test_an_address_fits_and_has_no_controls),
	TEST(test_an_error_is_one_of_linux),
	TEST(test_the_name_of_a_trace_is_no_path),
	TEST(test_operations_have_an_order),
	TEST(test_a_report_has_no_recipients_and_a_message_has_an_id),
	TEST(test_each_channel_gets_its_own_files),
	TEST(test_a_wrong_request_closes_its_channel_and_no_other),
	TEST(test_numbers_that_do_not_exist_close_the_channel),
	TEST(test_no_address_leads_out_of_mail_root),
	TEST(test_what_was_not_linked_is_gone_with_the_channel),
	TEST(test_what_was_linked_stays_only_when_the_message_was_cleared),
	TEST(test_after_a_refused_quarantine_no_recipient_has_a_mailbox),
	TEST(test_after_a_withdrawal_nothing_is_linked_again),
	TEST(test_a_channel_that_does_not_read_answers_is_closed),
	TEST(test_without_descriptors_channels_are_lost_and_the_control_is_not),
	TEST(test_it_ends_with_its_control_and_channels),
};

int main(void)
{
	return test_main(tests, TEST_COUNT(tests));
}
