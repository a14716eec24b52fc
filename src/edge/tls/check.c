/*
 * What `postern --check` says of TLS: all that loading says, counted, and what is too
 * dear or too mild to be looked at for each connection.
 */
#include "edge/tls/credentials.h"

#include <errno.h>
#include "base/cleanup.h"
#include "edge/tls/file.h"

struct counter {
	const struct tls_report *report;
	size_t n;
};

static void count(void *ctx, const char *text)
{
	struct counter *counter = ctx;

	counter->n++;
	counter->report->fault(counter->report->ctx, text);
}

static void check_key_mode(const struct tls_settings *settings, const char *path,
	const struct tls_report *report)
{
	CLEANUP(tls_file_done) struct tls_file file = { 0 };
	struct tls_fault fault;

	/* What cannot be read has been said already. */
	if (tls_file_read(settings, path, &file) < 0 ||
		!tls_file_shared_with_others(&file))
		return;
	tls_fault_set(&fault,
		"tls-key %s: is open to everyone; take that away (chmod o-rwx)", path);
	tls_fault_report(&fault, report);
}

size_t tls_credentials_check_priority(
	const char *priority, const struct tls_report *report)
{
	gnutls_priority_t parsed = NULL;
	struct tls_fault fault;
	int r = tls_credentials_priority(priority, &parsed, &fault);

	if (r == 0)
		gnutls_priority_deinit(parsed);
	else if (r == -ENOMEM)
		tls_fault_set(&fault, "tls-priority: not enough memory to read it");
	if (r < 0)
		tls_fault_report(&fault, report);
	return r < 0;
}

size_t tls_credentials_check(
	const struct tls_settings *settings, const struct tls_report *report)
{
	struct counter counter = { report, 0 };
	const struct tls_report counting = { &counter, count };
	struct tls_credentials *credentials = NULL;
	int r = tls_credentials_load(settings, &counting, &credentials);

	if (r == -ENOMEM)
		count(&counter, "tls-certificate: not enough memory to load it");
	for (size_t i = 0; i < settings->n_pairs && i < TLS_PAIR_MAX; i++)
		check_key_mode(settings, settings->pairs[i].key, &counting);
	tls_credentials_free(credentials);
	return counter.n;
}
