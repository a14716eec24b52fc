/* SPDX-License-Identifier: ISC */
/*
 * The milter protocol, versions 2 to 6, from the mail server's side: frames, negotiation,
 * macros, events, answers, and edits of a header. It is pure code: no descriptors, clock
 * or allocation; memory is the caller's.
 *
 * A fault is a constant text that continues the name of a filter: "answered an event
 * that is not its own". After a fault the conversation cannot be resumed, so the caller
 * closes the connection and applies the default action of that filter.
 */
#pragma once

#include <stdint.h>
#include "base/buf.h"
#include "proto/conf.h"
#include "proto/network.h"

/* Frames: length (4 octets, big endian, counts the command), command, data. */

#define MILTER_FRAME_HEAD 5 /* octets of length and command */
/* octets of data that we send in a frame: libmilter refuses more than this */
#define MILTER_DATA_MAX 65535
#define MILTER_CHUNK_MAX MILTER_DATA_MAX /* octets of a piece of the body */
/*
 * Octets of a frame that a filter may send, its length included. A field of 64 KiB and a
 * piece of a replacement body fit.
 */
#define MILTER_FRAME_MAX 131072
/* rspamd sends a replacement body in one frame `b`, so this one may be longer */
#define MILTER_BODY_FRAME_MAX 0xffffff /* the value of its length */

struct milter_frame {
	char command;
	struct span data;
};

enum milter_step {
	MILTER_MORE, /* the frame has not arrived whole */
	MILTER_DONE,
	MILTER_WRONG, /* no frame: `fault` says why */
};

/* Of one connection; zero at its beginning. */
struct milter_reading {
	/* MILTER_MORE: octets that must be in *in at least; at most MILTER_FRAME_MAX */
	size_t n_needed;
	const char *fault; /* MILTER_WRONG */
	size_t n_left; /* octets of a long frame `b` that have not been taken */
};

/*
 * Takes one frame from the front of *in, and borrows from it. *in is moved only by
 * MILTER_DONE. A wrong length is found with the octet that makes it wrong, so that a
 * filter that is not one (HTTP, SMTP) is named at once. A frame `b` that is longer than
 * MILTER_FRAME_MAX becomes several of what has arrived, which mean the same.
 */
enum milter_step milter_frame_take(
	struct span *in, struct milter_frame *ret_frame, struct milter_reading *reading);

/*
 * Writing a frame: what is appended between these two is its data. Returns where it
 * begins. milter_frame_close() removes a frame for which there was no room, so that only
 * whole ones are in the buffer; to->overflow is set then.
 */
size_t milter_frame_open(struct buf *to, char command);
void milter_frame_close(struct buf *to, size_t begin);

/* Appends a text and its NUL, with "?" for each NUL in it; true if there was one. */
bool milter_put_string(struct buf *to, struct span text);

/* Negotiation. */

#define MILTER_VERSION_MIN 2
#define MILTER_VERSION 6

/* what a filter may do, as bits of the protocol */
enum milter_action {
	MILTER_ADD_FIELDS = 0x1,
	MILTER_CHANGE_BODY = 0x2,
	MILTER_ADD_RECIPIENTS = 0x4,
	MILTER_DELETE_RECIPIENTS = 0x8,
	MILTER_CHANGE_FIELDS = 0x10,
	MILTER_QUARANTINE_MESSAGE = 0x20,
	MILTER_CHANGE_SENDER = 0x40,
	MILTER_ADD_RECIPIENTS_WITH_PARAMETERS = 0x80,
	MILTER_SET_MACROS = 0x100,
	MILTER_ACTIONS = 0x1ff, /* all that are offered */
};

