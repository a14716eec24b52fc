/* SPDX-License-Identifier: ISC */
/*
 * A connection's side of its channel to the broker, and the files that it gets over it:
 * it writes and syncs them, and syncs the directories, but opens nothing. A channel has
 * one request at a time, so an answer belongs to it; one that comes too late is never
 * read, as the channel is then closed.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "edge/net/net.h"
#include "edge/store/broker.h"

#define ANSWER_WAIT 60000 /* milliseconds: the directories may be on a slow disk */
#define LINK_TRIES 3 /* files that are made again, each for mailboxes of its own */

void broker_link_init(struct broker_link *l, int channel)
{
	*l = (struct broker_link){ .channel = channel, .signals = -1 };
}

const char *broker_error(int error)
{
	switch (error) {
	case -ECONNRESET:
		return "the broker, which opens mailboxes as their owners, has ended or "
		       "has refused a request; mail comes again with the next broker: "
		       "see the error records, and the kernel's log";
	case -EMFILE:
		return "the broker, which opens mailboxes as their owners, has too many "
		       "files open: raise LimitNOFILE= of the unit, or ulimit -n";
	case -ETIMEDOUT:
		return "the broker, which opens mailboxes as their owners, did not "
		       "answer in time: does the file system of a mailbox answer? An "
		       "error record of a listener names the path";
	default:
		return strerror(-error);
	}
}

/* No further request is sent: an answer could be that to an earlier one. */
static int give_up(struct broker_link *l, int error)
{
	if (l->channel >= 0)
		close(l->channel);
	l->channel = error == -EPIPE ? -ECONNRESET : error;
	return l->channel;
}

/*
 * True of a request after which a message can be in a mailbox, or no longer: a stop does
 * not end the wait for its answer, so that the client learns which.
 */
static bool changes_mailboxes(const struct broker_request *r)
{
	return r->operation == BROKER_COMMIT || r->operation == BROKER_WITHDRAW;
}

static int wait_for_channel(
	const struct broker_link *l, const struct broker_request *request, short events)
{
	int signals = changes_mailboxes(request) ? -1 : l->signals;

	return channel_wait(l->channel, events, signals, ANSWER_WAIT);
}

/*
 * Requests without an answer can fill the channel. The call before the wait is the usual
 * case.
 */
