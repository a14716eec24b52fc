/*
 * A stage is one of those who have a say in a transaction: policy first, delivery last.
 * Each hook returns NULL, or the reply that refuses; a refusal stops the walk. A hook may
 * be absent. Where `mail` returns REPLY_MISCONFIGURED the session ends.
 */
#pragma once

#include "smtp/tx.h"

struct stage;

struct stage_ops {
	const struct reply *(*mail)(struct stage *st, const struct tx *tx);
	const struct reply *(*rcpt)(
		struct stage *st, const struct tx *tx, struct recipient *r);
	/* The content is about to come; `trace` goes on top of it. */
	const struct reply *(*data)(
		struct stage *st, const struct tx *tx, struct span trace);
	const struct reply *(*body)(
		struct stage *st, const struct tx *tx, struct span text);
	/*
	 * All content is there: do whatever can fail. Both may refuse single recipients by
	 * their reply, commit only with tx->each, as all or nobody gets the message without.
	 * It leaves out who has one already, and never follows a refused prepare.
	 */
	const struct reply *(*prepare)(struct stage *st, struct tx *tx);
	const struct reply *(*commit)(struct stage *st, struct tx *tx);
	/* The transaction is over, however it ended: once for each stage, asked or not. */
	void (*clear)(struct stage *st);
};

struct stage {
	const struct stage_ops *ops;
	/*
	 * What is wrong with this host, in a transaction in which something was refused or left undone for it: such
	 * as "/srv/mail/a/new: Permission denied". NULL: nothing. Kept by the stage until it is cleared.
	 */
	const char *fault;
};

/* The stages of a session, in order. */
struct stages {
	struct stage *const *list;
	size_t n;
};

const struct reply *stages_mail(const struct stages *s, const struct tx *tx);
const struct reply *stages_rcpt(
	const struct stages *s, const struct tx *tx, struct recipient *r);
const struct reply *stages_data(
	const struct stages *s, const struct tx *tx, struct span trace);
const struct reply *stages_body(
	const struct stages *s, const struct tx *tx, struct span text);
/*
 * Every prepare, then every commit. NULL when the message is delivered to all; with
 * `each`, to those who have no reply of their own, at least one.
 */
const struct reply *stages_deliver(const struct stages *s, struct tx *tx, bool each);
/* The first fault of this host that a stage has; NULL: none. */
const char *stages_fault(const struct stages *s);
void stages_clear(const struct stages *s);
