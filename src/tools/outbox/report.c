/*
 * Promises to open nothing but an ordinary file of our own, and to wait for nobody.
 * Refuses to know where reports come from: whoever speaks for postern in the outbox may
 * be a stranger by then, who puts links, pipes and devices there.
 */
#include "tools/outbox/report.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "tools/outbox/report-check.h"

/* Where the writer's file system has no O_TMPFILE the file has a second name, in tmp/, for a
 * moment or, if the writer was killed, for ever. */
#define LINKS_MAX 2

/* What open(2) says of something that is no file to be read: a symbolic link, a socket or a
 * device that nobody drives, a file that was closed even to us. */
static const char *open_fault(int error)
{
	switch (error) {
	case ELOOP:
		return "it is a symbolic link";
	case ENXIO:
	case ENODEV:
		return "it is not a regular file";
	case EACCES:
		return "it may not be read";
	default:
		return NULL;
	}
}

static const char *file_fault(const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return "it is not a regular file";
	if (st->st_uid != geteuid())
		return "it belongs to another user";
	if (st->st_nlink > LINKS_MAX)
		return "it has more names elsewhere";
	if (st->st_size > REPORT_OCTETS_MAX)
		return "it is too big";
	return NULL;
}

/* As many of the first octets as a header may have, or -errno. */
static ssize_t read_head(int fd, char *to)
{
	size_t n = 0;

	while (n < REPORT_HEADER_MAX) {
		ssize_t got = pread(fd, to + n, REPORT_HEADER_MAX - n, (off_t)n);
		if (got == 0)
			break;
		if (got < 0 && errno != EINTR)
			return -errno;
		n += got > 0 ? (size_t)got : 0;
	}
	return (ssize_t)n;
}

static int check_header(struct outbox_report *report, const char **ret_fault)
{
	OWNED char *head = malloc(REPORT_HEADER_MAX);
	struct buf address = BUF(report->address);
	struct span text;
	ssize_t n = head ? read_head(report->fd, head) : -ENOMEM;

	if (n < 0)
		return (int)n;
	*ret_fault = report_check((struct span){ head, (size_t)n }, &text);
	if (*ret_fault)
		return 1;
	buf_put(&address, text);
	return buf_terminate(&address) ? 0 : -ENAMETOOLONG;
}

int outbox_report_open(
	int dir, const char *name, struct outbox_report *ret, const char **ret_fault)
{
	struct stat st;

	/* O_NONBLOCK: a FIFO without a writer would hold us up; it changes nothing about a
	 * regular file, for whoever reads it later */
	ret->fd = openat(
		dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (ret->fd < 0) {
		*ret_fault = open_fault(errno);
		return *ret_fault ? 1 : -errno;
	}
	if (fstat(ret->fd, &st) < 0)
		return -errno;
	ret->written = st.st_mtime;
	*ret_fault = file_fault(&st);
	return *ret_fault ? 1 : check_header(ret, ret_fault);
}
