/* SPDX-License-Identifier: ISC */
/*
 * The sender's name of a part, which GMime decodes (RFC 2231, RFC 2047) and which is made
 * safe; and the character sets of names.
 */
#include <gmime/gmime.h>
#include "proto/text.h"
#include "tools/extract/extract.h"

#define SHOWN_MAX 100 /* octets of a character set in a warning */

/* The parts of an encoded-word: "=?" charset "?" encoding "?" text "?=". */
struct word {
	struct span before; /* the text before the charset, including "=?" */
	struct span charset;
	char encoding;
	struct span text;
};

/* Takes the first encoded-word of a text. False: there is none. */
static bool take_encoded_word(struct span *rest, struct word *ret)
{
	const char *start = memmem(rest->p, rest->n, "=?", 2), *end;
	struct span s;

	if (!start)
		return false;
	ret->before = (struct span){ rest->p, (size_t)(start - rest->p) + 2 };
	s = span_from(*rest, ret->before.n);
	end = memchr(s.p, '?', s.n);
	if (!end || s.p + s.n - end < 4 || end[2] != '?')
		return false;
	ret->charset = (struct span){ s.p, (size_t)(end - s.p) };
	ret->encoding = ascii_upper(end[1]);
	s = span_from(s, ret->charset.n + 3);
	end = memmem(s.p, s.n, "?=", 2);
	if (!end)
		return false;
	ret->text = (struct span){ s.p, (size_t)(end - s.p) };
	*rest = span_from(s, ret->text.n + 2);
	return true;
}

static void put_span(GString *to, struct span s)
{
	g_string_append_len(to, s.p, (gssize)s.n);
}

/* Appends base64 as "Q". */
static void put_as_q(GString *to, struct span text)
{
	gsize n_octets;
	char *copy = g_strndup(text.p, text.n);
	guchar *octets = g_base64_decode(copy, &n_octets);

	for (gsize i = 0; i < n_octets; i++)
		g_string_append_printf(to, "=%02X", octets[i]);
	g_free(octets);
	g_free(copy);
}

/*
 * Returns the text with its encoded-words in "Q", because GMime decodes the base64 of
 * successive words as one, and drops the rest after the padding of the first.
 */
static GString *without_base64(const char *text)
{
	struct span rest = span_of(text);
	GString *to = g_string_sized_new(rest.n);
	struct word w;

	while (take_encoded_word(&rest, &w)) {
		bool base64 = w.encoding == 'B';

		put_span(to, w.before);
		put_span(to, w.charset);
		g_string_append_printf(to, "?%c?", base64 ? 'Q' : w.encoding);
		if (base64)
			put_as_q(to, w.text);
		else
			put_span(to, w.text);
		g_string_append(to, "?=");
	}
	put_span(to, rest);
	return to;
}

/* Returns the value of a field without decoding, or NULL. */
static const char *raw_value(GMimeObject *o, const char *field)
{
	GMimeHeader *h =
		g_mime_header_list_get_header(g_mime_object_get_header_list(o), field);

	return h ? g_mime_header_get_raw_value(h) : NULL;
}

/*
 * Returns a copy of the parameter; of several, the one in the encoding of RFC 2231. NULL:
 * none.
 */
static GMimeParam *find_param(GMimeParamList *list, const char *name)
{
	GMimeParam *found = NULL;
	int n = g_mime_param_list_length(list);

	for (int i = 0; i < n; i++) {
		GMimeParam *p = g_mime_param_list_get_parameter_at(list, i);

		if (!span_ieq(span_of(g_mime_param_get_name(p)), span_of(name)))
			continue;
		if (!found || g_mime_param_get_encoding_method(p) ==
				      GMIME_PARAM_ENCODING_METHOD_RFC2231)
			found = p;
	}
	return found ? g_object_ref(found) : NULL;
}

static GMimeParam *param_of(GMimeParserOptions *how, const char *raw, const char *name)
{
	GString *text = without_base64(raw);
	/* both fields have a word and parameters */
	GMimeContentDisposition *d = g_mime_content_disposition_parse(how, text->str);
	GMimeParam *p =
		d ? find_param(g_mime_content_disposition_get_parameters(d), name) : NULL;

	if (d)
		g_object_unref(d);
	g_string_free(text, TRUE);
	return p;
}

/*
 * Finds the name in Content-Disposition (RFC 2183) or, as in older programs, in
 * Content-Type.
 */
