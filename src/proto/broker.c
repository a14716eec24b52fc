/* SPDX-License-Identifier: ISC */
/*
 * What a request to the broker may be. The sender may be a connection that was taken
 * over: each field is checked, also one that the operation does not use.
 */
#include "proto/broker.h"
#include <string.h>

#define IN(phase) (1U << (phase))
#define WITH_FILES (IN(BROKER_OPENED) | IN(BROKER_LINKED))
#define AFTER_FILES (WITH_FILES | IN(BROKER_WITHDRAWN))

static const struct operation {
	unsigned phases; /* in which it may come */
	enum broker_phase next; /* BROKER_WRONG: the phase stays */
	bool of_reports; /* mail has all of them */
	bool has_answer;
	bool has_error;
} operations[BROKER_OPERATIONS] = {
	[BROKER_RECIPIENT] = { IN(BROKER_BEGUN), BROKER_WRONG, false, true, false },
	[BROKER_DROP] = { IN(BROKER_BEGUN), BROKER_WRONG, false, false, false },
	[BROKER_DIVERT] = { IN(BROKER_BEGUN), BROKER_WRONG, false, true, false },
	[BROKER_OPEN] = { IN(BROKER_BEGUN) | WITH_FILES, BROKER_WRONG, true, true,
		false },
	[BROKER_SYNCS] = { AFTER_FILES, BROKER_WRONG, true, true, false },
	[BROKER_FILE_FAILED] = { AFTER_FILES, BROKER_WRONG, true, false, true },
	[BROKER_SYNC_FAILED] = { AFTER_FILES, BROKER_WRONG, true, false, true },
	[BROKER_REFUSE] = { IN(BROKER_OPENED), BROKER_WRONG, false, false, false },
	[BROKER_JUDGE] = { AFTER_FILES, BROKER_WRONG, true, true, false },
	[BROKER_COMMIT] = { WITH_FILES, BROKER_LINKED, true, true, false },
	[BROKER_WITHDRAW] = { IN(BROKER_LINKED), BROKER_WITHDRAWN, true, true, false },
	[BROKER_TRACE] = { IN(BROKER_BEGUN) | AFTER_FILES, BROKER_WRONG, false, true,
		false },
	[BROKER_CLEAR] = { IN(BROKER_BEGUN) | AFTER_FILES, BROKER_BEGUN, true, false,
		false },
};

/* Only octets that are part of a file name anywhere; `more` lists some beside these. */
static bool are_of_name(const char *s, size_t n, const char *more)
{
	for (size_t i = 0; i < n; i++) {
		char c = s[i];
		if (c == '\0')
			return false;
		if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') &&
			!(c >= 'A' && c <= 'Z') && !strchr(".,=-_", c) &&
			!strchr(more, c))
			return false;
	}
	return n == 0 || *s != '.';
}

/* Ends in its field, or is empty. */
static bool is_name(const char *s, size_t size)
{
	size_t n = strnlen(s, size);

	return n < size && are_of_name(s, n, "");
}

static bool is_address(const struct broker_request *r)
{
	const char *a = r->address;

	if (r->n_local > sizeof(r->address) || r->n_domain > sizeof(r->address) ||
		r->n_local + r->n_domain > sizeof(r->address))
		return false;
	if ((r->operation == BROKER_RECIPIENT || r->operation == BROKER_TRACE) !=
		(r->n_local > 0))
		return false;
	if (r->operation == BROKER_TRACE)
		return r->n_domain == 0 && r->n_local < BROKER_NAME_MAX &&
		       are_of_name(a, r->n_local, ":");
	for (size_t i = 0; i < r->n_local + r->n_domain; i++)
		if ((unsigned char)a[i] < ' ' || a[i] == '\x7f')
			return false;
	return true;
}

bool broker_is_valid(const struct broker_request *r)
{
	bool has_error;

	if (r->operation >= BROKER_OPERATIONS || r->delivery >= BROKER_DELIVERIES ||
		(r->flags & ~(uint32_t)BROKER_FLAGS))
		return false;
	has_error = operations[r->operation].has_error;
	if (has_error ? r->error >= 0 || r->error < -BROKER_ERRNO_MAX : r->error != 0)
		return false;
	return is_name(r->id, sizeof(r->id)) && is_name(r->source, sizeof(r->source)) &&
	       is_address(r);
}

enum broker_phase broker_next(enum broker_phase now, const struct broker_request *r)
{
	const struct operation *o = &operations[r->operation];

	if (!(o->phases & IN(now)) || (r->delivery == BROKER_REPORT && !o->of_reports))
		return BROKER_WRONG;
	if (r->operation == BROKER_OPEN && now == BROKER_BEGUN)
		return *r->id ? BROKER_OPENED : BROKER_WRONG;
	return o->next == BROKER_WRONG ? now : o->next;
}

bool broker_has_answer(const struct broker_request *r)
{
	return operations[r->operation].has_answer;
}