/* what a filter does not want, or does not answer, as bits of the protocol */
enum milter_option {
	MILTER_NO_CONNECT = 0x1,
	MILTER_NO_HELO = 0x2,
	MILTER_NO_MAIL = 0x4,
	MILTER_NO_RCPT = 0x8,
	MILTER_NO_BODY = 0x10,
	MILTER_NO_FIELDS = 0x20,
	MILTER_NO_END_OF_HEADER = 0x40,
	MILTER_NR_FIELDS = 0x80,
	MILTER_NO_UNKNOWN = 0x100,
	MILTER_NO_DATA = 0x200,
	MILTER_SKIP_ALLOWED = 0x400,
	MILTER_REJECTED_RCPT = 0x800, /* it wants refused recipients, too */
	MILTER_NR_CONNECT = 0x1000,
	MILTER_NR_HELO = 0x2000,
	MILTER_NR_MAIL = 0x4000,
	MILTER_NR_RCPT = 0x8000,
	MILTER_NR_DATA = 0x10000,
	MILTER_NR_UNKNOWN = 0x20000,
	MILTER_NR_END_OF_HEADER = 0x40000,
	MILTER_NR_BODY = 0x80000,
	MILTER_LEADING_SPACE = 0x100000, /* values go and come with the space in front */
	MILTER_OPTIONS = 0x1fffff, /* all that are offered */
};

/* for which event macros are; in the order of the protocol */
enum milter_stage {
	MILTER_AT_CONNECT,
	MILTER_AT_HELO,
	MILTER_AT_MAIL,
	MILTER_AT_RCPT,
	MILTER_AT_DATA,
	MILTER_AT_END, /* of the message */
	MILTER_AT_END_OF_HEADER,
	MILTER_STAGES,
};

/* the macros that can have a value */
enum milter_macro {
	MILTER_MACRO_HOSTNAME, /* j */
	MILTER_MACRO_DAEMON_NAME, /* {daemon_name} */
	MILTER_MACRO_DAEMON_ADDR, /* {daemon_addr} */
	MILTER_MACRO_DAEMON_PORT, /* {daemon_port} */
	MILTER_MACRO_VERSION, /* v */
	MILTER_MACRO_CLIENT, /* _: "name [address]" */
	MILTER_MACRO_CLIENT_ADDR, /* {client_addr} */
	MILTER_MACRO_CLIENT_PORT, /* {client_port} */
	MILTER_MACRO_CLIENT_NAME, /* {client_name} */
	MILTER_MACRO_CLIENT_PTR, /* {client_ptr} */
	MILTER_MACRO_TLS_VERSION, /* {tls_version} */
	MILTER_MACRO_CIPHER, /* {cipher} */
	MILTER_MACRO_CIPHER_BITS, /* {cipher_bits} */
	MILTER_MACRO_CERT_SUBJECT, /* {cert_subject} */
	MILTER_MACRO_CERT_ISSUER, /* {cert_issuer} */
	MILTER_MACRO_TLS_SNI, /* {tls_sni} */
	MILTER_MACRO_ID, /* i */
	MILTER_MACRO_PROTOCOL, /* r: "ESMTPS" */
	MILTER_MACRO_DATE, /* b: RFC 5322 3.3 */
	MILTER_MACRO_AUTH_TYPE, /* {auth_type} */
	MILTER_MACRO_AUTH_AUTHEN, /* {auth_authen} */
	MILTER_MACRO_AUTH_AUTHOR, /* {auth_author} */
	MILTER_MACRO_MAIL_ADDR, /* {mail_addr}: without brackets */
	MILTER_MACRO_MAIL_HOST, /* {mail_host} */
	MILTER_MACRO_MAIL_MAILER, /* {mail_mailer} */
	MILTER_MACRO_RCPT_ADDR, /* {rcpt_addr} */
	MILTER_MACRO_RCPT_HOST, /* {rcpt_host} */
	MILTER_MACRO_RCPT_MAILER, /* {rcpt_mailer} */
	MILTER_MACROS,
};

/* Values of macros; p is NULL for one that has none and is left out. */
struct milter_values {
	struct span of[MILTER_MACROS];
};

