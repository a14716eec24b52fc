/* SPDX-License-Identifier: ISC */
/* Changes of mail filters after recipients were accepted: other mailboxes, or none. */
#include "edge/store/maildir-parts.h"
#include <stdio.h>

/* Numbers of boxes are in the order of the recipients that added them. */
void maildir_drop(struct stage *st, struct recipient *r)
{
	struct maildir *m = (struct maildir *)st;
	size_t n_boxes = 0;

	for (size_t i = 0; i < r->slot; i++)
		if (m->goals[i] >= n_boxes)
			n_boxes = m->goals[i] + 1;
	maildir_drop_boxes(m, r, n_boxes);
}

const struct reply *maildir_divert(struct maildir *m, struct tx *tx, const char *path)
{
	struct recipients_place place = {
		.may_create = true, .is_named = true, .n_fixed = strlen(path)
	};
	const struct reply *refusal = NULL;
	bool is_elsewhere = false;

	snprintf(place.path, sizeof(place.path), "%s", path);
	/* also of those that a refusal leaves without the new mailbox */
	for (size_t i = 0; i < tx->n_recipients; i++)
		tx->recipients[i].slot = tx->recipients[i].n_slots = 0;
	maildir_drop_boxes(m, &tx->recipients[0], 0);
	for (size_t i = 0; i < tx->n_recipients && !refusal && !is_elsewhere; i++) {
		struct recipient *r = &tx->recipients[i];
		r->slot = m->n_goals;
		r->n_slots = 0;
		if (r->left_out)
			continue;
		/* one walk for all: a message may have very many recipients */
		if (m->n_boxes > 0) {
			refusal = maildir_add_goal(m, r, 0);
			continue;
		}
		place.local = r->local;
		place.domain = r->domain;
		refusal = maildir_take_place(m, tx, r, &place, &is_elsewhere);
	}
	return is_elsewhere ? reply_get(REPLY_STORE_FAILED) : refusal;
}
