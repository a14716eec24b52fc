/* SPDX-License-Identifier: ISC */
/*
 * The child processes of a listener. Acceptors are forked here, and each has only its own
 * channel. Connections are counted in a table in shared memory. Several acceptors may
 * write to it at once, so no value in it is used as an index or a pointer without a
 * check.
 */
#include "bin/listen/listener.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bin/listen/acceptor.h"
#include "edge/net/net.h"

/* octets of an IPv6 address that identify a source */
#define SOURCE_OCTETS sizeof(uint64_t)

/* the file's size is fixed, so that no access is beyond its end */
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
#define ENTRY_CLAIMED (-1)
/* odd, with a random pattern of bits */
#define RATE_KEY_FACTOR UINT64_C(0x9e3779b97f4a7c15)

/*
 * Failures of sources begin at a page boundary; this is the largest page size of any
 * system.
 */
#define PAGE_MOST (64 * 1024)
#define FAILURES_AT                                                                      \
	((sizeof(struct listen_children) + PAGE_MOST - 1) / PAGE_MOST * PAGE_MOST)
#define TABLES_OCTETS (FAILURES_AT + sizeof(struct failures))

static int open_channel(int from, int ret_ends[2])
{
	int error = 0;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_ends) < 0)
		return -errno;
	for (size_t i = 0; i < 2; i++) {
		ret_ends[i] = channel_move_up(ret_ends[i], from);
		if (ret_ends[i] < 0)
			error = ret_ends[i];
	}
	for (size_t i = 0; i < 2 && error; i++)
		if (ret_ends[i] >= 0)
			close(ret_ends[i]);
	return error;
}

static void remove_at(struct acceptors *a, size_t i)
{
	close(a->list[i].channel);
	a->n--;
	memmove(a->list + i, a->list + i + 1, (a->n - i) * sizeof(*a->list));
}

pid_t acceptors_fork(struct acceptors *a, int *ret_channel)
{
	int ends[2], error;
	pid_t pid;

	error = open_channel(a->from, ends);
	if (error < 0)
		return error;
	pid = fork();
	error = -errno;
	if (pid == 0) {
		for (size_t i = 0; i < a->n; i++)
			close(a->list[i].channel);
		close(ends[0]);
		*ret_channel = ends[1];
		return 0;
	}
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return error;
	}
	/*
	 * the oldest acceptor ends when its channel closes; this process adopts its
	 * connections
	 */
	if (a->n == ACCEPTORS_MAX)
		remove_at(a, 0);
	a->list[a->n++] = (struct acceptor_process){ pid, ends[0], ACCEPTOR_STARTING,
		stream_clock() };
	return pid;
}

struct acceptor_process *acceptors_find(struct acceptors *a, enum acceptor_state state)
{
	for (size_t i = 0; i < a->n; i++)
		if (a->list[i].state == state)
			return &a->list[i];
	return NULL;
}

void acceptors_answer(
	const struct acceptor_process *p, enum acceptor_order order, uint64_t wait)
{
	const struct acceptor_answer answer = { order, wait };

	/* without an answer the acceptor continues after ACCEPTOR_ANSWER_TIME */
	if (p)
		send(p->channel, &answer, sizeof(answer), MSG_DONTWAIT | MSG_NOSIGNAL);
}

void acceptors_switch_to(struct acceptors *a, struct acceptor_process *p)
{
	struct acceptor_process *before = acceptors_find(a, ACCEPTOR_ACCEPTING);

	if (before) {
		before->state = ACCEPTOR_LEAVING;
		acceptors_answer(before, ACCEPTOR_LEAVE, 0);
	}
	p->state = ACCEPTOR_ACCEPTING;
}

bool acceptors_remove(struct acceptors *a, pid_t pid, enum acceptor_state *ret_state)
{
	for (size_t i = 0; i < a->n; i++) {
		if (a->list[i].pid != pid)
			continue;
		*ret_state = a->list[i].state;
		remove_at(a, i);
		return true;
	}
	return false;
}

void acceptors_kill(const struct acceptors *a, int signal)
{
	for (size_t i = 0; i < a->n; i++)
		kill(a->list[i].pid, signal);
}

static void *map_part(int fd, size_t n, int protection, off_t from)
{
	void *p = mmap(NULL, n, protection, MAP_SHARED | MAP_NORESERVE, fd, from);

	return p == MAP_FAILED ? NULL : p;
}

static struct listen_children *map(int fd)
{
	return map_part(fd, TABLES_OCTETS, PROT_READ | PROT_WRITE, 0);
}

struct failures *listen_failures(struct listen_children *c)
{
	return (struct failures *)((char *)c + FAILURES_AT);
}