/* What was agreed with a filter. */
struct milter_terms {
	uint32_t version; /* 2 to 6 */
	uint32_t actions; /* of enum milter_action; as the filter said */
	uint32_t options; /* of enum milter_option; without what its version lacks */
	/* the macros that it gets at each stage: bits 1 << enum milter_macro */
	uint32_t macros[MILTER_STAGES];
};

/* Appends our offer, the frame `O`: version 6, all actions, all options. */
void milter_put_offer(struct buf *to);

/*
 * Reads the answer to the offer. NULL, or a fault: another command, a wrong size, a
 * version below 2 or above 6, an action that was not offered, an odd list of macros.
 * Options that were not offered are ignored; names of macros without a meaning here, too.
 */
const char *milter_terms_take(const struct milter_frame *frame, struct milter_terms *ret);

/* Appends the names of actions or options with a blank between them, for --check. */
void milter_put_actions(struct buf *to, uint32_t actions);
void milter_put_options(struct buf *to, uint32_t options);

/*
 * The conversation with one filter: which events it still gets, and which answers it
 * still owes. An event is sent like this:
 *
 *   if (milter_wants_macros(t, event))
 *           milter_put_macros(to, t, event, &values);
 *   if (milter_wants(t, event)) {
 *           milter_put_...(to, ...);
 *           milter_sent(t, event);
 *   }
 *
 * and several in one write. Then, until milter_owes() is false, frames are read and given
 * to milter_answer_take(). All that a filter sends while it owes nothing is a fault.
 */

/* in their order; `A` and `Q` are no events: they are sent always and never answered */
enum milter_event {
	MILTER_CONNECT, /* C */
	MILTER_HELO, /* H */
	MILTER_MAIL, /* M */
	MILTER_RCPT, /* R */
	MILTER_DATA, /* T */
	MILTER_FIELD, /* L */
	MILTER_END_OF_HEADER, /* N */
	MILTER_BODY, /* B */
	MILTER_END, /* E */
	MILTER_UNKNOWN, /* U */
	MILTER_EVENTS,
};

#define MILTER_OWED_MAX 8 /* events sent and not yet answered */

struct milter_talk {
	struct milter_terms terms;
	bool session_accepted; /* `a` at connect or helo: no more events at all */
	bool message_accepted; /* `a` at another one: none until the message has ended */
	/* bits 1 << enum milter_event: `s`, until the message has ended */
	uint32_t skipped;
	unsigned char owed[MILTER_OWED_MAX]; /* events, the oldest first */
	size_t n_owed;
	size_t n_late; /* of these, the first: their answers have no effect */
	bool ended; /* the verdict on MILTER_END has come, and no event was sent since */
};

/* Begins a conversation on these terms. */
void milter_talk_begin(struct milter_talk *t, const struct milter_terms *terms);

/*
 * True when the event is to be sent. MILTER_END always is, unless the filter accepted the
 * message: NO_BODY and skip do not change that.
 */
bool milter_wants(const struct milter_talk *t, enum milter_event event);

/*
 * The same for the macros of the event, which are sent even if the event is not; false
 * for events that have none.
 */
bool milter_wants_macros(const struct milter_talk *t, enum milter_event event);

/* True when the filter gets recipients that were refused already. */
bool milter_wants_rejected(const struct milter_talk *t);

/*
 * After an event was written to a buffer: its answer is owed, unless the filter said
 * NR_*. At most MILTER_OWED_MAX are; false, and nothing changed, if there is no room.
 */
bool milter_sent(struct milter_talk *t, enum milter_event event);

/*
 * Called after milter_sent() of an event whose answer has no effect: the answer comes as
 * `late`, and ends no events.
 */
void milter_drops_answer(struct milter_talk *t);

/* The words of records and traces: "RCPT", "end of message". */
const char *milter_event_word(enum milter_event event);

/*
 * True when the filter said NR_* of an event: what comes as the answer to another one may
 * be an answer to that, so that more may follow behind it.
 */
bool milter_is_silent(const struct milter_talk *t);

/* True while an answer is owed. */
bool milter_owes(const struct milter_talk *t);

