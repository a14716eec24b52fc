/* SPDX-License-Identifier: ISC */
/* The least that a server does to take one message and store it durably. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct connection {
	ssize_t (*read)(struct connection *c, void *to, size_t n);
	ssize_t (*write)(struct connection *c, const void *from, size_t n);
	void (*start_tls)(struct connection *c); /* NULL: not offered */
	void *tls; /* NULL in the clear */
	const char *filter; /* a filter's UNIX socket; NULL: none */
	int filter_fd;
	size_t begin;
	size_t end;
	char in[64 * 1024];
};

void die(const char *what) __attribute__((noreturn));

/* Read and write descriptors 0 and 1. */
ssize_t minimal_read(struct connection *c, void *to, size_t n);
ssize_t minimal_write(struct connection *c, const void *from, size_t n);

/* Connects to a filter that wants no events, and negotiates. Returns the descriptor. */
int minimal_filter_open(const char *path);

/* Sends the end of the message, reads the verdict, and closes. */
void minimal_filter_end(int fd);

/* Greets, takes messages into the Maildir until QUIT; whatever goes wrong ends the process. */
void minimal_serve(struct connection *c, const char *maildir);
