/* SPDX-License-Identifier: ISC */
/* What to do about a filter that cannot be connected to, as far as `--check` can see. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "edge/file.h"
#include "edge/milter/parts.h"
#include "proto/text.h"

#define INTERFACES_MAX 4096

/* True in a network that has nothing but a loopback, as with PrivateNetwork=yes. */
static bool has_own_network(void)
{
	char text[INTERFACES_MAX];
	OWNED_FD int fd = open("/proc/self/net/dev", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));
	unsigned interfaces = 0;

	/* a colon stands behind the name of each interface, and nowhere else */
	for (ssize_t i = 0; i < n; i++)
		interfaces += text[i] == ':';
	return interfaces == 1;
}

#define DROP_IN                                                                          \
	"its drop-in milters-loopback.conf, see THE MILTERS FILE in postern.conf(5)"

static void put_cure_of_network(struct buf *to, int error)
{
	if (error == EAFNOSUPPORT || error == EPERM || error == EACCES)
		buf_put(to, SPAN("; the unit forbids it; what allows the loopback "
				 "is " DROP_IN));
	else if (has_own_network())
		buf_put(to,
			SPAN("; start the filter, or, if this unit has a network of its "
			     "own, open the loopback of the machine by " DROP_IN));
	else if (error == ECONNREFUSED)
		buf_put(to, SPAN("; nothing listens there: start the filter"));
}

static bool is_no_socket(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && !S_ISSOCK(st.st_mode);
}

/* The first part of a path that not all users can pass, or connect to. False: none. */
static bool find_closed(char *path)
{
	struct stat st;

	for (char *end = path; (end = strchr(end + 1, '/')); *end = '/') {
		*end = '\0';
		if (stat(path, &st) == 0 && !(st.st_mode & S_IXOTH))
			return true;
	}
	return stat(path, &st) == 0 && !(st.st_mode & S_IWOTH);
}

#define BY_GROUP                                                                         \
	"put SupplementaryGroups= with that into a drop-in of this unit; see ls -l"

/* A directory on the way to the socket cannot be passed. */
static void put_cure_of_directory(struct buf *to, const char *socket_path)
{
	char path[MILTER_PATH_MAX + 1];
	struct stat st;

	memcpy(path, socket_path, strlen(socket_path) + 1);
	if (!find_closed(path) || stat(path, &st) < 0 || !(st.st_mode & S_IXGRP) ||
		st.st_gid == 0) {
		file_put_closed(to, socket_path);
		return;
	}
	buf_put(to, SPAN("; the group of its directory may pass it: " BY_GROUP "d "));
	text_escape(to, span_of(path), FILTER_NAME_MAX - 1);
}

static void put_cure_of_path(struct buf *to, const struct milter_setting *s, int error)
{
	char path[MILTER_PATH_MAX + 1];
	struct stat st;

	memcpy(path, s->path.p, s->path.n);
	path[s->path.n] = '\0';
	if (error == ENOENT) {
		buf_put(to,
			SPAN("; the filter makes it when it starts: start it, or name "
			     "the path that its own settings have"));
	} else if (error == ENOTDIR || (error == ECONNREFUSED && is_no_socket(path))) {
		buf_put(to,
			SPAN("; that is no socket: name the path that the settings of "
			     "the filter have"));
	} else if (error == ECONNREFUSED) {
		buf_put(to, SPAN("; no filter has it open: start the filter"));
	} else if (error == EACCES && stat(path, &st) < 0) {
		put_cure_of_directory(to, path);
	} else if (error == EACCES && st.st_uid == geteuid()) {
		buf_put(to, SPAN("; its owner must have the right to write: chmod u+w "));
		text_escape(to, s->path, FILTER_NAME_MAX - 1);
	} else if (error == EACCES && (!(st.st_mode & S_IWGRP) || st.st_gid == 0)) {
		buf_put(to, SPAN("; only its owner, and root with CAP_DAC_OVERRIDE, may "
				 "connect: let the filter make "
				 "it with mode 0660 and a group of its own"));
	} else if (error == EACCES) {
		/* a unit with PrivateUsers=yes cannot see which group that is */
		buf_put(to, SPAN("; its group may connect: " BY_GROUP " "));
		text_escape(to, s->path, FILTER_NAME_MAX - 1);
	}
}

void filter_put_cure(struct buf *to, const struct milter_setting *s, int error)
{
	if (s->path.n)
		put_cure_of_path(to, s, error);
	else
		put_cure_of_network(to, error);
}

bool filter_put_reach(struct buf *to, const struct milter_setting *s)
{
	char path[MILTER_PATH_MAX + 1];

	memcpy(path, s->path.p, s->path.n);
	path[s->path.n] = '\0';
	if (!s->path.n || !find_closed(path))
		return false;
	buf_put(to, SPAN("can be connected to by root; another user, and root without "
			 "CAP_DAC_OVERRIDE, needs the group of "));
	text_escape(to, span_of(path), FILTER_NAME_MAX - 1);
	buf_put(to,
		SPAN(": where connections are of such a user, put SupplementaryGroups= "
		     "with it into a drop-in of their unit; to check as that user, set "
		     "user, or use setpriv(1)"));
	return true;
}