static GMimeParam *name_param(GMimeParserOptions *how, GMimeObject *o)
{
	const char *disposition = raw_value(o, "Content-Disposition");
	const char *type = raw_value(o, "Content-Type");
	GMimeParam *p = disposition ? param_of(how, disposition, "filename") : NULL;

	return p || !type ? p : param_of(how, type, "name");
}

static bool is_known_charset(const char *charset)
{
	iconv_t cd = g_mime_iconv_open("UTF-8", charset);

	if (cd == (iconv_t)-1)
		return false;
	g_mime_iconv_close(cd);
	return true;
}

static void warn_charset(struct faults *faults, const char *charset)
{
	char text[SHOWN_MAX + 100];
	struct buf b = BUF(text);

	buf_put(&b, SPAN("a file name is in the unknown character set "));
	text_escape(&b, span_of(charset), SHOWN_MAX);
	buf_put(&b, SPAN(": \"_\" stands for its letters"));
	if (buf_terminate(&b))
		faults_warn(faults, text);
}

/* Decodes octets without a character set as that of Windows, which old copiers use. */
static char *from_windows(char *text)
{
	iconv_t cd = g_mime_iconv_open("UTF-8", "windows-1252");
	char *decoded = cd == (iconv_t)-1 ? NULL : g_mime_iconv_strdup(cd, text);

	if (cd != (iconv_t)-1)
		g_mime_iconv_close(cd);
	if (!decoded)
		return text;
	g_free(text);
	return decoded;
}

/* Masks a text in an unknown character set, except its ASCII. */
static void mask_text(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text >= 0x80)
			*text = '_';
}

void extract_name_compose(const char *text, char name[static EXTRACT_NAME_SIZE])
{
	char *composed = g_utf8_normalize(text, -1, G_NORMALIZE_NFC);

	extract_name_make(span_of(composed ? composed : text), name);
	g_free(composed);
}

void extract_part_name(struct _GMimeObject *o, struct faults *faults,
	char name[static EXTRACT_NAME_SIZE])
{
	GMimeParserOptions *how = g_mime_parser_options_new();
	GMimeParam *p = name_param(how, o);
	const char *charset = p ? g_mime_param_get_charset(p) : NULL;
	char *text = g_strdup(p ? g_mime_param_get_value(p) : "");

	if (charset && *charset && !is_known_charset(charset)) {
		warn_charset(faults, charset);
		mask_text(text);
	} else if (!g_utf8_validate(text, -1, NULL)) {
		text = from_windows(text);
	}
	extract_name_compose(text, name);
	g_free(text);
	if (p)
		g_object_unref(p);
	g_mime_parser_options_free(how);
}

void extract_subject_name(struct _GMimeObject *o, char name[static EXTRACT_NAME_SIZE])
{
	const char *raw = raw_value(o, "Subject");
	GString *words = without_base64(raw ? raw : "");
	char *unfolded = g_mime_utils_header_unfold(words->str);
	char *subject = g_mime_utils_header_decode_text(NULL, unfolded);
	char *text = g_strconcat(g_strstrip(subject), ".eml", NULL);

	*name = '\0';
	if (*subject)
		extract_name_compose(text, name);
	g_free(text);
	g_free(subject);
	g_free(unfolded);
	g_string_free(words, TRUE);
}

/* Keeps one converter of each character set open, so that its module stays loaded. */
void extract_message_prepare(void)
{
	static const char *const charsets[] = { "ISO-8859-1", "ISO-8859-2", "ISO-8859-3",
		"ISO-8859-4", "ISO-8859-5", "ISO-8859-6", "ISO-8859-7", "ISO-8859-8",
		"ISO-8859-9", "ISO-8859-10", "ISO-8859-11", "ISO-8859-13", "ISO-8859-14",
		"ISO-8859-15", "ISO-8859-16", "CP874", "CP1250", "CP1251", "CP1252",
		"CP1253", "CP1254", "CP1255", "CP1256", "CP1257", "CP1258", "KOI8-R",
		"KOI8-U", "ISO-2022-JP", "SHIFT_JIS", "CP932", "EUC-JP", "EUC-KR", "UHC",
		"EUC-CN", "GBK", "GB18030", "EUC-TW", "BIG5", "BIG5-HKSCS" };

	g_mime_init();
	/* only those of a fixed list; all others are unknown */
	for (size_t i = 0; i < sizeof(charsets) / sizeof(*charsets); i++)
		(void)iconv_open("UTF-8", charsets[i]);
}