/*
 * After each message: accepted, refused here or by another filter, RSET, EHLO. All that
 * the filter said about the message is forgotten. `A` must have been sent. Answers that
 * are still owed stay so; they come as `late`, and have no effect on the next message.
 */
void milter_talk_reset(struct milter_talk *t);

/* Appends the macros of the event: the frame `D`, or nothing when none has a value. */
void milter_put_macros(struct buf *to, const struct milter_talk *t,
	enum milter_event event, const struct milter_values *values);

/*
 * Events. Each appends one whole frame, or sets to->overflow and appends nothing. A NUL
 * in a text cannot be sent, so "?" is sent in its place.
 */

/* `name`: a host name, or the address in brackets; ip.n may be 0: no address */
void milter_put_connect(
	struct buf *to, struct span name, const struct ip *ip, uint16_t port);
void milter_put_helo(struct buf *to, struct span name);
/* `path` with its brackets; `params` as in the command, with blanks between them */
void milter_put_mail(struct buf *to, struct span path, struct span params);
void milter_put_rcpt(struct buf *to, struct span path, struct span params);
void milter_put_data(struct buf *to);
/* `line`: the command that is unknown, without CRLF */
void milter_put_unknown(struct buf *to, struct span line);

enum milter_field_note { /* bits */
	MILTER_FIELD_CUT = 1, /* the filter got the first 64 KiB of it */
	MILTER_FIELD_NUL = 2, /* it got "?" for each NUL */
};

/*
 * `field`: its lines as they are stored, with or without the last line end. Line ends
 * become LF, the last one is left out; without MILTER_LEADING_SPACE in `options` so is
 * one space behind the colon. Returns bits of enum milter_field_note, for the record.
 */
unsigned milter_put_field(struct buf *to, struct span field, uint32_t options);
void milter_put_end_of_header(struct buf *to);
/* The head of a piece of the body, of which n octets follow: 1 to MILTER_CHUNK_MAX. */
void milter_put_body_head(struct buf *to, size_t n);
void milter_put_end(struct buf *to);
void milter_put_abort(struct buf *to);
void milter_put_quit(struct buf *to);

/*
 * The body as filters see it, with CRLF: appends octets of *text and takes them off,
 * until either is used up. Each LF without a CR in front gets one. *cr: the last octet
 * was a CR; false at the start of the body.
 */
void milter_put_crlf(struct buf *to, struct span *text, bool *cr);

/*
 * The reverse, for a replacement body that comes in pieces: appends with LF ends. *cr: a
 * CR is held back; false at the start. milter_put_lf_end() appends one at the end.
 */
void milter_put_lf(struct buf *to, struct span *text, bool *cr);
void milter_put_lf_end(struct buf *to, bool *cr);

/* Answers. */

#define MILTER_ENHANCED_MAX 10 /* "5.999.999" and a NUL */

enum milter_kind {
	/* verdicts: one ends the waiting for an event */
	MILTER_CONTINUE, /* c */
	MILTER_ACCEPT, /* a */
	MILTER_REJECT, /* r; at MILTER_RCPT of that recipient, as the next two */
	MILTER_TEMPFAIL, /* t */
	MILTER_REPLY, /* y: `code`, `enhanced`, `text` */
	MILTER_DISCARD, /* d; of the message, also at MILTER_RCPT */
	MILTER_SHUTDOWN, /* 4: 421, the session ends */
	MILTER_FAIL, /* f: treated as a failure of the filter */
	MILTER_SKIP, /* s */
	/* no verdict; more follows */
	MILTER_PROGRESS, /* p: the timeout begins again */
	/* edits, before the verdict on MILTER_END */
	MILTER_ADD, /* h: `name`, `value` */
	MILTER_INSERT, /* i: `index`, `name`, `value` */
	MILTER_CHANGE, /* m: `index`, `name`, `value` */
	MILTER_BODY_PIECE, /* b: `value` */
	MILTER_RCPT_ADD, /* +, 2: `value`: a path with or without brackets; `params` */
	MILTER_RCPT_DELETE, /* -: `value` */
	MILTER_SENDER, /* e: `value`, `params` */
	MILTER_QUARANTINE, /* q: `value`: the reason */
};

