/* SPDX-License-Identifier: ISC */
/* edge/store/dsn-stage: the reports in the Maildir when delivery fails for some recipients, and open descriptors. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "edge/store/store.h"
#include "unit/test.h"

#define PATH_OCTETS 128
#define TEXT_MAX 8192

struct place {
	char base[PATH_OCTETS];
	char path[PATH_OCTETS];
	struct dsn_stage outbox;
	struct tx tx;
	char text[TEXT_MAX]; /* of the only report */
	size_t n_reports;
};

static void place_init(struct place *p)
{
	memset(p, 0, sizeof(*p));
	strcpy(p->base, "/tmp/postern-outbox-XXXXXX");
	REQUIRE(mkdtemp(p->base));
	snprintf(p->path, sizeof(p->path), "%s/outbox", p->base);
	dsn_stage_init(
		&p->outbox, "mail.example.net", "mail.example.net", "2001:db8:17:2::1");
	REQUIRE(dsn_stage_open(&p->outbox, p->path) == 0);
}

static int remove_one(
	const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st, (void)type, (void)where;
	return remove(path);
}

static void place_done(struct place *p)
{
	close(p->outbox.root.fd);
	nftw(p->base, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static size_t count_open(void)
{
	DIR *d = opendir("/proc/self/fd");
	size_t n = 0;

	REQUIRE(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void read_reports(struct place *p, const char *part)
{
	char path[2 * PATH_OCTETS];
	struct dirent *entry;
	DIR *d;

	snprintf(path, sizeof(path), "%s/%s", p->path, part);
	d = opendir(path);
	REQUIRE(d);
	while ((entry = readdir(d))) {
		int fd;
		ssize_t n;
		if (entry->d_name[0] == '.')
			continue;
		p->n_reports++;
		fd = openat(dirfd(d), entry->d_name, O_RDONLY);
		REQUIRE(fd >= 0);
		n = read(fd, p->text, sizeof(p->text) - 1);
		p->text[n > 0 ? n : 0] = '\0';
		close(fd);
	}
	closedir(d);
}

static void begin(struct place *p, const char *sender, size_t n)
{
	const struct path from = { .text = span_of(sender) };

	p->tx = (struct tx){ .id = "1796126400.M123456P42Q1" };
	REQUIRE(tx_open(&p->tx, &from, &(struct mail_params){ 0 }) == 0);
	for (size_t i = 0; i < n; i++) {
		char mailbox[] = "0@example.net";
		const struct path to = { .text = { mailbox, sizeof(mailbox) - 1 },
			.local = { mailbox, 1 } };
		struct recipient *r;
		mailbox[0] = (char)('0' + i);
		REQUIRE(tx_add_recipient(&p->tx, &to,
				&(struct rcpt_params){ .report = true }, &r) == 0);
	}
}

/* Delivery fails for `early` before the files are linked, and for `late` after; -1: for none. */
static void deliver(struct place *p, int early, int late)
{
	struct stage *st = &p->outbox.stage;
	const struct reply *full = reply_get(REPLY_STORE_FULL);

	CHECK(!st->ops->data(st, &p->tx, SPAN("Received: ours\n")));
	CHECK(!st->ops->body(st, &p->tx, SPAN("Subject: x\n\nbody\n")));
	if (early >= 0)
		p->tx.recipients[early].reply = full;
	CHECK(!st->ops->prepare(st, &p->tx));
	if (late >= 0)
		p->tx.recipients[late].reply = full;
	CHECK(!st->ops->commit(st, &p->tx));
	CHECK(!p->tx.report_fault);
	p->n_reports = 0;
	p->text[0] = '\0';
	read_reports(p, "new");
	CHECK((p->tx.report != NULL) == (p->n_reports > 0));
	if (p->tx.report)
		CHECK(strstr(p->tx.report, ".mail.example.net,N=20010db80017,S="));
	read_reports(p, "tmp");
	read_reports(p, "cur");
}

static void end(struct place *p)
{
	p->outbox.stage.ops->clear(&p->outbox.stage);
	tx_clear(&p->tx);
}

static bool tells(const struct place *p, const char *recipient)
{
	char field[64];

	snprintf(field, sizeof(field), "\nFinal-Recipient: rfc822; %s\n", recipient);
	return strstr(p->text, field) != NULL;
}

/* RFC 3461 5.2.3: LMTP and PRDR deliver to some and not to others. */
static void test_whom_delivery_failed_for_is_in_no_report(void)
{
	static const struct {
		int early, late;
		bool told[3];
	} cases[] = {
		{ -1, -1, { true, true, true } },
		{ 1, -1, { true, false, true } },
		{ -1, 2, { true, true, false } },
		{ 0, 2, { false, true, false } },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct place p;
		size_t n_open;
		place_init(&p);
		n_open = count_open();
		begin(&p, "a@example.org", 3);
		deliver(&p, cases[i].early, cases[i].late);
		CHECK(p.n_reports == 1);
		CHECK(strncmp(p.text, "To: <a@example.org>\n", 20) == 0);
		CHECK(strstr(p.text, "\n\nSubject: x\n\n--="));
		CHECK(!strstr(p.text, "ours") && !strstr(p.text, "body"));
		CHECK(tells(&p, "0@example.net") == cases[i].told[0]);
		CHECK(tells(&p, "1@example.net") == cases[i].told[1]);
		CHECK(tells(&p, "2@example.net") == cases[i].told[2]);
		end(&p);
		CHECK(count_open() == n_open);
		place_done(&p);
	}
}

static void test_nothing_to_tell_is_no_report(void)
{
	struct place p;
	size_t n_open;

	place_init(&p);
	n_open = count_open();
	begin(&p, "a@example.org", 1);
	deliver(&p, 0, -1);
	CHECK(p.n_reports == 0);
	end(&p);
	begin(&p, "a@example.org", 1);
	deliver(&p, -1, 0);
	CHECK(p.n_reports == 0);
	end(&p);
	begin(&p, "a@example.org", 0);
	deliver(&p, -1, -1);
	CHECK(p.n_reports == 0 && count_open() == n_open);
	end(&p);
	begin(&p, "", 1);
	deliver(&p, -1, -1);
	CHECK(p.n_reports == 0 && count_open() == n_open);
	end(&p);
	CHECK(count_open() == n_open);
	place_done(&p);
}

/* After prepare the next transaction finds nothing of it. */
static void test_a_transaction_that_ends_early_leaves_nothing(void)
{
	struct place p;
	struct stage *st;
	size_t n_open;

	place_init(&p);
	st = &p.outbox.stage;
	n_open = count_open();
	for (int hooks = 0; hooks < 4; hooks++) {
		begin(&p, "a@example.org", 1);
		if (hooks > 0)
			CHECK(!st->ops->data(st, &p.tx, SPAN("")));
		if (hooks > 1)
			CHECK(!st->ops->body(st, &p.tx, SPAN("Subject: x\n")));
		if (hooks > 2)
			CHECK(!st->ops->prepare(st, &p.tx));
		end(&p);
		CHECK(count_open() == n_open);
		read_reports(&p, "new");
		read_reports(&p, "tmp");
		CHECK(p.n_reports == 0);
	}
	place_done(&p);
}

static void test_what_cannot_be_opened_is_said(void)
{
	struct dsn_stage o;
	struct place p;

	place_init(&p);
	dsn_stage_init(&o, "mail.example.net", "mail.example.net", "2001:db8:17:2::1");
	CHECK(dsn_stage_open(&o, "/nonexistent/outbox") == -ENOENT);
	CHECK(dsn_stage_open(&o, "/proc/self/exe") == -ENOTDIR);
	CHECK(dsn_stage_open(&o, p.path) == 0);
	CHECK(close(o.root.fd) == 0);
	place_done(&p);
}

int main(void)
{
	static const struct test tests[] = {
		TEST(test_whom_delivery_failed_for_is_in_no_report),
		TEST(test_nothing_to_tell_is_no_report),
		TEST(test_a_transaction_that_ends_early_leaves_nothing),
		TEST(test_what_cannot_be_opened_is_said),
	};

	return test_main(tests, TEST_COUNT(tests));
}
