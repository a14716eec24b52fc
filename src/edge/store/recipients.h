/* Which Maildir an accepted recipient's mail goes to. */
#pragma once

#include "base/buf.h"
#include "smtp/names.h"

/* below mail-root; each component has its own limit, NAME_MAX */
#define MAILBOX_PATH_MAX 1024

#define RECIPIENTS_FAULT_MAX 256
#define RECIPIENTS_WORDS_MAX 128

/* What is wrong with mail-root or a directory below it, in words; of the marker recipients_put_marker_fault() has them. */
#define RECIPIENTS_ROOT_EMPTY "is empty: is its file system not mounted?"
#define RECIPIENTS_PATH_LONG                                                             \
	"the path of a mailbox below it is longer than 1023 octets: shorten maildir, "   \
	"or "                                                                            \
	"the line of recipients"

struct table;

enum create_choice {
	CREATE_AUTO, /* one that strangers cannot make more of by making up names */
	CREATE_NO,
	CREATE_YES,
};

struct recipients {
	const char *root_path; /* mail-root, as it is named in faults */
	const char *marker; /* a file that must be in mail-root; NULL: none */
	const char *table_path; /* of `table`, as it is named in faults */
	const char *template; /* relative to mail-root; %u local part, %d domain, %% a
				 percent */
	const char *hostname; /* the domain of <postmaster> */
	enum create_choice create; /* a Maildir that does not exist */
	struct table *table; /* who has a mailbox; NULL: whose Maildir exists */
	const char
		*catch_all; /* for all others: a template, or an address; NULL: nothing */
	const char *postmaster; /* likewise, for postmaster and abuse without a mailbox */
	char delimiter; /* before a subaddress; NUL: there are none */
};

enum recipients_result {
	RECIPIENTS_FOUND,
	RECIPIENTS_NAME, /* the address cannot name a directory */
	RECIPIENTS_UNKNOWN, /* there is no other place for it */
	RECIPIENTS_AUTH, /* it takes mail from those alone who have logged in */
	RECIPIENTS_FAILED, /* the table cannot be read, or its line means nothing */
	RECIPIENTS_LONG, /* the settings give it a path that does not fit in MAILBOX_PATH_MAX */
};

/* The places where mail for one recipient may go, in order. */
struct recipients_search {
	const struct recipients *rs;
	bool logged_in;
	char octets[NAMES_LOCAL_MAX];
	struct span whole; /* local part, without its quotes and in lower case */
	struct span base; /* and without a subaddress */
	struct span domain; /* as the recipient has it */
	char fault
		[RECIPIENTS_FAULT_MAX]; /* with RECIPIENTS_FAILED: "file: key: what is wrong" */
	unsigned next; /* what is tried next */
};

struct recipients_place {
	char path[MAILBOX_PATH_MAX];
	bool may_create;
	/* by a line of the table, or as the only one: a directory there is a mailbox, whatever it lacks */
	bool is_named;
	bool is_part; /* an address gives it the name of a part of a Maildir: none is made there */
	/* octets of the path that name directories of the settings or of a line, before any that an address names */
	size_t n_fixed;
};

/* `rs` and the recipient stay the caller's. Nothing is looked up yet. */
void recipients_begin(struct recipients_search *s, const struct recipients *rs,
	const struct recipient *r, bool logged_in);

/*
 * The next place: a path below mail-root, NUL-terminated; "." for mail-root itself. Only after -ENOENT may it
 * be asked again. Local part and domain are written in lower case, and each is one path component or part of
 * one: never empty, "..", hidden, malformed UTF-8, or with a slash or control character in it.
 */
enum recipients_result recipients_next(
	struct recipients_search *s, struct recipients_place *ret);

/* "has no NAME (mail-root-marker): is its file system not mounted?", or the words of another errno. */
void recipients_put_marker_fault(
	char words[static RECIPIENTS_WORDS_MAX], const char *marker, int error);

/* True of a local part for which there must be a mailbox (RFC 5321 4.5.1, RFC 2142 4). */
bool recipients_is_role(struct span local);

/* True for a catch-all that is an address. */
bool recipients_is_address(const char *catch_all);