static int send_request(const struct broker_link *l, const struct broker_request *request)
{
	int r = 0;

	while (r == 0) {
		if (send(l->channel, request, sizeof(*request),
			    MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		r = wait_for_channel(l, request, POLLOUT);
	}
	return r;
}

/* Reads an answer. One that is cut or inconsistent is an error. */
static int read_answer(
	struct broker_link *l, int fds[static BROKER_FDS_MAX], size_t *ret_n_fds)
{
	struct broker_answer *a = l->answer;
	ssize_t n = channel_receive(
		l->channel, a, sizeof(*a), fds, BROKER_FDS_MAX, ret_n_fds);

	if (n >= (ssize_t)sizeof(a->head) && a->head.n <= sizeof(a->body) &&
		(size_t)n == sizeof(a->head) + a->head.n) {
		a->head.fault[sizeof(a->head.fault) - 1] = '\0';
		a->head.name[sizeof(a->head.name) - 1] = '\0';
		return 0;
	}
	while (*ret_n_fds)
		close(fds[--*ret_n_fds]);
	if (n == 1 && *(const char *)a == *BROKER_FULL)
		return -EMFILE;
	if (n < 0)
		return (int)n;
	return n ? -EPROTO : -ECONNRESET;
}

/*
 * Why the broker has closed the channel, which it may have said before it was asked. The
 * first call may return the error that belongs to our request.
 */
static int find_reason(struct broker_link *l)
{
	int fds[BROKER_FDS_MAX], r = -ECONNRESET;
	size_t n_fds;

	for (int i = 0; i < 2 && r == -ECONNRESET; i++)
		r = read_answer(l, fds, &n_fds);
	if (r == 0)
		while (n_fds)
			close(fds[--n_fds]);
	return r == -EMFILE ? r : -ECONNRESET;
}

static int make_answer(struct broker_link *l)
{
	l->answer = malloc(sizeof(*l->answer));
	if (!l->answer)
		return -ENOMEM;
	l->answer->head = (struct broker_head){ .reply = BROKER_NO_REPLY };
	return 0;
}

int broker_ask(struct broker_link *l, const struct broker_request *request,
	int fds[static BROKER_FDS_MAX], size_t *ret_n_fds)
{
	int r;

	*ret_n_fds = 0;
	if (l->channel < 0)
		return l->channel;
	if (!l->answer && make_answer(l) < 0)
		return -ENOMEM;
	r = send_request(l, request);
	if (r < 0)
		return give_up(l, r == -EPIPE ? find_reason(l) : r);
	if (!broker_has_answer(request))
		return 0;
	r = wait_for_channel(l, request, POLLIN);
	if (r == 0)
		r = read_answer(l, fds, ret_n_fds);
	if (r == -ECONNRESET)
		r = find_reason(l);
	return r < 0 ? give_up(l, r) : 0;
}

const struct reply *broker_refusal(const struct broker_link *l)
{
	uint32_t reply = l->answer->head.reply;

	if (reply == BROKER_NO_REPLY)
		return NULL;
	return reply_get(reply < REPLY_COUNT ? reply : REPLY_STORE_FAILED);
}

int broker_trace(struct broker_link *l, const char *name)
{
	struct broker_request r = { .operation = BROKER_TRACE };
	int fds[BROKER_FDS_MAX] = { -1 }, error;
	size_t n = strlen(name);

	if (n >= BROKER_NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(r.address, name, n);
	r.n_local = (uint32_t)n;
	error = broker_ask(l, &r, fds, &n);
	while (n > 1)
		close(fds[--n]);
	if (n)
		return fds[0];
	return error < 0                   ? error
	       : l->answer->head.error < 0 ? l->answer->head.error
					   : -EIO;
}

/* Sends a request whose answer has no descriptors. */
static int ask_without_files(struct broker_files *f, struct broker_request r)
{
	int fds[BROKER_FDS_MAX] = { -1 }, error;
	size_t n;

	r.delivery = f->delivery;
	error = broker_ask(f->link, &r, fds, &n);
	while (n)
		close(fds[--n]);
	return error;
}

int broker_files_judge(struct broker_files *f)
{
	return ask_without_files(f, (struct broker_request){ .operation = BROKER_JUDGE });
}

/*
 * What is synced. An error in syncing a removal is ignored: no mailbox fails for it,
 * least of all one whose message was durable before.
 */
enum sync_what { SYNC_LINKS, SYNC_REMOVALS };

/* Syncs the directories that came with an answer, and closes them. */
static void sync_directories(
	struct broker_files *f, enum sync_what what, const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int r = fsync(fds[i]) < 0 ? -errno : 0;
		close(fds[i]);
		if (r < 0 && what == SYNC_LINKS) {
			f->has_errors = true;
			ask_without_files(f,
				(struct broker_request){ .operation = BROKER_SYNC_FAILED,
					.number = (uint32_t)f->n_synced,
					.error = r });
		}
		f->n_synced++;
	}
}

/* Syncs the directories that are left of the `n_all` of the broker. */
static int sync_rest(struct broker_files *f, enum sync_what what, uint32_t n_all)
{
	int fds[BROKER_FDS_MAX], r = 0;
	size_t n = 1;

	while (r == 0 && n && f->n_synced < n_all) {
		const struct broker_request ask = { .operation = BROKER_SYNCS,
			.delivery = f->delivery,
			.number = (uint32_t)f->n_synced };
		r = broker_ask(f->link, &ask, fds, &n);
		if (r == 0)
			sync_directories(f, what, fds, n);
	}
	return r;
}

/* Reads the mailbox of the file, and the numbers of the recipients for its header. */
static int read_names(struct broker_file *file, const struct broker_answer *a)
{
	const char *body = (const char *)a->body;
	size_t n = strnlen(body, a->head.n);

	if (a->head.n == 0)
		return 0;
	if (n == a->head.n)
		return -EPROTO;
	file->n_recipients = (a->head.n - n - 1) / sizeof(*file->recipients);
	file->address = strdup(body);
	file->recipients = calloc(file->n_recipients + 1, sizeof(*file->recipients));
	if (!file->address || !file->recipients)
		return -ENOMEM;
	memcpy(file->recipients, body + n + 1,
		file->n_recipients * sizeof(*file->recipients));
	return 0;
}

/* Appends a file; owns its descriptor. */
static int add_file(struct broker_files *f, const int *fds, size_t n)
{
	struct broker_file *more = reallocarray(f->list, f->n + 1, sizeof(*more));

	if (more)
		f->list = more;
	for (size_t i = more ? 1 : 0; i < n; i++)
		close(fds[i]);
	if (!more)
		return -ENOMEM;
	f->list[f->n] = (struct broker_file){ .fd = n ? fds[0] : -1 };
	return read_names(&f->list[f->n++], f->link->answer);
}

/* Gets the missing files. `first` is the request for each, except for its number. */
static int get_files(struct broker_files *f, struct broker_request first,
	const struct reply **ret_refusal)
{
	int fds[BROKER_FDS_MAX], r;
	size_t n;

	*ret_refusal = NULL;
	do {
		first.number = (uint32_t)f->n;
		r = broker_ask(f->link, &first, fds, &n);
		if (r < 0)
			return r;
		f->has_errors |= f->link->answer->head.has_errors;
		*ret_refusal = broker_refusal(f->link);
		if (*ret_refusal)
			return 0;
		r = add_file(f, fds, n);
	} while (r == 0 && f->n < f->link->answer->head.n_files);
	return r;
}

static struct broker_request open_request(
	const struct broker_files *f, const char *id, const char *source)
{
	struct broker_request r = { .operation = BROKER_OPEN, .delivery = f->delivery };

	memcpy(r.id, id, strnlen(id, sizeof(r.id) - 1));
	memcpy(r.source, source, strnlen(source, sizeof(r.source) - 1));
	return r;
}

int broker_files_open(struct broker_files *f, const char *id, const char *source,
	const struct reply **ret_refusal)
{
	int r;

	f->used = true;
	f->has_errors = false;
	r = get_files(f, open_request(f, id, source), ret_refusal);
	/* directories that were made for it */
	if (r == 0 && !*ret_refusal)
		r = sync_rest(f, SYNC_LINKS, f->link->answer->head.n_syncs);
	return r;
}

void broker_files_fail(struct broker_files *f, size_t number, int error)
{
	close(f->list[number].fd);
	f->list[number].fd = -1;
	f->has_errors = true;
	ask_without_files(f, (struct broker_request){ .operation = BROKER_FILE_FAILED,
				     .number = (uint32_t)number,
				     .error = error });
}

void broker_files_sync(struct broker_files *f)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->list[i].fd >= 0 && fsync(f->list[i].fd) < 0)
			broker_files_fail(f, i, -errno);
}

