/* SPDX-License-Identifier: ISC */
/*
 * Writes the trace header, and dates. No octet of the client can form a line or a
 * comment: a HELO argument that is not a domain or an address literal is left out. Dates
 * are UTC, so that no time zone has to be loaded.
 */
#include "proto/received.h"
#include "proto/address.h"

#define SECONDS_A_DAY 86400
/* from 1 March of the year 0, where the count below begins */
#define DAYS_TO_1970 719468
#define DAYS_400_YEARS 146097

struct date {
	int64_t year;
	unsigned month; /* 1 to 12 */
	unsigned day;
};

/*
 * Converts days since 1970 to a Gregorian date. Years begin in March, so that the leap
 * day comes last.
 */
static struct date date_of(int64_t days)
{
	int64_t z = days + DAYS_TO_1970;
	int64_t era = z / DAYS_400_YEARS;
	unsigned of_era = (unsigned)(z - era * DAYS_400_YEARS);
	unsigned year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	unsigned of_year = of_era - (365 * year + year / 4 - year / 100);
	unsigned month = (5 * of_year + 2) / 153;
	unsigned day = of_year - (153 * month + 2) / 5 + 1;

	month = month < 10 ? month + 3 : month - 9;
	return (struct date){ (int64_t)year + era * 400 + (month <= 2), month, day };
}

/* Rounds down before 1970, too: the clock of a machine without a battery may be there. */
static int64_t day_of(int64_t time)
{
	return time / SECONDS_A_DAY - (time % SECONDS_A_DAY < 0);
}

/* "09:08:07" */
static void put_time_of_day(struct buf *to, int64_t time)
{
	uint64_t seconds = (uint64_t)(time - day_of(time) * SECONDS_A_DAY);

	buf_put_num_wide(to, seconds / 3600, 2);
	buf_put_char(to, ':');
	buf_put_num_wide(to, seconds / 60 % 60, 2);
	buf_put_char(to, ':');
	buf_put_num_wide(to, seconds % 60, 2);
}

void date_put(struct buf *to, int64_t time)
{
	static const char weekdays[] = "ThuFriSatSunMonTueWed";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	int64_t days = day_of(time);
	struct date d = date_of(days);

	buf_put(to, (struct span){ weekdays + (days % 7 + 7) % 7 * 3, 3 });
	buf_put(to, SPAN(", "));
	buf_put_num_wide(to, d.day, 2);
	buf_put_char(to, ' ');
	buf_put(to, (struct span){ months + (d.month - 1) * 3, 3 });
	buf_put_char(to, ' ');
	buf_put_num(to, (uint64_t)d.year);
	buf_put_char(to, ' ');
	put_time_of_day(to, time);
	buf_put(to, SPAN(" +0000"));
}

void timestamp_put(struct buf *to, int64_t time, uint32_t microseconds)
{
	struct date d = date_of(day_of(time));

	buf_put_num_wide(to, (uint64_t)d.year, 4);
	buf_put_char(to, '-');
	buf_put_num_wide(to, d.month, 2);
	buf_put_char(to, '-');
	buf_put_num_wide(to, d.day, 2);
	buf_put_char(to, 'T');
	put_time_of_day(to, time);
	buf_put_char(to, '.');
	buf_put_num_wide(to, microseconds, 6);
	buf_put_char(to, 'Z');
}

static void put_pair(struct buf *to, struct span word, struct span value)
{
	buf_put(to, word);
	buf_put(to, value);
}

static void put_literal(struct buf *to, struct span ip)
{
	/*
	 * a zone ("%eth0") has a meaning on this host only, and is no part of a literal
	 * (RFC 5321 4.1.3)
	 */
	ip = span_take(&ip, '%');
	buf_put_char(to, '[');
	if (memchr(ip.p, ':', ip.n))
		buf_put(to, SPAN("IPv6:"));
	put_pair(to, ip, SPAN("]"));
}

/* Extended-Domain = Domain / ( Domain FWS "(" TCP-info ")" ) / ( address-literal ... ) */
static void put_from(struct buf *to, const struct received *t)
{
	buf_put(to, SPAN("Received: from "));
	if (domain_valid(t->helo))
		buf_put(to, t->helo);
	else if (t->peer.n)
		put_literal(to, t->peer);
	else
		buf_put(to, SPAN("unknown"));
	if (!t->peer.n)
		return;
	buf_put(to, SPAN(" ("));
	if (t->peer_name.n)
		put_pair(to, t->peer_name, SPAN(" "));
	put_literal(to, t->peer);
	buf_put_char(to, ')');
}

/*
 * Appends the user as a comment (RFC 5322 3.2.2), because no clause exists for it. A name
 * that a comment cannot carry is left out.
 */
static void put_user(struct buf *to, struct span user)
{
	for (size_t i = 0; i < user.n; i++)
		if ((unsigned char)user.p[i] < 32 || user.p[i] == 127)
			return;
	if (!user.n)
		return;
	buf_put(to, SPAN("\n\t(Authenticated sender: "));
	for (size_t i = 0; i < user.n; i++) {
		if (strchr("()\\", user.p[i]))
			buf_put_char(to, '\\');
		buf_put_char(to, user.p[i]);
	}
	buf_put_char(to, ')');
}

/*
 * A login implies TLS. No protocol name exists for HELO inside TLS, but the tls clause
 * shows TLS.
 */
const char *received_protocol(const struct received_protocol *p)
{
	static const char names[][3][sizeof("UTF8LMTPSA")] = {
		{ "ESMTP", "ESMTPS", "ESMTPSA" },
		{ "UTF8SMTP", "UTF8SMTPS", "UTF8SMTPSA" },
		{ "LMTP", "LMTPS", "LMTPSA" },
		{ "UTF8LMTP", "UTF8LMTPS", "UTF8LMTPSA" },
	};

	if (!p->esmtp)
		return "SMTP";
	return names[2 * p->lmtp + p->utf8][p->secured + p->authenticated];
}

void received_put(struct buf *to, const struct received *t)
{
	put_pair(to, SPAN("Return-Path: <"), t->reverse_path);
	buf_put(to, SPAN(">\n"));
	if (t->delivered_to.n) {
		put_pair(to, SPAN(FIELD_DELIVERED_TO), t->delivered_to);
		buf_put_char(to, '\n');
	}
	put_from(to, t);
	put_pair(to, SPAN("\n\tby "), t->host);
	put_pair(to, SPAN(" with "), t->with);
	put_pair(to, SPAN(" id "), t->id);
	put_user(to, t->user);
	if (t->recipient.n) {
		put_pair(to, SPAN("\n\tfor <"), t->recipient);
		buf_put_char(to, '>');
	}
	if (t->tls_cipher.n)
		put_pair(to, SPAN("\n\ttls "), t->tls_cipher);
	if (t->tls_cipher.n && t->tls_group.n)
		put_pair(to, SPAN(" group "), t->tls_group);
	buf_put(to, SPAN(";\n\t"));
	date_put(to, t->time);
	buf_put_char(to, '\n');
}