/*
 * Maps a descriptor that is not open for writing, so that mprotect() cannot make it
 * writable.
 */
const struct failures *listen_failures_view(int fd)
{
	char path[64];
	const struct failures *f;
	int view;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	view = open(path, O_RDONLY | O_CLOEXEC);
	if (view < 0)
		return NULL;
	f = map_part(view, sizeof(*f), PROT_READ, FAILURES_AT);
	close(view);
	return f;
}

struct listen_children *listen_children_new(int *ret_fd)
{
	int fd = memfd_create("connections", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct listen_children *c = NULL;

	if (fd >= 0 && ftruncate(fd, TABLES_OCTETS) == 0 &&
		fcntl(fd, F_ADD_SEALS, SEALS) == 0)
		c = map(fd);
	/* early at boot random numbers may not be available */
	if (c && getrandom(&c->rate_key, sizeof(c->rate_key), GRND_NONBLOCK) < 0)
		c->rate_key = (uint64_t)getpid() * RATE_KEY_FACTOR;
	if (c) {
		listen_failures(c)->key = c->rate_key * RATE_KEY_FACTOR;
		*ret_fd = fd;
	} else if (fd >= 0)
		close(fd);
	return c;
}

struct listen_children *listen_children_reuse(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;

	if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &st) < 0 ||
		st.st_size != (off_t)TABLES_OCTETS)
		return NULL;
	return map(fd);
}

void listen_children_hide(struct listen_children *c)
{
	madvise(c, TABLES_OCTETS, MADV_DONTFORK);
}

struct ip listen_source(const struct ip *ip)
{
	struct ip source = *ip;

	if (ip->n == IPV6_OCTETS)
		memset(source.octets + SOURCE_OCTETS, 0, IPV6_OCTETS - SOURCE_OCTETS);
	return source;
}

/*
 * Returns the set of a source, by multiply-shift with a random key, so that clients
 * cannot choose it.
 */
static struct listen_rate *set_of(struct listen_children *c, const struct ip *source)
{
	uint64_t number = 0;

	memcpy(&number, source->octets, sizeof(number));
	return c->rates[number * (c->rate_key | 1) >> (64 - LISTEN_RATE_SETS_LOG)];
}

static size_t count_of(const struct listen_rate *r, uint64_t minute)
{
	return r->minute == minute ? r->n : 0;
}

/*
 * Counts a connection for the rate. The entry of a source above its limit is kept as long
 * as its set has sources with fewer connections.
 */
static size_t count_rate(
	struct listen_children *c, const struct ip *source, uint64_t minute)
{
	struct listen_rate *set = set_of(c, source), *r = &set[0];

	for (size_t i = 0; i < LISTEN_RATE_WAYS; i++) {
		if (count_of(&set[i], minute) && ip_is_same(&set[i].source, source))
			return ++set[i].n;
		if (count_of(&set[i], minute) < count_of(r, minute))
			r = &set[i];
	}
	*r = (struct listen_rate){ .source = *source, .minute = minute, .n = 1 };
	return 1;
}

static size_t n_used(const struct listen_children *c)
{
	size_t n = c->n_used;

	return n < LISTEN_CHILDREN_MAX ? n : LISTEN_CHILDREN_MAX;
}

/* Returns the number of connections: all, or those of one source. */
static size_t count(const struct listen_children *c, const struct ip *source)
{
	size_t n = 0, end = n_used(c);

	for (size_t i = 0; i < end; i++)
		n += c->list[i].pid &&
		     (!source || ip_is_same(&c->list[i].source, source));
	return n;
}

size_t listen_count(const struct listen_children *c)
{
	return count(c, NULL);
}

/*
 * Returns the limit of a source. In a crowded listener it decreases evenly down to one.
 */
static size_t limit_of_source(const struct listen_limits *limits, size_t n)
{
	size_t few = limits->all / LISTEN_FREE_PART, free = limits->all - n, limit;

	if (free >= few)
		return limits->of_source;
	limit = limits->of_source * free / few;
	return limit ? limit : 1;
}

enum listen_verdict listen_judge(struct listen_children *c,
	const struct listen_limits *limits, const struct ip *source, bool is_exempt,
	uint64_t minute)
{
	bool is_judged = source->n > 0 && !is_exempt;
	size_t n = listen_count(c);

	if (is_judged && limits->rate && count_rate(c, source, minute) > limits->rate)
		return LISTEN_SOURCE_FAST;
	if (n >= limits->all || n == LISTEN_CHILDREN_MAX)
		return LISTEN_FULL;
	if (is_judged && limits->of_source &&
		count(c, source) >= limit_of_source(limits, n))
		return LISTEN_SOURCE_FULL;
	return LISTEN_FINE;
}