/* Sends one request to link. The caller owns the directories of the answer. */
static int link_files(
	struct broker_files *f, uint32_t flags, int fds[static BROKER_FDS_MAX], size_t *n)
{
	const struct broker_request r = { .operation = BROKER_COMMIT,
		.delivery = f->delivery,
		.number = (uint32_t)f->n_synced,
		.flags = flags };

	return broker_ask(f->link, &r, fds, n);
}

/* Syncs files that were made because others cannot be linked, and then links them. */
static int link_again(
	struct broker_files *f, uint32_t flags, int fds[static BROKER_FDS_MAX], size_t *n)
{
	const struct reply *refusal;
	int r = get_files(f, open_request(f, "", ""), &refusal);

	if (r < 0)
		return r;
	broker_files_sync(f);
	while (*n)
		close(fds[--*n]);
	return link_files(f, flags, fds, n);
}

/* Removes links whose file or directory has failed since, and syncs that if possible. */
static int withdraw(
	struct broker_files *f, uint32_t flags, char ret_name[static TX_FILE_MAX])
{
	int r = ask_without_files(f,
		(struct broker_request){ .operation = BROKER_WITHDRAW, .flags = flags });
	uint32_t n_syncs;

	if (r < 0)
		return r;
	n_syncs = f->link->answer->head.n_syncs;
	memcpy(ret_name, f->link->answer->head.name, TX_FILE_MAX);
	f->n_synced = 0;
	r = sync_rest(f, SYNC_REMOVALS, n_syncs);
	return r < 0 ? r : broker_files_judge(f);
}

/* Syncs links. 0 or -errno; f->has_errors when a sync has failed. */
static int sync_links(struct broker_files *f, const int *fds, size_t n, uint32_t n_all)
{
	f->has_errors = false;
	broker_files_sync(f); /* once more, for the link count */
	sync_directories(f, SYNC_LINKS, fds, n);
	return sync_rest(f, SYNC_LINKS, n_all);
}

/* Links the files and syncs, but leaves the message uncleared at the broker. */
static int commit(
	struct broker_files *f, uint32_t flags, char ret_name[static TX_FILE_MAX])
{
	int fds[BROKER_FDS_MAX];
	struct broker_head head;
	size_t n = 0;
	int r = link_files(f, flags, fds, &n);

	for (int i = 0; i < LINK_TRIES && r == 0 && f->link->answer->head.again; i++)
		r = link_again(f, flags, fds, &n);
	if (r == 0 && f->link->answer->head.again)
		r = -EXDEV;
	if (r < 0 || broker_refusal(f->link)) {
		while (n)
			close(fds[--n]);
		return r;
	}
	head = f->link->answer->head;
	memcpy(ret_name, head.name, TX_FILE_MAX);
	r = sync_links(f, fds, n, head.n_syncs);
	if (r < 0)
		return r;
	if (f->has_errors)
		return withdraw(f, flags, ret_name);
	return head.has_errors ? broker_files_judge(f) : 0;
}

int broker_files_commit(
	struct broker_files *f, uint32_t flags, char ret_name[static TX_FILE_MAX])
{
	int r = commit(f, flags, ret_name);

	/* after this request the end of the channel removes no link */
	if (r == 0)
		r = ask_without_files(
			f, (struct broker_request){ .operation = BROKER_CLEAR });
	f->used = r < 0;
	return r < 0 ? give_up(f->link, r) : 0;
}

void broker_files_clear(struct broker_files *f)
{
	for (size_t i = 0; i < f->n; i++) {
		if (f->list[i].fd >= 0)
			close(f->list[i].fd);
		free(f->list[i].address);
		free(f->list[i].recipients);
	}
	free(f->list);
	if (f->used)
		ask_without_files(
			f, (struct broker_request){ .operation = BROKER_CLEAR });
	*f = (struct broker_files){ .link = f->link, .delivery = f->delivery };
}
