/* SPDX-License-Identifier: ISC */
/* One session with an SMTP server, as tls-client's options say. */
#pragma once

#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <sys/resource.h>

#define FIELDS_MAX 100

/* The first letter of what is given on the command line. */
enum mode {
	PLAIN = 'p',
	STARTTLS = 's',
	IMPLICIT = 'i',
};

struct options {
	enum mode mode;
	unsigned long sessions;
	unsigned long size; /* octets of content, about */
	unsigned long chunk; /* octets of a chunk; 0: DATA */
	const char *priority;
	const char *recipient;
	unsigned long fields; /* of the header, more than there are; DATA alone */
	unsigned long jobs; /* sessions at once, each a process */
	const char *ticket; /* a file: the TLS session to resume; NULL: none */
	char **program; /* or NULL: address and port */
	const char *address;
	const char *port;
};

struct results {
	gnutls_certificate_credentials_t credentials;
	gnutls_datum_t ticket;
	unsigned long resumed;
	struct rusage usage;
};

void die(const char *what, const char *why) __attribute__((noreturn));
void run_session(const struct options *o, struct results *results);
