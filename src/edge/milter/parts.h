/* SPDX-License-Identifier: ISC */
/* The parts of milter.so: filters of a session, and the message that they look at. */
#pragma once

#include "edge/milter/link.h"
#include "edge/milter/lookup.h"
#include "edge/milter/milter.h"
#include "edge/milter/spool.h"
#include "smtp/state.h"

#define FILTERS_MAX 16 /* lines of the file that name a filter */
#define FILTERS_FILE_MAX (64 * 1024) /* octets */
#define EVENT_MAX (16 * 1024) /* octets of an event of the envelope, with its macros */
#define FILTERS_PENDING_MAX (256 * 1024) /* octets that wait to be written at once */
/* to the envelope of a message, beside a removal and an addition for each recipient */
#define CHANGES_MAX 1000
#define CHANGE_TEXT_MAX 1024 /* octets of an address, or of a reason */
/* octets of a filter's own reply, of whose lines each has REPLY_ARGUMENT_MAX at most */
#define FILTER_REPLY_MAX 1024
#define FILTER_FAULT_MAX 384 /* file, line, name and what is wrong */
/* seconds in which a filter may ask for more time, again and again */
#define FILTER_PROGRESS_MAX 3600

/* A reply in a filter's own words, of one line or more. */
struct own_reply {
	struct reply reply;
	char text[FILTER_REPLY_MAX + 1];
};

struct filter {
	struct milter_setting setting; /* borrows from the text of the file */
	size_t line; /* of the file */
	const struct session *session; /* NULL: there is none */
	struct link link;
	struct milter_talk talk;
	bool begun; /* negotiation was done */
	bool failed; /* its default action applies for the rest of the session */
	bool in_message; /* MAIL was sent, and not yet the end */
	/* its verdict on the session; NULL: none */
	const struct reply *session_refusal;
	struct own_reply session_reply; /* its text, which later messages do not change */
	size_t n_hellos; /* the last of so many EHLO was sent */

	/* Of the transaction: */
	const char *verdict; /* the word for the record; NULL: it was not asked */
	size_t n_edits;
	size_t n_late; /* edits after its verdict, which are dropped */
	unsigned field_notes; /* bits of enum milter_field_note: it did not see all */
	size_t n_refused; /* recipients */
	size_t n_traced; /* lines */
};

#define BODY_PIECE_MAX (16 * 1024)

/* The message, from its first octet on. */
struct content {
	struct spool text; /* as the client sent it, after the repairs */
	struct octets trace; /* the trace header */
	struct octets new_trace; /* the one that is delivered */
	struct octets return_path; /* a field in the place of ours; or empty */
	struct octets mark; /* a field below Return-Path; or empty */
	bool parsed; /* edits are in use */
	bool binary; /* BINARYMIME: lines have the ends that they came with */
	struct milter_header header;
	struct milter_edits edits; /* memory is owned; made when it is first needed */
	struct spool body; /* in place of the one in the text, with body_replaced */
	bool body_replaced;
	struct spool new_body; /* of the filter that has not given its verdict yet */
	bool has_new_body;
	bool new_body_cr;
	/*
	 * for a fault of this host amid the edits of a filter, or for an edit that makes
	 * the message too big; NULL: none
	 */
	const struct reply *refusal;
	size_t n_dropped; /* edits that came with that refusal */
	/*
	 * owned, BODY_PIECE_MAX octets, for one piece at a time. COST: 8 us of a session
	 * with a filter; without it: a room on the stack, of which each page is touched.
	 */
	char *room;
};

/* A walk through octets of a message. */
struct body {
	const struct spool *from;
	uint64_t at; /* of what follows `text` */
	struct span text; /* of the last step; empty at the end */
	char *room; /* BODY_PIECE_MAX octets, for what is read from a file */
};

/* A change of the envelope. */
struct change {
	enum milter_kind kind;
	const struct filter *filter; /* that wants it */
	char *text; /* owned */
};

struct changes {
	struct change *list; /* owned */
	size_t n;
};

