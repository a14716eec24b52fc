/* SPDX-License-Identifier: ISC */
/*
 * Opens the listening sockets of addresses, or checks those that the service manager
 * passed. It does not accept connections.
 */
#include "bin/listen/sockets.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/num.h"
#include "base/words.h"
#include "bin/options.h"
#include "edge/file.h"
#include "proto/network.h"

#define BACKLOG 512
#define SOCKET_MODE 0600

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_un local;
};

/*
 * The kinds of sockets. Overrides apply regardless of the settings; the units for
 * Accept=yes have the same.
 */
#define KIND_FAULT "must be smtp=, smtps=, submission= or lmtp= and an address"
#define MEANT KIND_FAULT "; did you mean "

static const struct {
	const char *word;
	const char *meant; /* the fault of a similar word that is wrong */
	const char *overrides[OPTIONS_OF_KIND_MAX];
} kinds[LISTEN_KINDS] = {
	[LISTEN_SMTP] = { "smtp", MEANT "smtp=?", { NULL } },
	[LISTEN_SMTPS] = { "smtps", MEANT "smtps=?", { "tls=implicit" } },
	[LISTEN_SUBMISSION] = { "submission", MEANT "submission=?",
		{ "tls=required", "auth=required" } },
	[LISTEN_LMTP] = { "lmtp", MEANT "lmtp=?", { "tls=off" } },
};

const char *listen_kind_word(enum listen_kind kind)
{
	return kinds[kind].word;
}

void listen_put_options(struct options *o, enum listen_kind kind)
{
	const char *const *overrides = kinds[kind].overrides;

	o->lmtp = kind == LISTEN_LMTP;
	for (size_t i = 0; i < OPTIONS_OF_KIND_MAX && overrides[i]; i++)
		o->overrides[o->n_overrides++] = overrides[i];
}

bool listen_kind_needs_tls(enum listen_kind kind)
{
	return kind == LISTEN_SMTPS || kind == LISTEN_SUBMISSION;
}

static const struct words kind_words = WORDS_OF(kinds);

static bool find_kind(struct span name, enum listen_kind *ret)
{
	size_t i = words_find(&kind_words, name);

	if (i < LISTEN_KINDS)
		*ret = (enum listen_kind)i;
	return i < LISTEN_KINDS;
}

unsigned listen_port(const struct listen_socket *socket)
{
	union address a = { .any.sa_family = AF_UNSPEC };
	socklen_t n = sizeof(a);

	if (getsockname(socket->fd, &a.any, &n) < 0)
		return 0;
	if (a.any.sa_family == AF_INET)
		return ntohs(a.v4.sin_port);
	return a.any.sa_family == AF_INET6 ? ntohs(a.v6.sin6_port) : 0;
}

static const char *add(struct listen_sockets *s, int fd, enum listen_kind kind)
{
	int listens = 0;
	socklen_t n = sizeof(listens);

	if (s->n == LISTEN_SOCKETS_MAX)
		return "too many sockets (16 at most)";
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &n) < 0 || !listens)
		return "is no listening socket: use Accept=no";
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	s->list[s->n++] = (struct listen_socket){ fd, kind };
	return NULL;
}

const char *listen_use_passed(struct listen_sockets *s, size_t n, const char *names)
{
	struct span left = span_of(names);

	for (size_t i = 0; i < n; i++) {
		struct span name = span_take(&left, ':');
		enum listen_kind kind = LISTEN_SMTP;
		const char *wrong;
		/*
		 * SMTP for other names, because systemd's default is the name of the unit
		 */
		find_kind(name, &kind);
		wrong = add(s, LISTEN_FIRST_FD + (int)i, kind);
		if (wrong)
			return wrong;
	}
	return NULL;
}

/*
 * Parses a host; "*" is every address of both families. Returns the length of the
 * address, or 0.
 */
static socklen_t parse_host(struct span host, uint16_t port, union address *ret)
{
	struct ip ip;

	if (span_eq(host, SPAN("*"))) {
		ret->v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6,
			.sin6_port = htons(port) };
		return sizeof(ret->v6);
	}
	if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
		host = (struct span){ host.p + 1, host.n - 2 };
	if (!ip_parse(host, &ip))
		return 0;
	if (ip.n == IPV4_OCTETS) {
		ret->v4 = (struct sockaddr_in){ .sin_family = AF_INET,
			.sin_port = htons(port) };
		memcpy(&ret->v4.sin_addr, ip.octets, ip.n);
		return sizeof(ret->v4);
	}
	ret->v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6,
		.sin6_port = htons(port) };
	memcpy(&ret->v6.sin6_addr, ip.octets, ip.n);
	return sizeof(ret->v6);
}

