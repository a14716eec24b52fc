/*
 * Promises one cause for each session, the same for the same facts, and that the more
 * telling fact comes first. Refuses to word it.
 */
#include "smtp/cause.h"
#include "proto/tls-names.h"
#include "smtp/negotiation.h"

/* By the alert that we sent, as that is the library's own verdict. */
static enum cause refused_hello(const struct session *s, const struct tls_failure *f)
{
	switch (f->alert) {
	case TLS_ALERT_NO_APPLICATION_PROTOCOL:
		return CAUSE_PROTOCOL;
	case TLS_ALERT_INAPPROPRIATE_FALLBACK:
		return CAUSE_FALLBACK;
	case TLS_ALERT_HANDSHAKE_FAILURE:
	case TLS_ALERT_PROTOCOL_VERSION:
		return s->secured || f->answered ? CAUSE_MALFORMED : negotiation_cause(f);
	default:
		return f->opening.bad_name && !f->answered ? CAUSE_NAME : CAUSE_MALFORMED;
	}
}

static enum cause refused(const struct session *s, const struct tls_failure *f)
{
	switch (f->opening.kind) {
	case TLS_OPENING_HTTP:
		return CAUSE_HTTP;
	case TLS_OPENING_TEXT:
		return s->settings->tls == TLS_IMPLICIT ? CAUSE_CLEAR_IMPLICIT
							: CAUSE_CLEAR;
	case TLS_OPENING_OTHER:
		return CAUSE_NOT_TLS;
	case TLS_OPENING_HELLO:
		return refused_hello(s, f);
	default:
		return CAUSE_MALFORMED;
	}
}

static enum cause alerted(const struct session *s, const struct tls_failure *f)
{
	if (!s->secured && !f->answered)
		return f->opening.kind == TLS_OPENING_HELLO ? CAUSE_ALERT
							    : CAUSE_EARLY_ALERT;
	switch (f->alert) {
	case TLS_ALERT_BAD_CERTIFICATE:
	case TLS_ALERT_UNSUPPORTED_CERTIFICATE:
	case TLS_ALERT_CERTIFICATE_REVOKED:
	case TLS_ALERT_CERTIFICATE_EXPIRED:
	case TLS_ALERT_CERTIFICATE_UNKNOWN:
	case TLS_ALERT_UNKNOWN_CA:
	case TLS_ALERT_ACCESS_DENIED:
		return CAUSE_CERTIFICATE;
	default:
		return CAUSE_ALERT;
	}
}

static enum cause closed(const struct session *s, const struct tls_failure *f)
{
	bool implicit = s->settings->tls == TLS_IMPLICIT;

	if (f->answered)
		return CAUSE_CLOSED_ANSWERED;
	switch (f->opening.kind) {
	case TLS_OPENING_NOTHING:
		return implicit ? CAUSE_SILENT : CAUSE_SILENT_STARTTLS;
	case TLS_OPENING_HELLO:
		return CAUSE_CLOSED;
	case TLS_OPENING_TORN:
		return CAUSE_CLOSED_HELLO;
	default:
		return f->opening.alert == TLS_NO_ALERT ? refused(s, f)
							: CAUSE_EARLY_ALERT;
	}
}

static enum cause late(const struct session *s, const struct tls_failure *f)
{
	bool implicit = s->settings->tls == TLS_IMPLICIT;

	if (f->answered)
		return CAUSE_LATE_ANSWERED;
	switch (f->opening.kind) {
	case TLS_OPENING_NOTHING:
		return implicit ? CAUSE_LATE_IMPLICIT : CAUSE_LATE;
	case TLS_OPENING_HELLO:
		return CAUSE_LATE_MIDDLE;
	case TLS_OPENING_TORN:
		return CAUSE_LATE_HELLO;
	default:
		return refused(s, f);
	}
}

static enum cause failed(const struct session *s, const struct tls_failure *f)
{
	switch (f->how) {
	case TLS_END_REFUSED:
		return refused(s, f);
	case TLS_END_ALERT:
		return alerted(s, f);
	case TLS_END_CLOSED:
		return closed(s, f);
	case TLS_END_TIMEOUT:
		return late(s, f);
	case TLS_END_STOPPED:
		return CAUSE_STOPPED;
	case TLS_END_BROKEN:
		break;
	}
	return CAUSE_BROKEN;
}

/* Some begin TLS whatever the reply to STARTTLS was. */
static enum cause foreign_tls(const struct session *s)
{
	if (s->secured)
		return CAUSE_FOREIGN_TLS_INSIDE;
	if (s->tls_unusable)
		return CAUSE_UNUSABLE;
	return s->settings->tls == TLS_OFF ? CAUSE_FOREIGN_TLS_OFF : CAUSE_FOREIGN_TLS;
}

/* It shook hands, and then had nothing to say. */
static bool has_left(const struct session *s)
{
	return s->secured && !s->helo[0] &&
	       (s->end == END_QUIT || s->end == END_EOF || s->end == END_BROKEN);
}

static enum cause left(const struct tls_failure *f)
{
	return f ? CAUSE_LEFT_KNOWN : CAUSE_LEFT;
}

enum cause cause_of(const struct session *s)
{
	switch (s->end) {
	case END_FOREIGN_TLS:
		return foreign_tls(s);
	case END_FOREIGN_HTTP:
		return CAUSE_FOREIGN_HTTP;
	case END_TLS_INJECTION:
		return CAUSE_INJECTION;
	case END_TLS_UNUSABLE:
		return CAUSE_UNUSABLE;
	default:
		break;
	}
	if (s->failure && !(s->failure->how == TLS_END_CLOSED && s->secured))
		return failed(s, s->failure);
	if (has_left(s))
		return left(s->failure);
	if (s->secured)
		return CAUSE_NONE;
	if (s->rejected)
		return CAUSE_REJECTED;
	return s->tls_unusable ? CAUSE_UNUSABLE : CAUSE_NONE;
}

/* What the alert says is looked for first. */
static bool is_about_trust(const struct tls_failure *f)
{
	return f->how == TLS_END_ALERT && f->alert == TLS_ALERT_UNKNOWN_CA;
}

enum dislike cause_dislike(const struct tls_failure *f)
{
	const struct tls_certificate *c = &f->certificate;

	if (is_about_trust(f) && c->self_signed)
		return DISLIKE_SELF_SIGNED;
	if (is_about_trust(f) && c->alone)
		return DISLIKE_ALONE;
	if (c->expired)
		return DISLIKE_EXPIRED;
	if (c->early)
		return DISLIKE_EARLY;
	if (c->issuer_expired)
		return DISLIKE_ISSUER_EXPIRED;
	if (c->issuer_early)
		return DISLIKE_ISSUER_EARLY;
	if (f->how == TLS_END_ALERT && f->alert == TLS_ALERT_CERTIFICATE_EXPIRED)
		return DISLIKE_CLOCK;
	if (c->misnamed)
		return DISLIKE_MISNAMED;
	if (c->self_signed)
		return DISLIKE_SELF_SIGNED;
	if (c->alone)
		return DISLIKE_ALONE;
	return f->tickets && f->how == TLS_END_CLOSED ? DISLIKE_TICKETS : DISLIKE_NOTHING;
}