struct milter_answer {
	enum milter_kind kind;
	enum milter_event event; /* which it answers */
	/*
	 * about a message that has ended, behind its verdict, or to an event by which the
	 * filter was only told something: the caller ignores it
	 */
	bool late;
	uint32_t index;
	struct span name, value, params; /* borrow from the frame */
	unsigned code; /* 400 to 599; 421 ends the session */
	char enhanced[MILTER_ENHANCED_MAX]; /* "5.7.1"; empty: none was given */
};

/*
 * Reads a frame as the next answer that is owed, and draws its consequences in *t: which
 * events the filter still gets. NULL, or a fault:
 * - nothing is owed (an answer in spite of NR_*, or a second verdict); but an edit behind
 *   the verdict on a message is `late`, as rspamd may send a signature there
 * - the command is none, or not one of this event: an edit before the end of the message,
 *   `d` at connect or helo, `s` where nothing can be skipped
 * - the data is not that of the command: a missing NUL, octets left over
 * - the text of `y`: see milter_put_reply()
 */
const char *milter_answer_take(struct milter_talk *t, const struct milter_frame *frame,
	struct milter_answer *ret);

/* True for a verdict; false for edits, a quarantine and progress. */
bool milter_is_verdict(enum milter_kind kind);

/* The word of a record: "continue", "add-field". */
const char *milter_kind_word(enum milter_kind kind);

/*
 * The text of `y` is the value of its answer:
 *
 *   text     = line *( CRLF line ) [ CRLF ]
 *   line     = code [ ( SP / "-" ) [ enhanced SP ] *octet ]
 *   code     = ( "4" / "5" ) 2DIGIT
 *
 * All lines have one code; the class of an enhanced code is that of the code. CR and LF
 * stand nowhere else. Appends the texts of the lines, without codes; "%%" becomes "%".
 * `between` them: LF, as reply_put() takes them, or a space for one line of text. Other
 * octets are not checked: reply_put() and records escape them.
 */
#define MILTER_REPLY_LINES_MAX 32 /* as libmilter */
void milter_put_reply(struct buf *to, struct span text, char between);

/*
 * Edits of a header: a list of fields, of which each is a part of the text of the message
 * or new text. The list holds the fields that are delivered, in their order; one of
 * them stands for our own (Received), and is never changed.
 */

#define MILTER_HEADER_MAX 1048576 /* octets; a message with more is a fault */
#define MILTER_FIELDS_MAX 16384 /* fields of a message, those of filters included */
#define MILTER_NEW_TEXT_MAX 1048576 /* octets of all new fields of a message */

struct milter_header {
	size_t n; /* octets of all fields, their line ends included */
	size_t n_separator; /* of the empty line behind them; 0: there is none */
};

/*
 * Finds the end of the header in the beginning of a message: an empty line, or a line
 * that is neither a field nor the continuation of one, with which the body begins.
 * `whole`: no more text follows. False: the end is further on.
 */
bool milter_header_find(struct span text, bool whole, struct milter_header *ret);

struct milter_field {
	struct span text; /* with its line end */
	size_t n_name;
	bool ours;
};

#define MILTER_LAST_NAME_MAX 64 /* octets of a name that is kept after a search */

struct milter_edits {
	/* memory of the caller */
	struct milter_field *fields;
	struct milter_field *saved; /* as large */
	size_t cap; /* fields that fit into each; MILTER_FIELDS_MAX is enough */
	struct buf text; /* of new fields; MILTER_NEW_TEXT_MAX is enough */
	/* state */
	size_t n, n_saved, n_text_saved;
	bool changed, changed_saved;
	bool full; /* the last fault is a limit, which a long message brings about, too */
	/*
	 * The last search: so many fields of this name are in front of this place.
	 * Without it a filter that removes thousands of equal fields takes seconds.
	 */
	struct {
		char name[MILTER_LAST_NAME_MAX];
		size_t n_name; /* 0: there is none */
		size_t at;
		uint32_t before;
	} last;
};

