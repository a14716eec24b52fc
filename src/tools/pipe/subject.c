/* SPDX-License-Identifier: ISC */
/*
 * Decodes the text of a Subject field. An encoded word may have any character set, but
 * only those of a fixed list are converted, so that a message cannot choose which code of
 * the C library is loaded. Text that cannot be decoded is not changed.
 */
#include "tools/pipe/pipe.h"
#include <iconv.h>
#include <stdlib.h>
#include "base/cleanup.h"
#include "proto/text.h"

#define REPLACEMENT SPAN("\xef\xbf\xbd") /* U+FFFD */
#define CHARSET_NAME_MAX 40
/*
 * Octets of the text of a word. A line of a header has 998 octets (RFC 5322 2.1.1).
 * Without the limit a header with many "=?" would take quadratic time.
 */
#define WORD_TEXT_MAX 1000
/*
 * Octets that are enough for a result of PIPE_SUBJECT_MAX; some characters become blanks.
 */
#define TEXT_ENOUGH (4 * PIPE_SUBJECT_MAX)

struct word {
	struct span charset, text;
	char encoding; /* 'b' or 'q' */
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Returns the name for iconv_open(3), or NULL. */
static const char *charset_of(struct span name)
{
	static const char *const names[] = { "US-ASCII", "UTF-8", "ISO-8859-1",
		"ISO-8859-2", "ISO-8859-3", "ISO-8859-4", "ISO-8859-5", "ISO-8859-6",
		"ISO-8859-7", "ISO-8859-8", "ISO-8859-9", "ISO-8859-10", "ISO-8859-13",
		"ISO-8859-14", "ISO-8859-15", "ISO-8859-16", "WINDOWS-1250",
		"WINDOWS-1251", "WINDOWS-1252", "WINDOWS-1253", "WINDOWS-1254",
		"WINDOWS-1255", "WINDOWS-1256", "WINDOWS-1257", "WINDOWS-1258", "KOI8-R",
		"KOI8-U", "ISO-2022-JP", "SHIFT_JIS", "EUC-JP", "EUC-KR", "GB2312", "GBK",
		"GB18030", "BIG5" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (span_ieq(name, span_of(names[i])))
			return names[i];
	return NULL;
}

/* Converts octets. Each one that cannot be converted becomes U+FFFD. */
static void convert(iconv_t converter, struct buf *to, struct span octets)
{
	char *from = (char *)octets.p, *out = to->p + to->n;
	size_t n_from = octets.n, n_out = buf_room(to);

	while (n_from > 0 &&
		iconv(converter, &from, &n_from, &out, &n_out) == (size_t)-1) {
		to->n = (size_t)(out - to->p);
		buf_put(to, REPLACEMENT);
		if (to->overflow)
			return;
		out = to->p + to->n;
		n_out = buf_room(to);
		from++;
		n_from--;
	}
	iconv(converter, NULL, NULL, &out, &n_out);
	to->n = (size_t)(out - to->p);
}

/* Appends decoded octets. False: the character set is not in the list. */
static bool put_charset(struct buf *to, struct span charset, struct span octets)
{
	const char *star = memchr(charset.p, '*', charset.n), *name;
	iconv_t converter;

	if (star) /* a language (RFC 2231 5) */
		charset.n = (size_t)(star - charset.p);
	name = charset_of(charset);
	if (!name)
		return false;
	converter = iconv_open("UTF-8", name);
	if (converter == (iconv_t)-1)
		return false;
	convert(converter, to, octets);
	iconv_close(converter);
	return true;
}

/* encoded-word = "=?" charset "?" encoding "?" encoded-text "?=" (RFC 2047 2) */
static bool take_word(struct span *text, struct word *ret)
{
	struct span rest = *text;
	const char *mark;

	if (rest.n < 2 || rest.p[0] != '=' || rest.p[1] != '?')
		return false;
	rest = span_from(rest, 2);
	mark = memchr(rest.p, '?', rest.n);
	if (!mark || mark == rest.p || mark - rest.p > CHARSET_NAME_MAX)
		return false;
	ret->charset = (struct span){ rest.p, (size_t)(mark - rest.p) };
	rest = span_from(rest, ret->charset.n + 1);
	if (rest.n < 2 || rest.p[1] != '?')
		return false;
	ret->encoding = ascii_lower(rest.p[0]);
	rest = span_from(rest, 2);
	mark = memmem(rest.p, rest.n < WORD_TEXT_MAX ? rest.n : WORD_TEXT_MAX, "?=", 2);
	/* "=?utf-8?q?=41?=": the first "?" may be followed by the "=" of an octet */
	if (!mark || (ret->encoding != 'b' && ret->encoding != 'q'))
		return false;
	ret->text = (struct span){ rest.p, (size_t)(mark - rest.p) };
	for (size_t i = 0; i < ret->text.n; i++)
		if (is_blank(ret->text.p[i]) && ret->encoding == 'b')
			return false;
	*text = span_from(rest, ret->text.n + 2);
	return true;
}

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes the "Q" encoding (RFC 2047 4.2). */
static void put_q(struct buf *to, struct span text)
{
	while (text.n) {
		int high = text.n > 2 ? digit_of(text.p[1]) : -1;
		int low = text.n > 2 ? digit_of(text.p[2]) : -1;
		if (*text.p == '=' && high >= 0 && low >= 0) {
			buf_put_char(to, (char)(high * 16 + low));
			text = span_from(text, 3);
			continue;
		}
		buf_put_char(to, *text.p == '_' ? ' ' : *text.p);
		text = span_from(text, 1);
	}
}

static bool decode(const struct word *w, struct buf *to)
{
	if (w->encoding == 'b')
		return base64_take(w->text, to);
	put_q(to, w->text);
	return true;
}

/* Skips the blanks between two encoded words, which are not part of the text (6.2). */
static bool skip_to_word(struct span *text, struct word *ret)
{
	struct span rest = *text;

	while (rest.n && is_blank(*rest.p))
		rest = span_from(rest, 1);
	if (!take_word(&rest, ret))
		return false;
	*text = rest;
	return true;
}

/*
 * Decodes successive words in one character set together, because some senders split a
 * character between two words. `octets` has room for all of the text.
 */
static void put_words(
	struct buf *to, struct span *text, struct word *w, struct buf *octets)
{
	bool more = true;

	while (more) {
		struct span written = { w->charset.p - 2, 0 }, charset = w->charset;
		bool fine;
		octets->n = 0;
		do {
			fine = decode(w, octets);
			written.n = (size_t)(text->p - written.p);
			more = skip_to_word(text, w);
		} while (fine && more && span_ieq(charset, w->charset));
		if (!fine || !put_charset(to, charset, buf_span(octets)))
			buf_put(to, written);
	}
}

/*
 * Appends a piece of text unchanged, except that octets that are not UTF-8 become U+FFFD.
 */
static void put_plain(struct buf *to, struct span *text)
{
	size_t n = utf8_length(*text);

	if (n == 0)
		buf_put(to, REPLACEMENT);
	else if (*text->p != '\n' && *text->p != '\r')
		buf_put(to, (struct span){ text->p, n });
	*text = span_from(*text, n ? n : 1);
}

/*
 * Appends whole characters without control characters. The result never looks like an
 * option of a program.
 */
static void put_clean(struct buf *to, struct span text)
{
	size_t room = PIPE_SUBJECT_MAX;

	if (text.n && *text.p == '-') {
		buf_put_char(to, ' ');
		room--;
	}
	while (text.n) {
		size_t n = utf8_length(text);
		bool is_control = n == 0 || (unsigned char)*text.p < 32 ||
				  *text.p == 127 || (n > 1 && !utf8_non_ascii(text));
		n = n ? n : 1;
		if (n > room)
			return;
		buf_put(to, is_control ? SPAN(" ") : (struct span){ text.p, n });
		room -= n;
		text = span_from(text, n);
	}
}

void pipe_words_put(struct buf *to, struct span value)
{
	/* a character of one octet may become three octets */
	size_t cap = 3 * value.n + 1;
	OWNED char *decoded = malloc(cap), *room = malloc(value.n + 1);
	struct buf text = { .p = decoded, .cap = cap };
	struct buf octets = { .p = room, .cap = value.n + 1 };
	struct word word;

	if (!decoded || !room)
		return;
	while (value.n && text.n < TEXT_ENOUGH) {
		if (take_word(&value, &word))
			put_words(&text, &value, &word, &octets);
		else
			put_plain(&text, &value);
	}
	put_clean(to, buf_span(&text));
}
