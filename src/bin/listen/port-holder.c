/* SPDX-License-Identifier: ISC */
/*
 * Explains why a socket could not be bound. Finds the process that listens at the
 * address: the inode of the socket in /proc/net, then the process that has it open. This
 * reads all of /proc, so it is done only for this message.
 */
#include "bin/listen/sockets.h"
#include <dirent.h>
#include <errno.h>
#include <libgen.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include "base/cleanup.h"
#include "base/num.h"
#include "edge/file.h"
#include "proto/network.h"
#include "proto/text.h"

#define LISTENS "0A" /* TCP_LISTEN */
#define ACCEPTS 0x10000U /* flag of a listening UNIX socket */
#define UNIT_MAX 128
#define NAME_SHOWN_MAX 128 /* octets of a process name, each of which may be \xHH */
/* Octets of a unit name (systemd.unit(5)); in quotes, one word of a shell command. */
#define UNIT_OCTETS                                                                      \
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789:-_.\\@"
#define PORTS_OF_ROOT 1024

struct holder {
	uint64_t inode; /* inode of the socket; 0: not found */
	char address[IP_TEXT_MAX + 10]; /* address with port; empty: unknown */
	uint64_t pid; /* 0: not visible to this user */
	char name[32];
	char unit[UNIT_MAX]; /* unit of systemd; or empty */
};

static void close_file(FILE **file)
{
	if (*file)
		fclose(*file);
}

static void close_directory(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static uint16_t port_of(const struct sockaddr *address)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;

	if (address->sa_family == AF_UNIX)
		return 0;
	return ntohs(address->sa_family == AF_INET ? v4->sin_port : v6->sin6_port);
}

static const char *path_of(const struct sockaddr *address)
{
	return ((const struct sockaddr_un *)address)->sun_path;
}

/* Prints the address as in /proc/net: words of 32 bits. */
static void print_words(const struct sockaddr *address, char *ret, size_t n)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
	uint32_t w[4];

	if (address->sa_family == AF_INET) {
		snprintf(ret, n, "%08X", v4->sin_addr.s_addr);
		return;
	}
	memcpy(w, &v6->sin6_addr, sizeof(w));
	snprintf(ret, n, "%08X%08X%08X%08X", w[0], w[1], w[2], w[3]);
}

static bool is_any(const char *words)
{
	return words[strspn(words, "0")] == '\0';
}

/* Appends the output of print_words() as "192.0.2.1:25" or "[2001:db8::1]:25". */
static void put_address(struct buf *to, const char *words, unsigned port)
{
	struct ip ip = { 0 };

	for (; *words && ip.n < sizeof(ip.octets); words += 8) {
		char eight[9] = "";
		uint32_t word;
		memcpy(eight, words, 8);
		word = (uint32_t)strtoul(eight, NULL, 16);
		memcpy(ip.octets + ip.n, &word, sizeof(word));
		ip.n += sizeof(word);
	}
	buf_put(to, ip.n == IPV4_OCTETS ? SPAN("") : SPAN("["));
	ip_put(to, &ip);
	buf_put(to, ip.n == IPV4_OCTETS ? SPAN(":") : SPAN("]:"));
	buf_put_num(to, port);
	buf_terminate(to);
}

/* Reads a line of /proc/net/tcp or tcp6, if its socket occupies the address. */
static void read_tcp(const char *line, const struct sockaddr *address, struct holder *ret)
{
	struct buf b = BUF(ret->address);
	char words[40], ours[40], state[3];
	unsigned long inode;
	unsigned port;

	/* NOLINTNEXTLINE(cert-err34-c): numbers of the kernel */
	if (sscanf(line, " %*u: %39[0-9A-F]:%x %*s %2s %*s %*s %*s %*u %*u %lu", words,
		    &port, state, &inode) != 4 ||
		port != port_of(address) || strcmp(state, LISTENS) != 0)
		return;
	print_words(address, ours, sizeof(ours));
	if (!is_any(words) && !is_any(ours) && strcmp(words, ours) != 0)
		return;
	ret->inode = inode;
	put_address(&b, words, port);
}

/* Reads a line of /proc/net/unix in the same way. */
static void read_unix(
	const char *line, const struct sockaddr *address, struct holder *ret)
{
	char path[sizeof(((struct sockaddr_un *)0)->sun_path) + 1];
	unsigned long inode;
	unsigned flags;

	/* NOLINTNEXTLINE(cert-err34-c): numbers of the kernel */
	if (sscanf(line, "%*s %*s %*s %x %*s %*s %lu %108s", &flags, &inode, path) != 3 ||
		flags != ACCEPTS)
		return;
	if (strcmp(path, path_of(address)) == 0)
		ret->inode = inode;
}

static void find_in(const char *file, const struct sockaddr *address, struct holder *ret)
{
	CLEANUP(close_file) FILE *lines = fopen(file, "re");
	OWNED char *line = NULL;
	size_t n = 0;

	while (lines && ret->inode == 0 && getline(&line, &n, lines) >= 0) {
		if (address->sa_family == AF_UNIX)
			read_unix(line, address, ret);
		else
			read_tcp(line, address, ret);
	}
}

static void find_socket(const struct sockaddr *address, struct holder *ret)
{
	if (address->sa_family == AF_UNIX) {
		find_in("/proc/net/unix", address, ret);
		return;
	}
	find_in("/proc/net/tcp", address, ret);
	find_in("/proc/net/tcp6", address, ret);
}