static socklen_t parse_address(struct span text, union address *ret)
{
	const char *colon = text.n ? memrchr(text.p, ':', text.n) : NULL;
	uint64_t port;
	size_t n;

	if (text.n && *text.p == '/') {
		if (text.n >= sizeof(ret->local.sun_path))
			return 0;
		ret->local = (struct sockaddr_un){ .sun_family = AF_UNIX };
		memcpy(ret->local.sun_path, text.p, text.n);
		return sizeof(ret->local);
	}
	if (!colon)
		return 0;
	n = (size_t)(colon - text.p);
	if (!num_parse(span_from(text, n + 1), &port) || port > UINT16_MAX)
		return 0;
	return parse_host((struct span){ text.p, n }, (uint16_t)port, ret);
}

static bool is_abandoned(const union address *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool is = fd >= 0 && connect(fd, &address->any, sizeof(address->local)) < 0 &&
		  errno == ECONNREFUSED;

	if (fd >= 0)
		close(fd);
	return is;
}

/*
 * Removes a socket at which no process listens. Returns NULL, or the fault of the file.
 */
static const char *remove_from(
	int dir, const char *name, const union address *address, bool is_open)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return NULL;
	if (!S_ISSOCK(st.st_mode))
		return "exists and is no socket";
	if (!is_abandoned(address))
		return NULL; /* bind() then fails, and its error is reported */
	if (is_open)
		return "no process listens at this socket, but in a directory that other "
		       "users can write to it is not removed: remove it, or use another "
		       "directory";
	return unlinkat(dir, name, 0) < 0 ? strerror(errno) : NULL;
}

static const char *remove_abandoned(const union address *address, int *ret_error)
{
	const char *path = address->local.sun_path, *name, *wrong;
	bool is_open;
	int dir;

	if (address->any.sa_family != AF_UNIX)
		return NULL;
	dir = file_open_above(path, &name, &is_open);
	if (dir < 0) {
		*ret_error = -dir;
		return NULL;
	}
	wrong = remove_from(dir, name, address, is_open);
	close(dir);
	return wrong;
}

/* Returns a descriptor, or -errno. */
static int open_bound(const union address *address, socklen_t length)
{
	static const int on = 1;
	mode_t mask = umask(0777 & ~SOCKET_MODE);
	int fd, error = 0;

	fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && address->any.sa_family != AF_UNIX) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	}
	if (fd < 0 || bind(fd, &address->any, length) < 0 || listen(fd, BACKLOG) < 0)
		error = errno;
	umask(mask);
	if (error && fd >= 0)
		close(fd);
	return error ? -error : fd;
}

/* Returns a descriptor; or a negative number, and a fault. */
static int open_socket(
	const union address *address, socklen_t length, struct buf *ret_fault)
{
	int error = 0, fd = -1;
	const char *wrong = remove_abandoned(address, &error);

	if (!wrong && !error) {
		fd = open_bound(address, length);
		error = fd < 0 ? -fd : 0;
	}
	if (wrong)
		buf_put_str(ret_fault, wrong);
	else if (error)
		holder_put_fault(ret_fault, &address->any, error);
	return fd;
}

static const char *kind_fault(struct span name)
{
	const char *meant = conf_nearest(name, &kind_words);

	return meant ? kinds[words_find(&kind_words, span_of(meant))].meant : KIND_FAULT;
}

/* Parses kind and address of an argument. Returns NULL, or the fault. */
static const char *parse_listen(const char *text, enum listen_kind *ret_kind,
	union address *ret, socklen_t *ret_length)
{
	struct span rest = span_of(text);
	const char *equals = strchr(text, '=');

	*ret_kind = LISTEN_SMTP;
	if (equals) {
		size_t n = (size_t)(equals - text);
		if (!find_kind((struct span){ text, n }, ret_kind))
			return kind_fault((struct span){ text, n });
		rest = span_from(rest, n + 1);
	}
	*ret_length = parse_address(rest, ret);
	if (*ret_length == 0)
		return "must be an address such as 192.0.2.1:25, [2001:db8::1]:25, *:25 "
		       "or /run/postern/lmtp";
	return NULL;
}

const char *listen_find_kind(const char *address, enum listen_kind *ret)
{
	union address ignored;
	socklen_t length;

	return parse_listen(address, ret, &ignored, &length);
}

bool listen_open(struct listen_sockets *s, const char *text, struct buf *ret_fault)
{
	enum listen_kind kind;
	union address address = { .any.sa_family = AF_UNSPEC };
	socklen_t length = 0;
	const char *wrong = parse_listen(text, &kind, &address, &length);
	int fd = wrong ? -1 : open_socket(&address, length, ret_fault);

	if (fd >= 0)
		wrong = add(s, fd, kind);
	if (wrong)
		buf_put_str(ret_fault, wrong);
	buf_terminate(ret_fault);
	return fd >= 0 && !wrong;
}

bool listen_read_stop(int signals)
{
	struct signalfd_siginfo info;
	bool stop = false;

	while (read(signals, &info, sizeof(info)) == sizeof(info))
		stop |= info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT;
	return stop;
}