/* Texts of macros. They are empty where there is no value. */
struct client_texts {
	char literal[PEER_TEXT_MAX + 8]; /* "[192.0.2.1]", "[IPv6:2001:db8::1]" */
	const char *name; /* confirmed; else the literal */
	const char *first; /* that its address has, confirmed or not; else the same */
	char all[DNS_NAME_MAX + PEER_TEXT_MAX + 32]; /* "mail.example.net [192.0.2.1]" */
	char address[PEER_TEXT_MAX + 8], port[8];
	char own_address[PEER_TEXT_MAX + 8], own_port[8];
	char tls_version[FACT_MAX + 8], tls_bits[8];
	char date[64];
};

/*
 * COST: 3 us of a session with a filter: what each message needs stands first, so that a
 * process of a listener touches few pages of it; without it: any order.
 */
struct filters_state {
	struct stage stage;
	struct milter_host host;
	char *file; /* owned: its text */
	struct filter *list; /* owned */
	size_t n;
	int channel; /* to the connector, until it has sent the sockets; -1: none */
	int directory; /* for files of messages */
	struct content content;
	struct changes changes;
	const char *quarantine; /* the reason; NULL: it goes to its recipients */
	const struct filter *quarantiner; /* that wants it */
	bool discard; /* the message is accepted, and thrown away */
	/*
	 * its recipients want no filter: what filters decided about it does not count,
	 * and they are asked no more
	 */
	bool spared;
	/* filters are not shown that the last recipient was refused */
	bool withheld;
	const struct reply *refusal; /* of MAIL, which recipients get; NULL: none */
	struct client_texts client;
	struct filters_facts facts;
	struct lookup lookup; /* of the client's name */
	char directory_path[SPOOL_PATH_MAX];
	/*
	 * texts of own replies; that of `refusal` outlives those about recipients and
	 * commands
	 */
	struct own_reply reply, rcpt_reply, unknown_reply;
	char fault[FILTER_FAULT_MAX]; /* the first of the transaction; or empty */
};

/* The file, and names (list.c). */

/*
 * Reads the file: its filters, of which none is connected. False: faults were reported.
 * `can_quarantine`: there is a mailbox for that. *ret_text and *ret_list are owned by the
 * caller in any case.
 */
bool filters_read(const char *path, bool can_quarantine,
	const struct milter_report *report, char **ret_text, struct filter **ret_list,
	size_t *ret_n);

/* As spool_directory(); a fault is reported. */
int filters_directory(const struct account *owner, const char *state,
	char ret_path[static SPOOL_PATH_MAX], const struct milter_report *report);

/* "FILE:LINE: unix:/run/x.sock WHAT" */
void filter_put_fault(
	struct buf *to, const char *path, const struct filter *f, const char *what);

/* What to do where one cannot be connected to, behind "; "; or nothing (cure.c). */
void filter_put_cure(struct buf *to, const struct milter_setting *s, int error);

/* What other users than root need to connect to it. False: nothing is known. */
bool filter_put_reach(struct buf *to, const struct milter_setting *s);

/* Events of one filter (ask.c). Each returns NULL, or the refusal. */

/* Waits until it is connected, and negotiates. 0 or -errno, with a fault of the link. */
int filter_begin(struct filter *f);

/*
 * A buffer at the end of what is to be written, with room for n octets. 0 or -errno, with
 * a fault; filter_end_event() takes what was appended.
 */
int filter_room(struct filter *f, size_t n, struct buf *ret);
int filter_end_event(struct filter *f, const struct buf *b);

/* Reads an answer to the oldest event. 0 or -errno, with a fault of the link. */
int filter_answer(struct filter *f, unsigned seconds, struct milter_answer *ret);

/*
 * After an answer: true when more octets may be there, and none are owed. They are looked
 * for at once where that costs nothing, or where the filter said NR_*: then the answer
 * may have been one to an event that has none.
 */
bool filter_may_go_on(const struct filter *f);

/*
 * Reads what has come behind a verdict on a message: edits are dropped, and anything else
 * is an error. 0 or -errno, with a fault of the link.
 */
int filter_drop_late(struct filter *f);

/* Awaits the answers that are owed. NULL or a refusal. */
const struct reply *filter_await(struct filters_state *m, struct filter *f);