static bool has_open(const char *pid, const char *socket)
{
	char path[64], link[64];
	CLEANUP(close_directory) DIR *dir = NULL;
	const struct dirent *entry;

	snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		ssize_t n = readlinkat(dirfd(dir), entry->d_name, link, sizeof(link) - 1);
		if (n <= 0)
			continue;
		link[n] = '\0';
		if (strcmp(link, socket) == 0)
			return true;
	}
	return false;
}

/* Checks the name, because users may give any name to control groups below their own. */
static bool is_unit(const char *name)
{
	return *name != '-' && name[strspn(name, UNIT_OCTETS)] == '\0';
}

/*
 * Finds the unit to stop: the last part of the cgroup that is a service, except those of
 * logins. On Debian postfix.service starts each instance of Postfix.
 */
static void find_unit(const char *pid, struct holder *ret)
{
	char path[64];
	CLEANUP(close_file) FILE *lines = NULL;
	OWNED char *line = NULL;
	size_t n = 0;

	snprintf(path, sizeof(path), "/proc/%.20s/cgroup", pid);
	lines = fopen(path, "re");
	while (lines && !ret->unit[0] && getline(&line, &n, lines) >= 0) {
		char *name = strrchr(line, '/'), *end = strstr(line, ".service\n");
		if (!name || !end || end < name || end - name >= UNIT_MAX - 8)
			continue;
		end[strlen(".service")] = '\0';
		if (!is_unit(name + 1) || strstr(line, "/user@"))
			continue;
		snprintf(ret->unit, sizeof(ret->unit), "%.*s", UNIT_MAX - 1,
			strncmp(name + 1, "postfix@", 8) == 0 ? "postfix.service"
							      : name + 1);
	}
}

static void find_name(const char *pid, struct holder *ret)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%.20s/comm", pid);
	file = fopen(path, "re");
	if (!file || !fgets(ret->name, sizeof(ret->name), file))
		snprintf(ret->name, sizeof(ret->name), "unknown");
	if (file)
		fclose(file);
	ret->name[strcspn(ret->name, "\n")] = '\0';
}

static bool find_process(struct holder *ret)
{
	CLEANUP(close_directory) DIR *proc = opendir("/proc");
	const struct dirent *entry;
	char socket[40];

	snprintf(socket, sizeof(socket), "socket:[%lu]", (unsigned long)ret->inode);
	while (proc && ret->inode && (entry = readdir(proc))) {
		if (!num_parse(span_of(entry->d_name), &ret->pid) ||
			!has_open(entry->d_name, socket))
			continue;
		find_name(entry->d_name, ret);
		find_unit(entry->d_name, ret);
		return true;
	}
	return false;
}

/* Appends the command by which root finds the process. */
static void put_search(struct buf *to, const struct sockaddr *address)
{
	if (address->sa_family == AF_UNIX) {
		buf_put(to, SPAN("; as root, this names the process: ss -lxp src "));
		buf_put_str(to, path_of(address));
		return;
	}
	buf_put(to, SPAN("; as root, this names the process: ss -ltnp sport = :"));
	buf_put_num(to, port_of(address));
}

static void put_holder(struct buf *to, const struct sockaddr *address)
{
	struct holder h = { 0 };

	find_socket(address, &h);
	if (h.address[0]) {
		buf_put(to, SPAN(": "));
		buf_put_str(to, h.address);
	}
	if (!find_process(&h)) {
		put_search(to, address);
		return;
	}
	buf_put(to, SPAN("; the process "));
	buf_put_num(to, h.pid);
	buf_put(to, SPAN(" ("));
	text_escape(to, span_of(h.name), NAME_SHOWN_MAX);
	buf_put(to, SPAN(") listens there, stop it: "));
	if (h.pid == 1) {
		buf_put(to, SPAN("systemctl disable --now UNIT, where systemctl "
				 "list-sockets names the unit"));
	} else if (h.unit[0]) {
		const char *quote = strchr(h.unit, '\\') ? "'" : "";
		buf_put(to, SPAN("systemctl disable --now "));
		buf_put_str(to, quote);
		buf_put_str(to, h.unit);
		buf_put_str(to, quote);
	} else {
		buf_put(to, SPAN("kill "));
		buf_put_num(to, h.pid);
	}
}

static void put_directory_fault(struct buf *to, const char *path, int error)
{
	OWNED char *copy = strdup(path);

	if (copy)
		file_put_directory_fault(to, dirname(copy), error);
	else
		buf_put_str(to, strerror(error));
}

void holder_put_fault(struct buf *to, const struct sockaddr *address, int error)
{
	if (address->sa_family == AF_UNIX && error != EADDRINUSE) {
		put_directory_fault(to, path_of(address), error);
		return;
	}
	buf_put_str(to, strerror(error));
	if (error == EADDRINUSE)
		put_holder(to, address);
	else if (error == EACCES && port_of(address) < PORTS_OF_ROOT)
		buf_put(to,
			SPAN("; a port below 1024 is for root: start postern as root, "
			     "with the setting user"));
	else if (error == EADDRNOTAVAIL)
		buf_put(to, SPAN("; no interface of this host has it: ip address"));
	else if (error == EAFNOSUPPORT && address->sa_family == AF_INET6)
		buf_put(to, SPAN("; this host has no IPv6: name an IPv4 address, or "
				 "0.0.0.0 for all of them"));
}