static void use_up_to(struct listen_children *c, size_t end)
{
	size_t n = c->n_used;

	while (n < end && !atomic_compare_exchange_weak(&c->n_used, &n, end))
		continue;
}

/* Claims a free entry; NULL: none. */
static struct listen_child *claim(struct listen_children *c)
{
	for (size_t i = 0; i < LISTEN_CHILDREN_MAX; i++) {
		pid_t expected = 0;
		if (c->list[i].pid || !atomic_compare_exchange_strong(
					      &c->list[i].pid, &expected, ENTRY_CLAIMED))
			continue;
		use_up_to(c, i + 1);
		return &c->list[i];
	}
	return NULL;
}

void listen_note_crowd(struct listen_children *c, size_t all)
{
	size_t places = all ? all : c->places, few = places / LISTEN_FREE_PART;
	uint32_t is_crowded = few && listen_count(c) + few >= places;

	c->places = places;
	listen_failures(c)->is_crowded = is_crowded;
}

void listen_add(struct listen_children *c, pid_t keeper, pid_t pid,
	const struct ip *source, bool is_relay)
{
	struct listen_child *entry = claim(c);

	c->n_so_far++;
	if (!entry)
		return;
	entry->keeper = keeper;
	entry->source = *source;
	entry->is_relay = is_relay;
	entry->client = (struct ip){ 0 };
	entry->n_reports = 0;
	entry->pid = pid;
}

static struct listen_child *find(struct listen_children *c, pid_t pid)
{
	size_t end = n_used(c);

	for (size_t i = 0; i < end; i++)
		if (c->list[i].pid == pid)
			return &c->list[i];
	return NULL;
}

/*
 * Returns the source for which failures of a connection count. No address: they are not
 * counted.
 */
static const struct ip *accused(const struct listen_child *entry)
{
	return entry->is_relay ? &entry->client : &entry->source;
}

void listen_count_report(struct listen_children *c, pid_t pid,
	const struct failure_report *report, const struct failure_limits *limits,
	uint64_t now)
{
	struct listen_child *entry = find(c, pid);
	size_t n = report->client.n;

	if (!entry || entry->n_reports++ >= FAILURE_REPORTS_MAX)
		return;
	if (entry->is_relay && !entry->client.n && (n == IPV4_OCTETS || n == IPV6_OCTETS))
		entry->client = ip_of(report->client.octets, n);
	for (enum failure kind = 0; kind < FAILURE_CRASH; kind++)
		if (report->n[kind] <= FAILURE_REPORTED_MAX)
			failures_add(listen_failures(c), limits, accused(entry), kind,
				report->n[kind], now);
}

void listen_count_crash(struct listen_children *c, pid_t pid,
	const struct failure_limits *limits, uint64_t now)
{
	const struct listen_child *entry = find(c, pid);

	if (entry)
		failures_add(listen_failures(c), limits, accused(entry), FAILURE_CRASH, 1,
			now);
}

static void count_topic(struct listen_children *c, int status)
{
	int topic = WIFEXITED(status) ? WEXITSTATUS(status) - LISTEN_STATUS : -1;

	if (topic >= 0 && topic < TOPICS && topic_get((enum topic)topic)->status)
		c->last = (unsigned)topic;
	if (topic == TOPIC_PROXY_CHECK)
		c->n_checks++;
}

bool listen_remove(struct listen_children *c, pid_t pid, int status)
{
	size_t end = n_used(c);

	for (size_t i = 0; i < end; i++) {
		if (c->list[i].pid != pid)
			continue;
		c->list[i].pid = 0;
		count_topic(c, status);
		return true;
	}
	return false;
}

/* Also true for a process that has ended but was not reaped. */
static bool is_child(pid_t pid)
{
	siginfo_t info;

	return pid > 0 &&
	       waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

void listen_verify(struct listen_children *c)
{
	size_t end = n_used(c);

	for (size_t i = 0; i < end; i++) {
		pid_t pid = c->list[i].pid;
		if (pid && !is_child(c->list[i].keeper) && !is_child(pid))
			c->list[i].pid = 0;
	}
}

enum topic listen_last_topic(const struct listen_children *c)
{
	unsigned last = c->last;

	return last < TOPICS ? (enum topic)last : TOPIC_SESSION;
}

bool listen_is_fault(int status)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGILL, SIGABRT, SIGSYS };

	for (size_t i = 0; WIFSIGNALED(status) && i < sizeof(faults) / sizeof(*faults);
		i++)
		if (WTERMSIG(status) == faults[i])
			return true;
	return false;
}
