/* SPDX-License-Identifier: ISC */
/*
 * Safe file names. The sender chooses the name of an attachment, but it never becomes a
 * path, a hidden file, an option of a command, a device of Windows, or a text that a
 * terminal or a file manager shows differently.
 */
#include "tools/extract/extract.h"
#include "base/num.h"
#include "proto/text.h"

#define EXTENSION_MAX 16 /* octets with the dot; a longer one is part of the name */

struct range {
	uint32_t first, last;
};

/* Characters that control text or are invisible (Unicode Cc, Cf, Zl, Zp, Cn). */
static const struct range unsafe[] = {
	{ 0x00, 0x1F },
	{ 0x7F, 0x9F },
	{ 0xAD, 0xAD },
	{ 0x061C, 0x061C }, /* direction: Arabic letter mark */
	{ 0x115F, 0x1160 }, /* fillers of Hangul */
	{ 0x180E, 0x180E },
	{ 0x200B, 0x200B },
	{ 0x200E, 0x200F }, /* direction: marks */
	{ 0x2028, 0x202E }, /* lines, paragraphs; direction: embeddings, overrides */
	{ 0x2060, 0x206F }, /* direction: isolates */
	{ 0x3164, 0x3164 },
	{ 0xFDD0, 0xFDEF },
	{ 0xFEFF, 0xFEFF },
	{ 0xFFA0, 0xFFA0 },
	{ 0xFFF0, 0xFFFF }, /* including the replacement character */
	{ 0xE0000, 0xE0FFF },
};

/*
 * Windows does not allow most of these; $ and ` are dangerous only in careless scripts.
 */
static const char unsafe_ascii[] = "\"*/:<>?\\|$`";

/* Files that Windows reads or runs automatically, and devices, with any extension. */
static const char *const windows_files[] = { "autorun.inf", "desktop.ini", "thumbs.db" };
static const char *const windows_devices[] = { "AUX", "CLOCK$", "CLOCK_", "CON", "CONIN$",
	"CONIN_", "CONOUT$", "CONOUT_", "NUL", "PRN" };
static const char *const windows_ports[] = { "COM", "LPT" }; /* with one digit */
static const char *const digits[] = { "0", "1", "2", "3", "4", "5", "6", "7", "8", "9",
	"\u00b9", "\u00b2", "\u00b3" };

#define COUNT(array) (sizeof(array) / sizeof *(array))

static bool is_one_of(struct span s, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (span_ieq(s, span_of(words[i])))
			return true;
	return false;
}

/* Returns the code point of a well-formed character of n octets. */
static uint32_t code_of(struct span c)
{
	static const unsigned char masks[] = { 0x7F, 0x1F, 0x0F, 0x07 };
	uint32_t code = (unsigned char)c.p[0] & masks[c.n - 1];

	for (size_t i = 1; i < c.n; i++)
		code = code << 6 | ((unsigned char)c.p[i] & 0x3F);
	return code;
}

static bool is_safe(struct span c)
{
	uint32_t code = code_of(c);

	if (code < 0x80 && code && strchr(unsafe_ascii, (int)code))
		return false;
	for (size_t i = 0; i < COUNT(unsafe); i++)
		if (code >= unsafe[i].first && code <= unsafe[i].last)
			return false;
	return (code & 0xFFFE) != 0xFFFE;
}

/*
 * Appends the text with `_` in place of unsafe characters, up to `max` octets of the
 * buffer.
 */
