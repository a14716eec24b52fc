/* SPDX-License-Identifier: ISC */
/*
 * The process of the broker. It starts as root, keeps the right to become any user and
 * nothing else, and returns to root after each request. It waits in epoll_wait() only,
 * and never for a connection: an answer that one does not read is lost, with its channel.
 * A request that needs a look-up waits; the broker serves other requests meanwhile.
 */
#include "edge/store/broker.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sockios.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "edge/net/net.h"
#include "edge/sandbox/sandbox.h"
#include "edge/store/hangs.h"
#include "edge/store/mailbox-walk.h"
#include "edge/store/maildir-parts.h"
#include "edge/store/users.h"
#include "edge/table/table.h"

#define CHANNELS_MAX (64 * 1024) /* as many as a listener has connections */
#define EVENTS_MAX 256 /* ready channels in one round; more come in the next */
#define LATE 1000 /* milliseconds in a round, after which connections may have given up */
#define FD_KEPT 16 /* of its own, and for a moment */
#define ACCEPT_MAX 64 /* channels that are taken before requests are answered */

/* A request that is carried out again when a user has been looked up. */
struct parked {
	struct broker_request request;
	struct users_answers answers;
};

struct broker {
	struct broker_places places;
	struct shared_fds shared; /* each channel is one, too */
	struct hang_mark mail_mark, outbox_mark, traces_mark;
	int control; /* -1: there is none, or it has come to its end */
	int epoll;
	struct slot {
		struct broker_channel *channel;
		struct parked *parked; /* NULL: no request waits */
	} * slots; /* by descriptor */
	size_t room; /* descriptors below this number */
	size_t n;
	struct broker_answer *answer;
};