/*
 * Fills the list: our own field first (`ours`, one or more lines with line ends, may be
 * empty), then those of `header`, which both must stay in memory. NULL, or a fault: too
 * many fields, or more than MILTER_HEADER_MAX.
 */
const char *milter_edits_begin(
	struct milter_edits *e, struct span ours, struct span header);

/* Before the end of the message is sent to a filter: keeps the list as it is. */
void milter_edits_save(struct milter_edits *e);

/* After a fault of that filter: all of its edits are undone. */
void milter_edits_restore(struct milter_edits *e);

/*
 * Applies MILTER_ADD, MILTER_INSERT or MILTER_CHANGE. NULL, or a fault: a name that is
 * none, or, with e->full, too many fields or too much text. `options`: for
 * MILTER_LEADING_SPACE.
 *
 * ADD appends. INSERT counts in the list: 0 is above our own field, 1 directly below it,
 * and a number above the count is the end. CHANGE counts the fields of that name without
 * ours, from 1 (0 is 1): an empty value deletes, and one that does not exist is added.
 * A run of line breaks in a value becomes one LF, with a TAB where no blank follows;
 * those at its end are dropped. A field of a filter is thus always one field.
 */
const char *milter_edits_apply(
	struct milter_edits *e, const struct milter_answer *a, uint32_t options);

/* The next field for a filter, which never gets ours. *at: 0 at first. False: the end. */
bool milter_edits_next(const struct milter_edits *e, size_t *at, struct span *ret_field);

/*
 * Appends the fields as they are delivered, and takes up where it stopped for lack of
 * room. *at: 0 at first; true when all are written. A field is not longer than
 * MILTER_HEADER_MAX, and is written in pieces if need be.
 */
struct milter_walk {
	size_t field, octet;
};
bool milter_edits_put(
	const struct milter_edits *e, struct milter_walk *at, struct buf *to);

/* One line of the file `milters`. */

enum milter_default {
	MILTER_DEFAULT_TEMPFAIL, /* 451 */
	MILTER_DEFAULT_ACCEPT, /* as if the filter were not there */
	MILTER_DEFAULT_REJECT, /* 550 */
	MILTER_DEFAULT_SHUTDOWN, /* 421 */
	MILTER_DEFAULT_QUARANTINE,
};

/* "tempfail" */
const char *milter_default_word(enum milter_default action);

#define MILTER_PATH_MAX                                                                  \
	107 /* octets of the path of a UNIX socket: sun_path and its NUL */
#define MILTER_TIMEOUT_MAX 3600 /* seconds */

struct milter_setting {
	struct span address; /* as written, "inet:127.0.0.1:11332": the filter's name */
	struct span path; /* of a UNIX socket; empty: `ip` and `port` */
	struct ip ip;
	uint16_t port;
	enum milter_default default_action;
	/* seconds, 1 to MILTER_TIMEOUT_MAX */
	unsigned connect_timeout, command_timeout, content_timeout;
};

/*
 * line    = [ address *( 1*WSP option ) ] *WSP
 * address = "unix:/" path / "inet:" ipv4 ":" port / "inet:[" ipv6 "]:" port
 * option  = "default-action=" ( "accept" / "reject" / "tempfail" / "shutdown" /
 *           "quarantine" ) / "connect-timeout=" time / "command-timeout=" time /
 *           "content-timeout=" time
 * time    = 1*DIGIT [ "s" / "m" / "h" ]
 *
 * Each option once. Borrows from `line`, which has no line end. One of ret and ret_fault
 * is filled, as by rule_parse().
 */
enum rule_line milter_line_parse(
	struct span line, struct milter_setting *ret, struct rule_fault *ret_fault);
