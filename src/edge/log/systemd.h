/* What the module systemd.so offers: journald, for processes that systemd started. */
#pragma once

#include <sys/uio.h>

#define SYSTEMD_MODULE "systemd.so"
#define SYSTEMD_MODULE_TABLE "postern_systemd"

struct systemd_api {
	/* Sends one journal entry, a field each ("NAME=value"). 0 or -errno. */
	int (*send)(const struct iovec *fields, int n);
};
