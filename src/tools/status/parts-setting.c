/* Promises that whoever should renew a certificate sees it. Refuses to look at files. */
#include "tools/status/parts.h"
#include "tools/status/time.h"

#define DAY (24 * 60 * 60)
#define SOON 14 /* days before its end in which a certificate is to be renewed */

static void put_word(const struct status_panel *p, const struct status_view *v)
{
	const struct status_setting *s = p->setting;
	char octets[CONFIG_FAULT_MAX];
	struct buf b = BUF(octets);

	status_label(v, "Allow SSL (SMTP Receive)");
	buf_put_str(&b, status_setting_word(s));
	if (s->known && s->config.clients.n_rules) {
		buf_put(&b, SPAN(", with "));
		buf_put_num(&b, s->config.clients.n_rules);
		buf_put(&b, s->config.clients.n_rules > 1 ? SPAN(" rules for clients")
							  : SPAN(" rule for clients"));
	}
	status_line(v, STYLE_PLAIN, buf_span(&b));
}

/* How long it is still valid, in words. */
static enum status_style put_days(
	struct buf *to, const struct tls_description *c, int64_t now)
{
	int64_t left = (c->last - now) / DAY;
	enum status_style style = left < SOON ? STYLE_CARE : STYLE_GOOD;

	if (now > c->last || now < c->first) {
		buf_put(to,
			now > c->last ? SPAN("expired on ") : SPAN("not valid before "));
		status_time_put_day(to, now > c->last ? c->last : c->first);
		style = STYLE_BAD;
	} else {
		buf_put_num(to, (uint64_t)left);
		buf_put(to, left == 1 ? SPAN(" day left, until ")
				      : SPAN(" days left, until "));
		status_time_put_day(to, c->last);
	}
	buf_put(to, c->by_issuer ? SPAN(" (its issuer)") : SPAN(""));
	buf_put(to, c->misnamed ? SPAN("; does not cover the hostname") : SPAN(""));
	return c->misnamed && style == STYLE_GOOD ? STYLE_CARE : style;
}

/* "CN=mail.example.org", and that name alone */
static bool is_subject(const struct tls_description *c)
{
	return strncmp(c->subject, "CN=", 3) == 0 &&
	       strcmp(c->subject + 3, c->names) == 0;
}

static void put_certificate(
	const struct status_view *v, const struct tls_description *c, const char *name)
{
	char octets[TLS_SUBJECT_TEXT + 64];
	struct buf b = BUF(octets);
	enum status_style style;

	status_label(v, name);
	buf_put_str(&b, c->subject[0] ? c->subject : c->file);
	buf_put(&b, SPAN(" ("));
	buf_put_str(&b, c->key);
	buf_put(&b, c->self_signed ? SPAN(", self-signed)") : SPAN(")"));
	status_line(v, STYLE_PLAIN, buf_span(&b));
	if (c->names[0] && !is_subject(c))
		status_indented(v, STYLE_PLAIN, span_of(c->names));
	b.n = 0;
	style = put_days(&b, c, v->now);
	status_indented(v, style, buf_span(&b));
}

static void put_faults(const struct status_panel *p, const struct status_view *v)
{
	const struct status_setting *s = p->setting;
	char octets[CONFIG_FAULT_MAX];
	struct buf b = BUF(octets);

	if (s->n_hidden) {
		status_label(v, "Not checked");
		buf_put_str(&b, s->hidden);
		buf_put(&b, SPAN(": you may not read it"));
		status_line(v, STYLE_CARE, buf_span(&b));
	}
	for (size_t i = 0; i < s->n_faults && i < STATUS_FAULTS_MAX; i++) {
		status_label(v, i ? "" : s->n_faults > 1 ? "Faults" : "Fault");
		status_line(v, STYLE_BAD, span_of(s->faults[i]));
	}
	if (s->n_faults > STATUS_FAULTS_MAX)
		status_indented(v, STYLE_BAD, SPAN("and more: see postern --check"));
}

void status_put_setting(const struct status_panel *p, const struct status_view *v)
{
	const struct status_setting *s = p->setting;

	put_word(p, v);
	for (size_t i = 0; i < s->n_certificates; i++)
		put_certificate(v, &s->certificates[i], i ? "" : "Certificate");
	put_faults(p, v);
}
