/* SPDX-License-Identifier: ISC */
/*
 * The client's end of a connection. Every wait has a time limit, and a TLS session must end with close_notify. The
 * content of octets is not examined.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "process.h"

#define PATIENCE_SECONDS 20 /* limit of each wait, which only a fault can reach */
#define READ_MAX (64 * 1024)
#define ALERT_RECORD 21 /* RFC 8446 5.1 */

static const char old_priority[] = "NORMAL:-VERS-ALL:+VERS-TLS1.0:%COMPAT";

static struct process *process_of(struct way *w)
{
	return (struct process *)w;
}

static bool raw_send(struct process *p, struct span s)
{
	while (s.n) {
		ssize_t put = send(p->fd, s.p, s.n, MSG_NOSIGNAL);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return way_fail(&p->way, "sending: %s", strerror(errno));
		s = span_from(s, (size_t)put);
	}
	return true;
}

static bool process_send(struct way *w, struct span octets)
{
	struct process *p = process_of(w);

	if (!p->tls)
		return raw_send(p, octets) && process_start(p);
	while (octets.n) {
		ssize_t put = gnutls_record_send(p->tls, octets.p, octets.n);
		if (put == GNUTLS_E_INTERRUPTED || put == GNUTLS_E_AGAIN)
			continue;
		if (put < 0)
			return way_fail(w, "sending: %s", gnutls_strerror((int)put));
		octets = span_from(octets, (size_t)put);
	}
	return true;
}

/* As recv(2); errors come as texts. */
static ssize_t receive(struct process *p, char *to, size_t n)
{
	ssize_t got;

	if (p->tls) {
		do
			got = gnutls_record_recv(p->tls, to, n);
		while (got == GNUTLS_E_INTERRUPTED);
		if (got == GNUTLS_E_PREMATURE_TERMINATION && p->cut)
			return 0;
		if (got < 0)
			way_fail(&p->way, "TLS: %s", gnutls_strerror((int)got));
		return got;
	}
	do
		got = recv(p->fd, to, n, 0);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		way_fail(&p->way, "%s",
			errno == EAGAIN ? "it says nothing" : strerror(errno));
	return got;
}

static bool process_more(struct way *w)
{
	char octets[READ_MAX];
	ssize_t got;

	if (!process_start(process_of(w)))
		return false;
	got = w->closed ? 0 : receive(process_of(w), octets, sizeof(octets));
	w->closed |= got == 0;
	if (got <= 0)
		return false;
	text_put(&w->arena, &w->got, (struct span){ octets, (size_t)got });
	return true;
}

static bool shake_hands(struct process *p, const char *priority)
{
	int r = gnutls_init(&p->tls, GNUTLS_CLIENT | GNUTLS_NO_SIGNAL);

	if (r == 0)
		r = gnutls_certificate_allocate_credentials(&p->credentials);
	if (r == 0)
		r = gnutls_priority_set_direct(p->tls, priority, NULL);
	if (r == 0)
		r = gnutls_credentials_set(
			p->tls, GNUTLS_CRD_CERTIFICATE, p->credentials);
	if (r < 0)
		return way_fail(&p->way, "TLS client: %s", gnutls_strerror(r));
	gnutls_transport_set_int(p->tls, p->fd);
	do
		r = gnutls_handshake(p->tls);
	while (r < 0 && !gnutls_error_is_fatal(r) && r != GNUTLS_E_AGAIN);
	return r == 0 || way_fail(&p->way, "handshake: %s", gnutls_strerror(r));
}

/* The handshake must fail, and the server must send an alert. */
static bool fail_to_shake_hands(struct process *p)
{
	const char *alerted = gnutls_strerror(GNUTLS_E_FATAL_ALERT_RECEIVED);

	if (shake_hands(p, old_priority))
		return way_fail(&p->way, "the handshake did not fail");
	gnutls_deinit(p->tls);
	p->tls = NULL;
	return strstr(p->way.fault, alerted) != NULL;
}

/* Expects an alert, then the end. */
static bool take_alert(struct process *p)
{
	struct text *got = &p->way.got;

	while (process_more(&p->way))
		;
	if (got->n < 2 || got->p[0] != ALERT_RECORD || !p->way.closed)
		return way_fail(&p->way, "no alert and end, but %zu octets", got->n);
	text_drop(got, got->n);
	return true;
}

/* Half-closes; in TLS with a close_notify if `kind` requires it. */
static bool end_half(struct process *p, enum step_kind kind)
{
	if (p->tls && kind == STEP_EOF)
		gnutls_bye(p->tls, GNUTLS_SHUT_WR);
	p->ended = true;
	p->cut = kind == STEP_CUT;
	return shutdown(p->fd, SHUT_WR) == 0 || errno == ENOTCONN ||
	       way_fail(&p->way, "shutdown: %s", strerror(errno));
}

static bool process_event(struct way *w, enum step_kind kind)
{
	struct process *p = process_of(w);

	if (!process_start(p))
		return false;
	switch (kind) {
	case STEP_TLS:
		return shake_hands(p, "NORMAL");
	case STEP_TLS_FAILS:
		return fail_to_shake_hands(p);
	case STEP_ALERT:
		return take_alert(p);
	case STEP_EOF:
	case STEP_CUT:
		return end_half(p, kind);
	case STEP_SIGTERM:
		return kill(p->pid, SIGTERM) == 0;
	default:
		return true;
	}
}

/* The exit status, or -1 when the process had to be killed. */
static int reap(struct process *p)
{
	const struct timespec nap = { .tv_nsec = 10 * 1000 * 1000 };
	int status;

	for (int i = 0; i < 100 * PATIENCE_SECONDS; i++) {
		if (waitpid(p->pid, &status, WNOHANG) == p->pid)
			return status;
		nanosleep(&nap, NULL);
	}
	kill(p->pid, SIGKILL);
	waitpid(p->pid, &status, 0);
	return -1;
}

static bool process_finish(struct way *w)
{
	struct process *p = process_of(w);
	int status;

	if (!process_start(p))
		return false;
	if (!p->ended)
		end_half(p, w->closed ? STEP_CUT : STEP_EOF);
	while (process_more(w))
		;
	close(p->fd);
	p->fd = -1;
	status = reap(p);
	if (status != 0)
		return way_fail(w, "wait status 0x%x; see %s", (unsigned)status, p->log);
	if (!w->closed)
		return false;
	return records_read(w, p->log) && maildirs_read(w, p->mail) &&
	       (!p->outbox || maildirs_read_outbox(w, p->outbox));
}

const struct way_ops process_ops = {
	.send = process_send,
	.more = process_more,
	.event = process_event,
	.finish = process_finish,
};