/*
 * The filter has failed. Closes it; the refusal of its default action, or NULL. Where the
 * session ends while it is waited for: the reply that ends it.
 */
const struct reply *filter_fail(struct filters_state *m, struct filter *f);

/* What a verdict means; NULL: nothing refuses. A discard is kept in the state. */
const struct reply *filter_verdict(
	struct filters_state *m, struct filter *f, const struct milter_answer *a);

const struct reply *filter_ask_mail(
	struct filters_state *m, struct filter *f, const struct tx *tx);
const struct reply *filter_ask_rcpt(struct filters_state *m, struct filter *f,
	const struct tx *tx, const struct recipient *r);
/* A recipient that was refused before: the filter's answer changes nothing. */
void filter_show_refused(struct filters_state *m, struct filter *f, const struct tx *tx,
	struct span mailbox, const struct reply *refusal, struct span text);
const struct reply *filter_ask_unknown(
	struct filters_state *m, struct filter *f, struct span line);
const struct reply *filter_ask_data(
	struct filters_state *m, struct filter *f, const struct tx *tx);

/*
 * The message has ended, for any reason. The filter gets the event of it with the next
 * one.
 */
void filter_end_message(struct filter *f);

/* Ends the conversation, and the connection. */
void filter_quit(struct filter *f);

/* Facts for records (facts.c). */

/* A filter was asked: keeps what it did, with its refusal or NULL. */
void facts_note(
	struct filters_state *m, const struct filter *f, const struct reply *refusal);
/* Writes what all filters have done with the transaction so far. */
void facts_write(struct filters_state *m);
/* The transaction has ended. */
void facts_clear(struct filters_facts *facts);

/* The trace of the session, if there is one (trace.c). */

/* An event was sent; `text`: what it says, a whole field, or a piece of the body. */
void trace_event(struct filter *f, enum milter_event event, struct span text);
void trace_answer(struct filter *f, const struct milter_answer *a);
void trace_terms(struct filter *f);
/* The filter has failed. */
void trace_failure(struct filter *f);

/* As struct milter_api has it (check.c). */
size_t filters_check(const struct milter_check *what, const struct milter_report *report);

/* Values of macros (values.c). */

/* All is known about the client: makes its texts, before the first event. */
void client_texts_make(struct filters_state *m);

/* Values of the session, the transaction, and of a recipient unless that is NULL. */
void values_make(struct milter_values *v, struct filters_state *m, const struct tx *tx,
	const struct recipient *to);

/* Changes of the envelope (envelope.c). */

/* Keeps what the filter asks for. 0 or -errno, with a fault. */
int changes_put(struct filters_state *m, struct filter *f, const struct milter_answer *a);
/* Forgets all but the first n. */
void changes_cut(struct changes *c, size_t n);
/* All filters are done. NULL or a refusal; or the message is to be discarded. */
const struct reply *changes_carry_out(struct filters_state *m, struct tx *tx);
void changes_done(struct changes *c);

/* The content (content.c). */

/* Shows the content to the filter, and carries out what it wants. NULL or a refusal. */
const struct reply *filter_ask_content(
	struct filters_state *m, struct filter *f, const struct tx *tx);

/* Passes the message on to the stages that deliver (deliver.c). NULL or a refusal. */
const struct reply *content_deliver(struct filters_state *m, const struct tx *tx);

/* The trace header as edits of filters count it: Received, and what stands above. */
void content_split_trace(
	const struct content *c, struct span *ret_top, struct span *ret_ours);
/* The text or the body, of which nothing has been read yet. They share one room. */
struct body content_text(struct content *c);
struct body content_body(struct content *c);
/* One step. 0 or -errno. */
int body_next(struct body *b);
/* The message cannot be kept or read. The refusal; the fault is kept for the record. */
const struct reply *content_fail(struct filters_state *m, int error);

void content_init(struct content *c);
/* Room for what is kept of a usual message, and for its text: 0 or -ENOMEM. */
void content_make_room(struct content *c);
int content_make_room_for_text(struct content *c);
void content_clear(struct content *c);
void content_done(struct content *c);
