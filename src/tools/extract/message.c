/* SPDX-License-Identifier: ISC */
/*
 * Reads a message by GMime and writes its attachments. Bodies, and signatures of signed
 * mail, are not attachments. Damaged parts cause a warning, and are decoded as far as
 * possible. A message that is too large, too deep, or has too many parts is refused as a
 * whole.
 */
#include <gmime/gmime.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include "tools/extract/extract.h"

#define CHUNK (64 * 1024)
/* GMime needs 1 to 2 KiB for each part, even for one of five octets */
#define MEMORY_MAX ((size_t)256 * 1024 * 1024)
/* octets that are read between two checks of the memory */
#define MEMORY_STEP (64 * 1024)

struct walk {
	const struct extract_options *options;
	struct extract_dir *dir;
	struct faults *faults;
	uint64_t n_parts, n_total;
	uint64_t n_file; /* octets of the current file */
	bool writing; /* false: the current part is left out by filters */
	bool unread; /* a part could not be read at all */
	char *raw, *decoded; /* buffers of more than CHUNK octets */
	size_t n_sextets; /* sextets of the current piece of base64 */
};

/* The position of a part in the message. */
struct place {
	GMimeObject *parent; /* a multipart, or NULL */
	int index;
	uint64_t depth;
};

__attribute__((format(printf, 2, 3))) static void warn(
	const struct walk *w, const char *format, ...)
{
	char text[FAULTS_TEXT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	faults_warn(w->faults, text);
}

/* Files. Content is written between begin_file() and end_file(). */

static bool is_wanted(const struct extract_options *o, const char *type, const char *name)
{
	return (!o->types || extract_types_have(o->types, type, name)) &&
	       !(o->skip_types && extract_types_have(o->skip_types, type, name));
}

static int begin_file(struct walk *w, const char *type, const char *name)
{
	w->n_file = 0;
	w->writing = is_wanted(w->options, type, name);
	return w->writing ? extract_file_begin(w->dir, name) : 0;
}

/* Counts octets before they are written. 1: too many. */
static int count_octets(struct walk *w, uint64_t n)
{
	w->n_file += n;
	if (w->n_total + w->n_file <= w->options->max_total)
		return 0;
	faults_put(w->faults, "its attachments have more than %llu octets (--max-total)",
		(unsigned long long)w->options->max_total);
	return 1;
}

static int put_octets(struct walk *w, struct span octets)
{
	int r = w->writing ? count_octets(w, octets.n) : 0;

	if (r || !w->writing || w->n_file > w->options->max_size)
		return r;
	return extract_file_write(w->dir, octets);
}

static int end_file(struct walk *w)
{
	if (!w->writing)
		return 0;
	w->writing = false;
	if (w->n_file < w->options->min_size || w->n_file > w->options->max_size) {
		extract_file_drop(w->dir);
		return 0;
	}
	w->n_total += w->n_file;
	return extract_file_end(w->dir);
}

static const char *last_name(const struct walk *w)
{
	return w->dir->n ? extract_dir_name(w->dir, w->dir->n - 1) : "";
}

/* Content. */
/* Ends a piece of base64 with the padding that GMime 3.2.15 needs for the last octets. */
static int end_base64(struct walk *w, GMimeEncoding *state,
	int (*take)(struct walk *w, struct span octets))
{
	size_t rest = w->n_sextets % 4, n_pads = rest > 1 ? 4 - rest : 0;
	size_t n = g_mime_encoding_step(state, "==", n_pads, w->decoded);

	w->n_sextets = 0;
	g_mime_encoding_reset(state);
	return take(w, (struct span){ w->decoded, n });
}

/*
 * Decodes base64. A piece that ends with padding is complete, and another one may follow.
 */
static int decode_base64(struct walk *w, GMimeEncoding *state, struct span raw,
	int (*take)(struct walk *w, struct span octets))
{
	int r = 0;

	while (raw.n && r == 0) {
		const char *pad = memchr(raw.p, '=', raw.n);
		size_t n = pad ? (size_t)(pad - raw.p) : raw.n;
		size_t n_out = g_mime_encoding_step(state, raw.p, n, w->decoded);

		w->n_sextets += extract_count_base64((struct span){ raw.p, n });
		r = take(w, (struct span){ w->decoded, n_out });
		if (pad && r == 0)
			r = end_base64(w, state, take);
		raw = span_from(raw, n + (pad != NULL));
	}
	return r;
}

static int decode_piece(struct walk *w, GMimeEncoding *state, struct span raw,
	int (*take)(struct walk *w, struct span octets))
{
	if (state->encoding == GMIME_CONTENT_ENCODING_BASE64)
		return decode_base64(w, state, raw, take);
	return take(w, (struct span){ w->decoded,
			       g_mime_encoding_step(state, raw.p, raw.n, w->decoded) });
}

/* Ends the decoding. Missing padding of base64 is added. */
static int decode_end(struct walk *w, GMimeEncoding *state,
	int (*take)(struct walk *w, struct span octets))
{
	if (state->encoding == GMIME_CONTENT_ENCODING_BASE64)
		return end_base64(w, state, take);
	return take(w, (struct span){ w->decoded,
			       g_mime_encoding_flush(state, "", 0, w->decoded) });
}

static GMimeContentEncoding encoding_of(GMimePart *part)
{
	GMimeContentEncoding e = g_mime_part_get_content_encoding(part);

	/* uuencoded text is read later, line by line */
	return e == GMIME_CONTENT_ENCODING_BASE64 ||
			       e == GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE
		       ? e
		       : GMIME_CONTENT_ENCODING_BINARY;
}

/*
 * Decodes the content of a part. 0, or what `take` returned, or -errno; *ret_damaged is
 * set when the encoding has faults.
 */
static int decode_part(struct walk *w, GMimePart *part,
	int (*take)(struct walk *w, struct span octets), bool *ret_damaged)
{
	GMimeDataWrapper *content = g_mime_part_get_content(part);
	GMimeStream *s = content ? g_mime_data_wrapper_get_stream(content) : NULL;
	GMimeContentEncoding encoding = encoding_of(part);
	struct extract_check check = { .base64 = encoding ==
						 GMIME_CONTENT_ENCODING_BASE64 };
	GMimeEncoding state;
	int r = 0;

	g_mime_encoding_init_decode(&state, encoding);
	w->n_sextets = 0;
	if (s)
		g_mime_stream_reset(s);
	while (s && r == 0 && !g_mime_stream_eos(s)) {
		ssize_t n = g_mime_stream_read(s, w->raw, CHUNK);

		if (n <= 0)
			return n < 0 && errno ? -errno : -EIO;
		if (encoding != GMIME_CONTENT_ENCODING_BINARY)
			extract_check_step(&check, (struct span){ w->raw, (size_t)n });
		r = decode_piece(w, &state, (struct span){ w->raw, (size_t)n }, take);
	}
	*ret_damaged = extract_check_end(&check);
	return r == 0 ? decode_end(w, &state, take) : r;
}

/* Uuencoded files in a text. */

struct uu_walk {
	struct walk w; /* first member, because put_text() gets a pointer to it */
	struct extract_uu uu;
	uint64_t n_files;
};

static int count_part(struct walk *w)
{
	if (++w->n_parts <= w->options->max_parts)
		return 0;
	faults_put(w->faults, "it has more than %llu parts (--max-parts)",
		(unsigned long long)w->options->max_parts);
	return 1;
}

static int uu_begin(void *ctx, struct span text)
{
	struct uu_walk *u = ctx;
	char name[EXTRACT_NAME_SIZE], copy[EXTRACT_UU_LINE + 1];
	struct buf b = BUF(copy);
	int r = count_part(&u->w);

	if (r)
		return r;
	u->n_files++;
	buf_put(&b, text);
	buf_terminate(&b);
	extract_name_compose(copy, name);
	if (!*name)
		extract_name_default("application/octet-stream", name);
	return begin_file(&u->w, "application/octet-stream", name);
}

static int uu_data(void *ctx, struct span octets)
{
	struct uu_walk *u = ctx;

	return put_octets(&u->w, octets);
}

static int uu_end(void *ctx, bool damaged)
{
	struct uu_walk *u = ctx;

	if (damaged && u->w.writing)
		warn(&u->w,
			"%s: its uuencoded text is damaged or cut: what could be "
			"decoded was saved",
			last_name(&u->w));
	return end_file(&u->w);
}

static int put_text(struct walk *w, struct span text)
{
	return extract_uu_step(&((struct uu_walk *)w)->uu, text);
}

/* Saves the uuencoded files in the text of a part. */
static int read_text(struct walk *w, GMimePart *part)
{
	static const struct extract_uu_sink sink = { uu_begin, uu_data, uu_end };
	struct uu_walk u = { .w = *w };
	bool damaged;
	int r;

	u.uu = (struct extract_uu){ .sink = &sink, .ctx = &u };
	r = decode_part(&u.w, part, put_text, &damaged);
	if (r == 0)
		r = extract_uu_end(&u.uu);
	*w = u.w;
	if (r == 0 && u.n_files == 0 &&
		g_mime_part_get_content_encoding(part) ==
			GMIME_CONTENT_ENCODING_UUENCODE) {
		warn(w, "a part is said to be uuencoded, and is not");
		w->unread = true;
	}
	return r;
}

/* Parts. */

static bool is_type(GMimeObject *o, const char *type, const char *subtype)
{
	GMimeContentType *t = o ? g_mime_object_get_content_type(o) : NULL;

	return t && g_mime_content_type_is_type(t, type, subtype);
}

/* An unknown disposition also means an attachment (RFC 2183 2.8). */
static bool is_attachment(GMimeObject *o)
{
	const char *disposition = g_mime_object_get_disposition(o);

	return disposition && *disposition &&
	       !span_ieq(span_of(disposition), SPAN("inline"));
}

/* True for the signature, or the control part of encrypted mail (RFC 1847). */
static bool is_control(const struct place *at)
{
	return (is_type(at->parent, "multipart", "signed") && at->index > 0) ||
	       (is_type(at->parent, "multipart", "encrypted") && at->index == 0);
}

/* True for a picture in an HTML text (RFC 2387), such as the logo of a company. */
static bool is_inline(GMimeObject *o, const struct place *at)
{
	return is_type(at->parent, "multipart", "related") && is_type(o, "image", "*") &&
	       g_mime_object_get_content_id(o) && !is_attachment(o);
}

/* True for text and reports about mail, which are for the reader of the message. */
static bool is_body(GMimeObject *o, const char *name)
{
	return !*name && !is_attachment(o) &&
	       (is_type(o, "text", "*") ||
		       (is_type(o, "message", "*") && !is_type(o, "message", "rfc822") &&
			       !is_type(o, "message", "global")));
}

/* Some servers send TNEF without its own type, but its name is always the same. */
static bool is_tnef(GMimeObject *o, const char *name)
{
	return is_type(o, "application", "ms-tnef") ||
	       is_type(o, "application", "vnd.ms-tnef") ||
	       (is_type(o, "application", "octet-stream") &&
		       span_ieq(span_of(name), SPAN("winmail.dat")));
}

/* Warns of files that contain other files. */
static void warn_container(const struct walk *w, GMimeObject *o, const char *name)
{
	if (is_tnef(o, name))
		warn(w,
			"%s is in Microsoft's format TNEF and was saved as it is: open "
			"it with ytnef(1)",
			name);
	else if (is_type(o, "application", "pkcs7-mime") ||
		 is_type(o, "application", "x-pkcs7-mime"))
		warn(w,
			"%s is signed or encrypted (S/MIME) and was saved as it is: open "
			"it with openssl-cms(1)",
			name);
	else if (is_type(o, "message", "partial"))
		warn(w,
			"%s is a piece of a message that was sent in pieces (RFC 2046 "
			"5.2.2)",
			name);
}

static int save_part(struct walk *w, GMimePart *part, const char *name)
{
	GMimeObject *o = GMIME_OBJECT(part);
	char *type = g_mime_content_type_get_mime_type(g_mime_object_get_content_type(o));
	int r = begin_file(w, type, name);
	bool damaged = false;

	g_free(type);
	if (r == 0 && !w->writing && is_tnef(o, name))
		warn(w,
			"%s is in Microsoft's format TNEF and was left out by --types or "
			"--skip-types: what is in it may be wanted",
			name);
	if (r < 0 || !w->writing)
		return r;
	r = decode_part(w, part, put_octets, &damaged);
	if (r)
		return r;
	if (damaged)
		warn(w, "%s: its %s is damaged or cut: what could be decoded was saved",
			name,
			encoding_of(part) == GMIME_CONTENT_ENCODING_BASE64
				? "base64"
				: "quoted-printable");
	warn_container(w, o, name);
	return end_file(w);
}

static int visit_part(struct walk *w, GMimePart *part, const struct place *at)
{
	GMimeObject *o = GMIME_OBJECT(part);
	char name[EXTRACT_NAME_SIZE];
	char *type;

	if (is_control(at) || (is_inline(o, at) && !w->options->with_inline))
		return 0;
	extract_part_name(o, w->faults, name);
	if (g_mime_part_get_content_encoding(part) == GMIME_CONTENT_ENCODING_UUENCODE ||
		(is_body(o, name) && is_type(o, "text", "plain")))
		return read_text(w, part);
	if (is_body(o, name))
		return 0;
	if (!*name) {
		type = g_mime_content_type_get_mime_type(
			g_mime_object_get_content_type(o));
		extract_name_default(type, name);
		g_free(type);
	}
	return save_part(w, part, name);
}

/* Saves an attached message unchanged. */
static int save_message(struct walk *w, GMimeMessagePart *part, const char *name)
{
	GMimeObject *message = GMIME_OBJECT(g_mime_message_part_get_message(part));
	GMimeStream *s = g_mime_stream_null_new();
	int r = begin_file(w, "message/rfc822", name);
	gint64 n = 0;

	if (r == 0 && w->writing) {
		n = g_mime_object_write_to_stream(message, NULL, s);
		r = n < 0 ? -EIO : count_octets(w, (uint64_t)n);
	}
	g_object_unref(s);
	if (r || !w->writing || w->n_file > w->options->max_size)
		return r ? r : end_file(w);
	s = g_mime_stream_fs_new(extract_file_descriptor(w->dir));
	g_mime_stream_fs_set_owner(GMIME_STREAM_FS(s), FALSE);
	errno = 0;
	if (g_mime_object_write_to_stream(message, NULL, s) < 0)
		r = errno ? -errno : -EIO;
	g_object_unref(s);
	return r ? r : end_file(w);
}

static int visit(struct walk *w, GMimeObject *o, const struct place *at);

static int visit_message(struct walk *w, GMimeMessagePart *part, const struct place *at)
{
	GMimeMessage *message = g_mime_message_part_get_message(part);
	char name[EXTRACT_NAME_SIZE];

	if (!message) {
		warn(w, "an attached message is empty");
		return 0;
	}
	if (w->options->open_messages)
		return visit(w, g_mime_message_get_mime_part(message),
			&(struct place){ .depth = at->depth + 1 });
	extract_part_name(GMIME_OBJECT(part), w->faults, name);
	if (!*name)
		extract_subject_name(GMIME_OBJECT(message), name);
	if (!*name)
		extract_name_default("message/rfc822", name);
	return save_message(w, part, name);
}

static int visit_multipart(struct walk *w, GMimeMultipart *m, const struct place *at)
{
	int n = g_mime_multipart_get_count(m), r = 0;

	if (n == 0) {
		warn(w, "a multipart has no boundary, or none of its parts can be found");
		w->unread = true;
	}
	for (int i = 0; i < n && r == 0; i++)
		r = visit(w, g_mime_multipart_get_part(m, i),
			&(struct place){ GMIME_OBJECT(m), i, at->depth + 1 });
	if (n > 0 && r == 0 && !m->write_end_boundary)
		warn(w, "a multipart has no end: the message was cut, and perhaps its "
			"last attachment");
	return r;
}

static int visit(struct walk *w, GMimeObject *o, const struct place *at)
{
	int r = count_part(w);

	if (r || !o)
		return r;
	if (at->depth > w->options->max_depth) {
		faults_put(w->faults, "it is nested more than %llu levels (--max-depth)",
			(unsigned long long)w->options->max_depth);
		return 1;
	}
	if (GMIME_IS_MULTIPART(o))
		return visit_multipart(w, GMIME_MULTIPART(o), at);
	if (GMIME_IS_MESSAGE_PART(o))
		return visit_message(w, GMIME_MESSAGE_PART(o), at);
	if (GMIME_IS_PART(o))
		return visit_part(w, GMIME_PART(o), at);
	return 0;
}

/*
 * The stream of the whole message. It ends early when the parser has used up its memory,
 * and keeps the error of a failed read, which the parser treats as the end.
 */
struct guarded {
	GMimeStreamFs fs;
	size_t n_read;
	bool exhausted;
	int error;
};

static bool is_exhausted(struct guarded *g, size_t n)
{
	size_t before = g->n_read / MEMORY_STEP;

	g->n_read += n;
	if (before != g->n_read / MEMORY_STEP) {
		struct mallinfo2 info = mallinfo2();
		g->exhausted |= info.uordblks + info.hblkhd > MEMORY_MAX;
	}
	return g->exhausted;
}

static ssize_t guarded_read(GMimeStream *s, char *to, size_t n)
{
	struct guarded *g = (struct guarded *)s;
	GMimeStreamClass *base = g_type_class_peek(GMIME_TYPE_STREAM_FS);
	ssize_t n_read = g->exhausted ? 0 : base->read(s, to, n);

	if (n_read < 0)
		g->error = errno;
	else if (is_exhausted(g, (size_t)n_read))
		return 0;
	return n_read;
}

static void guarded_class_init(gpointer class, gpointer data)
{
	(void)data;
	((GMimeStreamClass *)class)->read = guarded_read;
}

static struct guarded *guarded_new(int fd)
{
	GType type = g_type_from_name("PosternGuarded");
	struct guarded *g;
	off_t start = lseek(fd, 0, SEEK_CUR);

	if (!type)
		type = g_type_register_static_simple(GMIME_TYPE_STREAM_FS,
			"PosternGuarded", sizeof(GMimeStreamFsClass), guarded_class_init,
			sizeof(*g), NULL, 0);
	g = g_object_new(type, NULL);
	g_mime_stream_construct(GMIME_STREAM(g), start < 0 ? 0 : start, -1);
	g->fs.fd = fd;
	return g;
}

static GMimeParserOptions *parser_options(void)
{
	static const char *fallback[] = { "utf-8", NULL };
	GMimeParserOptions *options = g_mime_parser_options_new();

	/* no warning callback, because with one parameters take quadratic time */
	g_mime_parser_options_set_fallback_charsets(options, fallback);
	return options;
}

static int walk_message(struct walk *w, GMimeObject *top)
{
	int r = visit(w, top, &(struct place){ .depth = 1 });

	if (r == 0 && w->unread && w->dir->n == 0) {
		faults_put(w->faults,
			"no attachment can be read: its MIME structure is broken");
		return 1;
	}
	return r;
}

int extract_message(int fd, const struct extract_options *options,
	struct extract_dir *dir, struct faults *faults)
{
	struct walk w = { .options = options, .dir = dir, .faults = faults };
	GMimeParserOptions *how = parser_options();
	struct guarded *g = guarded_new(fd);
	GMimeParser *parser = g_mime_parser_new_with_stream(GMIME_STREAM(g));
	/* as a part, not as a message, so that no addresses are parsed */
	GMimeObject *top = g_mime_parser_construct_part(parser, how);
	int r = -g->error;

	w.raw = g_malloc(CHUNK);
	w.decoded = g_malloc(CHUNK + 4);
	if (r == 0 && g->exhausted) {
		faults_put(faults,
			"it has so many parts or fields that more than %zu MiB "
			"of memory would be needed",
			MEMORY_MAX >> 20);
		r = 1;
	} else if (r == 0 && !top) {
		faults_put(faults, "it is no message: it has no header");
		r = 1;
	} else if (r == 0) {
		r = walk_message(&w, top);
	}
	if (top)
		g_object_unref(top);
	g_object_unref(parser);
	g_object_unref(g);
	g_mime_parser_options_free(how);
	g_free(w.raw);
	g_free(w.decoded);
	return r;
}