static bool watch(const struct broker *b, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	return epoll_ctl(b->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

/* Adds a channel, which owns `fd`. The connection is told when there are too many. */
static void add_channel(struct broker *b, int fd)
{
	struct broker_channel *c = NULL;

	if ((size_t)fd < b->room && b->shared.n_used < b->shared.n_most)
		c = broker_channel_new(&b->places);
	else
		channel_send(fd, BROKER_FULL, 1, NULL, 0);
	if (!c || !watch(b, fd)) {
		free(c);
		close(fd);
		return;
	}
	b->slots[fd].channel = c;
	b->n++;
	b->shared.n_used++;
}

static void drop_channel(struct broker *b, int fd)
{
	broker_channel_free(b->slots[fd].channel);
	free(b->slots[fd].parked);
	b->slots[fd] = (struct slot){ .channel = NULL };
	b->n--;
	b->shared.n_used--;
	close(fd);
}

static void take_channels(struct broker *b)
{
	char octet;
	size_t n_fds = 1;
	int fd;

	for (size_t i = 0; i < ACCEPT_MAX && n_fds && b->control >= 0; i++) {
		ssize_t n = channel_receive(
			b->control, &octet, sizeof(octet), &fd, 1, &n_fds);
		if (n_fds)
			add_channel(b, fd);
		/*
		 * when this process has no free descriptor one channel is lost, not the
		 * control
		 */
		if (n == 0 || (n < 0 && n != -EAGAIN && n != -EINTR && n != -EMSGSIZE)) {
			close(b->control);
			b->control = -1;
		}
	}
}

/*
 * False while an answer waits to be read: a connection reads each before it asks again.
 * The kernel has one count of descriptors in unread answers for all processes of root,
 * and at its limit passes none on. Where the kernel does not know, the request is
 * served: a connection may have its 250 and ask to keep what is linked.
 */
static bool has_read(int fd)
{
	int unread;

	return ioctl(fd, SIOCOUTQ, &unread) < 0 || unread == 0;
}

/* Carries out a request and answers it, unless it waits. False: as below. */
static bool carry_out(struct broker *b, int fd, const struct broker_request *request)
{
	struct slot *slot = &b->slots[fd];
	int fds[BROKER_FDS_MAX], r;
	size_t n_fds;

	if (!broker_channel_serve(slot->channel, request, b->answer, fds, &n_fds))
		return false;
	if (slot->parked && slot->parked->answers.is_waiting)
		return true;
	if (!broker_has_answer(request))
		return true;
	r = channel_send(
		fd, b->answer, sizeof(b->answer->head) + b->answer->head.n, fds, n_fds);
	broker_channel_sent(slot->channel);
	return r == 0;
}

/*
 * Carries out a request for a recipient, with what is known of users. While it waits no
 * event of the channel counts, its end included. False: as below.
 */
static bool carry_out_parked(struct broker *b, int fd)
{
	struct slot *slot = &b->slots[fd];
	struct users *users = b->places.recipients->users;
	bool fine, waits;

	users->answers = &slot->parked->answers;
	fine = carry_out(b, fd, &slot->parked->request);
	waits = users_are_awaited(users);
	users->answers = NULL;
	if (!waits) {
		free(slot->parked);
		slot->parked = NULL;
	}
	return fine;
}

static bool serve_recipient(
	struct broker *b, int fd, const struct broker_request *request)
{
	struct slot *slot = &b->slots[fd];

	slot->parked = calloc(1, sizeof(*slot->parked));
	if (!slot->parked)
		return false;
	slot->parked->request = *request;
	slot->parked->answers.id = (uint32_t)fd;
	if (!carry_out_parked(b, fd))
		return false;
	return !slot->parked || epoll_ctl(b->epoll, EPOLL_CTL_DEL, fd, NULL) == 0;
}

/*
 * True when the connection has ended and so waits for no answer. This is only checked
 * when the round is `late`, since it takes a system call for each request. The end of a
 * channel is read after all its requests.
 */
static bool is_given_up(int fd, const struct broker_request *request, bool late)
{
	char octet;

	return late && broker_has_answer(request) &&
	       recv(fd, &octet, sizeof(octet), MSG_DONTWAIT | MSG_PEEK) == 0;
}

/* Answers one request. False: the channel is at its end, or is used wrongly. */
static bool serve(struct broker *b, int fd, bool late)
{
	struct broker_request request;
	ssize_t n = recv(fd, &request, sizeof(request), MSG_DONTWAIT | MSG_TRUNC);

	/*
	 * An error, such as missing memory, is no reason to close: a request may be left
	 * which says that the client has got 250. The end of a connection is a message of
	 * 0 octets.
	 */
	if (n < 0)
		return true;
	if (n != sizeof(request) || !has_read(fd) || !broker_is_valid(&request) ||
		is_given_up(fd, &request, late))
		return false;
	if (b->places.recipients->users && request.operation == BROKER_RECIPIENT)
		return serve_recipient(b, fd, &request);
	return carry_out(b, fd, &request);
}

/* Goes on with a request that has waited. */
static void resume(struct broker *b, uint32_t id, const struct users_answer *answer)
{
	struct parked *parked = id < b->room ? b->slots[id].parked : NULL;
	struct users_answer *known;
	int fd = (int)id;

	if (!parked || !parked->answers.is_waiting)
		return;
	known = &parked->answers.list[parked->answers.n++];
	known->error = answer->error;
	known->user = answer->user;
	parked->answers.is_waiting = false;
	if (!carry_out_parked(b, fd) || (!b->slots[fd].parked && !watch(b, fd)))
		drop_channel(b, fd);
}

/* Takes answers of the name services. False: this process is of no use any more. */
static bool take_users(struct broker *b, struct users *users)
{
	uint64_t since = stream_clock();
	struct users_answer answer;
	uint32_t id;

	for (size_t i = 0; i < EVENTS_MAX; i++) {
		int r = users_take(users, &id, &answer);
		if (r < 0)
			return r == -EAGAIN;
		hang_begin(&b->mail_mark, since);
		resume(b, id, &answer);
		if (walk_return() < 0)
			return false;
		hang_end(&b->mail_mark);
	}
	return true;
}

/* Answers one request of each channel. False: this process is of no use any more. */
static bool serve_round(struct broker *b, const struct epoll_event *events, int n)
{
	struct users *users = b->places.recipients->users;
	uint64_t since = stream_clock();

	for (int i = 0; i < n; i++) {
		bool late = i > 0 && stream_clock() - since > LATE;
		int fd = events[i].data.fd;

		if (fd == b->control || (users && fd == users->channel))
			continue;
		hang_begin(&b->mail_mark, since);
		/* a connection that has ended may have left requests */
		if (!serve(b, fd, late))
			drop_channel(b, fd);
		/* another broker can start another process for users */
		if (walk_return() < 0 || (users && users_have_ended(users)))
			return false;
		hang_end(&b->mail_mark);
	}
	if (users && !take_users(b, users))
		return false;
	/* last, as a new channel may get the number of one in `events` */
	take_channels(b);
	return true;
}

static int loop(struct broker *b)
{
	struct epoll_event events[EVENTS_MAX];

	while (b->control >= 0 || b->n) {
		int n = epoll_wait(b->epoll, events, EVENTS_MAX, -1);

		if (n < 0 && errno != EINTR)
			return EX_OSERR;
		if (n > 0 && !serve_round(b, events, n))
			return EX_OSERR;
	}
	return 0;
}

static void make_marks(struct broker *b, const struct broker_task *task)
{
	struct hang_mark m = { .all = task->hangs, .place = task->place, .base = "" };
	struct stat st;

	if (task->hangs && fstat(task->mail_root, &st) == 0)
		m.device = st.st_dev;
	b->mail_mark = b->outbox_mark = b->traces_mark = m;
	b->outbox_mark.base = "/dsn-outbox";
	b->traces_mark.base = "/trace-directory";
}

static int prepare(struct broker *b, const struct broker_task *task, int theirs)
{
	struct rlimit files = { CHANNELS_MAX, CHANNELS_MAX };

	getrlimit(RLIMIT_NOFILE, &files);
	b->room = files.rlim_cur < CHANNELS_MAX ? files.rlim_cur : CHANNELS_MAX;
	if (task->serves_one)
		b->room = (size_t)theirs + 1;
	b->places = (struct broker_places){ .recipients = task->recipients,
		.host = task->host,
		.quarantine = task->quarantine,
		.outbox = task->outbox,
		.original_to = task->original_to,
		.mail_root = task->mail_root,
		.outbox_root = task->outbox ? task->outbox_root : -1,
		.traces = task->traces,
		.shared = task->serves_one ? NULL : &b->shared,
		.mail_mark = &b->mail_mark,
		.outbox_mark = &b->outbox_mark,
		.traces_mark = &b->traces_mark };
	make_marks(b, task);
	b->shared.n_most = files.rlim_cur > FD_KEPT ? files.rlim_cur - FD_KEPT : 1;
	b->control = -1;
	b->epoll = epoll_create1(EPOLL_CLOEXEC);
	b->slots = calloc(b->room, sizeof(*b->slots));
	/* not cleared: that touches 17 pages, and what is not filled in is not sent */
	b->answer = malloc(sizeof(*b->answer));
	return b->epoll < 0 || !b->slots || !b->answer ? -ENOMEM : 0;
}

/*
 * Closes all descriptors but the places, the table and the channel. A copy of the
 * client's socket would keep its connection open after the end of the session.
 */
static int close_others(const struct broker_task *task, int theirs)
{
	const int kept[] = { theirs, task->mail_root,
		task->outbox ? task->outbox_root : -1, task->traces,
		table_file(task->recipients->table) };
	int from = STDERR_FILENO + 1, null = open("/dev/null", O_RDWR | O_CLOEXEC), next;

	for (int fd = 0; fd < from; fd++)
		if (null < 0 || dup2(null, fd) < 0)
			return -errno;
	do {
		next = INT_MAX;
		for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++)
			if (kept[i] >= from && kept[i] < next)
				next = kept[i];
		/* the other end of the channel is among them */
		if (next > from && close_range((unsigned)from, (unsigned)next - 1, 0) < 0)
			return -errno;
		from = next < INT_MAX ? next + 1 : next;
	} while (next < INT_MAX);
	return 0;
}

static int enter_sandbox(const struct broker_task *task)
{
	struct sandbox_dirs dirs = { .loaded = true };

	sandbox_dirs_write(&dirs, task->recipients->root_path, task->mail_root);
	if (task->outbox)
		sandbox_dirs_write(&dirs, task->outbox, task->outbox_root);
	if (task->traces >= 0)
		sandbox_dirs_write(&dirs, task->traces_path, task->traces);
	return sandbox_enter_broker(&dirs, task->sandbox);
}

/* In the process of the broker. Its exit status. */
static int run(const struct broker_task *task, int theirs)
{
	struct broker *b = calloc(1, sizeof(*b));

	/* first, so that the place is free again when this process has ended */
	hang_own(&(struct hang_mark){ .all = task->hangs, .place = task->place });
	prctl(PR_SET_NAME, "postern-broker");
	signal(SIGCHLD, SIG_DFL);
	if (!b || close_others(task, theirs) < 0 || prepare(b, task, theirs) < 0)
		return EX_OSERR;
	if (walk_return_with_group() < 0)
		return EX_NOPERM;
	/* before the sandbox, in which no process can be started */
	if (task->recipients->users &&
		users_start(task->recipients->users, task->user_of_lookups,
			!task->serves_one) < 0)
		return EX_OSERR;
	if (task->recipients->users && !watch(b, task->recipients->users->channel))
		return EX_OSERR;
	if (enter_sandbox(task) < 0)
		return EX_OSERR;
	if (task->serves_one)
		add_channel(b, theirs);
	else if (watch(b, theirs))
		b->control = theirs;
	return loop(b);
}

/*
 * Forks the broker. For a listener it is forked twice, so that it is no child of a
 * process that waits for its children; for one connection it is a child of that, and ends
 * after it.
 */
static int fork_apart(const struct broker_task *task, int theirs)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return -errno;
	if (pid == 0) {
		if (task->serves_one)
			_exit(run(task, theirs));
		pid = fork();
		if (pid == 0)
			_exit(run(task, theirs));
		_exit(pid < 0 ? EX_OSERR : 0);
	}
	if (task->serves_one)
		return 0;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EAGAIN;
}

int broker_start(const struct broker_task *task, int *ret_ours)
{
	int ends[2], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	r = fork_apart(task, ends[1]);
	close(ends[1]);
	if (r == 0)
		*ret_ours = ends[0];
	else
		close(ends[0]);
	return r;
}

int broker_open(int control)
{
	int ends[2], r;

	if (control < 0)
		return control;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	r = channel_send(control, "", 1, &ends[1], 1);
	close(ends[1]);
	if (r == 0)
		return ends[0];
	close(ends[0]);
	return r == -EPIPE ? -ECONNRESET : r;
}

bool broker_has_ended(int control)
{
	char octet;

	return recv(control, &octet, sizeof(octet), MSG_DONTWAIT | MSG_PEEK) >= 0 ||
	       errno != EAGAIN;
}