static void put_safe(struct buf *to, struct span text, size_t max)
{
	while (text.n) {
		size_t n = utf8_length(text);
		struct span c = { text.p, n };

		if (n == 0 || !is_safe(c))
			c = SPAN("_");
		if (to->n + c.n > max)
			return;
		buf_put(to, c);
		text = span_from(text, n ? n : 1);
	}
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Returns the last component, without blanks around it and dots at its end. */
static struct span base_of(struct span text)
{
	for (size_t i = text.n; i > 0; i--)
		if (text.p[i - 1] == '/' || text.p[i - 1] == '\\') {
			text = span_from(text, i);
			break;
		}
	while (text.n && is_blank(*text.p))
		text = span_from(text, 1);
	while (text.n && (is_blank(text.p[text.n - 1]) || text.p[text.n - 1] == '.'))
		text.n--;
	return text;
}

/* Returns the extension with its dot; or an empty span. */
static struct span extension_of(struct span name)
{
	for (size_t i = name.n; i > 1 && name.n - i < EXTENSION_MAX; i--)
		if (name.p[i - 1] == '.')
			return span_from(name, i - 1);
	return span_from(name, name.n);
}

/* Checks the part before the first dot, without blanks at its end. */
static bool is_reserved(struct span name)
{
	struct span stem = { name.p, 0 };

	if (is_one_of(name, windows_files, COUNT(windows_files)))
		return true;
	while (stem.n < name.n && name.p[stem.n] != '.')
		stem.n++;
	while (stem.n && stem.p[stem.n - 1] == ' ')
		stem.n--;
	if (is_one_of(stem, windows_devices, COUNT(windows_devices)))
		return true;
	return stem.n > 3 &&
	       is_one_of(
		       (struct span){ stem.p, 3 }, windows_ports, COUNT(windows_ports)) &&
	       is_one_of(span_from(stem, 3), digits, COUNT(digits));
}

void extract_name_make(struct span text, char ret[static EXTRACT_NAME_SIZE])
{
	struct span base = base_of(text), extension = extension_of(base);
	struct buf b = { .p = ret, .cap = EXTRACT_NAME_SIZE };

	base.n -= extension.n;
	if (base.n && strchr(".-~", *base.p)) {
		buf_put_char(&b, '_');
		base = span_from(base, 1);
	}
	/* room for an underscore at the beginning */
	put_safe(&b, base, EXTRACT_NAME_MAX - extension.n - 1);
	put_safe(&b, extension, EXTRACT_NAME_MAX - 1);
	/* after cutting */
	while (b.n && strchr(" .", ret[b.n - 1]))
		b.n--;
	if (is_reserved(buf_span(&b))) {
		memmove(ret + 1, ret, b.n);
		*ret = '_';
		b.n++;
	}
	buf_terminate(&b);
}

/* Appends as many whole characters as fit. */
static void put_cut(struct buf *to, struct span name, size_t max)
{
	size_t n = name.n < max ? name.n : max;

	while (n > 0 && n < name.n && ((unsigned char)name.p[n] & 0xC0) == 0x80)
		n--;
	buf_put(to, (struct span){ name.p, n });
}

void extract_name_number(const char *name, uint64_t n, char ret[static EXTRACT_NAME_SIZE])
{
	struct span stem = span_of(name), extension = extension_of(stem);
	char number[NUM_MAX];
	size_t n_digits = num_format(n, number);
	struct buf b = { .p = ret, .cap = EXTRACT_NAME_SIZE };

	stem.n -= extension.n;
	put_cut(&b, stem, EXTRACT_NAME_MAX - extension.n - n_digits - 1);
	buf_put_char(&b, '-');
	buf_put(&b, (struct span){ number, n_digits });
	buf_put(&b, extension);
	buf_terminate(&b);
}

void extract_name_default(const char *type, char ret[static EXTRACT_NAME_SIZE])
{
	static const struct {
		const char *type, *extension;
	} usual[] = {
		{ "application/json", ".json" },
		{ "application/pdf", ".pdf" },
		{ "application/postscript", ".ps" },
		{ "application/xml", ".xml" },
		{ "application/zip", ".zip" },
		{ "image/bmp", ".bmp" },
		{ "image/gif", ".gif" },
		{ "image/heic", ".heic" },
		{ "image/jpeg", ".jpg" },
		{ "image/jpg", ".jpg" },
		{ "image/png", ".png" },
		{ "image/svg+xml", ".svg" },
		{ "image/tiff", ".tif" },
		{ "image/tiff-fx", ".tif" },
		{ "image/webp", ".webp" },
		{ "message/global", ".eml" },
		{ "message/rfc822", ".eml" },
		{ "text/calendar", ".ics" },
		{ "text/csv", ".csv" },
		{ "text/html", ".html" },
		{ "text/plain", ".txt" },
		{ "text/vcard", ".vcf" },
		{ "text/x-vcard", ".vcf" },
		{ "text/xml", ".xml" },
	};
	struct buf b = { .p = ret, .cap = EXTRACT_NAME_SIZE };
	const char *extension = ".bin";

	for (size_t i = 0; i < COUNT(usual); i++)
		if (span_ieq(span_of(type), span_of(usual[i].type)))
			extension = usual[i].extension;
	buf_put(&b, SPAN("attachment"));
	buf_put_str(&b, extension);
	buf_terminate(&b);
}
